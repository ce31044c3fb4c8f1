"""Changes to a live order (O16), at once or when the venue lets them (H4)."""

from __future__ import annotations

from dataclasses import replace

from tests.reference.account import Fund
from tests.reference.changes import Change, Sent
from tests.reference.desk import Desk
from tests.reference.halts import Gate
from tests.reference.limits import held_by
from tests.reference.orders import IF_TOUCHED, Book, Order

PRICED = ("limit", "stop_limit", "limit_if_touched")
TRIGGERED = ("stop", "stop_limit", *IF_TOUCHED)


def fits(desk: Desk, order: Order, quantity: float | None, price: float | None, trigger: float | None) -> bool:
    """Are these numbers that O5 and O15 take, and that an order of this kind has."""
    if quantity is not None and (order.parent != 0 or not desk.grid.fits(quantity) or desk.grid.lots(quantity) == 0):
        return False
    if any(given is not None and not desk.grid.is_price(given) for given in (price, trigger)):
        return False
    has_price = order.kind in PRICED or (order.kind == "trailing_stop_limit" and order.triggered)
    has_trigger = order.kind in TRIGGERED and not order.triggered
    if (price is not None and not has_price) or (trigger is not None and not has_trigger):
        return False
    return not desk.off_tick(price, trigger)


def written(desk: Desk, order: Order, quantity: float | None, price: float | None, trigger: float | None) -> Change:
    """O16, Q1, Q3, H4: the numbers as they are counted, those of an earlier change under way beneath them."""
    buy, under = order.lots > 0, order.change or Change(0)
    lots, limit, stop = under.lots, under.price, under.trigger
    if quantity is not None:
        lots = abs(desk.grid.lots(quantity)) if buy else -abs(desk.grid.lots(quantity))
    if price is not None:
        limit = desk.limit_ticks(price, buy)
    if trigger is not None:
        stop = desk.trigger_ticks(order.kind, trigger, buy)
    return Change(0, lots, limit, stop)


def change(
    account: Fund,
    book: Book,
    order: Order,
    time: int,
    quantity: float | None,
    price: float | None,
    trigger: float | None,
) -> bool:
    """O16, R8, H4: change a live order, or end it, now or later; False where nothing happens."""
    desk = Desk(account.of(order))
    gate = Gate(account, book, time)
    if order.from_target or order.called_off is not None or gate.is_told(order):
        return False
    if not fits(desk, order, quantity, price, trigger):
        return False
    told = written(desk, order, quantity, price, trigger)
    ends = told.lots is not None and abs(told.lots) <= abs(order.filled)
    changed = changed_by(order, told)
    if order.parent == 0 and not ends and desk.refusal(changed):
        return False
    held = held_by(account, book, order, changed.lots, changed.price, time)
    if held is None:
        return False
    refused, when = gate.passes(order, changed.lots, of_live=True)
    if refused:
        return gate.hears_later(order, when)
    order.change, order.held, order.sent = replace(told, time=when), held, Sent(time, when)
    if when == time:
        settle(book, order)
    return True


def changed_by(order: Order, told: Change) -> Order:
    """The order with its new numbers."""
    return replace(
        order,
        lots=order.lots if told.lots is None else told.lots,
        price=order.price if told.price is None else told.price,
        trigger=order.trigger if told.trigger is None or order.triggered else told.trigger,
    )


def settle(book: Book, order: Order) -> None:
    """O16, H4: what was told of the order happens to it."""
    told, order.change = order.change, None
    assert told is not None
    if told.lots is not None and abs(told.lots) <= abs(order.filled):
        book.end(order, "cancelled", "user", told.time)
        return
    changed = changed_by(order, told)
    order.lots, order.price, order.trigger = changed.lots, changed.price, changed.trigger
    order.t_active, order.new = told.time, True
    if told.price is not None or told.trigger is not None:
        order.anchor = None
    book.lives.note(order, "replaced", told.time)


def take_effect(book: Book, now: int) -> None:
    """H4, H5: what was under way and is due by `now`, the beginning of a bar or its end, happens in id order."""
    for order in book.live():
        ending, told = order.ending, order.change
        ends = ending is not None and ending.time <= now
        if order.live and told is not None and told.time <= now:
            if ending is None or told.time < ending.time:
                settle(book, order)
        if order.live and ends:
            assert ending is not None
            book.end(order, ending.status, ending.reason, ending.time)
        if order.called_off is not None and order.called_off <= now:
            order.called_off = None
        if order.sent is not None and order.sent.until <= now:
            order.sent = None
