"""Splits of an asset: its position, the fraction that is left, and its orders (E2)."""

from __future__ import annotations

import math
from dataclasses import replace

from tests.reference.account import Fund
from tests.reference.holding import Holding
from tests.reference.market import Grid
from tests.reference.orders import IF_TOUCHED, Book, Order

NEAR = 1e-6


def scale(lots: int, r: float) -> int:
    """E2: toward zero unless within 1e-6 of a whole lot."""
    x = float(abs(lots)) * r
    n = math.floor(x + 0.5)
    size = n if abs(x - n) <= NEAR else math.trunc(x)
    return size if lots >= 0 else -size


def split(account: Fund, book: Book, holding: Holding, r: float, t: int, time: int) -> None:
    """E2: first the position, then the live orders of the asset in id order."""
    held, amount = holding.position, 0.0
    if held != 0:
        amount = split_position(account, book, holding, r, t, time)
    for order in book.live():
        if order.live and order.asset == holding.number:
            split_order(book, order, holding.grid, r, time)
    if held != 0:
        account.note(time, "split", holding.number, held, amount)


def split_position(account: Fund, book: Book, holding: Holding, r: float, t: int, time: int) -> float:
    """E2: the lots held, and the cash for the fraction left; the round trip ends where nothing is held any more."""
    trade = holding.open_trade
    assert trade is not None
    held, final = holding.position, scale(holding.position, r)
    fraction = float(held) * r - float(final)
    amount = 0.0
    if abs(fraction) > NEAR:
        amount = (holding.price_before(t, holding.ratios) / r) * (fraction * holding.grid.unit)
        purse = account.purse_of[holding.number]
        purse.cash = purse.cash + amount
        holding.earn(amount)
    trade["lots"] = max(1, scale(trade["lots"], r))
    holding.position = final
    if final == 0:
        holding.basis = holding.stake = 0.0
        account.end_trade(holding, time)
        book.end_exits(holding.number, time)
    return amount


def split_order(book: Book, order: Order, grid: Grid, r: float, time: int) -> None:
    """E2: its lots, then its prices by Q3; an order with no lots left ends."""
    buy = order.lots > 0
    rest = scale(order.lots - order.filled, r)
    coming = None if order.change is None or order.change.lots is None else scale(order.change.lots - order.filled, r)
    order.filled = scale(order.filled, r)
    order.lots = order.filled + rest
    if order.display != 0:
        order.display = max(1, scale(order.display, r))
    if rest == 0:
        book.end(order, "cancelled", "split", time)
        return
    if order.change is not None and not split_change(book, order, coming, grid, r, time):
        return
    if order.price != 0:
        order.price = grid.ticks(grid.price(order.price) / r, not buy)
    if order.trigger != 0:
        order.trigger = grid.ticks(grid.price(order.trigger) / r, trigger_up(order))
    if order.trail != 0:
        order.trail = grid.ticks(grid.price(order.trail) / r, True)
    if order.offset != 0:
        order.offset = grid.ticks(grid.price(order.offset) / r, False)
    book.lives.note(order, "split", time)


def trigger_up(order: Order) -> bool:
    """Q3."""
    buy = order.lots > 0
    return not buy if order.kind in IF_TOUCHED else buy


def split_change(book: Book, order: Order, coming: int | None, grid: Grid, r: float, time: int) -> bool:
    """E2, H4: the numbers of a change under way; False where its lots are none, which ends the order."""
    told = order.change
    assert told is not None
    lots = None if coming is None else coming + order.filled
    if lots == 0:
        book.end(order, "cancelled", "split", time)
        return False
    price = None if told.price is None else grid.ticks(grid.price(told.price) / r, order.lots < 0)
    trigger = None if told.trigger is None else grid.ticks(grid.price(told.trigger) / r, trigger_up(order))
    order.change = replace(told, lots=lots, price=price, trigger=trigger)
    return True
