"""Where the market was at a time, and what a fill is worth at the end (RC1, RC3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelkit import schema
from kernelkit.errors import DataError, message
from kernelkit.kernels.costs import MODEL_BARS
from kernelkit.recipe import check_bars

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from kernelkit.recipe import Recipe


class Market:
    """The bars that fills are held against; `end` has the price of each asset at which all is marked."""

    def __init__(self, bars: xr.Dataset, recipe: Recipe, trial: int) -> None:
        own = recipe.assets if recipe.shared else [recipe.assets[trial % len(recipe.assets)]]
        self.assets = [str(asset) for asset in own]
        check_bars(bars)
        if missing := [a for a in self.assets if a not in bars["asset"].values.tolist()]:
            wanted = f"all of {', '.join(self.assets[:8])}"
            raise DataError(message("bars", f"no {missing[0]}", wanted, "Load it too."))
        simulated = recipe.bars
        until = simulated["known_at"].values[recipe.stop - 1]
        self.columns: dict[str, dict[str, NDArray[Any]]] = {}
        for asset in self.assets:
            one = bars.sel(asset=asset)
            rows = one["valid"].values & (one["open_at"].values < until)
            names = ("open_at", "known_at", "open", "close", "volume")
            self.columns[asset] = {name: one[name].values[rows] for name in names}
            if not rows.any():
                span = f"bars before {schema.utc(until.astype('i8'))}"
                raise DataError(message(f"bars of {asset}", "none in the result's time", span, "Load others."))
            for name in ("open_at", "known_at"):
                self.columns[asset][name] = self.columns[asset][name].astype("datetime64[ns]").astype("i8")
        last = simulated.sel(asset=self.assets).isel(time=slice(0, recipe.stop))
        self.end = {a: float(_last(last["close"].sel(asset=a).values, last["valid"].sel(asset=a).values)) for a in own}
        self.multiplier = {a: float(simulated["multiplier"].sel(asset=a)) for a in self.assets}
        opened = simulated["open_at"].values.astype("datetime64[ns]").astype("i8")[recipe.start : recipe.stop]
        self.step = int(np.median(np.diff(opened))) if len(opened) > 1 else int(until.astype("i8") - opened[0])
        self.first, self.until = int(opened[0]), int(until.astype("datetime64[ns]").astype("i8"))

    def check(self, times: NDArray[Any], assets: pd.Series) -> None:
        """Raise DataError for a fill that the result's bars do not cover."""
        ns = times.astype("datetime64[ns]").astype("i8")
        if (outside := np.flatnonzero((ns < self.first) | (ns > self.until))).size:
            row = int(outside[0])
            wanted = f"a time in {schema.utc(self.first)} ... {schema.utc(self.until)}"
            fix = "Back-test the time in which was traded, or take the fills out."
            raise DataError(message(f"fill of {assets.iloc[row]}", schema.utc(ns[row]), wanted, fix))

    def value(self, asset: str, quantity: float, change: float) -> float:
        """What a change in price is worth, in quote currency."""
        return quantity * self.multiplier[asset] * change

    def profit(self, table: pd.DataFrame) -> float:
        """RC1: what fills of signed quantity have made until the end."""
        end = table["asset"].map(self.end).to_numpy("f8")
        unit = table["asset"].map(self.multiplier).to_numpy("f8")
        made = table["quantity"].to_numpy("f8") * unit * (end - table["price"].to_numpy("f8"))
        return float(made.sum() - table["fee"].to_numpy("f8").sum())

    def at(self, asset: str, ours: pd.Series | None, theirs: pd.Series | None) -> tuple[float, float]:
        """RC3: where the market was at the simulated fill and at the real one, NaN for none."""
        simulated = np.nan if ours is None else self._of(asset, ours)
        if theirs is None:
            return simulated, np.nan
        known = float(theirs["reference"])
        if ours is None or np.isfinite(known):
            return simulated, known if np.isfinite(known) else self._of(asset, theirs)
        same = self._bar(asset, ours["time"]) == self._bar(asset, theirs["time"])
        return simulated, simulated if same else self._of(asset, theirs)

    def _of(self, asset: str, fill: pd.Series) -> float:
        if np.isfinite(known := float(fill["reference"])):
            return known
        columns, i = self.columns[asset], self._bar(asset, fill["time"])
        during = int(np.datetime64(fill["time"], "ns").astype("i8")) < columns["known_at"][i]
        return float(columns["open" if during else "close"][i])

    def _bar(self, asset: str, time: Any) -> int:
        ns = int(np.datetime64(time, "ns").astype("i8"))
        return max(int(np.searchsorted(self.columns[asset]["open_at"], ns, "right")) - 1, 0)

    def volume_before(self, asset: str, time: Any) -> float:
        """C3: the mean volume of the up to 20 bars before the one of this time; NaN for none."""
        i = self._bar(asset, time)
        before = self.columns[asset]["volume"][max(i - MODEL_BARS, 0) : i]
        mean = float(before.mean()) if len(before) else 0.0
        return mean if mean > 0.0 else np.nan


def _last(values: NDArray[Any], valid: NDArray[Any]) -> Any:
    return values[np.flatnonzero(valid)[-1]]
