"""Cross-validation of a grid: every cell on every split, the choice of each, and whole paths of tests (K1-K6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import ledger
from kernelkit.binding import bind
from kernelkit.engine import NOT_FINER
from kernelkit.errors import UsageError, arguments, message
from kernelkit.kernels import layout as L
from kernelkit.lazy import LIMIT_BYTES
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.metrics.blocks import OUTPUTS, metrics_of
from kernelkit.recipe import check_bars, plan_job, resolve, span
from kernelkit.result import build
from kernelkit.reuse import Cache
from kernelkit.schema import covered
from kernelkit.strategy import Strategy
from kernelkit.study.run import Case, Common, run, uninterrupted
from kernelkit.study.splitters import Holdout, Run, Split, Splitter, combinatorial, places
from kernelkit.study.stitching import Stitched, stitched
from kernelkit.study.walk_forward import SELECTED, best_of, check_walk, metric_of
from kernelkit.tried import record, record_all
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

PIECE = 1 << 20  # block summaries that are joined at once, 120 MB


@dataclass(frozen=True)
class Parts:
    """The runs that splits are made of: each once, in the order of time, and which of them each split has."""

    runs: tuple[Run, ...]
    train: tuple[tuple[int, ...], ...]  # by split
    test: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, train: Sequence[Sequence[Run]], test: Sequence[Sequence[Run]]) -> Parts:
        """From runs by split."""
        runs = sorted({one for part in (*train, *test) for one in part})
        number = {one: k for k, one in enumerate(runs)}
        return cls(tuple(runs), *(tuple(tuple(number[one] for one in part) for part in side) for side in (train, test)))


@dataclass(frozen=True)
class Choice:
    """What splits have chosen: the ``metric``, the ``score`` of each cell (split, cell), and the ``best`` by split."""

    metric: str
    score: np.ndarray
    best: tuple[int, ...]


@arguments(account=Account, venue=Venue, fill_model=FillModel, finer=NOT_FINER)
def cross_validate(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy,
    *,
    grid: Mapping[str, Any],
    splits: Splitter | None = None,
    inner: Splitter | None = None,
    params: Mapping[str, Any] | None = None,
    where: str | Callable[..., Any] | None = None,
    select: str = SELECTED,
    carry: bool = True,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Cross-validate a grid: each split chooses a cell on what it trains on; its test windows trade that cell.

    ``splits`` is one of `kk.splits` (None: six groups of which two are tested in turn), of the bars from the first
    decision on. Each run of bars of a split is a trial of its own: it begins flat with the account's cash, earlier bars
    warm its indicators up, and it ends at its last bar, marked and not closed, so that nothing in training hangs on a
    bar of the test (K5). What a split trains on or tests are the sessions of its runs together, joined by M30.

    The cell that is chosen has the largest ``select``, a metric of M30 (``"-max_drawdown"``: the smallest), in
    training; with ``inner``, a splitter of what the split trains on, the largest mean of it over the tests of the inner
    splits (nested: K6). Where each run of tests is tested as often as any, the choices make *paths* (K3), each of them
    one account through all test windows under the switch rule of `kk.walk_forward`, ``carry`` too.

    Returns a Dataset. Over ``split`` and the grid: ``is_`` and ``oos_`` (in and out of sample) with each metric of M30,
    ``score``, what was chosen by, and ``error``. Over ``split``: ``chosen_`` with each parameter, ``is_score`` and
    ``oos_score`` of the chosen cell, ``efficiency``, OOS / IS, NaN where IS <= 0. Over ``path``: the headline metrics
    of `kk.backtest`, and the curves ``equity_oos``, ``drawdown_oos``, ``position_oos``, found when looked at. Over
    ``test_window``, the runs that are tested, where no two overlap: ``test_window_start``, ``test_window_end``,
    ``blocks``, what each cell came to in each (`kk.inference.pbo` takes them), and ``split_of``, whose choice each path
    trades there. The path of the middle Sharpe ratio is the rival that the ledger keeps, and what `kk.verdict` is
    about; cells are ``training``, other paths ``path``. Raises UsageError, DataError, StrategyError, OrderError, and
    what a chosen cell raises in its test.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def trend(ctx, n=50):
    ...     ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)
    >>> bars = kk.data.load("sp500_index")
    >>> found = cross_validate(bars, trend, grid={"n": [20, 100]}, splits=kk.splits.combinatorial(4, 2))
    >>> found.sizes["split"], found.sizes["path"], found["is_sharpe_ratio"].dims
    (6, 3, ('split', 'n'))
    """
    bars, settings = check_bars(bars), Settings.of(account, venue, fill_model)
    strategy = check_walk(bars, resolve(strategy), settings.fill_model)
    splits = combinatorial() if splits is None else splits
    given: tuple[tuple[str, Any], ...] = ("splits", splits), ("inner", inner)
    for name, one in given:
        if one is not None and not isinstance(one, Splitter):
            fix = "Write kk.splits.combinatorial(6, 2), or another of kk.splits."
            raise UsageError(message(name, type(one).__name__, "a splitter", fix))
    scalars, axes = bind(strategy, params, grid)
    if not axes:
        fix = "Write grid=dict(fast=range(5, 55, 5))."
        raise UsageError(message("grid of a cross-validation", "no axis", "at least one", fix))
    taken = [name for name in axes if name in ("split", "path", "test_window", "time", "summary")]
    if taken:
        raise UsageError(message("parameter", taken[0], "a name that no dim of the result has", "Call it otherwise."))
    metric, sign = metric_of(select, list(OUTPUTS))
    first, last = span(bars, start, end)
    first = plan_job(bars, strategy, scalars, axes, where, (first, last), settings, True).start
    span_of = bars.isel(time=slice(first, last))
    windows = [one.shifted(first) for one in splits.windows(span_of)]
    if isinstance(splits, Holdout):
        seal(bars, first + splits.cuts(span_of)[1], last)
    common = Common(bars, strategy, params, grid, where, None, None, account, venue, fill_model)
    parts = Parts.of([w.train for w in windows], [w.test for w in windows])
    nested = [inside(bars, w, inner) for w in windows] if inner is not None else []
    tests = sorted({one for own in nested for part in own for one in part} - set(parts.runs))
    summed, errors = sums(bars, common, [*parts.runs, *tests], Means(client, cache, memory_limit))
    periods = float(bars.attrs["periods_per_year"])
    trained, tested = (pooled(summed, side, periods) for side in (parts.train, parts.test))
    score = trained[metric]
    if nested:
        number = {one: k for k, one in enumerate([*parts.runs, *tests])}
        found = [pooled(summed, [[number[r] for r in part] for part in own], periods) for own in nested]
        score = np.stack([risked(own["n_sessions"], own[metric]).mean(axis=0) for own in found])
    shape = tuple(len(v) for v in axes.values())
    choice = Choice(metric, score, tuple(best_of(own, sign) for own in score))
    picked = [cell_at(axes, np.unravel_index(k, shape)) for k in choice.best]
    ds = assemble(axes, windows, bars, (trained, tested), choice, errors, parts)
    for name in axes:
        ds[f"chosen_{name}"] = ("split", np.array([p[name] for p in picked]), {"long_name": f"{name} that was chosen"})
    grouped(ds, bars, parts, summed, shape, list(axes), periods)
    ways = paths_of(parts)
    if ways is not None:
        tests_runs, split_of = ways
        picks = [[picked[s] for s in path] for path in split_of.tolist()]
        paths = stitched(bars, strategy, scalars, axes, tests_runs, picks, carry, settings)
        ds = walked(ds, paths, settings)
        ds["split_of"] = (
            ("path", "test_window"),
            split_of,
            {"long_name": "split whose choice a path trades in a window"},
        )
    name = type(splits).__name__.lower()
    ds.attrs |= {"study": "cross_validate", "splits": name, "selected_by": select, "nested": int(inner is not None)}
    return ds


