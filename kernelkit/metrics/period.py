"""The clock of a series: samples per year (M10), and the session closes of a level (M14)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from kernelkit.errors import DataError, message
from kernelkit.metrics.series import Array, positions, running_max

DAY = 86_400_000_000_000  # ns
# shortest and longest typical gap in days, and how many of them make a year
STEPS = ((6.5, 7.5, 52.0), (28.0, 31.0, 12.0), (89.0, 92.0, 4.0), (365.0, 366.0, 1.0))
SESSIONS, EVERY_DAY = 252.0, 365.0
SESSION = "session"  # the coordinate that says it of bars and of curves of the engine


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


def sampled(level: xr.DataArray, sampling: str, dim: str) -> xr.DataArray:
    """M14: the level at the close of each session, or at every bar, with the ``periods_per_year`` of that where known.

    Raises DataError for sessions that nothing tells: several samples a day without the coordinate `session`.

    >>> hours = np.arange("2024-01-01T06", "2024-01-02T18", 6, dtype="M8[h]").astype("M8[ns]")
    >>> clock = {"time": hours, "session": ("time", [19723, 19723, 19723, 19724, 19724, 19724])}
    >>> level = xr.DataArray([1.0, 2.0, 3.0, 4.0, 5.0, np.nan], clock, "time", attrs={"periods_per_year": 365.0})
    >>> sampled(level, "session", "time").values, sampled(level, "bar", "time").attrs
    (array([3., 5.]), {'periods_per_year': 1095.0})
    """
    if SESSION not in level.coords or level[SESSION].dims != (dim,):
        if sampling == SESSION and _intraday(level, dim):
            found, wanted = "several samples a day, and nothing that says which session they are of", "session closes"
            fix = f"Pass sampling='bar', or level.assign_coords(session=({dim!r}, bars['session'].values))."
            raise DataError(message("level" if level.name is None else str(level.name), found, wanted, fix))
        return level
    session = level[SESSION].values
    ends = np.flatnonzero(np.append(session[1:] != session[:-1], True))
    if len(ends) == len(session):
        return level
    if sampling != SESSION:
        periods = level.attrs.get("periods_per_year")
        bars = float(np.median(np.diff(ends, prepend=-1)))
        return level if periods is None else level.assign_attrs(periods_per_year=periods * bars)
    closes: xr.DataArray = xr.apply_ufunc(
        partial(_last, ends),
        level,
        input_core_dims=[[dim]],
        output_core_dims=[[dim]],
        exclude_dims={dim},
        keep_attrs=True,
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {dim: len(ends)}, "allow_rechunk": True},
    )
    kept = {name: one for name, one in level.isel({dim: ends}).coords.items() if dim in one.dims}
    return closes.assign_coords(kept)


def _intraday(level: xr.DataArray, dim: str) -> bool:
    if dim not in level.coords or level[dim].dtype.kind != "M":
        return False
    days = level[dim].values.astype("M8[D]")
    return bool((days[1:] == days[:-1]).any())


def _last(ends: np.ndarray, x: Array) -> Array:
    """The last sample of each session that is there; `ends` are the sessions' last places."""
    last = running_max(np.where(np.isnan(x), -1.0, positions(x)))[..., ends]
    starts = np.zeros_like(last) + np.append(0, ends[:-1] + 1)
    values = np.take_along_axis(x, np.maximum(last, 0.0).astype("i8"), axis=-1)
    return np.where(last >= starts, values, np.nan)
