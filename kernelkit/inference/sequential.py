"""Two strategies compared while they run: an answer that may be looked at at any time (I22)."""

from __future__ import annotations

import math

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.metrics.metric import metric
from kernelkit.metrics.series import Array, column, positive, running_max, whole


@metric(
    outputs={
        "estimate": ("1", "mean difference so far"),
        "low": ("1", "lower end of the confidence sequence"),
        "high": ("1", "upper end of the confidence sequence"),
        "p_value": ("1", "p-value of no difference that holds at any time, the smallest so far"),
    },
    shape="curve",
    home="inference",
)
def sequential_test(
    returns: Array, benchmark: Array, *, level: float = 0.95, tightest: float = 250.0, first: float = 50.0
) -> Array:
    """Is the mean of `returns` not that of `benchmark`, asked after every sample and stopped whenever one likes? I22.

    A confidence sequence holds the mean difference at all times at once with probability `level`: whoever looks every
    day and stops at the first p-value below 1 - level is wrong as rarely as that. Asymptotic, of Waudby-Smith, Arbour,
    Sinha, Kennedy and Ramdas, Time-uniform central limit theory and asymptotic confidence sequences (2024), of
    samples that do not follow from one another. It is narrowest after `tightest` samples; before `first` ones, with a
    variance that is hardly known, it says nothing (NaN, and a p-value of 1).

    >>> x = np.random.default_rng(1).normal(0.0, 0.01, (2, 500))
    >>> found = sequential_test(x[0] + 0.003, x[1])
    >>> int(np.argmax(found["p_value"] <= 0.05)), bool(found["low"][-1] > 0.0)
    (200, True)
    """
    for name, value in (("tightest", tightest), ("first", first)):
        if not value >= 2.0:
            fix = "See help(kk.inference.sequential_test)."
            raise UsageError(message(f"sequential_test: {name}", value, "at least 2 samples", fix))
    return sequence(returns - benchmark, level, tightest, first)


def sequence(d: Array, level: float, tightest: float, first: float) -> tuple[Array, ...]:
    """I22 of samples along the last axis: mean so far, lower and upper end, and the smallest p-value of a mean of 0.

    >>> [one[-1].round(3) for one in sequence(np.tile([0.0, 2.0], 50), 0.95, 100.0, 2.0)]
    [np.float64(1.0), np.float64(0.696), np.float64(1.304), np.float64(0.0)]
    """
    alpha = 1.0 - level
    there = ~np.isnan(d)
    t = np.cumsum(there.astype("f8"), axis=-1)
    middle = np.take_along_axis(d, column(np.argmax(there, axis=-1)), axis=-1)  # sums from there on keep their digits
    off = whole(d - middle)
    shifted = np.cumsum(off, axis=-1) / positive(t)
    variance = np.cumsum(off * off, axis=-1) / positive(t) - shifted**2
    error = np.sqrt(positive(np.where(t >= first, variance, np.nan)))
    mean = middle + shifted
    log = -2.0 * math.log(alpha)
    squared = (log + math.log(log + 1.0)) / tightest
    grown = t * squared + 1.0
    half = error * np.sqrt(2.0 * grown / (positive(t) ** 2 * squared) * np.log(np.sqrt(grown) / alpha))
    z = whole(t * mean / error)
    evidence = squared * z * z / (2.0 * grown) - np.log(grown) / 2.0
    highest = np.maximum(running_max(evidence), 0.0)
    return tuple(np.where(there, one, np.nan) for one in (mean, mean - half, mean + half, np.exp(-highest)))
