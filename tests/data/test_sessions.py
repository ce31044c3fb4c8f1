"""Opening, knowledge and session of a bar."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.data import from_pandas, in_sessions, sessions
from kernelkit.errors import DataError


def times(bars, name):
    return [str(t)[:19] for t in bars[name].values]


def test_daily__opens_and_is_known_with_its_session(frame):
    days = pd.to_datetime(["2018-03-09", "2018-03-12", "2018-07-03"])
    bars = from_pandas(frame(days), calendar="XNYS")
    # Daylight saving time begins on 11 March; 3 July is a half day.
    assert times(bars, "open_at") == ["2018-03-09T14:30:00", "2018-03-12T13:30:00", "2018-07-03T13:30:00"]
    assert times(bars, "known_at") == ["2018-03-09T21:00:00", "2018-03-12T20:00:00", "2018-07-03T17:00:00"]
    assert [str(np.datetime64(d, "D")) for d in bars["session"].values.tolist()] == [str(d.date()) for d in days]
    assert times(bars, "time") == ["2018-03-09T00:00:00", "2018-03-12T00:00:00", "2018-07-03T00:00:00"]
    assert bars.attrs["tz"] == "America/New_York"
    assert (bars.attrs["bar"], bars.attrs["label"], bars.attrs["periods_per_year"]) == ("1D", "session", 252)


@pytest.mark.parametrize("calendar", ["XNYS", "XHKG"])
def test_schedule__silences_what_pandas_deprecates_of_the_calendars_and_no_more(calendar, monkeypatch):
    import exchange_calendars as xc

    sessions._sessions.cache_clear()
    sessions.schedule(calendar, 0, 20 * 365 * sessions.DAY)  # a warning is an error here
    made = xc.get_calendar

    def warns(*args, **kwargs):
        warnings.warn("something else", pd.errors.Pandas4Warning, stacklevel=2)
        return made(*args, **kwargs)

    sessions._sessions.cache_clear()
    monkeypatch.setattr(xc, "get_calendar", warns)
    with pytest.raises(pd.errors.Pandas4Warning, match="something else"):
        sessions.schedule(calendar, 0, 20 * 365 * sessions.DAY)


def test_daily__before_and_after_1970_and_in_all_units(frame):
    days = pd.to_datetime(["1969-12-30", "1969-12-31", "1970-01-02"])
    expected = from_pandas(frame(days), calendar="NYSE")
    assert expected["session"].values.tolist() == [-2, -1, 1]
    assert expected.attrs["calendar"] == "XNYS"
    for unit in ("s", "ms", "us", "ns"):
        assert from_pandas(frame(days.as_unit(unit)), calendar="XNYS").identical(expected)


def test_daily__midnights_of_the_own_zone_are_dates(frame):
    days = pd.date_range("2021-03-10", "2021-03-19", freq="B")
    plain = from_pandas(frame(days), calendar="XNYS")
    zoned = from_pandas(frame(days.tz_localize("America/New_York")), calendar="XNYS")
    in_utc = frame(days.tz_localize("America/New_York").tz_convert("UTC"))
    assert zoned.identical(plain)
    assert from_pandas(in_utc, calendar="XNYS", tz="America/New_York").identical(plain)
    with pytest.raises(DataError, match=r"daily bars.*wanted midnights. Pass tz="):
        from_pandas(in_utc, calendar="XNYS", label="open")


def test_daily__date_without_session_is_named(frame):
    days = pd.to_datetime(["2021-07-02", "2021-07-04", "2021-07-05", "2021-07-06"])
    with pytest.raises(
        DataError, match=r"2 rows without a session: row 1 \(2021-07-04\); row 2 \(2021-07-05\).*\[\[1, 2\]\]"
    ):
        from_pandas(frame(days), calendar="XNYS")


def test_daily__weekly_dates_are_not_daily_bars(frame):
    with pytest.raises(DataError, match="found 7D, wanted daily bars"):
        from_pandas(frame(pd.date_range("2021-01-08", periods=10, freq="W-FRI")), calendar="XNYS")


@pytest.mark.parametrize(("label", "opened"), [(None, "2021-01-01"), ("open", "2021-01-01"), ("close", "2020-12-31")])
def test_always__a_date_is_a_utc_day(frame, label, opened):
    bars = from_pandas(frame(pd.date_range("2021-01-01", periods=3)), calendar="24/7", label=label)
    assert times(bars, "open_at")[0] == f"{opened}T00:00:00"
    assert (bars["known_at"].values - bars["open_at"].values == np.timedelta64(1, "D")).all()
    assert bars["session"].values[0] == (pd.Timestamp(opened) - pd.Timestamp(0)).days
    assert bars.attrs["periods_per_year"] == 365


@pytest.mark.parametrize("label", ["open", "close"])
def test_intraday__label_says_which_edge(frame, minutes, label):
    bars = from_pandas(frame(minutes(5)), calendar="24/7", label=label)
    edge = "open_at" if label == "open" else "known_at"
    assert np.array_equal(bars[edge].values, bars["time"].values)
    assert bars.attrs["bar"] == "1min"


def test_intraday__bar_closing_at_midnight_belongs_to_the_day_before(frame):
    index = pd.date_range("2021-01-01 23:58", periods=3, freq="1min", tz="UTC")
    bars = from_pandas(frame(index), calendar="24/7", label="open")
    assert bars["session"].values.tolist() == [18628, 18628, 18629]


def test_intraday__label_is_required(frame, minutes):
    with pytest.raises(
        DataError, match="label: found none, wanted whether 2021-03-01 00:00:00\\+00:00 is the start or the end"
    ):
        from_pandas(frame(minutes(5)), calendar="24/7")
    with pytest.raises(DataError, match="label: found 'left'"):
        from_pandas(frame(minutes(5)), calendar="24/7", label="left")


def test_intraday__calendar_is_required(frame, minutes):
    with pytest.raises(DataError, match=r'calendar: found none.*Pass calendar="XNYS"'):
        from_pandas(frame(minutes(5)), label="open")
    with pytest.raises(DataError, match="calendar: found 'NYX'"):
        from_pandas(frame(minutes(5)), label="open", calendar="NYX")


def test_intraday__zone_is_required_where_the_market_has_one(frame, minutes):
    naive = frame(minutes(5, "2021-03-01 10:00").tz_localize(None))
    with pytest.raises(DataError, match=r"2021-03-01 10:00:00 without a time zone.*Pass tz="):
        from_pandas(naive, calendar="XNYS", label="open")
    local = from_pandas(naive, calendar="XNYS", label="open", tz="America/New_York")
    assert times(local, "time")[0] == "2021-03-01T15:00:00"
    assert local.attrs["tz"] == "America/New_York"
    assert times(from_pandas(naive, calendar="24/7", label="open"), "time")[0] == "2021-03-01T10:00:00"


@pytest.mark.parametrize(
    ("start", "reason"), [("2020-03-08 01:30", "nonexistent"), ("2020-11-01 01:00", "ambiguous|infer")]
)
def test_intraday__local_times_that_do_not_exist_once(frame, start, reason):
    index = pd.date_range(start, periods=3, freq="30min")
    with pytest.raises(DataError, match=rf"(?i){reason}.*tz_localize"):
        from_pandas(frame(index), calendar="24/7", label="open", tz="America/New_York")


def test_intraday__unknown_zone(frame, minutes):
    with pytest.raises(DataError, match="Mars/City"):
        from_pandas(frame(minutes(5).tz_localize(None)), calendar="24/7", label="open", tz="Mars/City")


def test_hourly__first_bar_opens_with_the_session_and_auction_bar_belongs_to_it(frame):
    index = pd.date_range("2021-03-01 09:00", "2021-03-01 16:00", freq="1h", tz="America/New_York")
    bars = from_pandas(frame(index), calendar="XNYS", label="open")
    assert times(bars, "open_at")[:2] == ["2021-03-01T14:30:00", "2021-03-01T15:00:00"]
    assert times(bars, "known_at")[-1] == "2021-03-01T22:00:00"
    assert set(bars["session"].values.tolist()) == {18687}


def test_intraday__bars_outside_the_session_are_named(frame):
    index = pd.date_range("2021-03-01 08:00", "2021-03-01 18:00", freq="1h", tz="America/New_York")
    named = r"3 rows outside the sessions: row 0 \(2021-03-01 08:00:00-05:00\).*\[\[0, 9, 10\]\]"
    with pytest.raises(DataError, match=named):
        from_pandas(frame(index), calendar="XNYS", label="open")


@pytest.mark.parametrize("tz", [None, "America/New_York", "UTC"])
def test_intraday__many_bars_outside_are_dropped_by_the_call_that_is_named(frame, tz):
    """Sessions until 16:00, on 2023-11-24 until 13:00, each with the bar of its closing auction."""
    days = pd.DatetimeIndex(["2023-11-22", "2023-11-24", "2023-11-27"])
    index = pd.DatetimeIndex([day + pd.Timedelta(minutes=k) for day in days for k in range(240, 1200, 5)])
    index = index if tz is None else index.tz_localize("America/New_York").tz_convert(tz)
    reading = {"calendar": "XNYS", "label": "close"} | ({"tz": "America/New_York"} if tz is None else {})
    with pytest.raises(DataError) as caught:
        from_pandas(frame(index), **reading)
    text = str(caught.value)
    offset = "09:00:00+00:00" if tz == "UTC" else "04:00:00-05:00"
    assert f"row 0 (2023-11-22 {offset})" in text
    advice = text[text.index("Drop them (") + len("Drop them (") : text.index("), pass the calendar")]
    left = eval(advice, {"frame": frame(index), "kk": kk})
    bars = from_pandas(left, **reading)
    assert bars.sizes["time"] == 79 + 43 + 79
    assert times(bars, "known_at")[78] == "2023-11-22T21:05:00"
    assert times(bars, "known_at")[79 + 42] == "2023-11-24T18:05:00"


def test_in_sessions__keeps_dates_of_sessions_and_all_of_what_never_closes(frame):
    days = pd.date_range("2021-07-01", periods=6)
    kept = in_sessions(frame(days), "XNYS").index
    assert [f"{day:%d}" for day in kept] == ["01", "02", "06"]
    assert in_sessions(frame(days), "24/7").index.equals(days)
    with pytest.raises(DataError, match="index of 'frame'"):
        in_sessions(frame(days).reset_index(drop=True), "XNYS")
    with pytest.raises(DataError, match="calendar: found 'NYX'"):
        in_sessions(frame(days), "NYX")


def test_bar__derived_only_from_a_clear_step(frame, minutes):
    index = minutes(20)
    gaps = from_pandas(frame(index.delete([3, 4, 11])), calendar="24/7", label="open")
    assert gaps.attrs["bar"] == "1min"
    with pytest.raises(DataError, match=r"bar: found steps from 1min to 5min.*Pass bar="):
        from_pandas(frame(index[[0, 1, 6, 11, 16]]), calendar="24/7", label="open")
    with pytest.raises(DataError, match="a single timestamp"):
        from_pandas(frame(index[[1]]), calendar="24/7", label="open")
    assert from_pandas(frame(index[[1]]), calendar="24/7", label="open", bar="1min").sizes["time"] == 1


def test_bar__longer_than_the_step_overlaps(frame, minutes):
    with pytest.raises(DataError, match=r"before bar 0 is known .* in 4 places"):
        from_pandas(frame(minutes(5)), calendar="24/7", label="open", bar="2min")


@pytest.mark.parametrize("bar", ["fortnight", "-1min", "0s"])
def test_bar__not_a_duration(frame, minutes, bar):
    with pytest.raises(DataError, match="duration"):
        from_pandas(frame(minutes(5)), calendar="24/7", label="open", bar=bar)


@settings(deadline=None)
@given(st.integers(1, 10**15))
def test_bar_text__round_trips(ns):
    assert sessions.bar_ns(sessions.bar_text(ns)) == ns


def test_span__beyond_nanoseconds_or_the_calendar(frame):
    with pytest.raises(DataError, match="1678 to 2262"):
        from_pandas(frame(pd.to_datetime(["1500-01-03"])), calendar="24/7")
    with pytest.raises(DataError, match="calendar XHKG"):
        from_pandas(frame(pd.to_datetime(["2190-01-04"])), calendar="XHKG")
