"""The limits of an account, judged at the decision before an order lives (U1, R1-R8)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tests.reference.account import Fund
from tests.reference.desk import Desk
from tests.reference.holding import Holding
from tests.reference.mandate import Limits
from tests.reference.orders import Book, Order
from tests.reference.purse import Purse, share
from tests.reference.tallies import fell

MOST = 2**53
ALLOWANCE = 1.000000001  # R1


def lots_of(x: float, each: float) -> int:
    """R1: `lots(x, each)`."""
    return math.trunc(min((x * ALLOWANCE) / each, float(MOST))) if x > 0.0 else 0


@dataclass(frozen=True)
class Hit:
    """R8: a limit that asks for `most` lots on the order's side; R9: its number, and what there would be at worst."""

    reason: str
    most: int
    limit: float
    found: float


@dataclass
class Judge:
    """Judges one order that is for `lots`, new or `replaced`; it is in the book."""

    account: Fund
    book: Book
    order: Order
    lots: int
    price: int  # 0 of an order without a limit price
    time: int
    replaced: bool = False
    held: bool = False  # R1: is the order held to reducing

    def __post_init__(self) -> None:
        self.side, self.q = 1 if self.lots > 0 else -1, abs(self.lots) - abs(self.order.filled)

    @property
    def holding(self) -> Holding:
        return self.account.of(self.order)

    @property
    def purse(self) -> Purse:
        """V3."""
        return self.account.purse_of[self.order.asset]

    @property
    def limits(self) -> Limits:
        return self.purse.config.limits or Limits()

    @property
    def close(self) -> int:
        """`C[t]`."""
        return self.holding.bars.c[self.holding.last]

    @property
    def asked(self) -> bool:
        """R1: is there anything to judge, of an order that is not reduce-only."""
        universes = any(holding.bars.universe is not None for holding in self.account.holdings)
        told = self.purse.config.limits is not None or universes
        return told and not self.order.reduce_only

    def others(self) -> list[Order]:
        """R1, V3: the other live orders of the account that are not reduce-only."""
        others = [other for other in self.book.live() if other.id != self.order.id and not other.reduce_only]
        return [other for other in others if self.account.purse_of[other.asset] is self.purse]

    def open_lots(self, asset: int, side: int, but: int) -> int:
        """R1: `open` for an order `but` of this side; the order that is judged lives if it is `replaced`."""
        total = 0
        for order in self.book.live():
            if order.asset != asset or order.lots * side < 0 or order.reduce_only or order.id == but:
                continue
            if order.id != self.order.id:
                total += order.open_lots
            elif self.replaced:
                total += max(self.q, order.open_lots)
        return total

    def base_of(self, order: Order, side: int) -> int:
        """R1: `base`."""
        return side * self.account.of(order).position + self.open_lots(order.asset, side, order.id)

    def reason(self) -> str:
        """R8: why the order is rejected, or nothing; it may have been cut."""
        if not self.asked:
            return ""
        base = self.base_of(self.order, self.side)
        self.held = base + self.q <= 0
        if self.held:
            return ""
        reducing = max(0, min(self.q, -base))
        if self.outside():
            self.note(Hit("outside_universe", 0, 0.0, 0.0), 0)
            return "outside_universe"
        for hit in self.hits(base):
            allowed = max(reducing, hit.most - base)
            if self.q <= allowed:
                continue
            left = allowed if self.limits.cut and not self.replaced else 0
            self.note(hit, left)
            if left == 0:
                return hit.reason
            self.q = left
            self.held = base + left <= 0
        return ""

    def price_reason(self) -> str:
        """R8: a replacement whose lots do not grow is asked R7 alone."""
        base = self.base_of(self.order, self.side)
        self.held = self.order.held or (self.asked and base + self.q <= 0)
        if not self.asked or base + self.q <= 0:
            return ""
        for hit in self.short_sale_price():
            if self.q > max(0, min(self.q, -base), hit.most - base):
                self.note(hit, 0)
                return hit.reason
        return ""

    def outside(self) -> bool:
        """U1."""
        universe = self.holding.bars.universe
        return universe is not None and not universe[self.holding.last]

    def note(self, hit: Hit, left: int) -> None:
        """R9: of a replacement the lots that the order would have."""
        lots = (self.lots, self.lots) if self.replaced else (self.q, left)
        done, numbers = "cut" if left else "rejected", (hit.limit, hit.found)
        compliance = self.account.compliance
        compliance.note(self.order, self.time, hit.reason, done, lots, 0, numbers, self.replaced)

    def hits(self, base: int) -> Iterator[Hit]:
        """R8: the limits in their order, each asked for what the one before has left."""
        yield from self.sizes(base)
        yield from self.sums(base)
        yield from self.sales(base)

    def sizes(self, base: int) -> Iterator[Hit]:
        """R2."""
        limits, grid, equity = self.limits, self.holding.grid, self.purse.left
        each = abs(grid.worth(self.close)) * grid.unit
        if limits.position is not None:
            most = lots_of(limits.position, grid.lot)
            yield Hit("position_limit", most, limits.position, float(base + self.q) * grid.lot)
        if limits.notional is not None:
            most = lots_of(limits.notional, each)
            yield Hit("notional_limit", most, limits.notional, float(base + self.q) * each)
        if limits.concentration is not None:
            most = lots_of(limits.concentration * equity, each)
            found = share(float(base + self.q) * each, equity)
            yield Hit("concentration_limit", most, limits.concentration, found)

    def sums(self, base: int) -> Iterator[Hit]:
        """R3, R4."""
        limits, grid, equity = self.limits, self.holding.grid, self.purse.left
        each = abs(grid.worth(self.close)) * grid.unit
        if limits.leverage is not None:
            x = self.worst_elsewhere()
            most = lots_of(limits.leverage * equity - x, each)
            found = share(x + float(base + self.q) * each, equity)
            yield Hit("leverage_limit", most, limits.leverage, found)
        if limits.turnover is not None:
            t, y = self.purse.tally.turnover, self.under_way()
            most = base + lots_of((limits.turnover - t) * equity - y, each)
            found = t + share(y + float(self.q) * each, equity)
            yield Hit("turnover_limit", most, limits.turnover, found)

    def worst_elsewhere(self) -> float:
        """R3: `X`."""
        x = 0.0
        for other in self.purse.holdings:
            if other.number == self.order.asset or other.last < 0:
                continue
            worst = max(side * other.position + self.open_lots(other.number, side, 0) for side in (1, -1))
            if worst > 0:
                x = x + other.grid.gross(other.bars.c[other.last], worst)
        return x

    def under_way(self) -> float:
        """R4: `Y`."""
        y = 0.0
        for other in self.others():
            holding = self.account.of(other)
            y = y + holding.grid.gross(holding.bars.c[holding.last], other.open_lots)
        return y

    def sales(self, base: int) -> Iterator[Hit]:
        """R5, R6, R7."""
        limits, grid = self.limits, self.holding.grid
        if limits.short is not None and self.side < 0:
            short = limits.short[self.order.asset]
            yield Hit("short_sale", lots_of(short, grid.lot), short, float(base + self.q) * grid.lot)
        if limits.day_trades is not None and self.purse.left < limits.day_trade_equity:
            count = self.purse.tally.recent() + self.could_become() + 1
            if count > limits.day_trades:
                yield Hit("day_trades", 0, float(limits.day_trades), float(count))
        yield from self.short_sale_price()

    def could_become(self) -> int:
        """R6: `Q`."""
        opening = 0
        for other in self.others():
            side = 1 if other.lots > 0 else -1
            opening += self.base_of(other, side) + other.open_lots > 0
        return self.purse.tally.could_become() + opening

    def short_sale_price(self) -> Iterator[Hit]:
        """R7."""
        x, holding = self.limits.short_sale_price, self.holding
        if x is None or self.side > 0 or not fell(holding.bars, holding.grid, holding.splits, holding.last, x):
            return
        if not (self.order.kind == "limit" and self.price > self.close):
            yield Hit("short_sale_price", 0, holding.grid.price(self.close), holding.grid.price(self.price))


def refusal(account: Fund, book: Book, desk: Desk, order: Order, time: int) -> str:
    """R8: of a new order; one that was cut may be below the minimum now (O15)."""
    judge = Judge(account, book, order, order.lots, order.price, time)
    reason, order.held = judge.reason(), judge.held
    if reason or judge.q == abs(order.lots):
        return reason
    order.lots, order.weight = judge.side * judge.q, None
    return "below_minimum" if desk.below_minimum(order.lots, desk.reference(order)) else ""


def held_by(account: Fund, book: Book, order: Order, lots: int, price: int, time: int) -> bool | None:
    """R8, R1: with these lots and this price is a live order held to reducing; None where a limit forbids them, as it
    is never cut."""
    judge = Judge(account, book, order, lots, price, time, replaced=True)
    reason = judge.reason() if abs(lots) > abs(order.lots) else judge.price_reason()
    return None if reason else judge.held
