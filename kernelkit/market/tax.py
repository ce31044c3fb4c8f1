"""Realised gains by lots, for a first estimate of taxes: what each sale closed, its cost, and how long it was held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kernelkit.errors import DataError, UsageError, arguments, message

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("fifo", "lifo", "average")
NEEDED = ("time", "side", "quantity", "price", "fee")
DUST = 1e-9  # of a fill: what rounding may leave of a lot


@dataclass
class Lot:
    """What one fill opened and later ones have not closed: money is paid (long) or received (short), fee included."""

    opened: Any
    quantity: float
    money: float


@arguments()
def tax(
    fills: pd.DataFrame,
    method: str = "fifo",
    rates: Mapping[Any, float] | None = None,
    multiplier: float | Mapping[str, float] = 1.0,
    actions: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Each part of a lot that a fill has closed, in the order of closing: cost, proceeds and gain.

    ``method`` says which lot is closed first: the oldest (``fifo``), the newest (``lifo``), or the oldest at the
    average cost of all units held (``average``, as in the UK's Section 104 pool; its 30-day rule is not applied). Fees
    are part of the cost when a lot is opened and are taken off the proceeds when it is closed, each in proportion. A
    fill through zero closes first and opens with the rest; a short lot is opened by a sale, its cost is what closes it.

    ``fills`` is a table as `kernelkit.fills` gives it: time, side, quantity, price and fee, and asset where there are
    several. ``multiplier`` is money per unit and unit of price, one number or by asset. ``rates`` maps the least time
    held (what `pandas.Timedelta` takes; one of them 0) to a rate: then the columns ``rate`` and ``tax = rate * gain``
    are added, negative for losses. ``actions`` is the table that `kernelkit.data.with_actions` was given: its splits
    change the lots that are held then, as many units for the same money (a fraction that was settled in cash stays a
    lot). Which losses may be set off, and when, is a matter of law that is not looked at;
    nor are wash sales, allowances or exchange rates.

    Columns: asset, side (long or short), opened, closed, held, quantity (base units), cost, proceeds, gain (quote
    currency). Raises UsageError for an unknown method and rates that have no 0 or are not in [0, 1], DataError for a
    table without these columns or not in order of time, and for one with splits (of `kernelkit.fills`) without actions.

    Sources: IRS Publication 550, Identification (first-in first-out); HMRC Helpsheet HS284 (Section 104 holding).

    >>> import pandas as pd
    >>> table = pd.DataFrame({"time": pd.to_datetime(["2023-01-02", "2023-06-01", "2024-03-01"]),
    ...                       "side": ["buy", "buy", "sell"], "quantity": [100.0, 100.0, 150.0],
    ...                       "price": [10.0, 12.0, 15.0], "fee": [0.0, 0.0, 0.0]})
    >>> tax(table, rates={"0D": 0.35, "366D": 0.15})[["quantity", "cost", "gain", "rate", "tax"]].values.tolist()
    [[100.0, 1000.0, 500.0, 0.15, 75.0], [50.0, 600.0, 150.0, 0.35, 52.5]]
    """
    import pandas as pd

    if not isinstance(fills, pd.DataFrame):
        raise DataError(message("table of fills", type(fills).__name__, "a DataFrame", "Pass kk.fills(res)."))
    if method not in METHODS:
        raise UsageError(message("method of kk.tax", method, f"one of {', '.join(METHODS)}", "Choose which lot goes."))
    if missing := [name for name in NEEDED if name not in fills]:
        raise DataError(message("table of fills", f"no column {missing[0]}", ", ".join(NEEDED), "Pass kk.fills(res)."))
    if not fills["time"].is_monotonic_increasing:
        fix = 'Use .sort_values("time", kind="stable").'
        raise DataError(message("time of the fills", "times that go back", "times in order", fix))
    if fills.attrs.get("splits") and actions is None:
        fix = "Pass kk.tax(..., actions=) the table that kk.data.with_actions was given."
        raise DataError(message("table of fills", "lots that were split", "the splits beside them", fix))
    periods = None if rates is None else _periods(rates)
    names = fills["asset"] if "asset" in fills else pd.Series("", index=fills.index)
    rows: list[tuple[Any, ...]] = []
    for asset, part in fills.groupby(names, sort=False):
        unit = multiplier[str(asset)] if isinstance(multiplier, Mapping) else multiplier
        rows += ((asset, *row) for row in _closed(part, method, unit, _splits(actions, str(asset))))
    out = pd.DataFrame(rows, columns=["asset", "side", "opened", "closed", "quantity", "cost", "proceeds"])
    out = out.sort_values("closed", kind="stable", ignore_index=True)
    out.insert(4, "held", pd.to_timedelta(out["closed"] - out["opened"]))
    out["gain"] = out["proceeds"] - out["cost"]
    if periods is not None:
        out["rate"] = [max(p for p in periods if p[0] <= held)[1] for held in out["held"]]
        out["tax"] = out["rate"].astype("f8") * out["gain"]
    return out


