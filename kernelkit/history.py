"""The lives of orders as one table of events, from what the logs keep of orders and fills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kernelkit.kernels import layout as L
from kernelkit.market.reasons import Reason

SIDES = np.array(["", "buy", "sell"], object)  # by the sign of the lots, -1 is the last

if TYPE_CHECKING:
    import pandas as pd

# What happens to an order, in the order in which it can at one time.
EVENTS = ("submitted", "replaced", "triggered", "filled in part", "filled", *L.STATUSES[L.CANCELLED :])
# Where a bar opens when the one before is known: what its end does, what is decided then, what the open does.
AT_END, DECIDED, AT_OPEN = range(3)
REFUSED = tuple(range(L.R_POSITION, L.R_RATE + 1))
AT_DECISION = (L.R_USER, L.R_BELOW, L.R_INVALID, L.R_UNLISTED, L.R_OFF_TICK, L.R_ABOVE, L.R_MINIMUM, *REFUSED)
BEFORE_OPEN = (L.R_DAY, L.R_GTD, L.R_SPLIT)


class Event(NamedTuple):
    """One row: when, to which of the orders (its place in the log), what, and of how many lots at which price."""

    time: int
    phase: int
    order: int
    kind: str
    lots: int
    price: float = float("nan")
    reason: int = L.R_NONE


def events_of(orders: Any, fills: Any) -> pd.DataFrame:
    """What happened to each order, by time: submitted, replaced, triggered, filled (in part), or how else it ended.

    ``orders`` (by id) and ``fills`` are what a trial has logged, with units (`result.Records`). ``quantity`` is the
    order's at that time, of a fill its own (base units), ``price`` that of a fill. Of several replacements the last one
    is known; a split is one, too (E2).
    """
    import pandas as pd

    events = [*_filled(orders, fills), *_changed(orders, fills), *_ended(orders, fills)]
    events.sort(key=lambda e: (e.time, e.phase, e.order, EVENTS.index(e.kind)))
    rows = np.array([e.order for e in events], "i8")
    lots, reasons = np.array([e.lots for e in events], "i8"), [Reason(e.reason) for e in events]
    return pd.DataFrame(
        {
            "time": np.array([e.time for e in events], "i8").astype("datetime64[ns]"),
            "order": orders["id"][rows],
            "asset": orders.asset[rows],
            "event": [e.kind for e in events],
            "side": SIDES[np.sign(lots)],
            "quantity": np.abs(lots) * orders.lot[rows],
            "price": np.array([e.price for e in events], "f8"),
            "reason": [r.text for r in reasons],
            "sentence": [r.sentence if r else "" for r in reasons],
        }
    )


def _opened(fills: Any) -> set[int]:
    """When something was filled at an open."""
    return set(fills["time"][fills["rule"] == L.OPEN_FILL].tolist())


def _filled(orders: Any, fills: Any) -> list[Event]:
    rows = np.searchsorted(orders["id"], fills["order"]).tolist()
    last = {row: k for k, row in enumerate(rows)}
    out = []
    columns = (fills[n].tolist() for n in ("time", "lots", "rule"))
    for k, (row, time, lots, rule, price) in enumerate(zip(rows, *columns, fills.prices("ticks"), strict=True)):
        whole = orders["status"][row] == L.FILLED and last[row] == k
        phase = AT_OPEN if rule == L.OPEN_FILL else AT_END
        out.append(Event(time, phase, row, "filled" if whole else "filled in part", lots, float(price)))
    return out


def _changed(orders: Any, fills: Any) -> list[Event]:
    opened, out = _opened(fills), []
    columns = [orders[n].tolist() for n in ("lots_0", "lots", "t_replace")]
    for name, kind in (("t_submit", "submitted"), ("t_replace", "replaced"), ("t_trigger", "triggered")):
        for row, (time, first, lots, changed) in enumerate(zip(orders[name].tolist(), *columns, strict=True)):
            phase = DECIDED if kind != "triggered" else AT_OPEN if time in opened else AT_END
            if time != 0:
                out.append(Event(time, phase, row, kind, first if kind == "submitted" or time < changed else lots))
    return out


def _ended(orders: Any, fills: Any) -> list[Event]:
    opened, out = _opened(fills), []
    columns = (orders[n].tolist() for n in ("t_end", "status", "reason", "lots", "filled"))
    for row, (time, status, reason, lots, filled) in enumerate(zip(*columns, strict=True)):
        phase = AT_OPEN if reason in BEFORE_OPEN or time in opened else AT_END
        if reason in AT_DECISION or (reason == L.R_DELISTED and status == L.REJECTED):
            phase = DECIDED
        if status > L.FILLED:
            out.append(Event(time, phase, row, L.STATUSES[status], lots - filled, reason=reason))
    return out
