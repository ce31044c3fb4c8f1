"""Highest and lowest value of a walk within a bar (G8), exactly and together; and prices of bars from log prices.

A Brownian bridge from 0 to c over one unit of variance stays between -a and b with the probability of a series of
reflections; its derivative by b over the density of the maximum is the distribution of the minimum given the maximum,
which Newton's method inverts. Loops are elementwise and over one term of the series each, so that they become vectors.
"""

from math import sqrt

from kernelkit.kernels.draws import exponential, logarithm

EXTREME_TYPES = "void(float64[::1], float64[::1], float64[::1], float64[::1], float64[:, ::1], float64[::1], "
EXTREME_TYPES += "float64[::1])"
LOG_TYPES = "void(float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[::1], "
LOG_TYPES += "float64[:, :, ::1])"
EXP_TYPES = "void(float64, float64[::1])"
BATCH = 512
TERMS, STEPS = 4, 7
TINY, VAGUE = 1e-13, 1e-9
USUAL = 1.2  # range from which the search begins where the first guess is less
NARROW = 0.5  # no walk stays within so little: a chance of 1e-6 where its maximum is 0, else less
REACH = 6.5  # no minimum lies farther beyond both ends: a chance of 1e-36


def begin(within, variance, u, v, b, c, lo, hi, a):
    """In units of the walk's deviation: where it ends, its maximum by `u`, and bounds and a first guess of `a`."""
    for k in range(len(a)):
        s = sqrt(max(variance[k], 1e-300))
        c[k] = within[k] / s
        b[k] = 0.5 * (c[k] + sqrt(c[k] * c[k] - 2.0 * logarithm(u[k])))
        lo[k] = max(0.0, -c[k], NARROW - b[k])
        hi[k] = lo[k] + REACH
        guess = 0.5 * (sqrt(c[k] * c[k] - 2.0 * logarithm(1.0 - v[k])) - c[k])
        a[k] = min(max(guess, lo[k], USUAL - b[k]), hi[k])


def add_term(j, sign, shift, weight, a, b, c, total, slope):
    """One reflection: its part of the distribution and of the density, both times the density of the maximum."""
    for k in range(len(a)):
        y = j * (a[k] + b[k]) + shift * b[k]
        q = y * (y + sign * c[k]) - b[k] * (b[k] - c[k])
        p = weight * (2.0 * y + sign * c[k])
        e = exponential(-2.0 * q)
        total[k] += p * e
        slope[k] += (2.0 * weight * j - 2.0 * p * j * (2.0 * y + sign * c[k])) * e


def improve(v, b, c, total, slope, lo, hi, a):
    """A step of Newton's method for the log odds, or half-way where that leaves the bounds."""
    for k in range(len(a)):
        d = 2.0 * (2.0 * b[k] - c[k])
        above = min(max(-total[k] / d, TINY), 1.0 - TINY)  # the chance of a lower minimum
        below = above > 1.0 - v[k]
        lo[k] = a[k] if below else lo[k]
        hi[k] = hi[k] if below else a[k]
        odds = logarithm((1.0 - above) * (1.0 - v[k]) / (above * v[k]))
        new = a[k] - odds * above * (1.0 - above) * d / slope[k]
        inside = new >= lo[k] and new <= hi[k] and above < 1.0 - VAGUE
        a[k] = new if inside else 0.5 * (lo[k] + hi[k])


def finish(within, variance, a, b, up, down):
    """In log price."""
    for k in range(len(a)):
        s = sqrt(variance[k])
        up[k] = max(s * b[k], max(within[k], 0.0))
        down[k] = min(-s * a[k], min(within[k], 0.0))


def extremes(within, variance, u, v, room, up, down):
    """Of walks from 0 to `within` over `variance`: maximum and minimum, by the uniform numbers `u` and `v`."""
    for first in range(0, len(within), BATCH):
        last = min(first + BATCH, len(within))
        n = last - first
        b, c, lo, hi, a = room[0, :n], room[1, :n], room[2, :n], room[3, :n], room[4, :n]
        total, slope = room[5, :n], room[6, :n]
        begin(within[first:last], variance[first:last], u[first:last], v[first:last], b, c, lo, hi, a)
        for _ in range(STEPS):
            total[:] = 0.0
            slope[:] = 0.0
            for t in range(-TERMS, TERMS + 1):
                j = float(t)
                if t != 0:
                    add_term(j, 1.0, 0.0, -2.0 * j, a, b, c, total, slope)
                if t != 0 and t != -1:
                    add_term(j, -1.0, 1.0, 2.0 * (1.0 + j), a, b, c, total, slope)
            improve(v[first:last], b, c, total, slope, lo, hi, a)
        finish(within[first:last], variance[first:last], a, b, up[first:last], down[first:last])


def log_prices(move, gap, up, down, carry, out):  # out (open high low close, step, path)
    """Log prices of bars; `carry` is that of the last close."""
    for i in range(len(move)):
        for k in range(len(carry)):
            opened = carry[k] + gap[i, k]
            carry[k] += move[i, k]
            out[0, i, k] = opened
            out[1, i, k] = opened + up[i, k]
            out[2, i, k] = opened + down[i, k]
            out[3, i, k] = carry[k]


def exponentials(first, x):
    """`first` times exp(x), in its place."""
    for k in range(len(x)):
        x[k] = first * exponential(x[k])
