"""Hooks (T6-T9): when they run, what they are told, and that all ways of running a strategy agree about both."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.data.moments import moments
from kernelkit.data.sessions import DAY
from kernelkit.errors import DataError, KernelkitError, OrderError, StrategyError
from kernelkit.kernels import layout as L
from kernelkit.kernels.block import header_of, slots_of
from kernelkit.kernels.job import Job
from kernelkit.kernels.session import Recorder, Session
from kernelkit.view import Python
from tests import portfolios, programs
from tests.portfolios import World, act, math_nan
from tests.programs import Case, one
from tests.reference import simulate, simulate_portfolio
from tests.reference.account import Fund
from tests.reference.orders import Book
from tests.test_chunks import chunked, recorded
from tests.test_engine_is_reference import cases
from tests.test_portfolio_is_reference import worlds


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


INDEX = kk.data.load("sp500_index").isel(time=slice(0, 700))


def mixed(h: float, a: float, b: float, c: float, d: float) -> float:
    """A number that tells one sequence of numbers from another."""
    for x in (a, b, c, d):
        h = (h * 33.0 + (x if x == x else -7.0)) % 1000003.0  # noqa: PLR0124  NaN
    return h


def mix(h, a, b, c, d):  # type: ignore[no-untyped-def]
    h = (h * 33.0 + (a if a == a else -7.0)) % 1000003.0  # noqa: PLR0124
    h = (h * 33.0 + (b if b == b else -7.0)) % 1000003.0  # noqa: PLR0124
    h = (h * 33.0 + (c if c == c else -7.0)) % 1000003.0  # noqa: PLR0124
    return (h * 33.0 + (d if d == d else -7.0)) % 1000003.0  # noqa: PLR0124


STATE = dict(h=0.0, fills=0, ends=0, left=0)


@kk.strategy(state=STATE)
def actor(ctx, s):  # type: ignore[no-untyped-def]
    one(
        ctx, ctx.x.verb0[0], ctx.x.tif0[0], ctx.x.q0[0], ctx.x.a0[0], ctx.x.b0[0], ctx.x.c0[0], ctx.x.d0[0], ctx.x.e0[0]
    )
    one(
        ctx, ctx.x.verb1[0], ctx.x.tif1[0], ctx.x.q1[0], ctx.x.a1[0], ctx.x.b1[0], ctx.x.c1[0], ctx.x.d1[0], ctx.x.e1[0]
    )
    one(
        ctx, ctx.x.verb2[0], ctx.x.tif2[0], ctx.x.q2[0], ctx.x.a2[0], ctx.x.b2[0], ctx.x.c2[0], ctx.x.d2[0], ctx.x.e2[0]
    )
    s.left = 10
    ctx.record("h", s.h)


@actor.on_order
def actor_ended(ctx, s, order):  # type: ignore[no-untyped-def]
    s.ends += 1
    quantity = 0.0 if order.reason == kk.Reason.OFF_TICK else order.quantity  # a bracket's: the reference has it
    price = 0.0 if order.reason == kk.Reason.OFF_TICK else order.price
    s.h = mix(s.h, order.id, order.status + 10.0 * order.reason, quantity + order.filled, price)
    if s.left > 0 and order.status == kk.Status.REJECTED:
        s.left -= 1
        ctx.order(0.0)  # is rejected, too
    elif s.left > 0 and order.reason == kk.Reason.DAY:
        s.left -= 1
        ctx.order(-order.quantity)


@actor.on_fill
def actor_filled(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.fills += 1
    s.h = mix(s.h, fill.order, fill.quantity, fill.price + fill.fee, fill.time % 1000000007)
    if s.left > 0 and s.fills % 5 == 0:
        s.left -= 1
        ctx.limit(-fill.quantity, fill.price)


@kk.portfolio(state={"w": kk.each(), **STATE})
def holder(ctx, s):  # type: ignore[no-untyped-def]
    for j in range(ctx.n - 4, ctx.n):
        verb, k, q = ctx[j].x.verb[0], int(ctx[j].x.k[0]), ctx[j].x.q[0]
        a, b, c = ctx[j].x.a[0], ctx[j].x.b[0], ctx[j].x.c[0]
        if verb == 1.0:
            ctx[k].order(q)
        elif verb == 2.0:
            ctx[k].limit(q, a)
        elif verb == 3.0:
            ctx[k].stop(q, a)
        elif verb == 6.0:
            ctx[k].bracket(q, stop_loss=c, take_profit=c)
        elif verb == 8.0:
            ctx[k].target_percent(c)
        elif verb == 9.0:
            ctx.cancel(q)
        elif verb == 10.0:
            ctx.cancel_all()
        elif verb == 11.0:
            ctx.oco(q, a)
        elif verb == 12.0:
            for m in range(ctx.n - 4):
                s.w[m] = c * (m + 1) if m != k else math_nan(q)
            for m in range(ctx.n - 4, ctx.n):
                s.w[m] = math_nan(1.0)
            ctx.weights(s.w)
        elif verb == 16.0:
            ctx[k].limit(q, a, tif="DAY")
        elif verb == 22.0:
            ctx[k].market_on_open(q)
    s.left = 10
    ctx.record("h", s.h)


@holder.on_fill
def holder_filled(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.fills += 1
    s.h = mix(s.h, fill.order + 1000.0 * fill.asset, fill.quantity, fill.price + fill.fee, fill.time % 1000000007)
    if s.left > 0 and s.fills % 5 == 0:
        s.left -= 1
        ctx[fill.asset].limit(-fill.quantity, fill.price)


@holder.on_order
def holder_ended(ctx, s, order):  # type: ignore[no-untyped-def]
    s.ends += 1
    first = order.status + 10.0 * order.reason + 1000.0 * order.asset
    s.h = mix(s.h, order.id, first, order.quantity + order.filled, order.price)
    if s.left > 0 and order.status == kk.Status.REJECTED:
        s.left -= 1
        ctx[order.asset].order(0.0)
    elif s.left > 0 and order.reason == kk.Reason.DAY:
        s.left -= 1
        ctx[order.asset].order(-order.quantity)


class Told:
    """T7 on the reference simulator: what has happened, in order, since the last decision told it."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, dict[str, Any]]] = []
        self.h, self.fills, self.ends, self.left = 0.0, 0, 0, 0
        self.hashes: list[float] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear of every fill and of every end of an order."""
        ended, booked, told = Book.end, Fund.book, self

        def end(book: Book, order: Any, status: str, reason: str, time: int, by_fill: bool = False) -> None:
            k, lots = order.price or order.trigger, order.lots
            if reason in ("below_lot", "unlisted", "off_tick") or (reason == "invalid" and order.weight is None):
                k = lots = 0  # it had no numbers yet
            number = L.STATUSES.index(status) + 10.0 * L.REASONS.index(reason)
            what = dict(id=order.id, asset=order.asset, number=number, lots=lots, filled=order.filled, k=k)
            told.waiting.append(("end", what))
            ended(book, order, status, reason, time, by_fill)

        def book(fund: Fund, order: Any, *rest: Any) -> Any:
            fill = booked(fund, order, *rest)
            told.waiting.append(("fill", dict(fill)))
            return fill

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Book, "end", end)
            patch.setattr(Fund, "book", book)
            yield

    def tell(self, ctx: Any, grids: Any, assets: bool) -> None:
        """What the hooks above do."""
        waiting, self.waiting = self.waiting, []
        for what, e in waiting:
            grid, ours = grids[e["asset"]], ctx[e["asset"]] if assets else ctx
            more = 1000.0 * e["asset"] if assets else 0.0
            if what == "fill":
                self.fills += 1
                quantity, price = float(e["lots"]) * grid.lot, grid.price(e["ticks"])
                self.h = mixed(self.h, e["order"] + more, quantity, price + e["fee"], e["time"] % 1000000007)
                if self.left > 0 and self.fills % 5 == 0:
                    self.left -= 1
                    ours.limit(-quantity, price)
                continue
            self.ends += 1
            quantity, price = float(e["lots"]) * grid.lot, grid.price(e["k"]) if e["k"] else math.nan
            price = 0.0 if e["number"] // 10.0 == L.R_OFF_TICK else price
            self.h = mixed(self.h, e["id"], e["number"] + more, quantity + float(e["filled"]) * grid.lot, price)
            if self.left > 0 and e["number"] % 10.0 == L.REJECTED:
                self.left -= 1
                ours.order(0.0)
            elif self.left > 0 and e["number"] // 10.0 == L.R_DAY:
                self.left -= 1
                ours.order(-quantity)

    def decided(self) -> None:
        """The main function has run."""
        self.left = 10
        self.hashes.append(self.h)


def job_of(case: Case) -> Job:
    program = actor.program({})
    assert program.plan.features == programs.PROGRAM.plan.features
    return replace(programs.job(case), text=program.text, plan=program.plan)


@settings(max_examples=150, deadline=None)
@given(cases())
@pytest.mark.oracle("Reference simulator, told step by step", covers="T6, T7", cases=150)
def test_T7_hooks_are_told_what_the_reference_does__in_its_order(case: Case) -> None:
    told = Told()

    def decide(ctx: Any) -> None:
        told.tell(ctx, [case.grid], assets=False)
        for action in case.program[ctx.i]:
            one(ctx, *action)
        told.decided()

    given = {name: case.limits.get(name) or None for name in ("min_quantity", "max_quantity", "min_notional")}
    config = replace(case.config, off_tick="reject" if case.limits.get("off_tick") else "round", **given)
    bars = replace(case.bars, closes=list(case.closes[: len(case.bars)]) or list(case.bars.known_at))
    with told.listening():
        expected = simulate(bars, case.grid, config, decide)
    recorder = Recorder(job_of(case), 0)
    logs = recorder.all()
    assert not recorder.outcome.errors
    assert logs.records[: len(told.hashes), 0].tolist() == told.hashes
    assert logs.curves[:, 0].tolist() == expected.equity
    counts = dict(zip(actor.program({}).plan.places, slots_of(recorder.block), strict=False))
    assert (counts["fills"], counts["ends"]) == (told.fills, told.ends)
    assert header_of(recorder.block)["n_events"] == len(told.waiting)  # what no decision followed


@settings(max_examples=15, deadline=None)
@given(cases())
def test_T6_debug_is_compiled(case: Case) -> None:
    job = job_of(case)
    compiled = Recorder(job, 0)
    python = Recorder(job, 0, python=Python(actor, {}, job, kk.Venue(fees=case.fee, slippage=case.slippage)))
    a, b = compiled.all(), python.all()
    for name in ("fills", "orders", "trades", "curves", "records"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name
    assert slots_of(compiled.block).tolist() == slots_of(python.block).tolist()


@settings(max_examples=25, deadline=None)
@given(cases(), st.data())
def test_T7_a_run_cut_anywhere_is_told_the_same(case: Case, data: st.DataObject) -> None:
    job = job_of(case)
    n = int(job.trials[0]["i1"])
    cuts = data.draw(st.lists(st.integers(1, n - 1), max_size=5))
    whole = recorded(job)
    cut = chunked(job, cuts)
    for name in ("fills", "orders", "trades", "curves"):
        assert getattr(whole[0], name).tobytes() == getattr(cut[0], name).tobytes(), name
    assert whole[1].headline.tobytes() == cut[1].headline.tobytes()


@settings(max_examples=100, deadline=None)
@given(worlds())
@pytest.mark.oracle("Reference simulator of portfolios, told step by step", covers="T6, T7 with X1-X8", cases=100)
def test_T7_hooks_of_a_portfolio_are_told_what_the_reference_does(world: World) -> None:
    known = [1.0, 2.0, 3.0, 6.0, 8.0, 9.0, 10.0, 11.0, 12.0, 16.0, 22.0]
    world.program[..., 0] *= np.isin(world.program[..., 0], known)
    world.program[world.program[..., 0] == 12.0, 3] = 0.0  # ctx.weights without a band
    told, grids = Told(), [asset.grid for asset in world.assets]

    def decide(ctx: Any) -> None:
        told.tell(ctx, grids, assets=True)
        for verb, k, *numbers in world.program[ctx.i]:
            act(ctx, len(world.assets), float(verb), int(k), *map(float, numbers))
        told.decided()

    with told.listening():
        expected = simulate_portfolio(world.clock, world.assets, world.config, decide)
    program = holder.program({})
    assert program.plan.features == portfolios.PROGRAM.plan.features
    job = replace(portfolios.job(world), text=program.text, plan=program.plan)
    recorder = Recorder(job, 0)
    logs = recorder.all()
    assert not recorder.outcome.errors
    assert logs.records[: len(told.hashes), 0].tolist() == told.hashes
    assert logs.curves[:, 0].tolist() == expected.equity
    if told.fills < 20:  # Python takes its time
        python = Recorder(job, 0, python=Python(holder, {}, job, kk.Venue(fees=world.fee, slippage=world.slippage)))
        assert python.all().records.tobytes() == logs.records.tobytes()
        assert slots_of(python.block).tolist() == slots_of(recorder.block).tolist()


# When hooks run


@kk.strategy(state=dict(done=0.0))
def sequence(ctx, s, n=3):  # type: ignore[no-untyped-def]
    s.done = s.done * 10.0 + 6.0
    ctx.record("done", s.done)
    s.done = 0.0
    if ctx.i % n == 0:
        ctx.order(1.0)


@sequence.on_session_close
def sequence_closes(ctx, s):  # type: ignore[no-untyped-def]
    s.done = 7.0  # the next bar's record begins with it


@sequence.schedule("16:00")
def sequence_late(ctx, s):  # type: ignore[no-untyped-def]
    s.done = s.done * 10.0 + 4.0


@sequence.schedule("month_start")
def sequence_month(ctx, s):  # type: ignore[no-untyped-def]
    s.done = s.done * 10.0 + 5.0


@sequence.on_order
def sequence_ended(ctx, s, order):  # type: ignore[no-untyped-def]
    s.done = s.done * 10.0 + 3.0


@sequence.on_fill
def sequence_filled(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.done = s.done * 10.0 + 2.0


@sequence.on_session_open
def sequence_opens(ctx, s):  # type: ignore[no-untyped-def]
    s.done = s.done * 10.0 + 1.0


@pytest.mark.parametrize("debug", [False, True])
def test_T6_the_order_within_a_bar(debug: bool) -> None:
    bars = INDEX.isel(time=slice(0, 45))
    res = kk.backtest(bars, sequence, debug=debug)
    done = res["done"].values
    months = bars.indexes["time"].month
    for i in range(45):
        expected = ("7" if i else "") + "1" + ("23" if i % 3 == 1 else "") + "4"
        expected += "5" if i and months[i] != months[i - 1] else ""
        assert done[i] == float(f"{expected}6"), i


@kk.strategy(state=dict(calls=0, fills=0), warmup=7)
def counting(ctx, s, margin=0.0):  # type: ignore[no-untyped-def]
    s.calls += 100
    ctx.record("calls", s.calls)
    ctx.target(margin if ctx.i < 20 else 0.0)


@counting.on_session_open
def counting_opens(ctx, s):  # type: ignore[no-untyped-def]
    s.calls += 1


@counting.on_fill
def counting_fills(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.fills += 1


def test_T6_hooks_run_where_the_strategy_is_called__after_the_warmup_and_before_a_close_out() -> None:
    bars = INDEX.isel(time=slice(0, 40))
    for model, n in (("conservative", 33), (kk.FillModel(close_out="last_close"), 32)):
        res = kk.backtest(bars, counting, fill_model=model)
        assert res["calls"].sizes["time"] == 33
        assert np.nanmax(res["calls"].values) == 101 * n


def test_T6_hooks_do_not_run_after_ruin() -> None:
    bars = INDEX.sel(time=slice("2008-01", "2008-12"))
    bars = INDEX if bars.sizes["time"] == 0 else bars
    res = kk.backtest(bars, counting, params=dict(margin=-1e9), venue=kk.Venue(cash_rule="debt"))
    calls = res["calls"].values
    ruined = int(np.argmin(res["equity"].values > 0.0))
    assert 0 < ruined < len(calls) - 1
    assert np.nanmax(calls) == 101 * ruined


CLOSED = "2022-12-26 2023-01-02 2023-01-16 2023-02-20 2023-04-07 2023-05-29 2023-06-19 2023-07-04 2023-09-04 2023-11-23"
CLOSED += " 2023-12-25 2024-01-01 2024-01-15"
HALF = ("2023-07-03", "2023-11-24")
OPEN_DAYS = [str(d.date()) for d in pd.bdate_range("2022-12-15", "2024-01-31") if str(d.date()) not in CLOSED]


def new_york(days: list[str], minutes: int = 30) -> xr.Dataset:
    """Whole sessions of New York in bars of so many minutes, labelled by their ends."""
    stamps: list[pd.Timestamp] = []
    for day in days:
        ends = f"{day} {'13' if day in HALF else '16'}:00"
        stamps += list(pd.date_range(f"{day} 09:30", ends, freq=f"{minutes}min", inclusive="right"))
    close = 64.0 + np.arange(len(stamps)) % 7
    index = pd.DatetimeIndex(stamps).tz_localize("America/New_York")
    frame = pd.DataFrame({"open": close, "high": close + 1, "low": close - 1, "close": close}, index)
    bars: xr.Dataset = kk.data.from_pandas(
        frame.assign(volume=1e5), label="close", bar=f"{minutes}min", calendar="XNYS"
    )
    return bars


def moments_of(bars: xr.Dataset, *names: str) -> dict[str, list[pd.Timestamp]]:
    """When the bars are known that are these moments, on New York's clocks."""
    known = pd.DatetimeIndex(bars["known_at"].values).tz_localize("UTC").tz_convert("America/New_York")
    calendar = str(bars.attrs["calendar"])
    stamps = bars["known_at"].values.astype("M8[ns]").astype("i8")
    bits = moments(names, calendar, bars["session"].values.astype("i8"), stamps)
    return {name: list(known[(bits >> k & 1) == 1].tz_localize(None)) for k, name in enumerate(names)}


