"""The life of an order: submitted, matched against a bar, filled, ended (rules O1-O10, F1-F9, S1-S5)."""


from kernelkit.kernels.account import (
    REFUSED,
    affordable,
    book,
    call_fee,
    call_slippage,
    fee_of,
    price,
    same_side,
    slipped,
    to_lots,
    to_ticks,
)
from kernelkit.kernels.layout import (
    ACCOUNT,
    ADVERSE,
    AT_FILL,
    C_CLOSE,
    C_CLOSE_P,
    C_HIGH,
    C_KNOWN_AT,
    C_LOW,
    C_OPEN,
    C_OPEN_AT,
    C_SESSION,
    CANCELLED,
    CROWDED,
    DAY,
    EXPIRED,
    FAR,
    FILL_MODEL,
    FILLED,
    FRAME,
    FRESH,
    GTC,
    HAS_ENTRY,
    HAS_LIMIT,
    HAS_STOP,
    HAS_STOP_LOSS,
    HAS_TAKE_PROFIT,
    HEADER,
    INSTRUMENT,
    IOC,
    LIMIT,
    LIVE,
    MARKET,
    ORDER,
    ORDER_BYTES,
    POSITION,
    R_BELOW,
    R_CASH,
    R_CLOSED,
    R_CUT,
    R_DAY,
    R_INVALID,
    R_IOC,
    R_NONE,
    R_OCO,
    R_PARENT,
    R_REDUCE,
    R_REPLACED,
    R_USER,
    REDUCE,
    REJECTED,
    SEEN,
    SIZE_AT_FILL,
    STOP,
    STOP_LIMIT,
    TARGET,
    TOUCH,
    TRAILING,
    TRIGGERED,
    UPDATE_FIRST,
    V_BRACKET,
    V_CANCEL,
    V_CANCEL_ALL,
    V_LIMIT,
    V_OCO,
    V_STOP,
    V_STOP_LIMIT,
    V_TARGET,
    V_TRAIL,
    V_TRAIL_FRACTION,
    V_WEIGHT,
    VENUE,
    WAITING,
)
from kernelkit.kernels.memory import at, f8, i8
from kernelkit.kernels.scan import copy_words

ORDER_WORDS = ORDER_BYTES // 8
MOST = 9007199254740992.0  # 2**53: beyond it float64 cannot count lots or ticks
MOST_PROFIT = 1e6
OPEN_FILL, BAR_FILL = 0, 1


def column(frame: int, c: int, i: int) -> int:
    """The int64 in column `c` at bar `i`."""
    columns = at(frame, FRAME).columns
    return i8(i8(columns + 16 * c) + i * i8(columns + 16 * c + 8))


def column_f(frame: int, c: int, i: int) -> float:
    """The float64 in column `c` at bar `i`."""
    columns = at(frame, FRAME).columns
    return f8(i8(columns + 16 * c) + i * i8(columns + 16 * c + 8))


