from __future__ import annotations

import contextvars
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelkit.progress import INTERVAL_S, USAGE_S, Meter, Progress, Usage, emit, listen


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_emit_without_listener_does_nothing() -> None:
    emit(Progress("grid", 1, 2))


def test_only_the_innermost_listener_hears_and_may_pass_on() -> None:
    outer: list[Progress] = []
    inner: list[Progress] = []

    def relay(event: Progress) -> None:
        inner.append(event)
        emit(Progress("study", event.done + 10, 20))

    with listen(outer.append):
        with listen(relay):
            emit(Progress("fold", 1, 2))
        emit(Progress("after", 0, 1))
    emit(Progress("nobody", 0, 1))
    assert inner == [Progress("fold", 1, 2)]
    assert outer == [Progress("study", 11, 20), Progress("after", 0, 1)]


def test_what_a_listener_raises_reaches_the_emitter_and_the_next_event_is_heard() -> None:
    heard: list[Progress] = []

    def fussy(event: Progress) -> None:
        heard.append(event)
        raise OSError("no terminal")

    with listen(fussy):
        for done in (0, 1):
            with pytest.raises(OSError, match="no terminal"):
                emit(Progress("grid", done, 1))
    assert [event.done for event in heard] == [0, 1]


def test_a_thread_hears_nothing_of_its_own_but_a_copied_context_does() -> None:
    heard: list[str] = []
    with listen(lambda event: heard.append(event.label)):
        bare = threading.Thread(target=emit, args=(Progress("bare", 0, 1),))
        copied = threading.Thread(target=contextvars.copy_context().run, args=(emit, Progress("copied", 0, 1)))
        for thread in (bare, copied):
            thread.start()
            thread.join()
    assert heard == ["copied"]


def test_a_meter_may_be_advanced_from_many_threads() -> None:
    heard: list[Progress] = []
    with listen(heard.append), Meter("grid", 4000) as meter, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: meter.advance(1, candles=10), range(4000)))
    assert [event.done for event in heard] == sorted({event.done for event in heard})
    assert heard[-1].done == 4000
    assert heard[-1].eta_s == 0.0


def test_eight_threads_count_to_the_last_trial_and_candle() -> None:
    """More switches between threads than there ever are: an update that is lost shows in a total."""
    clock = Clock()
    heard: list[Progress] = []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work(_: int) -> None:
        for k in range(1000):
            meter.advance(1, candles=3)
            if k % 10 == 0:
                meter.fail(1)

    try:
        with listen(heard.append), Meter("grid", 8001, clock=clock) as meter, ThreadPoolExecutor(8) as pool:
            meter.start()
            list(pool.map(work, range(8)))
            clock.now += 2.0
            meter.advance(1, candles=0)
    finally:
        sys.setswitchinterval(before)
    assert (heard[-1].done, heard[-1].failed) == (8001, 800)
    assert heard[-1].candles_per_s == 3 * 8000 / 2.0


def test_estimates() -> None:
    clock = Clock()
    heard: list[Progress] = []
    with listen(heard.append):
        meter = Meter("grid", 10, done=4, clock=clock)
        clock.now += 50.0  # compilation
        meter.start()
        clock.now += 2.0
        meter.advance(2, candles=1000)
        clock.now += 1.0
        meter.advance(1, candles=200)
    assert heard == [Progress("grid", 6, 10, 4.0, 500.0), Progress("grid", 7, 10, 3.0, 400.0)]


def test_what_was_compiled_before_the_first_progress_says_nothing_of_the_rest() -> None:
    """A study of 15 folds whose first one compiles for 40 seconds, and whose folds take 2 seconds each."""
    clock = Clock()
    heard: list[Progress] = []
    at: list[float] = []

    def hear(event: Progress) -> None:
        heard.append(event)
        at.append(clock.now)

    with listen(hear), Meter("folds", 15, clock=clock) as folds:
        for fold in range(15):
            clock.now += 40.0 if fold == 0 else 0.0
            with Meter("grid", 20, clock=clock) as grid:
                grid.start()
                for _ in range(20):
                    clock.now += INTERVAL_S
                    grid.advance(1, candles=1000)
            folds.advance()
    assert heard[0].eta_s is None
    assert [event.eta_s for event in heard[1:]] == pytest.approx([clock.now - now for now in at[1:]])
    assert heard[-1].done == 15


def test_the_first_event_before_any_step_has_no_estimate() -> None:
    heard: list[Progress] = []
    with listen(heard.append):
        Meter("grid", 3).close()
    assert heard == [Progress("grid", 0, 3)]


def test_events_are_limited_and_the_last_one_always_comes() -> None:
    clock = Clock()
    heard: list[int] = []
    with listen(lambda event: heard.append(event.done)), Meter("grid", 1000, clock=clock) as meter:
        for _ in range(999):
            clock.now += INTERVAL_S / 10
            meter.advance()
        assert 90 <= len(heard) <= 110
        meter.advance()
    assert heard[-1] == 1000
    assert heard.count(1000) == 1


def test_leaving_by_an_exception_tells_what_is_done() -> None:
    clock = Clock()
    heard: list[int] = []

    def compute() -> None:
        with Meter("grid", 10, clock=clock) as meter:
            meter.advance()
            meter.advance(2)
            raise KeyboardInterrupt

    with listen(lambda event: heard.append(event.done)), pytest.raises(KeyboardInterrupt):
        compute()
    assert heard == [1, 3]


