"""How error messages name rows: counted from 0, a few shown, the rest counted, ready to be dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

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


def when(time: pd.Timestamp) -> str:
    """Return a time as its frame has it, with its offset from UTC, if known, and without the hours of a date.

    >>> import pandas as pd
    >>> when(pd.Timestamp("2024-03-07 16:05", tz="America/New_York")), when(pd.Timestamp("2024-03-07"))
    ('2024-03-07 16:05:00-05:00', '2024-03-07')
    """
    return str(time).removesuffix(" 00:00:00")


def drop(rows: Rows, rest: str) -> str:
    """Return the expression that drops ``rows`` from a frame: ``rest``, which keeps the others, where they are many.

    >>> drop(np.array([3, 17]), "frame[frame['close'] > 0]")
    'frame.drop(frame.index[[3, 17]])'
    """
    if rows.size > DROPPABLE:
        return rest
    return f"frame.drop(frame.index[[{', '.join(str(i) for i in rows)}]])"
