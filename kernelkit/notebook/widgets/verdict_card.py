"""The verdict as a widget: its card, and what the deflated Sharpe ratio would be with more or fewer trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from kernelkit.inference.changes import deflation
from kernelkit.inference.verdict import Verdict
from kernelkit.inference.verdict import verdict as judged
from kernelkit.notebook.widgets.base import Widget, packed
from kernelkit.notebook.widgets.selection import Selection, of

if TYPE_CHECKING:
    import xarray as xr


class VerdictCard(Widget):
    """The card of a verdict, which is ``found``."""

    _name = "verdict"

    card = traitlets.Unicode().tag(sync=True)
    arrays = traitlets.Dict().tag(sync=True)
    about = traitlets.Dict().tag(sync=True)

    def __init__(self, found: Verdict, selection: Selection) -> None:
        self.found = found
        curve = deflation(found.evidence)
        arrays = {} if curve is None else {"trials": packed(curve[0]), "dsr": packed(curve[1])}
        super().__init__(
            selection=selection, card=self.fallback(), arrays=arrays, about={"n": found.n_trials, "line": found.line}
        )

    def fallback(self) -> str:
        """The card itself."""
        return self.found._repr_html_()

    def _plain(self) -> str:
        return str(self.found)


def verdict(res: xr.Dataset, *, selection: Selection | None = None, **settings: Any) -> VerdictCard:
    """What `kk.verdict` finds, with its settings, as a card.

    Raises what `kk.verdict` raises.
    """
    return VerdictCard(judged(res, **settings), of(res) if selection is None else selection)
