"""Runs the trials of a recipe: on threads or on a cluster, those apart whose results are known."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kernelkit import reuse
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Job, Outcome, new_outcome, spread
from kernelkit.kernels.session import ENDLESS, Failed, Pace, Session, Stop, coded, simulate
from kernelkit.progress import Meter
from kernelkit.recipe import Recipe, with_target
from kernelkit.reuse import CANDLES_PER_S, PIECE_S, Cache, Results, State, store_of
from kernelkit.spilling import ample, let_go, room, size_of

FEW = 16  # trials whose states are kept, each some 40 kB
STEP = 1 << 20  # bars between two looks at an interrupt, some 10 ms
LEAST_BARS = 2e5, 2e6  # of a piece that is worth a thread; of one of several that a thread gets
SHARPE = L.HEADLINE.index("sharpe_ratio")
SPILLED = 4  # a piece holds at most this part of the memory limit, over all threads

Put = Callable[[np.ndarray, Outcome], None]


@dataclass(frozen=True)
class Means:
    """What trials are run with: a cluster's client, what is known of them already, and how much memory is theirs.

    ``memory_limit`` is in bytes, or text such as ``"2GB"`` (None: a quarter of the machine's): what results take beyond
    it lies in a file. Raises UsageError for what is no size, and what no cache.
    """

    client: Any = None
    cache: Cache = None
    memory_limit: int | str | None = None
    device: bool = False  # trials run on the CUDA device
    results: Results | None = field(init=False)  # that `cache` means
    bytes: int = field(init=False)  # the memory limit

    def __post_init__(self) -> None:
        most = ample() if self.memory_limit is None else size_of(self.memory_limit, "memory_limit")
        object.__setattr__(self, "bytes", most)
        object.__setattr__(self, "results", store_of(self.cache))


def run_trials(
    recipe: Recipe, blocks: bool, means: Means, label: str, keys: Callable[[bool], np.ndarray]
) -> tuple[Outcome, bool]:
    """All trials of a recipe, each only where its result is not kept.

    What a device computes is neither looked up nor kept: a key says of which build the numbers are, and where user code
    calls a library's functions, the device's are others. ``keys(ends)`` are those of the trials (`tried.trial_keys`).
    Returns the outcome and whether it was interrupted; trials that were done by then are in it.
    """
    outcome = outcome_for(len(recipe.job.trials), blocks, means.bytes)
    worth = float((recipe.job.trials["i1"] - recipe.job.trials["i0"]).sum())
    results = means.results
    if results is None or means.device or recipe.signal is not None or worth < reuse.WORTH:
        return outcome, run(recipe, outcome, means, label)
    own = keys(True)
    results.find(own, outcome)
    left = np.flatnonzero(~outcome.done)
    if len(left) == 0:
        return outcome, False
    job = replace(recipe.job, trials=recipe.job.trials[left], params=recipe.job.params[left])

    def arrive(rows: np.ndarray, part: Outcome) -> None:
        results.put(own[rows], part)

    if means.client is None and len(left) <= FEW and goes_on(recipe):
        return outcome, run_further(job, outcome, left, label, results, keys(False)[left], arrive)
    return outcome, run(replace(recipe, job=job), outcome, means, label, rows=left, put=arrive)


def outcome_for(n: int, blocks: bool, most: float) -> Outcome:
    """Room for the outcome of ``n`` trials; block summaries beyond ``most`` bytes lie in a file."""
    return replace(new_outcome(n, False), blocks=room((n, L.MAX_CELLS), L.NODE, most) if blocks else None)


def run(
    recipe: Recipe,
    outcome: Outcome,
    means: Means,
    label: str,
    *,
    workers: int | None = None,
    rows: np.ndarray | None = None,
    put: Put | None = None,
) -> bool:
    """Run all trials of a recipe into ``outcome``, on ``workers`` threads (None: one for each core), or on a cluster.

    They are its ``rows`` (None: all). Returns whether it was interrupted; trials that were done by then are in it.
    ``put`` is handed each piece as it ends, and its rows, from any thread; pieces then take about `PIECE_S`.
    """
    job, blocks, n = recipe.job, outcome.blocks is not None, len(recipe.job.trials)
    stop, pace = Stop(), Pace()
    meter = Meter(label, n)
    per_trial = int((job.trials["i1"] - job.trials["i0"]).mean())

    def tick(finished: int) -> None:
        if finished:
            meter.advance(finished, finished * per_trial)

    places = np.arange(n) if rows is None else rows

    def arrive(a: int, b: int, part: Outcome) -> None:
        outcome.take(a if rows is None else places[a:b], part)
        let_go(outcome.blocks)
        if part.errors:
            meter.fail(len(part.errors))
        sharpe = part.headline[:, SHARPE]
        if n > 1 and np.isfinite(sharpe).any():
            meter.reach(float(np.nanmax(sharpe)), L.HEADLINE[SHARPE])
        if put is not None:
            put(places[a:b], part)

    def piece(a: int, b: int) -> None:
        if recipe.signal is None:
            arrive(a, b, simulate(job, a, b, blocks, stop, tick, pace))
            return
        n_assets = len(recipe.assets)
        while a < b and not stop.is_set():  # one cell after the other: targets never lie there for all trials
            end = min(b, (a // n_assets + 1) * n_assets)
            arrive(a, end, simulate(with_target(recipe, a, end), 0, end - a, blocks, stop, tick, pace))
            a = end

    interrupted = False
    if means.device:
        meter.start()
        most = trials_of(means.bytes / SPILLED) if blocks else n
        for a in range(0, n, most):
            b = min(n, a + most)
            part = new_outcome(b - a, blocks)
            interrupted = on_device(replace(job, trials=job.trials[a:b], params=job.params[a:b]), part, tick)
            arrive(a, b, part)
            if interrupted:
                break
        meter.close()
        return interrupted
    if means.client is not None:
        from kernelkit.cluster import run_on

        interrupted = run_on(means.client, recipe, blocks, arrive, tick)
        meter.close()
        return interrupted
    meter.start()
    if n == 1:  # on this thread: another would begin with cold caches
        try:
            piece(0, 1)
        except KeyboardInterrupt:
            interrupted = True
        meter.close()
        return interrupted
    workers = workers or os.cpu_count() or 1
    least = enough = 1
    if recipe.signal is None:
        # Of trials that begin late most bars are their indicators' alone, and each piece computes those anew.
        active = max(1.0, float((job.trials["i1"] - job.trials["trade_from"]).mean()))
        least, enough = (max(1, int(many / active)) for many in LEAST_BARS)
        enough = int(enough * max(1.0, float(job.trials["i1"].max()) / active))
    most = n
    if put is not None:
        most = max(1, int(PIECE_S * CANDLES_PER_S / max(1, per_trial)))
    if blocks:
        most = min(most, trials_of(means.bytes / (SPILLED * workers)))
    pieces = [(k, min(k + most, b)) for a, b in spread(n, workers, least, enough) for k in range(a, b, most)]
    with ThreadPoolExecutor(workers) as pool:
        futures: list[Future[None]] = []
        try:
            futures += (pool.submit(piece, a, b) for a, b in pieces)
            ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
            if any(f.exception() is not None for f in ended):
                stop.set()
        except KeyboardInterrupt:
            interrupted = True
            stop.set()
        for f in futures:
            f.result()
    meter.close()
    return interrupted


def trials_of(size: float) -> int:
    """How many trials have block summaries of so many bytes, one at least."""
    return max(1, int(size / (L.MAX_CELLS * L.NODE.itemsize)))


def on_device(job: Job, outcome: Outcome, tick: Callable[[int], None]) -> bool:
    """Run all trials of a job on the CUDA device; those that fail there, or need more room, run here.

    Returns whether it was interrupted; trials that were done by then are in the outcome.
    """
    from kernelkit.kernels.cuda import Card
    from kernelkit.kernels.fleet import Fleet

    stop = Stop()
    try:
        left = np.flatnonzero(Fleet(job, Card()).run_all(outcome, stop, tick))
        if len(left):
            rest = replace(job, trials=job.trials[left], params=job.params[left])
            part = simulate(rest, 0, len(left), outcome.blocks is not None, stop, tick)
            for k, trial in enumerate(left.tolist()):
                outcome.take(trial, part.part(k, k + 1))
    except KeyboardInterrupt:
        return True
    return False


def goes_on(recipe: Recipe) -> bool:
    """Whether the state of its trials is all that they need to go on with more bars.

    That of a portfolio is not, nor where the last bar closes positions (F9).
    """
    job = recipe.job
    closes = (coded(job)["close_out"] != L.KEEP).any()
    return not (closes or recipe.shared or recipe.switches or recipe.finer is not None or job.hours)


def run_further(
    job: Job, outcome: Outcome, rows: np.ndarray, label: str, results: Results, stems: np.ndarray, put: Put
) -> bool:
    """Run a few trials into these rows of ``outcome``, each from the last state that is kept of it.

    Their states at the end are kept, in the place of those that they went on from. Returns whether it was interrupted.
    """
    stop, meter = Stop(), Meter(label, len(job.trials))
    states, gone = dict[bytes, State](), dict[bytes, State]()

    def one(k: int) -> None:
        stem = stems[k].tobytes()
        end, table = int(job.trials[k]["i1"]), job.tables[int(job.trials[k]["dataset"])]
        trials = job.trials[k : k + 1].copy()
        trials["i1"] = ENDLESS
        session = Session(replace(job, trials=trials, params=job.params[k : k + 1]), timed=False)
        at, before = 0, results.states(stem)
        known = next((s for s in before if s.bars <= end and s.seen == table.digest_of(s.bars)), None)
        if known is not None:
            session.restore(known.block)
            at = known.bars
        begun = at
        try:
            while at < end and not stop.is_set():
                at = min(end, at + STEP)
                session.advance(at)
        except Failed as failure:
            outcome.errors[int(rows[k])] = failure.status, failure.i, failure.argument
            meter.fail(1)
        else:
            if at == end:
                part = session.ended(end)
                outcome.take(int(rows[k]), part)
                put(rows[k : k + 1], part)
                states[stem] = State(end, table.digest_of(end), session.block.copy())
                if known is not None and known.bars < end:
                    gone[stem] = known
        meter.advance(1, at - begun)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        futures = [pool.submit(one, k) for k in range(len(job.trials))]
        try:
            wait(futures)
            interrupted = False
        except KeyboardInterrupt:
            stop.set()
            interrupted = True
        for future in futures:
            future.result()
    results.keep(states, gone)
    meter.close()
    return interrupted
