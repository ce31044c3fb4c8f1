"""Every misuse of strategies and backtests is answered with what was found, wanted and to be done, and where."""

from __future__ import annotations

import linecache
import math
import re
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError, LookaheadError, OrderError, StrategyError, UsageError
from kernelkit.kernels.context import INSTEAD

CELLS = count()


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def bars() -> xr.Dataset:
    out: xr.Dataset = kk.data.load("sp500_index").isel(time=slice(0, 120))
    return out


def define(text: str, **names: Any) -> Any:
    """What a notebook cell with this text leaves behind as `f`; the cell's file is called cell.py."""
    file = f"<cell.py {next(CELLS)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    space = {"kk": kk, "np": np, "math": math, **names}
    exec(compile(text, file, "exec"), space)
    return space["f"]


@kk.indicator
def grow(s: Any, x: float, k: float) -> float:
    return k * x


PLAIN = "@kk.strategy\ndef f(ctx, n=5):\n    pass\n    {}\n"
STATE = "@kk.strategy(state=dict(a=0.0, b=0, on=False, w=kk.ring(3)))\ndef f(ctx, s, n=5):\n    pass\n    {}\n"

DEFINITIONS = [
    # what, the line that is wrong (the fourth of its cell), and what the error says
    (PLAIN, "y = ctx.positon", "ctx has no `positon`: `ctx.positon`. Did you mean ctx.position."),
    (PLAIN, "ctx.by(1.0)", "ctx has no `by`: `ctx.by(1.0)`|Did you mean ctx.buy."),
    (PLAIN, "y = ctx.zzzzzz", "ctx has no `zzzzzz`: |Ctx has time, i, position"),
    (PLAIN, "b = ctx.buy", "ctx.buy is a method|Call it: ctx.buy(...)."),
    (PLAIN, "b = ctx.atr", "ctx.atr is a method|Call it: ctx.atr(...)."),
    (PLAIN, "y = ctx.x", "ctx.x is not a value|Write ctx.x.name[0]."),
    (PLAIN, "y = ctx.x.mood", "a feature is a series|Write ctx.x.mood[0]"),
    (PLAIN, "y = ctx.size", "ctx.size is not a value|ctx.size.risk(...)"),
    (PLAIN, "y = ctx.size.foo(1)", "ctx.size has no `foo`|There are risk, notional, vol_target."),
    (PLAIN, "ctx.cash = 3.0", "ctx.cash is read-only|Orders change the account"),
    (PLAIN, "ctx.cash += 3.0", "ctx.cash is read-only"),
    (PLAIN, "c = ctx", "`ctx` cannot be stored or passed on as a value|Use its attributes directly."),
    (PLAIN, "n = 3", "parameter `n` is read-only|Use another name."),
    (PLAIN, "n += 3", "parameter `n` is read-only"),
    (PLAIN, "for n in range(3): pass", "parameter `n` is read-only"),
    (PLAIN, "y = ctx.close", "ctx.close is a series|Write ctx.close[0] for the bar that has just closed"),
    (PLAIN, "y = ctx.close.smaa", "a series has no such attribute|sma, sum, ema"),
    (PLAIN, "y = ctx.close.smaa(5)", "no indicator `smaa`|There are sma, sum, ema"),
    (PLAIN, "y = ctx.close[1]", "lookahead: index 1 is a bar that has not happened|-1 the one before."),
    (PLAIN, "y = ctx.close[0:3]", "a slice of the past|Use a rolling indicator, or a for loop over [-k]."),
    (PLAIN, "y = ctx.close[-1.5]", "index -1.5|Write a whole number of bars."),
    (PLAIN, "ctx.close[0] = 1.0", "a series is read-only|Keep own values in declared state."),
    (PLAIN, "ctx.close[0] += 1.0", "a series is read-only"),
    (PLAIN, "for k in range(3): y = ctx.close.sma(5)", "an indicator inside a loop|Call it once, outside the loop."),
    (PLAIN, "while ctx.close.sma(5) > 0: pass", "an indicator inside a loop"),
    (PLAIN, "y = ctx.close.sma(ctx.i)", "an indicator's argument must be a parameter or a constant: `ctx.i`"),
    (PLAIN, "y = ctx.close.sma(n + 1)", "an indicator's argument must be a parameter or a constant: `n + 1`"),
    (PLAIN, "y = ctx.close.sma(0)", "a window that is not a positive whole number of bars: `0`|Write 20"),
    (PLAIN, "y = ctx.close.sma(2.5)", "a window that is not a positive whole number of bars: `2.5`"),
    (PLAIN, "y = ctx.close.sma(True)", "a window that is not a positive whole number of bars: `True`"),
    (PLAIN, "y = ctx.close.sma(n=5)", "an indicator takes its arguments by position"),
    (PLAIN, "y = ctx.close.sma(5, 6)", "this indicator takes one argument, found 2"),
    (PLAIN, "y = ctx.close.sma(5)[-2]", "an indicator remembers its present and previous value|in a kk.ring."),
    (PLAIN, "y = ctx.close.sma(5)[ctx.i]", "an indicator remembers its present and previous value"),
    (PLAIN, "y = ctx.size.vol_target(0.1, ctx.i)", "an indicator's argument must be a parameter or a constant"),
    (
        PLAIN,
        "ctx.limit(1.0)",
        "argument `price` is missing|The arguments are quantity, price, tif, expires, reduce_only, post_only, display.",
    ),
    (PLAIN, "ctx.limit(1.0, 2.0, 'GTC', 3)", "at most 3 arguments|They are quantity, price, tif."),
    (
        PLAIN,
        "ctx.limit(1.0, quantity=2.0, price=3.0)",
        "argument `quantity`|The arguments are quantity, price, tif, expires, reduce_only, post_only, display.",
    ),
    (PLAIN, "ctx.limit(1.0, 2.0, ctx.i)", "time in force must be a literal|One of 'GTC', 'DAY', 'GTD', 'IOC', 'FOK'"),
    (PLAIN, "ctx.limit(1.0, 2.0, tif='GTX')", "'GTX' as time in force of `limit`|One of 'GTC', 'DAY', 'GTD', 'IOC'"),
    (PLAIN, "ctx.stop(1.0, 2.0, tif='AT_OPEN')", "'AT_OPEN' as time in force of `stop`|'IOC', 'FOK'."),
    (PLAIN, "ctx.limit(1.0, 2.0, tif='GTD')", "an order good till a date without one|Pass expires=, in ns."),
    (PLAIN, "ctx.limit(1.0, 2.0, tif='DAY', expires=9)", "expires= of an order that is DAY|Leave tif= out."),
    (PLAIN, "ctx.limit(1.0, 2.0, post_only=ctx.i)", "post_only must be a literal|One of True, False."),
    (PLAIN, "ctx.limit(1.0, 2.0, reduce_only=1)", "reduce_only must be a literal|True or False."),
    (
        PLAIN,
        "ctx.limit(1.0, 2.0, tif='IOC', post_only=True)",
        "post_only of an order that does not rest|'GTC', 'DAY', 'GTD'.",
    ),
    (
        PLAIN,
        "ctx.limit(1.0, 2.0, tif='AT_OPEN', display=1.0)",
        "display of an order that does not rest|'GTC', 'DAY', 'GTD'.",
    ),
    (PLAIN, "ctx.stop(1.0, 2.0, post_only=True)", "argument `post_only`|The arguments are quantity, price, tif"),
    (PLAIN, "ctx.market_on_close(1.0, tif='DAY')", "argument `tif`|The arguments are quantity, reduce_only."),
    (PLAIN, "ctx.replace(1)", "a replacement of nothing|Pass quantity=, price= or trigger=."),
    (PLAIN, "ctx.trailing_stop(1.0, trail=1.0, fraction=0.1)", "a trailing stop trails by one distance"),
    (PLAIN, "ctx.trailing_stop(1.0)", "trails by one distance|Pass one of trail=, ticks=, fraction= or bps=."),
    (PLAIN, "ctx.trailing_stop_limit(1.0, trail=1.0)", "argument `offset` is missing"),
    (PLAIN, "ctx.bracket(1.0, stop=1.0, stop_loss=0.1)", "both stop= and stop_loss=|as a price or as a fraction."),
    (
        PLAIN,
        "ctx.bracket(1.0, stop=1.0, post_only=True)",
        "post_only of a bracket that enters at the market|Pass entry=",
    ),
    (PLAIN, "ctx.bracket(1.0, display=1.0)", "display of a bracket that enters at the market|Pass entry="),
    (PLAIN, "ctx.bracket(1.0, entry=1.0, tif='IOC', display=1.0)", "display of an order that does not rest|'GTD'."),
    (PLAIN, "ctx.bracket(1.0, tif='GTD')", "an order good till a date without one|Pass expires=, in ns."),
    (PLAIN, "ctx.bracket(1.0, reduce_only=True)", "argument `reduce_only`|The arguments are quantity, stop, limit"),
    (PLAIN, "ctx.record('a b', 1.0)", "the name of a record must be a literal identifier|Write ctx.record("),
    (PLAIN, "ctx.record(n, 1.0)", "the name of a record must be a literal identifier"),
    (PLAIN, "ctx.record('equity', 1.0)", "a result has its own `equity`|Record it by another name."),
    (PLAIN, "ctx.record('sharpe_ratio', 1.0)", "a result has its own `sharpe_ratio`"),
    (PLAIN, "ctx.record('n', 1.0)", "a result has its own `n`"),
    (PLAIN, "y = grow(ctx.close)", "after the series `grow` takes 1, found 0|Pass what its function takes"),
    (PLAIN, "y = grow(ctx.close, 1.0, 2.0)", "after the series `grow` takes 1, found 2"),
    (PLAIN, "y = grow(ctx.close, k=1.0)", "an indicator takes its arguments by position"),
    (PLAIN, "y = grow(n, 1.0)", "an indicator's first argument is a series|Write grow(ctx.close, ...)"),
    (STATE, "s.zz = 1.0", "state `zz` is not declared|Declare it: state=dict(zz=0.0)."),
    (STATE, "y = s.zz", "state `zz` is not declared"),
    (STATE, "s.zz += 1", "state `zz` is not declared"),
    (STATE, "y = s", "`s` cannot be stored or passed on as a value"),
    (STATE, "s.a, s.b = 1.0, 2", "`a` is state|Set it by itself: s.a = value."),
    (STATE, "s.a = s.b = 1", "`a` is state|Set it by itself"),
    (STATE, "s.a: float = 1.0", "`a` is state|Set it by itself"),
    (STATE, "for s.b in range(3): pass", "`b` is state|Set it by itself"),
    (STATE, "y = s.w + 1.0", "`w` is a ring|Write s.w[0], [-1], .push(value) or .count."),
    (STATE, "s.w = 1.0", "`w` is a ring|Write s.w.push(value)."),
    (STATE, "s.w[0] = 1.0", "`w` cannot be set by index|Write s.w.push(value)."),
    (STATE, "y = s.w[0:2]", "a slice of the past"),
    (STATE, "y = s.w[1]", "lookahead: index 1"),
    (STATE, "y = s.a[0]", "`a` is a number, not a ring|Write s.a."),
    (STATE, "s.w.pop()", "no such operation on state|Rings have .push(value)"),
    (STATE, "s.a.push(1.0)", "no such operation on state"),
]


