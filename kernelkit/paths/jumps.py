"""Diffusions with jumps: Merton's normal ones, Kou's double exponential ones."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from kernelkit.errors import DataError, arguments, message
from kernelkit.paths.model import Draws, Float64s, Lane, check, log_returns, steps_a_year
from kernelkit.paths.walk import Moves, Walk

if TYPE_CHECKING:
    import xarray as xr

Jumps = TypeVar("Jumps", bound="_Jumps")

POINTS, WIDTH = 2**12, 24.0  # of the density by Fourier's inversion: over so many standard deviations


class _Jumps(Walk):
    """A diffusion with jumps that arrive as a Poisson process; a step's jumps come before its bar opens (G5)."""

    drift: float
    volatility: float
    intensity: float

    @property
    @abstractmethod
    def compensator(self) -> float:
        """What a jump adds to the price on average, as a fraction."""

    @property
    @abstractmethod
    def _kind(self) -> tuple[float, ...]:
        """What `kernels.walks.jump` takes."""

    @abstractmethod
    def _jump(self, u: Float64s) -> NDArray[np.complex128]:
        """The characteristic function of a jump."""

    @property
    def mean(self) -> float:
        """What the log price gains in a step on average, jumps aside."""
        return (self.drift - 0.5 * self.volatility**2 - self.intensity * self.compensator) / self.periods

    @property
    def deviation(self) -> float:
        """The standard deviation of a step, jumps aside."""
        return self.volatility / math.sqrt(self.periods)

    @property
    def lane(self) -> Lane:
        """G5."""
        return Lane("jumps", (self.mean, self.intensity / self.periods, *self._kind), self.deviation)

    def begin(self, many: int) -> Float64s:
        """No memory."""
        return np.empty((0, many))

    def advance(self, draws: Draws, step: int, carry: Float64s, moves: Moves) -> None:
        """G5."""
        from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this
        from kernelkit.kernels.walks import JUMP_TYPES

        p, signs = np.array(self.lane.numbers), draws.signs(self.deviation)
        kernel("walks", "jumps", JUMP_TYPES)(*draws.place(step), signs, p, draws.words(), moves.move, moves.gap)

    def spread(self, draws: Draws, step: int, moves: Moves) -> None:
        """The same for all bars."""
        moves.variance[:] = self.deviation**2


@arguments()
@dataclass(frozen=True)
class Merton(_Jumps):
    """Merton's (1976) jump diffusion: ``intensity`` jumps a year add normal numbers to the log price (G5).

    They have the mean ``jump_mean`` and the standard deviation ``jump_deviation``. The price has the mean
    `S(0) exp(drift t)`, jumps included.

    >>> round(Merton(0.05, 0.15, intensity=0.1, jump_mean=-0.9, jump_deviation=0.45).compensator, 4)
    -0.5501
    """

    drift: float
    volatility: float
    intensity: float
    jump_mean: float
    jump_deviation: float
    periods: float = 252.0

    def __post_init__(self) -> None:
        check(
            self,
            volatility=(self.volatility >= 0.0, "at least 0"),
            intensity=(0.0 <= self.intensity <= 100.0 * self.periods, "from 0 to 100 a step"),
            jump_deviation=(self.jump_deviation >= 0.0, "at least 0"),
        )

    @classmethod
    def fit(cls, bars: xr.Dataset) -> Merton:
        """By maximum likelihood from log returns between closes, with at most two jumps a step on average.

        The density is the inverse Fourier transform of the characteristic function. Raises `DataError`.

        >>> import kernelkit as kk
        >>> fitted = Merton.fit(kk.data.load("sp500_index"))
        >>> fitted.volatility < 0.17 and fitted.intensity > 10
        True
        """
        x, periods = log_returns(bars, "Merton.fit"), steps_a_year(bars)
        sd = float(x.std())

        def of(p: Float64s) -> Merton:
            drift, volatility, intensity = _of(p[:3], x, periods)
            return cls(drift, volatility, intensity, float(p[3]) * sd, math.exp(p[4]) * sd, periods)

        return _fit("Merton.fit", of, x, [0.0, math.log(0.7), math.log(0.1), 0.0, math.log(2.0)])

    @property
    def compensator(self) -> float:
        """What a jump adds to the price on average, as a fraction."""
        return math.expm1(self.jump_mean + 0.5 * self.jump_deviation**2)

    @property
    def _kind(self) -> tuple[float, ...]:
        return 0.0, self.jump_mean, self.jump_deviation, 0.0

    def _jump(self, u: Float64s) -> NDArray[np.complex128]:
        return np.asarray(np.exp(1j * u * self.jump_mean - 0.5 * (u * self.jump_deviation) ** 2))


