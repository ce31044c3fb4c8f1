"""How a bar meets the live orders: watched, matched against its open and range (O1-O3, O10-O14, F1-F16, P3)."""

from kernelkit.kernels.accept import trails, would_take
from kernelkit.kernels.account import to_ticks
from kernelkit.kernels.changes import log_life
from kernelkit.kernels.fills import ORDER_WORDS, column, end_entry, end_order, fill, moment
from kernelkit.kernels.focus import covers, defocus, focus, has_bar
from kernelkit.kernels.halts import all_dark, shut, take_effect
from kernelkit.kernels.layout import (
    ADVERSE,
    AT_END,
    AT_LIMITS,
    AT_OPEN,
    AT_STOPS,
    AT_WOKEN,
    BAR_FILL,
    C_CLOSE,
    C_HIGH,
    C_KNOWN_AT,
    C_LOW,
    C_OPEN,
    C_OPEN_AT,
    C_SESSION,
    CALL_AFTER,
    CALL_CLOSE,
    CALL_OPEN,
    CALL_RANGE,
    CANCELLED,
    CH_TRIGGERED,
    CLOSE_ONLY,
    DAY,
    EXPIRED,
    FAR,
    FILL_MODEL,
    FINER,
    FOK,
    FORMER_FILL,
    FRAME,
    FRESH,
    GAP_CLOSE,
    GAP_OPEN,
    GTC,
    GTD,
    HEADER,
    HIGH_FIRST,
    INSTRUMENT,
    IOC,
    LIVE,
    MAKES,
    MARKET,
    NEXT_CLOSE,
    NEXT_OPEN,
    NEXT_VWAP,
    ON_CLOSE,
    ON_OPEN,
    OPEN_FILL,
    ORDER,
    ORDER_BYTES,
    POSITION,
    POSITION_BYTES,
    POST,
    R_AT_CLOSE,
    R_AT_OPEN,
    R_DAY,
    R_FOK,
    R_GTD,
    R_IOC,
    R_POST,
    REJECTED,
    SAME_CLOSE,
    SEEN,
    SHOWN,
    SLIPS,
    STOP,
    TAKES,
    TOUCH,
    TRAILING_LIMIT,
    TRIGGERED,
    UNDER_WAY,
    UPDATE_FIRST,
    VENUE,
    WAITING,
    WAITS,
    WITHIN,
)
from kernelkit.kernels.memory import at, call, f8, rarely
from kernelkit.kernels.scan import copy_words
from kernelkit.kernels.triggers import (
    at_market,
    follows,
    has_limit,
    if_touched,
    limit_of,
    limit_reached,
    move_trail,
    rests,
    stop_reached,
    within_limit,
)


def watch(frame: int, order_at: int) -> None:
    """Where a bar must reach for this order to act: low <= touch_lo or high >= touch_hi.

    Lets the loop pass resting orders by.
    """
    o = at(order_at, ORDER)
    thr = 0 if at(at(frame, FRAME).fill_model, FILL_MODEL).limit == TOUCH else 1
    o.touch_lo = -FAR
    o.touch_hi = FAR
    changing = (o.marks & UNDER_WAY) != 0  # H4, H5: before any bar, or after it
    if (o.marks & WAITING) != 0 and not changing:
        return
    arriving = (o.marks & POST) != 0 and (o.marks & SEEN) == 0  # O14: its first bar is looked at
    due = arriving or changing
    if at_market(order_at) or o.tif != GTC or due or (trails(o.kind) and not rests(order_at)):
        o.touch_lo = FAR
    elif rests(order_at):
        if o.lots > 0:
            o.touch_lo = o.price - thr
        else:
            o.touch_hi = o.price + thr
    elif (o.lots > 0) != if_touched(order_at):
        o.touch_hi = o.trigger
    else:
        o.touch_lo = o.trigger


def look_out(frame: int, order_at: int) -> None:
    """X2: an order of a portfolio is watched for at its asset's bars."""
    o = at(order_at, ORDER)
    x = at(at(frame, FRAME).position_0 + POSITION_BYTES * o.asset, POSITION)
    x.touch_lo = max(x.touch_lo, o.touch_lo)
    x.touch_hi = min(x.touch_hi, o.touch_hi)


