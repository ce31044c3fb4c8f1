"""Hand-worked fills on bars (F1-F7)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.reference import Config, View, models, simulate
from tests.reference.worked import CENTS, ONES, Ohlc, daily, ends, flat, gambler, noise, order, play, prices


def test_f1__a_market_order_fills_at_the_open() -> None:
    outcome = play(daily(*flat(100), (101, 110, 90, 105)), {0: lambda ctx: (ctx.buy(2), ctx.sell(1))})
    assert prices(outcome) == [(1, 2, 101, "open"), (2, -1, 101, "open")]


@pytest.mark.parametrize(
    ("lots", "trigger", "bar", "fill"),
    [
        (-1, 100, (90, 95, 88, 92), (90, "open")),
        (-1, 100, (90, 101, 88, 92), (90, "open")),
        (-1, 100, (102, 103, 98, 101), (100, "intrabar")),
        (-1, 100, (100, 103, 99, 101), (100, "open")),
        (-1, 100, (102, 103, 101, 102), None),
        (1, 100, (105, 110, 99, 101), (105, "open")),
        (1, 100, (98, 100, 97, 99), (100, "intrabar")),
        (1, 100, (98, 99, 97, 99), None),
    ],
)
def test_f2__a_stop_fills_at_the_worse_of_trigger_and_open(
    lots: int, trigger: int, bar: Ohlc, fill: tuple[int, str] | None
) -> None:
    outcome = play(daily(*flat(100), bar), {0: lambda ctx: ctx.stop(lots, trigger)})
    assert prices(outcome) == ([] if fill is None else [(1, lots, *fill)])


def test_f3__a_stop_limit_fills_at_its_stop_at_once_without_slippage() -> None:
    config = Config(slippage=models.fraction_slippage(0.1))
    bars = daily(*flat(110), (110, 114, 104, 110))
    plan = {0: lambda ctx: (ctx.stop_limit(1, 112, 113), ctx.stop_limit(-1, 107, 105))}
    assert prices(play(bars, plan, config)) == [(1, 1, 112, "intrabar"), (2, -1, 107, "intrabar")]


def test_f3__past_its_limit_it_rests_from_the_next_bar() -> None:
    bars = daily(*flat(110), (115, 120, 105, 115), (115, 116, 113, 114), (114, 120, 112, 113))
    outcome = play(bars, {0: lambda ctx: ctx.stop_limit(1, 112, 113)})
    assert [(fill["ticks"], fill["time"]) for fill in outcome.fills] == [(113, bars.known_at[3])]


def test_f1__what_closes_at_the_open_closes_before_the_stop_below() -> None:
    bars = daily(*flat(100, 2), (100, 100, 90, 95))
    outcome = play(bars, {0: lambda ctx: ctx.bracket(10, stop=95), 1: lambda ctx: ctx.target(0)})
    assert prices(outcome)[1:] == [(4, -10, 100, "open")]
    assert (ends(outcome)[1], order(outcome, 2)["t_end"]) == ((2, "cancelled", "position_closed"), bars.open_at[2])
    assert outcome.position[-1] == 0


@pytest.mark.parametrize(
    ("q", "stop", "target", "bar", "exit_"),
    [
        (1, 90, 120, (130, 130, 80, 100), (3, 130)),
        (1, 90, 120, (85, 130, 80, 100), (2, 85)),
        (-1, 120, 90, (80, 130, 80, 100), (3, 80)),
        (-1, 120, 90, (125, 130, 80, 100), (2, 125)),
    ],
)
def test_f1__a_gap_fills_at_the_open_what_it_passed(
    q: int, stop: int, target: int, bar: Ohlc, exit_: tuple[int, int]
) -> None:
    outcome = play(daily(*flat(100, 2), bar), {0: lambda ctx: ctx.bracket(q, stop=stop, limit=target)})
    assert prices(outcome)[1:] == [(exit_[0], -q, exit_[1], "open")]
    assert outcome.position[-1] == 0


def test_f1__the_open_comes_before_the_range_whatever_the_ids() -> None:
    plan = {0: lambda ctx: (ctx.stop(1, 105), ctx.limit(1, 95), ctx.limit(1, 102), ctx.buy(1))}
    outcome = play(daily(*flat(100), (100, 110, 90, 100)), plan)
    assert [(fill[0], fill[3]) for fill in prices(outcome)] == [
        (3, "open"),
        (4, "open"),
        (1, "intrabar"),
        (2, "intrabar"),
    ]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("close_out", ["none", "last_open", "last_close"])
def test_f1__fills_are_in_the_order_of_time(seed: int, close_out: str) -> None:
    outcome = simulate(noise(seed, 90), ONES, Config(cash=3000.0, close_out=close_out), gambler(seed))
    times = [fill["time"] for fill in outcome.fills]
    assert len(times) > 10
    assert times == sorted(times)
    assert close_out == "none" or outcome.position[-1] == 0


def test_f3__resting_it_fills_at_an_open_beyond_its_limit() -> None:
    bars = daily(*flat(110), (115, 120, 105, 115), (109, 116, 109, 114))
    assert prices(play(bars, {0: lambda ctx: ctx.stop_limit(1, 112, 113)})) == [(1, 1, 109, "open")]


def test_f3__a_stop_behind_its_limit_rests_from_the_next_bar() -> None:
    # the trigger 112 is worse than the limit 111, which the same bar and the next one pass
    bars = daily(*flat(110), (110, 114, 104, 110), (112, 113, 104, 110))
    outcome = play(bars, {0: lambda ctx: ctx.stop_limit(1, 112, 111)})
    assert [(fill["ticks"], fill["time"]) for fill in outcome.fills] == [(111, bars.known_at[2])]


def test_f4__a_stop_fills_before_a_target_in_one_bar() -> None:
    bars = daily(*flat(100, 2), (100, 120, 80, 100))
    plan = {0: lambda ctx: ctx.buy(1), 1: lambda ctx: ctx.oco(ctx.limit(-1, 110), ctx.stop(-1, 90))}
    outcome = play(bars, plan)
    assert ends(outcome) == [(1, "filled", ""), (2, "cancelled", "oco"), (3, "filled", "")]
    assert prices(outcome)[1] == (3, -1, 90, "intrabar")


@pytest.mark.parametrize(
    ("lots", "bar", "through", "touch"),
    [
        (1, (101, 102, 100, 101), None, (100, "intrabar")),
        (1, (101, 102, 99, 101), (100, "intrabar"), (100, "intrabar")),
        (1, (100, 102, 99, 101), (100, "intrabar"), (100, "open")),
        (1, (99, 102, 99, 101), (99, "open"), (99, "open")),
        (-1, (99, 100, 98, 99), None, (100, "intrabar")),
        (-1, (100, 101, 98, 99), (100, "intrabar"), (100, "open")),
        (-1, (104, 105, 98, 99), (104, "open"), (104, "open")),
    ],
)
def test_f5__a_limit_fills_through_or_at_its_price_or_better(
    lots: int, bar: Ohlc, through: tuple[int, str] | None, touch: tuple[int, str] | None
) -> None:
    for rule, expected in (("through", through), ("touch", touch)):
        config = Config(limit=rule, slippage=models.fraction_slippage(0.1))
        outcome = play(daily(*flat(100), bar), {0: lambda ctx: ctx.limit(lots, 100)}, config)
        assert prices(outcome) == ([] if expected is None else [(1, lots, *expected)])


@pytest.mark.parametrize(("q", "stop", "target"), [(1, 2999, 3667), (-1, 3667, 2999)])
def test_f6__fractions_are_anchored_to_the_fill_and_rounded_outward(q: int, stop: int, target: int) -> None:
    # 33.33 * 0.9 = 29.997 and 33.33 * 1.1 = 36.663
    opening = [*flat(3000), *flat(3333)]
    down, up = (3333, 3333, 2900, 2950), (3333, 3700, 3333, 3650)
    for bar in (down, up):
        outcome = play(
            daily(*opening, bar), {0: lambda ctx: ctx.bracket(q, stop_loss=0.1, take_profit=0.1)}, grid=CENTS
        )
        stopped = (bar is down) == (q > 0)
        assert prices(outcome)[1] == ((2, -q, stop, "intrabar") if stopped else (3, -q, target, "intrabar"))


@pytest.mark.parametrize(
    ("same_bar", "fills"),
    [("adverse", [(1, 1, 100, "open"), (2, -1, 90, "intrabar")]), ("next", [(1, 1, 100, "open")])],
)
def test_f7__on_the_entry_bar_a_bracket_fills_only_adversely(
    same_bar: str, fills: list[tuple[int, int, int, str]]
) -> None:
    bars = daily(*flat(100), (100, 120, 85, 100))
    outcome = play(bars, {0: lambda ctx: ctx.bracket(1, stop=90, limit=110)}, Config(same_bar=same_bar))
    assert prices(outcome) == fills


def test_f7__a_target_waits_for_the_next_bar() -> None:
    bars = daily(*flat(100), (100, 120, 95, 100), (100, 120, 95, 100))
    outcome = play(bars, {0: lambda ctx: ctx.bracket(1, stop=90, limit=110)})
    assert [fill["time"] for fill in outcome.fills] == [bars.open_at[1], bars.known_at[2]]


def test_f7__the_stop_sees_the_real_range_and_the_entry_reference() -> None:
    # the IOC entry fills at the open 95; its stop at 97 is already behind it and fills at 95, not at 97
    bars = daily(*flat(100), (95, 120, 85, 100))
    outcome = play(bars, {0: lambda ctx: ctx.bracket(1, stop=97, entry=96, tif="IOC")})
    assert prices(outcome) == [(1, 1, 95, "open"), (2, -1, 95, "intrabar")]


def test_f7__a_stop_behind_a_limit_entry_fills_no_better_than_the_entry() -> None:
    bars = daily(*flat(100), (100, 103, 85, 100))
    assert prices(play(bars, {0: lambda ctx: ctx.bracket(1, stop=97, entry=95)})) == [
        (1, 1, 95, "intrabar"),
        (2, -1, 95, "intrabar"),
    ]
    short = daily(*flat(100), (100, 115, 97, 100))
    assert prices(play(short, {0: lambda ctx: ctx.bracket(-1, stop=103, entry=105)})) == [
        (1, -1, 105, "intrabar"),
        (2, 1, 105, "intrabar"),
    ]


@pytest.mark.parametrize(
    ("act", "ticks"),
    [
        (lambda ctx: ctx.stop(1, 105), 116),
        (lambda ctx: ctx.stop(-1, 95), 85),
        (lambda ctx: ctx.trailing_stop(-1, trail=5), 85),
        (lambda ctx: ctx.sell(1), 90),
    ],
)
def test_c1__markets_and_stops_slip(act: Callable[[View], object], ticks: int) -> None:
    outcome = play(daily(*flat(100), (100, 110, 90, 100)), {0: act}, Config(slippage=lambda m: 0.1))
    assert outcome.fills[0]["ticks"] == ticks


def test_c1__a_stop_woken_by_its_entry_slips() -> None:
    bars = daily(*flat(100), (100, 110, 90, 100))
    outcome = play(bars, {0: lambda ctx: ctx.bracket(1, stop=95)}, Config(slippage=lambda m: 0.1))
    assert prices(outcome) == [(1, 1, 110, "open"), (2, -1, 85, "intrabar")]
