"""The engine and the reference simulator agree on higher timeframes (W1-W8), whole and resumed, in portfolios too."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.kernels.session import Recorder
from tests.agree import assert_agree
from tests.clocks import ACCOUNT, FEE, VENUE, asset_of, calendar_of, clock_of, config_of, job_of, markets, step_of
from tests.programs import found
from tests.reference import Outcome, Ways, simulate, simulate_portfolio
from tests.reference.timeframes import Read, Timeframe, ready

EXAMPLES = 50


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


# W1-W6: what a decision sees, from its first bar on


@kk.strategy(warmup=0)
def watching(ctx, n=3):  # type: ignore[no-untyped-def]
    h = ctx.tf("60m")
    week = ctx.tf("1W")
    ctx.record("open", h.open[0])
    ctx.record("high", h.high[-1])
    ctx.record("low", ctx.tf("2h").low[0])
    ctx.record("close", ctx.tf("4h").close[-2])
    ctx.record("volume", ctx.tf("4h").volume[0])
    ctx.record("day_open", ctx.tf("1D").open[0])
    ctx.record("day_low", ctx.tf("24h").low[-1])
    ctx.record("day_volume", ctx.tf("1D").volume[0])
    ctx.record("week_high", week.high[0])
    ctx.record("week_close", week.close[0])
    ctx.record("week_volume", week.volume[0])
    ctx.record("sma", h.close.sma(n))
    ctx.record("sma_before", ctx.tf("2h").open.sma(n)[-1])
    ctx.record("max", ctx.tf("1D").high.max(2))
    ctx.record("min", h.low.min(n)[-1])
    ctx.record("atr", ctx.tf("2h").atr(n))
    ctx.record("atr_before", h.atr(n)[-1])
    if ctx.close[0] > h.close.sma(n):
        ctx.target_percent(0.8)
    elif ctx.close[0] < ctx.tf("1D").low[0]:
        ctx.target_percent(-0.5)


class Frames:
    """The timeframes of one asset, in the reference's words."""

    def __init__(self, bars: xr.Dataset, k: int = 0) -> None:
        self.asset, self.calendar = asset_of(bars, k), calendar_of(bars.attrs["calendar"])
        own = self.asset.bars, self.asset.grid
        self.of = {name: Timeframe(*own, name, step_of(bars), self.calendar) for name in ("1h", "2h", "4h", "1D", "1W")}

    def watched(self, t: int, n: int) -> list[float]:
        """What `watching` records."""
        h, two, four, day, week = self.of.values()
        return [
            h.price("o", t),
            h.price("h", t, 1),
            two.price("l", t),
            four.price("c", t, 2),
            four.volume(t),
            day.price("o", t),
            day.price("l", t, 1),
            day.volume(t),
            week.price("h", t),
            week.price("c", t),
            week.volume(t),
            h.sma("c", n, t),
            two.sma("o", n, t, 1),
            day.max("h", 2, t),
            h.min("l", n, t, 1),
            two.atr(n, t),
            h.atr(n, t, 1),
        ]


def run_watching(bars: xr.Dataset, n: int) -> tuple[Outcome, list[list[float]]]:
    """The same on the reference simulator."""
    frames, records = Frames(bars), []

    def decide(ctx: Any) -> None:
        records.append(frames.watched(ctx.i, n))
        close = ctx.close()
        if close > frames.of["1h"].sma("c", n, ctx.i):
            ctx.target_percent(0.8)
        elif close < frames.of["1D"].price("l", ctx.i):
            ctx.target_percent(-0.5)

    return simulate(frames.asset.bars, frames.asset.grid, config_of(bars), decide), records


@settings(max_examples=EXAMPLES, deadline=None)
@given(markets(), st.integers(1, 6))
@pytest.mark.oracle("Reference simulator, the clock", covers="W1-W6", cases=EXAMPLES)
def test_w6__what_a_decision_sees_is_reference(bars: xr.Dataset, n: int) -> None:
    recorder = Recorder(job_of(bars, watching, n=n), 0)
    logs = recorder.all()
    expected, records = run_watching(bars, n)
    np.testing.assert_array_equal(logs.records, records)
    assert_agree(logs, *found(recorder), expected)


