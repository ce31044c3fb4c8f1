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


def maker_taker_fee(maker: float, taker: float) -> Model:
    """One share of the notional for who rests, another for who takes."""
    return lambda m: (maker if m.maker == 1.0 else taker) * m.notional


def tiered_fee(tiers: list[tuple[float, float, float]]) -> Model:
    """Maker and taker by the volume of the 30 days before: (volume, maker, taker) of each tier."""

    def model(m: ModelView) -> float:
        _, maker, taker = [tier for tier in tiers if tier[0] <= m.traded][-1]
        return (maker if m.maker == 1.0 else taker) * m.notional

    return model


def percentage_fee(rate: float, minimum: float, maximum: float) -> Model:
    """A share of what the order has traded, within bounds."""
    return lambda m: min(maximum, max(minimum, rate * (m.filled_notional + m.notional))) - m.paid


def stamp_duty_fee(rate: float) -> Model:
    """A share of what is bought."""
    return lambda m: rate * m.notional if m.side == 1.0 else 0.0


def us_sales_fee(sec: float, taf: float, maximum: float) -> Model:
    """A share of what is sold, and an amount a unit with a maximum."""
    return lambda m: sec * m.notional + min(maximum, taf * m.quantity) if m.side == -1.0 else 0.0


def sum_of(first: Model, second: Model) -> Model:
    """Both."""
    return lambda m: first(m) + second(m)


def ticks_slippage(n: float) -> Model:
    """A number of ticks."""
    return lambda m: (n * m.tick) / m.price


def spread_slippage(ticks: float, rate: float) -> Model:
    """Half a spread."""
    return lambda m: 0.5 * ((ticks * m.tick) / m.price + rate)


def linear_slippage(coefficient: float) -> Model:
    """Impact in proportion to the share of the mean volume."""
    return lambda m: coefficient * (m.quantity / m.volume) if m.volume > 0.0 else coefficient


def volume_share_slippage(limit: float, impact: float) -> Model:
    """Impact that grows with the square of the share of the mean volume."""

    def model(m: ModelView) -> float:
        share = min(m.quantity / m.volume, limit) if m.volume > 0.0 else limit
        return impact * (share * share)

    return model


def volatility_slippage(coefficient: float, floor: float) -> Model:
    """A multiple of the volatility."""
    return lambda m: max(floor, coefficient * m.volatility)


def almgren_chriss_slippage(fixed: float, temporary: float, permanent: float) -> Model:
    """Linear impact: of this fill, and of what the order has filled before."""
    return lambda m: ((fixed + temporary * m.quantity) + permanent * m.filled) / m.price


def constant_product_slippage(reserve: float, fee: float) -> Model:
    """The average price of a pool over its price before."""

    def model(m: ModelView) -> float:
        if m.side == 1.0:
            if m.quantity >= reserve:
                return math.inf
            return reserve / ((reserve - m.quantity) * (1.0 - fee)) - 1.0
        return 1.0 - ((1.0 - fee) * reserve) / (reserve + m.quantity * (1.0 - fee))

    return model


def learned_slippage(a: list[float], b: list[float], z: list[list[float]]) -> Model:
    """Bilinear between the points of a table."""

    def cell(points: list[float], x: float) -> tuple[int, float]:
        x = min(max(x, points[0]), points[-1])
        i = max(k for k in range(len(points) - 1) if points[k] <= x)
        return i, (x - points[i]) / (points[i + 1] - points[i])

    def model(m: ModelView) -> float:
        i, u = cell(a, m.quantity / m.volume if m.volume > 0.0 else a[-1])
        j, v = cell(b, m.volatility)
        low = z[i][j] * (1.0 - v) + z[i][j + 1] * v
        high = z[i + 1][j] * (1.0 - v) + z[i + 1][j + 1] * v
        return low * (1.0 - u) + high * u

    return model


def fraction_slippage(rate: float) -> Model:
    """The same share of the price whatever the size."""
    return lambda m: rate


def square_root_slippage(coefficient: float) -> Model:
    """Impact that grows with the square root of the share of the mean volume."""

    def model(m: ModelView) -> float:
        return coefficient * math.sqrt(m.quantity / m.volume) if m.volume > 0.0 else coefficient

    return model
