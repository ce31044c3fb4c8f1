"""What an account has done in a session, as fills come: what was traded, which of them were day trades (R4, R6)."""

from kernelkit.kernels.account import last_mark, same_side, value_at
from kernelkit.kernels.costs import INF
from kernelkit.kernels.layout import ACCOUNT, C_SESSION, FRAME, INSTRUMENT, INSTRUMENT_BYTES, POSITION, TRIPS
from kernelkit.kernels.memory import at, i8, put_i8

OFF_TRIP = ACCOUNT.fields["trip"][1]


def session_at(frame: int) -> int:
    """Where the sessions of the clock's bars lie."""
    f = at(frame, FRAME)
    columns = f.columns if f.shared == 0 else at(f.instrument_0 - INSTRUMENT_BYTES, INSTRUMENT).columns
    return i8(columns + 16 * C_SESSION)


def now_at(frame: int) -> int:
    """The bar at which the clock stands."""
    f = at(frame, FRAME)
    return f.i if f.shared == 0 else f.clock


def tally(frame: int, held: int, lots: int, k: int) -> None:
    """Count a fill of `lots` at `k` ticks, with the position `held` before it, into the session of its bar.

    That of a portfolio's liquidation may be an earlier one (L6).
    """
    f = at(frame, FRAME)
    a = at(f.account, ACCOUNT)
    x = at(f.positions, POSITION)
    session = i8(i8(f.columns + 16 * C_SESSION) + 8 * f.i)
    if session == i8(session_at(frame) + 8 * now_at(frame)):
        if a.turned_at != session:
            a.turned_at = session
            a.turned = 0.0
        unit = at(f.instrument, INSTRUMENT).unit
        marked = last_mark(frame)
        if marked > 0.0:
            a.turned += abs(value_at(f.instrument, k)) * (float(abs(lots)) * unit) / marked
        else:  # one of several accounts goes on (V4)
            a.turned = INF
    after = held + lots
    mark = 2 * session + 1
    if held != 0 and not same_side(held, lots) and x.day_open == mark:
        put_i8(f.account + OFF_TRIP + 8 * (a.n_trips % TRIPS), session)
        a.n_trips += 1
        x.day_open = 0
    if after != 0 and (abs(after) > abs(held) or not same_side(after, held)):
        x.day_open = mark
