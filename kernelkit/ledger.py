"""The trial ledger: every trial that was run, appended by the engine before its result is seen.

The log is append-only, one file per process: records of (length, CRC-32, SHA-256 of the record before, JSON row). A
torn tail, left by a killed process, is dropped and reported by the reader.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import threading
import time
import uuid
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from kernelkit.kernels.job import Outcome

HEAD = struct.Struct("<II32s")
MOST = 1000  # cells and trials that a row spells out
_lock = threading.Lock()
_role: ContextVar[str] = ContextVar("role", default="rival")
_open: dict[str, _Log] = {}


def root() -> Path:
    """Where this project's ledger lives: the nearest `.kernelkit` above, else beside `.git`, else in this folder."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".kernelkit").is_dir():
            return folder / ".kernelkit"
    for folder in (here, *here.parents):
        if (folder / ".git").exists():
            return folder / ".kernelkit"
    return here / ".kernelkit"


class _Log:
    """This process's own log file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.pid = os.getpid()
        self.path = folder / f"{self.pid}-{uuid.uuid4().hex[:8]}.log"
        self.handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)  # for the life of the process
        self.previous = b"\0" * 32

    def append(self, rows: list[dict[str, Any]]) -> None:
        """Write rows in one write call, so that a kill loses at most the last rows and never mixes them."""
        out, previous = bytearray(), self.previous
        for row in rows:
            body = json.dumps(row, separators=(",", ":"), allow_nan=True, default=str).encode()
            head = HEAD.pack(len(body), zlib.crc32(body), previous)
            out += head + body
            previous = hashlib.sha256(head + body).digest()
        view = memoryview(out)
        while view:
            view = view[os.write(self.handle, view) :]
        self.previous = previous


def record(rows: list[dict[str, Any]]) -> None:
    """Append rows to this process's log under `root`; raises OSError where it cannot be written."""
    folder = root() / "ledger"
    with _lock:
        log = _open.get(str(folder))
        if log is None or log.pid != os.getpid():
            log = _open[str(folder)] = _Log(folder)
        try:
            log.append(rows)
        except BaseException:
            del _open[str(folder)]  # its last record may be torn: what follows goes into another file
            raise


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)  # another thread of the parent may have held it


@contextmanager
def role(name: str) -> Iterator[None]:
    """Trials recorded inside have this role: ``training`` cells, for one, are no rivals of the curve they lead to.

    >>> with role("training"):
    ...     _role.get()
    'training'
    """
    token = _role.set(name)
    try:
        yield
    finally:
        _role.reset(token)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of one log; stops with a ValueError at the first record that is torn or was altered.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = _Log(Path(folder))
    ...     log.append([{"trials": 1}, {"trials": 2}])
    ...     os.close(log.handle)
    ...     [row["trials"] for row in read(log.path)]
    [1, 2]
    """
    data, at, previous = path.read_bytes(), 0, b"\0" * 32
    while at < len(data):
        head = data[at : at + HEAD.size]
        if len(head) < HEAD.size:
            raise ValueError(f"{path.name}: torn tail of {len(data) - at} bytes at {at}")
        n, crc, chain = HEAD.unpack(head)
        body = data[at + HEAD.size : at + HEAD.size + n]
        if len(body) < n:
            raise ValueError(f"{path.name}: torn tail of {len(data) - at} bytes at {at}")
        if zlib.crc32(body) != crc or chain != previous:
            raise ValueError(f"{path.name}: record at {at} was altered")
        previous = hashlib.sha256(head + body).digest()
        at += HEAD.size + n
        yield json.loads(body)


def summary() -> pd.DataFrame:
    """What was tried in this project so far, by strategy and role: calls, trials, the first and the last (UTC).

    Reads every log under `root`; a log that is torn or was altered counts as far as it can be read, with a warning.

    >>> list(summary())
    ['strategy', 'role', 'calls', 'trials', 'first', 'last']
    """
    import pandas as pd

    found: dict[tuple[str, str], list[Any]] = {}
    for path in sorted((root() / "ledger").glob("*.log")):
        try:
            for row in read(path):
                entry = found.setdefault((row["strategy"], row["role"]), [0, 0, row["at"], row["at"]])
                entry[0] += 1
                entry[1] += row["trials"]
                entry[2], entry[3] = min(entry[2], row["at"]), max(entry[3], row["at"])
        except ValueError as error:
            warnings.warn(str(error), RuntimeWarning, stacklevel=2)
    rows = [(*key, *entry) for key, entry in sorted(found.items())]
    table = pd.DataFrame(rows, columns=["strategy", "role", "calls", "trials", "first", "last"])
    for name in ("first", "last"):
        table[name] = pd.to_datetime(table[name], unit="s", utc=True)
    return table


def rows_of(
    name: str, source: str, lineage: str, settings: dict[str, Any], cells: list[dict[str, Any]], outcome: Outcome
) -> list[dict[str, Any]]:
    """One row for all trials of one call: what they share, then the first cells' parameters and trials' final equity.

    A cell has one trial for each asset, in the order of ``assets``; ``axes`` and ``excluded`` say which cells there
    are. The block summaries stay with the result; the full ledger stores them.
    """
    shared = {"strategy": name, "source": hashlib.sha256(source.encode()).hexdigest(), "lineage": lineage, **settings}
    key = hashlib.sha256(json.dumps(shared, sort_keys=True, default=str).encode()).hexdigest()
    done = outcome.done
    return [
        {
            "at": time.time(),
            "key": key,
            "role": _role.get(),
            **shared,
            "trials": int(done.sum()),
            "params": cells[:MOST],
            "final_equity": [
                None if not d else float(e) for d, e in zip(done[:MOST], outcome.headline[:MOST, -1], strict=True)
            ],
        }
    ]
