"""The bar of the clock from the expiry of DAY orders to the close-out (T5), and one attempt to fill (P2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.reference import quotes
from tests.reference.account import Fund
from tests.reference.config import Config
from tests.reference.holding import Holding
from tests.reference.market import Clock
from tests.reference.orders import Book, Order
from tests.reference.paths import rests
from tests.reference.quotes import Quote

Offer = Callable[[Order], Quote | None]


@dataclass
class Venue:
    """Matches the live orders of the account against one bar of the clock after the other."""

    clock: Clock
    config: Config
    account: Fund
    book: Book
    woken: list[Order] = field(default_factory=list)

    def match(self, t: int, last: bool) -> None:
        """T5, X2: each step for all assets before the next one; `last` is the last bar of the span."""
        self.woken = []
        self.account.stand_at(t)
        trading = [holding for holding in self.account.holdings if holding.has_bar]
        numbers = [holding.number for holding in trading]
        open_at, known_at = self.clock.open_at[t], self.clock.known_at[t]
        self.book.expire_days(self.clock.session[t], open_at, numbers)
        # who is matched, and as what, is settled before the passes: an exit woken in this bar belongs to F7 alone,
        # and a stop-limit triggered in this bar rests from the next one on
        matched = [o for o in self.book.live() if o.active and o.t_active <= open_at and o.asset in numbers]
        self.open_pass(matched)
        if last and self.config.close_out == "last_open":
            for holding in trading:
                self.close_out(holding, holding.opened, "open")
        else:
            self.later_passes(matched)
        self.book.expire_immediate(matched, known_at)
        if last and self.config.close_out == "last_close":
            for holding in trading:
                self.close_out(holding, holding.close, "intrabar")

    def open_pass(self, matched: list[Order]) -> None:
        """F1, F10: what the open settles."""
        resting = self.resting = [order for order in matched if rests(order)]
        self.stops = [order for order in matched if order.kind != "market" and order not in resting]

        def offer(order: Order) -> Quote | None:
            if order in resting and order in self.woken:  # P4: a grown target waits
                return None
            return quotes.at_open(order, self.account.of(order), self.config, order in resting)

        self.walk(matched, offer)

    def later_passes(self, matched: list[Order]) -> None:
        """F2, F5, F10, F7, F8: the passes after the open."""
        self.range_passes()
        self.account.end_bar()
        self.late_pass(matched)
        self.woken_pass()
        self.move_trailing()

    def range_passes(self) -> None:
        """F2, F5: what the range of the bar settles; an IOC order has no part in it (O2)."""

        def at_limit(order: Order) -> Quote | None:  # P4: a grown target waits
            waits = order in self.woken
            return None if waits else quotes.at_limit(order, self.account.of(order), self.config)

        self.walk(
            [order for order in self.stops if not order.immediate],
            lambda order: quotes.at_stop(order, self.account.of(order), self.config),
            moves=self.config.trailing == "update_first",
        )
        self.walk([order for order in self.resting if not order.immediate], at_limit)

    def late_pass(self, matched: list[Order]) -> None:
        """F10: the market orders that did not take part in the open pass."""
        if self.config.market in ("next_close", "next_typical") and self.config.path != "close":
            markets = [order for order in matched if order.kind == "market"]
            self.walk(markets, lambda order: quotes.late(order, self.account.of(order), self.config))

    def woken_pass(self) -> None:
        """F7: the stops woken in this bar."""
        if self.config.same_bar == "adverse":
            woken = sorted((order for order in self.woken if order.kind == "stop"), key=lambda order: order.id)
            self.walk(woken, lambda order: quotes.at_woken(order, self.account.of(order), self.config))

    def move_trailing(self) -> None:
        """F8: the trailing stops follow the bar."""
        for order in self.stops:
            if order.live and order.kind == "trailing_stop" and self.config.trailing == "check_first":
                holding = self.account.of(order)
                order.move_trigger(holding.grid, holding.high, holding.low)

    def walk(self, orders: list[Order], offer: Offer, moves: bool = False) -> None:
        """A pass: its orders in id order, skipping those that have ended meanwhile."""
        for order in orders:
            if order.live:
                self.attempt(order, offer, moves)

    def attempt(self, order: Order, offer: Offer, moves: bool) -> None:
        """F8: what `moves` follows the bar just before its check; then the order takes what the pass offers it."""
        if moves and order.kind == "trailing_stop" and not order.triggered:
            holding = self.account.of(order)
            order.move_trigger(holding.grid, holding.high, holding.low)
        quote = offer(order)
        if quote is not None:
            self.take(order, quote)

    def take(self, order: Order, quote: Quote) -> None:
        """F3, P3, P4: what lives after it has triggered: a stop-limit rests, a stop is a market order."""
        order.triggered = order.triggered or quote.triggers
        if quote.fills:
            self.execute(order, quote)
        if quote.triggers and order.kind != "stop_limit" and order.live:
            self.book.end_entry(order, self.account.of(order).stamp(quote.rule))

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
        lots = holding.allowed(rest)
        if order.tif == "FOK" and lots != rest:
            return
        ticks = quote.reference
        sizes = order.weight is not None and self.config.sizing == "at_fill" and order.filled == 0
        if sizes:
            ticks = account.slipped(order, lots, quote.reference, time)
            if not self.size(order, ticks, time):
                return
            rest = order.lots
            lots = holding.allowed(rest)
        wanted, lots = lots, self.shared(order, lots)
        if lots != wanted and (order.tif == "FOK" or lots == 0):
            self.cut_to_nothing(order, time)
            return
        if quote.slip and not sizes:
            ticks = account.slipped(order, lots, quote.reference, time)
        if self.config.cash_rule != "debt" and not account.affordable(order, lots, ticks, time):
            if self.config.cash_rule == "reject":
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
        worth = account.worth(holding, ticks)
        lots = account.target_lots(holding, order.weight, worth, ticks, holding.last, time, slip=False)
        if lots is None:
            self.book.end(order, "rejected", "invalid", time)
            return False
        if lots * order.lots <= 0:
            self.book.end(order, "cancelled", "replaced", time)
            return False
        order.lots = lots
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
        if cut:
            self.book.end(order, "cancelled", "cut_cash", time, by_fill=True)
        elif whole:
            self.book.end(order, "filled", "", time, by_fill=True)
        self.woken += self.book.after_fill(order, before, holding.position, fill, holding.grid)

    def close_out(self, holding: Holding, reference: int, rule: str) -> None:
        """F9: close the position in one order."""
        if holding.position == 0:
            return
        time = holding.stamp(rule)
        order = Order(self.book.next_id(), "market", "GTC", -holding.position, time, asset=holding.number)
        self.book.add(order)
        self.account.maker = False
        # without A3, and whatever the volume (P1)
        self.fill(order, order.lots, reference, reference, rule, cut=False, whole=True)
