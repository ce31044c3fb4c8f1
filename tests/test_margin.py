"""Liquidation prices by what they mean: at that price the balance is the maintenance margin."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelkit.errors import DataError, UsageError
from kernelkit.market.funding import payments, position_at
from kernelkit.market.liquidation import (
    Position,
    Tiers,
    liquidation_price,
    liquidation_price_of_bybit,
    liquidation_price_of_gate,
    liquidation_price_of_inverse,
    liquidation_price_of_tiers,
)

TABLE = Tiers((0.0, 5_000.0, 50_000.0, 600_000.0), (0.01, 0.02, 0.025, 0.05))
POSITIONS = st.builds(Position, st.sampled_from([1, -1]), st.floats(0.1, 1e4), st.floats(1.0, 1e4))
PARTS = st.floats(0.03, 1.5)


@given(POSITIONS, PARTS, st.floats(-0.01, 0.01), st.floats(0.0, 0.01))
def test_linear__the_balance_is_the_maintenance_margin(p: Position, part: float, profit: float, other: float) -> None:
    wallet, profit, other = part * p.value, profit * p.value, other * p.value
    price = liquidation_price_of_tiers(p, wallet, TABLE, profit, other)

    def spare(at: float) -> float:
        balance = wallet + profit - other + p.side * p.quantity * (at - p.entry)
        return balance - TABLE.margin(p.quantity * at)

    if price == 0.0:
        assert spare(1e-9) >= -1e-6 * p.value
    else:
        assert spare(price) == pytest.approx(0.0, abs=1e-9 * (p.value + p.quantity * price))
        assert spare(price * (1.0 + 1e-6 * p.side)) > 0.0 > spare(price * (1.0 - 1e-6 * p.side))


@given(POSITIONS, PARTS, st.floats(0.0, 0.2))
def test_inverse__the_balance_is_the_maintenance_margin(p: Position, part: float, rate: float) -> None:
    wallet = (part + rate) * p.quantity / p.entry
    price = liquidation_price_of_inverse(p, wallet, rate)

    def spare(at: float) -> float:
        return wallet + p.side * p.quantity * (1.0 / p.entry - 1.0 / at) - rate * p.quantity / at

    if math.isinf(price):
        assert p.side == -1
        assert spare(1e12 * p.entry) >= -1e-9 * p.quantity / p.entry
    else:
        assert spare(price) == pytest.approx(0.0, abs=1e-9 * p.quantity / p.entry)


@given(POSITIONS, st.floats(1.5, 50.0), st.floats(0.0, 0.01))
def test_isolated__formulas_agree_where_they_mean_the_same(p: Position, leverage: float, rate: float) -> None:
    """Gate's without the closing fee is Binance's; Bybit takes the maintenance margin of the entry value."""
    margin = p.value / leverage
    binance = liquidation_price(p, margin, rate)
    assert liquidation_price_of_gate(p, margin, rate, 0.0) == pytest.approx(binance, rel=1e-9)
    fixed = Position(p.side, p.quantity, p.entry)
    of_entry = liquidation_price(fixed, margin - rate * p.value, 0.0)
    assert liquidation_price_of_bybit(p, leverage, rate) == pytest.approx(of_entry, rel=1e-9)


def test_a_tier_begins_at_its_floor() -> None:
    assert [TABLE.at(n)[0] for n in (0.0, 4_999.99, 5_000.0, 1e9)] == [0.01, 0.01, 0.02, 0.05]
    assert TABLE.margin(5_000.0) == pytest.approx(0.01 * 5_000.0)  # continuous


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: Tiers((0.0, 1.0), (0.1,)), "maintenance tiers"),
        (lambda: Tiers((1.0,), (0.1,)), "maintenance tiers"),
        (lambda: Tiers((0.0, 1.0), (0.2, 0.1)), "maintenance tiers"),
        (lambda: Tiers((0.0,), (2.0,)), "maintenance rates"),
        (lambda: Position(0, 1.0, 1.0), "side of the position"),
        (lambda: Position(1, -1.0, 1.0), "quantity of the position"),
        (lambda: liquidation_price_of_bybit(Position(1, 1.0, 1.0), 0.0, 0.1), "leverage"),
    ],
)
def test_what_is_refused(call: object, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        call()  # type: ignore[operator]


def test_funding__of_an_inverse_contract_is_in_coin() -> None:
    assert payments(-10_000.0, 0.0001, 20_000.0, inverse=True).tolist() == 0.00005


def test_funding__what_is_not_known_is_not_paid() -> None:
    nan = float("nan")
    assert payments(5.0, [nan, 0.1, 0.1], [2.0, nan, 2.0]).tolist() == [0.0, 0.0, -1.0]
    assert payments(5.0, 0.1, [nan, 2.0], inverse=True).tolist() == [0.0, -0.25]


def test_funding__shapes_and_order_are_checked() -> None:
    with pytest.raises(DataError, match="shapes"):
        payments([1.0, 2.0], [0.1, 0.1, 0.1], 1.0)
    with pytest.raises(DataError, match=r"mark: found 0\.0"):
        payments(1.0, 0.1, [1.0, 0.0])
    back = {"time": ["2024-01-02", "2024-01-01"], "side": ["buy", "buy"], "quantity": [1.0, 1.0]}
    with pytest.raises(DataError, match="times that go back"):
        position_at(back, ["2024-01-03"])
