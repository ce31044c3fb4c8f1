"""What a mandate, a broker or a law forbids an account: how much it may have at worst, order by order (R1-R9, U1)."""

from kernelkit.kernels.accept import MORE, asked_price, below_minimum
from kernelkit.kernels.account import MOST, price, value_at
from kernelkit.kernels.costs import INF
from kernelkit.kernels.fills import column, decided_at
from kernelkit.kernels.focus import account_of, focus
from kernelkit.kernels.halts import note, note_change, send
from kernelkit.kernels.layout import (
    ACCOUNT,
    ACTION,
    ACTION_BYTES,
    AT_FILL,
    C_CLOSE,
    C_LOW,
    C_OPEN_AT,
    C_SESSION,
    CLOSES,
    D_CUT,
    D_REJECTED,
    FAR,
    FRAME,
    HEADER,
    INSTRUMENT,
    INSTRUMENT_BYTES,
    LIMIT,
    LIVE,
    NEW,
    ORDER,
    ORDER_BYTES,
    OTHER,
    PENDING,
    POSITION,
    POSITION_BYTES,
    R_CONCENTRATION,
    R_DAY_TRADES,
    R_LEVERAGE,
    R_MINIMUM,
    R_NONE,
    R_NOTIONAL,
    R_POSITION,
    R_SHORT,
    R_SHORT_PRICE,
    R_TURNOVER,
    R_UNIVERSE,
    REDUCE,
    RISK,
    RULES,
    SPLIT,
    TRIPS,
    UNIVERSE,
    VENUE,
    WAITS,
)
from kernelkit.kernels.memory import at, f8, i8, put_i8
from kernelkit.kernels.tallies import OFF_TRIP, now_at, session_at

DAY_TRADE_SESSIONS = 5  # R6
FREE = FAR  # more lots than anything can have: no limit


def judge(frame: int) -> int:
    """Why the order at FRAME.judged is not taken, R_NONE where it is: then as far as R8, H1-H3 and H5 leave it.

    FRAME.judging says whether it is NEW; FRAME.sent_at is when it reaches the venue.
    """
    f = at(frame, FRAME)
    flags = at(f.venue, VENUE).limits
    o_at = f.judged
    f.sent_at = decided_at(frame)
    if (flags & (RISK | UNIVERSE)) != 0 and (at(o_at, ORDER).marks & REDUCE) == 0:
        wrong = broken(frame, o_at)
        if wrong != R_NONE:
            return wrong
    if (flags & WAITS) != 0:
        wrong = send(frame, o_at, f.judging == NEW)
        if wrong == R_NONE and f.judging == NEW:
            at(o_at, ORDER).t_active = f.sent_at
        return wrong
    return R_NONE


