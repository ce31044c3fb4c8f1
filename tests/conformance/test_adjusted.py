"""The benchmark of an account on raw prices against prices that a vendor has adjusted (rule E8)."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kernelkit as kk
from kernelkit.table import clock_of, panel_of

pytestmark = pytest.mark.market_data


@kk.strategy(warmup=0)
def idle(ctx):  # type: ignore[no-untyped-def]
    pass


@pytest.mark.parametrize("symbol", ["AAPL", "MSFT"])
@pytest.mark.oracle("WIKI, adjusted prices", covers="E1-E3, E8, M2, X8", cases=1)
def test_raw_prices_with_actions_are_adjusted_prices(symbol: str, shared: Callable[[str], Path]) -> None:
    """A year of raw prices, dividends and a split of seven for one: the returns of a holder are those of adj_close.

    The vendor's factors are rounded: it is known to differ by up to 3.7e-5 (AAPL) and 1.6e-4 (MSFT) over the year.
    """
    with zipfile.ZipFile(shared("data/equity/zipline/quandl_samples_QUANDL_ARCHIVE.zip")) as archive:
        table = pd.read_csv(archive.open("QUANDL_SAMPLE_TABLE.csv"), parse_dates=["date"])
    table = table[table["ticker"] == symbol].set_index("date").sort_index()
    paid = table.loc[table["ex-dividend"] != 0.0, "ex-dividend"]
    split = table.loc[table["split_ratio"] != 1.0, "split_ratio"]
    actions = pd.DataFrame(
        {
            "time": [*paid.index, *split.index],
            "asset": symbol,
            "kind": ["dividend"] * len(paid) + ["split"] * len(split),
            "value": [*paid, *split],
        }
    )
    raw = table[["open", "high", "low", "close", "volume"]]
    bars = kk.data.from_pandas({symbol: raw}, calendar="XNYS", tick_size=0.0001)
    bars = kk.data.with_actions(bars, actions)
    index = clock_of(panel_of(bars, []), bars, 0).columns[-1]
    wanted = table["adj_close"].to_numpy()
    np.testing.assert_allclose(index / index[-1], wanted / wanted[-1], rtol={"AAPL": 3.7e-5, "MSFT": 1.6e-4}[symbol])
    summed = float(kk.backtest(bars, idle)["blocks"].sel(summary="sb").sum())
    assert summed == pytest.approx((wanted[1:] / wanted[:-1] - 1.0).sum(), abs=2e-4)
    unadjusted = float(
        kk.backtest(bars.drop_vars([n for n in bars.coords if "action" in str(n)]), idle)["blocks"]
        .sel(summary="sb")
        .sum()
    )
    assert abs(unadjusted - summed) > 0.01
