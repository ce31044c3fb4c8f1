"""The list is true after everything was killed: a run at work, and the server that showed it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

TOKEN = "t"
START_S = 60
# It waits to be killed at the first time, and ends at the second.
SOURCE = """
import pathlib, time
here = pathlib.Path("begun")
if not here.exists():
    here.touch()
    time.sleep(600)
"""


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def serve(root: Path, started: list[subprocess.Popen[bytes]]) -> str:
    """Start a server in `root`; returns the address of its runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [f"--ServerApp.root_dir={root}", f"--port={port}", f"--IdentityProvider.token={TOKEN}", "--allow-root"]
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(root / "config"),
        "JUPYTER_RUNTIME_DIR": str(root / "runtime"),
    }
    extension = """--ServerApp.jpserver_extensions={"kernelkit.batch.lab": True}"""
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", *options, extension]
    with (root / "server.log").open("ab") as log:
        started.append(subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log))
    return f"http://127.0.0.1:{port}/kernelkit/runs?token={TOKEN}"


def listed(url: str) -> list[dict[str, object]]:
    """The runs that the server lists, when it answers."""
    end = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)["runs"]
        except urllib.error.URLError:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.1)


def kill(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_run_and_its_server_are_killed__it_is_lost_and_can_be_resumed(tmp_path, started):
    cells = [nbformat.v4.new_code_cell(SOURCE)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), tmp_path / "long.ipynb")
    url = serve(tmp_path, started)
    command = [sys.executable, "-m", "kernelkit.batch.cli"]
    run = subprocess.Popen([*command, "run", "long.ipynb"], cwd=tmp_path, stdout=subprocess.DEVNULL)
    started.append(run)
    end = time.monotonic() + START_S
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < end, "the notebook did not start"
        time.sleep(0.1)
    [before] = listed(url)
    assert before["status"] == "running"
    kill(run)
    [after] = listed(url)
    assert after["status"] == "lost"
    kill(started[0])
    url = serve(tmp_path, started)
    [again] = listed(url)
    assert (again["id"], again["status"]) == (before["id"], "lost")
    subprocess.run([*command, "resume", "--all"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    [done] = listed(url)
    assert (done["id"], done["status"]) == (before["id"], "done")
