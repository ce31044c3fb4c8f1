"""A venue, and the settings of a backtest: frozen records that travel to the kernel as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from kernelkit.errors import OrderError, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.rules import Rules
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.halts import INSTEAD, Outage, Rate, calendar_named, check_choice, in_order
from kernelkit.market.limits import is_number
from kernelkit.market.models import CostModel

CASH_RULES = {"reduce": L.CUT, "reject": L.REJECT, "debt": L.DEBT}
LIMITS = ("min_quantity", "max_quantity", "min_notional")
OFF_TICK = ("round", "reject")
GUARDED_PATHS = ("stop_first", "close", "finer")  # L3: paths on which an account may be liquidated


@dataclass(frozen=True)
class Venue:
    """What a venue charges and allows: ``fees`` and ``slippage`` are cost models (None: free).

    ``cash_rule`` says what becomes of an order that cash cannot pay: reduce, reject or debt (rule A3). ``band`` is the
    fraction of equity below which a target is not traded (rule S3). ``participation`` is the largest part of a bar's
    volume that orders may trade (rule P1; None: all of them fill). ``min_quantity`` and ``max_quantity`` (base units),
    ``min_notional`` (quote currency) are what one order may be (rule O15; None: anything); ``off_tick`` says whether a
    price off the tick grid is rounded (``"round"``, rule Q3) or the order rejected (``"reject"``).
    ``hours`` names the calendar by which it opens (rule H1; None: always), ``closed`` says whether orders outside of
    them wait for the next open (``"delay"``) or are rejected; ``outages`` are those that it had (rule H2), ``rate`` how
    many orders it takes (rule H3).
    Raises OrderError for anything else.

    >>> Venue("free").costs
    'none'
    """

    name: str = "own"
    fees: CostModel | None = None
    slippage: CostModel | None = None
    cash_rule: str = "reduce"
    band: float = 0.005
    participation: float | None = None
    min_quantity: float | None = None
    max_quantity: float | None = None
    min_notional: float | None = None
    off_tick: str = "round"
    hours: str | None = None
    closed: str = "delay"
    outages: Sequence[Outage] = ()
    rate: Rate | None = None

    def __post_init__(self) -> None:
        if self.cash_rule not in CASH_RULES:
            raise OrderError(
                message(
                    "cash_rule of the venue",
                    self.cash_rule,
                    f"one of {', '.join(CASH_RULES)}",
                    "Choose what happens to an order that cash cannot pay.",
                )
            )
        for name in ("fees", "slippage"):
            model = getattr(self, name)
            if model is not None and not isinstance(model, CostModel):
                found, fix = repr(model), f"Write {name}=kk.{name}.fraction(0.001)."
                if isinstance(model, FunctionType) and model.__name__.isidentifier():
                    found = f"the function {model.__name__}"
                    fix = f"Call it with its numbers: {name}={model.__name__}(...); @kk.cost_model makes it a factory."
                raise OrderError(message(f"{name} of the venue", found, "a cost model", fix))
        if not 0.0 <= self.band < 1.0:
            raise OrderError(
                message("band of the venue", self.band, "a fraction of equity in [0, 1)", "Write band=0.005.")
            )
        share: Any = self.participation
        if share is not None:
            if not (is_number(share) and 0.0 < share <= 1.0):
                wanted, fix = "a fraction of a bar's volume in (0, 1]", "Write participation=0.1, or leave it out."
                raise OrderError(message("participation of the venue", share, wanted, fix))
            object.__setattr__(self, "participation", float(share))
        for name in LIMITS:
            self._check_limit(name)
        if self.min_quantity and self.max_quantity and self.min_quantity > self.max_quantity:
            found, fix = f"{self.min_quantity} above max_quantity {self.max_quantity}", "Exchange them."
            raise OrderError(message("min_quantity of the venue", found, "no more than max_quantity", fix))
        if self.off_tick not in OFF_TICK:
            wanted, fix = (
                f"one of {', '.join(OFF_TICK)}",
                "Choose what happens to an order whose price is off the grid.",
            )
            raise OrderError(message("off_tick of the venue", repr(self.off_tick), wanted, fix))
        object.__setattr__(self, "hours", calendar_named(self.hours))
        object.__setattr__(self, "outages", in_order(self.outages))
        check_choice("closed of the venue", self.closed, INSTEAD)
        rate: Any = self.rate
        if rate is not None and not isinstance(rate, Rate):
            raise OrderError(message("rate of the venue", repr(rate), "a kk.Rate", 'Write rate=kk.Rate(10, "1s").'))

    def _check_limit(self, name: str) -> None:
        value: Any = getattr(self, name)
        if value is not None:
            if not (is_number(value) and value > 0):
                raise OrderError(message(f"{name} of the venue", value, "a positive number", "Leave it out for none."))
            object.__setattr__(self, name, float(value))

    @property
    def costs(self) -> str:
        """The costs in words; 'none' is what a result prints as COSTS: NONE."""
        parts = [f"fees {self.fees!r}" if self.fees else "", f"slippage {self.slippage!r}" if self.slippage else ""]
        return ", ".join(p for p in parts if p) or "none"


FREE = Venue("none")


@dataclass(frozen=True)
class Settings:
    """What a backtest is run under besides its strategy: the money, the venue, and how orders meet bars."""

    account: Account
    venue: Venue
    fill_model: FillModel

    @classmethod
    def of(cls, account: Account | None, venue: Venue | None, fill_model: FillModel | str | None) -> Settings:
        """The settings with defaults filled in: a million in cash, no costs, ``conservative``.

        Raises OrderError for one that is of another type.

        >>> Settings.of(None, None, None).venue.costs
        'none'
        """
        money: Any = account or Account()
        if not isinstance(money, Account):
            raise OrderError(message("account", repr(money), "a kk.Account", "Write kk.Account(cash=1e6)."))
        where: Any = venue or FREE
        if not isinstance(where, Venue):
            raise OrderError(message("venue", repr(where), "a kk.Venue", "Write kk.venues.us_equity()."))
        return cls(money, where, FillModel.of(fill_model))

    def check_margin(self, shared: bool) -> None:
        """L3, L6: raise OrderError for isolated margin of a portfolio, and for a margin on a path through the bar."""
        margin = self.account.margin
        if margin is None or margin.maintenance is None:
            return
        if shared and margin.isolated:
            fix = "Use cross margin, or one account for each asset with a @kk.strategy."
            raise OrderError(message("margin of a portfolio", "isolated", "cross", fix))
        if self.fill_model.path not in GUARDED_PATHS:
            fix = "Rule L3 says when a bar's prices liquidate an account."
            wanted = "path=stop_first, path=close or path=finer"
            raise OrderError(message("fill model of an account on margin", self.fill_model.label, wanted, fix))

    def rules(self, assets: list[str]) -> Rules | None:
        """What account and venue forbid an account of these assets; None for nothing."""
        venue, limits = self.venue, self.account.limits
        told = {"shorts": limits.shorts(assets), **limits.numbers()} if limits else {}
        if venue.rate is not None:
            rejects = venue.rate.excess == "reject"
            told |= {"rate": venue.rate.orders, "per": venue.rate.length, "rate_rejects": rejects}
        told |= {"outages": tuple(o.row for o in venue.outages)}
        found = Rules(**told, hours=venue.hours or "", closed_rejects=venue.closed == "reject")
        return found if found.flags else None
