"""A device that is this process: its memory is other memory, its threads are a loop, its programs are numba's.

What the real one adds is the compiler of PTX alone: that a program is rightly made of the kernels' texts, and that
every address is translated, is found out here, at the speed of compiled code.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from kernelkit.kernels import machine
from kernelkit.kernels.compile import signature
from kernelkit.kernels.device import Binding, Device

OPERATIONS = "i8 f8 put_i8 put_f8 at bits unbits scale_four rarely prefetch".split()
ARGUMENTS = {"one_row": 4, "one_trial": 10}  # besides the thread's number


def made(node: ast.FunctionDef, function: Any) -> Any:
    stated = signature(node)
    return numba.njit(stated, error_model="numpy")(function) if stated else numba.njit(error_model="numpy")(function)


class Host:
    binding = Binding({name: getattr(machine, name) for name in OPERATIONS}, made)

    def empty(self, size: int) -> Any:
        return np.full(-(-size // 8), 0x7FF8DEADBEEF0000, "i8").view("u1")  # what is not written is NaN, and far away

    def address(self, there: Any) -> int:
        return int(there.ctypes.data)

    def put(self, there: Any, here: np.ndarray) -> None:
        there[: here.nbytes] = here.reshape(-1).view("u1")

    def get(self, there: Any, here: np.ndarray) -> None:
        here.reshape(-1).view("u1")[:] = there[: here.nbytes]

    def launcher(self, device: Device) -> Callable[..., None]:
        loops = {}
        for name, n in ARGUMENTS.items():
            one, arguments = device.program.entry(name), ", ".join(f"a{k}" for k in range(n))
            home = {"one": one}
            exec(f"def loop(n, {arguments}):\n    for k in range(n):\n        one(k, {arguments})\n", home)
            loops[name] = numba.njit(home["loop"])
        return lambda name, n, *arguments: loops[name](n, *arguments)
