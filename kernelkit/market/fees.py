"""What a fill costs, in quote currency (rules C2, C4). Negative is a rebate. ``a + b`` charges both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from kernelkit.errors import StrategyError, arguments, message
from kernelkit.market.models import CostModel, Rate, Trade, cost_model


@cost_model
def fraction(m: Trade, rate: Rate) -> float:
    """The fraction ``rate`` of the traded value (0.001 is 10 basis points).

    >>> fraction(0.001)
    fraction(rate=0.001)
    """
    return rate * m.notional


@cost_model
def per_unit(m: Trade, rate: float, minimum: float = 0.0) -> float:
    """``rate`` per base unit, at least ``minimum`` per order: charged once, however many fills there are.

    >>> per_unit(0.005, minimum=1.0)
    per_unit(rate=0.005, minimum=1)
    """
    return max(minimum, rate * (m.filled + m.quantity)) - m.paid


@cost_model
def fixed(m: Trade, amount: float) -> float:
    """``amount`` per order, charged with its first fill.

    >>> fixed(1.5)
    fixed(amount=1.5)
    """
    if m.filled == 0.0:
        return amount
    return 0.0


@cost_model
def maker_taker(m: Trade, maker: Rate, taker: Rate) -> float:
    """The fraction ``maker`` of what a limit order trades where it rests, ``taker`` of all else (rule C3).

    >>> maker_taker(0.0002, 0.0005)
    maker_taker(maker=0.0002, taker=0.0005)
    """
    if m.maker == 1.0:
        return maker * m.notional
    return taker * m.notional


@cost_model
def _tiered(m: Trade, volumes: tuple[float, ...], maker: tuple[float, ...], taker: tuple[float, ...]) -> float:
    tier = 0
    for k in range(len(volumes)):
        if m.traded >= volumes[k]:
            tier = k
    if m.maker == 1.0:
        return maker[tier] * m.notional
    return taker[tier] * m.notional


@arguments()
def tiered(volumes: Sequence[float], maker: Sequence[float], taker: Sequence[float]) -> CostModel:
    """Maker and taker fractions by what the account has traded in 30 days (rule C3), in quote currency.

    Tier k holds from ``volumes[k]`` on; the first begins at 0. What an account traded before the run it does not know:
    it begins in the first tier. Raises StrategyError unless the three are of one length, the volumes rise from 0 and
    the rates are fractions below 1.

    >>> tiered((0, 1e6), maker=(0.001, 0.0009), taker=(0.001, 0.001))
    tiered(volumes=(0, 1e+06), maker=(0.001, 0.0009), taker=(0.001, 0.001))
    """
    given: dict[str, Any] = {"volumes": volumes, "maker": maker, "taker": taker}
    for what, one in given.items():
        if isinstance(one, str) or not isinstance(one, Iterable):
            fix = "Write fees.tiered((0, 1e6), maker=(0.001, 0.0009), taker=(0.001, 0.001))."
            raise StrategyError(message(f"{what} of fees.tiered", repr(one), "a sequence of numbers", fix))
    model = replace(_tiered(tuple(volumes), tuple(maker), tuple(taker)), name="tiered")
    if not len(volumes) == len(maker) == len(taker):
        found = f"{len(volumes)} volumes, {len(maker)} maker and {len(taker)} taker rates"
        raise StrategyError(message("tiers of fees.tiered", found, "as many of each", "Give each tier all three."))
    if volumes[0] != 0 or any(a >= b for a, b in pairwise(volumes)):
        wanted, fix = "volumes that rise from 0", "Tier k holds from volumes[k] on."
        raise StrategyError(message("volumes of fees.tiered", tuple(volumes), wanted, fix))
    if steep := [rate for rate in (*maker, *taker) if abs(rate) >= 1.0]:
        wanted, fix = "fractions of the traded value, below 1", "0.001 is 10 basis points, 0.02 is 2 percent."
        raise StrategyError(message("rates of fees.tiered", steep[0], wanted, fix))
    return model


@cost_model
def percentage(m: Trade, rate: Rate, minimum: float = 0.0, maximum: float = 1e300) -> float:
    """The fraction ``rate`` of an order's value, between ``minimum`` and ``maximum`` per order, however many fills.

    The value is the sum over its fills, each at its own price.

    >>> percentage(0.001, minimum=5.0, maximum=50.0)
    percentage(rate=0.001, minimum=5, maximum=50)
    """
    return min(maximum, max(minimum, rate * (m.filled_notional + m.notional))) - m.paid


@cost_model
def stamp_duty(m: Trade, rate: Rate = 0.005) -> float:
    """The fraction ``rate`` of what is bought; sales are free.

    The default is UK Stamp Duty Reserve Tax on shares, 0.5 % (Finance Act 1986, section 87(6)).

    >>> stamp_duty()
    stamp_duty(rate=0.005)
    """
    if m.side > 0.0:
        return rate * m.notional
    return 0.0


@cost_model
def us_sales(m: Trade, sec: Rate, taf: float, maximum: float) -> float:
    """Regulatory fees on sales of US shares: ``sec`` of the value, and ``taf`` a share up to ``maximum`` a trade.

    The SEC changes its rate at least once a year and FINRA its own most years, so there are no defaults. From
    2021-02-25 they were 5.10 USD a million, and 0.000119 USD a share up to 5.95 USD. A trade is a fill here.

    Source: Securities Exchange Act of 1934, section 31 (SEC fee rate advisories); FINRA By-Laws, Schedule A, section 1
    (Trading Activity Fee).

    >>> us_sales(sec=5.10e-6, taf=0.000119, maximum=5.95)
    us_sales(sec=5.1e-06, taf=0.000119, maximum=5.95)
    """
    if m.side > 0.0:
        return 0.0
    return sec * m.notional + min(maximum, taf * m.quantity)
