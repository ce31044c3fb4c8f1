from __future__ import annotations

import dataclasses
import io
import re

import pytest

from kernelkit.batch.runs import Run
from kernelkit.batch.terminal import Terminal, line

RUN = Run(id="a-1", name="a", template="a", cells=4)


class Screen(io.StringIO):
    """A terminal: keeps what a person sees, which is what was written last at each place."""

    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        shown = []
        for text in self.getvalue().split("\n"):
            seen = ""
            for piece in text.split("\r"):
                seen = piece + seen[len(piece) :]
            shown.append(seen.rstrip())
        return shown


def states(*fields: dict[str, object]) -> list[Run]:
    return [dataclasses.replace(RUN, **one) for one in fields]  # type: ignore[arg-type]


def test_a_terminal_has_one_line_that_changes() -> None:
    screen = Screen()
    terminal = Terminal(screen, 1)
    for run in states({"cell": 1}, {"cell": 2, "progress": 0.25, "eta_s": 3700.0}, {"cell": 3, "progress": 0.5}):
        terminal(run)
        assert len(screen.lines) == 1
    assert screen.lines == ["a  [##########..........]  50%  cell 3/4"]
    terminal(dataclasses.replace(RUN, status="done", progress=1.0))
    terminal.close()
    assert screen.lines == ["a-1: done", ""]


def test_the_time_left_is_that_of_the_cell() -> None:
    assert line(dataclasses.replace(RUN, cell=1, eta_s=253.0)).endswith("cell 1/4  4:13 left in this cell")


def test_a_line_tells_what_failed_and_what_the_machine_does() -> None:
    run = dataclasses.replace(RUN, cell=1, failed=3, cpu_percent=187.4, memory_bytes=88_000_000)
    assert line(run).endswith("cell 1/4  3 failed  CPU 187%  88 MB")


def test_a_line_is_never_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    screen = Screen()
    Terminal(screen, 1)(dataclasses.replace(RUN, cell=1, candles_per_s=5e7, eta_s=5.0))
    assert max(map(len, re.split("[\r\n]", screen.getvalue()))) < 30


def test_a_batch_counts_its_runs() -> None:
    screen = Screen()
    terminal = Terminal(screen, 3)
    for run in states({"cell": 1}, {"id": "a-2", "status": "failed", "error": "cell 1: ValueError"}, {"cell": 2}):
        terminal(run)
    assert screen.lines[0] == "a-2: failed (1 of 3 runs), cell 1: ValueError"
    assert screen.lines[1].startswith("1 of 3 runs done  a-1  [")


def test_a_log_gets_a_line_per_cell_and_now_and_then_one_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    log = io.StringIO()
    terminal = Terminal(log, 1)
    for second in range(25):
        now[0] = float(second)
        terminal(dataclasses.replace(RUN, cell=1, progress=second / 100))
    terminal(dataclasses.replace(RUN, cell=2))
    terminal(dataclasses.replace(RUN, status="cancelled", error="Interrupted: SIGTERM"))
    terminal.close()
    lines = log.getvalue().splitlines()
    assert [re.sub(r".*\] +", "", line) for line in lines] == [
        "0%  cell 1/4",
        "10%  cell 1/4",
        "20%  cell 1/4",
        "0%  cell 2/4",
        "a-1: cancelled, Interrupted: SIGTERM",
    ]
    assert "\r" not in log.getvalue()