def tidy(frame: int) -> None:
    """Close the ranks of the live orders and renew the account's watch."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    lo = -FAR
    hi = FAR
    n = 0
    if f.shared != 0:
        for k in range(h.n_asset):
            x = at(f.position_0 + POSITION_BYTES * k, POSITION)
            x.touch_lo = -FAR
            x.touch_hi = FAR
    for k in range(h.n_live):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if o.status == LIVE:
            o.marks &= ~(FRESH | SHOWN)
            watch(frame, o_at)
            lo = max(lo, o.touch_lo)
            hi = min(hi, o.touch_hi)
            if f.shared != 0:
                look_out(frame, o_at)
            if n != k:
                copy_words(f.orders + n * ORDER_BYTES, o_at, ORDER_WORDS)
            n += 1
    if f.guard != 0:  # L3, L7
        for k in range(h.n_asset):
            x = at(f.position_0 + POSITION_BYTES * k, POSITION)
            if x.lots > 0:
                lo = max(lo, x.call)
                x.touch_lo = max(x.touch_lo, x.call)
            elif x.lots < 0:
                hi = min(hi, x.call)
                x.touch_hi = min(x.touch_hi, x.call)
    h.n_live = n
    h.touch_lo = lo
    h.touch_hi = hi


def follow_range(frame: int) -> None:
    """F8: let all trailing stops follow the bar."""
    f = at(frame, FRAME)
    close = at(f.fill_model, FILL_MODEL).path == CLOSE_ONLY
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        asset = at(o_at, ORDER).asset
        if follows(o_at) and (f.shared == 0 or has_bar(frame, asset)):  # no pass may have seen its last bar (H2)
            focus(frame, asset)
            if shut(frame):
                continue
            high = column(frame, C_CLOSE if close else C_HIGH, f.i)
            move_trail(frame, o_at, high, column(frame, C_CLOSE if close else C_LOW, f.i))


def trigger_stop(frame: int, order_at: int, reference: int, rule: int, time: int) -> None:
    """F1-F3, F14, F15: an order has triggered at `reference` ticks; it fills, or lets its limit rest."""
    o = at(order_at, ORDER)
    o.marks |= TRIGGERED
    o.t_trigger = time
    limited = has_limit(order_at)
    if limited:
        o.marks |= FRESH
        if o.kind == TRAILING_LIMIT:
            o.price = limit_of(order_at)
    log_life(frame, order_at, CH_TRIGGERED, time)
    if not limited:
        fill(frame, order_at, reference, SLIPS, rule, time)
        if o.status == LIVE:
            end_entry(frame, order_at, time)
    elif within_limit(order_at, reference):
        fill(frame, order_at, reference, TAKES, rule, time)


def expire(frame: int) -> None:
    """O1, O11, O12: end the orders whose session is over, or whose time has come."""
    f = at(frame, FRAME)
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if o.status != LIVE or (o.tif != DAY and o.tif != GTD and o.tif != ON_CLOSE):
            continue
        focus(frame, o.asset)
        t_open = moment(frame, C_OPEN_AT, f.i)
        if f.shared != 0 and not has_bar(frame, o.asset):
            continue
        if o.tif == GTD:
            if column(frame, C_OPEN_AT, f.i) >= o.t_expire:
                end_order(frame, o_at, EXPIRED, R_GTD, t_open)
        elif o.t_active <= t_open:
            session = column(frame, C_SESSION, f.i)
            if o.session == -FAR:
                o.session = session
            elif session > o.session:
                end_order(frame, o_at, EXPIRED, R_DAY if o.tif == DAY else R_AT_CLOSE, t_open)


def ready(order_at: int, t_open: int) -> bool:
    """Live, active before this bar, past its latency (T2), and not done with this bar (P5)."""
    o = at(order_at, ORDER)
    return o.status == LIVE and (o.marks & (WAITING | FRESH | SHOWN)) == 0 and o.t_active <= t_open


def reached_at_open(frame: int, order_at: int, first: int) -> bool:
    """F1, F11, F14: whether the open sets an order off."""
    f = at(frame, FRAME)
    gap = at(f.fill_model, FILL_MODEL).stop_gap
    if gap == GAP_OPEN or if_touched(order_at):
        return stop_reached(order_at, first, first)
    o = at(order_at, ORDER)
    if gap == GAP_CLOSE:
        return False
    return o.trigger < column(frame, C_LOW, f.i) if o.lots > 0 else o.trigger > column(frame, C_HIGH, f.i)


def at_former(frame: int, order_at: int) -> bool:
    """F10: whether an order may have the close before: it is no older than the order at the venue,
    and no action lies between."""
    f = at(frame, FRAME)
    acted = f.happen != 0 and at(f.positions, POSITION).acted_at == f.i
    return not acted and moment(frame, C_KNOWN_AT, f.i - 1) >= at(order_at, ORDER).t_active


def open_price(frame: int, order_at: int, thr: int) -> int:
    """F1, F10-F12: the ticks at which the open acts on an order, 0 where it does not; `path = close`: the close."""
    f = at(frame, FRAME)
    m = at(f.fill_model, FILL_MODEL)
    first = column(frame, C_CLOSE if m.path == CLOSE_ONLY else C_OPEN, f.i)
    o = at(order_at, ORDER)
    if o.kind == MARKET:
        if m.market == NEXT_OPEN or m.path == CLOSE_ONLY or o.tif == ON_OPEN:
            return first
        if m.market != SAME_CLOSE:
            return 0
        return column(frame, C_CLOSE, f.i - 1) if at_former(frame, order_at) else first
    if rests(order_at):
        acts = limit_reached(order_at, first, first, thr)
    else:
        acts = at_market(order_at) or reached_at_open(frame, order_at, first)
    return first if acts else 0


def mean_price(frame: int, order_at: int) -> int:
    """F10: the bar's volume-weighted mean price in ticks, rounded against the order; 0 where nothing was traded."""
    f = at(frame, FRAME)
    p = f8(at(f.instrument, INSTRUMENT).vwap + 8 * f.i)
    if not p > 0.0:
        return 0
    k = to_ticks(f.instrument, p, at(order_at, ORDER).lots > 0)
    return min(max(k, column(frame, C_LOW, f.i)), column(frame, C_HIGH, f.i))


