"""How a bar meets the live orders: watched, matched against its open and its range (rules O1-O3, O10, F1-F11, P3)."""

from kernelkit.kernels.account import price, to_ticks
from kernelkit.kernels.fills import ORDER_WORDS, column, end_entry, end_order, fill, moment
from kernelkit.kernels.layout import (
    ADVERSE,
    BAR_FILL,
    C_CLOSE,
    C_HIGH,
    C_KNOWN_AT,
    C_LOW,
    C_OPEN,
    C_OPEN_AT,
    C_SESSION,
    CLOSE_ONLY,
    DAY,
    EXPIRED,
    FAR,
    FILL_MODEL,
    FOK,
    FORMER_FILL,
    FRAME,
    FRESH,
    GAP_CLOSE,
    GAP_OPEN,
    GTC,
    HEADER,
    HIGH_FIRST,
    IOC,
    LIMIT,
    LIVE,
    MAKES,
    MARKET,
    NEXT_CLOSE,
    NEXT_OPEN,
    OPEN_FILL,
    ORDER,
    ORDER_BYTES,
    R_DAY,
    R_FOK,
    R_IOC,
    SAME_CLOSE,
    SEEN,
    SLIPS,
    STOP,
    STOP_LIMIT,
    TAKES,
    TOUCH,
    TRAILING,
    TRIGGERED,
    UPDATE_FIRST,
    VENUE,
    WAITING,
)
from kernelkit.kernels.memory import at, call
from kernelkit.kernels.scan import copy_words


def rests(order_at: int) -> bool:
    """A limit order, or a stop-limit whose stop has triggered."""
    o = at(order_at, ORDER)
    return o.kind == LIMIT or (o.kind == STOP_LIMIT and (o.marks & TRIGGERED) != 0)


def at_market(order_at: int) -> bool:
    """A market order, or what is left of a stop that has triggered (P3)."""
    o = at(order_at, ORDER)
    return o.kind == MARKET or ((o.kind == STOP or o.kind == TRAILING) and (o.marks & TRIGGERED) != 0)


def watch(frame: int, order_at: int) -> None:
    """Where a bar must reach for this order to act: low <= touch_lo or high >= touch_hi.

    Lets the loop pass resting orders by.
    """
    o = at(order_at, ORDER)
    thr = 0 if at(at(frame, FRAME).fill_model, FILL_MODEL).limit == TOUCH else 1
    o.touch_lo = -FAR
    o.touch_hi = FAR
    if (o.marks & WAITING) != 0:
        return
    if at_market(order_at) or o.kind == TRAILING or o.tif != GTC:
        o.touch_lo = FAR
    elif rests(order_at):
        if o.lots > 0:
            o.touch_lo = o.price - thr
        else:
            o.touch_hi = o.price + thr
    elif o.lots > 0:
        o.touch_hi = o.trigger
    else:
        o.touch_lo = o.trigger


