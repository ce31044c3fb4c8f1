"""False discoveries, plateaus of parameters, what is left out of sample, features that stay (B10-B14)."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import scipy.stats
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.inference import stability

i = kk.inference
DRAW = np.random.default_rng(5)
X = xr.DataArray(DRAW.standard_t(5, (3, 120)) * 0.03 + 0.01, dims=("trial", "time"))
SKILL: dict[str, Any] = dict(alternative=1.5, prior=0.2, periods=12)


def test_b10__power_is_the_share_of_worlds_that_are_found() -> None:
    """20,000 normal series of 60 samples, an annual Sharpe ratio of 1; standard error 0.4 %."""
    worlds = xr.DataArray(np.random.default_rng(3).normal(12**-0.5, 1.0, (20_000, 60)), dims=("run", "time"))
    psr = i.probabilistic_sharpe_ratio(worlds, convention="2025", periods=12)
    said = float(i.sharpe_power(worlds, alternative=1.0, periods=12).mean())
    assert float((psr > 0.95).mean()) == pytest.approx(said, abs=0.015)


def test_b10__the_level_is_the_power_where_there_is_nothing_to_find() -> None:
    np.testing.assert_allclose(i.sharpe_power(X, alternative=0.0, level=0.9, periods=12), 0.1)
    power = [i.sharpe_power(X, alternative=a, periods=12).values for a in (0.5, 1.0, 2.0)]
    assert (np.diff(power, axis=0) > 0.0).all()


def test_b10__the_critical_ratio_has_the_rate_it_is_asked_for() -> None:
    found = i.critical_sharpe_ratio(X, rate=0.1, **SKILL)
    share = 0.8 * found["alpha"] / (0.8 * found["alpha"] + 0.2 * found["power"])
    np.testing.assert_allclose(share, 0.1, rtol=1e-9)
    level = 1.0 - float(found["alpha"][0])
    planned = i.false_discovery_rate(X[0], kind="planned", level=level, **SKILL)
    assert float(planned) == pytest.approx(0.1, rel=1e-6)
    psr = i.probabilistic_sharpe_ratio(X, convention="2025", periods=12)
    other = i.probabilistic_sharpe_ratio(X, benchmark_sharpe=1.5, convention="2025", periods=12)
    observed = i.false_discovery_rate(X, **SKILL)
    np.testing.assert_allclose(observed, 0.8 * (1 - psr) / (0.8 * (1 - psr) + 0.2 * (1 - other)))
    assert bool(i.critical_sharpe_ratio(X, rate=0.85, **SKILL).to_array().isnull().all())


def slow_plateau(x: np.ndarray, radius: int, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Cell by cell; a flood from the best."""
    smoothed, worst, stable = (np.full(x.shape, np.nan) for _ in range(3))
    for cell in np.ndindex(x.shape):
        box = tuple(slice(max(k - radius, 0), k + radius + 1) for k in cell)
        if np.isnan(x[cell]):
            continue
        smoothed[cell], worst[cell] = np.nanmean(x[box]), np.nanmin(x[box])
        around = np.sum(~np.isnan(x[box])) - 1
        if around and x[cell] > 0.0:
            stable[cell] = (np.nansum(x[box]) - x[cell]) / around / x[cell]
    best = np.unravel_index(np.nanargmax(x), x.shape)
    joined, edge = {best}, [best]
    while edge:
        cell = edge.pop()
        for axis, step in product(range(x.ndim), (-1, 1)):
            at = tuple(k + step * (a == axis) for a, k in enumerate(cell))
            inside = all(0 <= k < s for k, s in zip(at, x.shape, strict=True))
            if inside and at not in joined and x[at] >= share * x[best]:
                joined.add(at)
                edge.append(at)
    return smoothed, worst, stable, len(joined) / int(np.sum(~np.isnan(x)))