def says(error: pytest.ExceptionInfo[BaseException], wanted: str) -> None:
    for piece in wanted.split("|"):
        assert piece in str(error.value), str(error.value)


@pytest.mark.parametrize(("cell", "line", "wanted"), DEFINITIONS, ids=[d[1] for d in DEFINITIONS])
def test_definitions(cell: str, line: str, wanted: str) -> None:
    with pytest.raises(StrategyError) as caught:
        define(cell.format(line), grow=grow)
    assert re.match(r"<cell\.py \d+>, line 4, in f: ", str(caught.value)), str(caught.value)
    says(caught, wanted)


def test_a_line_deep_in_a_file() -> None:
    """Decorators, blank lines and indentation before it do not move the number."""
    text = "\n\nx = 1\nif x:\n    @kk.strategy(\n        warmup=3,\n    )\n    def f(ctx):\n        if ctx.i > 3:\n"
    text += "\n            y = ctx.cloze[0]\n"
    with pytest.raises(StrategyError, match=r"line 11, in f: .*Did you mean ctx.close"):
        define(text)


# Python that only debug mode takes: one line for each entry of INSTEAD.
CANNOT = {
    "Try": "try: y = 1\n    except ValueError: y = 2",
    "TryStar": "try: y = 1\n    except* ValueError: y = 2",
    "With": "with open('x') as y: pass",
    "Lambda": "y = lambda: 1.0",
    "ListComp": "y = [k for k in range(3)]",
    "SetComp": "y = {k for k in range(3)}",
    "DictComp": "y = {k: k for k in range(3)}",
    "GeneratorExp": "y = sum(k for k in range(3))",
    "Dict": "y = {1: 2}",
    "Set": "y = {1, 2}",
    "List": "y = [1.0]",
    "JoinedStr": "y = f'{n}'",
    "Global": "global zz",
    "Nonlocal": "nonlocal zz",
    "Yield": "yield 1.0",
    "YieldFrom": "yield from range(3)",
    "Await": "await n",
    "ClassDef": "class K: pass",
    "FunctionDef": "def g(): return 1.0",
    "AsyncFunctionDef": "async def g(): return 1.0",
    "NamedExpr": "y = (z := 1.0)",
    "Starred": "y = max(*(1.0, 2.0))",
    "Import": "import os",
    "ImportFrom": "from os import path",
    "Delete": "y = 1.0; del y",
}
# Nonlocal and await need a function around them to be Python at all.
WRAPPED = {
    "Nonlocal": "def outer(zz=1):\n\n    @kk.strategy\n    def f(ctx, n=5):\n        nonlocal zz\n    return f\n"
    "f = outer()\n",
    "Await": "@kk.strategy\ndef f(ctx, n=5):\n    pass\n    async def g(): await n\n",
}


