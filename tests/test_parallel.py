"""Threads, processes, a cluster that loses its workers: the same bits as one trial after the other."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit import cluster, progress, working
from kernelkit.binding import bind
from kernelkit.errors import MissingExtraError, RunError, UsageError
from kernelkit.kernels import cache
from kernelkit.kernels.job import Outcome, new_outcome, spread
from kernelkit.kernels.session import simulate
from kernelkit.market.settings import Settings
from kernelkit.progress import Progress, listen
from kernelkit.recipe import Recipe, plan_job, with_target
from kernelkit.study.run import Case, Common
from kernelkit.study.run import run as study
from kernelkit.working import Means, run

ROOT = Path(__file__).parents[1]
GRID = {"fast": range(5, 35), "slow": range(50, 130, 4)}
SIGNAL_GRID = {"n": range(5, 20), "scale": [1.0, 0.99]}


@kk.strategy(state={"win": kk.ring(5)})
def crossing(ctx, s, fast=20, slow=100):
    s.win.push(ctx.close[0])
    if ctx.close.sma(fast) > ctx.close.ema(slow):
        ctx.bracket(ctx.size.risk(0.01, stop=2.0 * ctx.atr(14)), stop_loss=0.03, take_profit=0.05)
    elif ctx.position > 0.0 and s.win[0] < s.win[-4]:
        ctx.target_percent(0.0)


@kk.signal
def trend(ds, n=20, scale=1.0):
    return (ds["close"] > scale * ds["close"].rolling(time=n).mean()) * 1.0


@pytest.fixture(scope="module")
def bars() -> xr.Dataset:
    return kk.data.load("sp500_index").isel(time=slice(0, 2000))


def recipe_of(bars: xr.Dataset, strategy: Any, grid: dict[str, Any]) -> Recipe:
    scalars, axes = bind(strategy, None, grid)
    settings = Settings.of(None, kk.venues.us_equity(), None)
    return plan_job(bars, strategy, scalars, axes, None, (0, bars.sizes["time"]), settings, True)


def bits(outcome: Outcome) -> tuple[bytes, bytes, bytes, bytes]:
    assert outcome.blocks is not None
    full = np.arange(outcome.blocks.shape[1]) < outcome.meta[:, :1]
    parts = outcome.headline, outcome.meta, outcome.done, outcome.blocks[full]
    return tuple(p.tobytes() for p in parts)  # type: ignore[return-value]


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize(("strategy", "grid"), [(crossing, GRID), (trend, SIGNAL_GRID)])
def test_threads__equal_sequential(bars, monkeypatch, workers, strategy, grid):
    cut = []
    monkeypatch.setattr(working, "spread", lambda n, workers, *least: cut.append(spread(n, workers)) or cut[-1])
    recipe = recipe_of(bars, strategy, grid)
    n = len(recipe.job.trials)
    one_by_one = [
        simulate(recipe.job, k, k + 1) if recipe.signal is None else simulate(with_target(recipe, k, k + 1), 0, 1)
        for k in range(0, n, 7)
    ]
    outcome, again = new_outcome(n, True), new_outcome(n, True)
    interrupted = run(recipe, outcome, Means(), "threads", workers=workers)
    assert [len(pieces) for pieces in cut] == [4 * workers]
    assert not interrupted
    assert outcome.done.all()
    assert outcome.blocks is not None
    for k, alone in zip(range(0, n, 7), one_by_one, strict=True):
        part = Outcome(*(getattr(outcome, f)[k : k + 1] for f in ("headline", "blocks", "meta", "done")), {})
        assert bits(part) == bits(alone)
    run(recipe, again, Means(), "again", workers=1)
    assert bits(outcome) == bits(again)


SCRIPT = """
import kernelkit as kk

@kk.strategy
def crossing(ctx, fast=20, slow=100):
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)