def end_one(frame: int, order_at: int, status: int, reason: int, time: int) -> None:
    """O6: the order's last word, logged."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    o.status = status
    o.reason = reason
    o.t_end = time
    if f.logging != 0 and f.n_ended >= f.cap_ended:
        f.error = CROWDED
    elif f.logging != 0:
        copy_words(f.ended + f.n_ended * ORDER_BYTES, order_at, ORDER_WORDS)
        f.n_ended += 1


def end_order(frame: int, order_at: int, status: int, reason: int, time: int) -> None:
    """O6, O8: end an order, and the children that it never got to activate."""
    end_one(frame, order_at, status, reason, time)
    o = at(order_at, ORDER)
    if o.filled == 0:
        f = at(frame, FRAME)
        for j in range(at(f.state, HEADER).n_live):
            c = at(f.orders + j * ORDER_BYTES, ORDER)
            if c.status == LIVE and c.parent == o.id and (c.marks & WAITING) != 0:
                end_one(frame, f.orders + j * ORDER_BYTES, CANCELLED, R_PARENT, time)


def watch(frame: int, order_at: int) -> None:
    """Where a bar must reach for this order to act: low <= touch_lo or high >= touch_hi. Lets the loop pass resting orders by."""
    o = at(order_at, ORDER)
    thr = 0 if at(at(frame, FRAME).fill_model, FILL_MODEL).limit == TOUCH else 1
    o.touch_lo = -FAR
    o.touch_hi = FAR
    if (o.marks & WAITING) != 0:
        return
    if o.kind == MARKET or o.kind == TRAILING or o.tif != GTC:
        o.touch_lo = FAR
    elif o.kind == LIMIT or (o.marks & TRIGGERED) != 0:
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


def move_trail(frame: int, order_at: int, high: int, low: int) -> None:
    """F8: let a trailing stop follow the bar."""
    o = at(order_at, ORDER)
    level = trail_level(at(frame, FRAME).instrument, order_at, low if o.lots > 0 else high)
    o.trigger = min(o.trigger, level) if o.lots > 0 else max(o.trigger, level)


def sized_gap(frame: int, weight: float, k: int, equity: float, last: int, time: int, with_slippage: bool) -> float:
    """S2: the lots (float) from the position held to `weight` of `equity` at `k` ticks, costs of the trade deducted."""
    f = at(frame, FRAME)
    v = at(f.venue, VENUE)
    g = at(f.instrument, INSTRUMENT)
    p = price(f.instrument, k)
    held = float(at(f.positions, POSITION).lots)
    wanted = ((weight * equity) / p) / g.unit
    gap = wanted - held
    if gap != 0.0 and (abs(wanted) > abs(held) or (held != 0.0 and (wanted < 0.0) != (held < 0.0))):
        fee = 0.0
        slip = 0.0
        if v.fee != 0:
            fee = call_fee(frame, gap, p, 0.0, 0.0, last, time) / (p * (abs(gap) * g.unit))
        if v.slippage != 0 and with_slippage:
            slip = call_slippage(frame, gap, p, 0.0, 0.0, last, time)
        gap = gap / ((1.0 + fee) + slip)
    return gap


def wake(frame: int, entry_at: int, time: int) -> None:
    """O7, F6: the exits of a filled entry come to life, or end where there is nothing for them to close."""
    f = at(frame, FRAME)
    e = at(entry_at, ORDER)
    g = f.instrument
    p = price(g, e.fill_ticks)
    now = at(f.positions, POSITION).lots
    long = e.filled > 0
    for j in range(at(f.state, HEADER).n_live):
        c_at = f.orders + j * ORDER_BYTES
        c = at(c_at, ORDER)
        if c.status == LIVE and c.parent == e.id and (c.marks & WAITING) != 0:
            if not same_side(now, e.filled):
                end_one(frame, c_at, CANCELLED, R_PARENT, time)
                continue
            c.marks = (c.marks & ~WAITING) | FRESH
            c.t_active = time
            size = min(abs(e.filled), abs(now))
            c.lots = -size if long else size
            c.reference = e.reference
            if c.kind == STOP and c.stop_loss > 0.0:
                c.trigger = (
                    to_ticks(g, p * (1.0 - c.stop_loss), False) if long else to_ticks(g, p * (1.0 + c.stop_loss), True)
                )
            elif c.kind == LIMIT and c.take_profit > 0.0:
                c.price = (
                    to_ticks(g, p * (1.0 + c.take_profit), True)
                    if long
                    else to_ticks(g, p * (1.0 - c.take_profit), False)
                )


def after_fill(frame: int, order_at: int, held: int, time: int) -> None:
    """O7: what a fill sets off; `held` is the position before it."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    n = at(f.state, HEADER).n_live
    if o.group != 0:
        for j in range(n):
            other = at(f.orders + j * ORDER_BYTES, ORDER)
            if other.status == LIVE and other.group == o.group:
                end_order(frame, f.orders + j * ORDER_BYTES, CANCELLED, R_OCO, time)
    now = at(f.positions, POSITION).lots
    if held != 0 and not same_side(held, now):
        for j in range(n):
            other = at(f.orders + j * ORDER_BYTES, ORDER)
            if other.status == LIVE and (other.marks & REDUCE) != 0 and (other.marks & WAITING) == 0:
                end_order(frame, f.orders + j * ORDER_BYTES, CANCELLED, R_CLOSED, time)
    wake(frame, order_at, time)


