"""The family of a trial: every rival that overlaps its asset and its span, over all notebooks of the project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.ledger.log import Row
from kernelkit.ledger.store import rows
from kernelkit.ledger.trials import DONE, FIELDS, KEY_BYTES, NONE, SHARED, UNTOUCHED

TOLD: dict[str, Any] = {
    "key": f"V{KEY_BYTES}",
    "strategy": object,
    "call": object,
    "cell": "i8",
    "account": "i8",
    "at": "f8",
}
SUMS = ("s1", "s2", "active", "sxb")  # of `FIELDS`, what a family is made of


@dataclass(frozen=True)
class Family:
    """Rivals and their block sums on common edges.

    Arrays are by trial (``key``, ``strategy``, ``call``, ``cell``, ``account``, ``at``: when it first ran) or
    (block, trial): ``n`` sessions, of them ``active``, sums ``s1 s2`` of their returns, ``sb sbb`` of the asset's own,
    ``sxb`` of both. A block that a trial has no sessions in is 0 throughout. ``runs`` counts every recorded run of a
    rival, ``distinct`` their keys, ``failed`` keys that never came to a result, ``alike`` those whose summaries
    another one has too, ``apart`` distinct ones whose summaries are missing or too coarse to join these blocks,
    ``declared`` trials made elsewhere.
    """

    key: np.ndarray
    strategy: np.ndarray
    call: np.ndarray
    cell: np.ndarray
    account: np.ndarray
    at: np.ndarray
    edges: np.ndarray
    level: int
    n: np.ndarray
    active: np.ndarray
    s1: np.ndarray
    s2: np.ndarray
    sb: np.ndarray
    sbb: np.ndarray
    sxb: np.ndarray
    runs: int
    distinct: int
    failed: int
    alike: int
    apart: int
    declared: int

    def __len__(self) -> int:
        return len(self.key)

    def only(self, strategies: Sequence[str]) -> Family:
        """The family without other strategies' trials; raises UsageError where none is left.

        What is left out stays counted in none of the numbers: whoever narrows a family says so (`narrowed`).
        """
        kept = np.isin(self.strategy, list(strategies))
        if not kept.any():
            wanted = f"some of {', '.join(sorted(set(self.strategy)))}"
            raise UsageError(
                message("strategies of the family", ", ".join(strategies), wanted, "Leave it out for all.")
            )
        n = int(kept.sum())
        arrays = {name: getattr(self, name)[..., kept] for name in (*TOLD, *SUMS, *SHARED)}
        return replace(self, **arrays, runs=n, distinct=n, failed=0, alike=0, apart=0)


@dataclass(frozen=True)
class _Part:
    """What one account's trials of one call add."""

    row: Row
    account: int
    places: np.ndarray  # of the call's trials

    def blocks(self, level: int) -> np.ndarray:
        """The number at ``level`` of each of its own blocks."""
        edges = self.row["edges"][self.account]
        found: np.ndarray = edges[edges > NONE] >> (level - int(self.row["level"][self.account]))
        return found


def family(
    asset_ids: Sequence[str], span: tuple[int, int], *, coarsest: int = 63, synthetic: int = 0, at: str | None = None
) -> Family:
    """The family over ``span`` (first and last moment, ns UTC) of any of these assets, from the ledger at `place`.

    Returns on generated data never join those on real ones. Blocks of more than ``2**coarsest`` days do not join, the
    others are summed to the longest among them. Keys count once, and so do identical summaries.
    """
    same = proxies(at)
    mine = {same(i) for i in asset_ids}

    def overlaps(row: Row) -> bool:
        return (
            row["role"] == "rival"
            and row["span"][0] <= span[1]
            and row["span"][1] >= span[0]
            and row["synthetic"] == synthetic
            and any(same(i) in mine for i in row["asset_ids"])
        )

    parts: list[_Part] = []
    tried: set[bytes] = set()
    ended: set[bytes] = set()  # with a result, whether or not its blocks join
    joined: set[bytes] = set()
    runs = level = 0
    for row in rows("trials", keep=overlaps, at=at):
        keys = [k.tobytes() for k in row["key"]]
        n_account = 1 if row["together"] else len(row["assets"])
        for a in range(n_account):
            if not row["together"] and same(row["asset_ids"][a]) not in mine:
                continue
            own = [k for k in range(a, len(keys), n_account) if row["status"][k] != UNTOUCHED]
            done = [k for k in own if row["status"][k] == DONE]
            runs += len(own)
            tried.update(keys[k] for k in own)
            ended.update(keys[k] for k in done)
            if "blocks" not in row or not 0 <= row["level"][a] <= coarsest:
                continue
            fresh = [k for k in done if keys[k] not in joined]
            joined.update(keys[k] for k in fresh)
            if fresh:
                level = max(level, int(row["level"][a]))
                parts.append(_Part(row, a, np.array(fresh)))
    counts = {"runs": runs, "distinct": len(tried), "failed": len(tried - ended)}
    return _joined(parts, level, **counts, declared=declared(mine, same, at))


