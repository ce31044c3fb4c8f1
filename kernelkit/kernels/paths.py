"""How the price runs through a bar when a fill model says so, and what it meets on its way (rule F12)."""

from kernelkit.kernels.fills import allowed, column, fill, moment
from kernelkit.kernels.layout import (
    ADVERSE,
    BAR_FILL,
    C_CLOSE,
    C_HIGH,
    C_KNOWN_AT,
    C_LOW,
    C_OPEN,
    C_OPEN_AT,
    FAR,
    FILL_MODEL,
    FRAME,
    FRESH,
    HEADER,
    HIGH_FIRST,
    IOC,
    LIVE,
    MAKES,
    NEAREST_FIRST,
    ORDER,
    ORDER_BYTES,
    SHOWN,
    TAKES,
    TOUCH,
    VENUE,
    WAITING,
)
from kernelkit.kernels.matching import trigger_stop
from kernelkit.kernels.memory import at
from kernelkit.kernels.triggers import at_market, follows, has_limit, if_touched, move_trail, rests


def on_way(order_at: int, t_open: int, woken: bool) -> bool:
    """Matched against this bar, or, where the fill model lets them, an exit that woke in it."""
    o = at(order_at, ORDER)
    if o.status != LIVE or (o.marks & (WAITING | SHOWN)) != 0 or o.tif >= IOC or at_market(order_at):
        return False
    if (o.marks & FRESH) == 0 or has_limit(order_at):  # that has triggered in this bar and rests on its limit
        return o.t_active <= t_open
    return woken


def event(order_at: int, p: int, q: int, thr: int) -> int:
    """The price between `p` and `q` at which the order acts, FAR where it does not."""
    o = at(order_at, ORDER)
    resting = rests(order_at)
    level = o.trigger
    touches = resting or if_touched(order_at)
    if resting:
        level = o.price - thr if o.lots > 0 else o.price + thr
    if (o.lots > 0) != touches:  # from below
        if p >= level:
            return p
        return level if q >= level else FAR
    if p <= level:
        return p
    return level if q <= level else FAR


def reference_from(order_at: int, p: int) -> int:
    """The price of a resting order that is met from `p`: it may have been passed by then."""
    o = at(order_at, ORDER)
    if (o.marks & FRESH) == 0 and not has_limit(order_at):
        return o.price
    return min(o.price, p) if o.lots > 0 else max(o.price, p)


def act_at(frame: int, order_at: int, p: int, met: int) -> None:
    """Act on an order of the asset in focus that the price meets at `met`, coming from `p`."""
    now = moment(frame, C_KNOWN_AT, at(frame, FRAME).i)
    if rests(order_at):
        reference = reference_from(order_at, p)
        makes = reference == at(order_at, ORDER).price
        fill(frame, order_at, reference, MAKES if makes else TAKES, BAR_FILL, now)
    else:
        trigger_stop(frame, order_at, met, BAR_FILL, now)


def leg_end(frame: int, k: int) -> int:
    """Where leg `k` of the bar ends: at one extreme, at the other, at the close."""
    f = at(frame, FRAME)
    if k == 2:
        return column(frame, C_CLOSE, f.i)
    path = at(f.fill_model, FILL_MODEL).path
    first = column(frame, C_OPEN, f.i)
    high = column(frame, C_HIGH, f.i)
    low = column(frame, C_LOW, f.i)
    up = path == HIGH_FIRST or (path == NEAREST_FIRST and high - first < first - low)
    return high if up == (k == 0) else low


def leg(frame: int, p: int, q: int, thr: int) -> None:
    """From one turn of the price to the next: act on the nearest event, until there is none."""
    f = at(frame, FRAME)
    t_open = moment(frame, C_OPEN_AT, f.i)
    woken = at(f.fill_model, FILL_MODEL).same_bar == ADVERSE
    limited = at(f.venue, VENUE).participation != 0.0
    n = at(f.state, HEADER).n_live
    while f.error == 0:
        first = -1
        nearest = FAR
        for k in range(n):
            o_at = f.orders + k * ORDER_BYTES
            if on_way(o_at, t_open, woken):
                e = event(o_at, p, q, thr)
                if limited and rests(o_at) and allowed(frame, 1) == 0:  # P3: it would come again and again
                    e = FAR
                if e != FAR and (first < 0 or abs(e - p) < abs(nearest - p)):
                    first = k
                    nearest = e
        if first < 0:
            break
        act_at(frame, f.orders + first * ORDER_BYTES, p, nearest)
        p = nearest
    for k in range(n):
        if follows(f.orders + k * ORDER_BYTES):
            move_trail(frame, f.orders + k * ORDER_BYTES, q, q)


def walk(frame: int) -> int:
    """Run through the bar after its open: one extreme, the other, the close; the first error."""
    f = at(frame, FRAME)
    thr = 0 if at(f.fill_model, FILL_MODEL).limit == TOUCH else 1
    p = column(frame, C_OPEN, f.i)
    for k in range(3):
        q = leg_end(frame, k)
        leg(frame, p, q, thr)
        p = q
    return f.error
