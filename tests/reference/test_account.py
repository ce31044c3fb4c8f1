"""Hand-worked cash and round trips (A)."""

from __future__ import annotations

import pytest

from tests.reference import Config, Grid, ModelView, View, models, simulate
from tests.reference.account import Account
from tests.reference.fills import Matcher
from tests.reference.orders import Book, Order
from tests.reference.worked import DAY, HALF_LOTS, HOUR, ONES, daily, ends, flat, noting, order, play

CLOSED = {"opened": DAY + 14 * HOUR, "closed": 2 * DAY + 14 * HOUR}


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


def test_a3__no_trial_is_larger_than_the_order() -> None:
    # 5 lots and a fee of 600 are too much for 1000, whatever 10 lots would be
    fees: list[ModelView] = []
    outcome = play(daily(*flat(100, 2)), {0: lambda ctx: ctx.buy(5)}, Config(cash=1000.0, fee=noting(fees, 600.0)))
    assert (outcome.position[-1], order(outcome, 1)["reason"]) == (4, "cut_cash")
    assert max(m.quantity for m in fees) == 5.0


@pytest.mark.parametrize(("fits_at", "filled"), [(936, 936), (935, 0)])
def test_a3__after_64_shrinks_nothing_is_left(fits_at: int, filled: int) -> None:
    # a fee that leaves half a unit of cash too little, so that each shrink takes the least there is, one lot
    config = Config(cash=1000.0, fee=lambda m: 0.0 if m.quantity <= fits_at else 1000.5 - m.notional)
    outcome = play(daily(*flat(1, 2)), {0: lambda ctx: ctx.buy(1000)}, config)
    assert (outcome.position[-1], ends(outcome)) == (filled, [(1, "cancelled", "cut_cash")])


def test_a4__an_exit_closes_what_is_left() -> None:
    bars = daily(*flat(100, 3), (100, 100, 80, 85))
    outcome = play(bars, {0: lambda ctx: ctx.bracket(10, stop=90), 1: lambda ctx: ctx.sell(6)})
    assert (order(outcome, 2)["lots"], order(outcome, 2)["filled"], order(outcome, 2)["status"]) == (-10, -4, "filled")


def test_a4__an_exit_never_opens() -> None:
    # the entry of the bracket closes a long position, so its buy stop has nothing to close
    bars = daily(*flat(100, 3), (100, 120, 100, 100))
    outcome = play(bars, {0: lambda ctx: ctx.buy(10), 1: lambda ctx: ctx.bracket(-10, stop=110)})
    assert (outcome.position[-1], ends(outcome)[-1]) == (0, (3, "cancelled", "parent_ended"))


@pytest.mark.parametrize("held", [0, -2])
def test_a4__an_exit_without_a_position_to_close_ends(held: int) -> None:
    # an exit ends with its position (O7), so only the venue by itself can be shown one that has outlived it
    bars, config = daily(*flat(100, 2)), Config()
    account = Account(bars, ONES, config, cash=1e6, equity=1e6, position=held)
    exit_ = Order(1, "stop", "GTC", -5, 0, trigger=100, reduce_only=True)
    book = Book()
    book.add(exit_)
    Matcher(bars, ONES, config, account, book).match(1, last=False)
    assert (exit_.status, exit_.reason, exit_.t_end) == ("cancelled", "reduce_only", bars.open_at[1])
    assert (account.position, account.fills) == (held, [])


def test_a4__slippage_is_asked_for_what_closes() -> None:
    slips: list[ModelView] = []
    bars = daily(*flat(100, 3), (100, 100, 80, 85))
    plan = {0: lambda ctx: ctx.bracket(10, stop=90), 1: lambda ctx: ctx.sell(6)}
    play(bars, plan, Config(slippage=noting(slips, 0.0)))
    assert [m.quantity for m in slips] == [10.0, 6.0, 4.0]


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
    assert (ends(outcome)[1], len(outcome.fills)) == ((2, "cancelled", "ruin"), 1)
    trade = {"opened": bars.open_at[1], "closed": bars.known_at[2], "lots": 10, "pnl": -1500.0, "fees": 0.0}
    assert outcome.trades == [trade]
    assert (outcome.metrics["n_trades"], outcome.metrics["win_rate"], outcome.metrics["n_fills"]) == (1.0, 0.0, 1.0)
    assert outcome.metrics["cagr"] == outcome.metrics["total_return"] == -1.0
    assert outcome.metrics["max_drawdown"] == 1.0


def test_a6__the_ruinous_round_trip_keeps_its_fees_and_pays_no_more() -> None:
    bars = daily(*flat(100, 2), *flat(150), *flat(250))
    config = Config(cash=1000.0, fee=lambda m: 3.0, slippage=lambda m: 0.1)
    outcome = play(bars, {0: lambda ctx: ctx.bracket(-10, stop=500), 1: lambda ctx: ctx.buy(1)}, config)
    # sold 10 at 90, 1 bought back at 165, the other 9 closed at 250
    assert [fill["ticks"] for fill in outcome.fills] == [90, 165]
    pnl = 900.0 - 3.0 - 165.0 - 3.0 - 2250.0
    assert [(trade["pnl"], trade["fees"], trade["lots"]) for trade in outcome.trades] == [(pnl, 6.0, 10)]
    assert (outcome.metrics["debt"], outcome.metrics["fees"]) == (-(1000.0 + pnl), 6.0)
    assert (ends(outcome)[1], order(outcome, 2)["t_end"]) == ((2, "cancelled", "ruin"), bars.known_at[3])
    assert outcome.metrics["profit_factor"] == 0.0


def test_a6__ruin_without_a_position_makes_no_trade() -> None:
    bars = daily(*flat(100, 2), *flat(250))
    outcome = play(bars, {0: lambda ctx: ctx.sell(10), 1: lambda ctx: ctx.buy(10)}, Config(cash=1000.0))
    assert (outcome.metrics["ruined"], outcome.metrics["debt"]) == (1.0, 500.0)
    assert [trade["closed"] for trade in outcome.trades] == [bars.open_at[2]]


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


def test_a3__lot_and_multiplier_count() -> None:
    outcome = play(daily(*flat(40, 2)), {0: lambda ctx: ctx.buy(100)}, Config(cash=1000.0), HALF_LOTS)
    assert (outcome.position[-1], outcome.cash[-1]) == (50, 0.0)


def test_a3__without_worth_a_reversal_only_closes() -> None:
    bars = daily(*flat(100, 2), *flat(250))
    outcome = play(bars, {0: lambda ctx: ctx.sell(10), 1: lambda ctx: ctx.buy(30)}, Config(cash=1000.0))
    assert (outcome.orders[1]["filled"], outcome.metrics["debt"], len(outcome.trades)) == (10, 500.0, 1)
