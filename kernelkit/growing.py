"""The columns of an asset with room for bars to come: one more is laid out without those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from kernelkit.data.actions import NAMES
from kernelkit.data.extend import SYMBOLS
from kernelkit.errors import DataError, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Job, Table
from kernelkit.schema import utc
from kernelkit.table import panel_of

if TYPE_CHECKING:
    import xarray as xr

SNAP = "max_snap_error"
LEAST = 1024  # bars that there is room for at first
COMMON = len(L.COLUMNS)  # columns that every table has


def grows(job: Job, bars: xr.Dataset) -> bool:
    """Whether a later bar of the run adds a row to its one table, and nothing else that would depend on former bars."""
    plan, table = job.plan, job.tables[0]
    looks_back = plan.shared or plan.features or plan.timeframes or plan.moments or job.hours
    more = table.universe or len(table.actions) or table.finer is not None
    return not (looks_back or more or NAMES[0] in bars.variables or SYMBOLS[0] in bars.variables)


class Growing:
    """A table that later ones are put behind; those that were given out stay what they were.

    >>> from kernelkit.data.synthetic import minute_bars
    >>> bars = minute_bars(5)
    >>> tables = [panel_of(bars.isel(time=rows), []).tables[0] for rows in (slice(0, 3), slice(3, 5))]
    >>> found = Growing(tables[0]).behind(tables[1])
    >>> found.n_bars, found.begins(panel_of(bars, []).tables[0])
    (5, True)
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._room = 0
        self._columns: list[np.ndarray] = []

    def behind(self, later: Table) -> Table:
        """The table with the bars of ``later`` behind its own."""
        n, more = self._table.n_bars, later.n_bars
        own = [*self._table.columns, *([] if self._table.vwap is None else [self._table.vwap])]
        new = [*later.columns, *([] if later.vwap is None else [later.vwap])]
        if n + more > self._room:
            self._room = 2 * max(n + more, LEAST)
            self._columns = [np.empty(self._room, c.dtype) for c in own]
            for room, column in zip(self._columns, own, strict=True):
                room[:n] = column
        for room, column in zip(self._columns, new, strict=True):
            room[n : n + more] = column
        views = [room[: n + more] for room in self._columns]
        vwap = None if self._table.vwap is None else views.pop()
        self._table = replace(self._table, columns=tuple(views), vwap=vwap)
        return self._table

    def back(self, table: Table) -> None:
        """Forget the bars that came behind ``table``, which `behind` has given."""
        self._table = table


def fresh(tables: list[Table], bars: xr.Dataset) -> xr.Dataset | None:
    """Those of ``bars`` that come after all that ``tables`` have, one for each asset; None where there are none.

    Raises DataError for an earlier one that is not there, or is not what it was.
    """
    end = max((int(table.columns[L.C_KNOWN_AT][-1]) for table in tables if table.n_bars), default=0)
    opens = bars.variables["open_at"].values.astype("datetime64[ns]").astype("i8")
    if opens[0] >= end:
        return bars
    cut = int(np.searchsorted(opens, end))
    again = panel_of(bars.isel(time=slice(0, cut)), [])
    for table, seen, asset in zip(tables, again.tables, bars["asset"].values.tolist(), strict=True):
        _check_seen(table, seen, asset)
    return bars.isel(time=slice(cut, None)) if cut < len(opens) else None


def _check_seen(table: Table, seen: Table, asset: str) -> None:
    whole, part = table.columns[L.C_OPEN_AT], seen.columns[L.C_OPEN_AT]
    place = np.minimum(np.searchsorted(whole, part), len(whole) - 1)
    what, fix = f"bars of {asset}", "What a run has seen does not change: start a new one."
    strange = np.flatnonzero(whole[place] != part) if len(whole) else np.arange(len(part))
    if len(strange):
        found = f"one that opens at {utc(int(part[strange[0]]))}, which comes late"
        raise DataError(message(what, found, "bars in the order of their times", fix))
    for name, old, new in zip((*L.COLUMNS,), table.columns[:COMMON], seen.columns[:COMMON], strict=True):
        same = (old[place] == new) | (np.isnan(old[place]) & np.isnan(new) if old.dtype.kind == "f" else False)
        if not same.all():
            k = int(np.flatnonzero(~same)[0])
            found = f"{name} {new[k]} at {utc(int(part[k]))}"
            raise DataError(message(what, found, f"{old[place][k]}, as it came before", fix))


def columns_of(piece: xr.Dataset) -> dict[str, np.ndarray]:
    """What bars have along time, by name, and how far their prices were moved onto the grid."""
    found = {str(n): v.values for n, v in piece.variables.items() if "time" in v.dims}
    return found | {SNAP: np.array([piece.attrs[SNAP]])}


def bars_of(pieces: Sequence[Mapping[str, np.ndarray]], like: xr.Dataset) -> xr.Dataset:
    """Bars whose `columns_of` these are, one piece behind the other; all else, the lineage too, is that of ``like``.

    >>> from kernelkit.data.synthetic import minute_bars
    >>> bars = minute_bars(4)
    >>> halves = [columns_of(bars.isel(time=rows)) for rows in (slice(0, 2), slice(2, 4))]
    >>> bars_of(halves, bars.isel(time=slice(0, 2))).identical(bars)
    True
    """
    values = {n: np.concatenate([piece[n] for piece in pieces]) for n in pieces[0]}
    snap = float(values.pop(SNAP).max())
    columns = {n: (like.variables[n].dims, v, like.variables[n].attrs) for n, v in values.items()}
    rest = like.drop_vars([n for n, v in like.variables.items() if "time" in v.dims])
    coords = {n: column for n, column in columns.items() if n in like.coords}
    data = {n: column for n, column in columns.items() if n not in coords}
    return rest.assign_coords(coords).assign(data).assign_attrs({SNAP: snap})
