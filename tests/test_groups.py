"""Trials side by side, tile by tile of bars, their indicators shared, give the bits of each trial by itself."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.binding import bind
from kernelkit.errors import LookaheadError, OrderError
from kernelkit.kernels import layout as L
from kernelkit.kernels import session
from kernelkit.kernels.bars import session_end
from kernelkit.kernels.job import Job, Outcome, new_outcome
from kernelkit.kernels.session import Session
from kernelkit.market.settings import Settings
from kernelkit.recipe import plan_job, span
from tests.programs import Case, job
from tests.test_engine_is_reference import cases


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A ledger of its own, for the fixtures of this module too."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("groups")
        (folder / ".kernelkit").mkdir()
        patch.chdir(folder)
        yield


def both(whole: Job) -> tuple[Outcome, Outcome]:
    """What a job comes to, each trial by itself and all of them side by side."""
    n = len(whole.trials)
    alone, together = new_outcome(n, True), new_outcome(n, True)
    with mock.patch.multiple(session, GROUP=1, TILE=1 << 14, LEAST_TILE=1 << 14):
        Session(whole).run(alone, 0, n)
    Session(whole).run(together, 0, n)
    return alone, together


def assert_same(a: Outcome, b: Outcome) -> None:
    assert a.headline.tobytes() == b.headline.tobytes()
    assert a.meta.tobytes() == b.meta.tobytes()
    assert a.blocks is not None
    assert b.blocks is not None
    for k, cells in enumerate(a.meta[:, 0]):
        assert a.blocks[k, :cells].tobytes() == b.blocks[k, :cells].tobytes()
    assert a.errors == b.errors
    assert a.done.tolist() == b.done.tolist()


def job_of(bars: xr.Dataset, strategy: Any, grid: dict[str, Any], venue: Any = None, measure: bool = True) -> Job:
    scalars, axes = bind(strategy, None, grid)
    recipe = plan_job(
        bars, strategy, scalars, axes, None, span(bars, None, None), Settings.of(None, venue, None), measure
    )
    return recipe.job


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(), st.integers(1, 40))
def test_every_order__random_programs(case: Case, width: int) -> None:
    with mock.patch.multiple(session, TILE=width, LEAST_TILE=width):
        assert_same(*both(job(case)))


def ends(whole: Job) -> tuple[bytes, dict[int, tuple[int, int, int]]]:
    """Final equities and errors of a job whose trials run side by side."""
    outcome = new_outcome(len(whole.trials), False)
    Session(whole, timed=False).run(outcome, 0, len(whole.trials))
    return outcome.headline[:, -1].tobytes(), outcome.errors


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_the_final_equity_alone__is_that_of_the_whole_result(case: Case) -> None:
    """Where no metrics are asked for, most bars do not mark the account."""
    assert ends(replace(job(case), measure=False)) == ends(job(case))


@kk.cost_model
def by_wealth(m, rate=0.001):  # type: ignore[no-untyped-def]
    return rate * m.notional if m.equity > 1e6 else 2.0 * rate * m.notional


def test_the_equity_that_a_decision_and_a_model_see__is_the_mark_of_the_bar() -> None:
    @kk.strategy(warmup=0)
    def wealth(ctx, k=3, short=False):  # type: ignore[no-untyped-def]
        if ctx.i % 50 == k:
            ctx.target_percent(-0.5 if short else 0.9)
        if ctx.equity > 1.01e6 and ctx.i % 7 == 0 and ctx.orders == 0:
            ctx.limit(-1.0, ctx.close[0] * 1.001, tif="DAY")

    grid = {"k": [3, 4, 10], "short": [False, True]}
    bars, venue = kk.data.load("sp500_index").isel(time=slice(0, 1500)), kk.Venue("own", fees=by_wealth())
    lean = kk.backtest(bars, wealth, grid=grid, venue=venue, outputs=("final_equity",))["final_equity"]
    whole = kk.backtest(bars, wealth, grid=grid, venue=venue)
    assert lean.values.tobytes() == whole["final_equity"].values.tobytes()
    assert len(np.unique(lean)) == lean.size
    for k in grid["k"]:
        one = kk.backtest(bars, wealth, {"k": k}, venue=venue, outputs=("final_equity",), debug=True)
        assert float(one["final_equity"]) == float(lean.sel(k=k, short=False))


def test_threads_share_what_a_trial_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small group comes first, once: every group computes its indicators anew."""
    sizes: list[int] = []
    lay = Session.lay

    def noted(self: Session, first: int, last: int) -> None:
        sizes.append(last - first)
        lay(self, first, last)

    monkeypatch.setattr(Session, "lay", noted)
    monkeypatch.setattr(session, "FIRST_SLICE", 3000)
    monkeypatch.setattr(session, "GROUP_S", 1e3)
    whole, pace = job_of(market(), everything, GRID, VENUE), session.Pace()
    n = len(whole.trials)
    for _ in range(2):
        Session(whole).run(new_outcome(n, False), 0, n, pace=pace)
    assert sizes == [4, min(n - 4, 32), *([n - 36] if n > 36 else []), n]


