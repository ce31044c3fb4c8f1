"""Whether a venue takes an order: what its numbers must be, what the venue refuses (rules O5, O11, O14, O15, P5)."""

from math import floor

from kernelkit.kernels.account import MOST, SNAP, to_lots, value_at
from kernelkit.kernels.fills import column
from kernelkit.kernels.layout import (
    C_CLOSE,
    FRAME,
    GTD,
    HAS_DISPLAY,
    HAS_OFFSET,
    INSTRUMENT,
    LIMIT,
    LIMIT_TOUCHED,
    MARKET,
    MARKET_TOUCHED,
    ORDER,
    POSITION,
    POST,
    R_ABOVE,
    R_BELOW,
    R_INVALID,
    R_MINIMUM,
    R_NONE,
    R_OFF_TICK,
    R_POST,
    REDUCE,
    SIZES,
    STOP,
    STOP_LIMIT,
    TRAILING,
    TRAILING_LIMIT,
    V_LIMIT,
    V_LIMIT_TOUCHED,
    V_ORDER,
    V_STOP,
    V_STOP_LIMIT,
    V_TOUCHED,
    V_TRAIL,
    V_TRAIL_BPS,
    V_TRAIL_TICKS,
    VENUE,
)
from kernelkit.kernels.memory import at, bits, call, f8

MOST_PROFIT = 1e6
BPS = 10000.0
MORE = 1.000000001  # O15: how far a decimal's float64 may lie from the venue's
LESS = 0.999999999


def finite(x: float) -> bool:
    """Neither NaN nor too large to count."""
    return abs(x) < MOST


def in_ticks(instrument_at: int, p: float) -> float:
    """Q2: a price or a distance in ticks, not rounded."""
    g = at(instrument_at, INSTRUMENT)
    return p / g.tick if g.inverse == 0 else p * float(g.inverse)


def good_price(instrument_at: int, p: float) -> bool:
    """A price an order can carry: positive, and countable in ticks."""
    return p > 0.0 and finite(in_ticks(instrument_at, p))


def on_grid(instrument_at: int, p: float) -> bool:
    """Q4: whether a price is a whole number of ticks."""
    x = in_ticks(instrument_at, p)
    return abs(x - float(floor(x + 0.5))) <= SNAP


def off_tick(frame: int, p: float) -> bool:
    """O15: whether the venue rejects an order for this price."""
    f = at(frame, FRAME)
    return at(f.venue, VENUE).off_tick != 0 and not on_grid(f.instrument, p)


def is_fraction(x: float) -> bool:
    """O5: strictly between 0 and 1."""
    return x > 0.0 and x < 1.0


def is_profit(x: float, q: float) -> bool:
    """O5: a target's distance; a short one cannot go below zero."""
    return x > 0.0 and x <= MOST_PROFIT and (q > 0.0 or x < 1.0)


def kind_of(verb: int, asked: int) -> int:
    """The kind of order that a simple verb gives."""
    if verb == V_ORDER:
        return MARKET
    if verb == V_LIMIT:
        return LIMIT
    if verb == V_STOP:
        return STOP
    if verb == V_STOP_LIMIT:
        return STOP_LIMIT
    if verb == V_TOUCHED:
        return MARKET_TOUCHED
    if verb == V_LIMIT_TOUCHED:
        return LIMIT_TOUCHED
    return TRAILING_LIMIT if (asked & HAS_OFFSET) != 0 else TRAILING


def trails(kind: int) -> bool:
    """F15: a trailing stop or stop-limit."""
    return kind == TRAILING or kind == TRAILING_LIMIT


def two_prices(kind: int) -> bool:
    """A trigger, and a limit price beside it."""
    return kind == STOP_LIMIT or kind == LIMIT_TOUCHED


def good_distance(instrument_at: int, verb: int, x: float) -> bool:
    """O5, F15: how far a trailing order may trail."""
    if verb == V_TRAIL:
        return good_price(instrument_at, x)
    if verb == V_TRAIL_TICKS:
        return x >= 1.0 and finite(x) and float(floor(x)) == x
    return is_fraction(x / BPS if verb == V_TRAIL_BPS else x)


