"""Hand-worked refusals of the venue and replaced orders (O15, O16, S6)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.reference import Config, View
from tests.reference.extras import run
from tests.reference.worked import DAY, HALF_LOTS, HOUR, daily, ends, flat, order, play, prices, thin

OPEN, RANGE = "open", "intrabar"
SWING = (100, 110, 90, 104)
OPENS = 14 * HOUR
Act = Callable[[View], Any]


@pytest.mark.parametrize(
    ("act", "refused"),
    [
        (lambda ctx: ctx.limit(1, 90.5), True),
        (lambda ctx: ctx.stop(1, 110.5), True),
        (lambda ctx: ctx.stop_limit(1, 110, 111.5), True),
        (lambda ctx: ctx.market_if_touched(1, 90.5), True),
        (lambda ctx: ctx.limit_if_touched(1, 90, 90.5), True),
        (lambda ctx: ctx.bracket(1, stop=90.5), True),
        (lambda ctx: ctx.bracket(1, limit=110.5), True),
        (lambda ctx: ctx.bracket(1, entry=99.5), True),
        (lambda ctx: ctx.bracket(1, stop_loss=0.105), False),  # found by the engine, not written
        (lambda ctx: ctx.trailing_stop(1, trail=5.5), False),  # a distance
        (lambda ctx: ctx.trailing_stop_limit(1, 0.5, ticks=5), False),
        (lambda ctx: ctx.limit(1, 90.0000001), False),
    ],
)
def test_o15__prices_off_the_grid_are_refused(act: Act, refused: bool) -> None:
    assert (ends(run({0: act}, off_tick="reject"))[0] == (1, "rejected", "off_tick")) == refused
    assert ends(run({0: act}))[0][1] != "rejected"


@pytest.mark.parametrize(
    ("q", "venue", "reason"),
    [
        (5.5, {"max_quantity": 5.0}, "above_maximum"),
        (-5.5, {"max_quantity": 5.0}, "above_maximum"),
        (5.0, {"max_quantity": 5.0}, ""),
        (0.5, {"min_quantity": 1.0}, "below_minimum"),
        (1.0, {"min_quantity": 1.0}, ""),
        (5.0, {"min_notional": 500.0}, ""),  # 10 lots of 2.0 at 25.0
        (4.5, {"min_notional": 500.0}, "below_minimum"),
    ],
)
def test_o15__quantities_beyond_the_bounds_are_refused(q: float, venue: dict[str, float], reason: str) -> None:
    outcome = run({0: lambda ctx: (ctx.order(q), ctx.bracket(q, stop_loss=0.1))}, grid=HALF_LOTS, **venue)
    rejected = [(n, "rejected", reason) for n in (1, 2)]
    assert ends(outcome) == rejected if reason else all(end[1] == "cancelled" for end in ends(outcome))


@pytest.mark.parametrize(
    ("act", "refused"),
    [
        (lambda ctx: ctx.limit(1, 98), True),
        (lambda ctx: ctx.limit(1, 99), False),
        (lambda ctx: ctx.stop(1, 99), False),
        (lambda ctx: ctx.stop(1, 98), True),
        (lambda ctx: ctx.market_if_touched(1, 98), True),
        (lambda ctx: ctx.stop_limit(1, 98, 99), False),  # by the limit
        (lambda ctx: ctx.limit_if_touched(1, 99, 98), True),
        (lambda ctx: ctx.trailing_stop(-1, ticks=50), False),  # at 50, judged at the close of 100
        (lambda ctx: ctx.trailing_stop_limit(-1, 10, ticks=50), False),
        (lambda ctx: ctx.bracket(1, entry=98), True),
        (lambda ctx: ctx.bracket(1, entry=99, stop=1), False),
        (lambda ctx: ctx.limit(1, 98, reduce_only=True), False),
    ],
)
def test_o15__a_notional_is_of_the_limit_the_trigger_or_the_close(act: Act, refused: bool) -> None:
    assert (ends(run({0: act}, min_notional=99.0))[0] == (1, "rejected", "below_minimum")) == refused


def test_o15__what_closes_the_position_is_never_too_small() -> None:
    plan = {
        0: lambda ctx: ctx.buy(3),
        1: lambda ctx: (ctx.limit(-1, 120), ctx.limit(-3, 120), ctx.limit(3, 90)),
    }
    outcome = run(plan, *flat(100), min_quantity=2.0)
    assert [reason for _, _, reason in ends(outcome)] == ["", "below_minimum", "end_of_data", "end_of_data"]
    outcome = run({0: lambda ctx: ctx.buy(4), 1: lambda ctx: ctx.sell(1)}, *flat(100), SWING, min_quantity=2.0)
    assert ends(outcome)[1] == (2, "rejected", "below_minimum")


def test_o15__a_close_out_is_not_asked() -> None:
    plan = {0: lambda ctx: ctx.buy(3)}
    outcome = run(plan, *flat(100), SWING, max_quantity=4.0, min_notional=250.0, close_out="last_close")
    assert prices(outcome) == [(1, 3, 100, OPEN), (2, -3, 104, RANGE)]


@pytest.mark.parametrize(
    ("venue", "position"),
    [
        ({"max_quantity": 4.0}, 4),
        ({"max_quantity": 4.7}, 4),
        ({"min_quantity": 6.0}, 0),
        ({"min_notional": 501.0}, 0),
        ({"min_notional": 500.0}, 5),
        ({"max_quantity": 0.5}, 0),
    ],
)
def test_s6__targets_fit_the_venue(venue: dict[str, float], position: int) -> None:
    for plan in ({0: lambda ctx: ctx.target(5)}, {0: lambda ctx: ctx.target_percent(0.5)}):
        outcome = run(plan, *flat(100), cash=1000.0, **venue)
        assert outcome.position == [0, position]
        assert len(outcome.orders) == (position > 0)


def test_s6__going_to_zero_is_no_less_than_a_minimum() -> None:
    plan = {0: lambda ctx: ctx.target(5), 1: lambda ctx: ctx.target(3), 2: lambda ctx: ctx.target(0)}
    assert run(plan, *flat(100, 3), min_quantity=4.0).position == [0, 5, 5, 0]


def test_s6__sizes_found_at_the_fill_are_not_asked() -> None:
    plan = {0: lambda ctx: ctx.target_percent(0.5)}
    assert run(plan, *flat(80), cash=1000.0, sizing="at_fill", max_quantity=4.0).position == [0, 6]


def replaced(make: Act, change: Act, *bars: Any, **choices: Any) -> tuple[list[Any], Any]:
    """The answers of `change` at bar 1 to an order made at bar 0, and the outcome."""
    answers: list[Any] = []
    outcome = run({0: make, 1: lambda ctx: answers.append(change(ctx))}, *flat(100), *bars, **choices)
    return answers, outcome


def test_o16__it_keeps_its_id_its_place_and_what_it_has_filled() -> None:
    plan = {
        0: lambda ctx: (ctx.limit(5, 101), ctx.limit(9, 101)),
        1: lambda ctx: ctx.replace(1, quantity=-7, price=102),
    }
    outcome = thin([9, 2, 99], plan, *flat(100), *flat(100), *flat(100))
    assert prices(outcome) == [(1, 2, 100, OPEN), (1, 5, 100, OPEN), (2, 9, 100, OPEN)]
    assert (order(outcome, 1)["lots"], order(outcome, 1)["t_submit"]) == (7, OPENS + HOUR)


@pytest.mark.parametrize(
    ("make", "change", "fill"),
    [
        (lambda ctx: ctx.limit(2, 50), lambda ctx: ctx.replace(1, price=95.5), (1, 2, 95, RANGE)),
        (lambda ctx: ctx.limit(-2, 150), lambda ctx: ctx.replace(1, price=104.5), (1, -2, 105, RANGE)),
        (lambda ctx: ctx.stop(2, 150), lambda ctx: ctx.replace(1, trigger=104.5), (1, 2, 105, RANGE)),
        (lambda ctx: ctx.stop(-2, 50), lambda ctx: ctx.replace(1, 3, trigger=95.5), (1, -3, 95, RANGE)),
        (lambda ctx: ctx.market_if_touched(2, 50), lambda ctx: ctx.replace(1, trigger=95.5), (1, 2, 95, RANGE)),
        (lambda ctx: ctx.limit_if_touched(-2, 150, 99), lambda ctx: ctx.replace(1, trigger=104.5), (1, -2, 105, RANGE)),
        (lambda ctx: ctx.stop_limit(2, 150, 99), lambda ctx: ctx.replace(1, None, 107, 106), (1, 2, 106, RANGE)),
    ],
)
def test_o16__prices_are_rounded_as_at_submission(make: Act, change: Act, fill: Any) -> None:
    answers, outcome = replaced(make, change, SWING)
    assert (answers, prices(outcome)) == ([1], [fill])


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda ctx: ctx.limit(2, 90), lambda ctx: ctx.replace(9, quantity=1)),
        (lambda ctx: ctx.limit(2, 90), lambda ctx: ctx.replace(0, quantity=1)),
        (lambda ctx: ctx.limit(2, 90), lambda ctx: ctx.replace(math.nan, quantity=1)),
        (lambda ctx: ctx.limit(2, 90), lambda ctx: ctx.replace(1, quantity=0.4)),
        (lambda ctx: ctx.limit(2, 90), lambda ctx: ctx.replace(1, quantity=math.nan, price=95)),
        (lambda ctx: ctx.limit(2, 90), lambda ctx: ctx.replace(1, price=0.0)),
        (lambda ctx: ctx.limit(2, 90), lambda ctx: ctx.replace(1, price=95, trigger=95)),
        (lambda ctx: ctx.stop(2, 110), lambda ctx: ctx.replace(1, price=95)),
        (lambda ctx: ctx.market_if_touched(2, 90), lambda ctx: ctx.replace(1, price=95)),
        (lambda ctx: ctx.trailing_stop(2, ticks=20), lambda ctx: ctx.replace(1, trigger=95)),
        (lambda ctx: ctx.trailing_stop_limit(2, 0.0, ticks=20), lambda ctx: ctx.replace(1, price=95)),
        (lambda ctx: ctx.bracket(2, stop=50), lambda ctx: ctx.replace(2, quantity=1)),
        (lambda ctx: ctx.limit(2, 90), lambda ctx: ctx.replace(1, quantity=11)),
        (lambda ctx: ctx.limit(4, 90), lambda ctx: ctx.replace(1, price=24)),
        (lambda ctx: ctx.limit(2, 90), lambda ctx: ctx.replace(1, price=95.5)),
        (lambda ctx: ctx.limit(2, 90, post_only=True), lambda ctx: ctx.replace(1, price=100)),
        (lambda ctx: ctx.stop_limit(2, 99, 95), lambda ctx: ctx.replace(1, trigger=98)),  # it has triggered
    ],
)
def test_o16__what_it_cannot_be_changes_nothing(make: Act, change: Act) -> None:
    venue: dict[str, Any] = {"off_tick": "reject", "max_quantity": 10.0, "min_notional": 100.0}
    answers, outcome = replaced(make, change, SWING, *flat(99), **venue)
    assert answers == [0]
    assert repr(outcome) == repr(run({0: make}, *flat(100), SWING, *flat(99), **venue))


def test_o16__an_order_made_by_a_target_is_not_changed() -> None:
    plan = {0: lambda ctx: ctx.target(5), 1: lambda ctx: ctx.replace(1, quantity=2)}
    assert thin([9, 1, 9], plan).position == [0, 1, 5]


def test_o16__no_more_than_what_has_filled_ends_it() -> None:
    venue = {"min_quantity": 4.0}
    for quantity in (2, 1):
        plan = {0: lambda ctx: ctx.buy(5), 1: lambda ctx, q=quantity: ctx.replace(1, quantity=q)}
        outcome = thin([9, 2, 9], plan, **venue)
        assert (ends(outcome), outcome.position) == ([(1, "cancelled", "user")], [0, 2, 2])
    plan = {0: lambda ctx: ctx.buy(5), 1: lambda ctx: ctx.replace(1, quantity=3)}
    assert thin([9, 2, 9], plan, **venue).position == [0, 2, 5]  # below the minimum: nothing happens
    assert thin([9, 2, 9], plan).position == [0, 2, 3]


def test_o16__an_entry_that_ends_so_ends_its_sleeping_exits() -> None:
    plan = {
        0: lambda ctx: ctx.sell(10),
        1: lambda ctx: ctx.bracket(15, stop=90),
        2: lambda ctx: ctx.replace(2, quantity=6),
    }
    outcome = thin([99, 99, 6, 9], plan)
    assert ends(outcome)[1:] == [(2, "cancelled", "user"), (3, "cancelled", "parent_ended")]


def test_o16__an_exit_takes_a_price_before_it_wakes_and_is_not_anchored_then() -> None:
    plan = {
        0: lambda ctx: ctx.bracket(1, entry=95, stop_loss=0.5, take_profit=0.5),
        1: lambda ctx: (ctx.replace(2, trigger=93), ctx.replace(3, price=107)),
    }
    outcome = run(plan, *flat(100), (100, 100, 94, 100), (100, 110, 97, 100))
    assert prices(outcome) == [(1, 1, 95, RANGE), (3, -1, 107, RANGE)]
    assert order(outcome, 2)["trigger"] == 93


def test_o16__a_day_order_keeps_its_session() -> None:
    plan = {0: lambda ctx: ctx.limit(1, 50, "DAY"), 1: lambda ctx: ctx.replace(1, price=60)}
    outcome = play(daily(*flat(100, 5), per_session=3), plan)
    assert order(outcome, 1)["t_end"] == DAY + OPENS


def test_o16__post_only_is_judged_anew() -> None:
    make = lambda ctx: ctx.limit(1, 50, post_only=True)  # noqa: E731
    answers, outcome = replaced(make, lambda ctx: ctx.replace(1, price=95), (95, 99, 94, 95))
    assert (answers, ends(outcome)) == ([1], [(1, "rejected", "post_only")])


def test_o16__a_trailing_stop_limit_that_triggered_takes_a_price() -> None:
    make = lambda ctx: ctx.trailing_stop_limit(-2, 0.0, ticks=10)  # noqa: E731
    answers: list[Any] = []
    plan = {0: make, 1: lambda ctx: answers.append(ctx.replace(1, price=82))}
    outcome = play(daily(*flat(100), *flat(80), (80, 85, 80, 80)), plan, Config())
    assert (answers, prices(outcome)) == ([1], [(1, -2, 82, RANGE)])  # triggered at 80, below its limit of 90
