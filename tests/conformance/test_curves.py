"""Breaks, a level and a factor model against published numbers (M20-M22, M26)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.metrics.changes import best_breaks, criterion
from kernelkit.metrics.curve import _state_space

pytestmark = pytest.mark.market_data
m = kk.metrics

# strucchange, the summary of its breakpoints(Nile ~ 1): 0 to 5 breaks
RSS = [2835157, 1597457, 1552924, 1538097, 1507888, 1659994]
BIC = [1318, 1270, 1276, 1285, 1292, 1311]
BREAKS = [[], [28], [28, 83], [28, 68, 83], [28, 45, 68, 83], [15, 30, 45, 68, 83]]


@pytest.mark.oracle("Nile", covers="M22", cases=20)
def test_m22__the_nile_fell_after_1898(fixture: Callable[[str], Any]) -> None:
    at, means = fixture("changepoint_nile")["cases"]
    x = np.array(at["input"]["data"])
    found = m.segments(xr.DataArray(x, dims="time"))
    assert int((found["segment"] == 0.0).sum()) == at["expected"]
    np.testing.assert_allclose(found["mean"][[0, -1]], means["expected"], rtol=0, atol=means["tol"])
    cuts, costs = best_breaks(x, "mean", 5, 15)
    assert cuts == BREAKS
    np.testing.assert_allclose(costs, RSS, atol=0.5)
    np.testing.assert_allclose(criterion(costs, 100, "mean"), BIC, atol=0.5)


@pytest.mark.oracle("Nile", covers="M20", cases=2)
def test_m20__the_variances_of_the_nile(fixture: Callable[[str], Any]) -> None:
    """Durbin and Koopman (2012), section 2.10.3: 15099 of the noise, 1469.1 of the level."""
    x = np.array(fixture("changepoint_nile")["cases"][0]["input"]["data"])
    _, variances, scale = _state_space(x, len(x), "level")
    np.testing.assert_allclose(variances * scale**2, [15099.0, 1469.1], rtol=5e-4)


@pytest.mark.oracle("PerformanceAnalytics", covers="M26", cases=2)
def test_m26__one_factor_is_the_capm_of_r(fixture: Callable[[str], Any], series: Mapping[str, np.ndarray]) -> None:
    wanted = fixture("performance_analytics_more_expected")
    x, market = (xr.DataArray(series[name], dims="time") for name in ("ham1", "sp500"))
    found = m.factor_model(x, market.expand_dims(factor=["market"]), periods=1)
    assert float(found["beta"][0]) == pytest.approx(wanted["ham1_vs_sp500|CAPM.beta"], abs=1e-12)
    assert float(found["alpha"]) == pytest.approx(wanted["ham1_vs_sp500|CAPM.alpha"], abs=1e-12)
