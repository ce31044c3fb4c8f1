"""What a strategy sees of an asset, and how what it asks for becomes an order (T1, O4, O5)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.reference import limits
from tests.reference.account import Fund
from tests.reference.asks import Ask
from tests.reference.desk import Desk
from tests.reference.halts import Gate
from tests.reference.holding import Holding
from tests.reference.market import Grid
from tests.reference.orders import Book, Order
from tests.reference.telling import End, Fill, told


class Counter:
    """One asset as the strategy sees it after the mark of bar `i` of the clock; offsets into the past are 0, -1 ..."""

    def __init__(self, holding: Holding, account: Fund, book: Book, i: int, time: int) -> None:
        self._holding, self._account, self._book = holding, account, book
        self._bars = holding.bars
        self._grid: Grid = holding.grid
        self._desk = Desk(holding)
        self._gate = Gate(account, book, time)
        self._last = holding.last
        self.i = i
        self.time = time
        self.tradable = holding.has_bar
        self.lots = holding.position
        self.position = float(holding.position) * holding.grid.lot
        self._purse = account.purse_of[holding.number]

    @property
    def cash(self) -> float:
        return self._purse.cash

    @property
    def equity(self) -> float:
        """V5: what is sent is gone at once."""
        return self._purse.left

    def _past(self, values: Sequence[int], offset: int) -> float:
        if offset > 0:
            raise ValueError(f"offset is {offset}, wanted 0 or less: later bars are not known yet")
        return self._grid.price(values[self._last + offset]) if self._last + offset >= 0 else math.nan

    def open(self, offset: int = 0) -> float:
        return self._past(self._bars.o, offset)

    def high(self, offset: int = 0) -> float:
        return self._past(self._bars.h, offset)

    def low(self, offset: int = 0) -> float:
        return self._past(self._bars.l, offset)

    def close(self, offset: int = 0) -> float:
        return self._past(self._bars.c, offset)

    def orders(self) -> list[int]:
        """Ids of the live orders of the asset."""
        return [order.id for order in self._book.live() if order.asset == self._holding.number]

    def told(self) -> list[Fill | End]:
        """T7, X9: what has happened to the asset since it was asked before."""
        now, number = self._book.happened, self._holding.number
        self._book.happened = [happened for happened in now if happened["asset"] != number]
        return [told(happened, self._grid) for happened in now if happened["asset"] == number]

    def _reject(self, ask: Ask, reason: str) -> int:
        order = self._new(ask)
        self._book.add(order)
        self._book.lives.note(order, "submitted", self.time)
        self._book.end(order, "rejected", reason, self.time)
        return order.id

    def _new(self, ask: Ask) -> Order:
        number = self._holding.number
        return Order(self._book.submit_id(), ask.kind, ask.tif, self._desk.lots(ask.q), self.time, asset=number)

    def _submit(self, ask: Ask) -> int:
        """O5: an order that is taken or rejected."""
        return self._judged(self._new(ask), self._desk.fault(ask), ask).id

    def _judged(self, order: Order, fault: str, ask: Ask) -> Order:
        """Q3, O15, O14, R8, H4: the order with its numbers, which it keeps where it is refused."""
        if ask.tif == "AT_CLOSE" and self._bars.closes is None:  # O12
            raise ValueError("an order at the close, and Bars.closes is None: the data needs a calendar")
        self._book.add(order)
        if not fault:
            self._desk.write(order, ask)
            fault = self._desk.refusal(order)
        return self._allowed(order, fault)

    def _allowed(self, order: Order, fault: str = "") -> Order:
        """R8, H4: what nothing has refused so far is asked the limits of the account, then the venue."""
        fault = fault or limits.refusal(self._account, self._book, self._desk, order, self.time)
        fault = fault or self._gate.refusal(order)
        self._book.lives.note(order, "submitted", self.time)
        if fault:
            self._book.end(order, "rejected", fault, self.time)
        return order
