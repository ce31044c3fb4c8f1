"""The published calendar of an exchange, or of a market that never closes (Notation, T8, W2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SECOND = 10**9
DAY = 86_400 * SECOND
EPOCH = date(1970, 1, 1)


def date_of(day: int) -> date:
    """The date of a session."""
    return EPOCH + timedelta(days=day)


def week(day: int) -> tuple[int, ...]:
    """Monday to Sunday."""
    return date_of(day).isocalendar()[:2]


def month(day: int) -> tuple[int, ...]:
    return date_of(day).year, date_of(day).month


def quarter(day: int) -> tuple[int, ...]:
    return date_of(day).year, (date_of(day).month - 1) // 3


PARTS = {"week": week, "month": month, "quarter": quarter}


@dataclass(frozen=True)
class Calendar:
    """`hours` are open and close (ns UTC) of each session, before and after the data too; None: it never closes."""

    zone: str = "UTC"
    hours: Mapping[int, tuple[int, int]] | None = None

    def open(self, day: int) -> int:
        return day * DAY if self.hours is None else self.hours[day][0]

    def close(self, day: int) -> int:
        """Notation: `closes` of a session."""
        return (day + 1) * DAY if self.hours is None else self.hours[day][1]

    def after(self, day: int) -> int:
        """T8: the next session."""
        return day + 1 if self.hours is None else min(other for other in self.hours if other > day)

    def last_of_week(self, day: int) -> int:
        """W2: the last session of its week."""
        while week(self.after(day)) == week(day):
            day = self.after(day)
        return day

    def at(self, day: int, clock: str) -> int:
        """T8: a time of day on a session's date, or the day before."""
        then = self.instant(date_of(day), clock)
        if then > self.close(day):
            before = self.instant(date_of(day - 1), clock)
            if before >= self.open(day):
                return before
        return then

    def instant(self, on: date, clock: str) -> int:
        """T8: when the clocks show it: first, or go on from a time that they skip."""
        zone = ZoneInfo(self.zone)
        wall = datetime.combine(on, time.fromisoformat(clock), zone)
        first, second = (int(wall.replace(fold=fold).timestamp()) for fold in (0, 1))
        if first <= second:  # the same, or first and second time that they show it
            return first * SECOND
        # skipped: one lies before the clocks go on, as they then went, the other after it
        after = datetime.fromtimestamp(first, zone).utcoffset()
        return min(s for s in range(second, first + 1) if datetime.fromtimestamp(s, zone).utcoffset() == after) * SECOND
