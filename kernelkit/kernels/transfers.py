"""Several venues with an account each: marked one by one, and money on its way between them (rules V3-V5)."""

from kernelkit.kernels.account import fail, value_at
from kernelkit.kernels.actions import log_action
from kernelkit.kernels.fills import column
from kernelkit.kernels.focus import account_of, clock_time, defocus, focus, list_held, look_at
from kernelkit.kernels.guard import OFF_FLOORS
from kernelkit.kernels.layout import (
    ACCOUNT,
    C_CLOSE,
    C_OPEN_AT,
    FRAME,
    HEADER,
    INSTRUMENT,
    JAMMED,
    MOVING,
    POSITION,
    POSITION_BYTES,
    TRANSFER,
    TRANSFER_BYTES,
    TRANSFERRED,
    VENUE,
)
from kernelkit.kernels.memory import at, call, f8, i8
from kernelkit.kernels.power import unbound
from kernelkit.kernels.reach import is_asset
from kernelkit.kernels.scan import copy_words
from kernelkit.kernels.sharing import worth

TRANSFER_WORDS = TRANSFER_BYTES // 8
ENDLESS = float("inf")


def holds(frame: int, account: int) -> bool:
    """Whether an account has a position."""
    f = at(frame, FRAME)
    for j in range(f.n_held):
        if account_of(frame, i8(f.held + 24 * j)) == account:
            return True
    return False


def mark_each(frame: int) -> int:
    """V3, V4: mark the account of each venue; the whole is worth what they are, with what is on its way. 0."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    cash = 0.0
    equity = 0.0
    defocus(frame)
    for v in range(f.n_venue):
        look_at(frame, v)
        mine = f.account
        a = at(mine, ACCOUNT)
        if holds(frame, mine):
            if at(f.venue, VENUE).isolated == 0 and f8(f.venue + OFF_FLOORS) < ENDLESS:
                call(f.guard_all, frame)
                f.account = mine
            a.equity = worth(frame)
            if not a.equity > 0.0:
                call(f.ruin, frame)
                list_held(frame)
        else:
            a.equity = a.cash
            if a.equity < 0.0:
                call(f.ruin, frame)  # its orders end
        a.marked = a.equity
        cash += a.cash
        equity += a.equity
    defocus(frame)
    for j in range(h.n_moving):
        equity += at(f.state + h.off_transfers + TRANSFER_BYTES * j, TRANSFER).amount
    whole = at(f.total, ACCOUNT)
    whole.cash = cash
    whole.equity = equity
    return 0


def arrive(frame: int) -> int:
    """V5: before a bar, what has come by its open, and the fees of what was sent at the decision before. 0."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    opens = column(frame, C_OPEN_AT, f.clock)
    left = 0
    for j in range(h.n_moving):
        t_at = f.state + h.off_transfers + TRANSFER_BYTES * j
        t = at(t_at, TRANSFER)
        at(f.total, ACCOUNT).fees += t.fee
        t.fee = 0.0
        if t.time <= opens:
            at(account_of(frame, t.asset), ACCOUNT).cash += t.amount
            log_action(frame, TRANSFERRED, t.asset, opens, 0, t.amount)
        else:
            if left != j:
                copy_words(f.state + h.off_transfers + TRANSFER_BYTES * left, t_at, TRANSFER_WORDS)
            left += 1
    h.n_moving = left
    return 0


def free_cash(frame: int, account: int) -> float:
    """V5: what may leave an account at a decision: its cash, less what its positions are backed with."""
    f = at(frame, FRAME)
    a = at(account, ACCOUNT)
    bound = 0.0
    alone = False
    for k in range(f.n_asset):
        lots = at(f.position_0 + POSITION_BYTES * k, POSITION).lots
        if lots != 0 and account_of(frame, k) == account:
            focus(frame, k)
            alone = at(f.venue, VENUE).isolated != 0
            value = abs(value_at(f.instrument, column(frame, C_CLOSE, f.i)))
            bound += (value * (float(abs(lots)) * at(f.instrument, INSTRUMENT).unit)) * at(f.venue, VENUE).initial
    defocus(frame)
    return min(a.cash, a.cash + unbound(frame, account, -1) if alone else a.equity - bound)


def send_money(frame: int, amount: float, a: int, b: int) -> float:
    """V5: send money from the account of asset `a` to that of asset `b`; what was sent, 0.0 for nothing."""
    f = at(frame, FRAME)
    h = at(f.state, HEADER)
    if not is_asset(frame, a) or not is_asset(frame, b) or f.own == 0 or f.inert != 0:
        return 0.0
    giver = account_of(frame, a)
    if giver == account_of(frame, b) or not amount > 0.0:
        return 0.0
    way = f.ways + 16 * (i8(f.homes + 16 * a) * f.n_venue + i8(f.homes + 16 * b))
    cost = f8(way + 8)
    sent = min(amount, free_cash(frame, giver))
    if not sent > cost:
        return 0.0
    if h.n_moving == MOVING:
        fail(frame, JAMMED)
        return 0.0
    now = clock_time(frame)
    t = at(f.state + h.off_transfers + TRANSFER_BYTES * h.n_moving, TRANSFER)
    h.n_moving += 1
    t.time = now + i8(way)
    t.asset = b
    t.amount = sent - cost
    t.fee = cost
    whole = at(f.total, ACCOUNT)
    x = at(giver, ACCOUNT)
    x.cash -= sent
    x.equity -= sent
    whole.cash -= sent
    log_action(frame, TRANSFERRED, a, now, 0, -sent)
    return sent
