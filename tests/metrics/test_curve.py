"""Curves: smoothing in hindsight and as known, trend, volatility that clusters, outliers, breaks (M20-M23)."""

from __future__ import annotations

import itertools
import warnings
from typing import get_args

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import median_filter
from statsmodels.nonparametric.smoothers_lowess import lowess
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.diagnostic import het_arch

import kernelkit as kk
from kernelkit.errors import UsageError
from kernelkit.metrics.changes import best_breaks, criterion
from kernelkit.metrics.regression import Correction, least_squares, mean_test, newey_west_lags

m = kk.metrics
DRAW = np.random.default_rng(21)
WALK = np.cumsum(DRAW.normal(0.02, 1.0, 400)) + DRAW.normal(0.0, 2.0, 400)


@pytest.mark.oracle("statsmodels", covers="M21", cases=3)
@pytest.mark.parametrize("lags", [0, 1, 5, None])
@pytest.mark.parametrize("correction", ["small", "none"])
def test_m21__errors_are_those_of_statsmodels(lags: int | None, correction: Correction) -> None:
    for n, k in ((30, 1), (120, 3), (800, 2)):
        x = np.column_stack([np.ones(n), 0.01 * DRAW.normal(size=(n, k))])
        noise = np.convolve(DRAW.normal(size=n + 2), [1.0, 0.6, 0.3], mode="valid") * (1.0 + 50.0 * np.abs(x[:, 1]))
        y = x @ DRAW.normal(size=k + 1) + noise
        used = int(newey_west_lags(n)) if lags is None else lags
        wanted = OLS(y, x).fit(
            cov_type="HAC", cov_kwds={"maxlags": used, "use_correction": correction == "small"}, use_t=True
        )
        found = least_squares(y, x, lags=lags, correction=correction)
        np.testing.assert_allclose(found.coefficients, wanted.params, rtol=1e-9)
        np.testing.assert_allclose(found.errors, wanted.bse, rtol=1e-9)
        np.testing.assert_allclose(found.t, wanted.tvalues, rtol=1e-8)
        np.testing.assert_allclose(found.p_values, wanted.pvalues, rtol=1e-7)
        assert found.r_squared == pytest.approx(wanted.rsquared, rel=1e-9)


@pytest.mark.parametrize("lags", [0, 2, 40])
def test_m21__satterthwaite_is_what_the_matrices_say(lags: int) -> None:
    """The variance as a quadratic form of even noise: its mean, and twice the squared mean over its variance."""
    n = 30
    x = np.column_stack([np.ones(n), np.arange(n) % 7 == 0, DRAW.normal(size=n)])
    y = DRAW.normal(size=n)
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    bartlett = np.maximum(1.0 - apart / (lags + 1.0), 0.0)
    bread = np.linalg.inv(x.T @ x)
    out = np.eye(n) - x @ bread @ x.T
    plain, found = (least_squares(y, x, lags=lags, correction=c) for c in ("none", "satterthwaite"))
    for j, a in enumerate((x @ bread).T):
        form = out @ (bartlett * np.outer(a, a)) @ out
        np.testing.assert_allclose(plain.errors[j] ** 2, y @ form @ y, rtol=1e-9)
        factor, freedom = a @ a / np.trace(form), np.trace(form) ** 2 / np.trace(form @ form)
        np.testing.assert_allclose(found.errors[j] ** 2, factor * (y @ form @ y), rtol=1e-8)
        wanted = 2 * scipy.stats.t.sf(abs(found.t[j]), freedom)
        np.testing.assert_allclose(found.p_values[j], wanted, rtol=1e-8)


def test_m21__satterthwaite_holds_the_size_of_few_samples() -> None:
    x = np.random.default_rng(22).normal(size=(2000, 24))
    share = {c: np.mean([mean_test(row, correction=c).p_values[0] < 0.01 for row in x]) for c in get_args(Correction)}
    assert share["none"] > share["small"] > 0.02
    assert 0.004 < share["satterthwaite"] < 0.016


