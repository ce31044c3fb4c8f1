"""Hand-worked portfolios with more orders: their bars, the two walks, shares of the cash (X1-X7)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.reference import Asset, Clock, Config, Outcome, PortfolioView, simulate, simulate_portfolio
from tests.reference.extras import explorer, with_closes
from tests.reference.worked import DAY, HALF_LOTS, HOUR, ONES, ends, noise, order
from tests.reference.worlds import PortfolioPlan, clock_of, fills, hold, sparse, still

OPENS = 14 * HOUR
SWING = (100, 110, 90, 104)
T3 = still(100, 100, 100)


def dated(plan: PortfolioPlan, *columns: Any, per_session: int = 1, **choices: Any) -> Outcome:
    """As `hold`, with a calendar that closes each session with the clock's last bar of it."""
    clock = clock_of(len(columns[0]), per_session)
    last = dict(zip(clock.session, clock.known_at, strict=True))
    assets = []
    for column in columns:
        asset = sparse(clock, [None if bar is None else (bar, 1000.0) for bar in column])
        closes = [last[session] for session in asset.bars.session]
        assets.append(Asset(with_closes(asset.bars, closes), asset.grid, asset.rows))

    def decide(ctx: PortfolioView) -> None:
        if ctx.i in plan:
            plan[ctx.i](ctx)

    return simulate_portfolio(clock, assets, Config(**choices), decide)


def test_x1__more_orders_for_an_asset_without_a_bar_are_unlisted() -> None:
    plan = {0: lambda ctx: (ctx[1].market_if_touched(1, -5), ctx[1].limit(1, 90, post_only=True), ctx.replace(1, 5))}
    assert ends(hold(plan, T3, still(None, 100, 100))) == [(1, "rejected", "unlisted"), (2, "rejected", "unlisted")]


def test_o11__gtd_ends_with_a_bar_of_its_asset() -> None:
    plan = {0: lambda ctx: ctx[1].limit(1, 90, tif="GTD", expires=DAY)}
    outcome = hold(plan, still(*[100] * 4), still(100, None, None, 80))
    assert (ends(outcome), order(outcome, 1)["t_end"]) == ([(1, "expired", "gtd")], 3 * DAY + OPENS)


def test_o12__the_first_and_the_last_bar_are_the_assets_own() -> None:
    # three bars a session; the second asset has no bar at 3 and none at 5, which is the last of session 1
    column = still(100, 101, 102, None, 104, None, 106, 107, 108)
    plan = {0: lambda ctx: ctx[1].buy(1, tif="AT_OPEN"), 3: lambda ctx: ctx[1].buy(1, tif="AT_CLOSE")}
    outcome = dated(plan, still(*[100] * 9), column, per_session=3)
    assert (fills(outcome), ends(outcome)[1]) == ([(1, 1, 1, 104)], (2, "expired", "at_close"))
    assert order(outcome, 2)["t_end"] == clock_of(9, per_session=3).open_at[6]


def test_o12__an_asset_with_a_calendar_may_stand_beside_one_without() -> None:
    clock = clock_of(2)
    column = [((100, 100, 100, 100), 1000.0)] * 2
    first, second = (sparse(clock, column) for _ in range(2))
    assets = [Asset(with_closes(first.bars), ONES, first.rows), second]
    for k in (0, 1):

        def decide(ctx: PortfolioView, k: int = k) -> None:
            if ctx.i == 0:
                ctx[k].buy(1, tif="AT_CLOSE")

        if k == 1:
            with pytest.raises(ValueError, match="needs a calendar"):
                simulate_portfolio(clock, assets, Config(), decide)
        else:
            assert fills(simulate_portfolio(clock, assets, Config(), decide)) == [(1, 0, 1, 100)]


def test_x4__orders_at_the_close_reduce_first() -> None:
    plan = {
        0: lambda ctx: ctx[0].buy(10),
        1: lambda ctx: (ctx[1].buy(10, tif="AT_CLOSE"), ctx[0].limit(-10, 99, tif="AT_CLOSE")),
    }
    outcome = dated(plan, T3, T3, cash=1000.0)
    assert fills(outcome) == [(1, 0, 10, 100), (3, 0, -10, 100), (2, 1, 10, 100)]


def test_x4__what_is_touched_reduces_first() -> None:
    bars = [*still(100, 100), SWING]
    plan = {
        0: lambda ctx: ctx[0].buy(10),
        1: lambda ctx: (ctx[1].market_if_touched(10, 100), ctx[0].market_if_touched(-10, 100)),
    }
    assert fills(hold(plan, bars, bars, cash=1000.0)) == [(1, 0, 10, 100), (3, 0, -10, 100), (2, 1, 10, 100)]