def fill(frame: int, order_at: int, reference: int, slips: int, rule: int, time: int) -> None:
    """Fill an order at `reference` ticks, as far as costs, reduce-only and cash let it (C1, S5, A2-A4)."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    held = at(f.positions, POSITION).lots
    lots = o.lots
    if (o.marks & REDUCE) != 0:
        if not same_side(held, -lots):
            end_order(frame, order_at, CANCELLED, R_REDUCE, time)
            return
        if abs(lots) > abs(held):
            lots = -held
    k = slipped(frame, order_at, lots, reference, time) if slips != 0 else reference
    if (o.marks & AT_FILL) != 0:
        equity = at(f.account, ACCOUNT).cash + price(f.instrument, k) * (
            float(held) * at(f.instrument, INSTRUMENT).unit
        )
        lots = -held if o.weight == 0.0 else int(sized_gap(frame, o.weight, k, equity, f.i - 1, time, False))
        if not same_side(lots, o.lots):
            end_order(frame, order_at, CANCELLED, R_REPLACED, time)
            return
        o.lots = lots
    paid_for = affordable(frame, order_at, lots, k, time)
    if paid_for == REFUSED:
        end_order(frame, order_at, REJECTED, R_CASH, time)
        return
    if paid_for == 0:
        end_order(frame, order_at, CANCELLED, R_CUT, time)
        return
    fee = fee_of(frame, order_at, paid_for, k, time)
    book(frame, order_at, paid_for, k, reference, fee, time, rule)
    if paid_for == lots:
        end_one(frame, order_at, FILLED, R_NONE, time)
    else:
        end_one(frame, order_at, CANCELLED, R_CUT, time)
    after_fill(frame, order_at, held, time)


def trigger_stop(frame: int, order_at: int, reference: int, rule: int, time: int) -> None:
    """F1-F3: a stop has triggered at `reference` ticks; it fills, or lets its limit rest."""
    o = at(order_at, ORDER)
    if o.kind == STOP_LIMIT:
        o.marks |= TRIGGERED | FRESH
        if (o.lots > 0 and reference <= o.price) or (o.lots < 0 and reference >= o.price):
            fill(frame, order_at, reference, 0, rule, time)
    else:
        fill(frame, order_at, reference, 1, rule, time)


def stop_reached(order_at: int, high: int, low: int) -> bool:
    """Whether prices that went from `low` to `high` set a stop off."""
    o = at(order_at, ORDER)
    return high >= o.trigger if o.lots > 0 else low <= o.trigger


def limit_reached(order_at: int, high: int, low: int, thr: int) -> bool:
    """Whether prices that went from `low` to `high` fill a limit order, `thr` ticks beyond its price."""
    o = at(order_at, ORDER)
    return low <= o.price - thr if o.lots > 0 else high >= o.price + thr


def rests(order_at: int) -> bool:
    """A limit order, or a stop-limit whose stop has triggered."""
    o = at(order_at, ORDER)
    return o.kind == LIMIT or (o.marks & TRIGGERED) != 0


def expire_days(frame: int, session: int, t_open: int) -> None:
    """O1."""
    f = at(frame, FRAME)
    for k in range(at(f.state, HEADER).n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if o.status == LIVE and o.tif == DAY and o.t_active <= t_open:
            if o.session == -FAR:
                o.session = session
            elif session > o.session:
                end_order(frame, f.orders + k * ORDER_BYTES, EXPIRED, R_DAY, t_open)


def ready(order_at: int, t_open: int) -> bool:
    """Live, active before this bar, and past its latency (T2)."""
    o = at(order_at, ORDER)
    return o.status == LIVE and (o.marks & (WAITING | FRESH)) == 0 and o.t_active <= t_open


def open_pass(frame: int, thr: int) -> None:
    """F1: what the open settles."""
    f = at(frame, FRAME)
    first = column(frame, C_OPEN, f.i)
    t_open = column(frame, C_OPEN_AT, f.i)
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        if ready(o_at, t_open):
            o = at(o_at, ORDER)
            o.marks |= SEEN
            if o.kind == MARKET:
                fill(frame, o_at, first, 1, OPEN_FILL, t_open)
            elif rests(o_at):
                if limit_reached(o_at, first, first, thr):
                    fill(frame, o_at, first, 0, OPEN_FILL, t_open)
            elif stop_reached(o_at, first, first):
                trigger_stop(frame, o_at, first, OPEN_FILL, t_open)


def range_passes(frame: int, thr: int) -> None:
    """F2, F5, F7, F8: what the bar's range settles, and how far trailing stops follow it."""
    f = at(frame, FRAME)
    m = at(f.fill_model, FILL_MODEL)
    high = column(frame, C_HIGH, f.i)
    low = column(frame, C_LOW, f.i)
    t_open = column(frame, C_OPEN_AT, f.i)
    t_close = column(frame, C_KNOWN_AT, f.i)
    n = at(f.state, HEADER).n_live
    for k in range(n):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if ready(o_at, t_open) and o.tif != IOC and o.kind != MARKET and not rests(o_at):
            if o.kind == TRAILING and m.trailing == UPDATE_FIRST:
                move_trail(frame, o_at, high, low)
            if stop_reached(o_at, high, low):
                trigger_stop(frame, o_at, o.trigger, BAR_FILL, t_close)
    for k in range(n):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if ready(o_at, t_open) and o.tif != IOC and rests(o_at) and limit_reached(o_at, high, low, thr):
            fill(frame, o_at, o.price, 0, BAR_FILL, t_close)
    for k in range(n):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if o.status != LIVE:
            continue
        if (
            (o.marks & FRESH) != 0
            and o.parent != 0
            and o.kind == STOP
            and m.same_bar == ADVERSE
            and stop_reached(o_at, high, low)
        ):
            trigger_stop(
                frame,
                o_at,
                max(o.trigger, o.reference) if o.lots > 0 else min(o.trigger, o.reference),
                BAR_FILL,
                t_close,
            )
        elif o.kind == TRAILING and (o.marks & SEEN) != 0 and o.tif != IOC and m.trailing != UPDATE_FIRST:
            move_trail(frame, o_at, high, low)


