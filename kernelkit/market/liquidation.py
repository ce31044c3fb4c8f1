"""When a position on margin is liquidated: the published formulas of the exchanges, as pure functions.

A side is +1 for long, -1 for short; quantities are in base units and positive, prices and money in quote currency
unless said otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kernelkit.errors import UsageError, message
from kernelkit.market.margins import Tiers


@dataclass(frozen=True)
class Position:
    """A position on margin: side (+1 long, -1 short), quantity in base units (> 0), entry price in quote currency.

    Of an inverse contract the quantity is its value in quote currency: contracts times contract size. Raises UsageError
    for another side, and for numbers that are not positive.

    >>> Position(1, 2.0, 100.0).value
    200.0
    """

    side: int
    quantity: float
    entry: float

    def __post_init__(self) -> None:
        if self.side not in (1, -1):
            raise UsageError(message("side of the position", self.side, "+1 or -1", "+1 is long, -1 is short."))
        for name in ("quantity", "entry"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise UsageError(message(f"{name} of the position", value, "a positive number", "The side is apart."))

    @property
    def value(self) -> float:
        """Quantity times entry price, in quote currency (linear contracts)."""
        return self.quantity * self.entry


def liquidation_price(
    position: Position,
    wallet: float,
    rate: float,
    deduction: float = 0.0,
    other_profit: float = 0.0,
    other_maintenance: float = 0.0,
) -> float:
    """The mark price at which a linear contract's margin balance falls to its maintenance margin.

    ``(W + U - T + D - s * q * P) / (q * r - s * q)`` with wallet balance W (isolated: the margin of this position;
    cross: of the account), unrealised profit U and maintenance margin T of all other positions (cross), the tier's
    rate r and deduction D, and the entry price P. All money in quote currency. 0.0 where no price above 0 does it.

    Source: Binance, How to Calculate Liquidation Price of USD-M Futures Contracts.

    >>> round(liquidation_price(Position(-1, 1.0, 10.0), wallet=2.0, rate=0.01, deduction=0.01), 6)
    11.891089
    """
    s, q = position.side, position.quantity
    free = wallet + other_profit - other_maintenance + deduction
    return max(0.0, (free - s * q * position.entry) / (q * rate - s * q))


def liquidation_price_of_tiers(
    position: Position, wallet: float, tiers: Tiers, other_profit: float = 0.0, other_maintenance: float = 0.0
) -> float:
    """`liquidation_price` in the tier that holds at that very price: the exact root, as tiers are continuous.

    Arguments as there. Where the balance suffices at every price above 0 it is 0.0.

    >>> table = Tiers((0, 5_000, 50_000), (0.01, 0.02, 0.025))
    >>> round(liquidation_price_of_tiers(Position(1, 100.0, 100.0), 1_000.0, table), 6)
    91.326531
    """
    money = wallet, other_profit, other_maintenance
    found = 0.0
    for floor, rate, deduction in zip(tiers.floors, tiers.rates, tiers.deductions, strict=True):
        found = liquidation_price(position, money[0], rate, deduction, *money[1:])
        if position.quantity * found >= floor and tiers.at(position.quantity * found) == (rate, deduction):
            break
    return found


def liquidation_price_of_gate(position: Position, margin: float, rate: float, taker: float) -> float:
    """The liquidation price of Gate and OKX, isolated: ``(P - s * M / q) / (1 - s * (r + taker))``.

    ``margin`` M in quote currency, ``rate`` and ``taker`` (the fee of the closing order) are fractions. 0.0 where no
    price above 0 does it. Source: Gate, Liquidation price of perpetual contracts; OKX, Isolated margin mode.

    >>> round(liquidation_price_of_gate(Position(1, 1.0, 10.0), 2.0, 0.01, 0.0006), 6)
    8.085709
    """
    s = position.side
    return max(0.0, (position.entry - s * margin / position.quantity) / (1.0 - s * (rate + taker)))


def liquidation_price_of_bybit(position: Position, leverage: float, rate: float) -> float:
    """The liquidation price of Bybit, isolated: ``P * (1 - s / leverage + s * r)``; the quantity does not matter.

    0.0 where no price above 0 does it. Raises UsageError for a leverage that is not positive. Source: Bybit,
    Liquidation price calculation under isolated mode (unified trading account), without extra margin.

    >>> round(liquidation_price_of_bybit(Position(1, 1.0, 10.0), 5.0, 0.01), 12)
    8.1
    """
    if not leverage > 0.0:
        raise UsageError(message("leverage", leverage, "a positive number", "5.0 is five times the margin."))
    s = position.side
    return max(0.0, position.entry * (1.0 - s / leverage + s * rate))


def liquidation_price_of_inverse(position: Position, wallet: float, rate: float, deduction: float = 0.0) -> float:
    """The mark price at which an inverse contract, with margin in its base currency, is liquidated.

    ``(Q * r + s * Q) / (W + D + s * Q / P)``: value Q in quote currency, wallet W and deduction D in base currency.
    ``inf`` where the balance suffices at every price (a short with a whole coin for each coin sold).

    Source: Binance, How to Calculate Liquidation Price of COIN-M Futures Contracts.

    >>> round(liquidation_price_of_inverse(Position(1, 10_000.0, 20_000.0), wallet=0.1, rate=0.004), 2)
    16733.33
    """
    s, q = position.side, position.quantity
    below = wallet + deduction + s * q / position.entry
    if below == 0.0 or (q * rate + s * q) / below <= 0.0:
        return math.inf
    return (q * rate + s * q) / below
