"""Hooks (T6-T9): when they run, what they are told, and that all ways of running a strategy agree about both."""

from __future__ import annotations

import math
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
from kernelkit.errors import OrderError, StrategyError
from kernelkit.kernels import layout as L
from kernelkit.kernels.block import header_of, slots_of
from kernelkit.kernels.job import Job
from kernelkit.kernels.session import Recorder
from kernelkit.view import Python
from tests import portfolios, programs
from tests.portfolios import World, act, math_nan
from tests.programs import Case, one
from tests.reference import simulate, simulate_portfolio
from tests.reference.telling import End, Fill
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
        h = (h * 33.0 + (x if x == x else -7.0)) % 1000003.0
    return h


def mix(h, a, b, c, d):  # type: ignore[no-untyped-def]
    h = (h * 33.0 + (a if a == a else -7.0)) % 1000003.0
    h = (h * 33.0 + (b if b == b else -7.0)) % 1000003.0
    h = (h * 33.0 + (c if c == c else -7.0)) % 1000003.0
    return (h * 33.0 + (d if d == d else -7.0)) % 1000003.0


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
    s.h = mix(s.h, order.id, order.status + 10.0 * order.reason, order.quantity + order.filled, order.price)
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
        elif verb == 4.0:
            ctx[k].stop_limit(q, a, b)
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
    """What the hooks above do, on the reference simulator."""

    def __init__(self) -> None:
        self.h, self.fills, self.ends, self.left = 0.0, 0, 0, 0
        self.hashes: list[float] = []

    def tell(self, ctx: Any, assets: bool) -> None:
        """One decision's events."""
        for event in ctx.told():
            ours, more = (ctx[event.asset], 1000.0 * event.asset) if assets else (ctx, 0.0)
            if isinstance(event, Fill):
                self.filled(ours, event, more)
            else:
                self.ended(ours, event, more)

    def filled(self, ours: Any, fill: Fill, more: float) -> None:
        self.fills += 1
        self.h = mixed(self.h, fill.order + more, fill.quantity, fill.price + fill.fee, fill.time % 1000000007)
        if self.left > 0 and self.fills % 5 == 0:
            self.left -= 1
            ours.limit(-fill.quantity, fill.price)

    def ended(self, ours: Any, order: End, more: float) -> None:
        self.ends += 1
        number = L.STATUSES.index(order.status) + 10.0 * L.REASONS.index(order.reason)
        self.h = mixed(self.h, order.id, number + more, order.quantity + order.filled, order.price)
        if self.left > 0 and order.status == "rejected":
            self.left -= 1
            ours.order(0.0)
        elif self.left > 0 and order.reason == "day":
            self.left -= 1
            ours.order(-order.quantity)

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
        told.tell(ctx, assets=False)
        for action in case.program[ctx.i]:
            one(ctx, *action)
        told.decided()

    given = {name: case.limits.get(name) or None for name in ("min_quantity", "max_quantity", "min_notional")}
    config = replace(case.config, off_tick="reject" if case.limits.get("off_tick") else "round", **given)
    bars = replace(case.bars, closes=list(case.closes[: len(case.bars)]) or list(case.bars.known_at))
    expected = simulate(bars, case.grid, config, decide, case.actions)
    recorder = Recorder(job_of(case), 0)
    logs = recorder.all()
    assert not recorder.outcome.errors
    assert logs.records[: len(told.hashes), 0].tolist() == told.hashes
    assert logs.curves[:, 0].tolist() == expected.equity
    counts = dict(zip(actor.program({}).plan.places, slots_of(recorder.block), strict=False))
    assert (counts["fills"], counts["ends"]) == (told.fills, told.ends)
    header = header_of(recorder.block)
    end = int(header["off_orders"]) + L.ORDER_BYTES * int(header["capacity"])
    kept = recorder.block[end : end + L.EVENTS_BYTES].view(L.EVENTS)[0]
    assert (kept["n"], recorder.block.size) == (len(expected.untold), header["nbytes"])  # what no decision followed


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
@pytest.mark.oracle("Reference simulator of portfolios, told step by step", covers="T6, T7, X1-X8", cases=100)
def test_T7_hooks_of_a_portfolio_are_told_what_the_reference_does(world: World) -> None:
    known = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 9.0, 10.0, 11.0, 12.0, 16.0, 22.0]
    world.program[..., 0] *= np.isin(world.program[..., 0], known)
    world.program[world.program[..., 0] == 12.0, 3] = 0.0  # ctx.weights without a band
    told = Told()

    def decide(ctx: Any) -> None:
        told.tell(ctx, assets=True)
        for verb, k, *numbers in world.program[ctx.i]:
            act(ctx, len(world.assets), float(verb), int(k), *map(float, numbers))
        told.decided()

    expected = simulate_portfolio(world.clock, world.assets, world.config, decide, world.actions)
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


