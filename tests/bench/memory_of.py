"""Run as a script: peak memory of many trials beyond the bars, in MB. python memory_of.py BARS TRIALS"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from pathlib import Path

import kernelkit as kk
from tests.bench import strategies
from tests.bench.series import random_walk


def status(name: str) -> float:
    """A field of /proc/self/status in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def main() -> None:
    n, trials = int(sys.argv[1]), int(sys.argv[2])
    grid = (
        {"fast": range(2, 42), "slow": range(50, 50 + trials // 40)}
        if trials >= 40
        else {"slow": range(50, 50 + trials)}
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".kernelkit").mkdir()
        os.chdir(folder)
        kk.backtest(random_walk(500).bars(), strategies.sweep, outputs=("metrics",))
        bars = random_walk(n).bars()
        gc.collect()
        before = status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        res = kk.backtest(bars, strategies.sweep, grid=grid, outputs=("metrics",))
        beyond = status("VmHWM") - before
        os.chdir("/")
    sys.stdout.write(json.dumps({"beyond": beyond, "bars": bars.nbytes / 1e6, "trials": res["n_trades"].size}))


if __name__ == "__main__":
    main()
