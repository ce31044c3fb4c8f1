"""How the ledger is read, compacted and checked, while others write to it (J6).

In a folder each process has a log of its own; in an object store each write is a segment of its own. What a person has
noted (seals, declarations) lies in logs apart, which are few and small. Compacted records lie in Parquet files that are
named by their content. A record is known by its log and its number in it, so that one which lies in two files, as after
a kill, counts once.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import itertools
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import arguments
from kernelkit.ledger.log import (
    BEGIN,
    HEAD,
    DamagedLog,
    Row,
    TornLog,
    arrays_of,
    chained,
    is_whole,
    parted,
    records,
    unpacked,
)
from kernelkit.ledger.parquet import SEARCHED, Record, compacted, files, first_untrue, searched, table_of
from kernelkit.ledger.place import filesystem, host, is_local, place, put, sweep

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.compute as pc

TRIES = 8  # to find the files as they were listed
TRIED = ("trials", "source")  # kinds of rows that runs write; all others are notes
NOTES = "notes-"  # how the names of their files begin


def rows(
    *kinds: str,
    where: pc.Expression | None = None,
    keep: Callable[[Row], bool] = lambda row: True,
    heavy: bool = True,
    at: str | None = None,
) -> Iterator[Row]:
    """Every row of these kinds once (none: of all), file by file, each log's in order.

    ``where`` is an expression of pyarrow over `SEARCHED`, which the compacted form answers without reading the rows;
    ``keep`` sees a row without its arrays; without ``heavy`` block summaries are left out. Arrays cannot be written to.
    What is torn or was altered counts as far as it can be read, with a RuntimeWarning.
    """
    if kinds:
        where = _of(kinds) if where is None else _of(kinds) & where
    tried = {kind in TRIED for kind in kinds}
    for record in every_record(at or place(), where, tried.pop() if len(tried) == 1 else None):
        row = json.loads(record.line)
        arrays = row.pop("arrays", ())
        if keep(row):
            yield row | arrays_of(arrays, record.light(), *([record.heavy()] if heavy else ()))


def moment(*kinds: str, at: str | None = None) -> float:
    """Now (Unix seconds), but after every row of these kinds (none: of all): a clock that was set back hides none (J9).

    >>> moment(at="memory://nothing") <= moment(at="memory://nothing")
    True
    """
    last = max((float(row["at"]) for row in rows(*kinds, heavy=False, at=at)), default=0.0)
    return max(time.time(), math.nextafter(last, math.inf))


@cache
def _of(kinds: tuple[str, ...]) -> pc.Expression:
    import pyarrow.compute as pc

    return pc.field("kind").isin(list(kinds))


class Had:
    """Which numbers of each log were read."""

    def __init__(self) -> None:
        self.spans: dict[str, list[tuple[int, int]]] = {}

    def fresh(self, logs: Any, numbers: np.ndarray) -> np.ndarray:
        """Which of these records (an Arrow column, int64) were not read before; from now on they were."""
        if not len(numbers):
            return np.zeros(0, bool)
        encoded = logs.combine_chunks().dictionary_encode()
        codes, names = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
        starts = np.flatnonzero((np.diff(codes, prepend=-1) != 0) | (np.diff(numbers, prepend=-1) != 1))
        out = np.ones(len(numbers), bool)
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(numbers)], strict=True):
            out[start:stop] = self.fresh_of(names[codes[start]], int(numbers[start]), stop - start)
        return out

    def fresh_of(self, log: str, first: int, n: int) -> np.ndarray:
        """The same of records ``first ... first + n - 1`` of one log."""
        out, spans = np.ones(n, bool), self.spans.setdefault(log, [])
        for a, b in spans:
            out[max(0, a - first) : max(0, b - first)] = False
        spans.append((first, first + n))
        return out

    def has(self, log: str, first: int, stop: int) -> bool:
        """Whether records ``first ... stop - 1`` of a log were read."""
        missing = np.ones(stop - first, bool)
        for a, b in self.spans.get(log, ()):
            missing[max(0, a - first) : max(0, b - first)] = False
        return not missing.any()


def every_record(at: str, where: pc.Expression | None = None, tried: bool | None = None) -> Iterator[Record]:
    """Every record once that ``where`` wants: of Parquet files, then of logs; ``tried`` says of trials or of notes."""
    fs, path = filesystem(at)
    had, done = Had(), set()
    damage: dict[str, str] = {}
    for _ in range(TRIES):
        listed = listing(fs, path, tried)
        for p in listed:
            if p.endswith(".parquet") and p not in done:
                yield from _compacted(fs, p, where, had)
                done.add(p)
        logged, damage, calm = _logged(fs, listed, had)
        yield from _matching(logged, where)
        # a list that is made while a compaction works may have neither the log nor the file
        if calm and all(p in done for p in listing(fs, path, tried) if p.endswith(".parquet")):
            break
    else:  # what was there at first was read, from its log or the second time from its file; what is amiss nobody knows
        damage = {p: text for p, text in damage.items() if "missing" not in text}
    for text in damage.values():
        warnings.warn(text, RuntimeWarning, stacklevel=2)


def listing(fs: Any, path: str, tried: bool | None = None) -> list[str]:
    """The files at a place, those of trials, of notes, or all; none where there is no such place."""
    try:
        if "file" in fs.protocol:  # asked at every backtest: fsspec would look at each file
            found = [f"{path}/{name}" for name in os.listdir(path)]  # noqa: PTH208
        else:
            fs.invalidate_cache(path)
            found = [str(p) for p in fs.ls(path, detail=False)]
    except FileNotFoundError:
        return []
    return sorted(p for p in found if tried is None or _name(p).startswith(NOTES) is not tried)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def logs_of(listed: Iterable[str]) -> dict[str, list[str]]:
    """The files of each log: itself, or its segments in order."""
    out: dict[str, list[str]] = {}
    for p in listed:
        if p.endswith(".log"):
            out[_name(p)] = [p]
        elif p.endswith(".seg"):
            out.setdefault(_name(p).rpartition("-")[0], []).append(p)
    return out


def _compacted(fs: Any, path: str, where: pc.Expression | None, had: Had) -> Iterator[Record]:
    import pyarrow as pa

    try:
        with fs.open(path) as file:
            yield from compacted(file, where, had.fresh)
    except (pa.ArrowInvalid, OSError) as error:
        warnings.warn(f"{_name(path)}: cannot be read ({error})", RuntimeWarning, stacklevel=2)


def _logged(fs: Any, listed: Sequence[str], had: Had) -> tuple[list[Record], dict[str, str], bool]:
    """The records of all logs that were not had, what is wrong with these, and whether all files were still there."""
    found: list[Record] = []
    damage: dict[str, str] = {}
    calm = True
    for name, parts in logs_of(listed).items():
        own, wrong, there = read_log(fs, name, parts, had)
        found += own
        damage |= wrong
        calm &= there
    return found, damage, calm


def read_log(
    fs: Any, name: str, parts: Sequence[str], had: Had | None = None
) -> tuple[list[Record], dict[str, str], bool]:
    """The records of a log that were not ``had``, by file what is wrong with it, and whether all files were there.

    A file may have gone since it was listed: a compaction has taken it. The record that a living process is just
    writing is none yet. Without ``had`` it is a log that has ended, and which of its segments there are is not asked.
    """
    found: list[Record] = []
    damage: dict[str, str] = {}
    expected, previous, there = 0, BEGIN, True
    for path, data in zip(parts, fs.cat_ranges(list(parts), None, None, on_error="return"), strict=True):
        if isinstance(data, FileNotFoundError):
            there = False
            continue
        if isinstance(data, BaseException):
            raise data
        first = int(path.rpartition("-")[2].removesuffix(".seg")) if path.endswith(".seg") else 0
        follows = first == expected
        if not follows and had is not None and not had.has(name, expected, first):
            damage[path] = f"{name}: records {expected} to {first - 1} are missing"
        own: list[Record] = []
        try:
            for head, body in records(data, name, previous if follows else None):
                line, light, heavy = parted(body)
                own.append(Record(name, first + len(own), bytes(head), line, partial(_is, light), partial(_is, heavy)))
                previous = chained(head, body)
        except DamagedLog as error:
            if had is None or not (isinstance(error, TornLog) and is_written(path)):
                damage[path] = str(error)
        expected = first + len(own)
        fresh = np.ones(len(own), bool) if had is None else had.fresh_of(name, first, len(own))
        found += itertools.compress(own, fresh)
    return found, damage, there


def _is(payload: Any) -> Any:
    return payload


def _matching(found: list[Record], where: pc.Expression | None) -> list[Record]:
    if where is None or not found:
        return found
    lines = [(*searched(unpacked(r.line)), k) for k, r in enumerate(found)]
    table = table_of(zip(*lines, strict=True), SEARCHED | {"place": "int64"})
    return [found[k] for k in table.filter(where)["place"].to_pylist()]


def locked(handle: int, how: int) -> bool:
    """Whether a file could be locked. Where there are no locks none can, and no log is taken for ended."""
    try:
        fcntl.flock(handle, how)
    except OSError:
        return False
    return True


@contextmanager
def ended(path: str) -> Iterator[bool]:
    """Whether the process that wrote a log has ended; none can begin to write it inside.

    Locks tell that of this machine's processes only.
    """
    handle = _opened(path)
    try:
        yield handle is not None and locked(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        if handle is not None:
            os.close(handle)


def is_written(path: str) -> bool:
    """Whether a process of this machine is known to have a log open."""
    handle = _opened(path)
    if handle is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there are no locks
        return False
    finally:
        os.close(handle)
    return False


def _opened(path: str) -> int | None:
    if not path.endswith(".log") or not _name(path).removeprefix(NOTES).startswith(f"{host()}-"):
        return None
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None


@arguments()
def compact(at: str | None = None) -> int:
    """Move what this machine's ended processes have logged, or all segments, into Parquet files; how many records.

    A kill at any moment loses nothing: files are written whole, and only then is deleted what they hold. A torn tail is
    dropped, with a RuntimeWarning; a log that was altered stays as it is.
    """
    at = at or place()
    fs, path = filesystem(at)
    if is_local(at):
        sweep(path)
    return sum(_compact(fs, path, is_local(at), tried) for tried in (False, True))


def _compact(fs: Any, path: str, local: bool, tried: bool) -> int:
    taken: list[str] = []
    moved = 0

    def found(logs: dict[str, list[str]]) -> Iterator[Record]:
        for name, parts in logs.items():
            if not local and parts[0].endswith(
                ".log"
            ):  # of a process that writes to the same place as a folder: it may live
                continue
            own, damage, _ = read_log(fs, name, parts)
            for text in damage.values():
                warnings.warn(text, RuntimeWarning, stacklevel=2)
            if not any("altered" in text for text in damage.values()):
                taken.extend(parts)
                yield from own

    with ExitStack() as held:
        logs = logs_of(listing(fs, path, tried))
        for content, n in files(
            found({name: parts for name, parts in logs.items() if not local or held.enter_context(ended(parts[0]))})
        ):
            with suppress(FileExistsError):  # its name says that it is the same
                put(fs, f"{path}/{'' if tried else NOTES}{_parquet_name(content)}", content)
            moved += n
        for p in taken:
            with suppress(FileNotFoundError):  # somebody else has compacted it, too
                fs.rm_file(p)
    return moved


def _parquet_name(content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()}.parquet"


@arguments()
def verify(at: str | None = None, *, earlier: pd.DataFrame | None = None) -> pd.DataFrame:
    """Check every record's hash and place in its log's chain, every file's name, and the columns that are searched.

    A table: log (or file), records, head, damage.

    ``head`` is the hash of a log's last record. Whoever keeps this table finds out by giving it as ``earlier`` which
    logs were cut off, written anew or deleted since.

    >>> list(verify("memory://nothing"))
    ['log', 'records', 'head', 'damage']
    """
    import pandas as pd
    import pyarrow as pa

    at = at or place()
    fs, path = filesystem(at)
    told: dict[str, str] = {}
    for p in listing(fs, path):
        name = _name(p)
        if name.endswith(".parquet"):
            content = fs.cat_file(p)
            if _parquet_name(content) != name.removeprefix(NOTES):
                told[name] = "its content is not what its name says"
            else:
                untrue = first_untrue(io.BytesIO(content))
                if untrue is not None:
                    told[name] = f"its columns are not what record {untrue[1]} of {untrue[0]} says"
    chains: dict[str, list[tuple[int, bytes, bytes, bool]]] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        for r in every_record(at):
            body: tuple[Any, ...]
            try:
                body = r.line, b"\n", r.light(), r.heavy()
            except (pa.ArrowInvalid, OSError):
                body = ()
            digest = chained(r.head, *body)
            chains.setdefault(r.log, []).append((r.number, HEAD.unpack(r.head)[2], digest, is_whole(r.head, *body)))
    for w in caught:
        name, _, text = str(w.message).partition(": ")
        told.setdefault(name, text)
    heads = {}
    for log, chain in chains.items():
        expected, previous = 0, BEGIN
        for number, before, digest, whole in sorted(chain):
            if number != expected or before != previous or not whole:
                told.setdefault(log, f"record {number} was altered, or those before it are missing")
            expected, previous = number + 1, digest
        heads[log] = previous.hex()
    for log, n, head in () if earlier is None else earlier[["log", "records", "head"]].itertuples(index=False):
        if n and head not in {digest.hex() for number, _, digest, _ in chains.get(log, ()) if number == n - 1}:
            told.setdefault(log, f"its record {n - 1} is missing, or another one, since it was noted")
    names = sorted({*chains, *told})
    lines = [(name, len(chains.get(name, ())), heads.get(name, ""), told.get(name, "")) for name in names]
    return pd.DataFrame(lines, columns=["log", "records", "head", "damage"])
