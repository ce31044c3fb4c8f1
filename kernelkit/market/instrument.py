"""What a venue says of an asset: the steps of its prices and quantities, and how large an order may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kernelkit.errors import DataError, OrderError, arguments, message
from kernelkit.market.limits import is_number

if TYPE_CHECKING:
    from kernelkit.kernels.job import Table

STEPS = ("tick_size", "lot_size", "multiplier")
SIZES = ("min_quantity", "max_quantity", "min_notional")


@arguments()
@dataclass(frozen=True)
class Instrument:
    """An asset as a venue lists it; None where the venue does not say.

    ``tick_size``, ``lot_size`` and ``multiplier`` are the bars' own to fix, and must agree with them.
    ``min_quantity``, ``max_quantity`` (base units) and ``min_notional`` (quote currency) are what one order may be
    (rule O15), in the place of the venue's. Raises OrderError for what is no positive number.

    >>> Instrument(tick_size=0.01, min_notional=5.0).min_notional
    5.0
    """

    tick_size: float | None = None
    lot_size: float | None = None
    multiplier: float | None = None
    min_quantity: float | None = None
    max_quantity: float | None = None
    min_notional: float | None = None

    def __post_init__(self) -> None:
        for name in (*STEPS, *SIZES):
            value: Any = getattr(self, name)
            if value is not None and not (is_number(value) and value > 0):
                raise OrderError(
                    message(f"{name} of the instrument", repr(value), "a positive number", "Leave it out.")
                )
        check_order(self.min_quantity, self.max_quantity, "the instrument")

    def check(self, asset: str, table: Table, venue: str) -> None:
        """Raise DataError where the bars of the asset, as ``table`` has them, are counted in other steps."""
        tick = table.tick if table.inverse == 0 else 1.0 / table.inverse
        for name, here in zip(STEPS, (tick, table.lot, table.multiplier), strict=True):
            there = getattr(self, name)
            if there is not None and abs(there - here) > 1e-9 * here:
                fix = f"Load the bars with {name}={there:.10g}, or correct the venue."
                raise DataError(
                    message(f"{name} of {asset}", f"{here:.10g} in the bars", f"{there:.10g} at {venue}", fix)
                )


def check_order(least: float | None, most: float | None, whose: str) -> None:
    """Raise OrderError for a smallest order above the largest."""
    if least and most and least > most:
        found = f"{least} above max_quantity {most}"
        raise OrderError(message(f"min_quantity of {whose}", found, "no more than max_quantity", "Exchange them."))


def listed(instruments: Any) -> dict[str, Instrument]:
    """Instruments by asset; raises OrderError for anything else."""
    good = isinstance(instruments, Mapping) and all(isinstance(i, Instrument) for i in instruments.values())
    if not good:
        fix = 'Write instruments={"BTC": kk.Instrument(tick_size=0.01, min_notional=5.0)}.'
        raise OrderError(message("instruments of the venue", repr(instruments), "a kk.Instrument by asset", fix))
    nameless = [asset for asset in instruments if not isinstance(asset, str) or not asset]
    if nameless:
        fix = "Name the assets as the bars do."
        raise OrderError(message("instruments of the venue", f"one for {nameless[0]!r}", "the name of an asset", fix))
    return dict(instruments)


def sizes_of(instruments: Mapping[str, Instrument], venue: Any, assets: Sequence[str]) -> tuple[Any, ...]:
    """O15: what one order of each asset may be, in the order of SIZES, 0.0 for anything; () where none has its own."""
    if not any(asset in instruments for asset in assets):
        return ()
    each = [instruments.get(asset, Instrument()) for asset in assets]
    rows = [[getattr(one, name) or getattr(venue, name) or 0.0 for name in SIZES] for one in each]
    return tuple(tuple(row) for row in rows)