def test_a_stop_is_felt_in_the_middle_of_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SLICE_S", 1e9)
    monkeypatch.setattr(session, "GROUP_S", 1e9)

    @kk.strategy
    def slow(ctx, n=1):  # type: ignore[no-untyped-def]
        x = ctx.close[0]
        for _ in range(1000):
            x = math.sin(x)
        if x > 2.0:
            ctx.buy(1.0)

    whole = job_of(kk.data.load("sp500_index"), slow, {"n": list(range(400))}, None, False)
    stop, outcome, running = session.Stop(), new_outcome(400, False), Session(whole)
    began = time.perf_counter()
    running.run(outcome, 0, 1)
    one = time.perf_counter() - began
    threading.Timer(2.0 * one, stop.set).start()
    running.run(outcome, 0, 400, stop)
    assert time.perf_counter() - began < 100.0 * one
    assert outcome.done.sum() < 100


@kk.indicator(state=dict(e=0.0, last=kk.ring(3), seen=0))
def lagged(s, x, rate, up):  # type: ignore[no-untyped-def]
    s.e += rate * (x - s.e)
    s.last.push(s.e if up else -s.e)
    s.seen += 1
    return s.last[-2]


@kk.strategy(state=dict(seen=kk.ring(4), n=0), warmup=0)
def everything(ctx, s, fast=5, slow=20, rate=0.25, up=True):  # type: ignore[no-untyped-def]
    """Each indicator, its previous value, features, own state, sizing, brackets."""
    s.seen.push(ctx.close.ema(fast))
    s.n += 1
    score = 0.0
    if ctx.close.sma(fast)[-1] > ctx.close.sma(slow):
        score += 1.0
    if ctx.volume.sma(fast) > ctx.volume.sma(slow)[-1] or ctx.volume.sum(3) < 0.0:
        score += 1.0
    if ctx.high.max(fast)[-1] < ctx.close[0]:
        score += 2.0
    if ctx.low.min(slow)[-1] > ctx.close[0]:
        score -= 2.0
    if ctx.close.rsi(fast) > 70.0:
        score -= 1.0
    if ctx.close.std(slow) > ctx.close.volatility(7) * ctx.close[0] and ctx.vwap(fast) > ctx.close.sum(2) / 2.0:
        score += 1.0
    if lagged(ctx.close, rate, up) > lagged(ctx.close, 0.5, False)[-1]:
        score += 0.5
    if ctx.x.mood[0] > ctx.x.mood.ema(3):
        score += 0.25
    if score > 2.0 and ctx.position == 0.0 and ctx.orders == 0:
        ctx.bracket(ctx.size.risk(0.02, stop=2.0 * ctx.atr(fast)), stop_loss=0.03, take_profit=0.05)
    elif score < -1.0:
        ctx.target_percent(-0.4)
    elif s.n % 17 == 0 and s.seen[0] > s.seen[-3]:
        ctx.target(ctx.size.vol_target(0.2, 10))


