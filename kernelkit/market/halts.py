"""When a venue takes orders: its hours, its outages, how many it takes, how far it is (rules H1-H5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from kernelkit.data.sessions import ALWAYS, DAY, resolve, stamp
from kernelkit.errors import OrderError, arguments, message
from kernelkit.kernels import layout as L

INSTEAD = ("reject", "delay")
LONGEST = 365 * DAY  # that anything is under way


def instant(value: Any, what: str) -> int:
    """A time in ns UTC, read as UTC where it has no zone; raises OrderError for what is none."""
    import pandas as pd

    try:
        time = stamp(value)
        if time is pd.NaT:
            raise ValueError("NaT")
        return int((time.tz_localize("UTC") if time.tz is None else time.tz_convert("UTC")).as_unit("ns").value)
    except ValueError as error:
        fix = 'Write "2015-07-08 15:32", in UTC, or a time with its zone.'
        raise OrderError(message(what, f"{value!r} ({error})", "a time", fix)) from None


def check_choice(what: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise OrderError for a setting that is none of these."""
    if value not in choices:
        raise OrderError(message(what, repr(value), f"one of {', '.join(choices)}", "Choose one of them."))


def length_of(value: Any) -> int:
    """A duration in ns, a whole number being that; -1 for what is none.

    >>> length_of("1s"), length_of("soon")
    (1000000000, -1)
    """
    import pandas as pd

    try:
        return -1 if isinstance(value, bool | float) else int(pd.Timedelta(value).as_unit("ns").value)
    except (ValueError, TypeError, OverflowError):
        return -1


def duration(value: Any, what: str, fix: str) -> int:
    """A duration in ns, given with its unit; raises OrderError for what is none of up to a year.

    >>> duration("30min", "transfer of the accounts", "")
    1800000000000
    """
    found = -1 if isinstance(value, int) else length_of(value)
    if not 0 <= found <= LONGEST:
        raise OrderError(message(what, repr(value), "a duration of up to a year", fix))
    return found


def latency_ns(value: Any) -> int:
    """H5: a latency in ns; raises OrderError for what is no duration of at least 0 and less than a year.

    >>> latency_ns("250ms"), latency_ns(1000)
    (250000000, 1000)
    """
    time = length_of(value)
    if not 0 <= time < LONGEST:
        fix = 'Write latency="250ms", or a whole number of ns.'
        raise OrderError(message("latency of the venue", repr(value), "a duration from 0 to less than a year", fix))
    return time


@arguments()
@dataclass(frozen=True)
class Outage:
    """A time in which a venue is down, from ``start`` up to but not at ``end`` (UTC), which no strategy knows before.

    ``orders`` given, replaced or cancelled in it are rejected (``"reject"``) or take effect at its end (``"delay"``);
    with ``matching`` nothing fills in the bars that overlap it (rule H2). Raises OrderError for what is no such time.

    >>> Outage("2023-03-24 11:27", "2023-03-24 14:00").orders
    'reject'
    """

    start: Any
    end: Any
    orders: str = "reject"
    matching: bool = True

    def __post_init__(self) -> None:
        check_choice("orders of an outage", self.orders, INSTEAD)
        if not isinstance(self.matching, bool):
            raise OrderError(message("matching of an outage", repr(self.matching), "True or False", "Nothing fills?"))
        start, end, _ = self.row
        if end <= start:
            raise OrderError(message("end of an outage", self.end, f"a time after {self.start}", "Exchange them."))

    @property
    def row(self) -> tuple[int, int, int]:
        """Start, end (ns UTC) and what it does, as `Rules` have it."""
        does = (L.TURNS_AWAY if self.orders == "reject" else 0) | (L.STOPS if self.matching else 0)
        return instant(self.start, "start of an outage"), instant(self.end, "end of an outage"), does


@arguments()
@dataclass(frozen=True)
class Rate:
    """At most ``orders`` in each interval of length ``per``, counted from 1970 on (rule H3).

    One more is rejected (``excess="reject"``) or waits for the next interval (``"delay"``). Raises OrderError for
    numbers, and for a length, that are none.

    >>> Rate(10, "1s").length
    1000000000
    """

    orders: int = 10
    per: str = "1s"
    excess: str = "reject"

    def __post_init__(self) -> None:
        n: Any = self.orders
        if not (isinstance(n, int) and not isinstance(n, bool) and 0 < n < 1 << 63):
            wanted = "a whole number from 1 to 2^63 - 1"
            raise OrderError(message("orders of a rate", repr(n), wanted, "Write kk.Rate(10, '1s')."))
        check_choice("excess of a rate", self.excess, INSTEAD)
        if self.length == 0:
            raise OrderError(message("per of a rate", repr(self.per), "a duration above 0", "Write kk.Rate(10, '1s')."))

    @property
    def length(self) -> int:
        """Of an interval, in ns."""
        return duration(self.per, "per of a rate", "Write kk.Rate(10, '1s').")


def in_order(outages: Any) -> tuple[Outage, ...]:
    """Outages by time; raises OrderError for anything else, and for two at one time."""
    fix = "Write outages=[kk.Outage(start, end)]."
    given = list(outages) if isinstance(outages, Iterable) else []
    if not isinstance(outages, Iterable) or not all(isinstance(o, Outage) for o in given):
        raise OrderError(message("outages of the venue", repr(outages), "a list of kk.Outage", fix))
    out = tuple(sorted(given, key=lambda o: o.row))
    for a, b in pairwise(out):
        if b.row[0] < a.row[1]:
            found = f"one from {b.start}, before that of {a.start} has ended"
            raise OrderError(message("outages of the venue", found, "one at a time", "Join them."))
    return out


def calendar_named(hours: Any) -> str | None:
    """The canonical name of a calendar, None for one that never closes; raises DataError for what is none."""
    if hours is None or hours == ALWAYS:
        return None
    return resolve(hours)