def match(frame: int, whole: int) -> None:
    """T5: all that a bar does to the live orders; with `whole` 0 only what its open does (F9)."""
    f = at(frame, FRAME)
    thr = 0 if at(f.fill_model, FILL_MODEL).limit == TOUCH else 1
    expire_days(frame, column(frame, C_SESSION, f.i), column(frame, C_OPEN_AT, f.i))
    open_pass(frame, thr)
    if whole != 0:
        range_passes(frame, thr)
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if o.status == LIVE and o.tif == IOC and (o.marks & SEEN) != 0:
            end_order(frame, o_at, EXPIRED, R_IOC, column(frame, C_KNOWN_AT, f.i))
    tidy(frame)


def new_order(frame: int, kind: int, tif: int, lots: int) -> int:
    """O4: the next id in the next free slot; the slot's address, 0 when the decision used up its reserve."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    if h.n_live >= h.capacity:
        f.error = CROWDED
        return 0
    o_at = f.orders + h.n_live * ORDER_BYTES
    o = at(o_at, ORDER)
    time = column(frame, C_KNOWN_AT, f.i)
    o.id = h.next_id
    o.asset = 0
    o.venue = 0
    o.kind = kind
    o.tif = tif
    o.marks = 0
    o.status = LIVE
    o.reason = R_NONE
    o.lots = lots
    o.filled = 0
    o.display = 0
    o.price = 0
    o.trigger = 0
    o.trail = 0
    o.group = 0
    o.parent = 0
    o.t_submit = time
    o.t_active = time
    o.t_expire = 0
    o.session = -FAR
    o.t_end = 0
    o.reference = 0
    o.fill_ticks = 0
    o.fraction = 0.0
    o.stop_loss = 0.0
    o.take_profit = 0.0
    o.weight = 0.0
    o.fees = 0.0
    h.n_live += 1
    h.next_id += 1
    at(f.account, ACCOUNT).n_orders += 1
    return o_at


def close_out(frame: int, at_open: int) -> None:
    """F9: one order that ends the position at the bar's open or close."""
    f = at(frame, FRAME)
    held = at(f.positions, POSITION).lots
    if held == 0:
        return
    k = column(frame, C_OPEN if at_open != 0 else C_CLOSE, f.i)
    time = column(frame, C_OPEN_AT if at_open != 0 else C_KNOWN_AT, f.i)
    o_at = new_order(frame, MARKET, GTC, -held)
    o = at(o_at, ORDER)
    o.t_submit = time
    o.t_active = time
    fee = fee_of(frame, o_at, -held, k, time)
    book(frame, o_at, -held, k, k, fee, time, OPEN_FILL if at_open != 0 else BAR_FILL)
    end_one(frame, o_at, FILLED, R_NONE, time)
    after_fill(frame, o_at, held, time)
    tidy(frame)


