"""The lives of orders as one table of events, from what the logs keep of orders and fills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Table
from kernelkit.market.reasons import Reason

if TYPE_CHECKING:
    import pandas as pd

# What happens to an order, in the order in which it can at one time.
EVENTS = ("submitted", "replaced", "triggered", "filled in part", "filled", *L.STATUSES[L.CANCELLED :])
# Where a bar opens when the one before is known: what its end does, what is decided then, what the open does.
AT_END, DECIDED, AT_OPEN = range(3)
AT_DECISION = (L.R_USER, L.R_BELOW, L.R_INVALID, L.R_UNLISTED, L.R_OFF_TICK, L.R_ABOVE, L.R_MINIMUM)
BEFORE_OPEN = (L.R_DAY, L.R_GTD)


class Row(NamedTuple):
    """One event, before it is told in base units and prices."""

    time: int
    phase: int
    order: int
    event: str
    lots: int
    ticks: int = 0
    reason: int = L.R_NONE


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

    rows: list[Row] = []
    size = {int(n): int(lots) for n, lots in zip(orders["id"], orders["lots"], strict=True)}
    filled = dict.fromkeys(size, 0)
    whole = {int(n) for n, s in zip(orders["id"], orders["status"], strict=True) if s == L.FILLED}
    last = {int(n): k for k, n in enumerate(fills["order"])}
    opened = {int(t) for t, rule in zip(fills["time"], fills["rule"], strict=True) if rule == L.OPEN_FILL}
    columns = (fills[c] for c in ("order", "time", "lots", "ticks"))
    for k, (n, t, lots, ticks) in enumerate(zip(*columns, strict=True)):
        done = int(n) in whole and last[int(n)] == k
        phase = AT_OPEN if int(t) in opened else AT_END
        rows.append(Row(int(t), phase, int(n), "filled" if done else "filled in part", int(lots), int(ticks)))
        filled[int(n)] += int(lots)
    for name, event in (("t_submit", "submitted"), ("t_replace", "replaced"), ("t_trigger", "triggered")):
        for n, t in zip(orders["id"], orders[name], strict=True):
            phase = DECIDED if event != "triggered" else AT_OPEN if int(t) in opened else AT_END
            if t != 0:
                rows.append(Row(int(t), phase, int(n), event, size[int(n)]))
    for n, t, status, reason in zip(orders["id"], orders["t_end"], orders["status"], orders["reason"], strict=True):
        phase = AT_OPEN if reason in BEFORE_OPEN or int(t) in opened else AT_END
        phase = DECIDED if reason in AT_DECISION else phase
        if status > L.FILLED:
            left = size[int(n)] - filled[int(n)]
            rows.append(Row(int(t), phase, int(n), L.STATUSES[int(status)], left, reason=int(reason)))
    rows.sort(key=lambda r: (r.time, r.phase, r.order, EVENTS.index(r.event)))
    lots, reasons = np.array([r.lots for r in rows], "i8"), [Reason(r.reason) for r in rows]
    return pd.DataFrame(
        {
            "time": times_of([r.time for r in rows]),
            "order": np.array([r.order for r in rows], "i8"),
            "event": [r.event for r in rows],
            "side": np.where(lots >= 0, "buy", "sell"),
            "quantity": np.abs(lots) * table.lot,
            "price": prices_of([r.ticks for r in rows], table),
            "reason": [r.text for r in reasons],
            "sentence": [r.sentence if r else "" for r in reasons],
        }
    )