def test_every_instead_is_tried() -> None:
    assert {kind.__name__ for kind in INSTEAD} == set(CANNOT)


@pytest.mark.parametrize("kind", CANNOT)
def test_python_that_cannot_be_compiled(bars: xr.Dataset, kind: str) -> None:
    """It can be defined; a backtest refuses it with its line and the way out, a run too; debug mode takes it."""
    f = define(WRAPPED.get(kind) or PLAIN.format(CANNOT[kind]))
    for attempt in (kk.backtest, kk.start):
        with pytest.raises(StrategyError) as caught:
            attempt(bars, f)
        found = "AsyncFunctionDef" if kind == "Await" else kind
        line = 5 if kind == "Nonlocal" else 4
        assert re.match(rf"<cell\.py \d+>, line {line}, in f: {found} cannot be compiled: ", str(caught.value))
        instead = {k.__name__: text for k, text in INSTEAD.items()}[found]
        says(caught, f"{instead[1:]}, or run with debug=True.")


def test_debug_accepts_what_cannot_be_compiled(bars: xr.Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    f = define(
        "@kk.strategy\ndef f(ctx, n=5):\n    seen = [ctx.close[-k] for k in range(n)]\n    try:\n"
        "        print(f'{ctx.i}: {max(seen)}')\n    finally:\n"
        "        ctx.target_percent(1.0 if seen[0] > ctx.close.sma(n) else 0.0)\n"
    )
    with pytest.raises(StrategyError, match="line 3, in f: ListComp cannot be compiled"):
        kk.backtest(bars, f)
    res = kk.backtest(bars, f, debug=True)
    plain = define(
        "@kk.strategy(warmup=4)\ndef f(ctx, n=5):\n"
        "    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)\n"
    )
    assert float(res["final_equity"]) == float(kk.backtest(bars, plain)["final_equity"])
    assert capsys.readouterr().out.startswith("4: 12")


def test_debug_takes_the_text_that_is_bound(bars: xr.Dataset) -> None:
    f = define("@kk.strategy\ndef f(ctx, side='buy'):\n    ctx.target_percent(1.0 if side == 'buy' else -1.0)\n")
    for side in ("buy", "sell"):
        one, other = (kk.backtest(bars, f, {"side": side}, debug=debug) for debug in (False, True))
        assert float(one["final_equity"]) == float(other["final_equity"])
        assert (float(one["position"][-1]) > 0.0) == (side == "buy")


UNCOMPILABLE = {
    "an unknown name": (
        "y = nowhere + 1.0",
        "line 4: cannot be compiled: `y = nowhere + 1.0`. NameError: name 'nowhere'",
    ),
    "an attribute of a number": (
        "y = n; z = y.foo",
        "line 4: cannot be compiled: `z = y.foo`. Unknown attribute 'foo'",
    ),
    "two types": ("y = 1.0 if n > 3 else 'a'; ctx.order(y)", "cannot be compiled: "),
    "a file": ("y = open('x').read()", "line 4: cannot be compiled: "),
}


@pytest.mark.parametrize("case", UNCOMPILABLE)
def test_what_the_compiler_refuses_names_the_users_line(bars: xr.Dataset, case: str) -> None:
    line, wanted = UNCOMPILABLE[case]
    f = define(PLAIN.format(line))
    for attempt in (kk.backtest, kk.start):
        with pytest.raises(StrategyError) as caught:
            attempt(bars, f)
        assert str(caught.value).startswith("f, line 4: cannot be compiled: ") or "two types" in case, str(caught.value)
        says(caught, wanted + "|debug=True")
        assert "/" not in str(caught.value).partition("`. ")[2]  # no path of ours


def test_helpers_and_indicators_name_their_own_lines(bars: xr.Dataset) -> None:
    helper = "def h(y):\n    return nowhere * y\n@kk.strategy\ndef f(ctx):\n    ctx.record('v', h(3.0))\n"
    with pytest.raises(StrategyError, match=r"line 2: cannot be compiled: `return nowhere \* y`"):
        kk.backtest(bars, define(helper))
    inside = "def h(ctx):\n    return ctx.close.sma(5)\n@kk.strategy\ndef f(ctx):\n    ctx.record('v', h(ctx))\n"
    with pytest.raises(StrategyError, match=r"line 2, in h: an indicator inside a helper function"):
        define(inside)
    own = "@kk.indicator(state=dict(e=0.0))\ndef g(s, x):\n    s.q += x\n    return s.q\nf = g\n"
    with pytest.raises(StrategyError, match=r"line 3, in g: state `q` is not declared"):
        define(own)


CAPTURES = [
    (
        "ctx.order(A[ctx.i])",
        {"A": np.zeros(3)},
        "it captures `A`, a ndarray: `A`. Only numbers, math, numpy and functions",
    ),
    ("ctx.order(A[0])", {"A": [1.0]}, "it captures `A`, a list"),
    ("ctx.order(A.x)", {"A": pd.DataFrame()}, "it captures `A`, a DataFrame|enter with kk.feature"),
    ("ctx.order(A.x)", {"A": pd}, "it captures `A`, a module"),
]


@pytest.mark.parametrize(("line", "names", "wanted"), CAPTURES, ids=["array", "list", "frame", "module"])
def test_captures(line: str, names: dict[str, Any], wanted: str) -> None:
    with pytest.raises(StrategyError) as caught:
        define(PLAIN.format(line), **names)
    assert re.match(r"<cell\.py \d+>, line 4, in f: ", str(caught.value))
    says(caught, wanted)


def test_two_values_of_one_name() -> None:
    """A helper of another module sees its own `A`: compiled together they must not be confused."""
    h = define("def f(x):\n    return A * x\n", A=2.0)
    with pytest.raises(StrategyError, match="two different values are called `A`"):
        define("@kk.strategy\ndef f(ctx):\n    ctx.order(h(A))\n", A=3.0, h=h)
    assert define("@kk.strategy\ndef f(ctx):\n    ctx.order(h(A))\n", A=2.0, h=h).name == "f"


@pytest.mark.parametrize(
    "name", ["rsi", "std", "ema", "past", "frame", "record", "at", "_s", "_i", "_v7", "RESTART", "np", "NAN"]
)
def test_any_name_may_be_used(bars: xr.Dataset, name: str) -> None:
    """Names that compiled code uses itself do not meet the user's."""
    body = "    ctx.record('z', {0} + ctx.close.std(n) + ctx.volume.ema(n) + ctx.close[-1])\n"
    own = define(f"@kk.strategy\ndef f(ctx, n=5):\n    {name} = ctx.close.rsi(n)\n" + body.format(name))
    plain = define("@kk.strategy\ndef f(ctx, n=5):\n    y = ctx.close.rsi(n)\n" + body.format("y"))
    expected = kk.backtest(bars, plain)["z"].values
    np.testing.assert_array_equal(kk.backtest(bars, own)["z"].values, expected)
    captured = define(
        f"{name} = 2.0\n@kk.strategy\ndef f(ctx, n=5):\n    y = ctx.close.rsi(n)\n    y = y + {name} - 2.0\n"
        + body.format("y")
    )
    np.testing.assert_array_equal(kk.backtest(bars, captured)["z"].values, expected)
    assert np.isfinite(expected).sum() > 100


def test_a_helper_under_another_name(bars: xr.Dataset) -> None:
    h = define("def f(ctx, y=2.0):\n    past = ctx.close[-1] * y\n    return past\n")
    f = define(
        "@kk.strategy\ndef f(ctx):\n    ctx.record('z', twice(ctx, y=2.0) - twice(ctx))\n"
        "    ctx.record('v', twice(ctx))\n",
        twice=h,
    )
    res = kk.backtest(bars, f)
    assert (res["z"].values == 0.0).all()
    np.testing.assert_array_equal(res["v"].values, 2.0 * bars["close"].values[:-1, 0])


def test_an_indicator_captures_what_a_strategy_may(bars: xr.Dataset) -> None:
    f = define(
        "BASE = 2.0\ndef scaled(x):\n    return x / BASE\n@kk.indicator(state=dict(e=0.0))\ndef root(s, x, std):\n"
        "    s.e += math.sqrt(scaled(x)) * std\n    return s.e\n"
        "@kk.strategy\ndef f(ctx, k=0.5):\n    ctx.record('v', root(ctx.close, k))\n"
    )
    expected = np.cumsum(np.sqrt(bars["close"].values[:, 0] / 2.0) * 0.5)
    np.testing.assert_allclose(kk.backtest(bars, f)["v"].values, expected, rtol=1e-14)
    np.testing.assert_allclose(kk.backtest(bars, f, debug=True)["v"].values, expected, rtol=1e-14)


FORMS = [
    ("@kk.strategy\ndef f():\n    pass\n", "found 0 parameters, wanted at least 1"),
    (
        "@kk.strategy(state=dict(a=0.0))\ndef f(ctx):\n    pass\n",
        "wanted at least 2. The first is ctx, with state the second is s.",
    ),
    (
        "@kk.strategy(state=dict(n=0))\ndef f(ctx, fast=5):\n    pass\n",
        "found the parameter fast=5 second, wanted the argument that state is read from. Write f(ctx, s, ...).",
    ),
    ("@kk.strategy\ndef f(ctx, *rest):\n    pass\n", "found *rest, wanted named parameters"),
    ("@kk.strategy\ndef f(ctx, **rest):\n    pass\n", "found **rest, wanted named parameters"),
    ("@kk.strategy(state=dict(a=[1]))\ndef f(ctx, s):\n    pass\n", "state 'a' of f: found list, wanted a number"),
    ("f = kk.strategy(lambda ctx: None)\n", "wanted a function written with def"),
    ("f = kk.strategy(len)\n", "source of len: found none, wanted a function defined in a cell or a file"),
    ("f = kk.ring(0)\n", "ring: found 0, wanted a positive number of values"),
    ("f = kk.ring(True)\n", "ring: found True"),
    ("@kk.indicator\ndef f(x):\n    return x\n", "wanted (s, x, ...)"),
    ("@kk.indicator\ndef f(s, x):\n    return\n", "found a bare return, wanted a value"),
    ("@kk.signal\ndef f():\n    return 1\n", "found no parameters, wanted (ds, ...)"),
    ("f = kk.signal(units='shares')(lambda ds: ds)\n", "units of a signal: found shares"),
    ("@kk.cost_model\ndef f(m):\n    return m.nope\n", "line 3, in f: a model's view has no `nope`|It has time, side"),
    ("@kk.cost_model\ndef f():\n    return 1.0\n", "found 0 parameters, wanted m and at most"),
]


@pytest.mark.parametrize(("cell", "wanted"), FORMS)
def test_forms(cell: str, wanted: str) -> None:
    with pytest.raises(StrategyError) as caught:
        define(cell)
    says(caught, wanted)


CALLS: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    (
        "an unknown parameter",
        {"params": {"zz": 3}},
        UsageError,
        "parameter 'zz' of f: found zz, wanted one of n, x, flag, text",
    ),
    (
        "no value",
        {"params": {"n": None}},
        UsageError,
        "parameter 'n': found None (NoneType), wanted an int, float, bool or str",
    ),
    ("an array", {"params": {"x": kk.fixed([1.0])}}, UsageError, "found [1.0] (list)|arrays enter with kk.feature"),
    ("text for a number", {"params": {"x": "a"}}, UsageError, "found values of types float, str, wanted one type"),
    ("a bool for a window", {"params": {"n": True}}, UsageError, "values of types bool, int"),
    ("a window of 0", {"params": {"n": 0}}, UsageError, "parameter 'n': found 0, wanted a positive window"),
    ("a negative window", {"grid": {"n": [4, -5]}}, UsageError, "parameter 'n': found -5, wanted a positive window"),
    (
        "a float window",
        {"params": {"n": 5.0}},
        StrategyError,
        "a window that is not a positive whole number of bars: `n`",
    ),
    ("an empty axis", {"grid": {"n": []}}, UsageError, "axis 'n': found no values, wanted at least one"),
    ("a value twice", {"grid": {"n": [3, 3]}}, UsageError, "axis 'n': found repeated values"),
    (
        "a label that equals none",
        {"grid": {"n": [3, float("nan")]}},
        UsageError,
        "axis 'n': found NaN, wanted values that can be selected",
    ),
    ("a text axis", {"grid": {"text": ["a", "b"]}}, UsageError, "Text parameters are compiled in"),
    ("where: no expression", {"grid": {"n": [3, 4]}, "where": "n <"}, UsageError, "where='n <': found invalid syntax"),
    (
        "where: unknown",
        {"grid": {"n": [3, 4]}, "where": "m < 3"},
        UsageError,
        "name 'm' is not defined, wanted a condition on",
    ),
    ("where: builtins", {"grid": {"n": [3, 4]}, "where": "open('x')"}, UsageError, "name 'open' is not defined"),
    ("where: types", {"grid": {"n": [3, 4]}, "where": "text < 3"}, UsageError, "text='a', n=3|fast < slow"),
    (
        "where: nothing",
        {"grid": {"n": [3, 4]}, "where": "n < 3"},
        UsageError,
        "found no cell left, wanted at least one",
    ),
    ("where: by zero", {"grid": {"n": [3, 4]}, "where": "1 / (n - 3) > 0"}, UsageError, "found division by zero"),
    (
        "a grid beyond memory",
        {"grid": {"n": range(1, 10_001), "x": range(10_001)}},
        UsageError,
        "grid: found 10000 x 10001 = 100,010,000 combinations, wanted at most 10,000,000. Take coarser steps",
    ),
    ("where: number", {"grid": {"n": [3, 4]}, "where": 3}, UsageError, "where: found 3, wanted text or a function"),
    (
        "where: function",
        {"grid": {"n": [3]}, "where": lambda n: True},
        UsageError,
        "a function takes all of them by name",
    ),
    ("no time", {"start": "foo"}, UsageError, "start and end: found 'foo'"),
    (
        "no span",
        {"start": "2000-01-01", "end": "1999-02-01"},
        UsageError,
        "found 2000-01-01 ... 1999-02-01, wanted a span inside 1999",
    ),
    ("too late", {"start": "2030"}, UsageError, "wanted a span inside 1999-01-04"),
    ("no bar left", {"params": {"n": 400}}, UsageError, "found 120 bars up to the end, 399 needed for warm-up"),
    (
        "an output",
        {"outputs": ("nope",)},
        UsageError,
        "outputs: found nope, wanted any of metrics, blocks, curves, or final_equity",
    ),
    (
        "a fill model",
        {"fill_model": "touch"},
        OrderError,
        "found 'touch', wanted a kk.FillModel or the name of one. Names are conservative,",
    ),
    ("no fill model", {"fill_model": []}, OrderError, "found an empty list, wanted at least one. Name one"),
    (
        "a fill model twice",
        {"fill_model": ["conservative", kk.FillModel()]},
        OrderError,
        "found conservative twice, wanted different fill models. Name each once.",
    ),
    ("a venue", {"venue": "us"}, OrderError, "venue: found 'us', wanted a kk.Venue"),
    ("an account", {"account": 10_000}, OrderError, "account: found 10000, wanted a kk.Account"),
]


