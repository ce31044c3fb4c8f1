"""Fills on bars (F1-F12, P1-P3): which order meets which price in one bar."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tests.reference.account import Account
from tests.reference.config import Config
from tests.reference.market import Bars, Grid
from tests.reference.orders import Book, Order
from tests.reference.paths import LEGS, event, legs, rests


@dataclass
class Matcher:
    """The venue: matches the live orders against bar `bar`."""

    bars: Bars
    grid: Grid
    config: Config
    account: Account
    book: Book
    bar: int = 0
    opened: int = 0
    high: int = 0
    low: int = 0
    close: int = 0
    woken: list[Order] = field(default_factory=list)
    left: int | None = None  # P1: the lots that may still trade in this bar, None for any number

    def match(self, bar: int, last: bool) -> None:
        """T5 from the expiry of DAY orders to the close-out; `last` is the last bar of the span."""
        self.bar = bar
        self.woken = []
        self.left = self.cap()
        self.opened, self.high, self.low, self.close = self.prices()
        open_at, known_at = self.bars.open_at[bar], self.bars.known_at[bar]
        self.book.expire_days(self.bars.session[bar], open_at)
        # who is matched, and as what, is settled before the passes: an exit woken in this bar belongs to F7 alone,
        # and a stop-limit triggered in this bar rests from the next one on
        matched = [order for order in self.book.live() if order.active and order.t_active <= open_at]
        resting = [order for order in matched if rests(order)]
        stops = [order for order in matched if order.kind != "market" and order not in resting]
        for order in matched:
            if order.live:
                self.open_pass(order, order in resting)
        if last and self.config.close_out == "last_open":
            self.close_out(self.opened, "open")
        elif self.config.path in LEGS:
            self.path_pass(matched)
            self.late_pass(matched)
        else:
            self.range_passes(stops, resting)
            self.late_pass(matched)
            self.after_passes(stops)
        self.book.expire_immediate(matched, known_at)
        if last and self.config.close_out == "last_close":
            self.close_out(self.close, "intrabar")

    def prices(self) -> tuple[int, int, int, int]:
        """Open, high, low, close; F12 `close`: the bar is its close."""
        bars, bar = self.bars, self.bar
        if self.config.path == "close":
            return bars.c[bar], bars.c[bar], bars.c[bar], bars.c[bar]
        return bars.o[bar], bars.h[bar], bars.l[bar], bars.c[bar]

    def cap(self) -> int | None:
        """P1: the lots that may trade in this bar."""
        if self.config.participation is None:
            return None
        return math.trunc((self.config.participation * self.bars.v[self.bar]) / self.grid.lot)

    def allowed(self, lots: int) -> int:
        """P2: as many of the lots as the bar has left."""
        if self.left is None or abs(lots) <= self.left:
            return lots
        return self.left if lots > 0 else -self.left

    def stamp(self, rule: str) -> int:
        """T3, F10: the time of a fill."""
        if rule == "same_close":
            return self.bars.known_at[self.bar - 1]
        return self.bars.open_at[self.bar] if rule == "open" else self.bars.known_at[self.bar]

    def range_passes(self, stops: list[Order], resting: list[Order]) -> None:
        """F2, F5: what the range of the bar settles; an IOC order has no part in it (O2)."""
        for order in stops:
            if order.live and not order.immediate:
                self.stop_pass(order)
        for order in resting:
            if order.live and not order.immediate:
                self.limit_pass(order)

    def late_pass(self, matched: list[Order]) -> None:
        """F10: the market orders that did not take part in the open pass, at the close or the typical price."""
        if self.config.market not in ("next_close", "next_typical") or self.config.path == "close":
            return
        for order in matched:
            if order.live and order.kind == "market":
                total = self.high + self.low + self.close
                typical = -(-total // 3) if order.lots > 0 else total // 3
                reference = typical if self.config.market == "next_typical" else self.close
                self.execute(order, reference, "intrabar", slip=True)

    def after_passes(self, stops: list[Order]) -> None:
        """F7, F8: the stops woken in this bar, then the trailing stops move."""
        if self.config.same_bar == "adverse":
            for order in sorted(self.woken, key=lambda woken: woken.id):
                if order.live and order.kind == "stop":
                    self.woken_stop(order)
        if self.config.trailing == "check_first":
            for order in stops:
                if order.live and order.kind == "trailing_stop":
                    order.move_trigger(self.grid, self.high, self.low)

    def path_pass(self, matched: list[Order]) -> None:
        """F12: the price runs over its legs and meets the orders on its way, the nearest first."""
        p = self.opened
        for q in legs(self.config.path, self.opened, self.high, self.low, self.close):
            while True:
                events = self.events(matched, p, q)
                if not events:
                    break
                price, order = min(events, key=lambda found: (abs(found[0] - p), found[1].id))
                if rests(order):
                    reference = order.price
                    if order.kind == "stop_limit" or order in self.woken:
                        reference = min(reference, p) if order.lots > 0 else max(reference, p)
                    self.execute(order, reference, "intrabar", slip=False, maker=reference == order.price)
                else:
                    self.trigger(order, price, "intrabar")
                p = price
            p = q
            for order in matched:
                if order.live and order.kind == "trailing_stop" and not order.immediate:
                    order.move_trigger(self.grid, q, q)

    def events(self, matched: list[Order], p: int, q: int) -> list[tuple[int, Order]]:
        """F12: the events between `p` and `q` of all that is matched or, with `same_bar = adverse`, woken."""
        takes_part = [order for order in matched if order not in self.woken]  # P4: a target may have grown
        if self.config.same_bar == "adverse":
            takes_part += self.woken
        found = []
        for order in takes_part:
            if order.live and order.kind != "market" and not order.immediate:
                price = event(order, p, q, self.thr, self.left)
                if price is not None:
                    found.append((price, order))
        return found

    def open_pass(self, order: Order, resting: bool) -> None:
        """F1, F10: what the open settles, at the open."""
        rule = "intrabar" if self.config.path == "close" else "open"  # F12: stamped when the close is known
        if order.kind == "market":
            if self.config.market == "same_close":
                self.execute(order, self.bars.c[self.bar - 1], "same_close", slip=True)
            elif self.config.market == "next_open" or self.config.path == "close":
                self.execute(order, self.opened, rule, slip=True)
        elif resting:
            if order not in self.woken and self.beyond_limit(order, self.opened):
                self.execute(order, self.opened, rule, slip=False)
        elif order.runs:  # P3
            self.execute(order, self.opened, rule, slip=True)
        elif self.gapped(order):
            self.trigger(order, self.opened, rule)

    def gapped(self, order: Order) -> bool:
        """F1, F11: does the open trigger a stop."""
        if self.config.stop_gap == "close":
            return False
        if self.config.stop_gap == "trigger":  # only where the bar never comes back
            return order.trigger < self.low if order.lots > 0 else order.trigger > self.high
        return self.opened >= order.trigger if order.lots > 0 else self.opened <= order.trigger

    def stop_pass(self, order: Order) -> None:
        """F2: stops, trailing stops and untriggered stop-limits that the range reaches, at the trigger (F11)."""
        if order.triggered:  # by the open, past its limit or with a remainder (P3)
            return
        if order.kind == "trailing_stop" and self.config.trailing == "update_first":
            order.move_trigger(self.grid, self.high, self.low)
        if self.high >= order.trigger if order.lots > 0 else self.low <= order.trigger:
            reference = order.trigger
            if self.config.stop_gap == "close":
                reference = max(reference, self.close) if order.lots > 0 else min(reference, self.close)
            self.trigger(order, reference, "intrabar")

    def trigger(self, order: Order, reference: int, rule: str) -> None:
        """F1-F3, F12: a stop fills at the reference; a stop-limit only if its limit allows it, else it rests.

        What lives after it has triggered: a stop-limit rests, a stop is a market order (P3).
        """
        order.triggered = True
        if order.kind != "stop_limit":
            self.execute(order, reference, rule, slip=True)
            if order.live:
                self.book.end_entry(order, self.stamp(rule))
        elif reference <= order.price if order.lots > 0 else reference >= order.price:
            self.execute(order, reference, rule, slip=False)

    def limit_pass(self, order: Order) -> None:
        """F5: limits, and stop-limits that triggered in an earlier bar, at the limit; P4: a grown target waits."""
        if order not in self.woken and self.beyond_limit(order, self.low if order.lots > 0 else self.high):
            self.execute(order, order.price, "intrabar", slip=False, maker=True)

    @property
    def thr(self) -> int:
        """How far a price has to pass a limit: a tick (`through`) or not at all (`touch`)."""
        return 1 if self.config.limit == "through" else 0

    def beyond_limit(self, order: Order, ticks: int) -> bool:
        """F1, F5: is a price as good as the limit (`touch`) or better than it (`through`)."""
        return ticks <= order.price - self.thr if order.lots > 0 else ticks >= order.price + self.thr

    def woken_stop(self, order: Order) -> None:
        """F7, F10: a stop woken in this bar sees its full range and fills no better than at the entry's reference."""
        bounds = [order.trigger, order.entry_reference]
        if self.config.market == "same_close":
            bounds.append(self.opened)
        if order.lots > 0 and self.high >= order.trigger:
            self.trigger(order, max(bounds), "intrabar")
        elif order.lots < 0 and self.low <= order.trigger:
            self.trigger(order, min(bounds), "intrabar")

    def execute(self, order: Order, reference: int, rule: str, slip: bool, maker: bool = False) -> None:
        """P2: one attempt: A4's cut, the volume's (P1), C1's slippage, S5's new size, A3's cash, then the fill.

        `maker` is what C3 says of it.
        """
        account, bar, time = self.account, self.bar, self.stamp(rule)
        account.maker = maker
        if self.left == 0:
            return
        rest = order.lots - order.filled
        if order.reduce_only:
            if account.position * rest >= 0:
                self.book.end(order, "cancelled", "reduce_only", time)
                return
            rest = -account.position if abs(rest) > abs(account.position) else rest
        lots = self.allowed(rest)
        if order.tif == "FOK" and lots != rest:
            return
        ticks = account.slipped(order, lots, reference, bar, time) if slip else reference
        if order.weight is not None and self.config.sizing == "at_fill" and order.filled == 0:
            sized = account.target_lots(order.weight, ticks, bar, time, slip=False)
            if sized is None:
                self.book.end(order, "rejected", "invalid", time)
                return
            if sized * order.lots <= 0:
                self.book.end(order, "cancelled", "replaced", time)
                return
            order.lots = rest = sized
            lots = self.allowed(rest)
        wanted = lots
        if self.config.cash_rule != "debt" and not account.affordable(order, lots, ticks, bar, time):
            if self.config.cash_rule == "reject":
                self.book.end(order, "rejected", "insufficient_cash", time)
                return
            if order.tif == "FOK":
                return
            lots = account.reduced(order, lots, ticks, bar, time)
            if lots == 0:
                self.book.end(order, "cancelled", "cut_cash", time)
                return
        if self.left is not None:
            self.left -= abs(lots)
        self.fill(order, lots, ticks, reference, rule, cut=lots != wanted, whole=lots == rest)

    def fill(self, order: Order, lots: int, ticks: int, reference: int, rule: str, cut: bool, whole: bool) -> None:
        """The books of one fill (A1), the end of the order unless it lives on with a remainder (P2), and O7."""
        before, time = self.account.position, self.stamp(rule)
        fill = self.account.book(order, lots, ticks, reference, rule, self.bar, time)
        if cut:
            self.book.end(order, "cancelled", "cut_cash", time, by_fill=True)
        elif whole:
            self.book.end(order, "filled", "", time, by_fill=True)
        self.woken += self.book.after_fill(order, before, self.account.position, fill, self.grid)

    def close_out(self, reference: int, rule: str) -> None:
        """F9: close the position in one order."""
        if self.account.position == 0:
            return
        time = self.stamp(rule)
        order = Order(self.book.next_id(), "market", "GTC", -self.account.position, time)
        self.book.add(order)
        self.account.maker = False
        # without A3, and whatever the volume (P1)
        self.fill(order, order.lots, reference, reference, rule, cut=False, whole=True)