@pytest.mark.parametrize(("shape", "radius"), [((7,), 1), ((6, 5), 1), ((6, 5), 2), ((4, 5, 3), 1)])
def test_b11__a_plateau_is_the_slow_text(shape: tuple[int, ...], radius: int) -> None:
    x = np.random.default_rng(2).normal(0.5, 0.4, shape)
    x.flat[[1, 4]] = np.nan
    dims = ["fast", "slow", "stop"][: x.ndim]
    found = i.parameter_plateau(xr.DataArray(x, dims=dims), over=dims, radius=radius, share=0.5)
    smoothed, worst, stable, plateau = slow_plateau(x, radius, 0.5)
    np.testing.assert_allclose(found["smoothed"], smoothed)
    np.testing.assert_allclose(found["worst"], worst)
    np.testing.assert_allclose(found["stability"], stable)
    assert float(found["plateau"]) == pytest.approx(plateau)
    assert float(found["best_stability"]) == pytest.approx(float(stable.flat[np.nanargmax(x)]))


def test_b11__a_peak_is_told_from_a_plateau_and_other_dims_stay() -> None:
    fast, slow = np.meshgrid(np.arange(9.0), np.arange(9.0))
    hill = 1.0 / (1.0 + 0.02 * ((fast - 4) ** 2 + (slow - 4) ** 2))
    peak = np.where((fast == 4) & (slow == 4), 1.0, 0.2)
    both = xr.DataArray(np.stack([hill, peak]), dims=("fold", "fast", "slow"))
    found = i.parameter_plateau(both, over=("fast", "slow"))
    assert found["plateau"].dims == ("fold",)
    assert float(found["plateau"][0]) > 10 * float(found["plateau"][1])
    assert float(found["best_stability"][0]) > 0.9
    assert float(found["best_stability"][1]) == pytest.approx(0.2)
    losing = i.parameter_plateau(-both, over=("fast", "slow"))
    assert bool(losing["plateau"].isnull().all())
    nothing = i.parameter_plateau(xr.full_like(both, np.nan), over=("fast", "slow"))
    assert not bool(nothing["region"].any())
    assert bool(nothing.drop_vars("region").to_array().isnull().all())


def test_b13__what_is_left_out_of_sample() -> None:
    inside = xr.DataArray(DRAW.normal(1.0, 0.6, (2, 15)), dims=("trial", "fold"))
    outside = 0.4 * inside + DRAW.normal(0.0, 0.3, (2, 15))
    inside[0, 3], outside[1, 5] = np.nan, np.nan
    found = i.out_of_sample(inside, outside, level=0.8)
    for k in range(2):
        known = ~np.isnan(inside[k].values + outside[k].values)
        a, b = inside[k].values[known], outside[k].values[known]
        ratio = (b / a)[a > 0.0]
        wanted = {
            "median": np.median(ratio),
            "low": np.quantile(ratio, 0.1),
            "high": np.quantile(ratio, 0.9),
            "positive": np.mean(b > 0.0),
            "decay": 1.0 - b.mean() / a.mean(),
            "rank_correlation": scipy.stats.spearmanr(a, b).statistic,
        }
        wanted["slope"], wanted["intercept"] = np.polyfit(a, b, 1)
        for name, one in wanted.items():
            assert float(found[name][k]) == pytest.approx(one), name
        np.testing.assert_allclose(found["efficiency"][k].dropna("fold"), ratio)
    none = i.out_of_sample(inside * np.nan, outside)
    assert bool(none.to_array().isnull().all())


def test_b13__a_walk_forward_says_the_same() -> None:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 1600))

    @kk.strategy
    def trend(ctx: Any, n: int = 50) -> None:
        ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

    walk = kk.walk_forward(bars, trend, grid=dict(n=[20, 50]), train="2Y", test="1Y")
    found = i.out_of_sample(walk["is_sharpe_ratio"], walk["oos_sharpe_ratio"])
    np.testing.assert_allclose(found["efficiency"], walk["efficiency"])


def test_b14__rank_correlation_is_the_mean_of_all_pairs() -> None:
    x = DRAW.random((4, 7))
    found = i.importance_stability(xr.DataArray(x, dims=("fold", "feature")), top=3)
    pairs = [scipy.stats.spearmanr(a, b).statistic for a, b in combinations(x, 2)]
    assert float(found["rank_correlation"]) == pytest.approx(np.mean(pairs))


