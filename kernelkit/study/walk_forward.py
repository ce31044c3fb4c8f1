"""Walk-forward: choose on a training window, trade the next one, move on. Adds dim ``fold``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from kernelkit import ledger, schema
from kernelkit.binding import bind
from kernelkit.engine import NOT_FINER
from kernelkit.errors import OrderError, UsageError, arguments, message
from kernelkit.kernels import layout as L
from kernelkit.kernels import scan
from kernelkit.lazy import lazy
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.recipe import check_bars, resolve, span
from kernelkit.result import Curves, build
from kernelkit.reuse import Cache
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Case, Common, ended, free_of, run
from kernelkit.study.splitters import Rolling
from kernelkit.study.stitching import Traded, traded
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

SELECTED = "sharpe_ratio"
Chooser = Callable[..., Mapping[str, Any]]
Chosen = TypeVar("Chosen")


@runtime_checkable
class Search(Protocol):
    """A searcher with a space in place of the grid, and perhaps an objective of its own, as `kk.searcher` makes it."""

    def ends(self) -> dict[str, list[Any]]:
        """Of each parameter, the smallest and the largest value."""

    def chooses_by(self, select: str) -> str:
        """Its own objective, or else this one."""

    def best(
        self, seen: xr.Dataset, strategy: Strategy | Signal, settings: Mapping[str, Any]
    ) -> tuple[dict[str, Any], int]:
        """The parameters that it finds on these bars, and how many trials had the objective."""


@dataclass(frozen=True)
class Fold:
    """Rows of ``time``: train on [train, trained), trade [test, stop)."""

    train: int
    trained: int
    test: int
    stop: int


def folds(bars: xr.Dataset, windows: Rolling, start: Any = None, end: Any = None) -> list[Fold]:
    """The windows over the bars from ``start`` to ``end`` (K4). Raises UsageError when none fits, or two tests overlap.

    >>> from kernelkit.data import load
    >>> bars = load("sp500_index")
    >>> [f.stop - f.test for f in folds(bars, Rolling("2Y", "1Y"), start="2008", end="2011")]
    [252, 252]
    """
    first, last = span(bars, start, end)
    out = list[Fold]()
    for one in windows.windows(bars.isel(time=slice(first, last))):
        ((train, trained),), ((test, stop),) = one.shifted(first).train, one.shifted(first).test
        if out and test < out[-1].stop:
            fix = "Leave step= out, or make it at least as long as test=."
            raise UsageError(message("step", windows.step, "test windows that do not overlap", fix))
        out.append(Fold(train, trained, test, stop))
    return out


@arguments(account=Account, venue=Venue, fill_model=FillModel, finer=NOT_FINER)
def walk_forward(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy,
    *,
    grid: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    where: str | Callable[..., Any] | None = None,
    train: str | int = "5Y",
    test: str | int = "1Y",
    gap: str | int = 0,
    step: str | int | None = None,
    anchored: bool = False,
    carry: bool = True,
    select: str = SELECTED,
    searcher: Chooser | Search | None = None,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Walk forward through one asset, or a portfolio: each fold trades the cell with the best training metric.

    That is the largest ``select``, a metric of `kk.backtest` (``"-max_drawdown"``: the smallest); of equal ones the
    earliest. ``train``, ``test`` and ``step`` are durations (5Y, 6M, 8W, 90D), or numbers of bars; ``gap`` bars, or a
    duration, are left out at the end of each training window; ``anchored`` ones begin at the start (rule K4).

    The test windows form one run of one account under the switch rule: at a switch live orders are cancelled, the new
    parameters' strategy state is replayed over all earlier bars with orders inert, and account and position carry on
    (``carry=False``: a target of zero is sent, which the next open fills). Between windows that are apart (a ``step``
    longer than ``test``) the account is closed so, and orders are inert (K5). A training run ends with its window.

    ``searcher(seen, strategy, grid, settings)`` may choose in place of the grid: it gets the bars up to the end of a
    training window, and its ``start`` and what else was given as keywords of `kk.backtest`, and returns parameters.
    `kk.searcher` makes one, which has a space in place of a grid and searches for ``select``, unless it has an
    ``objective`` of its own. ``attrs["selected_by"]`` is the metric chosen by, or ``"searcher"`` for a function.
    ``cache`` and ``memory_limit`` are those of `kk.backtest`: a study that was stopped goes on where it was. After an
    interrupt the first folds, whose training had ended, are traded, and ``attrs["interrupted"]`` says how many.

    Returns a Dataset with dim ``fold`` (coords ``train_start train_end test_start test_end``; the chosen parameters,
    ``is_sharpe_ratio``, ``oos_sharpe_ratio``, ``efficiency`` = OOS / IS, NaN where IS <= 0; ``is_`` and the metric
    chosen by, where that is another; ``training_trials``, how many had one, of a function's choice 1), the stitched
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
    metric_of(select, L.HEADLINE)  # or says at once that it is none
    if isinstance(searcher, Search):
        select = searcher.chooses_by(select)
        grid = searcher.ends() if grid is None else grid
    free_of("walk_forward", [*(grid or {}), *(params or {})], ("fold",))
    windows = folds(bars, Rolling(train, test, gap, step, anchored), start, end)
    scalars, axes = bind(strategy, params, grid)
    if not axes:
        raise UsageError(
            message("grid of a walk-forward", "no axis", "at least one", "Write grid=dict(fast=range(5, 55, 5)).")
        )
    common = Common(bars, strategy, params, grid, where, None, None, account, venue, fill_model)
    means = Means(client, cache, memory_limit)
    if searcher is None:
        chosen = selections(bars, common, axes, windows, select, means)
    else:
        chosen = each_of(windows, lambda fold: searched(bars, common, axes, fold, select, searcher, means))
    whole, windows = len(windows), windows[: len(chosen)]
    spans = [(fold.test, fold.stop) for fold in windows]
    one = traded(bars, strategy, scalars, axes, spans, [c["params"] for c in chosen], carry, settings)
    ds = assemble(one, windows, chosen, axes, settings)
    by = select if searcher is None or isinstance(searcher, Search) else "searcher"
    ds.attrs |= {"ledger": one.call, "study": "walk_forward", "selected_by": by}
    return stopped_at(ds, whole)


def each_of(windows: Sequence[Fold], choose: Callable[[Fold], Chosen]) -> list[Chosen]:
    """What is chosen in each window, or in those before an interrupt, which is raised where there are none."""
    chosen: list[Chosen] = []
    try:
        for fold in windows:
            chosen.append(choose(fold))
    except KeyboardInterrupt:
        if not chosen:
            raise
    return chosen


def stopped_at(ds: xr.Dataset, folds: int) -> xr.Dataset:
    """The same, which says so where it has fewer than so many folds."""
    done = ds.sizes["fold"]
    return ds if done == folds else ds.assign_attrs(interrupted=f"{done} of {folds} folds done")


def check_walk(bars: xr.Dataset, strategy: Strategy | Signal, fill_model: FillModel) -> Strategy:
    """A strategy whose runs can be stitched; raises UsageError or OrderError for any other."""
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


def metric_of(select: str, known: Sequence[str], argument: str = "select") -> tuple[str, float]:
    """What is chosen by, and its sign; raises UsageError, which names the argument, for what is no metric.

    >>> metric_of("-max_drawdown", ["max_drawdown"])
    ('max_drawdown', -1.0)
    """
    given: Any = select
    text = given if isinstance(given, str) else ""
    name, sign = (text[1:], -1.0) if text.startswith("-") else (text, 1.0)
    if name not in known:
        fix = f'Write {argument}="sortino_ratio", or "-max_drawdown" for the smallest.'
        raise UsageError(message(argument, repr(select), f"one of {', '.join(known)}", fix))
    return name, sign


def best_of(values: np.ndarray, sign: float) -> int:
    """The cell with the largest of these, times the sign, the earliest of equals; NaN is none.

    Where all are it is the first: its metric in training is NaN, and the study says how many cells had one.

    >>> best_of(np.array([np.nan, 2.0, 3.0, 3.0]), 1.0)
    2
    """
    return int(np.argmax(np.where(np.isnan(values), -np.inf, sign * values)))


def selections(
    bars: xr.Dataset,
    common: Common,
    axes: Mapping[str, Sequence[Any]],
    windows: Sequence[Fold],
    select: str,
    means: Means,
) -> list[dict[str, Any]]:
    """The best cell of each training window, whose runs end with it; all windows are one job.

    After an interrupt of the first ones, whose runs had ended; it is raised where there are none. Of each its
    parameters, its annual Sharpe ratio, the metric it was chosen by, and how many cells have one.
    """
    name, sign = metric_of(select, L.HEADLINE)
    times = bars["time"].values
    cases = [Case(k, settings={"start": times[f.train], "end": times[f.trained - 1]}) for k, f in enumerate(windows)]
    found = run("training window", cases, common, role="training", means=means)
    many = ended(found)
    if not many:
        raise KeyboardInterrupt
    shape = tuple(len(v) for v in axes.values())
    values, sharpes = (found[n].values[:many].reshape(many, -1) for n in (name, SELECTED))
    out = []
    for own, sharpe_ratios in zip(values, sharpes, strict=True):
        best = best_of(own, sign)
        place = np.unravel_index(best, shape)
        params = {n: v[int(k)] for (n, v), k in zip(axes.items(), place, strict=True)}
        measured = {SELECTED: float(sharpe_ratios[best]), name: float(own[best])}
        out.append({"params": params, **measured, "trials": int(np.isfinite(own).sum())})
    return out


def searched(
    bars: xr.Dataset,
    common: Common,
    axes: Mapping[str, Sequence[Any]],
    fold: Fold,
    select: str,
    searcher: Chooser | Search,
    means: Means,
) -> dict[str, Any]:
    """What a searcher has chosen on a training window, measured as `selections` does."""
    times = bars["time"].values
    settings = {n: getattr(common, n) for n in ("params", "where", "account", "venue", "fill_model")}
    settings |= {n: getattr(means, n) for n in ("client", "cache", "memory_limit")}
    settings = {n: v for n, v in settings.items() if v is not None} | {"start": times[fold.train]}
    seen = bars.isel(time=slice(0, fold.trained))
    fix = "Return a value for each axis: {'fast': 10, 'slow': 50}."
    given: Mapping[str, Any]
    many: int | None = None
    with ledger.role("training"):
        if isinstance(searcher, Search):
            given, many = searcher.best(seen, common.strategy, {**settings, "objective": select})
        elif callable(searcher):
            given = searcher(seen, common.strategy, dict(common.grid or {}), settings)
        else:
            raise UsageError(message("searcher", repr(searcher), "a function that returns parameters", fix))
    if not isinstance(given, Mapping):
        raise UsageError(message("what the searcher returned", repr(given), f"a dict of {', '.join(axes)}", fix))
    picked = dict(given)
    lost = set(axes) ^ set(picked)
    if lost:
        raise UsageError(
            message("what the searcher returned", f"{', '.join(picked) or 'nothing'}", ", ".join(axes), fix)
        )
    alone = Common(**{**vars(common), "params": {**(common.params or {}), **picked}, "grid": None})
    name, _ = metric_of(select, L.HEADLINE)
    case = Case(0, settings={"start": times[fold.train], "end": times[fold.trained - 1]})
    found = run("training window", [case], alone, role="training", strict=True, means=means)
    measured = {n: float(found[n].values.ravel()[0]) for n in (SELECTED, name)}
    return {"params": picked, **measured, "trials": int(np.isfinite(measured[name])) if many is None else many}


def assemble(
    one: Traded,
    windows: Sequence[Fold],
    chosen: Sequence[Mapping[str, Any]],
    axes: Mapping[str, Sequence[Any]],
    settings: Settings,
) -> xr.Dataset:
    """The study's Dataset, as `walk_forward` describes it."""
    ds = walked(one, windows, settings)
    inside, outside = np.array([c[SELECTED] for c in chosen]), ds["oos_sharpe_ratio"].values
    for name in axes:
        ds[name] = ("fold", np.array([c["params"][name] for c in chosen]))
    for name in sorted({n for c in chosen for n in c} - {"params", "trials", SELECTED}):
        known = schema.variable(name)
        told = {"long_name": f"{known.long_name} in training", "units": known.units}
        ds[f"is_{name}"] = "fold", np.array([c[name] for c in chosen]), told
    ds["is_sharpe_ratio"] = ("fold", inside)
    ds["efficiency"] = ("fold", np.where(inside > 0, outside / np.where(inside > 0, inside, 1.0), np.nan))
    ds["training_trials"] = ("fold", np.array([c["trials"] for c in chosen]))
    for name, text in (
        ("is_sharpe_ratio", "annual Sharpe ratio in training"),
        ("efficiency", "walk-forward efficiency: out-of-sample over training Sharpe ratio"),
    ):
        ds[name].attrs = {"long_name": text, "units": "1"}
    return ds


