"""What a notebook knows of its run, in a batch and in front of a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernelkit.batch import context


def test_the_context_of_a_batch_run_and_of_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (context.RUN_DIR, context.CLUSTER):
        monkeypatch.delenv(name, raising=False)
    assert context.run_dir() is None
    assert context.means() == {"client": None, "cache": None}
    monkeypatch.setenv(context.RUN_DIR, str(tmp_path))
    monkeypatch.setenv(context.CLUSTER, "tcp://host:8786")
    assert context.run_dir() == tmp_path
    assert context.means() == {"client": "tcp://host:8786", "cache": tmp_path / "trials"}