# W7: the first decision


@kk.strategy
def waiting(ctx, n=3):  # type: ignore[no-untyped-def]
    h = ctx.tf("1h")
    ctx.record("high", ctx.tf("2h").high[-2] - ctx.tf("2h").low[0])
    if ctx.close[0] > h.close.sma(n)[-1]:
        ctx.target_percent(0.8)
    elif ctx.close[0] < h.low.min(2):
        ctx.target_percent(-0.5)


def read_by_waiting(frames: Frames, n: int) -> list[tuple[Timeframe, Read]]:
    return [(frames.of["1h"], Read(max(n, 2), before=True)), (frames.of["2h"], Read(before=True, k=2))]


def wait(ctx: Any, frames: Frames, t: int, n: int) -> float:
    """What `waiting` does of one asset at its own bar `t`; what it records."""
    if ctx.close() > frames.of["1h"].sma("c", n, t, 1):
        ctx.target_percent(0.8)
    elif ctx.close() < frames.of["1h"].min("l", 2, t):
        ctx.target_percent(-0.5)
    return frames.of["2h"].price("h", t, 2) - frames.of["2h"].price("l", t)


@settings(max_examples=EXAMPLES, deadline=None)
@given(markets(), st.integers(1, 6))
@pytest.mark.oracle("Reference simulator, the clock", covers="W7", cases=EXAMPLES)
def test_w7__the_first_decision_is_reference(bars: xr.Dataset, n: int) -> None:
    frames = Frames(bars)
    start = next((t for t in range(len(frames.asset.bars)) if ready(read_by_waiting(frames, n), t)), None)
    job = job_of(bars, waiting, n=n)
    if start is None:
        assert job.trials["trade_from"][0] >= bars.sizes["time"]
        return
    records: list[float] = []
    config = config_of(bars, start)
    expected = simulate(
        frames.asset.bars, frames.asset.grid, config, lambda ctx: records.append(wait(ctx, frames, ctx.i, n))
    )
    recorder = Recorder(job, 0)
    logs = recorder.all()
    assert logs.records[:, 0].tolist() == records
    assert_agree(logs, *found(recorder), expected)


# W8, X9, V3: portfolios


@kk.portfolio(warmup=0)
def basket(ctx, n=3):  # type: ignore[no-untyped-def]
    total = 0.0
    for k in ctx.tradable:
        x = ctx[k].tf("2h").close.sma(n) - ctx[k].tf("1h").low[-1] + ctx[k].tf("1W").high[0]
        day = ctx[k].tf("1D").close[0]
        total += (day - x if day - x == day - x else -7.0) * (k + 1)
        if ctx[k].close[0] > ctx[k].tf("1h").close.sma(n):
            ctx[k].target_percent(0.4)
        elif ctx[k].close[0] < day:
            ctx[k].target_percent(-0.2)
    ctx.record("total", total)
    if ctx.i % 5 == 0:
        ctx.record("sent", ctx.transfer(1000.0, 0, ctx.n - 1))


EACH = kk.portfolio(waiting)


def basket_of(ctx: Any, frames: list[Frames], n: int) -> tuple[float, float]:
    """The same; what it records."""
    total = 0.0
    for k, one in enumerate(frames):
        t = one.asset.rows[ctx.i]
        if t < 0:
            continue
        x = one.of["2h"].sma("c", n, t) - one.of["1h"].price("l", t, 1) + one.of["1W"].price("h", t)
        day = one.of["1D"].price("c", t)
        total += (-7.0 if math.isnan(day - x) else day - x) * (k + 1)
        if ctx[k].close() > one.of["1h"].sma("c", n, t):
            ctx[k].target_percent(0.4)
        elif ctx[k].close() < day:
            ctx[k].target_percent(-0.2)
    return total, ctx.transfer(1000.0, 0, len(frames) - 1) if ctx.i % 5 == 0 else math.nan


