"""For tests of what happens by the calendar: worlds of one asset with actions, sessions apart, and short looks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from tests.reference.actions import Action
from tests.reference.config import Config, Outcome
from tests.reference.market import Grid
from tests.reference.worked import DAY, HOUR, ONES, Ohlc, Plan, daily, play


def opened(t: int) -> int:
    """`open_at` of a bar of `daily`, of one a session."""
    return t * DAY + 14 * HOUR


def known(t: int) -> int:
    """`known_at` of it."""
    return t * DAY + 15 * HOUR


def live(
    plan: Plan,
    actions: Sequence[Action],
    *ohlc: Ohlc | int,
    grid: Grid = ONES,
    session: Sequence[int] | None = None,
    volume: Sequence[float] = (),
    **choices: Any,
) -> Outcome:
    """Simulate a plan over bars, a number for one that stands still; `session` in the place of one a bar."""
    bars = daily(*((bar,) * 4 if isinstance(bar, int) else bar for bar in ohlc), volume=volume)
    if session is not None:
        bars = dataclasses.replace(bars, session=session)
    return play(bars, plan, Config(**choices), grid, actions)


def happened(outcome: Outcome) -> list[tuple[str, int, float]]:
    """(kind, position, amount) of each amount or change besides fills."""
    return [(record["kind"], record["position"], record["amount"]) for record in outcome.actions]


def samples(outcome: Outcome) -> list[float]:
    """M2: `b` of each session, of which there are fewer than 64."""
    return [block["sb"] for block in outcome.blocks]
