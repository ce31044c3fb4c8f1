"""Moments of the calendar (T8): sessions, weeks, months and quarters, times of day; half days and summer time."""

from __future__ import annotations

from pathlib import Path

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.data.moments import moments
from kernelkit.data.sessions import DAY
from kernelkit.errors import DataError

HOURS = Path(__file__).parents[2] / "shared" / "data" / "equity" / "lean_us_hour_raw.parquet"
INDEX = kk.data.load("sp500_index").isel(time=slice(0, 700))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def nothing(ctx):  # type: ignore[no-untyped-def]
    ctx.record("nothing", 0.0)


CLOSED = "2022-12-26 2023-01-02 2023-01-16 2023-02-20 2023-04-07 2023-05-29 2023-06-19 2023-07-04 2023-09-04 2023-11-23"
CLOSED += " 2023-12-25 2024-01-01 2024-01-15"
HALF = ("2023-07-03", "2023-11-24")
OPEN_DAYS = [str(d.date()) for d in pd.bdate_range("2022-12-15", "2024-01-31") if str(d.date()) not in CLOSED]


def new_york(days: list[str], minutes: int = 30) -> xr.Dataset:
    """Whole sessions of New York in bars of so many minutes, labelled by their ends."""
    stamps: list[pd.Timestamp] = []
    for day in days:
        ends = f"{day} {'13' if day in HALF else '16'}:00"
        stamps += list(pd.date_range(f"{day} 09:30", ends, freq=f"{minutes}min", inclusive="right"))
    close = 64.0 + np.arange(len(stamps)) % 7
    index = pd.DatetimeIndex(stamps).tz_localize("America/New_York")
    frame = pd.DataFrame({"open": close, "high": close + 1, "low": close - 1, "close": close}, index)
    bars: xr.Dataset = kk.data.from_pandas(
        frame.assign(volume=1e5), label="close", bar=f"{minutes}min", calendar="XNYS"
    )
    return bars


def moments_of(bars: xr.Dataset, *names: str) -> dict[str, list[pd.Timestamp]]:
    """When the bars are known that are these moments, on New York's clocks."""
    known = pd.DatetimeIndex(bars["known_at"].values).tz_localize("UTC").tz_convert("America/New_York")
    calendar = str(bars.attrs["calendar"])
    stamps = bars["known_at"].values.astype("M8[ns]").astype("i8")
    bits = moments(names, calendar, bars["session"].values.astype("i8"), stamps)
    return {name: list(known[(bits >> k & 1) == 1].tz_localize(None)) for k, name in enumerate(names)}


def at(*texts: str) -> list[pd.Timestamp]:
    return [pd.Timestamp(text) for text in texts]


def test_T8_half_days_and_summer_time() -> None:
    # Thanksgiving 2023 was the 23rd; the day after closed at 13:00. Summer time had ended on November 5th.
    days = ["2023-11-02", "2023-11-03", "2023-11-06", "2023-11-22", "2023-11-24", "2023-11-27"]
    found = moments_of(new_york(days), "session_open", "session_close", "15:30", "10:10", "09:00", "13:00", "week_end")
    assert found["session_open"] == [pd.Timestamp(f"{day} 10:00") for day in days]
    assert found["session_close"] == [pd.Timestamp(f"{d} {'13' if d == '2023-11-24' else '16'}:00") for d in days]
    assert found["15:30"] == [pd.Timestamp(f"{day} 15:30") for day in days if day != "2023-11-24"]
    assert found["10:10"] == [pd.Timestamp(f"{day} 10:30") for day in days]
    assert found["09:00"] == found["session_open"]
    assert found["13:00"] == [pd.Timestamp(f"{day} 13:00") for day in days]
    # The 2nd and the 22nd are no ends: the calendar has sessions after them in their weeks.
    assert found["week_end"] == at("2023-11-03 16:00", "2023-11-24 13:00")


