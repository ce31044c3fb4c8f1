"""A run opened from a notebook, at work and afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit import reuse
from kernelkit.batch import context
from kernelkit.batch.run import run
from kernelkit.batch.runs import Recorder, Run
from kernelkit.errors import RunError, UsageError

GRID = """
import kernelkit as kk
from kernelkit import reuse
from kernelkit.batch import context
bars = kk.data.load("sp500_index")
study = kk.backtest(bars, kk.strategies.find("sma_cross"), grid={"fast": [5, 10], "slow": [20, n]})
held = kk.backtest(bars, kk.strategies.find("buy_and_hold"))
context.headline({"sharpe_ratio": float(study["sharpe_ratio"].max())})
context.keep(study, held=held)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, write_notebook: Any) -> Path:
    place = tmp_path_factory.mktemp("opened")
    path = write_notebook(place / "grid.ipynb", GRID, parameters="n = 50")
    (outcome,) = run(path, {}, place / "runs")
    return outcome.folder


def test_a_finished_run__has_its_results_labelled_and_its_files(folder: Path) -> None:
    opened = kk.open_run(folder)
    bars = kk.data.load("sp500_index")
    again = kk.backtest(bars, kk.strategies.find("sma_cross"), grid={"fast": [5, 10], "slow": [20, 50]})
    assert opened.result["sharpe_ratio"].dims == ("fast", "slow")
    xr.testing.assert_equal(opened.result["sharpe_ratio"], again["sharpe_ratio"])
    assert opened.result.attrs["params"] == again.attrs["params"]
    assert set(opened.results) == {"result", "held"}
    assert float(opened.results["held"]["total_return"]) == float(
        kk.backtest(bars, kk.strategies.find("buy_and_hold"))["total_return"]
    )
    assert opened.metrics["sharpe_ratio"] == float(again["sharpe_ratio"].max())
    assert (opened.status, opened.progress, opened.record.error) == ("done", 1.0, None)
    assert (opened.notebook, opened.report) == (folder / "notebook.ipynb", folder / "report.html")


def test_open_run__reads_values_when_they_are_looked_at(folder: Path) -> None:
    assert not kk.open_run(folder).result["sharpe_ratio"].variable._in_memory


def test_open_run__finds_by_a_short_id_and_answers_a_misspelt_one(folder: Path) -> None:
    out = folder.parent
    short = folder.name.rpartition("-")[2][:6]
    assert kk.open_run(short, out).id == kk.open_run(folder.name, out).id == kk.open_run(folder / "run.json").id
    with pytest.raises(UsageError, match=f"did you mean '{folder.name}'"):
        kk.open_run(folder.name.replace("grid", "gird"), out)
    with pytest.raises(UsageError, match="found 3, wanted the id of a run"):
        kk.open_run(3)


@pytest.mark.parametrize(("status", "todo"), [("done", "Write context.keep"), ("cancelled", "kernelkit resume a-1")])
def test_a_run_without_a_result__says_what_to_do(tmp_path: Path, status: Any, todo: str) -> None:
    with Recorder(tmp_path, Run(id="a-1", name="a", template="a")) as record:
        opened = kk.open_run(tmp_path)
        assert opened.status == "running"
        with pytest.raises(RunError, match=r"no result of a run that is running, wanted .* Wait for it"):
            _ = opened.result
        record.finish(status)
    assert opened.status == "running"
    assert opened.refresh().status == status
    with pytest.raises(RunError, match=todo):
        _ = opened.result


KEEPS = """
import sys, time
from pathlib import Path
import xarray as xr
from kernelkit.batch import context
from kernelkit.batch.runs import Recorder, Run
folder = Path(sys.argv[1])
with Recorder(folder, Run(id="a-1", name="a", template="a")) as record:
    for k in range(100_000):
        record.update(progress=k / 100_000)
        context.keep(xr.Dataset({"value": ("x", [float(k)] * 1000)}))
"""


