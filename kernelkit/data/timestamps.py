"""Where the times of a frame seem to be that does not have them as its index, and what to type to get them there."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("date", "time", "datetime", "timestamp")
# Numbers count from 1970 in the unit in which they are below this, which is in the years 1973 to 5138 for seconds.
COUNTS = (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", 1e20))


def advice(frame: pd.DataFrame) -> str:
    """Return the sentence that tells how ``frame``, whose index is not of times, gets such an index.

    >>> import pandas as pd
    >>> advice(pd.DataFrame({"Date": ["2024-01-02", "2024-01-03"], "Close": [1.0, 2.0]}))
    "Set it with frame.set_index(pd.to_datetime(frame['Date'])).drop(columns='Date')."
    """
    import pandas as pd

    kinds = {column: pd.api.types.is_datetime64_any_dtype(frame[column]) for column in _single(frame)}
    ready = next((column for column, is_time in kinds.items() if is_time), None)
    if ready is not None:
        return f"Set it with frame.set_index({ready!r})."
    named = {str(column).strip().lower(): column for column in kinds}
    if frame.index.dtype.kind == "O" and (parsed := _parsed(frame.index, "frame.index")):
        return f"Set it with frame.set_index({parsed[0]}).{parsed[1]}"
    if "date" in named and "time" in named and all(frame[named[k]].dtype.kind == "O" for k in ("date", "time")):
        day, hour = named["date"], named["time"]
        both = _parsed(frame[day] + " " + frame[hour], f"frame[{day!r}] + ' ' + frame[{hour!r}]")
        if both:
            return f"Set it with frame.set_index({both[0]}).drop(columns={[day, hour]}).{both[1]}"
    for name in NAMES:
        if name in named and (parsed := _parsed(frame[named[name]], f"frame[{named[name]!r}]")):
            return f"Set it with frame.set_index({parsed[0]}).drop(columns={named[name]!r}).{parsed[1]}"
    return "Set it with frame.set_index(pd.to_datetime(...)), given the column that has the times."


def _single(frame: pd.DataFrame) -> list[Any]:
    """The columns of which there is one of that name."""
    return [column for column in frame.columns if frame.columns.tolist().count(column) == 1]


def _parsed(values: Any, expression: str) -> tuple[str, str] | None:
    """The expression that makes times of ``values``, tried, and what to know of it; None where there is none."""
    import pandas as pd

    if values.dtype.kind in "iuf":
        unit = next((unit for unit, below in COUNTS if abs(values).max() < below), None)
        return None if unit is None else (f"pd.to_datetime({expression}, unit={unit!r}, utc=True)", "")
    if values.dtype.kind != "O":
        return None
    local = ' With dates, pass tz="America/New_York", or the zone of the market, too.'
    for option, told in (("", ""), (", utc=True", local)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of how it parses: it is only tried
                pd.to_datetime(values, utc=bool(option))
        except (ValueError, TypeError):
            continue
        return f"pd.to_datetime({expression}{option})", told
    return None
