"""The bars that speed is measured on: one-minute random walks on a grid of 0.0001, always the same for a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

import kernelkit as kk

SEED = 20260101
MILLION = 1_000_000
TICKS_PER_UNIT = 10_000
SIGMA = 5e-4
START_NS = 1_640_995_200_000_000_000  # 2022-01-01
MINUTE_NS = 60_000_000_000
DAY_NS = 86_400_000_000_000


@dataclass(frozen=True)
class Series:
    """Columns of float64 prices, and each bar's session (days since 1970) and the time at which it is known (ns)."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray

    @property
    def n(self) -> int:
        """Number of bars."""
        return len(self.close)

    @property
    def open_at(self) -> np.ndarray:
        """When each bar begins, ns."""
        return START_NS + MINUTE_NS * np.arange(self.n)

    @property
    def known_at(self) -> np.ndarray:
        """When each bar is known, ns."""
        return self.open_at + MINUTE_NS

    @property
    def session(self) -> np.ndarray:
        """The UTC day of each bar."""
        return self.open_at // DAY_NS

    def first(self, n: int) -> Series:
        """The first `n` bars."""
        return Series(*(np.ascontiguousarray(column[:n]) for column in vars(self).values()))

    def bars(self, tick: float = 1.0 / TICKS_PER_UNIT) -> xr.Dataset:
        """As kernelkit takes them. A finer `tick` than the prices' own leaves orders where the strategy put them."""
        frame = pd.DataFrame(vars(self), index=pd.to_datetime(self.open_at))
        return kk.data.from_pandas(frame, label="open", bar="1min", calendar="24/7", lot_size=1.0, tick_size=tick)


def on_grid(log_price: np.ndarray) -> np.ndarray:
    """Prices rounded to the grid."""
    return np.round(np.exp(log_price), 4)


def random_walk(n: int, seed: int = SEED) -> Series:
    """A driftless walk of 5 basis points a bar from 100, with small gaps at the open; another seed, another series."""
    draw = np.random.default_rng(seed).standard_normal
    close = np.log(100.0) + np.cumsum(draw(n) * SIGMA)
    opened = np.concatenate([[np.log(100.0)], close[:-1]]) + draw(n) * SIGMA * 0.1
    high = np.maximum(opened, close) + np.abs(draw(n)) * SIGMA * 0.5
    low = np.minimum(opened, close) - np.abs(draw(n)) * SIGMA * 0.5
    volume = np.round(np.exp(draw(n) * 0.5 + 4.0)) + 1.0
    o, h, lo, c = (on_grid(x) for x in (opened, high, low, close))
    return Series(o, np.maximum(h, np.maximum(o, c)), np.minimum(lo, np.minimum(o, c)), c, volume)


def fresh(count: int, n: int) -> list[Series]:
    """Series of the same law: a loop that meets each only once a round cannot teach them to the branch predictor."""
    return [random_walk(n, SEED + 1000 + k) for k in range(count)]
