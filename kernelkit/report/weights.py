"""Which part of a portfolio's equity each asset was, over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.report import drawing
from kernelkit.report.colours import GREY, series, signed
from kernelkit.report.shown import Shown, shown
from kernelkit.report.source import bars_of

if TYPE_CHECKING:
    import xarray as xr

POINTS = 400  # moments that a screen shows
STACKED = 6  # assets that are told apart by colour; the others are one
OTHERS = "others"


@dataclass(frozen=True)
class Weights:
    """Weights as fractions of equity, negative where short: ``values`` float64 (asset, point), the largest first.

    A point is the mean over the bars of its piece of time, which begins at ``time``. ``gross`` and ``net`` (point,)
    are the sums over all assets, of sizes and of weights. It is ``stackable``, areas put on each other, where no bar of
    the whole trial is short.
    """

    time: np.ndarray
    assets: tuple[str, ...]
    values: np.ndarray
    gross: np.ndarray
    net: np.ndarray
    trial: Shown
    stackable: bool

    def stacked(self) -> tuple[tuple[str, ...], np.ndarray]:
        """The largest `STACKED` assets, and all others together as one more."""
        if len(self.assets) <= STACKED:
            return self.assets, self.values
        rest = self.values[STACKED - 1 :].sum(axis=0, keepdims=True)
        return (*self.assets[: STACKED - 1], OTHERS), np.concatenate([self.values[: STACKED - 1], rest])


@dataclass(frozen=True)
class Holdings:
    """Weights of every bar, float64 (asset, bar), the largest asset first; of which a picture is made."""

    time: np.ndarray
    assets: tuple[str, ...]
    share: np.ndarray
    trial: Shown

    @cached_property
    def long(self) -> bool:
        """Whether no bar is short: a mean over several hides one that is."""
        return bool((self.share >= 0.0).all())

    def weights(self, first: np.datetime64 | None = None, last: np.datetime64 | None = None) -> Weights:
        """The weights within a span of time, both ends included, as means over at most `POINTS` pieces of it."""
        a = 0 if first is None else int(np.searchsorted(self.time, first))
        b = len(self.time) if last is None else int(np.searchsorted(self.time, last, side="right"))
        a = min(a, len(self.time) - 1)
        b = max(b, a + 1)
        share = self.share[:, a:b]
        starts = np.unique(np.linspace(0, b - a, POINTS, endpoint=False).astype("i8"))
        counts = np.diff(np.append(starts, b - a))
        mean = np.add.reduceat(share, starts, axis=1) / counts
        gross = np.add.reduceat(np.abs(share).sum(axis=0), starts) / counts
        return Weights(self.time[a:b][starts], self.assets, mean, gross, mean.sum(axis=0), self.trial, self.long)


def holdings_of(res: xr.Dataset, bars: xr.Dataset | None = None, trial: Mapping[str, Any] | None = None) -> Holdings:
    """The weights of the trial that is shown: position times close times multiplier, over equity; 0 once ruined.

    ``bars`` are those it was run on, by default the ones it remembers. Raises UsageError for a result without
    positions, RunError where its bars are not known.
    """
    one = shown(res, trial)
    position, equity = one.curve("position"), one.curve("equity").values
    prices = bars_of(one.res, bars, "weights")
    if "asset" not in position.dims:
        name = str(position["asset"].values) if "asset" in position.coords else str(prices["asset"].values[0])
        position = position.drop_vars("asset", errors="ignore").expand_dims(asset=[name])
    held = position.transpose("asset", "time")
    names = [str(a) for a in held["asset"].values]
    close = prices["close"].transpose("asset", "time").sel(asset=names, time=held["time"])
    value = held.values * _carried(close.values) * prices["multiplier"].sel(asset=names).values[:, None]
    share = np.where(equity > 0.0, np.nan_to_num(value) / np.where(equity > 0.0, equity, 1.0), 0.0)
    order = np.argsort(-np.abs(share).mean(axis=1), kind="stable")
    return Holdings(held["time"].values, tuple(names[k] for k in order), share[order], one)


def _carried(values: np.ndarray) -> np.ndarray:
    """Each row with what is missing as it was last known."""
    there = np.where(np.isnan(values), 0, np.arange(values.shape[1]))
    found: np.ndarray = np.take_along_axis(values, np.maximum.accumulate(there, axis=1), axis=1)
    return found


def static(found: Weights) -> Any:
    """Weights as stacked areas where none is short and assets are few, else as a heat map of asset over time."""
    import pandas as pd

    title = f"Weights in {found.trial.title}"
    if found.stackable:
        names, values = found.stacked()
        table = pd.DataFrame(100.0 * values.T, found.time, names)
        look = drawing.look(ylabel="of equity, %", xlabel="", legend="top_left", ylim=(0.0, None))
        return (
            drawing.hvplot(table).area(stacked=True, color=series(len(names)), line_width=0, **look).opts(title=title)
        )
    names, values = found.assets, found.values
    end = 100.0 * max(1e-9, float(np.abs(values).max()))
    table = pd.DataFrame(100.0 * values.T, found.time, names).rename_axis("time").reset_index()
    table = table.melt("time", var_name="asset", value_name="of equity, %")
    look = drawing.look(height=min(900, 120 + 16 * len(names)), xlabel="", ylabel="", grid=False)
    heat = drawing.hvplot(table).heatmap("time", "asset", "of equity, %", cmap=signed(), clim=(-end, end), **look)
    return heat.opts(title=title, invert_yaxis=True, clipping_colors={"NaN": GREY})
