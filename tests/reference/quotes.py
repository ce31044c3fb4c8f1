"""What a pass offers an order (F1-F5, F7, F10, F11, F14): nothing, a fill at a price, or a stop-limit's trigger alone.

Nothing here changes anything, so that X5 may ask what a pass would fill.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.reference.config import Config
from tests.reference.holding import Holding
from tests.reference.orders import IF_TOUCHED, LIMITS_ONCE_TRIGGERED, Order


@dataclass(frozen=True)
class Quote:
    """A reference price; `triggers` a stop by it, `fills` unless it is a stop-limit's beyond its limit."""

    reference: int
    rule: str
    slip: bool
    triggers: bool = False
    fills: bool = True
    maker: bool = False  # C3
    limit: int = 0  # F15: the limit price of a stop-limit that triggers by it
    rejects: bool = False  # O14


def trigger(order: Order, reference: int, rule: str, level: int) -> Quote:
    """F1-F3, F12, F14, F15: set off by the trigger `level`, a stop fills at the reference; a stop-limit only if its
    limit allows it, else it rests."""
    if order.kind not in LIMITS_ONCE_TRIGGERED:
        return Quote(reference, rule, slip=True, triggers=True)
    limit = order.limit_from(level)
    good = reference <= limit if order.lots > 0 else reference >= limit
    return Quote(reference, rule, slip=False, triggers=True, fills=good, limit=limit)


def threshold(config: Config) -> int:
    """How far a price has to pass a limit: a tick (`through`) or not at all (`touch`)."""
    return 1 if config.limit == "through" else 0


def beyond_limit(order: Order, ticks: int, config: Config) -> bool:
    """F1, F5: is a price as good as the limit (`touch`) or better than it (`through`)."""
    thr = threshold(config)
    return ticks <= order.price - thr if order.lots > 0 else ticks >= order.price + thr


def crosses(order: Order, ticks: int) -> bool:
    """O14: would a limit take at this price; whatever `thr` is."""
    return ticks <= order.price if order.lots > 0 else ticks >= order.price


def touched(order: Order, falls_to: int, rises_to: int) -> bool:
    """F14: has the price reached an if-touched order, which waits on the other side than a stop."""
    return falls_to <= order.trigger if order.lots > 0 else rises_to >= order.trigger


def stays_at_limit(order: Order, holding: Holding, config: Config) -> bool:
    """P5: does the range of the bar go no further than the order's limit asks."""
    thr = threshold(config)
    return holding.low >= order.price - thr if order.lots > 0 else holding.high <= order.price + thr


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
    if order.tif == "AT_CLOSE" and config.path != "close":  # O12: the late pass is its own
        return None
    if order.kind == "market":
        same_close = config.market == "same_close" and not order.at_auction
        if same_close and not holding.renewed and holding.bars.known_at[holding.last - 1] >= order.t_active:
            return Quote(holding.bars.c[holding.last - 1], "same_close", slip=True)
        if same_close or config.market == "next_open" or config.path == "close" or order.at_auction:
            return Quote(holding.opened, rule, slip=True)
        return None
    if resting:
        if order.post_only and order.new and crosses(order, holding.opened):
            return Quote(holding.opened, rule, slip=False, fills=False, rejects=True)
        return Quote(holding.opened, rule, slip=False) if beyond_limit(order, holding.opened, config) else None
    if order.runs:  # P3
        return Quote(holding.opened, rule, slip=True)
    if order.kind in IF_TOUCHED:
        reached = touched(order, holding.opened, holding.opened)
    else:
        reached = gapped(order, holding, config)
    return trigger(order, holding.opened, rule, order.trigger) if reached else None


def at_stop(order: Order, holding: Holding, config: Config) -> Quote | None:
    """F2: stops, trailing stops and untriggered stop-limits that the range reaches, at the trigger (F11)."""
    if order.triggered:  # by the open, past its limit or with a remainder (P3)
        return None
    level = order.trigger
    if order.trails and config.trailing == "update_first":
        level = order.moved_trigger(holding.grid, holding.high, holding.low)
    if not (holding.high >= level if order.lots > 0 else holding.low <= level):
        return None
    reference = level
    if config.stop_gap == "close":
        reference = max(level, holding.close) if order.lots > 0 else min(level, holding.close)
    return trigger(order, reference, "intrabar", level)


def at_limit(order: Order, holding: Holding, config: Config, resting: bool) -> Quote | None:
    """F5: limits, and stop-limits that triggered in an earlier bar, at the limit; F14: if touched, at the trigger."""
    if resting:
        reached = beyond_limit(order, holding.low if order.lots > 0 else holding.high, config)
        return Quote(order.price, "intrabar", slip=False, maker=True) if reached else None
    if order.triggered or not touched(order, holding.low, holding.high):  # by the open, as in `at_stop`
        return None
    return trigger(order, order.trigger, "intrabar", order.trigger)


def late(order: Order, holding: Holding, config: Config) -> Quote | None:
    """F10: market orders that did not take part in the open pass, at their price of the bar; O12: AT_CLOSE orders."""
    if order.kind == "limit":
        return Quote(holding.close, "intrabar", slip=False) if beyond_limit(order, holding.close, config) else None
    if config.market == "next_vwap" and not order.at_auction:
        return at_mean(order, holding)
    if config.market != "next_typical" or order.at_auction:
        return Quote(holding.close, "intrabar", slip=True)
    total = holding.high + holding.low + holding.close
    return Quote(-(-total // 3) if order.lots > 0 else total // 3, "intrabar", slip=True)


def at_mean(order: Order, holding: Holding) -> Quote | None:
    """F10: at the volume-weighted mean price of the bar, within its range; not where nothing was traded."""
    if holding.bars.vwap is None:
        raise ValueError("market is next_vwap, and Bars.vwap is None: the data needs mean prices")
    vwap = holding.bars.vwap[holding.last]
    if math.isnan(vwap):
        return None
    ticks = holding.grid.ticks(vwap, order.lots > 0)
    return Quote(min(max(ticks, holding.low), holding.high), "intrabar", slip=True)


def at_woken(order: Order, holding: Holding, config: Config) -> Quote | None:
    """F7, F10: a stop woken in this bar sees its full range and fills no better than at the entry's reference."""
    bounds = [order.trigger, order.entry_reference]
    if config.market == "same_close":
        bounds.append(holding.opened)
    if order.lots > 0 and holding.high >= order.trigger:
        return trigger(order, max(bounds), "intrabar", order.trigger)
    if order.lots < 0 and holding.low <= order.trigger:
        return trigger(order, min(bounds), "intrabar", order.trigger)
    return None
