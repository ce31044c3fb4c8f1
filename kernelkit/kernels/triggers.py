"""What sets an order off: its trigger and how that follows the price, its limit (F1-F5, F8, F14, F15)."""

from kernelkit.kernels.accept import trails
from kernelkit.kernels.account import price, to_ticks
from kernelkit.kernels.changes import log_life
from kernelkit.kernels.fills import moment
from kernelkit.kernels.layout import (
    C_KNOWN_AT,
    CH_TRAILED,
    FRAME,
    IOC,
    LIMIT,
    LIMIT_TOUCHED,
    LIVE,
    MARKET,
    MARKET_TOUCHED,
    ORDER,
    SEEN,
    STOP_LIMIT,
    TRAILING_LIMIT,
    TRIGGERED,
)
from kernelkit.kernels.memory import at


def has_limit(order_at: int) -> bool:
    """An order that becomes a limit order when it triggers (F3, F14, F15)."""
    o = at(order_at, ORDER)
    return o.kind == STOP_LIMIT or o.kind == LIMIT_TOUCHED or o.kind == TRAILING_LIMIT


def if_touched(order_at: int) -> bool:
    """F14: an order that triggers on the other side of a stop."""
    o = at(order_at, ORDER)
    return o.kind == MARKET_TOUCHED or o.kind == LIMIT_TOUCHED


def rests(order_at: int) -> bool:
    """A limit order, or one that has become one."""
    o = at(order_at, ORDER)
    return o.kind == LIMIT or ((o.marks & TRIGGERED) != 0 and has_limit(order_at))


def at_market(order_at: int) -> bool:
    """A market order, or what is left of one that has become one by its trigger (P3)."""
    o = at(order_at, ORDER)
    return o.kind == MARKET or ((o.marks & TRIGGERED) != 0 and not has_limit(order_at))


def trail_level(instrument_at: int, order_at: int, k: int) -> int:
    """F8: the trigger that a trailing stop takes from the price of `k` ticks."""
    o = at(order_at, ORDER)
    if o.lots > 0:
        level = (
            k + o.trail if o.trail > 0 else to_ticks(instrument_at, price(instrument_at, k) * (1.0 + o.fraction), True)
        )
    else:
        level = (
            k - o.trail if o.trail > 0 else to_ticks(instrument_at, price(instrument_at, k) * (1.0 - o.fraction), False)
        )
    return max(level, 1)


def follows(order_at: int) -> bool:
    """F8: a trailing order that was matched against this bar and has not triggered."""
    o = at(order_at, ORDER)
    return o.status == LIVE and trails(o.kind) and (o.marks & (SEEN | TRIGGERED)) == SEEN and o.tif < IOC


def move_trail(frame: int, order_at: int, high: int, low: int) -> None:
    """F8: let a trailing stop follow the bar."""
    o = at(order_at, ORDER)
    level = trail_level(at(frame, FRAME).instrument, order_at, low if o.lots > 0 else high)
    before = o.trigger
    o.trigger = min(before, level) if o.lots > 0 else max(before, level)
    if o.trigger != before:
        log_life(frame, order_at, CH_TRAILED, moment(frame, C_KNOWN_AT, at(frame, FRAME).i))


def limit_of(order_at: int) -> int:
    """The limit price of an order, of a trailing stop-limit the one that it has when it triggers now (F15)."""
    o = at(order_at, ORDER)
    if o.kind != TRAILING_LIMIT or (o.price > 0):
        return o.price
    return o.trigger + o.offset if o.lots > 0 else max(1, o.trigger - o.offset)


def within_limit(order_at: int, reference: int) -> bool:
    """F3: whether an order that triggers at `reference` ticks and has a limit fills there at once."""
    limit = limit_of(order_at)
    return reference <= limit if at(order_at, ORDER).lots > 0 else reference >= limit


def stop_reached(order_at: int, high: int, low: int) -> bool:
    """Whether prices that went from `low` to `high` set a stop, or an order if touched, off."""
    o = at(order_at, ORDER)
    return high >= o.trigger if (o.lots > 0) != if_touched(order_at) else low <= o.trigger


def limit_reached(order_at: int, high: int, low: int, thr: int) -> bool:
    """Whether prices that went from `low` to `high` fill a limit order, `thr` ticks beyond its price."""
    o = at(order_at, ORDER)
    return low <= o.price - thr if o.lots > 0 else high >= o.price + thr
