"""Several venues in one run: where orders go, accounts by themselves, money between them (rules V1-V5)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import OrderError, UsageError
from kernelkit.market.settings import Settings

BARS = 240
NAMES = ("X.left", "Y.left", "X.right", "Y.right")
LEFT = kk.Venue("left", fees=kk.fees.maker_taker(0.0002, 0.0005), slippage=kk.slippage.fraction(0.0001))
RIGHT = kk.Venue("right", fees=kk.fees.per_unit(0.01, 1.0), band=0.02, participation=0.05)
BOTH = {name: LEFT if name.endswith("left") else RIGHT for name in NAMES}


def made(seed: int, names: tuple[str, ...] = NAMES, holes: bool = True) -> xr.Dataset:
    """Hours of a market that never closes; with holes most assets miss some."""
    draw = np.random.default_rng(seed)
    index = pd.date_range("2024-03-01", periods=BARS, freq="1h", tz="UTC")
    frames = {}
    for name in names:
        close = np.round(100 * np.exp(np.cumsum(draw.normal(0, 0.01, BARS))), 2)
        first = np.r_[100.0, close[:-1]]
        span = np.round(np.abs(draw.normal(0, 0.4, BARS)), 2)
        high, low = np.maximum(first, close) + span, np.minimum(first, close) - span
        frame = pd.DataFrame(dict(open=first, high=high, low=low, close=close, volume=2e4), index=index)
        kept = draw.random(BARS) > 0.1 if holes and name != names[0] else np.full(BARS, True)
        frames[name] = frame[kept]
    return kk.data.from_pandas(frames, label="open", bar="1h", calendar="24/7", tick_size=0.01, lot_size=0.001)


@kk.portfolio
def busy(ctx, n=12):  # type: ignore[no-untyped-def]
    for k in ctx.tradable:
        gap = ctx[k].close[0] / ctx[k].close.sma(n) - 1.0
        if gap > 0.01:
            ctx[k].target_percent(0.6)
        elif gap < -0.01:
            ctx[k].target_percent(-0.5)
        elif ctx[k].position > 0.0:
            ctx[k].limit(-0.3 * ctx[k].position, ctx[k].close[0] * 1.01, tif="DAY")
        else:
            ctx[k].bracket(5.0, stop_loss=0.02, take_profit=0.03)


def rows(table: pd.DataFrame) -> pd.DataFrame:
    """A table of fills without what is the whole account's: ids count over all venues."""
    kept = table.drop(columns=["order", "venue"], errors="ignore")
    return kept.sort_values(["time", "asset", "side", "quantity"], ignore_index=True)


# V1: where an order goes


def test_v1__one_venue_named_for_each_asset_is_that_venue() -> None:
    bars = made(1)
    one, named = kk.backtest(bars, busy, venue=LEFT), kk.backtest(bars, busy, venue=dict.fromkeys(NAMES, LEFT))
    pd.testing.assert_frame_equal(kk.fills(one), kk.fills(named).drop(columns="venue"))
    assert "venue" not in kk.trades(one)
    assert float(one["final_equity"]) == float(named["final_equity"])
    assert float(one["turnover"]) == float(named["turnover"])


