"""Where a return came from: allocation and selection, factors, and their sums over many samples (M26, M28)."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import xarray as xr

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.metrics.labels import check_dims, check_labels, named

Convention = Literal["brinson_fachler", "brinson_hood_beebower"]

_BRINSON = {
    "allocation": "active return by the weights of the segments",
    "selection": "active return by what was held within the segments",
    "interaction": "active return by both",
    "active": "return less the benchmark's, allocation, selection and interaction together",
}


@arguments()
def brinson(
    weights: xr.DataArray,
    returns: xr.DataArray,
    benchmark_weights: xr.DataArray,
    benchmark_returns: xr.DataArray,
    *,
    convention: Convention = "brinson_fachler",
    dim: str = "segment",
) -> xr.Dataset:
    """The active return of each segment as allocation, selection and interaction (M28); over `dim` they add up to it.

    Brinson and Fachler (1985): allocation is `(w - wb)(rb - Rb)`, with the benchmark's return `Rb`; Brinson, Hood and
    Beebower (1986): `(w - wb) rb`. Selection `wb (r - rb)`, interaction `(w - wb)(r - rb)`. Weights are those at the
    beginning of the sample. Of a segment that is not held (weight 0) a return that is NaN is the other side's; any
    other NaN stays. Other dims broadcast; sums over time: `link`. Raises DataError where the weights do not add up to
    those of the benchmark, for dims that are not there and labels that differ, UsageError for another convention.

    >>> half = xr.DataArray([0.5, 0.5], dims="segment")
    >>> w, r, b = half + [0.1, -0.1], xr.DataArray([0.02, 0.0], dims="segment"), half * [0.02, 0.04]
    >>> found = brinson(w, r, half, b)
    >>> found["allocation"].values.round(4), found["selection"].values.round(4)
    (array([-0.0005, -0.0005]), array([ 0.005, -0.01 ]))
    """
    if convention not in get_args(Convention):
        wanted = " or ".join(map(repr, get_args(Convention)))
        raise UsageError(message("brinson: convention", repr(convention), wanted, "See help(kk.metrics.brinson)."))
    given = {
        "weights": weights,
        "returns": returns,
        "benchmark_weights": benchmark_weights,
        "benchmark_returns": benchmark_returns,
    }
    check_dims("brinson", given, {name: [dim] for name in given})
    check_labels(given)
    off = float(abs((weights - benchmark_weights).sum(dim)).max())
    if off > 1e-9:
        fix = "Give the rest a segment of its own (cash)."
        raise DataError(message("brinson: weights", f"a sum that is {off:g} off the benchmark's", "the same sum", fix))
    r = returns.where((weights != 0.0) | returns.notnull(), benchmark_returns)
    b = benchmark_returns.where((benchmark_weights != 0.0) | benchmark_returns.notnull(), returns)
    over = weights - benchmark_weights
    whole = (benchmark_weights * b).sum(dim, skipna=False) if convention == "brinson_fachler" else 0.0
    parts = {"allocation": over * (b - whole), "selection": benchmark_weights * (r - b), "interaction": over * (r - b)}
    parts["active"] = parts["allocation"] + parts["selection"] + parts["interaction"]
    attrs = {"convention": convention}
    return xr.Dataset(
        {name: named(one, "1", _BRINSON[name], **attrs) for name, one in parts.items()},
        attrs=attrs,
    )


@arguments()
def factor_attribution(returns: xr.DataArray, factors: xr.DataArray, betas: xr.DataArray) -> xr.Dataset:
    """Each sample's return as `beta factor` of each factor and a rest, alpha and noise together; they add up to it.

    `betas` (factor) are those of `factor_model`, or, with a dim time, those of each sample: betas through time that use
    the sample itself (`rolling_beta`) are shifted by one first, lest the sample explain itself. `contribution` has the
    dim `factor`, `rest` has not; NaN where a number is missing. Sums over time: `link`. Raises DataError for dims that
    are not there and labels that differ.

    >>> market = xr.DataArray([[0.02, -0.01]], {"factor": ["market"]}, ("factor", "time"))
    >>> beta = xr.DataArray([0.5], {"factor": ["market"]}, "factor")
    >>> factor_attribution(xr.DataArray([0.03, 0.0], dims="time"), market, beta)["rest"].values.round(6)
    array([0.02 , 0.005])
    """
    given = {"returns": returns, "factors": factors, "betas": betas}
    check_dims("factor_attribution", given, {"returns": [], "factors": ["factor"], "betas": ["factor"]})
    check_labels(given)
    contribution = betas * factors
    rest = returns - contribution.sum("factor", skipna=False)
    texts = {"contribution": "return by the exposure to the factor", "rest": "return that no factor explains"}
    found = {"contribution": contribution, "rest": rest}
    return xr.Dataset({k: named(v, "1", texts[k]) for k, v in found.items()})


@arguments()
def link(
    contributions: xr.DataArray | xr.Dataset,
    returns: xr.DataArray,
    benchmark: xr.DataArray | float = 0.0,
    *,
    dim: str = "time",
) -> xr.DataArray | xr.Dataset:
    """Contributions to `returns - benchmark`, scaled so that their sums over time add up to the compound one.

    M28, after Carino (1999): each sample times `k_t / K`, `k = (log(1 + r) - log(1 + b)) / (r - b)`, `1 / (1 + r)`
    where both are equal, `K` that of the whole. NaN where a return is -1 or less. Raises DataError for dims that are
    not there and labels that differ.

    >>> r = xr.DataArray([0.1, 0.1], dims="time")
    >>> float(link(r, r).sum().round(12))
    0.21
    """
    other = benchmark if isinstance(benchmark, xr.DataArray) else xr.full_like(returns, float(benchmark))
    check_dims("link", {"returns": returns, "benchmark": other}, {"returns": [dim], "benchmark": [dim]})
    parts = contributions.data_vars if isinstance(contributions, xr.Dataset) else {"contributions": contributions}
    check_labels({"returns": returns, "benchmark": other, **{str(k): v for k, v in parts.items()}})
    total, base = ((1.0 + x).prod(dim, skipna=False) - 1.0 for x in (returns, other))
    scale = _carino(returns, other) / _carino(total, base)
    found = contributions * scale
    if isinstance(contributions, xr.Dataset):
        for name, one in contributions.data_vars.items():
            found[name].attrs = dict(one.attrs)
    found.attrs = dict(contributions.attrs)
    return found


def _carino(r: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    alive = (r > -1.0) & (b > -1.0)
    r, b = r.where(alive), b.where(alive)
    gap = (r - b) / (1.0 + b)
    # log1p keeps the digits of small differences; below the last of them the limit is as good
    near = abs(gap) < 1e-12
    slope: xr.DataArray = xr.apply_ufunc(np.log1p, gap, dask="allowed") / gap.where(~near)
    return slope.where(~near, 1.0) / (1.0 + b)