def tidy(frame: int) -> None:
    """Close the ranks of the live orders and renew the account's watch."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    lo = -FAR
    hi = FAR
    n = 0
    for k in range(h.n_live):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if o.status == LIVE:
            o.marks &= ~FRESH
            watch(frame, o_at)
            lo = max(lo, o.touch_lo)
            hi = min(hi, o.touch_hi)
            if n != k:
                copy_words(f.orders + n * ORDER_BYTES, o_at, ORDER_WORDS)
            n += 1
    h.n_live = n
    h.touch_lo = lo
    h.touch_hi = hi


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
    """F8: a trailing stop that was matched against this bar and has not triggered."""
    o = at(order_at, ORDER)
    return o.status == LIVE and o.kind == TRAILING and (o.marks & SEEN) != 0 and o.tif < IOC and not at_market(order_at)


def move_trail(frame: int, order_at: int, high: int, low: int) -> None:
    """F8: let a trailing stop follow the bar."""
    o = at(order_at, ORDER)
    level = trail_level(at(frame, FRAME).instrument, order_at, low if o.lots > 0 else high)
    o.trigger = min(o.trigger, level) if o.lots > 0 else max(o.trigger, level)


def move_trails(frame: int, high: int, low: int) -> None:
    """F8, F12: let all of them follow."""
    f = at(frame, FRAME)
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        if follows(o_at):
            move_trail(frame, o_at, high, low)


def trigger_stop(frame: int, order_at: int, reference: int, rule: int, time: int) -> None:
    """F1-F3: a stop has triggered at `reference` ticks; it fills, or lets its limit rest."""
    o = at(order_at, ORDER)
    o.marks |= TRIGGERED
    if o.kind == STOP_LIMIT:
        o.marks |= FRESH
        if (o.lots > 0 and reference <= o.price) or (o.lots < 0 and reference >= o.price):
            fill(frame, order_at, reference, TAKES, rule, time)
    else:
        fill(frame, order_at, reference, SLIPS, rule, time)
        if o.status == LIVE:
            end_entry(frame, order_at, time)


def stop_reached(order_at: int, high: int, low: int) -> bool:
    """Whether prices that went from `low` to `high` set a stop off."""
    o = at(order_at, ORDER)
    return high >= o.trigger if o.lots > 0 else low <= o.trigger


def limit_reached(order_at: int, high: int, low: int, thr: int) -> bool:
    """Whether prices that went from `low` to `high` fill a limit order, `thr` ticks beyond its price."""
    o = at(order_at, ORDER)
    return low <= o.price - thr if o.lots > 0 else high >= o.price + thr


def expire_days(frame: int) -> None:
    """O1: end the DAY orders whose session is over."""
    f = at(frame, FRAME)
    t_open = moment(frame, C_OPEN_AT, f.i)
    for k in range(at(f.state, HEADER).n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if o.status == LIVE and o.tif == DAY and o.t_active <= t_open:
            session = column(frame, C_SESSION, f.i)
            if o.session == -FAR:
                o.session = session
            elif session > o.session:
                end_order(frame, f.orders + k * ORDER_BYTES, EXPIRED, R_DAY, t_open)


def ready(order_at: int, t_open: int) -> bool:
    """Live, active before this bar, and past its latency (T2)."""
    o = at(order_at, ORDER)
    return o.status == LIVE and (o.marks & (WAITING | FRESH)) == 0 and o.t_active <= t_open


def reached_at_open(frame: int, order_at: int, first: int) -> bool:
    """F1, F11: whether the open sets a stop off."""
    f = at(frame, FRAME)
    gap = at(f.fill_model, FILL_MODEL).stop_gap
    if gap == GAP_OPEN:
        return stop_reached(order_at, first, first)
    o = at(order_at, ORDER)
    if gap == GAP_CLOSE:
        return False
    return o.trigger < column(frame, C_LOW, f.i) if o.lots > 0 else o.trigger > column(frame, C_HIGH, f.i)


def open_pass(frame: int, thr: int) -> None:
    """F1: what the open settles; with `path = close` the bar's only price."""
    f = at(frame, FRAME)
    m = at(f.fill_model, FILL_MODEL)
    close_only = m.path == CLOSE_ONLY
    first = column(frame, C_CLOSE if close_only else C_OPEN, f.i)
    t_open = moment(frame, C_OPEN_AT, f.i)
    now = moment(frame, C_KNOWN_AT, f.i) if close_only else t_open
    rule = BAR_FILL if close_only else OPEN_FILL
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        if ready(o_at, t_open):
            o = at(o_at, ORDER)
            o.marks |= SEEN
            if o.kind == MARKET:
                if m.market == NEXT_OPEN or close_only:
                    fill(frame, o_at, first, SLIPS, rule, now)
                elif m.market == SAME_CLOSE:
                    before = f.i - 1
                    former = column(frame, C_CLOSE, before)
                    fill(frame, o_at, former, SLIPS, FORMER_FILL, moment(frame, C_KNOWN_AT, before))
            elif rests(o_at):
                if limit_reached(o_at, first, first, thr):
                    fill(frame, o_at, first, TAKES, rule, now)
            elif at_market(o_at):
                fill(frame, o_at, first, SLIPS, rule, now)
            elif reached_at_open(frame, o_at, first):
                trigger_stop(frame, o_at, first, rule, now)


def late_pass(frame: int) -> None:
    """F10: market orders that fill at the bar's close or typical price."""
    f = at(frame, FRAME)
    m = at(f.fill_model, FILL_MODEL)
    if m.market < NEXT_CLOSE or m.path == CLOSE_ONLY:
        return
    close = column(frame, C_CLOSE, f.i)
    total = column(frame, C_HIGH, f.i) + column(frame, C_LOW, f.i) + close
    t_open = moment(frame, C_OPEN_AT, f.i)
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if ready(o_at, t_open) and o.kind == MARKET:
            typical = (total + 2) // 3 if o.lots > 0 else total // 3
            reference = close if m.market == NEXT_CLOSE else typical
            fill(frame, o_at, reference, SLIPS, BAR_FILL, moment(frame, C_KNOWN_AT, f.i))


