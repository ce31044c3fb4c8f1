"""Textbook tests, effect sizes, errors of Sharpe ratios and permutation of positions (I14-I17)."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import scipy.stats
import statsmodels.stats.weightstats
import xarray as xr
from statsmodels.stats.sandwich_covariance import S_hac_simple

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.inference import sharpe_error, significance
from tests.inference.covering import series

i = kk.inference
DRAW = np.random.default_rng(3)
A, B = DRAW.normal(0.3, 1.0, (3, 40)), DRAW.normal(0.0, 2.0, (3, 25))
X, Y = xr.DataArray(A, dims=("trial", "time")), xr.DataArray(B, dims=("trial", "time"))
PAIR = X.isel(time=slice(25))
SIDES: Any = pytest.mark.parametrize("side", ["two-sided", "less", "greater"])


def rows(found: xr.Dataset, *names: str) -> np.ndarray:
    return np.stack([found[name].values for name in names], axis=-1)


@SIDES
def test_i14__each_row_is_what_scipy_says(side: Any) -> None:
    cases: list[tuple[xr.Dataset, Any]] = [
        (i.t_test(X, mean=0.1, alternative=side), lambda a, b: scipy.stats.ttest_1samp(a, 0.1, alternative=side)),
        (i.t_test(X, Y, alternative=side), lambda a, b: scipy.stats.ttest_ind(a, b, equal_var=False, alternative=side)),
        (i.t_test(X, Y, kind="pooled", alternative=side), lambda a, b: scipy.stats.ttest_ind(a, b, alternative=side)),
        (
            i.t_test(PAIR, Y, kind="paired", alternative=side),
            lambda a, b: scipy.stats.ttest_rel(a[:25], b, alternative=side),
        ),
        (i.mann_whitney(X, Y, alternative=side), lambda a, b: scipy.stats.mannwhitneyu(a, b, alternative=side)),
        (i.kolmogorov_smirnov(X, Y, alternative=side), lambda a, b: scipy.stats.ks_2samp(a, b, alternative=side)),
        (
            i.kolmogorov_smirnov(X, distribution="t", parameters=(5.0,), alternative=side),
            lambda a, b: scipy.stats.kstest(a, "t", (5.0,), alternative=side),
        ),
    ]
    for found, theirs in cases:
        assert found.attrs["alternative"] == side
        wanted = [(r.statistic, r.pvalue) for r in map(theirs, A, B)]
        np.testing.assert_allclose(rows(found, "statistic", "p_value"), wanted, rtol=1e-10)


@SIDES
def test_i14__intervals_of_means_are_where_the_test_turns(side: Any) -> None:
    """The test of an end of the interval has the p-value 1 - level."""
    for kind, given in (("welch", (X, Y)), ("pooled", (X, Y)), ("paired", (PAIR, Y)), ("welch", (X,))):
        found = i.t_test(*given, kind=kind, alternative=side, level=0.9, mean=0.2)  # type: ignore[arg-type]
        end = found["high"] if side == "less" else found["low"]
        again = i.t_test(*given, kind=kind, alternative=side, mean=float(end[0]))  # type: ignore[arg-type]
        assert float(again["p_value"][0]) == pytest.approx(0.1, rel=1e-9)
        assert bool(((found["low"] < found["estimate"]) & (found["estimate"] < found["high"])).all())


@SIDES
def test_i14__z_is_that_of_statsmodels_or_of_a_known_deviation(side: Any) -> None:
    theirs = {"two-sided": "two-sided", "less": "smaller", "greater": "larger"}[side]
    wanted = [statsmodels.stats.weightstats.ztest(a, value=0.1, alternative=theirs) for a in A]
    np.testing.assert_allclose(rows(i.z_test(X, mean=0.1, alternative=side), "statistic", "p_value"), wanted)
    wanted = [
        statsmodels.stats.weightstats.ztest(a, b, alternative=theirs, usevar="unequal")
        for a, b in zip(A, B, strict=True)
    ]
    np.testing.assert_allclose(rows(i.z_test(X, Y, alternative=side), "statistic", "p_value"), wanted)
    known = i.z_test(X, Y, deviation=2.0)
    np.testing.assert_allclose(known["statistic"], (A.mean(1) - B.mean(1)) / (4.0 / 40 + 4.0 / 25) ** 0.5)


def test_i14__missing_samples_are_none_and_pairs_need_both() -> None:
    long = xr.DataArray(np.concatenate([A, np.full((3, 9), np.nan)], axis=1), dims=("trial", "time"))
    long[:, 5] = np.nan
    short = X.isel(time=np.delete(np.arange(40), 5))
    for test in (i.t_test, i.mann_whitney, i.kolmogorov_smirnov):
        xr.testing.assert_allclose(test(long, Y), test(short, Y))  # type: ignore[operator]
    for test in (i.jarque_bera, i.anderson_darling):
        xr.testing.assert_allclose(test(long), test(short))  # type: ignore[operator]
    x, y = PAIR.copy(), Y.copy()
    x[:, 3], y[:, 7] = np.nan, np.nan
    kept = np.delete(np.arange(25), [3, 7])
    both = i.t_test(PAIR.isel(time=kept), Y.isel(time=kept), kind="paired")
    xr.testing.assert_allclose(i.t_test(x, y, kind="paired"), both)
    nothing = xr.full_like(X, np.nan)
    for found in (i.t_test(nothing), i.t_test(X, nothing), i.ljung_box(nothing), i.effect_size(0.0 * X)):
        assert bool(found.to_array().isnull().all())


def test_i14__ljung_box_is_the_sum_of_its_text() -> None:
    found = i.ljung_box(X, lags=[2, 6], fitted=1)
    off = A - A.mean(axis=1, keepdims=True)
    r = [np.sum(off[:, k:] * off[:, :-k], axis=1) / np.sum(off**2, axis=1) for k in range(1, 7)]
    for at, lag in enumerate((2, 6)):
        q = 40 * 42 * sum(r[k - 1] ** 2 / (40 - k) for k in range(1, lag + 1))
        np.testing.assert_allclose(found["statistic"].isel(lag=at), q)
        np.testing.assert_allclose(found["p_value"].sel(lag=lag), scipy.stats.chi2.sf(q, lag - 1))
    gap = X.where(X != X[:, 5])
    assert bool(i.ljung_box(gap)["p_value"].isnull().all())


def test_i14__several_samples_are_compared_by_anderson_and_darling() -> None:
    found = i.anderson_darling(X, Y, X + 0.4)
    wanted = [
        scipy.stats.anderson_ksamp([a, b, a + 0.4], variant="midrank").statistic for a, b in zip(A, B, strict=True)
    ]
    np.testing.assert_allclose(found["statistic"], wanted)
    assert float(i.anderson_darling(X, X, X)["p_value"].max()) == 0.25


def test_i15__standardised_differences_and_their_noncentral_intervals() -> None:
    d, g = (i.effect_size(X, Y, measure=m, level=0.9) for m in ("cohen_d", "hedges_g"))
    pooled = ((39 * A.var(1, ddof=1) + 24 * B.var(1, ddof=1)) / 63) ** 0.5
    np.testing.assert_allclose(d["estimate"], (A.mean(1) - B.mean(1)) / pooled)
    np.testing.assert_allclose((g / d).to_array(), 1 - 3 / (4 * 63 - 1), rtol=1e-4)
    root = (1 / 40 + 1 / 25) ** 0.5
    t = d["estimate"] / root
    for end, tail in (("low", 0.95), ("high", 0.05)):
        np.testing.assert_allclose(scipy.stats.nct.cdf(t, 63, d[end] / root), tail, atol=1e-6)
    one = i.effect_size(X, measure="cohen_d")
    np.testing.assert_allclose(one["estimate"], A.mean(1) / A.std(1, ddof=1))
    np.testing.assert_allclose(
        scipy.stats.nct.cdf(one["estimate"] * 40**0.5, 39, one["low"] * 40**0.5), 0.975, atol=1e-6
    )


def test_i15__intervals_of_effects_hold_the_truth() -> None:
    """2,000 pairs of samples; standard error 0.5 %."""
    draw = np.random.default_rng(8)
    x, y = (xr.DataArray(draw.normal(m, 1.0, (2000, n)), dims=("run", "time")) for m, n in ((0.8, 20), (0.0, 30)))
    truths = {"cohen_d": 0.8, "cliff_delta": 2 * scipy.stats.norm.cdf(0.8 / 2**0.5) - 1}
    for measure, truth in truths.items():
        found = i.effect_size(x, y, measure=measure)  # type: ignore[arg-type]
        inside = float(((found["low"] <= truth) & (truth <= found["high"])).mean())
        assert inside == pytest.approx(0.95, abs=0.015)
    g = i.effect_size(x, y, measure="hedges_g")["estimate"]
    assert float(g.mean()) == pytest.approx(0.8, abs=0.02)  # without bias


def test_i15__cliff_delta_is_of_all_pairs() -> None:
    a, b = np.array([1.0, 2.0, 2.0, 5.0, 7.0]), np.array([0.0, 2.0, 3.0, 6.0])
    signs = np.sign(a[:, None] - b)
    delta, m, n = signs.mean(), 5, 4
    over = n**2 * np.sum((signs.mean(1) - delta) ** 2) + m**2 * np.sum((signs.mean(0) - delta) ** 2)
    s2 = (over - np.sum((signs - delta) ** 2)) / (m * n * (m - 1) * (n - 1))
    z = scipy.stats.norm.ppf(0.975)
    half = z * s2**0.5 * ((1 - delta**2) ** 2 + z**2 * s2) ** 0.5
    wanted = [(delta - delta**3 + sign * half) / (1 - delta**2 + z**2 * s2) for sign in (-1, 1)]
    x, y = xr.DataArray(a, dims="time"), xr.DataArray(b, dims="time")
    found = i.effect_size(x, y, measure="cliff_delta")
    assert float(found["estimate"]) == pytest.approx(delta)
    assert [float(found["low"]), float(found["high"])] == pytest.approx(wanted)
    swapped = i.effect_size(y, x, measure="cliff_delta")
    assert [-float(swapped["high"]), -float(swapped["low"])] == pytest.approx(wanted)
    apart = i.effect_size(x + 9.0, y, measure="cliff_delta")
    assert float(apart["estimate"]) == float(apart["high"]) == 1.0
    assert float(apart["low"]) == pytest.approx((4 - z**2) / (4 + z**2))


def test_i16__without_lags_hac_is_the_error_of_moments() -> None:
    x = DRAW.standard_t(6, 400) + 0.3
    found = i.sharpe_ratio_error(x, method="hac", lags=0, periods=252)
    sharpe = x.mean() / x.std()
    skewness, kurtosis = scipy.stats.skew(x), scipy.stats.kurtosis(x, fisher=False)
    assert found == pytest.approx(float(significance.sharpe_error(sharpe, 400, skewness, kurtosis)) * 252**0.5)
    plain = i.sharpe_ratio_error(x, method="normal", periods=252)
    assert plain == pytest.approx(((1 + (x.mean() / x.std(ddof=1)) ** 2 / 2) / 400 * 252) ** 0.5)


def test_i16__hac_is_the_delta_method_on_the_covariance_of_statsmodels() -> None:
    x = series(1, 500, 5, rho=0.4, mean=0.3).values[0]
    moments = np.stack([x - x.mean(), (x - x.mean()) ** 2 - x.var()], axis=1)
    gradient = np.array([1 / x.std(), -x.mean() / (2 * x.std() ** 3)])
    for lags in (1, 7):
        wanted = gradient @ S_hac_simple(moments, nlags=lags) @ gradient / 500**2
        assert i.sharpe_ratio_error(x, lags=lags, periods=1) == pytest.approx(wanted**0.5, rel=1e-9)
    assert sharpe_error.newey_west_lags(500.0) == 5.0
    assert i.sharpe_ratio_error(x, periods=1) == i.sharpe_ratio_error(x, lags=5, periods=1)


def test_i16__hac_sees_the_scatter_of_sharpe_ratios_of_correlated_samples() -> None:
    x = series(3000, 1000, 6, rho=0.3, mean=0.1)
    truth = float(kk.metrics.sharpe_ratio(x, periods=1).std())
    found = {m: float(i.sharpe_ratio_error(x, method=m, periods=1).mean()) for m in ("moments", "hac")}
    assert found["hac"] == pytest.approx(truth, rel=0.09)
    assert found["moments"] < 0.8 * truth
    ends = xr.concat([xr.full_like(x[:2, :30], np.nan), x[:2]], "time")
    np.testing.assert_allclose(i.sharpe_ratio_error(ends, periods=1), i.sharpe_ratio_error(x[:2], periods=1))


def test_i17__all_shifts_and_all_orders() -> None:
    p, r = np.array([1.0, -1.0, 2.0, 0.0, 1.0]), np.array([0.3, -0.2, 0.5, 0.1, -0.4])
    labelled = [xr.DataArray(v, dims="time") for v in (p, r)]
    shifts = [np.roll(p, k) @ r for k in range(5)]
    found = i.permutation_test(*labelled)
    assert found.attrs["exact"] == 1
    assert float(found["p_value"]) == np.mean(np.array(shifts) >= shifts[0])
    assert float(found["error"]) == 0.0
    orders = [np.array(order) @ r for order in permutations(p)]
    many = i.permutation_test(*labelled, move="shuffle", replications=20_000)
    assert float(many["p_value"]) == pytest.approx(
        np.mean(np.array(orders) >= p @ r - 1e-12), abs=4 * float(many["error"])
    )
    assert float(many["null_mean"]) == pytest.approx(np.mean(orders) / 5, abs=0.005)
    assert float(many["null_deviation"]) == pytest.approx(np.std(orders) / 5, rel=0.03)


@pytest.mark.parametrize("by", ["mean", "sharpe_ratio"])
@pytest.mark.parametrize("move", ["shift", "shuffle"])
def test_i17__luck_is_called_timing_in_one_of_twenty(move: Any, by: Any) -> None:
    """400 pairs without timing, positions that last and are mostly long in a market that rises."""
    draw = np.random.default_rng(4)
    r = xr.DataArray(draw.normal(0.2, 1.0, (400, 300)), dims=("run", "time"))
    held = (series(400, 300, 9, rho=0.9 if move == "shift" else 0.0) > -1.0).astype("f8")
    found = i.permutation_test(held, r, move=move, by=by, replications=199)
    assert float((found["p_value"] <= 0.05).mean()) == pytest.approx(0.05, abs=0.035)
    known = held.where(r > 0.0, 0.0)
    assert float(i.permutation_test(known, r, move=move, by=by, replications=199)["p_value"].max()) == 0.005


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: i.t_test(X, Y, kind="equal"), UsageError, "t_test: kind: found 'equal', wanted one of 'welch'"),
        (lambda: i.t_test(X, alternative="up"), UsageError, "alternative: found 'up'"),
        (lambda: i.t_test(X, level=2), UsageError, "level: found 2, wanted a number between 0 and 1"),
        (lambda: i.t_test(A), DataError, "t_test: found ndarray, wanted DataArrays along 'time'"),
        (lambda: i.t_test(X, dim="day"), DataError, r"found dims \('trial', 'time'\)"),
        (lambda: i.t_test(X, Y, kind="paired"), DataError, "labels that differ|sizes"),
        (lambda: i.kolmogorov_smirnov(X, distribution="gauss"), UsageError, "found 'gauss', wanted one of scipy.stats"),
        (lambda: i.ljung_box(X, lags=[0]), UsageError, "wanted a whole number of at least 1"),
        (lambda: i.anderson_darling(), DataError, "found no series"),
        (lambda: i.effect_size(X, measure="cliff_delta"), UsageError, "wanted two series"),
        (lambda: i.sharpe_ratio_error(X, lags=-1, periods=1), UsageError, "lags: found -1"),
        (lambda: i.permutation_test(X, X, replications=0), UsageError, "replications: found 0"),
        (lambda: i.permutation_test(X, X.isel(time=slice(9))), DataError, "labels that differ"),
        (lambda: i.permutation_test(X.where(X > 0), X), DataError, "found NaN"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
