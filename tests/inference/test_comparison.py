"""Differences of Sharpe ratios, ranks, confidence sets, tests while running, clusters (I18-I23, B12)."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import scipy.cluster.hierarchy
import scipy.stats
import statsmodels.stats.weightstats
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.inference import clustering, confidence_set
from kernelkit.inference.draws import block_counts, block_indices
from tests.inference.covering import series

i = kk.inference
HOW = i.Resampling("circular", replications=199)


def pairs(runs: int, n: int, seed: int, *, rho: float = 0.0, lift: float = 0.0) -> tuple[xr.DataArray, xr.DataArray]:
    """Two strategies that share half of their variance, of equal Sharpe ratio but for the lift."""
    common, own, other = (series(runs, n, seed + k, rho=rho) for k in range(3))
    return common + own + 0.1 + lift, 3.0 * (common + other + 0.1)


def sharpe(x: np.ndarray) -> float:
    return float(x.mean() / x.std(ddof=1))


def moments_error(x: np.ndarray, y: np.ndarray, covariance: np.ndarray) -> float:
    """Ledoit and Wolf's text: the gradient over the four moments and their long-run covariance."""
    a, b, c, d = x.mean(), y.mean(), np.mean(x * x), np.mean(y * y)
    gradient = [
        c / (c - a * a) ** 1.5,
        -d / (d - b * b) ** 1.5,
        -a / 2 / (c - a * a) ** 1.5,
        b / 2 / (d - b * b) ** 1.5,
    ]
    return float((gradient @ covariance @ np.array(gradient) / len(x)) ** 0.5)


