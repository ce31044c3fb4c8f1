"""Fills on bars (F1-F9): which order meets which price in one bar."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.reference.account import Account
from tests.reference.config import Config
from tests.reference.market import Bars, Grid
from tests.reference.orders import Book, Order


@dataclass
class Matcher:
    """The venue: matches the live orders against bar `bar`."""

    bars: Bars
    grid: Grid
    config: Config
    account: Account
    book: Book
    bar: int = 0
    woken: list[Order] = field(default_factory=list)

    def match(self, bar: int, last: bool) -> None:
        """T5 from the expiry of DAY orders to the close-out; `last` is the last bar of the span."""
        self.bar = bar
        self.woken = []
        open_at, known_at = self.bars.open_at[bar], self.bars.known_at[bar]
        self.book.expire_days(self.bars.session[bar], open_at)
        # who is matched, and as what, is settled before the passes: an exit woken in this bar belongs to F7 alone,
        # and a stop-limit triggered in this bar rests from the next one on
        matched = [order for order in self.book.live() if order.active and order.t_active <= open_at]
        resting = [order for order in matched if order.kind == "limit" or order.triggered]
        stops = [order for order in matched if order.kind != "market" and order not in resting]
        for order in matched:
            if order.live:
                self.open_pass(order, order in resting)
        if last and self.config.close_out == "last_open":
            self.close_out(self.bars.o[bar], "open")
        else:
            self.range_passes(stops, resting)
        self.book.expire_immediate(matched, known_at)
        if last and self.config.close_out == "last_close":
            self.close_out(self.bars.c[bar], "intrabar")

    def range_passes(self, stops: list[Order], resting: list[Order]) -> None:
        """F2, F5, F7, F8: what the range of the bar settles; an IOC order has no part in it (O2)."""
        for order in stops:
            if order.live and order.tif != "IOC":
                self.stop_pass(order)
        for order in resting:
            if order.live and order.tif != "IOC":
                self.limit_pass(order)
        if self.config.same_bar == "adverse":
            for order in sorted(self.woken, key=lambda woken: woken.id):
                if order.live and order.kind == "stop":
                    self.woken_stop(order)
        if self.config.trailing == "check_first":
            for order in stops:
                if order.live and order.kind == "trailing_stop":
                    order.move_trigger(self.grid, self.bars.h[self.bar], self.bars.l[self.bar])

    def open_pass(self, order: Order, rests: bool) -> None:
        """F1: what the open settles, at the open."""
        opened = self.bars.o[self.bar]
        if order.kind == "market":
            self.execute(order, opened, "open", slip=True)
        elif rests:
            if self.beyond_limit(order, opened):
                self.execute(order, opened, "open", slip=False)
        elif opened >= order.trigger if order.lots > 0 else opened <= order.trigger:
            self.trigger(order, opened, "open")

    def stop_pass(self, order: Order) -> None:
        """F2: stops, trailing stops and untriggered stop-limits that the range reaches, at the trigger."""
        high, low = self.bars.h[self.bar], self.bars.l[self.bar]
        if order.triggered:  # by the open, past its limit
            return
        if order.kind == "trailing_stop" and self.config.trailing == "update_first":
            order.move_trigger(self.grid, high, low)
        if high >= order.trigger if order.lots > 0 else low <= order.trigger:
            self.trigger(order, order.trigger, "intrabar")

    def trigger(self, order: Order, reference: int, rule: str) -> None:
        """F1-F3: a stop fills at the reference; a stop-limit only if its limit allows it, else it rests."""
        if order.kind != "stop_limit":
            self.execute(order, reference, rule, slip=True)
        elif reference <= order.price if order.lots > 0 else reference >= order.price:
            self.execute(order, reference, rule, slip=False)
        else:
            order.triggered = True

    def limit_pass(self, order: Order) -> None:
        """F5: limits, and stop-limits that triggered in an earlier bar, at the limit."""
        if self.beyond_limit(order, self.bars.l[self.bar] if order.lots > 0 else self.bars.h[self.bar]):
            self.execute(order, order.price, "intrabar", slip=False)

    def beyond_limit(self, order: Order, ticks: int) -> bool:
        """F1, F5: is a price as good as the limit (`touch`) or better than it (`through`)."""
        thr = 1 if self.config.limit == "through" else 0
        return ticks <= order.price - thr if order.lots > 0 else ticks >= order.price + thr

    def woken_stop(self, order: Order) -> None:
        """F7: a stop woken in this bar sees the bar's full range and fills no better than at the entry's reference."""
        if order.lots > 0 and self.bars.h[self.bar] >= order.trigger:
            self.execute(order, max(order.trigger, order.entry_reference), "intrabar", slip=True)
        elif order.lots < 0 and self.bars.l[self.bar] <= order.trigger:
            self.execute(order, min(order.trigger, order.entry_reference), "intrabar", slip=True)

    def execute(self, order: Order, reference: int, rule: str, slip: bool, check_cash: bool = True) -> None:
        """One fill: A4's cut, C1's slippage, S5's new size, A3's cash, then the books and O7."""
        account, bar = self.account, self.bar
        time = self.bars.open_at[bar] if rule == "open" else self.bars.known_at[bar]
        lots = order.lots
        if order.reduce_only:
            if account.position * lots >= 0:
                self.book.end(order, "cancelled", "reduce_only", time)
                return
            lots = -account.position if abs(lots) > abs(account.position) else lots
        ticks = account.slipped(order, lots, reference, bar, time) if slip else reference
        if order.weight is not None and self.config.sizing == "at_fill":
            lots = account.target_lots(order.weight, ticks, bar, time, slip=False)
            if lots is None:
                self.book.end(order, "rejected", "invalid", time)
                return
            if lots * order.lots <= 0:
                self.book.end(order, "cancelled", "replaced", time)
                return
            order.lots = lots
        wanted = lots
        if check_cash and self.config.cash_rule != "debt" and not account.affordable(order, lots, ticks, bar, time):
            if self.config.cash_rule == "reject":
                self.book.end(order, "rejected", "insufficient_cash", time)
                return
            lots = account.reduced(order, lots, ticks, bar, time)
            if lots == 0:
                self.book.end(order, "cancelled", "cut_cash", time)
                return
        before = account.position
        fill = account.book(order, lots, ticks, reference, rule, bar, time)
        if lots == wanted:
            self.book.end(order, "filled", "", time)
        else:
            self.book.end(order, "cancelled", "cut_cash", time)
        self.woken += self.book.after_fill(order, before, account.position, fill, self.grid)

    def close_out(self, reference: int, rule: str) -> None:
        """F9: close the position in one order."""
        if self.account.position == 0:
            return
        time = self.bars.open_at[self.bar] if rule == "open" else self.bars.known_at[self.bar]
        order = Order(self.book.next_id(), "market", "GTC", -self.account.position, time)
        self.book.add(order)
        self.execute(order, reference, rule, slip=False, check_cash=False)
