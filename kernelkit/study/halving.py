"""Successive halving: many trials for a short time, the best of them for longer (rule D5)."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from kernelkit import reuse
from kernelkit.engine import compiled
from kernelkit.errors import OrderError, UsageError, message
from kernelkit.inference.checks import is_number
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Job, Outcome, new_outcome
from kernelkit.kernels.rungs import Rungs
from kernelkit.kernels.session import Stop, coded
from kernelkit.recipe import Recipe
from kernelkit.strategy import Signal
from kernelkit.study.proposals import NOBODY, Trials
from kernelkit.study.run import nodes_of
from kernelkit.tried import trial_keys

MOST_ETA, MOST_RUNGS = 10_000, 64  # a float has their power, and hardly any bars are left long before


def halving(trials: Trials, seed: int, eta: Any, rungs: Any) -> None:
    """Give up all but one in ``eta`` at each of ``rungs`` bars, from the same state on; random points."""
    eta, rungs = check(trials, eta, rungs)
    points = trials.space.samples(seed, range(trials.n))
    _, fresh = trials.enter(points, [NOBODY] * len(points))
    trials.proposed = trials.n
    trials.meter.advance(trials.n - len(fresh))
    groups = [_Group(numbers, recipe, trials) for numbers, recipe in trials.grouped(fresh)]
    row = groups[0].recipe.job.trials[0]
    first, end = int(row["trade_from"]), int(row["i1"])
    bars = [first + max(1, int((end - first) / eta ** (rungs - k))) for k in range(rungs)]
    name, sign = trials.objectives[0]
    try:
        for bar in [b for b in dict.fromkeys(bars) if b < end]:
            found = [group.climb(bar) for group in groups]
            values = np.concatenate([sign * one.headline[:, L.HEADLINE.index(name)] for one in found])
            numbers = np.concatenate([group.numbers for group in groups])
            order = np.lexsort((numbers, np.where(np.isnan(values), np.inf, -values)))
            kept, at = np.zeros(len(values), bool), 0
            kept[order[: math.ceil(len(values) / eta)]] = True
            for group, one in zip(groups, found, strict=True):
                group.settle(kept[at : at + len(one.done)], one, bar)
                at += len(one.done)
        for group in groups:
            group.settle(np.zeros(len(group.numbers), bool), group.climb(end), None)
    except KeyboardInterrupt:
        trials.interrupted = True


def check(trials: Trials, eta: Any, rungs: Any) -> tuple[float, int]:
    """These numbers; raises UsageError, or OrderError, for what cannot be halved."""
    recipe = next(iter(trials.layouts.values())).recipe
    if isinstance(recipe.strategy, Signal):
        fix = "Choose another method."
        raise UsageError(message("halving", f"signal {recipe.strategy.name}", "a @kk.strategy, bar by bar", fix))
    if trials.means.client is not None:
        fix = "Choose another method, or leave client= out."
        raise UsageError(message("halving", "a cluster", "this machine, where the states of trials stay", fix))
    if len(trials.objectives) != 1:
        raise UsageError(message("halving", f"{len(trials.objectives)} objectives", "one", 'Choose method="nsga2".'))
    numbers = is_number(eta) and 1.0 < eta <= MOST_ETA
    if not numbers or not is_number(rungs) or rungs != int(rungs) or not 1 <= rungs <= MOST_RUNGS:
        wanted = f"eta above 1 and at most {MOST_ETA:,}, and from 1 to {MOST_RUNGS} rungs"
        raise UsageError(message("halving", f"eta={eta!r}, rungs={rungs!r}", wanted, "The defaults are 3 and 3."))
    if (coded(recipe.job)["close_out"] != L.KEEP).any():
        found, fix = trials.settings.fill_model.close_out, "Choose another method; a rung is no last bar."
        raise OrderError(message("close_out of a search by halving", found, "none", fix))
    return float(eta), int(rungs)


class _Group:
    """Trials of one compiled strategy, on threads; laid out when the first bar is to be run that no cache knows."""

    def __init__(self, numbers: np.ndarray, recipe: Recipe, trials: Trials) -> None:
        self.numbers, self.recipe, self.trials = numbers, recipe, trials
        self.sessions: list[Rungs] | None = None
        self.stop = Stop()

    def climb(self, bar: int) -> Outcome:
        """What those that are left come to by a bar."""
        if not len(self.numbers):
            return new_outcome(0, True)
        recipe, results = self.recipe, self.trials.means.results
        rows = recipe.rows(0)
        until = replace(recipe, job=replace(recipe.job, trials=recipe.job.trials.copy()), stop=int(rows[bar - 1]) + 1)
        until.job.trials["i1"] = bar
        found = new_outcome(len(self.numbers), True)
        keys = trial_keys(until, [self.trials.settings.fill_model])
        if results is None or bar * len(keys) < reuse.WORTH:
            self._run(bar, found)
            return found
        if self.sessions is None:
            results.find(keys, found)
        if not found.done.all():
            self._run(bar, found)
            results.put(keys, found)
        return found

    def _run(self, bar: int, found: Outcome) -> None:
        if self.sessions is None:
            compiled(self.recipe, self.trials.settings.venue)
            self.sessions = [Rungs(job, self.stop) for job in _shares(self.recipe)]
        sessions = [one for one in self.sessions if len(one.alive)]

        def go(session: Rungs) -> Outcome:
            session.climb(bar)
            return session.so_far() if not self.stop.is_set() else new_outcome(0, False)

        with ThreadPoolExecutor(max(1, len(sessions))) as pool:
            futures = [pool.submit(go, one) for one in sessions]
            try:
                wait(futures)
            except KeyboardInterrupt:
                self.stop.set()
                raise
            at = 0
            for future in futures:
                part = future.result()
                found.take(at, part)
                at += len(part.done)

    def settle(self, kept: np.ndarray, found: Outcome, bar: int | None) -> None:
        """Record those that end here (given up before a bar, None: at their end), and go on with the others."""
        gone = np.flatnonzero(~kept)
        if len(gone):
            part = Outcome(
                found.headline[gone],
                nodes_of(found)[gone],
                found.meta[gone],
                found.done[gone],
                {k: found.errors[int(g)] for k, g in enumerate(gone) if int(g) in found.errors},
            )
            self.trials.take(self.numbers[gone], self._some(gone), part, bar)
            self.trials.meter.advance(len(gone))
        left, at = np.flatnonzero(kept), 0
        for session in self.sessions or ():
            n = len(session.alive)
            session.keep(left[(left >= at) & (left < at + n)] - at)
            at += n
        self.numbers, self.recipe = self.numbers[left], self._some(left)

    def _some(self, places: np.ndarray) -> Recipe:
        """The recipe of some of its trials."""
        recipe, n = self.recipe, len(places)
        job = replace(recipe.job, trials=recipe.job.trials[places], params=recipe.job.params[places])
        listed = {name: [values[k] for k in places] for name, values in (recipe.listed or {}).items()}
        return replace(recipe, job=job, axes={"trial": [*range(n)]}, listed=listed, cells=np.arange(n))


def _shares(recipe: Recipe) -> list[Job]:
    """The job's trials in as many parts as there are threads."""
    job, n = recipe.job, len(recipe.job.trials)
    workers = min(os.cpu_count() or 1, n)
    edges = [n * k // workers for k in range(workers + 1)]
    return [replace(job, trials=job.trials[a:b], params=job.params[a:b]) for a, b in pairwise(edges)]
