"""The clock of a series: samples per year (M10), and the session closes of a level (M15)."""

from __future__ import annotations

import math
import warnings
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr

from kernelkit.errors import DataError, UsageError, message
from kernelkit.metrics.series import Array, positions, running_max

DAY = 86_400_000_000_000  # ns
# shortest and longest typical gap in days, and how many of them make a year
STEPS = ((6.5, 7.5, 52.0), (28.0, 31.0, 12.0), (89.0, 92.0, 4.0), (365.0, 366.0, 1.0))
SESSIONS, EVERY_DAY, MOST_DAYS = 252.0, 365.0, 366.0
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


class PeriodsWarning(UserWarning):
    """Samples per year that the labels of a series contradict."""


def per_year(function: str, returns: xr.DataArray, periods: Any, dim: str) -> float:
    """Samples per year: those given, else M10's; UsageError for what is no number above 0.

    >>> per_year("f", xr.DataArray([0.0], dims="time"), 12, "time")
    12.0
    """
    if periods is None:
        found = periods_of(returns, dim)
    else:
        number = isinstance(periods, Real) and not isinstance(periods, bool)
        if not number or not 0.0 < periods < math.inf:
            fix = "Leave it out, or pass 252."
            raise UsageError(message(f"{function}: periods", repr(periods), "a number above 0", fix))
        found = float(periods)
    warn_of_bars(function, returns, found, dim, 5)
    return found


def warn_of_bars(function: str, returns: Any, periods: float, dim: str, depth: int) -> None:
    """Warn, ``depth`` calls above, where the labels have several samples a day, and a year is said to have few."""
    if periods > MOST_DAYS or not isinstance(returns, xr.DataArray) or not _intraday(returns, dim):
        return
    found, wanted = f"{periods:g} a year, of a series with several a day", "samples per year, or one a session"
    fix = f"Take session closes, as kk.metrics.returns(equity) does, or pass periods={periods:g} * samples a session."
    warnings.warn(message(f"{function}: periods", found, wanted, fix), PeriodsWarning, stacklevel=depth)


def sampled(level: xr.DataArray, sampling: str, dim: str) -> xr.DataArray:
    """M15: the level at the close of each session, or at every bar, with the ``periods_per_year`` of that where known.

    Raises DataError for sessions that nothing tells: several samples a day without the coordinate `session`.

    >>> hours = np.arange("2024-01-01T06", "2024-01-02T18", 6, dtype="M8[h]").astype("M8[ns]")
    >>> clock = {"time": hours, "session": ("time", [19723, 19723, 19723, 19724, 19724, 19724])}
    >>> level = xr.DataArray([1.0, 2.0, 3.0, 4.0, 5.0, np.nan], clock, "time", attrs={"periods_per_year": 365.0})
    >>> sampled(level, "session", "time").values, sampled(level, "bar", "time").attrs
    (array([3., 5.]), {'periods_per_year': 1095.0})
    """
    if SESSION not in level.coords or level[SESSION].dims != (dim,):
        if sampling == SESSION and _same_day(level, dim).any():
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


def _intraday(x: xr.DataArray, dim: str) -> bool:
    """Whether it is usual that a sample is of the same session, or day (UTC), as the one before."""
    told = SESSION in x.coords and x[SESSION].dims == (dim,)
    same = np.diff(x[SESSION].values) == 0 if told else _same_day(x, dim)
    return bool(same.size and same.mean() > 0.25)


def _same_day(x: xr.DataArray, dim: str) -> np.ndarray:
    if dim not in x.coords or x[dim].dtype.kind != "M":
        return np.zeros(0, bool)
    days = x[dim].values.astype("M8[D]")
    found: np.ndarray = days[1:] == days[:-1]
    return found


def _last(ends: np.ndarray, x: Array) -> Array:
    """The last sample of each session that is there; `ends` are the sessions' last places."""
    last = running_max(np.where(np.isnan(x), -1.0, positions(x)))[..., ends]
    starts = np.zeros_like(last) + np.append(0, ends[:-1] + 1)
    values = np.take_along_axis(x, np.maximum(last, 0.0).astype("i8"), axis=-1)
    return np.where(last >= starts, values, np.nan)
