"""Progress of runs on a terminal: one line that changes, or plain lines where the output is a file or a pipe."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

from kernelkit.batch.runs import LIVE, Run
from kernelkit.report.words import size

# A log gets a line per cell, and at least this many seconds apart inside a cell.
LOG_S = 10.0
_BAR = 20


class Terminal:
    """Shows records as they change: `runs.run(..., on_change=Terminal(sys.stderr, total))`; `close` ends the line."""

    def __init__(self, stream: TextIO, total: int) -> None:
        self._stream = stream
        self._total = total
        self._tty = stream.isatty()
        self._latest: dict[str, Run] = {}
        self._line = ""
        self._logged: dict[str, float] = {}

    def __call__(self, run: Run) -> None:
        """Show the new state of `run`."""
        before = self._latest.get(run.id)
        self._latest[run.id] = run
        if run.status not in LIVE:
            if before is None or before.status in LIVE:
                among = f" ({self._ended()} of {self._total} runs)" if self._total > 1 else ""
                self.say(f"{run.id}: {run.status}{among}" + (f", {run.error}" if run.error else ""))
        elif self._tty:
            self._show(self._summary(run))
        elif before is None or before.cell != run.cell or time.monotonic() - self._logged.get(run.id, 0.0) >= LOG_S:
            self._logged[run.id] = time.monotonic()
            self._stream.write(f"{run.id}: {line(run)}\n")
            self._stream.flush()

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self.close()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """Remove the changing line."""
        if self._line:
            self._show("")

    def _summary(self, run: Run) -> str:
        if self._total == 1:
            return f"{run.name}  {line(run)}"
        return f"{self._ended()} of {self._total} runs done  {run.id}  {line(run)}"

    def _ended(self) -> int:
        return sum(run.status not in LIVE for run in self._latest.values())

    def _show(self, text: str) -> None:
        text = text[: shutil.get_terminal_size().columns - 1]
        self._stream.write("\r" + text + " " * (len(self._line) - len(text)) + ("" if text else "\r"))
        self._stream.flush()
        self._line = text


def line(run: Run) -> str:
    """The state of a running record in one line.

    >>> line(Run(id="a-1", name="a", template="a", cell=2, cells=8, progress=0.2, eta_s=75.4, candles_per_s=5.2e7))
    '[####................]  20%  cell 2/8  1:15 left in this cell  52.0M candles/s'
    """
    filled = int(run.progress * _BAR)
    cell = f"cell {run.cell}/{run.cells}" if run.cells else "starting"
    parts = [f"[{'#' * filled}{'.' * (_BAR - filled)}] {run.progress:4.0%}", cell]
    if run.failed:
        parts.append(f"{run.failed:,} failed")
    if run.eta_s is not None:
        parts.append(f"{_clock(run.eta_s)} left in this cell")
    if run.candles_per_s is not None:
        million = run.candles_per_s >= 1e6
        parts.append(f"{run.candles_per_s / (1e6 if million else 1e3):.1f}{'M' if million else 'k'} candles/s")
    if run.cpu_percent is not None:
        parts.append(f"CPU {run.cpu_percent:.0f}%")
    if run.memory_bytes is not None:
        parts.append(size(run.memory_bytes))
    return "  ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
