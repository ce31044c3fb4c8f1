"""Models of paths (G3-G7, G9-G11): moments that they have by their formulas, and the same paths whoever asks."""

from __future__ import annotations

import re
from math import factorial
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.inference.draws import block_indices
from kernelkit.paths import simulation
from kernelkit.paths.copula import definite, kendall, likely_df
from kernelkit.paths.jumps import log_density
from kernelkit.paths.model import Draws, Model
from kernelkit.paths.sobol import bridge
from kernelkit.schema import check_bars

p = kk.paths
GBM = p.GBM(0.08, 0.25)
GARCH = p.GARCH(mean=2e-4, omega=2e-6, alpha=0.03, beta=0.9, gamma=0.08, df=6.0)
MERTON = p.Merton(0.05, 0.15, intensity=20.0, jump_mean=-0.02, jump_deviation=0.03)
KOU = p.Kou(0.05, 0.16, intensity=25.0, up=0.4, up_rate=60.0, down_rate=40.0)
HESTON = p.Heston(0.05, 0.04, reversion=3.0, mean_variance=0.05, vol_of_variance=0.6, correlation=-0.7)
COPULA = p.Copula({"A": GBM, "B": GARCH}, correlation=[[1.0, 0.6], [0.6, 1.0]], df=4.0)
IID = p.IID(p.SkewT(5e-4, 0.007, df=4.0, skew=-0.1))
MODELS = [GBM, GARCH, MERTON, KOU, HESTON, COPULA, IID]
ids = [type(m).__name__ for m in MODELS]


@pytest.fixture(scope="module")
def history() -> Any:
    return kk.data.load("sp500_index").isel(time=slice(0, 1500))


@pytest.mark.parametrize("model", MODELS, ids=ids)
@pytest.mark.parametrize("antithetic", [False, True])
def test_g7__reduced_paths_are_those_of_their_returns(model: Model, antithetic: bool) -> None:
    found = p.simulate(model, paths=6, steps=71, seed=9, draws="antithetic" if antithetic else "independent")
    for path in (0, 1, 4, 5):
        walk = np.cumsum(model.returns(Draws(9, path, 1, antithetic), 71), axis=0)
        walk = np.concatenate([np.zeros((1, len(model.assets))), walk])
        one = found.sel(path=path)
        np.testing.assert_allclose(one["terminal"].values.ravel(), np.exp(walk[-1]), rtol=1e-12)
        np.testing.assert_allclose(one["lowest"].values.ravel(), np.exp(walk.min(axis=0)), rtol=1e-12)
        fall = (np.maximum.accumulate(walk, axis=0) - walk).max(axis=0)
        np.testing.assert_allclose(one["max_drawdown"].values.ravel(), 1 - np.exp(-fall), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("model", MODELS, ids=ids)
def test_paths__do_not_depend_on_how_many_are_made_together(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = p.simulate(model, paths=50, steps=130, seed=4)
    monkeypatch.setattr(simulation, "BATCH", 7)
    monkeypatch.setattr("kernelkit.paths.walk.STEPS", 12)
    monkeypatch.setattr("kernelkit.paths.walk.CELLS", 1)
    pieces = p.simulate(model, paths=50, steps=130, seed=4)
    assert whole.equals(pieces)
    assert p.simulate(model, paths=20, steps=130, seed=4).equals(whole.isel(path=slice(0, 20)))
    assert not p.simulate(model, paths=50, steps=130, seed=5)["terminal"].equals(whole["terminal"])


@pytest.mark.parametrize("draws", ["independent", "antithetic", "sobol"])
def test_g3__gbm_has_its_moments(draws: Any) -> None:
    n = 2**14
    found = p.simulate(GBM, paths=n, steps=63, seed=2, draws=draws)
    logs = np.log(found["terminal"].values)
    assert logs.mean() == pytest.approx((0.08 - 0.25**2 / 2) / 4, abs=4 * 0.125 / n**0.5)
    assert logs.std() == pytest.approx(0.125, rel=4 / (2 * n) ** 0.5)
    assert scipy.stats.kstest((logs - logs.mean()) / logs.std(), "norm").pvalue > 1e-3


def price(draws: Any, seed: int) -> float:
    found = p.simulate(GBM, paths=1024, steps=60, seed=seed, draws=draws)
    return float(np.maximum(found["terminal"].values - 1.0, 0.0).mean())


def test_g9__variance_reduction_reduces_variance() -> None:
    spread = {d: np.std([price(d, seed) for seed in range(24)]) for d in ("independent", "antithetic", "sobol")}
    assert spread["antithetic"] < 0.8 * spread["independent"]
    assert spread["sobol"] < 0.2 * spread["independent"]


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 100])
def test_g9__a_bridge_is_a_brownian_motion(n: int) -> None:
    walk = bridge(np.eye(n))
    np.testing.assert_allclose(walk @ walk.T, np.minimum.outer(np.arange(1, n + 1), np.arange(1, n + 1)), atol=1e-9)
    np.testing.assert_allclose(walk[-1, 0], n**0.5)


