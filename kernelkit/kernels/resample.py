"""Block bootstraps (rule I5): where a replication's blocks lie, how often they take each sample, what sums come to.

A block costs the same whatever its length: sums over it are differences of prefix sums. Those have two columns each,
the sum and what rounding took from it, so that a block's sum is as exact as if it were added up.
"""

PLAN = "int64[::1], int64, int64, int64, int64, int64, float64[::1], int64[::1], float64[:, ::1], int64[:, ::1], "
COUNT_TYPES = f"void({PLAN}float64[:, ::1])"
TAKE_TYPES = f"void({PLAN}int64, int64[:, ::1])"
POWER_TYPES = "void(float64[:, ::1], float64[:, :, ::1])"
SUM_TYPES = f"void({PLAN}float64[::1], float64[:, :, ::1], float64[:, :, ::1])"
TABLE_TYPES = "void(float64[::1], float64[:, :, ::1])"
WANDER_TYPES = f"void({PLAN}float64[:, :, ::1], float64[:, ::1])"
FOLLOW_TYPES = "void(int64[:, ::1], float64[:, :, ::1], float64[::1], float64[:, :, ::1], float64[:, ::1])"
BATCH = 128  # draws at a time, which become vectors: moments take 0.4 of the time that pairs take
LOW = 0xFFFFFFFF


