"""A whole run of another engine, to the cent: backtesting.py's quick start."""

from __future__ import annotations

import sys

import pytest

import kernelkit as kk


@kk.strategy
def cross(ctx, fast=10, slow=30, weight=1.0 - sys.float_info.epsilon):  # type: ignore[no-untyped-def]
    a = ctx.close.sma(fast)
    b = ctx.close.sma(slow)
    if ctx.i >= slow:
        if ctx.close.sma(fast)[-1] < ctx.close.sma(slow)[-1] and a > b:
            ctx.target_percent(weight)
        elif ctx.close.sma(fast)[-1] > ctx.close.sma(slow)[-1] and a < b:
            ctx.target_percent(-weight)


@pytest.mark.parametrize(("close_out", "final"), [("last_open", 51422.99), ("last_close", 51959.95)])
@pytest.mark.oracle("backtesting.py, a whole run", covers="T1, T2, F1, F9, S2, S5, A7, M5")
def test_goog_sma_cross(close_out: str, final: float) -> None:
    """backtesting.py 0.6.6, test_compute_stats, which closes the last trade at the last open.

    All in or all short at the next open, sized there; 1 - epsilon of the equity is what that engine spends; no fees.
    """
    from backtesting.test import GOOG  # type: ignore[import-untyped]

    bars = kk.data.from_pandas(GOOG, calendar="XNYS", tick_size=0.01)
    model = kk.FillModel(sizing="at_fill", close_out=close_out)
    res = kk.backtest(bars, cross, account=kk.Account(10_000.0), fill_model=model)
    assert float(res["final_equity"]) == pytest.approx(final, abs=1e-8)
    assert (int(res["n_trades"]), len(kk.trades(res))) == (66, 66)
    if close_out == "last_open":
        # expected by its own test; its drawdown sees the last mark, which for this variant is the last open too
        assert float(res["max_drawdown"]) == pytest.approx(0.4798012705007589, rel=1e-12)
        assert float(res["profit_factor"]) > 1.0
        assert float(res["win_rate"]) == pytest.approx(0.4696969696969697, rel=1e-12)
