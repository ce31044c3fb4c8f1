"""The standard error of a Sharpe ratio, also of correlated samples (I16)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from kernelkit.inference.significance import sharpe_error
from kernelkit.metrics.metric import Periods, metric
from kernelkit.metrics.regression import newey_west_lags
from kernelkit.metrics.series import Array, centred, column, count, deviation, mean, positive, standardised, whole


def long_run_variance(x: Array, n: Array, lags: Array) -> Array:
    """Variance of sqrt(n) times the mean, weights of Bartlett (Newey and West, 1987); `x` deviations, 0 where none is.

    >>> float(long_run_variance(np.array([1.0, -1.0, 1.0, -1.0]), 4.0, 1.0))
    0.25
    """
    most = int(np.max(lags)) if np.ndim(lags) else int(lags)
    found = np.sum(x * x, axis=-1)
    for lag in range(1, min(most, x.shape[-1] - 1) + 1):
        weight = np.maximum(1.0 - lag / (lags + 1.0), 0.0)
        found = found + 2.0 * weight * np.sum(x[..., lag:] * x[..., :-lag], axis=-1)
    return found / n


def influence(x: Array) -> Array:
    """What each sample moves the Sharpe ratio per sample by, times n: the delta method's series, 0 where none is.

    >>> influence(np.array([1.0, 3.0]))
    array([-1.,  1.])
    """
    scale = positive(deviation(x, 0))
    z = whole(centred(x)) / column(scale)
    there = (~np.isnan(x)).astype("f8")
    return z - column(mean(x) / scale) / 2.0 * (z * z - there)


@metric("1", "standard error of the annual Sharpe ratio", home="inference")
def sharpe_ratio_error(
    returns: Array,
    *,
    method: Literal["hac", "moments", "normal"] = "hac",
    lags: int | None = None,
    rf: float = 0.0,
    periods: Periods = None,
) -> Array:
    """Standard error of the annual Sharpe ratio, I16; that of the bootstrap is `interval`'s.

    ``"normal"``: of independent normal samples, ``sqrt((1 + S^2 / 2) / n)`` per sample; ``"moments"``: of independent
    ones, with skewness and kurtosis (Mertens, 2002; Opdyke, 2007); ``"hac"``: also of correlated ones and of volatility
    that changes, by generalised moments (Lo, The statistics of Sharpe ratios, 2002) with `lags` of Newey and West
    (1987), None those of 1994. NaN without variance.

    >>> x = np.array([0.02, -0.01, 0.03, 0.01, -0.02, 0.02, 0.01, 0.00])
    >>> [round(float(sharpe_ratio_error(x, method=m, periods=12)), 3) for m in ("normal", "moments", "hac")]
    [1.285, 1.352, 0.576]
    """
    excess = returns - rf
    n, sharpe = count(excess), mean(excess) / positive(deviation(excess))
    if method == "normal":
        return sharpe_error(sharpe, n, 0.0, 3.0) * periods**0.5
    if method == "moments":
        return sharpe_error(sharpe, n, standardised(excess, 3), standardised(excess, 4)) * periods**0.5
    reach = newey_west_lags(n) if lags is None else float(lags)
    return np.sqrt(long_run_variance(influence(excess), n, reach) / n * periods)
