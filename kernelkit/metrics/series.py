"""Series along the last axis, NaN where there is no sample: counts, moments, quantiles, wealth, running maxima.

Written with functions of numpy that cupy answers, too (NEP 13, NEP 18), so that one text serves both. Nothing here
warns of 0 / 0: `kernelkit.metrics.metric` calls it where that is meant.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import scipy.special

from kernelkit.errors import extra
from kernelkit.kernels.rows import ROUNDING
from kernelkit.kernels.scan import EPSILON

Array = Any  # of numpy or cupy


def column(values: Array) -> Array:
    """One number a series, set against its samples."""
    return values[..., None]


def whole(x: Array, fill: float = 0.0) -> Array:
    """The samples with `fill` where there are none."""
    return np.where(np.isnan(x), fill, x)


def count(x: Array) -> Array:
    """How many samples each series has, as float64.

    >>> count(np.array([[1.0, 2.0, np.nan], [np.nan, np.nan, np.nan]]))
    array([2., 0.])
    """
    return np.sum(~np.isnan(x), axis=-1).astype("f8")


def total(x: Array) -> Array:
    """The sum of the samples."""
    return np.sum(whole(x), axis=-1)


def mean(x: Array) -> Array:
    """The mean of the samples, NaN of none."""
    return total(x) / count(x)


def variance(x: Array, ddof: int = 1) -> Array:
    """M12: NaN of no more than `ddof` samples, 0 where all are equal up to rounding.

    >>> variance(np.array([[1.0, 2.0, 3.0, np.nan], [0.1, 0.1, 0.1, 0.1]]))
    array([1., 0.])
    """
    return spread(count(x), total((x - column(mean(x))) ** 2), total(x * x), ddof)


def centred(x: Array) -> Array:
    """The deviations from the mean; M12: 0 where all samples are equal up to rounding.

    >>> centred(np.array([[1.0, 3.0, np.nan], [0.1, 0.1, 0.1]]))
    array([[-1.,  1., nan],
           [ 0.,  0.,  0.]])
    """
    away = x - column(mean(x))
    flat = spread(count(x), total(away**2), total(x * x), 0) == 0.0
    return np.where(column(flat) & ~np.isnan(x), 0.0, away)


def spread(n: Array, deviations: Array, squares: Array, ddof: int) -> Array:
    """M12: the variance from the sums of the squared deviations and of the squares.

    `scan.variance` is that of bars that stream by, whose mean is known only at their end, and less exact for it.
    """
    over = np.where(n > ddof, n - ddof, np.nan)
    var = deviations / over
    return np.where(var <= n * EPSILON * squares / over, 0.0, var)


def deviation(x: Array, ddof: int = 1) -> Array:
    """The standard deviation."""
    return np.sqrt(variance(x, ddof))


def standardised(x: Array, power: int) -> Array:
    """The mean of the standardised samples to this power: 3 is skewness, 4 kurtosis; NaN without variance."""
    return standard_moment(mean((x - column(mean(x))) ** power), variance(x, 0), power)


def central_sums(n: Array, s1: Array, s2: Array, s3: Array, s4: Array) -> tuple[Array, Array, Array]:
    """The sums of the second to fourth powers of deviations from the mean, from those of the first four powers.

    >>> central_sums(3.0, 6.0, 14.0, 36.0, 98.0)
    (2.0, 0.0, 2.0)
    """
    d = s1 / n
    m3 = s3 - d * (3.0 * s2 - 2.0 * d * s1)
    return s2 - d * s1, m3, s4 - d * (4.0 * s3 - d * (6.0 * s2 - 3.0 * d * s1))


def standard_moment(moment: Array, var: Array, power: int) -> Array:
    """A central moment in units of the standard deviation."""
    return moment / positive(var) ** (power / 2.0)


def covariance(x: Array, y: Array, ddof: int = 1) -> Array:
    """The covariance of samples that both series have."""
    n = count(x)
    return total(centred(x) * centred(y)) / np.where(n > ddof, n - ddof, np.nan)


def slope(x: Array, y: Array) -> Array:
    """What x moves by where y moves by 1, least squares; NaN where y does not vary."""
    return covariance(x, y) / positive(variance(y))


def positive(values: Array) -> Array:
    """The values, NaN where they are not above 0: what a ratio may be taken over."""
    return np.where(values > 0.0, values, np.nan)


def partial_moment(x: Array, threshold: Array, order: float, side: int) -> Array:
    """The mean over all samples of the distance beyond the threshold to the power `order`; side -1 is below.

    >>> partial_moment(np.array([0.02, -0.01, -0.03, 0.0]), 0.0, 1.0, -1)
    np.float64(0.01)
    """
    beyond = np.maximum(side * (x - threshold), 0.0)
    return mean(beyond**order)


def ordered(x: Array) -> Array:
    """The samples in ascending order, then +inf for each that is missing."""
    return np.sort(whole(x, math.inf), axis=-1)


def quantile(x: Array, q: float) -> Array:
    """M13: linear between order statistics (type 7 of Hyndman and Fan, 1996), NaN of no samples.

    >>> quantile(np.array([[3.0, 1.0, 2.0, np.nan], [5.0, 6.0, 7.0, 8.0]]), 0.5)
    array([2. , 6.5])
    """
    n = count(x)
    place = (n - 1.0) * q
    nearest = np.floor(place + 0.5)
    place = np.where(np.abs(place - nearest) < 1e-9, nearest, place)  # 1 - 0.95 is not 0.05
    below = np.maximum(np.floor(place), 0.0)
    above = np.maximum(np.minimum(below + 1.0, n - 1.0), 0.0)
    values = ordered(x)
    low, high = (np.take_along_axis(values, column(at).astype("i8"), axis=-1)[..., 0] for at in (below, above))
    return np.where(n > 0.0, low + (place - below) * (high - low), np.nan)


def running_max(x: Array) -> Array:
    """The largest value so far. cupy has no maximum.accumulate: there it takes log2(n) steps of doubling reach."""
    if isinstance(x, np.ndarray):
        return np.maximum.accumulate(x, axis=-1)
    return running_max_since(x, np.zeros_like(x, dtype="?"))


def running_max_since(x: Array, restart: Array) -> Array:
    """The largest value since the last sample at which `restart` is set, itself included.

    >>> x, restart = np.array([3.0, 1.0, 2.0, 5.0]), np.array([False, True, False, False])
    >>> running_max_since(x, restart)
    array([3., 1., 2., 5.])
    """
    step = 1
    while step < x.shape[-1]:
        reach = np.where(restart[..., step:], x[..., step:], np.maximum(x[..., step:], x[..., :-step]))
        x = np.concatenate([x[..., :step], reach], axis=-1)
        restart = np.concatenate([restart[..., :step], restart[..., step:] | restart[..., :-step]], axis=-1)
        step *= 2
    return x


def positions(x: Array) -> Array:
    """0, 1, 2, ... along the last axis, as float64, of the same kind of array."""
    return np.cumsum(np.ones_like(x), axis=-1) - 1.0


def wealth(x: Array) -> Array:
    """M11: what 1 has become after each sample; 0 for ever after a return of -1 or less.

    >>> wealth(np.array([0.5, np.nan, -1.5, 0.2]))
    array([1.5, 1.5, 0. , 0. ])
    """
    return np.cumprod(np.maximum(1.0 + whole(x), 0.0), axis=-1)


def final_wealth(x: Array) -> Array:
    """What 1 has become at the end; NaN of no samples."""
    return np.where(count(x) > 0.0, np.prod(np.maximum(1.0 + whole(x), 0.0), axis=-1), np.nan)


def growth(x: Array, periods: float) -> Array:
    """M11: the compound growth of `periods` samples."""
    return compound(final_wealth(x), count(x), periods)


def compound(wealth: Array, n: Array, periods: float) -> Array:
    """M11: the growth of `periods` samples, of what `n` have made of 1."""
    return wealth ** (periods / n) - 1.0


def annual_ratio(gain: Array, risk: Array, periods: float) -> Array:
    """M5: what a sample gains over what it risks, times sqrt(periods); NaN without risk."""
    return gain / positive(risk) * np.sqrt(periods)


def underwater(x: Array) -> Array:
    """M11: the loss from the highest wealth so far, the initial 1 included, as a fraction; NaN where no sample is.

    >>> underwater(np.array([-0.5, 1.0, 0.5, -0.5]))
    array([0.5, 0. , 0. , 0.5])
    """
    level = wealth(x)
    loss = 1.0 - level / running_max(np.maximum(level, 1.0))
    # A product of the same factors in another order, as a GPU takes it, is not a drawdown.
    return np.where(np.isnan(x), np.nan, np.where(loss <= ROUNDING, 0.0, loss))


def pain(x: Array) -> Array:
    """The mean loss from the highest wealth so far."""
    return mean(underwater(x))


def ulcer(x: Array) -> Array:
    """The root mean square of these losses."""
    return np.sqrt(mean(underwater(x) ** 2))


def largest(x: Array) -> Array:
    """The largest sample, NaN of none."""
    return np.where(count(x) > 0.0, np.max(whole(x, -math.inf), axis=-1), np.nan)


def special(x: Array) -> ModuleType:
    """The module with scipy's special functions for this kind of array."""
    host = isinstance(x, np.ndarray | np.generic | float)
    return scipy.special if host else extra("cupyx.scipy.special", "gpu")
