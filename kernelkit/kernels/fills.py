"""What a fill is and what it sets off, and how orders end (rules O6-O8, S2, P1, P2, P4, X5)."""

from kernelkit.kernels.account import MOST, book, fail, price, same_side, to_ticks, value_at
from kernelkit.kernels.changes import log_change, log_life
from kernelkit.kernels.costs import ask_model, fee_of, slipped
from kernelkit.kernels.focus import clock_time, focus
from kernelkit.kernels.layout import (
    ACCOUNT,
    AT_FILL,
    C_CLOSE,
    C_HIGH,
    C_KNOWN_AT,
    C_LOW,
    C_VOLUME,
    CALL_RENEW,
    CANCELLED,
    CH_ENDED,
    CH_FILLED,
    CH_RESIZED,
    CH_WOKEN,
    CLOSE_ONLY,
    CLOSES,
    CROWDED,
    CUT,
    FILL_MODEL,
    FILLED,
    FOK,
    FRAME,
    FRESH,
    HEADER,
    INSTRUMENT,
    LIMIT,
    LIVE,
    MAKES,
    ORDER,
    ORDER_BYTES,
    PARENT,
    POSITION,
    R_CASH,
    R_CLOSED,
    R_CUT,
    R_INVALID,
    R_NONE,
    R_OCO,
    R_PARENT,
    R_REDUCE,
    R_REPLACED,
    RATIONED,
    REDUCE,
    REJECTED,
    SHOWN,
    SIZED,
    SLIPS,
    STOP,
    TALLIES,
    TELL_ENDS,
    TOUCH,
    VENUE,
    WAITING,
)
from kernelkit.kernels.memory import at, call, call_kernel, f8, i8, rarely
from kernelkit.kernels.power import REFUSED, affordable, count_in, count_out, cut, equity_at, value_all
from kernelkit.kernels.scan import copy_words
from kernelkit.kernels.tallies import tally

ORDER_WORDS = ORDER_BYTES // 8


def column(frame: int, c: int, i: int) -> int:
    """The int64 in column `c` at bar `i`."""
    columns = at(frame, FRAME).columns
    return i8(i8(columns + 16 * c) + 8 * i)


def column_f(frame: int, c: int, i: int) -> float:
    """The float64 in column `c` at bar `i`."""
    columns = at(frame, FRAME).columns
    return f8(i8(columns + 16 * c) + 8 * i)


def moment(frame: int, c: int, i: int) -> int:
    """The time in column `c` at bar `i`, or 0 where no time counts: it lies far away in memory.

    Marks tell which orders a bar may fill (T2), as a bar is known before the next one opens.
    """
    return column(frame, c, i) if at(frame, FRAME).timed != 0 else 0


def decided_at(frame: int) -> int:
    """T1: when the bar is known at which the strategy decides; in a portfolio it is the clock's."""
    f = at(frame, FRAME)
    if f.shared == 0 or f.timed == 0:
        return moment(frame, C_KNOWN_AT, f.i)
    return clock_time(frame)


