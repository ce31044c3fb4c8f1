"""The scenarios of a stress test as a widget: what each does to the base, and what it is put together from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import traitlets

from kernelkit.notebook.widgets import stills
from kernelkit.notebook.widgets.base import Widget, packed
from kernelkit.notebook.widgets.selection import Selection, of
from kernelkit.report import words
from kernelkit.report.waterfall import Waterfall, waterfall_of

if TYPE_CHECKING:
    import xarray as xr

EFFECT, FALL = "effect", "fall"


class StressWaterfall(Widget):
    """One bar a scenario, from the base on; the browser chooses what is measured."""

    _name = "waterfall"

    arrays = traitlets.Dict().tag(sync=True)
    about = traitlets.Dict().tag(sync=True)

    def __init__(self, found: Waterfall, selection: Selection) -> None:
        self._found = found
        measured = {EFFECT: found.effect, FALL: -found.fall, **found.metrics}
        super().__init__(
            selection=selection,
            arrays={name: packed(values) for name, values in measured.items()},
            about={
                "labels": list(found.labels),
                "what": list(found.what),
                "parts": [found.parts(k) for k in range(len(found.labels))],
                "base": found.base,
                "missing": found.missing,
                "measures": [
                    [name, _title(name), "percent" if name in (EFFECT, FALL) else words.kind(name)] for name in measured
                ],
            },
        )

    def fallback(self) -> str:
        """The effect of each scenario on the final equity, and those that have none."""
        f = self._found
        known = np.isfinite(f.effect)
        names = [n for n, k in zip(f.labels, known, strict=True) if k]
        title = "Final equity under each scenario, against the base"
        picture = stills.bars(title, names, f.effect[known], lambda v: words.number("total_return", v))
        apart = [
            f"{n} ({words.number('max_drawdown', v)})" for n, v, k in zip(f.labels, f.fall, known, strict=True) if not k
        ]
        replays = f"Replays, with their drawdown: {', '.join(apart)}." if apart else ""
        missing = f"Not in these bars: {', '.join(f.missing)}." if f.missing else ""
        return stills.page(title, picture, replays, missing)


def _title(name: str) -> str:
    own = {EFFECT: "Final equity against the base", FALL: "Drawdown while it is felt"}
    return own.get(name, words.label(name))


def waterfall(res: xr.Dataset, *, selection: Selection | None = None) -> StressWaterfall:
    """What each scenario of `kk.stress` does to the base, the worst first; a click selects a scenario.

    Raises UsageError for other results.
    """
    return StressWaterfall(waterfall_of(res), of(res) if selection is None else selection)