def test_m21__lags_of_newey_and_west() -> None:
    assert [newey_west_lags(n) for n in (99, 100, 275, 276, 1000)] == [3, 4, 5, 5, 6]


def test_m21__what_cannot_be_told_is_nan() -> None:
    line = np.column_stack([np.ones(6), np.arange(6.0)])
    exact = least_squares(3.0 + 2.0 * np.arange(6.0), line, lags=1)
    np.testing.assert_allclose(exact.coefficients, [3.0, 2.0], rtol=1e-12)
    assert np.isnan(exact.t).all()
    assert exact.r_squared == pytest.approx(1.0)
    twice = np.column_stack([line, 2.0 * line[:, 1]])
    assert np.isnan(least_squares(DRAW.normal(size=6), twice).coefficients).all()
    assert np.isnan(least_squares(np.ones(2), line[:2]).coefficients).all()
    assert np.isnan(mean_test(np.full(9, 0.1)).t).all()
    assert np.isnan(mean_test(np.full(9, 0.1)).r_squared)


def test_m21__lags_beyond_the_series_are_all_there_are() -> None:
    x = DRAW.normal(size=5)
    gamma = [np.sum((x[k:] - x.mean()) * (x[: len(x) - k] - x.mean())) for k in range(5)]
    wanted = gamma[0] + 2 * sum((1 - k / 9) * gamma[k] for k in range(1, 5))
    np.testing.assert_allclose(mean_test(x, lags=8, correction="none").errors[0] ** 2, wanted / 25, rtol=1e-10)


@pytest.mark.oracle("statsmodels", covers="M20")
@pytest.mark.parametrize("share", [0.05, 0.2, 1.0])
def test_m20__lowess_is_that_of_statsmodels(share: float) -> None:
    x = WALK[:150]
    wanted = lowess(x, np.arange(150.0), frac=share, delta=0.01 * 149, return_sorted=False)
    np.testing.assert_array_equal(m.smoothed(x, share=share), wanted)


def level_filter(x: np.ndarray, noise: float, walk: float) -> tuple[np.ndarray, np.ndarray]:
    """The local level, written down once more: filter from a diffuse beginning, then the smoother backwards."""
    a, p = x[0], noise
    level, spread = [a], [p]
    for one in x[1:]:
        p = p + walk
        gain = p / (p + noise)
        a, p = a + gain * (one - a), p * (1.0 - gain)
        level.append(a)
        spread.append(p)
    smooth = [level[-1]]
    for a, p in zip(level[-2::-1], spread[-2::-1], strict=True):
        smooth.append(a + p / (p + walk) * (smooth[-1] - a))
    return np.array(level), np.array(smooth[::-1])


def likelihood(x: np.ndarray, noise: float, walk: float) -> float:
    """Of the innovations of the local level after the first sample."""
    a, p, total = x[0], noise, 0.0
    for one in x[1:]:
        p = p + walk
        f = p + noise
        total -= 0.5 * (np.log(f) + (one - a) ** 2 / f)
        a, p = a + p / f * (one - a), p * noise / f
    return total


def most_likely(x: np.ndarray) -> tuple[float, float]:
    """The two variances on a grid that closes in: noise, walk."""
    centre, width = np.log([np.var(x) / 2, np.var(np.diff(x)) / 2]), 3.0
    for _ in range(24):
        grid = [centre + width * np.array(step) for step in itertools.product((-1.0, -0.5, 0.0, 0.5, 1.0), repeat=2)]
        centre = max(grid, key=lambda at: likelihood(x, *np.exp(at)))
        width *= 0.7
    return float(np.exp(centre[0])), float(np.exp(centre[1]))


def test_m20__the_level_is_that_of_an_own_filter() -> None:
    found, wanted = m.smoothed(WALK, method="level"), level_filter(WALK, *most_likely(WALK))[1]
    np.testing.assert_allclose(found, wanted, atol=0.01 * WALK.std())
    known = m.filtered(WALK, train=150)
    wanted = level_filter(WALK, *most_likely(WALK[:150]))[0]
    np.testing.assert_allclose(known[150:], wanted[150:], atol=0.02 * WALK.std())
    assert np.isnan(known[:150]).all()


