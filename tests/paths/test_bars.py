"""Bars of paths (G8): valid, on the tick, and with the extremes that the walk within a bar has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.kernels.compile import kernel
from kernelkit.kernels.extremes import BATCH, EXTREME_TYPES
from kernelkit.schema import check_bars
from tests.paths.test_models import COPULA, GARCH, GBM, HESTON, KOU, MERTON, MODELS, ids

p = kk.paths


def extremes(within: np.ndarray, variance: np.ndarray, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Maximum and minimum of walks, by uniform numbers of NumPy."""
    u, v = np.random.default_rng(seed).random((2, len(within)))
    up, down = np.empty_like(u), np.empty_like(u)
    kernel("extremes", "extremes", EXTREME_TYPES)(within, variance, u, v, np.empty((7, BATCH)), up, down)
    return up, down


def stays(low: float, high: float, end: float) -> float:
    """The chance that a Brownian bridge from 0 to `end` stays between; images, Karatzas and Shreve (1991), 2.8."""
    k, width = np.arange(-60, 61), high - low
    one = np.exp(-2 * k * width * (k * width - end))
    two = np.exp(-2 * (k * width + high) * (k * width + high - end))
    return float(np.sum(one - two))


@pytest.mark.parametrize("end", [0.0, 0.4, -1.3, 2.5])
def test_g8__maximum_and_minimum_are_those_of_a_bridge_together(end: float) -> None:
    n = 200_000
    up, down = extremes(np.full(n, end), np.ones(n))
    assert up.min() >= max(end, 0.0)
    assert down.max() <= min(end, 0.0)
    for high in (0.2, 0.6, 1.2, 2.0):
        for low in (0.2, 0.6, 1.2, 2.0):
            a, b = min(end, 0.0) - low, max(end, 0.0) + high
            share = np.mean((up < b) & (down > a))
            chance = stays(a, b, end)
            assert abs(share - chance) < 4 * (chance * (1 - chance) / n) ** 0.5 + 1e-5
    for one, other in ((up, end), (-down, -end)):
        exact = 1 - np.exp(-2 * one * (one - other))
        assert scipy.stats.kstest(exact, "uniform").pvalue > 1e-3


def test_g8__the_range_has_parkinsons_and_feller_s_moments() -> None:
    n = 400_000
    up, down = extremes(np.random.default_rng(3).normal(size=n), np.ones(n))
    wide = up - down
    assert wide.mean() == pytest.approx((8 / np.pi) ** 0.5, abs=4 * wide.std() / n**0.5)
    assert (wide**2).mean() == pytest.approx(4 * np.log(2), abs=4 * (wide**2).std() / n**0.5)


@settings(max_examples=30, deadline=None)
@given(st.floats(-20.0, 20.0), st.floats(0.0, 9.0), st.integers(0, 99))
def test_g8__no_walk_is_too_strange(end: float, variance: float, seed: int) -> None:
    up, down = extremes(np.full(50, end), np.full(50, variance), seed)
    assert (up >= max(end, 0.0)).all()
    assert (down <= min(end, 0.0)).all()
    reach = (6.6 * variance**0.5 + abs(end)) * (1.0 + 1e-12)
    assert (up <= reach).all()
    assert (down >= -reach).all()


@pytest.mark.parametrize("model", MODELS, ids=ids)
def test_bars__are_valid_and_more_begin_with_fewer(model: Any) -> None:
    bars, fewer = model.bars(150, path=3, seed=5), model.bars(41, path=3, seed=5)
    check_bars(bars)
    tick = bars["tick"].values
    for name in ("open", "high", "low", "close"):
        ticks = bars[name].values / tick
        np.testing.assert_array_equal(ticks, np.rint(ticks))
        np.testing.assert_array_equal(bars[name].values[:41], fewer[name].values)
    o, h, low, c = (bars[k].values for k in ("open", "high", "low", "close"))
    assert (h >= np.maximum(o, c)).all()
    assert (low <= np.minimum(o, c)).all()
    assert (low > 0.0).all()


@pytest.mark.parametrize("model", [m for m in MODELS if m is not COPULA], ids=[i for i in ids if i != "Copula"])
def test_bars__close_where_the_path_goes(model: Any) -> None:
    reduced = p.simulate(model, paths=8, steps=90, seed=5)
    together = model.many(90, paths=range(3, 8), seed=5)
    check_bars(together)
    for path in range(3, 8):
        one = model.bars(90, path=path, seed=5)
        for name in ("open", "high", "low", "close"):
            np.testing.assert_array_equal(one[name].values[:, 0], together[name].sel(asset=str(path)).values)
        terminal = float(reduced["terminal"].sel(path=path))
        assert float(one["close"][-1, 0]) / 100.0 == pytest.approx(terminal, rel=1e-8)


