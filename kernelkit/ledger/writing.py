"""How rows are written: each process appends to logs of its own, in an object store as segments."""

from __future__ import annotations

import fcntl
import os
import threading
import uuid
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kernelkit.ledger.log import BEGIN, Row, framed
from kernelkit.ledger.place import filesystem, host, is_local, place, put
from kernelkit.ledger.store import NOTES, TRIED, compact, listing, locked

MANY = 64  # logs of ended processes, or segments: a new process compacts them
FULL = 2**26  # bytes of a log, about 20,000 trials: it is compacted, and another one begun

_lock = threading.Lock()
_open: dict[tuple[str, bool], Log | Segments] = {}


def _new_name(tried: bool) -> str:
    return f"{'' if tried else NOTES}{host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Log:
    """A log of this process in a folder, locked for as long as it is open: what nobody has locked has ended."""

    def __init__(self, folder: str, tried: bool) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.previous, self.size = BEGIN, 0
        while True:
            path = Path(folder) / f"{_new_name(tried)}.log"
            self.handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            locked(self.handle, fcntl.LOCK_SH)
            with suppress(FileNotFoundError):  # a compaction came between
                if os.path.samestat(path.stat(), os.fstat(self.handle)):
                    break
            self.close()

    def append(self, rows: Sequence[Row]) -> None:
        """Write rows one behind the other: a kill loses at most those that are being written."""
        out, previous = framed(rows, self.previous)
        view = memoryview(out)
        while view:
            view = view[os.write(self.handle, view) :]
        self.previous = previous
        self.size += len(out)

    def is_gone(self) -> bool:
        """Whether somebody has deleted the file: what is written to it is lost."""
        return os.fstat(self.handle).st_nlink == 0

    def close(self) -> None:
        """Let others compact it."""
        os.close(self.handle)


class Segments:
    """A log of this process in an object store: one object for each write, named by the first of its records."""

    size = 0  # each is compacted as it is

    def __init__(self, at: str, tried: bool) -> None:
        self.previous, self.number, self.name = BEGIN, 0, _new_name(tried)
        self.fs, self.path = filesystem(at)
        self.fs.makedirs(self.path, exist_ok=True)

    def append(self, rows: Sequence[Row]) -> None:
        """Put rows as the next segment, whole or not at all; raises FileExistsError where there is one."""
        out, previous = framed(rows, self.previous)
        put(self.fs, f"{self.path}/{self.name}-{self.number:08d}.seg", out)
        self.previous, self.number = previous, self.number + len(rows)

    def is_gone(self) -> bool:
        """Each is an object of its own."""
        return False

    def close(self) -> None:
        """Nothing is open."""


def record(rows: Sequence[Row], at: str | None = None) -> None:
    """Append rows to this process's logs, at `place` if not said; raises what the file system raises if it cannot.

    What is written stays if the process is killed; a machine that loses power may lose the last seconds of a log.
    """
    at = at or place()
    for tried in (True, False):
        own = [row for row in rows if (row.get("kind") in TRIED) is tried]
        if own:
            _append(at, tried, own)


def _append(at: str, tried: bool, rows: Sequence[Row]) -> None:
    with _lock:
        log = _open.get((at, tried))
        if log is not None and log.is_gone():
            log = _open.pop((at, tried)).close()
        begun = log is None
        if log is None:
            log = _open[at, tried] = Log(at, tried) if is_local(at) else Segments(at, tried)
        try:
            log.append(rows)
        except BaseException:
            _open.pop((at, tried)).close()  # its last record may be torn: what follows goes into another log
            raise
        full = log.size > FULL
        if full:
            _open.pop((at, tried)).close()
    if full or (begun and _many(at)):
        try:
            compact(at)
        except OSError as error:  # the rows are written
            warnings.warn(f"the ledger at {at} could not be compacted: {error}", RuntimeWarning, stacklevel=3)


def _many(at: str) -> bool:
    fs, path = filesystem(at)
    return sum(p.endswith((".log", ".seg")) for p in listing(fs, path)) > MANY


def _forget() -> None:
    """A forked child writes to logs of its own; another thread of the parent may have held the lock."""
    global _lock
    _lock = threading.Lock()
    for log in _open.values():
        log.close()
    _open.clear()


os.register_at_fork(after_in_child=_forget)
