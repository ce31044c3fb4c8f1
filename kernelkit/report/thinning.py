"""A line of very many points as one that looks the same: of each piece its first, its lowest and its highest point."""

from __future__ import annotations

import itertools

import numpy as np

POINTS = 1200  # more than a page has pixels across


def kept(values: np.ndarray, points: int = POINTS) -> np.ndarray:
    """Which rows are kept, in order, about `points` of them; `values` float64 (row,) or (row, line).

    Of each piece and line the lowest and the highest value, and the first and the last row of all.

    >>> kept(np.array([0.0, 5.0, 0.0, 0.0, -5.0, 0.0, 0.0, 0.0]), 6).tolist()
    [0, 1, 4, 5, 7]
    """
    n = len(values)
    if n <= points:
        return np.arange(n)
    lines = values.reshape(n, -1)
    pieces = max(1, points // (2 * lines.shape[1]) - 1)
    edges = np.linspace(0, n, pieces + 1).astype("i8")
    found = [np.array([0, n - 1])]
    for one in lines.T:
        low, high = np.where(np.isnan(one), np.inf, one), np.where(np.isnan(one), -np.inf, one)
        for a, b in itertools.pairwise(edges):
            found.append(a + np.array([low[a:b].argmin(), high[a:b].argmax()]))
    return np.unique(np.concatenate(found))
