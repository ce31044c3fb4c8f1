"""From bars, a strategy and settings to a recipe: every trial laid out as data, ready to be run or run again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from kernelkit.agenda import with_agenda
from kernelkit.binding import Sweep, extremes, kind_of, param_words
from kernelkit.capture import SCALARS
from kernelkit.cells import chosen
from kernelkit.errors import DataError, StrategyError, UsageError, message
from kernelkit.hooks import Hook
from kernelkit.kernels import layout as L
from kernelkit.kernels.context import FIRST_WORD
from kernelkit.kernels.job import Homes, Job, Table
from kernelkit.kernels.plan import Plan
from kernelkit.kernels.switching import Switch
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts
from kernelkit.market.terms import check_steps, check_volumes, hours_of, venues_of
from kernelkit.schema import check_dataset
from kernelkit.strategy import Program, Signal, Strategy
from kernelkit.table import (
    SOURCES,
    Panel,
    check_sizes,
    check_sums,
    clock_of,
    panel_of,
    ready,
    ready_together,
    targets_of,
)

if TYPE_CHECKING:
    import xarray as xr


@dataclass
class Recipe:
    """How a result came about: enough to simulate any of its trials again."""

    bars: Any
    strategy: Strategy | Signal
    job: Job
    axes: dict[str, list[Any]]
    assets: list[str]
    places: list[np.ndarray]  # per asset: rows of the time axis that its bars are
    cells: np.ndarray  # trial of each cell, -1 where `where` excludes it
    start: int
    stop: int
    params: dict[str, Any]
    signal: Callable[[int], np.ndarray] | None = None
    python: Callable[[Job], Any] | None = None  # how its trials run uncompiled, where they did
    account: Account | Accounts = field(default_factory=Account)
    finer: Any = None  # the bars in which those of ``bars`` are matched (F16)
    hooks: tuple[Hook, ...] | None = None  # the strategy's when its trials were laid out: it may get more later
    switches: tuple[Switch, ...] = ()  # of a walk-forward: when its only trial gets other parameters
    listed: dict[str, list[Any]] | None = None  # parameters by label of its only axis, `trial`, where that is no grid

    def __post_init__(self) -> None:
        if self.hooks is None:
            self.hooks = getattr(self.strategy, "hooks", ())

    @property
    def shared(self) -> bool:
        """Whether all assets share one account: a cell is then one trial, else one for each asset."""
        return self.job.plan.shared

    @property
    def accounts(self) -> list[str]:
        """The assets of a cell's trials; of a portfolio what its only account is called."""
        return ["portfolio"] if self.shared else self.assets

    def rows(self, trial: int) -> np.ndarray:
        """The rows of ``time`` that a trial's bars are."""
        return np.arange(self.bars.sizes["time"]) if self.shared else self.places[trial % len(self.assets)]


def check_bars(bars: Any) -> xr.Dataset:
    """The same Dataset (time, asset); raises DataError for anything that is not bars.

    >>> check_bars([1.0, 2.0])
    Traceback (most recent call last):
    kernelkit.errors.DataError: bars: found list, wanted a Dataset(time, asset) from kk.data. Use kk.data.load or ...
    """
    check_dataset(bars)
    missing = [n for n in (*SOURCES, "tick", "inverse", "lot", "multiplier") if n not in bars.variables]
    if missing or "periods_per_year" not in bars.attrs:
        raise DataError(
            message(
                "bars",
                f"no {', '.join(missing) or 'periods_per_year'}",
                "a Dataset(time, asset) from kk.data",
                "Use kk.data.load or kk.data.from_pandas.",
            )
        )
    lost = [d for d in ("time", "asset") if not bars.sizes.get(d)]
    if lost:
        found = f"nothing along {lost[0]}" if lost[0] in bars.sizes else f"no dim {lost[0]}"
        fix = "Select with lists and slices: bars.sel(asset=[name])."
        raise DataError(message("bars", found, "at least one bar of one asset", fix))
    return cast("xr.Dataset", bars)


def resolve(strategy: Any) -> Strategy | Signal:
    """The strategy or signal itself; raises StrategyError for a bare function, which is never guessed about.

    >>> resolve(len)
    Traceback (most recent call last):
    kernelkit.errors.StrategyError: strategy len: found builtin_function_or_method, wanted a @kk.strategy or ...
    """
    if isinstance(strategy, (Strategy, Signal)):
        return strategy
    name = getattr(strategy, "__name__", repr(strategy))
    raise StrategyError(
        message(
            f"strategy {name}",
            type(strategy).__name__,
            "a @kk.strategy or @kk.signal",
            "Put @kk.strategy above its def: it is never guessed which one is meant.",
        )
    )


