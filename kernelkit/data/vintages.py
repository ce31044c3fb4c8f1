"""A series that is restated later, as it was known at the time: a benchmark, an index of prices, a rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.data.features import known_times, ns_of
from kernelkit.data.sessions import stamp
from kernelkit.errors import DataError, arguments, message

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@arguments()
def vintage(series: pd.Series, known_at: Any, at: Any = None) -> xr.DataArray:
    """The series (time) as it was published, each value with the coordinate `known_at`.

    ``series`` has one row per publication: its index is the time that the value is about, and comes again with each
    restatement; ``known_at`` gives the time of each publication, or one delay after the row's own time, as for
    `kk.feature`. Without ``at`` the first published value of each time counts, and no restatement. With ``at``, one
    instant, the series is what was known then: of each time the last value published by then, and none of what was
    published after. Times without a zone are UTC. Raises DataError for a series without times, `known_at` that do not
    fit, and where nothing was known.

    >>> import pandas as pd
    >>> quarters = pd.to_datetime(["2024-03-31", "2024-06-30", "2024-03-31"])
    >>> growth = pd.Series([0.016, 0.028, 0.014], index=quarters)
    >>> known = pd.to_datetime(["2024-04-25", "2024-07-25", "2024-09-26"])
    >>> vintage(growth, known).values, vintage(growth, known, at="2024-10-01").values
    (array([0.016, 0.028]), array([0.014, 0.028]))
    """
    import pandas as pd
    import xarray as xr

    if not isinstance(series, pd.Series) or not isinstance(series.index, pd.DatetimeIndex):
        found = f"a {type(series).__name__} without times"
        fix = "Pass a Series whose DatetimeIndex says what each value is about."
        raise DataError(message("vintage: series", found, "a Series with times", fix))
    about = ns_of(series.index, "index of the vintage")
    known = known_times(str(series.name or "vintage"), known_at, about, len(series))
    order = np.lexsort((known, about))  # stable: of two at one instant the later row is the later word
    if at is not None:
        order = order[known[order] <= _instant(at)]
    if not len(order):
        fix = "Pass a later at=, or check known_at."
        raise DataError(message("vintage: values", f"none known at {at}", "at least one", fix))
    other = about[order][1:] != about[order][:-1]
    chosen = order[np.append(True, other) if at is None else np.append(other, True)]
    return xr.DataArray(
        series.to_numpy(dtype="float64", na_value=np.nan)[chosen],
        {"time": about[chosen].astype("M8[ns]"), "known_at": ("time", known[chosen].astype("M8[ns]"))},
        ("time",),
        name=series.name,
        attrs={"vintage": "first published" if at is None else f"as known at {at}"},
    )


def _instant(at: Any) -> int:
    import pandas as pd

    try:
        moment = stamp(at)
    except ValueError as error:
        raise DataError(message("vintage: at", repr(at), "a time", 'Pass for example "2024-10-01".')) from error
    return int(ns_of(pd.DatetimeIndex([moment]), "at")[0])