def any_number(*args):  # type: ignore[no-untyped-def]
    pass


def nothing(ctx):  # type: ignore[no-untyped-def]
    ctx.record("nothing", 0.0)


# All ways of running a strategy


def busy() -> Any:
    """A new strategy with every kind of hook, whose hooks decide what is traded."""

    @kk.strategy(state=dict(entry=0.0, last=0, months=0, ended=0, win=kk.ring(4)))
    def trader(ctx, s, n=5, k=2.0):  # type: ignore[no-untyped-def]
        ctx.record("entry", s.entry)
        ctx.record("ended", s.ended)
        if ctx.close[0] > ctx.close.sma(n) and ctx.position == 0.0:
            ctx.buy(k)
        elif s.last > 0 and ctx.time - s.last > n * 86400 * 10**9 and ctx.position > 0.0:
            ctx.sell(ctx.position)

    @trader.on_fill
    def booked(ctx, s, fill, k):  # type: ignore[no-untyped-def]
        if fill.quantity > 0:
            s.entry = fill.price + fill.fee
            s.last = fill.time
            ctx.stop(-fill.quantity / k, fill.price * 0.97, tif="DAY")

    @trader.on_order
    def ended(ctx, s, order):  # type: ignore[no-untyped-def]
        s.ended += 1
        if order.reason == kk.Reason.DAY and ctx.position > 0.0:
            ctx.stop(order.quantity, order.price, tif="DAY")

    @trader.on_session_open
    def morning(ctx, s, n):  # type: ignore[no-untyped-def]
        s.win.push(ctx.close.ema(n)[-1] - ctx.high.max(9))

    @trader.schedule("month_end")
    def monthly(ctx, s):  # type: ignore[no-untyped-def]
        s.months += 1
        ctx.record("spread", s.win[0] - s.win[-3])
        if s.months % 2 == 0:
            ctx.limit(3.0, ctx.close[0] * 0.99)

    @trader.on_session_close
    def evening(ctx, s):  # type: ignore[no-untyped-def]
        if ctx.i % 50 == 0:
            ctx.cancel_all()

    return trader


VENUE = kk.Venue("v", kk.fees.per_unit(0.005, 1.0), kk.slippage.fraction(0.0005))


def same_results(a: xr.Dataset, b: xr.Dataset) -> None:
    assert set(a.data_vars) == set(b.data_vars)
    for name in a.data_vars:
        np.testing.assert_array_equal(a[name].values, b[name].values, str(name))


def test_T6_debug_is_compiled__every_kind_of_hook() -> None:
    trader = busy()
    fast, slow = (kk.backtest(INDEX, trader, venue=VENUE, debug=debug) for debug in (False, True))
    assert int(fast["n_fills"]) > 100
    assert np.nanmax(fast["ended"].values) > 100
    assert np.isfinite(fast["spread"].values).sum() == pytest.approx(31, abs=3)
    for name in ("entry", "ended", "spread", "equity", "position", "final_equity", "sharpe_ratio"):
        np.testing.assert_array_equal(fast[name].values, slow[name].values, name)


def test_T7_a_grid_without_logs_knows_the_times_of_fills() -> None:
    res = kk.backtest(INDEX, busy(), grid=dict(n=[3, 8], k=[1.0, 4.0]), venue=VENUE)
    for n, k in ((3, 1.0), (8, 4.0)):
        one_cell = res.sel(n=n, k=k)
        assert float(one_cell["final_equity"]) == float(one_cell["equity"][-1])  # which is simulated again, with logs


