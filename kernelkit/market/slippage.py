"""How far a market or stop order moves its own price, as a fraction of it (rules C1, C4)."""

from __future__ import annotations

from math import sqrt
from typing import Any

from kernelkit.market.models import cost_model


@cost_model
def fraction(m: Any, rate: float) -> float:
    """A fixed fraction of the price.

    >>> fraction(0.0005)
    fraction(rate=0.0005)
    """
    return rate


@cost_model
def square_root(m: Any, coefficient: float) -> float:
    """``coefficient * sqrt(quantity / mean volume of the 20 bars before)``: the square-root law of market impact.

    Source: Torre and Ferrari, BARRA Market Impact Model Handbook (1997); Almgren et al., Direct Estimation of Equity Market Impact (2005).

    >>> square_root(0.1)
    square_root(coefficient=0.1)
    """
    if m.volume <= 0.0:
        return coefficient
    return coefficient * sqrt(m.quantity / m.volume)