@pytest.fixture(scope="module")
def windowed() -> Any:
    return define(
        "@kk.strategy\ndef f(ctx, n=5, x=2.0, flag=True, text='a'):\n    ctx.record('v', ctx.close.max(n))\n"
        "    ctx.target_percent(1.0)\n"
    )


@pytest.mark.parametrize(("arguments", "error", "wanted"), [c[1:] for c in CALLS], ids=[c[0] for c in CALLS])
def test_calls(bars: xr.Dataset, windowed: Any, arguments: dict[str, Any], error: type[Exception], wanted: str) -> None:
    with pytest.raises(error) as caught:
        kk.backtest(bars, windowed, **arguments)
    says(caught, wanted)


def test_what_is_no_strategy_and_no_bars(bars: xr.Dataset, windowed: Any) -> None:
    def bare(ctx: Any) -> None: ...

    for arguments, error, wanted in (
        ((bars, bare), StrategyError, "strategy bare: found function, wanted a @kk.strategy or @kk.signal"),
        ((np.zeros(3), windowed), DataError, "bars: found ndarray, wanted a Dataset(time, asset) from kk.data"),
        ((bars.drop_vars("tick"), windowed), DataError, "bars: found no tick"),
        ((bars.drop_attrs(), windowed), DataError, "bars: found no periods_per_year"),
        (
            (bars, define(PLAIN.format("y = ctx.x.mood[0]"))),
            DataError,
            "feature 'mood': found features none|kk.feature(bars, 'mood'",
        ),
        (
            (bars, define("@kk.strategy\ndef f(ctx, n):\n    ctx.order(ctx.close.sma(n))\n")),
            UsageError,
            "parameter 'n' of f: found no value",
        ),
    ):
        with pytest.raises(error) as caught:
            kk.backtest(*arguments)
        says(caught, wanted)


