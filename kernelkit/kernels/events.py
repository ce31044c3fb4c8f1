"""What hooks are told of (rule T7): fills and ends of orders, kept in the state block until a decision has told them.

Nothing is kept for a strategy without such hooks: FRAME.told is then 0.
"""

from kernelkit.kernels.layout import EVENT, EVENT_BYTES, FRAME, HEADER, ORDER
from kernelkit.kernels.memory import at, i8, put_i8

EVENT_WORDS = EVENT_BYTES // 8


def happened(
    frame: int, what: int, order_at: int, quantity: float, price: float, fee: float, filled: float, time: int
) -> bool:
    """Keep an event of an order, if a hook is told of such; False where there is no room for it."""
    f = at(frame, FRAME)
    if (f.told & what) == 0:
        return True
    h = at(f.state, HEADER)
    if h.n_events >= h.cap_events:
        return False
    o = at(order_at, ORDER)
    e = at(f.state + h.off_events + EVENT_BYTES * h.n_events, EVENT)
    e.what = what
    e.order = o.id
    e.asset = o.asset
    e.time = time
    e.status = o.status
    e.reason = o.reason
    e.quantity = quantity
    e.price = price
    e.fee = fee
    e.filled = filled
    h.n_events += 1
    return True


def forget_events(frame: int, n: int) -> int:
    """The first `n` events have been told; those that hooks added meanwhile stay for the next decision. 0."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    to = f.state + h.off_events
    left = h.n_events - n
    for k in range(left * EVENT_WORDS):
        put_i8(to + 8 * k, i8(to + EVENT_BYTES * n + 8 * k))
    h.n_events = left
    return 0
