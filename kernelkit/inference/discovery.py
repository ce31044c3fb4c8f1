"""How often a Sharpe ratio that passes its test is luck all the same (B10)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.special

from kernelkit.inference.checks import fraction
from kernelkit.inference.significance import sharpe_error
from kernelkit.metrics.metric import Periods, metric
from kernelkit.metrics.series import Array, count, deviation, mean, positive, special, standardised

HALVINGS = 60


def passes(edge: Array, sharpe: Array, n: Array, skewness: Array, kurtosis: Array) -> Array:
    """Probability that the Sharpe ratio per sample of such a series is found above `edge`, where it is `sharpe`.

    >>> round(float(passes(0.2616, 0.5, 24.0, -2.448, 10.164)), 3)
    0.758
    """
    z = (sharpe - edge) / sharpe_error(sharpe, n, skewness, kurtosis)
    return special(z).ndtr(z)


def discovery_rate(false: Array, true: Array, prior: float) -> Array:
    """Share of luck among what passes: `false` is the chance of luck to pass, `true` that of skill.

    >>> round(float(discovery_rate(0.1, 0.7575, 0.1)), 3)
    0.543
    """
    luck = (1.0 - prior) * false
    return luck / positive(luck + prior * true)


def _asked(returns: Array, rf: float) -> tuple[Array, Array, Array, Array]:
    excess = returns - rf
    sharpe = mean(excess) / positive(deviation(excess))
    return sharpe, count(excess), standardised(excess, 3), standardised(excess, 4)


@metric("1", "probability that the test finds the alternative", home="inference")
def sharpe_power(
    returns: Array,
    *,
    alternative: float,
    benchmark_sharpe: float = 0.0,
    level: float = 0.95,
    rf: float = 0.0,
    periods: Periods = None,
) -> Array:
    """Power of the test that the annual Sharpe ratio is above `benchmark_sharpe`, where it is `alternative`; B10.

    Of a series with as many samples, the skewness and the kurtosis of this one; the test is one-sided with false
    positives in 1 - `level`. López de Prado, Lipton and Zoonekynd, How to use the Sharpe ratio (2025).

    >>> x = np.array([0.02, -0.01, 0.03, 0.01, -0.02, 0.02, 0.01, 0.00])
    >>> round(float(sharpe_power(x, alternative=2.0, periods=12)), 3)
    0.496
    """
    _, n, skewness, kurtosis = _asked(returns, rf)
    null = benchmark_sharpe / periods**0.5
    edge = null + float(scipy.special.ndtri(level)) * sharpe_error(null, n, skewness, kurtosis)
    return passes(edge, alternative / periods**0.5, n, skewness, kurtosis)


@metric("1", "share of luck among what passes", home="inference")
def false_discovery_rate(
    returns: Array,
    *,
    alternative: float,
    prior: float,
    kind: Literal["observed", "planned"] = "observed",
    benchmark_sharpe: float = 0.0,
    level: float = 0.95,
    periods: Periods = None,
) -> Array:
    """How probable it is that a strategy that passes has a Sharpe ratio of `benchmark_sharpe`, not `alternative`; B10.

    A share `prior` of all that are tried have skill: the annual Sharpe ratio `alternative`. ``"observed"``: of those
    with a Sharpe ratio as high as the one of `returns` (excess; oFDR); ``"planned"``: of those that pass the test of
    `level` (pFDR). Source as for `sharpe_power`.

    >>> x = np.array([0.02, -0.01, 0.03, 0.01, -0.02, 0.02, 0.01, 0.00])
    >>> [round(float(false_discovery_rate(x, alternative=2.0, prior=0.1, kind=k, periods=12)), 3)
    ...  for k in ("observed", "planned")]
    [0.595, 0.476]
    """
    fraction("false_discovery_rate", "prior", prior)
    sharpe, n, skewness, kurtosis = _asked(returns, 0.0)
    null, other = benchmark_sharpe / periods**0.5, alternative / periods**0.5
    edge = sharpe
    if kind == "planned":
        edge = null + float(scipy.special.ndtri(level)) * sharpe_error(null, n, skewness, kurtosis)
    luck, skill = (passes(edge, at, n, skewness, kurtosis) for at in (null, other))
    return discovery_rate(luck, skill, prior)


@metric(
    outputs={
        "critical_sharpe_ratio": ("1", "annual Sharpe ratio above which the share of luck is the one asked for"),
        "alpha": ("1", "chance of luck to pass"),
        "power": ("1", "chance of skill to pass"),
    },
    home="inference",
)
def critical_sharpe_ratio(
    returns: Array,
    *,
    alternative: float,
    prior: float,
    rate: float = 0.25,
    benchmark_sharpe: float = 0.0,
    periods: Periods = None,
) -> Any:
    """The annual Sharpe ratio to ask for, so that a share `rate` of what passes is luck; B10.

    Arguments and source are those of `false_discovery_rate`. NaN where `rate` is not below 1 - `prior`: luck is no
    larger a share of all.

    >>> x = np.array([0.02, -0.01, 0.03, 0.01, -0.02, 0.02, 0.01, 0.00])
    >>> found = critical_sharpe_ratio(x, alternative=2.0, prior=0.1, periods=12)
    >>> round(float(found["critical_sharpe_ratio"]), 2), round(float(found["alpha"]), 4)
    (2.84, 0.0101)
    """
    fraction("critical_sharpe_ratio", "prior", prior)
    fraction("critical_sharpe_ratio", "rate", rate)
    _, n, skewness, kurtosis = _asked(returns, 0.0)
    null, other = benchmark_sharpe / periods**0.5, alternative / periods**0.5
    edge = edge_of(null, other, n, skewness, kurtosis, prior, rate)
    return edge * periods**0.5, *(passes(edge, at, n, skewness, kurtosis) for at in (null, other))


def edge_of(null: float, other: float, n: Array, skewness: Array, kurtosis: Array, prior: float, rate: float) -> Array:
    """The Sharpe ratio per sample at which the share of luck among what is above is `rate`, by halving.

    >>> round(float(edge_of(0.0, 0.5, np.array(24.0), -2.448, 10.164, 0.1, 0.25)), 3)
    0.41
    """
    error = sharpe_error(null, n, skewness, kurtosis)

    def luck(edge: Array) -> Array:
        false, true = (passes(edge, at, n, skewness, kurtosis) for at in (null, other))
        return discovery_rate(false, true, prior)

    low, high = null - 8.0 * error, null + 8.0 * error
    inside = (luck(low) > rate) & (luck(high) <= rate)
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        above = luck(middle) > rate
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(inside, high, np.nan)
