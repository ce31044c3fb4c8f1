"""Laws of returns (G14-G16): against scipy, arch and published tables; fits, and p-values that know of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.paths.law_fits import LAWS, _distances
from kernelkit.paths.laws import Law
from kernelkit.paths.model import Draws
from kernelkit.paths.stable import LEVELS, REACH, ratios

p = kk.paths
X = np.array([-300.0, -41.0, -39.0, -12.0, -3.0, -1.0, -0.2, 0.0, 0.7, 2.0, 8.0, 39.5, 40.5, 100.0])
EACH = [
    p.Normal(0.001, 0.02),
    p.StudentT(0.001, 0.02, df=3.2),
    p.SkewT(0.001, 0.02, df=4.5, skew=-0.3),
    p.SkewT(-1.0, 3.0, df=1.0, skew=0.9),
    p.Stable(0.001, 0.02, alpha=1.6, beta=-0.3),
    p.Stable(5.0, 2.0, alpha=1.1, beta=0.99),
    p.Stable(0.0, 1.0, alpha=1.999, beta=0.5),
]
ids = [repr(law) for law in EACH]


@pytest.fixture
def nolan(monkeypatch: pytest.MonkeyPatch) -> Any:
    """scipy's stable law in the S0 parametrisation."""
    monkeypatch.setattr(scipy.stats.levy_stable, "parameterization", "S0")
    return scipy.stats.levy_stable


@pytest.mark.oracle("Laws of returns", covers="G14", cases=22)
@pytest.mark.parametrize(("alpha", "beta"), [(1.7, 0.0), (1.7, 0.5), (1.2, -0.4), (1.9, 0.9), (1.1, 0.3), (1.5, 0.99)])
def test_g14__stable_densities_are_scipys(nolan: Any, alpha: float, beta: float) -> None:
    law = p.Stable(0.0, 1.0, alpha, beta)
    np.testing.assert_allclose(np.exp(law.log_density(X)), nolan.pdf(X, alpha, beta), rtol=1e-7, atol=1e-11)
    near = X[np.abs(X) <= 12.0]  # farther out scipy's distribution is 0 or 1 where its density is not yet 0
    np.testing.assert_allclose(law.distribution(near), nolan.cdf(near, alpha, beta), atol=2e-8)


@pytest.mark.oracle("Laws of returns", covers="G14")
@pytest.mark.parametrize(
    ("alpha", "wide"),
    list(
        zip(
            (1.999, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1),
            (2.439, 2.512, 2.608, 2.737, 2.912, 3.148, 3.464, 3.882, 4.447, 5.217),
            strict=True,
        )
    ),
)
def test_g14__stable_quantiles_have_mccullochs_ratios(alpha: float, wide: float) -> None:
    """McCulloch (1986), table III, without skewness; its first row is of 2. He had three digits of densities."""
    found = ratios(p.Stable(0.3, 2.0, alpha, 0.0).quantile(LEVELS))
    assert found[0] == pytest.approx(wide, rel=2e-3)
    assert found[1] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.oracle("Laws of returns", covers="G14", cases=123)
@pytest.mark.parametrize(("df", "skew"), [(2.7, -0.07), (5.0, 0.4), (30.0, -0.8)])
def test_g14__the_skewed_t_is_hansens(df: float, skew: float) -> None:
    """arch has the one of mean 0 and variance 1."""
    from arch.univariate import SkewStudent

    hansen, shape = SkewStudent(), np.array([df, skew])
    c = np.exp(scipy.special.gammaln((df + 1) / 2) - scipy.special.gammaln(df / 2)) / np.sqrt(np.pi * (df - 2))
    a = 4 * skew * c * (df - 2) / (df - 1)
    b = np.sqrt(1 + 3 * skew**2 - a**2)
    law = p.SkewT(-a / b, np.sqrt((df - 2) / df) / b, df, skew)
    x, q = np.linspace(-8.0, 8.0, 41), np.linspace(0.001, 0.999, 41)
    np.testing.assert_allclose(
        law.log_density(x), hansen.loglikelihood(shape, x, np.ones_like(x), individual=True), atol=1e-9
    )
    np.testing.assert_allclose(law.distribution(x), hansen.cdf(x, shape), atol=1e-9)
    np.testing.assert_allclose(law.quantile(q), hansen.ppf(q, shape), atol=1e-7)


