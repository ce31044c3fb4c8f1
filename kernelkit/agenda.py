"""What will happen to an account by the calendar, laid out as the kernel reads it: actions of assets, accruals (E1)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from kernelkit.data.actions import KINDS, NAMES
from kernelkit.data.contracts import is_inverse
from kernelkit.errors import DataError, OrderError, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Homes, Table
from kernelkit.market.account import Rate, Rates
from kernelkit.schema import utc

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.market.account import Account

YEAR, LENDING_YEAR = 365.0, 360.0  # days: E6, E7
CODES = np.array([L.ACTIONS.index(kind) for kind in KINDS])


def agenda(
    bars: xr.Dataset, clock: Table, assets: Sequence[str], places: Sequence[np.ndarray], account: Account
) -> np.ndarray:
    """The actions of an account over ``assets`` in the order in which they take effect, layout.ACTION.

    ``clock`` has the account's bars, ``places`` for each asset those at which it has one of its own. Raises DataError
    for bars of an asset after it was delisted.
    """
    own = accruals(clock, dict(enumerate(assets)), account)
    return ordered([*of_assets(bars, clock, assets, places), *own])


def with_agenda(
    bars: xr.Dataset,
    tables: Sequence[Table],
    places: Sequence[np.ndarray],
    accounts: Sequence[Account],
    shared: bool,
    homes: Homes | None = None,
) -> list[Table]:
    """The tables with what will happen to their accounts by the calendar (E1); of a portfolio the first, its clock.

    ``accounts`` has that of each asset. Raises as `agenda` does, DataError for actions that cannot be, OrderError for a
    borrow rate of an asset that the bars do not have.
    """
    free = all(a.interest == 0.0 and a.loan in (None, 0.0) and a.borrow in (0.0, {}) for a in accounts)
    if free and NAMES[0] not in bars.variables:  # the usual case: millions of bars need not be looked at
        return list(tables)
    names = [str(asset) for asset in bars["asset"].values]
    check_inverse(bars, names)
    for account in accounts:
        check_borrow(account, names)
    if shared and homes is not None and homes.cash:  # V3
        parts = of_assets(bars, tables[0], names, places)
        for v in range(homes.n):
            held = {a: name for a, name in enumerate(names) if homes.venue[a] == v}
            parts += accruals(tables[0], held, accounts[next(iter(held))], -2 - v)
        return [acting(tables[0], ordered(parts)), *tables[1:]]
    if shared:
        return [acting(tables[0], agenda(bars, tables[0], names, places, accounts[0])), *tables[1:]]
    own = [np.arange(table.n_bars) for table in tables]
    each = zip(tables, names, own, accounts, strict=True)
    return [acting(table, agenda(bars, table, [name], [rows], account)) for table, name, rows, account in each]


def acting(table: Table, actions: np.ndarray) -> Table:
    """The table with these actions; itself where there are none."""
    return replace(table, actions=stamped(actions, table)) if len(actions) else table


def check_inverse(bars: xr.Dataset, names: Sequence[str]) -> None:
    """E1: raise DataError for a split, dividend or delisting of an inverse contract."""
    if NAMES[0] not in bars.variables:
        return
    inverse = [name for name, one in zip(names, is_inverse(bars), strict=True) if one]
    whose, what = (bars.variables[name].values for name in NAMES[1:3])
    wrong = np.flatnonzero(np.isin(whose, inverse) & (what != "funding"))
    if len(wrong):
        found, fix = f"a {what[wrong[0]]}", "Leave it out: such contracts have none."
        raise DataError(message(f"actions of the inverse contract {whose[wrong[0]]}", found, "funding only", fix))


def check_borrow(account: Account, names: Sequence[str]) -> None:
    """E7: raise OrderError for a rate of an asset that is not there."""
    unknown = [name for name in account.borrow if name not in names] if isinstance(account.borrow, Mapping) else []
    if unknown:
        wanted, fix = f"assets of the bars: {', '.join(names)}", "Check the names."
        raise OrderError(message("borrow of the account", ", ".join(unknown), wanted, fix))


def worthless(tables: Sequence[Table]) -> list[Table] | None:
    """The tables with nothing paid at each delisting whose value nobody knows (E4); None where there is none."""
    out = list(tables)
    for k, table in enumerate(tables):
        if len(table.actions):
            unknown = (table.actions["kind"] == L.DELISTING) & np.isnan(table.actions["value"])
            if unknown.any():
                actions = table.actions.copy()
                actions["value"][unknown] = 0.0
                out[k] = replace(table, actions=actions)
    return out if any(a is not b for a, b in zip(out, tables, strict=True)) else None


def known(bars: xr.Dataset) -> bytes:
    """What tells the actions of these bars from others; empty where they have none."""
    if NAMES[0] not in bars.variables:
        return b""
    return hashlib.sha256(repr([bars.variables[n].values.tolist() for n in NAMES]).encode()).digest()


def stamps(table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """open_at, known_at and session of a table's bars."""
    return table.columns[L.C_OPEN_AT], table.columns[L.C_KNOWN_AT], table.columns[L.C_SESSION]


