"""The embedded data: complete, sound, and honest about what they are."""

import subprocess
import sys

import pytest

from kernelkit import schema
from kernelkit.data import catalog, load
from kernelkit.errors import DataError, UsageError


@pytest.mark.parametrize("name", catalog.names())
def test_load__gives_sound_bars_with_their_origin(name):
    bars = load(name)
    schema.check_bars(bars)
    assert bars.attrs["name"] == name
    assert bars.attrs["source"]
    assert bars.attrs["licence"]
    assert bars.attrs["note"]
    assert bars["valid"].values.all()
    assert load(name).attrs["lineage"] == bars.attrs["lineage"]


@pytest.mark.parametrize(
    ("name", "first", "last", "n", "closes"),
    [
        ("sp500_index", "1999-01-04", "2018-12-31", 5031, (1228.099976, 2506.850098)),
        ("nasdaq_index", "1999-01-04", "2018-12-31", 5031, (2208.050049, 6635.279785)),
        ("aapl", "2019-01-02", "2024-12-30", 1509, (39.48, 252.2)),
    ],
)
def test_daily__every_session_of_the_span(name, first, last, n, closes):
    from kernelkit.data.sessions import DAY, schedule

    bars = load(name)
    assert [str(t)[:10] for t in bars["time"].values[[0, -1]]] == [first, last]
    assert bars.sizes["time"] == n
    assert bars["close"].values[[0, -1], 0] == pytest.approx(closes, rel=1e-9)
    days = bars["session"].values
    table = schedule("XNYS", int(days[0]) * DAY, int(days[-1]) * DAY).dates // DAY
    assert days.tolist() == [d for d in table.tolist() if days[0] <= d <= days[-1]]


@pytest.mark.parametrize(("name", "asset_id"), [("sp500_index", "index:SPX"), ("nasdaq_index", "index:IXIC")])
def test_index__is_price_only_and_not_tradable(name, asset_id):
    bars = load(name)
    assert bars.attrs["tradable"] == 0
    assert bars["asset_id"].item() == asset_id
    for fact in ("price only", "not tradable as such", "not its constituents"):
        assert fact in bars.attrs["note"]


def test_aapl__is_adjusted_for_the_split_of_2020():
    close = load("aapl")["close"].sel(time=["2020-08-28", "2020-08-31"]).values[:, 0]
    assert 0.9 < close[1] / close[0] < 1.1


def test_load__unknown_name_lists_the_known_ones():
    with pytest.raises(DataError, match=r"data: found 'spx', wanted one of sp500_index, .*synthetic_minute") as told:
        load("spx")
    assert str(told.value).endswith(
        'kk.data.store.save(kk.data.from_pandas(df, calendar="XNYS"), "own.zarr"), then "own.zarr".'
    )


def test_names__are_public():
    import kernelkit as kk

    assert kk.data.names() == catalog.names()


def test_load__unknown_option():
    with pytest.raises(UsageError, match=r"options of load\('aapl'\): found n, wanted none"):
        load("aapl", n=5)
    with pytest.raises(UsageError, match="found bars, wanted only n, seed"):
        load("synthetic_minute", bars=5)


def test_import__loads_neither_pandas_nor_xarray():
    code = (
        "import sys, kernelkit.data, kernelkit.schema, kernelkit.rng;"
        "print({'pandas', 'xarray', 'zarr', 'numba', 'scipy'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
