"""The bar of the clock from the expiry of orders to the close-out (T5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.reference import quotes, replacing
from tests.reference.attempts import Attempts
from tests.reference.config import LATE
from tests.reference.holding import Holding
from tests.reference.ledger import Ledger
from tests.reference.orders import IF_TOUCHED, Order
from tests.reference.quotes import Quote

Offer = Callable[[Order], Quote | None]


@dataclass
class Venue(Attempts):
    """Matches the live orders of the account against one bar of the clock after the other."""

    ledger: Ledger | None = None
    times: tuple[int, int] = (0, 0)  # of the bar that is matched

    def match(self, t: int, last: bool) -> None:
        """T5, X2: each step for all assets before the next one; `last` is the last bar of the span."""
        self.begin(t)
        closes_at_open = last and self.config.close_out == "last_open"

        def after_open() -> bool:
            if closes_at_open:
                self.close_all("open")
            if self.ledger is not None:
                self.ledger.within(t)
            return not closes_at_open

        self.match_bar(self.clock.open_at[t], self.clock.known_at[t], self.clock.session[t], after_open)
        self.finish(t, last)

    def begin(self, t: int) -> None:
        """E1: what comes before anything else of bar `t`."""
        for purse in self.account.purses:
            purse.tally.begin_bar(self.clock.session[t])
        if self.ledger is not None:
            self.ledger.first(t)
        self.account.stand_at(t)

    def match_bar(self, open_at: int, known_at: int, session: int, after_open: Callable[[], bool]) -> None:
        """O1-F8: what the bar does to the live orders; `after_open` says whether any passes follow that of the open."""
        self.woken = []
        self.times = open_at, known_at
        replacing.take_effect(self.book, open_at)
        for order in self.book.live():
            if order.live and self.account.of(order).has_bar:
                self.book.expire(order, session, open_at)
        self.check_margin("open")
        # who is matched, and as what, is settled before the passes: an exit woken in this bar belongs to F7 alone,
        # and a stop-limit triggered in this bar rests from the next one on
        matched = [order for order in self.book.live() if self.is_matched(order, open_at)]
        self.open_pass(matched)
        self.check_margin("open")
        goes_on = after_open()
        if goes_on:
            self.later_passes(matched)
        for order in matched:
            if goes_on or order.tif != "AT_CLOSE":  # O12: the late pass did not come
                self.book.expire_with_bar(order, known_at)
        if goes_on:
            replacing.take_effect(self.book, known_at)

    def finish(self, t: int, last: bool) -> None:
        """F9, E4: what comes after all passes of bar `t`, and before its mark."""
        if last and self.config.close_out == "last_close":
            self.close_all("intrabar")
        if self.ledger is not None:
            self.ledger.last(t)

    def mark(self, t: int) -> None:
        """A5."""
        self.account.mark()

    def check_margin(self, place: str) -> None:
        """L3: an account of one asset is liquidated where the price gets there."""

    def passes_over(self, order: Order) -> bool:
        """L3: does an account of one asset meet a stop only after its liquidation."""
        return False

    def matches(self, holding: Holding) -> bool:
        """H1, H2, V2: do passes take place in this bar at the venue of the asset."""
        return holding.config.halts.matches(*self.times)

    def is_matched(self, order: Order, open_at: int) -> bool:
        """T2, O12, H1, H2: is the bar matched against the order: not before the one bar of a session it is for."""
        holding = self.account.of(order)
        if not (self.matches(holding) and order.active and order.t_active <= open_at and holding.has_bar):
            return False
        if order.tif == "AT_OPEN":
            return holding.opens_session
        return order.tif != "AT_CLOSE" or holding.closes_session

    def open_pass(self, matched: list[Order]) -> None:
        """F1, F10, O12: what the open settles."""
        resting = self.resting = [order for order in matched if order.rests]
        # what else meets the range: in the stop pass, and in the limit pass (F14)
        waiting = [order for order in matched if order.kind != "market" and order not in resting]
        self.stops = [order for order in waiting if order.kind not in IF_TOUCHED]
        self.limits = [order for order in matched if order in resting or order.kind in IF_TOUCHED]

        def offer(order: Order) -> Quote | None:
            if order in resting and order in self.woken:  # P4: a grown target waits
                return None
            return quotes.at_open(order, self.account.of(order), self.config, order in resting)

        self.walk(matched, offer)
        for order in matched:
            order.new = False

    def later_passes(self, matched: list[Order]) -> None:
        """F2, F5, F10, F7, F8: the passes after the open."""
        self.range_passes()
        self.account.end_bar()
        self.late_pass(matched)
        self.check_margin("close")
        self.woken_pass()
        self.move_trailing()

    def range_passes(self) -> None:
        """F2, F5, F14, L3: what the range of the bar settles."""

        def at_stop(order: Order) -> Quote | None:
            if self.passes_over(order):
                return None
            return quotes.at_stop(order, self.account.of(order), self.config)

        def at_limit(order: Order) -> Quote | None:
            if order in self.woken:  # P4: a grown target waits
                return None
            return quotes.at_limit(order, self.account.of(order), self.config, order in self.resting)

        self.walk(
            [order for order in self.stops if order.meets_range],
            at_stop,
            moves=self.config.trailing == "update_first",
        )
        self.check_margin("range")
        self.walk([order for order in self.limits if order.meets_range], at_limit)
        self.check_margin("range")

    def late_pass(self, matched: list[Order]) -> None:
        """F10, O12: the market orders that did not take part in the open pass, and AT_CLOSE orders."""
        if self.config.path == "close":
            return
        late_markets = self.config.market in LATE

        def takes_part(order: Order) -> bool:
            if order.at_auction:
                return order.tif == "AT_CLOSE"
            return late_markets and order.kind == "market"

        late = [order for order in matched if takes_part(order)]
        self.walk(late, lambda order: quotes.late(order, self.account.of(order), self.config))

    def woken_pass(self) -> None:
        """F7: the stops woken in this bar."""
        if self.config.same_bar == "adverse":
            woken = sorted((order for order in self.woken if order.kind == "stop"), key=lambda order: order.id)
            self.walk(woken, lambda order: quotes.at_woken(order, self.account.of(order), self.config))

    def move_trailing(self) -> None:
        """F8: the trailing stops follow the bar."""
        for order in self.stops:
            if order.live and order.trails and self.config.trailing == "check_first":
                holding = self.account.of(order)
                self.book.trail(order, holding.grid, holding.high, holding.low, holding.stamp("intrabar"))

    def walk(self, orders: list[Order], offer: Offer, moves: bool = False) -> None:
        """A pass: its orders in id order, skipping those that have ended meanwhile."""
        for order in orders:
            if order.live:
                self.attempt(order, offer, moves)

    def attempt(self, order: Order, offer: Offer, moves: bool) -> None:
        """F8: what `moves` follows the bar just before its check; then the order takes what the pass offers it."""
        if moves and order.trails:
            holding = self.account.of(order)
            self.book.trail(order, holding.grid, holding.high, holding.low, holding.stamp("intrabar"))
        quote = None if self.queues(order) else offer(order)
        if quote is not None:
            self.take(order, quote)

    def take(self, order: Order, quote: Quote) -> None:
        """F3, P3, P4: what lives after it has triggered: a stop-limit rests, a stop is a market order."""
        if quote.rejects:
            self.book.end(order, "rejected", "post_only", self.account.of(order).stamp(quote.rule))
            return
        if quote.triggers:
            first, order.triggered, order.price = not order.triggered, True, quote.limit
            if first:  # X4 may offer it twice
                self.book.lives.note(order, "triggered", self.account.of(order).stamp(quote.rule))
        if quote.fills:
            self.execute(order, quote)
        if quote.triggers and order.live:
            self.book.end_entry(order, self.account.of(order).stamp(quote.rule))

    def close_all(self, rule: str) -> None:
        """F9, X2: each position whose asset has a bar, at the open or at the close."""
        for holding in self.account.holdings:
            if holding.has_bar:
                self.close_out(holding, holding.opened if rule == "open" else holding.close, rule)

    def close_out(self, holding: Holding, reference: int, rule: str) -> None:
        """F9: close the position in one order."""
        if holding.position == 0:
            return
        time = holding.stamp(rule)
        order = Order(self.book.next_id(), "market", "GTC", -holding.position, time, asset=holding.number)
        self.book.add(order)
        self.book.lives.note(order, "submitted", time)
        self.account.maker = False
        # without A3, and whatever the volume (P1)
        self.fill(order, order.lots, reference, reference, rule, cut=False, whole=True)
