"""Hand-worked partial fills of brackets, groups and targets (P4, S1, S5)."""

from __future__ import annotations

import pytest

from tests.reference import ModelView
from tests.reference.worked import daily, ends, flat, noting, order, prices, thin

OPEN, RANGE = "open", "intrabar"
SWING = (100, 110, 90, 100)


def test_p4__exits_grow_with_the_fills_of_their_entry_and_keep_their_prices() -> None:
    lots: list[int] = []
    plan = {0: lambda ctx: ctx.bracket(5, stop_loss=0.1, take_profit=0.2)}
    bars = [*flat(100, 2), *flat(110), (110, 125, 110, 110)]
    for end in (2, 3, 4):
        outcome = thin([9, 3, 2, 9], plan, *bars, end=end)
        lots.append(order(outcome, 2)["lots"])
        assert (order(outcome, 2)["trigger"], order(outcome, 3)["lots"]) == (90, lots[-1])
    assert lots == [-3, -5, -5]
    assert prices(outcome) == [(1, 3, 100, OPEN), (1, 2, 110, OPEN), (3, -5, 120, RANGE)]
    assert ends(outcome) == [(1, "filled", ""), (2, "cancelled", "oco"), (3, "filled", "")]


@pytest.mark.parametrize("path", ["stop_first", "high_first"])
@pytest.mark.parametrize(
    ("most", "fills"),
    [
        (9, [(2, -3, 95, OPEN)]),
        (2, [(2, -2, 95, OPEN), (2, -1, 80, OPEN)]),
        (1, [(2, -1, 95, OPEN), (2, -2, 80, OPEN)]),
    ],
)
def test_p3__a_stop_woken_in_a_bar_without_volume_closes_at_the_next_open(
    path: str, most: int, fills: list[tuple[int, int, int, str]]
) -> None:
    # the entry takes the 3 lots of its first bar; its stop triggers there without a fill, which ends the entry
    plan = {0: lambda ctx: ctx.bracket(5, stop=90, limit=500)}
    bars = [*flat(100), (100, 100, 85, 100), (95, 96, 94, 95), *flat(80)]
    outcome = thin([9, 3, most, 9], plan, *bars, path=path)
    assert prices(outcome) == [(1, 3, 100, OPEN), *fills]
    assert outcome.position[-1] == 0


def test_f7__an_entry_by_limit_leaves_its_stop_the_rest_of_the_volume() -> None:
    plan = {0: lambda ctx: ctx.bracket(5, entry=95, stop=92)}
    outcome = thin([9, 7, 9], plan, *flat(100), (100, 100, 85, 100), (97, 98, 96, 97))
    assert prices(outcome) == [(1, 5, 95, RANGE), (2, -2, 92, RANGE), (2, -3, 97, OPEN)]


@pytest.mark.parametrize(("most", "fills"), [(2, [(2, -2, 90, RANGE), (2, -1, 99, OPEN)]), (9, [(2, -3, 90, RANGE)])])
def test_p4__the_fill_of_an_exit_ends_what_is_left_of_its_entry(
    most: int, fills: list[tuple[int, int, int, str]]
) -> None:
    plan = {0: lambda ctx: ctx.bracket(5, entry=95, stop=90, limit=200)}
    bars = [*flat(100), (100, 100, 92, 95), (96, 96, 80, 85), (99, 99, 80, 85)]
    outcome = thin([9, 3, most, 9], plan, *bars)
    assert prices(outcome) == [(1, 3, 95, RANGE), *fills]
    assert ends(outcome) == [(1, "cancelled", "position_closed"), (2, "filled", ""), (3, "cancelled", "oco")]
    assert order(outcome, 1)["t_end"] == daily(*bars).known_at[2]
    assert (order(outcome, 1)["filled"], outcome.position[-1]) == (3, 0)


def test_p4__the_exits_of_a_bracket_end_each_other_only_when_one_is_complete() -> None:
    plan = {0: lambda ctx: ctx.bracket(5, stop=90, limit=120)}
    bars = [*flat(100, 2), (100, 130, 100, 100), (100, 100, 85, 90), (95, 130, 95, 95)]
    outcome = thin([9, 5, 2, 2, 9], plan, *bars)
    # the target sells 2, then the stop 2, and as a market order the one that remains
    assert prices(outcome)[1:] == [(3, -2, 120, RANGE), (2, -2, 90, RANGE), (2, -1, 95, OPEN)]
    assert ends(outcome) == [(1, "filled", ""), (2, "filled", ""), (3, "cancelled", "oco")]
    assert [(record["lots"], record["filled"]) for record in outcome.orders] == [(5, 5), (-5, -3), (-5, -2)]
    assert order(outcome, 3)["t_end"] == daily(*bars).open_at[4]


