"""Where two results part, and why: one thing is changed at a time, and has to be named."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk

BARS = kk.data.load("sp500_index").isel(time=slice(0, 600))
VENUE = kk.venues.fraction(0.0005, 0.0005)


@kk.strategy
def trend(ctx, n=20):
    if ctx.close[0] > ctx.close.sma(n):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)


def run(bars=BARS, strategy=trend, n=20, venue=VENUE, **keywords):
    return kk.backtest(bars, strategy, {"n": n}, venue=venue, start=keywords.pop("start", "1999-09"), **keywords)


BASE = run()


def test_diff__of_the_same_run_twice_is_none():
    found = kk.diff(BASE, run())
    assert found.same
    assert found.sentence == "The results are the same to the last bit."
    assert found.bar is found.order is found.fill is None


def test_diff__says_what_is_not_the_same_of_equal_results():
    @kk.strategy
    def flat(ctx):
        pass

    one, other = (kk.backtest(BARS, flat, venue=venue) for venue in (VENUE, kk.venues.fraction(0.1, 0.0)))
    found = kk.diff(one, other)
    assert found.same
    assert [cause.what for cause in found.others] == ["fees", "slippage"]


@pytest.mark.parametrize(
    ("other", "stage", "kind", "what"),
    [
        (lambda: run(n=21), "decision", "parameter", "parameter n"),
        (lambda: run(start="1999-10"), "decision", "span", "start"),
        (lambda: run(venue=kk.venues.fraction(0.0005, 0.0015)), "decision", "venue", "slippage"),
        (lambda: run(venue=kk.Venue(slippage=kk.slippage.fraction(0.0005))), "execution", "venue", "fees"),
        (lambda: run(account=kk.Account(cash=999_999.0)), "value", "account", "cash"),
        (lambda: run(fill_model=kk.FillModel(market="next_close")), "execution", "fill model", "fill model"),
    ],
)
def test_diff__names_the_one_setting_that_was_changed(other, stage, kind, what):
    found = kk.diff(BASE, other())
    assert not found.same
    if kind != "account":  # money decides sizes too; what comes first is what the account is worth
        assert found.stage == stage
    assert (found.causes[0].kind, found.causes[0].what) == (kind, what)
    assert str(found.causes[0]) in found.sentence


def test_diff__of_fees_alone_is_an_execution():
    @kk.strategy
    def once(ctx):
        if ctx.i == 3:
            ctx.buy(10.0)

    free, dear = (kk.backtest(BARS, once, venue=kk.venues.fraction(fee, 0.0)) for fee in (0.0, 0.001))
    found = kk.diff(free, dear)
    assert found.stage == "execution"
    assert set(found.fill.columns) == {"fee", "cash"}
    fee = kk.fills(dear)["fee"][0]
    assert found.fill.columns["fee"] == (0.0, fee)
    assert [c.what for c in found.causes] == ["fees"]


def test_diff__names_the_line_of_the_strategy():
    @kk.strategy
    def trend(ctx, n=20):
        if ctx.close[0] >= 1.001 * ctx.close.sma(n):
            ctx.target_percent(1.0)
        else:
            ctx.target_percent(0.0)

    found = kk.diff(BASE, run(strategy=trend))
    assert found.stage == "decision"
    assert found.causes[0].kind == "strategy"
    assert "1.001" in found.causes[0].b


def _frame(bars: xr.Dataset):
    frame = bars[["open", "high", "low", "close", "volume"]].isel(asset=0).to_dataframe()
    frame[["open", "close"]] = frame[["open", "close"]].round(2)
    frame["high"] = np.maximum(frame["high"].round(2), frame[["open", "close"]].max(axis=1))
    frame["low"] = np.minimum(frame["low"].round(2), frame[["open", "close"]].min(axis=1))
    return frame[["open", "high", "low", "close", "volume"]]


@settings(max_examples=25, deadline=None)
@given(bar=st.integers(150, 590), rows=st.sampled_from(["close", "open"]))
def test_diff__finds_the_one_price_that_was_changed(bar, rows):
    frame = _frame(BARS)
    tick = 0.01 if rows == "close" else -0.01
    frame.iloc[bar, frame.columns.get_loc(rows)] += tick
    frame["high"], frame["low"] = (np.maximum(frame["high"], frame[rows]), np.minimum(frame["low"], frame[rows]))
    other = kk.data.from_pandas(frame, calendar="XNYS", tick_size=0.01)
    found = kk.diff(run(kk.data.from_pandas(_frame(BARS), calendar="XNYS", tick_size=0.01)), run(other))
    (cause,) = found.others if found.same else found.causes
    assert cause.kind == "data"
    assert rows in cause.what or "high" in cause.what or "low" in cause.what
    assert str(other["time"].values[bar])[:10] in cause.what
    if not found.same:  # nothing differs before the data do
        assert found.bar is None or found.bar.time >= other["time"].values[bar]
        assert found.fill is None or found.fill.time >= other["open_at"].values[bar]


def test_diff__names_what_the_strategy_captures():
    def made(share):
        @kk.strategy
        def part(ctx):
            ctx.target_percent(share if ctx.close[0] > ctx.close.sma(20) else 0.0)

        return kk.backtest(BARS, part, start="1999-09")

    found = kk.diff(made(1.0), made(0.5))
    assert (found.causes[0].kind, found.causes[0].what) == ("strategy", "what part captures")
    assert "1.0" in found.causes[0].a
    assert "0.5" in found.causes[0].b


def test_diff__looks_at_the_first_trial_that_differs():
    one, other = (
        kk.backtest(BARS, trend, grid={"n": [20, 30, 40]}, venue=VENUE, where=None, start="1999-09") for _ in range(2)
    )
    assert kk.diff(one, other).same
    dear = kk.backtest(BARS, trend, grid={"n": [20, 30, 40]}, venue=kk.venues.fraction(0.001, 0.0005), start="1999-09")
    found = kk.diff(one, dear)
    assert (found.n_differ, found.n_cells, found.cell) == (3, 3, {"n": 20})
    assert kk.diff(one, dear, n=30).cell == {}
    assert found.sentence.startswith("3 of 3 trials differ, the first is n=20. ")


def test_diff__of_saved_results_compares_what_they_hold(tmp_path):
    saved = [
        xr.open_zarr(kk.save(res, tmp_path / f"{k}.zarr", ["equity"]), chunks=None, consolidated=False)
        for k, res in enumerate([BASE, run(n=21)])
    ]
    found = kk.diff(*saved)
    assert found.causes[0].what == "parameter n"
    assert found.order is found.fill is None
    assert "equity" in found.bar.columns or "time" in found.bar.columns
    assert kk.diff(saved[0], BASE).same


def test_diff__refuses_what_cannot_be_compared():
    grid = kk.backtest(BARS, trend, grid={"n": [20, 30]}, start="1999-09")
    with pytest.raises(kk.errors.UsageError, match=r"axes: found one trial in one, n in the other"):
        kk.diff(grid, BASE)
    with pytest.raises(kk.errors.UsageError, match="wanted the Dataset of a backtest"):
        kk.diff(grid, 3)
    with pytest.raises(kk.errors.UsageError, match="no final_equity"):
        kk.diff(BARS, BASE)


def test_diff__is_shown_in_words():
    found = kk.diff(BASE, run(n=21))
    assert found.sentence in repr(found)
    assert "parameter n" in found._repr_html_()
    assert "<script" not in found._repr_html_()