def range_price(frame: int, order_at: int, step: int, thr: int) -> int:
    """The ticks at which the bar's range acts on an order in this pass, 0 where it does not (F2, F5, F7, F10-F14)."""
    f = at(frame, FRAME)
    m = at(f.fill_model, FILL_MODEL)
    o = at(order_at, ORDER)
    close = column(frame, C_CLOSE, f.i)
    high = close if m.path == CLOSE_ONLY else column(frame, C_HIGH, f.i)
    low = close if m.path == CLOSE_ONLY else column(frame, C_LOW, f.i)
    if step == AT_END:
        if o.tif == ON_CLOSE:
            return close if o.kind == MARKET or limit_reached(order_at, close, close, thr) else 0
        if o.kind != MARKET or m.market < NEXT_CLOSE or m.path == CLOSE_ONLY:
            return 0
        if m.market == NEXT_CLOSE:
            return close
        if m.market == NEXT_VWAP:
            return mean_price(frame, order_at)
        total = column(frame, C_HIGH, f.i) + column(frame, C_LOW, f.i) + close
        return (total + 2) // 3 if o.lots > 0 else total // 3
    if o.tif >= IOC or at_market(order_at):
        return 0
    if rests(order_at):
        return o.price if step == AT_LIMITS and limit_reached(order_at, high, low, thr) else 0
    if if_touched(order_at) != (step == AT_LIMITS) or not stop_reached(order_at, high, low):
        return 0
    if step == AT_LIMITS:
        return o.trigger
    if step == AT_STOPS:
        if f.guard != 0 and beyond_call(frame, order_at):
            return 0
        if m.stop_gap != GAP_CLOSE:
            return o.trigger
        return max(o.trigger, close) if o.lots > 0 else min(o.trigger, close)
    worst = o.reference
    if m.market == SAME_CLOSE:
        first = column(frame, C_OPEN, f.i)
        worst = max(worst, first) if o.lots > 0 else min(worst, first)
    return max(o.trigger, worst) if o.lots > 0 else min(o.trigger, worst)


def beyond_call(frame: int, order_at: int) -> bool:
    """L3: whether the price meets a stop only after it has met the liquidation price."""
    o = at(order_at, ORDER)
    x = at(at(frame, FRAME).positions, POSITION)
    if x.lots > 0:
        return o.lots < 0 and o.trigger < x.call
    return x.lots < 0 and o.lots > 0 and o.trigger > x.call


def check_margin(frame: int, place: int) -> int:
    """L3, L7: look whether these prices of the bar liquidate a position; 1 where that must wait until after F7."""
    f = at(frame, FRAME)
    if f.guard == 0:
        return 0
    f.place = place
    return call(f.guard, frame)