def span(bars: xr.Dataset, start: Any, end: Any) -> tuple[int, int]:
    """Rows [first, last) of ``time`` that ``start`` and ``end`` delimit: both inclusive, partial dates as in pandas.

    Raises UsageError for what is no time, and for a span without bars.

    >>> from kernelkit.data import load
    >>> bars = load("sp500_index")
    >>> first, last = span(bars, "2009", "2009")
    >>> {int(d.year) for d in bars.indexes["time"][first:last]}, last - first
    ({2009}, 252)
    """
    index = bars.indexes["time"]
    try:
        first = 0 if start is None else int(index.slice_indexer(start, None).start or 0)
        last = len(index) if end is None else int(index.slice_indexer(None, end).stop)
    except (TypeError, ValueError, KeyError) as error:
        found = f"{start!r} ... {end!r} ({error})"
        raise UsageError(message("start and end", found, "dates or times (UTC)", 'Write start="2010".')) from None
    if last <= first:
        raise UsageError(
            message(
                "start and end", f"{start} ... {end}", f"a span inside {index[0]} ... {index[-1]}", "Check the dates."
            )
        )
    return first, last


def check_vwap(models: Iterable[FillModel], tables: Sequence[Table], assets: Sequence[str]) -> None:
    """F10: fills at a bar's mean price need one; raises DataError that says what to load.

    With finer bars it is theirs (F16).
    """
    if any(m.market == "next_vwap" and m.path != "finer" for m in models):
        for table, asset in zip(tables, assets, strict=True):
            if table.vwap is None or np.isnan(table.vwap).all():
                fix = "Pass kk.data.from_pandas a frame with a column vwap, or choose another market=."
                raise DataError(message(f"vwap of {asset}", "none", "a mean price of each bar with volume", fix))


def plan_job(
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    scalars: dict[str, Any],
    axes: dict[str, list[Any]],
    where: Any,
    limits: tuple[int, int],
    settings: Settings,
    measure: bool,
) -> Recipe:
    """`plan_sweep` of the cells of a grid that ``where`` leaves; raises UsageError where that is none."""
    return plan_sweep(bars, strategy, Sweep(scalars, axes, *chosen(axes, scalars, where)), limits, settings, measure)


def plan_sweep(
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    sweep: Sweep,
    limits: tuple[int, int],
    settings: Settings,
    measure: bool,
) -> Recipe:
    """Lay out all trials over the rows ``limits`` of ``time``: cells x assets, asset fastest.

    Raises UsageError for a text parameter on an axis, and bars too few to warm up.
    """
    scalars, axes, combos, last = sweep.scalars, sweep.axes, sweep.combos, limits[1]
    if isinstance(strategy, Signal):
        return plan_signal(bars, strategy, sweep, limits, settings, measure)
    types = {n: kind_of(n, axes.get(n, [scalars.get(n)]), d) for n, d in strategy.defaults.items()}
    if any(t is str for n, t in types.items() if n in axes):
        raise UsageError(
            message(
                "a text parameter",
                "an axis",
                "one value",
                "Text parameters are compiled in; run one backtest for each.",
            )
        )
    program = strategy.program(types, {n: v for n, v in scalars.items() if isinstance(v, str)})
    params = param_words(program, combos, list(axes), scalars)
    widest = combos if callable(strategy.warmup) else extremes(combos)
    need = max(strategy.bars_needed(program, scalars | dict(zip(axes, c, strict=True))) for c in widest)
    waits = most_closed(strategy, program, (scalars | dict(zip(axes, c, strict=True)) for c in widest))
    panel = panel_of(bars, program.plan.features, None, *asked_of(program.plan))
    tables, places = panel.tables, panel.places
    check_sums(program.plan, params, tables)
    check_sizes(program.plan, tables)
    assets = asset_names(bars)
    homes = settings.homes(assets) if program.plan.shared else None
    venues = venues_of(settings, assets, program.plan.shared)
    check_transfers(program, homes)
    check_steps(settings, tables, assets)
    check_volumes(venues, homes, tables, assets)
    check_vwap([settings.fill_model], tables, assets)
    settings.check(program.plan.shared)
    called = None
    if program.plan.shared:
        if program.plan.by_asset:
            called = calls_of(panel, need, waits)
            need = first_call(panel, called, limits[0])
        else:
            need = max(need, ready_together(panel, program.plan.timeframes, waits, assets))
        rows = [(0, *clock_rows(limits, need))]
        tables = [clock_of(panel, bars, rows[0][1], clock_moments(program.plan)), *tables]
    else:
        needs = [max(need, r) for r in ready(panel, program.plan.timeframes, waits, assets)]
        rows = [(0, *own_rows(bars, a, place, limits, needs[a])) for a, place in enumerate(places)]
    accounts = settings.accounts(assets)
    tables = with_agenda(bars, tables, places, accounts, program.plan.shared, homes)
    n = len(rows)
    trials = np.zeros(len(combos) * n, L.TRIAL)
    for a, (i0, begin, i1) in enumerate(rows):
        cash = settings.account.cash if program.plan.shared else accounts[a].cash
        trials[a::n] = (i0, begin, i1, a, a % len(venues), 0, cash)
    job = Job(
        program.text,
        program.plan,
        tables,
        venues,
        [settings.fill_model.codes()],
        trials,
        np.repeat(params, n, axis=0),
        measure,
        own_state(strategy, program),
        bars=panel.last_bars if program.plan.shared else None,
        hours=hours_of(venues, tables),
        homes=homes,
        called=called,
    )
    start = rows[0][1] if job.plan.shared else min(int(p[r[1]]) for p, r in zip(places, rows, strict=True))
    return Recipe(
        bars, strategy, job, axes, assets, places, sweep.cells, start, last, scalars, account=settings.account
    )


