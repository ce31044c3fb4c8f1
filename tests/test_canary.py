"""A canary for each internal of numba and llvmlite that the kernels need: what breaks one is told by name."""

from __future__ import annotations

import ast
import contextlib
import ctypes
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.registry import cpu_target

import kernelkit as kk
from kernelkit.kernels import cache, machine, memory
from kernelkit.kernels import compile as native
from kernelkit.kernels import layout as L

ROOT = Path(__file__).parents[1]
RECORD = np.dtype([("count", "i8"), ("price", "f8"), ("pair", "i8", (2,))])


@contextlib.contextmanager
def internal(name: str) -> Iterator[None]:
    """Whatever goes wrong inside is told as the internal that no longer does what it did."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  pytest.fail raises
        pytest.fail(f"numba {numba.__version__}: {name} no longer works as kernelkit/kernels needs it: {error!r}")


def test_memory__load_and_store():
    with internal("@intrinsic with builder.load, builder.store and inttoptr (i8, f8, put_i8, put_f8)"):
        i8, f8, put_i8, put_f8 = machine.i8, machine.f8, machine.put_i8, machine.put_f8

        @numba.njit
        def swap(a, b):
            whole, real = i8(a), f8(b)
            put_i8(a, whole + 1)
            put_f8(b, real * 2.0)
            return whole, real

        words, reals = np.array([-(2**62), 7]), np.array([0.1, -0.0])
        assert swap(words.ctypes.data, reals.ctypes.data) == (-(2**62), 0.1)
        assert words.tolist() == [-(2**62) + 1, 7]
        assert reals.tolist() == [0.2, 0.0]
        assert swap(words.ctypes.data + 8, reals.ctypes.data + 8) == (7, 0.0)


def test_memory__a_record_at_an_address():
    with internal("context.get_value_type of a Record as a typed pointer (at)"):
        at = machine.at

        @numba.njit
        def touch(address):
            r = at(address, RECORD)
            r.count += 2
            r.price = r.price + 0.5
            return r.count, r.price

        rows = np.zeros(2, RECORD)
        rows["price"] = 1.0, 2.0
        assert touch(rows.ctypes.data + RECORD.itemsize) == (2, 2.5)
        assert rows["count"].tolist() == [0, 2]
        assert rows["price"].tolist() == [1.0, 2.5]
        again = memory.at(rows.ctypes.data + RECORD.itemsize, RECORD)
        assert (again.count, again.price) == (2, 2.5)


def test_memory__bit_patterns():
    with internal("builder.bitcast between i64 and double (bits, unbits)"):
        bits, unbits = machine.bits, machine.unbits

        @numba.njit
        def both(x):
            return bits(x), unbits(bits(x))

        for value in (0.1, -0.0, np.inf, 5e-324):
            assert both(value) == (np.float64(value).view(np.int64), value)
        assert np.isnan(both(np.nan)[1])


@numba.cfunc("int64(int64)", nopython=True)
def doubled(x):
    return 2 * x


@numba.cfunc("float64(int64)", nopython=True)
def halved(x):
    return x / 2


@numba.cfunc("int64(int64, int64, int64, float64, float64, float64, float64, float64, float64)", nopython=True)
def weighed(frame, verb, tif, q, a, b, c, d, e):  # noqa: PLR0913  the engine's order entry
    return frame + 10 * verb + 100 * tif + int(q + 2 * a + 4 * b + 8 * c + 16 * d + 32 * e)


@numba.cfunc(native.KERNEL, nopython=True)
def noted(frame, slot, column, first, last, out, n):  # an indicator's kernel
    machine.put_i8(out, frame + 2 * slot + 4 * column + 8 * first + 16 * last + 32 * n)


@numba.cfunc("int64(int64, int64, float64)", nopython=True)
def aimed(frame, verb, wish):  # the entry point for targets
    return frame + 2 * verb + int(4.0 * wish)


def test_calls__by_address():
    with internal("builder.call of a function pointer (call, call_model, call_kernel, call_act, call_steer)"):
        call_kernel, word = machine.call_kernel, np.zeros(1, np.int64)

        @numba.njit
        def note(kernel, out):
            call_kernel(kernel, 1, 1, 1, 1, 1, out, 1)

        note(native.address(noted), word.ctypes.data)
        assert word[0] == 63
        call, call_model, call_act, call_steer = machine.call, machine.call_model, machine.call_act, machine.call_steer

        @numba.njit
        def go(whole, real, act):
            return call(whole, 21), call_model(real, 21), call_act(act, 1, 2, 3, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)

        assert go(native.address(doubled), native.address(halved), native.address(weighed)) == (42, 10.5, 384)

        @numba.njit
        def steered(steer):
            return call_steer(steer, 1, 2, 0.5)

        assert steered(native.address(aimed)) == 7


def test_hint__changes_no_value():
    with internal("cgutils.get_or_insert_function with llvm.expect.i1 (rarely)"):
        rarely = machine.rarely

        @numba.njit("int64(int64)")
        def above(x):
            if rarely(x > 3):
                return 1
            return 0

        assert [above(x) for x in (3, 4)] == [0, 1]


def test_hint__fetches_from_anywhere():
    with internal("cgutils.get_or_insert_function with llvm.prefetch.p0i8 (prefetch)"):
        prefetch = machine.prefetch

        @numba.njit
        def ask(address):
            prefetch(address)
            return address

        assert [ask(x) for x in (0, -8, 2**62, np.zeros(1).ctypes.data)][:3] == [0, -8, 2**62]
        assert "prefetch" in next(iter(ask.inspect_asm().values()))


def test_vector__four_floats_as_one_by_one():
    with internal("ir.VectorType, insert_element, fmul and fdiv at an alignment of 8 (scale_four)"):
        scale_four = machine.scale_four

        @numba.njit
        def scale(address, factor, divisor):
            scale_four(address, factor, divisor)

        rng = np.random.default_rng(1)
        for factor, divisor in ((0.01, 100.0), (1.0, 3.0), (1e300, 1e-300), (0.1, 0.0)):
            given = np.array([0.0, *rng.normal(0.0, 1e9, 4).round(), np.nan])
            once, alone = given.copy(), given.copy()
            scale(once.ctypes.data + 8, factor, divisor)
            with np.errstate(all="ignore"):
                memory.scale_four(alone.ctypes.data + 8, factor, divisor)
                given[1:5] = [(x * factor) / divisor for x in given[1:5]]
            assert once.tobytes() == alone.tobytes() == given.tobytes()


def test_decide__becomes_part_of_its_caller():
    with internal("njit(forceinline=True) (Strategy.compiled)"):

        def inner(x: int) -> int:
            total = 0
            for k in range(x):
                total += k ^ x
            return total

        compiled = native.jit("int64(int64)", forceinline=True)(inner)

        @numba.njit("int64(int64)")
        def outer(x):
            return compiled(x) + compiled(x + 1)

        assert outer(4) == inner(4) + inner(5)
        lines = next(iter(outer.inspect_asm().values())).splitlines()
        assert not [t for t in lines if t.strip().startswith("call") and "inner" in t]


def test_address__of_a_cfunc():
    with internal("CFunc.address (address)"):
        assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(native.address(doubled))(21) == 42


def test_jit__without_wrappers_at_a_lower_level():
    with internal("njit(no_cpython_wrapper=True, no_cfunc_wrapper=True) with config.OPT replaced (jit)"):
        level = numba.config.OPT

        def inner(x: int) -> int:
            return x + 1

        compiled = native.jit("int64(int64)")(inner)
        assert numba.config.OPT == level, "config.OPT was not put back"
        text = next(iter(compiled.inspect_llvm().values()))
        defined = [line for line in text.splitlines() if line.startswith("define")]
        assert defined
        assert not [line for line in defined if "cpython" in line or "cfunc" in line], "a wrapper was compiled"

        @numba.njit
        def outer(x):
            return 2 * compiled(x)

        assert outer(4) == 10


def test_inner__is_linked_without_machine_code_of_its_own():
    with internal("JITCodeLibrary in a codegen's _library_class, set_env replaced (Inner, inner)"):
        generator = cpu_target.target_context.codegen()

        def double(x: int) -> int:
            return 2 * x

        compiled = native.inner()(native.jit("int64(int64)"))(double)
        assert not {"_library_class", "set_env"} & set(vars(generator)), "the code generator was not put back"
        (result,) = compiled.overloads.values()
        assert isinstance(result.library, native.Inner)
        name = result.fndesc.llvm_func_name
        assert not generator._engine.is_symbol_defined(name), "machine code was made"

        @numba.njit
        def outer(x):
            return compiled(x) + 1

        assert outer(4) == 9


FRAMES = np.zeros(1, L.FRAME)


def rare(compile_it: Any) -> tuple[native.Rare, Any]:
    """A function that is compiled when compiled code first calls it, and such code."""
    text = "def half(frame: int, x: float, up: bool) -> float:\n    return 0.5 * x + (1.0 if up else 0.0)\n"
    names: dict[str, Any] = {}
    exec(text, names)
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.FunctionDef)
    function = numba.cfunc("float64(int64, float64, boolean)")
    found = native.Rare(f"canary_{id(node)}", node, lambda: compile_it(lambda: function(names["half"])))
    half = found.call(names["half"])
    assert half.py_func is names["half"]
    frame = FRAMES.ctypes.data

    @numba.njit("float64(float64, boolean)", nogil=True)
    def caller(x, up):
        return half(frame, x, up) + 1.0

    return found, caller


def test_rare__is_compiled_at_its_first_call():
    with internal("@intrinsic with a __signature__, a global by binding.add_symbol, a ctypes callback (Rare)"):
        made: list[Any] = []

        def compile_it(make: Any) -> int:
            made.append(make())
            return native.address(made[-1])

        found, caller = rare(compile_it)
        before = found.slot.value
        assert (caller(3.0, True), caller(3.0, False), caller(5.0, True)) == (3.5, 2.5, 4.5)
        assert len(made) == 1
        assert found.slot.value == native.address(made[0]) != before
        assert found.faults == {}


def test_rare__keeps_what_kept_it_from_being_compiled():
    tried: list[int] = []

    def compile_it(make: Any) -> int:
        tried.append(1)
        raise OSError("no space left on device")

    found, caller = rare(compile_it)
    FRAMES["error"] = 0
    assert caller(3.0, True) == caller(3.0, True) == 1.0
    assert tried == [1], "one attempt in one run is enough"
    assert FRAMES["error"][0] == L.RAISED
    assert [*found.faults] == [threading.get_ident()], "each thread has its own"
    assert isinstance(found.faults[threading.get_ident()], OSError)


def test_rare__what_went_wrong_in_a_run_is_raised_after_it(monkeypatch):
    ends = native.engine().rare["end_entry"]
    monkeypatch.setattr(ends, "compiled", lambda: 1 // 0)
    now, ends.slot.value = ends.slot.value, ctypes.cast(ends.callback, ctypes.c_void_p).value

    @kk.strategy
    def bracketed(ctx):
        if ctx.position == 0:
            ctx.bracket(1, stop_loss=0.02, take_profit=0.02)

    bars = kk.data.load("sp500_index")
    try:
        with pytest.raises(ZeroDivisionError):
            kk.backtest(bars, bracketed)
    finally:
        ends.slot.value = now
    monkeypatch.undo()
    assert int(kk.backtest(bars, bracketed)["n_trades"]) > 0


def test_inner__no_other_thread_compiles_meanwhile():
    with internal("compiler_lock.global_compiler_lock (inner, jit)"):
        seen: list[bool] = []

        def compile_something() -> None:
            seen.append(numba.njit("int64(int64)")(lambda x: x + 1)(1) == 2)

        other = threading.Thread(target=compile_something)
        with native.inner():
            other.start()
            other.join(1.0)
            assert other.is_alive(), "it has compiled with an inner function's library"
        other.join(60.0)
        assert seen == [True]


def test_error_model__of_numpy():
    with internal("error_model='numpy': a division by zero is inf, not an exception"):

        @numba.njit("float64(float64)", error_model="numpy")
        def reciprocal(x):
            return 1.0 / x

        assert reciprocal(0.0) == np.inf


def test_nogil__lets_other_threads_run():
    with internal("njit(nogil=True) releases the interpreter lock"):
        i8, put_i8 = machine.i8, machine.put_i8

        @numba.njit("int64(int64, int64, int64)", nogil=True)
        def until_told(flag, seen, limit):
            n = 0
            while i8(flag) == 0 and n < limit:
                n += 1
                put_i8(seen, n)  # or the load would be moved out of the loop
            return n

        words, found = np.zeros(2, np.int64), []
        flag, limit = words.ctypes.data, 1 << 34
        thread = threading.Thread(target=lambda: found.append(until_told(flag, flag + 8, limit)))
        thread.start()
        words[0] = 1
        thread.join()
        assert found[0] < limit, "this thread could not run beside it"


def test_errors__are_numba_errors():
    with internal("errors.NumbaError is the root of what the compiler raises (compile_errors)"):

        def impossible(x):
            return open(x)  # noqa: PTH123  nothing that compiles

        with pytest.raises(native.compile_errors()):
            numba.cfunc("int64(int64)", nopython=True)(impossible)


def test_exceptions__become_a_status():
    with internal("try/except inside a nopython cfunc"):

        @numba.cfunc("int64(int64)", nopython=True)
        def entry(x):
            try:
                if x > 3:
                    raise ValueError("too large")
            except Exception:  # noqa: BLE001  the only form that numba compiles
                return 4
            return 0

        call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(native.address(entry))
        assert (call(3), call(4)) == (0, 4)


def test_cpu__is_named():
    with internal("binding.get_host_cpu_name and get_host_cpu_features().flatten() (cpu)"):
        name, _, features = cache.cpu().partition(" ")
        assert name
        assert "+" in features
    assert len(cache.build_id()) == 16


# What a process does with three modules: one with a helper, one that calls the first by symbol, one that needs its
# callee compiled unless the disk cache has it.
CHILD = """
import json, sys
import numba
from llvmlite import binding
from numba import types
from kernelkit.kernels import cache
from kernelkit.kernels import compile as native

