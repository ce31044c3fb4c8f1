"""The price grid of an instrument: on which prices it lies exactly, and how prices are put there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from kernelkit.errors import DataError, message

# Ticks are int64 but pass through float64 at the edges, where integers are exact up to here.
MAX_TICKS = 2**53
OFF_GRID = 1e-6


@dataclass(frozen=True)
class Grid:
    """Prices are ``ticks * tick`` where ``inverse`` is 0 (the tick is a power of two), else ``ticks / inverse``."""

    tick: float
    inverse: int

    def ticks(self, prices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the nearest whole number of ticks; half-way prices go to the even one, NaN stays NaN."""
        return np.rint(self._scaled(prices))

    def prices(self, ticks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the prices of whole ``ticks``: exact for a power of two, correctly rounded for an inverse."""
        return ticks / self.inverse if self.inverse else ticks * self.tick

    def off(self, prices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far each price lies from the grid, in ticks, beyond what float64 itself can resolve."""
        scaled = self._scaled(prices)
        distance = np.abs(scaled - np.rint(scaled))
        # Near 2^33 ticks one unit in the last place of the price is already more than 1e-6 ticks.
        return np.where(distance <= 2.0 * np.spacing(np.abs(scaled)), 0.0, distance)

    def _scaled(self, prices: NDArray[np.float64]) -> NDArray[np.float64]:
        return prices * self.inverse if self.inverse else prices / self.tick


def given(tick_size: float, asset: str) -> Grid:
    """Return the grid of a stated ``tick_size``; a tick that is neither a power of two nor 1/integer is refused.

    >>> given(0.01, "SPY")
    Grid(tick=0.01, inverse=100)
    >>> given(0.25, "ES")
    Grid(tick=0.25, inverse=0)
    """
    tick = float(tick_size)
    if not (math.isfinite(tick) and tick > 0.0):
        raise DataError(message(f"tick_size of {asset!r}", tick_size, "a positive price step", "Pass 0.01, or None."))
    if math.frexp(tick)[0] == 0.5:
        return Grid(tick, 0)
    inverse = round(1.0 / tick)
    if inverse > 0 and 1.0 / inverse == tick:
        return Grid(tick, inverse)
    fraction = Fraction(str(tick))
    finer = Fraction(1, fraction.denominator)
    raise DataError(
        message(
            f"tick_size of {asset!r}",
            f"{tick} = {fraction.numerator}/{fraction.denominator}",
            "a power of two or 1/integer, because only their multiples are exact in int64 ticks",
            f"Pass tick_size={float(finer)}, of which every price on this grid is a multiple.",
        )
    )


def derived(first_close: float) -> Grid:
    """Return the grid 2^-k on which ``first_close`` has between 2^30 and 2^31 ticks.

    >>> grid = derived(1228.1)
    >>> 2**30 <= 1228.1 / grid.tick < 2**31
    True
    """
    return Grid(math.ldexp(1.0, math.frexp(first_close)[1] - 31), 0)


def check_range(ticks: NDArray[np.float64], grid: Grid, asset: str) -> None:
    """Raise `DataError` where a price is below one tick or has more ticks than float64 counts exactly."""
    fix = "Pass a tick_size= that suits the whole history, or rescale the prices."
    low, high = float(np.nanmin(ticks)), float(np.nanmax(ticks))
    if low < 1.0:
        raise DataError(message(f"lowest price of {asset!r}", f"less than one tick of {grid.tick}", "one tick", fix))
    if high > MAX_TICKS:
        raise DataError(message(f"highest price of {asset!r}", f"{high:.3g} ticks", f"at most {MAX_TICKS}", fix))