def _joined(parts: Sequence[_Part], level: int, **counts: int) -> Family:
    """All parts on common edges; of trials with the same summaries the first."""
    edges = np.unique(np.concatenate([p.blocks(level) for p in parts])) if parts else np.zeros(0, "i8")
    had: set[bytes] = set()
    sums: dict[str, list[np.ndarray]] = {n: [np.zeros((len(edges), 0))] for n in (*SUMS, *SHARED)}
    told: dict[str, list[Any]] = {n: [] for n in TOLD}
    for part in parts:
        row, blocks = part.row, part.blocks(level)
        begins = row["edges"][part.account, :1].tobytes() + row["level"][part.account].tobytes()
        places = []
        for k in part.places.tolist():
            content = begins + row["blocks"][k, : len(blocks)].tobytes()
            if content not in had:
                had.add(content)
                places.append(k)
        starts = np.flatnonzero(np.diff(blocks, prepend=blocks[0] - 1))
        to = np.searchsorted(edges, blocks[starts])
        for name in SUMS:
            values = row["blocks"][places, : len(blocks), FIELDS.index(name)].astype("f8")
            sums[name].append(_placed(values, starts, to, len(edges)))
        for j, name in enumerate(SHARED):
            values = np.broadcast_to(row["shared"][part.account, : len(blocks), j], (len(places), len(blocks)))
            sums[name].append(_placed(values, starts, to, len(edges)))
        told["key"] += [k.tobytes() for k in row["key"][places]]
        told["cell"] += row["cell"][places].tolist()
        told["account"] += [part.account] * len(places)
        for name in ("strategy", "call", "at"):
            told[name] += [row[name]] * len(places)
    alike = sum(len(p.places) for p in parts) - len(told["key"])
    apart = counts["distinct"] - counts["failed"] - alike - len(told["key"])
    fields: dict[str, Any] = {n: np.array(told[n], dtype) for n, dtype in TOLD.items()}
    fields |= {n: np.concatenate(v, axis=1) for n, v in sums.items()} | counts
    return Family(**fields, edges=edges, level=level, alike=alike, apart=apart)


def _placed(values: np.ndarray, starts: np.ndarray, to: np.ndarray, n: int) -> np.ndarray:
    """Values (trial, block) of the finer blocks from each of ``starts`` on, summed into rows ``to`` of ``n``."""
    out = np.zeros((n, len(values)))
    out[to] = np.add.reduceat(values, starts, axis=1).T
    return out


def proxies(at: str | None = None) -> Callable[[str], str]:
    """Which permanent ids stand for one market: a function to the name that they share (`proxy`).

    >>> proxies("memory://nothing")("index:SPX")
    'index:SPX'
    """
    parent: dict[str, str] = {}

    def find(i: str) -> str:
        while i in parent:
            i = parent[i]
        return i

    for row in rows("proxy", at=at):
        a, b = sorted((find(row["asset_id"]), find(row["like"])))
        if a != b:
            parent[b] = a
    return find


def declared(asset_ids: set[str], same: Callable[[str], str], at: str | None = None) -> int:
    """How many trials made elsewhere count for these assets (`declare`)."""
    return sum(
        row["trials"]
        for row in rows("declared", at=at)
        if row["asset_id"] is None or same(row["asset_id"]) in asset_ids
    )
