"""What kind of contract an asset is: a linear one, settled in quote currency, or an inverse one, settled in base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kernelkit.errors import DataError, arguments, message
from kernelkit.schema import check_bars

if TYPE_CHECKING:
    import xarray as xr

CONTRACT = "contract"
KINDS = ("linear", "inverse")


@arguments()
def inverse(bars: xr.Dataset, assets: Sequence[str] | None = None) -> xr.Dataset:
    """Return ``bars`` whose ``assets`` (None: all) are inverse contracts, as coin-margined perpetuals are.

    A unit of quantity is one contract, worth ``multiplier`` in quote currency; profit, fees, margin and the account's
    cash are in base currency: a contract from price p to q gains ``multiplier * (1 / p - 1 / q)`` (rule A1). Raises
    DataError for an asset that the bars do not have.

    >>> from kernelkit.data.synthetic import minute_bars
    >>> inverse(minute_bars(3))["contract"].values.tolist()
    ['inverse']
    """
    check_bars(bars)
    known = [str(a) for a in bars["asset"].values]
    chosen = known if assets is None else [str(a) for a in assets]
    strange = [a for a in chosen if a not in known]
    if strange:
        raise DataError(message("inverse contracts", ", ".join(strange), f"some of {', '.join(known)}", "Check them."))
    kinds = np.array([KINDS[name in chosen] for name in known])
    return bars.assign_coords({CONTRACT: ("asset", kinds)})


def check_same(bars: xr.Dataset, later: xr.Dataset) -> None:
    """Raise DataError where bars that are to follow others are of another kind of contract (rule A1)."""
    for name, before, after in zip(bars["asset"].values, is_inverse(bars), is_inverse(later), strict=True):
        if before != after:
            fix = "Wrap them too: kk.data.inverse(more)." if before else "Leave out kk.data.inverse(...)."
            raise DataError(message(f"contract of {name} in the later bars", KINDS[after], KINDS[before], fix))


def is_inverse(bars: xr.Dataset) -> list[bool]:
    """Which assets are inverse contracts."""
    if CONTRACT not in bars.variables:
        return [False] * bars.sizes["asset"]
    return [str(kind) == KINDS[1] for kind in np.atleast_1d(bars.variables[CONTRACT].values)]
