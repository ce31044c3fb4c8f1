"""Runs the trials of a recipe: on threads or on a cluster, those apart whose results are known."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

import numpy as np

from kernelkit.kernels.job import Job, Outcome, new_outcome, spread
from kernelkit.kernels.session import ENDLESS, Failed, Pace, Session, Stop, simulate
from kernelkit.progress import Meter
from kernelkit.recipe import Recipe, with_target
from kernelkit.reuse import CANDLES_PER_S, PIECE_S, Results, State

FEW = 16  # trials whose states are kept, each some 40 kB
STEP = 1 << 20  # bars between two looks at an interrupt, some 10 ms
LEAST_BARS = 2e5, 2e6  # of a piece that is worth a thread; of one of several that a thread gets


def run_trials(
    recipe: Recipe,
    blocks: bool,
    client: Any,
    label: str,
    workers: int | None = None,
    put: Callable[[int, Outcome], None] | None = None,
) -> tuple[Outcome, bool]:
    """All trials of a recipe on ``workers`` threads (None: one for each core), or on a cluster.

    Returns the outcome and whether it was interrupted; trials that were done by then are kept. ``put`` is handed each
    piece as it ends, and its first trial, from any thread; pieces then take about `PIECE_S`.
    """
    job = recipe.job
    n = len(job.trials)
    outcome = new_outcome(n, blocks)
    bars = job.trials["i1"] - job.trials["i0"]
    stop, pace = Stop(), Pace()
    meter = Meter(label, n)
    per_trial = int(bars.mean())

    def tick(finished: int) -> None:
        if finished:
            meter.advance(finished, finished * per_trial)

    def piece(a: int, b: int) -> tuple[int, int, Outcome]:
        if recipe.signal is None:
            whole = simulate(job, a, b, blocks, stop, tick, pace)
            if put is not None:
                put(a, whole)
            return a, b, whole
        part, n_assets = new_outcome(b - a, blocks), len(recipe.assets)
        while a < b and not stop.is_set():  # one cell after the other: targets never lie there for all trials
            end = min(b, (a // n_assets + 1) * n_assets)
            one = simulate(with_target(recipe, a, end), 0, end - a, blocks, stop, tick, pace)
            part.take(len(part.done) - (b - a), one)
            a = end
        return b - len(part.done), b, part

    def take(a: int, _: int, part: Outcome) -> None:
        outcome.take(a, part)

    def arrive(a: int, b: int, part: Outcome) -> None:
        take(a, b, part)
        if put is not None:
            put(a, part)

    if client is not None:
        from kernelkit.cluster import run_on

        interrupted = run_on(client, recipe, blocks, arrive, tick)
        meter.close()
        return outcome, interrupted
    meter.start()
    interrupted = False
    if n == 1:  # on this thread: another would begin with cold caches
        try:
            take(*piece(0, 1))
        except KeyboardInterrupt:
            interrupted = True
        meter.close()
        return outcome, interrupted
    workers = workers or os.cpu_count() or 1
    least = ample = 1
    if recipe.signal is None:
        least, ample = (max(1, int(many / max(1, per_trial))) for many in LEAST_BARS)
    pieces = spread(n, workers, least, ample)
    if put is not None:
        most = max(1, int(PIECE_S * CANDLES_PER_S / max(1, per_trial)))
        pieces = [(k, min(k + most, b)) for a, b in pieces for k in range(a, b, most)]
    with ThreadPoolExecutor(workers) as pool:
        futures: list[Future[tuple[int, int, Outcome]]] = []
        try:
            futures += (pool.submit(piece, a, b) for a, b in pieces)
            ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
            if any(f.exception() is not None for f in ended):
                stop.set()
        except KeyboardInterrupt:
            interrupted = True
            stop.set()
        for f in futures:
            take(*f.result())
    meter.close()
    return outcome, interrupted


def run_new(
    recipe: Recipe, blocks: bool, client: Any, label: str, results: Results, keys: np.ndarray, stems: np.ndarray
) -> tuple[Outcome, bool]:
    """As `run_trials`, but for trials whose results are kept: those are taken, the others kept as they end.

    A few trials go on from where they have been before over fewer bars: ``stems`` are their keys there.
    """
    outcome = results.find(keys, blocks)
    left = np.flatnonzero(~outcome.done)
    if len(left) == 0:
        return outcome, False
    job = replace(recipe.job, trials=recipe.job.trials[left], params=recipe.job.params[left])

    def put(first: int, part: Outcome) -> None:
        results.put(keys[left[first : first + len(part.done)]], part)

    if client is None and len(left) <= FEW and goes_on(recipe):
        fresh, interrupted = run_further(job, label, results, stems[left], put)
    else:
        fresh, interrupted = run_trials(replace(recipe, job=job), blocks, client, label, put=put)
    outcome.headline[left], outcome.meta[left], outcome.done[left] = fresh.headline, fresh.meta, fresh.done
    if outcome.blocks is not None:
        outcome.blocks[left] = fresh.blocks
    outcome.errors = {int(left[k]): error for k, error in fresh.errors.items()}
    return outcome, interrupted


def candles(trials: np.ndarray) -> float:
    """How many bars trials go through, all together."""
    return float((trials["i1"] - trials["i0"]).sum())


def goes_on(recipe: Recipe) -> bool:
    """Whether the state of its trials is all that they need to go on with more bars; that of a portfolio is not."""
    job = recipe.job
    return not (recipe.shared or recipe.switches or recipe.finer is not None or job.hours)


def run_further(
    job: Job, label: str, results: Results, stems: np.ndarray, put: Callable[[int, Outcome], None]
) -> tuple[Outcome, bool]:
    """A few trials, each from the last state that is kept of it; their states at the end are kept.

    Returns the outcome and whether it was interrupted.
    """
    outcome, stop = new_outcome(len(job.trials), True), Stop()
    meter, states = Meter(label, len(job.trials)), dict[bytes, State]()

    def one(k: int) -> None:
        end, table = int(job.trials[k]["i1"]), job.tables[int(job.trials[k]["dataset"])]
        trials = job.trials[k : k + 1].copy()
        trials["i1"] = ENDLESS
        session = Session(replace(job, trials=trials, params=job.params[k : k + 1]), timed=False)
        at, before = 0, results.states(stems[k].tobytes())
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
            outcome.errors[k] = failure.status, failure.i, failure.argument
        else:
            if at == end:
                part = session.ended(end)
                outcome.take(k, part)
                put(k, part)
                states[stems[k].tobytes()] = State(end, table.digest_of(end), session.block.copy())
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
    results.keep(states)
    meter.close()
    return outcome, interrupted
