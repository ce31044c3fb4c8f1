"""From frames to bars: alignment, instruments, attributes."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelkit import schema
from kernelkit.data import CalendarWarning, from_pandas
from kernelkit.errors import DataError


def test_bars__keep_the_schema_and_the_layout_of_the_kernel(frame, minutes):
    bars = from_pandas(frame(minutes(30)), label="open", calendar="24/7")
    schema.check_bars(bars)
    for name in (*schema.PRICES, "volume", "valid"):
        assert bars[name].values.flags.c_contiguous
        assert bars[name].attrs["long_name"]
    assert bars["valid"].values.all()


def test_values__are_the_frame_s_on_the_given_tick(frame, minutes):
    source = frame(minutes(200)).round(2)
    source["high"] += 0.02
    source["low"] -= 0.02
    source = source.round(2)
    bars = from_pandas(source, label="open", calendar="24/7", tick_size=0.01)
    for name in (*schema.PRICES, "volume"):
        assert np.array_equal(bars[name].values[:, 0], source[name].to_numpy())
    assert (bars["tick"].item(), bars["inverse"].item()) == (0.01, 100)
    assert bars.attrs["max_snap_error"] == 0.0
    assert bars.attrs["derived_ticks"] == []


def test_tick__prices_between_ticks_are_named_not_rounded(frame, minutes):
    source = frame(minutes(10)).round(2)
    source["high"], source["low"] = source["high"] + 1.0, source["low"] - 1.0
    source = source.round(2)
    source.iloc[[4, 6], 3] += 0.005
    with pytest.raises(DataError, match=r"prices of 'asset': found 2 rows off the grid: row 4 \(.*: close \d+\.\d*5\)"):
        from_pandas(source, label="open", calendar="24/7", tick_size=0.01)


def test_tick__float_noise_below_a_millionth_is_put_on_the_grid(minutes):
    noisy = 0.1 + 0.2
    source = pd.DataFrame({name: [noisy] for name in schema.PRICES}, index=minutes(1))
    bars = from_pandas(source, label="open", bar="1min", calendar="24/7", tick_size=0.01)
    assert noisy != 0.3
    assert bars["close"].item() == 0.3


def test_tick__derived_grid_states_the_largest_change(frame, minutes):
    source = frame(minutes(500))
    bars = from_pandas(source, label="open", calendar="24/7")
    changes = [np.abs(bars[name].values[:, 0] / source[name].to_numpy() - 1.0).max() for name in schema.PRICES]
    assert bars.attrs["max_snap_error"] == max(changes) > 0.0
    assert 2**30 <= source["close"].iloc[0] / bars["tick"].item() < 2**31
    assert np.array_equal(bars["close"].values % bars["tick"].values, np.zeros((500, 1)))


def test_lots__default_to_whole_shares_and_parts_of_coins(frame, minutes):
    days = pd.date_range("2021-03-01", periods=3)
    assert from_pandas(frame(days), calendar="XNYS")["lot"].item() == 1.0
    assert from_pandas(frame(days), calendar="24/7")["lot"].item() == 2.0**-20
    assert from_pandas(frame(days), calendar="24/7", lot_size=0.001)["lot"].item() == 0.001
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(DataError, match="lot_size of 'asset'"):
            from_pandas(frame(days), calendar="24/7", lot_size=wrong)


def test_several_assets__have_their_own_instruments(frame, minutes):
    frames = {"A": frame(minutes(20)).round(1) // 1 + 0.5, "B": frame(minutes(20), start=7.0, seed=1)}
    bars = from_pandas(
        frames,
        label="open",
        calendar="24/7",
        tick_size={"A": 0.5},
        multiplier={"A": 50.0},
        currency={"A": "EUR"},
        about={"asset_id": {"A": "X:A"}, "source": "test", "tradable": 0},
    )
    assert bars["asset"].values.tolist() == ["A", "B"]
    assert bars["asset_id"].values.tolist() == ["X:A", "B"]
    assert bars["tick"].values[0] == 0.5
    assert bars["multiplier"].values.tolist() == [50.0, 1.0]
    assert bars["currency"].values.tolist() == ["EUR", "USD"]
    assert bars.attrs["derived_ticks"] == ["B"]
    assert (bars.attrs["name"], bars.attrs["source"], bars.attrs["tradable"]) == ("A, B", "test", 0)
    with pytest.raises(DataError, match="tick_size by asset: found C"):
        from_pandas(frames, label="open", calendar="24/7", tick_size={"C": 0.5})


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sets(st.integers(0, 30), min_size=1), min_size=1, max_size=4))
def test_several_assets__share_the_union_of_their_times(rows):
    index = pd.date_range("2021-01-01 00:01", periods=31, freq="1min", tz="UTC")
    frames = {}
    for a, kept in enumerate(rows):
        prices = 100.0 + a + np.array(sorted(kept)) / 64
        frames[f"A{a}"] = pd.DataFrame(dict.fromkeys(schema.PRICES, prices), index=index[sorted(kept)])
    bars = from_pandas(frames, label="open", bar="1min", calendar="24/7")
    union = sorted(set().union(*rows))
    assert np.array_equal(bars["time"].values, index[union].tz_localize(None).values.astype("datetime64[ns]"))
    for a, kept in enumerate(rows):
        valid = bars["valid"].values[:, a]
        assert [t for t, ok in zip(union, valid, strict=True) if ok] == sorted(kept)
        assert bars["close"].values[valid, a].tolist() == (100.0 + a + np.array(sorted(kept)) / 64).tolist()
        for name in (*schema.PRICES, "volume"):
            assert np.isnan(bars[name].values[~valid, a]).all()


def test_several_assets__errors_name_the_rows_of_the_own_frame(frame):
    days = pd.to_datetime(["2021-07-01", "2021-07-02", "2021-07-06"])
    holiday = pd.to_datetime(["2021-07-02", "2021-07-05"])
    with pytest.raises(DataError, match=r"dates of 'B': found 1 row without a session: row 1 \(2021-07-05\)"):
        from_pandas({"A": frame(days), "B": frame(holiday)}, calendar="XNYS")


def test_several_assets__indices_of_different_kinds(frame, minutes):
    days = pd.date_range("2021-03-01", periods=3)
    with pytest.raises(DataError, match=r"indices.*same for all assets"):
        from_pandas({"A": frame(days), "B": frame(minutes(3))}, calendar="24/7", label="open")


def test_frames__empty_dict():
    with pytest.raises(DataError, match="frames: found an empty dict"):
        from_pandas({}, calendar="24/7")


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 59))
def test_truncation__fewer_rows_are_the_beginning_of_more(n):
    index = pd.date_range("2021-01-01", periods=60, freq="1min", tz="UTC")
    prices = 50.0 + np.arange(60) / 3.0
    source = pd.DataFrame(dict.fromkeys(schema.PRICES, prices), index=index)
    whole = from_pandas(source, label="open", bar="1min", calendar="24/7")
    part = from_pandas(source.iloc[:n], label="open", bar="1min", calendar="24/7")
    assert part.drop_attrs().identical(whole.isel(time=slice(n)).drop_attrs())


def test_source__is_not_changed(frame, minutes):
    source = frame(minutes(20))
    before = source.copy(deep=True)
    bars = from_pandas(source, label="open", calendar="24/7")
    bars["close"].values[:] = 0.0
    pd.testing.assert_frame_equal(source, before)


def test_like__reads_more_bars_on_the_same_grid(frame, minutes):
    index, source = minutes(40), frame(minutes(40))
    bars = from_pandas(
        {"A": source.iloc[:20]}, label="close", calendar="24/7", lot_size=0.5, currency="EUR", name="mine"
    )
    more = from_pandas(source.iloc[20:], like=bars)
    for name in ("tick", "inverse", "lot", "multiplier", "currency", "asset", "asset_id"):
        assert more[name].identical(bars[name])
    assert np.array_equal(more["known_at"].values, index[20:].tz_localize(None).values.astype("datetime64[ns]"))
    assert more.attrs["name"] == "mine"
    with pytest.raises(DataError, match="also tick_size"):
        from_pandas(source, like=bars, tick_size=0.01)
    with pytest.raises(DataError, match="frames: found B, wanted A"):
        from_pandas({"B": source}, like=bars)


def test_like__a_given_tick_stays_binding(frame, minutes):
    source = frame(minutes(20)).round(0)
    source["high"], source["low"] = source["high"] + 5, source["low"] - 5
    source = source.round(0)
    bars = from_pandas(source.iloc[:10], label="open", calendar="24/7", tick_size=1.0)
    with pytest.raises(DataError, match="off the grid"):
        from_pandas(source.iloc[10:] + 0.5, like=bars)


@pytest.mark.parametrize("label", ["open", "close"])
def test_weekdays_alone__are_no_market_that_never_closes(frame, label):
    days = pd.bdate_range("2021-03-01", periods=15)
    with pytest.warns(CalendarWarning, match=r'none on \w+s or \w+s in 15 days.* Pass calendar="XNYS"') as told:
        bars = from_pandas(frame(days), label=label, calendar="24/7")
    assert told[0].filename == __file__
    assert bars.attrs["periods_per_year"] == 365
    hours = pd.date_range("2021-03-01", "2021-03-26", freq="1h", inclusive="left")
    with pytest.warns(CalendarWarning, match='or "24/5"'):
        from_pandas(frame(hours[hours.day_of_week < 5]), label="open", calendar="24/7")
    with pytest.warns(CalendarWarning, match="none on Saturdays in"):  # as currencies are traded
        from_pandas(frame(hours[hours.day_of_week != 5]), label="open", calendar="24/7")


def test_weekdays_alone__are_told_from_what_is_short_or_has_gaps(frame):
    """A warning is an error here."""
    every = pd.date_range("2021-03-01", periods=30)
    for days in (every, every[every.day_of_week < 5][:9], every[every.day_of_week < 3], every.drop("2021-03-06")):
        from_pandas(frame(days), calendar="24/7")
    from_pandas(frame(every[every.day_of_week < 5]), calendar="XNYS")
