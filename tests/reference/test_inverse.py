"""Hand-worked inverse contracts: of 100 in quote currency each, on an account in base currency (Notation)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.reference import Action, Grid
from tests.reference.dated import happened, live, opened
from tests.reference.worked import ends, noting, order, prices
from tests.reference.worlds import hold, still

USD = Grid(tick=1.0, inverse=0, lot=1.0, multiplier=100.0, contract="inverse")
LONG = {0: lambda ctx: ctx.buy(10)}
SHORT = {0: lambda ctx: ctx.sell(10)}


def trade(plan: Any, *bars: Any, actions: Any = (), **choices: Any) -> Any:
    return live(plan, actions, *bars, grid=USD, **{"cash": 1.0, **choices})


def test_w__of_an_inverse_contract() -> None:
    assert (USD.worth(20_000), Grid(0.5, 0, 1.0).worth(3)) == (-1.0 / 20_000.0, 1.5)
    assert USD.notional(20_000, -10) == (-1.0 / 20_000.0) * -1000.0
    assert USD.gross(20_000, -10) == (1.0 / 20_000.0) * 1000.0
    with pytest.raises(ValueError, match="contract"):
        Grid(1.0, 0, 1.0, contract="quanto")


@pytest.mark.parametrize("sign", [1, -1])
def test_a1__it_gains_what_its_coins_were_worth_less_what_they_are(sign: int) -> None:
    # 1000 / 20,000 - 1000 / 25,000 = 0.01
    plan = {0: lambda ctx: ctx.order(10 * sign), 1: lambda ctx: ctx.order(-10 * sign)}
    outcome = trade(plan, 20_000, 20_000, 25_000, 25_000)
    bought, sold = (1.0 / 20_000.0) * 1000.0 * sign, (1.0 / 25_000.0) * 1000.0 * sign
    assert outcome.cash == [1.0, 1.0 + bought, (1.0 + bought) - sold, (1.0 + bought) - sold]
    assert outcome.equity[1:3] == [(1.0 + bought) - bought, (1.0 + bought) - sold]
    assert outcome.trades[0]["pnl"] == bought - sold == pytest.approx(0.01 * sign)
    held = trade({0: plan[0]}, 20_000, 20_000, 25_000)
    assert held.equity[-1] == pytest.approx(1.0 + 0.01 * sign)


@pytest.mark.parametrize("sign", [1, -1])
def test_a3__cash_carries_what_is_worth_as_much(sign: int) -> None:
    # a contract is 0.005 coins: 1.002 pay for 200.4
    outcome = trade({0: lambda ctx: ctx.order(300 * sign)}, 20_000, 20_000, cash=1.002)
    assert (outcome.position, ends(outcome)) == ([0, 200 * sign], [(1, "cancelled", "cut_cash")])
    # with a quarter of the margin 801
    assert trade({0: lambda ctx: ctx.order(900)}, 20_000, 20_000, cash=1.002, initial=0.25).position[-1] == 801


def test_s2__a_share_of_the_equity_is_in_coins() -> None:
    # 0.5025 of 1.0 is 100.5 times 100 / 20,000
    plan = {0: lambda ctx: ctx.target_percent(0.5025)}
    assert trade(plan, 20_000, 20_000).position[-1] == 100
    assert trade(plan, 20_000, 25_000).position[-1] == 100
    # at 25,000 a lot is 0.004: 125.6
    assert trade(plan, 20_000, 25_000, sizing="at_fill").position[-1] == 125
    assert trade({0: lambda ctx: ctx.target_percent(-0.5025)}, 20_000, 20_000).position[-1] == -100


def test_s3__the_band_is_of_coins() -> None:
    # 10 lots are 0.05 of 1.0, one is 0.005 or a little more
    for weight, count in ((0.0126, 1), (0.0076, 0)):
        assert len(trade({0: lambda ctx: ctx.target_percent(weight)}, 20_000, 20_000, band=0.0075).fills) == count  # noqa: B023


def test_c3__a_model_sees_the_price_and_the_value_in_coins() -> None:
    seen: list[Any] = []
    plan = {0: lambda ctx: ctx.buy(10), 1: lambda ctx: ctx.target_percent(0.5)}
    trade(plan, 20_000, 20_000, 25_000, fee=noting(seen, 0.0))
    assert (seen[0].price, seen[0].notional, seen[0].tick) == (20_000.0, (1.0 / 20_000.0) * 1000.0, 1.0)
    sized = next(m for m in seen if m.position == 10.0)
    gap = ((0.5 * sized.equity) / (1.0 / 20_000.0)) / 100.0 - 10.0
    assert (sized.price, sized.notional) == (20_000.0, (1.0 / 20_000.0) * (gap * 100.0))


def test_c1__slippage_is_of_the_price() -> None:
    outcome = trade(LONG, 20_000, 20_000, slippage=lambda m: 0.01)
    assert prices(outcome) == [(1, 10, 20_200, "open")]
    cost = (-1.0 / 20_200.0) * 1000.0 - (-1.0 / 20_000.0) * 1000.0
    assert (outcome.fills[0]["slippage_cost"], cost > 0.0) == (cost, True)


def test_o15__a_least_value_is_in_coins() -> None:
    plan = {0: lambda ctx: (ctx.buy(1), ctx.buy(3))}
    outcome = trade(plan, 20_000, 20_000, min_notional=0.01)
    assert ends(outcome) == [(1, "rejected", "below_minimum"), (2, "filled", "")]


@pytest.mark.parametrize(
    ("plan", "rate", "mark", "amount"),
    [
        (LONG, 0.01, 25_000.0, -((1000.0 / 25_000.0) * 0.01)),
        (SHORT, 0.01, 25_000.0, (1000.0 / 25_000.0) * 0.01),
        (LONG, 0.01, math.nan, -((1000.0 / 20_000.0) * 0.01)),
    ],
)
def test_e5__funding_is_of_coins_at_the_mark(plan: Any, rate: float, mark: float, amount: float) -> None:
    outcome = trade(plan, 20_000, 20_000, 30_000, actions=[Action("funding", 0, opened(2), rate, mark)])
    assert happened(outcome) == [("funding", 10 if plan is LONG else -10, amount)]


def test_e6_e7__nothing_is_borrowed_and_the_balance_earns() -> None:
    # sold at 20,000 and marked there: cash and the contracts' value make up what was paid in
    assert happened(trade(SHORT, 20_000, 20_000, 30_000, borrow=0.5)) == []
    earned = happened(trade(SHORT, 20_000, 20_000, 30_000, cash=1.0, interest=0.365))
    assert earned == [("interest", 0, pytest.approx(0.001)), ("interest", 0, pytest.approx(0.001001))]


MARGIN: Any = {"cash": 0.013, "initial": 0.25, "maintenance": 0.125}


@pytest.mark.parametrize("choices", [{}, {"isolated": True}])
@pytest.mark.parametrize(
    ("plan", "bar", "ticks"),
    [
        # 0.063 - 1000 / k <= 125 / k up to 17,857.1; with a stake of 0.0125: 0.0625 up to 18,000
        (LONG, (19_000, 19_000, 17_000, 18_000), (17_857, 18_000)),
        # 0.013 - 0.05 + 1000 / k <= 125 / k from 23,648.6 on; 0.0125 from 23,333.3 on
        (SHORT, (21_000, 25_000, 21_000, 21_000), (23_649, 23_334)),
    ],
)
def test_l3__liquidation(plan: Any, bar: Any, ticks: tuple[int, int], choices: Any) -> None:
    outcome = trade(plan, 20_000, 20_000, bar, **choices, **MARGIN)
    wanted = ticks[1] if choices else ticks[0]
    assert abs(prices(outcome)[-1][2] - wanted) <= (1 if wanted == 18_000 else 0)  # 1125 / 18,000 is 0.0625 nearly
    assert (order(outcome, 2)["reason"], outcome.position[-1]) == ("liquidation", 0)
    assert 0.0 < outcome.cash[-1] < 0.013


def test_x5__orders_of_a_portfolio_share_coins() -> None:
    # each asks for 160 * 0.005 = 0.8 of 1.001: 160 * 1.001 / 1.6 is 100.1
    plan = {0: lambda ctx: (ctx[0].buy(160), ctx[1].sell(160))}
    columns = still(20_000, 20_000), still(20_000, 20_000)
    assert hold(plan, *columns, grids=[USD, USD], cash=1.001).position == [[0, 100], [0, -100]]


@pytest.mark.parametrize("kind", ["split", "dividend", "delisting"])
def test_e1__it_knows_funding_only(kind: str) -> None:
    with pytest.raises(ValueError, match="inverse"):
        trade({}, 20_000, actions=[Action(kind, 0, 0, 2.0)])
