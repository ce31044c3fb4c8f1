"""Hand-worked stops that the open has passed (F11)."""

from __future__ import annotations

import pytest

from tests.reference import Config, models
from tests.reference.worked import Ohlc, daily, ends, flat, order, play, prices

GAPS = ["open", "trigger", "close"]
OPEN, RANGE = "open", "intrabar"
Fill = tuple[int, str]


@pytest.mark.parametrize(
    ("lots", "bar", "fills"),
    [
        (-1, (90, 95, 88, 92), [(90, OPEN), (90, OPEN), (92, RANGE)]),  # the trigger lies above the bar
        (-1, (90, 101, 88, 92), [(90, OPEN), (100, RANGE), (92, RANGE)]),
        (-1, (90, 100, 88, 92), [(90, OPEN), (100, RANGE), (92, RANGE)]),  # comes back to the trigger itself
        (-1, (90, 101, 88, 101), [(90, OPEN), (100, RANGE), (100, RANGE)]),
        (-1, (102, 103, 98, 101), [(100, RANGE), (100, RANGE), (100, RANGE)]),
        (-1, (102, 103, 98, 99), [(100, RANGE), (100, RANGE), (99, RANGE)]),
        (-1, (100, 103, 99, 101), [(100, OPEN), (100, RANGE), (100, RANGE)]),
        (-1, (102, 103, 101, 102), [None, None, None]),
        (1, (110, 112, 105, 108), [(110, OPEN), (110, OPEN), (108, RANGE)]),
        (1, (110, 112, 99, 108), [(110, OPEN), (100, RANGE), (108, RANGE)]),
        (1, (110, 112, 100, 108), [(110, OPEN), (100, RANGE), (108, RANGE)]),
        (1, (110, 112, 99, 99), [(110, OPEN), (100, RANGE), (100, RANGE)]),
        (1, (98, 102, 97, 99), [(100, RANGE), (100, RANGE), (100, RANGE)]),
        (1, (98, 102, 97, 101), [(100, RANGE), (100, RANGE), (101, RANGE)]),
        (1, (98, 99, 97, 98), [None, None, None]),
    ],
)
def test_f11__a_stop_beyond_the_open(lots: int, bar: Ohlc, fills: list[Fill | None]) -> None:
    bars = daily(*flat(105 if lots < 0 else 95), bar)
    for stop_gap, fill in zip(GAPS, fills, strict=True):
        outcome = play(bars, {0: lambda ctx: ctx.stop(lots, 100)}, Config(stop_gap=stop_gap))
        assert prices(outcome) == ([] if fill is None else [(1, lots, *fill)])
        for made in outcome.fills:
            assert made["time"] == (bars.open_at[1] if made["rule"] == OPEN else bars.known_at[1])


@pytest.mark.parametrize(
    ("bar", "fills"),
    [
        ((85, 95, 80, 88), [(85, OPEN), (90, RANGE), (88, RANGE)]),
        ((85, 89, 80, 88), [(85, OPEN), (85, OPEN), (88, RANGE)]),
        ((95, 96, 80, 94), [(90, RANGE), (90, RANGE), (90, RANGE)]),
    ],
)
def test_f11__trailing_stops_are_stops(bar: Ohlc, fills: list[Fill]) -> None:
    for stop_gap, fill in zip(GAPS, fills, strict=True):
        outcome = play(
            daily(*flat(100), bar), {0: lambda ctx: ctx.trailing_stop(-1, trail=10)}, Config(stop_gap=stop_gap)
        )
        assert prices(outcome) == [(1, -1, *fill)]


@pytest.mark.parametrize(
    ("stop_gap", "fill"),
    [("open", (85, OPEN)), ("trigger", (110, RANGE)), ("close", (100, RANGE))],
)
def test_f11__update_first_moves_what_the_open_pass_left(stop_gap: str, fill: Fill) -> None:
    # the old trigger 90 is within the bar: only the default fills at its open, the others move to 120 - 10 first
    config = Config(stop_gap=stop_gap, trailing="update_first")
    outcome = play(daily(*flat(100), (85, 120, 80, 100)), {0: lambda ctx: ctx.trailing_stop(-1, trail=10)}, config)
    assert prices(outcome) == [(1, -1, *fill)]