bars = kk.data.load("sp500_index")
res = kk.backtest(bars, crossing, grid=dict(fast=range(5, 45), slow=range(50, 130, 2)), venue=kk.venues.us_equity())
assert res["final_equity"].notnull().all()
"""


def test_threads__a_fresh_process_is_silent(tmp_path):
    """The first call of a process compiles or loads the engine on several threads at once."""
    (tmp_path / "sweep.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "sweep.py"]
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A cluster of two processes on this machine."""
    distributed = pytest.importorskip("distributed", reason='needs pip install "kernelkit[cluster]"')
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as local,
        distributed.Client(local, set_as_default=False) as connected,  # as a client by address is
    ):
        yield connected


@pytest.fixture
def many_blocks(monkeypatch) -> None:
    """Blocks so small that there are several for each worker, and an event for each."""
    monkeypatch.setattr(cluster, "LEAST_S", 1e-4)
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)


def same(one: xr.Dataset, other: xr.Dataset) -> bool:
    eager = [str(n) for n in one.data_vars if "time" not in one[n].dims]
    assert "blocks" in eager
    assert "sharpe_ratio" in eager
    eager = [n for n in eager if n != "error"]  # objects: texts of any length
    return all(one[n].dtype == other[n].dtype and one[n].values.tobytes() == other[n].values.tobytes() for n in eager)


def killer(client: Any, when: set[int], killed: list[int]) -> Callable[[Progress], None]:
    """A listener that kills one more worker at each of these events."""
    pids = list(client.run(os.getpid).values())
    count = itertools.count()

    def listener(event: Progress) -> None:
        if next(count) in when and event.done < event.total:
            killed.append(pids.pop())
            os.kill(killed[-1], signal.SIGKILL)

    return listener


def test_cluster__equals_threads(bars, client, many_blocks):
    local = kk.backtest(bars, crossing, grid=GRID, venue=kk.venues.us_equity())
    assert same(local, kk.backtest(bars, crossing, grid=GRID, venue=kk.venues.us_equity(), client=client))
    held = list(cluster._sent[client])
    by_address = kk.backtest(
        bars, crossing, grid=GRID, venue=kk.venues.us_equity(), client=client.scheduler.address, where="slow > 60"
    )
    there = local["sharpe_ratio"].where(local["slow"] > 60)
    np.testing.assert_array_equal(by_address["sharpe_ratio"].values, there.values)
    kk.backtest(bars, crossing, grid={"fast": [7]}, client=client)
    assert list(cluster._sent[client]) == held, "the same bars were sent twice"


def test_cluster__signals_equal_threads(bars, client, many_blocks):
    wide = xr.concat([bars, bars.assign_coords(asset=["COPY"], asset_id=("asset", ["copy"]))], "asset", join="outer")
    wide["valid"][5:9, 1] = False
    for source in (bars, wide):
        local = kk.backtest(source, trend, grid=SIGNAL_GRID)
        assert same(local, kk.backtest(source, trend, grid=SIGNAL_GRID, client=client))


def test_cluster__an_interrupt_keeps_what_is_done(bars, client, many_blocks):
    def interrupt(event: Progress) -> None:
        if event.done:
            raise KeyboardInterrupt

    local = kk.backtest(bars, crossing, grid=GRID)
    with listen(interrupt):
        part = kk.backtest(bars, crossing, grid=GRID, client=client)
    done = part["sharpe_ratio"].notnull().values | part["final_equity"].notnull().values
    assert 0 < done.sum() < done.size
    assert part.attrs["interrupted"] == f"{done.sum()} of {done.size} trials done"
    np.testing.assert_array_equal(part["final_equity"].values[done], local["final_equity"].values[done])


def test_cluster__warns_once_of_another_build(bars, client, monkeypatch):
    monkeypatch.setattr(cache, "build_id", lambda: "elsewhere")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cluster._check_builds(client)
    (warning,) = caught
    text = str(warning.message)
    assert "another build of kernelkit than this process (elsewhere)" in text
    assert all(worker in text for worker in client.nthreads())


@kk.strategy
def picky(ctx, fast=20, slow=100):
    if ctx.i > 150 and fast % 3 == 0:
        raise ValueError("three at a time")
    ctx.target_percent(1.0 if ctx.close.sma(fast) > ctx.close.sma(slow) else 0.0)


