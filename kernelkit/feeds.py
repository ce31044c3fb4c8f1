"""Where bars come from as they arrive: a function that is asked, a file that grows, or whatever can be iterated."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kernelkit.errors import DataError, UsageError, message

Poll = Callable[[], Any]  # bars that are new, None where there are none


def pieces(feed: Any, every: float, idle: float | None, taken: Callable[[], int]) -> Iterator[Any]:
    """What ``feed`` has, as it comes; a function or a file is looked at every so many seconds.

    ``taken`` says how many bars the run has taken: where that was the same for ``idle`` seconds (None: for ever), a
    function or a file has ended, whatever it hands over again. An iterable ends with its last item. Raises UsageError
    for anything else.
    """
    if isinstance(feed, str | os.PathLike):
        yield from _polled(watch(Path(feed)), every, idle, taken)
    elif callable(feed):
        yield from _polled(feed, every, idle, taken)
    elif isinstance(feed, Iterable) and not hasattr(feed, "dims") and not hasattr(feed, "columns"):
        yield from feed
    else:
        wanted = "an iterable of bars, a function that returns some, or a .csv or .zarr that grows"
        raise UsageError(message("feed", type(feed).__name__, wanted, "Write [bars] for bars that are there."))


def rows(bars: Any) -> int:
    """How many bars a feed has handed over: the length of a Dataset is the number of its variables."""
    if bars is None:
        return 0
    if hasattr(bars, "sizes"):
        return int(bars.sizes.get("time", 0))
    if isinstance(bars, Mapping):
        return max(map(rows, bars.values()), default=0)
    if not hasattr(bars, "columns"):
        fix = "Hand over what kk.data.from_pandas reads, or Datasets of bars."
        raise DataError(message("a feed", type(bars).__name__, "bars", fix))
    return len(bars)


def _polled(poll: Poll, every: float, idle: float | None, taken: Callable[[], int]) -> Iterator[Any]:
    last, before = time.monotonic(), taken()
    while True:
        found = poll()
        if rows(found):
            yield found
        if (now := taken()) > before:
            last, before = time.monotonic(), now
        elif idle is not None and time.monotonic() - last >= idle:
            return
        time.sleep(every)


def watch(path: Path) -> Poll:
    """A function that returns the bars which a file has got since it was last asked."""
    if path.suffix == ".csv":
        return _Csv(path)
    if path.suffix == ".zarr":
        return _Zarr(path)
    wanted = "a .csv with a header, the times in its first column, or a .zarr of kk.data.store.save"
    raise UsageError(message(f"feed {path}", repr(path.suffix), wanted, "Or pass a function that reads it."))


class _Csv:
    """Lines at the end of a table; one that is not written whole yet waits."""

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._header = path, 0, b""

    def __call__(self) -> Any:
        import pandas as pd

        if not self._path.exists():
            return None
        with self._path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < self._at:
                fix = "Let it grow at its end only."
                raise DataError(message(f"feed {self._path}", "a file that became shorter", "later bars", fix))
            file.seek(self._at)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        self._at += len(new)
        if not self._header:
            self._header, _, new = new.partition(b"\n")
        if not new.strip():
            return None
        return pd.read_csv(io.BytesIO(self._header + b"\n" + new), index_col=0, parse_dates=True)


class _Zarr:
    """Bars at the end of a folder that `kk.data.store.save` replaces by a longer one."""

    def __init__(self, path: Path) -> None:
        self._path, self._seen, self._n = path, (0, 0), 0

    def __call__(self) -> Any:
        from kernelkit.data import store

        mark = self._path / "zarr.json"
        if not mark.exists():
            return None
        stat = mark.stat()
        if (stat.st_ino, stat.st_mtime_ns) == self._seen:
            return None
        bars = store.load(self._path)
        self._seen, n = (stat.st_ino, stat.st_mtime_ns), self._n
        self._n = bars.sizes["time"]
        return bars.isel(time=slice(n, None)) if self._n > n else None
