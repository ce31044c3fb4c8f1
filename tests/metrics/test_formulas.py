"""Formulas against closed forms, other libraries and slower texts of the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats
import xarray as xr

import kernelkit as kk
from kernelkit.errors import UsageError

m = kk.metrics
DRAW = np.random.default_rng(5)


def test_lo_2002__equation_20() -> None:
    x = DRAW.normal(0.01, 0.03, 300)
    rho = [np.sum((x[k:] - x.mean()) * (x[:-k] - x.mean())) / np.sum((x - x.mean()) ** 2) for k in range(1, 12)]
    eta = 12 / np.sqrt(12 + 2 * sum((12 - k) * r for k, r in enumerate(rho, 1)))
    found = m.sharpe_ratio(x, periods=12, autocorrelation="lo")
    np.testing.assert_allclose(found, eta * m.sharpe_ratio(x, periods=1), rtol=1e-12)
    one = m.sharpe_ratio(x, periods=12, autocorrelation="lo", lags=1)
    np.testing.assert_allclose(one, 12 / np.sqrt(12 + 22 * rho[0]) * m.sharpe_ratio(x, periods=1), rtol=1e-12)
    none = m.sharpe_ratio(x, periods=12, autocorrelation="lo", lags=0)
    np.testing.assert_allclose(none, m.sharpe_ratio(x, periods=12), rtol=1e-12)
    assert np.isnan(m.sharpe_ratio(x[:11], periods=12, autocorrelation="lo"))
    for most in (11, 12, 40):  # a year of 12 months has no autocorrelation of a 12th lag
        assert m.sharpe_ratio(x, periods=12, autocorrelation="lo", lags=most) == found


def test_lo_2002__equation_22() -> None:
    """AR(1): the sample's autocorrelations are close to powers of rho, so is eta(q) to its closed form."""
    rho, q, n = 0.3, 12, 400_000
    noise = DRAW.normal(size=n)
    x = np.empty(n)
    x[0] = noise[0]
    for t in range(1, n):
        x[t] = rho * x[t - 1] + noise[t]
    x += 0.1
    eta = np.sqrt(q) / np.sqrt(1 + 2 * rho / (1 - rho) * (1 - (1 - rho**q) / (q * (1 - rho))))
    found = m.sharpe_ratio(x, periods=q, autocorrelation="lo") / m.sharpe_ratio(x, periods=1)
    assert found == pytest.approx(eta, rel=0.02)


@pytest.mark.oracle("SciPy", covers="value_at_risk, expected_shortfall", cases=6)
@pytest.mark.parametrize("xi", [-0.2, 0.0, 0.3])
def test_m13__evt_finds_the_tail_that_is_there(xi: float) -> None:
    """Losses that are generalised Pareto as a whole are so beyond any of their quantiles."""
    tail = scipy.stats.genpareto(xi, scale=0.01)
    x = -tail.ppf((np.arange(1, 200_001) - 0.5) / 200_000)
    value = tail.ppf(0.99)
    assert m.value_at_risk(x, level=0.99, method="evt") == pytest.approx(value, rel=2e-3)
    shortfall = (value + 0.01) / (1 - xi)
    assert m.expected_shortfall(x, level=0.99, method="evt") == pytest.approx(shortfall, rel=5e-3)


def test_m13__evt_says_nothing_of_a_tail_it_has_not_seen() -> None:
    x = DRAW.normal(size=89)
    assert np.isnan(m.value_at_risk(x, level=0.99, method="evt"))
    assert np.isnan(m.value_at_risk(DRAW.normal(size=1000), level=0.8, method="evt"))


def test_m13__filtered_knows_today_s_volatility() -> None:
    """Samples that are scaled by the volatility before them, once slowly, sample by sample."""
    x = DRAW.normal(size=400) * np.where(np.arange(400) < 300, 0.01, 0.03)
    v, scaled = np.mean(x**2), []
    for one in x:
        scaled.append(one / np.sqrt(v))
        v = 0.94 * v + 0.06 * one**2
    found = m.value_at_risk(x, method="filtered")
    np.testing.assert_allclose(found, -np.quantile(scaled, 0.05) * np.sqrt(v), rtol=1e-12)
    assert found > 1.3 * m.value_at_risk(x)


def test_m13__tails_of_a_normal_distribution() -> None:
    """All methods agree on it: the quantiles of 200,000 equal steps of probability."""
    normal = scipy.stats.norm(0.001, 0.02)
    x = normal.ppf((np.arange(1, 200_001) - 0.5) / 200_000)
    value, shortfall = -normal.ppf(0.05), -normal.expect(lambda v: v, ub=normal.ppf(0.05), conditional=True)
    for method in ("historical", "gaussian", "cornish_fisher", "evt"):
        near = 0.02 if method == "evt" else 1e-3
        assert m.value_at_risk(x, method=method) == pytest.approx(value, rel=near)
        assert m.expected_shortfall(x, method=method) == pytest.approx(shortfall, rel=near)
    bound = -0.001 + 0.02 * np.sqrt(-2 * np.log(0.05))
    assert m.entropic_value_at_risk(x) == pytest.approx(bound, rel=2e-3)