@arguments()
@dataclass(frozen=True)
class Kou(_Jumps):
    """Kou's (2002) jump diffusion: jumps of the log price are exponential, up with probability ``up`` (G5).

    Upward ones have the mean `1 / up_rate`, downward ones `1 / down_rate`. The price has the mean `S(0) exp(drift t)`,
    for which ``up_rate`` is above 1.

    >>> round(Kou(0.05, 0.16, intensity=1.0, up=0.4, up_rate=10.0, down_rate=5.0).compensator, 4)
    -0.0556
    """

    drift: float
    volatility: float
    intensity: float
    up: float
    up_rate: float
    down_rate: float
    periods: float = 252.0

    def __post_init__(self) -> None:
        check(
            self,
            volatility=(self.volatility >= 0.0, "at least 0"),
            intensity=(0.0 <= self.intensity <= 100.0 * self.periods, "from 0 to 100 a step"),
            up=(0.0 <= self.up <= 1.0, "from 0 to 1"),
            up_rate=(self.up_rate > 1.0, "above 1"),
            down_rate=(self.down_rate > 0.0, "above 0"),
        )

    @classmethod
    def fit(cls, bars: xr.Dataset) -> Kou:
        """By maximum likelihood from log returns between closes, as `Merton.fit`.

        >>> import kernelkit as kk
        >>> fitted = Kou.fit(kk.data.load("sp500_index"))
        >>> fitted.volatility < 0.17 and fitted.intensity > 10
        True
        """
        x, periods = log_returns(bars, "Kou.fit"), steps_a_year(bars)
        sd = float(x.std())

        def of(p: Float64s) -> Kou:
            drift, volatility, intensity = _of(p[:3], x, periods)
            up = 1.0 / (1.0 + math.exp(-p[3]))
            return cls(drift, volatility, intensity, up, 1.0 + math.exp(p[4]) / sd, math.exp(p[5]) / sd, periods)

        return _fit("Kou.fit", of, x, [0.0, math.log(0.7), math.log(0.1), 0.0, -0.7, -0.7])

    @property
    def compensator(self) -> float:
        """What a jump adds to the price on average, as a fraction."""
        return self.up / (self.up_rate - 1.0) - (1.0 - self.up) / (self.down_rate + 1.0)

    @property
    def _kind(self) -> tuple[float, ...]:
        return 1.0, self.up, self.up_rate, self.down_rate

    def _jump(self, u: Float64s) -> NDArray[np.complex128]:
        return self.up * self.up_rate / (self.up_rate - 1j * u) + (1.0 - self.up) * self.down_rate / (
            self.down_rate + 1j * u
        )


def _of(p: Float64s, x: Float64s, periods: float) -> tuple[float, float, float]:
    """Drift, volatility and intensity from numbers without bounds, which are about 1."""
    sd = float(x.std())
    volatility = math.exp(min(p[1], 3.0)) * sd * periods**0.5
    drift = (float(x.mean()) + float(p[0]) * sd + 0.5 * sd * sd) * periods
    return drift, volatility, math.exp(min(p[2], 0.7)) * periods


def log_density(model: _Jumps, x: Float64s) -> Float64s:
    """The log density of a step's log return, by the inverse Fourier transform of its characteristic function.

    >>> import scipy.stats
    >>> x = np.array([-0.02, 0.0, 0.01])
    >>> gauss = Merton(0.0, 0.2, intensity=0.0, jump_mean=0.0, jump_deviation=0.1)
    >>> np.allclose(log_density(gauss, x), scipy.stats.norm(gauss.mean, gauss.deviation).logpdf(x), atol=1e-3)
    True
    """
    width = max(WIDTH * float(np.std(x)), 2.2 * float(np.max(np.abs(x))))
    dx = width / POINTS
    u = np.asarray(2.0 * np.pi * np.fft.rfftfreq(POINTS, dx), np.float64)
    rate = model.intensity / model.periods
    characteristic = np.exp(1j * u * model.mean - 0.5 * (u * model.deviation) ** 2 + rate * (model._jump(u) - 1.0))
    grid = dx * (np.arange(POINTS) - POINTS // 2)
    density = np.fft.fftshift(np.fft.irfft(np.conj(characteristic), POINTS)) / dx
    return np.log(np.interp(x, grid, np.maximum(density, 1e-300)))


def _fit(what: str, of: Callable[[Float64s], Jumps], x: Float64s, start: list[float]) -> Jumps:
    from scipy.optimize import minimize

    def loss(p: Float64s) -> float:
        return -float(np.mean(log_density(of(p), x)))

    found = minimize(loss, start, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-4, "fatol": 1e-8})
    if not found.success:
        fix = "Give more bars, or state parameters."
        raise DataError(message(what, str(found.message), "a maximum of the likelihood", fix))
    return of(found.x)
