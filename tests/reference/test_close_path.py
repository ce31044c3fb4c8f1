"""Hand-worked bars that are their close (F12, `path = close`), and the named models (F13)."""

from __future__ import annotations

import pytest

from tests.reference import Bars, Config, simulate
from tests.reference.config import NAMED
from tests.reference.worked import ONES, Plan, daily, ends, flat, gambler, noise, order, play, prices

RANGE = "intrabar"
BAR = (101, 110, 90, 105)
ZIPLINE = Config(**NAMED["zipline"])  # type: ignore[arg-type]
THROUGH = Config(path="close", market="next_close")


def test_f12__close_fills_the_open_pass_at_the_close_in_id_order() -> None:
    bars = daily(*flat(100), BAR)
    plan = {0: lambda ctx: (ctx.stop(1, 103), ctx.buy(1), ctx.limit(1, 107), ctx.sell(2, "IOC"), ctx.stop(-1, 106))}
    outcome = play(bars, plan, ZIPLINE)
    assert prices(outcome) == [(n, lots, 105, RANGE) for n, lots in ((1, 1), (2, 1), (3, 1), (4, -2), (5, -1))]
    assert {fill["time"] for fill in outcome.fills} == {record["t_end"] for record in outcome.orders}
    assert outcome.fills[0]["time"] == bars.known_at[1]


def test_f12__close_knows_no_range() -> None:
    plan = {0: lambda ctx: (ctx.stop(1, 106), ctx.stop(-1, 104), ctx.limit(1, 104), ctx.limit(-1, 106))}
    assert play(daily(*flat(100), BAR), plan, ZIPLINE).fills == []


def test_f12__close_meets_a_limit_at_its_price_or_through_it() -> None:
    plan = {0: lambda ctx: (ctx.limit(1, 105), ctx.limit(1, 106), ctx.limit(-1, 105), ctx.limit(-1, 104))}
    bars = daily(*flat(100), BAR)
    assert [fill[:3] for fill in prices(play(bars, plan, ZIPLINE))] == [
        (1, 1, 105),
        (2, 1, 105),
        (3, -1, 105),
        (4, -1, 105),
    ]
    assert [fill[:3] for fill in prices(play(bars, plan, THROUGH))] == [(2, 1, 105), (4, -1, 105)]


def test_f12__close_ends_immediate_orders_that_it_does_not_meet() -> None:
    plan = {0: lambda ctx: (ctx.limit(1, 105, "IOC"), ctx.limit(1, 104, "IOC"), ctx.stop(1, 106, "IOC"))}
    outcome = play(daily(*flat(100), BAR), plan, ZIPLINE)
    assert ends(outcome) == [(1, "filled", ""), (2, "expired", "ioc"), (3, "expired", "ioc")]


def test_f12__close_moves_a_trailing_stop_to_its_level() -> None:
    bars = daily(*flat(100), (101, 130, 85, 105), (96, 97, 80, 94))
    outcome = play(bars, {0: lambda ctx: ctx.trailing_stop(-1, trail=10)}, ZIPLINE)
    assert (prices(outcome), order(outcome, 1)["trigger"]) == ([(1, -1, 94, RANGE)], 95)


def test_f12__close_rests_a_stop_limit_past_its_limit_to_the_next_bar() -> None:
    bars = daily(*flat(100), BAR, (120, 120, 100, 104))
    outcome = play(bars, {0: lambda ctx: (ctx.stop_limit(1, 103, 104), ctx.stop_limit(1, 103, 106))}, ZIPLINE)
    assert prices(outcome) == [(2, 1, 105, RANGE), (1, 1, 104, RANGE)]
    assert [fill["time"] for fill in outcome.fills] == [bars.known_at[1], bars.known_at[2]]