def market(n: int = 700, assets: int = 2) -> xr.Dataset:
    """Assets with holes, and a feature."""
    draw = np.random.default_rng(7)
    index = pd.date_range("2021-01-01", periods=n, freq="1h")
    frames = {}
    for k in range(assets):
        close = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.01, n)))
        frame = pd.DataFrame({"open": np.r_[100.0, close[:-1]], "close": close}, index=index)
        frame["high"], frame["low"] = frame.max(axis=1) * 1.004, frame.min(axis=1) * 0.996
        frame["volume"] = draw.integers(0, 1000, n).astype(float)
        frames[f"a{k}"] = frame[draw.random(n) > 0.1 * k]
    bars: xr.Dataset = kk.data.from_pandas(frames, label="open", bar="1h", calendar="24/7")
    mood = pd.Series(draw.normal(size=n), index)
    return kk.feature(bars, "mood", mood, known_at=pd.Series(index + pd.Timedelta("90min"), index))


GRID = {"fast": [3, 5, 9], "slow": [12, 20], "rate": [0.1, 0.4], "up": [False, True]}
VENUE = kk.Venue("mine", kk.fees.per_unit(0.01, 0.5), kk.slippage.square_root(0.01))


@pytest.mark.parametrize(("tile", "group"), [(4096, 1024), (256, 5), (1, 48)])
@pytest.mark.parametrize("measure", [True, False])
def test_every_indicator__whatever_the_tiles(tile: int, group: int, measure: bool) -> None:
    whole = job_of(market(), everything, GRID, VENUE, measure)
    assert whole.plan.sites
    with mock.patch.multiple(session, TILE=tile, LEAST_TILE=tile, GROUP=group):
        first, second = both(whole)
    assert_same(first, second)
    assert len(np.unique(first.headline[:, -1])) > 20  # the trials differ


def test_trials_that_stop_or_need_room() -> None:
    """An arena that must grow, more orders than a decision may have, an index into the future, ruin."""

    @kk.strategy(warmup=0)
    def crowd(ctx, n=1, ahead=0, size=0.0):  # type: ignore[no-untyped-def]
        for _ in range(n):
            ctx.limit(1.0, 0.001 * ctx.close[0])
        if ctx.i == 100 and ctx.close[ahead] > 0.0:
            ctx.sell(size)

    venue = kk.Venue("debt", kk.fees.fraction(0.0), cash_rule="debt")
    grid = {"n": [0, 1, 20, 200], "ahead": [-1, 1], "size": [0.0, 1e7]}
    whole = job_of(market(300, 1), crowd, grid, venue)
    first, second = both(whole)
    assert_same(first, second)
    statuses = {status for status, _, _ in first.errors.values()}
    assert statuses == {L.CROWDED, L.LOOKAHEAD}
    assert first.meta[:, 2].sum() >= 1  # ruined
    with pytest.raises(LookaheadError, match=r"crowd, bar 100 .*found index \[1\]"):
        kk.backtest(market(300, 1), crowd, {"ahead": 1}, grid={"size": [0.0, 1.0]})
    with pytest.raises(OrderError, match="more than 64 new orders"):
        kk.backtest(market(300, 1), crowd, {"n": 200}, grid={"size": [0.0, 1.0]})


def test_a_stopped_sweep_keeps_what_is_done() -> None:
    whole = job_of(market(), everything, GRID, VENUE)
    n = len(whole.trials)
    outcome, stop = new_outcome(n, True), session.Stop()

    def tick(finished: int) -> None:
        stop.set()

    with mock.patch.object(session, "GROUP", 7):
        Session(whole).run(outcome, 0, n, stop, tick)
    assert outcome.done.sum() == 7
    assert np.isnan(outcome.headline[7:]).all()


def test_a_rebate_makes_a_target_trade_larger_than_its_gap() -> None:
    """What the compiled shortcut of `target_percent` must not skip (S2 divides by less than 1)."""

    @kk.strategy
    def hold(ctx):  # type: ignore[no-untyped-def]
        ctx.target_percent(0.5)

    venue = kk.Venue("maker", fees=kk.fees.fraction(-0.2), band=0.02)
    bars = kk.data.load("sp500_index").isel(time=slice(0, 800))
    compiled, python = (kk.backtest(bars, hold, venue=venue, debug=debug) for debug in (False, True))
    assert float(compiled["final_equity"]) == float(python["final_equity"])
    assert float(compiled["n_fills"]) == float(python["n_fills"]) > 5.0


