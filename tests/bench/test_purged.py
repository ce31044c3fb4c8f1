"""Combinatorial purged cross-validation: masks of all splits, beside a NumPy loop over the splits."""

from __future__ import annotations

import itertools

import numpy as np

from kernelkit.study.purged import masks

SAMPLES, GROUPS, TESTS, LABEL, EMBARGO = 5_000, 16, 8, 10, 5


def looped(decided, used):
    """Each split by itself: the bounds of each run of test groups on the samples' sorted times."""
    edges = np.array([part[0] for part in np.array_split(decided, GROUPS)] + [SAMPLES])
    out = np.ones((12_870, SAMPLES), bool)
    for train, tested in zip(out, itertools.combinations(range(GROUPS), TESTS), strict=True):
        for g in tested:
            a, b = edges[g], edges[g + 1]
            train[(used >= decided[a]) & (decided <= used[b - 1] + EMBARGO)] = False
    return out


def test_purged__every_split_of_sixteen_groups(compare, hold):
    decided = np.arange(SAMPLES)
    used = decided + LABEL
    pair = compare(
        "purged",
        lambda: masks(decided, used, GROUPS, TESTS, EMBARGO),
        lambda: looped(decided, used),
        12_870,
    )
    found, wanted = masks(decided, used, GROUPS, TESTS, EMBARGO), looped(decided, used)
    assert all(np.array_equal(found.train(k), wanted[k]) for k in range(0, 12_870, 99))
    hold("purged", pair.ratio, f"{12_870 / pair.rate:.3f} s per core", f"{12_870 / pair.yardstick_rate:.2f} s")
