"""Columns from outside enter the bars with the time at which each value was known, never with the date it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelkit import offers
from kernelkit.data import lineage
from kernelkit.errors import DataError, arguments, message
from kernelkit.schema import AGE, FEATURE, check_bars, utc, variable

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Int64s = NDArray[np.int64]
Floats = NDArray[np.float64]

NEVER = -1


@arguments()
def feature(
    bars: xr.Dataset,
    name: str,
    series: Any = None,
    known_at: Any = None,
    max_age: Any = None,
    trusted: bool = False,
) -> xr.Dataset:
    """Return ``bars`` with ``x.<name>``, the value as known at each bar's known_at, and ``age.<name>`` in ns.

    ``series`` is a pandas Series (one value for all assets), a DataFrame with one column per asset, or an array of
    shape (rows,) or (rows, asset). ``known_at`` gives each row's time of publication, or one delay ("1D", a
    Timedelta) after the row's own index; times without a zone are UTC. Among the rows known at a bar the one with the
    latest index counts, and of its revisions the last; rows without an index count in the order they became known.
    A value older than ``max_age`` is NaN. Before the first row the value is NaN and the age -1.

    Without ``series`` the feature is the one that an installed package offers by this name, as an entry point of
    ``kernelkit.features``: a function of the bars that returns a dict of the arguments above, ``series`` and
    ``known_at`` among them.

    Without ``known_at`` the feature is refused, unless ``trusted=True`` says that row t was known when bar t was: it
    must then have exactly the bars' times, and everything concluded from it says that it was trusted.

    >>> import pandas as pd
    >>> from kernelkit.data.catalog import load
    >>> rate = pd.Series([5.5, 5.25], index=pd.to_datetime(["2001-03-20", "2001-04-18"]))
    >>> bars = feature(load("sp500_index"), "rate", rate, known_at=pd.Timedelta("19h15min"))
    >>> bars["x.rate"].sel(time="2001-04-18").item(), bars["x.rate"].sel(time="2001-04-17").item()
    (5.25, 5.5)
    """
    check_bars(bars)
    _check_name(bars, name)
    if series is None:
        return feature(bars, name, **_offered(bars, name))
    values, index = _table(bars, name, series)
    limit = None if max_age is None else _duration(max_age, "max_age")
    now = bars["known_at"].values.astype("datetime64[ns]").astype(np.int64)
    if known_at is None:
        _check_trusted(bars, name, values, index, trusted)
        rows, ages = np.arange(now.size), np.zeros(now.size, dtype=np.int64)
    else:
        known = known_times(name, known_at, index, values.shape[0])
        rows, ages = as_of(now, known, index)
    found = np.where((rows >= 0)[:, None], values[np.maximum(rows, 0)], np.nan)
    if limit is not None:
        found = np.where((ages > limit)[:, None], np.nan, found)
    attrs = {"trusted": int(known_at is None), "max_age": NEVER if limit is None else limit}
    return _with(bars, name, found, np.broadcast_to(ages[:, None], found.shape).copy(), attrs)


def _offered(bars: xr.Dataset, name: str) -> dict[str, Any]:
    """What a package's function says of its feature; raises DataError for what are no arguments of `feature`."""
    make, place = offers.load("features", name, fix="Install the package that offers it, or pass series=.")
    found = make(bars)
    names = ("series", "known_at", "max_age", "trusted")
    if not isinstance(found, Mapping) or found.get("series") is None or set(found) - set(names):
        got = sorted(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
        fix = 'Return {"series": ..., "known_at": ...}.'
        raise DataError(message(f"feature {name!r} ({place})", got, f"a dict of {', '.join(names)}", fix))
    return dict(found)


def _with(bars: xr.Dataset, name: str, values: Floats, ages: Int64s, attrs: dict[str, int]) -> xr.Dataset:
    names = (FEATURE + name, AGE + name)
    texts = {"units": "1", "long_name": variable(names[0]).long_name}
    age_texts = {"units": "ns", "long_name": variable(names[1]).long_name}
    dims = ("time", "asset")
    out = bars.assign(
        {
            names[0]: (dims, np.ascontiguousarray(values), {**texts, **attrs}),
            names[1]: (dims, ages, {**age_texts, **attrs}),
        }
    )
    out.attrs["lineage"] = lineage.with_feature(out, names)
    return out


def _check_name(bars: xr.Dataset, name: Any) -> None:
    if not isinstance(name, str) or not name.isidentifier():
        raise DataError(message("feature name", repr(name), "an identifier, for ctx.x.<name>", "Use letters and _."))
    if FEATURE + name in bars:
        fix = f"Choose another name, or drop it first: bars.drop_vars(['x.{name}', 'age.{name}'])."
        raise DataError(message(f"feature {name!r}", "one of that name", "a new name", fix))


def _table(bars: xr.Dataset, name: str, series: Any) -> tuple[Floats, Int64s | None]:
    """Return values (row, asset), and the times of the rows in ns UTC where ``series`` has them."""
    import pandas as pd

    assets = [str(a) for a in bars["asset"].values]
    index = None
    if isinstance(series, pd.DataFrame):
        if set(map(str, series.columns)) != set(assets):
            found, fix = ", ".join(map(str, series.columns)), "Give one column per asset, or a Series for all of them."
            raise DataError(message(f"columns of feature {name!r}", found, ", ".join(assets), fix))
        series = series.rename(columns=str)[assets]
    if isinstance(series, pd.Series | pd.DataFrame):
        if isinstance(series.index, pd.DatetimeIndex):
            index = ns_of(series.index, f"index of feature {name!r}")
        series = series.to_numpy(dtype="float64", na_value=np.nan)
    try:
        values = np.asarray(series, dtype=np.float64)
    except (TypeError, ValueError):
        found, fix = type(series).__name__, "Pass a Series, a DataFrame with one column per asset, or an array."
        raise DataError(message(f"feature {name!r}", found, "numbers", fix)) from None
    if values.ndim == 1:
        values = np.repeat(values[:, None], len(assets), axis=1)
    if values.ndim != 2 or values.shape[1] != len(assets) or not values.size:
        fix = "Pass a Series, a DataFrame with one column per asset, or an array of those shapes."
        wanted = f"(rows,) or (rows, {len(assets)}) with at least one row"
        raise DataError(message(f"shape of feature {name!r}", values.shape, wanted, fix))
    return values, index


def _check_trusted(bars: xr.Dataset, name: str, values: Floats, index: Int64s | None, trusted: bool) -> None:
    if not trusted:
        fix = "Pass known_at= (times of publication, or a delay), or trusted=True, which every verdict then prints."
        raise DataError(message(f"feature {name!r}", "no known_at", "the time at which each value was known", fix))
    times = bars["time"].values.astype("datetime64[ns]").astype(np.int64)
    fix = "A trusted feature has one row per bar, in order; otherwise pass known_at=."
    if values.shape[0] != times.size:
        raise DataError(message(f"feature {name!r}", f"{values.shape[0]} rows", f"{times.size} rows", fix))
    if index is not None and not np.array_equal(index, times):
        i = int(np.flatnonzero(index != times)[0])
        raise DataError(message(f"row {i} of feature {name!r}", utc(index[i]), utc(times[i]), fix))


def known_times(name: str, known_at: Any, index: Int64s | None, n: int) -> Int64s:
    """Return when each of ``n`` rows was known, in ns UTC; raises DataError for times that do not fit."""
    import datetime

    import pandas as pd

    what = f"known_at of feature {name!r}"
    if isinstance(known_at, str | datetime.timedelta | np.timedelta64):
        if index is None:
            fix = "Give the series a DatetimeIndex, or pass one time per row."
            raise DataError(message(what, f"the delay {known_at}", "rows with times of their own", fix))
        return index + _duration(known_at, what)
    known = ns_of(pd.DatetimeIndex(known_at), what)
    if known.size != n:
        raise DataError(message(what, f"{known.size} times", f"{n}, one per row", "Align them with the series."))
    if index is not None and (known < index).any():
        i = int(np.flatnonzero(known < index)[0])
        fix = "Check the time zones; a value about the future (a forecast) enters without an index, as an array."
        raise DataError(message(f"{what}, row {i}", utc(known[i]), f"not before its own time {utc(index[i])}", fix))
    return known


def as_of(now: Int64s, known: Int64s, index: Int64s | None) -> tuple[NDArray[np.intp], Int64s]:
    """Return for each bar the row that counts (-1 where none is known) and its age."""
    order = np.argsort(known, kind="stable")
    if index is not None:
        order = np.lexsort((index, known))
        # A late revision of an old value does not displace a newer one.
        newest = np.maximum.accumulate(index[order])
        order = order[index[order] == newest]
    at = np.searchsorted(known[order], now, side="right") - 1
    rows = np.where(at >= 0, order[np.maximum(at, 0)], -1)
    ages = np.where(at >= 0, now - known[order][np.maximum(at, 0)], NEVER)
    return rows, ages


def _duration(value: Any, what: str) -> int:
    import pandas as pd

    try:
        ns = int(pd.Timedelta(value).as_unit("ns").value)
    except (ValueError, TypeError) as error:
        raise DataError(message(what, repr(value), "a duration", 'Pass for example "1D" or "36h".')) from error
    if ns < 0:
        raise DataError(message(what, repr(value), "a duration of at least 0", "Nothing is known before it happens."))
    return ns


def ns_of(index: pd.DatetimeIndex, what: str) -> Int64s:
    """Return times in ns UTC, read as UTC where they have no zone; raises DataError for NaT."""
    if index.hasnans:
        raise DataError(message(what, f"{int(index.isna().sum())} NaT", "a time for every row", "Drop those rows."))
    utc_index = index if index.tz is None else index.tz_convert("UTC")
    return np.asarray(utc_index.as_unit("ns").asi8, dtype=np.int64)
