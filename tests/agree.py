"""What it means that engine and reference simulator agree: in every fill, order, trade, curve, block and metric."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kernelkit.compliance import COUNTLESS
from kernelkit.history import lives
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Logs
from tests.reference import Outcome
from tests.reference.lives import Moment

NUMBERS = ("lots", "display", "price", "trigger")


def same(a: float, b: float) -> bool:
    """Equal bits, all NaN alike."""
    return a == b or (math.isnan(a) and math.isnan(b))


def lived(logs: Logs) -> dict[int, list[Moment]]:
    """O17: what the history tells of each order; of all orders it goes by time."""
    rows = lives(logs.changes)
    assert (np.diff(rows["time"]) >= 0).all()
    out: dict[int, list[Moment]] = {}
    for r in rows:
        event = L.CHANGES[r["what"]] if r["what"] < L.CH_FILLED else L.STATUSES[r["status"]]
        if event == "live":
            event = "filled in part"
        reason = L.REASONS[r["reason"]] if r["status"] != L.LIVE else ""
        numbers = (int(r[name]) for name in ("lots", "price", "trigger", "ticks"))
        out.setdefault(int(r["order"]), []).append(Moment(int(r["time"]), event, *numbers, reason))
    return out


def assert_agree(logs: Logs, headline: dict[str, float], blocks: np.ndarray, level: int, expected: Outcome) -> None:
    """Raise AssertionError where they do not."""
    fills = [
        (
            int(r["order"]),
            int(r["asset"]),
            int(r["time"]),
            int(r["lots"]),
            int(r["ticks"]),
            int(r["reference"]),
            float(r["fee"]),
            float(r["slippage"]),
        )
        for r in logs.fills
    ]
    assert fills == [
        (f["order"], f.get("asset", 0), f["time"], f["lots"], f["ticks"], f["reference"], f["fee"], f["slippage_cost"])
        for f in expected.fills
    ]
    assert [("open", "intrabar", "same_close")[int(r["rule"])] for r in logs.fills] == [
        f["rule"] for f in expected.fills
    ]
    orders = {
        int(r["id"]): (
            int(r["asset"]),
            L.KINDS[r["kind"]],
            L.TIFS[r["tif"]],
            int(r["filled"]),
            L.STATUSES[r["status"]],
            L.REASONS[r["reason"]],
            int(r["t_submit"]),
            int(r["t_end"]),
            float(r["fees"]),
            int(r["parent"]),
            *(int(r[name]) for name in NUMBERS),
        )
        for r in logs.orders
    }
    assert orders == {
        o["id"]: (
            o.get("asset", 0),
            o["kind"],
            o["tif"],
            o["filled"],
            o["status"],
            o["reason"] or "",
            o["t_submit"],
            o["t_end"],
            o["fees"],
            o["parent"] or 0,
            *(o[name] for name in NUMBERS),
        )
        for o in expected.orders
    }
    trades = [
        (int(r["asset"]), int(r["opened"]), int(r["closed"]), int(r["lots"]), float(r["pnl"]), float(r["fees"]))
        for r in logs.trades
    ]
    assert trades == [
        (t.get("asset", 0), t["opened"], t["closed"], t["lots"], t["pnl"], t["fees"]) for t in expected.trades
    ]
    happened = [
        (L.ACTIONS[r["kind"]], int(r["asset"]), int(r["time"]), int(r["lots"]), float(r["amount"]))
        for r in logs.happened
    ]
    assert happened == [(a["kind"], a["asset"], a["time"], a["position"], a["amount"]) for a in expected.actions]
    rows = [
        (
            int(r["order"]),
            int(r["asset"]),
            int(r["time"]),
            L.REASONS[r["reason"]],
            L.DEEDS[r["done"]],
            abs(int(r["before"])),
            abs(int(r["after"])),
            int(r["until"]),
            *((0.0, 0.0) if r["reason"] in COUNTLESS else (float(r["limit"]), float(r["found"]))),
        )
        for r in logs.breaches
    ]
    columns = "order asset time reason done before after until limit found".split()
    assert rows == [tuple(row.get(name, 0) for name in columns) for row in expected.compliance]
    found = lived(logs)
    numbers = found.keys() | expected.lives.keys()
    assert {n: (found.get(n), expected.lives.get(n)) for n in numbers if found.get(n) != expected.lives.get(n)} == {}
    assert logs.curves[:, 0].tolist() == expected.equity
    assert logs.curves[:, 1].tolist() == expected.cash
    assert level == expected.k
    # repr tells every number from every other, and NaN is itself: an index of worthless assets has no returns (X8)
    assert [{n: repr(r[n].item()) for n in L.NODE.names} for r in blocks] == [
        {n: repr(L.NODE[n].type(b["i" if n == "index" else n]).item()) for n in L.NODE.names} for b in expected.blocks
    ]
    # M8: exp may differ in the last digit, which its argument, exp(x) - 1 and a small drawdown magnify
    growth = 1.0 + np.nan_to_num(expected.metrics["cagr"])
    close = 1e-15 * (10.0 + abs(math.log(growth))) if growth > 0.0 else 1e-14
    slack = {"cagr": 1e-15 * (1.0 + abs(growth - 1.0))}
    slack["calmar_ratio"] = slack["cagr"] / max(np.nan_to_num(expected.metrics["max_drawdown"]), 1e-9)
    for name, value in headline.items():
        if name in slack:
            assert value == pytest.approx(expected.metrics[name], rel=close, abs=slack[name], nan_ok=True), name
        else:
            assert same(value, expected.metrics[name]), name
