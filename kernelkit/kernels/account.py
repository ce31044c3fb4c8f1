"""Prices and lots, cash and positions: what a fill is booked as (rules A1, A7-A9, Q1-Q3)."""

from math import floor

from kernelkit.kernels.layout import (
    ACCOUNT,
    C_OPEN_AT,
    FILL,
    FILL_BYTES,
    FRAME,
    INSTRUMENT,
    LINEAR,
    ORDER,
    POSITION,
    READS_TRADED,
    TELL_FILLS,
    TRADE,
    TRADE_BYTES,
    TRADED_DAYS,
    VENUE,
)
from kernelkit.kernels.memory import at, bits, call_kernel, f8, i8, put_f8, put_i8

SNAP = 1e-6
MOST = 9007199254740992.0  # 2**53: beyond it float64 cannot count lots or ticks
DAY_NS = 86_400_000_000_000
OFF_DAY = ACCOUNT.fields["day"][1]
OFF_DAY_SUM = ACCOUNT.fields["day_sum"][1]


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


def value_at(instrument_at: int, k: int) -> float:
    """W(k): what a unit at `k` ticks is worth to the account."""
    if at(instrument_at, INSTRUMENT).contract == LINEAR:
        return price(instrument_at, k)
    return -1.0 / price(instrument_at, k)


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


def last_mark(frame: int) -> float:
    """C3, V5: what the account was worth at the last mark, whatever it has sent since."""
    f = at(frame, FRAME)
    a = at(f.account, ACCOUNT)
    return a.equity if f.own == 0 else a.marked


def fail(frame: int, status: int) -> None:
    """The trial ends with this bar's decision; what went wrong first is what is told."""
    f = at(frame, FRAME)
    if f.error == 0:
        f.error = status
    f.stop = 0


def close_trade(frame: int, pnl: float, fees: float, time: int) -> None:
    """A7, A8: a round trip ends."""
    f = at(frame, FRAME)
    a = at(f.total, ACCOUNT)
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


def note_traded(frame: int, notional: float) -> None:
    """C3: add to what was traded on the day of this bar, for a venue whose models read `traded`."""
    f = at(frame, FRAME)
    v = at(f.venue, VENUE)
    if ((v.fee_reads | v.slippage_reads) & READS_TRADED) == 0:
        return
    day = i8(i8(f.columns + 16 * C_OPEN_AT) + 8 * f.i) // DAY_NS
    place = f.member + 8 * (day % TRADED_DAYS)
    if i8(place + OFF_DAY) != day:
        put_i8(place + OFF_DAY, day)
        put_f8(place + OFF_DAY_SUM, 0.0)
    put_f8(place + OFF_DAY_SUM, f8(place + OFF_DAY_SUM) + notional)


def put_at_stake(frame: int, lots: int, p: float) -> None:
    """L4: what the position costs and puts at risk once `lots` worth `p` a unit are added to it."""
    f = at(frame, FRAME)
    x = at(f.positions, POSITION)
    unit = at(f.instrument, INSTRUMENT).unit
    initial = at(f.venue, VENUE).initial
    after = x.lots + lots
    if x.lots == 0 or same_side(x.lots, lots):
        x.basis += p * (float(lots) * unit)
        x.stake += (abs(p) * (float(abs(lots)) * unit)) * initial
    elif same_side(x.lots, after):
        part = float(after) / float(x.lots)
        x.basis *= part
        x.stake *= part
    else:
        x.basis = p * (float(after) * unit)
        x.stake = (abs(p) * (float(abs(after)) * unit)) * initial


def book(frame: int, order_at: int, lots: int, k: int, reference: int, fee: float, time: int, rule: int) -> None:
    """A1, A7, A9: move cash and position, keep the round trip, log the fill."""
    f = at(frame, FRAME)
    a = at(f.account, ACCOUNT)
    x = at(f.positions, POSITION)
    o = at(order_at, ORDER)
    unit = at(f.instrument, INSTRUMENT).unit
    p = value_at(f.instrument, k)
    value = p * (float(lots) * unit)
    a.cash = (a.cash - value) - fee
    whole = at(f.total, ACCOUNT)
    whole.fees += fee
    whole.n_fills += 1
    notional = abs(p) * (float(abs(lots)) * unit)
    whole.turnover += notional / whole.equity
    note_traded(frame, notional)
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
    if at(f.venue, VENUE).isolated != 0:
        put_at_stake(frame, lots, p)
    x.lots = after
    x.quantity = float(after) * at(f.instrument, INSTRUMENT).lot
    o.filled += lots
    o.fees += fee
    o.notional += notional
    o.reference = reference
    o.fill_ticks = k
    if f.keeps == 0:
        return
    if f.tell != 0:
        call_kernel(f.tell, frame, order_at, TELL_FILLS, lots, bits(fee), time, 0)
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
        r.slippage = value - value_at(f.instrument, reference) * (float(lots) * unit)
        r.position = float(after)
        r.cash = a.cash
        f.n_fills += 1
