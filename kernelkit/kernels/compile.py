"""Compilation by units, cached by content; nothing but this and `machine` touches numba's internals."""

import ast
import ctypes
import gc
import inspect
import pickle
import re
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache, cached_property, partial
from pathlib import Path
from typing import ClassVar

import numba
from llvmlite import binding, ir
from numba import types
from numba.core import codegen, compiler, compiler_machinery, typed_passes, untyped_passes
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from kernelkit.errors import RunError, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.cache import LOCK, build_id, cache_dir, forget, module
from kernelkit.kernels.context import BAR_ROLLING, ROLLING
from kernelkit.kernels.machine import I8
from kernelkit.kernels.tools import HOOK, TOOLS
from kernelkit.progress import compilation

NATIVE = ("machine", "layout")  # what compiled code imports as it is
# What strategies call of the engine's; compiled into them.
PARTS = ("column_at", "fail", "past", "ring_at", "ring_push", "record", "aim", "order", "events_of", "forget_events")
PARTS += ("higher_past", "higher_place", "failing_bar")
# The same for portfolios.
REACH = ("asset_past", "asset_age", "asset_value", "asset_position", "asset_tradable", "each_place", "asset_order")
REACH += ("asset_aim", "weights", "rank", "asset_higher", "asset_higher_value", "focus", "defocus", "is_called")
REACH += ("own_panel", "own_orders", "own_record", "give_up", "forget_told", "asset_cash", "asset_equity", "send_money")
# What is loaded for a strategy, and the call in its text that needs it.
USES = (("steer", "aim(frame"), ("act", "order(frame"), ("match", "order(frame"), ("tell", "events_of(frame"))
# in the order of their imports
CORE = (
    "focus",
    "scan",
    "account",
    "changes",
    "costs",
    "power",
    "tallies",
    "fills",
    "accept",
    "triggers",
    "halts",
    "matching",
)
CORE += ("limits", "paths", "amend", "actions", "orders", "indicators", "bars", "finer", "sharing", "guard", "events")
CORE += ("abreast", "reach", "transfers", "higher")


DAMAGE = (EOFError, pickle.UnpicklingError, AttributeError, ImportError, IndexError, ValueError)  # a cache file's
KERNEL = "void(int64, int64, int64, int64, int64, int64, int64)"


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


PRELUDE = """from kernelkit.kernels.machine import at, bits, call, call_act, call_kernel, call_model, call_steer
from kernelkit.kernels.machine import call_weigh, f8, i8, prefetch, put_f8, put_i8, rarely, scale_four, unbits
from kernelkit.kernels.layout import *
"""
# The engine is compiled in a few units that call each other by symbol. numba links all that a function calls into it
# and optimises that anew for every caller; one unit would optimise the code of a fill eight times over.
# Others are reached by address.
UNITS = ("fill", "end_all", "next_session", "settle")
# And what most runs never call; compiled when one does, called through a slot.
RARE = ("wake", "end_entry", "tally", "ask_model", "put_at_stake", "replace_target")
RARE += ("count_out_all", "count_in_again", "log_change")


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


class Inner(codegen.JITCodeLibrary):
    """LLVM code of an engine's inner function, which only its callers run: they link it into theirs and optimise that.

    So it is neither optimised nor made into machine code by itself: a fifth of a cold start.
    """

    def get_pointer_to_function(self, name):
        """No machine code."""
        self._ensure_finalized()
        return 0

    def serialize_using_object_code(self):
        """What the disk cache keeps."""
        return self.serialize_using_bitcode()

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True


@contextmanager
def inner():
    """What is compiled, or loaded from the disk, is an inner function of the engine's.

    The code generator is all of numba's: meanwhile no other thread compiles.
    """
    generator = cpu_target.target_context.codegen()
    with global_compiler_lock:
        generator._library_class = Inner
        generator.set_env = lambda name, env: None  # what Python objects a function refers to: none
        try:
            yield
        finally:
            del generator.set_env, generator._library_class


