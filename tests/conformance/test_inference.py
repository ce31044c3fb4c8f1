"""Inference against numbers of papers and of R (I1, I2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import scipy.special

import kernelkit as kk
from kernelkit.inference import bootstrap, discovery
from kernelkit.inference import significance as s

pytestmark = pytest.mark.market_data


def moments(given: Mapping[str, float]) -> tuple[float, float, float, float]:
    """Sharpe ratio per sample, n, skewness, kurtosis."""
    return given["mean"] / given["sd"], float(given["T"]), given["skew"], given["kurt"]


def psr(given: Mapping[str, float], null: float, convention: str, rho: float = 0.0) -> float:
    sharpe, *others = moments(given)
    return float(s.special(sharpe).ndtr(s.exceeds(sharpe, null, *others, convention, rho)))


def years(given: Mapping[str, float]) -> float:
    root = given["periods"] ** 0.5
    level, rates = 1.0 - given["alpha"], (given["sr_ann"] / root, given["sr0_ann"] / root)
    found = s.track_record(*rates, given["skew"], given["kurt"], level, "2012", 0.0)
    return float(found / given["periods"])


@pytest.mark.oracle("Sharpe ratios, papers", covers="I1", cases=9)
def test_i1__psr_mintrl_conventions(fixture: Callable[[str], Any]) -> None:
    cases = fixture("psr_mintrl_conventions")["cases"]
    given = cases[0]["input"]
    sharpe, n, skewness, kurtosis = moments(given)
    found = [
        s.sharpe_error(sharpe, n, skewness, kurtosis),
        s.sharpe_error(sharpe, n, 0.0, 3.0),
        psr(given, 0.0, "2012"),
        psr(given, 0.0, "2025"),
        psr(given, 0.1, "2025"),
        s.track_record(sharpe, 0.0, skewness, kurtosis, 0.95, "2025", 0.0),
        *(years(case["input"]) for case in cases[6:]),
    ]
    for one, case in zip(found, cases, strict=True):
        assert one == pytest.approx(case["expected"], abs=case["tol"]), case["name"]


@pytest.mark.oracle("Sharpe ratios, papers", covers="I1, I2", cases=4)
def test_i2__dsr_bailey_lopezdeprado_2014(fixture: Callable[[str], Any]) -> None:
    first, *others = fixture("dsr_bailey_lopezdeprado_2014")["cases"]

    def null(given: Mapping[str, float]) -> float:
        variance = given["V_annual"] / given["periods"]
        return float(kk.inference.expected_max_sharpe(given["N"], sharpe_variance=variance, method="approximate"))

    assert null(first["input"]) == pytest.approx(first["expected"], abs=first["tol"])
    for case in others:
        given = case["input"]
        sharpe = given["sr_ann"] / given["periods"] ** 0.5
        z = s.exceeds(sharpe, null(given), given["T"], given["skew"], given["kurt"], "2012", 0.0)
        assert s.special(z).ndtr(z) == pytest.approx(case["expected"], abs=case["tol"]), case["name"]


@pytest.mark.oracle("Sharpe ratios, papers", covers="I2", cases=7)
def test_i2__expected_max_minbtl(fixture: Callable[[str], Any]) -> None:
    for case in fixture("expected_max_minbtl")["cases"]:
        name, n = case["name"], case["input"]["N"]
        method = "exact" if "exact" in name else "approximate"
        if "MinBTL" in name:
            found = kk.inference.min_backtest_length(n, sharpe=case["input"]["target_sr_ann"], method=method)
        else:
            found = kk.inference.expected_max_sharpe(n, method=method)
        assert found == pytest.approx(case["expected"], abs=case["tol"]), name


@pytest.mark.oracle("Sharpe ratios, papers", covers="I1, I2, B10", cases=10)
def test_i1__sharpe_inference_2025(fixture: Callable[[str], Any]) -> None:
    cases = {case["name"]: case for case in fixture("sharpe_inference_2025")["cases"]}
    given = cases["pFDR"]["input"]
    sharpe, n, skewness, kurtosis = moments(given)
    null = kk.inference.expected_max_sharpe(10, sharpe_variance=0.1, method="approximate")
    z = s.exceeds(sharpe, null, n, skewness, kurtosis, "2025", 0.0)
    others = (n, skewness, kurtosis)
    critical = scipy.special.ndtri(0.9) * s.sharpe_error(0.0, *others)
    luck, skill = (discovery.passes(critical, at, *others) for at in (0.0, 0.5))
    edge = discovery.edge_of(0.0, 0.5, np.array(n), skewness, kurtosis, 0.1, 0.25)
    chances = [discovery.passes(edge, at, *others) for at in (0.0, 0.5)]
    controlled = [chances[0], 1.0 - chances[1], edge]
    np.testing.assert_allclose(controlled, cases["FDR q=.25 alpha,beta,SRc"]["expected"], rtol=0, atol=0.0006)
    observed = discovery.discovery_rate(*(discovery.passes(sharpe, at, *others) for at in (0.0, 0.5)), 0.1)
    assert observed == pytest.approx(0.173, abs=0.0006)  # oFDR, in the text
    found = {
        "power a=.10": skill,
        "SR_c a=.10": critical,
        "pFDR": discovery.discovery_rate(luck, skill, 0.1),
        "E[max] K=10 V=.1": null,
        "DSR K=1 variance": s.special(z).ndtr(z),
        "DSR K=10 (variance of the max)": s.special(z).ndtr(z / s.deviation_of_maximum(10)),
        "AR(1) rho=.2: sigma_SR": s.sharpe_error(sharpe, n, skewness, kurtosis, 0.2),
        "AR(1) rho=.2: PSR(0)": psr(given, 0.0, "2025_ar1", 0.2),
    }
    for name, one in found.items():
        assert one == pytest.approx(cases[name]["expected"], abs=cases[name]["tol"]), name


@pytest.mark.oracle("PerformanceAnalytics", covers="I1", cases=11)
def test_i1__of_real_series_are_those_of_r(fixture: Callable[[str], Any], series: Mapping[str, np.ndarray]) -> None:
    """R leaves the kurtosis out (`ignore_kurtosis = TRUE`): 3 stands for it."""
    asked = {c["name"]: c["expected"] for c in fixture("performance_analytics_reference")["cases"]}
    asked |= fixture("performance_analytics_more_expected")
    done = 0
    for case, wanted in asked.items():
        name, function = case.split("|")
        if function in ("ProbSharpeRatio_ref0", "MinTrackRecord_ref0"):
            x = series[name]
            sharpe, skewness = float(kk.metrics.sharpe_ratio(x, periods=1)), float(kk.metrics.skewness(x))
            if function == "ProbSharpeRatio_ref0":
                z = s.exceeds(sharpe, 0.0, float(len(x)), skewness, 3.0, "2012", 0.0)
                found = s.special(z).ndtr(z)
            else:
                found = s.track_record(sharpe, 0.0, skewness, 3.0, 0.95, "2012", 0.0)
            np.testing.assert_allclose(found, wanted, rtol=1e-9, err_msg=case)
            done += 1
    assert done == 11


@pytest.mark.oracle("Harvey and Liu", covers="I3", cases=18)
def test_i3__multiple_testing_harvey_liu(fixture: Callable[[str], Any]) -> None:
    """Also what they reject at 5 %: 1, 2 and 4 of the six."""
    cases = {case["name"]: case for case in fixture("multiple_testing_harvey_liu")["cases"]}
    for name, method, discoveries in (("bonferroni", "bonferroni", 1), ("holm", "holm", 2), ("fdr_by", "by", 4)):
        case = cases[name]
        found = kk.inference.adjusted_p_values(np.array(case["input"]["p"]), method=method)
        np.testing.assert_allclose(found, case["expected"], rtol=0, atol=case["tol"], err_msg=name)
        assert int(np.sum(found <= 0.05)) == discoveries, name


@pytest.mark.oracle("Bootstrap, arch and Hansen", covers="I6", cases=9)
def test_i6__reality_check_spa(fixture: Callable[[str], Any]) -> None:
    """Theirs is # / B. One model in units ten times as small moves arch to 0.08, and must not move ours."""
    plain, studentised, scaled = fixture("reality_check_spa")["cases"]
    d, indices = np.array(plain["input"]["d"]), np.array(plain["input"]["idx"])
    counts = np.stack([np.bincount(row, minlength=len(d)) for row in indices]).astype("f8")
    tenfold = d * np.where(np.arange(d.shape[1]) == 0, 10.0, 1.0)
    for case, x, how in ((plain, d, False), (studentised, d, True), (scaled, tenfold, True)):
        found = np.array(kk.inference.superior_ability(x, counts, length=5, studentised=how))
        theirs = (found * (len(counts) + 1) - 1) / len(counts)
        np.testing.assert_allclose(theirs, case["expected"], rtol=0, atol=case["tol"], err_msg=case["name"])


@pytest.mark.oracle("Bootstrap, arch and Hansen", covers="I5", cases=1)
def test_i5__stationary_bootstrap_exact_variance(fixture: Callable[[str], Any]) -> None:
    """The variance is exact; 40,000 replications come within its tolerance of 1.2 %, their standard error is 0.7 %."""
    (case,) = fixture("stationary_bootstrap_exact_variance")["cases"]
    z = np.array(case["input"]["z"])
    off = (z - z.mean())[:, None]
    assert float(bootstrap._omega(off, 1 / case["input"]["p"])[0] ** 2) == pytest.approx(case["expected"], abs=1e-9)
    means = kk.inference.block_counts(len(z), 40_000, length=1 / case["input"]["p"]) @ z / len(z)
    assert len(z) * np.var(means) == pytest.approx(case["expected"], abs=case["tol"])
