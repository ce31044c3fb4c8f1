"""Which bars are moments of the calendar: a session's edges, those of a week, month or quarter, a time of day (T8)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernelkit.data.sessions import ALWAYS, DAY, Int64s, Schedule, closes, resolve, schedule
from kernelkit.errors import DataError, message

STARTS = ("session_open", "week_start", "month_start", "quarter_start")  # known without a calendar
SECOND = 10**9
Bools = NDArray[np.bool_]
FURTHER = (10, 40, 200)  # days: how far the next session is looked for


def moments(names: Sequence[str], calendar: str, session: Int64s, known_at: Int64s) -> Int64s:
    """Return for each bar the moments that it is: bit ``k`` stands for ``names[k]`` (rule T8).

    ``session`` (days since 1970) and ``known_at`` (ns UTC) are those of the bars, int64 (bar,); ``calendar`` may be
    empty where only starts are asked for. Raises `DataError` where it is not enough.

    >>> day = np.array([19687, 19688, 19691])  # 2023-11-26 to 30
    >>> moments(["month_end", "week_start"], "24/7", day, (day + 1) * DAY).tolist()
    [0, 2, 1]
    """
    out = np.zeros(len(session), np.int64)
    if len(session) and names:
        calendar = resolve(calendar) if calendar else ""
        for k, name in enumerate(names):
            out |= one(name, calendar, session, known_at).astype(np.int64) << k
    return out


def one(name: str, calendar: str, session: Int64s, known_at: Int64s) -> Bools:
    """Return whether each bar is this moment."""
    same = np.r_[False, session[1:] == session[:-1]]
    if name == "session_open":
        return np.asarray(~same)
    day, _, clock = name.rpartition(" ")
    if ":" in clock:
        due = instants(clock, calendar, session)
        late = first((known_at >= due) & (due <= closes(calendar, session)), same)
        return late & day_of(day, calendar, session, same) if day else late
    edge = name.rpartition("_")[2]
    if edge == "start":
        return np.asarray(~same & day_of(name, calendar, session, same))
    late = first(known_at >= closes(calendar, session), same)
    return late if edge == "close" else np.asarray(late & day_of(name, calendar, session, same))


def day_of(name: str, calendar: str, session: Int64s, same: Bools) -> Bools:
    """Return whether the session of each bar is the first, or last, of its week, month or quarter; bar 0's no first."""
    period, _, edge = name.partition("_")
    if edge == "end":
        return ends(session, calendar, period)
    number = numbers(session, period)
    begins = np.r_[False, number[1:] != number[:-1]]
    opened = np.maximum.accumulate(np.where(same, 0, np.arange(len(session))))
    return np.asarray(begins[opened])


def first(late: Bools, same: Bools) -> Bools:
    """Return the first late bar of each session; ``same`` says which bars are of the session of the one before."""
    return np.asarray(late & ~(same & np.r_[False, late[:-1]]))


def numbers(days: Int64s, period: str) -> Int64s:
    """Return the number of the week (from Monday on), month or quarter in which each day lies.

    >>> numbers(np.array([3, 4, 11]), "week").tolist()  # Sunday 1970-01-04, Monday, the next one
    [0, 1, 2]
    """
    if period == "week":
        return (days + 3) // 7
    months: Int64s = days.astype("M8[D]").astype("M8[M]").astype(np.int64)
    return months if period == "month" else months // 3


def ends(session: Int64s, calendar: str, period: str) -> Bools:
    """Return whether the calendar's next session lies in another period than each session."""
    after = session + 1 if calendar == ALWAYS else following(session, calendar)
    return np.asarray(numbers(after, period) != numbers(session, period))


def table_of(session: Int64s, calendar: str, days: int = 0) -> Schedule:
    """Return the sessions of an exchange from the first of these on, to ``days`` after the last."""
    return schedule(calendar, int(session[0]) * DAY, (int(session[-1]) + days) * DAY)


def following(session: Int64s, calendar: str) -> Int64s:
    """Return the session of an exchange that follows each of these; raises `DataError` where none is known."""
    for days in FURTHER:
        dates = table_of(session, calendar, days).dates // DAY
        if dates[-1] > session[-1]:
            return dates[np.searchsorted(dates, session, side="right")]
    found, wanted = f"no session in the {FURTHER[-1]} days after the last bar's", "the session that follows each"
    raise DataError(message(f"calendar {calendar}", found, wanted, "Drop the bars outside what the calendar knows."))


def instants(clock: str, calendar: str, session: Int64s) -> Int64s:
    """Return when the exchange's clocks show this time of day in each session, which may begin a day early; ns UTC.

    >>> days = np.array([19426, 19429])  # Friday 2023-03-10, and Monday, when New York's clocks had gone forward
    >>> instants("15:30", "XNYS", days).view("datetime64[ns]").astype("M8[m]").tolist()
    [datetime.datetime(2023, 3, 10, 20, 30), datetime.datetime(2023, 3, 13, 19, 30)]
    """
    h, m, s = (int(part) for part in f"{clock}:00".split(":")[:3])
    time = (3600 * h + 60 * m + s) * SECOND
    if calendar == ALWAYS:
        return session * DAY + time
    table = table_of(session, calendar)
    opens = table.opens[np.searchsorted(table.dates, session * DAY)]
    on, before = (at_clock(session * DAY + back + time, table.tz) for back in (0, -DAY))
    return np.where((on > closes(calendar, session)) & (before >= opens), before, on)


def at_clock(local: Int64s, zone: str) -> Int64s:
    """Return the instants, in ns UTC, at which clocks of a zone show these times."""
    import pandas as pd

    days, place = np.unique(local, return_inverse=True)
    shown = pd.DatetimeIndex(days.astype("M8[ns]"))
    twice = np.ones(len(days), bool)  # the first of two
    made = shown.tz_localize(zone, ambiguous=twice, nonexistent="shift_forward")
    return np.asarray(made.as_unit("ns").asi8, np.int64)[place.reshape(-1)]
