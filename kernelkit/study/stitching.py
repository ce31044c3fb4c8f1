"""One account through windows of test under the parameters chosen for each: the switch rule (T9, K5)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.agenda import worthless
from kernelkit.binding import kind_of
from kernelkit.endless import one_recipe
from kernelkit.engine import explain
from kernelkit.kernels.block import slots_of
from kernelkit.kernels.job import Job, Logs, Outcome, Table, new_outcome
from kernelkit.kernels.session import ENDLESS, Failed, Recorder, Session
from kernelkit.kernels.switching import Switch, advance
from kernelkit.market.settings import Settings
from kernelkit.recipe import Recipe, clock_moments
from kernelkit.result import Curves
from kernelkit.strategy import Strategy
from kernelkit.study.splitters import Run
from kernelkit.table import clock_of, panel_of
from kernelkit.tried import record

if TYPE_CHECKING:
    import xarray as xr

Pick = Mapping[str, Any]


@dataclass
class Stitched:
    """Paths through the same windows, one trial each of ``recipe``, along its axis ``path``.

    ``switches`` are each path's; ``missing`` says of a path whose next state could not be replayed why, and with
    which parameters.
    """

    recipe: Recipe
    switches: list[tuple[Switch, ...]]
    missing: dict[int, tuple[Failed, Recipe]]
    picked: list[list[Recipe]]  # by path and window: a recipe that has its parameters
    picks: Sequence[Sequence[Pick]]

    def alone(self, path: int) -> Recipe:
        """One path as a recipe of its own."""
        job = self.recipe.job
        one = replace(job, trials=job.trials[path : path + 1], params=job.params[path : path + 1])
        params = {n: v for n, v in self.recipe.params.items() if n != "paths"}
        params["walk_forward"] = [dict(pick) for pick in self.picks[path]]
        cell = np.zeros((), "i8")
        return replace(self.recipe, job=one, axes={}, cells=cell, params=params, switches=self.switches[path])

    def run(self, path: int, settings: Settings) -> Outcome:
        """One path to its end; raises what stopped it, after it was recorded."""
        return self.through(path, Session(endless(self.alone(path).job), timed=False), settings)

    def logged(self, path: int, settings: Settings) -> tuple[Outcome, Logs]:
        """The same, and all that it did."""
        job = self.alone(path).job
        recorder = Recorder(endless(job), 0, last=int(job.trials[0]["i1"]))
        outcome = self.through(path, recorder, settings)
        return outcome, recorder.logs()

    def through(self, path: int, session: Session, settings: Settings) -> Outcome:
        """Bring a session through a path."""
        recipe, (failure, cause) = self.alone(path), self.missing.get(path, (None, None))
        row = recipe.job.trials[0]
        try:
            if failure is not None:  # the path may have failed before that
                advance(session, max([int(row["trade_from"]), *(one.bar for one in recipe.switches)]), recipe.switches)
                raise failure
            advance(session, int(row["i1"]), recipe.switches)
        except Failed as found:  # also what failed was tried
            known = tuple(one for one in recipe.switches if one.bar <= found.i)
            record(replace(recipe, switches=known), failed(found), settings.venue, [settings.fill_model])
            stopped(cause if cause is not None and found is failure else self._at(path, found.i), found, settings)
        return session.ended(int(row["i1"]))

    def _at(self, path: int, bar: int) -> Recipe:
        """A path's recipe, with the parameters that it has at a bar."""
        begun = [one.bar for one in self.switches[path] if not one.rests]
        if self.recipe.job.trials[path]["trade_from"] == 0:  # the first parameters are there from the first bar on
            begun = [0, *begun]
        own = self.picked[path][int(np.searchsorted(begun, bar, side="right")) - 1]
        recipe = self.alone(path)
        return replace(recipe, job=replace(recipe.job, params=own.job.params))

    def outcomes(self, settings: Settings) -> Outcome:
        """All paths, on threads."""
        out = new_outcome(len(self.switches), True)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            futures = [pool.submit(self.run, k, settings) for k in range(len(self.switches))]
            try:
                for k, future in enumerate(futures):
                    out.take(k, future.result())
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        return out

    def at_zero(self, settings: Settings) -> Outcome | None:
        """What the same choices come to where delistings of unknown value paid nothing (E4); None without any."""
        tables = worthless(self.recipe.job.tables)
        if tables is None:
            return None
        recipe = replace(self.recipe, job=replace(self.recipe.job, tables=tables))
        return replace(self, recipe=recipe).outcomes(settings)

    def curves(self) -> Curves:
        """The paths' curves and logs, found when they are looked at."""
        return _Curves(self)


