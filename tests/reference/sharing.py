"""The venue of a portfolio: each pass settles what reduces first, then shares what cash is left (X4, X5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import trunc

from tests.reference.holding import Holding
from tests.reference.liquidation import Liquidator
from tests.reference.orders import Order
from tests.reference.purse import Purse
from tests.reference.quotes import Quote
from tests.reference.transfers import Transfers
from tests.reference.venue import Offer, Venue

SHARERS = 2  # one order alone has nobody to share with: A3 cuts it


@dataclass
class SharingVenue(Venue):
    """Walks every pass twice; between the walks it finds the share of the orders that need cash."""

    shares: dict[int, float] = field(default_factory=dict)  # X5: `ratio` of the orders with a need above zero
    transfers: Transfers | None = None
    waiting: set[int] = field(default_factory=set)  # L3: the assets whose check waits until after F7

    def begin(self, t: int) -> None:
        """V5: money arrives before E1."""
        if self.transfers is not None:
            self.transfers.arrive(self.clock.open_at[t])
        super().begin(t)

    def mark(self, t: int) -> None:
        """A5, V4: venue by venue."""
        for purse in self.account.purses:
            self.mark_one(purse, self.clock.known_at[t])
        self.account.marked()

    def mark_one(self, purse: Purse, time: int) -> None:
        """L6: an account is liquidated at the mark, of which its fills do not know yet, and marked anew; V4."""
        before = purse.equity
        purse.mark()
        liquidator = Liquidator(purse, self.account, self.book)
        here = purse.held() and not purse.config.isolated and self.matches(purse.holdings[0])
        if here and liquidator.falls_short():
            purse.equity = before
            held = purse.held()
            liquidator.liquidate(held, [holding.close for holding in held], "intrabar", time, together=True)
            purse.mark()
        if len(self.account.purses) > 1 and purse.held() and not purse.equity > 0.0:
            self.account.close(purse, time)
            self.book.end_all("ruin", time, {holding.number for holding in purse.holdings})
            purse.cash = purse.equity
        elif len(self.account.purses) > 1 and not purse.held() and purse.cash < 0.0:
            self.book.end_all("ruin", time, {holding.number for holding in purse.holdings})

    def liquidator_of(self, holding: Holding) -> Liquidator:
        """L7: of the account that holds an asset."""
        return Liquidator(self.account.purse_of[holding.number], self.account, self.book)

    def check_margin(self, place: str) -> None:
        """L7: L3 for each isolated position whose asset has a bar, in column order."""
        if place == "open":
            self.waiting = set()
        for holding in [holding for holding in self.account.held() if holding.has_bar]:
            config = self.account.purse_of[holding.number].config
            if not config.isolated or not self.matches(holding):
                continue
            liquidator = self.liquidator_of(holding)
            woken = [order for order in self.woken if order.asset == holding.number]
            if place != "open" and config.same_bar == "adverse" and liquidator.waits_for(holding, woken):
                self.waiting.add(holding.number)
            else:
                liquidator.check(holding, place)

    def woken_pass(self) -> None:
        """F7, L3: then what has waited for it is looked at."""
        super().woken_pass()
        for number in sorted(self.waiting):
            holding = self.account.holdings[number]
            self.liquidator_of(holding).check(holding, "range")

    def passes_over(self, order: Order) -> bool:
        """L3, L7."""
        holding = self.account.of(order)
        liquidator = self.liquidator_of(holding)
        return liquidator.config.isolated and liquidator.passes_over(holding, order)

    def walk(self, orders: list[Order], offer: Offer, moves: bool = False) -> None:
        """X4: first those that reduce, then all."""
        for order in orders:
            holding = self.account.of(order)
            if order.live and holding.reduces(holding.rest(order)):
                self.attempt(order, offer, moves)
        reduce = [order for order in orders if self.account.of(order).config.cash_rule == "reduce"]
        self.shares = {}
        for purse in self.account.purses:
            self.share_out(purse, [order for order in reduce if self.account.purse_of[order.asset] is purse], offer)
        for order in orders:
            if order.live:
                self.attempt(order, offer, moves)
        self.shares = {}

    def share_out(self, purse: Purse, orders: list[Order], offer: Offer) -> None:
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
        free = (purse.cash + purse.value) - purse.gross * purse.config.initial
        if purse.config.isolated:  # L7
            free = purse.cash + purse.unbound(purse.held())
        if need > free and len(sharers) >= SHARERS:
            self.shares |= dict.fromkeys(sharers, max(0.0, free) / need)

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
        asked = (worth * (float(grown) * unit)) * holding.config.initial
        return max(0.0, asked + account.fee(order, lots, ticks, time))

    def shared(self, order: Order, lots: int) -> int:
        """X5: `l'`; what needs no cash in a reversal is not shared."""
        if order.id not in self.shares:
            return lots
        position = self.account.of(order).position
        final, c = position + lots, 0
        if position * final < 0:
            c = -2 * position if abs(final) > abs(position) else -position
        return c + trunc(float(lots - c) * self.shares[order.id])
