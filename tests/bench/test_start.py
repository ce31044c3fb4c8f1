"""The first moments: a new machine, a new process, an edited cell. Processes of their own, in CPU seconds."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def child(*arguments: str, cache: Path | None = None) -> dict[str, Any]:
    """What a fresh process found, with this cache folder or the user's own."""
    script = str(Path(__file__).with_name("start_of.py"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} | ({"KERNELKIT_CACHE": str(cache)} if cache else {})
    environment.pop("NUMBA_CACHE_DIR", None)
    out = subprocess.run([sys.executable, script, *arguments], env=environment, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(out.stdout))


@pytest.fixture(scope="module")
def modules() -> list[str]:
    """Everything that a first cell imports, numba's own late imports among it."""
    return list(dict.fromkeys([*child("kernel")["late"], *child("cells", "0")["late"]]))


@pytest.fixture(scope="module")
def starts(size: Any, modules: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """A machine on which kernelkit has never run, then later processes with strategies that are new to it."""
    cache = tmp_path_factory.mktemp("cache")
    found: dict[str, list[float]] = {n: [] for n in ("kernel", "new_machine", "first", "edit", "unchanged", "import")}
    for number in range(size.starts):
        found["kernel"].append(child("kernel")["whole"])
        cells = child("cells", str(number), *modules, cache=cache)
        assert cells["late"] == [], "modules that are imported inside the measured cell"
        found["first" if number else "new_machine"].append(cells["first"])
        if number:
            found["edit"].append(cells["edit"])
            found["unchanged"].append(cells["unchanged"])
        found["import"].append(child("import")["import"])
    return found


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("first_cell", "new_machine"),
        ("first_strategy", "first"),
        ("edit", "edit"),
        ("unchanged", "unchanged"),
        ("import", "import"),
    ],
)
def test_start__beside_a_process_that_compiles_one_loop(name, key, starts, hold):
    seconds, unit = statistics.median(starts[key]), statistics.median(starts["kernel"])
    hold(name, seconds / unit, f"{seconds:.2g} s" if seconds >= 0.1 else f"{1e3 * seconds:.1f} ms", f"{unit:.2g} s")


def test_import__brings_none_of_the_heavy_packages():
    assert child("import")["heavy"] == []
