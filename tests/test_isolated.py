"""Isolated margin of portfolios: each position by itself, in accounts of several assets and at several venues (L7)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import OrderError
from tests.test_liquidation import STILL, bars_of

EXAMPLES = 40
FIELDS = ("verb", "q", "a", "b", "c")
MARGINS = (
    kk.Margin(0.1, 0.07, fee=0.005, isolated=True),
    kk.Margin(0.2, 0.12, maintenance_short=0.15, isolated=True, protected=False),
    kk.Margin(0.25, kk.margins.Tiers((0.0, 2e3, 5e4), (0.01, 0.05, 0.12)), isolated=True),
)
MODELS = (
    "conservative",
    "zipline",
    "backtesting.py",
    kk.FillModel(trailing="update_first", close_out="last_close"),
    kk.FillModel(market="next_close", stop_gap="trigger", same_bar="next"),
    kk.FillModel(market="next_typical", sizing="at_fill"),
)
COSTS = kk.Venue(fees=kk.fees.maker_taker(0.0002, 0.0005), slippage=kk.slippage.fraction(0.0005))


@pytest.fixture(autouse=True, scope="module")
def own_ledger(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Trials of tests are recorded in a folder of their own."""
    folder: Path = tmp_path_factory.mktemp("isolated")
    (folder / ".kernelkit").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


@kk.strategy(warmup=0)
def scripted(ctx):  # type: ignore[no-untyped-def]
    """Nothing of the decision before is left, and there is one order, or one bracket: nobody is to share with."""
    verb, q, a, b, c = ctx.x.verb[0], ctx.x.q[0], ctx.x.a[0], ctx.x.b[0], ctx.x.c[0]
    if verb > 0.0:
        ctx.cancel_all()
    if verb == 1.0:
        ctx.order(q)
    elif verb == 2.0:
        ctx.limit(q, a)
    elif verb == 3.0:
        ctx.stop(q, a)
    elif verb == 4.0:
        ctx.stop_limit(q, a, b)
    elif verb == 5.0:
        ctx.trailing_stop(q, fraction=c)
    elif verb == 6.0:
        ctx.bracket(q, stop_loss=c, take_profit=c)
    elif verb == 7.0:
        ctx.bracket(q, stop_loss=c, take_profit=c, entry=a)
    elif verb == 8.0:
        ctx.target(q)
    elif verb == 9.0:
        ctx.stop(-ctx.position, a)
    elif verb == 10.0:
        ctx.target_percent(10.0 * c)


def market(seed: int, n: int, assets: int, holes: float = 0.0, inverse: bool = False, sized: bool = True) -> xr.Dataset:
    """Wild hours of some assets, each with its script; without `sized` no quantity goes by the equity."""
    draw = np.random.default_rng(seed)
    index = pd.date_range("2024-01-01", periods=n, freq="1h")
    frames, scripts = {}, {}
    for k in range(assets):
        close = np.round(np.maximum(5.0, 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.02, n)))), 1)
        first = np.round(np.r_[100.0, close[:-1]] * np.exp(draw.normal(0.0, 0.005, n)), 1)
        high = np.round(np.maximum(first, close) * np.exp(np.abs(draw.normal(0.0, 0.01, n))), 1)
        low = np.round(np.minimum(first, close) * np.exp(-np.abs(draw.normal(0.0, 0.01, n))), 1)
        frame = pd.DataFrame(dict(open=first, high=high, low=low, close=close, volume=1e6), index=index)
        frames[f"A{k}"] = frame[(draw.random(n) >= holes) | (np.arange(n) == n - 1) | (k == 0)]
        verb = np.where(draw.random(n) < 0.5, draw.integers(1, 11 if sized else 10, n), 0)
        q = draw.integers(-40, 41, n) * np.where(verb == 8, 4, 1)
        level = [np.round(close * np.exp(draw.normal(0.0, 0.02, n)), 1) for _ in range(2)]
        scripts[f"A{k}"] = np.stack([verb, q, *level, draw.choice([0.01, 0.03, 0.2], n)])
    contract: dict[str, Any] = {"multiplier": 100.0, "currency": "BTC"} if inverse else {}
    bars = kk.data.from_pandas(frames, label="open", bar="1h", calendar="24/7", tick_size=0.1, lot_size=1.0, **contract)
    for name, values in zip(FIELDS, np.stack(list(scripts.values()), axis=-1), strict=True):
        bars = kk.feature(
            bars, name, pd.DataFrame(values, index=bars.indexes["time"], columns=list(frames)), trusted=True
        )
    return kk.data.inverse(bars) if inverse else bars


