"""Runs the cases of a study: backtests that differ in one thing each, which becomes one labelled dim of the result."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import ledger, schema
from kernelkit.agenda import worthless
from kernelkit.binding import bind
from kernelkit.engine import compiled, explain
from kernelkit.errors import KernelkitError, UsageError, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Costs, Outcome, Table, new_outcome
from kernelkit.market.settings import Settings
from kernelkit.metrics.blocks import join
from kernelkit.progress import Meter
from kernelkit.recipe import Recipe, check_bars, plan_job, resolve, respanned, span
from kernelkit.result import trial_numbers
from kernelkit.spilling import Array, let_go, room
from kernelkit.strategy import Signal, Strategy
from kernelkit.tried import record, record_all, trial_keys
from kernelkit.working import Means, run_trials

if TYPE_CHECKING:
    import xarray as xr

BATCH_BYTES = 1 << 25  # of the bars that are laid out at once
BATCH_TRIALS = 1 << 14


@dataclass(frozen=True)
class Case:
    """One label along the dim of a study, and what is different there.

    ``bars`` are its own bars, or a function without arguments that makes them when their turn comes (None: the
    study's); ``settings`` are keywords of `kk.backtest`: ``params start end account venue fill_model``, and
    ``strategy``. ``role`` is its own in the ledger (None: the study's).

    >>> Case(2008, settings={"start": "2008", "end": "2008"}).label
    2008
    """

    label: Any
    bars: xr.Dataset | Callable[[], xr.Dataset] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    role: str | None = None


@dataclass(frozen=True)
class Common:
    """What cases share unless they say otherwise: the arguments of `kk.backtest` of these names."""

    bars: xr.Dataset | None
    strategy: Strategy | Signal
    params: Mapping[str, Any] | None = None
    grid: Mapping[str, Any] | None = None
    where: str | Callable[..., Any] | None = None
    start: Any = None
    end: Any = None
    account: Any = None
    venue: Any = None
    fill_model: Any = None

    def of(self, case: Case) -> Common:
        """The same for one case; raises UsageError for a setting that there is not."""
        known = {f.name for f in fields(self)} - {"bars", "grid", "where"}
        unknown = [n for n in case.settings if n not in known]
        if unknown:
            wanted = f"one of {', '.join(sorted(known))}"
            raise UsageError(message(f"setting of case {case.label!r}", unknown[0], wanted, "Check the name."))
        own = dict(case.settings)
        if "params" in own:
            own["params"] = {**(self.params or {}), **own["params"]}
        bars = case.bars() if callable(case.bars) else case.bars
        return replace(self, bars=self.bars if bars is None else bars, **own)


@dataclass(frozen=True)
class Laid:
    """A case whose trials are laid out."""

    label: Any
    recipe: Recipe
    settings: Settings
    role: str | None = None

    @property
    def tables(self) -> list[Table]:
        """The bars of its assets."""
        return self.recipe.job.tables

    @property
    def trials(self) -> int:
        """How many."""
        return len(self.recipe.job.trials)


Each = Callable[[Laid, Outcome], None]


@dataclass(frozen=True)
class Refused:
    """A case that could not be laid out, and why."""

    label: Any
    error: KernelkitError
    tables: tuple[Table, ...] = ()
    trials: int = 0


def run(  # noqa: PLR0913  its settings are keywords, and passed on
    dim: str,
    cases: Iterable[Case],
    common: Common,
    *,
    role: str,
    blocks: bool = False,
    whole: bool = False,
    strict: bool | Collection[Any] = False,
    total: int | None = None,
    means: Means | None = None,
    each: Each | None = None,
) -> xr.Dataset:
    """Backtest every case with its whole grid; a Dataset with ``dim`` before the axes of the grid, and ``asset``.

    Its variables are the scalar metrics of `kk.backtest`, ``error`` (text, empty where there is none: a case, or one
    of its trials, that fails is NaN with its reason, and the study goes on; with ``strict`` it is raised, as an
    interrupt is, or of the cases with these labels), and with ``blocks`` the block summaries, with ``whole`` all of a
    trial's joined into one (M3). ``each`` is handed each case and its outcome as they arrive, in order, and keeps of
    the block summaries what it wants: the study then has no more of a case than its metrics.

    Cases are laid out one after the other, as many at a time as fit `BATCH_BYTES`; those that differ in bars, span,
    parameters, account or venue alone run side by side. ``role`` is theirs in the ledger; ``total`` says how many
    there are where ``cases`` has no length. With a cache among ``means`` a study that was stopped, at whatever moment,
    goes on from the blocks of trials that have ended; an interrupt keeps what is done, if anything is, and
    ``attrs["interrupted"]`` says so. What results take beyond the memory limit lies in files. Raises UsageError where
    there is no case, or where two of them have different axes or assets.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> years = [Case(y, settings={"start": str(y), "end": str(y)}) for y in (2008, 2009)]
    >>> found = run("year", years, Common(kk.data.load("sp500_index"), hold), role="sensitivity")
    >>> found["total_return"].round(2).values.tolist()
    [-0.38, 0.2]
    """
    if total is None:
        cases = list(cases)
        total = len(cases)
    means = means or Means()
    found = _Found(dim, total, blocks and each is None, whole, means.bytes)

    def must(case: Laid | Refused) -> bool:
        return strict if isinstance(strict, bool) else case.label in strict

    def finish(several: list[Laid] | Refused) -> None:
        if isinstance(several, Refused):
            if must(several):
                raise several.error
            found.refuse(several)
            meter.fail(1)
            return
        parts, reasons, interrupted = outcomes(several, role, blocks, means, dim)
        for case, part, why in zip(several, parts, reasons, strict=True):
            if must(case) and part.errors:
                explain(case.recipe, part, case.settings.venue)
            if each is not None:
                each(case, part)
            found.take(case, part, why)
            meter.fail(len(part.errors))
        if interrupted:
            raise KeyboardInterrupt

    try:
        with Meter(f"{dim}: {total} cases", total) as meter:
            for batch in batches(lay(cases, common)):
                many = len(batch)
                several = alike(batch)
                batch.clear()  # nothing is held while the next one is laid out
                while several:
                    finish(several.pop(0))
                meter.advance(many)
    except KeyboardInterrupt:
        if strict is True or not found.done:
            raise
        return found.dataset(f"{found.done} trials of {len(found.labels)} cases done, of {total} cases")
    return found.dataset()


def uninterrupted(ds: xr.Dataset) -> xr.Dataset:
    """The same study; raises KeyboardInterrupt where it was interrupted, as nothing follows from a part of it."""
    if "interrupted" in ds.attrs:
        raise KeyboardInterrupt
    return ds


def ended(ds: xr.Dataset) -> int:
    """How many cases of a study, from the first on, have come to their end: all, where nobody interrupted it."""
    return int(ds.attrs.get("ended", len(ds[ds.attrs["study"]])))


def free_of(study: str, parameters: Iterable[str], dims: Iterable[str]) -> None:
    """Raise UsageError for a parameter with a name that the study's result has for something else.

    >>> free_of("stress", ["fast", "scenario"], ["scenario"])
    Traceback (most recent call last):
    kernelkit.errors.UsageError: kk.stress: found a parameter 'scenario', wanted a name beside scenario. Give it ...
    """
    taken = tuple(dims)
    for name in parameters:
        if name in taken:
            fix = f"Give it another name, such as {name}_wanted."
            raise UsageError(message(f"kk.{study}", f"a parameter {name!r}", f"a name beside {', '.join(taken)}", fix))


def lay(cases: Iterable[Case], common: Common) -> Iterator[Laid | Refused]:
    """Lay out cases in their order; those that make their own bars a few ahead, on other threads.

    The first one is laid out alone: what all of them need is then known.
    """
    workers = os.cpu_count() or 1
    left, whole = iter(cases), _whole(common)
    yield from (_lay(case, common) for case in islice(left, 1))
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[Laid | Refused]] = deque()
        for case in left:
            if not callable(case.bars):
                while ahead:
                    yield ahead.popleft().result()
                yield _lay(case, common, whole)
                continue
            ahead.append(pool.submit(_lay, case, common))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _whole(common: Common) -> Callable[[], Laid | Refused]:
    """What cases share over all of their bars, laid out when it is first asked for."""
    return cache(lambda: _lay(Case(None, settings={"start": None, "end": None}), common))


def _lay(case: Case, common: Common, whole: Callable[[], Laid | Refused] | None = None) -> Laid | Refused:
    try:
        own = common.of(case)
        if whole is not None and case.bars is None and set(case.settings) <= {"start", "end"}:
            laid = whole()
            if isinstance(laid, Laid) and laid.recipe.signal is None and not laid.recipe.shared:
                limits = span(laid.recipe.bars, own.start, own.end)
                return replace(laid, label=case.label, recipe=respanned(laid.recipe, limits), role=case.role)
        bars, strategy = check_bars(own.bars), resolve(own.strategy)
        scalars, axes = bind(strategy, own.params, own.grid)
        settings = Settings.of(own.account, own.venue, own.fill_model)
        limits = span(bars, own.start, own.end)
        recipe = plan_job(bars, strategy, scalars, axes, own.where, limits, settings, True)
    except KernelkitError as error:
        return Refused(case.label, error)
    return Laid(case.label, recipe, settings, case.role)


def batches(cases: Iterable[Laid | Refused]) -> Iterator[list[Laid | Refused]]:
    """Consecutive cases: a batch ends with `BATCH_TRIALS`, and before more bars where there are `BATCH_BYTES` of them.

    Cases on the same bars share them, and their indicators.
    """
    batch: list[Laid | Refused] = []
    known, size, trials = set[int](), 0, 0
    for case in cases:
        fresh = any(id(table) not in known for table in case.tables)
        if batch and ((fresh and size > BATCH_BYTES) or trials + case.trials > BATCH_TRIALS):
            yield batch
            batch, known, size, trials = [], set(), 0, 0
        batch.append(case)
        trials += case.trials
        for table in case.tables:
            if id(table) not in known:
                known.add(id(table))
                size += sum(c.nbytes for c in table.columns)
    if batch:
        yield batch


def alike(batch: Sequence[Laid | Refused]) -> list[list[Laid] | Refused]:
    """Consecutive cases whose trials can be one job: one compiled strategy, accounts of an asset each, no calendar."""
    out: list[list[Laid] | Refused] = []
    last: tuple[Any, ...] | None = None
    for case in batch:
        if isinstance(case, Refused):
            out.append(case)
            continue
        job, key = case.recipe.job, None
        if case.recipe.signal is None and not case.recipe.shared and not job.hours:
            key = case.recipe.strategy, job.text, job.plan, job.custom_state, case.role
        if key is not None and key == last and isinstance(out[-1], list):
            out[-1].append(case)
        else:
            out.append([case])
        last = key
    return out


def joined(recipes: Sequence[Recipe]) -> Recipe:
    """The trials of several recipes, in their order, as one: what is common to them stands once."""
    tables: dict[int, int] = {}
    venues: list[Costs] = []
    models: list[list[int]] = []
    trials, all_tables = [], list[Table]()
    for recipe in recipes:
        job = recipe.job
        for table in job.tables:
            if id(table) not in tables:
                tables[id(table)] = len(all_tables)
                all_tables.append(table)
        own = job.trials.copy()
        own["dataset"] = np.array([tables[id(t)] for t in job.tables])[own["dataset"]]
        own["venue"] = np.array([_place(venues, v) for v in job.venues])[own["venue"]]
        own["fill_model"] = np.array([_place(models, m) for m in job.fill_models])[own["fill_model"]]
        trials.append(own)
    first = recipes[0]
    job = replace(
        first.job,
        tables=all_tables,
        venues=venues,
        fill_models=models,
        trials=np.concatenate(trials),
        params=np.concatenate([r.job.params for r in recipes]),
    )
    return replace(first, job=job)


def _place(known: list[Any], one: Any) -> int:
    if one not in known:
        known.append(one)
    return known.index(one)


def outcomes(
    several: Sequence[Laid], role: str, blocks: bool, means: Means, dim: str
) -> tuple[list[Outcome], list[dict[int, str]], bool]:
    """What alike cases came to, why their failed trials failed, and whether they were interrupted.

    The ledger has them all; of rivals also what they come to where delistings of unknown value paid nothing (E4).
    """
    recipes = [case.recipe for case in several]
    whole = recipes[0] if len(recipes) == 1 else joined(recipes)
    parts, at = list[Outcome](), 0

    def keys(ends: bool) -> np.ndarray:
        return np.concatenate([trial_keys(c.recipe, [c.settings.fill_model], ends) for c in several])

    with ledger.role(several[0].role or role):
        for case in several:
            compiled(whole, case.settings.venue)
        keep, label = blocks or ledger.competing(), whole.strategy.name
        outcome, interrupted = run_trials(whole, keep, means, label, keys, (dim, [case.label for case in several]))
        for case in several:
            parts.append(outcome.part(at, at + case.trials))
            at += case.trials
        pairs = [*zip(several, parts, strict=True)]
        record_all([(case.recipe, part, case.settings.venue, [case.settings.fill_model]) for case, part in pairs])
        reasons = [{k: reason(c.recipe, c.settings, k, e) for k, e in part.errors.items()} for c, part in pairs]
        for case in several if ledger.competing() and not interrupted else ():
            interrupted = interrupted or at_zero(case, means)
    return parts, reasons, interrupted


def at_zero(case: Laid, means: Means) -> bool:
    """E4: record a case as it is where unknown delistings, if any, paid nothing; whether it was interrupted."""
    tables, models = worthless(case.recipe.job.tables), [case.settings.fill_model]
    if tables is None:
        return False
    other = replace(case.recipe, job=replace(case.recipe.job, tables=tables))
    zero, interrupted = run_trials(other, False, means, other.strategy.name, partial(trial_keys, other, models))
    record(other, zero, case.settings.venue, models, "delisting")
    return interrupted


def reason(recipe: Recipe, settings: Settings, trial: int, error: tuple[int, int, int]) -> str:
    """Why a trial failed, in one line."""
    failed = new_outcome(len(recipe.job.trials), False)
    failed.errors[trial] = error
    try:
        explain(recipe, failed, settings.venue)
    except Exception as found:  # noqa: BLE001  the strategy's own errors are of any type, and told rather than raised
        return told(found)
    raise AssertionError("a failed trial has a reason")


def told(error: BaseException | None) -> str:
    """An error in one line.

    >>> told(ValueError("no"))
    'ValueError: no'
    """
    return f"{type(error).__name__}: {error}"


class _Found:
    """The result of a study as it grows, case by case; what is beyond ``most`` bytes lies in files."""

    def __init__(self, dim: str, total: int, blocks: bool, whole: bool, most: float) -> None:
        self.dim, self.total, self.whole, self.most = dim, total, whole, most
        self.fields = list(L.NODE_FIELDS) if blocks else []
        self.labels: list[Any] = []
        self.errors: dict[tuple[int, ...], str] = {}  # by case and cell
        self.refused: dict[int, KernelkitError] = {}
        self.first: Recipe | None = None
        self.metrics: Array | None = None  # (metric, case, cell...)
        self.blocks: Array | None = None  # (case, cell..., block, summary)
        self.cells = 1  # blocks that any trial has
        self.trials = self.done = self.ended = 0

    def refuse(self, case: Refused) -> None:
        """Add a case without a result."""
        self.refused[len(self.labels)] = case.error
        self._end(case, True)

    def take(self, case: Laid, part: Outcome, reasons: Mapping[int, str]) -> None:
        """Add a case; raises UsageError where its axes or assets are not those of the cases before."""
        self.first = first = self.first or case.recipe
        if case.recipe.axes != first.axes or case.recipe.accounts != first.accounts:
            what, fix = f"case {case.label!r}", "Give all cases the same grid and the same assets."
            raise UsageError(message(what, "other axes or assets", "those of the first case", fix))
        numbers, at = trial_numbers(case.recipe), len(self.labels)
        if self.metrics is None:
            self.metrics = room((len(L.HEADLINE), self.total, *numbers.shape), "f8", self.most)
            if self.fields:
                wide = 1 if self.whole else L.MAX_CELLS
                self.blocks = room((self.total, *numbers.shape, wide, len(self.fields)), "f8", self.most)
        self.metrics[:, at] = np.vstack([part.headline, np.full(part.headline.shape[1], np.nan)]).T[:, numbers]
        let_go(self.metrics)
        if self.blocks is not None:
            self.blocks[at] = (_joined if self.whole else _summarised)(part, numbers, self.fields)
            self.cells = 1 if self.whole else max(self.cells, int(part.meta[:, 0].max(initial=1)))
            let_go(self.blocks)
        if reasons:
            self.errors |= {(at, *cell): reasons[k] for cell, k in np.ndenumerate(numbers) if k in reasons}
        self._end(case, bool(part.done.sum() + len(part.errors) == case.trials))
        self.trials += case.trials
        self.done += int(part.done.sum())

    def _end(self, case: Laid | Refused, whole: bool) -> None:
        if whole and self.ended == len(self.labels):
            self.ended += 1
        self.labels.append(case.label)

    def dataset(self, interrupted: str = "") -> xr.Dataset:
        """All of it; raises the first case's error where no case has a result, UsageError where there is no case."""
        import xarray as xr

        recipe, metrics, n = self.first, self.metrics, len(self.labels)
        if recipe is None or metrics is None:
            if self.refused:
                raise self.refused[min(self.refused)]
            raise UsageError(message(f"cases of {self.dim}", "none", "at least one", "Check what is to be studied."))
        dims = (self.dim, *recipe.axes, *(("asset",) if len(recipe.accounts) > 1 else ()))
        longest = max(map(len, (*self.errors.values(), *map(told, self.refused.values()))), default=1)
        error = np.zeros((n, *metrics.shape[2:]), f"U{longest}")
        for cell, why in self.errors.items():
            error[cell] = why
        for k, refusal in self.refused.items():
            error[k], metrics[:, k] = told(refusal), np.nan
        coords: dict[str, Any] = {self.dim: (self.dim, np.array(self.labels))}
        coords |= {n: (n, np.array(v), {"role": "param"}) for n, v in recipe.axes.items()}
        several = len(recipe.assets) > 1
        coords["asset"] = ("asset", recipe.assets) if several or recipe.shared else recipe.assets[0]
        variables: dict[str, Any] = {name: (dims, metrics[k, :n]) for k, name in enumerate(L.HEADLINE)}
        variables["error"] = dims, error, {"long_name": "why a trial has no result"}
        if self.blocks is not None:
            self.blocks[list(self.refused)] = np.nan
            coords["summary"] = ("summary", self.fields)
            year = {"periods_per_year": float(recipe.bars.attrs["periods_per_year"])}
            variables["blocks"] = (*dims, "block", "summary"), self.blocks[:n, ..., : self.cells, :], year
        ds = xr.Dataset(variables, coords)
        schema.label(ds)
        ds.attrs = {
            "study": self.dim,
            "strategy": recipe.strategy.name,
            "params": {k: v for k, v in recipe.params.items() if isinstance(v, (int, float, str, bool))},
            "periods_per_year": float(recipe.bars.attrs["periods_per_year"]),
            "failed": int((error != "").sum()),
            "trials": self.trials,
            **({"interrupted": interrupted, "ended": self.ended} if interrupted else {}),
        }
        return ds


def _summarised(part: Outcome, numbers: np.ndarray, fields: Sequence[str]) -> np.ndarray:
    """These fields of block summaries by cell, float64 (..., block, summary), NaN where there is none."""
    nodes = nodes_of(part)
    rows = np.stack([nodes[name].astype("f8") for name in fields], axis=-1)
    rows[np.arange(nodes.shape[1]) >= part.meta[:, :1]] = np.nan
    found: np.ndarray = np.concatenate([rows, np.full((1, *rows.shape[1:]), np.nan)])[numbers]  # -1 finds the NaN row
    return found


def nodes_of(part: Outcome) -> np.ndarray:
    """Block summaries (trial, block)."""
    if part.blocks is None:
        raise TypeError("blocks are kept where they are asked for")
    return part.blocks


def _joined(part: Outcome, numbers: np.ndarray, fields: Sequence[str]) -> np.ndarray:
    """As `_summarised`, all blocks of a trial joined into one."""
    nodes = nodes_of(part).copy()
    nodes["n"][np.arange(nodes.shape[1]) >= part.meta[:, :1]] = 0
    one, _ = join(nodes, 1.0)
    rows = np.stack([one[name].astype("f8") for name in fields], axis=1)
    rows[~part.done] = np.nan
    found: np.ndarray = np.vstack([rows, np.full((1, rows.shape[1]), np.nan)])[numbers]  # -1 finds the NaN row
    return found[..., None, :]
