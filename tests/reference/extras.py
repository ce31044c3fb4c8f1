"""For tests of orders beyond market, limit and stop: calendars, and a strategy that uses all of them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import Any

from tests.reference.config import Config, Outcome
from tests.reference.market import Bars, Grid
from tests.reference.view import View
from tests.reference.worked import HOUR, ONES, Ohlc, Plan, daily, flat, play

TIFS = ("GTC", "DAY", "IOC", "FOK", "GTD", "AT_OPEN", "AT_CLOSE")


def with_closes(bars: Bars, closes: Sequence[int] | None = None) -> Bars:
    """With a calendar; unless told, a session closes when the last of its bars is known."""
    if closes is None:
        last = dict(zip(bars.session, bars.known_at, strict=True))
        closes = [last[session] for session in bars.session]
    return dataclasses.replace(bars, closes=closes)


def run(plan: Plan, *ohlc: Ohlc, per_session: int = 1, grid: Grid = ONES, **choices: Any) -> Outcome:
    """Simulate a plan over bars with a calendar, of which the first stands still at 100."""
    bars = with_closes(daily(*flat(100), *ohlc, per_session=per_session))
    return play(bars, plan, Config(**choices), grid)


def explorer(seed: int, calendar: bool = True) -> Callable[[View], None]:
    """A strategy that uses every kind of order and its options, and replaces what lives."""
    tifs = TIFS if calendar else TIFS[:-1]

    def decide(ctx: View) -> None:
        draw = random.Random(f"{seed} {ctx.i} {ctx.close()}")
        q, price = draw.choice([-30, -7, -3, -1, 1, 2, 4, 30]), ctx.close()

        def near() -> float:
            return price + draw.randint(-8, 8) / draw.choice([1, 1, 2])

        def life(tifs: Sequence[str]) -> dict[str, Any]:
            given: dict[str, Any] = {"tif": draw.choice(tifs), "reduce_only": draw.random() < 0.25}
            if given["tif"] == "GTD":
                given["expires"] = ctx.time + draw.randint(-1, 40) * HOUR
            return given

        def resting() -> dict[str, Any]:
            return {
                **life(("GTC", "DAY", "GTD")),
                "post_only": draw.random() < 0.5,
                "display": draw.choice([None, 1, 2, 5]),
            }

        def distance() -> dict[str, Any]:
            return draw.choice([{"trail": 2.5}, {"ticks": 4}, {"fraction": 0.03}, {"bps": 150}])

        def change() -> None:
            live = ctx.orders()
            if live:
                parts = {"quantity": draw.randint(1, 8), "price": near(), "trigger": near()}
                some = draw.sample(sorted(parts), draw.choice([1, 1, 2, 3]))
                ctx.replace(draw.choice(live), **{name: parts[name] for name in some})

        reach = tifs[:5]  # what is for one bar of a session is a market or limit order
        acts: list[Callable[[], object]] = [
            lambda: ctx.order(q, **life(tifs)),
            lambda: ctx.limit(q, near(), **life(tifs)),
            lambda: ctx.limit(q, near(), **resting()),
            lambda: ctx.limit(q, near(), **resting()),
            lambda: ctx.stop(q, near(), **life(reach)),
            lambda: ctx.stop_limit(q, near(), near(), **life(reach)),
            lambda: ctx.market_if_touched(q, near(), **life(reach)),
            lambda: ctx.limit_if_touched(q, near(), near(), **life(reach)),
            lambda: ctx.trailing_stop(q, **distance(), **life(reach)),
            lambda: ctx.trailing_stop_limit(q, draw.choice([0.0, 1.5]), **distance(), **life(reach)),
            lambda: ctx.bracket(q, stop_loss=0.02, take_profit=0.03, tif=draw.choice(("GTC", "DAY", "IOC", "FOK"))),
            lambda: ctx.bracket(q, stop=price - q, limit=price + q, entry=near()),
            lambda: ctx.target_percent(draw.uniform(-1.5, 1.5)),
            lambda: ctx.oco(ctx.stop(q, price + 3), ctx.limit_if_touched(q, price - 3, price - 3, reduce_only=True)),
        ]
        for _ in range(draw.choice([0, 1, 1, 2])):
            draw.choice(acts)()
        change()
        if draw.random() < 0.02:
            ctx.cancel_all()

    return decide
