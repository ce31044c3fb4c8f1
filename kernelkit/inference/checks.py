"""What arguments of this package must be, and how errors say so."""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable
from numbers import Real
from typing import Any, get_args

import xarray as xr

from kernelkit.errors import DataError, UsageError, message


def choice(function: str, **given: tuple[Any, Any]) -> None:
    """Raise `UsageError` unless each value is one of its Literal.

    >>> from typing import Literal
    >>> choice("f", side=("left", Literal["left", "right"]))
    """
    for name, (value, choices) in given.items():
        if not (isinstance(value, str) and value in get_args(choices)):
            wanted = f"one of {', '.join(map(repr, get_args(choices)))}"
            raise UsageError(message(f"{function}: {name}", repr(value), wanted, _help(function)))


def fraction(function: str, name: str, value: float) -> None:
    """Raise `UsageError` unless a number lies between 0 and 1.

    >>> fraction("f", "level", 0.9)
    """
    if not (is_number(value) and 0.0 < value < 1.0):
        raise UsageError(message(f"{function}: {name}", repr(value), "a number between 0 and 1", _help(function)))


def whole(function: str, name: str, value: float, least: int, most: int | None = None) -> int:
    """This whole number; `UsageError` where it is none, below `least`, or above `most`.

    >>> whole("f", "lags", 3.0, 0)
    3
    """
    if not (is_number(value) and value == math.floor(value) and value >= least and (most is None or value <= most)):
        wanted = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"
        raise UsageError(message(f"{function}: {name}", repr(value), wanted, _help(function)))
    return int(value)


def is_number(value: Any) -> bool:
    """Whether this is a finite number; True and False are none.

    >>> is_number(0.5), is_number("10%"), is_number(float("nan"))
    (True, False, False)
    """
    if isinstance(value, int):
        return type(value) is not bool and abs(value) < 2**1023  # beyond, there is no float
    return isinstance(value, Real) and math.isfinite(value)


def along(function: str, dims: tuple[str, ...], *given: Any) -> list[xr.DataArray]:
    """These DataArrays as float64, loaded; `DataError` for anything else, and for one without these dims.

    >>> along("f", ("time",), xr.DataArray([1, 2], dims="time"))[0].dtype
    dtype('float64')
    """
    if not all(isinstance(dim, Hashable) for dim in dims):
        raise UsageError(message(f"{function}: dims", repr(dims), "names of dims", "Name each dim by itself."))
    if not given:
        raise DataError(message(function, "no series", "at least one DataArray", _help(function)))
    for x in given:
        if not isinstance(x, xr.DataArray) or not set(dims) <= set(x.dims):
            found = f"dims {x.dims}" if isinstance(x, xr.DataArray) else type(x).__name__
            wanted = f"DataArrays along {', '.join(map(repr, dims))}"
            raise DataError(message(function, found, wanted, "Name the dims as the series have them."))
    return [x.astype("f8", keep_attrs=True).compute() for x in given]


def differ(function: str) -> DataError:
    """What to raise for series whose labels differ.

    >>> str(differ("f"))[:22]
    'f: found labels that d'
    """
    fix = "Select the same labels first, as xr.align(x, y, join='inner') does."
    return DataError(message(function, "labels that differ", "the same labels exactly", fix))


def _help(function: str) -> str:
    public: Any = sys.modules["kernelkit"]
    return f"See help(kk.{function if function in public.__all__ else f'inference.{function}'})."
