"""What a strategy did, bar by bar, and the first bar in which two accounts of it differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Logs
from kernelkit.kernels.session import Recorder, coded

if TYPE_CHECKING:
    from kernelkit.recipe import Recipe

Array = NDArray[Any]

# Sums over arrays of another length may end in other bits; what depends on the future moves by far more.
ROUNDING = 1e-12
# Set when an order is submitted and never again; what O16 can replace, and O7, F15 and S5 set later.
SUBMITTED = ["id", "asset", "venue", "kind", "tif", "parent", "t_submit", "t_expire", "fraction"]
SCALED = ["display", "offset"]  # a split changes them, too
ANCHORS = ["stop_loss", "take_profit"]
# Orders that end for these reasons end at a decision or at the end of a bar, never at an open (rule O6).
NOT_AT_OPEN = (
    *(L.R_USER, L.R_BELOW, L.R_INVALID, L.R_OFF_TICK, L.R_ABOVE, L.R_MINIMUM, L.R_UNLISTED),
    *(L.R_IOC, L.R_FOK, L.R_AT_OPEN, L.R_RUIN),
)


@dataclass(frozen=True)
class Difference:
    """The first bar (row of ``time``) in which two runs differ, in which thing, and how."""

    bar: int
    asset: str
    what: str
    was: str
    became: str


class Observer(Protocol):
    """What a run did, seen through its ``recipe``, and two such runs compared up to a row of ``time``."""

    def see(self, recipe: Recipe) -> Any:
        """Run it."""

    def busy(self, seen: Any) -> NDArray[np.int64]:
        """Rows in which the strategy acted."""

    def columns(self, seen: Any) -> list[Array]:
        """What it decided, along the rows of ``time``, where that can be told."""

    def differ(self, one: Any, other: Any, cut: int) -> Difference | None:
        """The first difference up to row ``cut``, if there is one."""


def unequal(one: Array, other: Array) -> tuple[tuple[int, int] | None, float]:
    """The first place (row, column) in which two arrays differ by more than rounding, and what was taken for that.

    Rounding is relative to the numbers, or to the median size of their column: what is left of a difference of two
    large numbers has the rounding of those.
    """
    if not (one.dtype.kind in "fiub" and other.dtype.kind in "fiub"):
        differs = (one != other) & ~((one != one) & (other != other))
        return (_first(differs) if differs.any() else None), 0.0
    a, b = one.astype(np.float64), other.astype(np.float64)
    differs = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if not differs.any():
        return None, 0.0
    scale = np.fmax(np.fmax(np.abs(a), np.abs(b)), [_typical(column) for column in a.T])
    with np.errstate(invalid="ignore"):
        off = np.abs(a - b) / scale
    near = differs & (off <= ROUNDING)
    left = differs & ~near
    return (_first(left) if left.any() else None), float(off[near].max(initial=0.0))


def _first(places: Array) -> tuple[int, int]:
    row, column = (int(k[0]) for k in np.nonzero(places))
    return row, column


def _typical(column: Array) -> float:
    sizes = np.abs(column[np.isfinite(column)])
    return float(np.median(sizes)) if sizes.size else 0.0


@dataclass
class Targets:
    """A signal, observed through the targets that it returns."""

    first: int
    assets: list[str]
    rounding: float = 0.0  # largest relative difference that was taken for rounding

    def see(self, recipe: Recipe) -> Array:
        """Targets (time, asset)."""
        if recipe.signal is None:
            raise TypeError("a plan without a signal")
        return np.array(recipe.signal(0))

    def busy(self, seen: Array) -> NDArray[np.int64]:
        """Rows in which a target changes."""
        same = (np.diff(seen, axis=0) == 0) | (np.isnan(seen[1:]) & np.isnan(seen[:-1]))
        return 1 + np.flatnonzero(~same.all(axis=1))

    def columns(self, seen: Array) -> list[Array]:
        """The targets themselves."""
        return [seen]

    def differ(self, one: Array, other: Array, cut: int) -> Difference | None:
        """The first target that differs by more than rounding."""
        a, b = one[self.first : cut + 1], other[self.first : cut + 1]
        place, off = unequal(a, b)
        self.rounding = max(self.rounding, off)
        if place is None:
            return None
        row, column = place
        return Difference(self.first + row, self.assets[column], "target", f"{a[place]!s}", f"{b[place]!s}")


@dataclass(frozen=True)
class Trace:
    """Everything one account did: the logs of its trial, the clock of its bars (ns), their rows of ``time``."""

    logs: Logs
    asset: str
    open_at: NDArray[np.int64]
    known_at: NDArray[np.int64]
    place: NDArray[np.int64]
    first: int
    failure: tuple[int, int, int] | None = None  # status, bar, argument of what stopped it
    names: tuple[str, ...] = field(default=())
    same_close: bool = False  # market orders fill at the close before their bar (rule F10)

    def curves(self) -> list[str]:
        """What the columns of its curves are: a portfolio has a position for each asset."""
        extra = self.logs.curves.shape[1] - len(L.CURVES)
        return [*L.CURVES, *(f"position of asset {k + 1}" for k in range(extra))]

    def fill_bars(self) -> NDArray[np.int64]:
        """Own bar of every fill (rules T3, F10)."""
        time, rule = self.logs.fills["time"], self.logs.fills["rule"]
        known = np.searchsorted(self.known_at, time) + (rule == L.FORMER_FILL)
        opened = np.searchsorted(self.open_at, time, side="right") - 1  # a finer bar opens within its own (F16)
        return np.asarray(np.where(rule == L.OPEN_FILL, opened, known), np.int64)

    def bar_of(self, what: str, row: Any, time: str, end: int) -> int:
        """Own bar, before ``end``, of a fill and of what ended with one; else that in which it is known (T3, F10)."""
        when, fills = int(row[time]), self.logs.fills
        if what == "fill":
            ending = fills == row
        elif what == "trade":
            ending = (fills["time"] == when) & (fills["asset"] == row["asset"])
        else:
            ending = (fills["order"] == row["id"]) & (fills["time"] == when) & (time == "t_end")
        if ending.any():
            return min(int(self.fill_bars()[ending].max()), end - 1)
        return int(np.searchsorted(self.known_at, when))

    def fills(self, end: int) -> Array:
        """Fills in own bars before ``end``."""
        fills: Array = self.logs.fills[self.fill_bars() < end]
        return fills

    def trades(self, end: int) -> Array:
        """Round trips closed in own bars before ``end``: those whose closing fill lies there."""
        fills = self.fills(end)
        after, before = fills["position"], np.zeros(len(fills))
        for asset in np.unique(fills["asset"]):
            own = fills["asset"] == asset
            before[own] = np.concatenate([[0.0], after[own][:-1]])
        closed = (before != 0.0) & ((after == 0.0) | (np.sign(after) != np.sign(before)))
        trades: Array = self.logs.trades[: int(closed.sum())]
        return trades

    def ended(self, end: int, next_open: int | None) -> Array:
        """Orders that ended in own bars before ``end``, in that order; the bar after them opens at ``next_open``.

        Where it opens at the instant at which the last of them is known, the few orders are left out that ended then
        for a reason that fits both: the fills behind such ends are compared, and say which bar it was.
        """
        orders, last = self.logs.orders, int(self.known_at[end - 1])
        time, reason = orders["t_end"], orders["reason"]
        fills = self.fills(end)
        lots = np.zeros(int(max(orders["id"].max(initial=0), fills["order"].max(initial=0))) + 1, np.int64)
        np.add.at(lots, fills["order"], fills["lots"])
        filled = (orders["status"] == L.FILLED) & (lots[orders["id"]] == orders["filled"])
        sure = time < last if next_open == last else time <= last
        replaced = (reason == L.R_REPLACED) & (orders["marks"] & L.AT_FILL == 0)  # S5 replaces at the fill
        kept = sure | ((time == last) & (filled | replaced | np.isin(reason, NOT_AT_OPEN)))
        by_end = np.isin(orders["parent"], orders["id"][reason == L.R_END]) & (reason == L.R_PARENT)
        ended: Array = orders[kept & (reason != L.R_END) & ~by_end]
        return ended

    def replaced(self) -> set[int]:
        """Ids of the orders that got new numbers (rules E2, O16)."""
        orders = self.logs.orders
        return set(orders["id"][(orders["t_replace"] != 0) | (orders["reason"] == L.R_SPLIT)].tolist())

    def submitted(self, end: int, replaced: set[int]) -> Array:
        """What orders of own bars before ``end`` were when they were submitted, by id.

        Of those ``replaced`` in either run nobody knows their first numbers; what they fill is compared anyhow.
        """
        orders = self.logs.orders[self.logs.orders["t_submit"] <= self.known_at[end - 1]]
        liquidation = (orders["status"] == L.FILLED) & (orders["reason"] == L.R_LIQUIDATION)  # no decision of anybody's
        orders = np.sort(orders[~liquidation], order="id")
        first = ~np.isin(orders["id"], list(replaced))
        own = first & (orders["parent"] == 0) & (orders["marks"] & L.AT_FILL == 0)
        out = np.zeros(len(orders), [(n, orders.dtype[n]) for n in (*SUBMITTED, *SCALED, *ANCHORS, "lots", "price")])
        for name in SUBMITTED:
            out[name] = orders[name]
        for name in (*SCALED, *ANCHORS):
            out[name] = np.where(first, orders[name], 0)
        out["lots"] = np.where(own, orders["lots"], 0)  # of children they follow from the parent's fill
        out["price"] = np.where(own & (orders["kind"] != L.TRAILING_LIMIT), orders["price"], 0)
        return out


class Traces:
    """An event-driven strategy, observed through all that its accounts did."""

    def see(self, recipe: Recipe) -> list[Trace]:
        """One trace for each account."""
        out = []
        for k, account in enumerate(recipe.accounts):
            recorder = Recorder(recipe.job, k)
            logs = recorder.all()
            columns = recipe.job.tables[int(recipe.job.trials[k]["dataset"])].columns
            clock = columns[L.COLUMNS.index("open_at")], columns[L.COLUMNS.index("known_at")]
            first, names = int(recipe.job.trials[k]["trade_from"]), record_names(recipe)
            early = bool(coded(recipe.job)["market"][0] == L.SAME_CLOSE)
            failure = recorder.outcome.errors.get(0)
            out.append(Trace(logs, account, *clock, recipe.rows(k), first, failure, names, early))
        return out

    def busy(self, seen: list[Trace]) -> NDArray[np.int64]:
        """Rows in which something was filled."""
        return np.unique(np.concatenate([trace.place[trace.fill_bars()] for trace in seen]))

    def columns(self, seen: list[Trace]) -> list[Array]:
        """None: accounts do things, they are not columns."""
        return []

    def differ(self, one: list[Trace], other: list[Trace], cut: int) -> Difference | None:
        """The earliest difference in any account."""
        found = [d for a, b in zip(one, other, strict=True) if (d := first_difference(a, b, cut)) is not None]
        return min(found, key=lambda d: d.bar, default=None)


def record_names(recipe: Recipe) -> tuple[str, ...]:
    """What a trace calls the columns of own records."""
    names = recipe.job.plan.records
    return tuple(f"{n} of {a}" for n in names for a in recipe.assets) if recipe.job.plan.by_asset else tuple(names)


def first_difference(one: Trace, other: Trace, cut: int) -> Difference | None:
    """The earliest difference between two traces of one account, up to row ``cut`` of ``time``, bit by bit."""
    end = int(np.searchsorted(one.place, cut, side="right"))
    if end <= one.first:
        return None
    found = [*_failures(one, other, end), *_curves(one, other, end), *_logs(one, other, end)]
    if not found:
        return None
    bar, what, was, became = min(found, key=lambda d: d[0])
    return Difference(int(one.place[bar]), one.asset, what, was, became)


Found = tuple[int, str, str, str]


def _failures(one: Trace, other: Trace, end: int) -> Iterator[Found]:
    """The bar before ``end`` that one of the runs did not survive, where the other did."""
    bars = [trace.failure[1] if trace.failure is not None else end for trace in (one, other)]
    if min(bars) < end and bars[0] != bars[1]:
        was, became = ("an exception" if bar == min(bars) else "none" for bar in bars)
        yield min(bars), "outcome", was, became


def _curves(one: Trace, other: Trace, end: int) -> Iterator[Found]:
    columns: Mapping[str, tuple[Array, Array]] = {
        **{n: (one.logs.curves[:, k], other.logs.curves[:, k]) for k, n in enumerate(one.curves())},
        **{f"record {n}": (one.logs.records[:, k], other.logs.records[:, k]) for k, n in enumerate(one.names)},
    }
    for name, (a, b) in columns.items():
        x, y = a[: end - one.first], b[: end - one.first]
        differs = (x.view(np.int64) != y.view(np.int64)) & ~(np.isnan(x) & np.isnan(y))
        if differs.any():
            row = int(differs.argmax())
            yield one.first + row, name, f"{x[row]!s}", f"{y[row]!s}"


def _logs(one: Trace, other: Trace, end: int) -> Iterator[Found]:
    next_open = int(one.open_at[end]) if end < len(one.open_at) else None
    if one.same_close:  # what opens the next bar may be stamped with the end of this one
        next_open = int(one.known_at[end - 1])
    pairs = [
        ("fill", one.fills(end), other.fills(end), "time", _fill_text),
        ("trade", one.trades(end), other.trades(end), "closed", _trade_text),
        ("order", one.ended(end, next_open), other.ended(end, next_open), "t_end", _order_text),
    ]
    if one.failure is None and other.failure is None:  # a run that failed kept no record of its live orders
        replaced = one.replaced() | other.replaced()
        submitted = one.submitted(end, replaced), other.submitted(end, replaced)
        pairs.append(("order", *submitted, "t_submit", _order_text))
    for what, a, b, time, text in pairs:
        row = _first_unequal(a, b)
        if row is not None:
            bar = min(t.bar_of(what, r[row], time, end) for t, r in ((one, a), (other, b)) if row < len(r))
            was, became = (text(r[row]) if row < len(r) else "none" for r in (a, b))
            yield max(one.first, bar), what, was, became


def _first_unequal(a: Array, b: Array) -> int | None:
    n, size = min(len(a), len(b)), a.dtype.itemsize
    x, y = (np.ascontiguousarray(r[:n]).view(np.uint8).reshape(n, size) for r in (a, b))
    rows = np.flatnonzero((x != y).any(axis=1))
    if rows.size:
        return int(rows[0])
    return None if len(a) == len(b) else n


def _fill_text(fill: Any) -> str:
    return f"order {fill['order']}: {fill['lots']:+d} lots at {fill['ticks']} ticks"


def _trade_text(trade: Any) -> str:
    return f"{trade['lots']} lots, pnl {trade['pnl']:.2f}"


def _order_text(order: Any) -> str:
    end = f", {L.STATUSES[order['status']]} {L.REASONS[order['reason']]}" if "status" in order.dtype.names else ""
    return f"order {order['id']}: {L.KINDS[order['kind']]} {order['lots']:+d} lots{end}".rstrip()
