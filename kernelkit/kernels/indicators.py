"""Rolling indicators, O(1) a bar: one function each, `(frame, slot, column, first, last, out, n)`.

They write the values of the bars [first, last) from `out` on. A slot is `[value, where, own words ...]`, and the own
words are theirs: what they remember of the bars before. Values are NaN until the window is full, depend on bars `<= t`
only, and recursions start at the first loaded bar. Sums over tick columns are exact integers; float sums restart at
absolute bars divisible by 1024, so they do not depend on how the data was cut. Each is a unit of the engine,
compiled when a strategy first uses it.
"""

from math import sqrt

from kernelkit.kernels.layout import C_CLOSE_P, C_HIGH_P, C_LOW_P, C_OPEN_P, C_VOLUME, FRAME, INSTRUMENT
from kernelkit.kernels.memory import at, f8, i8, put_f8, put_i8, scale_four

NAN = float("nan")
RESTART = 1024


def column_at(frame: int, c: int, i: int) -> int:
    """Address of bar `i` in column `c`."""
    columns = at(frame, FRAME).columns
    return i8(columns + 16 * c) + 8 * i


def mean_prices(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int, parts: int) -> None:
    """A `parts`-th of the sum of the last `n` prices, which is exact in ticks: one rounding.

    A product with a dyadic tick has none.
    """
    g = at(at(frame, FRAME).instrument, INSTRUMENT)
    tick = g.tick if g.inverse == 0 else 1.0
    whole = float(parts) if g.inverse == 0 else float(g.inverse) * float(parts)
    ticks = column_at(frame, c - C_OPEN_P, 0)
    total = i8(slot + 16)
    for i in range(first, last):
        total += i8(ticks + 8 * i)
        if i >= n:
            total -= i8(ticks + 8 * (i - n))
        put_f8(out + 8 * (i - first), float(total) if i + 1 >= n else NAN)
    put_i8(slot + 16, total)
    for place in range(out, out + 8 * (last - first), 32):  # the row has room for four
        scale_four(place, tick, whole)


def sma_price(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int) -> None:
    """Simple moving average of prices, exact."""
    mean_prices(frame, slot, c, first, last, out, n, n)


def sum_price(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int) -> None:
    """Rolling sum of prices, exact."""
    mean_prices(frame, slot, c, first, last, out, n, 1)


def mean_floats(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int, parts: int) -> None:
    """A `parts`-th of the sum of the last `n` values of a float column; a NaN lasts as long as the window holds it."""
    column = column_at(frame, c, 0)
    whole = float(parts)
    total = f8(slot + 16)
    for i in range(first, last):
        if i % RESTART == 0 or total != total:
            total = 0.0
            for j in range(max(0, i + 1 - n), i + 1):
                total += f8(column + 8 * j)
        else:
            total += f8(column + 8 * i)
            if i >= n:
                total -= f8(column + 8 * (i - n))
        put_f8(out + 8 * (i - first), total / whole if i + 1 >= n else NAN)
    put_f8(slot + 16, total)


def sma_float(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int) -> None:
    """Simple moving average of volume or a feature."""
    mean_floats(frame, slot, c, first, last, out, n, n)


def sum_float(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int) -> None:
    """Rolling sum of volume or a feature."""
    mean_floats(frame, slot, c, first, last, out, n, 1)


def ema(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int) -> None:
    """Exponential moving average, alpha = 2 / (n + 1), seeded with the first value (the first that is not NaN)."""
    column = column_at(frame, c, 0)
    alpha = 2.0 / (float(n) + 1.0)
    e = f8(slot + 16)
    for i in range(first, last):
        x = f8(column + 8 * i)
        if i > 0 and e == e:
            e = e + alpha * (x - e)
        else:
            e = x
        put_f8(out + 8 * (i - first), e if i + 1 >= n else NAN)
    put_f8(slot + 16, e)


def simple_return(column: int, i: int) -> float:
    """Return of bar `i`; 0 at the first bar."""
    return f8(column + 8 * i) / f8(column + 8 * (i - 1)) - 1.0 if i > 0 else 0.0


def deviations(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int, returns: bool) -> None:
    """Sample standard deviations of the last `n` values or returns, from sums shifted by word 2, which are 3 and 4."""
    column = column_at(frame, c, 0)
    shift = f8(slot + 16)
    s1 = f8(slot + 24)
    s2 = f8(slot + 32)
    for i in range(first, last):
        x = simple_return(column, i) if returns else f8(column + 8 * i)
        if i % RESTART == 0 or s2 != s2:
            shift = 0.0 if returns else x
            s1 = 0.0
            s2 = 0.0
            for j in range(max(0, i + 1 - n), i):
                u = (simple_return(column, j) if returns else f8(column + 8 * j)) - shift
                s1 += u
                s2 += u * u
            s1 += x - shift
            s2 += (x - shift) * (x - shift)
        else:
            s1 += x - shift
            s2 += (x - shift) * (x - shift)
            if i >= n:
                v = (simple_return(column, i - n) if returns else f8(column + 8 * (i - n))) - shift
                s1 -= v
                s2 -= v * v
        value = NAN
        if n > 1 and i + 1 >= n + (1 if returns else 0):
            var = (s2 - s1 * s1 / float(n)) / (float(n) - 1.0)
            value = 0.0 if var <= 0.0 else sqrt(var)
        put_f8(out + 8 * (i - first), value)
    put_f8(slot + 16, shift)
    put_f8(slot + 24, s1)
    put_f8(slot + 32, s2)


