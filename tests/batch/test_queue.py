"""Runs that wait for their turn in a process that does other things."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kernelkit.batch import pool, queue, runs
from kernelkit.batch.plan import Job, plan
from kernelkit.errors import RunError, UsageError

from .conftest import STEPS

Wait = Callable[..., None]


@pytest.fixture
def endless(tmp_path: Path, write_notebook: Any) -> Path:
    path: Path = write_notebook(tmp_path / "endless.ipynb", STEPS, parameters="steps = 36000\ndelay = 0.1")
    return path


@pytest.fixture
def quick(tmp_path: Path, write_notebook: Any) -> Path:
    path: Path = write_notebook(
        tmp_path / "quick.ipynb", "from pathlib import Path\nPath(f'{n}.txt').touch()", parameters="n = 1"
    )
    return path


@pytest.fixture
def made() -> Iterator[queue.Queue]:
    made = queue.Queue(jobs=1)
    yield made
    made.close()


def asked(notebook: Path, values: dict[str, object], **options: Any) -> list[Job]:
    return plan(notebook, values, notebook.parent / "runs", place=notebook.parent, **options)


def found(root: Path) -> list[runs.Run]:
    return sorted(runs.list_runs(root / "runs"), key=lambda run: str(run.parameters))


def states(root: Path) -> list[str]:
    return [run.status for run in found(root)]


def test_add__answers_at_once_and_works_through(tmp_path: Path, quick: Path, made: Any, wait_for: Wait) -> None:
    outcomes = made.add(asked(quick, {"n": "1,2"}))
    assert [(outcome.run.status, outcome.fresh) for outcome in outcomes] == [("queued", True), ("queued", True)]
    assert outcomes[0].run.parameters == {"n": 1}
    wait_for(lambda: states(tmp_path) == ["done", "done"])
    # they are made where it was said, and not where this process is
    assert (tmp_path / "1.txt").exists()
    assert (tmp_path / "2.txt").exists()
    (again,) = made.add(asked(quick, {"n": 2}))
    assert (again.run.status, again.fresh) == ("done", False)
    (forced,) = made.add(asked(quick, {"n": 2}, force=True))
    assert (forced.run.status, forced.fresh) == ("queued", True)
    wait_for(lambda: states(tmp_path) == ["done", "done"])


def test_cancel__takes_out_what_waits_and_stops_what_works(
    tmp_path: Path, endless: Path, made: Any, wait_for: Wait
) -> None:
    first, second, third = (o.run.id for o in made.add(asked(endless, {"steps": "35000,36000,37000"})))
    wait_for(lambda: runs.read_run(tmp_path / "runs" / first).candles_per_s is not None)
    assert made.cancel(second).status == "cancelled"
    assert runs.read_run(tmp_path / "runs" / second).status == "cancelled"
    assert made.cancel(first).status == "cancelled"
    wait_for(lambda: runs.read_run(tmp_path / "runs" / third).status == "running")
    assert [o.run.status for o in made.add(asked(endless, {"steps": "37000"}))] == ["running"]
    with pytest.raises(RunError, match="is not in the queue of this server"):
        made.cancel(second)


def test_cancel__what_waited_to_be_made_again_is_what_it_was(
    tmp_path: Path, quick: Path, endless: Path, made: Any, wait_for: Wait
) -> None:
    made.add(asked(quick, {}))
    wait_for(lambda: states(tmp_path) == ["done"])
    (done,) = runs.list_runs(tmp_path / "runs")
    made.add(asked(endless, {}))
    made.add(asked(quick, {}, force=True))
    assert runs.read_run(tmp_path / "runs" / done.id).status == "queued"
    assert made.cancel(done.id) == done
    assert runs.read_run(tmp_path / "runs" / done.id) == done


def test_cancel__of_what_json_spells_otherwise(endless: Path, tmp_path: Path, write_notebook: Any, made: Any) -> None:
    pair = write_notebook(tmp_path / "pair.ipynb", "print(names)", parameters="names = ('a', 'b')")
    made.add(asked(endless, {}))
    (waits,) = made.add(asked(pair, {}))
    assert waits.run.parameters == {"names": ["a", "b"]}
    assert made.cancel(waits.run.id).status == "cancelled"
    assert runs.read_run(waits.folder).status == "cancelled"


def test_cancel__before_its_process_has_come_to_its_record(endless: Path, made: Any, wait_for: Wait) -> None:
    (only,) = made.add(asked(endless, {}))
    wait_for(lambda: made._pool.working)
    assert made.cancel(only.run.id).status == "cancelled"
    assert only.run.id not in made
    assert runs.read_run(only.folder).status == "cancelled"


def full(*given: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk__leaves_what_was_to_be_cancelled_in_the_queue(
    endless: Path, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, waits = made.add(asked(endless, {"steps": "35000,36000"}))
    with monkeypatch.context() as disk:
        disk.setattr(runs, "write", full)
        with pytest.raises(RunError, match="cannot be written: No space left on device"):
            made.cancel(waits.run.id)
    assert waits.run.id in made
    assert made.cancel(waits.run.id).status == "cancelled"


def test_a_full_disk__how_a_run_ended_is_written_when_it_is_free_again(
    tmp_path: Path, quick: Path, made: Any, wait_for: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    made.add(asked(quick, {"n": "1,2"}))
    with monkeypatch.context() as disk:
        disk.setattr(runs, "write", full)
        wait_for(lambda: len(made._over) == 2, 20)
        assert states(tmp_path) == ["queued", "queued"]
    wait_for(lambda: states(tmp_path) == ["failed", "failed"], 20)


def test_a_full_disk__does_not_keep_what_is_at_work_from_being_stopped(
    endless: Path, wait_for: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = queue.Queue(jobs=1)
    made.add(asked(endless, {"steps": "35000,36000"}))
    wait_for(lambda: made._pool.working)
    process = made._pool._working[0].process
    with monkeypatch.context() as disk:
        disk.setattr(runs, "write", full)
        made.close()
    assert process.returncode is not None


def test_pool__what_has_ended_is_told_though_the_next_cannot_be_started(
    quick: Path, wait_for: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    first, second = asked(quick, {"n": "1,2"})
    several = pool.Pool(1, [first, second])
    several.step()
    several._working[0].process.wait(20)
    monkeypatch.setattr(sys, "executable", "/no/such/file")
    with pytest.raises(FileNotFoundError):
        several.step()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert [ended.job.id for ended in several.step()] == [first.id]
    several.stop()


def test_close__stops_everything_and_says_so(tmp_path: Path, endless: Path, wait_for: Wait) -> None:
    made = queue.Queue(jobs=1)
    made.add(asked(endless, {"steps": "35000,36000"}))
    wait_for(lambda: states(tmp_path) == ["running", "queued"] and found(tmp_path)[0].cells)
    made.close()
    worked, waited = found(tmp_path)
    assert (worked.status, worked.error) == ("cancelled", "Interrupted: SIGTERM")
    assert (waited.status, waited.error) == ("cancelled", "the server was stopped before its turn")
    with pytest.raises(RunError, match="stopping"):
        made.add(asked(endless, {}))


SERVER = """
import sys, time
from pathlib import Path
from kernelkit.batch.plan import plan
from kernelkit.batch.queue import Queue

