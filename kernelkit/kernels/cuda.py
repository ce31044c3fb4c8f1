"""CUDA through numba: the operations of `memory` on a device, compilation without contraction, launches.

Nothing but this touches numba.cuda. With NUMBA_ENABLE_CUDASIM=1 a device is simulated: its threads are Python's, one
after the other, and its memory is other memory of this process.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import cuda

from kernelkit.kernels import device, memory
from kernelkit.kernels.compile import RARE, UNITS, compile_errors, signature
from kernelkit.kernels.job import Job

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")
THREADS = 128  # of a block
MOST_PATHS = 1 << 22  # of a launch
_LOCK = threading.RLock()
# Functions with many callers. A copy for each of them makes a program of megabytes, which the driver's assembler takes
# minutes for.
CALLED = {*UNITS, *RARE, "match", "act", "steer", "end_order", "order_fill", "settle", "headline", "fill_alone"}


def missing() -> str:
    """Why nothing can run on a device here, "" where it can."""
    if not SIMULATED and importlib.util.find_spec("numba_cuda") is None:
        return 'numba-cuda is not installed: pip install "kernelkit[gpu]"'
    return "" if cuda.is_available() else "there is no CUDA device"


def named() -> str:
    """The device in use."""
    if SIMULATED:
        return "numba's CUDA simulator"
    found = cuda.get_current_device().name
    return found.decode() if isinstance(found, bytes) else str(found)


@contextmanager
def uncontracted() -> Iterator[None]:
    """Compile a product and a sum as two operations, as the processor does them.

    NVVM has an option for that (`-fma=0`), `cuda.jit` has none: what hands options over is replaced meanwhile. The
    operations of PTX are then those with `.rn`, which the driver's assembler leaves apart, too.
    """
    if SIMULATED:
        yield
        return
    from numba.cuda.cudadrv import nvvm

    with _LOCK:
        plain = nvvm.compile_ir

        def compile_ir(llvmir: Any, **options: Any) -> Any:
            return plain(llvmir, **{**options, "fma": False})

        nvvm.compile_ir = compile_ir
        try:
            yield
        finally:
            nvvm.compile_ir = plain


def operations() -> dict[str, Any]:
    """Those of `memory` as machine instructions: numba-cuda has registries of its own, those of `machine` are not its.

    `max` and `min` are those of the processor: a device's own differ where a number is NaN.
    """
    from numba.cuda import types
    from numba.cuda.extending import intrinsic

    i8, f8 = (ir.IntType(64), types.int64), (ir.DoubleType(), types.float64)

    def load(element, kind):
        @intrinsic
        def load(typingctx, address):
            def codegen(context, builder, signature, args):
                return builder.load(builder.inttoptr(args[0], element.as_pointer()))

            return kind(types.int64), codegen

        return load

    def store(element, kind):
        @intrinsic
        def store(typingctx, address, value):
            def codegen(context, builder, signature, args):
                builder.store(args[1], builder.inttoptr(args[0], element.as_pointer()))
                return context.get_dummy_value()

            return types.void(types.int64, kind), codegen

        return store

    def cast(element, result, argument):
        @intrinsic
        def cast(typingctx, value):
            def codegen(context, builder, signature, args):
                return builder.bitcast(args[0], element)

            return result(argument), codegen

        return cast

    @intrinsic
    def at(typingctx, address, dtype):
        record = dtype.dtype

        def codegen(context, builder, signature, args):
            return builder.inttoptr(args[0], context.get_value_type(record))

        return record(types.int64, dtype), codegen

    def larger(a, b):
        return b if b > a else a

    def smaller(a, b):
        return b if b < a else a

    def nothing(address):
        pass

    jit = cuda.jit(device=True)
    out = {"i8": load(*i8), "f8": load(*f8), "put_i8": store(*i8), "put_f8": store(*f8), "at": at}
    out |= {"bits": cast(i8[0], types.int64, types.float64), "unbits": cast(f8[0], types.float64, types.int64)}
    out |= {"max": jit(larger), "min": jit(smaller), "prefetch": jit(nothing), "rarely": jit(memory.rarely)}
    return out | {"scale_four": jit(device.copied(memory.scale_four, out))}


def made(node: ast.FunctionDef, function: Any) -> Any:
    """A device function: at once for the types that it states, else for those of its first call."""
    stated = signature(node)
    if not stated:
        return cuda.jit(device=True)(function)
    compiled = cuda.jit(stated, device=True)(function)
    if node.name in CALLED:
        for found in compiled.overloads.values():
            found.library.get_function(found.fndesc.llvm_func_name).attributes.add("noinline")
    return compiled


@cache
def binding() -> device.Binding:
    """How programs are made for the device."""
    return device.PYTHON if SIMULATED else device.Binding(operations(), made)


def row_kernel(one: Any) -> Any:
    """A thread for each row."""

    def rows(n, frame, frames, first, last):
        k = cuda.grid(1)
        if k < n:
            one(k, frame, frames, first, last)

    return rows


def trial_kernel(one: Any) -> Any:
    """A thread for each trial."""

    def trials(n, frame, frames, blocks, trials, outs, cells, meta, statuses, first, last):
        k = cuda.grid(1)
        if k < n:
            one(k, frame, frames, blocks, trials, outs, cells, meta, statuses, first, last)

    return trials


def path_kernel(one: Any) -> Any:
    """A thread for each path; out is (field, path)."""

    def paths(low, high, first, many, pairs, steps, size, begin, p, out):
        k = cuda.grid(1)
        if k < many:
            scale = cuda.local.array(1, numba.float64)
            carry = cuda.local.array((1, 1), numba.float64)
            w = cuda.local.array((4, 1), numba.int64)
            room = cuda.local.array((3, 4, 1), numba.float64)
            move = cuda.local.array((4, 1), numba.float64)
            gap = cuda.local.array((4, 1), numba.float64)
            variance = cuda.local.array((4, 1), numba.float64)
            own = cuda.local.array((4, 1), numba.float64)
            one(low, high, first + k, pairs, steps, size, begin, p, scale, carry, w, room, move, gap, variance, own)
            for j in range(4):
                out[j, k] = own[j, 0]

    return paths


# entry of a program: what starts it, and how that is called
KERNELS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "one_row": (row_kernel, f"void({', '.join(['int64'] * 5)})"),
    "one_trial": (trial_kernel, f"void({', '.join(['int64'] * 11)})"),
    "one_path": (path_kernel, f"void({'int64, ' * 6}float64, float64, float64[::1], float64[:, ::1])"),
}


def kernel(program: device.Program, entry: str) -> Any:
    """What starts threads of a program's entry, compiled."""
    start, types_text = KERNELS[entry]
    with uncontracted():
        started = start(program.entry(entry))
        # Linked with optimisation, as numba-cuda does by itself, it would be compiled again, and contracted.
        return cuda.jit(started) if SIMULATED else cuda.jit(types_text, lto=False)(started)