def walked(one: Traded, windows: Sequence[Fold], settings: Settings) -> xr.Dataset:
    """What one account came to in the test windows: headline metrics, curves, and each fold's span and Sharpe ratio."""
    recipe, logs = one.recipe, one.logs
    bars, place = recipe.bars, recipe.rows(0)
    times = bars["time"].values
    curves = Curves(recipe, logs)
    models = [settings.fill_model]
    ds = build(recipe, one.outcome, ("metrics", "blocks"), settings.venue, models, one.zero, curves)
    own = place[np.searchsorted(place, recipe.start) : np.searchsorted(place, recipe.stop)]
    equity = logs.curves[:, 0]
    cash = float(recipe.job.trials[0]["cash"])
    number = np.searchsorted([f.test for f in windows], own, side="right") - 1
    number = np.where(own < np.array([f.stop for f in windows])[number], number, -1)  # between two windows
    sessions = bars["session"].values[own]
    periods = float(bars.attrs["periods_per_year"])
    ds = ds.assign_coords(
        {
            "fold": np.arange(len(windows)),
            "time": times[own],
            "session": ("time", sessions),
            "train_start": ("fold", times[[f.train for f in windows]]),
            "train_end": ("fold", times[[f.trained - 1 for f in windows]]),
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
    ds["oos_sharpe_ratio"] = ("fold", sharpes(equity, sessions, number, len(windows), cash, periods))
    for name, text in (
        ("equity_oos", "equity, out of sample"),
        ("drawdown_oos", "drawdown, out of sample"),
        ("position_oos", "position, out of sample"),
        ("oos_sharpe_ratio", "annual Sharpe ratio out of sample"),
    ):
        ds[name].attrs = {"long_name": text, "units": {"equity_oos": "quote", "position_oos": "base"}.get(name, "1")}
    ds["equity_oos"].attrs["periods_per_year"] = periods
    return ds


def sharpes(
    equity: np.ndarray, sessions: np.ndarray, window: np.ndarray, n: int, cash: float, periods: float
) -> np.ndarray:
    """M5 over the sessions of each of ``n`` windows of a stitched curve: annual Sharpe ratios, NaN without variance.

    ``window`` says in which one each bar is, in order, -1 for none.

    >>> equity, sessions = np.array([101.0, 99.0, 102.0]), np.array([1, 2, 3])
    >>> sharpes(equity, sessions, np.zeros(3, int), 1, 100.0, 252.0).round(2).tolist()
    [4.3]
    """
    last = np.flatnonzero(np.r_[sessions[1:] != sessions[:-1], True])
    closes = np.r_[cash, equity[last]]
    with np.errstate(invalid="ignore", divide="ignore"):  # after ruin such samples count as 0 (M1)
        x = np.where(closes[:-1] > 0.0, closes[1:] / closes[:-1] - 1.0, 0.0)
    kept = window[last] >= 0
    x, edges = x[kept], np.searchsorted(window[last][kept], np.arange(n + 1))
    out = np.empty(n)
    for k in range(n):
        own = x[edges[k] : edges[k + 1]]
        many, s1, s2 = float(len(own)), float(np.sum(own)), float(np.sum(own * own))
        out[k] = scan.sharpe_ratio(many, s1, scan.variance(many, s1, s2), periods) if many else np.nan
    return out
