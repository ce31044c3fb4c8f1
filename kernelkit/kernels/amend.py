"""New numbers for a live order (rule O16)."""

from kernelkit.kernels.accept import finite, good_price, judged, off_tick, refused, two_prices
from kernelkit.kernels.account import to_lots, to_ticks
from kernelkit.kernels.changes import log_life
from kernelkit.kernels.fills import decided_at, end_order
from kernelkit.kernels.focus import focus, speak_of
from kernelkit.kernels.halts import far_away, put_off
from kernelkit.kernels.layout import (
    CALLED_OFF,
    CANCELLED,
    CH_REPLACED,
    FAR,
    FRAME,
    GROWN,
    HAS_PRICE,
    HAS_QUANTITY,
    HAS_TRIGGER,
    HEADER,
    INSTRUMENT,
    LIMIT,
    LIVE,
    MARKET_TOUCHED,
    NEW,
    ORDER,
    ORDER_BYTES,
    OTHER,
    PENDING,
    R_NONE,
    R_USER,
    REPLACING,
    SEEN,
    SIZES,
    STOP,
    TARGET,
    TRIGGERED,
    VENUE,
)
from kernelkit.kernels.matching import tidy
from kernelkit.kernels.memory import at
from kernelkit.kernels.triggers import if_touched, rests


def found(frame: int, number: float) -> int:
    """The address of the live order of this id, 0 where there is none, or another asset than that in focus has it."""
    f = at(frame, FRAME)
    for k in range(at(f.state, HEADER).n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if o.status == LIVE and float(o.id) == number and (f.asset < 0 or o.asset == f.asset):
            return f.orders + k * ORDER_BYTES
    return 0


def may_change(frame: int, order_at: int, given: int) -> bool:
    """O16: whether an order of this kind, as it stands, has what is to be replaced."""
    o = at(order_at, ORDER)
    if (o.marks & CALLED_OFF) != 0:  # H4; H5: that the venue will refuse the order, or its cancel, is not known yet
        return False
    if (o.marks & REPLACING) != 0 and far_away(frame) and o.t_asked != decided_at(frame):  # H5
        return False
    if (o.marks & TARGET) != 0 or ((given & HAS_QUANTITY) != 0 and o.parent != 0):
        return False
    waits = o.kind == STOP or o.kind == MARKET_TOUCHED or two_prices(o.kind)
    if (given & HAS_TRIGGER) != 0 and (not waits or (o.marks & TRIGGERED) != 0):
        return False
    return (given & HAS_PRICE) == 0 or rests(order_at) or two_prices(o.kind)


def good_change(frame: int, given: int, q: float, p: float, trigger: float) -> bool:
    """O16: whether the numbers are ones, and on the grid where the venue asks for that."""
    f = at(frame, FRAME)
    g = f.instrument
    if (given & HAS_QUANTITY) != 0 and (not finite(q / at(g, INSTRUMENT).lot) or to_lots(g, q) == 0):
        return False
    if (given & HAS_PRICE) != 0 and (not good_price(g, p) or off_tick(frame, p)):
        return False
    return (given & HAS_TRIGGER) == 0 or (good_price(g, trigger) and not off_tick(frame, trigger))


def change(frame: int, order_at: int, given: int, q: float, p: float, trigger: float) -> bool:
    """Give the order its new numbers, unless the venue would reject it with them."""
    g = at(frame, FRAME).instrument
    o = at(order_at, ORDER)
    lots = o.lots
    old_price = o.price
    old_trigger = o.trigger
    if (given & HAS_QUANTITY) != 0:
        size = abs(to_lots(g, q))
        o.lots = size if lots > 0 else -size
    if (given & HAS_PRICE) != 0:
        o.price = to_ticks(g, p, lots < 0)
    if (given & HAS_TRIGGER) != 0:
        o.trigger = to_ticks(g, trigger, (lots > 0) != if_touched(order_at))
    f = at(frame, FRAME)
    f.judging = GROWN if abs(o.lots) > abs(lots) else OTHER
    asks = o.parent == 0 and abs(o.lots) > abs(o.filled)
    wrong = refused(frame, order_at) if asks else judged(frame, order_at)
    f.judging = NEW
    if wrong != R_NONE:
        o.lots = lots
        o.price = old_price
        o.trigger = old_trigger
        return False
    if o.kind == LIMIT:
        o.take_profit = 0.0
    else:
        o.stop_loss = 0.0
    return True


def catch_up(order_at: int) -> None:
    """H4: what is asked of an order adds to what was asked before."""
    o = at(order_at, ORDER)
    if o.next_lots != 0:
        o.lots = o.next_lots
    if o.next_price != 0:
        o.price = o.next_price
    if o.next_trigger != 0:
        o.trigger = o.next_trigger


def amend(frame: int, given: int, number: float, q: float, p: float, trigger: float) -> int:
    """O16, H4: replace what is `given` of a live order, now or later; its id, or 0 where nothing happens."""
    f = at(frame, FRAME)
    o_at = found(frame, number)
    if o_at == 0:
        return 0
    o = at(o_at, ORDER)
    before = f.asset
    focus(frame, o.asset)
    if not may_change(frame, o_at, given):
        speak_of(frame, before)
        return 0
    lots = o.lots
    old_price = o.price
    old_trigger = o.trigger
    stop_loss = o.stop_loss
    take_profit = o.take_profit
    marks = o.marks
    if (marks & PENDING) != 0:
        catch_up(o_at)
    done = good_change(frame, given, q, p, trigger) and change(frame, o_at, given, q, p, trigger)
    time = decided_at(frame)
    late = done and at(f.venue, VENUE).limits > SIZES and f.sent_at > time
    speak_of(frame, before)
    if late and f.sent_at != FAR:
        new_lots = o.lots if o.lots != lots else 0
        new_price = o.price if o.price != old_price else 0
        put_off(frame, o_at, new_lots, new_price, o.trigger if o.trigger != old_trigger else 0)
    if late or not done:
        o.lots = lots
        o.price = old_price
        o.trigger = old_trigger
        o.stop_loss = stop_loss
        o.take_profit = take_profit
        if not done:
            o.marks = marks
        elif f.sent_at == FAR:
            o.marks = marks | REPLACING
        tidy(frame)
        return int(number) if late else 0
    o.marks &= ~(SEEN | PENDING)
    if abs(o.lots) <= abs(o.filled):  # as it stands
        o.lots = lots
        o.price = old_price
        o.trigger = old_trigger
        end_order(frame, o_at, CANCELLED, R_USER, time)
    else:
        o.t_active = time
        o.t_replace = time
        log_life(frame, o_at, CH_REPLACED, time)
    tidy(frame)
    return int(number)
