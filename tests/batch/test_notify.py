"""Who wants to hear that a run has ended hears it, whatever became of it; their addresses are told to nobody."""

from __future__ import annotations

import json
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from kernelkit.batch import notify, runs
from kernelkit.errors import UsageError

SECRET = "s3cr3t-token"


class Server:
    """A webhook on this machine that refuses the first `refuses` messages."""

    def __init__(self) -> None:
        self.refuses, self.asked, self.heard = 0, 0, list[dict[str, Any]]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                refused = outer.asked <= outer.refuses
                if not refused:
                    outer.heard.append(json.loads(body))
                self.send_response(503 if refused else 200)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Nothing."""

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.http.server_port}/{SECRET}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever)
    thread.start()
    monkeypatch.setenv("KERNELKIT_NOTIFY_TEAM", made.url)
    yield made
    made.http.shutdown()
    thread.join()
    made.http.server_close()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "FIRST_S", 0.001)


def no_secret(folder: Path, *texts: str) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) >= 3
    for path in files:
        assert SECRET.encode() not in path.read_bytes(), path
    for text in texts:
        assert SECRET not in text


CELL = """
import os
from kernelkit.batch import context
context.headline({"sharpe_ratio": 0.71})
print(dict(os.environ))
if fails:
    raise ValueError("no bars")
"""


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(("fails", "code", "status"), [("false", 0, "done"), ("true", 1, "failed")])
def test_the_end_of_a_run__is_told_after_two_refusals(
    server: Server, invoke: Any, write_notebook: Any, tmp_path: Path, fails: str, code: int, status: str
) -> None:
    server.refuses = 2
    write_notebook(tmp_path / "a.ipynb", CELL, parameters="fails = False")
    found, out, err = invoke("run", "a.ipynb", "-p", f"fails={fails}", "--notify", "team")
    assert found == code
    (told,) = server.heard
    (run,) = runs.list_runs(tmp_path / "runs")
    assert told["title"] == f"{run.id}: {status}"
    lines = told["message"].splitlines()
    assert "Sharpe ratio 0.71" in lines
    assert lines[-1] == f"runs/{run.id}/report.html"
    assert ("cell 3: ValueError: no bars" in lines) == (status == "failed")
    assert run.notified == {"team": {"reached": 1, "missed": 0, "tries": 3}}
    assert run.origin is not None
    assert run.origin["notify"] == ["team"]
    assert "warning" not in err
    no_secret(tmp_path / "runs", out, err)


@pytest.mark.usefixtures("soon")
def test_whoever_is_not_reached__is_warned_of_and_the_run_is_done(
    server: Server, invoke: Any, write_notebook: Any, tmp_path: Path
) -> None:
    server.refuses = 99
    write_notebook(tmp_path / "a.ipynb", CELL, parameters="fails = False")
    (tmp_path / "a.yaml").write_text("template: a.ipynb\nnotify: team\n")
    with warnings.catch_warnings():
        warnings.simplefilter("always")  # the command shows them
        code, out, err = invoke("batch", "a.yaml")
    (run,) = runs.list_runs(tmp_path / "runs")
    assert (code, run.status, server.asked) == (0, "done", notify.TRIES)
    assert run.notified == {"team": {"reached": 0, "missed": 1, "tries": 5}}
    assert err.count("notify team: 1 of its addresses took no message in 5 tries") == 1
    no_secret(tmp_path / "runs", out, err)


def test_a_run_that_is_stopped__is_told_too(
    server: Server, command: Any, write_notebook: Any, tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    write_notebook(tmp_path / "a.ipynb", "import time\ntime.sleep(60)")
    process = command.start("run", "a.ipynb", "--notify", "team")
    wait_for(lambda: [run for run in runs.list_runs(tmp_path / "runs") if run.cell])
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    (run,) = runs.list_runs(tmp_path / "runs")
    assert [told["title"] for told in server.heard] == [f"{run.id}: {run.status}"]
    no_secret(tmp_path / "runs", out, err)


def test_a_second_address__is_not_told_twice_while_the_first_is_tried(
    server: Server, monkeypatch: pytest.MonkeyPatch, soon: None
) -> None:
    monkeypatch.setenv("KERNELKIT_NOTIFY_TEAM", f"{server.url}\n{server.url}/other")
    server.refuses = 1
    run = runs.Run(id="a-1", name="a", template="a", status="done")
    assert notify.tell(["team"], run, Path("runs/a-1")) == {"team": {"reached": 2, "missed": 0, "tries": 2}}
    assert (server.asked, len(server.heard)) == (3, 2)


def test_all_tries__end_in_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "MOST_S", 0.0)
    server.refuses = 99
    run = runs.Run(id="a-1", name="a", template="a", status="done")
    assert notify.tell(["team"], run, Path("runs/a-1"))["team"] == {"reached": 0, "missed": 1, "tries": 1}


def test_a_name_without_an_address__is_told_before_anything_is_written(
    invoke: Any, write_notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_notebook(tmp_path / "a.ipynb", "1")
    monkeypatch.setenv("KERNELKIT_NOTIFY_ODD", f"nothing://{SECRET}")
    for name, said in (
        ("nobody", "no $KERNELKIT_NOTIFY_NOBODY"),
        ("odd", "address 1 in $KERNELKIT_NOTIFY_ODD: found one unknown to apprise"),
        (f"json://{SECRET}", "a name with other characters"),
    ):
        code, out, err = invoke("run", "a.ipynb", "--notify", name)
        assert (code, out) == (2, "")
        assert said in err
        assert SECRET not in err
    assert not (tmp_path / "runs").exists()
    with pytest.raises(UsageError, match="The address itself belongs into the environment"):
        notify.addresses(["a b"])