def end_all(frame: int, status: int, reason: int, time: int) -> None:
    """O10, A6: no order outlives its account."""
    f = at(frame, FRAME)
    for k in range(at(f.state, HEADER).n_live):
        if at(f.orders + k * ORDER_BYTES, ORDER).status == LIVE:
            end_order(frame, f.orders + k * ORDER_BYTES, status, reason, time)
    tidy(frame)


def place(frame: int, order_at: int) -> int:
    """Put a new order under watch; its id."""
    h = at(at(frame, FRAME).state, HEADER)
    watch(frame, order_at)
    o = at(order_at, ORDER)
    h.touch_lo = max(h.touch_lo, o.touch_lo)
    h.touch_hi = min(h.touch_hi, o.touch_hi)
    return o.id


def reject(frame: int, kind: int, tif: int, reason: int) -> int:
    """O5: an order that never lived still gets an id and a reason."""
    o_at = new_order(frame, kind, tif, 0)
    if o_at == 0:
        return 0
    o = at(o_at, ORDER)
    end_one(frame, o_at, REJECTED, reason, o.t_submit)
    at(at(frame, FRAME).state, HEADER).n_live -= 1
    return o.id


def finite(x: float) -> bool:
    """Neither NaN nor too large to count."""
    return abs(x) < MOST


def good_price(instrument_at: int, p: float) -> bool:
    """A price an order can carry: positive, and countable in ticks."""
    g = at(instrument_at, INSTRUMENT)
    return p > 0.0 and finite(p / g.tick if g.inverse == 0 else p * float(g.inverse))


def is_fraction(x: float) -> bool:
    """O5: strictly between 0 and 1."""
    return x > 0.0 and x < 1.0


def is_profit(x: float, q: float) -> bool:
    """O5: a target's distance; a short one cannot go below zero."""
    return x > 0.0 and x <= MOST_PROFIT and (q > 0.0 or x < 1.0)


