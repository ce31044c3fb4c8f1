"""A metric over two dims of a result, those that are left summed up: a heat map, or a line over a single dim."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.report import drawing, words
from kernelkit.report.colours import BLUE, rising, signed
from kernelkit.report.shown import SELECTED_BY, many_of

if TYPE_CHECKING:
    import xarray as xr

Reducer = Literal["median", "max", "min", "mean"]
NUMBERS = 400  # cells that have room for one


def surface_of(res: xr.Dataset, x: str | None, y: str | None, metric: str, reduce: Reducer) -> tuple[xr.DataArray, str]:
    """The metric over at most two dims, `y` first, and what became of the others, in words.

    `x` and `y` None: the two longest dims. Raises UsageError for names that the result does not have.
    """
    if metric not in res or "time" in res[metric].dims or res[metric].dtype.kind not in "fiu":
        have = ", ".join(str(n) for n, v in res.data_vars.items() if v.dtype.kind in "fiu" and "time" not in v.dims)
        raise UsageError(message("metric of a heat map", repr(metric), f"one of {have}", "Check the name."))
    if reduce not in get_args(Reducer):
        raise UsageError(message("reduce of a heat map", repr(reduce), f"one of {', '.join(get_args(Reducer))}", ""))
    values = res[metric]
    longest = sorted((d for d in map(str, values.dims) if values.sizes[d] > 1), key=lambda d: -values.sizes[d])
    if x is None:
        kept = [d for d in map(str, values.dims) if d in longest[:2] and d != y]
        x, y = (kept[0] if kept else None), (y if y or len(kept) < 2 else kept[1])
    for name in (x, y):
        if name is not None and name not in values.dims:
            have = ", ".join(map(str, values.dims)) or "none, as one trial is left"
            raise UsageError(message("dim of a heat map", repr(name), f"one of {have}", "Check the name."))
    if x is None or x == y:
        fix = "Read it: " + (f"float(res[{metric!r}])." if x is None else "give two different dims.")
        raise UsageError(message("heat map of this result", f"{x or 'no dim'} alone", "two dims, or one", fix))
    rest = [d for d in map(str, values.dims) if d not in (x, y)]
    reducer: Callable[..., xr.DataArray] = getattr(values, reduce)
    found = reducer(rest) if rest else values
    return found.transpose(*filter(None, (y, x))), f", {reduce} over {', '.join(rest)}" if rest else ""


def static(res: xr.Dataset, x: str | None, y: str | None, metric: str, reduce: Reducer) -> Any:
    """The picture; the best cell is marked where it is one of several trials, and said to be chosen in sample."""
    import holoviews as hv

    found, rest = surface_of(res, x, y, metric, reduce)
    label = words.label(metric) if words.known(metric) else str(found.attrs.get("long_name", words.label(metric)))
    many = many_of(res)
    place = _best(found) if metric == SELECTED_BY and many > 1 else None
    chosen = f"; marked: the best of {many:,} trials, chosen in sample" if place else ""
    title = f"{label}{rest}{chosen}"
    table = found.to_series().rename(metric).reset_index()
    if found.ndim == 1:
        look = drawing.look(xlabel=str(found.dims[0]), ylabel=label, height=280)
        line = drawing.hvplot(table).line(str(found.dims[0]), metric, color=BLUE, **look)
        return (line * drawing.hvplot(table).scatter(str(found.dims[0]), metric, color=BLUE, size=24, **look)).opts(
            title=title
        )
    down, across = map(str, found.dims)
    table[[down, across]] = table[[down, across]].astype(str)
    low, high = float(np.nanmin(found)), float(np.nanmax(found))
    end = max(abs(low), abs(high), 1e-12)
    colours = {"cmap": signed(), "clim": (-end, end)} if low < 0.0 else {"cmap": rising(), "clim": (0.0, end)}
    n = found.shape
    look = drawing.look(width=min(900, 220 + 46 * n[1]), height=min(760, 140 + 26 * n[0]), grid=False)
    heat = drawing.hvplot(table).heatmap(across, down, metric, clabel=label, rot=40, **colours, **look)
    if found.size <= NUMBERS:
        texts = {"text_font_size": "8pt", "text_color": "#1f2937"}
        heat = heat * hv.Labels(table.dropna().round(2), [across, down], metric).opts(**texts)
    if place:
        mark = hv.Points([(str(found[across].values[place[1]]), str(found[down].values[place[0]]))], [across, down])
        heat = heat * mark.opts(marker="square", size=22, fill_alpha=0.0, line_color="black", line_width=2)
    return heat.opts(title=title)


def folds(res: xr.Dataset, metric: str) -> Any:
    """A metric of each fold, in training and out of sample, side by side."""
    import pandas as pd

    inside, outside = f"is_{metric}", f"oos_{metric}"
    if "fold" not in res.dims or inside not in res or outside not in res:
        wanted, fix = "one with dim fold, of kk.walk_forward", "Run kk.walk_forward(bars, strategy, grid=...)."
        found = f"dims {', '.join(map(str, res.dims)) or 'none'}, no {inside}"
        raise UsageError(message("folds of this result", found, wanted, fix))
    begins = pd.Index(res["test_start"].dt.strftime("%Y-%m").values, name="test window from")
    table = pd.DataFrame({"in training": res[inside].values, "out of sample": res[outside].values}, begins)
    look = drawing.look(height=320, ylabel=words.label(metric), legend="top_left", rot=45, xlabel=str(begins.name))
    bars = drawing.hvplot(table).bar(color=["#c3cad3", BLUE], line_width=0, **look)
    return bars.opts(title=f"{words.label(metric)} of each fold, in training and out of sample", multi_level=False)


def _best(values: xr.DataArray) -> tuple[int, ...] | None:
    if values.ndim != 2 or not np.isfinite(values).any():
        return None
    return tuple(int(k) for k in np.unravel_index(int(np.nanargmax(values.values)), values.shape))
