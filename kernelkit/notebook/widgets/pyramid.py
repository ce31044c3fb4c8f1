"""Level of detail: a long series at any width, as extremes of pieces that do not move when one pans.

A line through the first, last, smallest and largest value of each pixel's piece is the line through all values (M4:
Jugel and others, 2014, PVLDB 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Finer levels are found from the values when they are asked for: kept ones take n / 8 numbers for each statistic.
FINEST = 16
REDUCED = {"lo": np.fmin, "hi": np.fmax, "sum": np.add}


@dataclass(frozen=True)
class Cut:
    """Rows [first, first + n * step) in n pieces of `step` rows, the last maybe shorter, and the arrays of each."""

    first: int
    step: int
    arrays: dict[str, Floats]


def step_for(rows: int, pieces: int) -> int:
    """The smallest power of two that cuts so many rows into at most so many pieces.

    >>> step_for(1000, 1000), step_for(1001, 1000), step_for(5_000_000, 1000)
    (1, 2, 8192)
    """
    return 1 << max(0, -(-rows // pieces) - 1).bit_length()


def halved(values: Floats, reduced: np.ufunc) -> Floats:
    """Each two neighbours as one; an odd last one stays."""
    even = len(values) // 2 * 2
    pairs = reduced(values[:even:2], values[1:even:2])
    return pairs if even == len(values) else np.append(pairs, values[even])


class Pyramid:
    """A series with its statistics over pieces of 16, 32, 64, ... values that begin at multiples of their length.

    ``values`` is float64 (row,), NaN where there is none; each piece has its last value as ``close`` and the first one
    of ``opens`` as ``open``. Of ``reduced`` each name is one of `REDUCED` and has what is reduced, as highs for ``hi``.

    >>> line(np.arange(100.0)).cut(0, 100, 25).arrays["hi"][:3]
    array([ 3.,  7., 11.])
    """

    def __init__(self, values: Any, opens: Any = None, **reduced: Any) -> None:
        self.values: Floats = np.ascontiguousarray(values, "f8")
        self.opens: Floats = self.values if opens is None else np.ascontiguousarray(opens, "f8")
        self.reduced = {name: np.ascontiguousarray(found, "f8") for name, found in reduced.items()}
        self.levels = {name: self._levels(found, REDUCED[name]) for name, found in self.reduced.items()}

    @staticmethod
    def _levels(level: Floats, reduced: np.ufunc) -> list[Floats]:
        for _ in range(FINEST.bit_length() - 1):
            level = halved(level, reduced)
        found = [level]
        while len(found[-1]) > 1:
            found.append(halved(found[-1], reduced))
        return found

    def cut(self, start: int, stop: int, pieces: int) -> Cut:
        """Rows [start, stop) in at most ``pieces`` + 1 pieces, which reach to multiples of their length."""
        step = step_for(stop - start, pieces)
        first, last = start // step, min(-(-stop // step), -(-len(self.values) // step))
        arrays = {name: self._level(name, first, last, step) for name in self.levels}
        ends = np.minimum(np.arange(first + 1, last + 1) * step, len(self.values)) - 1
        arrays |= {"open": self.opens[first * step : last * step : step], "close": self.values[ends]}
        return Cut(first * step, step, arrays)

    def _level(self, name: str, first: int, last: int, step: int) -> Floats:
        if step >= FINEST:
            levels = self.levels[name]
            return levels[min(step.bit_length() - FINEST.bit_length(), len(levels) - 1)][first:last]
        found = self.reduced[name][first * step : last * step]
        for _ in range(step.bit_length() - 1):
            found = halved(found, REDUCED[name])
        return found


def line(values: Any) -> Pyramid:
    """The pyramid of a curve: its own extremes."""
    return Pyramid(values, lo=values, hi=values)
