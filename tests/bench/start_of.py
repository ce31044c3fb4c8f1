"""Run as a script: what the first moments of a process cost, in CPU seconds.

python start_of.py import               the package alone
python start_of.py kernel               numba, and one small loop compiled and run: the yardstick
python start_of.py cells NUMBER MODULE...   imports these, then runs a cell with a strategy (one that no cache
knows if the NUMBER is new), the cell with an edited strategy, and that cell again
"""

from __future__ import annotations

import importlib
import json
import linecache
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CELL = """
@kk.strategy
def crossing(ctx, fast=20, slow=100):
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target_percent({weight})
    else:
        ctx.target_percent(0.0)

res = kk.backtest(bars, crossing)
"""
REPEATS = 7


def import_alone() -> dict[str, Any]:
    """The package itself, and which heavy ones came with it."""
    began = time.process_time()
    import kernelkit  # noqa: F401

    return {
        "import": time.process_time() - began,
        "heavy": [m for m in ("numba", "xarray", "pandas") if m in sys.modules],
    }


def run_cell(source: str, names: dict[str, Any], number: int) -> float:
    """Execute a cell as a notebook does, with its source known to `inspect`; CPU seconds."""
    file = f"<cell {number}>"
    began = time.process_time()
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    exec(compile(source, file, "exec"), names)
    return time.process_time() - began


def cells(number: int, modules: list[str]) -> dict[str, Any]:
    """First strategy, an edit of it, and the edited cell once more; and what was imported on the way."""
    for module in modules:
        importlib.import_module(module)
    import kernelkit as kk
    from tests.bench.series import random_walk

    names = {"kk": kk, "bars": random_walk(5000).bars(), "__name__": "__main__"}
    before = set(sys.modules)
    first = run_cell(CELL.format(weight=1.0 - 0.001 * number), names, 1)
    late = [m for m in sys.modules if m not in before and not m.startswith(("engine_", "strategy_"))]
    edited = CELL.format(weight=0.5 - 0.001 * number)
    edit = run_cell(edited, names, 2)
    again = sorted(run_cell(edited, names, 3 + k) for k in range(REPEATS))
    return {"first": first, "edit": edit, "unchanged": again[REPEATS // 2], "late": late}


def kernel() -> dict[str, Any]:
    """CPU seconds of the whole process."""
    import numpy as np

    from tests.bench import hand

    price = np.linspace(100.0, 101.0, 5000)
    hand.raw_cross(price, price, 20, 100, 1e6, 0.001)
    return {"whole": time.process_time(), "late": [m for m in sys.modules if m.startswith("numba")]}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".kernelkit").mkdir()
        os.chdir(folder)
        if sys.argv[1] == "import":
            found = import_alone()
        else:
            found = cells(int(sys.argv[2]), sys.argv[3:]) if sys.argv[1] == "cells" else kernel()
        os.chdir("/")
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