def at_its_moment(frame: int, order_at: int, step: int) -> bool:
    """O12: whether this pass is the one that an order for a session's open or close is for."""
    f = at(frame, FRAME)
    if at(order_at, ORDER).tif == ON_OPEN:
        here = column(frame, C_SESSION, f.i)
        return step == AT_OPEN and (f.i == 0 or column(frame, C_SESSION, f.i - 1) != here)
    late = AT_OPEN if at(f.fill_model, FILL_MODEL).path == CLOSE_ONLY else AT_END
    closes = column(frame, at(f.instrument, INSTRUMENT).closing, f.i)
    return step == late and column(frame, C_KNOWN_AT, f.i) >= closes


def takes_part(frame: int, order_at: int, step: int) -> bool:
    """T2, F7, O12, X2: whether a pass looks at this order, whose asset is in focus."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    if step == AT_WOKEN:
        fresh = o.status == LIVE and (o.marks & FRESH) != 0 and o.parent != 0 and o.kind == STOP
        return fresh and at(f.fill_model, FILL_MODEL).same_bar == ADVERSE and not at_market(order_at)
    if o.tif >= ON_OPEN and not at_its_moment(frame, order_at, step):
        return False
    here = f.shared == 0 or (has_bar(frame, o.asset) and not shut(frame))
    return here and ready(order_at, moment(frame, C_OPEN_AT, f.i))


def turned_away(frame: int, order_at: int) -> bool:
    """O14: whether the open of its first bar finds a post-only order where it would take."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    if (o.marks & (POST | SEEN)) != POST:
        return False
    close = at(f.fill_model, FILL_MODEL).path == CLOSE_ONLY
    return would_take(order_at, column(frame, C_CLOSE if close else C_OPEN, f.i))


def arrives(frame: int, order_at: int, step: int) -> bool:
    """What a pass does to an order before it looks at prices (O3, O14, F8); False where that ends it."""
    o = at(order_at, ORDER)
    if step == AT_STOPS:
        follow_first(frame, order_at)
    elif step == AT_OPEN or o.tif == ON_CLOSE:
        away = turned_away(frame, order_at)
        o.marks |= SEEN
        if away:
            end_order(frame, order_at, REJECTED, R_POST, stamp(frame, place_of(frame, order_at, step)))
            return False
    return True


def price_in(frame: int, order_at: int, step: int) -> int:
    """The ticks at which this pass acts on an order that takes part in it, 0 where it does not."""
    thr = 0 if at(at(frame, FRAME).fill_model, FILL_MODEL).limit == TOUCH else 1
    return open_price(frame, order_at, thr) if step == AT_OPEN else range_price(frame, order_at, step, thr)


def place_of(frame: int, order_at: int, step: int) -> int:
    """Where in the bar, or before it, the price lies at which this pass acts on the order."""
    m = at(at(frame, FRAME).fill_model, FILL_MODEL)
    if step != AT_OPEN or m.path == CLOSE_ONLY:
        return BAR_FILL
    o = at(order_at, ORDER)
    former = m.market == SAME_CLOSE and o.kind == MARKET and o.tif != ON_OPEN
    return FORMER_FILL if former and at_former(frame, order_at) else OPEN_FILL


def stamp(frame: int, place: int) -> int:
    """T3, F10: the time of what happens there."""
    f = at(frame, FRAME)
    if place == OPEN_FILL:
        return moment(frame, C_OPEN_AT, f.i)
    return moment(frame, C_KNOWN_AT, f.i - 1 if place == FORMER_FILL else f.i)


def settle_order(frame: int, order_at: int, reference: int, step: int) -> None:
    """F1-F3, F5: this pass acts on an order at `reference` ticks."""
    rule = place_of(frame, order_at, step)
    time = stamp(frame, rule)
    if at_market(order_at):
        fill(frame, order_at, reference, SLIPS, rule, time)
    elif rests(order_at):
        fill(frame, order_at, reference, MAKES if step == AT_LIMITS else TAKES, rule, time)
    else:
        trigger_stop(frame, order_at, reference, rule, time)


def follow_first(frame: int, order_at: int) -> None:
    """F8: with `update_first` a trailing stop follows the bar just before its check in the stop pass."""
    f = at(frame, FRAME)
    m = at(f.fill_model, FILL_MODEL)
    if m.trailing == UPDATE_FIRST and follows(order_at):
        close = m.path == CLOSE_ONLY
        high = column(frame, C_CLOSE if close else C_HIGH, f.i)
        move_trail(frame, order_at, high, column(frame, C_CLOSE if close else C_LOW, f.i))


