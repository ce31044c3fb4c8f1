"""The identity of bars: the same for the same bars, however they came together; another for any other."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernelkit.data import append, feature, from_pandas, lineage
from kernelkit.schema import PRICES

INDEX = pd.date_range("2021-01-01", periods=100, freq="1min", tz="UTC")


def source(n=100):
    prices = 50.0 + np.sin(np.arange(100.0))
    columns = dict.fromkeys(("open", "close"), prices) | {"high": prices + 1, "low": prices - 1, "volume": prices}
    return pd.DataFrame(columns, index=INDEX).iloc[:n]


def bars_of(frame, **settings):
    return from_pandas({"A": frame}, label="open", bar="1min", calendar="24/7", **settings)


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(lineage, "PIECE", 16)


def test_lineage__is_stable_and_independent_of_label_texts():
    bars = bars_of(source())
    assert bars.attrs["lineage"] == bars_of(source(), name="other", about={"note": "x"}).attrs["lineage"]
    closing = source().set_axis(INDEX + pd.Timedelta("1min"))
    closed = from_pandas({"A": closing}, label="close", bar="1min", calendar="24/7")
    assert closed.attrs["lineage"] == bars.attrs["lineage"]
    # Pinned: ids are stored in ledgers, so they may change only together with lineage.FORMAT.
    assert lineage.FORMAT == "kernelkit bars 1"


def test_lineage__one_bit_or_one_setting_changes_it(small_pieces):
    seen = {bars_of(source()).attrs["lineage"]}
    for row in (0, 15, 16, 50, 95, 99):
        for name in (*PRICES, "volume"):
            other = source().copy()
            other.iloc[row, other.columns.get_loc(name)] *= 1.0 + (1e-3 if name in ("high", "volume") else -1e-3)
            if name in ("open", "close"):
                assert (other["low"] < other[name]).all()
            seen.add(bars_of(other).attrs["lineage"])
    for changed in ({"lot_size": 0.5}, {"multiplier": 2.0}, {"currency": "EUR"}, {"about": {"asset_id": {"A": "B"}}}):
        seen.add(bars_of(source(), **changed).attrs["lineage"])
    seen.add(bars_of(source(99)).attrs["lineage"])
    assert len(seen) == 1 + 6 * 5 + 4 + 1


def test_lineage__a_missing_bar_is_not_a_bar(small_pieces):
    both = from_pandas({"A": source(), "B": source()}, label="open", bar="1min", calendar="24/7")
    hole = from_pandas({"A": source(), "B": source().drop(INDEX[40])}, label="open", bar="1min", calendar="24/7")
    assert both.attrs["lineage"] != hole.attrs["lineage"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(1, 99), max_size=4))
def test_append__in_any_parts_gives_the_id_and_bars_of_the_whole(small_pieces, cuts):
    whole, edges = bars_of(source()), [0, *sorted(cuts), 100]
    parts = [source().iloc[a:b] for a, b in pairwise(edges)]
    bars = bars_of(parts[0])
    for part in parts[1:]:
        bars = append(bars, part)
    assert bars.identical(whole)


def test_append__hashes_only_what_follows_the_last_full_piece(small_pieces, monkeypatch):
    bars, hashed = bars_of(source(90)), []
    later = from_pandas(source().iloc[90:], like=bars)
    digest = lineage._digest
    monkeypatch.setattr(lineage, "_digest", lambda *a: hashed.append(a[2]) or digest(*a))
    append(bars, later)
    assert min(hashed) == 80


def test_is_whole__neither_slices_nor_edits(small_pieces):
    bars = bars_of(source())
    assert lineage.is_whole(bars)
    for part in (slice(0, 99), slice(1, None), slice(16, None), slice(0, 96)):
        assert not lineage.is_whole(bars.isel(time=part))
    edited = bars.copy(deep=True)
    edited["close"].values[99] += 1.0
    assert not lineage.is_whole(edited)
    assert not lineage.is_whole(
        from_pandas({"A": source(), "B": source()}, label="open", calendar="24/7").isel(asset=[0])
    )


def test_slices__keep_instruments_and_lineage():
    bars = bars_of(source())
    part = bars.sel(time=slice("2021-01-01T00:10", "2021-01-01T00:20"))
    assert part.attrs == bars.attrs
    assert part["tick"].identical(bars["tick"])
    assert part["close"].values.flags.c_contiguous


def test_feature__is_part_of_the_lineage():
    bars = bars_of(source())
    one = feature(bars, "one", np.arange(100.0), trusted=True)
    others = [
        feature(bars, "two", np.arange(100.0), trusted=True),
        feature(bars, "one", np.arange(100.0) + 1.0, trusted=True),
        feature(bars, "one", pd.Series(np.arange(100.0), INDEX), known_at=pd.Timedelta(0)),
    ]
    assert len({bars.attrs["lineage"], one.attrs["lineage"], *(o.attrs["lineage"] for o in others)}) == 5
    assert one.attrs["lineage"] == feature(bars, "one", np.arange(100.0), trusted=True).attrs["lineage"]
