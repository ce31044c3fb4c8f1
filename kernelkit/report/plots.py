"""`res.kk.plot`: the static pictures of a result, for reports; each is an object of HoloViews, made with hvplot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.report import correlation, fan, growth, months, surface, trading, waterfall, weights, words
from kernelkit.report.shown import SELECTED_BY

if TYPE_CHECKING:
    import xarray as xr


class Plots:
    """The static pictures of one result: units on the axes, and what was selected in sample is said to be.

    ``trial`` is what is shown of several, as labels by dim; left out, the one with the highest Sharpe ratio. Raises
    UsageError where a picture is for other results, and says for which.
    """

    def __init__(self, res: xr.Dataset) -> None:
        self._res = res

    def equity(
        self,
        beside: Mapping[str, xr.Dataset] | None = None,
        *,
        trial: Mapping[str, Any] | None = None,
        log: bool | None = None,
    ) -> Any:
        """Growth of 1 over time, of other results ``beside`` it by name; log axis where it grows much, or on request.

        Of `kk.compare` the growth of each strategy, of `kk.cross_validate` that of each path and their median.
        """
        return growth.equity(self._res, beside or {}, trial, log)

    def drawdown(
        self, beside: Mapping[str, xr.Dataset] | None = None, *, trial: Mapping[str, Any] | None = None
    ) -> Any:
        """How far below its last peak, in percent, of other results ``beside`` it by name."""
        return growth.drawdown(self._res, beside or {}, trial)

    def returns(self, *, trial: Mapping[str, Any] | None = None) -> Any:
        """How often a session returned how much."""
        return growth.histogram(self._res, trial)

    def heatmap(
        self,
        x: str | None = None,
        y: str | None = None,
        metric: str = SELECTED_BY,
        *,
        reduce: surface.Reducer = "median",
    ) -> Any:
        """A metric over two dims (None: the longest), a line over one; ``reduce`` sums up the dims that are left."""
        return surface.static(self._res, x, y, metric, reduce)

    def distribution(self, metric: str, mark: float | None = None, **look: Any) -> Any:
        """How often a metric was how large along a study's one dim; ``mark`` (None: what was observed) is a line."""
        if metric not in self._res or self._res[metric].ndim != 1:
            found = "nothing" if metric not in self._res else f"dims {self._res[metric].dims}"
            fix = "It is for paths, draws and other dims of a study; narrow the result down with .sel."
            raise UsageError(message(f"distribution of {metric!r}", found, "a metric along one dim", fix))
        if mark is None and "observed" in self._res and metric in self._res["metric"].values:
            mark = float(self._res["observed"].sel(metric=metric))
        dim = str(self._res[metric].dims[0])
        title = f"{words.label(metric)} of {self._res.sizes[dim]:,} {dim}s"
        settings = {"title": title, "width": 445, "height": 260, "ylabel": f"{dim}s", **look}
        return fan.distribution(np.asarray(self._res[metric].values, "f8"), words.label(metric), mark, **settings)

    def fan(self, real: xr.Dataset | None = None, *, log: bool | None = None) -> Any:
        """Bands of growth over many paths, the run on the bars themselves (``real``), and where the paths ended."""
        return fan.static(fan.fan_of(self._res, real), log)

    def folds(self, metric: str = SELECTED_BY) -> Any:
        """A metric of each fold of a walk-forward, in training, where its parameters were chosen, and out of sample."""
        return surface.folds(self._res, metric)

    def waterfall(self) -> Any:
        """What each scenario of `kk.stress` takes of the base."""
        return waterfall.static(waterfall.waterfall_of(self._res))

    def monthly(self, *, trial: Mapping[str, Any] | None = None) -> Any:
        """Returns by month and year."""
        return months.static(months.months_of(self._res, trial))

    def weights(self, bars: xr.Dataset | None = None, *, trial: Mapping[str, Any] | None = None) -> Any:
        """Which part of equity each asset was."""
        return weights.static(weights.holdings_of(self._res, bars, trial).weights())

    def correlation(self, bars: xr.Dataset | None = None) -> Any:
        """How alike strategies, accounts, assets or trials move."""
        return correlation.static(correlation.correlation_of(self._res, bars))

    def chart(
        self, bars: xr.Dataset | None = None, *, asset: str | None = None, trial: Mapping[str, Any] | None = None
    ) -> Any:
        """Close with fills, growth and drawdown over one time axis."""
        return trading.chart(self._res, bars, asset, trial)

    def trade_inspector(self, *, trial: Mapping[str, Any] | None = None) -> Any:
        """Each closed trade by when it ended and what it brought."""
        return trading.trades_picture(self._res, trial)

    def explorer(self, metric: str = SELECTED_BY) -> Any:
        """The metric over the two longest dims."""
        return surface.static(self._res, None, None, metric, "median")

    def verdict(self, **settings: Any) -> Any:
        """The verdict's page (`kk.verdict`), beside other pictures."""
        import holoviews as hv

        from kernelkit.inference.verdict import verdict

        return hv.Div(verdict(self._res, **settings)._repr_html_()).opts(width=900)
