"""The rates of a maintenance margin (L2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Maintenance = float | tuple[Sequence[float], Sequence[float]] | None


@dataclass(frozen=True)
class Tiers:
    """Floors of the value of a position, the first 0.0, each with its rate."""

    floors: list[float]
    rates: list[float]

    @property
    def deductions(self) -> list[float]:
        """L2: what makes the margin continuous at the floors."""
        found = [0.0]
        for j in range(1, len(self.floors)):
            found.append(found[j - 1] + self.floors[j] * (self.rates[j] - self.rates[j - 1]))
        return found

    def margin(self, value: float) -> float:
        """L2: `M` of a position of this value."""
        j = max(tier for tier, floor in enumerate(self.floors) if floor <= value)
        return value * self.rates[j] - self.deductions[j]


def tiers(given: Maintenance, name: str) -> Tiers | None:
    """What a user writes: nothing, one rate, or (floors, rates)."""
    if given is None:
        return None
    if isinstance(given, int | float):
        floors, rates = [0.0], [float(given)]
    else:
        floors, rates = ([float(value) for value in values] for values in given)
    if len(floors) != len(rates) or not floors or floors[0] != 0.0:
        raise ValueError(f"Config.{name} has floors {floors} and rates {rates}, wanted as many, the first floor 0.0")
    if any(not low < high for low, high in pairwise(floors)):
        raise ValueError(f"Config.{name} has floors {floors}, wanted each above the one before")
    if any(not (math.isfinite(value) and value >= 0.0) for value in floors + rates):
        raise ValueError(f"Config.{name} has floors {floors} and rates {rates}, wanted finite numbers of 0 or more")
    return Tiers(floors, rates)
