"""Hand-worked liquidations of portfolios (L6, L7).

20 of each of two assets bought at 100 with 1000 and a quarter of the margin leave -3000 in cash. With an eighth as
maintenance they hold while `-3000 + 20 (a + b) > 2.5 (a + b)`: down to 171.4 together.
"""

from __future__ import annotations

from typing import Any

from tests.reference.dated import happened, known
from tests.reference.worked import ends, noting, order
from tests.reference.worlds import fills, hold, still

MARGIN: Any = {"cash": 1000.0, "initial": 0.25, "maintenance": 0.125}
BOTH = {0: lambda ctx: (ctx[0].buy(20), ctx[1].buy(20))}
LIQUIDATED = ("filled", "liquidation")


def test_l6__a_portfolio_is_liquidated_at_the_mark() -> None:
    plan = {**BOTH, 1: lambda ctx: (ctx[1].limit(1, 10), ctx[0].bracket(1, stop=5, entry=10))}
    outcome = hold(plan, still(100, 100, 80), still(100, 100, 91), **MARGIN)
    assert fills(outcome)[2:] == [(7, 0, -20, 80), (8, 1, -20, 91)]
    assert [(fill["time"], fill["rule"]) for fill in outcome.fills[2:]] == [(known(2), "intrabar")] * 2
    assert ends(outcome)[2:] == [
        (3, "cancelled", "liquidation"),
        (4, "cancelled", "liquidation"),
        (5, "cancelled", "parent_ended"),
        (7, *LIQUIDATED),  # 6 would be the bracket's target
        (8, *LIQUIDATED),
    ]
    assert [order(outcome, i)["t_end"] for i in (3, 4, 5, 7, 8)] == [known(2)] * 5
    # the first sale leaves -1400, which is no loss
    assert (outcome.cash[-1], outcome.equity[-1], happened(outcome)) == (420.0, 420.0, [])
    assert (outcome.position[0][-1], outcome.metrics["exposure"]) == (0, 1.0 / 3.0)


def test_l6__a_little_more_holds() -> None:
    assert len(hold(BOTH, still(100, 100, 80), still(100, 100, 92), **MARGIN).fills) == 2


def test_l6__the_range_does_not_count() -> None:
    deep = [*still(100, 100), (50, 100, 1, 100)]
    assert len(hold(BOTH, deep, deep, **MARGIN).fills) == 2


def test_l6__equal_to_the_margin_is_too_little() -> None:
    # a quarter up to 100, a sixteenth above: of 1000 they are 62.5 and 100 * (0.25 - 0.0625) = 18.75; in cash the same
    # 1081.25 less 2000, and 20 at 50
    tiers = ([0.0, 100.0], [0.25, 0.0625])
    plan = {0: lambda ctx: ctx[0].buy(20)}
    outcome = hold(plan, still(100, 100, 50), still(1, 1, 1), cash=1081.25, initial=0.25, maintenance=tiers)
    assert fills(outcome)[1:] == [(2, 0, -20, 50)]
    outcome = hold(plan, still(100, 100, 50), still(1, 1, 1), cash=1081.5, initial=0.25, maintenance=tiers)
    assert len(outcome.fills) == 1


def test_l6__the_last_close_counts_where_there_is_no_bar() -> None:
    # 80 and 91, which is of the bar before
    outcome = hold(BOTH, still(100, 100, 100, 80), still(100, 100, 91, None), **MARGIN)
    assert fills(outcome)[2:] == [(3, 0, -20, 80), (4, 1, -20, 91)]
    assert [fill["time"] for fill in outcome.fills[2:]] == [known(3)] * 2


def test_l6__long_and_short_have_their_margins() -> None:
    # 20 bought and 20 sold at 100: 1000; at 90 and 120: 400 of 0.125 * 1800 + 0.0625 * 2400 = 375; at 122: 360 of 377.5
    plan = {0: lambda ctx: (ctx[0].buy(20), ctx[1].sell(20))}
    for close, count in ((120, 2), (122, 4)):
        outcome = hold(plan, still(100, 100, 90), still(100, 100, close), maintenance_short=0.0625, **MARGIN)
        assert len(outcome.fills) == count


def test_l6__what_is_lost_beyond_all_is_covered_after_the_last_sale() -> None:
    # 20 * 70 + 20 * 75 = 2900 of 3000
    outcome = hold(BOTH, still(100, 100, 70), still(100, 100, 75), **MARGIN)
    assert (outcome.cash[-1], happened(outcome)) == (0.0, [("insurance", 0, 100.0)])
    assert (outcome.actions[0]["asset"], outcome.actions[0]["time"]) == (-1, known(2))
    assert (outcome.metrics["ruined"], outcome.metrics["debt"]) == (1.0, 0.0)
    bare = hold(BOTH, still(100, 100, 70), still(100, 100, 75), protected=False, **MARGIN)
    assert (happened(bare), bare.metrics["debt"]) == ([], 100.0)


