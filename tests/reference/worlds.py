"""Small portfolios for cases worked by hand: columns of daily bars, `None` where an asset has no bar."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.reference.actions import Action
from tests.reference.config import Config, Outcome
from tests.reference.market import Asset, Bars, Clock, Grid
from tests.reference.portfolio import PortfolioView, simulate_portfolio
from tests.reference.worked import ONES, Ohlc, daily, flat, gambler, noise

Column = Sequence[Ohlc | None]
PortfolioPlan = Mapping[int, Callable[[PortfolioView], object]]


def still(*prices: int | None) -> list[Ohlc | None]:
    """Bars that stand still at these prices."""
    return [None if price is None else (price, price, price, price) for price in prices]


def clock_of(count: int, per_session: int = 1) -> Clock:
    bars = daily(*flat(100, count), per_session=per_session)
    return Clock(bars.open_at, bars.known_at, bars.session)


def sparse(clock: Clock, ohlcv: Sequence[tuple[Ohlc, float] | None], grid: Grid = ONES) -> Asset:
    """An asset with these bars and volumes of the clock."""
    here = [t for t, bar in enumerate(ohlcv) if bar is not None]
    found = [bar for bar in ohlcv if bar is not None]
    times = [[values[t] for t in here] for values in (clock.open_at, clock.known_at, clock.session)]
    prices = [[bar[0][part] for bar in found] for part in range(4)]
    rows = [here.index(t) if t in here else -1 for t in range(len(clock))]
    return Asset(Bars(*times, *prices, [bar[1] for bar in found]), grid, rows)


def hold(
    plan: PortfolioPlan,
    *columns: Column,
    grids: Sequence[Grid] = (),
    volumes: Sequence[Sequence[float]] = (),
    per_session: int = 1,
    actions: Sequence[Action] = (),
    **choices: Any,
) -> Outcome:
    """Simulate a plan {bar: what to do at its decision}; volumes are 1000 a bar unless given for each clock bar."""
    clock = clock_of(len(columns[0]), per_session)
    assets = []
    for k, column in enumerate(columns):
        volume = volumes[k] if volumes else [1000.0] * len(column)
        bars = [None if bar is None else (bar, v) for bar, v in zip(column, volume, strict=True)]
        assets.append(sparse(clock, bars, grids[k] if grids else ONES))

    def decide(ctx: PortfolioView) -> None:
        if ctx.i in plan:
            plan[ctx.i](ctx)

    return simulate_portfolio(clock, assets, Config(**choices), decide, actions)


def fills(outcome: Outcome) -> list[tuple[int, int, int, int]]:
    """(order, asset, lots, ticks) of each fill."""
    return [(fill["order"], fill["asset"], fill["lots"], fill["ticks"]) for fill in outcome.fills]


def noisy(seed: int, count: int, n: int, gaps: float, grids: Sequence[Grid]) -> tuple[Clock, list[Asset]]:
    """A portfolio of noise in which a share of the bars is missing."""
    draw = random.Random(seed)
    clock = clock_of(count, per_session=3)
    assets = []
    for k in range(n):
        bars = noise(seed + k, count)
        ohlc = list(zip(bars.o, bars.h, bars.l, bars.c, strict=True))
        column = [None if draw.random() < gaps else (ohlc[t], bars.v[t]) for t in range(count)]
        assets.append(sparse(clock, column, grids[k]))
    return clock, assets


def gamblers(seed: int, n: int, tifs: Sequence[str] = ("GTC", "DAY", "IOC")) -> Callable[[PortfolioView], None]:
    """Uses every kind of order in every asset, groups across assets, and weights."""
    each = [gambler(seed + 7 * k, tifs) for k in range(n)]

    def decide(ctx: PortfolioView) -> None:
        draw = random.Random(f"{seed} {ctx.i}")
        for k in range(n):
            if draw.random() < 0.6:
                each[k](ctx[k])
        if draw.random() < 0.2:
            ctx.weights([draw.uniform(-1.0, 1.0) for _ in range(n)])
        if draw.random() < 0.1:
            ctx.oco(ctx[0].limit(2, 90.0), ctx[n - 1].stop(2, 110.0))
        if draw.random() < 0.05:
            ctx.cancel_all()

    return decide
