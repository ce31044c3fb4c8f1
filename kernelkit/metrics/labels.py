"""Formulas over arrays of several dims: their labels are the same, what is not named broadcasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from kernelkit.errors import DataError, UsageError, message

if TYPE_CHECKING:
    import pandas as pd

Texts = Mapping[str, tuple[str, str]]  # name: units and long_name


def check_dims(function: str, arrays: Mapping[str, Any], dims: Mapping[str, Sequence[str]]) -> None:
    """Raise DataError unless each array is a DataArray with its dims.

    >>> check_dims("mean", {"x": xr.DataArray([1.0], dims="time")}, {"x": ["time"]})
    """
    for name, array in arrays.items():
        what = f"{function}: {name}"
        if not isinstance(array, xr.DataArray):
            fix = f"Wrap it: xr.DataArray(values, dims={tuple(dims[name])!r})."
            raise DataError(message(what, type(array).__name__, "a DataArray", fix))
        lacks = [dim for dim in dims[name] if dim not in array.dims]
        if lacks:
            fix = "Rename the dims, or add one: x.expand_dims(factor=['market'])."
            raise DataError(message(what, f"dims {array.dims}", f"the dims {tuple(dims[name])}", fix))


def check_labels(arrays: Mapping[str, xr.DataArray]) -> None:
    """Raise DataError unless dims of one name have the same labels in all arrays."""
    try:
        xr.align(*arrays.values(), join="exact")
    except ValueError as error:  # AlignmentError is one
        names = " and ".join(arrays)
        fix = f"Select the same labels first, as xr.align({', '.join(arrays)}, join='inner') does."
        raise DataError(message(names, "labels that differ", "the same labels exactly", fix)) from error


def check_table(function: str, table: Any, kind: type, needed: Iterable[str], where: str) -> None:
    """Raise DataError unless a table is of this kind and has the columns that are needed; ``where`` says what has them.

    >>> check_table("fill_ratio", xr.Dataset({"filled": ("order", [1.0])}), xr.Dataset, ["filled"], "kk.executions")
    """
    wanted = f"a {kind.__name__} with {', '.join(needed)}"
    found = type(table).__name__
    if isinstance(table, kind):
        found = next((f"no {name}" for name in needed if name not in table), "")  # type: ignore[operator]
    if found:
        raise DataError(message(f"{function}: table", found, wanted, f"Pass what {where} returns."))


def zoned(function: str, clock: pd.DatetimeIndex, tz: str) -> pd.DatetimeIndex:
    """Times in UTC by the clocks of ``tz``; UsageError for a zone that there is not.

    >>> import pandas as pd
    >>> zoned("f", pd.DatetimeIndex(["2024-01-02"]), "Europe/Berlin").hour.tolist()
    [1]
    """
    try:
        if not isinstance(tz, (str, tzinfo)):
            raise TypeError(tz)
        return (clock if clock.tz is not None else clock.tz_localize("UTC")).tz_convert(tz)
    except (KeyError, ValueError, TypeError):
        fix = 'Pass a name such as tz="America/New_York".'
        raise UsageError(message(f"{function}: tz", repr(tz), "a time zone", fix)) from None


def check_names(function: str, arrays: Iterable[Any], outputs: Iterable[str]) -> None:
    """Raise DataError where an output would have the name of a dim, as a swept parameter may.

    >>> check_names("mean", [xr.DataArray([1.0], dims="time")], ["mean"])
    """
    outputs = set(outputs)
    dims = {str(dim) for array in arrays if isinstance(array, xr.DataArray) for dim in array.dims}
    taken = sorted(outputs & dims)
    if taken:
        found, fix = f"the dims {', '.join(taken)}", f"Rename them: x.rename({taken[0]}='{taken[0]}_')."
        raise DataError(message(function, found, f"other names than those of its outputs {sorted(outputs)}", fix))


def named(array: xr.DataArray, units: str, long_name: str, **attrs: Any) -> xr.DataArray:
    """The array with these attrs and no others.

    >>> named(xr.DataArray([1.0], attrs={"initial": 1.0}), "1", "share").attrs
    {'units': '1', 'long_name': 'share'}
    """
    found = array.copy(deep=False)
    found.attrs = {"units": units, "long_name": long_name, **attrs}
    return found


def over(
    function: str,
    formula: Callable[..., Any],
    arrays: Mapping[str, xr.DataArray],
    dims: Mapping[str, Sequence[str]],
    outputs: Mapping[str, Sequence[str]],
    texts: Texts,
    attrs: Mapping[str, Any],
    new: Mapping[str, Sequence[Any]] | None = None,
) -> xr.Dataset:
    """The formula of each combination of labels of the other dims, as a Dataset of its `outputs` by their dims.

    `new` are dims that no array has, with their labels.

    >>> x = xr.DataArray([[1.0, 2.0], [3.0, 5.0]], dims=("asset", "time"))
    >>> found = over("mean", np.sum, {"x": x}, {"x": ["time"]}, {"total": []}, {"total": ("1", "total")}, {})
    >>> found["total"].values
    array([3., 8.])
    """
    check_labels(arrays)
    check_names(function, arrays.values(), outputs)
    found = xr.apply_ufunc(
        formula,
        *(array.astype("f8") for array in arrays.values()),
        input_core_dims=[list(dims[name]) for name in arrays],
        output_core_dims=[list(out) for out in outputs.values()],
        join="exact",
        vectorize=True,
        dask="parallelized",
        output_dtypes=[np.float64] * len(outputs),
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": {k: len(v) for k, v in (new or {}).items()}},
    )
    found = found if isinstance(found, tuple) else (found,)
    kept = {k: v for k, v in attrs.items() if v is not None}
    one = {name: named(array, *texts[name], **kept) for name, array in zip(outputs, found, strict=True)}
    return xr.Dataset(one, attrs=kept).assign_coords({k: list(v) for k, v in (new or {}).items()})
