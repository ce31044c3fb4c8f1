"""Whole runs of other engines, to the cent: backtesting.py's quick start and two of LEAN's regression algorithms."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk

TEN_TO_11 = 10**11
CASH_BUFFER = 0.9975  # LEAN keeps 0.25 % of the equity out of SetHoldings


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


@pytest.fixture(scope="module")
def spy(shared: Callable[[str], Path]) -> Callable[[str, str], xr.Dataset]:
    """SPY daily as LEAN adjusts it: price times the factor of the first row whose date is at or after the bar's.

    Prices have 4 decimals and factors 7 (LEAN reads both as decimals), so a price is a whole number of 1e-11.
    """
    raw = pd.read_parquet(shared("data/equity/lean_us_daily_raw.parquet"), filters=[("symbol", "==", "SPY")])
    raw = raw.set_index("ts").drop(columns="symbol").sort_index()
    factors = pd.read_csv(shared("data/equity/lean_factor_files.csv"), dtype={"date": str, "price_factor": str})
    factors = factors[factors["symbol"] == "SPY"].sort_values("date")
    row = np.searchsorted(pd.to_datetime(factors["date"]).to_numpy(), raw.index.normalize().to_numpy(), side="left")
    assert (factors["split_factor"] == 1.0).all()
    tenmillionths = (factors["price_factor"].astype(float) * 10**7).round().astype("int64").to_numpy()[row]
    out = pd.DataFrame({"volume": raw["volume"].astype(float)}, index=raw.index)
    for name in ("open", "high", "low", "close"):
        out[name] = (raw[name] * 10_000).round().astype("int64").to_numpy() * tenmillionths / TEN_TO_11

    def between(first: str, last: str) -> xr.Dataset:
        bars: xr.Dataset = kk.data.from_pandas(out.loc[first:last], calendar="XNYS", tick_size=1e-11, name="SPY")
        return bars

    return between


@kk.strategy
def all_in_once(ctx, weight=CASH_BUFFER):  # type: ignore[no-untyped-def]
    if ctx.position == 0.0 and ctx.orders == 0:
        ctx.target_percent(weight)


@pytest.mark.market_data
def test_lean_spy_daily(vectors: dict[str, Any], spy: Callable[[str, str], xr.Dataset]) -> None:
    """LEAN's BasicTemplateDailyAlgorithm: SetHoldings(SPY, 1) after the close of 2013-10-08, filled at next open."""
    expected = vectors["lean.spy.daily"]["expected"]
    venue = kk.Venue("lean", kk.fees.per_unit(0.005, 1.0))
    res = kk.backtest(spy("2013-10-08", "2013-10-17"), all_in_once, account=kk.Account(100_000.0), venue=venue)
    fills = kk.fills(res)
    assert fills["quantity"].tolist() == [697]
    assert str(fills["time"][0])[:10] == "2013-10-09"
    assert fills["at"].tolist() == ["open"]
    assert float(res["final_equity"]) == pytest.approx(expected["end_equity"], abs=0.005)
    assert float(res["fees"]) == pytest.approx(expected["total_fees"], abs=0.00501)


@kk.indicator(state=dict(n=0, fast=0.0, slow=0.0, m=0, signal=0.0))
def macd_gap(s, x, fast, slow, signal):  # type: ignore[no-untyped-def]
    """(MACD - signal) / fast average, NaN until all are full; each average begins with the mean of its first values."""
    s.n += 1
    s.fast = s.fast + x / fast if s.n <= fast else s.fast + 2.0 / (fast + 1.0) * (x - s.fast)
    s.slow = s.slow + x / slow if s.n <= slow else s.slow + 2.0 / (slow + 1.0) * (x - s.slow)
    if s.n < slow:
        return float("nan")
    macd = s.fast - s.slow
    s.m += 1
    s.signal = s.signal + macd / signal if s.m <= signal else s.signal + 2.0 / (signal + 1.0) * (macd - s.signal)
    if s.m < signal:
        return float("nan")
    return (macd - s.signal) / s.fast


@kk.strategy
def macd_trend(ctx, fast=12, slow=26, signal=9, tolerance=0.0025, weight=CASH_BUFFER):  # type: ignore[no-untyped-def]
    gap = macd_gap(ctx.close, fast, slow, signal)
    if ctx.position <= 0.0 and gap > tolerance:
        ctx.target_percent(weight)
    elif ctx.position >= 0.0 and gap < -tolerance:
        ctx.target(0.0)


@pytest.mark.market_data
def test_lean_macd_trend(spy: Callable[[str, str], xr.Dataset]) -> None:
    """LEAN's MACDTrendAlgorithm, 2004-01-01 to 2015-01-01, SPY daily, 100,000 in cash: what it does and we assume.

    - MACD(12, 26, 9) exponential. LEAN's average of n begins with the simple mean of its first n values, and the signal
      line is fed only once both averages are full: hence an indicator of our own. The first bar is that of 2004-01-02.
    - Not long and (MACD - signal) / fast > 0.0025: SetHoldings(SPY, 1); not short and below -0.0025: Liquidate. Decided
      on the close of a daily bar, filled at the next open, however far it gapped (cash_rule="debt": LEAN's margin lets
      such an order through), without slippage.
    - Quantity: the largest with quantity x close + fee <= 0.9975 x equity, which is rule S2 for this fee; no band.
    - Fee: max(1, 0.005 x quantity) an order. Prices adjusted for dividends, so that none are paid in cash.
    - LEAN's earlier versions count 84 orders with this equity and these fees, later ones 85: one more that never fills.
    """
    venue = kk.Venue("lean", kk.fees.per_unit(0.005, 1.0), cash_rule="debt", band=0.0)
    bars = spy("2004-01-01", "2015-01-01")
    res = kk.backtest(bars, macd_trend, account=kk.Account(100_000.0), venue=venue)
    assert float(res["final_equity"]) == pytest.approx(137751.04, abs=0.005)
    assert float(res["fees"]) == pytest.approx(468.54, abs=0.005)
    assert float(res["max_drawdown"]) == pytest.approx(0.349, abs=0.0005)
    assert (len(kk.orders(res)), int(res["n_fills"]), int(res["n_trades"])) == (84, 84, 42)