def end_one(frame: int, order_at: int, status: int, reason: int, time: int) -> None:
    """O6: the order's last word, logged."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    o.status = status
    o.reason = reason
    o.t_end = time
    if f.keeps == 0:
        return
    if f.tell != 0:
        call_kernel(f.tell, frame, order_at, TELL_ENDS, o.lots, 0, time, 0)
    if f.logging != 0 and f.n_ended >= f.cap_ended:
        fail(frame, CROWDED)
    elif f.logging != 0:
        copy_words(f.ended + f.n_ended * ORDER_BYTES, order_at, ORDER_WORDS)
        f.n_ended += 1
        log_change(frame, order_at, CH_ENDED, o.lots - o.filled, 0, time)


def end_order(frame: int, order_at: int, status: int, reason: int, time: int) -> None:
    """O6, O8: end an order other than by a fill, and the children that it never got to activate."""
    end_one(frame, order_at, status, reason, time)
    f = at(frame, FRAME)
    number = at(order_at, ORDER).id
    for j in range(at(f.state, HEADER).n_live):
        c = at(f.orders + j * ORDER_BYTES, ORDER)
        if c.status == LIVE and c.parent == number and (c.marks & WAITING) != 0:
            end_one(frame, f.orders + j * ORDER_BYTES, CANCELLED, R_PARENT, time)


def end_entry(frame: int, exit_at: int, time: int) -> None:
    """P4: what an exit begins to close is not opened further."""
    f = at(frame, FRAME)
    number = at(exit_at, ORDER).parent
    for j in range(at(f.state, HEADER).n_live):
        entry = at(f.orders + j * ORDER_BYTES, ORDER)
        if number != 0 and entry.status == LIVE and entry.id == number:
            end_order(frame, f.orders + j * ORDER_BYTES, CANCELLED, R_CLOSED, time)


def end_exits(frame: int, asset: int, time: int) -> None:
    """O7, E2: the reduce-only orders of an asset end with its position."""
    f = at(frame, FRAME)
    for j in range(at(f.state, HEADER).n_live):
        o = at(f.orders + j * ORDER_BYTES, ORDER)
        if o.status == LIVE and o.asset == asset and (o.marks & REDUCE) != 0 and (o.marks & WAITING) == 0:
            end_order(frame, f.orders + j * ORDER_BYTES, CANCELLED, R_CLOSED, time)


def sized_gap(
    frame: int, weight: float, lots: int, k: int, equity: float, last: int, time: int, with_slippage: bool
) -> float:
    """S2: the lots (float) from `lots` to `weight` of `equity` at `k` ticks, costs of the trade deducted."""
    f = at(frame, FRAME)
    v = at(f.venue, VENUE)
    g = at(f.instrument, INSTRUMENT)
    p = price(f.instrument, k)
    each = abs(value_at(f.instrument, k))
    held = float(lots)
    wanted = ((weight * equity) / each) / g.unit
    gap = wanted - held
    if gap != 0.0 and (abs(wanted) > abs(held) or (held != 0.0 and (wanted < 0.0) != (held < 0.0))):
        fee = 0.0
        slip = 0.0
        if v.fee != 0:
            fee = ask_model(frame, True, gap, p, 0.0, 0.0, 0.0, False, last, time) / (each * (abs(gap) * g.unit))
        if v.slippage != 0 and with_slippage:
            slip = ask_model(frame, False, gap, p, 0.0, 0.0, 0.0, False, last, time)
        gap = gap / ((1.0 + fee) + slip)
    return gap


def wake(frame: int, entry_at: int, time: int) -> None:
    """O7, F6: the exits of a filled entry come to life, or end where there is nothing for them to close.

    P4: at a later fill of the entry they grow with it.
    """
    f = at(frame, FRAME)
    e = at(entry_at, ORDER)
    g = f.instrument
    p = price(g, e.fill_ticks)
    now = at(f.positions, POSITION).lots
    long = e.filled > 0
    size = min(abs(e.filled), abs(now))
    for j in range(at(f.state, HEADER).n_live):
        c_at = f.orders + j * ORDER_BYTES
        c = at(c_at, ORDER)
        if c.status != LIVE or c.parent != e.id:
            continue
        waiting = (c.marks & WAITING) != 0
        if waiting and not same_side(now, e.filled):
            if e.status != LIVE:
                end_one(frame, c_at, CANCELLED, R_PARENT, time)
            continue
        before = c.lots
        c.lots = -size if long else size
        if waiting or c.kind == LIMIT:
            c.marks = (c.marks & ~WAITING) | FRESH
        if waiting:
            c.t_active = time
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
        if waiting or c.lots != before:
            log_life(frame, c_at, CH_WOKEN if waiting else CH_RESIZED, time)


def after_fill(frame: int, order_at: int, held: int, time: int) -> None:
    """O7: what a fill sets off; `held` is the position before it."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    n = at(f.state, HEADER).n_live
    if n == 1:  # there is no other order
        return
    if o.group != 0:
        for j in range(n):
            other = at(f.orders + j * ORDER_BYTES, ORDER)
            if other.status == LIVE and other.group == o.group and other.id != o.id:
                if o.status != LIVE or (other.marks & REDUCE) == 0:
                    end_order(frame, f.orders + j * ORDER_BYTES, CANCELLED, R_OCO, time)
    now = at(f.positions, POSITION).lots
    if held != 0 and not same_side(held, now):
        end_exits(frame, o.asset, time)
    if o.parent != 0:
        end_entry(frame, order_at, time)
    if (o.marks & PARENT) != 0:
        wake(frame, order_at, time)


def allowed(frame: int, lots: int) -> int:
    """P1: how many of these lots the bar's volume still allows, where the venue limits them."""
    f = at(frame, FRAME)
    share = at(f.venue, VENUE).participation
    x = at(f.positions, POSITION)
    if x.used_at != f.i:
        x.used_at = f.i
        x.used = 0
    most = (share * column_f(frame, C_VOLUME, f.i)) / at(f.instrument, INSTRUMENT).lot
    left = max(0, int(min(most, MOST)) - x.used) if most > 0.0 else 0
    return max(min(lots, left), -left)


def wanted_of(frame: int, order_at: int) -> int:
    """P2, A4: the lots that are left of an order, of a reduce-only one (R1) those that there are to close."""
    o = at(order_at, ORDER)
    wanted = o.lots - o.filled
    if (o.marks & (REDUCE | CLOSES)) != 0:
        held = at(at(frame, FRAME).positions, POSITION).lots
        if not same_side(held, -wanted):
            return 0
        if abs(wanted) > abs(held):
            return -held
    return wanted


def goes_beyond(frame: int, order_at: int) -> bool:
    """P5: whether the bar goes further than a limit order asks for its fill."""
    f = at(frame, FRAME)
    m = at(f.fill_model, FILL_MODEL)
    o = at(order_at, ORDER)
    thr = 0 if m.limit == TOUCH else 1
    if o.lots > 0:
        return column(frame, C_CLOSE if m.path == CLOSE_ONLY else C_LOW, f.i) < o.price - thr
    return column(frame, C_CLOSE if m.path == CLOSE_ONLY else C_HIGH, f.i) > o.price + thr


