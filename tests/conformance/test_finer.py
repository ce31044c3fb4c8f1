"""Hours of a real market in its minutes (F16), and what other engines say of a bar as four prints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kernelkit as kk
from tests.conformance.test_vectors import once
from tests.test_finer import FINER, hours_of, mixed, read

pytestmark = pytest.mark.market_data


def test_f16_hours_in_minutes(shared: Callable[[str], Path]) -> None:
    """They fill as the minutes themselves do, for a strategy that decides by the hour."""
    raw = pd.read_parquet(shared("data/crypto/btc_perp_1m_202201.parquet")).set_index("ts").iloc[59:]
    bars, fine = hours_of(raw, tick_size=0.125), read(raw, tick_size=0.125)
    res = kk.backtest(bars, mixed, fill_model=["conservative", "freqtrade", FINER], finer=fine)
    exact = kk.fills(res.sel(fill_model="path=finer"))
    alone = kk.backtest(fine, mixed, start=bars["known_at"].values[0] - np.timedelta64(1, "m"))
    assert len(exact) > 200
    pd.testing.assert_frame_equal(exact, kk.fills(alone))
    for other in ("conservative", "freqtrade"):
        assert not exact.equals(kk.fills(res.sel(fill_model=other)))


@pytest.mark.oracle("Vectors: volume", covers="F16, P1")
def test_f16_p1_a_bar_as_four_prints(vectors: dict[str, Any]) -> None:
    """Nautilus trades a bar as its open, high, low and close, a quarter of its volume each: as four finer bars."""
    vector = vectors["bar.volume_split4"]
    prices, volume = {"o": 100.0, "h": 103.0, "l": 99.0, "c": 101.0}, float(vector["input"]["volume"])
    names = ["open", "high", "low", "close"]
    begin, step = pd.Timestamp("2021-03-01", tz="UTC"), pd.Timedelta("6h")
    index = pd.DatetimeIndex([begin + k * step for k in range(8)])
    prints = pd.DataFrame([[p] * 4 for p in [*[100.0] * 4, *prices.values()]], index, names).assign(volume=volume / 4)
    kinds = {"label": "open", "calendar": "24/7", "tick_size": 0.01, "lot_size": 1.0}
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    bars = kk.data.from_pandas(prints.resample("1D").agg(how), bar="1D", **kinds)
    venue = kk.Venue("v", participation=1.0)
    res = kk.backtest(
        bars,
        once,
        {"kind": "market", "q": volume},
        venue=venue,
        fill_model=FINER,
        finer=kk.data.from_pandas(prints, bar="6h", **kinds),
    )
    fills = kk.fills(res)
    assert dict(zip(prices, fills["quantity"], strict=True)) == vector["expected"]
    assert fills["price"].tolist() == list(prices.values())
