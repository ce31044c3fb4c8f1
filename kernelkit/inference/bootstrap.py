"""Block bootstrap of a family by counts: how often each sample enters a replication, one product for all trials.

A replication's sums are `counts @ x` and `counts @ x**2`, so that 10,000 trials share two matrix products (I5). Arrays
are of numpy or cupy: `x` (samples, trials), `counts` (replications, samples). Samples may be blocks' means.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from kernelkit.errors import DataError, arguments, message
from kernelkit.metrics.series import Array, running_max

ROUNDING = 1e-13  # of a sum of squares: a variance of so little is none
_CELLS = 2**20  # of replications x trials at a time: what stays in a cache of 8 MB an array


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


@arguments()
def max_sharpe_test(x: Array, counts: Array) -> MaximumTest:
    """Is the best of these trials above 0? The studentised bootstrap of the maximum, and each trial's p-value.

    I5: `t = sqrt(n) mean / sd`; a replication's t is of its own standard deviation and of its mean less the trial's, so
    that no trial has skill there; same draws for all; `p = (1 + #) / (B + 1)`, # the replications whose largest t is
    not below the trial's; one without variance counts as such. `adjusted` are the p-values of Romano and Wolf's (2005)
    step-down, in the order of the trials: those at most the level have skill, whichever others have. Samples are to be
    alike: blocks of one length. Raises `DataError` for arrays that do not fit, NaN, and trials that do not vary.

    >>> from kernelkit.inference.draws import block_counts
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
    ranked, beyond, highest = t[order], 0.0 * t, []
    sizes, of = (None, None) if n is None else _distinct(n[:, order])
    for some in _parts(counts, off):
        many: Any = float(counts.shape[1])
        wider = many / (many - 1.0)
        if sizes is not None:
            drawn = np.maximum(some @ sizes, 1.0)
            wider = np.where(drawn > 1.0, drawn / np.maximum(drawn - 1.0, 1.0), 0.0)[:, of]
            many = drawn[:, of]
        resampled, spread = some @ off, some @ squares
        rounding = ROUNDING * spread
        spread -= resampled * resampled / many  # in place: each array that is made anew costs as much as its arithmetic
        none = spread <= rounding
        spread *= wider
        spread = np.sqrt(np.maximum(spread, 0.0, out=spread), out=spread)
        spread[none] = 1.0
        resampled /= spread
        resampled[none] = np.inf
        largest = _highest_after(resampled)
        highest.append(largest[:, 0].copy())
        beyond = beyond + np.sum(largest >= ranked, axis=0)
    back, replications = np.argsort(order), counts.shape[0]
    below = replications - np.searchsorted(np.sort(np.concatenate(highest)), ranked)
    p, adjusted = (1.0 + below) / (replications + 1.0), running_max((1.0 + beyond) / (replications + 1.0))
    best = float(p[0])
    return MaximumTest(t, p[back], (best * (1.0 - best) / replications) ** 0.5, adjusted[back])


def _distinct(columns: np.ndarray) -> tuple[np.ndarray, Any]:
    """The different columns, and which of them each one is; of a single one all rows need no more than that."""
    known: dict[bytes, int] = {}
    of = np.array([known.setdefault(column.tobytes(), len(known)) for column in np.ascontiguousarray(columns.T)])
    first = np.unique(of, return_index=True)[1]
    return columns[:, first], slice(None) if len(first) == 1 else of


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


@arguments()
def superior_ability(x: Array, counts: Array, *, length: float, studentised: bool = True) -> SuperiorAbility:
    """Does any of these trials have a mean above 0? Hansen (2005), A test for superior predictive ability.

    I6: the statistic is the largest `sqrt(n) mean / omega`, at least 0; omega^2 is the variance of `sqrt(n) mean` under
    the stationary bootstrap of mean block `length` (Politis and Romano, 1994, lemma 1). A replication's mean is less
    the trial's own where that is above 0 (``lower``), not below `-omega sqrt(2 log log n / n)` (``consistent``), for
    all (``upper``). Without ``studentised`` the statistic is not divided by omega: ``upper`` is then White's (2000)
    reality check. p-values as in `max_sharpe_test`. Raises `DataError` for arrays that do not fit.

    >>> from kernelkit.inference.draws import block_counts
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
    kept = [left / over for left in (np.minimum(centre, 0.0), np.where(near, 0.0, centre), 0.0 * centre)]
    scaled = off / (n * over)
    beyond = [0, 0, 0]
    for some in _parts(counts, x):
        means = some @ scaled
        for k, left in enumerate(kept):
            largest = np.maximum(np.max(means + left, axis=-1), 0.0)
            beyond[k] += int(np.sum(largest >= observed))
    return SuperiorAbility(*((1.0 + number) / (counts.shape[0] + 1.0) for number in beyond))


def _omega(off: Array, length: float) -> Array:
    """The exact standard deviation of sqrt(n) times a replication's mean; `off` are deviations from the mean."""
    n = off.shape[0]
    lag = np.cumsum(np.ones_like(off[:, 0])) - 1.0
    stays = 1.0 - 1.0 / length
    weight = (1.0 - lag / n) * stays**lag + lag / n * stays ** (n - lag)  # of a lag round the end: by frequencies
    power = np.abs(np.fft.fft(off, axis=0)) ** 2
    return np.sqrt(np.real(np.fft.fft(weight)) @ power) / n
