"""What is selected in the widgets of a result: a trial, a trade, a span of time."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import traitlets

if TYPE_CHECKING:
    import xarray as xr


class Selection(traitlets.HasTraits):
    """What widgets share: each shows it, and each may change it.

    ``trial`` is the label of each dim of the selected trial, ``trade`` the row in `kk.trades` of that trial, ``span``
    its two ends as int64 nanoseconds UTC; each is None where nothing is selected.

    >>> chosen = Selection()
    >>> chosen.observe(lambda change: print(change["new"]), "trial")
    >>> chosen.trial = {"fast": 20}
    {'fast': 20}
    """

    trial: Any = traitlets.Dict(default_value=None, allow_none=True)
    trade: Any = traitlets.Int(default_value=None, allow_none=True)
    span: Any = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=None, allow_none=True)

    @traitlets.observe("trial")
    def _other_trial(self, _change: Any) -> None:
        self.trade = None  # the number of a trade means another one in another trial


_shared: dict[int, Selection] = {}


def of(res: xr.Dataset) -> Selection:
    """The selection that all widgets of this very Dataset share; it lives as long as the Dataset does.

    >>> import xarray as xr
    >>> res = xr.Dataset()
    >>> of(res) is of(res), of(res) is of(xr.Dataset())
    (True, False)
    """
    key = id(res)
    if key not in _shared:
        _shared[key] = Selection()
        weakref.finalize(res, _shared.pop, key, None)
    return _shared[key]