def seal(bars: xr.Dataset, begin: int, stop: int) -> None:
    """Note in the ledger that the bars from a row on are sealed (J9), unless they are already, or there are none."""
    if begin < stop:
        ids = [str(i) for i in np.atleast_1d(bars["asset_id"].values).tolist()]
        when, _ = covered(bars, begin, stop)
        since, _ = ledger.looks(ids)
        if since is None or since > when:
            ledger.sealed(ids, when, "holdout of a cross-validation")


def inside(bars: xr.Dataset, one: Split, inner: Splitter) -> list[tuple[Run, ...]]:
    """K6: the runs that each inner split of what a split trains on tests, which end where its runs do."""
    rows = places(one.train)
    ends = np.array([b for _, b in one.train])
    out = []
    for split in inner.windows(bars.isel(time=rows)):
        found = list[Run]()
        for a, b in split.test:
            own = rows[a:b]
            cut = np.flatnonzero(np.searchsorted(ends, own[1:], "right") != np.searchsorted(ends, own[:-1], "right"))
            found += [(int(p[0]), int(p[-1]) + 1) for p in np.split(own, cut + 1)]
        out.append(tuple(found))
    return out


def sums(bars: xr.Dataset, common: Common, runs: Sequence[Run], means: Means) -> tuple[np.ndarray, np.ndarray]:
    """What each cell came to in each run, block summaries (run, cell, summary), and why it has none (run, cell)."""
    times = bars["time"].values
    cases = [Case(k, settings={"start": times[a], "end": times[b - 1]}) for k, (a, b) in enumerate(runs)]
    found = uninterrupted(run("run of bars", cases, common, role="training", blocks=True, whole=True, means=means))
    blocks = found["blocks"].values.reshape(len(runs), -1, len(L.NODE_FIELDS))
    error = found["error"].values.reshape(len(runs), -1)
    for k, (a, b) in enumerate(runs):
        if np.isnan(blocks[k, :, 0]).all():
            what, why = f"bars {times[a]} to {times[b - 1]}", next(filter(None, error[k]))
            fix = "Take fewer, longer splits." if "warm-up" in why else "See what the strategy does there."
            raise UsageError(message(what, why, "a run of at least one cell", fix))
    return blocks, error


