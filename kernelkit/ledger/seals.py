"""Sealed data, and every look at it: a run that reached a sealed span after it was put away."""

from __future__ import annotations

from typing import NamedTuple

from kernelkit.ledger.family import proxies
from kernelkit.ledger.log import Row
from kernelkit.ledger.store import rows


class Look(NamedTuple):
    """One call that evaluated sealed data: when (Unix seconds), which strategy, as what, how many trials."""

    at: float
    strategy: str
    role: str
    trials: int


def looks(asset_ids: list[str], at: str | None = None) -> tuple[int | None, list[Look]]:
    """Since when (ns UTC) data of these assets are sealed, None for never, and every look at them, in order of time.

    Of several seals the earliest begin counts, each from when it was made on.
    """
    same = proxies(at)
    mine = {same(i) for i in asset_ids}
    seals = [row for row in rows("seal", at=at) if any(same(i) in mine for i in row["asset_ids"])]
    if not seals:
        return None, []

    def looked(row: Row) -> bool:
        return any(same(i) in mine for i in row["asset_ids"]) and any(
            row["at"] > seal["at"] and row["span"][1] >= seal["begin"] for seal in seals
        )

    found = [Look(r["at"], r["strategy"], r["role"], r["trials"]) for r in rows("trials", keep=looked, at=at)]
    return min(seal["begin"] for seal in seals), sorted(found)
