"""Paths of models: steps a second and core with the largest drawdown, and bars a second."""

from __future__ import annotations

import numpy as np
import pytest

import kernelkit as kk

PATHS, STEPS, BLOCK, BARS = 2_000, 2_520, 20, 100  # more paths at a time would leave NumPy's cache
MEAN, DEVIATION = 3e-4, 0.01
GBM = kk.paths.GBM(252 * (MEAN + DEVIATION**2 / 2), DEVIATION * 252**0.5)


def reduced(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Price at the end, largest drawdown of log returns (path, step)."""
    np.cumsum(x, axis=1, out=x)
    peak = np.maximum.accumulate(x, axis=1)
    np.maximum(peak, 0.0, out=peak)
    peak -= x
    return np.exp(x[:, -1]), 1.0 - np.exp(-peak.max(axis=1))


def numpy_walk(paths: int = PATHS) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(1).standard_normal((paths, STEPS))
    x *= DEVIATION
    x += MEAN
    return reduced(x)


def test_walk__beside_numpy(compare, hold):
    def ours():
        return kk.paths.simulate(GBM, paths=PATHS, steps=STEPS)

    pair = compare("walk", ours, numpy_walk, PATHS * STEPS)
    assert float(ours()["max_drawdown"].mean()) == pytest.approx(numpy_walk()[1].mean(), rel=0.03)
    hold("walk", pair.ratio, f"{pair.rate / 1e6:,.0f} M steps/s", f"{pair.yardstick_rate / 1e6:,.0f} M/s")


def test_blocks__beside_numpy(compare, hold):
    model = kk.paths.Bootstrap.fit(kk.data.load("sp500_index"), length=BLOCK, scheme="circular")
    move = model.history[3]

    def ours():
        return kk.paths.simulate(model, paths=PATHS, steps=STEPS)

    def numpy_blocks():
        begin = np.random.default_rng(1).integers(0, len(move), (PATHS, STEPS // BLOCK))
        return reduced(move[(begin[:, :, None] + np.arange(BLOCK)) % len(move)].reshape(PATHS, STEPS))

    pair = compare("walk_blocks", ours, numpy_blocks, PATHS * STEPS)
    assert float(ours()["max_drawdown"].mean()) == pytest.approx(numpy_blocks()[1].mean(), rel=0.03)
    hold("walk_blocks", pair.ratio, f"{pair.rate / 1e6:,.0f} M steps/s", f"{pair.yardstick_rate / 1e6:,.0f} M/s")


def test_bars__beside_numpy(compare, hold):
    def ours():
        return GBM.many(STEPS, paths=range(BARS))

    pair = compare("walk_bars", ours, lambda: numpy_walk(BARS), BARS * STEPS)
    hold("walk_bars", pair.ratio, f"{pair.rate / 1e6:,.2f} M bars/s", f"{pair.yardstick_rate / 1e6:,.0f} M steps/s")
