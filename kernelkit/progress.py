"""Progress events: who computes emits them, who shows them listens; neither knows the other.

An event goes to the innermost listener only. A listener that wants to pass it on (a study turning "trial 3 of 9" of one
fold into "trial 21 of 90") calls `emit` itself: inside a callback, `emit` reaches the next listener outwards.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from types import TracebackType
from typing import Any, Self

MIME = "application/vnd.kernelkit.progress.v1+json"

# Ten events a second look continuous to a person and cost nothing beside the computation.
INTERVAL_S = 0.1
# A look at the process and its children takes some milliseconds.
USAGE_S = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """One event: `done` of `total` steps of `label`; seconds left and candles per second where they are known.

    ``failed`` trials have no result. ``cpu_percent`` (100 is one core) and ``memory_bytes`` are of the process that
    counts and of its children, where they are known (`Usage`); events are equal whatever these are. ``best`` is the
    largest value so far of ``metric`` (with a minus, of what is to be small), where the work is a choice by it.

    >>> Progress("grid", 30, 40).fraction
    0.75
    """

    label: str
    done: int
    total: int
    eta_s: float | None = None
    candles_per_s: float | None = None
    failed: int = 0
    cpu_percent: float | None = field(default=None, compare=False)
    memory_bytes: int | None = field(default=None, compare=False)
    best: float | None = None
    metric: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.done <= self.total:
            raise ValueError(
                f"progress of {self.label!r}: done is {self.done}, wanted 0 <= done <= total = {self.total}"
            )

    @property
    def fraction(self) -> float:
        """The part that is done, 0 to 1; nothing to do counts as done."""
        return self.done / self.total if self.total else 1.0

    def to_json(self) -> dict[str, str | int | float | None]:
        """The event as the MIME type's JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, event: object) -> Self:
        """Read a MIME payload; ValueError says what is wrong with it (it may come from anybody's notebook).

        >>> Progress.from_json({"label": "grid", "done": 1, "total": 4})
        Progress(label='grid', done=1, total=4, eta_s=None, candles_per_s=None, failed=0, cpu_percent=None, ...)
        """
        if not isinstance(event, Mapping):
            raise ValueError(f"a progress event is a JSON object, not {type(event).__name__}")
        label, done, total = event.get("label"), event.get("done"), event.get("total")
        if not isinstance(label, str) or type(done) is not int or type(total) is not int:
            raise ValueError(
                f"a progress event has text 'label' and whole 'done', 'total'; got {label!r}, {done!r}, {total!r}"
            )
        failed, memory = _whole(event, "failed"), _whole(event, "memory_bytes")
        eta, speed, cpu = (_number(event, name) for name in ("eta_s", "candles_per_s", "cpu_percent"))
        best, metric = event.get("best"), event.get("metric")
        if not (best is None or _is_finite(best)) or not (metric is None or isinstance(metric, str)):
            raise ValueError(
                f"'best' of a progress event is a finite number, 'metric' its name; got {best!r}, {metric!r}"
            )
        return cls(label, done, total, eta, speed, failed or 0, cpu, memory, best, metric)


def _number(event: Mapping[str, Any], name: str) -> float | None:
    value = event.get(name)
    if value is None:
        return None
    if not _is_finite(value) or value < 0:
        raise ValueError(f"{name!r} of a progress event is a finite number >= 0 or null, not {value!r}")
    return float(value)


def _is_finite(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)


def _whole(event: Mapping[str, Any], name: str) -> int | None:
    value = event.get(name)
    if value is not None and (type(value) is not int or value < 0):
        raise ValueError(f"{name!r} of a progress event is a whole number >= 0 or null, not {value!r}")
    return value


class Usage:
    """How busy this process and its children have been since this was made or last asked, and what memory they hold.

    Of a child, time before it was first seen does not count, nor what it did after it was last seen.

    >>> busy = Usage()
    >>> cpu, memory = busy()
    >>> cpu >= 0.0, memory > 10_000_000
    (True, True)
    """

    def __init__(self) -> None:
        self._at, self._own = time.monotonic(), time.process_time()
        self._children: dict[tuple[int, float], float] = {}

    def __call__(self) -> tuple[float, int]:
        """Per cent of one core, and bytes."""
        import psutil

        this = psutil.Process()
        now, own, memory = time.monotonic(), time.process_time(), this.memory_info().rss
        spent, children = own - self._own, dict[tuple[int, float], float]()
        for child in this.children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has ended since
                key, times = (child.pid, child.create_time()), child.cpu_times()
                memory += child.memory_info().rss
                children[key] = times.user + times.system
                spent += children[key] - self._children.get(key, children[key])
        share = 100.0 * spent / max(now - self._at, 1e-9)
        self._at, self._own, self._children = now, own, children
        return share, memory


Listener = Callable[[Progress], None]

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("kernelkit_progress_listeners", default=())


def _send(listeners: tuple[Listener, ...], event: Progress) -> None:
    if not listeners:
        return
    token = _listeners.set(listeners[:-1])
    try:
        listeners[-1](event)
    finally:
        _listeners.reset(token)


