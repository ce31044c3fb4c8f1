"""Rolling indicators against pandas and formulas written out; what they may depend on, and what not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk

N = 2300  # float sums restart at bars 1024 and 2048


def random_frame(n: int = N, seed: int = 5, lumps: bool = False) -> pd.DataFrame:
    """Hourly bars in cents; with `lumps` the volume spans 12 orders of magnitude."""
    draw = np.random.default_rng(seed)
    close = np.round(50.0 * np.exp(np.cumsum(draw.normal(0.0, 0.01, n))), 2)
    opens = np.round(np.r_[close[0], close[:-1]] * np.exp(draw.normal(0.0, 0.003, n)), 2)
    high = np.round(np.maximum(opens, close) + draw.integers(0, 50, n) / 100, 2)
    low = np.round(np.minimum(opens, close) - draw.integers(0, 50, n) / 100, 2)
    volume = 10.0 ** draw.integers(0, 13, n) if lumps else np.round(draw.exponential(1000.0, n), 1) + 1.0
    index = pd.date_range("2021-03-01", periods=n, freq="1h", tz="UTC")
    return pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": volume}, index=index)


def bars_of(frame: pd.DataFrame, **more: Any) -> xr.Dataset:
    reading = {"label": "open", "bar": "1h", "calendar": "24/7", "tick_size": 0.01} | more
    bars: xr.Dataset = kk.data.from_pandas(frame, **reading)
    return bars


@kk.strategy(warmup=0)
def everything(ctx, n=20, m=3):  # type: ignore[no-untyped-def]
    ctx.record("sma_close", ctx.close.sma(n))
    ctx.record("sma_volume", ctx.volume.sma(n))
    ctx.record("sum_open", ctx.open.sum(n))
    ctx.record("sum_volume", ctx.volume.sum(n))
    ctx.record("ema_close", ctx.close.ema(n))
    ctx.record("std_close", ctx.close.std(n))
    ctx.record("std_volume", ctx.volume.std(n))
    ctx.record("volatility_close", ctx.close.volatility(n))
    ctx.record("max_high", ctx.high.max(n))
    ctx.record("min_low", ctx.low.min(n))
    ctx.record("max_volume", ctx.volume.max(m))
    ctx.record("min_close", ctx.close.min(m))
    ctx.record("rsi_close", ctx.close.rsi(n))
    ctx.record("atr_bar", ctx.atr(n))
    ctx.record("vwap_bar", ctx.vwap(n))
    ctx.record("before_close", ctx.close.sma(n)[-1])


RECORDS = list(everything.program({"n": int, "m": int}).plan.records)


def recorded(bars: xr.Dataset, **params: int) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    res = kk.backtest(bars, everything, params)
    return {name: res[name].values for name in RECORDS}


def wilder(x: pd.Series, n: int) -> pd.Series:
    """Mean of the first n values, then (n - 1 : 1), written out."""
    out = np.full(len(x), np.nan)
    for i, value in enumerate(x.to_numpy()):
        if i == n - 1:
            out[i] = x.iloc[:n].mean()
        elif i >= n:
            out[i] = (out[i - 1] * (n - 1) + value) / n
    return pd.Series(out, x.index)


def by_pandas(frame: pd.DataFrame, n: int, m: int) -> dict[str, pd.Series]:
    c, v = frame["close"], frame["volume"]
    change = c.diff().iloc[1:]
    up, down = wilder(change.clip(lower=0.0), n), wilder(-change.clip(upper=0.0), n)
    before = c.shift()
    true_range = pd.concat([frame["high"], before], axis=1).max(axis=1) - pd.concat([frame["low"], before], axis=1).min(
        axis=1
    )
    typical = (frame["high"] + frame["low"] + c) / 3.0
    full = np.arange(len(c)) >= n - 1
    return {
        "sma_close": c.rolling(n).mean(),
        "sma_volume": v.rolling(n).mean(),
        "sum_open": frame["open"].rolling(n).sum(),
        "sum_volume": v.rolling(n).sum(),
        "ema_close": c.ewm(span=n, adjust=False).mean().where(full),
        "std_close": c.rolling(n).std(),
        "std_volume": v.rolling(n).std(),
        "volatility_close": c.pct_change().rolling(n).std(),
        "max_high": frame["high"].rolling(n).max(),
        "min_low": frame["low"].rolling(n).min(),
        "max_volume": v.rolling(m).max(),
        "min_close": c.rolling(m).min(),
        "rsi_close": (100.0 - 100.0 / (1.0 + up / down)).reindex(c.index),
        "atr_bar": wilder(true_range, n),
        "vwap_bar": (typical * v).rolling(n).sum() / v.rolling(n).sum(),
        "before_close": c.rolling(n).mean().shift(),
    }


@pytest.mark.parametrize(("n", "m"), [(20, 3), (2, 1), (1100, 37)])
@pytest.mark.oracle("pandas", covers="indicators")
def test_indicators_are_pandas(n: int, m: int) -> None:
    frame = random_frame()
    found, wanted = recorded(bars_of(frame), n=n, m=m), by_pandas(frame, n, m)
    assert set(found) == set(wanted)
    for name, series in wanted.items():
        # the sums behind std are shifted by a value up to 1024 bars old: an error of some 1e-13 in the variance
        # those behind volatility carry the rounding of up to 1024 additions: near zero the root magnifies it
        atol = 3e-6 if name.startswith("std") else 1e-9 if name.startswith("volatility") else 1e-12
        np.testing.assert_allclose(found[name], series.to_numpy(), rtol=1e-9, atol=atol, err_msg=name)
        assert np.isfinite(found[name]).sum() >= len(frame) - n - 1, name


@pytest.mark.oracle("pandas", covers="indicators")
def test_extremes_are_exact() -> None:
    frame = random_frame(seed=9)
    found, wanted = recorded(bars_of(frame), n=50, m=4), by_pandas(frame, 50, 4)
    for name in ("max_high", "min_low", "max_volume", "min_close"):
        np.testing.assert_array_equal(found[name], wanted[name].to_numpy(), name)


@pytest.mark.parametrize("tick", [0.01, 2.0**-7])
def test_means_of_prices_are_exact(tick: float) -> None:
    """One rounding of an exact sum: fractions say so, bit for bit."""
    from fractions import Fraction

    frame = random_frame(1500)
    if tick != 0.01:
        frame[["open", "high", "low", "close"]] = (frame[["open", "high", "low", "close"]] / tick).round() * tick
    found = recorded(bars_of(frame, tick_size=tick), n=700, m=2)["sma_close"]
    ticks = [round(Fraction(p) / Fraction(tick).limit_denominator(1000)) for p in frame["close"]]
    exact = Fraction(1, 100) if tick == 0.01 else Fraction(tick)
    for i in range(699, 1500, 40):
        assert found[i] == float(sum(ticks[i - 699 : i + 1]) * exact / 700), i


def test_spread_keeps_its_digits() -> None:
    """Volumes over 12 orders of magnitude: a running sum that never restarted would lose the small ones for good."""
    frame = random_frame(lumps=True)
    frame["volume"] *= 1.1
    frame.iloc[1024:, 4] = 3.0
    found = recorded(bars_of(frame), n=20, m=3)
    assert set(found["sma_volume"][1024 + 20 : 2048]) != {3.0}  # what the large ones left behind
    np.testing.assert_array_equal(found["sma_volume"][2048:], 3.0)
    np.testing.assert_array_equal(found["std_volume"][2048:], 0.0)
    np.testing.assert_array_equal(found["sum_volume"][2048:], 60.0)


def test_rsi_without_losses_and_without_change() -> None:
    rising, still = np.arange(1.0, 61.0), np.full(60, 7.0)
    for close, wanted in ((rising, 100.0), (still, 50.0), (rising[::-1], 0.0)):
        frame = random_frame(60)
        for name in ("open", "high", "low", "close"):
            frame[name] = close
        found = recorded(bars_of(frame), n=5, m=2)["rsi_close"]
        assert np.isnan(found[:5]).all()
        assert (found[5:] == wanted).all()


def test_vwap_without_volume_is_nan() -> None:
    frame = random_frame(60)
    frame["volume"] = 0.0
    assert np.isnan(recorded(bars_of(frame), n=5, m=2)["vwap_bar"]).all()


def test_rings_are_as_long_as_the_largest_window() -> None:
    """Swept together, every window has the bits that it has alone."""
    bars = bars_of(random_frame(600))
    res = kk.backtest(bars, everything, grid={"n": [2, 90, 17], "m": [40, 1]})
    for n in (2, 90, 17):
        for m in (40, 1):
            alone = recorded(bars, n=n, m=m)
            for name in RECORDS:
                np.testing.assert_array_equal(res[name].sel(n=n, m=m).values, alone[name], name)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, N - 1), min_size=1, max_size=3))
def test_truncation__a_value_depends_on_bars_up_to_its_own(cuts: list[int]) -> None:
    whole = recorded(BARS, n=31, m=7)
    for cut in cuts:
        part = recorded(BARS.isel(time=slice(0, cut)), n=31, m=7)
        for name in RECORDS:
            np.testing.assert_array_equal(part[name], whole[name][:cut], f"{name} cut at {cut}")


BARS = bars_of(random_frame())


@kk.indicator(state=dict(total=0.0, count=0))
def mean_so_far(s, x, weight):  # type: ignore[no-untyped-def]
    s.count += 1
    s.total += weight * x
    return s.total / s.count


@kk.strategy(warmup=0)
def outside(ctx, n=12):  # type: ignore[no-untyped-def]
    a = ctx.close.ema(n)
    b = ctx.volume.std(n)
    c = ctx.high.max(n)
    d = mean_so_far(ctx.close, 2.0)
    if ctx.i % 97 == 0:
        ctx.record("a", a)
        ctx.record("b", b)
        ctx.record("c", c)
        ctx.record("d", d)


@kk.strategy(warmup=0)
def inside(ctx, n=12):  # type: ignore[no-untyped-def]
    if ctx.i % 97 == 0:
        ctx.record("a", ctx.close.ema(n))
        ctx.record("b", ctx.volume.std(n))
        if ctx.i > 0 or ctx.close[0] > 0:
            ctx.record("c", ctx.high.max(n))
        ctx.record("d", mean_so_far(ctx.close, 2.0))


def test_an_indicator_under_an_if_equals_one_outside() -> None:
    one, other = kk.backtest(BARS, outside), kk.backtest(BARS, inside)
    for name in "abcd":
        values = one[name].values
        assert np.isfinite(values).sum() >= N // 97, name
        np.testing.assert_array_equal(values, other[name].values, name)


@kk.strategy(warmup=0)
def of_feature(ctx, n=10):  # type: ignore[no-untyped-def]
    ctx.record("value", ctx.x.mood[0])
    ctx.record("sma", ctx.x.mood.sma(n))
    ctx.record("std", ctx.x.mood.std(n))
    ctx.record("max", ctx.x.mood.max(n))
    ctx.record("min", ctx.x.mood.min(n))
    ctx.record("ema", ctx.x.mood.ema(n))
    ctx.record("rsi", ctx.x.mood.rsi(n))
    ctx.record("vol", ctx.x.mood.volatility(n))


@pytest.mark.oracle("pandas", covers="indicators")
def test_indicators_of_a_feature_with_gaps() -> None:
    """Where it is not known a feature is NaN; a window is NaN while it holds one of those, and no longer."""
    frame = random_frame(400)
    mood = pd.Series(np.sin(np.arange(400.0)) + 2.0, index=frame.index)
    gaps = np.r_[0:150, 220, 300:320]
    mood.iloc[gaps] = np.nan
    res = kk.backtest(kk.feature(bars_of(frame), "mood", mood, known_at=mood.index), of_feature)
    value = pd.Series(res["value"].values)
    assert 165 <= value.isna().sum() <= 180
    wanted = {
        "sma": value.rolling(10).mean(),
        "std": value.rolling(10).std(),
        "max": value.rolling(10).max(),
        "min": value.rolling(10).min(),
        "vol": (value / value.shift() - 1.0).rolling(10).std(),
    }
    for name, series in wanted.items():
        np.testing.assert_allclose(res[name].values, series.to_numpy(), rtol=1e-9, atol=1e-9, err_msg=name)
    tail = value.iloc[np.flatnonzero(value.isna())[-1] + 1 :]
    seeded = tail.ewm(span=10, adjust=False).mean()
    np.testing.assert_allclose(res["ema"].values[tail.index], seeded.to_numpy(), rtol=1e-12)
    change = tail.diff().iloc[1:]
    up, down = wilder(change.clip(lower=0.0), 10), wilder(-change.clip(upper=0.0), 10)
    np.testing.assert_allclose(res["rsi"].values[change.index], (100 - 100 / (1 + up / down)).to_numpy(), rtol=1e-12)
