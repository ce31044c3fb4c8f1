"""Where the ledger lies, and how it is written, read and compacted there: a folder, or any object store of fsspec.

In a folder each process appends to a log of its own; in an object store each write is a segment of its own, put only
where there is none of that name. Compacted records lie in Parquet files that are named by their content. A record is
known by its log and its number in it, so that one which lies in two files, as after a kill, counts once.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import threading
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kernelkit.errors import RunError, UsageError, message
from kernelkit.files import write_atomic
from kernelkit.ledger.log import BEGIN, HEAD, DamagedLog, Row, chained, framed, parted, records, unpacked

if TYPE_CHECKING:
    import pandas as pd

MANY = 64  # logs of ended processes: a new one compacts them
TRIES = 8  # to read what a compaction moves
FILE_BYTES, GROUP_BYTES = 2**28, 2**23  # of a Parquet file, and of what is read of it at once
PLAIN = {"log": "string", "number": "int64", "digest": "binary", "head": "binary", "line": "binary"}  # columns there

_lock = threading.Lock()
_open: dict[str, Log | Segments] = {}


def root() -> Path:
    """This project's folder for what is kept: the nearest `.kernelkit` above, else beside `.git`, else in this one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".kernelkit").is_dir():
            return folder / ".kernelkit"
    for folder in (here, *here.parents):
        if (folder / ".git").exists():
            return folder / ".kernelkit"
    return here / ".kernelkit"


def place() -> str:
    """Where the ledger lies: the folder or address in $KERNELKIT_LEDGER, else ``ledger`` under `root`."""
    return os.environ.get("KERNELKIT_LEDGER") or str(root() / "ledger")


def filesystem(at: str) -> tuple[Any, str]:
    """The fsspec file system of a place, and the path there; raises UsageError where its package is missing."""
    from fsspec.core import url_to_fs

    try:
        fs, path = url_to_fs(at)
    except (ImportError, ValueError) as error:
        wanted, fix = "a folder, or an address that fsspec knows", f"Install what it needs ({error})."
        raise UsageError(message("KERNELKIT_LEDGER", at, wanted, fix)) from error
    return fs, str(path)


def is_local(at: str) -> bool:
    """Whether a place is a folder of this machine."""
    return "://" not in at and "::" not in at


class Log:
    """This process's own log in a folder, locked for as long as the process lives: what nobody has locked has ended."""

    def __init__(self, folder: str) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.pid, self.previous = os.getpid(), BEGIN
        while True:
            self.path = Path(folder) / f"{self.pid}-{uuid.uuid4().hex[:8]}.log"
            self.handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            locked(self.handle, fcntl.LOCK_SH)
            with suppress(FileNotFoundError):  # a compaction came between
                if os.path.samestat(self.path.stat(), os.fstat(self.handle)):
                    break
            os.close(self.handle)

    def append(self, rows: Sequence[Row]) -> None:
        """Write rows in one go, so that a kill loses at most the last ones and never mixes them."""
        out, previous = framed(rows, self.previous)
        view = memoryview(out)
        while view:
            view = view[os.write(self.handle, view) :]
        self.previous = previous


def locked(handle: int, how: int) -> bool:
    """Whether a file could be locked; not so on file systems without locks, whose logs are never taken for ended."""
    try:
        fcntl.flock(handle, how)
    except OSError:
        return False
    return True


class Segments:
    """This process's own log in an object store: one object for each write, named by the first of its records."""

    def __init__(self, at: str) -> None:
        self.pid, self.previous, self.number = os.getpid(), BEGIN, 0
        self.fs, self.path = filesystem(at)
        self.name = f"{self.pid}-{uuid.uuid4().hex[:8]}"
        self.fs.makedirs(self.path, exist_ok=True)

    def append(self, rows: Sequence[Row]) -> None:
        """Put rows as the next segment, whole or not at all; raises FileExistsError where there is one."""
        out, previous = framed(rows, self.previous)
        self.fs.pipe_file(f"{self.path}/{self.name}-{self.number:08d}.seg", out, mode="create")
        self.previous, self.number = previous, self.number + len(rows)