def broken(frame: int, order_at: int) -> int:
    """R1, R8, U1: the limit that an order may not break, R_NONE once it is within all of them."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    v = at(f.venue, VENUE)
    side = 1 if o.lots > 0 else -1
    size = abs(o.lots) - abs(o.filled)
    base = side * at(f.positions, POSITION).lots + open_lots(frame, o.asset, side, order_at)
    if f.judging != OTHER:
        o.marks &= ~CLOSES
    if base + size <= 0:
        o.marks |= CLOSES
        return R_NONE
    reducing = max(0, min(size, -base))
    new = f.judging == NEW
    if (v.limits & UNIVERSE) != 0 and f.judging != OTHER and outside(frame):
        hit(frame, order_at, R_UNIVERSE, 1.0, 0.0, o.lots)
        return R_UNIVERSE
    if (v.limits & RISK) == 0:
        return R_NONE
    lots = size
    for reason in range(R_POSITION if f.judging != OTHER else R_SHORT_PRICE, R_SHORT_PRICE + 1):
        most = most_lots(frame, order_at, reason, base, side)
        left = max(reducing, most - base)
        if lots > left:
            limit = limit_of_rule(frame, reason)
            found = found_of(frame, order_at, reason, base, lots)
            if left == 0 or not new or at(v.rules, RULES).cut == 0:
                hit(frame, order_at, reason, limit, found, side * lots)
                return reason
            note(frame, order_at, reason, D_CUT, limit, found, side * lots, side * left, 0)
            lots = left
    if new and lots != size:
        o.lots = side * lots
        o.marks &= ~AT_FILL
        if base + lots <= 0:
            o.marks |= CLOSES
        if below_minimum(frame, o.lots, asked_price(frame, order_at)):
            return R_MINIMUM
    return R_NONE


def hit(frame: int, order_at: int, reason: int, limit: float, found: float, lots: int) -> None:
    """R9: note that a limit refuses an order, of which others have left so many lots, or its replacement."""
    if at(frame, FRAME).judging == NEW:
        note(frame, order_at, reason, D_REJECTED, limit, found, lots, 0, 0)
    else:
        note_change(frame, order_at, reason, D_REJECTED, limit, found, 0)


def left_of(order_at: int) -> int:
    """R1: the lots of an order that have not filled, the larger number where it is about to change."""
    o = at(order_at, ORDER)
    size = abs(o.lots)
    if (o.marks & PENDING) != 0:
        size = max(size, abs(o.next_lots))
    return size - abs(o.filled)


def opens(frame: int, order_at: int, besides: int) -> bool:
    """R1: whether it is another live order of the account than that at `besides`, and may make a position larger."""
    o = at(order_at, ORDER)
    mine = o.status == LIVE and account_of(frame, o.asset) == at(frame, FRAME).account
    return mine and order_at != besides and (o.marks & REDUCE) == 0


def open_lots(frame: int, asset: int, side: int, besides: int) -> int:
    """R1: what the asset's other live orders on this side may add."""
    f = at(frame, FRAME)
    total = 0
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if o.asset == asset and (o.lots > 0) == (side > 0) and opens(frame, o_at, besides):
            total += left_of(o_at)
    return total


def lots_in(x: float, each: float) -> int:
    """R1: how many lots worth `each` there are in `x`."""
    return int(min((x * MORE) / each, MOST)) if x > 0.0 else 0


def close_price(frame: int) -> float:
    """P(C) of the last bar of the asset in focus."""
    f = at(frame, FRAME)
    return price(f.instrument, column(frame, C_CLOSE, f.i))


def close_value(frame: int) -> float:
    """|W(C)| of that bar."""
    f = at(frame, FRAME)
    return abs(value_at(f.instrument, column(frame, C_CLOSE, f.i)))


def most_lots(frame: int, order_at: int, reason: int, base: int, side: int) -> int:
    """R2-R7: how many lots the account may have on this side, FREE where the rule does not ask."""
    f = at(frame, FRAME)
    g = at(f.instrument, INSTRUMENT)
    a = at(f.account, ACCOUNT)
    r = at(at(f.venue, VENUE).rules, RULES)
    each = close_value(frame) * g.unit
    if reason == R_POSITION:
        return lots_in(r.position, g.lot) if r.position < INF else FREE
    if reason == R_NOTIONAL:
        return lots_in(r.notional, each) if r.notional < INF else FREE
    if reason == R_CONCENTRATION:
        return lots_in(r.concentration * a.equity, each) if r.concentration < INF else FREE
    if reason == R_LEVERAGE:
        return lots_in(r.leverage * a.equity - exposed(frame, order_at), each) if r.leverage < INF else FREE
    if reason == R_TURNOVER:
        if not r.turnover < INF:
            return FREE
        return base + lots_in((r.turnover - turned(frame)) * a.equity - ordered(frame, order_at), each)
    if reason == R_SHORT:
        if side > 0 or not most_short(frame) < INF:
            return FREE
        return lots_in(most_short(frame), g.lot)
    if reason == R_DAY_TRADES:
        forbidden = r.day_trades >= 0 and a.equity < r.day_trade_equity and day_trades(frame, order_at) > r.day_trades
        return 0 if forbidden else FREE
    return 0 if r.fall > 0.0 and side < 0 and no_uptick(frame, order_at) else FREE


