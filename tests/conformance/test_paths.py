"""Options priced on our paths, and copulas, against published numbers: within four standard errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats

import kernelkit as kk
from kernelkit.paths.copula import kendall, likely_df
from kernelkit.paths.model import Draws

p = kk.paths
PATHS = 200_000


def prices(
    model: Any, case: Any, steps: int, kind: Any = "independent", paths: int = PATHS
) -> dict[str, tuple[float, float]]:
    """Discounted call, put and forward with their standard errors, as if paths were independent."""
    i = case["input"]
    s = i["S"] * p.simulate(model, paths=paths, steps=steps, seed=20, draws=kind)["terminal"].values
    left = np.exp(-i["r"] * i["T"])
    pays = {"call": np.maximum(s - i["K"], 0.0), "put": np.maximum(i["K"] - s, 0.0), "forward": s}
    return {k: (left * float(x.mean()), left * float(x.std()) / paths**0.5) for k, x in pays.items()}


def close(found: tuple[float, float], expected: float) -> bool:
    return abs(found[0] - expected) < 4 * found[1]


@pytest.fixture
def options(fixture: Callable[[str], Any]) -> dict[str, Any]:
    return {case["name"]: case for case in fixture("sv_jump_option_benchmarks")["cases"]}


@pytest.mark.oracle("Option prices", covers="G5", cases=2)
@pytest.mark.parametrize("name", ["Merton jump-diffusion S=90 call,put", "Merton jump-diffusion S=110 call,put"])
def test_merton(options: dict[str, Any], name: str) -> None:
    i = options[name]["input"]
    model = p.Merton(i["r"], i["sigma"], i["lam"], i["mu"], i["gamma"], periods=32)
    found = prices(model, options[name], 8)
    assert close(found["call"], options[name]["expected"][0])
    assert close(found["put"], options[name]["expected"][1])
    assert close(found["forward"], i["S"])


@pytest.mark.oracle("Option prices", covers="G5")
def test_kou(options: dict[str, Any]) -> None:
    case = options["Kou double exponential call"]
    i = case["input"]
    found = prices(p.Kou(i["r"], i["sigma"], i["lam"], i["p"], i["eta1"], i["eta2"], periods=32), case, 16)
    assert close(found["call"], case["expected"])
    assert close(found["forward"], i["S"])


@pytest.mark.oracle("Option prices", covers="G6")
@pytest.mark.parametrize(("name", "periods"), [("Heston call T=1", 252), ("Heston call T=10", 26)])
def test_heston(options: dict[str, Any], name: str, periods: int) -> None:
    i = options[name]["input"]
    parameters = (i["v0"], i["kappa"], i["theta"], i["xi"], i["rho"])
    found = prices(p.Heston(0.0, *parameters, periods=periods), options[name], periods * i["T"])
    assert close(found["call"], options[name]["expected"])
    assert close(found["put"], options[name]["expected"])  # at the money forward both are worth as much
    assert close(found["forward"], i["S"])


@pytest.mark.oracle("Option prices", covers="G3, G9", cases=2)
@pytest.mark.parametrize("kind", ["antithetic", "sobol"])
def test_black_and_scholes(kind: Any) -> None:
    case = {"input": {"S": 100.0, "K": 95.0, "r": 0.03, "T": 1.0}}
    found = prices(p.GBM(0.03, 0.2), case, 252, kind, paths=2**14)
    d1 = (np.log(100 / 95) + 0.05) / 0.2
    call = 100 * scipy.stats.norm.cdf(d1) - 95 * np.exp(-0.03) * scipy.stats.norm.cdf(d1 - 0.2)
    assert close(found["call"], float(call))
    assert close(found["forward"], 100.0)


def pair(nu: float | None, rho: float, n: int) -> np.ndarray:
    one = p.GBM(0.0, 0.2)
    model = p.Copula({"A": one, "B": one}, correlation=[[1.0, rho], [rho, 1.0]], df=nu)
    return model.returns(Draws(9, 0, 1), n)


@pytest.mark.oracle("Copulas, closed forms", covers="G11", cases=6)
def test_tail_dependence_of_the_t_copula(fixture: Callable[[str], Any]) -> None:
    """At a finite level it is above its limit; of the copula itself both are known, by an integral."""
    asked = [c for c in fixture("copula_closed_forms")["cases"] if c["name"].startswith("t copula")]
    for case in asked:
        nu, rho = case["input"]["nu"], case["input"]["rho"]
        limit = 2 * scipy.stats.t.cdf(-(((nu + 1) * (1 - rho) / (1 + rho)) ** 0.5), nu + 1)
        assert limit == pytest.approx(case["expected"], abs=case["tol"])
        n, level = 500_000, 0.001
        x = pair(nu, rho, n)
        edge = scipy.stats.norm.ppf(level, p.GBM(0.0, 0.2).mean, p.GBM(0.0, 0.2).deviation)
        share = np.mean((x < edge).all(axis=1)) / level
        q = scipy.stats.t.ppf(level, nu)
        exact = joint(q, nu, rho) / level
        assert abs(share - exact) < 4 * (exact / (level * n)) ** 0.5
        assert exact == pytest.approx(limit, abs=0.08)


def joint(q: float, nu: float, rho: float) -> float:
    """The chance that both of a bivariate t are below q: of the second given the first, integrated."""
    x = q - np.geomspace(1e-9, 1e5, 200_001)
    scale = ((nu + x**2) / (nu + 1) * (1 - rho**2)) ** 0.5
    y = scipy.stats.t.pdf(x, nu) * scipy.stats.t.cdf((q - rho * x) / scale, nu + 1)
    return float(-np.trapezoid(y, x))


@pytest.mark.oracle("Copulas, closed forms", covers="G11")
def test_kendalls_tau_of_the_normal_copula(fixture: Callable[[str], Any]) -> None:
    case = next(c for c in fixture("copula_closed_forms")["cases"] if c["name"].startswith("BicopFamily.gaussian"))
    x = pair(None, case["input"]["theta"], 40_000)
    tau = scipy.stats.kendalltau(*x.T).statistic
    assert tau == pytest.approx(case["expected"], abs=4 * 0.0035)
    ranks = np.array([scipy.stats.rankdata(a) / 40_001 for a in x.T])
    assert kendall(ranks)[0, 1] == pytest.approx(case["input"]["theta"], abs=0.02)
    assert likely_df(ranks, kendall(ranks)) is None
