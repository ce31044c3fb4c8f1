"""Pools: the published numbers of the contracts' own tests, and the invariants of their curves."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelkit.errors import UsageError
from kernelkit.market import amm

ONE = 10**18


def price_sqrt(one: int, zero: int) -> int:
    """The square root of a ratio, as a Q64.96 integer."""
    return math.isqrt((one << 192) // zero)


# v3-core, SwapMath.spec.ts: target, amount in, fee, amount out; from a price of 1 with liquidity 2e18, fee 600
PUBLISHED = [
    (price_sqrt(101, 100), 9975124224178055, 5988667735148, 9925619580021728),
    (price_sqrt(1000, 100), 999400000000000000, 600000000000000, 666399946655997866),
]


@pytest.mark.parametrize(("target", "paid", "fee", "got"), PUBLISHED)
@pytest.mark.oracle("Pools: contracts", covers="amm")
def test_v3_step_is_that_of_the_contract(target: int, paid: int, fee: int, got: int) -> None:
    reached, *amounts = amm._step(amm.Q96, target, 2 * ONE, ONE, 600, False)
    assert amounts == [paid, got, fee]
    assert (reached == target) == (paid + fee < ONE)


@pytest.mark.oracle("Pools: contracts", covers="amm", cases=2)
def test_v3_ticks_are_those_of_the_contract() -> None:
    """TickMath: MIN_SQRT_RATIO and MAX_SQRT_RATIO, which every one of its constants enters."""
    assert amm.sqrt_price_at(-887272) == 4295128739
    assert amm.sqrt_price_at(887272) == 1461446703485210103287273052203988822378723970342
    with pytest.raises(UsageError, match="tick: found 887273"):
        amm.sqrt_price_at(887273)


@given(st.integers(-887271, 887272))
def test_v3_a_tick_is_one_basis_point(tick: int) -> None:
    ratio = Fraction(amm.sqrt_price_at(tick), amm.sqrt_price_at(tick - 1))
    assert float(ratio) ** 2 == pytest.approx(1.0001, rel=1e-9)
    with_logs = math.log(amm.sqrt_price_at(tick) / 2**96) * 2 / math.log(1.0001)
    assert with_logs == pytest.approx(tick, abs=1e-3)


TICKS = {-120: 3 * ONE, -60: 5 * ONE, 60: -5 * ONE, 120: -3 * ONE, -887220: ONE, 887220: -ONE}


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10**18), st.integers(1, 10**18), st.booleans())
def test_v3_two_swaps_are_one_up_to_rounding(first: int, second: int, down: bool) -> None:
    """Path independence, section 6 of the paper: across ticks too, but for a unit a step that the pool keeps."""
    whole = amm.swap(first + second, down, amm.Q96, 9 * ONE, TICKS)
    half = amm.swap(first, down, amm.Q96, 9 * ONE, TICKS)
    rest = amm.swap(second, down, half.sqrt_price, half.liquidity, TICKS)
    assert 0 <= whole.amount_out - (half.amount_out + rest.amount_out) <= 8
    assert whole.liquidity == rest.liquidity
    assert whole.sqrt_price == pytest.approx(rest.sqrt_price, rel=1e-15)
    assert whole.amount_in == first + second


def test_v3_crossing_ticks_is_swapping_in_each_range_by_itself() -> None:
    """By fractions: each range is spent at its own liquidity, and what is left goes to the next."""
    amount = 10**17
    result = amm.swap(amount, False, amm.Q96, 9 * ONE, TICKS, fee=0)
    left, price, out = Fraction(amount), Fraction(1), Fraction(0)
    for tick, liquidity in ((60, 9 * ONE), (120, 4 * ONE), (887220, ONE)):
        top = Fraction(amm.sqrt_price_at(tick), amm.Q96)
        reached = min(top, price + left / liquidity)
        out += liquidity * (1 / price - 1 / reached)
        left -= liquidity * (reached - price)
        price = reached
    assert left == 0
    assert result.liquidity == ONE  # both upper edges were crossed
    assert result.amount_out == pytest.approx(float(out), rel=1e-15)
    assert result.sqrt_price / amm.Q96 == pytest.approx(float(price), rel=1e-15)


def test_v3_there_and_back_pays_the_fee_twice() -> None:
    there = amm.swap(10**16, True, amm.Q96, 9 * ONE, TICKS)
    back = amm.swap(there.amount_out, False, there.sqrt_price, there.liquidity, TICKS)
    assert back.amount_out / 10**16 == pytest.approx(0.997**2, rel=1e-4)
    assert there.fee == pytest.approx(3 * 10**13, rel=1e-15)


def test_v3_liquidity_ends() -> None:
    with pytest.raises(UsageError, match="liquidity for all of it"):
        amm.swap(10**20, True, amm.Q96, ONE, {-60: ONE})


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10**24), st.integers(1, 10**24), st.integers(1, 10**24), st.sampled_from([0, 500, 3000, 10_000]))
def test_v2_the_product_never_falls(amount: int, x: int, y: int, fee: int) -> None:
    got = amm.amount_out(amount, x, y, fee)
    assert (x + amount) * (y - got) >= x * y
    assert (x * 10**6 + amount * (10**6 - fee)) * (y - got - 1) < x * y * 10**6  # a unit more would be too much
    if 0 < got < y:
        assert amm.amount_in(got, x, y, fee) <= amount + 1


@pytest.mark.parametrize("call", [lambda: amm.amount_out(0, 1, 1), lambda: amm.amount_in(5, 9, 5)])
def test_v2_refuses(call: object) -> None:
    with pytest.raises(UsageError):
        call()  # type: ignore[operator]
