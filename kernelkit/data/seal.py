"""Sealing: the newest data are put away, and the ledger counts who looks at them all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernelkit import ledger
from kernelkit.data.durations import duration
from kernelkit.errors import UsageError, arguments, message
from kernelkit.schema import check_bars, covered

if TYPE_CHECKING:
    import xarray as xr


@arguments()
def seal(bars: xr.Dataset, last: str = "1Y", note: str = "") -> xr.Dataset:
    """Return ``bars`` without their last year, or another duration (5Y, 6M, 8W, 90D), which is sealed from now on (J9).

    Work with what is returned; the sealed bars are for the one look at the end. The project's ledger keeps the seal by
    the assets' permanent ids, with its ``note``. A run on bars that reach into it is a look: it is counted, told at
    once with a `kk.ledger.SealedWarning`, and shown by every verdict; `kk.ledger.looks` lists them. Actions (E1) from
    the first sealed bar on are left out, too. Raises DataError for what is no bars, UsageError where none is left.

    >>> from kernelkit.data import load
    >>> seal(load("sp500_index"), last="100Y")
    Traceback (most recent call last):
    kernelkit.errors.UsageError: last: found 100Y, wanted less than the bars' ... Seal less.
    """
    check_bars(bars)
    times = bars.indexes["time"]
    n = int(times.searchsorted(times[-1] - duration(last, "last"), side="right"))
    if n == 0:
        raise UsageError(message("last", last, f"less than the bars' {times[0]} to {times[-1]}", "Seal less."))
    kept, (begin, _) = bars.isel(time=slice(0, n)), covered(bars, n, len(times))
    if "action_time" in bars:
        kept = kept.isel(action=np.flatnonzero(bars["action_time"].values < times[n : n + 1].values))
    ids = [str(i) for i in np.atleast_1d(bars["asset_id"].values).tolist()]
    ledger.sealed(ids, begin, note)
    return kept
