"""`plan`: before a search, what it will be able to tell from luck, and what it will cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.optimize
import scipy.special

from kernelkit import ledger
from kernelkit.errors import UsageError, arguments, message
from kernelkit.inference.checks import is_number
from kernelkit.inference.significance import expected_max_sharpe

if TYPE_CHECKING:
    import xarray as xr

_X = np.linspace(-9.0, 9.0, 9001)  # of a standard normal factor, for the trapezoidal rule


def critical(n_trials: float, level: float, correlation: float = 0.0) -> float:
    """What the largest of so many standard normal numbers exceeds with probability ``level``.

    Any two of them correlate by ``correlation``. Independent ones: Šidák's.

    >>> round(critical(1, 0.05), 3), round(critical(300, 0.05), 3), round(critical(300, 0.05, 0.9), 3)
    (1.645, 3.581, 2.484)
    """
    if correlation == 0.0:
        return -float(scipy.special.ndtri(-math.expm1(math.log1p(-level) / n_trials)))  # Šidák
    own, common = math.sqrt(1.0 - correlation), math.sqrt(correlation)

    def exceeds(z: float) -> float:
        below = np.exp(n_trials * scipy.special.log_ndtr((z - common * _X) / own) - 0.5 * _X**2)
        return float(1.0 - np.sum(below) * (_X[1] - _X[0]) / math.sqrt(2.0 * math.pi) - level)

    return float(scipy.optimize.brentq(exceeds, -10.0, 12.0))


@dataclass(frozen=True)
class Plan:
    """What a search can find: ``detectable`` is the true annual Sharpe ratio that it calls significant with ``power``.

    ``before`` is the same for one more trial instead of the search, ``luck`` the Sharpe ratio that the best of all
    trials is expected to show without skill; ``years`` of data, ``so_far`` trials in the ledger, ``planned`` ones.
    """

    years: float
    so_far: int
    planned: int
    level: float
    power: float
    correlation: float

    def _found_with(self, n: int) -> float:
        needed = critical(n, self.level, self.correlation) + float(scipy.special.ndtri(self.power))
        return needed / math.sqrt(self.years)

    @property
    def detectable(self) -> float:
        """With all trials, those planned among them."""
        return self._found_with(self.so_far + self.planned)

    @property
    def before(self) -> float:
        """With one trial more than there are so far."""
        return self._found_with(self.so_far + 1)

    @property
    def luck(self) -> float:
        """The expected maximum of independent trials without skill (I2)."""
        return float(expected_max_sharpe(self.so_far + self.planned)) / math.sqrt(self.years)

    def __str__(self) -> str:
        n = self.so_far + self.planned
        alike = f", any two of which correlate by {self.correlation:g}," if self.correlation else ""
        tried = "1 trial" if self.planned == 1 else f"{self.planned:,} trials"
        return (
            f"{tried}{alike} on {self.years:.1f} years, beside {self.so_far:,} that the ledger has of this market: a "
            f"true Sharpe ratio of {self.detectable:.2f} is found with {100 * self.power:.0f} % power at "
            f"{100 * self.level:g} %, of {self.before:.2f} if only one more were tried. The best of {n:,} independent "
            f"ones is expected to show {max(self.luck, 0.0):.2f} by luck alone."
        )

    __repr__ = __str__


@arguments()
def plan(
    bars: xr.Dataset,
    n_trials: int,
    *,
    start: Any = None,
    end: Any = None,
    level: float = 0.05,
    power: float = 0.8,
    correlation: float = 0.0,
) -> Plan:
    """Before a search of ``n_trials``: which Sharpe ratio it could tell from luck, given all that was tried already.

    The largest t of the family is compared with Šidák's bound, or, where any two trials correlate by ``correlation``,
    with the exact one for that; of returns whose Sharpe ratio is estimated with error `1 / sqrt(years)` (I31). The
    span is ``start`` to ``end`` (inclusive), trials so far are those of the ledger that overlap it. Raises UsageError.

    >>> import kernelkit as kk
    >>> p = plan(kk.data.load("sp500_index"), 300)
    >>> p.before <= p.detectable < 1.1 < plan(kk.data.load("sp500_index"), 300, start="2012").detectable
    True
    """
    from kernelkit.recipe import check_bars, span
    from kernelkit.schema import covered

    for name, value, wanted, fits in (
        ("n_trials", n_trials, "a whole number above 0", type(n_trials) is int and n_trials > 0),
        ("level", level, "a number between 0 and 0.5", is_number(level) and 0.0 < level < 0.5),
        ("power", power, "a number between 0.5 and 1", is_number(power) and 0.5 <= power < 1.0),
        ("correlation", correlation, "a number from 0 to below 1", is_number(correlation) and 0.0 <= correlation < 1.0),
    ):
        if not fits:
            raise UsageError(message(name, repr(value), wanted, "See help(kk.plan)."))
    bars = check_bars(bars)
    first, last = span(bars, start, end)
    sessions = len(np.unique(bars["session"].values[first:last])) if "session" in bars.coords else last - first
    years = sessions / float(bars.attrs["periods_per_year"])
    ids = [str(i) for i in np.atleast_1d(bars["asset_id"].values)]
    family = ledger.family(ids, covered(bars, first, last), synthetic=int(bars.attrs.get("synthetic", 0)))
    return Plan(years, family.distinct + family.declared, n_trials, level, power, correlation)
