"""What a chart shows of one trial: its curves and its asset's prices as pyramids, its fills and trades by row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from kernelkit.errors import DataError, UsageError, message
from kernelkit.notebook.bundle import rounded, thin, times
from kernelkit.notebook.widgets.pyramid import Cut, Pyramid, line
from kernelkit.notebook.widgets.shares import Shares, shares_of
from kernelkit.report import words
from kernelkit.report.source import recipe_of
from kernelkit.result import check_result, selected
from kernelkit.result import fills as fills_of
from kernelkit.result import orders as orders_of
from kernelkit.tca import executions as executions_of
from kernelkit.trips import trades as trades_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


Rows = NDArray[np.intp]
# More marks than this in view are a smear: they are counted, not drawn.
MARKS = 2_000


def curve(res: xr.Dataset, name: str) -> xr.DataArray | None:
    """A curve of a result, of a walk-forward the one out of sample; None where it has none."""
    return next((res[n] for n in (name, f"{name}_oos") if n in res and "time" in res[n].dims), None)


def check_curves(res: Any) -> xr.Dataset:
    """The result itself; raises UsageError for one without an equity curve over time."""
    check_result(res)
    if curve(res, "equity") is None or not res.sizes["time"]:
        fix = "Keep what kk.backtest or kk.walk_forward has returned, or save it with curves=['equity']."
        raise UsageError(message("result", "no equity over time", "one with its curves", fix))
    return cast("xr.Dataset", res)


def trial_dims(res: xr.Dataset) -> dict[str, list[Any]]:
    """The dims that tell the trials of a result apart, with their labels."""
    equity = curve(res, "equity")
    return {} if equity is None else {str(d): res[d].values.tolist() for d in equity.dims if d != "time"}


class Scene:
    """One trial of a result, at ``labels``, with the prices of one asset.

    ``bars`` are those of the result where it knows them; without any there are no prices. Rows count along the
    result's ``time``. Raises UsageError for labels that the result does not have, and for bars that lack its times.
    """

    def __init__(
        self, res: xr.Dataset, labels: Mapping[str, Any], bars: xr.Dataset | None, asset: str | None = None
    ) -> None:
        self.labels = dict(labels)
        self.trial = selected(res, self.labels)
        self.recipe = recipe_of(res)
        self.time: NDArray[np.int64] = res["time"].values.astype("M8[ns]").astype("i8")
        self.bars = self.recipe.bars if bars is None and self.recipe is not None else bars
        own: Any = self.labels.get("asset", asset)
        if bars is not None and self.recipe is not None:
            shared = self.recipe.shared
            traded = self.recipe.bars["asset"].values if shared else np.atleast_1d(self.trial["asset"].values)
            if lost := sorted({*map(str, traded)} - {*map(str, bars["asset"].values)}):
                found, wanted = f"no {', '.join(lost[:4])}", "the assets of the result"
                raise DataError(message("bars", found, wanted, "Pass the bars that were traded."))
        self.assets: list[str] = [str(own)] if "asset" in self.labels else self._names(res)
        self.asset: str = str(own) if own is not None else self.assets[0] if self.assets else ""
        if self.assets and self.asset not in self.assets:
            raise UsageError(message("asset", self.asset, f"one of {', '.join(self.assets)}", "Choose one of them."))

    def _names(self, res: xr.Dataset) -> list[str]:
        if self.recipe is not None and not self.recipe.shared:
            return [str(a) for a in np.atleast_1d(res["asset"].values)] if "asset" in res.coords else []
        return [str(a) for a in self.bars["asset"].values] if self.bars is not None else []

    @cached_property
    def places(self) -> Rows:
        """The rows of the bars that the result's are."""
        if self.bars is None:
            return np.zeros(0, np.intp)
        own = self.bars["time"].values.astype("M8[ns]").astype("i8")
        first = int(np.searchsorted(own, self.time[0]))
        if np.array_equal(own[first : first + len(self.time)], self.time):
            return np.arange(first, first + len(self.time))
        found: Rows = self.bars.indexes["time"].get_indexer(self.time.astype("M8[ns]"))
        if (found < 0).any():
            lost = times(self.time[found < 0][:1].astype("M8[ns]"))[0]
            fix = "Pass the bars that were traded."
            raise UsageError(message("bars", f"none at {lost}", "one at each time of the result", fix))
        return found

    @cached_property
    def pyramids(self) -> dict[str, Pyramid]:
        """Everything that is drawn as a curve, by name; prices and volume where there are bars."""
        equity, drawdown, position = (curve(self.trial, n) for n in ("equity", "drawdown", "position"))
        held = self._held()
        if position is not None and "asset" in position.dims:
            position = position.sel(asset=self.asset)
        found = {
            "equity": None if equity is None else equity.values,
            "drawdown": None if drawdown is None else -drawdown.values,
            "position": None if position is None else position.values,
            "benchmark": held,
        }
        return {name: line(values) for name, values in found.items() if values is not None} | self._prices()

    def _held(self) -> NDArray[np.float64] | None:
        """Equity of buying and holding at the same costs, as `kk.backtest`'s display has it."""
        from kernelkit.notebook.benchmark import beside

        recipe = self.recipe
        if recipe is None:
            return None
        k = recipe.accounts.index(str(self.trial["asset"].values)) if len(recipe.accounts) > 1 else 0
        _, held = beside(recipe, k)
        axis = recipe.bars["time"].values[recipe.start : recipe.stop].astype("M8[ns]").astype("i8")
        return held[np.searchsorted(axis, self.time)]

    def _prices(self) -> dict[str, Pyramid]:
        if self.bars is None:
            return {}
        column = [str(a) for a in self.bars["asset"].values].index(self.asset)
        rows = self.places
        part = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) == rows[-1] - rows[0] + 1 else rows
        values = {n: self.bars[n].values[part, column] for n in ("open", "high", "low", "close", "volume")}
        price = Pyramid(carried(values["close"]), opens=values["open"], lo=values["low"], hi=values["high"])
        volume = np.nan_to_num(values["volume"])
        return {"price": price, **({"volume": Pyramid(volume, sum=volume)} if volume.any() else {})}

    def window(self, start: int, stop: int, pieces: int) -> dict[str, Any]:
        """Rows [start, stop) as a picture: first row, rows a piece, the arrays of its curves, its fills and trades."""
        start, stop = max(0, min(start, len(self.time) - 1)), min(len(self.time), max(stop, start + 1, 1))
        cuts = {name: pyramid.cut(start, stop, pieces) for name, pyramid in self.pyramids.items()}
        one = cuts["equity"]
        arrays: dict[str, Any] = {f"{name}_{stat}": a for name, cut in cuts.items() for stat, a in cut.arrays.items()}
        arrays["time"] = self.time[one.first : stop_of(one) : one.step]
        return {"first": one.first, "step": one.step, "arrays": arrays, **self.marks(one.first, stop_of(one))}

    def marks(self, start: int, stop: int) -> dict[str, Any]:
        """Fills and trades of the asset within rows: each where they are few, how many there are."""
        found: dict[str, Any] = {}
        for name, table, rows in (("fills", self.fill_marks, "row"), ("trips", self.trip_marks, "to")):
            begin, end = np.searchsorted(table[rows], [start, stop])
            found[f"n_{name}"] = int(end - begin)
            if end - begin <= MARKS:
                found[name] = {key: values[begin:end] for key, values in table.items()}
        return found

    @cached_property
    def fills(self) -> pd.DataFrame | None:
        """`kk.fills` of the trial; None where there is no simulator behind the result."""
        return fills_of(self.trial) if self.recipe is not None else None

    @cached_property
    def trades(self) -> pd.DataFrame | None:
        """`kk.trades` of the trial; None where there is no simulator behind the result."""
        return trades_of(self.trial) if self.recipe is not None else None

    @cached_property
    def fill_rows(self) -> Rows:
        """The row of the bar in which each fill was made: one at the open carries the open's time (T3)."""
        if self.fills is None:
            return np.zeros(0, np.intp)
        return self.rows_at(self.fills["time"], (self.fills["at"] == "open").to_numpy())

    @cached_property
    def shares(self) -> Shares:
        """Which fills are of which trade."""
        if self.fills is None or self.trades is None:
            return Shares(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))
        return shares_of(self.trades, self.fills)

    def rows_at(self, moments: Any, at_open: Any = False) -> Rows:
        """The rows of the bars that were not over at these times, or ended then."""
        bars: Any = self.bars  # there are some where there are fills
        known = bars["known_at"].values[self.places].astype("M8[ns]").astype("i8")
        wanted = moments.to_numpy("M8[ns]").astype("i8")
        left, right = np.searchsorted(known, wanted, "left"), np.searchsorted(known, wanted, "right")
        found: Rows = np.minimum(np.where(at_open, right, left), len(known) - 1)
        return found

    @cached_property
    def trade_rows(self) -> tuple[Rows, Rows]:
        """The rows in which each trade was opened and closed; what no fill has closed, by its time."""
        if self.trades is None:
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        opened, closed = (self.rows_at(self.trades[name]) for name in ("opened", "closed"))
        fill, trade, _ = self.shares
        rows = self.fill_rows[fill]
        first = np.full(len(opened), len(self.time))
        np.minimum.at(first, trade, rows)
        last = np.full(len(closed), -1)
        np.maximum.at(last, trade, rows)
        return np.minimum(first, len(self.time) - 1), np.where(np.isnan(self.trades["exit"]), closed, last)

    @cached_property
    def fill_marks(self) -> dict[str, NDArray[Any]]:
        """Row, price, signed quantity and trade of each fill of the asset, in order; trade is -1 where it is open."""
        if self.fills is None:
            return {n: np.zeros(0) for n in ("row", "price", "quantity", "trade")}
        trade = np.full(len(self.fills), -1)
        trade[self.shares.fill] = self.shares.trade
        own = np.flatnonzero((self.fills["asset"] == self.asset).to_numpy())
        own = own[np.argsort(self.fill_rows[own], kind="stable")]
        table = self.fills.iloc[own]
        signed = table["quantity"].to_numpy() * np.where(table["side"] == "sell", -1.0, 1.0)
        marks = {"row": self.fill_rows[own], "price": table["price"], "quantity": signed, "trade": trade[own]}
        return {name: np.asarray(values, "f8") for name, values in marks.items()}

    @cached_property
    def trip_marks(self) -> dict[str, NDArray[Any]]:
        """First and last row, both prices, P&L and number of each trade of the asset, by last row."""
        if self.trades is None:
            return {n: np.zeros(0) for n in ("from", "to", "entry", "exit", "pnl", "trade")}
        own = np.flatnonzero((self.trades["asset"] == self.asset).to_numpy())
        opened, closed = (rows[own] for rows in self.trade_rows)
        order = np.argsort(closed, kind="stable")
        prices = {n: self.trades[n].to_numpy("f8")[own] for n in ("entry", "exit", "pnl")}
        marks = {"from": opened, "to": closed, **prices, "trade": own}
        return {n: np.asarray(v, "f8")[order] for n, v in marks.items()}

    @cached_property
    def orders(self) -> pd.DataFrame:
        """`kk.orders` of the trial, by id."""
        return orders_of(self.trial).set_index("order", drop=False)

    @cached_property
    def executions(self) -> xr.Dataset:
        """`kk.executions` of the trial."""
        return executions_of(self.trial)

    @cached_property
    def excursions(self) -> xr.Dataset | None:
        """`kk.metrics.excursions` of the trades; None without bars or trades."""
        from kernelkit.metrics import excursions

        if self.trades is None or self.bars is None:
            return None
        return excursions(self.trades, self.bars)

    def detail(self, trade: int) -> dict[str, Any]:
        """One trade as the chart marks it; raises UsageError for one that there is not."""
        if self.trades is None or not 0 <= trade < len(self.trades):
            n = 0 if self.trades is None else len(self.trades)
            wanted = f"0 to {n - 1}" if n else "none, as there are no trades here"
            raise UsageError(message("trade", trade, wanted, "kk.trades(res) lists them."))
        row, (opened, closed) = self.trades.iloc[trade], (int(rows[trade]) for rows in self.trade_rows)
        sign = 1.0 if row["side"] == "long" else -1.0
        entry, band = float(row["entry"]), {}
        if self.excursions is not None:
            band = {n: float(self.excursions[n][trade]) for n in ("mae", "mfe")}
        worst, best = (entry * (1.0 - sign * band.get("mae", np.nan)), entry * (1.0 + sign * band.get("mfe", np.nan)))
        numbers = {"entry": entry, "exit": float(row["exit"]), "pnl": float(row["pnl"]), "worst": worst, "best": best}
        return {
            "number": trade,
            "asset": str(row["asset"]),
            "side": str(row["side"]),
            "from": opened,
            "to": closed,
            **{name: rounded(value, 12) for name, value in (numbers | band).items()},
        }

    def picture(self) -> str:
        """Equity beside buy and hold, and drawdown, as inline SVG."""
        from kernelkit.notebook import picture
        from kernelkit.notebook.benchmark import NAME

        equity = self.pyramids["equity"].values
        down = self.pyramids["drawdown"].values if "drawdown" in self.pyramids else np.zeros(len(equity))
        held = self.pyramids["benchmark"].values if "benchmark" in self.pyramids else np.full(len(equity), np.nan)
        rows = thin(-down)
        if len(rows) < 2:
            return ""
        curve = {
            "time": times(self.time[rows].astype("M8[ns]")),
            "equity": [rounded(v, 7) for v in equity[rows]],
            "benchmark": [rounded(v, 7) for v in held[rows]],
            "drawdown": [rounded(v, 7) for v in down[rows]],
        }
        return picture.curves(curve, words.params(self.labels) or str(self.trial.attrs.get("strategy", "")), NAME)


def stop_of(cut: Cut) -> int:
    """The row at which a cut ends."""
    return cut.first + cut.step * len(cut.arrays["close"])


def carried(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Prices carried forward over missing bars, between the first and the last there is.

    >>> carried(np.array([np.nan, 1.0, np.nan, 2.0, np.nan]))
    array([nan,  1.,  1.,  2., nan])
    """
    there = np.flatnonzero(~np.isnan(values))
    if len(there) == len(values) or not len(there):
        return values
    last = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(len(values))))
    found = values[last]
    found[there[-1] + 1 :] = np.nan
    return found
