"""Run as a script: peak memory of grids beyond their bars, as a list of MB.

python memory_of.py BARS TRIALS [BARS TRIALS ...]
"""

from __future__ import annotations

import ctypes
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


def give_back() -> None:
    """Memory that was freed leaves the process, or later arrays would hide in it."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def beyond(n: int, trials: int) -> float:
    """What a grid of `trials` over `n` bars needs at most beyond the bars."""
    grid = {"fast": range(2, 12), "slow": range(50, 50 + trials // 10)}
    bars = random_walk(n).bars()
    gc.collect()
    give_back()
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    res = kk.backtest(bars, strategies.sweep, grid=grid, outputs=("metrics",))
    if res["n_trades"].size != trials:
        raise ValueError(f"a grid of {res['n_trades'].size} trials, {trials} wanted: pass a multiple of 10")
    return status("VmHWM") - before


def main() -> None:
    numbers = [int(text) for text in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".kernelkit").mkdir()
        os.chdir(folder)
        kk.backtest(random_walk(500).bars(), strategies.sweep, outputs=("metrics",))
        found = [beyond(n, trials) for n, trials in zip(numbers[::2], numbers[1::2], strict=True)]
        os.chdir("/")
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
