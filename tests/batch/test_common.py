from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from kernelkit.batch import common, curves
from kernelkit.batch.compare import best


def curve(returns: np.ndarray, every: int = 1, first: int = 18_000) -> curves.Curve:
    """A curve with a level every so many days; returns of single days."""
    equity = np.cumprod(1.0 + returns)
    session = first + np.arange(len(returns))
    return curves.Curve("equity", "in sample", session[::every], equity[::every], 252.0)


@pytest.fixture
def draw():
    return np.random.default_rng(5).normal(0.0004, 0.01, (3, 800))


def test_over__correlation_and_mean_test_are_those_of_scipy(draw):
    found = common.over({"a": curve(draw[0]), "b": curve(draw[1])})
    x, y = draw[:2, 1:]
    assert found["correlation"][0][1] == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-5)
    mean = found["tests"][1]
    assert mean["p_value"][0][1] == pytest.approx(scipy.stats.ttest_rel(x, y).pvalue, rel=1e-5)
    assert mean["difference"][0][1] == pytest.approx(252 * (x - y).mean(), rel=1e-5)


def test_over__p_values_count_for_all_pairs(draw):
    found = common.over({name: curve(row) for name, row in zip("abc", draw, strict=True)})
    for test in found["tests"]:
        p, adjusted = (np.array(test[n], float) for n in ("p_value", "adjusted"))
        assert np.nanmin(adjusted) == pytest.approx(min(1.0, 3 * np.nanmin(p)), rel=1e-5)
        assert "3 pairs by Holm" in test["method"]
        assert np.array_equal(p, p.T, equal_nan=True)


def test_over__a_market_that_never_closes_loses_no_return(draw):
    seldom, always = curve(draw[0], every=5), curve(draw[1])
    found = common.over({"seldom": seldom, "always": always})
    grown = always.equity[seldom.session - 18_000]
    assert found["sessions"] == len(seldom.session) - 1
    assert found["curves"][1]["growth"][-1] == pytest.approx(grown[-1] / grown[0], rel=1e-5)


def test_over__equal_runs_are_no_difference(draw):
    found = common.over({"a": curve(draw[0]), "b": curve(draw[0])})
    assert found["correlation"][0][1] == 1.0
    assert found["tests"][0]["p_value"] == [[None, None], [None, None]]


@pytest.mark.parametrize("first", [18_000 + 760, 30_000])
def test_over__too_few_sessions_in_common(draw, first):
    assert common.over({"a": curve(draw[0]), "b": curve(draw[1], first=first)}) is None


def test_over__a_long_curve_is_drawn_in_few_points_the_deepest_among_them():
    values = np.random.default_rng(1).normal(0.0, 0.001, (2, 20_000))
    drawn = common.over({"a": curve(values[0], first=0), "b": curve(values[1], first=0)})["curves"][0]
    growth = np.cumprod(1.0 + values[0])
    growth /= growth[0]
    assert len(drawn["growth"]) <= common.POINTS
    assert drawn["growth"][0] == 1.0
    for one in (growth[-1], growth.min(), growth.max()):
        assert float(f"{one:.6g}") in drawn["growth"]


def test_best__less_is_more_of_a_drawdown():
    metrics = [{"max_drawdown": 0.3, "oos_cagr": 0.1, "n_trades": 5.0}, {"max_drawdown": 0.2, "oos_cagr": None}]
    assert best(metrics) == {"max_drawdown": [1]}
