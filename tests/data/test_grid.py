"""Prices on the grid of their instrument."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelkit.data import grid
from kernelkit.errors import DataError


@pytest.mark.parametrize(
    ("tick", "expected"),
    [
        (1.0, (1.0, 0)),
        (0.25, (0.25, 0)),
        (2.0**-30, (2.0**-30, 0)),
        (4.0, (4.0, 0)),
        (0.01, (0.01, 100)),
        (0.05, (0.05, 20)),
        (0.0025, (0.0025, 400)),
        (1e-8, (1e-8, 100_000_000)),
        (1 / 3, (1 / 3, 3)),
    ],
)
def test_given__power_of_two_or_inverse(tick, expected):
    made = grid.given(tick, "X")
    assert (made.tick, made.inverse) == expected


@pytest.mark.parametrize(
    ("tick", "advice"), [(0.03, "0.01"), (5.0, "1.0"), (0.015, "0.005"), (2.5, "0.5"), (10.0, "1.0")]
)
def test_given__other_ticks_are_refused_with_a_finer_one_that_works(tick, advice):
    with pytest.raises(DataError, match=f"tick_size of 'X'.*Pass tick_size={advice},"):
        grid.given(tick, "X")
    finer = grid.given(float(advice), "X")
    assert finer.off(np.array([7 * tick])) == 0.0


@pytest.mark.parametrize("tick", [0.0, -0.01, math.nan, math.inf])
def test_given__not_a_price_step(tick):
    with pytest.raises(DataError, match="a positive price step"):
        grid.given(tick, "X")


@settings(deadline=None)
@given(st.floats(1e-12, 1e12))
def test_derived__first_close_has_2_30_to_2_31_ticks(close):
    made = grid.derived(close)
    assert made.inverse == 0
    assert math.frexp(made.tick)[0] == 0.5
    assert 2**30 <= close / made.tick < 2**31


@settings(deadline=None)
@given(ticks=st.integers(1, 2**40), inverse=st.sampled_from([3, 10, 20, 100, 400, 10_000, 10**8]))
def test_inverse__prices_as_written_keep_their_bits(ticks, inverse):
    price = ticks / inverse
    made = grid.given(1.0 / inverse, "X")
    assert made.off(np.array([price])) <= grid.OFF_GRID
    assert made.ticks(np.array([price])) == ticks
    assert made.prices(np.array([float(ticks)])) == price


@settings(deadline=None)
@given(first=st.floats(1e-3, 1e6), ratio=st.floats(1e-3, 1e3))
def test_derived__snapping_moves_a_price_by_at_most_half_a_tick_and_only_once(first, ratio):
    made, price = grid.derived(first), np.array([first * ratio])
    snapped = made.prices(made.ticks(price))
    assert abs(snapped - price) <= 0.5 * made.tick
    assert made.prices(made.ticks(snapped)) == snapped


@settings(deadline=None)
@given(ticks=st.integers(1, 10**9), share=st.floats(0.001, 0.5))
def test_off__sees_a_price_between_ticks(ticks, share):
    made = grid.given(0.01, "X")
    assert made.off(np.array([(ticks + share) / 100]))[0] == pytest.approx(share, abs=1e-5)


def test_off__does_not_ask_more_of_a_float_than_it_holds():
    price = 98_765.43217654
    made = grid.given(1e-8, "X")
    assert made.off(np.array([price, np.nextafter(price, 0)])).max() <= grid.OFF_GRID


def test_check_range__below_one_tick_and_beyond_exact_counting():
    made = grid.given(1.0, "X")
    with pytest.raises(DataError, match="lowest price of 'X'"):
        grid.check_range(np.array([0.0, 5.0]), made, "X")
    with pytest.raises(DataError, match="highest price of 'X'"):
        grid.check_range(np.array([5.0, 2.0**54]), made, "X")
