"""Periods per year: from what is written on a series, or from its time coordinate (M10)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from kernelkit.errors import DataError, message

DAY = 86_400_000_000_000  # ns
# shortest and longest typical gap in days, and how many of them make a year
STEPS = ((6.5, 7.5, 52.0), (28.0, 31.0, 12.0), (89.0, 92.0, 4.0), (365.0, 366.0, 1.0))
SESSIONS, EVERY_DAY = 252.0, 365.0


def periods_of(returns: Any, dim: str) -> float:
    """M10: samples per year, ``attrs["periods_per_year"]`` first; daily labels give 365 with weekends, else 252.

    Raises DataError for what tells no period: plain arrays, intraday labels, labels that are not times.

    >>> days = np.arange("2024-01-01", "2024-03-01", dtype="M8[D]").astype("M8[ns]")
    >>> periods_of(xr.DataArray(np.zeros(60), {"time": days}, "time"), "time")
    365.0
    """
    fix = "Pass periods=252 (or 365, 52, 12), or set attrs['periods_per_year']."
    if not isinstance(returns, xr.DataArray):
        raise DataError(message("periods", "an array without labels", "samples per year", fix))
    if "periods_per_year" in returns.attrs:
        return float(returns.attrs["periods_per_year"])
    if dim not in returns.coords or returns[dim].dtype.kind != "M" or returns.sizes[dim] < 3:
        raise DataError(message("periods", f"no times along {dim!r} that tell them", "samples per year", fix))
    stamps = returns[dim].values.astype("M8[ns]").astype("i8")
    gap = float(np.median(np.diff(stamps))) / DAY
    if gap == 1.0:
        weekday = (stamps // DAY + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
        both = (weekday == 5).any() and (weekday == 6).any()  # a market that opens on Sunday evening has no Saturday
        return EVERY_DAY if both else SESSIONS
    for shortest, longest, periods in STEPS:
        if shortest <= gap <= longest:
            return periods
    found = f"samples {gap:g} days apart"
    raise DataError(message("periods", found, "daily to yearly samples, or samples per year", fix))
