"""The way of the price through a bar (F12): its legs, and where an order waits on one of them."""

from __future__ import annotations

from tests.reference.orders import IF_TOUCHED, Order

LEGS = ("high_first", "low_first", "nearest_first")


def legs(path: str, opened: int, high: int, low: int, close: int) -> list[int]:
    """F12: the ends of the three legs that start at the open."""
    high_first = high - opened < opened - low if path == "nearest_first" else path == "high_first"
    return [high, low, close] if high_first else [low, high, close]


def event(order: Order, p: int, q: int, thr: int, left: int | None) -> int | None:
    """F12: the price at which an order is met on the way from `p` to `q`; `p` itself if that has reached it already."""
    buys = order.lots > 0
    if order.runs or (order.rests and left == 0):  # P3
        return None
    if order.rests:
        level = order.price - thr if buys else order.price + thr
        met_from_below = not buys
    else:
        level = order.trigger
        met_from_below = buys != (order.kind in IF_TOUCHED)  # F14
    if met_from_below:
        if p >= level:
            return p
        return level if q >= level else None
    if p <= level:
        return p
    return level if q <= level else None
