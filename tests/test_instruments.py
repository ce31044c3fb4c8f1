"""What a venue lists: steps that must be the bars' own, sizes of orders by asset (rule O15)."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError, OrderError


def bars(*names: str) -> xr.Dataset:
    """Days at 100, in cents and thousandths."""
    index = pd.date_range("2024-01-01", periods=6, freq="D", tz="UTC")
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), 100.0) | {"volume": 1e6}, index=index)
    frames = dict.fromkeys(names, frame)
    return kk.data.from_pandas(frames, label="open", bar="1D", calendar="24/7", tick_size=0.01, lot_size=0.001)


LISTED = {
    "A": kk.Instrument(min_quantity=2.0, max_quantity=8.0),
    "B": kk.Instrument(min_notional=600.0),
    "Z": kk.Instrument(min_quantity=1e9),  # listed, but not among the bars
}


@kk.portfolio
def ladder(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        for k in ctx.tradable:
            ctx[k].buy(1.0)
            ctx[k].buy(5.0)
            ctx[k].buy(9.0)


@kk.strategy
def same(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx.buy(1.0)
        ctx.buy(5.0)
        ctx.buy(9.0)


ENDS = {
    "A": ["below_minimum", "", "above_maximum"],
    "B": ["below_minimum", "below_minimum", ""],
    "C": ["below_minimum", "", ""],
}


@pytest.mark.parametrize("debug", [False, True])
def test_o15__each_asset_of_a_portfolio_has_its_sizes(debug: bool) -> None:
    venue = kk.Venue("listing", min_quantity=1.5, instruments=LISTED)
    orders = kk.orders(kk.backtest(bars("A", "B", "C"), ladder, venue=venue, debug=debug))
    for name, part in orders.groupby("asset"):
        assert part["reason"].tolist() == ENDS[name], name


def test_o15__separate_accounts_have_them_too() -> None:
    venue = kk.Venue("listing", min_quantity=1.5, instruments=LISTED)
    res = kk.backtest(bars("A", "B", "C"), same, venue=venue)
    for name, ends in ENDS.items():
        assert kk.orders(res.sel(asset=name))["reason"].tolist() == ends


def test_o15__of_several_venues_each_has_its_listing() -> None:
    venues = {"A": kk.Venue("one", instruments=LISTED), "B": kk.Venue("two", instruments=LISTED)}
    venues |= {"C": kk.Venue("three")}
    orders = kk.orders(kk.backtest(bars("A", "B", "C"), ladder, venue=venues))
    found = {name: part["reason"].tolist() for name, part in orders.groupby("asset")}
    assert found == ENDS | {"C": ["", "", ""]}


def test_s6__a_target_comes_in_parts_of_its_asset() -> None:
    @kk.portfolio
    def aim(ctx):  # type: ignore[no-untyped-def]
        for k in ctx.tradable:
            ctx[k].target(20.0)

    res = kk.backtest(bars("A", "C"), aim, venue=kk.Venue("listing", instruments=LISTED))
    assert res["position"].sel(asset="A").values.tolist() == [0.0, 8.0, 16.0, 20.0, 20.0, 20.0]
    assert res["position"].sel(asset="C").values.tolist() == [0.0, 20.0, 20.0, 20.0, 20.0, 20.0]


def test_o15__a_run_that_goes_on_and_why_know_them(tmp_path: Any) -> None:
    venue = kk.Venue("listing", instruments=LISTED)
    data = bars("A", "B")
    run = kk.start(data.isel(time=slice(0, 2)), ladder, venue=venue)
    run.save(tmp_path / "run")
    res = kk.resume(tmp_path / "run", ladder).feed(data.isel(time=slice(2, None))).result()
    assert float(res["final_equity"]) == float(kk.backtest(data, ladder, venue=venue)["final_equity"])
    assert "9 of at most 8" in str(kk.why(kk.backtest(data, ladder, venue=venue), 3))


@pytest.mark.parametrize(
    ("listed", "wrong"),
    [
        (kk.Instrument(tick_size=0.05), "tick_size of A: found 0.01 in the bars, wanted 0.05 at listing"),
        (kk.Instrument(lot_size=1.0), "lot_size of A: found 0.001 in the bars, wanted 1 at listing"),
        (kk.Instrument(multiplier=50.0), "multiplier of A: found 1 in the bars, wanted 50 at listing"),
    ],
)
@pytest.mark.parametrize("strategy", [same, ladder])
def test_a_venue_that_disagrees_with_the_bars_is_refused(listed: Any, wrong: str, strategy: Any) -> None:
    with pytest.raises(DataError, match=wrong):
        kk.backtest(bars("A"), strategy, venue=kk.Venue("listing", instruments={"A": listed}))
    agrees = kk.Instrument(tick_size=0.01, lot_size=0.001, multiplier=1.0)
    kk.backtest(bars("A"), strategy, venue=kk.Venue("listing", instruments={"A": agrees}))


@pytest.mark.parametrize(
    ("made", "wrong"),
    [
        (lambda: kk.Instrument(tick_size=0.0), "tick_size of the instrument: found 0.0"),
        (lambda: kk.Instrument(min_notional=True), "min_notional of the instrument: found True"),
        (lambda: kk.Instrument(min_quantity=3.0, max_quantity=2.0), "no more than max_quantity"),
        (lambda: kk.Venue("v", instruments=[kk.Instrument()]), "wanted a kk.Instrument by asset"),
        (lambda: kk.Venue("v", instruments={"A": 5.0}), "wanted a kk.Instrument by asset"),
    ],
)
def test_what_is_no_instrument_is_refused(made: Any, wrong: str) -> None:
    with pytest.raises(OrderError, match=wrong):
        made()
