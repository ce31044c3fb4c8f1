"""Cash, positions and what the models charge (rules A1-A9, C1-C5, Q1-Q3, X6)."""

from math import floor

from kernelkit.kernels.focus import focus, has_bar
from kernelkit.kernels.layout import (
    ACCOUNT,
    AT_END,
    BAD_MODEL,
    C_CLOSE,
    C_OPEN,
    C_VOLUME,
    CLOSE_ONLY,
    CUT,
    DEBT,
    FILL,
    FILL_BYTES,
    FILL_MODEL,
    FRAME,
    HEADER,
    INSTRUMENT,
    MODEL,
    ORDER,
    POSITION,
    POSITION_BYTES,
    TRADE,
    TRADE_BYTES,
    VENUE,
)
from kernelkit.kernels.memory import at, call_model, f8, i8

SNAP = 1e-6
MOST = 9007199254740992.0  # 2**53: beyond it float64 cannot count lots or ticks
INF = float("inf")
SHRINKS = 64
OFF_FEE_SLOTS = VENUE.fields["fee_slots"][1]
OFF_SLIPPAGE_SLOTS = VENUE.fields["slippage_slots"][1]
VOLUME_BARS = 20
REFUSED = -(1 << 62)


def same_side(a: int, b: int) -> bool:
    """Both long or both short (their product may not fit an int64).

    >>> same_side(3, 5), same_side(3, -5), same_side(0, 5)
    (True, False, False)
    """
    return (a > 0 and b > 0) or (a < 0 and b < 0)


def price(instrument_at: int, k: int) -> float:
    """P(k): the price of `k` ticks."""
    g = at(instrument_at, INSTRUMENT)
    if g.inverse == 0:
        return float(k) * g.tick
    return float(k) / float(g.inverse)


def to_lots(instrument_at: int, quantity: float) -> int:
    """Q1; the quantity must be finite."""
    x = quantity / at(instrument_at, INSTRUMENT).lot
    r = floor(x + 0.5)
    if abs(x - float(r)) <= SNAP:
        return int(r)
    return int(x)


def to_ticks(instrument_at: int, p: float, up: bool) -> int:
    """Q2."""
    g = at(instrument_at, INSTRUMENT)
    x = min(max(p / g.tick if g.inverse == 0 else p * float(g.inverse), 1.0), MOST)
    r = floor(x + 0.5)
    if abs(x - float(r)) > SNAP:
        r = floor(x)
        if up:
            r += 1
    return int(r)


def fail(frame: int, status: int) -> None:
    """The trial ends with this bar's decision; what went wrong first is what is told."""
    f = at(frame, FRAME)
    if f.error == 0:
        f.error = status
    f.stop = 0


def mean_volume(frame: int, last: int) -> float:
    """C3: mean volume of the up to 20 bars that end with bar `last`; 0 for none."""
    f = at(frame, FRAME)
    base = i8(f.columns + 16 * C_VOLUME)
    first = max(0, last - (VOLUME_BARS - 1))
    total = 0.0
    for j in range(first, last + 1):
        total += f8(base + 8 * j)
    n = last + 1 - first
    return total / float(n) if n > 0 else 0.0


def ask_model(frame: int, fee: bool, size: float, p: float, filled: float, paid: float, last: int, time: int) -> float:
    """C3: what the fee or the slippage model answers when shown this trade of `size` lots (signed) at price `p`.

    `last` is the newest bar whose volume is known. Its mean is computed for models that read it.
    """
    f = at(frame, FRAME)
    v = at(f.venue, VENUE)
    g = at(f.instrument, INSTRUMENT)
    m = at(f.model, MODEL)
    m.slots = f.venue + (OFF_FEE_SLOTS if fee else OFF_SLIPPAGE_SLOTS)
    m.side = 1.0 if size > 0.0 else -1.0
    m.quantity = abs(size) * g.lot
    m.price = p
    m.notional = p * (abs(size) * g.unit)
    m.filled = filled
    m.paid = paid
    m.volume = mean_volume(frame, last) if (v.fee_reads_volume if fee else v.slippage_reads_volume) != 0 else 0.0
    m.position = at(f.positions, POSITION).quantity
    m.equity = at(f.account, ACCOUNT).equity
    m.time = time
    answer = call_model(v.fee if fee else v.slippage, f.model)
    if not abs(answer) < INF or (not fee and answer < 0.0):  # C6
        fail(frame, BAD_MODEL)
        return 0.0
    return answer