def test_l6__its_fills_know_the_mark_of_the_bar_before() -> None:
    # 4000 bought of 1000 at the first mark; 20 at 75 and at 75 sold of 1000, though the mark is 0.0
    seen: list[Any] = []
    outcome = hold(BOTH, still(100, 100, 75), still(100, 100, 75), fee=noting(seen, 0.0), **MARGIN)
    assert outcome.equity == [1000.0, 1000.0, 0.0]
    assert [m.equity for m in seen if m.side < 0.0] == [1000.0] * 2
    years = (known(2) - known(0)) / 86400e9 / 365.25
    assert outcome.metrics["turnover"] == ((2.0 + 2.0) + 1.5 + 1.5) / years


def test_l6__nothing_held_is_not_liquidated() -> None:
    # 20 bought and sold at 100 with a fee of 600 each leave -200, which is a debt and no matter of the fund
    plan: Any = {0: lambda ctx: ctx[0].buy(20), 1: lambda ctx: ctx[0].sell(20)}
    choices: Any = {"cash_rule": "debt", "fee": lambda m: 600.0, **MARGIN}
    outcome = hold(plan, still(100, 100, 100), still(1, 1, 1), **choices)
    assert (happened(outcome), outcome.metrics["debt"], len(outcome.orders)) == ([], 200.0, 2)


def test_l6__the_account_is_marked_anew_and_goes_on() -> None:
    # sold at 79, a tick down: 20 * 79 + 20 * 90 - 3000; the margin's fee is an eighth of 3380 / 100
    plan = {**BOTH, 2: lambda ctx: ctx[0].buy(1)}
    choices: Any = {"slippage": lambda m: 0.001 if m.side < 0 else 0.0, "margin_fee": 0.0078125, **MARGIN}
    outcome = hold(plan, still(100, 100, 80, 80), still(100, 100, 91, 91), **choices)
    fee = 1580.0 * 0.0078125, 1800.0 * 0.0078125
    left = (-3000.0 + 1580.0) - fee[0] + 1800.0 - fee[1]
    assert (outcome.equity[2], outcome.equity[3], outcome.position[0][-1]) == (left, left, 1)


def test_l6__without_a_maintenance_margin_nobody_is_liquidated() -> None:
    outcome = hold(BOTH, still(100, 100, 76), still(100, 100, 75), cash=1000.0, initial=0.25)
    assert (len(outcome.fills), outcome.equity[-1]) == (2, 20.0)


ISOLATED: Any = {**MARGIN, "isolated": True}


def test_l7__a_position_is_liquidated_by_itself_within_the_bar() -> None:
    # 500 at stake: `500 + (20 k - 2000) <= 2.5 k` up to 85.7; the second reaches 86 only, and its order fills
    plan = {**BOTH, 1: lambda ctx: (ctx[0].limit(1, 70), ctx[1].limit(-1, 103))}
    first, second = [*still(100, 100), (100, 100, 60, 60)], [*still(100, 100), (100, 104, 86, 100)]
    outcome = hold(plan, first, second, **ISOLATED)
    assert fills(outcome)[2:] == [(5, 0, -20, 85), (4, 1, -1, 103)]
    assert ends(outcome)[2:] == [(3, "cancelled", "liquidation"), (4, "filled", ""), (5, *LIQUIDATED)]
    assert (outcome.position[0][-1], outcome.position[1][-1]) == (0, 19)


def test_l7__no_more_than_its_stake_is_lost() -> None:
    # at the open of 50 the first loses 1000 of 500; the second has its 500 left
    outcome = hold(BOTH, still(100, 100, 50), still(100, 100, 100), **ISOLATED)
    assert (happened(outcome), outcome.actions[0]["asset"]) == ([("insurance", 20, 500.0)], 0)
    assert (outcome.equity[-1], outcome.position[1][-1]) == (500.0, 20)
    bare = hold(BOTH, still(100, 100, 50), still(100, 100, 100), protected=False, **ISOLATED)
    assert (happened(bare), bare.metrics["debt"], bare.metrics["ruined"]) == ([], 0.0, 1.0)


def test_l7__others_bind_their_stake_whatever_they_are_worth() -> None:
    # 250 of 1000 at stake with 10 of the first: 750 buy 30 of the second at 100, at 200 as at 90
    plan: Any = {0: lambda ctx: ctx[0].buy(10), 2: lambda ctx: ctx[1].buy(100)}
    for close in (200, 90):
        outcome = hold(plan, still(100, 100, close, close), still(100, 100, 100, 100), **ISOLATED)
        assert outcome.position[1][-1] == 30


def test_l7__a_check_waits_for_a_stop_of_its_own_asset() -> None:
    # bought at 100 on 500, both fall to 60 in the bar; the stop at 90 of the first comes before its 85
    plan: Any = {0: lambda ctx: (ctx[0].bracket(20, stop=90), ctx[1].buy(20))}
    deep = [*still(100), (100, 100, 60, 60)]
    assert fills(hold(plan, deep, deep, **ISOLATED))[2:] == [(5, 1, -20, 85), (2, 0, -20, 90)]
