"""Returns by month and year: how even a result is, and which seasons it lives on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.report import drawing, words
from kernelkit.report.colours import signed
from kernelkit.report.shown import Shown, shown

if TYPE_CHECKING:
    import xarray as xr

NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Months:
    """Returns as fractions: ``values`` (year, month), NaN where there was none, ``totals`` (year,).

    ``spans`` int64 (year, month, 2) are the first and the last bar of each month, in ns UTC, 0 where there is none;
    the first and the last month may be in part. ``trial`` is whose they are.
    """

    years: np.ndarray
    values: np.ndarray
    totals: np.ndarray
    spans: np.ndarray
    trial: Shown

    @property
    def limit(self) -> float:
        """The end of the colours: what a twentieth of the months exceeds, so that one does not fade the others."""
        sizes = np.abs(self.values[np.isfinite(self.values)])
        return max(float(np.quantile(sizes, 0.95)), 1e-9) if sizes.size else 1e-9

    @property
    def sentence(self) -> str:
        """How many months gained, and the best and the worst."""
        known = self.values[np.isfinite(self.values)]
        low, high = (int(np.nanargmin(self.values)), int(np.nanargmax(self.values)))
        names = [
            f"{NAMES[k % 12]} {self.years[k // 12]} ({words.number('total_return', self.values.flat[k])})"
            for k in (high, low)
        ]
        return (
            f"{(known > 0).mean():.0%} of {known.size:,} months gained; the best was {names[0]}, the worst {names[1]}."
        )


def months_of(res: xr.Dataset, trial: Mapping[str, Any] | None = None) -> Months:
    """Returns by calendar month of the trial that is shown, of its sessions where bars know them, else of UTC days.

    The first month counts from the cash. Raises UsageError for a result without curves.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> found = months_of(kk.backtest(kk.data.load("sp500_index"), hold, start="2008", end="2009"))
    >>> found.years.tolist(), found.totals.round(2).tolist()
    ([2008, 2009], [-0.38, 0.23])
    """
    one = shown(res, trial)
    equity = one.curve("equity")
    level, time = equity.values, equity["time"].values
    day = equity["session"].values.astype("M8[D]") if "session" in equity.coords else time.astype("M8[D]")
    month = day.astype("M8[M]").astype("i8")
    last = np.flatnonzero(np.append(month[1:] != month[:-1], True))
    first = np.append(0, last[:-1] + 1)
    cash = one.cash
    before = np.append(cash if np.isfinite(cash) else level[0], level[last[:-1]])
    change, number = _change(level[last], before), month[last]
    years = np.arange(number[0] // 12, number[-1] // 12 + 1) + 1970
    values, spans = np.full((len(years), 12), np.nan), np.zeros((len(years), 12, 2), "i8")
    place = (number // 12 + 1970 - years[0], number % 12)
    values[place] = change
    spans[place] = np.stack([time[first], time[last]], -1).astype("M8[ns]").astype("i8")
    growth = np.where(np.isnan(values), 0.0, values) + 1.0
    return Months(years, values, growth.prod(axis=1) - 1.0, spans, one)


def _change(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Returns; of an account that has nothing left, 0."""
    left = before > 0.0
    found: np.ndarray = np.where(left, np.maximum(after, 0.0) / np.where(left, before, 1.0) - 1.0, 0.0)
    return found


def static(found: Months) -> Any:
    """The months as a heat map with numbers, and the total of each year beside them."""
    import holoviews as hv
    import pandas as pd

    years = [str(y) for y in found.years]
    table = pd.DataFrame(100.0 * found.values, years, NAMES).rename_axis("year").reset_index()
    table = table.melt("year", var_name="month", value_name="return, %")
    end = 100.0 * found.limit
    look = drawing.look(width=740, height=80 + 22 * len(years), xlabel="", ylabel="", grid=False, colorbar=False)
    heat = drawing.hvplot(table).heatmap("month", "year", "return, %", cmap=signed(), clim=(-end, end), **look)
    totals = pd.DataFrame({"total": "year", "year": years, "return, %": 100.0 * found.totals})
    beside = drawing.hvplot(totals).heatmap(
        "total",
        "year",
        "return, %",
        cmap=signed(),
        clim=(-2.5 * end, 2.5 * end),
        **look | {"width": 110, "yaxis": None},
    )
    texts = {"text_font_size": "8pt", "text_color": "#1f2937"}
    parts = [
        (picture * hv.Labels(frame.dropna().round(1).replace(-0.0, 0.0), [x, "year"], "return, %").opts(**texts)).opts(
            invert_yaxis=True
        )
        for picture, frame, x in ((heat, table, "month"), (beside, totals, "total"))
    ]
    title = f"Returns by month, %, of {found.trial.title}"
    return (parts[0].opts(title=title) + parts[1].opts(title="")).opts(shared_axes=False)
