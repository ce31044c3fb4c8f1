"""What drives returns: regressions on factors, betas through time, and what exposures earn (M21, M26, M27)."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.kernels.scan import EPSILON
from kernelkit.metrics.labels import check_dims, check_labels, over
from kernelkit.metrics.metric import aligned, metric
from kernelkit.metrics.period import per_year
from kernelkit.metrics.regression import Correction, least_squares, mean_test, two_sided

Floats = NDArray[np.float64]

_MODEL = {
    "alpha": ("1", "annual alpha"),
    "alpha_t": ("1", "t of alpha"),
    "alpha_p_value": ("1", "its two-sided p-value"),
    "beta": ("1", "beta"),
    "beta_t": ("1", "t of beta"),
    "beta_p_value": ("1", "its two-sided p-value"),
    "r_squared": ("1", "share of the variance that the factors explain"),
    "n_samples": ("1", "number of samples"),
}
_PRICES = {
    "premium": ("1", "return per sample of one unit of the exposure"),
    "error": ("1", "standard error of the premium"),
    "t": ("1", "t of the premium"),
    "p_value": ("1", "its two-sided p-value"),
    "n_times": ("1", "number of times"),
}


@arguments()
def factor_model(
    returns: xr.DataArray,
    factors: xr.DataArray,
    *,
    rf: xr.DataArray | float = 0.0,
    lags: int | None = None,
    correction: Correction = "small",
    periods: float | None = None,
    dim: str = "time",
) -> xr.Dataset:
    """Alpha and betas: least squares of `returns - rf` on `factors` (time, factor), with errors of M21.

    One factor, the market's return less `rf`, is the CAPM (Sharpe, 1964; Jensen, 1968), several are a model as that of
    Fama and French (1993); factors are excess returns already. Over `factor`: `beta`, `beta_t`, `beta_p_value`;
    without it: `alpha` (times `periods`, M10), `alpha_t`, `alpha_p_value`, `r_squared`, `n_samples`. Other dims of
    the returns broadcast. M9 holds for samples that any of them lacks. Raises DataError for dims that are not there and
    labels that differ, UsageError for settings that cannot be.

    >>> market = xr.DataArray([0.02, -0.01, 0.03, 0.0], dims="time")
    >>> noise = xr.DataArray([0.001, -0.001, -0.001, 0.001], dims="time")
    >>> found = factor_model(2.0 * market + noise, market.expand_dims(factor=["market"]), periods=12)
    >>> float(found["beta"].sel(factor="market").round(3))
    2.0
    """
    check_settings("factor_model", lags, correction)
    rate = rf if isinstance(rf, xr.DataArray) else xr.DataArray(float(rf))
    dims = {"returns": [dim], "factors": ["factor", dim], "rf": [dim]}
    check_dims("factor_model", {"returns": returns, "factors": factors}, dims)
    year = per_year("factor_model", returns, periods, dim)

    def model(y: Floats, x: Floats, rate: Floats) -> Any:
        k = len(x)
        present, broken = aligned([y - rate, *x])
        there = ~np.isnan(present[0])
        if broken or not there.any():
            nothing = np.full(k, np.nan)
            return np.nan, np.nan, np.nan, nothing, nothing, nothing, np.nan, np.nan if broken else 0.0
        design = np.column_stack([np.ones(int(there.sum())), *(one[there] for one in present[1:])])
        fit = least_squares(present[0][there], design, lags=lags, correction=correction)
        b, t, p = fit.coefficients, fit.t, fit.p_values
        return b[0] * year, t[0], p[0], b[1:], t[1:], p[1:], fit.r_squared, float(len(design))

    return over(
        "factor_model",
        model,
        {"returns": returns, "factors": factors, "rf": rate.broadcast_like(factors[dim])},
        dims,
        {name: ["factor"] if name.startswith("beta") else [] for name in _MODEL},
        _MODEL,
        {"lags": lags, "correction": correction, "periods_per_year": year},
    )


def check_settings(function: str, lags: Any, correction: str) -> None:
    """Raise UsageError for what `least_squares` cannot take.

    >>> check_settings("factor_model", None, "small")
    """
    fix = f"See help(kk.metrics.{function})."
    if lags is not None and not (type(lags) is not bool and isinstance(lags, (int, np.integer)) and lags >= 0):
        raise UsageError(message(f"{function}: lags", repr(lags), "None or a whole number of at least 0", fix))
    if correction not in get_args(Correction):
        wanted = f"one of {', '.join(map(repr, get_args(Correction)))}"
        raise UsageError(message(f"{function}: correction", repr(correction), wanted, fix))


@metric(
    outputs={"beta": ("1", "beta over the window"), "alpha": ("1", "alpha of a sample over the window")},
    shape="curve",
    alone=True,
)
def rolling_beta(returns: Floats, benchmark: Floats, *, window: int = 252, rf: float = 0.0) -> Any:
    """Least squares on the benchmark over the last ``window`` samples (M26); in a time that does not depend on it.

    NaN before the window is full and where the benchmark does not vary in it. The value at a sample uses that sample:
    what trades on it does so at the next.

    >>> b = np.array([0.01, -0.02, 0.03, 0.01])
    >>> rolling_beta(2.0 * b + 0.001, b, window=3)["beta"].round(9)
    array([nan, nan,  2.,  2.])
    """
    w = int(window)
    y, x = returns - rf, benchmark - rf
    beta, alpha = np.full(len(x), np.nan), np.full(len(x), np.nan)
    if len(x) >= w:
        sx, sy, sxx, sxy = (window_sums(v, w) for v in (x, y, x * x, x * y))
        spread = sxx - sx * sx / w
        spread = np.where(spread > w * EPSILON * sxx, spread, np.nan)
        beta[w - 1 :] = (sxy - sx * sy / w) / spread
        alpha[w - 1 :] = (sy - beta[w - 1 :] * sx) / w
    return beta, alpha


def window_sums(x: Floats, window: int) -> Floats:
    """The sums of `window` samples in a row: each the end of one block and the beginning of the next.

    Nothing is subtracted, so that no digits are lost in long series, and later samples change no bit.

    >>> window_sums(np.array([1.0, 2.0, 3.0, 4.0]), 2)
    array([3., 5., 7.])
    """
    blocks = np.concatenate([x, np.zeros(-len(x) % window)]).reshape(-1, window)
    ends = np.cumsum(blocks[:, ::-1], axis=1)[:, ::-1].ravel()
    beginnings = np.cumsum(blocks, axis=1).ravel()
    first = np.arange(len(x) - window + 1)
    last = beginnings[first + window - 1]
    return np.where(first % window == 0, last, ends[first] + last)


@arguments()
def fama_macbeth(
    returns: xr.DataArray,
    exposures: xr.DataArray,
    *,
    factors: xr.DataArray | None = None,
    lags: int | None = None,
    correction: Correction = "small",
    asset: str = "asset",
    dim: str = "time",
) -> xr.Dataset:
    """What exposures earn: a regression over the assets at each time, then means over time (Fama and MacBeth, 1973).

    M27. `exposures` (asset, factor) are betas, as of `factor_model(returns, factors)["beta"]` for the two passes, or
    characteristics that change (time, asset, factor) and were known when the return began. Along `factor`, a label
    `intercept` first: `premium`, `error` (of M21), `t`, `p_value`; `n_times`. With the `factors` that betas were
    estimated from, errors allow for that estimation (Shanken, 1992). An asset that lacks a number is left out at that
    time; a time with too few assets for the regression has none, and M9 holds for the premiums over time. Raises
    DataError for dims that are not there and labels that differ, UsageError for settings that cannot be.

    >>> beta = xr.DataArray([[0.5], [1.0], [1.5]], {"factor": ["market"]}, ("asset", "factor"))
    >>> market = xr.DataArray([0.01, 0.03, -0.01], dims="time")
    >>> found = fama_macbeth(0.001 + (market * beta).sel(factor="market", drop=True), beta, lags=0)
    >>> found["premium"].sel(factor=["intercept", "market"]).values.round(6)
    array([0.001, 0.01 ])
    """
    check_settings("fama_macbeth", lags, correction)
    dims = {"returns": [asset, dim], "exposures": [asset, "factor"], "factors": ["factor", dim]}
    given = {"returns": returns, "exposures": exposures} | ({} if factors is None else {"factors": factors})
    check_dims("fama_macbeth", given, dims)
    check_labels(given)
    names = [*map(str, exposures["factor"].values)]
    whole = exposures.expand_dims({dim: returns[dim]}) if dim not in exposures.dims else exposures
    over_time = over(
        "fama_macbeth",
        _cross_section,
        {"returns": returns, "exposures": whole},
        {"returns": [asset], "exposures": [asset, "factor"]},
        {"premium": ["price"]},
        {"premium": _PRICES["premium"]},
        {},
        {"price": ["intercept", *names]},
    )["premium"]

    def means(premiums: Floats, noise: Floats) -> Any:
        return _means(premiums, noise, lags, correction)

    noise = _noise_of(factors, names, dim, over_time)
    outputs = {name: [] if name == "n_times" else ["price"] for name in _PRICES}
    attrs = {"lags": lags, "correction": correction, "errors": "newey_west" if factors is None else "shanken"}
    arrays = {"premiums": over_time, "noise": noise}
    found = over(
        "fama_macbeth", means, arrays, {"premiums": ["price", dim], "noise": ["price", "to"]}, outputs, _PRICES, attrs
    )
    return found.rename(price="factor")


def _cross_section(y: Floats, x: Floats) -> Floats:
    there = ~(np.isnan(y) | np.isnan(x).any(axis=-1))
    design = np.column_stack([np.ones(int(there.sum())), x[there]])
    if len(design) < design.shape[1]:
        return np.full(design.shape[1], np.nan)
    found, _, rank, _ = np.linalg.lstsq(design, y[there], rcond=None)
    return np.asarray(found) if rank == design.shape[1] else np.full(design.shape[1], np.nan)


def _noise_of(factors: xr.DataArray | None, names: list[str], dim: str, premiums: xr.DataArray) -> xr.DataArray:
    """The covariance of the factors over the times that have premiums, 0 for the intercept and without factors."""
    labels = ["intercept", *names]
    noise = np.zeros((len(labels), len(labels)))
    if factors is not None:
        if set(factors.dims) != {"factor", dim} or [*map(str, factors["factor"].values)] != names:
            found, fix = f"dims {factors.dims}, {factors['factor'].values}", "Give the factors of the exposures."
            raise DataError(message("fama_macbeth: factors", found, f"(factor, {dim}) of {names}", fix))
        there = premiums.notnull().all([d for d in premiums.dims if d != dim]).values
        noise[1:, 1:] = np.cov(factors.transpose("factor", dim).values[:, there])
    return xr.DataArray(noise, {"price": labels}, ("price", "to"))


def _means(premiums: Floats, noise: Floats, lags: int | None, correction: Correction) -> Any:
    """M27: the means over time of the rows of premiums, and their errors."""
    present, broken = aligned(list(premiums))
    there = ~np.isnan(present[0])
    n = int(there.sum())
    if broken or n < 2:
        nothing = np.full(len(premiums), np.nan)
        return nothing, nothing, nothing, nothing, np.nan if broken else float(n)
    fits = [mean_test(row[there], lags=lags, correction=correction) for row in present]
    mean, error = (np.array([getattr(fit, name)[0] for fit in fits]) for name in ("coefficients", "errors"))
    if noise.any():
        own = np.diag(noise) / n
        priced = mean[1:] @ np.linalg.solve(noise[1:, 1:], mean[1:])
        error = np.sqrt((1.0 + priced) * np.maximum(error**2 - own, 0.0) + own)
    t = mean / np.where(error > 0.0, error, np.nan)
    return mean, error, t, two_sided(t, n - 1), float(n)