@pytest.mark.parametrize(
    ("stop", "target", "fills"),
    [
        (95, 108, []),  # the low of 90 and the high of 110 are no prices
        (106, 108, [(2, -1, 105, RANGE)]),  # behind the entry: F7 at the close
        (95, 104, []),  # a target waits for the next bar
    ],
)
def test_f12__close_wakes_exits_at_the_close(stop: int, target: int, fills: list[tuple[int, int, int, str]]) -> None:
    outcome = play(daily(*flat(100), BAR), {0: lambda ctx: ctx.bracket(1, stop=stop, limit=target)}, ZIPLINE)
    assert prices(outcome) == [(1, 1, 105, RANGE), *fills]


def test_f12__close_meets_woken_exits_in_the_next_bar() -> None:
    plan: Plan = {0: lambda ctx: ctx.bracket(1, stop=95, limit=108)}
    assert prices(play(daily(*flat(100), BAR, (105, 120, 90, 111)), plan, ZIPLINE))[1:] == [(3, -1, 111, RANGE)]
    assert prices(play(daily(*flat(100), BAR, (105, 120, 90, 93)), plan, ZIPLINE))[1:] == [(2, -1, 93, RANGE)]


def test_f12__close_expires_a_day_order_at_the_open_and_closes_out_at_the_close() -> None:
    bars = daily(*flat(100, 2), BAR)
    plan = {0: lambda ctx: (ctx.buy(1), ctx.limit(1, 50, "DAY"))}
    config = Config(path="close", market="next_close", close_out="last_close")
    outcome = play(bars, plan, config)
    assert prices(outcome) == [(1, 1, 100, RANGE), (3, -1, 105, RANGE)]
    assert (ends(outcome)[1], order(outcome, 2)["t_end"]) == ((2, "expired", "day"), bars.open_at[2])


def test_f13__the_named_models_are_valid() -> None:
    made = {name: Config(**choices) for name, choices in NAMED.items()}  # type: ignore[arg-type]
    assert made["conservative"] == Config()
    assert list(made) == [
        "conservative",
        "backtesting.py",
        "lean_equity",
        "lean",
        "zipline",
        "freqtrade",
        "nautilus",
        "nautilus_adaptive",
    ]


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("seed", range(3))
def test_f13__the_future_does_not_change_the_past(name: str, seed: int) -> None:
    bars = noise(seed, 60)
    choices = {**NAMED[name], "close_out": "none"}
    config = Config(cash=1500.0, fee=lambda m: 0.5, slippage=lambda m: 0.004, **choices)  # type: ignore[arg-type]
    whole = simulate(bars, ONES, config, gambler(seed))
    assert len(whole.fills) > 10
    for cut in (20, 41):
        names = ("open_at", "known_at", "session", "o", "h", "l", "c", "v")
        part = simulate(Bars(*[getattr(bars, name)[:cut] for name in names]), ONES, config, gambler(seed))
        assert whole.fills[: len(part.fills)] == part.fills
        assert (whole.equity[:cut], whole.position[:cut]) == (part.equity, part.position)


@pytest.mark.parametrize("path", ["high_first", "low_first", "nearest_first"])
@pytest.mark.parametrize("market", ["next_open", "next_close", "next_typical"])
@pytest.mark.parametrize("same_bar", ["adverse", "next"])
def test_f12__fills_are_in_the_order_of_time_and_within_the_bar(path: str, market: str, same_bar: str) -> None:
    for limit in ("touch", "through"):
        bars = noise(5, 90)
        config = Config(cash=3000.0, limit=limit, same_bar=same_bar, market=market, path=path)
        outcome = simulate(bars, ONES, config, gambler(5))
        times = [fill["time"] for fill in outcome.fills]
        assert len(times) > 10
        assert times == sorted(times)
        for fill in outcome.fills:
            at = bars.open_at if fill["rule"] == "open" else bars.known_at
            bar = list(at).index(fill["time"])
            assert bars.l[bar] <= fill["ticks"] <= bars.h[bar]
