"""What compiled code would pass over in silence is refused with its line, or raised as in Python."""

from __future__ import annotations

import ast
import linecache
import math
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.errors import StrategyError
from kernelkit.kernels.flow import unassigned

BARS = kk.data.load("sp500_index").isel(time=slice(0, 120))
QUARTER, THREE = np.float64(0.25), np.int64(3)
LIMIT = 0.5  # the engine has a constant of this name too


def first_unset(body: str) -> int | None:
    tree = ast.parse("def f(a, b):\n" + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")).body[0]
    assert isinstance(tree, ast.FunctionDef)
    found = unassigned(tree)
    return None if found is None else found.lineno - 1


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("x = 1\ny = x", None),
        ("if a:\n    x = 1\ny = x", 3),
        ("if a:\n    x = 1\nelse:\n    x = 2\ny = x", None),
        ("if a:\n    return\nelse:\n    x = 2\ny = x", None),
        ("if a:\n    raise ValueError\nelif b:\n    x = 2\ny = x", 5),
        ("x += 1", 1),
        ("y = y + 1", 1),
        ("for k in range(3):\n    x = k\ny = x + k", None),
        ("for k in range(a):\n    x = k\n    z = x\ny = x", 4),
        ("for k in range(a):\n    pass\ny = k", 3),
        ("for k in range(3):\n    if a:\n        continue\n    x = k\ny = x", 5),
        ("for k in range(3):\n    if a:\n        break\n    x = k\ny = x", 5),
        ("for k in range(3):\n    if k:\n        y = x\n    x = k", 3),
        ("while a:\n    x = 1\ny = x", 3),
        ("while True:\n    x = 1\n    if a:\n        break\ny = x", None),
        ("while True:\n    if a:\n        break\n    x = 1\ny = x", 5),
        ("for k in range(a):\n    x = 1\n    break\nelse:\n    x = 2\ny = x", None),
        ("a = a + 1\nreturn a", None),
        ("x, y = 1, 2\nz = x + y", None),
        ("x: int\ny = x", 2),
    ],
)
def test_a_variable_without_a_value(body: str, line: int | None) -> None:
    assert first_unset(body) == line


def test_a_strategy_that_reads_it_is_refused_compiled_and_raises_in_debug_mode() -> None:
    @kk.strategy
    def half(ctx):  # type: ignore[no-untyped-def]
        if ctx.i % 2 == 0:
            w = 1.0
        ctx.target_percent(w)

    with pytest.raises(StrategyError, match=r"in half: a variable that may have no value here cannot be compiled: `w`"):
        kk.backtest(BARS, half)
    odd = BARS.isel(time=slice(1, None))
    with pytest.raises(UnboundLocalError):
        kk.backtest(odd, half, debug=True)


def helper(a: float) -> float:
    if a > 0.0:
        x = a
    return x


def test_so_is_one_whose_helper_does() -> None:
    @kk.strategy
    def helped(ctx):  # type: ignore[no-untyped-def]
        ctx.target_percent(helper(1.0))

    with pytest.raises(StrategyError, match=r"in helper: a variable that may have no value here"):
        kk.backtest(BARS, helped)


@kk.strategy
def no_step(ctx, n=0):  # type: ignore[no-untyped-def]
    total = 0.0
    for k in range(0, 10, n):
        total += k
    ctx.target_percent(total)


@kk.strategy
def no_item(ctx, n=5):  # type: ignore[no-untyped-def]
    pair = (1.0, 2.0)
    ctx.target_percent(pair[n])


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(("strategy", "error"), [(no_step, ValueError), (no_item, IndexError)])
def test_an_exception_that_no_raise_announces(strategy: Any, error: type[Exception], debug: bool) -> None:
    with pytest.raises(error):
        kk.backtest(BARS, strategy, debug=debug)


@pytest.mark.parametrize("call", ["np.zeros(3)[0]", "np.random.random()", "np.array((1.0, 2.0))[0]"])
def test_arrays_and_numpys_random_numbers_are_refused(call: str, tmp_path: Any) -> None:
    """Bounds of arrays are not checked in compiled code; random numbers would differ between whole and resumed runs."""
    text = f"import numpy as np\nimport kernelkit as kk\n\n@kk.strategy\ndef f(ctx):\n    ctx.target_percent({call})\n"
    names = from_file(tmp_path / "own.py", text)
    with pytest.raises(StrategyError, match="line 6, in f: a function of more than numbers cannot be compiled"):
        kk.backtest(BARS, names["f"])


def test_powers_are_pythons() -> None:
    @kk.strategy
    def powers(ctx, n=2, m=-1):  # type: ignore[no-untyped-def]
        x = n
        x **= m
        ctx.record("a", n**m)
        ctx.record("b", x)
        ctx.record("c", n**3)
        ctx.record("d", ctx.close[0] ** 0.5)
        ctx.record("e", n**-2)

    res = kk.backtest(BARS, powers)
    assert [res[name].values[0] for name in "abce"] == [0.5, 0.5, 8.0, 0.25]
    assert res["d"].values.tolist() == np.sqrt(BARS["close"].values[:, 0]).tolist()


