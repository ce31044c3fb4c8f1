"""Arrays that answer no more of numpy than cupy does, and never become numpy's: the metrics' dispatch without a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

# what the metrics call and cupy has; ufuncs are answered called, not accumulated or reduced
FUNCTIONS = {
    np.all,
    np.argmax,
    np.argsort,
    np.concatenate,
    np.cumprod,
    np.cumsum,
    np.fft.fft,
    np.full_like,
    np.max,
    np.min,
    np.ones_like,
    np.prod,
    np.real,
    np.result_type,
    np.searchsorted,
    np.sort,
    np.stack,
    np.sum,
    np.take_along_axis,
    np.where,
    np.zeros_like,
}
# what xarray asks of arrays before it calls a metric
FUNCTIONS |= {np.broadcast_to, np.moveaxis, np.transpose}


def unwrap(value: Any) -> Any:
    if isinstance(value, Duck):
        return value.inside
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("an array of numpy beside one of the device")
    if isinstance(value, list | tuple):
        return type(value)(unwrap(one) for one in value)
    return value


def wrap(value: Any) -> Any:
    return Duck(np.asarray(value)) if isinstance(value, np.ndarray | np.generic) else value


class Duck(np.lib.mixins.NDArrayOperatorsMixin):
    """An array as of a device; also a single number is one, as in cupy."""

    def __init__(self, inside: np.ndarray) -> None:
        self.inside = inside

    dtype = property(lambda self: self.inside.dtype)
    shape = property(lambda self: self.inside.shape)
    ndim = property(lambda self: self.inside.ndim)
    size = property(lambda self: self.inside.size)

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError("left the device")

    def __len__(self) -> int:
        return len(self.inside)

    def __bool__(self) -> bool:
        return bool(self.inside)

    def __float__(self) -> float:
        return float(self.inside)

    def __int__(self) -> int:
        return int(self.inside)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.inside[unwrap(key)] = unwrap(value)

    def __getitem__(self, key: Any) -> Duck:
        return Duck(np.asarray(self.inside[unwrap(key)]))

    def astype(self, dtype: Any, copy: bool = True) -> Duck:
        return Duck(self.inside.astype(dtype, copy=copy))

    def copy(self) -> Duck:
        return Duck(self.inside.copy())

    def transpose(self, *axes: int) -> Duck:
        return Duck(self.inside.transpose(*axes))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__":
            raise NotImplementedError(f"{ufunc.__name__}.{method}")
        if "out" in kwargs:
            kwargs["out"] = unwrap(kwargs["out"])
        return wrap(ufunc(*unwrap(inputs), **kwargs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function not in FUNCTIONS:
            raise NotImplementedError(f"np.{function.__name__}")
        if function is np.where and not any(isinstance(a, Duck) and a.dtype == np.float64 for a in args[1:]):
            raise TypeError("cupy may take numbers beside numbers or bools for float16: give a float64 array")
        return wrap(function(*unwrap(args), **kwargs))
