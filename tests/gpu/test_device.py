"""Trials on a device, one thread each, are those of the processor, bit for bit; what it cannot run is told."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings

import kernelkit as kk
from kernelkit import reuse, working
from kernelkit.binding import bind
from kernelkit.errors import UsageError
from kernelkit.kernels import device, fleet
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Job, Outcome, new_outcome
from kernelkit.kernels.session import simulate
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.recipe import plan_job
from kernelkit.tried import trial_keys
from tests.gpu.host import Host, flown
from tests.programs import Case, job
from tests.test_engine_is_reference import cases

ROOT = Path(__file__).parents[2]


@kk.strategy(state={"win": kk.ring(5), "days": 0})
def crossing(ctx, s, fast=20, slow=100):  # type: ignore[no-untyped-def]
    s.win.push(ctx.close[0])
    s.days += 1
    if ctx.close.sma(fast) > ctx.close.ema(slow):
        ctx.bracket(ctx.size.risk(0.01, stop=2.0 * ctx.atr(14)), stop_loss=0.03, take_profit=0.05)
    elif ctx.position > 0.0 and s.win[0] < s.win[-4]:
        ctx.target_percent(0.0)
    elif s.days % 7 == 0:
        ctx.target_percent(-0.5)


@kk.strategy
def crowd(ctx, many=1):  # type: ignore[no-untyped-def]
    for k in range(many):
        ctx.limit(1.0, 0.5 * ctx.close[0] - k)


@kk.strategy
def weeks(ctx, n=5):  # type: ignore[no-untyped-def]
    week = ctx.tf("1W")
    if week.close.sma(n) < ctx.close[0]:
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)


@kk.strategy
def half(ctx, n=3):  # type: ignore[no-untyped-def]
    if 7 // (n - 3) > 0:
        ctx.target_percent(1.0)


@kk.strategy
def default(ctx, n=3, w=0.0):  # type: ignore[no-untyped-def]
    if ctx.close.sma(n) > ctx.close.sma(9):
        ctx.target_percent(w or 0.5)
    else:
        ctx.target_percent((w and 0.7) or (0 or 0.25))


@kk.strategy
def never(ctx, n=3):  # type: ignore[no-untyped-def]
    up = ctx.close.sma(n) > ctx.close.sma(9)
    if up and 0:
        ctx.target_percent(0.9)
    elif (up and 0.0) or (not up and 1):
        ctx.target_percent(-0.3)
    elif up or 0:
        ctx.target_percent(0.4)


@kk.strategy
def chained(ctx, n=3):  # type: ignore[no-untyped-def]
    if 1 == 1 < n and ctx.close.sma(n) > ctx.close.sma(9):
        ctx.target_percent(0.6)
    elif 0 != 1 == n or (1 == 1 > n and True):
        ctx.target_percent(0.2)
    elif 1 == 2 or False:
        ctx.target_percent(0.8)
    else:
        ctx.target_percent(0.1)


@kk.cost_model
def at_least(ctx, rate=0.0):  # type: ignore[no-untyped-def]
    if rate > 0.0 and 0:
        return 0.0
    return (rate or 0.002) * ctx.price * ctx.quantity


@kk.portfolio
def evenly(ctx):  # type: ignore[no-untyped-def]
    for k in ctx.tradable:
        ctx[k].target_percent(0.1)


@pytest.fixture(scope="module")
def bars() -> xr.Dataset:
    return kk.data.load("sp500_index")


def job_of(bars: xr.Dataset, strategy: Any, grid: dict[str, Any] | None = None, **how: Any) -> Job:
    scalars, axes = bind(strategy, None, grid)
    found = Settings.of(how.get("account"), how.get("venue", kk.venues.us_equity()), how.get("fill_model"))
    return plan_job(bars, strategy, scalars, axes, None, (0, bars.sizes["time"]), found, True).job


def assert_same(found: Outcome, wanted: Outcome) -> None:
    assert found.done.all()
    assert found.blocks is not None
    assert wanted.blocks is not None
    assert found.headline.tobytes() == wanted.headline.tobytes()
    assert found.blocks.tobytes() == wanted.blocks.tobytes()
    assert found.meta.tobytes() == wanted.meta.tobytes()


def plainly(one: Job) -> Job:
    """The job at venues without what a device cannot do."""
    free = [replace(v, rules=None, fee=None, slippage=None) for v in one.venues]
    return replace(one, venues=free, hours={})


@given(cases())
@settings(max_examples=6, deadline=None)
def test_device__runs_random_order_programs_as_the_processor_does(case: Case) -> None:
    one = plainly(job(case))
    assume(not fleet.obstacle(one))
    wanted = simulate(one, 0, 1)
    found, left = flown(one)
    if wanted.done.all() and not left.any():
        assert_same(found, wanted)
    else:
        assert left.all()  # it failed here, too, or needs more room
        assert not found.done.any()


def test_device__has_a_thread_for_each_row_and_each_trial(bars: xr.Dataset) -> None:
    one = job_of(bars.isel(time=slice(0, 140)), crossing, {"fast": [5, 20], "slow": [50, 60]})
    host = Host()
    found, left = flown(one, host)
    assert not left.any()
    assert_same(found, simulate(one, 0, 4))
    assert host.launches == [("one_row", 5), ("one_trial", 4)]  # 2 + 2 averages, 1 range


@pytest.mark.parametrize(
    "how",
    [
        {"venue": kk.Venue(fees=kk.fees.fraction(0.001), slippage=kk.slippage.square_root(0.1))},
        {"venue": None, "fill_model": "lean"},
        {"account": kk.Account(cash=1e4, margin=kk.Margin(initial=0.5, maintenance=0.25))},
    ],
    ids=["models", "another fill model", "margin"],
)
def test_device__runs_what_venues_and_accounts_ask(bars: xr.Dataset, how: dict[str, Any]) -> None:
    one = job_of(bars.isel(time=slice(0, 130)), crossing, {"fast": [5, 20], "slow": [50]}, **how)
    found, left = flown(one)
    assert not left.any()
    assert_same(found, simulate(one, 0, 2))


@pytest.mark.parametrize("strategy", [default, never, chained], ids=lambda s: s.name)
def test_device__takes_a_constant_of_a_condition_for_what_it_is(bars: xr.Dataset, strategy: Any) -> None:
    grid = {"n": [1, 3], **({"w": [0.0, 0.3]} if strategy is default else {})}
    one = job_of(bars.isel(time=slice(0, 120)), strategy, grid, venue=kk.Venue(fees=at_least(rate=0.0)))
    found, left = flown(one)
    assert not left.any()
    wanted = simulate(one, 0, len(one.trials))
    assert_same(found, wanted)
    assert len(np.unique(wanted.headline, axis=0)) == len(one.trials)  # the arguments count


def test_device__takes_a_constant_of_a_cost_model_for_what_it_is(bars: xr.Dataset) -> None:
    some = bars.isel(time=slice(0, 120))
    for rate in (0.0, 0.01):
        one = job_of(some, weeks, venue=kk.Venue(fees=at_least(rate=rate)))
        found, _ = flown(one)
        assert_same(found, simulate(one, 0, 1))


def test_device__takes_bars_of_a_higher_timeframe(bars: xr.Dataset) -> None:
    one = job_of(bars.isel(time=slice(0, 200)), weeks, {"n": [3, 5]})
    found, left = flown(one)
    assert not left.any()
    assert_same(found, simulate(one, 0, 2))


def test_device__panels_that_are_too_large_come_in_pieces(bars: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    one = job_of(bars.isel(time=slice(0, 130)), crossing, {"fast": [5, 20], "slow": [50]})
    host = Host()
    monkeypatch.setattr(fleet, "PANEL_BYTES", 8 * 4 * 50)
    found, _ = flown(one, host)
    assert_same(found, simulate(one, 0, 2))
    assert len(host.launches) == 6
    monkeypatch.setattr(fleet, "STATE_BYTES", 1)
    found, _ = flown(one)
    assert_same(found, simulate(one, 0, 2))


def test_device__leaves_trials_that_need_more_room_or_fail(bars: xr.Dataset) -> None:
    one = job_of(bars.isel(time=slice(0, 60)), crowd, {"many": [1, 10, 60]}, venue=None)
    found, left = flown(one)
    wanted = simulate(one, 0, 3)
    assert left.tolist() == [False, True, True]
    assert found.done.tolist() == [True, False, False]
    assert found.headline[0].tobytes() == wanted.headline[0].tobytes()
    failing = job_of(bars.isel(time=slice(0, 60)), half, {"n": [2, 3, 4]}, venue=None)
    found, left = flown(failing)
    assert left.tolist() == [False, True, False]


def test_run__takes_from_the_processor_what_the_device_leaves(
    bars: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernelkit.kernels.cuda.Card", Host)
    scalars, axes = bind(crowd, None, {"many": [1, 10, 60]})
    some = bars.isel(time=slice(0, 60))
    recipe = plan_job(some, crowd, scalars, axes, None, (0, 60), Settings.of(None, None, None), True)
    outcome, kept = new_outcome(3, True), []
    put = lambda rows, part: kept.append((rows.tolist(), part.done.all()))  # noqa: E731
    assert not working.run(recipe, outcome, working.Means(device=True), "crowd", put=put)
    assert kept == [([0, 1, 2], True)]
    assert_same(outcome, simulate(recipe.job, 0, 3))


def test_run_trials__neither_keeps_what_a_device_computes_nor_finds_it(
    bars: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = list[Host]()

    def card() -> Host:
        hosts.append(Host())
        return hosts[-1]

    monkeypatch.setattr("kernelkit.kernels.cuda.Card", card)
    monkeypatch.setattr(reuse, "WORTH", 0.0)
    scalars, axes = bind(default, None, {"n": [1, 3]})
    recipe = plan_job(
        bars.isel(time=slice(0, 60)), default, scalars, axes, None, (0, 60), Settings.of(None, None, None), True
    )
    keys = partial(trial_keys, recipe, [FillModel()])
    for there, kept in ((True, 0), (False, 2), (True, 2)):
        means = working.Means(cache=tmp_path, device=there)
        outcome, interrupted = working.run_trials(recipe, True, means, "default", keys)
        assert outcome.done.all()
        assert not interrupted
        assert means.results is not None
        assert len(means.results.packs("trials")) == kept
    assert [len(host.launches) for host in hosts] == [2, 2]


def test_run__obeys_a_memory_limit_on_a_device(bars: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernelkit.kernels.cuda.Card", Host)
    made = list[int]()

    def room(n: int, blocks: bool) -> Outcome:
        made.append(n)
        return new_outcome(n, blocks)

    monkeypatch.setattr(working, "new_outcome", room)
    scalars, axes = bind(crowd, None, {"many": [1, 60, 10, 2, 3]})
    some = bars.isel(time=slice(0, 60))
    recipe = plan_job(some, crowd, scalars, axes, None, (0, 60), Settings.of(None, None, None), True)
    limit = 2 * working.SPILLED * L.MAX_CELLS * L.NODE.itemsize
    outcome, parts = new_outcome(5, True), []
    put = lambda rows, part: parts.append(rows.tolist())  # noqa: E731
    assert not working.run(recipe, outcome, working.Means(device=True, memory_limit=limit), "crowd", put=put)
    assert parts == [[0, 1], [2, 3], [4]]
    assert made == [2, 2, 1]
    assert_same(outcome, simulate(recipe.job, 0, 5))


def test_simulate__says_which_paths_a_device_does_not_make() -> None:
    gbm = kk.paths.GBM(0.05, 0.2)
    both = kk.paths.Copula({"A": gbm, "B": gbm}, correlation=[[1.0, 0.5], [0.5, 1.0]])
    for model, draws, why in ((both, "independent", "Copula, whose paths"), (gbm, "sobol", "Sobol points")):
        with pytest.raises(UsageError, match=f"gpu=True: found {why}"):
            kk.paths.simulate(model, paths=4, steps=8, draws=draws, gpu=True)
        found = kk.paths.simulate(model, paths=4, steps=8, draws=draws, gpu="auto")
        assert found.attrs["gpu"].startswith(f"not used: {why}")
    assert "gpu" not in kk.paths.simulate(gbm, paths=4, steps=8).attrs


def test_device__refuses_addresses_that_it_does_not_know() -> None:
    known = np.zeros(4)
    places = fleet.Places(Host(), [known])
    assert places.translated(np.array([0, known.ctypes.data + 8])).tolist() == [0, places.of(known) + 8]
    with pytest.raises(ValueError, match="an address that no array here has"):
        places.translated(np.array([known.ctypes.data + known.nbytes]))


def test_direct__names_what_was_called_by_address() -> None:
    text = "call(f.meet, frame) + call(f.judge, frame) + call_model(v.fee, m) + max(a, b, c) + call_act(x, frame, 1)"
    made = ast.unparse(device.Direct({"meet": "meet_all"}, True).visit(ast.parse(text)))
    assert made == "meet_all(frame) + 0 + model(v.fee, m) + max(max(a, b), c) + act(frame, 1)"


def test_device__runs_several_assets_as_accounts_of_their_own() -> None:
    two = kk.paths.GBM(0.05, 0.3).many(150, paths=range(2))
    one = job_of(two, crossing, {"fast": [5, 9], "slow": [20]})
    found, left = flown(one)
    assert not left.any()
    assert_same(found, simulate(one, 0, 4))


def test_direct__leaves_out_what_is_never_there() -> None:
    for text, wanted in (
        ("if f.logging != 0 or x:\n    y()", "if x:\n    y()"),
        ("if f.guard != 0 and g(frame):\n    y()\nelse:\n    z()", "z()"),
        ("if a and f.log == 0:\n    y()", "if a:\n    y()"),
        ("def g():\n    if f.curve != 0:\n        y()", "def g():\n    pass"),
        ("f.curve = f.cash", "f.curve = f.cash"),
    ):
        assert ast.unparse(device.Direct({}, True).visit(ast.parse(text))) == wanted
        assert ast.unparse(device.Direct({}, False).visit(ast.parse(text))) == text  # of a user
    for text in (
        "x = w or 0.5",
        "x = w and 0",
        "x = 0 or w",
        "x = 1 == 1 < n",
        "x = f.log == 0 < n",
        "x = y or 1 == 1",
    ):
        assert ast.unparse(device.Direct({}, True).visit(ast.parse(text))) == text.replace("f.log", "0")
    guarded = "if f.guard != 0:\n    y()"
    assert ast.unparse(device.Direct({"guard": "guard"}, True).visit(ast.parse(guarded))) == guarded
    records = [r for r in vars(L).values() if isinstance(r, np.dtype) and r.names]
    for name in device.ENTRIES | device.OFF:
        assert [r for r in records if name in r.names] == [L.FRAME]


def test_gpu__what_it_cannot_run_is_refused_or_runs_on_the_processor(bars: xr.Dataset) -> None:
    some = bars.isel(time=slice(0, 60))
    for strategy, how, why in (
        (evenly, {}, "a portfolio"),
        (crowd, {"venue": kk.Venue(hours="XNYS")}, "a venue with limits, hours"),
        (crowd, {"debug": True}, "debug"),
    ):
        with pytest.raises(UsageError, match=f"gpu=True: found {why}"):
            kk.backtest(some, strategy, gpu=True, **how)
        assert kk.backtest(some, strategy, gpu="auto", **how).attrs["gpu"].startswith(f"not used: {why}")
    with pytest.raises(UsageError, match=r"found 'yes', wanted True, False or 'auto'"):
        kk.backtest(some, crowd, gpu="yes")
    assert "gpu" not in kk.backtest(some, crowd).attrs
    assert kk.backtest(some, crowd, gpu="auto").attrs["gpu"] == "not used: too little work for a device"


def test_simulator__runs_the_same_trials_and_paths_and_what_measures_them() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.gpu.measure"],
        cwd=ROOT,
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "all agree" in lines
    assert lines[-2].endswith("same: True")
