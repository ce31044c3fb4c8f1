"""Counter-based random numbers: every draw is a function of (seed, path, step, stream), and there is no state.

Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). The seed is
the key; the counter is (step // 2 low, step // 2 high, path, stream), and a step takes one half of the 128 bits. Only
integer operations, + - x / and sqrt are used, so the draws do not depend on a mathematical library.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernelkit.errors import UsageError, message

Float64s = NDArray[np.float64]
Uint32s = NDArray[np.uint32]
Uint64s = NDArray[np.uint64]

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def philox(counter: tuple[Uint32s, Uint32s, Uint32s, Uint32s], key: tuple[int, int]) -> tuple[Uint32s, ...]:
    """Return the four 32-bit words that ten rounds make of a ``counter`` (arrays that broadcast) under a ``key``.

    >>> zero = np.zeros(1, dtype=np.uint32)
    >>> [hex(int(word[0])) for word in philox((zero, zero, zero, zero), (0, 0))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = (np.asarray(word, dtype=np.uint64) for word in counter)
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c2 = (p1 >> _HALF) ^ c1 ^ np.uint64(k0), (p0 >> _HALF) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & _LOW, p0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return tuple(word.astype(np.uint32) for word in (c0, c1, c2, c3))


def bits(seed: int, path: ArrayLike, step: ArrayLike, stream: ArrayLike = 0) -> Uint64s:
    """Return 64 random bits for each (path, step, stream), which broadcast; ``seed`` is below 2^64.

    Raises `UsageError` where a number is negative or too large.

    >>> int(bits(0, 0, 0)[()]) == (0xE169C58D << 32 | 0x6627E8D5)
    True
    """
    _check("seed", np.asarray(seed, dtype=object), 2**64)
    lanes = [_lane("path", path, 2**32), _lane("step", step, 2**63), _lane("stream", stream, 2**32)]
    paths, steps, streams = np.broadcast_arrays(*lanes)
    block = steps >> np.uint64(1)
    counter = tuple(word.astype(np.uint32) for word in (block & _LOW, block >> _HALF, paths, streams))
    w0, w1, w2, w3 = philox(counter, (seed & 0xFFFFFFFF, seed >> 32))  # type: ignore[arg-type]
    odd = (steps & np.uint64(1)).astype(bool)
    low, high = np.where(odd, w2, w0).astype(np.uint64), np.where(odd, w3, w1).astype(np.uint64)
    return np.asarray(high << _HALF | low)


def uniform(seed: int, path: ArrayLike, step: ArrayLike, stream: ArrayLike = 0) -> Float64s:
    """Return uniform draws strictly between 0 and 1, on a lattice of 2^52 points that is symmetric about 1/2.

    >>> float(uniform(1, 0, 0)) == float(uniform(1, 0, [5, 0])[1])
    True
    """
    return ((bits(seed, path, step, stream) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def normal(seed: int, path: ArrayLike, step: ArrayLike, stream: ArrayLike = 0) -> Float64s:
    """Return standard normal draws, the inverse distribution function of `uniform`.

    >>> bool(abs(normal(1, 0, np.arange(10_000)).mean()) < 0.03)
    True
    """
    return normal_quantile(uniform(seed, path, step, stream))


def normal_quantile(p: ArrayLike) -> Float64s:
    """Return the inverse of the standard normal distribution function for 0 < ``p`` < 1, to about 1e-15 relative.

    Algorithm AS 241 (PPND16) of Wichura, Applied Statistics 37 (1988).

    >>> float(normal_quantile(0.5))
    0.0
    """
    p = np.asarray(p, dtype=np.float64)
    q = p - 0.5
    central = np.abs(q) <= 0.425
    r = 0.180625 - q * q
    middle = q * _ratio(r, _A, _B)
    r = np.sqrt(-log(np.where(central, 0.25, np.minimum(p, 1.0 - p))))
    tail = np.where(r <= 5.0, _ratio(r - 1.6, _C, _D), _ratio(r - 5.0, _E, _F))
    return np.where(central, middle, np.copysign(tail, q))


def log(x: Float64s) -> Float64s:
    """Return the natural logarithm of positive normal numbers, within one unit in the last place.

    Reduction and polynomial of e_log.c in Sun's fdlibm: numpy's own differs between processors.

    >>> bool(abs(log(np.array([2.718281828459045]))[0] - 1.0) < 1e-15)
    True
    """
    m, k = np.frexp(x)
    low = m < 0.5**0.5
    f = np.where(low, m + m, m) - 1.0
    k = k.astype(np.float64) - low
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    r = w * _horner(w, _LOG_EVEN) + z * _horner(w, _LOG_ODD)
    half = 0.5 * f * f
    return np.asarray(k * LN2_HIGH - ((half - (s * (half + r) + k * LN2_LOW)) - f))


def _lane(name: str, values: ArrayLike, limit: int) -> Uint64s:
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise UsageError(message(name, f"dtype {array.dtype}", "integers", f"Convert it: np.asarray({name}, int)."))
    _check(name, array, limit)
    return array.astype(np.uint64)


def _check(name: str, array: NDArray[Any], limit: int) -> None:
    if array.size and (int(array.min()) < 0 or int(array.max()) >= limit):
        found = f"{array.min()} to {array.max()}"
        raise UsageError(message(name, found, f"at least 0 and below {limit}", "Number them from 0."))


def _ratio(x: Float64s, top: tuple[float, ...], bottom: tuple[float, ...]) -> Float64s:
    return _horner(x, top) / _horner(x, bottom)


def _horner(x: Float64s, coefficients: tuple[float, ...]) -> Float64s:
    value = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        value = value * x + c
    return value


LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_LOG_ODD = (6.666666666666735130e-01, 2.857142874366239149e-01, 1.818357216161805012e-01, 1.479819860511658591e-01)
_LOG_EVEN = (3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01)

_A = (
    3.3871328727963666080e0,
    1.3314166789178437745e2,
    1.9715909503065514427e3,
    1.3731693765509461125e4,
    4.5921953931549871457e4,
    6.7265770927008700853e4,
    3.3430575583588128105e4,
    2.5090809287301226727e3,
)
_B = (
    1.0,
    4.2313330701600911252e1,
    6.8718700749205790830e2,
    5.3941960214247511077e3,
    2.1213794301586595867e4,
    3.9307895800092710610e4,
    2.8729085735721942674e4,
    5.2264952788528545610e3,
)
_C = (
    1.42343711074968357734e0,
    4.63033784615654529590e0,
    5.76949722146069140550e0,
    3.64784832476320460504e0,
    1.27045825245236838258e0,
    2.41780725177450611770e-1,
    2.27238449892691845833e-2,
    7.74545014278341407640e-4,
)
_D = (
    1.0,
    2.05319162663775882187e0,
    1.67638483018380384940e0,
    6.89767334985100004550e-1,
    1.48103976427480074590e-1,
    1.51986665636164571966e-2,
    5.47593808499534494600e-4,
    1.05075007164441684324e-9,
)
_E = (
    6.65790464350110377720e0,
    5.46378491116411436990e0,
    1.78482653991729133580e0,
    2.96560571828504891230e-1,
    2.65321895265761230930e-2,
    1.24266094738807843860e-3,
    2.71155556874348757815e-5,
    2.01033439929228813265e-7,
)
_F = (
    1.0,
    5.99832206555887937690e-1,
    1.36929880922735805310e-1,
    1.48753612908506148525e-2,
    7.86869131145613259100e-4,
    1.84631831751005468180e-5,
    1.42151175831644588870e-7,
    2.04426310338993978564e-15,
)