def test_entropic_value_at_risk_is_the_smallest_bound() -> None:
    x = DRAW.standard_t(5, 500) * 0.01
    grid = np.exp(np.linspace(-9.0, 3.0, 20_001))[:, None]
    bounds = grid[:, 0] * (scipy.special.logsumexp(-x / grid, axis=-1) - np.log(500 * 0.05))
    found = m.entropic_value_at_risk(x)
    assert found <= bounds.min() + 1e-15
    assert found == pytest.approx(bounds.min(), rel=1e-6)
    assert m.entropic_value_at_risk(x, level=0.999) == pytest.approx(-x.min(), rel=1e-9)


@pytest.mark.oracle("SciPy", covers="kupiec, christoffersen, basel_traffic_light", cases=40)
def test_p_values_are_those_of_scipy() -> None:
    x = DRAW.normal(size=(10, 250))
    var = np.full_like(x, 1.5)
    one, two = m.kupiec(x, var), m.christoffersen(x, var)
    np.testing.assert_allclose(one["p_value"], scipy.stats.chi2(1).sf(one["statistic"]), rtol=1e-10)
    np.testing.assert_allclose(two["independence_p_value"], scipy.stats.chi2(1).sf(two["independence"]), rtol=1e-10)
    np.testing.assert_allclose(two["conditional_p_value"], scipy.stats.chi2(2).sf(two["conditional"]), rtol=1e-10)
    zone = m.basel_traffic_light(x, var, level=0.95)
    np.testing.assert_allclose(zone["probability"], scipy.stats.binom(250, 0.05).cdf(zone["exceptions"]), rtol=1e-10)
    np.testing.assert_array_equal(zone["exceptions"], np.sum(x < -1.5, axis=-1))


@pytest.mark.parametrize(("exceptions", "zone"), [(0, 0), (4, 0), (5, 1), (9, 1), (10, 2), (250, 2)])
def test_bcbs_1996__zones(exceptions: int, zone: int) -> None:
    x = np.where(np.arange(250) < exceptions, -1.0, 1.0)
    assert m.basel_traffic_light(x, np.full(250, 0.5))["zone"] == zone


def test_acerbi_szekely__a_correct_model_scores_zero() -> None:
    normal = scipy.stats.norm(0.0, 0.01)
    x = normal.ppf((np.arange(1, 100_001) - 0.5) / 100_000)
    value, shortfall = -normal.ppf(0.025), -normal.expect(lambda v: v, ub=normal.ppf(0.025), conditional=True)
    right = m.acerbi_szekely(x, np.full_like(x, value), np.full_like(x, shortfall))
    assert right["z1"] == pytest.approx(0.0, abs=1e-3)
    assert right["z2"] == pytest.approx(0.0, abs=1e-3)
    wrong = m.acerbi_szekely(2.0 * x, np.full_like(x, value), np.full_like(x, shortfall))
    assert wrong["z1"] < -0.1
    assert wrong["z2"] < -0.7
    quiet = m.acerbi_szekely(np.abs(x), np.full_like(x, value), np.full_like(x, shortfall))
    assert np.isnan(quiet["z1"])
    assert quiet["z2"] == 1.0


def test_m11__the_table_has_the_labels_of_the_dim() -> None:
    days = pd.date_range("2024-01-01", periods=6)
    x = xr.DataArray([[-0.1, 0.5, -0.5, 1.0, 0.5, -0.2], [0.1] * 6], {"time": days}, ("asset", "time"))
    found = m.drawdown_table(x, top=4)
    assert found["depth"].dims == ("asset", "drawdown")
    np.testing.assert_allclose(found["depth"][0], [0.5, 0.2, 0.1, np.nan], atol=1e-12)
    day = [None if pd.isna(t) else pd.Timestamp(t).day for t in found["peak"][0].values]
    assert day == [2, 5, None, None]  # the first fell from the initial wealth
    assert [None if pd.isna(t) else pd.Timestamp(t).day for t in found["recovery"][0].values] == [4, None, 2, None]
    assert found["trough"][1].isnull().all()
    assert found["trough"].dtype == x["time"].dtype
    assert found.attrs == {"top": 4}
    with pytest.raises(UsageError, match=r"drawdown_table: top: found 0, wanted a whole number"):
        m.drawdown_table(x, top=0)


@pytest.mark.parametrize(("labels", "wanted"), [([7, 8, 9], 8.0), (["a", "b", "c"], "b"), ([0.5, 1.5, 2.5], 1.5)])
def test_m11__labels_of_other_kinds(labels: list[object], wanted: object) -> None:
    x = xr.DataArray([0.1, -0.1, 0.05], {"time": labels}, "time")
    found = m.drawdown_table(x, top=2)["trough"]
    assert found.values[0] == wanted
    assert found.isnull().values.tolist() == [False, True]


def test_m11__nothing_comes_back_after_ruin() -> None:
    x = np.array([0.1, -1.2, 5.0, 5.0])
    assert m.total_return(x) == -1.0
    assert m.max_drawdown(x) == 1.0
    assert m.cagr(x, periods=1) == -1.0
    assert m.underwater(x).tolist() == [0.0, 1.0, 1.0, 1.0]