def at(*texts: str) -> list[pd.Timestamp]:
    return [pd.Timestamp(text) for text in texts]


def test_T8_half_days_and_summer_time() -> None:
    # Thanksgiving 2023 was the 23rd; the day after closed at 13:00. Summer time had ended on November 5th.
    days = ["2023-11-02", "2023-11-03", "2023-11-06", "2023-11-22", "2023-11-24", "2023-11-27"]
    found = moments_of(new_york(days), "session_open", "session_close", "15:30", "10:10", "09:00", "13:00", "week_end")
    assert found["session_open"] == [pd.Timestamp(f"{day} 10:00") for day in days]
    assert found["session_close"] == [pd.Timestamp(f"{d} {'13' if d == '2023-11-24' else '16'}:00") for d in days]
    assert found["15:30"] == [pd.Timestamp(f"{day} 15:30") for day in days if day != "2023-11-24"]
    assert found["10:10"] == [pd.Timestamp(f"{day} 10:30") for day in days]
    assert found["09:00"] == found["session_open"]
    assert found["13:00"] == [pd.Timestamp(f"{day} 13:00") for day in days]
    # The 2nd and the 22nd are no ends: the calendar has sessions after them in their weeks.
    assert found["week_end"] == at("2023-11-03 16:00", "2023-11-24 13:00")


