"""The fan of many paths as a widget: bands, where paths ended, how deep they fell; a quantile is a path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from kernelkit.notebook.picture import svg
from kernelkit.notebook.scale import number_scale
from kernelkit.notebook.widgets import stills
from kernelkit.notebook.widgets.base import Widget, packed
from kernelkit.notebook.widgets.selection import Selection, of
from kernelkit.report import words
from kernelkit.report.colours import BLUE, RED
from kernelkit.report.drawing import LOG_FROM
from kernelkit.report.fan import Fan, fan_of
from kernelkit.report.growth import growth_of
from kernelkit.report.shown import curve_name, shown

if TYPE_CHECKING:
    import xarray as xr


class PathFan(Widget):
    """Bands of growth over paths. The browser gets quantiles, and of each path its end and its largest drawdown."""

    _name = "fan"

    arrays = traitlets.Dict().tag(sync=True)
    about = traitlets.Dict().tag(sync=True)

    def __init__(self, res: xr.Dataset, found: Fan, selection: Selection) -> None:
        self._res, self._found = res, found
        names = ("time", "levels", "bands", "ends", "falls")
        arrays = {name: packed(getattr(found, name)) for name in names}
        if found.real is not None:
            arrays["real"] = packed(found.real)
        super().__init__(
            selection=selection,
            arrays=arrays,
            about={
                "paths": found.paths.tolist(),
                "observed": None if found.observed is None else list(found.observed),
                "sentence": found.sentence,
                "log": _log(found),
                "curves": curve_name(res, "equity") is not None,
            },
        )

    def heard(self, kind: str, content: Mapping[str, Any]) -> None:
        """Answer ``curve`` with the growth on one path, where the result holds it."""
        if kind != "curve" or not self.about["curves"]:
            super().heard(kind, content)
        path = self._found.paths[int(content["place"])]
        curve = growth_of(shown(self._res, {"path": path})).reindex(self._found.time, method="ffill")
        self.tell("curve", {"curve": curve.values}, place=int(content["place"]))

    def fallback(self) -> str:
        """The bands, the median, and the run on the bars themselves."""
        f = self._found
        every = f.bands if f.real is None else np.vstack([f.bands, f.real])
        y = number_scale(float(np.nanmin(every)), float(np.nanmax(every)), 300.0, 10.0, log=_log(f))
        x, parts = stills.axes(f.time, y, 300.0, words.compact)
        xs = [x.at(t) for t in f.time.astype("M8[s]").astype("f8")]
        lines = [[(a, y.at(b)) for a, b in zip(xs, one, strict=True)] for one in f.bands.tolist()]
        for k in range(len(lines) // 2):
            parts.append(stills.area(lines[-1 - k], lines[k], BLUE, 0.14 + 0.1 * k))
        parts.append(stills.line(lines[len(lines) // 2], BLUE))
        if f.real is not None:
            parts.append(stills.line([(a, y.at(b)) for a, b in zip(xs, f.real.tolist(), strict=True)], RED))
        bands = f"{f.levels[-1] - f.levels[0]:.0%}"
        title = f"Growth of 1 on {len(f.paths):,} {f.what}: median and the middle {bands}"
        note = "" if f.real is None else "The bars themselves are the red line."
        return stills.page(title, svg(330.0, title, parts), f.sentence, note)


def _log(found: Fan) -> bool:
    low, high = float(np.nanmin(found.bands)), float(np.nanmax(found.bands))
    return low > 0.0 and high / low > LOG_FROM


def fan(res: xr.Dataset, real: xr.Dataset | None = None, *, selection: Selection | None = None) -> PathFan:
    """The fan of a result with dim ``path`` (`kk.monte_carlo`, `kk.cross_validate`); ``real`` is the run on the bars.

    A click selects the path that ended at the quantile under the pointer. Raises UsageError for results without paths.
    """
    return PathFan(res, fan_of(res, real), of(res) if selection is None else selection)