def test_v1__each_order_pays_what_its_venue_asks() -> None:
    @kk.portfolio
    def once(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            for k in ctx.tradable:
                ctx[k].buy(100.0)

    res = kk.backtest(made(2, holes=False), once, venue=BOTH)
    found = kk.fills(res).set_index("asset")
    paid = found["price"] * found["quantity"] * 0.0005
    for name in ("X.left", "Y.left"):
        assert found.loc[name, "fee"] == pytest.approx(paid[name], rel=1e-12)
        assert found.loc[name, "price"] > found.loc[name, "reference"]
    for name in ("X.right", "Y.right"):
        assert found.loc[name, "fee"] == 1.0
        assert found.loc[name, "price"] == found.loc[name, "reference"]
    assert list(found["venue"]) == [name.split(".")[1] for name in found.index]
    trades = kk.trades(kk.backtest(made(2), busy, venue=BOTH))
    assert trades["venue"].tolist() == [name.split(".")[1] for name in trades["asset"]]
    assert set(trades["venue"]) == {"left", "right"}


def test_v1__tiers_count_what_was_traded_at_their_venue() -> None:
    tiers = kk.fees.tiered((0.0, 1e5), (0.0, 0.0), (0.001, 0.0))  # free beyond 100,000 in 30 days

    @kk.portfolio
    def daily(ctx):  # type: ignore[no-untyped-def]
        if ctx.i % 24 == 0:
            ctx[0].buy(300.0)
            ctx[1].buy(300.0)
            ctx[2].buy(1.0)

    names = ("X.left", "Y.left", "X.right")
    venues = {n: kk.Venue(n[2:], fees=tiers, cash_rule="debt") for n in names}
    fills = kk.fills(kk.backtest(made(3, names, holes=False), daily, venue=venues))
    later = fills[fills["time"] > fills["time"].iloc[0] + pd.Timedelta("1D")]
    assert (later.loc[later["venue"] == "left", "fee"] == 0.0).all()
    assert (later.loc[later["venue"] == "right", "fee"] > 0.0).all()


def test_v1__a_rate_counts_the_orders_of_its_venue() -> None:
    slow = kk.Venue("left", rate=kk.Rate(2, "1h"))

    @kk.portfolio
    def many(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 3:
            for k in ctx.tradable:
                ctx[k].buy(1.0)
                ctx[k].buy(1.0)

    venues = {name: slow if name.endswith("left") else kk.Venue("right") for name in NAMES}
    orders = kk.orders(kk.backtest(made(4, holes=False), many, venue=venues))
    refused = orders[orders["reason"] == "rate_limit"]
    assert list(refused["asset"]) == ["Y.left", "Y.left"]
    assert (orders.drop(refused.index)["status"] == "filled").all()


# V2: a venue that is down is the only one


def test_v2__an_outage_stops_its_venue_alone() -> None:
    down = kk.Outage("2024-03-02", "2024-03-04")

    @kk.portfolio
    def hourly(ctx):  # type: ignore[no-untyped-def]
        for k in ctx.tradable:
            ctx[k].buy(0.1)
            ctx[k].limit(0.1, 0.5 * ctx[k].close[0], tif="IOC")

    venues = {name: kk.Venue("left", outages=[down]) if "left" in name else kk.Venue("right") for name in NAMES}
    res = kk.backtest(made(5, holes=False), hourly, venue=venues, account=kk.Account(1e7))
    fills, orders = kk.fills(res), kk.orders(res)
    inside = fills["time"].between(pd.Timestamp("2024-03-02"), pd.Timestamp("2024-03-04"), inclusive="left")
    assert set(fills[inside]["venue"]) == {"right"}
    assert set(fills[~inside]["venue"]) == {"left", "right"}
    assert set(orders[orders["reason"] == "venue_down"]["asset"]) == {"X.left", "Y.left"}


def test_v2__orders_rest_through_an_outage_and_a_cancel_reaches_its_own_venue() -> None:
    down = kk.Outage("2024-03-02", "2024-03-03")

    @kk.portfolio(state=dict(left=0, right=0))
    def resting(ctx, s):  # type: ignore[no-untyped-def]
        if ctx.i == 2:
            s.left = ctx[0].limit(1.0, 1.0)
            s.right = ctx[2].limit(1.0, 1.0)
        if ctx.i == 30:
            ctx.cancel(s.left)
            ctx.cancel(s.right)
        if ctx.i == 60:
            ctx.cancel_all()

    venues = {name: kk.Venue("left", outages=[down]) if "left" in name else kk.Venue("right") for name in NAMES}
    res = kk.backtest(made(6, holes=False), resting, venue=venues)
    orders = kk.orders(res).set_index("asset")
    assert orders.loc["X.right", "ended"] == pd.Timestamp("2024-03-02 07:00")
    assert orders.loc["X.left", "ended"] == pd.Timestamp("2024-03-03 13:00")
    assert list(kk.compliance(res)["asset"]) == ["X.left"]


def test_v2__hours_of_each_venue() -> None:
    venues = {name: kk.Venue("left", hours="XNYS") if "left" in name else kk.Venue("right") for name in NAMES}

    @kk.portfolio
    def hourly(ctx):  # type: ignore[no-untyped-def]
        for k in ctx.tradable:
            ctx[k].buy(0.1)

    fills = kk.fills(kk.backtest(made(7, holes=False), hourly, venue=venues, account=kk.Account(1e7)))
    times = pd.DatetimeIndex(fills.loc[fills["venue"] == "left", "time"])
    assert len(times)
    assert (times.day_of_week < 5).all()
    assert times.hour.isin(range(14, 22)).all()
    assert set(pd.DatetimeIndex(fills.loc[fills["venue"] == "right", "time"]).day_of_week) == set(range(7))


# V3: accounts by themselves

CASES = {
    "plain": (kk.Account(6e5), kk.Account(4e5)),
    "interest": (kk.Account(6e5, interest=0.05, loan=0.09, borrow=0.03), kk.Account(4e5, interest=0.01)),
    "limits": (
        kk.Account(6e5, limits=kk.Limits(leverage=0.5, turnover=1.0, on_breach="cut")),
        kk.Account(4e5, limits=kk.Limits(concentration=0.3, short={"X.right": 0.0, "Y.right": 10.0})),
    ),
    "margin": (
        kk.Account(6e5, margin=kk.Margin(initial=0.2, maintenance=0.15)),
        kk.Account(4e5, margin=kk.Margin(initial=0.1, maintenance=0.05, protected=False)),
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("model", ["conservative", "zipline", "backtesting.py"])
def test_v3__accounts_that_send_no_money_are_runs_by_themselves(case: str, model: str) -> None:
    bars = made(8)
    left, right = CASES[case]
    accounts = kk.Accounts({"left": left, "right": right})
    res = kk.backtest(bars, busy, venue=BOTH, account=accounts, fill_model=model)
    alone = [
        kk.backtest(bars.sel(asset=list(names)), busy, venue=venue, account=account, fill_model=model)
        for names, venue, account in ((NAMES[:2], LEFT, left), (NAMES[2:], RIGHT, right))
    ]
    assert all(int(one["n_fills"]) > 50 for one in alone)
    pd.testing.assert_frame_equal(rows(kk.fills(res)), rows(pd.concat([kk.fills(one) for one in alone])))
    for v, one in enumerate(alone):
        np.testing.assert_array_equal(res["account_equity"].isel(venue=v), one["equity"])
        np.testing.assert_array_equal(res["account_cash"].isel(venue=v), one["cash"])
    np.testing.assert_array_equal(res["equity"], (0.0 + alone[0]["equity"]) + alone[1]["equity"])
    for name in ("n_fills", "n_trades"):
        assert int(res[name]) == sum(int(one[name]) for one in alone)
    assert float(res["fees"]) == pytest.approx(sum(float(one["fees"]) for one in alone), rel=1e-12)
    acts = kk.actions(res)
    each = pd.concat([kk.actions(one) for one in alone])
    assert acts["amount"].sum() == pytest.approx(each["amount"].sum(), rel=1e-12)
    assert len(acts) == len(each)


def test_v3__what_an_asset_sees_is_its_account() -> None:
    @kk.portfolio
    def look(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 1:
            ctx[0].buy(1000.0)
        ctx.record("left", ctx[1].cash)
        ctx.record("right", ctx[2].equity)
        ctx.record("all", ctx.equity)

    accounts = kk.Accounts({"left": kk.Account(6e5), "right": kk.Account(4e5)})
    for debug in (False, True):
        res = kk.backtest(made(9, holes=False), look, venue=BOTH, account=accounts, end="2024-03-02", debug=debug)
        np.testing.assert_array_equal(res["left"], res["account_cash"].sel(venue="left"))
        np.testing.assert_array_equal(res["right"], res["account_equity"].sel(venue="right"))
        np.testing.assert_array_equal(res["all"], res["equity"])


def test_v3__of_one_account_an_asset_sees_the_whole() -> None:
    @kk.portfolio
    def look(ctx):  # type: ignore[no-untyped-def]
        ctx[0].target_percent(0.5)
        ctx.record("own", ctx[1].cash)

    res = kk.backtest(made(9), look)
    np.testing.assert_array_equal(res["own"], res["cash"])


def test_v3__separate_accounts_of_assets_take_the_account_of_their_venue() -> None:
    @kk.strategy
    def hold(ctx):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0)

    accounts = kk.Accounts({"left": kk.Account(6e5, interest=0.05), "right": kk.Account(4e5)})
    bars = made(10)
    res = kk.backtest(bars, hold, venue=BOTH, account=accounts)
    for name in NAMES:
        venue = BOTH[name]
        one = kk.backtest(bars.sel(asset=[name]), hold, venue=venue, account=accounts.by_venue[venue.name])
        assert float(res["final_equity"].sel(asset=name)) == float(one["final_equity"])


def test_v3__interest_comes_in_the_order_of_the_venues() -> None:
    accounts = kk.Accounts({"left": kk.Account(6e5, interest=0.05), "right": kk.Account(4e5, interest=0.01)})
    paid = kk.actions(kk.backtest(made(11), busy, venue=BOTH, account=accounts))
    paid = paid[paid["kind"] == "interest"]
    first = paid[paid["time"] == paid["time"].iloc[0]]
    assert first["amount"].tolist() == sorted(first["amount"], reverse=True)
    assert len(first) == 2


# V4: liquidation and ruin of one account


def falling(name: str) -> xr.Dataset:
    """Two assets at 100; the first falls to 20 in a day."""
    index = pd.date_range("2024-03-01", periods=30, freq="1h", tz="UTC")
    fall = np.r_[np.full(5, 100.0), np.arange(96.0, 16.0, -4.0), np.full(5, 20.0)]
    frames = {}
    for asset, close in ((name, fall), ("Y.right", np.full(30, 100.0))):
        first = np.r_[close[0], close[:-1]]
        high, low = np.maximum(first, close), np.minimum(first, close)
        frames[asset] = pd.DataFrame(dict(open=first, high=high, low=low, close=close, volume=1e4), index=index)
    return kk.data.from_pandas(frames, label="open", bar="1h", calendar="24/7", tick_size=0.01)


@kk.portfolio
def geared(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx[0].buy(3000.0)
        ctx[1].buy(1000.0)
        ctx[0].limit(1.0, 1.0)
        ctx[1].limit(1.0, 1.0)


def test_v4__liquidation_ends_what_one_account_has() -> None:
    venues = {"X.left": kk.Venue("left"), "Y.right": kk.Venue("right")}
    geared_left = kk.Account(1e5, margin=kk.Margin(initial=0.25, maintenance=0.1))
    res = kk.backtest(
        falling("X.left"), geared, venue=venues, account=kk.Accounts({"left": geared_left, "right": kk.Account(1e5)})
    )
    alone = kk.backtest(falling("X.left").sel(asset=["X.left"]), just_left, account=geared_left)
    np.testing.assert_array_equal(res["account_equity"].sel(venue="left"), alone["equity"])
    orders = kk.orders(res).set_index(["asset", "kind"])
    assert (orders.loc["X.left"]["reason"] == "liquidation").sum() == 2  # the resting limit, and the order that closed
    assert orders.loc[("Y.right", "limit"), "reason"] == "end_of_data"
    assert float(res["position"].sel(asset="Y.right")[-1]) == 1000.0


@kk.portfolio
def just_left(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx[0].buy(3000.0)
        ctx[0].limit(1.0, 1.0)


def test_v4__an_account_that_owes_stays_in_debt_and_the_whole_goes_on() -> None:
    venues = {"X.left": kk.Venue("left", cash_rule="debt"), "Y.right": kk.Venue("right")}
    res = kk.backtest(
        falling("X.left"),
        geared,
        venue=venues,
        account=kk.Accounts({"left": kk.Account(1e5), "right": kk.Account(4e5)}),
    )
    left = res["account_equity"].sel(venue="left").values
    fell = int(np.flatnonzero(left <= 0.0)[0])
    assert (left[fell:] == left[fell]).all()
    assert left[fell] < 0.0
    assert kk.orders(res).set_index(["asset", "kind"]).loc[("X.left", "limit"), "reason"] == "ruin"
    assert float(res["final_equity"]) == left[fell] + 4e5


def test_v4__the_whole_is_ruined_where_nothing_is_left() -> None:
    venues = {"X.left": kk.Venue("left", cash_rule="debt"), "Y.right": kk.Venue("right")}
    res = kk.backtest(
        falling("X.left"),
        geared,
        venue=venues,
        account=kk.Accounts({"left": kk.Account(1e5), "right": kk.Account(5e3)}),
    )
    assert float(res["final_equity"]) == 0.0
    assert float(res["total_return"]) == -1.0
    assert (res["account_equity"].values[-1] == 0.0).all()


def test_v4__a_margin_that_several_venues_share_is_refused() -> None:
    account = kk.Account(1e5, margin=kk.Margin(initial=0.5, maintenance=0.25))
    with pytest.raises(OrderError, match="one account at several venues"):
        kk.backtest(made(1), busy, venue=BOTH, account=account)


# V5: money on its way


def sender(**ways: Any) -> xr.Dataset:
    """What comes of a strategy that sends 1,000 each 50 bars, and 5,000 back at bar 60."""

    @kk.portfolio
    def send(ctx):  # type: ignore[no-untyped-def]
        if ctx.i % 50 == 0:
            ctx.record("sent", ctx.transfer(1_000.0, 0, 2))
        if ctx.i == 60:
            ctx.record("back", ctx.transfer(5_000.0, 3, 1))

    accounts = kk.Accounts({"left": kk.Account(1e4), "right": kk.Account(2e4)}, **ways)
    return kk.backtest(made(11, holes=False), send, venue=BOTH, account=accounts)


def test_v5__money_arrives_after_its_delay_and_is_worth_something_on_its_way() -> None:
    res = sender(transfer="150min")
    acts = kk.actions(res)
    assert set(acts["kind"]) == {"transfer"}
    assert list(acts.columns)[-1] == "venue"
    left = res["account_cash"].sel(venue="left").values
    right = res["account_cash"].sel(venue="right").values
    assert list(left[:3]) == [10_000.0, 9_000.0, 9_000.0]  # sent after the mark of bar 0, at 01:00
    assert list(right[3:5]) == [20_000.0, 21_000.0]  # due at 03:30: bar 4 is the first to open after that
    assert list(res["cash"].values[:5]) == [30_000.0, 29_000.0, 29_000.0, 29_000.0, 30_000.0]
    assert (res["equity"] == 30_000.0).all()
    first = acts.iloc[:2]
    assert list(first["time"]) == [pd.Timestamp("2024-03-01 01:00"), pd.Timestamp("2024-03-01 04:00")]
    assert list(first["amount"]) == [-1_000.0, 1_000.0]


def test_v5__each_way_has_its_delay_and_each_sender_his_fee() -> None:
    ways = {("left", "right"): "1h", ("right", "left"): "1D"}
    res = sender(transfer=ways, fee={"left": 7.0})
    acts = kk.actions(res).set_index("venue")
    arrived = acts.loc["right"].query("amount > 0")["amount"]
    assert (arrived == 993.0).all()
    assert len(arrived) == 5
    assert float(res["fees"]) == 35.0
    assert float(res["final_equity"]) == 30_000.0 - 35.0
    assert float(res["equity"][-1]) == 30_000.0 - 35.0
    back = acts.loc["left"].query("amount == 5000")
    assert list(back["time"]) == [pd.Timestamp("2024-03-04 13:00")]


@pytest.mark.parametrize("debug", [False, True])
def test_v5__the_fee_of_what_is_sent_last_counts_with_the_mark_that_it_is_on(debug: bool) -> None:
    @kk.portfolio
    def last(ctx):  # type: ignore[no-untyped-def]
        if ctx.i >= 237:
            ctx.transfer(100.0, 0, 2)

    accounts = kk.Accounts({"left": kk.Account(1e4), "right": kk.Account(2e4)}, transfer="150min", fee=7.0)
    bars = made(11, holes=False)
    for n, counted in ((238, 0), (239, 1), (240, 2)):
        res = kk.backtest(bars.isel(time=slice(0, n)), last, venue=BOTH, account=accounts, debug=debug)
        assert float(res["fees"]) == 7.0 * counted
        assert float(res["final_equity"]) == 30_000.0 - 7.0 * counted


def test_v5__no_more_is_sent_than_is_free() -> None:
    @kk.portfolio
    def drain(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].buy(50.0)
        if ctx.i == 2:
            ctx.record("first", ctx.transfer(1e9, 0, 2))
            ctx.record("again", ctx.transfer(1.0, 1, 2))
            ctx.record("nan", ctx.transfer(np.nan, 2, 0))
            ctx.record("less", ctx.transfer(-5.0, 2, 0))
            ctx.record("home", ctx.transfer(5.0, 2, 3))
            ctx.record("rest", ctx[0].cash)

    for debug in (False, True):
        accounts = kk.Accounts({"left": kk.Account(1e4), "right": kk.Account(2e4)})
        bars = made(12, holes=False)
        res = kk.backtest(bars, drain, venue=BOTH, account=accounts, debug=debug, end="2024-03-01")
        [fill] = kk.fills(res).to_dict("records")
        free = 1e4 - fill["price"] * 50.0 - fill["fee"]
        assert float(res["first"][2]) == pytest.approx(free, rel=1e-12)
        assert [float(res[name][2]) for name in ("again", "nan", "less", "home", "rest")] == [0.0] * 5


def test_v5__a_transfer_counts_at_once_in_what_is_there_to_spend() -> None:
    @kk.portfolio
    def both(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.transfer(9_000.0, 0, 2)
            ctx[0].target_percent(1.0)
            ctx[2].target_percent(1.0)

    accounts = kk.Accounts({"left": kk.Account(1e4), "right": kk.Account(2e4)}, transfer="1D")
    res = kk.backtest(made(13, holes=False), both, venue=BOTH, account=accounts)
    spent = kk.fills(res).assign(value=lambda f: f["price"] * f["quantity"]).set_index("venue")["value"]
    assert 950.0 < spent["left"] <= 1_000.0
    assert 19_500.0 < spent["right"] <= 20_000.0


def test_v5__too_many_under_way_are_an_error() -> None:
    @kk.portfolio
    def flood(ctx):  # type: ignore[no-untyped-def]
        ctx.transfer(1.0, 0, 2)

    accounts = kk.Accounts({"left": kk.Account(1e4), "right": kk.Account(2e4)}, transfer="90D")
    with pytest.raises(OrderError, match="one more transfer under way, wanted at most 64"):
        kk.backtest(made(14, holes=False), flood, venue=BOTH, account=accounts)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), hours=st.integers(0, 30), fee=st.sampled_from([0.0, 3.0]), every=st.integers(1, 9))
def test_v5__cash_is_conserved(seed: int, hours: int, fee: float, every: int) -> None:
    bars = made(seed)
    accounts = kk.Accounts({"left": kk.Account(5e4), "right": kk.Account(5e4)}, transfer=f"{hours}h", fee=fee)
    res = kk.backtest(bars, mover, {"every": every}, venue=BOTH, account=accounts)
    fills, acts = kk.fills(res), kk.actions(res)
    acts = acts[acts["time"] < bars["known_at"].values[-1]]  # what is sent at the end comes after the last mark
    sign = np.where(fills["side"] == "buy", 1.0, -1.0)
    flow = -(sign * fills["price"] * fills["quantity"]) - fills["fee"]
    for v, name in enumerate(("left", "right")):
        total = 5e4 + flow[fills["venue"] == name].sum() + acts.loc[acts["venue"] == name, "amount"].sum()
        assert float(res["account_cash"][-1, v]) == pytest.approx(total, abs=1e-6)
    lasts = bars["close"].to_pandas().ffill().iloc[-1].to_numpy()
    held = res["position"][-1].values
    away = -acts["amount"].sum() - fee * (acts["amount"] < 0).sum()
    worth = float(res["account_cash"][-1].sum()) + away + float(held @ lasts)
    assert float(res["final_equity"]) == pytest.approx(worth, abs=1e-6)
    sent = acts[acts["amount"] < 0]
    assert float(res["fees"]) == pytest.approx(fills["fee"].sum() + fee * len(sent), abs=1e-6)
    assert (res["account_equity"] > 0).all()
    assert len(sent) > 0


@kk.portfolio
def mover(ctx, every=3):  # type: ignore[no-untyped-def]
    for k in ctx.tradable:
        if ctx[k].close[0] > ctx[k].close[-1]:
            ctx[k].target_percent(0.4)
        else:
            ctx[k].target_percent(-0.2)
    if ctx.i % every == 0:
        if ctx[0].equity > ctx[2].equity:
            ctx.transfer(0.3 * ctx[0].cash, 0, 2)
        else:
            ctx.transfer(0.3 * ctx[2].cash, 2, 0)


def test_v5__debug_and_grid_and_walk_forward_agree() -> None:
    bars = made(15)
    accounts = kk.Accounts({"left": kk.Account(5e4), "right": kk.Account(5e4)}, transfer="5h", fee=1.0)
    given_ = dict(venue=BOTH, account=accounts)
    grid = kk.backtest(bars, mover, grid=dict(every=[2, 3]), end="2024-03-04", **given_)
    for every in (2, 3):
        one = kk.backtest(bars, mover, {"every": every}, end="2024-03-04", debug=True, **given_)
        assert float(one["final_equity"]) == float(grid["final_equity"].sel(every=every))
    res = kk.walk_forward(bars, mover, grid=dict(every=[2]), train="3D", test="2D", **given_)
    begin = res["test_start"].values[0]
    whole = kk.backtest(bars, mover, {"every": 2}, start=begin, **given_)
    first = res["equity_oos"][res["fold_of"] == 0]  # the account before the first switch is that of one run
    assert len(first) == 48
    np.testing.assert_array_equal(first, whole["equity"].sel(time=first["time"]))
    for name in ("account_equity", "account_cash"):
        np.testing.assert_array_equal(res[f"{name}_oos"].sel(time=first["time"]), whole[name].sel(time=first["time"]))
        assert res[f"{name}_oos"].dims == ("time", "venue")
        assert res["venue"].values.tolist() == ["left", "right"]


def test_v3__a_walk_forward_has_the_curve_of_each_account() -> None:
    accounts = kk.Accounts({"left": kk.Account(6e4), "right": kk.Account(4e4)})
    windows = dict(train="3D", test="2D", venue=BOTH, account=accounts)
    res = kk.walk_forward(made(15), busy, grid=dict(n=[5, 12]), **windows)
    assert len(set(res["n"].values.tolist())) == 2  # the curves run through a switch
    each = res["account_equity_oos"]
    np.testing.assert_array_equal(each.sum("venue"), res["equity_oos"])  # nothing is under way
    assert (each.std("time") > 0.0).all()
    closes = made(15)["close"].to_pandas().ffill().loc[res["time"].values]
    held = res["position_oos"].to_pandas() * closes
    for name in ("left", "right"):
        its = held[[a for a in NAMES if a.endswith(name)]].sum(axis=1)
        cash = each.sel(venue=name) - its.to_numpy()
        np.testing.assert_allclose(res["account_cash_oos"].sel(venue=name), cash, rtol=0.0, atol=1e-6)
    assert "account_equity_oos" not in kk.walk_forward(made(15), busy, grid=dict(n=[5]), train="3D", test="2D")


def test_v5__the_audit_finds_no_look_ahead() -> None:
    accounts = kk.Accounts({"left": kk.Account(5e4), "right": kk.Account(5e4)}, transfer="5h", fee=1.0)
    found = kk.audit(made(15), mover, {"every": 2}, cuts=5, venue=BOTH, account=accounts)
    assert found.blind, str(found)


def test_v1__the_audit_of_one_asset_takes_its_venue_from_a_mapping() -> None:
    dear = kk.Venue("dear", fees=kk.fees.fixed(900.0))
    venues, one = {"X.left": LEFT, "X.right": dear}, made(15).sel(asset=["X.right"])

    @kk.strategy
    def buys(ctx):  # type: ignore[no-untyped-def]
        ctx.target(1.0 if ctx.cash < 9.95e4 else 2.0)

    accounts = kk.Accounts({"left": kk.Account(5e4), "dear": kk.Account(1e5)}, transfer={("left", "dear"): "1h"})
    assert kk.audit(one, buys, cuts=3, venue=venues).blind
    assert kk.audit(one, buys, cuts=3, venue=venues, account=accounts).blind
    own = Settings.of(accounts, venues, None).only(["X.right"])
    assert own.venue.by_asset == {"X.right": dear}
    assert own.account.by_venue == {"dear": kk.Account(1e5)}
    with pytest.raises(OrderError, match=r"found none for X.right, wanted one for each of X.right"):
        kk.audit(one, buys, cuts=3, venue={"X.left": LEFT})
    with pytest.raises(OrderError, match="found one for Z"):
        kk.audit(made(15), busy, cuts=3, venue=BOTH | {"Z": LEFT})


# What is refused


@pytest.mark.parametrize(
    ("given_", "wrong"),
    [
        (dict(venue={"X.left": LEFT}), "found none for Y.left, wanted one for each of"),
        (dict(venue=BOTH | {"Z": LEFT}), "found one for Z, wanted one for each of"),
        (dict(venue=BOTH | {"X.left": "left"}), "venue of X.left: found 'left', wanted a kk.Venue"),
        (dict(venue=BOTH | {"Y.right": kk.Venue("left")}), "another one called 'left'"),
        (dict(venue={}), "venue: found {}"),
        (dict(account=kk.Accounts({"left": kk.Account()})), "venue of several accounts"),
        (dict(venue=BOTH, account=kk.Accounts({"left": kk.Account()})), "accounts: found left, wanted left, right"),
    ],
)
def test_v1__what_does_not_fit_is_refused(given_: dict[str, Any], wrong: str) -> None:
    with pytest.raises(OrderError, match=wrong):
        kk.backtest(made(1), busy, **given_)


@pytest.mark.parametrize(
    ("given_", "wrong"),
    [
        (dict(transfer="soon"), "transfer of the accounts: found 'soon'"),
        (dict(transfer=5), "transfer of the accounts: found 5"),
        (dict(transfer="-1h"), "wanted a duration of up to a year"),
        (dict(transfer="400D"), "wanted a duration of up to a year"),
        (dict(transfer={("a", "c"): "1h"}), "wanted a pair of two of a, b"),
        (dict(transfer={("a", "a"): "1h"}), r"found \('a', 'a'\), wanted a pair of two of a, b"),
        (dict(fee=-1.0), "fee of a transfer: found -1.0"),
        (dict(fee={"c": 1.0}), "fee of a transfer: found 1.0 from c"),
        (dict(fee=float("nan")), "fee of a transfer"),
    ],
)
def test_v5__what_is_no_way_is_refused(given_: dict[str, Any], wrong: str) -> None:
    with pytest.raises(OrderError, match=wrong):
        kk.Accounts({"a": kk.Account(), "b": kk.Account()}, **given_)


def test_v3__an_account_at_what_is_no_name_is_refused() -> None:
    with pytest.raises(OrderError, match="accounts: found one at 1, wanted the name of a venue"):
        kk.Accounts({1: kk.Account()})  # type: ignore[dict-item]


def test_v5__a_way_without_a_time_is_refused() -> None:
    accounts = kk.Accounts({"left": kk.Account(), "right": kk.Account()}, transfer={("left", "right"): "1h"})
    with pytest.raises(OrderError, match=r"no time for \('right', 'left'\)"):
        kk.backtest(made(1), busy, venue=BOTH, account=accounts)


def test_v1__why_speaks_of_the_venue_and_the_account_of_the_order() -> None:
    left = kk.Account(6e5, limits=kk.Limits(leverage=0.5, on_breach="cut"))
    accounts = kk.Accounts({"left": left, "right": kk.Account(4e5)}, transfer="5h")
    res = kk.backtest(made(8), mover, {"every": 3}, venue=BOTH, account=accounts, end="2024-03-04")
    fills = kk.fills(res)
    for venue, tells, keeps in (("left", "R3", "P1"), ("right", "P1", "R3")):
        order = int(fills.loc[fills["venue"] == venue, "order"].iloc[3])
        said = str(kk.why(res, order))
        assert tells in said
        assert keeps not in said


@kk.strategy
def single(ctx, n=12):  # type: ignore[no-untyped-def]
    ctx.record("own", ctx.equity)
    if ctx.close[0] > ctx.close.sma(n):
        ctx.target_percent(0.4)
    else:
        ctx.target_percent(-0.2)


@pytest.mark.parametrize("debug", [False, True])
def test_v3_x9__a_strategy_for_each_asset_sees_the_account_of_its_asset(debug: bool) -> None:
    bars, each = made(8), kk.portfolio(single)
    accounts = kk.Accounts({"left": kk.Account(6e5), "right": kk.Account(4e5)})
    res = kk.backtest(bars, each, venue=BOTH, account=accounts, end="2024-03-03", debug=debug)
    for names, venue in ((NAMES[:2], LEFT), (NAMES[2:], RIGHT)):
        account = accounts.by_venue[venue.name]
        alone = kk.backtest(bars.sel(asset=list(names)), each, venue=venue, account=account, end="2024-03-03")
        np.testing.assert_array_equal(res["account_equity"].sel(venue=venue.name), alone["equity"])
        np.testing.assert_array_equal(res["own"].sel(asset=list(names)), alone["own"])


def test_v5__a_run_that_goes_on_keeps_what_is_under_way(tmp_path: Any) -> None:
    bars = made(16)
    accounts = kk.Accounts({"left": kk.Account(5e4, interest=0.03), "right": kk.Account(5e4)}, transfer="7h", fee=1.0)
    whole = kk.backtest(bars, mover, {"every": 2}, venue=BOTH, account=accounts)
    run = kk.start(bars.isel(time=slice(0, 60)), mover, {"every": 2}, venue=BOTH, account=accounts)
    for k, until in enumerate((61, 100, 177, BARS)):
        run.save(tmp_path / f"run{k}")
        run = kk.resume(tmp_path / f"run{k}", mover).feed(bars.isel(time=slice(int(run.bars), until)))
    res = run.result()
    for name in ("final_equity", "n_fills", "fees", "sharpe_ratio"):
        assert float(res[name]) == float(whole[name])
    np.testing.assert_array_equal(res["account_cash"], whole["account_cash"])
    pd.testing.assert_frame_equal(kk.actions(res), kk.actions(whole))


def test_v5__sending_money_needs_an_account_at_each_venue() -> None:
    for venue in (LEFT, BOTH):
        with pytest.raises(UsageError, match=r"ctx\.transfer of mover: found one account"):
            kk.backtest(made(1), mover, venue=venue)


def test_v1__a_missing_venue_is_told_before_the_accounts() -> None:
    accounts = kk.Accounts({"left": kk.Account(), "right": kk.Account()})
    with pytest.raises(OrderError, match=r"found none for X\.right"):
        kk.backtest(made(1), busy, venue=dict.fromkeys(NAMES[:2], LEFT), account=accounts)


SENDS = {
    "in order": "ctx.transfer(5.0, 0, 2)",
    "by name": "ctx.transfer(amount=5.0, source=0, target=2)",
    "turned": "ctx.transfer(target=2, source=0, amount=5.0)",
    "mixed": "ctx.transfer(5.0, target=2, source=0)",
}


@pytest.mark.parametrize("call", SENDS.values(), ids=SENDS)
@pytest.mark.parametrize("debug", [False, True])
def test_v5__arguments_are_what_they_are_called(call: str, debug: bool, tmp_path: Any, monkeypatch: Any) -> None:
    text = f"import kernelkit as kk\n\n@kk.portfolio\ndef once(ctx):\n    if ctx.i == 0:\n        {call}\n"
    name = f"sends_{abs(hash((call, debug)))}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    once = __import__(name).once
    accounts = kk.Accounts({"left": kk.Account(1e4), "right": kk.Account(1e4)})
    res = kk.backtest(made(1), once, venue=BOTH, account=accounts, end="2024-03-01", debug=debug)
    assert kk.actions(res)[["venue", "amount"]].to_numpy().tolist() == [["left", -5.0], ["right", 5.0]]


def test_v1_h5__a_replacement_is_asked_of_the_venue_of_its_order() -> None:
    """The second of two answers 0 while the first is on its way to a far venue, whichever is named first."""

    @kk.portfolio(state=dict(id=0))
    def twice(ctx, s):  # type: ignore[no-untyped-def]
        if ctx.i == 10:
            s.id = ctx[1].limit(1.0, 50.0)
        if ctx.i == 16 or ctx.i == 17:
            ctx.record("answer", ctx.replace(s.id, price=50.0 + ctx.i))

    near, far = kk.Venue("near"), kk.Venue("far", latency="150min")
    for order in (("X.left", "Y.left"), ("Y.left", "X.left")):
        venues = {name: far if name == "Y.left" else near for name in order}
        res = kk.backtest(made(2, NAMES[:2], holes=False), twice, venue=venues)
        assert res["answer"].values[16:18].tolist() == [1.0, 0.0]
        assert kk.orders(res)["limit"].tolist() == [66.0]


def test_r4__a_transfer_does_not_change_what_was_traded_as_a_part_of_equity() -> None:
    @kk.portfolio
    def drained(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 1:
            ctx[0].buy(1.0)
            ctx.transfer(9_000.0, 0, 2)
        if ctx.i == 3:
            ctx[0].buy(1.0)

    left = kk.Account(1e4, limits=kk.Limits(turnover=0.15))
    venues = {n: kk.Venue(v.name, cash_rule="debt") for n, v in BOTH.items()}
    accounts = kk.Accounts({"left": left, "right": kk.Account(1e4)})
    res = kk.backtest(made(3, holes=False), drained, venue=venues, account=accounts)
    assert kk.compliance(res).empty  # at the mark it was 10,000
    assert kk.orders(res)["status"].tolist() == ["filled"] * 2


def test_c3__models_see_the_last_mark_whatever_was_sent_since() -> None:
    @kk.portfolio
    def drained(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 1:
            ctx.transfer(4_000.0, 0, 2)
            ctx[0].buy(1.0)

    venues = {n: kk.Venue(v.name, fees=a_share_of_wealth(1e-3)) for n, v in BOTH.items()}
    accounts = kk.Accounts({"left": kk.Account(1e4), "right": kk.Account(1e4)})
    assert kk.fills(kk.backtest(made(3, holes=False), drained, venue=venues, account=accounts))["fee"].tolist() == [
        10.0
    ]


@kk.cost_model
def a_share_of_wealth(m, rate):  # type: ignore[no-untyped-def]
    return rate * m.equity


def test_v4__an_account_that_owes_keeps_no_orders() -> None:
    @kk.portfolio
    def stopped(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].buy(3000.0)
            ctx[0].limit(1.0, 1.0)
        if ctx.i == 9:
            ctx[0].sell(3000.0)

    dear = kk.slippage.fraction(0.1)
    venues = {"X.left": kk.Venue("left", slippage=dear, cash_rule="debt"), "Y.right": kk.Venue("right")}
    accounts = kk.Accounts({"left": kk.Account(1.05e5), "right": kk.Account(4e5)})
    orders = kk.orders(kk.backtest(falling("X.left"), stopped, venue=venues, account=accounts))
    assert orders.loc[orders["kind"] == "limit", "reason"].tolist() == ["ruin"]


def test_v3__what_the_insurance_bears_is_at_its_venue() -> None:
    margin = kk.Margin(initial=0.25, maintenance=0.01)
    venues = {"X.left": kk.Venue("left", slippage=kk.slippage.fraction(0.2)), "Y.right": kk.Venue("right")}
    accounts = kk.Accounts({"left": kk.Account(7.5e4, margin=margin), "right": kk.Account(1e5)})
    acts = kk.actions(kk.backtest(falling("X.left"), geared, venue=venues, account=accounts))
    assert acts[["kind", "venue"]].to_numpy().tolist() == [["insurance", "left"]]


def test_what_a_result_calls_its_own_is_no_parameter() -> None:
    @kk.strategy
    def named(ctx, venue=1.0):  # type: ignore[no-untyped-def]
        ctx.target_percent(venue)

    with pytest.raises(UsageError, match="axis 'venue'"):
        kk.backtest(made(1, NAMES[:1]), named, grid=dict(venue=[0.5, 1.0]))


def test_a_feed_of_other_assets_is_refused() -> None:
    bars = made(4, holes=False)
    run = kk.start(bars.isel(time=slice(0, 50)).sel(asset=list(NAMES[:2])), busy, venue=LEFT)
    with pytest.raises(UsageError, match="feed: found the assets"):
        run.feed(bars)


def test_a_ledger_key_has_the_cash_of_each_separate_account(tmp_path: Any, monkeypatch: Any) -> None:
    from kernelkit import engine

    keys: list[bytes] = []
    monkeypatch.setattr("kernelkit.ledger.record_trials", lambda _, rows: keys.append(rows[-1]["key"].tobytes()))
    for right in (1e4, 5e4):
        accounts = kk.Accounts({"left": kk.Account(1e4), "right": kk.Account(right)})
        engine.backtest(made(1), single, venue=BOTH, account=accounts, outputs=("final_equity",))
    assert keys[0] != keys[1]
