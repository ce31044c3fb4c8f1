"""What happens to an account by the calendar, on bars small enough to be worked out by hand (rules E1-E8)."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.data import store
from kernelkit.errors import DataError, OrderError, UsageError

DAY = pd.Timedelta("1D")
NAN = float("nan")
MONDAY = "2024-01-01"


def frame(closes: Sequence[float], gap: bool = False) -> pd.DataFrame:
    """Daily bars that open where the one before closed, with ``gap`` at their own close."""
    close = np.array(closes, "f8")
    opens = close if gap else np.r_[close[:1], close[:-1]]
    high, low = np.maximum(opens, close), np.minimum(opens, close)
    index = pd.date_range(MONDAY, periods=len(close))
    return pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": 1e6}, index=index)


def bars_of(closes: Any, *actions: tuple[Any, ...], gap: bool = False) -> xr.Dataset:
    """Bars with actions (time, kind, value[, price[, asset]]), of one asset "A" or of several by name."""
    given = closes if isinstance(closes, dict) else {"A": frame(closes, gap)}
    bars = kk.data.from_pandas(given, label="open", bar="1D", calendar="24/7", tick_size=0.01, lot_size=1.0)
    if not actions:
        return bars
    rows = [(*a, *(NAN, "A")[len(a) - 3 :]) if len(a) < 5 else a for a in actions]
    table = pd.DataFrame(rows, columns=["time", "kind", "value", "price", "asset"])
    return kk.data.with_actions(bars, table)


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials of tests are recorded in a folder of their own."""
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


@kk.strategy(warmup=0)
def buy_once(ctx, q=100.0, at=0):  # type: ignore[no-untyped-def]
    if ctx.i == at:
        ctx.order(q)


def run(bars: xr.Dataset, strategy: Any = buy_once, account: Any = None, venue: Any = None, **params: Any) -> Any:
    """The result, once it is the same in debug mode: equity, cash, position and what happened."""
    found = []
    for debug in (False, True):
        res = kk.backtest(bars, strategy, params, account=account or kk.Account(100_000.0), venue=venue, debug=debug)
        found.append((res, [res[name].values.tolist() for name in ("equity", "cash", "position")], kk.actions(res)))
    assert found[0][1] == found[1][1]
    pd.testing.assert_frame_equal(found[0][2], found[1][2])
    return found[0][0]


def happened(res: xr.Dataset) -> list[tuple[str, float, float]]:
    return [(r["kind"], r["position"], r["amount"]) for r in kk.actions(res).to_dict("records")]


def test_e1__an_action_at_the_open_comes_before_what_the_open_fills() -> None:
    """The dividend goes to who held before the open of its day: not to who buys there, and to who sells there."""
    bars = bars_of([50.0] * 4, ("2024-01-02", "dividend", 1.0), ("2024-01-03", "dividend", 2.0))
    res = run(bars)  # buys at the open of the 2nd
    assert happened(res) == [("dividend", 100.0, 200.0)]
    assert kk.actions(res)["time"].tolist() == [pd.Timestamp("2024-01-03")]

    @kk.strategy(warmup=0)
    def leaves(ctx):  # type: ignore[no-untyped-def]
        if ctx.i < 2:
            ctx.order(100.0 if ctx.i == 0 else -100.0)

    assert happened(run(bars, leaves)) == [("dividend", 100.0, 200.0)]


@pytest.mark.filterwarnings("ignore::kernelkit.data.AdjustedWarning")  # its prices know nothing of its splits
def test_e1__nothing_happens_before_the_first_decision_or_without_a_position() -> None:
    bars = bars_of(
        [50.0] * 4, ("2023-06-01", "split", 2.0), ("2024-01-01", "dividend", 1.0), ("2024-01-02", "split", 2.0)
    )
    assert happened(run(bars)) == []
    assert run(bars)["position"].values.tolist() == [0.0, 200.0, 200.0, 200.0]  # the order waited through the split


