"""Sealed spans: what is withheld, and that every look is counted and told."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit import ledger
from kernelkit.errors import DataError, UsageError
from kernelkit.ledger import SealedWarning


@kk.strategy
def hold(ctx, weight=1.0):  # type: ignore[no-untyped-def]
    ctx.target_percent(weight)


@pytest.fixture(scope="module")
def bars() -> xr.Dataset:
    out: xr.Dataset = kk.data.load("sp500_index").isel(time=slice(0, 1000))
    return out


@pytest.fixture(scope="module")
def minutes() -> xr.Dataset:
    """Round the clock, for some days."""
    out: xr.Dataset = kk.data.load("synthetic_minute", n=6000)
    return out


@pytest.mark.parametrize("last", ["1Y", "6M", "2W", "10D"])
def test_j9__the_newest_bars_are_withheld(home: Path, bars: xr.Dataset, last: str) -> None:
    """As pandas counts: the last year is what is later than the last label less one year."""
    kept = kk.seal(bars, last, note="for the end")
    times = bars.indexes["time"]
    unit = {"Y": "years", "M": "months", "W": "weeks", "D": "days"}[last[-1]]
    xr.testing.assert_identical(kept, bars.sel(time=times <= times[-1] - pd.DateOffset(**{unit: int(last[:-1])})))
    (row,) = ledger.rows("seal")
    assert (row["asset_ids"], row["note"]) == (["index:SPX"], "for the end")
    assert row["begin"] == bars["open_at"].values[kept.sizes["time"]].astype("datetime64[ns]").astype("i8")


def test_j9__a_run_before_the_seal_is_no_look(bars: xr.Dataset) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kk.backtest(bars, hold)
        kept = kk.seal(bars)
        kk.backtest(kept, hold)
        kk.backtest(bars, hold, end=kept["time"].values[-1])
    assert ledger.looks(["index:SPX"])[1] == []
    assert ledger.looks(["other"]) == (None, [])


def test_j9__each_look_is_counted_and_told(bars: xr.Dataset) -> None:
    kept = kk.seal(bars)
    first = pd.Timestamp(bars["open_at"].values[kept.sizes["time"]])
    with pytest.warns(SealedWarning, match=f"data from {first.date()} on are sealed: this is the first look") as told:
        kk.backtest(bars, hold, grid={"weight": [0.5, 1.0]})
    assert told[0].filename == __file__
    with pytest.warns(SealedWarning, match="this is look 2"):
        kk.backtest(bars, hold, debug=True)
    with pytest.warns(SealedWarning, match="this is look 3"):
        kk.backtest(bars, hold, fill_model=["lean", "zipline"])
    with pytest.warns(SealedWarning, match="this is look 4"):
        run = kk.start(bars, hold)
    with pytest.warns(SealedWarning, match="this is look 5"):
        run.result()
    since, found = ledger.looks(["index:SPX"])
    assert since == first.value
    assert [(look.strategy, look.role, look.trials) for look in found] == [
        ("hold", "rival", 2),
        ("hold", "debug", 1),
        ("hold", "rival", 1),
        ("hold", "rival", 1),
        ("hold", "rival", 1),
    ]


def test_j9__a_look_under_another_name_counts(bars: xr.Dataset) -> None:
    """A proxy is the same market; a second, earlier seal counts from when it was made on."""
    kk.seal(bars, "6M")
    ledger.sealed(["SPY"], 2**62, "so that the ledger knows it")
    ledger.proxy("index:SPX", "SPY")
    assert ledger.looks(["SPY"])[0] == ledger.looks(["index:SPX"])[0]
    half = bars.indexes["time"][-1] - pd.DateOffset(months=9)
    kk.backtest(bars, hold, end=half)
    kk.seal(bars, "1Y")
    with pytest.warns(SealedWarning, match="first look"):
        kk.backtest(bars, hold, end=half)
    assert len(ledger.looks(["SPY"])[1]) == 1


def test_j9__a_look_at_the_same_data_under_another_id_counts(bars: xr.Dataset) -> None:
    """Once the part that is not sealed was run under both."""
    kept = kk.seal(bars, "6M")
    kk.backtest(kept, hold)
    renamed = bars.assign_coords(asset_id=("asset", ["my:copy"]))
    kk.backtest(renamed, hold)
    assert len(ledger.looks(["index:SPX"])[1]) == 1
    assert len(ledger.looks(["my:copy"])[1]) == 1
    assert ledger.looks(["other"]) == (None, [])


def test_j9__a_clock_that_was_set_back_hides_no_look(bars: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does one that was ahead before the seal make a look of what ran then."""
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 1e6)
    kk.backtest(bars, hold)
    monkeypatch.setattr("time.time", lambda: now)
    kk.seal(bars)
    assert ledger.looks(["index:SPX"])[1] == []
    monkeypatch.setattr("time.time", lambda: now - 1e6)
    with pytest.warns(SealedWarning, match="first look"):
        kk.backtest(bars, hold)
    (seal,) = ledger.rows("seal")
    assert [look.at > seal["at"] > now for look in ledger.looks(["index:SPX"])[1]] == [True]