def launch(kernel: Any, n: int, *arguments: Any) -> None:
    """Run `n` threads, and wait for them."""
    kernel[-(-n // THREADS), min(n, THREADS)](*arguments)
    cuda.synchronize()


class Card:
    """The CUDA device as a `fleet.Backend`."""

    def __init__(self) -> None:
        self.binding = binding()

    def empty(self, size: int) -> Any:
        """So many bytes there."""
        return cuda.device_array(max(1, size), "u1")

    def address(self, there: Any) -> int:
        """Where they begin."""
        return int(there._ary.ctypes.data if SIMULATED else there.__cuda_array_interface__["data"][0])

    def put(self, there: Any, here: np.ndarray) -> None:
        """Copy to them."""
        if here.nbytes:
            there[: here.nbytes].copy_to_device(here.reshape(-1).view("u1"))

    def get(self, there: Any, here: np.ndarray) -> None:
        """Copy from them."""
        if here.nbytes:
            there[: here.nbytes].copy_to_host(here.reshape(-1).view("u1"))

    def launcher(self, made: device.Device) -> Callable[..., None]:
        """What starts threads."""
        kernels = of_trials(made)
        return lambda entry, n, *arguments: launch(kernels[entry], n, n, *arguments)


@lru_cache(maxsize=8)
def of_trials(made: device.Device) -> dict[str, Any]:
    """The kernels of a job's program."""
    return {entry: kernel(made.program, entry) for entry in ("one_row", "one_trial")}


@cache
def of_paths(kind: str) -> Any:
    """The kernel of one of `device.LANES`."""
    return kernel(device.paths(kind, binding()), "one_path")


def reduced(kind: str, p: np.ndarray, size: float, begin: float, place: tuple[int, ...], many: int, steps: int) -> Any:
    """Rule G7 of paths, float64 (field, path); `place` as `Draws.place` has it.

    `size` is what normal numbers are multiplied by, `begin` the path's memory before its first step.
    """
    low, high, first, pairs, _ = place
    run, out, numbers = of_paths(kind), np.empty((4, many)), cuda.to_device(p)
    for at in range(0, many, MOST_PATHS):
        n = min(MOST_PATHS, many - at)
        there = cuda.device_array((4, n), "f8")
        launch(run, n, low, high, first + at, n, pairs, steps, size, begin, numbers, there)
        out[:, at : at + n] = there.copy_to_host()
    return out


def refusal(job: Job) -> str:
    """What keeps a job's program from being compiled for the device, "" where it is."""
    made = device.device_of(job, binding())
    try:
        of_trials(made)
    except (*compile_errors(), NotImplementedError) as error:
        said = next((line for line in str(error).splitlines() if line and not line.startswith("Failed in")), "")
        return f"code that cannot be compiled for a device: {said or type(error).__name__}"
    return ""
