"""The spread that bars imply, against a worked pair of bars and simulated markets whose spread is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError
from kernelkit.market.spread import corwin_schultz


def daily(rows: list[list[float]] | np.ndarray) -> xr.Dataset:
    """Bars of one day each from open, high, low, close."""
    index = pd.date_range("2020-01-01", periods=len(rows))
    frame = pd.DataFrame(np.asarray(rows, "f8"), index, ["open", "high", "low", "close"])
    bars: xr.Dataset = kk.data.from_pandas(frame.assign(volume=1.0), label="open", bar="1D", calendar="24/7")
    return bars


def test_two_bars_by_hand() -> None:
    found = corwin_schultz(daily([[100, 102, 99, 101], [101, 103, 100, 102]])).values[:, 0]
    b = math.log(102 / 99) ** 2 + math.log(103 / 100) ** 2
    g = math.log(103 / 99) ** 2
    k = 3 - 2 * math.sqrt(2)
    a = (math.sqrt(2 * b) - math.sqrt(b)) / k - math.sqrt(g / k)
    assert math.isnan(found[0])
    assert found[1] == pytest.approx(2 * (math.exp(a) - 1) / (1 + math.exp(a)), rel=1e-7)


def test_an_overnight_move_is_taken_out() -> None:
    """A bar that opens beyond the last close is as one that does not, and a gap adds nothing to the spread."""
    gapped = corwin_schultz(daily([[100, 102, 99, 100], [110, 113, 110, 112]])).values[1, 0]
    moved = corwin_schultz(daily([[100, 102, 99, 100], [100, 103, 100, 102]])).values[1, 0]
    assert gapped == pytest.approx(moved, rel=1e-6)


@pytest.mark.parametrize(
    ("volatility", "spread"), [(0.01, 0.01), (0.01, 0.03), (0.01, 0.05), (0.03, 0.03), (0.03, 0.05)]
)
def test_simulated_markets_have_the_spread_they_were_given(volatility: float, spread: float) -> None:
    """As the paper simulates, its near-ideal case: 390 trades a day, at bid or ask by a coin."""
    assert simulated(volatility, spread) == pytest.approx(spread, rel=0.1)


def test_a_small_spread_is_not_underestimated() -> None:
    """Negative estimates count as 0, which lifts the mean where the spread is small against volatility."""
    found = [simulated(0.03, spread) for spread in (0.0, 0.005, 0.01)]
    assert found == sorted(found)
    assert found[1] > 0.005
    assert found[2] > 0.01


def simulated(volatility: float, spread: float) -> float:
    """The mean estimate over 2,000 days."""
    rng = np.random.default_rng(11)
    days, trades = 2000, 390
    middle = 100.0 * np.exp(np.cumsum(rng.normal(0.0, volatility / math.sqrt(trades), (days, trades)).ravel()))
    seen = (middle * (1.0 + rng.choice([-0.5, 0.5], middle.size) * spread)).reshape(days, trades)
    bars = daily(np.column_stack([seen[:, 0], seen.max(axis=1), seen.min(axis=1), seen[:, -1]]))
    return float(corwin_schultz(bars).mean())


def test_it_does_not_look_ahead() -> None:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 300))
    whole, part = corwin_schultz(bars), corwin_schultz(bars.isel(time=slice(0, 200)))
    np.testing.assert_array_equal(whole.values[:200], part.values)


def test_bars_are_whole() -> None:
    with pytest.raises(DataError, match="bars: found no low"):
        corwin_schultz(daily([[1, 2, 1, 1]] * 3).drop_vars("low"))