@settings(deadline=None, max_examples=5)
@given(st.integers(121, 399), st.sampled_from(["level", "trend"]))
def test_m20__filtered_knows_nothing_of_later_samples(end: int, method: str) -> None:
    changed = np.where(np.arange(400) < end, WALK, 1e3)
    np.testing.assert_array_equal(m.filtered(changed, method=method)[:end], m.filtered(WALK, method=method)[:end])
    np.testing.assert_array_equal(m.filtered(WALK[:end], method=method), m.filtered(WALK, method=method)[:end])


def test_m20__smoothed_does_know_them_and_says_so() -> None:
    changed = np.where(np.arange(400) < 300, WALK, WALK + 50.0)
    for method in ("lowess", "level", "trend"):
        assert not np.array_equal(m.smoothed(changed, method=method)[:300], m.smoothed(WALK, method=method)[:300])
    labelled = m.smoothed(xr.DataArray(WALK, dims="time"))
    assert "later ones included" in labelled.attrs["long_name"]
    assert "so far" in m.filtered(xr.DataArray(WALK, dims="time")).attrs["long_name"]


@pytest.mark.parametrize("method", ["level", "trend"])
def test_m20__units_do_not_matter_and_a_line_is_a_line(method: str) -> None:
    big = m.smoothed(1e6 + 1e4 * WALK, method=method)
    np.testing.assert_allclose(big, 1e6 + 1e4 * m.smoothed(WALK, method=method), rtol=1e-4)
    line = np.linspace(0.1, 0.9, 60)
    np.testing.assert_array_equal(m.smoothed(line, method=method), line)
    assert np.isnan(m.filtered(line, method=method, train=20)).all()
    assert np.isnan(m.smoothed(WALK[:9], method=method)).all()
    assert np.isnan(m.filtered(WALK[:100], method=method)).all()


def test_trend__of_a_curve_that_returns_to_its_line() -> None:
    k = np.arange(300.0)
    log = 0.002 * k + 0.05 * np.random.default_rng(25).normal(size=300)
    found = m.trend(np.exp(log), periods=252)
    slope = np.polyfit(k, log, 1)[0]
    assert found["growth"] == pytest.approx(np.expm1(252 * slope), rel=1e-9)
    wanted = OLS(log, np.column_stack([np.ones(300), k])).fit(
        cov_type="HAC", cov_kwds={"maxlags": 5, "use_correction": True}, use_t=True
    )
    assert found["t"] == pytest.approx(wanted.tvalues[1], rel=1e-8)
    assert found["r_squared"] == pytest.approx(wanted.rsquared, rel=1e-8)
    assert found["drift"] == pytest.approx(np.expm1(252 * (log[-1] - log[0]) / 299), rel=1e-9)
    assert np.isnan(list(m.trend(np.array([1.0, 0.0, 1.0, 2.0]), periods=1).values())).all()


def test_trend__luck_has_a_line_but_no_drift() -> None:
    """Random walks without drift: at 5 % the line's t rejects most of them, the drift's about one in twenty."""
    walks = np.exp(np.cumsum(np.random.default_rng(8).normal(0.0, 0.01, (300, 500)), axis=-1))
    found = m.trend(walks, periods=252)
    assert np.mean(found["p_value"] < 0.05) > 0.6
    assert 0.02 < np.mean(found["drift_p_value"] < 0.05) < 0.09


