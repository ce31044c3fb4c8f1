"""Rolling indicators, O(1) a bar: one function each, `(frame, slot, column, n)`, called for every bar.

They are called before the strategy decides. A slot is `[value, previous value, own words ...]`. Values are NaN until
the window is full, depend on bars `<= t` only, and recursions start at the first loaded bar. Sums over tick columns are
exact integers; float sums restart at absolute bars divisible by 1024, so they do not depend on how the data was cut.
Only the functions that a strategy uses are compiled, into its own module.
"""

from math import sqrt

from kernelkit.kernels.layout import C_CLOSE_P, C_HIGH_P, C_LOW_P, C_OPEN_P, C_VOLUME, FRAME, INSTRUMENT
from kernelkit.kernels.memory import at, f8, i8, put_f8, put_i8

NAN = float("nan")
RESTART = 1024


def column_at(frame: int, c: int, i: int) -> int:
    """Address of bar `i` in column `c`."""
    columns = at(frame, FRAME).columns
    return i8(columns + 16 * c) + 8 * i


def mean_price(frame: int, total: int, n: int) -> float:
    """Mean of `n` prices that sum to `total` ticks, with one rounding (a product with a dyadic tick has none)."""
    g = at(at(frame, FRAME).instrument, INSTRUMENT)
    if g.inverse == 0:
        return float(total) * g.tick / float(n)
    return float(total) / (float(g.inverse) * float(n))


def publish(slot: int, value: float) -> float:
    """The bar's value; the old one becomes `[-1]`."""
    put_f8(slot + 8, f8(slot))
    put_f8(slot, value)
    return value


def tick_sum(frame: int, slot: int, c: int, n: int) -> int:
    """Exact sum of the last `n` values of a price column, in ticks."""
    i = at(frame, FRAME).i
    ticks = c - C_OPEN_P
    total = i8(slot + 16) + i8(column_at(frame, ticks, i))
    if i >= n:
        total -= i8(column_at(frame, ticks, i - n))
    put_i8(slot + 16, total)
    return total


def float_sum(frame: int, slot: int, c: int, n: int) -> float:
    """Sum of the last `n` values of a float column; a NaN lasts as long as the window holds it."""
    i = at(frame, FRAME).i
    if i % RESTART == 0 or f8(slot + 16) != f8(slot + 16):
        total = 0.0
        for j in range(max(0, i + 1 - n), i + 1):
            total += f8(column_at(frame, c, j))
    else:
        total = f8(slot + 16) + f8(column_at(frame, c, i))
        if i >= n:
            total -= f8(column_at(frame, c, i - n))
    put_f8(slot + 16, total)
    return total


def sma_price(frame: int, slot: int, c: int, n: int) -> float:
    """Simple moving average of prices, exact."""
    total = tick_sum(frame, slot, c, n)
    return publish(slot, mean_price(frame, total, n) if at(frame, FRAME).i + 1 >= n else NAN)


def sum_price(frame: int, slot: int, c: int, n: int) -> float:
    """Rolling sum of prices, exact."""
    total = tick_sum(frame, slot, c, n)
    return publish(slot, mean_price(frame, total, 1) if at(frame, FRAME).i + 1 >= n else NAN)


def sma_float(frame: int, slot: int, c: int, n: int) -> float:
    """Simple moving average of volume or a feature."""
    total = float_sum(frame, slot, c, n)
    return publish(slot, total / float(n) if at(frame, FRAME).i + 1 >= n else NAN)


def sum_float(frame: int, slot: int, c: int, n: int) -> float:
    """Rolling sum of volume or a feature."""
    total = float_sum(frame, slot, c, n)
    return publish(slot, total if at(frame, FRAME).i + 1 >= n else NAN)


def ema(frame: int, slot: int, c: int, n: int) -> float:
    """Exponential moving average, alpha = 2 / (n + 1), seeded with the first value (the first that is not NaN)."""
    i = at(frame, FRAME).i
    x = f8(column_at(frame, c, i))
    e = x
    if i > 0 and f8(slot + 16) == f8(slot + 16):
        e = f8(slot + 16)
        e = e + 2.0 / (float(n) + 1.0) * (x - e)
    put_f8(slot + 16, e)
    return publish(slot, e if i + 1 >= n else NAN)


def deviation(slot: int, x: float, old: float, i: int, n: int) -> float:
    """Rolling sample standard deviation from shifted sums in words 2 (shift), 3 and 4; `old` has left the window."""
    u = x - f8(slot + 16)
    s1 = f8(slot + 24) + u
    s2 = f8(slot + 32) + u * u
    if i >= n:
        v = old - f8(slot + 16)
        s1 -= v
        s2 -= v * v
    put_f8(slot + 24, s1)
    put_f8(slot + 32, s2)
    if i + 1 < n or n < 2:
        return NAN
    var = (s2 - s1 * s1 / float(n)) / (float(n) - 1.0)
    return 0.0 if var <= 0.0 else sqrt(var)


def std(frame: int, slot: int, c: int, n: int) -> float:
    """Sample standard deviation (ddof = 1) of the last `n` values."""
    i = at(frame, FRAME).i
    if i % RESTART == 0 or f8(slot + 32) != f8(slot + 32):
        put_f8(slot + 16, f8(column_at(frame, c, i)))
        put_f8(slot + 24, 0.0)
        put_f8(slot + 32, 0.0)
        for j in range(max(0, i + 1 - n), i):
            deviation(slot, f8(column_at(frame, c, j)), 0.0, 0, n)
        return publish(slot, deviation(slot, f8(column_at(frame, c, i)), 0.0, min(i, n - 1), n))
    else:
        old = f8(column_at(frame, c, max(0, i - n)))
        return publish(slot, deviation(slot, f8(column_at(frame, c, i)), old, i, n))