def test_j9__a_daily_bar_of_which_a_part_is_sealed_is_a_look(minutes: xr.Dataset) -> None:
    """Its label lies before the seal, its close does not; that of the day before is no look."""
    kept = kk.seal(minutes, "1D")  # the last label less a day: within a session
    frame = minutes.isel(asset=0).to_dataframe()
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    about = {"asset_id": {"SYNTH": str(minutes["asset_id"].values[0])}, "synthetic": True}
    days = {"SYNTH": frame[list(how)].resample("1D").agg(how)}
    daily = kk.data.from_pandas(days, label="open", bar="1D", calendar="24/7", about=about)
    day = np.searchsorted(daily["known_at"].values, minutes["open_at"].values[kept.sizes["time"]], side="right")
    begin = minutes["open_at"].values[kept.sizes["time"]]
    assert daily["open_at"].values[day] < begin < daily["known_at"].values[day]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kk.backtest(kept, hold)
        kk.backtest(daily.isel(time=slice(0, day)), hold)
    with pytest.warns(SealedWarning, match="first look"):
        kk.backtest(daily.isel(time=slice(0, day + 1)), hold)


def test_j9__walking_forward_into_it_is_a_look(bars: xr.Dataset) -> None:
    kk.seal(bars, "6M")
    with pytest.warns(SealedWarning):
        kk.walk_forward(bars, hold, grid={"weight": [0.5, 1.0]}, train="1Y", test="1Y")
    assert [look.role for look in ledger.looks(["index:SPX"])[1]].count("rival") == 1


def test_j9__a_project_without_a_seal_reads_no_trials(bars: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does one whose run ends before it: a large ledger is read for looks alone."""
    kk.backtest(bars, hold)
    asked: list[tuple[str, ...]] = []
    whole = ledger.seals.rows

    def noted(*kinds: str, **more: object) -> object:
        asked.append(kinds)
        return whole(*kinds, **more)

    monkeypatch.setattr(ledger.seals, "rows", noted)
    kk.backtest(bars, hold)
    kk.backtest(kk.seal(bars), hold)
    assert ("trials",) not in asked
    with pytest.warns(SealedWarning):
        kk.backtest(bars, hold)
    assert ("trials",) in asked


def test_j9__actions_in_the_sealed_span_are_withheld(bars: xr.Dataset) -> None:
    days = bars.indexes["time"][[100, 900]]
    told = pd.DataFrame({"time": days, "asset": "SPX", "kind": "dividend", "value": [1.0, 2.0]})
    acted = kk.data.with_actions(bars, told)
    kept = kk.seal(acted)
    assert kept["action_value"].values.tolist() == [1.0]
    alone = kk.data.with_actions(bars.isel(time=slice(0, kept.sizes["time"])), told[:1])
    np.testing.assert_array_equal(kk.backtest(kept, hold)["equity"], kk.backtest(alone, hold)["equity"])
    none = kk.seal(kk.data.with_actions(bars, told[1:]))
    np.testing.assert_array_equal(
        kk.backtest(none, hold)["equity"], kk.backtest(bars.isel(time=slice(0, none.sizes["time"])), hold)["equity"]
    )


def test_j9__what_cannot_be_sealed_is_refused(home: Path, bars: xr.Dataset) -> None:
    with pytest.raises(UsageError, match="last: found 30Y, wanted less than the bars'"):
        kk.seal(bars, "30Y")
    with pytest.raises(UsageError, match="last: found '1 year', wanted a duration"):
        kk.seal(bars, "1 year")
    with pytest.raises(DataError):
        kk.seal(bars.drop_vars("close"))
    assert list(ledger.rows()) == []
