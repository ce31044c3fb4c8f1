"""Hand-worked targets (S)."""

from __future__ import annotations

import math

from tests.reference import Config, ModelView, models
from tests.reference.worked import HALF_LOTS, daily, ends, flat, noting, order, play, prices


def test_s1__a_target_replaces_an_earlier_one() -> None:
    plan = {0: lambda ctx: (ctx.target_percent(0.5), ctx.target(7), ctx.limit(1, 50), ctx.target_percent(0.25))}
    outcome = play(daily(*flat(100, 2)), plan, Config(cash=1000.0))
    assert ends(outcome)[:2] == [(1, "cancelled", "replaced"), (2, "cancelled", "replaced")]
    assert outcome.position[-1] == 2


def test_s2__costs_are_reserved_when_the_trade_goes_away_from_zero() -> None:
    config = Config(cash=1000.0, fee=models.fraction_fee(0.1), slippage=models.fraction_slippage(0.15))
    outcome = play(daily(*flat(10, 2)), {0: lambda ctx: ctx.target_percent(1.0)}, config)
    assert order(outcome, 1)["lots"] == math.trunc(100 / 1.25)


def test_s2__toward_zero_nothing_is_reserved() -> None:
    config = Config(cash=1000.0, fee=models.fraction_fee(0.01), band=0.0)
    plan = {0: lambda ctx: ctx.target(50), 1: lambda ctx: ctx.target_percent(0.25)}
    outcome = play(daily(*flat(10, 3)), plan, config)
    # equity 995: wanted 24.875 lots, gap -25.125
    assert (order(outcome, 1)["lots"], order(outcome, 2)["lots"]) == (50, -25)


def test_s3__small_changes_are_left_alone() -> None:
    plan = {
        0: lambda ctx: ctx.target_percent(0.5),
        1: lambda ctx: ctx.target_percent(0.505),
        2: lambda ctx: ctx.target_percent(0.506),
        3: lambda ctx: ctx.target_percent(-0.001),
        4: lambda ctx: ctx.target_percent(0.0),
        5: lambda ctx: ctx.target_percent(0.0),
    }
    outcome = play(daily(*flat(1, 8)), plan, Config(cash=1000.0))
    assert prices(outcome) == [(1, 500, 1, "open"), (2, 6, 1, "open"), (3, -507, 1, "open"), (4, 1, 1, "open")]


def test_s4__a_quantity_has_no_band() -> None:
    plan = {0: lambda ctx: ctx.target(1), 1: lambda ctx: ctx.target(1), 2: lambda ctx: ctx.target(0.4)}
    outcome = play(daily(*flat(1, 5)), plan)
    assert prices(outcome) == [(1, 1, 1, "open"), (2, -1, 1, "open")]


def test_s5__the_size_is_found_again_at_the_fill() -> None:
    bars = daily(*flat(100), *flat(80))
    for sizing, lots in (("at_decision", 10), ("at_fill", 12)):
        outcome = play(bars, {0: lambda ctx: ctx.target_percent(1.0)}, Config(cash=1000.0, sizing=sizing))
        assert (outcome.position[-1], order(outcome, 1)["lots"], order(outcome, 1)["status"]) == (lots, lots, "filled")


def test_s5__nothing_left_at_the_fill_ends_the_order() -> None:
    bars = daily(*flat(100), *flat(2000))
    outcome = play(bars, {0: lambda ctx: ctx.target_percent(1.0)}, Config(cash=1000.0, sizing="at_fill"))
    assert (outcome.fills, ends(outcome)) == ([], [(1, "cancelled", "replaced")])


def test_s2__lot_and_multiplier_count_and_the_models_see_the_gap() -> None:
    slips: list[ModelView] = []
    fees: list[ModelView] = []
    config = Config(cash=1000.0, fee=noting(fees, 2.0), slippage=noting(slips, 0.0))
    bars = daily(*flat(40, 3), volume=[8.0, 4.0, 1.0])
    outcome = play(bars, {1: lambda ctx: ctx.target_percent(-0.5)}, config, HALF_LOTS)
    # a lot is worth 10.0 * 2.0: 25 lots are 500.0, and the fee of 2.0 takes 2.0 / 500.0 of them
    seen = ModelView(-1.0, 12.5, 10.0, 500.0, 0.0, 0.0, 6.0, 0.0, 1000.0, bars.known_at[1], tick=0.25)
    assert (slips[0], fees[0]) == (seen, seen)
    assert (outcome.position[-1], outcome.fills[0]["lots"]) == (-24, -24)


def test_s3__through_zero_has_no_band() -> None:
    plan = {
        0: lambda ctx: ctx.target(3),
        1: lambda ctx: ctx.target_percent(-0.001),
        2: lambda ctx: ctx.target_percent(0.004),
    }
    outcome = play(daily(*flat(1, 5)), plan, Config(cash=1000.0))
    assert prices(outcome) == [(1, 3, 1, "open"), (2, -4, 1, "open"), (3, 5, 1, "open")]


def test_s3__no_order_is_id_zero() -> None:
    ids: list[int] = []
    plan = {
        0: lambda ctx: ids.extend([ctx.target_percent(0.001), ctx.target(0), ctx.target_percent(0.0), ctx.target(2)])
    }
    play(daily(*flat(100)), plan)
    assert ids == [0, 0, 0, 1]


def test_s5__at_the_fill_the_fee_is_reserved_and_slippage_is_in_the_price() -> None:
    config = Config(cash=1000.0, sizing="at_fill", slippage=lambda m: 0.25, fee=models.fraction_fee(0.1))
    outcome = play(daily(*flat(8, 2)), {0: lambda ctx: ctx.target_percent(1.0)}, config)
    # bought at 10: 100 lots, less the fee
    assert (outcome.fills[0]["ticks"], outcome.fills[0]["lots"]) == (10, math.trunc(100 / 1.1))


def test_s5__lots_of_the_other_sign_end_the_order() -> None:
    # 5 lots were wanted; 20 bought just before turn them into -15
    plan = {0: lambda ctx: (ctx.buy(20), ctx.target_percent(0.05))}
    bars = daily(*flat(100, 2))
    outcome = play(bars, plan, Config(cash=10_000.0, sizing="at_fill"))
    assert (outcome.position[-1], ends(outcome)[1]) == (20, (2, "cancelled", "replaced"))
    assert order(outcome, 2)["t_end"] == bars.open_at[1]
    assert play(bars, plan, Config(cash=10_000.0)).position[-1] == 25


def test_s5__models_see_the_time_of_the_fill() -> None:
    fees: list[ModelView] = []
    bars = daily(*flat(100, 2))
    config = Config(cash=1000.0, sizing="at_fill", fee=noting(fees, 0.0))
    play(bars, {0: lambda ctx: ctx.target_percent(0.5)}, config)
    assert [m.time for m in fees] == [bars.known_at[0]] + [bars.open_at[1]] * (len(fees) - 1)
    assert len(fees) >= 3
