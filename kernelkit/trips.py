"""Round trips: from flat to flat, or to the other side (rule A7)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from kernelkit.errors import arguments
from kernelkit.kernels import layout as L
from kernelkit.result import Records

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

SPLIT = L.ACTIONS.index("split")


@arguments()
def trades(res: xr.Dataset) -> pd.DataFrame:
    """Every closed round trip of the selected trial (rule A7).

    Units: UTC, base units (the largest position), quote currency; ``entry`` and ``exit`` are mean prices of its fills
    (``exit`` is NaN where no fill closed it), ``pnl`` is net of fees; with several venues ``venue`` says at which.
    Over a split (E2) quantity and prices are those of the units at the end. Raises UsageError unless the result is
    narrowed down to one trial.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def flip(ctx):
    ...     ctx.target(1.0 if ctx.i % 1000 < 500 else -1.0)
    >>> trades(kk.backtest(kk.data.load("sp500_index"), flip))["side"].head(3).tolist()
    ['long', 'short', 'long']
    """
    import pandas as pd

    r, filled = Records(res, "trades"), Records(res, "fills")
    prices = filled.prices("ticks")
    done: list[tuple[str, float, float]] = [("", np.nan, np.nan)] * len(r.raw)
    for k in np.unique(r.number):
        rows, own = np.flatnonzero(r.number == k), np.flatnonzero(filled.number == k)
        grown, units = (units_at(filled.tables[k].actions, t) for t in (filled["time"][own], r["closed"][rows]))
        columns = (filled["lots"][own], filled["position"][own], prices[own], grown)
        parts = zip(*(column.tolist() for column in columns), strict=True)
        for row, unit, (side, entry, end) in zip(rows, units, round_trips(parts), strict=False):  # one may be open
            done[row] = side, entry / unit, end / unit
    return pd.DataFrame(
        {
            "asset": r.asset,
            "side": [side for side, _, _ in done],
            "opened": r.times("opened"),
            "closed": r.times("closed"),
            "quantity": r["lots"] * r.lot,
            "entry": np.array([entry for _, entry, _ in done], "f8"),
            "exit": np.array([end for _, _, end in done], "f8"),
            "pnl": r["pnl"],
            "fees": r["fees"],
            **r.venues,
        }
    )


def units_at(actions: np.ndarray, times: np.ndarray) -> np.ndarray:
    """E2: what one unit before all splits has become at these times; a fill at that of a split is of new units."""
    splits = actions[actions["kind"] == SPLIT]
    units: np.ndarray = np.cumprod([1.0, *splits["value"]])[np.searchsorted(splits["time"], times, side="right")]
    return units


def round_trips(fills: Iterable[tuple[int, int, float, float]]) -> list[tuple[str, float, float]]:
    """Side, mean entry and mean exit price of each round trip; NaN for the exit of one that no fill has closed.

    ``fills`` are (lots, lots held after it, price, what a unit has become); prices come back for the units of old.

    >>> round_trips([(2, 2, 10.0, 1.0), (-1, 1, 12.0, 1.0), (-3, -2, 14.0, 1.0)])
    [('long', 10.0, 13.0), ('short', 14.0, nan)]
    >>> round_trips([(2, 2, 10.0, 1.0), (-4, 0, 6.0, 2.0)])
    [('long', 10.0, 12.0)]
    """
    out: list[tuple[str, float, float]] = []
    side, n_in, paid, n_out, got = "", 0.0, 0.0, 0.0, 0.0
    for lots, after, price, grown in fills:
        before = after - lots
        closing = min(abs(lots), abs(before)) if (lots > 0) != (before > 0) else 0
        n_out, got = n_out + closing / grown, got + closing * price
        if side and closing == abs(before):  # nothing is held any more, be it for this fill or by what came before it
            out.append((side, float(paid / n_in), float(got / n_out) if closing else float("nan")))
            n_in, paid, n_out, got = 0.0, 0.0, 0.0, 0.0
        opening = abs(lots) - closing
        n_in, paid = n_in + opening / grown, paid + opening * price
        side = "" if after == 0 else "long" if after > 0 else "short"
    if side:
        out.append((side, float(paid / n_in), float("nan")))
    return out
