"""The engine and the reference simulator agree on the moments of the clock (T8)."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelkit.data.moments import at_clock, moments
from tests.clocks import calendar_of, clock_of, markets
from tests.reference.calendar import DAY, SECOND, Calendar, date_of
from tests.reference.moments import Moment, Moments

EXAMPLES = 200
EDGES = [f"{part}_{edge}" for part in ("week", "month", "quarter") for edge in ("start", "end")]
CLOCKS = ["00:00", "02:30", "09:30", "09:47", "12:00", "13:00", "13:10", "15:30", "16:00", "16:20", "17:30", "23:59:30"]


MOMENTS = [Moment(edge, clock) for edge in ("", *EDGES) for clock in ("", *CLOCKS) if edge or clock]


@settings(max_examples=EXAMPLES, deadline=None)
@given(markets(), st.lists(st.sampled_from(MOMENTS), min_size=1, max_size=8))
@pytest.mark.oracle("Reference simulator, the clock", covers="T8", cases=EXAMPLES)
def test_T8_moments_are_reference(bars: xr.Dataset, asked: list[Moment]) -> None:
    clock, calendar = clock_of(bars), str(bars.attrs["calendar"])
    known = Moments(clock.known_at, clock.session, calendar_of(calendar))
    if not calendar:
        asked = [Moment(moment.edge.replace("end", "start") or "week_start") for moment in asked]
    expected = {
        f"{moment.edge} {moment.clock}".strip(): [known.comes(moment, t) for t in range(len(clock))] for moment in asked
    }
    expected["session_open"] = [known.opens(t) for t in range(len(clock))]
    if calendar:
        expected["session_close"] = [known.closes(t) for t in range(len(clock))]
    for name, bits in expected.items():
        found = moments([name], calendar, np.array(clock.session), np.array(clock.known_at))
        assert found.astype(bool).tolist() == bits, name


ZONES = ["America/New_York", "America/Santiago", "Asia/Tehran", "Africa/Cairo", "Europe/London", "Asia/Tokyo"]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ZONES), st.integers(19_000, 20_000), st.times().map(lambda at: at.strftime("%H:%M:%S")))
@pytest.mark.oracle("Reference simulator, the clock", covers="T8", cases=100)
def test_T8_times_of_day_are_reference(zone: str, day: int, clock: str) -> None:
    for one in (day, *turns(zone, day)):
        for text in (clock, "00:00:00", "00:30:00", "01:30:00", "02:00:00", "02:15:00", "02:30:00"):
            hours, minutes, seconds = (int(part) for part in text.split(":"))
            local = one * DAY + (hours * 3600 + minutes * 60 + seconds) * SECOND
            assert int(at_clock(np.array([local]), zone)[0]) == Calendar(zone).instant(date_of(one), text)


def turns(zone: str, day: int) -> list[int]:
    """The days within a year after this one on which the clocks are changed."""
    midnights = [Calendar(zone).instant(date_of(one), "00:00") for one in range(day, day + 366)]
    return [day + k for k in range(365) if midnights[k + 1] - midnights[k] != DAY]
