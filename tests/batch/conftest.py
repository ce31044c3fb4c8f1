"""Small notebooks that are really executed, and the command line in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kernelkit import progress
from kernelkit.batch import cli

Write = Callable[..., Path]
Invoke = Callable[..., tuple[int, str, str]]

# A cell that reports `steps` steps as the notebook display does: one display, updated in place.
STEPS = f"""
import time
from IPython.display import display, update_display
for done in range(steps + 1):
    event = {{"label": "grid", "done": done, "total": steps, "eta_s": (steps - done) * delay, "candles_per_s": 5e7,
              "failed": done // 4, "cpu_percent": 150.0, "memory_bytes": 10**9}}
    show = update_display if done else display
    show({{"{progress.MIME}": event, "text/plain": "grid"}}, raw=True, display_id="grid")
    time.sleep(delay)
"""


def _cell(kind: str, source: str, tags: list[str]) -> dict[str, Any]:
    cell = {"cell_type": kind, "source": source, "metadata": {"tags": tags}}
    return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})


@pytest.fixture(scope="session")
def write_notebook() -> Write:
    """write(path, *code, parameters="", title=""): a notebook of these code cells, as nbstripout leaves one."""

    def write(path: Path, *code: str, parameters: str = "", title: str = "") -> Path:
        cells = [_cell("markdown", f"# {title}\n\nWhat it does.", [])] if title else []
        cells += [_cell("code", parameters, ["parameters"])] if parameters else []
        cells += [_cell("code", source, []) for source in code]
        kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": {"kernelspec": kernelspec}, "cells": cells}
        path.write_text(json.dumps(notebook))
        return path

    return write


class Command:
    """`kernelkit ...` in its own process and folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "kernelkit.batch.cli", *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    made = Command(tmp_path)
    yield made
    for process in made.started:
        if process.returncode is None:
            process.terminate()
            process.communicate()


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """wait_for(condition, seconds=120): poll until it holds."""

    def wait(condition: Callable[[], object], seconds: float = 120.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.05)

    return wait


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    """invoke(*arguments): exit code, standard output and error of the command, in this process, in tmp_path."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["kernelkit", *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return call
