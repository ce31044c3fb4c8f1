"""Which permanent ids are one market: those declared to be (`proxy`), and those whose data are the same (J7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import combinations
from operator import or_
from typing import TYPE_CHECKING

import numpy as np

from kernelkit.ledger.log import Row
from kernelkit.ledger.store import rows
from kernelkit.ledger.trials import NONE, SHARED, accounts_of

if TYPE_CHECKING:
    import pyarrow.compute as pc

EQUAL = 3  # blocks of the same returns from which on two assets are the same data
DIGITS = 8  # significant, of sums that finer blocks add up to in another order
Print = tuple[int, int, int, float, float]


class Markets:
    """Ids by the market that they stand for.

    >>> same = Markets()
    >>> same.join("SPX", "SPY")
    >>> same.of("SPY"), same.ids(["SPX"]), same.ids(["QQQ"])
    ('SPX', ['SPX', 'SPY'], ['QQQ'])
    """

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}
        self._named: set[str] = set()

    def join(self, one: str, other: str) -> None:
        """From now on these are one market, and all that either is one with."""
        self._named |= {one, other}
        first, second = sorted((self.of(one), self.of(other)))
        if first != second:
            self._parent[second] = first

    def of(self, asset_id: str) -> str:
        """The name that all ids of a market share: the first of them."""
        while asset_id in self._parent:
            asset_id = self._parent[asset_id]
        return asset_id

    def ids(self, asset_ids: Iterable[str]) -> list[str]:
        """These ids and all that stand for one of their markets."""
        mine = {self.of(i) for i in asset_ids}
        return sorted({*asset_ids, *(i for i in self._named if self.of(i) in mine)})


def declared_markets(at: str | None = None) -> Markets:
    """The markets that proxies make (`proxy`); only notes are read.

    >>> declared_markets("memory://nothing").of("index:SPX")
    'index:SPX'
    """
    same = Markets()
    for row in rows("proxy", at=at):
        same.join(row["asset_id"], row["like"])
    return same


def markets_of(asset_ids: Sequence[str], at: str | None = None) -> Markets:
    """The markets that proxies make, and those of ids under which rivals ran on the same data as on one of these.

    Data are the same where two assets' own sums (``n``, ``sb``, ``sbb``) are equal in at least `EQUAL` whole blocks
    that both have, and in half of those; a block without a return tells nothing. Of equal bars, lineages and spans one
    call is read.
    """
    import pyarrow.compute as pc

    same = declared_markets(at)
    mine, rival = holding(same.ids(asset_ids)), pc.field("role") == "rival"
    found: dict[str, set[Print]] = {}
    for where in (rival & ~mine, rival & mine):
        for asset_id, prints in _prints(where, at):
            found.setdefault(asset_id, set()).update(prints)
        if not found:  # nothing but these assets was ever tried
            return same
    _join_equal(same, found)
    return same


def every_market(at: str | None = None) -> Markets:
    """The markets of `markets_of` over all that rivals ever ran on.

    >>> every_market("memory://nothing").of("index:SPX")
    'index:SPX'
    """
    import pyarrow.compute as pc

    same = declared_markets(at)
    found: dict[str, set[Print]] = {}
    for asset_id, prints in _prints(pc.field("role") == "rival", at):
        found.setdefault(asset_id, set()).update(prints)
    _join_equal(same, found)
    return same


def _join_equal(same: Markets, found: dict[str, set[Print]]) -> None:
    """Join the ids whose prints say that their data are the same."""
    owners: dict[Print, list[str]] = {}
    for asset_id, own in found.items():
        for each in own:
            owners.setdefault(each, []).append(asset_id)
    pairs = Counter(pair for ids in owners.values() for pair in combinations(sorted(ids), 2))
    for (one, other), equal in pairs.items():
        both = {p[:2] for p in found[one]} & {p[:2] for p in found[other]}
        if equal >= EQUAL and 2 * equal >= len(both):
            same.join(one, other)


def holding(ids: Sequence[str]) -> pc.Expression:
    """What `rows` asks for calls that hold any of these assets."""
    import pyarrow.compute as pc

    return reduce(or_, (pc.match_substring(pc.field("ids"), f"\n{i}\n") for i in ids))


def _prints(where: pc.Expression, at: str | None) -> Iterator[tuple[str, set[Print]]]:
    """The prints of each asset with an account of its own, of one call for each lineage and span."""
    had: set[str] = set()

    def known_by(row: Row) -> str:
        return f"{row['asset_ids']} {row.get('lineage')} {row['span']} {row['synthetic']}"

    def keep(row: Row) -> bool:
        return known_by(row) not in had

    for row in rows("trials", where=where, keep=keep, heavy=False, at=at):
        if "shared" in row and accounts_of(row) == len(row["asset_ids"]):
            had.add(known_by(row))
            for a, asset_id in enumerate(row["asset_ids"]):
                kept = row["edges"][a] > NONE
                yield asset_id, set(prints_of(row["edges"][a, kept], int(row["level"][a]), row["shared"][a, kept]))


def prints_of(edges: np.ndarray, level: int, shared: np.ndarray) -> Iterator[Print]:
    """What an asset's returns were in each whole block, at its level and at those above (level, number, n, sb, sbb).

    ``edges`` are the numbers of blocks at ``level``, ``shared`` their sums (block, [n, sb, sbb]). The first and the
    last block may not be whole.
    """
    while len(edges) > EQUAL + 1:
        n, sb, sbb = (shared[1:-1, SHARED.index(name)] for name in SHARED)
        told = np.flatnonzero(sbb > 0.0)
        for k in told.tolist():
            size = float(np.sqrt(sbb[k]))
            yield level, int(edges[1 + k]), int(n[k]), round(float(sb[k]) / size, DIGITS), float(f"{sbb[k]:.{DIGITS}g}")
        starts = np.flatnonzero(np.diff(edges >> 1, prepend=(edges[0] >> 1) - 1))
        edges, level, shared = edges[starts] >> 1, level + 1, np.add.reduceat(shared, starts, axis=0)
