"""What happens to an account by the calendar: splits, dividends, delistings, funding, interest, borrowing (E1-E8)."""

from math import floor

from kernelkit.kernels.account import SNAP, close_trade, price, to_ticks
from kernelkit.kernels.changes import log_life
from kernelkit.kernels.fills import column, column_f, end_exits, end_order
from kernelkit.kernels.focus import account_of, close_since, defocus, focus, has_bar
from kernelkit.kernels.layout import (
    ACCOUNT,
    ACCOUNT_BYTES,
    ACTION,
    ACTION_BYTES,
    BORROW,
    C_CLOSE_P,
    C_OPEN_AT,
    CALL_RENEW,
    CANCELLED,
    CH_SPLIT,
    DELISTING,
    DIVIDEND,
    FAR,
    FRAME,
    FUNDING,
    HAPPENED,
    HAPPENED_BYTES,
    HEADER,
    INSTRUMENT,
    INSTRUMENT_BYTES,
    INTEREST,
    INVERSE,
    LINEAR,
    LIVE,
    METRICS,
    ORDER,
    ORDER_BYTES,
    PENDING,
    POSITION,
    POSITION_BYTES,
    R_DELISTED,
    R_SPLIT,
    SPLIT,
    VENUE,
    WITHIN,
)
from kernelkit.kernels.matching import end_asset, tidy
from kernelkit.kernels.memory import at, call
from kernelkit.kernels.triggers import if_touched


def account_at(frame: int) -> int:
    """The instrument that has an account's actions: its asset's, or the clock's."""
    f = at(frame, FRAME)
    return (f.instrument_0 if f.coarse_0 == 0 else f.coarse_0) - INSTRUMENT_BYTES


def due_bar(frame: int) -> int:
    """E1: the account's bar in which its next action takes effect, FAR where there is none."""
    f = at(frame, FRAME)
    g = at(account_at(frame), INSTRUMENT)
    k = at(f.state, HEADER).next_action
    return at(g.actions + ACTION_BYTES * k, ACTION).bar if k < g.n_actions else FAR


def pass_over(frame: int, bar: int) -> None:
    """E1: actions up to the bar at which the account begins change nothing; what was delisted by then stays so."""
    f = at(frame, FRAME)
    while due_bar(frame) <= bar:
        a = at(at(account_at(frame), INSTRUMENT).actions + ACTION_BYTES * at(f.state, HEADER).next_action, ACTION)
        if a.kind == DELISTING:
            at(f.position_0 + POSITION_BYTES * a.asset, POSITION).delisted = 1
        at(f.state, HEADER).next_action += 1


def happen(frame: int) -> int:
    """E1: what is due in this bar up to FRAME.place. 0."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    place = f.place
    now = f.clock if f.coarse_0 == 0 else f.coarse_i
    opens = column(frame, C_OPEN_AT, f.i) if f.coarse != 0 else 0
    while due_bar(frame) == now:
        a_at = at(account_at(frame), INSTRUMENT).actions + ACTION_BYTES * h.next_action
        if at(a_at, ACTION).place > place:
            break
        if f.coarse != 0 and at(a_at, ACTION).time > opens:  # F16: not before this finer bar
            break
        h.next_action += 1
        carry_out(frame, a_at)
    defocus(frame)
    if place != WITHIN or f.coarse != 0:  # else the bar's passes go on with what they know of the orders
        tidy(frame)
    return 0


def carry_out(frame: int, action_at: int) -> None:
    """One action."""
    f = at(frame, FRAME)
    a = at(action_at, ACTION)
    if a.kind == INTEREST:
        earn(frame, action_at)
    else:
        focus(frame, a.asset)
        if a.kind == SPLIT:
            split(frame, a.value, a.time)
        elif a.kind == DIVIDEND:
            share_out(frame, a.value, a.time)
        elif a.kind == DELISTING:
            delist(frame, a.value, a.time)
        else:
            charge(frame, action_at)
    if f.guard != 0 and (f.shared == 0 or a.kind != INTEREST):  # L7: interest is at no stake
        f.place = CALL_RENEW
        call(f.guard, frame)


def close_before(frame: int) -> float:
    """E1: the close of the focused asset's last bar before this one of the account, in the units of now."""
    f = at(frame, FRAME)
    if f.coarse != 0:
        return close_since(frame)
    if not has_bar(frame, f.asset):
        return column_f(frame, C_CLOSE_P, f.i)
    x = at(f.positions, POSITION)
    return x.before if x.acted_at == f.i else column_f(frame, C_CLOSE_P, f.i - 1)


