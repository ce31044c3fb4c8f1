"""The lives of orders as one table of events, from what the logs keep of orders and fills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Table
from kernelkit.market.reasons import Reason

if TYPE_CHECKING:
    import pandas as pd

# What happens to an order, in the order in which it can at one time.
EVENTS = ("submitted", "replaced", "triggered", "filled in part", "filled", *L.STATUSES[L.CANCELLED :])


def times_of(column: Any) -> np.ndarray:
    """Times of a log as datetime64[ns]; NaT for 0, which never came.

    >>> times_of([0, 1])
    array([                          'NaT', '1970-01-01T00:00:00.000000001'],
          dtype='datetime64[ns]')
    """
    values = np.asarray(column, "i8")
    return np.where(values == 0, np.datetime64("NaT"), values.astype("datetime64[ns]"))


def prices_of(column: Any, table: Table) -> np.ndarray:
    """Ticks of a log as prices; NaN for 0, which is none."""
    ticks = np.asarray(column, "f8")
    prices = ticks * table.tick if table.inverse == 0 else ticks / float(table.inverse)
    return np.where(ticks == 0, np.nan, prices)


def events_of(orders: Mapping[str, Any], fills: Mapping[str, Any], table: Table) -> pd.DataFrame:
    """What happened to each order, by time: submitted, replaced, triggered, filled (in part), or how else it ended.

    ``quantity`` is the order's, of a fill its own (base units), ``price`` that of a fill. Of several replacements the
    last one is known.
    """
    import pandas as pd

    kinds = EVENTS.index
    rows: list[tuple[int, int, int, int, int, int]] = []  # time, order, event, lots, ticks, reason
    size = {int(n): int(lots) for n, lots in zip(orders["id"], orders["lots"], strict=True)}
    filled = dict.fromkeys(size, 0)
    whole = {int(n) for n, s in zip(orders["id"], orders["status"], strict=True) if s == L.FILLED}
    last = {int(n): k for k, n in enumerate(fills["order"])}
    for name, event in (("t_submit", "submitted"), ("t_replace", "replaced"), ("t_trigger", "triggered")):
        rows += [
            (int(t), int(n), kinds(event), size[int(n)], 0, L.R_NONE)
            for n, t in zip(orders["id"], orders[name], strict=True)
            if t != 0
        ]
    for k, (n, t, lots, ticks) in enumerate(
        zip(fills["order"], fills["time"], fills["lots"], fills["ticks"], strict=True)
    ):
        done = int(n) in whole and last[int(n)] == k
        rows.append((int(t), int(n), kinds("filled" if done else "filled in part"), int(lots), int(ticks), L.R_NONE))
        filled[int(n)] += int(lots)
    for n, t, status, reason in zip(orders["id"], orders["t_end"], orders["status"], orders["reason"], strict=True):
        if status > L.FILLED:
            left = size[int(n)] - filled[int(n)]
            rows.append((int(t), int(n), kinds(L.STATUSES[int(status)]), left, 0, int(reason)))
    rows.sort(key=lambda row: row[:3])
    time, order, event, lots, ticks, reason = (np.array([r[k] for r in rows], "i8") for k in range(6))
    return pd.DataFrame(
        {
            "time": times_of(time),
            "order": order,
            "event": np.array(EVENTS)[event],
            "side": np.where(lots >= 0, "buy", "sell"),
            "quantity": np.abs(lots) * table.lot,
            "price": prices_of(ticks, table),
            "reason": [Reason(r).text for r in reason],
            "sentence": [Reason(r).sentence if r else "" for r in reason],
        }
    )
