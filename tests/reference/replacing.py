"""Changes to a live order (O16)."""

from __future__ import annotations

from dataclasses import replace

from tests.reference.desk import Desk
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


def change(
    book: Book, desk: Desk, order: Order, time: int, quantity: float | None, price: float | None, trigger: float | None
) -> bool:
    """O16: change a live order of the desk's asset, or end it; False where nothing happens."""
    if order.from_target or not fits(desk, order, quantity, price, trigger):
        return False
    buy = order.lots > 0
    lots = order.lots
    if quantity is not None:
        lots = abs(desk.grid.lots(quantity)) if buy else -abs(desk.grid.lots(quantity))
    if quantity is not None and abs(lots) <= abs(order.filled):
        book.end(order, "cancelled", "user", time)
        return True
    new_price = order.price if price is None else desk.limit_ticks(price, buy)
    new_trigger = order.trigger if trigger is None else desk.trigger_ticks(order.kind, trigger, buy)
    if order.parent == 0 and desk.refusal(replace(order, lots=lots, price=new_price, trigger=new_trigger)):
        return False
    order.lots, order.price, order.trigger = lots, new_price, new_trigger
    order.t_active, order.new = time, True
    if price is not None or trigger is not None:
        order.anchor = None
    return True
