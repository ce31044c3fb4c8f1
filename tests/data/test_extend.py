"""Appending: what may follow, and what may not."""

import pandas as pd
import pytest

from kernelkit.data import append, feature, from_pandas, load
from kernelkit.errors import DataError

DAYS = pd.to_datetime(
    ["2021-03-25", "2021-03-26", "2021-03-29", "2021-03-30", "2021-03-31", "2021-04-01", "2021-04-05"]
)


@pytest.fixture
def source(frame):
    return frame(DAYS)


def test_append__frames_of_several_assets_of_which_one_ended(frame):
    frames = {"A": frame(DAYS), "B": frame(DAYS, seed=1).iloc[:5]}
    whole = from_pandas(frames, calendar="XNYS")
    first = from_pandas({a: f.iloc[:3] for a, f in frames.items()}, calendar="XNYS")
    assert append(first, {a: f.iloc[3:] for a, f in frames.items()}).identical(whole)


def test_append__over_a_weekend_and_a_holiday_is_no_gap(source):
    bars = from_pandas(source.iloc[:6], calendar="XNYS")
    # 2 April 2021 is Good Friday.
    assert append(bars, source.iloc[6:]).identical(from_pandas(source, calendar="XNYS"))


def test_append__missing_session_is_named_and_may_be_allowed(source):
    bars = from_pandas(source.iloc[:2], calendar="XNYS")
    with pytest.raises(DataError, match="found 1 sessions without bars between 2021-03-26 and 2021-03-30"):
        append(bars, source.iloc[3:])
    assert append(bars, source.iloc[3:], allow_gap=True).sizes["time"] == 6


def test_append__missing_utc_day(frame):
    source = frame(pd.date_range("2021-03-01", periods=6))
    bars = from_pandas(source.iloc[:2], calendar="24/7")
    with pytest.raises(DataError, match="3 sessions"):
        append(bars, source.iloc[5:])


def test_append__without_a_calendar_no_session_is_missing(frame):
    source = frame(pd.date_range("2021-03-01", periods=6))
    bars, later = (from_pandas(part, calendar="24/7").assign_attrs(calendar="") for part in (source[:2], source[4:]))
    assert append(bars, later).sizes["time"] == 4


def test_append__overlap(source):
    bars = from_pandas(source.iloc[:4], calendar="XNYS")
    with pytest.raises(DataError, match=r"2 bars before the end.*Cut the overlap off"):
        append(bars, source.iloc[2:])


def test_append__bars_with_a_grid_of_their_own(source):
    bars = from_pandas(source.iloc[:4], calendar="XNYS")
    with pytest.raises(DataError, match=r"tick of the bars to append.*like=bars"):
        append(bars, from_pandas(source.iloc[4:] * 3.0, calendar="XNYS"))


def test_append__other_asset_or_calendar(source):
    bars = from_pandas({"A": source.iloc[:4]}, calendar="XNYS")
    other = from_pandas({"B": source.iloc[4:]}, calendar="XNYS")
    with pytest.raises(DataError, match=r"asset of the bars to append: found \['B'\], wanted \['A'\]"):
        append(bars, other)
    with pytest.raises(DataError, match="attrs\\['calendar'\\]"):
        append(bars, from_pandas({"A": source.iloc[4:]}, like=bars.assign_attrs(calendar="XTSE")))


def test_append__to_a_slice_gives_the_id_of_those_bars_loaded_afresh(source):
    part = from_pandas(source, calendar="XNYS").isel(time=slice(1, 4))
    joined = append(part, source.iloc[4:])
    assert joined.attrs["lineage"] != from_pandas(source, calendar="XNYS").attrs["lineage"]
    assert joined.attrs["lineage"] == from_pandas(source.iloc[1:], like=part).attrs["lineage"]


def test_append__features_come_afterwards(source):
    bars = from_pandas(source.iloc[:4], calendar="XNYS")
    with pytest.raises(DataError, match=r"x\.one, age\.one"):
        append(feature(bars, "one", [1.0, 2.0, 3.0, 4.0], trusted=True), source.iloc[4:])


def test_append__leaves_its_arguments_alone(source):
    bars = from_pandas(source.iloc[:4], calendar="XNYS")
    before = bars.copy(deep=True)
    append(bars, source.iloc[4:])
    assert bars.identical(before)


def test_append__to_the_embedded_index():
    whole = load("sp500_index")
    frame = whole.isel(asset=0, drop=True).to_dataframe()[["open", "high", "low", "close", "volume"]]
    first = from_pandas({"SPX": frame.iloc[:3000]}, calendar="XNYS", about={"asset_id": {"SPX": "index:SPX"}})
    assert append(first, {"SPX": frame.iloc[3000:]}).attrs["lineage"] == whole.attrs["lineage"]
