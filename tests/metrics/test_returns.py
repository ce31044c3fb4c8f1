"""Levels to returns (M1), and the engine's metrics again from its own curve (M5, M10)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.metrics.period import PeriodsWarning

returns = kk.metrics.returns
FEW = kk.inference.Resampling("circular", length=10, replications=19)


@pytest.mark.parametrize(
    ("level", "initial", "wanted"),
    [
        ([100.0, 110.0, 99.0], None, [np.nan, 0.1, -0.1]),
        ([110.0, 99.0], 100.0, [0.1, -0.1]),
        ([100.0, np.nan, 110.0], None, [np.nan, 0.0, 0.1]),
        ([np.nan, 100.0, 110.0, np.nan], None, [np.nan, np.nan, 0.1, np.nan]),
        ([np.nan, 110.0], 100.0, [np.nan, 0.1]),
        ([100.0, -5.0, 3.0], 100.0, [0.0, -1.0, 0.0]),
        ([100.0, 0.0, 3.0, 6.0, 9.0], 100.0, [0.0, -1.0, 0.0, 0.0, 0.0]),
        ([100.0, -5.0, np.nan, 6.0, 9.0], 100.0, [0.0, -1.0, 0.0, 0.0, 0.0]),
        ([np.nan, np.nan], 100.0, [np.nan, np.nan]),
    ],
)
def test_m1__returns_of_levels(level: list[float], initial: float | None, wanted: list[float]) -> None:
    np.testing.assert_allclose(returns(np.array(level), initial=initial), wanted, atol=1e-15)


@pytest.mark.parametrize(
    ("start", "freq", "wanted"),
    [
        ("2024-01-01", "D", 365.0),
        ("2024-01-01", "B", 252.0),
        ("2024-01-05", "W", 52.0),
        ("2024-01-31", "ME", 12.0),
        ("2024-03-31", "QE", 4.0),
        ("2020-12-31", "YE", 1.0),
    ],
)
def test_m10__labels_tell_the_periods(start: str, freq: str, wanted: float) -> None:
    times = pd.date_range(start, periods=30, freq=freq)
    x = xr.DataArray(np.random.default_rng(1).normal(size=30), {"time": times}, "time")
    found = kk.metrics.volatility(x)
    assert found.attrs["periods_per_year"] == wanted
    assert float(found) == float(kk.metrics.volatility(x, periods=wanted))
    assert kk.metrics.volatility(x.assign_attrs(periods_per_year=300)).attrs["periods_per_year"] == 300


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (np.arange(5.0), "an array without labels"),
        (xr.DataArray(np.arange(5.0), dims="time"), "no times along 'time'"),
        (xr.DataArray(np.arange(5.0), {"time": np.arange(5)}, "time"), "no times along 'time'"),
        (xr.DataArray(np.arange(2.0), {"time": pd.date_range("2024", periods=2)}, "time"), "no times along 'time'"),
        (xr.DataArray(np.arange(9.0), {"time": pd.date_range("2024", periods=9, freq="h")}, "time"), "days apart"),
    ],
)
def test_m10__what_tells_no_periods_is_refused(x: object, found: str) -> None:
    with pytest.raises(DataError, match=rf"periods: found .*{found}.*Pass periods=252"):
        kk.metrics.volatility(x)


@kk.strategy
def trend(ctx, n=20):  # type: ignore[no-untyped-def]
    if ctx.close[0] > ctx.close.sma(n):
        ctx.target_percent(1.5)
    else:
        ctx.target_percent(-0.5)


HOURS = pd.date_range("2024-01-01T03:00", periods=8, freq="6h")  # three sessions, of 4 bars but for the ends
LEVEL = xr.DataArray(
    [100.0, 110.0, np.nan, 121.0, 90.0, 100.0, np.nan, 133.1],
    {"time": HOURS, "session": ("time", [1, 1, 1, 2, 2, 2, 2, 3])},
    "time",
    attrs={"periods_per_year": 252.0},
)


def test_m1_m15__returns_are_those_of_session_closes() -> None:
    found = returns(LEVEL, initial=88.0)
    np.testing.assert_allclose(found, [0.25, -1 / 11, 0.331], rtol=1e-12)
    np.testing.assert_array_equal(found["time"], HOURS[[2, 6, 7]])
    assert found["session"].values.tolist() == [1, 2, 3]
    assert (found.name, found.attrs["sampling"], found.attrs["periods_per_year"]) == ("returns", "session", 252.0)
    sharpe = kk.metrics.sharpe_ratio(found)
    assert (sharpe.name, sharpe.attrs["sampling"], sharpe.attrs["periods_per_year"]) == (
        "sharpe_ratio",
        "session",
        252.0,
    )
    xr.testing.assert_identical(returns(LEVEL.chunk(time=3), initial=88.0).compute(), found)
    xr.testing.assert_identical(returns(LEVEL.expand_dims(trial=[7]), initial=88.0)[0].drop_vars("trial"), found)
    # one level a session: closes taken before are closes
    again = returns(LEVEL.groupby("session").last(), initial=88.0, dim="session")
    np.testing.assert_array_equal(again, found)


def test_m15__returns_of_bars_say_so() -> None:
    found = returns(LEVEL, initial=100.0, sampling="bar")
    np.testing.assert_allclose(found, [0.0, 0.1, 0.0, 0.1, 90 / 121 - 1, 1 / 9, 0.0, 0.331], atol=1e-12)
    assert (found.name, found.attrs["sampling"], found.attrs["periods_per_year"]) == ("returns_bar", "bar", 3 * 252.0)
    sharpe = kk.metrics.sharpe_ratio(found)
    assert (sharpe.name, sharpe.attrs["periods_per_year"]) == ("sharpe_ratio_bar", 756.0)
    assert sharpe == kk.metrics.sharpe_ratio(found.values, periods=756)


def test_m15__a_trend_is_that_of_session_closes() -> None:
    hours = np.arange("2024-01-01", "2024-03-01", dtype="M8[h]").astype("M8[ns]")
    values = np.exp(np.cumsum(np.random.default_rng(4).normal(1e-4, 0.01, len(hours))))
    session = ("time", hours.astype("M8[D]").astype("i8"))
    level = xr.DataArray(values, {"time": hours, "session": session}, "time", attrs={"periods_per_year": 365.0})
    closes = level.isel(time=slice(23, None, 24))
    xr.testing.assert_equal(kk.metrics.trend(level), kk.metrics.trend(closes))
    assert kk.metrics.trend(level, sampling="bar").attrs["periods_per_year"] == 365.0 * 24
    assert kk.metrics.trend(level, periods=252).attrs["periods_per_year"] == 252.0
    drift = float(np.exp(365.0 * np.mean(np.diff(np.log(closes.values)))) - 1.0)
    assert float(kk.metrics.trend(level)["drift"]) == pytest.approx(drift)
    with pytest.raises(DataError, match="session"):
        kk.metrics.trend(level.drop_vars("session"))


@pytest.mark.parametrize(
    "measure",
    [
        lambda x, **more: kk.metrics.sharpe_ratio(x, **more),
        lambda x, **more: kk.metrics.summary(x, **more),
        lambda x, **more: kk.metrics.factor_model(x, x.expand_dims(factor=["own"]) + 1e-3 * x**2, **more),
        lambda x, **more: kk.inference.sharpe_difference(x, -x, method="hac", **more),
        lambda x, **more: kk.inference.bootstrap_moments(x, resampling=FEW, **more),
        lambda x, **more: kk.inference.probabilistic_sharpe_ratio(x, **more),
    ],
)
def test_m10__samples_of_a_day_are_no_days(measure: Any) -> None:
    """A warning is an error here."""
    hours = np.arange("2024-01-01", "2024-02-01", dtype="M8[h]").astype("M8[ns]")
    x = xr.DataArray(np.random.default_rng(4).normal(1e-4, 0.01, len(hours)), {"time": hours}, "time")
    with pytest.warns(PeriodsWarning, match="found 252 a year, of a series with several a day") as told:
        measure(x, periods=252)
    assert [w.filename for w in told] == [__file__]
    with pytest.warns(PeriodsWarning, match="found 365 a year"):
        measure(x.assign_attrs(periods_per_year=365))
    measure(x, periods=365 * 24)
    measure(x.isel(time=slice(None, None, 24)), periods=252)
    measure(x.drop_vars("time"), periods=252)
    for wrong in (-1, "252", True):
        with pytest.raises(UsageError, match="wanted a number above 0"):
            measure(x, periods=wrong)


def test_m15__levels_that_no_session_is_told_of() -> None:
    bare = LEVEL.drop_vars("session").rename("equity")
    with pytest.raises(DataError, match=r"equity: found several samples a day.*Pass sampling='bar', or level.assign_c"):
        returns(bare)
    assert returns(bare, sampling="bar").attrs["periods_per_year"] == 252.0  # as it was given
    daily = bare.assign_coords(time=pd.date_range("2024-01-01", periods=8))
    assert returns(daily).sizes["time"] == 8


@kk.strategy
def minutes(ctx, n=20):  # type: ignore[no-untyped-def]
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else -0.5)


def test_m15__intraday_metrics_of_the_engine_s_own_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word on sessions or periods: both stand on the curve."""
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    bars = kk.data.load("synthetic_minute").isel(time=slice(0, 12_000))
    res = kk.backtest(bars, minutes, grid=dict(n=[30, 300]), account=kk.Account(cash=5e5))
    x = returns(res["equity"], initial=5e5)
    assert 8 <= x.sizes["time"] < 10
    for name in ("sharpe_ratio", "sortino_ratio", "volatility", "total_return"):
        np.testing.assert_allclose(getattr(kk.metrics, name)(x), res[name], rtol=1e-10, atol=1e-13, err_msg=name)
    every = returns(res["equity"], initial=5e5, sampling="bar")
    np.testing.assert_allclose(kk.metrics.max_drawdown(every), res["max_drawdown"], rtol=1e-12)
    assert every.attrs["periods_per_year"] == 365.0 * 1440.0
    kk.save(res.isel(n=0), tmp_path / "kept.zarr")
    assert "session" not in xr.open_zarr(tmp_path / "kept.zarr", consolidated=False)


def test_m5__the_engine_s_metrics_are_those_of_its_session_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    bars = kk.data.load("sp500_index").isel(time=slice(0, 900))
    res = kk.backtest(bars, trend, grid=dict(n=[10, 50, 100]), account=kk.Account(cash=5e5))
    x = returns(res["equity"], initial=5e5)
    alike = dict(rtol=1e-11, atol=1e-13)
    for name in ("sharpe_ratio", "sortino_ratio", "volatility", "total_return", "max_drawdown"):
        found = getattr(kk.metrics, name)(x)
        np.testing.assert_allclose(found, res[name], **alike, err_msg=name)
        assert found.attrs["units"] == res[name].attrs["units"]
        assert found.attrs["long_name"] == res[name].attrs["long_name"]
        assert found.dims == res[name].dims
    # M5 counts elapsed days, from the decision before the first sample
    n, growth = x.sizes["time"], 1.0 + res["total_return"]
    years = np.log(growth) / np.log1p(res["cagr"])
    for trial in range(3):
        periods = n / float(years[trial])
        for name in ("cagr", "calmar_ratio"):
            found = getattr(kk.metrics, name)(x[trial], periods=periods)
            np.testing.assert_allclose(found, res[name][trial], rtol=1e-9, err_msg=name)
