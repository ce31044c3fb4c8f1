"""What holds of portfolios whatever is traded (X1-X8)."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import Asset, Bars, Clock, Config, Outcome, PortfolioView, View, models, simulate
from tests.reference import simulate_portfolio as run
from tests.reference.config import PATHS_ASK
from tests.reference.worked import CENTS, HALF_LOTS, ONES, noise
from tests.reference.worlds import clock_of, gamblers, noisy, sparse

TIFS = ("GTC", "DAY", "IOC", "FOK")
GRIDS = (CENTS, ONES, HALF_LOTS)
INDEXED = ("sb", "sbb", "sxb")  # X8 divides by the first price where M2 does not


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Any venue and fill model of a portfolio."""
    path = draw(st.sampled_from(["stop_first", "stop_first", "close"]))
    asks = PATHS_ASK.get(path, {})
    choices: dict[str, Any] = {
        "market": draw(st.sampled_from(asks.get("market", ("next_open", "same_close", "next_close", "next_typical")))),
        "stop_gap": draw(st.sampled_from(asks.get("stop_gap", ("open", "trigger", "close")))),
        "close_out": draw(st.sampled_from(asks.get("close_out", ("none", "last_open", "last_close")))),
    }
    return Config(
        cash=draw(st.sampled_from([300.0, 1500.0, 4000.0, 1e5])),
        cash_rule=draw(st.sampled_from(["reduce", "reduce", "reject", "debt"])),
        fee=draw(st.sampled_from([None, models.per_unit_fee(0.25, 1.0), models.fraction_fee(0.013)])),
        slippage=draw(st.sampled_from([None, models.square_root_slippage(0.05)])),
        limit=draw(st.sampled_from(["through", "touch"])),
        same_bar=draw(st.sampled_from(["adverse", "next"])),
        trailing=draw(st.sampled_from(["check_first", "update_first"])),
        sizing=draw(st.sampled_from(["at_decision", "at_fill"])),
        participation=draw(st.sampled_from([None, 0.002, 0.01, 0.2])),
        trade_from=draw(st.sampled_from([0, 5])),
        path=path,
        **choices,
    )


def closes(asset: Asset, t: int) -> int:
    """The close of the last bar at or before `t` of the clock, 0 for none."""
    row = max(asset.rows[: t + 1])
    return asset.bars.c[row] if row >= 0 else 0


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), configs(), st.integers(1, 3), st.sampled_from([0.0, 0.3]))
def test_x3__what_is_bought_is_held_paid_for_and_marked(seed: int, config: Config, n: int, gaps: float) -> None:
    clock, assets = noisy(seed, 50, n, gaps, GRIDS)
    outcome = run(clock, assets, config, gamblers(seed, n, TIFS))
    cash, positions = config.cash, [0] * n
    for fill in outcome.fills:
        k = fill["asset"]
        cash = (cash - assets[k].grid.notional(fill["ticks"], fill["lots"])) - fill["fee"]
        positions[k] += fill["lots"]
    if not outcome.metrics["ruined"]:
        assert (outcome.cash[-1], [curve[-1] for curve in outcome.position]) == (cash, positions)
    for i, (equity, left) in enumerate(zip(outcome.equity, outcome.cash, strict=True)):
        for k, asset in enumerate(assets):
            if outcome.position[k][i] != 0:
                left = left + asset.grid.notional(closes(asset, config.trade_from + i), outcome.position[k][i])
        assert equity == left
    for order in outcome.orders:
        fills = [fill for fill in outcome.fills if fill["order"] == order["id"]]
        assert order["status"] != "live"
        assert order["filled"] == sum(fill["lots"] for fill in fills)
        assert all(fill["lots"] * order["lots"] > 0 and fill["asset"] == order["asset"] for fill in fills)
        if order["tif"] == "FOK" and order["status"] != "rejected":
            assert (order["status"], order["filled"]) == ("filled", order["lots"]) or order["filled"] == 0
    for k, curve in enumerate(outcome.position):
        pnl = [trade["lots"] for trade in outcome.trades if trade["asset"] == k]
        assert len(pnl) <= sum(fill["asset"] == k for fill in outcome.fills)
        assert curve[-1] == 0 or not outcome.metrics["ruined"]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), configs(), st.sampled_from([0.0, 0.3]))