def paid(bars: xr.Dataset, seed: int) -> xr.Dataset:
    """With funding, at bars' edges and within them."""
    draw = np.random.default_rng(seed)
    names = bars["asset"].values
    hours = draw.integers(1, bars.sizes["time"], 30) * 60 + draw.choice([0, 20], 30)
    due = {
        "time": pd.Timestamp("2024-01-01") + pd.to_timedelta(hours, unit="min"),
        "asset": draw.choice(names, 30),
        "kind": "funding",
        "value": draw.normal(0.0, 0.01, 30),
    }
    return kk.data.with_actions(bars, pd.DataFrame(due).drop_duplicates(["time", "asset"]))


def tables(res: xr.Dataset) -> list[pd.DataFrame]:
    """All that has happened."""
    return [kk.fills(res), kk.orders(res), kk.actions(res)]


def liquidations(res: xr.Dataset) -> pd.DataFrame:
    return kk.orders(res).query("reason == 'liquidation' and status == 'filled'")


def test_l7__one_asset_alone_is_the_account_of_one_asset() -> None:
    """In every bit, whatever the script, the costs, the fill model and the contract."""
    count = 0

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(
        st.integers(0, 10**6),
        st.sampled_from(MARGINS),
        st.sampled_from(MODELS),
        st.sampled_from(["reduce", "reject", "debt"]),
        st.booleans(),
        st.sampled_from([1e5, 3e3, 500.0]),
    )
    def look(seed: int, margin: kk.Margin, model: Any, rule: Any, inverse: bool, cash: float) -> None:
        nonlocal count
        bars = paid(market(seed, 80, 1, inverse=inverse), seed)
        venue = kk.Venue(fees=COSTS.fees, slippage=COSTS.slippage, cash_rule=rule)
        account = kk.Account(cash / (50.0 if inverse else 1.0), margin=margin)
        one, other = (
            kk.backtest(bars, strategy, account=account, venue=venue, fill_model=model)
            for strategy in (scripted, kk.portfolio(scripted))
        )
        for a, b in zip(tables(one), tables(other), strict=True):
            pd.testing.assert_frame_equal(a, b, check_exact=True)
        for name in ("equity", "cash"):
            assert one[name].values.tolist() == other[name].values.tolist()
        assert one["position"].values.tolist() == other["position"].values.ravel().tolist()
        count += len(liquidations(one))

    look()
    assert count > EXAMPLES


