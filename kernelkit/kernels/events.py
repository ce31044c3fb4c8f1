"""What hooks are told of (rule T7): fills and ends of orders, kept in the state block until a decision has told them.

Nothing is kept for a strategy without such hooks: FRAME.tell is then 0.
"""

from kernelkit.kernels.account import fail, price
from kernelkit.kernels.layout import (
    EVENT,
    EVENT_BYTES,
    EVENTS,
    EVENTS_BYTES,
    FRAME,
    HEADER,
    INSTRUMENT,
    INSTRUMENT_BYTES,
    ORDER,
    ORDER_BYTES,
    TELL_FILLS,
    UNTOLD,
)
from kernelkit.kernels.memory import at, i8, put_i8, unbits

EVENT_WORDS = EVENT_BYTES // 8
NAN = float("nan")


def events_of(frame: int) -> int:
    """Where the EVENTS record lies; what it counts follows."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    return f.state + h.off_orders + ORDER_BYTES * h.capacity


def tell(frame: int, order_at: int, what: int, lots: int, fee: int, time: int, none: int) -> None:
    """Keep what has happened to an order, if a hook is told of such: a fill of so many lots, or the end of all of them.

    `fee` is the bits of a number. An order's asset may be another than that in focus. It has the signature of an
    indicator's kernel, and is called by address: what others do with a fill is not compiled around it.
    """
    f = at(frame, FRAME)
    if (f.told & what) == 0:
        return
    place = events_of(frame)
    kept = at(place, EVENTS)
    if kept.n >= kept.most:
        fail(frame, UNTOLD)
        return
    o = at(order_at, ORDER)
    instrument = f.instrument if f.shared == 0 else f.instrument_0 + INSTRUMENT_BYTES * o.asset
    lot = at(instrument, INSTRUMENT).lot
    k = o.fill_ticks
    if what != TELL_FILLS:
        k = o.price if o.price != 0 else o.trigger
    e = at(place + EVENTS_BYTES + EVENT_BYTES * kept.n, EVENT)
    e.what = what
    e.order = o.id
    e.asset = o.asset
    e.time = time
    e.status = o.status
    e.reason = o.reason
    e.quantity = float(lots) * lot
    e.price = price(instrument, k) if k != 0 else NAN
    e.fee = unbits(fee)
    e.filled = float(o.filled) * lot
    kept.n += 1


def forget_events(frame: int, n: int) -> int:
    """The first `n` events have been told; those that hooks added meanwhile stay for the next decision. 0."""
    place = events_of(frame)
    kept = at(place, EVENTS)
    to = place + EVENTS_BYTES
    left = kept.n - n
    for k in range(left * EVENT_WORDS):
        put_i8(to + 8 * k, i8(to + EVENT_BYTES * n + 8 * k))
    kept.n = left
    return 0
