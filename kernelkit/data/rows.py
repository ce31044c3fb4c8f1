"""How error messages name rows: counted from 0, a few shown, the rest counted, ready to be dropped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SHOWN = 3
# More rows than this are not worth typing into a call.
DROPPABLE = 60

Rows = NDArray[np.intp]


def count(n: int) -> str:
    """Return the number of rows in words.

    >>> count(1), count(4500)
    ('1 row', '4,500 rows')
    """
    return f"{n:,} row{'s' * (n != 1)}"


def show(rows: Rows, text: Callable[[int], str]) -> str:
    """Return the first rows, each with its ``text``, and how many more there are.

    >>> show(np.arange(5), str)
    'row 0 (0); row 1 (1); row 2 (2); and 2 more'
    """
    first = "; ".join(f"row {i} ({text(int(i))})" for i in rows[:SHOWN])
    return first + (f"; and {rows.size - SHOWN:,} more" if rows.size > SHOWN else "")


def drop(rows: Rows) -> str:
    """Return the expression that drops ``rows`` from a frame, or what stands for it where they are many.

    >>> drop(np.array([3, 17]))
    'frame.drop(frame.index[[3, 17]])'
    """
    if rows.size > DROPPABLE:
        return "frame.drop(frame.index[rows])"
    return f"frame.drop(frame.index[[{', '.join(str(i) for i in rows)}]])"
