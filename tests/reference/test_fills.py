"""Hand-worked fills on bars (F)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.reference import Config, View, models, simulate
from tests.reference.worked import CENTS, ONES, Ohlc, daily, ends, flat, order, play, prices


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


HIGH_FIRST = [*flat(5000), (5000, 5050, 4950, 5000), (5000, 5200, 4550, 4850)]


@pytest.mark.parametrize(
    ("trailing", "last", "fills"),
    [("check_first", 4550, []), ("check_first", 4545, [4545]), ("update_first", 4550, [4680])],
)
def test_f8__a_trailing_stop_is_checked_before_or_after_it_moves(trailing: str, last: int, fills: list[int]) -> None:
    bars = daily(*HIGH_FIRST[:2], (5000, 5200, last, 4850))
    outcome = play(bars, {0: lambda ctx: ctx.trailing_stop(-1, fraction=0.1)}, Config(trailing=trailing))
    assert [fill["ticks"] for fill in outcome.fills] == fills


def test_f8__a_distance_follows_the_low_for_a_buy_and_never_moves_back() -> None:
    bars = daily(*flat(100), (95, 99, 90, 95), (95, 97, 93, 95), (95, 98, 95, 95))
    outcome = play(bars, {0: lambda ctx: ctx.trailing_stop(1, trail=7.5)})
    assert [(fill["ticks"], fill["time"]) for fill in outcome.fills] == [(98, bars.known_at[3])]


def test_f8__the_trigger_starts_at_the_level_of_the_close_and_stays_above_zero() -> None:
    bars = daily((100, 130, 100, 120), (115, 118, 110, 115), (115, 116, 1, 90))
    outcome = play(bars, {0: lambda ctx: (ctx.trailing_stop(-1, trail=10), ctx.trailing_stop(-1, trail=500))})
    assert prices(outcome) == [(1, -1, 110, "intrabar"), (2, -1, 1, "intrabar")]


@pytest.mark.parametrize(("close_out", "ticks", "rule"), [("last_open", 104, "open"), ("last_close", 107, "intrabar")])
def test_f9__the_position_is_closed_on_the_last_bar(close_out: str, ticks: int, rule: str) -> None:
    called: list[int] = []

    def decide(ctx: View) -> None:
        called.append(ctx.i)
        if ctx.i == 0:
            ctx.buy(3)
            ctx.limit(1, 10)

    bars = daily(*flat(100, 2), (104, 110, 100, 107))
    config = Config(close_out=close_out, slippage=models.fraction_slippage(0.02), fee=models.fixed_fee(1.0))
    outcome = simulate(bars, ONES, config, decide)
    assert (prices(outcome)[1], outcome.fills[1]["fee"]) == ((3, -3, ticks, rule), 1.0)
    assert order(outcome, 3)["t_submit"] == order(outcome, 3)["t_end"] == outcome.fills[1]["time"]
    assert (called, outcome.position[-1], len(outcome.trades)) == ([0, 1], 0, 1)
    assert ends(outcome)[1] == (2, "cancelled", "end_of_data")


def test_f9__a_flat_account_makes_no_order() -> None:
    outcome = play(daily(*flat(100, 3)), {}, Config(close_out="last_close"))
    assert (outcome.orders, outcome.fills) == ([], [])


def test_f8__a_fraction_rounds_away_from_the_price() -> None:
    bars = daily(*flat(1000), (950, 960, 903, 950), (950, 1000, 950, 990))
    plan = {0: lambda ctx: (ctx.trailing_stop(1, fraction=0.05), ctx.trailing_stop(-1, fraction=0.0975))}
    # 903 * 1.05 = 948.15 moves the buy down to 949; 1000 * 0.9025 = 902.5 puts the sell at 902
    outcome = play(bars, plan)
    assert prices(outcome) == [(1, 1, 950, "open")]
    lower = daily(*flat(1000), (950, 960, 902, 950))
    assert prices(play(lower, plan)) == [(2, -1, 902, "intrabar")]


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
