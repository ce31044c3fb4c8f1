"""Who proposes: sequences of points, Optuna's samplers, CMA-ES, differential evolution, Gaussian processes (D3)."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from kernelkit import rng
from kernelkit.errors import extra
from kernelkit.study.proposals import NOBODY, Point, Trials
from kernelkit.study.spaces import MISSES, Choice, Floats, Integer
from kernelkit.study.surrogate import Surrogate

START, NORMAL, SPREAD, AGAIN = range(1, 5)  # streams of random numbers; 0 are the points of `random`
DRAWN = 256  # points of a sequence at a time: Sobol's are balanced in powers of two
STARTUP = 10  # random proposals before there is a model
CANDIDATES = 1024  # points that a model is asked about
PATIENCE = 100  # proposals, or generations, in a row that do not fit: it is then helped to one that does
STEP = 0.3  # of CMA-ES at the beginning, in widths of the space


def in_sequence(trials: Trials, points: Iterator[Point], batch: int) -> None:
    """Propose these points until there are no more."""
    while several := list(itertools.islice(points, min(batch, trials.left))):
        trials.evaluate(several)


def grid(trials: Trials, seed: int, batch: int) -> None:
    """Every cell, in the order of a grid."""
    in_sequence(trials, trials.space.cells(), batch)
    if trials.left:
        trials.ended = "the grid has no more cells"


def random(trials: Trials, seed: int, batch: int) -> None:
    """Points drawn at random: proposal k is the same whatever their number."""

    def points() -> Iterator[Point]:
        k = 0
        while True:
            many = min(DRAWN, max(1, trials.left))  # one that is not asked for may not fit, and need not
            yield from trials.space.samples(seed, range(k, k + many))
            k += many

    in_sequence(trials, points(), batch)


def sobol(trials: Trials, seed: int, batch: int) -> None:
    """Sobol's sequence, scrambled by Owen's method (SciPy's)."""
    _filling(trials, "Sobol", seed, batch)


def halton(trials: Trials, seed: int, batch: int) -> None:
    """Halton's sequence, scrambled (SciPy's)."""
    _filling(trials, "Halton", seed, batch)


def _filling(trials: Trials, kind: str, seed: int, batch: int) -> None:
    from scipy.stats import qmc

    space = trials.space
    engine = getattr(qmc, kind)(len(space.axes), scramble=True, rng=np.random.default_rng(seed))

    def points() -> Iterator[Point]:
        missed = 0
        while missed < MISSES:
            for point in engine.random(DRAWN):
                values = space.at(point)
                missed = missed + 1 if values is None else 0
                if values is not None:
                    yield values
        raise space.empty()

    in_sequence(trials, points(), batch)


def tpe(trials: Trials, seed: int, batch: int) -> None:
    """Optuna's tree-structured Parzen estimator, ``batch`` proposals before any is told (the others count as bad)."""
    with _optuna() as optuna:
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP, constant_liar=True)
        _asked(trials, optuna, sampler, seed, batch, lambda: trials.proposed < STARTUP)


def nsga2(trials: Trials, seed: int, batch: int) -> None:
    """Optuna's NSGA-II, generations of ``batch``."""
    with _optuna() as optuna:
        sampler = optuna.samplers.NSGAIISampler(seed=seed, population_size=max(2, batch))
        _asked(trials, optuna, sampler, seed, max(2, batch), lambda: trials.proposed < batch)


@contextmanager
def _optuna() -> Iterator[Any]:
    """Optuna without its lines of log."""
    module = extra("optuna", "optimize")
    before = module.logging.get_verbosity()
    module.logging.set_verbosity(module.logging.WARNING)
    try:
        yield module
    finally:
        module.logging.set_verbosity(before)


def _asked(trials: Trials, optuna: Any, sampler: Any, seed: int, batch: int, blind: Callable[[], bool]) -> None:
    """Ask a sampler for batches, and tell it what they came to; what it makes ``blind`` has no parent."""
    space = trials.space
    study = optuna.create_study(sampler=sampler, directions=["maximize"] * len(trials.objectives))
    failed, missed = optuna.trial.TrialState.FAIL, 0
    while trials.left:
        asked, points = list[Any](), list[Point]()
        while len(asked) < batch:
            if missed >= PATIENCE:  # it does not find where points fit: it is given one that does
                point = space.sample(seed, trials.proposed + len(asked), START)
                study.enqueue_trial(space.named(point))
            trial = study.ask()
            point = space.chosen(lambda name, axis, trial=trial: _suggested(trial, name, axis))  # type: ignore[misc]
            missed = 0 if space.fits(point) else missed + 1
            if missed:
                study.tell(trial, state=failed)
                continue
            asked.append(trial)
            points.append(point)
        values = trials.evaluate(points, NOBODY if blind() else trials.best)
        for trial, told in zip(asked, values, strict=True):
            study.tell(trial, told.tolist())


def _suggested(trial: Any, name: str, axis: Any) -> Any:
    if isinstance(axis, Choice):
        return trial.suggest_categorical(name, axis.values)
    if isinstance(axis, Integer):
        return trial.suggest_int(name, axis.low, axis.high, step=axis.step, log=axis.log)
    return trial.suggest_float(name, axis.low, axis.high, log=axis.log)


