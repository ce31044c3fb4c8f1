"""What a fill costs, in quote currency (rules C2, C4). Negative is a rebate."""

from __future__ import annotations

from typing import Any

from kernelkit.market.models import cost_model


@cost_model
def fraction(m: Any, rate: float) -> float:
    """``rate`` of the traded value.

    >>> fraction(0.001)
    fraction(rate=0.001)
    """
    return rate * m.notional


@cost_model
def per_unit(m: Any, rate: float, minimum: float = 0.0) -> float:
    """``rate`` per unit, at least ``minimum`` per order: the minimum is charged once, however many fills there are.

    >>> per_unit(0.005, minimum=1.0)
    per_unit(rate=0.005, minimum=1)
    """
    return max(minimum, rate * (m.filled + m.quantity)) - m.paid


@cost_model
def fixed(m: Any, amount: float) -> float:
    """``amount`` per order, charged with its first fill.

    >>> fixed(1.5)
    fixed(amount=1.5)
    """
    if m.filled == 0.0:
        return amount
    return 0.0
