"""Bars of higher timeframes are what pandas makes of the bars, and close when the calendar says (rules W1-W5)."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.data import from_pandas
from kernelkit.data.resample import check_timeframe
from kernelkit.errors import DataError, UsageError
from kernelkit.kernels import layout as L
from kernelkit.kernels.timeframe import canonical, length
from kernelkit.table import panel_of
from tests import higher as oracle

NY = "America/New_York"


def frame_over(index, seed=0):
    random = np.random.default_rng(seed)
    close = np.round(100.0 * np.exp(np.cumsum(random.normal(0.0, 1e-3, len(index)))), 2)
    opens = np.round(close + random.normal(0.0, 0.05, len(index)), 2)
    top, bottom = np.maximum(opens, close) + 0.01, np.minimum(opens, close) - 0.01
    volume = random.integers(1, 1000, len(index)).astype("f8")
    return pd.DataFrame({"open": opens, "high": top, "low": bottom, "close": close, "volume": volume}, index).round(2)


def minutes(start, n, kept=None, **how):
    index = pd.date_range(start, periods=n, freq="1min", tz="UTC")
    frame = frame_over(index)
    frame = frame if kept is None else frame[kept]
    return from_pandas(frame, bar="1min", label="open", tick_size=0.01, **({"calendar": "24/7"} | how))


def exchange_minutes(first, last, seed=None, half=("2023-11-24",)):
    """Minutes 09:30 to 16:00 in New York on each weekday but Thanksgiving; to 13:00 on half days."""
    days = [d for d in pd.date_range(first, last, freq="B") if d != pd.Timestamp("2023-11-23")]
    parts = [
        pd.date_range(d + pd.Timedelta("9h30min"), periods=210 if str(d)[:10] in half else 390, freq="1min", tz=NY)
        for d in days
    ]
    index = parts[0].append(parts[1:])
    if seed is not None:
        index = index[np.random.default_rng(seed).random(len(index)) > 0.35]
    return from_pandas(frame_over(index), bar="1min", label="open", calendar="XNYS", tick_size=0.01)


def assert_agree(bars, timeframe, calendar, exact_volume=True):
    table = panel_of(bars, [], timeframes=[canonical(timeframe)]).tables[0]
    made = table.higher[0]
    frame = oracle.base(bars)
    expected = oracle.resampled(frame, canonical(timeframe), calendar)
    number = oracle.seen(frame, expected)["number"].fillna(-1.0).to_numpy().astype("i8")
    np.testing.assert_array_equal(made.closed[1:], number + 1)
    assert made.closed[0] == 0
    n = int(made.closed[-1])
    assert {len(c) for c in made.table.columns} == {n}
    for name, column in zip(L.COLUMNS, made.table.columns, strict=True):
        if name in ("open", "high", "low", "close"):
            np.testing.assert_array_equal(column, expected[name].to_numpy()[:n], name)
            ticks = made.table.columns[L.COLUMNS.index(f"{name}_ticks")]
            np.testing.assert_array_equal(
                ticks, np.rint(column / table.tick if table.inverse == 0 else column * table.inverse)
            )
            assert ticks.dtype == np.int64
        if name == "volume":
            np.testing.assert_allclose(column, expected["volume"].to_numpy()[:n], 0.0 if exact_volume else 1e-12)
    return made


ALL = ["1m", "3m", "5m", "15m", "30m", "1h", "90m", "2h", "4h", "6h", "8h", "12h", "1D", "1W"]


@pytest.mark.parametrize("timeframe", ALL)
def test_w2_w5__a_market_that_never_closes(timeframe):
    n = 30 * 1440
    kept = np.random.default_rng(3).random(n) > 0.3
    kept[5000:9000] = False
    made = assert_agree(minutes("2024-02-20 10:17", n, kept), timeframe, "24/7")
    assert made.closed[-1] > 3


@pytest.mark.parametrize("timeframe", ["1m", "5m", "1h", "90m", "4h", "12h", "1D", "1W"])
@pytest.mark.parametrize("seed", [None, 1])
def test_w2_w5__sessions_of_an_exchange(timeframe, seed):
    bars = exchange_minutes("2023-10-30", "2023-11-30", seed)  # a change of the clocks, a holiday, a half day
    assert_agree(bars, timeframe, "XNYS")


def test_w2__hours_begin_at_the_open_and_the_last_is_shorter():
    bars = exchange_minutes("2023-11-22", "2023-11-24")
    made = panel_of(bars, [], timeframes=["1h"]).tables[0].higher[0]
    stamps = pd.to_datetime(np.column_stack([made.table.columns[k] for k in (L.C_OPEN_AT, L.C_KNOWN_AT)]).ravel())
    text = [f"{a:%H:%M}-{b:%H:%M}" for a, b in stamps.tz_localize("UTC").tz_convert(NY).to_numpy().reshape(-1, 2)]
    full = [f"{h:02}:30-{h + 1:02}:30" for h in range(9, 15)]
    assert text == [*full, "15:30-16:00", *full[:3], "12:30-13:00"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_w3_w5__random_holes(data):
    start = pd.Timestamp("2024-03-02 20:00") + pd.Timedelta(minutes=data.draw(st.integers(0, 400)))
    gaps = data.draw(st.lists(st.one_of(st.integers(1, 4), st.integers(1, 2000)), max_size=60))
    rows = np.cumsum([0, *gaps])
    kept = np.isin(np.arange(rows[-1] + 1), rows)
    timeframe = data.draw(st.sampled_from(["1m", "3m", "5m", "30m", "1h", "2h", "1D", "1W"]))
    assert_agree(minutes(start, len(kept), kept), timeframe, "24/7")


def test_w5__two_may_close_at_one_bar():
    kept = np.isin(np.arange(120), [0, 10, 59 + 60])  # the first hour has no last minute, the second only that
    made = panel_of(minutes("2024-01-01", 120, kept), [], timeframes=["1h"]).tables[0].higher[0]
    assert made.closed.tolist() == [0, 0, 0, 2]


@pytest.mark.parametrize("timeframe", ["15m", "1h", "1D", "1W"])
@pytest.mark.parametrize(
    "make", [lambda: exchange_minutes("2023-11-20", "2023-11-28", 5), lambda: minutes("2024-01-05 20:00", 4000)]
)
def test_w5__truncation_changes_nothing_that_was_closed(make, timeframe):
    bars = make()
    whole = panel_of(bars, [], timeframes=[timeframe]).tables[0].higher[0]
    for stop in np.random.default_rng(0).integers(1, bars.sizes["time"], 8):
        part = panel_of(bars.isel(time=slice(0, int(stop))), [], timeframes=[timeframe]).tables[0].higher[0]
        assert part.begins(whole)
        assert len(part.closed) == stop + 1


def test_w3__what_trades_at_the_close_is_in_no_higher_bar():
    index = pd.date_range("2023-11-20 15:57", periods=4, freq="1min", tz=NY).append(
        pd.date_range("2023-11-21 09:30", periods=40, freq="1min", tz=NY)
    )
    frame = frame_over(index)
    bars = from_pandas(frame, bar="1min", label="open", calendar="XNYS", tick_size=0.01)
    for timeframe in ("30m", "1h", "1D"):
        made = panel_of(bars, [], timeframes=[timeframe]).tables[0].higher[0]
        assert made.closed[:6].tolist() == [0, 0, 0, 1, 1, 1]
        assert made.table.columns[L.C_CLOSE_P][0] == frame["close"].iloc[2]
        assert made.table.columns[L.C_VOLUME][0] == frame["volume"].iloc[:3].sum()


def test_w3__a_bar_belongs_whole_to_the_interval_that_it_opens_in():
    index = pd.date_range("2023-11-20 09:00", periods=7, freq="1h", tz=NY)  # the first opens with its session
    bars = from_pandas(frame_over(index), bar="1h", label="open", calendar="XNYS", tick_size=0.01)
    made = panel_of(bars, [], timeframes=["2h"]).tables[0].higher[0]
    # 09:30-11:30 holds the bars that open at 09:30, 10:00 and 11:00; the last of them is known at 12:00
    known = pd.to_datetime(made.table.columns[L.C_KNOWN_AT]).tz_localize("UTC").tz_convert(NY)
    assert [f"{t:%H:%M}" for t in known] == ["12:00", "14:00", "16:00"]


def test_w5__without_a_calendar_the_next_session_closes_a_day():
    bars = exchange_minutes("2023-11-16", "2023-11-21")
    bare = bars.assign_attrs(calendar="")
    first = np.flatnonzero(np.r_[True, np.diff(bars["session"].values) > 0])
    days = panel_of(bare, [], timeframes=["1D"]).tables[0].higher[0]
    assert np.flatnonzero(np.diff(days.closed)).tolist() == first[1:].tolist()
    weeks = panel_of(bare, [], timeframes=["1W"]).tables[0].higher[0]
    assert np.flatnonzero(np.diff(weeks.closed)).tolist() == [first[2]]  # Monday the 20th
    hours = panel_of(bare, [], timeframes=["1h"]).tables[0].higher[0]
    never = panel_of(bare.assign_attrs(calendar="24/7"), [], timeframes=["1h"]).tables[0].higher[0]
    np.testing.assert_array_equal(hours.closed, never.closed)


def test_w5__the_last_session_of_a_week_closes_it():
    index = pd.DatetimeIndex(["2024-03-25", "2024-03-26", "2024-03-27", "2024-03-28", "2024-04-01"])  # no Good Friday
    bars = from_pandas(frame_over(index), calendar="XNYS", tick_size=0.01)
    assert panel_of(bars, [], timeframes=["1W"]).tables[0].higher[0].closed.tolist() == [0, 0, 0, 0, 1, 1]
    index = index[[0, 1, 2, 4]]  # without Thursday's bar nobody knows before Monday
    bars = from_pandas(frame_over(index), calendar="XNYS", tick_size=0.01)
    assert panel_of(bars, [], timeframes=["1W"]).tables[0].higher[0].closed.tolist() == [0, 0, 0, 0, 1]


def test_w4__volume_is_summed_from_the_oldest():
    index = pd.date_range("2024-01-01", periods=60, freq="1min", tz="UTC")
    frame = frame_over(index).assign(volume=np.random.default_rng(9).random(60) * 10.0 ** np.arange(-30, 30))
    bars = from_pandas(frame, bar="1min", label="open", calendar="24/7", tick_size=0.01)
    total = 0.0
    for v in frame["volume"]:
        total += v
    assert panel_of(bars, [], timeframes=["1h"]).tables[0].higher[0].table.columns[L.C_VOLUME].tolist() == [total]
    bare = from_pandas(frame.drop(columns="volume"), bar="1min", label="open", calendar="24/7", tick_size=0.01)
    assert np.isnan(panel_of(bare, [], timeframes=["1h"]).tables[0].higher[0].table.columns[L.C_VOLUME]).all()


@pytest.mark.parametrize(
    "text", ["0m", "7m", "1d", "1w", "1M", "1min", "2D", "25h", "5h", "1440h", "", "h", "-1h", "01h", " 1h"]
)
def test_w1__what_is_no_timeframe(text):
    assert length(text) == 0


@pytest.mark.parametrize(
    ("text", "name"), [("60m", "1h"), ("1440m", "1D"), ("24h", "1D"), ("90m", "90m"), ("1W", "1W")]
)
def test_w1__one_name_for_each(text, name):
    assert canonical(text) == name
    assert length(text) == length(name) > 0


@pytest.mark.parametrize(
    ("timeframe", "bar", "calendar", "text"),
    [
        ("1m", "5min", "24/7", "timeframe 1m: found bars of 5min, wanted bars of 1m or finer"),
        ("12h", "1D", "XNYS", "timeframe 12h: found bars of 1D, wanted bars of 12h or finer"),
        ("3m", "2min", "24/7", "timeframe 3m: found bars of 2min, wanted a multiple of 2min"),
        ("1h", "7min", "XNYS", "found bars of 7min, wanted a multiple of 7min"),
        ("1D", "7h", "24/7", "found bars of 7h, wanted a multiple of 7h"),
        ("1h", "", "24/7", "bars without a length"),
    ],
)
def test_w1__what_the_bars_cannot_give(timeframe, bar, calendar, text):
    with pytest.raises(UsageError, match=text):
        check_timeframe(timeframe, bar, calendar)


def test_w1__a_session_is_made_of_whole_bars_whatever_their_length():
    check_timeframe("1D", "390min", "XNYS")


def test_a_session_that_the_calendar_does_not_have():
    bars = exchange_minutes("2023-11-20", "2023-11-21")
    bars = bars.assign_coords(session=bars["session"].copy(data=bars["session"].values + 5))
    with pytest.raises(DataError, match="2023-11-25, which XNYS does not have"):
        panel_of(bars, [], timeframes=["1h"])


def test_higher_bars_are_made_once_and_kept_with_the_bars():
    bars = minutes("2024-01-01", 500)
    one, other = (panel_of(bars, [], timeframes=["15m", "1h"]) for _ in range(2))
    assert one.tables[0].higher[1] is other.tables[0].higher[1]
    assert one.tables[0].columns[0] is panel_of(bars, []).tables[0].columns[0]
    assert panel_of(bars, []).tables[0].higher == ()


def test_a_digest_is_of_the_higher_bars_too():
    bars = exchange_minutes("2023-11-20", "2023-11-22")
    own = panel_of(bars, []).tables[0]
    hours, days = (panel_of(bars, [], timeframes=[tf]).tables[0] for tf in ("1h", "1D"))
    assert len({own.digest, hours.digest, days.digest}) == 3
    part = panel_of(bars.isel(time=slice(0, 500)), [], timeframes=["1h"]).tables[0]
    assert part.digest == hours.digest_of(500)
    assert replace(hours, higher=()).digest == own.digest


@kk.strategy(warmup=0)
def looks(ctx, n=20):
    h = ctx.tf("1h")
    d = ctx.tf("1D")
    ctx.record("hour_open", h.open[0])
    ctx.record("hour_high", h.high[0])
    ctx.record("hour_low", h.low[0])
    ctx.record("hour_close", h.close[0])
    ctx.record("hour_volume", h.volume[0])
    ctx.record("hour_before", h.close[-2])
    ctx.record("hour_sma", h.close.sma(n))
    ctx.record("hour_ema", h.close.ema(n))
    ctx.record("day_open", d.open[0])
    ctx.record("day_high", d.high[0])
    ctx.record("day_low", d.low[0])
    ctx.record("day_close", d.close[0])
    ctx.record("day_volume", d.volume[0])
    ctx.record("day_sma", d.close.sma(n))
    ctx.record("day_ema", d.close.ema(n))
    ctx.record("week_close", ctx.tf("1W").close[0])
    ctx.record("week_high", ctx.tf("1W").high[0])


def ema(values, n):
    """By the table of the strategies' page, number by number."""
    out, e = [], np.nan
    for i, x in enumerate(values):
        e = x if i == 0 else e + 2.0 / (n + 1.0) * (x - e)
        out.append(e if i + 1 >= n else np.nan)
    return out