def of_assets(bars: xr.Dataset, clock: Table, assets: Sequence[str], places: Sequence[np.ndarray]) -> list[np.ndarray]:
    """E2-E5: the bars' own actions of these assets, each in the bar in which it takes effect."""
    if NAMES[0] not in bars.variables:
        return []
    open_at, known_at, _ = stamps(clock)
    when, whose, what, value, price = (bars.variables[n].values for n in NAMES)
    when = when.astype("datetime64[ns]").astype("i8")
    kinds = CODES[[KINDS.index(kind) for kind in what]]
    out = []
    for a, (name, rows) in enumerate(zip(assets, places, strict=True)):
        mine = np.flatnonzero(whose == name)
        mine = mine[np.argsort(when[mine], kind="stable")]
        found = np.zeros(len(mine), L.ACTION)
        found["asset"], found["kind"], found["time"] = a, kinds[mine], when[mine]
        found["value"], found["price"] = value[mine], price[mine]
        tau = found["time"]
        by_bar = np.append(rows, clock.n_bars)[np.searchsorted(open_at[rows], tau)]
        opened = np.searchsorted(open_at, tau)
        closed = np.searchsorted(known_at, tau)
        funding, delisting = found["kind"] == L.FUNDING, found["kind"] == L.DELISTING
        within = funding & (opened > 0) & (tau < known_at[np.maximum(opened - 1, 0)])
        found["bar"] = np.where(delisting, closed, np.where(within, opened - 1, np.where(funding, opened, by_bar)))
        found["place"] = np.where(delisting, L.LAST, np.where(within, L.WITHIN, L.FIRST))
        for end in tau[delisting]:
            later = open_at[rows] >= end
            if later.any():
                found_at = f"a bar at {utc(open_at[rows][later][0])}, after its delisting at {utc(end)}"
                fix = "Another company's bars under the same name? Give them a name and asset_id of their own."
                raise DataError(message(f"bars of {name}", found_at, "none after a delisting", fix))
        out.append(found[found["bar"] < clock.n_bars])
    return out


def accruals(clock: Table, assets: Mapping[int, str], account: Account, whose: int = -1) -> list[np.ndarray]:
    """E6, E7: interest and what borrowed units cost, at each session after the first.

    ``assets`` are the account's by number; ``whose`` stands in the place of one where it is the account's own.
    """
    open_at, known_at, session = stamps(clock)
    turns = np.flatnonzero(np.diff(session)) + 1
    days = (session[turns] - session[turns - 1]).astype("f8")
    then = known_at[turns - 1]

    def rows(kind: int, asset: int, rate: np.ndarray, year: float) -> np.ndarray:
        out = np.zeros(len(turns), L.ACTION)
        out["bar"], out["kind"], out["asset"], out["time"] = turns, kind, asset, open_at[turns]
        out["value"] = rate * (days / year)
        return out

    out = []
    credit = rate_at(account.interest, then)
    loan = credit if account.loan is None else rate_at(account.loan, then)
    if credit.any() or loan.any():
        out.append(rows(L.INTEREST, whose, credit, YEAR))
        out[-1]["price"] = loan * (days / YEAR)
    for a, name in assets.items():
        rate = rate_at(account.borrow.get(name, 0.0) if isinstance(account.borrow, Mapping) else account.borrow, then)
        if rate.any():
            out.append(rows(L.BORROW, a, rate, LENDING_YEAR))
    return out


def rate_at(rate: Rate, times: np.ndarray) -> np.ndarray:
    """A yearly rate as it stood at each of ``times``, int64 ns UTC."""
    return rate.at(times) if isinstance(rate, Rates) else np.full(len(times), rate)


def ordered(parts: Sequence[np.ndarray]) -> np.ndarray:
    """E1: by bar and place, accruals before all else, then by time, asset and kind, then as they were given.

    V3: the accounts of venues, -2, -3 ..., in the order of these.
    """
    whole = np.concatenate([np.zeros(0, L.ACTION), *parts])
    own = whole["kind"] < L.INTEREST
    rank = np.where(whole["kind"] == L.INTEREST, 0, np.where(whole["kind"] == L.BORROW, 1, 2))
    order = np.lexsort(
        (whole["kind"], np.abs(whole["asset"]), np.where(own, whole["time"], 0), rank, whole["place"], whole["bar"])
    )
    return whole[order]


def stamped(actions: np.ndarray, clock: Table) -> np.ndarray:
    """E1: the actions with the times that logs show of them."""
    open_at, known_at, _ = stamps(clock)
    out = actions.copy()
    for place, when in ((L.FIRST, open_at), (L.LAST, known_at)):
        here = out["place"] == place
        out["time"][here] = when[out["bar"][here]]
    return out


def holding_factor(actions: np.ndarray, asset: int, table: Table, places: np.ndarray, n: int, begin: int) -> np.ndarray:
    """E8: by what a close of the asset is multiplied in each of the clock's ``n`` bars, for one who holds it."""
    factor, out = 1.0, np.ones(n)
    close = table.columns[L.C_CLOSE_P]
    for a in actions[(actions["asset"] == asset) & (actions["bar"] > begin)]:
        last = int(np.searchsorted(places, a["bar"], side="right" if a["kind"] == L.DELISTING else "left")) - 1
        if a["kind"] == L.SPLIT:
            factor = factor * float(a["value"])
        elif a["kind"] == L.DIVIDEND and last >= 0 and a["value"] < close[last]:
            factor = factor / ((close[last] - float(a["value"])) / close[last])
        elif a["kind"] == L.DELISTING and last >= 0 and not np.isnan(a["value"]):
            factor = factor * (float(a["value"]) / close[last])
        out[int(a["bar"]) :] = factor
    return out
