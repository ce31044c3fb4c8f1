"""Small worlds for cases worked by hand: daily bars at a tick of 1.0, and strategies written as a plan."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.reference.actions import Action
from tests.reference.config import Config, Model, ModelView, Outcome, Record
from tests.reference.market import Bars, Grid
from tests.reference.simulator import simulate
from tests.reference.view import View

HOUR = 3_600 * 10**9
DAY = 24 * HOUR
ONES = Grid(tick=1.0, inverse=0, lot=1.0)
CENTS = Grid(tick=0.01, inverse=100, lot=1.0)
HALF_LOTS = Grid(tick=0.25, inverse=0, lot=0.5, multiplier=4.0)

Ohlc = tuple[int, int, int, int]
Plan = Mapping[int, Callable[[View], object]]


def daily(*ohlc: Ohlc, volume: Sequence[float] = (), per_session: int = 1) -> Bars:
    """Bars of one hour from 14:00 UTC, `per_session` a day from day 0; prices in ticks."""
    starts = [DAY * (t // per_session) + HOUR * (14 + t % per_session) for t in range(len(ohlc))]
    return Bars(
        open_at=starts,
        known_at=[start + HOUR for start in starts],
        session=[t // per_session for t in range(len(ohlc))],
        o=[bar[0] for bar in ohlc],
        h=[bar[1] for bar in ohlc],
        l=[bar[2] for bar in ohlc],
        c=[bar[3] for bar in ohlc],
        v=volume or [1000.0] * len(ohlc),
    )


def noting(seen: list[ModelView], value: float) -> Model:
    """A model that answers `value` and keeps what it was shown."""

    def model(m: ModelView) -> float:
        seen.append(m)
        return value

    return model


def flat(price: int, count: int = 1) -> list[Ohlc]:
    """Bars that stand still."""
    return [(price, price, price, price)] * count


def thin(lots: Sequence[int], plan: Plan, *ohlc: Ohlc, grid: Grid = ONES, **choices: Any) -> Outcome:
    """Simulate a plan over bars, still at 100 unless given, in which at most so many `lots` trade (P1)."""
    bars = daily(*(ohlc or flat(100, len(lots))), volume=[2.0 * grid.lot * most for most in lots])
    return play(bars, plan, Config(participation=0.5, **choices), grid)


def play(
    bars: Bars, plan: Plan, config: Config | None = None, grid: Grid = ONES, actions: Sequence[Action] = ()
) -> Outcome:
    """Simulate a plan {bar: what to do at its decision}."""
    return simulate(bars, grid, config or Config(), lambda ctx: plan[ctx.i](ctx) if ctx.i in plan else None, actions)


def prices(outcome: Outcome) -> list[tuple[int, int, int, str]]:
    """(order, lots, ticks, rule) of each fill."""
    return [(fill["order"], fill["lots"], fill["ticks"], fill["rule"]) for fill in outcome.fills]


def ends(outcome: Outcome) -> list[tuple[int, str, str]]:
    """(id, status, reason) of each order."""
    return [(order["id"], order["status"], order["reason"]) for order in outcome.orders]


def order(outcome: Outcome, order_id: int) -> Record:
    """The order of that id."""
    return next(record for record in outcome.orders if record["id"] == order_id)


def noise(seed: int, count: int) -> Bars:
    draw = random.Random(seed)
    ohlc: list[Ohlc] = []
    close = 100
    for _ in range(count):
        opened = max(20, close + draw.randint(-3, 3))
        close = max(20, opened + draw.randint(-5, 5))
        ohlc.append((opened, max(opened, close) + draw.randint(0, 4), min(opened, close) - draw.randint(0, 4), close))
    return daily(*ohlc, volume=[draw.uniform(0, 500) for _ in range(count)], per_session=3)


def gambler(seed: int, tifs: Sequence[str] = ("GTC", "DAY", "IOC")) -> Callable[[View], None]:
    """A strategy that uses every kind of order; its choice at bar i depends on the seed, i and the close alone."""

    def decide(ctx: View) -> None:
        draw = random.Random(f"{seed} {ctx.i} {ctx.close()}")
        q, price, tif = draw.choice([-3, -1, 2, 4]), ctx.close(), draw.choice(tifs)
        acts: list[Callable[[], object]] = [
            lambda: ctx.order(q, tif),
            lambda: ctx.limit(q, price + draw.randint(-4, 4), tif),
            lambda: ctx.stop(q, price + draw.randint(-4, 4), tif),
            lambda: ctx.stop_limit(q, price + draw.randint(-4, 4), price + draw.randint(-4, 4), tif),
            lambda: ctx.trailing_stop(q, fraction=0.03, tif=tif),
            lambda: ctx.bracket(q, stop_loss=0.02, take_profit=0.03),
            lambda: ctx.bracket(q, stop=price - q, limit=price + q, entry=price, tif=tif),
            lambda: ctx.target_percent(draw.uniform(-1.5, 1.5)),
            lambda: ctx.oco(ctx.stop(q, price + 3), ctx.limit(q, price - 3)),
            lambda: ctx.cancel_all(),
        ]
        draw.choice(acts)()

    return decide