@pytest.mark.parametrize("law", EACH, ids=ids)
def test_g14__a_law_agrees_with_itself(law: Law) -> None:
    z = np.linspace(-6.7, 6.7, 301)
    x = law.at_normal(z)
    assert (np.diff(x) > 0.0).all()
    low = z < 0.0
    np.testing.assert_allclose(law.distribution(x[low]), scipy.stats.norm.cdf(z[low]), rtol=2e-5)
    np.testing.assert_allclose(law.survival(x[~low]), scipy.stats.norm.sf(z[~low]), rtol=2e-5)
    np.testing.assert_allclose(law.distribution(x) + law.survival(x), 1.0, atol=1e-8)
    np.testing.assert_allclose(law.mirror().at_normal(-z), -x, rtol=1e-6, atol=1e-8 * law.scale)
    inner = law.quantile(np.linspace(0.02, 0.98, 97))
    h = 1e-4 * law.scale
    slope = (law.distribution(inner + h) - law.distribution(inner - h)) / (2.0 * h)
    np.testing.assert_allclose(np.exp(law.log_density(inner)), slope, rtol=1e-4)


@pytest.mark.parametrize("law", EACH, ids=ids)
def test_g14__numbers_may_have_any_shape(law: Law) -> None:
    x = law.quantile(np.array([[0.01, 0.3], [0.6, 0.9999]]))
    for of in (law.log_density, law.distribution, law.survival):
        whole = of(x)
        assert whole.shape == (2, 2)
        assert float(of(float(x[1, 1]))) == whole[1, 1]  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(st.floats(1.1, 1.999), st.floats(-0.99, 0.99))
def test_g14__stable_laws_have_no_seam(alpha: float, beta: float) -> None:
    """Where the series takes over from the transform nothing jumps, and the whole is 1."""
    law = p.Stable(0.0, 1.0, alpha, beta)
    edge = np.array([-REACH, REACH])
    for off in (-1e-9, 1e-9):
        here, there = np.exp(law.log_density(edge + off)), np.exp(law.log_density(edge - off))
        np.testing.assert_allclose(here, there, rtol=1e-5, atol=1e-12)
        np.testing.assert_allclose(law.distribution(edge + off), law.distribution(edge - off), atol=1e-8)


@pytest.mark.oracle("Laws of returns", covers="G14", cases=2)
def test_g14__fits_are_as_likely_as_scipys() -> None:
    x = scipy.stats.t.rvs(3.5, loc=0.001, scale=0.01, size=2000, random_state=1)
    theirs = scipy.stats.t.fit(x)
    mine = p.StudentT.fit(x)
    assert mine.log_density(x).sum() >= scipy.stats.t.logpdf(x, *theirs).sum() - 1e-6
    np.testing.assert_allclose((mine.df, mine.location, mine.scale), theirs, rtol=1e-3, atol=1e-6)
    normal = p.Normal.fit(x)
    np.testing.assert_allclose((normal.location, normal.scale), scipy.stats.norm.fit(x), rtol=1e-12)


def test_g14__fits_find_what_others_have_drawn(nolan: Any) -> None:
    x = nolan.rvs(1.6, 0.4, loc=0.002, scale=0.01, size=20_000, random_state=3)
    stable = p.Stable.fit(x)
    assert (stable.alpha, stable.beta) == pytest.approx((1.6, 0.4), abs=0.05)
    assert (stable.location, stable.scale) == pytest.approx((0.002, 0.01), abs=4e-4)
    t = np.random.default_rng(5).standard_t(5.0, 20_000)
    skewed = np.where(np.random.default_rng(6).random(20_000) < 0.6, -1.2 * np.abs(t), 0.8 * np.abs(t))
    found = p.SkewT.fit(0.01 * skewed)
    assert (found.df, found.skew) == pytest.approx((5.0, -0.2), abs=0.5)
    assert found.skew == pytest.approx(-0.2, abs=0.03)
    assert p.StudentT.fit(np.random.default_rng(7).normal(size=5000)).df > 50.0


@pytest.mark.parametrize("name", list(LAWS))
def test_g14__a_fit_moves_with_its_samples(name: str) -> None:
    x = np.random.default_rng(2).standard_t(4.0, 800)
    one, other = LAWS[name].fit(x), LAWS[name].fit(7.0 - 0.02 * x)
    np.testing.assert_allclose(other.scale, 0.02 * one.scale, rtol=1e-3)
    np.testing.assert_allclose(other.location, 7.0 - 0.02 * one.location, rtol=1e-4)
    again = LAWS[name].fit(x, start=one)
    assert again.log_density(x).sum() >= one.log_density(x).sum() - 1e-6


