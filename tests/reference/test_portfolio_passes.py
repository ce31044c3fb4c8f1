"""Hand-worked passes of portfolios: what reduces first, shares of the cash, buying power (X4-X6)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference import ModelView, models
from tests.reference.worked import HALF_LOTS, ONES, ends, noting, order
from tests.reference.worlds import fills, hold, still

T3 = still(100, 100, 100)
BUYS = {0: lambda ctx: (ctx[0].buy(10), ctx[1].buy(10))}
CUT = ("cancelled", "cut_cash")
FULL = ("filled", "")


def how(outcome: Any) -> list[tuple[str, str]]:
    return [(status, reason) for _, status, reason in ends(outcome)]


def test_x4__what_frees_cash_comes_before_what_needs_it() -> None:
    plan = {0: lambda ctx: ctx[0].buy(10), 1: lambda ctx: (ctx[1].buy(10), ctx[0].sell(10))}
    outcome = hold(plan, T3, T3, cash=1000.0)
    assert fills(outcome) == [(1, 0, 10, 100), (3, 0, -10, 100), (2, 1, 10, 100)]
    assert how(outcome) == [FULL, FULL, FULL]


def test_x4__a_reversal_does_not_reduce() -> None:
    plan = {0: lambda ctx: ctx[0].buy(5), 1: lambda ctx: (ctx[1].buy(5), ctx[0].sell(10), ctx[0].sell(1))}
    outcome = hold(plan, T3, T3, cash=1100.0)
    # the single lot goes first; then 4 held and 10 sold, which is a reversal to -6 that needs 200
    assert fills(outcome) == [(1, 0, 5, 100), (4, 0, -1, 100), (2, 1, 5, 100), (3, 0, -10, 100)]
    assert outcome.position == [[0, 5, -6], [0, 0, 5]]


def test_x4__what_an_order_wants_decides_not_what_the_volume_gives() -> None:
    # selling 10 of 4 is a reversal, though the volume of 4 would only close
    plan = {0: lambda ctx: ctx[0].buy(4), 1: lambda ctx: (ctx[1].buy(4), ctx[0].sell(10), ctx[0].sell(1))}
    volumes = [[8.0] * 3, [1000.0] * 3]
    outcome = hold(plan, T3, T3, cash=1000.0, participation=0.5, volumes=volumes)
    assert fills(outcome) == [(1, 0, 4, 100), (4, 0, -1, 100), (2, 1, 4, 100), (3, 0, -3, 100)]


@pytest.mark.parametrize(
    ("submit", "ticks"),
    [
        (lambda ctx: (ctx[1].stop(10, 105), ctx[0].stop(-10, 95)), (95, 105)),
        (lambda ctx: (ctx[1].limit(10, 95), ctx[0].limit(-10, 105)), (105, 95)),
    ],
)
def test_x4__each_pass_reduces_first(submit: Any, ticks: tuple[int, int]) -> None:
    swing = [*still(100, 100), (100, 110, 90, 100)]
    plan = {0: lambda ctx: ctx[0].buy(10), 1: submit}
    outcome = hold(plan, swing, swing, cash=1000.0)
    sold, bought = ticks
    lots = 9 if sold < bought else 10  # 950 buy 9 at 105, 1050 more than 10 at 95
    assert fills(outcome)[1:] == [(3, 0, -10, sold), (2, 1, lots, bought)]


def test_x4__a_pass_does_not_wait_for_the_next_one() -> None:
    # the buy at the open comes before the sale in the limit pass
    plan = {0: lambda ctx: ctx[0].buy(10), 1: lambda ctx: (ctx[1].buy(5), ctx[0].limit(-10, 105))}
    outcome = hold(plan, [*still(100, 100), (100, 110, 100, 100)], T3, cash=1000.0)
    assert how(outcome) == [FULL, CUT, FULL]
    assert fills(outcome) == [(1, 0, 10, 100), (3, 0, -10, 105)]


@pytest.mark.parametrize("market", ["next_close", "next_typical"])
def test_x4__late_market_orders_reduce_first(market: str) -> None:
    plan = {0: lambda ctx: ctx[0].buy(10), 1: lambda ctx: (ctx[1].buy(10), ctx[0].sell(10))}
    assert [fill[0] for fill in fills(hold(plan, T3, T3, cash=1000.0, market=market))] == [1, 3, 2]


def test_x4__the_second_walk_settles_what_the_first_made_reducing() -> None:
    # a sale of 3 meets nothing held; it is a purchase's reduction once that has filled in the same walk
    plan = {0: lambda ctx: (ctx[0].buy(3), ctx[0].sell(3))}
    assert fills(hold(plan, T3, cash=600.0)) == [(1, 0, 3, 100), (2, 0, -3, 100)]


def test_x5__the_share_is_taken_of_what_the_order_is_by_then() -> None:
    # as things stood both open 3 and need 300; of the purchase 1.5 are left, so that the sale of 3 is a reversal
    plan = {0: lambda ctx: (ctx[0].buy(3), ctx[0].sell(3))}
    assert fills(hold(plan, T3, cash=300.0)) == [(1, 0, 1, 100), (2, 0, -2, 100)]


def test_x4__what_the_first_walk_has_tried_is_asked_nothing_more() -> None:
    seen: list[ModelView] = []
    plan = {0: lambda ctx: ctx[0].buy(4), 1: lambda ctx: (ctx[0].sell(4), ctx[0].order(-4, "FOK"))}
    volumes = [[100.0, 8.0, 6.0, 100.0]]
    columns = (still(100, 100, 100, 100),)
    outcome = hold(plan, *columns, participation=0.5, volumes=volumes, slippage=noting(seen, 0.0))
    assert fills(outcome) == [(1, 0, 4, 100), (2, 0, -3, 100), (2, 0, -1, 100)]
    assert (ends(outcome)[2], {m.quantity for m in seen}) == ((3, "expired", "fok"), {4.0, 3.0, 1.0})


def test_x4__a_trailing_stop_moves_before_its_check() -> None:
    # update_first: the sell stop rises to 105 with the high and is met; the freed cash buys what the stop pass buys
    bars = [*still(100, 100), (104, 110, 104, 108)]
    plan = {0: lambda ctx: ctx[0].buy(10), 1: lambda ctx: (ctx[1].stop(9, 105), ctx[0].trailing_stop(-10, trail=5))}
    outcome = hold(plan, bars, bars, cash=1000.0, trailing="update_first")
    assert fills(outcome)[1:] == [(3, 0, -10, 105), (2, 1, 9, 105)]


def test_x5__orders_share_the_cash_in_proportion() -> None:
    outcome = hold(BUYS, T3, T3, cash=1000.0)
    assert (fills(outcome), how(outcome)) == ([(1, 0, 5, 100), (2, 1, 5, 100)], [CUT, CUT])
    assert outcome.cash[-1] == 0.0


def test_x5__what_fits_is_not_cut() -> None:
    assert how(hold(BUYS, T3, T3, cash=2000.0)) == [FULL, FULL]


def test_x5__fees_and_slippage_are_part_of_the_need() -> None:
    outcome = hold(BUYS, T3, T3, cash=1000.0, fee=models.fraction_fee(0.25))
    assert (fills(outcome), outcome.cash[-1]) == ([(1, 0, 4, 100), (2, 1, 4, 100)], 0.0)  # 1000 / 2500
    seen: list[ModelView] = []
    outcome = hold(BUYS, T3, T3, cash=1000.0, slippage=noting(seen, 0.25))
    assert (fills(outcome), outcome.cash[-1]) == ([(1, 0, 4, 125), (2, 1, 4, 125)], 0.0)
    assert [m.quantity for m in seen] == [10.0, 10.0, 4.0, 4.0]


def test_x5__slippage_is_asked_again_for_the_share() -> None:
    # 0.01 a unit: the needs are at 110, 1100 each; 1000 / 2200 of 10 lots are 4, at 104
    outcome = hold(BUYS, T3, T3, cash=1000.0, slippage=lambda m: m.quantity / 100.0)
    assert fills(outcome) == [(1, 0, 4, 104), (2, 1, 4, 104)]


def test_x5__ticks_and_lots_may_differ() -> None:
    # a lot of the second is worth 10.0 * 2.0: 60 lots need 1200, 8 of the first 800
    plan = {0: lambda ctx: (ctx[0].buy(8), ctx[1].buy(30))}
    outcome = hold(plan, T3, still(40, 40, 40), cash=1000.0, grids=(ONES, HALF_LOTS))
    assert (fills(outcome), outcome.cash[-1]) == ([(1, 0, 4, 100), (2, 1, 30, 40)], 0.0)


def test_x5__shares_are_rounded_down_and_a3_judges_them() -> None:
    # 1000 / 1300 of 3 lots are 2.3, of 10 are 7.7
    plan = {0: lambda ctx: (ctx[0].buy(3), ctx[1].buy(10))}
    assert fills(hold(plan, T3, T3, cash=1000.0)) == [(1, 0, 2, 100), (2, 1, 7, 100)]
    # a fee of 50 whatever the size: 1000 / 2100 of 10 lots are 4.8; the second 4 and 50 no longer fit into 550
    fee = models.fixed_fee(50.0)
    assert fills(hold(BUYS, T3, T3, cash=1000.0, fee=fee)) == [(1, 0, 4, 100), (2, 1, 4, 100)]
    fee = models.fixed_fee(150.0)
    assert fills(hold(BUYS, T3, T3, cash=1000.0, fee=fee)) == [(1, 0, 4, 100), (2, 1, 3, 100)]


def test_x5__what_a_reversal_frees_is_not_shared() -> None:
    # 5 held, sold 20: 10 need no cash, 10 need 1000; with 3000 of the other 1000 free are a quarter
    plan = {0: lambda ctx: ctx[0].buy(5), 1: lambda ctx: (ctx[0].sell(20), ctx[1].buy(30))}
    outcome = hold(plan, T3, T3, cash=1500.0)
    assert fills(outcome)[1:] == [(2, 0, -12, 100), (3, 1, 7, 100)]
    assert how(outcome)[1:] == [CUT, CUT]


def test_x5__without_free_cash_a_reversal_gets_what_it_frees_and_nothing_else_opens() -> None:
    # short 10 from 100 at 150: free are 2000 - 1500 - 1500; of 20 lots that free themselves A3 leaves 500 worth 3
    plan = {0: lambda ctx: ctx[0].sell(10), 1: lambda ctx: (ctx[0].buy(30), ctx[1].buy(1))}
    outcome = hold(plan, still(100, 100, 150), still(10, 10, 10), cash=1000.0)
    assert fills(outcome)[1:] == [(2, 0, 13, 150)]
    assert how(outcome)[1:] == [CUT, CUT]


def test_x5__a_fok_whose_share_is_less_does_nothing_but_was_counted() -> None:
    plan = {0: lambda ctx: (ctx[0].order(10, "FOK"), ctx[1].buy(10))}
    outcome = hold(plan, T3, T3, cash=1000.0)
    assert (fills(outcome), how(outcome)) == ([(2, 1, 5, 100)], [("expired", "fok"), CUT])


def test_x5__a_fok_that_the_volume_cuts_needs_nothing() -> None:
    plan = {0: lambda ctx: (ctx[0].order(10, "FOK"), ctx[1].buy(10))}
    volumes = [[18.0] * 3, [1000.0] * 3]
    outcome = hold(plan, T3, T3, cash=1000.0, participation=0.5, volumes=volumes)
    assert (fills(outcome), how(outcome)) == ([(2, 1, 10, 100)], [("expired", "fok"), FULL])


def test_x5__the_need_is_of_what_the_volume_allows() -> None:
    # 4 lots and 16 lots: 2000, half of which is free; an order that is cut ends, though it wanted 10
    plan = {0: lambda ctx: (ctx[0].buy(10), ctx[1].buy(16))}
    outcome = hold(plan, T3, T3, cash=1000.0, participation=0.5, volumes=[[8.0] * 3, [100.0] * 3])
    assert (fills(outcome), how(outcome)) == ([(1, 0, 2, 100), (2, 1, 8, 100)], [CUT, CUT])


def test_x5__orders_sized_at_the_fill_need_what_was_decided_and_take_of_the_new_lots() -> None:
    # 10 lots each at the decision: 800 and 1000 at the fill, 1000 / 1800 of the new 12 and 10 lots are 6 and 5
    plan = {0: lambda ctx: (ctx[0].target_percent(1.0), ctx[1].target_percent(1.0))}
    outcome = hold(plan, still(100, 80, 80), T3, cash=1000.0, sizing="at_fill")
    assert (fills(outcome), how(outcome)) == ([(1, 0, 6, 80), (2, 1, 5, 100)], [CUT, CUT])
    assert [order(outcome, i)["lots"] for i in (1, 2)] == [12, 10]


def test_x5__a_stop_limit_beyond_its_limit_needs_nothing() -> None:
    plan = {0: lambda ctx: (ctx[0].stop_limit(10, stop=105, limit=103), ctx[1].buy(10))}
    outcome = hold(plan, still(100, 106, 106), still(100, 100, 100), cash=1000.0)
    assert (fills(outcome), order(outcome, 2)["reason"]) == ([(2, 1, 10, 100)], "")


def test_x5__a_trailing_stop_needs_cash_where_it_has_moved_to() -> None:
    # with the high its trigger rises from 95 to 105: two needs of 1050, and 1000 / 2100 of 10 lots are 4.8
    bars = [*still(100), (104, 110, 104, 108)]
    plan = {0: lambda ctx: (ctx[0].trailing_stop(-10, trail=5), ctx[1].stop(10, 105))}
    outcome = hold(plan, bars, bars, cash=1000.0, trailing="update_first")
    assert fills(outcome) == [(1, 0, -4, 105), (2, 1, 4, 105)]


def test_x5__every_order_counts_as_things_stand_though_its_group_may_end_it() -> None:
    plan = {0: lambda ctx: ctx.oco(ctx[0].buy(10), ctx[1].buy(10))}
    outcome = hold(plan, T3, T3, cash=1000.0)
    assert (fills(outcome), how(outcome)) == ([(1, 0, 5, 100)], [CUT, ("cancelled", "oco")])


def test_x5__an_order_alone_is_cut_by_a3() -> None:
    # a third of 15 would be free by X5 after closing 5; A3 lets the short of 5 become the 10 that 1000 carry
    plan = {0: lambda ctx: ctx[0].sell(5), 1: lambda ctx: ctx[0].buy(20)}
    assert hold(plan, T3, cash=1000.0).position == [[0, -5, 10]]


def test_x5__orders_that_reduce_do_not_share() -> None:
    # the sale of 2 comes first and frees 200 for the 1000 that are wanted
    plan = {
        0: lambda ctx: ctx[0].buy(10),
        1: lambda ctx: (ctx[1].buy(5), ctx[0].sell(2), ctx[2].buy(5)),
    }
    assert fills(hold(plan, T3, T3, T3, cash=1000.0))[1:] == [(3, 0, -2, 100), (2, 1, 1, 100), (4, 2, 1, 100)]


@pytest.mark.parametrize(("rule", "second"), [("reject", ("rejected", "insufficient_cash")), ("debt", FULL)])
def test_x5__other_cash_rules_go_by_id(rule: str, second: tuple[str, str]) -> None:
    assert how(hold(BUYS, T3, T3, cash=1500.0, cash_rule=rule)) == [FULL, second]


def test_x6__long_positions_carry_themselves_and_shorts_bind_twice() -> None:
    for lots, power in ((5, 500), (-5, 100)):
        # long, it is 500 + 700 - 700 that is free; short, 1500 - 700 - 700
        plan = {0: lambda ctx, lots=lots: ctx[0].buy(lots), 1: lambda ctx: ctx[1].buy(100)}
        outcome = hold(plan, still(100, 100, 140), still(10, 10, 10), cash=1000.0)
        assert outcome.position[1][-1] == power // 10


@pytest.mark.parametrize(
    ("third", "path", "lots"),
    [((140, 140, 100, 120), "stop_first", 10), ((140, 140, 100, 120), "close", 30), (None, "stop_first", 50)],
)
def test_x6__other_positions_count_at_the_open_or_the_last_close(third: Any, path: str, lots: int) -> None:
    plan = {0: lambda ctx: ctx[0].sell(5), 1: lambda ctx: ctx[1].buy(100)}
    market = "next_close" if path == "close" else "next_open"
    outcome = hold(plan, [*still(100, 100), third], still(10, 10, 10), cash=1000.0, path=path, market=market)
    assert outcome.position[1][-1] == lots


def test_x6__the_asset_itself_counts_at_the_fill_price() -> None:
    # 5 held from 100 and 500 left: at 80 the worth is 900, which carries 11
    plan = {0: lambda ctx: ctx[0].buy(5), 1: lambda ctx: ctx[0].limit(9, 80)}
    outcome = hold(plan, [*still(100, 100), (100, 100, 70, 100)], T3, cash=1000.0)
    assert outcome.position[0] == [0, 5, 11]


def test_x6__a_fill_counts_for_what_follows_in_the_bar() -> None:
    # 600 of 1000 are spent at the open: in the stop pass 400 are left, and 600 are held
    bars = [*still(100), (100, 110, 100, 100)]
    plan = {0: lambda ctx: (ctx[0].buy(6), ctx[1].stop(10, 110))}
    outcome = hold(plan, bars, bars, cash=1040.0)
    assert fills(outcome) == [(1, 0, 6, 100), (2, 1, 4, 110)]


def test_x6__sizes_at_the_fill_are_of_the_worth_of_the_account() -> None:
    # at the open: 500 in cash, 5 at 140 are 700; half of 1200 are 600
    plan = {0: lambda ctx: ctx[0].buy(5), 1: lambda ctx: ctx[1].target_percent(0.5)}
    outcome = hold(plan, still(100, 100, 140), still(10, 10, 10), cash=1000.0, sizing="at_fill", cash_rule="debt")
    assert (fills(outcome)[-1], order(outcome, 2)["lots"]) == ((2, 1, 60, 10), 60)
