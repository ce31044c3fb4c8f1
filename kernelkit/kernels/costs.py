"""What the cost models see and answer (rules C1-C6)."""

from math import sqrt

from kernelkit.kernels.account import DAY_NS, OFF_DAY, OFF_DAY_SUM, fail, last_mark, price, to_ticks
from kernelkit.kernels.focus import clock_time, own_bar, own_columns
from kernelkit.kernels.layout import (
    BAD_MODEL,
    C_CLOSE_P,
    C_KNOWN_AT,
    C_OPEN_AT,
    C_VOLUME,
    FRAME,
    INSTRUMENT,
    LINEAR,
    MODEL,
    ORDER,
    POSITION,
    READS_TRADED,
    READS_VOLATILITY,
    READS_VOLUME,
    TRADED_DAYS,
    VENUE,
)
from kernelkit.kernels.memory import at, call_model, f8, i8

INF = float("inf")
OFF_FEE_SLOTS = VENUE.fields["fee_slots"][1]
OFF_SLIPPAGE_SLOTS = VENUE.fields["slippage_slots"][1]
MODEL_BARS = 20  # bars that `volume` and `volatility` look back


def mean_volume(columns: int, last: int) -> float:
    """C3: mean volume of the up to 20 bars that end with bar `last`; 0 for none."""
    base = i8(columns + 16 * C_VOLUME)
    first = max(0, last - (MODEL_BARS - 1))
    total = 0.0
    for j in range(first, last + 1):
        total += f8(base + 8 * j)
    n = last + 1 - first
    return total / float(n) if n > 0 else 0.0


def past_volatility(columns: int, last: int) -> float:
    """C3: sample standard deviation of the up to 20 returns that end with bar `last`; 0 below two."""
    base = i8(columns + 16 * C_CLOSE_P)
    first = max(1, last - (MODEL_BARS - 1))
    n = last + 1 - first
    if n < 2:
        return 0.0
    total = 0.0
    for j in range(first, last + 1):
        total += f8(base + 8 * j) / f8(base + 8 * (j - 1)) - 1.0
    mean = total / float(n)
    squares = 0.0
    for j in range(first, last + 1):
        d = (f8(base + 8 * j) / f8(base + 8 * (j - 1)) - 1.0) - mean
        squares += d * d
    return sqrt(squares / float(n - 1))


def traded_before(frame: int, last: int) -> float:
    """C3: what the account has traded in the 30 days before that of the bar after `last`."""
    f = at(frame, FRAME)
    if last < f.i:
        moment = i8(i8(f.columns + 16 * C_OPEN_AT) + 8 * f.i)
    elif f.shared != 0:  # a decision's time is the clock's
        moment = clock_time(frame)
    else:
        moment = i8(i8(f.columns + 16 * C_KNOWN_AT) + 8 * last)
    today = moment // DAY_NS
    total = 0.0
    for day in range(today - (TRADED_DAYS - 1), today):
        place = f.member + 8 * (day % TRADED_DAYS)
        if i8(place + OFF_DAY) == day:
            total += f8(place + OFF_DAY_SUM)
    return total


def ask_model(
    frame: int,
    fee: bool,
    size: float,
    p: float,
    filled: float,
    filled_notional: float,
    paid: float,
    maker: bool,
    last: int,
    time: int,
) -> float:
    """C3: what the fee or the slippage model answers when shown this trade of `size` lots (signed) at price `p`.

    `last` is the newest bar that is known. What takes work to find is found for models that read it.
    """
    f = at(frame, FRAME)
    v = at(f.venue, VENUE)
    g = at(f.instrument, INSTRUMENT)
    m = at(f.model, MODEL)
    m.slots = f.venue + (OFF_FEE_SLOTS if fee else OFF_SLIPPAGE_SLOTS)
    m.side = 1.0 if size > 0.0 else -1.0
    m.quantity = abs(size) * g.lot
    m.price = p
    m.notional = (p if g.contract == LINEAR else 1.0 / p) * (abs(size) * g.unit)
    m.filled = filled
    m.paid = paid
    m.maker = 1.0 if maker else 0.0
    m.tick = g.tick
    m.filled_notional = filled_notional
    reads = v.fee_reads if fee else v.slippage_reads
    if reads != 0:
        columns = own_columns(frame)
        known = last if f.coarse == 0 else own_bar(frame) - 1  # F16
        m.volume = mean_volume(columns, known) if (reads & READS_VOLUME) != 0 else 0.0
        m.volatility = past_volatility(columns, known) if (reads & READS_VOLATILITY) != 0 else 0.0
        m.traded = traded_before(frame, last) if (reads & READS_TRADED) != 0 else 0.0
    m.position = at(f.positions, POSITION).quantity
    m.equity = last_mark(frame)
    m.time = time
    answer = call_model(v.fee if fee else v.slippage, f.model)
    if not abs(answer) < INF or (not fee and answer < 0.0):  # C6
        fail(frame, BAD_MODEL)
        return 0.0
    return answer


def fee_of(frame: int, order_at: int, lots: int, k: int, maker: bool, time: int) -> float:
    """C2: what the venue charges for filling `lots` of this order at `k` ticks."""
    f = at(frame, FRAME)
    v = at(f.venue, VENUE)
    if v.fee == 0 or lots == 0:
        return 0.0
    o = at(order_at, ORDER)
    filled = float(abs(o.filled)) * at(f.instrument, INSTRUMENT).lot
    p = price(f.instrument, k)
    return ask_model(frame, True, float(lots), p, filled, o.notional, o.fees, maker, f.i - 1, time)


def slipped(frame: int, order_at: int, lots: int, reference: int, time: int) -> int:
    """C1: the fill price in ticks of a market or stop order."""
    f = at(frame, FRAME)
    v = at(f.venue, VENUE)
    if v.slippage == 0 or lots == 0:
        return reference
    o = at(order_at, ORDER)
    p = price(f.instrument, reference)
    filled = float(abs(o.filled)) * at(f.instrument, INSTRUMENT).lot
    s = ask_model(frame, False, float(lots), p, filled, o.notional, o.fees, False, f.i - 1, time)
    if s == 0.0:
        return reference
    if lots > 0:
        return to_ticks(f.instrument, p * (1.0 + s), True)
    return to_ticks(f.instrument, p * (1.0 - s), False)