@kk.strategy
def once(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 1:
        ctx.buy(2.0)


def fee_of(function: Callable[..., float], *values: float) -> float:
    return float(kk.backtest(BARS, once, venue=kk.Venue("own", fees=kk.cost_model(function)(*values)))["fees"])


def test_a_model_names_its_parameters_and_variables_as_it_likes() -> None:
    def model(m, model=0.5, f8=1.0, STOP=2.0):  # type: ignore[no-untyped-def]
        MARKET = model * f8 * STOP
        return MARKET

    assert fee_of(model) == 1.0


def test_a_model_may_use_math_and_numpy() -> None:
    def model(m, a=4.0):  # type: ignore[no-untyped-def]
        return math.sqrt(a) + np.log(1.0) + max(0.0, -a)

    assert fee_of(model) == 2.0


def test_a_model_sees_no_global() -> None:
    def model(m):  # type: ignore[no-untyped-def]
        return LIMIT * m.price

    with pytest.raises(StrategyError, match=r"in model: it captures `LIMIT`, a float.* Make it a parameter"):
        fee_of(model)


def test_a_models_own_names_are_not_those_of_the_module() -> None:
    def model(m, price=1.0):  # type: ignore[no-untyped-def]
        LIMIT = price
        return LIMIT

    assert fee_of(model) == 1.0


def test_a_model_without_a_value_or_with_an_index_out_of_range() -> None:
    def unset(m):  # type: ignore[no-untyped-def]
        if m.price < 0.0:
            x = 1.0
        return x

    def beyond(m):  # type: ignore[no-untyped-def]
        pair = (1.0, 2.0)
        return pair[int(m.quantity)]

    with pytest.raises(StrategyError, match="in unset: a variable that may have no value here: `x`"):
        fee_of(unset)
    with pytest.raises(IndexError):
        fee_of(beyond)


def from_file(path: Path, text: str) -> dict[str, Any]:
    path.write_text(textwrap.dedent(text))
    names: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return names


def test_globals_in_the_place_of_pythons_own_functions(tmp_path: Path) -> None:
    """The engine's own text calls `abs` too."""
    text = """
        import kernelkit as kk

        def abs(x):
            return 0.0

        @kk.strategy
        def f(ctx):
            ctx.target_percent(abs(1.0))
    """
    with pytest.raises(StrategyError, match="a global called `abs` cannot be compiled"):
        kk.backtest(BARS, from_file(tmp_path / "own.py", text)["f"])


def test_two_indicators_of_one_name(tmp_path: Path) -> None:
    text = """
        import kernelkit as kk

        @kk.indicator
        def same(s, x):
            return x

        first = same

        @kk.indicator
        def same(s, x):
            return 2.0 * x

        second = same

        @kk.strategy
        def f(ctx):
            ctx.record("a", first(ctx.close))
            ctx.record("b", second(ctx.close))
    """
    with pytest.raises(StrategyError, match="in f: two indicators defined as `same`"):
        from_file(tmp_path / "own.py", text)


def test_a_helper_whose_file_was_edited_but_not_loaded_again(tmp_path: Path) -> None:
    """Python runs the old one. So does compiled code that has read it; what it has not read it cannot know any more."""
    path = tmp_path / "own.py"
    text = """
        import kernelkit as kk

        def weight(x, k=1.0):
            return x * 0.5

        def make(w):
            def inner(x):
                return x * w
            return inner

        double = make(2.0)

        @kk.strategy
        def f(ctx):
            ctx.target_percent(double(weight(0.5)))
    """
    module = from_file(path, text)
    before = kk.backtest(BARS, module["f"])
    weight, path_of_f = module["weight"], path.with_name("f.py")
    path.write_text(textwrap.dedent(text).replace("x * 0.5", "x * 0.25"))
    linecache.checkcache()
    after = kk.backtest(BARS, module["f"])
    assert float(after["final_equity"]) == float(before["final_equity"]) != 100_000.0
    unread = FunctionType(weight.__code__, {}, "weight", weight.__defaults__)
    late = from_file(path_of_f, "def f(ctx):\n    ctx.target_percent(weight(0.5))\n")["f"]
    late.__globals__["weight"] = unread
    with pytest.raises(StrategyError, match=r"source of weight: found a text in .*own.py that has changed"):
        kk.backtest(BARS, kk.strategy(late))


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("line", ["ctx.i % every", "ctx.i // every", "half(ctx.i, every)", "beat(ctx.close, every)"])
def test_whole_numbers_divided_by_zero(line: str, debug: bool, tmp_path: Path) -> None:
    """In the strategy, in a helper, in an own indicator; guarded by a condition it is fine."""
    text = f"""
        import kernelkit as kk

        def half(a, b):
            a %= b
            return a

        @kk.indicator(state=dict(n=0))
        def beat(s, x, every):
            s.n += 1
            return float(s.n // every)

        @kk.strategy
        def f(ctx, every=0):
            if {line} == 0:
                ctx.target(1.0)

        @kk.strategy
        def guarded(ctx, every=0):
            if every != 0 and ctx.i % every == 0:
                ctx.target(1.0)
        """
    names = from_file(tmp_path / "strategies.py", text)
    with pytest.raises(ZeroDivisionError):
        kk.backtest(BARS, names["f"], debug=debug)
    assert float(kk.backtest(BARS, names["f"], {"every": 7}, debug=debug)["n_fills"]) >= 1.0
    assert float(kk.backtest(BARS, names["guarded"], debug=debug)["n_fills"]) == 0.0


def test_a_helpers_default_is_what_it_was_when_defined(tmp_path: Path) -> None:
    text = """
        import kernelkit as kk

        K = 0.5

        def share(x, k=K):
            return k * x

        K = 0.1

        @kk.strategy
        def f(ctx):
            ctx.record("v", share(1.0))
        """
    names = from_file(tmp_path / "strategies.py", text)
    for debug in (False, True):
        assert kk.backtest(BARS, names["f"], debug=debug)["v"].values[-1] == 0.5


@pytest.mark.parametrize("warmup", [-1, "x", 2.5, lambda p: math.nan])
def test_a_warmup_that_is_no_number_of_bars(warmup: Any) -> None:
    @kk.strategy(warmup=warmup)
    def f(ctx):  # type: ignore[no-untyped-def]
        pass

    with pytest.raises(StrategyError, match=r"warmup of f: found .*, wanted a number of bars, 0 or more"):
        kk.backtest(BARS, f)


@pytest.mark.parametrize(
    "line",
    [
        "s.n += 0.5",
        "s.n = ctx.close[0]",
        "s.n = max(s.n, ctx.high.max(5)[-1])",
        "s.n = ctx.i / 2",
        "s.n = 1 if ctx.i > 3 else ctx.position",
        "x = rate * 2\n            y = x\n            s.n = y",
        "s.n = s.last[0]",
        "s.n = ctx.atr(3)",
    ],
)
def test_a_fraction_for_a_whole_number_of_state(line: str, tmp_path: Path) -> None:
    text = f"""
        import kernelkit as kk

        @kk.strategy(state=dict(n=0, last=kk.ring(3)))
        def f(ctx, s, rate=0.5):
            {line}
        """
    with pytest.raises(StrategyError, match=r"`n` was declared as a whole number.* Declare state=dict\(n=0\.0\)"):
        from_file(tmp_path / "strategies.py", text)


def test_whole_numbers_of_state_are_left_alone(tmp_path: Path) -> None:
    text = """
        import kernelkit as kk

        @kk.indicator(state=dict(seen=0))
        def age(s, x):
            s.seen += 1
            return float(s.seen)

        @kk.strategy(state=dict(n=0, up=False))
        def f(ctx, s, k=3):
            s.n = max(s.n, ctx.i // k) + int(ctx.close[0] > 0.0)
            s.n = ctx.buy(1.0) if ctx.orders == 0 else ctx.i
            s.up = age(ctx.close) > 2.0
        """
    assert float(kk.backtest(BARS, from_file(tmp_path / "strategies.py", text)["f"])["n_fills"]) > 1.0


def test_what_is_captured_counts_as_it_is_at_the_call(tmp_path: Path) -> None:
    """A number, a helper, its own captures and its default, an indicator: each change is seen by the next backtest."""
    text = """
        import kernelkit as kk

        size, factor = 1.0, 1.0

        def scaled(x, by=1.0):
            return x * by * factor

        @kk.indicator
        def one(s, x):
            return 1.0

        level = one

        @kk.indicator
        def two(s, x):
            return 2.0

        @kk.strategy
        def f(ctx):
            ctx.target(scaled(size) * level(ctx.close))
    """
    names = from_file(tmp_path / "own.py", text)

    def held() -> float:
        return float(kk.backtest(BARS, names["f"])["position"][-1])

    assert held() == 1.0
    names["size"] = 2.0
    assert held() == 2.0
    names["factor"] = 3.0
    assert held() == 6.0
    names["scaled"].__defaults__ = (5.0,)
    assert held() == 30.0
    names["level"] = names["two"]
    assert held() == 60.0
    names["scaled"] = math.fabs
    assert held() == 4.0
    names["size"] = 1
    assert held() == 2.0


@pytest.mark.parametrize("name", ["value", "i", "column", "first", "last", "out", "slot", "c", "frame", "_a0", "total"])
def test_an_own_indicators_argument_may_have_any_name(name: str, tmp_path: Path) -> None:
    text = f"""
        import kernelkit as kk

        @kk.indicator(state=dict(e=0.0))
        def decay(s, x, {name}):
            s.e += {name} * (x - s.e)
            if s.e < 0.0:
                raise ValueError
            return s.e

        @kk.strategy
        def f(ctx, rate=0.5):
            ctx.record("e", decay(ctx.close, rate))
    """
    f = from_file(tmp_path / "own.py", text)["f"]
    compiled, python = (kk.backtest(BARS, f, debug=debug)["e"].values for debug in (False, True))
    np.testing.assert_array_equal(compiled, python)
    assert np.isfinite(compiled).all()


@pytest.mark.parametrize("name", ["fair_value", "fair_update", "fair_guarded", "own_0", "_own_fair_value", "_own_0"])
def test_a_helper_may_be_called_like_what_is_generated(name: str, tmp_path: Path) -> None:
    text = f"""
        import kernelkit as kk

        def {name}(a, b):
            return 2.0 * a * b

        @kk.indicator
        def fair(s, x):
            return 3.0 * x

        @kk.strategy
        def f(ctx):
            ctx.record("helped", {name}(ctx.close[0], 1.0))
            ctx.record("fair", fair(ctx.close))
    """
    res = kk.backtest(BARS, from_file(tmp_path / "own.py", text)["f"])
    close = BARS["close"].values[:, 0]
    np.testing.assert_array_equal(res["helped"].values, 2.0 * close)
    np.testing.assert_array_equal(res["fair"].values, 3.0 * close)


def test_a_helper_that_was_reloaded_in_place(tmp_path: Path) -> None:
    """What IPython's autoreload does: the same function object, other code."""
    text = """
        import kernelkit as kk

        def weight(x):
            return x * 0.5

        @kk.strategy
        def f(ctx):
            ctx.target(weight(100.0))
    """
    names = from_file(tmp_path / "own.py", text)
    assert float(kk.backtest(BARS, names["f"])["position"][-1]) == 50.0
    known = names["f"].identity
    again = from_file(tmp_path / "other.py", text.replace("x * 0.5", "x * 0.25"))
    names["weight"].__code__ = again["weight"].__code__
    assert float(kk.backtest(BARS, names["f"])["position"][-1]) == 25.0
    assert names["f"].identity != known


def test_a_table_that_a_warm_up_reads_is_a_part_of_what_it_is(tmp_path: Path) -> None:
    text = """
        import kernelkit as kk

        NEED = {5: 10, 7: [14]}

        @kk.strategy(warmup=lambda p: max(NEED[k] for k in (p.n,)))
        def f(ctx, n=5):
            ctx.target(1.0)
    """
    one, same = (from_file(tmp_path / name, text)["f"].identity for name in ("own.py", "own.py"))
    other = from_file(tmp_path / "other.py", text.replace("5: 10", "5: 11"))["f"].identity
    deeper = from_file(tmp_path / "deeper.py", text.replace("NEED[k] for", "NEED[k] + 1 for"))["f"].identity
    assert one == same
    assert len({one, other, deeper}) == 3


def test_numpys_numbers_are_numbers() -> None:
    """As default, as state, as a bound value: never read as the integer of their bits."""

    @kk.strategy(state=dict(bias=QUARTER))
    def theirs(ctx, s, rate=QUARTER, n=THREE):
        ctx.target_percent(rate + s.bias if ctx.i % n else 0.0)

    @kk.strategy(state=dict(bias=0.25))
    def ours(ctx, s, rate=0.25, n=3):
        ctx.target_percent(rate + s.bias if ctx.i % n else 0.0)

    for params in ({}, {"rate": np.float64(0.5)}):
        a, b, c = (
            kk.backtest(BARS, f, params, debug=debug) for f, debug in ((theirs, False), (ours, False), (theirs, True))
        )
        assert float(a["final_equity"]) == float(b["final_equity"]) == float(c["final_equity"])
        assert float(a["n_fills"]) > 10.0


@pytest.mark.parametrize(("inner", "outer"), [("-0.0", "0.0"), ("1", "1.0"), ("True", "1")])
def test_equal_numbers_that_are_not_the_same(inner: str, outer: str, tmp_path: Path) -> None:
    helper = from_file(tmp_path / "helper.py", f"K = {inner}\ndef h(x):\n    return x * K\n")["h"]
    text = f"K = {outer}\ndef f(ctx):\n    ctx.target(h(1.0) + K)\n"
    f = from_file(tmp_path / "f.py", text)["f"]
    f.__globals__["h"] = helper
    with pytest.raises(StrategyError, match="two different values are called `K`"):
        kk.strategy(f)
