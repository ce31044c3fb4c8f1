"""Moments of thousands of replications of a series: a block costs the same whatever its length, by prefix sums."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from kernelkit.errors import DataError, UsageError, message
from kernelkit.inference.draws import Plan, Scheme, blocks_plan
from kernelkit.metrics.labels import check_names
from kernelkit.metrics.metric import aligned, schema_text
from kernelkit.metrics.period import periods_of
from kernelkit.metrics.series import annual_ratio, central_sums, spread, standard_moment

TABLE = 2**14  # rows of prefix sums at a time, 64 bytes each: what stays in a cache of 1 MB
PIECE = 2**21  # blocks x series a call of the kernel, some 20 ms: an interrupt is answered between two
REPLICATION = "replication"

OUTPUTS = {
    "mean": ("1", "mean return per sample"),
    "volatility": schema_text("volatility"),
    "sharpe_ratio": schema_text("sharpe_ratio"),
    "skewness": ("1", "skewness"),
    "kurtosis": ("1", "excess kurtosis"),
}


def bootstrap_moments(
    returns: Any,
    *,
    length: float,
    replications: int = 999,
    scheme: Scheme = "stationary",
    seed: int = 0,
    periods: float | None = None,
    dim: str = "time",
) -> Any:
    """Mean, volatility, Sharpe ratio, skewness and kurtosis of replications drawn in blocks, along a dim `replication`.

    I5 draws `length`, `scheme` and `seed`, the same for all series of as many samples, as `block_counts` does; the
    metrics are `volatility`, `sharpe_ratio`, `skewness` and `kurtosis` of `kk.metrics` with their defaults (M5, M12),
    annual by `periods` (M10). DataArrays are reduced along `dim` to a Dataset, arrays along their last axis to a dict
    of (..., replication). NaN at its ends makes a series shorter, a gap makes it NaN (M9). On all cores. Raises
    UsageError for a length that the scheme or the shortest series cannot have, DataError for what is no series.

    Politis and Romano, The stationary bootstrap (1994).

    >>> x = np.random.default_rng(1).normal(0.001, 0.01, 1000)
    >>> found = bootstrap_moments(x, length=10, periods=252)["sharpe_ratio"]
    >>> found.shape, round(float(found.std()), 1)
    ((999,), 0.5)
    """
    _check(returns, dim)
    annual = periods_of(returns, dim) if periods is None else float(periods)
    if not annual > 0.0:
        raise UsageError(
            message("bootstrap_moments: periods", periods, "a number above 0", "Leave it out, or pass 252.")
        )

    def reduce(x: np.ndarray) -> tuple[np.ndarray, ...]:
        return _moments(x.astype("f8", copy=False), replications, annual, length, scheme, seed)

    if not isinstance(returns, xr.DataArray):
        return dict(zip(OUTPUTS, reduce(returns), strict=True))
    found = xr.apply_ufunc(
        reduce,
        returns,
        input_core_dims=[[dim]],
        output_core_dims=[[REPLICATION]] * len(OUTPUTS),
        dask="parallelized",
        output_dtypes=[np.float64] * len(OUTPUTS),
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": {REPLICATION: replications}},
    )
    attrs = {"length": length, "scheme": scheme, "seed": seed, "periods_per_year": annual, "ddof": 1}
    arrays = {}
    for (name, (units, long_name)), one in zip(OUTPUTS.items(), found, strict=True):
        arrays[name] = one.assign_attrs(units=units, long_name=long_name, **attrs)
    return xr.Dataset(arrays, attrs=attrs)


def _check(returns: Any, dim: str) -> None:
    what = "bootstrap_moments: returns"
    if not isinstance(returns, xr.DataArray) and not (isinstance(returns, np.ndarray) and returns.ndim):
        fix = "Wrap it: xr.DataArray(values, dims='time')."
        raise DataError(message(what, type(returns).__name__, "a DataArray or an array of numpy", fix))
    if isinstance(returns, xr.DataArray) and dim not in returns.dims:
        fix = "Name the dim to reduce: bootstrap_moments(..., dim=...)."
        raise DataError(message(what, f"dims {returns.dims}", f"the dim {dim!r}", fix))
    check_names("bootstrap_moments", [returns], [*OUTPUTS, REPLICATION])


def _moments(
    x: np.ndarray, replications: int, periods: float, length: float, scheme: Scheme, seed: int
) -> tuple[np.ndarray, ...]:
    """The metrics of (..., sample) returns, each (..., replication); series of the same span together."""
    (rows,), broken = aligned([x.reshape(-1, x.shape[-1])])
    present = ~np.isnan(rows)
    n, first = np.sum(present, axis=-1), np.argmax(present, axis=-1)
    there = ~broken & (n > 0)
    centre, sums = np.full((len(rows), 1), np.nan), np.full((len(rows), replications, 4), np.nan)
    for begin, size in np.unique(np.stack([first, n], axis=-1)[there], axis=0).tolist():
        alike = np.flatnonzero(there & (first == begin) & (n == size))
        plan = blocks_plan("bootstrap_moments", size, replications, length, scheme, seed)
        some = rows[alike, begin : begin + size]
        centre[alike, 0] = some.mean(axis=-1)
        sums[alike] = power_sums(some - centre[alike], plan, replications, size / length)
    found = _of_sums(n[:, None].astype("f8"), centre, sums, periods)
    return tuple(one.reshape(*x.shape[:-1], replications) for one in found)


def power_sums(off: np.ndarray, plan: Plan, replications: int, blocks: float) -> np.ndarray:
    """The sums of the first four powers of (series, sample) in each replication, (series, replication, 4).

    ``blocks`` is about how many a replication has.

    >>> plan = blocks_plan("help", 3, 2, 3, "circular", 1)
    >>> power_sums(np.array([[1.0, 2.0, -2.0]]), plan, 2, 1.0)[0, 1].tolist()
    [1.0, 9.0, 1.0, 33.0]
    """
    from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this
    from kernelkit.kernels.resample import POWER_TYPES, SUM_TYPES

    prefixes, resample = kernel("resample", "prefixes", POWER_TYPES), kernel("resample", "resample", SUM_TYPES)
    width = max(1, TABLE // (plan.n + 1))
    step = max(1, int(PIECE / (blocks * min(width, len(off)))))
    out = np.empty((len(off), replications, 4))

    def draw(table: np.ndarray, rows: slice, first: int) -> None:
        piece = np.empty((len(table), min(step, replications - first), 4))
        resample(first, *plan.arguments(), np.empty(8), table, piece)
        out[rows, first : first + step] = piece

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for k in range(0, len(off), width):
            rows = slice(k, k + width)
            table = np.empty((len(off[rows]), plan.n + 1, 8))
            prefixes(np.ascontiguousarray(off[rows]), table)
            list(pool.map(partial(draw, table, rows), range(0, replications, step)))
    return out


def _of_sums(n: np.ndarray, centre: np.ndarray, sums: np.ndarray, periods: float) -> tuple[np.ndarray, ...]:
    """The metrics from sums of powers of deviations from `centre`, around each replication's own mean."""
    s1, s2, s3, s4 = np.moveaxis(sums, -1, 0)
    m2, m3, m4 = central_sums(n, s1, s2, s3, s4)
    squares = s2 + centre * (2.0 * s1 + n * centre)
    mean, even = centre + s1 / n, spread(n, m2, squares, 0)
    deviation = np.sqrt(spread(n, m2, squares, 1))
    with np.errstate(divide="ignore", invalid="ignore"):  # a ratio over nothing is NaN, and says so
        return (
            mean,
            deviation * np.sqrt(periods),
            annual_ratio(mean, deviation, periods),
            standard_moment(m3 / n, even, 3),
            standard_moment(m4 / n, even, 4) - 3.0,
        )
