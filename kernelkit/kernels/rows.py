"""Rows of returns to the sums from which their metrics follow, each row on its own (rules M9, M11, M12).

Columns of the sums, in the order of `SUMS`; arrays of (series, ...) with the time contiguous.
"""

SUMS = ("n", "mean", "m2", "m3", "m4", "squares", "down", "gains", "losses", "wins", "wealth", "deepest")
SUMS += ("depths", "depths2", "longest")
TYPES = "void(Array(float64, 2, 'C', readonly=True), float64[:, ::1])"
NAN = float("nan")
ROUNDING = 2.0**-40  # M11


def sum_rows(x, out):  # (series, time) -> (series, sum)
    """Fill `out` with the sums of every row; a row with a gap has NaN in all but its first columns."""
    for row in range(x.shape[0]):
        first, end = 0, x.shape[1]
        while first < end and x[row, first] != x[row, first]:
            first += 1
        while end > first and x[row, end - 1] != x[row, end - 1]:
            end -= 1
        n = float(end - first)
        # four sums that do not wait for one another: 4 x faster than one
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        i = first
        while i + 4 <= end:
            a += x[row, i]
            b += x[row, i + 1]
            c += x[row, i + 2]
            d += x[row, i + 3]
            i += 4
        while i < end:
            a += x[row, i]
            i += 1
        mean = ((a + b) + (c + d)) / n if n > 0.0 else NAN
        m2 = m3 = m4 = squares = down = gains = losses = depths = depths2 = deepest = 0.0
        wins = 0
        wealth = peak = 1.0
        run = longest = 0
        for i in range(first, end):
            one = x[row, i]
            off = one - mean
            off2 = off * off
            m2 += off2
            m3 += off2 * off
            m4 += off2 * off2
            square = one * one
            squares += square
            low = min(one, 0.0)
            down += low * low
            losses -= low
            gains += max(one, 0.0)
            wins += one > 0.0
            wealth *= max(1.0 + one, 0.0)
            peak = max(peak, wealth)
            loss = 1.0 - wealth / peak
            loss = loss if loss > ROUNDING else 0.0
            deepest = max(deepest, loss)
            depths += loss
            depths2 += loss * loss
            # to the recovery, which is one sample after the last below, or to the end
            run = run + 1 if loss > 0.0 else 0
            reach = run + (1 if i + 1 < end else 0)
            longest = max(longest, reach if run > 0 else 0)
        out[row, 0] = n
        out[row, 1] = mean
        out[row, 2] = m2
        out[row, 3] = m3
        out[row, 4] = m4
        out[row, 5] = squares
        out[row, 6] = down
        out[row, 7] = gains
        out[row, 8] = losses
        out[row, 9] = float(wins)
        out[row, 10] = wealth
        out[row, 11] = deepest
        out[row, 12] = depths
        out[row, 13] = depths2
        out[row, 14] = float(longest)
