"""Draws of paths (rules G1, G2): Philox words, and what normal, Student's and uniform numbers they become.

A row is one step of several paths that lie side by side. Every loop over them is elementwise and calls no library, so
that it becomes vectors; the same sums and products in the same order give the same bits on every processor. Functions
are short because LLVM copies only short ones into a loop, and a loop with a call is none of vectors: a fifth of the
speed.
"""

from math import sqrt

from kernelkit.kernels.machine import bits, unbits

PLACE = "int64, int64, int64, int64, int64, int64, "
FILL_TYPES = f"void({PLACE}float64[::1], float64, int64[:, ::1], float64[:, ::1])"
UNIFORM_TYPES = f"void({PLACE}int64[:, ::1], float64[:, ::1])"
LOW = 0xFFFFFFFF
W0, W1 = 0x9E3779B9, 0xBB67AE85
FRACTION = 0xFFFFFFFFFFFFF
HALF = 0x3FE6A09E667F3BCD  # the square root of 1/2
WHOLE, TWICE = 0x4330000000000000, 0x4340000000000000  # 2^52 and 2^53: what is put into their last bits is a number
BIG = 4503599627370496.0  # 2^52
LN2 = 0.6931471805599453
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
QUARTER = 1.5707963267948966 * 2.0**-30  # a right angle in steps of a word's last 30 bits
NEVER = -700.0


def mix(c0, c1, c2, c3, k0, k1):
    """One round of Philox4x32."""
    p0 = 0xD2511F53 * c0
    p1 = 0xCD9E8D57 * c2
    return ((p1 >> 32) & LOW) ^ c1 ^ k0, p1 & LOW, ((p0 >> 32) & LOW) ^ c3 ^ k1, p0 & LOW


def five(c0, c1, c2, c3, k0, k1):
    """Five rounds."""
    c0, c1, c2, c3 = mix(c0, c1, c2, c3, k0 & LOW, k1 & LOW)
    c0, c1, c2, c3 = mix(c0, c1, c2, c3, (k0 + W0) & LOW, (k1 + W1) & LOW)
    c0, c1, c2, c3 = mix(c0, c1, c2, c3, (k0 + 2 * W0) & LOW, (k1 + 2 * W1) & LOW)
    c0, c1, c2, c3 = mix(c0, c1, c2, c3, (k0 + 3 * W0) & LOW, (k1 + 3 * W1) & LOW)
    return mix(c0, c1, c2, c3, (k0 + 4 * W0) & LOW, (k1 + 4 * W1) & LOW)


def philox(c0, c1, c2, c3, low, high):
    """`rng.philox` of one counter."""
    c0, c1, c2, c3 = five(c0, c1, c2, c3, low, high)
    return five(c0, c1, c2, c3, low + 5 * W0, high + 5 * W1)


def words(low, high, first, pairs, block, stream, w):  # w (4, path)
    """G1: the four words of a block of steps for the paths from `first` on; with `pairs` 1 two paths share theirs."""
    a, b, c, d = w[0], w[1], w[2], w[3]
    for k in range(len(a)):
        c0, c1, c2, c3 = five(block & LOW, block >> 32, (first + k) >> pairs, stream, low, high)
        c0, c1, c2, c3 = five(c0, c1, c2, c3, low + 5 * W0, high + 5 * W1)
        a[k] = c0
        b[k] = c1
        c[k] = c2
        d[k] = c3


def less_log(w):
    """-log((w + 1/2) / 2^32), within 1e-14: logarithm of a quotient, polynomial of e_log.c in Sun's fdlibm."""
    i = bits(unbits(TWICE | w) - 9007199254740991.0) - HALF
    m = unbits((i & FRACTION) + HALF)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    r = 1.818357216161805012e-01 + z * (1.531383769920937332e-01 + z * 1.479819860511658591e-01)
    r = 3.999999999940941908e-01 + z * (2.857142874366239149e-01 + z * (2.222219843214978396e-01 + z * r))
    return (BIG + 33.0 - unbits(WHOLE | i >> 52)) * LN2 - s * (2.0 + z * (6.666666666666735130e-01 + z * r))


