"""Execution: what orders asked for, what they got, and what the difference cost (rules M16-M19).

`executions` puts the tables of `kk.orders` and `kk.fills` beside the prices of the bars, one order along a dim `order`;
`kk.executions` does that for a result. The other functions here take what it gives. Costs are positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import xarray as xr

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.metrics.labels import check_table, zoned
from kernelkit.metrics.series import positive

if TYPE_CHECKING:
    import pandas as pd

Benchmark = Literal["decision", "arrival", "reference", "vwap", "close"]
BPS = 1e4
SECOND = 1e9  # ns
ORDERS = (
    *("order", "asset", "kind", "side", "quantity", "filled", "limit", "trigger", "status", "reason"),
    *("submitted", "active", "triggered", "ended", "fees"),
)
FILLS = ("time", "order", "quantity", "price", "reference", "at")
LABELS = ("asset", "venue", "kind", "side", "status", "reason", "submitted", "ended")
COLUMNS = {
    "quantity": ("base", "quantity asked for"),
    "filled": ("base", "quantity filled"),
    "passive": ("base", "quantity filled at the order's own limit, where it rested"),
    "decision": ("quote", "last close when the order was decided"),
    "arrival": ("quote", "open of the first bar in which the order could be matched"),
    "reference": ("quote", "mean price of the fills before slippage"),
    "price": ("quote", "mean price of the fills"),
    "vwap": ("quote", "volume-weighted mean price of the bars from arrival to the last fill"),
    "close": ("quote", "last close of the session of the last fill"),
    "end": ("quote", "price at which what was not filled is valued"),
    "limit": ("quote", "limit price, without one the trigger"),
    "fees": ("quote", "fees"),
    "wait": ("s", "time from the decision to the last fill"),
    "unit": ("1", "quote currency per price point and unit of quantity"),
    "inverse": ("1", "whether a unit is worth minus one over its price"),
}
MOVED = ("side", "unit", "inverse")  # what a loss between two prices is found from
FALLEN = ("quantity", "filled", "fees", "decision", "arrival", "reference", "price", "end")
SHORTFALL = {
    "delay": "price moved from the decision to the arrival",
    "timing": "price moved from the arrival to the fills",
    "impact": "fills were made beyond the price of the market",
    "opportunity": "price moved away from what was not filled",
    "fees": "fees",
    "total": "what the paper portfolio gained more than the real one",
}
REPORT = {
    "n_orders": ("1", "orders"),
    "n_filled": ("1", "orders filled whole"),
    "n_part": ("1", "orders filled in part"),
    "n_rejected": ("1", "orders rejected"),
    "value": ("quote", "value traded"),
    "share_of_orders": ("1", "share of all orders"),
    "share_of_value": ("1", "share of the value traded"),
    "passive": ("1", "share of the value that filled where it rested"),
    "aggressive": ("1", "share of the value that took"),
    "fill_ratio": ("1", "value filled over value asked for, at the decisions' prices"),
    "wait": ("s", "mean time from the decision to the last fill, by value"),
    "slippage": ("bps", "fills against the arrival, adverse positive"),
    "fees": ("bps", "fees over the value traded"),
    "improved": ("1", "share filled better than the limit or trigger, of those with one"),
    "improvement": ("bps", "fills better than the limit or trigger"),
    "shortfall": ("bps", "implementation shortfall over the value asked for"),
}


class Prices(NamedTuple):
    """One asset's bars that are there: times in ns, and sums of volume and of traded value up to each."""

    open_at: np.ndarray
    known_at: np.ndarray
    session: np.ndarray
    open: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    value: np.ndarray

    def mean(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """The volume-weighted mean price of bars `first` to `last`, NaN where nothing was traded."""
        found: np.ndarray = (self.value[last + 1] - self.value[first]) / positive(
            self.volume[last + 1] - self.volume[first]
        )
        return found


@arguments()
def executions(
    orders: pd.DataFrame,
    fills: pd.DataFrame,
    bars: xr.Dataset,
    *,
    actions: pd.DataFrame | None = None,
    horizon: Literal["order", "end"] = "order",
    span: Literal["order", "session"] = "order",
) -> xr.Dataset:
    """Each order of `kk.orders` with the means of its fills (`kk.fills`) and the prices to hold against them, M16.

    A Dataset along `order` (the ids), labelled by asset, kind, side and what else an order is. What was not filled is
    valued (`end`) at the close of the bar in which the order ended (``horizon="order"``) or at the last close of the
    bars (``"end"``). `vwap` is of the bars from the arrival to the last fill (``span="order"``), or of the whole
    sessions of the first and the last fill and those between (``"session"``); of bars without a column `vwap` it
    weights their typical prices, `(H + L + C) / 3`. Prices are NaN where there is no fill, and all are of an order
    across whose life a split of ``actions`` (columns time, asset, kind) falls. Raises DataError for tables that lack a
    column, for assets that the bars do not have, and for fills over splits without actions.

    >>> import pandas as pd, kernelkit as kk
    >>> bars = kk.data.load("sp500_index").isel(time=slice(0, 4))
    >>> known, opened = bars["known_at"].values, bars["open_at"].values
    >>> order = dict(order=1, asset="SPX", kind="market", side="buy", quantity=2.0, filled=2.0, fees=1.0)
    >>> order |= dict(limit=np.nan, trigger=np.nan, status="filled", reason="", submitted=known[0], active=known[0])
    >>> order |= dict(triggered=pd.NaT, ended=opened[1])
    >>> fill = dict(time=opened[1], order=1, quantity=2.0, price=1400.0, reference=1399.0, at="open")
    >>> found = executions(pd.DataFrame([order]), pd.DataFrame([fill]), bars)
    >>> bool(found["decision"][0] == bars["close"][0, 0]), bool(found["arrival"][0] == bars["open"][1, 0])
    (True, True)
    """
    _check(orders, fills, bars, actions, horizon, span)
    names = [str(a) for a in bars["asset"].values]
    n, ids = len(orders), orders["order"].to_numpy()
    column = np.array([names.index(a) for a in orders["asset"]], int)
    unit = np.atleast_1d(bars["multiplier"].values).astype("f8")[column]
    contract = np.atleast_1d(bars["contract"].values) if "contract" in bars.coords else np.full(len(names), "linear")
    inverse = (contract == "inverse")[column]
    fills = fills[fills["order"].isin(ids)]
    by_id = np.argsort(ids, kind="stable")
    row = by_id[np.searchsorted(ids[by_id], fills["order"].to_numpy())]
    weight = fills["quantity"].to_numpy("f8")
    traded = positive(np.bincount(row, weight, n))

    def of_fills(values: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.bincount(row, weight * values, n) / traded
        return found

    found = {
        **{name: orders[name].to_numpy("f8") for name in ("quantity", "filled", "fees")},
        "passive": np.bincount(row, weight * _passive(orders, fills, row), n),
        **{
            name: price_of(of_fills(worth(fills[name].to_numpy("f8"), inverse[row])), inverse)
            for name in ("price", "reference")
        },
        "limit": orders["limit"].fillna(orders["trigger"]).to_numpy("f8"),
        **{name: np.full(n, np.nan) for name in ("decision", "arrival", "vwap", "close", "end", "wait")},
        "unit": unit,
        "inverse": inverse.astype("f8"),
    }
    for a in np.unique(column):
        mine, its = np.flatnonzero(column == a), column[row] == a
        among = np.searchsorted(mine, row[its])
        held = _beside(orders.iloc[mine], fills[its], among, _prices(bars, int(a)), horizon, span)
        for name, values in held.items():
            found[name][mine] = values
    split = _splits(orders, actions)
    for name in ("decision", "arrival", "reference", "price", "vwap", "close", "end", "limit"):
        found[name] = np.where(split, np.nan, found[name])
    labels = {name: ("order", orders[name].to_numpy()) for name in LABELS if name in orders}
    variables = {
        name: ("order", found[name], {"units": units, "long_name": text}) for name, (units, text) in COLUMNS.items()
    }
    attrs = {"horizon": horizon, "span": span, "vwap": "of the bars" if "vwap" in bars else "of typical prices"}
    return xr.Dataset(variables, {"order": ids, **labels}, attrs)


def _check(
    orders: pd.DataFrame,
    fills: pd.DataFrame,
    bars: xr.Dataset,
    actions: pd.DataFrame | None,
    horizon: str,
    span: str,
) -> None:
    import pandas as pd

    for what, table, needed in (("orders", orders, ORDERS), ("fills", fills, FILLS)):
        if not isinstance(table, pd.DataFrame) or not set(needed) <= set(table):
            missing = [name for name in needed if not isinstance(table, pd.DataFrame) or name not in table]
            found, fix = f"no column {missing[0]}", f"Pass kk.{what}(res)."
            raise DataError(message(f"table of {what}", found, ", ".join(needed), fix))
    check_table("executions: bars", bars, xr.Dataset, ["asset", "open", "close"], "kk.data.load")
    assets = [str(a) for a in bars["asset"].values]
    if unknown := sorted(set(orders["asset"]) - set(assets)):
        have = ", ".join(assets)
        raise DataError(message("assets of the orders", ", ".join(unknown), have, "Pass the bars that were traded."))
    if fills.attrs.get("splits") and actions is None:
        fix = "Pass actions=, the table that kk.data.with_actions was given; or use kk.executions(res)."
        raise DataError(message("table of fills", "lots that were split", "the splits beside them", fix))
    for name, value, wanted in (("horizon", horizon, ("order", "end")), ("span", span, ("order", "session"))):
        if value not in wanted:
            raise UsageError(message(name, repr(value), " or ".join(map(repr, wanted)), "See kk.metrics.executions."))


def _times(values: pd.Series) -> np.ndarray:
    """Nanoseconds; the largest number for none."""
    stamps = values.to_numpy("M8[ns]")
    return np.where(np.isnat(stamps), np.iinfo("i8").max, stamps.astype("i8"))


def _prices(bars: xr.Dataset, asset: int) -> Prices:
    own = bars.isel(asset=asset)
    rows = np.flatnonzero(own["valid"].values)

    def column(name: str) -> np.ndarray:
        values: np.ndarray = own[name].values[rows]
        return values.astype("M8[ns]").astype("i8") if values.dtype.kind == "M" else values

    mean = column("vwap") if "vwap" in own else (column("high") + column("low") + column("close")) / 3.0
    volume = np.where(np.isnan(mean) | np.isnan(column("volume")), 0.0, column("volume"))
    value = np.where(volume > 0.0, volume * mean, 0.0)
    sums = (np.append(0.0, np.cumsum(v)) for v in (volume, value))
    return Prices(*(column(name) for name in ("open_at", "known_at", "session", "open", "close")), *sums)


def _beside(
    orders: pd.DataFrame, fills: pd.DataFrame, row: np.ndarray, bars: Prices, horizon: str, span: str
) -> dict[str, np.ndarray]:
    """M16: what one asset's bars say of its orders; `row` is the order of each fill."""
    n, last = len(orders), len(bars.open_at) - 1
    submitted, active, ended = (_times(orders[name]) for name in ("submitted", "active", "ended"))
    time = _times(fills["time"])
    at_open = fills["at"].to_numpy() == "open"
    # where a bar opens when the one before is known, the place of a fill tells which of them it belongs to
    opened = np.searchsorted(bars.open_at, time, side="right") - 1
    bar = np.where(at_open, opened, np.minimum(np.searchsorted(bars.known_at, time), last))
    known = np.searchsorted(bars.known_at, submitted, side="right") - 1
    decision = np.where(known >= 0, bars.close[np.maximum(known, 0)], np.nan)
    first = np.searchsorted(bars.open_at, np.where(active == np.iinfo("i8").max, submitted, active))
    begin, end = np.full(n, last + 1), np.full(n, -1)
    np.minimum.at(begin, row, bar)
    np.maximum.at(end, row, bar)
    came = (first <= last) & (first <= begin)
    arrival = np.where(came, bars.open[np.minimum(first, last)], decision)
    begin, done = np.minimum(first, begin), end >= 0
    to = np.maximum(end, 0)
    begin = np.minimum(begin, to)
    session = _ends(bars.session)
    if span == "session":
        start = np.full(n, last)
        np.minimum.at(start, row, bar)
        begin, to = session[0][start], session[1][to]
    over = np.minimum(np.maximum(np.searchsorted(bars.known_at, ended), np.where(came, first, 0)), last)
    refused = (orders["status"] == "rejected") & (orders["reason"] != "insufficient_cash")
    over = np.where(refused.to_numpy(), np.maximum(known, 0), over)
    late = np.full(n, np.iinfo("i8").min)
    np.maximum.at(late, row, time)
    return {
        "decision": decision,
        "arrival": arrival,
        "vwap": np.where(done, bars.mean(begin, to), np.nan),
        "close": np.where(done, bars.close[session[1][np.maximum(end, 0)]], np.nan),
        "end": bars.close[over] if horizon == "order" else np.full(n, bars.close[last]),
        "wait": np.where(done, (late - submitted) / SECOND, np.nan),
    }


def _ends(session: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last bar of each bar's session."""
    return np.searchsorted(session, session), np.searchsorted(session, session, side="right") - 1


def _passive(orders: pd.DataFrame, fills: pd.DataFrame, row: np.ndarray) -> np.ndarray:
    """C3: fills of orders that rested: inside a bar, at their own limit, not where they were triggered."""
    inside = fills["at"].to_numpy() == "bar"
    rested = fills["price"].to_numpy("f8") == orders["limit"].to_numpy("f8")[row]
    found: np.ndarray = inside & rested & (_times(fills["time"]) != _times(orders["triggered"])[row])
    return found


def _splits(orders: pd.DataFrame, actions: pd.DataFrame | None) -> np.ndarray:
    """E2: orders that lived over a split, whose prices are of two kinds of units."""
    over = np.zeros(len(orders), bool)
    if actions is not None:
        for _, split in actions[actions["kind"] == "split"].iterrows():
            time = np.datetime64(split["time"], "ns").astype("i8")
            lived = (_times(orders["submitted"]) < time) & (time <= _times(orders["ended"]))
            over |= lived & (orders["asset"] == str(split["asset"])).to_numpy()
    return over


def worth(price: Any, inverse: Any) -> Any:
    """What a unit of a contract is worth at a price: it, of an inverse contract minus one over it.

    >>> worth(np.array([4.0, 4.0]), np.array([False, True])).tolist()
    [4.0, -0.25]
    """
    return np.where(inverse, -1.0 / np.where(inverse, price, 1.0), price)


def price_of(value: Any, inverse: Any) -> Any:
    """The price at which a unit is worth that."""
    return worth(value, inverse)  # minus one over minus one over it


def _check_done(function: str, done: Any, *needed: str) -> None:
    check_table(function, done, xr.Dataset, needed, "kk.executions")


def _moved(done: xr.Dataset, start: str, stop: str) -> xr.DataArray:
    """Quote currency per unit of quantity that the order's side loses from one price to another."""
    return _signs(done) * done["unit"] * (_worth(done, stop) - _worth(done, start))


def _worth(done: xr.Dataset, name: str) -> xr.DataArray:
    return done[name].copy(data=worth(done[name].values, done["inverse"].values > 0.0))


def _signs(done: xr.Dataset) -> xr.DataArray:
    side = done["side"].values
    return xr.DataArray(np.select([side == "buy", side == "sell"], [1.0, -1.0], 0.0), dims="order")


def _named(found: xr.DataArray, name: str, units: str, long_name: str, **attrs: Any) -> xr.DataArray:
    return found.rename(name).assign_attrs(units=units, long_name=long_name, **attrs)


@arguments()
def fill_ratio(done: xr.Dataset) -> xr.DataArray:
    """Filled over asked for, order by order; NaN of less than a lot (O5).

    >>> table = xr.Dataset({"quantity": ("order", [4.0, 0.0]), "filled": ("order", [3.0, 0.0])})
    >>> fill_ratio(table).values
    array([0.75,  nan])
    """
    _check_done("fill_ratio", done, "filled", "quantity")
    found = done["filled"] / done["quantity"].where(done["quantity"] > 0.0)
    return _named(found, "fill_ratio", "1", "filled over asked for")


@arguments()
def slippage(done: xr.Dataset, against: Benchmark = "arrival") -> xr.DataArray:
    """Mean price of the fills against a price of the market, in basis points of it, adverse positive, M17.

    ``against``: the close at the `decision`, the open at the `arrival`, the fills' own `reference` (C1), the `vwap`,
    or the session's `close`. NaN without a fill. Raises UsageError for another price.

    >>> table = xr.Dataset({"price": ("order", [101.0]), "arrival": ("order", [100.0]), "unit": ("order", [1.0])})
    >>> table = table.assign(inverse=("order", [0.0])).assign_coords(side=("order", ["buy"]))
    >>> slippage(table).values
    array([100.])
    """
    wanted = ("decision", "arrival", "reference", "vwap", "close")
    if against not in wanted:
        raise UsageError(message("slippage against", repr(against), f"one of {', '.join(wanted)}", "Choose one."))
    _check_done("slippage", done, against, "price", *MOVED)
    found = BPS * _moved(done, against, "price") / abs(done["unit"] * _worth(done, against))
    return _named(found, "slippage", "bps", f"fills against the {against}, adverse positive", against=against)


@arguments()
def price_improvement(done: xr.Dataset, over: Literal["limit", "arrival"] = "limit") -> xr.DataArray:
    """How much better the fills are than the order's limit or, without one, its trigger, in basis points, M17.

    ``over="arrival"``: better than the open at which the order could first be matched, as venues report it of the quote
    at receipt. Negative is worse: a stop that slips. NaN without a fill, or without such a price.

    >>> table = xr.Dataset({"price": ("order", [99.0]), "limit": ("order", [100.0]), "unit": ("order", [1.0])})
    >>> table = table.assign(inverse=("order", [0.0])).assign_coords(side=("order", ["buy"]))
    >>> price_improvement(table).values
    array([100.])
    """
    if over not in ("limit", "arrival"):
        raise UsageError(message("price_improvement over", repr(over), "'limit' or 'arrival'", "Choose one."))
    _check_done("price_improvement", done, over, "price", *MOVED)
    found = BPS * _moved(done, "price", over) / abs(done["unit"] * _worth(done, over))
    return _named(found, "price_improvement", "bps", f"fills better than the {over}", over=over)


@arguments()
def implementation_shortfall(
    done: xr.Dataset,
    *,
    convention: Literal["wagner", "kissell"] = "wagner",
    units: Literal["quote", "bps"] = "quote",
) -> xr.Dataset:
    """What the orders cost against a paper portfolio that trades whole at the decision's price (Perold, 1988), M18.

    `total` is the paper's gain up to `end` less the real one's. It is the sum of `delay` (decision to arrival),
    `timing` (arrival to the market's price at the fills), `impact` (from there to the fills), `opportunity` (of what
    was not filled) and `fees`; timing and impact together are the trading cost. The delay of what was never filled is
    part of its opportunity (``"wagner"``: Wagner and Edwards, 1993), or of the delay (``"kissell"``: Kissell, 2006).
    ``units="bps"`` are of the paper portfolio, quantity at the decision's price.

    >>> table = xr.Dataset({k: ("order", [v]) for k, v in dict(quantity=10.0, filled=6.0, fees=1.0, decision=100.0,
    ...     arrival=101.0, reference=102.0, price=103.0, end=105.0, unit=1.0, inverse=0.0).items()})
    >>> table = table.assign_coords(side=("order", ["buy"]))
    >>> {k: v.item() for k, v in implementation_shortfall(table).items()}
    {'delay': 6.0, 'timing': 6.0, 'impact': 6.0, 'opportunity': 20.0, 'fees': 1.0, 'total': 39.0}
    >>> {k: v.item() for k, v in implementation_shortfall(table, convention="kissell").items()}
    {'delay': 10.0, 'timing': 6.0, 'impact': 6.0, 'opportunity': 16.0, 'fees': 1.0, 'total': 39.0}
    """
    if convention not in ("wagner", "kissell") or units not in ("quote", "bps"):
        fix = "See help(kk.metrics.implementation_shortfall)."
        wanted = "'wagner' or 'kissell', and 'quote' or 'bps'"
        raise UsageError(message("implementation_shortfall", f"{convention!r}, {units!r}", wanted, fix))
    _check_done("implementation_shortfall", done, *FALLEN, *MOVED)
    got = done["filled"]
    left = done["quantity"] - got
    late = left * _moved(done, "decision", "arrival") if convention == "kissell" else 0.0
    traded = got > 0.0
    parts = {
        "delay": got * _moved(done, "decision", "arrival") + late,
        "timing": (got * _moved(done, "arrival", "reference")).where(traded, 0.0),
        "impact": (got * _moved(done, "reference", "price")).where(traded, 0.0),
        "opportunity": left * _moved(done, "decision", "end") - late,
        "fees": done["fees"],
    }
    paper = done["quantity"] * _moved(done, "decision", "end")
    real = (got * _moved(done, "price", "end")).where(traded, 0.0) - done["fees"]
    parts["total"] = paper - real
    if units == "bps":
        worth_of = done["quantity"] * abs(done["unit"] * _worth(done, "decision"))
        parts = {name: BPS * part / worth_of.where(worth_of > 0.0) for name, part in parts.items()}
    named = {name: _named(part + 0.0, name, units, SHORTFALL[name]) for name, part in parts.items()}  # no minus zero
    return xr.Dataset(named, attrs={"convention": convention, "horizon": done.attrs.get("horizon", "")})


@arguments()
def best_execution(done: xr.Dataset, by: str | Sequence[str] = "venue", *, tz: str = "UTC") -> xr.Dataset:
    """How orders did by venue, kind, hour of the decision (of the clocks of ``tz``) or any other label of theirs, M19.

    Along a dim of that name, with several along each of them: shares of the orders and of the value traded, filled
    passively and aggressively, as the reports of RTS 28 have them; likelihood and speed of execution, costs and price
    improvement in basis points of the value, as those of RTS 27. Where there is no order the means are NaN. Orders
    that were sent to one venue know of none: it is called `all`. Raises UsageError for a label that the orders do not
    have, DataError for what is no table of `kk.executions`.

    >>> table = xr.Dataset({k: ("order", [v, v]) for k, v in dict(quantity=10.0, filled=5.0, fees=1.0, decision=100.0,
    ...     arrival=100.0, reference=101.0, price=101.0, end=101.0, unit=1.0, inverse=0.0, wait=60.0, passive=0.0,
    ...     limit=np.nan).items()})
    >>> table = table.assign_coords(side=("order", ["buy", "sell"]), status=("order", ["filled", "cancelled"]))
    >>> best_execution(table, "side")["slippage"].values
    array([ 100., -100.])
    """
    import pandas as pd

    _check_done("best_execution", done, *FALLEN, *MOVED, "wait", "passive", "limit", "status")
    if not (isinstance(by, (str, list, tuple)) and len(by) and all(isinstance(key, str) for key in by)):
        fix = "Choose labels of the orders."
        raise UsageError(message("best_execution by", repr(by), "a label, or a list of labels", fix))
    keys = [by] if isinstance(by, str) else list(by)
    labels = {str(name): values for name, values in done.coords.items() if values.dims == ("order",)}
    if "venue" not in labels:
        labels["venue"] = xr.DataArray(np.full(done.sizes["order"], "all"), dims="order")
    if "hour" in keys and "submitted" in labels:
        clock = zoned("best_execution", pd.DatetimeIndex(labels["submitted"].values), tz)
        labels["hour"] = xr.DataArray(clock.hour, dims="order")
    if unknown := [key for key in keys if key not in labels]:
        have = ", ".join(sorted({*labels, "hour"}))
        raise UsageError(message("best_execution by", unknown[0], f"one of {have}", "Choose labels of the orders."))
    if taken := [key for key in keys if key in REPORT]:
        wanted, fix = "a label that is not named as what is reported", "Rename the label: done.rename(...)."
        raise UsageError(message("best_execution by", taken[0], wanted, fix))
    cost = implementation_shortfall(done)
    value = {name: abs(done["unit"] * _worth(done, name)) for name in ("decision", "arrival", "price", "limit")}
    better = price_improvement(done)
    judged = better.notnull()
    got = done["filled"]
    columns = {
        "n": xr.ones_like(got),
        "n_filled": done["status"] == "filled",
        "n_part": (got > 0.0) & (done["status"] != "filled"),
        "n_rejected": done["status"] == "rejected",
        "asked": done["quantity"] * value["decision"],
        "got": got * value["decision"],
        "value": got * value["price"],
        "passive": done["passive"] * value["price"],
        "at_arrival": (got * value["arrival"]).where(got > 0.0),
        "slipped": cost["timing"] + cost["impact"],
        "total": cost["total"],
        "fees": done["fees"].where((got * value["price"]).notnull()),  # of the same orders as the value
        "waited": done["wait"] * got * value["price"],
        "judged": (got * value["limit"]).where(judged),
        "better": (better / BPS * got * value["limit"]).where(judged),
        "improved": judged & (better > 0.0),
        "limited": judged,
    }
    frame = pd.DataFrame({name: one.values.astype("f8") for name, one in columns.items()})
    groups = frame.groupby([labels[key].values for key in keys]).sum()
    groups.index = groups.index.set_names(keys)
    s = {name: sums.to_xarray().fillna(0.0) for name, sums in groups.items()}

    def over(part: str, of: str, units: float = 1.0) -> xr.DataArray:
        found: xr.DataArray = units * s[part] / s[of].where(s[of] > 0.0)
        return found

    rows = {
        "n_orders": s["n"],
        "n_filled": s["n_filled"],
        "n_part": s["n_part"],
        "n_rejected": s["n_rejected"],
        "value": s["value"],
        "share_of_orders": s["n"] / s["n"].sum(),
        "share_of_value": s["value"] / s["value"].sum(),
        "passive": over("passive", "value"),
        "aggressive": 1.0 - over("passive", "value"),
        "fill_ratio": over("got", "asked"),
        "wait": over("waited", "value"),
        "slippage": over("slipped", "at_arrival", BPS),
        "fees": over("fees", "value", BPS),
        "improved": over("improved", "limited"),
        "improvement": over("better", "judged", BPS),
        "shortfall": over("total", "asked", BPS),
    }
    found = {name: _named(one, name, *REPORT[name]) for name, one in rows.items()}
    return xr.Dataset(found, attrs={"by": ", ".join(keys), "tz": tz, "horizon": done.attrs.get("horizon", "")})