factor = sys.argv[1]
out = {}
first = cache.module(f'''
from numba import cfunc, njit
K = {factor}

@njit("int64(int64)")
def helper(x):
    return K * x

@cfunc("int64(int64)", nopython=True, cache=True)
def entry(x):
    return helper(x) + 1
''', "canary")
out["file"] = first.__name__
out["hit"] = first.entry.cache_hits
out["value"] = first.entry.ctypes(21)

symbol = "kernelkit_canary_" + first.__name__
binding.add_symbol(symbol, first.entry.address)
second = cache.module(f"# {symbol}\\ndef twice(x):\\n    return 2 * callee(x)\\n", "canary")
kind = numba.core.sigutils._parse_signature_string("int64(int64)")
second.callee = types.ExternalFunction(symbol, kind)
twice = numba.njit("int64(int64)", nogil=True, cache=True)(second.twice)
out["symbol_hit"], out["symbol"] = sum(twice.stats.cache_hits.values()), twice(21)

third = cache.module(f"def plain(x):\\n    return x\\n\\ndef lazy(x):\\n    return plain(x) + {factor}\\n", "canary")
decorate = lambda: numba.cfunc("int64(int64)", nopython=True, cache=True)(third.lazy)
try:
    lazy = decorate()
    out["refused"] = False