def jit(types_text: str, **options):
    """Compile an inner function for one signature, without the wrappers that only Python would call.

    Callers link its LLVM code into theirs and optimise that, so its own passes are the light ones. The level is all of
    numba's: meanwhile no other thread compiles.
    """

    def compiled(function):
        with global_compiler_lock:
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


def index_of(function) -> Path:
    """The file in which numba's disk cache would list a function's machine code."""
    code, version = function.__code__, sys.version_info
    path = Path(code.co_filename)
    name = f"{path.stem}.{function.__name__}-{code.co_firstlineno}.py{version.major}{version.minor}{sys.abiflags}.nbi"
    return path.parent / "__pycache__" / name


@contextmanager
def uncollected():
    """Without Python's search for cyclic garbage: it goes through all that numba has built, again and again.

    A quarter of the time that an edited strategy takes.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Linker:
    """Compiles entry points of a module of plain functions; the functions they reach only on a cache miss."""

    options: ClassVar = {"pipeline_class": Lean}  # of numba's decorators

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
        function = getattr(self.home[name], "py_func", self.home[name])  # an inner function may be compiled already
        try:
            with uncollected():
                try:
                    if index_of(function).exists():
                        return decorate(function)
                except numba.core.errors.TypingError:
                    pass
                except DAMAGE:
                    forget(self.home["__file__"])
                with compilation():
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
                try:
                    self.link(called)
                    self.home[called] = self.compiled(called)
                except BaseException:  # the next attempt must say the same
                    self.done.discard(called)
                    raise

    def compiled(self, name: str):
        """An inner function: at once for the types that it states, else for those of its first call."""
        types_text, function = signature(self.functions[name]), self.home[name]
        return jit(types_text, **self.options)(function) if types_text else numba.njit(error_model="numpy")(function)


OFF_ERROR = L.FRAME.fields["error"][1]
CTYPES = {"int": ctypes.c_int64, "float": ctypes.c_double, "bool": ctypes.c_bool, "None": None}


class Rare:
    """A function of the engine's that is compiled when compiled code first calls it.

    Callers read its machine address from a slot that has a symbol. At first that of a callback into Python lies there,
    which compiles the function and puts the function's own in its place. Its first argument is the frame.
    """

    def __init__(self, name: str, node: ast.FunctionDef, compiled: Callable[[], int]) -> None:
        self.compiled = compiled
        self.faults: dict[int, BaseException] = {}  # by thread: a callback cannot raise
        stated = [ast.unparse(a.annotation) for a in node.args.args if a.annotation]
        self.kind = ctypes.CFUNCTYPE(*(CTYPES[t] for t in (ast.unparse(node.returns or node), *stated)))
        self.callback = self.kind(self.first)
        self.slot = ctypes.c_void_p(ctypes.cast(self.callback, ctypes.c_void_p).value)
        self.symbol = f"kernelkit_slot_{name}_{build_id()}"
        binding.add_symbol(self.symbol, ctypes.addressof(self.slot))
        self.signature = numba.core.sigutils._parse_signature_string(signature(node))
        self.names = [a.arg for a in node.args.args]

    def first(self, frame, *arguments):
        """Compile it, and run it; what goes wrong is kept for `Engine.check`, and the trial ends with an error."""
        if threading.get_ident() not in self.faults:
            try:
                self.slot.value = self.compiled()
                return self.kind(self.slot.value)(frame, *arguments)
            except BaseException as error:  # noqa: BLE001
                self.faults[threading.get_ident()] = error
        ctypes.c_int64.from_address(frame + OFF_ERROR).value = L.RAISED
        return 0

    def call(self, function):
        """What calls it in compiled code."""
        symbol, result = self.symbol, self.signature.return_type

        def codegen(context, builder, _, arguments):
            wide = [builder.zext(a, ir.IntType(8)) if a.type == ir.IntType(1) else a for a in arguments]
            returned = ir.VoidType() if result == types.void else context.get_value_type(result)
            kind = ir.FunctionType(returned, [a.type for a in wide])
            slot = builder.module.globals.get(symbol) or ir.GlobalVariable(builder.module, I8, symbol)
            answer = builder.call(builder.inttoptr(builder.load(slot), kind.as_pointer()), wide)
            return context.get_dummy_value() if result == types.void else answer

        def through(typingctx, *arguments):
            return self.signature, codegen

        positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
        names = ("typingctx", *self.names)
        through.__signature__ = inspect.Signature([inspect.Parameter(n, positional) for n in names])
        called = intrinsic(through)
        called.py_func = function
        return called


class Strategy(Linker):
    """A strategy's module: only the decision, and the loop that it becomes part of, are compiled for it."""

    def link(self, name: str) -> None:
        """Take from the engine what strategies share."""
        for part in (*PARTS, *REACH):
            if part not in self.done and re.search(rf"\b{part}\(", self.text):
                self.home[part] = engine().part(part)
        self.done.update((*PARTS, *REACH))
        super().link(name)

    def compiled(self, name: str):
        """The user's code needs all of numba's pipeline; hooks (T6) are rarely called."""
        if name == "decide" or name.startswith(HOOK):
            return jit(signature(self.functions[name]), forceinline=name == "decide")(self.home[name])
        return super().compiled(name)