def record(rows: Sequence[Row]) -> None:
    """Append rows to this process's log at `place`; raises what the file system raises where it cannot be written."""
    at = place()
    with _lock:
        log = _open.get(at)
        fresh = log is None or log.pid != os.getpid()
        if log is None or fresh:
            log = _open[at] = Log(at) if is_local(at) else Segments(at)
        try:
            log.append(rows)
        except BaseException:
            del _open[at]  # its last record may be torn: what follows goes into another log
            raise
    if fresh and is_local(at) and len(list(Path(at).glob("*.log"))) > MANY:
        compact()


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)  # another thread of the parent may have held it


class Record(NamedTuple):
    """One record: its log, its number there, the hash of it, its head, its line, and what gives the arrays' bytes."""

    log: str
    number: int
    digest: bytes
    head: bytes
    line: bytes
    payload: Callable[[], Any]


def rows(*kinds: str, keep: Callable[[Row], bool] = lambda row: True, at: str | None = None) -> Iterator[Row]:
    """Every row of these kinds once (none: of all), log by log; ``keep`` sees a row without its arrays.

    Arrays are views that cannot be written to. A log with a torn tail, or one that was altered, counts as far as it can
    be read, with a RuntimeWarning.
    """
    for record in every_record(at or place()):
        row = unpacked(record.line, None)
        if (not kinds or row.get("kind") in kinds) and keep(row):
            yield unpacked(record.line, record.payload())


def every_record(at: str) -> Iterator[Record]:
    """Every record once: those of Parquet files, then those of logs and segments that no such file has."""
    fs, path = filesystem(at)
    if not fs.exists(path):
        return
    seen: dict[str, Record] = {}  # the last one of each log
    for _ in range(TRIES):
        fs.invalidate_cache(path)
        listed = sorted(str(p) for p in fs.ls(path, detail=False))
        try:
            for p in listed:
                if p.endswith(".parquet"):
                    yield from _unseen(_compacted(fs, p), seen)
            for name, parts in _logs(listed).items():
                yield from _unseen(_logged(fs, name, parts, seen), seen)
            return
        except FileNotFoundError:  # a compaction has taken it meanwhile: its Parquet file has it
            continue
    raise RunError(
        message("ledger", f"files that vanish while they are read, at {at}", "files that stay", "Try again.")
    )


def _unseen(found: Iterable[Record], seen: dict[str, Record]) -> Iterator[Record]:
    for record in found:
        if record.log not in seen or record.number > seen[record.log].number:
            seen[record.log] = record
            yield record


def _logs(listed: Sequence[str]) -> dict[str, list[str]]:
    """The files of each log: itself, or its segments in order."""
    out: dict[str, list[str]] = {}
    for p in listed:
        name = p.rpartition("/")[2]
        if name.endswith(".log"):
            out[name] = [p]
        elif name.endswith(".seg"):
            out.setdefault(name.rpartition("-")[0], []).append(p)
    return out


def _logged(fs: Any, name: str, parts: Sequence[str], seen: dict[str, Record]) -> Iterator[Record]:
    """The records of a log; those before its first segment lie in a Parquet file."""
    first = int(parts[0].rpartition("-")[2].removesuffix(".seg")) if parts[0].endswith(".seg") else 0
    before = seen.get(name)
    previous = before.digest if first and before is not None else BEGIN
    data = b"".join([fs.cat_file(p) for p in parts])
    try:
        if first and (before is None or before.number + 1 < first):
            raise DamagedLog(f"{name}: the records before {first} are missing")
        if first and before is not None and before.number + 1 > first:
            # an interrupted compaction has left segments that it had taken
            previous = HEAD.unpack(data[: HEAD.size])[2]
        for k, (head, body) in enumerate(records(data, name, previous)):
            line, payload = parted(body)
            yield Record(name, first + k, chained(head, body), bytes(head), line, partial(_same, payload))
    except DamagedLog as damage:
        warnings.warn(str(damage), RuntimeWarning, stacklevel=2)


def _same(payload: Any) -> Any:
    return payload


def _compacted(fs: Any, path: str) -> Iterator[Record]:
    """The records of a Parquet file; arrays are read where they are asked for, a group of rows at a time."""
    import pyarrow.parquet as pq

    with fs.open(path) as file:
        table = pq.ParquetFile(file)
        for group in range(table.num_row_groups):
            payloads: list[Any] = []

            def payload(k: int, group: int = group, payloads: list[Any] = payloads) -> Any:
                if not payloads:
                    payloads.extend(table.read_row_group(group, ["payload"])["payload"])
                return payloads[k].as_buffer()

            light = table.read_row_group(group, [*PLAIN]).to_pydict()
            for k, values in enumerate(zip(*light.values(), strict=True)):
                yield Record(**dict(zip(light, values, strict=True)), payload=partial(payload, k))


