"""The record of a run: `<out>/<id>/run.json`, kept current by the run itself, read by the command line and by Lab."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

from kernelkit.batch import _process
from kernelkit.batch.columns import columns, spelt
from kernelkit.errors import RunError
from kernelkit.files import write_atomic

SCHEMA = 1
GIVEN_WIDTH = 60  # of a table in a terminal
FILE = "run.json"

# The record is written when it changed, at most every WRITE_S, and at least every HEARTBEAT_S while the process lives.
WRITE_S = 0.25
HEARTBEAT_S = 5.0
# Six missed heartbeats: a busy disk delays one or two, a dead process all of them.
STALE_S = 30.0

Status = Literal["queued", "running", "done", "failed", "cancelled", "lost"]
# A process has such a run in hand, which must be there and keep its heartbeat.
LIVE = ("queued", "running")


def utc_now() -> str:
    """Now, as the ISO-8601 text of the records (UTC, milliseconds)."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a record says; the status is `lost` where the process that has it in hand, queued or running, is gone.

    `created` is when its first attempt began, `started` when this one did; None before, and in records of versions that
    did not keep it. A queued run's `pid`, `pid_started`, `host` and `heartbeat` are those of the process that holds it
    for later.
    `verdict` is what its notebook displayed of `kk.verdict`: `judgement`, `meaning` and `p_value`, None without one.
    `origin` is what the run was started with, as `again.job_of` reads it: `notebook`, `folder` (where it was started),
    `values` (as Python spells them), `cluster` and `hide_code`; None in the records of versions that did not keep it.
    `notified` says of each name how many of its addresses heard that the run has ended, as `notify.tell` has it.
    """

    id: str
    name: str
    template: str
    status: Status = "running"
    pid: int = 0
    pid_started: str = ""
    host: str = ""
    created: str = ""
    started: str | None = None
    heartbeat: str = ""
    finished: str | None = None
    progress: float = 0.0
    eta_s: float | None = None
    candles_per_s: float | None = None
    failed: int | None = None
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    cell: int = 0
    cells: int = 0
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    notebook: str | None = None
    report: str | None = None
    store: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] | None = None
    strategy: str | None = None
    verdict: Mapping[str, Any] | None = None
    seed: int | None = None
    git: Mapping[str, Any] | None = None
    origin: Mapping[str, Any] | None = None
    error: str | None = None
    notified: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The record as its file holds it."""
        return {"schema": SCHEMA, **{name: getattr(self, name) for name in _FIELDS}}


_FIELDS = tuple(one.name for one in dataclasses.fields(Run))
_STORED = ("queued", "running", "done", "failed", "cancelled")
# What records of earlier versions say.
_FORMER = {"interrupted": "cancelled"}
_KINDS: dict[str, Any] = {
    **dict.fromkeys(("id", "name", "template", "status", "pid_started", "host", "created", "heartbeat"), str),
    **dict.fromkeys(("pid", "cell", "cells"), int),
    **dict.fromkeys(("metrics", "parameters", "versions"), dict),
    **dict.fromkeys(("started", "finished", "notebook", "report", "store", "strategy", "error"), str | None),
    **dict.fromkeys(("data", "verdict", "git", "origin", "notified"), dict | None),
    **dict.fromkeys(("eta_s", "candles_per_s", "cpu_percent"), int | float | None),
    **dict.fromkeys(("failed", "memory_bytes"), int | None),
    "progress": int | float,
    "seed": int | None,
}
_INSIDE: dict[str, Any] = {"metrics": int | float | None, "versions": str}


def read_run(path: str | Path) -> Run:
    """The record in a run's folder (or the run.json itself), with the `lost` rule applied; RunError if it is none."""
    return now(stored_run(path))


def now(run: Run) -> Run:
    """The stored `run` as it is today: lost where nobody is at work on it any more.

    A run is lost when its record says queued or running, and its process on this machine is gone, or the last
    heartbeat is older than `STALE_S`: that of a running one anywhere, that of a queued one on another machine.
    """
    return dataclasses.replace(run, status="lost") if _is_lost(run) else run