def respanned(recipe: Recipe, limits: tuple[int, int]) -> Recipe:
    """The trials of a recipe of accounts of an asset each over other rows ``limits`` of ``time``.

    It was laid out from the first row on: where its trials begin is then what they warm up with.
    """
    n = len(recipe.places)
    trials = recipe.job.trials.copy()
    begun = []
    for a, place in enumerate(recipe.places):
        begin, stop = own_rows(recipe.bars, a, place, limits, int(recipe.job.trials["trade_from"][a]))
        trials["trade_from"][a::n], trials["i1"][a::n] = begin, stop
        begun.append(int(place[begin]))
    return replace(recipe, job=replace(recipe.job, trials=trials), start=min(begun), stop=limits[1])


def calls_of(panel: Panel, need: int | np.ndarray, closed: Sequence[int]) -> np.ndarray:
    """X9: by asset, the first of its bars at which its strategy is called: ``need`` come before, and W7's have closed.

    int64 (asset,); where that has not happened the number of its bars, or more.
    """
    found: np.ndarray = np.maximum(need, np.array([table.ready(closed) for table in panel.tables], "i8"))
    return found


def first_call(panel: Panel, called: np.ndarray, first: int) -> int:
    """X9: the row of ``time``, from ``first`` on, at which the strategy of an asset is called; ``panel.n`` for none."""
    pairs = zip(panel.places, called.tolist(), strict=True)
    rows = (place[max(k, int(np.searchsorted(place, first))) :] for place, k in pairs)
    return min((int(row[0]) for row in rows if len(row)), default=panel.n)


def check_transfers(program: Program, homes: Homes | None) -> None:
    """V5: raise UsageError for a strategy that sends money where there is one account."""
    if "send_money(frame" in program.text and not (homes and homes.cash):
        fix = "Pass venue={asset: kk.Venue(...)} and account=kk.Accounts({venue: kk.Account(...)})."
        raise UsageError(message(f"ctx.transfer of {program.name}", "one account", "an account at each venue", fix))


def most_closed(strategy: Strategy, program: Program, bound: Iterable[Mapping[str, Any]]) -> tuple[int, ...]:
    """W7: by timeframe, the most of its closed bars that any of these trials waits for."""
    if not program.plan.timeframes:
        return ()
    return tuple(max(n) for n in zip(*(strategy.closed_needed(program, p) for p in bound), strict=True))


def under_each(recipe: Recipe, models: Sequence[FillModel], settings: Settings) -> Recipe:
    """The trials of a recipe under each of several fill models, which become its first axis, ``fill_model``."""
    job, n = recipe.job, len(recipe.job.trials)
    each = n // len(recipe.accounts)
    for m in models:
        replace(settings, fill_model=m).check(recipe.shared)
    check_vwap(models, job.tables[int(recipe.shared) :], recipe.assets)
    trials = np.tile(job.trials, len(models))
    trials["fill_model"] = np.repeat(np.arange(len(models)), n)
    cells = np.stack([np.where(recipe.cells >= 0, recipe.cells + k * each, -1) for k in range(len(models))])
    targets = recipe.signal
    return replace(
        recipe,
        job=replace(
            job, fill_models=[m.codes() for m in models], trials=trials, params=np.tile(job.params, (len(models), 1))
        ),
        axes={"fill_model": [m.label for m in models], **recipe.axes},
        cells=cells,
        signal=None if targets is None else lambda cell: targets(cell % each),
    )


def clock_rows(limits: tuple[int, int], need: int) -> tuple[int, int]:
    """A portfolio's bars [begin, end) inside ``limits``, after the ``need`` it warms up with.

    Raises UsageError where there are none.
    """
    first, end = limits
    if max(first, need) >= end:
        fix = "Load more bars, shorten the windows, or move start= or end=."
        found = f"{end} bars up to the end, {need} needed for warm-up"
        raise UsageError(message("bars of the portfolio", found, "at least one bar to decide on", fix))
    return max(first, need), end


