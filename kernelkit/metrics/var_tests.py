"""Backtests of value at risk and expected shortfall: were the losses as frequent and as large as said?

`value_at_risk` and `expected_shortfall` are forecasts per sample, losses as positive numbers (M13); an exception is a
return below minus the value at risk.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernelkit.metrics.metric import metric
from kernelkit.metrics.series import Array, count, mean, special, total

TEST = {"statistic": ("1", "likelihood ratio"), "p_value": ("1", "p-value")}
YELLOW, RED = 0.95, 0.9999  # BCBS (1996), table 2


def exceptions(returns: Array, value_at_risk: Array) -> Array:
    """1 where the loss is beyond the forecast, 0 where not, NaN where there is no sample."""
    return np.where(np.isnan(returns), np.nan, (returns < -value_at_risk).astype("f8"))


def times_log(n: Array, p: Array) -> Array:
    """`n log(p)`, 0 where n is 0."""
    return np.where(n > 0.0, n * np.log(np.where(n > 0.0, p + 0.0 * n, 1.0)), 0.0)


def coverage(n: Array, k: Array, expected: float) -> Array:
    """Likelihood ratio of k exceptions in n samples (Kupiec, 1995).

    >>> round(float(coverage(252.0, 20.0, 0.05)), 4)
    3.9126
    """
    seen = k / n
    free = times_log(k, seen) + times_log(n - k, 1.0 - seen)
    return np.maximum(2.0 * (free - times_log(k, expected) - times_log(n - k, 1.0 - expected)), 0.0)


def independence(n00: Array, n01: Array, n10: Array, n11: Array) -> Array:
    """Likelihood ratio of exceptions that follow exceptions (Christoffersen, 1998).

    >>> round(float(independence(218.0, 14.0, 14.0, 6.0)), 4)
    9.5296
    """
    ones, zeros = n01 + n11, n00 + n10
    pooled = ones / (ones + zeros)
    same = times_log(ones, pooled) + times_log(zeros, 1.0 - pooled)
    after0, after1 = n01 / (n00 + n01), n11 / (n10 + n11)
    apart = times_log(n01, after0) + times_log(n00, 1.0 - after0)
    apart = apart + times_log(n11, after1) + times_log(n10, 1.0 - after1)
    return np.maximum(2.0 * (apart - same), 0.0)


def _p_of_1(statistic: Array) -> Array:
    """P(chi-squared of one degree of freedom > statistic)."""
    return special(statistic).erfc(np.sqrt(statistic / 2.0))


@metric(outputs={"exceptions": ("1", "exceptions"), **TEST})
def kupiec(returns: Array, value_at_risk: Array, *, level: float = 0.95) -> Any:
    """Test of unconditional coverage: are exceptions as frequent as 1 - level? (Kupiec, 1995), chi-squared(1).

    >>> x = np.where(np.arange(252) < 20, -1.0, 1.0)
    >>> found = kupiec(x, np.full(252, 0.5), level=0.95)
    >>> float(found["exceptions"]), round(float(found["statistic"]), 4), round(float(found["p_value"]), 4)
    (20.0, 3.9126, 0.0479)
    """
    hits = exceptions(returns, value_at_risk)
    k = total(hits)
    statistic = coverage(count(hits), k, 1.0 - level)
    return k, statistic, _p_of_1(statistic)


@metric(
    outputs={
        "independence": ("1", "likelihood ratio of independence"),
        "independence_p_value": ("1", "its p-value"),
        "conditional": ("1", "likelihood ratio of conditional coverage"),
        "conditional_p_value": ("1", "its p-value"),
    }
)
def christoffersen(returns: Array, value_at_risk: Array, *, level: float = 0.95) -> Any:
    """Do exceptions follow exceptions (independence), and jointly with `kupiec` (conditional coverage)?

    Christoffersen (1998): first-order Markov, chi-squared(1) and (2); the joint statistic adds Kupiec's over all
    samples.

    >>> x = np.where(np.arange(252) % 12 == 0, -1.0, 1.0)
    >>> round(float(christoffersen(x, np.full(252, 0.5))["independence"]), 4)
    3.6491
    """
    hits = exceptions(returns, value_at_risk)
    was, now = hits[..., :-1], hits[..., 1:]
    n00, n01 = (np.sum((was == 0.0) & (now == k), axis=-1).astype("f8") for k in (0.0, 1.0))
    n10, n11 = (np.sum((was == 1.0) & (now == k), axis=-1).astype("f8") for k in (0.0, 1.0))
    alone = independence(n00, n01, n10, n11)
    n = count(hits)
    joint = alone + coverage(n, total(hits), 1.0 - level)
    return alone, _p_of_1(alone), joint, np.exp(-joint / 2.0)


@metric(
    outputs={
        "exceptions": ("1", "exceptions"),
        "probability": ("1", "chance of no more exceptions with a correct model"),
        "zone": ("1", "0 green, 1 yellow, 2 red"),
    }
)
def basel_traffic_light(returns: Array, value_at_risk: Array, *, level: float = 0.99) -> Any:
    """Zone of the supervisory framework (BCBS, 1996): yellow from a probability of 95 % on, red from 99.99 % on.

    >>> x = np.where(np.arange(250) < 5, -1.0, 1.0)
    >>> found = basel_traffic_light(x, np.full(250, 0.5))
    >>> round(float(found["probability"]), 4), float(found["zone"])
    (0.9588, 1.0)
    """
    hits = exceptions(returns, value_at_risk)
    n = count(hits)
    k = np.sum(hits == 1.0, axis=-1).astype("f8")
    beyond = special(k).betainc(k + 1.0, np.maximum(n - k, 1.0), 1.0 - level)
    probability = np.where(n > 0.0, np.where(k < n, 1.0 - beyond, 1.0), np.nan)
    zone = (probability >= YELLOW).astype("f8") + (probability >= RED).astype("f8")
    return k, probability, np.where(n > 0.0, zone, np.nan)


@metric(
    outputs={
        "z1": ("1", "mean of return over expected shortfall at exceptions, plus 1"),
        "z2": ("1", "the same over the number of exceptions that is expected"),
    }
)
def acerbi_szekely(returns: Array, value_at_risk: Array, expected_shortfall: Array, *, level: float = 0.975) -> Any:
    """Tests 1 and 2 of expected shortfall (Acerbi and Székely, 2014): 0 is expected, less means larger losses.

    At 5 % test 2 rejects below about -0.7 for tails from normal to Student's t of 3 degrees; without exceptions z1 is
    NaN and z2 1.

    >>> x = np.array([-0.03, 0.01, 0.01, 0.01])
    >>> found = acerbi_szekely(x, np.full(4, 0.02), np.full(4, 0.03), level=0.75)
    >>> float(found["z1"]), float(found["z2"])
    (0.0, 0.0)
    """
    hits = exceptions(returns, value_at_risk)
    over = mean(hits * returns / expected_shortfall)
    return over / np.where(mean(hits) > 0.0, mean(hits), np.nan) + 1.0, over / (1.0 - level) + 1.0
