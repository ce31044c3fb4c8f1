"""What a strategy orders: submitted or rejected, bracketed, aimed at a target, cancelled (O4-O15, F6, F9, S1-S6)."""

from kernelkit.kernels.accept import (
    BPS,
    MORE,
    above_maximum,
    below_minimum,
    fault,
    finite,
    good_price,
    good_terms,
    is_fraction,
    is_profit,
    judged,
    kind_of,
    off_tick,
    refused,
    sizes_at,
    trails,
    two_prices,
)
from kernelkit.kernels.account import book, fail, same_side, to_lots, to_ticks
from kernelkit.kernels.amend import amend
from kernelkit.kernels.changes import log_change, log_life
from kernelkit.kernels.costs import fee_of
from kernelkit.kernels.fills import after_fill, column, column_f, decided_at, end_one, end_order, moment, sized_gap
from kernelkit.kernels.focus import defocus, focus, has_bar, speak_of
from kernelkit.kernels.halts import call_off, down, far_away
from kernelkit.kernels.layout import (
    ACCOUNT,
    AT_FILL,
    BAR_FILL,
    C_CLOSE,
    C_KNOWN_AT,
    C_OPEN,
    C_OPEN_AT,
    CALLED_OFF,
    CANCELLED,
    CH_FILLED,
    CH_SUBMITTED,
    CROWDED,
    ENTRY_DISPLAY,
    ENTRY_POST_ONLY,
    FAR,
    FILL_MODEL,
    FILLED,
    FRAME,
    GTC,
    GTD,
    HAS_DISPLAY,
    HAS_ENTRY,
    HAS_LIMIT,
    HAS_STOP,
    HAS_STOP_LOSS,
    HAS_TAKE_PROFIT,
    HEADER,
    INSTRUMENT,
    LAST_OPEN,
    LIMIT,
    LIVE,
    MARKET,
    OPEN_FILL,
    ORDER,
    ORDER_BYTES,
    PARENT,
    POSITION,
    POST,
    POST_ONLY,
    R_BELOW,
    R_DELISTED,
    R_INVALID,
    R_NONE,
    R_OFF_TICK,
    R_REPLACED,
    R_UNLISTED,
    R_USER,
    REDUCE,
    REDUCE_ONLY,
    REJECTED,
    RESERVE,
    SIZE_AT_FILL,
    STOP,
    TARGET,
    V_BRACKET,
    V_CANCEL,
    V_CANCEL_ALL,
    V_OCO,
    V_REPLACE,
    V_TARGET,
    V_TRAIL,
    V_TRAIL_BPS,
    V_TRAIL_TICKS,
    V_WEIGHT,
    VENUE,
    WAITING,
)
from kernelkit.kernels.matching import look_out, tidy, watch
from kernelkit.kernels.memory import at, bits, f8, i8, rarely
from kernelkit.kernels.triggers import if_touched, trail_level


def new_order(frame: int, kind: int, tif: int, lots: int) -> int:
    """O4: the next id in the next free slot; the slot's address, 0 when the decision used up its reserve."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    if h.n_live >= h.capacity:
        fail(frame, CROWDED)
        return 0
    o_at = f.orders + h.n_live * ORDER_BYTES
    o = at(o_at, ORDER)
    time = decided_at(frame)
    o.id = h.next_id
    o.asset = f.asset
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
    o.offset = 0
    o.group = 0
    o.parent = 0
    o.t_submit = time
    o.t_active = time
    o.t_expire = 0
    o.t_trigger = 0
    o.t_replace = 0
    o.session = -FAR
    o.t_end = 0
    o.reference = 0
    o.fill_ticks = 0
    o.fraction = 0.0
    o.stop_loss = 0.0
    o.take_profit = 0.0
    o.weight = 0.0
    o.fees = 0.0
    o.notional = 0.0
    h.n_live += 1
    h.next_id += 1
    at(f.total, ACCOUNT).n_orders += 1
    return o_at


def close_out(frame: int) -> int:
    """F9, X2: an order for each position that ends it at the bar's open or close; DONE, or what went wrong."""
    f = at(frame, FRAME)
    for k in range(at(f.state, HEADER).n_asset):
        focus(frame, k)
        if at(f.positions, POSITION).lots != 0 and (f.shared == 0 or has_bar(frame, k)):
            close_one(frame)
    tidy(frame)
    defocus(frame)
    return f.error