def emit(event: Progress) -> None:
    """Hand `event` to the innermost listener of this context, if there is one; what the listener raises comes back.

    A thread starts without listeners unless it runs in a copied context; a `Meter` may be advanced from any thread.
    """
    _send(_listeners.get(), event)


@contextlib.contextmanager
def listen(callback: Listener) -> Iterator[None]:
    """Call `callback` with every event emitted inside the `with` block.

    >>> with listen(lambda event: print(event.done, "of", event.total)):
    ...     emit(Progress("grid", 1, 4))
    1 of 4
    """
    token = _listeners.set((*_listeners.get(), callback))
    try:
        yield
    finally:
        _listeners.reset(token)


_compilations: list[object] = []  # those under way, in any thread


@contextlib.contextmanager
def compilation() -> Iterator[None]:
    """Machine code is made inside the `with` block, which may take long: `is_compiling` tells every thread.

    >>> with compilation():
    ...     is_compiling()
    True
    >>> is_compiling()
    False
    """
    this = object()
    _compilations.append(this)
    try:
        yield
    finally:
        _compilations.remove(this)


def is_compiling() -> bool:
    """Whether machine code is made at this moment, and not only loaded."""
    return bool(_compilations)


class Meter:
    """Counts steps and candles, estimates the rest and emits at most one event per `INTERVAL_S`, the last one always.

    The clock of the estimates starts at the latest `start()`: call that after compilation, whose time says nothing
    about the rest. Without it the clock starts at the first progress, before which anything may have been compiled: no
    time left is told until the next. Steps already done then (`done=`, a resumed run) do not enter the rate. The
    listeners are those of the constructing context, so worker threads may call `advance`; leaving the `with` block
    emits what is not yet sent.

    Inside the block, the events of other meters are heard as parts of the current step: they refine the estimate, tell
    the speed, and go no further. So a study of nine folds shows "3 of 9 folds" and not nine bars that fill up in turn.

    >>> with listen(lambda event: print(event.done, event.total)), Meter("grid", 2) as meter:
    ...     meter.advance(2)
    2 2
    """

    def __init__(self, label: str, total: int, *, done: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._now = Progress(label, done, total)
        self._clock = clock
        self._listeners = _listeners.get()
        # re-entrant: a listener may look at the meter; held while sending, so that events arrive in order
        self._lock = threading.RLock()
        self._sent: Progress | None = None
        self._sent_at = -math.inf
        self._usage = Usage()
        self._measured: tuple[float, int] | None = None
        self._measured_at = clock()
        self._started: float | None = None
        self._done_before: float = done
        self._candles = 0

    def start(self) -> None:
        """Start the clock of the estimates here, now that the warm-up is over."""
        with self._lock:
            self._begin(self._now.done, self._clock())

    def _begin(self, done: float, now: float) -> None:
        self._started, self._done_before, self._candles = now, done, 0

    def advance(self, steps: int = 1, candles: int = 0) -> None:
        """Count `steps` more steps, in which `candles` bars were processed; ValueError beyond the total."""
        with self._lock:
            now = self._clock()
            self._candles += candles
            spent = 0.0 if self._started is None else now - self._started
            speed = self._candles / spent if self._candles and spent > 0.0 else None
            self._now = self._estimate(self._now.done + steps, 0.0, now, speed)
            if now - self._sent_at >= INTERVAL_S or self._now.done == self._now.total:
                self._send(now)

    def fail(self, trials: int) -> None:
        """Count so many trials without a result; the next event tells it."""
        with self._lock:
            self._now = replace(self._now, failed=self._now.failed + trials)

    def reach(self, value: float, metric: str) -> None:
        """Take note of a value of the metric that is chosen by; the next event tells the largest."""
        with self._lock:
            best = self._now.best
            self._now = replace(self._now, best=value if best is None else max(best, value), metric=metric)

    def _hear(self, inner: Progress) -> None:
        """Take an event of another meter as a part of the current step."""
        with self._lock:
            now = self._clock()
            part = inner.fraction if self._now.done < self._now.total else 0.0
            self._now = self._estimate(self._now.done, part, now, inner.candles_per_s)
            if now - self._sent_at >= INTERVAL_S:
                self._send(now)

    def close(self) -> None:
        """Emit the latest count if no event has told it yet."""
        with self._lock:
            if self._sent != self._now:
                self._send(self._clock())

    def _estimate(self, done: int, part: float, now: float, speed: float | None) -> Progress:
        total, fresh, eta = self._now.total, done + part - self._done_before, None
        if self._started is not None and fresh > 0:
            eta = (now - self._started) / fresh * (total - done - part)
        elif fresh > 0:
            self._begin(done + part, now)
        return replace(self._now, done=done, eta_s=0.0 if done == total else eta, candles_per_s=speed)

    def _send(self, now: float) -> None:
        if self._listeners and now - self._measured_at >= USAGE_S:
            self._measured, self._measured_at = self._usage(), now
        if self._measured is not None:
            cpu, memory = self._measured
            self._now = replace(self._now, cpu_percent=cpu, memory_bytes=memory)
        self._sent, self._sent_at = self._now, now
        _send(self._listeners, self._now)

    def __enter__(self) -> Self:
        self._outside = _listeners.set((*self._listeners, self._hear))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _listeners.reset(self._outside)
        self.close()