def logarithm(x):
    """log(x) of a positive normal number, as `less_log`."""
    i = bits(x) - HALF
    m = unbits((i & FRACTION) + HALF)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    r = 1.818357216161805012e-01 + z * (1.531383769920937332e-01 + z * 1.479819860511658591e-01)
    r = 3.999999999940941908e-01 + z * (2.857142874366239149e-01 + z * (2.222219843214978396e-01 + z * r))
    k = unbits(WHOLE | (i >> 52) + 2048) - (BIG + 2048.0)
    return k * LN2 + s * (2.0 + z * (6.666666666666735130e-01 + z * r))


def exponential(x):
    """exp(x) to 1e-15 relative between -700 and 700, exp(-700) below: Taylor's series about the nearest k log(2)."""
    x = max(x, NEVER)
    k = (x * 1.4426950408889634 + 1.5 * BIG) - 1.5 * BIG
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    y = 1.0 + r / 11.0 * (1.0 + r / 12.0 * (1.0 + r / 13.0))
    y = 1.0 + r / 7.0 * (1.0 + r / 8.0 * (1.0 + r / 9.0 * (1.0 + r / 10.0 * y)))
    y = 1.0 + r * (1.0 + r / 2.0 * (1.0 + r / 3.0 * (1.0 + r / 4.0 * (1.0 + r / 5.0 * (1.0 + r / 6.0 * y)))))
    return y * unbits((int(k) + 1023) << 52)


def turn(w):
    """G1: cosine less sine and cosine plus sine of the angle of a word's last 30 bits, -45 to 45 degrees."""
    y = ((unbits(WHOLE | w & 0x3FFFFFFF) - (BIG + 536870912.0)) + 0.5) * QUARTER
    z = y * y
    s = -1.98412698298579493134e-04 + z * (
        2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)
    )
    s = y * (1.0 + z * (-1.66666666666666324348e-01 + z * (8.33333333332248946124e-03 + z * s)))
    c = -2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11)
    c = -1.38888888888741095749e-03 + z * (2.48015872894767294178e-05 + z * c)
    c = 1.0 + z * (-0.5 + z * (4.16666666666666019037e-02 + z * c))
    return c - s, c + s


def normals(w, v, scale, mean, z, y):
    """G1: two normal numbers a lane from two words, by Box and Muller (1958), times `scale` (path,) plus `mean`."""
    for k in range(len(z)):
        r = sqrt(less_log(w[k])) * scale[k]
        c, s = turn(v[k])
        z[k] = mean + unbits(bits(r * c) ^ (v[k] & 0x80000000) << 32)
        y[k] = mean + unbits(bits(r * s) ^ (v[k] & 0x40000000) << 33)


def students(w, v, scale, df, z):
    """G1: one number of Student's t, variance 1, a lane from two words, by Bailey's (1994) polar method."""
    for k in range(len(z)):
        r = sqrt((0.5 * df - 1.0) * (exponential(2.0 / df * less_log(w[k])) - 1.0)) * scale[k]
        c, _ = turn(v[k])
        z[k] = unbits(bits(r * c) ^ (v[k] & 0x80000000) << 32)


def fill_normals(low, high, first, pairs, step, stream, scale, mean, w, out):  # out (step, path)
    """Normal numbers of `len(out)` steps from `step` on, both multiples of four."""
    for i in range(0, len(out), 4):
        words(low, high, first, pairs, (step + i) >> 2, stream, w)
        for j in range(0, 4, 2):
            normals(w[j], w[j + 1], scale, mean, out[i + j], out[i + j + 1])


def fill_students(low, high, first, pairs, step, stream, scale, df, w, out):
    """Student's t of as many steps."""
    for i in range(0, len(out), 2):
        words(low, high, first, pairs, (step + i) >> 1, stream, w)
        students(w[0], w[1], scale, df, out[i])
        students(w[2], w[3], scale, df, out[i + 1])


def fill_uniforms(low, high, first, pairs, step, stream, w, out):
    """G1: uniform numbers (w + 1/2) / 2^32 of as many steps, a multiple of four."""
    for i in range(0, len(out), 4):
        words(low, high, first, pairs, (step + i) >> 2, stream, w)
        for j in range(4):
            v = w[j]
            u = out[i + j]
            for k in range(len(u)):
                u[k] = (float(v[k]) + 0.5) * 2.0**-32
