"""The uncompiled engine computes the same bits, and shows the user's own lines."""

from __future__ import annotations

import linecache
import math
import traceback
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import kernelkit as kk
from kernelkit.kernels.session import Recorder
from kernelkit.view import Python
from tests.programs import Case, actor, job
from tests.test_engine_is_reference import cases


@kk.indicator(state=dict(e=0.0, n=0))
def decay(s, x, rate):  # type: ignore[no-untyped-def]
    s.n += 1
    s.e += rate * (x - s.e)
    return s.e


def half(ctx, x):  # type: ignore[no-untyped-def]
    return 0.5 * x + 0.0 * ctx.close[0]


@kk.strategy(state=dict(entry=0.0, win=kk.ring(7), flag=False, n=0), warmup=30)
def everything(ctx, s, fast=5, slow=20, k=0.5, loud=True):  # type: ignore[no-untyped-def]
    s.win.push(ctx.close[0] - ctx.close[-1])
    total = 0.0
    for j in range(7):
        total += s.win[-j]
    a = ctx.close.sma(fast) - ctx.close.sma(slow)
    b = ctx.high.max(fast) - ctx.low.min(slow) + ctx.atr(14) + ctx.close.std(slow) + ctx.volume.sma(fast)
    c = (
        ctx.close.rsi(14)
        + ctx.vwap(fast)
        + ctx.close.ema(slow)[-1]
        + decay(ctx.close, k)
        + ctx.close.volatility(slow)
        + ctx.open.sum(fast)
    )
    ctx.record("mix", a + b + c + half(ctx, total))
    s.n += 1
    if a > 0 and not s.flag:
        s.flag = True
        s.entry = ctx.close[0]
        ctx.bracket(ctx.size.risk(0.01, stop=2.0 * ctx.atr(14)), stop_loss=0.02, take_profit=0.05)
    elif a < 0:
        s.flag = False
        ctx.cancel_all()
        ctx.target_percent(0.0 if loud else -0.5)
    if s.n % 50 == 0:
        ctx.trailing_stop(-ctx.size.notional(1000.0), fraction=0.03, tif="DAY")
        ctx.order(ctx.size.vol_target(0.1))


def test_debug_is_compiled__everything() -> None:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 900))
    fast = kk.backtest(bars, everything, grid=dict(fast=[5, 9], slow=[20, 31]), venue=kk.venues.us_equity())
    slow = kk.backtest(bars, everything, grid=dict(fast=[5, 9], slow=[20, 31]), venue=kk.venues.us_equity(), debug=True)
    assert float(fast["n_fills"].sum()) > 50
    for name in fast.data_vars:
        if "time" not in fast[name].dims:
            np.testing.assert_array_equal(fast[name].values, slow[name].values, str(name))
    assert np.isfinite(fast["mix"].isel(fast=0, slow=0).values).mean() > 0.9


@settings(max_examples=25, deadline=None)
@given(cases())
def test_debug_is_compiled__random_programs(case: Case) -> None:
    compiled = Recorder(job(case), 0)
    python = Recorder(job(case), 0, python=_binding(case))
    a, b = compiled.all(), python.all()
    for name in ("fills", "orders", "trades", "curves", "changes"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name
    assert compiled.outcome.headline.tobytes() == python.outcome.headline.tobytes()
    assert compiled.outcome.blocks.tobytes() == python.outcome.blocks.tobytes()


def _binding(case: Case) -> Python:
    venue = kk.Venue(fees=case.fee, slippage=case.slippage)
    return Python(actor, {}, job(case), venue)


@kk.strategy
def raising(ctx, n=100):  # type: ignore[no-untyped-def]
    if ctx.i == n:
        raise ValueError("this far")
    ctx.target_percent(1.0)


def test_an_exception_comes_with_the_users_traceback_and_the_bar() -> None:
    bars = kk.data.load("sp500_index")
    with pytest.raises(ValueError, match="this far") as caught:
        kk.backtest(bars, raising)
    assert "bar 100" in caught.value.__notes__[0]
    assert 'raise ValueError("this far")' in "".join(traceback.format_exception(caught.value))


@kk.strategy
def talkative(ctx, seen=3):  # type: ignore[no-untyped-def]
    closes = [ctx.close[-k] for k in range(seen)]
    try:
        print("mean", sum(closes) / len(closes), "above", {"sma": ctx.close.sma(20) < closes[0]})  # noqa: T201
    except ZeroDivisionError:
        return
    ctx.target_percent(1.0)


@kk.cost_model
def share(m, rate):  # type: ignore[no-untyped-def]
    return rate * m.notional if rate > 0.002 else rate


@kk.strategy
def swings(ctx):  # type: ignore[no-untyped-def]
    ctx.target(100.0 if ctx.i % 4 < 2 else 0.0)


def test_debug_is_compiled__one_model_as_fee_and_as_slippage_with_other_parameters() -> None:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 60))
    venue = kk.Venue(fees=share(rate=0.003), slippage=share(rate=0.001))
    fast, slow = (kk.backtest(bars, swings, venue=venue, debug=debug) for debug in (False, True))
    pd.testing.assert_frame_equal(kk.fills(fast), kk.fills(slow))
    assert float(fast["fees"]) > 0.0
    assert (kk.fills(fast)["slippage"] > 0.0).all()


@kk.indicator
def marked(s, x, mark):  # type: ignore[no-untyped-def]
    return math.copysign(1.0, mark) if mark == mark else -2.0