def submit(frame: int, verb: int, tif: int, q: float, a: float, b: float) -> int:
    """The simple orders: market, limit, stop, stop-limit, trailing stop."""
    f = at(frame, FRAME)
    g = f.instrument
    kind = MARKET
    good = finite(q / at(g, INSTRUMENT).lot)
    if verb == V_LIMIT:
        kind = LIMIT
        good = good and good_price(g, a)
    elif verb == V_STOP:
        kind = STOP
        good = good and good_price(g, a)
    elif verb == V_STOP_LIMIT:
        kind = STOP_LIMIT
        good = good and good_price(g, a) and good_price(g, b)
    elif verb == V_TRAIL:
        kind = TRAILING
        good = good and good_price(g, a)
    elif verb == V_TRAIL_FRACTION:
        kind = TRAILING
        good = good and is_fraction(a)
    if not good:
        return reject(frame, kind, tif, R_INVALID)
    lots = to_lots(g, q)
    if lots == 0:
        return reject(frame, kind, tif, R_BELOW)
    o_at = new_order(frame, kind, tif, lots)
    if o_at == 0:
        return 0
    o = at(o_at, ORDER)
    if kind == LIMIT:
        o.price = to_ticks(g, a, lots < 0)
    elif kind == STOP or kind == STOP_LIMIT:
        o.trigger = to_ticks(g, a, lots > 0)
        if kind == STOP_LIMIT:
            o.price = to_ticks(g, b, lots < 0)
    elif kind == TRAILING:
        if verb == V_TRAIL:
            o.trail = to_ticks(g, a, True)
        else:
            o.fraction = a
        o.trigger = trail_level(g, o_at, column(frame, C_CLOSE, f.i))
    return place(frame, o_at)


def add_exit(frame: int, parent: int, kind: int, lots: int, level: float, fraction: float, by_level: bool) -> None:
    """One waiting exit of a bracket, at a price level or at a fraction of the entry's fill price (F6)."""
    f = at(frame, FRAME)
    o_at = new_order(frame, kind, GTC, lots)
    if o_at == 0:
        return
    o = at(o_at, ORDER)
    o.marks = REDUCE | WAITING
    o.parent = parent
    o.group = parent + 1
    if kind == STOP:
        if by_level:
            o.trigger = to_ticks(f.instrument, level, lots > 0)
        else:
            o.stop_loss = fraction
    elif by_level:
        o.price = to_ticks(f.instrument, level, lots < 0)
    else:
        o.take_profit = fraction
    place(frame, o_at)


def bracket(
    frame: int,
    tif: int,
    given: int,
    q: float,
    stop: float,
    limit: float,
    stop_loss: float,
    take_profit: float,
    entry: float,
) -> int:
    """O4, F6: an entry (market, or limit at `entry`) with a stop and a target that live once it is filled; `given` says which numbers count."""
    f = at(frame, FRAME)
    g = f.instrument
    kind = LIMIT if (given & HAS_ENTRY) != 0 else MARKET
    good = finite(q / at(g, INSTRUMENT).lot)
    good = (
        good and ((given & HAS_STOP) == 0 or good_price(g, stop)) and ((given & HAS_LIMIT) == 0 or good_price(g, limit))
    )
    good = (
        good
        and ((given & HAS_STOP_LOSS) == 0 or is_fraction(stop_loss))
        and ((given & HAS_TAKE_PROFIT) == 0 or is_profit(take_profit, q))
    )
    if not good or (kind == LIMIT and not good_price(g, entry)):
        return reject(frame, kind, tif, R_INVALID)
    lots = to_lots(g, q)
    if lots == 0:
        return reject(frame, kind, tif, R_BELOW)
    o_at = new_order(frame, kind, tif, lots)
    if o_at == 0:
        return 0
    if kind == LIMIT:
        at(o_at, ORDER).price = to_ticks(g, entry, lots < 0)
    number = place(frame, o_at)
    h = at(f.state, HEADER)
    if (given & (HAS_STOP | HAS_STOP_LOSS)) != 0:
        add_exit(frame, number, STOP, -lots, stop, stop_loss, (given & HAS_STOP) != 0)
    h.next_id = number + 2
    if (given & (HAS_LIMIT | HAS_TAKE_PROFIT)) != 0:
        add_exit(frame, number, LIMIT, -lots, limit, take_profit, (given & HAS_LIMIT) != 0)
    h.next_id = number + 3
    return number


