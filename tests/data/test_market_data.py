"""Real files with real defects: what is sound loads, what is broken is refused by row."""

import json

import numpy as np
import pandas as pd
import pytest

from kernelkit import schema
from kernelkit.data import from_pandas, synthetic
from kernelkit.errors import DataError

pytestmark = pytest.mark.market_data

OHLCV = ["open", "high", "low", "close", "volume"]


@pytest.fixture(scope="module")
def lean_daily(market_data):
    table = pd.read_parquet(market_data / "equity" / "lean_us_daily_raw.parquet")
    return {s: f.drop(columns="symbol").set_index("ts") for s, f in table.groupby("symbol", observed=True)}


def crypto(market_data, name, **options):
    table = pd.read_csv(market_data / "crypto" / name, skiprows=1, **options)
    table.columns = table.columns.str.lower()
    return table.rename(columns={"volume btc": "volume"})


def test_spy__every_session_of_the_exchange(lean_daily):
    bars = from_pandas({"SPY": lean_daily["SPY"]}, calendar="XNYS")
    schema.check_bars(bars)
    assert bars.sizes["time"] == 5849
    assert str(bars["known_at"].values[0]) == "1998-01-02T21:00:00.000000000"
    assert bars.attrs["max_snap_error"] < 1e-9


def test_spy__half_cents_are_not_on_a_cent_grid(lean_daily):
    spy = lean_daily["SPY"]
    halves = int((spy[OHLCV[:4]].round(2) != spy[OHLCV[:4]]).any(axis=1).sum())
    match = rf"found {halves} rows off the grid: row 3942 \(2013-09-04: low 164.135\); row 5534"
    with pytest.raises(DataError, match=match):
        from_pandas({"SPY": spy}, calendar="XNYS", tick_size=0.01)
    bars = from_pandas({"SPY": spy.iloc[:3942]}, calendar="XNYS", tick_size=0.01)
    assert np.array_equal(bars["close"].values[:, 0], spy["close"].to_numpy()[:3942])


def test_lean__all_tickers_on_one_calendar(lean_daily):
    bars = from_pandas(lean_daily, calendar="XNYS")
    schema.check_bars(bars)
    assert bars["valid"].sum("time").values.tolist() == [len(lean_daily[s]) for s in bars["asset"].values]
    qqq = bars["valid"].sel(asset="QQQ", time=slice("2004-11-30", "2011-03-23"))
    assert 0 < qqq.sum() <= 2


def test_lean_hours__late_prints_on_half_days_are_refused(market_data):
    table = pd.read_parquet(market_data / "equity" / "lean_us_hour_raw.parquet")
    spy = table[table["symbol"] == "SPY"].drop(columns="symbol").set_index("ts")
    how = {"label": "open", "calendar": "XNYS", "tz": "America/New_York"}
    found = r"24 rows outside the sessions: row 6837 \(2001-11-23 14:00:00-05:00\)"
    with pytest.raises(DataError, match=found) as caught:
        from_pandas({"SPY": spy}, **how)
    advice = str(caught.value).partition("Drop them (")[2].partition(")),")[0]
    kept = eval(advice + ")", {"frame": spy})
    bars = from_pandas({"SPY": kept}, **how)
    assert (bars.sizes["time"], bars.attrs["bar"]) == (40_808, "1h")
    assert str(bars["open_at"].values[0])[:16] == "1998-01-02T14:30"
    with pytest.raises(DataError, match="outside the sessions"):
        from_pandas({"SPY": kept}, **how | {"tz": "UTC"})


def test_vix__47_broken_rows_are_named(market_data):
    vix = pd.read_csv(market_data / "macro" / "vix_daily.csv.gz", index_col=0, parse_dates=True)
    with pytest.raises(DataError) as caught:
        from_pandas({"VIX": vix}, calendar="XNYS")
    text = str(caught.value)
    assert "high is below open or close in 20 rows: row 533 (1992-02-11: open 19.24 high 18.57 low 17.61" in text
    assert "low is above open or close in 27 rows: row 668 (1992-08-24: open 13.74 high 16.48 low 15.21" in text
    advice = [line[line.index("frame.drop(") :].rstrip(".") for line in text.splitlines()[1:]]
    broken = vix.index[[]]
    for expression in advice:
        broken = broken.union(vix.index.difference(eval(expression, {"frame": vix}).index))
    assert len(broken) == 47
    with pytest.raises(DataError, match=r"dates of 'VIX': found \d+ rows without a session"):
        from_pandas({"VIX": vix.drop(broken)}, calendar="XNYS")
    assert from_pandas({"VIX": vix.drop(broken)}, calendar="24/5")["volume"].isnull().all()


def test_backtrader__european_days_on_cents(market_data):
    path = market_data / "reference" / "backtrader_2006-day-001.csv"
    days = pd.read_csv(path, index_col=0, parse_dates=True)
    with pytest.raises(DataError, match="unknown 'OpenInterest'"):
        from_pandas(days, calendar="XFRA")
    bars = from_pandas(days.drop(columns="OpenInterest"), calendar="XFRA", tick_size=0.01)
    assert (bars.sizes["time"], bars.attrs["tz"]) == (255, "Europe/Berlin")
    with pytest.raises(DataError, match=r"7 rows without a session: row 0 \(2006-01-02\)"):
        from_pandas(days.drop(columns="OpenInterest"), calendar="XNYS")


def test_binance_daily__newest_first_is_said_and_sorted_loads(market_data):
    days = crypto(market_data, "binance_btcusdt_spot_1d_2017_2024_raw.csv.gz", index_col="Date", parse_dates=True)
    with pytest.raises(DataError, match=r"2,548 such steps.*newest first"):
        from_pandas({"BTC": days[OHLCV]}, calendar="24/7")
    bars = from_pandas({"BTC": days[OHLCV].sort_index()}, calendar="24/7", tick_size=0.01)
    assert bars.sizes["time"] == 2549
    assert np.array_equal(bars["close"].values[:, 0], days["close"].sort_index().to_numpy())


def test_binance_hourly__2649_duplicates_are_refused(market_data):
    hours = crypto(market_data, "binance_btcusdt_1h_2017_2020_raw.csv.gz")
    text = hours["date"].str.replace(r" (\d\d)-([AP]M)", r" \1 \2", regex=True)
    hours = hours.set_index(pd.to_datetime(text, format="mixed"))[OHLCV].sort_index()
    with pytest.raises(DataError, match="2,649 rows with the timestamp of the row before"):
        from_pandas({"BTC": hours}, label="open", calendar="24/7")
    bars = from_pandas({"BTC": hours[~hours.index.duplicated()]}, label="open", calendar="24/7")
    assert bars.attrs["bar"] == "1h"


def test_minutes__the_calibration_is_that_of_the_file_it_cites(market_data):
    table = json.loads((market_data / "reference" / "calibration_measured.json").read_text())["btc_perp_1m_2022_01"]
    names = {"annual_volatility": "ann_vol", "excess_kurtosis": "ex_kurt", "zero_return_share": "zero_ret_share"}
    for name, target in synthetic.TARGETS.items():
        assert target == pytest.approx(table[names.get(name, name)], rel=5e-3)
    assert list(table["intraday_u"].values()) == list(synthetic.HOURLY_VOLATILITY)
