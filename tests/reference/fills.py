"""The venue of one asset: passes in id order, or the way of the price in their place (F12)."""

from __future__ import annotations

from tests.reference.account import Account
from tests.reference.config import Config
from tests.reference.liquidation import Liquidator
from tests.reference.market import Bars, Clock, Grid
from tests.reference.orders import Book, Order
from tests.reference.paths import LEGS, event, legs
from tests.reference.quotes import Quote, threshold, trigger
from tests.reference.venue import Venue


class Matcher(Venue):
    """Matches the orders of an account that trades one asset."""

    def __init__(self, bars: Bars, grid: Grid, config: Config, account: Account, book: Book) -> None:
        super().__init__(Clock(bars.open_at, bars.known_at, bars.session), config, account, book)
        self.grid, self.holding = grid, account.holdings[0]
        self.liquidator = Liquidator(account.purses[0], account, book)
        self.waits = False  # L3: does a check with the range wait until after F7

    def check_margin(self, place: str) -> None:
        """L3: a check after the open waits while F7 has a stop to look at that comes before."""
        if place == "open":
            self.waits = False
        if not self.matches(self.holding):
            return
        if (
            place != "open"
            and self.config.same_bar == "adverse"
            and self.liquidator.waits_for(self.holding, self.woken)
        ):
            self.waits = True
            return
        self.liquidator.check(self.holding, place)

    def woken_pass(self) -> None:
        """F7, L3."""
        super().woken_pass()
        if self.waits:
            self.liquidator.check(self.holding, "range")

    def passes_over(self, order: Order) -> bool:
        """L3."""
        return self.liquidator.passes_over(self.holding, order)

    def later_passes(self, matched: list[Order]) -> None:
        """F12: a path takes the place of F2, F5, F7 and F8."""
        if self.config.path in LEGS:
            self.path_pass(matched)
            self.late_pass(matched)
        else:
            super().later_passes(matched)

    def path_pass(self, matched: list[Order]) -> None:
        """F12: the price runs over its legs and meets the orders on its way, the nearest first."""
        bar = self.holding
        p = bar.opened
        for q in legs(self.config.path, bar.opened, bar.high, bar.low, bar.close):
            while True:
                events = self.events(matched, p, q)
                if not events:
                    break
                price, order = min(events, key=lambda found: (abs(found[0] - p), found[1].id))
                if order.rests:
                    reference = order.price
                    if order.kind != "limit" or order in self.woken:
                        reference = min(reference, p) if order.lots > 0 else max(reference, p)
                    self.take(order, Quote(reference, "intrabar", slip=False, maker=reference == order.price))
                else:
                    self.take(order, trigger(order, price, "intrabar", order.trigger))
                p = price
            p = q
            for order in matched:
                if order.live and order.trails and not order.immediate:
                    self.book.trail(order, self.grid, q, q, self.holding.stamp("intrabar"))

    def events(self, matched: list[Order], p: int, q: int) -> list[tuple[int, Order]]:
        """F12: the events between `p` and `q` of all that is matched or, with `same_bar = adverse`, woken."""
        takes_part = [order for order in matched if order not in self.woken]  # P4: a target may have grown
        if self.config.same_bar == "adverse":
            takes_part += self.woken
        found = []
        for order in takes_part:
            if order.live and order.kind != "market" and order.meets_range and not self.queues(order):
                price = event(order, p, q, threshold(self.config), self.holding.left)
                if price is not None:
                    found.append((price, order))
        return found