def close_one(frame: int) -> None:
    """F9: end the position in focus."""
    f = at(frame, FRAME)
    held = at(f.positions, POSITION).lots
    at_open = at(f.fill_model, FILL_MODEL).close_out == LAST_OPEN
    k = column(frame, C_OPEN if at_open else C_CLOSE, f.i)
    time = moment(frame, C_OPEN_AT if at_open else C_KNOWN_AT, f.i)
    o_at = new_order(frame, MARKET, GTC, -held)
    o = at(o_at, ORDER)
    o.t_submit = time
    o.t_active = time
    log_life(frame, o_at, CH_SUBMITTED, time)
    fee = fee_of(frame, o_at, -held, k, False, time)
    book(frame, o_at, -held, k, k, fee, time, OPEN_FILL if at_open else BAR_FILL)
    if f.logging != 0:
        log_change(frame, o_at, CH_FILLED, -held, k, time)
    end_one(frame, o_at, FILLED, R_NONE, time)
    after_fill(frame, o_at, held, time)


def place(frame: int, order_at: int) -> int:
    """Put a new order under watch; its id."""
    h = at(at(frame, FRAME).state, HEADER)
    watch(frame, order_at)
    o = at(order_at, ORDER)
    log_life(frame, order_at, CH_SUBMITTED, o.t_submit)
    h.touch_lo = max(h.touch_lo, o.touch_lo)
    h.touch_hi = min(h.touch_hi, o.touch_hi)
    if at(frame, FRAME).shared != 0:
        look_out(frame, order_at)
    return o.id


def reject(frame: int, kind: int, tif: int, lots: int, reason: int) -> int:
    """O5: an order that never lived still gets an id and a reason."""
    o_at = new_order(frame, kind, tif, lots)
    if o_at == 0:
        return 0
    o = at(o_at, ORDER)
    log_life(frame, o_at, CH_SUBMITTED, o.t_submit)
    end_one(frame, o_at, REJECTED, reason, o.t_submit)
    at(at(frame, FRAME).state, HEADER).n_live -= 1
    return o.id


def turn_down(frame: int, order_at: int, reason: int) -> int:
    """O14, O15: the newest order is not taken; its id."""
    o = at(order_at, ORDER)
    log_life(frame, order_at, CH_SUBMITTED, o.t_submit)
    end_one(frame, order_at, REJECTED, reason, o.t_submit)
    at(at(frame, FRAME).state, HEADER).n_live -= 1
    return o.id


def off_market(frame: int) -> int:
    """X1, E4: why the asset cannot be traded, R_NONE where it can."""
    f = at(frame, FRAME)
    if f.i < 0:
        return R_UNLISTED
    return R_DELISTED if at(f.positions, POSITION).delisted != 0 else R_NONE


def countable(instrument_at: int, q: float) -> int:
    """Q1 of any number: 0 lots of what cannot be counted."""
    return to_lots(instrument_at, q) if finite(q / at(instrument_at, INSTRUMENT).lot) else 0


def submit(
    frame: int, verb: int, tif: int, asked: int, q: float, a: float, b: float, expires: float, display: float
) -> int:
    """The simple orders: market, limit, stop, stop-limit, if touched, trailing. `asked` says what else they are."""
    f = at(frame, FRAME)
    kind = kind_of(verb, asked)
    wrong = off_market(frame)
    if wrong == R_NONE:
        wrong = fault(frame, verb, tif, asked, q, a, b, expires, display)
    if wrong != R_NONE:
        return reject(frame, kind, tif, countable(f.instrument, q), wrong)
    o_at = new_order(frame, kind, tif, to_lots(f.instrument, q))
    if o_at == 0:
        return 0
    o = at(o_at, ORDER)
    set_prices(frame, o_at, verb, a, b)
    if tif == GTD:
        o.t_expire = bits(expires)
    if (asked & HAS_DISPLAY) != 0:
        o.display = to_lots(f.instrument, display)
    if (asked & REDUCE_ONLY) != 0:
        o.marks |= REDUCE
    if (asked & POST_ONLY) != 0:
        o.marks |= POST
    wrong = refused(frame, o_at)
    return place(frame, o_at) if wrong == R_NONE else turn_down(frame, o_at, wrong)