def test_T8_weeks_months_and_quarters__as_all_days_of_a_year_say() -> None:
    names = [f"{p}_{e}" for p in ("week", "month", "quarter") for e in ("start", "end")]
    found = moments_of(new_york(OPEN_DAYS), *names)
    days = pd.DatetimeIndex(OPEN_DAYS)
    last = {"week": "2024-01-26", "month": "2024-01-31", "quarter": "2023-12-29"}  # that have ended
    for period, code in (("week", "W-SUN"), ("month", "M"), ("quarter", "Q")):
        groups = pd.Series(days, days).groupby(days.to_period(code))
        ends = [d for d in groups.last() if d <= pd.Timestamp(last[period])]
        assert [t.normalize() for t in found[f"{period}_start"]] == list(groups.first())[1:]  # bar 0 starts none
        assert {t.hour for t in found[f"{period}_start"]} == {10}
        assert [t.normalize() for t in found[f"{period}_end"]] == ends
        assert {t.hour for t in found[f"{period}_end"]} <= {16, 13}
    assert pd.Timestamp("2023-11-24 13:00") in found["week_end"]


def test_T8_a_missing_last_bar_closes_no_session_and_ends_no_month() -> None:
    bars = new_york(["2023-11-29", "2023-11-30", "2023-12-01"])
    assert moments_of(bars, "month_end")["month_end"] == at("2023-11-30 16:00")
    known = bars["known_at"].values
    without = bars.isel(time=np.flatnonzero(known != np.datetime64("2023-11-30T21:00")))
    found = moments_of(without, "month_end", "session_close", "month_start", "15:45")
    assert found["month_end"] == []
    assert found["session_close"] == at("2023-11-29 16:00", "2023-12-01 16:00")
    assert found["month_start"] == at("2023-12-01 10:00")
    assert found["15:45"] == at("2023-11-29 16:00", "2023-12-01 16:00")


