"""Searchers of installed packages: they are asked for points and told what these came to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from kernelkit import offers
from kernelkit.errors import UsageError, message
from kernelkit.study.proposals import Point, Trials
from kernelkit.study.spaces import Axis, Real, Space

PATIENCE = 100  # batches in a row of which nothing fits


def find(name: Any, known: Iterable[str]) -> Callable[[Trials, int, int], None]:
    """The searcher that a package offers by this name; raises UsageError for one that is neither that nor ``known``."""
    make, place = offers.load("searchers", name, known, "Leave it out for tpe.")
    return partial(_search, make=make, place=place)


def _search(trials: Trials, seed: int, batch: int, make: Any, place: str) -> None:
    """Ask for batches until there are enough, or no more; what ``where`` excludes is not run, and told as the worst."""
    space, idle = trials.space, 0
    asks = make(dict(space.axes), seed)
    if not all(callable(getattr(asks, name, None)) for name in ("ask", "tell")):
        found = type(asks).__name__
        raise UsageError(message(f"searcher ({place})", found, "an object with ask and tell", "Write both."))
    while trials.left:
        asked = list(asks.ask(min(batch, trials.left)))[: trials.left]
        if not asked:
            trials.ended = "the searcher has no more points"
            return
        points = [_valid(space, one, place) for one in asked]
        fit = [k for k, point in enumerate(points) if space.fits(point)]
        values = np.tile(trials.worst, (len(points), 1)).astype("f8")
        if fit:
            values[fit] = trials.evaluate([points[k] for k in fit], trials.best)
        idle = 0 if fit else idle + 1
        if idle == PATIENCE:
            raise space.empty()
        asks.tell(asked, values)


def _valid(space: Space, given: Any, place: str) -> Point:
    """The point of a package's dict; raises UsageError where the space has no such point."""
    if not isinstance(given, Mapping) or set(given) != set(space.axes):
        found = sorted(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
        wanted = f"a dict of {', '.join(space.axes)}"
        raise UsageError(message(f"proposal ({place})", found, wanted, "Propose a value for each."))
    for name, axis in space.axes.items():
        if not _has(axis, given[name]):
            wanted = " to ".join(map(str, axis.ends)) if isinstance(axis, Real) else "one of its values"
            raise UsageError(
                message(f"{name} ({place})", repr(given[name]), wanted, "Round it to the axis, and clip it.")
            )
    return space.chosen(lambda name, axis: _plain(axis, given[name]))


def _has(axis: Axis, value: Any) -> bool:
    if not isinstance(axis, Real):
        return value in axis.values
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return number and axis.low <= value <= axis.high


def _plain(axis: Axis, value: Any) -> Any:
    """The value as the axis has it, no number of NumPy's."""
    return float(value) if isinstance(axis, Real) else axis.values[axis.values.index(value)]