def test_e2__a_split_of_a_short_position_settles_the_fraction() -> None:
    """Short 5, three for two: 7.5 becomes 7, half a unit is bought back at 60 / 1.5 = 40 each."""
    bars = bars_of([60.0, 60.0, 40.0, 40.0], ("2024-01-03", "split", 1.5))
    res = run(bars, q=-5.0)
    assert happened(res) == [("split", -5.0, -20.0)]
    assert res["position"].values.tolist() == [0.0, -5.0, -7.0, -7.0]
    assert res["cash"].values.tolist() == [100_000.0, 100_300.0, 100_280.0, 100_280.0]


def test_e2__a_reverse_split_that_leaves_nothing_ends_the_round_trip() -> None:
    res = run(bars_of([2.0, 2.0, 40.0, 40.0], ("2024-01-03", "split", 0.05)), q=10.0)
    assert happened(res) == [("split", 10.0, 0.5 * 2.0 / 0.05)]
    [trade] = kk.trades(res).to_dict("records")
    assert (trade["pnl"], trade["closed"]) == (0.0, pd.Timestamp("2024-01-03"))
    assert float(res["final_equity"]) == 100_000.0


def test_e2__live_orders_ask_for_as_much_at_prices_that_are_worth_as_much() -> None:
    @kk.strategy(warmup=0)
    def rests(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(10.0, 55.55)
            ctx.stop(-3.0, 33.33)
            ctx.trailing_stop(-4.0, trail=20.0)
            ctx.stop_limit(1.0, 90.01, 95.99)
        if ctx.i == 2:
            ctx.limit(1.0, 10.0)

    bars = bars_of([60.0, 60.0, 20.0, 20.0], ("2024-01-03", "split", 3.0), gap=True)
    orders = kk.orders(run(bars, rests)).set_index("order")
    assert orders["quantity"].tolist() == [30.0, 9.0, 12.0, 3.0, 1.0]
    assert orders.loc[[1, 4], "limit"].tolist() == [18.51, 31.99]  # 18.516... and 31.996... down for a buy
    assert orders.loc[[2, 3, 4], "trigger"].tolist() == [11.11, 13.33, 30.01]  # 40 / 3 down for a sell, 30.003 up
    tiny = kk.orders(run(bars_of([60.0, 60.0, 600.0, 600.0], ("2024-01-03", "split", 0.1), gap=True), rests)).set_index(
        "order"
    )
    assert tiny.loc[2:4, ["status", "reason"]].to_numpy().tolist() == [["cancelled", "split"]] * 3
    assert tiny.loc[1, ["quantity", "limit"]].tolist() == [1.0, 555.5]


def test_e2__the_history_of_an_order_has_what_was_submitted_before_the_split() -> None:
    @kk.strategy(warmup=0)
    def waits(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(10.0, 57.0)
        if ctx.i == 2:
            ctx.limit(4.0, 1.0)

    res = run(bars_of([60.0, 60.0, 20.0, 20.0, 18.0, 18.0], ("2024-01-03", "split", 3.0), gap=True), waits)
    found = kk.orders(res, history=True)
    rows = found[["order", "event", "quantity"]].to_numpy().tolist()
    assert rows == [
        [1, "submitted", 10.0],
        [1, "split", 30.0],
        [2, "submitted", 4.0],
        [1, "filled", 30.0],
        [2, "cancelled", 4.0],
    ]
    assert kk.orders(res)["quantity"].tolist() == [30.0, 4.0]  # in the units of its end


def test_e2__a_round_trip_over_a_split_is_in_new_units() -> None:
    @kk.strategy(warmup=0)
    def in_parts(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.order(7.0)
        if ctx.i == 2:
            ctx.order(-20.0)
        if ctx.i == 4:
            ctx.order(-2.0)
        if ctx.i == 5:
            ctx.order(1.0)

    days = [60.0, 60.0, 20.0, 20.0, 18.0, 17.0, 16.0]
    found = kk.trades(run(bars_of(days, ("2024-01-03", "split", 3.0), gap=True), in_parts))
    assert found["side"].tolist() == ["long", "short"]
    assert found["quantity"].tolist() == [21.0, 1.0]
    assert found["entry"].tolist() == [20.0, 17.0]
    assert found["exit"].tolist() == [(20 * 20.0 + 17.0) / 21, 16.0]
    assert found["pnl"].tolist() == [20 * 20.0 + 17.0 - 7 * 60.0, 1.0]


def test_e2__a_target_is_sized_once() -> None:
    """S5: of 1000 lots one has filled when ten become one, which leaves 99, and nothing of what has filled."""

    @kk.strategy(warmup=0)
    def all_in(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.target_percent(1.0)

    bars = bars_of([10.0, 10.0, 100.0, 100.0], ("2024-01-03", "split", 0.1), gap=True)
    model = kk.FillModel(sizing="at_fill")
    res = kk.backtest(bars, all_in, account=kk.Account(10_000.0), venue=kk.Venue(participation=1e-6), fill_model=model)
    assert kk.orders(res)["quantity"].tolist() == [99.0]


def test_e2__a_target_after_a_split_counts_new_units() -> None:
    @kk.strategy(warmup=0)
    def half(ctx):  # type: ignore[no-untyped-def]
        ctx.target_percent(0.5)

    res = run(bars_of([50.0, 50.0, 10.0, 10.0], ("2024-01-03", "split", 5.0)), half)
    assert res["position"].values.tolist() == [0.0, 1000.0, 5000.0, 5000.0]
    assert len(kk.orders(res)) == 1


def test_e2__splits_of_prices_that_are_adjusted_already_are_warned_of() -> None:
    days = pd.date_range(MONDAY, periods=12)
    splits = [(days[3], "split", 4.0), (days[6], "split", 0.1), (days[9], "split", 1.05)]
    raw = [100.0, 101.0, 99.0, *[25.0, 26.0, 24.0], *[240.0, 236.0, 243.0], *[231.0, 230.0, 233.0]]
    bars_of({"A": frame(raw, gap=True)}, *splits)  # no warning, though the last is lost in the noise
    adjusted = np.array(raw)
    adjusted[:3] /= 4.0
    adjusted[:6] *= 10.0
    with pytest.warns(kk.data.AdjustedWarning) as told:
        bars_of({"A": frame(adjusted, gap=True), "B": frame(raw, gap=True)}, *splits)
    [warning] = told
    assert str(warning.message) == (
        "bars of A: found a price before the split of 2024-01-04T00:00:00 that is 0.99 times the one after it, wanted "
        "about 4, as prices that nobody has adjusted have it. Load raw prices, or leave out the splits: at 2 of 2 of "
        "them it is so."
    )
    assert warning.filename == __file__
    half = np.array(raw)
    half[:3] /= 4.0
    bars_of({"A": frame(half, gap=True)}, *splits)  # one of two: a crash may do so
    bars_of({"A": frame(adjusted[3:6], gap=True)}, (days[0], "split", 4.0), (days[8], "split", 4.0))  # outside the bars


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("fallen", [20.0, 17.0])
def test_r7__a_split_is_no_fall_and_hides_none(fallen: float, debug: bool) -> None:
    """Three for one, twice, in one session each: 180 is 60, is 20; a tenth below that is 18."""
    closes = [180.0, 180.0, 60.0, 60.0, fallen, fallen, 20.0, 20.0]
    splits = [("2024-01-03", "split", 3.0, NAN, "A"), ("2024-01-05", "split", 3.0, NAN, "A")]
    paid = [("2024-01-02", "dividend", 1.0, NAN, "B"), ("2024-01-04", "dividend", 1.0, NAN, "B")]

    @kk.strategy(warmup=0)
    def sells(ctx):  # type: ignore[no-untyped-def]
        ctx.sell(1.0)

    @kk.portfolio(warmup=0)
    def both(ctx):  # type: ignore[no-untyped-def]
        if ctx[0].tradable:
            ctx[0].sell(1.0)

    limited = kk.Account(1e5, limits=kk.Limits(short_sale_price=0.1))
    other = frame([50.0] * 9)
    two = bars_of({"A": frame(closes, gap=True), "B": other.set_axis(other.index - DAY)}, *splits, *paid)
    for strategy, bars in ((sells, bars_of({"A": frame(closes, gap=True)}, *splits)), (both, two)):
        found = kk.orders(kk.backtest(bars, strategy, account=limited, debug=debug))["reason"].tolist()
        refused = ["short_sale_price" if fallen < 18.0 and k in (4, 5) else "end_of_data" for k in range(8)]
        assert [r if r == "short_sale_price" else "end_of_data" for r in found] == refused


def test_e3__a_short_position_pays_the_dividend() -> None:
    res = run(bars_of([50.0] * 4, ("2024-01-03", "dividend", 1.25)), q=-8.0)
    assert happened(res) == [("dividend", -8.0, -10.0)]
    assert float(res["final_equity"]) == 99_990.0


def test_e4__a_delisting_pays_the_last_price_or_what_is_stated() -> None:
    for value, each in ((NAN, 7.0), (3.5, 3.5), (0.0, 0.0)):
        res = run(bars_of([50.0, 50.0, 7.0], ("2024-03-01", "delisting", value)))
        assert happened(res) == [("delisting", 100.0, 100.0 * each)]
        assert kk.actions(res)["time"].tolist() == [pd.Timestamp("2024-01-04")]
        assert float(res["final_equity"]) == 100_000.0 - 5000.0 + 100.0 * each
        [trade] = kk.trades(res).to_dict("records")
        assert trade["pnl"] == 100.0 * (each - 50.0)


def test_e4__what_nobody_knows_is_shown_at_the_last_price_and_at_zero() -> None:
    gone = ("2024-03-01", "delisting", NAN)
    swept = kk.backtest(bars_of([50.0, 50.0, 7.0], gone), buy_once, grid={"q": [0.0, 100.0]}, account=kk.Account(1e5))
    assert swept["total_return"].values.tolist() == pytest.approx([0.0, -0.043])
    assert swept["total_return_at_zero"].values.tolist() == pytest.approx([0.0, -0.05])
    known = kk.backtest(bars_of([50.0, 50.0, 7.0], (*gone[:2], 3.5)), buy_once)
    assert "total_return_at_zero" not in known
    assert [row["role"] for row in kk.ledger.rows("trials")][1] == "delisting"


def test_e4__orders_end_and_further_ones_are_rejected() -> None:
    @kk.portfolio(warmup=0)
    def holds(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].buy(10.0)
            ctx[0].bracket(5.0, stop_loss=0.5, take_profit=0.9)
            ctx[0].limit(1.0, 1.0)
        if ctx.i == 3:
            ctx[0].buy(1.0)
            ctx[0].target_percent(0.5)
            ctx[1].buy(1.0)

    closes = {"A": frame([50.0, 50.0, 40.0]), "B": frame([10.0] * 6)}
    bars = bars_of(closes, ("2024-01-03", "delisting", 30.0, NAN, "A"))
    res = run(bars, holds)
    orders = kk.orders(res).set_index("order")
    assert orders.loc[[3, 4, 5], "reason"].tolist() == ["delisted"] * 3
    assert orders.loc[[6, 7], ["status", "reason"]].to_numpy().tolist() == [["rejected", "delisted"]] * 2
    assert orders.loc[8, "status"] == "filled"
    assert happened(res) == [("delisting", 15.0, 450.0)]
    assert res["position"].sel(asset="A").values.tolist() == [0.0, 15.0, 0.0, 0.0, 0.0, 0.0]


def test_e5__funding_between_bars_and_within_one() -> None:
    """Bars of a day: 00:00 comes before the open's fills, 08:00 and 16:00 after them."""
    times = [f"2024-01-0{day} {hour}" for day in (2, 3) for hour in ("00:00", "08:00", "16:00")]
    bars = bars_of([50.0, 52.0, 54.0], *((t, "funding", 0.001, 51.0) for t in times))
    res = run(bars)
    assert happened(res) == [("funding", 100.0, -(51.0 * 100.0) * 0.001)] * 5
    assert kk.actions(res)["time"].tolist() == [pd.Timestamp(t) for t in times[1:]]

    @kk.strategy(warmup=0)
    def stopped(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.order(-100.0)
            ctx.stop(100.0, 51.0)

    res = run(bars, stopped)  # out in the range of the 2nd, which comes after the day's funding
    assert happened(res) == [("funding", -100.0, (51.0 * 100.0) * 0.001)] * 2


def test_e5__without_a_mark_the_last_close_without_a_rate_nothing() -> None:
    bars = bars_of([50.0, 52.0, 54.0], ("2024-01-03", "funding", 0.01, NAN), ("2024-01-03", "funding", NAN, 50.0))
    assert happened(run(bars)) == [("funding", 100.0, -(52.0 * 100.0) * 0.01)]


def test_e6__interest_over_a_weekend_without_the_proceeds_of_short_sales() -> None:
    """XNYS: Friday 5th to Monday 8th are three days. 100,000 + 500 of proceeds are not all the account's own."""
    index = pd.to_datetime(["2024-01-04", "2024-01-05", "2024-01-08"])
    closes = frame([50.0, 50.0, 50.0]).set_index(index)
    bars = kk.data.from_pandas(closes, calendar="XNYS", tick_size=0.01, lot_size=1.0)
    account = kk.Account(100_000.0, interest=0.05, loan=0.1, borrow=0.36)
    res = run(bars, account=account, q=-10.0)
    first = 100_000.0 * (0.05 * (1.0 / 365.0))
    free = (100_000.0 + first + 500.0) - 500.0
    wanted = [
        ("interest", 0.0, first),
        ("interest", 0.0, free * (0.05 * (3.0 / 365.0))),
        ("borrow", -10.0, -(500.0 * (0.36 * (3.0 / 360.0)))),
    ]
    assert happened(res) == wanted
    assert kk.actions(res)["asset"].tolist()[:2] == ["", ""]


def test_e6__debt_pays_the_rate_of_loans_and_rates_are_those_of_the_time() -> None:
    rates = pd.Series([0.1, 0.2], index=pd.to_datetime(["2024-01-01 00:00", "2024-01-03 12:00"]))
    account = kk.Account(1000.0, interest=0.01, loan=rates)
    res = run(bars_of([50.0] * 5), account=account, venue=kk.Venue(cash_rule="debt"), q=100.0)
    cash = 1000.0 + 1000.0 * (0.01 * (1.0 / 365.0)) - 5000.0
    wanted = []
    for rate in (0.1, 0.2, 0.2):
        wanted.append(cash * (rate * (1.0 / 365.0)))
        cash += wanted[-1]
    assert [amount for kind, _, amount in happened(res)][1:] == wanted


def test_e7__borrowing_has_a_rate_for_each_asset() -> None:
    @kk.portfolio(warmup=0)
    def shorts(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            for k in ctx.tradable:
                ctx[k].sell(10.0)

    bars = bars_of({"A": frame([50.0] * 3), "B": frame([20.0] * 3)})
    res = run(bars, shorts, account=kk.Account(1e5, borrow={"B": 0.72}))
    assert happened(res) == [("borrow", -10.0, -(200.0 * (0.72 * (1.0 / 360.0))))]
    assert kk.actions(res)["asset"].tolist() == ["B"]


def test_e8__the_benchmark_is_of_a_holder() -> None:
    """A split and a dividend that change nothing for a holder: all returns are 0, and so is beta's variance."""
    closes = [60.0, 60.0, 20.0, 18.0, 18.0]
    actions = ("2024-01-03", "split", 3.0), ("2024-01-04", "dividend", 2.0)
    bars = bars_of(closes, *actions)
    assert float(run(bars)["blocks"].sel(summary="sbb").sum()) == 0.0
    assert float(run(bars_of(closes))["blocks"].sel(summary="sbb").sum()) > 0.0

    @kk.portfolio(warmup=0)
    def idle(ctx):  # type: ignore[no-untyped-def]
        pass

    both = {"A": frame(closes), "B": frame([10.0] * 5)}
    rows = [(*a, NAN, "A") for a in actions]
    assert float(run(bars_of(both, *rows), idle)["blocks"].sel(summary="sbb").sum()) == 0.0
    assert float(run(bars_of(both), idle)["blocks"].sel(summary="sbb").sum()) > 0.0


@pytest.mark.filterwarnings("ignore::kernelkit.data.AdjustedWarning")  # its prices know nothing of its splits
def test_the_pnl_of_round_trips_and_interest_are_all_that_the_account_gained() -> None:
    rng = np.random.default_rng(3)
    closes = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, 200))), 2)
    days = pd.date_range(MONDAY, periods=200)
    rows = [(days[k], "dividend", 0.3) for k in range(5, 200, 17)]
    rows += [(days[k] + pd.Timedelta("8h"), "funding", 0.001) for k in range(0, 200, 3)]
    rows += [(days[60], "split", 2.0), (days[150], "split", 0.5)]

    @kk.strategy(warmup=0)
    def turns(ctx):  # type: ignore[no-untyped-def]
        if ctx.i % 7 == 0:
            ctx.target(20.0 if (ctx.i // 7) % 2 == 0 else -30.0)
        if ctx.i == 197:
            ctx.target(0.0)

    venue = kk.Venue(fees=kk.fees.fraction(0.001))
    account = kk.Account(100_000.0, interest=0.03, borrow=0.02)
    res = run(bars_of(closes, *rows), turns, account=account, venue=venue)
    moved = kk.actions(res)
    interest = moved.loc[moved["kind"] == "interest", "amount"].sum()
    assert float(res["position"][-1]) == 0.0
    assert set(moved["kind"]) == {"interest", "borrow", "dividend", "funding", "split"}
    gained = kk.trades(res)["pnl"].sum() + interest
    assert float(res["final_equity"]) - 100_000.0 == pytest.approx(gained, abs=1e-7)


def test_actions_live_with_the_bars(tmp_path: Path) -> None:
    """They survive storage, slices, selections and pickling; appended bars go on with them, and so do saved runs."""
    closes = {"A": frame([50.0] * 20), "B": frame([20.0] * 20)}
    days = pd.date_range(MONDAY, periods=20)
    rows = [(days[k], "dividend", 1.0, NAN, "AB"[k % 2]) for k in range(2, 20)]
    bars = bars_of(closes, *rows)
    wanted = happened(run(bars.sel(asset=["A"])))
    assert len(wanted) == 9
    assert happened(run(store.load(store.save(bars, tmp_path / "bars")).sel(asset=["A"]))) == wanted
    assert happened(run(pickle.loads(pickle.dumps(bars)).sel(asset=["A"]))) == wanted
    assert happened(run(bars.sel(asset=["A"]).isel(time=slice(0, 10)))) == wanted[:4]
    one = bars.sel(asset=["A"])
    going = kk.start(one.isel(time=slice(0, 11)), buy_once, account=kk.Account(1e5, interest=0.03, borrow={"A": 0.1}))
    going.save(tmp_path / "run")
    taken_up = kk.resume(tmp_path / "run").feed(one)
    whole = kk.backtest(one, buy_once, account=kk.Account(1e5, interest=0.03, borrow={"A": 0.1}))
    assert happened(taken_up.result()) == happened(whole)
    assert taken_up.result()["equity"].values.tolist() == whole["equity"].values.tolist()
    changed = bars_of({"A": closes["A"]}, (days[2], "dividend", 2.0))
    with pytest.raises(UsageError, match="history has changed"):
        kk.resume(tmp_path / "run").feed(changed)


@pytest.mark.filterwarnings("ignore::kernelkit.data.AdjustedWarning")  # its prices know nothing of its splits
def test_a_walk_forward_lives_through_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    closes = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, 400))), 2)
    days = pd.date_range(MONDAY, periods=400)
    bars = bars_of(closes, *((days[k], "dividend", 0.5) for k in range(10, 400, 30)), (days[300], "split", 2.0))

    @kk.strategy
    def trend(ctx, n=5):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

    study = kk.walk_forward(bars, trend, grid={"n": [5]}, train="120D", test="60D")
    begin = pd.Timestamp(study["time"].values[0])
    whole = kk.backtest(bars, trend, {"n": 5}, start=begin, end=study["time"].values[-1])
    assert study["equity_oos"].values.tolist() == whole["equity"].values.tolist()
    assert kk.audit(bars, trend, {"n": 5}, cuts=4).blind


