"""The largest t of the strategies left in a model confidence set, in each replication (rule I21).

Arrays of replications are (strategy, replication): what is done with one strategy stays in the first cache, and the
inner loops but one are elementwise, which become vectors.
"""

from math import sqrt

MAX_TYPES = "void(Array(float64, 2, 'C', readonly=True), int64[::1], float64[::1], float64[::1], float64[::1])"
RANGE_TYPES = "void(Array(float64, 2, 'C', readonly=True), int64[::1], int64, float64[::1], float64[::1])"


def below_mean(off, left, middle, error, largest):  # (strategy, replication), (left)
    """How far those `left` are below the mean of all of them: each one's error, and the largest t."""
    for b in range(len(middle)):
        middle[b] = 0.0
        largest[b] = -float("inf")
    for k in left:
        row = off[k]
        for b in range(len(middle)):
            middle[b] += row[b]
    for b in range(len(middle)):
        middle[b] /= len(left)
    for place in range(len(left)):
        row = off[left[place]]
        error[place] = sqrt(squares(row, middle) / len(middle))
        if error[place] > 0.0:
            keep_below(row, middle, error[place], largest)


def squares(row, middle):
    """The sum of squared differences, in four that do not wait for one another."""
    p, q, r, s = 0.0, 0.0, 0.0, 0.0
    b = 0
    while b + 4 <= len(row):
        p += (middle[b] - row[b]) * (middle[b] - row[b])
        q += (middle[b + 1] - row[b + 1]) * (middle[b + 1] - row[b + 1])
        r += (middle[b + 2] - row[b + 2]) * (middle[b + 2] - row[b + 2])
        s += (middle[b + 3] - row[b + 3]) * (middle[b + 3] - row[b + 3])
        b += 4
    while b < len(row):
        p += (middle[b] - row[b]) * (middle[b] - row[b])
        b += 1
    return (p + q) + (r + s)


def keep_below(row, middle, error, largest):
    """One strategy more below the mean."""
    for b in range(len(row)):
        t = (middle[b] - row[b]) / error
        largest[b] = t if t > largest[b] else largest[b]


def apart(off, others, one, error, largest):  # (strategy, replication), (other)
    """The largest t of pairs, once `one` has joined the `others`, from which it has these errors."""
    for k in range(len(others)):
        keep_apart(off[one], off[others[k]], error[k], largest)


def keep_apart(x, y, error, largest):
    """One pair more."""
    for b in range(len(x)):
        t = abs(x[b] - y[b]) / error
        largest[b] = t if t > largest[b] else largest[b]