def test_l7__assets_with_ample_cash_are_runs_by_themselves() -> None:
    """What one loses, however much, ends no order and moves no liquidation price of another."""
    count = 0

    @settings(max_examples=EXAMPLES // 2, deadline=None)
    @given(
        st.integers(0, 10**6),
        st.sampled_from(MARGINS),
        st.sampled_from(MODELS),
        st.booleans(),
        st.sampled_from([0.0, 0.2]),
    )
    def look(seed: int, margin: kk.Margin, model: Any, inverse: bool, holes: float) -> None:
        nonlocal count
        bars = market(seed, 80, 3, holes, inverse, sized=False)
        bars = paid(bars, seed) if holes == 0.0 else bars  # E1: an account's bars are then the clock's
        setup = dict(account=kk.Account(1e9, margin=margin), venue=COSTS, fill_model=model)
        whole = kk.backtest(bars, kk.portfolio(scripted), **setup)
        count += len(liquidations(whole))
        for name in bars["asset"].values:
            alone = kk.backtest(bars.sel(asset=[name]), scripted, **setup)
            for all_, own in zip(tables(whole), tables(alone), strict=True):
                mine = all_[all_["asset"] == name]
                dropped = [
                    "id",
                    "order",
                    "parent",
                    "group",
                    "cash",
                ]  # of all: ids, and money, which rounds what is borne
                pd.testing.assert_frame_equal(
                    mine.drop(columns=dropped, errors="ignore").reset_index(drop=True),
                    own.drop(columns=dropped, errors="ignore").reset_index(drop=True),
                    check_exact="amount" not in own,
                    rtol=1e-5,
                )

    look()
    assert count > EXAMPLES


FIVE = kk.Margin(0.2, 0.01, isolated=True)
FALL = (100.0, 100.0, 50.0, 60.0)
FLAT = STILL


@kk.portfolio(warmup=0)
def pair(ctx, a=10.0, b=10.0, then=0.0):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx[0].order(a)
        ctx[1].order(b)
    if ctx.i == 0 and then != 0.0:
        ctx[0].limit(a, 55.0)
        ctx[1].limit(then, 99.0)
    if ctx.i == 1 and then == 0.0:
        ctx[0].order(0.0)


def run(strategy: Any, cash: float, margin: kk.Margin = FIVE, venue: Any = None, **assets: Any) -> xr.Dataset:
    """The result, once it is the same in debug mode."""
    params = assets.pop("params", {})
    both = [
        kk.backtest(
            bars_of(**assets), strategy, params, account=kk.Account(cash, margin=margin), venue=venue, debug=debug
        )
        for debug in (False, True)
    ]
    assert both[0]["equity"].values.tolist() == both[1]["equity"].values.tolist()
    for one, other in zip(tables(both[0]), tables(both[1]), strict=True):
        pd.testing.assert_frame_equal(one, other)
    return both[0]


def test_l7__a_position_loses_its_stake_and_the_others_go_on() -> None:
    """A falls through its stake of 200 at 80: its resting order ends, that of B fills in the same bar."""
    dips = (100.0, 100.0, 90.0, 100.0)
    gap = (60.0, 60.0, 50.0, 60.0)
    res = run(pair, 1000.0, A=[FLAT, gap], B=[FLAT, dips], params=dict(then=2.0))
    fills = kk.fills(res)
    assert list(zip(fills["asset"], fills["price"], fills["at"], strict=True))[2:] == [
        ("A", 60.0, "open"),
        ("B", 99.0, "bar"),
    ]
    orders = kk.orders(res).set_index(["asset", "kind"])
    assert orders.loc[("A", "limit"), "reason"] == "liquidation"
    assert orders.loc[("B", "limit"), "status"] == "filled"
    acts = kk.actions(res)
    assert acts[["asset", "kind", "amount"]].values.tolist() == [["A", "insurance", 200.0]]  # 400 lost of 200
    assert float(res["equity"][-1]) == 1000.0 - 200.0 + 2.0
    assert res["position"].values[-1].tolist() == [0.0, 12.0]


def test_l7__within_the_bar_at_its_own_price() -> None:
    """L3's price with 200 at stake, though 8,000 more are there; 10,000 of B are none of its matter."""
    res = run(pair, 10_000.0, A=[FLAT, FALL], B=[FLAT, FLAT], params=dict(b=-100.0))
    last = kk.fills(res).iloc[-1]
    assert (last["asset"], last["price"], last["at"]) == ("A", 80.8, "bar")  # 200 + 10 p - 1000 <= 0.1 p
    assert res["position"].values[-1].tolist() == [0.0, -100.0]


def test_l7__unrealised_profit_buys_nothing_and_a_stake_is_bound() -> None:
    """400: 200 at stake with A, which doubles; the other 200 buy B at 100, five times that."""

    @kk.portfolio(warmup=0)
    def later(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].order(10.0)
        if ctx.i == 2:
            ctx[1].order(1000.0)

    double = (200.0, 200.0, 200.0, 200.0)
    rows = dict(A=[FLAT, double, double], B=[FLAT, FLAT, FLAT])
    assert run(later, 400.0, **rows)["position"].values[-1].tolist() == [10.0, 10.0]
    cross = run(later, 400.0, kk.Margin(0.2, 0.01), **rows)
    assert cross["position"].values[-1].tolist() == [10.0, 50.0]  # (1400 - 400) / 20

    @kk.portfolio(warmup=0)
    def short(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].order(-10.0)
        if ctx.i == 2:
            ctx[1].order(1000.0)

    half = (50.0, 50.0, 50.0, 50.0)  # it could lose its 200 again: what it is worth now is not what counts
    assert run(short, 400.0, A=[FLAT, half, half], B=rows["B"])["position"].values[-1].tolist() == [-10.0, 10.0]
    loses = (90.0, 90.0, 90.0, 90.0)  # nor does it lose more than that
    assert run(later, 400.0, A=[FLAT, loses, loses], B=rows["B"])["position"].values[-1].tolist() == [10.0, 10.0]


def test_x5__orders_share_what_no_stake_binds() -> None:
    """100 of 300 are free: each of two orders for 10 at 100 gets a quarter."""

    @kk.portfolio(warmup=0)
    def three(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].order(10.0)
        if ctx.i == 1:
            ctx[1].order(10.0)
            ctx[2].order(10.0)

    res = run(three, 300.0, A=[FLAT, FLAT], B=[FLAT, FLAT], C=[FLAT, FLAT])
    assert res["position"].values[-1].tolist() == [10.0, 2.0, 2.0]


def test_l4__funding_within_the_bar_moves_the_price_of_its_asset_alone() -> None:
    """Where no order lives, too: 0.1 of 1,000 leaves 100 at stake, so that 91 is the price and not 80."""
    bars = bars_of(A=[FLAT, (100.0, 100.0, 90.0, 100.0)], B=[FLAT, (100.0, 100.0, 90.0, 100.0)])
    due = {"time": ["2024-01-01 02:30"], "asset": ["A"], "kind": ["funding"], "value": [0.1], "price": [100.0]}
    bars = kk.data.with_actions(bars, pd.DataFrame(due))
    for debug in (False, True):
        res = kk.backtest(bars, pair, account=kk.Account(1000.0, margin=FIVE), debug=debug)
        fills = kk.fills(res).iloc[2:]
        assert fills[["asset", "price"]].values.tolist() == [["A", 90.9]]


def test_l6__isolated_positions_are_not_judged_at_the_mark() -> None:
    """Of 1,000 the mark leaves 401 of a margin of 0.19 of 1,200: what is held backs itself."""
    margin = kk.Margin(0.5, 0.3, isolated=True)
    res = run(pair, 1000.0, margin, A=[FLAT, (75.0,) * 4], B=[FLAT, (75.0,) * 4])
    assert len(kk.fills(res)) == 2


BARS = market(5, 240, 4, holes=0.1, sized=False)
HOMES = {name: kk.Venue("left" if name < "A2" else "right", fees=COSTS.fees) for name in ("A0", "A1", "A2", "A3")}


@pytest.mark.parametrize("model", ["conservative", "zipline", "backtesting.py"])
@pytest.mark.parametrize("other", [MARGINS[1], kk.Margin(0.2, 0.1), None])
def test_v3__isolated_accounts_at_several_venues_are_runs_by_themselves(model: str, other: Any) -> None:
    """Beside one that is isolated, or that is judged at the mark, or that has no margin."""
    own = {"left": kk.Account(3e3, margin=MARGINS[0]), "right": kk.Account(1e4, margin=other)}
    strategy = kk.portfolio(scripted)
    res = kk.backtest(BARS, strategy, venue=HOMES, account=kk.Accounts(own), fill_model=model)
    assert len(liquidations(res).query("asset < 'A2'")) > 3
    for name, assets in (("left", ["A0", "A1"]), ("right", ["A2", "A3"])):
        alone = kk.backtest(
            BARS.sel(asset=assets), strategy, venue=HOMES[assets[0]], account=own[name], fill_model=model
        )
        np.testing.assert_array_equal(res["account_equity"].sel(venue=name), alone["equity"])
        np.testing.assert_array_equal(res["account_cash"].sel(venue=name), alone["cash"])
        assert len(liquidations(res).query("asset in @assets")) == len(liquidations(alone))


def test_v5__what_is_at_stake_does_not_leave() -> None:
    """Of 1,000 with 10 sold short at 100 on 200, though they are worth 500 more at 50."""

    @kk.portfolio(warmup=0)
    def leave(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].order(-10.0)
        if ctx.i == 2:
            ctx.record("sent", ctx.transfer(1e6, 0, 1))

    venues = {"A": kk.Venue("left"), "B": kk.Venue("right")}
    half = (50.0, 50.0, 50.0, 50.0)
    for debug in (False, True):
        accounts = kk.Accounts({"left": kk.Account(1000.0, margin=FIVE), "right": kk.Account(1.0)})
        bars = bars_of(A=[FLAT, half, half], B=[FLAT] * 3)
        res = kk.backtest(bars, leave, venue=venues, account=accounts, debug=debug)
        assert float(res["sent"][2]) == 800.0


def test_v4__isolated_margin_of_one_account_at_several_venues_is_refused() -> None:
    with pytest.raises(OrderError, match="one account at several venues"):
        kk.backtest(BARS, kk.portfolio(scripted), venue=HOMES, account=kk.Account(margin=FIVE))


def test_v4__an_account_that_was_ruined_begins_anew_with_what_a_position_costs() -> None:
    """A gap of an account that owes what it loses: 1,500 on the other side; what is sent then backs a new position."""

    @kk.portfolio(warmup=0)
    def again(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].order(10.0)
        if ctx.i == 2:
            ctx.transfer(5000.0, 1, 0)
        if ctx.i == 3:
            ctx[0].order(10.0)

    outage = kk.Outage("2024-01-01 02:00", "2024-01-01 03:00")  # in which the venue liquidates nobody
    venues = {"A": kk.Venue("left", outages=[outage]), "B": kk.Venue("right")}
    rows = [FLAT, (20.0,) * 4, (20.0,) * 4, (20.0,) * 4, (20.0, 20.0, 16.2, 20.0), (20.0, 20.0, 16.0, 20.0)]
    margin = kk.Margin(0.2, 0.01, isolated=True, protected=False)
    for debug in (False, True):
        accounts = kk.Accounts({"left": kk.Account(300.0, margin=margin), "right": kk.Account(1e4)})
        res = kk.backtest(bars_of(A=rows, B=[FLAT] * 6), again, venue=venues, account=accounts, debug=debug)
        owed = res["account_cash"].sel(venue="left").values
        assert owed[2] == -500.0
        assert kk.fills(res)["price"].tolist() == [100.0, 20.0, 16.16]


def test_a_portfolio_goes_on_as_a_whole_one(tmp_path: Path) -> None:
    bars, strategy = market(3, 150, 3), kk.portfolio(scripted)
    account = kk.Account(3e3, margin=MARGINS[0])
    whole = kk.backtest(bars, strategy, account=account)
    assert len(liquidations(whole)) > 5
    going = kk.start(bars.isel(time=slice(0, 70)), strategy, account=account)
    going.save(tmp_path / "run")
    again = kk.resume(tmp_path / "run").feed(bars).result()
    assert again["equity"].values.tolist() == whole["equity"].values.tolist()
    slow = kk.backtest(bars, strategy, account=account, debug=True)
    assert slow["equity"].values.tolist() == whole["equity"].values.tolist()
    assert kk.audit(bars, strategy, account=account, cuts=4).blind
