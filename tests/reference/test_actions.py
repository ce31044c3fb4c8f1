"""Hand-worked splits, dividends, delistings and payments of funding (E1, E3-E5); splits: test_splits.py."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.reference import Action
from tests.reference.dated import happened, known, live, opened
from tests.reference.worked import HALF_LOTS, ends, order
from tests.reference.worlds import hold, still

LONG = {0: lambda ctx: ctx.buy(10)}
SHORT = {0: lambda ctx: ctx.sell(10)}


@pytest.mark.parametrize(
    ("time", "stamps"),
    [
        (opened(1), []),  # first in bar 1, before its open pass: nothing is held
        (opened(1) + 1, [opened(1) + 1]),  # within bar 1, after it
        (known(1) - 1, [known(1) - 1]),
        (known(1), [opened(2)]),  # no longer within: first in bar 2
        (opened(2), [opened(2)]),
        (opened(2) + 1, [opened(2) + 1]),
        (known(2), []),  # the data ends
    ],
)
def test_e1__funding_is_due_within_a_bar_or_first_in_the_next(time: int, stamps: list[int]) -> None:
    outcome = live(LONG, [Action("funding", 0, time, 0.25)], 100, 100, 100)
    # 10 at 100, a quarter
    assert [(record["time"], record["amount"]) for record in outcome.actions] == [(stamp, -250.0) for stamp in stamps]


@pytest.mark.parametrize(
    ("time", "stamps"),
    [(opened(1), []), (opened(1) + 1, [opened(2)]), (opened(2), [opened(2)]), (opened(2) + 1, [])],
)
def test_e1__dividends_are_due_at_an_open(time: int, stamps: list[int]) -> None:
    outcome = live(LONG, [Action("dividend", 0, time, 2.0)], 100, 100, 100)
    assert [(record["time"], record["amount"]) for record in outcome.actions] == [(stamp, 20.0) for stamp in stamps]


@pytest.mark.parametrize(
    ("time", "stamps"),
    [(known(1), [known(1)]), (known(1) + 1, [known(2)]), (known(2), [known(2)]), (known(2) + 1, [])],
)
def test_e1__delistings_are_due_when_a_bar_is_known(time: int, stamps: list[int]) -> None:
    outcome = live(LONG, [Action("delisting", 0, time, 90.0)], 100, 100, 100)
    assert [(record["time"], record["amount"]) for record in outcome.actions] == [(stamp, 900.0) for stamp in stamps]


def test_e1__funding_within_a_bar_comes_before_what_the_range_settles() -> None:
    # bought at the open, stopped out in the same bar: 10 at the last close before, 90, a tenth of that
    plan = {0: lambda ctx: ctx.bracket(10, stop=95)}
    outcome = live(plan, [Action("funding", 0, opened(1) + 1, 0.125)], 90, (100, 100, 92, 100))
    assert (happened(outcome), outcome.position) == ([("funding", 10, -112.5)], [0, 0])
    # 1000 and 112.5 are paid, 950 got
    assert outcome.cash[-1] == 1e6 - 162.5


def test_e1__funding_within_a_bar_comes_after_a_close_out_at_the_open() -> None:
    outcome = live(LONG, [Action("funding", 0, opened(2) + 1, 0.125)], 100, 100, 100, close_out="last_open")
    assert (happened(outcome), outcome.position) == ([], [0, 10, 0])


def test_e1__accruals_come_first_then_the_earlier_then_by_kind() -> None:
    # short 10 at 100, the account 2000, of which 1000 are its own
    at = opened(2)
    given = [
        Action("funding", 0, at, 0.5, 100.0),
        Action("dividend", 0, at, 1.0),
        Action("split", 0, at, 2.0),
        Action("dividend", 0, known(1), 4.0),
        Action("dividend", 0, at, 2.0),
    ]
    outcome = live(SHORT, given, 100, 100, 50, session=[0, 0, 1], cash=1000.0, interest=0.25, borrow=0.5)
    assert happened(outcome) == [
        ("interest", 0, 1000.0 * (0.25 * (1.0 / 365.0))),
        ("borrow", -10, -(1000.0 * (0.5 * (1.0 / 360.0)))),
        ("dividend", -10, -40.0),
        ("split", -10, 0.0),
        ("dividend", -20, -20.0),
        ("dividend", -20, -40.0),
        ("funding", -20, 1000.0),
    ]
    assert {record["time"] for record in outcome.actions} == {at}


def test_e1__of_one_time_the_earlier_column_comes_first() -> None:
    plan = {0: lambda ctx: (ctx[0].buy(1), ctx[1].buy(1))}
    given = [Action("split", 1, opened(2), 2.0), Action("dividend", 0, opened(2), 1.0)]
    outcome = hold(plan, still(100, 100, 100), still(100, 100, 50), actions=given)
    assert [(record["kind"], record["asset"]) for record in outcome.actions] == [("dividend", 0), ("split", 1)]


def test_e1__an_asset_waits_for_its_bar_funding_does_not() -> None:
    plan = {0: lambda ctx: ctx[1].buy(10)}
    given = [
        Action("dividend", 1, opened(2), 1.0),
        Action("funding", 1, opened(2), 0.125),
        Action("funding", 1, opened(2) + 1, 0.25),
    ]
    outcome = hold(plan, still(1, 1, 1, 1), still(80, 80, None, 80), actions=given)
    # 10 at the close before, 80
    assert [(record["time"], record["amount"]) for record in outcome.actions] == [
        (opened(2), -100.0),
        (opened(2) + 1, -200.0),
        (opened(3), 10.0),
    ]


def test_e1__before_the_first_decision_nothing_changes_but_a_delisting_counts() -> None:
    given = [Action("dividend", 0, opened(2), 1.0), Action("split", 0, opened(1), 2.0)]
    plan = {2: lambda ctx: ctx.buy(10)}
    outcome = live(plan, given, 100, 100, 100, 100, trade_from=2, interest=0.25)
    # bar 2 is the account's first: it has no bar before, from which interest would run
    assert happened(outcome) == [("interest", 0, 1e6 * (0.25 * (1.0 / 365.0)))]
    for time in (known(0), known(2)):
        ended = live(plan, [Action("delisting", 0, time)], 100, 100, 100, 100, trade_from=2)
        assert (ends(ended), happened(ended)) == ([(1, "rejected", "delisted")], [])


def test_e3__a_long_position_receives_and_a_short_one_pays() -> None:
    # 10 at 100, 2.5 a unit; sold, or bought, at 100
    given = [Action("dividend", 0, opened(2), 2.5)]
    for plan, amount in ((LONG, 25.0), (SHORT, -25.0)):
        out = live({**plan, 2: lambda ctx: ctx.target(0)}, given, 100, 100, 100, 100)
        assert (out.cash[-1], out.trades[0]["pnl"]) == (1e6 + amount, amount)
        assert happened(out) == [("dividend", 10 if amount > 0 else -10, amount)]


def test_e3__a_unit_of_a_dividend_is_one_of_the_price() -> None:
    # 6 lots are 3 units, 4 to the contract: 12 times 0.5
    outcome = live({0: lambda ctx: ctx.buy(3)}, [Action("dividend", 0, opened(2), 0.5)], 400, 400, 400, grid=HALF_LOTS)
    assert happened(outcome) == [("dividend", 6, 6.0)]


@pytest.mark.parametrize(("price", "worth"), [(80.0, 800.0), (math.nan, 900.0), (0.0, 0.0)])
def test_e4__a_delisting_ends_the_position_without_a_fill(price: float, worth: float) -> None:
    # bought 10 at 100 for 1000 and a fee of 1; the close of bar 2 is 90
    given = [Action("delisting", 0, known(2), price)]
    outcome = live(LONG, given, 100, 100, (100, 100, 90, 90), 70, fee=lambda m: 1.0, slippage=lambda m: 0.0)
    assert (outcome.cash[-1], outcome.position) == (1e6 - 1001.0 + worth, [0, 10, 0, 0])
    assert (outcome.equity[2], len(outcome.fills)) == (outcome.cash[2], 1)
    assert outcome.trades == [{"opened": opened(1), "closed": known(2), "lots": 10, "pnl": worth - 1001.0, "fees": 1.0}]
    assert happened(outcome) == [("delisting", 10, worth)]


def test_e4__a_short_position_buys_back_at_the_price() -> None:
    outcome = live(SHORT, [Action("delisting", 0, known(2), 120.0)], 100, 100, 100)
    assert (outcome.cash[-1], outcome.trades[0]["pnl"]) == (1e6 - 200.0, -200.0)


def test_e4__orders_end_and_are_not_taken_any_more() -> None:
    def ask(ctx: Any) -> None:
        ctx.buy(math.nan)
        ctx.bracket(1, stop=-5)
        ctx.target(1)
        ctx.target_percent(math.nan)

    plan = {0: lambda ctx: (ctx.limit(-5, 200), ctx.bracket(10, stop=50, limit=150, entry=40), ctx.buy(1)), 2: ask}
    outcome = live(plan, [Action("delisting", 0, known(2)), Action("delisting", 0, known(3))], 100, 100, 100, 100)
    assert ends(outcome) == [
        (1, "cancelled", "delisted"),
        (2, "cancelled", "delisted"),
        (3, "cancelled", "parent_ended"),
        (4, "cancelled", "parent_ended"),
        (5, "filled", ""),
        *[(i, "rejected", "delisted") for i in (6, 7, 8, 9)],
    ]
    assert [order(outcome, i)["t_end"] for i in (1, 2, 3, 4)] == [known(2)] * 4
    assert happened(outcome) == [("delisting", 1, 100.0)]


def test_e4__what_fills_in_the_bar_comes_before() -> None:
    plan = {0: lambda ctx: ctx.buy(10), 1: lambda ctx: ctx.limit(-10, 110)}
    outcome = live(plan, [Action("delisting", 0, known(2), 1.0)], 100, 100, (100, 120, 100, 100))
    assert (outcome.cash[-1], happened(outcome)) == (1e6 + 100.0, [])


def test_e4__an_unlisted_asset_is_unlisted_a_portfolio_goes_on() -> None:
    plan = {
        0: lambda ctx: (ctx[1].buy(1), ctx[0].buy(10)),
        2: lambda ctx: (ctx[0].buy(1), ctx[1].buy(2), ctx.weights([0.5, math.nan])),
    }
    given = [Action("delisting", 0, known(2), 50.0), Action("delisting", 1, known(0), 50.0)]
    outcome = hold(plan, still(100, 100, None, 100), still(None, 100, 100, 100), actions=given)
    # the close of asset 0 in bar 1 is its last, it has no bar at 2, so that weights pass it by
    assert ends(outcome) == [
        (1, "rejected", "unlisted"),
        (2, "filled", ""),
        (3, "rejected", "delisted"),
        (4, "rejected", "delisted"),
    ]
    assert outcome.cash[-1] == 1e6 - 1000.0 + 500.0


@pytest.mark.parametrize(
    ("plan", "rate", "mark", "amount"),
    [
        (LONG, 0.125, 96.0, -120.0),  # (96 * 10) * 0.125
        (SHORT, 0.125, 96.0, 120.0),
        (LONG, -0.125, 96.0, 120.0),
        (LONG, 0.125, math.nan, -137.5),  # at the close before, 110
    ],
)
def test_e5__longs_pay_shorts_a_positive_rate(plan: Any, rate: float, mark: float, amount: float) -> None:
    given = [Action("funding", 0, opened(2), rate, mark)]
    outcome = live({**plan, 2: lambda ctx: ctx.target(0)}, given, 100, (100, 110, 100, 110), 100, 100)
    assert happened(outcome) == [("funding", 10 if plan is LONG else -10, amount)]
    assert (outcome.cash[-1], outcome.trades[0]["pnl"]) == (1e6 + amount, amount)


def test_e5__a_rate_that_is_nan_is_none() -> None:
    assert happened(live(LONG, [Action("funding", 0, opened(2), math.nan, 100.0)], 100, 100, 100)) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (lambda: Action("merger", 0, 0), "kind"),
        (lambda: Action("split", 0, 0, 0.0), "split"),
        (lambda: Action("split", 0, 0), "split"),
        (lambda: Action("dividend", 0, 0), "dividend"),
        (lambda: live({}, [Action("funding", 1, 0, 0.0)], 100), "asset 1"),
    ],
)
def test_e1__what_is_no_action_is_refused(given: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        given()
