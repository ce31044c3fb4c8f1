"""Hand-worked interest and borrowing, and the prices of a holder (E6-E8)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.reference import Action, Config, simulate_portfolio
from tests.reference.dated import happened, known, live, opened, samples
from tests.reference.worked import HALF_LOTS, daily, flat, play
from tests.reference.worlds import clock_of, hold, sparse, still

WEEKEND = [4, 4, 7, 8]  # a Friday of two bars, a Monday and a Tuesday
SHORT = {0: lambda ctx: ctx.sell(10)}


def test_e6__interest_over_a_weekend_with_a_short_position() -> None:
    """1000 and the proceeds of 1000 are 2000 in cash; 10 short at 105, the Friday's close, take 1050 away: 950 lend
    themselves for 3 days. On Tuesday the Monday's close is 120: 1200 are taken from what there is, for a day."""
    outcome = live(
        SHORT, [], 100, (100, 105, 100, 105), (105, 120, 105, 120), 120, session=WEEKEND, cash=1000.0, interest=0.05
    )
    monday = 950.0 * (0.05 * (3.0 / 365.0))
    after = 2000.0 + monday
    tuesday = (after - 1200.0) * (0.05 * (1.0 / 365.0))
    assert outcome.cash == [1000.0, 2000.0, after, after + tuesday]
    assert happened(outcome) == [("interest", 0, monday), ("interest", 0, tuesday)]
    assert [record["time"] for record in outcome.actions] == [opened(2), opened(3)]
    assert [record["asset"] for record in outcome.actions] == [-1, -1]


def test_e6__what_is_owed_pays_the_loan_rate() -> None:
    # 20 at 100 bought with 1000 and half the margin: 1000 are owed
    outcome = live({0: lambda ctx: ctx.buy(20)}, [], 100, 100, 100, session=WEEKEND[:3], cash=1000.0, initial=0.5,
                   interest=0.25, loan=0.0625)  # fmt: skip
    assert happened(outcome) == [("interest", 0, -1000.0 * (0.0625 * (3.0 / 365.0)))]
    # 5 sold and 15 bought at 100, with half the margin: nothing in cash, of which 500 are not the account's own
    plan = {0: lambda ctx: (ctx[0].sell(5), ctx[1].buy(15))}
    hundred, halves = still(100, 100, 100), {known(0): 0.0, known(1): 0.5}
    both = hold(plan, hundred, hundred, cash=1000.0, initial=0.5, interest=lambda t: 0.0, loan=halves.__getitem__)
    assert happened(both) == [("interest", 0, -500.0 * (0.5 * (1.0 / 365.0)))]


def test_e6__nothing_owed_has_the_interest_rate() -> None:
    asked: list[str] = []

    def noted(name: str) -> Any:
        def rate(time: int) -> float:
            asked.append(name)
            return 0.0

        return rate

    plan = {0: lambda ctx: ctx.buy(10)}  # for all that there is
    rates: Any = {"interest": noted("interest"), "loan": noted("loan")}
    live(plan, [], 100, 100, 100, session=WEEKEND[:3], cash=1000.0, **rates)
    assert asked == ["interest"]


def test_e6__rates_are_as_they_stood_when_the_bar_before_was_known() -> None:
    asked: list[int] = []

    def rate(time: int) -> float:
        asked.append(time)
        return 0.25 if time == known(1) else 0.5

    outcome = live({}, [], 100, 100, 100, 100, session=WEEKEND, cash=1000.0, interest=rate)
    first = 1000.0 * (0.25 * (3.0 / 365.0))
    assert (asked, outcome.cash[2]) == ([known(1), known(2)], 1000.0 + first)
    assert outcome.cash[3] == outcome.cash[2] + outcome.cash[2] * (0.5 * (1.0 / 365.0))


def test_e6__interest_belongs_to_no_round_trip() -> None:
    plan = {**SHORT, 2: lambda ctx: ctx.buy(10)}
    outcome = live(plan, [], 100, 100, 100, 100, session=WEEKEND, interest=0.5)
    assert (outcome.trades[0]["pnl"], outcome.cash[-1] > 1e6) == (0.0, True)


def test_e7__a_short_position_pays_for_its_units() -> None:
    """10 short at 105 over three days at a tenth; interest, which comes first, does not know of it."""
    plan = {**SHORT, 2: lambda ctx: ctx.buy(10)}
    bars = (100, (100, 105, 100, 105), 105, 105)
    outcome = live(plan, [], *bars, session=[4, 4, 7, 7], cash=1000.0, borrow=0.1, interest=0.05)
    paid = 1050.0 * (0.1 * (3.0 / 360.0))
    interest = 950.0 * (0.05 * (3.0 / 365.0))
    assert happened(outcome) == [("interest", 0, interest), ("borrow", -10, -paid)]
    assert outcome.cash[2] == (2000.0 + interest) - paid
    assert outcome.trades[0]["pnl"] == (1000.0 - paid) - 1050.0


def test_e7__a_long_position_borrows_nothing() -> None:
    assert happened(live({0: lambda ctx: ctx.buy(10)}, [], 100, 100, 100, borrow=0.5)) == []


def test_e7__each_asset_has_its_rate_in_column_order() -> None:
    asked: list[int] = []

    def rate(time: int) -> float:
        asked.append(time)
        return 0.5

    plan = {0: lambda ctx: [ctx[k].sell(10) for k in range(3)]}
    columns = (still(100, 100, 100), still(50, 50, None), still(10, 10, 10))
    outcome = hold(plan, *columns, borrow=[0.25, rate, 0.0])
    assert [(record["asset"], record["amount"]) for record in outcome.actions] == [
        (0, -(1000.0 * (0.25 * (1.0 / 360.0)))),
        (1, -(500.0 * (0.5 * (1.0 / 360.0)))),
    ]
    assert asked == [known(1)]


