"""Walk-forward: choose on a training window, trade the next one, move on. Adds dim ``fold``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kernelkit import ledger, schema
from kernelkit.agenda import known, worthless
from kernelkit.binding import bind, kind_of
from kernelkit.cells import chosen as cells_of
from kernelkit.data.durations import duration
from kernelkit.engine import NOT_FINER, backtest, explain
from kernelkit.errors import OrderError, UsageError, arguments, message
from kernelkit.kernels import layout as L
from kernelkit.kernels import scan
from kernelkit.kernels.block import slots_of
from kernelkit.kernels.job import Job, Logs, Outcome, new_outcome
from kernelkit.kernels.session import ENDLESS, Failed, Recorder, Session
from kernelkit.kernels.switching import Switch, advance, switch
from kernelkit.lazy import lazy
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.terms import venues_of
from kernelkit.market.venue import Venue
from kernelkit.progress import Meter
from kernelkit.recipe import Recipe, asset_names, check_bars, clock_moments, resolve, span
from kernelkit.result import Curves, build
from kernelkit.run import one_recipe
from kernelkit.strategy import Signal, Strategy
from kernelkit.table import Panel, clock_of, panel_of
from kernelkit.tried import record

if TYPE_CHECKING:
    import xarray as xr

SELECTED = "sharpe_ratio"


class Store(Protocol):
    """Where finished folds are kept, so that a resumed study does not compute them again."""

    def get(self, key: Any) -> Any | None:
        """What was put under this key, None when nothing was."""

    def put(self, key: Any, value: Any) -> None:
        """Keep a value, which JSON can carry, under a key."""


@dataclass(frozen=True)
class Fold:
    """Rows of ``time``: train on [train, test), trade [test, stop)."""

    train: int
    test: int
    stop: int


def folds(
    bars: xr.Dataset, train: str, test: str, *, anchored: bool = False, start: Any = None, end: Any = None
) -> list[Fold]:
    """Consecutive test windows over the bars, each after its training window (anchored: all history since the start).

    The last test window may be shorter; it is kept if it holds at least two bars. Raises UsageError when none fits.

    >>> from kernelkit.data import load
    >>> bars = load("sp500_index")
    >>> [f.stop - f.test for f in folds(bars, "2Y", "1Y", start="2008", end="2011")]
    [252, 252]
    """
    first, last = span(bars, start, end)
    index = bars.indexes["time"]
    origin, length, step = index[first], duration(train, "train"), duration(test, "test")
    out: list[Fold] = []
    k = 0
    while True:
        moved = origin
        for _ in range(k):
            moved = moved + step
        at = [
            int(index.searchsorted(d)) for d in (origin if anchored else moved, moved + length, moved + length + step)
        ]
        if min(at[1], last) + 2 > last:
            break
        if at[1] > at[0]:
            out.append(Fold(at[0], at[1], min(at[2], last)))
        k += 1
    if not out:
        raise UsageError(
            message(
                "train and test",
                f"{train} and {test}",
                f"windows that fit into {index[first].date()} ... {index[last - 1].date()}",
                "Shorten them.",
            )
        )
    return out


@arguments(account=Account, venue=Venue, fill_model=FillModel, finer=NOT_FINER)
def walk_forward(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy,
    *,
    grid: Mapping[str, Any],
    params: Mapping[str, Any] | None = None,
    where: str | Callable[..., Any] | None = None,
    train: str = "5Y",
    test: str = "1Y",
    anchored: bool = False,
    carry: bool = True,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    checkpoint: Store | None = None,
    client: Any = None,
) -> xr.Dataset:
    """Walk forward through one asset, or a portfolio: each fold trades the cell with the highest training Sharpe ratio.

    Of equal ones it is the earliest.

    The test windows form one run of one account under the switch rule: at a switch live orders are cancelled, the new
    parameters' strategy state is replayed over all earlier bars with orders inert, and account and position carry on
    (``carry=False``: a target of zero is sent, which the next open fills). Selection sees bars before the test window
    only. ``checkpoint`` keeps finished selections.

    Returns a Dataset with dim ``fold`` (coords ``train_start train_end test_start test_end``; the chosen parameters,
    ``is_sharpe_ratio``, ``oos_sharpe_ratio``, ``efficiency`` = OOS / IS, NaN where IS <= 0), the stitched
    ``equity_oos`` (quote currency), ``drawdown_oos``, ``position_oos`` (base units; of a portfolio by asset) and
    ``fold_of`` over ``time``, with an account at each venue ``account_equity_oos`` and ``account_cash_oos`` by venue
    (V3), and the out-of-sample headline metrics as scalars (``total_return_at_zero`` as in `backtest`); ``kk.trades``,
    ``kk.fills`` and ``kk.orders`` show what was done. Raises UsageError, DataError, StrategyError, OrderError.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def trend(ctx, n=50):
    ...     ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)
    >>> bars = kk.data.load("sp500_index")
    >>> wf = kk.walk_forward(bars, trend, grid={"n": [20, 100]}, train="2Y", test="1Y", start="2006", end="2010")
    >>> wf.sizes["fold"], set(wf["n"].values.tolist()) <= {20, 100}
    (3, True)
    """
    bars, settings = check_bars(bars), Settings.of(account, venue, fill_model)
    strategy = check_walk(bars, resolve(strategy), settings.fill_model)
    windows = folds(bars, train, test, anchored=anchored, start=start, end=end)
    scalars, axes = bind(strategy, params, grid)
    if not axes:
        raise UsageError(
            message("grid of a walk-forward", "no axis", "at least one", "Write grid=dict(fast=range(5, 55, 5)).")
        )
    chosen: list[dict[str, Any]] = []
    panel = panel_of(bars, sorted(str(n)[2:] for n in bars.data_vars if str(n).startswith("x.")))
    with Meter(f"walk-forward: {len(windows)} folds", len(windows)) as meter:
        for fold in windows:
            key = key_of(bars, panel, strategy, scalars, axes, where, fold, settings)
            best = checkpoint.get(key) if checkpoint is not None else None
            if best is None:
                best = select(bars, strategy, scalars, axes, where, fold, settings, client)
                if checkpoint is not None:
                    checkpoint.put(key, best)
            chosen.append(best)
            meter.advance()
    picks = [b["params"] for b in chosen]
    recipe, outcome, logs = trade(bars, strategy, scalars, axes, picks, windows, carry, settings)
    call = record(recipe, outcome, settings.venue, [settings.fill_model])
    ds = assemble(recipe, outcome, logs, windows, chosen, axes, settings, at_zero(recipe, settings))
    ds.attrs["ledger"] = call
    return ds


def check_walk(bars: xr.Dataset, strategy: Strategy | Signal, fill_model: FillModel) -> Strategy:
    """The strategy, where it can be walked forward through these bars; raises UsageError and OrderError."""
    if isinstance(strategy, Signal):
        raise UsageError(
            message(
                f"signal {strategy.name}",
                "a function of whole arrays",
                "a @kk.strategy",
                "Walk-forward switches parameters bar by bar.",
            )
        )
    if fill_model.close_out != "none":
        raise OrderError(
            message(
                "close_out of a walk-forward",
                fill_model.close_out,
                "none",
                "Positions carry over; use carry=False to close them.",
            )
        )
    if fill_model.path == "finer":
        fix = "Use kk.backtest(..., finer=...), or another path."
        raise OrderError(message("path of a walk-forward", "finer", "a path through the bars themselves", fix))
    if bars.sizes["asset"] != 1 and not strategy.shared:
        raise UsageError(message("bars", f"{bars.sizes['asset']} assets", "one", "Choose one: bars.sel(asset=[name])."))
    return strategy


def key_of(
    bars: xr.Dataset,
    panel: Panel,
    strategy: Strategy,
    scalars: Mapping[str, Any],
    axes: Mapping[str, list[Any]],
    where: Any,
    fold: Fold,
    settings: Settings,
) -> list[Any]:
    """All that a fold's selection depends on; of ``where``, the cells that it leaves."""
    from kernelkit.kernels.cache import build_id

    times = bars["time"].values
    return [
        strategy.identity,
        str(bars.attrs.get("lineage", "")),
        [t.digest_of(int(np.searchsorted(p, fold.test))) for t, p in zip(panel.tables, panel.places, strict=True)],
        [str(times[k]) for k in (0, fold.train, fold.test - 1)],
        repr((list(axes.items()), sorted(scalars.items()))),
        (cells_of(axes, scalars, where)[0] >= 0).tobytes().hex(),
        known(bars).hex(),
        repr((venues_of(settings, asset_names(bars), True), settings.fill_model, settings.account)),
        repr(settings.homes(asset_names(bars))),
        build_id(),
    ]