def act_on(frame: int, before: float) -> None:
    """E1, F10: a split or dividend has begun the asset's bar; `before` is the close before, as it leaves that."""
    x = at(at(frame, FRAME).positions, POSITION)
    x.before = before
    x.acted_at = at(frame, FRAME).i


def value_before(frame: int) -> float:
    """N(C, h): what the focused position is worth at that close."""
    f = at(frame, FRAME)
    g = at(f.instrument, INSTRUMENT)
    each = close_before(frame) if g.contract == LINEAR else -1.0 / close_before(frame)
    return each * (float(at(f.positions, POSITION).lots) * g.unit)


def pay(frame: int, kind: int, amount: float, time: int) -> None:
    """Book what the focused position gets (or, negative, pays) without a fill."""
    f = at(frame, FRAME)
    x = at(f.positions, POSITION)
    at(f.account, ACCOUNT).cash += amount
    x.pnl += amount
    if at(f.venue, VENUE).isolated != 0 and kind != SPLIT:
        x.stake += amount
    log_action(frame, kind, f.asset, time, x.lots, amount)


def log_action(frame: int, kind: int, asset: int, time: int, lots: int, amount: float) -> None:
    """Log what happened, where that is wanted."""
    f = at(frame, FRAME)
    if f.logging != 0 and (amount != 0.0 or kind == SPLIT or kind == DELISTING):
        r = at(f.happened + HAPPENED_BYTES * f.n_happened, HAPPENED)
        r.kind = kind
        r.asset = asset
        r.time = time
        r.lots = lots
        r.amount = amount
        f.n_happened += 1


def scale(lots: int, ratio: float) -> int:
    """E2: what a number of old lots becomes."""
    x = float(abs(lots)) * ratio
    n = floor(x + 0.5)
    if abs(x - n) > SNAP:
        n = floor(x)
    return int(n) if lots > 0 else -int(n)


def split(frame: int, ratio: float, time: int) -> None:
    """E2: `ratio` new units for each old one."""
    f = at(frame, FRAME)
    x = at(f.positions, POSITION)
    m = at(f.metrics, METRICS)
    if f.shared == 0:
        m.c_prev = m.c_prev / ratio
    held = x.lots
    before = close_before(frame) / ratio
    act_on(frame, before)
    if held != 0:
        after = scale(held, ratio)
        left = float(held) * ratio - float(after)
        if abs(left) <= SNAP:
            left = 0.0
        pay(frame, SPLIT, before * (left * at(f.instrument, INSTRUMENT).unit), time)
        x.lots = after
        x.quantity = float(after) * at(f.instrument, INSTRUMENT).lot
        x.peak_lots = max(1, scale(x.peak_lots, ratio))
        if after == 0:
            close_trade(frame, x.pnl, x.fees, time)
            end_exits(frame, f.asset, time)
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if o.status == LIVE and o.asset == f.asset:
            split_order(frame, o_at, ratio, time)


