"""When a bar opens, when it is known, and to which session it belongs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from kernelkit.data import quality, rows
from kernelkit.errors import DataError, arguments, message
from kernelkit.schema import check_clock

if TYPE_CHECKING:
    import pandas as pd

Int64s = NDArray[np.int64]

ALWAYS = "24/7"
DAY = 86_400_000_000_000
# Sessions are looked up this far around the bars, so that a bar at the edge finds the one it belongs to.
MARGIN = 10 * DAY
# What exchange_calendars 4.13 does that pandas 3.1 deprecates.
DEPRECATED = ("Series.values returning an ndarray that drops timezone", "DatetimeIndex.weekday is deprecated")
_UNITS = (("D", DAY), ("h", DAY // 24), ("min", 60_000_000_000), ("s", 10**9), ("ms", 10**6), ("us", 1000), ("ns", 1))


@dataclass(frozen=True)
class Clock:
    """int64 arrays over the bars: label, opening and knowledge in ns UTC, session in days since 1970."""

    time: Int64s
    open_at: Int64s
    known_at: Int64s
    session: Int64s


@dataclass(frozen=True)
class Convention:
    """How the user's timestamps are to be read; None where it is to be derived."""

    label: str | None = None
    bar: str | None = None
    calendar: str | None = None
    tz: str | None = None


@dataclass(frozen=True)
class Stamps:
    """Labels in ns: instants in UTC, or, where ``dates``, midnights of dates without a zone."""

    ns: Int64s
    dates: bool
    tz: str | None


@dataclass(frozen=True)
class Schedule:
    """The sessions of an exchange: opens and closes in ns UTC, dates in ns, all sorted; the zone of the exchange.

    ``breaks`` are pairs, start and end of each session's break, below 0 for none.
    """

    opens: Int64s
    closes: Int64s
    dates: Int64s
    tz: str
    breaks: Int64s


@dataclass(frozen=True)
class Reading:
    """A settled convention: whether labels are dates, the length of a bar in ns, the sessions (none for "24/7")."""

    convention: Convention
    dates: bool
    length: int
    table: Schedule | None


def bar_text(ns: int) -> str:
    """Return a duration in its largest whole unit.

    >>> bar_text(60_000_000_000)
    '1min'
    """
    unit, size = next((u, s) for u, s in _UNITS if ns % s == 0)
    return f"{ns // size}{unit}"


def bar_ns(bar: object) -> int:
    """Return the length of ``bar`` ("1min", "4h", "1D") in ns; raises `DataError` for no length.

    >>> bar_ns("1D") == 24 * bar_ns("1h")
    True
    """
    import pandas as pd

    fix = 'Pass for example bar="1min", "1h" or "1D".'
    try:
        ns = int(pd.Timedelta(bar).as_unit("ns").value) if isinstance(bar, (str, timedelta)) else 0
    except ValueError as error:
        raise DataError(message("bar", repr(bar), "a duration", fix)) from error
    if ns <= 0:
        raise DataError(message("bar", repr(bar), "a positive duration", fix))
    return ns


def stamp(value: object) -> pd.Timestamp:
    """Return one time; raises ValueError for what is none, as a number: nobody knows what it counts, and from when.

    >>> stamp("2015-07-08 15:32")
    Timestamp('2015-07-08 15:32:00')
    """
    import pandas as pd

    if isinstance(value, (bool, int, float, np.number)) and value == value:  # NaN is no time, as NaT
        raise ValueError("a number, of which nobody knows what it counts")
    try:
        found = pd.Timestamp(value)
    except TypeError as error:
        raise ValueError(str(error)) from None
    return found


def resolve(calendar: str | None) -> str:
    """Return the canonical name of ``calendar``: "24/7" or a name of exchange_calendars.

    >>> resolve("NYSE")
    'XNYS'
    """
    import exchange_calendars as xc

    fix = 'Pass calendar="XNYS" (or another name of exchange_calendars), or "24/7" for markets that never close.'
    if calendar is None:
        raise DataError(message("calendar", "none", "the sessions of the market, which no timestamp tells", fix))
    if calendar not in xc.get_calendar_names():
        raise DataError(message("calendar", repr(calendar), "a known calendar", fix))
    return str(xc.resolve_alias(calendar))


def periods_per_year(calendar: str) -> int:
    """Return the sessions by which the calendar annualises: 365 where the market never closes, else 252."""
    return 365 if calendar == ALWAYS else 252


