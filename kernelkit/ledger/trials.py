"""What the ledger keeps of a call: one row for all its trials, each with its key, how it ended and its block summaries.

Arrays of a row are by trial, cells in the order of the axes, accounts (assets) fastest: ``cell`` (its number among all
cells, excluded ones too), ``key``, ``status``, ``final_equity``, ``sharpe_ratio``, and, of a rival, ``blocks`` (trial,
block, field), float32. What all trials of an account share is there once: ``edges`` (account, block), the numbers of
its blocks at ``level``, `NONE` for none, and ``shared`` (account, block, [n, sb, sbb]), float64.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.ledger.log import Row
from kernelkit.ledger.store import place

if TYPE_CHECKING:
    from kernelkit.kernels.job import Outcome

KEY_BYTES = 16
NONE = -(2**62)  # no block
UNTOUCHED, DONE, FAILED, PRUNED = range(4)
# fields of a block summary (M2) that differ between trials; wealth as logarithms, NaN after ruin
FIELDS = ("active", "s1", "s2", "s3", "s4", "d2", "log_w", "log_hi", "log_lo", "mdd", "sxb")
SHARED = ("n", "sb", "sbb")
ROLES = {
    "rival": "computed for the user or an optimiser: it competes",
    "training": "a cell of a walk-forward's training window; the stitched curve is the rival",
    "fill_model": "the same trial under another fill model",
    "delisting": "the same trial with unknown delistings at zero",
    "debug": "a run in plain Python",
    "audit": "a run of a pipeline that is audited",
    "benchmark": "buying and holding",
    "path": "on resampled or generated data",
    "scenario": "under stress",
    "sensitivity": "around a point, to see how steep it is",
}
_role: ContextVar[str] = ContextVar("role", default="rival")
_parent: ContextVar[str] = ContextVar("parent", default="")
_told: set[tuple[str, int, str]] = set()  # sources that this process has recorded


@contextmanager
def role(name: str) -> Iterator[None]:
    """Trials recorded inside have this role; only ``"rival"``, the default, competes in a family.

    Raises UsageError for a role that there is not.

    >>> with role("training"):
    ...     _role.get()
    'training'
    """
    if name not in ROLES:
        raise UsageError(message("role of trials", repr(name), f"one of {', '.join(ROLES)}", "See kk.ledger.ROLES."))
    token = _role.set(name)
    try:
        yield
    finally:
        _role.reset(token)


def competing() -> bool:
    """Whether trials that are recorded now are rivals, whose block summaries the ledger keeps."""
    return _role.get() == "rival"


@contextmanager
def proposed_from(key: str) -> Iterator[None]:
    """Trials recorded inside were proposed because of the trial of this key (`trials`): its children in the lineage."""
    token = _parent.set(key)
    try:
        yield
    finally:
        _parent.reset(token)


def private() -> bool:
    """Whether a source is kept as its hash alone: $KERNELKIT_LEDGER_SOURCES is ``hash``.

    Raises UsageError for anything else but ``text``.
    """
    found = os.environ.get("KERNELKIT_LEDGER_SOURCES", "text")
    if found not in ("text", "hash"):
        raise UsageError(message("KERNELKIT_LEDGER_SOURCES", repr(found), "'text' or 'hash'", "Unset it for the text."))
    return found == "hash"


def digest_of(text: str) -> str:
    """SHA-256 of a text, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def keys_of(
    identity: Sequence[Mapping[str, Any]],
    bound: Mapping[str, Any],
    axes: Mapping[str, Sequence[Any]],
    cells: np.ndarray,
) -> np.ndarray:
    """The key of each trial, bytes (trial,): what it was, whether alone or as a cell of a grid.

    ``identity`` says for each account what was tried but for parameters; ``cells`` are those that were tried.

    >>> one = keys_of([{"strategy": "x"}], {"n": 1}, {}, np.array([0]))
    >>> grid = keys_of([{"strategy": "x"}], {}, {"n": [0, 1]}, np.array([0, 1]))
    >>> bytes(one[0]) == bytes(grid[1]) != bytes(grid[0])
    True
    """
    begun = [hashlib.blake2b(_plain(i), digest_size=KEY_BYTES) for i in identity]
    names = sorted({*bound, *axes})
    texts = [[f"{n}={v!r};".encode() for v in axes[n]] if n in axes else [f"{n}={bound[n]!r};".encode()] for n in names]
    sizes = [len(v) for v in axes.values()]
    at = dict(zip(axes, np.unravel_index(cells, sizes) if sizes else (), strict=True))
    columns = [at[n].tolist() if n in at else itertools.repeat(0, len(cells)) for n in names]
    out = []
    for places in zip(*columns, strict=True) if names else itertools.repeat((), len(cells)):
        text = b"".join([texts[j][k] for j, k in enumerate(places)])
        for known in begun:
            mine = known.copy()
            mine.update(text)
            out.append(mine.digest())
    return np.array(out, f"V{KEY_BYTES}")