@pytest.mark.parametrize("make", [kk.strategy, kk.portfolio, kk.signal, kk.indicator, kk.cost_model])
def test_what_is_no_function_at_all(make: Callable[..., Any], windowed: Any) -> None:
    for found in (5, None, kk.Account()):
        if found is None and make is not kk.cost_model:  # a decorator without arguments
            continue
        with pytest.raises(StrategyError) as caught:
            make(found)
        says(caught, f"argument of a decorator: found {found!r}, wanted a function written with def. Put it above a")
    if make is not kk.portfolio:
        with pytest.raises(StrategyError, match="argument of a decorator: found <strategy f"):
            make(windowed)


def test_a_function_as_argument_is_made_as_the_decorator_makes_it(bars: xr.Dataset) -> None:
    def counts(ctx, s):  # type: ignore[no-untyped-def]
        s.n += 1.0
        ctx.record("n", s.n)

    def doubled(s, x):  # type: ignore[no-untyped-def]
        s.n += 2.0
        return s.n

    for make in (kk.strategy, kk.portfolio):
        made = make(counts, state=dict(n=0.0), warmup=3)
        assert made.state == {"n": 0.0}
        assert made.warmup == 3
        assert kk.backtest(bars, made)["n"].values.tolist() == [float(k) for k in range(1, 118)]
    assert kk.indicator(doubled, state=dict(n=0.0)).state == {"n": 0.0}


