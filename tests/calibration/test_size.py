"""A part of docs/calibration.md that is quick enough for every run: no test rejects much too often, none is blind."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from tests.calibration.size import headline_of, p_value
from tests.calibration.worlds import WORLDS

FAMILIES = 60


def p_values(name: str, families: int, *, skill: bool) -> np.ndarray:
    return np.array([p_value(name, 199, skill, seed) for seed in range(families)])


@pytest.mark.parametrize("name", WORLDS)
def test_i7__without_skill_it_rejects_no_more_often_than_chance_lets_7_percent_look(name: str) -> None:
    most = int(scipy.stats.binom.ppf(0.999, FAMILIES, 0.07))
    assert np.sum(p_values(name, FAMILIES, skill=False) <= 0.05) <= most


@pytest.mark.parametrize("name", ["iid", "equicorrelated_half", "drifting_market", "sparse"])
def test_i7__a_sharpe_ratio_of_2_is_found_in_most_families(name: str) -> None:
    least = int(scipy.stats.binom.ppf(0.001, 30, 0.63))
    assert np.sum(p_values(name, 30, skill=True) <= 0.05) >= least


def test_i7__the_market_alone_is_no_skill() -> None:
    """Long-only averages in a rising market: the plain test would call about half of the families significant."""
    plain, less = [], []
    for seed in range(40):
        drawn = WORLDS["drifting_market"](np.random.default_rng(seed))
        for found, case in ((plain, drawn._replace(b=None)), (less, drawn)):
            test = headline_of(case, 0, 199, seed)
            assert test is not None
            found.append(np.nanmin(test.p) <= 0.05)
    assert np.mean(plain) > 0.3
    assert np.mean(less) < 0.2