def pooled(summed: np.ndarray, chosen: Sequence[Sequence[int]], periods: float) -> dict[str, np.ndarray]:
    """The metrics of M30 of each cell over the runs of each of ``chosen`` together; (chosen, cell) each.

    A cell that failed in one of its runs has none.
    """
    n_cell, most = summed.shape[1], max(map(len, chosen))
    size = 8 * len(OUTPUTS) * len(chosen) * n_cell
    if size > LIMIT_BYTES:
        found, fix = f"{size / 2**30:.1f} GiB", "Take fewer groups, or fewer cells."
        raise UsageError(message(f"metrics of {len(chosen)} splits and {n_cell} cells", found, "at most 1 GiB", fix))
    out = {name: np.empty((len(chosen), n_cell)) for name in OUTPUTS}
    padded = np.concatenate([summed, np.full((1, *summed.shape[1:]), np.nan)])
    place = np.array([[*own, *[-1] * (most - len(own))] for own in chosen])
    step = max(1, PIECE // (most * n_cell))
    for k in range(0, len(chosen), step):
        some = padded[place[k : k + step]]  # (split, run, cell, summary)
        rows = np.moveaxis(some, 1, 2).reshape(-1, most, summed.shape[2])
        lacking = (np.isnan(some[..., 0]) & (place[k : k + step] >= 0)[..., None]).any(axis=1)
        for name, values in zip(OUTPUTS, metrics_of(rows, periods), strict=True):
            out[name][k : k + step] = np.where(lacking, np.nan, values.reshape(-1, n_cell))
    return out


def risked(n: np.ndarray, values: np.ndarray) -> np.ndarray:
    """K6: 0 in the place of what is not a number, as nothing was risked (B2); NaN stays where there are no samples.

    >>> risked(np.array([5.0, np.nan]), np.array([np.nan, np.nan])).tolist()
    [0.0, nan]
    """
    return np.where(np.isnan(values) & (n > 0.0), 0.0, values)


def cell_at(axes: Mapping[str, Sequence[Any]], place: Sequence[Any]) -> dict[str, Any]:
    """The parameters of a cell.

    >>> cell_at({"fast": [5, 10], "slow": [50]}, (1, 0))
    {'fast': 10, 'slow': 50}
    """
    return {n: v[int(k)] for (n, v), k in zip(axes.items(), place, strict=True)}


def paths_of(parts: Parts) -> tuple[list[Run], np.ndarray] | None:
    """K3: the windows of test in order, and the split from which each path takes each (path, window).

    None where two of them overlap, or one is tested more often than another.

    >>> paths_of(Parts(((0, 4), (4, 8)), ((1,), (0,)), ((0,), (1,))))
    ([(0, 4), (4, 8)], array([[0, 1]]))
    """
    tested: dict[int, list[int]] = {}
    for split, own in enumerate(parts.test):
        for number in own:
            tested.setdefault(number, []).append(split)
    numbers = sorted(tested)
    windows = [parts.runs[k] for k in numbers]
    many = {len(own) for own in tested.values()}
    if len(many) != 1 or any(a[1] > b[0] for a, b in pairwise(windows)):
        return None
    return windows, np.array([tested[k] for k in numbers]).T


def assemble(
    axes: Mapping[str, Sequence[Any]],
    windows: Sequence[Split],
    bars: xr.Dataset,
    pair: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]],
    choice: Choice,
    errors: np.ndarray,
    parts: Parts,
) -> xr.Dataset:
    """What is known of each split, as `cross_validate` describes it."""
    import xarray as xr

    n, shape = len(windows), tuple(len(v) for v in axes.values())
    dims, rows = ("split", *axes), np.arange(n)
    ds = xr.Dataset(coords={"split": np.arange(n), **{a: (a, np.array(v), {"role": "param"}) for a, v in axes.items()}})
    for side, found in zip(("is", "oos"), pair, strict=True):
        said = "in sample" if side == "is" else "out of sample"
        for name, (units, text) in OUTPUTS.items():
            told = {"long_name": f"{text}, {said}"} | ({"units": units} if units else {})
            ds[f"{side}_{name}"] = dims, found[name].reshape(n, *shape), told
        ds[f"{side}_score"] = (
            "split",
            found[choice.metric][rows, choice.best],
            {"long_name": f"{choice.metric} of the chosen, {said}"},
        )
    trained, tested = (ds[f"{side}_score"].values for side in ("is", "oos"))
    ratio = np.where(trained > 0, tested / np.where(trained > 0, trained, 1.0), np.nan)
    ds["efficiency"] = "split", ratio, {"long_name": "out of sample over in sample", "units": "1"}
    ds["score"] = dims, choice.score.reshape(n, *shape), {"long_name": "what was chosen by"}
    why = [
        next((t for k in (*a, *b) if (t := errors[k, c])), "")
        for a, b in zip(parts.train, parts.test, strict=True)
        for c in range(errors.shape[1])
    ]
    ds["error"] = dims, np.array(why).reshape(n, *shape), {"long_name": "why a cell has no result"}
    times = bars["time"].values
    for name, runs in (("train", [w.train for w in windows]), ("test", [w.test for w in windows])):
        first, last = times[[own[0][0] for own in runs]], times[[own[-1][1] - 1 for own in runs]]
        ds = ds.assign_coords({f"{name}_start": ("split", first), f"{name}_end": ("split", last)})
    return ds