@pytest.mark.oracle("Laws of returns", covers="G15", cases=4)
def test_g15__distances_of_fitted_normals_have_lilliefors_and_stephens_tables() -> None:
    """Lilliefors (1967): 0.886 and 1.031 over sqrt(n); Stephens (1986): 0.752 and 1.035 with his factor of n."""
    n, found = 100, []
    for k in range(6000):
        x = np.sort(np.random.default_rng(k).normal(size=n))
        found.append(_distances(p.Normal.fit(x), x))
    ks, ad = np.quantile(np.array(found), [0.95, 0.99], axis=0).T
    np.testing.assert_allclose(ks * n**0.5, [0.886, 1.031], rtol=0.025)
    np.testing.assert_allclose(ad * (1.0 + 0.75 / n + 2.25 / n**2), [0.752, 1.035], rtol=0.06)


@pytest.mark.oracle("Laws of returns", covers="G15", cases=3)
def test_g15__distances_are_scipys() -> None:
    x = np.sort(scipy.stats.t.rvs(3.0, size=150, random_state=2))
    law = p.StudentT.fit(x)
    ks, ad = _distances(law, x)
    frozen = scipy.stats.t(law.df, law.location, law.scale)
    assert ks == pytest.approx(scipy.stats.kstest(x, frozen.cdf).statistic, rel=1e-9)
    place = np.arange(1, 151)
    slow = -150 - np.mean((2 * place - 1) * (frozen.logcdf(x) + frozen.logsf(x[::-1])))
    assert ad == pytest.approx(slow, rel=1e-9)
    normal = p.Normal.fit(x)
    below = scipy.stats.norm(normal.location, normal.scale).cdf
    assert _distances(normal, x)[0] == pytest.approx(scipy.stats.kstest(x, below).statistic, rel=1e-9)


def test_g15__p_values_reject_as_often_as_they_say() -> None:
    """With the usual table, of a law known beforehand, hardly any of these samples is ever rejected."""
    found, usual = [], []
    for k in range(200):
        x = np.random.default_rng(k).normal(size=60)
        one = p.fit_laws(x, ["normal"], replications=19, seed=k)
        found.append((float(one["ks_p_value"][0]), float(one["ad_p_value"][0])))
        usual.append(scipy.stats.kstest(x, "norm", args=(x.mean(), x.std())).pvalue)
    share = np.mean(np.array(found) <= 0.1, axis=0)
    assert (np.abs(share - 0.1) < 4 * (0.09 / 200) ** 0.5).all()
    assert np.mean(np.array(usual) <= 0.1) < 0.02


def test_fit_laws__chooses_by_aic_and_tells_a_law_again() -> None:
    x = np.random.default_rng(6).standard_t(3.0, 3000) * 0.01
    found = p.fit_laws(x, replications=9, seed=4)
    assert found.attrs["best"] == "t"
    free = np.array([2, 3, 4, 4])
    np.testing.assert_allclose(found["aic"], 2 * free - 2 * found["log_likelihood"])
    np.testing.assert_allclose(found["bic"], np.log(3000) * free - 2 * found["log_likelihood"])
    assert found["ks_p_value"].sel(law="normal") == 0.1
    assert found["ad_p_value"].sel(law="t") > 0.1
    law = p.law_of(found)
    assert law == p.StudentT.fit(np.sort(x))
    np.testing.assert_array_equal(found["observed"], np.sort(x))
    np.testing.assert_allclose(found["quantile"].sel(law="t"), law.quantile(found["probability"].values))
    assert np.isnan(found["parameters"].sel(law="t", parameter="alpha"))
    assert p.fit_laws(x, ["t"], replications=9, seed=4)["ad_p_value"][0] == found["ad_p_value"].sel(law="t")
    assert np.isnan(p.fit_laws(x, "t", replications=0)["ks_p_value"][0])


def test_fit_laws__takes_bars_and_returns_with_gaps() -> None:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 600))
    x = np.diff(np.log(bars["close"].values[:, 0]))
    of_bars, of_gaps = p.fit_laws(bars, "t", replications=0), p.fit_laws(np.append(x, np.nan), "t", replications=0)
    assert p.law_of(of_bars) == p.law_of(of_gaps)
    assert of_gaps.attrs["samples"] == 599


