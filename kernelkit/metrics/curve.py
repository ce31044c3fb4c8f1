"""What a curve does over time: its trend, what noise hides of it, restless spells and samples that stand out.

`equity` is a level (wealth, a price); its logarithm suits the smoothers better where it has grown much.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.special
from numpy.typing import NDArray

from kernelkit.kernels.scan import EPSILON
from kernelkit.metrics.metric import Periods, Sampling, metric
from kernelkit.metrics.regression import Correction, least_squares, mean_test

Floats = NDArray[np.float64]
Model = Literal["level", "trend"]

NORMAL_MAD = 1.482602218505602  # the standard deviation of a normal distribution over its median absolute deviation
FEWEST = 10  # samples from which variances are estimated
_STATSMODELS = {"level": "local level", "trend": "local linear trend"}


@metric("of the curve", "curve smoothed with all samples, later ones included", shape="curve", alone=True)
def smoothed(equity: Floats, *, method: Literal["lowess", "level", "trend"] = "lowess", share: float = 0.1) -> Any:
    """The curve without its noise, in hindsight (M20): each value uses samples before it and after it.

    ``"lowess"``: local lines through the nearest ``share`` of the samples, robust (Cleveland, 1979). ``"level"``: a
    random walk seen through noise, ``"trend"``: one whose slope walks, too; variances by maximum likelihood, then the
    Kalman smoother (Harvey, 1989). NaN below 10 samples. Nothing that trades may see it: that is `filtered`.

    >>> x = np.array([0.0, 1.0, 2.0, 9.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])
    >>> smoothed(x, share=0.8)[3].round(2)
    np.float64(3.0)
    """
    if len(equity) < FEWEST:
        return np.full(len(equity), np.nan)
    if method == "lowess":
        from statsmodels.nonparametric.smoothers_lowess import lowess

        place = np.arange(len(equity), dtype=float)
        return lowess(equity, place, frac=share, delta=0.01 * place[-1], is_sorted=True, return_sorted=False)
    if not _noise(equity) > 0.0:
        return equity
    model, variances, scale = _state_space(equity, len(equity), method)
    return equity[0] + scale * model.smooth(variances).smoothed_state[0]


@metric("of the curve", "curve filtered with the samples so far", shape="curve", alone=True)
def filtered(equity: Floats, *, method: Model = "level", train: int = 100) -> Any:
    """The curve without its noise as it could be known at each sample (M20): no value uses a later one.

    As `smoothed`, with the variances estimated from the first ``train`` samples, for which there is no value (NaN),
    and the Kalman filter from there on. NaN where those samples lie on a line, which has no noise to be told.

    >>> x = np.cumsum(np.random.default_rng(1).normal(size=300))
    >>> bool(np.isnan(filtered(x)[:100]).all()), bool((filtered(x)[:200] == filtered(x[:200]))[100:].all())
    (True, True)
    """
    known = int(train)
    if len(equity) <= known or not _noise(equity[:known]) > 0.0:
        return np.full(len(equity), np.nan)
    model, variances, scale = _state_space(equity, known, method)
    level = equity[0] + scale * model.filter(variances).filtered_state[0]
    return np.where(np.arange(len(equity)) < known, np.nan, level)


def _noise(x: Floats) -> float:
    """The standard deviation of the changes; 0 where it is that of rounding."""
    found = float(np.std(np.diff(x)))
    return found if found > 8.0 * EPSILON * float(np.max(np.abs(x))) else 0.0


def _state_space(x: Floats, train: int, method: Model) -> tuple[Any, Floats, float]:
    """The model of the curve, its variances by the first `train` samples, and the unit in which both are."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    scale = _noise(x[:train])
    y, name = (x - x[0]) / scale, _STATSMODELS[method]
    fit = UnobservedComponents(y[:train], name, use_exact_diffuse=True).fit(disp=False)
    return UnobservedComponents(y, name, use_exact_diffuse=True), fit.params, scale


