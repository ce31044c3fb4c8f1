"""The columns of an asset as the kernel reads them, made from a bars Dataset once and kept while its arrays live."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.agenda import holding_factor, known, of_assets, ordered
from kernelkit.data.contracts import is_inverse
from kernelkit.data.moments import STARTS, moments
from kernelkit.data.resample import Bars, check_timeframe, fold, places
from kernelkit.data.sessions import closes
from kernelkit.errors import DataError, StrategyError, UsageError, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Higher, Table
from kernelkit.kernels.plan import Plan
from kernelkit.schema import EXTRA, check_clock, check_sessions

if TYPE_CHECKING:
    import xarray as xr

SOURCES = ("open", "high", "low", "close", "volume", "valid", "open_at", "known_at", "session")
UNIVERSE = "universe"  # U1
_tables: dict[tuple[Any, ...], tuple[list[weakref.ref[np.ndarray]], Any]] = {}


@dataclass(frozen=True)
class Panel:
    """The tables of all assets over ``n`` rows of ``time``, and the rows that each one's bars are."""

    n: int
    tables: list[Table]
    places: list[np.ndarray]
    # of a portfolio, by the bar at which its account starts, what the bars' actions are, and when its hooks run
    clocks: dict[tuple[int, bytes, tuple[str, ...]], Table] = field(default_factory=dict)
    timed: dict[tuple[str, ...], Panel] = field(default_factory=dict)  # it with higher timeframes: see `with_higher`
    finer: list[Any] = field(default_factory=list)  # the last panel of finer bars, and the tables with those (F16)

    @cached_property
    def last_bars(self) -> np.ndarray | None:
        """X1: each asset's last bar by row of ``time``, int64 (time, asset), -1 before its first.

        None where each asset has a bar in every row.
        """
        if all(len(place) == self.n for place in self.places):
            return None
        rows = [np.searchsorted(place, np.arange(self.n), side="right") - 1 for place in self.places]
        return np.ascontiguousarray(np.stack(rows, axis=1), "i8")


def table_of(
    bars: xr.Dataset,
    asset: int,
    features: Sequence[str],
    closing: bool = False,
    timeframes: Iterable[str] = (),
    at: Sequence[str] = (),
) -> tuple[Table, np.ndarray]:
    """The columns of one asset's valid bars, and the rows of ``time`` they came from; features follow as value and age.

    With ``at`` a further one says which of these moments each bar is (rule T8), for strategies with hooks. With
    ``closing`` a last one says when each bar's session closes (ns UTC, rule O12), for strategies that order then.
    With ``timeframes`` the table has the bars of those, too (rules W1-W5).

    Kept for as long as the bars' own arrays live. Those become read-only: bars that changed in place would be answered
    from here. Raises DataError for a feature that the bars do not have or that did not enter by `kk.feature` (nobody
    knows when its values were known), for a clock that runs backward, for a price off the tick grid, and, with
    ``closing``, for bars without a calendar.

    >>> from kernelkit.data import load
    >>> table, rows = table_of(load("sp500_index"), 0, [])
    >>> len(table.columns), table.n_bars == len(rows)
    (12, True)
    """
    panel = panel_of(bars, features, [asset], closing, timeframes, at)
    return panel.tables[0], panel.places[0]


