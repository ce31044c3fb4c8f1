"""What p-values and Sharpe ratios of a family of trials are worth, given that there were so many (I3, I4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import scipy.special
import xarray as xr
from statsmodels.stats.multitest import multipletests

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.metrics.regression import two_sided

Method = Literal["bonferroni", "holm", "hochberg", "bh", "by"]

_NAMES = {"hochberg": "simes-hochberg", "bh": "fdr_bh", "by": "fdr_by"}  # of statsmodels


@arguments()
def adjusted_p_values(p_values: Any, *, method: Method = "holm", dim: str | Sequence[str] | None = None) -> Any:
    """The p-values of a family, each made to count for the others: reject those that are at most the level.

    ``"bonferroni"``, ``"holm"`` (1979; at least as strong, on the same assumptions) and ``"hochberg"`` (1988; of
    independent or positively dependent trials) bound the chance of any false discovery, ``"bh"`` (Benjamini and
    Hochberg, 1995; the same trials) and ``"by"`` (Benjamini and Yekutieli, 2001; any trials) the expected share of
    false ones among the discoveries. I3: the family lies along `dim`, one or several, else along all; other dims are
    families of their own; NaN is no trial. Plain arrays are a family along the last axis. Raises `DataError` for what
    is no probability or not on the host, `UsageError` for an unknown method.

    >>> adjusted_p_values(np.array([0.01, 0.04, 0.03]), method="holm")
    array([0.03, 0.06, 0.06])
    """
    if method not in get_args(Method):
        wanted = f"one of {', '.join(map(repr, get_args(Method)))}"
        fix = "See help(kk.inference.adjusted_p_values)."
        raise UsageError(message("adjusted_p_values: method", repr(method), wanted, fix))
    if not isinstance(p_values, xr.DataArray):
        return _adjusted(p_values, 1, method)
    dims = _family(p_values, dim)
    found = xr.apply_ufunc(
        _adjusted,
        p_values,
        kwargs={"axes": len(dims), "method": method},
        input_core_dims=[dims],
        output_core_dims=[dims],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"allow_rechunk": True},
    ).transpose(*p_values.dims)
    found.attrs = {"long_name": "adjusted p-value", "units": "1", "method": method}
    return found.rename("adjusted_p_value")


def _family(values: xr.DataArray, dim: str | Sequence[str] | None) -> list[Any]:
    dims = list(values.dims) if dim is None else [dim] if isinstance(dim, str) else list(dim)
    if not dims or not set(dims) <= set(values.dims):
        raise DataError(message("p_values", f"dims {values.dims}", f"the dims {dims}", "Name the dims of the family."))
    return dims


def _adjusted(p_values: Any, axes: int, method: str) -> np.ndarray:
    """Along the last `axes` axes together."""
    if not isinstance(p_values, np.ndarray) or p_values.ndim < axes:
        raise DataError(message("p_values", type(p_values).__name__, "an array of numpy", "Take it to the host first."))
    given = p_values.astype("f8")
    if not np.all(np.isnan(given) | ((given >= 0.0) & (given <= 1.0))):
        raise DataError(message("p_values", "numbers outside", "numbers from 0 to 1, or NaN", "Give probabilities."))
    families = given.reshape(*given.shape[: given.ndim - axes], -1)
    found = np.full_like(families, np.nan)
    for at in np.ndindex(families.shape[:-1]):
        trials = ~np.isnan(families[at])
        if trials.any():
            found[at][trials] = multipletests(families[at][trials], method=_NAMES.get(method, method))[1]
    return found.reshape(given.shape)


@arguments()
def haircut_sharpe_ratio(
    sharpe: Any,
    *,
    n: Any,
    periods: float,
    method: Method = "holm",
    dim: str | Sequence[str] | None = None,
) -> xr.Dataset:
    """What is left of annual Sharpe ratios when each is one of a family: Harvey and Liu, Backtesting (2015).

    I4: t is the Sharpe ratio per sample times sqrt(n), its two-sided p-value that of Student's t of n - 1 degrees, made
    to count for the others as in `adjusted_p_values`, and turned back into a Sharpe ratio of the same sign. `n` is the
    number of samples, one number or one for each trial, by the same labels; `periods` the samples a year. A
    Dataset of `sharpe_ratio`, `haircut` (the share that is lost), `p_value` and `adjusted_p_value`. Raises `DataError`
    for dims that are not there and labels that differ, `UsageError` for fewer than 2 samples or `periods` that are not
    positive.

    >>> sharpe = xr.DataArray([1.0, 0.4, 0.1], dims="trial")
    >>> haircut_sharpe_ratio(sharpe, n=120, periods=12, method="bonferroni")["haircut"].round(3).values
    array([0.114, 0.613, 1.   ])
    """
    if not isinstance(sharpe, xr.DataArray):
        fix = "Wrap it: xr.DataArray(values, dims='trial')."
        raise DataError(message("haircut_sharpe_ratio: sharpe", type(sharpe).__name__, "a DataArray", fix))
    for name, value, least, wanted in (("n", n, 2.0, "at least 2 samples"), ("periods", periods, 0.0, "above 0")):
        if not np.all((value >= least) & (value > 0.0)):
            fix = "See help(kk.inference.haircut_sharpe_ratio)."
            raise UsageError(message(f"haircut_sharpe_ratio: {name}", repr(value), wanted, fix))
    if isinstance(n, xr.DataArray):
        try:
            xr.align(sharpe, n, join="exact")
        except xr.AlignmentError as error:
            fix = "Select the same labels first, as xr.align(sharpe, n, join='inner') does."
            raise DataError(message("sharpe and n", "labels that differ", "the same labels exactly", fix)) from error
    root = (n / periods) ** 0.5
    p = xr.apply_ufunc(two_sided, sharpe * root, n - 1.0, dask="parallelized", output_dtypes=[np.float64])
    adjusted = adjusted_p_values(p, method=method, dim=dim)
    t = xr.apply_ufunc(_t_of, adjusted, n - 1.0, dask="parallelized", output_dtypes=[np.float64])
    t = t.where(adjusted > 0.0, np.abs(sharpe * root))  # too small for a number: nothing is lost
    left = np.sign(sharpe) * t / root
    haircut = 1.0 - left / sharpe.where(sharpe != 0.0)
    found = xr.Dataset({"sharpe_ratio": left, "haircut": haircut, "p_value": p, "adjusted_p_value": adjusted})
    texts = {"sharpe_ratio": "annual Sharpe ratio after the haircut", "haircut": "share of the Sharpe ratio lost"}
    for name, text in {**texts, "p_value": "two-sided p-value", "adjusted_p_value": "adjusted p-value"}.items():
        found[name].attrs = {"long_name": text, "units": "1", "method": method, "periods_per_year": periods}
    return found


def _t_of(p: Any, degrees: Any) -> Any:
    return np.abs(scipy.special.stdtrit(degrees, p / 2.0))
