"""Hand-worked portfolios: bars, listings, marks, targets, index (X1-X3, X7, X8)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.reference import Asset, Clock, Config, Grid, ModelView, PortfolioView, simulate_portfolio
from tests.reference.worked import CENTS, ONES, daily, ends, flat, noting, order
from tests.reference.worlds import clock_of, fills, hold, sparse, still

A4 = still(100, 100, 100, 100)


def test_x1__an_order_for_an_asset_without_a_bar_is_unlisted_whatever_it_says() -> None:
    ids: list[Any] = []
    plan = {
        0: lambda ctx: (
            ctx[1].buy(math.nan),
            ctx[1].target(0),
            ctx[1].target_percent(math.nan),
            ctx[1].bracket(1, stop=-5),
            ctx[0].buy(1),
            ids.extend(ctx.weights([math.nan, 0.5])),
        ),
        2: lambda ctx: ctx[1].buy(2),
    }
    outcome = hold(plan, A4, still(None, None, 50, 51))
    assert ends(outcome)[:4] == [(i, "rejected", "unlisted") for i in (1, 2, 3, 4)]
    assert (fills(outcome), ids) == ([(5, 0, 1, 100), (6, 1, 2, 51)], [0, 0])
    assert [record["asset"] for record in outcome.orders] == [1, 1, 1, 1, 0, 1]
    assert outcome.position == [[0, 1, 1, 1], [0, 0, 0, 2]]


def test_x1__an_order_waits_for_the_next_bar_of_its_asset() -> None:
    outcome = hold({0: lambda ctx: ctx[1].buy(2)}, A4, still(50, None, None, 60))
    clock = clock_of(4)
    assert (fills(outcome), outcome.fills[0]["time"]) == ([(1, 1, 2, 60)], clock.open_at[3])
    assert order(outcome, 1)["t_submit"] == clock.known_at[0]


def test_x1__history_is_of_the_assets_own_bars() -> None:
    seen: list[Any] = []
    look = lambda ctx: seen.append((ctx[1].tradable, ctx[1].close(), ctx[1].close(-1)))  # noqa: E731
    hold(dict.fromkeys(range(4), look), A4, still(None, 50, None, 60))
    assert repr(seen) == "[(False, nan, nan), (True, 50.0, nan), (False, 50.0, nan), (True, 60.0, 50.0)]"


def test_x1__a_day_is_the_session_of_the_assets_first_bar() -> None:
    # its first bar to be matched in is bar 3, of session 1; bar 5 is its first in a later session
    column = [*still(100, None, None), (100, 100, 95, 100), None, (80, 80, 80, 80)]
    outcome = hold({0: lambda ctx: ctx[1].limit(1, 90, "DAY")}, still(*[100] * 6), column, per_session=2)
    assert ends(outcome) == [(1, "expired", "day")]
    assert order(outcome, 1)["t_end"] == clock_of(6, per_session=2).open_at[5]
    ended = hold({0: lambda ctx: ctx[1].limit(1, 90, "DAY")}, still(*[100] * 4), still(100, 100, None, None))
    assert ends(ended) == [(1, "cancelled", "end_of_data")]


def test_x1__an_ioc_is_for_the_assets_first_bar() -> None:
    plan = {0: lambda ctx: (ctx[1].order(1, "IOC"), ctx[1].limit(1, 40, "IOC"))}
    outcome = hold(plan, A4, still(50, None, 50, 30))
    assert (fills(outcome), ends(outcome)) == ([(1, 1, 1, 50)], [(1, "filled", ""), (2, "expired", "ioc")])
    assert order(outcome, 2)["t_end"] == clock_of(4).known_at[2]


def test_x1__a_trailing_stop_follows_the_bars_of_its_asset() -> None:
    column = [(100, 100, 100, 100), None, (100, 110, 100, 108), None, (107, 107, 104, 104)]
    wild = [(100, 100, 100, 100), (100, 300, 100, 300), *still(100, 100, 100)]
    outcome = hold({0: lambda ctx: ctx[1].trailing_stop(-1, trail=5)}, wild, column)
    assert (fills(outcome), order(outcome, 1)["trigger"]) == ([(1, 1, -1, 105)], 105)
    late = hold({1: lambda ctx: ctx[1].trailing_stop(-1, trail=5)}, wild, column)  # at its last close, 100
    assert fills(late) == [(1, 1, -1, 105)]


def test_x1__mean_volumes_are_of_the_assets_own_bars() -> None:
    seen: list[ModelView] = []
    volumes = [[1000.0] * 5, [10.0, 0.0, 20.0, 0.0, 60.0]]
    columns = (still(*[100] * 5), still(100, None, 100, None, 100))
    for decided in (2, 3):  # bars 0 and 2 at both, and at the fill in bar 4; at bar 3 it has none
        hold({decided: lambda ctx: ctx[1].target_percent(0.5)}, *columns, volumes=volumes, slippage=noting(seen, 0.0))
    assert {(m.volume, m.time) for m in seen} == {
        (15.0, clock_of(5).known_at[2]),
        (15.0, clock_of(5).known_at[3]),
        (15.0, clock_of(5).open_at[4]),
    }


def test_x1__each_asset_has_the_volume_of_its_bar() -> None:
    plan = {0: lambda ctx: (ctx[0].buy(9), ctx[1].buy(9))}
    outcome = hold(
        plan, still(100, 100, 100), still(100, 100, None), volumes=[[10.0] * 3, [4.0] * 3], participation=0.5
    )
    assert outcome.position == [[0, 5, 9], [0, 2, 2]]


@pytest.mark.parametrize(("t", "ticks", "stamp"), [(0, 50, clock_of(4).known_at[0]), (1, 60, clock_of(4).open_at[3])])
def test_x1__same_close_is_none_that_is_older_than_the_order(t: int, ticks: int, stamp: int) -> None:
    outcome = hold({t: lambda ctx: ctx[1].buy(1)}, A4, still(50, None, None, 60), market="same_close")
    assert (fills(outcome), outcome.fills[0]["time"]) == ([(1, 1, 1, ticks)], stamp)


def test_x2__a_pass_takes_all_assets_before_the_next_one() -> None:
    swing = [(100, 100, 100, 100), (100, 110, 90, 100)]
    outcome = hold({0: lambda ctx: (ctx[0].limit(1, 95), ctx[1].stop(1, 105), ctx[1].buy(1))}, swing, swing)
    assert fills(outcome) == [(3, 1, 1, 100), (2, 1, 1, 105), (1, 0, 1, 95)]


@pytest.mark.parametrize(("close_out", "ticks"), [("last_open", 101), ("last_close", 102)])
def test_x2__a_close_out_goes_by_column_and_skips_assets_without_a_bar(close_out: str, ticks: int) -> None:
    plan = {0: lambda ctx: (ctx[2].buy(1), ctx[1].buy(2), ctx[0].sell(3), ctx[0].limit(1, 1))}
    last = (101, 103, 99, 102)
    columns = ([*still(100, 100), last], still(100, 100, None), [*still(100, 100), last])
    outcome = hold(plan, *columns, close_out=close_out)
    assert fills(outcome)[3:] == [(5, 0, 3, ticks), (6, 2, -1, ticks)]
    assert (outcome.position, outcome.equity[-1]) == (
        [[0, -3, 0], [0, 2, 2], [0, 1, 0]],
        1e6 - 3.0 * (ticks - 100) + (ticks - 100),
    )


def test_x3__the_mark_adds_up_by_column_at_the_last_close() -> None:
    plan = {0: lambda ctx: (ctx[1].buy(3), ctx[0].buy(1))}
    outcome = hold(plan, still(10, 10, 13), still(17, 17, None), grids=(CENTS, CENTS), cash=0.7)
    cash = (0.7 - 0.17 * 3.0) - 0.1
    assert outcome.cash[-1] == cash
    assert outcome.equity == [0.7, (cash + 0.1) + 0.17 * 3.0, (cash + 0.13) + 0.17 * 3.0]
    assert outcome.metrics["exposure"] == 2 / 3


def test_x3__ruin_closes_every_position_by_column() -> None:
    plan = {0: lambda ctx: (ctx[1].buy(5), ctx[0].sell(10), ctx[1].limit(1, 1), ctx[0].limit(1, 1))}
    outcome = hold(plan, still(100, 100, 250, 250), still(100, 100, None, 100), cash=1000.0, cash_rule="debt")
    # 1000 + 1000 - 500, less 2500 of the short and with 500 of the long one at its last close
    assert (outcome.metrics["debt"], outcome.equity, outcome.cash[-1]) == (500.0, [1000.0, 1000.0, 0.0, 0.0], 0.0)
    assert outcome.position == [[0, -10, 0, 0], [0, 5, 0, 0]]
    assert [(trade["asset"], trade["pnl"]) for trade in outcome.trades] == [(0, -1500.0), (1, 0.0)]
    assert {trade["closed"] for trade in outcome.trades} == {clock_of(4).known_at[2]}
    assert ends(outcome)[2:] == [(3, "cancelled", "ruin"), (4, "cancelled", "ruin")]


def test_x3__round_trips_and_what_a_closed_position_ends_go_asset_by_asset() -> None:
    plan = {
        0: lambda ctx: (ctx[0].bracket(1, stop=50), ctx[1].bracket(2, stop=50)),
        1: lambda ctx: ctx[1].sell(2),
    }
    outcome = hold(plan, A4, still(100, 100, 110, 100))
    assert (order(outcome, 5)["reason"], order(outcome, 2)["reason"]) == ("position_closed", "end_of_data")
    assert [(trade["asset"], trade["lots"], trade["pnl"]) for trade in outcome.trades] == [(1, 2, 20.0)]


def test_o9__groups_and_cancel_all_reach_over_assets() -> None:
    plan = {0: lambda ctx: ctx.oco(ctx[0].limit(1, 90), ctx[1].limit(1, 90))}
    outcome = hold(plan, A4, still(100, 80, 80, 80))
    assert (fills(outcome), ends(outcome)[0]) == ([(2, 1, 1, 80)], (1, "cancelled", "oco"))
    plan = {
        0: lambda ctx: (ctx[0].limit(1, 9), ctx[1].limit(1, 9), ctx[0].limit(1, 9), ctx[0].cancel_all()),
        1: lambda ctx: (ctx[1].limit(1, 9), ctx.cancel(4), ctx.cancel_all()),
    }
    times = [(o["id"], o["reason"], o["t_end"]) for o in hold(plan, A4, A4).orders]
    first, second = clock_of(4).known_at[:2]
    assert times == [(1, "user", first), (2, "user", second), (3, "user", first), (4, "user", second)]


def test_x7__the_band_is_shared_and_weights_may_bring_their_own() -> None:
    one = still(1, 1, 1)
    outcome = hold({0: lambda ctx: (ctx[0].target_percent(0.003), ctx[1].target_percent(0.0025))}, one, one, cash=1e3)
    assert fills(outcome) == [(1, 0, 3, 1)]  # 0.005 / 2
    outcome = hold({0: lambda ctx: ctx.weights([0.004, 0.006], band=0.005)}, one, one, cash=1e3)
    assert fills(outcome) == [(1, 1, 6, 1)]


def test_x7__weights_are_targets_by_column_of_the_accounts_equity() -> None:
    ids: list[list[int]] = []
    plan = {
        0: lambda ctx: ctx[2].buy(2),
        1: lambda ctx: ids.append(ctx.weights([0.5, 0.25, 0.0, math.nan])),
        2: lambda ctx: (ctx[1].target_percent(0.3), ctx[0].target_percent(0.4), ctx[0].target_percent(math.inf)),
    }
    columns = (still(10, 10, 10, 10), still(10, None, None, 10), still(100, 150, 150, 150), still(10, 10, 10, 10))
    outcome = hold(plan, *columns, cash=1000.0)
    # the equity is 800 + 2 * 150 at the decision of bar 0's order: filled at 150 it is 1000
    assert (ids, outcome.equity[1]) == ([[2, 0, 3, 0]], 1000.0)
    assert fills(outcome) == [(1, 2, 2, 150), (3, 2, -2, 150), (2, 0, 50, 10), (4, 1, 30, 10)]
    assert ends(outcome)[4:] == [(5, "cancelled", "replaced"), (6, "rejected", "invalid")]
    assert ends(outcome)[3] == (4, "filled", "")  # a later target of another asset leaves it alone
    with pytest.raises(ValueError, match="wanted one for each of the 2"):
        hold({0: lambda ctx: ctx.weights([0.5])}, A4, A4)


@pytest.mark.parametrize(("n", "limit"), [(1, 64), (2, 68), (3, 72)])
def test_x7__a_decision_submits_at_most_60_and_4_for_each_asset(n: int, limit: int) -> None:
    def submit(count: int, last: bool = False) -> None:
        def decide(ctx: PortfolioView) -> None:
            for _ in range(count):
                ctx[n - 1].limit(1, 1)
            if last:
                ctx[0].bracket(1, stop=1)

        hold({0: decide, 1: decide}, *[still(100, 100, 100)] * n)

    submit(limit)
    submit(limit - 1, last=True)
    with pytest.raises(ValueError, match="a decision submits more"):
        submit(limit + 1)
    with pytest.raises(ValueError, match="a decision submits more"):
        submit(limit, last=True)


def test_x8__the_benchmark_is_an_index_of_what_is_listed_at_the_start() -> None:
    columns = (still(100, 100, 110, 120), still(50, 40, None, 60), still(None, None, 7, 70))
    outcome = hold({}, *columns, trade_from=1)
    first = (0.0 + 1.0 + 1.0) / 2.0
    second = ((0.0 + 110.0 / 100.0) + 40.0 / 40.0) / 2.0
    third = ((0.0 + 120.0 / 100.0) + 60.0 / 40.0) / 2.0
    returns = [first / 1.0 - 1.0, second / first - 1.0, third / second - 1.0]
    assert [block["sb"] for block in outcome.blocks] == returns
    nothing = hold({}, still(None, None, 10))
    assert all(math.isnan(block["sb"]) for block in nothing.blocks)


def test_x1__rows_that_do_not_fit_the_clock_are_refused() -> None:
    bars = daily(*flat(100, 2))
    clock = Clock(bars.open_at, bars.known_at, bars.session)
    for rows, message in (([0], "rows, wanted"), ([1, 0], "in order from 0"), ([0, -1], "in order from 0")):
        with pytest.raises(ValueError, match=message):
            simulate_portfolio(clock, [Asset(bars, ONES, rows)], Config(), lambda ctx: None)
    other = sparse(clock_of(2, per_session=2), [((1, 1, 1, 1), 1.0)] * 2)
    with pytest.raises(ValueError, match="other times"):
        simulate_portfolio(clock, [other], Config(), lambda ctx: None)
    with pytest.raises(ValueError, match="no assets"):
        simulate_portfolio(clock, [], Config(), lambda ctx: None)
    with pytest.raises(ValueError, match="no known volume"):
        hold({}, A4, A4, volumes=[[1.0] * 4, [1.0, math.nan, 1.0, 1.0]], participation=0.5)
    gap = [[1.0] * 4, [1.0, math.nan, 1.0, 1.0]]  # a bar that is not there needs no volume
    assert hold({}, A4, still(100, None, 100, 100), volumes=gap, participation=0.5).position[1] == [0, 0, 0, 0]


def test_c3__models_see_the_position_of_the_asset_and_the_equity_of_the_account() -> None:
    seen: list[ModelView] = []
    plan = {0: lambda ctx: ctx[0].buy(4), 1: lambda ctx: ctx[1].buy(2)}
    grids = (ONES, Grid(tick=0.25, inverse=0, lot=0.5, multiplier=4.0))
    hold(plan, still(100, 100, 100), still(40, 40, 40), grids=grids, cash=1000.0, fee=noting(seen, 10.0))
    assert {(m.position, m.equity, m.notional) for m in seen} == {(0.0, 1000.0, 400.0), (0.0, 990.0, 80.0)}
