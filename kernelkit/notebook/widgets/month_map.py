"""Returns by month and year as a widget: a click on a month is a span of time for all widgets of the result."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from kernelkit.notebook.widgets import stills
from kernelkit.notebook.widgets.base import Widget, packed
from kernelkit.notebook.widgets.selection import Selection, of
from kernelkit.report import words
from kernelkit.report.colours import BLUE, RED
from kernelkit.report.months import NAMES, Months, months_of

if TYPE_CHECKING:
    import xarray as xr


class MonthMap(Widget):
    """A table of months; it follows the selected trial."""

    _name = "monthly"

    arrays = traitlets.Dict().tag(sync=True)
    about = traitlets.Dict().tag(sync=True)

    def __init__(self, res: xr.Dataset, selection: Selection) -> None:
        self._res = res
        self._found = months_of(res, selection.trial)
        super().__init__(selection=selection, **_synced(self._found))
        self.link(self._follow, "trial")

    def _follow(self, _change: Any) -> None:
        self._found = months_of(self._res, self.selection.trial)
        with self.hold_sync():
            for name, value in _synced(self._found).items():
                setattr(self, name, value)

    def fallback(self) -> str:
        """The same table, in the colours of the page around it."""
        f, title = self._found, _title(self._found)
        heads = "".join(f'<th scope="col" style="padding:2px 6px">{name}</th>' for name in ("", *NAMES, "Year"))
        rows = []
        for k, year in enumerate(f.years):
            cells = "".join(_cell(v, f.limit) for v in f.values[k])
            rows.append(f'<tr><th scope="row">{year}</th>{cells}{_cell(f.totals[k], 2.5 * f.limit)}</tr>')
        table = (
            '<table style="border-collapse:collapse;font-size:12px;font-variant-numeric:tabular-nums">'
            f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        )
        return stills.page(title, table, f.sentence)


def _cell(value: float, limit: float) -> str:
    if not np.isfinite(value):
        return "<td></td>"
    share = round(75 * min(1.0, abs(value) / limit))
    colour = f"color-mix(in srgb, {BLUE if value > 0 else RED} {share}%, transparent)"
    said = escape(words.number("total_return", float(value)).removesuffix(" %")).replace("−0.0", "0.0")
    return f'<td style="padding:2px 6px;text-align:right;background:{colour}">{said}</td>'


def _title(found: Months) -> str:
    return f"Returns by month, %, of {found.trial.title}"


def _synced(found: Months) -> dict[str, Any]:
    arrays = {name: packed(getattr(found, name)) for name in ("years", "values", "totals", "spans")}
    about = {"title": _title(found), "sentence": found.sentence, "limit": found.limit, "months": list(NAMES)}
    return {"arrays": arrays, "about": about}


def monthly(res: xr.Dataset, *, selection: Selection | None = None) -> MonthMap:
    """Returns by month and year of the selected trial, or of the one with the highest Sharpe ratio.

    A click on a month or a year selects its span. Raises UsageError for results without curves.
    """
    return MonthMap(res, of(res) if selection is None else selection)
