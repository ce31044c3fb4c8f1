"""How often an interval holds the truth: many series side by side, one call for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.signal
import xarray as xr

import kernelkit as kk


def series(runs: int, n: int, seed: int, *, rho: float = 0.0, mean: float = 0.0, burn: int = 200) -> xr.DataArray:
    """Autoregressions of first order with unit errors (run, time)."""
    e = np.random.default_rng(seed).standard_normal((runs, n + burn))
    x = scipy.signal.lfilter([1.0], [1.0, -rho], e, axis=-1)[:, burn:]
    return xr.DataArray(x + mean, dims=("run", "time"))


def coverage(statistic: Callable[..., xr.DataArray], truth: float, *given: xr.DataArray, **settings: Any) -> float:
    """The share of runs in which `kk.inference.interval` holds the truth."""
    found = kk.inference.interval(statistic, *given, **settings)
    return float(((found["low"] <= truth) & (truth <= found["high"])).mean())