def test_g9__sobol_points_are_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = p.simulate(GBM, paths=256, steps=10, seed=1, draws="sobol")
    monkeypatch.setattr(simulation, "CELLS", 300)
    pieces = p.simulate(GBM, paths=256, steps=10, seed=1, draws="sobol")
    np.testing.assert_allclose(whole["terminal"], pieces["terminal"], rtol=1e-14)


def test_g4__garch_is_its_recursion() -> None:
    x = GARCH.returns(Draws(3, 8, 1), 400).ravel()
    z = np.empty((400, 1))
    Draws(3, 8, 1).students(0, 0, z, 6.0)
    h = GARCH.stationary
    for t in range(400):
        e = h**0.5 * z[t, 0]
        assert x[t] == pytest.approx(2e-4 + e, rel=1e-12)
        h = 2e-6 + (0.03 + 0.08 * (e < 0)) * e**2 + 0.9 * h


def test_g4__garch_of_long_paths_has_its_stationary_variance() -> None:
    calm = p.GARCH(mean=0.0, omega=2e-5, alpha=0.05, beta=0.7)
    x = calm.returns(Draws(1, 0, 200), 4000)
    each = x.var(axis=0)
    assert each.mean() == pytest.approx(calm.stationary, abs=4 * each.std() / 200**0.5)
    start = p.GARCH(mean=0.0, omega=2e-5, alpha=0.05, beta=0.7, variance=1e-8)
    assert np.abs(start.returns(Draws(1, 0, 50), 4)[0]).max() < 1e-3


def test_g4__fit_finds_what_was_simulated() -> None:
    bars = GARCH.bars(6000, path=1, seed=8)
    found = p.GARCH.fit(bars)
    assert found.persistence == pytest.approx(GARCH.persistence, abs=0.03)
    assert found.gamma == pytest.approx(0.08, abs=0.05)
    assert found.df == pytest.approx(6.0, abs=1.5)
    assert found.stationary == pytest.approx(GARCH.stationary, rel=0.3)
    plain = p.GARCH.fit(bars, asymmetric=False, innovations="normal", presample="weighted")
    assert (plain.gamma, plain.df) == (0.0, None)


def test_g4__fit_is_most_likely_given_the_sample_s_variance(history: Any) -> None:
    """As Fiorentini, Calzolari and Panattoni (1996) begin: arch's own beginning has another maximum."""
    x = np.diff(np.log(history["close"].values[:, 0])) * 100

    def loss(q: np.ndarray) -> float:
        mean, omega, alpha, beta = q
        e = x - mean
        h = squared = float(np.mean(e * e))
        total = 0.0
        for one in e.tolist():
            h = omega + alpha * squared + beta * h
            squared = one * one
            total += np.log(h) + squared / h
        return 0.5 * total

    found = p.GARCH.fit(history, asymmetric=False, innovations="normal")
    best = np.array([100 * found.mean, 1e4 * found.omega, found.alpha, found.beta])
    polished = scipy.optimize.minimize(loss, best, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9})
    np.testing.assert_allclose(best, polished.x, rtol=2e-3)
    other = p.GARCH.fit(history, asymmetric=False, innovations="normal", presample="weighted")
    assert loss(best) < loss(np.array([100 * other.mean, 1e4 * other.omega, other.alpha, other.beta])) - 1e-4


def jump_moments(model: Any) -> tuple[float, float, float]:
    """Mean, variance and fourth cumulant of a step's log return."""
    rate = model.intensity / 252
    if isinstance(model, p.Merton):
        m, s = model.jump_mean, model.jump_deviation
        raw = (m, m**2 + s**2, m**4 + 6 * m**2 * s**2 + 3 * s**4)
    else:
        up, down = (model.up, model.up_rate), (1 - model.up, -model.down_rate)
        raw = tuple(factorial(k) * sum(share / size**k for share, size in (up, down)) for k in (1, 2, 4))
    return model.mean + rate * raw[0], model.deviation**2 + rate * raw[1], rate * raw[2]


