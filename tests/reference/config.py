"""What a run is given and what it gives back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.reference.lives import Moment
from tests.reference.mandate import Halts, Limits
from tests.reference.margin import Maintenance, Tiers, tiers


@dataclass(frozen=True)
class ModelView:
    """C3: what a fee or slippage model sees of one fill."""

    side: float
    quantity: float
    price: float
    notional: float
    filled: float
    paid: float
    volume: float
    position: float
    equity: float
    time: int
    maker: float = 0.0
    tick: float = 0.0
    volatility: float = 0.0
    traded: float = 0.0
    filled_notional: float = 0.0


Model = Callable[[ModelView], float]
Rate = float | Callable[[int], float]  # E6: a yearly rate, or what it is at a time in ns

LATE = ("next_close", "next_typical", "next_vwap")  # F10: in a pass of their own
CHOICES = {
    "cash_rule": ("reduce", "reject", "debt"),
    "limit": ("through", "touch"),
    "same_bar": ("adverse", "next"),
    "trailing": ("check_first", "update_first"),
    "close_out": ("none", "last_open", "last_close"),
    "sizing": ("at_decision", "at_fill"),
    "market": ("next_open", "same_close", *LATE),
    "stop_gap": ("open", "trigger", "close"),
    "off_tick": ("round", "reject"),
    "path": ("stop_first", "close", "high_first", "low_first", "nearest_first", "finer"),
}

# F12: what a path asks of the other choices
LEGS_ASK: dict[str, tuple[str, ...]] = {"stop_gap": ("open",), "trailing": ("check_first",)}
PATHS_ASK: dict[str, dict[str, tuple[str, ...]]] = {
    "close": {"market": ("next_close",), "stop_gap": ("open",), "close_out": ("none", "last_close")},
    "high_first": LEGS_ASK,
    "low_first": LEGS_ASK,
    "nearest_first": LEGS_ASK,
    "finer": {"market": ("next_open", *LATE), "close_out": ("none", "last_close")},
}

# F13: what a named model sets beside the defaults
NAMED: dict[str, dict[str, str]] = {
    "conservative": {},
    "backtesting.py": {"limit": "touch", "close_out": "last_open", "sizing": "at_fill"},
    "lean_equity": {"limit": "through", "same_bar": "next"},
    "lean": {"limit": "through", "same_bar": "next", "stop_gap": "close"},
    "zipline": {"limit": "touch", "path": "close", "market": "next_close"},
    "freqtrade": {"limit": "touch", "stop_gap": "trigger", "trailing": "update_first"},
    "nautilus": {"limit": "touch", "path": "high_first", "market": "same_close"},
    "nautilus_adaptive": {"limit": "touch", "path": "nearest_first", "market": "same_close"},
}


@dataclass(frozen=True)
class Config:
    """The account, the venue, the fill model and the span; `end` is the first bar after the span."""

    cash: float = 1e6
    cash_rule: str = "reduce"
    fee: Model | None = None
    slippage: Model | None = None
    band: float = 0.005
    limit: str = "through"
    same_bar: str = "adverse"
    trailing: str = "check_first"
    close_out: str = "none"
    sizing: str = "at_decision"
    trade_from: int = 0
    end: int | None = None
    periods_per_year: int = 252
    market: str = "next_open"
    stop_gap: str = "open"
    path: str = "stop_first"
    participation: float | None = None
    off_tick: str = "round"
    max_quantity: float | None = None
    min_quantity: float | None = None
    min_notional: float | None = None
    interest: Rate = 0.0
    loan: Rate = 0.0
    borrow: Rate | Sequence[Rate] = 0.0
    initial: float = 1.0
    maintenance: Maintenance = None
    maintenance_short: Maintenance = None
    margin_fee: float = 0.0
    isolated: bool = False
    protected: bool = True
    limits: Limits | None = None
    halts: Halts = field(default_factory=Halts)

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"Config.{name} is {getattr(self, name)!r}, wanted one of {', '.join(allowed)}")
        for name, allowed in PATHS_ASK.get(self.path, {}).items():
            if getattr(self, name) not in allowed:
                wanted = " or ".join(allowed)
                raise ValueError(f"Config.{name} is {getattr(self, name)!r}, wanted {wanted} with path={self.path!r}")
        if self.participation is not None and not 0.0 < self.participation <= 1.0:
            raise ValueError(
                f"Config.participation is {self.participation!r}, wanted more than 0 and at most 1, or None"
            )
        for name in ("max_quantity", "min_quantity", "min_notional"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"Config.{name} is {value!r}, wanted a finite number of 0 or more, or None")
        if self.market == "same_close" and self.halts.latency > 0:
            raise ValueError("Config.market is 'same_close', wanted another with a latency (H5)")
        self.check_margin()

    def check_margin(self) -> None:
        """L1-L3."""
        if not 0.0 < self.initial <= 1.0:
            raise ValueError(f"Config.initial is {self.initial!r}, wanted more than 0 and at most 1")
        if not math.isfinite(self.margin_fee):
            raise ValueError(f"Config.margin_fee is {self.margin_fee!r}, wanted a finite number")
        tiers(self.maintenance, "maintenance"), tiers(self.maintenance_short, "maintenance_short")

    def check_path(self) -> None:
        """L3: of what is liquidated within a bar."""
        guarded = self.maintenance is not None or self.maintenance_short is not None
        if guarded and self.path not in ("stop_first", "close", "finer"):
            raise ValueError(f"Config.path is {self.path!r}, wanted stop_first, close or finer with a maintenance")

    def tiers_of(self, position: int) -> Tiers | None:
        """L2: of long and of short positions apart."""
        if position < 0 and self.maintenance_short is not None:
            return tiers(self.maintenance_short, "maintenance_short")
        return tiers(self.maintenance, "maintenance")

    def borrow_of(self, number: int) -> Rate:
        """E7: the rate of an asset."""
        if callable(self.borrow) or isinstance(self.borrow, int | float):
            return self.borrow
        return self.borrow[number]


Record = dict[str, Any]


@dataclass
class Outcome:
    """Records of a run; `equity`, `cash` and `position` have one entry per bar from `trade_from` to the end.

    A portfolio's `position` has one such list per asset, and its records name the `asset`, from 0. `actions` are the
    amounts and changes that took effect besides fills (E2-E7, L5); `asset` is -1 where they are of the account.
    `compliance` are the rows of R9, `untold` what has happened and no decision has followed (T7), `lives` the moments
    of each order, by id (O17).
    """

    fills: list[Record] = field(default_factory=list)
    orders: list[Record] = field(default_factory=list)
    trades: list[Record] = field(default_factory=list)
    actions: list[Record] = field(default_factory=list)
    compliance: list[Record] = field(default_factory=list)
    untold: list[Record] = field(default_factory=list)
    lives: dict[int, list[Moment]] = field(default_factory=dict)
    equity: list[float] = field(default_factory=list)
    cash: list[float] = field(default_factory=list)
    position: list[Any] = field(default_factory=list)
    blocks: list[Record] = field(default_factory=list)
    k: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
