"""What an account is forbidden, and when its venue is away: the numbers of R2-R8 and H1-H5."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

INSTEAD = ("reject", "delay")


def check(name: str, value: str) -> None:
    """H1-H3: what becomes of an order that the venue does not take now."""
    if value not in INSTEAD:
        raise ValueError(f"{name} is {value!r}, wanted one of {', '.join(INSTEAD)}")


@dataclass(frozen=True)
class Limits:
    """R2-R8; None asks nothing. `short` has the largest short position of each asset, inf for any."""

    position: float | None = None
    notional: float | None = None
    concentration: float | None = None
    leverage: float | None = None
    turnover: float | None = None
    short: Sequence[float] | None = None
    day_trades: int | None = None
    day_trade_equity: float = 25_000.0
    short_sale_price: float | None = None
    cut: bool = False

    def __post_init__(self) -> None:
        for name in ("position", "notional", "concentration", "leverage", "turnover"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"Limits.{name} is {value!r}, wanted a number above 0, or None")
        if self.day_trades is not None and not 0 <= self.day_trades <= 16:
            raise ValueError(f"Limits.day_trades is {self.day_trades!r}, wanted 0 to 16, or None")
        if self.short_sale_price is not None and not 0.0 < self.short_sale_price < 1.0:
            raise ValueError(f"Limits.short_sale_price is {self.short_sale_price!r}, wanted a fraction, or None")


@dataclass(frozen=True)
class Outage:
    """H2: `start <= time < end`, in ns; with `matching` no pass takes place in the bars that meet it."""

    start: int
    end: int
    orders: str = "reject"
    matching: bool = True

    def __post_init__(self) -> None:
        check("Outage.orders", self.orders)
        if not self.start < self.end:
            raise ValueError(f"an outage from {self.start} to {self.end}, wanted an end after the start")


@dataclass(frozen=True)
class Halts:
    """H1-H3: `hours` are the half-open spells of a calendar, oldest first; `rate` is (orders, per); H5: `latency`
    is in ns."""

    hours: Sequence[tuple[int, int]] | None = None
    closed: str = "delay"
    outages: Sequence[Outage] = ()
    rate: tuple[int, int] | None = None
    excess: str = "reject"
    latency: int = 0

    def __post_init__(self) -> None:
        check("Halts.closed", self.closed)
        if self.latency < 0:
            raise ValueError(f"Halts.latency is {self.latency!r}, wanted 0 or more")
        check("Halts.excess", self.excess)

    def outage_at(self, time: int) -> Outage | None:
        """H2: the outage in which an order of this time is decided."""
        found = [outage for outage in self.outages if outage.start <= time < outage.end]
        return found[0] if found else None

    def next_open(self, time: int) -> int:
        """H1: the time itself within the hours, else the next open."""
        assert self.hours is not None
        if any(opens <= time < closes for opens, closes in self.hours):
            return time
        later = [opens for opens, _ in self.hours if opens > time]
        if not later:
            raise ValueError(f"the hours end before {time}, wanted an open after it")
        return later[0]

    def matches(self, open_at: int, known_at: int) -> bool:
        """H1, H2: do passes take place in this bar."""
        if self.hours is not None and not any(opens <= open_at <= closes for opens, closes in self.hours):
            return False
        return not any(outage.matching and open_at < outage.end and known_at > outage.start for outage in self.outages)
