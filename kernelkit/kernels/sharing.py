"""Several assets that share one account: a bar of their clock, and whom its passes serve first (rules X2-X6)."""

from kernelkit.kernels.account import same_side, value_at
from kernelkit.kernels.bars import room
from kernelkit.kernels.costs import fee_of, slipped
from kernelkit.kernels.fills import column, takes, wanted_of
from kernelkit.kernels.focus import account_of, covers, defocus, focus, has_bar, last_bar, list_held
from kernelkit.kernels.layout import (
    ACCOUNT,
    ACCOUNT_BYTES,
    AT_LIMITS,
    AT_STOPS,
    C_CLOSE_P,
    C_HIGH,
    C_KNOWN_AT,
    C_LOW,
    CUT,
    DONE,
    FAR,
    FILL_MODEL,
    FINER,
    FOK,
    FRAME,
    HEADER,
    INSTRUMENT,
    LOAD,
    METRICS,
    ORDER,
    ORDER_BYTES,
    POSITION,
    POSITION_BYTES,
    RATIONED,
    UNDER_WAY,
    VENUE,
    WAITS,
)
from kernelkit.kernels.matching import (
    arrives,
    follow_first,
    place_of,
    price_in,
    settle_order,
    stamp,
    takes_part,
    turned_away,
)
from kernelkit.kernels.memory import at, call, f8, i8, rarely
from kernelkit.kernels.power import unbound, value_all
from kernelkit.kernels.triggers import has_limit, rests, within_limit


def reduces(frame: int, order_at: int) -> bool:
    """X4: whether what the order wants would only make its position smaller."""
    held = at(at(frame, FRAME).positions, POSITION).lots
    after = held + wanted_of(frame, order_at)
    return abs(after) <= abs(held) and (after == 0 or same_side(after, held))


def serve(frame: int, step: int, reducing: bool) -> None:
    """One walk of a pass: over the orders that reduce, or over all that are left."""
    f = at(frame, FRAME)
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        focus(frame, at(o_at, ORDER).asset)
        if takes_part(frame, o_at, step):
            if (reducing and not reduces(frame, o_at)) or not arrives(frame, o_at, step):
                continue
            reference = price_in(frame, o_at, step)
            if reference != 0:
                settle_order(frame, o_at, reference, step)


def need_of(frame: int, order_at: int, reference: int, maker: bool, time: int) -> float:
    """X5: what this order would take of the account's buying power, 0 where it would not fill."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    slips = not has_limit(order_at) and not rests(order_at)
    if has_limit(order_at) and not rests(order_at) and not within_limit(order_at, reference):
        return 0.0
    wanted = wanted_of(frame, order_at)
    lots = takes(frame, order_at, wanted)
    if lots == 0 or (o.tif == FOK and lots != wanted):
        return 0.0
    k = slipped(frame, order_at, lots, reference, time) if slips else reference
    held = at(f.positions, POSITION).lots
    more = float(abs(held + lots) - abs(held))
    fee = fee_of(frame, order_at, lots, k, maker, time)
    value = abs(value_at(f.instrument, k)) * (more * at(f.instrument, INSTRUMENT).unit)
    return max(0.0, value * at(f.venue, VENUE).initial + fee)


def ration(frame: int, step: int, account: int) -> None:
    """X5: where the account's orders that are left need more than it has, mark them and say how much each gets."""
    f = at(frame, FRAME)
    need = 0.0
    sharers = 0
    last = -1
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        focus(frame, o.asset)
        asks = f.account == account and at(f.venue, VENUE).cash_rule == CUT
        if asks and takes_part(frame, o_at, step) and not turned_away(frame, o_at):
            last = o.asset
            trigger = o.trigger
            rows = f.n_changes
            if step == AT_STOPS:
                follow_first(frame, o_at)
            reference = price_in(frame, o_at, step)
            o.trigger = trigger  # it moves when it is tried
            f.n_changes = rows
            makes = step == AT_LIMITS and rests(o_at)
            time = stamp(frame, place_of(frame, o_at, step))
            one = need_of(frame, o_at, reference, makes, time) if reference != 0 else 0.0
            if one > 0.0:
                o.marks |= RATIONED
                sharers += 1
                need += one
    divide(frame, account, last, sharers, need)


def divide(frame: int, account: int, last: int, sharers: int, need: float) -> None:
    """X5: what part of its need each of those that are marked gets; `last` is the asset of one of them."""
    f = at(frame, FRAME)
    a = at(account, ACCOUNT)
    if sharers > 1:
        focus(frame, last)
        value_all(frame, last)
        free = (a.cash + a.worth) - a.gross * at(f.venue, VENUE).initial
        if at(f.venue, VENUE).isolated != 0:
            free = a.cash + unbound(frame, account, -1)
        if need > free:
            a.ratio = max(0.0, free) / need
            return
    release(frame, account)


def release(frame: int, account: int) -> None:
    """X5: rationing ends with its pass."""
    f = at(frame, FRAME)
    for k in range(at(f.state, HEADER).n_live):
        o = at(f.orders + k * ORDER_BYTES, ORDER)
        if covers(frame, account, o.asset):
            o.marks &= ~RATIONED


def twice(frame: int) -> int:
    """X4: pass FRAME.step over the orders of all assets: those that reduce first. 0."""
    f = at(frame, FRAME)
    serve(frame, f.step, True)
    if f.own != 0:
        for v in range(f.n_venue):
            ration(frame, f.step, f.total + ACCOUNT_BYTES * (1 + v))
    else:
        ration(frame, f.step, f.total)
    serve(frame, f.step, False)
    release(frame, f.total)
    return 0


