"""What trials came to, kept on the disk by what they were: nothing that is finished is computed a second time.

A folder of packs, each a Zarr group in one file that is written whole or not at all and never changed. Its name begins
with its kind and the hash of what is in it: ``trials`` have ``key`` (trial, byte), ``headline``, ``meta`` and perhaps
``blocks``, as `kernels.job.Outcome` has them; ``states`` have ``key``, ``bars``, ``seen`` and ``state``, as `State`
has them. Notebooks, jobs and clients of a cluster share the folder, on one machine or, where it lies on a disk that
they share, on several; who finds a pack damaged goes on without it. A cluster's workers need not see the folder: the
client writes what they send as it arrives, and what it loses when it is killed is what was on its way.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import tempfile
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from kernelkit.errors import UsageError, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Outcome
from kernelkit.spilling import let_go

Array = NDArray[Any]
Found = TypeVar("Found")

WORTH = 1e7  # candles: about 0.2 s of work, below which a run is made again sooner than it is looked up
PIECE_S = 2.0  # a kill loses what is in flight, so a piece takes about this long
CANDLES_PER_S = 5e7  # of a core, about
KEY_BYTES = 16
MANY = 64  # small packs: they are merged
ROWS = 1 << 11  # trials that are read or written at once: 16 MB of block summaries
SMALL = 1 << 24  # bytes
SUFFIX, PART = ".zarr.zip", ".part"
DIGITS = 32  # of a hash


def folder_of(cache: Literal[True] | str | os.PathLike[str]) -> Path:
    """The folder itself; True: ``results`` beside the compiled code, in $KERNELKIT_CACHE or the user's cache folder."""
    from kernelkit.kernels.cache import cache_dir

    return cache_dir().parent / "results" if cache is True else Path(cache).expanduser()


def store_of(cache: Cache) -> Results | None:
    """The store that ``cache`` means: True the user's, a path that one, False none; a store is itself.

    None is $KERNELKIT_RESULTS: ``on``, ``off`` or a folder; unset means off. Raises UsageError for anything else, and
    for a folder that cannot be written.

    >>> store_of(False) is None
    True
    """
    if isinstance(cache, Results):
        return cache
    if cache is None:
        named = os.environ.get("KERNELKIT_RESULTS") or "off"
        if named not in ("on", "off") and os.sep not in named:
            fix = "Write the folder with its path: ./results."
            raise UsageError(message("$KERNELKIT_RESULTS", repr(named), "on, off or a folder", fix))
        cache = {"on": True, "off": False}.get(named, named)
    given = isinstance(cache, bool | str | os.PathLike)  # whatever the annotation says
    if not given or str(cache) in ("", "on", "off"):
        raise UsageError(message("cache", repr(cache), "True, False or a folder", "Pass cache=True."))
    if cache is False:
        return None
    place = folder_of(cache)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        fix = "Choose another, or pass cache=False."
        raise UsageError(message(f"cache folder {place}", str(error), "a folder that can be written", fix)) from None
    return Results(place)


@dataclass(frozen=True)
class State:
    """A trial after so many ``bars``, and the digest of what it has ``seen`` by then: from there it can go on."""

    bars: int
    seen: str
    block: Array


@dataclass(frozen=True)
class Pack:
    """One file: what it holds, and since when."""

    path: Path
    kind: str
    bytes: int
    at: float

    def to_json(self) -> dict[str, str | int | float]:
        """Itself as JSON."""
        return {"path": str(self.path), "kind": self.kind, "bytes": self.bytes, "at": self.at}

    @property
    def hash(self) -> str:
        """Of its arrays."""
        return self.path.name.split(".")[0].split("-")[1]