def panel_of(
    bars: xr.Dataset,
    features: Sequence[str],
    assets: Sequence[int] | None = None,
    closing: bool = False,
    timeframes: Iterable[str] = (),
    at: Sequence[str] = (),
) -> Panel:
    """`table_of` of several assets (None: all); they share the columns of time where they have all bars.

    >>> from kernelkit.data import load
    >>> len(panel_of(load("sp500_index"), []).tables)
    1
    """
    names = (*SOURCES, *(f"{kind}.{name}" for name in features for kind in ("x", "age")))
    check_features(bars, names)
    names += (UNIVERSE,) if UNIVERSE in bars.variables else ()
    grids = ("tick", "inverse", "lot", "multiplier")
    extra = [n for n in EXTRA if n in bars.variables]
    sources = [bars.variables[n].values for n in (*names, *extra)]
    chosen = range(bars.sizes["asset"]) if assets is None else assets
    grid = [tuple(row) for row in np.column_stack([bars.variables[n].values[list(chosen)] for n in grids]).tolist()]
    periods = float(bars.attrs["periods_per_year"])
    calendar = calendar_of(bars) if closing else ""
    watched, inverses = calendar_for(bars, at), is_inverse(bars)
    kinds = watched, tuple(at), tuple(grid), tuple(inverses), periods
    key = (tuple(chosen), names, tuple(extra), calendar, *kinds, *(id(a) for a in sources))
    known = _tables.get(key)
    if known is None or any(ref() is not a for ref, a in zip(known[0], sources, strict=True)):
        times: dict[str, np.ndarray] = {}
        named = dict(zip((*names, *extra), sources, strict=True))
        made = [make_table(named, a, g, periods, features, times) for a, g in zip(chosen, grid, strict=True)]
        if at:
            made = [(with_moments(table, watched, at), rows) for table, rows in made]
        if closing:
            made = [(with_closes(table, calendar), rows) for table, rows in made]
        made = [(with_mark(t), rows) if inverses[a] else (t, rows) for a, (t, rows) in zip(chosen, made, strict=True)]
        for a in sources:
            a.flags.writeable = False
        forget = partial(_forget, _tables, key)
        panel = Panel(bars.sizes["time"], [table for table, _ in made], [rows for _, rows in made])
        known = _tables[key] = ([weakref.ref(a, forget) for a in sources], panel)
    found: Panel = known[1]
    return with_higher(found, bars, tuple(timeframes)) if timeframes else found


def with_higher(panel: Panel, bars: xr.Dataset, timeframes: tuple[str, ...]) -> Panel:
    """The panel with the bars of higher timeframes, made once. Raises UsageError for one that the bars do not fit."""
    bar, calendar = (str(bars.attrs.get(name) or "") for name in ("bar", "calendar"))
    key = bar, calendar, *timeframes
    if key not in panel.timed:
        for timeframe in timeframes:
            check_timeframe(timeframe, bar, calendar)
        tables = [replace(t, higher=tuple(higher_of(t, tf, calendar) for tf in timeframes)) for t in panel.tables]
        panel.timed[key] = Panel(panel.n, tables, panel.places)
    return panel.timed[key]


def higher_of(table: Table, timeframe: str, calendar: str) -> Higher:
    """The bars of a higher timeframe of an asset, as a table of their own (rules W2-W5)."""
    known = dict(zip(L.COLUMNS, table.columns, strict=False))
    if not table.n_bars:
        return Higher(replace(table, columns=table.columns[: L.FIRST_FEATURE], closing=0), np.zeros(1, "i8"))
    found = places(Bars(known["open_at"], known["known_at"], known["session"]), timeframe, calendar)
    columns = fold(found, known)
    return Higher(replace(table, columns=tuple(columns[name] for name in L.COLUMNS), closing=0), found.closed)


def ready(panel: Panel, timeframes: Iterable[str], closed: Sequence[int], names: Sequence[str]) -> list[int]:
    """W7: by asset, the first of its bars by which so many bars of each timeframe have closed.

    Raises UsageError, with the asset's name, where that never happens.
    """
    first = [table.ready(closed) for table in panel.tables]
    for table, k, name in zip(panel.tables, first, names, strict=True):
        for timeframe, h, n in zip(timeframes, table.higher, closed, strict=True):
            if k == table.n_bars > 0 and h.table.n_bars < n:
                raise UsageError(too_few(name, timeframe, h.table.n_bars, n))
    return first