def set_prices(frame: int, order_at: int, verb: int, a: float, b: float) -> None:
    """Q3, F8, F15: what a simple order's first and second number come to in ticks."""
    f = at(frame, FRAME)
    g = f.instrument
    o = at(order_at, ORDER)
    if o.kind == LIMIT:
        o.price = to_ticks(g, a, o.lots < 0)
    elif trails(o.kind):
        if verb == V_TRAIL:
            o.trail = to_ticks(g, a, True)
        elif verb == V_TRAIL_TICKS:
            o.trail = int(a)
        else:
            o.fraction = a / BPS if verb == V_TRAIL_BPS else a
        if b > 0.0:
            o.offset = to_ticks(g, b, False)
        o.trigger = trail_level(g, order_at, column(frame, C_CLOSE, f.i))
    elif o.kind != MARKET:
        o.trigger = to_ticks(g, a, (o.lots > 0) != if_touched(order_at))
        if two_prices(o.kind):
            o.price = to_ticks(g, b, o.lots < 0)


def add_exit(frame: int, parent: int, kind: int, lots: int, where: float, by_price: bool) -> None:
    """One waiting exit of a bracket, at a price or at a fraction of the entry's fill price (F6)."""
    f = at(frame, FRAME)
    o_at = new_order(frame, kind, GTC, lots)
    if o_at == 0:
        return
    o = at(o_at, ORDER)
    o.marks = REDUCE | WAITING
    o.parent = parent
    o.group = parent + 1
    if kind == STOP:
        if by_price:
            o.trigger = to_ticks(f.instrument, where, lots > 0)
        else:
            o.stop_loss = where
    elif by_price:
        o.price = to_ticks(f.instrument, where, lots < 0)
    else:
        o.take_profit = where
    place(frame, o_at)


def bracket(
    frame: int, tif: int, given: int, q: float, stop: float, limit: float, entry: float, expires: float, display: float
) -> int:
    """O4, F6: an entry (market, or limit at `entry`) with a stop and a target that live once it is filled.

    `given` says which numbers count, and whether `stop` and `limit` are prices or fractions.
    """
    f = at(frame, FRAME)
    g = f.instrument
    kind = LIMIT if (given & HAS_ENTRY) != 0 else MARKET
    shows = (given & ENTRY_DISPLAY) != 0
    good = finite(q / at(g, INSTRUMENT).lot) and good_terms(frame, tif, expires, shows, display)
    good = (
        good and ((given & HAS_STOP) == 0 or good_price(g, stop)) and ((given & HAS_LIMIT) == 0 or good_price(g, limit))
    )
    good = (
        good
        and ((given & HAS_STOP_LOSS) == 0 or is_fraction(stop))
        and ((given & HAS_TAKE_PROFIT) == 0 or is_profit(limit, q))
    )
    wrong = off_market(frame)
    lots = countable(g, q)
    if wrong != R_NONE:
        return reject(frame, kind, tif, lots, wrong)
    if not good or (kind == LIMIT and not good_price(g, entry)):
        return reject(frame, kind, tif, lots, R_INVALID)
    if lots == 0 or (shows and to_lots(g, display) == 0):
        return reject(frame, kind, tif, lots, R_BELOW)
    off = (
        ((given & HAS_STOP) != 0 and off_tick(frame, stop))
        or ((given & HAS_LIMIT) != 0 and off_tick(frame, limit))
        or (kind == LIMIT and off_tick(frame, entry))
    )
    if off:
        return reject(frame, kind, tif, lots, R_OFF_TICK)
    o_at = new_order(frame, kind, tif, lots)
    if o_at == 0:
        return 0
    o = at(o_at, ORDER)
    o.marks = PARENT
    if kind == LIMIT:
        o.price = to_ticks(g, entry, lots < 0)
    if tif == GTD:
        o.t_expire = bits(expires)
    if shows:
        o.display = to_lots(g, display)
    if (given & ENTRY_POST_ONLY) != 0:
        o.marks |= POST
    wrong = refused(frame, o_at)
    if wrong != R_NONE:
        return turn_down(frame, o_at, wrong)
    lots = o.lots  # R8 may have cut them
    number = place(frame, o_at)
    h = at(f.state, HEADER)
    if (given & (HAS_STOP | HAS_STOP_LOSS)) != 0:
        add_exit(frame, number, STOP, -lots, stop, (given & HAS_STOP) != 0)
    h.next_id = number + 2
    if (given & (HAS_LIMIT | HAS_TAKE_PROFIT)) != 0:
        add_exit(frame, number, LIMIT, -lots, limit, (given & HAS_LIMIT) != 0)
    h.next_id = number + 3
    return number


