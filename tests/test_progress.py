from __future__ import annotations

import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelkit.progress import INTERVAL_S, Meter, Progress, emit, listen


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
    # three seconds for two and a half of four folds
    assert heard[1].eta_s == pytest.approx(3.0 / 2.5 * 1.5)
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
    )
)
def test_json_round_trip(event: Progress) -> None:
    assert Progress.from_json(event.to_json()) == event


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
    ],
)
def test_a_malformed_event_is_refused(payload: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Progress.from_json(payload)