@pytest.mark.parametrize("model", [MERTON, KOU], ids=["Merton", "Kou"])
def test_g5__jumps_have_their_cumulants(model: Any) -> None:
    x = model.returns(Draws(6, 0, 500), 4000).ravel()
    mean, variance, fourth = jump_moments(model)
    n, off = len(x), x - mean
    assert abs(off.mean()) < 4 * (variance / n) ** 0.5
    assert abs((off**2).mean() - variance) < 4 * (off**2).std() / n**0.5
    assert abs((off**4).mean() - 3 * variance**2 - fourth) < 4 * (off**4).std() / n**0.5
    assert abs(np.exp(x).mean() - np.exp(0.05 / 252)) < 4 * np.exp(x).std() / n**0.5


@pytest.mark.parametrize("model", [MERTON, KOU], ids=["Merton", "Kou"])
def test_g5__density_is_that_of_the_paths(model: Any) -> None:
    x = np.sort(model.returns(Draws(6, 0, 100), 1000).ravel())
    grid = np.linspace(x[0] - 0.01, x[-1] + 0.01, 4001)
    density = np.exp(log_density(model, grid))
    below = np.cumsum(density) * (grid[1] - grid[0])
    assert below[-1] == pytest.approx(1.0, abs=1e-3)
    share = np.searchsorted(x, grid) / len(x)
    assert np.abs(below - share).max() < 2.0 / len(x) ** 0.5


@pytest.mark.parametrize("model", [MERTON, KOU], ids=["Merton", "Kou"])
def test_g5__fit_is_likelier_than_what_was_simulated(model: Any) -> None:
    bars = model.bars(4000, path=2, seed=3)
    x = np.diff(np.log(bars["close"].values[:, 0]))
    found = type(model).fit(bars)
    assert log_density(found, x).mean() > log_density(model, x).mean() - 1e-4
    assert found.volatility == pytest.approx(model.volatility, rel=0.1)


def test_g6__heston_has_its_moments() -> None:
    found = p.simulate(HESTON, paths=40_000, steps=252, seed=1)
    s = found["terminal"].values
    assert s.mean() == pytest.approx(np.exp(0.05), abs=4 * s.std() / 200)
    e = (1 - np.exp(-3.0)) / 3.0
    variance = 0.05 + (0.04 - 0.05) * e  # the mean of v over the year
    logs = np.log(s)
    assert logs.mean() == pytest.approx(0.05 - variance / 2, abs=4 * logs.std() / 200)
    assert scipy.stats.skew(logs) < -0.5


@pytest.mark.parametrize("correlation", [-0.9, 0.0, 0.9])
def test_g6__heston_is_a_martingale_where_variance_is_rough(correlation: float) -> None:
    rough = p.Heston(0.0, 0.04, 0.5, 0.04, 1.0, correlation, periods=52)
    s = p.simulate(rough, paths=100_000, steps=104, seed=2)["terminal"].values
    assert s.mean() == pytest.approx(1.0, abs=4 * s.std() / len(s) ** 0.5)


def test_g6__fit_is_of_the_right_size() -> None:
    found = p.Heston.fit(HESTON.bars(40_000, seed=5))
    assert found.mean_variance == pytest.approx(0.05, rel=0.15)
    assert 1.0 < found.reversion < 9.0
    assert found.correlation < -0.3


@pytest.mark.parametrize("scheme", ["stationary", "circular", "moving", "iid"])
@pytest.mark.parametrize("steps", [37, 3000])
def test_g10__blocks_are_those_of_i5(history: Any, scheme: Any, steps: int) -> None:
    model = p.Bootstrap.fit(history, length=1 if scheme == "iid" else 13, scheme=scheme)
    found = p.simulate(model, paths=40, steps=steps, seed=6)
    n = model.history.shape[1]
    at = block_indices(n, np.arange(40), length=model.length, scheme=scheme, seed=6, places=steps)
    walk = np.concatenate([np.zeros((40, 1)), np.cumsum(model.history[3, :, 0][at], axis=1)], axis=1)
    np.testing.assert_allclose(found["terminal"], np.exp(walk[:, -1]), rtol=1e-11)
    np.testing.assert_allclose(found["lowest"], np.exp(walk.min(axis=1)), rtol=1e-11)
    fall = (np.maximum.accumulate(walk, axis=1) - walk).max(axis=1)
    np.testing.assert_allclose(found["max_drawdown"], 1 - np.exp(-fall), rtol=1e-9)
    assert p.simulate(model, paths=7, steps=steps, seed=6).equals(found.isel(path=slice(0, 7)))


