"""Generalised autoregressive conditional heteroskedasticity."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from kernelkit.errors import DataError, arguments, message
from kernelkit.paths.model import KINDS, Draws, Float64s, Lane, check, log_returns, steps_a_year
from kernelkit.paths.walk import MIXTURE, Moves, Walk

if TYPE_CHECKING:
    import xarray as xr


@arguments()
@dataclass(frozen=True)
class GARCH(Walk):
    """GARCH(1,1), with ``gamma`` GJR, of log returns a step (G4); Bollerslev (1987), Glosten et al. (1993).

    `r = mean + e`, `e = sqrt(h) z`; the next `h = omega + (alpha + gamma [e < 0]) e^2 + beta h`. Innovations `z` have
    variance 1: Student's t of ``df`` degrees of freedom, normal where that is None. ``variance`` is the first `h`, the
    stationary one where it is None. Raises `UsageError` where the variance has no stationary mean and none is given.

    >>> round(GARCH(mean=0.0, omega=1e-6, alpha=0.05, beta=0.9, gamma=0.06, df=7.5).stationary, 9)
    5e-05
    """

    mean: float
    omega: float
    alpha: float
    beta: float
    gamma: float = 0.0
    df: float | None = None
    variance: float | None = None
    periods: float = 252.0

    kinds = KINDS

    def __post_init__(self) -> None:
        check(
            self,
            omega=(self.omega > 0.0, "above 0"),
            alpha=(self.alpha >= 0.0, "at least 0"),
            beta=(self.beta >= 0.0, "at least 0"),
            gamma=(self.alpha + self.gamma >= 0.0, "at least -alpha"),
            df=(self.df is None or self.df > 2.0, "above 2, or None"),
            variance=(
                self.persistence < 1.0 if self.variance is None else self.variance > 0.0,
                "above 0, where alpha + beta + gamma / 2 is 1 or more",
            ),
        )

    @property
    def persistence(self) -> float:
        """alpha + beta + gamma / 2: what remains of a deviation of the variance after a step."""
        return self.alpha + self.beta + 0.5 * self.gamma

    @property
    def stationary(self) -> float:
        """The variance of a step in the long run."""
        return self.omega / (1.0 - self.persistence)

    @classmethod
    def fit(
        cls,
        bars: xr.Dataset,
        *,
        asymmetric: bool = True,
        innovations: Literal["t", "normal"] = "t",
        presample: Literal["sample", "weighted"] = "sample",
    ) -> GARCH:
        """By maximum likelihood (package arch) from log returns between closes.

        The variance before the first return is that of the ``sample``, as in Fiorentini, Calzolari and Panattoni
        (1996), or ``weighted`` to its beginning, arch's own choice. Paths begin with the stationary variance. Raises
        `DataError` where the likelihood has no maximum that is stationary.

        >>> import kernelkit as kk
        >>> fitted = GARCH.fit(kk.data.load("sp500_index"))
        >>> fitted.gamma > fitted.alpha, 0.97 < fitted.persistence < 1.0
        (True, True)
        """
        return cls.of_bars("GARCH.fit", bars, asymmetric, innovations == "t", presample == "sample")

    @classmethod
    def of_bars(cls, what: str, bars: xr.Dataset, asymmetric: bool, students: bool, sample: bool) -> GARCH:
        """`fit`, for ``what``, which errors name."""
        from arch.univariate import GARCH as Volatility
        from arch.univariate import ConstantMean, Normal, StudentsT
        from arch.utility.exceptions import ConvergenceWarning

        x = log_returns(bars, what)
        unit = 1.0 / float(x.std())
        model = ConstantMean(x * unit, rescale=False)
        model.volatility = Volatility(1, int(asymmetric), 1)
        model.distribution = StudentsT() if students else Normal()
        before = float(((x - x.mean()) ** 2).mean()) * unit**2 if sample else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the flag below says it
            found = model.fit(disp="off", show_warning=False, backcast=before, options={"ftol": 1e-12, "maxiter": 1000})
        p = {str(name): float(value) for name, value in found.params.items()}
        gamma = p.get("gamma[1]", 0.0)
        stays = p["alpha[1]"] + p["beta[1]"] + 0.5 * gamma
        if found.convergence_flag or not stays < 1.0:
            best = "no maximum" if found.convergence_flag else f"a persistence of {stays:.6f}"
            fix = "Give a longer span, state parameters, or take kk.paths.Bootstrap or IID, which fit no variance."
            raise DataError(message(what, best, "a stationary variance", fix))
        return cls(
            mean=p["mu"] / unit,
            omega=p["omega"] / unit**2,
            alpha=p["alpha[1]"],
            beta=p["beta[1]"],
            gamma=gamma,
            df=p.get("nu"),
            periods=steps_a_year(bars),
        )

    @property
    def lane(self) -> Lane:
        """G4."""
        p = self.mean, self.omega, self.alpha, self.gamma, self.beta
        kind, more = ("garch", ()) if self.df is None else ("students", (self.df,))
        return Lane(kind, (*p, *more), begin=self.stationary if self.variance is None else self.variance)

    def begin(self, many: int) -> Float64s:
        """The first variance."""
        return np.full((1, many), self.lane.begin)

    def advance(self, draws: Draws, step: int, carry: Float64s, moves: Moves) -> None:
        """G4."""
        if self.df is None:
            draws.normals(step, 0, moves.move)
        else:
            draws.students(step, 0, moves.move, self.df)
        self.follow(moves.move, carry, moves.variance)

    def follow(self, z: Float64s, carry: Float64s, variance: Float64s) -> None:
        """Make moves of innovations (step, path), in their place."""
        from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this
        from kernelkit.kernels.walks import GARCH_TYPES

        p = np.array(self.lane.numbers[:5])
        kernel("walks", "garch", GARCH_TYPES)(p, carry, z, variance)

    def spread(self, draws: Draws, step: int, moves: Moves) -> None:
        """G8: a t innovation is a normal one of random variance; that is drawn given the innovation."""
        if self.df is None:  # then it is the step's
            return
        from scipy.special import gammaincinv

        u = draws.uniforms(step, MIXTURE, len(moves.move))
        z2 = (moves.move - self.mean) ** 2 / moves.variance
        g = gammaincinv(0.5 * (self.df + 1.0), u) * 2.0 / (1.0 + z2 / (self.df - 2.0))
        np.multiply(moves.variance, (self.df - 2.0) / g, out=moves.variance)

    def deviations(self, x: Float64s) -> tuple[Float64s, float]:
        """Of each log return, and the variance of the one after them; before the first the sample's, as in `fit`."""
        e = x - self.mean
        h, out = self.omega + self.persistence * float(np.mean(e * e)), np.empty_like(e)
        for t, one in enumerate(e.tolist()):
            out[t] = math.sqrt(h)
            h = self.omega + (self.alpha + (self.gamma if one < 0.0 else 0.0)) * one * one + self.beta * h
        return out, h

    def innovations(self, x: Float64s) -> Float64s:
        """Standardised log returns."""
        return (x - self.mean) / self.deviations(x)[0]
