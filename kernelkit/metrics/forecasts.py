"""How good forecasts are over many assets: information coefficients, quantiles and how fast both fade (M29)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kernelkit.errors import UsageError, arguments, message
from kernelkit.metrics.labels import check_dims, named, over
from kernelkit.metrics.metric import metric
from kernelkit.metrics.regression import Correction, mean_test
from kernelkit.metrics.series import covariance, deviation

Floats = NDArray[np.float64]
Rank = Literal["spearman", "pearson"]

FEWEST = 3  # assets of which a correlation is taken


@arguments()
def information_coefficient(
    forecasts: xr.DataArray, outcomes: xr.DataArray, *, method: Rank = "spearman", dim: str = "asset"
) -> xr.DataArray:
    """The correlation over the assets between forecasts and what came after (Grinold, 1989), M29.

    `outcomes` are the returns that begin when the forecasts are known, at the forecasts' labels. Of ranks (ties share
    their mean rank), or of the values (``"pearson"``). Assets that lack one of both are left out; NaN below 3 assets
    and where either does not vary. Raises DataError for dims that are not there and labels that differ, UsageError for
    another method.

    >>> f, y = (xr.DataArray(v, dims="asset") for v in ([1.0, 2.0, 3.0, 9.0], [0.0, 0.1, 0.3, 0.2]))
    >>> float(information_coefficient(f, y).round(6))
    0.8
    """
    _check_method("information_coefficient", method)
    given = {"forecasts": forecasts, "outcomes": outcomes}
    check_dims("information_coefficient", given, {name: [dim] for name in given})
    texts = {"ic": ("1", "information coefficient")}
    inputs = {name: [dim] for name in given}
    found = over(
        "information_coefficient",
        lambda f, y: _correlation(f, y, method),
        given,
        inputs,
        {"ic": []},
        texts,
        {"method": method},
    )
    return found["ic"].rename("information_coefficient")


def _check_method(function: str, method: str) -> None:
    if method not in get_args(Rank):
        fix = f"See help(kk.metrics.{function})."
        raise UsageError(message(f"{function}: method", repr(method), "'spearman' or 'pearson'", fix))


def _correlation(f: Floats, y: Floats, method: Rank) -> float:
    from scipy.stats import rankdata

    there = ~(np.isnan(f) | np.isnan(y))
    f, y = f[there], y[there]
    if len(f) < FEWEST:
        return np.nan
    if method == "spearman":
        f, y = rankdata(f), rankdata(y)
    spread = float(deviation(f) * deviation(y))
    return float(covariance(f, y)) / spread if spread > 0.0 else np.nan


@metric(
    outputs={
        "mean": ("1", "mean information coefficient"),
        "deviation": ("1", "standard deviation"),
        "ir": ("1", "mean over standard deviation, per sample"),
        "t": ("1", "t of the mean"),
        "p_value": ("1", "its two-sided p-value"),
        "hit_rate": ("1", "share of samples above 0"),
    },
    alone=True,
)
def ic_summary(returns: Floats, *, lags: int | None = None, correction: Correction = "small") -> Any:
    """Information coefficients over time: mean, standard deviation, information ratio, t (M21) and share above 0.

    Where outcomes of h samples overlap, the coefficients are correlated by that alone: give ``lags`` of at least h - 1.

    >>> found = ic_summary(np.array([0.1, 0.05, 0.0, 0.05]), lags=0)
    >>> float(found["mean"]), float(found["ir"].round(4))
    (0.05, 1.2247)
    """
    found = mean_test(returns, lags=lags, correction=correction)
    mean, sd = np.mean(returns), float(deviation(returns))
    ir = mean / sd if sd > 0.0 else np.nan
    return mean, sd, ir, found.t[0], found.p_values[0], np.mean(returns > 0.0)


@arguments()
def quantile_returns(forecasts: xr.DataArray, outcomes: xr.DataArray, *, n: int = 5, dim: str = "asset") -> xr.Dataset:
    """The mean outcome of the assets in each of `n` groups by their forecast, the lowest first (M29).

    `mean` and `count` along a new dim `quantile`, 1 to n; `spread` is the highest less the lowest. Equal forecasts are
    in one group: that of their mean rank. Assets that lack one of both are left out; a group without assets is NaN.
    Raises DataError for dims that are not there and labels that differ, UsageError for fewer than 2 groups.

    >>> f, y = (xr.DataArray(v, dims="asset") for v in ([1.0, 2.0, 3.0, 9.0], [0.0, 0.1, 0.3, 0.2]))
    >>> quantile_returns(f, y, n=2)["mean"].values
    array([0.05, 0.25])
    """
    if n != int(n) or n < 2:
        fix = "See help(kk.metrics.quantile_returns)."
        raise UsageError(message("quantile_returns: n", repr(n), "a whole number of at least 2", fix))
    given = {"forecasts": forecasts, "outcomes": outcomes}
    inputs = {name: [dim] for name in given}
    check_dims("quantile_returns", given, inputs)
    texts = {"mean": ("1", "mean outcome"), "count": ("1", "assets"), "spread": ("1", "highest group less the lowest")}
    outputs = {"mean": ["quantile"], "count": ["quantile"], "spread": []}
    labels = range(1, int(n) + 1)
    return over(
        "quantile_returns",
        lambda f, y: _grouped(f, y, int(n)),
        given,
        inputs,
        outputs,
        texts,
        {"n": n},
        {"quantile": labels},
    )


def _grouped(f: Floats, y: Floats, n: int) -> Any:
    from scipy.stats import rankdata

    there = ~(np.isnan(f) | np.isnan(y))
    f, y = f[there], y[there]
    group = np.ceil(rankdata(f) / max(len(f), 1) * n - 1e-9).astype(int) - 1  # rank 3 of 6 is in the lower half
    count = np.bincount(group, minlength=n).astype("f8")
    mean = np.bincount(group, weights=y, minlength=n) / np.where(count > 0.0, count, np.nan)
    return mean, count, mean[-1] - mean[0]


@arguments()
def ic_decay(
    forecasts: xr.DataArray,
    returns: xr.DataArray,
    *,
    horizons: Sequence[int] = (1, 2, 3, 5, 10, 20),
    outcome: Literal["marginal", "cumulative"] = "marginal",
    method: Rank = "spearman",
    dim: str = "time",
    asset: str = "asset",
) -> xr.Dataset:
    """Mean information coefficient by horizon, and the samples in which it falls to a half (M29).

    A forecast at t is set against the return of sample `t + h` (``"marginal"``), or against the compound return of the
    samples `t + 1 ... t + h`: never against sample t, at whose end it is known. `ic` along a new dim `horizon`, mean
    over the times that have one; `half_life = log(2) / b` of the line `log ic = a - b h` through the positive ones,
    NaN of fewer than two, infinite where it does not fall. Raises as `information_coefficient`, UsageError for horizons
    that are not whole, at least 1 and fewer than the samples.

    >>> x = np.random.default_rng(0).normal(size=(9, 30))
    >>> f, r = (xr.DataArray(v, dims=("time", "asset")) for v in (x[1:], x[:-1]))
    >>> ic_decay(f, r, horizons=[1, 2])["ic"].values.round(2)
    array([1.  , 0.04])
    """
    check_dims("ic_decay", {"forecasts": forecasts, "returns": returns}, {"forecasts": [dim], "returns": [dim, asset]})
    size = returns.sizes[dim]
    fix = "See help(kk.metrics.ic_decay)."
    if outcome not in ("marginal", "cumulative"):
        raise UsageError(message("ic_decay: outcome", repr(outcome), "'marginal' or 'cumulative'", fix))
    if not len(horizons) or not all(h == int(h) and 1 <= h < size for h in horizons):
        wanted = f"whole numbers from 1 to {size - 1}"
        raise UsageError(message("ic_decay: horizons", repr(horizons), wanted, fix))
    found = []
    for h in horizons:
        later = returns.shift({dim: -int(h)})
        if outcome == "cumulative":
            later = (1.0 + returns).rolling({dim: int(h)}).construct("step").prod("step", skipna=False) - 1.0
            later = later.shift({dim: -int(h)})
        found.append(information_coefficient(forecasts, later, method=method, dim=asset).mean(dim))
    ic = xr.concat(found, xr.DataArray([int(h) for h in horizons], dims="horizon", name="horizon"))
    attrs = {"outcome": outcome, "method": method}
    texts = {"half_life": ("sample", "samples in which the information coefficient falls to a half")}
    half = over(
        "ic_decay", _half_life(ic["horizon"].values), {"ic": ic}, {"ic": ["horizon"]}, {"half_life": []}, texts, attrs
    )
    return half.assign(ic=named(ic, "1", "mean information coefficient", **attrs))


def _half_life(horizons: Any) -> Any:
    def of(ic: Floats) -> float:
        there = ic > 0.0
        if there.sum() < 2:
            return np.nan
        slope = float(np.polyfit(horizons[there].astype("f8"), np.log(ic[there]), 1)[0])
        return float(np.log(2.0) / -slope) if slope < 0.0 else np.inf

    return of
