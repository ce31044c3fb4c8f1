"""Regimes: no label knows the future, states keep their order, and the models are what other programs say they are."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import DataError, KernelkitError, UsageError
from kernelkit.metrics.changes import best_breaks, criterion, one_break
from kernelkit.study.regimes import jumps, labels, switching

r = kk.regimes
SHORT: dict[str, Any] = {"refit": "4M", "min_train": "6M"}
LABELLERS: dict[str, tuple[Callable[..., xr.Dataset], dict[str, Any]]] = {
    "volatility": (r.volatility, {"span": 20, **SHORT}),
    "volatility, three, rolling": (r.volatility, {"span": 10, "states": 3, "window": "9M", **SHORT}),
    "trend": (r.trend, {"span": 40, "band": 0.02}),
    "momentum": (r.trend, {"span": 30, "method": "momentum"}),
    "hmm": (r.hmm, SHORT),
    "hmm, three, by mean, rolling": (r.hmm, {"states": 3, "order": "mean", "window": "8M", **SHORT}),
    "hmm, estimated once": (r.hmm, {"refit": None, "min_train": "6M"}),
    "jump_model": (r.jump_model, SHORT),
    "jump_model, three, rolling": (r.jump_model, {"states": 3, "penalty": 5.0, "window": "8M", **SHORT}),
    "change_points": (r.change_points, {"min_train": "3M", "shortest": 10}),
    "markov": (r.markov, {"min_train": "12M", "refit": "6M"}),
    "markov, autoregression": (
        r.markov,
        {"lags": 2, "switching_variance": False, "min_train": "14M", "refit": None, "window": "12M"},
    ),
}
SLOW = [name for name in LABELLERS if name.startswith("markov")]


def world(seed: int, n: int = 620, assets: int = 1) -> xr.Dataset:
    """Bars of a market that is calm and restless by turns; assets come later, one after the other, and miss bars."""
    draw = np.random.default_rng(seed)
    frames = {}
    index = pd.date_range("2015-01-05", periods=n)
    for k in range(assets):
        restless = np.cumsum(draw.random(n) < 0.01) % 2
        close = 100.0 * np.exp(np.cumsum(draw.normal(0.001 - 0.002 * restless, 0.006 + 0.014 * restless)))
        frame = pd.DataFrame({"open": close, "high": close, "low": close, "close": close, "volume": 1e5}, index)
        frames[f"A{k}"] = frame[(np.arange(n) >= 60 * k) & ~((draw.random(n) < 0.05) & (k > 0))]
    if assets == 1:
        bars: xr.Dataset = kk.data.from_pandas(frames["A0"], label="open", bar="1D", calendar="24/7")
    else:
        bars = kk.data.from_pandas(frames, label="open", bar="1D", calendar="24/7")
    return bars


def same_until(whole: xr.Dataset, part: xr.Dataset) -> None:
    """Everything of the shorter data is in the longer, bit for bit."""
    for name, one in part.variables.items():
        both = {d: slice(0, one.sizes[d]) for d in ("time", "fit") if d in one.dims}
        np.testing.assert_array_equal(one.values, whole[name].isel(both).values, str(name))


@pytest.mark.parametrize("name", [name for name in LABELLERS if name not in SLOW])
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(150, 619), assets=st.sampled_from([1, 1, 2]))
def test_y1__no_label_knows_the_future(name: str, seed: int, cut: int, assets: int) -> None:
    label, how = LABELLERS[name]
    bars = world(seed, assets=assets)
    same_until(label(bars, **how), label(bars.isel(time=slice(0, cut)), **how))


@pytest.mark.parametrize("name", SLOW)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(330, 619))
def test_y1__nor_does_one_of_markov(name: str, seed: int, cut: int) -> None:
    label, how = LABELLERS[name]
    bars = world(seed)
    same_until(label(bars, **how), label(bars.isel(time=slice(0, cut)), **how))


@pytest.mark.parametrize("name", LABELLERS)
def test_y1__what_every_one_returns(name: str) -> None:
    label, how = LABELLERS[name]
    bars = world(3)
    found = label(bars, **how)
    assert found["regime"].dims == ("time",)
    assert found["regime"].dtype == np.int64
    assert found["asset"].item() == "asset"
    np.testing.assert_array_equal(found["time"].values, bars["time"].values)
    x = found["regime"].values
    begins = int(np.argmax(x >= 0))
    assert begins > 0
    assert (x[:begins] == -1).all()
    assert (x[begins:] >= 0).all()
    assert len(np.unique(x[begins:])) > 1 or name == "markov, autoregression"
    assert all(one.attrs["long_name"] for one in found.data_vars.values())
    if "fit" in found.dims:
        fit = found["fit"].values
        assert bars["time"].values[begins] == fit[0]
        assert (np.diff(fit) > np.timedelta64(0)).all()


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("hmm", "deviation"),
        ("hmm, three, by mean, rolling", "mean"),
        ("jump_model", "deviation"),
        ("volatility, three, rolling", "bound"),
    ],
)
def test_y1__states_have_the_same_order_after_every_estimate(name: str, by: str) -> None:
    label, how = LABELLERS[name]
    for seed in range(5):
        found = label(world(seed), **how)[by]
        assert found.sizes["fit"] >= 4
        assert bool((found.diff("state") > 0.0).all())


def test_y1__a_missing_bar_keeps_the_label_before_it() -> None:
    bars = world(5, assets=2)
    found = r.hmm(bars, **SHORT)
    assert found["regime"].dims == ("time", "asset")
    assert found["probability"].dims == ("time", "asset", "state")
    one = found["regime"].sel(asset="A1").values
    missing = np.flatnonzero(~bars["valid"].sel(asset="A1").values)
    missing = missing[missing > 200]
    assert len(missing) > 10
    np.testing.assert_array_equal(one[missing], one[missing - 1])
    alone = r.hmm(bars.sel(asset=["A1"]).isel(time=bars["valid"].sel(asset="A1").values), **SHORT)
    both = found["regime"].sel(asset="A1", time=alone["time"]).values
    assert ((both == alone["regime"].values) | (both < 0) | (alone["regime"].values < 0)).mean() > 0.9


def test_y2__moments() -> None:
    bars = world(1)
    found = r.hmm(bars, refit="3M", min_train="1Y")
    index = bars.indexes["time"]
    first = index[1]  # the first return
    for k, moment in enumerate(found.indexes["fit"]):
        wanted = first + pd.DateOffset(years=1) + pd.DateOffset(months=3 * k)
        assert moment == index[index.searchsorted(wanted)]
    with pytest.raises(UsageError, match=r"refit: found '3', wanted a duration such as"):
        r.hmm(bars, refit="3")
    never = r.hmm(bars, min_train="9Y")
    assert (never["regime"] == -1).all()


def test_y3__volatility_is_what_a_loop_says() -> None:
    bars = world(2)
    found = r.volatility(bars, span=20, states=3, refit="5M", min_train="1Y")
    x = bars["close"].values[:, 0]
    x = pd.Series(x[1:] / x[:-1] - 1.0)
    index = bars.indexes["time"]
    edges = [int(index.get_loc(t)) for t in found.indexes["fit"]] + [len(index)]
    for a, b in itertools.pairwise(edges):
        before = [x[k - 20 : k].std() for k in range(20, a)]  # of the bars before the moment
        low, high = np.quantile(before, [1 / 3, 2 / 3])
        for t in range(a, b):
            now = x[t - 20 : t].std()
            assert found["volatility"].values[t] == pytest.approx(now, rel=1e-9)
            assert found["regime"].values[t] == int(now >= low) + int(now >= high)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    band=st.sampled_from([0.0, 0.01, 0.05]),
    method=st.sampled_from(["average", "momentum"]),
)
def test_y3__trend_is_what_a_loop_says(seed: int, band: float, method: Any) -> None:
    bars = world(seed, 300)
    found = r.trend(bars, span=25, band=band, method=method)["regime"].values
    close = bars["close"].values[:, 0]
    state = -1
    for t in range(300):
        if t >= (24 if method == "average" else 25):
            against = close[t - 24 : t + 1].mean() if method == "average" else close[t - 25]
            away = close[t] / against - 1.0
            if abs(abs(away) - band) < 1e-12:
                return  # a tie is settled by rounding
            if away > band:
                state = 1
            elif away < -band:
                state = 0
            elif state < 0:
                state = int(away >= 0.0)
        assert found[t] == state


def chain(n: int, seed: int, states: int = 2) -> np.ndarray:
    draw = np.random.default_rng(seed)
    enters = np.flatnonzero(draw.random(n) < 0.03)
    state = np.repeat(draw.integers(0, states, len(enters) + 1), np.diff([0, *enters, n]))
    x: np.ndarray = draw.normal(0.05 * state, 1.5**state)
    return x


@pytest.mark.oracle("statsmodels", covers="Y4", cases=2)
@pytest.mark.parametrize("states", [2, 3])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_y4__the_hidden_markov_model_is_that_of_statsmodels(states: int, seed: int) -> None:
    """Its filter at our parameters, from the long-run probabilities on; its optimiser finds nothing to gain there."""
    from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

    x = chain(1500, seed, states)
    found = switching.estimate(x, states)
    assert found.converged == ((seed, states) != (2, 3))  # that one is still on its way after 500 steps
    theirs = MarkovRegression(x, states, switching_variance=True)
    names = {f"p[{i}->{j}]": found.transition[i, j] for i in range(states) for j in range(states)}
    names |= {f"const[{j}]": found.mean[j] for j in range(states)}
    names |= {f"sigma2[{j}]": found.deviation[j] ** 2 for j in range(states)}
    params = np.array([names[name] for name in theirs.param_names])
    at = theirs.filter(params)
    logs = switching._log_densities(x[:, None], found.mean, found.deviation)
    ours, likelihood = switching._forward(logs, found.transition, switching.long_run(found.transition))
    assert likelihood == pytest.approx(at.llf, abs=1e-8)
    np.testing.assert_allclose(ours, at.filtered_marginal_probabilities, rtol=0, atol=1e-9)
    assert found.log_likelihood == pytest.approx(likelihood, abs=1.5)  # another first state
    best = theirs.fit(params, em_iter=0, disp=False, cov_type="none")
    assert best.llf - at.llf < (0.1 if found.converged else 0.5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), states=st.integers(2, 3), lags=st.integers(0, 2))
def test_y5__the_filter_is_bayes_over_all_paths(seed: int, states: int, lags: int) -> None:
    """The probability of every path of states, added up by the last one."""
    draw = np.random.default_rng(seed)
    n = 6
    x = draw.normal(size=n)
    model = switching.Model(
        draw.normal(size=states),
        draw.uniform(0.5, 2.0, states),
        draw.dirichlet(np.ones(states), states),
        0.0,
        True,
        tuple(draw.uniform(-0.5, 0.5, lags)),
    )
    start = switching.uniform(states) if lags == 0 else switching.long_run(model.transition)
    np.testing.assert_allclose(start @ model.transition if lags else start, start, atol=1e-12)
    wanted = np.zeros((n, states))
    for t in range(lags, n):
        for path in itertools.product(range(states), repeat=t + 2):  # the first state is the one before the samples
            p = start[path[0]]
            for before, now in itertools.pairwise(path):
                p *= model.transition[before, now]
            s = path[1:]
            for k in range(lags, t + 1):
                error = x[k] - model.mean[s[k]]
                error -= sum(a * (x[k - j - 1] - model.mean[s[k - j - 1]]) for j, a in enumerate(model.lags))
                d = model.deviation[s[k]]
                p *= np.exp(-0.5 * (error / d) ** 2) / d
            wanted[t, path[-1]] += p
    wanted = wanted[lags:] / wanted[lags:].sum(axis=1, keepdims=True)
    found = switching.filtered(model, x)
    assert np.isnan(found[:lags]).all()
    np.testing.assert_allclose(found[lags:], wanted, atol=1e-10)


def test_y4__a_sample_far_off_leaves_probabilities() -> None:
    """Its density is 0 in every state, to the last digit; also where one state cannot be."""
    for transition in ([[0.9, 0.1], [0.1, 0.9]], [[1.0, 0.0], [1.0, 0.0]]):
        model = switching.Model(np.zeros(2), np.array([1.0, 2.0]), np.array(transition), 0.0, True)
        found = switching.filtered(model, np.array([0.0, 500.0, -1e6, 0.0]))
        np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (found[:, 1] == 0.0).all()


def test_y4__where_an_estimate_fails_the_one_before_goes_on() -> None:
    x = world(4, 620)["close"].isel(asset=0, drop=True)
    x = kk.metrics.returns(x.reset_coords(drop=True), sampling="bar").isel(time=slice(1, None))
    x[250:] = 0.001
    found = r.hmm(x, refit="4M", min_train="6M", window="4M")
    assert np.isnan(found["mean"].values[-1]).all()
    assert np.isfinite(found["mean"].values[0]).all()
    assert (found["regime"].values[-100:] >= 0).all()
    one_value = x.copy(data=np.where(np.arange(x.size) % 50 == 7, x.values, 0.0))  # its likelihood has no bounds
    failed = r.markov(one_value, **SHORT)
    known = failed["fit"].values[np.isfinite(failed["log_likelihood"].values)]
    assert (failed["regime"] >= 0).any() == bool(len(known))
    nothing = r.hmm(x * 0.0, **SHORT)
    assert (nothing["regime"] == -1).all()


def paths(z: np.ndarray, centres: np.ndarray, penalty: float) -> list[tuple[float, tuple[int, ...]]]:
    """What every path costs."""
    loss = 0.5 * ((z[:, None] - centres) ** 2).sum(axis=2)
    return [
        (sum(loss[t, s] for t, s in enumerate(path)) + penalty * sum(a != b for a, b in itertools.pairwise(path)), path)
        for path in itertools.product(range(len(centres)), repeat=len(z))
    ]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), states=st.integers(2, 3), penalty=st.sampled_from([0.0, 0.3, 1.0, 5.0]))
def test_y6__costs_are_those_of_all_paths(seed: int, states: int, penalty: float) -> None:
    draw = np.random.default_rng(seed)
    z, centres = draw.normal(size=(6, 2)), draw.normal(size=(states, 2))
    values, objective = jumps._values(z, centres, penalty)
    every = paths(z, centres, penalty)
    assert objective == pytest.approx(min(cost for cost, _ in every), abs=1e-12)
    ends = [min(cost for cost, path in every if path[-1] == k) for k in range(states)]
    np.testing.assert_allclose(values[-1], np.array(ends) - min(ends), atol=1e-12)
    found = np.empty(6, np.int64)
    labels.kernel_of("best_path")(values, penalty, found)
    assert next(cost for cost, path in every if path == tuple(found)) == pytest.approx(objective, abs=1e-12)


def test_y6__the_descent_finds_the_best_division_of_most_samples() -> None:
    """All divisions of ten samples, each with its own centres: none is better, but in a few samples."""
    missed = 0
    for seed in range(30):
        z = np.random.default_rng(seed).normal(size=(10, 1)) + np.repeat([[0.0], [2.0]], 5, axis=0)
        costs = []
        for path in itertools.product((0, 1), repeat=10):
            s = np.array(path)
            means = np.array([z[s == k].mean() if (s == k).any() else 0.0 for k in (0, 1)])
            costs.append(0.5 * ((z[:, 0] - means[s]) ** 2).sum() + 0.5 * (np.diff(s) != 0).sum())
        objective = jumps.estimate(z, 2, 0.5)[2]
        assert objective > min(costs) - 1e-9
        missed += objective > min(costs) + 1e-9
    assert missed <= 3


def test_y6__a_larger_penalty_changes_less_often() -> None:
    bars = world(7)
    changes = [
        int((np.diff(r.jump_model(bars, penalty=penalty, **SHORT)["regime"].values) != 0).sum())
        for penalty in (0.0, 5.0, 50.0, 1e9)
    ]
    assert changes[0] > 3 * changes[1] > 6 * changes[2]
    assert changes[3] <= 1 + 4  # the first label, and what an estimate changes


def test_y6__features_of_ones_own() -> None:
    bars = world(8)
    x = kk.metrics.returns(bars["close"].isel(asset=0, drop=True), sampling="bar")
    own = xr.DataArray(jumps.features_of(x.values[1:]), {"time": bars["time"][1:]}, ("time", "feature"))
    own = own.reindex(time=bars["time"])
    np.testing.assert_array_equal(
        r.jump_model(bars, features=own.reset_coords(drop=True), **SHORT)["regime"],
        r.jump_model(bars, **SHORT)["regime"],
    )
    with pytest.raises(DataError, match="labels that differ"):
        r.jump_model(bars, features=own.isel(time=slice(5, None)), **SHORT)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(12, 60), change=st.sampled_from(["mean", "variance", "both"]))
def test_y7__one_break_is_the_best_of_m22(seed: int, n: int, change: Any) -> None:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=n) * np.where(np.arange(n) < n // 3, 1.0, 2.0)
    cut, costs = one_break(x, change, 5)
    cuts, wanted = best_breaks(x, change, 1, 5)
    np.testing.assert_allclose(costs, wanted, rtol=1e-9, atol=1e-9)
    assert [cut] == cuts[1]
    assert criterion(costs, n, change, 2.0)[1] - criterion(costs, n, change)[1] > 0.0


def test_y7__a_label_rises_when_the_break_is_declared() -> None:
    days = pd.bdate_range("2010-01-04", periods=1500)
    for seed in range(5):
        draw = np.random.default_rng(seed)
        x = xr.DataArray(draw.normal(0.0, np.where(np.arange(1500) < 700, 1.0, 3.0)), {"time": days}, "time")
        found = r.change_points(x, penalty=1.5)
        at = int(np.argmax(found["regime"].values == 1))
        assert 700 < at < 745
        assert abs(at - found["began"].values[at] - 700) <= 3


def test_y7__luck_declares_a_break_now_and_then() -> None:
    """Ten years of even noise, looked at every month: 9 of 200 series at a penalty of 1."""
    days = pd.bdate_range("2000-01-03", periods=2520)
    x = xr.DataArray(np.random.default_rng(0).normal(size=(100, 2520)), {"time": days}, ("path", "time"))
    declared = [int((r.change_points(x, penalty=p)["regime"].max("time") > 0).sum()) for p in (1.0, 2.0)]
    assert declared[0] <= 12
    assert declared[1] == 0


def test_settings_that_cannot_be() -> None:
    bars = world(1, 100)
    plain = xr.DataArray(np.zeros(10), dims="time")
    cases: list[tuple[type[KernelkitError], str, Callable[[], Any]]] = [
        (UsageError, "hmm: states: found 1", lambda: r.hmm(bars, states=1)),
        (UsageError, "hmm: order: found 'size'", lambda: r.hmm(bars, order="size")),
        (UsageError, "trend: span: found 0", lambda: r.trend(bars, span=0)),
        (UsageError, "trend: found method='mean'", lambda: r.trend(bars, method="mean")),
        (UsageError, "volatility: span: found 1", lambda: r.volatility(bars, span=1)),
        (
            UsageError,
            "markov: lags: found 8, wanted a whole number of at least 0, at most 7",
            lambda: r.markov(bars, lags=8),
        ),
        (UsageError, "of one variance for all", lambda: r.markov(bars, order="volatility", switching_variance=False)),
        (UsageError, "jump_model: penalty: found -1", lambda: r.jump_model(bars, penalty=-1.0)),
        (UsageError, "change_points: change: found 'level'", lambda: r.change_points(bars, change="level")),
        (UsageError, "change_points: shortest: found 1", lambda: r.change_points(bars, shortest=1)),
        (DataError, "found no ascending times", lambda: r.hmm(plain)),
        (DataError, "a Dataset without close", lambda: r.hmm(bars.drop_vars("close"))),
    ]
    for error, text, call in cases:
        with pytest.raises(error, match=text):
            call()
