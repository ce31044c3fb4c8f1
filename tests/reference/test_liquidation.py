"""Hand-worked liquidations of an account of one asset (L3, L5).

40 bought at 100 with 1000 and a quarter of the margin leave -3000 in cash. With an eighth as maintenance the balance is
`-3000 + 40 k <= 5 k` up to 85.7: K is 85. 40 sold leave 5000: `5000 - 40 k <= 5 k` from 111.1 on: K is 112.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference import Action
from tests.reference.dated import happened, known, live, opened
from tests.reference.worked import Ohlc, ends, order, prices

MARGIN: Any = {"cash": 1000.0, "initial": 0.25, "maintenance": 0.125}
LONG = {0: lambda ctx: ctx.buy(40)}
SHORT = {0: lambda ctx: ctx.sell(40)}
LIQUIDATED = ("filled", "liquidation")


def last(outcome: Any) -> tuple[int, int, str]:
    """(ticks, time, rule) of the last fill."""
    fill = outcome.fills[-1]
    return fill["ticks"], fill["time"], fill["rule"]


@pytest.mark.parametrize(
    ("plan", "bar", "ticks", "rule", "cash"),
    [
        (LONG, (85, 90, 85, 90), 85, "open", 400.0),
        (LONG, (80, 90, 70, 90), 80, "open", 200.0),
        (LONG, (86, 90, 85, 90), 85, "intrabar", 400.0),
        (LONG, (100, 100, 70, 75), 85, "intrabar", 400.0),
        (SHORT, (112, 112, 100, 100), 112, "open", 520.0),
        (SHORT, (120, 125, 100, 100), 120, "open", 200.0),
        (SHORT, (111, 112, 100, 100), 112, "intrabar", 520.0),
        (SHORT, (100, 130, 100, 130), 112, "intrabar", 520.0),
    ],
)
def test_l3__the_price_gets_there_at_the_open_or_in_the_range(
    plan: Any, bar: Ohlc, ticks: int, rule: str, cash: float
) -> None:
    outcome = live(plan, [], 100, 100, bar, **MARGIN)
    assert last(outcome) == (ticks, opened(2) if rule == "open" else known(2), rule)
    assert (outcome.position, outcome.cash[-1]) == ([0, 40 if plan is LONG else -40, 0], cash)
    assert ends(outcome)[-1] == (2, *LIQUIDATED)
    assert (order(outcome, 2)["t_submit"], order(outcome, 2)["t_end"]) == (last(outcome)[1], last(outcome)[1])
    assert happened(outcome) == []


@pytest.mark.parametrize(("plan", "bar"), [(LONG, (86, 86, 86, 86)), (SHORT, (111, 111, 111, 111))])
def test_l3__a_tick_before_it_holds(plan: Any, bar: Ohlc) -> None:
    assert len(live(plan, [], 100, 100, bar, **MARGIN).fills) == 1


def test_l3__without_a_maintenance_margin_nobody_is_liquidated() -> None:
    outcome = live(LONG, [], 100, 100, 76, cash=1000.0, initial=0.25, maintenance_short=0.5)
    assert (len(outcome.fills), outcome.equity[-1]) == (1, -3000.0 + 3040.0)


def test_l3__a_position_that_the_cash_carries_has_no_such_price() -> None:
    # 900 in cash and 1 unit: no price is low enough
    assert len(live({0: lambda ctx: ctx.buy(1)}, [], 100, 100, 1, **MARGIN).fills) == 1


def test_l3__before_the_open_pass_comes_before_what_the_open_fills() -> None:
    # the sale at the open would have closed at 80 as well, but does not come
    plan = {**LONG, 1: lambda ctx: (ctx.sell(40), ctx.stop(-40, 90))}
    outcome = live(plan, [], 100, 100, 80, **MARGIN)
    assert ends(outcome)[1:] == [(2, "cancelled", "liquidation"), (3, "cancelled", "liquidation"), (4, *LIQUIDATED)]


def test_l3__orders_expire_before_it() -> None:
    plan = {**LONG, 1: lambda ctx: ctx.limit(1, 50, expires=opened(2))}
    assert ends(live(plan, [], 100, 100, 80, **MARGIN))[1:] == [(2, "expired", "gtd"), (3, *LIQUIDATED)]


def test_l3__after_the_open_pass() -> None:
    """20 at 100 leave -1000: `-1000 + 20 k <= 2.5 k` up to 57.1. 40 more at 60 leave -3400: `-3400 + 60 k <= 7.5 k` up
    to 64.8, where the open stands already."""
    plan = {0: lambda ctx: ctx.buy(20), 1: lambda ctx: ctx.buy(40)}
    outcome = live(plan, [], 100, 100, 60, cash_rule="debt", **MARGIN)
    assert prices(outcome)[1:] == [(2, 40, 60, "open"), (3, -60, 60, "open")]
    assert (last(outcome)[1], outcome.cash[-1]) == (opened(2), 200.0)


def test_l3__after_the_limit_pass() -> None:
    """40 more at a limit of 58 leave -3320 with 60 units: up to 63.2; the bar has been there, so at 63, dearer than
    what was bought."""
    plan = {0: lambda ctx: ctx.buy(20), 1: lambda ctx: ctx.limit(40, 58)}
    outcome = live(plan, [], 100, 100, (70, 70, 58, 66), cash_rule="debt", limit="touch", **MARGIN)
    assert prices(outcome)[1:] == [(2, 40, 58, "intrabar"), (3, -60, 63, "intrabar")]
    assert (last(outcome)[1], outcome.cash[-1]) == (known(2), 460.0)


def test_l3__the_stop_pass_comes_before_a_limit() -> None:
    # the limit at 110 would have closed with a profit
    plan = {**LONG, 1: lambda ctx: ctx.limit(-40, 110)}
    outcome = live(plan, [], 100, 100, (100, 120, 80, 100), **MARGIN)
    assert ends(outcome)[1:] == [(2, "cancelled", "liquidation"), (3, *LIQUIDATED)]


def test_l3__after_the_late_pass() -> None:
    # 40 more at the close of 64 leave -3560 with 60 units: up to 67.8
    plan = {0: lambda ctx: ctx.buy(20), 1: lambda ctx: ctx.buy(40)}
    bars = (100, 100, (70, 70, 60, 64))
    outcome = live(plan, [], *bars, cash_rule="debt", market="next_close", **MARGIN)
    assert prices(outcome)[1:] == [(2, 40, 64, "intrabar"), (3, -60, 64, "intrabar")]
    assert last(outcome)[1] == known(2)
    # the 20 alone hold down to 57
    assert len(live({0: plan[0]}, [], *bars, market="next_close", **MARGIN).fills) == 1


def test_l3__woken_stops_come_after_it_and_find_nothing() -> None:
    plan = {0: lambda ctx: ctx.bracket(40, stop=80)}
    outcome = live(plan, [], 100, (100, 100, 70, 90), **MARGIN)
    assert prices(outcome) == [(1, 40, 100, "open"), (4, -40, 85, "intrabar")]
    assert ends(outcome) == [(1, "filled", ""), (2, "cancelled", "liquidation"), (4, *LIQUIDATED)]


@pytest.mark.parametrize(
    ("plan", "q", "trigger", "passed", "bar"),
    [
        (LONG, -40, 86, False, (100, 100, 70, 80)),
        (LONG, -40, 85, False, (100, 100, 70, 80)),
        (LONG, -40, 84, True, (100, 100, 70, 80)),
        (SHORT, 40, 111, False, (100, 130, 100, 130)),
        (SHORT, 40, 112, False, (100, 130, 100, 130)),
        (SHORT, 40, 113, True, (100, 130, 100, 130)),
    ],
)
def test_l3__a_stop_beyond_the_liquidation_price_is_passed_over(
    plan: Any, q: int, trigger: int, passed: bool, bar: Ohlc
) -> None:
    outcome = live({**plan, 1: lambda ctx: ctx.stop(q, trigger)}, [], 100, 100, bar, **MARGIN)
    if passed:
        assert ends(outcome)[1:] == [(2, "cancelled", "liquidation"), (3, *LIQUIDATED)]
        assert last(outcome)[0] == (85 if plan is LONG else 112)
    else:
        assert (ends(outcome)[1:], last(outcome)[0]) == ([(2, "filled", "")], trigger)


def test_l3__the_price_is_of_what_is_held_when_the_stop_is_met() -> None:
    """A stop that sells 20 at 90 leaves -1200 and 20 units: `-1200 + 20 k <= 2.5 k` up to 68.6. So the stop at 70
    fills, which lies beyond 85, and nobody is liquidated."""
    plan = {**LONG, 1: lambda ctx: (ctx.stop(-20, 90), ctx.stop(-20, 70))}
    outcome = live(plan, [], 100, 100, (100, 100, 60, 80), **MARGIN)
    assert prices(outcome)[1:] == [(2, -20, 90, "intrabar"), (3, -20, 70, "intrabar")]
    # the other way round the first is passed over, and what is left is not liquidated at 69
    plan = {**LONG, 1: lambda ctx: (ctx.stop(-20, 70), ctx.stop(-20, 90))}
    outcome = live(plan, [], 100, 100, (100, 100, 69, 80), **MARGIN)
    assert (prices(outcome)[1:], outcome.position[-1]) == ([(3, -20, 90, "intrabar")], 20)


def test_l3__at_the_close_alone_everything_is_at_the_close() -> None:
    choices: Any = {"path": "close", "market": "next_close", **MARGIN}
    outcome = live({**LONG, 1: lambda ctx: ctx.stop(-40, 95)}, [], 100, 100, (80, 90, 70, 84), **choices)
    assert (last(outcome), ends(outcome)[1:]) == (
        (84, known(2), "intrabar"),
        [(2, "cancelled", "liquidation"), (3, *LIQUIDATED)],
    )
    assert len(live(LONG, [], 100, 100, (80, 90, 70, 86), **choices).fills) == 1


def test_l3__with_tiers() -> None:
    """A quarter from 2000 on, less 2000 * 0.125 = 250: at 50 and above `-3000 + 40 k <= 10 k - 250` up to 91.7."""
    tiers: Any = {**MARGIN, "maintenance": ([0.0, 2000.0], [0.125, 0.25])}
    assert last(live(LONG, [], 100, 100, (92, 92, 91, 92), **tiers)) == (91, known(2), "intrabar")
    assert len(live(LONG, [], 100, 100, 92, **tiers).fills) == 1


def test_l3__short_positions_have_their_own_margin() -> None:
    # 20 sold at 100 leave 3000: `3000 - 20 k <= 5 k` from 120 on; with an eighth from 133.3 on
    plan = {0: lambda ctx: ctx.sell(20)}
    for short, ticks in ((0.25, 120), (None, 134)):
        outcome = live(plan, [], 100, 100, (100, 140, 100, 100), maintenance_short=short, **MARGIN)
        assert last(outcome)[0] == ticks
    # a long position does not care: 20 at 100 hold down to 57
    assert len(live({0: lambda ctx: ctx.buy(20)}, [], 100, 100, 58, maintenance_short=0.5, **MARGIN).fills) == 1


def test_l3__accruals_and_actions_come_before() -> None:
    # a dividend of 2 a unit, paid by 40 sold, leaves 4920: from 109.3 on
    given = [Action("dividend", 0, opened(2), 2.0)]
    assert last(live(SHORT, given, 100, 100, 110, **MARGIN)) == (110, opened(2), "open")
    assert len(live(SHORT, [], 100, 100, 110, **MARGIN).fills) == 1


ISOLATED: Any = {"isolated": True, **MARGIN}
TEN = {0: lambda ctx: ctx.buy(10)}
TEN_SHORT = {0: lambda ctx: ctx.sell(10)}


@pytest.mark.parametrize(
    ("plan", "bar", "ticks", "cash", "covered"),
    [
        # 10 at 100 stake 250: `250 + (10 k - 1000) <= 1.25 k` up to 85.7; nothing is left in cash but 0
        (TEN, (90, 90, 85, 90), 85, 850.0, None),
        # 700 is less than 1000 - 250
        (TEN, (70, 70, 70, 70), 70, 750.0, 50.0),
        # short: `250 + (1000 - 10 k) <= 1.25 k` from 111.1 on; 2000 - 1120, and 2000 - 1300 of 750
        (TEN_SHORT, (100, 112, 100, 100), 112, 880.0, None),
        (TEN_SHORT, (130, 130, 130, 130), 130, 750.0, 50.0),
    ],
)
def test_l5__isolated_margin_loses_its_stake_at_most(
    plan: Any, bar: Ohlc, ticks: int, cash: float, covered: float | None
) -> None:
    outcome = live(plan, [], 100, 100, bar, **ISOLATED)
    assert (last(outcome)[0], outcome.cash[-1], outcome.equity[-1]) == (ticks, cash, cash)
    lots = 10 if plan is TEN else -10
    assert happened(outcome) == ([] if covered is None else [("insurance", lots, covered)])
    # the round trip has lost what it has lost
    assert outcome.trades[0]["pnl"] == (cash - (covered or 0.0)) - 1000.0
    unprotected = live(plan, [], 100, 100, bar, protected=False, **ISOLATED)
    assert (unprotected.cash[-1], happened(unprotected)) == (cash - (covered or 0.0), [])


def test_l5__a_stake_that_has_paid_is_smaller() -> None:
    # a dividend of 5 takes 50 of 250: `200 + (1000 - 10 k) <= 1.25 k` from 106.7 on; 2000 - 50 - 1070
    given = [Action("dividend", 0, opened(2), 5.0)]
    outcome = live(TEN_SHORT, given, 100, 100, (100, 108, 100, 100), **ISOLATED)
    assert (last(outcome)[0], outcome.cash[-1]) == (107, 880.0)
    # at 140: 1950 - 1400 is less than 1950 - 1000 - 200
    assert live(TEN_SHORT, given, 100, 100, 140, **ISOLATED).cash[-1] == 750.0


def test_l5__a_negative_balance_is_covered_with_protected() -> None:
    # 40 at 70: -3000 + 2800
    outcome = live(LONG, [], 100, 100, 70, 70, **MARGIN)
    assert (outcome.cash[2:], happened(outcome)) == ([0.0, 0.0], [("insurance", 40, 200.0)])
    assert (outcome.metrics["ruined"], outcome.metrics["debt"]) == (1.0, 0.0)  # a mark of 0.0 (A6)
    assert outcome.actions[0]["time"] == opened(2)
    bare = live(LONG, [], 100, 100, 70, 70, protected=False, **MARGIN)
    assert (happened(bare), bare.metrics["ruined"], bare.metrics["debt"]) == ([], 1.0, 200.0)


def test_l5__all_orders_end_and_a_bar_fills_no_more() -> None:
    plan = {
        0: lambda ctx: ctx.buy(40),
        1: lambda ctx: (ctx.bracket(1, stop=10, limit=150, entry=40), ctx.limit(5, 88), ctx.limit(-5, 99)),
    }
    outcome = live(plan, [], 100, 100, (90, 100, 80, 95), limit="touch", **MARGIN)
    assert ends(outcome)[1:] == [
        (2, "cancelled", "liquidation"),
        (3, "cancelled", "parent_ended"),
        (4, "cancelled", "parent_ended"),
        (5, "cancelled", "liquidation"),
        (6, "cancelled", "liquidation"),
        (7, *LIQUIDATED),
    ]
    assert [order(outcome, i)["t_end"] for i in range(2, 8)] == [known(2)] * 6


def test_l5__orders_end_at_the_stamp_of_the_liquidation() -> None:
    outcome = live({**LONG, 1: lambda ctx: ctx.limit(5, 40)}, [], 100, 100, 80, **MARGIN)
    assert [order(outcome, i)["t_end"] for i in (2, 3)] == [opened(2)] * 2


def test_l5__it_is_slipped_and_pays_both_fees() -> None:
    """At 85, slipped by 1 % to 84.15, down to 84; the venue's fee is 1, the margin's a sixteenth of 40 * 84 = 3360."""
    fees: Any = {"fee": lambda m: 1.0 if m.side < 0 else 0.0, "slippage": lambda m: 0.01 if m.side < 0 else 0.0}
    outcome = live(LONG, [], 100, 100, (90, 90, 85, 90), margin_fee=0.0625, **fees, **MARGIN)
    fill = outcome.fills[-1]
    assert (fill["reference"], fill["ticks"], fill["fee"], fill["slippage_cost"]) == (85, 84, 211.0, 40.0)
    assert (outcome.cash[-1], order(outcome, 2)["fees"]) == (-3000.0 + 3360.0 - 211.0, 211.0)
    assert outcome.trades[0]["pnl"] == 3360.0 - 211.0 - 4000.0


def test_l5__neither_the_volume_nor_the_venue_stops_it() -> None:
    outcome = live(LONG, [], 100, 100, 80, volume=[1e3, 1e3, 2.0], participation=0.5, max_quantity=40.0,
                   min_notional=3300.0, **MARGIN)  # fmt: skip
    assert (outcome.position[-1], last(outcome)[0]) == (0, 80)


def test_l5__the_strategy_goes_on() -> None:
    # 200 are left: 8 at 80 ask for 160, 10 for 200
    outcome = live({**LONG, 2: lambda ctx: ctx.buy(10)}, [], 100, 100, 80, 80, **MARGIN)
    assert (outcome.position, ends(outcome)[-1]) == ([0, 40, 0, 10], (3, "filled", ""))


def test_l5__a_close_out_finds_nothing_left() -> None:
    for close_out in ("last_open", "last_close"):
        outcome = live(LONG, [], 100, 100, 80, close_out=close_out, **MARGIN)
        assert ends(outcome) == [(1, "filled", ""), (2, *LIQUIDATED)]
    # and a position that the open does not end is closed there, before the range
    outcome = live(LONG, [], 100, 100, (90, 90, 70, 90), close_out="last_open", **MARGIN)
    assert (ends(outcome)[-1], last(outcome)[0]) == ((2, "filled", ""), 90)