@metric(
    outputs={
        "growth": ("1", "annual growth along the line through the logarithms"),
        "t": ("1", "t of its slope"),
        "p_value": ("1", "its two-sided p-value"),
        "r_squared": ("1", "share of the variance that the line explains"),
        "drift": ("1", "annual growth by the mean logarithmic change"),
        "drift_t": ("1", "t of the mean change"),
        "drift_p_value": ("1", "its two-sided p-value"),
    },
    alone=True,
)
def trend(
    equity: Floats,
    *,
    lags: int | None = None,
    correction: Correction = "small",
    periods: Periods = None,
    sampling: Sampling = "session",
) -> Any:
    """Does the curve grow? The line `log E = a + b k + u` and the mean change of `log E`, with errors of M21.

    t and p-value of the line hold where the curve returns to it; what is earned once stays, so that an equity is more
    like a random walk, of which the line's t is large by luck in most cases. The drift's hold there. `growth = exp(b A)
    - 1`. Of session closes, or with ``sampling="bar"`` of every level (M15). NaN of levels that are not above 0 and
    below 4 samples.

    >>> found = trend(np.exp([0.0, 0.1, 0.19, 0.3, 0.41]), periods=1)
    >>> float(found["growth"].round(4)), float(found["drift"].round(4))
    (0.1074, 0.1079)
    """
    if len(equity) < 4 or not np.all(equity > 0.0):
        return (np.nan,) * 7
    log = np.log(equity)
    place = np.arange(len(log)) - (len(log) - 1) / 2.0
    line = least_squares(log, np.column_stack([np.ones(len(log)), place]), lags=lags, correction=correction)
    drift = mean_test(np.diff(log), lags=lags, correction=correction)
    growth, mean = (np.expm1(periods * b) for b in (line.coefficients[1], drift.coefficients[0]))
    return growth, line.t[1], line.p_values[1], line.r_squared, mean, drift.t[0], drift.p_values[0]


@metric(outputs={"statistic": ("1", "Lagrange multiplier"), "p_value": ("1", "p-value")}, alone=True)
def arch_lm(returns: Floats, *, n_lags: int = 5) -> Any:
    """Do large moves follow large moves? Test of Engle (1982) for volatility that clusters, chi-squared(``n_lags``).

    `n R^2` of the squared deviations from the mean on their ``n_lags`` predecessors, n the samples that have them. NaN
    of a series without variance and of no more than ``2 n_lags + 1`` samples.

    >>> calm = np.random.default_rng(3).normal(size=400)
    >>> rough = calm * np.where(np.arange(400) % 100 < 50, 1.0, 3.0)
    >>> [bool(arch_lm(x)["p_value"] < 0.01) for x in (calm, rough)]
    [False, True]
    """
    square = (returns - np.mean(returns)) ** 2
    p, n = int(n_lags), len(square) - int(n_lags)
    if n <= p + 1:
        return np.nan, np.nan
    past = np.column_stack([np.ones(n), *(square[p - k : p - k + n] for k in range(1, p + 1))])
    statistic = n * least_squares(square[p:], past, lags=0).r_squared
    return statistic, scipy.special.gammaincc(p / 2.0, statistic / 2.0)


@metric(
    outputs={
        "score": ("1", "distance from the median of the window, in robust standard deviations"),
        "anomaly": ("1", "1 where that is above the limit, 0 where not"),
    },
    shape="curve",
    alone=True,
)
def hampel(returns: Floats, *, window: int = 20, side: Literal["past", "both"] = "past", limit: float = 3.0) -> Any:
    """Samples that stand out (M23): `(x - median) / (1.4826 MAD)` of the samples around them (Hampel, 1974).

    Of the ``window`` samples before each (``side="past"``: known at the time), or of as many before as after it, itself
    among them (``"both"``). NaN where the window is not full and where half of it is one value.

    >>> x = np.array([0.1, -0.1, 0.2, 0.0, 5.0, 0.1])
    >>> hampel(x, window=4)["anomaly"]
    array([nan, nan, nan, nan,  1.,  0.])
    """
    w = int(window)
    width = w if side == "past" else 2 * w + 1
    score = np.full(len(returns), np.nan)
    if len(returns) >= width + (side == "past"):
        around = np.lib.stride_tricks.sliding_window_view(returns, width)
        middle = np.median(around, axis=-1)
        deviation = NORMAL_MAD * np.median(np.abs(around - middle[:, None]), axis=-1)
        at = slice(w, None) if side == "past" else slice(w, len(returns) - w)
        count = len(returns[at])
        score[at] = (returns[at] - middle[:count]) / np.where(deviation > 0.0, deviation, np.nan)[:count]
    return score, np.where(np.isnan(score), np.nan, np.abs(score) > limit)
