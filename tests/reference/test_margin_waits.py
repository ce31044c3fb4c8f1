"""Hand-worked liquidations outside of the bar, and stops before them (L3); the account: test_liquidation.py."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference import Action
from tests.reference.dated import known, live, opened
from tests.reference.test_liquidation import LIQUIDATED, LONG, MARGIN, SHORT, last
from tests.reference.worked import ends, prices


def test_l3__funding_within_a_bar_moves_the_price() -> None:
    # an eighth of 100 * 40 leaves -3500: `-3500 + 40 k <= 5 k` up to 100, above all of the bar: at O, which is worse
    given = [Action("funding", 0, opened(2) + 1, 0.125, 100.0)]
    assert last(live(LONG, given, 100, 100, (99, 99, 95, 97), **MARGIN)) == (99, known(2), "intrabar")
    assert last(live(LONG, given, 100, 100, (102, 104, 95, 97), **MARGIN)) == (100, known(2), "intrabar")
    # paid by a short position it leaves 4500: `4500 - 40 k <= 5 k` from 100 on
    given = [Action("funding", 0, opened(2) + 1, -0.125, 100.0)]
    assert last(live(SHORT, given, 100, 100, (101, 105, 101, 104), **MARGIN)) == (101, known(2), "intrabar")
    assert last(live(SHORT, given, 100, 100, (98, 105, 97, 104), **MARGIN)) == (100, known(2), "intrabar")


@pytest.mark.parametrize(
    ("q", "stop", "bar", "filled"),
    [
        (40, 90, (100, 100, 70, 90), 90),
        (40, 85, (100, 100, 70, 90), 85),
        (40, 84, (100, 100, 70, 90), None),
        (-40, 105, (100, 130, 100, 110), 105),
        (-40, 112, (100, 130, 100, 110), 112),
        (-40, 113, (100, 130, 100, 110), None),
    ],
)
def test_l3__a_woken_stop_that_is_met_before_it_fills(q: int, stop: int, bar: Any, filled: int | None) -> None:
    outcome = live({0: lambda ctx: ctx.bracket(q, stop=stop)}, [], 100, bar, **MARGIN)
    if filled is None:
        assert prices(outcome)[1:] == [(4, -q, 85 if q > 0 else 112, "intrabar")]
        assert ends(outcome)[1:] == [(2, "cancelled", "liquidation"), (4, *LIQUIDATED)]
    else:
        assert prices(outcome)[1:] == [(2, -q, filled, "intrabar")]
        assert ends(outcome)[1:] == [(2, "filled", "")]


def test_l3__the_check_at_the_close_waits_too() -> None:
    outcome = live({0: lambda ctx: ctx.bracket(40, stop=90)}, [], 100, (100, 100, 70, 80), **MARGIN)
    assert prices(outcome)[1:] == [(2, -40, 90, "intrabar")]


def test_l3__a_woken_stop_that_waits_for_the_next_bar_is_none() -> None:
    outcome = live({0: lambda ctx: ctx.bracket(40, stop=90)}, [], 100, (100, 100, 70, 90), same_bar="next", **MARGIN)
    assert prices(outcome)[1:] == [(4, -40, 85, "intrabar")]


def test_l3__what_a_woken_stop_leaves_is_looked_at_after_it() -> None:
    """40 of 50 lots are bought, so that the stop sells 10 at 90: -2100 and 30 units, `-2100 + 30 k <= 3.75 k` up to
    80."""
    plan = {0: lambda ctx: ctx.bracket(40, stop=90)}
    choices: Any = {"volume": [100.0, 100.0], "participation": 0.5, **MARGIN}
    outcome = live(plan, [], 100, (100, 100, 80, 90), **choices)
    assert prices(outcome)[1:] == [(2, -10, 90, "intrabar"), (4, -30, 80, "intrabar")]
    assert (last(outcome)[1], outcome.cash[-1]) == (known(1), 300.0)
    # a tick above it holds, though 81 is below the 85 of all 40
    outcome = live(plan, [], 100, (100, 100, 81, 90), **choices)
    assert (prices(outcome)[1:], outcome.position[-1]) == ([(2, -10, 90, "intrabar")], 30)


def test_l3__a_stop_woken_by_a_limit_makes_the_check_after_it_wait() -> None:
    # bought at 98 (through): -2920 and 40: up to 83.4; sold at 90
    plan = {0: lambda ctx: ctx.bracket(40, stop=90, entry=98)}
    outcome = live(plan, [], 100, (100, 100, 70, 90), **MARGIN)
    assert prices(outcome) == [(1, 40, 98, "intrabar"), (2, -40, 90, "intrabar")]


@pytest.mark.parametrize(("high", "passed"), [(104, True), (105, False)])
def test_l3__a_trailing_stop_moves_before_it_is_passed_over(high: int, passed: bool) -> None:
    # from 80 to 84 or to 85, which is K
    plan = {**LONG, 1: lambda ctx: ctx.trailing_stop(-40, ticks=20)}
    outcome = live(plan, [], 100, 100, (100, high, 70, 80), trailing="update_first", **MARGIN)
    assert prices(outcome)[1:] == [(3 if passed else 2, -40, 85, "intrabar")]


def test_l3__a_stop_limit_is_passed_over_too() -> None:
    plan = {**LONG, 1: lambda ctx: ctx.stop_limit(-40, 84, 80)}
    outcome = live(plan, [], 100, 100, (100, 100, 70, 80), **MARGIN)
    assert ends(outcome)[1:] == [(2, "cancelled", "liquidation"), (3, *LIQUIDATED)]
