"""How far a market or stop order moves its own price, as a fraction of it (rules C1, C4)."""

from __future__ import annotations

from math import sqrt

from kernelkit.market.models import Rate, Trade, cost_model


@cost_model
def fraction(m: Trade, rate: Rate) -> float:
    """Every trade moves its price by the fraction ``rate`` (0.0005 is 5 basis points).

    >>> fraction(0.0005)
    fraction(rate=0.0005)
    """
    return rate


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
