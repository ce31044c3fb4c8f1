"""What happens to an asset by the calendar, and the bar and place at which it takes effect (E1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.reference.holding import Holding
from tests.reference.market import Clock

KINDS = ("split", "dividend", "funding", "delisting")  # E1: in this order at one time


@dataclass(frozen=True)
class Action:
    """A fact of asset `asset`, from 0, at `time` in ns.

    `value` is a split's new units for each old one, a dividend's amount a unit, a funding's rate (NaN for none), or a
    delisting's price (NaN for the last one); `price` is the mark of a funding (NaN for the last close).
    """

    kind: str
    asset: int
    time: int
    value: float = math.nan
    price: float = math.nan

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Action.kind is {self.kind!r}, wanted one of {', '.join(KINDS)}")
        if self.kind == "split" and not (math.isfinite(self.value) and self.value > 0.0):  # E2
            raise ValueError(f"a split has {self.value!r} new units for each old one, wanted more than 0")
        if self.kind == "dividend" and not math.isfinite(self.value):
            raise ValueError(f"a dividend is {self.value!r} a unit, wanted a finite number")


@dataclass(frozen=True)
class Schedule:
    """E1: for each bar of the clock what takes effect in it, in order, by the place in the bar."""

    first: list[list[Action]] = field(default_factory=list)
    within: list[list[Action]] = field(default_factory=list)
    last: list[list[Action]] = field(default_factory=list)


def place(action: Action, clock: Clock, holding: Holding) -> tuple[str, int] | None:
    """E1: the place and the bar; None for an action that the data does not reach."""
    bars = range(len(clock))
    if action.kind == "delisting":
        due = [t for t in bars if clock.known_at[t] >= action.time]
        return ("last", due[0]) if due else None
    if action.kind == "funding":
        inside = [t for t in bars if clock.open_at[t] < action.time < clock.known_at[t]]
        if inside:
            return "within", inside[0]
        due = [t for t in bars if clock.open_at[t] >= action.time]
    else:
        due = [t for t in bars if clock.open_at[t] >= action.time and holding.rows[t] >= 0]
    return ("first", due[0]) if due else None


def schedule(actions: Sequence[Action], clock: Clock, holdings: Sequence[Holding]) -> Schedule:
    """E1: by time, then by column, then by kind, then as they were given."""
    bars = range(len(clock))
    plan = Schedule([[] for _ in bars], [[] for _ in bars], [[] for _ in bars])
    for action in actions:
        if not 0 <= action.asset < len(holdings):
            raise ValueError(f"an action is of asset {action.asset}, wanted 0 to {len(holdings) - 1}")
        if holdings[action.asset].grid.contract == "inverse" and action.kind != "funding":
            raise ValueError(f"a {action.kind} of an inverse contract, wanted nothing but funding")
    for action in sorted(actions, key=lambda given: (given.time, given.asset, KINDS.index(given.kind))):
        found = place(action, clock, holdings[action.asset])
        if found is not None:
            where, t = found
            getattr(plan, where)[t].append(action)
            if action.kind == "split":
                holdings[action.asset].splits.append((holdings[action.asset].rows[t], action.value))
    return plan