def std(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int) -> None:
    """Sample standard deviation (ddof = 1) of the last `n` values."""
    deviations(frame, slot, c, first, last, out, n, False)


def volatility(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int) -> None:
    """Sample standard deviation of the last `n` bar returns, per bar."""
    deviations(frame, slot, c, first, last, out, n, True)


def wrapped(k: int, n: int) -> int:
    """k modulo n, for 0 <= k < 2 n."""
    return k - n if k >= n else k


def extremes(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int, sign: float) -> None:
    """Rolling maximum of sign * x by a monotone queue of (bar, value).

    Word 2 is its byte offset from the slot, 3 its head, 4 its length.
    """
    column = column_at(frame, c, 0)
    ring = slot + i8(slot + 16)
    head = i8(slot + 24)
    size = i8(slot + 32)
    for i in range(first, last):
        x = sign * f8(column + 8 * i)
        if size > 0 and i8(ring + 16 * head) <= i - n:
            head = wrapped(head + 1, n)
            size -= 1
        while size > 0 and (f8(ring + 16 * wrapped(head + size - 1, n) + 8) <= x or x != x):
            size -= 1
        tail = ring + 16 * wrapped(head + size, n)
        put_i8(tail, i)
        put_f8(tail + 8, x)
        size += 1
        put_f8(out + 8 * (i - first), sign * f8(ring + 16 * head + 8) if i + 1 >= n else NAN)
    put_i8(slot + 24, head)
    put_i8(slot + 32, size)


def max_of(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int) -> None:
    """Largest of the last `n` values."""
    extremes(frame, slot, c, first, last, out, n, 1.0)


def min_of(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int) -> None:
    """Smallest of the last `n` values."""
    extremes(frame, slot, c, first, last, out, n, -1.0)


def smoothed(mean: float, x: float, k: int, n: int) -> float:
    """Wilder's average of x_1 ... x_k, after that of the values before: the mean of the first n, then (n - 1 : 1).

    The sum, for k < n.
    """
    if k < n:
        return mean + x
    if k == n:
        return (mean + x) / float(n)
    return (mean * (float(n) - 1.0) + x) / float(n)


def rsi(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int) -> None:
    """Wilder's relative strength index, 0 to 100; 100 without losses, 50 without any change."""
    column = column_at(frame, c, 0)
    up = f8(slot + 16)
    down = f8(slot + 24)
    since = i8(slot + 32)
    for i in range(first, last):
        value = NAN
        if i > 0:
            change = f8(column + 8 * i) - f8(column + 8 * (i - 1))
            if change != change:  # begin anew after it
                up = 0.0
                down = 0.0
                since = i
            else:
                up = smoothed(up, max(change, 0.0), i - since, n)
                down = smoothed(down, max(-change, 0.0), i - since, n)
                if i - since >= n and down > 0.0:
                    value = 100.0 - 100.0 / (1.0 + up / down)
                elif i - since >= n:
                    value = 100.0 if up > 0.0 else 50.0
        put_f8(out + 8 * (i - first), value)
    put_f8(slot + 16, up)
    put_f8(slot + 24, down)
    put_i8(slot + 32, since)


def atr(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int) -> None:
    """Wilder's average true range, in price units; the first bar's range is high - low."""
    highs = column_at(frame, C_HIGH_P, 0)
    lows = column_at(frame, C_LOW_P, 0)
    closes = column_at(frame, C_CLOSE_P, 0)
    mean = f8(slot + 16)
    for i in range(first, last):
        high = f8(highs + 8 * i)
        low = f8(lows + 8 * i)
        if i > 0:
            before = f8(closes + 8 * (i - 1))
            high = max(high, before)
            low = min(low, before)
        mean = smoothed(mean, high - low, i + 1, n)
        put_f8(out + 8 * (i - first), mean if i + 1 >= n else NAN)
    put_f8(slot + 16, mean)


def typical(highs: int, lows: int, closes: int, i: int) -> float:
    """(high + low + close) / 3."""
    return (f8(highs + 8 * i) + f8(lows + 8 * i) + f8(closes + 8 * i)) / 3.0


def vwap(frame: int, slot: int, c: int, first: int, last: int, out: int, n: int) -> None:
    """Volume-weighted typical price of the last `n` bars; NaN without volume."""
    highs = column_at(frame, C_HIGH_P, 0)
    lows = column_at(frame, C_LOW_P, 0)
    closes = column_at(frame, C_CLOSE_P, 0)
    volumes = column_at(frame, C_VOLUME, 0)
    value = f8(slot + 16)
    volume = f8(slot + 24)
    for i in range(first, last):
        if i % RESTART == 0:
            value = 0.0
            volume = 0.0
            for j in range(max(0, i + 1 - n), i + 1):
                value += typical(highs, lows, closes, j) * f8(volumes + 8 * j)
                volume += f8(volumes + 8 * j)
        else:
            value += typical(highs, lows, closes, i) * f8(volumes + 8 * i)
            volume += f8(volumes + 8 * i)
            if i >= n:
                value -= typical(highs, lows, closes, i - n) * f8(volumes + 8 * (i - n))
                volume -= f8(volumes + 8 * (i - n))
        put_f8(out + 8 * (i - first), value / volume if i + 1 >= n and volume > 0.0 else NAN)
    put_f8(slot + 16, value)
    put_f8(slot + 24, volume)
