"""Correlations as a widget: clusters beside each other, a pair under the pointer in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import traitlets

from kernelkit.notebook.widgets import stills
from kernelkit.notebook.widgets.base import Widget, packed
from kernelkit.notebook.widgets.selection import Selection, of
from kernelkit.report.correlation import Correlation, correlation_of

if TYPE_CHECKING:
    import xarray as xr


class CorrelationMap(Widget):
    """A matrix of correlations, float32 in the browser; a click on a row selects its trial, where it is one."""

    _name = "correlation"

    arrays = traitlets.Dict().tag(sync=True)
    about = traitlets.Dict().tag(sync=True)

    def __init__(self, found: Correlation, selection: Selection) -> None:
        self._found = found
        super().__init__(
            selection=selection,
            arrays={"values": packed(found.values.astype("f4")), "cluster": packed(found.cluster.astype("i4"))},
            about={"labels": list(found.labels), "trials": list(found.trials), "title": _title(found)},
        )

    def fallback(self) -> str:
        """The matrix, of many rows some."""
        f = self._found
        return stills.page(_title(f), stills.grid(_title(f), f.values, f.labels, 1.0, f.labels))


def _title(found: Correlation) -> str:
    mean = "" if np.isnan(found.mean) else f"; mean {found.mean:.2f}".replace("-", "−")
    out = f"; {found.left_out:,} are left out" if found.left_out else ""
    return f"Correlation of {found.of}{mean}{out}"


def correlation(
    res: xr.Dataset, bars: xr.Dataset | None = None, *, selection: Selection | None = None
) -> CorrelationMap:
    """How alike strategies, accounts, a portfolio's assets or trials move, like beside like.

    ``bars`` are a portfolio's, where the result does not remember them. Raises UsageError for a single series.
    """
    return CorrelationMap(correlation_of(res, bars), of(res) if selection is None else selection)
