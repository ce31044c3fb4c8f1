"""Trades: excursions against a slow walk over the bars, runs against every order of few outcomes, groups by clock."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError

m = kk.metrics


@kk.strategy
def breakout(ctx, n=15):  # type: ignore[no-untyped-def]
    if ctx.close[0] > ctx.close.sma(n):
        ctx.target_percent(0.9)
    else:
        ctx.target_percent(-0.4)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    bars = kk.data.load("sp500_index").isel(time=slice(0, 500))
    res = kk.backtest(bars, breakout)
    return SimpleNamespace(bars=bars, res=res, trades=kk.trades(res))


def test_excursions_bar_by_bar(run: Any) -> None:
    found = m.excursions(run.trades, run.bars)
    bars, trades = run.bars.isel(asset=0), run.trades
    assert len(trades) > 20
    for k in range(len(trades)):
        row = trades.iloc[k]
        opened, closed = (pd.Timestamp(row[c]).tz_localize(None).to_datetime64() for c in ("opened", "closed"))
        seen = [row["entry"], row["exit"]]
        for t in range(bars.sizes["time"]):
            if bars["known_at"].values[t] > opened and bars["open_at"].values[t] < closed:
                seen += [float(bars["low"][t]), float(bars["high"][t])]
        low, high = min(seen), max(seen)
        gain, loss = (high, low) if row["side"] == "long" else (low, high)
        sign = 1 if row["side"] == "long" else -1
        one = found.isel(trade=k)
        assert float(one["mfe"]) == pytest.approx(sign * (gain / row["entry"] - 1), abs=1e-12)
        assert float(one["mae"]) == pytest.approx(sign * (1 - loss / row["entry"]), abs=1e-12)
        assert float(one["total_efficiency"]) == pytest.approx(
            float(one["entry_efficiency"] + one["exit_efficiency"]) - 1.0, abs=1e-9
        )
    assert ((found["mae"] >= 0) & (found["mfe"] >= 0)).all()
    for share in ("entry_efficiency", "exit_efficiency"):
        assert ((found[share] >= 0) & (found[share] <= 1)).all()


def test_excursions_of_fills_inside_bars(run: Any) -> None:
    """T3: opened inside bar 3 and closed inside bar 5: of the range bars 4 and 5 count whole, bar 3 does not."""
    bars = run.bars.isel(time=slice(0, 10), asset=0)
    entry, end = float(bars["close"][3]), float(bars["close"][5])
    opened, closed = bars["known_at"].values[[3, 5]]
    trade = dict(asset="SPX", side="long", opened=opened, closed=closed, entry=entry, exit=end)
    found = m.excursions(pd.DataFrame([trade]), run.bars)
    top, bottom = (max(entry, float(bars["high"][4:6].max())), min(entry, float(bars["low"][4:6].min())))
    assert float(found["mfe"][0]) == pytest.approx(top / entry - 1.0, abs=1e-15)
    assert float(found["mae"][0]) == pytest.approx(1.0 - bottom / entry, abs=1e-15)


def test_excursions_of_other_assets_are_refused(run: Any) -> None:
    with pytest.raises(DataError, match="assets of the trades: found XYZ, wanted SPX"):
        m.excursions(run.trades.assign(asset="XYZ"), run.bars)


def test_m5__the_engine_s_trade_metrics_are_those_of_its_trades(run: Any) -> None:
    pnl = xr.DataArray(run.trades["pnl"].to_numpy(), dims="trade")
    for name in ("win_rate", "profit_factor"):
        found = getattr(m, name)(pnl, dim="trade")
        np.testing.assert_allclose(found, run.res[name], rtol=1e-9, err_msg=name)
    assert m.distribution(pnl, dim="trade")["n"] == run.res["n_trades"]
    held = m.hold_time(run.trades)
    assert held.attrs["units"] == "day"
    assert float(held.min()) > 0


@pytest.mark.oracle("SciPy", covers="streaks, distribution", cases=13)
def test_streaks_over_every_order() -> None:
    """Mean and variance of the runs over all orders of 5 gains and 4 losses are those by which z is made."""
    orders = sorted(set(itertools.permutations([1.0] * 5 + [-1.0] * 4)))
    found = m.streaks(np.array(orders))
    assert found["z"].mean() == pytest.approx(0.0, abs=1e-12)
    assert found["z"].std() == pytest.approx(1.0, abs=1e-12)
    for order, runs, gains, losses in zip(
        orders, found["runs"], found["longest_gains"], found["longest_losses"], strict=True
    ):
        groups = [(key, len(list(group))) for key, group in itertools.groupby(order)]
        assert runs == len(groups)
        assert gains == max(n for key, n in groups if key > 0)
        assert losses == max(n for key, n in groups if key < 0)
    np.testing.assert_allclose(found["p_value"], 2 * scipy.stats.norm.sf(np.abs(found["z"])), rtol=1e-12)
    x = np.random.default_rng(3).normal(size=(12, 40))
    spread = m.distribution(x)
    np.testing.assert_allclose(spread["q25"], scipy.stats.scoreatpercentile(x, 25, axis=-1), rtol=1e-12)


def test_streaks_of_gains_alone() -> None:
    found = m.streaks(np.array([1.0, 2.0, 3.0]))
    assert (found["runs"], found["longest_gains"], found["longest_losses"]) == (1.0, 3.0, 0.0)
    assert found["win_after_win"] == 1.0
    assert np.isnan(found["z"])
    assert np.isnan(found["win_after_loss"])


def test_trades_by_the_clock(run: Any) -> None:
    table = run.trades
    found = m.trades_by(table, "weekday", tz="America/New_York")
    assert int(found["n"].sum()) == len(table)
    assert float(found["pnl"].sum()) == pytest.approx(table["pnl"].sum())
    days = pd.DatetimeIndex(table["opened"])
    days = (days if days.tz is not None else days.tz_localize("UTC")).tz_convert("America/New_York").day_name()
    for day in found["weekday"].values:
        own = table["pnl"][days == day]
        assert int(found["n"].sel(weekday=day)) == len(own)
        if len(own):
            assert float(found["win_rate"].sel(weekday=day)) == pytest.approx((own > 0).mean())
        else:
            assert np.isnan(found["mean_pnl"].sel(weekday=day))
    hours = m.trades_by(table, "hour", at="closed")
    assert hours.sizes == {"hour": 24}
    assert int(hours["n"].sum()) == len(table)
    with pytest.raises(DataError, match="by: found 'month', wanted 'weekday' or 'hour'"):
        m.trades_by(table, "month")
