"""Cash, what it backs, and what the limits count of it: of the whole account, or of one venue's (V3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tests.reference.config import Config
from tests.reference.holding import Holding
from tests.reference.tallies import Tally


@dataclass
class Purse:
    """The money of these assets, in column order; records of it alone have `number` in the place of an asset."""

    holdings: list[Holding]
    config: Config
    cash: float
    equity: float
    number: int = -1
    tally: Tally = field(default_factory=Tally)
    value: float = 0.0  # X6: V
    gross: float = 0.0  # X6: G
    left: float = 0.0  # V5: the equity less what this decision has sent

    def held(self) -> list[Holding]:
        """The assets held, in column order."""
        return [holding for holding in self.holdings if holding.position != 0]

    def count(self) -> None:
        """X6: V and G."""
        self.value = self.gross = 0.0
        for holding in self.held():
            self.value = self.value + holding.value()
            self.gross = self.gross + holding.gross()

    def worth(self, holding: Holding, ticks: int) -> float:
        """X6: `(cash + V') + N(k, position)`: A2's E."""
        return (self.cash + (self.value - holding.value())) + holding.grid.notional(ticks, holding.position)

    def power(self, holding: Holding, ticks: int) -> float:
        """X6: `E - G' * initial`; L1, L7: an unrealised profit of isolated margin buys nothing, its stake is bound."""
        if not self.config.isolated:
            return self.worth(holding, ticks) - (self.gross - holding.gross()) * self.config.initial
        value = holding.grid.notional(ticks, holding.position)
        own = (self.cash + value) - max(0.0, value - holding.basis)
        return own + self.unbound([other for other in self.held() if other is not holding])

    def unbound(self, holdings: list[Holding]) -> float:
        """L7: the sum of `basis - stake`."""
        total = 0.0
        for holding in holdings:
            total = total + (holding.basis - holding.stake)
        return total

    def mark(self) -> None:
        """A5, X3: mark at the last closes."""
        self.equity = self.cash
        for holding in self.held():
            self.equity = self.equity + holding.grid.notional(holding.close, holding.position)


def share(value: float, equity: float) -> float:
    """R4, R9: infinite where the account is worth nothing, as one of several may be and go on (V4)."""
    return value / equity if equity > 0.0 else math.inf


def whole(parts: list[float]) -> float:
    """V3: the sum from 0.0 over the venues, and over what is under way."""
    total = 0.0
    for part in parts:
        total = total + part
    return total