def grouped(
    ds: xr.Dataset,
    bars: xr.Dataset,
    parts: Parts,
    summed: np.ndarray,
    shape: tuple[int, ...],
    axes: Sequence[str],
    periods: float,
) -> None:
    """Add what each cell came to in each window that is tested."""
    numbers = sorted({k for own in parts.test for k in own})
    if any(parts.runs[a][1] > parts.runs[b][0] for a, b in pairwise(numbers)):
        return
    times = bars["time"].values
    blocks = summed[numbers].reshape(len(numbers), *shape, summed.shape[2])
    ds["summary"] = "summary", list(L.NODE_FIELDS)
    told = {"periods_per_year": periods, "long_name": "block summaries of each window that is tested"}
    ds["blocks"] = ("test_window", *axes, "summary"), blocks, told
    ds["test_window_start"] = "test_window", times[[parts.runs[k][0] for k in numbers]]
    ds["test_window_end"] = "test_window", times[[parts.runs[k][1] - 1 for k in numbers]]


def walked(ds: xr.Dataset, paths: Stitched, settings: Settings) -> xr.Dataset:
    """Run the paths, record them, and add what they came to."""
    outcome = paths.outcomes(settings)
    sharpe = outcome.headline[:, L.HEADLINE.index(SELECTED)]
    middle = middle_of(sharpe)
    told = [(paths.alone(k), outcome.part(k, k + 1), settings.venue, [settings.fill_model]) for k in range(len(sharpe))]
    (call,) = record_all([told.pop(middle)])
    if told:
        record_all(told, "path")
    zero = paths.at_zero(settings)
    if zero is not None:
        record(paths.alone(middle), zero.part(middle, middle + 1), settings.venue, [settings.fill_model], "delisting")
    models = [settings.fill_model]
    found = build(paths.recipe, outcome, ("metrics", "curves"), settings.venue, models, zero, paths.curves())
    own = {n for n in found.data_vars if "time" in found[n].dims} - {
        "equity",
        "drawdown",
        "position",
        *L.ACCOUNT_CURVES,
    }
    found = found.drop_vars(own)
    found = found.rename({n: f"{n}_oos" for n in found.data_vars if "time" in found[n].dims})
    attrs = found.attrs | {"ledger": call, "middle_path": middle}
    return ds.merge(found, join="exact").assign_attrs(attrs)


def middle_of(values: np.ndarray) -> int:
    """K6: the place of the middle one, the lower of two, the earliest of equals; NaN is the lowest.

    >>> middle_of(np.array([3.0, 1.0, 2.0, 4.0]))
    2
    """
    order = np.argsort(np.where(np.isnan(values), -np.inf, values), kind="stable")
    return int(order[(len(values) - 1) // 2])
