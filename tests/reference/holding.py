"""One asset of an account: its market, what is held of it, and the bar of it that the clock stands at (X1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
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
    config: Config = field(default_factory=Config)  # V1: as its venue has it
    venue: int = 0
    open_trade: Record | None = None
    last: int = -1  # X1: its last bar, -1 before its first
    own_last: int = -1  # F16: the same among its own bars while `bars` are its finer ones
    has_bar: bool = False  # is that the bar of the clock
    opened: int = 0
    high: int = 0
    low: int = 0
    close: int = 0
    over: bool = False  # X6: from F10's late pass on
    delisted: bool = False  # E4
    ratios: list[float] = field(default_factory=list)  # E1: of its splits in the bar of the clock so far
    splits: list[tuple[int, float]] = field(default_factory=list)  # R7: its bar that begins with each, and the ratio
    renewed: bool = False  # F10: does its bar begin with a split or a dividend
    basis: float = 0.0  # L4: what the position cost
    stake: float = 0.0  # L4: what is put at risk with isolated margin
    left: int | None = None  # P1: the lots that may still trade in its bar, None for any number
    since: float | None = None  # X11: its price where it has no finer bar at that of the clock
    ends: bool = False  # F16: is its finer bar the last of a bar that ends a session

    def __post_init__(self) -> None:
        """X1: for each bar of the clock the newest of the asset's bars at or before it, -1 for none."""
        self.own = self.bars
        self.last_bars = list(accumulate(self.rows, max))

    def stand_at(self, t: int) -> None:
        """X1: the clock is at bar `t`; F12 `close`: the bar is its close."""
        self.bars, self.last, self.ends = self.own, self.last_bars[t], False
        self.own_last, self.has_bar, self.over, self.since = self.last, self.rows[t] >= 0, False, None
        if self.last >= 0:
            self.look()

    def stand_in(self, finer: Bars, u: int, ends: bool) -> None:
        """F16: it is at finer bar `u`, which `ends` the last bar of a session (O12)."""
        self.bars, self.last, self.ends = finer, u, ends
        self.look()

    def look(self) -> None:
        """The prices of the bar, and what may trade in it."""
        bars, bar, config = self.bars, self.last, self.config
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
        """O12, F16: is its bar known when the calendar closes its session, or later."""
        assert self.bars.closes is not None
        return self.ends or self.bars.known_at[self.last] >= self.bars.closes[self.last]

    @property
    def standard(self) -> int:
        """X6: `M`, the price at which the position counts while the bar is matched."""
        return self.opened if self.has_bar and not self.over else self.close

    def worth(self) -> float:
        """X6, X11: `W(M)`."""
        if self.has_bar or self.since is None:
            return self.grid.worth(self.standard)
        return -1.0 / self.since if self.grid.contract == "inverse" else self.since

    def value(self) -> float:
        """X6: `N(M, position)`."""
        return self.worth() * (float(self.position) * self.grid.unit)

    def gross(self) -> float:
        """X6: `|W(M)| * (float(|position|) * unit)`."""
        return abs(self.worth()) * (float(abs(self.position)) * self.grid.unit)

    def stamp(self, rule: str) -> int:
        """T3, F10: the time of a fill in its bar."""
        if rule == "same_close":
            return self.bars.known_at[self.last - 1]
        return self.bars.open_at[self.last] if rule == "open" else self.bars.known_at[self.last]

    def price_at(self, t: int) -> float:
        """X1: the close of its last bar at bar `t` of the clock."""
        return self.grid.price(self.own.c[self.last_bars[t]])

    def price_before(self, t: int, ratios: Sequence[float]) -> float:
        """E1: the close of its last bar before bar `t` of the clock, after splits of that bar by `ratios`."""
        price = self.price_at(t - 1)
        for r in ratios:
            price = price / r
        return price

    def value_before(self, t: int) -> float:
        """E6, E7: `|N(C, h)|`, before any split of the bar."""
        return abs(self.grid.notional(self.own.c[self.last_bars[t - 1]], self.position))

    def earn(self, amount: float) -> None:
        """E2-E5, E7: what the round trip has brought besides its fills."""
        assert self.open_trade is not None
        self.open_trade["pnl"] = self.open_trade["pnl"] + amount

    def count_cost(self, ticks: int, lots: int, initial: float) -> None:
        """L4: `basis` and `stake` with a fill that `position` does not count yet."""
        held, final = self.position, self.position + lots
        if held * final < 0:
            self.basis = self.grid.notional(ticks, final)
            self.stake = self.grid.gross(ticks, final) * initial
        elif abs(final) > abs(held):
            self.basis = self.basis + self.grid.notional(ticks, lots)
            self.stake = self.stake + self.grid.gross(ticks, lots) * initial
        elif final == 0:
            self.basis = self.stake = 0.0
        else:
            self.basis = self.basis * (float(final) / float(held))
            self.stake = self.stake * (float(final) / float(held))

    def rest(self, order: Order) -> int:
        """P2, A4, R1: the lots that an order still wants; none of one that only reduces and has nothing to close."""
        rest = order.lots - order.filled
        only = order.reduce_only or order.held
        if only and self.position * rest >= 0:
            return 0
        if only and abs(rest) > abs(self.position):
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
