"""What a strategy is told of fills and of orders that have ended (T7)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.reference.config import Record
from tests.reference.market import Grid


@dataclass(frozen=True)
class Fill:
    """One fill, `quantity` positive to buy."""

    order: int
    asset: int
    quantity: float
    price: float
    fee: float
    time: int


@dataclass(frozen=True)
class End:
    """An order that has ended; `price` is NaN where there is neither limit nor trigger."""

    id: int
    asset: int
    status: str
    reason: str
    quantity: float
    filled: float
    price: float


def told(happened: Record, grid: Grid) -> Fill | End:
    """The words for what the book has noted."""
    if "order" in happened:
        quantity, price = float(happened["lots"]) * grid.lot, grid.price(happened["ticks"])
        return Fill(happened["order"], happened["asset"], quantity, price, happened["fee"], happened["time"])
    lots, level = happened["lots"], happened["price"] or happened["trigger"]
    price = grid.price(level) if level else math.nan
    quantity, filled = float(lots) * grid.lot, float(happened["filled"]) * grid.lot
    return End(happened["id"], happened["asset"], happened["status"], happened["reason"] or "", quantity, filled, price)
