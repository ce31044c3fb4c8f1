"""What holds for the calendar and for margin whatever the numbers (E, L)."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.reference import Action, Bars, Config, Grid, PortfolioView, View, simulate, simulate_portfolio
from tests.reference.account import Account
from tests.reference.extras import explorer, with_closes
from tests.reference.liquidation import Liquidator
from tests.reference.orders import Book
from tests.reference.worked import CENTS, ONES, daily, flat, gambler, noise
from tests.reference.worlds import gamblers, noisy

QUARTERS = Grid(tick=0.25, inverse=0, lot=1.0)
BARS = 60


def drawn(seed: int, bars: Any, count: int, n: int = 1, ending: bool = True) -> list[Action]:
    """Actions of all kinds at times between and within the bars."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        kind = draw.choice(["split", "dividend", "funding", "funding"])
        t = draw.randrange(len(bars.open_at))
        time = draw.choice([bars.open_at[t], bars.open_at[t] + 1, bars.known_at[t], bars.known_at[t] - 7])
        value = {"split": draw.choice([2.0, 0.5, 1.1]), "dividend": draw.choice([0.5, 3.0])}.get(
            kind, draw.uniform(-0.01, 0.01)
        )
        price = draw.choice([95.0, float("nan")]) if kind == "funding" else float("nan")
        found.append(Action(kind, draw.randrange(n), time, value, price))
    if ending:
        found.append(Action("delisting", draw.randrange(n), bars.known_at[-5], draw.choice([90.0, float("nan")])))
    return found


MARGINS: list[dict[str, Any]] = [
    {},
    {"initial": 0.2, "maintenance": ([0.0, 2000.0], [0.1, 0.15]), "margin_fee": 0.01},
    {"initial": 0.2, "maintenance": 0.1, "maintenance_short": 0.15, "isolated": True, "margin_fee": 0.01},
    {"initial": 0.5, "maintenance": 0.1, "protected": False, "path": "close", "market": "next_close"},
]


def config(margin: int, **choices: Any) -> Config:
    rates: Any = {"interest": 0.03, "loan": lambda time: 0.08, "borrow": 0.02}
    return Config(cash=1500.0, fee=lambda m: 0.25, slippage=lambda m: 0.002, **rates, **MARGINS[margin], **choices)


@pytest.mark.parametrize("margin", range(len(MARGINS)))
@pytest.mark.parametrize("seed", range(12))
def test_e_l__cash_is_what_round_trips_interest_and_the_fund_brought(seed: int, margin: int) -> None:
    bars = with_closes(noise(seed, BARS))
    strategy = explorer(seed) if seed % 2 else gambler(seed)
    outcome = simulate(bars, ONES, config(margin, close_out="last_close"), strategy, drawn(seed, bars, 25))
    brought = sum(trade["pnl"] for trade in outcome.trades)
    given = sum(record["amount"] for record in outcome.actions if record["kind"] in ("interest", "insurance"))
    assert outcome.position[-1] == 0
    assert outcome.cash[-1] - outcome.metrics["debt"] == pytest.approx(1500.0 + brought + given, abs=1e-6)
    for order in outcome.orders:
        booked = sum(fill["lots"] for fill in outcome.fills if fill["order"] == order["id"])
        assert order["filled"] == booked or any(record["kind"] == "split" for record in outcome.actions)


@pytest.mark.parametrize("margin", range(len(MARGINS)))
@pytest.mark.parametrize("seed", range(6))
def test_e_l__the_future_does_not_change_the_past(seed: int, margin: int) -> None:
    bars = noise(seed, BARS)
    actions = drawn(seed, bars, 25)
    whole = simulate(bars, ONES, config(margin), gambler(seed), actions)
    for cut in (20, 41):
        names = ("open_at", "known_at", "session", "o", "h", "l", "c", "v")
        first = Bars(*[getattr(bars, name)[:cut] for name in names])
        part = simulate(first, ONES, config(margin), gambler(seed), actions)
        assert (whole.equity[:cut], whole.position[:cut]) == (part.equity, part.position)
        assert (whole.fills[: len(part.fills)], whole.actions[: len(part.actions)]) == (part.fills, part.actions)


