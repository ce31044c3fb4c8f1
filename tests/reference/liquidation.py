"""Where an account has too little margin left, and what becomes of it then (L2, L3, L5, L6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.reference.account import Fund
from tests.reference.config import Config
from tests.reference.holding import Holding
from tests.reference.orders import Book, Order
from tests.reference.purse import Purse

MOST = 2**53


@dataclass
class Liquidator:
    """Watches over the margin of an account and closes what it cannot carry."""

    purse: Purse
    account: Fund
    book: Book

    @property
    def config(self) -> Config:
        """L1, V3."""
        return self.purse.config

    def maintenance(self, holding: Holding, ticks: int) -> float | None:
        """L2: `M(k)`, long and short apart; None without one."""
        tiers = self.config.tiers_of(holding.position)
        return None if tiers is None else tiers.margin(holding.grid.gross(ticks, holding.position))

    def balance(self, holding: Holding, ticks: int) -> float:
        """L3: `B(k)`."""
        value = holding.grid.notional(ticks, holding.position)
        if self.config.isolated:
            return holding.stake + (value - holding.basis)
        return self.purse.cash + value

    def price(self, holding: Holding) -> int | None:
        """L3: `K` of what an account of one asset holds; None without a position or a maintenance margin."""
        if holding.position == 0 or self.maintenance(holding, 1) is None:
            return None
        low, high = 0, MOST
        while high - low > 1:
            middle = (low + high) // 2
            margin = self.maintenance(holding, middle)
            assert margin is not None
            falls_short = self.balance(holding, middle) <= margin
            if falls_short == (holding.position > 0):
                low = middle
            else:
                high = middle
        if holding.position > 0:
            return low if low > 0 else None
        return high if high < MOST else None

    def passes_over(self, holding: Holding, order: Order) -> bool:
        """L3: does the price meet a stop that closes the position only after `K`."""
        level = self.price(holding)
        if level is None or order.lots * holding.position > 0:
            return False
        return order.trigger < level if holding.position > 0 else order.trigger > level

    def waits_for(self, holding: Holding, woken: Sequence[Order]) -> bool:
        """L3: has F7 a stop to look at that closes the position, and that the price meets before `K`."""
        level = self.price(holding)
        if level is None:
            return False
        stops = [order for order in woken if order.live and order.kind == "stop" and order.lots * holding.position < 0]
        return any(order.trigger >= level if holding.position > 0 else order.trigger <= level for order in stops)

    def check(self, holding: Holding, place: str) -> None:
        """L3: liquidate where the price has got to `K`: at the `open`, in the `range`, or at the `close`."""
        level = self.price(holding)
        if level is None:
            return
        long = holding.position > 0
        met = {"open": holding.opened, "range": holding.low if long else holding.high, "close": holding.close}[place]
        if not (met <= level if long else met >= level):
            return
        at_close = self.config.path == "close"
        rule = "open" if place == "open" and not at_close else "intrabar"
        reference = met
        if place == "range" and not at_close:
            reference = min(level, holding.opened) if long else max(level, holding.opened)
        self.liquidate([holding], [reference], rule, holding.stamp(rule))

    def falls_short(self) -> bool:
        """L6: is a portfolio's equity, just marked, no more than the maintenance margin of what it holds."""
        if self.config.maintenance is None and self.config.maintenance_short is None:
            return False
        if not self.purse.held():
            return False
        required = 0.0
        for holding in self.purse.held():
            required = required + (self.maintenance(holding, holding.close) or 0.0)
        return self.purse.equity <= required

    def liquidate(
        self, holdings: Sequence[Holding], references: Sequence[int], rule: str, time: int, together: bool = False
    ) -> None:
        """L5, L6 (`together`): orders end, positions are closed, and what is lost beyond what was there is not its."""
        account, purse = self.account, self.purse
        own = holdings[:1] if self.config.isolated else purse.holdings
        self.book.end_all("liquidation", time, {holding.number for holding in own})
        least, asset, held = 0.0, purse.number, 0
        if not together:
            asset, held = holdings[0].number, holdings[0].position
        if self.config.isolated:
            before = purse.cash + holdings[0].basis
            least = before - holdings[0].stake
        for holding, reference in zip(holdings, references, strict=True):
            self.close(holding, reference, rule, time)
        if self.config.protected and purse.cash < least:
            amount = least - purse.cash
            purse.cash = least
            account.note(time, "insurance", asset, held, amount)
        purse.count()

    def close(self, holding: Holding, reference: int, rule: str, time: int) -> None:
        """L5: one order for the whole position, slipped, without A3 and P1."""
        order = Order(self.book.next_id(), "market", "GTC", -holding.position, time, asset=holding.number)
        order.liquidates = True
        self.book.add(order)
        self.book.lives.note(order, "submitted", time)
        self.account.maker = False
        ticks = self.account.slipped(order, order.lots, reference, time)
        fill = self.account.book(order, order.lots, ticks, reference, rule, time)
        self.book.happened.append(dict(fill))
        self.book.lives.filled(order, order.lots, ticks, time)
        self.book.end(order, "filled", "liquidation", time, by_fill=True)
