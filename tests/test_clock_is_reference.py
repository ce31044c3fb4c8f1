"""The engine and the reference simulator agree on hooks and on the moments of the clock (T6-T8)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.data.moments import at_clock, moments
from kernelkit.kernels.session import Recorder
from tests.agree import assert_agree
from tests.clocks import asset_of, calendar_of, clock_of, config_of, job_of, markets
from tests.programs import found
from tests.reference import Bars, PortfolioView, View, simulate, simulate_portfolio
from tests.reference.calendar import DAY, SECOND, Calendar, date_of
from tests.reference.hooks import Hooks
from tests.reference.moments import Moment, Moments
from tests.reference.telling import End, Fill

EXAMPLES = 100
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
        comes = moments([name], calendar, np.array(clock.session), np.array(clock.known_at))
        assert comes.astype(bool).tolist() == bits, name


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


# Hooks at these moments: that they run, in which order, and what comes of their orders


def noted(h, x):  # type: ignore[no-untyped-def]
    """A number that tells one sequence of numbers from another."""
    return (h * 33.0 + x) % 1000003.0


def act(ctx, place, seed, close):  # type: ignore[no-untyped-def]
    """An order or none, by the place and the bar."""
    r = (ctx.i * 7919 + place * 10473 + seed * 1549) % 97
    q = 1.0 + r % 7
    if r < 12:
        ctx.order(q)
    elif r < 24:
        ctx.order(-q)
    elif r < 32:
        ctx.limit(q, close - 0.05, tif="DAY")
    elif r < 40:
        ctx.limit(-q, close + 0.05)
    elif r < 46:
        ctx.target_percent(0.5)
    elif r < 50:
        ctx.target(0.0)
    elif r < 54:
        ctx.market_on_open(-q)
    elif r < 60:
        ctx.bracket(q, stop_loss=0.01, take_profit=0.01)
    elif r < 62:
        ctx.cancel_all()


@kk.strategy(state=dict(h=0.0), warmup=0)
def clocked(ctx, s, seed=1):  # type: ignore[no-untyped-def]
    act(ctx, 0, seed, ctx.close[0])
    s.h = noted(s.h, 0.5)
    ctx.record("h", s.h)


@clocked.on_session_open
def clocked_opens(ctx, s, seed):  # type: ignore[no-untyped-def]
    act(ctx, 1, seed, ctx.close[0])
    s.h = noted(s.h, 1.5)


@clocked.on_session_close
def clocked_closes(ctx, s, seed):  # type: ignore[no-untyped-def]
    act(ctx, 2, seed, ctx.close[0])
    s.h = noted(s.h, 2.5)


@clocked.on_fill
def clocked_filled(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.h = noted(s.h, fill.order + fill.quantity * 7.0 + fill.fee)


@clocked.on_order
def clocked_ended(ctx, s, order):  # type: ignore[no-untyped-def]
    s.h = noted(s.h, order.id + order.filled * 3.0 + order.quantity)


@clocked.schedule("15:30")
def clocked_late(ctx, s, seed):  # type: ignore[no-untyped-def]
    act(ctx, 3, seed, ctx.close[0])
    s.h = noted(s.h, 3.5)


@clocked.schedule("month_end")
def clocked_month_ends(ctx, s, seed):  # type: ignore[no-untyped-def]
    act(ctx, 4, seed, ctx.close[0])
    s.h = noted(s.h, 4.5)


@clocked.schedule("week_start")
def clocked_week_starts(ctx, s, seed):  # type: ignore[no-untyped-def]
    act(ctx, 5, seed, ctx.close[0])
    s.h = noted(s.h, 5.5)


@clocked.schedule("week_end", "12:00")
def clocked_friday_noon(ctx, s, seed):  # type: ignore[no-untyped-def]
    act(ctx, 6, seed, ctx.close[0])
    s.h = noted(s.h, 6.5)


SCHEDULES = [Moment("", "15:30"), Moment("month_end"), Moment("week_start"), Moment("week_end", "12:00")]
EACH = kk.portfolio(clocked)


class Clocked:
    """The same of one asset, on the reference simulator."""

    def __init__(self, bars: Bars, calendar: Calendar | None, seed: int) -> None:
        self.moments, self.seed = Moments(bars.known_at, bars.session, calendar), seed
        self.h, self.records = 0.0, []

    def at(self, place: int) -> Callable[[View], None]:
        def hook(ctx: View) -> None:
            act(ctx, place, self.seed, ctx.close())
            self.h = noted(self.h, place + 0.5)
            if place == 0:
                self.records.append(self.h)

        return hook

    def filled(self, ctx: View, fill: Fill) -> None:
        self.h = noted(self.h, fill.order + fill.quantity * 7.0 + fill.fee)

    def ended(self, ctx: View, order: End) -> None:
        self.h = noted(self.h, order.id + order.filled * 3.0 + order.quantity)

    def decide(self, ctx: View, t: int) -> None:
        main, opens, closes, *scheduled = (self.at(place) for place in range(7))
        schedules = list(zip(SCHEDULES, scheduled, strict=True))
        Hooks(main, opens, closes, self.filled, self.ended, schedules).decide(ctx, self.moments, t)


@settings(max_examples=60, deadline=None)
@given(markets(places=("24/7", "XNYS", "XNYS", "CMES", "XTKS")), st.integers(0, 10_000))
@pytest.mark.oracle("Reference simulator, the clock", covers="T6, T7, T8", cases=60)
def test_T8_hooks_run_when_the_references_do(bars: xr.Dataset, seed: int) -> None:
    asset = asset_of(bars, 0)
    strategy = Clocked(asset.bars, calendar_of(bars.attrs["calendar"]), seed)
    expected = simulate(asset.bars, asset.grid, config_of(bars), lambda ctx: strategy.decide(ctx, ctx.i))
    recorder = Recorder(job_of(bars, clocked, seed=seed), 0)
    logs = recorder.all()
    assert logs.records[:, 0].tolist() == strategy.records
    assert_agree(logs, *found(recorder), expected)


@settings(max_examples=40, deadline=None)
@given(markets(1, 4, places=("24/7", "XNYS", "CMES")), st.integers(0, 10_000))
@pytest.mark.oracle("Reference simulator, the clock", covers="T6, T7, T8, X9", cases=40)
def test_T8_hooks_of_each_asset_go_by_its_own_bars(bars: xr.Dataset, seed: int) -> None:
    assets, calendar = [asset_of(bars, k) for k in range(bars.sizes["asset"])], calendar_of(bars.attrs["calendar"])
    each = [Clocked(asset.bars, calendar, seed) for asset in assets]

    def decide(ctx: PortfolioView) -> None:
        for k, asset in enumerate(assets):
            if asset.rows[ctx.i] >= 0:
                view = ctx[k]
                view.i = asset.rows[ctx.i]  # X9
                each[k].decide(view, view.i)

    expected = simulate_portfolio(clock_of(bars), assets, config_of(bars), decide)
    recorder = Recorder(job_of(bars, EACH, seed=seed), 0)
    logs = recorder.all()
    found_by = logs.records.reshape(-1, len(assets)).T
    for k, strategy in enumerate(each):
        assert found_by[k][~np.isnan(found_by[k])].tolist() == strategy.records
    assert_agree(logs, *found(recorder), expected)
