"""Frames that the tests of the data package start from, and the folder of real data where it is there."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

VARIABLE = "KERNELKIT_MARKET_DATA"


@pytest.fixture(scope="session")
def market_data():
    """The folder of real market data: $KERNELKIT_MARKET_DATA, else shared/data beside the checkout."""
    named = os.environ.get(VARIABLE)
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    if not (folder / "equity" / "lean_us_daily_raw.parquet").is_file():
        pytest.skip(f"no market data at {folder}; set {VARIABLE} to the folder that holds equity/ and crypto/")
    return folder


@pytest.fixture
def frame():
    """A function that makes a sound OHLCV frame over an index."""

    def make(index, start=100.0, seed=0):
        random = np.random.Generator(np.random.PCG64(seed))
        close = start * np.exp(np.cumsum(random.normal(0.0, 0.01, len(index))))
        opened = close * np.exp(random.normal(0.0, 0.005, len(index)))
        top, bottom = np.maximum(opened, close), np.minimum(opened, close)
        columns = {"open": opened, "high": top * 1.01, "low": bottom * 0.99, "close": close}
        return pd.DataFrame({**columns, "volume": random.integers(0, 1000, len(index)) * 1.0}, index=index)

    return make


@pytest.fixture
def minutes():
    """A function that makes a DatetimeIndex of minutes in UTC."""
    return lambda n, start="2021-03-01": pd.date_range(start, periods=n, freq="1min", tz="UTC")