def select(
    bars: xr.Dataset,
    strategy: Strategy,
    scalars: Mapping[str, Any],
    axes: Mapping[str, Sequence[Any]],
    where: Any,
    fold: Fold,
    settings: Settings,
    client: Any,
) -> dict[str, Any]:
    """The best cell of a training window; the bars of the test window are not even passed on.

    Returns its parameters, its annual Sharpe ratio and the number of cells that have one.
    """
    seen = bars.isel(time=slice(0, fold.test))
    with ledger.role("training"):
        res = backtest(
            seen,
            strategy,
            dict(scalars),
            grid=axes,
            where=where,
            start=bars["time"].values[fold.train],
            outputs=("metrics",),
            client=client,
            account=settings.account,
            venue=settings.venue,
            fill_model=settings.fill_model,
        )
    values = np.where(np.isnan(res[SELECTED].values), -np.inf, res[SELECTED].values)
    best = np.unravel_index(int(np.argmax(values)), values.shape)
    return {
        "params": {n: v[int(k)] for (n, v), k in zip(axes.items(), best, strict=True)},
        SELECTED: float(res[SELECTED].values[best]),
        "trials": int(np.isfinite(values).sum()),
    }


def trade(
    bars: xr.Dataset,
    strategy: Strategy,
    scalars: dict[str, Any],
    axes: Mapping[str, list[Any]],
    chosen: Sequence[Mapping[str, Any]],
    windows: Sequence[Fold],
    carry: bool,
    settings: Settings,
) -> tuple[Recipe, Outcome, Logs]:
    """One account through all test windows: recipe, outcome and all that it did."""
    types = {n: kind_of(n, axes.get(n, [scalars.get(n)]), d) for n, d in strategy.defaults.items()}
    made: dict[str, Recipe] = {}
    for c in chosen:
        if repr(c) not in made:
            made[repr(c)] = one_recipe(bars, strategy, scalars | dict(c), None, settings, types)
    recipes = [made[repr(c)] for c in chosen]
    rows = recipes[0].rows(0)
    begin, stop = int(np.searchsorted(rows, windows[0].test)), int(np.searchsorted(rows, windows[-1].stop))
    rings = {
        k: max(
            int(r.job.params[0, list(r.job.plan.params).index(s.arguments[0])])
            if s.arguments[0] in r.job.plan.params
            else int(s.arguments[0])
            for r in made.values()
        )
        for k, s in enumerate(recipes[0].job.plan.sites)
        if s.rolling.ring
    }
    trials = recipes[0].job.trials.copy()
    trials["trade_from"] = begin
    tables = recipes[0].job.tables
    if recipes[0].shared:  # the benchmark begins with the first test window
        plan = recipes[0].job.plan
        clock = clock_of(panel_of(bars, plan.features), bars, begin, clock_moments(plan))
        tables = [replace(clock, actions=tables[0].actions), *tables[1:]]
    recipe = first = replace(recipes[0], job=replace(recipes[0].job, tables=tables, trials=trials, ring_sizes=rings))
    whole = replace(
        first,
        axes={},
        start=int(rows[begin]),
        stop=int(rows[stop - 1]) + 1,
        params=dict(scalars) | {"walk_forward": [dict(c) for c in chosen]},
    )
    main, switches = Recorder(first.job, 0, last=stop), []
    inert = {key: silent(replace(one.job, ring_sizes=rings)) for key, one in made.items()}
    try:
        main.advance(begin)
        for k, (fold, recipe) in enumerate(zip(windows, recipes, strict=True)):
            at, until = int(np.searchsorted(rows, fold.test)), int(np.searchsorted(rows, fold.stop))
            replay = inert[repr(chosen[k])]
            replay.advance(at)
            words = slots_of(replay.block).copy()
            switches.append(Switch(at, words, recipe.job.called, ends=k > 0, flattens=k > 0 and not carry))
            switch(main, switches[-1])
            main.advance(until)
    except Failed as failure:  # also what failed was tried
        tried = replace(whole, switches=tuple(switches))
        record(tried, failed(failure), settings.venue, [settings.fill_model])
        stopped(recipe, failure, settings)
    outcome = main.ended(stop)
    recipe = replace(whole, switches=tuple(switches))
    recipe.job.trials["i1"] = stop
    return recipe, outcome, main.logs()


