"""What positions must be backed with: initial and maintenance margin, and the presets of regulators (rules L1-L7)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from kernelkit.errors import OrderError, UsageError, arguments, message
from kernelkit.kernels.job import Backing, deductions
from kernelkit.kernels.layout import TIERS
from kernelkit.market.limits import is_number


@arguments()
@dataclass(frozen=True)
class Tiers:
    """Maintenance margin by notional value: from ``floors[k]`` on the rate is ``rates[k]``.

    The margin is continuous, as each rate counts for the part of the value within its tier only. Raises UsageError
    unless both are of one length, floors rise from 0, and rates rise within [0, 1).

    >>> [round(d, 6) for d in Tiers((0, 5_000, 50_000), (0.01, 0.02, 0.025)).deductions]
    [0.0, 50.0, 300.0]
    """

    floors: tuple[float, ...]
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in pairwise(self.floors)) and all(a <= b for a, b in pairwise(self.rates))
        if not (self.floors and len(self.floors) == len(self.rates) and self.floors[0] == 0 and rising):
            found = f"floors {self.floors} and rates {self.rates}"
            wanted = "as many of each, floors from 0, both rising"
            raise UsageError(message("maintenance tiers", found, wanted, "Tier k holds from floors[k] on."))
        if not all(0.0 <= rate < 1.0 for rate in self.rates):
            raise UsageError(message("maintenance rates", self.rates, "fractions in [0, 1)", "0.004 is 0.4 percent."))

    @property
    def deductions(self) -> tuple[float, ...]:
        """What each tier takes off ``rate * notional``, so that the margin is continuous: Binance's ``cum``."""
        return tuple(deductions(list(zip(self.floors, self.rates, strict=True))))

    def at(self, notional: float) -> tuple[float, float]:
        """The rate and the deduction at a notional value: those of the last tier whose floor is at most that.

        >>> Tiers((0, 5_000), (0.01, 0.02)).at(5_000)
        (0.02, 50.0)
        """
        k = max(j for j, floor in enumerate(self.floors) if floor <= max(notional, 0.0))
        return self.rates[k], self.deductions[k]

    def margin(self, notional: float) -> float:
        """The maintenance margin of a position of this value, in the currency of the value.

        >>> Tiers((0, 5_000), (0.01, 0.02)).margin(6_000)
        70.0
        """
        rate, deduction = self.at(notional)
        return rate * notional - deduction


@arguments()
@dataclass(frozen=True)
class Margin:
    """What fraction of a position's value must be own money, at the order and afterwards.

    ``initial`` in (0, 1] is asked for by an order (rule L1): 0.1 is tenfold leverage. ``maintenance`` is the rate
    below which the account is liquidated, or an exchange's `Tiers` (rule L2; None: never, but see rule A6),
    ``maintenance_short`` that of short positions (None: the same). A liquidation costs ``fee`` of its value on top of
    the venue's (rule L5). With ``isolated`` a position risks its own margin only; with ``protected`` nobody owes more
    than there was. Raises OrderError for other numbers, and for a maintenance that is not below the initial margin.

    >>> Margin(initial=0.5, maintenance=0.25).leverage
    2.0
    """

    initial: float = 1.0
    maintenance: float | Tiers | None = None
    maintenance_short: float | Tiers | None = None
    fee: float = 0.0
    isolated: bool = False
    protected: bool = True

    def __post_init__(self) -> None:
        initial: Any = self.initial
        if not (is_number(initial) and 0.0 < initial <= 1.0):
            fix = "0.1 is tenfold leverage; 1.0 is none."
            raise OrderError(message("initial margin", repr(initial), "a fraction in (0, 1]", fix))
        object.__setattr__(self, "initial", float(initial))
        for name in ("maintenance", "maintenance_short"):
            self._check_maintenance(name)
        if self.maintenance is None and self.maintenance_short is not None:
            fix = "Write maintenance=0.25 too."
            raise OrderError(message("maintenance of the margin", "one for short positions only", "one of both", fix))
        if self.isolated and self.maintenance is None:
            fix = "Write maintenance=0.005."
            raise OrderError(message("isolated margin", "no maintenance", "the rate at which it is liquidated", fix))
        fee: Any = self.fee
        if not (is_number(fee) and 0.0 <= fee < 1.0):
            raise OrderError(message("fee of a liquidation", repr(fee), "a fraction in [0, 1)", "0.005 is 0.5 %."))
        object.__setattr__(self, "fee", float(fee))

    def _check_maintenance(self, name: str) -> None:
        value: Any = getattr(self, name)
        if value is None:
            return
        what = name.replace("_", " of ") + " margin"
        if not isinstance(value, Tiers):
            if not (is_number(value) and value >= 0.0):
                fix = "0.25 is 25 percent of the value."
                raise OrderError(message(what, repr(value), "a fraction, or kk.margins.Tiers", fix))
            object.__setattr__(self, name, float(value))
        first = value.rates[0] if isinstance(value, Tiers) else float(value)
        if first >= self.initial and not (first == self.initial == 0.0):
            fix = "Exchange them: a position that may be opened must not be liquidated at once."
            raise OrderError(message(what, first, f"less than the initial margin, {self.initial}", fix))
        if isinstance(value, Tiers) and len(value.rates) > TIERS:
            found, fix = f"{len(value.rates)} tiers", "Leave the highest out."
            raise OrderError(message(what, found, f"at most {TIERS}", fix))

    @property
    def leverage(self) -> float:
        """How many times its own money an account may hold."""
        return 1.0 / self.initial

    def backing(self) -> Backing:
        """It as plain data."""
        long = _tiers(self.maintenance)
        short = long if self.maintenance_short is None else _tiers(self.maintenance_short)
        return Backing(self.initial, long, short, self.fee, self.isolated, self.protected)


def _tiers(maintenance: float | Tiers | None) -> tuple[tuple[float, float], ...]:
    if maintenance is None:
        return ()
    if isinstance(maintenance, Tiers):
        return tuple(zip(map(float, maintenance.floors), map(float, maintenance.rates), strict=True))
    return ((0.0, float(maintenance)),)


@arguments()
def reg_t() -> Margin:
    """Margin of US stocks: half of the value at the order, then 25 % of long and 30 % of short positions.

    Source: 12 CFR 220.12 (Regulation T); FINRA Rule 4210(c). The broker sells at once: no margin call is waited for.

    >>> reg_t().leverage
    2.0
    """
    return Margin(initial=0.5, maintenance=0.25, maintenance_short=0.30, protected=False)


ESMA = {
    "major_fx": 1.0 / 30.0,
    "minor_fx": 0.05,
    "gold": 0.05,
    "major_index": 0.05,
    "commodity": 0.1,
    "minor_index": 0.1,
    "stock": 0.2,
    "crypto": 0.5,
}


@arguments()
def esma(asset_class: str) -> Margin:
    """Margin of retail contracts for difference in the EU, by class of the underlying; closed out at half of it.

    ``asset_class`` is one of `ESMA`. Source: ESMA Decision (EU) 2018/796, Annex I (initial margin), Article 1 (margin
    close-out at 50 %, negative balance protection). Raises OrderError for another class.

    >>> round(esma("major_fx").leverage), esma("crypto").maintenance
    (30, 0.25)
    """
    if asset_class not in ESMA:
        raise OrderError(message("asset class", repr(asset_class), f"one of {', '.join(ESMA)}", "Check the name."))
    initial = ESMA[asset_class]
    return Margin(initial=initial, maintenance=0.5 * initial)
