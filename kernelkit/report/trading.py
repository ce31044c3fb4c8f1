"""A trial's bars with its fills, and its trades one by one, as pictures for a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.report import drawing, growth
from kernelkit.report.colours import BLUE, INK, RED
from kernelkit.report.shown import Shown, shown
from kernelkit.report.source import bars_of
from kernelkit.report.thinning import kept
from kernelkit.result import fills
from kernelkit.trips import trades

if TYPE_CHECKING:
    import xarray as xr

MOST = 400  # fills that can be told apart


def chart(res: xr.Dataset, bars: xr.Dataset | None, asset: str | None, trial: Mapping[str, Any] | None) -> Any:
    """Close with fills, growth and drawdown, one below the other over one time axis."""
    import pandas as pd

    one = shown(res, trial)
    name = _asset(one, asset)
    close = _close(one, bars, name)
    line = drawing.hvplot(close.iloc[kept(close.values)].rename("close")).line(
        color=INK, line_width=1, **drawing.look(ylabel="price, quote currency", xlabel="")
    )
    done = fills(one.res)
    done = done[done["asset"] == name]
    step = -(-max(1, len(done)) // MOST)
    told = f"; every {step}th of {len(done):,} fills" if step > 1 else ""
    for side, colour, marker in (("buy", BLUE, "triangle"), ("sell", RED, "inverted_triangle")):
        some = done[done["side"] == side].iloc[::step]
        if len(some):
            table = pd.DataFrame({"time": some["time"].values, "price": some["price"].values})
            line = line * drawing.hvplot(table).scatter(
                "time", "price", color=colour, marker=marker, size=36, label=side, **drawing.look(xlabel="")
            )
    parts = [
        line.opts(title=f"{name} with the fills of {one.title}{told}", legend_position="top_left"),
        growth.equity(one.res, {}, None, None).opts(title="Growth of 1", height=240),
        growth.drawdown(one.res, {}, None).opts(title="Drawdown", height=200),
    ]
    return (parts[0] + parts[1] + parts[2]).cols(1).opts(shared_axes=False)


def trades_picture(res: xr.Dataset, trial: Mapping[str, Any] | None) -> Any:
    """Each closed trade by when it ended and what it brought, those that lost in red."""
    one = shown(res, trial)
    table = trades(one.res)
    if not len(table):
        fix = "Choose one that traded."
        raise UsageError(message("trades of this trial", "none", "one at least", fix))
    table = table.assign(gain=np.where(table["pnl"] > 0.0, BLUE, RED))
    won = int((table["pnl"] > 0.0).sum())
    look = drawing.look(xlabel="closed", ylabel="gain net of fees, quote currency", height=300, legend=False)
    points = drawing.hvplot(table).scatter("closed", "pnl", color="gain", size=24, **look)
    return points.opts(title=f"{len(table):,} trades of {one.title}; {won:,} of them gained")


def _asset(one: Shown, asset: str | None) -> str:
    names = [str(a) for a in np.atleast_1d(one.res["asset"].values)]
    if asset is None:
        return names[0]
    if asset not in names:
        raise UsageError(message("asset of the chart", repr(asset), f"one of {', '.join(names)}", "Check the name."))
    return asset


def _close(one: Shown, bars: xr.Dataset | None, asset: str) -> Any:
    bars = bars_of(one.res, bars, "chart")
    times = one.curve("equity")["time"].values
    return bars["close"].sel(asset=asset, time=slice(times[0], times[-1])).to_series().dropna()
