"""Runs that are stopped from outside: what their records say, and that nothing is left running."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

from kernelkit.batch import _process, runs
from kernelkit.batch._client import _Client

from .conftest import STEPS

Wait = Callable[..., None]

NOTE_PID = """
import os
from kernelkit.batch import context
(context.run_dir() / "kernel.pid").write_text(str(os.getpid()))
context.headline({"n_folds": 3})
"""


@pytest.fixture
def endless(tmp_path: Path, write_notebook: Any) -> Path:
    """A notebook that reports progress for an hour."""
    path: Path = write_notebook(tmp_path / "endless.ipynb", NOTE_PID, STEPS, parameters="steps = 36000\ndelay = 0.1")
    return path


def at_work(root: Path) -> list[runs.Run]:
    return [run for run in runs.list_runs(root) if run.candles_per_s is not None]


@pytest.mark.parametrize(
    ("signum", "status", "error"),
    [(signal.SIGTERM, "cancelled", "Interrupted: SIGTERM"), (signal.SIGKILL, "lost", None)],
    ids=["SIGTERM", "SIGKILL"],
)
def test_a_signal_is_recorded_and_the_kernel_goes(
    tmp_path: Path, endless: Path, command: Any, wait_for: Wait, signum: int, status: str, error: str | None
) -> None:
    process = command.start("run", str(endless), "--out", "runs")
    wait_for(lambda: at_work(tmp_path / "runs"))
    (running,) = at_work(tmp_path / "runs")
    assert (running.status, running.pid) == ("running", process.pid)
    folder = tmp_path / "runs" / running.id
    kernel = int((folder / "kernel.pid").read_text())
    token = _process.started(kernel)
    assert token is not None

    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    found = runs.read_run(folder)
    assert (found.status, found.error) == (status, error)
    assert found.progress >= running.progress
    wait_for(lambda: _process.started(kernel) != token, 30)
    json.loads((folder / "notebook.ipynb").read_text())
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    assert "Traceback" not in err
    if signum == signal.SIGTERM:
        assert process.returncode == 128 + signal.SIGTERM
        assert found.metrics == {"n_folds": 3.0}
        assert err.splitlines()[-1] == "kernelkit: stopped; the same command goes on from here"
    else:
        assert process.returncode == -signal.SIGKILL


def test_a_cell_that_a_signal_left_behind_ends_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel is stopped after it; asyncio prints what tasks end with that nobody asks."""

    async def dies(self: Any) -> None:
        raise DeadKernelError("Kernel died")

    monkeypatch.setattr(NotebookClient, "async_execute_cell", dies)
    said: list[dict[str, Any]] = []

    async def left_behind() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        await asyncio.wait([asyncio.ensure_future(_Client.async_execute_cell(object.__new__(_Client)))])
        gc.collect()

    asyncio.run(left_behind())
    assert said == []


def test_ctrl_c_stops_all_runs_of_a_batch(tmp_path: Path, endless: Path, command: Any, wait_for: Wait) -> None:
    process = command.start("run", str(endless), "-p", "steps=35000,36000", "--jobs", "2", "--out", "runs")
    wait_for(lambda: len(at_work(tmp_path / "runs")) == 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    found = runs.list_runs(tmp_path / "runs")
    assert [run.status for run in found] == ["cancelled", "cancelled"]
    assert {run.parameters["steps"] for run in found} == {35000, 36000}
    assert all(_process.started(run.pid) is None for run in found)
    assert "Traceback" not in err


def test_only_the_first_signal_interrupts() -> None:
    seen = []

    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            seen.append("clean-up went on")

    with pytest.raises(_process.Interrupted) as caught, _process.stoppable():
        work()
    assert seen == ["clean-up went on"]
    assert caught.value.signum == signal.SIGTERM


def test_handlers_are_put_back_and_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    usual = signal.getsignal(signal.SIGTERM)
    try:
        with _process.stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGTERM) is not usual
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.getsignal(signal.SIGTERM) is usual