def test_T7_a_run_that_goes_on_is_the_whole_run(tmp_path: Path) -> None:
    trader = busy()
    whole = kk.backtest(INDEX, trader, venue=VENUE)
    orders = kk.orders(whole)
    for cut in (101, 102, 103, 350):
        run = kk.start(INDEX.isel(time=slice(0, cut)), trader, venue=VENUE)
        path = run.save(tmp_path / f"run{cut}")
        assert kk.resume(path, trader).bars == cut
        part = kk.resume(path).feed(INDEX.isel(time=slice(cut, 500))).feed(INDEX.isel(time=slice(500, None)))
        res = part.result()
        assert float(res["final_equity"]).hex() == float(whole["final_equity"]).hex()
        pd.testing.assert_frame_equal(kk.orders(res), orders)


def test_T7_a_cluster_runs_the_same() -> None:
    distributed = pytest.importorskip("distributed", reason='needs pip install "kernelkit[cluster]"')
    grid = dict(n=[3, 5, 8], k=[1.0, 4.0])
    here = kk.backtest(INDEX, busy(), grid=grid, venue=VENUE)
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        there = kk.backtest(INDEX, busy(), grid=grid, venue=VENUE, client=client)
    for name in ("final_equity", "sharpe_ratio", "n_fills", "max_drawdown"):
        assert there[name].values.tobytes() == here[name].values.tobytes()


def test_audit__hooks_are_blind_to_the_future() -> None:
    assert kk.audit(INDEX, busy(), venue=VENUE, cuts=8).blind


def test_truncation_law__f_of_the_first_bars_is_the_first_of_f() -> None:
    trader = busy()
    whole = kk.backtest(INDEX, trader, venue=VENUE)
    for cut in (60, 61, 300):
        part = kk.backtest(INDEX.isel(time=slice(0, cut)), trader, venue=VENUE)
        for name in ("equity", "position", "entry", "ended", "spread"):
            np.testing.assert_array_equal(part[name].values, whole[name].sel(time=part["time"]).values, name)


@kk.strategy(state=dict(told=0, price=0.0))
def many(ctx, s, n=60):  # type: ignore[no-untyped-def]
    ctx.record("told", s.told)
    if ctx.i % 5 == 0:
        ctx.cancel_all()
    for j in range(n):
        ctx.limit(1.0, ctx.close[0] * (0.5 - 0.001 * j))


@many.on_order
def many_ended(ctx, s, order):  # type: ignore[no-untyped-def]
    s.told += 1
    s.price += order.price