def _periods(rates: Mapping[Any, float]) -> list[tuple[Any, float]]:
    import pandas as pd

    wanted, fix = "fractions by least time held, from 0 on", 'Write rates={"0D": 0.35, "366D": 0.15}.'
    try:
        periods = sorted((pd.Timedelta(held), rate) for held, rate in rates.items())
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(message("rates of kk.tax", rates, wanted, fix)) from error
    fair = all(0.0 <= rate <= 1.0 for _, rate in periods)
    if not periods or periods[0][0] != pd.Timedelta(0) or not fair:
        raise UsageError(message("rates of kk.tax", dict(rates), wanted, fix))
    return periods


def _splits(actions: pd.DataFrame | None, asset: str) -> list[tuple[Any, float]]:
    """The splits of an asset, (time, ratio), the last one first."""
    import pandas as pd

    if actions is None:
        return []
    mine = actions[(actions["kind"] == "split") & (actions["asset"].astype(str) == asset)]
    times = pd.to_datetime(mine["time"], utc=True).dt.tz_localize(None)
    return sorted(zip(times, mine["value"].astype("f8"), strict=True), reverse=True)


def _closed(
    fills: pd.DataFrame, method: str, unit: float, splits: list[tuple[Any, float]]
) -> Iterator[tuple[Any, ...]]:
    """(side, opened, closed, quantity, cost, proceeds) of each part of a lot of one asset that is closed."""
    lots: list[Lot] = []
    long = True
    columns = (fills[name].to_list() for name in NEEDED)
    for time, side, quantity, price, fee in zip(*columns, strict=True):
        while splits and splits[-1][0] <= time:  # E2: a fill at that time is of new units
            _, ratio = splits.pop()
            for lot in lots:
                lot.quantity *= ratio
        buys, left, dust = side == "buy", quantity, DUST * quantity
        if lots and buys != long and method == "average":
            _average(lots)
        while lots and buys != long and left > dust:
            lot = lots[-1] if method == "lifo" else lots[0]
            taken = lot.quantity if lot.quantity <= left + dust else left
            share = lot.money * (taken / lot.quantity)
            now = _money(taken, price, fee * (taken / quantity), unit, buys)
            yield "long" if long else "short", lot.opened, time, taken, share if long else now, now if long else share
            lot.quantity, lot.money, left = lot.quantity - taken, lot.money - share, left - taken
            if lot.quantity == 0.0:
                lots.remove(lot)
        if left > dust:
            long = buys
            lots.append(Lot(time, left, _money(left, price, fee * (left / quantity), unit, buys)))


def _money(quantity: float, price: float, fee: float, unit: float, buys: bool) -> float:
    value = quantity * price * unit
    return value + fee if buys else value - fee


def _average(lots: list[Lot]) -> None:
    """Give every lot the average cost of all."""
    each = sum(lot.money for lot in lots) / sum(lot.quantity for lot in lots)
    for lot in lots:
        lot.money = each * lot.quantity