def test_g10__assets_are_drawn_together(history: Any) -> None:
    other = history.copy(deep=True)
    for name in ("open", "high", "low", "close"):
        other[name].values[:] = history[name].values[::-1]
    other["high"].values[:] = np.maximum(other["high"], other["open"]).values
    other["low"].values[:] = np.minimum(other["low"], other["open"]).values
    both = xr.concat([history, other.assign_coords(asset=["b"], asset_id=("asset", ["b"]))], "asset", data_vars="all")
    both["valid"].values[50, 1] = False
    for name in ("open", "high", "low", "close", "volume"):
        both[name].values[50, 1] = np.nan
    both.attrs = history.attrs
    model = p.Bootstrap.fit(both, length=9)
    assert model.assets == tuple(both["asset"].values)
    there = both["valid"].values.all(axis=1)
    pairs = np.diff(np.log(both["close"].values[there]), axis=0)
    np.testing.assert_array_equal(model.history[3], pairs)
    bars = model.bars(300, path=5, seed=2, like=both)
    draws = p.model.Draws(2, 5, 1)
    found = model.returns(draws, 300)
    assert {tuple(pair) for pair in found.tolist()} <= {tuple(pair) for pair in pairs.tolist()}
    np.testing.assert_allclose(np.diff(np.log(bars["close"].values), axis=0), found[1:], atol=2e-6)
    many = p.simulate(model, paths=6, steps=300, seed=2)
    np.testing.assert_allclose(many["terminal"].sel(path=5), np.exp(found.sum(axis=0)), rtol=1e-11)


@pytest.fixture(scope="module")
def two(history: Any) -> Any:
    """Bars of two assets, the second of which moves with the first."""
    other = history.copy(deep=True)
    for name in ("open", "high", "low", "close"):
        other[name].values[:] = np.round(history[name].values ** 1.5 * 2**20 / 40) / 2**20
    both = xr.concat([history, other.assign_coords(asset=["b"], asset_id=("asset", ["b"]))], "asset", data_vars="all")
    both.attrs = history.attrs
    return both


@pytest.mark.parametrize("scheme", ["iid", "circular"])
def test_g17__paths_are_filtered_from_innovations_of_bars(two: Any, scheme: Any) -> None:
    length = 1 if scheme == "iid" else 7
    model = p.FilteredBootstrap.fit(two, length=length, scheme=scheme)
    x = np.diff(np.log(two["close"].values), axis=0)
    at = block_indices(len(x), np.array([5]), length=length, scheme=scheme, seed=2, places=300)[0]
    found = model.returns(Draws(2, 5, 1), 300)
    for a in range(2):
        g = p.GARCH.fit(two.isel(asset=[a]), innovations="normal")
        e, h = x[:, a] - g.mean, np.empty(len(x))
        before = float(np.mean(e**2))
        now = g.omega + g.persistence * before
        for t in range(len(x)):
            h[t] = now
            now = g.omega + (g.alpha + g.gamma * (e[t] < 0)) * e[t] ** 2 + g.beta * now
        z = e / np.sqrt(h)
        z = (z - z.mean()) / z.std()
        now, slow = g.stationary, []
        for k in at:
            move = now**0.5 * z[k]
            slow.append(g.mean + move)
            now = g.omega + (g.alpha + g.gamma * (move < 0)) * move**2 + g.beta * now
        np.testing.assert_allclose(found[:, a], slow, rtol=1e-9, atol=1e-13)
        last = p.FilteredBootstrap.fit(two, begin="last").margins[a].variance
        np.testing.assert_allclose(last, h_after(g, e, h), rtol=1e-12)
    many = p.simulate(model, paths=6, steps=301, seed=2)
    np.testing.assert_allclose(
        many["terminal"].sel(path=5), np.exp(model.returns(Draws(2, 5, 1), 301).sum(axis=0)), rtol=1e-11
    )
    bars = model.bars(300, path=5, seed=2, like=two)
    check_bars(bars)
    np.testing.assert_allclose(np.diff(np.log(bars["close"].values), axis=0), found[1:], atol=2e-6)


def h_after(g: Any, e: np.ndarray, h: np.ndarray) -> float:
    return float(g.omega + (g.alpha + g.gamma * (e[-1] < 0)) * e[-1] ** 2 + g.beta * h[-1])