def uniforms(low, high, path, stream, first, out):
    """`rng.uniform(seed, path, step, stream)` for `len(out)` steps from `first` on, both even; the seed's two words."""
    for k in range(len(out) // 2):
        block = first // 2 + k
        c0, c1, c2, c3 = block & LOW, block >> 32, path, stream
        k0, k1 = low, high
        for _ in range(10):
            p0 = 0xD2511F53 * c0
            p1 = 0xCD9E8D57 * c2
            c0 = ((p1 >> 32) & LOW) ^ c1 ^ k0
            c2 = ((p0 >> 32) & LOW) ^ c3 ^ k1
            c1 = p1 & LOW
            c3 = p0 & LOW
            k0 = (k0 + 0x9E3779B9) & LOW
            k1 = (k1 + 0xBB67AE85) & LOW
        out[2 * k] = (float(c1 << 20 | c0 >> 12) + 0.5) * 2.0**-52
        out[2 * k + 1] = (float(c3 << 20 | c2 >> 12) + 0.5) * 2.0**-52


def lay(n, length, starts, low, high, path, tail, guide, draws, begins, sizes):
    """I5: fill `begins` and `sizes` with a replication's blocks, and return how many there are.

    They begin at the first `starts` samples. A `length` of 0 asks for stationary ones: tail[k] is the chance that one
    is longer than k, guide[j] how long one is at least whose draw is below (j + 1) / len(guide).
    """
    at = 0
    step = 0
    while at < n:
        k = step % BATCH
        if k == 0:
            uniforms(low, high, path, 0, step, draws[0])
            if length == 0:
                uniforms(low, high, path, 1, step, draws[1])
        size = length
        if length == 0:
            u = draws[1, k]
            size = guide[int(u * len(guide))]
            while size < len(tail) and tail[size] >= u:
                size += 1
        begins[step] = int(draws[0, k] * starts)
        sizes[step] = min(size, n - at)
        at += size
        step += 1
    return step


def count(paths, n, length, starts, low, high, tail, guide, draws, blocks, out):  # -> (replication, sample)
    """How often the replications `paths` take each sample."""
    for r in range(len(out)):
        row = out[r]
        row[:] = 0.0
        for j in range(lay(n, length, starts, low, high, int(paths[r]), tail, guide, draws, blocks[0], blocks[1])):
            begin = blocks[0, j]
            end = begin + blocks[1, j]
            row[begin] += 1.0
            if end > n:  # it goes on at the beginning
                row[0] += 1.0
                end -= n
            if end < n:
                row[end] -= 1.0
        for t in range(1, n):
            row[t] += row[t - 1]


def take(paths, n, length, starts, low, high, tail, guide, draws, blocks, m, out):  # -> (replication, place)
    """Which of `m` samples the replications `paths` take, block after block."""
    for r in range(len(out)):
        place = 0
        for j in range(lay(n, length, starts, low, high, int(paths[r]), tail, guide, draws, blocks[0], blocks[1])):
            for k in range(blocks[0, j], blocks[0, j] + blocks[1, j]):
                out[r, place] = k if k < m else k - m
                place += 1


def prefixes(x, out):  # (series, sample) -> (series, sample + 1, 8)
    """Prefix sums of the first four powers, then what rounding took from each (Knuth's two-sum)."""
    for s in range(len(x)):
        for m in range(8):
            out[s, 0, m] = 0.0
        for t in range(x.shape[1]):
            power = 1.0
            for m in range(4):
                power *= x[s, t]
                before = out[s, t, m]
                after = before + power
                rest = after - before
                out[s, t + 1, m] = after
                out[s, t + 1, m + 4] = out[s, t, m + 4] + ((before - (after - rest)) + (power - rest))


def resample(paths, n, length, starts, low, high, tail, guide, draws, blocks, total, sums, out):
    """The sums of the first four powers over what the replications `paths` take of each series.

    sums (series, sample + 1, 8) are `prefixes`; out is (series, replication, 4).
    """
    for r in range(out.shape[1]):
        many = lay(n, length, starts, low, high, int(paths[r]), tail, guide, draws, blocks[0], blocks[1])
        for s in range(len(sums)):
            one = sums[s]
            for m in range(8):
                total[m] = 0.0
            for j in range(many):
                begin = blocks[0, j]
                end = begin + blocks[1, j]
                if end > n:  # it goes on at the beginning
                    for m in range(8):
                        total[m] += one[n, m] - one[begin, m]
                    begin = 0
                    end -= n
                for m in range(8):
                    total[m] += one[end, m] - one[begin, m]
            for m in range(4):
                out[s, r, m] = total[m] + total[m + 4]


def tabulate(x, out):  # (sample,) -> (level, sample, 4)
    """What `2^level` samples from each on, round the end, do to a sum: the sum, its highest, its lowest, its fall."""
    n = len(x)
    for s in range(n):
        out[0, s, 0] = x[s]
        out[0, s, 1] = x[s]
        out[0, s, 2] = x[s]
        out[0, s, 3] = 0.0
    for level in range(1, len(out)):
        for s in range(n):
            one, two = out[level - 1, s], out[level - 1, (s + (1 << (level - 1))) % n]
            out[level, s, 0] = one[0] + two[0]
            out[level, s, 1] = max(one[1], one[0] + two[1])
            out[level, s, 2] = min(one[2], one[0] + two[2])
            out[level, s, 3] = max(one[3], two[3], one[1] - (one[0] + two[2]))


def wander(paths, n, length, starts, low, high, tail, guide, draws, blocks, table, out):  # -> (4, path)
    """G7 of sums over blocks, by `tabulate`: a block costs as many joins as its length has ones in binary."""
    top, m = len(table) - 1, table.shape[1]
    for r in range(out.shape[1]):
        x, hi, lo, fall = 0.0, 0.0, 0.0, 0.0
        for j in range(lay(n, length, starts, low, high, int(paths[r]), tail, guide, draws, blocks[0], blocks[1])):
            at = blocks[0, j]
            left = blocks[1, j]
            level = top
            while left > 0:
                while (1 << level) > left:
                    level -= 1
                one = table[level, at]
                fall = max(fall, one[3], hi - (x + one[2]))
                hi = max(hi, x + one[1])
                lo = min(lo, x + one[2])
                x += one[0]
                left -= 1 << level
                at += 1 << level
                at = at if at < m else at - m
        out[0, r] = x
        out[1, r] = hi
        out[2, r] = lo
        out[3, r] = fall


def follow(places, history, carry, out, volume):  # history (5, row, asset), out (open high low close, step, path)
    """Log prices and volume of bars that are rows of a history, (path, step); `carry` is that of the last close."""
    assets = history.shape[2]
    for i in range(places.shape[1]):
        for k in range(len(carry)):
            row, a = places[k // assets, i], k % assets
            move = history[3, row, a]
            carry[k] += move
            opened = carry[k] - move + history[0, row, a]
            out[0, i, k] = opened
            out[1, i, k] = opened + history[1, row, a]
            out[2, i, k] = opened + history[2, row, a]
            out[3, i, k] = carry[k]
            volume[i, k] = history[4, row, a]
