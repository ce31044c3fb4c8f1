"""Durations by the calendar, as they are written: 5Y, 6M, 8W, 90D."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kernelkit.errors import UsageError, message

if TYPE_CHECKING:
    import pandas as pd

MOST = {"Y": 100, "M": 1_200, "W": 5_218, "D": 36_525}  # of a century
UNITS = {"Y": "years", "M": "months", "W": "weeks", "D": "days"}


def duration(text: str, name: str) -> pd.DateOffset:
    """A calendar duration: a number and one of Y, M, W, D; raises UsageError for anything else, naming ``name``.

    >>> duration("5Y", "train")
    <DateOffset: years=5>
    """
    import pandas as pd

    number, unit = parts(text, name)
    return pd.DateOffset(**{UNITS[unit]: number})


def parts(text: str, name: str) -> tuple[int, str]:
    """The number and the letter of a `duration`; UsageError as there.

    >>> parts("18M", "step")
    (18, 'M')
    """
    found = re.fullmatch(r"(\d+)([YMWD])", str(text).strip())
    if not found or not 0 < int(found[1]) <= MOST[found[2]]:
        wanted = "a duration such as 5Y, 6M, 8W or 90D, of at most a century"
        raise UsageError(message(name, repr(text), wanted, f'Write {name}="5Y".'))
    return int(found[1]), found[2]
