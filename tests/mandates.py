"""Random limits, opening times, outages, rates, latencies and universes, of the size of what random programs do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.reference import Grid, Halts, Limits, Outage

DAY = 86_400_000_000_000


def limited(rng: Any, cash: float, grids: list[Grid], base: int) -> Limits:
    """Some limits, at least one, for accounts that trade a few lots or what their cash allows."""
    told: dict[str, Any] = {}
    afford = cash / grids[0].gross(base, 1)
    few = float(rng.integers(1, 9))
    choices = {
        "position": [few * grids[0].lot, 0.4 * afford * grids[0].lot],
        "notional": [few * grids[0].gross(base, 1), 0.3 * cash],
        "concentration": [0.02, 0.1, 0.6],
        "leverage": [0.02, 0.1, 0.6],
        "turnover": [0.01, 0.1, 1.0],
        "short": [[float(rng.choice([0.0, 2.0, 0.3 * afford, math.inf])) * g.lot for g in grids]],
        "day_trades": [0, 0, 1, 3],
        "short_sale_price": [0.005, 0.03],
    }
    names = list(choices)
    for name in rng.choice(names, int(rng.choice([1, 3, 4, 6])), replace=False):
        told[name] = choices[name][rng.integers(len(choices[name]))]
    return Limits(day_trade_equity=float(rng.choice([0.9 * cash, 1e300, 1e300])), cut=bool(rng.random() < 0.5), **told)


def halted(rng: Any, open_at: Any, known_at: Any, near: bool) -> Halts:
    """Hours, outages, a rate and a latency, or some of them, with edges at those of bars and beside them.

    No latency where the venue is `near`.
    """
    edges = np.unique(np.concatenate([open_at, known_at, open_at + DAY // 8, known_at + 1, known_at - 1]))
    told: dict[str, Any] = {}
    if rng.random() < 0.5:
        count = 2 * int(rng.integers(1, 4))
        times = np.sort(rng.choice(edges, min(count, len(edges) // 2 * 2), replace=False)).tolist()
        if len(times) > 2 and rng.random() < 0.3:
            times[2] = times[1]  # one outage after the other
        told["outages"] = tuple(
            Outage(a, b, str(rng.choice(["reject", "delay", "delay"])), bool(rng.random() < 0.6))
            for a, b in zip(times[::2], times[1::2], strict=True)
            if a < b
        )
    if rng.random() < 0.5:
        hours = np.sort(rng.choice(edges, len(edges) // 3 * 2, replace=False)).tolist()
        hours += [int(edges[-1]) + DAY, int(edges[-1]) + 9999 * DAY]  # what is delayed may be late
        told["hours"] = [(a, b + (a == b)) for a, b in zip(hours[::2], hours[1::2], strict=True)]
        told["closed"] = str(rng.choice(["reject", "delay", "delay"]))
    if rng.random() < 0.5:
        told["rate"] = int(rng.integers(1, 4)), int(rng.choice([DAY // 8, DAY // 2 + 1, 3 * DAY]))
        told["excess"] = str(rng.choice(["reject", "delay", "delay"]))
    if not near and rng.random() < 0.5:
        bar = int(known_at[0] - open_at[0])
        told["latency"] = int(rng.choice([1, bar // 3, bar - 1, bar, bar + 1, bar * 5 // 2, 2 * DAY]))
    return Halts(**told)


def members(rng: Any, n: int) -> list[int]:
    """U1: spells inside and outside of a universe."""
    out = rng.random(n) < float(rng.choice([0.05, 0.3]))
    return (np.cumsum(out) % 2 == int(rng.random() < 0.3)).astype(int).tolist()
