"""Geometric Brownian motion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kernelkit.errors import arguments
from kernelkit.paths.model import KINDS, Draws, Float64s, Lane, check, log_returns, steps_a_year
from kernelkit.paths.walk import Moves, Walk

if TYPE_CHECKING:
    import xarray as xr


@arguments()
@dataclass(frozen=True)
class GBM(Walk):
    """Geometric Brownian motion: `dS = drift S dt + volatility S dW`, both of a year of ``periods`` steps (G3).

    ``drift`` is that of the price: `S(t)` has the mean `S(0) exp(drift t)`.

    >>> GBM(drift=0.05, volatility=0.2)
    GBM(drift=0.05, volatility=0.2, periods=252.0)
    """

    drift: float
    volatility: float
    periods: float = 252.0

    kinds = KINDS

    def __post_init__(self) -> None:
        check(self, volatility=(self.volatility >= 0.0, "at least 0"))

    @classmethod
    def fit(cls, bars: xr.Dataset) -> GBM:
        """From the mean and the standard deviation (``ddof = 1``) of log returns between closes.

        >>> import kernelkit as kk
        >>> round(GBM.fit(kk.data.load("sp500_index")).volatility, 3)
        0.191
        """
        x = log_returns(bars, "GBM.fit")
        periods = steps_a_year(bars)
        variance = float(x.var(ddof=1)) * periods
        return cls(float(x.mean()) * periods + 0.5 * variance, variance**0.5, periods)

    @property
    def mean(self) -> float:
        """What the log price gains in a step on average."""
        return (self.drift - 0.5 * self.volatility**2) / self.periods

    @property
    def deviation(self) -> float:
        """The standard deviation of a step."""
        return self.volatility / math.sqrt(self.periods)

    @property
    def lane(self) -> Lane:
        """G3."""
        return Lane("gbm", (self.mean,), self.deviation)

    def begin(self, many: int) -> Float64s:
        """No memory."""
        return np.empty((0, many))

    def advance(self, draws: Draws, step: int, carry: Float64s, moves: Moves) -> None:
        """G3."""
        draws.normals(step, 0, moves.move, scale=self.deviation, mean=self.mean)

    def spread(self, draws: Draws, step: int, moves: Moves) -> None:
        """The same for all bars."""
        moves.variance[:] = self.deviation**2

    def innovations(self, x: Float64s) -> Float64s:
        """Standardised log returns."""
        return (x - self.mean) / self.deviation

    def follow(self, z: Float64s, carry: Float64s, variance: Float64s) -> None:
        """Make moves of innovations (step, path), in their place."""
        variance[:] = self.deviation**2
        z *= self.deviation
        z += self.mean
