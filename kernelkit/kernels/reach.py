"""What the strategy of a portfolio sees and does: its assets by number, one number each of its own, ranks, weights.

Asset numbers come from the user's code: one that is not there stops the trial with an error that names it. A strategy
that is called for each asset (X9) has that in focus, and reads as if there were no other.
"""

from kernelkit.kernels.account import fail
from kernelkit.kernels.events import EVENT_WORDS, events_of
from kernelkit.kernels.focus import account_of, bars_until, defocus, focus, has_bar, last_bar
from kernelkit.kernels.layout import (
    ACCOUNT,
    EVENT,
    EVENT_BYTES,
    EVENTS,
    EVENTS_BYTES,
    FAILED,
    FRAME,
    HEADER,
    INSTRUMENT,
    INSTRUMENT_BYTES,
    LOOKAHEAD,
    NO_ASSET,
    ORDER,
    ORDER_BYTES,
    POSITION,
    POSITION_BYTES,
    RAISED,
    V_WEIGHT,
)
from kernelkit.kernels.memory import at, bits, call_act, call_weigh, f8, i8, put_f8, put_i8

NAN = float("nan")


def is_asset(frame: int, k: int) -> bool:
    """Whether there is an asset `k`; else the trial ends."""
    f = at(frame, FRAME)
    if k >= 0 and k < f.n_asset:
        return True
    if f.error == 0:
        f.error_arg = k
    fail(frame, NO_ASSET)
    return False


def place_at(frame: int, k: int, c: int, i: int) -> int:
    """Where column `c` of asset `k` has its own bar `i`."""
    columns = at(at(frame, FRAME).instrument_0 + INSTRUMENT_BYTES * k, INSTRUMENT).columns
    return i8(columns + 16 * c) + 8 * i


def asset_past(frame: int, k: int, c: int, back: int) -> float:
    """X1: column `c` of asset `k`, `back` of its own bars from its last one; NaN where it has none."""
    f = at(frame, FRAME)
    if not is_asset(frame, k):
        return NAN
    if back > 0:
        if f.error == 0:
            f.error_arg = back
        fail(frame, LOOKAHEAD)
        return NAN
    i = last_bar(frame, k) + back
    return f8(place_at(frame, k, c, i)) if i >= 0 else NAN


def asset_age(frame: int, k: int, c: int) -> int:
    """How old a feature of asset `k` is, in ns; 0 before its first bar."""
    if not is_asset(frame, k) or last_bar(frame, k) < 0:
        return 0
    return i8(place_at(frame, k, c, last_bar(frame, k)))


def asset_value(frame: int, k: int, place: int, back: int) -> float:
    """An indicator of asset `k`, at its last bar or the one before; `place` has where in the panel its values lie."""
    f = at(frame, FRAME)
    if not is_asset(frame, k):
        return NAN
    i = last_bar(frame, k)
    if i < 0:
        return NAN
    first = bars_until(frame, k, f.first)
    value = f8(f.values + 16 + i8(place) + f.row_bytes * k + 8 * (i - first + back))
    if bits(value) >> 32 == FAILED:
        fail(frame, RAISED)
    return value


def asset_position(frame: int, k: int) -> float:
    """What is held of asset `k`, in base units."""
    if not is_asset(frame, k):
        return NAN
    return at(at(frame, FRAME).position_0 + POSITION_BYTES * k, POSITION).quantity


def asset_cash(frame: int, k: int) -> float:
    """V3: the cash of the account that holds asset `k`."""
    return at(account_of(frame, k), ACCOUNT).cash if is_asset(frame, k) else NAN


def asset_equity(frame: int, k: int) -> float:
    """V3: what that account is worth."""
    return at(account_of(frame, k), ACCOUNT).equity if is_asset(frame, k) else NAN


def asset_tradable(frame: int, k: int) -> bool:
    """X1: whether asset `k` has a bar now."""
    return is_asset(frame, k) and has_bar(frame, k)


def each_place(frame: int, base: int, k: int) -> int:
    """Where a number of asset `k` lies; that of asset 0 where there is no such asset."""
    return base + 8 * k if is_asset(frame, k) else base


def asset_order(
    frame: int, k: int, verb: int, tif: int, q: float, a: float, b: float, c: float, d: float, e: float
) -> int:
    """Any order for asset `k`; its id, or 0."""
    if not is_asset(frame, k):
        return 0
    focus(frame, k)
    number = call_act(at(frame, FRAME).act, frame, verb, tif, q, a, b, c, d, e)
    defocus(frame)
    return number


def asset_aim(frame: int, k: int, verb: int, wish: float) -> int:
    """A target for asset `k`; an order id, or 0."""
    f = at(frame, FRAME)
    if not is_asset(frame, k):
        return 0
    focus(frame, k)
    number = call_weigh(f.weigh, frame, verb, wish, -1.0)
    defocus(frame)
    return number


