"""Numbers that nobody means: they end an order with a reason or stop the run, and never turn into a bargain."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk


def flat(n: int = 30, tick: float = 0.01, volume: bool = True) -> xr.Dataset:
    prices = dict.fromkeys(("open", "high", "low", "close"), np.full(n, 100.0))
    frame = pd.DataFrame(prices | ({"volume": np.full(n, 5.0)} if volume else {}))
    frame.index = pd.date_range("2020", periods=n)
    return kk.data.from_pandas(frame, calendar="24/7", tick_size=tick)


@kk.cost_model
def slip(m, rate=1.0):  # type: ignore[no-untyped-def]
    return rate


@kk.strategy
def once(ctx, quantity=1.0):  # type: ignore[no-untyped-def]
    if ctx.i == 1:
        ctx.order(quantity)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("number", [0, math.nan, 0.5, -1, 99, 1e300])
def test_o9__cancel_of_no_order_cancels_nothing(number: float, debug: bool) -> None:
    @kk.strategy
    def waiting(ctx, number=0.0):  # type: ignore[no-untyped-def]
        if ctx.i == 1:
            ctx.limit(1.0, 50.0)
            ctx.limit(1.0, 51.0)
        if ctx.i == 3:
            ctx.cancel(number)
            ctx.oco(number, 1)
        ctx.record("live", ctx.orders)

    res = kk.backtest(flat(), waiting, {"number": float(number)}, debug=debug)
    assert kk.orders(res)["reason"].tolist() == ["end_of_data"] * 2
    assert kk.orders(res)["group"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("rate", "price"), [(1.0, 200.0), (1e6, 100_000_100.0), (1e15, 2**53 / 100), (1e300, 2**53 / 100)]
)
@pytest.mark.parametrize("debug", [False, True])
def test_q2__a_buy_never_gets_cheap_by_slipping_far(rate: float, price: float, debug: bool) -> None:
    venue = kk.Venue("far", slippage=slip(rate), cash_rule="debt")
    res = kk.backtest(flat(), once, venue=venue, debug=debug)
    assert kk.fills(res)["price"].tolist() == [price]
    sold = kk.fills(kk.backtest(flat(), once, {"quantity": -1.0}, venue=venue, debug=debug))
    assert sold["price"].tolist() == [0.01]


def test_q2__a_target_far_beyond_the_ticks_is_never_reached() -> None:
    @kk.strategy
    def hoping(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 1:
            ctx.bracket(1.0, take_profit=1e6)

    res = kk.backtest(flat(tick=2.0**-44), hoping)
    assert kk.orders(res)["status"].tolist() == ["filled", "cancelled"]
    assert kk.orders(res)["limit"].tolist()[1] == 2.0**53 * 2.0**-44


def test_c4__impact_without_known_volume_is_the_whole_coefficient() -> None:
    venue = kk.Venue("impact", slippage=kk.slippage.square_root(0.5))
    res = kk.backtest(flat(volume=False), once, venue=venue)
    assert kk.fills(res)["price"].tolist() == [150.0]
