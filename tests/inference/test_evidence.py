"""What a verdict rests on: blocks of several levels, accounts and fill models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit import ledger


@kk.strategy
def above(ctx, n=20):  # type: ignore[no-untyped-def]
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of the test's own."""
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def bars() -> xr.Dataset:
    out: xr.Dataset = kk.data.load("sp500_index")
    return out


def judged(res: xr.Dataset, **more: Any) -> Any:
    return kk.verdict(res, replications=199, **more)


def test_a_short_span_is_not_judged_in_the_long_blocks_of_others(bars: xr.Dataset) -> None:
    """Rivals over twenty years have blocks of 128 days; one over a year keeps blocks of its own, they stand apart."""
    kk.backtest(bars, above, grid={"n": range(10, 60)})
    res = kk.backtest(bars, above, {"n": 15}, start="2017-01", end="2017-12")
    found = judged(res)
    assert found.evidence.headline is not None
    assert found.evidence.headline.blocks >= 16
    assert found.evidence.family.apart == 50
    assert found.n_trials == 51
    alone = found.evidence.headline.p[0]
    assert found.p_value == pytest.approx(1 - (1 - alone) ** 51)


def test_fill_models_are_no_rivals_and_their_spread_is_told(bars: xr.Dataset) -> None:
    res = kk.backtest(bars, above, grid={"n": [10, 20]}, fill_model=["conservative", "lean"])
    found = judged(res)
    assert found.n_trials == 2
    spread = float(res["total_return_spread"].sel(n=found.evidence.trial.params["n"]))
    assert f"total return differs by {100 * spread:.1f} %" in str(found)


def test_excluded_cells_are_no_trials(bars: xr.Dataset) -> None:
    res = kk.backtest(bars, above, grid={"n": range(10, 20)}, where="n < 13")
    assert judged(res).n_trials == 3


def test_a_portfolio_is_judged_by_its_own_account() -> None:
    rng = np.random.default_rng(5)
    index = pd.date_range("2018-01-01", periods=900, freq="D")
    frames = {}
    for name in ("A", "B"):
        close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, 900))), 2)
        frames[name] = pd.DataFrame(
            dict.fromkeys(("open", "high", "low", "close"), close) | {"volume": 1e6}, index=index
        )
    bars = kk.data.from_pandas(frames, calendar="24/7")

    @kk.portfolio
    def both(ctx, n=10):  # type: ignore[no-untyped-def]
        for k in ctx.tradable:
            ctx[k].target_percent(0.5 if ctx[k].close[0] > ctx[k].close.sma(n) else 0.0)

    res = kk.backtest(bars, both, grid={"n": [5, 10, 20]})
    found = judged(res)
    assert (found.evidence.trial.assets, found.n_trials) == ("A, B", 3)
    single = judged(kk.backtest(bars, above, grid={"n": [5, 10]}).sel(asset="B"))
    assert single.n_trials == 2 + 3  # the portfolio trades B, too
    assert {r["role"] for r in ledger.rows("trials")} == {"rival"}


def test_a_saved_result_is_judged_too(bars: xr.Dataset, tmp_path: Path) -> None:
    res = kk.backtest(bars, above, grid={"n": [10, 20]})
    kk.save(res, tmp_path / "res.zarr")
    with xr.open_zarr(tmp_path / "res.zarr", consolidated=False) as stored:
        assert judged(stored).p_value == judged(res).p_value


def test_without_variance_there_is_too_little_data(bars: xr.Dataset) -> None:
    @kk.strategy
    def idle(ctx):  # type: ignore[no-untyped-def]
        pass

    found = judged(kk.backtest(bars, idle))
    assert found.judgement == "TOO LITTLE DATA"
    assert not found.significant
    assert np.isnan(found.p_value)
    assert "cannot be called significant" in str(found)
    assert found.line.startswith("Verdict: too little data; 1 trial of this market so far, Sharpe nan")