@pytest.mark.parametrize("close_out", ["last_open", "last_close"])
def test_a_model_that_fails_at_the_close_out_stops_its_trial_alone(close_out: str) -> None:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 50))
    last = int(bars["open_at"].values[-1])

    @kk.cost_model
    def late(m, at=0.0):  # type: ignore[no-untyped-def]
        return math.nan if m.time >= at else 0.0

    @kk.strategy
    def hold(ctx, n=1.0):  # type: ignore[no-untyped-def]
        ctx.target(n)

    settings = {"venue": kk.Venue("late", fees=late(float(last))), "fill_model": kk.FillModel(close_out=close_out)}
    with pytest.raises(OrderError, match="a cost model that answered with NaN"):
        kk.backtest(bars, hold, **settings)
    whole = job_of(bars, hold, {"n": [0.0, 1.0, 1e-9, 2.0]}, settings["venue"])
    whole.fill_models = [settings["fill_model"].codes()]
    outcome = new_outcome(4, True)
    Session(whole).run(outcome, 0, 4)
    assert sorted(outcome.errors) == [1, 3]
    assert outcome.done.tolist() == [True, False, True, False]


def test_a_decision_submits_at_most_64_orders_however_many_slots_are_free() -> None:
    @kk.strategy(warmup=0)
    def burst(ctx, keep=0, n=0, valid=True):  # type: ignore[no-untyped-def]
        if ctx.i < 3:
            for _ in range(keep):
                ctx.limit(1.0, 0.001 * ctx.close[0])
        if ctx.i == 10:
            for _ in range(n):
                ctx.buy(1.0 if valid else 0.0)

    bars = kk.data.load("sp500_index").isel(time=slice(0, 40))
    whole = job_of(bars, burst, {"keep": [60, 0], "n": [64, 65], "valid": [True, False]})
    first, second = both(whole)
    assert_same(first, second)
    assert first.done.reshape(2, 2, 2)[:, 0].all()
    assert not first.done.reshape(2, 2, 2)[:, 1].any()
    res = kk.backtest(bars, burst, {"n": 64, "valid": False})
    assert len(kk.orders(res)) == 64
    assert np.isfinite(res["equity"].values).all()


@kk.indicator(state=dict(seen=0))
def fragile(s, x, at):  # type: ignore[no-untyped-def]
    s.seen += 1
    if s.seen > at:
        raise ValueError("worn out")
    return x


@kk.strategy(warmup=10)
def relies(ctx, at=50, size=1.0):  # type: ignore[no-untyped-def]
    if fragile(ctx.close, at) > 0.0 and ctx.i % 7 == 0:
        ctx.target(size if ctx.position == 0.0 else 0.0)


@pytest.mark.parametrize("tile", [1, 16, 4096])
def test_an_own_indicator_that_raises_stops_its_trials_at_that_bar(tile: int) -> None:
    """It runs ahead of the decisions: what they saw before is kept, trials with other arguments go on."""
    whole = job_of(market(300, 1), relies, {"at": [3, 50, 299, 1000], "size": [1.0, 2.0]})
    with mock.patch.multiple(session, TILE=tile, LEAST_TILE=tile):
        alone, together = both(whole)
    assert_same(alone, together)
    n = int(whole.trials["i1"][0])
    wanted = {k: (L.RAISED, at) for k, at in enumerate(np.repeat([3, 50, 299, 1000], 2)) if at < n}
    assert {k: e[:2] for k, e in together.errors.items()} == wanted
    bars = market(300, 1)
    for at in (3, 50):
        with pytest.raises(ValueError, match="worn out") as seen:
            kk.backtest(bars, relies, {"at": at})
        assert seen.value.__notes__[0].startswith(f"relies, bar {at} (")
    before = kk.backtest(bars, relies, {"at": 50}, end=bars["time"].values[49])
    assert float(before["n_fills"]) > 0.0


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.data())
def test_session_end__equals_looking_at_every_bar(lengths: list[int], data: st.DataObject) -> None:
    sessions = np.repeat(np.arange(len(lengths), dtype="i8") * 3, lengths)
    i = data.draw(st.integers(0, len(sessions) - 1))
    until = data.draw(st.integers(i + 1, len(sessions)))
    others = np.flatnonzero(sessions[i:until] != sessions[i])
    guess = data.draw(st.integers(0, len(sessions) + 1))
    assert session_end(sessions.ctypes.data, i, until, guess) == (i + int(others[0]) if len(others) else until)


