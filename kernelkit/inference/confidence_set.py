"""Which of several strategies may be the best: the model confidence set (I21)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kernelkit.errors import DataError, arguments, message
from kernelkit.inference.checks import along, choice, fraction
from kernelkit.inference.draws import block_counts
from kernelkit.inference.resampling import Resampler, Resampling

Floats = NDArray[np.float64]
Statistic = Literal["max", "range"]
Kernel = Callable[..., Any]

DEFAULT = Resampling()


@arguments()
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
    from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this
    from kernelkit.kernels.elimination import MAX_TYPES, RANGE_TYPES

    mean = x.mean(axis=0)
    off = np.ascontiguousarray((counts @ (x - mean) / len(x)).T)  # of each replication, less the mean
    if statistic == "range":
        return _by_pairs(mean, off, kernel("elimination", "apart", RANGE_TYPES))
    return _by_mean(mean, off, kernel("elimination", "below_mean", MAX_TYPES))


def _by_mean(mean: Floats, off: Floats, below_mean: Kernel) -> Elimination:
    """Every time the one that is farthest below the mean of those left."""
    strategies, replications = off.shape
    p_values, order = np.ones(strategies), np.full(strategies, float(strategies))
    left, least = np.arange(strategies), 0.0
    middle, error, largest = (np.empty(n) for n in (replications, strategies, replications))
    for turn in range(1, strategies):
        below_mean(off, left, middle, error, largest)
        _check(error[: len(left)])
        t = (mean[left].mean() - mean[left]) / error[: len(left)]
        worst = int(np.argmax(t))
        least = max(least, _p_value(largest, t[worst]))
        p_values[left[worst]], order[left[worst]] = least, float(turn)
        left = np.delete(left, worst)
    return Elimination(p_values, order)


def _by_pairs(mean: Floats, off: Floats, apart: Kernel) -> Elimination:
    """Every time the one that is farthest below another one.

    Neither t nor errors of pairs change when others are left out: who goes when is found first. Then they come back,
    the last first, and only the pairs of the one that comes are looked at: each pair once, not at every turn.
    """
    strategies, replications = off.shape
    squares = off @ off.T / replications
    power = np.diagonal(squares)
    error = np.sqrt(np.maximum(power[:, None] + power - 2.0 * squares, 0.0))
    np.fill_diagonal(error, np.inf)
    _check(error)
    t = (mean[None, :] - mean[:, None]) / error  # how far below each other one
    gone, observed = _left_out(t)
    p_values, order = np.ones(strategies), np.full(strategies, float(strategies))
    order[gone] = np.arange(1.0, strategies + 1.0)
    largest = np.zeros(replications)
    for turn in range(strategies - 2, -1, -1):
        others = gone[turn + 1 :]
        apart(off, others, gone[turn], error[gone[turn], others], largest)
        p_values[gone[turn]] = _p_value(largest, observed[turn])
    p_values[gone[:-1]] = np.maximum.accumulate(p_values[gone[:-1]])
    return Elimination(p_values, order)


def _left_out(t: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Who is left out when, the best last, by how far each is below others; and how far each was, of those left then.

    >>> _left_out(np.array([[0.0, 1.0, 3.0], [-1.0, 0.0, 2.0], [-3.0, -2.0, 0.0]]))
    (array([0, 1, 2]), array([3., 2.]))
    """
    t = t.copy()
    below, whom = t.max(axis=1), t.argmax(axis=1)
    gone, observed = [], []
    for _ in range(1, len(t)):
        worst = int(np.argmax(below))
        gone.append(worst)
        observed.append(below[worst])
        t[:, worst] = below[worst] = -np.inf
        again = np.flatnonzero((whom == worst) & (below > -np.inf))
        below[again], whom[again] = t[again].max(axis=1), t[again].argmax(axis=1)
    gone.append(int(np.argmax(below)))
    return np.array(gone), np.array(observed)


def _p_value(largest: Floats, observed: float) -> float:
    return (1.0 + float(np.sum(largest >= observed))) / (len(largest) + 1.0)


def _check(error: Floats) -> None:
    if not np.all(error > 1e-12 * np.max(error, initial=0.0, where=np.isfinite(error))):
        fix = "Leave all but one of them out."
        raise DataError(message("model_confidence_set", "strategies that are equal", "strategies that differ", fix))