def keep(linker: Linker, name: str, types_text: str, **options) -> int:
    """Address of an entry point; its module keeps it, as machine code lives no longer than its owner."""
    kept = linker.home.setdefault("kept", {})
    if name not in kept:
        kept[name] = linker.load(name, cfunc(types_text, **options))
    return address(kept[name])


@cache
def model(text: str) -> int:
    """Machine address of a cost model: the address of a MODEL record in, a float64 out."""
    with LOCK:
        return keep(Linker(text, "model"), "entry", "float64(int64)")


def whole(stem: str) -> str:
    """A kernel module's text; where it takes functions from others, theirs before it: compiled code is one module."""
    here = Path(__file__).parent
    text = (here / f"{stem}.py").read_text()
    imports = [n.module.rpartition(".") for n in ast.parse(text).body if isinstance(n, ast.ImportFrom) and n.module]
    others = [other for home, _, other in imports if home == "kernelkit.kernels" and other not in NATIVE]
    if not others:
        return text
    parts = [node for name in (*others, stem) for node in bare((here / f"{name}.py").read_text()).body]
    return f"from kernelkit.kernels.machine import bits, unbits\n{ast.unparse(ast.Module(parts, []))}"


@cache
def kernel(stem: str, name: str, types_text: str):
    """A function of a kernel module that takes arrays, for Python to call."""
    with LOCK:
        return Linker(f"# {build_id()}\n{whole(stem)}", stem).load(name, entry_point(types_text))


# FRAME's functions of a portfolio, by the engine's names
SHARED = {"coast": "march", "meet": "meet_all", "ruin": "ruin", "match": "match", "twice": "twice"}
SHARED |= {"act": "act", "weigh": "weigh"}


@cache
def strategy(text: str, kinds: tuple[str, ...], shared: bool = False) -> tuple[dict[str, int], list[int]]:
    """What a strategy runs with: FRAME's machine addresses by field, and those of its indicators' kernels.

    `kinds` names the kernels, "" for an own indicator; with `shared` it is a portfolio's.
    """
    with LOCK:
        linker = Strategy(text, "strategy")
        if shared:
            frame = {"decide": keep(linker, "decide", "int64(int64)")}
            told = {"tell": "tell"} if "events_of(frame" in text else {}
            frame |= {field: engine().unit(name) for field, name in (SHARED | told).items()}
        else:
            frame = {"coast": keep(linker, "coast", "int64(int64)", **linker.options)}
            orders = [name for name, call in USES if call in text]
            frame |= {name: engine().unit(name) for name in ("meet", "ruin", *orders)}
        return frame, [
            engine().unit(kind) if kind else keep(linker, f"_own_{k}", KERNEL, **linker.options)
            for k, kind in enumerate(kinds)
        ]


