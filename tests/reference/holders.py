"""The prices against which the account is measured, as a holder of the assets has them (M2, X8, E8)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.reference.actions import Schedule
from tests.reference.holding import Holding

Steps = dict[int, list[tuple[str, float]]]


def kept(holding: Holding, t: int, ratios: Sequence[float], dividend: float) -> float:
    """E8: the share of the close before bar `t`, after splits of the bar by `ratios`, that a dividend leaves; 1.0
    where it would leave nothing."""
    price = holding.price_before(t, ratios)
    return (price - dividend) / price if dividend < price else 1.0


def steps(holding: Holding, plan: Schedule, start: int, end: int) -> Steps:
    """E8: what M2's `c_prev` goes through in each bar of the span, counted from its first."""
    found: Steps = {}
    for t in range(start + 1, end):
        ratios: list[float] = []
        for action in plan.first[t]:
            if action.kind == "split":
                found.setdefault(t - start, []).append(("divide", action.value))
                ratios.append(action.value)
            elif action.kind == "dividend":
                found.setdefault(t - start, []).append(("multiply", kept(holding, t, ratios, action.value)))
    return found


def index(holdings: Sequence[Holding], plan: Schedule, start: int, end: int) -> list[float]:
    """X8, E8: the mean of the prices over those at `trade_from`, of the assets that have a bar by then."""
    listed = [holding for holding in holdings if holding.last_bars[start] >= 0]
    if not listed:
        return [math.nan] * (end - start)
    factors = [1.0] * len(holdings)
    prices = []
    for t in range(start, end):
        if t > start:
            ratios: list[list[float]] = [[] for _ in holdings]
            for action in plan.first[t]:
                k = action.asset
                if action.kind == "split":
                    factors[k] = factors[k] * action.value
                    ratios[k].append(action.value)
                elif action.kind == "dividend" and holdings[k].last_bars[start] >= 0:
                    factors[k] = factors[k] / kept(holdings[k], t, ratios[k], action.value)
            for action in plan.last[t]:
                if not math.isnan(action.value) and holdings[action.asset].last_bars[start] >= 0:
                    price = holdings[action.asset].price_at(t)
                    factors[action.asset] = factors[action.asset] * (action.value / price)
        total = 0.0
        for holding in listed:
            total = total + (holding.price_at(t) * factors[holding.number]) / holding.price_at(start)
        prices.append(total / float(len(listed)))
    return prices
