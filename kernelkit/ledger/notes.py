"""What a person tells the ledger: trials made elsewhere, assets that are one market, narrowed families, seals."""

from __future__ import annotations

import time
from collections.abc import Sequence

from kernelkit.errors import UsageError, arguments, message
from kernelkit.ledger.store import moment, rows
from kernelkit.ledger.writing import record

MOST = 10**9  # trials that can be declared at once


@arguments()
def declare(n: int, note: str, *, asset: str | None = None) -> None:
    """Count ``n`` trials that were made elsewhere: on paper, in another program, by whoever proposed the idea.

    They count in every family of the asset with this permanent id (None: of any, generated data apart). Nothing takes
    them out again. Raises UsageError for what is no positive number, for an empty note, and for an asset that was
    neither run nor sealed: it may be misspelt.

    >>> declare(0, "nothing")
    Traceback (most recent call last):
    kernelkit.errors.UsageError: trials declared: found 0, wanted a whole number from 1 to ...
    """
    if type(n) is not int or not 1 <= n <= MOST:
        fix = "Say how many variants were tried, all in all."
        raise UsageError(message("trials declared", repr(n)[:40], f"a whole number from 1 to {MOST:,}", fix))
    if type(note) is not str or not note.strip() or not note.isprintable():
        found = repr(note) if note else "nothing"
        raise UsageError(message("note of a declaration", found, "where they were made", 'Write note="in Excel".'))
    if asset is not None:
        _check_id("asset of a declaration", asset)
    record([{"kind": "declared", "at": time.time(), "trials": n, "note": note, "asset_id": asset}])


@arguments()
def proxy(asset: str, like: str) -> None:
    """Say that two assets, by their permanent ids, are one market, such as an index and a fund that follows it.

    Trials on either are then rivals of those on the other. Raises UsageError where both are the same, and for one that
    was neither run nor sealed: it may be misspelt.

    >>> proxy("index:SPX", "index:SPX")
    Traceback (most recent call last):
    kernelkit.errors.UsageError: proxy: found index:SPX twice, wanted the ids of two assets. See bars["asset_id"].
    """
    if asset == like:
        raise UsageError(message("proxy", f"{asset} twice", "the ids of two assets", 'See bars["asset_id"].'))
    for name, value in (("asset of a proxy", asset), ("like of a proxy", like)):
        _check_id(name, value)
    record([{"kind": "proxy", "at": time.time(), "asset_id": asset, "like": like}])


def _check_id(what: str, given: object) -> None:
    fix = 'Take it from bars["asset_id"].values'
    if type(given) is not str or not given.strip():
        raise UsageError(message(what, repr(given), "the permanent id of an asset, a text", f"{fix}."))
    known = sorted({i for row in rows("trials", "seal", heavy=False) for i in row["asset_ids"]})
    if given not in known:
        wanted = f"one that was run or sealed in this project ({', '.join(known) or 'none yet'})"
        raise UsageError(message(what, repr(given), wanted, f"{fix}; say it again once it was run."))


def narrowed(asset_ids: Sequence[str], why: str, left_out: int) -> None:
    """Record that rivals were left out of a family; whoever asks for that calls this first."""
    row = {"kind": "narrowed", "at": time.time(), "asset_ids": list(asset_ids), "why": why, "left_out": left_out}
    record([row])


def sealed(asset_ids: Sequence[str], begin: int, note: str) -> None:
    """Record that these assets' data from ``begin`` (ns UTC) on are put away."""
    record([{"kind": "seal", "at": moment(), "asset_ids": list(asset_ids), "begin": begin, "note": note}])
