"""Results for other systems: as Arrow tables and Parquet files, with units, times in UTC, and where they come from."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernelkit.errors import UsageError, arguments, message
from kernelkit.files import write_atomic
from kernelkit.result import actions, check_result, fills, orders
from kernelkit.schema import VARIABLES
from kernelkit.trips import trades

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import xarray as xr

# columns of one trial's tables that the schema does not have, by a variable of the same units; others have none
LIKE = {
    **dict.fromkeys(("quantity", "filled", "display"), "position"),
    **dict.fromkeys(("price", "reference", "limit", "trigger", "entry", "exit"), "close"),
    **dict.fromkeys(("fee", "pnl", "amount"), "cash"),
}
WITHIN = ("block", "summary")  # dims of what is inside a trial, and no table's
PROVENANCE = ("name", "strategy", "params", "lineage", "costs", "venue", "fill_model", "ledger", "partial")


def metrics(res: xr.Dataset) -> pd.DataFrame:
    """A row for each trial, or label of a study: its labels, and all that is one number or word of it."""
    names = [str(n) for n, v in res.data_vars.items() if not {"time", *WITHIN} & set(v.dims)]
    return _tidy(res, names)


def curves(res: xr.Dataset) -> pd.DataFrame:
    """A row for each time of each trial: equity and whatever else the result has over time."""
    names = [str(n) for n, v in res.data_vars.items() if "time" in v.dims and not set(WITHIN) & set(v.dims)]
    return _tidy(res, names)


def _tidy(res: xr.Dataset, names: list[str]) -> pd.DataFrame:
    import pandas as pd

    labels = [n for n in res.coords if not set(WITHIN) & set(res.coords[n].dims)]
    found = res[names].drop_vars([n for n in res[names].coords if n not in labels])
    if not found.dims:
        return pd.DataFrame([{str(n): found[n].item() for n in found.variables}])
    return found.to_dataframe().reset_index()


TABLES: Mapping[str, Callable[[xr.Dataset], pd.DataFrame]] = {
    "metrics": metrics,
    "curves": curves,
    "fills": fills,
    "orders": orders,
    "trades": trades,
    "actions": actions,
}


@arguments()
def to_arrow(res: xr.Dataset, table: str = "metrics") -> pa.Table:
    """A table of a result: ``metrics`` and ``curves`` of all its trials; ``fills orders trades actions`` of one.

    Times are ``timestamp[ns, UTC]``. The metadata of a column has its ``units`` and ``long_name``; that of the table,
    as JSON under ``kernelkit``, what it comes from: strategy, parameters, lineage of the data, costs, version. Raises
    UsageError for a table that there is not, or whose result must be narrowed down to one trial; RunError where that
    trial cannot be simulated again, as those of a result that was saved.

    >>> import kernelkit as kk
    >>> bars, hold = kk.data.load("sp500_index"), kk.strategies.find("buy_and_hold")
    >>> found = to_arrow(kk.backtest(bars, hold), "fills")
    >>> found.num_rows, str(found.schema.field("time").type), found.schema.field("price").metadata[b"units"]
    (1, 'timestamp[ns, tz=UTC]', b'quote')
    """
    import pandas as pd
    import pyarrow as pa

    check_result(res)
    if table not in TABLES:
        fix = 'Write kk.to_arrow(res, "trades").'
        raise UsageError(message("table", repr(table), f"one of {', '.join(TABLES)}", fix))
    frame = TABLES[table](res)
    told, columns, fields = _provenance(res, table), [], []
    for name in map(str, frame):
        values = frame[name]
        if pd.api.types.is_datetime64_dtype(values):
            values = values.astype("datetime64[ns]").dt.tz_localize("UTC")
        array = pa.Array.from_pandas(values)
        own = res[name].attrs if table in ("metrics", "curves") and name in res.variables else _units(name)
        about = {key: str(own[key]) for key in ("units", "long_name") if own.get(key)}
        columns.append(array)
        fields.append(pa.field(name, array.type, metadata=about))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata={"kernelkit": json.dumps(told)}))


def _units(name: str) -> dict[str, str]:
    row = VARIABLES.get(LIKE.get(name, name))
    return {"units": row.units} if row is not None and row.units else {}


def _provenance(res: xr.Dataset, table: str) -> dict[str, Any]:
    known = {name: res.attrs[name] for name in PROVENANCE if name in res.attrs}
    chosen = {str(n): v.item() for n, v in res.coords.items() if v.ndim == 0}
    found = {"table": table, "version": importlib.metadata.version("kernelkit"), **known, "at": chosen}
    return json.loads(json.dumps(found, default=str))  # type: ignore[no-any-return]


@arguments()
def export(res: xr.Dataset, path: str | os.PathLike[str], table: str = "metrics") -> Path:
    """Write a table of a result as a Parquet file, whole or not at all; an older one there is replaced.

    The table and its metadata are those of `to_arrow`. Raises UsageError for another ending than ``.parquet``.

    >>> import tempfile, kernelkit as kk, pandas as pd
    >>> bars, hold = kk.data.load("sp500_index"), kk.strategies.find("buy_and_hold")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pd.read_parquet(export(kk.backtest(bars, hold), f"{folder}/fills.parquet", "fills"))["side"].tolist()
    ['buy']
    """
    import io

    import pyarrow.parquet as pq

    target = Path(path)
    if target.suffix != ".parquet":
        raise UsageError(message("path", repr(target.name), "a name that ends with .parquet", "Write x.parquet."))
    content = io.BytesIO()
    pq.write_table(to_arrow(res, table), content)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, content.getvalue())
    return target
