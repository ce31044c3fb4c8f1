"""A pipeline, a plain function of bars, observed through every column that it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelkit import ledger
from kernelkit.audit.observe import Difference, unequal
from kernelkit.audit.world import KNOWN, World, times_of
from kernelkit.errors import UsageError, message
from kernelkit.result import curves_of
from kernelkit.schema import FEATURE

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.recipe import Recipe

Array = NDArray[Any]


@dataclass(frozen=True)
class Column:
    """What stands in some rows of the bars: values (row, further), rows ascending; the names of the further ones."""

    rows: NDArray[np.int64]
    values: Array
    labels: tuple[str, ...]

    def spread(self, n: int) -> Array:
        """Over ``n`` bars; NaN where there is no row."""
        out = np.full((n, self.values.shape[1]), np.nan)
        out[self.rows] = self.values
        return out


@dataclass
class Outputs:
    """A plain function ``f(bars, **tables, **params)``, observed through what it returns."""

    name: str
    first: int
    at_open: bool
    rounding: float = 0.0

    def see(self, world: World, function: Callable[..., Any], params: Mapping[str, Any]) -> dict[str, Column]:
        """The columns of what it returns. What it backtests enters the ledger with the role ``audit``: no rival."""
        with ledger.role("audit"):
            made = function(world.bars.copy(deep=False), **world.tables, **params)
            return columns_of(made, world.bars, f"what {self.name} returns")

    def busy(self, seen: dict[str, Column]) -> NDArray[np.int64]:
        """Rows in which one of the columns that seldom change does."""
        found = [np.empty(0, np.int64)]
        for column in seen.values():
            rows = column.rows[1:][(column.values[1:] != column.values[:-1]).any(axis=1)]
            if 2 * rows.size < column.rows.size:
                found.append(rows)
        return np.unique(np.concatenate(found))

    def columns(self, seen: dict[str, Column], n: int) -> list[Array]:
        """Each column over ``n`` bars."""
        return [column.spread(n) for column in seen.values() if column.values.dtype.kind in "fiub"]

    def differ(self, one: dict[str, Column], other: dict[str, Column], cut: int) -> Difference | None:
        """The earliest row that was decided when row ``cut`` was known and is another one."""
        found, off = first_other(one, other, self.first, cut + self.at_open)
        self.rounding = max(self.rounding, off)
        return found


def first_other(
    one: Mapping[str, Column], other: Mapping[str, Column], first: int, last: int
) -> tuple[Difference | None, float]:
    """The earliest row in first..last in which two sets of columns differ; what was taken for rounding.

    A row that one of them lacks counts only where a later one is there: the last ones may be left out.
    """
    found, rounding = [], 0.0
    for name in [*one, *(name for name in other if name not in one)]:
        if name not in one or name not in other:
            was, became = ["nothing", "there"] if name not in one else ["there", "nothing"]
            found.append(Difference(first, "", name, was, became))
            continue
        a, b = one[name], other[name]
        end = min(last, a.rows[-1] if a.rows.size else -1, b.rows[-1] if b.rows.size else -1)
        x, y = (np.flatnonzero((c.rows >= first) & (c.rows <= end)) for c in (a, b))
        if not np.array_equal(a.rows[x], b.rows[y]):
            row = int(np.setxor1d(a.rows[x], b.rows[y])[0])
            was, became = ("there" if row in c.rows[k] else "nothing" for c, k in ((a, x), (b, y)))
            found.append(Difference(row, "", name, was, became))
        elif x.size and a.labels == b.labels:
            place, off = unequal(a.values[x], b.values[y])
            rounding = max(rounding, off)
            if place is not None:
                p, q = place
                was, became = str(a.values[x][p, q]), str(b.values[y][p, q])
                found.append(Difference(int(a.rows[x][p]), a.labels[q], name, was, became))
    return min(found, key=lambda d: d.bar, default=None), rounding


def columns_of(made: Any, bars: xr.Dataset, what: str) -> dict[str, Column]:
    """The columns along the time of the bars in a Dataset, DataArray, DataFrame, Series, array, or a dict of them.

    What does not lie along time, as a metric of the whole, is no column. Raises UsageError where nothing is one, and
    for rows that are no bars.
    """
    found = {(name or "value"): _column(part, bars, f"{name or 'value'} of {what}") for name, part in _parts(made, "")}
    out = {name: column for name, column in found.items() if column is not None}
    if not out:
        fix = "Return targets, features or a result over time: a Dataset, DataFrame, Series, array, or a dict of them."
        raise UsageError(message(what, type(made).__name__, "at least one column along the time of the bars", fix))
    return out


def _parts(made: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Everything in what was returned, by name; of a backtest also what it was given to decide upon."""
    if hasattr(made, "data_vars") or isinstance(made, Mapping):
        if hasattr(made, "data_vars") and "recipe" in made.attrs:
            recipe = curves_of(made).recipe
            made = made.assign_coords(known_at=recipe.bars["known_at"].sel(time=made["time"]))
            for key, given in _given(recipe):
                yield f"{name}.{key}" if name else key, given
        for key in made.data_vars if hasattr(made, "data_vars") else made:
            yield from _parts(made[key], f"{name}.{key}" if name else str(key))
    else:
        yield name, made