def test_x1__fills_are_at_bars_of_their_asset_and_within_its_volume(seed: int, config: Config, gaps: float) -> None:
    config = dataclasses.replace(config, participation=0.01, close_out="none")
    if config.market == "same_close":
        config = dataclasses.replace(config, market="next_open")
    clock, assets = noisy(seed, 50, 2, gaps, GRIDS)
    traded: dict[tuple[int, int], int] = {}
    for fill in run(clock, assets, config, gamblers(seed, 2, TIFS)).fills:
        bars = assets[fill["asset"]].bars
        bar = (bars.open_at if fill["rule"] == "open" else bars.known_at).index(fill["time"])
        traded[fill["asset"], bar] = traded.get((fill["asset"], bar), 0) + abs(fill["lots"])
    for (k, bar), lots in traded.items():
        assert lots * assets[k].grid.lot <= 0.01 * assets[k].bars.v[bar]


Ticket = tuple[int, int, int, int, str]  # bar, asset, lots, price or 0 for a market order, tif


def tickets(draw: random.Random, n: int) -> list[Ticket]:
    return [
        (
            draw.randint(0, 25),
            draw.randrange(n),
            draw.choice([-9, -4, -1, 2, 5, 8]),
            draw.choice([0, draw.randint(80, 120)]),
            draw.choice(TIFS),
        )
        for _ in range(40)
    ]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.permutations(range(3)), st.sampled_from(["reduce", "reject"]), st.booleans())
def test_x5__no_order_fares_better_for_its_column(seed: int, swap: list[int], cash_rule: str, costs: bool) -> None:
    """Assets with the same bars, and sums that are exact in float64, so that their order does not count."""
    draw, bars, clock = random.Random(seed), noise(seed, 30), clock_of(30, per_session=3)
    fee, slippage = (lambda m: 0.25 * m.quantity, lambda m: 0.0625) if costs else (None, None)
    config = Config(
        cash=2000.0, cash_rule=cash_rule, fee=fee, slippage=slippage, participation=draw.choice([None, 0.02])
    )
    plan = tickets(draw, 3)
    assets = [Asset(bars, ONES, list(range(30)))] * 3

    def decide(columns: Sequence[int]) -> Callable[[PortfolioView], None]:
        def submit(ctx: PortfolioView) -> None:
            for bar, asset, lots, price, tif in plan:
                if bar == ctx.i and price == 0:
                    ctx[columns[asset]].order(lots, tif)
                elif bar == ctx.i:
                    ctx[columns[asset]].limit(lots, price, tif)

        return submit

    def told(outcome: Outcome) -> Any:
        fills = [(f["order"], f["time"], f["lots"], f["ticks"], f["fee"]) for f in outcome.fills]
        return fills, [(o["id"], o["status"], o["reason"], o["t_end"]) for o in outcome.orders], outcome.equity

    plain, swapped = run(clock, assets, config, decide(range(3))), run(clock, assets, config, decide(swap))
    assert told(plain) == told(swapped)
    assert plain.position == [swapped.position[k] for k in swap]


def single(seed: int) -> Callable[[View], None]:
    """At most one live order at a time, of any kind that is one order."""

    def decide(ctx: View) -> None:
        draw = random.Random(f"{seed} {ctx.i}")
        if ctx.orders() and draw.random() < 0.7:
            return
        ctx.cancel_all()
        q, price, tif = draw.choice([-9, -3, 2, 6, 14]), ctx.close(), draw.choice(TIFS)
        acts: list[Callable[[], object]] = [
            lambda: ctx.order(q, tif),
            lambda: ctx.limit(q, price + draw.randint(-4, 4), tif),
            lambda: ctx.stop(q, price + draw.randint(-4, 4), tif),
            lambda: ctx.stop_limit(q, price + draw.randint(-4, 4), price + draw.randint(-4, 4), tif),
            lambda: ctx.trailing_stop(q, fraction=0.03, tif=tif),
            lambda: ctx.target(q),
            lambda: ctx.target_percent(draw.uniform(-1.5, 1.5)),
        ]
        draw.choice(acts)()

    return decide


