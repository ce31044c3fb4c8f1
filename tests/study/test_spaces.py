"""Spaces of parameters: what lies in them, and that a point is the same whatever is drawn beside it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import UsageError
from kernelkit.study.spaces import Space


@kk.strategy
def two(ctx, fast=10, slow=50, kind=0, depth=1.0):
    ctx.target_percent(1.0)


def space(where: Any = None, params: Any = None, **axes: Any) -> Space:
    return Space.of(two, axes, params, where)


@given(st.integers(-20, 20), st.integers(1, 60), st.integers(1, 9), st.floats(0.0, 1.0, exclude_max=True))
def test_whole_numbers_are_those_of_a_range_each_with_its_part(low: int, width: int, step: int, u: float) -> None:
    step = min(step, width)
    axis = kk.integer(low, low + width, step=step)
    known = list(range(low, low + width + 1, step))
    assert axis.at(u) in known
    assert [axis.at(axis.place(v)) for v in known] == known
    parts = [axis.at((k + 0.5) / (4 * len(known))) for k in range(4 * len(known))]
    assert [len(list(g)) for _, g in itertools.groupby(parts)] == [4] * len(known)


@given(st.floats(1e-6, 1e3), st.floats(1.01, 1e4), st.floats(0.0, 1.0), st.booleans())
def test_real_numbers_stay_within_their_ends(low: float, ratio: float, u: float, log: bool) -> None:
    axis = kk.real(low, low * ratio, log=log)
    assert axis.low <= axis.at(u) <= axis.high
    assert axis.place(axis.at(u)) == pytest.approx(u, abs=1e-6)
    middle = math.sqrt(low * low * ratio) if log else 0.5 * (low + low * ratio)
    assert axis.at(0.5) == pytest.approx(middle)


def test_whole_numbers_in_logarithms() -> None:
    axis = kk.integer(1, 1000, log=True)
    values = [axis.at(u) for u in np.linspace(0.0, 1.0, 100_001)]
    assert (min(values), max(values)) == (1, 1000)
    shares = np.bincount(values)[1:] / len(values)
    expected = np.diff(np.log(np.arange(0.5, 1001.0))) / math.log(1000.5 / 0.5)
    np.testing.assert_allclose(shares, expected, atol=2e-4)
    assert all(axis.at(axis.place(v)) == v for v in (1, 2, 17, 999, 1000))


def test_a_random_point_hangs_on_seed_and_number_alone() -> None:
    free = space(fast=kk.integer(5, 50), slow=kk.integer(20, 200), depth=kk.real(0.1, 2.0))
    alone = [free.sample(3, k) for k in (7, 2)]
    assert alone == [[free.sample(3, k) for k in range(10)][k] for k in (7, 2)]
    assert free.sample(4, 7) != free.sample(3, 7)
    assert free.samples(3, [7, 2]) == alone
    bound = space("fast < slow", fast=kk.integer(5, 50), slow=kk.integer(5, 50))
    drawn = [bound.sample(1, k) for k in range(300)]
    assert bound.samples(1, range(300)) == drawn
    assert all(fast < slow for fast, slow in drawn)
    pairs = {(a, b) for a, b in itertools.product(range(5, 51), repeat=2) if a < b}
    assert len(set(drawn)) > 200
    assert set(drawn) <= pairs


def test_where_there_is_no_choice_a_parameter_has_its_default() -> None:
    axes: dict[str, Any] = {"kind": kk.choice([0, 1]), "depth": kk.real(2.0, 3.0, when="kind == 1")}
    drawn = [space(**axes).sample(1, k) for k in range(100)]
    assert {depth for kind, depth in drawn if kind == 0} == {1.0}
    assert all(2.0 <= depth <= 3.0 for kind, depth in drawn if kind == 1)
    assert {space(params={"depth": 9.0}, **axes).at((0.1, 0.5))} == {(0, 9.0)}


def test_cells_are_those_of_a_grid_each_once() -> None:
    own = space(
        "fast < slow",
        fast=kk.integer(5, 15, step=5),
        slow=kk.choice([10, 20]),
        kind=kk.choice([3, 4], when="fast == 5"),
    )
    expected = [(5, 10, 3), (5, 10, 4), (5, 20, 3), (5, 20, 4), (10, 20, 0), (15, 20, 0)]
    assert [*own.cells()] == expected


def test_corners_reach_as_far_as_any_point() -> None:
    own = space(fast=kk.integer(5, 50), slow=kk.integer(20, 200), depth=kk.real(0.1, 2.0))
    corners = own.corners()
    for k in range(50):
        point = own.sample(1, k)
        for pick in (min, max):
            ends = [pick(c[j] for c in corners) for j in range(3)]
            assert all(pick(a, b) == a for a, b in zip(ends, point, strict=True))


def broken(**_: Any) -> bool:
    raise RuntimeError("no")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: kk.integer(5, 5), r"kk.integer: found \(5, 5, step=1\), wanted whole numbers .*low \+ step <= high"),
        (lambda: kk.integer(5, 9.5), "kk.integer: found"),
        (lambda: kk.integer(0, 9, log=True), "kk.integer: found .*log=True"),
        (lambda: kk.real(1.0, 1.0), "kk.real: found .*low < high"),
        (lambda: kk.real(0.0, float("inf")), "kk.real: found"),
        (lambda: kk.real(0.0, 1.0, log=True), "with log=True low > 0"),
        (lambda: kk.choice([1]), "kk.choice: found .*two or more"),
        (lambda: kk.choice([1, 1]), "each once"),
        (lambda: kk.choice([1, "a"]), "kk.choice"),
        (lambda: kk.choice("ab"), "kk.choice"),
        (lambda: kk.integer(1, 5, stp=2), "found the argument stp"),
        (lambda: space(), "space of a search: found {}"),
        (lambda: space(fast=[1, 2]), r"'fast' of a space: found \[1, 2\], wanted kk.integer"),
        (lambda: space(quick=kk.integer(1, 5)), "quick"),
        (lambda: space(params={"slow": [1, 2]}, fast=kk.integer(1, 5)), "parameter 'slow' of a search: found several"),
        (lambda: space("fast < nothing", fast=kk.integer(1, 5)).sample(0, 0), "where='fast < nothing'.*'nothing'"),
        (lambda: space("fast > 10", fast=kk.integer(1, 5)).sample(0, 0), "no point in 10,000 that fits"),
        (lambda: kk.choice(3), "kk.choice: found 3"),
        (lambda: kk.integer(1, 2**70), r"kk.integer: found .*wanted whole numbers from -2\^53 to 2\^53"),
        (lambda: kk.real(-1e308, 1e308), "kk.real: found .*a finite way between them"),
        (lambda: kk.real(1e-308, 1e308, log=True), "kk.real: found .*a finite way between them"),
        (lambda: kk.real(0, 10**400), "kk.real: found"),
        (lambda: kk.real(True, 2.0), "kk.real: found"),
        (lambda: kk.integer(1, 5, when=3), "^when: found 3, wanted text or a function"),
        (lambda: kk.real(1, 5, when="n >"), "^when='n >': found invalid syntax at .*an expression"),
        (lambda: kk.choice([1, 2], when=3), "^when: found 3"),
        (lambda: space("n >", fast=kk.integer(1, 5)), "^where='n >': found invalid syntax at "),
        (lambda: space(3, fast=kk.integer(1, 5)), "^where: found 3, wanted text or a function"),
        (lambda: space(broken, fast=kk.integer(1, 5)).sample(0, 0), "^where=.*found no, wanted a condition on .*fast="),
        (lambda: space(params=3, fast=kk.integer(1, 5)), "params of .*: found 3, wanted a dict"),
        (lambda: [*space(depth=kk.real(0.0, 1.0)).cells()], "'depth' of a grid: found kk.real"),
    ],
)
def test_what_does_not_fit_is_told(make: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        make()
