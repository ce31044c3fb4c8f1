"""Series as they were known at the time (M26)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import DataError

vintage = kk.data.vintage
ROWS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 9), st.integers(-50, 50).map(float)), min_size=1, max_size=25
)


def table(rows: list[tuple[int, int, float]]) -> tuple[pd.Series, pd.DatetimeIndex]:
    """Months and the days after each on which a value of it was published."""
    month = pd.DatetimeIndex([pd.Timestamp(2024, 1 + k, 1) for k, _, _ in rows])
    return pd.Series([v for _, _, v in rows], index=month), month + pd.to_timedelta([d for _, d, _ in rows], unit="D")


@settings(deadline=None, max_examples=80)
@given(ROWS, st.integers(0, 200))
def test_m26__what_was_known_is_what_a_loop_finds(rows: list[tuple[int, int, float]], day: int) -> None:
    series, known = table(rows)
    at = pd.Timestamp("2024-01-01") + pd.Timedelta(days=day)
    first: dict[pd.Timestamp, tuple[pd.Timestamp, float]] = {}
    last: dict[pd.Timestamp, tuple[pd.Timestamp, float]] = {}
    for month, when, value in zip(series.index, known, series, strict=True):
        if month not in first or when < first[month][0]:
            first[month] = (when, value)
        if when <= at and (month not in last or when >= last[month][0]):
            last[month] = (when, value)
    for wanted, how in ((first, None), (last, at)):
        if not wanted:
            with pytest.raises(DataError, match="vintage: values: found none known at"):
                vintage(series, known, at=how)
            continue
        found = vintage(series, known, at=how)
        assert found["time"].values.tolist() == [pd.Timestamp(k).as_unit("ns").value for k in sorted(wanted)]
        assert found.values.tolist() == [wanted[k][1] for k in sorted(wanted)]
        assert pd.DatetimeIndex(found["known_at"].values).tolist() == [wanted[k][0] for k in sorted(wanted)]


@settings(deadline=None, max_examples=40)
@given(ROWS, st.integers(0, 200))
def test_m26__what_is_published_later_changes_nothing(rows: list[tuple[int, int, float]], day: int) -> None:
    at = pd.Timestamp("2024-01-01") + pd.Timedelta(days=day)
    series, known = table([(0, 0, 1.0), *rows])
    now = known <= at
    changed = series.where(now, 999.0)
    assert vintage(changed, known, at=at).identical(vintage(series, known, at=at))
    assert vintage(series[now], known[now], at=at).identical(vintage(series, known, at=at))


def test_m26__a_delay_and_zones() -> None:
    months = pd.DatetimeIndex(["2024-01-31", "2024-02-29"], tz="America/New_York")
    series = pd.Series([1.0, 2.0], index=months, name="cpi")
    found = vintage(series, "12D")
    assert found.name == "cpi"
    np.testing.assert_array_equal(found["time"].values, months.tz_convert("UTC").tz_localize(None).to_numpy("M8[ns]"))
    assert (found["known_at"].values - found["time"].values == np.timedelta64(12, "D")).all()
    assert vintage(series, "12D", at="2024-02-13").values.tolist() == [1.0]
    assert vintage(series, "12D").attrs["vintage"] == "first published"


SERIES = pd.Series([1.0], index=pd.DatetimeIndex(["2024-01-31"]))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: vintage(pd.Series([1.0]), "1D"), "series: found a Series without times, wanted a Series with times"),
        (lambda: vintage([1.0], "1D"), "series: found a list without times"),  # type: ignore[arg-type]
        (lambda: vintage(SERIES, pd.DatetimeIndex(["2024-01-30"])), "wanted not before its own time"),
        (lambda: vintage(SERIES, "1D", at=2024), "vintage: at: found 2024, wanted a time"),
        (lambda: vintage(SERIES, "1D", at="2024-01-31"), "values: found none known at 2024-01-31, wanted at least one"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, text: str) -> None:
    with pytest.raises(DataError, match=text):
        call()
