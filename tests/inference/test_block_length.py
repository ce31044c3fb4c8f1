"""Automatic block length (I10)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import UsageError

length = kk.inference.block_length
SCHEMES: Any = pytest.mark.parametrize("scheme", ["stationary", "circular"])


def series(seed: int, n: int, rho: float) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=n)
    for t in range(1, n):
        x[t] += rho * x[t - 1]
    return x


def slow(x: np.ndarray, scheme: str) -> float:
    """I10, one lag after the other."""
    n, off = len(x), x - x.mean()
    reach = min(math.ceil(n**0.5) + 5, n - 1)
    r = [sum(off[t] * off[t - k] for t in range(k, n)) / n for k in range(reach + 1)]
    quiet = [abs(one) < 2 * (math.log10(n) / n) ** 0.5 * r[0] for one in r]
    runs = [k for k in range(1, reach - 3) if all(quiet[k : k + 5])]
    width = min(2 * (runs[0] if runs else reach), reach)
    s = g = 0.0
    for k in range(-width, width + 1):
        w = min(1.0, 2 * (1 - abs(k) / width))
        s, g = s + w * r[abs(k)], g + w * abs(k) * r[abs(k)]
    found = (2 * n * g * g / ({"stationary": 2, "circular": 4 / 3}[scheme] * s * s)) ** (1 / 3)
    return max(1.0, min(found, math.ceil(min(3 * n**0.5, n / 3))))


@SCHEMES
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 300), st.floats(-0.9, 0.95))
def test_i10__block_length_is_the_slow_text(scheme: Any, seed: int, n: int, rho: float) -> None:
    x = series(seed, n, rho)
    assert length(x, scheme=scheme) == pytest.approx(slow(x, scheme), rel=1e-9)


@SCHEMES
def test_i10__series_of_other_lengths_beside_it_change_nothing(scheme: Any) -> None:
    x = np.full((4, 400), np.nan)
    alone = []
    for row, (first, last, rho) in enumerate([(0, 400, 0.5), (30, 390, 0.0), (100, 140, 0.8), (5, 12, 0.3)]):
        x[row, first:last] = series(row, last - first, rho)
        alone.append(float(length(x[row, first:last], scheme=scheme)))
    found = length(xr.DataArray(x, dims=("trial", "time")), scheme=scheme)
    np.testing.assert_allclose(found, alone, rtol=1e-12)
    assert found.attrs == {"long_name": "block length, in samples", "units": "1", "scheme": scheme}
    x[0, 50] = np.nan
    assert np.isnan(length(x)).tolist() == [True, False, False, False]


def test_i10__scale_and_level_do_not_matter_and_correlation_does() -> None:
    x = series(3, 800, 0.6)
    assert length(5.0 - 0.01 * x) == pytest.approx(float(length(x)), rel=1e-9)
    assert length(x) > 2.0 * length(series(3, 800, 0.0))
    assert length(x, scheme="circular") == pytest.approx(float(length(x)) * 1.5 ** (1 / 3), rel=1e-12)


def test_i10__nothing_is_known_without_variance() -> None:
    assert np.isnan(length(np.full(30, 0.1)))
    assert np.isnan(length(np.array([0.1])))
    with pytest.raises(UsageError, match="scheme: found 'moving', wanted one of 'stationary', 'circular'"):
        length(series(0, 30, 0.0), scheme="moving")
