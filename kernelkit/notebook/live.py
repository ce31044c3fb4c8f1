"""The line and bar of progress in a cell: one display, updated in place."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from kernelkit.progress import MIME, Progress, listen
from kernelkit.report.words import compact, size

# What is over sooner needs no bar: it would only flicker.
QUIET_S = 1.0
COMPILING_S = 2.0


class Live:
    """Shows events of progress once the trials have taken `QUIET_S`, whichever thread emits them.

    Compilation is no trial: `compiling` shows it where it takes that long by itself.
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
        """Say what takes so long before the first trial is done."""
        with self._lock:
            if self._began is None:
                self._handle = self._show(bundle(Progress("compiling, the engine once on this machine", 0, 1)))


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


@contextlib.contextmanager
def progress_in_cell() -> Iterator[None]:
    """Show the progress of what runs inside the `with` block below the cell."""
    from IPython.display import display

    live = Live(lambda data: display(data, raw=True, display_id=True))  # type: ignore[no-untyped-call]
    slow = threading.Timer(COMPILING_S, live.compiling)
    slow.daemon = True
    slow.start()
    try:
        with listen(live):
            yield
    finally:
        slow.cancel()