def test_p4__an_exit_cancelled_after_a_fill_leaves_the_other() -> None:
    plan = {0: lambda ctx: ctx.bracket(5, stop=90, limit=120), 2: lambda ctx: ctx.cancel(3)}
    bars = [*flat(100, 2), (100, 130, 100, 100), (100, 100, 85, 90)]
    outcome = thin([9, 5, 2, 9], plan, *bars)
    assert prices(outcome)[1:] == [(3, -2, 120, RANGE), (2, -3, 90, RANGE)]
    assert ends(outcome)[1:] == [(2, "filled", ""), (3, "cancelled", "user")]


def test_p4__the_first_fill_of_an_entry_ends_the_other_of_its_group() -> None:
    plan = {0: lambda ctx: ctx.oco(ctx.limit(5, 95), ctx.bracket(5, entry=70, stop=60))}
    bars = [*flat(100), (100, 100, 90, 100), (100, 100, 60, 65)]
    outcome = thin([9, 2, 9], plan, *bars)
    assert prices(outcome) == [(1, 2, 95, RANGE), (1, 3, 95, RANGE)]
    assert ends(outcome) == [(1, "filled", ""), (2, "cancelled", "oco"), (3, "cancelled", "parent_ended")]
    assert {record["t_end"] for record in outcome.orders[1:]} == {daily(*bars).known_at[1]}


def test_p4__a_group_made_with_a_remainder_ends_at_its_next_fill() -> None:
    plan = {0: lambda ctx: ctx.buy(5), 1: lambda ctx: ctx.oco(1, ctx.limit(1, 50))}
    outcome = thin([9, 2, 2, 9], plan)
    assert ends(outcome) == [(1, "filled", ""), (2, "cancelled", "oco")]
    assert order(outcome, 2)["t_end"] == daily(*flat(100, 3)).open_at[2]


def test_o7__the_exits_of_a_reversal_wake_with_the_fill_that_crosses_zero() -> None:
    plan = {0: lambda ctx: ctx.sell(10), 1: lambda ctx: ctx.bracket(15, stop=90)}
    outcome = thin([99, 99, 12, 9, 9], plan, *flat(100, 4), (100, 100, 85, 100))
    assert outcome.position == [0, -10, 2, 5, 0]
    assert order(outcome, 3)["lots"] == -5


def test_p4__the_exits_of_a_reversal_sleep_through_a_fill_that_only_closes() -> None:
    plan = {0: lambda ctx: ctx.sell(10), 1: lambda ctx: ctx.bracket(15, stop=90)}
    outcome = thin([99, 99, 6, 9, 9], plan, *flat(100, 4), (100, 100, 85, 100))
    assert outcome.position == [0, -10, -4, 5, 0]
    assert ends(outcome)[1:] == [(2, "filled", ""), (3, "filled", "")]


def test_p4__a_target_that_grows_waits_for_the_next_bar_unless_a_path_says_when() -> None:
    plan = {0: lambda ctx: ctx.bracket(100, entry=99, limit=110)}
    bars = [*flat(100), (100, 100, 95, 100), *flat(100), (100, 111, 96, 100), (100, 112, 99, 99)]
    for path, held in (("stop_first", [0, 50, 50, 100, 0]), ("low_first", [0, 50, 50, 0, 0])):
        assert thin([999, 50, 0, 999, 999], plan, *bars, path=path).position == held


def test_o8__sleeping_exits_end_with_what_is_left_of_their_entry() -> None:
    plan = {0: lambda ctx: ctx.sell(10), 1: lambda ctx: ctx.bracket(15, stop=90), 2: lambda ctx: ctx.cancel(2)}
    outcome = thin([99, 99, 6, 9, 9], plan, *flat(100, 4), (100, 100, 85, 100))
    assert outcome.position == [0, -10, -4, -4, -4]
    assert ends(outcome)[1:] == [(2, "cancelled", "user"), (3, "cancelled", "parent_ended")]


def test_o7__what_is_left_of_an_entry_goes_on_when_others_closed_the_position() -> None:
    # the sale closes what the entry has bought and ends the exit; the entry buys its rest without one
    plan = {0: lambda ctx: ctx.bracket(5, entry=95, stop=80), 1: lambda ctx: ctx.sell(3)}
    outcome = thin([9, 3, 3, 9], plan, *flat(100), *[(100, 100, 90, 100)] * 3)
    assert outcome.position == [0, 3, 0, 2]
    assert ends(outcome) == [(1, "filled", ""), (2, "cancelled", "position_closed"), (4, "filled", "")]


def test_a4__an_exit_closes_no_more_than_is_held() -> None:
    # 3 of the 5 lots are sold by hand; the stop wants the 2 that are held and has volume for one
    plan = {0: lambda ctx: ctx.bracket(5, stop=90), 1: lambda ctx: ctx.sell(3)}
    outcome = thin([9, 5, 4, 9], plan, *flat(100, 2), (100, 100, 85, 100), *flat(101))
    assert prices(outcome)[1:] == [(4, -3, 100, OPEN), (2, -1, 90, RANGE), (2, -1, 101, OPEN)]
    assert (order(outcome, 2)["lots"], order(outcome, 2)["filled"], order(outcome, 2)["status"]) == (-5, -2, "filled")


