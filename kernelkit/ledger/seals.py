"""Sealed data, and every look at it: a run that reached a sealed span after it was put away (J9)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kernelkit.ledger.family import holding, proxies
from kernelkit.ledger.log import Row
from kernelkit.ledger.place import place
from kernelkit.ledger.store import rows

BESIDE = ("fill_model", "delisting")  # roles of what is computed beside the same look


class SealedWarning(UserWarning):
    """A run has evaluated data that were sealed."""


class Look(NamedTuple):
    """One call that evaluated sealed data: when (Unix seconds), which strategy, as what, how many trials."""

    at: float
    strategy: str
    role: str
    trials: int


def seals(asset_ids: Sequence[str], at: str | None = None) -> list[Row]:
    """The notes of seals on these assets, or on what is the same market; only notes are read."""
    found = list(rows("seal", at=at))
    if not found:
        return []
    same = proxies(at)
    mine = {same(i) for i in asset_ids}
    return [row for row in found if any(same(i) in mine for i in row["asset_ids"])]


def looks(asset_ids: Sequence[str], at: str | None = None) -> tuple[int | None, list[Look]]:
    """Since when (ns UTC) data of these assets are sealed, None for never, and every look at them, in order of time.

    A look is a call, whatever its role, whose span ends in sealed data, made after the seal was. Of several seals the
    earliest begin counts, each from when it was made on.
    """
    import pyarrow.compute as pc

    found = seals(asset_ids, at)
    if not found:
        return None, []

    def looked(row: Row) -> bool:
        ended, first = row["span"][1], row.get("part", [0])[0] == 0
        return first and any(row["at"] > seal["at"] and ended >= seal["begin"] for seal in found)

    since = min(seal["begin"] for seal in found)
    where = holding(asset_ids, at) & (pc.field("end") >= since) & ~pc.field("role").isin(list(BESIDE))
    calls = rows("trials", where=where, keep=looked, heavy=False, at=at)
    return since, sorted(Look(r["at"], r["strategy"], r["role"], r["trials"]) for r in calls)


def warn_of_looks(asset_ids: Sequence[str], end: int) -> None:
    """Warn with a SealedWarning where a run of these assets to ``end`` (ns UTC), recorded just now, was such a look."""
    at = place()
    if not any(end >= seal["begin"] for seal in seals(asset_ids, at)):
        return
    since, found = looks(asset_ids, at)
    many = "this is the first look at them" if len(found) == 1 else f"this is look {len(found)} at them"
    day = str(np.datetime64(since, "ns").astype("datetime64[D]"))
    warnings.warn(f"data from {day} on are sealed: {many}, and the ledger has counted it", SealedWarning, stacklevel=5)