@pytest.mark.parametrize("model", [GBM, GARCH, HESTON], ids=["GBM", "GARCH", "Heston"])
def test_bars__a_bar_opens_where_the_last_one_closed(model: Any) -> None:
    bars = model.bars(200, seed=1)
    np.testing.assert_array_equal(bars["open"].values[1:], bars["close"].values[:-1])


@pytest.mark.parametrize("model", [MERTON, KOU], ids=["Merton", "Kou"])
def test_bars__jumps_are_gaps(model: Any) -> None:
    bars = model.bars(2000, seed=1)
    gap = np.log(bars["open"].values[1:, 0] / bars["close"].values[:-1, 0])
    share = np.mean(gap != 0.0)
    assert share == pytest.approx(1 - np.exp(-model.intensity / 252), abs=0.03)
    within = np.log(bars["close"].values[:, 0] / bars["open"].values[:, 0])
    assert within.std() == pytest.approx(model.deviation, rel=0.07)


@pytest.mark.parametrize("model", [GBM, GARCH, HESTON], ids=["GBM", "GARCH", "Heston"])
def test_g8__ranges_tell_the_variance_of_the_closes(model: Any) -> None:
    bars = model.many(500, paths=range(400), seed=2)
    wide = np.log(bars["high"].values / bars["low"].values) ** 2 / (4 * np.log(2))
    moves = np.log(bars["close"].values / bars["open"].values) ** 2
    each = wide.mean(axis=0) - moves.mean(axis=0)  # what the drift adds to both is 1e-4 of them
    assert abs(each.mean()) < 4 * each.std() / 20.0 + 2e-4 * moves.mean()


def test_bars__have_the_clock_the_tick_and_the_open_of_others() -> None:
    like = kk.data.load("sp500_index")
    bars = GBM.bars(path=1, like=like)
    for name in ("time", "open_at", "known_at", "session", "tick", "inverse", "lot", "currency"):
        np.testing.assert_array_equal(bars[name].values, like[name].values)
    assert bars["open"].values[0, 0] == like["open"].values[0, 0]
    assert bars["volume"].values[0, 0] == pytest.approx(float(like["volume"].mean()))
    assert bars["asset"].values.tolist() == like["asset"].values.tolist()
    assert bars.attrs["periods_per_year"] == like.attrs["periods_per_year"]
    ids = {str(GBM.bars(50, path=k, like=like)["asset_id"].values[0]) for k in range(3)}
    assert len(ids | {str(like["asset_id"].values[0])}) == 4
    assert np.isnan(GBM.bars(5)["volume"].values).all()
    assert GBM.bars(5).attrs["periods_per_year"] == 252.0


def test_bars__of_a_bootstrap_are_those_of_the_history() -> None:
    like = kk.data.load("sp500_index").isel(time=slice(0, 800))
    model = p.Bootstrap.fit(like, length=10, scheme="circular")
    bars = model.bars(300, path=2, like=like)
    real = {tuple(np.round(row, 6)) for row in model.history[[1, 2], :, 0].T}
    o, h, low = (bars[k].values[:, 0] for k in ("open", "high", "low"))
    made = {tuple(np.round(row, 6)) for row in np.log([h / o, low / o]).T}
    assert len(made & real) > 0.9 * len(made)
    assert set(bars["volume"].values[:, 0]) <= set(like["volume"].values[:, 0])
    assert np.isnan(p.Bootstrap.fit(GBM.bars(200)).bars(20)["volume"].values).all()


def test_bars__a_strategy_runs_on_them_and_each_path_has_an_account() -> None:
    @kk.strategy
    def held(ctx):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0)

    together = kk.backtest(GBM.many(60, paths=range(4), seed=3), held)
    for path in range(4):
        one = kk.backtest(GBM.bars(60, path=path, seed=3), held)
        assert float(together["total_return"].sel(asset=str(path))) == float(one["total_return"])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: GBM.bars(), "how many bars"),
        (lambda: GBM.bars(0), "n"),
        (lambda: GBM.bars(5, path=-1), "path"),
        (lambda: GBM.bars(6000, like=kk.data.load("sp500_index")), "at most 5031"),
        (lambda: GBM.bars(50, like=kk.data.load("synthetic_minute", n=100)), "bars a year"),
        (lambda: GBM.bars(50, like=COPULA.bars(60)), "2 assets"),
        (lambda: COPULA.many(50), "one"),
        (lambda: GBM.many(50, paths=[1, 3]), "in a row"),
        (lambda: GBM.many(50, paths=[]), "in a row"),
    ],
)
def test_errors__say_what_does_not_fit(make: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()


def test_errors__a_price_that_falls_below_a_tick() -> None:
    with pytest.raises(DataError, match="tick"):
        p.GBM(-3000.0, 0.1).bars(300)