def test_b14__selection_is_1_if_always_the_same_and_0_by_chance() -> None:
    same = xr.DataArray(np.tile(np.arange(8.0), (5, 1)), dims=("fold", "feature"))
    found = i.importance_stability(same, top=3)
    assert [float(found[k]) for k in ("rank_correlation", "selection", "low", "high")] == pytest.approx([1.0] * 4)
    luck = xr.DataArray(DRAW.random((400, 12, 20)), dims=("run", "fold", "feature"))
    found = i.importance_stability(luck, top=5)
    assert float(found["selection"].mean()) == pytest.approx(0.0, abs=0.01)
    inside = (found["low"] <= 0.0) & (found["high"] >= 0.0)
    assert float(inside.mean()) > 0.88


def test_b14__equals_have_the_middle_of_their_ranks() -> None:
    """Features that no fold has used are none that all folds choose, wherever they stand."""
    x = np.zeros((3, 8))
    x[0, 5], x[1, 6], x[2, 7] = 1.0, 1.0, 1.0
    for order in (slice(None), slice(None, None, -1)):
        found = i.importance_stability(xr.DataArray(x[:, order], dims=("fold", "feature")), top=3)
        picked = (x[:, order] > 0.0).astype("f8")
        assert float(found["selection"]) == pytest.approx(stability.selection_stability(picked)[0])
    x = np.round(3.0 * DRAW.random((5, 9)))
    above = (x[:, None, :] > x[:, :, None]).sum(axis=2)
    equal = (x[:, None, :] == x[:, :, None]).sum(axis=2)
    picked = (above + (equal + 1.0) / 2.0 <= 4.0).astype("f8")
    found = i.importance_stability(xr.DataArray(x, dims=("fold", "feature")), top=4)
    assert float(found["selection"]) == pytest.approx(stability.selection_stability(picked)[0])
    same = xr.DataArray(np.ones((3, 4)), dims=("fold", "feature"))
    assert np.isnan(float(i.importance_stability(same, top=1)["selection"]))


def test_b14__the_error_is_that_of_the_folds() -> None:
    """Nogueira's variance against the scatter over 3,000 worlds in which features are chosen with unequal chances."""
    draw = np.random.default_rng(4)
    chance = np.linspace(0.05, 0.95, 12)
    found = np.array(
        [stability.selection_stability((draw.random((60, 12)) < chance).astype("f8")) for _ in range(3000)]
    )
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.08)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: i.false_discovery_rate(X, alternative=1.0, prior=1.0, periods=12), UsageError, "prior: found 1.0"),
        (lambda: i.critical_sharpe_ratio(X, **SKILL, rate=0.0), UsageError, "rate: found 0.0"),
        (lambda: i.false_discovery_rate(X, **SKILL, kind="both"), UsageError, "kind: found 'both'"),
        (lambda: i.parameter_plateau(X, over=("trial",), radius=0), UsageError, "radius: found 0"),
        (lambda: i.parameter_plateau(X, over=("trial",), share=1.5), UsageError, "share: found 1.5"),
        (lambda: i.parameter_plateau(X, over=()), UsageError, "over: found no dims"),
        (lambda: i.parameter_plateau(X, over=("n",)), DataError, "wanted DataArrays along 'n'"),
        (lambda: i.out_of_sample(X, X), DataError, "wanted DataArrays along 'fold'"),
        (
            lambda: i.out_of_sample(X.assign_coords(trial=[1, 2, 3]), X.assign_coords(trial=[1, 2, 4]), over="trial"),
            DataError,
            "found labels that differ",
        ),
        (
            lambda: i.importance_stability(X, top=120, over="time", folds="trial"),
            DataError,
            "found 3 folds, 120 features, top=120",
        ),
        (lambda: i.importance_stability(X, top=0, over="time", folds="trial"), UsageError, "top: found 0"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