def read(index: pd.DatetimeIndex, convention: Convention, asset: str) -> Stamps:
    """Return the labels of ``index`` in ns; all at midnight are dates, unless the bar is shorter than a day."""
    always = convention.calendar == ALWAYS
    zone = convention.tz or (str(index.tz) if index.tz is not None else None)
    local = index.tz_localize(None) if index.tz is None else index.tz_convert(zone).tz_localize(None)
    if always:
        instants = _instants(index, convention.tz or "UTC", asset)
        local = instants.tz_localize(None)
        zone = zone or "UTC"
    wall = _ns(local)
    whole_days = convention.bar is None or bar_ns(convention.bar) == DAY
    if whole_days and not (wall % DAY).any():
        return Stamps(wall, dates=True, tz=zone)
    if not always:
        instants = _instants(index, zone, asset)
    return Stamps(_ns(instants), dates=False, tz=zone)


def _ns(index: pd.DatetimeIndex) -> Int64s:
    # pandas 3 counts microseconds; the engine counts nanoseconds.
    try:
        return np.asarray(index.as_unit("ns").asi8, dtype=np.int64)
    except ValueError as error:
        fix = "Drop what lies outside, or correct the unit in which the times were read."
        raise DataError(message("timestamps", str(error), "years 1678 to 2262, int64 nanoseconds", fix)) from error


def _instants(index: pd.DatetimeIndex, zone: str | None, asset: str) -> pd.DatetimeIndex:
    what = f"timestamps of {asset!r}"
    if index.tz is not None:
        return index.tz_convert("UTC")
    if zone is None:
        fix = 'Pass tz="America/New_York" or the zone in which they were written, or tz="UTC".'
        raise DataError(message(what, f"{index[0]} without a time zone", "a known zone", fix))
    try:
        return index.tz_localize(zone).tz_convert("UTC")
    except (ValueError, KeyError) as error:
        reason = str(error).partition(", try using")[0].partition(". Try using")[0]
        fix = "Check tz=; if it is right, use frame.index.tz_localize(tz, ambiguous=..., nonexistent=...)."
        raise DataError(message(what, reason, f"times that exist once in {zone!r}", fix)) from error


def settle(stamps: Stamps, convention: Convention) -> Reading:
    """Return how sorted unique ``stamps`` are read, with everything filled in that they and the calendar tell.

    Raises `DataError` naming what has to be passed.
    """
    calendar = resolve(convention.calendar)
    length = DAY if stamps.dates else _length(stamps.ns, replace(convention, tz=stamps.tz))
    table = None
    if calendar != ALWAYS:
        table = schedule(calendar, int(stamps.ns[0]) - length, int(stamps.ns[-1]) + length)
    zone = stamps.tz or ("UTC" if table is None else table.tz)
    label = convention.label
    if stamps.dates:
        # A date names a session, so it does not matter which of its edges it stands for; a UTC day has two.
        label = "session" if table else label or "open"
    return Reading(Convention(label, bar_text(length), calendar, zone), stamps.dates, length, table)


def clock(ns: Int64s, reading: Reading, asset: str) -> Clock:
    """Return the clock of the labels ``ns`` of ``asset``; `DataError` names rows that fit no session or overlap."""
    read_as = _of_dates if reading.dates else _of_instants
    made = read_as(ns, reading, asset)
    check_clock(made.open_at, made.known_at)
    return made


@arguments()
def in_sessions(
    frame: pd.DataFrame,
    calendar: str,
    label: Literal["open", "close"] | None = None,
    bar: str | None = None,
    tz: str | None = None,
) -> pd.DataFrame:
    """Return the rows of ``frame`` whose bars are within the sessions of an exchange: without the hours around them.

    Everything else is what `from_pandas` takes: ``label``, ``bar`` and ``tz`` say how the timestamps are read. Nothing
    is dropped where ``calendar`` is "24/7". Raises `DataError` as that does.

    >>> import pandas as pd
    >>> hours = pd.date_range("2021-03-01 08:30", "2021-03-01 18:30", freq="1h", tz="America/New_York")
    >>> day = in_sessions(pd.DataFrame({"close": 1.0}, index=hours), "XNYS", label="open")
    >>> f"{day.index[0]:%H:%M} to {day.index[-1]:%H:%M}"
    '09:30 to 15:30'
    """
    quality.check_times(frame, "frame")
    quality.check_order(frame.index, "frame")
    convention = Convention(label, bar, resolve(calendar), tz)
    stamps = read(frame.index, convention, "frame")
    reading = settle(stamps, convention)
    if reading.table is None:
        return frame
    return frame[~_session_of(stamps.ns, reading)[1]]


