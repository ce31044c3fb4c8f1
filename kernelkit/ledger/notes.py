"""What a person tells the ledger: trials made elsewhere, assets that are one market, narrowed families, seals."""

from __future__ import annotations

import time
from collections.abc import Sequence

from kernelkit.errors import UsageError, message
from kernelkit.ledger.writing import record


def declare(n: int, note: str, *, asset: str | None = None) -> None:
    """Count ``n`` trials that were made elsewhere: on paper, in another program, by whoever proposed the idea.

    They count in every family of the asset with this permanent id (None: of any, generated data apart). Nothing takes
    them out again. Raises UsageError for what is no positive number and for an empty note.

    >>> declare(0, "nothing")
    Traceback (most recent call last):
    kernelkit.errors.UsageError: trials declared: found 0, wanted a whole number above 0. ...
    """
    if type(n) is not int or n < 1:
        fix = "Say how many variants were tried, all in all."
        raise UsageError(message("trials declared", repr(n), "a whole number above 0", fix))
    if not note.strip():
        raise UsageError(message("note of a declaration", "nothing", "where they were made", 'Write note="in Excel".'))
    record([{"kind": "declared", "at": time.time(), "trials": n, "note": note, "asset_id": asset}])


def proxy(asset: str, like: str) -> None:
    """Say that two assets, by their permanent ids, are one market, such as an index and a fund that follows it.

    Trials on either are then rivals of those on the other. Raises UsageError where both are the same.

    >>> proxy("index:SPX", "index:SPX")
    Traceback (most recent call last):
    kernelkit.errors.UsageError: proxy: found index:SPX twice, wanted the ids of two assets. See bars["asset_id"].
    """
    if asset == like:
        raise UsageError(message("proxy", f"{asset} twice", "the ids of two assets", 'See bars["asset_id"].'))
    record([{"kind": "proxy", "at": time.time(), "asset_id": asset, "like": like}])


def narrowed(asset_ids: Sequence[str], why: str, left_out: int) -> None:
    """Record that rivals were left out of a family; whoever asks for that calls this first."""
    row = {"kind": "narrowed", "at": time.time(), "asset_ids": list(asset_ids), "why": why, "left_out": left_out}
    record([row])


def sealed(asset_ids: Sequence[str], begin: int, note: str) -> None:
    """Record that these assets' data from ``begin`` (ns UTC) on are put away."""
    record([{"kind": "seal", "at": time.time(), "asset_ids": list(asset_ids), "begin": begin, "note": note}])
