"""Combinatorially symmetric cross-validation from sums of blocks (rules B1, B2): every split of S blocks into halves.

A half is named by a subset of the earlier S/2 blocks and one of the later. Subsets are in the order of their size,
then of their bits: those of one size lie together, and the complement of the i-th is the i-th from the end.
The inner loops run over later subsets of one size and are elementwise, which is what becomes vectors without a sum
being taken in another order: 3 x faster than loops over strategies, with their maxima and sums.
"""

from math import sqrt

SUBSET_TYPES = "void(float64[:, ::1], int64[::1], float64[::1], float64[:, ::1])"
TYPES = "void(int64, int64, float64[:, :, ::1], float64[:, :, ::1], float64[:, ::1], int64[::1], int64[::1], bool_, "
TYPES += "float64[::1], int64[:, ::1], int64[::1], float64[:, ::1])"
TINY = 2.0**-52


def subset_sums(values, place, row, out):  # (block, strategy) -> (strategy, subset)
    """The sum of every subset of the blocks, earlier blocks first; the subset with the bits `m` goes to place[m]."""
    for k in range(len(out)):
        row[0] = 0.0
        for b in range(len(values)):
            for m in range(1 << b):
                row[(1 << b) + m] = row[m] + values[b, k]
        for m in range(len(row)):
            out[k, place[m]] = row[m]


def sharpe(a1, a2, s1, s2, per_n, per_less, x):
    """M5 for one sample, with products by 1 / n and 1 / (n - 1) (3 x faster); 0 without variance."""
    for j in range(len(x)):
        one = a1 + s1[j]
        two = a2 + s2[j]
        mean = one * per_n[j]
        left = two - one * mean
        value = mean / sqrt(left * per_less[j])
        x[j] = value if left * per_n[j] > TINY * two else 0.0


def average(a1, s1, per_n, x):
    """The mean."""
    for j in range(len(x)):
        x[j] = (a1 + s1[j]) * per_n[j]


def keep_best(x, k, top, chosen):
    """The best so far, and whose it is: the earliest of equals."""
    for j in range(len(x)):
        better = x[j] > top[j]
        top[j] = x[j] if better else top[j]
        chosen[j] = k if better else chosen[j]


def add(x, total):
    """One strategy more."""
    for j in range(len(x)):
        total[j] += x[j]


def count(x, y, places):
    """2 where `x` is below `y`, 1 where they are equal."""
    for j in range(len(x)):
        places[j] += (1.0 if x[j] < y[j] else 0.0) + (1.0 if x[j] <= y[j] else 0.0)


def perform(early, late, low, a, b, n, by_mean, per, x, top, chosen, total):
    """Every strategy on early subset `low` with late subsets a..b - 1; the best of them, and the sum of all."""
    for j in range(b - a):
        samples = n[0, low] + n[1, a + j]
        per[0, j] = 1.0 / samples
        per[1, j] = 1.0 / (samples - 1.0)
        top[j] = -float("inf")
        chosen[j] = 0
        total[j] = 0.0
    for k in range(len(x)):
        if by_mean:
            average(early[0, k, low], late[0, k, a:b], per[0], x[k])
        else:
            sharpe(early[0, k, low], early[1, k, low], late[0, k, a:b], late[1, k, a:b], per[0], per[1], x[k])
        keep_best(x[k], k, top, chosen)
        add(x[k], total)


def judge(top, chosen, x, total, y, places, best, out):
    """What became of the best of some halves on their complements, which lie the other way round."""
    width = len(top)
    for i in range(width):
        y[i] = x[chosen[width - 1 - i], i]
        places[i] = 0.0
    for k in range(len(x)):
        count(x[k], y, places)
    for j in range(width):
        i = width - 1 - j
        best[j] = chosen[j]
        out[0, j] = top[j]
        out[1, j] = y[i]
        out[2, j] = (places[i] + 1.0) / 2.0  # one of those equal to it is itself
        out[3, j] = total[i] / len(x)


def cscv(first, end, early, late, n, sizes, starts, by_mean, work, whose, best, out):
    """The splits with early subsets first..end - 1 in sample, and those with them out of sample.

    early, late (moment, strategy, subset): sums of the returns and of their squares. n (half, subset): samples.
    sizes: where subsets of each size begin, and their number. starts (subset): where an early subset's splits begin
    in best (split), the strategy chosen, and out (4, split): in sample, out of sample, rank there, mean of all there.
    """
    strategies, subsets = early.shape[1], early.shape[2]
    for low in range(first, end):
        size = 0
        while sizes[size + 1] <= low:
            size += 1
        a = sizes[len(sizes) - 2 - size]
        b = sizes[len(sizes) - 1 - size]
        w = b - a
        x = work[: strategies * w].reshape(strategies, w)
        y = work[strategies * w : 2 * strategies * w].reshape(strategies, w)
        rows = work[2 * strategies * w : (2 * strategies + 8) * w].reshape(8, w)
        mine, theirs = whose[0, :w], whose[1, :w]
        high = subsets - 1 - low
        perform(early, late, low, a, b, n, by_mean, rows[:2], x, rows[2], mine, rows[3])
        perform(early, late, high, subsets - b, subsets - a, n, by_mean, rows[:2], y, rows[4], theirs, rows[5])
        p, q = starts[low], starts[high]
        judge(rows[2], mine, y, rows[5], rows[6], rows[7], best[p : p + w], out[:, p : p + w])
        judge(rows[4], theirs, x, rows[3], rows[6], rows[7], best[q : q + w], out[:, q : q + w])
