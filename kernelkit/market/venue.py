"""Settings of an account, a venue and a fill model: frozen records that travel to the kernel as data."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from kernelkit.errors import OrderError, message
from kernelkit.kernels import layout as L
from kernelkit.market.models import CostModel

CASH_RULES = {"reduce": L.CUT, "reject": L.REJECT, "debt": L.DEBT}
CODES = {
    "limit": {"through": L.THROUGH, "touch": L.TOUCH},
    "same_bar": {"adverse": L.ADVERSE, "next": L.NEXT},
    "trailing": {"check_first": L.CHECK_FIRST, "update_first": L.UPDATE_FIRST},
    "close_out": {"none": L.KEEP, "last_open": L.LAST_OPEN, "last_close": L.LAST_CLOSE},
    "sizing": {"at_decision": L.AT_DECISION, "at_fill": L.SIZE_AT_FILL},
}


@dataclass(frozen=True)
class Account:
    """Money at the start, in quote currency.

    >>> Account(cash=10_000)
    Account(cash=10000.0)
    """

    cash: float = 1_000_000.0

    def __post_init__(self) -> None:
        if (
            isinstance(self.cash, bool)
            or not isinstance(self.cash, (int, float))
            or not (math.isfinite(self.cash) and self.cash > 0)
        ):
            raise OrderError(message("cash of the account", self.cash, "a positive amount", "Write Account(cash=1e6)."))
        object.__setattr__(self, "cash", float(self.cash))


@dataclass(frozen=True)
class Venue:
    """What a venue charges and allows: ``fees`` and ``slippage`` are cost models (None: free), ``cash_rule`` one of reduce, reject, debt (rule A3).

    >>> Venue("free").costs
    'none'
    """

    name: str = "own"
    fees: CostModel | None = None
    slippage: CostModel | None = None
    cash_rule: str = "reduce"
    band: float = 0.005

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
                raise OrderError(
                    message(
                        f"{name} of the venue", repr(model), "a cost model", f"Write {name}=kk.{name}.fraction(0.001)."
                    )
                )
        if not 0.0 <= self.band < 1.0:
            raise OrderError(
                message("band of the venue", self.band, "a fraction of equity in [0, 1)", "Write band=0.005.")
            )

    @property
    def costs(self) -> str:
        """The costs in words; 'none' is what a result prints as COSTS: NONE."""
        parts = [f"fees {self.fees!r}" if self.fees else "", f"slippage {self.slippage!r}" if self.slippage else ""]
        return ", ".join(p for p in parts if p) or "none"


@dataclass(frozen=True)
class FillModel:
    """How orders meet bars (rules F1-F9, S5); the defaults are the model ``conservative``.

    >>> FillModel(limit="touch").codes()
    [1, 0, 0, 0, 0]
    """

    limit: str = "through"
    same_bar: str = "adverse"
    trailing: str = "check_first"
    close_out: str = "none"
    sizing: str = "at_decision"

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value not in CODES[f.name]:
                raise OrderError(
                    message(
                        f"{f.name} of the fill model",
                        value,
                        f"one of {', '.join(CODES[f.name])}",
                        "Other behaviour is not built.",
                    )
                )

    def codes(self) -> list[int]:
        """Integers of layout.FILL_MODEL, in order."""
        return [CODES[f.name][getattr(self, f.name)] for f in fields(self)]


CONSERVATIVE = FillModel()
FREE = Venue("none")
