"""Arrays beyond a limit of memory lie in files without a name; who fills them lets go of what is written."""

from __future__ import annotations

import mmap
import os
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelkit.errors import UsageError, message

Array = NDArray[Any]

SHARE = 4  # of the machine's memory, the part that results may take where nobody says how much
GROUP = Path("/sys/fs/cgroup/memory.max")  # what a container may have, or "max"


def size_of(size: int | str, what: str) -> int:
    """A size in bytes; raises UsageError for what is none.

    >>> size_of("1.5GB", "memory_limit")
    1500000000
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B", str(size).strip())
    if found is not None:
        return int(float(found[1]) * 1000 ** "_kMGT".index(found[2] or "_"))
    if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
        return size
    raise UsageError(message(what, repr(size), "a size such as 500MB or 2GB", f"Write {what}='2GB'."))


@cache
def ample() -> int:
    """Bytes that results may take where nobody says how many: a quarter of the memory that this process can have.

    >>> ample() > 0
    True
    """
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        whole = min(whole, int(GROUP.read_text()))
    except (OSError, ValueError):  # no control groups, or no limit in this one
        return whole // SHARE
    return whole // SHARE


def room(shape: tuple[int, ...], dtype: Any, most: float) -> Array:
    """Room for an array: in memory up to ``most`` bytes, else in a file without a name. Zeros, until it is written.

    >>> type(room((10,), "f8", 8.0)).__name__, type(room((10,), "f8", 80.0)).__name__
    ('memmap', 'ndarray')
    """
    from kernelkit.kernels.cache import cache_dir

    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype="i8")) * kind.itemsize
    if size <= most:
        return np.zeros(shape, kind)
    place = cache_dir().parent / "results"  # on a disk: where temporary files go may be memory itself
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=place) as file:
        os.posix_fallocate(file.fileno(), 0, size)  # a disk without room says so here, not where it is written
        return np.memmap(file, kind, "r+", shape=shape)


def let_go(array: Array | None) -> None:
    """What of an array lies in a file leaves this process's memory; the system writes it when it likes."""
    if isinstance(array, np.memmap):
        array._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def columns(array: Array, most: float, take: Callable[[Array], Array]) -> Array:
    """``take`` of some columns of an array (row, column) after the others, as many as ``most`` bytes hold.

    What it makes of (row, some) has the same columns, behind dims of its own.

    >>> columns(np.arange(6.0).reshape(2, 3), 16.0, lambda x: x.max(axis=0)).tolist()
    [3.0, 4.0, 5.0]
    """
    many = max(1, int(most / max(1, len(array) * array.itemsize)))
    out = []
    for k in range(0, array.shape[1], many):
        out.append(take(gathered(array, slice(k, k + many))))
    return np.concatenate(out, axis=-1)


def gathered(array: Array, some: slice, rows: int = 1 << 12) -> Array:
    """Some columns of an array in memory, read few rows at a time."""
    out = np.empty((len(array), len(range(*some.indices(array.shape[1])))), array.dtype)
    for k in range(0, len(array), rows):
        out[k : k + rows] = array[k : k + rows, some]
        let_go(array)
    return out
