"""Hand-worked costs (C)."""

from __future__ import annotations

import math

import pytest

from tests.reference import Config, Grid, ModelView, models
from tests.reference.worked import CENTS, DAY, HOUR, daily, flat, noting, play


def view(**values: float) -> ModelView:
    names = dict.fromkeys(
        ["side", "quantity", "price", "notional", "filled", "paid", "volume", "position", "equity"], 0.0
    )
    return ModelView(**{**names, **values}, time=0)


def test_c1__slippage_rounds_against_the_order_and_leaves_the_bar() -> None:
    bars = daily(*flat(10000, 3))
    plan = {0: lambda ctx: ctx.buy(1), 1: lambda ctx: ctx.sell(1)}
    outcome = play(bars, plan, Config(slippage=models.fraction_slippage(0.00012)), CENTS)
    assert [fill["ticks"] for fill in outcome.fills] == [10002, 9998]
    assert outcome.fills[0]["slippage_cost"] == 100.02 - 100.0
    assert outcome.fills[0]["reference"] == 10000


def test_c1__no_slippage_leaves_the_reference() -> None:
    outcome = play(daily(*flat(10000, 2)), {0: lambda ctx: ctx.buy(1)}, Config(slippage=lambda m: 0.0), CENTS)
    assert (outcome.fills[0]["ticks"], outcome.fills[0]["slippage_cost"]) == (10000, 0.0)


@pytest.mark.parametrize(("slip", "bought", "sold"), [(1e6, 100_000_100, 1), (1e300, 2**53, 1)])
def test_q2__no_slippage_leaves_the_range_of_ticks(slip: float, bought: int, sold: int) -> None:
    plan = {0: lambda ctx: ctx.buy(1), 1: lambda ctx: ctx.sell(1)}
    config = Config(slippage=models.fraction_slippage(slip), cash_rule="debt", cash=1e300)
    outcome = play(daily(*flat(100, 3)), plan, config, Grid(1.0, 0, 1.0))
    assert [fill["ticks"] for fill in outcome.fills] == [bought, sold]


def test_c2__a_rebate_is_a_negative_fee() -> None:
    outcome = play(daily(*flat(100, 2)), {0: lambda ctx: ctx.buy(1)}, Config(fee=lambda m: -0.25))
    assert outcome.cash[-1] == 1e6 - 100.0 + 0.25


def test_c3__what_the_models_see() -> None:
    slips: list[ModelView] = []
    fees: list[ModelView] = []
    config = Config(fee=noting(fees, 2.0), slippage=noting(slips, 0.01))
    bars = daily(*flat(100, 24), (100, 100, 100, 110), *flat(100), volume=[float(t) for t in range(26)])
    grid = Grid(tick=1.0, inverse=0, lot=0.5, multiplier=10.0)
    play(bars, {23: lambda ctx: ctx.buy(4), 24: lambda ctx: ctx.sell(1)}, config, grid)
    slip, fee = slips[1], fees[-1]
    volume = sum(range(5, 25)) / 20
    equity, traded = 1e6 - 40.0 * 101 - 2.0 + 40.0 * 110, 40.0 * 101
    # 19 returns of 0.0 and one of 0.1: they lie 0.005 and 0.095 from their mean
    volatility = math.sqrt((19 * 0.005**2 + 0.095**2) / 19)
    assert slip == ModelView(
        *(-1.0, 1.0, 100.0, 1000.0, 0.0, 0.0, volume, 4.0, equity, 25 * DAY + 14 * HOUR),
        tick=1.0,
        volatility=pytest.approx(volatility, rel=1e-14),
        traded=traded,
    )
    assert (fee.price, fee.notional, fee.quantity) == (99.0, 990.0, 1.0)


def test_c3__there_is_no_volume_before_the_first_bar() -> None:
    assert daily(*flat(100, 3), volume=[4.0, 8.0, 1.0]).mean_volume(2) == 6.0
    assert daily(*flat(100)).mean_volume(0) == 0.0


def test_c4__the_built_in_models() -> None:
    assert models.fraction_fee(0.001)(view(notional=500.0)) == 0.5
    assert models.per_unit_fee(0.01, 1.0)(view(quantity=50.0)) == 1.0
    assert models.per_unit_fee(0.01, 1.0)(view(quantity=150.0, filled=50.0, paid=1.0)) == 1.0
    assert (models.fixed_fee(3.0)(view()), models.fixed_fee(3.0)(view(filled=1.0))) == (3.0, 0.0)
    assert models.square_root_slippage(0.1)(view(quantity=25.0, volume=100.0)) == 0.05
    assert models.square_root_slippage(0.1)(view(quantity=25.0)) == 0.1


def test_c5__slippage_sees_the_whole_order_and_the_fee_what_is_left() -> None:
    slips: list[ModelView] = []
    fees: list[ModelView] = []
    config = Config(cash=1000.0, fee=noting(fees, 0.0), slippage=noting(slips, 0.0))
    play(daily(*flat(100, 2)), {0: lambda ctx: ctx.buy(25)}, config)
    assert [m.quantity for m in slips] == [25.0]
    assert (fees[0].quantity, fees[-1].quantity) == (25.0, 10.0)


def test_c2__an_order_adds_up_its_fees() -> None:
    outcome = play(daily(*flat(100, 2)), {0: lambda ctx: ctx.buy(3)}, Config(fee=models.fraction_fee(0.01)))
    assert (outcome.orders[0]["fees"], outcome.fills[0]["fee"], outcome.metrics["fees"]) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize("answer", [math.nan, math.inf, -math.inf])
def test_c6__a_model_answers_with_a_finite_number(answer: float) -> None:
    for plan in ({0: lambda ctx: ctx.buy(1)}, {0: lambda ctx: ctx.target_percent(0.5)}):
        with pytest.raises(ValueError, match="the fee model answered"):
            play(daily(*flat(100, 2)), plan, Config(fee=lambda m: answer))
        with pytest.raises(ValueError, match="the slippage model answered"):
            play(daily(*flat(100, 2)), plan, Config(slippage=lambda m: answer))


def test_c6__slippage_is_never_a_gift_but_a_fee_may_be() -> None:
    bars, plan = daily(*flat(100, 2)), {0: lambda ctx: ctx.buy(1)}
    with pytest.raises(ValueError, match=r"the slippage model answered -0.01, wanted 0 or more"):
        play(bars, plan, Config(slippage=lambda m: -0.01))
    assert play(bars, plan, Config(fee=lambda m: -0.01)).metrics["fees"] == -0.01
