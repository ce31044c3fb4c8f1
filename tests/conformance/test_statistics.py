"""Intervals, comparisons and classical tests against numbers of papers and of other programs (I10-I29, B10-B19)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelkit as kk

i = kk.inference


@pytest.mark.market_data
@pytest.mark.oracle("Politis and White", covers="I10", cases=2)
def test_i10__politis_white_block_length(fixture: Callable[[str], Any]) -> None:
    (case,) = fixture("politis_white_block_length")["cases"]
    x = np.random.RandomState(0).standard_normal(10100)
    for t in range(1, len(x)):
        x[t] += 0.3 * x[t - 1]
    found = [i.block_length(x[100:], scheme=scheme) for scheme in ("stationary", "circular")]
    np.testing.assert_allclose(found, case["expected"], rtol=0, atol=case["tol"])


@pytest.mark.oracle("Politis and White", covers="I10", cases=40)
def test_i10__block_length_is_that_of_arch() -> None:
    """Theirs sets a correlation at a lag against the variances of what is left: another answer near the edge."""
    from arch.bootstrap import optimal_block_length

    draw = np.random.default_rng(7)
    for rho in np.linspace(-0.5, 0.5, 20):
        x = draw.normal(size=1500)
        for t in range(1, 1500):
            x[t] += rho * x[t - 1]
        theirs = optimal_block_length(x).to_numpy()[0]
        ours = [i.block_length(x, scheme=scheme) for scheme in ("stationary", "circular")]
        np.testing.assert_allclose(ours, np.maximum(theirs, 1.0), rtol=1e-9)