def limit_of_rule(frame: int, reason: int) -> float:
    """R9: the number that was broken."""
    r = at(at(at(frame, FRAME).venue, VENUE).rules, RULES)
    if reason == R_POSITION:
        return r.position
    if reason == R_NOTIONAL:
        return r.notional
    if reason == R_CONCENTRATION:
        return r.concentration
    if reason == R_LEVERAGE:
        return r.leverage
    if reason == R_TURNOVER:
        return r.turnover
    if reason == R_SHORT:
        return most_short(frame)
    return float(r.day_trades) if reason == R_DAY_TRADES else close_price(frame)


def found_of(frame: int, order_at: int, reason: int, base: int, lots: int) -> float:
    """R9: what stands in the place of the limit at worst, with `lots` of the order."""
    f = at(frame, FRAME)
    g = at(f.instrument, INSTRUMENT)
    each = close_value(frame) * g.unit
    equity = at(f.account, ACCOUNT).equity
    worst = float(base + lots)
    if reason == R_POSITION or reason == R_SHORT:
        return worst * g.lot
    if reason == R_NOTIONAL:
        return worst * each
    if reason == R_DAY_TRADES:
        return float(day_trades(frame, order_at))
    if reason == R_SHORT_PRICE:
        return price(f.instrument, at(order_at, ORDER).price)
    if not equity > 0.0:
        return INF
    if reason == R_CONCENTRATION:
        return (worst * each) / equity
    if reason == R_LEVERAGE:
        return (exposed(frame, order_at) + worst * each) / equity
    return turned(frame) + (ordered(frame, order_at) + float(lots) * each) / equity


def exposed(frame: int, order_at: int) -> float:
    """R3: what the account's other assets are worth at worst, without sign."""
    f = at(frame, FRAME)
    asset = at(order_at, ORDER).asset
    if f.shared == 0:
        return 0.0
    mine = f.account
    for k in range(f.n_asset):
        put_i8(f.scratch + 16 * k, 0)
        put_i8(f.scratch + 16 * k + 8, 0)
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        o = at(o_at, ORDER)
        if opens(frame, o_at, order_at):
            place = f.scratch + 16 * o.asset + (0 if o.lots > 0 else 8)
            put_i8(place, i8(place) + left_of(o_at))
    total = 0.0
    for k in range(f.n_asset):
        held = at(f.position_0 + POSITION_BYTES * k, POSITION).lots
        worst = max(held + i8(f.scratch + 16 * k), i8(f.scratch + 16 * k + 8) - held)
        if k != asset and worst > 0 and account_of(frame, k) == mine:
            focus(frame, k)
            if f.i >= 0:
                total += close_value(frame) * (float(worst) * at(f.instrument, INSTRUMENT).unit)
    focus(frame, asset)
    return total


def turned(frame: int) -> float:
    """R4: what was traded in this session, as parts of equity."""
    a = at(at(frame, FRAME).account, ACCOUNT)
    return a.turned if a.turned_at == i8(session_at(frame) + 8 * now_at(frame)) else 0.0


def ordered(frame: int, order_at: int) -> float:
    """R4: what the account's other live orders may yet trade."""
    f = at(frame, FRAME)
    asset = at(order_at, ORDER).asset
    total = 0.0
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        if opens(frame, o_at, order_at):
            focus(frame, at(o_at, ORDER).asset)
            total += close_value(frame) * (float(left_of(o_at)) * at(f.instrument, INSTRUMENT).unit)
    focus(frame, asset)
    return total


def most_short(frame: int) -> float:
    """R5: how much of the asset in focus may be owed, INF for any quantity."""
    f = at(frame, FRAME)
    shorts = at(at(f.venue, VENUE).rules, RULES).shorts
    return f8(shorts + 8 * f.asset) if shorts != 0 else INF


