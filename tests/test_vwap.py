"""Market orders at the next bar's volume-weighted mean price (F10), and how that enters (`vwap`)."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.data import store
from kernelkit.errors import DataError, OrderError

NEXT = kk.FillModel(market="next_vwap")
READING = {"label": "open", "bar": "1D", "calendar": "24/7", "lot_size": 1.0}


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


def frame(*rows: tuple[float, ...]) -> pd.DataFrame:
    index = pd.date_range("2024-01-01", periods=len(rows), freq="1D")
    return pd.DataFrame(rows, index, ["open", "high", "low", "close", "volume", "vwap"])


def bars_of(*rows: tuple[float, ...], tick: float = 0.01) -> xr.Dataset:
    bars: xr.Dataset = kk.data.from_pandas(frame(*rows), tick_size=tick, **READING)
    return bars


FIRST = (100.0, 101.0, 99.0, 100.0, 10.0, 100.0)


@kk.strategy
def both(ctx, tif=0):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        if tif == 0:
            ctx.buy(2.0)
            ctx.sell(1.0)
        elif tif == 1:
            ctx.buy(2.0, tif="IOC")
        else:
            ctx.buy(2.0, tif="DAY")


@pytest.mark.parametrize(
    ("vwap", "bought", "sold"),
    [
        (100.123, 100.13, 100.12),
        (100.12, 100.12, 100.12),
        (100.12000000001, 100.12, 100.12),  # Q2: that is the tick
        (101.005, 101.0, 101.0),  # F10: within the bar
        (98.993, 99.0, 99.0),
        (100.999, 101.0, 100.99),
    ],
)
def test_f10_whole_ticks_against_the_order_within_the_bar(vwap: float, bought: float, sold: float) -> None:
    bars = bars_of(FIRST, (100.0, 101.0, 99.0, 100.5, 10.0, vwap))
    fills = kk.fills(kk.backtest(bars, both, fill_model=NEXT))
    assert fills["price"].tolist() == [bought, sold]
    assert fills["at"].tolist() == ["bar", "bar"]
    assert fills["time"].tolist() == [pd.Timestamp("2024-01-03")] * 2
    assert kk.fills(kk.backtest(bars, both, fill_model=NEXT, debug=True)).equals(fills)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(9000, 11000),
    st.integers(0, 400),
    st.integers(0, 400),
    st.floats(0.0, 1.0),
    st.sampled_from([0.01, 0.25]),
)
def test_f10_by_exact_fractions(low: int, up: int, more: int, part: float, tick: float) -> None:
    top = low + up + more
    vwap = (low + part * (top - low)) * tick
    bars = bars_of(
        (*[(low + up) * tick] * 4, 1.0, (low + up) * tick),
        ((low + up) * tick, top * tick, low * tick, (low + up) * tick, 5.0, vwap),
        tick=tick,
    )
    prices = [
        Fraction(p).limit_denominator(100) / Fraction(tick).limit_denominator(100)
        for p in kk.fills(kk.backtest(bars, both, fill_model=NEXT))["price"]
    ]
    exact = Fraction(vwap) / Fraction(tick).limit_denominator(100)
    for k, ahead in zip(prices, (1, -1), strict=True):
        assert k.denominator == 1
        assert low <= k <= top
        assert -Fraction(1, 10**6) <= (k - exact) * ahead < 1


def test_f10_waits_for_volume() -> None:
    still = (100.0, 100.0, 100.0, 100.0, 0.0, np.nan)
    bars = bars_of(FIRST, still, (100.0, 102.0, 99.0, 101.0, 4.0, 100.5), FIRST)
    resting = kk.backtest(bars, both, fill_model=NEXT)
    assert kk.fills(resting)["time"].tolist() == [pd.Timestamp("2024-01-04")] * 2
    for tif, reason in ((1, "ioc"), (2, "day")):
        assert kk.orders(kk.backtest(bars, both, {"tif": tif}, fill_model=NEXT))["reason"].tolist() == [reason]


def test_f10_woken_exits_see_the_whole_bar() -> None:
    """F7: though the entry came late."""

    @kk.strategy
    def once(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.bracket(1.0, stop=99.5)

    bars = bars_of(FIRST, (100.0, 101.0, 99.0, 100.5, 10.0, 99.2))
    assert kk.fills(kk.backtest(bars, once, fill_model=NEXT))["price"].tolist() == [99.2, 99.2]


def test_f10_several_assets_one_account_and_finer_bars() -> None:
    rows = [FIRST, (100.0, 101.0, 99.0, 100.5, 10.0, 100.25)]
    two = kk.data.from_pandas({"a": frame(*rows), "b": frame(*rows).drop(columns="vwap")}, tick_size=0.01, **READING)

    @kk.portfolio
    def first(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].buy(1.0)

    with pytest.raises(DataError, match=r"vwap of b: found none, wanted a mean price of each bar"):
        kk.backtest(two, first, fill_model=NEXT)
    whole = kk.data.from_pandas({"a": frame(*rows), "b": frame(*rows)}, tick_size=0.01, **READING)
    assert kk.fills(kk.backtest(whole, first, fill_model=NEXT))["price"].tolist() == [100.25]
    fine = kk.data.from_pandas(
        frame(
            FIRST, FIRST, (100.0, 101.0, 99.0, 100.0, 5.0, 99.75), (100.0, 101.0, 99.0, 100.5, 5.0, 100.75)
        ).set_index(pd.date_range("2024-01-01", periods=4, freq="12h")),
        tick_size=0.01,
        **{**READING, "bar": "12h"},
    )
    model = kk.FillModel(market="next_vwap", path="finer")
    plain = bars_of(*rows).drop_vars("vwap")
    assert kk.fills(kk.backtest(plain, both, fill_model=model, finer=fine))["price"].tolist() == [99.75, 99.75]
    with pytest.raises(DataError, match=r"vwap of asset: found none"):
        kk.backtest(plain, both, fill_model=model, finer=fine.drop_vars("vwap"))


def test_f10_a_run_that_goes_on_and_an_audit() -> None:
    rng = np.random.default_rng(2)
    close = 100.0 + np.round(np.cumsum(rng.normal(0.0, 0.3, 120)), 2)
    rows = [
        (c, c + 1.0, c - 1.0, c, float(v), c + float(x))
        for c, v, x in zip(close, rng.integers(1, 9, 120), rng.uniform(-1, 1, 120), strict=True)
    ]

    @kk.strategy
    def turn(ctx):  # type: ignore[no-untyped-def]
        ctx.target(1.0 if ctx.close[0] > ctx.close.sma(5) else -1.0)

    bars = bars_of(*rows)
    whole = kk.backtest(bars, turn, fill_model=NEXT)
    run = kk.start(bars.isel(time=slice(0, 50)), turn, fill_model=NEXT)
    assert run.feed(frame(*rows).iloc[50:]).result()["equity"].values.tobytes() == whole["equity"].values.tobytes()
    with pytest.raises(DataError, match=r"bars to append: found vwap in the former ones only"):
        kk.start(bars.isel(time=slice(0, 50)), turn, fill_model=NEXT).feed(frame(*rows).iloc[50:].drop(columns="vwap"))
    assert kk.audit(bars, turn, fill_model=NEXT, cuts=6).blind


def test_vwap_enters_checked_and_is_kept(tmp_path: Path) -> None:
    good = frame(FIRST, (100.0, 101.0, 99.0, 100.5, 0.0, 100.0))
    bars = kk.data.from_pandas(good, tick_size=0.01, **READING)
    assert np.isnan(bars["vwap"].values[1, 0])  # nothing was traded
    assert bars["vwap"].attrs["units"] == "quote"
    other = good.copy()
    other.iloc[0, 5] = 100.5
    assert kk.data.from_pandas(other, tick_size=0.01, **READING).attrs["lineage"] != bars.attrs["lineage"]
    assert store.load(store.save(bars, tmp_path / "bars.zarr")).identical(bars)
    tick_off = good.copy()
    tick_off.iloc[0, 5] = 101.01
    kk.data.from_pandas(tick_off, tick_size=0.01, **READING)
    for value, match in ((101.02, r"vwap of 'asset': found 1 row with one outside: row 0 \(2024-01-01.*vwap 101.02"),):
        wrong = good.copy()
        wrong.iloc[0, 5] = value
        with pytest.raises(DataError, match=match):
            kk.data.from_pandas(wrong, tick_size=0.01, **READING)
    for value in (np.nan, np.inf, -1.0, 0.0):
        wrong = good.copy()
        wrong.iloc[0, 5] = value
        with pytest.raises(DataError, match="vwap is not a positive price in 1 row"):
            kk.data.from_pandas(wrong, tick_size=0.01, **READING)


def test_f10_refusals() -> None:
    bars = bars_of(FIRST, FIRST).drop_vars("vwap")
    with pytest.raises(DataError, match=r"vwap of asset: found none.*from_pandas a frame with a column vwap"):
        kk.backtest(bars, both, fill_model=["conservative", NEXT])
    with pytest.raises(OrderError, match="market of the fill model"):
        kk.FillModel(market="next_vwap", path="close")
