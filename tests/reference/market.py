"""The grid a price lives on, the rounding of what a user writes, and the bars (docs/rules.md, Notation and Q1-Q4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

BEYOND = 2.0**53
CONTRACTS = ("linear", "inverse")


@dataclass(frozen=True)
class Grid:
    """Tick, lot and multiplier of one instrument; `inverse = 0` means a dyadic `tick`.

    A lot of an inverse `contract` is a value in quote currency, and its account is kept in the base currency.
    """

    tick: float
    inverse: int
    lot: float
    multiplier: float = 1.0
    contract: str = "linear"

    def __post_init__(self) -> None:
        if self.contract not in CONTRACTS:
            raise ValueError(f"Grid.contract is {self.contract!r}, wanted one of {', '.join(CONTRACTS)}")

    @property
    def unit(self) -> float:
        """Cash per unit of price of one lot; of an inverse contract its value in quote currency."""
        return self.lot * self.multiplier

    def price(self, ticks: int) -> float:
        """`P(k)`: the price of `k` ticks."""
        if self.inverse == 0:
            return float(ticks) * self.tick
        return float(ticks) / float(self.inverse)

    def worth(self, ticks: int) -> float:
        """`W(k)`: what one unit at `k` ticks is worth to the account."""
        if self.contract == "inverse":
            return -1.0 / self.price(ticks)
        return self.price(ticks)

    def notional(self, ticks: int, lots: int) -> float:
        """`N(k, l)`: the signed cash value of `l` lots at `k` ticks."""
        return self.worth(ticks) * (float(lots) * self.unit)

    def gross(self, ticks: int, lots: int) -> float:
        """`|W(k)| * (float(|l|) * unit)`: the cash value without its sign."""
        return abs(self.worth(ticks)) * (float(abs(lots)) * self.unit)

    def fits(self, quantity: float) -> bool:
        """O5: a finite quantity of less than 2^53 lots."""
        return math.isfinite(quantity) and abs(quantity / self.lot) < BEYOND

    def is_price(self, price: float) -> bool:
        """O5: a finite price above zero of less than 2^53 ticks."""
        return math.isfinite(price) and price > 0.0 and self.raw_ticks(price) < BEYOND

    def raw_ticks(self, price: float) -> float:
        """Q2: ticks before rounding."""
        return price / self.tick if self.inverse == 0 else price * float(self.inverse)

    def lots(self, quantity: float) -> int:
        """Q1: lots of a quantity, toward zero unless within 1e-6 of a whole lot."""
        x = quantity / self.lot
        r = math.floor(x + 0.5)
        return r if abs(x - r) <= 1e-6 else math.trunc(x)

    def ticks(self, price: float, up: bool) -> int:
        """Q2: ticks of a price within 1 and 2^53, up or down unless within 1e-6 of a tick."""
        x = min(max(self.raw_ticks(price), 1.0), BEYOND)
        r = math.floor(x + 0.5)
        if abs(x - r) <= 1e-6:
            return r
        return math.floor(x) + 1 if up else math.floor(x)

    def off(self, price: float) -> bool:
        """Q4: a price that is off the grid."""
        x = self.raw_ticks(price)
        return abs(x - math.floor(x + 0.5)) > 1e-6


@dataclass(frozen=True)
class Clock:
    """X1: the bars of a portfolio's account, oldest first: times in ns UTC and session days."""

    open_at: Sequence[int]
    known_at: Sequence[int]
    session: Sequence[int]

    def __len__(self) -> int:
        return len(self.open_at)


@dataclass(frozen=True)
class Bars:
    """Bars of one asset, oldest first: times in ns UTC, prices in ticks; numpy arrays are read into Python numbers."""

    open_at: Sequence[int]
    known_at: Sequence[int]
    session: Sequence[int]
    o: Sequence[int]
    h: Sequence[int]
    l: Sequence[int]  # noqa: E741  the four prices keep the names of the rules
    c: Sequence[int]
    v: Sequence[float]
    closes: Sequence[int] | None = None  # when the calendar closes each bar's session, None without a calendar
    vwap: Sequence[float] | None = None  # F10: NaN where nothing was traded
    universe: Sequence[int] | None = None  # U1: may the asset be opened, None where it always may

    def __post_init__(self) -> None:
        for field in fields(self):
            values = getattr(self, field.name)
            if values is None:
                continue
            number = float if field.name in ("v", "vwap") else int
            object.__setattr__(self, field.name, [number(value) for value in values])
            if len(values) != len(self.open_at):
                raise ValueError(f"Bars.{field.name} has {len(values)} bars, open_at has {len(self.open_at)}")

    def __len__(self) -> int:
        return len(self.open_at)

    def mean_volume(self, first_excluded: int) -> float:
        """C3: mean volume of the up to 20 bars before bar `first_excluded`, summed from the oldest; 0.0 for none."""
        window = self.v[max(0, first_excluded - 20) : first_excluded]
        total = 0.0
        for volume in window:
            total = total + volume
        return total / float(len(window)) if window else 0.0

    def volatility(self, first_excluded: int, grid: Grid) -> float:
        """C3: sample deviation of the up to 20 returns before bar `first_excluded`; 0.0 for fewer than two."""
        prices = [grid.price(ticks) for ticks in self.c[max(0, first_excluded - 21) : first_excluded]]
        returns = [after / before - 1.0 for before, after in pairwise(prices)]
        if len(returns) < 2:
            return 0.0
        total = 0.0
        for r in returns:
            total = total + r
        mean = total / float(len(returns))
        squares = 0.0
        for r in returns:
            squares = squares + (r - mean) * (r - mean)
        return math.sqrt(squares / float(len(returns) - 1))


@dataclass(frozen=True)
class Asset:
    """X1: an asset of a portfolio; `rows` gives for each bar of the clock the number of its own bar there, or -1.

    `finer` are the bars in which `path = finer` matches (X11).
    """

    bars: Bars
    grid: Grid
    rows: Sequence[int]
    finer: Bars | None = None