def good_numbers(frame: int, verb: int, asked: int, q: float, a: float, b: float) -> bool:
    """O5, F15: whether a simple order's quantity, prices and distances are ones."""
    g = at(frame, FRAME).instrument
    kind = kind_of(verb, asked)
    good = finite(q / at(g, INSTRUMENT).lot)
    if trails(kind):
        good = good and good_distance(g, verb, a)
        return good and (kind == TRAILING or b == 0.0 or good_price(g, b))
    if kind != MARKET:
        good = good and good_price(g, a)
    return good and (not two_prices(kind) or good_price(g, b))


def good_terms(frame: int, tif: int, expires: float, shows: bool, display: float) -> bool:
    """O11, P5: whether an order's end is an instant, and what it shows a quantity."""
    lot = at(at(frame, FRAME).instrument, INSTRUMENT).lot
    return (tif != GTD or bits(expires) > 0) and (not shows or (display > 0.0 and finite(display / lot)))


def fault(
    frame: int, verb: int, tif: int, asked: int, q: float, a: float, b: float, expires: float, display: float
) -> int:
    """O5: why a simple order with these numbers is rejected, before it is one; R_NONE for no reason."""
    g = at(frame, FRAME).instrument
    kind = kind_of(verb, asked)
    shows = (asked & HAS_DISPLAY) != 0
    if not (good_numbers(frame, verb, asked, q, a, b) and good_terms(frame, tif, expires, shows, display)):
        return R_INVALID
    if to_lots(g, q) == 0 or (shows and to_lots(g, display) == 0):
        return R_BELOW
    if kind != MARKET and not trails(kind) and (off_tick(frame, a) or (two_prices(kind) and off_tick(frame, b))):
        return R_OFF_TICK
    return R_NONE


def sizes_at(frame: int) -> int:
    """O15: where the sizes of orders of the asset in focus lie."""
    f = at(frame, FRAME)
    return at(f.venue, VENUE).sizes + 24 * f.asset


def above_maximum(frame: int, lots: int) -> bool:
    """O15: more than one order may be."""
    f = at(frame, FRAME)
    most = f8(sizes_at(frame) + 8)
    return most > 0.0 and float(abs(lots)) * at(f.instrument, INSTRUMENT).lot > most * MORE


def below_minimum(frame: int, lots: int, k: int) -> bool:
    """O15: less than an order must be, at `k` ticks; to close a position whole any is enough."""
    f = at(frame, FRAME)
    sizes = sizes_at(frame)
    g = at(f.instrument, INSTRUMENT)
    if lots == -at(f.positions, POSITION).lots:
        return False
    if float(abs(lots)) * g.lot < f8(sizes) * LESS:
        return True
    return abs(value_at(f.instrument, k)) * (float(abs(lots)) * g.unit) < f8(sizes + 16)


def would_take(order_at: int, k: int) -> bool:
    """O14: whether a limit order that arrives while the price is `k` ticks takes."""
    o = at(order_at, ORDER)
    return k <= o.price if o.lots > 0 else k >= o.price


def asked_price(frame: int, order_at: int) -> int:
    """O15: the ticks at which an order's worth is looked at."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    if trails(o.kind) or (o.price == 0 and o.trigger == 0):
        return column(frame, C_CLOSE, f.i)
    return o.price if o.price > 0 else o.trigger


def refused(frame: int, order_at: int) -> int:
    """O14, O15, R1-R8, U1, H1-H3: why this order is not taken; R_NONE where it is, as far as R8 and H1-H3 leave it."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    limits = at(f.venue, VENUE).limits
    if limits != 0:
        if above_maximum(frame, o.lots):
            return R_ABOVE
        if (o.marks & REDUCE) == 0 and below_minimum(frame, o.lots, asked_price(frame, order_at)):
            return R_MINIMUM
    if (o.marks & POST) != 0 and would_take(order_at, column(frame, C_CLOSE, f.i)):
        return R_POST
    return judged(frame, order_at) if limits > SIZES else R_NONE


def judged(frame: int, order_at: int) -> int:
    """R1-R8, U1, H1-H3: the same of what is more than an order's size, by a function that few accounts need."""
    f = at(frame, FRAME)
    if at(f.venue, VENUE).limits <= SIZES:
        return R_NONE
    f.judged = order_at
    return call(f.judge, frame)
