"""When a venue takes orders and matches them: its hours, its outages, its rate, how far it is (rules H1-H5, R9)."""

from kernelkit.kernels.account import fail
from kernelkit.kernels.changes import log_life
from kernelkit.kernels.fills import column, decided_at, end_order
from kernelkit.kernels.focus import defocus, look_at
from kernelkit.kernels.layout import (
    ACCOUNT,
    BREACH,
    BREACH_BYTES,
    C_KNOWN_AT,
    C_OPEN_AT,
    CALLED_OFF,
    CANCELLED,
    CH_REPLACED,
    CROWDED,
    D_DELAYED,
    D_REJECTED,
    ENDING,
    FAR,
    FRAME,
    HEADER,
    HOURS,
    LATENCY,
    LIMIT,
    LIVE,
    ORDER,
    ORDER_BYTES,
    OUTAGES,
    PENDING,
    R_CLOSED_MARKET,
    R_DOWN,
    R_NONE,
    R_RATE,
    R_USER,
    RATE,
    REJECTED,
    REPLACING,
    RULES,
    SEEN,
    STOPS,
    TRIGGERED,
    TURNS_AWAY,
    VENUE,
)
from kernelkit.kernels.memory import at, i8


def note(
    frame: int, order_at: int, reason: int, done: int, limit: float, found: float, before: int, after: int, until: int
) -> None:
    """R9: a rule has hit an order; `before` and `after` are lots."""
    f = at(frame, FRAME)
    if f.logging == 0:
        return
    if f.n_breaches >= f.cap_breaches:
        fail(frame, CROWDED)
        return
    o = at(order_at, ORDER)
    b = at(f.breaches + f.n_breaches * BREACH_BYTES, BREACH)
    b.order = o.id
    b.asset = o.asset
    b.time = decided_at(frame)
    b.reason = reason
    b.done = done
    b.before = before
    b.after = after
    b.until = until
    b.limit = limit
    b.found = found
    f.n_breaches += 1


