"""Accounts on margin, on bars small enough to be worked out by hand (rules L1-L6)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.data import store
from kernelkit.errors import DataError, OrderError, UsageError
from kernelkit.market.liquidation import (
    Position,
    liquidation_price,
    liquidation_price_of_inverse,
    liquidation_price_of_tiers,
)
from kernelkit.market.margins import ESMA, Tiers

FIVE = kk.Margin(initial=0.2, maintenance=0.01)
STILL = (100.0, 100.0, 100.0, 100.0)


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials of tests are recorded in a folder of their own."""
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


def bars_of(*rows: tuple[float, ...], **assets: list[tuple[float, ...]]) -> xr.Dataset:
    """Hourly bars of open, high, low, close, after one that stands still; of several assets by name."""
    frames = {}
    for name, own in (assets or {"A": list(rows)}).items():
        index = pd.date_range("2024-01-01", periods=len(own) + 1, freq="1h")
        table = pd.DataFrame([STILL, *own], columns=["open", "high", "low", "close"], index=index)
        frames[name] = table.assign(volume=1e6)
    return kk.data.from_pandas(frames, label="open", bar="1h", calendar="24/7", tick_size=0.01, lot_size=1.0)


@kk.strategy(warmup=0)
def once(ctx, q=10.0, stop=0.0, limit=0.0, added=0.0):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx.order(q)
        if stop > 0.0:
            ctx.stop(-q, stop)
        if limit > 0.0:
            ctx.limit(added, limit)


def run(
    bars: xr.Dataset, cash: float, margin: kk.Margin, strategy: Any = once, venue: Any = None, **params: Any
) -> Any:
    """The result, once it is the same in debug mode."""
    found = []
    for debug in (False, True):
        res = kk.backtest(bars, strategy, params, account=kk.Account(cash, margin=margin), venue=venue, debug=debug)
        tables = [kk.fills(res), kk.orders(res), kk.actions(res)]
        found.append((res, [res[name].values.tolist() for name in ("equity", "cash", "position")], tables))
    assert found[0][1] == found[1][1]
    for one, other in zip(found[0][2], found[1][2], strict=True):
        pd.testing.assert_frame_equal(one, other)
    return found[0][0]


def ends(res: xr.Dataset) -> list[tuple[str, str]]:
    return [(r["status"], r["reason"]) for r in kk.orders(res).to_dict("records")]


def out(res: xr.Dataset) -> tuple[float, str, float]:
    """Price, place and fee of the last fill."""
    last = kk.fills(res).iloc[-1]
    return last["price"], last["at"], last["fee"]


def test_l1__an_order_asks_for_the_initial_margin_only() -> None:
    res = run(bars_of(STILL), 200.0, FIVE)
    assert float(res["position"][-1]) == 10.0  # 1000 on 200
    assert float(run(bars_of(STILL), 199.0, FIVE)["position"][-1]) == 9.0
    reject = kk.Venue(cash_rule="reject")
    assert ends(run(bars_of(STILL), 199.0, FIVE, venue=reject)) == [("rejected", "insufficient_cash")]
    fee = kk.Venue(fees=kk.fees.fixed(50.0))
    assert float(run(bars_of(STILL), 200.0, FIVE, venue=fee)["position"][-1]) == 7.0  # 150 / 20 each


