"""Metrics against numbers of other libraries and of papers (M5, M9-M13)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.stats

import kernelkit as kk
from kernelkit.metrics import var_tests

pytestmark = pytest.mark.market_data
m = kk.metrics

# R's name: ours with R's conventions
PER_SAMPLE = {
    "Return.cumulative": m.total_return,
    "Return.annualized_geometric": partial(m.cagr, periods=12),
    "StdDev.annualized": partial(m.volatility, periods=12),
    "SharpeRatio.annualized_arith": partial(m.sharpe_ratio, periods=12),
    "SharpeRatio_sd_rf0_per_period": partial(m.sharpe_ratio, periods=1),
    "DownsideDeviation_MAR0.005_full": partial(m.downside_deviation, threshold=0.005, periods=1),
    "DownsideDeviation_MAR0_subset": partial(m.downside_deviation, periods=1, over="below"),
    "SortinoRatio_MAR0": partial(m.sortino_ratio, periods=1),
    "SortinoRatio_MAR0.005": partial(m.sortino_ratio, threshold=0.005, periods=1),
    "maxDrawdown": m.max_drawdown,
    "CalmarRatio": partial(m.calmar_ratio, periods=12),
    "SterlingRatio": partial(m.sterling_ratio, periods=12),
    "UlcerIndex": m.ulcer_index,
    "PainIndex": m.pain_index,
    "MartinRatio": partial(m.martin_ratio, periods=12),
    "Kappa_MAR.005_l2": partial(m.kappa_ratio, threshold=0.005, order=2),
    "UpsidePotentialRatio_MAR.005": partial(m.upside_potential_ratio, threshold=0.005, over="beyond"),
    "Omega_L0": m.omega_ratio,
    "skewness_moment": m.skewness,
    "kurtosis_excess_moment": m.kurtosis,
    "AverageDrawdown": m.average_drawdown,
    "AverageLength": lambda x: m.drawdown_durations(x)["mean_length"],
    "AverageRecovery": lambda x: m.drawdown_durations(x)["mean_to_recovery"],
    "KellyRatio_full": m.kelly_fraction,
    "KellyRatio_half": lambda x: m.kelly_fraction(x) / 2.0,
    "kurtosis_sample": lambda x: m.kurtosis(x, convention="sample") + _normal_part(len(x)),
}
METHODS = {"historical": "historical", "gaussian": "gaussian", "modified": "cornish_fisher"}
for _name, _method in METHODS.items():
    for _level in (0.95, 0.99):
        _how = dict(level=_level, method=_method, ddof=0)
        PER_SAMPLE[f"VaR_{_name}_{_level}"] = lambda x, how=_how: -m.value_at_risk(x, **how)
        PER_SAMPLE[f"ES_{_name}_{_level}"] = lambda x, how=_how: -m.expected_shortfall(x, convention="quantile", **how)
AGAINST = {
    "CAPM.beta": m.beta,
    "CAPM.alpha": partial(m.alpha, periods=1),
    "InformationRatio": partial(m.information_ratio, periods=12, growth="geometric"),
    "TrackingError": partial(m.tracking_error, periods=12),
    "TreynorRatio": partial(m.treynor_ratio, periods=12, growth="geometric"),
}
OPEN = ("bacon1|AverageLength", "bacon1|AverageRecovery", "bacon2|AverageLength", "bacon2|AverageRecovery")
LEFT_OUT = {
    "skewness_sample": "R divides by the standard deviation of n, not of n - 1, SciPy and we do not",
    "CDD": "R averages the deepest drawdowns as wholes, CDaR the drawdown curve",
    "AverageLength and AverageRecovery of series that end under water": "R takes the end for a recovery",
    "SharpeRatio.annualized_geom": "the file has the arithmetic one under this name",
    "BurkeRatio, HurstIndex, SmoothingIndex": "no metrics of ours",
}


def _normal_part(n: int) -> float:
    return 3.0 * (n - 1) ** 2 / ((n - 2) * (n - 3))


@pytest.mark.oracle("PerformanceAnalytics", covers="M5, M9-M13", cases=184, left_out=LEFT_OUT)
def test_metrics_are_those_of_r(fixture: Callable[[str], Any], series: Mapping[str, np.ndarray]) -> None:
    asked = {c["name"]: c["expected"] for c in fixture("performance_analytics_reference")["cases"]}
    asked |= fixture("performance_analytics_more_expected")
    done = 0
    for case, wanted in asked.items():
        name, metric = case.split("|")
        if metric in PER_SAMPLE and case not in OPEN:
            np.testing.assert_allclose(PER_SAMPLE[metric](series[name]), wanted, rtol=0, atol=1e-9, err_msg=case)
        elif metric in AGAINST:
            found = AGAINST[metric](series["ham1"], series["sp500"])
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9, err_msg=case)
        else:
            continue
        done += 1
    assert done == 184


@pytest.mark.oracle("PerformanceAnalytics", covers="M5, M9-M13", cases=20)
def test_m11__drawdown_table_is_that_of_r(fixture: Callable[[str], Any], series: Mapping[str, np.ndarray]) -> None:
    depths, lengths = (case["expected"] for case in fixture("drawdown_table_edhec")["cases"])
    found = m.drawdown_table(series["edhec_CA"], top=5)
    np.testing.assert_allclose(-found["depth"], depths, rtol=0, atol=5e-5)
    table = np.stack([found[k] for k in ("length", "to_trough", "to_recovery")], axis=-1)
    assert table.ravel().tolist() == lengths


@pytest.mark.oracle("Drawdowns that others got wrong", covers="M1, M11", cases=4)
def test_m11__edge_cases_of_others(fixture: Callable[[str], Any]) -> None:
    for case in fixture("drawdown_edge_cases")["cases"]:
        given = case["input"]
        x = np.array(given["r"]) if "r" in given else m.returns(np.array(given["p"], dtype=float))
        np.testing.assert_allclose(m.max_drawdown(x), case["expected"], rtol=0, atol=case["tol"], err_msg=case["name"])


def _kupiec_region(p: float, samples: int, critical: float) -> list[int]:
    k = np.arange(samples + 1.0)
    kept = np.flatnonzero(var_tests.coverage(float(samples), k, p) < critical)
    return [int(kept[0]) - 1, int(kept[-1]) + 1]


@pytest.mark.oracle("Backtests of value at risk", covers="kupiec, christoffersen, basel_traffic_light", cases=21)
def test_var_backtests_are_those_of_the_papers(fixture: Callable[[str], Any]) -> None:
    cases = fixture("var_backtests")["cases"]
    for case in cases:
        given = case["input"]
        if "x" in given:
            x = np.where(np.arange(given["T"]) < given["x"], -1.0, 1.0)
            level = 1.0 - given["p"]
            found = m.kupiec(x, np.full(x.shape, 0.5), level=level)["statistic"]
        elif "n00" in given:
            found = var_tests.independence(*(float(given[k]) for k in ("n00", "n01", "n10", "n11")))
        elif "crit" in given:
            low, high = _kupiec_region(given["p"], given["T"], given["crit"])
            found = [low, high]
        else:
            x = np.where(np.arange(given["T"]) < given["k"], -1.0, 1.0)
            found = m.basel_traffic_light(x, np.full(x.shape, 0.5), level=1.0 - given["p"])["probability"]
        np.testing.assert_allclose(found, case["expected"], rtol=0, atol=case["tol"], err_msg=case["name"])
    assert len(cases) == 21


@pytest.mark.oracle("Kelly", covers="kelly_fraction", cases=4)
def test_kelly_fraction_is_that_of_the_papers(fixture: Callable[[str], Any]) -> None:
    binary, thorp = fixture("kelly")["cases"]
    x = np.repeat([1.0, -1.0], [6, 4])
    bet = m.kelly_fraction(x, convention="binary")
    np.testing.assert_allclose([bet, np.mean(np.log1p(bet * x))], binary["expected"], rtol=0, atol=binary["tol"])
    mean, sd, rate = (thorp["input"][k] for k in "msr")
    years = np.array([mean - sd, mean + sd])
    share = m.kelly_fraction(years, rf=rate, ddof=0)
    grows = rate + share * (mean - rate) - share**2 * sd**2 / 2.0
    for found, wanted, tol in zip((share, grows), thorp["expected"], thorp["tol"], strict=True):
        assert found == pytest.approx(wanted, abs=tol)


@pytest.mark.oracle("SciPy", covers="skewness, kurtosis, quantiles", cases=30)
def test_moments_and_quantiles_are_those_of_scipy(series: Mapping[str, np.ndarray]) -> None:
    for x in series.values():
        np.testing.assert_allclose(m.skewness(x, convention="sample"), scipy.stats.skew(x, bias=False), rtol=1e-10)
        np.testing.assert_allclose(m.kurtosis(x, convention="sample"), scipy.stats.kurtosis(x, bias=False), rtol=1e-10)
        for level in (0.9, 0.95, 0.975):
            np.testing.assert_allclose(m.value_at_risk(x, level=level), -np.quantile(x, 1.0 - level), rtol=1e-12)
