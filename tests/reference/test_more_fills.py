"""Hand-worked fills of more orders: if touched, trailing distances, trailing stop-limits, display (F14, F15, P5)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference import ModelView, models
from tests.reference.extras import run
from tests.reference.worked import CENTS, Ohlc, daily, ends, flat, noting, order, play, prices, thin

OPEN, RANGE = "open", "intrabar"
SWING = (100, 110, 90, 104)
LEGS = ["high_first", "low_first"]


@pytest.mark.parametrize(
    ("lots", "trigger", "bar", "fill"),
    [
        (1, 95, (100, 101, 95, 97), (95, RANGE)),  # no tick beyond it, though limits are `through`
        (1, 95, (100, 101, 96, 97), None),
        (1, 95, (95, 101, 90, 97), (95, OPEN)),
        (1, 95, (93, 101, 90, 97), (93, OPEN)),
        (-1, 105, (100, 105, 99, 101), (105, RANGE)),
        (-1, 105, (100, 104, 99, 101), None),
        (-1, 105, (107, 110, 99, 101), (107, OPEN)),
    ],
)
@pytest.mark.parametrize("path", ["stop_first", *LEGS])
def test_f14__it_triggers_on_the_other_side_of_a_stop(
    lots: int, trigger: int, bar: Ohlc, fill: tuple[int, str] | None, path: str
) -> None:
    outcome = run({0: lambda ctx: ctx.market_if_touched(lots, trigger)}, bar, path=path)
    assert prices(outcome) == ([] if fill is None else [(1, lots, *fill)])


def test_q3__triggers_if_touched_are_rounded_as_limits() -> None:
    plan = {0: lambda ctx: (ctx.market_if_touched(1, 95.5), ctx.limit_if_touched(-1, 104.5, 100.5))}
    outcome = run(plan, *flat(100))
    assert [record["trigger"] for record in outcome.orders] == [95, 105]


@pytest.mark.parametrize("path", ["stop_first", *LEGS])
def test_f14__a_market_if_touched_slips_and_takes(path: str) -> None:
    seen: list[ModelView] = []
    plan = {0: lambda ctx: ctx.market_if_touched(1, 95)}
    outcome = run(plan, SWING, slippage=models.fraction_slippage(0.1), fee=noting(seen, 0.0), path=path)
    assert (prices(outcome), seen[-1].maker) == ([(1, 1, 105, RANGE)], 0.0)  # 104.5 up


def test_f14__stops_come_before_and_limits_go_by_id_with_it() -> None:
    plan = {0: lambda ctx: (ctx.limit(1, 95), ctx.market_if_touched(2, 95), ctx.limit(3, 95), ctx.stop(-4, 95))}
    assert [fill[0] for fill in prices(run(plan, SWING))] == [4, 1, 2, 3]


@pytest.mark.parametrize(
    ("limit", "bars", "fills"),
    [
        (95, [SWING], [(1, 1, 95, RANGE)]),
        (96, [SWING], [(1, 1, 95, RANGE)]),
        (94, [SWING, (100, 101, 93, 100)], [(1, 1, 94, RANGE)]),  # it rests from the next bar on
        (94, [SWING, (92, 101, 90, 100)], [(1, 1, 92, OPEN)]),
        (90, [SWING, (100, 101, 90, 100)], []),
        (94, [(93, 99, 90, 98)], [(1, 1, 93, OPEN)]),
        (92, [(93, 99, 90, 98), (98, 98, 91, 98)], [(1, 1, 92, RANGE)]),
    ],
)
def test_f14__a_limit_if_touched_fills_at_once_or_rests(limit: int, bars: list[Ohlc], fills: Any) -> None:
    plan = {0: lambda ctx: ctx.limit_if_touched(1, 95, limit)}
    assert prices(run(plan, *bars, slippage=models.fraction_slippage(0.1))) == fills


@pytest.mark.parametrize(
    ("path", "limit", "fills"),
    [
        ("low_first", 93, [(1, 1, 93, RANGE)]),  # touched at 95 on the way to 90, met at 92 on the same leg
        ("high_first", 93, [(1, 1, 93, RANGE)]),
        ("low_first", 90, []),
    ],
)
def test_f14__on_a_path_it_is_a_limit_once_it_has_been_touched(path: str, limit: int, fills: Any) -> None:
    assert prices(run({0: lambda ctx: ctx.limit_if_touched(1, 95, limit)}, SWING, path=path)) == fills


@pytest.mark.parametrize("stop_gap", ["trigger", "close"])
@pytest.mark.parametrize("market", ["same_close", "next_close"])
def test_f14__other_markets_and_gaps_do_not_concern_it(stop_gap: str, market: str) -> None:
    plan = {0: lambda ctx: (ctx.market_if_touched(1, 98), ctx.market_if_touched(1, 93))}
    outcome = run(plan, (96, 99, 90, 97), stop_gap=stop_gap, market=market)
    assert prices(outcome) == [(1, 1, 96, OPEN), (2, 1, 93, RANGE)]


@pytest.mark.parametrize(("most", "fills"), [(2, [(1, 2, 95, RANGE), (1, 3, 107, OPEN)]), (0, [(1, 5, 107, OPEN)])])
@pytest.mark.parametrize("path", ["stop_first", *LEGS])
def test_p3__what_was_touched_and_lives_is_a_market_order(most: int, fills: Any, path: str) -> None:
    plan = {0: lambda ctx: ctx.market_if_touched(5, 95)}
    outcome = thin([9, most, 9], plan, *flat(100), SWING, (107, 108, 106, 107), path=path)
    assert prices(outcome) == fills


def test_o2__an_ioc_is_touched_at_the_open_alone() -> None:
    plan = {0: lambda ctx: (ctx.market_if_touched(1, 95, tif="IOC"), ctx.market_if_touched(1, 100, tif="FOK"))}
    outcome = run(plan, SWING)
    assert (prices(outcome), ends(outcome)[0]) == ([(2, 1, 100, OPEN)], (1, "expired", "ioc"))


def test_f14__with_the_close_as_path_it_is_the_close_that_touches() -> None:
    plan = {0: lambda ctx: (ctx.market_if_touched(1, 95), ctx.market_if_touched(1, 104))}
    assert prices(run(plan, SWING, path="close", market="next_close")) == [(2, 1, 104, RANGE)]


@pytest.mark.parametrize(
    ("distance", "trigger"),
    [
        ({"trail": 0.055}, 9994),  # 5.5 ticks up
        ({"ticks": 5}, 9995),
        ({"fraction": 0.0125}, 9875),
        ({"bps": 125}, 9875),
        ({"bps": 0.5}, 9999),  # 9999.5 down
    ],
)
def test_f15__a_distance_is_a_price_ticks_or_a_share(distance: dict[str, float], trigger: int) -> None:
    plan = {0: lambda ctx: (ctx.trailing_stop(-1, **distance), ctx.trailing_stop_limit(-1, 0.0, **distance))}
    outcome = play(daily(*flat(10_000)), plan, grid=CENTS)
    assert [record["trigger"] for record in outcome.orders] == [trigger, trigger]


@pytest.mark.parametrize(
    ("offset", "bars", "fills"),
    [
        (0.0, [(100, 105, 80, 100)], [(1, -1, 90, RANGE)]),
        (5.0, [(100, 105, 80, 100)], [(1, -1, 90, RANGE)]),
        (0.0, [(85, 105, 80, 100), (85, 91, 84, 85)], [(1, -1, 90, RANGE)]),  # the limit of 90 rests, and is passed
        (0.0, [(85, 105, 80, 100), (85, 90, 84, 85)], []),
        (4.0, [(85, 105, 80, 100), (85, 87, 84, 85)], [(1, -1, 86, RANGE)]),
        (5.9, [(85, 105, 80, 100)], [(1, -1, 85, OPEN)]),  # 5 ticks down: the limit is 85
        (5.9, [(84, 105, 80, 100)], []),
        (500.0, [(2, 105, 1, 100)], [(1, -1, 2, OPEN)]),  # not below 1
    ],
)
def test_f15__a_trailing_stop_limit_has_its_limit_from_the_trigger_that_set_it_off(
    offset: float, bars: list[Ohlc], fills: Any
) -> None:
    plan = {0: lambda ctx: ctx.trailing_stop_limit(-1, offset, ticks=10)}
    assert prices(run(plan, *bars, slippage=models.fraction_slippage(0.1))) == fills


def test_f15__an_offset_is_rounded_down_but_not_to_nothing() -> None:
    plan = {0: lambda ctx: ctx.trailing_stop_limit(-1, 0.3, ticks=10)}
    assert prices(run(plan, (89, 95, 80, 88))) == [(1, -1, 89, OPEN)]


def test_f15__a_buy_has_its_limit_above_and_follows_the_low() -> None:
    plan = {0: lambda ctx: ctx.trailing_stop_limit(1, 2.0, ticks=10)}
    # the low of 80 moves it to 90; the open of 95 is beyond 92, which the last bar passes
    outcome = run(plan, (100, 105, 80, 85), (95, 99, 91, 95), (95, 95, 91, 95))
    assert [(fill["ticks"], fill["time"]) for fill in outcome.fills] == [(92, daily(*flat(100, 4)).known_at[3])]
    assert order(outcome, 1)["trigger"] == 90


@pytest.mark.parametrize(
    ("choices", "fills", "trigger"),
    [
        ({}, [], 110),  # checked at 90, then moved
        ({"trailing": "update_first"}, [(1, -1, 110, RANGE)], 110),
        ({"trailing": "update_first", "stop_gap": "close"}, [], 110),  # the close of 104 is below 110 - 2
        ({"path": "high_first"}, [(1, -1, 110, RANGE)], 110),
        ({"path": "low_first"}, [(1, -1, 110, RANGE)], 110),  # met on the way to the close
    ],
)
def test_f15__until_it_triggers_it_is_a_trailing_stop(choices: dict[str, str], fills: Any, trigger: int) -> None:
    plan = {0: lambda ctx: ctx.trailing_stop_limit(-1, 2.0, ticks=10)}
    outcome = run(plan, (105, 120, 95, 104), **choices)
    assert (prices(outcome), order(outcome, 1)["trigger"]) == (fills, trigger)


def test_f15__once_triggered_it_moves_no_more_and_goes_on_as_a_limit() -> None:
    plan = {0: lambda ctx: ctx.trailing_stop_limit(-5, 0.0, ticks=10)}
    for path in ("stop_first", "high_first"):
        outcome = thin([9, 2, 9], plan, *flat(100), (100, 100, 88, 95), (95, 150, 90, 95), path=path)
        assert prices(outcome) == [(1, -2, 90, RANGE), (1, -3, 95, OPEN)]
        assert order(outcome, 1)["trigger"] == 90


def test_f15__on_a_path_it_is_a_limit_from_its_trigger_on() -> None:
    # the open of 85 sets it off, below its limit of 90; on the way to 105 the price passes it at 91
    plan = {0: lambda ctx: ctx.trailing_stop_limit(-1, 0.0, ticks=10)}
    assert prices(run(plan, (85, 105, 80, 100), path="high_first")) == [(1, -1, 90, RANGE)]


def test_f12__what_triggered_fills_at_the_better_of_its_limit_and_where_the_price_is() -> None:
    # the stop brings the price to 94, and to 91, where the event of the order is too
    plan = {0: lambda ctx: (ctx.stop(-1, 94), ctx.limit_if_touched(1, 97, 95))}
    assert prices(run(plan, SWING, path="low_first")) == [(1, -1, 94, RANGE), (2, 1, 94, RANGE)]
    plan = {0: lambda ctx: (ctx.stop(1, 91), ctx.trailing_stop_limit(-1, 0.0, ticks=10))}
    fills = prices(run(plan, (85, 105, 80, 100), path="high_first"))
    assert fills == [(1, 1, 91, RANGE), (2, -1, 91, RANGE)]


def display(shows: float, *ohlc: Ohlc, lots: int = 5, price: float = 95, **choices: Any) -> list[Any]:
    outcome = run({0: lambda ctx: ctx.limit(lots, price, display=shows)}, *ohlc, **choices)
    return prices(outcome)


AT = (100, 101, 94, 100)  # no further than a limit of 95 asks, which is to be passed by a tick
BEYOND = (100, 101, 93, 100)


def test_p5__at_the_limit_what_is_shown_fills_and_beyond_it_all() -> None:
    assert display(2, AT, AT, AT) == [(1, 2, 95, RANGE), (1, 2, 95, RANGE), (1, 1, 95, RANGE)]
    assert display(2.9, AT, BEYOND) == [(1, 2, 95, RANGE), (1, 3, 95, RANGE)]
    assert display(7, AT) == [(1, 5, 95, RANGE)]
    assert display(2, (100, 101, 95, 100), (100, 101, 94, 100), limit="touch") == [(1, 2, 95, RANGE), (1, 3, 95, RANGE)]


def test_p5__a_sale_looks_at_the_high() -> None:
    up = (100, 106, 99, 100)
    assert display(2, up, (100, 107, 99, 100), lots=-5, price=105) == [(1, -2, 105, RANGE), (1, -3, 105, RANGE)]


def test_p5__the_open_may_be_the_price_at_which_it_queues() -> None:
    # what fills at the open takes no part in the range
    still = (94, 99, 94, 97)
    assert display(2, still, still) == [(1, 2, 94, OPEN), (1, 2, 94, OPEN)]
    assert display(2, (94, 99, 93, 97)) == [(1, 5, 94, OPEN)]


@pytest.mark.parametrize("path", LEGS)
def test_p5__on_a_path_it_has_one_event_at_its_price(path: str) -> None:
    assert display(2, AT, BEYOND, path=path) == [(1, 2, 95, RANGE), (1, 3, 95, RANGE)]


def test_p5__with_the_close_as_path_the_range_is_the_close() -> None:
    bars = [(100, 101, 80, 94), (100, 101, 80, 93)]
    assert display(2, *bars, path="close", market="next_close") == [(1, 2, 94, RANGE), (1, 3, 93, RANGE)]


def test_p5__volume_cuts_too_and_without_any_nothing_is_done() -> None:
    plan = {0: lambda ctx: (ctx.limit(5, 95, display=3), ctx.limit(9, 95))}
    fills = prices(thin([9, 2, 0, 6, 9], plan, *flat(100), AT, AT, AT, BEYOND))
    assert fills == [(1, 2, 95, RANGE), (1, 3, 95, RANGE), (2, 3, 95, RANGE), (2, 6, 95, RANGE)]


def test_p5__reduce_only_comes_first() -> None:
    plan = {0: lambda ctx: (ctx.buy(3), ctx.limit(-9, 105, display=2, reduce_only=True))}
    up = (100, 106, 99, 100)
    outcome = run(plan, up, up)
    assert prices(outcome)[1:] == [(2, -2, 105, RANGE), (2, -1, 105, RANGE)]
    assert ends(outcome)[1] == (2, "filled", "")


def test_p5__cash_that_cuts_what_is_shown_ends_the_order() -> None:
    outcome = run({0: lambda ctx: ctx.limit(9, 95, display=4)}, AT, AT, cash=300.0)
    assert (prices(outcome), ends(outcome)) == ([(1, 3, 95, RANGE)], [(1, "cancelled", "cut_cash")])
