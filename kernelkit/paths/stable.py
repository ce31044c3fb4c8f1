"""Stable laws: densities by the Fourier transform, tails by their series."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from kernelkit.errors import arguments
from kernelkit.paths.laws import Law
from kernelkit.paths.model import Float64s

Spline = Callable[[Float64s], Float64s]

POINTS, STEP = 2**13, 0.05  # of the transform
REACH = 40.0  # beyond, on both sides, the series has the tails
TERMS = 12
FAR = 1e13  # the last node of quantiles, which normal numbers of 6.8 deviations do not reach
LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


@arguments()
@dataclass(frozen=True)
class Stable(Law):
    """The stable law of index ``alpha`` and skewness ``beta``, `location` and `scale` as in Nolan's S0.

    Its characteristic function is `exp(-|s t|^alpha (1 + i beta tan(pi alpha / 2) sign(t) (|s t|^(1 - alpha) - 1)) + i
    m t)`, with scale `s` and location `m` (Nolan, 1998). Densities are within 1e-9 of their largest, in the tails
    within 1e-7 of themselves; the variance is infinite. A fit begins where McCulloch's (1986) ratios of quantiles are.

    >>> law = Stable(0.0, 1.0, alpha=1.7, beta=0.0)
    >>> float(law.distribution(np.array([0.0])).round(9)[0])
    0.5
    """

    alpha: float
    beta: float

    key = "stable"
    bounds = ((1.1, 1.999), (-0.99, 0.99))

    @classmethod
    def guess(cls, x: Float64s) -> tuple[float, ...]:
        """The shape whose McCulloch ratios are nearest to those of `x`."""
        shapes, known = _known()
        tails, lean = ratios(np.quantile(x, LEVELS))
        off = (np.log(known[:, 0] / tails)) ** 2 + (known[:, 1] - lean) ** 2
        return shapes[int(np.argmin(off))]

    def mirror(self) -> Self:
        """The law of the number's opposite."""
        return replace(self, location=-self.location, beta=-self.beta)

    def _log_density(self, y: Float64s) -> Float64s:
        table = tabulate(self.alpha, self.beta)
        out = table.density(y)
        far = np.abs(y) > REACH
        out[far] = tail(y[far], self.alpha, self.beta, True)
        return np.asarray(np.log(np.maximum(out, 1e-300)))

    def _distribution(self, y: Float64s) -> Float64s:
        table = tabulate(self.alpha, self.beta)
        out = np.clip(table.below(y), 0.0, 1.0)
        far = np.abs(y) > REACH
        chance = tail(y[far], self.alpha, self.beta, False)
        out[far] = np.where(y[far] > 0.0, 1.0 - chance, chance)
        return np.asarray(out)

    def _at_normal(self, z: Float64s) -> Float64s:
        return np.asarray(np.sinh(inverse(self.alpha, self.beta)(z)))


def ratios(q: Float64s) -> tuple[float, float]:
    """McCulloch's (1986) two ratios of the quantiles at `LEVELS`: how wide the tails are, how far they lean.

    >>> tuple(round(v, 3) for v in ratios(np.array([-1.645, -0.674, 0.0, 0.674, 1.645])))
    (2.441, 0.0)
    """
    return float((q[4] - q[0]) / (q[3] - q[1])), float((q[4] + q[0] - 2.0 * q[2]) / (q[4] - q[0]))


@lru_cache(maxsize=1)
def _known() -> tuple[list[tuple[float, float]], Float64s]:
    """Shapes all over the family, and their ratios."""
    shapes = [(float(a), float(b)) for a in np.linspace(1.15, 1.95, 9) for b in np.linspace(-0.8, 0.8, 5)]
    return shapes, np.array([ratios(Stable(0.0, 1.0, *shape).quantile(LEVELS)) for shape in shapes])


class Table(NamedTuple):
    """Splines of the standard law between `-REACH` and `REACH`: density and distribution."""

    density: Spline
    below: Spline


