"""A chart answers a zoom sooner than one pass over what it shows would take."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.notebook.widgets.base import packed
from kernelkit.notebook.widgets.scene import Scene
from tests.bench import strategies
from tests.bench.pair import in_turns
from tests.bench.series import MILLION, random_walk

ROWS = 5 * MILLION
PIECES = 2_500  # of a window with its margins, on a wide screen
VIEWS = [(0, ROWS), (0, ROWS // 2), (ROWS // 3, ROWS // 2), (ROWS // 2, ROWS // 2 + 3_000), (ROWS - 200, ROWS)]


@pytest.fixture(scope="module")
def scene() -> Scene:
    res = kk.backtest(random_walk(ROWS).bars(), strategies.cross)
    found = Scene(res, {}, None)
    found.window(0, ROWS, PIECES)  # its pyramids are made once
    return found


def test_window__of_five_million_bars_costs_less_than_one_pass(scene):
    """With everything that travels: prices, volume, equity, benchmark, drawdown, position, times, fills, trades."""
    views = itertools.cycle(VIEWS)
    equity = scene.pyramids["equity"].values

    def answer() -> None:
        window = scene.window(*next(views), PIECES)
        assert all(len(packed(values)["data"]) for name, values in window["arrays"].items() if len(values))

    pair = in_turns(answer, lambda: (equity.min(), equity.max()), time.process_time, 5 * len(VIEWS))
    slowest = f"slowest {1e3 * max(pair.ours):.1f} ms"
    print(f"\n{1e3 * pair.seconds:.2f} ms, {pair.ratio:.2f} of a pass over one curve; {slowest}")  # noqa: T201
    assert pair.ratio < 1.0


def test_window__shows_the_extremes_of_all_bars(scene):
    equity = scene.pyramids["equity"].values
    window = scene.window(0, ROWS, PIECES)
    assert np.min(window["arrays"]["equity_lo"]) == equity.min()
    assert np.max(window["arrays"]["equity_hi"]) == equity.max()
