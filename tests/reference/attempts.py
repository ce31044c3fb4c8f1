"""One attempt to fill an order (P2), and what a fill brings with it (O7)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.reference import quotes
from tests.reference.account import Fund
from tests.reference.config import Config
from tests.reference.market import Clock
from tests.reference.orders import Book, Order
from tests.reference.quotes import Quote
from tests.reference.targets import target_lots


@dataclass
class Attempts:
    """Fills orders of the account in the bar that their assets stand at; `woken` are exits that woke in it."""

    clock: Clock
    config: Config
    account: Fund
    book: Book
    woken: list[Order] = field(default_factory=list)

    def queues(self, order: Order) -> bool:
        """P5: has it filled at the one price of this bar that its limit asks for."""
        return order.queues_since == self.account.of(order).last

    def shown(self, order: Order) -> bool:
        """P5: may an attempt in this bar fill no more than what the order shows."""
        return order.display != 0 and quotes.stays_at_limit(order, self.account.of(order), self.config)

    def allowed(self, order: Order, rest: int) -> int:
        """P2, P5: the lots that the volume of the bar, and what it shows, leave an order of what it wants."""
        lots = self.account.of(order).allowed(rest)
        if self.shown(order) and abs(lots) > order.display:
            return order.display if lots > 0 else -order.display
        return lots

    def execute(self, order: Order, quote: Quote) -> None:
        """P2: one attempt: A4's cut, the volume's (P1), S5's size, X5's, C1's slippage, A3's cash, then the fill."""
        account, holding = self.account, self.account.of(order)
        time = holding.stamp(quote.rule)
        account.maker = quote.maker
        if holding.left == 0:
            return
        rest = holding.rest(order)
        if rest == 0:
            self.book.end(order, "cancelled", "reduce_only", time)
            return
        lots = self.allowed(order, rest)
        if order.tif == "FOK" and lots != rest:
            return
        ticks = quote.reference
        sizes = order.weight is not None and self.config.sizing == "at_fill"
        if sizes:
            ticks = account.slipped(order, lots, quote.reference, time)
            if not self.size(order, ticks, time):
                return
            rest = holding.rest(order)  # R1
            lots = self.allowed(order, rest)
        wanted, lots = lots, self.shared(order, lots)
        if lots != wanted and (order.tif == "FOK" or lots == 0):
            self.cut_to_nothing(order, time)
            return
        if quote.slip and not sizes:
            ticks = account.slipped(order, lots, quote.reference, time)
        if holding.config.cash_rule != "debt" and not account.affordable(order, lots, ticks, time):
            if holding.config.cash_rule == "reject":
                self.book.end(order, "rejected", "insufficient_cash", time)
                return
            lots = 0 if order.tif == "FOK" else account.reduced(order, lots, ticks, time)
            if lots == 0:
                self.cut_to_nothing(order, time)
                return
        if holding.left is not None:
            holding.left -= abs(lots)
        self.fill(order, lots, ticks, quote.reference, quote.rule, cut=lots != wanted, whole=lots == rest)

    def size(self, order: Order, ticks: int, time: int) -> bool:
        """S5: the order's new lots at the fill price; False where that ends it."""
        assert order.weight is not None
        account, holding = self.account, self.account.of(order)
        held, worth = holding.position, account.purse_of[order.asset].worth(holding, ticks)
        lots = target_lots(account, holding, order.weight, held, worth, ticks, holding.own_last, time, slip=False)
        if lots is None:
            self.book.end(order, "rejected", "invalid", time)
            return False
        if lots * order.lots <= 0:
            self.book.end(order, "cancelled", "replaced", time)
            return False
        resized, order.lots, order.weight = (
            lots != order.lots,
            lots,
            None,
        )  # once: a split may leave nothing filled (E2)
        if resized:
            self.book.lives.note(order, "resized", time)
        return True

    def shared(self, order: Order, lots: int) -> int:
        """X5: what a portfolio leaves an order of the lots that the volume allows it."""
        return lots

    def cut_to_nothing(self, order: Order, time: int) -> None:
        """A3: an order left with 0 lots ends; O3: a FOK does nothing."""
        if order.tif != "FOK":
            self.book.end(order, "cancelled", "cut_cash", time)

    def fill(self, order: Order, lots: int, ticks: int, reference: int, rule: str, cut: bool, whole: bool) -> None:
        """The books of one fill (A1), the end of the order unless it lives on with a remainder (P2), and O7."""
        holding = self.account.of(order)
        before, time = holding.position, holding.stamp(rule)
        fill = self.account.book(order, lots, ticks, reference, rule, time)
        self.book.happened.append(dict(fill))
        self.book.lives.filled(order, lots, ticks, time)
        if self.shown(order):
            order.queues_since = holding.last
        if cut:
            self.book.end(order, "cancelled", "cut_cash", time, by_fill=True)
        elif whole:
            self.book.end(order, "filled", "", time, by_fill=True)
        self.woken += self.book.after_fill(order, before, holding.position, fill, holding.grid)
