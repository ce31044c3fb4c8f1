"""Durations by the calendar, as they are written: 5Y, 6M, 8W, 90D."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kernelkit.errors import UsageError, message

if TYPE_CHECKING:
    import pandas as pd

UNITS = {"Y": "years", "M": "months", "W": "weeks", "D": "days"}


def duration(text: str, name: str) -> pd.DateOffset:
    """A calendar duration: a number and one of Y, M, W, D; raises UsageError for anything else, naming ``name``.

    >>> duration("5Y", "train")
    <DateOffset: years=5>
    """
    import pandas as pd

    found = re.fullmatch(r"(\d+)([YMWD])", str(text).strip())
    if not found or int(found[1]) == 0:
        raise UsageError(message(name, repr(text), "a duration such as 5Y, 6M, 8W or 90D", f'Write {name}="5Y".'))
    return pd.DateOffset(**{UNITS[found[2]]: int(found[1])})