def ready_together(panel: Panel, timeframes: Iterable[str], closed: Sequence[int], names: Sequence[str]) -> int:
    """W8: the row of time by which so many have closed of the first asset of a portfolio that has them all.

    Raises UsageError where there is none.
    """
    row = first_ready(panel, closed)
    if row == panel.n:
        lacks = [(h.table.n_bars, n, tf) for h, n, tf in zip(panel.tables[0].higher, closed, timeframes, strict=True)]
        have, n, timeframe = min(lacks, key=lambda x: x[0] - x[1])
        raise UsageError(too_few(names[0], timeframe, have, n))
    return row


def first_ready(panel: Panel, closed: Sequence[int]) -> int:
    """W8: the same; ``panel.n`` where it has not happened yet."""
    if not any(closed):
        return 0
    each = ((table.ready(closed), place) for table, place in zip(panel.tables, panel.places, strict=True))
    return min((int(place[k]) for k, place in each if k < len(place)), default=panel.n)


def too_few(name: str, timeframe: str, have: int, wanted: int) -> str:
    """What to say of an asset whose windows are never full."""
    found = f"{have} closed bars of {timeframe}"
    fix = "Load more bars, shorten the windows, or leave this asset out."
    return message(f"bars of {name}", found, f"{wanted} before the first decision", fix)


def check_features(bars: xr.Dataset, names: Sequence[str]) -> None:
    """Raise DataError for a feature that is not there, or was put there by hand."""
    missing = [n for n in names if n not in bars.variables]
    if missing:
        have = ", ".join(str(v)[2:] for v in bars.data_vars if str(v).startswith("x.")) or "none"
        name = missing[0].partition(".")[2]
        raise DataError(
            message(
                f"feature {name!r}",
                f"features {have}",
                f"a feature {name!r} on the bars",
                f"Add it: bars = kk.feature(bars, {name!r}, series, known_at=...).",
            )
        )
    for name in names[len(SOURCES) :]:
        if "trusted" not in bars.variables[name].attrs:
            fix = f"Use bars = kk.feature(bars, {name.partition('.')[2]!r}, series, known_at=...)."
            raise DataError(message(f"{name!r} of the bars", "a column put there by hand", "one of kk.feature", fix))


def clock_of(panel: Panel, bars: xr.Dataset, begin: int, at: Sequence[str] = ()) -> Table:
    """X8: the clock of a portfolio as a table whose close is the equally weighted index from bar ``begin`` on.

    With ``at`` it has a further column, which says which of these moments each bar is (rule T8).
    """
    key = begin, known(bars), tuple(at)
    if key in panel.clocks:
        return panel.clocks[key]
    n = bars.sizes["time"]
    stamps = [bars.variables[name].values.astype("datetime64[ns]").astype("i8") for name in ("open_at", "known_at")]
    session = bars.variables["session"].values.astype("i8")
    check_clock(*stamps)
    check_sessions(session)
    none, unknown = np.zeros(n, "i8"), np.full(n, np.nan)
    columns = (none, none, none, none, np.zeros(n), *stamps, session, unknown, unknown, unknown, unknown)
    clock = Table(columns, 1, 1.0, 1.0, 1.0, float(bars.attrs["periods_per_year"]))
    names = [str(a) for a in bars["asset"].values] if key[1] else []
    actions = ordered(of_assets(bars, clock, names, panel.places if names else []))
    index, count = np.zeros(n), 0
    for a, table in enumerate(panel.tables):
        last = np.arange(n) if panel.last_bars is None else panel.last_bars[:, a]
        if last[begin] >= 0:
            close = table.columns[L.C_CLOSE_P]
            now = np.where(last >= 0, close[np.maximum(last, 0)], np.nan)
            if len(actions):
                now = now * holding_factor(actions, a, table, panel.places[a], n, begin)
            index += now / close[last[begin]]
            count += 1
    index = index / count if count else np.full(n, np.nan)
    clock = replace(clock, columns=(*columns[:-1], index))
    panel.clocks[key] = clock = with_moments(clock, calendar_for(bars, at), at) if at else clock
    return clock


