from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kernelkit.batch import _process, runs
from kernelkit.errors import RunError

Wait = Callable[..., None]


def record(folder: Path, **fields: Any) -> Path:
    """A record on disk, as this process would keep it."""
    own = {
        "id": folder.name,
        "name": "a",
        "template": "a",
        "pid": os.getpid(),
        "pid_started": _process.started(os.getpid()),
        "host": socket.gethostname(),
        "created": runs.utc_now(),
        "heartbeat": runs.utc_now(),
    }
    folder.mkdir(parents=True)
    (folder / runs.FILE).write_text(json.dumps(runs.Run(**{**own, **fields}).to_json()))
    return folder


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def test_a_living_run_is_running(tmp_path: Path) -> None:
    assert runs.read_run(record(tmp_path / "a")).status == "running"
    assert runs.read_run(tmp_path / "a" / runs.FILE).status == "running"


@pytest.mark.parametrize("status", runs.LIVE)
def test_a_run_whose_process_is_gone_is_lost(tmp_path: Path, status: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record(tmp_path / "a", status=status, pid=process.pid, pid_started=_process.started(process.pid))
    assert runs.read_run(tmp_path / "a").status == status
    process.kill()
    # still a zombie: nobody has waited for it
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert runs.read_run(tmp_path / "a").status == "lost"
    process.communicate()
    assert runs.read_run(tmp_path / "a").status == "lost"


def test_a_process_number_given_to_another_process_is_not_the_run(tmp_path: Path) -> None:
    assert runs.read_run(record(tmp_path / "a", pid_started="another boot:1")).status == "lost"


@pytest.mark.parametrize("host", [socket.gethostname(), "elsewhere"])
def test_a_run_without_heartbeats_is_lost(tmp_path: Path, host: str) -> None:
    assert runs.read_run(record(tmp_path / "old", host=host, heartbeat=ago(runs.STALE_S + 5))).status == "lost"
    assert runs.read_run(record(tmp_path / "new", host=host, heartbeat=ago(runs.STALE_S / 2))).status == "running"


def test_another_machines_process_numbers_mean_nothing_here(tmp_path: Path) -> None:
    assert runs.read_run(record(tmp_path / "a", host="elsewhere", pid=2**22 + 1)).status == "running"


@pytest.mark.parametrize("status", ["done", "failed", "cancelled"])
def test_an_ended_run_stays_what_it_is(tmp_path: Path, status: str) -> None:
    assert runs.read_run(record(tmp_path / "a", status=status, pid_started="gone", heartbeat=ago(1e6))).status == status


def test_a_record_of_an_earlier_version_is_read_in_todays_words(tmp_path: Path) -> None:
    assert runs.read_run(record(tmp_path / "a", status="interrupted")).status == "cancelled"


def test_start_times_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_process, "_PROC", Path("/nowhere"))
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = _process.started(process.pid)
    assert start
    assert _process.started(process.pid) == start
    process.communicate(b"\n")
    assert _process.started(process.pid) is None


def test_lists_newest_first_and_explains_what_it_cannot_read(tmp_path: Path) -> None:
    record(tmp_path / "old", status="done", created=ago(100))
    record(tmp_path / "new", status="done", created=ago(1))
    (tmp_path / "no_run").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / runs.FILE).write_text('{"schema": 1')
    found = runs.list_runs(tmp_path)
    assert [run.id for run in found] == ["new", "old", "torn"]
    assert found[-1].status == "failed"
    assert "not JSON" in str(found[-1].error)
    assert len(runs.table(found).splitlines()) == 4
    assert runs.list_runs(tmp_path / "nothing") == []


