"""Do positions meet the returns they were meant for? Positions are moved against returns, or shuffled (I17)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kernelkit.errors import DataError, arguments, message
from kernelkit.inference.checks import along, choice, differ, whole
from kernelkit.rng import uniform

Floats = NDArray[np.float64]
Move = Literal["shift", "shuffle"]
Measure = Literal["mean", "sharpe_ratio"]

CELLS = 2**22
OUTPUTS = {
    "statistic": "of the positions as they are, per sample",
    "p_value": "share of moved positions that do as well",
    "error": "Monte Carlo error of the p-value",
    "null_mean": "mean over moved positions",
    "null_deviation": "standard deviation over moved positions",
}


@arguments()
def permutation_test(
    positions: xr.DataArray,
    returns: xr.DataArray,
    *,
    move: Move = "shift",
    by: Measure = "mean",
    replications: int = 999,
    seed: int = 0,
    dim: str = "time",
) -> xr.Dataset:
    """Is the timing of `positions` better than chance? The share of moved positions that earn as much; I17.

    `positions[t]` earns `positions[t] * returns[t]`: it is the one held during sample t, and was decided before.
    ``"shift"`` moves all positions round the sample by one number of places, so that their runs and the returns' own
    order stay: for signals that last; all n - 1 shifts are taken where there are no more than `replications`, and the
    p-value is exact. ``"shuffle"`` puts them in any order: for samples that do not follow from one another. The moves
    are the same for all further dims. What positions earn by being long of what rises is in `null_mean`, not in the
    p-value. One-sided; costs are not counted. Raises `DataError` for NaN and labels that differ.

    >>> x = xr.DataArray(np.random.default_rng(1).normal(0.0, 0.01, 200), dims="time")
    >>> float(permutation_test(np.sign(x), x)["p_value"]), bool(permutation_test(np.sign(-x), x)["p_value"] > 0.9)
    (0.005, True)
    """
    choice("permutation_test", move=(move, Move), by=(by, Measure))
    wanted = whole("permutation_test", "replications", replications, 1)
    held, earned = along("permutation_test", (dim,), positions, returns)
    n = held.sizes[dim]
    if bool(held.isnull().any()) or bool(earned.isnull().any()) or n < 3:
        fix = "Select the time that all of them have, as x.dropna(dim) does."
        raise DataError(message("permutation_test", "NaN, or fewer than 3 samples", "samples without gaps", fix))
    exact = move == "shift" and n - 1 <= wanted
    moves = n - 1 if exact else wanted

    def of(a: Floats, b: Floats) -> tuple[Floats, ...]:
        a, b = np.broadcast_arrays(a, b)
        step = max(1, CELLS // a.size)
        observed = _measured(a, b, by)
        rest = []
        for first in range(0, moves, step):
            paths = np.arange(first, min(first + step, moves))
            index = _places(n, paths, move, exact, seed)
            rest.append(_measured(a[..., index], b[..., None, :], by))
        null = np.concatenate(rest, axis=-1)
        p = (1.0 + np.sum(null >= observed[..., None] - 1e-12 * np.abs(observed[..., None]), axis=-1)) / (moves + 1.0)
        error = 0.0 * p if exact else np.sqrt(p * (1.0 - p) / moves)
        return observed, p, error, null.mean(axis=-1), null.std(axis=-1)

    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Any = xr.apply_ufunc(
                of,
                held,
                earned,
                input_core_dims=[[dim], [dim]],
                output_core_dims=[[]] * len(OUTPUTS),
                join="exact",
            )
    except xr.AlignmentError as error:
        raise differ("permutation_test") from error
    arrays = {}
    for (name, text), one in zip(OUTPUTS.items(), found, strict=True):
        arrays[name] = one.assign_attrs({"long_name": text, "units": "1"})
    attrs = {"move": move, "by": by, "replications": moves, "seed": seed, "exact": int(exact)}
    return xr.Dataset(arrays, attrs=attrs)


def _places(n: int, paths: NDArray[np.int64], move: Move, exact: bool, seed: int) -> NDArray[np.int64]:
    """Whose position stands in each place, (paths, n)."""
    if move == "shuffle":
        return np.argsort(uniform(seed, paths[:, None], np.arange(n), 4), axis=-1)
    by = paths + 1 if exact else 1 + np.floor(uniform(seed, paths, 0, 4) * (n - 1)).astype("i8")
    return np.asarray((np.arange(n) - by[:, None]) % n)


def _measured(a: Floats, b: Floats, by: Measure) -> Floats:
    earned = a * b
    mean = earned.mean(axis=-1)
    return np.asarray(mean if by == "mean" else mean / earned.std(axis=-1, ddof=1))