def test_o8__an_entry_cancelled_after_a_fill_leaves_its_exits() -> None:
    plan = {0: lambda ctx: ctx.bracket(5, stop=90, limit=120), 1: lambda ctx: ctx.cancel(1)}
    outcome = thin([9, 3, 9], plan, *flat(100, 2), (100, 100, 85, 100))
    assert ends(outcome) == [(1, "cancelled", "user"), (2, "filled", ""), (3, "cancelled", "oco")]
    assert outcome.position == [0, 3, 0]


@pytest.mark.parametrize(
    ("low", "opens", "fills"),
    [
        (90, 99, []),  # the stop at 85 is not met, and the way to 110 finds no volume for the target
        (80, 94, [(2, -3, 94, OPEN)]),  # the stop triggers, with nothing left, and ends the entry
    ],
)
def test_f12__exits_woken_on_a_path_find_no_volume(
    low: int, opens: int, fills: list[tuple[int, int, int, str]]
) -> None:
    plan = {0: lambda ctx: ctx.bracket(5, entry=95, stop=85, limit=105)}
    outcome = thin([9, 3, 9], plan, *flat(100), (100, 110, low, 100), *flat(opens), path="low_first")
    assert prices(outcome) == [(1, 3, 95, RANGE), *fills]


@pytest.mark.parametrize(
    ("path", "exit_"),
    [
        ("high_first", [(3, -2, 105, RANGE), (2, -1, 99, OPEN)]),
        ("low_first", [(2, -2, 95, RANGE), (2, -1, 99, OPEN)]),
    ],
)
def test_f12__an_exit_woken_on_a_path_fills_in_part(path: str, exit_: list[tuple[int, int, int, str]]) -> None:
    # the entry takes 3 of the 5 lots; after the target the stop triggers at 95, with nothing left
    plan = {0: lambda ctx: ctx.bracket(3, stop=95, limit=105)}
    outcome = thin([9, 5, 9], plan, *flat(100), SWING, (99, 110, 97, 99), path=path)
    assert prices(outcome) == [(1, 3, 100, OPEN), *exit_]


def test_s1__what_is_left_of_a_target_is_replaced_by_the_next() -> None:
    plan = {0: lambda ctx: ctx.target_percent(0.5), 1: lambda ctx: ctx.target_percent(0.5)}
    outcome = thin([9, 2, 9], plan, cash=1000.0)
    assert ends(outcome) == [(1, "cancelled", "replaced"), (2, "filled", "")]
    assert [(record["lots"], record["filled"]) for record in outcome.orders] == [(5, 2), (3, 3)]
    assert outcome.position == [0, 2, 5]
    kept = thin([9, 2, 9], {0: plan[0]}, cash=1000.0)
    assert (kept.position, ends(kept)) == ([0, 2, 5], [(1, "filled", "")])


@pytest.mark.parametrize(
    ("most", "asked", "position"),
    [
        ([99, 4, 99], [4.0, 8.0], [0, 4, 12]),
        ([99, 11, 99], [10.0, 1.0], [0, 11, 12]),
        ([99, 99, 99], [10.0], [0, 12, 12]),
        ([99, 0, 99], [10.0], [0, 0, 20]),
    ],
)
def test_s5__the_size_is_found_at_the_first_attempt_with_volume(
    most: list[int], asked: list[float], position: list[int]
) -> None:
    # 10 lots at the decision; 1000 buys 12 at 80 and 20 at 50; the rest of an order is not sized again
    slips: list[ModelView] = []
    plan = {0: lambda ctx: ctx.target_percent(1.0)}
    bars = [*flat(100), *flat(80), *flat(50)]
    outcome = thin(most, plan, *bars, cash=1000.0, sizing="at_fill", slippage=noting(slips, 0.0))
    assert [m.quantity for m in slips if m.time != daily(*bars).known_at[0]] == asked
    assert (outcome.position, order(outcome, 1)["lots"]) == (position, position[-1])


def test_s5__cash_may_cut_the_remainder_of_a_sized_order() -> None:
    # 12 lots were found at 80; at 200 the worth of 680 + 4 * 200 carries 7
    plan = {0: lambda ctx: ctx.target_percent(1.0)}
    outcome = thin([99, 4, 99], plan, *flat(100), *flat(80), *flat(200), cash=1000.0, sizing="at_fill")
    assert (outcome.position, ends(outcome)) == ([0, 4, 7], [(1, "cancelled", "cut_cash")])
    assert (order(outcome, 1)["lots"], order(outcome, 1)["filled"]) == (12, 7)