def test_T8_weeks_months_and_quarters__as_all_days_of_a_year_say() -> None:
    names = [f"{p}_{e}" for p in ("week", "month", "quarter") for e in ("start", "end")]
    found = moments_of(new_york(OPEN_DAYS), *names)
    days = pd.DatetimeIndex(OPEN_DAYS)
    last = {"week": "2024-01-26", "month": "2024-01-31", "quarter": "2023-12-29"}  # that have ended
    for period, code in (("week", "W-SUN"), ("month", "M"), ("quarter", "Q")):
        groups = pd.Series(days, days).groupby(days.to_period(code))
        ends = [d for d in groups.last() if d <= pd.Timestamp(last[period])]
        assert [t.normalize() for t in found[f"{period}_start"]] == list(groups.first())[1:]  # bar 0 starts none
        assert {t.hour for t in found[f"{period}_start"]} == {10}
        assert [t.normalize() for t in found[f"{period}_end"]] == ends
        assert {t.hour for t in found[f"{period}_end"]} <= {16, 13}
    assert pd.Timestamp("2023-11-24 13:00") in found["week_end"]


def test_T8_a_day_and_a_time_of_it() -> None:
    # The first session of its week, 2023-07-03, and the last of another, 2023-11-24, close at 13:00.
    names = [f"{p}_{e} {t}" for p in ("week", "month") for e in ("start", "end") for t in ("10:10", "15:30")]
    found = moments_of(new_york(OPEN_DAYS), *names, "10:10", "15:30")
    days = pd.DatetimeIndex(OPEN_DAYS)
    for period, code, last in (("week", "W-SUN", "2024-01-26"), ("month", "M", "2024-01-31")):
        groups = pd.Series(days, days).groupby(days.to_period(code))
        for edge, kept in (("start", list(groups.first())[1:]), ("end", list(groups.last()))):
            kept = [d for d in kept if edge == "start" or d <= pd.Timestamp(last)]
            for clock in ("10:10", "15:30"):
                wanted = [t for t in found[clock] if t.normalize() in kept]
                assert found[f"{period}_{edge} {clock}"] == wanted
                short = [d for d in kept if clock == "15:30" and str(d.date()) in HALF]
                assert len(short) == (clock == "15:30" and (period, edge) != ("month", "end"))
                assert len(wanted) == len(kept) - len(short)


def test_T8_a_time_of_a_day_of_which_the_first_bars_are_missing() -> None:
    bars = new_york(["2023-11-30", "2023-12-01", "2023-12-04"])
    known = bars["known_at"].values
    late = bars.isel(
        time=np.flatnonzero((known < np.datetime64("2023-12-01")) | (known > np.datetime64("2023-12-01T19")))
    )
    found = moments_of(late, "month_start 10:10", "month_end 15:30", "month_start", "week_start 15:30")
    assert found["month_start"] == found["month_start 10:10"] == at("2023-12-01 14:30")
    assert found["month_end 15:30"] == at("2023-11-30 15:30")
    assert found["week_start 15:30"] == at("2023-12-04 15:30")


def test_T8_a_missing_last_bar_closes_no_session_and_ends_no_month() -> None:
    bars = new_york(["2023-11-29", "2023-11-30", "2023-12-01"])
    assert moments_of(bars, "month_end")["month_end"] == at("2023-11-30 16:00")
    known = bars["known_at"].values
    without = bars.isel(time=np.flatnonzero(known != np.datetime64("2023-11-30T21:00")))
    found = moments_of(without, "month_end", "session_close", "month_start", "15:45")
    assert found["month_end"] == []
    assert found["session_close"] == at("2023-11-29 16:00", "2023-12-01 16:00")
    assert found["month_start"] == at("2023-12-01 10:00")
    assert found["15:45"] == at("2023-11-29 16:00", "2023-12-01 16:00")


def test_T8_a_closing_auction_closes_the_session_once() -> None:
    session = np.array([19660, 19660, 19660, 19663])  # 2023-10-30 to 11-02
    close = pd.Timestamp("2023-10-30 20:00").value
    known = np.array([close - 60 * 10**9, close, close + 60 * 10**9, close + 3 * DAY])
    assert moments(["session_close"], "XNYS", session, known).tolist() == [0, 1, 0, 1]