def takes(frame: int, order_at: int, wanted: int) -> int:
    """P1, P5: what an order may take in this bar of the lots that it wants."""
    o = at(order_at, ORDER)
    if o.display > 0 and abs(wanted) > o.display and not goes_beyond(frame, order_at):
        wanted = o.display if wanted > 0 else -o.display
    return allowed(frame, wanted) if at(at(frame, FRAME).venue, VENUE).participation != 0.0 else wanted


def rationed(frame: int, order_at: int, lots: int) -> int:
    """X5: what of these lots an order gets where several ask for more than there is."""
    f = at(frame, FRAME)
    if (at(order_at, ORDER).marks & RATIONED) == 0:
        return lots
    held = at(f.positions, POSITION).lots
    after = held + lots
    free = 0  # lots that need no cash
    if same_side(held, -after):
        free = -2 * held if abs(after) > abs(held) else -held
    return free + int(float(lots - free) * at(f.account, ACCOUNT).ratio)


def fill(frame: int, order_at: int, reference: int, how: int, rule: int, time: int) -> None:
    """Fill an order at `reference` ticks, as far as reduce-only, volume, costs and cash let it (C1, S5, A2-A4, P2).

    `how` is MAKES, TAKES or SLIPS.
    """
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    limited = at(f.venue, VENUE).participation != 0.0
    if limited and allowed(frame, 1) == 0:
        return
    wanted = wanted_of(frame, order_at)
    if wanted == 0:
        end_order(frame, order_at, CANCELLED, R_REDUCE, time)
        return
    if f.shared != 0:
        count_out_all(frame, o.asset)
    exchange(frame, order_at, wanted, reference, how, rule, time)
    if f.shared != 0:
        count_in_again(frame, o.asset)


def count_out_all(frame: int, asset: int) -> None:
    """X3: value the other assets for a fill of this one, which is then counted apart."""
    value_all(frame, asset)
    count_out(frame)


def count_in_again(frame: int, asset: int) -> None:
    """X3: the filled asset counts with the others again."""
    focus(frame, asset)
    count_in(frame)


def exchange(frame: int, order_at: int, wanted: int, reference: int, how: int, rule: int, time: int) -> None:
    """Up to `wanted` lots against cash."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    held = at(f.positions, POSITION).lots
    asked = takes(frame, order_at, wanted)
    at_fill = (o.marks & (AT_FILL | SIZED)) == AT_FILL
    lots = asked if at_fill else rationed(frame, order_at, asked)
    k = slipped(frame, order_at, lots, reference, time) if how == SLIPS else reference
    if at_fill:
        gap = 0.0 if o.weight == 0.0 else sized_gap(frame, o.weight, held, k, equity_at(frame, k), f.i - 1, time, False)
        if not abs(gap) < MOST:
            end_order(frame, order_at, REJECTED, R_INVALID, time)
            return
        wanted = -held if o.weight == 0.0 else int(gap)
        if not same_side(wanted, o.lots):
            end_order(frame, order_at, CANCELLED, R_REPLACED, time)
            return
        if o.lots != wanted:
            o.lots = wanted
            log_life(frame, order_at, CH_RESIZED, time)
        o.marks |= SIZED  # once: a split may leave nothing of what has filled (E2)
        wanted = wanted_of(frame, order_at)  # R1
        asked = takes(frame, order_at, wanted)
        lots = rationed(frame, order_at, asked)
    if o.tif == FOK and lots != wanted:
        return
    maker = how == MAKES
    fee = fee_of(frame, order_at, lots, k, maker, time)
    paid_for = lots
    if not affordable(frame, lots, k, fee):
        if o.tif == FOK and at(f.venue, VENUE).cash_rule == CUT:
            return
        paid_for = cut(frame, order_at, lots, k, maker, time)
        if paid_for == REFUSED:
            end_order(frame, order_at, REJECTED, R_CASH, time)
            return
        fee = fee_of(frame, order_at, paid_for, k, maker, time)
    if paid_for == 0:
        end_order(frame, order_at, CANCELLED, R_CUT, time)
        return
    book(frame, order_at, paid_for, k, reference, fee, time, rule)
    if f.logging != 0:
        log_change(frame, order_at, CH_FILLED, paid_for, k, time)
    if rarely((at(f.venue, VENUE).limits & TALLIES) != 0):
        tally(frame, held, paid_for, k)
    if f.guard != 0:
        f.place = CALL_RENEW
        call(f.guard, frame)
    if at(f.venue, VENUE).participation != 0.0:
        at(f.positions, POSITION).used += abs(paid_for)
    if o.display > 0 and not goes_beyond(frame, order_at):
        o.marks |= SHOWN
    if paid_for != asked:
        end_one(frame, order_at, CANCELLED, R_CUT, time)
    elif asked == wanted:
        end_one(frame, order_at, FILLED, R_NONE, time)
    after_fill(frame, order_at, held, time)
