"""Appending later bars to bars, so that the result is what loading the whole would have given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernelkit.data import contracts, lineage, sessions
from kernelkit.data.frames import from_pandas
from kernelkit.errors import DataError, arguments, message
from kernelkit.schema import AGE, EXTRA, FEATURE, check_bars, utc

SYMBOLS = ("symbol_from", "symbol_asset", "symbol_name")  # E9

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.data.frames import Frames

_SAME = ("asset", "asset_id", "tick", "inverse", "lot", "multiplier", "currency")
_SAME_ATTRS = ("calendar", "bar", "label", "tz", "synthetic")


@arguments()
def append(bars: xr.Dataset, more: xr.Dataset | Frames, *, allow_gap: bool = False) -> xr.Dataset:
    """Return ``bars`` followed by ``more``, with the lineage extended to that of the whole.

    ``more`` is a frame (or dict of frames), read as ``bars`` were, or bars of the same instruments. It must begin
    after ``bars`` end, in the same or the next session; ``allow_gap`` permits sessions between. Features are added
    after appending. Raises `DataError`.

    >>> from kernelkit.data.synthetic import minute_bars
    >>> whole = minute_bars(100)
    >>> frame = whole.isel(time=slice(60, None)).drop_vars("valid").sel(asset="SYNTH").to_dataframe()
    >>> parts = append(minute_bars(60), frame[["open", "high", "low", "close", "volume"]])
    >>> parts.attrs["lineage"] == whole.attrs["lineage"]
    True
    """
    import xarray as xr

    check_bars(bars)
    later = more if isinstance(more, xr.Dataset) else from_pandas(more, like=bars)
    check_bars(later)
    fix = "Append bars first, then add the feature to the whole: its age runs across the seam."
    check_plain("append", fix, bars, later)
    _check_extra(bars, later)
    _check_same(bars, later)
    if later is more:  # a frame is read as the bars were
        contracts.check_same(bars, later)
    _check_order(bars, later, allow_gap)
    whole = xr.concat(
        [bars, later],
        "time",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="override",
    )
    whole = _join_symbols(whole, bars, later)
    snap = max(bars.attrs["max_snap_error"], later.attrs["max_snap_error"])
    whole.attrs.update(lineage.extend(bars, whole), max_snap_error=snap)
    return whole


def _join_symbols(whole: xr.Dataset, bars: xr.Dataset, later: xr.Dataset) -> xr.Dataset:
    """E9: the whole with what its assets were called in either part."""
    rows: list[tuple[str, np.datetime64, str]] = []
    for part in (bars, later):
        if SYMBOLS[0] in part.variables:
            when, whose, what = (part[n].values for n in SYMBOLS)
            for row in zip(whose.tolist(), when.astype("datetime64[ns]"), what.tolist(), strict=True):
                last = next((name for asset, _, name in reversed(rows) if asset == row[0]), None)
                if last != row[2]:  # the later part begins with the name that the former ends with
                    rows.append(row)
    if not rows:
        return whole
    rows.sort(key=lambda row: row[:2])
    assets, begins, names = (list(column) for column in zip(*rows, strict=True))
    columns = np.array(begins, "datetime64[ns]"), np.array(assets), np.array(names)
    own = {n: ("symbol", column) for n, column in zip(SYMBOLS, columns, strict=True)}
    return whole.drop_vars([n for n in SYMBOLS if n in whole.variables]).assign_coords(own)


def check_plain(what: str, fix: str, *parts: xr.Dataset) -> None:
    """Raise DataError for bars that features, or a universe, have been added to."""
    for part in parts:
        columns = [n for n in map(str, part.data_vars) if n.startswith((FEATURE, AGE)) or n == "universe"]
        if columns:
            raise DataError(message(what, ", ".join(columns), "bars without features", fix))


def _check_extra(bars: xr.Dataset, later: xr.Dataset) -> None:
    for name in EXTRA:
        if (name in bars) != (name in later):
            found = f"{name} in the {'former' if name in bars else 'later'} ones only"
            raise DataError(message("bars to append", found, "the same columns", f"Add {name} to both, or drop it."))


def _check_same(bars: xr.Dataset, later: xr.Dataset) -> None:
    fix = "Pass the frame itself, or from_pandas(frame, like=bars)."
    for name in _SAME:
        old, new = bars[name].values, later[name].values
        if not np.array_equal(old, new):
            raise DataError(message(f"{name} of the bars to append", new.tolist(), old.tolist(), fix))
    for name in _SAME_ATTRS:
        old, new = bars.attrs[name], later.attrs[name]
        if old != new:
            raise DataError(message(f"attrs[{name!r}] of the bars to append", repr(new), repr(old), fix))


def _check_order(bars: xr.Dataset, later: xr.Dataset, allow_gap: bool) -> None:
    end, begin = (int(d[n].values[i].astype(np.int64)) for d, n, i in ((bars, "known_at", -1), (later, "open_at", 0)))
    if begin < end:
        overlap = int((later["open_at"].values < bars["known_at"].values[-1]).sum())
        found = f"{utc(begin)}, {overlap:,} bars before the end of what is there"
        raise DataError(message("first bar to append", found, f"at or after {utc(end)}", "Cut the overlap off."))
    last, first = int(bars["session"].values[-1]), int(later["session"].values[0])
    missed = sessions_between(bars.attrs["calendar"], last, first)
    if missed and not allow_gap:
        days = (utc(session * sessions.DAY)[:10] for session in (last, first))
        found = f"{missed} sessions without bars between {' and '.join(days)}"
        fix = "Append the bars between first, or pass allow_gap=True."
        raise DataError(message("seam", found, "no session missing", fix))


def sessions_between(calendar: str, last: int, first: int) -> int:
    """Return how many sessions of the calendar lie between two days, since 1970; none are known without one."""
    if not calendar:
        return 0
    if calendar == sessions.ALWAYS:
        return max(first - last - 1, 0)
    dates = sessions.schedule(calendar, last * sessions.DAY, first * sessions.DAY).dates // sessions.DAY
    return int(((dates > last) & (dates < first)).sum())