def test_T8_a_closing_auction_closes_the_session_once() -> None:
    session = np.array([19660, 19660, 19660, 19663])  # 2023-10-30 to 11-02
    close = pd.Timestamp("2023-10-30 20:00").value
    known = np.array([close - 60 * 10**9, close, close + 60 * 10**9, close + 3 * DAY])
    assert moments(["session_close"], "XNYS", session, known).tolist() == [0, 1, 0, 1]


def test_T8_markets_that_never_close_go_by_days_of_utc() -> None:
    day = np.repeat(np.arange(19720, 19730), 2)  # 2023-12-29 to 2024-01-07
    known = day * DAY + np.tile([DAY // 2, DAY], 10)
    names = ["quarter_end", "week_start", "12:00", "18:00", "session_close"]
    bits = moments(names, "24/7", day, known)
    where = {name: np.flatnonzero(bits >> k & 1).tolist() for k, name in enumerate(names)}
    assert where["quarter_end"] == [5]  # the end of December 31st
    assert where["week_start"] == [6]  # Monday, January 1st
    assert where["12:00"] == list(range(0, 20, 2))
    assert where["18:00"] == where["session_close"] == list(range(1, 20, 2))


def test_T8_a_session_that_begins_the_evening_before() -> None:
    local = pd.date_range("2023-07-09 17:00", "2023-07-10 16:00", freq="1h", inclusive="right")  # Monday's, in Chicago
    local = local.append(local + pd.Timedelta(days=1))
    known = local.tz_localize("America/Chicago").as_unit("ns").asi8
    session = np.repeat([19548, 19549], len(local) // 2)
    bits = moments(["18:00", "15:30"], "CMES", session, known)
    assert list(local[bits & 1 == 1]) == at("2023-07-09 18:00", "2023-07-10 18:00")
    assert list(local[bits & 2 == 2]) == at("2023-07-10 16:00", "2023-07-11 16:00")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.sampled_from(["XNYS", "24/7"]))
def test_T8_moments_know_no_later_bar(cut: int, calendar: str) -> None:
    names = ["session_open", "session_close", "week_start", "week_end", "month_end", "quarter_end", "11:00"]
    session = INDEX["session"].values[:300].astype("i8")
    known = INDEX["known_at"].values[:300].astype("M8[ns]").astype("i8")
    if calendar == "24/7":
        known = (session + 1) * DAY
    whole = moments(names, calendar, session, known)
    assert whole[:cut].tolist() == moments(names, calendar, session[:cut], known[:cut]).tolist()


def test_T8_bars_without_a_calendar_refuse_what_asks_it() -> None:
    bars = INDEX.isel(time=slice(0, 30)).drop_attrs(deep=False).assign_attrs(periods_per_year=252.0)
    for when in ("month_end", "15:30"):

        @kk.strategy
        def scheduled(ctx):  # type: ignore[no-untyped-def]
            ctx.target(1.0)

        scheduled.schedule("month_start")(nothing)
        kk.backtest(bars, scheduled)
        scheduled.schedule(when)(nothing)
        with pytest.raises(DataError, match=f"hooks at {when}: found bars without a calendar"):
            kk.backtest(bars, scheduled)


def nothing(ctx):  # type: ignore[no-untyped-def]
    ctx.record("nothing", 0.0)