def split_order(frame: int, order_at: int, ratio: float, time: int) -> None:
    """E2: a live order asks for as much as before, at prices that are worth as much."""
    o = at(order_at, ORDER)
    rest = scale(o.lots - o.filled, ratio)
    coming = scale(o.next_lots - o.filled, ratio)
    o.filled = scale(o.filled, ratio)
    buys = o.lots > 0
    o.lots = o.filled + rest
    if o.display > 0:
        o.display = max(1, scale(o.display, ratio))
    if rest == 0 or ((o.marks & PENDING) != 0 and o.next_lots != 0 and coming + o.filled == 0):
        end_order(frame, order_at, CANCELLED, R_SPLIT, time)
        return
    o.t_replace = time
    if o.price > 0:
        o.price = moved(frame, o.price, ratio, not buys)
    if o.trigger > 0:
        o.trigger = moved(frame, o.trigger, ratio, buys != if_touched(order_at))
    if (o.marks & PENDING) != 0:  # H4
        o.next_lots = coming + o.filled if o.next_lots != 0 else 0
        o.next_price = moved(frame, o.next_price, ratio, not buys) if o.next_price != 0 else 0
        o.next_trigger = moved(frame, o.next_trigger, ratio, buys != if_touched(order_at)) if o.next_trigger != 0 else 0
    if o.trail > 0:
        o.trail = moved(frame, o.trail, ratio, True)
    if o.offset > 0:
        o.offset = moved(frame, o.offset, ratio, False)
    log_life(frame, order_at, CH_SPLIT, time)


def moved(frame: int, k: int, ratio: float, up: bool) -> int:
    """E2: what a price of `k` ticks becomes."""
    g = at(frame, FRAME).instrument
    return to_ticks(g, price(g, k) / ratio, up)


def share_out(frame: int, each: float, time: int) -> None:
    """E3: a dividend; M2's benchmark is of one who got it."""
    f = at(frame, FRAME)
    m = at(f.metrics, METRICS)
    held = at(f.positions, POSITION).lots
    before = close_before(frame)
    act_on(frame, before)
    if f.shared == 0 and each < before:
        m.c_prev = m.c_prev * ((before - each) / before)
    if held != 0:
        pay(frame, DIVIDEND, (float(held) * at(f.instrument, INSTRUMENT).unit) * each, time)


def delist(frame: int, value: float, time: int) -> None:
    """E4: the asset leaves the market; its orders end, its position is paid out."""
    f = at(frame, FRAME)
    x = at(f.positions, POSITION)
    x.delisted = 1
    end_asset(frame, R_DELISTED, time)
    if x.lots != 0:
        each = value if value == value else column_f(frame, C_CLOSE_P, f.i)
        pay(frame, DELISTING, each * (float(x.lots) * at(f.instrument, INSTRUMENT).unit), time)
        close_trade(frame, x.pnl, x.fees, time)
        x.lots = 0
        x.quantity = 0.0


def charge(frame: int, action_at: int) -> None:
    """E5, E7: funding, or what borrowed units cost."""
    f = at(frame, FRAME)
    a = at(action_at, ACTION)
    held = at(f.positions, POSITION).lots
    if held == 0:
        return
    if a.kind == BORROW:
        if held < 0 and at(f.instrument, INSTRUMENT).contract == LINEAR:
            pay(frame, BORROW, -(abs(value_before(frame)) * a.value), a.time)
    elif a.value == a.value:
        mark = a.price if a.price == a.price else close_before(frame)
        g = at(f.instrument, INSTRUMENT)
        size = float(held) * g.unit
        value = mark * size if g.contract == LINEAR else size / mark
        pay(frame, FUNDING, -(value * a.value), a.time)


def earn(frame: int, action_at: int) -> None:
    """E6: interest on the cash that is the account's own, or on what it owes."""
    f = at(frame, FRAME)
    a = at(action_at, ACTION)
    mine = f.total if f.own == 0 else f.total - ACCOUNT_BYTES * (1 + a.asset)  # V1: its venue, as -2, -3 ...
    account = at(mine, ACCOUNT)
    short = 0.0
    margined = 0.0
    for k in range(f.n_asset):
        lots = at(f.position_0 + POSITION_BYTES * k, POSITION).lots
        if lots != 0 and account_of(frame, k) == mine:
            focus(frame, k)
            if at(f.instrument, INSTRUMENT).contract == INVERSE:
                margined += value_before(frame)
            elif lots < 0:
                short += abs(value_before(frame))
    free = (account.cash - short) + margined
    amount = free * (a.value if free >= 0.0 else a.price)
    account.cash += amount
    log_action(frame, INTEREST, a.asset, a.time, 0, amount)
