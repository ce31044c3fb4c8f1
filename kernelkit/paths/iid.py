"""Independent returns of any law."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, arguments, message
from kernelkit.paths.law_fits import LAWS, fit_laws, law_of
from kernelkit.paths.laws import Law
from kernelkit.paths.model import KINDS, Draws, Float64s, check, log_returns, steps_a_year
from kernelkit.paths.walk import Moves, Walk

if TYPE_CHECKING:
    import xarray as xr

REACH, NODES = 6.8, 3401  # of normal numbers, which end at 6.76 (G1)
QUARTILE = 0.6744897501960817  # of the standard normal law


@arguments()
@dataclass(frozen=True)
class IID(Walk):
    """Log returns that are independent draws of a law, one a step (G16): fat tails, and nothing else that is real.

    The law is that of log returns: of a t or stable one the price itself has no mean, and sooner or later a step leaves
    all that prices can be. So no step moves further than ``limit``: what the law has beyond lies there, a factor of e.
    Draws are the normal numbers of G1 at the place in the law that they have in their own, by a table that is within
    2e-6 of `scale` and of the number. Raises `UsageError`.

    >>> from kernelkit.paths import StudentT
    >>> IID(StudentT(0.0005, 0.007, df=3.5)).bars(3, seed=1).sizes["time"]
    3
    """

    law: Law
    limit: float = 1.0
    periods: float = 252.0

    kinds = KINDS

    def __post_init__(self) -> None:
        law: object = self.law
        if not isinstance(law, Law):
            example = "Write law=kk.paths.StudentT(0.0, 0.01, df=4.0)."
            raise UsageError(message("law", repr(law), "a law of kk.paths", example))
        check(self, limit=(self.limit > 0.0, "above 0"))

    @classmethod
    def fit(cls, bars: xr.Dataset, law: str | None = None) -> IID:
        """A law of `fit_laws` on log returns between closes; without ``law`` the one with the smallest AIC.

        >>> import kernelkit as kk
        >>> type(IID.fit(kk.data.load("sp500_index")).law).__name__
        'SkewT'
        """
        given: object = law
        if given is not None and not (isinstance(given, str) and given in LAWS):
            wanted = f"None, or one of {', '.join(LAWS)}"
            raise UsageError(message("IID.fit: law", repr(law), wanted, "Leave it out for the most likely one."))
        x = log_returns(bars, "IID.fit")
        found = fit_laws(x, replications=0) if law is None else fit_laws(x, [law], replications=0)
        return cls(law_of(found), periods=steps_a_year(bars))

    @cached_property
    def _table(self) -> Any:
        from scipy.interpolate import CubicSpline

        z = np.linspace(-REACH, REACH, NODES)
        standard = dataclasses.replace(self.law, location=0.0, scale=1.0)
        return CubicSpline(z, np.arcsinh(standard.at_normal(z)))

    def begin(self, many: int) -> Float64s:
        """No memory."""
        return np.empty((0, many))

    def advance(self, draws: Draws, step: int, carry: Float64s, moves: Moves) -> None:
        """G16."""
        draws.normals(step, 0, moves.move)
        x = self.law.location + self.law.scale * np.sinh(self._table(moves.move))
        np.clip(x, -self.limit, self.limit, out=moves.move)

    def spread(self, draws: Draws, step: int, moves: Moves) -> None:
        """The variance of the normal law with the same quartiles: whatever the tails, the same for all bars."""
        low, high = self.law.quantile(np.array([0.25, 0.75]))
        moves.variance[:] = ((high - low) / (2.0 * QUARTILE)) ** 2
