"""Candles a second of single backtests, labelled call included, beside loops written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import kernelkit as kk
from tests.bench import fused, hand, strategies
from tests.bench.meter import Market, market_of
from tests.bench.pair import Pair
from tests.bench.series import TICKS_PER_UNIT, Series
from tests.bench.strategies import CASH, CROSS, EMA, FEE, LIMIT_BRACKET

METRICS, EQUITY = ("metrics",), ("final_equity",)


def raw_cross(m: Market) -> object:
    return hand.raw_cross(m.open, m.close, *CROSS, CASH, FEE)


def raw_bracket(m: Market) -> object:
    return hand.raw_bracket(m.open, m.high, m.low, m.close, CASH, FEE, *LIMIT_BRACKET)


def full_bracket(m: Market) -> object:
    return fused.full_bracket(m, CASH, FEE, *LIMIT_BRACKET)


def full_ema(m: Market) -> object:
    return fused.full_ema(m, CASH, FEE, *EMA, TICKS_PER_UNIT)


def full_mark(m: Market) -> object:
    return fused.full_mark(m, CASH, 0.0)


def numpy_cross(m: Market) -> object:
    return hand.numpy_cross(m.open, m.close, *CROSS, CASH, FEE)


CASES: dict[str, tuple[Any, tuple[str, ...], Callable[[Market], object]]] = {
    "bracket": (strategies.limit_bracket, METRICS, raw_bracket),
    "bracket_fused": (strategies.limit_bracket, METRICS, full_bracket),
    "ema": (strategies.ema_bracket, METRICS, raw_bracket),
    "ema_fused": (strategies.ema_bracket, METRICS, full_ema),
    "empty": (strategies.empty, METRICS, raw_cross),
    "empty_fused": (strategies.empty, METRICS, full_mark),
    "cross": (strategies.cross, METRICS, raw_cross),
    "cross_equity": (strategies.cross, EQUITY, raw_cross),
    "cross_numpy": (strategies.cross, METRICS, numpy_cross),
}


def candles(rate: float) -> str:
    return f"{rate / 1e6:.0f} M candles/s"


def nanoseconds(rate: float) -> str:
    return f"{1e9 / rate:.1f} ns a bar"


@pytest.fixture(scope="module")
def markets(many: list[Series]) -> list[tuple[Any, Market]]:
    """Every series as kernelkit takes it and as the loops take it."""
    return [(s.bars(), market_of(s)) for s in many]


@pytest.mark.parametrize("name", CASES)
def test_backtest__keeps_up_with_a_loop_written_by_hand(name, markets, compare, hold):
    strategy, outputs, loop = CASES[name]

    def ours() -> None:
        for bars, _ in markets:
            kk.backtest(bars, strategy, outputs=outputs, **strategies.SETTINGS)

    def by_hand() -> None:
        for _, market in markets:
            loop(market)

    pair: Pair = compare(name, ours, by_hand, sum(len(market.close) for _, market in markets))
    unit = nanoseconds if name.startswith("empty") else candles
    hold(name, pair.ratio, unit(pair.rate), unit(pair.yardstick_rate))
