"""What an account may have at worst, on bars small enough to be worked out by hand (rules R1-R9)."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.compliance import RULES
from kernelkit.errors import OrderError, UsageError
from kernelkit.kernels import layout as L
from kernelkit.kernels.rules import Rules
from tests.programs import Case, recorded
from tests.programs import job as job_of
from tests.reference import Bars, Config
from tests.test_orders import DAY, GRID, KNOWN, STILL, Row, act, limit, market, stop

Bar = tuple[int, int, int, int]


class Story:
    """What became of orders: fills as (order, lots), `reasons` of all, `rows` of R9 as (order, reason, done, ...)."""

    def __init__(self, logs: Any) -> None:
        self.fills = [(int(f["order"]), int(f["lots"])) for f in logs.fills]
        self.reasons = {int(o["id"]): L.REASONS[o["reason"]] for o in logs.orders}
        self.prices = {int(o["id"]): int(o["price"]) for o in logs.orders}
        self.lots = {int(o["id"]): int(o["lots"]) for o in logs.orders}
        self.rows = [
            (int(b["order"]), L.REASONS[b["reason"]], L.DEEDS[b["done"]], float(b["limit"]), float(b["found"]))
            for b in logs.breaches
        ]
        self.amounts = [(int(b["before"]), int(b["after"])) for b in logs.breaches]


def play(
    rules: Rules,
    actions: Mapping[int, list[Row]],
    bars: Sequence[Bar] | int = 6,
    sessions: Sequence[int] | None = None,
    limits: dict[str, Any] | None = None,
    **config: Any,
) -> Story:
    """Run the actions of each bar under `rules`; bars of 100 where only their number is given."""
    rows = [STILL] * bars if isinstance(bars, int) else list(bars)
    n = len(rows)
    columns = [list(c) for c in zip(*rows, strict=True)]
    times = [t * DAY for t in range(n)], [t * DAY + KNOWN for t in range(n)]
    made = Bars(*times, list(sessions or range(n)), *columns, [1000.0] * n)
    told = (limits or {}) | {"rules": rules}
    program = [actions.get(t, []) for t in range(n)]
    config = {"cash": 10_000.0, "cash_rule": "debt"} | config
    logs, *_ = recorded(job_of(Case(made, GRID, Config(**config), program, limits=told)))
    return Story(logs)


# --- the worst case (R1), positions (R2)


def test_r2_position() -> None:
    story = play(Rules(position=5.0), {0: [market(6), market(5)], 1: [market(1), market(-10)], 2: [market(-1)]})
    assert story.fills == [(2, 5), (4, -10)]
    assert story.reasons == {1: "position_limit", 2: "", 3: "position_limit", 4: "", 5: "position_limit"}
    assert story.rows[0] == (1, "position_limit", "rejected", 5.0, 6.0)


def test_r1_what_is_live_counts_as_filled_where_it_adds() -> None:
    """Two resting buys of 2 leave room for one more lot of 5; the resting sale leaves no more."""
    resting = [limit(2, 90), limit(2, 91), limit(-3, 110)]
    story = play(Rules(position=5.0), {0: resting, 1: [market(2), market(1)], 2: [market(1)]})
    assert story.reasons[4] == story.reasons[6] == "position_limit"
    assert story.fills == [(5, 1)]


def test_r1_what_reduces_is_never_refused() -> None:
    """Bought without a limit, so to say: the position of 9 stands against a notional of 500 at 50, 900 at 100."""
    bars = [(50, 50, 50, 50)] * 2 + [STILL] * 4
    actions = {0: [market(9)], 2: [market(1), market(-4), stop(-4, 90)], 3: [market(-2)]}
    story = play(Rules(notional=500.0), actions, bars)
    assert story.reasons[2] == "notional_limit"
    assert story.fills == [(1, 9), (3, -4), (5, -2)]


def test_r1_an_order_that_reduces_is_held_to_that() -> None:
    """A stop for the position, which a reduce-only order closes before: it opens nothing."""
    bars = [STILL] * 3 + [(100, 100, 80, 80)] * 2
    short = play(Rules(position=5.0), {0: [market(3)], 1: [stop(-3, 95), act(17, 0, -3)]}, bars)
    assert short.fills == [(1, 3), (3, -3)]
    assert short.reasons[2] == "reduce_only"


def test_r1_a_reversal_counts_what_it_opens() -> None:
    story = play(Rules(position=5.0), {0: [market(5)], 1: [market(-11)], 2: [market(-10)]})
    assert story.reasons[2] == "position_limit"
    assert story.rows == [(2, "position_limit", "rejected", 5.0, 6.0)]
    assert story.fills == [(1, 5), (3, -10)]


def test_r1_reduce_only_orders_are_not_judged_and_count_nowhere() -> None:
    """The exits of a bracket, and a reduce-only order larger than the limit."""
    story = play(Rules(position=3.0), {0: [act(6, 1, 3, 90, 110)], 1: [act(17, 0, -50), market(-6)]})
    assert story.fills[0] == (1, 3)
    assert not story.rows


def test_r8_cut() -> None:
    """To what is left; a bracket's exits are as large as its entry."""
    story = play(Rules(position=5.0, cut=True), {0: [act(6, 1, 8, 90, 110)], 1: [market(1), market(-20)]})
    assert story.lots == {1: 5, 2: -5, 3: -5, 4: 0, 5: -10} | {4: 1}
    assert story.reasons[4] == "position_limit"
    assert story.fills == [(1, 5), (5, -10)]
    done = [(order, done) for order, _, done, _, _ in story.rows]
    assert done == [(1, "cut"), (4, "rejected"), (5, "cut")]


