"""Bootstraps of many series: samples a second and core, seconds a test."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from arch.bootstrap import StationaryBootstrap

import kernelkit as kk
from kernelkit.inference.headline import Sums, headline

SAMPLES, REPLICATIONS, LENGTH = 10_000, 2_000, 20
MODELS, DAYS, DRAWS = 1_000, 2_500, 1_000
BLOCKS, SESSIONS = 64, 20


def sharpe(x: np.ndarray) -> float:
    return float(x.mean() / x.std())


def test_bootstrap_moments__beside_arch(compare, hold):
    x = np.random.default_rng(1).normal(3e-4, 0.01, SAMPLES)
    series = xr.DataArray(x, dims="time")
    how = kk.inference.Resampling(length=LENGTH, replications=REPLICATIONS)
    pair = compare(
        "bootstrap",
        lambda: kk.inference.bootstrap_moments(series, periods=1, resampling=how),
        lambda: StationaryBootstrap(LENGTH, x, seed=1).apply(sharpe, REPLICATIONS),
        SAMPLES * REPLICATIONS,
    )
    ours = kk.inference.bootstrap_moments(series, periods=1, resampling=how)["sharpe_ratio"]
    theirs = StationaryBootstrap(LENGTH, x, seed=1).apply(sharpe, REPLICATIONS)
    assert float(ours.std()) == pytest.approx(theirs.std(), rel=0.1)
    hold(
        "bootstrap", pair.ratio, f"{pair.rate / 1e6:,.0f} M samples/s per core", f"{pair.yardstick_rate / 1e6:,.0f} M/s"
    )


@pytest.fixture(scope="module")
def family() -> tuple[np.ndarray, np.ndarray]:
    """Models' returns, and the counts of replications."""
    x = np.random.default_rng(2).normal(0.0, 0.01, (DAYS, MODELS))
    return x, kk.inference.block_counts(DAYS, DRAWS, length=10)


def test_superior_ability__beside_the_product(compare, hold, family):
    x, counts = family

    def ours():
        return kk.inference.superior_ability(x, kk.inference.block_counts(DAYS, DRAWS, length=10), length=10)

    pair = compare("spa", ours, lambda: counts @ x, 1)
    assert 0.0 < ours().upper <= 1.0
    hold("spa", pair.ratio, f"{pair.seconds:.2f} s of CPU", f"{1 / pair.yardstick_rate:.3f} s")


def test_max_sharpe_test__beside_the_product(compare, hold, family):
    x, counts = family
    pair = compare("maximum", lambda: kk.inference.max_sharpe_test(x, counts), lambda: counts @ x, 1)
    hold("maximum", pair.ratio, f"{pair.seconds:.2f} s of CPU", f"{1 / pair.yardstick_rate:.3f} s")


@pytest.mark.parametrize(
    ("name", "trials", "replications"), [("headline", 10_000, 1_000), ("headline_few", 300, 9_999)]
)
def test_headline__from_block_sums(compare, hold, name, trials, replications):
    draw = np.random.default_rng(3)
    s1 = draw.normal(0.0, SESSIONS**0.5, (BLOCKS, trials))
    sums = Sums(np.full((BLOCKS, trials), float(SESSIONS)), s1, draw.chisquare(SESSIONS, (BLOCKS, trials)))
    counts = kk.inference.block_counts(BLOCKS, replications, scheme="iid")

    def ours():
        return headline(sums, np.arange(BLOCKS), replications=replications)

    pair = compare(name, ours, lambda: (counts @ s1, counts @ sums.s2), 1)
    assert ours().blocks == BLOCKS
    hold(name, pair.ratio, f"{pair.seconds:.2f} s of CPU", f"{1 / pair.yardstick_rate:.3f} s")
