"""The pool's formula against what a pool did: four days of USDC/WETH on Uniswap v3 (Polygon, 0.05 %), by the minute."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kernelkit.market import amm

pytestmark = pytest.mark.market_data
FEE = 500
KEPT = 1.0 - FEE / 1e6
MINUTES = 1585  # that can be predicted


def price_after(net0: int, net1: int, liquidity: int) -> float:
    """The square-root price after swaps that took one token and gave the other: what both amounts imply."""
    paid, got = (net0, net1) if net0 > 0 else (net1, net0)
    x, y = paid * KEPT / liquidity, -got / liquidity
    root = (math.sqrt(y * y + 4.0 * y / x) - y) / 2.0 if net0 > 0 else (math.sqrt(x * x + 4.0 * x / y) - x) / 2.0 + x
    return root


@pytest.mark.oracle("Pools: what a pool did", covers="amm", cases=MINUTES)
def test_v3_predicts_what_came_out_of_the_pool(shared: Callable[[str], Path]) -> None:
    """From the price that the last swaps imply and what went in, where the liquidity is the same after each minute.

    Within a minute liquidity may change and change back, so not every minute can be predicted to the end.
    """
    table = pd.read_parquet(shared("data/dex/univ3_polygon_usdc_weth_005_minute_20230813_17.parquet"))
    names = ["inAmount0", "inAmount1", "netAmount0", "netAmount1", "currentLiquidity"]
    rows = list(zip(*([int(x) for x in table[name]] for name in names), strict=True))
    errors, root, active = [], 0.0, 0
    for before, (in0, in1, net0, net1, liquidity) in pairwise(rows):
        if in0 == in1 == 0:
            continue
        one_way = (in0 == 0) != (in1 == 0) and net0 * net1 < 0
        got = -min(net0, net1)
        if one_way and liquidity == active and got > 10**6:
            swapped = amm.swap(in0 or in1, in0 > 0, int(root * amm.Q96), liquidity, {}, fee=FEE)
            errors.append(abs(swapped.amount_out / got - 1.0))
        known = one_way and liquidity == before[4]
        root, active = (price_after(net0, net1, liquidity), liquidity) if known else (0.0, 0)
    assert len(errors) == MINUTES
    assert np.median(errors) < 1e-8
    assert np.mean(np.array(errors) < 1e-6) > 0.96
    assert max(errors) < 2e-4