def schedule(calendar: str, first: int, last: int) -> Schedule:
    """Return all sessions of an exchange ``calendar`` around the span from ``first`` to ``last`` (ns)."""
    return _sessions(calendar, (first - MARGIN) // DAY, (last + MARGIN) // DAY)


@lru_cache(maxsize=16)  # it takes a tenth of a second, and assets side by side ask the same
def _sessions(calendar: str, first: int, last: int) -> Schedule:
    import exchange_calendars as xc
    import pandas as pd

    start, end = (pd.Timestamp(day * DAY) for day in (first, last))
    try:
        with warnings.catch_warnings():
            for told in DEPRECATED:
                warnings.filterwarnings("ignore", told, pd.errors.Pandas4Warning)
            made = xc.get_calendar(calendar, start=start, end=end)
    except ValueError as error:
        fix = "Drop the bars outside what the calendar knows."
        raise DataError(message(f"calendar {calendar}", str(error), "a span it covers", fix)) from error
    dates = np.asarray(made.sessions.as_unit("ns").asi8, dtype=np.int64)
    breaks = np.stack([np.asarray(made.break_starts_nanos), np.asarray(made.break_ends_nanos)], axis=1)
    return Schedule(np.asarray(made.opens_nanos), np.asarray(made.closes_nanos), dates, str(made.tz), breaks)


@lru_cache(maxsize=16)
def trading_hours(calendar: str, first: int, last: int) -> Int64s:
    """Return when an exchange opens and closes in turn, breaks included, int64 ns UTC, from before day ``first`` on.

    It goes beyond day ``last`` (days since 1970), as all of it was published beforehand (rule H1).

    >>> tokyo = trading_hours("XTKS", 19724, 19724)  # 2024-01-02: the first day is the 4th
    >>> tokyo[tokyo > 19724 * DAY][:4].view("datetime64[ns]").astype("datetime64[m]").astype(str).tolist()
    ['2024-01-04T00:00', '2024-01-04T02:30', '2024-01-04T03:30', '2024-01-04T06:00']
    """
    table = schedule(calendar, first * DAY, last * DAY + 2 * MARGIN)
    whole = table.breaks[:, 0] < table.opens  # there is none
    starts, ends = (np.where(whole, table.closes, table.breaks[:, k]) for k in (0, 1))
    pairs = np.stack([table.opens, starts, ends, table.closes], axis=1).reshape(-1, 2)
    out = pairs[pairs[:, 1] > pairs[:, 0]].ravel()
    out.flags.writeable = False  # others get it from the cache
    return out


def closes(calendar: str, session: Int64s) -> Int64s:
    """Return when ``calendar`` closes each ``session`` (days since 1970), in ns UTC (rule O12).

    It is what was published beforehand, whatever bars there are. Raises `DataError` for an unknown calendar, and naming
    the first session that it does not have.

    >>> day = np.array([19685])  # the day after Thanksgiving 2023
    >>> closes("XNYS", day).view("datetime64[ns]")[0]
    np.datetime64('2023-11-24T18:00:00.000000000')
    """
    if resolve(calendar) == ALWAYS:
        return (session + 1) * DAY
    table, at = session_rows(calendar, session)
    return table.closes[at]


def session_rows(calendar: str, session: Int64s) -> tuple[Schedule, Int64s]:
    """Return the sessions of an exchange, some days before and after too, and which of them each ``session`` is.

    Raises `DataError` naming the first session that the calendar does not have.
    """
    table = _schedule_of_days(calendar, int(session[0]), int(session[-1]))
    at = np.minimum(np.searchsorted(table.dates, session * DAY), table.dates.size - 1)
    bad = np.flatnonzero(table.dates[at] != session * DAY)
    if bad.size:
        found = f"{_when(int(session[bad[0]]) * DAY)}, which {calendar} does not have"
        raise DataError(message(f"session of bar {bad[0]}", found, "a session", "Build bars with kk.data.from_pandas."))
    return table, at


@lru_cache(maxsize=16)
def _schedule_of_days(calendar: str, first: int, last: int) -> Schedule:
    """It takes a tenth of a second, and each timeframe asks for it."""
    return schedule(calendar, first * DAY, last * DAY)


def _of_dates(dates: Int64s, reading: Reading, asset: str) -> Clock:
    table, step = reading.table, int(np.diff(dates).min()) if dates.size > 2 else DAY
    if step > 4 * DAY:
        fix = "Pass the daily or finer bars themselves."
        raise DataError(message(f"step between dates of {asset!r}", bar_text(step), "daily bars", fix))
    if table is None:
        opened = dates - DAY if reading.convention.label == "close" else dates
        known = opened + DAY
        return Clock(dates, opened, known, (known - 1) // DAY)
    at, outside = _session_of(dates, reading)
    bad = np.flatnonzero(outside)
    if bad.size:
        found = f"{rows.count(bad.size)} without a session: {rows.show(bad, lambda i: _when(dates[i]))}"
        fix = f"Drop them ({rows.drop(bad, _within(reading))}), or pass the calendar of this market."
        wanted = f"one session of {reading.convention.calendar} per bar"
        raise DataError(message(f"dates of {asset!r}", found, wanted, fix))
    return Clock(dates, table.opens[at], table.closes[at], dates // DAY)


def _of_instants(times: Int64s, reading: Reading, asset: str) -> Clock:
    table = reading.table
    opened, known = _edges(times, reading)
    if table is None:
        return Clock(times, opened, known, (known - 1) // DAY)
    at, outside = _session_of(times, reading)
    bad = np.flatnonzero(outside)
    if bad.size:
        zone = reading.convention.tz
        found = f"{rows.count(bad.size)} outside the sessions: {rows.show(bad, lambda i: _when(times[i], zone))}"
        less = rows.drop(bad, _within(reading))
        fix = f'Drop them ({less}), pass the calendar of this market ("24/5", "24/7", ...), or check tz=.'
        wanted = f"bars within the sessions of {reading.convention.calendar}"
        raise DataError(message(f"bars of {asset!r}", found, wanted, fix))
    # A bar labelled from before the open (09:00 for 09:30) opens with its session; known_at is never made earlier.
    return Clock(times, np.maximum(opened, table.opens[at]), known, table.dates[at] // DAY)


def _edges(times: Int64s, reading: Reading) -> tuple[Int64s, Int64s]:
    """When bars that are labelled by an instant open, and when they are known."""
    opened = times if reading.convention.label == "open" else times - reading.length
    return opened, opened + reading.length


def _session_of(labels: Int64s, reading: Reading) -> tuple[Int64s, NDArray[np.bool_]]:
    """The session of an exchange that each label would belong to, and whether it is outside of it after all."""
    table = reading.table
    if table is None:
        raise TypeError("a market that never closes has nothing outside of its sessions")
    if reading.dates:
        at = np.minimum(np.searchsorted(table.dates, labels), table.dates.size - 1)
        return at, table.dates[at] != labels
    opened, known = _edges(labels, reading)
    at = np.maximum(np.searchsorted(table.opens, known, side="left") - 1, 0)
    # A bar that begins just when its session ends holds the closing auction, and belongs to it.
    return at, (opened > table.closes[at]) | (known <= table.opens[at])


def _within(reading: Reading) -> str:
    """The call that keeps of a frame, read like this, what is within the sessions."""
    told = reading.convention
    given = {"calendar": told.calendar}
    if not reading.dates:
        given |= {"label": told.label, "bar": told.bar, "tz": told.tz}
    return f"kk.data.in_sessions(frame, {', '.join(f'{key}={value!r}' for key, value in given.items())})"


def _when(ns: int | np.int64, zone: str | None = None) -> str:
    """A label as its frame has it: an instant in its zone, a date without one."""
    import pandas as pd

    time = pd.Timestamp(int(ns))
    return rows.when(time if zone is None else time.tz_localize("UTC").tz_convert(zone))


def _length(times: Int64s, convention: Convention) -> int:
    if convention.label not in ("open", "close"):
        found = "none" if convention.label is None else repr(convention.label)
        fix = 'Pass label="open" or label="close"; off by one bar is a view of the future.'
        wanted = f"whether {_when(times[0], convention.tz)} is the start or the end of its bar"
        raise DataError(message("label", found, wanted, fix))
    return bar_ns(convention.bar) if convention.bar else _step(times, convention)


def _step(times: Int64s, convention: Convention) -> int:
    fix = 'Pass bar="1min", "1h" or the length of a bar.'
    if times.size < 2:
        raise DataError(message("bar", "a single timestamp", "the length of a bar", fix))
    steps = np.diff(times)
    length = int(steps.min())
    if length > 20 * DAY // 24:
        fix = "Pass tz= such that every label is a midnight, or bar= with label= if they are not days of a calendar."
        raise DataError(message("daily bars", f"labels such as {_when(times[0], convention.tz)}", "midnights", fix))
    if (steps % length).any() or (steps == length).mean() < 0.5:
        found = f"steps from {bar_text(length)} to {bar_text(int(steps.max()))}"
        raise DataError(message("bar", found, "one step from which the length of a bar is clear", fix))
    return length
