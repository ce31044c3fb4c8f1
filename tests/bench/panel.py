"""The portfolio that speed is measured on: 500 assets over 2,520 business days, a common factor and their own noise."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import xarray as xr
from numba import njit

import kernelkit as kk
from tests.bench.series import SEED

DAYS, ASSETS = 2520, 500
CASH, FEE = 1e6, 0.001
LOOKBACK, STEP, TOP = 126, 21, 50


@cache
def prices() -> dict[str, np.ndarray]:
    """Open, high, low, close and volume, float64 (day, asset)."""
    rng = np.random.default_rng(SEED + 1)
    shape = DAYS, ASSETS
    factor = 0.01 * rng.standard_normal((DAYS, 1))
    noise = rng.standard_normal(shape) * rng.uniform(0.008, 0.02, ASSETS)
    drift = rng.normal(0.0002, 0.0002, ASSETS)
    close = np.log(rng.uniform(10, 200, ASSETS)) + np.cumsum(factor + noise + drift, axis=0)
    opened = np.vstack([close[:1], close[:-1]]) + 0.002 * rng.standard_normal(shape)
    high = np.maximum(opened, close) + 0.005 * np.abs(rng.standard_normal(shape))
    low = np.minimum(opened, close) - 0.005 * np.abs(rng.standard_normal(shape))
    volume = np.round(np.exp(13.0 + 0.4 * rng.standard_normal(shape)))
    return {"open": np.exp(opened), "high": np.exp(high), "low": np.exp(low), "close": np.exp(close), "volume": volume}


@cache
def bars() -> xr.Dataset:
    """As kernelkit takes them, in lots of a millionth."""
    days = np.busday_offset(np.datetime64("2012-01-02"), np.arange(DAYS), roll="forward")
    index = pd.to_datetime(days).tz_localize("UTC")
    frames = {
        f"A{k:03d}": pd.DataFrame({name: values[:, k] for name, values in prices().items()}, index=index)
        for k in range(ASSETS)
    }
    return kk.data.from_pandas(frames, label="open", bar="1D", calendar="24/5", lot_size=1e-6)


@njit(nogil=True, error_model="numpy")
def raw_momentum(c, cash, fee, lookback, step, top):
    """W3 by hand: decided at a close, traded at the next one, sales first. Final equity and orders."""
    days, assets = c.shape
    held = np.zeros(assets)
    weight = np.zeros(assets)
    due = False
    orders = 0
    equity = cash
    for t in range(days):
        if due:
            equity = cash
            for a in range(assets):
                equity += held[a] * c[t, a]
            for a in range(assets):
                gap = weight[a] * equity - held[a] * c[t, a]
                if gap < -1e-6:  # the rest is rounding, and a matter of the processor
                    held[a] += gap / c[t, a]
                    cash -= gap - gap * fee
                    orders += 1
            for a in range(assets):
                gap = min(weight[a] * equity - held[a] * c[t, a], cash / (1.0 + fee))
                if gap > 1e-9:
                    held[a] += gap / c[t, a]
                    cash -= gap + gap * fee
                    orders += 1
            due = False
        if t >= lookback and t % step == 0 and t + 1 < days:
            ranked = np.argsort(c[t] / c[t - lookback])
            weight[:] = 0.0
            for k in range(top):
                weight[ranked[assets - 1 - k]] = 1.0 / top
            due = True
        equity = cash
        for a in range(assets):
            equity += held[a] * c[t, a]
    return equity, orders


@kk.portfolio(state={"score": kk.each(), "rank": kk.each(), "weight": kk.each()})
def momentum(ctx, s, top=TOP, lookback=LOOKBACK, step=STEP):
    """W3: once a month the strongest of the last half year, equally weighted."""
    if ctx.i >= lookback and ctx.i % step == 0:
        for k in ctx.tradable:
            s.score[k] = ctx[k].close[0] / ctx[k].close[-lookback]
        ctx.rank(s.score, s.rank)
        for k in ctx.tradable:
            s.weight[k] = 1.0 / top if s.rank[k] <= top else 0.0
        ctx.weights(s.weight, band=0.0)


@kk.portfolio(state={"weight": kk.each()})
def hold_all(ctx, s):
    """All assets, bought once: from then on they are marked, and nothing is decided."""
    if ctx.i == 0:
        for k in ctx.tradable:
            s.weight[k] = 0.99 / ctx.n
        ctx.weights(s.weight, band=0.0)