def _given(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    """The features of a backtest over its span, and the targets of the first cell: its next fills are made of them.

    An equity moves one bar after the decision, when the bar that a leak of one bar knew is no longer the future.
    """
    span = recipe.bars.isel(time=slice(recipe.start, recipe.stop))
    for name in span.data_vars:
        if str(name).startswith(FEATURE):
            yield str(name), span[name]
    if recipe.signal is not None:
        target = span["close"].copy(data=recipe.signal(0)[recipe.start : recipe.stop])
        yield f"targets of {recipe.strategy.name}", target


def _column(part: Any, bars: xr.Dataset, what: str) -> Column | None:
    """One column, None where it does not lie along time."""
    import pandas as pd

    n, rows = bars.sizes["time"], None
    further: list[str] = []
    if hasattr(part, "isel"):
        if "time" not in part.dims:
            return None
        moved = part.transpose("time", ...)
        values, further = moved.values, [str(v) for v in moved["asset"].values] if moved.dims[1:] == ("asset",) else []
        if KNOWN in part.coords and part[KNOWN].dims == ("time",):
            rows = np.searchsorted(times_of(bars[KNOWN].values), times_of(part[KNOWN].values))
        elif "time" in part.coords:
            rows = _rows(part["time"].values, bars, what)
    elif isinstance(part, (pd.DataFrame, pd.Series)):
        values, further = part.to_numpy(), [str(c) for c in getattr(part, "columns", [])]
        if isinstance(part.index, pd.DatetimeIndex):
            rows = _rows(part.index, bars, what)
    else:
        values = np.asarray(part)
    if rows is None:
        if values.shape[:1] != (n,):
            return None
        rows = np.arange(n)
    flat = values.reshape(len(values), -1)
    known = rows < n  # a longer bar that has not closed by the last one is not known
    return Column(rows[known], flat[known], tuple(further or [""] * flat.shape[1]))


def _rows(labels: Any, bars: xr.Dataset, what: str) -> NDArray[np.int64]:
    times, wanted = times_of(bars["time"].values), times_of(labels)
    rows = np.searchsorted(times, wanted)
    wrong = (rows >= times.size) | (times[np.minimum(rows, times.size - 1)] != wanted)
    if wrong.any() or (np.diff(rows) <= 0).any():
        at = int((wrong if wrong.any() else np.append(False, np.diff(rows) <= 0)).argmax())
        fix = "Return rows labelled with the bars' times, ascending: reindex a longer timeframe to the bars."
        raise UsageError(message(what, f"a row at {labels[at]}", "the time of a bar, later than the row before", fix))
    return rows
