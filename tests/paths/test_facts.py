"""Stylised facts (G12): by their formulas, and found where a model has them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

import kernelkit as kk
from kernelkit.errors import UsageError
from kernelkit.paths.facts import facts_of
from tests.paths.test_models import COPULA, GBM

p = kk.paths


def test_g12__facts_are_their_formulas() -> None:
    x = np.random.default_rng(4).standard_t(4, 3000)
    found = facts_of(x[:, None])
    assert found["excess_kurtosis"] == pytest.approx(scipy.stats.kurtosis(x))
    assert found["skewness"] == pytest.approx(scipy.stats.skew(x))
    off = x - x.mean()
    for name, a, b, lag in (
        ("acf_1", off, off, 1),
        ("acf_abs_5", np.abs(off), np.abs(off), 5),
        ("acf_abs_60", np.abs(off), np.abs(off), 60),
    ):
        one, two = a - a.mean(), b - b.mean()
        want = np.mean(one[:-lag] * two[lag:]) / (one.std() * two.std())
        assert found[name] == pytest.approx(want)
    lead = [np.mean(off[:-k] * (off**2 - (off**2).mean())[k:]) / (off.std() * (off**2).std()) for k in range(1, 11)]
    assert found["leverage"] == pytest.approx(np.mean(lead))
    top = np.sort(off)[::-1]
    assert found["tail_index_high"] == pytest.approx(1 / np.mean(np.log(top[:150] / top[150])))


def test_g12__tails_come_together_where_series_are_one() -> None:
    x = np.random.default_rng(4).normal(size=(4000, 1))
    same = facts_of(np.hstack([x, x]))
    assert same["tail_dependence_low"] == same["tail_dependence_high"] == 1.0
    apart = facts_of(np.hstack([x, -x]))
    assert apart["tail_dependence_low"] == apart["tail_dependence_high"] == 0.0
    alone = facts_of(np.random.default_rng(5).normal(size=(20_000, 3)))
    assert alone["tail_dependence_low"] == pytest.approx(0.05, abs=0.02)
    assert "tail_dependence_low" not in facts_of(x)


def test_stylised_facts__a_model_has_its_own_and_not_others() -> None:
    own = p.stylised_facts(GBM.bars(1500, path=77, seed=3), GBM, paths=200, seed=1, level=0.998)
    assert bool(own["inside"].all())
    assert (own["low"] <= own["median"]).all()
    assert (own["median"] <= own["high"]).all()
    real = kk.data.load("sp500_index")
    found = p.stylised_facts(real, GBM, paths=30)
    outside = ("excess_kurtosis", "acf_abs_1", "acf_abs_60", "leverage")
    assert not bool(found["inside"].sel(fact=list(outside)).any())
    again = p.stylised_facts(real, GBM, paths=30)
    assert found.equals(again)


def test_stylised_facts__of_several_assets() -> None:
    found = p.stylised_facts(COPULA.bars(1200, path=40, seed=3), COPULA, paths=20)
    together = float(found["median"].sel(fact="tail_dependence_low"))
    assert 0.3 < together < 0.7
    with pytest.raises(UsageError, match="2 assets"):
        p.stylised_facts(kk.data.load("sp500_index"), COPULA)
    with pytest.raises(UsageError, match="level"):
        p.stylised_facts(kk.data.load("sp500_index"), GBM, level=1.0)
    with pytest.raises(UsageError, match="paths"):
        p.stylised_facts(kk.data.load("sp500_index"), GBM, paths=1)


def test_plot_facts__has_every_fact() -> None:
    found = p.stylised_facts(GBM.bars(500), GBM, paths=10)
    shown = p.plot_facts(found)
    assert set(shown.ErrorBars.I.data["fact"]) == set(found["fact"].values)
