"""Monte Carlo: each path is a backtest, and what is said of all of them is what counting says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.kernels import layout as L
from kernelkit.study import monte_carlo as module


@kk.strategy
def cross(ctx, fast=10, slow=50):
    ctx.target_percent(1.0 if ctx.close.sma(fast) > ctx.close.sma(slow) else -1.0)


@kk.portfolio
def equal(ctx, part=0.5):
    for k in ctx.tradable:
        ctx[k].target_percent(part)


@pytest.fixture(scope="module")
def bars() -> xr.Dataset:
    return kk.data.load("sp500_index").isel(time=slice(0, 900))


MODELS = [None, kk.paths.GBM(drift=0.05, volatility=0.9)]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("batch", [1, 2000, 2**19])
def test_each_path_is_its_backtest(bars: xr.Dataset, monkeypatch: pytest.MonkeyPatch, model: Any, batch: int) -> None:
    monkeypatch.setattr(module, "BATCH_BARS", batch)
    grid = {"fast": [5, 10], "slow": [20, 40, 80]}
    found = kk.monte_carlo(bars, cross, paths=7, model=model, seed=3, grid=grid, where="fast * 8 > slow")
    one = model or kk.paths.Bootstrap.fit(bars)
    for path in (0, 4, 6):
        alone = kk.backtest(one.bars(path=path, seed=3, like=bars), cross, grid=grid, where="fast * 8 > slow")
        for name in L.HEADLINE:
            mine = found[name].sel(path=path).transpose("fast", "slow")
            np.testing.assert_array_equal(mine.values, alone[name].values, err_msg=name)


@pytest.mark.parametrize("draws", ["antithetic", "sobol"])
def test_paths_take_the_draws_that_are_asked_for(bars: xr.Dataset, monkeypatch: pytest.MonkeyPatch, draws: Any) -> None:
    monkeypatch.setattr(module, "BATCH_BARS", 3000)
    model = kk.paths.GBM(drift=0.05, volatility=0.2)
    found = kk.monte_carlo(bars, cross, paths=7, model=model, seed=3, draws=draws)
    for path in (0, 3, 6):
        alone = kk.backtest(model.bars(path=path, seed=3, like=bars, draws=draws), cross)
        assert float(found["total_return"].sel(path=path)) == float(alone["total_return"])
    assert found.attrs["draws"] == draws
    with pytest.raises(kk.errors.UsageError, match="of Bootstrap"):
        kk.monte_carlo(bars, cross, paths=7, draws=draws)


def test_more_paths_begin_with_the_fewer_ones(bars: xr.Dataset) -> None:
    few, many = (kk.monte_carlo(bars, cross, paths=n, seed=3) for n in (5, 12))
    for name in L.HEADLINE:
        np.testing.assert_array_equal(few[name].values, many[name].values[:5])


def test_what_is_said_of_all_is_what_counting_says(bars: xr.Dataset) -> None:
    model = MODELS[1]
    found = kk.monte_carlo(bars, cross, paths=40, model=model, seed=3, ruin=0.6, quantiles=(0.1, 0.5))
    cash, ends, curves = kk.Account().cash, [], []
    for path in range(40):
        res = kk.backtest(model.bars(path=path, seed=3, like=bars), cross)
        index = res["blocks"].sel(summary="index").values
        curve = res["equity"].values / cash
        counts = res["blocks"].sel(summary="n").values.astype(int)  # a bar each
        ends.append(curve[np.cumsum(counts) - 1])
        curves.append(curve)
    np.testing.assert_array_equal(found["block"].values, index)
    np.testing.assert_array_equal(found["block_end"].values, res["time"].values[np.cumsum(counts) - 1])
    expected = np.quantile(np.array(ends), [0.1, 0.5], axis=0)
    np.testing.assert_allclose(found["equity_band"].values, expected, rtol=1e-12)
    ruined = [(curve <= 0.6).any() for curve in curves]
    assert 0.0 < np.mean(ruined) < 1.0
    assert float(found["probability_of_ruin"]) == np.mean(ruined)
    seen = kk.backtest(bars, cross)
    for name in ("sharpe_ratio", "max_drawdown", "n_fills"):
        assert float(found["observed"].sel(metric=name)) == float(seen[name])
        assert float(found["rank"].sel(metric=name)) == np.mean(found[name].values <= float(seen[name]))
    np.testing.assert_array_equal(found["drawdown_band"].values, np.quantile(found["max_drawdown"].values, [0.1, 0.5]))


def test_paths_of_several_assets_move_together() -> None:
    margins = {"a": kk.paths.GBM(drift=0.1, volatility=0.2), "b": kk.paths.GBM(drift=0.0, volatility=0.3)}
    model = kk.paths.Copula(margins, ((1.0, 0.9), (0.9, 1.0)))
    like = model.bars(300, path=0)
    found = kk.monte_carlo(like, equal, paths=3, model=model, seed=1)
    for path in range(3):
        alone = kk.backtest(model.bars(path=path, seed=1, like=like), equal)
        assert float(found["final_equity"][path]) == float(alone["final_equity"])


@kk.strategy
def dies(ctx, fast=1):
    if ctx.close[0] < 0.55 * ctx.close.sma(100):
        raise ValueError("too low")
    ctx.target_percent(1.0)


def test_paths_that_fail_count_in_no_band(bars: xr.Dataset) -> None:
    model = kk.paths.GBM(drift=0.05, volatility=0.6)
    found = kk.monte_carlo(bars, dies, paths=30, model=model, seed=3, quantiles=(0.25, 0.5))
    alive = found["error"].values == ""
    assert 3 < alive.sum() < 27
    ends = found["final_equity"].values[alive] / kk.Account().cash
    np.testing.assert_allclose(found["equity_band"].isel(block=-1), np.quantile(ends, [0.25, 0.5]), rtol=1e-9)


def test_settings_by_name_hold_on_paths(bars: xr.Dataset) -> None:
    venue = kk.Venue(instruments={"SPX": kk.Instrument(min_notional=1e12)})
    found = kk.monte_carlo(bars, cross, paths=3, model=MODELS[1], venue=venue)
    assert float(found["observed"].sel(metric="n_fills")) == 0.0
    assert (found["n_fills"] == 0.0).all()


def test_bars_with_a_split_are_refused() -> None:
    bars = kk.data.synthetic.minute_bars(3000)
    when = [bars["open_at"].values[1500]]
    split = pd.DataFrame({"time": when, "asset": ["SYNTH"], "kind": ["split"], "value": [1.000001]})
    with pytest.raises(kk.errors.DataError, match="found a split"):
        kk.monte_carlo(kk.data.with_actions(bars, split), cross, paths=3)


def test_paths_are_no_rivals(bars: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNELKIT_LEDGER", str(tmp_path))  # which no other test writes meanwhile
    kk.monte_carlo(bars, cross, paths=4, seed=9)
    assert kk.ledger.trials()["role"].tolist() == ["rival", *["path"] * 4]  # the bars themselves were looked at


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"paths": 1}, "paths: found 1, wanted a whole number from 2 on"),
        ({"paths": 10.0}, "paths: found 10.0"),
        ({"ruin": 1.5}, "ruin: found 1.5, wanted a share of the cash"),
        ({"quantiles": [0.5, 2]}, "quantiles: found"),
        ({"sede": 3}, "found the argument sede"),
        ({"model": "GBM"}, "model: found 'GBM', wanted a model of kk.paths"),
    ],
)
def test_what_does_not_fit_is_told(bars: xr.Dataset, wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(kk.errors.UsageError, match=text):
        kk.monte_carlo(bars, cross, **wrong)
