"""What `res.kk` offers: live widgets, and static pictures under `plot`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kernelkit.report.plots import Plots

if TYPE_CHECKING:
    import xarray as xr


class Accessor:
    """The pictures of a result: ``res.kk.fan()`` is a live widget, ``res.kk.plot.fan()`` the picture for a report.

    Widgets of one result share what is selected; ``selection=`` gives one another. Each raises UsageError for results
    that it is not for, and says for which it is.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> res = kk.backtest(kk.data.load("sp500_index"), hold)
    >>> res.kk.fan()
    Traceback (most recent call last):
    kernelkit.errors.UsageError: fan of this result: found dims ..., wanted one with dim path: of kk.monte_carlo ...
    """

    def __init__(self, res: xr.Dataset) -> None:
        self._res = res

    @property
    def plot(self) -> Plots:
        """Static pictures, for reports."""
        return Plots(self._res)

    def chart(self, bars: xr.Dataset | None = None, **settings: Any) -> Any:
        """Price with fills, equity, drawdown and position over one time axis; of results with curves."""
        return _widget("chart")(self._res, bars, **settings)

    def trade_inspector(self, **settings: Any) -> Any:
        """The trades as a table, each with its why, fill and costs; of results with curves."""
        return _widget("trade_inspector")(self._res, **settings)

    def explorer(self, **settings: Any) -> Any:
        """A metric over any two dims, slices of the others; of results with several trials."""
        return _widget("explorer")(self._res, **settings)

    def fan(self, real: xr.Dataset | None = None, **settings: Any) -> Any:
        """Bands of equity over many paths; of `kk.monte_carlo` and `kk.cross_validate`."""
        return _widget("fan")(self._res, real, **settings)

    def waterfall(self, **settings: Any) -> Any:
        """What each scenario does to the base; of `kk.stress`."""
        return _widget("waterfall")(self._res, **settings)

    def monthly(self, **settings: Any) -> Any:
        """Returns by month and year; of results with curves."""
        return _widget("monthly")(self._res, **settings)

    def weights(self, bars: xr.Dataset | None = None, **settings: Any) -> Any:
        """Which part of equity each asset was over time; of results with positions."""
        return _widget("weights")(self._res, bars, **settings)

    def correlation(self, bars: xr.Dataset | None = None, **settings: Any) -> Any:
        """How alike strategies, accounts, assets or trials move; of results with several of them."""
        return _widget("correlation")(self._res, bars, **settings)

    def verdict(self, **settings: Any) -> Any:
        """The verdict (`kk.verdict`) as a card; of results that are in the ledger."""
        return _widget("verdict")(self._res, **settings)


def _widget(name: str) -> Any:
    return getattr(import_module("kernelkit.notebook.widgets"), name)
