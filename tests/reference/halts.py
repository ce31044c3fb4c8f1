"""When the venue takes what is given to it: outages, rate and hours, in this order (H1-H4)."""

from __future__ import annotations

from dataclasses import dataclass

from tests.reference.account import Fund
from tests.reference.config import Config
from tests.reference.orders import Book, Change, Order


@dataclass
class Gate:
    """What has passed all else comes here at a decision at `time`."""

    account: Fund
    book: Book
    time: int

    @property
    def config(self) -> Config:
        return self.account.config

    def refusal(self, order: Order) -> str:
        """H4: why a new order is rejected, or nothing; it may have become active later."""
        reason, order.t_active = self.passes(order, order.lots)
        return reason

    def passes(self, order: Order, lots: int, of_live: bool = False) -> tuple[str, int]:
        """H2, H3, H1: why an order or a replacement is refused, or nothing, and when it takes effect."""
        reason, time = self.outage(order, lots, of_live)
        if not reason:
            reason, time = self.rate(order, lots, time, of_live)
        if not reason:
            reason, time = self.hours(order, lots, time, of_live)
        return reason, time

    def outage(self, order: Order, lots: int, of_live: bool) -> tuple[str, int]:
        """H2."""
        outage = self.config.halts.outage_at(self.time)
        if outage is None:
            return "", self.time
        return self.answer(order, lots, "venue_down", outage.orders, outage.end, of_live)

    def rate(self, order: Order, lots: int, time: int, of_live: bool) -> tuple[str, int]:
        """H3: in the interval of its time, else in the next one that has room."""
        if self.config.halts.rate is None:
            return "", time
        most, per = self.config.halts.rate
        taken = self.account.compliance.taken
        first = k = time // per
        while taken.get(k, 0) >= most:
            k += 1
        if k == first:
            taken[k] = taken.get(k, 0) + 1
            return "", time
        if self.config.halts.excess == "delay":
            taken[k] = taken.get(k, 0) + 1
        numbers = (float(most), float(most + 1))
        return self.answer(order, lots, "rate_limit", self.config.halts.excess, k * per, of_live, numbers)

    def hours(self, order: Order, lots: int, time: int, of_live: bool) -> tuple[str, int]:
        """H1."""
        if self.config.halts.hours is None:
            return "", time
        opens = self.config.halts.next_open(time)
        if opens == time:
            return "", time
        return self.answer(order, lots, "market_closed", self.config.halts.closed, opens, of_live)

    def answer(
        self,
        order: Order,
        lots: int,
        reason: str,
        instead: str,
        until: int,
        of_live: bool,
        numbers: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[str, int]:
        """R9: rejected, or delayed."""
        note = self.account.compliance.note
        if instead == "reject":
            note(order, self.time, reason, "rejected", (lots, lots if of_live else 0), 0, numbers, of_live)
            return reason, self.time
        note(order, self.time, reason, "delayed", (lots, lots), until, numbers, of_live)
        return "", until

    def cancel(self, order: Order, reason: str) -> bool:
        """H4: a cancel is asked H2 alone; False where it does nothing."""
        refused, time = self.outage(order, order.lots, of_live=True)
        if refused:
            return False
        if time == self.time:
            self.book.end(order, "cancelled", reason, time)
        elif order.change is None or not order.change.cancels:
            order.change = Change(time, cancels=reason)
        return True

    def cancel_all(self, asset: int | None = None) -> None:
        """O9, H4: in id order."""
        for order in self.book.live():
            if order.live and asset in (None, order.asset):
                self.cancel(order, "user")
