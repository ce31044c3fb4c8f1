"""Hand-worked lives of orders (O)."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.reference import Config, View, simulate
from tests.reference.worked import ONES, daily, ends, flat, gambler, noise, order, play, prices


def test_o1__day_lives_through_the_session_of_its_first_bar() -> None:
    bars = daily(*flat(100, 4), (100, 100, 80, 90), per_session=2)
    plan = {0: lambda ctx: ctx.limit(1, 90, tif="DAY"), 1: lambda ctx: ctx.limit(1, 90, tif="DAY")}
    outcome = play(bars, plan)
    assert outcome.fills == []
    assert [(record["status"], record["reason"], record["t_end"]) for record in outcome.orders] == [
        ("expired", "day", bars.open_at[2]),
        ("expired", "day", bars.open_at[4]),
    ]


def test_o1__gtc_has_no_end_of_its_own() -> None:
    outcome = play(daily(*flat(100, 9), (100, 100, 80, 90)), {0: lambda ctx: ctx.limit(1, 90)})
    assert prices(outcome) == [(1, 1, 90, "intrabar")]


def test_o2__ioc_sees_the_open_alone() -> None:
    bars = daily(*flat(100), (105, 120, 80, 100), *flat(80))
    plan = {
        0: lambda ctx: (
            ctx.limit(1, 100, tif="IOC"),
            ctx.limit(1, 106, tif="IOC"),
            ctx.stop(1, 110, tif="IOC"),
            ctx.stop(1, 105, tif="IOC"),
            ctx.stop_limit(1, 104, 103, tif="IOC"),
        )
    }
    outcome = play(bars, plan)
    assert prices(outcome) == [(2, 1, 105, "open"), (4, 1, 105, "open")]
    assert [record["reason"] for record in outcome.orders] == ["ioc", "", "ioc", "", "ioc"]


def test_o3__what_is_left_of_ioc_ends_after_its_first_bar() -> None:
    bars = daily(*flat(100), (105, 120, 80, 100), *flat(80))
    outcome = play(bars, {0: lambda ctx: ctx.bracket(1, stop_loss=0.1, entry=100, tif="IOC")})
    assert ends(outcome) == [(1, "expired", "ioc"), (2, "cancelled", "parent_ended")]
    assert {record["t_end"] for record in outcome.orders} == {bars.known_at[1]}


def test_o4__ids_count_submissions_and_a_bracket_takes_three() -> None:
    ids: list[int] = []
    plan = {
        0: lambda ctx: ids.extend(
            [
                ctx.bracket(1, stop_loss=0.1, take_profit=0.1),
                ctx.bracket(1, take_profit=0.1),
                ctx.buy(0.0),
                ctx.bracket(math.nan, stop_loss=0.1),
                ctx.buy(1),
            ]
        )
    }
    outcome = play(daily(*flat(100)), plan)
    assert ids == [1, 4, 7, 8, 9]
    assert [(record["id"], record["parent"]) for record in outcome.orders] == [
        (1, 0),
        (2, 1),
        (3, 1),
        (4, 0),
        (6, 4),
        (7, 0),
        (8, 0),
        (9, 0),
    ]


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda ctx: ctx.buy(0.4), "below_lot"),
        (lambda ctx: ctx.buy(math.inf), "invalid"),
        (lambda ctx: ctx.buy(2.0**53), "invalid"),
        (lambda ctx: ctx.target(-(2.0**53)), "invalid"),
        (lambda ctx: ctx.limit(1, 2.0**53), "invalid"),
        (lambda ctx: ctx.limit(1, 0.0), "invalid"),
        (lambda ctx: ctx.limit(1, math.nan), "invalid"),
        (lambda ctx: ctx.stop(1, -1.0), "invalid"),
        (lambda ctx: ctx.stop_limit(1, 100.0, math.inf), "invalid"),
        (lambda ctx: ctx.trailing_stop(1, trail=0.0), "invalid"),
        (lambda ctx: ctx.trailing_stop(1, fraction=1.0), "invalid"),
        (lambda ctx: ctx.trailing_stop(1, fraction=math.nan), "invalid"),
        (lambda ctx: ctx.bracket(1, stop_loss=0.1, take_profit=0.0), "invalid"),
        (lambda ctx: ctx.bracket(1, take_profit=math.inf), "invalid"),
        (lambda ctx: ctx.bracket(1, take_profit=-0.5), "invalid"),
        (lambda ctx: ctx.bracket(1, stop_loss=1.0), "invalid"),
        (lambda ctx: ctx.bracket(-1, take_profit=1.0), "invalid"),
        (lambda ctx: ctx.bracket(-0.2, take_profit=1.0), "invalid"),
        (lambda ctx: ctx.bracket(0.2, take_profit=1.0), "below_lot"),
        (lambda ctx: ctx.bracket(0.2, stop_loss=0.1), "below_lot"),
        (lambda ctx: ctx.limit(0.2, 0.0), "invalid"),
        (lambda ctx: ctx.target_percent(math.nan), "invalid"),
        (lambda ctx: ctx.target(-math.inf), "invalid"),
    ],
)
def test_o5__what_cannot_be_an_order_is_rejected(act: Callable[[View], object], reason: str) -> None:
    outcome = play(daily(*flat(100, 3)), {0: act})
    assert ends(outcome) == [(1, "rejected", reason)]
    assert outcome.fills == []


def test_o5__an_unknown_tif_is_an_error() -> None:
    with pytest.raises(ValueError, match="wanted one of GTC, DAY, IOC, FOK"):
        play(daily(*flat(100)), {0: lambda ctx: ctx.buy(1, tif="GTD")})


def test_o6__an_order_ends_at_the_time_of_what_ended_it() -> None:
    bars = daily(*flat(100, 2), (100, 120, 80, 100), *flat(100))
    plan = {
        0: lambda ctx: (ctx.bracket(5, stop=90, limit=130), ctx.stop(1, 500), ctx.buy(10_000_000)),
        1: lambda ctx: (ctx.oco(ctx.buy(1), ctx.limit(1, 50)), ctx.oco(ctx.limit(1, 40), ctx.stop(1, 110))),
        2: lambda ctx: (ctx.limit(1, 30), ctx.cancel(10)),
    }
    outcome = play(bars, plan, Config(cash_rule="reject"))
    ended = {record["id"]: (record["reason"], record["t_end"]) for record in outcome.orders}
    assert ended == {
        1: ("", bars.open_at[1]),
        2: ("", bars.known_at[2]),
        3: ("oco", bars.known_at[2]),
        4: ("end_of_data", bars.known_at[3]),
        5: ("insufficient_cash", bars.open_at[1]),
        6: ("", bars.open_at[2]),
        7: ("oco", bars.open_at[2]),
        8: ("oco", bars.known_at[2]),
        9: ("", bars.known_at[2]),
        10: ("user", bars.known_at[2]),
    }


@pytest.mark.parametrize("seed", range(8))
def test_o6__every_order_ends_once_for_a_known_reason(seed: int) -> None:
    reasons = {
        "filled": {""},
        "cancelled": "user replaced oco parent_ended position_closed cut_cash reduce_only ruin end_of_data".split(),
        "rejected": {"below_lot", "invalid", "insufficient_cash"},
        "expired": {"day", "ioc", "fok"},
    }
    outcome = simulate(noise(seed, 200), ONES, Config(cash=1000.0), gambler(seed))
    assert len(outcome.orders) > 100
    for record in outcome.orders:
        assert record["reason"] in reasons[record["status"]]
        assert record["filled"] == sum(fill["lots"] for fill in outcome.fills if fill["order"] == record["id"])


def test_o7__a_fill_ends_the_rest_of_its_group() -> None:
    bars = daily(*flat(100), (100, 110, 90, 100))
    outcome = play(bars, {0: lambda ctx: ctx.oco(ctx.stop(1, 105), ctx.limit(1, 95))})
    assert ends(outcome) == [(1, "filled", ""), (2, "cancelled", "oco")]
    assert [record["group"] for record in outcome.orders] == [1, 1]


def test_o7__exits_end_with_the_position_and_wake_with_the_entry() -> None:
    bars = daily(*flat(100, 3), (100, 120, 100, 100))
    plan = {0: lambda ctx: ctx.bracket(5, stop=90, limit=110), 1: lambda ctx: ctx.order(-8)}
    outcome = play(bars, plan)
    assert ends(outcome)[1:3] == [(2, "cancelled", "position_closed"), (3, "cancelled", "position_closed")]
    assert outcome.position == [0, 5, -3, -3]


def test_o7__exits_end_when_the_position_returns_to_zero() -> None:
    plan = {0: lambda ctx: ctx.bracket(5, stop=90, limit=110), 1: lambda ctx: ctx.sell(5)}
    outcome = play(daily(*flat(100, 4)), plan)
    assert ends(outcome)[1:3] == [(2, "cancelled", "position_closed"), (3, "cancelled", "position_closed")]


def test_o7__the_exits_of_a_bracket_end_each_other() -> None:
    # two brackets: the stop of the first leaves the second's position to the second's exits
    bars = daily(*flat(100, 3), (100, 100, 94, 96), (96, 120, 96, 100))
    plan = {0: lambda ctx: ctx.bracket(5, stop=95, limit=105), 1: lambda ctx: ctx.bracket(5, stop=50, limit=110)}
    outcome = play(bars, plan)
    assert prices(outcome)[2:] == [(2, -5, 95, "intrabar"), (6, -5, 110, "intrabar")]
    assert [record["group"] for record in outcome.orders] == [0, 2, 2, 0, 5, 5]


def test_o7__exits_have_the_size_the_entry_filled() -> None:
    bars = daily(*flat(100, 2), (100, 100, 85, 100))
    outcome = play(bars, {0: lambda ctx: ctx.bracket(15, stop=90)}, Config(cash=1000.0))
    assert [(record["lots"], record["filled"], record["reason"]) for record in outcome.orders] == [
        (15, 10, "cut_cash"),
        (-10, -10, ""),
    ]


def test_o7__exits_sleep_until_the_entry_fills() -> None:
    bars = daily(*flat(100), (100, 120, 96, 100), (100, 100, 80, 92), (92, 120, 92, 100))
    outcome = play(bars, {0: lambda ctx: ctx.bracket(1, entry=95, limit=110)})
    assert prices(outcome) == [(1, 1, 95, "intrabar"), (3, -1, 110, "intrabar")]
    assert [fill["time"] for fill in outcome.fills] == [bars.known_at[2], bars.known_at[3]]


def test_o8__children_end_with_an_entry_that_filled_nothing() -> None:
    plan = {0: lambda ctx: ctx.bracket(1, entry=50, stop=40, limit=110), 1: lambda ctx: ctx.cancel(1)}
    outcome = play(daily(*flat(100, 3)), plan)
    assert ends(outcome) == [
        (1, "cancelled", "user"),
        (2, "cancelled", "parent_ended"),
        (3, "cancelled", "parent_ended"),
    ]


def test_o9__cancelling_ends_orders_at_the_decision() -> None:
    bars = daily(*flat(100, 2), (100, 120, 80, 100))
    plan = {
        0: lambda ctx: (ctx.limit(1, 90), ctx.limit(1, 91), ctx.limit(1, 92)),
        1: lambda ctx: (ctx.cancel(2), ctx.cancel(2), ctx.cancel(99), ctx.cancel_all(), ctx.limit(1, 93)),
    }
    outcome = play(bars, plan)
    assert ends(outcome)[:3] == [(id_, "cancelled", "user") for id_ in (1, 2, 3)]
    assert {record["t_end"] for record in outcome.orders[:3]} == {bars.known_at[1]}
    assert prices(outcome) == [(4, 1, 93, "intrabar")]


def test_o9__no_order_has_the_id_zero() -> None:
    plan = {0: lambda ctx: ctx.limit(1, 90), 1: lambda ctx: (ctx.cancel(0), ctx.cancel(math.nan), ctx.cancel(0.5))}
    assert ends(play(daily(*flat(100, 3)), plan)) == [(1, "cancelled", "end_of_data")]


def test_o9__a_group_needs_two_live_orders() -> None:
    plan = {0: lambda ctx: (ctx.limit(1, 90), ctx.oco(1, 1), ctx.oco(1, 9), ctx.buy(math.nan), ctx.oco(2, 1))}
    assert [record["group"] for record in play(daily(*flat(100)), plan).orders] == [0, 0]


def test_o10__live_orders_end_with_the_data() -> None:
    bars = daily(*flat(100, 2))
    outcome = play(bars, {1: lambda ctx: (ctx.buy(1), ctx.limit(1, 50))})
    assert ends(outcome) == [(1, "cancelled", "end_of_data"), (2, "cancelled", "end_of_data")]
    assert order(outcome, 1)["t_end"] == bars.known_at[1]


def test_o3__a_bracket_may_be_immediate_but_its_exits_last() -> None:
    bars = daily(*flat(100, 2), (100, 112, 100, 105))
    outcome = play(bars, {0: lambda ctx: ctx.bracket(1, stop=90, limit=110, tif="IOC")})
    assert prices(outcome) == [(1, 1, 100, "open"), (3, -1, 110, "intrabar")]


def test_o5__a_long_may_hope_for_more_than_double() -> None:
    bars = daily(*flat(100, 2), (100, 250, 100, 240), (240, 251, 240, 240))
    outcome = play(bars, {0: lambda ctx: ctx.bracket(1, take_profit=1.5)})
    assert [(fill["ticks"], fill["time"]) for fill in outcome.fills[1:]] == [(250, bars.known_at[3])]


@pytest.mark.parametrize("lots", [10, 6])
def test_o7__an_entry_that_only_closes_wakes_no_exits(lots: int) -> None:
    bars = daily(*flat(100, 3), (100, 120, 80, 100))
    plan = {0: lambda ctx: ctx.sell(10), 1: lambda ctx: ctx.bracket(lots, stop=90, limit=110)}
    outcome = play(bars, plan)
    assert outcome.position == [0, -10, lots - 10, lots - 10]
    assert ends(outcome)[1:] == [
        (2, "filled", ""),
        (3, "cancelled", "parent_ended"),
        (4, "cancelled", "parent_ended"),
    ]
    assert {record["t_end"] for record in outcome.orders[1:]} == {bars.open_at[2]}


def test_o7__the_exits_of_a_reversal_close_what_it_opened() -> None:
    bars = daily(*flat(100, 3), (100, 100, 85, 100))
    plan = {0: lambda ctx: ctx.bracket(-10, stop=150), 1: lambda ctx: ctx.bracket(15, stop=90, limit=110)}
    outcome = play(bars, plan)
    assert ends(outcome)[1] == (2, "cancelled", "position_closed")
    assert [(record["lots"], record["filled"]) for record in outcome.orders[3:]] == [(-5, -5), (-5, 0)]
    assert outcome.position == [0, -10, 5, 0]


def test_o7__exits_of_an_increase_have_its_own_size() -> None:
    bars = daily(*flat(100, 3), (100, 100, 85, 100))
    plan = {0: lambda ctx: ctx.buy(10), 1: lambda ctx: ctx.bracket(5, stop=90)}
    outcome = play(bars, plan)
    assert (outcome.position, order(outcome, 3)["filled"]) == ([0, 10, 15, 10], -5)
