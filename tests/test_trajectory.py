"""Liquidation schedules against the paper, its test case as others print it, and a numerical optimum."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from kernelkit.errors import UsageError
from kernelkit.market.trajectory import Impact, liquidation

# Table 1 of Almgren and Chriss (2000): 50 USD, a million shares, 30 % a year, a spread of 1/8, 5 million shares a day
SHARES = Impact(volatility=0.95, temporary=2.5e-6, permanent=2.5e-7, fixed=0.0625)
CASE = 1e6, 5.0, 5, SHARES
# An independent implementation, lakshmiDRIP/DROP (AlmgrenChriss), prints for the same case: risk aversion in 1e-6,
# expected cost in 1e6 USD, variance in 1e12, cost and risk together, half-life in days
PRINTED = [
    (0.001, 0.6625, 1.0812, 0.6636, 51.30),
    (0.004, 0.6625, 1.0758, 0.6668, 25.65),
    (0.008, 0.6626, 1.0687, 0.6711, 18.14),
    (0.009, 0.6626, 1.0669, 0.6722, 17.10),
]


@pytest.mark.parametrize(("aversion", "cost", "variance", "utility", "half_life"), PRINTED)
@pytest.mark.oracle("DROP", covers="liquidation schedules")
def test_the_test_case_as_printed(
    aversion: float, cost: float, variance: float, utility: float, half_life: float
) -> None:
    found = liquidation(*CASE, aversion * 1e-6)
    assert found.expected_cost / 1e6 == pytest.approx(cost, abs=5e-5)
    assert found.variance / 1e12 == pytest.approx(variance, abs=5e-5)
    assert (found.expected_cost + aversion * 1e-6 * found.variance) / 1e6 == pytest.approx(utility, abs=5e-5)
    assert found.half_life == pytest.approx(half_life, abs=5e-3)


@pytest.mark.oracle("Almgren and Chriss", covers="liquidation schedules")
def test_kappa_of_the_paper() -> None:
    """Section 3.4: with a risk aversion of 1e-6 kappa is about 0.61 a day."""
    assert liquidation(*CASE, 1e-6).kappa == pytest.approx(0.61, abs=5e-3)


@pytest.mark.parametrize("aversion", [1e-8, 1e-6, 2e-6, 1e-4])
def test_equation_20_and_the_difference_equation(aversion: float) -> None:
    found = liquidation(*CASE, aversion)
    eta = 2.5e-6 - 0.5 * 2.5e-7
    squared = aversion * 0.95**2 / eta
    x = found.holdings
    assert x[:-2] - 2 * x[1:-1] + x[2:] == pytest.approx(squared * x[1:-1], rel=1e-9)
    middle = 5.0 - (np.arange(5) + 0.5)
    k = found.kappa
    trades = 2 * math.sinh(0.5 * k) / math.sinh(5 * k) * np.cosh(k * middle) * 1e6
    assert found.trades == pytest.approx(trades, rel=1e-9)


@pytest.mark.parametrize("aversion", [0.0, 1e-6, 1e-5])
@pytest.mark.oracle("SciPy", covers="liquidation schedules")
def test_no_other_schedule_is_better(aversion: float) -> None:
    """A search over all schedules of five trades, in millions, finds the same one."""
    best = liquidation(*CASE, aversion)

    def utility(free: np.ndarray) -> float:
        x = np.r_[1.0, free, 0.0]
        n = -np.diff(x)
        cost = 0.5 * 0.25 + 0.0625 + (2.5 - 0.125) * float(n @ n)
        return cost + aversion * 1e6 * 0.95**2 * float(x[1:] @ x[1:])

    found = minimize(utility, np.linspace(0.8, 0.2, 4), method="BFGS", options={"gtol": 1e-10})
    assert best.holdings[1:-1] / 1e6 == pytest.approx(found.x, abs=1e-6)
    assert (best.expected_cost + aversion * best.variance) / 1e6 == pytest.approx(found.fun, rel=1e-10)


def test_no_aversion_is_a_straight_line_and_much_is_at_once() -> None:
    assert liquidation(*CASE, 0.0).trades == pytest.approx(np.full(5, 2e5))
    assert liquidation(*CASE, 0.0).half_life == math.inf
    assert liquidation(*CASE, 1e3).trades[0] == pytest.approx(1e6, rel=1e-6)
    assert liquidation(1e6, 500.0, 500, SHARES, 1e-2).holdings[-1] == 0.0  # no overflow of sinh


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: liquidation(0.0, 5.0, 5, SHARES, 0.0), "quantity of the liquidation"),
        (lambda: liquidation(1.0, 5.0, 5, SHARES, -1.0), "risk_aversion"),
        (lambda: liquidation(1.0, 100.0, 1, SHARES, 0.0), "Take more periods"),
        (lambda: Impact(volatility=-1.0, temporary=1.0), "volatility of the impact"),
        (lambda: Impact(volatility=1.0, temporary=0.0), "temporary of the impact"),
    ],
)
def test_what_is_refused(call: object, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        call()  # type: ignore[operator]