def test_a_meter_takes_the_events_inside_it_as_parts_of_its_step() -> None:
    clock = Clock()
    heard: list[Progress] = []
    with listen(heard.append), Meter("folds", 4, clock=clock) as folds:
        folds.advance(2)
        clock.now += 2.0
        with Meter("grid", 10, clock=clock) as grid:
            grid.start()
            clock.now += 1.0
            grid.advance(5, candles=1000)
            clock.now += INTERVAL_S / 10
            grid.advance(5, candles=1000)
        clock.now += 1.0
        folds.advance(2)
        with Meter("the stitched run", 1, clock=clock) as stitched:
            clock.now += 1.0
            stitched.advance()
    assert [(event.label, event.done, event.total) for event in heard] == [
        ("folds", 2, 4),
        ("folds", 2, 4),
        ("folds", 4, 4),
        ("folds", 4, 4),
    ]
    # three seconds for half a fold; nobody knows how long the two before took
    assert heard[0].eta_s is None
    assert heard[1].eta_s == pytest.approx(3.0 / 0.5 * 1.5)
    assert heard[1].candles_per_s == pytest.approx(1000.0)
    assert heard[-1].eta_s == 0.0


def test_a_step_too_many_is_an_error() -> None:
    meter = Meter("grid", 2)
    meter.advance(2)
    with pytest.raises(ValueError, match="'grid': done is 3, wanted 0 <= done <= total = 2"):
        meter.advance()


@given(
    st.builds(
        Progress,
        st.text(),
        st.integers(0, 10),
        st.integers(10, 20),
        st.none() | st.floats(0, 1e9),
        st.none() | st.floats(0, 1e12),
        st.integers(0, 99),
        st.none() | st.floats(0, 1e5),
        st.none() | st.integers(0, 2**50),
    )
)
def test_json_round_trip(event: Progress) -> None:
    assert Progress.from_json(event.to_json()).to_json() == event.to_json()


def test_an_event_of_an_earlier_version_is_read() -> None:
    old = {"label": "grid", "done": 1, "total": 4, "eta_s": 2.0, "candles_per_s": None}
    assert Progress.from_json(old) == Progress("grid", 1, 4, 2.0)


def test_failed_trials_are_told_by_the_next_event_and_at_the_end() -> None:
    clock = Clock()
    heard: list[tuple[int, int]] = []
    with listen(lambda event: heard.append((event.done, event.failed))), Meter("grid", 3, clock=clock) as meter:
        meter.fail(1)
        meter.advance()
        clock.now += 2 * INTERVAL_S
        meter.advance(2)
        meter.fail(2)
    assert heard == [(1, 1), (3, 1), (3, 3)]


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_usage_is_that_of_this_process_and_its_children() -> None:
    ready = "import sys, time; a = bytearray(80_000_000); print(flush=True); sys.stdin.readline()\n"
    ready += "end = time.process_time() + 0.4\nwhile time.process_time() < end: pass\nprint(flush=True); time.sleep(60)"
    usage = Usage()
    alone = usage()[1]
    child = subprocess.Popen([sys.executable, "-c", ready], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        assert usage()[1] > alone + 75_000_000
        began = time.monotonic()
        child.stdin.write("\n")
        child.stdin.flush()
        child.stdout.readline()
        burn(0.2)
        cpu, _ = usage()
        took = time.monotonic() - began
    finally:
        child.kill()
        child.communicate()
    assert 0.5 / took * 100.0 < cpu < 1.0 / took * 100.0  # 0.4 s and 0.2 s of processors
    assert usage()[1] < alone + 75_000_000


def test_events_tell_the_usage_once_they_have_run_for_a_second() -> None:
    clock = Clock()
    heard: list[Progress] = []
    with listen(heard.append), Meter("grid", 3, clock=clock) as meter:
        meter.advance()
        clock.now += USAGE_S
        meter.advance()
        clock.now += INTERVAL_S
        meter.advance()
    assert [event.memory_bytes is None for event in heard] == [True, False, False]
    assert heard[1].memory_bytes == heard[2].memory_bytes  # measured once a second at most
    assert heard[1].cpu_percent is not None


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        ([], "JSON object, not list"),
        ({"label": "a", "done": 1.5, "total": 2}, "1.5"),
        ({"label": "a", "done": True, "total": 2}, "True"),
        ({"label": 3, "done": 1, "total": 2}, "text 'label'"),
        ({"label": "a", "done": 3, "total": 2}, "done is 3"),
        ({"label": "a", "done": 1, "total": 2, "eta_s": float("nan")}, "'eta_s'"),
        ({"label": "a", "done": 1, "total": 2, "candles_per_s": "fast"}, "'candles_per_s'"),
        ({"label": "a", "done": 1, "total": 2, "failed": -1}, "'failed'"),
        ({"label": "a", "done": 1, "total": 2, "memory_bytes": 1.5}, "'memory_bytes'"),
        ({"label": "a", "done": 1, "total": 2, "cpu_percent": "all"}, "'cpu_percent'"),
    ],
)
def test_a_malformed_event_is_refused(payload: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Progress.from_json(payload)


def test_counters_that_many_threads_share_lose_no_step_and_never_go_back() -> None:
    """A study's meter and those of its cases, advanced at once: every step is counted, every event is in order."""
    heard: list[Progress] = []
    threads, cases, steps = 16, 25, 40
    with listen(heard.append), Meter("study", threads * cases, clock=iter(range(10**9)).__next__) as outer:
        context = contextvars.copy_context()

        def one(_: int) -> None:
            for _ in range(cases):
                inner = Meter("case", steps, clock=iter(range(10**9)).__next__)
                for _ in range(steps):
                    inner.advance(1, candles=3)
                outer.advance()

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda k: context.copy().run(one, k), range(threads)))
    done = [event.done for event in heard]
    assert {event.label for event in heard} == {"study"}
    assert done == sorted(done)
    assert done[-1] == threads * cases
    assert sorted(set(done)) == list(range(threads * cases + 1))  # each step was told of, as the clock is slow
