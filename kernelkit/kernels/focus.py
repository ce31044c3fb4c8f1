"""Which asset the kernels speak of: an account may hold several, which share a clock (rules X1, X2).

FRAME.positions, .instrument, .columns and .i are those of the asset in focus; where none is, of the clock. An account
of one asset has that in focus all the time. With several venues FRAME.venue, .account and .member are of the one at
which the asset trades (rule V1).
"""

from kernelkit.kernels.layout import (
    ACCOUNT_BYTES,
    C_CLOSE_P,
    C_KNOWN_AT,
    C_OPEN_AT,
    FRAME,
    INSTRUMENT,
    INSTRUMENT_BYTES,
    POSITION,
    POSITION_BYTES,
    VENUE_BYTES,
)
from kernelkit.kernels.memory import at, f8, i8, put_f8, put_i8


def bars_until(frame: int, asset: int, until: int) -> int:
    """X1: how many bars an asset has before bar `until` of the clock."""
    f = at(frame, FRAME)
    if f.bars == 0 or until == 0:  # each asset has a bar at each of the clock's
        return until
    return i8(f.bars + 8 * ((until - 1) * f.n_asset + asset)) + 1


def last_bar(frame: int, asset: int) -> int:
    """X1: the asset's newest bar at bar FRAME.clock of the clock, -1 before its first."""
    return bars_until(frame, asset, at(frame, FRAME).clock + 1) - 1


def has_bar(frame: int, asset: int) -> bool:
    """X1: whether the asset has a bar at this bar of the clock; that in focus of an account of one always has."""
    f = at(frame, FRAME)
    return f.bars == 0 or bars_until(frame, asset, f.clock + 1) != bars_until(frame, asset, f.clock)


def own_columns(frame: int) -> int:
    """The columns of the bars that the asset in focus is decided on, be it that finer ones are walked (F16)."""
    f = at(frame, FRAME)
    if f.coarse_0 != 0:
        return at(f.coarse_0 + INSTRUMENT_BYTES * f.asset, INSTRUMENT).columns
    return f.coarse if f.coarse != 0 else f.columns


def own_bar(frame: int) -> int:
    """The last of those bars, while finer ones are walked."""
    f = at(frame, FRAME)
    return f.coarse_i if f.coarse_bars == 0 else i8(f.coarse_bars + 8 * (f.coarse_i * f.n_asset + f.asset))


def close_since(frame: int) -> float:
    """F16, X11: the close of the asset's finer bar before this one in the same bar; without one E1's P(C)."""
    f = at(frame, FRAME)
    x = at(f.positions, POSITION)
    u = f.i - 1 if has_bar(frame, f.asset) else f.i
    opens = i8(i8(f.coarse + 16 * C_OPEN_AT) + 8 * f.coarse_i)
    if u >= 0 and i8(i8(f.columns + 16 * C_OPEN_AT) + 8 * u) >= opens:
        return f8(i8(f.columns + 16 * C_CLOSE_P) + 8 * u)
    columns = own_columns(frame)
    i = own_bar(frame)
    if i8(i8(columns + 16 * C_OPEN_AT) + 8 * i) >= opens:  # X1: the asset has a bar there
        if x.acted_at == i:
            return x.before
        i -= 1
    return f8(i8(columns + 16 * C_CLOSE_P) + 8 * i)


def clock_time(frame: int) -> int:
    """When bar FRAME.clock of a portfolio's clock is known."""
    f = at(frame, FRAME)
    columns = at(f.instrument_0 - INSTRUMENT_BYTES, INSTRUMENT).columns
    return i8(i8(columns + 16 * C_KNOWN_AT) + 8 * f.clock)


def focus(frame: int, asset: int) -> None:
    """Speak of this asset."""
    f = at(frame, FRAME)
    if f.shared == 0:
        return
    f.asset = asset
    f.positions = f.position_0 + POSITION_BYTES * asset
    f.instrument = f.instrument_0 + INSTRUMENT_BYTES * asset
    f.columns = at(f.instrument, INSTRUMENT).columns
    f.i = last_bar(frame, asset)
    if f.homes != 0:
        look_at(frame, i8(f.homes + 16 * asset))


def look_at(frame: int, venue: int) -> None:
    """V1: speak of this venue, of several, and of the account there."""
    f = at(frame, FRAME)
    f.venue = f.venue_0 + VENUE_BYTES * venue
    f.member = f.total + ACCOUNT_BYTES * (1 + venue)
    f.account = f.member if f.own != 0 else f.total


def account_of(frame: int, asset: int) -> int:
    """V1: the account that holds an asset."""
    f = at(frame, FRAME)
    return f.total if f.own == 0 else f.total + ACCOUNT_BYTES * (1 + i8(f.homes + 16 * asset))


def covers(frame: int, account: int, asset: int) -> bool:
    """Whether what is done to this account is done to that asset; the first of several stands for all."""
    return account == at(frame, FRAME).total or account_of(frame, asset) == account


def list_held(frame: int) -> None:
    """Write down, in column order, what is held: each asset's number, where its closes lie, its lots times the unit.

    A mark then takes two loads an asset, side by side, and the close.
    """
    f = at(frame, FRAME)
    n = 0
    for k in range(f.n_asset):
        lots = at(f.position_0 + POSITION_BYTES * k, POSITION).lots
        if lots != 0:
            g = at(f.instrument_0 + INSTRUMENT_BYTES * k, INSTRUMENT)
            put_i8(f.held + 24 * n, k)
            put_i8(f.held + 24 * n + 8, i8(g.columns + 16 * g.mark))
            put_f8(f.held + 24 * n + 16, float(lots) * g.unit)
            n += 1
    f.n_held = n


def defocus(frame: int) -> None:
    """Speak of the clock again."""
    f = at(frame, FRAME)
    if f.shared == 0:
        return
    f.asset = -1
    f.positions = f.position_0
    f.instrument = f.instrument_0 - INSTRUMENT_BYTES
    f.columns = at(f.instrument, INSTRUMENT).columns
    f.i = f.clock
    f.account = f.total
    f.venue = f.venue_0


def speak_of(frame: int, asset: int) -> None:
    """Speak of this asset again, or of the clock where it is -1."""
    if asset < 0:
        defocus(frame)
    else:
        focus(frame, asset)