def test_g17__pieces_of_paths_are_the_same(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = p.FilteredBootstrap.fit(two)
    whole = p.simulate(model, paths=30, steps=50, seed=2)
    monkeypatch.setattr("kernelkit.paths.filtered.CELLS", 700)
    assert p.simulate(model, paths=30, steps=50, seed=2).equals(whole)


def test_g17__volatility_comes_in_clusters_without_blocks(history: Any) -> None:
    plain, filtered = p.Bootstrap.fit(history, length=1, scheme="iid"), p.FilteredBootstrap.fit(history)
    size = [np.abs(m.returns(Draws(1, 0, 20), 2000)) for m in (plain, filtered)]
    remembered = [np.mean([np.corrcoef(x[5:, k], x[:-5, k])[0, 1] for k in range(20)]) for x in size]
    assert abs(remembered[0]) < 0.02
    assert remembered[1] > 0.1


def test_g10__length_is_that_of_squared_returns(history: Any) -> None:
    x = np.diff(np.log(history["close"].values[:, 0]))
    squared = (x - x.mean()) ** 2
    assert p.Bootstrap.fit(history).length == float(kk.inference.block_length(squared))
    whole = p.Bootstrap.fit(history, scheme="moving").length
    assert whole == np.ceil(float(kk.inference.block_length(squared, scheme="circular")))
    assert p.Bootstrap.fit(history, scheme="iid").length == 1.0


@pytest.mark.parametrize("model", [GARCH, p.GARCH(mean=0.0, omega=2e-6, alpha=0.05, beta=0.9), IID])
def test_g9__sobol_moves_have_the_model_s_law(model: Any) -> None:
    n = 2**12
    found, other = (p.simulate(model, paths=n, steps=16, seed=5, draws=kind) for kind in ("sobol", "independent"))
    both = [np.log(x["terminal"].values) for x in (found, other)]
    assert scipy.stats.ks_2samp(*both).pvalue > 1e-3

    def mean(kind: Any, seed: int) -> float:
        return float(np.log(p.simulate(model, paths=256, steps=16, seed=seed, draws=kind)["terminal"]).mean())

    spread = [np.std([mean(kind, seed) for seed in range(16)]) for kind in ("sobol", "independent")]
    assert spread[0] < 0.5 * spread[1]


@pytest.mark.parametrize("draws", ["antithetic", "sobol"])
def test_g2__bars_of_a_path_take_its_draws(draws: Any) -> None:
    reduced = p.simulate(GARCH, paths=8, steps=40, seed=5, draws=draws)
    together = GARCH.many(40, paths=range(2, 8), seed=5, draws=draws)
    for path in (2, 3, 7):
        one = GARCH.bars(40, path=path, seed=5, draws=draws)
        np.testing.assert_array_equal(one["close"].values[:, 0], together["close"].sel(asset=str(path)).values)
        terminal = float(reduced["terminal"].sel(path=path))
        assert float(one["close"][-1, 0]) / 100.0 == pytest.approx(terminal, rel=1e-8)


def test_g11__margins_are_their_own_models() -> None:
    x = COPULA.returns(Draws(2, 0, 1), 200_000)
    z = (x[:, 0] - GBM.mean) / GBM.deviation
    assert scipy.stats.kstest(z, "norm").pvalue > 1e-3
    own = GARCH.innovations(x[:, 1])
    assert scipy.stats.kstest(own * (6 / 4) ** 0.5, "t", args=(6.0,)).pvalue > 1e-3
    u = np.array([scipy.stats.rankdata(a) / (len(a) + 1) for a in (z, own)])[:, :20_000]
    tau = scipy.stats.kendalltau(*u).statistic
    assert np.sin(np.pi / 2 * tau) == pytest.approx(0.6, abs=0.03)
    assert likely_df(u, kendall(u)) == pytest.approx(4.0, rel=0.15)


def test_g11__a_normal_copula_of_normals_has_the_correlation() -> None:
    same = p.Copula({"A": GBM, "B": GBM}, correlation=[[1.0, -0.4], [-0.4, 1.0]])
    x = same.returns(Draws(2, 0, 1), 100_000)
    assert np.corrcoef(x.T)[0, 1] == pytest.approx(-0.4, abs=0.012)
    assert likely_df(np.array([scipy.stats.rankdata(a) / 20_001 for a in x[:20_000].T]), np.corrcoef(x.T)) is None


def test_g11__fit_of_bars_finds_the_copula() -> None:
    bars = COPULA.bars(4000, seed=1)
    found = p.Copula.fit(bars, margin=p.GBM)
    assert found.correlation[0][1] == pytest.approx(0.6, abs=0.06)
    assert 2.5 < (found.df or np.inf) < 7.0


def test_definite__keeps_a_matrix_that_is_and_mends_one_that_is_not() -> None:
    good = np.array([[1.0, 0.5], [0.5, 1.0]])
    assert definite(good) is good
    bad = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    mended = definite(bad)
    assert np.linalg.eigvalsh(mended)[0] > 0.0
    np.testing.assert_allclose(np.diag(mended), 1.0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: p.GBM(0.0, -0.1), "volatility"),
        (lambda: p.GBM(float("nan"), 0.1), "drift"),
        (lambda: p.GBM(0.0, 0.1, periods=0.0), "periods"),
        (lambda: p.GARCH(0.0, 1e-6, 0.2, 0.9), "variance"),
        (lambda: p.GARCH(0.0, 1e-6, 0.1, 0.8, df=2.0), "df"),
        (lambda: p.GARCH(0.0, 1e-6, 0.1, 0.8, gamma=-0.2), "gamma"),
        (lambda: p.Merton(0.0, 0.1, -1.0, 0.0, 0.1), "intensity"),
        (lambda: p.Kou(0.0, 0.1, 1.0, 0.5, 1.0, 5.0), "up_rate"),
        (lambda: p.Heston(0.0, 0.04, 1.0, 0.04, 0.5, -1.1), "correlation"),
        (lambda: p.Copula({"A": GBM}, [[1.0]]), "margins"),
        (lambda: p.Copula({"A": GBM, "B": GBM}, [[1.0, 2.0], [2.0, 1.0]]), "correlation"),
        (lambda: p.Copula({"A": GBM, "B": p.GBM(0.0, 0.1, periods=12)}, [[1.0, 0.0], [0.0, 1.0]]), "margins"),
        (lambda: p.simulate(GBM, paths=0, steps=5), "paths"),
        (lambda: p.simulate(GBM, paths=5, steps=5, seed=-1), "seed"),
        (lambda: p.simulate(GBM, paths=5, steps=2.5), "steps"),  # type: ignore[arg-type]
        (lambda: p.simulate(GBM, paths=5, steps=5, draws="sobel"), "draws"),  # type: ignore[arg-type]
        (lambda: p.simulate(MERTON, paths=5, steps=5, draws="sobol"), "sobol"),
        (lambda: p.simulate(GBM, paths=5, steps=30_000, draws="sobol"), "sobol"),
    ],
)
def test_errors__name_the_field(make: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()


def _refusal(model: Any, bars: Any) -> str | None:
    try:
        model.fit(bars)
    except DataError as error:
        return str(error)
    return None


def test_errors__a_variance_without_a_mean_names_who_asked_and_a_way_out() -> None:
    """Of an explosive model, whose volatility has no level; how far the optimiser gets differs by processor."""
    made = p.GARCH(mean=0.0, omega=1e-9, alpha=0.25, beta=0.78, variance=1e-4)
    for model in (p.GARCH, p.FilteredBootstrap):
        says = rf"^{model.__name__}.fit: found (a persistence|no maximum).*longer span.*kk.paths.Bootstrap or IID"
        refused = 0
        for seed in range(8):
            told = _refusal(model, made.bars(2000, seed=seed))
            refused += told is not None
            assert told is None or re.search(says, told)
        assert refused >= 3


def test_errors__fits_say_what_they_need(history: Any) -> None:
    with pytest.raises(DataError, match="101"):
        p.GBM.fit(history.isel(time=slice(0, 100)))
    with pytest.raises(UsageError, match="2 assets"):
        p.GBM.fit(COPULA.bars(200))
    with pytest.raises(DataError, match="never changes"):
        p.GBM.fit(p.GBM(0.0, 0.0).bars(200))
    for model in (p.Bootstrap.fit(history), p.FilteredBootstrap.fit(history)):
        with pytest.raises(UsageError, match="antithetic"):
            p.simulate(model, paths=3, steps=3, draws="antithetic")
        with pytest.raises(UsageError, match="antithetic"):
            model.bars(30, draws="antithetic")
    with pytest.raises(UsageError, match="begin"):
        p.FilteredBootstrap.fit(history, begin="first")  # type: ignore[arg-type]