def test_m11__rounding_is_no_drawdown() -> None:
    assert m.drawdown_durations(np.array([0.1, -1 / 11, 0.1, 0.0]))["n"] == 1.0
    assert m.drawdown_durations(np.array([0.1, -1e-13, 0.1, 0.0]))["n"] == 0.0


def test_m12__equal_samples_have_no_variance() -> None:
    for n in (2, 7, 1000):
        x = np.full(n, 0.1)
        assert m.volatility(x, periods=252) == 0.0
        assert np.isnan(m.sharpe_ratio(x, periods=252))
        assert np.isnan(m.skewness(x))
    assert np.isnan(m.volatility(np.array([0.1]), periods=252))
    assert m.volatility(np.array([0.1]), periods=252, ddof=0) == 0.0


def test_m9_m11__a_series_that_begins_later_has_its_peaks_later() -> None:
    """What lies before its first sample is no sample: no peak either, which is the initial wealth then."""
    days = pd.date_range("2024-01-01", periods=7)
    x = xr.DataArray([np.nan, np.nan, -0.1, 0.5, -0.2, 1.0, 0.0], {"time": days}, "time")
    late, alone = m.drawdown_table(x, top=3), m.drawdown_table(x[2:], top=3)
    xr.testing.assert_identical(late, alone)
    assert late["peak"].values[0] == days[3]
    assert np.isnat(late["peak"].values[1])
    assert m.drawdown_table(x.values, top=2)["peak"].tolist() == [3.0, -1.0]


def test_tail_ratio_without_a_losing_tail() -> None:
    assert np.isnan(m.tail_ratio(np.linspace(0.01, 0.03, 40)))
    assert m.tail_ratio(np.linspace(-0.03, -0.01, 40)) < 0.0
    assert m.tail_ratio(np.linspace(-0.02, 0.02, 41)) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["pareto", "one", "equal"])
def test_m13__the_shape_of_a_fitted_tail_is_below_1(kind: str) -> None:
    """However heavy the tail is, probability weighted moments give it a mean: the shortfall is a number."""
    x = 0.001 * DRAW.normal(size=500)
    if kind == "pareto":
        x[::10] = -(DRAW.pareto(0.2, 50) + 0.01)  # has no mean
    elif kind == "one":
        x[7] = -1e12
    else:
        x[::10] = -0.5
    found = m.expected_shortfall(x, level=0.99, method="evt")
    assert np.isfinite(found)
    assert found >= m.value_at_risk(x, level=0.99, method="evt") - 1e-12


def test_hhi_of_weights() -> None:
    weights = xr.DataArray([[0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0]], dims=("time", "asset"))
    assert m.hhi(weights, dim="asset").values.tolist() == [0.25, 1.0]
    assert m.hhi(weights, dim="asset", normalised="yes").values.tolist() == [0.0, 1.0]


def test_m13__the_shortfall_of_a_series_that_is_mostly_flat() -> None:
    """Three losses of 10 % in 100 samples: the worst 5 % lose 6 % in the mean, whatever the 97 others tie at."""
    x = np.array([-0.1] * 3 + [0.0] * 97)
    assert m.expected_shortfall(x, level=0.95) == pytest.approx(0.06)
    assert m.expected_shortfall(x, level=0.95, convention="quantile") == pytest.approx(0.003)
    assert m.expected_shortfall(x, level=0.955) == pytest.approx(0.3 / 4.5)


def test_flat_samples_do_not_change_a_bet() -> None:
    bets = np.array([1.0, 1.0, -1.0])
    for flat in (0, 4):
        x = np.append(bets, np.zeros(flat))
        assert m.kelly_fraction(x, convention="binary") == pytest.approx(1.0 / 3.0)


def test_m10__a_market_that_opens_on_sunday_evening_has_252_days() -> None:
    sunday = np.datetime64("2024-01-07T23:00", "ns")
    days = sunday + np.array([k for k in range(60) if k % 7 < 5]) * np.timedelta64(1, "D")
    week = sunday + np.arange(60) * np.timedelta64(1, "D")
    for times, wanted in ((days, 252.0), (week, 365.0)):
        x = xr.DataArray(np.tile([0.01, -0.005], len(times) // 2), {"time": times[: len(times) // 2 * 2]}, "time")
        assert m.sharpe_ratio(x).attrs["periods_per_year"] == wanted


def test_a_rate_that_changes_grows_as_it_compounds() -> None:
    rng = np.random.default_rng(5)
    x, rf = rng.normal(0.002, 0.01, 100), rng.uniform(0.0, 0.002, 100)
    growth = np.prod(1.0 + x) ** 2.52 - np.prod(1.0 + rf) ** 2.52
    level = np.cumprod(1.0 + x)
    depth = 1.0 - level / np.maximum.accumulate(np.maximum(level, 1.0))
    assert m.martin_ratio(x, rf=rf, periods=252) == pytest.approx(growth / np.sqrt(np.mean(depth**2)))
    assert m.pain_ratio(x, rf=rf, periods=252) == pytest.approx(growth / np.mean(depth))