@pytest.mark.parametrize("show", [kk.fills, kk.orders, kk.trades, kk.actions, kk.compliance, kk.save, kk.why])
def test_what_is_no_result(show: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="result: found NoneType, wanted the Dataset of a backtest"):
        show(None, *([1] if show in (kk.save, kk.why) else []))


@pytest.mark.parametrize(
    ("sel", "wanted"),
    [
        (dict(foo=1), "dim of the result: found foo, wanted one of n. Keywords choose the trial, as res.sel does."),
        (dict(n=77), "n of the result: found 77, wanted one of 5, 6. Choose one of res['n']."),
        (dict(n="x"), "n of the result: found 'x', wanted one of 5, 6."),
    ],
)
def test_a_trial_that_is_not_there(bars: xr.Dataset, windowed: Any, sel: dict[str, Any], wanted: str) -> None:
    res = kk.backtest(bars, windowed, grid={"n": [5, 6]})
    for show in (kk.compliance, lambda res, **sel: kk.why(res, 1, **sel)):
        with pytest.raises(UsageError) as caught:
            show(res, **sel)
        says(caught, wanted)
    with pytest.raises(UsageError, match="found n, wanted none, as one trial is left"):
        kk.compliance(res.isel(n=0), n=5)


@pytest.mark.parametrize(
    "use",
    [
        lambda bars: kk.data.with_symbols(bars, pd.DataFrame()),
        lambda bars: kk.data.with_actions(bars, pd.DataFrame()),
        lambda bars: kk.data.with_universe(bars, pd.DataFrame()),
        lambda bars: kk.data.symbols_of(bars),
        lambda bars: kk.feature(bars, "mood", pd.Series()),
    ],
)
def test_what_is_no_dataset(use: Callable[[Any], Any]) -> None:
    with pytest.raises(DataError, match=r"bars: found NoneType, wanted a Dataset\(time, asset\) from kk.data"):
        use(None)


ARGUMENTS = [
    (
        lambda bars, f: kk.backtest(bars, f, cash=1e6),
        "kk.backtest: found the argument cash|account=kk.Account(cash=...).",
    ),
    (lambda bars, f: kk.backtest(bars, f, limits=None), "found the argument limits|account=kk.Account(limits=...)."),
    (lambda bars, f: kk.backtest(bars, f, fees=0.1), "found the argument fees|Write venue=kk.Venue(fees=...)."),
    (lambda bars, f: kk.backtest(bars, f, strat=1), "the argument strat, wanted one of bars, |Did you mean start?"),
    (lambda bars, f: kk.backtest(bars, f, qqqq=1), "the argument qqqq|help(kk.backtest) says what each is for."),
    (lambda bars, f: kk.backtest(bars), "kk.backtest: found no strategy, wanted strategy=."),
    (lambda bars, f: kk.backtest(bars, f, {}, {}), "found too many arguments without a name, wanted at most 3: bars, "),
    (lambda bars, f: kk.backtest(bars, f, strategy=f), "kk.backtest: found strategy twice, wanted it once."),
    (lambda bars, f: kk.FillModel(stop="open"), "kk.FillModel: found the argument stop|Did you mean stop_gap?"),
    (
        lambda bars, f: kk.walk_forward(bars, f, finer=bars),
        "kk.walk_forward: found the argument finer|Only kk.backtest",
    ),
    (lambda bars, f: kk.start(bars, f, finer=bars), "kk.start: found the argument finer|Only kk.backtest"),
    (
        lambda bars, f: kk.Account(leverage=2.0),
        "kk.Account: found the argument leverage|limits=kk.Limits(leverage=...).",
    ),
    (lambda bars, f: kk.Venue(fee=0.1), "kk.Venue: found the argument fee|Did you mean fees?"),
    (lambda bars, f: kk.Outage("2020-01-01"), "kk.Outage: found no end, wanted end=."),
    (lambda bars, f: kk.orders(bars, histroy=True), "kk.orders: found the argument histroy|Did you mean history?"),
]


