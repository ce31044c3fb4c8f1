"""Features are point in time: a value is seen only from when it was known, and its age with it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelkit.data import feature, from_pandas
from kernelkit.errors import DataError
from kernelkit.schema import PRICES, check_bars

MINUTE = 60_000_000_000
INDEX = pd.date_range("2021-01-01", periods=20, freq="1min", tz="UTC")
START = INDEX[0].value


def flat(assets=1):
    frame = pd.DataFrame(dict.fromkeys(PRICES, 5.0), index=INDEX)
    frames = {f"A{a}": frame for a in range(assets)}
    return from_pandas(frames, label="open", bar="1min", calendar="24/7")


BARS = flat()


def at(ns):
    return pd.DatetimeIndex(np.array(ns, dtype="int64").view("datetime64[ns]"))


def slow(bars, values, known, index, max_age):
    """What each bar sees, by looking at every row for every bar."""
    found, ages = [], []
    for now in bars["known_at"].values.astype("int64"):
        rows = [r for r in range(len(values)) if known[r] <= now]
        if not rows:
            found.append(np.nan)
            ages.append(-1)
            continue
        row = max(rows, key=lambda r: (index[r] if index is not None else 0, known[r], r))
        age = int(now - known[row])
        found.append(np.nan if max_age is not None and age > max_age else values[row])
        ages.append(age)
    return found, ages


@settings(max_examples=200, deadline=None)
@given(data=st.data(), n=st.integers(1, 12), indexed=st.booleans(), limited=st.booleans())
def test_feature__equals_the_slow_definition(data, n, indexed, limited):
    offsets = st.integers(-5 * MINUTE, 25 * MINUTE) | st.integers(-5, 25).map(lambda m: m * MINUTE)
    index = [START + data.draw(offsets) for _ in range(n)] if indexed else None
    delays = st.integers(0, 10 * MINUTE) | st.sampled_from([0, MINUTE])
    known = [i + data.draw(delays) for i in index] if indexed else [START + data.draw(offsets) for _ in range(n)]
    max_age = data.draw(st.integers(0, 10 * MINUTE)) if limited else None
    values = np.arange(float(n))
    series = pd.Series(values, at(index)) if indexed else values
    limit = None if max_age is None else pd.Timedelta(max_age, "ns")
    made = feature(BARS, "f", series, known_at=at(known), max_age=limit)
    found, ages = slow(BARS, values, known, index, max_age)
    np.testing.assert_array_equal(made["x.f"].values[:, 0], found)
    assert made["age.f"].values[:, 0].tolist() == ages


@settings(max_examples=50, deadline=None)
@given(t=st.integers(1, 20), known=st.lists(st.integers(-5, 25), min_size=1, max_size=10))
def test_feature__later_rows_and_bars_change_nothing_before(t, known):
    times, values = [START + k * MINUTE for k in known], np.arange(float(len(known)))
    whole = feature(BARS, "f", values, known_at=at(times))
    seen = [i for i, k in enumerate(times) if k <= BARS["known_at"].values.astype("int64")[t - 1]]
    early = BARS.isel(time=slice(t))
    if not seen:
        assert np.isnan(whole["x.f"].values[:t]).all()
        return
    part = feature(early, "f", values[seen], known_at=at([times[i] for i in seen]))
    for name in ("x.f", "age.f"):
        np.testing.assert_array_equal(part[name].values, whole[name].values[:t])


def test_feature__known_exactly_at_the_bar_s_close_is_seen_by_it():
    made = feature(BARS, "f", [1.0], known_at=at([START + 3 * MINUTE]))
    assert np.isnan(made["x.f"].values[:2, 0]).all()
    assert made["x.f"].values[2:, 0].tolist() == [1.0] * 18
    assert made["age.f"].values[:5, 0].tolist() == [-1, -1, 0, MINUTE, 2 * MINUTE]


def test_feature__late_revision_of_an_old_value_does_not_displace_a_newer_one():
    about = at([START, START + MINUTE, START])
    known = at([START + 2 * MINUTE, START + 3 * MINUTE, START + 5 * MINUTE])
    made = feature(BARS, "gdp", pd.Series([1.0, 2.0, 1.5], about), known_at=known)
    assert made["x.gdp"].values[[1, 2, 10], 0].tolist() == [1.0, 2.0, 2.0]


def test_feature__revision_of_the_newest_value_replaces_it():
    made = feature(
        BARS, "gdp", pd.Series([1.0, 1.5], at([START, START])), known_at=at([START + MINUTE, START + 4 * MINUTE])
    )
    assert made["x.gdp"].values[[0, 3, 10], 0].tolist() == [1.0, 1.5, 1.5]


def test_feature__delay_after_the_own_index_in_any_zone():
    series = pd.Series([1.0, 2.0], at([START, START + 5 * MINUTE]))
    plain = feature(BARS, "f", series, known_at="2min")
    assert np.flatnonzero(plain["x.f"].values[:, 0] == 2.0)[0] == 6
    zoned = series.tz_localize("UTC").tz_convert("Asia/Tokyo")
    assert feature(BARS, "f", zoned, known_at=pd.Timedelta("2min")).identical(plain)
    times = zoned.index + pd.Timedelta("2min")
    assert feature(BARS, "f", zoned, known_at=times).identical(plain)


def test_feature__one_column_per_asset():
    bars = flat(2)
    table = pd.DataFrame({"A1": [1.0, 2.0], "A0": [3.0, 4.0]}, index=at([START, START + 5 * MINUTE]))
    made = feature(bars, "f", table, known_at="0s")
    assert made["x.f"].values[-1].tolist() == [4.0, 2.0]
    check_bars(made)
    with pytest.raises(DataError, match="columns of feature 'f': found A1, wanted A0, A1"):
        feature(bars, "f", table[["A1"]], known_at="0s")


def test_feature__refused_without_known_at():
    with pytest.raises(
        DataError, match=r"feature 'f': found no known_at.*trusted=True, which every verdict then prints"
    ):
        feature(BARS, "f", np.ones(20))


def test_feature__trusted_is_marked_and_must_match_the_bars():
    made = feature(BARS, "f", pd.Series(np.arange(20.0), INDEX), trusted=True)
    assert made["x.f"].values[:, 0].tolist() == list(range(20))
    assert (made["age.f"].values == 0).all()
    assert made["x.f"].attrs["trusted"] == made["age.f"].attrs["trusted"] == 1
    assert feature(BARS, "f", np.ones(20), known_at=at([START] * 20))["x.f"].attrs["trusted"] == 0
    with pytest.raises(DataError, match="19 rows, wanted 20 rows"):
        feature(BARS, "f", np.ones(19), trusted=True)
    shifted = pd.Series(np.arange(20.0), INDEX + pd.Timedelta("1min"))
    with pytest.raises(DataError, match="row 0 of feature 'f': found 2021-01-01T00:01:00, wanted 2021-01-01T00:00:00"):
        feature(BARS, "f", shifted, trusted=True)


@pytest.mark.parametrize(
    ("series", "known_at", "match"),
    [
        (np.ones(3), at([START]), "known_at of feature 'f': found 1 times, wanted 3"),
        (np.ones(3), "1D", "rows with times of their own"),
        (
            pd.Series([1.0], at([START])),
            at([START - 1]),
            "row 0: found 2020-12-31T23:59:59.999999999, wanted not before",
        ),
        (pd.Series([1.0], at([START])), pd.DatetimeIndex([pd.NaT]), "1 NaT"),
        (pd.Series([1.0], pd.DatetimeIndex([pd.NaT])), "0s", "1 NaT"),
        (pd.Series([1.0], at([START])), "-1min", "duration of at least 0"),
        (pd.Series([1.0], at([START])), "soon", "known_at of feature 'f': found 'soon', wanted a duration"),
        (np.ones((3, 2)), at([START] * 3), r"shape of feature 'f': found \(3, 2\), wanted \(rows,\) or \(rows, 1\)"),
        (np.ones(0), at([]), "at least one row"),
    ],
)
def test_feature__what_does_not_fit_is_named(series, known_at, match):
    with pytest.raises(DataError, match=match):
        feature(BARS, "f", series, known_at=known_at)


def test_feature__name_must_fit_the_context_and_be_new():
    with pytest.raises(DataError, match="an identifier"):
        feature(BARS, "my feature", np.ones(20), trusted=True)
    with pytest.raises(DataError, match=r"drop_vars\(\['x.f', 'age.f'\]\)"):
        feature(feature(BARS, "f", np.ones(20), trusted=True), "f", np.ones(20), trusted=True)


def test_feature__does_not_touch_the_bars_it_is_added_to():
    before = BARS.copy(deep=True)
    made = feature(BARS, "f", np.ones(20), trusted=True)
    assert BARS.identical(before)
    assert made.drop_vars(["x.f", "age.f"]).drop_attrs().identical(BARS.drop_attrs())
