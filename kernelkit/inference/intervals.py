"""How far a number, or a whole curve, that was computed from returns may lie from the truth: bootstrap (I11-I13)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.special
import xarray as xr
from numpy.typing import NDArray

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.inference.checks import along, choice, differ, fraction
from kernelkit.inference.resampling import CELLS, REPLICATION, Resampler, Resampling, gathered

Floats = NDArray[np.float64]
Statistic = Callable[..., Any]  # DataArrays to a DataArray
Method = Literal["percentile", "basic", "bca", "studentised"]

DEFAULT = Resampling()
MOST = 2**27  # numbers kept: a curve for each replication, 1 GB
OUT = "left_out"
TEXTS = {
    "estimate": "of the series as they are",
    "low": "lower end of the interval",
    "high": "upper end of the interval",
    "standard_error": "standard deviation over replications",
    "bias": "mean over replications less the estimate",
    "joint_low": "lower end of the band that holds the whole curve",
    "joint_high": "upper end of the band that holds the whole curve",
}


class Drawn(NamedTuple):
    """A statistic of the series, and of each replication along the first axis; standard errors where asked for."""

    estimate: xr.DataArray
    replications: Floats
    error: Floats | None = None
    errors: Floats | None = None


@arguments()
def interval(
    statistic: Statistic,
    *series: xr.DataArray,
    dim: str = "time",
    method: Method = "percentile",
    level: float = 0.95,
    joint: str | None = None,
    error: Statistic | None = None,
    resampling: Resampling = DEFAULT,
) -> xr.Dataset:
    """An interval that holds the true value of `statistic` with probability `level`, by the bootstrap of I11-I13.

    `statistic` takes the series (DataArrays that are resampled together along `dim`: returns, a benchmark) and reduces
    `dim`, or keeps it as a curve does; all metrics do. It meets further dims: it must not mind them. `resampling` says
    how series are drawn anew. ``"percentile"``, ``"basic"``: quantiles of the replications, those reflected at the
    estimate; ``"bca"``: bias-corrected and accelerated, by a jackknife of blocks (Efron, 1987); ``"studentised"``: by
    `error`, a function as `statistic` that gives its standard error (None: a jackknife of blocks in each replication,
    the slowest), more exact of a mean or a ratio with a stable error.

    A Dataset of `estimate`, `low`, `high`, `standard_error` and `bias`. With `joint`, a dim of the curve, `joint_low`
    and `joint_high` hold it along that dim everywhere at once: of all pairs of equal ranks the narrowest that hold
    `level` of the replications (Montiel Olea and Plagborg-Møller, 2019). A series that is NaN throughout gives NaN,
    as does a replication without a value. Raises `DataError` for gaps, labels that differ, and a statistic that loses
    replications; `UsageError` for settings that do not fit.

    >>> x = xr.DataArray(np.random.default_rng(1).normal(1.0, 1.0, 100), dims="time")
    >>> found = interval(lambda x: x.mean("time"), x, resampling=Resampling("iid"))
    >>> bool(found["low"] < found["estimate"]), round(float(found["standard_error"]), 2)
    (True, 0.08)
    """
    given = _checked(series, dim)
    choice("interval", method=(method, Method))
    fraction("interval", "level", level)
    resampler = Resampler(given, dim, resampling)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = _draw(statistic, resampler, error, method)
        low, high = _ends(drawn, statistic, resampler, method, level)
        found = {"estimate": drawn.estimate.values, "low": low, "high": high}
        found["standard_error"] = np.std(drawn.replications, axis=0, ddof=1)
        found["bias"] = np.mean(drawn.replications, axis=0) - drawn.estimate.values
        if joint is not None:
            found["joint_low"], found["joint_high"] = _joint(drawn, joint, method, level)
    return _dataset(found, drawn.estimate, method, level, resampler)


@arguments()
def replications(
    statistic: Statistic, *series: xr.DataArray, dim: str = "time", resampling: Resampling = DEFAULT
) -> xr.DataArray:
    """The statistic of each replication, along a last dim `replication`; arguments and errors are those of `interval`.

    >>> x = xr.DataArray(np.random.default_rng(1).normal(1.0, 1.0, 100), dims="time")
    >>> replications(lambda x: x.mean("time"), x, resampling=Resampling("iid", replications=20)).shape
    (20,)
    """
    given = _checked(series, dim)
    resampler = Resampler(given, dim, resampling)
    drawn = _draw(statistic, resampler, None, "percentile")
    values = np.moveaxis(drawn.replications, 0, -1)
    found = xr.DataArray(values, drawn.estimate.coords, [*drawn.estimate.dims, REPLICATION], drawn.estimate.name)
    return found.assign_attrs(drawn.estimate.attrs | _conventions(resampler))


def _draw(statistic: Statistic, resampler: Resampler, error: Statistic | None, method: str) -> Drawn:
    dim, studentised = resampler.dim, method == "studentised"
    estimate = _asked(statistic, resampler.series)
    if dim in estimate.dims and method in ("bca", "studentised"):
        fix = 'Use method="percentile" or "basic".'
        raise UsageError(message("interval: method", repr(method), f"a statistic that reduces {dim!r}", fix))
    needed = estimate.size * resampler.how.replications
    if needed > MOST:
        fix = "Ask for fewer replications, or thin the curve inside the statistic."
        raise DataError(message("replications", f"{needed:,} numbers", f"at most {MOST:,}", fix))
    size = int(np.ceil(resampler.length))
    width = resampler.n // size if studentised and error is None else 1
    order = [REPLICATION, *estimate.dims]
    values, errors = [], []
    for series in resampler.parts(width):
        found = _asked(statistic, series)
        if set(found.dims) != set(order):
            fix = f"Reduce {dim!r} by name only, as x.mean({dim!r}) does."
            raise DataError(message("the statistic of replications", f"dims {found.dims}", f"{order}", fix))
        values.append(found.transpose(*order).values)
        if studentised:
            spread = _asked(error, series) if error else _error(statistic, series, dim, size)
            errors.append(spread.transpose(*order).values)
    if not studentised:
        return Drawn(estimate, np.concatenate(values))
    own = _asked(error, resampler.series) if error else _error(statistic, resampler.series, dim, size)
    return Drawn(estimate, np.concatenate(values), own.transpose(*estimate.dims).values, np.concatenate(errors))


def _asked(statistic: Statistic, series: Sequence[xr.DataArray]) -> xr.DataArray:
    found = statistic(*series)
    if not isinstance(found, xr.DataArray):
        fix = "Take one variable of what it returns."
        raise DataError(message("the statistic", type(found).__name__, "a DataArray", fix))
    return found


def _ends(drawn: Drawn, statistic: Statistic, resampler: Resampler, method: str, level: float) -> tuple[Floats, Floats]:
    """I12."""
    tails = ((1.0 - level) / 2.0, (1.0 + level) / 2.0)
    theta = drawn.estimate.values
    if drawn.error is not None:
        t = _ranked((drawn.replications - theta) / drawn.errors)
        low, high = (np.asarray(theta - _at(t, tail) * drawn.error) for tail in tails[::-1])
        return low, high
    ranked = _ranked(drawn.replications)
    if method == "bca":
        drawn_ones = ranked[1:-1]
        ahead = (np.sum(drawn_ones < theta, axis=0) + np.sum(drawn_ones <= theta, axis=0)) / 2.0
        below = (ahead + 1.0) / len(ranked)  # one more on either side: all of them may lie on one
        bias = scipy.special.ndtri(below)
        size = int(np.ceil(resampler.length))
        skew = _acceleration(_left_out(statistic, resampler.series, resampler.dim, size), drawn.estimate)
        normal = [bias + scipy.special.ndtri(tail) for tail in tails]
        low, high = (_at(ranked, scipy.special.ndtr(bias + z / (1.0 - skew * z))) for z in normal)
        return low, high
    low, high = (_at(ranked, tail) for tail in tails)
    return (2.0 * theta - high, 2.0 * theta - low) if method == "basic" else (low, high)


def _ranked(values: Floats) -> Floats:
    """In order, the smallest and the largest twice: of B values the k-th is then the quantile of k / (B + 1)."""
    ranked = np.sort(values, axis=0)
    return np.concatenate([ranked[:1], ranked, ranked[-1:]])


def _joint(drawn: Drawn, joint: str, method: str, level: float) -> tuple[Floats, Floats]:
    """I13: the pair of ranks between which a share `level` of the replications lies throughout."""
    dims = list(drawn.estimate.dims)
    if joint not in dims or method not in ("percentile", "basic"):
        found = f"joint={joint!r}, method={method!r}, a statistic of dims {tuple(dims)}"
        wanted = 'a dim of the statistic, and "percentile" or "basic"'
        raise UsageError(message("interval", found, wanted, "Return the curve from the statistic."))
    along = 1 + dims.index(joint)
    ranked, n = np.sort(drawn.replications, axis=0), len(drawn.replications)
    place = np.argsort(np.argsort(drawn.replications, axis=0, kind="stable"), axis=0)
    depth = np.min(np.minimum(place, n - 1 - place), axis=along, keepdims=True)
    kept = -np.sort(-depth, axis=0)[int(np.ceil(level * n)) - 1][None]
    kept = np.broadcast_to(kept, (1, *ranked.shape[1:]))
    low, high = (np.take_along_axis(ranked, k, axis=0)[0] for k in (kept, n - 1 - kept))
    low, high = (np.where(np.isnan(ranked[-1]), np.nan, end) for end in (low, high))
    theta = drawn.estimate.values
    return (2.0 * theta - high, 2.0 * theta - low) if method == "basic" else (low, high)


def _left_out(statistic: Statistic, series: Sequence[xr.DataArray], dim: str, size: int) -> xr.DataArray:
    """The statistic without each block of `size` samples, from the first on; what is left over is never left out."""
    n = max(x.sizes.get(dim, 0) for x in series)
    blocks, place = n // size, np.arange(n - size)
    if blocks < 2:
        fix = 'Use method="percentile", or shorter blocks.'
        raise DataError(message("a jackknife", f"{n} samples in blocks of {size}", "at least two blocks", fix))
    step = max(1, CELLS // (n * max(x.size // n for x in series)))
    parts = []
    for first in range(0, blocks, step):
        which = np.arange(first, min(first + step, blocks))[:, None]
        index = place + np.where(place >= which * size, size, 0)
        parts.append(_asked(statistic, [gathered(x, dim, index, OUT) for x in series]))
    return xr.concat(parts, OUT)


def _error(statistic: Statistic, series: Sequence[xr.DataArray], dim: str, size: int) -> xr.DataArray:
    """The jackknife's standard error."""
    found = _left_out(statistic, series, dim, size)
    m = found.sizes[OUT]
    variance: xr.DataArray = (m - 1.0) / m * ((found - found.mean(OUT)) ** 2).sum(OUT, skipna=False)
    return variance**0.5