@pytest.mark.parametrize("seed", range(10))
def test_e_l__the_worth_of_a_portfolio_is_what_has_been_booked(seed: int) -> None:
    clock, assets = noisy(seed, BARS, 3, 0.15, [ONES, CENTS, QUARTERS])
    funds: list[Any] = []

    def decide(ctx: PortfolioView) -> None:
        funds.append(ctx[0]._account)
        gamblers(seed, 3)(ctx)

    actions = drawn(seed, clock, 40, n=3)
    outcome = simulate_portfolio(clock, assets, config(seed % 2), decide, actions)
    worth = 1500.0 + sum(trade["pnl"] for trade in outcome.trades)
    worth += sum(record["amount"] for record in outcome.actions if record["kind"] in ("interest", "insurance"))
    for holding in funds[0].held():
        worth += holding.open_trade["pnl"] + holding.grid.notional(holding.close, holding.position)
    assert outcome.equity[-1] - outcome.metrics["debt"] == pytest.approx(worth, abs=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_e1__a_portfolio_of_one_is_the_account_of_one(seed: int) -> None:
    clock, assets = noisy(seed, BARS, 1, 0.0, [ONES])
    actions = drawn(seed, clock, 25)

    def decide(ctx: View) -> None:  # one order at a time, which the walks of a portfolio cannot tell apart (X4)
        draw = random.Random(f"{seed} {ctx.i}")
        ctx.cancel_all()
        q, price = draw.choice([-6, -2, 3, 7]), ctx.close() + draw.randint(-3, 3)
        draw.choice([lambda: ctx.order(q), lambda: ctx.limit(q, price), lambda: ctx.stop(q, price)])()

    alone = simulate(assets[0].bars, ONES, config(0), decide, actions)
    one = simulate_portfolio(clock, assets, config(0), lambda ctx: decide(ctx[0]), actions)
    assert (alone.equity, alone.actions) == (one.equity, one.actions)


def halves(seed: int, u: int) -> tuple[Bars, Bars]:
    """A market of whole prices, and the same one that splits in two before bar `u`, on a grid of quarters."""
    bars = noise(seed, BARS)
    worlds = []
    for after in (4, 2):
        change = {name: [p * (4 if t < u else after) for t, p in enumerate(getattr(bars, name))] for name in "ohlc"}
        worlds.append(dataclasses.replace(bars, **change))
    return worlds[0], worlds[1]


def halving(seed: int, u: int, r: float) -> Callable[[View], None]:
    """Submits in bars from `u` on `r` times the lots at an `r`th of the price."""

    def decide(ctx: View) -> None:
        draw = random.Random(f"{seed} {ctx.i}")
        s = r if ctx.i >= u else 1.0
        q, price, away = draw.choice([-4, -2, 2, 6]) * s, round(ctx.close() * s), draw.randint(1, 6)
        up, down = (price + away) / s, (price - away) / s
        acts: list[Callable[[], object]] = [
            lambda: ctx.order(q),
            lambda: ctx.limit(q, down if q > 0 else up),
            lambda: ctx.stop(q, up if q > 0 else down),
            lambda: ctx.stop_limit(q, up if q > 0 else down, (price + 2 if q > 0 else price - 2) / s),
            lambda: ctx.limit_if_touched(q, down if q > 0 else up, price / s),
            lambda: ctx.trailing_stop(q, trail=away / s),
            lambda: ctx.trailing_stop_limit(q, 1.0 / s, trail=away / s),
            lambda: ctx.bracket(abs(q), stop=down, limit=up),
            lambda: ctx.target(q),
        ]
        draw.choice(acts)()

    return decide


@pytest.mark.parametrize("seed", range(20))
def test_e2__a_split_changes_nothing_that_counts(seed: int) -> None:
    u = 30
    plain, parted = halves(seed, u)
    rules: Any = {"limit": "touch", "cash_rule": "debt", "fee": lambda m: m.notional / 1024.0}
    one = simulate(plain, QUARTERS, Config(**rules), halving(seed, u, 1.0))
    two = simulate(
        parted, QUARTERS, Config(**rules), halving(seed, u, 2.0), [Action("split", 0, plain.open_at[u], 2.0)]
    )
    assert (one.equity, one.cash) == (two.equity, two.cash)
    assert [held * (2 if t >= u else 1) for t, held in enumerate(one.position)] == two.position
    assert [trade["pnl"] for trade in one.trades] == [trade["pnl"] for trade in two.trades]
    assert [(o["id"], o["status"], o["reason"], o["t_end"]) for o in one.orders] == [
        (o["id"], o["status"], o["reason"], o["t_end"]) for o in two.orders
    ]
    assert len(one.blocks) == len(two.blocks)
    assert [block["sb"] for block in one.blocks] == [block["sb"] for block in two.blocks]


@pytest.mark.parametrize("seed", range(40))
def test_l3__the_price_is_the_nearest_that_is_too_little(seed: int) -> None:
    draw = random.Random(seed)
    position = draw.choice([-1, 1]) * draw.randint(1, 40)
    cash = -position * 100.0 + draw.uniform(0.0, 2000.0)
    margins = Config(maintenance=([0.0, 500.0, 3000.0], [0.05, 0.1, 0.3]))
    account = Account(daily(*flat(100)), ONES, margins, cash=cash, equity=cash, position=position)
    holding, watch = account.holdings[0], Liquidator(account.purses[0], account, Book())
    short_of = [k for k in range(1, 20_000) if watch.balance(holding, k) <= (watch.maintenance(holding, k) or 0.0)]
    found = watch.price(holding)
    if position > 0:
        assert found == (max(short_of) if short_of else None)
    else:
        assert found == min(short_of)


@pytest.mark.parametrize("seed", range(30))
def test_l3__no_price_of_a_bar_was_beyond_the_liquidation_price_of_what_is_kept(seed: int) -> None:
    """Market orders at the open alone: what stands at the end of a bar has balance above its margin in all of it."""
    bars = noise(seed, BARS)
    margins = Config(cash=1500.0, initial=0.2, maintenance=0.1, isolated=seed % 2 == 1)
    kept: list[bool] = []

    def decide(ctx: View) -> None:
        draw = random.Random(f"{seed} {ctx.i}")
        if ctx.lots != 0:
            watch = Liquidator(ctx._account.purses[0], ctx._account, ctx._book)
            level = watch.price(ctx._holding)
            worst = bars.l[ctx.i] if ctx.lots > 0 else bars.h[ctx.i]
            kept.append(level is None or (worst > level if ctx.lots > 0 else worst < level))
        ctx.order(draw.choice([-40, -10, 10, 40, 70]))

    outcome = simulate(bars, ONES, margins, decide)
    assert kept
    assert all(kept)
    assert any(order["reason"] == "liquidation" for order in outcome.orders) or len(outcome.fills) > 1