def stopped(recipe: Recipe, failure: Failed, settings: Settings) -> None:
    """Raise what stopped the run, as `explain` does; the recipe has the parameters of the fold."""
    explain(recipe, failed(failure), settings.venue)


def failed(failure: Failed) -> Outcome:
    """What a run that was stopped came to."""
    outcome = new_outcome(1, False)
    outcome.errors[0] = (failure.status, failure.i, failure.argument)
    return outcome


def at_zero(recipe: Recipe, settings: Settings) -> Outcome | None:
    """What the same choices come to where delistings of unknown value paid nothing (E4); None where there are none."""
    tables = worthless(recipe.job.tables)
    if tables is None:
        return None
    trials = recipe.job.trials.copy()
    stop = int(trials[0]["i1"])
    trials["i1"] = ENDLESS
    job = replace(recipe.job, tables=tables, trials=trials)
    session = Session(job)
    try:
        advance(session, stop, recipe.switches)
    except Failed as failure:
        words = [one.words for one in recipe.switches if one.bar <= failure.i][-1]
        params = words[None, : job.params.shape[1]]
        stopped(replace(recipe, job=replace(job, params=params)), failure, settings)
    outcome = session.ended(stop)
    record(recipe, outcome, settings.venue, [settings.fill_model], "delisting")
    return outcome


