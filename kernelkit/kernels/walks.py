"""Paths of models step by step (rules G3-G9), and what they are reduced to.

Arrays are (step, path): `move` is what a step adds to the log price, `gap` the part of it that comes before the bar
opens, `variance` that of the walk within the bar. `carry` (field, path) is a path's memory between calls. Steps come
in multiples of four, from such a multiple on. `scale` is 1, or -1 for the second of an antithetic pair.
"""

from math import sqrt

from kernelkit.kernels.draws import exponential, fill_normals, fill_uniforms, less_log, logarithm, philox, turn
from kernelkit.kernels.machine import bits, unbits

PLACE = "int64, int64, int64, int64, int64, float64[::1], "
GARCH_TYPES = "void(float64[::1], float64[:, ::1], float64[:, ::1], float64[:, ::1])"
JUMP_TYPES = f"void({PLACE}float64[::1], int64[:, ::1], float64[:, ::1], float64[:, ::1])"
HESTON_TYPES = f"void({PLACE}float64[::1], float64[:, ::1], int64[:, ::1], float64[:, :, ::1], float64[:, ::1], "
HESTON_TYPES += "float64[:, ::1])"
SUMMARY_TYPES = "void(float64[:, ::1], float64[:, ::1])"
DIFFUSION, COUNT, JUMP, VARIANCE, SWITCH = 0, 1, 2, 3, 4  # streams (G2)
LOW = 0xFFFFFFFF


def garch(p, carry, move, variance):
    """G4: p = (mean, omega, alpha, gamma, beta); carry[0] is the variance of the step; `move` holds innovations."""
    h = carry[0]
    for i in range(len(move)):
        z, v = move[i], variance[i]
        for k in range(len(h)):
            v[k] = h[k]
            e = z[k] * sqrt(h[k])
            h[k] = p[1] + (p[2] + (p[3] if e < 0.0 else 0.0)) * (e * e) + p[4] * h[k]
            z[k] = p[0] + e


def jump(kind, p, count, low, high, path, step):
    """G5: the sum of a step's `count` jumps; Merton's (kind 0) have p[3] mean, p[4] deviation; Kou's p[3:6]."""
    if kind == 0.0:
        w0, w1, _, _ = philox(step & LOW, step >> 32, path, JUMP, low, high)
        c, _ = turn(w1)
        z = unbits(bits(sqrt(less_log(w0)) * c) ^ -(w1 & 0x80000000) << 32)  # the sign bit, also of Python's integers
        return count * p[3] + sqrt(count) * p[4] * z
    total = 0.0
    for j in range(count):
        w0, w1, _, _ = philox(step & LOW, step >> 32, path, JUMP + (j + 1) * 16, low, high)
        total += less_log(w1) / p[4] if (w0 + 0.5) * 2.0**-32 < p[3] else -less_log(w1) / p[5]
    return total


def jumps(low, high, first, pairs, step, scale, p, w, move, gap):
    """G5: p = (mean, jumps a step, kind, ...): diffusion, and jumps before the bar opens."""
    fill_normals(low, high, first, pairs, step, DIFFUSION, scale, p[0], w, move)
    fill_uniforms(low, high, first, pairs, step, COUNT, w, gap)
    none = exponential(-p[1])
    for i in range(len(move)):
        m, g = move[i], gap[i]
        for k in range(len(m)):
            u = g[k]
            g[k] = 0.0
            if u >= none:
                count = 0
                chance = none
                below = none
                while u >= below and chance > 0.0:
                    count += 1
                    chance *= p[1] / count
                    below += chance
                g[k] = jump(p[2], p, count, low, high, (first + k) >> pairs, step + i)
                m[k] += g[k]


def heston(low, high, first, pairs, step, scale, p, carry, w, draws, move, variance):
    """G6: p = (mean, e, theta, c1, c2, k1, k2, k3, k4, k0); carry[0] is the variance a year; draws (3, step, path).

    Andersen's (2008) quadratic-exponential scheme with his martingale correction.
    """
    zs, zv, u = draws[0], draws[1], draws[2]
    fill_normals(low, high, first, pairs, step, DIFFUSION, scale, 0.0, w, zs)
    fill_normals(low, high, first, pairs, step, VARIANCE, scale, 0.0, w, zv)
    fill_uniforms(low, high, first, pairs, step, SWITCH, w, u)
    for i in range(len(move)):
        for k in range(move.shape[1]):
            v = carry[0, k]
            m = p[2] + (v - p[2]) * p[1]
            psi = (v * p[3] + p[4]) / (m * m)
            a = p[6] + 0.5 * p[8]
            drift = p[9]  # without the correction, where its expectation does not exist
            if psi <= 1.5:
                b2 = 2.0 / psi - 1.0 + sqrt(2.0 / psi) * sqrt(2.0 / psi - 1.0)
                q = m / (1.0 + b2)
                y = sqrt(b2) + zv[i, k]
                new = q * (y * y)
                left = 1.0 - 2.0 * a * q
                if left > 0.0:
                    drift = -a * b2 * q / left + 0.5 * logarithm(left) - (p[5] + 0.5 * p[7]) * v
            else:
                zero = (psi - 1.0) / (psi + 1.0)
                beta = (1.0 - zero) / m
                new = 0.0 if u[i, k] <= zero else logarithm((1.0 - zero) / (1.0 - u[i, k])) / beta
                if a < beta:
                    drift = -logarithm(zero + beta * (1.0 - zero) / (beta - a)) - (p[5] + 0.5 * p[7]) * v
            move[i, k] = p[0] + drift + p[5] * v + p[6] * new + sqrt(p[7] * v + p[8] * new) * zs[i, k]
            variance[i, k] = 0.5 * (v + new)
            carry[0, k] = new


def summarise(move, carry):
    """G7: carry is (log price, its highest so far, its lowest so far, the largest fall from a high), from 0 on."""
    x, top, bottom, fall = carry[0], carry[1], carry[2], carry[3]
    for i in range(0, len(move), 4):
        a, b, c, d = move[i], move[i + 1], move[i + 2], move[i + 3]
        for k in range(len(x)):
            now, hi, lo, down = x[k], top[k], bottom[k], fall[k]
            now += a[k]
            hi, lo, down = max(hi, now), min(lo, now), max(down, max(hi, now) - now)
            now += b[k]
            hi, lo, down = max(hi, now), min(lo, now), max(down, max(hi, now) - now)
            now += c[k]
            hi, lo, down = max(hi, now), min(lo, now), max(down, max(hi, now) - now)
            now += d[k]
            hi, lo, down = max(hi, now), min(lo, now), max(down, max(hi, now) - now)
            x[k] = now
            top[k] = hi
            bottom[k] = lo
            fall[k] = down
