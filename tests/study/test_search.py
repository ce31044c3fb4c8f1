"""Searches: they find what is known to be best, propose the same whatever the means, and count what they tried."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit import errors, progress, reuse, working
from kernelkit.errors import MissingExtraError, UsageError
from kernelkit.kernels import layout as L
from kernelkit.progress import Progress, listen
from kernelkit.reuse import Results
from kernelkit.study import proposals
from kernelkit.study.proposals import Trials, undominated
from kernelkit.study.spaces import Space

ROOT = Path(__file__).parents[2]
LEARNING = ("tpe", "gp", "cma", "de", "nsga2")
POINTS = ("random", "sobol", "halton")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of the test's own."""
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KERNELKIT_LEDGER", raising=False)
    return tmp_path


def bars_of(prices: list[float]) -> xr.Dataset:
    index = pd.date_range("2020-01-01", periods=len(prices), freq="1D")
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), prices), index=index)
    return kk.data.from_pandas(frame.assign(volume=1e9), label="open", bar="1D", calendar="24/7", lot_size=1e-6)


DOUBLES = bars_of([64.0] * 3 + [128.0] * 40)  # what is held over the third bar gains as much as it was worth
WORLD = kk.data.synthetic.minute_bars(4_000)


@kk.strategy(warmup=0)
def bowl(ctx, x=0.5, y=0.5, kind=0):
    """Its total return is ``1 - (x - 0.3)^2 - (y - 0.7)^2``, less 0.2 for a ``kind`` other than 2."""
    if ctx.i == 0:
        worth = 1.0 - (x - 0.3) ** 2 - (y - 0.7) ** 2
        if kind != 2:
            worth = worth - 0.2
        ctx.target_percent(worth)


CUBE: dict[str, Any] = {"x": kk.real(0.0, 1.0), "y": kk.real(0.0, 1.0)}


@kk.strategy
def cross(ctx, fast=10, slow=50, share=1.0):
    ctx.target_percent(share if ctx.close.sma(fast) > ctx.close.ema(slow) else 0.0)


HALVED: dict[str, dict[str, Any]] = {"halving": {"eta": 2.0, "rungs": 1}}
SPACE: dict[str, Any] = {
    "fast": kk.integer(2, 20),
    "slow": kk.integer(10, 60, step=5),
    "share": kk.real(0.2, 1.0),
}
VENUE = kk.Venue(fees=kk.fees.fraction(0.0005))


def same(found: xr.Dataset, other: xr.Dataset, n: int | None = None) -> None:
    for name in (*L.HEADLINE, *SPACE, "parent", "key", "error"):
        if name in found:
            np.testing.assert_array_equal(found[name].values[:n], other[name].values[:n], err_msg=name)


@pytest.mark.parametrize("method", [*LEARNING, "halving"])
def test_the_best_of_a_known_function_is_found(method: str) -> None:
    asked: dict[str, Any] = {"n": 80 if method == "gp" else 150, **HALVED.get(method, {})}
    found = kk.search(DOUBLES, bowl, CUBE, {"kind": 2}, method=method, objective="total_return", seed=3, **asked)
    x, y = found["x"].values, found["y"].values
    done = np.isfinite(found["total_return"].values)
    truth = 1.0 - (x - 0.3) ** 2 - (y - 0.7) ** 2
    np.testing.assert_allclose(found["total_return"].values[done], truth[done], atol=1e-6)
    best = found.attrs["best"]
    assert best == int(np.argmax(truth))
    assert truth[best] > (0.995 if method in ("nsga2", "halving") else 0.9995)


@pytest.mark.parametrize("method", ["tpe", "gp", "cma", "de"])
def test_who_learns_is_better_than_luck(method: str) -> None:
    """What is lost on the best, over seeds, against what n random points lose on average: ``1 / (pi n)``."""
    n = 60 if method == "gp" else 150
    lost = []
    for seed in range(3):
        asked: dict[str, Any] = {"objective": "total_return", "method": method, "n": n, "seed": seed}
        found = kk.search(DOUBLES, bowl, CUBE, {"kind": 2}, **asked)
        lost.append(1.0 - float(found["total_return"].max()))
    assert np.mean(lost) < 0.5 / (np.pi * n)


@pytest.mark.parametrize("method", LEARNING)
def test_choices_and_steps_are_found_too(method: str) -> None:
    space = {"kind": kk.choice([0, 1, 2, 3]), "x": kk.real(0.0, 1.0)}
    found = kk.search(
        DOUBLES, bowl, space, {"y": 0.7}, method=method, n=60 if method == "gp" else 120, objective="total_return"
    )
    best = found.sel(trial=found.attrs["best"])
    assert int(best["kind"]) == 2
    assert float(best["x"]) == pytest.approx(0.3, abs=0.1)


@kk.strategy(warmup=0)
def trades_off(ctx, x=0.5, y=0.5):
    """It gains ``x (1 - y)``, then lets the square of ``x`` halve."""
    if ctx.i == 0:
        ctx.target_percent(x * (1.0 - y))
    if ctx.i == 5:
        ctx.target_percent(0.0)
    if ctx.i == 10:
        ctx.target_percent(x * x)