@kk.indicator
def counted(s, x, n):  # type: ignore[no-untyped-def]
    return float(n % 10)


@kk.strategy
def marks(ctx, a=0.0, b=0.0, n=0, m=0):  # type: ignore[no-untyped-def]
    ctx.record("of_a", marked(ctx.close, a))
    ctx.record("of_b", marked(ctx.close, b))
    ctx.record("of_n", counted(ctx.close, n))
    ctx.record("of_m", counted(ctx.close, m))


@pytest.mark.parametrize("a", [0.0, -0.0, math.nan])
def test_debug_is_compiled__arguments_that_a_float_confuses(a: float) -> None:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 9))
    bound = {"a": a, "b": 0.0, "n": 2**53 + 1, "m": 2**53}
    fast, slow = (kk.backtest(bars, marks, bound, debug=debug) for debug in (False, True))
    for name in ("of_a", "of_b", "of_n", "of_m"):
        np.testing.assert_array_equal(fast[name].values, slow[name].values)
    assert [float(slow[n][-1]) for n in ("of_n", "of_m")] == [3.0, 2.0]


def test_debug_takes_python_that_cannot_be_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 25))
    kk.backtest(bars, talkative, debug=True)
    assert capsys.readouterr().out.count("mean") == 25 - 19
    with pytest.raises(
        kk.errors.StrategyError, match=r"line \d+, in talkative: ListComp cannot be compiled.*debug=True"
    ):
        kk.backtest(bars, talkative)


FIRST = {
    "look, look": ("ctx.record('y', ctx.close[k + 1] + ctx.close[k + 3])", kk.errors.LookaheadError, r"index \[2\]"),
    "look, crowd": ("y = ctx.close[k]\n        crowd(ctx, 70)", kk.errors.LookaheadError, r"index \[1\]"),
    "divide, look": ("ctx.record('y', 3 // (k - 1) + ctx.close[k])", ZeroDivisionError, "zero"),
    "divide truly, look": ("ctx.record('y', 1.0 / (k - 1) + ctx.close[k])", ZeroDivisionError, "zero"),
    "divide in place": ("z = 3.0\n        z /= k - 1\n        ctx.record('y', z)", ZeroDivisionError, "zero"),
    "divide, crowd": ("z = 3 // (k - 1)\n        crowd(ctx, 70 + z)", ZeroDivisionError, "zero"),
    "crowd, raise": ("crowd(ctx, 70)\n        raise ValueError", kk.errors.OrderError, "more than 64"),
}


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize("debug", [False, True])
def test_what_goes_wrong_first_is_told(name: str, debug: bool) -> None:
    body, error, text = FIRST[name]
    cell = f"""
def crowd(ctx, n):
    for _ in range(n):
        ctx.limit(1.0, 0.5 * ctx.close[0])

@kk.strategy
def wrong(ctx, k=1):
    if ctx.i == 7:
        {body}
"""
    file = f"<first {name}>"
    linecache.cache[file] = (len(cell), None, cell.splitlines(keepends=True), file)
    space: dict[str, Any] = {"kk": kk}
    exec(compile(cell, file, "exec"), space)
    with pytest.raises(error, match=text):
        kk.backtest(kk.data.load("sp500_index").isel(time=slice(0, 20)), space["wrong"], debug=debug)


def test_lookahead_at_run_time_names_the_bar() -> None:
    @kk.strategy
    def peek(ctx, k=1):  # type: ignore[no-untyped-def]
        if ctx.close[k] > ctx.close[0]:
            ctx.target_percent(1.0)

    with pytest.raises(kk.errors.LookaheadError, match=r"bar 0 .*index \[1\]"):
        kk.backtest(kk.data.load("sp500_index"), peek)


def test_lookahead_at_definition_names_the_line() -> None:
    with pytest.raises(kk.errors.StrategyError, match="lookahead: index 1"):

        @kk.strategy
        def peek(ctx):  # type: ignore[no-untyped-def]
            if ctx.close[1] > ctx.close[0]:
                ctx.target_percent(1.0)


@kk.strategy(state=dict(x=0.0))
def divides(ctx, s, k=0.0):  # type: ignore[no-untyped-def]
    s.x = ctx.close.sma(2) - ctx.close.sma(2)
    ctx.record("a", 1.0 / ctx.position)
    ctx.record("b", ctx.close.sma(3) / (ctx.close.sma(5) - ctx.close.sma(5)))
    ctx.record("c", 1.0 / k - ctx.cash / s.x)
    if 1.0 / ctx.position > 1e9:
        ctx.buy(1.0)


def test_division_by_zero_is_as_compiled() -> None:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 60))
    compiled, python = (kk.backtest(bars, divides, debug=debug) for debug in (False, True))
    for name in ("a", "b", "c", "equity", "n_fills"):
        np.testing.assert_array_equal(compiled[name].values, python[name].values, name)


def test_what_only_debug_mode_runs_has_curves_and_fills_too() -> None:
    @kk.strategy
    def caught(ctx):  # type: ignore[no-untyped-def]
        try:
            ctx.target(1.0 if ctx.i % 7 else 0.0)
        except ZeroDivisionError:
            raise

    bars = kk.data.load("sp500_index").isel(time=slice(0, 60))
    res = kk.backtest(bars, caught, debug=True)
    assert res["equity"].values[-1] == float(res["final_equity"])
    assert len(kk.fills(res)) == float(res["n_fills"]) > 4