def replace_target(frame: int) -> None:
    """S1: what is left of the previous target."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    ended = False
    for k in range(h.n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if o.status == LIVE and (o.marks & TARGET) != 0:
            end_order(frame, f.orders + k * ORDER_BYTES, CANCELLED, R_REPLACED, column(frame, C_KNOWN_AT, f.i))
            ended = True
    if ended:
        tidy(frame)


def target(frame: int, verb: int, wish: float) -> int:
    """S1-S5: one market order to a quantity or a weight; 0 when none is needed."""
    f = at(frame, FRAME)
    g = at(f.instrument, INSTRUMENT)
    held = at(f.positions, POSITION).lots
    if at(f.state, HEADER).n_live > 0:
        replace_target(frame)
    equity = at(f.account, ACCOUNT).equity
    if equity <= 0.0:
        return 0
    if verb == V_TARGET:
        if not finite(wish / g.lot):
            return reject(frame, MARKET, GTC, R_INVALID)
        lots = to_lots(f.instrument, wish) - held
        if lots == 0:
            return 0
    else:
        if not finite(wish):
            return reject(frame, MARKET, GTC, R_INVALID)
        if wish == 0.0:
            lots = -held
        else:
            time = column(frame, C_KNOWN_AT, f.i)
            gap = sized_gap(frame, wish, column(frame, C_CLOSE, f.i), equity, f.i, time, True)
            if not finite(gap):
                return reject(frame, MARKET, GTC, R_INVALID)
            lots = int(gap)
        if lots == 0:
            return 0
        through = held != 0 and not same_side(held, held + lots)
        if (
            not through
            and (column_f(frame, C_CLOSE_P, f.i) * (float(abs(lots)) * g.unit)) / equity <= at(f.venue, VENUE).band
        ):
            return 0
    o_at = new_order(frame, MARKET, GTC, lots)
    if o_at == 0:
        return 0
    o = at(o_at, ORDER)
    o.marks = TARGET
    if verb == V_WEIGHT and at(f.fill_model, FILL_MODEL).sizing == SIZE_AT_FILL:
        o.marks = TARGET | AT_FILL
        o.weight = wish
    return place(frame, o_at)


def cancel(frame: int, number: int) -> int:
    """O9: end one live order (0: all of them); the id, or 0 when there was none."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    found = 0
    for k in range(h.n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if o.status == LIVE and (number == 0 or o.id == number):
            found = o.id
            end_order(frame, f.orders + k * ORDER_BYTES, CANCELLED, R_USER, column(frame, C_KNOWN_AT, f.i))
    if found != 0:
        tidy(frame)
    return found


def link(frame: int, a: int, b: int) -> int:
    """O9: two live orders become one-cancels-the-other; the group, or 0 when one of them is not live."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    n = 0
    for k in range(h.n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if o.id == a or o.id == b:
            n += 1
    if n != 2:
        return 0
    for k in range(h.n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if o.id == a or o.id == b:
            o.group = min(a, b)
    return min(a, b)


def act(frame: int, verb: int, tif: int, q: float, a: float, b: float, c: float, d: float, e: float) -> int:
    """The one entry point through which a strategy orders: a verb and its numbers; an order id, or 0. A bracket's `tif` carries what was given."""
    if at(frame, FRAME).inert != 0:  # a replay of the strategy's state: nothing reaches the account
        return 0
    if verb == V_TARGET or verb == V_WEIGHT:
        return target(frame, verb, q)
    if verb == V_CANCEL:
        return cancel(frame, int(q))
    if verb == V_CANCEL_ALL:
        return cancel(frame, 0)
    if verb == V_OCO:
        return link(frame, int(q), int(a))
    if verb == V_BRACKET:
        return bracket(frame, tif % 8, tif // 8, q, a, b, c, d, e)
    return submit(frame, verb, tif, q, a, b)
