"""The only file that touches numba's internals: memory operations as machine instructions, compilation by units."""

import ast
import hashlib
import pickle
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar

import numba
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, compiler, compiler_machinery, typed_passes, untyped_passes
from numba.extending import intrinsic

from kernelkit.errors import RunError, message
from kernelkit.kernels.cache import LOCK, build_id, cache_dir, forget, module

I8 = ir.IntType(64)
F8 = ir.DoubleType()
CORE = ("scan", "account", "matching", "orders", "bars")  # in the order of their imports


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
def rarely(typingctx, condition):
    """A condition that is false nearly always: registers are kept for that case."""

    def codegen(context, builder, signature, args):
        bit = ir.IntType(1)
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(bit, [bit, bit]), "llvm.expect.i1")
        return builder.call(function, [args[0], bit(0)])

    return types.boolean(types.boolean), codegen


@intrinsic
def prefetch(typingctx, address):
    """Have the cache line at an address fetched, wherever it points to."""

    def codegen(context, builder, signature, args):
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        read, keep_it, data = (word(k) for k in (0, 3, 1))
        builder.call(function, [builder.inttoptr(args[0], byte), read, keep_it, data])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


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


DAMAGE = (EOFError, pickle.UnpicklingError, AttributeError, ImportError, IndexError, ValueError)  # a cache file's
ACT = "int64(int64, int64, int64, float64, float64, float64, float64, float64, float64)"


def compile_errors() -> tuple[type[Exception], ...]:
    """What numba raises when it cannot compile."""
    return (numba.core.errors.NumbaError,)


def address(function) -> int:
    """Machine address of a `@cfunc`, valid in this process."""
    return int(function.address)


NUMBA = {"int": "int64", "float": "float64", "bool": "boolean", "None": "void"}


def signature(node: ast.FunctionDef) -> str | None:
    """The numba signature that a function's annotations state, None where they do not."""
    if node.returns is None or any(a.annotation is None for a in node.args.args):
        return None
    arguments = ", ".join(NUMBA[ast.unparse(a.annotation)] for a in node.args.args)
    return f"{NUMBA[ast.unparse(node.returns)]}({arguments})"


def bare(source: str) -> ast.Module:
    """The tree of a kernel module without package imports and docstrings."""
    body: list[ast.stmt] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kernelkit."):
            continue
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:]
        body.append(node)
    return ast.Module(body, [])


PRELUDE = """from kernelkit.kernels.compile import at, bits, call, call_act, call_model, f8, i8, prefetch
from kernelkit.kernels.compile import put_f8, put_i8, rarely, unbits
from kernelkit.kernels.layout import *
"""
# The engine is compiled in a few units that call each other by symbol. numba links all that a function calls into it
# and optimises that anew for every caller; one unit would optimise the code of a fill eight times over.
UNITS = ("fill", "match", "close_out", "end_all", "next_session", "settle", "act", "sweep")


class Lean(compiler.CompilerBase):
    """numba's pipeline without what plain arithmetic and calls do not need: a seventh of a cold start."""

    def define_pipelines(self):
        """The passes, in order."""
        passes = compiler_machinery.PassManager("lean")
        for step in (
            untyped_passes.TranslateByteCode,
            untyped_passes.FixupArgs,
            untyped_passes.IRProcessing,
            untyped_passes.ReconstructSSA,
            typed_passes.NopythonTypeInference,
            typed_passes.PreLowerStripPhis,
            typed_passes.IRLegalization,
            typed_passes.NativeLowering,
            typed_passes.NoPythonBackend,
        ):
            passes.add_pass(step, step.__name__)
        passes.finalize()
        return [passes]


def jit(types_text: str, **options):
    """Compile an inner kernel function for one signature, without the wrappers that only Python would call.

    Its own machine code is never run: callers link its LLVM code into theirs and optimise that. So it is optimised
    lightly here: at level 3 a cold start takes half as long again, at level 0 the final pass no longer finds the
    registers (4 x slower, measured).
    """

    def compiled(function):
        level, numba.config.OPT = numba.config.OPT, numba.core.config._OptLevel(1)
        try:
            return numba.njit(
                types_text,
                nogil=True,
                error_model="numpy",
                no_cpython_wrapper=True,
                no_cfunc_wrapper=True,
                **options,
            )(function)
        finally:
            numba.config.OPT = level

    return compiled


