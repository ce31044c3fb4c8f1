"""Sealed data, and every look at it: a run that reached a sealed span after it was put away (J9)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kernelkit.errors import arguments
from kernelkit.ledger.log import Row
from kernelkit.ledger.markets import Markets, declared_markets, holding, markets_of
from kernelkit.ledger.parquet import covered
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


def _on(seals: Sequence[Row], asset_ids: Sequence[str], same: Markets) -> list[Row]:
    """Those of the seals that lie on these assets, or on what is the ``same`` market."""
    mine = {same.of(i) for i in asset_ids}
    return [row for row in seals if any(same.of(i) in mine for i in row["asset_ids"])]


@arguments()
def looks(asset_ids: Sequence[str], at: str | None = None) -> tuple[int | None, list[Look]]:
    """Since when (ns UTC) data of these assets are sealed, None for never, and every look at them, in order of time.

    A look is a call, whatever its role, whose bars end in sealed data, made after the seal was. Of several seals the
    earliest begin counts, each from when it was made on.
    """
    import pyarrow.compute as pc

    seals = list(rows("seal", at=at))
    same = markets_of(asset_ids, at) if seals else Markets()
    found = _on(seals, asset_ids, same)
    if not found:
        return None, []

    def looked(row: Row) -> bool:
        first, ended = row.get("part", [0])[0] == 0, covered(row)[1]
        return first and any(row["at"] > seal["at"] and ended >= seal["begin"] for seal in found)

    since = min(seal["begin"] for seal in found)
    where = holding(same.ids(asset_ids)) & (pc.field("end") >= since) & ~pc.field("role").isin(list(BESIDE))
    calls = rows("trials", where=where, keep=looked, heavy=False, at=at)
    return since, sorted(Look(r["at"], r["strategy"], r["role"], r["trials"]) for r in calls)


def warn_of_looks(asset_ids: Sequence[str], end: int) -> None:
    """Warn with a SealedWarning where a run of these assets to ``end`` (ns UTC), recorded just now, was such a look.

    Here assets are told by their ids, so that no run has to read the ledger first.
    """
    at = place()
    reached = [seal for seal in rows("seal", at=at) if end >= seal["begin"]]
    if not reached or not _on(reached, asset_ids, declared_markets(at)):
        return
    since, found = looks(asset_ids, at)
    many = "this is the first look at them" if len(found) == 1 else f"this is look {len(found)} at them"
    day = str(np.datetime64(since, "ns").astype("datetime64[D]"))
    warnings.warn(f"data from {day} on are sealed: {many}, and the ledger has counted it", SealedWarning, stacklevel=6)
