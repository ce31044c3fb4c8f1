"""The display of progress."""

from __future__ import annotations

import io

import pytest

from kernelkit.notebook.live import QUIET_S, Line, Live, text
from kernelkit.progress import MIME, Progress, compilation


class Screen:
    """A display that remembers what it showed, first and later."""

    def __init__(self):
        self.shown, self.updates = [], []

    def __call__(self, data):
        self.shown.append(data)
        return self

    def update(self, data, raw):
        assert raw
        self.updates.append(data)


@pytest.fixture
def screen():
    return Screen()


@pytest.fixture
def clock():
    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    return Clock()


def test_live__one_display_that_is_updated(screen, clock):
    live = Live(screen, clock)
    for done in (1, 2, 3):
        live(Progress("grid", done, 3))
        clock.now += QUIET_S
    assert [data[MIME]["done"] for data in screen.shown + screen.updates] == [2, 3]
    assert len(screen.shown) == 1


def test_live__short_work_shows_nothing(screen, clock):
    live = Live(screen, clock)
    live(Progress("grid", 1, 3))
    clock.now += QUIET_S / 2
    live(Progress("grid", 2, 3))
    clock.now += QUIET_S
    live(Progress("grid", 3, 3))
    assert screen.shown == []


def test_live__compilation_is_named_and_then_gives_way(screen, clock):
    live = Live(screen, clock)
    with compilation():
        live.compiling()
        live.compiling()
    live(Progress("grid", 1, 3))
    live.close()
    (shown,) = screen.shown
    assert "compiling" in shown["text/plain"]
    assert [data[MIME]["label"] for data in screen.updates] == ["grid"]


def test_live__what_is_slow_and_not_compiled_is_not_called_compilation(screen, clock):
    live = Live(screen, clock)
    live.compiling()
    assert screen.shown == []


def test_live__nothing_is_compiling_once_trials_are_done(screen, clock):
    live = Live(screen, clock)
    live(Progress("grid", 1, 3))
    with compilation():
        live.compiling()
    assert screen.shown == []


def test_live__of_compilation_without_trials_nothing_stays(screen, clock):
    live = Live(screen, clock)
    with compilation():
        live.compiling()
        live.close()
        live.compiling()
    assert len(screen.shown) == 1
    assert screen.updates == [{"text/plain": ""}]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Progress("a", 1, 2), "a: 1 of 2 done"),
        (Progress("a", 1, 2, 7.4), "a: 1 of 2 done, 7 s left"),
        (Progress("a", 1, 2, 7384.0), "a: 1 of 2 done, 2 h 3 min left"),
        (Progress("a", 2, 2, 0.0, 3.1e8), "a: 2 of 2 done, 310M candles/s"),
        (Progress("a", 1, 2, failed=1234), "a: 1 of 2 done, 1,234 failed"),
        (Progress("a", 1, 2, cpu_percent=187.4, memory_bytes=2 * 10**9), "a: 1 of 2 done, CPU 187 %, 2.0 GB"),
    ],
)
def test_text(event, said):
    assert text(event) == said


class Stream(io.StringIO):
    """A terminal that remembers."""

    def isatty(self):
        return True


def test_line__changes_in_place_and_is_gone_at_the_end():
    stream = Stream()
    line = Line(stream)
    live = Live(line, iter([0.0, 2.0, 4.0]).__next__)
    for done in (1, 2, 3):
        live(Progress("grid", done, 4))
    line.close()
    live._handle.update({"text/plain": "late"}, raw=True)
    assert stream.getvalue() == "\r\x1b[Kgrid: 2 of 4 done\r\x1b[Kgrid: 3 of 4 done\r\x1b[K"


def test_line__writes_nothing_into_a_file_or_pipe():
    stream = io.StringIO()
    line = Line(stream)
    line({"text/plain": "grid"})
    line.close()
    assert stream.getvalue() == ""