def note_change(frame: int, order_at: int, reason: int, done: int, limit: float, found: float, until: int) -> None:
    """R9: the same of what was asked of a live order: the first of each decision."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    now = decided_at(frame)
    k = f.n_breaches - 1
    while k >= 0 and at(f.breaches + k * BREACH_BYTES, BREACH).time == now:
        if at(f.breaches + k * BREACH_BYTES, BREACH).order == o.id:
            return
        k -= 1
    note(frame, order_at, reason, done, limit, found, o.lots, o.lots, until)


def last_before(table: int, width: int, n: int, time: int) -> int:
    """The last of `n` rows of `width` words that begins at or before `time`, -1 where none does."""
    low = -1
    high = n
    while high - low > 1:
        middle = (low + high) // 2
        if i8(table + 8 * width * middle) <= time:
            low = middle
        else:
            high = middle
    return low


def outage_at(frame: int, time: int) -> int:
    """H2: where the outage lies in which `time` is, 0 for none."""
    r = at(at(at(frame, FRAME).venue, VENUE).rules, RULES)
    k = last_before(r.outages, 3, r.n_outages, time)
    return r.outages + 24 * k if k >= 0 and time < i8(r.outages + 24 * k + 8) else 0


def open_from(frame: int, time: int) -> int:
    """H1: `time` where the exchange is open then, else when it opens next."""
    r = at(at(at(frame, FRAME).venue, VENUE).rules, RULES)
    k = last_before(r.hours, 2, r.n_hours, time)
    if k >= 0 and time < i8(r.hours + 16 * k + 8):
        return time
    return i8(r.hours + 16 * (k + 1)) if k + 1 < r.n_hours else FAR


def far_away(frame: int) -> bool:
    """H5: whether what is decided reaches the venue later."""
    return (at(at(frame, FRAME).venue, VENUE).limits & LATENCY) != 0


def arrival(frame: int) -> int:
    """H5: when what is decided now reaches the venue."""
    time = decided_at(frame)
    return time + at(at(at(frame, FRAME).venue, VENUE).rules, RULES).latency if far_away(frame) else time


def down(frame: int) -> int:
    """H2: where the outage lies in which the venue hears what is decided now, 0 for none."""
    if (at(at(frame, FRAME).venue, VENUE).limits & OUTAGES) == 0:
        return 0
    return outage_at(frame, arrival(frame))


def turns_away(outage_at: int) -> bool:
    """H2: whether orders are rejected in this outage."""
    return (i8(outage_at + 16) & TURNS_AWAY) != 0


def dark(frame: int) -> bool:
    """H1, H2: whether no pass takes place in bar FRAME.i of the clock."""
    f = at(frame, FRAME)
    v = at(f.venue, VENUE)
    r = at(v.rules, RULES)
    opens = column(frame, C_OPEN_AT, f.i)
    if (v.limits & HOURS) != 0:
        k = last_before(r.hours, 2, r.n_hours, opens)
        if k < 0 or opens > i8(r.hours + 16 * k + 8):
            return True
    if (v.limits & OUTAGES) != 0:
        k = last_before(r.outages, 3, r.n_outages, column(frame, C_KNOWN_AT, f.i) - 1)
        while k >= 0 and i8(r.outages + 24 * k + 8) > opens:
            if (i8(r.outages + 24 * k + 16) & STOPS) != 0:
                return True
            k -= 1
    return False


def all_dark(frame: int) -> bool:
    """H1, H2: whether no pass takes place in this bar of the clock; each of several venues is looked at by itself."""
    f = at(frame, FRAME)
    if f.homes == 0:
        return dark(frame)
    for v in range(f.n_venue):
        look_at(frame, v)
        at(f.member, ACCOUNT).shut = f.clock + 1 if dark(frame) else 0
    defocus(frame)
    return False


def shut(frame: int) -> bool:
    """V2: whether the venue in focus, of several, matches nothing in this bar of the clock."""
    f = at(frame, FRAME)
    return f.homes != 0 and at(f.member, ACCOUNT).shut == f.clock + 1


def send(frame: int, order_at: int, new: bool) -> int:
    """H5, H2, H3, H1: why an order, or its replacement, is not taken; else R_NONE, and FRAME.sent_at is when it is."""
    f = at(frame, FRAME)
    v = at(f.venue, VENUE)
    r = at(v.rules, RULES)
    time = arrival(frame)
    outage = down(frame)
    if outage != 0:
        if turns_away(outage):
            return refuse(frame, order_at, R_DOWN, time, new)
        time = i8(outage + 8)
        delay(frame, order_at, R_DOWN, time, new)
    if (v.limits & RATE) != 0:
        slot = slot_for(frame, time)
        if slot > time and r.rate_rejects != 0:
            return refuse(frame, order_at, R_RATE, time, new)
        count_sent(frame, slot)
        if slot > time:
            time = slot
            delay(frame, order_at, R_RATE, time, new)
    if (v.limits & HOURS) != 0:
        opens = open_from(frame, time)
        if opens != time:
            if r.closed_rejects != 0:
                return refuse(frame, order_at, R_CLOSED_MARKET, time, new)
            time = opens
            delay(frame, order_at, R_CLOSED_MARKET, time, new)
    f.sent_at = time
    return R_NONE


def slot_for(frame: int, time: int) -> int:
    """H3: when an order that comes at `time` may be sent."""
    f = at(frame, FRAME)
    a = at(f.member, ACCOUNT)
    r = at(at(f.venue, VENUE).rules, RULES)
    if a.sent == 0 or a.window < time // r.per:
        return time
    window = a.window if a.sent < r.rate else a.window + 1
    return max(time, window * r.per)


def count_sent(frame: int, time: int) -> None:
    """H3: an order is sent at `time`."""
    f = at(frame, FRAME)
    a = at(f.member, ACCOUNT)
    window = time // at(at(f.venue, VENUE).rules, RULES).per
    if a.sent == 0 or a.window != window:
        a.window = window
        a.sent = 0
    a.sent += 1


def refuse(frame: int, order_at: int, reason: int, time: int, new: bool) -> int:
    """R9: note that the venue does not take it; the reason.

    H5: R_NONE where that shows only later: the order ends then, of a replacement FRAME.sent_at is FAR.
    """
    rate = float(at(at(at(frame, FRAME).venue, VENUE).rules, RULES).rate)
    if new:
        note(frame, order_at, reason, D_REJECTED, rate, rate + 1.0, at(order_at, ORDER).lots, 0, 0)
    else:
        note_change(frame, order_at, reason, D_REJECTED, rate, rate + 1.0, 0)
    if not far_away(frame):
        return reason
    at(frame, FRAME).sent_at = time if new else FAR
    if new:
        end_later(order_at, reason, time)
    else:
        on_its_way(frame, order_at, time)
    return R_NONE


def end_later(order_at: int, reason: int, time: int) -> None:
    """H4, H5: a live order is to end; what comes first of all that would end it does."""
    o = at(order_at, ORDER)
    if (o.marks & ENDING) == 0 or time < o.t_cancel:
        o.marks |= ENDING
        o.reason = reason
        o.t_cancel = time
        if (o.marks & PENDING) != 0 and o.t_change >= time:
            o.marks &= ~PENDING


def on_its_way(frame: int, order_at: int, time: int) -> None:
    """H5: a replacement reaches the venue at `time`, which may refuse it."""
    o = at(order_at, ORDER)
    o.marks |= REPLACING
    o.t_asked = decided_at(frame)
    o.t_sent = time


def delay(frame: int, order_at: int, reason: int, until: int, new: bool) -> None:
    """R9: note that it reaches the venue later."""
    o = at(order_at, ORDER)
    rate = float(at(at(at(frame, FRAME).venue, VENUE).rules, RULES).rate)
    if new:
        note(frame, order_at, reason, D_DELAYED, rate, rate + 1.0, o.lots, o.lots, until)
    else:
        note_change(frame, order_at, reason, D_DELAYED, rate, rate + 1.0, until)


def call_off(frame: int, order_at: int, reason: int) -> bool:
    """O9, S1, H4, H5: end a live order at the decision, or when the venue hears of it; False where it refuses."""
    o = at(order_at, ORDER)
    if (o.marks & ENDING) != 0 and o.reason < R_DOWN:  # one is under way
        return True
    outage = down(frame)
    if outage == 0 and not far_away(frame):
        end_order(frame, order_at, CANCELLED, reason, decided_at(frame))
        return True
    time = arrival(frame)
    heard = outage == 0 or not turns_away(outage)
    if not heard:
        note_change(frame, order_at, R_DOWN, D_REJECTED, 0.0, 0.0, 0)
        if not far_away(frame):
            return False
    elif outage != 0:
        time = i8(outage + 8)
        note_change(frame, order_at, R_DOWN, D_DELAYED, 0.0, 0.0, time)
    o.marks |= CALLED_OFF
    o.t_called = time
    if heard:
        end_later(order_at, reason, time)
    return True


def put_off(frame: int, order_at: int, lots: int, price: int, trigger: int) -> None:
    """H4: what a live order is to become, 0 for no change, once FRAME.sent_at has come."""
    o = at(order_at, ORDER)
    time = at(frame, FRAME).sent_at
    on_its_way(frame, order_at, time)
    o.marks |= PENDING
    o.t_change = time
    o.next_lots = lots
    o.next_price = price
    o.next_trigger = trigger


def take_effect(frame: int, c: int) -> None:
    """H4, H5: what was asked of live orders for a time up to that in column `c`: a bar's beginning, or its end."""
    f = at(frame, FRAME)
    time = column(frame, c, f.i)
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        ends = (o.marks & ENDING) != 0 and o.t_cancel <= time
        if (
            o.status == LIVE
            and (o.marks & PENDING) != 0
            and o.t_change <= time
            and not (ends and o.t_cancel <= o.t_change)
        ):
            renew(frame, o_at)
        if o.status == LIVE and ends:
            end_order(frame, o_at, CANCELLED if o.reason < R_DOWN else REJECTED, o.reason, o.t_cancel)
        if (o.marks & CALLED_OFF) != 0 and o.t_called <= time:
            o.marks &= ~CALLED_OFF
        if (o.marks & REPLACING) != 0 and o.t_sent <= time:
            o.marks &= ~REPLACING


def renew(frame: int, order_at: int) -> None:
    """O16, H4: a live order gets the numbers that were asked for; with no more lots than have filled it ends."""
    o = at(order_at, ORDER)
    o.marks &= ~(PENDING | SEEN)
    if o.next_lots != 0 and abs(o.next_lots) <= abs(o.filled):
        end_order(frame, order_at, CANCELLED, R_USER, o.t_change)
        return
    if o.next_lots != 0:
        o.lots = o.next_lots
    if o.next_price != 0:
        o.price = o.next_price
    if o.next_trigger != 0 and (o.marks & TRIGGERED) == 0:
        o.trigger = o.next_trigger
    if o.kind == LIMIT:
        o.take_profit = 0.0
    else:
        o.stop_loss = 0.0
    o.t_active = o.t_change
    o.t_replace = o.t_change
    log_life(frame, order_at, CH_REPLACED, o.t_change)
