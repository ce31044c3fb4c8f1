"""Hand-worked costs, cash, round trips and targets (C, A, S)."""

from __future__ import annotations

import math

import pytest

from tests.reference import Config, Grid, ModelView, View, models, simulate
from tests.reference.worked import CENTS, DAY, HOUR, ONES, daily, ends, flat, noting, order, play, prices

CLOSED = {"opened": DAY + 14 * HOUR, "closed": 2 * DAY + 14 * HOUR}


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
    assert slip == ModelView(
        -1.0, 1.0, 100.0, 1000.0, 0.0, 0.0, volume, 4.0, 1e6 - 40.0 * 101 - 2.0 + 40.0 * 110, 25 * DAY + 14 * HOUR
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


def test_a1__cash_moves_by_the_notional_and_the_fee() -> None:
    grid = Grid(tick=0.25, inverse=0, lot=2.0, multiplier=5.0)
    outcome = play(daily(*flat(400, 2)), {0: lambda ctx: ctx.sell(6)}, Config(fee=models.fixed_fee(1.5)), grid)
    assert (outcome.cash[-1], outcome.position[-1]) == (1e6 + 100.0 * 30.0 - 1.5, -3)


def test_a2__buying_power_looks_at_the_final_position() -> None:
    bars = daily(*flat(100, 3))
    outcome = play(bars, {0: lambda ctx: ctx.buy(10), 1: lambda ctx: ctx.sell(20)}, Config(cash=1000.0))
    assert outcome.position == [0, 10, -10]


def test_a2__reducing_is_always_affordable() -> None:
    bars = daily(*flat(100, 2), *flat(190, 2))
    config = Config(cash=1000.0, cash_rule="reject", fee=lambda m: 60.0)
    outcome = play(bars, {0: lambda ctx: ctx.sell(9), 2: lambda ctx: ctx.buy(9)}, config)
    assert outcome.equity == [1000.0, 940.0, 130.0, 70.0]
    assert play(bars, {0: lambda ctx: ctx.sell(9), 2: lambda ctx: ctx.buy(19)}, config).position[-1] == -9


@pytest.mark.parametrize(
    ("rule", "filled", "status", "reason"),
    [
        ("reduce", 9, "cancelled", "cut_cash"),
        ("reject", 0, "rejected", "insufficient_cash"),
        ("debt", 12, "filled", ""),
    ],
)
def test_a3__what_is_not_affordable(rule: str, filled: int, status: str, reason: str) -> None:
    # 10 lots cost 1000 and a fee of 10: one more has to go
    config = Config(cash=1000.0, cash_rule=rule, fee=models.fraction_fee(0.01))
    outcome = play(daily(*flat(100, 2)), {0: lambda ctx: ctx.buy(12)}, config)
    assert (outcome.orders[0]["filled"], outcome.orders[0]["status"], outcome.orders[0]["reason"]) == (
        filled,
        status,
        reason,
    )


def test_a3__an_increase_without_room_fills_nothing() -> None:
    bars = daily(*flat(100, 2), *flat(150))
    outcome = play(bars, {0: lambda ctx: ctx.sell(10), 1: lambda ctx: ctx.sell(5)}, Config(cash=1000.0))
    assert (outcome.position, ends(outcome)[1]) == ([0, -10, -10], (2, "cancelled", "cut_cash"))


def test_a3__a_reversal_closes_at_least() -> None:
    bars = daily(*flat(100, 2), *flat(150))
    kept = play(bars, {0: lambda ctx: ctx.sell(10), 1: lambda ctx: ctx.buy(30)}, Config(cash=1000.0))
    assert (kept.position[-1], kept.orders[1]["filled"], kept.orders[1]["reason"]) == (3, 13, "cut_cash")
    bars = daily(*flat(100, 2), *flat(195))
    closed = play(bars, {0: lambda ctx: ctx.sell(10), 1: lambda ctx: ctx.buy(30)}, Config(cash=1000.0))
    assert (closed.position[-1], closed.orders[1]["filled"], closed.orders[1]["reason"]) == (0, 10, "cut_cash")


def test_a4__an_exit_closes_what_is_left() -> None:
    bars = daily(*flat(100, 3), (100, 100, 80, 85))
    outcome = play(bars, {0: lambda ctx: ctx.bracket(10, stop=90), 1: lambda ctx: ctx.sell(6)})
    assert (order(outcome, 2)["lots"], order(outcome, 2)["filled"], order(outcome, 2)["status"]) == (-10, -4, "filled")


def test_a4__an_exit_never_opens() -> None:
    # the entry of the bracket closes a long position, so its buy stop has nothing to close
    bars = daily(*flat(100, 3), (100, 120, 100, 100))
    outcome = play(bars, {0: lambda ctx: ctx.buy(10), 1: lambda ctx: ctx.bracket(-10, stop=110)})
    assert (outcome.position[-1], ends(outcome)[-1]) == (0, (3, "cancelled", "reduce_only"))


def test_a5__equity_is_marked_at_the_close() -> None:
    outcome = play(daily(*flat(100), (100, 130, 90, 120)), {0: lambda ctx: ctx.sell(10)})
    assert outcome.equity == [1e6, 1e6 - 200.0]


def test_a6__ruin_ends_everything() -> None:
    called: list[int] = []

    def decide(ctx: View) -> None:
        called.append(ctx.i)
        if ctx.i == 0:
            ctx.sell(10)
            ctx.limit(1, 10)

    bars = daily(*flat(100, 2), *flat(250), *flat(10, 2))
    outcome = simulate(bars, ONES, Config(cash=1000.0), decide)
    assert (called, outcome.position, outcome.equity) == ([0, 1], [0, -10, 0, 0, 0], [1000.0, 1000.0, 0.0, 0.0, 0.0])
    assert (outcome.metrics["debt"], outcome.metrics["ruined"]) == (500.0, 1.0)
    assert (ends(outcome)[1], len(outcome.fills), outcome.trades) == ((2, "cancelled", "ruin"), 1, [])
    assert outcome.metrics["cagr"] == outcome.metrics["total_return"] == -1.0
    assert outcome.metrics["max_drawdown"] == 1.0


def test_a7__a_fill_through_zero_is_two_trades_and_one_fee() -> None:
    bars = daily(*flat(100, 2), *flat(110), *flat(105))
    config = Config(fee=lambda m: m.quantity)
    outcome = play(bars, {0: lambda ctx: ctx.buy(10), 1: lambda ctx: ctx.sell(30), 2: lambda ctx: ctx.buy(20)}, config)
    assert outcome.trades == [
        {**CLOSED, "lots": 10, "pnl": 80.0, "fees": 20.0},
        {"opened": CLOSED["closed"], "closed": 3 * DAY + 14 * HOUR, "lots": 20, "pnl": 60.0, "fees": 40.0},
    ]
    assert (len(outcome.fills), outcome.cash[-1]) == (3, 1e6 + 140.0)


def test_a8__wins_and_losses() -> None:
    bars = daily(*flat(100, 2), *flat(110, 2), *flat(105, 2))
    plan = {t: (lambda ctx: ctx.buy(1)) if t % 2 == 0 else (lambda ctx: ctx.sell(1)) for t in range(5)}
    outcome = play(bars, plan)
    assert [trade["pnl"] for trade in outcome.trades] == [10.0, -5.0]
    assert (outcome.metrics["win_rate"], outcome.metrics["profit_factor"]) == (0.5, 2.0)


def test_a9__traded_weight_is_of_the_last_mark() -> None:
    bars = daily(*flat(100), (100, 100, 100, 150), *flat(150))
    outcome = play(bars, {0: lambda ctx: ctx.buy(5), 1: lambda ctx: ctx.sell(5)}, Config(cash=1000.0))
    years = 2.0 / 365.25
    assert outcome.metrics["turnover"] == (500.0 / 1000.0 + 750.0 / 1250.0) / years


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


HALF_LOTS = Grid(tick=0.25, inverse=0, lot=0.5, multiplier=4.0)


def test_s2__lot_and_multiplier_count_and_the_models_see_the_gap() -> None:
    slips: list[ModelView] = []
    fees: list[ModelView] = []
    config = Config(cash=1000.0, fee=noting(fees, 2.0), slippage=noting(slips, 0.0))
    bars = daily(*flat(40, 3), volume=[8.0, 4.0, 1.0])
    outcome = play(bars, {1: lambda ctx: ctx.target_percent(-0.5)}, config, HALF_LOTS)
    # a lot is worth 10.0 * 2.0: 25 lots are 500.0, and the fee of 2.0 takes 2.0 / 500.0 of them
    seen = ModelView(-1.0, 12.5, 10.0, 500.0, 0.0, 0.0, 6.0, 0.0, 1000.0, bars.known_at[1])
    assert (slips[0], fees[0]) == (seen, seen)
    assert (outcome.position[-1], outcome.fills[0]["lots"]) == (-24, -24)


def test_a3__lot_and_multiplier_count() -> None:
    outcome = play(daily(*flat(40, 2)), {0: lambda ctx: ctx.buy(100)}, Config(cash=1000.0), HALF_LOTS)
    assert (outcome.position[-1], outcome.cash[-1]) == (50, 0.0)


def test_a3__without_worth_a_reversal_only_closes() -> None:
    bars = daily(*flat(100, 2), *flat(250))
    outcome = play(bars, {0: lambda ctx: ctx.sell(10), 1: lambda ctx: ctx.buy(30)}, Config(cash=1000.0))
    assert (outcome.orders[1]["filled"], outcome.metrics["debt"], len(outcome.trades)) == (10, 500.0, 1)


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


def test_c2__an_order_adds_up_its_fees() -> None:
    outcome = play(daily(*flat(100, 2)), {0: lambda ctx: ctx.buy(3)}, Config(fee=models.fraction_fee(0.01)))
    assert (outcome.orders[0]["fees"], outcome.fills[0]["fee"], outcome.metrics["fees"]) == (3.0, 3.0, 3.0)
