"""CSCV: performances a second and core, beside a loop by hand over the same sums."""

from __future__ import annotations

import itertools
from math import sqrt

import numpy as np

from kernelkit.inference.overfitting import block_sums, splits
from tests.bench.hand import jit

BLOCKS, STRATEGIES, LENGTH = 16, 500, 50


@jit
def raw_cscv(masks, length, s1, s2, ranks):
    """Sharpe ratios of all strategies on both halves of each split, the best, and its rank."""
    blocks, strategies = s1.shape
    inside = np.empty(strategies)
    outside = np.empty(strategies)
    n = length * (blocks // 2)
    for split in range(len(masks)):
        best = 0
        for k in range(strategies):
            a1 = a2 = b1 = b2 = 0.0
            for b in range(blocks):
                if masks[split, b]:
                    a1 += s1[b, k]
                    a2 += s2[b, k]
                else:
                    b1 += s1[b, k]
                    b2 += s2[b, k]
            inside[k] = a1 / n / sqrt((a2 - a1 * a1 / n) / (n - 1.0))
            outside[k] = b1 / n / sqrt((b2 - b1 * b1 / n) / (n - 1.0))
            if inside[k] > inside[best]:
                best = k
        rank = 0.5
        for k in range(strategies):
            rank += 0.5 * (outside[k] < outside[best]) + 0.5 * (outside[k] <= outside[best])
        ranks[split] = rank


def test_cscv__every_split_of_sixteen_blocks(compare, hold):
    sums = block_sums(np.random.default_rng(1).normal(3e-4, 0.01, (BLOCKS * LENGTH, STRATEGIES)), BLOCKS)
    halves = list(itertools.combinations(range(BLOCKS), BLOCKS // 2))
    masks = np.array([[b in half for b in range(BLOCKS)] for half in halves])
    ranks = np.empty(len(masks))
    pair = compare(
        "cscv",
        lambda: splits(sums),
        lambda: raw_cscv(masks, float(LENGTH), sums.s1, sums.s2, ranks),
        len(masks) * STRATEGIES,
    )
    np.testing.assert_allclose(np.sort(splits(sums).rank), np.sort(ranks), rtol=0, atol=1.0)
    yardstick = f"{pair.yardstick_rate / 1e6:,.0f} M/s"
    hold("cscv", pair.ratio, f"{pair.rate / 1e6:,.0f} M split-strategies/s per core", yardstick)
