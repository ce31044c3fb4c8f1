"""A portfolio's weights as a widget: areas or a heat map over time, finer the closer one looks."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from kernelkit.notebook.picture import svg
from kernelkit.notebook.scale import number_scale
from kernelkit.notebook.widgets import stills
from kernelkit.notebook.widgets.base import NS_PER_MS, Widget, bar_ms, packed
from kernelkit.notebook.widgets.selection import Selection, of
from kernelkit.report import words
from kernelkit.report.colours import series
from kernelkit.report.weights import STACKED, Weights, holdings_of

if TYPE_CHECKING:
    import xarray as xr


class WeightMap(Widget):
    """Weights of each asset; the browser asks for the span that it shows, and gets at most some 400 moments of it."""

    _name = "weights"

    arrays = traitlets.Dict().tag(sync=True)
    about = traitlets.Dict().tag(sync=True)

    def __init__(self, res: xr.Dataset, bars: xr.Dataset | None, selection: Selection) -> None:
        self._res, self._bars = res, bars
        self._held = holdings_of(res, bars, selection.trial)
        super().__init__(selection=selection, **self._synced())
        self.link(self._follow, "trial")

    def _follow(self, _change: Any) -> None:
        self._held = holdings_of(self._res, self._bars, self.selection.trial)
        with self.hold_sync():
            for name, value in self._synced().items():
                setattr(self, name, value)

    def _synced(self) -> dict[str, Any]:
        time = self._held.time
        found = self._held.weights()
        return {
            "arrays": {name: packed(values) for name, values in _arrays(found).items()},
            "about": {
                "assets": list(found.assets),
                "title": _title(found),
                "ends": [int(t) / NS_PER_MS for t in time[[0, -1]].astype("M8[ns]").astype("i8")],
                "stackable": found.stackable,
                "bar": bar_ms(time),
            },
        }

    def heard(self, kind: str, content: Mapping[str, Any]) -> None:
        """Answer ``span`` (milliseconds) with the weights in it, in the order of the whole."""
        if kind != "span":
            super().heard(kind, content)
        first, last = (np.datetime64(round(NS_PER_MS * float(content[k])), "ns") for k in ("first", "last"))
        self.tell("part", _arrays(self._held.weights(first, last)), asked=content.get("asked", 0))

    def fallback(self) -> str:
        """Areas of few assets, a heat map of more."""
        f = self._held.weights()
        if not f.stackable:
            limit = max(1e-9, float(np.abs(f.values).max()))
            return stills.page(_title(f), stills.grid(_title(f), f.values, f.assets, limit), _sentence(f))
        names, values = f.stacked()
        top = np.cumsum(values, axis=0)
        y = number_scale(0.0, max(1.0, float(top[-1].max())), 260.0, 10.0)
        x, parts = stills.axes(f.time, y, 260.0, lambda v: f"{100 * v:.0f} %")
        xs = [x.at(t) for t in f.time.astype("M8[s]").astype("f8")]
        lower = [(a, y.at(0.0)) for a in xs]
        for row, colour in zip(top.tolist(), series(len(names)), strict=True):
            upper = [(a, y.at(b)) for a, b in zip(xs, row, strict=True)]
            parts.append(stills.area(upper, lower, colour, 0.8))
            lower = upper
        key = " ".join(
            f'<span style="border-left:10px solid {c};padding:0 8px 0 4px">{escape(n)}</span>'
            for n, c in zip(names, series(len(names)), strict=True)
        )
        return stills.page(_title(f), svg(290.0, _title(f), parts) + f"<p>{key}</p>", _sentence(f))


def _arrays(found: Weights) -> dict[str, Any]:
    return {
        "time": found.time,
        "values": found.values.astype("f4"),
        "gross": found.gross.astype("f4"),
        "net": found.net.astype("f4"),
    }


def _title(found: Weights) -> str:
    return f"Weights in {found.trial.title}"


def _sentence(found: Weights) -> str:
    gross, net = (words.number("exposure", float(np.nanmean(v))) for v in (found.gross, found.net))
    few = f"; the {STACKED - 1} largest are apart" if found.stackable and len(found.assets) > STACKED else ""
    return f"{len(found.assets):,} assets{few}; {gross} of equity invested in the mean, {net} net."


def weights(res: xr.Dataset, bars: xr.Dataset | None = None, *, selection: Selection | None = None) -> WeightMap:
    """Which part of equity each asset was over time, in the selected trial or the one with the highest Sharpe ratio.

    ``bars`` are those it was run on, where the result does not remember them. Raises UsageError without positions.
    """
    return WeightMap(res, bars, of(res) if selection is None else selection)
