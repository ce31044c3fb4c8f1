"""From an empty clone to the first report: only on request, since it downloads every package anew."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
THREE_MINUTES = 180.0


def test_make__in_a_fresh_clone(pytestconfig, tmp_path, note):
    """The one figure in plain seconds: noted in the table, never a reason to fail."""
    if not pytestconfig.getoption("--clone"):
        pytest.skip("not asked for: pytest tests/bench --clone")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    caches = {"UV_CACHE_DIR": "uv", "PIP_CACHE_DIR": "pip", "XDG_CACHE_HOME": "cache", "KERNELKIT_CACHE": "kernelkit"}
    environment = os.environ | {name: str(tmp_path / folder) for name, folder in caches.items()}
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "NUMBA_CACHE_DIR"):
        environment.pop(name, None)
    began = time.perf_counter()
    subprocess.run(["make"], cwd=clone, env=environment, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    assert list(clone.glob("runs/*/report.html"))
    note("make", seconds / THREE_MINUTES, f"{seconds:.0f} s")