def cfunc(types_text: str, **options):
    """numba's C function decorator, as everything here uses it."""
    return numba.cfunc(types_text, nopython=True, error_model="numpy", cache=True, **options)


def entry_point(types_text: str, **options):
    """numba's decorator for what Python calls."""
    return numba.njit(types_text, nogil=True, error_model="numpy", cache=True, **options)


@cache
def core() -> str:
    """The kernel modules, and what strategies share, as one module's text."""
    here = Path(__file__).parent
    tree = ast.Module([n for name in CORE for n in bare((here / f"{name}.py").read_text()).body], [])
    return f"# {build_id()}\n{PRELUDE}{ast.unparse(tree)}\n{''.join(TOOLS.values())}"


class Engine(Linker):
    """The compiled engine: `sweep` for Python to call, and functions that it and strategies reach by address.

    Those, and what strategies share, are compiled when the first of them is used.
    """

    def __init__(self) -> None:
        super().__init__(core(), "engine")
        self.units: dict[str, numba.core.ccallback.CFunc] = {}
        self.parts: dict[str, numba.core.dispatcher.Dispatcher] = {}
        self.rare = {n: Rare(n, self.functions[n], partial(self.unit, n)) for n in RARE}
        for name, rare in self.rare.items():
            self.home[name] = rare.call(self.home[name])
            self.done.add(name)
        for name in UNITS:
            types_text, symbol = signature(self.functions[name]), f"kernelkit_{name}_{build_id()}"
            binding.add_symbol(symbol, self.unit(name))
            self.home[name] = types.ExternalFunction(symbol, numba.core.sigutils._parse_signature_string(types_text))
            self.done.add(name)
        self.sweep = self.load("sweep", entry_point(signature(self.functions["sweep"]), **self.options))

    def unit(self, name: str) -> int:
        """Machine address of a function of the engine's."""
        with LOCK:
            if name not in self.units:
                self.units[name] = self.load(name, cfunc(signature(self.functions[name]), **self.options))
            return address(self.units[name])

    def check(self) -> None:
        """Raise what kept a rare function from being compiled in this thread's last call, whose results are void."""
        for rare in self.rare.values():
            fault = rare.faults.pop(threading.get_ident(), None)
            if fault is not None:
                raise fault

    def everything(self) -> None:
        """Compile, or find on the disk, all that any strategy could need of the engine."""
        rolling = (*ROLLING.values(), *BAR_ROLLING.values())
        units = {
            "flatten",
            "meet",
            "ruin",
            "log_curve",
            "close_out",
            "walk",
            "walk_all",
            "happen",
            "guard",
            "guard_all",
            "guard_each",
            "mark_each",
            "arrive",
            "finer",
            "finer_all",
            "judge",
            "join_rows",
            *SHARED.values(),
            *(unit for unit, _ in USES),
            *RARE,
        }
        for name in sorted(units):
            self.unit(name)
        for name in sorted({kind for r in rolling for kind in (r.price, r.other)}):
            self.unit(name)
        for name in (*PARTS, *REACH):
            self.part(name)

    def part(self, name: str):
        """A function that is compiled into strategies: kept on the disk, so that an edit does not compile it again."""
        if name not in self.parts:
            decorate = jit(signature(self.functions[name]), cache=True, **self.options)
            self.parts[name] = self.load(name, inner()(decorate))
        return self.parts[name]

    def compiled(self, name: str):
        """An inner function, without machine code of its own."""
        with inner():
            return super().compiled(name)


@cache
def _engine() -> Engine:
    return Engine()


def engine() -> Engine:
    """The engine of this process."""
    with LOCK:
        return _engine()
