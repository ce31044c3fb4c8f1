"""Hand-worked cases of the reference simulator: rounding, time (Q, T)."""

from __future__ import annotations

import math

import pytest

from tests.reference import Bars, Config, Grid, View, simulate
from tests.reference.worked import CENTS, DAY, HOUR, ONES, daily, flat, gambler, noise, play, prices

TENTHS = Grid(tick=1.0, inverse=0, lot=0.1)


@pytest.mark.parametrize(
    ("quantity", "lots"), [(0.3, 3), (-0.3, -3), (0.29, 2), (-0.29, -2), (0.09, 0), (0.0999999999, 1), (5.0, 50)]
)
def test_q1__lots_round_toward_zero_unless_whole(quantity: float, lots: int) -> None:
    assert TENTHS.lots(quantity) == lots


@pytest.mark.parametrize(
    ("price", "down", "up"), [(1.005, 100, 101), (1.01, 101, 101), (0.001, 1, 1), (0.0, 1, 1), (2.999999999, 300, 300)]
)
def test_q2__ticks_round_as_told_and_never_below_one(price: float, down: int, up: int) -> None:
    assert (CENTS.ticks(price, False), CENTS.ticks(price, True)) == (down, up)


def test_q2__dyadic_tick_divides() -> None:
    quarters = Grid(tick=0.25, inverse=0, lot=1.0)
    assert (quarters.ticks(1.3, False), quarters.ticks(1.3, True), quarters.price(5)) == (5, 6, 1.25)


def test_q3__limits_round_against_the_fill_and_stops_to_the_worse_price() -> None:
    bars = daily((100, 100, 100, 100), (100, 110, 90, 100))
    plan = {
        0: lambda ctx: (
            ctx.limit(1, 95.5),
            ctx.limit(-1, 104.5),
            ctx.stop(1, 105.5),
            ctx.stop(-1, 94.5),
        )
    }
    outcome = play(bars, plan)
    assert prices(outcome) == [
        (3, 1, 106, "intrabar"),
        (4, -1, 94, "intrabar"),
        (1, 1, 95, "intrabar"),
        (2, -1, 105, "intrabar"),
    ]


def test_t1__a_decision_knows_no_later_bar() -> None:
    seen: list[list[float]] = []

    def decide(ctx: View) -> None:
        seen.append([ctx.time, ctx.open(), ctx.high(), ctx.low(), ctx.close(), ctx.close(-1)])
        with pytest.raises(ValueError, match="not known yet"):
            ctx.close(1)

    bars = daily((1, 3, 1, 2), (3, 5, 2, 4))
    simulate(bars, ONES, Config(), decide)
    assert seen[1] == [DAY + 15 * HOUR, 3.0, 5.0, 2.0, 4.0, 2.0]
    assert math.isnan(seen[0][5])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("cash_rule", ["reduce", "reject", "debt"])
def test_t1__the_future_does_not_change_the_past(seed: int, cash_rule: str) -> None:
    bars = noise(seed, 60)
    config = Config(cash=1500.0, cash_rule=cash_rule, fee=lambda m: 0.5, slippage=lambda m: 0.004)
    whole = simulate(bars, ONES, config, gambler(seed))
    for cut in (20, 41):
        names = ("open_at", "known_at", "session", "o", "h", "l", "c", "v")
        part = simulate(Bars(*[getattr(bars, name)[:cut] for name in names]), ONES, config, gambler(seed))
        assert whole.fills[: len(part.fills)] == part.fills
        assert (whole.equity[:cut], whole.position[:cut]) == (part.equity, part.position)
        assert all(fill["time"] >= bars.open_at[cut] for fill in whole.fills[len(part.fills) :])


def test_t2__an_order_meets_the_bar_after_the_decision_first() -> None:
    outcome = play(
        daily((100, 100, 50, 100), (100, 101, 99, 100), (100, 100, 80, 90)), {0: lambda ctx: ctx.limit(1, 90)}
    )
    assert [fill["time"] for fill in outcome.fills] == [2 * DAY + 15 * HOUR]


def test_t3__open_fills_are_stamped_at_the_open_others_when_known() -> None:
    bars = daily(*flat(100), (100, 110, 100, 100))
    outcome = play(bars, {0: lambda ctx: (ctx.buy(1), ctx.stop(1, 105))})
    assert [fill["time"] for fill in outcome.fills] == [bars.open_at[1], bars.known_at[1]]
    assert [record["t_end"] for record in outcome.orders] == [bars.open_at[1], bars.known_at[1]]


def test_t4__the_account_starts_at_trade_from_and_stops_before_end() -> None:
    called: list[int] = []

    def decide(ctx: View) -> None:
        called.append(ctx.i)
        assert ctx.close(-2) == 100.0

    outcome = simulate(daily(*flat(100, 6)), ONES, Config(trade_from=2, end=5), decide)
    assert called == [2, 3, 4]
    assert (outcome.equity, outcome.metrics["exposure"]) == ([1e6] * 3, 0.0)


def test_t5__expiry_comes_before_matching_and_the_mark_before_the_decision() -> None:
    seen: list[tuple[float, float, int]] = []
    bars = daily(*flat(100), (100, 120, 100, 110))

    def decide(ctx: View) -> None:
        seen.append((ctx.equity, ctx.cash, ctx.lots))
        if ctx.i == 0:
            ctx.buy(10)

    simulate(bars, ONES, Config(), decide)
    assert seen == [(1e6, 1e6, 0), (1e6 + 100.0, 1e6 - 1000.0, 10)]
