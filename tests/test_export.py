"""What other systems read of a result: the numbers to the bit, their units, and where they come from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import RunError, UsageError
from kernelkit.export import TABLES
from kernelkit.schema import VARIABLES


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    bars = kk.data.load("sp500_index")
    cross = kk.strategies.find("sma_cross")
    venue = kk.venues.fraction(0.0005, 0.0005)
    return kk.backtest(bars, cross, grid={"fast": [5, 10], "slow": [20, 50, 100]}, where="fast < 10", venue=venue)


@pytest.fixture(scope="module")
def one(grid: xr.Dataset) -> xr.Dataset:
    return grid.sel(fast=5, slow=50)


@pytest.mark.parametrize("table", TABLES)
def test_a_table__comes_back_from_parquet_as_it_was(one: xr.Dataset, tmp_path: Path, table: str) -> None:
    path = kk.export(one, tmp_path / "x.parquet", table)
    whole = kk.to_arrow(one, table)
    back = pq.read_table(path)
    assert back.equals(whole)
    assert back.schema.equals(whole.schema, check_metadata=True)
    frame, wanted = pd.read_parquet(path), TABLES[table](one)
    assert list(frame) == list(wanted)
    assert len(frame) == len(wanted) == whole.num_rows
    for name in wanted:
        column = frame[name].dt.tz_convert(None) if isinstance(frame[name].dtype, pd.DatetimeTZDtype) else frame[name]
        np.testing.assert_array_equal(column.to_numpy(), wanted[name].to_numpy(), err_msg=str(name))
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_every_time__is_in_nanoseconds_of_utc(one: xr.Dataset) -> None:
    for table, names in {"fills": ["time"], "orders": ["submitted", "ended"], "curves": ["time"]}.items():
        schema = kk.to_arrow(one, table).schema
        assert all(schema.field(name).type == pa.timestamp("ns", tz="UTC") for name in names)


def test_the_metrics_of_a_sweep__are_a_row_for_each_cell(grid: xr.Dataset) -> None:
    found = kk.to_arrow(grid).to_pandas().set_index(["fast", "slow"])
    assert found.shape[0] == 6
    assert found.loc[(5, 100), "sharpe_ratio"] == float(grid["sharpe_ratio"].sel(fast=5, slow=100))
    assert found.loc[10, "sharpe_ratio"].isna().all()


def test_units_and_provenance__travel_with_the_table(one: xr.Dataset, grid: xr.Dataset) -> None:
    fills, metrics = kk.to_arrow(one, "fills").schema, kk.to_arrow(grid).schema
    for name, like in {"quantity": "position", "position": "position", "price": "close", "fee": "fees"}.items():
        assert fills.field(name).metadata == {b"units": VARIABLES[like].units.encode()}
    assert metrics.field("cagr").metadata[b"units"].decode() == grid["cagr"].attrs["units"]
    told = json.loads(fills.metadata[b"kernelkit"])
    assert told["at"] == {"fast": 5, "slow": 50, "asset": "SPX"}
    assert (told["table"], told["strategy"]) == ("fills", "sma_cross")
    assert (told["lineage"], told["costs"]) == (one.attrs["lineage"], one.attrs["costs"])


def test_what_cannot_be_exported__says_why(grid: xr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="several trials along fast, slow"):
        kk.export(grid, tmp_path / "x.parquet", "trades")
    with pytest.raises(UsageError, match="found 'trade', wanted one of metrics, curves, fills"):
        kk.to_arrow(grid, "trade")
    with pytest.raises(UsageError, match=r"ends with \.parquet"):
        kk.export(grid, tmp_path / "x.csv")
    stored = xr.open_zarr(kk.save(grid, tmp_path / "saved.zarr"), consolidated=False, chunks=None)
    with pytest.raises(RunError, match="nothing that could run its trials again"):
        kk.export(stored, tmp_path / "x.parquet", "fills")
    assert not (tmp_path / "x.parquet").exists()