def compact(at: str | None = None) -> int:
    """Move what ended processes have logged, or all segments, into Parquet files; the number of records moved.

    A kill at any moment loses nothing: files are written whole, and what they hold is deleted after.
    """
    at = at or place()
    fs, path = filesystem(at)
    if not fs.exists(path):
        return 0
    fs.invalidate_cache(path)
    logs = _logs(sorted(str(p) for p in fs.ls(path, detail=False)))
    seen = {r.log: r for p in fs.glob(f"{path}/*.parquet") for r in _compacted(fs, p)} if not is_local(at) else {}
    with ExitStack() as held:
        ended = {n: parts for n, parts in logs.items() if not is_local(at) or held.enter_context(_ended(parts[0]))}
        found = (r for name, parts in ended.items() for r in _logged(fs, name, parts, seen))
        n = sum(_write(fs, path, groups) for groups in _files(found))
        for parts in ended.values():
            for p in parts:
                with suppress(FileNotFoundError):  # somebody else has compacted it, too
                    fs.rm_file(p)
    return n


@contextmanager
def _ended(path: str) -> Iterator[bool]:
    """Whether the process that wrote a log has ended; none can begin to write it inside."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        yield locked(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(handle)


def _files(found: Iterable[Record]) -> Iterator[list[list[Record]]]:
    """Records in groups of rows, so many groups as fit into one file."""
    file: list[list[Record]] = [[]]
    size = total = 0
    for record in found:
        if size > GROUP_BYTES:
            total, size = total + size, 0
            if total > FILE_BYTES:
                yield file
                file, total = [], 0
            file.append([])
        file[-1].append(record)
        size += len(record.line) + len(record.payload())
    if file[0]:
        yield file


def _write(fs: Any, path: str, groups: Sequence[Sequence[Record]]) -> int:
    """One Parquet file, named by its content, whole or not at all; the number of its records."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {n: getattr(pa, kind)() for n, kind in PLAIN.items()}
    said = {"kind": pa.string(), "at": pa.float64(), "strategy": pa.string(), "role": pa.string(), "trials": pa.int64()}
    schema = pa.schema([*types.items(), ("payload", pa.large_binary()), *said.items()])
    out = io.BytesIO()
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for group in groups:
            plain = [unpacked(r.line, None) for r in group]
            columns = {n: [getattr(r, n) for r in group] for n in types}
            columns |= {"payload": [bytes(r.payload()) for r in group]}
            columns |= {n: [row.get(n) for row in plain] for n in said}
            writer.write_table(pa.table(columns, schema))
    data = out.getvalue()
    name = f"{path}/{hashlib.sha256(data).hexdigest()}.parquet"
    if "file" in fs.protocol:
        write_atomic(Path(name), data)
    else:
        with suppress(FileExistsError):  # its name says that it is the same
            fs.pipe_file(name, data, mode="create")
    return sum(map(len, groups))


def verify(at: str | None = None) -> pd.DataFrame:
    """Check every record's hash and its place in its log's chain: log, records, head (the last one's hash), damage.

    Whoever has noted a head finds out by it whether the log was cut off since.

    >>> list(verify())
    ['log', 'records', 'head', 'damage']
    """
    import pandas as pd

    found: dict[str, tuple[int, bytes, str]] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        for r in every_record(at or place()):
            n, previous, damage = found.get(r.log, (0, BEGIN, ""))
            body = b"".join([r.line, b"\n", r.payload()])
            length, crc, before = HEAD.unpack(r.head)
            whole = len(body) == length and zlib.crc32(body) == crc and chained(r.head, body) == r.digest
            if not damage and (r.number != n or before != previous or not whole):
                damage = f"record {r.number} was altered, or those before it are missing"
            found[r.log] = n + 1, r.digest, damage
    said = {str(w.message).partition(":")[0]: str(w.message).partition(": ")[2] for w in caught}
    logs = sorted({*found, *said})
    entries = [(log, *found.get(log, (0, BEGIN, ""))) for log in logs]
    out = [(log, n, digest.hex(), damage or said.get(log, "")) for log, n, digest, damage in entries]
    return pd.DataFrame(out, columns=["log", "records", "head", "damage"])