def fee_of(frame: int, order_at: int, lots: int, k: int, time: int) -> float:
    """C2: what the venue charges for filling `lots` of this order at `k` ticks."""
    f = at(frame, FRAME)
    v = at(f.venue, VENUE)
    if v.fee == 0 or lots == 0:
        return 0.0
    o = at(order_at, ORDER)
    filled = float(abs(o.filled)) * at(f.instrument, INSTRUMENT).lot
    return ask_model(frame, True, float(lots), price(f.instrument, k), filled, o.fees, f.i - 1, time)


def slipped(frame: int, order_at: int, lots: int, reference: int, time: int) -> int:
    """C1: the fill price in ticks of a market or stop order."""
    f = at(frame, FRAME)
    v = at(f.venue, VENUE)
    if v.slippage == 0 or lots == 0:
        return reference
    o = at(order_at, ORDER)
    p = price(f.instrument, reference)
    filled = float(abs(o.filled)) * at(f.instrument, INSTRUMENT).lot
    s = ask_model(frame, False, float(lots), p, filled, o.fees, f.i - 1, time)
    if s == 0.0:
        return reference
    if lots > 0:
        return to_ticks(f.instrument, p * (1.0 + s), True)
    return to_ticks(f.instrument, p * (1.0 - s), False)


def meanwhile(frame: int) -> int:
    """X6: the price, in ticks, that the asset in focus has while orders of the pass fill."""
    f = at(frame, FRAME)
    close = f.step >= AT_END or at(f.fill_model, FILL_MODEL).path == CLOSE_ONLY or not has_bar(frame, f.asset)
    return i8(i8(f.columns + 16 * (C_CLOSE if close else C_OPEN)) + 8 * f.i)


def value_all(frame: int, asset: int) -> None:
    """X6: what the positions are worth at the bar's first fill, and at its first late one; `asset` stays in focus."""
    f = at(frame, FRAME)
    a = at(f.account, ACCOUNT)
    now = 2 * f.clock + (1 if f.step >= AT_END else 0)
    if a.valued == now:
        return
    a.valued = now
    a.worth = 0.0
    a.gross = 0.0
    for k in range(at(f.state, HEADER).n_asset):
        if at(f.position_0 + POSITION_BYTES * k, POSITION).lots != 0:
            focus(frame, k)
            count_in(frame)
    focus(frame, asset)


def count_in(frame: int) -> None:
    """X6: add the position in focus to what all are worth."""
    f = at(frame, FRAME)
    a = at(f.account, ACCOUNT)
    lots = at(f.positions, POSITION).lots
    p = price(f.instrument, meanwhile(frame))
    unit = at(f.instrument, INSTRUMENT).unit
    a.worth += p * (float(lots) * unit)
    a.gross += p * (float(abs(lots)) * unit)


def count_out(frame: int) -> None:
    """X6: take the position in focus out of what all are worth."""
    f = at(frame, FRAME)
    a = at(f.account, ACCOUNT)
    lots = at(f.positions, POSITION).lots
    if lots == 0:
        return
    p = price(f.instrument, meanwhile(frame))
    unit = at(f.instrument, INSTRUMENT).unit
    a.worth -= p * (float(lots) * unit)
    a.gross -= p * (float(abs(lots)) * unit)


def equity_at(frame: int, k: int) -> float:
    """A2, X6: what the account is worth with the asset in focus at `k` ticks, its position counted out before."""
    f = at(frame, FRAME)
    held = float(at(f.positions, POSITION).lots)
    cash = at(f.account, ACCOUNT).cash
    if f.shared != 0:
        cash = cash + at(f.account, ACCOUNT).worth
    return cash + price(f.instrument, k) * (held * at(f.instrument, INSTRUMENT).unit)


def power_at(frame: int, k: int) -> float:
    """A2, X6: how much of that the asset in focus may take up."""
    f = at(frame, FRAME)
    equity = equity_at(frame, k)
    return equity - at(f.account, ACCOUNT).gross if f.shared != 0 else equity


