"""What the calendar does to the account: accruals, dividends, funding, delistings (E1, E3-E7)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.reference import splits
from tests.reference.account import Fund
from tests.reference.actions import Action, Schedule
from tests.reference.config import Config, Rate
from tests.reference.holding import Holding
from tests.reference.market import Clock
from tests.reference.orders import Book
from tests.reference.purse import Purse


def rate_at(rate: Rate, time: int) -> float:
    """E6: a yearly rate as it stands at a time."""
    return rate(time) if callable(rate) else rate


@dataclass
class Ledger:
    """Books what a bar of the clock brings besides fills; `start` is the account's first bar."""

    clock: Clock
    config: Config
    account: Fund
    book: Book
    schedule: Schedule
    start: int

    def __post_init__(self) -> None:
        """E1, E4: a delisting counts in bars before the account, too."""
        for t in range(self.start):
            for action in self.schedule.last[t]:
                self.account.holdings[action.asset].delisted = True

    def first(self, t: int) -> None:
        """E1: before anything else of bar `t`; the account's first bar has nothing that could change."""
        for holding in self.account.holdings:
            holding.ratios, holding.renewed = [], False
        if t == self.start:
            return
        time = self.clock.open_at[t]
        if self.clock.session[t] != self.clock.session[t - 1]:
            for purse in self.account.purses:
                self.interest(purse, t, time)
            self.borrowing(t, time)
        for action in self.schedule.first[t]:
            self.take(action, t, time)

    def within(self, t: int) -> None:
        """E1: after the open pass."""
        for action in self.schedule.within[t]:
            self.take(action, t, action.time)

    def last(self, t: int) -> None:
        """E1: after everything but the mark."""
        for action in self.schedule.last[t]:
            self.delist(self.account.holdings[action.asset], action.value, self.clock.known_at[t])

    def take(self, action: Action, t: int, time: int, close: float | None = None) -> None:
        """E2, E3, E5: of what is held; of nothing held only a split changes anything, the orders.

        `close` is P(C) where that is not of the bar before (F16).
        """
        holding = self.account.holdings[action.asset]
        if action.kind == "split":
            splits.split(self.account, self.book, holding, action.value, t, time)
            holding.ratios.append(action.value)
        elif holding.position != 0 and action.kind == "dividend":
            units = float(holding.position) * holding.grid.unit
            self.pay(holding, units * action.value, "dividend", time)
        elif holding.position != 0 and not math.isnan(action.value):
            before = holding.price_before(t, holding.ratios) if close is None else close
            mark = before if math.isnan(action.price) else action.price
            units = float(holding.position) * holding.grid.unit
            value = units / mark if holding.grid.contract == "inverse" else mark * units
            self.pay(holding, -(value * action.value), "funding", time)
        if action.kind in ("split", "dividend"):
            holding.renewed = True

    def pay(self, holding: Holding, amount: float, kind: str, time: int) -> None:
        """E3, E5, E7, L4: an amount that belongs to a position."""
        purse = self.account.purse_of[holding.number]
        purse.cash = purse.cash + amount
        holding.earn(amount)
        holding.stake = holding.stake + amount
        self.account.note(time, kind, holding.number, holding.position, amount)

    def interest(self, purse: Purse, t: int, time: int) -> None:
        """E6: on what is the account's own, or on what it owes."""
        days = self.clock.session[t] - self.clock.session[t - 1]
        short = margined = 0.0
        for holding in purse.held():
            if holding.grid.contract == "inverse":
                margined = margined + math.copysign(holding.value_before(t), -holding.position)
            elif holding.position < 0:
                short = short + holding.value_before(t)
        free = (purse.cash - short) + margined
        rate = purse.config.interest if free >= 0.0 else purse.config.loan
        q = rate_at(rate, self.clock.known_at[t - 1]) * (float(days) / 365.0)
        purse.cash = purse.cash + free * q
        self.account.note(time, "interest", purse.number, 0, free * q)

    def borrowing(self, t: int, time: int) -> None:
        """E7: what each short position owes for its units."""
        days = self.clock.session[t] - self.clock.session[t - 1]
        for holding in self.account.held():
            if holding.position < 0 and holding.grid.contract != "inverse":
                purse = self.account.purse_of[holding.number]
                rate = rate_at(purse.config.borrow_of(holding.number), self.clock.known_at[t - 1])
                q = rate * (float(days) / 360.0)
                self.pay(holding, -(holding.value_before(t) * q), "borrow", time)

    def delist(self, holding: Holding, price: float, time: int) -> None:
        """E4: orders end, the position ends without a fill, and nothing is taken from then on."""
        self.book.end_all("delisted", time, [holding.number])
        holding.delisted = True
        held = holding.position
        if held != 0:
            v = holding.grid.price(holding.close) if math.isnan(price) else price
            amount = v * (float(held) * holding.grid.unit)
            purse = self.account.purse_of[holding.number]
            purse.cash = purse.cash + amount
            holding.earn(amount)
            holding.position, holding.basis, holding.stake = 0, 0.0, 0.0
            self.account.end_trade(holding, time)
            self.account.note(time, "delisting", holding.number, held, amount)
