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
    assert single.n_trials == 2 * 2 + 3  # on A, too; and the portfolio trades both
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


def noise(seed: int, days: int = 900, volatility: float = 0.01) -> pd.DataFrame:
    """Days, 24/7, of a random walk."""
    close = np.round(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, volatility, days))), 3)
    prices = dict.fromkeys(("open", "high", "low", "close"), close)
    return pd.DataFrame(prices | {"volume": 1e6}, index=pd.date_range("2018-01-01", periods=days, freq="D"))


def test_the_best_of_many_assets_is_one_of_many() -> None:
    """Forty random walks: the best of them was chosen, whichever is left in the result."""
    bars = kk.data.from_pandas({f"N{k}": noise(k) for k in range(40)}, calendar="24/7", name="walks")
    res = kk.backtest(bars, above)
    found = judged(res)
    assert found.n_trials == 40
    assert not found.significant
    assert "40 trials of these markets so far" in found.line
    assert judged(res.sel(asset=found.evidence.trial.assets)).p_value == found.p_value


def test_interest_on_cash_is_no_skill(bars: xr.Dataset) -> None:
    @kk.strategy(warmup=0)
    def half(ctx, weight=0.5):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.target_percent(weight)

    account = kk.Account(cash=1e6, interest=0.04)
    res = kk.backtest(bars, half, grid={"weight": [0.0, 0.25, 0.5]}, account=account)
    for weight in (0.0, 0.25, 0.5):
        found = judged(res.sel(weight=weight))
        assert not found.significant, found.line
    assert "of returns above 4.1 % a year less beta" in str(found) or "of returns above 4 % a year less beta" in str(
        found
    )


def test_seldom_is_said_and_does_not_hide_others(bars: xr.Dataset) -> None:
    """Beta times the market is not activity: what holds for two weeks in twenty years does not enter."""

    @kk.strategy(warmup=0)
    def once(ctx, day=100):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0 if day <= ctx.i < day + 10 else 0.0)

    res = kk.backtest(bars, above, {"n": 200})
    before = judged(res).p_value
    few = kk.backtest(bars, once, grid={"day": range(100, 4500, 400)})
    after = judged(res)
    entered = after.evidence.headline.entered
    assert (int(entered.sum()), len(entered)) == (1, 12)
    assert after.p_value == pytest.approx(before, abs=0.06)  # other draws: these begin a block earlier
    assert "in the market in" in judged(few).meaning
    assert "16 are needed" in judged(few).meaning


def test_declared_trials_count_in_survivors_too(bars: xr.Dataset) -> None:
    res = kk.backtest(bars, above, grid={"n": range(100, 300, 20)}, start="2001")
    found = judged(res)
    kk.ledger.declare(10**6, "everything")
    assert found.survivors[0.05] >= judged(res).survivors[0.05] == 0


def test_an_odd_rival_stands_apart(bars: xr.Dataset) -> None:
    """One whose returns hang together for years does not make all others too little data."""
    res = kk.backtest(bars, above, grid={"n": range(20, 60)})
    rates = pd.Series(np.linspace(0.0, 0.08, 200), pd.date_range("1999-01-01", "2018-12-31", periods=200))

    @kk.strategy
    def slow(ctx):  # type: ignore[no-untyped-def]
        ctx.target_percent(0.001 if ctx.i % 2 else 0.0)

    kk.backtest(bars, slow, account=kk.Account(1e6, interest=rates))
    found = judged(res)
    assert not np.isnan(found.p_value)
    assert found.evidence.headline.dependent.sum() <= 1


def test_a_cell_that_is_masked_is_not_chosen(bars: xr.Dataset) -> None:
    res = kk.backtest(bars, above, grid={"n": [10, 20, 30]})
    left = res.where(res["sharpe_ratio"] < res["sharpe_ratio"].max())
    best = left["sharpe_ratio"].idxmax().item()
    assert judged(left).evidence.trial.params["n"] == best
    with pytest.raises(kk.errors.UsageError, match="result: found no labels of n"):
        judged(res.isel(n=0, drop=True))
    several = kk.backtest(bars, above, fill_model=["conservative", "lean"])
    with pytest.raises(kk.errors.UsageError, match="fill model of the result: found lean"):
        judged(several.isel(fill_model=1))