@dataclass
class Traded:
    """One account through windows of test: all that it did, and the id of its row in the ledger.

    ``zero`` is what unknown delistings at zero would come to (E4).
    """

    recipe: Recipe
    outcome: Outcome
    logs: Logs
    zero: Outcome | None
    call: str


def traded(
    bars: xr.Dataset,
    strategy: Strategy,
    scalars: Mapping[str, Any],
    axes: Mapping[str, Sequence[Any]],
    windows: Sequence[Run],
    picks: Sequence[Pick],
    carry: bool,
    settings: Settings,
) -> Traded:
    """Trade each window under its parameters, and record that as one rival; see `stitched`."""
    paths = stitched(bars, strategy, scalars, axes, windows, [picks], carry, settings)
    outcome, logs = paths.logged(0, settings)
    recipe = paths.alone(0)
    call = record(recipe, outcome, settings.venue, [settings.fill_model])
    zero = paths.at_zero(settings)
    if zero is not None:
        record(recipe, zero, settings.venue, [settings.fill_model], "delisting")
    return Traded(recipe, outcome, logs, zero, call)


class _Curves(Curves):
    """Simulates paths again, through their switches."""

    def __init__(self, paths: Stitched) -> None:
        super().__init__(paths.recipe)
        self.paths = paths

    def alone(self, trial: int) -> tuple[Recipe, int]:
        """A path by itself."""
        return self.paths.alone(trial), 0

    def simulated(self, trial: int) -> Logs:
        """Everything that a path does, run once more."""
        recipe = self.paths.alone(trial)
        stop = int(recipe.job.trials[0]["i1"])
        recorder = Recorder(endless(recipe.job), 0, last=stop)
        advance(recorder, stop, recipe.switches)
        recorder.ended(stop)
        return recorder.logs()


