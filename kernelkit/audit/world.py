"""All that an audited run can read, without what comes after a cut, or with something else in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelkit import rng
from kernelkit.audit import future
from kernelkit.errors import UsageError, message
from kernelkit.schema import AGE, EXTRA, FEATURE, PRICES

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = NDArray[Any]
Bools = NDArray[np.bool_]

KNOWN = "known_at"  # the column of a table that says when each row was known
LATER = 102  # stream of random numbers beside those of `future`


@dataclass(frozen=True)
class World:
    """Bars, outside ``tables`` by name (each with a column known_at), and what functions ``hold`` along time, by name.

    With ``at_open`` the bar after a cut has opened: its open is known, all else of it is not.
    """

    bars: xr.Dataset
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    held: Mapping[str, Any] = field(default_factory=dict)
    at_open: bool = False

    def names(self) -> list[str]:
        """Everything in it that can be made wrong."""
        return [*future.variables(self.bars), *future.foreign(self.bars), *self.tables, *self.held]

    def short(self, cut: int) -> World:
        """What was known when row ``cut`` was the last bar."""
        bars = self.bars.isel(time=slice(0, cut + 1 + self.at_open))
        tables = {name: table[self._known(table, cut)] for name, table in self.tables.items()}
        held = {name: _part(value, along(value, self.bars, cut)) for name, value in self.held.items()}
        return replace(self, bars=_opened(bars) if self.at_open else bars, tables=tables, held=held)

    def other(self, cut: int, names: Iterable[str], up: bool, seed: int) -> World:
        """What is called ``names`` made wrong after row ``cut``, and untouched up to it."""
        names = list(names)
        bars = _wrong_bars(self.bars, cut, names, up, seed)
        tables = {
            name: _wrong_table(table, ~self._known(table, cut), up, seed) if name in names else table
            for name, table in self.tables.items()
        }
        held = {
            name: self._wrong(value, cut, up, seed) if name in names else value for name, value in self.held.items()
        }
        if self.at_open:
            bars = _still_open(bars, self.bars, cut + 1)
        return replace(self, bars=bars, tables=tables, held=held)

    def _known(self, table: pd.DataFrame, cut: int) -> Bools:
        now = self.bars["open_at"].values[cut + 1] if self.at_open else self.bars["known_at"].values[cut]
        return np.asarray(times_of(table[KNOWN]) <= now.astype("datetime64[ns]").astype(np.int64))

    def _wrong(self, value: Any, cut: int, up: bool, seed: int) -> Any:
        if is_bars(value, self.bars):
            return _wrong_bars(value, cut, [*future.variables(value), *future.foreign(value)], up, seed)
        return _replaced(value, ~along(value, self.bars, cut), up, seed)


def _wrong_bars(bars: xr.Dataset, cut: int, names: Iterable[str], up: bool, seed: int) -> xr.Dataset:
    """The bars with those variables of these names made wrong that are theirs."""
    own = [name for name in future.variables(bars) if name in names]
    later = np.arange(bars.sizes["time"]) > cut
    more = {name: _replaced(bars[name], later, up, seed) for name in future.foreign(bars) if name in names}
    return (future.corrupted(bars, cut, own, up, seed) if own else bars).assign(more)


def times_of(values: Any) -> NDArray[np.int64]:
    """Times as ns; those without a zone are UTC."""
    import pandas as pd

    return np.asarray(pd.DatetimeIndex(pd.to_datetime(values, utc=True)).as_unit("ns").asi8)


def check_tables(tables: Mapping[str, Any] | None) -> dict[str, pd.DataFrame]:
    """The tables as they are; raises UsageError for one that is no DataFrame with a column known_at of times."""
    import pandas as pd

    for name, table in (tables or {}).items():
        fix = f"Write tables=dict({name}=frame), frame['{KNOWN}'] the time at which each row was published."
        if not isinstance(table, pd.DataFrame) or KNOWN not in table:
            found = f"columns {list(table.columns)}" if isinstance(table, pd.DataFrame) else type(table).__name__
            raise UsageError(message(f"table {name!r} of the audit", found, f"a DataFrame with {KNOWN}", fix))
        if table[KNOWN].isna().any():
            row = int(table[KNOWN].isna().to_numpy().argmax())
            raise UsageError(message(f"{KNOWN} in row {row} of table {name!r}", "no time", "a time", fix))
    return dict(tables or {})


def lies_along(value: Any, bars: xr.Dataset) -> bool:
    """Whether a value has rows along time: labelled with it, or as many as there are bars."""
    import pandas as pd
    import xarray as xr

    if isinstance(value, (xr.Dataset, xr.DataArray)):
        return "time" in value.dims and ("time" in value.coords or value.sizes["time"] == bars.sizes["time"])
    if isinstance(value, (pd.DataFrame, pd.Series)):
        return isinstance(value.index, pd.DatetimeIndex) or len(value) == bars.sizes["time"]
    numbers = isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    return numbers and value.shape[:1] == (bars.sizes["time"],)


def is_bars(value: Any, bars: xr.Dataset) -> bool:
    """Whether a value is a Dataset with these bars' clock and prices."""
    import xarray as xr

    wanted = (*PRICES, "valid", "tick", "inverse")
    return (
        isinstance(value, xr.Dataset)
        and all(name in value for name in wanted)
        and np.array_equal(value["time"].values, bars["time"].values)
    )