@settings(max_examples=EXAMPLES, deadline=None)
@given(markets(2, 4), st.integers(1, 5), st.sampled_from([0, 1, 25]))
@pytest.mark.oracle("Reference simulator, the clock", covers="V3, V5, W8", cases=EXAMPLES)
def test_w8__portfolios_at_several_venues_are_reference(bars: xr.Dataset, n: int, hours: int) -> None:
    names = [str(name) for name in bars["asset"].values]
    frames = [Frames(bars, k) for k in range(len(names))]
    venue = {name: kk.Venue("ab"[k % 2], fees=FEE) for k, name in enumerate(names)}
    account = kk.Accounts({"a": kk.Account(5e4), "b": kk.Account(2e4)}, transfer=f"{hours}h", fee=2.0)
    recorder = Recorder(job_of(bars, basket, account, venue, n=n), 0)
    logs = recorder.all()
    records: list[tuple[float, float]] = []
    homes, delay = [k % 2 for k in range(len(names))], hours * 3600 * 10**9
    expected = simulate_portfolio(
        clock_of(bars),
        [one.asset for one in frames],
        config_of(bars),
        lambda ctx: records.append(basket_of(ctx, frames, n)),
        (),
        [config_of(bars, cash=cash) for cash in (5e4, 2e4)],
        homes,
        Ways([[delay] * 2] * 2, [2.0, 2.0]),
    )
    np.testing.assert_array_equal(logs.records, records)
    assert_agree(logs, *found(recorder), expected)


@settings(max_examples=EXAMPLES, deadline=None)
@given(markets(1, 4), st.integers(1, 5))
@pytest.mark.oracle("Reference simulator, the clock", covers="W7, W8, X9", cases=EXAMPLES)
def test_w8__each_asset_waits_for_its_own_is_reference(bars: xr.Dataset, n: int) -> None:
    frames, clock = [Frames(bars, k) for k in range(bars.sizes["asset"])], clock_of(bars)
    called = [[row >= 0 and ready(read_by_waiting(one, n), row) for row in one.asset.rows] for one in frames]
    start = next((t for t in range(len(clock)) if any(asset[t] for asset in called)), None)
    job = job_of(bars, EACH, n=n)
    if start is None:
        assert job.trials["trade_from"][0] >= len(clock)
        return
    records = np.full((len(clock) - start, len(frames)), np.nan)

    def decide(ctx: Any) -> None:
        for k, one in enumerate(frames):
            if called[k][ctx.i]:
                records[ctx.i - start, k] = wait(ctx[k], one, one.asset.rows[ctx.i], n)

    expected = simulate_portfolio(clock, [one.asset for one in frames], config_of(bars, start), decide)
    recorder = Recorder(job, 0)
    logs = recorder.all()
    np.testing.assert_array_equal(logs.records.ravel(), records.ravel())
    assert_agree(logs, *found(recorder), expected)


# A run that goes on, cut anywhere: in the middle of a higher bar, before the first decision, between two sessions


@settings(max_examples=15, deadline=None)
@given(markets(), st.integers(1, 6), st.data())
@pytest.mark.oracle("Reference simulator, the clock", covers="W1-W6", cases=15)
def test_w5__a_run_that_goes_on_is_reference(
    tmp_path_factory: pytest.TempPathFactory, bars: xr.Dataset, n: int, data: st.DataObject
) -> None:
    size = bars.sizes["time"]
    first, *later = [*sorted(data.draw(st.sets(st.integers(1, size - 1), min_size=1, max_size=3))), size]
    run = kk.start(bars.isel(time=slice(0, first)), watching, params=dict(n=n), venue=VENUE, account=ACCOUNT)
    for cut in later:
        run = kk.resume(run.save(tmp_path_factory.mktemp("run") / "saved"), watching)
        run.feed(bars.isel(time=slice(0, cut)))
    res = run.result()
    expected, records = run_watching(bars, n)
    for k, name in enumerate(watching.program({"n": int}).plan.records):
        np.testing.assert_array_equal(res[name].values.ravel(), [record[k] for record in records], name)
    assert res["equity"].values.ravel().tolist() == expected.equity
    assert kk.fills(res)["fee"].tolist() == [fill["fee"] for fill in expected.fills]
