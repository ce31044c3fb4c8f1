"""A fault planted in the reference simulator shows: what compares it with the engine fails (V5, T6-T8, W1-W8)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests import test_clock_is_reference as clock
from tests import test_timeframes_are_reference as frames
from tests import test_venues_are_reference as venues
from tests.clocks import markets
from tests.reference import timeframes
from tests.reference.account import Fund
from tests.reference.calendar import DAY, Calendar, date_of
from tests.reference.hooks import Hooks
from tests.reference.moments import Moments
from tests.reference.purse import whole
from tests.reference.timeframes import Higher, Read
from tests.reference.transfers import Transfers

EXAMPLES = 60
NUMBERS = st.integers(1, 6)
SENDING = (venues.test_transfers_are_reference, st.tuples(venues.sending()))
MOMENTS = (
    clock.test_T8_moments_are_reference,
    st.tuples(markets(), st.lists(st.sampled_from(clock.MOMENTS), min_size=8, max_size=8)),
)
HOOKS = (clock.test_T8_hooks_run_when_the_references_do, st.tuples(markets(places=("XNYS",)), st.integers(0, 10_000)))
SEEN = (frames.test_w6__what_a_decision_sees_is_reference, st.tuples(markets(), NUMBERS))
FIRST = (frames.test_w7__the_first_decision_is_reference, st.tuples(markets(), NUMBERS))
OWN = (frames.test_w8__each_asset_waits_for_its_own_is_reference, st.tuples(markets(2, 4), NUMBERS))
INTERVAL, HIGHER, INSTANT = timeframes.interval, timeframes.higher, Calendar.instant
SEND, ARRIVE, FREE, REACHES, AFTER = Transfers.send, Transfers.arrive, Transfers.free, Moments.reaches, Calendar.after
DECIDE, BEGINS = Hooks.decide, Moments.begins


def fee_of_nobody(self: Transfers, open_at: int) -> None:
    fees = self.account.fees
    ARRIVE(self, open_at)
    self.account.fees = fees


def main_first(self: Hooks, ctx: Any, moments: Moments, t: int) -> None:
    main, self.main = self.main, lambda ctx: None
    main(ctx)
    DECIDE(self, ctx, moments, t)


def from_midnight(bars: Any, u: int, ns: int, calendar: Calendar | None) -> Any:
    return INTERVAL(bars, u, ns, Calendar() if calendar is not None and ns < DAY else calendar)


def to_the_end(bars: Any, u: int, ns: int, calendar: Calendar | None) -> Any:
    found = INTERVAL(bars, u, ns, calendar)
    step = None if found is None or len(found[0]) < 2 or ns >= DAY else found[0]
    return found if step is None else (step, step[0] + (step[1] + 1) * ns)


def one_bar_late(bars: Any, ns: int, calendar: Calendar | None) -> list[Higher]:
    found = HIGHER(bars, ns, calendar)
    for bar in found:
        bar.closes = None if bar.closes in (None, len(bars) - 1) else bar.closes + 1
    return found


def no_volume(self: Higher, bars: Any, u: int) -> None:
    self.h, self.l, self.c = max(self.h, bars.h[u]), min(self.l, bars.l[u]), bars.c[u]


FAULTS: dict[str, tuple[Any, str, Any, Any]] = {
    "V5, no account is backed": (Transfers, "free", lambda self, purse: purse.cash, SENDING),
    "V5, money comes a bar late": (Transfers, "arrive", lambda self, at: ARRIVE(self, at - 1), SENDING),
    "V5, a fee is none of the account's": (Transfers, "arrive", fee_of_nobody, SENDING),
    "V5, what is under way is worth nothing": (
        Fund,
        "equity",
        property(lambda self: whole([purse.equity for purse in self.purses])),
        SENDING,
    ),
    "V5, money comes an instant early": (
        Transfers,
        "send",
        lambda self, amount, a, b, time: SEND(self, amount, a, b, time - 1),
        SENDING,
    ),
    "T8, every day is a session": (Calendar, "after", lambda self, day: day + 1, MOMENTS),
    "T8, no session begins the evening before": (
        Calendar,
        "at",
        lambda self, day, clock: INSTANT(self, date_of(day), clock),
        MOMENTS,
    ),
    "T8, a bar known at the time is too early": (
        Moments,
        "reaches",
        lambda self, t, at: REACHES(self, t, at + 1),
        MOMENTS,
    ),
    "T8, the first bar starts a period": (
        Moments,
        "begins",
        lambda self, part, t: self.first(t) == 0 or BEGINS(self, part, t),
        MOMENTS,
    ),
    "T6, the main function is first": (Hooks, "decide", main_first, HOOKS),
    "W2, hours begin at midnight": (timeframes, "interval", from_midnight, SEEN),
    "W2, the last hour goes on": (timeframes, "interval", to_the_end, SEEN),
    "W2, a week ends with each session": (Calendar, "last_of_week", lambda self, day: day, SEEN),
    "W4, of volume the first is all": (Higher, "add", no_volume, SEEN),
    "W5, a bar closes with the next one": (timeframes, "higher", one_bar_late, SEEN),
    "W7, an indicator's bar before is not waited for": (
        Read,
        "bars",
        property(lambda self: max(self.window, 1, self.k + 1)),
        FIRST,
    ),
    "W8, the first asset is ready for all": (frames, "ready", lambda reads, t: True, OWN),
}


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


def differs(test: Any, cases: st.SearchStrategy[Any], examples: int) -> bool:
    """Does the comparison fail in one of so many cases, which are the same at each call."""
    shown = []

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def look(case: tuple[Any, ...]) -> None:
        if not shown:
            try:
                test.hypothesis.inner_test(*case)
            except AssertionError as difference:
                shown.append(difference)

    look()
    return bool(shown)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_shows(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And without it the same comparison holds."""
    where, name, planted, compared = FAULTS[fault]
    assert not differs(*compared, examples=5)
    monkeypatch.setattr(where, name, planted)
    assert differs(*compared, examples=EXAMPLES)
