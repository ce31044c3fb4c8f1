"""Forecasts over many assets (M29)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import DataError, UsageError

m = kk.metrics
DRAW = np.random.default_rng(41)
DIMS = ("time", "asset")


def panel(values: Any) -> xr.DataArray:
    return xr.DataArray(np.asarray(values, dtype=float), dims=DIMS)


F = panel(DRAW.normal(size=(30, 12)).round(1))  # some are equal
Y = panel(0.3 * F.values + DRAW.normal(size=(30, 12)))


@pytest.mark.oracle("SciPy", covers="M29", cases=60)
def test_m29__correlations_are_those_of_scipy() -> None:
    holes = F.where(DRAW.random(F.shape) > 0.2)
    rank, line = (m.information_coefficient(holes, Y, method=k) for k in ("spearman", "pearson"))
    for t in range(30):
        there = holes[t].notnull().values
        f, y = holes.values[t, there], Y.values[t, there]
        assert float(rank[t]) == pytest.approx(scipy.stats.spearmanr(f, y).statistic, rel=1e-9)
        assert float(line[t]) == pytest.approx(scipy.stats.pearsonr(f, y).statistic, rel=1e-9)
    assert rank.attrs["method"] == "spearman"
    assert rank.dims == ("time",)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-50, 50), min_size=3, max_size=15, unique=True), st.integers(0, 2**31))
def test_m29__ranks_see_order_alone(values: list[int], seed: int) -> None:
    f = xr.DataArray(np.array(values, dtype=float), dims="asset")
    y = xr.DataArray(np.random.default_rng(seed).permutation(len(values)).astype(float), dims="asset")
    found = float(m.information_coefficient(f, y))
    assert float(m.information_coefficient(np.exp(f / 50.0), y**3)) == pytest.approx(found, abs=1e-12)
    assert float(m.information_coefficient(-f, y)) == pytest.approx(-found, abs=1e-12)
    assert float(m.information_coefficient(f, f)) == pytest.approx(1.0)


def test_m29__too_little_is_nan() -> None:
    few = F.where(F["asset"] < 2)
    assert m.information_coefficient(few, Y).isnull().all()
    assert m.information_coefficient(F * 0.0 + 0.1, Y).isnull().all()


@pytest.mark.oracle("SciPy", covers="ic_summary", cases=2)
def test_m29__the_summary_is_a_t_test() -> None:
    ic = m.information_coefficient(F, Y)
    found = m.ic_summary(ic, lags=0, correction="small")
    plain = scipy.stats.ttest_1samp(ic, 0.0)
    # White's errors have the divisor n, then n / (n - 1): those of the t-test
    assert float(found["t"]) == pytest.approx(plain.statistic, rel=1e-9)
    assert float(found["p_value"]) == pytest.approx(plain.pvalue, rel=1e-9)
    assert float(found["ir"]) == pytest.approx(float(ic.mean() / ic.std(ddof=1)), rel=1e-12)
    assert float(found["hit_rate"]) == pytest.approx(float((ic > 0.0).mean()))


def test_m29__overlapping_outcomes_need_lags() -> None:
    """Coefficients that share 9 of 10 samples: at 5 %, t without lags rejects about half of what is luck."""
    noise = np.random.default_rng(42).normal(size=(300, 409))
    overlapping = np.lib.stride_tricks.sliding_window_view(noise, 10, axis=1).mean(axis=-1)
    without = m.ic_summary(overlapping, lags=0)["p_value"]
    with_lags = m.ic_summary(overlapping, lags=20)["p_value"]
    assert np.mean(without < 0.05) > 0.35
    assert np.mean(with_lags < 0.05) < 0.16


@pytest.mark.oracle("pandas", covers="M29", cases=30)
def test_m29__quantiles_are_those_of_pandas() -> None:
    f = panel(DRAW.permuted(np.tile(np.arange(13.0), (30, 1)), axis=1))
    y = panel(DRAW.normal(size=(30, 13)))
    found = m.quantile_returns(f, y, n=4)
    for t in range(30):
        frame = pd.DataFrame({"f": f.values[t], "y": y.values[t]})
        frame["group"] = np.ceil(frame["f"].rank(pct=True) * 4).astype(int)
        wanted = frame.groupby("group")["y"].agg(["mean", "size"])
        np.testing.assert_allclose(found["mean"][t], wanted["mean"], rtol=1e-12)
        np.testing.assert_array_equal(found["count"][t], wanted["size"])
    np.testing.assert_allclose(found["spread"], found["mean"].sel(quantile=4) - found["mean"].sel(quantile=1))
    assert found["quantile"].values.tolist() == [1, 2, 3, 4]


def test_m29__equal_forecasts_are_in_one_group_whatever_their_columns() -> None:
    f, y = panel([[1.0, 2.0, 2.0, 2.0, 3.0, np.nan]]), panel([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    found = m.quantile_returns(f, y, n=5)
    np.testing.assert_array_equal(found["mean"][0], [1.0, np.nan, 3.0, np.nan, 5.0])
    np.testing.assert_array_equal(found["count"][0], [1, 0, 3, 0, 1])
    turned = m.quantile_returns(f.isel(asset=slice(None, None, -1)), y.isel(asset=slice(None, None, -1)), n=5)
    np.testing.assert_array_equal(turned["mean"], found["mean"])
    six = m.quantile_returns(panel([np.arange(6.0)]), panel([np.arange(6.0)]), n=2)
    np.testing.assert_array_equal(six["count"][0], [3, 3])


def test_m29__a_signal_that_fades_has_its_half_life() -> None:
    """Returns follow a signal of first-order autocorrelation 0.8: log(2) / -log(0.8) is 3.1 samples."""
    rng = np.random.default_rng(43)
    signal = np.empty((600, 200))
    signal[0] = rng.normal(size=200)
    for t in range(1, 600):
        signal[t] = 0.8 * signal[t - 1] + 0.6 * rng.normal(size=200)
    returns = np.zeros_like(signal)
    returns[1:] = 0.3 * signal[:-1] + rng.normal(size=(599, 200))
    found = m.ic_decay(panel(signal), panel(returns), horizons=[1, 2, 3, 4, 6], method="pearson")
    first = 0.3 / np.sqrt(1.09)
    np.testing.assert_allclose(found["ic"], first * 0.8 ** (found["horizon"] - 1.0), atol=0.01)
    assert float(found["half_life"]) == pytest.approx(np.log(2) / -np.log(0.8), rel=0.05)


def test_m29__a_forecast_never_meets_its_own_sample() -> None:
    x = panel(np.random.default_rng(44).normal(0.0, 0.01, (40, 20)))
    found = m.ic_decay(x, x, horizons=[1, 2], method="pearson")
    assert (abs(found["ic"]) < 0.3).all()
    ahead = m.ic_decay(x.shift(time=-3), x, horizons=[1, 2, 3])
    assert float(ahead["ic"].sel(horizon=3)) == pytest.approx(1.0)
    whole = m.ic_decay(F, x.isel(time=slice(30), asset=slice(12)), horizons=[4], outcome="cumulative", method="pearson")
    y = x.values[:30, :12]
    each = [scipy.stats.pearsonr(F.values[t], np.prod(1.0 + y[t + 1 : t + 5], axis=0) - 1.0)[0] for t in range(26)]
    assert float(whole["ic"][0]) == pytest.approx(np.mean(each), rel=1e-9)
    assert whole["half_life"].isnull()


def test_m29__other_dims_broadcast() -> None:
    two = xr.concat([F, -F], "model")
    found = m.ic_decay(two, Y, horizons=[1, 3])
    assert set(found["ic"].dims) == {"model", "horizon"}
    np.testing.assert_allclose(found["ic"].sel(model=0), -found["ic"].sel(model=1), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: m.information_coefficient(F, Y, method="tau"), UsageError, "found 'tau', wanted 'spearman' or"),  # type: ignore[arg-type]
        (lambda: m.information_coefficient(F.values, Y), DataError, "forecasts: found ndarray, wanted a DataArray"),
        (lambda: m.information_coefficient(F, Y[:9]), DataError, "forecasts and outcomes: found labels that differ"),
        (lambda: m.quantile_returns(F, Y, n=1), UsageError, "quantile_returns: n: found 1, wanted a whole number of"),
        (lambda: m.ic_decay(F, Y, horizons=[0]), UsageError, r"horizons: found \[0\], wanted whole numbers from 1 to"),
        (lambda: m.ic_decay(F, Y, horizons=[]), UsageError, r"horizons: found \[\], wanted whole numbers"),
        (lambda: m.ic_decay(F, Y, outcome="both"), UsageError, "outcome: found 'both', wanted 'marginal' or"),  # type: ignore[arg-type]
        (lambda: m.ic_decay(F, Y, dim="day"), DataError, r"forecasts: found dims \('time', 'asset'\), wanted the"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