def test_a_front_of_several_objectives() -> None:
    bars = bars_of([64.0] * 3 + [128.0] * 10 + [64.0] * 30)
    asked: dict[str, Any] = {"objective": ["total_return", "-max_drawdown"], "n": 240, "batch": 24, "seed": 1}
    asked["venue"] = kk.Venue(band=0.0)
    found = kk.search(bars, trades_off, CUBE, method="nsga2", **asked)
    gain, drawdown = found["total_return"].values, found["max_drawdown"].values
    x, y = found["x"].values, found["y"].values
    np.testing.assert_allclose(gain, (1.0 + x * (1.0 - y)) * (1.0 - 0.5 * x * x) - 1.0, atol=1e-6)
    np.testing.assert_allclose(drawdown, 0.5 * x * x, atol=1e-6)
    better = [
        any((g >= a and d <= b) and (g > a or d < b) for g, d in zip(gain, drawdown, strict=True))
        for a, b in zip(gain, drawdown, strict=True)
    ]
    np.testing.assert_array_equal(found["pareto"].values, ~np.array(better))
    front = found["pareto"].values
    most = (np.sqrt(7.0) - 1.0) / 3.0  # where another unit of x loses more than it gains
    assert front.sum() >= 10
    assert x[front].max() < most + 0.1
    assert y[front].mean() < 0.5 * y[:24].mean()
    assert found.attrs["objective"] == "total_return, -max_drawdown"
    for method in ("tpe", "random"):
        assert kk.search(bars, trades_off, CUBE, method=method, **asked)["pareto"].any()


@pytest.mark.parametrize("method", [*POINTS, *LEARNING])
def test_each_trial_is_its_backtest(method: str) -> None:
    found = kk.search(WORLD, cross, SPACE, method=method, n=24, batch=6, where="fast < slow", venue=VENUE, seed=2)
    assert (found["fast"] < found["slow"]).all()
    for k in (0, 7, found.sizes["trial"] - 1):
        one = found.isel(trial=k)
        params = {name: one[name].item() for name in SPACE}
        alone = kk.backtest(WORLD, cross, params, start=found["time"].values[0], venue=VENUE)
        for name in L.HEADLINE:
            np.testing.assert_array_equal(one[name].values, alone[name].values, err_msg=name)
        np.testing.assert_array_equal(one["equity"].values, alone["equity"].values)
        np.testing.assert_array_equal(one["blocks"].values[: alone.sizes["block"]], alone["blocks"].values)
        pd.testing.assert_frame_equal(kk.fills(one), kk.fills(alone))
        called = kk.ledger.trials("cross")
        assert (called["key"] == str(one["key"].values)).sum() == 2  # it is the same trial


@pytest.mark.parametrize("method", POINTS)
def test_points_do_not_hang_on_batches_or_on_how_many(method: str) -> None:
    asked: dict[str, Any] = {"method": method, "seed": 4, "where": "fast < slow"}
    whole = kk.search(WORLD, cross, SPACE, n=40, **asked)
    for batch in (1, 7):
        same(whole, kk.search(WORLD, cross, SPACE, n=40, batch=batch, **asked))
    same(kk.search(WORLD, cross, SPACE, n=11, **asked), whole, 11)


