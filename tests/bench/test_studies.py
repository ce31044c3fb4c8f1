"""Walk-forward, cross-validation and Monte Carlo, beside one backtest of the same grid: what they cost beyond it."""

from __future__ import annotations

from typing import Any

import pytest

import kernelkit as kk
from tests.bench import strategies
from tests.bench.series import Series
from tests.bench.strategies import SETTINGS

BARS = 1_000_000
GRID = {"fast": range(5, 45, 4), "slow": range(50, 300, 25)}  # 100 cells


@pytest.fixture(scope="module")
def bars(base: Series) -> Any:
    return base.first(BARS).bars()


def one_grid(bars: Any) -> Any:
    return kk.backtest(bars, strategies.sweep, grid=GRID, outputs=("metrics",), **SETTINGS)


def test_walk_forward__trades_at_the_speed_of_the_engine(bars, compare, hold):
    """Seven folds, each of 300,000 bars of training."""
    n = 100 * 7 * 300_000 + 700_000
    pair = compare(
        "walk_forward",
        lambda: kk.walk_forward(bars, strategies.sweep, grid=GRID, train=300_000, test=100_000, **SETTINGS),
        lambda: one_grid(bars),
        n,
    )
    rate = 100 * BARS * pair.yardstick_rate / n
    hold("walk_forward", pair.ratio, f"{pair.rate / 1e6:.0f} M candles/s per core", f"{rate / 1e6:.0f} M candles/s")


def test_cross_validate__trades_at_the_speed_of_the_engine(bars, compare, hold):
    """Forty-five splits of ten groups, and nine paths."""
    n = 100 * BARS + 9 * BARS
    splitter = kk.splits.combinatorial(10, 2)
    pair = compare(
        "cross_validate",
        lambda: kk.cross_validate(bars, strategies.sweep, grid=GRID, splits=splitter, **SETTINGS),
        lambda: one_grid(bars),
        n,
    )
    rate = 100 * BARS * pair.yardstick_rate / n
    hold("cross_validate", pair.ratio, f"{pair.rate / 1e6:.0f} M candles/s per core", f"{rate / 1e6:.0f} M candles/s")


def test_monte_carlo__trades_at_the_speed_of_the_engine(bars, compare, hold):
    model = kk.paths.Bootstrap.fit(bars, length=50)
    n = 5 * 100 * BARS
    pair = compare(
        "monte_carlo",
        lambda: kk.monte_carlo(bars, strategies.sweep, grid=GRID, paths=4, model=model, **SETTINGS),
        lambda: one_grid(bars),
        n,
    )
    rate = 100 * BARS * pair.yardstick_rate / n
    hold("monte_carlo", pair.ratio, f"{pair.rate / 1e6:.0f} M candles/s per core", f"{rate / 1e6:.0f} M candles/s")


def test_walk_forward__a_thousand_folds(bars, compare, hold):
    few = {"fast": [5], "slow": [50, 100]}
    pair = compare(
        "folds",
        lambda: kk.walk_forward(bars, strategies.sweep, grid=few, train=2_000, test=998, **SETTINGS),
        lambda: one_grid(bars),
        1_000,
    )
    hold("folds", pair.ratio, f"{1_000 / pair.rate:.2f} s of CPU", f"{1_000 / pair.yardstick_rate:.2f} s")
