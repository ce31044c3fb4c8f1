"""Bars of higher timeframes, made of an asset's own, and what a decision sees of them (W1-W8)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tests.reference.calendar import DAY, Calendar, week
from tests.reference.market import Bars, Grid

MINUTE = 60 * 10**9
WHOLE = ("1D", "1W")
Interval = tuple[tuple[int, ...], int | None]  # what tells it from others, and its end where that is known


def length(timeframe: str, step: int) -> int:
    """W1: in ns, of data with bars of `step`; a week is seven days."""
    if timeframe in WHOLE:
        ns = DAY if timeframe == "1D" else 7 * DAY
    else:
        ns = int(timeframe[:-1]) * {"m": MINUTE, "h": 60 * MINUTE}[timeframe[-1]]
        if ns <= 0 or DAY % ns != 0:
            raise ValueError(f"a timeframe is {timeframe}, wanted minutes or hours that divide a day")
    if ns % step != 0:
        raise ValueError(f"a timeframe is {timeframe}, wanted a multiple of the bars' {step} ns")
    return ns


def interval(bars: Bars, u: int, ns: int, calendar: Calendar | None) -> Interval | None:
    """W2, W3: the one in which base bar `u` lies, or none."""
    day, open_at = bars.session[u], bars.open_at[u]
    close = None if calendar is None else calendar.close(day)
    if ns >= DAY:
        key, end = (day,), close
        if ns > DAY:
            key = week(day)
            end = None if calendar is None else calendar.close(calendar.last_of_week(day))
    else:
        anchor = 0
        if calendar is not None and calendar.hours is not None:
            anchor = calendar.open(day)
            if open_at < anchor:
                return None
        step = (open_at - anchor) // ns
        key, end = (anchor, step), anchor + (step + 1) * ns
        if anchor:
            end = min(end, calendar.close(day))
    if end is not None and open_at >= end:
        return None
    return key, end


@dataclass
class Higher:
    """W4, W5: one higher bar, prices in ticks; `closes` is the base bar at which it closes, None before."""

    o: int
    h: int
    l: int  # noqa: E741  the four prices keep the names of the rules
    c: int
    v: float
    closes: int | None = None

    def add(self, bars: Bars, u: int) -> None:
        """W4: a further base bar."""
        self.h, self.l, self.c = max(self.h, bars.h[u]), min(self.l, bars.l[u]), bars.c[u]
        self.v = self.v + bars.v[u]


def higher(bars: Bars, ns: int, calendar: Calendar | None) -> list[Higher]:
    """W4, W5: all higher bars in the order of their intervals."""
    lies = [interval(bars, u, ns, calendar) for u in range(len(bars))]
    out = []
    for key, end in dict.fromkeys(found for found in lies if found is not None):
        inside = [u for u, found in enumerate(lies) if found is not None and found[0] == key]
        first = inside[0]
        bar = Higher(bars.o[first], bars.h[first], bars.l[first], bars.c[first], 0.0 + bars.v[first])
        for u in inside[1:]:
            bar.add(bars, u)
        later = range(first, len(bars))
        if end is not None:
            bar.closes = next((u for u in later if bars.known_at[u] >= end), None)
        else:
            bar.closes = next((u for u in later if u > inside[-1] and lies[u] is not None), None)
        out.append(bar)
    return out


@dataclass
class Timeframe:
    """W6: a timeframe of one asset; each value is as of base bar `t`, `back` higher bars before the last."""

    bars: Bars
    grid: Grid
    name: str
    step: int
    calendar: Calendar | None

    def __post_init__(self) -> None:
        self.all = higher(self.bars, length(self.name, self.step), self.calendar)

    def closed(self, t: int, back: int = 0) -> list[Higher]:
        """W5: the higher bars that have closed by base bar `t`, but for the newest `back`."""
        closed = [bar for bar in self.all if bar.closes is not None and bar.closes <= t]
        return closed[: len(closed) - back] if back <= len(closed) else []

    def price(self, part: str, t: int, back: int = 0) -> float:
        """`open[-back]` and the others, by the letter of the part."""
        closed = self.closed(t, back)
        return self.grid.price(getattr(closed[-1], part)) if closed else math.nan

    def volume(self, t: int, back: int = 0) -> float:
        closed = self.closed(t, back)
        return closed[-1].v if closed else math.nan

    def window(self, part: str, n: int, t: int, back: int, of: Callable[[Sequence[int]], Fraction]) -> float:
        """An indicator of the last `n`, NaN before it has so many: computed in ticks, and rounded once."""
        closed = self.closed(t, back)
        if len(closed) < n:
            return math.nan
        ticks = of([getattr(bar, part) for bar in closed[-n:]])
        per_tick = Fraction(self.grid.tick) if self.grid.inverse == 0 else Fraction(1, self.grid.inverse)
        return float(ticks * per_tick)

    def sma(self, part: str, n: int, t: int, back: int = 0) -> float:
        return self.window(part, n, t, back, lambda ticks: Fraction(sum(ticks), n))

    def max(self, part: str, n: int, t: int, back: int = 0) -> float:
        return self.window(part, n, t, back, lambda ticks: Fraction(max(ticks)))

    def min(self, part: str, n: int, t: int, back: int = 0) -> float:
        return self.window(part, n, t, back, lambda ticks: Fraction(min(ticks)))

    def atr(self, n: int, t: int, back: int = 0) -> float:
        """Wilder's average of the true range: the mean of the first `n`, then `((n - 1) * old + new) / n`."""
        closed, value = self.closed(t, back), 0.0
        if len(closed) < n:
            return math.nan
        for j, bar in enumerate(closed):
            high, low = self.grid.price(bar.h), self.grid.price(bar.l)
            reach = high - low
            if j > 0:
                before = self.grid.price(closed[j - 1].c)
                reach = max(reach, abs(high - before), abs(low - before))
            value = value + reach if j < n else (float(n - 1) * value + reach) / float(n)
            if j == n - 1:
                value = value / float(n)
        return value


@dataclass(frozen=True)
class Read:
    """W7: what a strategy reads of a timeframe: its widest window, an indicator's `[-1]` or any `[-k]`, the largest
    literal `k`."""

    window: int = 0
    before: bool = False
    k: int = 0

    @property
    def bars(self) -> int:
        """The higher bars that have to have closed."""
        return max(max(self.window, 1) + self.before, self.k + 1)


def ready(timeframes: Sequence[tuple[Timeframe, Read]], t: int) -> bool:
    """W7: may the first decision be taken at base bar `t`."""
    return all(len(timeframe.closed(t)) >= read.bars for timeframe, read in timeframes)