def test_r8_cut_by_several() -> None:
    """The smallest of all limits counts; each that cuts has a row."""
    story = play(Rules(position=8.0, notional=600.0, concentration=0.04, cut=True), {0: [market(10)]})
    assert story.rows == [
        (1, "position_limit", "cut", 8.0, 10.0),
        (1, "notional_limit", "cut", 600.0, 800.0),
        (1, "concentration_limit", "cut", 0.04, 0.06),
    ]
    assert story.fills == [(1, 4)]


def test_r8_a_cut_order_may_be_too_small_for_the_venue() -> None:
    story = play(Rules(position=3.0, cut=True), {0: [market(8)]}, limits={"min_quantity": 4.0})
    assert story.reasons == {1: "below_minimum"}


def test_r8_a_cut_target_is_not_sized_at_its_fill() -> None:
    story = play(Rules(position=7.0, cut=True), {0: [act(8, a=1.0)]}, sizing="at_fill")
    assert story.fills == [(1, 7)]


@pytest.mark.parametrize("cut", [False, True])
def test_r8_replacements(cut: bool) -> None:
    """Asked where they grow, never cut; a smaller one and another price are not asked, whatever prices have become."""
    bars = [STILL] * 2 + [(400, 400, 400, 400)] * 4
    rules = Rules(position=5.0, notional=450.0, cut=cut)
    grow, less, price = (act(18, form, 1, a=91, c=c) for form, c in ((0, 6.0), (0, 3.0), (1, 0.0)))
    story = play(rules, {0: [limit(4, 90)], 1: [grow], 2: [less], 3: [price, grow]}, bars)
    assert story.lots == {1: 3}
    assert story.rows == [(1, "position_limit", "rejected", 5.0, 6.0)] * 2


def test_r9_the_first_refusal_of_a_decision() -> None:
    """A strategy that asks again and again fills no log."""
    grow = act(18, 0, 1, c=9.0)
    story = play(Rules(position=5.0), {0: [limit(4, 90)], 1: [grow, grow, grow], 2: [grow]})
    assert len(story.rows) == 2


# How much things are worth, and how much is traded.


def test_r2_notional_and_concentration_at_the_present_close() -> None:
    rising = [STILL] * 2 + [(200, 200, 200, 200)] * 4
    assert play(Rules(notional=500.0), {0: [market(5)], 1: [market(1)]}).fills == [(1, 5)]
    story = play(Rules(notional=500.0), {0: [market(2)], 2: [market(1)]}, rising)
    assert story.rows == [(2, "notional_limit", "rejected", 500.0, 600.0)]
    story = play(Rules(concentration=0.05), {0: [market(6), market(5)]})
    assert story.rows == [(1, "concentration_limit", "rejected", 0.05, 0.06)]
    assert story.fills == [(2, 5)]


def test_r3_leverage_of_one_asset() -> None:
    story = play(Rules(leverage=2.0), {0: [market(200)], 1: [market(1)], 2: [market(-400)]})
    assert story.fills == [(1, 200), (3, -400)]
    assert story.rows == [(2, "leverage_limit", "rejected", 2.0, 2.01)]


