"""Where a run stands after its last bar: what it is worth, what it holds, and which orders wait for the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernelkit.kernels import layout as L
from kernelkit.kernels.block import header_of
from kernelkit.kernels.job import Job, Table
from kernelkit.replaying import live_orders

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Order:
    """An order that is live after a decision: it acts from the next bar on.

    ``quantity`` is what is left of it, in base units, positive to buy; NaN where it is sized at its fill, to make the
    position the fraction ``weight`` of equity. ``limit`` and ``trigger`` are prices, NaN where it has none.
    """

    order: int
    asset: str
    kind: str
    tif: str
    quantity: float
    limit: float
    trigger: float
    weight: float


@dataclass(frozen=True, slots=True)
class Update:
    """A run after bar ``bar``, which was known at ``time`` (UTC).

    ``equity`` is in quote currency, ``position`` in base units by asset, ``orders`` are those that wait.
    """

    time: np.datetime64
    bar: int
    equity: float
    position: Mapping[str, float]
    orders: tuple[Order, ...]


def update_of(job: Job, names: Sequence[str], block: np.ndarray) -> Update:
    """What the state of a run's trial says, whose ``names`` are its assets'."""
    header, tables = header_of(block), job.tables[int(job.plan.shared) :]
    at, bar = int(header["off_positions"]), int(header["i"]) - 1
    lots = block[at : at + len(names) * L.POSITION.itemsize].view(L.POSITION)["lots"]
    position = {name: float(n * table.lot) for name, n, table in zip(names, lots, tables, strict=True)}
    known = np.datetime64(int(job.tables[0].columns[L.C_KNOWN_AT][bar]), "ns")
    orders = tuple(_order(o, names, tables) for o in live_orders(block))
    return Update(known, bar, equity_of(job, block), position, orders)


def equity_of(job: Job, block: np.ndarray) -> float:
    """Equity at the last mark, in quote currency; the initial cash while the run warms up."""
    header = header_of(block)
    at = int(header["off_account"])
    account = block[at : at + L.ACCOUNT.itemsize].view(L.ACCOUNT)[0]
    return float(account["equity"]) if header["started"] else float(job.trials[0]["cash"])


def _order(o: Any, names: Sequence[str], tables: Sequence[Table]) -> Order:
    asset = int(o["asset"])
    table, unsized = tables[asset], bool(o["marks"] & L.AT_FILL) and not o["marks"] & L.SIZED

    def price(name: str) -> float:
        ticks = float(o[name])
        return NAN if ticks == 0.0 else ticks / table.inverse if table.inverse else ticks * table.tick

    return Order(
        order=int(o["id"]),
        asset=names[asset],
        kind=L.KINDS[int(o["kind"])],
        tif=L.TIFS[int(o["tif"])],
        quantity=NAN if unsized else float((o["lots"] - o["filled"]) * table.lot),
        limit=price("price"),
        trigger=price("trigger"),
        weight=float(o["weight"]) if unsized else NAN,
    )
