"""Pools that quote by a formula: Uniswap v2 (constant product) and v3 (concentrated liquidity), in exact integers.

Amounts are integers in a token's smallest unit, as in the contracts; fees are in millionths of what goes in. Sources:
Adams, Zinsmeister and Robinson, Uniswap v2 Core (2020); Adams et al., Uniswap v3 Core (2021), section 6; the contracts
UniswapV2Library, TickMath, SqrtPriceMath and SwapMath, whose rounding this is: always in the pool's favour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kernelkit.errors import UsageError, message

MILLION = 1_000_000
Q96 = 1 << 96
MAX_TICK = 887_272
# 2^128 / 1.0001^(2^k / 2), as TickMath has them
_POWERS = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x9AA508B5B7A84E1C677DE54F3E99BC9,
    0x5D6AF8DEDB81196699C329225EE604,
    0x2216E584F5FA1EA926041BEDFE98,
    0x48A170391F7DC42444E8FA2,
)


def amount_out(amount: int, reserve_in: int, reserve_out: int, fee: int = 3000) -> int:
    """What a v2 pool gives for ``amount`` of the other token; all in smallest units, ``fee`` in millionths.

    ``floor(a * y / (x + a))`` with ``a`` the amount less the fee. Raises UsageError for an amount or a reserve that is
    not positive. Source: UniswapV2Library.getAmountOut (its 997 / 1000 is a fee of 3000).

    >>> amount_out(1_000, 10_000, 20_000)
    1813
    """
    _positive(amount=amount, reserve_in=reserve_in, reserve_out=reserve_out)
    paid = amount * (MILLION - fee)
    return paid * reserve_out // (reserve_in * MILLION + paid)


def amount_in(amount: int, reserve_in: int, reserve_out: int, fee: int = 3000) -> int:
    """What a v2 pool wants for ``amount`` of its other token: `amount_out` turned round, up by one unit.

    Raises UsageError for an amount or a reserve that is not positive, and for the whole reserve or more. Source:
    UniswapV2Library.getAmountIn.

    >>> amount_in(1_813, 10_000, 20_000)
    1000
    """
    _positive(amount=amount, reserve_in=reserve_in, reserve_out=reserve_out)
    if amount >= reserve_out:
        raise UsageError(message("amount", amount, f"less than the reserve of {reserve_out}", "Ask for less."))
    return reserve_in * amount * MILLION // ((reserve_out - amount) * (MILLION - fee)) + 1


def sqrt_price_at(tick: int) -> int:
    """The square root of 1.0001^tick as a Q64.96 integer: of token 1 for one token 0, in smallest units.

    Raises UsageError beyond -887272 ... 887272. Source: TickMath.getSqrtRatioAtTick.

    >>> sqrt_price_at(0) == 2**96, sqrt_price_at(-887272)
    (True, 4295128739)
    """
    if not -MAX_TICK <= tick <= MAX_TICK:
        raise UsageError(message("tick", tick, f"{-MAX_TICK} ... {MAX_TICK}", "A tick is log(price) / log(1.0001)."))
    ratio = 1 << 128
    for k, power in enumerate(_POWERS):
        if abs(tick) >> k & 1:
            ratio = ratio * power >> 128
    if tick > 0:
        ratio = ((1 << 256) - 1) // ratio
    return -(-ratio >> 32)


def amount0_between(low: int, high: int, liquidity: int, up: bool) -> int:
    """Token 0 that ``liquidity`` holds between two square-root prices: ``L * (1 / low - 1 / high)``, rounded.

    Prices are Q64.96 integers, the amount is in smallest units. Source: SqrtPriceMath.getAmount0Delta.

    >>> amount0_between(2**96, 2 * 2**96, 1_000, up=False)
    500
    """
    low, high = sorted((low, high))
    top = (liquidity << 96) * (high - low)
    if up:
        part = -(-top // high)
        return -(-part // low)
    return top // high // low


def amount1_between(low: int, high: int, liquidity: int, up: bool) -> int:
    """Token 1 that ``liquidity`` holds between two square-root prices: ``L * (high - low)``, rounded.

    Prices are Q64.96 integers, the amount is in smallest units. Source: SqrtPriceMath.getAmount1Delta.

    >>> amount1_between(2**96, 2 * 2**96, 1_000, up=False)
    1000
    """
    low, high = sorted((low, high))
    product = liquidity * (high - low)
    return -(-product // Q96) if up else product // Q96


@dataclass(frozen=True)
class Swap:
    """What came of a swap: amounts that went in (fee included) and out, the fee, and the pool's new state."""

    amount_in: int
    amount_out: int
    fee: int
    sqrt_price: int
    liquidity: int


def swap(
    amount: int, zero_for_one: bool, sqrt_price: int, liquidity: int, ticks: Mapping[int, int], fee: int = 3000
) -> Swap:
    """Swap exactly ``amount`` into a v3 pool, across as many initialised ticks as it takes.

    ``zero_for_one`` sells token 0, which lowers the price. ``sqrt_price`` is a Q64.96 integer, ``liquidity`` what is
    active there, ``ticks`` the net liquidity by initialised tick (added when the price rises through it), ``fee`` in
    millionths. Raises UsageError for an amount, price or liquidity that is not positive, and where the pool's
    liquidity ends before the amount does.

    Source: UniswapV3Pool.swap with SwapMath.computeSwapStep, exact input.

    >>> swap(1_000, True, 2**96, 10**12, {}).amount_out
    996
    """
    _positive(amount=amount, sqrt_price=sqrt_price, liquidity=liquidity)
    way = [t for t in sorted(ticks, reverse=zero_for_one) if (sqrt_price_at(t) <= sqrt_price) == zero_for_one]
    way.append(-MAX_TICK if zero_for_one else MAX_TICK)
    left, out, fees = amount, 0, 0
    for tick in way:
        target = sqrt_price_at(tick)
        reached, paid, got, charged = _step(sqrt_price, target, liquidity, left, fee, zero_for_one)
        left, out, fees, sqrt_price = left - paid - charged, out + got, fees + charged, reached
        if left == 0 or sqrt_price != target:
            break
        liquidity += -ticks.get(tick, 0) if zero_for_one else ticks.get(tick, 0)
    if left:
        found, wanted = f"{left} of {amount} left at the last tick", "liquidity for all of it"
        raise UsageError(message("swap", found, wanted, "Swap less, or give all initialised ticks."))
    return Swap(amount, out, fees, sqrt_price, liquidity)


def _step(price: int, target: int, liquidity: int, left: int, fee: int, down: bool) -> tuple[int, int, int, int]:
    """SwapMath.computeSwapStep: the new price, what went in without the fee, what came out, the fee."""
    inflow, outflow = (amount0_between, amount1_between) if down else (amount1_between, amount0_between)
    to_spend = left * (MILLION - fee) // MILLION
    wanted = inflow(target, price, liquidity, up=True)
    if to_spend >= wanted:
        charged = -(-wanted * fee // (MILLION - fee))
        return target, wanted, outflow(target, price, liquidity, up=False), charged
    if down:
        product = liquidity << 96
        reached = -(-product * price // (product + to_spend * price))
    else:
        reached = price + (to_spend << 96) // liquidity
    paid = inflow(reached, price, liquidity, up=True)
    return reached, paid, outflow(reached, price, liquidity, up=False), left - paid


def _positive(**numbers: int) -> None:
    for name, value in numbers.items():
        if value <= 0:
            raise UsageError(message(name, value, "a positive integer", "Amounts are in the token's smallest unit."))
