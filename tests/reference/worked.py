"""Small worlds for cases worked by hand: daily bars at a tick of 1.0, and strategies written as a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.reference.config import Config, Model, ModelView, Outcome, Record
from tests.reference.market import Bars, Grid
from tests.reference.simulator import simulate
from tests.reference.view import View

HOUR = 3_600 * 10**9
DAY = 24 * HOUR
ONES = Grid(tick=1.0, inverse=0, lot=1.0)
CENTS = Grid(tick=0.01, inverse=100, lot=1.0)

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


def play(bars: Bars, plan: Plan, config: Config | None = None, grid: Grid = ONES) -> Outcome:
    """Simulate a plan {bar: what to do at its decision}."""
    return simulate(bars, grid, config or Config(), lambda ctx: plan[ctx.i](ctx) if ctx.i in plan else None)


def prices(outcome: Outcome) -> list[tuple[int, int, int, str]]:
    """(order, lots, ticks, rule) of each fill."""
    return [(fill["order"], fill["lots"], fill["ticks"], fill["rule"]) for fill in outcome.fills]


def ends(outcome: Outcome) -> list[tuple[int, str, str]]:
    """(id, status, reason) of each order."""
    return [(order["id"], order["status"], order["reason"]) for order in outcome.orders]


def order(outcome: Outcome, order_id: int) -> Record:
    """The order of that id."""
    return next(record for record in outcome.orders if record["id"] == order_id)
