"""The lives of orders as one table, from the rows that a trial has logged of them (rule O17)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.kernels import layout as L
from kernelkit.market.reasons import Reason

if TYPE_CHECKING:
    import pandas as pd

SIDES = np.array(["", "buy", "sell"], object)  # by the sign of the lots, -1 is the last


def lives(logged: np.ndarray) -> np.ndarray:
    """What happened to orders, in order of time: the rows that a trial has logged, and the arrivals between them.

    A fill that ended its order says so, by its status; of replacements at one time the last is left. What becomes of
    a trigger in a bar comes no later than the end of its order, which a cancel within that bar may be.

    >>> rows = np.zeros(2, L.CHANGE)
    >>> rows["what"], rows["time"], rows["active"] = [L.CH_SUBMITTED, L.CH_ENDED], [5, 9], 7
    >>> [(int(r["time"]), int(r["what"])) for r in lives(rows)] == [(5, 0), (7, L.CH_ARRIVED), (9, L.CH_ENDED)]
    True
    """
    rows, what = logged.copy(), logged["what"]
    whole = np.flatnonzero((what == L.CH_ENDED) & (logged["status"] == L.FILLED))
    for name in ("status", "reason"):
        rows[name][whole - 1] = logged[name][whole]  # its last fill is the row before
    end = np.full(int(logged["order"].max(initial=0)) + 1, np.iinfo("i8").max)
    end[logged["order"][what == L.CH_ENDED]] = logged["time"][what == L.CH_ENDED]
    moved = np.flatnonzero(np.isin(what, (L.CH_TRAILED, L.CH_TRIGGERED)))
    rows["time"][moved] = np.minimum(rows["time"][moved], end[logged["order"][moved]])
    replaced = np.flatnonzero(what == L.CH_REPLACED)[::-1]
    keys = np.stack([logged["order"][replaced], logged["time"][replaced]], axis=1)
    kept = (what != L.CH_REPLACED) & ~((what == L.CH_ENDED) & (logged["status"] == L.FILLED))
    kept[replaced[np.unique(keys, axis=0, return_index=True)[1]]] = True
    rows = rows[kept]
    rows = np.concatenate([arrivals(rows), rows])
    out: np.ndarray = rows[np.argsort(rows["time"], kind="stable")]
    return out


def arrivals(rows: np.ndarray) -> np.ndarray:
    """H4, H5: orders as they are when the venue has them, where that is later than their decision and they live on."""
    rows = rows[np.argsort(rows["order"], kind="stable")]
    first = np.flatnonzero((rows["what"] == L.CH_SUBMITTED) & (rows["active"] > rows["time"]))
    after = np.searchsorted(rows["order"], rows["order"][first], side="right")
    out = np.zeros(len(first), L.CHANGE)
    came = np.zeros(len(first), bool)
    for k, (begin, end) in enumerate(zip(first.tolist(), after.tolist(), strict=True)):
        own, time = rows[begin:end], rows["active"][begin]
        turned_away = own["status"][-1] == L.REJECTED and own["reason"][-1] >= L.R_DOWN
        came[k] = own["time"][-1] >= time and not turned_away
        out[k] = own[own["time"] < time][-1]
        out["time"][k] = time
    out["what"] = L.CH_ARRIVED
    return out[came]


def events_of(r: Any) -> pd.DataFrame:
    """The table of `kk.orders(..., history=True)`; ``r`` are the `lives` of a trial with units (`result.Records`)."""
    import pandas as pd

    filled, ended = r["what"] == L.CH_FILLED, r["what"] == L.CH_ENDED
    events = np.array([*L.CHANGES, "filled in part", ""], object)[r["what"]]
    events[filled & (r["status"] == L.FILLED)] = "filled"
    events[ended] = np.array(L.STATUSES, object)[r["status"][ended]]
    reasons = [Reason(int(k)) for k in r["reason"]]
    return pd.DataFrame(
        {
            "time": r.times("time"),
            "order": r["order"],
            "asset": r.asset,
            **r.symbol("time"),
            "event": events,
            "side": SIDES[np.sign(r["lots"])],
            "quantity": np.abs(r["lots"]) * r.lot,
            "limit": r.prices("price"),
            "trigger": r.prices("trigger"),
            "price": r.prices("ticks"),
            "reason": [k.text for k in reasons],
            "sentence": [k.sentence if k else "" for k in reasons],
            **r.venues,
        }
    )
