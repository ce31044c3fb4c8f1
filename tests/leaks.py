"""Planted leaks and honest twins: each makes one column of numbers from bars, row t for use after bar t has closed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr


def frame(ds: xr.Dataset) -> pd.DataFrame:
    """The bars of the first asset."""
    names = [n for n in ("open", "high", "low", "close", "volume", "x.report") if n in ds]
    return ds[names].isel(asset=0).to_dataframe()[names]


def longer(ds: xr.Dataset) -> str:
    """A timeframe of some twenty bars."""
    return "MS" if ds.attrs["name"] == "sp500_index" else "20min"


def next_body(ds):
    """The close that the bar will have, at whose open it is traded."""
    f = frame(ds)
    return (f["close"] / f["open"] - 1.0).shift(-1)


def next_low(ds):
    """A trigger that only the low of the bar reaches, at whose open it is traded."""
    f = frame(ds)
    return (f["low"].shift(-1) < f["low"].rolling(5).min()) * 1.0


def whole_z(ds):
    close = frame(ds)["close"]
    return (close - close.mean()) / close.std()


def whole_level(ds):
    close = frame(ds)["close"]
    return (close > close.mean()) * 1.0


def filled_report(ds):
    return frame(ds)["x.report"].bfill() - 2.0


def filled_holes(ds):
    """A handful of holes, one bar long, that nothing in the bars shows."""
    f = frame(ds)
    quiet = f["volume"] < 0.7 * f["volume"].rolling(40).min().shift(1)
    return f["close"].mask(quiet).bfill() / f["close"] - 1.0


def centred(ds):
    close = frame(ds)["close"]
    return close / close.rolling(21, center=True).mean() - 1.0


def both_ways(ds):
    """Smoothed there and back."""
    close = frame(ds)["close"]
    return close / close.ewm(span=10).mean()[::-1].ewm(span=10).mean()[::-1] - 1.0


def long_bar_at_start(ds):
    """The last value of a longer bar, merged onto the label of its start."""
    close = frame(ds)["close"]
    return close.resample(longer(ds)).last().reindex(close.index, method="ffill") / close - 1.0


def shifted(ds):
    close = frame(ds)["close"]
    return close.shift(-3) / close - 1.0


def next_session(ds):
    """The first close of the session that follows."""
    close = frame(ds)["close"]
    session = pd.Series(ds["session"].values, close.index)
    first = close.groupby(session).first().shift(-1)
    return first.reindex(session).to_numpy() / close - 1.0


def past(f: pd.DataFrame) -> np.ndarray:
    """What a model learns from: momentum over three lengths, and one."""
    return np.column_stack([np.ones(len(f)), *(f["close"].pct_change(k).fillna(0.0) for k in (1, 5, 20))])


def overlap(ds, embargo=0):
    """Learned on the first half from what the next ten bars bring: the last labels reach into the second half."""
    f = frame(ds)
    half = 600 if ds.sizes["time"] > 600 else ds.sizes["time"] // 2
    x, y = past(f), (f["close"].shift(-10) / f["close"] - 1.0).to_numpy()
    rows = np.arange(len(f))
    train = (rows < half - embargo) & np.isfinite(y)
    out = np.full(len(f), np.nan)
    if len(f) > 600:
        out[half:] = (x @ np.linalg.lstsq(x[train], y[train])[0])[half:]
    return pd.Series(out, f.index)


def in_sample(ds):
    """Learned on what it is then asked about."""
    f = frame(ds)
    x, y = past(f), (f["close"].shift(-10) / f["close"] - 1.0).to_numpy()
    known = np.isfinite(y)
    return pd.Series(x @ np.linalg.lstsq(x[known], y[known])[0], f.index)


LEAKS = {
    "the bar's close, at its open": next_body,
    "the bar's low, at its open": next_low,
    "z-score of the whole": whole_z,
    "mean of the whole": whole_level,
    "known values filled backwards": filled_report,
    "holes filled backwards": filled_holes,
    "centred window": centred,
    "filter there and back": both_ways,
    "longer bar at its start": long_bar_at_start,
    "shift": shifted,
    "next session": next_session,
    "labels over the split": overlap,
    "fitted to the whole": in_sample,
}


def average(ds):
    close = frame(ds)["close"]
    return close / close.rolling(20).mean() - 1.0


def exponential(ds):
    close = frame(ds)["close"]
    return close / close.ewm(span=30).mean() - 1.0


def kalman(ds):
    """A local level, recursive from the first bar on."""
    log = np.log(frame(ds)["close"].to_numpy())
    out, level, spread = np.empty(len(log)), log[0], 1.0
    for t, y in enumerate(log):
        spread += 1e-5
        gain = spread / (spread + 1e-4)
        level, spread = level + gain * (y - level), (1.0 - gain) * spread
        out[t] = y - level
    return out


def so_far_z(ds):
    close = frame(ds)["close"]
    return (close - close.expanding().mean()) / close.expanding().std()


def so_far_rank(ds):
    return frame(ds)["close"].expanding().rank(pct=True) - 0.5


def long_bar_known(ds):
    close = frame(ds)["close"]
    known = close.resample(longer(ds)).last().shift(1)
    return known.reindex(close.index, method="ffill") / close - 1.0


def filled_forwards(ds):
    return frame(ds)["x.report"].ffill() - 2.0


def purged(ds):
    return overlap(ds, embargo=10)


def drawn(ds, seed=3):
    return np.random.default_rng(seed).normal(size=ds.sizes["time"])


HONEST = {
    "moving average": average,
    "exponential average": exponential,
    "Kalman filter": kalman,
    "z-score so far": so_far_z,
    "rank so far": so_far_rank,
    "longer bar, known": long_bar_known,
    "known values, filled forwards": filled_forwards,
    "labels purged": purged,
    "random, seeded": drawn,
}