def test_e7__one_asset_has_one_rate_and_each_of_several_its_own() -> None:
    with pytest.raises(ValueError, match="borrow"):
        play(daily(*flat(100)), {}, Config(borrow=[0.5]))
    with pytest.raises(ValueError, match="borrow"):
        hold({}, still(100), still(100), borrow=[0.5])


def test_e8__a_split_divides_the_close_before() -> None:
    # 100, 25 after four for one within the session, then 30 by the next
    outcome = live({}, [Action("split", 0, opened(2), 4.0)], 100, 100, 25, 30, session=[0, 1, 1, 2])
    assert samples(outcome) == [0.0, 25.0 / (100.0 / 4.0) - 1.0, 30.0 / 25.0 - 1.0]


def test_e8__a_dividend_is_bought_with_at_the_close_before() -> None:
    # the session before closed at 80, the bar before at 100: 80 * ((100 - 4) / 100)
    outcome = live({}, [Action("dividend", 0, opened(2), 4.0)], 80, 100, 96, session=[0, 1, 1])
    assert samples(outcome) == [0.0, 96.0 / (80.0 * ((100.0 - 4.0) / 100.0)) - 1.0]


@pytest.mark.parametrize(("time", "dividend"), [(opened(2), 100.0), (opened(1), 4.0)])
def test_e8__a_dividend_of_the_whole_price_or_before_the_account_changes_nothing(time: int, dividend: float) -> None:
    outcome = live({}, [Action("dividend", 0, time, dividend)], 100, 100, 50, trade_from=1)
    assert samples(outcome) == [0.0, -0.5]


def test_e8__a_delisting_changes_no_price_of_one_asset() -> None:
    assert samples(live({}, [Action("delisting", 0, known(1), 50.0)], 100, 100, 100)) == [0.0, 0.0, 0.0]


def test_e8__the_index_multiplies_closes() -> None:
    """Asset 0 splits in two and then pays 5 of 50: 100, 50 * 2, 45 * (2 / 0.9). Asset 1, of 40, is worth 10 when it
    ends at the close of 20: 20 * (10 / 20), and stays there."""
    given = [
        Action("split", 0, opened(1), 2.0),
        Action("dividend", 0, opened(2), 5.0),
        Action("delisting", 1, known(2), 10.0),
    ]
    outcome = hold({}, still(100, 50, 45, 45), still(40, 40, 20, None), actions=given)
    worth = (45.0 * (2.0 / ((50.0 - 5.0) / 50.0))) / 100.0
    prices = [1.0, 1.0, (worth + 0.25) / 2.0, (worth + 0.25) / 2.0]
    assert samples(outcome) == [0.0, 0.0, prices[2] / 1.0 - 1.0, prices[3] / prices[2] - 1.0]


def test_e8__the_index_of_one_asset_knows_the_price_of_its_delisting() -> None:
    for price, sample in ((50.0, -0.5), (math.nan, 0.0)):
        outcome = hold({}, still(100, 100), actions=[Action("delisting", 0, known(1), price)])
        assert samples(outcome) == [0.0, sample]


def test_e8__the_index_leaves_out_what_was_not_listed_and_what_came_before() -> None:
    given = [Action("split", 1, opened(2), 2.0), Action("split", 0, opened(1), 5.0), Action("dividend", 1, 0, 1.0)]
    outcome = hold({}, still(100, 100, 110), still(None, None, 50), actions=given, trade_from=1)
    assert samples(outcome) == [0.0, 110.0 / 100.0 - 1.0]


def test_e8__metrics_of_the_strategy_hold_the_amounts() -> None:
    # 10 at 100 and a dividend of 5 at a close of 95: nothing gained, nothing lost
    outcome = live({0: lambda ctx: ctx.buy(10)}, [Action("dividend", 0, opened(2), 5.0)], 100, 100, 95)
    assert (outcome.equity, outcome.metrics["total_return"]) == ([1e6] * 3, 0.0)


def test_e6__a_portfolio_counts_all_its_short_positions() -> None:
    # 4000 and 1000 + 500 of proceeds, of which 1000 + 500 * 4 lots of half a unit are not its own
    plan: Any = {0: lambda ctx: (ctx[0].sell(10), ctx[1].sell(10), ctx[2].buy(10))}
    clock = clock_of(3)
    columns = [still(100, 100, 100), still(400, 400, 400), still(10, 10, 10)]
    grids = [None, HALF_LOTS, None]
    assets = [
        sparse(clock, [(bar, 1.0) for bar in column if bar], *([grid] if grid else []))
        for column, grid in zip(columns, grids, strict=True)
    ]
    outcome = simulate_portfolio(clock, assets, Config(cash=9000.0, interest=lambda t: 0.5 if t == known(1) else 0.0),
                                 lambda ctx: plan[ctx.i](ctx) if ctx.i in plan else None)  # fmt: skip
    # HALF_LOTS: a price of 400 * 0.25 = 100 times 10 * 0.5 units of 4, which are 20 lots: 4000 of both
    cash = 9000.0 + 1000.0 + 4000.0 - 100.0
    assert outcome.cash[1] == cash
    assert happened(outcome) == [("interest", 0, (cash - 5000.0) * (0.5 * (1.0 / 365.0)))]