class Results:
    """The packs of a folder, which is made when the first one is written.

    Runs of less than ``worth`` candles (None: `WORTH`) are neither looked up nor kept. ``found`` trials it has told of
    so far, the youngest pack of which is from ``since``, in seconds since 1970.

    >>> import tempfile
    >>> from kernelkit.kernels.job import new_outcome
    >>> outcome, keys = new_outcome(2, False), np.arange(4, dtype="u8").view("V16")
    >>> outcome.done[:] = True
    >>> with tempfile.TemporaryDirectory() as place:
    ...     Results(Path(place)).put(keys, outcome)
    ...     Results(Path(place)).find(keys, found := new_outcome(2, False))
    >>> found.done.tolist()
    [True, True]
    """

    def __init__(self, place: Path, worth: float | None = None) -> None:
        self.place, self.worth = place, WORTH if worth is None else worth
        self.found, self.since = 0, 0.0
        self._lock = threading.Lock()
        self._told = False
        self._keys: dict[Path, Array] = {}  # of each pack, uint64 (trial, half)

    @property
    def latest(self) -> str:
        """The minute by which all was computed that it has told of."""
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.since))

    def packs(self, kind: str = "*") -> list[Pack]:
        """The files, oldest first."""
        found = []
        for path in self.place.glob(f"{kind}-*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):  # merged meanwhile
                stat = path.stat()
                if path.is_dir():
                    continue
                found.append(Pack(path, path.name.split("-")[0], stat.st_size, stat.st_mtime))
        return sorted(found, key=lambda pack: (pack.at, pack.path))

    def find(self, keys: Array, out: Outcome) -> None:
        """Write into ``out`` what is known of trials of these keys; if it has blocks, only such as have theirs."""
        names = ("headline", "meta", *(("blocks",) if out.blocks is not None else ()))
        for pack, own in self._known("trials"):
            left = np.flatnonzero(~out.done)
            place, row = matches(keys[left], own)
            order = np.argsort(row, kind="stable")
            for k in range(0, len(row), ROWS):
                some = order[k : k + ROWS]
                arrays = self._read(pack, names, row[some])
                if arrays is None:
                    break
                mine = left[place[some]]
                self.found, self.since = self.found + len(mine), max(self.since, pack.at)
                out.headline[mine], out.meta[mine], out.done[mine] = arrays["headline"], arrays["meta"], True
                if out.blocks is not None:
                    found = arrays["blocks"].view(L.NODE)[..., 0]
                    out.blocks[mine[:, None], np.arange(found.shape[1])] = found
                    let_go(out.blocks)

    def put(self, keys: Array, outcome: Outcome) -> None:
        """Keep what is done of an outcome, whole or not at all."""
        done = np.flatnonzero(outcome.done)
        if len(done) == 0:
            return
        arrays = {"key": halves(keys[done]), "headline": outcome.headline[done], "meta": outcome.meta[done]}
        if outcome.blocks is not None:
            most = max(1, int(outcome.meta[done, 0].max()))
            blocks = np.ascontiguousarray(outcome.blocks[done, :most])
            arrays["blocks"] = blocks.view("u1").reshape(len(done), most, L.NODE.itemsize)
        with self._forgiving():
            self._write("trials", arrays)
            if len(self.packs("trials")) > MANY:
                self.merge()

    def states(self, key: bytes) -> list[State]:
        """What a trial of this key has come to after some bars, the longest first."""
        out = []
        for pack, own in self._known("states"):
            _, row = matches(np.frombuffer(key, own.dtype).reshape(1, -1).view(f"V{KEY_BYTES}").ravel(), own)
            arrays = self._read(pack, ("bars", "seen", "state")) if len(row) else None
            if arrays is not None:
                k = int(row[0])
                out.append(State(int(arrays["bars"][k]), arrays["seen"][k].tobytes().hex(), arrays["state"][k]))
        return sorted(out, key=lambda state: -state.bars)

    def keep(self, states: Mapping[bytes, State], gone: Mapping[bytes, State]) -> None:
        """Keep these states, by key, in the place of those that they went on from."""
        with self._forgiving():
            for size in {len(s.block) for s in states.values()}:
                own = {k: s for k, s in states.items() if len(s.block) == size}
                seen = [np.frombuffer(bytes.fromhex(s.seen), "u1") for s in own.values()]
                arrays = {
                    "key": np.frombuffer(b"".join(own), "u8").reshape(len(own), -1),
                    "bars": np.array([s.bars for s in own.values()], "i8"),
                    "seen": np.stack(seen),
                    "state": np.stack([s.block for s in own.values()]),
                }
                self._write("states", arrays)
            if gone:
                self._leave_out({(key, state.seen) for key, state in gone.items()})
            if len(self.packs("states")) > MANY:
                self.merge()

    def _leave_out(self, gone: set[tuple[bytes, str]]) -> None:
        """Write packs without the states of these keys and digests; nothing where somebody else is at it."""
        with self._alone() as alone:
            for pack in self.packs("states") if alone else ():
                arrays = self._read(pack, ("key", "seen"))
                if arrays is None:
                    continue
                pairs = zip(arrays["key"], arrays["seen"], strict=True)
                left = np.flatnonzero([(k.tobytes(), s.tobytes().hex()) not in gone for k, s in pairs])
                if len(left) == len(arrays["key"]):
                    continue
                kept = self._read(pack, (), left) if len(left) else None
                if kept is not None:
                    self._dated(self._write("states", kept), pack.at)
                pack.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _forgiving(self) -> Iterator[None]:
        """What cannot be kept, as on a full disk, is told once, and costs no result."""
        try:
            yield
        except OSError as error:
            if not self._told:
                warnings.warn(f"results cannot be kept in {self.place}: {error}", RuntimeWarning, stacklevel=4)
            self._told = True

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether nobody else is at taking packs away: then nobody is as long as this lasts."""
        self.place.mkdir(parents=True, exist_ok=True)
        with (self.place / "merging").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _dated(self, path: Path, at: float) -> None:
        os.utime(path, (at, at))  # what is old stays so

    def merge(self) -> None:
        """Join small packs of a kind into one, piece by piece.

        Whoever reads meanwhile finds each trial in the old or the new one.
        """
        with self._alone() as alone:
            by_form: dict[str, list[tuple[Pack, dict[str, Column]]]] = {}
            for pack in self.packs() if alone else ():
                columns = self._open(pack, columns_of) if pack.bytes < SMALL else None
                if columns is not None and self.sound(pack):  # other versions of the engine have others
                    forms = [(n, c.dtype, c.shape[1:] if n != "blocks" else c.shape[2:]) for n, c in columns.items()]
                    by_form.setdefault(repr((pack.kind, forms)), []).append((pack, columns))
            for several in by_form.values():
                if len(several) < 2:
                    continue
                packs = [pack for pack, _ in several]
                merged = self._write(
                    packs[0].kind, {n: self._joined(packs, n, [c[n] for _, c in several]) for n in several[0][1]}
                )
                self._dated(merged, max(pack.at for pack in packs))
                for pack in packs:
                    if pack.path != merged:
                        pack.path.unlink(missing_ok=True)

    def _joined(self, packs: Sequence[Pack], name: str, columns: Sequence[Column]) -> Column:
        """A column of several packs, one behind the other; those of fewer blocks are filled up with zeros."""
        most = tuple(max(sizes) for sizes in zip(*(c.shape[1:] for c in columns), strict=True))

        def pieces() -> Iterator[Array]:
            held, rows = list[Array](), 0
            for pack in packs:
                arrays = self._read(pack, (name,))
                if arrays is None:
                    raise FileNotFoundError(errno.ENOENT, "a pack was taken away while it was merged", str(pack.path))
                held.append(filled(arrays[name], most))
                rows += len(arrays[name])
                while rows >= ROWS:
                    whole = np.concatenate(held)
                    yield whole[:ROWS]
                    held, rows = [whole[ROWS:]], rows - ROWS
            if rows:
                yield np.concatenate(held)

        return Column(columns[0].dtype, (sum(c.shape[0] for c in columns), *most), pieces)

    def verify(self) -> list[Pack]:
        """The packs whose content is not what their name says."""
        return [pack for pack in self.packs() if not self.sound(pack)]

    def sound(self, pack: Pack) -> bool:
        """Whether the content of a pack is what its name says."""
        return self._open(pack, lambda group: digest(columns_of(group)), quiet=True) == pack.hash

    def prune(self, *, keep_bytes: int | None = None, older_than: float | None = None) -> list[Pack]:
        """Delete what is damaged, packs older than so many seconds, and the oldest beyond so many bytes; what went."""
        gone = self.verify()
        left = [p for p in self.packs() if p not in gone]
        if older_than is not None:
            gone += [p for p in left if p.at < time.time() - older_than]
        if keep_bytes is not None:
            sizes = np.cumsum([p.bytes for p in reversed(left)])[::-1]
            gone += [p for p, size in zip(left, sizes, strict=True) if size > keep_bytes and p not in gone]
        for pack in gone:
            pack.path.unlink(missing_ok=True)
        for part in self.place.glob(f".*{PART}"):  # of processes that were killed
            if part.stat().st_mtime < time.time() - 3600.0:
                part.unlink(missing_ok=True)
        return gone

    def _known(self, kind: str) -> list[tuple[Pack, Array]]:
        """The packs and their keys, newest first."""
        out = []
        for pack in reversed(self.packs(kind)):
            with self._lock:
                keys = self._keys.get(pack.path)
            if keys is None:
                arrays = self._read(pack, ("key",))
                if arrays is None:
                    continue
                keys = arrays["key"]
                with self._lock:
                    self._keys[pack.path] = keys
            out.append((pack, keys))
        return out

    def _read(self, pack: Pack, names: Sequence[str], rows: Array | None = None) -> dict[str, Array] | None:
        """Arrays of a pack (all, where none are named), or these rows; None where it lacks one, is gone, or damaged."""

        def read(group: Any) -> dict[str, Array] | None:
            have = set(group.array_keys())
            if not have.issuperset(names):
                return None
            each = {n: group[n] for n in sorted(names or have)}
            return {n: np.asarray(a[:] if rows is None else a.oindex[rows]) for n, a in each.items()}

        return self._open(pack, read)

    def _open(self, pack: Pack, use: Callable[[Any], Found], *, quiet: bool = False) -> Found | None:
        """What ``use`` makes of a pack's arrays; None where it is gone, or damaged."""
        import zarr

        try:
            with pack.path.open("rb") as file:
                if not zipfile.is_zipfile(file):
                    raise zipfile.BadZipFile("its end is missing")
            with zarr.storage.ZipStore(pack.path, mode="r") as store:
                return use(zarr.open_group(store, mode="r"))
        # whatever a damaged file makes of the readers of archives and codecs
        except (OSError, ValueError, LookupError, RuntimeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            gone = isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.ESTALE)
            if not (quiet or gone):  # merged or pruned meanwhile, perhaps by another machine
                text = f"{pack.path} is damaged ({error}); what it held is computed again. `kernelkit cache prune`"
                warnings.warn(f"{text} removes it.", RuntimeWarning, stacklevel=4)
            return None

    def _write(self, kind: str, arrays: Mapping[str, Array | Column]) -> Path:
        import zarr

        self.place.mkdir(parents=True, exist_ok=True)
        part, found = self.place / f".{secrets.token_hex(8)}{PART}", hashlib.sha256()
        try:
            with zarr.storage.ZipStore(part, mode="w") as store:
                group = zarr.open_group(store, mode="w")
                for name, column in ordered(arrays):
                    found.update(column.told(name))
                    chunks = min(ROWS, column.shape[0]), *column.shape[1:]
                    array = group.create_array(name, shape=column.shape, dtype=column.dtype, chunks=chunks)
                    at = 0
                    for piece in column.pieces():
                        found.update(np.ascontiguousarray(piece).tobytes())
                        array[at : at + len(piece)] = piece
                        at += len(piece)
            target = self.place / f"{kind}-{found.hexdigest()[:DIGITS]}{SUFFIX}"
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target


Cache = bool | str | os.PathLike[str] | Results | None


@dataclass(frozen=True)
class Column:
    """An array that comes in pieces of `ROWS` rows."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    pieces: Callable[[], Iterator[Array]]

    @classmethod
    def of(cls, values: Any) -> Column:
        """Of an array, or one on the disk."""
        cut = range(0, values.shape[0], ROWS)
        return cls(values.dtype, values.shape, lambda: (np.asarray(values[k : k + ROWS]) for k in cut))

    def told(self, name: str) -> bytes:
        """What a hash begins with."""
        return f"{name} {self.dtype.str} {self.shape}".encode()


def columns_of(group: Any) -> dict[str, Column]:
    """The arrays of a pack."""
    return {n: Column.of(group[n]) for n in sorted(group.array_keys())}


def ordered(arrays: Mapping[str, Array | Column]) -> Iterator[tuple[str, Column]]:
    """Arrays by name, in the order of these."""
    for name in sorted(arrays):
        values = arrays[name]
        yield name, values if isinstance(values, Column) else Column.of(values)


def digest(arrays: Mapping[str, Array | Column]) -> str:
    """Hash of arrays by name.

    >>> digest({"a": np.arange(3)}) == digest({"a": np.arange(4)})
    False
    """
    found = hashlib.sha256()
    for name, column in ordered(arrays):
        found.update(column.told(name))
        for piece in column.pieces():
            found.update(np.ascontiguousarray(piece).tobytes())
    return found.hexdigest()[:DIGITS]


def halves(keys: Array) -> Array:
    """Keys as two numbers each, uint64 (trial, half): what can be sorted and compared at once."""
    return np.ascontiguousarray(keys).view("u8").reshape(len(keys), -1)


def matches(keys: Array, known: Array) -> tuple[Array, Array]:
    """Which of ``keys`` are among those of a pack (``known``, uint64 (trial, half)), and in which row of it.

    >>> matches(np.array([5, 0, 7, 0], "u8").view("V16"), np.array([[7, 0], [6, 0]], "u8"))
    (array([1]), array([0]))
    """
    if len(keys) == 0:
        return np.zeros(0, "i8"), np.zeros(0, "i8")
    wanted = halves(keys)
    order = np.argsort(known[:, 0], kind="stable")
    at = np.minimum(np.searchsorted(known[order, 0], wanted[:, 0]), len(known) - 1)
    row = order[at]
    place = np.flatnonzero((known[row] == wanted).all(axis=1))
    return place, row[place]


def filled(values: Array, most: tuple[int, ...]) -> Array:
    """An array with more zeros in each row, so that rows have this shape."""
    if values.shape[1:] == most:
        return values
    out = np.zeros((len(values), *most), values.dtype)
    out[(slice(None), *(slice(0, n) for n in values.shape[1:]))] = values
    return out