def asked_of(plan: Plan) -> tuple[bool, Iterable[str], Sequence[str]]:
    """What a strategy asks of its assets' tables besides features: closes (O12), timeframes (W1) and moments (T8).

    The moments of a portfolio are its clock's, unless its strategy is called for each asset.
    """
    return plan.closing, plan.timeframes, () if plan.clocked else plan.moments


def clock_moments(plan: Plan) -> Sequence[str]:
    """The moments (T8) that a portfolio asks of its clock."""
    return plan.moments if plan.clocked else ()


def asset_names(bars: xr.Dataset) -> list[str]:
    """The labels of dim ``asset``, from its index where there is one: a variable converts them at every look."""
    found = bars.indexes["asset"] if "asset" in bars.xindexes else bars["asset"].values
    return [str(a) for a in found.tolist()]


def own_rows(bars: xr.Dataset, asset: int, place: np.ndarray, limits: tuple[int, int], need: int) -> tuple[int, int]:
    """An asset's own bars [begin, end) inside ``limits``, after the ``need`` it warms up with.

    Raises UsageError where there are none.
    """
    first, end = (int(k) for k in np.searchsorted(place, limits))
    if max(first, need) >= end:
        found = f"{end} bars up to the end, {need} needed for warm-up" if need >= end > 0 else "no bars in the span"
        fix = "Load more bars, shorten the windows, move start= or end=, or leave this asset out."
        raise UsageError(message(f"bars of {bars['asset'].values[asset]}", found, "at least one bar to decide on", fix))
    return max(first, need), end


def own_state(strategy: Strategy, program: Program) -> list[tuple[int, object]]:
    """Initial words of the own indicators' slots."""
    own = strategy.capture.own
    out: list[tuple[int, object]] = []
    for site in program.plan.sites:
        if site.custom:
            at = site.slot + FIRST_WORD
            for value in own[site.custom].state.values():
                if isinstance(value, SCALARS):
                    out.append((at, value))
                    at += 1
                else:
                    at += value.n + 1
    return out


def plan_signal(
    bars: xr.Dataset,
    strategy: Signal,
    sweep: Sweep,
    limits: tuple[int, int],
    settings: Settings,
    measure: bool,
) -> Recipe:
    """A signal's trials: each has a data set of its own, the bars with the target that `Recipe.signal` computes.

    That happens when the trial's turn comes, and raises StrategyError for a target that is not of shape (time, asset).
    Raises UsageError for an asset without bars in the span.
    """
    first, last = limits
    program = strategy.follower.program({})
    panel = panel_of(bars, [])
    assets = asset_names(bars)
    accounts = settings.accounts(assets)
    base, places = with_agenda(bars, panel.tables, panel.places, accounts, False), panel.places
    settings.check(False)
    venues = venues_of(settings, assets, False)
    check_steps(settings, base, assets)
    check_volumes(venues, None, base, assets)
    check_vwap([settings.fill_model], base, assets)
    n = len(base)
    trials = np.zeros(len(sweep.combos) * n, L.TRIAL)
    for a, place in enumerate(places):
        trials[a::n] = (0, *own_rows(bars, a, place, limits, 0), a, a % len(venues), 0, accounts[a].cash)

    def target(cell: int) -> np.ndarray:
        # A copy: what the function adds to its bars is neither the user's nor another thread's.
        values = strategy.function(bars.copy(deep=False), **sweep.bound(cell))
        return targets_of(strategy.name, values, bars)

    job = Job(
        program.text,
        program.plan,
        base,
        venues,
        [settings.fill_model.codes()],
        trials,
        np.zeros((len(trials), 0), "i8"),
        measure,
        hours=hours_of(venues, base),
    )
    start = min(int(p[np.searchsorted(p, first)]) for p in places)
    found = Recipe(bars, strategy, job, sweep.axes, assets, places, sweep.cells, start, last, sweep.scalars, target)
    return replace(found, account=settings.account)


def with_target(recipe: Recipe, first: int, last: int) -> Job:
    """The job of a signal's trials [first, last): their targets computed, cell by cell, into data sets of their own."""
    job, n = recipe.job, len(recipe.assets)
    if recipe.signal is None:
        raise TypeError(f"{recipe.strategy.name} is no signal: its trials share the bars and need no targets")
    tables: list[Table] = []
    trials = job.trials[first:last].copy()
    cell, values = -1, np.empty(0)
    for k in range(first, last):
        if k // n != cell:
            cell, values = k // n, recipe.signal(k // n)
        a = k % n
        column = np.ascontiguousarray(values[recipe.places[a], a])
        trials[k - first]["dataset"] = len(tables)
        tables.append(job.tables[a].aimed(column))
    return replace(job, tables=tables, trials=trials, params=job.params[first:last])