@pytest.mark.parametrize("law", [*EACH[:3], EACH[4]], ids=[repr(law) for law in [*EACH[:3], EACH[4]]])
def test_g16__independent_draws_have_the_law(law: Law) -> None:
    model = p.IID(law, limit=1e9)
    x = model.returns(Draws(3, 0, 50), 2000).ravel()
    assert scipy.stats.kstest(law.distribution(x), "uniform").pvalue > 1e-3
    z = np.empty((2000, 50))
    Draws(3, 0, 50).normals(0, 0, z)
    exact = law.at_normal(z.ravel())
    assert (np.abs(x - exact) < 2e-6 * (law.scale + np.abs(exact))).all()
    pair = model.returns(Draws(3, 0, 2, antithetic=True), 400)
    np.testing.assert_allclose(law.distribution(pair[:, 0]) + law.distribution(pair[:, 1]), 1.0, atol=2e-5)


def test_g16__no_step_moves_further_than_the_limit() -> None:
    model = p.IID(p.Stable(0.0, 0.02, 1.2, 0.0), limit=0.5)
    x = model.returns(Draws(1, 0, 40), 2000)
    assert (x.min(), x.max()) == (-0.5, 0.5)
    model.many(500, paths=range(20), seed=1)


def test_g16__a_model_is_fitted_to_bars() -> None:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 1500))
    found = p.IID.fit(bars)
    table = p.fit_laws(bars, replications=0)
    assert found.law == p.law_of(table)
    assert found.periods == 252.0
    assert p.IID.fit(bars, "stable").law == p.law_of(table, "stable")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: p.Normal(0.0, 0.0), "scale"),
        (lambda: p.StudentT(float("nan"), 1.0, 4.0), "location"),
        (lambda: p.StudentT(0.0, 1.0, 0.5), "df"),
        (lambda: p.SkewT(0.0, 1.0, 4.0, 1.0), "skew"),
        (lambda: p.Stable(0.0, 1.0, 2.0, 0.0), "alpha"),
        (lambda: p.Stable(0.0, 1.0, 1.5, 1.0), "beta"),
        (lambda: p.IID("t"), "law"),  # type: ignore[arg-type]
        (lambda: p.IID(p.Normal(0.0, 0.01), limit=0.0), "limit"),
        (lambda: p.fit_laws(np.zeros((60, 2))), "along one"),
        (lambda: p.fit_laws(np.arange(60.0), ["cauchy"]), "laws"),
        (lambda: p.fit_laws(np.arange(60.0), []), "laws"),
        (lambda: p.fit_laws(np.arange(60.0), replications=-1), "replications"),
        (lambda: p.law_of(p.fit_laws(np.arange(60.0), "t", replications=0), "normal"), "name"),
        (lambda: p.StudentT.fit(np.ones(60)), "spread"),
        (lambda: p.StudentT(0.0, 0.01, df="x"), "df: found 'x', wanted a finite number"),  # type: ignore[arg-type]
        (lambda: p.fit_laws("x"), "returns: found str"),  # type: ignore[arg-type]
        (lambda: p.fit_laws(["a"] * 100), "returns: found list"),  # type: ignore[arg-type]
        (lambda: p.fit_laws(np.arange(60.0) + 1j), r"returns: found ndarray \(of complex128\), wanted real numbers"),
        (lambda: p.fit_laws(np.arange(60.0), None), "laws: found None"),  # type: ignore[arg-type]
        (lambda: p.fit_laws(np.arange(60.0), 3), "laws: found 3"),  # type: ignore[arg-type]
        (lambda: p.fit_laws(np.arange(60.0), [["a"]]), r"laws: found \[\['a'\]\]"),  # type: ignore[list-item]
        (lambda: p.IID.fit(kk.data.load("aapl"), ["t"]), r"IID.fit: law: found \['t'\]"),  # type: ignore[arg-type]
        (lambda: p.law_of(None), "law_of: found NoneType, wanted what kk.paths.fit_laws"),  # type: ignore[arg-type]
        (lambda: p.law_of(kk.data.load("aapl")), "law_of: found Dataset, wanted what kk.paths.fit_laws returns"),
        (lambda: p.plot_laws(None), "plot_laws: found NoneType"),  # type: ignore[arg-type]
        (lambda: p.simulate(3, paths=9, steps=9), "simulate: model: found 3, wanted a model"),  # type: ignore[arg-type]
        (lambda: p.simulate(p.GBM, paths=9, steps=9), "simulate: model: found <class"),  # type: ignore[arg-type]
    ],
)
def test_errors__name_what_does_not_fit(make: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()


@pytest.mark.parametrize("x", [np.arange(49.0), np.ones(60), np.append(np.arange(60.0), np.inf)])
def test_errors__of_returns_without_a_law(x: np.ndarray) -> None:
    with pytest.raises(DataError, match="fit_laws"):
        p.fit_laws(x)