def test_e4__a_walk_forward_shows_what_nobody_knows_at_zero_too() -> None:
    @kk.strategy
    def hold(ctx, w=1.0):  # type: ignore[no-untyped-def]
        if ctx.position == 0.0:
            ctx.target_percent(w)

    windows = dict(grid={"w": [0.5]}, train="120D", test="60D")
    closes = np.round(np.linspace(50.0, 90.0, 200), 2)
    study = kk.walk_forward(bars_of(closes, ("2024-07-30", "delisting", NAN)), hold, **windows)
    paid = kk.walk_forward(bars_of(closes, ("2024-07-30", "delisting", 0.0)), hold, **windows)
    assert float(study["total_return_at_zero"]) == float(paid["total_return"]) < -0.4
    assert float(study["total_return"]) > 0.0
    assert "total_return_at_zero" not in paid
    assert [row["role"] for row in kk.ledger.rows("trials")].count("delisting") == 1


def test_e4__a_walk_forward_that_fails_at_zero_says_where() -> None:
    @kk.portfolio
    def fragile(ctx, limit=1e4):  # type: ignore[no-untyped-def]
        if ctx.equity < limit:
            raise ValueError("too poor")
        for k in ctx.tradable:
            if ctx[k].position == 0.0:
                ctx[k].target_percent(0.5)

    ends = {name: frame(np.round(np.linspace(50.0, 60.0, n), 2)) for name, n in (("A", 170), ("B", 200))}
    bars = bars_of(ends, (pd.Timestamp(MONDAY) + 169 * DAY, "delisting", NAN, NAN, "A"))
    windows = dict(train="120D", test="20D", account=kk.Account(1e5))
    kk.walk_forward(bars, fragile, grid={"limit": [1e4]}, **windows)
    with pytest.raises(ValueError, match="too poor"):
        kk.walk_forward(bars, fragile, grid={"limit": [8e4]}, **windows)


