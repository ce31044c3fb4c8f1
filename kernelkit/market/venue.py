"""A venue, and the settings of a backtest: frozen records that travel to the kernel as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from kernelkit.errors import OrderError, arguments, message
from kernelkit.kernels import layout as L
from kernelkit.market.halts import INSTEAD, Outage, Rate, calendar_named, check_choice, in_order, latency_ns
from kernelkit.market.instrument import SIZES, Instrument, check_order, listed, sizes_of
from kernelkit.market.limits import is_number
from kernelkit.market.models import CostModel

CASH_RULES = {"reduce": L.CUT, "reject": L.REJECT, "debt": L.DEBT}
OFF_TICK = ("round", "reject")
GUARDED_PATHS = ("stop_first", "close", "finer")  # L3: paths on which an account may be liquidated


@arguments(rate=Rate)
@dataclass(frozen=True)
class Venue:
    """What a venue charges and allows: ``fees`` and ``slippage`` are cost models (None: free).

    ``cash_rule`` says what becomes of an order that cash cannot pay: reduce, reject or debt (rule A3). ``band`` is the
    fraction of equity below which a target is not traded (rule S3). ``participation`` is the largest part of a bar's
    volume that orders may trade (rule P1; None: all of them fill). ``min_quantity`` and ``max_quantity`` (base units),
    ``min_notional`` (quote currency) are what one order may be (rule O15; None: anything); ``off_tick`` says whether a
    price off the tick grid is rounded (``"round"``, rule Q3) or the order rejected (``"reject"``).
    ``instruments`` has what it says of single assets, a `kk.Instrument` for each: of others it may list any number.
    ``hours`` names the calendar by which it opens (rule H1; None: always), ``closed`` says whether orders outside of
    them wait for the next open (``"delay"``) or are rejected; ``outages`` are those that it had (rule H2), ``rate`` how
    many orders it takes (rule H3). ``latency`` is how long what a strategy decides takes to reach it (rule H5): a
    duration such as ``"250ms"``, or ns; kept in ns.
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
    latency: str | int = 0
    instruments: Mapping[str, Instrument] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise OrderError(message("name of the venue", repr(self.name), "text", 'Write kk.Venue("binance", ...).'))
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
        for name in SIZES:
            self._check_limit(name)
        check_order(self.min_quantity, self.max_quantity, "the venue")
        object.__setattr__(self, "instruments", listed(self.instruments))
        for asset, (least, most, _) in zip(
            self.instruments, sizes_of(self.instruments, self, [*self.instruments]), strict=True
        ):
            check_order(least, most, f"{asset} at the venue")
        if self.off_tick not in OFF_TICK:
            wanted, fix = (
                f"one of {', '.join(OFF_TICK)}",
                "Choose what happens to an order whose price is off the grid.",
            )
            raise OrderError(message("off_tick of the venue", repr(self.off_tick), wanted, fix))
        object.__setattr__(self, "hours", calendar_named(self.hours))
        object.__setattr__(self, "outages", in_order(self.outages))
        object.__setattr__(self, "latency", latency_ns(self.latency))
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
    def models(self) -> list[CostModel]:
        """Its cost models."""
        return [model for model in (self.fees, self.slippage) if model is not None]

    @property
    def costs(self) -> str:
        """The costs in words; 'none' is what a result prints as COSTS: NONE."""
        parts = [f"fees {self.fees!r}" if self.fees else "", f"slippage {self.slippage!r}" if self.slippage else ""]
        return ", ".join(p for p in parts if p) or "none"


FREE = Venue("none")