@pytest.mark.parametrize(("call", "wanted"), ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_arguments_that_do_not_fit(bars: xr.Dataset, call: Callable[..., Any], wanted: str) -> None:
    with pytest.raises(UsageError) as caught:
        call(bars, define(PLAIN.format("ctx.buy(1.0)")))
    says(caught, wanted)


def test_a_type_error_of_what_is_called_is_its_own() -> None:
    @kk.errors.arguments()
    def called(step: Any) -> list[int]:
        return list(range(0, 10, step))

    with pytest.raises(TypeError, match="as an integer") as caught:
        called("two")
    assert not isinstance(caught.value, UsageError)


def test_settings() -> None:
    makers: list[tuple[Callable[[], Any], str]] = [
        (lambda: kk.Account(cash=0.0), "cash of the account: found 0.0, wanted a positive amount"),
        (lambda: kk.Account(cash=float("nan")), "cash of the account: found nan"),
        (lambda: kk.Account(cash=True), "cash of the account: found True"),
        (
            lambda: kk.Venue(cash_rule="maybe"),
            "cash_rule of the venue: found maybe, wanted one of reduce, reject, debt",
        ),
        (lambda: kk.Venue(1), "name of the venue: found 1, wanted text"),
        (
            lambda: kk.Venue(instruments={1: kk.Instrument()}),
            "instruments of the venue: found one for 1, wanted the name of an asset",
        ),
        (lambda: kk.Venue(instruments={"": kk.Instrument()}), "instruments of the venue: found one for ''"),
        (lambda: kk.Venue(fees=0.001), "fees of the venue: found 0.001, wanted a cost model"),
        (
            lambda: kk.Venue(slippage=kk.slippage.fraction),
            "found the function fraction, wanted a cost model. Call it with its numbers: slippage=fraction(...);",
        ),
        (lambda: kk.Venue(band=1.0), "band of the venue: found 1.0"),
        (
            lambda: kk.Venue(participation=0.0),
            "participation of the venue: found 0.0, wanted a fraction of a bar's volume in (0, 1]",
        ),
        (lambda: kk.FillModel(limit="cross"), "limit of the fill model: found cross, wanted one of through, touch"),
        (lambda: kk.FillModel(close_out="now"), "close_out of the fill model: found now"),
        (lambda: kk.FillModel(path="open_high_low_close"), "path of the fill model: found open_high_low_close"),
        (
            lambda: kk.FillModel(stop_gap="worst"),
            "stop_gap of the fill model: found worst, wanted one of open, trigger",
        ),
        (
            lambda: kk.FillModel(path="low_first", stop_gap="close"),
            "stop_gap of the fill model: found close, wanted open with path=low_first. Rule F12 says why.",
        ),
        (
            lambda: kk.FillModel(path="close", market="next_close", close_out="last_open"),
            "close_out of the fill model: found last_open, wanted none or last_close with path=close.",
        ),
    ]
    for make, wanted in makers:
        with pytest.raises(OrderError) as caught:
            make()
        says(caught, wanted)
    with pytest.raises(StrategyError, match=r"rate of fraction: found inf, wanted a finite number"):
        kk.fees.fraction(float("inf"))


def test_lookahead_by_a_computed_index(bars: xr.Dataset) -> None:
    f = define("@kk.strategy\ndef f(ctx, n=5):\n    ctx.record('v', ctx.close[-n + ctx.i])\n")
    with pytest.raises(LookaheadError) as caught:
        kk.backtest(bars, f)
    says(caught, "f, bar 6 (1999-01-12T00:00:00): found index [1], wanted 0 for the present bar")


@pytest.mark.parametrize("debug", [False, True])
def test_an_exception_comes_with_the_users_traceback(bars: xr.Dataset, debug: bool) -> None:
    text = "def deep(x):\n    if x == 17:\n        raise ValueError('boom')\n    return x\n"
    text += "@kk.strategy\ndef f(ctx):\n    ctx.record('v', deep(ctx.i) * 1.0)\n"
    with pytest.raises(ValueError, match="boom") as caught:
        kk.backtest(bars, define(text), debug=debug)
    entry = caught.traceback[-1]
    assert (entry.name, entry.lineno + 1) == ("deep", 3)
    assert any(e.name == "f" and e.lineno + 1 == 7 for e in caught.traceback)
    if not debug:
        assert caught.value.__notes__ == ["f, bar 17 (1999-01-28T00:00:00)"]


def test_an_assertion_and_an_own_indicator_raise(bars: xr.Dataset) -> None:
    with pytest.raises(AssertionError, match="never"):
        kk.backtest(bars, define("@kk.strategy\ndef f(ctx):\n    assert ctx.i < 30, 'never'\n"))
    text = "@kk.indicator(state=dict(e=0.0))\ndef g(s, x):\n    if x > {0}:\n        raise ValueError('ind boom')\n"
    text += "    s.e += x\n    return s.e\n"
    text += "@kk.strategy\ndef f(ctx, k=0.1):\n    ctx.record('v', g(ctx.close))\n"
    top = float(bars["close"].values[:60].max())
    with pytest.raises(ValueError, match="ind boom") as caught:
        kk.backtest(bars, define(text.format(top)))
    first = int(np.flatnonzero(bars["close"].values[:, 0] > top)[0])
    assert caught.value.__notes__[0].startswith(f"f, bar {first} (")
    assert caught.traceback[-1].name == "g"


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("series", "most", "asked", "first"),
    [
        ("ctx[1].close", 20, "True", 25),  # asset 1 has its first bar five bars later
        ("ctx[1].close", 20, "ctx.i == 40", 40),  # long after it raised
        ("ctx[1].tf('1W').close", 3, "True", 27),
        ("ctx[1].tf('1W').close", 3, "ctx.i == 40", 40),
    ],
)
def test_an_own_indicator_of_a_portfolio_raises(series: str, most: int, asked: str, first: int, debug: bool) -> None:
    days = pd.date_range("2024-01-01", periods=60)
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), 50.0), index=days)
    frames = {"A": frame, "B": frame.iloc[5:]}
    bars = kk.data.from_pandas(frames, label="open", bar="1D", calendar="24/7", tick_size=0.01)
    text = f"@kk.indicator(state=dict(n=0))\ndef g(s, x):\n    s.n += 1\n    if s.n > {most}:\n"
    text += "        raise ValueError('ind boom')\n    return x\n"
    text += f"@kk.portfolio(warmup=0)\ndef f(ctx):\n    if {asked}:\n        ctx.record('v', g({series}))\n"
    with pytest.raises(ValueError, match="ind boom") as caught:
        kk.backtest(bars, define(text), debug=debug)
    assert caught.traceback[-1].name == "g"
    if not debug:
        assert caught.value.__notes__[0].startswith(f"f, bar {first} (")


def test_too_many_orders_in_one_decision(bars: xr.Dataset) -> None:
    f = define("@kk.strategy\ndef f(ctx):\n    for k in range(200):\n        ctx.limit(1.0, 1.0)\n")
    with pytest.raises(OrderError, match=r"bar 0 .*: found more than 64 new orders in one decision, wanted at most 64"):
        kk.backtest(bars, f)


def test_participation_needs_volume() -> None:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 30)).copy(deep=True)
    bars["volume"][7:9] = np.nan
    venue = kk.Venue("v", participation=0.1)

    @kk.strategy
    def hold(ctx):
        ctx.target(1.0)

    for call in (kk.backtest, kk.start):
        with pytest.raises(DataError, match="volume of SPX: found unknown in 2 of 30 bars, wanted the volume of every"):
            call(bars, hold, venue=venue)
    run = kk.start(bars.isel(time=slice(0, 5)), hold, venue=venue)
    with pytest.raises(DataError, match="volume of SPX"):
        run.feed(bars)
    assert run.bars == 5


def test_a_loop_that_waits_ends_with_the_first_thing_that_goes_wrong() -> None:
    def many(ctx):
        ctx.limit(1.0, 1.0)

    @kk.strategy
    def orders(ctx):
        while ctx.orders < 1000:
            many(ctx)

    @kk.strategy
    def future(ctx, ahead=1):
        while not ctx.close[ahead] > 0.0:
            pass

    def settled(ctx, x):
        while True:
            x *= 0.5
            if x < 1.0:
                return x

    def scaled(a, ctx):
        return a * ctx.close[0] / ctx.equity

    def room(x, ctx=None):
        return x - ctx.position

    @kk.strategy
    def careless(ctx):
        ctx.target(room(2.0, ctx) + room(1.0))

    @kk.strategy(state=dict(a=0.0))
    def through(ctx, s):
        s.a = settled(ctx, ctx.close[0])
        ctx.target(scaled(s.a, ctx) * 1e3)

    bars = kk.data.load("sp500_index").isel(time=slice(0, 10))
    with pytest.raises(StrategyError, match=r"a default for `ctx` cannot be compiled: `None`\. Always pass it"):
        kk.backtest(bars, careless)
    ends = [kk.backtest(bars, through, debug=debug)["equity"].values.tobytes() for debug in (False, True)]
    assert ends[0] == ends[1]
    for debug in (False, True):
        with pytest.raises(OrderError, match=r"bar 0 .*: found more than 64 new orders"):
            kk.backtest(bars, orders, debug=debug)
        with pytest.raises(LookaheadError, match=r"bar 0.*found index \[1\]"):
            kk.backtest(bars, future, debug=debug)


