"""Heston's stochastic volatility."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kernelkit.errors import DataError, arguments, message
from kernelkit.paths.model import Draws, Float64s, Lane, check, log_returns, steps_a_year
from kernelkit.paths.walk import Moves, Walk

if TYPE_CHECKING:
    import xarray as xr

LAGS = 60  # of the squared returns' autocovariance, for a fit


@arguments()
@dataclass(frozen=True)
class Heston(Walk):
    """Heston (1993): `dS = drift S dt + sqrt(v) S dW`, with a variance `v` that reverts (G6).

    `dv = reversion (mean_variance - v) dt + vol_of_variance sqrt(v) dZ`, `dW dZ = correlation dt`; ``variance`` is the
    first `v`; all of a year. Steps are those of Andersen's (2008) quadratic-exponential scheme with his martingale
    correction; what that is off by stands in docs/paths.md.

    >>> Heston(0.0, variance=0.04, reversion=2.0, mean_variance=0.04, vol_of_variance=0.5, correlation=-0.7).periods
    252.0
    """

    drift: float
    variance: float
    reversion: float
    mean_variance: float
    vol_of_variance: float
    correlation: float
    periods: float = 252.0

    def __post_init__(self) -> None:
        check(
            self,
            variance=(self.variance > 0.0, "above 0"),
            reversion=(self.reversion > 0.0, "above 0"),
            mean_variance=(self.mean_variance > 0.0, "above 0"),
            vol_of_variance=(self.vol_of_variance > 0.0, "above 0"),
            correlation=(-1.0 <= self.correlation <= 1.0, "from -1 to 1"),
        )

    @classmethod
    def fit(cls, bars: xr.Dataset) -> Heston:
        """By moments of log returns between closes, as fractions of a year.

        The mean and the autocovariances of squared returns over 60 lags, `c exp(-reversion k / periods)`, give mean
        variance, reversion and `vol_of_variance^2 = 2 reversion c / mean_variance`; the sum of covariances of a return
        with squared ones after it gives the correlation. The first variance is the mean. Such a fit is
        rough: docs/paths.md says how. Raises `DataError` where squared returns do not decay.

        >>> import kernelkit as kk
        >>> Heston.fit(kk.data.load("sp500_index")).correlation < -0.3
        True
        """
        from scipy.optimize import curve_fit

        x, periods = log_returns(bars, "Heston.fit"), steps_a_year(bars)
        off = x - x.mean()
        squared = off * off * periods  # variance a year, each with noise of its own
        level = float(squared.mean())
        s = squared - level
        lags = np.arange(1, LAGS + 1)
        own = np.array([np.mean(s[k:] * s[:-k]) for k in lags]) / level**2
        lead = np.array([np.mean(s[k:] * off[:-k]) for k in lags]) / level
        try:
            (c, rate), _ = curve_fit(lambda k, c, r: c * np.exp(-r * k), lags, own, p0=(max(own[0], 0.01), 0.05))
        except RuntimeError as error:
            what = message("Heston.fit", str(error), "a fit of autocovariances", "State parameters.")
            raise DataError(what) from None
        if not (c > 0.0 and rate > 0.0):
            found, fix = f"autocovariances {c:.3g} exp(-{rate:.3g} k)", "Take another model."
            raise DataError(message("Heston.fit", found, "squared returns whose memory decays", fix))
        reversion = float(rate) * periods
        vol = math.sqrt(2.0 * reversion * float(c) * level)
        decay = np.exp(-rate * lags)
        slope = float(np.sum(lead * decay) / np.sum(decay * decay))  # correlation times vol / periods
        correlation = min(max(slope * periods / vol, -0.99), 0.99)
        return cls(float(x.mean()) * periods + 0.5 * level, level, reversion, level, vol, correlation, periods)

    def begin(self, many: int) -> Float64s:
        """The first variance."""
        return np.full((1, many), self.variance)

    @property
    def lane(self) -> Lane:
        """G6."""
        dt, xi, rho = 1.0 / self.periods, self.vol_of_variance, self.correlation
        e = math.exp(-self.reversion * dt)
        c1 = xi * xi * e * (1.0 - e) / self.reversion
        c2 = self.mean_variance * xi * xi * (1.0 - e) ** 2 / (2.0 * self.reversion)
        half = 0.5 * dt * (self.reversion * rho / xi - 0.5)
        k3 = 0.5 * dt * (1.0 - rho * rho)
        k0 = -rho * self.reversion * self.mean_variance * dt / xi
        p = self.drift * dt, e, self.mean_variance, c1, c2, half - rho / xi, half + rho / xi, k3, k3, k0
        return Lane("heston", p, begin=self.variance)

    def advance(self, draws: Draws, step: int, carry: Float64s, moves: Moves) -> None:
        """G6."""
        from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this
        from kernelkit.kernels.walks import HESTON_TYPES

        p, room = np.array(self.lane.numbers), np.empty((3, *moves.move.shape))
        run = kernel("walks", "heston", HESTON_TYPES)
        run(*draws.place(step), draws.signs(), p, carry, draws.words(), room, moves.move, moves.variance)

    def spread(self, draws: Draws, step: int, moves: Moves) -> None:
        """A bar's variance is the mean of those at its ends."""
        np.divide(moves.variance, self.periods, out=moves.variance)
