"""What a fill costs, in quote currency (rules C2, C4). Negative is a rebate."""

from __future__ import annotations

from kernelkit.market.models import Rate, Trade, cost_model


@cost_model
def fraction(m: Trade, rate: Rate) -> float:
    """The fraction ``rate`` of the traded value (0.001 is 10 basis points).

    >>> fraction(0.001)
    fraction(rate=0.001)
    """
    return rate * m.notional


@cost_model
def per_unit(m: Trade, rate: float, minimum: float = 0.0) -> float:
    """``rate`` per base unit, at least ``minimum`` per order: charged once, however many fills there are.

    >>> per_unit(0.005, minimum=1.0)
    per_unit(rate=0.005, minimum=1)
    """
    return max(minimum, rate * (m.filled + m.quantity)) - m.paid


@cost_model
def fixed(m: Trade, amount: float) -> float:
    """``amount`` per order, charged with its first fill.

    >>> fixed(1.5)
    fixed(amount=1.5)
    """
    if m.filled == 0.0:
        return amount
    return 0.0