@pytest.mark.parametrize("method", [*LEARNING, "halving"])
def test_a_search_is_made_of_its_seed(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {"method": method, "n": 40, "batch": 8}
    np.random.seed(1)  # noqa: NPY002  whose state is not the search's, and stays as it is
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    one = kk.search(WORLD, cross, SPACE, seed=5, **asked)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    same(one, kk.search(WORLD, cross, SPACE, seed=5, **asked))
    assert kk.search(WORLD, cross, SPACE, seed=6, **asked)["key"].values.tolist() != one["key"].values.tolist()


def test_a_grid_is_the_grid() -> None:
    space = {"fast": kk.choice([5, 10]), "slow": kk.integer(20, 60, step=20)}
    found = kk.search(WORLD, cross, space, method="grid", where="fast * 4 < slow")
    grid = {"fast": [5, 10], "slow": [20, 40, 60]}
    expected = kk.backtest(WORLD, cross, grid=grid, where="fast * 4 < slow", start=found["time"].values[0])
    assert list(zip(found["fast"].values, found["slow"].values, strict=True)) == [(5, 40), (5, 60), (10, 60)]
    for k in range(3):
        place = {name: found[name].values[k] for name in space}
        for name in L.HEADLINE:
            np.testing.assert_array_equal(found[name].values[k], expected[name].sel(place).values)


def test_a_point_proposed_twice_is_one_trial() -> None:
    space = {"fast": kk.integer(2, 4), "slow": kk.choice([20, 40])}
    found = kk.search(WORLD, cross, space, method="random", n=200, batch=9, seed=1)
    assert (found.sizes["trial"], found.attrs["proposals"]) == (6, 200)
    told = kk.ledger.trials("cross")
    assert (len(told), told["key"].nunique()) == (6, 6)
    assert kk.verdict(found).n_trials == 6
    for method in LEARNING:
        again = kk.search(WORLD, cross, space, method=method, n=60, seed=1)
        assert again.sizes["trial"] <= 6
    assert kk.verdict(found).n_trials == 6
    assert kk.ledger.trials("cross")["key"].nunique() == 6


def test_the_ledger_knows_where_a_proposal_comes_from() -> None:
    found = kk.search(WORLD, cross, SPACE, method="de", n=40, batch=8, seed=1)
    told = kk.ledger.trials("cross", role="rival").set_index("key")
    keys, parents = found["key"].values, found["parent"].values
    assert (parents[:8] == -1).all()
    assert (parents[8:] >= 0).all()
    assert (parents < np.arange(len(parents))).all()
    for key, parent in zip(keys, parents, strict=True):
        assert told.loc[key, "parent"] == ("" if parent < 0 else keys[parent])
    learnt = kk.search(WORLD, cross, SPACE, method="tpe", n=40, batch=8, seed=1)
    values = learnt["sharpe_ratio"].values
    for k, parent in enumerate(learnt["parent"].values):
        if parent >= 0:
            seen = values[learnt["generation"].values < learnt["generation"].values[k]]
            assert parent == int(np.nanargmax(seen))
    assert kk.ledger.trials("cross")["params"].iloc[-1].keys() == SPACE.keys()


@pytest.mark.parametrize(
    ("method", "text"),
    [("de", "the member that it challenged"), ("halving", "none"), ("random", "none")]
    + [(method, "the best told before") for method in ("tpe", "gp", "cma", "nsga2")],
)
def test_what_a_parent_is_is_told(method: str, text: str) -> None:
    found = kk.search(WORLD, cross, SPACE, method=method, n=36, batch=6, seed=1)
    assert found.attrs["parent"] == text
    parents, generations, values = (found[n].values for n in ("parent", "generation", "sharpe_ratio"))
    assert (parents >= 0).any() == (text != "none")
    if text == "the best told before":
        for k in np.flatnonzero(parents >= 0):
            assert parents[k] == int(np.nanargmax(values[generations < generations[k]]))


@pytest.mark.parametrize("where", [None, "fast < slow - 20"])
def test_the_parent_of_de_is_the_member_in_its_row(where: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy import optimize
    from scipy.optimize._differentialevolution import DifferentialEvolutionSolver

    rows = list[tuple[np.ndarray, np.ndarray]]()  # of the population and of who challenges it, in each generation

    def watched(badness: Any, bounds: Any, **settings: Any) -> Any:
        def seen(columns: np.ndarray) -> Any:
            members = np.array([solver._scale_parameters(member) for member in solver.population])
            if np.isfinite(solver.population_energies).all():
                rows.append((members, columns.T.copy()))
            return badness(columns)

        solver = DifferentialEvolutionSolver(seen, bounds, **settings)
        return solver.solve()

    monkeypatch.setattr(optimize, "differential_evolution", watched)
    found = kk.search(WORLD, cross, SPACE, method="de", n=80, batch=8, seed=1, where=where)
    space = Space.of(cross, SPACE, None, where)
    number = {tuple(found[n].values[k].item() for n in SPACE): k for k in range(found.sizes["trial"])}
    places, swapped = set[int](), 0
    for members, challengers in rows:
        held = [number[space.at(member)] for member in members]
        swapped += held[:8] != sorted(held)
        for parent, challenger in zip(held, challengers, strict=True):
            k = number.get(space.at(challenger))
            if k is not None and k not in places:
                assert found["parent"].values[k] == parent
                places.add(k)
    assert swapped
    assert len(places) >= 60
    assert (found["parent"].values >= 0).sum() == len(places)


@pytest.mark.parametrize("method", [*POINTS, *LEARNING, "halving"])
def test_n_proposals_are_made_or_it_is_told_why_not(method: str) -> None:
    tiny = {"fast": kk.integer(2, 12)}
    found = kk.search(WORLD, cross, tiny, method=method, n=40, batch=5, seed=1)
    made = found.attrs["proposals"]
    if method == "gp":  # which proposes no point twice
        random = Space.of(cross, tiny, None, None).samples(1, range(10))
        assert (found.sizes["trial"], made) == (11, 10 + 11 - len({*random}))
        assert found.attrs["ended"] == f"none of 1,024 points drawn was new: {made} of 40 proposals made"
    else:
        assert made == 40
        assert "ended" not in found.attrs


def test_differential_evolution_goes_on_where_all_are_equal() -> None:
    alike = {"x": kk.real(0.1, 0.9), "y": kk.real(0.1, 0.9)}
    found = kk.search(bars_of([64.0] * 20), bowl, alike, method="de", n=48, batch=6, seed=1, objective="total_return")
    assert found["total_return"].values.tolist() == [0.0] * 48
    assert (found["parent"].values >= 0).tolist() == ([False] * 6 + [True] * 6) * 4


def test_a_grid_that_is_asked_for_more_says_that_it_has_no_more() -> None:
    tiny = {"fast": kk.integer(2, 12)}
    ended = kk.search(WORLD, cross, tiny, method="grid", n=20).attrs["ended"]
    assert ended == "the grid has no more cells: 11 of 20 proposals made"
    for n in (None, 11, 4):
        assert "ended" not in kk.search(WORLD, cross, tiny, method="grid", n=n).attrs


def test_a_verdict_is_on_what_is_left() -> None:
    found = kk.search(WORLD, cross, SPACE, method="random", n=30, seed=1, venue=VENUE)
    verdict = kk.verdict(found)
    assert verdict.sharpe_ratio == float(found["sharpe_ratio"].max())
    assert verdict.n_trials == 30
    best = found.attrs["best"]
    for name in SPACE:
        assert f"{name}={found[name].values[best].item()}" in verdict.name
    some = found.isel(trial=[3, 4])
    assert kk.verdict(some).sharpe_ratio == float(some["sharpe_ratio"].max())
    assert kk.verdict(found.sel(trial=4)).sharpe_ratio == float(found["sharpe_ratio"].values[4])


def test_what_follows_a_grid_follows_a_search(tmp_path: Path) -> None:
    from kernelkit.notebook import result_bundle

    bars = kk.data.load("sp500_index").sel(time=slice("2002", "2008"))
    found = kk.search(bars, cross, SPACE, method="halving", n=54, eta=2, rungs=1, seed=1, venue=VENUE)
    returns = kk.metrics.returns(found["equity"], initial=1e6)
    pbo = kk.inference.pbo(returns, blocks=8, draws=9)
    assert 0.0 <= float(pbo["pbo"]) <= 1.0
    assert int(pbo["n_trials"]) == 27
    best = found.sel(trial=found.attrs["best"])
    shown = result_bundle(found)["text/plain"]
    assert all(f"{name}={best[name].item()}"[:8] in shown for name in SPACE)
    stored = xr.open_zarr(kk.save(found, tmp_path / "found.zarr"), chunks=None, consolidated=False)
    np.testing.assert_array_equal(stored["sharpe_ratio"], found["sharpe_ratio"])
    assert stored["key"].values.tolist() == found["key"].values.tolist()
    picked = {name: best[name].item() for name in SPACE}
    pair = {"found": cross, "plain": kk.strategies.find("sma_cross")}
    compared = kk.compare(pair, bars, params={"found": picked}, start=found["time"].values[0], venue=VENUE)
    assert compared["sharpe_ratio"].sizes["strategy"] == 2


# --- texts, signals, portfolios ---


@kk.strategy
def either(ctx, kind="above", n=10, deep=0.01):
    if kind == "above":
        ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)
    else:
        ctx.target_percent(1.0 if ctx.close[0] < (1.0 - deep) * ctx.close.sma(30) else 0.0)


def test_texts_are_searched_and_conditions_hold() -> None:
    space = {
        "kind": kk.choice(["above", "below"]),
        "n": kk.integer(5, 50, when="kind == 'above'"),
        "deep": kk.real(0.0001, 0.01, log=True, when="kind == 'below'"),
    }
    for method in ("random", "tpe", "halving"):
        found = kk.search(WORLD, either, space, method=method, n=30, seed=1, batch=10)
        kinds = found["kind"].values
        assert set(kinds) == {"above", "below"}
        assert (found["n"].values[kinds == "below"] == 10).all()
        assert (found["deep"].values[kinds == "above"] == 0.01).all()
        for k in np.flatnonzero(np.isfinite(found["final_equity"].values))[:4]:
            one = found.isel(trial=int(k))
            params = {name: one[name].item() for name in space}
            alone = kk.backtest(WORLD, either, params, start=found["time"].values[0])
            assert float(alone["final_equity"]) == float(one["final_equity"])
            np.testing.assert_array_equal(one["equity"].values, alone["equity"].values)
            pd.testing.assert_frame_equal(kk.orders(one), kk.orders(alone))
        assert kk.verdict(found).name.startswith("either(")


@kk.signal
def above(ds, n=20, weight=1.0):
    return weight * (ds["close"] > ds["close"].rolling(time=n).mean()).astype(float)


@kk.portfolio
def equal(ctx, part=0.5, n=5):
    for k in ctx.tradable:
        ctx[k].target_percent(part if ctx[k].close[0] > ctx[k].close.sma(n) else 0.0)


@pytest.mark.parametrize(
    ("strategy", "space"),
    [
        (above, {"n": kk.integer(5, 50), "weight": kk.real(0.1, 1.0)}),
        (equal, {"part": kk.real(0.1, 0.5), "n": kk.integer(2, 30)}),
    ],
)
def test_signals_and_portfolios(strategy: Any, space: dict[str, Any]) -> None:
    bars = WORLD
    methods = ["tpe"]
    if strategy is equal:
        other = WORLD.assign_coords(asset=["b"], asset_id=("asset", ["b"]))
        bars = xr.concat([WORLD, other], "asset", data_vars="all")
        bars.attrs = WORLD.attrs
        methods.append("halving")
    for method in methods:
        found = kk.search(bars, strategy, space, method=method, n=24, batch=8, seed=1)
        best = found.sel(trial=found.attrs["best"])
        params = {name: best[name].item() for name in space}
        alone = kk.backtest(bars, strategy, params, start=found["time"].values[0])
        assert float(alone["final_equity"]) == float(best["final_equity"])
        np.testing.assert_array_equal(best["equity"].values, alone["equity"].values)
        assert kk.verdict(found).sharpe_ratio == float(best["sharpe_ratio"])


# --- halving ---


def test_who_ends_a_halving_has_the_bits_of_a_backtest_and_who_does_not_is_told() -> None:
    found = kk.search(WORLD, cross, SPACE, method="halving", n=81, eta=3, rungs=3, seed=1, venue=VENUE)
    times = found["time"].values
    done = np.isfinite(found["final_equity"].values)
    assert done.sum() == 3
    np.testing.assert_array_equal(done, np.isnat(found["pruned_at"].values))
    ends = found["pruned_at"].values
    n = len(times)
    stops = [times[max(1, int(n / 3**k)) - 1] for k in (3, 2, 1)]
    assert [int((ends == stop).sum()) for stop in stops] == [54, 18, 6]
    alive = np.ones(81, bool)
    for stop in stops:  # by hand: every one that is alive, from the first bar to this one
        values = np.full(81, np.nan)
        for k in np.flatnonzero(alive):
            params = {name: found[name].values[k].item() for name in SPACE}
            one = kk.backtest(WORLD, cross, params, start=times[0], end=stop, venue=VENUE, outputs=["metrics"])
            values[k] = float(one["sharpe_ratio"])
        order = sorted(np.flatnonzero(alive), key=lambda k: (np.isnan(values[k]), -np.nan_to_num(values[k]), k))
        alive[:] = False
        alive[order[: -(-len(order) // 3)]] = True
        np.testing.assert_array_equal(~alive & (ends == stop), ends == stop)
    np.testing.assert_array_equal(alive, done)
    for k in np.flatnonzero(done):
        params = {name: found[name].values[k].item() for name in SPACE}
        alone = kk.backtest(WORLD, cross, params, start=times[0], venue=VENUE)
        for name in L.HEADLINE:
            np.testing.assert_array_equal(found[name].values[k], alone[name].values)
        np.testing.assert_array_equal(found["blocks"].values[k, : alone.sizes["block"]], alone["blocks"].values)
    assert np.isnan(found["equity"].isel(trial=int(np.argmin(done)))).all()


@kk.indicator(state=dict(e=0.0))
def smooth(s, x, n):
    s.e += (x - s.e) / n
    return s.e


@kk.strategy(state=dict(up=0, last=kk.ring(5)))
def rich(ctx, s, n=10, deep=0.01):
    """Orders that nobody fills: more than a block has room for at first; an own indicator, hours, and a memory."""
    s.last.push(ctx.close[0])
    if ctx.close[0] > smooth(ctx.close, n) and ctx.tf("1h").close[0] > 0.0:
        s.up += 1
    ctx.target_percent(0.1 * (s.up % 7))
    if ctx.i % 3 == 0:
        ctx.limit(1.0, ctx.close[0] * (1.0 - deep * (1 + s.up % 5)))
        ctx.limit(1.0, 0.01 * s.last[-1])


def test_states_of_any_kind_go_on() -> None:
    space = {"n": kk.integer(2, 60), "deep": kk.real(0.0001, 0.01)}
    found = kk.search(WORLD, rich, space, method="halving", n=40, eta=2.0, rungs=3, seed=1, venue=VENUE)
    done = np.flatnonzero(np.isfinite(found["final_equity"].values))
    assert len(done) == 5
    for k in done:
        params = {name: found[name].values[k].item() for name in space}
        alone = kk.backtest(WORLD, rich, params, start=found["time"].values[0], venue=VENUE)
        for name in L.HEADLINE:
            np.testing.assert_array_equal(found[name].values[k], alone[name].values)
        np.testing.assert_array_equal(found["blocks"].values[k, : alone.sizes["block"]], alone["blocks"].values)
    assert len(kk.orders(alone)) > 1000


def test_what_is_pruned_counts_and_has_its_blocks() -> None:
    found = kk.search(WORLD, cross, SPACE, method="halving", n=27, eta=3, rungs=2, seed=1)
    told = kk.ledger.trials("cross", role="rival")
    assert told["status"].value_counts().to_dict() == {"pruned": 24, "done": 3}
    assert told.loc[told["status"] == "pruned", "sharpe_ratio"].isna().all()
    assert set(told["key"]) == set(found["key"].values)
    rows = [row for row in kk.ledger.rows("trials") if (row["status"] == 3).all()]
    assert [len(row["key"]) for row in rows] == [18, 6]
    for row in rows:
        key = row["key"].tolist()[2].hex()
        one = found.isel(trial=int(np.flatnonzero(found["key"].values == key)[0]))
        params = {name: one[name].item() for name in SPACE}
        alone = kk.backtest(WORLD, cross, params, start=found["time"].values[0], end=one["pruned_at"].values)
        names = list(alone["summary"].values)
        m = int(np.isfinite(row["blocks"][2, :, 0]).sum())
        expected = alone["blocks"].values[:m, names.index("s1")].astype("f4")
        np.testing.assert_array_equal(row["blocks"][2, :m, list(row_fields()).index("s1")], expected)
    verdict = kk.verdict(found)
    assert verdict.n_trials == 27 + 2  # the two looks above ended earlier: they are other trials
    family = verdict.evidence.family
    assert (family.pruned, family.failed) == (24, 0)
    kk.backtest(WORLD, cross, params, start=found["time"].values[0])  # what was pruned has a result now
    assert kk.verdict(found).evidence.family.pruned == 23


def row_fields() -> tuple[str, ...]:
    from kernelkit.ledger.trials import FIELDS

    return FIELDS


@kk.strategy
def fragile(ctx, n=5, dies=0):
    if dies == 1 and ctx.i == 1500:
        raise ValueError("no more")
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)


@pytest.mark.parametrize("method", ["random", *LEARNING, "halving"])
def test_a_trial_that_fails_is_told_and_is_the_worst(method: str) -> None:
    space = {"n": kk.integer(2, 60), "dies": kk.choice([0, 1])}
    events = list[Progress]()
    with listen(events.append):
        found = kk.search(WORLD, fragile, space, method=method, n=30, batch=6, seed=1, **HALVED.get(method, {}))
    assert (events[-1].done, events[-1].failed) == (30, found.attrs["failed"])
    failed = found["error"].values != ""
    assert 0 < failed.sum() < len(failed)
    assert failed.sum() == found.attrs["failed"]
    assert (found["dies"].values[failed] == 1).all()
    assert np.isnan(found["sharpe_ratio"].values[failed]).all()
    assert set(found["error"].values[failed]) == {"ValueError: no more"}
    status = kk.ledger.trials("fragile").set_index("key")["status"]
    assert (status[found["key"].values[failed]] == "failed").all()
    assert int(found["dies"].values[found.attrs["best"]]) == 0


def test_the_worst_is_that_of_all_so_far() -> None:
    trials = Trials.__new__(Trials)
    trials.values = np.array([[1.0, np.nan], [np.nan, np.nan], [-3.0, np.nan]])
    assert trials.told([0, 1, 2]).tolist() == [[1.0, 0.0], [-3.0, 0.0], [-3.0, 0.0]]


def test_undominated_is_what_no_other_beats() -> None:
    values = np.random.default_rng(1).integers(0, 4, (60, 3)).astype(float)
    expected = [not any((o >= v).all() and (o > v).any() for o in values) for v in values]
    assert undominated(values).tolist() == expected


# --- means: cache, kills, interrupts, clusters ---

SCRIPT = """
import sys
import kernelkit as kk
from kernelkit import reuse
from tests.study.test_search import SPACE, WORLD, cross
reuse.WORTH = 0.0
method, place = sys.argv[1:]
kk.search(WORLD, cross, SPACE, method=method, n=60, batch=6, seed=1, cache=place)
"""


@pytest.mark.parametrize("method", ["de", "halving"])
def test_a_killed_search_goes_on(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = kk.search(WORLD, cross, SPACE, method=method, n=60, batch=6, seed=1)
    place = tmp_path / "results"
    environment = os.environ | {"KERNELKIT_LEDGER": str(tmp_path / "ledger"), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, method, str(place)], env=environment)
    began = time.monotonic()
    while len(Results(place).packs()) < 2 and process.poll() is None:
        assert time.monotonic() - began < 120
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    monkeypatch.setattr(reuse, "WORTH", 0.0)
    packs = len(Results(place).packs())
    assert packs >= 2
    same(kk.search(WORLD, cross, SPACE, method=method, n=60, batch=6, seed=1, cache=place), expected)
    simulated: list[int] = []
    monkeypatch.setattr(working, "run", lambda *a, **k: simulated.append(1))
    monkeypatch.setattr("kernelkit.kernels.rungs.Rungs.climb", lambda *a: simulated.append(1))
    same(kk.search(WORLD, cross, SPACE, method=method, n=60, batch=6, seed=1, cache=place), expected)
    assert simulated == []  # all of it is known by now


@pytest.mark.parametrize("method", ["random", "tpe", "cma", "de", "nsga2", "gp"])
def test_an_interrupt_keeps_what_is_done(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)

    def stop(event: Progress) -> None:
        if event.total == 60 and event.done >= 20:
            raise KeyboardInterrupt

    expected = kk.search(WORLD, cross, SPACE, method=method, n=60, batch=10, seed=1)
    with listen(stop):
        found = kk.search(WORLD, cross, SPACE, method=method, n=60, batch=10, seed=1)
    assert "of 60 proposals made" in found.attrs["interrupted"]
    assert 0 < found.sizes["trial"] < expected.sizes["trial"]
    same(found, expected, found.sizes["trial"])
    assert kk.verdict(found).sharpe_ratio == float(found["sharpe_ratio"].max())


def test_an_interrupted_batch_keeps_those_that_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = proposals.run_trials

    def half(recipe: Any, *more: Any) -> tuple[Any, bool]:
        outcome, _ = whole(recipe, *more)
        outcome.done[1::2], outcome.headline[1::2] = False, np.nan
        return outcome, True

    expected = kk.search(WORLD, cross, SPACE, method="de", n=24, batch=8, seed=1)
    monkeypatch.setattr(proposals, "run_trials", half)
    found = kk.search(WORLD, cross, SPACE, method="de", n=24, batch=8, seed=1)
    same(found, expected.isel(trial=[0, 2, 4, 6]))
    assert found.attrs["interrupted"].startswith("4 trials done")
    assert (kk.ledger.trials("cross")["seen"] == 2).sum() == 4


def test_an_interrupted_halving_keeps_what_was_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    from kernelkit.kernels.rungs import Rungs

    climb, calls = Rungs.climb, list[int]()

    def interrupted(self: Rungs, until: int) -> None:
        calls.append(until)
        if until > min(calls):
            raise KeyboardInterrupt
        climb(self, until)

    monkeypatch.setattr(Rungs, "climb", interrupted)
    found = kk.search(WORLD, cross, SPACE, method="halving", n=27, seed=1)
    assert found.sizes["trial"] == 18
    assert "interrupted" in found.attrs
    assert np.isnan(found["sharpe_ratio"]).all()
    assert "best" not in found.attrs


def test_a_cluster_changes_nothing() -> None:
    distributed = pytest.importorskip("distributed")
    local: Any = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(**local) as cluster, distributed.Client(cluster) as client:
        asked: dict[str, Any] = {"method": "de", "n": 24, "batch": 8, "seed": 1}
        same(kk.search(WORLD, cross, SPACE, client=client, **asked), kk.search(WORLD, cross, SPACE, **asked))
        with pytest.raises(UsageError, match="halving: found a cluster"):
            kk.search(WORLD, cross, SPACE, method="halving", client=client)


# --- folds ---


def test_a_walk_forward_searches_in_each_fold() -> None:
    bars = kk.data.load("sp500_index").sel(time=slice("2002", "2008"))
    space = {"fast": kk.integer(2, 20), "slow": kk.integer(30, 90, step=10)}
    asked: dict[str, Any] = {"n": 20, "seed": 1, "objective": "total_return"}
    walk = kk.walk_forward(
        bars, cross, searcher=kk.searcher("random", space, **asked), select="total_return", train="2Y", test="1Y"
    )
    told = kk.ledger.trials("cross")
    assert (told["role"] == "rival").sum() == 1  # the stitched account
    for k in range(walk.sizes["fold"]):
        seen = bars.sel(time=slice(None, walk["train_end"].values[k]))
        found = kk.search(seen, cross, space, method="random", start=walk["train_start"].values[k], **asked)
        best = found.sel(trial=found.attrs["best"])
        assert all(int(best[name]) == int(walk[name].values[k]) for name in space)
    texts = {"kind": kk.choice(["above", "below"])}
    with pytest.raises(UsageError, match="'kind' of a walk-forward: found texts"):
        kk.walk_forward(bars, either, searcher=kk.searcher("random", texts))


YEARS: dict[str, Any] = {"train": "2Y", "test": "1Y", "start": "2002", "end": "2007"}
CELLS: dict[str, Any] = {"fast": kk.integer(2, 20, step=9), "slow": kk.integer(30, 90, step=30)}


def test_a_walk_forward_searches_for_what_it_selects_by() -> None:
    bars = kk.data.load("sp500_index")
    grid = {"fast": [2, 11, 20], "slow": [30, 60, 90]}
    asked: dict[str, Any] = {**YEARS, "params": {"share": 0.5}, "venue": VENUE}
    chosen = dict[str, list[tuple[int, int]]]()
    for select in ("sharpe_ratio", "-max_drawdown"):
        by_grid = kk.walk_forward(bars, cross, grid=grid, select=select, **asked)
        own = kk.searcher("grid", CELLS, objective=select)
        for ds in (
            kk.walk_forward(bars, cross, searcher=kk.searcher("grid", CELLS), select=select, **asked),
            kk.walk_forward(bars, cross, searcher=own, select="cagr", **asked),
        ):
            assert ds.attrs["selected_by"] == select
            for name in ("fast", "slow", f"is_{select.removeprefix('-')}", "training_trials", "equity_oos"):
                np.testing.assert_array_equal(ds[name].values, by_grid[name].values, err_msg=name)
            assert (ds["training_trials"].values == 9).all()
            assert "is_cagr" not in ds
        chosen[select] = list(zip(by_grid["fast"].values, by_grid["slow"].values, strict=True))
    assert chosen["sharpe_ratio"] != chosen["-max_drawdown"]
    by_hand = kk.walk_forward(bars, cross, grid=grid, searcher=lambda *_: {"fast": 2, "slow": 30}, **asked)
    assert by_hand.attrs["selected_by"] == "searcher"
    with pytest.raises(UsageError, match=r"objective of kk.searcher: found \['cagr', 'sharpe_ratio'\], wanted one"):
        kk.searcher("nsga2", CELLS, objective=["cagr", "sharpe_ratio"])
    with pytest.raises(UsageError, match="objective: found 'luck'"):
        kk.searcher("grid", CELLS, objective="luck")
    with pytest.raises(UsageError, match="select: found 'luck'"):
        kk.walk_forward(bars, cross, searcher=kk.searcher("grid", CELLS), select="luck", **YEARS)


def test_a_walk_forward_by_a_searcher_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars, work = kk.data.load("sp500_index"), working.run
    monkeypatch.setattr(reuse, "WORTH", 0.0)
    searcher = kk.searcher("de", {"fast": kk.integer(2, 20), "slow": kk.integer(30, 90)}, n=60, batch=20, seed=1)
    simulated = list[int]()
    last = 1 << 30

    def counted(recipe: Any, *more: Any, **settings: Any) -> bool:
        if len(simulated) == last:
            return True  # as after an interrupt, with nothing done
        simulated.append(len(recipe.job.trials))
        return work(recipe, *more, **settings)

    monkeypatch.setattr(working, "run", counted)
    expected = kk.walk_forward(bars, cross, searcher=searcher, **YEARS)
    whole, calls = sum(simulated), len(simulated)
    simulated.clear()
    last = calls // 2
    stopped = kk.walk_forward(bars, cross, searcher=searcher, cache=tmp_path / "results", **YEARS)
    assert 0 < stopped.sizes["fold"] < expected.sizes["fold"]
    last, before = 1 << 30, sum(simulated)
    simulated.clear()
    found = kk.walk_forward(bars, cross, searcher=searcher, cache=tmp_path / "results", **YEARS)
    assert sum(simulated) <= whole - before
    for name in ("fast", "slow", "is_sharpe_ratio", "training_trials", "equity_oos"):
        np.testing.assert_array_equal(found[name].values, expected[name].values)
    simulated.clear()
    kk.walk_forward(bars, cross, searcher=searcher, cache=tmp_path / "results", memory_limit="1GB", **YEARS)
    assert simulated == []


def test_the_means_of_a_walk_forward_are_those_of_its_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    means = list[Any]()
    told = proposals.run_trials

    def watched(recipe: Any, blocks: bool, given: Any, *more: Any) -> Any:
        means.append((given.client, given.bytes))
        return told(recipe, blocks, working.Means(), *more)

    monkeypatch.setattr(proposals, "run_trials", watched)
    monkeypatch.setattr("kernelkit.study.run.run_trials", watched)
    bars, client = kk.data.load("sp500_index"), object()
    kk.walk_forward(bars, cross, searcher=kk.searcher("grid", CELLS), client=client, memory_limit="64MB", **YEARS)
    assert len(means) >= 6
    assert set(means) == {(client, 64_000_000)}


# --- errors ---


@pytest.mark.parametrize(("method", "module"), [("tpe", "optuna"), ("nsga2", "optuna"), ("cma", "cma")])
def test_what_is_not_installed_is_named(method: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = errors.importlib.import_module

    def absent(name: str, *more: Any) -> Any:
        if name == module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return found(name, *more)

    monkeypatch.setattr(errors.importlib, "import_module", absent)
    with pytest.raises(MissingExtraError, match=rf'{module} is not installed; it comes with the extra "optimize"'):
        kk.search(WORLD, cross, SPACE, method=method, n=10)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"method": "best"}, "searcher: found 'best', wanted one of cma, de"),
        ({"n": 0}, "n: found 0, wanted a whole number above 0"),
        ({"batch": 2.5}, "batch: found 2.5"),
        ({"seed": -1}, "seed: found -1"),
        ({"objective": "sharpe"}, "objective: found 'sharpe', .* Write objective="),
        ({"objective": []}, "objective: found"),
        ({"objective": ["cagr", "sharpe_ratio"], "method": "cma"}, "objectives of cma: found 2"),
        ({"objective": ["cagr", "sharpe_ratio"], "method": "halving"}, "objectives of halving: found 2"),
        ({"method": "halving", "eta": 1.0}, "halving: found eta=1.0"),
        ({"method": "halving", "eta": "3"}, "halving: found eta='3'"),
        ({"method": "halving", "rungs": 0}, "halving: found .*rungs=0"),
        ({"where": "fast > 90"}, "no point in 10,000 that fits"),
        ({"finer": 1}, "argument finer"),
        ({"metod": "tpe"}, "argument metod"),
    ],
)
@pytest.mark.parametrize("method", ["tpe", "sobol"])
def test_what_does_not_fit_is_told(method: str, wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        kk.search(WORLD, cross, SPACE, **{"method": method, "n": 8, **wrong})


def test_where_hardly_anything_fits_generations_end() -> None:
    for method in ("cma", "de", "gp", "nsga2"):
        with pytest.raises(UsageError, match="no point in 10,000 that fits"):
            kk.search(WORLD, cross, SPACE, method=method, where="fast > slow + 90", n=8)


def test_one_account_is_asked_for() -> None:
    other = WORLD.assign_coords(asset=["b"], asset_id=("asset", ["b"]))
    both = xr.concat([WORLD, other], "asset", data_vars="all")
    both.attrs = WORLD.attrs
    with pytest.raises(UsageError, match="a search: found 2 accounts, wanted one"):
        kk.search(both, cross, SPACE, n=4)
    with pytest.raises(UsageError, match="halving: found signal above"):
        kk.search(WORLD, above, {"n": kk.integer(5, 50)}, method="halving")
    with pytest.raises(kk.errors.OrderError, match="close_out of a search by halving"):
        kk.search(WORLD, cross, SPACE, method="halving", fill_model=kk.FillModel(close_out="last_close"))


@kk.strategy(warmup=lambda p: (p.n - 30) ** 2)
def bent(ctx, n=30):
    ctx.target_percent(1.0)


def test_warm_up_is_that_of_the_whole_space() -> None:
    few, many = ({"fast": kk.integer(2, top), "slow": kk.choice([10, 20])} for top in (8, 60))
    first = [kk.search(WORLD, cross, s, method="random", n=6)["time"].values[0] for s in (few, many)]
    assert first[0] < first[1]
    found = kk.search(WORLD, bent, {"n": kk.integer(20, 40)}, method="random", n=10)
    assert np.flatnonzero(WORLD["time"].values == found["time"].values[0]) == [100]


@kk.strategy(warmup=lambda p: 200 - (p.n - 30) ** 2)
def humped(ctx, n=30):
    ctx.target_percent(1.0)


def test_a_point_that_needs_more_than_the_corners_is_told() -> None:
    with pytest.raises(UsageError, match=r"warm-up of .*wanted at most 100.*pass start="):
        kk.search(WORLD, humped, {"n": kk.integer(20, 40)}, method="grid")
    later = WORLD["time"].values[300]
    assert kk.search(WORLD, humped, {"n": kk.integer(20, 40)}, method="grid", start=later).sizes["trial"] == 21


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"method": "grid", "space": {"n": kk.integer(10, 60)}, "where": "n > 1000"}, "found no point"),
        ({"objective": None}, "objective: found None"),
        ({"objective": [["a"]]}, "objective: found"),
        ({"n": True}, "n: found True"),
        ({"seed": True}, "seed: found True"),
    ],
)
def test_a_slip_is_told(more: dict[str, Any], said: str) -> None:
    @kk.strategy
    def above(ctx, n=20):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

    given = {"space": {"n": kk.integer(10, 60)}, "method": "random", "n": 4} | more
    with pytest.raises(UsageError, match=said):
        kk.search(WORLD, above, **given)


