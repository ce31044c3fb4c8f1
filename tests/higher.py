"""Higher timeframes by pandas and exchange_calendars alone: what a strategy must see of them at every bar."""

from __future__ import annotations

import warnings
from typing import Any

import exchange_calendars as xc
import numpy as np
import pandas as pd

DAY = pd.Timedelta("1D")
HOW = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "known_at": "last"}


def base(bars: Any, asset: int = 0) -> pd.DataFrame:
    """An asset's own bars as a frame: prices and volume, its clock, the session as a date."""
    own = bars["valid"].values[:, asset]
    frame = pd.DataFrame({n: bars[n].values[own, asset] for n in ("open", "high", "low", "close", "volume")})
    for name in ("open_at", "known_at"):
        frame[name] = pd.to_datetime(bars[name].values[own]).tz_localize("UTC")
    frame["day"] = pd.to_datetime(bars["session"].values[own], unit="D")
    return frame


def resampled(frame: pd.DataFrame, timeframe: str, calendar: str) -> pd.DataFrame:
    """All higher bars, finished or not, with the ``end`` of each one's interval."""
    step = {"1D": DAY, "1W": 7 * DAY}.get(timeframe) or pd.Timedelta(timeframe.replace("m", "min"))
    if calendar == "24/7":
        anchor = pd.Timestamp("1970-01-05", tz="UTC")  # a Monday
        parts = frame.set_index("open_at").resample(step, origin=anchor).agg(HOW).dropna(subset="open")
        return parts.assign(end=parts.index + step).reset_index(drop=True)
    with warnings.catch_warnings():  # exchange_calendars 4.13 reads Series.values of zoned times
        warnings.simplefilter("ignore", DeprecationWarning)
        around = frame["day"].iloc[0] - 9 * DAY, frame["day"].iloc[-1] + 9 * DAY
        schedule = xc.get_calendar(calendar, start=around[0], end=around[1]).schedule
    opens, closes = frame["day"].map(schedule["open"]), frame["day"].map(schedule["close"])
    frame = frame[frame["open_at"] < closes]
    if step >= DAY:
        freq = "D" if step == DAY else "W-SUN"
        last = schedule["close"].groupby(schedule.index.to_period(freq)).last()
        keys = frame["day"].dt.to_period(freq)
        parts = frame.groupby(keys).agg(HOW)
        return parts.assign(end=last.reindex(parts.index)).reset_index(drop=True)
    out = []
    for day, group in frame.groupby("day"):
        parts = group.set_index("open_at").resample(step, origin=opens[group.index[0]]).agg(HOW).dropna(subset="open")
        ends = (parts.index + step).where(parts.index + step < schedule["close"][day], schedule["close"][day])
        out.append(parts.assign(end=ends))
    return pd.concat(out).reset_index(drop=True)


def seen(frame: pd.DataFrame, higher: pd.DataFrame) -> pd.DataFrame:
    """By base bar, the newest higher bar that had closed when it was known."""
    right = higher.drop(columns="known_at").assign(number=np.arange(float(len(higher))))
    return pd.merge_asof(frame[["known_at"]], right, left_on="known_at", right_on="end")


def shifted(frame: pd.DataFrame, higher: pd.DataFrame, values: Any, back: int = 0) -> np.ndarray:
    """By base bar, one of the higher bars' ``values``, of ``back`` bars before the newest that has closed."""
    number = seen(frame, higher)["number"].to_numpy() - back
    known = number >= 0
    return np.where(known, np.asarray(values, "f8")[np.where(known, number, 0).astype(int)], np.nan)
