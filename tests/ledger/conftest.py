"""A ledger of the test's own, filled by hand or by runs."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelkit import ledger
from kernelkit.kernels.job import Outcome, new_outcome
from kernelkit.ledger import writing

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of the test's own."""
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def new_process() -> Callable[[], None]:
    """From now on this process writes to other logs, as another one would: the former have ended."""

    def end() -> None:
        for log in writing._open.values():
            log.close()
        writing._open.clear()

    return end


def python(code: str, cwd: Path, *arguments: object, **env: str) -> subprocess.Popen[str]:
    """Another process that runs this code."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome_of(blocks: np.ndarray, edges: list[int], level: int = 0) -> Outcome:
    """What trials came to that have these returns (trial, session), one session in each block of these numbers."""
    n, m = blocks.shape
    out = new_outcome(n, True)
    assert out.blocks is not None
    out.done[:], out.meta[:], out.headline[:] = True, (m, level, 0), 1.0
    own = out.blocks[:, :m]
    own["index"], own["n"], own["s1"], own["s2"] = edges, 1.0, blocks, blocks**2
    for name in ("w", "hi", "lo"):
        own[name] = 1.0 + blocks
    return out


def tried(outcome: Outcome, **more: Any) -> list[dict[str, Any]]:
    """Rows of a call with this outcome: one asset "A", span 0 to 100, parameter ``n``, unless said."""
    header = {"strategy": "s", "source": "0", "span": [0, 100], "synthetic": 0, "switches": [], "venue": "none"}
    header |= {"assets": ["A"], "asset_ids": ["A"], "together": False, "bound": {}} | more
    n_account = 1 if header["together"] else len(header["assets"])
    cells = len(outcome.done) // n_account
    header = {"axes": {"n": list(range(cells))}} | header
    told = [{n: header[n] for n in ("strategy", "source", "span")} | {"account": a} for a in range(n_account)]
    return list(ledger.trials_rows(header, told, np.arange(cells), outcome))
