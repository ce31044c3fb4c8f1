"""Hand-worked trailing stops and close-outs (F8, F9)."""

from __future__ import annotations

import pytest

from tests.reference import Config, View, models, simulate
from tests.reference.worked import ONES, Ohlc, daily, ends, flat, order, play, prices

UPDATE_FIRST = Config(trailing="update_first")
HIGH_FIRST = [*flat(5000), (5000, 5050, 4950, 5000), (5000, 5200, 4550, 4850)]


@pytest.mark.parametrize(
    ("trailing", "last", "fills"),
    [("check_first", 4550, []), ("check_first", 4545, [4545]), ("update_first", 4550, [4680])],
)
def test_f8__a_trailing_stop_is_checked_before_or_after_it_moves(trailing: str, last: int, fills: list[int]) -> None:
    bars = daily(*HIGH_FIRST[:2], (5000, 5200, last, 4850))
    outcome = play(bars, {0: lambda ctx: ctx.trailing_stop(-1, fraction=0.1)}, Config(trailing=trailing))
    assert [fill["ticks"] for fill in outcome.fills] == fills


@pytest.mark.parametrize(
    ("bar", "fill"),
    [
        ((90, 120, 85, 100), (90, "open")),  # the old trigger 90 is reached before the high can move it
        ((100, 120, 100, 115), (110, "intrabar")),  # moved to 110, above the open
        ((100, 120, 111, 115), None),
    ],
)
def test_f8__update_first_moves_after_the_open(bar: Ohlc, fill: tuple[int, str] | None) -> None:
    outcome = play(daily(*flat(100), bar), {0: lambda ctx: ctx.trailing_stop(-1, trail=10)}, UPDATE_FIRST)
    assert prices(outcome) == ([] if fill is None else [(1, -1, *fill)])


def test_f8__an_immediate_trailing_stop_does_not_move() -> None:
    plan = {0: lambda ctx: ctx.trailing_stop(-1, trail=10, tif="IOC")}
    outcome = play(daily(*flat(100), (100, 120, 80, 100), *flat(80)), plan, UPDATE_FIRST)
    assert (outcome.fills, ends(outcome)) == ([], [(1, "expired", "ioc")])


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


def test_f9__last_open_gives_no_free_money() -> None:
    # a limit that the last bar reaches after its open is not bought at 90 to be sold at the open of 100
    bars = daily(*flat(100, 2), (100, 130, 80, 100))
    plan = {
        0: lambda ctx: ctx.bracket(1, stop=85, limit=120),
        1: lambda ctx: (ctx.limit(5, 90), ctx.limit(1, 101), ctx.stop_limit(1, 90, 70, tif="IOC")),
    }
    outcome = play(bars, plan, Config(close_out="last_open"))
    assert prices(outcome)[1:] == [(5, 1, 100, "open"), (7, -2, 100, "open")]
    assert ends(outcome)[1:4] == [
        (2, "cancelled", "position_closed"),
        (3, "cancelled", "position_closed"),
        (4, "cancelled", "end_of_data"),
    ]
    assert (ends(outcome)[5], outcome.equity[-1]) == ((6, "expired", "ioc"), 1e6)


def test_f9__last_open_lets_nothing_start_on_the_last_bar() -> None:
    bars = daily(*flat(100), (100, 110, 80, 100))
    outcome = play(bars, {0: lambda ctx: ctx.limit(5, 90)}, Config(close_out="last_open"))
    assert (outcome.fills, ends(outcome)) == ([], [(1, "cancelled", "end_of_data")])


def test_f9__an_exit_woken_at_the_last_open_ends_with_it() -> None:
    bars = daily(*flat(100), (100, 110, 80, 100))
    outcome = play(bars, {0: lambda ctx: ctx.bracket(1, stop=90)}, Config(close_out="last_open"))
    assert prices(outcome) == [(1, 1, 100, "open"), (4, -1, 100, "open")]
    assert ends(outcome)[1] == (2, "cancelled", "position_closed")


def test_f9__last_close_comes_after_all_passes() -> None:
    bars = daily(*flat(100), (100, 110, 80, 95))
    outcome = play(bars, {0: lambda ctx: ctx.limit(5, 90)}, Config(close_out="last_close"))
    assert prices(outcome) == [(1, 5, 90, "intrabar"), (2, -5, 95, "intrabar")]


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