def assert_seen(bars, calendar, n=20):
    """Every record of `looks`, at every bar."""
    res = kk.backtest(bars, looks, params=dict(n=n))
    frame = oracle.base(bars)
    for name, timeframe in (("hour", "1h"), ("day", "1D"), ("week", "1W")):
        parts = oracle.resampled(frame, timeframe, calendar)
        values = {column: parts[column] for column in ("open", "high", "low", "close", "volume")}
        values |= {"sma": parts["close"].rolling(n).mean(), "ema": ema(parts["close"], n), "before": parts["close"]}
        for what, expected in values.items():
            if f"{name}_{what}" not in res:
                continue
            found = res[f"{name}_{what}"].values.ravel()
            wanted = oracle.shifted(frame, parts, expected, 2 if what == "before" else 0)
            slack = 1e-12 if what in ("sma", "ema", "volume") else 0.0
            np.testing.assert_allclose(found, wanted, slack, 0.0, err_msg=f"{name}_{what}")
            assert np.isfinite(wanted).any(), f"{name}_{what}"


def test_w6__a_strategy_sees_what_pandas_merges():
    assert_seen(exchange_minutes("2023-10-30", "2023-11-30", 4), "XNYS", 9)


@pytest.mark.market_data
def test_w6__bitcoin_minutes(market_data):
    table = pd.read_parquet(market_data / "crypto" / "btc_perp_1m_202201.parquet")
    table = table.set_index(table.columns[0]) if not isinstance(table.index, pd.DatetimeIndex) else table
    bars = from_pandas(
        {"BTC": table[["open", "high", "low", "close", "volume"]]}, label="open", calendar="24/7", tz="UTC"
    )
    assert bars.attrs["bar"] == "1min"
    assert bars.sizes["time"] == 45_031
    assert_seen(bars, "24/7")


@pytest.mark.market_data
def test_w6__hours_of_spy_across_changes_of_the_clock_and_half_days(market_data):
    table = pd.read_parquet(market_data / "equity" / "lean_us_hour_raw.parquet")
    spy = table[table["symbol"] == "SPY"].drop(columns="symbol").set_index("ts")
    how = {"label": "open", "calendar": "XNYS", "tz": NY}
    with pytest.raises(DataError, match="24 rows outside the sessions") as caught:  # late prints on half days
        from_pandas({"SPY": spy}, **how)
    advice = str(caught.value).partition("Drop them (")[2].partition(")),")[0]
    spy = eval(advice + ")", {"frame": spy})["2006-07":"2008-03"]  # in 2007 the clocks began to change earlier
    bars = from_pandas({"SPY": spy}, **how)
    assert_seen(bars, "XNYS")
    for timeframe in ("2h", "4h", "12h"):
        assert_agree(bars, timeframe, "XNYS", exact_volume=False)