here = Path(sys.argv[1])
Queue(1).add(plan(here / "endless.ipynb", {"steps": "35000,36000"}, here / "runs", place=here))
time.sleep(600)
"""


def test_a_killed_server__leaves_what_waited_lost_and_what_worked_at_work(
    tmp_path: Path, endless: Path, command: Any, wait_for: Wait
) -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(tmp_path)])
    try:
        wait_for(lambda: states(tmp_path) == ["running", "queued"] and found(tmp_path)[0].cells)
    finally:
        server.kill()
        server.wait()
    assert states(tmp_path) == ["running", "lost"]
    worker, lost = found(tmp_path)
    os.kill(worker.pid, signal.SIGTERM)
    wait_for(lambda: states(tmp_path) == ["cancelled", "lost"], 60)
    taken_up = command.start("resume", lost.id)
    wait_for(lambda: runs.read_run(tmp_path / "runs" / lost.id).status == "running")
    taken_up.send_signal(signal.SIGTERM)
    taken_up.communicate(timeout=60)
    assert states(tmp_path) == ["cancelled", "cancelled"]


def test_a_process_that_never_comes_to_its_record__is_a_failure(
    tmp_path: Path, quick: Path, made: Any, wait_for: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    made.add(asked(quick, {}))
    wait_for(lambda: states(tmp_path) == ["failed"], 20)
    assert runs.list_runs(tmp_path / "runs")[0].error == "its process ended with 1"


def test_what_waits__keeps_its_heartbeat(
    tmp_path: Path, endless: Path, made: Any, wait_for: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_BEAT_S", 0.5)
    *_, waits = made.add(asked(endless, {"steps": "35000,36000"}))
    before = runs.read_run(waits.folder).heartbeat
    wait_for(lambda: runs.read_run(waits.folder).heartbeat > before, 20)
    assert runs.read_run(waits.folder).status == "queued"


def test_add__more_than_it_holds(endless: Path, made: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"found 1,001 runs beside 0, wanted at most 1,000 that wait"):
        made.add(asked(endless, {"steps": "1:1001:1"}))
    assert not (tmp_path / "runs").exists()