def told_all(outcome: Outcome, position: list[int]) -> str:
    """Everything but what X8 changes and the number of the asset, as text, in which NaN equals itself."""
    rows = [*outcome.fills, *outcome.orders, *outcome.trades, *outcome.blocks]
    skipped = ("asset", *INDEXED)
    told = [sorted((name, value) for name, value in row.items() if name not in skipped) for row in rows]
    return repr((told, outcome.equity, outcome.cash, position, outcome.k, outcome.metrics))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), configs(), st.sampled_from(GRIDS), st.booleans())
def test_x__one_order_at_a_time_in_one_asset_is_as_without_a_portfolio(
    seed: int, config: Config, grid: Any, idle: bool
) -> None:
    bars = noise(seed, 60)
    clock = Clock(bars.open_at, bars.known_at, bars.session)
    alone = simulate(bars, grid, config, single(seed))
    assets = [Asset(bars, grid, list(range(60)))]
    if idle:  # a second asset that is never traded, and the band that is halved by it
        assets.append(sparse(clock, [None if t % 3 else ((7, 9, 5, 8), 1.0) for t in range(60)]))
        config = dataclasses.replace(config, band=2.0 * config.band)
    together = run(clock, assets, config, lambda ctx: single(seed)(ctx[0]))
    assert told_all(together, together.position[0]) == told_all(alone, alone.position)
    if not idle:
        for one, other in zip(alone.blocks, together.blocks, strict=True):
            assert [other[name] for name in INDEXED] == pytest.approx([one[name] for name in INDEXED], abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("cash_rule", ["reduce", "reject", "debt"])
def test_t1__the_future_does_not_change_the_past(seed: int, cash_rule: str) -> None:
    clock, assets = noisy(seed, 60, 3, 0.3, GRIDS)
    config = Config(cash=1500.0, cash_rule=cash_rule, slippage=lambda m: 0.004, participation=0.01)
    whole = run(clock, assets, config, gamblers(seed, 3, TIFS))
    short = Clock(clock.open_at[:40], clock.known_at[:40], clock.session[:40])
    cut = []
    for asset in assets:
        count = sum(row >= 0 for row in asset.rows[:40])
        names = ("open_at", "known_at", "session", "o", "h", "l", "c", "v")
        cut.append(Asset(Bars(*[getattr(asset.bars, name)[:count] for name in names]), asset.grid, asset.rows[:40]))
    part = run(short, cut, config, gamblers(seed, 3, TIFS))
    assert whole.fills[: len(part.fills)] == part.fills
    assert (whole.equity[:40], [curve[:40] for curve in whole.position]) == (part.equity, part.position)


def test_x__the_gamblers_meet_what_the_checks_are_about() -> None:
    """The checks above would say nothing of portfolios in which cash is never shared and nothing reduces first."""
    reasons: dict[str, int] = {}
    out_of_order = 0
    for seed in range(20):
        clock, assets = noisy(seed, 100, 3, 0.2, (ONES, ONES, ONES))
        outcome = run(clock, assets, Config(cash=1500.0, participation=0.2), gamblers(seed, 3, TIFS))
        for order in outcome.orders:
            reasons[order["reason"]] = reasons.get(order["reason"], 0) + 1
        for one, other in zip(outcome.fills, outcome.fills[1:], strict=False):
            out_of_order += one["time"] == other["time"] and one["order"] > other["order"] and one["rule"] == "open"
    assert out_of_order > 20
    assert all(reasons.get(reason, 0) > 10 for reason in ("cut_cash", "oco", "position_closed", "parent_ended", "day"))
