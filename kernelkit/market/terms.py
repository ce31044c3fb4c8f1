"""Venues and accounts as plain data, laid out for the accounts of a job (rules R5, H1, V1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kernelkit.data.sessions import DAY, trading_hours
from kernelkit.errors import DataError, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Backing, Costs, Homes, Table
from kernelkit.market.instrument import sizes_of
from kernelkit.market.settings import Settings
from kernelkit.market.venue import CASH_RULES


def costs_of(settings: Settings) -> Costs:
    """A venue, and what its account's positions must be backed with, as plain data."""
    venue: Any = settings.venue
    account: Any = settings.account
    fee, slip, margin = venue.fees, venue.slippage, account.margin
    return Costs(
        fee.text if fee else None,
        tuple(fee.words) if fee else (),
        slip.text if slip else None,
        tuple(slip.words) if slip else (),
        CASH_RULES[venue.cash_rule],
        venue.band,
        fee is not None and not fee.charges,
        venue.participation or 0.0,
        venue.min_quantity or 0.0,
        venue.max_quantity or 0.0,
        venue.min_notional or 0.0,
        venue.off_tick == "reject",
        margin.backing() if margin else Backing(),
    )


def whole(settings: Settings, assets: list[str]) -> Costs:
    """The one venue of these settings with all that it says of these assets."""
    venue: Any = settings.venue
    return replace(costs_of(settings), rules=settings.rules(assets), sizes=sizes_of(venue.instruments, venue, assets))


def venues_of(settings: Settings, assets: list[str], shared: bool) -> list[Costs]:
    """The venues of a portfolio, or the one of each account: a single one where they do not differ.

    Raises OrderError for a limit of an asset that is not there.
    """
    if shared:
        return [whole(one, assets) for one in settings.each]
    out = []
    for a, one in enumerate(settings.of_assets(assets)):
        costs = whole(one, assets)
        rules = costs.rules and replace(costs.rules, shorts=costs.rules.shorts[a : a + 1])
        out.append(replace(costs, rules=rules, sizes=costs.sizes[a : a + 1]))
    return out if any(one != out[0] for one in out) else out[:1]


def hours_of(venues: Sequence[Costs], tables: Sequence[Table]) -> dict[str, np.ndarray]:
    """When the calendars of venues open and close in turn around these bars, int64 ns, by their names.

    Raises DataError for bars that a calendar does not cover.
    """
    names = {v.rules.hours for v in venues if v.rules is not None and v.rules.hours}
    if not names:
        return {}
    ends = [(t.columns[L.C_OPEN_AT][0], t.columns[L.C_KNOWN_AT][-1]) for t in tables if t.n_bars]
    first, last = min(int(a) for a, _ in ends), max(int(b) for _, b in ends)
    return {name: trading_hours(name, first // DAY, last // DAY) for name in sorted(names)}


def check_steps(settings: Settings, tables: Sequence[Table], assets: Sequence[str]) -> None:
    """Raise DataError where a venue lists an asset in other steps than the bars have."""
    for one, table, asset in zip(settings.of_assets(assets), tables, assets, strict=True):
        venue: Any = one.venue
        if asset in venue.instruments:
            venue.instruments[asset].check(asset, table, venue.name)


def check_volumes(venues: Sequence[Costs], homes: Homes | None, tables: Sequence[Table], assets: Sequence[str]) -> None:
    """P1: a venue that limits participation needs the volume of every bar; raises DataError where one is unknown."""
    for a, (table, asset) in enumerate(zip(tables, assets, strict=True)):
        venue = venues[homes.venue[a] if homes else a % len(venues)]
        unknown = int(np.isnan(table.columns[L.C_VOLUME]).sum()) if venue.participation else 0
        if unknown:
            what, wanted = f"volume of {asset}", "the volume of every bar, which participation is a part of"
            fix = "Load bars with volume, or leave participation out."
            raise DataError(message(what, f"unknown in {unknown} of {table.n_bars} bars", wanted, fix))