@kk.strategy
def trade(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 5:
        ctx.order(10.0)


def model(body: str) -> Callable[[], Any]:
    factory: Callable[[], Any] = define("from math import sqrt\n@kk.cost_model\ndef f(m):\n    " + body + "\n")
    return factory


@pytest.mark.parametrize("slot", ["fees", "slippage"])
@pytest.mark.parametrize(
    "body",
    [
        "return float('nan')",
        "return float('inf')",
        "return -1e400",
        "return (m.price - m.price) / (m.quantity - m.quantity)",
    ],
)
def test_c6_a_model_that_does_not_answer_with_a_number(bars: xr.Dataset, slot: str, body: str) -> None:
    with pytest.raises(OrderError) as caught:
        kk.backtest(bars, trade, venue=kk.Venue(**{slot: model(body)()}))
    says(caught, f"trade, bar 6 (1999-01-12T00:00:00): found a cost model that answered|({slot} f())|(rule C6)")


def test_c6_negative_slippage_but_a_rebate_is_a_fee(bars: xr.Dataset) -> None:
    with pytest.raises(OrderError, match="negative slippage"):
        kk.backtest(bars, trade, venue=kk.Venue(slippage=model("return -0.001")()))
    assert float(kk.backtest(bars, trade, venue=kk.Venue(fees=model("return -0.25")()))["fees"]) == -0.25


@pytest.mark.parametrize("slot", ["fees", "slippage"])
@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise ValueError('model boom')", ValueError),
        ("assert m.price < 0, 'model boom'\n    return 0.0", AssertionError),
    ],
)
def test_c6_an_exception_in_a_model(bars: xr.Dataset, slot: str, body: str, error: type[Exception]) -> None:
    """It comes with the user's line, as one in a strategy does."""
    with pytest.raises(error, match="model boom") as caught:
        kk.backtest(bars, trade, venue=kk.Venue(**{slot: model(body)()}))
    assert (caught.traceback[-1].name, caught.traceback[-1].lineno + 1) == ("f", 4)
    assert caught.value.__notes__[0].startswith("trade, bar 6 (")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("return", "`return`"),
        ("return 'a'", "`return 'a'`"),
        ("return nowhere", "name 'nowhere' is not defined"),
        ("return [1.0][0].foo", "line 4"),
    ],
)
def test_a_model_that_cannot_be_compiled(bars: xr.Dataset, body: str, wanted: str) -> None:
    with pytest.raises(StrategyError) as caught:
        kk.backtest(bars, trade, venue=kk.Venue(fees=model(body)()))
    says(caught, f"cost model f, line 4: cannot be compiled: |{wanted}")


def test_a_signal_of_the_wrong_shape(bars: xr.Dataset) -> None:
    f = define("@kk.signal\ndef f(ds):\n    return ds['close'].values[1:]\n")
    with pytest.raises(
        StrategyError, match=r"signal f: found an array of shape \(119, 1\), wanted \(time, asset\) = \(120, 1\)"
    ):
        kk.backtest(bars, f)


@pytest.mark.parametrize("model", [kk.fees.fraction, kk.slippage.fraction])
def test_a_rate_in_percent(model: Callable[..., Any]) -> None:
    with pytest.raises(StrategyError) as caught:
        model(2)
    says(caught, "rate of fraction: found 2.0, wanted a fraction of the traded value, below 1|0.02 is 2 percent")


@pytest.mark.parametrize("span", [{"end": 39}, {"start": 80}], ids=["begins after the end", "ends before the start"])
def test_an_asset_without_bars_in_the_span__is_refused(bars: xr.Dataset, span: dict[str, int]) -> None:
    """A signal's as an event-driven strategy's: nothing is simulated over bars that are not there."""
    frame = bars.isel(asset=0).to_dataframe()[["open", "high", "low", "close", "volume"]]
    frame.index = pd.date_range("2020-01-01", periods=len(frame), freq="1D")
    later = frame.iloc[60:] if "end" in span else frame.iloc[:60]
    two = kk.data.from_pandas({"a": frame, "b": later}, label="open", bar="1D", calendar="24/7")
    limits = {name: two["time"].values[k] for name, k in span.items()}
    for text in ("@kk.signal\ndef f(ds):\n    return ds['close'] * 0.0\n", "@kk.strategy\ndef f(ctx):\n    pass\n"):
        with pytest.raises(UsageError, match="bars of b: found no bars in the span, wanted at least one bar"):
            kk.backtest(two, define(text), **limits)


@pytest.mark.parametrize("name", ["volatility", "equity", "drawdown", "blocks", "time"])
def test_an_axis_cannot_hide_what_a_result_has(bars: xr.Dataset, name: str) -> None:
    f = define(f"@kk.strategy\ndef f(ctx, {name}=0.1):\n    ctx.target({name})\n")
    with pytest.raises(UsageError, match=f"axis '{name}': found what a result calls its own"):
        kk.backtest(bars, f, grid={name: [0.1, 0.2]})
    assert float(kk.backtest(bars, f, {name: 0.2})["n_fills"]) == 0.0  # below a lot: one value is no axis


@kk.strategy(state={"r": kk.ring(3), "nan": float("nan")})
def no_number(ctx, s, which=0):  # type: ignore[no-untyped-def]
    s.r.push(1.0)
    if which == 0:
        ctx.record("x", ctx.close[int(s.nan)])
    elif which == 1:
        ctx.record("x", s.r[int(s.nan)])
    elif which == 2:
        ctx.record("x", float(int(ctx.close[0] / 0.0)))
    else:
        ctx.record("x", ctx.close[s.nan])


@kk.portfolio(state={"w": kk.each(), "nan": float("nan")})
def no_asset(ctx, s, which=0):  # type: ignore[no-untyped-def]
    if which == 0:
        ctx.record("x", ctx[int(s.nan)].position)
    elif which == 1:
        ctx[int(s.nan)].buy(1.0)
    elif which == 2:
        s.w[int(s.nan)] = 7.0
    else:
        ctx.record("x", ctx[0].close[int(s.nan)])


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("strategy", [no_number, no_asset])
def test_nan_is_no_whole_number(strategy: Any, which: int) -> None:
    """Compiled as in Python: what compiled code would make of it might lie anywhere in memory."""
    bars = kk.data.load("sp500_index").isel(time=slice(0, 5))
    for debug in (False, True):
        with pytest.raises((ValueError, OverflowError)):
            kk.backtest(bars, strategy, {"which": which}, debug=debug)