def silent(job: Job) -> Session:
    """A run with orders inert: the strategy's state after the bars that it has been advanced through, and no more."""
    session = Session(replace(job, trials=job.trials.copy(), measure=False))
    session.frame["inert"] = 1
    return session


def assemble(
    recipe: Recipe,
    outcome: Outcome,
    logs: Logs,
    windows: Sequence[Fold],
    chosen: Sequence[Mapping[str, Any]],
    axes: Mapping[str, Sequence[Any]],
    settings: Settings,
    zero: Outcome | None,
) -> xr.Dataset:
    """The study's Dataset, as `walk_forward` describes it; ``zero`` is what `at_zero` has found."""
    ds = stitched(recipe, outcome, logs, windows, settings, zero)
    inside, outside = np.array([c[SELECTED] for c in chosen]), ds["oos_sharpe_ratio"].values
    for name in axes:
        ds[name] = ("fold", np.array([c["params"][name] for c in chosen]))
    ds["is_sharpe_ratio"] = ("fold", inside)
    ds["efficiency"] = ("fold", np.where(inside > 0, outside / np.where(inside > 0, inside, 1.0), np.nan))
    ds["training_trials"] = ("fold", np.array([c["trials"] for c in chosen]))
    for name, text in (
        ("is_sharpe_ratio", "annual Sharpe ratio in training"),
        ("efficiency", "walk-forward efficiency: out-of-sample over training Sharpe ratio"),
    ):
        ds[name].attrs = {"long_name": text, "units": "1"}
    ds.attrs |= {"study": "walk_forward", "selected_by": SELECTED}
    return ds