@pytest.mark.parametrize("space", [None, 3, {"n": [1, 2]}])
def test_a_searchers_space_is_checked_when_it_is_made(space: Any) -> None:
    with pytest.raises(UsageError, match=r"space of kk\.searcher"):
        kk.searcher("tpe", space)


def test_a_point_that_nobody_asked_for_need_not_fit() -> None:
    @kk.strategy
    def part(ctx, weight=0.5):  # type: ignore[no-untyped-def]
        ctx.target_percent(weight)

    space = {"weight": kk.real(0.0, 1.0)}
    found = kk.search(WORLD, part, space, where="weight < 0.0003", method="random", n=np.int64(1), seed=1)
    assert found.sizes["trial"] == 1


@pytest.mark.parametrize("given", [{"rungs": 700}, {"rungs": True}, {"rungs": 0}, {"eta": 1e308}, {"eta": "3"}])
def test_what_cannot_be_halved_is_told(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"halving: found eta=.*, wanted eta above 1 and at most 10,000"):
        kk.search(WORLD, cross, SPACE, method="halving", n=4, venue=VENUE, **given)


def test_halving_takes_numbers_of_numpy_and_ends_at_the_first_bar_that_is_left() -> None:
    """Of that many rungs nearly all are at the first bar."""
    known = {"method": "halving", "n": 9, "seed": 1, "venue": VENUE}
    one = kk.search(WORLD, cross, SPACE, eta=3, rungs=2, **known)
    two = kk.search(WORLD, cross, SPACE, eta=np.float32(3), rungs=np.int64(2), **known)
    np.testing.assert_array_equal(one["sharpe_ratio"].values, two["sharpe_ratio"].values)
    most = kk.search(WORLD, cross, SPACE, eta=10_000, rungs=64, **known)
    assert int(most["pruned_at"].isnull().sum()) == 1
