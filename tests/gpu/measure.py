"""What a CUDA device takes: `python -m tests.gpu.measure`, sized for four minutes with the checks before it.

Paths by model in steps a second and as a share of the card's arithmetic, its memory's bandwidth, a grid of 10,000
trials against the processor's cores. With NUMBA_ENABLE_CUDASIM=1 it only shows that it runs.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda as numba_cuda

import kernelkit as kk
from kernelkit.kernels import cuda
from kernelkit.kernels.device import paths
from kernelkit.paths.model import Draws
from tests.gpu import check_device
from tests.gpu.ptx import FLOATS, compiled

FEW = cuda.SIMULATED
PATHS, STEPS = (4, 8) if FEW else (1_000_000, 2520)
DOUBLES = 64  # operations a clock and multiprocessor, of an H100


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def least(run: Callable[[], Any], times: int = 3) -> float:
    """Seconds of the fastest run."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return min(found)


def of_paths(model: Any, peak: float) -> None:
    """The kernel alone, its results left on the device; then all of `simulate`."""
    kind, numbers, size, begin = model.lane
    began = time.perf_counter()
    run = cuda.of_paths(kind)
    compiling = time.perf_counter() - began
    p, out = numba_cuda.to_device(np.array(numbers)), numba_cuda.device_array((4, PATHS), "f8")
    low, high, first, pairs, _ = Draws(7, 0, PATHS).place(0)
    took = least(lambda: cuda.launch(run, PATHS, low, high, first, PATHS, pairs, STEPS, size, begin, p, out))
    whole = least(lambda: kk.paths.simulate(model, paths=PATHS, steps=STEPS, seed=7, gpu=True), 1)
    few = max(4, PATHS // 100)
    here = least(lambda: kk.paths.simulate(model, paths=few, steps=STEPS, seed=7)) * PATHS / few
    each = 0.0 if FEW else len(FLOATS.findall(compiled(paths(kind, cuda.binding()), "one_path"))) / 4.0
    share = each * PATHS * STEPS / took / peak
    say(
        f"{kind}: kernel {took * 1e3:.1f} ms, {PATHS * STEPS / took / 1e9:.2f} G steps/s, {each:.0f} float64 operations"
        f" a step at least: {share:.0%} of the card's; simulate {whole:.2f} s, one core {here:.1f} s:"
        f" {here / took:.0f}x and {here / whole:.0f}x; compiled in {compiling:.1f} s"
    )


def copies() -> None:
    """Bytes read and written a second."""
    n = 1 << (8 if FEW else 27)
    there, back = numba_cuda.device_array(n, "f8"), numba_cuda.device_array(n, "f8")

    def both() -> None:
        back.copy_to_device(there)
        numba_cuda.synchronize()

    say(f"memory: {16 * n / least(both) / 1e9:.0f} GB/s")


def of_trials() -> None:
    """A grid of averages, on the device without and with compiling, and on all cores."""
    bars = kk.data.load("sp500_index")
    grid = {"fast": range(5, 105), "slow": range(110, 210)}
    if FEW:
        bars, grid = bars.isel(time=slice(0, 60)), {"fast": range(5, 7), "slow": range(10, 12)}
    began = time.perf_counter()
    kk.backtest(bars, check_device.cross, grid=grid, outputs=["metrics"], gpu=True)
    first = time.perf_counter() - began
    found = [
        kk.backtest(bars, check_device.cross, grid=grid, outputs=["metrics"], gpu=gpu)
        for gpu in (True, True, False, False)
    ]
    took = [res.attrs["seconds"] for res in found]
    there, here = min(took[:2]), min(took[2:])
    bars_run = found[0]["final_equity"].size * bars.sizes["time"]
    same = found[0]["final_equity"].identical(found[2]["final_equity"])
    say(
        f"grid of {found[0]['final_equity'].size}: {there:.2f} s, {bars_run / there / 1e6:.0f} M bars/s;"
        f" {os.cpu_count()} cores {here:.2f} s, {bars_run / here / 1e6:.0f} M bars/s: {here / there:.1f}x;"
        f" the first time {first:.0f} s with compiling; same: {same}"
    )


def main() -> int:
    """All of it; how many of the checks before it do not agree."""
    began = time.perf_counter()
    say(cuda.missing() or f"on {cuda.named()}")
    peak = np.inf
    if not FEW:
        card = numba_cuda.get_current_device()
        peak = DOUBLES * card.MULTIPROCESSOR_COUNT * card.CLOCK_RATE * 1e3
        say(f"{card.MULTIPROCESSOR_COUNT} multiprocessors at {card.CLOCK_RATE / 1e6:.2f} GHz: {peak / 1e12:.1f} T/s")
    copies()
    for model in check_device.MODELS:
        of_paths(model, peak)
    failed = check_device.main()
    of_trials()
    say(f"{time.perf_counter() - began:.0f} s in all")
    return failed


if __name__ == "__main__":
    raise SystemExit(min(main(), 1))
