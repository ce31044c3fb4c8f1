"""Which of several strategies may be the best: the model confidence set (I21)."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kernelkit.errors import DataError, message
from kernelkit.inference.checks import along, choice, fraction
from kernelkit.inference.draws import block_counts
from kernelkit.inference.resampling import Resampler, Resampling

Floats = NDArray[np.float64]
Statistic = Literal["max", "range"]

DEFAULT = Resampling()


def model_confidence_set(
    returns: xr.DataArray,
    *,
    over: str,
    statistic: Statistic = "max",
    level: float = 0.95,
    resampling: Resampling = DEFAULT,
    dim: str = "time",
) -> xr.Dataset:
    """Strategies along `over` that hold the one of highest mean with probability `level`; I21.

    Hansen, Lunde and Nason, The model confidence set (2011): the worst is left out as long as equality of those left is
    rejected. ``"max"``: the largest distance below the mean of all, studentised; ``"range"``: the largest of all pairs.
    Give what is to be compared, sample by sample: returns, utilities, minus losses. A Dataset of `p_value` (of being
    left out: those above 1 - level stay), `inside` and `order` (1 is left out first, the last is the best). Blocks of
    `resampling`, stationary, circular, moving or iid. Raises `DataError` for NaN, and strategies that are equal.

    >>> x = np.random.default_rng(1).normal(0.0, 1.0, (200, 4)) + [0.0, 0.0, 1.0, 1.0]
    >>> model_confidence_set(xr.DataArray(x, dims=("time", "trial")), over="trial")["inside"].values
    array([False, False,  True,  True])
    """
    choice("model_confidence_set", statistic=(statistic, Statistic))
    choice("model_confidence_set", scheme=(resampling.scheme, Literal["stationary", "circular", "moving", "iid"]))
    fraction("model_confidence_set", "level", level)
    (given,) = along("model_confidence_set", (dim, over), returns)
    if bool(given.isnull().any()):
        fix = "Select the time that all of them have, as x.dropna(dim) does."
        raise DataError(message("model_confidence_set", "NaN", "the same samples of all", fix))
    n = given.sizes[dim]
    length = Resampler([given], dim, resampling).length
    scheme = resampling.scheme
    counts = block_counts(n, resampling.replications, length=length, scheme=scheme, seed=resampling.seed)  # type: ignore[arg-type]

    def of(x: Floats) -> tuple[Floats, Floats]:
        found = eliminated(x, counts, statistic)
        return found.p_values, found.order

    p, order = xr.apply_ufunc(
        of, given, input_core_dims=[[dim, over]], output_core_dims=[[over], [over]], vectorize=True
    )
    arrays = {"p_value": p, "inside": p > 1.0 - level, "order": order}
    for name, text in (
        ("p_value", "p-value of the set without it"),
        ("inside", "in the set"),
        ("order", "left out as"),
    ):
        arrays[name].attrs = {"long_name": text}
    attrs = {"statistic": statistic, "level": level, "scheme": scheme, "length": length}
    return xr.Dataset(arrays, attrs=attrs | {"replications": resampling.replications, "seed": resampling.seed})


class Elimination(NamedTuple):
    """Of each strategy: the p-value, and when it is left out, from 1."""

    p_values: Floats
    order: Floats


def eliminated(x: Floats, counts: Floats, statistic: Statistic) -> Elimination:
    """The elimination on (samples, strategies) and counts of replications (replications, samples).

    >>> x = np.array([[1.0, 0.0], [1.0, 0.5], [2.0, 0.0], [1.5, 0.2]])
    >>> eliminated(x, np.ones((9, 4)) + np.eye(9, 4) - np.eye(9, 4, 1), "max").order
    array([2., 1.])
    """
    strategies = x.shape[1]
    mean = x.mean(axis=0)
    off = counts @ (x - mean) / len(x)  # of each replication, less the mean
    if statistic == "range":
        squares = off.T @ off / len(off)
        power = np.diagonal(squares)
        apart = np.maximum(power[:, None] + power - 2.0 * squares, 0.0)
    left = list(range(strategies))
    p_values, order = np.ones(strategies), np.full(strategies, float(strategies))
    least = 0.0
    for turn in range(1, strategies):
        m, drawn = mean[left], off[:, left]
        if statistic == "range":
            error = np.sqrt(apart[np.ix_(left, left)])
            np.fill_diagonal(error, np.inf)
            _check(error)
            t = (m[None, :] - m[:, None]) / error  # how far below each other one
            largest = np.max(np.abs(drawn[:, :, None] - drawn[:, None, :]) / error, axis=(1, 2))
            observed, worst = np.max(t), int(np.argmax(np.max(t, axis=1)))
        else:
            below = m.mean() - m
            own = drawn.mean(axis=1, keepdims=True) - drawn
            error = np.sqrt(np.mean(own**2, axis=0))
            _check(error)
            largest = np.max(own / error, axis=1)
            observed, worst = np.max(below / error), int(np.argmax(below / error))
        least = max(least, (1.0 + float(np.sum(largest >= observed))) / (len(counts) + 1.0))
        p_values[left[worst]], order[left[worst]] = least, float(turn)
        del left[worst]
    return Elimination(p_values, order)


def _check(error: Floats) -> None:
    if not np.all(error > 1e-12 * np.max(error, initial=0.0, where=np.isfinite(error))):
        fix = "Leave all but one of them out."
        raise DataError(message("model_confidence_set", "strategies that are equal", "strategies that differ", fix))