@pytest.mark.parametrize("debug", [False, True])
def test_T7_hundreds_of_orders_that_end_at_once_are_all_told(debug: bool) -> None:
    n, bars = (50, 8) if debug else (60, 32)
    res = kk.backtest(INDEX.isel(time=slice(0, bars)), many, params=dict(n=n), debug=debug)
    # Room for orders grows, and room for what is told with it.
    expected = [5 * n * (max(0, i - 1) // 5) for i in range(bars)]
    assert res["told"].values.tolist() == expected


@kk.strategy(state=dict(cancelled=0, filled=0.0))
def waiting(ctx, s, n=2):  # type: ignore[no-untyped-def]
    if s.cancelled > 0:  # told of the switch: as many units as orders that it cancelled
        ctx.buy(float(s.cancelled))
        s.cancelled = 0
    if ctx.orders == 0:
        for _ in range(n):
            ctx.limit(1.0, ctx.close[0] * 0.2)


@waiting.on_order
def waiting_ended(ctx, s, order):  # type: ignore[no-untyped-def]
    s.cancelled += 1 if order.reason == kk.Reason.USER else 0


@waiting.on_fill
def waiting_filled(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.filled += fill.quantity


def test_T9_a_switch_is_told_to_the_new_parameters() -> None:
    bars = kk.data.load("sp500_index").sel(time=slice("2009", "2014"))
    wf = kk.walk_forward(bars, waiting, grid={"n": [2, 3]}, train="2Y", test="1Y")
    orders = kk.orders(wf)
    cancelled = orders[orders["reason"] == "user"]
    assert wf.sizes["fold"] >= 3
    assert len(cancelled) == sum(wf["n"].values[:-1])  # at each switch all that waited
    bought = orders[orders["kind"] == "market"]
    assert bought["quantity"].tolist() == [float(n) for n in wf["n"].values[:-1]]
    assert bought["submitted"].tolist() == [bars["known_at"].sel(time=t).values for t in wf["test_start"].values[1:]]


@kk.strategy(state=dict(opens=0, months=0, fills=0))
def replayed(ctx, s, n=5):  # type: ignore[no-untyped-def]
    ctx.target(1.0 * s.months + 100.0 * s.fills if s.opens > n else 1.0)


@replayed.on_session_open
def replayed_opens(ctx, s):  # type: ignore[no-untyped-def]
    s.opens += 1


@replayed.schedule("month_start")
def replayed_months(ctx, s):  # type: ignore[no-untyped-def]
    s.months += 1
    ctx.buy(1.0)  # inert


@replayed.on_fill
def replayed_fills(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.fills += 1


def test_T9_in_a_replay_moments_come_and_nothing_is_filled() -> None:
    from kernelkit.study.stitching import replayed as replay

    trader = replayed
    bars = INDEX.isel(time=slice(0, 400))
    run = kk.start(bars, trader)
    at = 300
    words = dict(zip(trader.program({"n": int}).plan.places, replay(run._recipe.job, [at])[0][at][1:], strict=False))
    months = bars.indexes["time"].to_period("M")[:at]
    assert words == {"opens": at, "months": len(months.unique()) - 1, "fills": 0}


# What hooks are


def test_a_strategy_without_hooks_keeps_no_events() -> None:
    @kk.strategy
    def plain(ctx):  # type: ignore[no-untyped-def]
        ctx.target(1.0)

    program = plain.program({})
    assert "_own_hook_" not in program.text
    assert "forget_events" not in program.text
    run = kk.start(INDEX, plain)
    header = header_of(run._session.block)
    assert header["nbytes"] == header["off_orders"] + L.ORDER_BYTES * header["capacity"]
    assert run._session.frame["told"][0] == 0
    assert len(run._recipe.job.tables[0].columns) == L.FIRST_FEATURE


def test_hooks_are_part_of_what_a_strategy_is() -> None:
    @kk.strategy
    def one_of_them(ctx):  # type: ignore[no-untyped-def]
        ctx.target(1.0)

    seen = {one_of_them.identity}
    texts = {one_of_them.program({}).text}

    def later(ctx):  # type: ignore[no-untyped-def]
        ctx.target(2.0 * FACTOR)

    for add in (one_of_them.schedule("month_end"), one_of_them.schedule("week_end"), one_of_them.on_session_open):
        assert add(later) is later
        seen.add(one_of_them.identity)
        texts.add(one_of_them.program({}).text)
    assert (len(seen), len(texts)) == (4, 4)
    assert "FACTOR = 3.0" in one_of_them.identity


FACTOR = 3.0


def test_a_cell_that_runs_again_takes_the_place_of_its_hook() -> None:
    @kk.strategy(state=dict(done=0.0))
    def traded(ctx, s):  # type: ignore[no-untyped-def]
        ctx.record("done", s.done)
        s.done = 0.0

    def cell(value: float) -> None:
        @traded.schedule("week_start")
        def first(ctx, s):  # type: ignore[no-untyped-def]
            s.done = s.done * 10.0 + value

    cell(1.0)

    @traded.schedule("week_start")
    def second(ctx, s):  # type: ignore[no-untyped-def]
        s.done = s.done * 10.0 + 2.0

    before = kk.backtest(INDEX, traded)
    cell(3.0)
    assert len(traded.hooks) == 2
    assert set(kk.backtest(INDEX, traded)["done"].values.tolist()) == {0.0, 32.0}
    assert set(before["done"].values.tolist()) == {0.0, 12.0}  # simulated again as it was


def test_a_result_in_debug_mode_keeps_the_hooks_that_it_had() -> None:
    @kk.strategy(state=dict(done=0.0))
    def traded(ctx, s):  # type: ignore[no-untyped-def]
        ctx.record("done", s.done)

    before = kk.backtest(INDEX.isel(time=slice(0, 30)), traded, debug=True)

    @traded.on_session_open
    def opens(ctx, s):  # type: ignore[no-untyped-def]
        s.done = 1.0

    assert before["done"].values.max() == 0.0


@pytest.mark.parametrize(
    ("add", "found"),
    [
        (lambda t: t.schedule("monthly"), "schedule of hooked: found 'monthly', wanted one of week_start"),
        (lambda t: t.schedule("25:00"), "found '25:00'"),
        (lambda t: t.schedule(930), "found 930"),
        (
            lambda t: t.schedule("15:30", "month_end"),
            "found '15:30', 'month_end', wanted one of week_start.* then a time",
        ),
        (lambda t: t.schedule("month_end", "24:00"), "found 'month_end', '24:00'"),
        (lambda t: t.schedule("month_end 15:30"), "found 'month_end 15:30'"),
        (lambda t: t.on_fill(nothing), r"found \(ctx\), wanted ctx, s, fill, then parameters of hooked"),
        (lambda t: t.on_fill(takes_n), r"found \(ctx, fill, n\), wanted ctx, s, fill"),
        (lambda t: t.on_session_open(takes_m), "found m, wanted parameters of hooked: n"),
        (lambda t: t.on_session_open(takes_default), "found n=3, wanted a parameter without a default"),
        (
            lambda t: t.on_session_open(forgets_n),
            r"found the parameter 'n' of hooked.*Write def forgets_n\(ctx, s, n\)",
        ),
        (lambda t: t.schedule(), "schedule of hooked: found '', wanted one of week_start"),
        (lambda t: t.schedule("month_end")(any_number), r"found \*args, wanted named parameters"),
        (lambda t: t.on_session_open(len), "found builtin_function_or_method, wanted a function"),
        (
            lambda t: t.on_fill(passes_on),
            r"test_hooks.py, line \d+, in passes_on: `fill` cannot be stored or passed on",
        ),
        (
            lambda t: t.on_fill(asks_asset),
            "in asks_asset: `fill` has no `asset`.*It has order, time, quantity, price, fee",
        ),
        (lambda t: t.on_fill(sets_price), "in sets_price: fill.price is read-only"),
        (lambda t: t.on_order(asks_why), "in asks_why: no `WHATEVER`: `kk.Reason.WHATEVER`. There are NONE, USER"),
        (lambda t: t.on_order(asks_kk), "in asks_kk: `kk` as a value"),
        (lambda t: t.on_fill(whole), "in whole: `count` was declared as a whole number"),
        (lambda t: t.on_session_open(ahead), r"in ahead: lookahead: index 1"),
    ],
)
def test_what_is_no_hook_is_refused(add: Any, found: str) -> None:
    @kk.strategy(state=dict(x=0.0, count=0))
    def hooked(ctx, s, n=3):  # type: ignore[no-untyped-def]
        ctx.target(1.0)

    with pytest.raises(StrategyError, match=found):
        add(hooked)
    assert hooked.hooks == ()
    assert float(kk.backtest(INDEX.isel(time=slice(0, 20)), hooked)["n_fills"]) == 1


def takes_n(ctx, fill, n):  # type: ignore[no-untyped-def]
    ctx.buy(1.0)


def takes_m(ctx, s, m):  # type: ignore[no-untyped-def]
    ctx.buy(1.0)


def takes_default(ctx, s, n=3):  # type: ignore[no-untyped-def]
    ctx.buy(1.0)


def forgets_n(ctx, s):  # type: ignore[no-untyped-def]
    ctx.buy(n)  # noqa: F821


def passes_on(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.x = abs(fill)


def asks_asset(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.x = fill.asset


def sets_price(ctx, s, fill):  # type: ignore[no-untyped-def]
    fill.price = 1.0


def asks_why(ctx, s, order):  # type: ignore[no-untyped-def]
    s.x = order.reason == kk.Reason.WHATEVER


def asks_kk(ctx, s, order):  # type: ignore[no-untyped-def]
    s.x = kk.data


def whole(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.count = fill.price * 2.0


def ahead(ctx, s):  # type: ignore[no-untyped-def]
    s.x = ctx.close[1]


def test_there_is_one_function_for_what_is_told() -> None:
    trader = busy()

    def another(ctx, s, fill):  # type: ignore[no-untyped-def]
        s.entry = 0.0

    with pytest.raises(StrategyError, match=r"on_fill of a strategy: found a second one, another.*Do both in booked"):
        trader.on_fill(another)


CUT = kk.Reason.DAY


def test_reasons_compare_as_numbers_wherever_they_come_from() -> None:
    from kernelkit import Reason, Status

    @kk.strategy(state=dict(a=0, b=0, c=0))
    def ends(ctx, s):  # type: ignore[no-untyped-def]
        ctx.record("a", s.a)
        ctx.record("b", s.b)
        ctx.record("c", s.c)
        ctx.limit(1.0, ctx.close[0] * 0.5, tif="DAY")

    @ends.on_order
    def ended(ctx, s, order):  # type: ignore[no-untyped-def]
        s.a += order.reason == CUT
        s.b += order.reason == Reason.DAY and order.status == Status.EXPIRED
        s.c += order.reason == kk.Reason.DAY and order.status != kk.Status.FILLED

    for debug in (False, True):
        res = kk.backtest(INDEX.isel(time=slice(0, 20)), ends, debug=debug)
        assert [float(res[n][-1]) for n in "abc"] == [18.0, 18.0, 18.0]


def test_an_exception_in_a_hook_comes_with_its_line_and_the_bar() -> None:
    trader = busy()

    @trader.schedule("16:00")
    def fails(ctx, s, n):  # type: ignore[no-untyped-def]
        if ctx.i == 40 + n:
            raise ValueError("this far")

    with pytest.raises(ValueError, match="this far") as caught:
        kk.backtest(INDEX, trader)
    assert "bar 45" in caught.value.__notes__[0]
    assert caught.traceback[-1].name == "fails"


def test_what_cannot_be_compiled_names_the_hook_and_its_line() -> None:
    trader = busy()

    @trader.schedule("16:00")
    def lists(ctx, s):  # type: ignore[no-untyped-def]
        s.entry = sum([1.0, 2.0])

    with pytest.raises(StrategyError, match=r"test_hooks.py, line \d+, in lists: List cannot be compiled"):
        kk.backtest(INDEX, trader)
    assert np.isfinite(float(kk.backtest(INDEX.isel(time=slice(0, 60)), trader, debug=True)["final_equity"]))

    other = busy()

    @other.schedule("16:00")
    def adds(ctx, s):  # type: ignore[no-untyped-def]
        s.entry = math.gcd("a", 2)

    with pytest.raises(StrategyError, match=r"trader, in adds, line \d+: cannot be compiled"):
        kk.backtest(INDEX, other)


def test_T6_all_of_a_decision_together_submit_64_ids() -> None:
    @kk.strategy
    def half(ctx):  # type: ignore[no-untyped-def]
        for _ in range(40):
            ctx.limit(1.0, ctx.close[0] * 0.5)

    @half.schedule("month_start")
    def rest(ctx):  # type: ignore[no-untyped-def]
        for _ in range(25):
            ctx.limit(1.0, ctx.close[0] * 0.5)

    first = int(np.argmax(np.diff(INDEX.indexes["time"].month) != 0)) + 1
    for debug in (False, True):
        assert float(kk.backtest(INDEX.isel(time=slice(0, first)), half, debug=debug)["n_fills"]) == 0
        with pytest.raises(OrderError, match=f"bar {first} .*more than 64 new orders in one decision"):
            kk.backtest(INDEX, half, debug=debug)


def test_a_hooks_own_indicator_that_raises_ends_the_run_at_its_bar() -> None:
    @kk.indicator(state=dict(n=0))
    def fragile(s, x):  # type: ignore[no-untyped-def]
        s.n += 1
        if s.n == 31:
            raise ValueError("this far")
        return x

    @kk.strategy
    def plain(ctx):  # type: ignore[no-untyped-def]
        ctx.target(1.0)

    @plain.schedule("month_start")
    def looks(ctx):  # type: ignore[no-untyped-def]
        ctx.record("fragile", fragile(ctx.close))

    assert np.isfinite(kk.backtest(INDEX.isel(time=slice(0, 30)), plain)["fragile"].values).sum() == 1
    for debug in (False, True):
        with pytest.raises(ValueError, match="this far"):
            kk.backtest(INDEX, plain, debug=debug)


def test_a_portfolio_runs_every_kind_of_hook() -> None:
    frame = INDEX.isel(asset=0, time=slice(0, 300))[["open", "high", "low", "close"]].to_dataframe()
    frame = frame[["open", "high", "low", "close"]].assign(volume=1e6)
    other = frame.assign(**{n: frame[n] * 0.5 + 3.0 for n in ("open", "high", "low", "close")}).iloc[::2]
    bars = kk.data.from_pandas({"a": frame, "b": other}, calendar="XNYS")

    @kk.portfolio(state=dict(w=kk.each(), months=0, days=0, bought=kk.each(), ends=0))
    def held(ctx, s, n=5):  # type: ignore[no-untyped-def]
        ctx.record("bought", s.bought[1])
        ctx.record("ends", s.ends)
        ctx.record("days", s.days)

    @held.schedule("month_end")
    def rebalance(ctx, s, n):  # type: ignore[no-untyped-def]
        s.months += 1
        for k in ctx.tradable:
            s.w[k] = 0.4 if ctx[k].close[0] > ctx[k].close.sma(n) else 0.1
        ctx.weights(s.w, band=0.0)

    @held.on_fill
    def booked(ctx, s, fill):  # type: ignore[no-untyped-def]
        s.bought[fill.asset] += fill.quantity
        ctx[fill.asset].limit(1.0, fill.price * 0.9, tif="DAY")

    @held.on_order
    def ended(ctx, s, order):  # type: ignore[no-untyped-def]
        s.ends += 1 if order.asset == 1 and order.reason == kk.Reason.DAY else 0

    @held.on_session_close
    def evening(ctx, s):  # type: ignore[no-untyped-def]
        s.days += 1

    fast, slow = (kk.backtest(bars, held, venue=VENUE, debug=debug) for debug in (False, True))
    for name in ("bought", "ends", "days", "equity", "final_equity"):
        np.testing.assert_array_equal(fast[name].values, slow[name].values, name)
    fills, orders = kk.fills(fast), kk.orders(fast)
    assert (fast["days"].values == np.arange(len(fast["days"])) + fast["days"].values[0]).all()
    signed = np.where(fills["side"] == "buy", 1.0, -1.0) * fills["quantity"]
    assert fast["bought"].values[-1] == signed[fills["asset"] == "b"].sum()
    assert fast["ends"].values[-1] == ((orders["asset"] == "b") & (orders["reason"] == "day")).sum()
    ends = pd.Series(frame.index, frame.index).groupby(frame.index.to_period("M")).last()
    assert set(orders[orders["kind"] == "market"]["submitted"].dt.normalize()) <= {d.normalize() for d in ends}


@kk.strategy(state={"up": 0, "lost": 0})
def timed(ctx, s, n=3):  # type: ignore[no-untyped-def]
    if ctx.close[0] > ctx.tf("1h").close.sma(n):
        ctx.target_percent(4.0)
    ctx.record("up", s.up)
    ctx.record("lost", s.lost)


@timed.on_session_open
def daily(ctx, s, n):  # type: ignore[no-untyped-def]
    s.up = 1 if ctx.tf("1D").close[0] > ctx.tf("1h").close.max(n)[-1] else 0


@timed.on_order
def lost(ctx, s, order):  # type: ignore[no-untyped-def]
    if order.reason == kk.Reason.LIQUIDATION:
        s.lost += 1


def test_hooks_see_timeframes_and_are_told_of_liquidations() -> None:
    rng = np.random.default_rng(4)
    close = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, 2000))), 2)
    index = pd.date_range("2024-01-01", periods=2000, freq="10min")
    opens = np.r_[close[:1], close[:-1]]
    high, low = np.maximum(opens, close), np.minimum(opens, close)
    frame = pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": 1.0}, index=index)
    bars = kk.data.from_pandas(frame, label="open", bar="10min", calendar="24/7", tick_size=0.01)
    account = kk.Account(margin=kk.Margin(0.2, 0.1))
    found = [kk.backtest(bars, timed, account=account, debug=debug) for debug in (False, True)]
    assert found[0]["equity"].values.tolist() == found[1]["equity"].values.tolist()
    for name in ("up", "lost"):
        np.testing.assert_array_equal(found[0][name].values, found[1][name].values)
    reasons = kk.orders(found[0])["reason"]
    assert int(found[0]["lost"][-1]) == (reasons == "liquidation").sum() > 0
    day = frame["close"].resample("1D").last().shift(1)
    hour = frame["close"].resample("1h").last()
    midnight = index[index.normalize() == index][2:]
    for when in midnight:
        before = hour.loc[: when - pd.Timedelta("1h")]
        wanted = float(day.loc[when]) > before.iloc[-4:-1].max()
        row = int(np.searchsorted(index, when)) - 1
        assert int(found[0]["up"].values[row - (2000 - found[0].sizes["time"]) + 1]) == int(wanted), when