def stitched(
    recipe: Recipe, outcome: Outcome, logs: Logs, windows: Sequence[Fold], settings: Settings, zero: Outcome | None
) -> xr.Dataset:
    """What one account came to in the test windows: headline metrics, curves, and each fold's span and Sharpe ratio."""
    bars, place, venue = recipe.bars, recipe.rows(0), settings.venue
    times = bars["time"].values
    ds = build(recipe, outcome, ("metrics", "blocks"), venue, [settings.fill_model], zero)
    own = place[np.searchsorted(place, recipe.start) : np.searchsorted(place, recipe.stop)]
    equity = logs.curves[:, 0]
    curves = Curves(recipe, logs)
    cash = float(recipe.job.trials[0]["cash"])
    number = np.searchsorted([f.test for f in windows], own, side="right") - 1
    sessions = bars["session"].values[own]
    periods = float(bars.attrs["periods_per_year"])
    ds = ds.assign_coords(
        {
            "fold": np.arange(len(windows)),
            "time": times[own],
            "session": ("time", sessions),
            "train_start": ("fold", times[[f.train for f in windows]]),
            "train_end": ("fold", times[[f.test - 1 for f in windows]]),
            "test_start": ("fold", times[[f.test for f in windows]]),
            "test_end": ("fold", times[[f.stop - 1 for f in windows]]),
        }
    )
    ds["equity_oos"], ds["fold_of"] = ("time", equity), ("time", number)
    ds["drawdown_oos"] = ("time", 1.0 - equity / np.maximum(np.maximum.accumulate(equity), cash))
    held = logs.curves[:, 2 : 2 + recipe.job.n_asset] if recipe.shared else logs.curves[:, 2]
    position = lazy("position_oos", recipe.cells, held.shape, lambda _: held, curves)
    ds["position_oos"] = (("time", "asset") if recipe.shared else ("time",), position)
    homes = recipe.job.homes
    if homes is not None and homes.cash:
        ds = ds.assign_coords(venue=("venue", list(homes.names)))
        for name in L.ACCOUNT_CURVES:
            told = f"{schema.variable(name).long_name}, out of sample"
            attrs = {"long_name": told, "units": "quote"}
            ds[f"{name}_oos"] = (("time", "venue"), curves.curve(name, 0), attrs)
    outside = [sharpe(equity, sessions, number == k, cash, periods) for k in range(len(windows))]
    ds["oos_sharpe_ratio"] = ("fold", np.array(outside))
    for name, text in (
        ("equity_oos", "equity, out of sample"),
        ("drawdown_oos", "drawdown, out of sample"),
        ("position_oos", "position, out of sample"),
        ("oos_sharpe_ratio", "annual Sharpe ratio out of sample"),
    ):
        ds[name].attrs = {"long_name": text, "units": {"equity_oos": "quote", "position_oos": "base"}.get(name, "1")}
    ds["equity_oos"].attrs["periods_per_year"] = periods
    ds.attrs["recipe"] = curves.key
    return ds


def sharpe(equity: np.ndarray, sessions: np.ndarray, inside: np.ndarray, cash: float, periods: float) -> float:
    """M5 over the sessions of one window of a stitched curve: annual Sharpe ratio, NaN without variance.

    >>> equity, sessions = np.array([101.0, 99.0, 102.0]), np.array([1, 2, 3])
    >>> round(sharpe(equity, sessions, np.ones(3, bool), 100.0, 252.0), 2)
    4.3
    """
    last = np.flatnonzero(np.r_[sessions[1:] != sessions[:-1], True])
    closes = np.r_[cash, equity[last]]
    with np.errstate(invalid="ignore"):  # 0 / 0 after ruin: such samples count as 0 (M1)
        x = np.where(closes[:-1] > 0.0, closes[1:] / closes[:-1] - 1.0, 0.0)[inside[last]]
    n, s1, s2 = float(len(x)), float(np.sum(x)), float(np.sum(x * x))
    return float(scan.sharpe_ratio(n, s1, scan.variance(n, s1, s2), periods))