def stitched(
    bars: xr.Dataset,
    strategy: Strategy,
    scalars: Mapping[str, Any],
    axes: Mapping[str, Sequence[Any]],
    windows: Sequence[Run],
    picks: Sequence[Sequence[Pick]],
    carry: bool,
    settings: Settings,
) -> Stitched:
    """Lay out paths through ``windows``, rows of ``time`` in order; ``picks`` are parameters by path and window.

    K5: at each switch live orders are cancelled, the next parameters' strategy state is replayed over all earlier bars
    with orders inert, and account and position carry on (without ``carry``: a target of zero is sent). Between windows
    that are apart a target of zero is sent, and orders are inert.
    """
    tried = {n: [*v, *(pick[n] for path in picks for pick in path if n in pick)] for n, v in axes.items()}
    types = {n: kind_of(n, tried.get(n, [scalars.get(n)]), d) for n, d in strategy.defaults.items()}
    names = [[repr(sorted(pick.items())) for pick in path] for path in picks]
    distinct = {
        name: pick for path, own in zip(picks, names, strict=True) for pick, name in zip(path, own, strict=True)
    }
    known = {n: one_recipe(bars, strategy, dict(scalars) | dict(p), None, settings, types) for n, p in distinct.items()}
    one = next(iter(known.values()))
    rows, rings = one.rows(0), ring_sizes([*known.values()])
    at, ends = (np.searchsorted(rows, [w[k] for w in windows]).tolist() for k in (0, 1))
    tables = clocked(bars, one, at[0])
    starts: dict[str, set[int]] = {name: set() for name in known}
    for path in names:
        for name, bar in zip(path[1:] if at[0] == 0 else path, at[1:] if at[0] == 0 else at, strict=True):
            starts[name].add(bar)
    jobs = {name: replace(r.job, ring_sizes=rings, tables=r.job.tables) for name, r in known.items()}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        found = pool.map(lambda name: replayed(jobs[name], sorted(starts[name])), known)
        states = dict(zip(known, found, strict=True))
    switches, missing = [], dict[int, tuple[Failed, Recipe]]()
    for k, path in enumerate(names):
        own = list[Switch]()
        for w, name in enumerate(path):
            words, failure = states[name]
            if at[w] > 0:
                if failure is not None and at[w] not in words:
                    missing[k] = failure, known[name]
                    break
                own.append(
                    Switch(at[w], words[at[w]], known[name].job.called, ends=w > 0, flattens=w > 0 and not carry)
                )
            if w + 1 < len(path) and ends[w] < at[w + 1]:
                own.append(Switch(ends[w], None, None, flattens=True, rests=True))
        switches.append(tuple(own))
    trials = np.repeat(one.job.trials, len(picks))
    trials["trade_from"], trials["i1"] = at[0], ends[-1]
    params = np.concatenate([known[path[0]].job.params for path in names])
    job = replace(one.job, tables=tables, trials=trials, params=params, ring_sizes=rings)
    recipe = replace(
        one,
        job=job,
        axes={"path": list(range(len(picks)))},
        cells=np.arange(len(picks)),
        start=int(rows[at[0]]),
        stop=int(rows[ends[-1] - 1]) + 1,
        params=dict(scalars) | {"paths": [[dict(p) for p in path] for path in picks]},
    )
    return Stitched(recipe, switches, missing, [[known[n] for n in path] for path in names], picks)


def ring_sizes(recipes: Sequence[Recipe]) -> dict[int, int]:
    """By site, the most that a rolling indicator needs under any of these parameters."""
    first = recipes[0].job.plan
    names = list(first.params)
    return {
        k: max(
            int(r.job.params[0, names.index(s.arguments[0])]) if s.arguments[0] in names else int(s.arguments[0])
            for r in recipes
        )
        for k, s in enumerate(first.sites)
        if s.rolling.ring
    }


def clocked(bars: xr.Dataset, recipe: Recipe, begin: int) -> list[Table]:
    """A recipe's tables; of a portfolio the benchmark begins with the first window."""
    tables, plan = recipe.job.tables, recipe.job.plan
    if not recipe.shared:
        return tables
    clock = clock_of(panel_of(bars, plan.features), bars, begin, clock_moments(plan))
    return [replace(clock, actions=tables[0].actions), *tables[1:]]


def endless(job: Job) -> Job:
    """A job whose trials do not end by themselves."""
    trials = job.trials.copy()
    trials["i1"] = ENDLESS
    return replace(job, trials=trials)


def replayed(job: Job, bars: Sequence[int]) -> tuple[dict[int, np.ndarray], Failed | None]:
    """The strategy's words, int64, before each of ``bars``, ascending, with orders inert since the first bar.

    A strategy that stops leaves those after that out, and the reason.
    """
    out = dict[int, np.ndarray]()
    session = Session(replace(endless(job), measure=False))
    session.frame["inert"] = 1
    try:
        for bar in bars:
            session.advance(bar)
            out[bar] = slots_of(session.block).copy()
    except Failed as failure:
        return out, failure
    return out, None


def stopped(recipe: Recipe, failure: Failed, settings: Settings) -> None:
    """Raise what stopped the run, as `explain` does; the recipe has the parameters of the window."""
    explain(recipe, failed(failure), settings.venue)


def failed(failure: Failed) -> Outcome:
    """What a run that was stopped came to."""
    outcome = new_outcome(1, False)
    outcome.errors[0] = (failure.status, failure.i, failure.argument)
    return outcome
