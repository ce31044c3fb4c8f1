"""Risk: deviations, tails and what comes from a benchmark. Losses are positive numbers (M13).

`periods` are the samples per year (M10); `threshold` is a return per sample, a number or a series.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from scipy.special import ndtri

from kernelkit.metrics.metric import Periods, metric
from kernelkit.metrics.ratios import Growth, annual, share
from kernelkit.metrics.series import (
    Array,
    centred,
    column,
    count,
    covariance,
    deviation,
    largest,
    mean,
    ordered,
    pain,
    partial_moment,
    positions,
    positive,
    quantile,
    slope,
    standardised,
    total,
    ulcer,
    underwater,
    variance,
    whole,
)

Worst = Literal["share", "quantile"]
Tail = Literal["historical", "gaussian", "cornish_fisher", "evt", "filtered"]
Over = Literal["all", "below"]

FEWEST = 10  # exceedances to which a tail is fitted
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
NARROWINGS = 48  # 0.618 ** 48 of the first interval is below 1e-9 of it


@metric()
def volatility(returns: Array, *, periods: Periods = None, ddof: int = 1) -> Array:
    """Annual standard deviation, M5.

    >>> round(float(volatility(np.array([0.01, -0.01]), periods=252)), 4)
    0.2245
    """
    return np.sqrt(variance(returns, ddof) * periods)


@metric("1", "skewness")
def skewness(returns: Array, *, convention: Literal["moment", "sample"] = "moment") -> Array:
    """Third standardised moment; ``"sample"`` is the unbiased G1 of Joanes and Gill (1998).

    >>> round(float(skewness(np.array([0.0, 0.0, 3.0]))), 4)
    0.7071
    """
    found = standardised(returns, 3)
    if convention == "moment":
        return found
    n = count(returns)
    return found * np.sqrt(n * (n - 1.0)) / positive(n - 2.0)


@metric("1", "excess kurtosis")
def kurtosis(returns: Array, *, convention: Literal["moment", "sample"] = "moment") -> Array:
    """Fourth standardised moment less 3; ``"sample"`` is the unbiased G2 of Joanes and Gill (1998).

    >>> round(float(kurtosis(np.array([-1.0, 1.0]))), 4)
    -2.0
    """
    found = standardised(returns, 4) - 3.0
    if convention == "moment":
        return found
    n = count(returns)
    return (n - 1.0) / positive((n - 2.0) * (n - 3.0)) * ((n + 1.0) * found + 6.0)


@metric("1", "annual downside deviation")
def downside_deviation(returns: Array, *, threshold: float = 0.0, periods: Periods = None, over: Over = "all") -> Array:
    """Root mean square of the losses beyond the threshold, times sqrt(periods) (Sortino and Price, 1994).

    The mean is over all samples, or over those below the threshold (``over="below"``).

    >>> round(float(downside_deviation(np.array([0.02, -0.01]), periods=1)), 6)
    0.007071
    """
    square = partial_moment(returns, threshold, 2.0, -1)
    return np.sqrt((square if over == "all" else square / share(returns, threshold, -1)) * periods)


@metric("1", "annual semi-deviation")
def semi_deviation(returns: Array, *, periods: Periods = None, over: Over = "all") -> Array:
    """Downside deviation from the mean, times sqrt(periods) (Markowitz, 1959).

    >>> round(float(semi_deviation(np.array([0.03, -0.01]), periods=1)), 6)
    0.014142
    """
    away = centred(returns)
    square = partial_moment(away, 0.0, 2.0, -1)
    return np.sqrt((square if over == "all" else square / share(away, 0.0, -1)) * periods)


@metric("1", "value at risk")
def value_at_risk(
    returns: Array,
    *,
    level: float = 0.95,
    method: Tail = "historical",
    ddof: int = 1,
    tail: float = 0.9,
    decay: float = 0.94,
) -> Array:
    """Loss that a sample does not exceed with probability ``level``, M13.

    - historical: the quantile of the samples
    - gaussian: `-mean - sd z`, z the normal quantile of 1 - level
    - cornish_fisher: z corrected for skewness and kurtosis (Zangari, 1996; Favre and Galeano, 2002)
    - evt: generalised Pareto beyond the ``tail`` quantile of the losses (McNeil and Frey, 2000), fitted by probability
      weighted moments (Hosking and Wallis, 1987), whose shape is below 1, so that the tail has a mean; NaN with fewer
      than 10 losses beyond it, and of a level below it
    - filtered: samples over their volatility, times the volatility of the next sample (Hull and White, 1998), with
      `v = decay v + (1 - decay) x ** 2` from the mean of all squares

    >>> round(float(value_at_risk(np.array([-0.04, -0.02, 0.0, 0.02, 0.04]), level=0.75)), 12)
    0.02
    """
    if method == "evt":
        return _pareto(returns, level, tail)[0]
    if method == "filtered":
        scaled, ahead = _filtered(returns, decay)
        return -quantile(scaled, 1.0 - level) * ahead
    if method == "historical":
        return -quantile(returns, 1.0 - level)
    z = float(ndtri(1.0 - level))
    h = _cornish_fisher(returns, z) if method == "cornish_fisher" else z
    return -mean(returns) - h * deviation(returns, ddof)


@metric("1", "expected shortfall")
def expected_shortfall(
    returns: Array,
    *,
    level: float = 0.95,
    method: Tail = "historical",
    ddof: int = 1,
    tail: float = 0.9,
    decay: float = 0.94,
    convention: Worst = "share",
) -> Array:
    """Mean loss beyond the value at risk of the same method, M13.

    historical, filtered: of the worst share 1 - level of the samples, the last one in part (Acerbi and Tasche, 2002);
    ``convention="quantile"``: of all samples that are not above their quantile, as PerformanceAnalytics has it.
    cornish_fisher is the Edgeworth form of Boudt, Peterson and Croux (2008), never below the value at risk.

    >>> x = np.array([-0.04, -0.02, 0.0, 0.02, 0.04])
    >>> [round(float(expected_shortfall(x, level=0.75, convention=c)), 12) for c in ("share", "quantile")]
    [0.036, 0.03]
    """
    if method == "evt":
        return _pareto(returns, level, tail)[1]
    if method == "filtered":
        scaled, ahead = _filtered(returns, decay)
        return _worst(scaled, level, convention) * ahead
    if method == "historical":
        return _worst(returns, level, convention)
    rest = 1.0 - level
    z = float(ndtri(rest))
    if method == "gaussian":
        return -mean(returns) + deviation(returns, ddof) * math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) / rest
    h = _cornish_fisher(returns, z)
    s, k = standardised(returns, 3), standardised(returns, 4) - 3.0
    edge = 1.0 + (h**4 - 2.0 * h**2 - 1.0) * k / 24.0 + h**3 * s / 6.0
    edge = edge + (h**6 - 9.0 * h**4 + 9.0 * h**2 + 3.0) * s**2 / 72.0
    density = np.exp(-0.5 * h * h) / math.sqrt(2.0 * math.pi)
    return -mean(returns) - deviation(returns, ddof) * np.minimum(-density * edge / rest, h)


def _worst(x: Array, level: float, convention: Worst) -> Array:
    """M13: the mean loss of the worst share 1 - level of the samples, or of those not above that quantile."""
    if convention == "quantile":
        within = x <= column(quantile(x, 1.0 - level))
        return -np.sum(np.where(within, x, 0.0), axis=-1) / np.sum(within, axis=-1)
    share = column(count(x) * (1.0 - level))
    part = np.minimum(np.maximum(share - positions(x), 0.0), 1.0)  # of each sample in ascending order
    values = ordered(x)
    return -np.sum(np.where(part > 0.0, values * part, 0.0), axis=-1) / positive(share[..., 0])


def _cornish_fisher(x: Array, z: float) -> Array:
    s, k = standardised(x, 3), standardised(x, 4) - 3.0
    third, fourth = (z**2 - 1.0) / 6.0, (z**3 - 3.0 * z) / 24.0
    return z + third * s + fourth * k - (2.0 * z**3 - 5.0 * z) / 36.0 * s**2


def _pareto(x: Array, level: float, tail: float) -> tuple[Array, Array]:
    """Value at risk and expected shortfall of a generalised Pareto tail."""
    u = -quantile(x, 1.0 - tail)
    excess = np.where(-x > column(u), -x - column(u), np.nan)
    m = count(excess)
    ranked = np.sort(-whole(excess), axis=-1)  # the largest excess first, 0 for all that is none
    j = np.cumsum(np.ones_like(ranked), axis=-1)
    a0, a1 = total(excess) / m, np.sum(-ranked * (j - 0.65), axis=-1) / m**2
    xi = 2.0 - a0 / (a0 - 2.0 * a1)
    beta = 2.0 * a0 * a1 / (a0 - 2.0 * a1)
    left = (1.0 - level) * count(x) / m
    flat = np.abs(xi) < 1e-9
    slope = np.where(flat, 1.0, xi)
    var = u + beta * np.where(flat, -np.log(left), (left**-slope - 1.0) / slope)
    # a1 > 0 and a0 > 2 a1, as the excesses descend: xi < 1
    shortfall = (var + beta - xi * u) / (1.0 - xi)
    fits = (m >= FEWEST) & (left <= 1.0)
    return np.where(fits, var, np.nan), np.where(fits, shortfall, np.nan)


def _filtered(x: Array, decay: float) -> tuple[Array, Array]:
    """The samples over the volatility known before each, and that of the next one."""
    square = mean(x * x)
    before = []
    for t in range(x.shape[-1]):
        before.append(square)
        now = x[..., t]
        square = np.where(np.isnan(now), square, decay * square + (1.0 - decay) * now * now)
    return x / positive(np.sqrt(np.stack(before, axis=-1))), np.sqrt(square)


@metric("1", "conditional drawdown at risk")
def conditional_drawdown(returns: Array, *, level: float = 0.95, convention: Worst = "share") -> Array:
    """CDaR: mean of the worst drawdowns, sample by sample (Chekhlov et al., 2005); as for `expected_shortfall`.

    >>> round(float(conditional_drawdown(np.array([0.0, -0.1, -0.1]), level=0.5)), 12)
    0.16
    """
    return _worst(-underwater(returns), level, convention)


@metric("1", "entropic value at risk")
def entropic_value_at_risk(returns: Array, *, level: float = 0.95) -> Array:
    """EVaR: the smallest `t log(mean(exp(-x / t)) / (1 - level))` over t > 0 (Ahmadi-Javid, 2012); found to 1e-9.

    It is no less than the expected shortfall and no more than the largest loss.

    >>> round(float(entropic_value_at_risk(np.array([-0.01, 0.01]), level=0.5)), 9)
    0.01
    """
    worst = largest(-returns)
    over = np.where(np.isnan(returns), -math.inf, -returns - column(worst))
    scale = deviation(returns, 0)
    unit = np.where(scale > 0.0, scale, 1.0)
    n = count(returns)

    def bound(log_t: Array) -> Array:
        t = unit * np.exp(log_t)
        return t * (np.log(np.sum(np.exp(over / column(t)), axis=-1) / n) - math.log(1.0 - level))

    low, high = 0.0 * unit - 14.0, 0.0 * unit + 7.0  # of log(t / sd): below, all but the largest loss is gone
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = bound(left), bound(right)
    for _ in range(NARROWINGS):
        smaller = at_left < at_right
        low, high = np.where(smaller, low, left), np.where(smaller, right, high)
        probe = np.where(smaller, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        value = bound(probe)
        left, right = np.where(smaller, probe, right), np.where(smaller, left, probe)
        at_left, at_right = np.where(smaller, value, at_right), np.where(smaller, at_left, value)
    found = np.minimum(np.minimum(at_left, at_right), 0.0)
    return worst + np.where(scale > 0.0, found, 0.0)


@metric("1", "Ulcer index")
def ulcer_index(returns: Array) -> Array:
    """Root mean square of the drawdowns, sample by sample (Martin and McCann, 1989).

    >>> round(float(ulcer_index(np.array([0.2, -0.1]))), 6)
    0.070711
    """
    return ulcer(returns)


@metric("1", "pain index")
def pain_index(returns: Array) -> Array:
    """Mean of the drawdowns, sample by sample (Becker, 2006).

    >>> round(float(pain_index(np.array([0.2, -0.1]))), 12)
    0.05
    """
    return pain(returns)


@metric("1", "tail ratio")
def tail_ratio(returns: Array, *, level: float = 0.95) -> Array:
    """The ``level`` quantile over minus the opposite one; NaN where that is no loss.

    >>> round(float(tail_ratio(np.array([-0.01, 0.0, 0.02]), level=0.99)), 6)
    2.0
    """
    return quantile(returns, level) / positive(-quantile(returns, 1.0 - level))


@metric("1", "beta")
def beta(returns: Array, benchmark: Array, *, rf: float = 0.0) -> Array:
    """Slope of the excess returns on the benchmark's (Sharpe, 1964).

    >>> x = np.array([0.02, -0.01, 0.03])
    >>> round(float(beta(2.0 * x, x)), 12)
    2.0
    """
    return slope(returns - rf, benchmark - rf)


@metric("1", "annual alpha")
def alpha(returns: Array, benchmark: Array, *, rf: float = 0.0, periods: Periods = None) -> Array:
    """Mean excess return less beta times the benchmark's, times periods (Jensen, 1968).

    >>> x = np.array([0.02, -0.01, 0.03])
    >>> round(float(alpha(2.0 * x + 0.001, x, periods=12)), 12)
    0.012
    """
    excess, market = returns - rf, benchmark - rf
    return (mean(excess) - slope(excess, market) * mean(market)) * periods


@metric("1", "tracking error")
def tracking_error(returns: Array, benchmark: Array, *, periods: Periods = None, ddof: int = 1) -> Array:
    """Annual standard deviation of the returns less the benchmark's.

    >>> x = np.array([0.02, -0.01, 0.03])
    >>> round(float(tracking_error(x, x / 2.0, periods=1)), 6)
    0.010408
    """
    return np.sqrt(variance(returns - benchmark, ddof) * periods)


@metric("1", "up capture")
def up_capture(returns: Array, benchmark: Array, *, periods: Periods = None, growth: Growth = "arithmetic") -> Array:
    """Growth over the benchmark's in the samples in which the benchmark rose.

    >>> float(up_capture(np.array([0.02, -0.01, 0.04]), np.array([0.01, -0.02, 0.02]), periods=1))
    2.0
    """
    return _capture(returns, benchmark, benchmark > 0.0, periods, growth)


@metric("1", "down capture")
def down_capture(returns: Array, benchmark: Array, *, periods: Periods = None, growth: Growth = "arithmetic") -> Array:
    """Growth over the benchmark's in the samples in which the benchmark fell.

    >>> float(down_capture(np.array([0.02, -0.01, 0.04]), np.array([0.01, -0.02, 0.02]), periods=1))
    0.5
    """
    return _capture(returns, benchmark, benchmark < 0.0, periods, growth)


def _capture(x: Array, b: Array, where: Array, periods: float, kind: str) -> Array:
    over = annual(np.where(where, b, np.nan), periods, kind)
    return annual(np.where(where, x, np.nan), periods, kind) / np.where(over != 0.0, over, np.nan)


@metric("1", "Herfindahl-Hirschman index", gaps="skip")
def hhi(shares: Array, *, normalised: Literal["no", "yes"] = "no") -> Array:
    """Concentration: sum of the squared shares of the sizes; of weights, give ``dim="asset"``.

    1 is all in one, 1 / n all equal; ``normalised="yes"`` maps these to 1 and 0 (López de Prado, 2018, chapter 14).
    What is NaN is no share, wherever it lies (M14): n counts the others.

    >>> round(float(hhi(np.array([0.5, -0.25, 0.25]))), 12)
    0.375
    """
    size = np.abs(shares)
    found = total(size * size) / positive(total(size)) ** 2
    n = count(shares)
    return found if normalised == "no" else (found - 1.0 / n) / positive(1.0 - 1.0 / n)


@metric("1", "correlation")
def correlation(returns: Array, benchmark: Array) -> Array:
    """Pearson's correlation.

    >>> x = np.array([0.02, -0.01, 0.03])
    >>> round(float(correlation(x, -x)), 12)
    -1.0
    """
    return covariance(returns, benchmark) / positive(deviation(returns) * deviation(benchmark))