@lru_cache(maxsize=8)
def tabulate(alpha: float, beta: float) -> Table:
    """The density at `STEP` by the fast Fourier transform, less what repeats itself beyond its period."""
    from numpy.polynomial import Chebyshev
    from scipy.interpolate import CubicSpline
    from scipy.special import zeta

    period = POINTS * STEP
    t = 2.0 * np.pi * np.arange(POINTS // 2 + 1) / period
    zeta_of = beta * math.tan(0.5 * math.pi * alpha)
    size = t**alpha
    whole = np.fft.irfft(np.exp(-size + 1j * zeta_of * (size - t)).conj(), POINTS) / STEP
    grid = STEP * (np.arange(POINTS) - POINTS // 2)
    inside = np.abs(grid) <= REACH + 0.5 * STEP

    def repeated(x: Float64s) -> Float64s:
        total = np.zeros_like(x)
        for sign in (1.0, -1.0):
            shift = sign * zeta_of
            for k, c in enumerate(coefficients(alpha, sign * beta)[:3], 1):
                power = k * alpha + 1.0
                total += c * k * alpha * period**-power * zeta(power, 1.0 + (sign * x + shift) / period)
        return total

    density = np.fft.fftshift(whole)[inside] - Chebyshev.interpolate(repeated, 8, [-REACH, REACH])(grid[inside])
    spline = CubicSpline(grid[inside], density)
    inner = spline.antiderivative()
    low = float(tail(np.array([-REACH]), alpha, beta, False)[0]) - float(inner(-REACH))
    inner.c[-1] += low
    return Table(spline, inner)


def coefficients(alpha: float, beta: float) -> Float64s:
    """Of `x^(-k alpha)` in the chance to exceed a large `x`, k = 1, 2, ... (Bergström, 1952), Nolan's S1."""
    from scipy.special import gammaln

    k = np.arange(1.0, TERMS + 1.0)
    lean = beta * math.tan(0.5 * math.pi * alpha)
    turn = np.sin(k * (0.5 * math.pi * alpha + math.atan(lean)))
    size = gammaln(k * alpha) - gammaln(k + 1.0) + 0.5 * k * math.log1p(lean * lean)
    return np.asarray((-1.0) ** (k + 1.0) * turn * np.exp(size) / math.pi)


def tail(y: Float64s, alpha: float, beta: float, density: bool) -> Float64s:
    """The density of the standard law at far numbers, or the chance to lie beyond them on their side."""
    sign = np.sign(y)
    out = np.zeros_like(y)
    for side in (1.0, -1.0):
        own = sign == side
        x = side * y[own] + side * beta * math.tan(0.5 * math.pi * alpha)  # in Nolan's S1
        powers = alpha * np.arange(1.0, TERMS + 1.0)
        terms = coefficients(alpha, side * beta) * x[:, None] ** -powers
        out[own] = (terms * powers).sum(axis=1) / x if density else terms.sum(axis=1)
    return out


@lru_cache(maxsize=8)
def inverse(alpha: float, beta: float) -> Spline:
    """`arsinh` of the standard law's numbers by the normal number of the same chance: a monotone spline."""
    from scipy.interpolate import PchipInterpolator
    from scipy.special import ndtri

    far = np.geomspace(REACH, FAR, 600)
    near = np.sinh(np.linspace(-math.asinh(REACH), math.asinh(REACH), 1501)[1:-1])
    law = Stable(0.0, 1.0, alpha, beta)
    below, above = (tail(side * far, alpha, beta, False) for side in (-1.0, 1.0))
    middle = np.where(near < 0.0, ndtri(law.distribution(near)), -ndtri(law.survival(near)))
    z = np.concatenate([ndtri(below[::-1]), middle, -ndtri(above)])
    x = np.concatenate([-far[::-1], near, far])
    rising: NDArray[np.bool_] = np.concatenate([[True], np.diff(np.maximum.accumulate(z)) > 0.0])
    found: Spline = PchipInterpolator(z[rising], np.arcsinh(x[rising]))
    return found
