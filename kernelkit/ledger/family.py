"""The family of a trial: every rival on its asset and span, over all notebooks of the project (J7, J8)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.kernels.scan import DAY_NS
from kernelkit.ledger.log import Row
from kernelkit.ledger.markets import Markets, holding, markets_of
from kernelkit.ledger.store import rows
from kernelkit.ledger.trials import DONE, FIELDS, KEY_BYTES, NONE, PRUNED, SHARED, UNTOUCHED, accounts_of

TOLD: dict[str, Any] = {
    "key": f"V{KEY_BYTES}",
    "strategy": object,
    "call": object,
    "cell": "i8",
    "account": "i8",
    "at": "f8",
    "earned": "f8",
}
SUMS = ("s1", "s2", "active", "sxb")  # of `FIELDS`, what a family is made of


@dataclass(frozen=True)
class Family:
    """Rivals and their block sums on common edges.

    Arrays are by trial (``key``, ``strategy``, ``call``, ``cell``, ``account``, ``at``: when it first ran, ``earned``:
    what its cash earned over its span without risk, a fraction) or (block, trial): ``n`` sessions, of them ``active``,
    sums ``s1 s2`` of their returns, ``sb sbb`` of the asset's own,
    ``sxb`` of both. A block that a trial has no sessions in is 0 throughout. ``runs`` counts every recorded run of a
    rival, ``distinct`` their keys, ``failed`` keys that never came to a result, ``pruned`` those that a search ended
    before their time, ``alike`` those whose summaries another one has too, ``apart`` distinct ones whose summaries are
    missing or too coarse to join these blocks, ``declared`` trials made elsewhere. ``of_asset`` has how many of the
    ``distinct`` were first tried under each permanent id, the most first; nothing once it is narrowed.
    """

    key: np.ndarray
    strategy: np.ndarray
    call: np.ndarray
    cell: np.ndarray
    account: np.ndarray
    at: np.ndarray
    earned: np.ndarray
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
    pruned: int
    alike: int
    apart: int
    declared: int
    of_asset: dict[str, int]

    def __len__(self) -> int:
        return len(self.key)

    def only(self, strategies: Sequence[str]) -> Family:
        """The family without other strategies' trials; raises UsageError where none is left.

        What is left out is in none of the numbers: whoever narrows a family says so (`narrowed`). Declared trials stay.
        """
        kept = np.isin(self.strategy, list(strategies))
        if not kept.any():
            wanted = f"some of {', '.join(sorted(set(self.strategy)))}"
            raise UsageError(
                message("strategies of the family", ", ".join(strategies), wanted, "Leave it out for all.")
            )
        n = int(kept.sum())
        arrays = {name: getattr(self, name)[..., kept] for name in (*TOLD, *SUMS, *SHARED)}
        return replace(self, **arrays, runs=n, distinct=n, failed=0, pruned=0, alike=0, apart=0, of_asset={})


@dataclass
class _Group:
    """Trials whose blocks are the same ones."""

    edges: np.ndarray  # (block,), at ``level``
    level: int
    blocks: list[np.ndarray] = field(default_factory=list)  # (trial, block, field) each
    shared: list[np.ndarray] = field(default_factory=list)  # (block, [n, sb, sbb]) each
    told: dict[str, list[Any]] = field(default_factory=lambda: {n: [] for n in TOLD})

    def take(self, row: Row, account: int, trials: Sequence[int], had: set[bytes]) -> int:
        """Add trials of a call, without those whose summaries were had before; how many these were."""
        m, shared = len(self.edges), row["shared"][account, : len(self.edges)]
        begun, fresh = hashlib.blake2b(self.edges.tobytes() + bytes([self.level]), digest_size=KEY_BYTES), []
        for k in trials:
            content = begun.copy()
            content.update(row["blocks"][k, :m])
            if content.digest() not in had:
                had.add(content.digest())
                fresh.append(k)
        self.blocks.append(row["blocks"][fresh, :m])
        self.shared.append(np.broadcast_to(shared, (len(fresh), *shared.shape)))
        self.told["key"] += row["key"][fresh].tolist()
        self.told["cell"] += row["cell"][fresh].tolist()
        self.told["account"] += [account] * len(fresh)
        for name in ("strategy", "call", "at"):
            self.told[name] += [row[name]] * len(fresh)
        days = (row["span"][1] - row["span"][0]) / DAY_NS
        self.told["earned"] += [row.get("interest", [0.0] * (account + 1))[account] * days / 365.0] * len(fresh)
        return len(trials) - len(fresh)


def family(
    asset_ids: Sequence[str], span: tuple[int, int], *, coarsest: int = 63, synthetic: int = 0, at: str | None = None
) -> Family:
    """The family over ``span`` (first and last moment, ns UTC) of any of these assets, from the ledger at `place`.

    An asset is told by its permanent id, and by its data: equal ones under another id are the same market. Trials on
    generated data never join those on real ones (``synthetic``: of the bars' attrs). Blocks of more than
    ``2**coarsest`` days do not join, the others are summed to the longest among them. Keys count once, and so do
    identical summaries. Rules J7, J8.

    >>> len(family(["index:SPX"], (0, 1), at="memory://nothing"))
    0
    """
    import pyarrow.compute as pc

    same = markets_of(asset_ids, at)
    mine = {same.of(i) for i in asset_ids}
    where = holding(same.ids(asset_ids)) & (pc.field("role") == "rival") & (pc.field("synthetic") == synthetic)
    where &= (pc.field("begin") <= span[1]) & (pc.field("end") >= span[0])
    groups: dict[bytes, _Group] = {}
    tried: dict[bytes, str] = {}  # and under which ids first
    pruned: set[bytes] = set()
    ended: set[bytes] = set()  # with a result, whether or not its blocks join
    joined: set[bytes] = set()
    had: set[bytes] = set()
    runs = alike = 0
    for row in sorted(rows("trials", where=where, at=at), key=lambda row: float(row["at"])):
        keys: list[bytes] = row["key"].tolist()
        status, n_account = row["status"], accounts_of(row)
        for a in range(n_account):
            if not row["together"] and same.of(row["asset_ids"][a]) not in mine:
                continue
            places = np.arange(a, len(keys), n_account)
            own, done = (places[found].tolist() for found in (status[places] != UNTOUCHED, status[places] == DONE))
            runs += len(own)
            ids = row["asset_ids"] if row["together"] else [row["asset_ids"][a]]
            market = ", ".join(i for i in ids if same.of(i) in mine)
            for k in own:
                tried.setdefault(keys[k], market)
            ended.update([keys[k] for k in done])
            pruned.update([keys[k] for k in places[status[places] == PRUNED].tolist()])
            if "blocks" not in row or not 0 <= row["level"][a] <= coarsest:
                continue
            fresh = list({keys[k]: k for k in reversed(done) if keys[k] not in joined}.values())[::-1]
            joined.update([keys[k] for k in fresh])
            edges, level = row["edges"][a], int(row["level"][a])
            known = edges.tobytes() + bytes([level])
            if fresh and known not in groups:
                groups[known] = _Group(edges[edges > NONE], level)
            alike += groups[known].take(row, a, fresh, had) if fresh else 0
    pruned -= ended
    counts = {"runs": runs, "distinct": len(tried), "pruned": len(pruned), "failed": len(tried.keys() - ended - pruned)}
    counts["apart"] = len(ended - joined)
    counts |= {"alike": alike, "declared": declared(mine, same, at, synthetic)}
    return replace(_joined([*groups.values()], **counts), of_asset=dict(Counter(tried.values()).most_common()))


def _joined(groups: Sequence[_Group], **counts: int) -> Family:
    """All groups on common edges, those of the longest blocks."""
    level = max((g.level for g in groups), default=0)
    numbers = [g.edges >> (level - g.level) for g in groups]
    edges = np.unique(np.concatenate(numbers)) if groups else np.zeros(0, "i8")
    sizes = [len(g.told["key"]) for g in groups]
    sums = {n: np.zeros((len(edges), sum(sizes))) for n in (*SUMS, *SHARED)}
    first = 0
    for group, number, size in zip(groups, numbers, sizes, strict=True):
        starts = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
        to = np.ix_(np.searchsorted(edges, number[starts]), np.arange(first, first + size))
        blocks, shared = np.concatenate(group.blocks), np.concatenate(group.shared)
        for name in SUMS:
            finer = blocks[:, :, FIELDS.index(name)].T.astype("f8")
            sums[name][to] = np.add.reduceat(finer, starts, axis=0)
        for j, name in enumerate(SHARED):
            sums[name][to] = np.add.reduceat(shared[:, :, j].T, starts, axis=0)
        first += size
    told = {n: np.array([v for g in groups for v in g.told[n]], kind) for n, kind in TOLD.items()}
    fields: dict[str, Any] = told | sums | counts
    return Family(**fields, edges=edges, level=level, of_asset={})


def declared(markets: set[str], same: Markets, at: str | None = None, synthetic: int = 0) -> int:
    """How many trials made elsewhere count for these markets (`declare`); those of any count for no generated data."""
    return sum(
        row["trials"]
        for row in rows("declared", at=at)
        if (not synthetic if row["asset_id"] is None else same.of(row["asset_id"]) in markets)
    )