@pytest.mark.oracle("statsmodels", covers="arch_lm", cases=2)
@pytest.mark.parametrize("n_lags", [1, 5, 12])
def test_arch_lm_is_that_of_statsmodels(n_lags: int) -> None:
    for x in (DRAW.normal(size=300), DRAW.standard_t(3, 300) * np.repeat([1.0, 3.0, 1.0], 100)):
        found = m.arch_lm(x, n_lags=n_lags)
        with warnings.catch_warnings():  # newer ones announce another type of what they return
            warnings.simplefilter("ignore", FutureWarning)
            wanted = het_arch(x - x.mean(), nlags=n_lags)[:2]
        np.testing.assert_allclose([found["statistic"], found["p_value"]], wanted, rtol=1e-7)
    assert np.isnan(m.arch_lm(DRAW.normal(size=2 * n_lags + 1), n_lags=n_lags)["statistic"])
    assert np.isnan(m.arch_lm(np.full(50, 0.1), n_lags=n_lags)["p_value"])


def test_arch_lm__holds_its_size() -> None:
    x = np.random.default_rng(9).normal(size=(600, 400))
    assert 0.02 < np.mean(m.arch_lm(x)["p_value"] < 0.05) < 0.08


@pytest.mark.parametrize("window", [3, 5, 8])
def test_m23__scores_are_those_of_a_loop(window: int) -> None:
    x = DRAW.standard_t(3, 90)
    past, both = (m.hampel(x, window=window, side=side)["score"] for side in ("past", "both"))
    for t in range(90):
        for found, around in ((past, x[max(t - window, 0) : t]), (both, x[max(t - window, 0) : t + window + 1])):
            if len(around) < (window if found is past else 2 * window + 1):
                assert np.isnan(found[t])
                continue
            spread = 1.482602218505602 * np.median(np.abs(around - np.median(around)))
            assert found[t] == pytest.approx((x[t] - np.median(around)) / spread, rel=1e-12)


@pytest.mark.oracle("SciPy", covers="hampel", cases=2)
def test_m23__the_median_is_that_of_scipy() -> None:
    x = np.random.default_rng(23).normal(size=60)
    x[[17, 40]] = 30.0, -30.0
    found = m.hampel(x, window=6, side="both", limit=10.0)
    assert np.flatnonzero(found["anomaly"] == 1.0).tolist() == [17, 40]
    assert np.isnan(found["anomaly"][:6]).all()
    assert np.isnan(found["anomaly"][-6:]).all()
    middle = median_filter(x, 13)
    mad = np.array([np.median(np.abs(x[t - 6 : t + 7] - middle[t])) for t in (17, 40)])
    np.testing.assert_allclose(found["score"][[17, 40]], (x[[17, 40]] - middle[[17, 40]]) / (1.482602218505602 * mad))


def test_m23__the_past_knows_nothing_of_later_samples() -> None:
    x = DRAW.normal(size=60)
    np.testing.assert_array_equal(m.hampel(x[:40])["score"], m.hampel(x)["score"][:40])
    assert np.isnan(m.hampel(np.array([0.0, 0.0, 0.0, 0.1, 5.0]), window=4)["score"]).all()
    assert np.isnan(m.hampel(x[:20])["score"]).all()


def cost_of(x: np.ndarray, pieces: list[np.ndarray], change: str) -> float:
    if change == "mean":
        return float(sum(len(p) * p.var() for p in pieces))
    if change == "variance":
        return float(sum(len(p) * np.log(np.mean((p - x.mean()) ** 2)) for p in pieces))
    return float(sum(len(p) * np.log(p.var()) for p in pieces))


@pytest.mark.parametrize("change", ["mean", "variance", "both"])
@pytest.mark.parametrize("breaks", [1, 2, 3])
def test_m22__no_other_breaks_are_better(change: str, breaks: int) -> None:
    for _ in range(5):
        x = DRAW.normal(size=16)
        cuts, costs = best_breaks(x, change, breaks, 2)  # type: ignore[arg-type]
        every = {
            at: cost_of(x, np.split(x, at), change)
            for at in itertools.combinations(range(2, 15), breaks)
            if min(np.diff([0, *at, 16])) >= 2
        }
        assert tuple(cuts[breaks]) == min(every, key=lambda at: every[at])
        assert costs[breaks] == pytest.approx(min(every.values()), rel=1e-9)
        assert costs[0] == pytest.approx(cost_of(x, [x], change), rel=1e-9)