def affordable(frame: int, lots: int, k: int, fee: float) -> bool:
    """A2: whether the account can pay for `lots` at `k` ticks and this fee."""
    f = at(frame, FRAME)
    held = at(f.positions, POSITION).lots
    after = held + lots
    if abs(after) <= abs(held) and (after == 0 or same_side(after, held)):
        return True
    if at(f.venue, VENUE).cash_rule == DEBT:
        return True
    unit = at(f.instrument, INSTRUMENT).unit
    p = price(f.instrument, k)
    return p * (float(abs(after)) * unit) <= power_at(frame, k) - fee


def cut(frame: int, order_at: int, lots: int, k: int, time: int) -> int:
    """A3: what is filled of an order that is not affordable; REFUSED when the venue rejects it."""
    f = at(frame, FRAME)
    if at(f.venue, VENUE).cash_rule != CUT:
        return REFUSED
    held = at(f.positions, POSITION).lots
    unit = at(f.instrument, INSTRUMENT).unit
    p = price(f.instrument, k)
    power = power_at(frame, k)
    way = 1 if lots > 0 else -1
    each = p * unit
    final = min(int(power / each), abs(held + lots)) if power > 0.0 else 0
    adding = held * way > 0
    for _ in range(SHRINKS):
        if final == 0:
            break
        if adding and final <= abs(held):
            return 0
        trial = way * final - held
        left = power - fee_of(frame, order_at, trial, k, time)
        need = p * (float(final) * unit)
        if need <= left:
            return trial
        final = max(0, final - max(1, int((need - left) / each)))
    return 0 if adding else -held


def close_trade(frame: int, pnl: float, fees: float, time: int) -> None:
    """A7, A8: a round trip ends."""
    f = at(frame, FRAME)
    a = at(f.account, ACCOUNT)
    x = at(f.positions, POSITION)
    a.n_trades += 1
    if pnl > 0.0:
        a.n_wins += 1
        a.gross_profit += pnl
    else:
        a.gross_loss += -pnl
    if f.logging != 0:
        t = at(f.trades + f.n_trades * TRADE_BYTES, TRADE)
        t.asset = f.asset
        t.opened = x.opened
        t.closed = time
        t.lots = x.peak_lots
        t.pnl = pnl
        t.fees = fees
        f.n_trades += 1


def book(frame: int, order_at: int, lots: int, k: int, reference: int, fee: float, time: int, rule: int) -> None:
    """A1, A7, A9: move cash and position, keep the round trip, log the fill."""
    f = at(frame, FRAME)
    a = at(f.account, ACCOUNT)
    x = at(f.positions, POSITION)
    o = at(order_at, ORDER)
    unit = at(f.instrument, INSTRUMENT).unit
    p = price(f.instrument, k)
    value = p * (float(lots) * unit)
    a.cash = (a.cash - value) - fee
    a.fees += fee
    a.n_fills += 1
    a.turnover += p * (float(abs(lots)) * unit) / a.equity
    held = x.lots
    after = held + lots
    if same_side(held, -after):  # through zero: two trades at one price
        part = fee * (float(abs(held)) / float(abs(lots)))
        close_trade(frame, (x.pnl - p * (float(-held) * unit)) - part, x.fees + part, time)
        rest = fee - part
        x.pnl = (0.0 - p * (float(after) * unit)) - rest
        x.fees = rest
        x.opened = time
        x.peak_lots = abs(after)
    else:
        if held == 0:
            x.pnl = 0.0
            x.fees = 0.0
            x.opened = time
            x.peak_lots = 0
        x.pnl = (x.pnl - value) - fee
        x.fees += fee
        x.peak_lots = max(x.peak_lots, abs(after))
        if after == 0:
            close_trade(frame, x.pnl, x.fees, time)
    x.lots = after
    x.quantity = float(after) * at(f.instrument, INSTRUMENT).lot
    o.filled += lots
    o.fees += fee
    o.reference = reference
    o.fill_ticks = k
    if f.logging != 0:
        r = at(f.fills + f.n_fills * FILL_BYTES, FILL)
        r.order = o.id
        r.asset = o.asset
        r.time = time
        r.lots = lots
        r.ticks = k
        r.reference = reference
        r.rule = rule
        r.fee = fee
        r.slippage = value - price(f.instrument, reference) * (float(lots) * unit)
        r.position = float(after)
        r.cash = a.cash
        f.n_fills += 1