class Linker:
    """Compiles entry points of a module of plain functions; the functions they reach only on a cache miss."""

    options: ClassVar = {}  # of numba's decorators

    def __init__(self, text: str, stem: str) -> None:
        self.text = text
        self.home = module(text, stem).__dict__
        self.done: set[str] = self.home.setdefault("compiled_functions", set())

    @cached_property
    def functions(self) -> dict[str, ast.FunctionDef]:
        """The module's functions by name."""
        return {n.name: n for n in ast.parse(self.text).body if isinstance(n, ast.FunctionDef)}

    def load(self, name: str, decorate):
        """From the disk cache, which needs none of the functions that the entry calls; else compile those first.

        Raises RunError where the cache cannot be written.
        """
        function = self.home[name]
        try:
            try:
                return decorate(function)
            except numba.core.errors.TypingError:
                pass
            except DAMAGE:
                forget(self.home["__file__"])
            self.link(name)
            return decorate(function)
        except OSError as error:
            where, fix = f"compiled code in {cache_dir()}", "Make room, or set KERNELKIT_CACHE to another folder."
            raise RunError(message(where, str(error), "a place to write", fix)) from error

    def link(self, name: str) -> None:
        """Compile what a function calls."""
        for node in ast.walk(self.functions[name]):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if called in self.functions and called not in self.done:
                self.done.add(called)
                self.link(called)
                types_text, function = signature(self.functions[called]), self.home[called]
                self.home[called] = (
                    jit(types_text, **self.options)(function)
                    if types_text
                    else numba.njit(error_model="numpy")(function)
                )


def keep(linker: Linker, name: str, types_text: str):
    """The C function of an entry point; its module keeps it, as machine code lives no longer than its owner."""
    kept = linker.home.setdefault("kept", {})
    kept[name] = linker.load(name, cfunc(types_text))
    return kept[name]


@cache
def model(text: str) -> int:
    """Machine address of a cost model: the address of a MODEL record in, a float64 out."""
    with LOCK:
        return address(keep(Linker(text, "model"), "entry", "float64(int64)"))


@cache
def strategy(text: str) -> tuple[int, int]:
    """Machine addresses of a strategy's `decide` and `refresh`, 0 where it has no indicators."""
    with LOCK:
        linker = Linker(text, "strategy")
        wanted = [name for name in ("decide", "refresh") if name in linker.functions]
        found = [address(keep(linker, name, "int64(int64)")) for name in wanted]
        return found[0], (found[1] if len(found) > 1 else 0)


def cfunc(types_text: str, **options):
    """numba's C function decorator, as everything here uses it."""
    return numba.cfunc(types_text, nopython=True, error_model="numpy", cache=True, **options)


def entry_point(types_text: str, **options):
    """numba's decorator for what Python calls."""
    return numba.njit(types_text, nogil=True, error_model="numpy", cache=True, **options)


@cache
def core() -> str:
    """The kernel modules as one module's text."""
    here = Path(__file__).parent
    tree = ast.Module([n for name in CORE for n in bare((here / f"{name}.py").read_text()).body], [])
    return f"# {build_id()}\n{PRELUDE}{ast.unparse(tree)}\n"


class Engine(Linker):
    """The compiled engine: `sweep` for Python to call, and `enter_orders`, through which strategies order."""

    options: ClassVar = {"pipeline_class": Lean}

    def __init__(self) -> None:
        super().__init__(core(), "engine")
        for unit in UNITS[:-1]:
            types_text = signature(self.functions[unit])
            compiled = self.load(unit, cfunc(types_text, **self.options))
            symbol = f"kernelkit_{unit}_{build_id()}"
            binding.add_symbol(symbol, compiled.address)
            self.home[unit] = types.ExternalFunction(symbol, numba.core.sigutils._parse_signature_string(types_text))
            self.done.add(unit)
            if unit == "act":
                self.enter_orders = compiled
        self.sweep = self.load("sweep", entry_point(signature(self.functions["sweep"]), **self.options))


# What an engine of one strategy's own knows beforehand: the decision itself, and the answers to questions to FRAME.
KNOWN = """
def measures(frame: int) -> bool:
    return {measure}
def logs(frame: int) -> bool:
    return False
def draws(frame: int) -> bool:
    return False
def is_last(i: int, last: int) -> bool:
    return False
# {strategy}
"""


class Fused(Linker):
    """An engine of one strategy's own, for sweeps: the decision is compiled into the loop over the bars."""

    options: ClassVar = {"pipeline_class": Lean}

    def __init__(self, text: str, measure: bool) -> None:
        engine()  # what it calls by symbol must be there before the linker asks for it: LLVM aborts the process else
        super().__init__(fused_text(text, measure), "fused")
        self.strategy = text
        self.sweep = self.load("sweep", entry_point(signature(self.functions["sweep"]), **self.options))

    def link(self, name: str) -> None:
        """Give the loop what it is to be compiled with."""
        if "decide" not in self.done:
            self.done.update([*UNITS[:-1], "decide"])
            for unit in UNITS[:-1]:
                self.home[unit] = engine().home[unit]
            own = Linker(self.strategy, "strategy")
            own.link("decide")
            self.home["decide"] = jit("int64(int64)", forceinline=True)(own.home["decide"])
        super().link(name)


def fused_text(text: str, measure: bool) -> str:
    """The source of a strategy's own engine; it names the strategy, so it is as content-addressed as that."""
    return core() + KNOWN.format(measure=measure, strategy=hashlib.sha256(text.encode()).hexdigest())


@cache
def _engine() -> Engine:
    return Engine()


def engine() -> Engine:
    """The engine of this process."""
    with LOCK:
        return _engine()
