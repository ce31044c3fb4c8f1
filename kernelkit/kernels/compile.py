"""The only file that touches numba's internals: memory operations as machine instructions, and content-addressed compilation.

numba's own disk cache does not see changed helpers, globals or options of a function (each reproduced), so what is compiled here is
first written to a module whose name is the hash of everything it depends on; numba's cache then cannot be stale.
"""

import ast
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType

import llvmlite
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba import cfunc, njit  # noqa: F401  re-exported to generated modules
from numba.extending import intrinsic

import kernelkit

I8 = ir.IntType(64)
F8 = ir.DoubleType()
CORE = ("layout", "scan", "account", "orders", "bars")  # in the order of their imports


def _load(element, numba_type):
    @intrinsic
    def load(typingctx, address):
        def codegen(context, builder, signature, args):
            return builder.load(builder.inttoptr(args[0], element.as_pointer()))

        return numba_type(types.int64), codegen

    return load


def _store(element, numba_type):
    @intrinsic
    def store(typingctx, address, value):
        def codegen(context, builder, signature, args):
            builder.store(args[1], builder.inttoptr(args[0], element.as_pointer()))
            return context.get_dummy_value()

        return types.void(types.int64, numba_type), codegen

    return store


def _call(result, numba_type):
    @intrinsic
    def call(typingctx, entry, argument):
        def codegen(context, builder, signature, args):
            function = builder.inttoptr(args[0], ir.FunctionType(result, [I8]).as_pointer())
            return builder.call(function, [args[1]])

        return numba_type(types.int64, types.int64), codegen

    return call


def _bitcast(element, numba_result, numba_argument):
    @intrinsic
    def cast(typingctx, value):
        def codegen(context, builder, signature, args):
            return builder.bitcast(args[0], element)

        return numba_result(numba_argument), codegen

    return cast


i8, f8 = _load(I8, types.int64), _load(F8, types.float64)
put_i8, put_f8 = _store(I8, types.int64), _store(F8, types.float64)
call, call_model = _call(I8, types.int64), _call(F8, types.float64)
bits, unbits = _bitcast(I8, types.int64, types.float64), _bitcast(F8, types.float64, types.int64)


@intrinsic
def at(typingctx, address, dtype):
    """The record of this dtype at an address; its fields are the memory itself."""
    record = dtype.dtype

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(record))

    return record(types.int64, dtype), codegen


@intrinsic
def call_act(typingctx, entry, frame, verb, tif, q, a, b, c, d, e):
    """Call the engine's order entry point by its address."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(I8, [I8, I8, I8] + [F8] * 6)
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

    return types.int64(*[types.int64] * 4, *[types.float64] * 6), codegen


SWEEP = "int64(" + ", ".join(["int64"] * 14) + ")"
ACT = "int64(int64, int64, int64, float64, float64, float64, float64, float64, float64)"


def compile_errors() -> tuple[type[Exception], ...]:
    """What numba raises when it cannot compile."""
    return (numba.core.errors.NumbaError,)


def address(function) -> int:
    """Machine address of a `@cfunc`, valid in this process."""
    return int(function.address)


@cache
def cpu() -> str:
    """Name and features of the processor that code is compiled for."""
    from llvmlite import binding

    return f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"


@cache
def build_id() -> str:
    """Hash of everything that decides the machine code of the engine: its sources, numba, llvmlite, numpy, the processor."""
    here = Path(__file__).parent
    parts = [path.read_bytes() for path in sorted(here.glob("*.py"))]
    parts += [v.encode() for v in (numba.__version__, llvmlite.__version__, np.__version__, sys.version, cpu())]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def cache_dir() -> Path:
    """Where compiled modules live: $KERNELKIT_CACHE, else the user's cache folder; one folder per build id."""
    base = os.environ.get("KERNELKIT_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "kernelkit")
    return Path(base) / build_id()


def module(text: str, stem: str) -> ModuleType:
    """Import `text` as the module `<stem>_<hash>` from the cache folder, writing it first if need be."""
    name = f"{stem}_{hashlib.sha256(text.encode()).hexdigest()[:20]}"
    if name in sys.modules:
        return sys.modules[name]
    folder = cache_dir()
    path = folder / f"{name}.py"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{name}.{os.getpid()}.{id(text)}"
        part.write_text(text)
        os.replace(part, path)
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[name]
        raise
    return loaded


NUMBA = {"int": "int64", "float": "float64", "bool": "boolean", "None": "void"}


def signature(node: ast.FunctionDef) -> str:
    """The numba signature that a kernel function's annotations state."""
    arguments = ", ".join(NUMBA[ast.unparse(a.annotation)] for a in node.args.args)
    return f"{NUMBA[ast.unparse(node.returns)]}({arguments})"


def jitted(source: str) -> str:
    """Kernel source with its package imports dropped and every top-level function compiled for the types it is annotated with."""
    tree = ast.parse(source)
    body: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kernelkit."):
            continue
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = [ast.parse(f"jit({signature(node)!r})", mode="eval").body]
            if ast.get_docstring(node):
                node.body = node.body[1:]
        body.append(node)
    return ast.unparse(ast.Module(body, []))


PRELUDE = """from kernelkit.kernels.compile import ACT, SWEEP, at, bits, call, call_act, call_model, f8, i8, jit, put_f8, put_i8, unbits
from kernelkit.kernels.layout import *
from numba import cfunc, njit
"""


def jit(types_text: str):
    """Compile an inner kernel function for one signature, without the wrappers that only Python would call."""
    return numba.njit(types_text, nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


@cache
def core_text() -> str:
    """All kernel modules as one module bound to numba."""
    here = Path(__file__).parent
    return PRELUDE + "\n".join(jitted((here / f"{name}.py").read_text()) for name in CORE[1:])


ENTRIES = """
@cfunc(ACT, cache=True, nopython=True, error_model='numpy')
def enter_orders(frame, verb, tif, q, a, b, c, d, e):
    return act(frame, verb, tif, q, a, b, c, d, e)

@njit(ACT, nogil=True, error_model='numpy', cache=True)
def act_entry(frame, verb, tif, q, a, b, c, d, e):
    return act(frame, verb, tif, q, a, b, c, d, e)

@njit(SWEEP, nogil=True, error_model='numpy', cache=True)
def sweep_entry(frame, entry, block, template, trials, params, n_param, tables, outs, blocks, meta, first, n, budget):
    return sweep(frame, entry, block, template, trials, params, n_param, tables, outs, blocks, meta, first, n, budget)
"""


@cache
def engine() -> ModuleType:
    """The compiled engine: `sweep_entry` and the order entry point, from the disk cache if it has them."""
    return module(f"# {build_id()}\n{core_text()}\n{ENTRIES}", "engine")
