"""What trials came to, kept on the disk by what they were: nothing that is finished is computed a second time.

A folder of packs, each a Zarr group in one file that is written whole or not at all and never changed. Its name begins
with its kind and the hash of what is in it: ``trials`` have ``key`` (trial, byte), ``headline``, ``meta`` and perhaps
``blocks``, as `kernels.job.Outcome` has them; ``states`` have ``key``, ``bars``, ``seen`` and ``state``, as `State`
has them. Notebooks, jobs and clients of a cluster share the folder; who finds a pack damaged goes on without it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import tempfile
import threading
import time
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kernelkit.errors import UsageError, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Outcome

Array = NDArray[Any]
Cache = bool | str | os.PathLike[str] | None

WORTH = 1e7  # candles: about 0.2 s of work, below which a run is made again sooner than it is looked up
PIECE_S = 2.0  # a kill loses what is in flight, so a piece takes about this long
CANDLES_PER_S = 5e7  # of a core, about
KEY_BYTES = 16
MANY = 64  # small packs: they are merged
SMALL = 1 << 24  # bytes
SUFFIX, PART = ".zarr.zip", ".part"


def folder_of(cache: Literal[True] | str | os.PathLike[str]) -> Path:
    """The folder itself; True: ``results`` beside the compiled code, in $KERNELKIT_CACHE or the user's cache folder."""
    from kernelkit.kernels.cache import cache_dir

    return cache_dir().parent / "results" if cache is True else Path(cache).expanduser()


def store_of(cache: Cache) -> Results | None:
    """The store that ``cache`` means: True the user's, a path that one, False none.

    None is $KERNELKIT_RESULTS: ``on``, ``off`` or a folder; unset means off. Raises UsageError for anything else, and
    for a folder that cannot be written.

    >>> store_of(False) is None
    True
    """
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

    def __init__(self, place: Path) -> None:
        self.place = place
        self._lock = threading.Lock()
        self._told = False
        self._keys: dict[Path, Array] = {}  # of each pack, uint64 (trial, half)

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
        for pack, own in self._known("trials"):
            left = np.flatnonzero(~out.done)
            place, row = matches(keys[left], own)
            if len(place) == 0:
                continue
            arrays = self._read(pack, ("headline", "meta", *(("blocks",) if out.blocks is not None else ())))
            if arrays is None:
                continue
            mine = left[place]
            out.headline[mine], out.meta[mine], out.done[mine] = arrays["headline"][row], arrays["meta"][row], True
            if out.blocks is not None:
                found = arrays["blocks"][row].view(L.NODE)[..., 0]
                out.blocks[mine[:, None], np.arange(found.shape[1])] = found

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

    def keep(self, states: Mapping[bytes, State]) -> None:
        """Keep these states, by key."""
        for size in {len(s.block) for s in states.values()}:
            own = {k: s for k, s in states.items() if len(s.block) == size}
            seen = [np.frombuffer(bytes.fromhex(s.seen), "u1") for s in own.values()]
            arrays = {
                "key": np.frombuffer(b"".join(own), "u8").reshape(len(own), -1),
                "bars": np.array([s.bars for s in own.values()], "i8"),
                "seen": np.stack(seen),
                "state": np.stack([s.block for s in own.values()]),
            }
            with self._forgiving():
                self._write("states", arrays)

    @contextlib.contextmanager
    def _forgiving(self) -> Iterator[None]:
        """What cannot be kept, as on a full disk, is told once, and costs no result."""
        try:
            yield
        except OSError as error:
            if not self._told:
                warnings.warn(f"results cannot be kept in {self.place}: {error}", RuntimeWarning, stacklevel=4)
            self._told = True

    def merge(self) -> None:
        """Join small packs of trials into one; whoever reads meanwhile finds each trial in the old or the new one."""
        self.place.mkdir(parents=True, exist_ok=True)
        with (self.place / "merging").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # somebody else does
            by_names: dict[str, list[tuple[Pack, dict[str, Array]]]] = {}
            for pack in self.packs("trials"):
                arrays = self._read(pack, ()) if pack.bytes < SMALL else None
                if arrays is not None:
                    kind = repr(
                        [(n, a.dtype, a.shape[1:] if n != "blocks" else a.shape[2:]) for n, a in arrays.items()]
                    )
                    by_names.setdefault(kind, []).append((pack, arrays))  # other versions of the engine have others
            for several in by_names.values():
                if len(several) < 2:
                    continue
                merged = self._write("trials", {n: stacked([a[n] for _, a in several]) for n in several[0][1]})
                newest = max(pack.at for pack, _ in several)
                os.utime(merged, (newest, newest))  # what is old stays so
                for pack, _ in several:
                    pack.path.unlink(missing_ok=True)

    def verify(self) -> list[Pack]:
        """The packs whose content is not what their name says."""
        return [p for p in self.packs() if (a := self._read(p, (), quiet=True)) is None or digest(a) != p.hash]

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

    def _read(self, pack: Pack, names: Sequence[str], *, quiet: bool = False) -> dict[str, Array] | None:
        """Arrays of a pack (all, where none are named); None where it lacks one, is gone, or is damaged."""
        import zarr

        try:
            with pack.path.open("rb") as file:
                if not zipfile.is_zipfile(file):
                    raise zipfile.BadZipFile("its end is missing")
            with zarr.storage.ZipStore(pack.path, mode="r") as store:
                group = zarr.open_group(store, mode="r")
                have = set(group.array_keys())
                if not have.issuperset(names):
                    return None
                return {n: np.asarray(group[n]) for n in sorted(names or have)}
        except FileNotFoundError:
            return None  # merged or pruned meanwhile
        # whatever a damaged file makes of the readers of archives and codecs
        except (OSError, ValueError, LookupError, RuntimeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            if not quiet:
                text = f"{pack.path} is damaged ({error}); what it held is computed again. `kernelkit cache prune`"
                warnings.warn(f"{text} removes it.", RuntimeWarning, stacklevel=4)
            return None

    def _write(self, kind: str, arrays: Mapping[str, Array]) -> Path:
        import zarr

        self.place.mkdir(parents=True, exist_ok=True)
        target = self.place / f"{kind}-{digest(arrays)}{SUFFIX}"
        part = self.place / f".{secrets.token_hex(8)}{PART}"
        try:
            with zarr.storage.ZipStore(part, mode="w") as store:
                group = zarr.open_group(store, mode="w")
                for name, values in arrays.items():
                    group.create_array(name, data=values, chunks=values.shape)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target


def digest(arrays: Mapping[str, Array]) -> str:
    """Hash of arrays by name.

    >>> digest({"a": np.arange(3)}) == digest({"a": np.arange(4)})
    False
    """
    found = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {values.dtype.str} {values.shape}".encode())
        found.update(values.tobytes())
    return found.hexdigest()[:32]


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


def stacked(parts: Sequence[Array]) -> Array:
    """Arrays one behind the other; those of fewer blocks are filled up with zeros, as blocks are."""
    most = tuple(max(sizes) for sizes in zip(*(p.shape[1:] for p in parts), strict=True))
    out = np.zeros((sum(map(len, parts)), *most), parts[0].dtype)
    at = 0
    for part in parts:
        out[(slice(at, at + len(part)), *(slice(0, n) for n in part.shape[1:]))] = part
        at += len(part)
    return out
