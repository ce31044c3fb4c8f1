"""What a pass offers an order (F1-F5, F7, F10, F11): nothing, a fill at a price, or a stop-limit's trigger alone.

Nothing here changes anything, so that X5 may ask what a pass would fill.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.reference.config import Config
from tests.reference.holding import Holding
from tests.reference.orders import Order


@dataclass(frozen=True)
class Quote:
    """A reference price; `triggers` a stop by it, `fills` unless it is a stop-limit's beyond its limit."""

    reference: int
    rule: str
    slip: bool
    triggers: bool = False
    fills: bool = True
    maker: bool = False  # C3


def trigger(order: Order, reference: int, rule: str) -> Quote:
    """F1-F3, F12: a stop fills at the reference; a stop-limit only if its limit allows it, else it rests."""
    if order.kind != "stop_limit":
        return Quote(reference, rule, slip=True, triggers=True)
    good = reference <= order.price if order.lots > 0 else reference >= order.price
    return Quote(reference, rule, slip=False, triggers=True, fills=good)


def threshold(config: Config) -> int:
    """How far a price has to pass a limit: a tick (`through`) or not at all (`touch`)."""
    return 1 if config.limit == "through" else 0


def beyond_limit(order: Order, ticks: int, config: Config) -> bool:
    """F1, F5: is a price as good as the limit (`touch`) or better than it (`through`)."""
    thr = threshold(config)
    return ticks <= order.price - thr if order.lots > 0 else ticks >= order.price + thr


def gapped(order: Order, holding: Holding, config: Config) -> bool:
    """F1, F11: does the open trigger a stop."""
    if config.stop_gap == "close":
        return False
    if config.stop_gap == "trigger":  # only where the bar never comes back
        return order.trigger < holding.low if order.lots > 0 else order.trigger > holding.high
    return holding.opened >= order.trigger if order.lots > 0 else holding.opened <= order.trigger


def at_open(order: Order, holding: Holding, config: Config, resting: bool) -> Quote | None:
    """F1, F10: what the open settles, at the open; `resting` orders are limits to it."""
    rule = "intrabar" if config.path == "close" else "open"  # F12: stamped when the close is known
    if order.kind == "market":
        if config.market == "same_close":
            return Quote(holding.bars.c[holding.last - 1], "same_close", slip=True)
        if config.market == "next_open" or config.path == "close":
            return Quote(holding.opened, rule, slip=True)
        return None
    if resting:
        return Quote(holding.opened, rule, slip=False) if beyond_limit(order, holding.opened, config) else None
    if order.runs:  # P3
        return Quote(holding.opened, rule, slip=True)
    return trigger(order, holding.opened, rule) if gapped(order, holding, config) else None


def at_stop(order: Order, holding: Holding, config: Config) -> Quote | None:
    """F2: stops, trailing stops and untriggered stop-limits that the range reaches, at the trigger (F11)."""
    if order.triggered:  # by the open, past its limit or with a remainder (P3)
        return None
    level = order.trigger
    if order.kind == "trailing_stop" and config.trailing == "update_first":
        level = order.moved_trigger(holding.grid, holding.high, holding.low)
    if order.lots > 0 and holding.high >= level:
        return trigger(order, max(level, holding.close) if config.stop_gap == "close" else level, "intrabar")
    if order.lots < 0 and holding.low <= level:
        return trigger(order, min(level, holding.close) if config.stop_gap == "close" else level, "intrabar")
    return None


def at_limit(order: Order, holding: Holding, config: Config) -> Quote | None:
    """F5: limits, and stop-limits that triggered in an earlier bar, at the limit."""
    reached = beyond_limit(order, holding.low if order.lots > 0 else holding.high, config)
    return Quote(order.price, "intrabar", slip=False, maker=True) if reached else None


def late(order: Order, holding: Holding, config: Config) -> Quote | None:
    """F10: market orders that did not take part in the open pass, at the close or the typical price."""
    total = holding.high + holding.low + holding.close
    typical = -(-total // 3) if order.lots > 0 else total // 3
    return Quote(typical if config.market == "next_typical" else holding.close, "intrabar", slip=True)


def at_woken(order: Order, holding: Holding, config: Config) -> Quote | None:
    """F7, F10: a stop woken in this bar sees its full range and fills no better than at the entry's reference."""
    bounds = [order.trigger, order.entry_reference]
    if config.market == "same_close":
        bounds.append(holding.opened)
    if order.lots > 0 and holding.high >= order.trigger:
        return trigger(order, max(bounds), "intrabar")
    if order.lots < 0 and holding.low <= order.trigger:
        return trigger(order, min(bounds), "intrabar")
    return None
