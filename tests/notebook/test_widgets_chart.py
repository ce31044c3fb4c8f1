"""The chart and the trade inspector: what they hold, what they answer, and what a selection changes in them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.notebook.widgets import chart, selection, trade_inspector
from kernelkit.notebook.widgets.panes import Chart
from kernelkit.notebook.widgets.pyramid import Pyramid, line, step_for
from kernelkit.notebook.widgets.scene import MARKS, Scene
from kernelkit.notebook.widgets.shares import shares_of
from kernelkit.report.shown import shown as shown_of

pytestmark = pytest.mark.usefixtures("own_ledger")

VENUE = kk.Venue("own", kk.fees.fraction(0.001), kk.slippage.fraction(0.0005))


@kk.strategy
def crossing(ctx, fast=20, slow=100):
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)


@kk.strategy
def flip(ctx, n=2):
    ctx.target(3.0 if (ctx.i // n) % 2 else -2.0)


@pytest.fixture(scope="module")
def bars():
    return kk.data.load("sp500_index")


@pytest.fixture(scope="module")
def grid(bars):
    axes = {"fast": [10, 20, 120], "slow": [60, 100]}
    return kk.backtest(bars, crossing, grid=axes, where="fast < slow", start="2001", venue=VENUE)


@pytest.fixture(scope="module")
def flips(bars):
    return kk.backtest(bars, flip, venue=VENUE)


def array(part):
    return np.frombuffer(part["data"], part["dtype"]).reshape(part["shape"])


def answers(widget, monkeypatch):
    """What the widget tells the browser, as (kind, arrays, rest)."""
    told = []
    monkeypatch.setattr(widget, "tell", lambda kind, arrays=None, **content: told.append((kind, arrays or {}, content)))
    return told


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_cut__is_what_a_loop_over_the_pieces_finds(data):
    n = data.draw(st.integers(1, 400))
    values = np.array(data.draw(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(np.nan)), min_size=n, max_size=n)))
    start = data.draw(st.integers(0, n - 1))
    stop = data.draw(st.integers(start + 1, n))
    cut = Pyramid(values, opens=-values, lo=values, hi=values).cut(start, stop, data.draw(st.integers(1, 50)))
    assert cut.first <= start
    assert cut.first % cut.step == 0
    pieces = [values[k : k + cut.step] for k in range(cut.first, stop, cut.step)]
    for name, of in (("lo", np.fmin), ("hi", np.fmax)):
        np.testing.assert_array_equal(cut.arrays[name], [of.reduce(piece) for piece in pieces])
    np.testing.assert_array_equal(cut.arrays["close"], [piece[-1] for piece in pieces])
    np.testing.assert_array_equal(cut.arrays["open"], [-piece[0] for piece in pieces])


def test_cut__pieces_stay_where_they_are_when_one_pans():
    found = line(np.random.default_rng(1).normal(size=10_000))
    one, other = found.cut(1000, 5000, 100), found.cut(1100, 5100, 100)
    assert one.step == other.step == step_for(4000, 100)
    moved = (other.first - one.first) // one.step
    np.testing.assert_array_equal(one.arrays["hi"][moved:], other.arrays["hi"][: len(one.arrays["hi"]) - moved])


@pytest.mark.parametrize("strategy", [crossing, flip])
def test_shares__give_each_trade_its_fees(bars, strategy):
    res = kk.backtest(bars, strategy, venue=VENUE)
    trades, fills = kk.trades(res), kk.fills(res)
    fill, trade, share = shares_of(trades, fills)
    found = np.bincount(trade, fills["fee"].to_numpy()[fill] * share, len(trades))
    np.testing.assert_allclose(found, trades["fees"], rtol=1e-9)


def test_scene__marks_lie_inside_their_bars(flips, bars):
    scene = Scene(flips, {}, None)
    low, high = (bars[name].values[:, 0] for name in ("low", "high"))
    rows, price = scene.fill_marks["row"].astype(int), scene.fill_marks["price"]
    assert len(rows) == len(kk.fills(flips))
    assert ((price >= low[rows] * 0.999) & (price <= high[rows] * 1.001)).all()
    opened, closed = scene.trade_rows
    assert (bars["open_at"].values[opened] == kk.trades(flips)["opened"].to_numpy()).all()
    assert (bars["open_at"].values[closed] == kk.trades(flips)["closed"].to_numpy()).all()


def test_chart__shows_the_best_trial_and_says_that_it_was_selected(grid):
    shown = chart(grid)
    best = grid["sharpe_ratio"].where(grid["sharpe_ratio"] == grid["sharpe_ratio"].max(), drop=True)
    assert shown_of(grid).labels == {name: int(best[name][0]) for name in ("fast", "slow")}
    assert "chosen in sample" in shown.facts["caption"]
    equity = grid["equity"].sel(shown_of(grid).labels).values
    assert array(shown.overview["arrays"]["equity_close"])[-1] == equity[-1]
    assert array(shown.overview["arrays"]["equity_hi"]).max() == equity.max()


def test_chart__answers_a_window_with_the_bars_in_it(grid, bars, monkeypatch):
    shown = chart(grid)
    told = answers(shown, monkeypatch)
    shown._receive(shown, {"kind": "window", "from": 100, "to": 160, "pieces": 200, "serial": 7}, [])
    ((kind, arrays, content),) = told
    assert (kind, content["serial"], content["first"], content["step"]) == ("window", 7, 100, 1)
    rows = bars.sel(time=grid["time"].values[100:160])
    np.testing.assert_array_equal(arrays["price_hi"], rows["high"].values[:, 0])
    np.testing.assert_array_equal(arrays["time"].astype("M8[ns]"), rows["time"].values)


def test_chart__many_fills_are_counted_not_sent(bars):
    res = kk.backtest(bars, flip, {"n": 1})
    shown = chart(res)
    assert shown.overview["n_fills"] > MARKS
    assert "fills_row" not in shown.overview["arrays"]


def test_chart__follows_the_selected_trial(grid):
    one, other = chart(grid), chart(grid)
    assert one.selection is other.selection is selection.of(grid)
    one.heard("trial", {"labels": {"fast": 20, "slow": 60}})
    assert other.facts["caption"] == "fast=20, slow=60: one of 4 trials"
    equity = grid["equity"].sel(fast=20, slow=60).values
    assert array(other.overview["arrays"]["equity_close"])[-1] == equity[-1]


def test_chart__an_excluded_trial_is_one_line(grid, monkeypatch):
    shown = chart(grid, selection=selection.Selection())
    told = answers(shown, monkeypatch)
    shown._receive(shown, {"kind": "trial", "labels": {"fast": 120, "slow": 60}}, [])
    assert [kind for kind, _, _ in told] == ["error"]
    assert "excluded by where=" in told[0][2]["text"]
    assert "fast=120" not in shown.facts["caption"]


def test_chart__goes_to_the_selected_trade(grid):
    shown = chart(grid, selection=selection.Selection(trial={"fast": 20, "slow": 100}))
    shown.selection.trade = 2
    trade = kk.trades(grid.sel(fast=20, slow=100)).iloc[2]
    assert (shown.trade["entry"], shown.trade["side"]) == (pytest.approx(trade["entry"]), trade["side"])
    assert shown.trade["worst"] < trade["entry"] < shown.trade["best"]
    shown.selection.trade = None
    assert shown.trade is None


def test_chart__selects_spans_both_ways(grid):
    shown = chart(grid, selection=selection.Selection())
    shown.heard("span", {"from": 10, "to": 30})
    time = grid["time"].values.astype("M8[ns]").astype("i8")
    assert shown.selection.span == (time[10], time[30])
    assert shown.rows == [10, 31]
    shown.selection.span = (int(time[100]), int(time[120]))
    assert shown.rows == [100, 121]


def test_chart__of_a_walk_forward_has_its_folds(bars):
    res = kk.walk_forward(bars, crossing, grid={"fast": [10, 20], "slow": [60, 100]}, train="5Y", test="2Y")
    shown = chart(res)
    assert len(shown.facts["folds"]) == res.sizes["fold"]
    assert shown.facts["folds"][0]["from"] == 0
    assert "Out of sample" in shown.facts["caption"]
    assert array(shown.overview["arrays"]["equity_close"])[-1] == res["equity_oos"].values[-1]


def test_chart__shades_regimes(grid, bars):
    labels = kk.regimes.trend(bars)["regime"]
    runs = chart(grid, regime=labels).facts["regimes"]
    own = labels.sel(time=grid["time"]).values
    lengths = np.diff(np.r_[array(runs["from"]), len(own)])
    np.testing.assert_array_equal(np.repeat(array(runs["code"]), lengths), own)
    with pytest.raises(DataError, match="labels over time"):
        chart(grid, regime=grid["fast"])


def test_chart__of_a_stored_result_says_what_it_lacks(grid, bars, tmp_path):
    path = kk.save(grid.sel(fast=20, slow=100), tmp_path / "one.zarr", ["equity", "drawdown"])
    stored = xr.open_zarr(path, chunks=None, consolidated=False)
    shown = chart(stored)
    assert shown.facts["panes"] == ["equity", "drawdown"]
    assert any("Pass them" in note for note in shown.facts["notes"])
    assert "price" in chart(stored, bars).facts["panes"]
    with pytest.raises(UsageError, match="loaded from a store"):
        trade_inspector(stored)
    with pytest.raises(UsageError, match="one at each time"):
        chart(stored, bars.isel(time=slice(0, 100)))


def test_chart__of_other_assets_is_one_line(grid):
    with pytest.raises(DataError, match="bars: found no SPX, wanted the assets of the result"):
        chart(grid, kk.data.load("nasdaq_index"))


def test_chart__without_a_curve_is_one_line(grid):
    with pytest.raises(UsageError, match="no equity over time"):
        chart(grid[["sharpe_ratio"]])


def test_inspector__has_the_trades_of_the_table(flips):
    shown = trade_inspector(flips)
    trades, columns = kk.trades(flips), {c["name"]: c for c in shown.table["columns"]}
    assert shown.table["n"] == len(trades)
    np.testing.assert_array_equal(array(columns["pnl"]["values"]), trades["pnl"])
    side = np.array(columns["side"]["words"])[array(columns["side"]["values"])]
    assert side.tolist() == trades["side"].tolist()
    found = kk.metrics.excursions(trades, kk.data.load("sp500_index"))
    np.testing.assert_array_equal(array(columns["mae"]["values"]), found["mae"].values)


def test_inspector__slippage_is_that_of_the_fills(flips):
    shown, fills = trade_inspector(flips), kk.fills(flips)
    lost = array({c["name"]: c["values"] for c in shown.table["columns"]}["slippage"])
    last = fills.iloc[-1]
    still_open = abs(last["position"]) / last["quantity"] * last["slippage"]
    assert lost.sum() == pytest.approx(fills["slippage"].sum() - still_open)


def test_inspector__card_has_the_orders_of_the_trade(flips, monkeypatch):
    shown = trade_inspector(flips, selection=selection.Selection())
    shown.selection.trade = 5
    trade, orders = kk.trades(flips).iloc[5], shown.card["orders"]
    assert len(orders) == 2
    assert sum(order["fee"] for order in orders) == pytest.approx(trade["fees"])
    assert [order["filled"] for order in orders] == [trade["quantity"]] * 2
    told = answers(shown, monkeypatch)
    shown._receive(shown, {"kind": "why", "order": orders[0]["order"]}, [])
    assert f"Order {orders[0]['order']}" in told[0][2]["html"]


def test_inspector__fallback_lists_the_largest_trades(flips):
    page = trade_inspector(flips).fallback()
    assert "<table" in page
    assert "<svg" in page
    assert "<script" not in page


def test_portfolio__shows_the_asset_of_the_trade():
    one = kk.data.load("sp500_index").isel(time=slice(0, 600))
    other = kk.data.load("nasdaq_index").isel(time=slice(0, 600))
    bars = xr.concat([one, other], "asset", data_vars="all", combine_attrs="drop_conflicts", join="exact")

    @kk.portfolio
    def alternate(ctx):
        for k in ctx.tradable:
            ctx[k].target(1.0 if (ctx.i // 50 + k) % 2 else 0.0)

    shown = Chart(kk.backtest(bars, alternate))
    assert shown.facts["assets"] == bars["asset"].values.tolist()
    trades = shown.scene.trades
    number = int(np.flatnonzero(trades["asset"] == shown.facts["assets"][1])[0])
    shown.selection.trade = number
    assert shown.facts["asset"] == shown.facts["assets"][1]
    close = array(shown.overview["arrays"]["price_close"])
    assert close[-1] == bars["close"].values[-1, 1]
    shown.heard("asset", {"asset": shown.facts["assets"][0]})
    assert shown.facts["asset"] == shown.facts["assets"][0]
