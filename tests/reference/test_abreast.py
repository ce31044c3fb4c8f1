"""Hand-worked portfolios on paths (X10) and in finer bars (X11)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.reference import Bars, Config, Grid, simulate_portfolio
from tests.reference.actions import Action
from tests.reference.worked import DAY, HOUR, ends
from tests.reference.worlds import clock_of, fills, hold, sparse, still

HALF = HOUR // 2
DIPS = (100, 101, 90, 100)


def both(ctx):  # type: ignore[no-untyped-def]
    ctx[0].limit(100, 95)
    ctx[1].limit(100, 95)


def test_x10__those_that_are_met_in_one_round_share() -> None:
    """19,000 wanted of 10,000: each gets trunc(100 * 10/19)."""
    for columns in ((DIPS, (96, 96, 95, 96)), ((96, 96, 95, 96), DIPS)):
        rows = [[(100, 100, 100, 100), column] for column in columns]
        outcome = hold({0: both}, *rows, cash=10_000.0, path="low_first", limit="touch")
        assert fills(outcome) == [(1, 0, 52, 95), (2, 1, 52, 95)]
        assert ends(outcome) == [(1, "cancelled", "cut_cash"), (2, "cancelled", "cut_cash")]


@pytest.mark.parametrize(("path", "bought"), [("high_first", 100), ("low_first", 5), ("nearest_first", 100)])
def test_x10__legs_run_side_by_side(path: str, bought: int) -> None:
    """500 beside 100 units: sold at 105 on the way up, for 100 of the other at 95 on its way down, of the lower id."""

    def swap(ctx):  # type: ignore[no-untyped-def]
        ctx[1].limit(100, 95)
        ctx[0].limit(-100, 105)

    sold, cheap = [*still(100, 100), (104, 106, 99, 100)], [*still(100, 100), (96, 106, 94, 100)]
    plan = {0: lambda ctx: ctx[0].order(100), 1: swap}
    outcome = hold(plan, sold, cheap, cash=10_500.0, path=path, limit="touch")
    assert sorted(fills(outcome)) == [(1, 0, 100, 100), (2, 1, bought, 95), (3, 0, -100, 105)]


def test_x10__what_trails_follows_the_legs_of_its_own_asset() -> None:
    """Of a stop 5 below: 106 has been before 99 there, which is none of the other's business."""
    plan = {
        0: lambda ctx: (ctx[0].order(1), ctx[1].order(1)),
        1: lambda ctx: (ctx[0].trailing_stop(-1, 5), ctx[1].trailing_stop(-1, 5)),
    }
    columns = [[*still(100, 100), bar] for bar in ((100, 106, 99, 100), (100, 101, 99, 100))]
    outcome = hold(plan, *columns, path="high_first")
    assert fills(outcome)[2:] == [(3, 0, -1, 101)]


def opened(k: int) -> int:
    """When the `k`-th half hour opens: two in each daily bar, which is of one hour."""
    return DAY * (k // 2) + 14 * HOUR + k % 2 * HALF


def finer_of(*prices: int) -> Bars:
    """Half hours."""
    times = [opened(k) for k in range(len(prices))]
    p = list(prices)
    return Bars(times, [t + HALF for t in times], [k // 2 for k in range(len(p))], p, p, p, p, [10.0] * len(p))


def test_x11__the_halves_of_an_hour_come_in_turn() -> None:
    """Sold in the first half, bought in the second: the cash is there; the other way round it is not."""
    clock, found = clock_of(3), []
    for early in (0, 1):
        a = [100, 100, 100, 100, *([105, 100] if early == 0 else [100, 105])]
        b = [100, 100, 100, 100, *([100, 95] if early == 0 else [95, 100])]
        assets = []
        for prices in (a, b):
            days = [(prices[k], max(prices[k : k + 2]), min(prices[k : k + 2]), prices[k + 1]) for k in (0, 2, 4)]
            assets.append(replace(sparse(clock, [(day, 20.0) for day in days]), finer=finer_of(*prices)))

        def decide(ctx):  # type: ignore[no-untyped-def]
            if ctx.i == 0:
                ctx[0].order(100)
            if ctx.i == 1:
                ctx[1].limit(100, 95)
                ctx[0].limit(-100, 105)

        config = Config(cash=10_500.0, path="finer", limit="touch")
        outcome = simulate_portfolio(clock, assets, config, decide)
        found.append([(fill["asset"], fill["lots"], fill["time"]) for fill in outcome.fills])
    assert found[0] == [(0, 100, opened(2)), (0, -100, opened(4)), (1, 100, opened(5))]
    assert found[1] == [(0, 100, opened(2)), (1, 5, opened(4)), (0, -100, opened(5))]


def test_x11__funding_comes_before_the_first_finer_bar_of_the_clock_after_it() -> None:
    """Two units at the close of the first half, 110, though the asset has no second one."""
    clock = clock_of(3)
    prices = [100, 100, 100, 100, 110, 110]
    days = [((p, p, p, p), 20.0) for p in (100, 100, 110)]
    mine = finer_of(*prices)
    columns = mine.open_at, mine.known_at, mine.session, *[mine.o] * 4, mine.v
    short = Bars(*(values[:5] for values in columns))
    assets = [replace(sparse(clock, days), finer=short), replace(sparse(clock, days), finer=mine)]
    funding = Action("funding", 0, opened(5), 0.01)

    def decide(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].order(2)

    outcome = simulate_portfolio(clock, assets, Config(path="finer"), decide, [funding])
    assert [(row["kind"], row["amount"]) for row in outcome.actions] == [("funding", -2.2)]


def test_x11__finer_bars_and_their_path_go_together() -> None:
    clock = clock_of(2)
    bare = sparse(clock, [((1, 1, 1, 1), 1.0)] * 2, Grid(1.0, 0, 1.0))
    fine = replace(bare, finer=finer_of(1, 1, 1, 1))
    for assets, path in (([bare], "finer"), ([fine], "stop_first"), ([bare, fine], "finer")):
        with pytest.raises(ValueError, match=r"^Config\.path"):
            simulate_portfolio(clock, assets, Config(path=path), lambda ctx: None)


def test_l7__isolated_positions_have_no_path() -> None:
    margin = {"initial": 0.1, "maintenance": 0.05, "path": "high_first"}
    assert hold({}, still(100, 100), **margin).orders == []
    with pytest.raises(ValueError, match=r"^Config\.path"):
        hold({}, still(100, 100), **margin, isolated=True)