def along(value: Any, bars: xr.Dataset, cut: int) -> Bools:
    """Which rows of such a value are labelled up to row ``cut`` of the bars; rows without labels are the bars'."""
    import pandas as pd

    if hasattr(value, "isel"):
        n, labels = value.sizes["time"], value["time"].values if "time" in value.coords else None
    else:
        index = getattr(value, "index", None)
        n, labels = len(value), index if isinstance(index, pd.DatetimeIndex) else None
    if labels is None:
        return np.arange(n) <= cut
    return np.asarray(times_of(labels) <= times_of(bars["time"].values[[cut]])[0])


def _part(value: Any, rows: Bools) -> Any:
    return value.isel(time=rows) if hasattr(value, "isel") else value[rows]


def _replaced(value: Any, rows: Bools, up: bool, seed: int) -> Any:
    """The value with other numbers in some of its rows."""
    import pandas as pd
    import xarray as xr

    if isinstance(value, xr.Dataset):
        lying = {n: v for n, v in value.data_vars.items() if "time" in v.dims}
        return value.assign({n: _replaced(v, rows, up, seed) for n, v in lying.items()})
    if isinstance(value, xr.DataArray):
        moved = np.moveaxis(value.values, value.get_axis_num("time"), 0)
        return value.copy(data=np.moveaxis(_wrong(moved, rows, up, seed), 0, value.get_axis_num("time")))
    if isinstance(value, pd.DataFrame):
        return _wrong_table(value, rows, up, seed)
    if isinstance(value, pd.Series):
        return pd.Series(_wrong(value.to_numpy(), rows, up, seed), value.index, name=value.name)
    return _wrong(value, rows, up, seed)


def _wrong_table(table: pd.DataFrame, rows: Bools, up: bool, seed: int) -> pd.DataFrame:
    out = table.copy()
    for name in table:
        if name != KNOWN and table[name].dtype.kind in "fiub":
            out[name] = _wrong(table[name].to_numpy(), rows, up, seed)
    return out


def _wrong(values: Array, rows: Bools, up: bool, seed: int) -> Array:
    """Numbers change places and move by `future.FACTOR`, keeping their signs; flags turn over."""
    out = np.array(values)
    at = np.flatnonzero(rows)
    taken = at[np.argsort(rng.uniform(seed, 0, at, LATER), kind="stable")]
    if values.dtype.kind == "b":
        out[at] = ~values[taken]
    elif values.dtype.kind in "iuf":
        out[at] = (values[taken] * (future.FACTOR if up else 1.0 / future.FACTOR)).astype(values.dtype)
    return out


def _opened(bars: xr.Dataset) -> xr.Dataset:
    """The bars with the last one just open: its prices are its open, nothing was traded, features are the former's."""
    changed = {}
    for name in future.variables(bars):
        if name == "valid":
            continue
        values = np.array(bars[name].values)
        values[-1] = _at_open(bars, name, -1)
        changed[name] = values
        if name.startswith(FEATURE):
            age = AGE + name[len(FEATURE) :]
            changed[age] = np.array(bars[age].values)
            changed[age][-1] = changed[age][-2]
    for name in future.foreign(bars):
        column = bars[name].transpose("time", ...)
        changed[name] = np.moveaxis(
            np.concatenate([column.values[:-1], column.values[-2:-1]]), 0, bars[name].get_axis_num("time")
        )
    return bars.assign({name: bars[name].copy(data=values) for name, values in changed.items()})


def _at_open(bars: xr.Dataset, name: str, row: int) -> Array:
    if name in PRICES:
        found: Array = bars["open"].values[row]
        return found
    if name == "volume" or name in EXTRA:
        return np.full(bars.sizes["asset"], 0.0 if name == "volume" else np.nan)
    found = bars[name].values[row - 1]
    return found


def _still_open(bars: xr.Dataset, original: xr.Dataset, row: int) -> xr.Dataset:
    """The bars, whose ``row`` is there if it was, with the open that it had, and a high and a low that hold it."""
    opened, there = original["open"].values[row], original["valid"].values[row]
    columns = {name: np.array(bars[name].values) for name in (*PRICES, "valid")}
    lost = there & ~columns["valid"][row]
    for name in PRICES:
        columns[name][row] = np.where(lost, opened, columns[name][row])
    columns["valid"][row], columns["open"][row] = there, opened
    columns["high"][row] = np.maximum(columns["high"][row], opened)
    columns["low"][row] = np.minimum(columns["low"][row], opened)
    return bars.assign({name: bars[name].copy(data=values) for name, values in columns.items()})
