"""What a move of a slider costs in the kernel, beside the back-test that it asks for."""

from __future__ import annotations

import itertools
import time

import kernelkit as kk
from tests.bench import strategies
from tests.bench.pair import in_turns
from tests.bench.series import random_walk

BARS = 10_000


def test_slider__a_move_costs_little_more_than_its_back_test(size, hold):
    bars = random_walk(BARS).bars()
    shown = kk.explore(bars, strategies.cross, fast=(2, 200), slow=(201, 400))
    places = itertools.cycle(range(199))
    start = shown.result["time"].values[0]

    def moved() -> None:
        at = dict.fromkeys(("fast", "slow"), next(places))
        shown.heard("run", {"id": "", "at": at})

    def alone() -> None:
        k = next(places)
        kk.backtest(bars, strategies.cross, dict(fast=2 + k, slow=201 + k), start=start)

    pair = in_turns(moved, alone, time.process_time, 5 * size.rounds)
    hold("slider", pair.ratio, f"{1e3 * pair.seconds:.2g} ms", f"{1e3 * pair.seconds / pair.ratio:.2g} ms")
    assert shown.answer["fault"] == ""
