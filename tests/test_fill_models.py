"""Fill models as a dim: each slice is the run under that model alone, and the ledger counts one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit import ledger
from kernelkit.market.fill_model import NAMED, FillModel
from tests.test_groups import market

MODELS: list[Any] = [*NAMED, kk.FillModel(path="low_first"), kk.FillModel(market="next_typical", same_bar="next")]


@kk.strategy
def dip(ctx, n=20, depth=0.002):  # type: ignore[no-untyped-def]
    """Limit entries with brackets, trailing stops, targets: whatever the fill models answer differently."""
    if ctx.position == 0.0 and ctx.orders == 0:
        if ctx.close[0] > ctx.close.sma(n):
            ctx.bracket(ctx.size.notional(3e5), entry=ctx.close[0] * (1.0 - depth), stop_loss=0.01, take_profit=0.015)
        else:
            ctx.target_percent(0.3)
    elif ctx.position != 0.0 and ctx.orders == 0:
        ctx.trailing_stop(-ctx.position, fraction=0.02)


@kk.signal
def trend(ds, n=20):  # type: ignore[no-untyped-def]
    return (ds["close"] > ds["close"].rolling(time=n).mean()) * 1.0


@pytest.fixture(scope="module")
def bars() -> xr.Dataset:
    return kk.data.load("sp500_index").isel(time=slice(0, 1200))


GRID = {"n": [10, 20], "depth": [0.0, 0.004]}


@pytest.fixture(scope="module")
def every(bars: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("models"))
        res: xr.Dataset = kk.backtest(bars, dip, grid=GRID, fill_model=MODELS)
        return res


@pytest.mark.parametrize("model", MODELS, ids=lambda m: FillModel.of(m).label)
def test_each_slice_is_the_run_under_that_model(bars: xr.Dataset, every: xr.Dataset, model: Any) -> None:
    alone = kk.backtest(bars, dip, grid=GRID, fill_model=model)
    part = every.sel(fill_model=FillModel.of(model).label)
    for name in alone.data_vars:
        assert part[name].values.tobytes() == alone[name].values.tobytes(), name
    at = {"n": 20, "depth": 0.004}
    pd.testing.assert_frame_equal(kk.fills(part.sel(at)), kk.fills(alone.sel(at)))
    few = bars.isel(time=slice(0, 300))
    compiled, plain = (kk.backtest(few, dip, fill_model=model, debug=debug) for debug in (False, True))
    assert plain["equity"].values.tobytes() == compiled["equity"].values.tobytes()


def test_models_differ_and_the_spread_says_by_how_much(every: xr.Dataset) -> None:
    returns = every["total_return"]
    assert len(np.unique(returns.values.reshape(len(MODELS), -1), axis=0)) >= 8
    spread = every["total_return_spread"]
    assert spread.dims == ("n", "depth")
    np.testing.assert_array_equal(spread.values, returns.values.max(axis=0) - returns.values.min(axis=0))
    assert (every["fill_model"].attrs["role"], every["n"].attrs["role"]) == ("fill_model", "param")
    assert every.attrs["foresees"] == "nautilus, nautilus_adaptive"


def test_excluded_cells_assets_and_signals(bars: xr.Dataset) -> None:
    two = market()
    models = ["conservative", "zipline"]
    res = kk.backtest(two, dip, grid=GRID, where="n < 15 or depth > 0", fill_model=models)
    assert res["final_equity"].dims == ("fill_model", "n", "depth", "asset")
    assert int(res["final_equity"].isnull().sum()) == 4
    alone = kk.backtest(two, dip, grid=GRID, where="n < 15 or depth > 0", fill_model="zipline")
    np.testing.assert_array_equal(res["final_equity"].sel(fill_model="zipline"), alone["final_equity"])
    followed = kk.backtest(bars, trend, grid={"n": [10, 30]}, fill_model=models)
    for model in models:
        one = kk.backtest(bars, trend, grid={"n": [10, 30]}, fill_model=model)
        np.testing.assert_array_equal(followed["equity"].sel(fill_model=model), one["equity"])


def test_the_ledger_counts_what_was_tried_under_the_first(bars: xr.Dataset, tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    kk.backtest(bars, dip, grid=GRID, fill_model=["lean", "zipline"])
    assert [(row["role"], row["fill_model"], row["trials"]) for row in ledger.rows("trials")] == [
        ("rival", NAMED["lean"].codes(), 4),
        ("fill_model", NAMED["zipline"].codes(), 4),
    ]


def test_a_run_that_goes_on_under_each_named_model(bars: xr.Dataset) -> None:
    for name, model in NAMED.items():
        if model.close_out == "none":
            run = kk.start(bars.isel(time=slice(0, 500)), dip, fill_model=name)
            for k in range(500, 1200, 233):
                run.feed(bars.isel(time=slice(k, min(k + 233, 1200))))
            whole = kk.backtest(bars, dip, fill_model=name)
            assert run.result()["equity"].values.tobytes() == whole["equity"].values.tobytes(), name


def test_same_close_fills_at_the_price_that_was_seen(bars: xr.Dataset) -> None:
    @kk.strategy(warmup=0)
    def once(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 5:
            ctx.buy(1.0)

    fills = kk.fills(kk.backtest(bars, once, fill_model=kk.FillModel(market="same_close")))
    assert fills["price"].tolist() == [float(bars["close"][5, 0])]
    assert fills["at"].tolist() == ["former close"]
    assert fills["time"].tolist() == [pd.Timestamp(bars["known_at"].values[5])]


def test_every_named_model_is_a_setting_of_its_own() -> None:
    assert len(set(NAMED.values())) == len(NAMED)
    assert all(FillModel.of(name).label == name for name in NAMED)
