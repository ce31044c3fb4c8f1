"""When the venue takes what is given to it: its distance, outages, rate and hours, in this order (H1-H5)."""

from __future__ import annotations

from dataclasses import dataclass

from tests.reference.account import Fund
from tests.reference.changes import Sent
from tests.reference.mandate import Halts
from tests.reference.orders import Book, Order


@dataclass
class Gate:
    """What has passed all else comes here at a decision at `time`."""

    account: Fund
    book: Book
    time: int

    def halts(self, order: Order) -> Halts:
        """V1: of the venue of the order's asset."""
        return self.account.of(order).config.halts

    def is_far(self, order: Order) -> bool:
        """H5: does the venue hear later of what is decided."""
        return self.halts(order).latency > 0

    def arrival(self, order: Order) -> int:
        """H5: when the venue hears what is decided."""
        return self.time + self.halts(order).latency

    def refusal(self, order: Order) -> str:
        """H4, H5: why a new order is rejected now, or nothing; it may become active later, or be rejected then."""
        reason, order.t_active = self.passes(order, order.lots)
        if reason and self.is_far(order):
            order.ends_at(order.t_active, "rejected", reason)
            return ""
        return reason

    def is_told(self, order: Order) -> bool:
        """H5: is a replacement from an earlier decision on its way."""
        return self.is_far(order) and order.sent is not None and order.sent.decided != self.time

    def hears_later(self, order: Order, when: int) -> bool:
        """H5: a replacement that the venue refuses answers as one that it takes, where nobody can know yet."""
        if not self.is_far(order):
            return False
        order.sent = Sent(self.time, when)
        return True

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
        arrival = self.arrival(order)
        outage = self.halts(order).outage_at(arrival)
        if outage is None:
            return "", arrival
        return self.answer(order, lots, "venue_down", outage.orders, (arrival, outage.end), of_live)

    def rate(self, order: Order, lots: int, time: int, of_live: bool) -> tuple[str, int]:
        """H3: in the interval of its time, else in the next one that has room."""
        halts, taken = self.halts(order), self.account.compliance.taken
        if halts.rate is None:
            return "", time
        (most, per), venue = halts.rate, self.account.of(order).venue
        first = k = time // per
        while taken.get((venue, k), 0) >= most:
            k += 1
        if k == first or halts.excess == "delay":
            taken[venue, k] = taken.get((venue, k), 0) + 1
        if k == first:
            return "", time
        numbers = (float(most), float(most + 1))
        return self.answer(order, lots, "rate_limit", halts.excess, (time, k * per), of_live, numbers)

    def hours(self, order: Order, lots: int, time: int, of_live: bool) -> tuple[str, int]:
        """H1."""
        halts = self.halts(order)
        if halts.hours is None:
            return "", time
        opens = halts.next_open(time)
        if opens == time:
            return "", time
        return self.answer(order, lots, "market_closed", halts.closed, (time, opens), of_live)

    def answer(
        self,
        order: Order,
        lots: int,
        reason: str,
        instead: str,
        times: tuple[int, int],
        of_live: bool,
        numbers: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[str, int]:
        """R9: rejected at the first of the times, or delayed until the second."""
        time, until = times
        note = self.account.compliance.note
        if instead == "reject":
            note(order, self.time, reason, "rejected", (lots, lots if of_live else 0), 0, numbers, of_live)
            return reason, time
        note(order, self.time, reason, "delayed", (lots, lots), until, numbers, of_live)
        return "", until

    def cancel(self, order: Order, reason: str) -> bool:
        """H4: a cancel is asked H2 alone; False where it does nothing, as far as can be known (H5)."""
        if order.ending is not None and order.ending.status == "cancelled":  # one is under way
            return True
        refused, time = self.outage(order, order.lots, of_live=True)
        if refused and not self.is_far(order):
            return False
        if time == self.time:
            self.book.end(order, "cancelled", reason, time)
            return True
        order.called_off = time
        if not refused:
            order.ends_at(time, "cancelled", reason)
        return True

    def cancel_all(self, asset: int | None = None) -> None:
        """O9, H4: in id order."""
        for order in self.book.live():
            if order.live and asset in (None, order.asset):
                self.cancel(order, "user")