@pytest.mark.parametrize(
    ("bar", "limit", "fills"),
    [
        ((90, 101, 88, 92), 91, [None, (100, RANGE), (92, RANGE)]),
        ((90, 95, 88, 92), 91, [None, None, (92, RANGE)]),
        ((90, 95, 88, 92), 90, [(90, OPEN), (90, OPEN), (92, RANGE)]),
        ((90, 101, 88, 92), 93, [None, (100, RANGE), None]),
    ],
)
def test_f11__a_stop_limit_asks_its_limit_of_that_reference(bar: Ohlc, limit: int, fills: list[Fill | None]) -> None:
    for stop_gap, fill in zip(GAPS, fills, strict=True):
        config = Config(stop_gap=stop_gap, slippage=models.fraction_slippage(0.1))
        outcome = play(daily(*flat(105), bar), {0: lambda ctx: ctx.stop_limit(-1, 100, limit)}, config)
        assert prices(outcome) == ([] if fill is None else [(1, -1, *fill)])


def test_f11__a_triggered_stop_limit_is_a_limit_at_the_next_open() -> None:
    bars = daily(*flat(105), (90, 101, 88, 92), (94, 95, 90, 91))
    outcome = play(bars, {0: lambda ctx: ctx.stop_limit(-1, 100, 93)}, Config(stop_gap="close"))
    assert (prices(outcome), outcome.fills[0]["time"]) == ([(1, -1, 94, OPEN)], bars.open_at[2])


@pytest.mark.parametrize(
    ("bar", "fills"),
    [((90, 101, 88, 92), [(90, OPEN), None, None]), ((90, 95, 88, 92), [(90, OPEN), (90, OPEN), None])],
)
def test_f11__an_ioc_takes_part_in_the_open_pass_alone(bar: Ohlc, fills: list[Fill | None]) -> None:
    for stop_gap, fill in zip(GAPS, fills, strict=True):
        outcome = play(daily(*flat(105), bar), {0: lambda ctx: ctx.stop(-1, 100, "IOC")}, Config(stop_gap=stop_gap))
        assert prices(outcome) == ([] if fill is None else [(1, -1, *fill)])
        assert ends(outcome) == [(1, "expired", "ioc") if fill is None else (1, "filled", "")]


def test_f11__an_ioc_stop_limit_never_triggers_under_close() -> None:
    outcome = play(
        daily(*flat(105), (90, 101, 88, 92)),
        {0: lambda ctx: ctx.stop_limit(-1, 100, 80, "IOC")},
        Config(stop_gap="close"),
    )
    assert (outcome.fills, ends(outcome)) == ([], [(1, "expired", "ioc")])


def test_f11__the_reference_slips() -> None:
    # 90, 100 and 92 less a tenth; 82.8 rounds down
    for stop_gap, ticks in zip(GAPS, (81, 90, 82), strict=True):
        config = Config(stop_gap=stop_gap, slippage=models.fraction_slippage(0.1))
        outcome = play(daily(*flat(105), (90, 101, 88, 92)), {0: lambda ctx: ctx.stop(-1, 100)}, config)
        assert [fill["ticks"] for fill in outcome.fills] == [ticks]


@pytest.mark.parametrize(
    ("bar", "exits"),
    [
        ((85, 130, 80, 88), [(2, 85, OPEN), (2, 90, RANGE), (2, 88, RANGE)]),  # before the target, which waits for F5
        ((130, 130, 80, 88), [(3, 130, OPEN)] * 3),
    ],
)
def test_f11__a_stop_of_the_stop_pass_still_comes_before_a_target(bar: Ohlc, exits: list[tuple[int, int, str]]) -> None:
    for stop_gap, (exit_, ticks, rule) in zip(GAPS, exits, strict=True):
        outcome = play(
            daily(*flat(100, 2), bar), {0: lambda ctx: ctx.bracket(1, stop=90, limit=120)}, Config(stop_gap=stop_gap)
        )
        assert prices(outcome)[1:] == [(exit_, -1, ticks, rule)]


@pytest.mark.parametrize("stop_gap", GAPS)
def test_f11__woken_stops_keep_to_f7(stop_gap: str) -> None:
    outcome = play(
        daily(*flat(100), (100, 101, 90, 92)), {0: lambda ctx: ctx.bracket(1, stop=95)}, Config(stop_gap=stop_gap)
    )
    assert prices(outcome) == [(1, 1, 100, OPEN), (2, -1, 95, RANGE)]


def test_f11__the_open_settles_market_orders_before_a_stop_that_it_passed() -> None:
    # under `open` the stop with the lower id closes first, and the market order then opens a short
    bars = daily(*flat(100, 2), (90, 96, 88, 92))
    plan = {0: lambda ctx: ctx.bracket(1, stop=95), 1: lambda ctx: ctx.sell(1)}
    assert prices(play(bars, plan))[1:] == [(2, -1, 90, OPEN), (4, -1, 90, OPEN)]
    outcome = play(bars, plan, Config(stop_gap="trigger"))
    assert prices(outcome)[1:] == [(4, -1, 90, OPEN)]
    assert order(outcome, 2)["reason"] == "position_closed"