def calendar_for(bars: xr.Dataset, at: Sequence[str]) -> str:
    """What the moments of hooks need of the bars' calendar, empty for nothing; raises DataError where they lack it."""
    asking = [name for name in at if name not in STARTS]
    return calendar_of(bars, f"hooks at {', '.join(asking)}") if asking else ""


def with_moments(table: Table, calendar: str, at: Sequence[str]) -> Table:
    """T8: the table with one column more, which says which of these moments each bar is."""
    session, known_at = table.columns[L.C_SESSION], table.columns[L.C_KNOWN_AT]
    bits = moments(at, calendar, session, known_at) if table.n_bars else np.zeros(0, "i8")
    if not table.universe:
        return replace(table, columns=(*table.columns, bits))
    *own, mask = table.columns  # strategies look for moments directly behind the features
    return replace(table, columns=(*own, bits, mask), universe=table.universe + 1)


def calendar_of(bars: xr.Dataset, what: str = "orders at the close") -> str:
    """The calendar of the bars; raises DataError where they have none: nothing then says which bar is a day's last."""
    calendar = str(bars.attrs.get("calendar") or "")
    if not calendar:
        wanted = "the calendar of the market"
        fix = 'Build bars with kk.data.from_pandas(..., calendar="XNYS"), or "24/7".'
        raise DataError(message(what, "bars without a calendar", wanted, fix))
    return calendar


def with_closes(table: Table, calendar: str) -> Table:
    """O12: the table with one column more, which says when each bar's session closes."""
    when = closes(calendar, table.columns[L.C_SESSION]) if table.n_bars else np.zeros(0, "i8")
    return replace(table, columns=(*table.columns, when), closing=len(table.columns))


def with_mark(table: Table) -> Table:
    """The table of an inverse contract, with one column more: what a unit is worth at the close."""
    mark = -1.0 / table.columns[L.C_CLOSE_P]
    return replace(table, columns=(*table.columns, mark), mark=len(table.columns))


def _forget(tables: dict[tuple[Any, ...], Any], key: tuple[Any, ...], _: object) -> None:
    # The tables come as an argument: when the interpreter ends, this module's own names go before the arrays.
    tables.pop(key, None)


def targets_of(name: str, values: Any, bars: xr.Dataset) -> np.ndarray:
    """What the signal ``name`` returned for ``bars``, as float64 (time, asset).

    Raises StrategyError for another shape, and for rows or assets labelled otherwise than the bars' own: an array that
    was turned round or shifted by its labels would be read as if it were not.
    """
    import pandas as pd

    n = bars.sizes["time"], bars.sizes["asset"]
    indexes: Mapping[Any, Any] = getattr(values, "indexes", {})
    if isinstance(values, (pd.Series, pd.DataFrame)):
        indexes = {"time": values.index}
        if isinstance(values, pd.DataFrame) and n[1] > 1:
            indexes |= {"asset": values.columns}
    for dim in (d for d in ("time", "asset") if d in indexes):
        if len(indexes[dim]) == bars.sizes[dim] and not indexes[dim].equals(bars.indexes[dim]):
            found, fix = f"other labels along {dim}, or another order", "Keep the labels: values.reindex_like(...)."
            raise StrategyError(message(f"signal {name}", found, f"the {dim} of the bars", fix))
    array = np.asarray(getattr(values, "values", values), "f8")
    if array.ndim == 1:
        array = array[:, None]
    if array.shape != n:
        found, fix = f"an array of shape {array.shape}", "Return one target per bar and asset."
        raise StrategyError(message(f"signal {name}", found, f"(time, asset) = {n}", fix))
    return array