def test_the_ledger_tells_other_actions_and_rates_apart() -> None:
    for value, interest in ((1.0, 0.0), (1.0, 0.0), (2.0, 0.0), (2.0, 0.01)):
        bars = bars_of([50.0] * 4, ("2024-01-03", "dividend", value))
        kk.backtest(bars, buy_once, account=kk.Account(1e5, interest=interest))
    keys = [row["key"].tobytes() for row in kk.ledger.rows("trials")]
    assert [keys.index(key) for key in keys] == [0, 0, 2, 3]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("2024-01-03", "dividend", -1.0), "0 or more"),
        (("2024-01-03", "split", 0.0), "above 0"),
        (("2024-01-03", "split", NAN), "above 0"),
        (("2024-01-03", "funding", 5.0), "below 1"),
        (("2024-01-03", "merger", 1.0), "'merger'"),
        ((None, "split", 2.0), "no time"),
        (("2024-01-03", "dividend", 1.0, NAN, "B"), "'B'"),
        (("2024-01-03", "funding", 0.1, -1.0), "price above 0"),
    ],
)
def test_what_cannot_be_is_refused(row: tuple[Any, ...], said: str) -> None:
    with pytest.raises(DataError, match=said):
        bars_of([50.0] * 4, row)


def test_bars_after_a_delisting_are_another_companys() -> None:
    bars = bars_of([50.0] * 4, ("2024-01-02", "delisting", NAN))
    with pytest.raises(DataError, match="after its delisting"):
        kk.backtest(bars, buy_once)
    with pytest.raises(DataError, match="second delisting"):
        bars_of([50.0] * 4, ("2024-01-05", "delisting", NAN), ("2024-01-06", "delisting", NAN))
    with pytest.raises(DataError, match="column kind"):
        kk.data.with_actions(bars, pd.DataFrame({"time": [], "asset": []}))


