"""Bars on disk come back as they were, or not at all."""

import numpy as np
import pandas as pd
import pytest

from kernelkit.data import feature, from_pandas, load, store
from kernelkit.errors import DataError


@pytest.fixture(scope="module")
def bars():
    return load("synthetic_minute", n=500)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_round_trip__is_identical_to_the_last_bit(tmp_path, bars, frame):
    days = pd.to_datetime(["2021-03-11", "2021-03-12", "2021-03-15"])
    frames = {"Ä long name": frame(days), "B": frame(days[1:], seed=2).drop(columns="volume")}
    daily = from_pandas(frames, calendar="XNYS", lot_size={"B": 0.1})
    cases = [
        bars,
        bars.isel(time=slice(100, 200)),
        daily,
        feature(bars, "f", [1.5], known_at=bars["known_at"].values[[9]]),
    ]
    for i, case in enumerate(cases):
        back = store.load(store.save(case, tmp_path / f"{i}.zarr"))
        assert back.identical(case)
        assert back["close"].values.flags.c_contiguous
        for name in case.variables:
            assert back[name].dtype == case[name].dtype
    assert names(tmp_path) == ["0.zarr", "1.zarr", "2.zarr", "3.zarr"]


def test_save__existing_path_is_kept_unless_overwritten(tmp_path, bars):
    path = store.save(bars, tmp_path / "bars.zarr")
    with pytest.raises(DataError, match="overwrite=True"):
        store.save(bars.isel(time=slice(10)), path)
    assert store.load(path).identical(bars)
    store.save(bars.isel(time=slice(10)), path, overwrite=True)
    assert store.load(path).sizes["time"] == 10
    assert names(tmp_path) == ["bars.zarr"]


def test_save__failing_half_way_leaves_nothing_new(tmp_path, bars, monkeypatch):
    path = store.save(bars, tmp_path / "bars.zarr")

    def fail(root):
        raise OSError("disk full")

    monkeypatch.setattr(store, "_sync", fail)
    for target, overwrite in ((path, True), (tmp_path / "new.zarr", False)):
        with pytest.raises(OSError, match="disk full"):
            store.save(bars.isel(time=slice(10)), target, overwrite=overwrite)
    assert names(tmp_path) == ["bars.zarr"]
    assert store.load(path).identical(bars)


def test_save__refuses_what_are_no_bars(tmp_path, bars):
    with pytest.raises(DataError, match="variable 'close'"):
        store.save(bars.drop_vars("close"), tmp_path / "bars.zarr")
    assert names(tmp_path) == []


def test_load__changed_numbers_are_noticed(tmp_path, bars):
    import zarr

    path = store.save(bars, tmp_path / "bars.zarr")
    zarr.open_array(path / "close", mode="r+")[0, 0] += 1.0
    with pytest.raises(DataError, match="changed or damaged"):
        store.load(path)


def test_load__nothing_there(tmp_path):
    with pytest.raises(DataError, match="no Zarr directory"):
        store.load(tmp_path / "bars.zarr")


def test_times__are_utc_nanoseconds_on_disk(tmp_path, bars):
    import zarr

    path = store.save(bars, tmp_path / "bars.zarr")
    raw = zarr.open_array(path / "known_at", mode="r")
    assert raw.dtype == np.int64
    assert np.array_equal(raw[:], bars["known_at"].values.astype(np.int64))
    assert store.load(path).attrs["tz"] == "UTC"
