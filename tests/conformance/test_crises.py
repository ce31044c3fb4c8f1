"""Falls of the S&P 500 in real windows, as they are and as they are replayed elsewhere (Z3, Z4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kernelkit as kk
from kernelkit.study.run import Common
from kernelkit.study.scenarios.stress import world_of

pytestmark = pytest.mark.market_data
WINDOWS = ("dotcom", "crisis_2008")
LATER = "days and windows after 2018"


@kk.strategy
def hold(ctx):
    ctx.target_percent(1.0)


@pytest.mark.oracle(
    "Crises of the S&P 500", covers="Z3, Z4", cases=7, left_out={LATER: "the series that is installed ends before"}
)
def test_z3__windows_and_days_fall_as_they_did(fixture: Callable[[str], Any]) -> None:
    bars, elsewhere = kk.data.load("sp500_index"), kk.data.load("aapl")
    closes = bars["close"].to_series().droplevel("asset")
    asked = fixture("crisis_sp500")["cases"]
    known = {(w.start, w.end): w for w in kk.scenarios.WINDOWS.values()}
    done = 0
    for case in asked:
        given = case["input"]
        last = given.get("end") or given["date"]
        window = known.get((given["start"], given["end"])) if "end" in given else None
        assert window is not None or "date" in given, case["name"]
        if pd.Timestamp(last) > closes.index[-1]:
            continue
        done += 1
        if window is None:
            at = closes.index.get_loc(pd.Timestamp(last))
            found = closes.iloc[at] / closes.iloc[at - 1] - 1.0
        else:
            scenario, world = kk.scenarios.Replay(window, bars, at="2019-06-03"), world_of(Common(elsewhere, hold))
            first, stop = scenario.felt(world)
            close = scenario.apply(world).bars["close"].values[:, 0]
            found = close[stop - 1] / close[first - 1] - 1.0
            own = closes[window.end] / closes[window.start] - 1.0
            np.testing.assert_allclose(own, case["expected"], rtol=0, atol=case["tol"], err_msg=case["name"])
        np.testing.assert_allclose(found, case["expected"], rtol=0, atol=case["tol"], err_msg=case["name"])
    assert done == 7
