"""Is one strategy better than another, are they alike, and which of several is the best (I18-I20)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.special
import xarray as xr
from numpy.typing import NDArray

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.inference.block_length import block_length
from kernelkit.inference.checks import along, choice, differ, fraction, whole
from kernelkit.inference.classical import by_row
from kernelkit.inference.draws import block_indices
from kernelkit.inference.intervals import Statistic, replications
from kernelkit.inference.resampling import CELLS, REPLICATION, Resampling
from kernelkit.inference.sharpe_error import influence, long_run_variance
from kernelkit.metrics.metric import Periods
from kernelkit.metrics.period import per_year
from kernelkit.metrics.regression import newey_west_lags

Floats = NDArray[np.float64]
Method = Literal["bootstrap", "hac", "jobson_korkie"]

CIRCULAR = Resampling("circular")
DEFAULT = Resampling()
NAMES = ("estimate", "standard_error", "statistic", "p_value", "low", "high")


@arguments()
def sharpe_difference(
    x: xr.DataArray,
    y: xr.DataArray,
    *,
    method: Method = "bootstrap",
    lags: int | None = None,
    level: float = 0.95,
    resampling: Resampling = CIRCULAR,
    periods: Periods = None,
    dim: str = "time",
) -> xr.Dataset:
    """By how much is the annual Sharpe ratio of `x` above that of `y`, and is it? Excess returns of the same time; I18.

    ``"bootstrap"``: Ledoit and Wolf, Robust performance hypothesis testing with the Sharpe ratio (2008): studentised,
    circular blocks of `resampling`, `length` None that of I10 of the difference's own series; ``"hac"``: by the normal
    distribution with the error of Newey and West and `lags`, None those of 1994; ``"jobson_korkie"``: of independent
    normal samples (1981), as corrected by Memmel (2003). A Dataset of `estimate`, `standard_error`, `statistic`, the
    two-sided `p_value`, and `low` and `high` at `level`. NaN for a gap, without variance, and for equal series. Raises
    `DataError` for labels that differ, `UsageError` for settings that do not fit.

    >>> draw = np.random.default_rng(1).normal(0.0, 0.01, (2, 500))
    >>> x, y = xr.DataArray(draw[0] + 0.002, dims="time"), xr.DataArray(draw[1], dims="time")
    >>> found = sharpe_difference(x, y, periods=252)
    >>> bool(0.0 < found["low"]), round(float(found["p_value"]), 3) < 0.05
    (True, True)
    """
    choice("sharpe_difference", method=(method, Method))
    fraction("sharpe_difference", "level", level)
    if lags is not None:
        whole("sharpe_difference", "lags", lags, 0)
    if resampling.scheme != "circular":
        fix = 'Pass resampling=kk.inference.Resampling("circular").'
        raise UsageError(message("sharpe_difference: scheme", repr(resampling.scheme), "'circular'", fix))
    given = along("sharpe_difference", (dim,), x, y)
    years = per_year("sharpe_difference", x, periods, dim)

    def pair(a: Floats, b: Floats) -> tuple[Any, ...]:
        d = _sharpe(a) - _sharpe(b)
        if method == "jobson_korkie":
            error = _memmel(a, b)
        else:
            reach = newey_west_lags(len(a)) if lags is None else lags
            error = _error(a, b, reach)
        if not error > 0.0:
            return (d * years**0.5,) + (np.nan,) * 5
        t, width = d / error, scipy.special.ndtri((1.0 + level) / 2.0)
        p = 2.0 * scipy.special.ndtr(-abs(t))
        if method == "bootstrap":
            sizes = np.sort(np.abs(_studentised(a, b, d, resampling)))
            p = (1.0 + np.sum(sizes >= abs(t))) / (len(sizes) + 1.0)
            width = sizes[min(int(np.ceil(level * (len(sizes) + 1.0))), len(sizes)) - 1]
        return d * years**0.5, error * years**0.5, t, p, *(years**0.5 * (d + sign * width * error) for sign in (-1, 1))

    settings: dict[str, Any] = {"method": method, "level": level, "periods_per_year": years}
    if method == "bootstrap":
        settings |= {"replications": resampling.replications, "seed": resampling.seed}
    return by_row("sharpe_difference", pair, given, NAMES, dim, settings, least=4, how="series")


def _sharpe(a: Floats) -> Any:
    return a.mean(axis=-1) / a.std(axis=-1, ddof=1)


def _error(a: Floats, b: Floats, lags: float) -> float:
    n = len(a)
    return float((long_run_variance(influence(a) - influence(b), n, lags) / n) ** 0.5)


def _memmel(a: Floats, b: Floats) -> float:
    first, second, rho = _sharpe(a), _sharpe(b), np.corrcoef(a, b)[0, 1]
    variance = 2.0 - 2.0 * rho + (first**2 + second**2 - 2.0 * first * second * rho**2) / 2.0
    return float((max(variance, 0.0) / len(a)) ** 0.5)


def _studentised(a: Floats, b: Floats, d: float, how: Resampling) -> Floats:
    """Each replication's difference less `d`, over its own error: of sums over its blocks."""
    n = len(a)
    length = how.length
    if length is None:
        length = max(1.0, float(np.ceil(np.nan_to_num(block_length(influence(a) - influence(b), scheme="circular")))))
    size = int(length)
    blocks = n // size if size == length and size >= 1 else 0
    if blocks < 2:
        fix = "Leave it out, or take a longer span."
        raise UsageError(message("Resampling: length", length, f"a whole number from 1 to {n // 2}", fix))
    found, step = [], max(1, CELLS // n)
    for first in range(0, how.replications, step):
        paths = np.arange(first, min(first + step, how.replications))
        index = block_indices(n, paths, length=size, scheme="circular", seed=how.seed)
        x, y = a[index], b[index]
        moves = (influence(x) - influence(y))[:, : blocks * size].reshape(len(paths), blocks, size).sum(axis=-1)
        error = np.sqrt(np.mean(moves**2, axis=-1) / size / n)
        found.append((_sharpe(x) - _sharpe(y) - d) / error)
    return np.concatenate(found)


@arguments()
def equivalence_test(
    estimate: xr.DataArray, error: xr.DataArray, *, margin: float, degrees: xr.DataArray | float = np.inf
) -> xr.DataArray:
    """p-value that a difference is within `margin` of 0: two one-sided tests (Schuirmann, 1987); I19.

    `estimate` and its standard `error` are those of any test here; `degrees` of Student's t, the normal distribution if
    infinite. Small p-values say that both are alike for the purpose of `margin`; a large one says nothing.

    >>> float(equivalence_test(xr.DataArray(0.0), xr.DataArray(0.1), margin=0.3).round(5))
    0.00135
    """
    if not margin > 0.0:
        fix = "Give the largest difference that does not matter."
        raise UsageError(message("equivalence_test: margin", margin, "a number above 0", fix))
    given = along("equivalence_test", (), estimate, error)
    try:
        found: xr.DataArray = xr.apply_ufunc(
            lambda d, s, f: scipy.special.stdtr(f, (np.abs(d) - margin) / s), *given, degrees, join="exact"
        )
    except xr.AlignmentError as wrong:
        raise differ("equivalence_test") from wrong
    attrs = {"long_name": "p-value of a difference beyond the margin", "units": "1", "margin": margin}
    return found.assign_attrs(attrs).rename("p_value")


@arguments()
def rank_intervals(
    statistic: Statistic,
    returns: xr.DataArray,
    *,
    over: str,
    level: float = 0.95,
    resampling: Resampling = DEFAULT,
    dim: str = "time",
) -> xr.Dataset:
    """Ranks of the strategies along `over` by `statistic`, 1 is the largest, and how sure they are; I20.

    A Dataset of `estimate`, `rank`, `low` and `high` (the middle `level` of the ranks in replications that draw the
    samples of all strategies together), and `best`, the share in which each is first (ties share it). `statistic` is as
    for `interval`. It says which order the data support; that the first is any good is `max_sharpe_test`'s question.

    >>> x = xr.DataArray(np.random.default_rng(1).normal(0.0, 1.0, (100, 3)) + [0.0, 0.1, 1.0], dims=("time", "trial"))
    >>> found = rank_intervals(lambda x: x.mean("time"), x, over="trial")
    >>> found["rank"].values.tolist(), float(found["best"][2])
    ([2.0, 3.0, 1.0], 1.0)
    """
    fraction("rank_intervals", "level", level)
    (given,) = along("rank_intervals", (dim, over), returns)
    estimate = statistic(given)
    if over not in estimate.dims or dim in estimate.dims:
        fix = f"Reduce {dim!r} by name only, as x.mean({dim!r}) does."
        raise DataError(message("rank_intervals: the statistic", f"dims {estimate.dims}", f"{over!r} among them", fix))
    drawn = replications(statistic, given, dim=dim, resampling=resampling)
    ranks, rank = _ranks(drawn, over), _ranks(estimate, over)
    first = ranks == ranks.min(over)
    best = (first / first.sum(over)).mean(REPLICATION).where(estimate.notnull())
    ordered = np.sort(ranks.transpose(..., REPLICATION).values, axis=-1)
    b = ordered.shape[-1]
    cut = max(int(np.floor((1.0 - level) / 2.0 * (b + 1.0))), 1)
    frame = ranks.isel({REPLICATION: 0}, drop=True)
    arrays = {
        "estimate": estimate,
        "rank": rank,
        "low": frame.copy(data=ordered[..., cut - 1]),
        "high": frame.copy(data=ordered[..., b - cut]),
        "best": best,
    }
    texts = (
        "of the series as they are",
        "rank, 1 is the largest",
        "best rank",
        "worst rank",
        "share in which it is first",
    )
    for text, one in zip(texts, arrays.values(), strict=True):
        one.attrs = {"long_name": text}
    attrs = {
        "level": level,
        **{k: drawn.attrs[k] for k in ("scheme", "replications", "seed", "length") if k in drawn.attrs},
    }
    return xr.Dataset(arrays, attrs=attrs)


def _ranks(values: xr.DataArray, over: str) -> xr.DataArray:
    """From 1, the largest; of equals each has the middle of their ranks; NaN has none."""
    from scipy.stats import rankdata

    found: xr.DataArray = xr.apply_ufunc(
        lambda v: rankdata(-v, axis=-1, nan_policy="omit"), values, input_core_dims=[[over]], output_core_dims=[[over]]
    )
    return found.transpose(*values.dims)
