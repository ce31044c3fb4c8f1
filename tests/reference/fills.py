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

    def match(self, bar: int) -> None:
        """T5 from the expiry of DAY orders to the end of IOC orders."""
        self.bar = bar
        self.woken = []
        open_at, known_at = self.bars.open_at[bar], self.bars.known_at[bar]
        self.book.expire_days(self.bars.session[bar], open_at)
        # who is matched is settled before the passes: an exit woken in this bar belongs to F7 alone
        matched = [order for order in self.book.live() if order.active and order.t_active <= open_at]
        resting = [order for order in matched if order.kind == "limit" or order.triggered]
        first = [order for order in matched if order not in resting]
        for order in first:
            if order.live:
                self.first_pass(order)
        for order in resting:
            if order.live:
                self.limit_pass(order)
        if self.config.same_bar == "adverse":
            for order in sorted(self.woken, key=lambda woken: woken.id):
                if order.live and order.kind == "stop":
                    self.attached_stop(order)
        if self.config.trailing == "check_first":
            for order in matched:
                if order.live and order.kind == "trailing_stop":
                    order.move_trigger(self.grid, self.bars.h[bar], self.bars.l[bar])
        self.book.expire_immediate(matched, known_at)

    def range_seen(self, order: Order) -> tuple[int, int, int]:
        """O2: open, high and low as the order sees them; an IOC order sees the open only."""
        opened = self.bars.o[self.bar]
        if order.tif == "IOC":
            return opened, opened, opened
        return opened, self.bars.h[self.bar], self.bars.l[self.bar]

    def first_pass(self, order: Order) -> None:
        """F1-F3: markets, stops, trailing stops and untriggered stop-limits."""
        opened, high, low = self.range_seen(order)
        if order.kind == "market":
            self.execute(order, opened, "open", slip=True)
            return
        if order.kind == "trailing_stop" and self.config.trailing == "update_first":
            order.move_trigger(self.grid, high, low)
        reference = stop_reference(order, opened, high, low)
        if reference is None:
            return
        rule = "open" if reference == opened else "intrabar"
        if order.kind != "stop_limit":
            self.execute(order, reference, rule, slip=True)
        elif reference <= order.price if order.lots > 0 else reference >= order.price:
            self.execute(order, reference, rule, slip=False)
        else:
            order.triggered = True

    def limit_pass(self, order: Order) -> None:
        """F5: limits, and stop-limits that triggered in an earlier bar."""
        opened, high, low = self.range_seen(order)
        thr = 1 if self.config.limit == "through" else 0
        if order.lots > 0:
            reached, at_open, price = low <= order.price - thr, opened <= order.price - thr, min(order.price, opened)
        else:
            reached, at_open, price = high >= order.price + thr, opened >= order.price + thr, max(order.price, opened)
        if reached:
            self.execute(order, price, "open" if at_open else "intrabar", slip=False)

    def attached_stop(self, order: Order) -> None:
        """F7: a stop woken in this bar sees the bar's full range, with the entry's reference as its open."""
        reference = stop_reference(order, order.entry_reference, self.bars.h[self.bar], self.bars.l[self.bar])
        if reference is not None:
            self.execute(order, reference, "intrabar", slip=True)

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
            if lots == 0:
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

    def close_out(self) -> bool:
        """F9: close the position in one order on the last bar; True when an order was made."""
        if self.config.close_out == "none" or self.account.position == 0:
            return False
        at_open = self.config.close_out == "last_open"
        reference = self.bars.o[self.bar] if at_open else self.bars.c[self.bar]
        time = self.bars.open_at[self.bar] if at_open else self.bars.known_at[self.bar]
        order = Order(self.book.next_id(), "market", "GTC", -self.account.position, time)
        self.book.add(order)
        self.execute(order, reference, "open" if at_open else "intrabar", slip=False, check_cash=False)
        return True


def stop_reference(order: Order, opened: int, high: int, low: int) -> int | None:
    """F2: the worse of trigger and open when the range reaches the trigger."""
    if order.lots > 0:
        return max(order.trigger, opened) if high >= order.trigger else None
    return min(order.trigger, opened) if low <= order.trigger else None
