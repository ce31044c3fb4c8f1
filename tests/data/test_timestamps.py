"""The advice for a frame without times as its index does what it says where it is typed."""

import io

import pandas as pd
import pytest

from kernelkit.data import from_pandas
from kernelkit.errors import DataError

DAYS = pd.to_datetime(["2024-03-07", "2024-03-08", "2024-03-11"])


def advised(bad, **reading):
    """The frame that the advice of the error makes."""
    with pytest.raises(DataError, match="wanted a DatetimeIndex") as caught:
        from_pandas(bad, **reading)
    text = str(caught.value)
    advice = text[text.index("frame.set_index") :].partition(". With")[0].removesuffix(".")
    return eval(advice, {"frame": bad, "pd": pd})


@pytest.mark.parametrize("name", ["Date", "TIME", "timestamp", "DateTime"])
def test_column_of_text__is_parsed_and_set(frame, name):
    sound = frame(DAYS)
    bad = pd.read_csv(io.StringIO(sound.rename_axis(name).to_csv()))
    assert from_pandas(advised(bad), calendar="XNYS").identical(from_pandas(sound, calendar="XNYS"))


def test_column_of_times__is_set_whatever_its_name(frame):
    sound = frame(DAYS)
    bad = sound.rename_axis("when").reset_index()
    assert from_pandas(advised(bad), calendar="XNYS").identical(from_pandas(sound, calendar="XNYS"))


def test_columns_of_day_and_hour__are_joined(frame):
    sound = frame(pd.date_range("2024-03-07 09:30", periods=5, freq="1min"))
    bad = sound.reset_index(drop=True)
    bad = bad.assign(Date=sound.index.strftime("%Y-%m-%d"), Time=sound.index.strftime("%H:%M:%S"))
    reading = {"calendar": "XNYS", "label": "open", "tz": "America/New_York"}
    assert from_pandas(advised(bad), **reading).identical(from_pandas(sound, **reading))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_column_of_counts__is_read_in_the_unit_that_fits(frame, minutes, unit):
    sound = frame(minutes(5))
    bad = sound.reset_index(drop=True).assign(timestamp=sound.index.as_unit(unit).asi8)
    reading = {"calendar": "24/7", "label": "open"}
    assert from_pandas(advised(bad), **reading).identical(from_pandas(sound, **reading))


@pytest.mark.parametrize("index_col", [0, None])
def test_offsets_that_change__as_vendors_export_them(frame, index_col):
    sound = frame(pd.DatetimeIndex(["2024-03-08 15:59", "2024-03-11 09:30", "2024-03-11 09:31"], tz="America/New_York"))
    bad = pd.read_csv(io.StringIO(sound.rename_axis("Date").to_csv()), index_col=index_col, parse_dates=True)
    assert len({str(at)[-6:] for at in (bad.index if index_col == 0 else bad["Date"])}) == 2
    reading = {"calendar": "XNYS", "label": "open", "bar": "1min", "tz": "America/New_York"}
    assert from_pandas(advised(bad, **reading), **reading).identical(from_pandas(sound, **reading))


def test_days_with_offsets__need_the_zone_that_the_advice_names(frame):
    sound = frame(DAYS.tz_localize("America/New_York"))
    bad = pd.read_csv(io.StringIO(sound.to_csv()), index_col=0)
    with pytest.raises(DataError, match='With dates, pass tz="America/New_York"'):
        from_pandas(bad)
    read = from_pandas(advised(bad), calendar="XNYS", tz="America/New_York")
    assert read.identical(from_pandas(sound, calendar="XNYS"))


def test_index__comes_before_what_is_missing_of_the_settings(frame):
    with pytest.raises(DataError, match="index of 'asset': found RangeIndex"):
        from_pandas(frame(DAYS).reset_index(drop=True), calendar=None)


def test_text_that_is_no_time__gets_no_expression_that_fails(frame):
    bad = frame(DAYS).assign(date="soon").reset_index(drop=True)
    with pytest.raises(DataError, match=r"set_index\(pd.to_datetime\(\.\.\.\)\), given the column"):
        from_pandas(bad)