def four(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    columns = np.stack([x, y, x * x, y * y], axis=1)
    return np.asarray(columns - columns.mean(axis=0))


def test_i18__the_error_is_that_of_four_moments() -> None:
    x, y = (v.values[0] for v in pairs(1, 300, 1, rho=0.3))
    z, lags = four(x, y), 4
    covariance = z.T @ z / 300
    for k in range(1, lags + 1):
        gamma = z[k:].T @ z[:-k] / 300
        covariance = covariance + (1 - k / (lags + 1)) * (gamma + gamma.T)
    labelled = [xr.DataArray(v, dims="time") for v in (x, y)]
    found = i.sharpe_difference(*labelled, method="hac", lags=lags, periods=252, level=0.9)
    error = moments_error(x, y, covariance)
    assert float(found["standard_error"]) == pytest.approx(error * 252**0.5, rel=1e-9)
    t = (sharpe(x) - sharpe(y)) / error
    assert float(found["statistic"]) == pytest.approx(t)
    assert float(found["p_value"]) == pytest.approx(2 * scipy.stats.norm.sf(abs(t)))
    width = 252**0.5 * error * scipy.stats.norm.ppf(0.95)
    assert float(found["high"] - found["estimate"]) == pytest.approx(width)


def test_i18__the_bootstrap_is_the_slow_text() -> None:
    x, y = (v.values[0] for v in pairs(1, 61, 4, lift=0.2))
    labelled = [xr.DataArray(v, dims="time") for v in (x, y)]
    how = i.Resampling("circular", length=5, replications=99, seed=3)
    found = i.sharpe_difference(*labelled, resampling=how, periods=1, level=0.9)
    hac = i.sharpe_difference(*labelled, method="hac", periods=1)
    assert float(found["statistic"]) == pytest.approx(float(hac["statistic"]))
    d, sizes = sharpe(x) - sharpe(y), []
    for index in block_indices(61, np.arange(99), length=5, scheme="circular", seed=3):
        a, b = x[index], y[index]
        z = four(a, b)[:60].reshape(12, 5, 4).sum(axis=1) / 5**0.5
        sizes.append(abs(sharpe(a) - sharpe(b) - d) / moments_error(a, b, z.T @ z / 12))
    t = abs(float(found["statistic"]))
    assert float(found["p_value"]) == pytest.approx((1 + np.sum(np.array(sizes) >= t)) / 100)
    assert float(found["high"] - d) == pytest.approx(np.sort(sizes)[89] * float(hac["standard_error"]))


def test_i18__memmel_is_his_formula() -> None:
    x, y = (v.values[0] for v in pairs(1, 120, 4))
    labelled = [xr.DataArray(v, dims="time") for v in (x, y)]
    a, b, r = sharpe(x), sharpe(y), np.corrcoef(x, y)[0, 1]
    theta = (2 - 2 * r + 0.5 * (a**2 + b**2 - 2 * a * b * r**2)) / 120
    found = i.sharpe_difference(*labelled, method="jobson_korkie", periods=12)
    assert float(found["standard_error"]) == pytest.approx((12 * theta) ** 0.5)
    assert float(found["statistic"]) == pytest.approx((a - b) / theta**0.5)


@pytest.mark.parametrize("method", ["bootstrap", "hac", "jobson_korkie"])
def test_i18__scale_and_order_do_not_matter(method: Any) -> None:
    x, y = pairs(2, 200, 2)
    one = i.sharpe_difference(x, y, method=method, resampling=HOW, periods=252)
    scaled = i.sharpe_difference(5.0 * x, 0.1 * y, method=method, resampling=HOW, periods=252)
    xr.testing.assert_allclose(one, scaled)
    other = i.sharpe_difference(y, x, method=method, resampling=HOW, periods=252)
    np.testing.assert_allclose(other["estimate"], -one["estimate"])
    np.testing.assert_allclose(other["p_value"], one["p_value"])
    np.testing.assert_allclose(other["low"], -one["high"])
    same = i.sharpe_difference(x, x, method=method, resampling=HOW, periods=252)
    assert same["estimate"].values.tolist() == [0.0, 0.0]
    assert bool(same["p_value"].isnull().all())
    gap = x.where(x != x[:, 9])
    assert bool(i.sharpe_difference(gap, y, method=method, resampling=HOW, periods=1)["estimate"].isnull().all())


def test_i18__equal_strategies_are_told_apart_in_one_of_twenty() -> None:
    """400 pairs of 200 samples with heavy common shocks; standard error 1.1 %."""
    shares = {}
    for lift in (0.0, 0.4):
        x, y = pairs(400, 200, 20, lift=lift)
        for method in ("bootstrap", "hac", "jobson_korkie"):
            found = i.sharpe_difference(x, y, method=method, resampling=HOW, periods=1)  # type: ignore[arg-type]
            shares[method, lift] = float((found["p_value"] <= 0.05).mean())
    assert shares["bootstrap", 0.0] == pytest.approx(0.05, abs=0.035)
    assert shares["jobson_korkie", 0.0] == pytest.approx(0.05, abs=0.035)
    assert shares["hac", 0.0] == pytest.approx(0.06, abs=0.04)
    assert all(shares[method, 0.4] > 0.6 for method in ("bootstrap", "hac", "jobson_korkie"))


def test_i19__equivalence_is_that_of_statsmodels() -> None:
    x, y = (v.isel(run=0) for v in pairs(1, 60, 2))
    for kind, usevar in (("pooled", "pooled"), ("welch", "unequal")):
        found = i.t_test(x, y, kind=kind)  # type: ignore[arg-type]
        ours = i.equivalence_test(found["estimate"], found["standard_error"], margin=1.5, degrees=found["degrees"])
        theirs, *_ = statsmodels.stats.weightstats.ttost_ind(x.values, y.values, -1.5, 1.5, usevar=usevar)
        assert float(ours) == pytest.approx(theirs, rel=1e-9)
    found = i.t_test(x, y, kind="paired")
    theirs, *_ = statsmodels.stats.weightstats.ttost_paired(x.values, y.values, -1.5, 1.5)
    ours = i.equivalence_test(found["estimate"], found["standard_error"], margin=1.5, degrees=found["degrees"])
    assert float(ours) == pytest.approx(theirs, rel=1e-9)


def test_i20__ranks_and_what_they_are_worth() -> None:
    x = series(5, 400, 7) + xr.DataArray([0.0, 0.5, 0.5, -1.0, np.nan], dims="run")
    found = i.rank_intervals(lambda x: x.mean("time"), x, over="run", resampling=i.Resampling("iid", replications=399))
    assert float(found["rank"][3]) == 4.0
    assert float(found["low"][3]) == float(found["high"][3]) == 4.0
    assert float(found["low"][1]) == 1.0
    assert float(found["high"][1]) == 2.0
    assert float(found["best"].sum()) == pytest.approx(1.0)
    assert float(found["best"][:1].sum()) == 0.0
    assert bool(found.isel(run=4).to_array().isnull().all())
    drawn = i.replications(lambda x: x.mean("time"), x, resampling=i.Resampling("iid", replications=399))
    assert float(found["best"][1]) == pytest.approx(float((drawn[1] > drawn[2]).mean()))
    equal = i.rank_intervals(lambda x: x.mean("time"), xr.concat([x[0], x[0]], "run"), over="run")
    assert equal["rank"].values.tolist() == [1.5, 1.5]
    assert equal["best"].values.tolist() == [0.5, 0.5]


def test_i21__the_set_holds_the_best() -> None:
    """200 worlds in which two of five are the best; and five that are equal."""
    draw = np.random.default_rng(3)
    noise = draw.normal(size=(200, 250, 5)) + draw.normal(size=(200, 250, 1))
    how = i.Resampling("iid", replications=199)
    for statistic in ("max", "range"):
        x = xr.DataArray(noise + np.array([0.0, 0.3, 0.0, 0.3, -1.0]), dims=("run", "time", "trial"))
        found = i.model_confidence_set(x, over="trial", statistic=statistic, level=0.9, resampling=how)  # type: ignore[arg-type]
        assert float(found["inside"][:, [1, 3]].all("trial").mean()) > 0.86
        assert float(found["inside"][:, 4].mean()) == 0.0
        assert float(found["inside"][:, 0].mean()) < 0.25
        equal = i.model_confidence_set(x - x.mean("run"), over="trial", statistic=statistic, resampling=how)  # type: ignore[arg-type]
        assert float(equal["inside"].mean()) > 0.9


def turn_by_turn(x: np.ndarray, counts: np.ndarray, statistic: str) -> tuple[list[float], list[float]]:
    """I21 as it is written: everything anew at every turn."""
    left, p_values, order = list(range(x.shape[1])), [1.0] * x.shape[1], [float(x.shape[1])] * x.shape[1]
    drawn, mean, least = counts @ (x - x.mean(axis=0)) / len(x), x.mean(axis=0), 0.0
    for turn in range(1, x.shape[1]):
        m, d = mean[left], drawn[:, left]
        if statistic == "max":
            v, starred = (m.mean() - m)[:, None], (d.mean(axis=1, keepdims=True) - d)[:, :, None]
        else:
            v, starred = m[None, :] - m[:, None], np.abs(d[:, None, :] - d[:, :, None])
        error = np.sqrt((starred**2).mean(axis=0))
        error[error == 0.0] = np.inf  # of one with itself
        t = (v / error).max(axis=1)
        least = max(least, (1.0 + np.sum((starred / error).max(axis=(1, 2)) >= t.max())) / (len(counts) + 1.0))
        p_values[left[int(np.argmax(t))]], order[left[int(np.argmax(t))]] = least, float(turn)
        del left[int(np.argmax(t))]
    return p_values, order


@pytest.mark.parametrize("statistic", ["max", "range"])
@pytest.mark.parametrize(("n", "strategies"), [(30, 2), (50, 3), (80, 37)])
def test_i21__who_goes_and_when_is_what_every_turn_by_itself_says(n: int, strategies: int, statistic: Any) -> None:
    x = np.random.default_rng(n).normal(size=(n, strategies)) + np.linspace(0.0, 0.4, strategies)[::-1]
    counts = block_counts(n, 203, length=3.0, scheme="stationary")
    found = confidence_set.eliminated(x, counts, statistic)
    p_values, order = turn_by_turn(x, counts, statistic)
    assert found.order.tolist() == order
    np.testing.assert_allclose(found.p_values, p_values, rtol=0, atol=1e-12)


@pytest.mark.parametrize("statistic", ["max", "range"])
def test_i21__a_thousand_models(statistic: Any) -> None:
    """Of pairs there are 500,000: in 99 replications 400 MB, were they all there at once."""
    x = np.random.default_rng(1).normal(size=(100, 1000)) + np.where(np.arange(1000) == 700, 1.0, 0.0)
    counts = block_counts(100, 99, length=1, scheme="iid")
    tracemalloc.start()
    found = confidence_set.eliminated(x, counts, statistic)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert int(np.argmax(found.order)) == 700
    assert sorted(found.order) == list(range(1, 1001))
    assert most < 100e6


def test_i21__scale_of_all_does_not_matter_and_order_says_who_went() -> None:
    x = np.random.default_rng(3).normal(size=(120, 4)) + np.array([0.1, 0.2, 0.3, 0.0])
    x = xr.DataArray(x, dims=("time", "trial"))
    one, scaled = (i.model_confidence_set(v, over="trial") for v in (x, 0.01 * x - 3.0))
    np.testing.assert_allclose(one["p_value"], scaled["p_value"])
    assert sorted(one["order"].values) == [1.0, 2.0, 3.0, 4.0]
    assert float(one["p_value"].max()) == 1.0
    ranked = one["p_value"].values[np.argsort(one["order"].values)]
    assert (np.diff(ranked) >= 0.0).all()
    assert one.attrs["length"] == pytest.approx(float(i.block_length(x, dim="time").median()))


def test_i22__whoever_looks_all_the_time_is_wrong_in_one_of_twenty() -> None:
    """1,000 pairs without a difference, looked at 1,000 times each; a plain test is wrong in a third of them."""
    x, y = (series(1000, 1000, seed) for seed in (4, 5))
    found = i.sequential_test(x, 3.0 * y)
    ever = float((found["p_value"].isel(time=-1) <= 0.05).mean())
    assert ever <= 0.05 + 3 * (0.05 * 0.95 / 1000) ** 0.5
    outside = ((found["low"] > 0.0) | (found["high"] < 0.0)).any("time")
    np.testing.assert_array_equal(outside, found["p_value"].isel(time=-1) <= 0.05)
    d = (x - 3.0 * y).values
    t = np.arange(1, 1001)
    z = np.cumsum(d, axis=1) / (10.0 * t) ** 0.5
    assert np.mean(np.any(np.abs(z[:, 49:]) > 1.96, axis=1)) > 0.25
    skilled = i.sequential_test(x + 1.0, 3.0 * y)
    assert float((skilled["p_value"].isel(time=-1) <= 0.05).mean()) > 0.99
    covered = (skilled["low"] <= 1.0) & (skilled["high"] >= 1.0)
    assert float((covered | skilled["low"].isnull()).all("time").mean()) > 0.94


def test_i22__is_the_text_and_knows_no_future() -> None:
    d = series(1, 300, 8, mean=0.3).values[0]
    found = i.sequential_test(d, 0.0 * d, level=0.9, tightest=100.0, first=20.0)
    log = -2 * np.log(0.1)
    rho2 = (log + np.log(log + 1)) / 100
    for t in (20, 150, 300):
        seen = d[:t]
        half = seen.std() * (2 * (t * rho2 + 1) / (t * t * rho2) * np.log((t * rho2 + 1) ** 0.5 / 0.1)) ** 0.5
        assert found["high"][t - 1] == pytest.approx(seen.mean() + half)
        assert found["low"][t - 1] == pytest.approx(seen.mean() - half)
    assert np.isnan(found["low"][18])
    assert found["p_value"][18] == 1.0
    assert (np.diff(found["p_value"]) <= 0.0).all()
    early = i.sequential_test(d[:150], 0.0 * d[:150], level=0.9, tightest=100.0, first=20.0)
    for name, values in early.items():
        np.testing.assert_array_equal(values, found[name][:150])
    ends = np.concatenate([[np.nan] * 3, d, [np.nan]])
    padded = i.sequential_test(ends, 0.0 * ends, level=0.9, tightest=100.0, first=20.0)
    np.testing.assert_array_equal(padded["low"][3:-1], found["low"])
    assert np.isnan(padded["p_value"][[0, -1]]).all()


def blocks_of(n: int, sizes: list[int], rho: float, seed: int) -> xr.DataArray:
    draw = np.random.default_rng(seed)
    parts = [rho**0.5 * draw.normal(size=(n, 1)) + (1 - rho) ** 0.5 * draw.normal(size=(n, k)) for k in sizes]
    return xr.DataArray(np.concatenate(parts, axis=1), dims=("time", "trial"))


def test_i23__correlations_are_those_of_scipy() -> None:
    x = blocks_of(80, [3, 2], 0.5, 1).assign_coords(trial=list("abcde"))
    x[:, 3] = np.nan
    kept = [0, 1, 2, 4]
    pearson, spearman = (i.strategy_correlation(x, over="trial", method=m) for m in ("pearson", "spearman"))  # type: ignore[arg-type]
    np.testing.assert_allclose(pearson.values[np.ix_(kept, kept)], np.corrcoef(x.values[:, kept].T))
    np.testing.assert_allclose(spearman.values[np.ix_(kept, kept)], scipy.stats.spearmanr(x.values[:, kept]).statistic)
    assert bool(pearson.sel(trial="d").isnull().all())
    assert pearson.dims == ("trial", "other_trial")
    assert float(pearson.sel(trial="b", other_trial="b")) == 1.0


@pytest.mark.parametrize("linkage", ["average", "complete", "single", "ward"])
def test_i23__clusters_are_found(linkage: Any) -> None:
    x = blocks_of(600, [4, 6, 5], 0.7, 2)
    order = np.random.default_rng(3).permutation(15)
    found = i.strategy_clusters(x.isel(trial=order), over="trial", linkage=linkage)
    truth = np.repeat([0, 1, 2], [4, 6, 5])[order]
    labels = found["cluster"].values
    assert labels.max() == 3
    assert labels[0] == 1
    assert all(len(set(labels[truth == k])) == 1 for k in range(3))
    drawn = truth[np.argsort(found["order"].values)]
    assert np.sum(np.diff(drawn) != 0) == 2  # like beside like
    assert i.strategy_clusters(x, over="trial", clusters=5)["cluster"].max() == 5


def test_i23__silhouettes_are_their_text() -> None:
    c = i.strategy_correlation(blocks_of(60, [3, 3, 1], 0.5, 2), over="trial").values
    distance = ((1 - c) / 2) ** 0.5
    labels, found, _ = clustering.grouped(c, 3, "average")
    for k in range(7):
        mine = labels == labels[k]
        if mine.sum() == 1:
            assert found[k] == 0.0
            continue
        a = distance[k, mine & (np.arange(7) != k)].mean()
        b = min(distance[k, labels == other].mean() for other in set(labels) - {labels[k]})
        assert found[k] == pytest.approx((b - a) / max(a, b), abs=1e-9)


@pytest.mark.parametrize("linkage", ["average", "complete", "single", "ward"])
@pytest.mark.parametrize("tied", [False, True])
def test_i23__the_number_is_that_of_the_best_of_all_cuts(linkage: Any, tied: bool) -> None:
    draw = np.random.default_rng(8)
    for strategies in [3, 4, *draw.integers(5, 30, 20)]:
        x = draw.normal(size=(60, strategies)) + draw.normal(size=(60, 4))[:, draw.integers(0, 4, strategies)]
        c = np.corrcoef(x.T)
        c = np.round(2.0 * c) / 2.0 if tied else c
        labels, found, _ = clustering.grouped(c, None, linkage)
        cuts = [clustering.grouped(c, k, linkage) for k in range(2, strategies)]
        best = max(cuts, key=lambda cut: round(float(cut[1].mean()), 12))
        assert labels.tolist() == best[0].tolist()
        assert found.tolist() == best[1].tolist()


def test_b12__effective_trials_of_worlds_that_are_known() -> None:
    x = blocks_of(4000, [5] * 4, 0.95, 3)
    found = {e: float(i.effective_trials(x, over="trial", estimator=e)) for e in ("effective_rank", "clusters")}  # type: ignore[arg-type]
    assert found["clusters"] == 4.0
    assert found["effective_rank"] == pytest.approx(5.1, abs=0.6)
    equal = blocks_of(20_000, [30], 0.4, 3)
    assert float(i.effective_trials(equal, over="trial")) == pytest.approx(0.4 + 0.6 * 30, abs=0.5)
    one = xr.concat([equal[:, 0]] * 6, "trial")
    for estimator in ("average_correlation", "effective_rank"):
        assert float(i.effective_trials(one, over="trial", estimator=estimator)) == pytest.approx(1.0)  # type: ignore[arg-type]
    one[3] = np.nan
    assert float(i.effective_trials(one, over="trial")) == pytest.approx(1.0)


X = series(4, 40, 1)
GAP = X.where(X != X[0, 3])


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: i.sharpe_difference(X, X, method="lw"), UsageError, "method: found 'lw', wanted one of 'bootstrap'"),
        (lambda: i.sharpe_difference(X, X, lags=-1, periods=1), UsageError, "lags: found -1"),
        (lambda: i.sharpe_difference(X, X, level=2, periods=1), UsageError, "level: found 2"),
        (lambda: i.sharpe_difference(X, X, resampling=i.Resampling(), periods=1), UsageError, "wanted 'circular'"),
        (
            lambda: i.sharpe_difference(X, -X, resampling=i.Resampling("circular", length=21), periods=1),
            UsageError,
            "length: found 21, wanted a whole number from 1 to 20",
        ),
        (lambda: i.sharpe_difference(X.values, X), DataError, "found ndarray"),
        (
            lambda: i.sharpe_difference(X.assign_coords(time=range(40)), X.assign_coords(time=range(1, 41)), periods=1),
            DataError,
            "found labels that differ",
        ),
        (lambda: i.equivalence_test(X, X, margin=0.0), UsageError, "margin: found 0.0, wanted a number above 0"),
        (lambda: i.rank_intervals(lambda x: x, X, over="run"), DataError, "the statistic: found dims"),
        (lambda: i.model_confidence_set(GAP, over="run"), DataError, "found NaN"),
        (
            lambda: i.model_confidence_set(X, over="run", resampling=i.Resampling("wild")),
            UsageError,
            "scheme: found 'wild'",
        ),
        (
            lambda: i.model_confidence_set(xr.concat([X[0], X[0]], "run"), over="run"),
            DataError,
            "found strategies that are equal",
        ),
        (lambda: i.sequential_test(X, X, first=1.0), UsageError, "first: found 1.0"),
        (lambda: i.strategy_correlation(GAP, over="run"), DataError, "found NaN at some samples"),
        (lambda: i.strategy_correlation(X, over="trial"), DataError, "wanted DataArrays along 'time', 'trial'"),
        (lambda: i.strategy_clusters(X[:2], over="run"), DataError, "found 2 strategies, 0 without correlations"),
        (lambda: i.strategy_clusters(X.where(X != X[1]), over="run"), DataError, "4 strategies, 4 without"),
        (lambda: i.strategy_clusters(X, over="run", clusters=5), UsageError, "found 5, wanted at most 4"),
        (lambda: i.effective_trials(X, over="run", estimator="onc"), UsageError, "estimator: found 'onc'"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
