"""How far a market or stop order moves its own price, as a fraction of it (rules C1, C4). ``a + b`` adds both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np

from kernelkit.errors import StrategyError, arguments, message
from kernelkit.market.limits import is_number
from kernelkit.market.models import CostModel, Rate, Trade, cost_model


@cost_model
def fraction(m: Trade, rate: Rate) -> float:
    """Every trade moves its price by the fraction ``rate`` (0.0005 is 5 basis points).

    >>> fraction(0.0005)
    fraction(rate=0.0005)
    """
    return rate


@cost_model
def ticks(m: Trade, n: float) -> float:
    """Every trade is ``n`` ticks worse than its reference; a part of a tick counts as a whole one (rule C1).

    >>> ticks(2)
    ticks(n=2)
    """
    return n * m.tick / m.price


@cost_model
def spread(m: Trade, ticks: float = 0.0, rate: Rate = 0.0) -> float:
    """Half of a bid-ask spread that is ``ticks`` wide, or the fraction ``rate`` of the price, or the sum of both.

    For bars made of trades or of middle prices: who takes pays half the spread.

    >>> spread(ticks=1)
    spread(ticks=1, rate=0)
    """
    return 0.5 * (ticks * m.tick / m.price + rate)


@cost_model
def linear(m: Trade, coefficient: float) -> float:
    """``coefficient * quantity / mean volume of the 20 bars before``; without volume the whole ``coefficient``.

    Source: Kyle, Continuous Auctions and Insider Trading, Econometrica 53 (1985): impact is linear in order flow.

    >>> linear(0.1)
    linear(coefficient=0.1)
    """
    if m.volume > 0.0:
        return coefficient * (m.quantity / m.volume)
    return coefficient


@cost_model
def square_root(m: Trade, coefficient: float) -> float:
    """``coefficient * sqrt(quantity / mean volume of the 20 bars before)``: the square-root law of market impact.

    Where no volume is known, the whole ``coefficient``. Source: Torre and Ferrari, BARRA Market Impact Model Handbook
    (1997); Almgren et al., Direct Estimation of Equity Market Impact (2005).

    >>> square_root(0.1)
    square_root(coefficient=0.1)
    """
    if m.volume > 0.0:
        return coefficient * sqrt(m.quantity / m.volume)
    return coefficient


@cost_model
def volume_share(m: Trade, limit: Rate = 0.025, impact: float = 0.1) -> float:
    """``impact * share**2`` with ``share`` the part of the volume that is traded, ``limit`` at most.

    The volume is the mean of the 20 bars before, as the bar's own is not known yet; without any, the share is
    ``limit``. That an order trades no more than ``limit`` of a bar's volume is `Venue(participation=limit)`.

    Source: zipline, ``VolumeShareSlippage`` with its defaults.

    >>> volume_share()
    volume_share(limit=0.025, impact=0.1)
    """
    share = limit
    if m.volume > 0.0:
        share = min(m.quantity / m.volume, limit)
    return impact * (share * share)


@cost_model
def volatility_adaptive(m: Trade, coefficient: float, floor: Rate = 0.0) -> float:
    """``coefficient`` times the standard deviation of the returns of the 20 bars before, at least ``floor``.

    Spreads and the cost of taking liquidity grow with volatility: Bollerslev and Melvin, Bid-ask spreads and volatility
    in the foreign exchange market, Journal of International Economics 36 (1994).

    >>> volatility_adaptive(0.1)
    volatility_adaptive(coefficient=0.1, floor=0)
    """
    return max(floor, coefficient * m.volatility)


@cost_model
def almgren_chriss(m: Trade, fixed: float, temporary: float, permanent: float) -> float:
    """``(fixed + temporary * quantity + permanent * filled) / price``: linear temporary and permanent impact.

    ``fixed`` is in quote currency per unit, half a spread and fees; ``temporary`` is eta / tau, in quote currency per
    unit and unit traded in one bar; ``permanent`` is gamma: what earlier fills of the same order have moved the price
    by stays. With an order that is spread over bars (`Venue(participation=...)`) the sum over its fills is the expected
    shortfall of `kernelkit.market.trajectory.liquidation`.

    Source: Almgren and Chriss, Optimal Execution of Portfolio Transactions, Journal of Risk 3 (2000), section 1.

    >>> almgren_chriss(0.0625, 2.5e-6, 2.5e-7)
    almgren_chriss(fixed=0.0625, temporary=2.5e-06, permanent=2.5e-07)
    """
    return (fixed + temporary * m.quantity + permanent * m.filled) / m.price


@cost_model
def constant_product(m: Trade, reserve: float, fee: Rate = 0.0) -> float:
    """A pool that keeps ``x * y`` constant, ``reserve`` base units x at each trade; ``fee`` is on what goes in.

    Buying q costs ``y * q / (x - q) / (1 - fee)``, selling it gives ``y * p / (x + p)`` with ``p = q * (1 - fee)``.
    Buying the whole reserve or more stops the trial (rule C6).

    Source: Adams, Zinsmeister and Robinson, Uniswap v2 Core (2020).

    >>> constant_product(1000.0, fee=0.003)
    constant_product(reserve=1000, fee=0.003)
    """
    if m.side > 0.0:
        if m.quantity >= reserve:
            return float("inf")
        return reserve / ((reserve - m.quantity) * (1.0 - fee)) - 1.0
    return 1.0 - (1.0 - fee) * reserve / (reserve + m.quantity * (1.0 - fee))


@cost_model
def _learned(
    m: Trade, participation: tuple[float, ...], volatility: tuple[float, ...], answer: tuple[float, ...]
) -> float:
    a = participation[-1]
    if m.volume > 0.0:
        a = min(max(m.quantity / m.volume, participation[0]), participation[-1])
    b = min(max(m.volatility, volatility[0]), volatility[-1])
    i = 0
    while i < len(participation) - 2 and a >= participation[i + 1]:
        i += 1
    j = 0
    while j < len(volatility) - 2 and b >= volatility[j + 1]:
        j += 1
    u = (a - participation[i]) / (participation[i + 1] - participation[i])
    v = (b - volatility[j]) / (volatility[j + 1] - volatility[j])
    k = i * len(volatility) + j
    low = answer[k] * (1.0 - v) + answer[k + 1] * v
    k += len(volatility)
    high = answer[k] * (1.0 - v) + answer[k + 1] * v
    return low * (1.0 - u) + high * u


@arguments()
def learned(regressor: Any, participation: Sequence[float], volatility: Sequence[float]) -> CostModel:
    """What a fitted regressor predicts, tabulated on a grid and interpolated bilinearly between its points.

    ``regressor.predict(X)`` gets X of shape (n, 2), float64: the quantity over the mean volume of the 20 bars before,
    and the standard deviation of the returns of those bars. It answers with slippage as a fraction of the price, shape
    (n,). ``participation`` and ``volatility`` are the rising points of the grid, two or more of each; beyond it the
    nearest edge counts, and without volume the largest participation. The regressor itself is not called again.

    Raises StrategyError for what has no ``predict``, for points that do not rise, for a grid of more numbers than a
    model holds, and for a prediction that is negative or not finite: less than zero would be a gift (rule C6).

    >>> class Fitted:
    ...     def predict(self, X):
    ...         return 0.1 * X[:, 0] + X[:, 1]
    >>> learned(Fitted(), (0.0, 0.1), (0.0, 0.05))
    learned(participation=(0, 0.1), volatility=(0, 0.05), answer=(0, 0.05, 0.01, 0.06))
    """
    if not callable(getattr(regressor, "predict", None)):
        wanted, fix = "a fitted regressor with predict(X)", "scikit-learn's have it."
        raise StrategyError(message("regressor of slippage.learned", repr(regressor), wanted, fix))
    for name, points in (("participation", participation), ("volatility", volatility)):
        given: Any = points
        known = isinstance(given, Iterable) and all(is_number(p) for p in given)
        if not known or len(points) < 2 or any(a >= b for a, b in pairwise(points)):
            wanted, fix = "two or more rising points", f"Write {name}=(0.0, 0.01, 0.05)."
            raise StrategyError(message(f"{name} of slippage.learned", points, wanted, fix))
    grid = np.array([(a, b) for a in participation for b in volatility], "f8")
    answer = np.asarray(regressor.predict(grid), "f8").reshape(-1)
    wrong = np.flatnonzero(~(np.isfinite(answer) & (answer >= 0.0)))
    if len(answer) != len(grid) or len(wrong):
        found: Any = f"{len(answer)} predictions" if len(answer) != len(grid) else answer[wrong[0]]
        at = "" if len(answer) != len(grid) else f" at {tuple(grid[wrong[0]].tolist())}"
        wanted = f"{len(grid)} numbers, 0 or more" if not at else "0 or more"
        fix = "Clip its predictions at 0, or choose points where it was trained."
        raise StrategyError(message(f"prediction of the regressor{at}", found, wanted, fix))
    table = _learned(tuple(map(float, participation)), tuple(map(float, volatility)), tuple(answer.tolist()))
    return replace(table, name="learned")
