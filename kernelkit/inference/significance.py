"""Is a Sharpe ratio above what luck gives? Of one series, and of the best of many.

Inside, Sharpe ratios are those of one sample; what callers give and get is annual, with `periods` samples a year (M10).
I1 says what the standard error of a Sharpe ratio is, I2 what the maximum of many is.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.special
import xarray as xr

from kernelkit.errors import UsageError, arguments, message
from kernelkit.metrics.metric import RANGES, Periods, metric
from kernelkit.metrics.series import Array, centred, count, deviation, mean, positive, special, standardised, total

Method = Literal["exact", "approximate"]

_GRID = np.arange(-9.0, 39.0, 0.02)  # beyond it the normal density is 0 or multiplies nothing


def sharpe_error(sharpe: Array, n: Array, skewness: Array, kurtosis: Array, rho: Array = 0.0) -> Array:
    """The standard error of a Sharpe ratio per sample, I1; `kurtosis` of a normal series is 3.

    >>> round(float(sharpe_error(0.036 / 0.079, 24.0, -2.448, 10.164)), 4)
    0.3286
    """
    own = (1.0 + rho) / (1.0 - rho)
    crossed = (1.0 + rho + rho**2) / (1.0 - rho**2)
    squared = (1.0 + rho**2) / (1.0 - rho**2)
    variance = own - crossed * skewness * sharpe + squared * (kurtosis - 1.0) / 4.0 * sharpe**2
    return np.sqrt(variance / n)


def exceeds(
    sharpe: Array, null: Array, n: Array, skewness: Array, kurtosis: Array, convention: str, rho: Array
) -> Array:
    """How many standard errors a Sharpe ratio per sample lies above `null`, by I1's convention.

    >>> round(float(exceeds(0.036 / 0.079, 0.0, 24.0, -2.448, 10.164, "2012", 0.0)), 4)
    1.3576
    """
    if convention == "2012":
        return (sharpe - null) / positive(sharpe_error(sharpe, n - 1.0, skewness, kurtosis))
    return (sharpe - null) / positive(sharpe_error(null, n, skewness, kurtosis, rho))


def track_record(
    sharpe: Array, null: Array, skewness: Array, kurtosis: Array, level: float, convention: str, rho: Array
) -> Array:
    """The samples from which on a Sharpe ratio per sample is above `null` with this probability.

    >>> round(float(track_record(0.036 / 0.079, 0.0, -2.448, 10.164, 0.95, "2025", 0.0)), 3)
    13.029
    """
    if convention == "2012":
        off, error = 1.0, sharpe_error(sharpe, 1.0, skewness, kurtosis)
    else:
        off, error = 0.0, sharpe_error(null, 1.0, skewness, kurtosis, rho)
    needed = off + (error * float(scipy.special.ndtri(level)) / (sharpe - null)) ** 2
    return np.where(sharpe <= null, np.inf, needed)


def lag1(x: Array, convention: str) -> Array:
    """The first autocorrelation, where the convention counts it.

    >>> round(float(lag1(np.array([1.0, 2.0, 3.0, 4.0]), "2025_ar1")), 4)
    0.25
    """
    if convention != "2025_ar1":
        return 0.0
    off = centred(x)
    return total(off[..., 1:] * off[..., :-1]) / positive(total(off * off))


def _statistics(x: Array) -> tuple[Array, Array, Array, Array]:
    """Sharpe ratio per sample, number of samples, skewness and kurtosis (M12; of a normal series 3)."""
    return mean(x) / positive(deviation(x)), count(x), standardised(x, 3), standardised(x, 4)


@metric("1", "probability that the Sharpe ratio is above its benchmark", home="inference")
def probabilistic_sharpe_ratio(
    returns: Array,
    *,
    benchmark_sharpe: float = 0.0,
    rf: float = 0.0,
    convention: Literal["2012", "2025", "2025_ar1"] = "2012",
    periods: Periods = None,
) -> Array:
    """Probability that the Sharpe ratio is above `benchmark_sharpe`, an annual one.

    ``"2012"``: Bailey and López de Prado, The Sharpe ratio efficient frontier: the standard error of I1 at the ratio
    that was found, over n - 1. ``"2025"``: López de Prado, Lipton and Zoonekynd, How to use the Sharpe ratio: at the
    benchmark, over n; ``"2025_ar1"`` counts the first autocorrelation as well. They differ much: name the one you
    report. Of the best of several trials use `deflated_sharpe_ratio`. NaN without variance.

    >>> x = np.array([0.02, -0.01, 0.03, 0.01, -0.02, 0.02, 0.01, 0.00])
    >>> round(float(probabilistic_sharpe_ratio(x, periods=12)), 4)
    0.8592
    >>> round(float(probabilistic_sharpe_ratio(x, convention="2025", periods=12)), 4)
    0.8981
    """
    excess = returns - rf
    sharpe, n, skewness, kurtosis = _statistics(excess)
    null = benchmark_sharpe / periods**0.5
    z = exceeds(sharpe, null, n, skewness, kurtosis, convention, lag1(excess, convention))
    return special(z).ndtr(z)


@metric("1", "samples needed", home="inference")
def min_track_record_length(
    returns: Array,
    *,
    benchmark_sharpe: float = 0.0,
    level: float = 0.95,
    rf: float = 0.0,
    convention: Literal["2012", "2025", "2025_ar1"] = "2012",
    periods: Periods = None,
) -> Array:
    """How many samples like these `probabilistic_sharpe_ratio` needs to reach `level`; not rounded.

    Infinite where the Sharpe ratio is not above `benchmark_sharpe`: no length is enough. Conventions and sources are
    those of `probabilistic_sharpe_ratio`.

    >>> x = np.array([0.02, -0.01, 0.03, 0.01, -0.02, 0.02, 0.01, 0.00])
    >>> round(float(min_track_record_length(x, periods=12)), 2)
    17.33
    """
    excess = returns - rf
    sharpe, _, skewness, kurtosis = _statistics(excess)
    null = benchmark_sharpe / periods**0.5
    return track_record(sharpe, null, skewness, kurtosis, level, convention, lag1(excess, convention))


@metric("1", "probability that the Sharpe ratio is above the expected maximum of the trials", home="inference")
def deflated_sharpe_ratio(
    returns: Array,
    *,
    n_trials: float,
    sharpe_variance: float,
    rf: float = 0.0,
    convention: Literal["2014", "2025"] = "2014",
    periods: Periods = None,
) -> Array:
    """`probabilistic_sharpe_ratio` of the best of `n_trials`, against the maximum that luck is expected to give.

    `sharpe_variance` is the variance of the annual Sharpe ratios of the trials. Both conventions take the approximate
    maximum of I2. ``"2014"``: Bailey and López de Prado, The deflated Sharpe ratio, with I1's error of 2012.
    ``"2025"``: López de Prado, Lipton and Zoonekynd, with that of 2025 times the standard deviation of the maximum of
    n_trials standard normal numbers. Above 0.95 it is no test of 5 %: trials that resemble one another make it
    reject too rarely with their number as `n_trials`, and too often with a smaller, "effective" one.

    >>> x = np.array([0.02, -0.01, 0.03, 0.01, -0.02, 0.02, 0.01, 0.00])
    >>> round(float(deflated_sharpe_ratio(x, n_trials=10, sharpe_variance=0.5, periods=12)), 4)
    0.6204
    """
    return deflated(*_statistics(returns - rf), n_trials, sharpe_variance / periods, convention)


def deflated(
    sharpe: Array, n: Array, skewness: Array, kurtosis: Array, n_trials: float, variance: float, convention: str
) -> Array:
    """I2 from a series' statistics; Sharpe ratio and the trials' ``variance`` are of one sample.

    >>> round(float(deflated(np.float64(2.5 / 250**0.5), 1250.0, -3.0, 10.0, 100, 0.5 / 250, "2014")), 4)
    0.9004
    """
    null = float(_approximate(np.array(n_trials)) * variance**0.5)
    if convention == "2014":
        z = exceeds(sharpe, null, n, skewness, kurtosis, "2012", 0.0)
    else:
        z = exceeds(sharpe, null, n, skewness, kurtosis, "2025", 0.0) / deviation_of_maximum(n_trials)
    return special(z).ndtr(z)


def deviation_of_maximum(n_trials: float) -> float:
    """The standard deviation of the largest of so many independent standard normal numbers.

    >>> round(deviation_of_maximum(2), 6) == round((1 - 1 / np.pi) ** 0.5, 6)
    True
    """
    first, second = (float(_moment_of_maximum(np.array(n_trials), power)) for power in (1, 2))
    return float((second - first**2) ** 0.5)


def _moment_of_maximum(n: Array, power: int) -> Array:
    """By the trapezoidal rule, which converges exponentially for a smooth density that vanishes at both ends."""
    n = np.asarray(n, "f8")[..., None]
    density = n * np.exp(-0.5 * _GRID**2 + (n - 1.0) * scipy.special.log_ndtr(_GRID)) / (2.0 * np.pi) ** 0.5
    return np.sum(_GRID**power * density, axis=-1) * (_GRID[1] - _GRID[0])


def _approximate(n: Array) -> Array:
    """The mean of the Gumbel limit between two quantiles, at least 0."""
    inner = (1.0 - np.euler_gamma) * scipy.special.ndtri(1.0 - 1.0 / n)
    return np.maximum(inner - np.euler_gamma * scipy.special.ndtri(1.0 / (n * np.e)), 0.0)


@arguments()
def expected_max_sharpe(n_trials: Any, *, sharpe_variance: float = 1.0, method: Method = "exact") -> Any:
    """The Sharpe ratio that the best of so many independent trials without skill is expected to have, I2.

    A number, an array or a DataArray, as `n_trials` is; in units of `sharpe_variance`, the variance of the trials'
    Sharpe ratios. ``"exact"`` integrates; ``"approximate"`` is the formula of Bailey, Borwein, López de Prado and Zhu,
    Pseudo-mathematics and financial charlatanism (2014), which is 2.3 % high at 10 trials. Raises `UsageError` for
    less than 1 trial.

    >>> round(float(expected_max_sharpe(10)), 4), round(float(expected_max_sharpe(10, method="approximate")), 4)
    (1.5388, 1.5746)
    """
    for name, value in (("n_trials", n_trials), ("sharpe_variance", sharpe_variance)):
        _check("expected_max_sharpe", name, value)
    maximum = _maximum("expected_max_sharpe", n_trials, method)
    found = maximum * sharpe_variance**0.5
    return _described(found, "expected maximum of Sharpe ratios", "1", method)


@arguments()
def min_backtest_length(n_trials: Any, *, sharpe: float = 1.0, method: Method = "exact") -> Any:
    """The years below which the best of so many trials without skill is expected to have this annual Sharpe ratio.

    `(expected maximum / sharpe)^2`, Bailey, Borwein, López de Prado and Zhu (2014), theorem 1; they take
    ``"approximate"``. Raises `UsageError` for less than 1 trial, or a Sharpe ratio that is not positive.

    >>> round(float(min_backtest_length(45, method="approximate")), 2)
    5.0
    """
    _check("min_backtest_length", "n_trials", n_trials)
    if not sharpe > 0.0:
        fix = "Give the annual Sharpe ratio that would look good."
        raise UsageError(message("min_backtest_length: sharpe", sharpe, "a number above 0", fix))
    found = (_maximum("min_backtest_length", n_trials, method) / sharpe) ** 2
    return _described(found, "minimum backtest length", "years", method)


def _maximum(function: str, n_trials: Any, method: str) -> Any:
    if method == "exact":
        return xr.apply_ufunc(_moment_of_maximum, n_trials, kwargs={"power": 1})
    if method == "approximate":
        return xr.apply_ufunc(_approximate, n_trials)
    fix = f"See help(kk.inference.{function})."
    raise UsageError(message(f"{function}: method", repr(method), "one of 'exact', 'approximate'", fix))


def _described(found: Any, long_name: str, units: str, method: str) -> Any:
    if isinstance(found, xr.DataArray):
        found.attrs = {"long_name": long_name, "units": units, "method": method}
    return found


def _check(function: str, name: str, value: Any) -> None:
    wanted, fits = RANGES[name]
    if isinstance(value, str) or not np.all(fits(value)):
        raise UsageError(message(f"{function}: {name}", repr(value), wanted, f"See help(kk.inference.{function})."))
