"""Hand-worked lives of more orders: closes, GTD, AT_OPEN, AT_CLOSE, reduce_only, post_only (O5, O11-O14)."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.reference import View, models
from tests.reference.extras import run, with_closes
from tests.reference.worked import CENTS, DAY, HOUR, Ohlc, daily, ends, flat, order, play, prices, thin

OPEN, RANGE = "open", "intrabar"
SWING = (100, 110, 90, 104)
OPENS = 14 * HOUR  # of the first bar of a day


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda ctx: ctx.buy(1, tif="GTD", expires=0), "invalid"),
        (lambda ctx: ctx.buy(1, tif="GTD", expires=-1), "invalid"),
        (lambda ctx: ctx.buy(0.2, tif="GTD", expires=9_200_000_000_000_000_000), "invalid"),
        (lambda ctx: ctx.limit(1, 90, display=0.0), "invalid"),
        (lambda ctx: ctx.limit(1, 90, display=-1.0), "invalid"),
        (lambda ctx: ctx.limit(1, 90, display=math.nan), "invalid"),
        (lambda ctx: ctx.limit(1, 90, display=2.0**53), "invalid"),
        (lambda ctx: ctx.limit(1, 90, display=0.4), "below_lot"),
        (lambda ctx: ctx.limit(0.4, 90, display=-1.0), "invalid"),
        (lambda ctx: ctx.trailing_stop(1, ticks=0), "invalid"),
        (lambda ctx: ctx.trailing_stop(1, ticks=1.5), "invalid"),
        (lambda ctx: ctx.trailing_stop(1, ticks=2.0**53), "invalid"),
        (lambda ctx: ctx.trailing_stop(1, ticks=math.inf), "invalid"),
        (lambda ctx: ctx.trailing_stop(1, bps=0.0), "invalid"),
        (lambda ctx: ctx.trailing_stop(1, bps=10_000), "invalid"),
        (lambda ctx: ctx.trailing_stop_limit(1, -0.5, ticks=5), "invalid"),
        (lambda ctx: ctx.trailing_stop_limit(1, math.inf, ticks=5), "invalid"),
        (lambda ctx: ctx.trailing_stop_limit(1, 2.0**53, ticks=5), "invalid"),
        (lambda ctx: ctx.trailing_stop_limit(1, 0.0, trail=0.0), "invalid"),
        (lambda ctx: ctx.trailing_stop_limit(0.5, 0.0, ticks=5), "below_lot"),
        (lambda ctx: ctx.market_if_touched(1, 0.0), "invalid"),
        (lambda ctx: ctx.limit_if_touched(1, 90, -1.0), "invalid"),
        (lambda ctx: ctx.bracket(1, take_profit=1e6 + 1.0), "invalid"),
    ],
)
def test_o5__what_cannot_be_an_order_is_rejected(act: Callable[[View], object], reason: str) -> None:
    outcome = run({0: act}, *flat(100, 2))
    assert (ends(outcome), outcome.fills) == ([(1, "rejected", reason)], [])


@pytest.mark.parametrize(
    "act",
    [
        lambda ctx: ctx.buy(1, tif="GTD"),
        lambda ctx: ctx.buy(1, tif="DAY", expires=5),
        lambda ctx: ctx.stop(1, 90, tif="AT_OPEN"),
        lambda ctx: ctx.limit_if_touched(1, 90, 90, tif="AT_CLOSE"),
        lambda ctx: ctx.bracket(1, post_only=True),
        lambda ctx: ctx.bracket(1, tif="GTD"),
        lambda ctx: ctx.limit(1, 90, tif="IOC", post_only=True),
        lambda ctx: ctx.limit(1, 90, tif="AT_OPEN", display=1),
        lambda ctx: ctx.trailing_stop(1, ticks=5, bps=5),
        lambda ctx: ctx.trailing_stop(1),
        lambda ctx: ctx.replace(1),
    ],
)
def test_o5__what_makes_no_sense_is_an_error(act: Callable[[View], object]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        run({0: act})


def test_o5__orders_are_judged_in_order() -> None:
    venue = {"off_tick": "reject", "max_quantity": 10.0, "min_notional": 2e5}
    plan = {
        0: lambda ctx: (
            ctx.limit(0.5, math.nan),  # whatever else is wrong
            ctx.limit(0.5, 100.5),
            ctx.limit(11, 100.5),
            ctx.limit(11, 100.0, post_only=True),
            ctx.limit(9, 100.0, post_only=True),
        )
    }
    reasons = ["invalid", "below_lot", "off_tick", "above_maximum", "below_minimum"]
    assert [reason for _, _, reason in ends(run(plan, **venue))] == reasons
    del venue["min_notional"]
    assert ends(run(plan, **venue))[-1] == (5, "rejected", "post_only")


@pytest.mark.parametrize(
    ("expires", "fills", "end"),
    [
        (2 * DAY + OPENS, [], ("expired", "gtd")),  # the open of bar 2, which would fill it
        (2 * DAY + OPENS + 1, [(1, 1, 95, RANGE)], ("filled", "")),
        (DAY, [], ("expired", "gtd")),
        (1, [], ("expired", "gtd")),  # long over: no bar is matched against it
    ],
)
def test_o11__gtd_ends_in_the_first_bar_that_opens_at_its_time(
    expires: int, fills: list[tuple[int, int, int, str]], end: tuple[str, str]
) -> None:
    bars = daily(*flat(100, 2), SWING)
    outcome = play(bars, {0: lambda ctx: ctx.limit(1, 95, tif="GTD", expires=expires)})
    assert (prices(outcome), ends(outcome)) == (fills, [(1, *end)])
    if not fills:
        assert order(outcome, 1)["t_end"] == bars.open_at[1 if expires <= DAY else 2]


def test_o11__a_gtd_order_that_triggered_ends_too() -> None:
    plan = {0: lambda ctx: ctx.stop(5, 105, tif="GTD", expires=2 * DAY)}
    outcome = thin([9, 2, 9], plan, *flat(100), SWING, *flat(104))
    assert (prices(outcome), ends(outcome)) == ([(1, 2, 105, RANGE)], [(1, "expired", "gtd")])


def test_o12__at_open_waits_for_the_first_bar_of_a_session() -> None:
    # decided in the first bar of three: the next two are not for it
    ohlc = [*flat(100, 2), (103, 110, 90, 108), (109, 109, 80, 100)]
    plan = {0: lambda ctx: (ctx.buy(1, tif="AT_OPEN"), ctx.limit(1, 95, tif="AT_OPEN"), ctx.limit(1, 110, "AT_OPEN"))}
    outcome = run(plan, *ohlc, per_session=3)
    bars = daily(*flat(100), *ohlc, per_session=3)
    assert prices(outcome) == [(1, 1, 103, OPEN), (3, 1, 103, OPEN)]
    # the limit of 95 is passed by the range of its bar, which is not for it
    assert (ends(outcome)[1], order(outcome, 2)["t_end"]) == ((2, "expired", "at_open"), bars.known_at[3])


@pytest.mark.parametrize("market", ["next_open", "same_close", "next_close", "next_typical"])
def test_o12__at_open_fills_at_the_open_and_at_close_at_the_close_under_any_market(market: str) -> None:
    plan = {0: lambda ctx: (ctx.buy(1, tif="AT_CLOSE"), ctx.buy(2, tif="AT_OPEN"))}
    outcome = run(plan, (103, 110, 90, 108), market=market, slippage=models.fraction_slippage(0.1))
    assert prices(outcome) == [(2, 2, 114, OPEN), (1, 1, 119, RANGE)]  # 113.3 and 118.8 up
    assert [fill["time"] for fill in outcome.fills] == [DAY + OPENS, DAY + OPENS + HOUR]


@pytest.mark.parametrize(("limit", "filled"), [("through", [2, 4]), ("touch", [1, 2, 3, 4])])
def test_o12__an_at_close_limit_fills_at_the_close_without_slippage(limit: str, filled: list[int]) -> None:
    plan = {
        0: lambda ctx: (
            ctx.limit(1, 104, "AT_CLOSE"),
            ctx.limit(1, 105, "AT_CLOSE"),
            ctx.limit(-1, 104, "AT_CLOSE"),
            ctx.limit(-1, 103, "AT_CLOSE"),
            ctx.limit(1, 103, "AT_CLOSE"),
        )
    }
    outcome = run(plan, SWING, *flat(50), limit=limit, slippage=models.fraction_slippage(0.1))
    assert [(fill[0], *fill[2:]) for fill in prices(outcome)] == [(number, 104, RANGE) for number in filled]
    assert ends(outcome)[4] == (5, "expired", "at_close")
    assert order(outcome, 5)["t_end"] == DAY + OPENS + HOUR


def test_o12__at_close_is_the_bar_that_is_known_when_the_calendar_closes() -> None:
    # sessions of three bars at 14, 15 and 16; the second day closes at 16:00, so that its last bar comes too late
    ohlc = [*flat(101), *flat(102), *flat(103), *flat(104), *flat(105)]
    bars = daily(*flat(100), *ohlc, per_session=3)
    closes = [OPENS + 3 * HOUR] * 3 + [DAY + OPENS + 2 * HOUR] * 3
    plan = {n: lambda ctx: ctx.buy(1, tif="AT_CLOSE") for n in (0, 2, 4)}
    outcome = play(with_closes(bars, closes), plan)
    assert prices(outcome) == [(1, 1, 102, RANGE), (2, 1, 104, RANGE), (3, 1, 105, RANGE)]


def test_o12__an_at_close_order_whose_bar_is_missing_ends_with_the_session() -> None:
    bars = daily(*flat(100, 5), per_session=2)
    closes = [session * DAY + OPENS + (3 if session == 0 else 2) * HOUR for session in bars.session]
    outcome = play(with_closes(bars, closes), {0: lambda ctx: ctx.buy(1, tif="AT_CLOSE")})
    assert (ends(outcome), outcome.fills) == ([(1, "expired", "at_close")], [])
    assert order(outcome, 1)["t_end"] == bars.open_at[2]


def test_o12__the_late_pass_is_one_walk_by_id() -> None:
    plan = {0: lambda ctx: (ctx.buy(1), ctx.buy(2, tif="AT_CLOSE"), ctx.buy(3))}
    fills = prices(run(plan, (103, 109, 91, 106), market="next_typical"))
    assert fills == [(1, 1, 102, RANGE), (2, 2, 106, RANGE), (3, 3, 102, RANGE)]


def test_o12__with_the_close_as_path_both_fill_in_the_open_pass() -> None:
    plan = {0: lambda ctx: (ctx.buy(1, tif="AT_OPEN"), ctx.buy(2, tif="AT_CLOSE"), ctx.limit(3, 104, "AT_CLOSE"))}
    outcome = run(plan, SWING, path="close", market="next_close")
    assert prices(outcome) == [(1, 1, 104, RANGE), (2, 2, 104, RANGE)]
    assert ends(outcome)[2] == (3, "expired", "at_close")


@pytest.mark.parametrize("path", ["high_first", "low_first"])
def test_o12__no_path_meets_them(path: str) -> None:
    plan = {0: lambda ctx: (ctx.limit(1, 95, "AT_OPEN"), ctx.limit(1, 95, "AT_CLOSE"), ctx.buy(1, tif="AT_CLOSE"))}
    outcome = run(plan, SWING, path=path)
    assert prices(outcome) == [(3, 1, 104, RANGE)]
    assert [reason for _, _, reason in ends(outcome)] == ["at_open", "at_close", ""]


def test_o12__after_a_close_out_at_the_open_the_late_pass_does_not_come() -> None:
    plan = {0: lambda ctx: (ctx.buy(1, tif="AT_CLOSE"), ctx.limit(1, 90, "AT_OPEN"))}
    outcome = run(plan, SWING, close_out="last_open")
    assert ends(outcome) == [(1, "cancelled", "end_of_data"), (2, "expired", "at_open")]


def test_o12__a_remainder_ends_with_the_bar() -> None:
    outcome = thin([9, 2, 9], {0: lambda ctx: ctx.buy(5, tif="AT_OPEN")})
    assert (prices(outcome), ends(outcome)) == ([(1, 2, 100, OPEN)], [(1, "expired", "at_open")])


def test_o12__data_without_a_calendar_refuses_orders_at_the_close() -> None:
    with pytest.raises(ValueError, match="needs a calendar"):
        play(daily(*flat(100)), {0: lambda ctx: ctx.buy(1, tif="AT_CLOSE")})


def test_o13__reduce_only_may_be_given_beside_what_opens() -> None:
    plan = {0: lambda ctx: (ctx.buy(3), ctx.limit(-5, 105, reduce_only=True))}
    outcome = run(plan, SWING)
    assert prices(outcome) == [(1, 3, 100, OPEN), (2, -3, 105, RANGE)]
    assert ends(outcome)[1] == (2, "filled", "")
    assert (order(outcome, 2)["lots"], order(outcome, 2)["filled"]) == (-5, -3)


def test_o13__without_a_position_it_ends_at_its_attempt() -> None:
    plan = {0: lambda ctx: (ctx.sell(1, reduce_only=True), ctx.stop(-1, 95, reduce_only=True))}
    outcome = run(plan, *flat(100), SWING)
    assert ends(outcome) == [(1, "cancelled", "reduce_only"), (2, "cancelled", "reduce_only")]
    assert [order(outcome, n)["t_end"] for n in (1, 2)] == [DAY + OPENS, 2 * DAY + OPENS + HOUR]


def test_o13__it_ends_with_the_position() -> None:
    plan = {0: lambda ctx: (ctx.buy(3), ctx.limit(-3, 120, reduce_only=True)), 1: lambda ctx: ctx.sell(4)}
    outcome = run(plan, *flat(100, 2))
    assert ends(outcome)[1] == (2, "cancelled", "position_closed")
    assert order(outcome, 2)["t_end"] == 2 * DAY + OPENS


@pytest.mark.parametrize(
    ("lots", "price", "rejected"), [(1, 100, True), (1, 101, True), (1, 99, False), (-1, 100, True), (-1, 101, False)]
)
@pytest.mark.parametrize("limit", ["through", "touch"])
def test_o14__what_would_take_at_the_decision_is_rejected(lots: int, price: int, rejected: bool, limit: str) -> None:
    outcome = run({0: lambda ctx: ctx.limit(lots, price, post_only=True)}, limit=limit)
    end = ("rejected", "post_only") if rejected else ("cancelled", "end_of_data")
    assert ends(outcome) == [(1, *end)]
    assert order(outcome, 1)["t_end"] == OPENS + HOUR


@pytest.mark.parametrize(
    ("bar", "end", "fills"),
    [
        ((95, 99, 90, 95), ("rejected", "post_only"), []),  # at its price
        ((94, 99, 90, 95), ("rejected", "post_only"), []),
        ((96, 99, 90, 95), ("filled", ""), [(1, 1, 95, RANGE)]),
    ],
)
def test_o14__what_would_take_at_its_first_open_is_rejected(
    bar: Ohlc, end: tuple[str, str], fills: list[tuple[int, int, int, str]]
) -> None:
    for path in ("stop_first", "low_first"):
        outcome = run({0: lambda ctx: ctx.limit(1, 95, post_only=True)}, bar, path=path)
        assert (ends(outcome), prices(outcome)) == ([(1, *end)], fills)
        assert fills or order(outcome, 1)["t_end"] == DAY + OPENS


def test_o14__from_then_on_it_is_a_limit_like_any_other() -> None:
    outcome = run({0: lambda ctx: ctx.limit(1, 95, post_only=True)}, (96, 99, 95, 96), (90, 99, 90, 95))
    assert prices(outcome) == [(1, 1, 90, OPEN)]


def test_o14__it_is_judged_before_the_volume_and_by_the_close_of_a_path_that_is_the_close() -> None:
    plan = {0: lambda ctx: ctx.limit(1, 95, post_only=True)}
    assert ends(thin([9, 0], plan, *flat(100), *flat(94))) == [(1, "rejected", "post_only")]
    outcome = run(plan, (98, 98, 90, 94), path="close", market="next_close")
    assert (ends(outcome), order(outcome, 1)["t_end"]) == ([(1, "rejected", "post_only")], DAY + OPENS + HOUR)


def test_q4__a_price_is_on_the_grid_within_a_millionth_of_a_tick() -> None:
    assert [CENTS.off(price) for price in (1.01, 1.0100000099, 1.01000002, 1.015, 0.001)] == [
        False, False, True, True, True,
    ]  # fmt: skip
