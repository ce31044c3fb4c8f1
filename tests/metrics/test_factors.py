"""Factor models, betas through time and premiums of exposures (M21, M26, M27)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.linear_model import OLS

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.metrics.factors import window_sums

m = kk.metrics
DRAW = np.random.default_rng(31)
NAMES = ["market", "size", "value"]
N, ASSETS = 240, 25
FACTORS = xr.DataArray(DRAW.normal(0.005, 0.03, (3, N)), {"factor": NAMES}, ("factor", "time"))
BETAS = xr.DataArray(DRAW.normal(1.0, 0.5, (ASSETS, 3)), {"factor": NAMES}, ("asset", "factor"))
RETURNS = (BETAS * FACTORS).sum("factor") + xr.DataArray(DRAW.normal(0.001, 0.02, (ASSETS, N)), dims=("asset", "time"))


@pytest.mark.oracle("statsmodels", covers="M26", cases=25)
def test_m26__each_series_is_a_regression_of_statsmodels() -> None:
    found = m.factor_model(RETURNS, FACTORS, rf=0.001, lags=3, periods=12)
    assert found["beta"].dims == ("asset", "factor")
    design = np.column_stack([np.ones(N), FACTORS.values.T])
    for k in range(ASSETS):
        wanted = OLS(RETURNS.values[k] - 0.001, design).fit(
            cov_type="HAC", cov_kwds={"maxlags": 3, "use_correction": True}, use_t=True
        )
        one = found.isel(asset=k)
        np.testing.assert_allclose(one["beta"], wanted.params[1:], rtol=1e-9)
        np.testing.assert_allclose(one["beta_t"], wanted.tvalues[1:], rtol=1e-9)
        np.testing.assert_allclose(one["beta_p_value"], wanted.pvalues[1:], rtol=1e-6, atol=1e-300)
        np.testing.assert_allclose(one["alpha"], 12 * wanted.params[0], rtol=1e-9)
        np.testing.assert_allclose(one["alpha_t"], wanted.tvalues[0], rtol=1e-9)
        np.testing.assert_allclose(one["alpha_p_value"], wanted.pvalues[0], rtol=1e-9)
        np.testing.assert_allclose(one["r_squared"], wanted.rsquared, rtol=1e-9)
    assert (found["n_samples"] == N).all()
    assert found["alpha"].attrs["periods_per_year"] == 12
    assert found["alpha"].attrs["lags"] == 3


def test_m26__one_factor_is_alpha_and_beta() -> None:
    market = FACTORS.isel(factor=0, drop=True)
    rate = xr.DataArray(np.linspace(0.0, 0.004, N), dims="time")
    found = m.factor_model(RETURNS, (market - rate).expand_dims(factor=["market"]), rf=rate, periods=12)
    np.testing.assert_allclose(found["beta"][:, 0], m.beta(RETURNS, market, rf=rate), rtol=1e-10)
    np.testing.assert_allclose(found["alpha"], m.alpha(RETURNS, market, rf=rate, periods=12), rtol=1e-9)


def test_m26__a_series_is_shorter_or_has_a_gap() -> None:
    late = RETURNS.where(RETURNS["time"] >= 7)
    known = m.factor_model(late, FACTORS, periods=12)
    same = m.factor_model(RETURNS.isel(time=slice(7, None)), FACTORS.isel(time=slice(7, None)), periods=12)
    xr.testing.assert_allclose(known, same, rtol=1e-12)
    gap = m.factor_model(RETURNS.where(RETURNS["time"] != 7), FACTORS, periods=12)
    assert all(gap[name].isnull().all() for name in gap)
    short = m.factor_model(RETURNS.isel(time=slice(3)), FACTORS.isel(time=slice(3)), periods=12)
    assert short["beta"].isnull().all()
    none = m.factor_model(RETURNS * np.nan, FACTORS, periods=12)
    assert (none["n_samples"] == 0.0).all()
    lazy = m.factor_model(RETURNS.chunk(asset=5), FACTORS, periods=12)
    assert lazy["beta"].chunks
    xr.testing.assert_allclose(lazy.compute(), m.factor_model(RETURNS, FACTORS, periods=12))


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 40), st.integers(1, 60), st.integers(0, 2**31))
def test_m26__rolling_beta_is_a_line_through_each_window(window: int, more: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    b = rng.normal(0.0, 0.01, window + more - 1)
    x = 0.5 * b + rng.normal(0.0, 0.01, len(b))
    found = m.rolling_beta(x, b, window=window, rf=0.0001)
    assert np.isnan(found["beta"][: window - 1]).all()
    for t in range(window - 1, len(b)):
        slope, level = np.polyfit(b[t - window + 1 : t + 1] - 0.0001, x[t - window + 1 : t + 1] - 0.0001, 1)
        np.testing.assert_allclose(found["beta"][t], slope, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(found["alpha"][t], level, rtol=1e-7, atol=1e-10)


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 30), st.integers(31, 90))
def test_m26__rolling_beta_knows_nothing_of_later_samples(window: int, end: int) -> None:
    x, b = RETURNS.values[0], FACTORS.values[0]
    for name in ("beta", "alpha"):
        whole = m.rolling_beta(x, b, window=window)[name][:end]
        np.testing.assert_array_equal(m.rolling_beta(x[:end], b[:end], window=window)[name], whole)


def test_m26__window_sums_lose_no_digits_in_long_series() -> None:
    """A large beginning leaves nothing behind, as it would in differences of running sums."""
    x = np.concatenate([np.full(1000, 1e12), np.full(1000, 1e-6)])
    np.testing.assert_allclose(window_sums(x, 7)[-990:], 7e-6, rtol=1e-12)
    whole = np.arange(23.0)
    for window in range(1, 24):
        wanted = np.convolve(whole, np.ones(window), mode="valid")
        np.testing.assert_array_equal(window_sums(whole, window), wanted)


def test_m26__a_benchmark_that_does_not_vary_has_no_beta() -> None:
    flat = np.where(np.arange(30) < 15, 0.001, FACTORS.values[0][:30])
    found = m.rolling_beta(RETURNS.values[0][:30], flat, window=10)
    assert np.isnan(found["beta"][9:15]).all()
    assert not np.isnan(found["beta"][15:]).any()


def by_loop(returns: np.ndarray, exposures: np.ndarray) -> np.ndarray:
    """Fama and MacBeth by statsmodels, one regression a time."""
    rows = [OLS(y, np.column_stack([np.ones(len(y)), x])).fit().params for y, x in zip(returns, exposures, strict=True)]
    return np.array(rows)


@pytest.mark.oracle("statsmodels", covers="M27")
@pytest.mark.parametrize("lags", [0, 6])
@pytest.mark.parametrize("changing", [False, True])
def test_m27__premiums_are_those_of_a_loop(lags: int, changing: bool) -> None:
    exposures = m.factor_model(RETURNS, FACTORS, periods=12)["beta"]
    if changing:
        exposures = exposures + xr.DataArray(DRAW.normal(0.0, 0.1, (N, ASSETS)), dims=("time", "asset"))
    found = m.fama_macbeth(RETURNS, exposures, lags=lags)
    each = by_loop(RETURNS.values.T, np.broadcast_to(exposures.transpose(..., "asset", "factor"), (N, ASSETS, 3)))
    assert found["factor"].values.tolist() == ["intercept", *NAMES]
    np.testing.assert_allclose(found["premium"], each.mean(axis=0), rtol=1e-9)
    for k in range(4):
        wanted = OLS(each[:, k], np.ones(N)).fit(
            cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}, use_t=True
        )
        np.testing.assert_allclose(found["error"][k], wanted.bse[0], rtol=1e-9)
        np.testing.assert_allclose(found["t"][k], wanted.tvalues[0], rtol=1e-8)
        np.testing.assert_allclose(found["p_value"][k], wanted.pvalues[0], rtol=1e-8)
    assert float(found["n_times"]) == N


def test_m27__shanken_adds_what_the_betas_do_not_know() -> None:
    beta = m.factor_model(RETURNS, FACTORS, periods=12)["beta"]
    plain, more = m.fama_macbeth(RETURNS, beta, lags=0), m.fama_macbeth(RETURNS, beta, factors=FACTORS, lags=0)
    premium = plain["premium"].values[1:]
    cov = np.cov(FACTORS.values)
    c = premium @ np.linalg.inv(cov) @ premium
    wanted = (1 + c) * (plain["error"].values[1:] ** 2 - np.diag(cov) / N) + np.diag(cov) / N
    np.testing.assert_allclose(more["error"].values[1:] ** 2, wanted, rtol=1e-9)
    np.testing.assert_allclose(more["error"][0], np.sqrt(1 + c) * plain["error"][0], rtol=1e-9)
    np.testing.assert_array_equal(more["premium"], plain["premium"])
    assert more.attrs["errors"] == "shanken"
    assert plain.attrs["errors"] == "newey_west"


def test_m27__the_planted_premium_is_within_its_error() -> None:
    """Premiums of the factors that happened: over many draws t less the truth is about standard."""
    rng, off = np.random.default_rng(32), []
    for _ in range(150):
        factors = xr.DataArray(rng.normal(0.005, 0.03, (1, 120)), {"factor": ["market"]}, ("factor", "time"))
        beta = xr.DataArray(rng.uniform(0.5, 1.5, (30, 1)), {"factor": ["market"]}, ("asset", "factor"))
        noise = xr.DataArray(rng.normal(0.0, 0.02, (30, 120)), dims=("asset", "time"))
        found = m.fama_macbeth((beta * factors).sum("factor") + noise, beta, lags=0).sel(factor="market")
        off.append(float((found["premium"] - 0.005) / found["error"]))
    assert abs(np.mean(off)) < 0.3
    assert 0.8 < np.std(off) < 1.25


def test_m27__an_asset_without_a_number_is_left_out_at_that_time() -> None:
    holes = RETURNS.where((RETURNS["time"] + 3 * RETURNS["asset"]) % 11 != 0)
    found = m.fama_macbeth(holes, BETAS, lags=0)
    design = np.column_stack([np.ones(ASSETS), BETAS.values])
    rows = []
    for y in holes.transpose("time", "asset").values:
        there = ~np.isnan(y)
        rows.append(np.linalg.lstsq(design[there], y[there], rcond=None)[0])
    np.testing.assert_allclose(found["premium"], np.mean(rows, axis=0), rtol=1e-9)
    few = RETURNS.where((RETURNS["time"] != 0) | (RETURNS["asset"] < 3))
    assert float(m.fama_macbeth(few, BETAS)["n_times"]) == N - 1  # the first has too few: the series is shorter
    gap = RETURNS.where((RETURNS["time"] != 5) | (RETURNS["asset"] < 3))
    assert m.fama_macbeth(gap, BETAS)["premium"].isnull().all()


def test_m27__other_dims_broadcast() -> None:
    two = xr.concat([RETURNS, 2.0 * RETURNS], "regime")
    found = m.fama_macbeth(two, BETAS)
    np.testing.assert_allclose(found["premium"].sel(regime=1), 2.0 * found["premium"].sel(regime=0), rtol=1e-9)


SHORTER = FACTORS.assign_coords(time=np.arange(N) + 1)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: m.factor_model(RETURNS.values, FACTORS), DataError, "returns: found ndarray, wanted a DataArray"),
        (lambda: m.factor_model(RETURNS, FACTORS[0]), DataError, r"factors: found dims \('time',\), wanted the dims"),
        (lambda: m.factor_model(RETURNS, FACTORS), DataError, "periods: found no times along 'time'"),
        (
            lambda: m.factor_model(RETURNS.assign_coords(time=np.arange(N)), SHORTER, periods=12),
            DataError,
            "returns and factors and rf: found labels that differ",
        ),
        (lambda: m.factor_model(RETURNS, FACTORS, lags=-1, periods=12), UsageError, "lags: found -1, wanted None or"),
        (
            lambda: m.fama_macbeth(RETURNS, BETAS, correction="all"),  # type: ignore[arg-type]
            UsageError,
            "fama_macbeth: correction: found 'all', wanted one of 'small', 'none'",
        ),
        (
            lambda: m.fama_macbeth(RETURNS, BETAS, factors=FACTORS[:2]),
            DataError,
            "returns and exposures and factors: found labels that differ",
        ),
        (
            lambda: m.fama_macbeth(RETURNS, BETAS, factors=FACTORS.expand_dims(regime=2)),
            DataError,
            r"fama_macbeth: factors: found dims \('regime', 'factor', 'time'\)",
        ),
        (lambda: m.rolling_beta(RETURNS, RETURNS, window=2), UsageError, "window: found 2, wanted a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
