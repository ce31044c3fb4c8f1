"""What happens to orders, row by row, where it is logged (rule O17)."""

from kernelkit.kernels.account import fail
from kernelkit.kernels.layout import CH_REPLACED, CHANGE, CHANGE_BYTES, CROWDED, FRAME, ORDER
from kernelkit.kernels.memory import at


def log_life(frame: int, order_at: int, what: int, time: int) -> None:
    """Something has happened to an order, which it now shows."""
    if at(frame, FRAME).logging != 0:
        log_change(frame, order_at, what, at(order_at, ORDER).lots, 0, time)


def log_change(frame: int, order_at: int, what: int, lots: int, k: int, time: int) -> None:
    """One row of the history; a replacement takes the place of one that the same decision has asked for before."""
    f = at(frame, FRAME)
    o = at(order_at, ORDER)
    j = f.n_changes
    if what == CH_REPLACED:
        n = j - 1
        while n >= 0 and at(f.changes + n * CHANGE_BYTES, CHANGE).time == time:
            c = at(f.changes + n * CHANGE_BYTES, CHANGE)
            if c.order == o.id and c.what == CH_REPLACED:
                j = n
            n -= 1
    if j >= f.cap_changes:
        fail(frame, CROWDED)
        return
    c = at(f.changes + j * CHANGE_BYTES, CHANGE)
    c.order = o.id
    c.asset = o.asset
    c.time = time
    c.what = what
    c.lots = lots
    c.price = o.price
    c.trigger = o.trigger
    c.ticks = k
    c.status = o.status
    c.reason = o.reason
    c.active = o.t_active
    f.n_changes = max(f.n_changes, j + 1)