def weights(frame: int, values: int, band: float) -> int:
    """X7: a weight for each asset that has a bar now; NaN leaves it. How many orders that took."""
    f = at(frame, FRAME)
    n = at(f.total, ACCOUNT).n_orders
    live = at(f.state, HEADER).n_live
    for k in range(f.n_asset):
        wish = f8(values + 8 * k)
        if wish == 0.0 and live == 0 and at(f.position_0 + POSITION_BYTES * k, POSITION).lots == 0:
            continue  # the commonest case: nothing is held, wanted or ordered
        if wish == wish and has_bar(frame, k):
            focus(frame, k)
            call_weigh(f.weigh, frame, V_WEIGHT, wish, band)
    defocus(frame)
    return at(f.total, ACCOUNT).n_orders - n


def rank(frame: int, values: int, ranks: int) -> int:
    """Rank 1 for the largest value, equal ones in column order, NaN for NaN; how many are ranked.

    Pairs of value and number are merged in runs of 1, 2, 4 ...
    """
    f = at(frame, FRAME)
    one = f.scratch
    other = f.scratch + 16 * f.n_asset
    n = 0
    for k in range(f.n_asset):
        x = f8(values + 8 * k)
        put_f8(ranks + 8 * k, NAN)
        if x == x:
            put_f8(one + 16 * n, x)
            put_i8(one + 16 * n + 8, k)
            n += 1
    width = 16
    while width < 16 * n:
        low = 0
        while low < 16 * n:
            middle = min(low + width, 16 * n)
            high = min(middle + width, 16 * n)
            a = low
            b = middle
            to = low
            while a < middle and b < high:
                left = 16 * int(f8(one + a) >= f8(one + b))  # no branch: which is larger nobody can predict
                place = one + b + (left >> 4) * (a - b)
                put_f8(other + to, f8(place))
                put_i8(other + to + 8, i8(place + 8))
                a += left
                b += 16 - left
                to += 16
            rest = a if a < middle else b
            while to < high:
                put_f8(other + to, f8(one + rest))
                put_i8(other + to + 8, i8(one + rest + 8))
                rest += 16
                to += 16
            low = high
        swap = one
        one = other
        other = swap
        width *= 2
    for k in range(n):
        put_f8(ranks + 8 * i8(one + 16 * k + 8), float(k + 1))
    return n


def is_called(frame: int, k: int) -> bool:
    """X9: whether the strategy of asset `k` is called now: it has a bar, and its windows are full."""
    f = at(frame, FRAME)
    return has_bar(frame, k) and last_bar(frame, k) >= at(f.instrument_0 + INSTRUMENT_BYTES * k, INSTRUMENT).called


def own_panel(frame: int) -> int:
    """Where the indicators' values of bar 0 of the asset in focus would lie; a slot's second word comes on top."""
    f = at(frame, FRAME)
    return f.values + 16 + f.row_bytes * f.asset - 8 * bars_until(frame, f.asset, f.first)


def own_orders(frame: int) -> int:
    """How many orders of the asset in focus live."""
    f = at(frame, FRAME)
    n = 0
    for k in range(at(f.state, HEADER).n_live):
        n += int(at(f.orders + k * ORDER_BYTES, ORDER).asset == f.asset)
    return n


def own_record(frame: int, name: int, value: float) -> int:
    """Keep a value of the asset in focus for this bar of the clock. 0."""
    f = at(frame, FRAME)
    row = f.clock - f.curve_0
    if f.records != 0 and row % f.curve_step == 0:
        put_f8(f.records + 8 * ((row // f.curve_step) * f.n_record + name * f.n_asset + f.asset), value)
    return 0


def give_up(frame: int) -> None:
    """Speak of the clock again, at that of its bars which was bar FRAME.i of the asset in focus. A decision failed."""
    f = at(frame, FRAME)
    k = f.asset
    i = f.i
    defocus(frame)
    while f.i > 0 and bars_until(frame, k, f.i) > i:
        f.i -= 1


def forget_told(frame: int, n: int) -> None:
    """Of the first `n` events, those of assets whose strategy is called now have been told (T7, X9).

    Nobody will ever be told those of one that was delisted.
    """
    kept = at(events_of(frame), EVENTS)
    first = events_of(frame) + EVENTS_BYTES
    to = first
    for k in range(kept.n):
        place = first + EVENT_BYTES * k
        k_asset = at(place, EVENT).asset
        gone = at(at(frame, FRAME).position_0 + POSITION_BYTES * k_asset, POSITION).delisted != 0
        if k >= n or not (gone or is_called(frame, k_asset)):
            for word in range(EVENT_WORDS):
                put_i8(to + 8 * word, i8(place + 8 * word))
            to += EVENT_BYTES
    kept.n = (to - first) // EVENT_BYTES
