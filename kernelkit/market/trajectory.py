"""How to spread a large order over time: the efficient trajectories of Almgren and Chriss (2000)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelkit.errors import UsageError, message


@dataclass(frozen=True)
class Trajectory:
    """A schedule that sells everything: holdings at each time, trades in between, and what they are expected to cost.

    ``holdings`` has N + 1 entries in units, ``trades`` N; ``expected_cost`` is in quote currency and ``variance`` in
    its square; ``kappa`` is the rate at which the holdings decay, per unit of time, ``half_life`` its inverse.
    """

    holdings: NDArray[np.float64]
    trades: NDArray[np.float64]
    expected_cost: float
    variance: float
    kappa: float

    @property
    def half_life(self) -> float:
        """Time in which the holdings would fall by a factor e with no end in sight; infinite for a straight line."""
        return 1.0 / self.kappa if self.kappa > 0.0 else math.inf


@dataclass(frozen=True)
class Impact:
    """Linear impact: the numbers of Almgren and Chriss, in quote currency, units and one unit of time (their day).

    ``volatility`` is the standard deviation of price changes over one unit of time (an amount, not a fraction);
    ``permanent`` (gamma) is the price change per unit sold; ``temporary`` (eta) the concession per unit sold in one
    unit of time; ``fixed`` (epsilon) half the spread and the fees of one unit.

    >>> Impact(volatility=0.95, temporary=2.5e-6, permanent=2.5e-7, fixed=0.0625).permanent
    2.5e-07
    """

    volatility: float
    temporary: float
    permanent: float = 0.0
    fixed: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("volatility", 0.0), ("permanent", 0.0), ("fixed", 0.0)):
            value: Any = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                fix = "Amounts are in quote currency."
                raise UsageError(message(f"{name} of the impact", value, "a finite number, 0 or more", fix))
        if not (math.isfinite(self.temporary) and self.temporary > 0.0):
            wanted, fix = "a positive number", "Without temporary impact the best schedule is to sell at once."
            raise UsageError(message("temporary of the impact", self.temporary, wanted, fix))


def liquidation(quantity: float, time: float, periods: int, impact: Impact, risk_aversion: float) -> Trajectory:
    """The schedule that minimises expected cost plus ``risk_aversion`` times its variance, in equal periods.

    ``x[j] = X * sinh(kappa * (T - t[j])) / sinh(kappa * T)`` with ``cosh(kappa * tau) = 1 + k2 * tau**2 / 2``,
    ``k2 = risk_aversion * volatility**2 / eta'`` and ``eta' = temporary - permanent * tau / 2``; a straight line for a
    risk aversion of 0. Expected cost ``permanent * X**2 / 2 + fixed * X + eta' / tau * sum(n**2)``, variance
    ``volatility**2 * tau * sum(x[1:]**2)``.

    ``quantity`` is in units (X > 0), ``time`` in the unit of the impact's numbers (T), ``risk_aversion`` per unit of
    quote currency. Raises UsageError for numbers out of these ranges, and where ``eta'`` is not positive.

    Source: Almgren and Chriss, Optimal Execution of Portfolio Transactions, Journal of Risk 3 (2000), equations
    (5), (8), (15)-(20).

    >>> shares = Impact(volatility=0.95, temporary=2.5e-6, permanent=2.5e-7, fixed=0.0625)
    >>> best = liquidation(1e6, 5.0, 5, shares, 1e-6)
    >>> round(best.kappa, 2), best.trades.round(-3).tolist()
    (0.61, [458000.0, 252000.0, 142000.0, 86000.0, 62000.0])
    """
    for name, value in (("quantity", quantity), ("time", time), ("periods", periods)):
        if not (math.isfinite(value) and value > 0):
            raise UsageError(
                message(f"{name} of the liquidation", value, "a positive number", "Say how much, how long.")
            )
    if not (math.isfinite(risk_aversion) and risk_aversion >= 0.0):
        raise UsageError(message("risk_aversion", risk_aversion, "a finite number, 0 or more", "Try 1e-6."))
    tau = time / periods
    eta = impact.temporary - 0.5 * impact.permanent * tau
    if eta <= 0.0:
        found, wanted = f"a permanent impact of {impact.permanent} over {tau}", "less than twice the temporary one"
        raise UsageError(message("impact", found, wanted, "Take more periods."))
    curvature = 0.5 * (risk_aversion * impact.volatility**2 / eta) * tau**2
    # acosh(1 + c) of a small c loses its digits
    kappa = 2.0 * math.asinh(math.sqrt(0.5 * curvature)) / tau
    left = np.linspace(time, 0.0, periods + 1)
    holdings = quantity * left / time
    if kappa > 0.0:  # sinh(a) / sinh(b) without overflow
        top = np.exp(kappa * (left - time)) * -np.expm1(-2.0 * kappa * left)
        holdings = quantity * top / -math.expm1(-2.0 * kappa * time)
    holdings[-1] = 0.0
    trades = -np.diff(holdings)
    cost = 0.5 * impact.permanent * quantity**2 + impact.fixed * quantity + eta / tau * float(trades @ trades)
    variance = impact.volatility**2 * tau * float(holdings[1:] @ holdings[1:])
    return Trajectory(holdings, trades, cost, variance, kappa)
