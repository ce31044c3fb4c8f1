"""Venues by name. Rates change; pass your own `Venue(fees=...)` where money depends on them."""

from __future__ import annotations

from kernelkit.market import fees, slippage
from kernelkit.market.venue import Venue


def us_equity(slippage_rate: float = 0.0005) -> Venue:
    """US shares at a discount broker: 0.005 USD a share, at least 1 USD an order; slippage is a fraction of the price.

    Source: the fixed per-share schedule that LEAN's InteractiveBrokersFeeModel documents for US equities.

    >>> us_equity().costs
    'fees per_unit(rate=0.005, minimum=1), slippage fraction(rate=0.0005)'
    """
    return Venue("us_equity", fees.per_unit(0.005, 1.0), slippage.fraction(slippage_rate))


def fraction(fee: float = 0.001, slip: float = 0.0) -> Venue:
    """A venue that charges the fraction ``fee`` of every traded value; ``slip`` moves market and stop orders' prices.

    >>> fraction(0.001).costs
    'fees fraction(rate=0.001)'
    """
    return Venue("fraction", fees.fraction(fee) if fee else None, slippage.fraction(slip) if slip else None)
