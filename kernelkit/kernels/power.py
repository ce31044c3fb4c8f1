"""Buying power: what an account can pay for, its other assets counted (rules A2, A3, L1, L7, X6)."""

from kernelkit.kernels.account import same_side, value_at
from kernelkit.kernels.costs import fee_of
from kernelkit.kernels.focus import account_of, close_since, focus, has_bar
from kernelkit.kernels.layout import (
    ACCOUNT,
    AT_END,
    C_CLOSE,
    C_OPEN,
    CLOSE_ONLY,
    CUT,
    DEBT,
    FILL_MODEL,
    FRAME,
    INSTRUMENT,
    LINEAR,
    POSITION,
    POSITION_BYTES,
    VENUE,
)
from kernelkit.kernels.memory import at, i8

SHRINKS = 64
REFUSED = -(1 << 62)


def meanwhile(frame: int) -> float:
    """X6: what a unit of the asset in focus is worth while orders of the pass fill."""
    f = at(frame, FRAME)
    here = has_bar(frame, f.asset)
    if f.coarse != 0 and not here:  # X11
        since = close_since(frame)
        return since if at(f.instrument, INSTRUMENT).contract == LINEAR else -1.0 / since
    close = f.step >= AT_END or at(f.fill_model, FILL_MODEL).path == CLOSE_ONLY or not here
    return value_at(f.instrument, i8(i8(f.columns + 16 * (C_CLOSE if close else C_OPEN)) + 8 * f.i))


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
    mine = f.account
    for k in range(f.n_asset):
        if at(f.position_0 + POSITION_BYTES * k, POSITION).lots != 0 and account_of(frame, k) == mine:
            focus(frame, k)
            count_in(frame)
    focus(frame, asset)


def count_in(frame: int) -> None:
    """X6: add the position in focus to what all are worth."""
    f = at(frame, FRAME)
    a = at(f.account, ACCOUNT)
    lots = at(f.positions, POSITION).lots
    p = meanwhile(frame)
    unit = at(f.instrument, INSTRUMENT).unit
    a.worth += p * (float(lots) * unit)
    a.gross += abs(p) * (float(abs(lots)) * unit)


def count_out(frame: int) -> None:
    """X6: take the position in focus out of what all are worth."""
    f = at(frame, FRAME)
    a = at(f.account, ACCOUNT)
    lots = at(f.positions, POSITION).lots
    if lots == 0:
        return
    p = meanwhile(frame)
    unit = at(f.instrument, INSTRUMENT).unit
    a.worth -= p * (float(lots) * unit)
    a.gross -= abs(p) * (float(abs(lots)) * unit)


def equity_at(frame: int, k: int) -> float:
    """A2, X6: what the account is worth with the asset in focus at `k` ticks, its position counted out before."""
    f = at(frame, FRAME)
    held = float(at(f.positions, POSITION).lots)
    cash = at(f.account, ACCOUNT).cash
    if f.shared != 0:
        cash = cash + at(f.account, ACCOUNT).worth
    return cash + value_at(f.instrument, k) * (held * at(f.instrument, INSTRUMENT).unit)


def power_at(frame: int, k: int) -> float:
    """A2, X6, L1, L7: how much of that margin on the asset in focus may take up."""
    f = at(frame, FRAME)
    v = at(f.venue, VENUE)
    if v.isolated != 0:
        x = at(f.positions, POSITION)
        value = value_at(f.instrument, k) * (float(x.lots) * at(f.instrument, INSTRUMENT).unit)
        own = (at(f.account, ACCOUNT).cash + value) - max(0.0, value - x.basis)
        return own + unbound(frame, f.account, f.asset)
    equity = equity_at(frame, k)
    return equity - at(f.account, ACCOUNT).gross * v.initial if f.shared != 0 else equity


def unbound(frame: int, account: int, asset: int) -> float:
    """L7: what the isolated positions of an account but that in `asset` have cost beyond what is at stake with them."""
    f = at(frame, FRAME)
    left = 0.0
    for k in range(f.n_asset):
        x = at(f.position_0 + POSITION_BYTES * k, POSITION)
        if k != asset and x.lots != 0 and account_of(frame, k) == account:
            left += x.basis - x.stake
    return left


def affordable(frame: int, lots: int, k: int, fee: float) -> bool:
    """A2, L1: whether the account can pay for `lots` at `k` ticks and this fee."""
    f = at(frame, FRAME)
    held = at(f.positions, POSITION).lots
    after = held + lots
    if abs(after) <= abs(held) and (after == 0 or same_side(after, held)):
        return True
    if at(f.venue, VENUE).cash_rule == DEBT:
        return True
    unit = at(f.instrument, INSTRUMENT).unit
    p = abs(value_at(f.instrument, k))
    return (p * (float(abs(after)) * unit)) * at(f.venue, VENUE).initial <= power_at(frame, k) - fee


def cut(frame: int, order_at: int, lots: int, k: int, maker: bool, time: int) -> int:
    """A3: what is filled of an order that is not affordable; REFUSED when the venue rejects it."""
    f = at(frame, FRAME)
    if at(f.venue, VENUE).cash_rule != CUT:
        return REFUSED
    held = at(f.positions, POSITION).lots
    unit = at(f.instrument, INSTRUMENT).unit
    p = abs(value_at(f.instrument, k))
    power = power_at(frame, k)
    way = 1 if lots > 0 else -1
    initial = at(f.venue, VENUE).initial
    each = (p * unit) * initial
    final = min(int(power / each), abs(held + lots)) if power > 0.0 else 0
    adding = held * way > 0
    for _ in range(SHRINKS):
        if final == 0:
            break
        if adding and final <= abs(held):
            return 0
        trial = way * final - held
        left = power - fee_of(frame, order_at, trial, k, maker, time)
        need = (p * (float(final) * unit)) * initial
        if need <= left:
            return trial
        final = max(0, final - max(1, int((need - left) / each)))
    return 0 if adding else -held
