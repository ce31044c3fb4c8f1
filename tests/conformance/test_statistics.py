"""Intervals, comparisons and classical tests against numbers of papers and of other programs (I10-I29, B10-B19)."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.stats
import xarray as xr

import kernelkit as kk
from kernelkit.inference import clustering
from kernelkit.inference.draws import block_indices

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


@pytest.mark.market_data
@pytest.mark.oracle("Bootstrap, arch and Hansen", covers="I11, I12", cases=1)
def test_i12__stationary_bootstrap_exact_variance(fixture: Callable[[str], Any]) -> None:
    """40,000 replications come within the tolerance of 1.2 %, their standard error is 0.7 %."""
    (case,) = fixture("stationary_bootstrap_exact_variance")["cases"]
    z = xr.DataArray(np.array(case["input"]["z"]), dims="time")
    how = i.Resampling("stationary", length=1 / case["input"]["p"], replications=40_000)
    found = i.interval(lambda x: x.mean("time"), z, resampling=how)["standard_error"]
    assert len(z) * float(found) ** 2 == pytest.approx(case["expected"], abs=case["tol"])


@pytest.mark.oracle("SciPy", covers="I12", cases=12)
def test_i12__intervals_are_those_of_scipy() -> None:
    """Of the same replications, the smallest and the largest counted twice: theirs are quantiles of k / (B - 1)."""
    for seed in range(4):
        x = np.random.default_rng(seed).exponential(size=40 + seed)
        given = xr.DataArray(x, dims="time")
        how = i.Resampling("iid", replications=500, seed=seed)

        def spread(x: xr.DataArray) -> xr.DataArray:
            return x.std("time")

        drawn = i.replications(spread, given, resampling=how).values
        for ours, theirs in (("percentile", "percentile"), ("basic", "basic"), ("bca", "BCa")):
            found = i.interval(spread, given, method=ours, level=0.9, resampling=how)
            same = SimpleNamespace(bootstrap_distribution=np.r_[drawn.min(), drawn, drawn.max()])
            asked = scipy.stats.bootstrap(
                (x,), np.std, n_resamples=0, confidence_level=0.9, method=theirs, bootstrap_result=same
            )
            np.testing.assert_allclose([found["low"], found["high"]], asked.confidence_interval, rtol=1e-10)


@pytest.mark.market_data
@pytest.mark.oracle("Classical tests", covers="I14", cases=9)
def test_i14__classical_tests(fixture: Callable[[str], Any]) -> None:
    mann_whitney, anderson, sleep = fixture("classical_tests")["cases"]

    def labelled(values: list[float]) -> xr.DataArray:
        return xr.DataArray(np.array(values, "f8"), dims="time")

    x, y = (labelled(mann_whitney["input"][k]) for k in "xy")
    found = i.mann_whitney(x, y)
    numbers = [float(found["statistic"]), float(found["p_value"])]
    np.testing.assert_allclose(numbers, mann_whitney["expected"], rtol=0, atol=mann_whitney["tol"])
    several = i.anderson_darling(*map(labelled, anderson["input"]["samples"]))
    assert float(several["statistic"]) == pytest.approx(anderson["expected"][1], abs=anderson["tol"])
    x, y = (labelled(sleep["input"][k]) for k in "xy")
    numbers = []
    for kind in ("pooled", "welch", "paired"):
        found = i.t_test(x, y, kind=kind)
        numbers += [float(found["statistic"]), float(found["p_value"])]
    np.testing.assert_allclose(numbers, sleep["expected"], rtol=0, atol=sleep["tol"])


@pytest.mark.oracle("Model confidence set", covers="I21", cases=2)
def test_i21__the_model_confidence_set_is_that_of_arch() -> None:
    """On the same draws; theirs is # / B of losses, with > where ours has >=."""
    from arch.bootstrap import MCS

    x = np.random.default_rng(5).normal(size=(150, 6)) + np.linspace(0.0, 0.3, 6)
    how = i.Resampling("circular", length=4, replications=300)
    index = block_indices(150, np.arange(300), length=4, scheme="circular", seed=0)
    for ours, theirs in (("max", "max"), ("range", "R")):
        found = i.model_confidence_set(
            xr.DataArray(x, dims=("time", "trial")), over="trial", statistic=ours, resampling=how
        )
        asked = MCS(-x, 0.05, reps=300, block_size=4, method=theirs)
        asked.bootstrap = SimpleNamespace(bootstrap=lambda reps: [((one,),) for one in index])
        asked.compute()
        p = asked.pvalues["Pvalue"].sort_index().to_numpy()
        np.testing.assert_allclose((found["p_value"] * 301 - 1) / 300, p, rtol=0, atol=1e-12)


@pytest.mark.market_data
@pytest.mark.oracle("Effective number of trials", covers="B12", cases=3)
def test_b12__effective_trials(fixture: Callable[[str], Any]) -> None:
    rank, identity, average = fixture("effective_trials")["cases"]
    found = clustering.effective_rank(np.array(rank["input"]["C"]))
    assert found == pytest.approx(rank["expected"], abs=rank["tol"])
    found = clustering.effective_rank(np.eye(identity["input"]["n"]))
    assert found == pytest.approx(identity["expected"], abs=identity["tol"])
    matrix = np.full((100, 100), 0.3) + 0.7 * np.eye(100)
    assert clustering.trials_of_correlation(matrix) == pytest.approx(average["expected"], abs=average["tol"])
