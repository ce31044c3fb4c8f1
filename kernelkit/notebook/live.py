"""The line and bar of progress: one display below a cell, one line of a terminal, updated in place."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from kernelkit.progress import MIME, Progress, is_compiling, listen
from kernelkit.report.words import compact, size

# What is over sooner needs no bar: it would only flicker.
QUIET_S = 1.0
COMPILING_S = 2.0


class Live:
    """Shows events of progress once the trials have taken `QUIET_S`, whichever thread emits them.

    Compilation is no trial: `compiling` tells of it, and gives way to the first one.
    """

    def __init__(self, show: Callable[[dict[str, Any]], Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._show, self._clock = show, clock
        self._began: float | None = None
        self._handle: Any = None
        self._lock = threading.Lock()

    def __call__(self, event: Progress) -> None:
        """Take an event."""
        with self._lock:
            now = self._clock()
            if self._began is None:
                self._began = now
            if self._handle is not None:
                self._handle.update(bundle(event), raw=True)
            elif now - self._began >= QUIET_S and event.done < event.total:
                self._handle = self._show(bundle(event))

    def compiling(self) -> None:
        """Say that it is this which takes so long, where it is and no trial has come yet."""
        with self._lock:
            if self._began is None and self._handle is None and is_compiling():
                self._handle = self._show(bundle(Progress("compiling, the engine once on this machine", 0, 1)))

    def close(self) -> None:
        """Take that back where no trial has come: all were kept, or none could run."""
        with self._lock:
            if self._began is None:
                self._began = self._clock()  # who still looks finds nothing to say
                if self._handle is not None:
                    self._handle.update({"text/plain": ""}, raw=True)


def bundle(event: Progress) -> dict[str, Any]:
    """An event as displays know it."""
    return {MIME: event.to_json(), "text/plain": text(event)}


def text(event: Progress) -> str:
    """An event in one line.

    >>> text(Progress("sma: 80 trials", 30, 80, eta_s=75.2, candles_per_s=5.2e7))
    'sma: 80 trials: 30 of 80 done, 1 min 15 s left, 52M candles/s'
    >>> text(Progress("sma: 80 trials", 80, 80, failed=2, cpu_percent=187.4, memory_bytes=1_234_000_000))
    'sma: 80 trials: 80 of 80 done, 2 failed, CPU 187 %, 1.2 GB'
    """
    parts = [f"{event.label}: {event.done:,} of {event.total:,} done"]
    if event.failed:
        parts.append(f"{event.failed:,} failed")
    if event.eta_s is not None and event.done < event.total:
        parts.append(f"{_duration(event.eta_s)} left")
    if event.candles_per_s is not None:
        parts.append(f"{compact(float(f'{event.candles_per_s:.3g}'))} candles/s")
    if event.cpu_percent is not None:
        parts.append(f"CPU {event.cpu_percent:.0f} %")
    if event.memory_bytes is not None:
        parts.append(size(event.memory_bytes))
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class Line:
    """A line of a terminal that changes in place, and is gone when it is closed; nothing where there is no terminal.

    It is a display as `Live` shows one: called with the first bundle, then updated.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._open = stream, stream.isatty()

    def __call__(self, data: dict[str, Any]) -> Line:
        """Show the line."""
        self.update(data, raw=True)
        return self

    def update(self, data: dict[str, Any], raw: bool) -> None:
        """Show it anew."""
        if self._open:
            self._write(str(data["text/plain"])[: shutil.get_terminal_size().columns - 1])

    def close(self) -> None:
        """Take it away, also before what a late thread would show."""
        if self._open:
            self._write("")
        self._open = False

    def _write(self, text: str) -> None:
        self._stream.write(f"\r\x1b[K{text}")
        self._stream.flush()


def in_terminal() -> bool:
    """Whether what is displayed is printed: no front end is there that could update it."""
    from IPython.core.getipython import get_ipython
    from IPython.terminal.interactiveshell import TerminalInteractiveShell

    shell = get_ipython()
    return shell is None or isinstance(shell, TerminalInteractiveShell)


@contextlib.contextmanager
def progress_in_cell(shown: bool = True) -> Iterator[None]:
    """Show the progress of what runs inside the `with` block: below the cell, or in a line of the terminal.

    With ``shown=False`` nobody is shown anything.
    """
    from IPython.display import display

    if not shown:
        yield
        return
    line = Line(sys.stderr) if in_terminal() else None
    live = Live(line or (lambda data: display(data, raw=True, display_id=True)))  # type: ignore[no-untyped-call]
    over = threading.Event()

    def look() -> None:
        while not over.wait(COMPILING_S):
            live.compiling()

    threading.Thread(target=look, daemon=True).start()
    try:
        with listen(live):
            yield
    finally:
        over.set()
        live.close()
        if line is not None:
            line.close()