except numba.core.errors.TypingError:
    out["refused"] = True
    third.plain = numba.njit("int64(int64)")(third.plain)
    lazy = decorate()
out["lazy"] = lazy.ctypes(5)

kept = cache.module(f"def part(x):\\n    return {factor} * x\\n\\ndef caller(x):\\n    return part(x) + 1\\n", "canary")
listed = native.index_of(kept.part)
out["listed_before"] = listed.exists()
kept.part = native.jit("int64(int64)", cache=True)(kept.part)
out["listed"], out["part_hit"] = listed.exists(), sum(kept.part.stats.cache_hits.values())
out["part"] = numba.cfunc("int64(int64)", nopython=True)(kept.caller).ctypes(7)
print(json.dumps(out))
"""


def test_cache__is_hit_by_content_and_never_stale(tmp_path):
    """Three processes share a cache folder; the helper is edited before the third."""
    (tmp_path / "child.py").write_text(CHILD)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERNELKIT_CACHE": str(tmp_path / "cache")}

    def child(factor: int) -> dict[str, Any]:
        command = [sys.executable, "-W", "error", "child.py", str(factor)]
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        found: dict[str, Any] = json.loads(run.stdout)
        return found

    with internal("the disk cache of cfunc and njit, keyed by the file of a content-addressed module (module)"):
        new, again, edited = child(2), child(2), child(3)
        assert (new["hit"], again["hit"], edited["hit"]) == (0, 1, 0), "CFunc.cache_hits"
        assert new["file"] == again["file"] != edited["file"], "an edited helper must get a module of its own"
        assert (new["value"], again["value"], edited["value"]) == (43, 43, 64)
        files = {p.name for p in (tmp_path / "cache" / cache.build_id()).glob("canary_*.py")}
        assert {f"{new['file']}.py", f"{edited['file']}.py"} <= files
    with internal("ExternalFunction with binding.add_symbol, also from the disk cache (Engine)"):
        assert (new["symbol"], again["symbol"], edited["symbol"]) == (86, 86, 128)
        assert (new["symbol_hit"], again["symbol_hit"], edited["symbol_hit"]) == (0, 1, 0)
    with internal("TypingError for a callee that is not compiled, unless the disk cache has the caller (Engine.load)"):
        assert (new["refused"], again["refused"], edited["refused"]) == (True, False, True)
        assert (new["lazy"], again["lazy"], edited["lazy"]) == (7, 7, 8)

    with internal("njit(cache=True) without wrappers, linked into a caller, also from the disk cache (Engine.part)"):
        assert (new["listed_before"], again["listed_before"], edited["listed_before"]) == (False, True, False)
        assert (new["listed"], again["listed"], edited["listed"]) == (True, True, True)
        assert (new["part_hit"], again["part_hit"], edited["part_hit"]) == (0, 1, 0)
        assert (new["part"], again["part"], edited["part"]) == (15, 15, 22)


def test_internal__names_what_failed():
    with (
        pytest.raises(pytest.fail.Exception, match=r"numba .*: CFunc\.address no longer works"),
        internal("CFunc.address"),
    ):
        raise AttributeError("address")


def test_no_two_functions_of_the_engine_have_one_name() -> None:
    """Its modules are compiled as one: a second one would silently take the place of the first."""
    import ast
    from collections import Counter
    from pathlib import Path

    import kernelkit.kernels
    from kernelkit.kernels.compile import CORE

    folder = Path(kernelkit.kernels.__file__).parent
    trees = [ast.parse((folder / f"{name}.py").read_text()) for name in CORE]
    names = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef))
    assert [name for name, n in names.items() if n > 1] == []