@pytest.mark.parametrize("where", ["eight threads", "two processes"])
def test_progress__counts_every_trial_and_every_failure(bars, request, many_blocks, where):
    recipe = recipe_of(bars, picky, GRID)
    n = len(recipe.job.trials)
    heard: list[Progress] = []
    means = Means(request.getfixturevalue("client")) if where == "two processes" else Means()
    with listen(heard.append):
        outcome = new_outcome(n, True)
        assert not run(recipe, outcome, means, "grid", workers=8)
    failing = int((recipe.job.params[:, 0] % 3 == 0).sum())
    assert 0 < failing < n
    assert len(outcome.errors) == failing
    assert (heard[-1].done, heard[-1].total, heard[-1].failed) == (n, n, failing)
    counts = [(event.done, event.failed) for event in heard]
    assert counts == sorted(counts)
    assert len(counts) > 4


def test_cluster__errors_come_back(bars, client):
    @kk.strategy
    def broken(ctx, n=5):
        if ctx.i > 100 * n:
            raise ValueError("no more")

    with pytest.raises((ValueError, RunError), match="no more"):
        kk.backtest(bars, broken, grid={"n": [1, 2, 3]}, client=client)


def test_cluster__loses_nothing_with_its_workers(bars, client, many_blocks):
    """The first worker dies, then the other one, and with it the last copy of the data; last, for it leaves none."""
    local = kk.backtest(bars, crossing, grid=GRID)
    killed: list[int] = []
    with listen(killer(client, {0, 2}, killed)):
        assert same(local, kk.backtest(bars, crossing, grid=GRID, client=client))
    assert len(killed) == 2


def test_cluster__a_study_loses_nothing_with_a_worker(bars, client, many_blocks):
    at = bars["time"].values
    cases = [Case(k, settings={"start": at[300 + 50 * k], "end": at[1000 + 50 * k]}) for k in range(8)]
    common = Common(bars, crossing, grid=GRID)
    local = study("fold", cases, common, role="training", blocks=True)
    killed: list[int] = []
    pids = list(client.run(os.getpid).values())
    whole = cluster._Feed._result

    def result(self, future, piece):
        if not killed:
            killed.append(pids[0])
            os.kill(pids[0], signal.SIGKILL)
        return whole(self, future, piece)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster._Feed, "_result", result)
        assert same(local, study("fold", cases, common, role="training", blocks=True, means=Means(client)))
    assert len(killed) == 1


def test_cluster__refuses_other_clients(bars):
    with pytest.raises(UsageError, match=r"client: found int, wanted a dask\.distributed Client"):
        kk.backtest(bars, crossing, client=3)
    with pytest.raises(RunError, match="cluster at 'nowhere'"):
        kk.backtest(bars, crossing, client="nowhere")


def test_cluster__missing_package_names_the_extra(bars, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"kernelkit\[cluster\]"):
        kk.backtest(bars, crossing, client="tcp://127.0.0.1:1")


@pytest.mark.parametrize(("assets", "signal_"), [(1, False), (3, True)])
def test_pieces__are_whole_cells_of_sensible_size(bars, assets, signal_):
    recipe = recipe_of(bars, trend if signal_ else crossing, {"n": range(5, 300)} if signal_ else GRID)
    recipe.assets = ["A"] * assets
    recipe.job.trials = np.repeat(recipe.job.trials, assets * 20)
    pieces = cluster.pieces_of(recipe, 8)
    assert [a for a, _ in pieces] == [0, *(b for _, b in pieces[:-1])]
    assert pieces[-1][1] == len(recipe.job.trials)
    assert all((b - a) % assets == 0 for a, b in pieces)
    candles = [(b - a) * 2000 for a, b in pieces]
    assert max(candles) / cluster.CANDLES_PER_S < cluster.MOST_S
    if signal_:
        assert 0.5 * cluster.TARGET_BYTES < 8 * min(candles)
        assert 8 * max(candles) < 1.1 * cluster.TARGET_BYTES
    else:
        assert min(candles) / cluster.CANDLES_PER_S > 0.9 * cluster.LEAST_S
