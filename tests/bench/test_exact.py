"""The measured workloads come out right: the results that other engines and loops by hand agree on, digit by digit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.kernels.layout import HEADLINE
from tests.bench import fused, hand, strategies
from tests.bench.meter import FIELDS, market_of
from tests.bench.series import TICKS_PER_UNIT, Series
from tests.bench.strategies import CASH, CROSS, EMA, FAST, FEE, GRID, LIMIT_BRACKET, SETTINGS, SLOW

TIE = 275_963
FINE = 1e-10  # a grid on which a bracket's prices are those of a float64 loop
COMBINATIONS = [(f, s) for f in GRID["fast"] for s in GRID["slow"]]


@pytest.fixture(scope="module")
def bars(base: Series) -> Any:
    return base.bars()


@pytest.fixture(scope="module")
def short(base: Series) -> Series:
    """The series of the sweep."""
    return base.first(100_000)


def equal_sums(s: Series, fast: int, slow: int) -> np.ndarray:
    """The bars at which two averages are exactly equal, by integers."""
    total = np.concatenate([[0], np.cumsum(np.rint(s.close * TICKS_PER_UNIT).astype(np.int64))])
    at = np.arange(slow - 1, s.n)
    return at[(total[at + 1] - total[at + 1 - fast]) * slow == (total[at + 1] - total[at + 1 - slow]) * fast]


def test_cross__is_exact_where_rounding_breaks_a_tie(base, bars):
    """Two exactly equal averages are not one above the other; float64 says they are, once in a million bars."""
    assert equal_sums(base, *CROSS).tolist() == [TIE]
    res = kk.backtest(bars, strategies.cross, outputs=("metrics",), **SETTINGS)
    assert int(res["n_trades"]) == 6838
    assert f"{float(res['final_equity']):.4f}" == "998439.1521"


def test_cross__float_averages_give_the_digits_of_other_engines(base, bars):
    equity, trades = hand.raw_cross(base.open, base.close, *CROSS, CASH, FEE)
    assert (f"{equity:.4f}", trades) == ("998439.1832", 6838)
    curve, trades = hand.numpy_cross(base.open, base.close, *CROSS, CASH, FEE)
    assert (f"{curve[-1]:.4f}", trades) == ("998439.1832", 6838)
    for strategy in (strategies.float_cross, strategies.numpy_cross):
        res = kk.backtest(bars, strategy, outputs=("metrics",), **SETTINGS)
        assert (f"{float(res['final_equity']):.4f}", int(res["n_trades"])) == ("998439.1832", 6838)


def test_cross__the_tie_is_the_whole_difference(bars):
    """Exact and rounded averages trade alike but for one entry, a bar early where rounding sees a crossing."""
    exact, rounded = (kk.fills(kk.backtest(bars, s, **SETTINGS)) for s in (strategies.cross, strategies.float_cross))
    both = exact.merge(rounded, on=["time", "side", "price"], how="outer", indicator=True)
    odd = both[both["_merge"] != "both"].sort_values("time")
    assert odd["_merge"].tolist() == ["right_only", "left_only"]
    assert odd["time"].tolist() == [bars["open_at"].values[TIE + 1], bars["open_at"].values[TIE + 2]]


def test_bracket__gives_the_digits_of_other_engines(base):
    res = kk.backtest(base.bars(FINE), strategies.limit_bracket, outputs=("metrics",), **SETTINGS)
    assert (f"{float(res['final_equity']):.4f}", int(res["n_trades"])) == ("998124.5294", 8393)
    equity, trades = hand.raw_bracket(base.open, base.high, base.low, base.close, CASH, FEE, *LIMIT_BRACKET)
    assert (f"{equity:.4f}", trades) == ("998124.5294", 8393)


def test_sweep__float_averages_give_the_digits_of_other_engines(short):
    values = {}
    for strategy in (strategies.sweep, strategies.float_cross):
        res = kk.backtest(short.bars(), strategy, grid=GRID, outputs=("metrics",), **SETTINGS)
        values[strategy.name] = f"{float(res['final_equity'].sum()):.2f}", int(res["n_trades"].sum())
    assert values["float_cross"] == ("999869144.65", 600_083)
    assert sum(len(equal_sums(short, f, s)) for f, s in COMBINATIONS) == 36
    assert values["sweep"] == ("999869144.15", 600_084)


def test_fused_loops__compute_the_same_metrics_and_blocks(base):
    """They were written without a look at the engine, in another order of operations: hence up to rounding."""
    m = market_of(base)
    cases = {
        strategies.empty: (base.bars(), fused.full_mark(m, CASH, 0.0)),
        strategies.limit_bracket: (base.bars(FINE), fused.full_bracket(m, CASH, FEE, *LIMIT_BRACKET)),
        strategies.ema_bracket: (base.bars(), fused.full_ema(m, CASH, FEE, *EMA, TICKS_PER_UNIT)),
        strategies.float_cross: (base.bars(), fused.full_cross(m, FAST, SLOW, CASH, FEE, 0)),
    }
    for strategy, (bars, expected) in cases.items():
        res = kk.backtest(bars, strategy, outputs=("metrics", "blocks"), **SETTINGS)
        got = [float(res[name]) for name in HEADLINE]
        np.testing.assert_allclose(got, expected, rtol=1e-8, err_msg=strategy.name)
    blocks = res["blocks"].sel(summary=list(FIELDS)).values
    rows = m.blocks[m.blocks[:, 0] > 0]
    np.testing.assert_allclose(blocks, rows, rtol=1e-8, atol=1e-15)