def none_late(frame: int) -> bool:
    """Whether no order of this account ever fills in the late pass (F10, O12), which is most often so."""
    f = at(frame, FRAME)
    return (
        f.shared == 0 and at(f.fill_model, FILL_MODEL).market < NEXT_CLOSE and at(f.instrument, INSTRUMENT).closing == 0
    )


def pass_orders(frame: int, step: int) -> None:
    """One pass over the live orders in id order; over those of a portfolio as X4 and X5 say."""
    f = at(frame, FRAME)
    if step == AT_END and none_late(frame):
        return
    if f.shared != 0:
        f.step = step
        call(f.twice, frame)
        return
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        if takes_part(frame, o_at, step) and arrives(frame, o_at, step):
            reference = price_in(frame, o_at, step)
            if reference != 0:
                settle_order(frame, o_at, reference, step)


def end_immediate(frame: int) -> None:
    """O3, O12: what may not rest ends with its one bar."""
    f = at(frame, FRAME)
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if o.status == LIVE and o.tif >= IOC and (o.marks & SEEN) != 0:
            reason = R_IOC if o.tif == IOC else R_FOK
            if o.tif >= ON_OPEN:
                reason = R_AT_OPEN if o.tif == ON_OPEN else R_AT_CLOSE
            focus(frame, o.asset)
            end_order(frame, o_at, EXPIRED, reason, moment(frame, C_KNOWN_AT, f.i))


def match(frame: int) -> int:
    """T5: what a bar does to the live orders, with FRAME.whole 0 only what its open does (F9); DONE, or an error.

    With `path = finer` it comes here once more for each finer bar (F16).
    """
    f = at(frame, FRAME)
    m = at(f.fill_model, FILL_MODEL)
    if m.path == FINER and f.coarse == 0:
        return call(f.finer, frame)
    waits = (at(f.venue, VENUE).limits & WAITS) != 0 or f.homes != 0
    if rarely(waits):
        idle = all_dark(frame)
        take_effect(frame, C_OPEN_AT)
        defocus(frame)
        if idle:
            expire(frame)
            defocus(frame)
            if f.whole != 0:
                take_effect(frame, C_KNOWN_AT)
            tidy(frame)
            defocus(frame)
            return f.error
    expire(frame)
    check_margin(frame, CALL_OPEN)
    pass_orders(frame, AT_OPEN)
    check_margin(frame, CALL_OPEN)
    if f.whole != 0:
        if f.happen != 0 and f.coarse == 0:
            f.place = WITHIN
            call(f.happen, frame)
        if m.path < HIGH_FIRST or m.path == FINER:
            late = 0
            for step in range(AT_STOPS, AT_WOKEN):
                pass_orders(frame, step)
                late |= check_margin(frame, CALL_CLOSE if step == AT_END else CALL_RANGE)
            pass_orders(frame, AT_WOKEN)
            if late != 0:
                check_margin(frame, CALL_AFTER)
            if m.trailing != UPDATE_FIRST:
                follow_range(frame)
        else:
            call(f.walk, frame)
            pass_orders(frame, AT_END)
    end_immediate(frame)
    if rarely(waits) and f.whole != 0:
        defocus(frame)
        take_effect(frame, C_KNOWN_AT)
    tidy(frame)
    defocus(frame)
    return f.error


def fill_alone(frame: int) -> bool:
    """Fill a market order that is the only one, the commonest case: nothing but that can happen, and it ends the order.

    False where this is not the case; then nothing is done.
    """
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    o = at(f.orders, ORDER)
    if h.n_live != 1 or o.kind != MARKET or o.tif == GTD or o.tif >= FOK or f.guard != 0:
        return False
    m = at(f.fill_model, FILL_MODEL)
    v = at(f.venue, VENUE)
    if m.market != NEXT_OPEN or m.path == FINER or v.participation != 0.0 or (v.limits & WAITS) != 0:
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
    """O10, A6: no order outlives its account, which is the one at FRAME.account."""
    f = at(frame, FRAME)
    mine = f.account
    for k in range(at(f.state, HEADER).n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if o.status == LIVE and covers(frame, mine, o.asset):
            end_order(frame, f.orders + k * ORDER_BYTES, status, reason, time)
    tidy(frame)


def end_asset(frame: int, reason: int, time: int) -> None:
    """E4, L5: cancel the live orders of the asset in focus."""
    f = at(frame, FRAME)
    for k in range(at(f.state, HEADER).n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if o.status == LIVE and o.asset == f.asset:
            end_order(frame, f.orders + k * ORDER_BYTES, CANCELLED, reason, time)