def stored_run(path: str | Path) -> Run:
    """The record as its file holds it; RunError if it is none."""
    path = Path(path)
    file = path / FILE if path.is_dir() else path
    try:
        record = json.loads(file.read_text(encoding="utf-8"), parse_float=_finite, parse_constant=_finite)
    except FileNotFoundError:
        raise RunError(f"{path}: no {FILE} here; wanted the folder of a run") from None
    except (RecursionError, ValueError) as error:
        raise RunError(f"{file}: not JSON ({error}); remove the folder or restore the file") from None
    return _from_json(record, file)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is no number of JSON")
    return value


def _from_json(record: object, file: Path) -> Run:
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else type(record).__name__
        raise RunError(f"{file}: schema is {found!r}, wanted {SCHEMA}; it was written by another version of kernelkit")
    values = {name: record.get(name) for name in _KINDS}
    wrong = [f"{name} is {values[name]!r}" for name, kind in _KINDS.items() if not isinstance(values[name], kind)]
    values["status"] = _FORMER.get(str(values["status"]), values["status"])
    if values["status"] not in _STORED:
        wrong.append(f"status is {values['status']!r}")
    for name, kind in _INSIDE.items():
        held = values[name]
        inside = held.items() if isinstance(held, dict) else ()
        wrong += [f"{name}[{key!r}] is {value!r}" for key, value in inside if not isinstance(value, kind)]
    if wrong:
        raise RunError(f"{file}: not a run record, {'; '.join(wrong)}")
    return Run(**cast("dict[str, Any]", values))


def _is_lost(run: Run) -> bool:
    if run.status not in LIVE:
        return False
    if run.host == socket.gethostname():
        if _process.started(run.pid) != run.pid_started:
            return True
        if run.status == "queued":  # whoever holds a thousand of them cannot beat for each in time
            return False
    try:
        age = datetime.now(UTC) - datetime.fromisoformat(run.heartbeat)
    except (TypeError, ValueError):  # a time without its zone is none of ours
        return True
    return age.total_seconds() > STALE_S


def list_runs(root: str | Path) -> list[Run]:
    """The runs below `root`, newest first; a record that cannot be read is listed as failed, with the reason."""
    runs = [now(stored_or_explained(file)) for file in files(root)]
    return sorted(runs, key=lambda run: run.created, reverse=True)


def files(root: str | Path) -> list[Path]:
    """The records directly below `root`; what a name with a dot hides is being deleted."""
    return sorted(file for file in Path(root).glob(f"*/{FILE}") if not file.parent.name.startswith("."))


def stored_or_explained(file: Path) -> Run:
    """The record in `file`; where it cannot be read a failed run, with the reason."""
    try:
        return stored_run(file)
    except (RunError, OSError) as error:
        return Run(id=file.parent.name, name=file.parent.name, template="", status="failed", error=str(error))


def finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Metrics as JSON can hold them: what is not finite becomes null.

    >>> finite({"sharpe_ratio": float("nan"), "n_trades": 3.0})
    {'sharpe_ratio': None, 'n_trades': 3.0}
    """
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


class Recorder:
    """Keeps the record of this process's run: `with Recorder(folder, run) as record: ... record.finish("done")`.

    A thread writes it, so that long cells stay visibly alive. Leaving the block by an exception records `failed`, or
    `cancelled` for a KeyboardInterrupt, and lets it pass; leaving it without `finish` is done.
    """

    def __init__(self, folder: Path, run: Run) -> None:
        self._file = folder / FILE
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat {run.id}", daemon=True)
        self._dirty = False
        self._finished = False
        self._written = -math.inf
        self._run = held(run)

    @property
    def run(self) -> Run:
        """The record as it is now."""
        return self._run

    def update(self, **changes: Any) -> Run:
        """Change fields of the record, and return it."""
        with self._lock:
            self._run = dataclasses.replace(self._run, **changes)
            self._dirty = True
            return self._run

    def finish(self, status: Status, error: str | None = None) -> Run:
        """Stop the heartbeat and write the final record; an unwritable disk raises here."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        now = utc_now()
        progress = 1.0 if status == "done" else self._run.progress
        self.update(status=status, error=error, finished=now, progress=progress, eta_s=None, cpu_percent=None)
        self._write()
        self._finished = True
        return self._run

    def __enter__(self) -> Self:
        self._write()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._finished:
            return
        if error is None:
            self.finish("done")
        else:
            self.finish("cancelled" if isinstance(error, KeyboardInterrupt) else "failed", describe(error))

    def _beat(self) -> None:
        while not self._stop.wait(WRITE_S):
            if self._dirty or time.monotonic() - self._written >= HEARTBEAT_S:
                try:
                    self._write()
                except OSError:
                    # A full disk may be freed again: try at the next beat. `finish` writes too, and raises.
                    continue

    def _write(self) -> None:
        with self._lock:
            self._dirty = False
            self._run = run = dataclasses.replace(self._run, heartbeat=utc_now())
        try:
            write(self._file, run)
        except OSError:
            self._dirty = True
            raise
        self._written = time.monotonic()


def held(run: Run) -> Run:
    """`run` in the hands of this process, created now unless it says when."""
    pid, moment = os.getpid(), utc_now()
    return dataclasses.replace(
        run,
        pid=pid,
        pid_started=_process.started(pid) or "",
        host=socket.gethostname(),
        heartbeat=moment,
        created=run.created or moment,
    )


def write(file: Path, run: Run) -> None:
    """Write the record to its `file`, whole or not at all."""
    write_atomic(file, json.dumps(run.to_json(), indent=1, allow_nan=False).encode())


def describe(error: BaseException) -> str:
    """One line: the kind of the error and its first line of text.

    >>> describe(ValueError("no bars\\nat all"))
    'ValueError: no bars'
    """
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def headline(run: Run, most: int | None = None) -> str:
    """The first ``most`` of the run's metrics that have a value, all of them without it.

    >>> headline(Run(id="a-1", name="a", template="t", metrics={"sharpe_ratio": 0.36849, "efficiency": None}))
    'sharpe_ratio=0.3685'
    """
    return " ".join(f"{k}={v:.4g}" for k, v in list(run.metrics.items())[:most] if v is not None)


def table(runs: Iterable[Run]) -> str:
    """The runs as aligned text, one line each, with the parameters that each was given.

    >>> run = Run(id="a-1", name="a", template="t", status="done", created="2026-01-02T03:04:05.678Z", progress=1.0)
    >>> print(table([run]))
    STATUS  PROGRESS  CREATED              ID   NOTE
    done        100%  2026-01-02 03:04:05  a-1
    """
    runs = list(runs)
    given = [_given(run) for run in runs]
    told = any(given)
    rows = [("STATUS", "PROGRESS", "CREATED", "ID", *(["GIVEN"] if told else []), "NOTE")]
    for run, own in zip(runs, given, strict=True):
        created = run.created[:19].replace("T", " ")
        note = run.error or ("kernelkit resume goes on with it" if run.status == "lost" else headline(run, 4))
        rows.append((run.status, f"{run.progress:.0%}", created, run.id, *([own] if told else []), note))
    return columns(rows, right=(1,))


def _given(run: Run) -> str:
    """The parameters that are not its notebook's own, cut off where they are many."""
    names = (run.origin or {}).get("values")
    names = names if isinstance(names, dict) else {}
    text = ", ".join(f"{name}={spelt(run.parameters[name])}" for name in names if name in run.parameters)
    return text if len(text) <= GIVEN_WIDTH else f"{text[: GIVEN_WIDTH - 1]}…"
