"""One asset of an account: its market, what is held of it, and the bar of it that the clock stands at (X1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from tests.reference.config import Config, Record
from tests.reference.market import Bars, Grid
from tests.reference.orders import Order


@dataclass
class Holding:
    """Asset number `number` of the account; `rows` as in `Asset`."""

    number: int
    bars: Bars
    grid: Grid
    rows: Sequence[int]
    position: int = 0
    open_trade: Record | None = None
    last: int = -1  # X1: its last bar, -1 before its first
    has_bar: bool = False  # is that the bar of the clock
    opened: int = 0
    high: int = 0
    low: int = 0
    close: int = 0
    over: bool = False  # X6: from F10's late pass on
    left: int | None = None  # P1: the lots that may still trade in its bar, None for any number

    def __post_init__(self) -> None:
        """X1: for each bar of the clock the newest of the asset's bars at or before it, -1 for none."""
        self.last_bars = list(accumulate(self.rows, max))

    def stand_at(self, t: int, config: Config) -> None:
        """X1: the clock is at bar `t`; F12 `close`: the bar is its close."""
        self.last, self.has_bar, self.over = self.last_bars[t], self.rows[t] >= 0, False
        if self.last < 0:
            return
        bars, bar = self.bars, self.last
        self.opened, self.high, self.low, self.close = bars.o[bar], bars.h[bar], bars.l[bar], bars.c[bar]
        if config.path == "close":
            self.opened = self.high = self.low = self.close
        self.left = None
        if config.participation is not None:
            self.left = math.trunc((config.participation * bars.v[bar]) / self.grid.lot)

    @property
    def opens_session(self) -> bool:
        """O12: is its bar the first of its session."""
        return self.last == 0 or self.bars.session[self.last] != self.bars.session[self.last - 1]

    @property
    def closes_session(self) -> bool:
        """O12: is its bar known when the calendar closes its session, or later."""
        assert self.bars.closes is not None
        return self.bars.known_at[self.last] >= self.bars.closes[self.last]

    @property
    def standard(self) -> int:
        """X6: `M`, the price at which the position counts while the bar is matched."""
        return self.opened if self.has_bar and not self.over else self.close

    def value(self) -> float:
        """X6: `N(M, position)`."""
        return self.grid.notional(self.standard, self.position)

    def gross(self) -> float:
        """X6: `P(M) * (float(|position|) * unit)`."""
        return self.grid.gross(self.standard, self.position)

    def stamp(self, rule: str) -> int:
        """T3, F10: the time of a fill in its bar."""
        if rule == "same_close":
            return self.bars.known_at[self.last - 1]
        return self.bars.open_at[self.last] if rule == "open" else self.bars.known_at[self.last]

    def rest(self, order: Order) -> int:
        """P2, A4: the lots that an order still wants; none of a reduce-only one that has nothing to close."""
        rest = order.lots - order.filled
        if order.reduce_only and self.position * rest >= 0:
            return 0
        if order.reduce_only and abs(rest) > abs(self.position):
            return -self.position
        return rest

    def allowed(self, lots: int) -> int:
        """P2: as many of the lots as the bar has left."""
        if self.left is None or abs(lots) <= self.left:
            return lots
        return self.left if lots > 0 else -self.left

    def reduces(self, lots: int) -> bool:
        """A2, X4: lots that neither increase the position nor change its sign."""
        final = self.position + lots
        return abs(final) <= abs(self.position) and final * self.position >= 0