def simple_return(frame: int, c: int, i: int) -> float:
    """Return of bar `i`; 0 at the first bar."""
    return f8(column_at(frame, c, i)) / f8(column_at(frame, c, i - 1)) - 1.0 if i > 0 else 0.0


def volatility(frame: int, slot: int, c: int, n: int) -> float:
    """Sample standard deviation of the last `n` bar returns, per bar."""
    i = at(frame, FRAME).i
    if i % RESTART == 0 or f8(slot + 32) != f8(slot + 32):
        put_f8(slot + 16, 0.0)
        put_f8(slot + 24, 0.0)
        put_f8(slot + 32, 0.0)
        for j in range(max(0, i + 1 - n), i):
            deviation(slot, simple_return(frame, c, j), 0.0, 0, n)
        sigma = deviation(slot, simple_return(frame, c, i), 0.0, min(i, n - 1), n)
    else:
        sigma = deviation(slot, simple_return(frame, c, i), simple_return(frame, c, max(0, i - n)), i, n)
    return publish(slot, sigma if i >= n else NAN)


def extreme(frame: int, slot: int, c: int, n: int, sign: float) -> float:
    """Rolling maximum of sign * x by a monotone queue of (bar, value).

    Word 2 is its byte offset from the slot, 3 its head, 4 its length.
    """
    i = at(frame, FRAME).i
    x = sign * f8(column_at(frame, c, i))
    ring = slot + i8(slot + 16)
    head = i8(slot + 24)
    size = i8(slot + 32)
    if size > 0 and i8(ring + 16 * head) <= i - n:
        head = (head + 1) % n
        size -= 1
    while size > 0 and (f8(ring + 16 * ((head + size - 1) % n) + 8) <= x or x != x):
        size -= 1
    tail = ring + 16 * ((head + size) % n)
    put_i8(tail, i)
    put_f8(tail + 8, x)
    put_i8(slot + 24, head)
    put_i8(slot + 32, size + 1)
    return sign * f8(ring + 16 * head + 8) if i + 1 >= n else NAN


def max_of(frame: int, slot: int, c: int, n: int) -> float:
    """Largest of the last `n` values."""
    return publish(slot, extreme(frame, slot, c, n, 1.0))


def min_of(frame: int, slot: int, c: int, n: int) -> float:
    """Smallest of the last `n` values."""
    return publish(slot, extreme(frame, slot, c, n, -1.0))


def smoothed(slot: int, x: float, k: int, n: int) -> float:
    """Wilder's average of x_1 ... x_k in the word at `slot`: the mean of the first n, then (n - 1 : 1)."""
    if k <= n:
        total = f8(slot) + x
        put_f8(slot, total / float(n) if k == n else total)
    else:
        put_f8(slot, (f8(slot) * (float(n) - 1.0) + x) / float(n))
    return f8(slot)


def rsi(frame: int, slot: int, c: int, n: int) -> float:
    """Wilder's relative strength index, 0 to 100; 100 without losses, 50 without any change."""
    i = at(frame, FRAME).i
    if i == 0:
        return publish(slot, NAN)
    change = f8(column_at(frame, c, i)) - f8(column_at(frame, c, i - 1))
    if change != change:  # begin anew after it
        put_f8(slot + 16, 0.0)
        put_f8(slot + 24, 0.0)
        put_i8(slot + 32, i)
        return publish(slot, NAN)
    k = i - i8(slot + 32)
    up = smoothed(slot + 16, max(change, 0.0), k, n)
    down = smoothed(slot + 24, max(-change, 0.0), k, n)
    if k < n:
        return publish(slot, NAN)
    elif down > 0.0:
        return publish(slot, 100.0 - 100.0 / (1.0 + up / down))
    else:
        return publish(slot, 100.0 if up > 0.0 else 50.0)


def atr(frame: int, slot: int, c: int, n: int) -> float:
    """Wilder's average true range, in price units; the first bar's range is high - low."""
    i = at(frame, FRAME).i
    high = f8(column_at(frame, C_HIGH_P, i))
    low = f8(column_at(frame, C_LOW_P, i))
    if i > 0:
        before = f8(column_at(frame, C_CLOSE_P, i - 1))
        high = max(high, before)
        low = min(low, before)
    value = smoothed(slot + 16, high - low, i + 1, n)
    return publish(slot, value if i + 1 >= n else NAN)


def typical(frame: int, i: int) -> float:
    """(high + low + close) / 3."""
    return (
        f8(column_at(frame, C_HIGH_P, i)) + f8(column_at(frame, C_LOW_P, i)) + f8(column_at(frame, C_CLOSE_P, i))
    ) / 3.0


def vwap(frame: int, slot: int, c: int, n: int) -> float:
    """Volume-weighted typical price of the last `n` bars; NaN without volume."""
    i = at(frame, FRAME).i
    if i % RESTART == 0:
        value = 0.0
        volume = 0.0
        for j in range(max(0, i + 1 - n), i + 1):
            v = f8(column_at(frame, C_VOLUME, j))
            value += typical(frame, j) * v
            volume += v
    else:
        v = f8(column_at(frame, C_VOLUME, i))
        value = f8(slot + 16) + typical(frame, i) * v
        volume = f8(slot + 24) + v
        if i >= n:
            v = f8(column_at(frame, C_VOLUME, i - n))
            value -= typical(frame, i - n) * v
            volume -= v
    put_f8(slot + 16, value)
    put_f8(slot + 24, volume)
    return publish(slot, value / volume if i + 1 >= n and volume > 0.0 else NAN)
