"""The moments of the clock (T8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.reference.calendar import PARTS, Calendar


@dataclass(frozen=True)
class Moment:
    """The edge of a period as `month_end`, a time of day, or both."""

    edge: str = ""
    clock: str = ""


@dataclass(frozen=True)
class Moments:
    """Bars, by when each is known and its session; without a calendar some moments cannot be asked for."""

    known_at: Sequence[int]
    session: Sequence[int]
    calendar: Calendar | None

    def dates(self) -> Calendar:
        """What asks the calendar is refused without one."""
        if self.calendar is None:
            raise ValueError("a close, an end or a time of day, and no calendar: wanted data with one")
        return self.calendar

    def first(self, t: int) -> int:
        """The first bar of its session."""
        while t > 0 and self.session[t - 1] == self.session[t]:
            t -= 1
        return t

    def opens(self, t: int) -> bool:
        return self.first(t) == t

    def reaches(self, t: int, time: int) -> bool:
        """Is it the first bar of its session that is known at this time or later."""
        return self.known_at[t] >= time and (self.opens(t) or self.known_at[t - 1] < time)

    def closes(self, t: int) -> bool:
        return self.reaches(t, self.dates().close(self.session[t]))

    def begins(self, part: str, t: int) -> bool:
        """Is the session of the bar the first of its week, month or quarter: bar 0 starts none."""
        first, of = self.first(t), PARTS[part]
        return first > 0 and of(self.session[first - 1]) != of(self.session[t])

    def ends(self, part: str, t: int) -> bool:
        """Is its session the last one."""
        of, day = PARTS[part], self.session[t]
        return of(self.dates().after(day)) != of(day)

    def at(self, clock: str, t: int) -> bool:
        """Is it this time of day; none on a day that closes before."""
        day = self.session[t]
        time = self.dates().at(day, clock)
        return time <= self.dates().close(day) and self.reaches(t, time)

    def comes(self, moment: Moment, t: int) -> bool:
        """Does the moment come at bar `t`."""
        if not moment.edge:
            return self.at(moment.clock, t)
        part, edge = moment.edge.split("_")
        within = self.begins(part, t) if edge == "start" else self.ends(part, t)
        if moment.clock:
            return within and self.at(moment.clock, t)
        return within and (self.opens(t) if edge == "start" else self.closes(t))