def placed(trials: Trials, points: Floats, parents: Sequence[int] | int) -> Floats:
    """First objectives of points of the unit cube; what does not fit is not tried, and NaN."""
    space, found = trials.space, np.full(len(points), np.nan)
    values = [space.at(point) for point in points]
    fit = [k for k, one in enumerate(values) if one is not None]
    if fit:
        own = parents if isinstance(parents, int) else [parents[k] for k in fit]
        found[fit] = trials.evaluate([v for v in values if v is not None], own)[:, 0]
    return found


def cma(trials: Trials, seed: int, batch: int) -> None:
    """CMA-ES (the package cma's), generations of ``batch``; where it has converged it begins anew elsewhere."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Could not import matplotlib")  # which it would draw with
        module = extra("cma", "optimize")
    d, size, drawn = len(trials.space.axes), max(4, batch), itertools.count()

    def normals(*shape: int) -> Floats:
        many = int(np.prod(shape))
        return rng.normal(seed, next(drawn), np.arange(many), NORMAL).reshape(shape)

    idle = 0  # generations of which nothing fits
    for start in itertools.count():
        middle: Sequence[float] = [0.5] * d
        if start or trials.space.at(middle) is None:
            middle = trials.space.place(trials.space.sample(seed, start, AGAIN))
        options = {"bounds": [0.0, 1.0], "popsize": size, "randn": normals, "seed": float("nan"), "verbose": -9}
        # A population of one axis has no covariance: a second one, which nobody reads, gives it some.
        strategy = module.CMAEvolutionStrategy([*middle, 0.5][: max(2, d)], STEP, options)
        parent, begun = NOBODY, idle
        while not strategy.stop() and idle < begun + PATIENCE:
            asked = strategy.ask()
            before = trials.proposed
            found = placed(trials, np.array(asked)[:, :d], parent)
            strategy.tell(asked, (-np.where(np.isnan(found), trials.worst[0], found)).tolist())
            parent, idle = trials.best, idle + (trials.proposed == before)
        if idle > MISSES:
            raise trials.space.empty()


def de(trials: Trials, seed: int, batch: int) -> None:
    """Differential evolution (SciPy's), generations of ``batch``; where all members are equal it begins anew elsewhere.

    A proposal's parent is the member that it challenges.
    """
    size, draws = max(5, batch), np.random.default_rng(seed)
    for start in itertools.count():
        points = trials.space.samples(seed, range(start * size, (start + 1) * size), START)
        _bred(trials, [trials.space.place(point) for point in points], draws)


def _bred(trials: Trials, members: Sequence[Sequence[float]], draws: np.random.Generator) -> None:
    """Generations of these members, until all are equal."""
    from scipy.optimize import differential_evolution

    holders, best = [NOBODY] * len(members), np.full(len(members), -np.inf)  # by row of SciPy's population

    def badness(columns: Floats) -> Floats:
        points = columns.T
        found = placed(trials, points, holders)
        for k in np.flatnonzero(found >= best):
            holders[k], best[k] = trials.known[trials.space.at(points[k])], found[k]  # type: ignore[index]
        first = int(np.argmax(best))  # SciPy swaps it into its first row
        holders[0], holders[first] = holders[first], holders[0]
        best[[0, first]] = best[[first, 0]]
        return np.where(np.isnan(found), np.inf, -found)  # what does not fit takes no member's place

    differential_evolution(
        badness,
        [(0.0, 1.0)] * len(trials.space.axes),
        init=np.array(members),
        maxiter=trials.n,
        rng=draws,
        vectorized=True,
        updating="deferred",
        polish=False,
        tol=0.0,
    )


def gp(trials: Trials, seed: int, batch: int) -> None:
    """A Gaussian process and its expected improvement; each of a batch is believed as foreseen until it is told."""
    space, startup = trials.space, max(STARTUP, 2 * len(trials.space.axes))
    trials.evaluate(space.samples(seed, range(min(startup, trials.left))))
    for turn in itertools.count(1):
        if not trials.left:
            return
        tried = [*range(len(trials.points))]
        places = np.array([space.place(trials.points[k]) for k in tried])
        model = Surrogate.fit(places, trials.told(tried)[:, 0])
        near = space.place(trials.points[trials.best]) if trials.best != NOBODY else [0.5] * len(space.axes)
        candidates = _candidates(trials, near, seed, turn)
        at = np.array([space.place(point) for point in candidates])
        points, open_ = list[Point](), np.ones(len(candidates), bool)
        while len(points) < min(batch, trials.left, len(candidates)):
            k = int(np.argmax(np.where(open_, model.improvement(at), -np.inf)))
            points.append(candidates[k])
            open_[k] = False
            model = model.believing(at[k])
        if not points:
            trials.ended = f"none of {CANDIDATES:,} points drawn was new"
            return
        trials.evaluate(points, trials.best)


def _candidates(trials: Trials, near: Sequence[float], seed: int, turn: int) -> list[Point]:
    """Points that have not been tried: anywhere, and around the best of all."""
    d, half = len(near), CANDIDATES // 2
    draws = rng.uniform(seed, turn, np.arange(half * d), SPREAD).reshape(half, d)
    steps = rng.normal(seed, turn, np.arange(half * d), NORMAL).reshape(half, d)
    widths = 0.5 ** (1 + np.arange(half)[:, None] % 5)  # from a quarter of the space to a few hundredths
    around = np.clip(np.array(near) + 0.5 * widths * steps, 0.0, 1.0)
    found = dict.fromkeys(trials.space.at(point) for point in np.vstack([draws, around]))
    return [point for point in found if point is not None and point not in trials.known]
