"""Where to cut a series of bars: where leaks hide that a cut at random would miss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelkit import rng

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[Any]
Int64s = NDArray[np.int64]

PERIODS = ("Y", "M", "W", "D", "h")  # longer timeframes, numpy's names: a merge or a refit begins anew at their edges
BEGINS = np.array([-1, 0, 1, 2, 4, 8])  # rows around the first trade: where a test begins, labels of training end
GROUPS = 8  # kinds of places; each gets as many cuts


def choose_cuts(
    bars: xr.Dataset,
    span: tuple[int, int],
    busy: Int64s,
    columns: Iterable[Array],
    known: Int64s,
    count: int,
    seed: int,
) -> list[int]:
    """Draw up to ``count`` distinct rows in [first, last) of ``span``, in order: each is the last bar that is known.

    An eighth each: largest gaps of the clock; edges of sessions; edges of missing values in the bars and in
    ``columns`` (rows along axis 0: all that was made of them); rows alone in those and the first rows of runs of equal
    values, as gaps filled backwards are; rows of ``busy`` (where it traded) and those before them; edges of hours,
    days, weeks, months and years; rows before those of the times ``known`` (ns, of outside tables); the rest at random.
    Within a group each column, side of an edge and period has its turn.
    """
    first, last = span
    share = count // GROUPS
    own = [bars[name].values for name in bars.data_vars if bars[name].dims == ("time", "asset")]
    made = [column.reshape(len(column), -1) for column in columns]
    groups = [
        [_gaps(bars)[:share]],
        _around(np.flatnonzero(np.diff(bars["session"].values))),
        [side for values in (*own, *made) for side in _around(_missing(values))],
        [rows(values) for rows in (_alone, _runs) for values in made],
        [(busy[:1, None] + BEGINS).ravel(), busy - 1, busy],
        [side for edges in _periods(bars) for side in _around(edges)],
        [_times(bars, "known_at").searchsorted(known) - 1],
        [np.arange(first, last)],
    ]
    cuts: set[int] = set()
    for stream, places in enumerate(groups):
        left = count - len(cuts) if stream == len(groups) - 1 else share
        free = [np.setdiff1d(rows[(rows >= first) & (rows < last)], list(cuts)) for rows in places]
        cuts.update(_in_turn(free, left, seed, stream))
    return sorted(cuts)


def _in_turn(places: Sequence[Int64s], share: int, seed: int, stream: int) -> list[int]:
    """Up to ``share`` distinct rows, drawn from one place after the other."""
    drawn = [
        rows[np.argsort(rng.uniform(seed, k, np.arange(rows.size), stream), kind="stable")][:share]
        for k, rows in enumerate(places)
    ]
    turns = sorted((turn, k, int(row)) for k, rows in enumerate(drawn) for turn, row in enumerate(rows))
    return list(dict.fromkeys(row for _, _, row in turns))[:share]


def _times(bars: xr.Dataset, name: str) -> Int64s:
    return np.asarray(bars[name].values.astype("datetime64[ns]").astype(np.int64))


def _around(edges: Int64s) -> list[Int64s]:
    """The last rows before some edges, and the first ones after them."""
    return [edges, edges + 1]


def _gaps(bars: xr.Dataset) -> Int64s:
    """Rows before the gaps of the clock, the longest first."""
    return np.argsort(_times(bars, "known_at")[:-1] - _times(bars, "open_at")[1:], kind="stable")


def _missing(values: Array) -> Int64s:
    """Rows at which a value is there and one row later is not, or the other way round."""
    there = values if values.dtype.kind == "b" else values == values  # NaN is not
    return np.flatnonzero(np.diff(there, axis=0).any(axis=1))


def _runs(values: Array) -> Int64s:
    """Rows that differ from the one before and equal the one after."""
    same = (values[1:] == values[:-1]).any(axis=1)
    return 1 + np.flatnonzero(~same[:-1] & same[1:])


def _alone(values: Array) -> Int64s:
    """Rows unlike those before and after them, where most rows are like their neighbours: what happened there alone."""
    differs = (values[1:] != values[:-1]).any(axis=1)
    return 1 + np.flatnonzero(differs[:-1] & differs[1:]) if 2 * differs.sum() < differs.size else np.empty(0, np.int64)


def _periods(bars: xr.Dataset) -> list[Int64s]:
    """Last rows of each year, month, week, day and hour, by the labels of the bars."""
    labels = bars["time"].values.astype("datetime64[s]")
    since = {"W": np.timedelta64(3, "D")}  # numpy's weeks begin on Thursdays
    edges = []
    for period in PERIODS:
        number = (labels + since.get(period, np.timedelta64(0, "s"))).astype(f"datetime64[{period}]")
        edges.append(np.flatnonzero(np.diff(number.astype(np.int64))))
    return edges
