"""Loops over time that regimes and drift need: hidden states (rules Y4, Y5), jumps (Y6) and alarms (Y11, Y12).

Arrays of (time, state) with the states contiguous; a probability is of the samples so far, unless it says otherwise.
"""

from math import exp, log, sqrt

INF = float("inf")
TYPES = {
    "forward": "float64(float64[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1])",
    "backward": "void(float64[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1], float64[:, ::1])",
    "jumps": "float64(float64[:, ::1], float64, float64[:, ::1])",
    "best_path": "void(float64[:, ::1], float64, int64[::1])",
    "adwin": "void(float64[::1], float64, int64, int64, float64[:, ::1], float64[:, ::1], int64[::1], float64[:, ::1])",
    "page_hinkley": "void(float64[::1], float64, float64, float64, int64, float64[:, ::1])",
}


def forward(logs, transition, before, out):  # (time, state), (state, to), (state) -> (time, state)
    """Y4: probabilities of the states given the samples so far, from those before the first; the log-likelihood.

    `logs` are the logarithms of the densities of each sample. `before` is overwritten by the last probabilities.
    """
    n, k = logs.shape
    likelihood = 0.0
    for t in range(n):
        top = -INF
        for j in range(k):
            p = 0.0
            for i in range(k):
                p += before[i] * transition[i, j]
            out[t, j] = p
            if p > 0.0 and logs[t, j] > top:
                top = logs[t, j]
        total = 0.0
        for j in range(k):
            # a state that cannot be has no say in `top`, and may lie far above it
            out[t, j] = out[t, j] * exp(logs[t, j] - top) if out[t, j] > 0.0 else 0.0
            total += out[t, j]
        for j in range(k):
            out[t, j] /= total
            before[j] = out[t, j]
        likelihood += top + log(total)
    return likelihood


def backward(filtered, transition, first, smoothed, counts):  # (time, state) -> (time, state), (state, to)
    """Probabilities given all samples, later ones included, and how often each transition is expected to have been.

    `first` are the probabilities before the first sample. For estimation alone.
    """
    n, k = filtered.shape
    for i in range(k):
        smoothed[n - 1, i] = filtered[n - 1, i]
    for t in range(n - 2, -2, -1):
        here = filtered[t] if t >= 0 else first
        for j in range(k):
            p = 0.0
            for i in range(k):
                p += here[i] * transition[i, j]
            share = smoothed[t + 1, j] / p if p > 0.0 else 0.0
            for i in range(k):
                counts[i, j] += here[i] * transition[i, j] * share
        if t >= 0:
            for i in range(k):
                smoothed[t, i] = 0.0
            for j in range(k):
                p = 0.0
                for i in range(k):
                    p += here[i] * transition[i, j]
                share = smoothed[t + 1, j] / p if p > 0.0 else 0.0
                for i in range(k):
                    smoothed[t, i] += here[i] * transition[i, j] * share


def jumps(loss, penalty, values):  # (time, state) -> (time, state)
    """Y6: what the cheapest path to each state costs, less that to the cheapest; returns the cost of the best path."""
    n, k = loss.shape
    cost = 0.0
    for t in range(n):
        low = INF
        for j in range(k):
            # the cheapest state before costs 0: one comes from it, or from the same state
            way = min(values[t - 1, j], penalty) if t > 0 else 0.0
            values[t, j] = way + loss[t, j]
            low = min(low, values[t, j])
        for j in range(k):
            values[t, j] -= low
        cost += low
    return cost


def best_path(values, penalty, out):  # (time, state) -> (time)
    """The states of the best path to the end, from what `jumps` has found; of equal ones that which jumps less."""
    n, k = values.shape
    state = 0
    for t in range(n - 1, -1, -1):
        best = 0
        for j in range(k):
            if values[t, j] < values[t, best]:
                best = j
        if t == n - 1 or values[t, state] > values[t, best] + penalty:
            state = best
        out[t] = state


def adwin(x, delta, clock, slots, total, spread, held, out):  # (time) -> (time, 3)
    """Y11: alarm, mean and width of the adaptive window after each sample.

    total, spread (level, slots + 1): sums and squared deviations of buckets of 2^level samples, the oldest first;
    held (level): how many there are.
    """
    levels = len(held)
    held[:] = 0
    n = 0.0
    mass = 0.0
    m2 = 0.0
    for t in range(len(x)):
        off = x[t] - mass / n if n > 0.0 else 0.0
        m2 += n * off * off / (n + 1.0)
        n += 1.0
        mass += x[t]
        total[0, held[0]] = x[t]
        spread[0, held[0]] = 0.0
        held[0] += 1
        level = 0
        size = 1.0
        while held[level] > slots and level + 1 < levels:
            join(total, spread, held, level, size)
            level += 1
            size *= 2.0
        alarm = 0.0
        while (t + 1) % clock == 0 and n > 10.0 and cut(delta, n, mass, m2, total, held):
            alarm = 1.0
            level = levels - 1
            while held[level] == 0:
                level -= 1
            size = 2.0**level
            left = n - size
            off = total[level, 0] / size - (mass - total[level, 0]) / left
            mass -= total[level, 0]
            m2 = max(m2 - spread[level, 0] - size * left * off * off / n, 0.0)
            n = left
            drop(total, spread, held, level, 1)
        out[t, 0] = alarm
        out[t, 1] = mass / n
        out[t, 2] = n


def join(total, spread, held, level, size):
    """The two oldest buckets of a level become the newest of the next."""
    off = (total[level, 0] - total[level, 1]) / size
    there = held[level + 1]
    total[level + 1, there] = total[level, 0] + total[level, 1]
    spread[level + 1, there] = spread[level, 0] + spread[level, 1] + size * off * off / 2.0
    held[level + 1] += 1
    drop(total, spread, held, level, 2)


def drop(total, spread, held, level, number):
    """Without the oldest buckets of a level."""
    for s in range(number, held[level]):
        total[level, s - number] = total[level, s]
        spread[level, s - number] = spread[level, s]
    held[level] -= number


def cut(delta, n, mass, m2, total, held):
    """Y11: whether the window falls at any edge of its buckets into two whose means differ too much."""
    confidence = log(2.0 * log(n) / delta)
    before = 0.0
    earlier = 0.0
    for level in range(len(held) - 1, -1, -1):
        for s in range(held[level]):
            before += 2.0**level
            earlier += total[level, s]
            after = n - before
            if before >= 5.0 and after >= 5.0:
                m = 1.0 / (before - 4.0) + 1.0 / (after - 4.0)
                bound = sqrt(2.0 * m * m2 / n * confidence) + 2.0 / 3.0 * m * confidence
                if abs(earlier / before - (mass - earlier) / after) > bound:
                    return True
    return False


def page_hinkley(x, tolerance, threshold, forget, first, out):  # (time) -> (time, 3)
    """Y12: alarm, and how far the sum of deviations has risen above its lowest and fallen below its highest."""
    n = 0.0
    mean = 0.0
    up = 0.0
    down = 0.0
    low = INF
    high = -INF
    for t in range(len(x)):
        n += 1.0
        mean += (x[t] - mean) / n
        up = forget * up + (x[t] - mean) - tolerance
        down = forget * down + (x[t] - mean) + tolerance
        low = min(low, up)
        high = max(high, down)
        alarm = n >= first and (up - low > threshold or high - down > threshold)
        out[t, 0] = alarm
        out[t, 1] = up - low
        out[t, 2] = high - down
        if alarm:
            n = 0.0
            mean = 0.0
            up = 0.0
            down = 0.0
            low = INF
            high = -INF
