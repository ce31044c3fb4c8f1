"""The built-in fee and slippage models (C4) as plain functions."""

from __future__ import annotations

import math

from tests.reference.config import Model, ModelView


def fraction_fee(rate: float) -> Model:
    """A share of the notional."""
    return lambda m: rate * m.notional


def per_unit_fee(rate: float, minimum: float) -> Model:
    """A price per unit with a minimum per order."""
    return lambda m: max(minimum, rate * (m.filled + m.quantity)) - m.paid


def fixed_fee(amount: float) -> Model:
    """One amount on the first fill of an order."""
    return lambda m: amount if m.filled == 0.0 else 0.0


def fraction_slippage(rate: float) -> Model:
    """The same share of the price whatever the size."""
    return lambda m: rate


def square_root_slippage(coefficient: float) -> Model:
    """Impact that grows with the square root of the share of the mean volume."""

    def model(m: ModelView) -> float:
        return coefficient * math.sqrt(m.quantity / m.volume) if m.volume > 0.0 else coefficient

    return model