def test_x5__what_is_touched_shares_and_a_limit_beyond_it_needs_nothing() -> None:
    bars = [*still(100), (100, 101, 90, 100)]
    plan = {0: lambda ctx: (ctx[0].market_if_touched(10, 95), ctx[1].limit(10, 95))}
    assert fills(hold(plan, bars, bars, cash=950.0)) == [(1, 0, 5, 95), (2, 1, 5, 95)]
    plan = {0: lambda ctx: (ctx[0].limit_if_touched(10, 95, 94), ctx[1].limit(10, 95))}
    assert fills(hold(plan, bars, bars, cash=950.0)) == [(2, 1, 10, 95)]


def test_x5__what_is_rejected_as_post_only_needs_nothing() -> None:
    plan = {0: lambda ctx: (ctx[0].limit(10, 95, post_only=True), ctx[1].limit(10, 101))}
    outcome = hold(plan, still(100, 90, 90), T3, cash=1000.0)
    assert (fills(outcome), ends(outcome)[0]) == ([(2, 1, 10, 100)], (1, "rejected", "post_only"))


def test_x5__the_need_is_of_what_is_shown() -> None:
    # 4 lots shown and 16 wanted: 2000 * 0.95, half of which is free
    bars = [*still(100), (100, 101, 94, 100)]
    plan = {0: lambda ctx: (ctx[0].limit(10, 95, display=4), ctx[1].limit(16, 95))}
    outcome = hold(plan, bars, bars, cash=950.0)
    assert fills(outcome) == [(1, 0, 2, 95), (2, 1, 8, 95)]
    assert [end[2] for end in ends(outcome)] == ["cut_cash", "cut_cash"]


def test_x5__a_trailing_stop_limit_needs_cash_where_it_has_moved_to() -> None:
    # with the high of 110 it rises from 95 to 105, where it fills: two needs of 1050
    bars = [*still(100), (104, 110, 104, 108)]
    plan = {0: lambda ctx: (ctx[0].trailing_stop_limit(-10, 0.0, ticks=5), ctx[1].stop(10, 105))}
    outcome = hold(plan, bars, bars, cash=1000.0, trailing="update_first")
    assert fills(outcome) == [(1, 0, -4, 105), (2, 1, 4, 105)]


def test_x5__a_trailing_stop_limit_that_has_moved_beyond_its_reference_needs_nothing() -> None:
    # it rises from 95 to 105, which is its limit too; the close of 100, its reference, is below that
    bars = [*still(100), (104, 110, 104, 100)]
    plan = {0: lambda ctx: (ctx[0].trailing_stop_limit(-10, 0.0, ticks=5), ctx[1].stop(10, 105))}
    outcome = hold(plan, bars, bars, cash=1050.0, trailing="update_first", stop_gap="close")
    assert fills(outcome) == [(2, 1, 10, 105)]


def test_p5__what_has_filled_in_the_first_walk_is_not_tried_in_the_second() -> None:
    up = (100, 106, 99, 100)
    plan = {0: lambda ctx: ctx[0].buy(9), 1: lambda ctx: ctx[0].limit(-5, 105, display=2)}
    assert fills(hold(plan, [*still(100, 100), up, up]))[1:] == [(2, 0, -2, 105), (2, 0, -2, 105)]


def test_o16__an_order_of_any_asset_is_changed_on_its_own_grid() -> None:
    answers: list[int] = []
    plan = {
        0: lambda ctx: ctx[1].limit(3, 20.0),
        1: lambda ctx: answers.extend([ctx[0].replace(1, quantity=2.0, price=24.9), ctx.replace(1, quantity=0.4)]),
    }
    outcome = hold(plan, T3, [*still(100, 100), (100, 100, 95, 98)], grids=(ONES, HALF_LOTS))
    assert (answers, fills(outcome)) == ([1, 0], [(1, 1, 4, 99)])


def test_s6__weights_fit_the_venue() -> None:
    plan = {0: lambda ctx: ctx.weights([0.5, 0.1])}
    outcome = hold(plan, T3, T3, cash=1000.0, max_quantity=3.0, min_notional=200.0)
    assert fills(outcome) == [(1, 0, 3, 100)]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("cash_rule", ["reduce", "reject", "debt"])
def test_x__one_asset_is_as_without_a_portfolio_where_no_order_waits_for_another(seed: int, cash_rule: str) -> None:
    """With one order at a time the two walks and the shares change nothing."""
    bars = with_closes(noise(seed, 80))
    config = Config(cash=1500.0, cash_rule=cash_rule, participation=0.05)

    def single(ctx: Any) -> None:
        if ctx.i % 4 == 0:
            ctx.cancel_all()
        if not ctx.orders():
            explorer(seed)(ctx)
            for other in ctx.orders()[1:]:
                ctx.cancel(other)

    alone = simulate(bars, ONES, config, single)
    clock = Clock(bars.open_at, bars.known_at, bars.session)
    together = simulate_portfolio(clock, [Asset(bars, ONES, list(range(80)))], config, lambda ctx: single(ctx[0]))
    for record in together.fills + together.orders:
        del record["asset"]
    assert (alone.fills, alone.orders, alone.cash) == (together.fills, together.orders, together.cash)
    assert dataclasses.asdict(alone)["position"] == together.position[0]
    assert len(alone.fills) > 5