def replace_target(frame: int) -> None:
    """S1: what is left of the asset's previous target."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    ended = False
    for k in range(h.n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if o.status == LIVE and (o.marks & TARGET) != 0 and o.asset == f.asset:
            ended = call_off(frame, f.orders + k * ORDER_BYTES, R_REPLACED) or ended
    if ended:
        tidy(frame)


def under_way(frame: int) -> int:
    """H5: the lots that earlier targets of the asset have ordered, and nobody has cancelled."""
    f = at(frame, FRAME)
    lots = 0
    for k in range(at(f.state, HEADER).n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if o.status == LIVE and (o.marks & (TARGET | CALLED_OFF)) == TARGET and o.asset == f.asset:
            lots += o.lots - o.filled
    return lots


def target(frame: int, verb: int, wish: float, band: float) -> int:
    """S1-S5: one market order to a quantity or a weight; 0 when none is needed."""
    f = at(frame, FRAME)
    wrong = off_market(frame)
    if wrong != R_NONE:
        return 0 if wrong == R_DELISTED and wish == 0.0 else reject(frame, MARKET, GTC, 0, wrong)
    g = at(f.instrument, INSTRUMENT)
    held = at(f.positions, POSITION).lots
    if at(f.state, HEADER).n_live > 0:
        if far_away(frame):
            held += under_way(frame)
        else:
            replace_target(frame)
    equity = at(f.account, ACCOUNT).equity
    if equity <= 0.0:
        return 0
    if verb == V_TARGET:
        if not finite(wish / g.lot):
            return reject(frame, MARKET, GTC, 0, R_INVALID)
        lots = to_lots(f.instrument, wish) - held
        if lots == 0:
            return 0
    else:
        if not finite(wish):
            return reject(frame, MARKET, GTC, 0, R_INVALID)
        if wish == 0.0:
            lots = -held
        else:
            time = decided_at(frame)
            gap = sized_gap(frame, wish, held, column(frame, C_CLOSE, f.i), equity, f.i, time, True)
            if not finite(gap):
                return reject(frame, MARKET, GTC, 0, R_INVALID)
            lots = int(gap)
        if lots == 0:
            return 0
        through = held != 0 and not same_side(held, held + lots)
        if not through and (abs(column_f(frame, g.mark, f.i)) * (float(abs(lots)) * g.unit)) / equity <= band:
            return 0
    if at(f.venue, VENUE).limits != 0:
        lots = sized_for_venue(frame, lots)
        if lots == 0:
            return 0
    o_at = new_order(frame, MARKET, GTC, lots)
    if o_at == 0:
        return 0
    o = at(o_at, ORDER)
    o.marks = TARGET
    if verb == V_WEIGHT and at(f.fill_model, FILL_MODEL).sizing == SIZE_AT_FILL:
        o.marks = TARGET | AT_FILL
        o.weight = wish
    wrong = judged(frame, o_at)
    return place(frame, o_at) if wrong == R_NONE else turn_down(frame, o_at, wrong)


def sized_for_venue(frame: int, lots: int) -> int:
    """S6: what the venue takes of a target's lots; 0 where it takes none."""
    f = at(frame, FRAME)
    if below_minimum(frame, lots, column(frame, C_CLOSE, f.i)):
        return 0
    if not above_maximum(frame, lots):
        return lots
    most = int((f8(sizes_at(frame) + 8) * MORE) / at(f.instrument, INSTRUMENT).lot)
    return most if lots > 0 else -most


