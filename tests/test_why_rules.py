"""`kk.why` where more than a fill model decides: limits, hours, outages, the calendar, margins, walk-forwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from tests.test_walk_forward import BARS, VENUE, WINDOWS, counted
from tests.test_why import CALM, checks_of, days, flat, rows_of

PASSED = ("O5", "its numbers are ones an order can have.", "")


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


def as_logged(res: xr.Dataset, number: int) -> Any:
    """Why of an order, once it says what the tables of the result do."""
    told = kk.why(res, number)
    orders, fills = kk.orders(res).set_index("order"), kk.fills(res)
    last, own = orders.loc[number], fills[fills["order"] == number]
    assert (told.end["status"], told.end["reason"], told.end["time"]) == (last["status"], last["reason"], last["ended"])
    assert told.fills["price"].tolist() == own["price"].tolist()
    assert told.fills["quantity"].tolist() == own["quantity"].tolist()
    assert told.title in repr(told)
    hit = kk.compliance(res)
    mine = hit[(hit["order"] == number) & (hit["time"] == last["submitted"])]
    of_rules = told.checks[told.checks["rule"].str[0].isin(["R", "H", "U"]) & (told.checks["done"] != "")]
    for name in ("limit", "found"):
        np.testing.assert_array_equal(of_rules[name], mine[name])
    assert of_rules["done"].tolist() == mine["done"].tolist()
    assert of_rules["rule"].tolist() == [rule.split()[0] for rule in mine["rule"]]
    return told


@kk.strategy
def two(ctx, first=5.0, second=5.0):  # type: ignore[no-untyped-def]
    """Two orders in one decision: what the first may come to counts for the second."""
    if ctx.i == 0:
        ctx.limit(first, 99.0)
        ctx.order(second)


def test_r2_r3_limits_that_passed_are_told_with_what_was_found() -> None:
    limits = kk.Limits(position=20.0, notional=1e4, concentration=0.5, leverage=1.0, turnover=2.0, short=False)
    account = kk.Account(1e4, limits=limits)
    told = as_logged(kk.backtest(days(CALM, CALM, CALM), two, account=account), 2)
    assert checks_of(told) == [
        PASSED,
        ("R2", "position: at worst 10 held, of at most 20.", ""),
        ("R2", "notional: at worst 1000 in value, of at most 10000.", ""),
        ("R2", "concentration: at worst 0.1 of the equity, in this asset, of at most 0.5.", ""),
        ("R3", "leverage: at worst 0.1 of the equity, in all assets, of at most 1.", ""),
        ("R4", "turnover: at worst 0.1 of the equity, traded in this session, of at most 2.", ""),
    ]
    assert told.checks["passed"].all()
    assert told.checks["limit"].tolist()[1:] == [20.0, 1e4, 0.5, 1.0, 2.0]
    assert told.checks["found"].tolist()[1:] == [10.0, 1000.0, 0.1, 0.1, 0.1]
    assert "R2: passed: position: at worst 10 held, of at most 20." in repr(told)


def test_r8_cut_then_rejected() -> None:
    account = kk.Account(1e4, limits=kk.Limits(position=8.0, leverage=0.06, on_breach="cut"))
    told = as_logged(kk.backtest(days(CALM, CALM, CALM), two, account=account), 2)
    assert checks_of(told)[1:] == [
        ("R2", "position: at worst 10 held, of at most 8; cut from 5 to 3.", "cut"),
        ("R3", "leverage: at worst 0.08 of the equity, in all assets, of at most 0.06; cut from 3 to 1.", "cut"),
    ]
    assert told.title == "Order 2: buy 1 asset, market, GTC"
    assert told.asked["quantity"] == 5.0
    assert "R2: CUT: position" in repr(told)
    account = kk.Account(1e4, limits=kk.Limits(position=8.0))
    told = as_logged(kk.backtest(days(CALM, CALM, CALM), two, account=account), 2)
    assert checks_of(told)[1:] == [("R2", "position: at worst 10 held, of at most 8.", "rejected")]
    assert told.title == "Order 2: buy 5 asset, market, GTC"
    assert told.end["reason"] == "position_limit"
    assert told.bars["rule"].tolist() == ["R2"]


def test_r1_an_order_that_reduces_is_asked_nothing() -> None:
    @kk.strategy
    def out(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.buy(5.0)
        elif ctx.i == 1:
            ctx.sell(5.0)

    res = kk.backtest(days(CALM, CALM, CALM), out, account=kk.Account(limits=kk.Limits(position=5.0, short=False)))
    told = as_logged(res, 2)
    assert checks_of(told) == [PASSED, ("R1", "it can only reduce the position: no limit is asked.", "")]
    assert len(checks_of(as_logged(res, 1))) == 2


def test_r5_r6_r7_short_sales_and_day_trades() -> None:
    @kk.strategy
    def short(ctx, price=0.0):  # type: ignore[no-untyped-def]
        if ctx.i == 1:
            if price > 0.0:
                ctx.limit(-5.0, price)
            else:
                ctx.sell(5.0)

    fallen = days(CALM, (100.0, 100.0, 80.0, 90.0), CALM, CALM)
    limits = kk.Limits(short={"asset": 10.0}, short_sale_price=0.1, day_trades=3, day_trade_equity=1e9)
    account = kk.Account(limits=limits)
    told = as_logged(kk.backtest(fallen, short, account=account), 1)
    assert checks_of(told)[1:] == [
        ("R5", "short: at worst 5 owed, of at most 10.", ""),
        ("R6", "day_trades: at worst 1 day trades in five sessions, of at most 3.", ""),
        ("R7", "short_sale_price: the price has fallen; the last price is 90, it has no limit.", "rejected"),
    ]
    told = as_logged(kk.backtest(fallen, short, {"price": 91.0}, account=account), 1)
    wanted = "short_sale_price: the price has not fallen, or its limit is above; the last price is 90, its limit is 91."
    assert checks_of(told)[-1] == ("R7", wanted, "")
    assert told.end["status"] == "filled"


def test_u1_the_universe() -> None:
    bars = days(CALM, CALM, CALM)
    mask = pd.DataFrame({"asset": [False, True, True]}, index=bars.indexes["time"])

    @kk.strategy
    def each(ctx):  # type: ignore[no-untyped-def]
        ctx.buy(1.0)

    res = kk.backtest(kk.data.with_universe(bars, mask), each)
    assert checks_of(as_logged(res, 1))[-1][::2] == ("U1", "rejected")
    assert checks_of(as_logged(res, 2))[-1] == ("U1", "its asset is in the universe.", "")


def hours_of(first: str, last: str, closes: tuple[str, ...] = ()) -> xr.Dataset:
    """Half hours of New York at one price; days named in ``closes`` are half days."""
    index = pd.DatetimeIndex([])
    for day in pd.bdate_range(first, last):
        end = "13:00" if str(day.date()) in closes else "16:00"
        index = index.append(
            pd.date_range(f"{day.date()} 09:30", f"{day.date()} {end}", freq="30min", inclusive="right")
        )
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), 100.0), index=index).assign(volume=1e6)
    kinds: Any = {"label": "close", "bar": "30min", "calendar": "XNYS", "tz": "America/New_York"}
    bars: xr.Dataset = kk.data.from_pandas(frame, **kinds, tick_size=0.01, lot_size=1.0)
    return bars


@kk.strategy
def late(ctx):  # type: ignore[no-untyped-def]
    pass


@late.on_session_close
def at_close(ctx):  # type: ignore[no-untyped-def]
    ctx.buy(1.0)


def test_h1_orders_at_the_close_of_a_half_day_wait_for_the_next_open() -> None:
    """Friday after Thanksgiving: what is given at 13:00 reaches the exchange on Monday at 9:30."""
    bars = hours_of("2023-11-24", "2023-11-28", ("2023-11-24",))
    res = kk.backtest(bars, late, venue=kk.Venue(hours="XNYS", rate=kk.Rate(2, "1h")))
    told = as_logged(res, 1)
    assert told.end["time"] == np.datetime64("2023-11-27T14:30", "ns")
    assert checks_of(told)[1:] == [
        ("H3", "order 1 of an interval, of at most 2.", ""),
        (
            "H1",
            "It was given while the exchange was closed (H1); delayed until 2023-11-27 14:30:00.",
            "delayed",
        ),
    ]
    assert "H1: DELAYED" in repr(told)
    refused = as_logged(kk.backtest(bars, late, venue=kk.Venue(hours="XNYS", closed="reject")), 1)
    assert checks_of(refused)[1:] == [("H1", "It was given while the exchange was closed (H1).", "rejected")]

    @kk.strategy
    def noon(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 2:
            ctx.limit(1.0, 90.0)

    told = as_logged(kk.backtest(bars, noon, venue=kk.Venue(hours="XNYS")), 1)
    assert checks_of(told)[1:] == [("H1", "the exchange was open.", "")]


def test_h1_bars_outside_of_the_hours_match_nothing() -> None:
    """Bars around the clock: an order of the evening waits, one that rests is passed by."""
    index = pd.date_range("2024-01-02 19:00", periods=24, freq="1h")
    low = np.where(np.arange(24) == 8, 90.0, 100.0)  # three o'clock in the night
    frame = pd.DataFrame({"open": 100.0, "high": 100.0, "low": low, "close": 100.0, "volume": 1e6}, index)
    kinds: Any = {"label": "open", "bar": "1h", "calendar": "24/7", "tick_size": 0.01, "lot_size": 1.0}
    bars = kk.data.from_pandas(frame, **kinds)

    @kk.strategy
    def rests(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(1.0, 95.0)
        elif ctx.i == 3:
            ctx.buy(1.0)

    res = kk.backtest(bars, rests, venue=kk.Venue(hours="XNYS"))
    told = as_logged(res, 1)
    assert told.end["reason"] == "end_of_data"
    assert ("H1, H2", "the venue did not match in this bar: closed, or down.") in rows_of(told)
    assert told.bars.loc[told.bars["rule"] == "H1, H2", "low"].tolist() == [90.0]
    told = as_logged(res, 2)
    assert told.note == "15 bars came before it was with the venue, at 2024-01-03 14:30:00 (T2)."
    assert [r for r, _ in rows_of(told)] == ["H1, H2", "F1", "O6"]  # the bar of 14:00 begins before the open


@kk.strategy
def changes(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx.limit(5.0, 90.0)
    elif ctx.i == 2:
        ctx.replace(1, price=91.0)
        ctx.buy(1.0)
    elif ctx.i == 3:
        ctx.cancel(1)


def test_h2_h4_orders_cancels_and_replacements_of_an_outage() -> None:
    bars = days(*[CALM] * 7)
    wait = kk.Outage("2024-01-03 12:00", "2024-01-05 12:00", orders="delay")
    res = kk.backtest(bars, changes, venue=kk.Venue(outages=[wait]))
    told = as_logged(res, 1)
    assert checks_of(told)[1:] == [("H2", "no outage of the venue.", "")]
    sentence = "It was given during an outage of the venue (H2); delayed until 2024-01-05 12:00:00."
    assert rows_of(told) == [
        ("H2", f"asked of its new numbers: {sentence}"),
        ("O16, H4", "new numbers: limit 91, which take effect at 2024-01-05 12:00:00."),
        ("H2, H4", "the venue is down: the strategy's cancel takes effect at 2024-01-05 12:00:00."),
        ("O9, O16", "cancelled: The strategy cancelled it (O9), or asked for no more than had filled (O16)."),
    ]
    told = as_logged(res, 2)
    assert checks_of(told)[1:] == [("H2", sentence, "delayed")]
    deaf = kk.Outage("2024-01-03 12:00", "2024-01-05 12:00")
    told = as_logged(kk.backtest(bars, changes, venue=kk.Venue(outages=[deaf])), 1)
    assert rows_of(told)[:3] == [
        ("H2", "asked of its new numbers: It was given during an outage of the venue (H2)."),
        ("O16", "the strategy's limit 91 was not taken."),
        ("H2, H4", "the venue is down and did not take the strategy's cancel."),
    ]


def test_h3_a_rate() -> None:
    @kk.strategy
    def many(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.buy(1.0)
            ctx.buy(1.0)

    venue = kk.Venue(rate=kk.Rate(1, "2D", excess="delay"))
    told = as_logged(kk.backtest(days(*[CALM] * 5), many, venue=venue), 2)
    assert checks_of(told)[1:] == [("H3", "order 2 of an interval, of at most 1; delayed until 2024-01-04.", "delayed")]
    told = as_logged(kk.backtest(days(*[CALM] * 5), many, venue=kk.Venue(rate=kk.Rate(1, "2D"))), 2)
    assert checks_of(told)[1:] == [("H3", "order 2 of an interval, of at most 1.", "rejected")]


def test_e2_e4_splits_and_delistings() -> None:
    @kk.strategy
    def rest(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(3.0, 90.0)
            ctx.buy(50.0)
            ctx.stop(-50.0, 50.0)
        elif ctx.i == 4:
            ctx.buy(1.0)

    facts = {"time": ["2024-01-03", "2024-01-05 12:00"], "asset": ["asset"] * 2, "kind": ["split", "delisting"]}
    bars = days(CALM, CALM, *[tuple(10.0 * p for p in CALM)] * 3)
    res = kk.backtest(kk.data.with_actions(bars, pd.DataFrame(facts | {"value": [0.1, np.nan]})), rest)
    told = as_logged(res, 1)
    assert told.end["reason"] == "split"
    assert told.title == "Order 1: buy 3 asset, limit, GTC"
    told = as_logged(res, 3)
    assert [r for r, _ in rows_of(told)] == ["F2", "E2", "E4"]
    assert told.title == "Order 3: sell 50 asset, stop, GTC"
    told = as_logged(res, 4)
    assert checks_of(told) == [("E4", "Its asset has left the market (E4).", "rejected")]
    assert told.title == "Order 4: buy 1 asset, market, GTC"


def test_e4_a_run_that_goes_on_past_a_delisting(tmp_path: Any) -> None:
    @kk.strategy
    def rest(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(3.0, 90.0)
        elif ctx.i >= 2:
            ctx.target_percent(0.5)

    facts = {"time": ["2024-01-03 12:00"], "asset": ["asset"], "kind": ["delisting"], "value": [np.nan]}
    bars = kk.data.with_actions(days(CALM, CALM, CALM), pd.DataFrame(facts))
    run = kk.start(bars.isel(time=slice(0, 2)), rest).feed(bars)
    for res in (run.result(), kk.resume(run.save(tmp_path / "run"), rest).result(), kk.backtest(bars, rest)):
        told = as_logged(res, 1)
        assert (told.end["reason"], rows_of(told)[-1][0]) == ("delisted", "E4")
        told = as_logged(res, 2)
        assert checks_of(told) == [("E4", "Its asset has left the market (E4).", "rejected")]
        assert told.title == "Order 2: target_percent 0.5 asset, market, GTC"


def test_l6_a_portfolio_that_is_liquidated() -> None:
    @kk.portfolio(warmup=0)
    def levered(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            for k in ctx.tradable:
                ctx[k].buy(20.0)
            ctx[0].limit(1.0, 10.0)

    names = ["open", "high", "low", "close", "volume"]
    frames = {
        n: days(CALM, CALM, flat(p), flat(p)).isel(asset=0).to_dataframe()[names] for n, p in (("a", 80.0), ("b", 91.0))
    }
    pair = kk.data.from_pandas(frames, label="open", bar="1D", calendar="24/7", tick_size=0.01, lot_size=1.0)
    account = kk.Account(1000.0, margin=kk.Margin(0.25, 0.125), limits=kk.Limits(leverage=5.0))
    res = kk.backtest(pair, levered, account=account)
    told = as_logged(res, 3)
    assert told.end["reason"] == "liquidation"
    assert rows_of(told)[-1][0] == "L5"
    assert checks_of(told)[-1] == ("R3", "leverage: at worst 4.1 of the equity, in all assets, of at most 5.", "")
    for number, price in ((4, 80.0), (5, 91.0)):
        told = as_logged(res, number)
        assert told.asked == {"by": "liquidation (L5)"}
        assert told.fills["price"].tolist() == [price]
        assert [r for r, _ in rows_of(told)] == ["L3, L5", "L5"]
    down = kk.Venue(outages=[kk.Outage("2024-01-03 01:00", "2024-01-03 02:00")])
    told = as_logged(kk.backtest(pair, levered, account=account, venue=down), 4)
    assert told.end["time"] == np.datetime64("2024-01-05", "ns")


def test_l3_a_single_account_that_is_liquidated() -> None:
    """Models whose path is not one of L3's are not asked what they would have done."""

    @kk.strategy(warmup=0)
    def levered(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.buy(40.0)
            ctx.limit(-40.0, 150.0, reduce_only=True)

    bars = days(CALM, CALM, (95.0, 95.0, 70.0, 80.0), flat(80.0))
    res = kk.backtest(bars, levered, account=kk.Account(1000.0, margin=kk.Margin(0.25, 0.125)))
    told = as_logged(res, 2)
    assert (told.end["reason"], rows_of(told)[-1][0]) == ("liquidation", "L5")
    told = as_logged(res, 3)
    assert told.asked == {"by": "liquidation (L5)"}
    models = told.models.set_index("model")["what"]
    assert models["nautilus"] == models["nautilus_adaptive"] == "refused where an account can be liquidated (L3)"
    assert models["lean"].startswith("filled 40 at ")


def test_an_order_that_never_had_lots_is_titled_by_what_was_asked() -> None:
    @kk.strategy
    def nothing(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.sell(0.25)
            ctx.target_percent(0.0 / (ctx.close[0] - ctx.close[0]))

    res = kk.backtest(days(CALM, CALM), nothing)
    assert kk.why(res, 1).title == "Order 1: sell 0.25 asset, market, GTC"
    assert kk.why(res, 2).title == "Order 2: target_percent nan asset, market, GTC"


@pytest.mark.parametrize("carry", [True, False])
def test_T9_orders_of_a_walk_forward(carry: bool) -> None:
    """Every order around each switch, and some between, are told as the stitched run has them."""
    grid = {"n": [5, 12, 30], "k": [1, 2.5]}
    res = kk.walk_forward(BARS, counted, grid=grid, carry=carry, venue=VENUE, **WINDOWS)
    orders = kk.orders(res)
    starts = res["test_start"].values[1:]
    near = orders[orders["submitted"].isin(starts) | orders["ended"].isin(starts)]["order"].tolist()
    assert len(near) > 5
    switched, flattened = 0, 0
    for number in sorted({*near, *orders["order"][::40]}):
        told = as_logged(res, number)
        given = orders.set_index("order").loc[number, "submitted"].to_datetime64()
        k = int((res["test_start"].values < given).sum()) - 1
        by = told.asked.get("by")
        assert f"It was given in fold {k}, with n={int(res['n'][k])}, k={float(res['k'][k]):.10g}." in told.note
        if rows_of(told)[-1][0] == "T9":
            switched += 1
            assert told.end["sentence"] == "The walk-forward went on with other parameters (T9)."
            assert told.end["time"] in starts
        flattened += by == "the switch of a walk-forward (T9)"
    assert switched > 3
    assert (flattened > 0) == (not carry)


def test_T9_orders_of_a_portfolios_walk_forward() -> None:
    @kk.portfolio(state=dict(w=kk.each()))
    def spread(ctx, s, n=5):  # type: ignore[no-untyped-def]
        for k in ctx.tradable:
            s.w[k] = 0.4 if ctx[k].close[0] > ctx[k].close.sma(n) else -0.2
        ctx.weights(s.w)
        if ctx.i % 3 == 0:
            ctx[0].limit(2.0, 0.97 * ctx[0].close[0])

    names = ["open", "high", "low", "close", "volume"]
    one = BARS.isel(asset=0).to_dataframe()[names]
    pair = kk.data.from_pandas(
        {"a": one, "b": one.iloc[::-1].set_index(one.index)}, label="open", bar="1D", calendar="24/7"
    )
    for carry in (True, False):
        res = kk.walk_forward(pair, spread, grid={"n": [5, 20]}, carry=carry, account=kk.Account(1e5), **WINDOWS)
        orders = kk.orders(res)
        near = orders[orders["submitted"].isin(res["test_start"].values[1:])]["order"].tolist()
        told = [as_logged(res, number) for number in [*near[:6], *orders["order"][::150]]]
        by = {t.asked.get("by") for t in told}
        assert ("the switch of a walk-forward (T9)" in by) == (not carry)
