"""`kernelkit resume` and `kernelkit cancel`: runs that are taken up as their records say, and runs that are stopped."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernelkit.batch import _process, again, runs
from kernelkit.batch.cancel import cancel
from kernelkit.batch.run import run
from kernelkit.errors import RunError

from .conftest import STEPS

Invoke = Callable[..., tuple[int, str, str]]

# Draws numbers from a seed; fails at its third fold until there is the file `ready` where it was started.
DRAWS = """
import random
from pathlib import Path
import numpy as np
from kernelkit.batch import context
from kernelkit.kernels.job import new_outcome
from kernelkit.reuse import Results
store, keys, found = Results(context.means()["cache"]), np.arange(8, dtype="u8").view("V16"), new_outcome(4, False)
store.find(keys, found)
for fold in np.flatnonzero(~found.done).tolist():
    if fold == 2 and not Path("ready").exists():
        raise RuntimeError("the data of fold 2 are not there yet")
    with open("log", "a") as log:
        log.write(f"{fold} ")
    found.headline[fold], found.done[fold] = random.Random(f"{seed} {fold} {pair}").random(), True
    store.put(keys[fold : fold + 1], found.part(fold, fold + 1))
context.headline({"sum": float(found.headline[:, 0].sum()), "pairs": len(pair)})
"""
DECLARES = "seed = 1\npair: list = [1, 2]\ntext: str = 'a'"


@pytest.fixture
def left(tmp_path: Path, write_notebook: Any, command: Any) -> Path:
    """The folder of a run that ended at its third fold, and goes on by now."""
    write_notebook(tmp_path / "draws.ipynb", DRAWS, parameters=DECLARES)
    given = ("-p", "seed=7", "-p", "pair=[3, [4, 5]]", "-p", "text='x,y'")
    assert command.run("run", "draws.ipynb", *given, "--hide-code").returncode == 1
    (found,) = (tmp_path / "runs").iterdir()
    (tmp_path / "ready").touch()
    return found


def test_a_run_goes_on_from_anywhere_and_again_gives_the_same_numbers(
    tmp_path: Path, left: Path, write_notebook: Any, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = runs.read_run(left)
    assert before.status == "failed"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr("sys.argv", ["kernelkit"])
    (outcome,) = again.resume([Path("..", "runs", left.name)])
    assert (tmp_path / "log").read_text() == "0 1 2 3 "
    assert Path.cwd() == elsewhere
    done = outcome.run
    assert (done.status, done.id, done.created, done.parameters) == (
        *("done", before.id, before.created),
        {"seed": 7, "pair": [3, [4, 5]], "text": "x,y"},
    )
    assert "random.Random" not in (left / "report.html").read_text()
    code = json.loads((left / "notebook.ipynb").read_text())["cells"][1]["source"]
    assert "pair = [3, [4, 5]]" in "".join(code)

    monkeypatch.chdir(tmp_path)
    code, out, _ = invoke("resume", "draws")
    assert (code, out.endswith("already done; --force runs it again\n")) == (0, True)
    code, out, _ = invoke("resume", "draws", "--force")
    assert (code, out.startswith(f"runs/{left.name}  sum=")) == (0, True)
    assert (tmp_path / "log").read_text() == "0 1 2 3 0 1 2 3 "
    assert runs.read_run(left).metrics == done.metrics


def test_what_has_changed_is_told_and_not_run(
    tmp_path: Path, left: Path, write_notebook: Any, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_notebook(tmp_path / "draws.ipynb", DRAWS + "\n", parameters=DECLARES)
    code, out, err = invoke("resume", left.name)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "found another notebook, or another file that its parameters name, wanted what it was made with" in err

    write_notebook(tmp_path / "draws.ipynb", DRAWS, parameters=DECLARES)
    now = {**runs.read_run(left).versions, "numba": "0.1"}
    monkeypatch.setattr("kernelkit.batch.provenance.versions", lambda: now)
    assert (
        f"found numba 0.1, which was {runs.read_run(left).versions['numba']}, wanted" in invoke("resume", left.name)[2]
    )
    (tmp_path / "draws.ipynb").unlink()
    assert "draws.ipynb: there is no such notebook" in invoke("resume", left.name)[2]
    assert (tmp_path / "log").read_text() == "0 1 "


@pytest.mark.parametrize(
    ("origin", "complaint"),
    [
        (None, "found none, wanted the folder where it was started. Type the command again"),
        ({"folder": "/no/such/folder"}, "found no /no/such/folder, wanted one that is there"),
        ({"folder": "/"}, "found KeyError: 'values', wanted notebook, folder, values, cluster and hide_code"),
        ({"folder": "/", "values": {"n": "print()"}}, "found ValueError: malformed node"),
    ],
)
def test_a_record_that_does_not_say_how_is_refused(
    tmp_path: Path, origin: dict[str, Any] | None, complaint: str
) -> None:
    record = runs.Run(id="a-1", name="a", template="a", status="cancelled", origin=origin)
    (tmp_path / runs.FILE).write_text(json.dumps(record.to_json()))
    with pytest.raises(RunError) as caught:
        again.resume([tmp_path])
    assert complaint in str(caught.value)


def test_a_template_of_the_package_is_kept_by_its_name(tmp_path: Path) -> None:
    from kernelkit.batch.plan import plan

    (job,) = plan("walk_forward", {"train": "4Y"}, tmp_path)
    assert job.origin == {
        "notebook": "walk_forward",
        "folder": str(Path.cwd()),
        "values": {"train": "'4Y'"},
        "cluster": None,
        "hide_code": False,
        "notify": [],
    }


def test_all_that_were_stopped_or_lost_and_no_others(tmp_path: Path, write_notebook: Any, invoke: Invoke) -> None:
    assert invoke("resume", "--all")[::2] == (
        2,
        "kernelkit: runs: there is no such folder; --out is where 'kernelkit run' keeps its runs\n",
    )
    cell = "from kernelkit.batch import context\ncontext.headline({'n': n})"
    write_notebook(tmp_path / "a.ipynb", cell, parameters="n = 1")
    made = run(tmp_path / "a.ipynb", {"n": [1, 2, 3, 4]}, tmp_path / "runs")
    for outcome, status in zip(made, ("cancelled", "running", "failed", "done"), strict=True):
        # a record that says running, of a process that there is not: lost
        stopped = dataclasses.replace(outcome.run, status=status, pid_started="gone", metrics={})
        (outcome.folder / runs.FILE).write_text(json.dumps(stopped.to_json()))
    code, out, err = invoke("resume", "--all", "--jobs", "2")
    assert (code, [line.split()[1] for line in out.splitlines()]) == (0, ["n=1", "n=2"]), err
    by_n = {found.parameters["n"]: found.status for found in runs.list_runs(tmp_path / "runs")}
    assert by_n == {1: "done", 2: "done", 3: "failed", 4: "done"}
    assert invoke("resume", "--all") == (0, "runs: no run was cancelled or lost\n", "")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("resume",), "wanted the ids of runs, or --all"),
        (("resume", "a", "--all"), "wanted the ids of runs, or --all"),
        (("resume", "--all", "--force"), "--force is for runs that are named by their ids"),
        (("cancel", "a"), "there is no run 'a' below runs"),
    ],
)
def test_wrong_usage(tmp_path: Path, invoke: Invoke, arguments: tuple[str, ...], complaint: str) -> None:
    (tmp_path / "runs").mkdir()
    code, out, err = invoke(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert complaint in err


def test_cancel_stops_one_run_of_several_and_resume_goes_on(
    tmp_path: Path, write_notebook: Any, command: Any, wait_for: Any
) -> None:
    endless = write_notebook(tmp_path / "endless.ipynb", STEPS, parameters="steps = 36000\ndelay = 0.1")
    process = command.start("run", str(endless), "-p", "steps=20,36000", "--jobs", "2")

    def at_work() -> list[runs.Run]:
        found = runs.list_runs(tmp_path / "runs")
        return [one for one in found if one.parameters["steps"] == 36000 and one.candles_per_s is not None]

    wait_for(at_work)
    (running,) = at_work()
    cancelled = command.run("cancel", running.id)
    assert (cancelled.returncode, cancelled.stdout) == (0, f"{running.id}: cancelled\n")
    found = runs.read_run(tmp_path / "runs" / running.id)
    assert (found.status, found.error) == ("cancelled", "Interrupted: SIGTERM")
    assert _process.started(found.pid) != found.pid_started
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"1 of 2 runs failed; see runs/{running.id}/run.json" in err
    others = [one.status for one in runs.list_runs(tmp_path / "runs") if one.id != running.id]
    assert others == ["done"]
    twice = command.run("cancel", running.id)
    assert (twice.returncode, twice.stderr.count("\n")) == (1, 1)
    assert "is not running, it is cancelled: there is nothing to stop" in twice.stderr


def running_as(folder: Path, process: subprocess.Popen[bytes], **fields: Any) -> Path:
    """A record that says that `process` is at work."""
    own: dict[str, Any] = {
        "pid": process.pid,
        "pid_started": _process.started(process.pid),
        "heartbeat": runs.utc_now(),
    }
    record = runs.Run(id="a-1", name="a", template="a", **{"host": os.uname().nodename, **own, **fields})
    (folder / runs.FILE).write_text(json.dumps(record.to_json()))
    return folder


def test_what_cannot_be_cancelled_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(flush=True)\ninput()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(RunError, match=rf"a-1 is queued by process {process.pid} on .*; cancel it in JupyterLab"):
            cancel(running_as(tmp_path, process, status="queued"))
        assert process.poll() is None
        with pytest.raises(RunError, match=r"a-1 runs on elsewhere, and this is .*; type the same command there"):
            cancel(running_as(tmp_path, process, host="elsewhere"))
        with pytest.raises(RunError, match=rf"has not within 0\.3 s; kill -9 {process.pid} ends it"):
            cancel(running_as(tmp_path, process), wait=0.3)

        def forbidden(pid: int, token: str) -> bool:
            raise PermissionError

        monkeypatch.setattr("kernelkit.batch.cancel.tell_to_stop", forbidden)
        with pytest.raises(RunError, match="another user's"):
            cancel(running_as(tmp_path, process))
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("with_descriptor", [True, False])
def test_a_number_that_is_another_process_by_now_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, with_descriptor: bool
) -> None:
    if not with_descriptor:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    token = _process.started(process.pid)
    assert token is not None
    assert not _process.tell_to_stop(process.pid, "another boot:1")
    assert process.poll() is None
    assert _process.tell_to_stop(process.pid, token)
    assert process.wait(30) == -signal.SIGTERM
    assert not _process.tell_to_stop(process.pid, token)
    process.communicate()