def cancel(frame: int, number: float, every: bool) -> int:
    """O9: end the live order of this id, or every one, of the asset in focus where one is (X9).

    The id of the last one, or 0 when there was none.
    """
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    quiet = f.homes != 0 or down(frame) != 0 or far_away(frame)
    mine = f.asset
    found = 0
    for k in range(h.n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if o.status == LIVE and (mine < 0 or o.asset == mine) and (every or float(o.id) == number):
            if rarely(quiet):
                focus(frame, o.asset)  # its venue may be another
                found = o.id if call_off(frame, f.orders + k * ORDER_BYTES, R_USER) else found
            else:
                found = o.id
                end_order(frame, f.orders + k * ORDER_BYTES, CANCELLED, R_USER, decided_at(frame))
    speak_of(frame, mine)
    if found != 0:
        tidy(frame)
    return found


def link(frame: int, a: float, b: float) -> int:
    """O9: two live orders become one-cancels-the-other; the group, or 0 when one is not live, or not its (X9)."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    n = 0
    for k in range(h.n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if (float(o.id) == a or float(o.id) == b) and (f.asset < 0 or o.asset == f.asset):
            n += 1
    if n != 2:
        return 0
    group = int(min(a, b))
    for k in range(h.n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if float(o.id) == a or float(o.id) == b:
            o.group = group
    return group


def may_order(frame: int) -> bool:
    """O4: whether this decision has orders left, however many slots happen to be free.

    In a replay of the strategy's state nothing reaches the account; but a loop that waits for its orders must end.
    """
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    now = f.i if f.shared == 0 else f.clock
    if f.ordered_at != now:
        f.ordered_at = now
        f.first_id = h.next_id
    if f.inert != 0:
        f.first_id -= 1
    most = RESERVE + 4 * (h.n_asset - 1)
    if h.next_id - f.first_id >= (most if f.inert == 0 else most + 1):
        fail(frame, CROWDED)
        return False
    return f.inert == 0


def steer(frame: int, verb: int, wish: float) -> int:
    """How a strategy asks for a position: a quantity or a weight; an order id, or 0."""
    return target(frame, verb, wish, at(at(frame, FRAME).venue, VENUE).band) if may_order(frame) else 0


def weigh(frame: int, verb: int, wish: float, band: float) -> int:
    """X7: `steer` in a portfolio, for the asset in focus; a negative `band` means the venue's share of each asset."""
    f = at(frame, FRAME)
    if band < 0.0:
        band = at(f.venue, VENUE).band / float(f.n_asset if f.homes == 0 else i8(f.homes + 16 * f.asset + 8))
    return target(frame, verb, wish, band) if may_order(frame) else 0


def flatten(frame: int) -> int:
    """Ask for no position in any asset, as by a decision of its own. 0."""
    f = at(frame, FRAME)
    f.ordered_at = -1
    for k in range(f.n_asset):
        focus(frame, k)
        if at(f.positions, POSITION).lots != 0 and may_order(frame):
            target(frame, V_TARGET, 0.0, 0.0)
    defocus(frame)
    return 0


def act(frame: int, verb: int, tif: int, q: float, a: float, b: float, c: float, d: float, e: float) -> int:
    """How a strategy gives and ends orders: a verb and its numbers; an order id, or 0.

    `tif` carries what else was given: time in force + 8 * mask. An order's instant comes as the bits of a number.
    """
    if verb == V_CANCEL or verb == V_CANCEL_ALL or verb == V_OCO or verb == V_REPLACE:
        if at(frame, FRAME).inert != 0:
            return 0
        if verb == V_REPLACE:
            return amend(frame, tif // 8, q, a, b, c)
        return link(frame, q, a) if verb == V_OCO else cancel(frame, q, verb == V_CANCEL_ALL)
    if not may_order(frame):
        return 0
    if verb == V_BRACKET:
        return bracket(frame, tif % 8, tif // 8, q, a, b, c, d, e)
    return submit(frame, verb, tif % 8, tif // 8, q, a, b, c, d)