def test_l1__a_target_of_twice_the_equity() -> None:
    @kk.strategy(warmup=0)
    def double(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.target_percent(2.0)

    assert float(run(bars_of(STILL), 1000.0, kk.margins.reg_t(), double)["position"][-1]) == 20.0
    assert float(run(bars_of(STILL), 1000.0, kk.Margin(), double)["position"][-1]) == 10.0


def test_l1__isolated__unrealised_profit_buys_nothing() -> None:
    """At 150 the position of 10 is worth 1500 and has gained 500: only the 200 put in count for more of it."""

    @kk.strategy(warmup=0)
    def twice(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.order(10.0)
        if ctx.i == 1:
            ctx.order(30.0)

    bars = bars_of((100.0, 150.0, 100.0, 150.0), (150.0, 150.0, 150.0, 150.0))
    cross = run(bars, 300.0, FIVE, twice)
    assert float(cross["position"][-1]) == 26.0  # 800 / (150 * 0.2) = 26.7
    isolated = run(bars, 300.0, kk.Margin(0.2, 0.01, isolated=True), twice)
    assert float(isolated["position"][-1]) == 10.0  # 300 / 30 = 10


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("isolated", [False, True])
def test_l3__in_the_range_at_the_published_formulas_price(side: int, isolated: bool) -> None:
    """Cross: all 250 back it; isolated: 200. The next tick that is not above (long) the exchange's formula."""
    margin = kk.Margin(0.2, 0.01, isolated=isolated)
    wallet = 200.0 if isolated else 250.0
    wanted = liquidation_price(Position(side, 10.0, 100.0), wallet, 0.01)
    ticks = np.floor(100.0 * wanted) if side > 0 else np.ceil(100.0 * wanted)
    bars = bars_of(STILL, (100.0, 130.0, 70.0, 100.0), STILL)
    res = run(bars, 250.0, margin, q=10.0 * side)
    assert out(res) == (ticks / 100.0, "bar", 0.0)
    assert ends(res) == [("filled", ""), ("filled", "liquidation")]
    assert kk.fills(res)["time"].iloc[-1] == pd.Timestamp("2024-01-01 03:00")
    near = (100.0, ticks / 100.0 - 0.01, 99.0, 100.0) if side < 0 else (100.0, 101.0, ticks / 100.0 + 0.01, 100.0)
    assert ends(run(bars_of(STILL, near, STILL), 250.0, margin, q=10.0 * side)) == [("filled", "")]


def test_l3__at_the_open_that_gaps_through() -> None:
    """400 back 10 at 100: liquidated at 60.60, or at an open below, where a stop would fill too."""
    ranged = run(bars_of(STILL, (70.0, 71.0, 60.0, 65.0), STILL), 400.0, FIVE)
    assert out(ranged) == (60.6, "bar", 0.0)
    gap = run(bars_of(STILL, (60.5, 71.0, 59.0, 65.0), STILL), 400.0, FIVE, stop=80.0)
    assert out(gap) == (60.5, "open", 0.0)
    assert kk.fills(gap)["time"].iloc[-1] == pd.Timestamp("2024-01-01 02:00")
    assert ends(gap) == [("filled", ""), ("cancelled", "liquidation"), ("filled", "liquidation")]


def test_l3__a_stop_that_the_price_meets_first_and_one_that_it_meets_later() -> None:
    """250 back 10 at 100: liquidated at 75.75."""
    bars = bars_of(STILL, (100.0, 101.0, 70.0, 72.0), STILL)
    first = run(bars, 250.0, FIVE, stop=80.0)
    assert (out(first)[0], ends(first)) == (80.0, [("filled", ""), ("filled", "")])
    later = run(bars, 250.0, FIVE, stop=72.0)
    assert out(later)[0] == 75.75
    assert ends(later) == [("filled", ""), ("cancelled", "liquidation"), ("filled", "liquidation")]


def test_l3__a_limit_that_adds_brings_the_liquidation_closer() -> None:
    """5 more at 90: cash 400 - 1000 - 450, so that 15 are liquidated at 1050 / (15 * 0.99) = 70.70."""
    bars = bars_of(STILL, (100.0, 101.0, 70.0, 72.0), STILL)
    res = run(bars, 400.0, FIVE, limit=90.0, added=5.0)
    assert out(res)[0] == 70.7
    assert float(res["position"][-1]) == 0.0
    alone = run(bars, 400.0, FIVE)
    assert float(alone["position"][-1]) == 10.0  # 600 / 9.9 = 60.60


def test_l3__an_exit_that_its_entry_has_just_woken_comes_first() -> None:
    """In at the open, 250 back it; the bar falls to 70: through the exit at 80, then 75.75."""

    @kk.strategy(warmup=0)
    def bracketed(ctx, exit=80.0):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.bracket(10.0, stop=exit)

    bars = bars_of((100.0, 101.0, 70.0, 72.0), STILL)
    assert out(run(bars, 250.0, FIVE, bracketed))[:2] == (80.0, "bar")
    assert out(run(bars, 250.0, FIVE, bracketed, exit=74.0))[:2] == (75.75, "bar")


def test_l2__tiers() -> None:
    """From 500 on 5 % of what is above it, else 1 %: the root in the right tier."""
    tiers = Tiers((0.0, 500.0), (0.01, 0.05))
    wanted = liquidation_price_of_tiers(Position(1, 10.0, 100.0), 250.0, tiers)
    bars = bars_of(STILL, (100.0, 101.0, 70.0, 100.0), STILL)
    assert out(run(bars, 250.0, kk.Margin(0.2, tiers)))[0] == np.floor(100.0 * wanted) / 100.0
    small = liquidation_price_of_tiers(Position(1, 6.0, 100.0), 160.0, tiers)  # 440 / 6: in the lower tier there
    assert small * 6.0 < 500.0
    assert out(run(bars, 160.0, kk.Margin(0.2, tiers), q=6.0))[0] == np.floor(100.0 * small) / 100.0


def test_l2__short_positions_have_their_own_rate() -> None:
    """Reg-T: 1000 short on 500 is liquidated where 1500 - 10 P <= 3 P, at 115.39."""
    bars = bars_of(STILL, (100.0, 120.0, 99.0, 110.0), STILL)
    assert out(run(bars, 500.0, kk.margins.reg_t(), q=-10.0))[0] == 115.39


def test_l5__costs_and_what_is_left() -> None:
    """Bought at 101 with a fee of 1.01, so that cash is -709.01: 709.01 / 9.9 is 71.61.

    Slipped by 1 % to 70.89; 0.1 % is the venue's fee and 0.5 % the liquidation's.
    """
    venue = kk.Venue(fees=kk.fees.fraction(0.001), slippage=kk.slippage.fraction(0.01))
    margin = kk.Margin(0.2, 0.01, fee=0.005)
    bars = bars_of(STILL, (100.0, 101.0, 70.0, 100.0), STILL)
    res = run(bars, 302.0, margin, venue=venue)
    _, _, fee = out(res)
    assert kk.fills(res)[["reference", "price"]].to_numpy().tolist() == [[100.0, 101.0], [71.61, 70.89]]
    assert fee == pytest.approx(708.9 * 0.006, rel=1e-12)
    left = -709.01 + 708.9 - fee
    assert kk.actions(res)["amount"].tolist() == pytest.approx([-left], rel=1e-9)
    assert float(res["final_equity"]) == 0.0
    cheap = run(bars, 302.0, kk.Margin(0.2, 0.05), venue=kk.Venue(fees=venue.fees))
    wanted = np.floor(100.0 * 699.0 / 9.5) / 100.0
    assert out(cheap)[0] == wanted
    assert float(cheap["final_equity"]) == pytest.approx(-699.0 + 10.0 * wanted * 0.999, rel=1e-12)


def test_l5__isolated__no_more_is_lost_than_the_stake() -> None:
    """A gap to 60: 10 lose 400 of a stake of 200; the other 100 stay, an insurance fund bears 200."""
    bars = bars_of(STILL, (60.0, 61.0, 59.0, 60.0), (60.0, 60.0, 60.0, 60.0))
    res = run(bars, 300.0, kk.Margin(0.2, 0.01, isolated=True))
    assert out(res)[:2] == (60.0, "open")
    assert res["equity"].values.tolist() == [300.0, 300.0, 100.0, 100.0]
    assert kk.actions(res)[["kind", "amount"]].to_numpy().tolist() == [["insurance", 200.0]]
    owed = run(bars, 300.0, kk.Margin(0.2, 0.01, isolated=True, protected=False))
    assert float(owed["final_equity"]) == 0.0  # -100: ruined
    assert kk.actions(owed).empty


def test_l5__the_strategy_goes_on() -> None:
    @kk.strategy(warmup=0)
    def again(ctx):  # type: ignore[no-untyped-def]
        if ctx.position == 0.0:
            ctx.order(1.0)

    bars = bars_of(STILL, (100.0, 101.0, 20.0, 20.0), (20.0,) * 4, (20.0,) * 4)
    res = run(bars, 28.0, FIVE, again)
    assert ends(res)[:3] == [("filled", ""), ("filled", "liquidation"), ("cancelled", "cut_cash")]
    assert kk.fills(res)["price"].tolist() == [100.0, 72.72]
    assert float(res["final_equity"]) == pytest.approx(0.72)


def test_l6__a_portfolio_is_judged_at_its_closes() -> None:
    """Two positions of 500 on 200. B at 62: the equity of 10 is above 1 % of 810; at 61.50 it is 7.50 of 8.07."""

    @kk.portfolio(warmup=0)
    def both(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            for k in ctx.tradable:
                ctx[k].buy(5.0)
                ctx[k].limit(1.0, 10.0)

    low = [STILL, (100.0, 100.0, 30.0, 62.0), (62.0, 62.0, 61.0, 61.5), (61.5, 62.0, 61.0, 62.0)]
    bars = bars_of(A=[STILL] * 4, B=low)
    res = run(bars, 200.0, FIVE, both)
    assert res["position"].sel(asset="B").values.tolist() == [0.0, 5.0, 5.0, 0.0, 0.0]
    assert res["equity"].values.tolist() == [200.0, 200.0, 10.0, 7.5, 7.5]
    assert [r for _, r in ends(res)] == ["", "liquidation", "", "liquidation", "liquidation", "liquidation"]
    assert float(res["exposure"]) == 2 / 5


# What an outage or closed hours do to a liquidation.

DOWN = kk.Venue(outages=[kk.Outage("2024-01-01 02:10", "2024-01-01 03:50")])  # the bars of 2:00 and 3:00


@kk.portfolio(warmup=0)
def both_once(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        for k in ctx.tradable:
            ctx[k].buy(5.0)


@pytest.mark.parametrize(
    ("after", "price"),
    [
        ((60.0, 62.0, 50.0, 61.0), 60.0),  # it opens below the liquidation price of 80.80
        ((95.0, 95.0, 70.0, 90.0), 80.8),  # it gets there
        ((95.0, 99.0, 90.0, 95.0), None),  # it has come back: what it did in the outage does not count
    ],
)
def test_l3__in_an_outage_nobody_is_liquidated(after: tuple[float, ...], price: float | None) -> None:
    bars = bars_of(STILL, (100.0, 100.0, 40.0, 81.0), (81.0, 81.0, 75.0, 81.0), after)
    res = run(bars, 200.0, FIVE, venue=DOWN)
    assert res["equity"].values[2:4].tolist() == [10.0, 10.0]  # the marks go on
    liquidated = kk.orders(res).query("reason == 'liquidation'")
    if price is None:
        assert liquidated.empty
        assert float(res["position"][-1]) == 10.0
        return
    assert out(res)[0] == price
    assert liquidated["ended"].tolist() == [pd.Timestamp("2024-01-01 04:00" if price == 60.0 else "2024-01-01 05:00")]
    at_once = run(bars, 200.0, FIVE)
    assert kk.orders(at_once).query("reason == 'liquidation'")["ended"].tolist() == [pd.Timestamp("2024-01-01 03:00")]


def test_l6__nor_is_a_portfolio__but_at_the_mark_of_the_first_bar_after_it() -> None:
    """Of 500 on 200 each: B at 61.50 is too little, in two bars of the outage and in the one after it."""
    low = [STILL, (100.0, 100.0, 61.5, 61.5), (61.5, 61.5, 61.5, 61.5), (61.5, 62.0, 61.0, 61.2), STILL]
    res = run(bars_of(A=[STILL] * 5, B=low), 200.0, FIVE, both_once, venue=DOWN)
    assert res["equity"].values[:5].tolist() == pytest.approx([200.0, 200.0, 7.5, 7.5, 6.0])
    liquidated = kk.orders(res).query("reason == 'liquidation'")
    assert set(liquidated["ended"]) == {pd.Timestamp("2024-01-01 05:00")}
    assert len(liquidated) == 2
    at_once = kk.orders(run(bars_of(A=[STILL] * 5, B=low), 200.0, FIVE, both_once))
    assert set(at_once.query("reason == 'liquidation'")["ended"]) == {pd.Timestamp("2024-01-01 03:00")}
    back = [*low[:3], (90.0, 90.0, 90.0, 90.0), STILL]
    kept = run(bars_of(A=[STILL] * 5, B=back), 200.0, FIVE, both_once, venue=DOWN)
    assert kk.orders(kept)["status"].tolist() == ["filled"] * 2


def test_h2_l3__without_matching_stopped_an_outage_liquidates() -> None:
    venue = kk.Venue(outages=[kk.Outage("2024-01-01 02:10", "2024-01-01 03:50", matching=False)])
    bars = bars_of(STILL, (100.0, 100.0, 40.0, 81.0), STILL)
    assert out(run(bars, 200.0, FIVE, venue=venue))[0] == 80.8
    low = [STILL, (100.0, 100.0, 61.5, 61.5), STILL]
    orders = kk.orders(run(bars_of(A=[STILL] * 3, B=low), 200.0, FIVE, both_once, venue=venue))
    assert set(orders.query("reason == 'liquidation'")["ended"]) == {pd.Timestamp("2024-01-01 03:00")}


@pytest.mark.parametrize("shared", [False, True])
def test_h1_l3__nor_while_the_exchange_is_closed(shared: bool) -> None:
    """Tuesday, hours around the clock: the fall of the night is liquidated in the first bar after 14:30."""
    index = pd.date_range("2024-01-02 15:00", periods=48, freq="1h")
    close = np.where((index >= "2024-01-03 00:00"), 61.5 if shared else 80.5, 100.0)
    opens = np.r_[100.0, close[:-1]]
    frame = pd.DataFrame({"open": opens, "high": np.maximum(opens, close), "low": np.minimum(opens, close)}, index)
    frame = frame.assign(close=close, volume=1e6)
    frames = {"B": frame, "A": frame.assign(**dict.fromkeys(("open", "high", "low", "close"), 100.0))}
    kinds: Any = {"label": "open", "bar": "1h", "calendar": "24/7", "tick_size": 0.01, "lot_size": 1.0}
    bars = kk.data.from_pandas(frames if shared else {"B": frame}, **kinds)
    res = run(bars, 200.0, FIVE, both_once if shared else once, venue=kk.Venue(hours="XNYS"))
    ended = kk.orders(res).query("reason == 'liquidation'")["ended"]
    assert set(ended) == {pd.Timestamp("2024-01-03 16:00" if shared else "2024-01-03 15:00")}


def test_e5_l3__funding_in_an_outage_brings_the_liquidation_closer_all_the_same() -> None:
    """K of 10 at 100 on 250 is 75.75; half of a percent of 950 paid in the outage makes it 76.24."""
    bars = bars_of(STILL, (100.0, 100.0, 95.0, 95.0), (95.0, 95.0, 90.0, 90.0), (90.0, 90.0, 76.0, 90.0), STILL)
    paid = {"time": ["2024-01-01 02:30"], "asset": ["A"], "kind": ["funding"], "value": [0.005], "price": [95.0]}
    assert len(kk.fills(run(bars, 250.0, FIVE, venue=DOWN))) == 1
    res = run(kk.data.with_actions(bars, pd.DataFrame(paid)), 250.0, FIVE, venue=DOWN)
    assert out(res)[0] == 76.23


def test_e6__what_a_loan_costs_moves_the_liquidation_price() -> None:
    """250 less twice what 750 and then a little more cost for a day back ten at 100: not 75.75, as without."""
    index = pd.date_range("2024-01-01", periods=5, freq="1D")
    rows = [STILL] * 3 + [(100.0, 100.0, 50.0, 60.0)] * 2
    frame = pd.DataFrame(rows, columns=["open", "high", "low", "close"], index=index).assign(volume=1e6)
    bars = kk.data.from_pandas({"A": frame}, label="open", bar="1D", calendar="24/7", tick_size=0.01, lot_size=1.0)
    owed = 750.0 * (1.0 + 0.9 / 365.0) ** 2
    for loan, price in ((0.0, 75.75), (0.9, np.floor(100.0 * owed / 9.9) / 100.0)):
        res = kk.backtest(bars, once, account=kk.Account(250.0, loan=loan, margin=FIVE))
        assert out(res)[0] == pytest.approx(price)


def test_a_run_that_goes_on_is_liquidated_as_a_whole_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    steps = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.03, 300))), 2)
    rows = [(a, max(a, b) + 0.5, min(a, b) - 0.5, b) for a, b in zip(np.r_[100.0, steps[:-1]], steps, strict=True)]
    bars = bars_of(*rows)

    @kk.strategy(warmup=0)
    def levered(ctx):  # type: ignore[no-untyped-def]
        if ctx.i % 9 == 0:
            ctx.target_percent(5.0 if (ctx.i // 9) % 2 == 0 else -5.0)

    for margin in (kk.Margin(0.2, 0.12), kk.Margin(0.2, 0.12, fee=0.01, isolated=True)):
        account = kk.Account(1e6, margin=margin)
        whole = kk.backtest(bars, levered, account=account)
        assert (kk.orders(whole)["reason"] == "liquidation").sum() >= 2
        going = kk.start(bars.isel(time=slice(0, 120)), levered, account=account)
        going.save(tmp_path / "run")
        again = kk.resume(tmp_path / "run").feed(bars).result()
        assert again["equity"].values.tolist() == whole["equity"].values.tolist()
        assert kk.audit(bars, levered, account=account, cuts=4).blind


def test_a_path_is_refused() -> None:
    with pytest.raises(OrderError, match="path=stop_first"):
        kk.backtest(bars_of(STILL), once, account=kk.Account(margin=FIVE), fill_model=["lean", "nautilus"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"initial": 0.0},
        {"initial": 5.0},
        {"initial": 0.1, "maintenance": 0.1},
        {"maintenance": -0.1},
        {"maintenance_short": 0.1},
        {"isolated": True},
        {"maintenance": 0.1, "fee": 1.0},
        {"maintenance": "1%"},
        {"maintenance": Tiers(tuple(float(k) for k in range(25)), (0.01,) * 25)},
    ],
)
def test_a_margin_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(OrderError):
        kk.Margin(**{"initial": 0.5} | wrong)
    with pytest.raises(OrderError, match=r"kk\.Margin"):
        kk.Account(margin=0.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        Tiers((1.0,), (0.1,))


def test_presets() -> None:
    assert {name: round(kk.margins.esma(name).leverage) for name in ESMA} == {
        "major_fx": 30,
        "minor_fx": 20,
        "gold": 20,
        "major_index": 20,
        "commodity": 10,
        "minor_index": 10,
        "stock": 5,
        "crypto": 2,
    }
    with pytest.raises(OrderError, match="asset class"):
        kk.margins.esma("bitcoin")


def inverse_of(*rows: tuple[float, ...]) -> xr.Dataset:
    """Hourly bars of a contract of 100 USD, settled in coin, after one that stands still at 20,000."""
    still = (20_000.0,) * 4
    index = pd.date_range("2024-01-01", periods=len(rows) + 1, freq="1h")
    frame = pd.DataFrame([still, *rows], columns=["open", "high", "low", "close"], index=index).assign(volume=1e6)
    bars = kk.data.from_pandas(
        frame, label="open", bar="1h", calendar="24/7", tick_size=0.5, lot_size=1.0, multiplier=100.0, currency="BTC"
    )
    return kk.data.inverse(bars)


def test_linear_bars_do_not_follow_those_of_an_inverse_contract() -> None:
    whole = inverse_of(AT_20, AT_20, AT_20)
    first, rest = whole.isel(time=slice(0, 2)), whole.isel(time=slice(2, None))
    linear = whole.drop_vars("contract")
    straight = linear.isel(time=slice(0, 2))
    names = ["open", "high", "low", "close", "volume"]
    frame = rest.sel(asset="asset").to_dataframe()[names]
    for bars, more, said in (
        (first, linear.isel(time=slice(2, None)), "found linear, wanted inverse. Wrap them too: kk.data.inverse"),
        (straight, rest, "found inverse, wanted linear. Leave out kk.data.inverse"),
    ):
        with pytest.raises(DataError, match="contract of asset in the later bars: " + re.escape(said)):
            kk.data.append(bars, more)
    assert kk.data.append(first, frame)["contract"].values.tolist() == ["inverse"]  # it is read as the others were
    for bars, more in ((first, linear), (straight, whole), (first, linear.isel(time=slice(2, None)))):
        run = kk.start(bars, once)
        with pytest.raises(DataError, match="contract of asset in the later bars"):
            run.feed(more)
        assert run.bars == 2
    assert kk.start(first, once).feed(frame).bars == kk.start(first, once).feed(whole).bars == 4


def test_a_run_is_not_fed_bars_with_other_columns() -> None:
    bars = bars_of(STILL, STILL, STILL)
    listed = kk.data.with_universe(bars, pd.DataFrame({"A": [True] * 4}, index=bars.indexes["time"]))
    with pytest.raises(UsageError, match="feed: found bars that differ from those already run"):
        kk.start(bars.isel(time=slice(0, 2)), once).feed(listed)


def coins(bars: xr.Dataset, cash: float, margin: kk.Margin | None = None, **params: Any) -> Any:
    """The result of `once`, the same in debug mode."""
    both = [
        kk.backtest(bars, once, params, account=kk.Account(cash, margin=margin), debug=debug) for debug in (False, True)
    ]
    assert both[0]["equity"].values.tolist() == both[1]["equity"].values.tolist()
    pd.testing.assert_frame_equal(kk.fills(both[0]), kk.fills(both[1]))
    return both[0]


AT_20 = (20_000.0,) * 4


@pytest.mark.parametrize("q", [10.0, -10.0])
def test_a1__an_inverse_contract_gains_in_coin(q: float) -> None:
    res = coins(inverse_of(AT_20, (20_000.0, 25_000.0, 20_000.0, 25_000.0)), 1.0, q=q)
    gained = q * 100.0 * (1.0 / 20_000.0 - 1.0 / 25_000.0)
    assert float(res["final_equity"]) == pytest.approx(1.0 + gained, rel=1e-14)
    assert float(res["cash"][-1]) == pytest.approx(1.0 + q * 100.0 / 20_000.0, rel=1e-14)


def test_a2__an_inverse_contract_is_paid_for_in_coin() -> None:
    """One coin at 20,000 pays for 200 contracts of 100; at 25,000 for 250, less one: 1 / 25,000 is no float64."""
    assert float(coins(inverse_of(AT_20), 1.0, q=300.0)["position"][-1]) == 200.0

    @kk.strategy(warmup=0)
    def all_in(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 1:
            ctx.target_percent(1.0)

    bars = inverse_of((20_000.0, 25_000.0, 20_000.0, 25_000.0), (25_000.0,) * 4)
    assert float(kk.backtest(bars, all_in, account=kk.Account(1.0))["position"][-1]) == 249.0


@pytest.mark.parametrize("q", [100.0, -100.0])
def test_l3__inverse__at_the_published_formulas_price(q: float) -> None:
    """100 contracts of 100 on 0.1 coin, five times that."""
    wanted = liquidation_price_of_inverse(Position(1 if q > 0 else -1, 10_000.0, 20_000.0), 0.1, 0.00417)
    ticks = np.floor(2.0 * wanted) if q > 0 else np.ceil(2.0 * wanted)
    bars = inverse_of(AT_20, (20_000.0, 30_000.0, 14_000.0, 20_000.0))
    for isolated in (False, True):
        res = coins(bars, 0.1, kk.Margin(0.2, 0.00417, isolated=isolated), q=q)
        assert kk.fills(res)["price"].tolist() == [20_000.0, ticks / 2.0]


def test_e5__inverse__funding_is_paid_in_coin() -> None:
    due = {"time": ["2024-01-01 02:00"], "asset": ["asset"], "kind": ["funding"], "value": [0.001], "price": [25_000.0]}
    bars = kk.data.with_actions(inverse_of(AT_20, AT_20), pd.DataFrame(due))
    assert kk.actions(coins(bars, 1.0))["amount"].tolist() == [-((10.0 * 100.0) / 25_000.0) * 0.001]
    with pytest.raises(DataError, match="funding only"):
        kk.backtest(kk.data.with_actions(inverse_of(AT_20), pd.DataFrame(due | {"kind": ["split"]})), once)


def test_an_inverse_contract_has_no_linear_sizes(tmp_path: Path) -> None:
    @kk.strategy(warmup=0)
    def sized(ctx):  # type: ignore[no-untyped-def]
        ctx.order(ctx.size.notional(0.5))

    with pytest.raises(UsageError, match=r"ctx\.size"):
        kk.backtest(inverse_of(AT_20), sized)
    with pytest.raises(DataError, match="BTC"):
        kk.data.inverse(inverse_of(AT_20), ["BTC"])
    path = store.save(inverse_of(AT_20), tmp_path / "bars")
    assert store.load(path)["contract"].values.tolist() == ["inverse"]


def test_inverse_and_linear_assets_in_one_portfolio_share_its_coin() -> None:
    """What one calls a dollar the other must: the linear asset is quoted in coin."""

    @kk.portfolio(warmup=0)
    def both(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].sell(50.0)
            ctx[1].buy(1.0)

    index = pd.date_range("2024-01-01", periods=4, freq="1h")
    names = ["open", "high", "low", "close"]
    perp = pd.DataFrame(np.repeat([[2e4], [2e4], [25e3], [25e3]], 4, axis=1), index=index, columns=names)
    alt = pd.DataFrame(np.repeat([[0.25], [0.25], [0.5], [0.5]], 4, axis=1), index=index, columns=names)
    bars = kk.data.from_pandas(
        {"PERP": perp, "ALT": alt}, label="open", bar="1h", calendar="24/7", lot_size=1.0, multiplier={"PERP": 100.0}
    )
    res = kk.backtest(kk.data.inverse(bars, ["PERP"]), both, account=kk.Account(2.0))
    wanted = 2.0 - 5000.0 * (1.0 / 2e4 - 1.0 / 25e3) + 0.25
    assert float(res["final_equity"]) == pytest.approx(wanted, rel=1e-12)
