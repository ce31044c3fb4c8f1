"""Random markets with calendars, as a Dataset and as the reference simulator takes them."""

from __future__ import annotations

import functools
import warnings
from dataclasses import replace
from typing import Any

import exchange_calendars as xc
import numpy as np
import pandas as pd
import xarray as xr
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.endless import one_recipe
from kernelkit.kernels.job import Job
from kernelkit.market.settings import Settings
from tests.reference import Asset, Bars, Clock, Config, Grid
from tests.reference.calendar import DAY, Calendar
from tests.reference.models import fraction_fee
from tests.test_engine_is_reference import walk

# where summer time begins and ends, half days and the turn of a year lie; of Tokyo a break at noon
STARTS = ("2023-11-02", "2023-11-20", "2023-12-21", "2024-03-07", "2024-06-26")
PLACES = ("24/7", "24/7", "XNYS", "XNYS", "CMES", "XTKS", "")
MINUTES = (1, 5, 15, 30, 60)
MINUTE = 60 * 10**9


FEE = kk.fees.fraction(0.001)
VENUE = kk.Venue("one", fees=FEE)
ACCOUNT = kk.Account(1e5)
CONFIG = Config(cash=1e5, fee=fraction_fee(0.001))


@functools.cache
def exchange(name: str) -> xc.ExchangeCalendar:
    """The calendar of an exchange around all that is tested here."""
    with warnings.catch_warnings():  # exchange_calendars 4.13 reads Series.values of zoned times
        warnings.simplefilter("ignore", DeprecationWarning)
        return xc.get_calendar(name, start="2023-09-01", end="2024-12-31")


@functools.cache
def calendar_of(name: str) -> Calendar | None:
    """As the rules have it: of an exchange what it has published."""
    if not name:
        return None
    if name == "24/7":
        return Calendar()
    schedule = exchange(name).schedule
    days = [int(day.value) // DAY for day in schedule.index]
    opens, closes = ([int(at.value) for at in schedule[column]] for column in ("open", "close"))
    return Calendar(str(exchange(name).tz), dict(zip(days, zip(opens, closes, strict=True), strict=True)))


def labels(rng: Any, name: str, start: pd.Timestamp, count: int, minutes: int) -> pd.DatetimeIndex:
    """When bars open: whole sessions, but for what is missing, be it at the end of a session, or a whole one."""
    step = pd.Timedelta(minutes=minutes)
    if name in ("24/7", ""):
        every = pd.date_range(start, periods=count, freq=step, tz="UTC")
        missing = rng.random(count) < rng.choice([0.0, 0.1, 0.5])
        gap = int(rng.integers(count))
        missing[gap : gap + int(rng.choice([0, 10, 200]))] = True
        missing[0] = False
        return every[~missing]
    rows = exchange(name).schedule.loc[start.normalize() :]
    out: list[pd.Timestamp] = []
    share, auction = rng.choice([0.0, 0.1, 0.4]), name == "XNYS" and rng.random() < 0.5
    for opened, closed in zip(rows["open"], rows["close"], strict=True):
        whole = list(pd.date_range(opened, closed, freq=step, inclusive="left"))
        cut = int(rng.choice([0, 0, 0, 1, 3]))
        kept = [at for at in whole[: len(whole) - cut] if rng.random() >= share]
        if rng.random() > 0.1:
            out += kept + ([closed] if auction and (closed - opened) % step == pd.Timedelta(0) else [])
        if len(out) >= count:
            break
    return pd.DatetimeIndex(out[:count])


def frame_of(rng: Any, index: pd.DatetimeIndex, base: int = 1000, wide: int = 8) -> pd.DataFrame:
    """A walk in cents."""
    opens, high, low, close = (prices / 100.0 for prices in walk(rng, len(index), base, wide))
    volume = np.round(rng.exponential(1000.0, len(index)))
    return pd.DataFrame(dict(open=opens, high=high, low=low, close=close, volume=volume), index)


@st.composite
def markets(draw: st.DrawFn, least: int = 1, most: int = 1, places: tuple[str, ...] = PLACES) -> xr.Dataset:
    """Bars of some assets, some listed late; of a few markets nobody knows the calendar any more."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    name = str(rng.choice(places))
    start = pd.Timestamp(str(rng.choice(STARTS))) + int(rng.integers(96)) * pd.Timedelta("15min")
    minutes, count = int(rng.choice(MINUTES)), int(rng.integers(20, 300))
    frames = {}
    for k in range(rng.integers(least, most + 1)):
        index = labels(rng, name, start, count, minutes)
        late = int(rng.integers(len(index) - 1)) if k and len(index) > 1 and rng.random() < 0.4 else 0
        frames[f"A{k}"] = frame_of(rng, index[late:])
    bars: xr.Dataset = kk.data.from_pandas(
        frames, label="open", bar=f"{minutes}min", calendar=name or "24/7", tick_size=0.01, lot_size=1.0
    )
    return bars if name else bars.assign_attrs(calendar="")


def step_of(bars: xr.Dataset) -> int:
    """The length of the bars, in ns."""
    return int(pd.Timedelta(bars.attrs["bar"]).value)


def times(bars: xr.Dataset, name: str) -> np.ndarray:
    return np.asarray(bars[name].values).astype("M8[ns]").astype("i8")


def asset_of(bars: xr.Dataset, k: int) -> Asset:
    """Asset ``k`` of the bars."""
    grid = Grid(float(bars["tick"].values[k]), int(bars["inverse"].values[k]), float(bars["lot"].values[k]))
    there = np.asarray(bars["valid"].values)[:, k]
    ticks = [
        np.round(bars[part].values[there, k] * float(grid.inverse)).astype("i8")
        for part in ("open", "high", "low", "close")
    ]
    clock = [times(bars, "open_at")[there], times(bars, "known_at")[there], bars["session"].values[there]]
    own = Bars(*(c.tolist() for c in (*clock, *ticks)), bars["volume"].values[there, k].tolist())
    return Asset(own, grid, np.where(there, np.cumsum(there) - 1, -1).tolist())


def clock_of(bars: xr.Dataset) -> Clock:
    return Clock(times(bars, "open_at").tolist(), times(bars, "known_at").tolist(), bars["session"].values.tolist())


def job_of(bars: xr.Dataset, strategy: Any, account: Any = ACCOUNT, venue: Any = VENUE, **params: Any) -> Job:
    """A single trial over all of the bars."""
    recipe = one_recipe(bars, strategy, params, None, Settings.of(account, venue, None))
    trials = recipe.job.trials.copy()
    trials["i1"] = recipe.stop
    return replace(recipe.job, trials=trials)


def config_of(bars: xr.Dataset, start: int = 0, cash: float = 1e5) -> Config:
    """The same for the reference simulator."""
    return replace(CONFIG, trade_from=start, cash=cash, periods_per_year=int(bars.attrs["periods_per_year"]))