@pytest.mark.parametrize(("change", "numbers"), [("mean", 2), ("variance", 2), ("both", 3)])
def test_m22__the_criterion_counts_likelihood_and_numbers(change: str, numbers: int) -> None:
    x = DRAW.normal(size=60)
    cuts, costs = best_breaks(x, change, 2, 10)  # type: ignore[arg-type]
    found = criterion(costs, 60, change)  # type: ignore[arg-type]
    for k, at in enumerate(cuts):
        pieces = np.split(x, at)
        mean = np.concatenate([np.full(len(p), x.mean() if change == "variance" else p.mean()) for p in pieces])
        var = np.concatenate(
            [np.full(len(p), np.mean((p - v[0]) ** 2)) for p, v in zip(pieces, np.split(mean, at), strict=True)]
        )
        if change == "mean":
            var = np.full(60, np.mean((x - mean) ** 2))
        likelihood = -0.5 * np.sum(np.log(2 * np.pi * var) + (x - mean) ** 2 / var)
        free = (numbers * k + 2) * np.log(60)
        assert found[k] == pytest.approx(-2 * likelihood + free, rel=1e-9)


def test_m22__planted_breaks_are_found() -> None:
    rng = np.random.default_rng(24)
    steps = np.repeat([0.0, 3.0, -2.0], [100, 150, 120]) + rng.normal(size=370)
    found = m.segments(xr.DataArray(steps, dims="time"), change="mean")
    edges = np.flatnonzero(np.diff(found["segment"]))
    assert len(edges) == 2
    np.testing.assert_allclose(edges, [99, 249], atol=2)
    np.testing.assert_allclose(np.unique(found["mean"]), [-2.0, 0.0, 3.0], atol=0.3)
    restless = rng.normal(size=400) * np.repeat([1.0, 4.0], 200)
    for change in ("variance", "both"):
        found = m.segments(restless, change=change)
        edges = np.flatnonzero(np.diff(found["segment"]))
        np.testing.assert_allclose(edges, [199], atol=8)
        assert found["deviation"][-1] / found["deviation"][0] == pytest.approx(4.0, rel=0.2)
    assert np.unique(m.segments(restless, breaks=3, change="variance")["segment"]).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("change", ["mean", "variance", "both"])
def test_m22__no_change_is_seldom_a_break(change: str) -> None:
    x = np.random.default_rng(10).normal(size=(100, 200))
    assert np.mean(m.segments(x, change=change)["segment"][:, -1] > 0.0) < 0.1


def test_m22__what_has_no_segments_is_nan() -> None:
    assert np.isnan(m.segments(np.full(40, 0.1))["segment"]).all()
    assert np.isnan(m.segments(DRAW.normal(size=40), breaks=7)["mean"]).all()
    assert np.isnan(m.segments(np.array([1.0]))["mean"]).all()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x: m.smoothed(x, share=0.0), "smoothed: share: found 0.0, wanted a fraction above 0"),
        (lambda x: m.smoothed(x, method="kalman"), "found 'kalman', wanted one of 'lowess', 'level', 'trend'"),
        (lambda x: m.filtered(x, train=5), "filtered: train: found 5, wanted a whole number of at least 10"),
        (lambda x: m.arch_lm(x, n_lags=0), "arch_lm: n_lags: found 0, wanted a whole number of at least 1"),
        (lambda x: m.hampel(x, window=2), "hampel: window: found 2, wanted a whole number of at least 3"),
        (lambda x: m.hampel(x, limit=0), "hampel: limit: found 0, wanted a number above 0"),
        (lambda x: m.segments(x, shortest=0.6), "segments: shortest: found 0.6, wanted a fraction above 0"),
        (lambda x: m.segments(x, breaks=1.5), "segments: breaks: found 1.5, wanted None or a whole number"),
    ],
)
def test_settings_that_cannot_be_are_refused(call: object, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        call(WALK)  # type: ignore[operator]
