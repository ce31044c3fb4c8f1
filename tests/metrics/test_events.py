"""Event studies (M25)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from statsmodels.regression.linear_model import OLS

import kernelkit as kk
from kernelkit.errors import DataError, UsageError

m = kk.metrics
DRAW = np.random.default_rng(51)
N = 600
MARKET = xr.DataArray(DRAW.normal(0.0003, 0.01, N), {"time": np.arange(N)}, "time")


def stocks(rng: np.random.Generator, count: int) -> xr.DataArray:
    beta = xr.DataArray(rng.uniform(0.5, 1.5, count), {"asset": [f"s{k}" for k in range(count)]}, "asset")
    return 0.0001 + beta * MARKET + xr.DataArray(rng.normal(0.0, 0.02, (count, N)), dims=("asset", "time"))


def spread_out(x: xr.DataArray) -> xr.DataArray:
    """One event of each asset, 15 samples apart."""
    at = xr.DataArray(200 + 15 * np.arange(x.sizes["asset"]), dims="asset")
    return x["time"] == at + 0 * xr.zeros_like(x, dtype=int)


@pytest.mark.oracle("statsmodels", covers="M25", cases=16)
def test_m25__an_event_is_a_prediction_of_statsmodels() -> None:
    x = stocks(DRAW, 8)
    exact, rough = (m.event_study(x, MARKET, spread_out(x), errors=e, train=100) for e in ("exact", "asymptotic"))
    for k in range(8):
        at = 200 + 15 * k
        design = np.column_stack([np.ones(N), MARKET.values])
        past, within = slice(at - 110, at - 10), slice(at - 10, at + 11)
        fit = OLS(x.values[k, past], design[past]).fit()
        abnormal = x.values[k, within] - fit.predict(design[within])
        np.testing.assert_allclose(exact["abnormal"][k], abnormal, rtol=1e-9, atol=1e-14)
        cov = fit.mse_resid * np.eye(21) + design[within] @ fit.cov_params() @ design[within].T
        np.testing.assert_allclose(exact["car"][k], abnormal.sum(), rtol=1e-9)
        np.testing.assert_allclose(exact["t"][k], abnormal.sum() / np.sqrt(cov.sum()), rtol=1e-9)
        np.testing.assert_allclose(exact["p_value"][k], 2 * scipy.stats.t.sf(abs(exact["t"][k]), 98), rtol=1e-9)
        np.testing.assert_allclose(rough["t"][k], abnormal.sum() / np.sqrt(21 * fit.mse_resid), rtol=1e-9)
    assert exact["asset"].values.tolist() == [f"s{k}" for k in range(8)]
    assert exact["time"].values.tolist() == [200 + 15 * k for k in range(8)]


def test_m25__what_is_said_of_all_events() -> None:
    x = stocks(DRAW, 20)
    found = m.event_study(x, MARKET, spread_out(x), train=100)
    np.testing.assert_allclose(found["mean_abnormal"], found["abnormal"].mean("event"), rtol=1e-9)
    np.testing.assert_allclose(found["mean_car"], found["abnormal"].mean("event").cumsum("offset"), atol=1e-15)
    assert float(found["mean_car"][-1]) == pytest.approx(float(found["car"].mean()), abs=1e-15)
    error = found["car"] / found["t"]
    j1 = float(found["car"].mean() / np.sqrt((error**2).sum()) * 20)
    j2 = float(np.sqrt(20 * 96 / 98) * found["t"].mean())
    cross = scipy.stats.ttest_1samp(found["car"], 0.0).statistic
    np.testing.assert_allclose(found["statistic"].sel(test=["j1", "j2", "cross"]), [j1, j2, cross], rtol=1e-9)
    np.testing.assert_allclose(found["test_p_value"], 2 * scipy.stats.norm.sf(abs(found["statistic"])), rtol=1e-9)


def test_m25__a_planted_effect_is_found_where_it_is() -> None:
    x = stocks(np.random.default_rng(54), 20)
    mask = spread_out(x)
    found = m.event_study(x + 0.05 * mask, MARKET, mask, train=100)
    np.testing.assert_allclose(found["mean_abnormal"].sel(offset=0), 0.05, atol=0.015)
    np.testing.assert_allclose(found["mean_abnormal"].sel(offset=[-1, 1]), 0.0, atol=0.015)
    np.testing.assert_allclose(found["mean_car"].sel(offset=10), 0.05, atol=0.05)
    short = m.event_study(x + 0.05 * mask, MARKET, mask, window=(0, 1), train=100)
    assert (short["test_p_value"] < 1e-4).all()


def test_m25__without_effect_the_tests_hold_their_size() -> None:
    rng, p, own = np.random.default_rng(52), [], []
    for _ in range(250):
        x = stocks(rng, 15)
        found = m.event_study(x, MARKET, spread_out(x), window=(-2, 2), train=60)
        p.append(found["test_p_value"].values)
        own.append(found["p_value"].values)
    rejected = np.mean(np.array(p) < 0.05, axis=0)
    assert (rejected > 0.015).all()
    assert (rejected < 0.10).all()
    assert 0.04 < np.mean(np.array(own) < 0.05) < 0.06


def test_m25__events_without_samples_are_left_out() -> None:
    x = stocks(DRAW, 3)
    mask = xr.zeros_like(x, dtype=bool)
    mask[0, [50, 300, 595]] = True
    mask[1, 300] = True
    hole = x.where((x["asset"] != "s1") | (x["time"] != 250))
    found = m.event_study(hole, MARKET, mask, train=100)
    assert found["car"].isnull().values.tolist() == [True, False, True, True]
    assert float(found["n_events"]) == 1.0
    assert float(found["mean_car"][-1]) == pytest.approx(float(found["car"][1]))
    assert np.isnan(found["statistic"].sel(test="cross"))
    none = m.event_study(x, MARKET, xr.zeros_like(x, dtype=bool))
    assert float(none["n_events"]) == 0.0
    assert none["mean_car"].isnull().all()
    assert none["statistic"].isnull().all()


def test_m25__one_series_and_the_mean_model() -> None:
    x = stocks(DRAW, 1).isel(asset=0, drop=True)
    found = m.event_study(x, MARKET, x["time"] == 300, window=(-1, 1), train=50, model="mean")
    wanted = x.values[299:302] - x.values[249:299].mean()
    np.testing.assert_allclose(found["abnormal"][0], wanted, rtol=1e-9)
    error = np.sqrt(x.values[249:299].var(ddof=1) * (3 + 9 / 50))
    np.testing.assert_allclose(found["t"][0], wanted.sum() / error, rtol=1e-9)
    assert found.attrs["model"] == "mean"


X = stocks(np.random.default_rng(53), 2)
MASK = X["time"] == 300


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: m.event_study(X, MARKET, MASK * 1), DataError, "events: found dtype int64, wanted bool"),
        (lambda: m.event_study(X.values, MARKET, MASK), DataError, "returns: found ndarray, wanted a DataArray"),
        (lambda: m.event_study(X, MARKET[1:], MASK), DataError, "returns and benchmark and events: found labels that"),
        (lambda: m.event_study(X, MARKET, MASK, window=(1, 0)), UsageError, r"window: found \(1, 0\), wanted first"),
        (lambda: m.event_study(X, MARKET, MASK, train=5), UsageError, "train: found 5, wanted at least 10 samples"),
        (lambda: m.event_study(X, MARKET, MASK, model="ff3"), UsageError, "found 'ff3', wanted 'market' or 'mean'"),  # type: ignore[arg-type]
        (lambda: m.event_study(X, MARKET, MASK, errors="none"), UsageError, "found 'none', wanted 'exact' or"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