def test_room_for_orders_is_made_for_the_trial_that_needs_it() -> None:
    @kk.strategy(warmup=0)
    def pile(ctx, per_bar=0):  # type: ignore[no-untyped-def]
        for _ in range(per_bar):
            ctx.limit(1.0, 0.001 * ctx.close[0])

    whole = job_of(market(100, 1), pile, {"per_bar": [0, 5, 1, 20]})
    running, outcome = Session(whole), new_outcome(4, True)
    running.run(outcome, 0, 4)
    assert outcome.done.all()
    assert sorted(running.larger) == [1, 2, 3]  # all but the one that orders nothing
    assert running.state.shape[1] == running.template.size
    assert_same(*both(whole))


@kk.indicator(state=dict(seen=0))
def brittle(s, x, at):  # type: ignore[no-untyped-def]
    s.seen += 1
    if s.seen > at:
        raise ZeroDivisionError(at)
    return x


@kk.strategy
def on_two(ctx, first=40, second=10):  # type: ignore[no-untyped-def]
    if brittle(ctx.close, first) + brittle(ctx.open, second) > 0.0:
        ctx.target(1.0)


@pytest.mark.parametrize("debug", [False, True])
def test_of_two_indicators_that_raise_the_earlier_bar_counts(debug: bool) -> None:
    bars = market(100, 1)
    strategy = kk.strategy(warmup=50)(on_two.function)
    with pytest.raises(ZeroDivisionError, match=r"^10\b") as seen:
        kk.backtest(bars, strategy, debug=debug)
    if not debug:
        assert seen.value.__notes__[0].startswith("on_two, bar 10 (")


@pytest.mark.parametrize("close_out", ["none", "last_close"])
def test_an_indicator_that_raises_where_nobody_decides_is_not_heard(close_out: str) -> None:
    """After ruin, and on the bar that closes out (T5): compiled and in Python."""

    @kk.strategy(warmup=0)
    def bold(ctx, at=40, size=1.0):  # type: ignore[no-untyped-def]
        if brittle(ctx.close, at) > 0.0 and ctx.i == 3:
            ctx.target(-size)

    close = np.r_[np.full(20, 100.0), np.full(40, 300.0)]
    index = pd.date_range("2021-01-01", periods=60, freq="1D")
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close), index=index).assign(volume=1.0)
    frame["high"], frame["low"] = frame["high"] * 1.01, frame["low"] * 0.99
    bars = kk.data.from_pandas(frame, calendar="24/7", bar="1D", label="open")
    params = {"at": 40, "size": 15000.0} if close_out == "none" else {"at": 59, "size": 1.0}
    settings = {"venue": kk.Venue("debt", cash_rule="debt"), "fill_model": kk.FillModel(close_out=close_out)}
    one, other = (kk.backtest(bars, bold, params, debug=debug, **settings) for debug in (False, True))
    assert float(one["final_equity"]) == float(other["final_equity"])
    assert float(one["n_trades"]) == float(other["n_trades"]) == 1.0
    with pytest.raises(ZeroDivisionError):
        kk.backtest(bars, bold, {**params, "at": 15}, debug=True, **settings)


def test_a_result_asked_for_on_the_way_leaves_the_run_as_it_was() -> None:
    """Also when that is interrupted."""
    bars = market(300, 1)
    run = kk.start(bars.isel(time=slice(0, 200)), relies, {"at": 1000})
    before = run._session.block.tobytes()
    call = run._session.call

    def interrupted(*args: Any) -> None:
        call(*args)
        raise KeyboardInterrupt

    with mock.patch.object(run._session, "call", interrupted), pytest.raises(KeyboardInterrupt):
        run.result()
    assert run._session.block.tobytes() == before
    run.feed(bars)
    whole = kk.start(bars, relies, {"at": 1000})
    assert run._session.block.tobytes() == whole._session.block.tobytes()
