"""Every defect is refused with its row, its column, its count and a remedy."""

import numpy as np
import pandas as pd
import pytest

from kernelkit.data import quality
from kernelkit.errors import DataError

DAYS = pd.date_range("2020-01-06", periods=10, freq="D")


def spoilt(frame, column, rows, value):
    bad = frame(DAYS)
    bad.iloc[rows, bad.columns.get_loc(column)] = value
    return bad


def refused(bad):
    with pytest.raises(DataError) as caught:
        quality.columns(bad, "X")
    return str(caught.value)


def typed(text, after, until, **names):
    """What the advice of an error comes to where it is typed."""
    advice = text[text.index(after) + len(after) :].splitlines()[0]
    end = advice.rindex(until) if until == "." else advice.index(until)
    return eval(advice[:end], {"pd": pd, "np": np, **names})


def test_columns__names_are_matched_without_case_or_blanks(frame):
    sound = frame(DAYS)
    renamed = sound.rename(columns={"open": "Open", "high": " HIGH ", "close": "Close"})
    found, plain = quality.columns(renamed, "X"), quality.columns(sound, "X")
    assert set(found) == set(quality.COLUMNS)
    assert all(np.array_equal(found[name], plain[name]) for name in plain)


def test_columns__integers_and_nullable_numbers_become_float64(frame):
    bad = frame(DAYS).round().astype({"volume": "int64", "close": "Float64", "open": "float32"})
    bad["high"], bad["low"] = bad["high"] + 5, bad["low"] - 5
    assert {v.dtype for v in quality.columns(bad, "X").values()} == {np.dtype("float64")}


def test_columns__without_volume_it_is_unknown_not_zero(frame):
    assert np.isnan(quality.columns(frame(DAYS).drop(columns="volume"), "X")["volume"]).all()


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_price__not_finite(frame, column, value):
    text = refused(spoilt(frame, column, [3, 7], value))
    assert f"{column} is NaN or infinite in 2 rows: row 3 (2020-01-09: {column} {value:g}); row 7 (2020-01-13" in text
    assert "frame.drop(frame.index[[3, 7]])" in text


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
@pytest.mark.parametrize("value", [0.0, -1.5])
def test_price__not_positive(frame, column, value):
    text = refused(spoilt(frame, column, [4], value))
    assert f"{column} is not positive in 1 row: row 4 (2020-01-10: {column} {value:g})" in text


def test_high_and_low__inconsistent_rows_show_all_four_prices(frame):
    bad = frame(DAYS)
    bad.iloc[2, bad.columns.get_loc("high")] = bad["close"].iloc[2] * 0.5
    bad.iloc[5, bad.columns.get_loc("low")] = bad["open"].iloc[5] * 2.0
    text = refused(bad)
    assert "2 kinds of problem in 10 rows" in text
    assert "high is below open or close in 1 row: row 2 (2020-01-08: open" in text
    assert "low is above open or close in 1 row: row 5 (2020-01-11: open" in text


@pytest.mark.parametrize(
    ("prices", "word"),
    [
        ((10.0, 11.0, 9.0, 12.0), "high"),
        ((12.0, 11.0, 9.0, 10.0), "high"),
        ((10.0, 13.0, 11.0, 12.0), "low"),
        ((12.0, 13.0, 11.0, 10.0), "low"),
    ],
)
def test_high_and_low__are_held_against_open_and_against_close(prices, word):
    bad = pd.DataFrame(dict(zip(quality.PRICES, ([p] for p in prices), strict=True)), index=DAYS[:1])
    assert f"{word} is {'below' if word == 'high' else 'above'} open or close in 1 row" in refused(bad)


def test_high__equal_to_open_and_close_is_sound():
    flat = pd.DataFrame({name: [5.0] for name in quality.PRICES}, index=DAYS[:1])
    assert quality.columns(flat, "X")["high"].tolist() == [5.0]


def test_volume__negative_and_missing_are_told_apart(frame):
    assert "volume is negative in 1 row: row 1 (2020-01-07: volume -5)" in refused(spoilt(frame, "volume", [1], -5.0))
    text = refused(spoilt(frame, "volume", [1], np.nan))
    assert "volume is NaN or infinite in 1 row" in text
    assert "fillna({'volume': 0})" in text


