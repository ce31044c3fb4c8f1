"""Textbook tests on labelled series, computed by SciPy and statsmodels (I14).

Samples lie along `dim`; NaN is no sample, and a pair counts where both are there. Other dims broadcast. A result is a
Dataset of `statistic`, `p_value` and what else the test says, with the settings as attrs; too few samples give NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import scipy.special
import xarray as xr
from numpy.typing import NDArray

from kernelkit.errors import UsageError, arguments, message
from kernelkit.inference.checks import along, choice, differ, fraction, whole

Floats = NDArray[np.float64]
Side = Literal["two-sided", "less", "greater"]
Kind = Literal["welch", "pooled", "paired"]
Samples = Literal["apart", "pairs", "series"]

TEXTS = {
    "statistic": "test statistic",
    "p_value": "p-value",
    "degrees": "degrees of freedom",
    "estimate": "estimate",
    "standard_error": "its standard error",
    "low": "lower end of the interval",
    "high": "upper end of the interval",
    "skewness": "skewness",
    "kurtosis": "kurtosis, of a normal series 3",
}
TEST = ("statistic", "p_value")


@arguments()
def t_test(
    x: xr.DataArray,
    y: xr.DataArray | None = None,
    *,
    kind: Kind = "welch",
    mean: float = 0.0,
    alternative: Side = "two-sided",
    level: float = 0.95,
    dim: str = "time",
) -> xr.Dataset:
    """Is the mean of `x`, or the difference of the means of `x` and `y`, not `mean`? Student (1908).

    With `y`, ``"welch"`` allows for unequal variances (Welch, 1947), ``"pooled"`` takes them for equal, ``"paired"``
    tests the differences of samples of one label. `estimate`, `standard_error`, `low`, `high`: the mean or difference,
    and its interval at `level`, one-sided where `alternative` is. Samples are taken for independent: of returns see
    `sharpe_ratio_error` and `interval`. Raises `DataError` for labels that differ, `UsageError` for unknown settings.

    >>> x = xr.DataArray([1.0, 2.0, 3.0, 4.0], dims="time")
    >>> found = t_test(x)
    >>> round(float(found["statistic"]), 4), round(float(found["p_value"]), 4), float(found["degrees"])
    (3.873, 0.0305, 3.0)
    """
    choice("t_test", kind=(kind, Kind), alternative=(alternative, Side))
    fraction("t_test", "level", level)
    import scipy.stats

    def of(result: Any, estimate: Any, error: Any, shift: float) -> tuple[Any, ...]:
        low, high = result.confidence_interval(level)
        return result.statistic, result.pvalue, result.df, estimate, error, low + shift, high + shift

    def one(a: Floats) -> tuple[Any, ...]:
        error = a.std(ddof=1) / len(a) ** 0.5
        return of(scipy.stats.ttest_1samp(a, mean, alternative=alternative), a.mean(), error, 0.0)

    def two(a: Floats, b: Floats) -> tuple[Any, ...]:
        m, n, first, second = len(a), len(b), a.var(ddof=1), b.var(ddof=1)
        if kind == "pooled":
            first = second = ((m - 1) * first + (n - 1) * second) / (m + n - 2)
        found = scipy.stats.ttest_ind(a - mean, b, equal_var=kind == "pooled", alternative=alternative)
        return of(found, a.mean() - b.mean(), (first / m + second / n) ** 0.5, mean)

    names = (*TEST, "degrees", "estimate", "standard_error", "low", "high")
    settings = {"mean": mean, "alternative": alternative, "level": level}
    if y is None:
        return by_row("t_test", one, (x,), names, dim, settings, least=2)
    if kind == "paired":
        return by_row("t_test", lambda a, b: one(a - b), (x, y), names, dim, {"kind": kind, **settings}, 2, "pairs")
    return by_row("t_test", two, (x, y), names, dim, {"kind": kind, **settings}, least=2)


@arguments()
def z_test(
    x: xr.DataArray,
    y: xr.DataArray | None = None,
    *,
    mean: float = 0.0,
    deviation: float | None = None,
    alternative: Side = "two-sided",
    dim: str = "time",
) -> xr.Dataset:
    """`t_test` by the normal distribution: for a standard `deviation` of single samples that is known, or for many.

    `deviation` None takes that of each sample, `ddof = 1`; with `y` the variances add up.

    >>> found = z_test(xr.DataArray([1.0, 2.0, 3.0, 4.0], dims="time"), deviation=2.0)
    >>> float(found["statistic"]), round(float(found["p_value"]), 4)
    (2.5, 0.0124)
    """
    choice("z_test", alternative=(alternative, Side))

    def error(a: Floats) -> Any:
        return (np.var(a, ddof=1) if deviation is None else deviation**2) / len(a)

    def z(a: Floats, b: Floats | None = None) -> tuple[Any, ...]:
        off, variance = a.mean() - mean, error(a)
        if b is not None:
            off, variance = off - b.mean(), variance + error(b)
        return _normal(off / variance**0.5, alternative)

    given = (x,) if y is None else (x, y)
    known = {} if deviation is None else {"deviation": deviation}
    return by_row("z_test", z, given, TEST, dim, {"mean": mean, "alternative": alternative, **known}, least=2)


@arguments()
def mann_whitney(
    x: xr.DataArray,
    y: xr.DataArray,
    *,
    alternative: Side = "two-sided",
    method: Literal["auto", "exact", "asymptotic"] = "auto",
    dim: str = "time",
) -> xr.Dataset:
    """Do samples of `x` tend to be larger than those of `y`? Mann and Whitney (1947); `statistic` is the U of `x`.

    ``"auto"``: exact up to 8 samples in one of them without ties, else the normal distribution with correction.

    >>> x, y = (xr.DataArray(v, dims="time") for v in ([19.0, 22, 16, 29, 24], [20.0, 11, 17, 12]))
    >>> found = mann_whitney(x, y)
    >>> float(found["statistic"]), round(float(found["p_value"]), 4)
    (17.0, 0.1111)
    """
    choice("mann_whitney", alternative=(alternative, Side), method=(method, Literal["auto", "exact", "asymptotic"]))
    import scipy.stats

    def of(a: Floats, b: Floats) -> tuple[Any, ...]:
        found = scipy.stats.mannwhitneyu(a, b, alternative=alternative, method=method)
        return found.statistic, found.pvalue

    return by_row("mann_whitney", of, (x, y), TEST, dim, {"alternative": alternative, "method": method})


@arguments()
def kolmogorov_smirnov(
    x: xr.DataArray,
    y: xr.DataArray | None = None,
    *,
    distribution: str = "norm",
    parameters: Sequence[float] = (),
    alternative: Side = "two-sided",
    dim: str = "time",
) -> xr.Dataset:
    """Is `x` distributed as `y`, or as a distribution of scipy.stats with these parameters? Kolmogorov, Smirnov.

    `parameters` are known beforehand: fitted to `x` they make p far too large; then ask `anderson_darling`.

    >>> x = xr.DataArray([-0.4, 0.1, 0.2, 0.9, 1.6, 2.2], dims="time")
    >>> round(float(kolmogorov_smirnov(x)["p_value"]), 3)
    0.295
    """
    choice("kolmogorov_smirnov", alternative=(alternative, Side))
    import scipy.stats

    if y is not None:

        def of(a: Floats, b: Floats) -> tuple[Any, ...]:
            found = scipy.stats.ks_2samp(a, b, alternative=alternative)
            return found.statistic, found.pvalue

        return by_row("kolmogorov_smirnov", of, (x, y), TEST, dim, {"alternative": alternative})
    if not hasattr(getattr(scipy.stats, distribution, None), "cdf"):
        fix = "See help(scipy.stats)."
        raise UsageError(message("kolmogorov_smirnov: distribution", repr(distribution), "one of scipy.stats", fix))

    def single(a: Floats) -> tuple[Any, ...]:
        found = scipy.stats.ks_1samp(a, getattr(scipy.stats, distribution).cdf, tuple(parameters), alternative)
        return found.statistic, found.pvalue

    settings = {"distribution": distribution, "parameters": list(parameters), "alternative": alternative}
    return by_row("kolmogorov_smirnov", single, (x,), TEST, dim, settings)


@arguments()
def anderson_darling(*samples: xr.DataArray, dim: str = "time") -> xr.Dataset:
    """Is `x` normal, of any mean and variance? Of several samples: are they from one distribution, whichever?

    One: Anderson and Darling (1954), p-value of Stephens (1986), at least 8 samples. Several: Scholz and Stephens
    (1987) with ties in the middle, p-value between their critical values, at least 0.001 and at most 0.25.

    >>> x = xr.DataArray(np.random.default_rng(1).standard_t(2, 300), dims="time")
    >>> bool(anderson_darling(x)["p_value"] < 0.001), float(anderson_darling(x, x + 9.0)["p_value"])
    (True, 0.001)
    """
    import warnings

    if len(samples) == 1:
        from statsmodels.stats.diagnostic import normal_ad

        return by_row("anderson_darling", normal_ad, samples, TEST, dim, {}, least=8)
    import scipy.stats

    def of(*given: Floats) -> tuple[Any, ...]:
        with warnings.catch_warnings():  # SciPy warns of the range that is documented above
            warnings.filterwarnings("ignore", "p-value (floored|capped)", UserWarning)
            found = scipy.stats.anderson_ksamp(given, variant="midrank")
        return found.statistic, found.pvalue

    return by_row("anderson_darling", of, samples, TEST, dim, {}, least=2)


@arguments()
def jarque_bera(x: xr.DataArray, *, dim: str = "time") -> xr.Dataset:
    """Are skewness and kurtosis those of a normal distribution? Jarque and Bera (1987), chi-squared of 2 degrees.

    >>> found = jarque_bera(xr.DataArray([1.0, 2.0, 3.0, 10.0], dims="time"))
    >>> round(float(found["statistic"]), 4), round(float(found["skewness"]), 4)
    (0.7899, 1.0182)
    """
    import scipy.stats

    def of(a: Floats) -> tuple[Any, ...]:
        found = scipy.stats.jarque_bera(a)
        return found.statistic, found.pvalue, scipy.stats.skew(a), scipy.stats.kurtosis(a, fisher=False)

    return by_row("jarque_bera", of, (x,), (*TEST, "skewness", "kurtosis"), dim, {}, least=2)


@arguments()
def ljung_box(x: xr.DataArray, *, lags: Sequence[int] = (1, 5, 10), fitted: int = 0, dim: str = "time") -> xr.Dataset:
    """Is there autocorrelation up to each of these lags? Ljung and Box (1978), along a new last dim `lag`.

    `fitted` parameters of a model of which `x` are the residuals take as many degrees of freedom. A gap gives NaN.

    >>> x = xr.DataArray(np.sin(np.arange(50.0)), dims="time")
    >>> bool((ljung_box(x)["p_value"] < 1e-3).all())
    True
    """
    if not isinstance(lags, (list, tuple, range, np.ndarray)) or not len(lags):
        raise UsageError(message("ljung_box: lags", repr(lags), "a list of whole numbers", "Write lags=[1, 5, 10]."))
    chosen, fitted = [whole("ljung_box", "lags", lag, 1) for lag in lags], whole("ljung_box", "fitted", fitted, 0)
    if fitted >= min(chosen):
        fix = "Give lags above the number of fitted parameters."
        raise UsageError(message("ljung_box: lags, fitted", f"{lags}, {fitted}", "whole numbers above 0", fix))
    from statsmodels.stats.diagnostic import acorr_ljungbox

    def of(a: Floats) -> tuple[Any, ...]:
        inside = np.flatnonzero(~np.isnan(a))
        a = a[inside[0] : inside[-1] + 1] if len(inside) else a[:0]
        if len(a) <= max(chosen) or np.isnan(a).any() or np.ptp(a) == 0.0:
            return (np.full(len(chosen), np.nan),) * 2
        found = acorr_ljungbox(a, lags=chosen, model_df=fitted)
        return found["lb_stat"].to_numpy(), found["lb_pvalue"].to_numpy()

    given = along("ljung_box", (dim,), x)
    found = xr.apply_ufunc(of, *given, input_core_dims=[[dim]], output_core_dims=[["lag"], ["lag"]], vectorize=True)
    labels = [one.assign_coords(lag=chosen) for one in found]
    return _described(dict(zip(TEST, labels, strict=True)), {"fitted": fitted})


def by_row(
    function: str,
    test: Callable[..., tuple[Any, ...]],
    samples: Sequence[xr.DataArray],
    names: tuple[str, ...],
    dim: str,
    settings: dict[str, Any],
    least: int = 1,
    how: Samples = "apart",
) -> xr.Dataset:
    """The test of each row of samples; NaN where one has fewer than `least` samples, or none of them varies.

    ``"apart"``: NaN is no sample; ``"pairs"``: nor is its label in the others; ``"series"``: nor may it lie between.
    """

    def row(*given: Floats) -> tuple[Any, ...]:
        missing = [np.isnan(a) for a in given]
        if how != "apart":
            missing = [np.logical_or.reduce(missing)] * len(given)
        kept = [a[~gone] for a, gone in zip(given, missing, strict=True)]
        there = np.flatnonzero(~missing[0])
        broken = how == "series" and len(there) > 0 and there[-1] - there[0] + 1 != len(there)
        flat = all(np.ptp(a) == 0.0 for a in kept if len(a)) and least > 1
        if broken or flat or min(len(a) for a in kept) < least:
            return (np.nan,) * len(names)
        return tuple(float(one) for one in test(*kept))

    given = along(function, (dim,), *samples)
    try:
        found = xr.apply_ufunc(
            row,
            *given,
            input_core_dims=[[dim]] * len(given),
            output_core_dims=[[]] * len(names),
            exclude_dims={dim} if how == "apart" else set(),
            join="exact",
            vectorize=True,
            output_dtypes=[np.float64] * len(names),
        )
    except xr.AlignmentError as error:
        raise differ(function) from error
    return _described(dict(zip(names, found, strict=True)), settings)


def _described(found: dict[str, xr.DataArray], settings: dict[str, Any]) -> xr.Dataset:
    for name, one in found.items():
        one.attrs = {"long_name": TEXTS[name], "units": "1"}
    return xr.Dataset(found, attrs=settings)


def _normal(z: Any, alternative: Side) -> tuple[Any, Any]:
    """z and its p-value."""
    if alternative == "two-sided":
        return z, 2.0 * scipy.special.ndtr(-abs(z))
    return z, scipy.special.ndtr(z if alternative == "less" else -z)
