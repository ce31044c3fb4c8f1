"""Bars of higher timeframes, made of closed bars only (rules W1-W5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernelkit.data.sessions import ALWAYS, DAY, bar_ns, bar_text, session_rows
from kernelkit.errors import UsageError, message
from kernelkit.kernels.timeframe import length

Int64s = NDArray[np.int64]
UNKNOWN = np.iinfo(np.int64).max


class Bars(NamedTuple):
    """The base bars: ``open_at`` and ``known_at`` in ns UTC, ``session`` in days since 1970, all int64."""

    open_at: Int64s
    known_at: Int64s
    session: Int64s


class Places(NamedTuple):
    """Where the higher bars that have closed lie: one stretch of base bars each.

    ``inside`` are the rows of all base bars that lie in an interval, ``first`` and ``last`` where in ``inside`` each
    higher bar begins and ends (inclusive). ``closed``, (n + 1,), is how many have closed before each base bar, and in
    the end.
    """

    inside: Int64s
    first: Int64s
    last: Int64s
    closed: Int64s


def check_timeframe(timeframe: str, bar: str, calendar: str) -> None:
    """W1: raise UsageError for a ``timeframe`` that bars of length ``bar`` cannot be put together to.

    >>> check_timeframe("4h", "1h", "24/7")
    >>> check_timeframe("30m", "1h", "24/7")
    Traceback (most recent call last):
    kernelkit.errors.UsageError: timeframe 30m: found bars of 1h, wanted bars of 30m or finer. ...
    """
    if not bar:
        fix = 'Build bars with kk.data.from_pandas(..., bar="1min").'
        raise UsageError(message(f"timeframe {timeframe}", "bars without a length", "attrs['bar'] of the bars", fix))
    whole, own = length(timeframe), bar_ns(bar)
    if own > whole:
        fix = "Load finer bars, or ask for a higher timeframe."
        raise UsageError(message(f"timeframe {timeframe}", f"bars of {bar}", f"bars of {timeframe} or finer", fix))
    # A session is made of whole bars, however long it is.
    if whole % own and (whole < DAY or calendar in (ALWAYS, "")):
        wanted = f"a multiple of {bar_text(own)}"
        raise UsageError(message(f"timeframe {timeframe}", f"bars of {bar}", wanted, "Ask for another timeframe."))


def places(bars: Bars, timeframe: str, calendar: str) -> Places:
    """Where the higher bars of ``timeframe`` lie; ``calendar`` is "24/7", the name of an exchange's, or "" for none.

    Raises `DataError` for a session that the calendar does not have.

    >>> hours = np.arange(5) * 3_600_000_000_000
    >>> found = places(Bars(hours, hours + hours[1], np.zeros(5, np.int64)), "2h", "24/7")
    >>> found.first.tolist(), found.last.tolist(), found.closed.tolist()
    ([0, 2], [1, 3], [0, 0, 1, 1, 2, 2])
    """
    begin, end = intervals(bars, timeframe, calendar)
    inside = np.flatnonzero(bars.open_at < end)  # W3
    turns = 1 + np.flatnonzero(np.diff(begin[inside]))
    first = np.concatenate([np.zeros(min(1, inside.size), np.int64), turns])
    last = np.concatenate([turns, [inside.size] * min(1, inside.size)]).astype(np.int64) - 1
    closes = np.searchsorted(bars.known_at, end[inside[first]])  # W5
    later = np.append(inside[first[1:]], bars.known_at.size)[: first.size]
    closes = np.minimum(closes, later)
    done = closes < bars.known_at.size
    closed = np.zeros(bars.known_at.size + 1, np.int64)
    closed[1:] = np.cumsum(np.bincount(closes[done], minlength=bars.known_at.size))
    return Places(inside, first[done], last[done], closed)


def intervals(bars: Bars, timeframe: str, calendar: str) -> tuple[Int64s, Int64s]:
    """W2: what tells the interval of each base bar from those before it, and when it ends (ns)."""
    whole, session = length(timeframe), bars.session
    if whole >= DAY:
        number = session if whole == DAY else (session + 3) // 7  # weeks from Monday 1969-12-29 on
        if calendar in (ALWAYS, ""):
            end = (session + 1) * DAY if whole == DAY else (7 * number + 4) * DAY
            return number, end if calendar else np.full(end.size, UNKNOWN)
        table, at = session_rows(calendar, session)
        if whole > DAY:
            weeks = (table.dates // DAY + 3) // 7
            at = np.searchsorted(weeks, number, side="right") - 1
        return number, table.closes[at]
    if calendar in (ALWAYS, ""):
        begin = bars.open_at // whole * whole
        return begin, begin + whole
    table, at = session_rows(calendar, session)
    begin = table.opens[at] + (bars.open_at - table.opens[at]) // whole * whole
    return begin, np.minimum(begin + whole, table.closes[at])


def fold(found: Places, columns: Mapping[str, NDArray[np.float64] | Int64s]) -> dict[str, NDArray[np.float64] | Int64s]:
    """W4: the columns of the higher bars, by the names of the base bars'.

    A name that begins with open, high, low or close says what is taken of it; volume is summed, session is the last's.

    >>> found = Places(np.arange(4), np.array([0, 2]), np.array([1, 3]), np.zeros(5, np.int64))
    >>> fold(found, {"high": np.array([3.0, 4.0, 1.0, 2.0])})["high"].tolist()
    [4.0, 2.0]
    """
    inside, first, last, _ = found
    out = {}
    for name, values in columns.items():
        used = values[inside[: last[-1] + 1]] if last.size else values[:0]
        if name.startswith(("high", "low")):
            best = np.maximum if name.startswith("high") else np.minimum
            out[name] = best.reduceat(used, first) if first.size else used
        elif name == "volume":  # from the oldest on, one by one: as bincount adds
            out[name] = np.bincount(np.repeat(np.arange(first.size), last - first + 1), used, first.size)
        else:
            out[name] = used[first if name.startswith("open") else last]
    return {name: np.ascontiguousarray(values) for name, values in out.items()}
