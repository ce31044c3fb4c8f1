"""The table of variables: check finds what differs from it, label writes it."""

import numpy as np
import pytest
import xarray as xr

from kernelkit import schema
from kernelkit.data import feature, load
from kernelkit.errors import DataError


@pytest.fixture(scope="module")
def bars():
    return load("synthetic_minute", n=50)


def test_variables__have_meaning_and_known_dims():
    for row in schema.VARIABLES.values():
        assert row.long_name
        assert set(row.dims) <= set(schema.DIMS)
        assert row.dtype == "str" or np.dtype(row.dtype)


def test_metrics__are_those_of_the_result():
    assert len(schema.METRICS) == 16
    assert schema.VARIABLES["max_drawdown_duration"].units == "day"
    assert schema.CURVES == ("equity", "cash", "position", "drawdown", "account_equity", "account_cash")


def test_check_bars__accepts_loaded_bars_slices_and_features(bars):
    schema.check_bars(bars)
    schema.check_bars(bars.isel(time=slice(10, 20)))
    schema.check_bars(feature(bars, "one", np.ones(50), trusted=True))


def test_check__names_missing_variable_and_what_is_there(bars):
    with pytest.raises(DataError, match=r"variable 'close': found nothing.*There are: .*open"):
        schema.check(bars.drop_vars("close"))


def test_check__wrong_dtype(bars):
    with pytest.raises(DataError, match=r"dtype of 'close': found float32, wanted float64.*astype\('float64'\)"):
        schema.check(bars.assign(close=bars["close"].astype("float32")))


def test_check__microseconds_are_not_nanoseconds(bars):
    coarse = bars["known_at"].astype("datetime64[us]")
    with pytest.raises(DataError, match=r"dtype of 'known_at': found datetime64\[us\]"):
        schema.check(bars.assign_coords(known_at=coarse))


def test_check__transposed_bars(bars):
    with pytest.raises(DataError, match=r"dims of 'open'.*transpose\('time', 'asset'\)"):
        schema.check(bars.transpose("asset", "time"))


def test_check__age_of_a_feature_must_be_int64(bars):
    wrong = feature(bars, "one", np.ones(50), trusted=True)
    wrong["age.one"] = wrong["age.one"].astype("float64")
    with pytest.raises(DataError, match=r"age\.one"):
        schema.check(wrong)


def test_check__metrics_may_have_further_dims():
    sweep = xr.Dataset({"sharpe_ratio": ("fast", np.zeros(3))})
    schema.check(sweep, ["sharpe_ratio"])
    curve = xr.Dataset({"equity": (("fast", "time"), np.zeros((3, 2)))})
    schema.check(curve, ["equity"])
    with pytest.raises(DataError, match="dims of 'equity'"):
        schema.check(curve.transpose(), ["equity"])


def test_check__unknown_name():
    with pytest.raises(DataError, match="variable name: found 'closing'"):
        schema.check(xr.Dataset(), ["closing"])


def test_check_bars__empty_selection(bars):
    with pytest.raises(DataError, match="at least one bar"):
        schema.check_bars(bars.isel(time=slice(0, 0)))


def test_check_bars__asset_twice(bars):
    with pytest.raises(DataError, match="SYNTH more than once"):
        schema.check_bars(xr.concat([bars, bars], "asset", data_vars="all", coords="minimal", compat="override"))


@pytest.mark.parametrize(
    ("rows", "match"), [([1, 0], "before bar 0 is known"), ([0, 0], "before bar 0 is known"), ([0, 2, 1], "open_at of")]
)
def test_check_bars__clock_must_run_forward(bars, rows, match):
    with pytest.raises(DataError, match=match):
        schema.check_bars(bars.isel(time=rows))


def test_check_clock__known_before_open():
    with pytest.raises(DataError, match=r"known_at of bar 1.*not after its open_at"):
        schema.check_clock(np.array([0, 10]), np.array([5, 10]))


def test_label__writes_units_and_keeps_own_attrs():
    ds = xr.Dataset({"fees": ((), 1.0, {"units": "EUR"}), "z": ((), 2.0)})
    schema.label(ds)
    assert ds["fees"].attrs == {"long_name": "fees paid", "units": "EUR"}
    assert ds["z"].attrs == {}
