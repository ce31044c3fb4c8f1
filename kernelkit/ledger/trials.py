"""What the ledger keeps of a call: rows of trials, each with its key, how it ended and its block summaries (J1-J4).

Arrays of a row are by trial, cells in the order of the axes, accounts (assets) fastest: ``cell`` (its number among all
cells, excluded ones too), ``key``, ``status``, ``final_equity``, ``sharpe_ratio``, and, of a rival, ``blocks`` (trial,
block, field), float32. What all trials of an account share is there once: ``edges`` (account, block), the numbers of
its blocks at ``level``, `NONE` for none, and ``shared`` (account, block, [n, sb, sbb]), float64. A trial without a
result is NaN throughout.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import pickle
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.kernels import layout as L
from kernelkit.ledger.log import Row, as_json
from kernelkit.ledger.place import place
from kernelkit.ledger.store import moment
from kernelkit.ledger.writing import record

if TYPE_CHECKING:
    from kernelkit.kernels.job import Outcome

KEY_BYTES = 16
PART = 2**14  # trials of a row, about 46 MB: a call of more has several
NONE = -(2**62)  # no block: their numbers count days from 1970, before it they are negative
STATUSES = ("untouched", "done", "failed", "pruned")
UNTOUCHED, DONE, FAILED, PRUNED = range(len(STATUSES))
# fields of a block summary (M2) that differ between trials; wealth as logarithms, NaN after ruin
FIELDS = ("active", "s1", "s2", "s3", "s4", "d2", "log_w", "log_hi", "log_lo", "mdd", "sxb")
SHARED = ("n", "sb", "sbb")
RESULTS = ("final_equity", "sharpe_ratio")
ROLES = {
    "rival": "computed for the user or an optimiser: it competes",
    "training": "a cell of a walk-forward or a cross-validation; the stitched curve is the rival",
    "fill_model": "the same trial under another fill model",
    "delisting": "the same trial with unknown delistings at zero",
    "debug": "a run in plain Python",
    "audit": "a run of a pipeline that is audited",
    "benchmark": "buying and holding",
    "continued": "a run that goes on with new bars: it was chosen before",
    "path": "on resampled or generated data, or of a cross-validation any path but the middle one",
    "scenario": "under stress",
    "sensitivity": "around a point, to see how steep it is",
}
_role: ContextVar[str] = ContextVar("role", default="rival")
_parent: ContextVar[str | tuple[str, ...]] = ContextVar("parent", default="")
_told: set[tuple[str, str]] = set()  # places, and sources that this process has recorded there


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
def proposed_from(key: str | Sequence[str]) -> Iterator[None]:
    """Trials recorded inside were proposed because of the trial of this key (`trials`): its children in the lineage.

    Several keys, "" for none, are of each cell of one call.
    """
    token = _parent.set(key if isinstance(key, str) else tuple(key))
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
    listed: bool = False,
) -> np.ndarray:
    """The key of each trial, bytes (trial,): what it was, whether alone or as a cell of a grid.

    ``identity`` says for each account what was tried but for parameters; ``cells`` are those that were tried, and
    ``axes`` as in `values_at`.

    >>> one = keys_of([{"strategy": "x"}], {"n": 1}, {}, np.array([0]))
    >>> grid = keys_of([{"strategy": "x"}], {}, {"n": [0, 1]}, np.array([0, 1]))
    >>> bytes(one[0]) == bytes(grid[1]) != bytes(grid[0])
    True
    """
    begun = [hashlib.blake2b(json.dumps(i, sort_keys=True).encode(), digest_size=KEY_BYTES) for i in identity]
    at = values_at(axes, cells, listed)
    texts: list[list[bytes]] = []
    for name in sorted({*bound, *axes}):
        values = [f"{name}={told(v)};".encode() for v in (axes[name] if name in axes else [bound[name]])]
        texts.append([values[k] for k in at[name].tolist()] if name in axes else values * len(cells))
    out = []
    for parts in zip(*texts, strict=True) if texts else itertools.repeat((), len(cells)):
        text = b"".join(parts)
        for known in begun:
            mine = known.copy()
            mine.update(text)
            out.append(mine.digest())
    return np.frombuffer(b"".join(out), f"V{KEY_BYTES}")


def with_results(keys: np.ndarray, outcome: Outcome) -> np.ndarray:
    """The keys of trials that are told apart by what they came to as well."""
    results = zip(keys.tolist(), outcome.headline, strict=True)
    both = [hashlib.blake2b(k + h.tobytes(), digest_size=KEY_BYTES).digest() for k, h in results]
    return np.array(both, keys.dtype)


def values_at(axes: Mapping[str, Sequence[Any]], cells: np.ndarray, listed: bool) -> dict[str, np.ndarray]:
    """For each axis which of its values each cell has: cells count through a grid, or ``listed``, along the values.

    >>> values_at({"fast": [5, 9], "slow": [20, 30]}, np.array([1]), False)
    {'fast': array([0]), 'slow': array([1])}
    >>> values_at({"fast": [5, 9], "slow": [20, 30]}, np.array([1]), True)
    {'fast': array([1]), 'slow': array([1])}
    """
    if listed:
        return dict.fromkeys(axes, cells)
    sizes = [len(v) for v in axes.values()]
    return dict(zip(axes, np.unravel_index(cells, sizes) if sizes else (), strict=True))


def told(value: Any) -> str:
    """The text by which a bound value counts: numbers and text as Python writes them, all else by its content.

    What cannot be pickled counts by its ``repr``.

    >>> told(np.float64(0.5)), told([1, "a"]), told(np.arange(3)) == told(np.arange(3.0))
    ('0.5', "[1, 'a']", False)
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(told, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{told(k)}: {told(v)}' for k, v in value.items())}}}"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(told, value)))}}}"
    import cloudpickle

    try:
        content = cloudpickle.dumps(value)
    except (TypeError, AttributeError, pickle.PicklingError):
        content = repr(value).encode()
    return f"{type(value).__name__} {hashlib.sha256(content).hexdigest()}"


def kept(value: Any) -> Any:
    """A bound value as a line of the ledger can hold it: itself, or its text where JSON has nothing like it.

    >>> kept({"n": [1, 2]}), kept({(1, 2): 3})
    ({'n': [1, 2]}, '{(1, 2): 3}')
    """
    if isinstance(value, (bool, int, float, str)):
        return value
    try:
        json.dumps(value, default=as_json)
    except (TypeError, ValueError):
        return str(value)
    return value


def record_trials(text: str, rows: Sequence[Row]) -> None:
    """Append rows of one strategy's trials, with its source ``text`` where this process has not told of it yet.

    A project that keeps no texts (`private`) has its hash in the rows.
    """
    at, first = place(), rows[0]
    known = at, str(first["source"])
    fresh = not private() and known not in _told
    source = {n: first[n] for n in ("at", "strategy", "source")} | {"kind": "source", "text": text}
    record([source, *rows] if fresh else rows, at)
    if fresh:
        _told.add(known)


def audit_row(name: str, source: str, params: Mapping[str, Any], **found: Any) -> Row:
    """What an audit of a strategy's source came to: ``blind`` or not, ``assumed``, its ``cuts`` and ``bars``."""
    told = {"strategy": name, "source": digest_of(source), "params": {k: repr(v) for k, v in params.items()}}
    return {"kind": "audit", "at": time.time(), **told, **found}


def trials_rows(
    header: Mapping[str, Any],
    identity: Sequence[Mapping[str, Any]],
    cells: np.ndarray,
    outcome: Outcome,
    by_result: bool = False,
    pruned: bool = False,
) -> Iterator[Row]:
    """The rows of a call's trials: one for each `PART` of them, numbered by ``part`` where there are several.

    One after the other, as a million trials' do not fit into memory beside their results.

    ``header`` has what they share, ``bound`` and ``axes`` among it (``listed``: as in `values_at`); ``call`` is the
    hash of all their keys; ``errors`` says of failed ones, by their place in the row, [status, bar, argument]. With
    ``by_result`` what a trial came to is part of its key. Those that are done were ``pruned``, where that is said:
    their blocks are those so far, and they have no result.
    """
    keys = keys_of(identity, header["bound"], header["axes"], cells, bool(header.get("listed")))
    if by_result:
        keys = with_results(keys, outcome)
    status = np.where(outcome.done, PRUNED if pruned else DONE, UNTOUCHED).astype("u1")
    status[list(outcome.errors)] = FAILED
    role, parent = _role.get(), _parent.get()
    shared = {
        "kind": "trials",
        "at": moment("seal"),
        "role": role,
        "notebook": os.environ.get("JPY_SESSION_NAME", ""),
        **({"parent": parent} if parent and isinstance(parent, str) else {}),
        **header,
        "bound": {n: kept(v) for n, v in header["bound"].items()},
        "axes": {n: [kept(v) for v in values] for n, values in header["axes"].items()},
        "call": hashlib.sha256(keys.tobytes()).hexdigest()[:32],
    }
    each = {
        "cell": np.repeat(cells, len(identity)).astype("u4"),
        "key": keys,
        "status": status,
        **{n: np.where(pruned, np.nan, outcome.headline[:, L.HEADLINE.index(n)]) for n in RESULTS},
    }
    if not isinstance(parent, str):
        texts = [bytes.fromhex(key).ljust(KEY_BYTES, b"\0") for key in parent]
        each["parents"] = np.repeat(np.frombuffer(b"".join(texts), f"V{KEY_BYTES}"), len(identity))
    keeps = role == "rival" and outcome.blocks is not None and bool(outcome.done.any())
    if keeps:
        shared |= _in_common(outcome, len(identity))
    per_row = max(1, PART // len(identity)) * len(identity)  # a cell's accounts lie in one row
    for first in range(0, len(keys), per_row):
        row = shared | {n: v[first : first + per_row] for n, v in each.items()}
        part = outcome.part(first, first + per_row)
        if keeps:
            row["blocks"] = _summarised(part, shared["edges"].shape[1])
        if per_row < len(keys):
            row["part"] = [first // per_row, -(-len(keys) // per_row)]
        yield row | {"trials": int(np.count_nonzero(row["status"])), "errors": part.errors}


def accounts_of(row: Row) -> int:
    """How many accounts, and thus trials, each cell of a call has."""
    return 1 if row["together"] else len(row["assets"])


def _in_common(outcome: Outcome, n_account: int) -> Row:
    """``level``, ``edges`` and ``shared``: trials of one account have the same sessions."""
    raw, many, done = outcome.blocks, outcome.meta[:, 0], outcome.done
    most = int(many[done].max())
    edges = np.full((n_account, most), NONE, "i8")
    level, shared = np.full(n_account, -1, "i8"), np.zeros((n_account, most, len(SHARED)))
    for a in range(n_account):
        one = next((k for k in range(a, len(done), n_account) if done[k]), None)
        if one is not None and raw is not None:
            n, level[a] = int(many[one]), outcome.meta[one, 1]
            edges[a, :n] = raw[one]["index"][:n]
            shared[a, :n] = np.stack([raw[one][f][:n] for f in SHARED], axis=1)
    return {"level": level, "edges": edges, "shared": shared}


def _summarised(part: Outcome, most: int) -> np.ndarray:
    """``blocks``, NaN of trials without a result."""
    raw = part.blocks
    if raw is None:
        raise TypeError("rivals have block summaries")
    blocks = np.empty((len(part.done), most, len(FIELDS)), "f4")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for j, name in enumerate(FIELDS):
            values = raw[name.removeprefix("log_")][:, :most]
            blocks[:, :, j] = np.where(values > 0.0, np.log(values), np.nan) if name.startswith("log_") else values
    blocks[~part.done] = np.nan
    return blocks