def stop_reference(frame: int, order_at: int, close: int) -> int:
    """F2, F11: the price at which a stop that the bar's range reaches is set off."""
    o = at(order_at, ORDER)
    if at(at(frame, FRAME).fill_model, FILL_MODEL).stop_gap != GAP_CLOSE:
        return o.trigger
    return max(o.trigger, close) if o.lots > 0 else min(o.trigger, close)


def range_passes(frame: int, thr: int) -> None:
    """F2, F5, F7, F8, F10: what the bar's range settles, and how far trailing stops follow it."""
    f = at(frame, FRAME)
    m = at(f.fill_model, FILL_MODEL)
    close = column(frame, C_CLOSE, f.i)
    high = close if m.path == CLOSE_ONLY else column(frame, C_HIGH, f.i)
    low = close if m.path == CLOSE_ONLY else column(frame, C_LOW, f.i)
    t_open = moment(frame, C_OPEN_AT, f.i)
    t_close = moment(frame, C_KNOWN_AT, f.i)
    n = at(f.state, HEADER).n_live
    for k in range(n):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if ready(o_at, t_open) and o.tif < IOC and not at_market(o_at) and not rests(o_at):
            if o.kind == TRAILING and m.trailing == UPDATE_FIRST:
                move_trail(frame, o_at, high, low)
            if stop_reached(o_at, high, low):
                trigger_stop(frame, o_at, stop_reference(frame, o_at, close), BAR_FILL, t_close)
    for k in range(n):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if ready(o_at, t_open) and o.tif < IOC and rests(o_at) and limit_reached(o_at, high, low, thr):
            fill(frame, o_at, o.price, MAKES, BAR_FILL, t_close)
    late_pass(frame)
    for k in range(n):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if (
            o.status == LIVE
            and (o.marks & FRESH) != 0
            and o.parent != 0
            and o.kind == STOP
            and (o.marks & TRIGGERED) == 0
            and m.same_bar == ADVERSE
            and stop_reached(o_at, high, low)
        ):
            worst = o.reference
            if m.market == SAME_CLOSE:
                first = column(frame, C_OPEN, f.i)
                worst = max(worst, first) if o.lots > 0 else min(worst, first)
            trigger_stop(frame, o_at, max(o.trigger, worst) if o.lots > 0 else min(o.trigger, worst), BAR_FILL, t_close)
    if m.trailing != UPDATE_FIRST:
        move_trails(frame, high, low)


def match(frame: int) -> int:
    """T5: what a bar does to the live orders, with FRAME.whole 0 only what its open does (F9); DONE, or an error."""
    f = at(frame, FRAME)
    thr = 0 if at(f.fill_model, FILL_MODEL).limit == TOUCH else 1
    expire_days(frame)
    open_pass(frame, thr)
    if f.whole != 0:
        if at(f.fill_model, FILL_MODEL).path < HIGH_FIRST:
            range_passes(frame, thr)
        else:
            call(f.walk, frame)
            late_pass(frame)
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if o.status == LIVE and o.tif >= IOC and (o.marks & SEEN) != 0:
            reason = R_IOC if o.tif == IOC else R_FOK
            end_order(frame, o_at, EXPIRED, reason, moment(frame, C_KNOWN_AT, f.i))
    tidy(frame)
    return f.error


def fill_alone(frame: int) -> bool:
    """Fill a market order that is the only one, the commonest case: nothing but that can happen, and it ends the order.

    False where this is not the case; then nothing is done.
    """
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    o = at(f.orders, ORDER)
    if h.n_live != 1 or o.kind != MARKET or o.tif == FOK:
        return False
    if at(f.fill_model, FILL_MODEL).market != NEXT_OPEN or at(f.venue, VENUE).participation != 0.0:
        return False
    t_open = moment(frame, C_OPEN_AT, f.i)
    if not ready(f.orders, t_open):
        return False
    fill(frame, f.orders, column(frame, C_OPEN, f.i), SLIPS, OPEN_FILL, t_open)
    h.n_live = 0
    h.touch_lo = -FAR
    h.touch_hi = FAR
    return True


def end_all(frame: int, status: int, reason: int, time: int) -> None:
    """O10, A6: no order outlives its account."""
    f = at(frame, FRAME)
    for k in range(at(f.state, HEADER).n_live):
        if at(f.orders + k * ORDER_BYTES, ORDER).status == LIVE:
            end_order(frame, f.orders + k * ORDER_BYTES, status, reason, time)
    tidy(frame)