def first_bar(sessions: int, i: int) -> int:
    """The first bar of the session of bar `i`; sessions never go back."""
    session = i8(sessions + 8 * i)
    low = -1
    high = i
    while high - low > 1:
        middle = (low + high) // 2
        if i8(sessions + 8 * middle) >= session:
            high = middle
        else:
            low = middle
    return high


def day_trades(frame: int, order_at: int) -> int:
    """R6: the day trades of the last five sessions, with all that could become one of this session."""
    f = at(frame, FRAME)
    a = at(f.account, ACCOUNT)
    sessions = session_at(frame)
    first = now_at(frame)
    mark = 2 * i8(sessions + 8 * first) + 1
    for _ in range(DAY_TRADE_SESSIONS - 1):
        first = max(0, first_bar(sessions, first) - 1)
    n = 1
    for k in range(max(0, a.n_trips - TRIPS), a.n_trips):
        if i8(f.account + OFF_TRIP + 8 * (k % TRIPS)) >= i8(sessions + 8 * first):
            n += 1
    for k in range(at(f.state, HEADER).n_asset):
        if at(f.position_0 + POSITION_BYTES * k, POSITION).day_open == mark and account_of(frame, k) == f.account:
            n += 1
    for k in range(at(f.state, HEADER).n_live):
        o_at = f.orders + k * ORDER_BYTES
        if opens(frame, o_at, order_at):
            o = at(o_at, ORDER)
            side = 1 if o.lots > 0 else -1
            held = at(f.position_0 + POSITION_BYTES * o.asset, POSITION).lots
            if side * held + open_lots(frame, o.asset, side, order_at) > 0:
                n += 1
    return n


def fell(frame: int, first: int, last: int) -> bool:
    """R7: whether a bar from `first`, which begins a session, to `last` has traded so far below the close before."""
    f = at(frame, FRAME)
    if first == 0:
        return False
    fall = at(at(f.venue, VENUE).rules, RULES).fall
    before = price(f.instrument, column(frame, C_CLOSE, first - 1))
    g = at(
        f.instrument_0 - INSTRUMENT_BYTES, INSTRUMENT
    )  # which has the account's actions, and the clock of their bars
    opens = i8(g.columns + 16 * C_OPEN_AT)
    k = at(f.state, HEADER).next_action
    while k > 0 and opened(g.actions, opens, k - 1) > column(frame, C_OPEN_AT, first - 1):
        k -= 1
    for j in range(first, last + 1):
        while k < g.n_actions and opened(g.actions, opens, k) <= column(frame, C_OPEN_AT, j):
            a = at(g.actions + ACTION_BYTES * k, ACTION)
            if a.kind == SPLIT and a.asset == f.asset:
                before = before / a.value
            k += 1
        if price(f.instrument, column(frame, C_LOW, j)) <= before * (1.0 - fall):
            return True
    return False


def opened(actions: int, opens: int, k: int) -> int:
    """When the account's bar opens in which its action `k` takes effect."""
    return i8(opens + 8 * at(actions + ACTION_BYTES * k, ACTION).bar)


def no_uptick(frame: int, order_at: int) -> bool:
    """R7: whether a short sale is restricted, and this one not above the last price."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    if o.kind == LIMIT and o.price > column(frame, C_CLOSE, f.i):
        return False
    sessions = i8(f.columns + 16 * C_SESSION)
    first = first_bar(sessions, f.i)
    return fell(frame, first, f.i) or (first > 0 and fell(frame, first_bar(sessions, first - 1), first - 1))


def outside(frame: int) -> bool:
    """U1: whether the asset in focus is not one that may be opened now."""
    f = at(frame, FRAME)
    c = at(f.instrument, INSTRUMENT).universe
    return c != 0 and column(frame, c, f.i) == 0