def _plain(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, default=str).encode()


def source_rows(name: str, text: str) -> list[Row]:
    """The text of a strategy by its hash, once for each process: nothing where the project keeps none (`private`)."""
    known = place(), os.getpid(), digest_of(text)
    if private() or known in _told:
        return []
    _told.add(known)
    return [{"kind": "source", "at": time.time(), "strategy": name, "source": known[-1], "text": text}]


def audit_row(name: str, source: str, blind: bool, assumed: Sequence[str]) -> Row:
    """What an audit of a strategy's source came to: whether it is blind to the future, and what was taken on trust."""
    found = {"strategy": name, "source": digest_of(source), "blind": blind, "assumed": list(assumed)}
    return {"kind": "audit", "at": time.time(), **found}


def trials_row(
    header: Mapping[str, Any],
    identity: Sequence[Mapping[str, Any]],
    cells: np.ndarray,
    outcome: Outcome,
) -> Row:
    """One row for all trials of a call; ``header`` has what they share, ``bound`` and ``axes`` among it.

    ``call`` is the hash of their keys, ``errors`` says of failed ones [status, bar, argument].
    """
    keys = keys_of(identity, header["bound"], header["axes"], cells)
    status = np.where(outcome.done, DONE, UNTOUCHED).astype("u1")
    status[list(outcome.errors)] = FAILED
    known = _role.get()
    row = {
        "kind": "trials",
        "at": time.time(),
        "role": known,
        "notebook": os.environ.get("JPY_SESSION_NAME", ""),
        **({"parent": _parent.get()} if _parent.get() else {}),
        **header,
        "call": hashlib.sha256(keys.tobytes()).hexdigest()[:32],
        "trials": int(np.count_nonzero(status)),
        "errors": outcome.errors,
        "cell": np.repeat(cells, len(identity)).astype("u4"),
        "key": keys,
        "status": status,
        "final_equity": outcome.headline[:, -1].copy(),
        "sharpe_ratio": outcome.headline[:, 3].copy(),
    }
    if known == "rival" and outcome.blocks is not None and outcome.done.any():
        row |= summarised(outcome, outcome.blocks, len(identity))
    return row


def summarised(outcome: Outcome, raw: np.ndarray, n_account: int) -> Row:
    """``level``, ``edges``, ``shared`` and ``blocks`` of the trials that are done."""
    many, done = outcome.meta[:, 0], outcome.done
    most = int(many[done].max())
    edges = np.full((n_account, most), NONE, "i8")
    level, shared = np.full(n_account, -1, "i8"), np.zeros((n_account, most, len(SHARED)))
    for a in range(n_account):
        one = next((k for k in range(a, len(done), n_account) if done[k]), None)
        if one is not None:
            n, level[a] = int(many[one]), outcome.meta[one, 1]
            edges[a, :n] = raw[one]["index"][:n]
            shared[a, :n] = np.stack([raw[one][f][:n] for f in SHARED], axis=1)
    blocks = np.empty((len(done), most, len(FIELDS)), "f4")
    with np.errstate(divide="ignore", invalid="ignore"):
        for j, name in enumerate(FIELDS):
            values = raw[name.removeprefix("log_")][:, :most]
            blocks[:, :, j] = np.where(values > 0.0, np.log(values), np.nan) if name.startswith("log_") else values
    blocks[~done] = np.nan
    return {"level": level, "edges": edges, "shared": shared, "blocks": blocks}