def test_reading__never_sees_half_of_anything_and_a_killed_run_is_lost(
    tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    environment = {**os.environ, context.RUN_DIR: str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", KEEPS, str(tmp_path)], env=environment)
    killer = threading.Timer(3.0, os.kill, (process.pid, signal.SIGKILL))
    try:
        wait_for(lambda: "result" in context.kept(tmp_path))
        killer.start()
        while process.poll() is None:
            assert kk.open_run(tmp_path).status in ("running", "lost")
    finally:
        process.kill()
        process.wait()
    opened = kk.open_run(tmp_path)
    assert opened.status == "lost"
    assert len(np.unique(opened.result["value"])) == 1
    assert "kernelkit resume" in repr(opened)


def test_an_unfinished_run__shows_the_trials_that_have_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "WORTH", 0.0)
    put, left = reuse.Results.put, iter(range(4))
    # as a kill leaves it: of so few trials each is kept by itself
    monkeypatch.setattr(reuse.Results, "put", lambda *given: None if next(left, None) is None else put(*given))
    bars, cross = kk.data.load("sp500_index"), kk.strategies.find("sma_cross")
    grid = {"fast": [5, 10, 30], "slow": [20, 50]}
    cache = tmp_path / context.CACHE
    with Recorder(tmp_path, Run(id="a-1", name="a", template="a")) as record:
        res = kk.backtest(bars, cross, grid=grid, where="fast < slow", cache=cache)
        opened = kk.open_run(tmp_path)
        found = opened.result
        assert found.attrs["partial"] == "4 of 5 trials that were asked for have ended"
        assert found["sharpe_ratio"].dims == ("fast", "slow")
        ended = found["sharpe_ratio"].notnull()
        assert int(ended.sum()) == 4
        xr.testing.assert_equal(found["sharpe_ratio"], res["sharpe_ratio"].where(ended))
        assert found["sharpe_ratio"].attrs["units"] == res["sharpe_ratio"].attrs["units"]
        record.finish("failed", "cell 2: no more bars")
    assert kk.open_run(tmp_path).result.identical(found)


def test_the_windows_of_a_walk_forward__are_seen_as_they_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "WORTH", 0.0)
    bars, cross = kk.data.load("sp500_index"), kk.strategies.find("sma_cross")
    grid = {"fast": [5, 10], "slow": [50, 100]}
    kk.walk_forward(bars, cross, grid=grid, train="5Y", test="2Y", cache=tmp_path / context.CACHE)
    with Recorder(tmp_path, Run(id="a-1", name="a", template="a")):
        found = kk.open_run(tmp_path).trials["training window"]
    n = found.sizes["training window"]
    assert n > 4
    assert found.attrs["partial"] == f"{4 * n} of {4 * n} trials that were asked for have ended"
    assert bool(found["sharpe_ratio"].notnull().all())


def test_unfinished_studies_along_the_same__are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "WORTH", 0.0)
    bars, cache = kk.data.load("sp500_index"), tmp_path / context.CACHE
    cross = kk.strategies.find("sma_cross")

    @kk.strategy
    def trend(ctx, n=50):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)

    grid = {"fast": [5, 10], "slow": [50, 100]}
    kk.walk_forward(bars, cross, grid=grid, train="5Y", test="5Y", cache=cache)
    kk.walk_forward(bars, trend, grid={"n": [50, 100, 200]}, train="5Y", test="5Y", cache=cache)
    with Recorder(tmp_path, Run(id="a-1", name="a", template="a")):
        found = kk.open_run(tmp_path).trials
    assert set(found) == {f"training window of {one.name}" for one in (cross, trend)}
    windows = found[f"training window of {cross.name}"].sizes["training window"]
    assert found["training window of trend"].attrs["trials"] == 3 * windows
    assert "fast" not in found["training window of trend"].dims


def test_unfinished_trials_that_were_asked_for_again__are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reuse, "WORTH", 0.0)
    bars, cross = kk.data.load("sp500_index"), kk.strategies.find("sma_cross")
    grid, cache = {"fast": [5, 10], "slow": [50, 100]}, tmp_path / context.CACHE
    kk.backtest(bars, cross, grid=grid, cache=cache)
    later = kk.backtest(bars, cross, grid=grid, cache=cache, venue=kk.venues.fraction(0.01))
    other = kk.backtest(bars, cross, grid={**grid, "fast": [20, 30]}, cache=cache)
    with Recorder(tmp_path, Run(id="a-1", name="a", template="a")):
        found = kk.open_run(tmp_path).trials
    assert list(found) == [cross.name, f"{cross.name} (2)"]
    again = found[cross.name]
    np.testing.assert_array_equal(again["sharpe_ratio"], later["sharpe_ratio"])
    assert again.attrs["left_out"] == 4
    assert again.attrs["partial"].endswith("; 4 that were asked for again with other data or settings are left out")
    np.testing.assert_array_equal(found[f"{cross.name} (2)"]["sharpe_ratio"], other["sharpe_ratio"])


def test_the_card_of_a_run__tells_its_state_and_escapes_what_it_says(tmp_path: Path) -> None:
    with Recorder(tmp_path, Run(id="a-1", name="a", template="a")) as record:
        record.update(metrics={"sharpe_ratio": 0.5, "cagr": None})
        record.finish("failed", "cell 2: <b>no</b>")
    html = kk.open_run(tmp_path)._repr_html_()
    assert "&lt;b&gt;no&lt;/b&gt;" in html
    assert "<b>" not in html
    assert "Sharpe ratio" in html
    assert "0.50" in html