def test_many_rows__three_are_shown_and_the_rest_counted(frame):
    text = refused(spoilt(frame, "close", list(range(10)), np.nan))
    assert text.count("row ") == 3
    assert "and 7 more" in text


def test_drop_advice__repairs_the_frame(frame):
    bad = spoilt(frame, "close", [0, 9], -1.0)
    text = refused(bad)
    advice = text[text.index("frame.drop(") :].splitlines()[0].rstrip(".")
    repaired = eval(advice, {"frame": bad})
    assert quality.columns(repaired, "X")["close"].size == 8


@pytest.mark.parametrize(
    ("order", "match"),
    [
        (
            [0, 2, 1, 3],
            r"row 2 \(2020-01-07\) earlier than row 1 \(2020-01-08\), 1 such steps.*frame.sort_index\(\)\.$",
        ),
        ([3, 2, 1, 0], r"3 such steps.*newest first"),
        ([0, 1, 1, 2], r"1 row with the timestamp of the row before: row 2 \(2020-01-07\).*duplicated"),
    ],
)
def test_index__order_and_repetition(frame, order, match):
    with pytest.raises(DataError, match=match):
        quality.columns(frame(DAYS).iloc[order], "X")


def test_index__nat(frame):
    bad = frame(DAYS)
    bad.index = DAYS.where(np.arange(10) != 4)
    assert "no time in 1 row: row 4 (NaT)" in refused(bad)


def test_index__not_times(frame):
    text = refused(frame(DAYS).reset_index(drop=True))
    assert "RangeIndex of int64, wanted a DatetimeIndex" in text
    assert "set_index(pd.to_datetime(...)), given the column" in text


def test_columns__an_adjusted_close_is_left_out_or_applied_to_all_prices(frame):
    sound = frame(DAYS)
    vendor = sound.rename(columns=str.title).assign(**{"Adj Close": sound["close"] * 0.5})
    text = refused(vendor)
    assert "unknown 'Adj Close'" in text
    assert "prices must be of one kind" in text
    assert "kk.data.with_actions" in text
    dropped = quality.columns(typed(text, "either drop it, ", ", and give", frame=vendor), "X")
    assert np.array_equal(dropped["close"], sound["close"])
    scaled = quality.columns(typed(text, "scale all of them as it is, ", ".", frame=vendor), "X")
    assert all(np.allclose(scaled[name], sound[name] * 0.5) for name in quality.PRICES)
    assert np.array_equal(scaled["volume"], sound["volume"])


@pytest.mark.parametrize(
    ("column", "value"), [("close", np.nan), ("open", -1.0), ("high", 1e-3), ("low", 1e6), ("volume", -1.0)]
)
def test_drop_advice__of_many_rows_is_an_expression_that_can_be_typed(frame, column, value):
    bad = frame(pd.date_range("2020-01-06", periods=100)).rename(columns=str.title)
    bad.iloc[:70, bad.columns.get_loc(column.title())] = value
    repaired = typed(refused(bad), "drop them: ", ".", frame=bad)
    assert quality.columns(repaired, "X")["close"].size == 30


def test_frame__empty(frame):
    assert "no rows" in refused(frame(DAYS).iloc[:0])


def test_frame__not_a_frame(frame):
    assert "found Series, wanted a pandas DataFrame" in refused(frame(DAYS)["close"])


def test_columns__unknown_are_named(frame):
    text = refused(frame(DAYS).assign(**{"Adj Close": 1.0, "dividend": 0.0}))
    assert "unknown 'Adj Close', 'dividend'" in text
    assert "kernelkit.data.feature" in text


def test_columns__missing_are_named(frame):
    assert "missing: high, low" in refused(frame(DAYS).drop(columns=["high", "low"]))


def test_columns__twice(frame):
    assert "found 'close' and 'Close'" in refused(frame(DAYS).assign(Close=1.0))


def test_columns__two_levels(frame):
    bad = pd.concat({"SPY": frame(DAYS)}, axis=1)
    assert "found 2 levels" in refused(bad)


def test_columns__text(frame):
    bad = frame(DAYS).astype({"close": object})
    bad["close"] = "1,234.5"
    text = refused(bad)
    assert "column 'close' of 'X'" in text
    assert "'1,234.5'" in text
    assert "pd.to_numeric" in text
