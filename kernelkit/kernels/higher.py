"""Bars of higher timeframes: which of them a bar of their data sees, and what they hold (rules W5, W6).

Each timeframe of a data set has an INSTRUMENT record of its own, with columns like any other; INSTRUMENT.closed says
how many of its bars have closed.
"""

from kernelkit.kernels.account import fail
from kernelkit.kernels.focus import bars_until, last_bar
from kernelkit.kernels.layout import FAILED, FRAME, INSTRUMENT, INSTRUMENT_BYTES, LOOKAHEAD, RAISED
from kernelkit.kernels.memory import at, bits, f8, i8
from kernelkit.kernels.reach import is_asset

NAN = float("nan")


def timeframe_at(frame: int, j: int) -> int:
    """The record of timeframe `j` of the data of FRAME.instrument."""
    return at(at(frame, FRAME).instrument, INSTRUMENT).higher + INSTRUMENT_BYTES * j


def closed_by(higher_at: int, i: int) -> int:
    """How many bars have closed by base bar `i`; none by -1."""
    return i8(at(higher_at, INSTRUMENT).closed + 8 * (i + 1))


def closing_bar(higher_at: int, k: int) -> int:
    """The base bar at which bar `k` closes."""
    low = -1
    high = at(higher_at, INSTRUMENT).n_base
    while high - low > 1:
        middle = (low + high) // 2
        if closed_by(higher_at, middle) > k:
            high = middle
        else:
            low = middle
    return high


def back_from(frame: int, higher_at: int, c: int, i: int, back: int) -> float:
    """Column `c`, `back` bars from the last that has closed by base bar `i`; NaN where there is none."""
    if back > 0:
        f = at(frame, FRAME)
        if f.error == 0:
            f.error_arg = back
        fail(frame, LOOKAHEAD)
        return NAN
    k = closed_by(higher_at, i) - 1 + back
    return f8(i8(at(higher_at, INSTRUMENT).columns + 16 * c) + 8 * k) if k >= 0 else NAN


def higher_past(frame: int, j: int, c: int, i: int, back: int) -> float:
    """W6: the same for timeframe `j` at bar `i`."""
    return back_from(frame, timeframe_at(frame, j), c, i, back)


def row_offset(higher_at: int, first: int, i: int) -> int:
    """Where in a row of the panel, whose tile begins at base bar `first`, the value lies that base bar `i` sees.

    That of a bar which had closed before the tile lies before the row's first, as does NaN while none has.
    """
    return 16 + 8 * (closed_by(higher_at, i) - 1 - closed_by(higher_at, first - 1))


def higher_place(frame: int, j: int, i: int) -> int:
    """Where in the panel the values of timeframe `j` lie that bar `i` of the asset in focus sees.

    A slot's second word comes on top.
    """
    f = at(frame, FRAME)
    row = f.values + f.row_bytes * f.asset
    return row + row_offset(timeframe_at(frame, j), bars_until(frame, f.asset, f.first), i)


def failing_bar(frame: int, j: int, value: float) -> int:
    """The bar at which an own indicator of timeframe `j` has raised, as its value says."""
    return closing_bar(timeframe_at(frame, j), bits(value) & 0xFFFFFFFF)


def asset_timeframe(frame: int, k: int, j: int) -> int:
    """The record of timeframe `j` of asset `k`."""
    return at(at(frame, FRAME).instrument_0 + INSTRUMENT_BYTES * k, INSTRUMENT).higher + INSTRUMENT_BYTES * j


def asset_higher(frame: int, k: int, j: int, c: int, back: int) -> float:
    """W8: column `c` of timeframe `j` of asset `k`, by the asset's last bar."""
    if not is_asset(frame, k):
        return NAN
    return back_from(frame, asset_timeframe(frame, k, j), c, last_bar(frame, k), back)


def asset_higher_value(frame: int, k: int, j: int, place: int, back: int) -> float:
    """An indicator of timeframe `j` of asset `k`; `place` has where in the panel its values lie."""
    f = at(frame, FRAME)
    if not is_asset(frame, k):
        return NAN
    offset = row_offset(asset_timeframe(frame, k, j), bars_until(frame, k, f.first), last_bar(frame, k))
    value = f8(f.values + i8(place) + f.row_bytes * k + offset + 8 * back)
    if bits(value) >> 32 == FAILED:
        fail(frame, RAISED)
    return value
