"""Reading and writing raw memory by address, in plain Python.

The kernels are written against these few operations. Imported as they stand, the kernels run in Python: slow, and
steppable in a debugger. `compile.py` binds the same names to machine instructions.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

_callables: dict[int, Callable[..., Any]] = {}


def handle(function: Callable[..., Any]) -> int:
    """A number that `call` and its like accept in the place of a code address (valid in this process only)."""
    key = id(function)
    _callables[key] = function
    return key


def release(key: int) -> None:
    """Forget a handle."""
    _callables.pop(key, None)


def i8(address: int) -> np.int64:
    """The int64 at `address`."""
    return np.int64(ctypes.c_int64.from_address(int(address)).value)


def f8(address: int) -> np.float64:
    """The float64 at `address`."""
    return np.float64(ctypes.c_double.from_address(int(address)).value)


def put_i8(address: int, value: int) -> None:
    """Store an int64."""
    ctypes.c_int64.from_address(int(address)).value = int(value)


def put_f8(address: int, value: float) -> None:
    """Store a float64."""
    ctypes.c_double.from_address(int(address)).value = float(value)


def scale_four(place: int, factor: float, divisor: float) -> None:
    """Multiply and divide four float64 that lie side by side: the processor does them at once."""
    for at_one in range(place, place + 32, 8):
        put_f8(at_one, (f8(at_one) * factor) / divisor)


def rarely(condition: bool) -> bool:
    """The condition; compiled code takes it to be false nearly always, and keeps registers for that case."""
    return condition


def prefetch(address: int) -> None:
    """Have the cache line at `address` fetched while other work goes on; in Python nothing."""


def at(address: int, dtype: np.dtype) -> Any:
    """The record of type `dtype` that lies at `address`; its attributes are that memory."""
    raw = (ctypes.c_char * dtype.itemsize).from_address(int(address))
    return np.frombuffer(raw, dtype, 1).view(np.recarray)[0]


def call(entry: int, frame: int) -> int:
    """Call one of FRAME's functions: 0, or the status it ended with."""
    return _callables[int(entry)](int(frame))


def call_kernel(entry: int, frame: int, slot: int, column: int, first: int, last: int, out: int, n: int) -> None:
    """Call an indicator's kernel."""
    _callables[int(entry)](int(frame), int(slot), int(column), int(first), int(last), int(out), int(n))


def call_act(
    entry: int, frame: int, verb: int, tif: int, q: float, a: float, b: float, c: float, d: float, e: float
) -> int:
    """Call the engine's entry point for orders."""
    return _callables[int(entry)](frame, verb, tif, q, a, b, c, d, e)


def call_weigh(entry: int, frame: int, verb: int, wish: float, band: float) -> int:
    """Call the engine's entry point for targets of a portfolio's asset."""
    return _callables[int(entry)](frame, verb, wish, band)


def call_model(entry: int, model: int) -> np.float64:
    """Call a fee, slippage or latency model with the address of its MODEL record."""
    return np.float64(_callables[int(entry)](int(model)))


def bits(value: float) -> np.int64:
    """The bit pattern of a float64 as an int64.

    >>> hex(bits(1.0))
    '0x3ff0000000000000'
    """
    return np.float64(value).view(np.int64)


def unbits(value: int) -> np.float64:
    """The float64 with this bit pattern.

    >>> float(unbits(0x4000000000000000))
    2.0
    """
    return np.int64(value).view(np.float64)
