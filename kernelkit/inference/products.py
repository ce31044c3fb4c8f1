"""Combinatorially symmetric cross-validation as matrix products (rule B2), for arrays of a device.

A split is a row of zeros and ones: times the blocks' sums it is the sums of its half. A device does nothing faster
than such a product; on the processor `kernels.cscv` shares sums between splits. They are taken in another order here,
so that the last digits differ, and with them who is best among strategies that differ in nothing else.
"""

from __future__ import annotations

from typing import Any

ROOM = 2**25  # performances at a time, 256 MB each of four
TINY = 2.0**-52


def splits(xp: Any, n: Any, s1: Any, s2: Any, masks: Any, by_mean: bool) -> tuple[Any, Any, Any, Any, Any]:
    """Of each split: who was best in sample, how good there and outside, its rank there, the mean there.

    ``xp`` is numpy or cupy, and the arrays are its: ``n`` (block), ``s1`` and ``s2`` (block, strategy), ``masks``
    (split) with the bits of the blocks in sample. All that is returned is (split).

    >>> import numpy as np
    >>> s1 = np.array([[1.0, 2.0]] * 4)
    >>> found = splits(np, np.full(4, 10.0), s1, np.full((4, 2), 5.0), np.array([3, 12]), False)
    >>> found[0].tolist(), found[3].tolist()
    ([1, 1], [2.0, 2.0])
    """
    inside = (masks[:, None] >> xp.arange(len(n)) & 1).astype("f8")
    step = max(1, ROOM // s1.shape[1])
    found = []
    for first in range(0, len(masks), step):
        half = inside[first : first + step]
        x, y = (_performance(xp, one @ n, one @ s1, one @ s2, by_mean) for one in (half, 1.0 - half))
        best = x.argmax(axis=1)
        top, out = (xp.take_along_axis(a, best[:, None], 1) for a in (x, y))
        rank = ((y < out).sum(axis=1) + (y <= out).sum(axis=1) + 1.0) / 2.0
        found.append((best, top[:, 0], out[:, 0], rank, y.mean(axis=1)))
    best, top, out, rank, mean = (xp.concatenate(parts) for parts in zip(*found, strict=True))
    return best, top, out, rank, mean


def _performance(xp: Any, n: Any, s1: Any, s2: Any, by_mean: bool) -> Any:
    """B2, of (split) samples and (split, strategy) sums."""
    n = n[:, None]
    mean = s1 / n
    if by_mean:
        return mean
    left = s2 - s1 * mean
    varies = left / n > TINY * s2
    return xp.where(varies, mean / xp.sqrt(xp.where(varies, left, 1.0) / (n - 1.0)), 0.0)
