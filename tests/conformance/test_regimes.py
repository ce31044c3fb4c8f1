"""Regimes and drift against published numbers and other programs (Y5, Y7, Y8, Y11, Y12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.metrics.changes import one_break
from kernelkit.study.regimes import switching

pytestmark = pytest.mark.market_data


@pytest.mark.oracle("Hamilton", covers="Y5, Y8", cases=8)
def test_y5__the_recessions_of_hamilton(fixture: Callable[[str], Any]) -> None:
    """Real GNP, 1951 to 1984, four lags; the long-run share of recessions follows from the durations."""
    likelihood, numbers, durations = fixture("hamilton_1989_gnp")["cases"]
    x = np.array(likelihood["input"]["data"])
    model = switching.likeliest(x, 2, 4, switching_variance=False)
    assert model is not None
    found = model.ordered("mean")
    assert found.log_likelihood == pytest.approx(likelihood["expected"], abs=likelihood["tol"])
    stays = np.diag(found.transition)
    told = [*found.mean, found.deviation[0] ** 2, *stays]
    np.testing.assert_allclose(told, numbers["expected"], rtol=0, atol=numbers["tol"])
    np.testing.assert_allclose(1.0 / (1.0 - stays), durations["expected"], rtol=0, atol=durations["tol"])


@pytest.mark.oracle("statsmodels", covers="Y5", cases=131)
def test_y5__filtered_probabilities_are_those_of_statsmodels(fixture: Callable[[str], Any]) -> None:
    """Of each quarter, at the same parameters."""
    from statsmodels.tsa.regime_switching.markov_autoregression import MarkovAutoregression

    x = np.array(fixture("hamilton_1989_gnp")["cases"][0]["input"]["data"])
    model = switching.likeliest(x, 2, 4, switching_variance=False)
    assert model is not None
    params = [*model.transition[:, 0], *model.mean, model.deviation[0] ** 2, *model.lags]
    theirs = MarkovAutoregression(x, 2, order=4, switching_ar=False).filter(np.array(params))
    found = switching.filtered(model, x)
    assert np.isnan(found[:4]).all()
    np.testing.assert_allclose(found[4:], theirs.filtered_marginal_probabilities, rtol=0, atol=1e-9)


def test_y5__a_recession_is_labelled_as_it_comes(fixture: Callable[[str], Any]) -> None:
    """Estimated before each year alone: of the recessions of 1974 and 1982 both are seen, in their own time."""
    x = np.array(fixture("hamilton_1989_gnp")["cases"][0]["input"]["data"])
    quarters = pd.date_range("1951-04-01", periods=len(x), freq="QS")
    growth = xr.DataArray(x, {"time": quarters}, "time")
    found = kk.regimes.markov(growth, lags=4, switching_variance=False, min_train="20Y", refit="2Y")
    regime = found["regime"]
    assert (regime.sel(time=slice(None, "1970")) == -1).all()
    for low in (["1974-10-01", "1975-01-01"], ["1981-10-01", "1982-01-01"]):
        assert (regime.sel(time=low) == 0).all()
    assert (regime.sel(time=slice("1976", "1978")) == 1).mean() > 0.9


@pytest.mark.oracle("Nile", covers="Y7", cases=2)
def test_y7__the_nile_fell_and_it_was_known_soon(fixture: Callable[[str], Any]) -> None:
    at, means = fixture("changepoint_nile")["cases"]
    x = np.array(at["input"]["data"])
    cut, _ = one_break(x, "mean", 15)
    assert cut == at["expected"]
    np.testing.assert_allclose([x[:cut].mean(), x[cut:].mean()], means["expected"], rtol=0, atol=means["tol"])
    flow = xr.DataArray(x, {"time": pd.date_range("1871-01-01", periods=100, freq="YS")}, "time")
    found = kk.regimes.change_points(flow, change="mean", shortest=5, refit="1Y", min_train="10Y")
    assert int(found["regime"].max()) == 1
    declared = int(np.argmax(found["regime"].values == 1))
    assert declared - at["expected"] == 4  # after five low years
    assert abs(declared - int(found["began"][declared]) - at["expected"]) <= 1


@pytest.mark.oracle("river", covers="Y11, Y12", cases=2, left_out={"KSWIN": "draws at random from its window"})
def test_y11_y12__first_alarms_are_those_of_river(fixture: Callable[[str], Any]) -> None:
    (case,) = fixture("drift_river")["cases"]
    x = np.array(case["input"]["stream"], "f8")
    first = [int(np.argmax(alarm(x)["alarm"])) for alarm in (kk.inference.adwin, kk.inference.page_hinkley)]
    assert first == case["expected"][:2]