PAID = {"time": ["2024-01-03", "2024-01-04"], "asset": ["A", "A"], "kind": ["dividend"] * 2, "value": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("value", [1.0, "two"], "row 1 of the actions, value: found 'two', wanted a number, or NaN"),
        ("price", ["high", 1.0], "row 0 of the actions, price: found 'high', wanted a number, or NaN"),
        ("time", ["2024-01-03", "soon"], "row 1 of the actions, time: found 'soon' (.*), wanted a time"),
        ("time", [1_700_000_000, "2024-01-03"], "row 0 of the actions, time: found 1700000000 .*a number"),
    ],
)
def test_a_column_of_something_else_is_refused(column: str, values: list[Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        kk.data.with_actions(bars_of([50.0] * 4), pd.DataFrame(PAID | {column: values}))


def test_actions_are_a_frame_and_may_say_their_zones() -> None:
    bars = bars_of([50.0] * 4)
    for wrong in ([("2024-01-03", "A", "dividend", 1.0)], PAID):
        with pytest.raises(DataError, match=r"actions: found (list|dict), wanted a DataFrame"):
            kk.data.with_actions(bars, wrong)  # type: ignore[arg-type]
    zoned = pd.DataFrame(PAID | {"time": ["2024-01-03 09:30-05:00", "2024-01-04"]})
    times = kk.data.with_actions(bars, zoned)["action_time"].values
    assert times.tolist() == [np.datetime64(t, "ns").astype("i8") for t in ("2024-01-03T14:30", "2024-01-04")]


@pytest.mark.parametrize("rate", [5.0, "5%", NAN, pd.Series([0.1]), pd.Series([2.0], index=pd.to_datetime(["2024"]))])
def test_a_rate_is_a_fraction_a_year(rate: Any) -> None:
    for name in ("interest", "loan", "borrow"):
        with pytest.raises(OrderError, match=f"{name} of the account"):
            kk.Account(**{name: rate})
    with pytest.raises(OrderError, match="borrow of A"):
        kk.Account(borrow={"A": rate})


def test_a_rate_has_one_value_at_each_time() -> None:
    twice = pd.Series([0.1, 0.2, 0.3], index=pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-02"]))
    with pytest.raises(OrderError, match="interest of the account: found two rates from 2024-01-02 00:00:00 on"):
        kk.Account(interest=twice)
    words = pd.Series(["0.1", "much"], index=pd.to_datetime(["2024-01-01", "2024-01-02"]))
    with pytest.raises(OrderError, match="interest of the account: found 'much', wanted fractions a year"):
        kk.Account(interest=words)


def test_e7__a_borrow_rate_of_an_asset_that_is_not_there() -> None:
    bars, account = bars_of([50.0] * 4), kk.Account(borrow={"A": 0.1, "GME": 0.3})
    said = "borrow of the account: found GME, wanted assets of the bars: A. Check the names."

    @kk.portfolio
    def idle(ctx):  # type: ignore[no-untyped-def]
        pass

    @kk.signal
    def flat(ds):  # type: ignore[no-untyped-def]
        return ds["close"] * 0.0

    for one in (buy_once, idle, flat):
        with pytest.raises(OrderError, match=said):
            kk.backtest(bars, one, account=account)
    with pytest.raises(OrderError, match=said):
        kk.start(bars, buy_once, account=account)
    with pytest.raises(OrderError, match=said):
        kk.backtest(bars, buy_once, account=kk.Account(borrow={"GME": 0.0, "A": 0.0}))
