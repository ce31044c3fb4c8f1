"""Where a series changed: the best breaks there are, by dynamic programming (M22)."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kernelkit.metrics.metric import metric

Floats = NDArray[np.float64]
Change = Literal["mean", "variance", "both"]


@metric(
    outputs={
        "segment": ("1", "number of breaks so far"),
        "mean": ("of the series", "mean of the segment"),
        "deviation": ("of the series", "standard deviation of the segment (n)"),
    },
    shape="curve",
    alone=True,
)
def segments(returns: Floats, *, change: Change = "mean", breaks: int | None = None, shortest: float = 0.15) -> Any:
    """The stretches in which the mean, the variance, or both of them stayed the same (M22), in hindsight.

    The exact optimum for each number of breaks (Bai and Perron, 2003); ``breaks=None`` takes the number with the least
    Schwarz criterion (Yao, 1988), at most as many as segments of the ``shortest`` share of the samples allow. NaN of a
    series without variance, or too short for such segments. O(breaks n^2).

    >>> segments(np.array([0.1, 0.0, 0.1, 5.1, 5.0, 5.1, 5.0]))["segment"]
    array([0., 0., 0., 1., 1., 1., 1.])
    """
    x = returns
    fewest = max(int(shortest * len(x)), 2)
    most = len(x) // fewest - 1 if breaks is None else int(breaks)
    if fewest * (most + 1) > len(x) or most < 0 or not np.ptp(x) > 0.0:
        nothing = np.full(len(x), np.nan)
        return nothing, nothing, nothing
    cuts, costs = best_breaks(x, change, most, fewest)
    if breaks is not None:
        chosen = most
    else:
        chosen = int(np.argmin(criterion(costs, len(x), change)))
    edges = [0, *cuts[chosen], len(x)]
    sizes = np.diff(edges)
    pieces = np.split(x, edges[1:-1])
    return (
        np.repeat(np.arange(chosen + 1.0), sizes),
        np.repeat([piece.mean() for piece in pieces], sizes),
        np.repeat([piece.std() for piece in pieces], sizes),
    )


def best_breaks(x: Floats, change: Change, most: int, fewest: int) -> tuple[list[list[int]], Floats]:
    """The first samples of the segments after the first, and M22's cost, for 0, 1, ..., `most` breaks.

    >>> best_breaks(np.array([0.0, 0.1, 3.0, 3.1, 3.0]), "mean", 1, 2)[0]
    [[], [2]]
    """
    n = len(x)
    away = x - np.mean(x)
    floor = 2.0**-40 * float(np.mean(away**2))  # a segment of one value has a logarithm, too
    first, second = (np.concatenate([[0.0], np.cumsum(v)]) for v in (away, away**2))
    best = np.full((most + 1, n + 1), math.inf)
    came = np.zeros((most + 1, n + 1), dtype=int)
    for end in range(fewest, n + 1):
        start = np.arange(0, end - fewest + 1)
        costs = _cost(end - start, first[end] - first[start], second[end] - second[start], change, floor)
        best[0, end] = costs[0]
        for k in range(1, most + 1):
            total = best[k - 1, start] + costs
            at = int(np.argmin(total))
            best[k, end], came[k, end] = total[at], at
    cuts = []
    for k in range(most + 1):
        back = [n]
        for j in range(k, 0, -1):
            back.append(int(came[j, back[-1]]))
        cuts.append(back[:0:-1])
    return cuts, best[:, n]


def one_break(x: Floats, change: Change, fewest: int) -> tuple[int, Floats]:
    """The first sample after the best single break, and M22's cost without one and with it, in O(n).

    >>> one_break(np.array([0.0, 0.1, 3.0, 3.1, 3.0]), "mean", 2)[0]
    2
    """
    n = len(x)
    away = x - np.mean(x)
    floor = 2.0**-40 * float(np.mean(away**2))
    first, second = np.cumsum(away), np.cumsum(away**2)
    size = np.arange(fewest, n - fewest + 1)
    left, left2 = first[size - 1], second[size - 1]
    costs = _cost(size, left, left2, change, floor)
    costs = costs + _cost(n - size, first[-1] - left, second[-1] - left2, change, floor)
    whole = _cost(n, first[-1:], second[-1:], change, floor)
    at = int(np.argmin(costs))
    return int(size[at]), np.array([whole[0], costs[at]])


def _cost(size: Any, total: Floats, squares: Floats, change: Change, floor: float) -> Floats:
    """M22: what segments of these sizes and sums (of deviations from the mean of all) cost."""
    within = np.maximum(squares if change == "variance" else squares - total**2 / size, 0.0)
    return within if change == "mean" else size * np.log(np.maximum(within / size, floor))


def criterion(costs: Floats, n: int, change: Change, penalty: float = 1.0) -> Floats:
    """M22: Schwarz's criterion for 0, 1, ... breaks of these costs, its `penalty` that many times as large.

    >>> criterion(np.array([1.0, 0.5]), 10, "mean").round(3)
    array([9.958, 7.632])
    """
    k = np.arange(len(costs))
    normal = 1.0 + math.log(2.0 * math.pi)
    likelihood = n * (np.log(np.maximum(costs, 2.0**-1000) / n) + normal) if change == "mean" else costs + n * normal
    numbers = 3 * k + 2 if change == "both" else 2 * k + 2
    return np.asarray(likelihood + penalty * numbers * math.log(n))