def test_T8_a_time_after_the_close_does_not_come__however_late_a_bar_is_known() -> None:
    session = np.array([19683, 19685, 19685])  # the 22nd of November 2023, and the 24th, which closed at 13:00
    known = np.array([pd.Timestamp(f"2023-11-{at}").value for at in ("22 20:30", "24 17:30", "24 18:30")])
    assert moments(["13:00", "13:10"], "XNYS", session, known).tolist() == [3, 0, 1]


def test_T8_markets_that_never_close_go_by_days_of_utc() -> None:
    day = np.repeat(np.arange(19720, 19730), 2)  # 2023-12-29 to 2024-01-07
    known = day * DAY + np.tile([DAY // 2, DAY], 10)
    names = ["quarter_end", "week_start", "12:00", "18:00", "session_close"]
    bits = moments(names, "24/7", day, known)
    where = {name: np.flatnonzero(bits >> k & 1).tolist() for k, name in enumerate(names)}
    assert where["quarter_end"] == [5]  # the end of December 31st
    assert where["week_start"] == [6]  # Monday, January 1st
    assert where["12:00"] == list(range(0, 20, 2))
    assert where["18:00"] == where["session_close"] == list(range(1, 20, 2))


def test_T8_a_session_that_begins_the_evening_before() -> None:
    local = pd.date_range("2023-07-09 17:00", "2023-07-10 16:00", freq="1h", inclusive="right")  # Monday's, in Chicago
    local = local.append(local + pd.Timedelta(days=1))
    known = local.tz_localize("America/Chicago").as_unit("ns").asi8
    session = np.repeat([19548, 19549], len(local) // 2)
    bits = moments(["18:00", "15:30"], "CMES", session, known)
    assert list(local[bits & 1 == 1]) == at("2023-07-09 18:00", "2023-07-10 18:00")
    assert list(local[bits & 2 == 2]) == at("2023-07-10 16:00", "2023-07-11 16:00")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.sampled_from(["XNYS", "24/7"]))
def test_T8_moments_know_no_later_bar(cut: int, calendar: str) -> None:
    names = ["session_open", "session_close", "week_start", "week_end", "month_end", "quarter_end", "11:00"]
    session = INDEX["session"].values[:300].astype("i8")
    known = INDEX["known_at"].values[:300].astype("M8[ns]").astype("i8")
    if calendar == "24/7":
        known = (session + 1) * DAY
    whole = moments(names, calendar, session, known)
    assert whole[:cut].tolist() == moments(names, calendar, session[:cut], known[:cut]).tolist()


def test_T8_bars_without_a_calendar_refuse_what_asks_it() -> None:
    bars = INDEX.isel(time=slice(0, 30)).drop_attrs(deep=False).assign_attrs(periods_per_year=252.0)
    for when in ("month_end", "15:30"):

        @kk.strategy
        def scheduled(ctx):  # type: ignore[no-untyped-def]
            ctx.target(1.0)

        scheduled.schedule("month_start")(nothing)
        kk.backtest(bars, scheduled)
        scheduled.schedule(when)(nothing)
        with pytest.raises(DataError, match=f"hooks at {when}: found bars without a calendar"):
            kk.backtest(bars, scheduled)


# Real bars, and what exchange_calendars says of their sessions.


@kk.strategy(warmup=0)
def watch(ctx):  # type: ignore[no-untyped-def]
    pass


@watch.on_session_open
def opens(ctx):  # type: ignore[no-untyped-def]
    ctx.record("open", 1.0)


@watch.schedule("09:45")
def early(ctx):  # type: ignore[no-untyped-def]
    ctx.record("early", 1.0)


@watch.schedule("15:30")
def late(ctx):  # type: ignore[no-untyped-def]
    ctx.record("late", 1.0)


@watch.schedule("month_end")
def ends_month(ctx):  # type: ignore[no-untyped-def]
    ctx.record("month_end", 1.0)


@watch.schedule("month_end", "15:30")
def late_in_month(ctx):  # type: ignore[no-untyped-def]
    ctx.record("month_end_late", 1.0)


@watch.schedule("week_start", "12:00")
def noon_of_monday(ctx):  # type: ignore[no-untyped-def]
    ctx.record("week_start_noon", 1.0)


@watch.on_session_close
def closes(ctx):  # type: ignore[no-untyped-def]
    ctx.record("close", 1.0)


def sessions_of(first: str, last: str) -> pd.DataFrame:
    """Open and close of each session of New York, and of the days after the last."""
    calendar = exchange_calendars.get_calendar("XNYS", start=first, end=pd.Timestamp(last) + pd.Timedelta(days=15))
    table: pd.DataFrame = calendar.schedule[["open", "close"]]
    return table


def told_by_sessions(known: pd.DatetimeIndex, first: str, last: str) -> dict[str, list[pd.Timestamp]]:
    """When the hooks of `watch` run in bars known at these times (UTC): session by session."""
    sessions = sessions_of(first, last)
    months, weeks = (list(sessions.index.to_period(p)) for p in ("M", "W-SUN"))
    out: dict[str, list[pd.Timestamp]] = {n: [] for n in ("open", "early", "late", "month_end", "month_end_late")}
    out |= {"week_start_noon": [], "close": []}
    for k, (day, opened, closed) in enumerate(sessions.itertuples()):
        bars = known[(known > opened) & (known <= closed + pd.Timedelta(hours=1))]
        bars = bars[bars.tz_convert("America/New_York").normalize().tz_localize(None) == day]

        def note(name: str, at: pd.Timestamp, day_counts: bool = True, bars: pd.DatetimeIndex = bars) -> None:
            out[name] += list(bars[bars >= at][:1]) if day_counts else []

        def clock(text: str, day: pd.Timestamp = day) -> pd.Timestamp:
            return pd.Timestamp(f"{day.date()} {text}", tz="America/New_York")

        last_of_month = k + 1 < len(sessions) and months[k + 1] != months[k]
        note("open", opened)
        note("early", clock("09:45"))
        note("late", clock("15:30"))
        note("month_end", closed, last_of_month)
        note("month_end_late", clock("15:30"), last_of_month)
        note("week_start_noon", clock("12:00"), k > 0 and weeks[k - 1] != weeks[k])
        note("close", closed)
    return out


@pytest.mark.market_data
@pytest.mark.filterwarnings("ignore:Series.values returning")  # of exchange_calendars itself
@pytest.mark.oracle("exchange_calendars", covers="T8", cases=1)
@pytest.mark.parametrize(("first", "last"), [("2001-01-02", "2004-12-31"), ("2018-01-02", "2021-03-31")])
def test_T8_spy_in_hours__half_days_and_summer_time(first: str, last: str) -> None:
    """2018-11-23, 2019-11-29 (which ends a month) and 2020-11-27 close at 13:00, 2018-12-05 does not open at all."""
    table = pd.read_parquet(HOURS)
    spy = table[table["symbol"] == "SPY"].drop(columns="symbol").set_index("ts").loc[first:last]
    closed = pd.Series(sessions_of(first, last)["close"].dt.tz_convert("America/New_York").dt.tz_localize(None))
    spy = spy[spy.index <= closed[spy.index.normalize()].to_numpy()]  # prints after the close of half days
    bars = kk.data.from_pandas({"SPY": spy}, label="open", calendar="XNYS", tz="America/New_York")
    res = kk.backtest(bars, watch)
    known = pd.DatetimeIndex(bars["known_at"].values).tz_localize("UTC")
    found = {name: list(known[res[name].values == 1.0]) for name in told_by_sessions(known[:1], first, last)}
    wanted = told_by_sessions(known, first, last)
    assert found == wanted
    days = {t.date() for t in wanted["close"]}
    assert len(days) > 750
    assert 4 <= len(days - {t.date() for t in wanted["late"]}) <= 12  # the half days
    if last > "2019":
        assert pd.Timestamp("2019-11-29 18:00", tz="UTC") in found["month_end"]
        assert len(found["month_end_late"]) == len(found["month_end"]) - 1