def any_touched(frame: int) -> bool:
    """Whether this bar of the clock reaches, in any asset, a price at which a live order may act."""
    f = at(frame, FRAME)
    if rarely((at(f.venue, VENUE).limits & WAITS) != 0 or f.homes != 0):  # H4: the clock's bars count
        for k in range(at(f.state, HEADER).n_live):
            if (at(f.orders + k * ORDER_BYTES, ORDER).marks & UNDER_WAY) != 0:
                return True
    for k in range(f.n_asset):
        x = at(f.position_0 + POSITION_BYTES * k, POSITION)
        if (x.touch_lo != -FAR or x.touch_hi != FAR) and has_bar(frame, k):
            if x.touch_lo == FAR:
                return True
            focus(frame, k)
            if column(frame, C_LOW, f.i) <= x.touch_lo or column(frame, C_HIGH, f.i) >= x.touch_hi:
                return True
    return False


def meet_all(frame: int) -> int:
    """X2: bar FRAME.clock comes, with live orders, or while all is logged: DONE, or what the driver must know."""
    f = at(frame, FRAME)
    status = room(frame)
    if status != DONE:
        return status
    # E1: a liquidation price may have moved, or will, or a finer bar comes first (F16)
    moves = f.guard != 0 or at(f.fill_model, FILL_MODEL).path == FINER
    acted = moves and at(f.state, HEADER).touch_lo == FAR
    touched = acted or any_touched(frame)
    defocus(frame)
    if not touched:
        return DONE
    return call(f.match, frame) if f.match != 0 else LOAD


def worth(frame: int) -> float:
    """X3: the account at FRAME.account at the closes of its assets' last bars."""
    f = at(frame, FRAME)
    equity = at(f.account, ACCOUNT).cash
    end = f.held + 24 * f.n_held
    place = f.held
    if f.own != 0:
        while place < end:
            if account_of(frame, i8(place)) == f.account:
                equity += f8(i8(place + 8) + 8 * last_bar(frame, i8(place))) * f8(place + 16)
            place += 24
    elif f.bars == 0:
        now = 8 * f.clock
        while place < end:
            equity += f8(i8(place + 8) + now) * f8(place + 16)
            place += 24
    else:
        while place < end:
            equity += f8(i8(place + 8) + 8 * last_bar(frame, i8(place))) * f8(place + 16)
            place += 24
    return equity


def observe(frame: int, equity: float) -> None:
    """M2, M6: what `coast` keeps in registers, bar by bar: the session's extremes, the drawdown and its length."""
    f = at(frame, FRAME)
    m = at(f.metrics, METRICS)
    if equity > m.hi_e:
        m.mdd = max(m.mdd, 1.0 - m.low / m.hi_e)
        m.hi_e = equity
        m.low = equity
    elif equity < m.low:
        m.low = equity
        m.lo_e = min(m.lo_e, equity)
    if equity < m.peak:
        m.under = 1
    else:
        if m.under != 0:
            now = column(frame, C_KNOWN_AT, f.clock)
            m.longest = max(m.longest, now - column(frame, C_KNOWN_AT, m.peak_bar))
            m.under = 0
        m.peak = equity
        m.peak_bar = f.clock


def mark_all(frame: int) -> None:
    """A5, A6, L6, X3: mark the account at bar FRAME.clock."""
    f = at(frame, FRAME)
    a = at(f.account, ACCOUNT)
    h = at(f.state, HEADER)
    m = at(f.metrics, METRICS)
    if h.ruined == 0:
        if f.mark != 0:
            call(f.mark, frame)
        else:
            if f.guard_all != 0 and f.n_held != 0:
                defocus(frame)
                call(f.guard_all, frame)
            a.equity = worth(frame)
        if f.n_held != 0:
            m.active = 1
            m.exposed += 1
        if not a.equity > 0.0:
            call(f.ruin, frame)
            f.n_held = 0
    if f.measure != 0:
        observe(frame, a.equity)
    if f.curve != 0:
        call(f.log, frame)


def march(frame: int) -> int:
    """What `coast` does for one asset: from bar HEADER.i of the clock, whose orders are dealt with, to FRAME.stop."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    a = at(f.account, ACCOUNT)
    m = at(f.metrics, METRICS)
    status = DONE
    i = h.i
    begin = i
    list_held(frame)  # the first bar's orders are dealt with
    quiet = -1 if f.logging != 0 or f.guard != 0 else 0
    while True:
        mark_all(frame)
        if f.decides != 0 and h.ruined == 0:
            status = call(f.decide, frame)
            if status != DONE:
                break
        i += 1
        if i >= f.stop:
            break
        f.i = i
        f.clock = i
        if h.n_moving != 0:
            call(f.arrive, frame)
        if h.n_live > quiet:
            fills = a.n_fills
            status = call(f.meet, frame)
            if status != DONE:
                break
            if a.n_fills != fills:
                m.active = 1
                list_held(frame)
    if f.error != 0:
        if status == DONE:  # it was this bar's decision that failed, not what the next one met
            i -= 1
        status = max(status, f.error)
    if f.measure != 0 and i > begin:
        m.c_last = f8(i8(f.columns + 16 * C_CLOSE_P) + 8 * (i - 1))
    h.i = i
    return status
