"""What a result costs: its construction, one curve of it, and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
import kernelkit.result
from kernelkit.kernels.layout import HEADLINE
from tests.bench import strategies
from tests.bench.pair import in_turns
from tests.bench.series import MILLION, random_walk

ROOT = Path(__file__).parents[2]
GRID = {"lots": range(1, 1001), "pause": range(1, 101)}
TRIALS = 100_000


def plain_dataset() -> xr.Dataset:
    """As many labelled numbers as the metrics of the result, and nothing else."""
    shape = tuple(len(v) for v in GRID.values())
    coords = {name: np.array(values) for name, values in GRID.items()}
    return xr.Dataset({name: (tuple(GRID), np.zeros(shape)) for name in HEADLINE}, coords)


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    """The arguments with which kk.backtest builds the result of 100,000 trials."""
    kept: dict[str, Any] = {}
    build = kernelkit.result.build

    def keep(*arguments: Any) -> xr.Dataset:
        kept["arguments"] = arguments
        return build(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernelkit.result, "build", keep)
        kept["result"] = kk.backtest(
            random_walk(40).bars(), strategies.hold_some, grid=GRID, outputs=("metrics", "curves")
        )
    return kept


def test_build__a_hundred_thousand_trials_with_lazy_curves(recorded, size, hold):
    assert recorded["result"]["sharpe_ratio"].size == TRIALS
    assert recorded["result"]["equity"].shape[-1] == 40
    pair = in_turns(
        lambda: kernelkit.result.build(*recorded["arguments"]), plain_dataset, time.process_time, size.rounds
    )
    hold("build", pair.ratio, f"{pair.seconds:.2g} s", f"{1e3 * pair.seconds / pair.ratio:.1f} ms")


def test_select__one_curve_of_a_large_result(recorded, size, hold):
    """Another trial each time: nothing is found in the cache of curves."""
    trials = iter(range(1, 1000))

    def one_curve() -> None:
        k = next(trials)
        assert recorded["result"]["equity"].sel(lots=k, pause=7).values.shape == (40,)

    pair = in_turns(one_curve, plain_dataset, time.process_time, size.rounds)
    hold("select", pair.ratio, f"{1e3 * pair.seconds:.2g} ms")


def peaks(*bars_and_trials: int) -> list[float]:
    """MB that a process of its own needs at most beyond the bars, for pairs of bars and trials."""
    child = str(Path(__file__).with_name("memory_of.py"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, child, *map(str, bars_and_trials)]
    out = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return list(json.loads(out.stdout))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux' /proc")
def test_backtest__a_thousand_trials_need_little_memory(size, hold):
    """What grows with the bars and what grows with the trials is measured apart where the whole takes too long."""
    if size.memory_bars == MILLION:
        (need,) = peaks(MILLION, 1000)
    else:
        of_bars, few, many = peaks(MILLION, 10, size.memory_bars, 10, size.memory_bars, 1000)
        need = of_bars + max(0.0, many - few)
    hold("memory", need / 100.0, f"{need:.0f} MB")