@pytest.fixture(scope="module")
def three() -> xr.Dataset:
    """Three assets at 10, 20 and 40, hour by hour."""
    index = pd.date_range("2024-01-01", periods=72, freq="h", tz="UTC")
    frames = {
        name: pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), p) | {"volume": 1e6}, index=index)
        for name, p in (("A", 10.0), ("B", 20.0), ("C", 40.0))
    }
    return kk.data.from_pandas(frames, label="open", bar="1h", calendar="24/7", tick_size=0.01)


@kk.portfolio
def exchange(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx[0].buy(60.0)
        ctx[1].sell(10.0)
    if ctx.i == 2:
        ctx[0].sell(60.0)
        ctx[2].buy(10.0)
    if ctx.i == 3:
        ctx[2].buy(20.0)


def test_r3_leverage_of_several_assets(three: xr.Dataset) -> None:
    """600 long and 200 short of 1,000: what is sold at the same decision makes no room, at the next one it does."""
    account = kk.Account(1000.0, limits=kk.Limits(leverage=1.0))
    res = kk.backtest(three, exchange, account=account, venue=kk.Venue(cash_rule="debt"))
    rows = kk.compliance(res)
    assert rows[["asset", "order", "rule", "limit", "found"]].values.tolist() == [["C", 4, "R3 leverage", 1.0, 1.2]]
    assert kk.fills(res)["order"].tolist() == [1, 2, 3, 5]


def test_r3_cut_in_a_portfolio(three: xr.Dataset) -> None:
    account = kk.Account(1000.0, limits=kk.Limits(leverage=0.7, on_breach="cut"))
    res = kk.backtest(three, exchange, account=account, venue=kk.Venue(cash_rule="debt"))
    assert kk.fills(res)[["asset", "quantity"]].values.tolist() == [
        ["A", 60.0], ["B", 5.0], ["A", 60.0], ["C", 15.0],
    ]  # fmt: skip


def test_r4_turnover() -> None:
    """Two bars a session, 10,000 of equity: 60 lots are 0.6."""
    actions = {0: [market(60)], 1: [market(50), market(40)], 2: [market(-100)], 3: [market(1)], 4: [market(40)]}
    story = play(Rules(turnover=1.0), actions, 8, sessions=[0, 0, 1, 1, 2, 2, 3, 3])
    # bar 1: 0.6 traded, 0.5 is too much, 0.4 is not; bar 2: 0.4 in the new session; bar 3: 1.4, no sale is refused
    assert [r[:3] for r in story.rows] == [(2, "turnover_limit", "rejected"), (5, "turnover_limit", "rejected")]
    assert story.rows[0][4] == pytest.approx(1.1)
    assert story.rows[1][4] == pytest.approx(1.41)
    assert story.fills == [(1, 60), (3, 40), (4, -100), (6, 40)]


def test_r4_live_orders_count() -> None:
    story = play(Rules(turnover=1.0, cut=True), {0: [limit(70, 90), market(50)]})
    assert story.fills == [(2, 30)]


# --- short sales (R5, R7)


def test_r5_no_short_sales() -> None:
    story = play(Rules(shorts=(0.0,)), {0: [market(-1), market(4)], 1: [market(-5)], 2: [market(-4)]})
    assert story.reasons == {1: "short_sale", 2: "", 3: "short_sale", 4: ""}
    cut = play(Rules(shorts=(0.0,), cut=True), {0: [market(4)], 1: [market(-5)]})
    assert cut.fills == [(1, 4), (2, -4)]
    assert play(Rules(shorts=(3.0,)), {0: [market(-4), market(-3)]}).fills == [(2, -3)]


def test_r5_by_asset(three: xr.Dataset) -> None:
    """In one account, and in separate ones: each knows its asset."""

    @kk.portfolio
    def sell_all(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            for k in range(ctx.n):
                ctx[k].sell(2.0)

    @kk.strategy
    def sell_it(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.sell(2.0)

    for short in ({"A": 1.5, "C": True}, {"A": 1.5, "B": False, "C": 2.0}):
        account = kk.Account(limits=kk.Limits(short=short))
        res = kk.backtest(three, sell_all, account=account)
        assert kk.orders(res)["reason"].tolist() == ["short_sale", "short_sale", ""]
        assert kk.compliance(res)["limit"].tolist() == [1.5, 0.0]
        each = kk.backtest(three, sell_it, account=account)
        assert each["n_fills"].values.tolist() == [0, 0, 1]
        assert [len(kk.compliance(each, asset=a)) for a in "ABC"] == [1, 1, 0]
    with pytest.raises(OrderError, match="limit short: found X, wanted assets of the bars: A, B, C"):
        kk.backtest(three, sell_all, account=kk.Account(limits=kk.Limits(short=["X"])))


FALLS = [
    (100, 100, 100, 100),
    (100, 100, 91, 95),  # session 1: not by a tenth
    (95, 95, 85, 86),  # session 2: 85 <= 0.9 * 95
    (86, 90, 86, 90),
    (90, 95, 90, 95),  # session 3: the next
    (95, 95, 94, 94),
    (94, 96, 94, 96),  # session 4: free again
    (96, 96, 96, 96),
]


def test_r7_short_sales_after_a_fall() -> None:
    sessions = [0, 1, 2, 2, 3, 3, 4, 4]
    story = play(Rules(fall=0.1), {t: [market(-1)] for t in range(7)}, FALLS, sessions)
    assert story.reasons == {k + 1: "" if k in (0, 1, 6) else "short_sale_price" for k in range(7)}
    assert story.rows[0] == (3, "short_sale_price", "rejected", 86.0, 0.0)


def test_r7_limit_orders_above_the_last_price() -> None:
    sessions = [0, 1, 2, 2, 3, 3, 4, 4]
    orders = [limit(-1, 86), limit(-1, 87), stop(-1, 80), act(4, 0, -1, 80, 99)]
    story = play(Rules(fall=0.1), {2: orders[:2], 3: orders[2:]}, FALLS, sessions)
    assert [k for k, r in story.reasons.items() if r == "short_sale_price"] == [1, 3, 4]
    assert story.fills == [(2, -1)]


def test_r7_a_long_position_may_be_sold_and_replacements_are_asked() -> None:
    sessions = [0, 1, 2, 2, 3, 3, 4, 4]
    story = play(Rules(fall=0.1), {0: [market(3)], 2: [market(-4), market(-3)]}, FALLS, sessions)
    assert [r[:3] for r in story.rows] == [(2, "short_sale_price", "rejected")]
    assert story.fills == [(1, 3), (3, -3)]
    lower, higher = act(18, 1, 1, a=80), act(18, 1, 1, a=99)
    story = play(Rules(fall=0.1), {0: [limit(-4, 110)], 2: [lower, higher]}, FALLS, sessions)
    assert [r[:3] for r in story.rows] == [(1, "short_sale_price", "rejected")]
    assert story.prices == {1: 99}


# --- day trades (R6)


def test_r6_the_opening_of_one_too_many_is_refused() -> None:
    """Six bars a session: two day trades in the first, one in the second, and no fourth within five sessions."""
    rules = Rules(day_trades=3, day_trade_equity=25_000.0)
    sessions = [t // 6 for t in range(40)]
    buy, sell = [market(1)], [market(-1)]
    actions = {0: buy, 1: sell, 2: buy, 3: sell, 6: buy, 7: sell, 8: buy, 24: buy, 30: buy}
    story = play(rules, actions, 40, sessions)
    # in the fifth session all three count, in the sixth only that of the second
    assert story.rows == [(7, "day_trades", "rejected", 3.0, 4.0), (8, "day_trades", "rejected", 3.0, 4.0)]
    assert story.fills[-1] == (9, 1)
    rich = play(rules, actions, 40, sessions, cash=25_000.0)
    assert not rich.rows


def test_r6_what_could_become_one_counts() -> None:
    """A position of this session, and orders that may open: with two allowed the third is refused."""
    rules = Rules(day_trades=2, day_trade_equity=1e9)
    story = play(rules, {0: [market(1)], 1: [limit(1, 90), market(1)]}, 8, [0] * 8)
    assert [r[:2] for r in story.rows] == [(3, "day_trades")]
    overnight = play(rules, {0: [market(1)], 1: [limit(1, 90), market(1)]}, 8, [0, 0, 1, 1, 2, 2, 3, 3])
    assert [r[:2] for r in overnight.rows] == [(3, "day_trades")]
    later = play(rules, {0: [market(1)], 2: [limit(1, 90), market(1)]}, 8, [0, 0, 1, 1, 2, 2, 3, 3])
    assert not later.rows  # what was opened in the session before is no day trade any more


def test_r6_several_purchases_and_one_sale_are_one_day_trade() -> None:
    """FINRA's example; two changes of direction are two."""
    rules = Rules(day_trades=16, day_trade_equity=1e9)
    one = play(rules, {0: [market(1), market(1)], 1: [market(-1), market(-1)], 2: [market(1)]}, 9, [0] * 9)
    assert not one.rows
    full = Rules(day_trades=1, day_trade_equity=1e9)
    story = play(full, {0: [market(2)], 1: [market(-1)], 2: [market(-1)], 3: [market(1)]}, 9, [0] * 9)
    assert story.rows == [(4, "day_trades", "rejected", 1.0, 2.0)]


# --- settings, the table (R9)


@kk.strategy
def hold(ctx, weight=1.0):  # type: ignore[no-untyped-def]
    ctx.target_percent(weight)


BARS = kk.data.load("sp500_index").isel(time=slice(0, 300))


def test_presets() -> None:
    assert kk.limits.pattern_day_trading(leverage=2.0) == kk.Limits(day_trades=3, leverage=2.0)
    both = dataclasses.replace(kk.limits.ssr_201(on_breach="cut"), day_trades=3)
    assert both == kk.Limits(short_sale_price=0.1, day_trades=3, on_breach="cut")


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ({"position": 0.0}, "limit position: found 0.0, wanted a number above 0"),
        ({"notional": float("nan")}, "limit notional: found nan"),
        ({"leverage": "2"}, "limit leverage: found '2'"),
        ({"turnover": True}, "limit turnover: found True"),
        ({"day_trades": 17}, "limit day_trades: found 17, wanted a whole number from 0 to 16"),
        ({"day_trades": 2.0}, "limit day_trades: found 2.0"),
        ({"day_trade_equity": -1.0}, "limit day_trade_equity: found -1.0"),
        ({"short_sale_price": 1.0}, "limit short_sale_price: found 1.0, wanted a fraction"),
        ({"short": "A"}, "limit short: found 'A', wanted True, False or names of assets"),
        ({"short": 3}, "limit short: found 3"),
        ({"short": {"A": -1.0}}, "limit short of A: found -1.0"),
        ({"on_breach": "warn"}, "on_breach: found 'warn', wanted one of reject, cut"),
    ],
)
def test_limits__bad(limits: dict[str, Any], found: str) -> None:
    with pytest.raises(OrderError) as error:
        kk.Limits(**limits)
    assert found in str(error.value)


def test_account__bad_limits() -> None:
    with pytest.raises(OrderError, match=r"limits of the account: found \{'leverage': 2\}, wanted kk.Limits"):
        kk.Account(limits={"leverage": 2})  # type: ignore[arg-type]


def test_r9_table() -> None:
    """Its columns, also where nothing was hit; CSV and JSON give it back."""
    account = kk.Account(limits=kk.Limits(concentration=0.5, on_breach="cut"))
    res = kk.backtest(BARS, hold, account=account, venue=kk.Venue(hours="XNYS"))
    rows, none = kk.compliance(res), kk.compliance(kk.backtest(BARS, hold))
    assert list(none.columns) == list(rows.columns)
    assert none.empty
    assert none.dtypes.to_dict() == rows.dtypes.to_dict()
    assert set(rows["done"]) == {"cut", "rejected", "delayed"}
    first = rows.iloc[0]
    assert (first["rule"], first["done"], first["left"]) == ("R2 concentration", "cut", first["quantity"] // 2)
    orders = kk.orders(res).set_index("order")
    refused = orders[orders["status"] == "rejected"]
    assert set(refused["reason"]) == {"concentration_limit"}
    assert set(rows.loc[rows["done"] == "rejected", "order"]) == set(refused.index)
    for table in (rows, none):
        text = io.StringIO(table.to_csv(index=False))
        back = pd.read_csv(text, parse_dates=["time", "until"])
        pd.testing.assert_frame_equal(back.astype(table.dtypes), table)
        text = io.StringIO(table.to_json(orient="table", index=False, date_unit="ns", double_precision=15))
        pd.testing.assert_frame_equal(pd.read_json(text, orient="table").astype(table.dtypes), table)


def test_r9_one_trial() -> None:
    account = kk.Account(limits=kk.Limits(concentration=0.5))
    res = kk.backtest(BARS, hold, grid={"weight": [0.4, 0.9]}, account=account)
    with pytest.raises(UsageError, match="several trials along weight"):
        kk.compliance(res)
    assert kk.compliance(res, weight=0.4).empty
    assert len(kk.compliance(res, weight=0.9)) == len(kk.orders(res.sel(weight=0.9)))


def test_r9_every_reason_has_a_rule() -> None:
    assert list(RULES) == list(range(L.R_POSITION, L.R_RATE + 1))


def test_rejections_are_told_at_the_decision() -> None:
    """In the history of orders they come before what the next open does."""
    account = kk.Account(limits=kk.Limits(concentration=0.5))
    events = kk.orders(kk.backtest(BARS, hold, account=account), history=True)
    assert events["event"].tolist()[:4] == ["submitted", "rejected"] * 2
    assert "(R2)" in events["sentence"].iloc[1]


def test_r9_the_next_limit_rejects_what_a_cut_has_left() -> None:
    """Of 8 lots one limit leaves 5, and the next one is asked for these."""
    story = play(Rules(position=5.0, cut=True, day_trades=0, day_trade_equity=1e9), {0: [market(8)]})
    assert [row[1:3] for row in story.rows] == [("position_limit", "cut"), ("day_trades", "rejected")]
    assert story.amounts == [(8, 5), (5, 0)]


def test_r9_a_replacement_is_told_by_the_lots_that_it_would_give() -> None:
    story = play(Rules(position=5.0), {0: [limit(3, 90)], 1: [act(18, 0, 1, c=7.0)]})
    assert story.rows == [(1, "position_limit", "rejected", 5.0, 7.0)]
    assert story.amounts == [(7, 7)]
    assert story.lots == {1: 3}


def test_r4_a_liquidation_is_traded_too() -> None:
    """10 bought at 100 on 420 and liquidated at 61, where 30 are left: 1 more at 61 is asked for after both."""
    bars = [STILL, STILL, (100, 100, 61, 61), (61, 61, 61, 61)]
    margin = {"cash": 420.0, "initial": 0.1, "maintenance": 0.05}
    story = play(Rules(turnover=4.0), {0: [market(10)], 2: [market(1)]}, bars, sessions=[0] * 4, **margin)
    assert story.fills == [(1, 10), (2, -10)]
    assert story.rows == [(3, "turnover_limit", "rejected", 4.0, (1000.0 / 420.0 + 610.0 / 420.0) + 61.0 / 30.0)]


def test_signals_have_limits_too() -> None:
    @kk.signal
    def long_short(ds):  # type: ignore[no-untyped-def]
        return xr.where(ds["close"] > ds["close"].shift(time=5), 1.0, -1.0)

    res = kk.backtest(BARS, long_short, account=kk.Account(limits=kk.Limits(short=False, on_breach="cut")))
    assert float(res["position"].min()) == 0.0 < float(res["position"].max())
    assert set(kk.compliance(res)["rule"]) == {"R5 short"}


def test_runs_that_go_on_keep_their_limits(tmp_path: Any) -> None:
    """Started, saved, resumed and fed: the rows of one run."""
    account = kk.Account(20_000.0, limits=kk.Limits(turnover=0.5, day_trades=1, short={"SPX": 2.0}, on_breach="cut"))
    outage = kk.Outage("1999-06-01", "1999-07-01", orders="delay")
    venue = kk.Venue(hours="XNYS", outages=[outage], rate=kk.Rate(3, "10D", excess="delay"))

    @kk.strategy
    def turn(ctx):  # type: ignore[no-untyped-def]
        if ctx.i % 3 == 0:
            ctx.target_percent(0.6 if ctx.i % 2 else -0.6)

    whole = kk.backtest(BARS, turn, account=account, venue=venue)
    run = kk.start(BARS.isel(time=slice(0, 103)), turn, account=account, venue=venue)
    run = kk.resume(run.save(tmp_path / "run")).feed(BARS.isel(time=slice(103, None)))
    assert len(kk.compliance(whole)) > 50
    pd.testing.assert_frame_equal(kk.compliance(run.result()), kk.compliance(whole))
    pd.testing.assert_frame_equal(kk.orders(run.result()), kk.orders(whole))
    assert np.array_equal(run.result()["equity"].values, whole["equity"].values)
