"""Block bootstrap of a family by counts: how often each sample enters a replication, one product for all trials.

A replication's sums are `counts @ x` and `counts @ x**2`, so that 10,000 trials share two matrix products (I5). Arrays
are of numpy or cupy: `x` (samples, trials), `counts` (replications, samples). Samples may be blocks' means.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, get_args

import numpy as np

from kernelkit.errors import DataError, UsageError, message
from kernelkit.inference.resampling import Blocks, block_indices
from kernelkit.metrics.series import Array, running_max

_CELLS = 2**23  # of replications x trials at a time: 64 MB an array


def block_counts(
    n: int, replications: int, *, length: float = 1.0, scheme: Blocks = "stationary", seed: int = 0
) -> Any:
    """How often each of `n` samples enters each replication, float64 (replications, n); each row sums to n.

    ``"stationary"``: blocks of geometric length with mean `length` (Politis and Romano, 1994); ``"circular"``: of
    `length`, also round the end (Politis and Romano, 1992); ``"moving"``: of `length`, within the sample (Künsch,
    1989); the last block is cut. ``"iid"``: single samples, `length` is 1. Draws are those of `kernelkit.rng` for this
    seed, the replication and the sample: more replications begin with the same ones. Raises `UsageError` for a length
    that the scheme cannot have.

    >>> block_counts(4, 2, length=2, scheme="circular").sum(axis=1)
    array([4., 4.])
    """
    _check(n, replications, length, scheme)
    paths = np.arange(replications)
    taken = block_indices(n, paths, length=length, scheme=scheme, seed=seed)
    rows = paths[:, None]
    return np.bincount((taken + rows * n).ravel(), minlength=replications * n).reshape(replications, n).astype("f8")


def _check(n: int, replications: int, length: float, scheme: str) -> None:
    fix = "See help(kk.inference.block_counts)."
    if scheme not in get_args(Blocks):
        wanted = f"one of {', '.join(map(repr, get_args(Blocks)))}"
        raise UsageError(message("block_counts: scheme", repr(scheme), wanted, fix))
    if n < 1 or replications < 1:
        raise UsageError(message("block_counts: n and replications", (n, replications), "at least 1 of each", fix))
    whole = length == int(length) if math.isfinite(length) else False
    fits = 1.0 <= length <= n and (whole or scheme == "stationary") and (length == 1 or scheme != "iid")
    if not fits:
        wanted = {"stationary": f"1 to {n}", "iid": "1"}.get(scheme, f"a whole number from 1 to {n}")
        raise UsageError(message("block_counts: length", length, wanted, fix))


class MaximumTest(NamedTuple):
    """What a test of the maximum finds: t of each trial, p-value of each (that of the best is the test's) and its Monte
    Carlo error, p-value of each by the step-down."""

    t: Array
    p: Array
    error: float
    adjusted: Array

    @property
    def p_value(self) -> float:
        """The p-value of the best trial."""
        return float(np.min(self.p))


def max_sharpe_test(x: Array, counts: Array) -> MaximumTest:
    """Is the best of these trials above 0? The studentised bootstrap of the maximum, and each trial's p-value.

    I5: `t = sqrt(n) mean / sd`; a replication's t is of its own standard deviation and of its mean less the trial's, so
    that no trial has skill there; same draws for all; `p = (1 + #) / (B + 1)`, # the replications whose largest t is
    not below the trial's; one without variance counts as such. `adjusted` are the p-values of Romano and Wolf's (2005)
    step-down, in the order of the trials: those at most the level have skill, whichever others have. Samples are to be
    alike: blocks of one length. Raises `DataError` for arrays that do not fit, NaN, and trials that do not vary.

    >>> x = np.array([[1.0, 0.2], [2.0, -0.1], [1.5, 0.3], [2.5, -0.2], [1.0, 0.1], [2.0, -0.3]])
    >>> found = max_sharpe_test(x, block_counts(6, 199))
    >>> found.p_value == found.adjusted.min() < 0.05 < found.adjusted[1]
    np.True_
    """
    n = _samples(x, counts)
    centre = np.sum(x, axis=0) / n
    off = x - centre  # the sums of deviations lose no digits to the mean
    t = n**0.5 * centre / _deviation(np.sum(off, axis=0), np.sum(off * off, axis=0), n)
    return studentised_maximum(t, off, off * off, None, counts)


def studentised_maximum(t: Array, off: Array, squares: Array, n: Array | None, counts: Array) -> MaximumTest:
    """The bootstrap of I5 for samples, or blocks of them, whose sums of deviations and of squared ones are given.

    `off`, `squares` and `n`, how many samples a block of a trial has (None: 1), are (block, trial), `t` (trial,).
    """
    order = np.argsort(-t)
    off, squares = off[:, order], squares[:, order]
    ranked, beyond, below = t[order], 0.0 * t, 0.0 * t
    sizes, of = (None, None) if n is None else np.unique(n[:, order], axis=1, return_inverse=True)
    for some in _parts(counts, off):
        many = float(counts.shape[1]) if sizes is None else np.maximum(some @ sizes, 1.0)[:, of]
        sums = some @ off
        spread = _deviation(sums, some @ squares, many)
        resampled = np.where(spread > 0.0, many**-0.5 * sums / np.where(spread > 0.0, spread, 1.0), np.inf)
        largest = _highest_after(resampled)
        below = below + np.sum(largest[:, :1] >= ranked, axis=0)
        beyond = beyond + np.sum(largest >= ranked, axis=0)
    back, replications = np.argsort(order), counts.shape[0]
    p, adjusted = (1.0 + below) / (replications + 1.0), running_max((1.0 + beyond) / (replications + 1.0))
    best = float(p[0])
    return MaximumTest(t, p[back], (best * (1.0 - best) / replications) ** 0.5, adjusted[back])


def _deviation(sums: Array, squares: Array, n: Any) -> Array:
    return np.sqrt(np.maximum(squares - sums * sums / n, 0.0) / (n - 1))


def _highest_after(a: Array) -> Array:
    return running_max(a[..., ::-1])[..., ::-1]


def _parts(counts: Array, x: Array) -> list[Array]:
    rows = max(1, _CELLS // x.shape[1])
    return [counts[k : k + rows] for k in range(0, counts.shape[0], rows)]


def _samples(x: Array, counts: Array) -> int:
    if x.ndim != 2 or counts.ndim != 2 or x.shape[0] != counts.shape[1] or x.shape[0] < 2 or not x.shape[1]:
        found = f"shapes {x.shape} and {counts.shape}"
        wanted = "(samples, trials) and (replications, samples), at least 2 samples"
        raise DataError(message("x and counts", found, wanted, "Make counts by block_counts(len(x), replications)."))
    if not bool(np.all(np.max(x, axis=0) > np.min(x, axis=0))):  # NaN neither
        found = "trials that have NaN or do not vary"
        raise DataError(message("x", found, "numbers that vary", "Leave those trials out."))
    return int(x.shape[0])


class SuperiorAbility(NamedTuple):
    """p-values of Hansen's test: none below zero recentred, those not far below, all."""

    lower: float
    consistent: float
    upper: float


def superior_ability(x: Array, counts: Array, *, length: float, studentised: bool = True) -> SuperiorAbility:
    """Does any of these trials have a mean above 0? Hansen (2005), A test for superior predictive ability.

    I6: the statistic is the largest `sqrt(n) mean / omega`, at least 0; omega^2 is the variance of `sqrt(n) mean` under
    the stationary bootstrap of mean block `length` (Politis and Romano, 1994, lemma 1). A replication's mean is less
    the trial's own where that is above 0 (``lower``), not below `-omega sqrt(2 log log n / n)` (``consistent``), for
    all (``upper``). Without ``studentised`` the statistic is not divided by omega: ``upper`` is then White's (2000)
    reality check. p-values as in `max_sharpe_test`. Raises `DataError` for arrays that do not fit.

    >>> x = np.array([[1.0, 0.2], [2.0, -0.1], [1.5, 0.3], [2.5, -0.2], [1.0, 0.1], [2.0, -0.3]])
    >>> superior_ability(x, block_counts(6, 199), length=1).upper
    0.005
    """
    n = _samples(x, counts)
    centre = np.sum(x, axis=0) / n
    off = x - centre
    omega = _omega(off, length)
    over = omega if studentised else 1.0 + 0.0 * omega
    near = centre >= -omega * (2.0 * max(math.log(math.log(n)), 0.0) / n) ** 0.5
    observed = float(np.maximum(np.max(centre / over), 0.0))
    kept = (np.minimum(centre, 0.0), np.where(near, 0.0, centre), 0.0 * centre)
    beyond = [0, 0, 0]
    for some in _parts(counts, x):
        means = some @ off / n
        for k, left in enumerate(kept):
            largest = np.maximum(np.max((means + left) / over, axis=-1), 0.0)
            beyond[k] += int(np.sum(largest >= observed))
    return SuperiorAbility(*((1.0 + number) / (counts.shape[0] + 1.0) for number in beyond))


def _omega(off: Array, length: float) -> Array:
    """The exact standard deviation of sqrt(n) times a replication's mean; `off` are deviations from the mean."""
    n = off.shape[0]
    place = np.cumsum(np.ones_like(off[:, 0]))
    lag = np.abs(place[:, None] - place)
    stays = 1.0 - 1.0 / length
    weight = (1.0 - lag / n) * stays**lag + lag / n * stays ** (n - lag)
    return np.sqrt(np.sum(off * (weight @ off), axis=0) / n)