def make_table(
    sources: Mapping[str, np.ndarray],
    asset: int,
    grid: tuple[Any, ...],
    periods: float,
    features: Sequence[str],
    times: dict[str, np.ndarray],
) -> tuple[Table, np.ndarray]:
    """Lay the arrays (time, asset) out as the kernel reads them; ``grid`` is tick, inverse, lot and multiplier.

    ``times`` remembers the columns that all assets with every bar have in common.
    """
    valid = sources["valid"][:, asset]
    whole, rows = bool(valid.all()), np.flatnonzero(valid)

    def column(name: str, dtype: str = "f8") -> np.ndarray:
        values = sources[name]
        common = whole and values.ndim == 1
        if common and name in times:
            return times[name]
        values = values[:, asset] if values.ndim == 2 else values
        values = (
            values.astype("datetime64[ns]").astype("i8")
            if values.dtype.kind == "M"
            else values.astype(dtype, copy=False)
        )
        out = np.ascontiguousarray(values if whole else values[rows])
        if common:
            times[name] = out
        return out

    tick, inverse, lot, multiplier = grid
    prices = [column(n) for n in ("open", "high", "low", "close")]
    ticks = [to_ticks(p, tick, inverse, n) for p, n in zip(prices, ("open", "high", "low", "close"), strict=True)]
    open_at, known_at, session = column("open_at"), column("known_at"), column("session", "i8")
    check_clock(open_at, known_at)
    check_sessions(session)
    columns = [*ticks, column("volume"), open_at, known_at, session, *prices]
    for name in features:
        columns += [column(f"x.{name}"), column(f"age.{name}", "i8")]
    universe = len(columns) if UNIVERSE in sources else 0
    if universe:
        columns.append(column(UNIVERSE, "i8"))
    vwap = column("vwap") if "vwap" in sources else None
    grid = float(tick), float(lot), float(multiplier)
    return Table(tuple(columns), int(inverse), *grid, periods, universe=universe, vwap=vwap), rows


def to_ticks(prices: np.ndarray, tick: float, inverse: int, name: str) -> np.ndarray:
    """Prices as int64 ticks; raises DataError unless they lie on the grid exactly, as `kk.data` leaves them.

    >>> to_ticks(np.array([0.25, 1.5]), 0.25, 0, "close").tolist()
    [1, 6]
    """
    ticks = np.rint(prices / tick if inverse == 0 else prices * float(inverse)).astype("i8")
    back = ticks * tick if inverse == 0 else ticks / float(inverse)
    if not np.array_equal(back, prices):
        row = int(np.flatnonzero(back != prices)[0])
        raise DataError(
            message(
                f"{name} in row {row}",
                float(prices[row]),
                "a price on the instrument's tick grid",
                "Build bars with kk.data.from_pandas.",
            )
        )
    return ticks


def check_sizes(plan: Plan, tables: Sequence[Table]) -> None:
    """Raise UsageError where a strategy asks for sizes of an inverse contract, whose value is not its price."""
    if plan.sizes and any(table.mark != L.C_CLOSE_P for table in tables):
        fix = "Use ctx.target_percent, or compute contracts: value * ctx.close[0] / multiplier."
        raise UsageError(message("ctx.size", "an inverse contract", "a linear one", fix))


def check_sums(plan: Plan, params: np.ndarray, tables: Sequence[Table]) -> None:
    """Raise UsageError where the ticks of a price average's window could sum to more than 64 bits hold."""
    names = list(plan.params)
    for site in (s for s in plan.sites if s.kind in ("sma_price", "sum_price")):
        (text,) = site.arguments
        window = int(params[:, names.index(text)].max()) if text in names else int(text)
        for table in tables:
            most = table.most_ticks
            if most * window >= 1 << 63:
                found = f"{window} prices of up to {most:,} ticks"
                fix = "Give the bars a coarser tick: kk.data.from_pandas(..., tick_size=...)."
                raise UsageError(message("a moving average", found, "a sum below 2^63 ticks", fix))