def test_table__tells_runs_of_a_batch_apart_by_what_they_were_given() -> None:
    origin = {"values": {"train": "'2Y'", "data": "'x'"}}
    made = runs.Run(
        id="a-1", name="a", template="a", parameters={"train": "2Y", "data": "x", "fee": 0.0}, origin=origin
    )
    long = dataclasses.replace(made, parameters={"train": "2Y", "data": "x" * 100})
    head, first, second, third = runs.table([made, long, dataclasses.replace(made, origin={"values": 3})]).splitlines()
    assert first[head.index("GIVEN") :].rstrip() == "train=2Y, data=x"
    assert second.endswith("xxx…")
    assert "train" not in third


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": 2}, "schema is 2, wanted 1"),
        ({"id": None}, "id is None"),
        ({"status": "lost"}, "status is 'lost'"),
        ({"metrics": []}, r"metrics is \[\]"),
        ({"metrics": {"a": "txt"}}, r"metrics\['a'\] is 'txt'"),
        ({"versions": {"numpy": 3}}, r"versions\['numpy'\] is 3"),
        ({"progress": "half"}, "progress is 'half'"),
    ],
)
def test_a_foreign_record_is_refused(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    file = record(tmp_path / "a") / runs.FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(RunError, match=complaint):
        runs.read_run(tmp_path / "a")


def test_no_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no run\.json here"):
        runs.read_run(tmp_path)


def new(tmp_path: Path, **fields: Any) -> runs.Recorder:
    return runs.Recorder(tmp_path, runs.Run(id="a-1", name="a", template="a", **fields))


def test_a_recorder_writes_while_the_process_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_for: Wait
) -> None:
    monkeypatch.setattr(runs, "WRITE_S", 0.01)
    monkeypatch.setattr(runs, "HEARTBEAT_S", 0.05)
    with new(tmp_path) as record:
        first = runs.read_run(tmp_path)
        assert (first.status, first.pid, first.host) == ("running", os.getpid(), socket.gethostname())
        wait_for(lambda: runs.read_run(tmp_path).heartbeat > first.heartbeat, 30)
        record.update(progress=0.5, cell=3, metrics={"sharpe_ratio": 1.0})
        wait_for(lambda: runs.read_run(tmp_path).progress == 0.5, 30)
        assert runs.read_run(tmp_path).metrics == {"sharpe_ratio": 1.0}
        record.finish("done")
    last = runs.read_run(tmp_path)
    assert (last.status, last.progress, last.cell) == ("done", 1.0, 3)
    assert last.finished is not None
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("heartbeat")]
    assert [path.name for path in tmp_path.iterdir()] == [runs.FILE]


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ValueError("no bars\nat all"), "failed", "ValueError: no bars"),
        (KeyboardInterrupt(), "cancelled", "KeyboardInterrupt"),
        (_process.Interrupted(15), "cancelled", "Interrupted: SIGTERM"),
    ],
)
def test_leaving_by_an_exception_records_it(tmp_path: Path, error: BaseException, status: str, text: str) -> None:
    with pytest.raises(type(error)), new(tmp_path):
        raise error
    found = runs.read_run(tmp_path)
    assert (found.status, found.error, found.progress) == (status, text, 0.0)


def test_a_full_disk_is_survived_until_the_end_and_then_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_for: Wait
) -> None:
    monkeypatch.setattr(runs, "WRITE_S", 0.01)
    failures: list[int] = []

    def full(path: Path, content: bytes) -> None:
        failures.append(1)
        raise OSError(28, "No space left on device")

    record = new(tmp_path)
    record.__enter__()
    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_atomic", full)
        record.update(cell=1)
        wait_for(lambda: len(failures) > 2, 30)
        with pytest.raises(OSError, match="No space left"):
            record.finish("done")
    record.finish("done")
    assert runs.read_run(tmp_path).status == "done"


def test_every_field_of_the_record_is_checked_on_reading() -> None:
    assert set(runs._KINDS) == {field.name for field in dataclasses.fields(runs.Run)}


def test_only_one_process_holds_a_folder(tmp_path: Path) -> None:
    code = f"""
import pathlib
from kernelkit.batch._process import exclusive
with exclusive(pathlib.Path({str(tmp_path)!r})):
    print("held", flush=True)
    input()
"""
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(RunError, match="is being run by another process"), _process.exclusive(tmp_path):
        pass
    other.kill()
    other.communicate()
    with _process.exclusive(tmp_path):
        pass
