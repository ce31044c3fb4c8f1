"""Which fills are of which trade: one that turns a position round is of two, each with its share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

# Positions are lots times their size: what is left of a closed one is a rounding.
NOTHING = 1e-9


class Shares(NamedTuple):
    """Rows of `kk.fills`, rows of `kk.trades`, and how much of the fill is that trade's: (part,), in order of fills."""

    fill: NDArray[np.intp]
    trade: NDArray[np.intp]
    share: NDArray[np.float64]


def trips_of(quantity: Any, after: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of one asset's fills in order, by signed quantity and position after each: fill, number of the round trip, share.

    A position that ends between two fills, as by a delisting, ends its trip, too.

    >>> fill, trip, share = trips_of([2.0, -1.0, -3.0, 2.0], [2.0, 1.0, -2.0, 0.0])
    >>> fill.tolist(), trip.tolist(), share.round(2).tolist()
    ([0, 1, 2, 2, 3], [0, 0, 0, 1, 1], [1.0, 1.0, 0.33, 0.67, 1.0])
    """
    quantity, after = np.asarray(quantity, "f8"), np.asarray(after, "f8")
    before = after - quantity
    before[np.abs(before) < NOTHING * np.abs(quantity)] = 0.0
    lapsed = np.r_[False, (before[1:] == 0.0) & (after[:-1] != 0.0)]
    turns = before * after < 0.0
    closes = (before != 0.0) & ((after == 0.0) | turns)
    trip = np.cumsum(lapsed) + np.cumsum(closes) - closes
    turned = np.flatnonzero(turns)
    fill = np.r_[np.arange(len(after)), turned]
    size = np.abs(np.where(quantity == 0.0, 1.0, quantity))
    share = np.r_[np.where(turns, np.abs(before) / size, 1.0), np.abs(after[turned]) / size[turned]]
    trip = np.r_[trip, trip[turned] + 1]
    order = np.argsort(fill, kind="stable")
    return fill[order], trip[order], share[order]


def shares_of(trades: pd.DataFrame, fills: pd.DataFrame) -> Shares:
    """The shares of all closed trades; fills of a position that is still open are of none."""
    signed = fills["quantity"].to_numpy("f8") * np.where(fills["side"] == "sell", -1.0, 1.0)
    after, parts = fills["position"].to_numpy("f8"), []
    for asset in trades["asset"].unique():
        rows, own = (np.flatnonzero((table["asset"] == asset).to_numpy()) for table in (fills, trades))
        fill, trip, share = trips_of(signed[rows], after[rows])
        closed = trip < len(own)
        parts.append((rows[fill[closed]], own[trip[closed]], share[closed]))
    if not parts:
        return Shares(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))
    fill, trade, share = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(fill, kind="stable")
    return Shares(fill[order], trade[order], share[order])
