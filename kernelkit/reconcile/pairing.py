"""Which real fill is which simulated one: parts of both, of the same asset and side (RC2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A part of a fill so small is that of the linear programme, or of a difference of its quantities: no part.
DUST, ROUNDING = 1e-9, 1e-14
# Of two pairings that are as near in time, the one with the smaller largest distance: costs are convex by this little.
CONVEX = 1e-6


@dataclass(frozen=True, slots=True)
class Fills:
    """Fills of one asset and side: times (ns), quantities > 0, order numbers (0: unknown), rows in their table."""

    time: NDArray[np.int64]
    quantity: NDArray[np.float64]
    order: NDArray[np.int64]
    row: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pair:
    """So much of a simulated fill is so much of a real one; a row of -1 is nothing on that side."""

    simulated: int
    real: int
    quantity: float


def pair(simulated: Fills, real: Fills, within: int) -> list[Pair]:
    """RC2: every part of every fill, in a pair or alone; ``within`` (ns) is the largest distance in time."""
    left = simulated.quantity.copy(), real.quantity.copy()
    taken = [*_by_order(simulated, real, left), *_by_time(simulated, real, left, within)]
    found = [Pair(int(simulated.row[i]), int(real.row[j]), q) for i, j, q in taken]
    alone = [Pair(int(simulated.row[i]), -1, float(left[0][i])) for i in np.flatnonzero(left[0])]
    return [*found, *alone, *(Pair(-1, int(real.row[j]), float(left[1][j])) for j in np.flatnonzero(left[1]))]


def _take(left: tuple[NDArray[np.float64], ...], i: int, j: int, wanted: float) -> float:
    """Take so much of both, or all of one where that is the same but for rounding: nothing is left over by it."""
    quantity = float(min(wanted, left[0][i], left[1][j]))
    for rest in (left[0][i], left[1][j]):
        if abs(rest - wanted) <= DUST * rest and rest <= min(left[0][i], left[1][j]):
            quantity = float(rest)
    for side, k in ((left[0], i), (left[1], j)):
        rest = side[k] - quantity
        side[k] = rest if rest > ROUNDING * quantity else 0.0
    return quantity


def _by_order(simulated: Fills, real: Fills, left: tuple[NDArray[np.float64], ...]) -> Iterator[tuple[int, int, float]]:
    """The broker's word: fills that name an order are of that order, in order of time, however late."""
    for order in np.unique(real.order[real.order > 0]):
        ours, theirs = (list(np.flatnonzero(f.order == order)) for f in (simulated, real))
        while ours and theirs:
            i, j = int(ours[0]), int(theirs[0])
            yield i, j, _take(left, i, j, np.inf)
            ours, theirs = (ours if left[0][i] else ours[1:]), (theirs if left[1][j] else theirs[1:])


def _by_time(
    simulated: Fills, real: Fills, left: tuple[NDArray[np.float64], ...], within: int
) -> Iterator[tuple[int, int, float]]:
    """Among what names no order: the largest sum of quantity times (within - distance), a linear programme."""
    free = np.flatnonzero(left[1] * (real.order == 0))
    ours = np.flatnonzero(left[0])
    first = np.searchsorted(real.time[free], simulated.time[ours] - within, "left")
    last = np.searchsorted(real.time[free], simulated.time[ours] + within, "right")
    edges = [(int(i), int(j)) for i, a, b in zip(ours, first, last, strict=True) for j in free[a:b]]
    if not edges:
        return
    for (i, j), quantity in zip(edges, _assigned(edges, simulated, real, left, within), strict=True):
        if min(quantity, left[0][i], left[1][j]) > DUST * min(simulated.quantity[i], real.quantity[j]):
            yield i, j, _take(left, i, j, quantity)


def _assigned(
    edges: list[tuple[int, int]],
    simulated: Fills,
    real: Fills,
    left: tuple[NDArray[np.float64], ...],
    within: int,
) -> list[float]:
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    rows, columns = (np.array(side) for side in zip(*edges, strict=True))
    apart = np.abs(real.time[columns] - simulated.time[rows]) / max(within, 1)
    gain = 1.0 - apart - CONVEX * apart**2 + 2 * CONVEX  # positive up to the very edge of the window
    ours, i = np.unique(rows, return_inverse=True)
    theirs, j = np.unique(columns, return_inverse=True)
    each = np.arange(len(edges))
    at = np.concatenate([i, len(ours) + j]), np.concatenate([each, each])
    limits = coo_array((np.ones(2 * len(edges)), at), shape=(len(ours) + len(theirs), len(edges))).tocsr()
    # a simplex ends at a vertex, where whole fills go to whole fills as far as they can
    done = linprog(-gain, limits, np.concatenate([left[0][ours], left[1][theirs]]), method="highs-ds")
    return [float(x) for x in done.x]
