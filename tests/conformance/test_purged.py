"""Combinatorial purged splits (K1-K3) against published counts, splits of skfolio's documentation, and known bugs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kernelkit.study.purged import masks, n_paths, paths
from kernelkit.study.splitters import combinatorial

pytestmark = pytest.mark.market_data


@pytest.mark.oracle("Purged cross-validation", covers="K1, K3", cases=42)
def test_k3__counts_are_those_of_the_book(fixture: Callable[[str], Any]) -> None:
    cases = [case for case in fixture("cpcv_counts_and_splits")["cases"] if case["name"].startswith("phi")]
    for case in cases:
        groups, tests = case["input"]["N"], case["input"]["k"]
        n = np.arange(groups)
        found = [len(masks(n, n, groups, tests).words), n_paths(groups, tests), len(paths(groups, tests))]
        assert found == case["expected"], case["name"]
    assert len(cases) == 42


@pytest.mark.oracle("Purged cross-validation", covers="K1, K2", cases=4)
def test_k2__splits_are_those_of_skfolio(fixture: Callable[[str], Any]) -> None:
    """Its purged_size of 1 is a label that ends one observation later."""
    cases = [case for case in fixture("cpcv_counts_and_splits")["cases"] if "skfolio" in case["name"]]
    for case in cases:
        n, asked = np.arange(case["input"]["n"]), case["input"]
        found = masks(n, n + asked.get("purged_size", 0), 3, 2, asked.get("embargo_size", 0))
        split = int(case["name"].split(" split ")[1].split()[0])
        assert np.flatnonzero(found.train(split)).tolist() == case["expected"], case["name"]
        splitter = combinatorial(3, 2, label=asked.get("purged_size", 0), embargo=asked.get("embargo_size", 0))
        assert [*splitter.split(n)][split][0].tolist() == case["expected"], case["name"]
    assert len(cases) == 4


@pytest.mark.oracle("Purged cross-validation", covers="K2", cases=5)
def test_k2__what_others_got_wrong(fixture: Callable[[str], Any]) -> None:
    cases = fixture("label_purge_cases")["cases"]
    for case in cases:
        asked = case["input"]
        test = np.isin(np.arange(len(asked["t0"])), asked["test"])
        bounds = [0, *(1 + np.flatnonzero(np.diff(test))).tolist()]
        tested = [g for g, first in enumerate(bounds) if test[first]]
        found = masks(np.array(asked["t0"]), np.array(asked["t1"]), bounds, len(tested), asked["embargo"])
        split = found.tested.tolist().index(tested)
        assert np.flatnonzero(found.train(split)).tolist() == case["expected"], case["name"]
    assert len(cases) == 5
