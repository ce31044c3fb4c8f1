"""The venue of a portfolio: each pass settles what reduces first, then shares what cash is left (X4, X5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import trunc

from tests.reference.liquidation import Liquidator
from tests.reference.orders import Order
from tests.reference.quotes import Quote
from tests.reference.venue import Offer, Venue

SHARERS = 2  # one order alone has nobody to share with: A3 cuts it


@dataclass
class SharingVenue(Venue):
    """Walks every pass twice; between the walks it finds the share of the orders that need cash."""

    sharers: list[int] = field(default_factory=list)  # X5: ids of the orders with a need above zero
    ratio: float = 1.0
    waiting: set[int] = field(default_factory=set)  # L3: the assets whose check waits until after F7

    def mark(self, t: int) -> None:
        """A5, L6: a portfolio is liquidated at the mark, of which its fills do not know yet, and marked anew."""
        before = self.account.equity
        super().mark(t)
        liquidator = Liquidator(self.config, self.account, self.book)
        here = self.matches(self.account.holdings[0])  # V4: at one venue
        if not self.config.isolated and here and liquidator.falls_short():
            self.account.equity = before
            held = self.account.held()
            liquidator.liquidate(held, [holding.close for holding in held], "intrabar", self.clock.known_at[t], together=True)
            super().mark(t)

    def check_margin(self, place: str) -> None:
        """L7: L3 for each isolated position whose asset has a bar, in column order."""
        if not (self.config.isolated and self.matches(self.account.holdings[0])):
            return
        liquidator = Liquidator(self.config, self.account, self.book)
        if place == "open":
            self.waiting = set()
        for holding in [holding for holding in self.account.held() if holding.has_bar]:
            woken = [order for order in self.woken if order.asset == holding.number]
            if place != "open" and self.config.same_bar == "adverse" and liquidator.waits_for(holding, woken):
                self.waiting.add(holding.number)
            else:
                liquidator.check(holding, place)

    def woken_pass(self) -> None:
        """F7, L3: then what has waited for it is looked at."""
        super().woken_pass()
        for number in sorted(self.waiting):
            holding = self.account.holdings[number]
            Liquidator(self.config, self.account, self.book).check(holding, "range")

    def passes_over(self, order: Order) -> bool:
        """L3, L7."""
        holding = self.account.of(order)
        return self.config.isolated and Liquidator(self.config, self.account, self.book).passes_over(holding, order)

    def walk(self, orders: list[Order], offer: Offer, moves: bool = False) -> None:
        """X4: first those that reduce, then all."""
        for order in orders:
            holding = self.account.of(order)
            if order.live and holding.reduces(holding.rest(order)):
                self.attempt(order, offer, moves)
        self.share_out([order for order in orders if self.account.of(order).config.cash_rule == "reduce"], offer)
        for order in orders:
            if order.live:
                self.attempt(order, offer, moves)
        self.sharers = []

    def share_out(self, orders: list[Order], offer: Offer) -> None:
        """X5: who shares in the second walk, and in what ratio."""
        needs: dict[int, float] = {}
        for order in orders:
            quote = offer(order) if order.live and not self.queues(order) else None
            if quote is not None and self.would_fill(order, quote):
                needs[order.id] = self.need(order, quote)
        need = 0.0
        for amount in needs.values():
            need = need + amount
        sharers = [order_id for order_id, amount in needs.items() if amount > 0.0]
        free = (self.account.cash + self.account.value) - self.account.gross * self.config.initial
        if self.config.isolated:  # L7
            free = self.account.cash + self.account.unbound(self.account.held())
        if need > free and len(sharers) >= SHARERS:
            self.sharers, self.ratio = sharers, max(0.0, free) / need

    def would_fill(self, order: Order, quote: Quote) -> bool:
        """X5: is it filled as things stand: not beyond a stop-limit's limit, without volume, or a FOK that P1 cuts."""
        holding = self.account.of(order)
        rest = holding.rest(order)
        if not quote.fills or holding.left == 0 or rest == 0:
            return False
        return order.tif != "FOK" or self.allowed(order, rest) == rest

    def need(self, order: Order, quote: Quote) -> float:
        """X5, L1: the cash that the fill takes."""
        account, holding = self.account, self.account.of(order)
        account.maker = quote.maker
        time, lots = holding.stamp(quote.rule), self.allowed(order, holding.rest(order))
        ticks = account.slipped(order, lots, quote.reference, time) if quote.slip else quote.reference
        grown = abs(holding.position + lots) - abs(holding.position)
        worth, unit = abs(holding.grid.worth(ticks)), holding.grid.unit
        asked = (worth * (float(grown) * unit)) * self.config.initial
        return max(0.0, asked + account.fee(order, lots, ticks, time))

    def shared(self, order: Order, lots: int) -> int:
        """X5: `l'`; what needs no cash in a reversal is not shared."""
        if order.id not in self.sharers:
            return lots
        position = self.account.of(order).position
        final, c = position + lots, 0
        if position * final < 0:
            c = -2 * position if abs(final) > abs(position) else -position
        return c + trunc(float(lots - c) * self.ratio)