def _acceleration(found: xr.DataArray, estimate: xr.DataArray) -> Floats:
    off = (found.mean(OUT) - found).transpose(OUT, *estimate.dims).values
    squares = np.sum(off**2, axis=0)
    return np.asarray(np.where(squares > 0.0, np.sum(off**3, axis=0) / (6.0 * squares**1.5), 0.0))


def _at(ranked: Floats, q: Any) -> Floats:
    """Quantiles of type 7 along the first axis, one `q` for each of the others or for all; NaN where any is NaN."""
    place = np.broadcast_to(q, ranked.shape[1:]) * (len(ranked) - 1.0)
    known = np.isfinite(place)
    below = np.floor(np.where(known, place, 0.0)).astype("i8")
    above = np.minimum(below + 1, len(ranked) - 1)
    low, high = (np.take_along_axis(ranked, k[None], axis=0)[0] for k in (below, above))
    return np.where(known & ~np.isnan(ranked[-1]), low + (place - below) * (high - low), np.nan)


def _checked(series: Sequence[Any], dim: str) -> list[xr.DataArray]:
    given = along("interval", (dim,), *series)
    for k, x in enumerate(given, 1):
        if REPLICATION in x.dims:
            fix = "Rename it: x.rename(replication='path')."
            raise DataError(message(f"interval: series {k}", f"a dim {REPLICATION!r}", "dims of other names", fix))
        missing = x.isnull()
        if bool((missing.any(dim) & ~missing.all(dim)).any()):
            fix = "Select the time that all of them have, as x.dropna(dim) does."
            raise DataError(message(f"interval: series {k}", "NaN at some samples", "the same samples of all", fix))
    if given[0].sizes[dim] < 2:
        raise DataError(message("interval", f"{given[0].sizes[dim]} samples", "at least two", "Widen the selection."))
    try:
        xr.align(*given, join="exact")
    except xr.AlignmentError as error:
        raise differ("interval") from error
    return given


def _conventions(resampler: Resampler) -> dict[str, Any]:
    how = resampler.how
    found: dict[str, Any] = {"scheme": how.scheme, "replications": how.replications, "seed": how.seed}
    if how.scheme in ("stationary", "circular", "moving"):
        found["length"] = resampler.length
    if how.scheme == "residual" and how.fitted is None:
        found["order"] = resampler.order
    return found | ({"weights": how.weights} if how.scheme == "wild" else {})


def _dataset(
    found: dict[str, Floats], estimate: xr.DataArray, method: str, level: float, resampler: Resampler
) -> xr.Dataset:
    arrays = {}
    for name, values in found.items():
        units = {"units": estimate.attrs["units"]} if "units" in estimate.attrs else {}
        arrays[name] = xr.DataArray(values, estimate.coords, estimate.dims, attrs={"long_name": TEXTS[name], **units})
    return xr.Dataset(arrays, attrs={"method": method, "level": level, **_conventions(resampler)})
