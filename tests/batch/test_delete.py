"""Deleting a run: all of it or nothing, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kernelkit.batch import delete as deleting
from kernelkit.batch import runs
from kernelkit.batch._process import exclusive
from kernelkit.batch.delete import delete
from kernelkit.errors import RunError


def write(folder: Path, **fields: str) -> Path:
    folder.mkdir(parents=True)
    run = runs.Run(**{"id": folder.name, "name": "a", "template": "a", "status": "done", **fields})
    (folder / runs.FILE).write_text(json.dumps(run.to_json()))
    (folder / "result.zarr").mkdir()
    return folder


def test_what_a_kill_leaves_is_no_run_and_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = write(tmp_path / "a-1"), write(tmp_path / "b-1")

    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(deleting.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            delete(one)
    assert [run.id for run in runs.list_runs(tmp_path)] == ["b-1"]
    assert len(list(tmp_path.iterdir())) == 2
    delete(other)
    assert list(tmp_path.iterdir()) == []


def test_a_lost_run_can_be_deleted(tmp_path: Path) -> None:
    delete(write(tmp_path / "a-1", status="running", host="elsewhere", heartbeat="2026-01-01T00:00:00.000Z"))
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_begins_right_now_is_not_deleted(tmp_path: Path) -> None:
    folder = write(tmp_path / "a-1")
    code = "import sys; from pathlib import Path; from kernelkit.batch.delete import delete; delete(Path(sys.argv[1]))"
    with exclusive(folder):
        done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)
    assert "is being run by another process" in done.stderr
    assert folder.is_dir()


def test_what_is_no_run_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "bars").mkdir()
    with pytest.raises(RunError, match="not the folder of a run"):
        delete(tmp_path / "bars")
    (tmp_path / "a-1").symlink_to(write(tmp_path / "elsewhere" / "a-1"))
    with pytest.raises(RunError, match="a link to another folder"):
        delete(tmp_path / "a-1")
    assert (tmp_path / "elsewhere" / "a-1" / runs.FILE).is_file()


def test_a_folder_that_cannot_be_moved_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "a-1")

    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(RunError, match=r"a-1 cannot be deleted: Permission denied"):
        delete(folder)
    assert (folder / runs.FILE).is_file()
