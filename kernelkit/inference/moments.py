"""Moments of thousands of replications of a series: a block costs the same whatever its length, by prefix sums."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import xarray as xr

from kernelkit.errors import arguments
from kernelkit.inference.checks import along, choice
from kernelkit.inference.draws import Blocks, Plan, blocks_plan
from kernelkit.inference.resampling import REPLICATION, Resampling, found_length
from kernelkit.metrics.labels import check_names
from kernelkit.metrics.metric import aligned, schema_text
from kernelkit.metrics.period import per_year
from kernelkit.metrics.series import annual_ratio, central_sums, spread, standard_moment

TABLE = 2**14  # rows of prefix sums at a time, 64 bytes each: what stays in a cache of 1 MB
PIECE = 2**21  # blocks x series a call of the kernel, some 20 ms: an interrupt is answered between two
DEFAULT = Resampling()

OUTPUTS = {
    "mean": ("1", "mean return per sample"),
    "volatility": schema_text("volatility"),
    "sharpe_ratio": schema_text("sharpe_ratio"),
    "skewness": ("1", "skewness"),
    "kurtosis": ("1", "excess kurtosis"),
}


@arguments()
def bootstrap_moments(
    returns: xr.DataArray, *, dim: str = "time", periods: float | None = None, resampling: Resampling = DEFAULT
) -> xr.Dataset:
    """Mean, volatility, Sharpe ratio, skewness and kurtosis of each replication, along a last dim `replication`.

    What `replications` gives of `kk.metrics` of these names, with their defaults (M5, M12) and the same draws (I5), a
    thousand times as fast: of blocks of samples alone (``"stationary"``, ``"circular"``, ``"moving"``, ``"iid"``).
    Annual by `periods` (M10). A length not given is I10's, the median over other dims. NaN at its ends makes a series
    shorter, a gap makes it NaN (M9). Runs on all cores. Raises UsageError for another scheme, and a length that the
    shortest series cannot have; DataError for what is no series.

    >>> x = xr.DataArray(np.random.default_rng(1).normal(0.001, 0.01, 1000), dims="time")
    >>> found = bootstrap_moments(x, periods=252, resampling=Resampling(length=10))["sharpe_ratio"]
    >>> found.shape, round(float(found.std()), 1)
    ((999,), 0.5)
    """
    how, name = resampling, "bootstrap_moments"
    (x,) = along(name, (dim,), returns)
    check_names(name, [x], [*OUTPUTS, REPLICATION])
    choice(f"{name}: resampling", scheme=(how.scheme, Blocks))
    annual = per_year(name, x, periods, dim)
    blocks = how.scheme != "iid"
    length = float(how.length or found_length([x], dim, how.scheme)) if blocks else 1.0
    found = xr.apply_ufunc(
        lambda rows: moments(rows, how.replications, annual, length, how.scheme, how.seed),
        x,
        input_core_dims=[[dim]],
        output_core_dims=[[REPLICATION]] * len(OUTPUTS),
    )
    attrs = {"scheme": how.scheme, "seed": how.seed, "periods_per_year": annual, "ddof": 1}
    attrs |= {"length": length} if blocks else {}
    arrays = {}
    for (output, (units, long_name)), one in zip(OUTPUTS.items(), found, strict=True):
        arrays[output] = one.assign_attrs(units=units, long_name=long_name, **attrs)
    return xr.Dataset(arrays, attrs=attrs)


def moments(
    x: np.ndarray, replications: int, periods: float, length: float, scheme: str, seed: int
) -> tuple[np.ndarray, ...]:
    """The outputs of (..., sample) returns, each (..., replication); series of the same span together.

    >>> [one.shape for one in moments(np.array([[0.1, 0.2, -0.1]]), 7, 252.0, 1.0, "iid", 0)][0]
    (1, 7)
    """
    (rows,), broken = aligned([x.reshape(-1, x.shape[-1])])
    present = ~np.isnan(rows)
    n, first = np.sum(present, axis=-1), np.argmax(present, axis=-1)
    there = ~broken & (n > 0)
    centre, sums = np.full((len(rows), 1), np.nan), np.full((len(rows), replications, 4), np.nan)
    for begin, size in np.unique(np.stack([first, n], axis=-1)[there], axis=0).tolist():
        alike = np.flatnonzero(there & (first == begin) & (n == size))
        plan = blocks_plan("bootstrap_moments", size, length, scheme, seed)
        some = rows[alike, begin : begin + size]
        centre[alike, 0] = some.mean(axis=-1)
        sums[alike] = power_sums(some - centre[alike], plan, replications, size / length)
    found = _of_sums(n[:, None].astype("f8"), centre, sums, periods)
    return tuple(one.reshape(*x.shape[:-1], replications) for one in found)


def power_sums(off: np.ndarray, plan: Plan, replications: int, blocks: float) -> np.ndarray:
    """The sums of the first four powers of (series, sample) in each replication, (series, replication, 4).

    ``blocks`` is about how many a replication has.

    >>> plan = blocks_plan("help", 3, 3, "circular", 1)
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
        resample(np.arange(first, first + piece.shape[1]), *plan.arguments(), np.empty(8), table, piece)
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
