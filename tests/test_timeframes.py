"""Strategies that read higher timeframes: compiled, in debug mode, cut anywhere, in grids and portfolios."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dask.base import tokenize
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.endless import one_recipe
from kernelkit.errors import LookaheadError, RunError, StrategyError, UsageError
from kernelkit.kernels import layout as L
from kernelkit.kernels.block import template_block
from kernelkit.kernels.plan import Plan
from kernelkit.kernels.session import Session
from kernelkit.market.settings import Settings
from kernelkit.recipe import plan_job
from kernelkit.table import panel_of
from tests import higher as oracle

N = 3000
SETTINGS = Settings.of(None, None, None)


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


def frame(seed: int = 0, n: int = N, missing: float = 0.3, start: str = "2024-01-05 22:17") -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    index = pd.date_range(start, periods=n, freq="1min", tz="UTC")
    close = np.round(100.0 * np.exp(np.cumsum(rng.normal(0, 2e-3, n))), 2)
    opens = np.round(close + rng.normal(0, 0.1, n), 2)
    high, low = np.maximum(opens, close) + 0.05, np.minimum(opens, close) - 0.05
    volume = rng.integers(1, 99, n).astype("f8")
    whole = pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": volume}, index).round(2)
    kept = rng.random(n) >= missing
    kept[n // 3 : n // 3 + int(400 * missing)] = False
    return whole[kept]


def minutes(seed: int = 0, n: int = N, missing: float = 0.3, **more: Any) -> Any:
    frames = {"A": frame(seed, n, missing)} | more
    return kk.data.from_pandas(frames, bar="1min", label="open", calendar="24/7", tick_size=0.01)


@kk.indicator(state=dict(e=0.0, n=0))
def decay(s, x, rate):  # type: ignore[no-untyped-def]
    s.n += 1
    s.e += rate * (x - s.e)
    return s.e


def spread(ctx, k):  # type: ignore[no-untyped-def]
    return k * (ctx.tf("30m").high[0] - ctx.tf("30m").low[-1])


@kk.strategy(warmup=0)
def everything(ctx, n=5, k=0.5):  # type: ignore[no-untyped-def]
    h = ctx.tf("1h")
    total = 0.0
    for j in range(3):
        total += h.close[-j]
    ctx.record("history", total)
    ctx.record("sma", h.close.sma(n))
    ctx.record("sma_before", h.close.sma(n)[-1])
    ctx.record("ema", h.open.ema(n))
    ctx.record("std", ctx.tf("5m").close.std(n)[-1])
    ctx.record("vol", ctx.tf("5m").close.volatility(n))
    ctx.record("extremes", ctx.tf("5m").high.max(n) - ctx.tf("15m").low.min(7))
    ctx.record("rsi", ctx.tf("5m").close.rsi(n))
    ctx.record("sums", ctx.tf("15m").volume.sum(n) + ctx.tf("15m").volume.sma(n)[-1] + ctx.tf("15m").low.sum(3))
    ctx.record("atr", ctx.tf("15m").atr(n))
    ctx.record("vwap", ctx.tf("15m").vwap(n)[-1])
    ctx.record("own", decay(ctx.tf("15m").close, k) - decay(ctx.tf("15m").close, k)[-1])
    ctx.record("day", ctx.tf("1D").close[0] - ctx.tf("24h").open[0])
    ctx.record("base", ctx.close.sma(n) + ctx.close.sma(n)[-1])
    ctx.record("helped", spread(ctx, k))
    if ctx.close[0] > h.close.sma(n):
        ctx.target_percent(0.9)
    elif ctx.close[0] < ctx.tf("15m").low.min(7):
        ctx.target_percent(-0.4)


RECORDS = everything.program({"n": int, "k": float}).plan.records


def assert_same(a: Any, b: Any, names: list[str]) -> None:
    for name in names:
        np.testing.assert_array_equal(a[name].values, b[name].values, name)


def test_debug_is_compiled() -> None:
    bars = minutes(n=900, missing=0.2)
    fast, slow = (kk.backtest(bars, everything, grid=dict(n=[2, 5]), debug=d) for d in (False, True))
    assert float(fast["n_fills"].min()) > 5
    assert_same(fast, slow, [*RECORDS, "equity", "position", "final_equity", "sharpe_ratio"])
    last = {name: fast[name].values[..., -1].ravel() for name in RECORDS}
    assert all(np.isfinite(values).all() for name, values in last.items() if name != "day"), last


@kk.strategy(warmup=0)
def plain(ctx, n=5, k=0.5):  # type: ignore[no-untyped-def]
    ctx.record("sma", ctx.close.sma(n))
    ctx.record("ema", ctx.open.ema(n))
    ctx.record("std", ctx.close.std(n))
    ctx.record("vol", ctx.close.volatility(n))
    ctx.record("max", ctx.high.max(n))
    ctx.record("min", ctx.low.min(n))
    ctx.record("rsi", ctx.close.rsi(n))
    ctx.record("sum", ctx.low.sum(n))
    ctx.record("volume", ctx.volume.sma(n) + ctx.volume.sum(n))
    ctx.record("atr", ctx.atr(n))
    ctx.record("vwap", ctx.vwap(n))
    ctx.record("own", decay(ctx.close, k))
    ctx.record("before", ctx.close.ema(n)[-1] + ctx.atr(n)[-1])


@kk.strategy(warmup=0)
def hourly(ctx, n=5, k=0.5):  # type: ignore[no-untyped-def]
    h = ctx.tf("1h")
    ctx.record("sma", h.close.sma(n))
    ctx.record("ema", h.open.ema(n))
    ctx.record("std", h.close.std(n))
    ctx.record("vol", h.close.volatility(n))
    ctx.record("max", h.high.max(n))
    ctx.record("min", h.low.min(n))
    ctx.record("rsi", h.close.rsi(n))
    ctx.record("sum", h.low.sum(n))
    ctx.record("volume", h.volume.sma(n) + h.volume.sum(n))
    ctx.record("atr", h.atr(n))
    ctx.record("vwap", h.vwap(n))
    ctx.record("own", decay(h.close, k))
    ctx.record("before", h.close.ema(n)[-1] + h.atr(n)[-1])


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.97])
def test_w6__indicators_are_those_of_the_higher_bars_themselves(missing: float) -> None:
    """pandas makes the hours, the engine computes on them as on bars, and pandas merges what it gave: bit for bit."""
    bars = minutes(n=20_000, missing=missing)
    base = oracle.base(bars)
    hours = oracle.resampled(base, "1h", "24/7")
    done = hours[hours["end"] <= base["known_at"].iloc[-1]]
    own = kk.data.from_pandas(
        done.set_index("end")[["open", "high", "low", "close", "volume"]],
        bar="1h",
        label="close",
        calendar="24/7",
        tick_size=0.01,
    )
    found, given = kk.backtest(bars, hourly), kk.backtest(own, plain)
    for name in hourly.program({"n": int, "k": float}).plan.records:
        wanted = oracle.shifted(base, hours, np.append(given[name].values.ravel(), np.nan))
        np.testing.assert_array_equal(found[name].values.ravel(), wanted, name)
        assert np.isfinite(wanted).any(), name


@kk.strategy(warmup=0)
def own_and_minute(ctx, n=5):  # type: ignore[no-untyped-def]
    m = ctx.tf("1m")
    ctx.record("same", 1.0 * (m.close.std(n) == ctx.close.std(n)) + 1.0 * (m.close[0] == ctx.close[0]))
    ctx.record("before", 1.0 * (m.close.ema(n)[-1] == ctx.close.ema(n)[-1]) + 1.0 * (m.high[-3] == ctx.high[-3]))


def test_w6__the_bars_own_timeframe_is_the_bars() -> None:
    res = kk.backtest(minutes(n=9000), own_and_minute)
    assert (res["same"].values.ravel()[5:] == 2.0).all()
    assert (res["before"].values.ravel()[5:] == 2.0).all()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 999), st.integers(1, 700), st.sampled_from([0.0, 0.3, 0.9]), st.integers(1, 30))
def test_truncation_law(seed: int, stop: int, missing: float, n: int) -> None:
    bars = minutes(seed, 800, missing)
    stop = min(stop, bars.sizes["time"] - 1)
    whole, part = (kk.backtest(b, everything, params=dict(n=n)) for b in (bars, bars.isel(time=slice(0, stop))))
    for name in (*RECORDS, "equity", "position"):
        np.testing.assert_array_equal(part[name].values, whole[name].values[:stop], name)


@kk.strategy
def trend(ctx, n=4):  # type: ignore[no-untyped-def]
    h = ctx.tf("1h")
    if ctx.close[0] > h.close.sma(n) and ctx.tf("15m").close.rsi(3) > 40.0:
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)


def first_row(bars: Any, **closed: int) -> int:
    """The first base bar by which so many bars of each timeframe have closed, by pandas."""
    base = oracle.base(bars)
    rows = []
    for name, n in closed.items():
        number = oracle.seen(base, oracle.resampled(base, name[1:], "24/7"))["number"].fillna(-1.0)
        rows.append(int(np.flatnonzero(number.to_numpy() >= n - 1)[0]))
    return max(rows)


def test_w7__the_first_decision_waits_for_the_higher_windows() -> None:
    bars = minutes()
    for n, tf in ((2, dict(_1h=2, _15m=4)), (4, dict(_1h=4, _15m=4)), (11, dict(_1h=11, _15m=4))):
        res = kk.backtest(bars, trend, params=dict(n=n))
        assert res["time"].values[0] == bars["time"].values[first_row(bars, **tf)]
    later = kk.backtest(bars, trend, start=bars["time"].values[2000])
    assert later["time"].values[0] == bars["time"].values[2000]


def test_w7__worked() -> None:
    # known at 00:01 ... 02:05; hours close at 01:00 and 02:00, the bars 59 and 119; sma(2) has a value from 119 on
    index = pd.date_range("2024-01-01", periods=125, freq="1min", tz="UTC")
    bars = kk.data.from_pandas(frame(n=125, missing=0.0).set_index(index), bar="1min", label="open", calendar="24/7")

    @kk.strategy
    def average(ctx):  # type: ignore[no-untyped-def]
        ctx.record("x", ctx.tf("1h").close.sma(2))

    @kk.strategy
    def before(ctx):  # type: ignore[no-untyped-def]
        ctx.record("x", ctx.tf("1h").close[-1] + ctx.tf("30m").close[0])

    @kk.strategy
    def declared(ctx):  # type: ignore[no-untyped-def]
        ctx.record("x", ctx.tf("1h").close[0])

    declared.warmup = 3
    for strategy, row in ((average, 119), (before, 119), (declared, 3)):
        assert kk.backtest(bars, strategy)["time"].values[0] == bars["time"].values[row], strategy
    x = kk.backtest(bars, declared)["x"].values.ravel()
    close = bars["close"].values.ravel()
    assert np.isnan(x[: 59 - 3]).all()
    assert (x[59 - 3 : 119 - 3] == close[59]).all()
    assert (x[119 - 3 :] == close[119]).all()


def test_w7__a_grid_starts_all_its_trials_where_its_largest_window_is_full() -> None:
    bars = minutes()
    res = kk.backtest(bars, trend, grid=dict(n=[2, 20, 7]))
    assert res["time"].values[0] == bars["time"].values[first_row(bars, _1h=20, _15m=4)]
    for n in (2, 7):
        alone = kk.backtest(bars, trend, params=dict(n=n), start=res["time"].values[0])
        assert_same(res.sel(n=n), alone, ["equity", "position", "sharpe_ratio", "n_fills"])


def test_a_grid_shares_the_indicators_of_a_timeframe() -> None:
    scalars, axes = dict(k=0.5), dict(n=[3, 5], k=[0.1, 0.2])
    recipe = plan_job(minutes(), everything, scalars, axes, None, (0, 1500), SETTINGS, True)
    session = Session(recipe.job)
    session.lay(0, 4)
    names = [site.kind for site in recipe.job.plan.sites]
    assert names.count("sma_price") == 2  # of the hour and of the bars themselves
    # by n: sma, ema, std, volatility, max, rsi, sum and sma of volume, atr, vwap, the bars' own sma; by k: the own one
    assert len(session.rows) == 2 * 11 + 2 * 1 + 2


def test_a_grid_of_many_is_each_trial_alone() -> None:
    bars = minutes(n=6000, missing=0.1)
    res = kk.backtest(bars, everything, grid=dict(n=range(2, 42), k=[0.1, 0.5]))  # so many rows that tiles are narrow
    for n, k in ((2, 0.5), (17, 0.1), (41, 0.5)):
        alone = kk.backtest(bars, everything, params=dict(n=n, k=k))
        assert_same(res.sel(n=n, k=k), alone, ["final_equity", "n_fills", "sharpe_ratio", "equity", *RECORDS])


def test_tables_travel_with_their_higher_bars() -> None:
    bars = minutes()
    table, hours = (panel_of(bars, [], timeframes=tf).tables[0] for tf in ([], ["1h"]))
    again = pickle.loads(pickle.dumps(hours))
    assert again.digest == hours.digest != table.digest
    assert again.higher[0].begins(hours.higher[0])
    assert tokenize(again) == tokenize(hours) != tokenize(table)  # what a cluster calls them
    job = one_recipe(bars, everything, dict(n=4, k=0.5), None, SETTINGS).job
    one, other = (Session(j) for j in (job, pickle.loads(pickle.dumps(job))))
    for session in (one, other):
        session.advance(bars.sizes["time"])
    assert one.ended(bars.sizes["time"]).headline.tobytes() == other.ended(bars.sizes["time"]).headline.tobytes()


def test_several_assets_have_their_own_higher_bars() -> None:
    frames = {"B": frame(7, 2500, 0.6, "2024-01-06 03:00"), "C": frame(8, N, 0.0)}
    bars = minutes(**frames)
    res = kk.backtest(bars, everything)
    for name, one in {"A": frame(), **frames}.items():
        alone = kk.data.from_pandas({name: one}, bar="1min", label="open", calendar="24/7", tick_size=0.01)
        expected = kk.backtest(alone, everything)
        own = res.sel(asset=name).sel(time=expected["time"])
        for record in (*RECORDS, "equity", "position"):
            np.testing.assert_array_equal(own[record].values, expected[record].values.ravel(), f"{name} {record}")


@pytest.mark.parametrize("cuts", [[1], [700], [30, 31, 95, 96, 400, 401, 1000]])
def test_a_run_that_goes_on_is_one_whole_run(cuts: list[int], tmp_path: Path) -> None:
    bars = minutes(n=2200)
    whole = kk.backtest(bars, trend, params=dict(n=6))
    at = [0, *cuts, bars.sizes["time"]]
    pieces = [bars.isel(time=slice(a, b)) for a, b in pairwise(at)]
    run = kk.start(pieces[0], trend, params=dict(n=6))
    for k, piece in enumerate(pieces[1:]):
        if k % 2 == 0:  # whatever it still waits for is saved, too
            run.save(tmp_path / "run")
            run = kk.resume(tmp_path / "run", strategy=trend if k else None)
        run.feed(piece)
    res = run.result()
    assert_same(whole, res, ["equity", "position", "final_equity", "n_fills", "sharpe_ratio"])
    assert res["time"].values[0] == whole["time"].values[0]


def test_a_run_that_still_warms_up_says_so() -> None:
    bars = minutes(n=2200)
    run = kk.start(bars.isel(time=slice(0, 100)), trend, params=dict(n=6))
    with pytest.raises(RunError, match="100 bars, all of them warm-up"):
        run.result()


def test_a_feed_with_another_calendar_is_refused() -> None:
    bars = minutes(n=3 * 1440, missing=0.0)
    run = kk.start(bars.isel(time=slice(0, 2000)), daily)
    with pytest.raises(UsageError, match="bars that differ from those already run"):
        run.feed(bars.assign_attrs(calendar=""))


@kk.strategy
def daily(ctx):  # type: ignore[no-untyped-def]
    ctx.target_percent(1.0 if ctx.close[0] > ctx.tf("1D").close[0] else 0.0)


def test_blocks_are_checkpoints_at_any_bar() -> None:
    bars = minutes(n=1200)
    job = one_recipe(bars, everything, dict(n=4, k=0.5), None, SETTINGS).job
    whole = Session(job)
    whole.advance(bars.sizes["time"])
    block, at = None, 0
    for cut in [
        *np.sort(np.random.default_rng(1).choice(np.arange(1, bars.sizes["time"]), 40, False)),
        bars.sizes["time"],
    ]:
        session = Session(job)
        if block is not None:
            session.restore(block)
        session.advance(int(cut))
        block, at = session.block.copy(), int(cut)
    assert at == bars.sizes["time"]
    assert block is not None
    where = {
        n: int(whole.block[: L.HEADER.itemsize].view(L.HEADER)[n][0])
        for n in ("off_metrics", "off_strategy", "off_orders")
    }
    words = slice(where["off_strategy"], where["off_orders"])
    places = [8 * (s.slot + 1) for s in job.plan.sites]  # where values lie in the panel: of the session, not of the run
    mine, own = block[words].copy(), whole.block[words].copy()
    for place in places:
        mine[place : place + 8] = own[place : place + 8] = 0
    assert mine.tobytes() == own.tobytes()
    assert block[: where["off_metrics"]].tobytes() == whole.block[: where["off_metrics"]].tobytes()


def test_walk_forward() -> None:
    bars = minutes(n=8 * 1440, missing=0.2)
    how = dict(train="2D", test="1D")
    one = kk.walk_forward(bars, trend, grid=dict(n=[5]), **how)
    begin = one["time"].values[0]
    alone = kk.backtest(bars, trend, params=dict(n=5), start=begin, end=one["time"].values[-1])
    # its first decision is as of any run that begins there; what a fold changes is nothing, as there is one cell
    np.testing.assert_array_equal(one["equity_oos"].values.ravel(), alone["equity"].values.ravel())
    two = kk.walk_forward(bars, trend, grid=dict(n=[3, 9]), **how)
    assert set(two["n"].values.tolist()) <= {3, 9}
    assert np.isfinite(two["equity_oos"].values).all()


def test_audit() -> None:
    assert kk.audit(minutes(n=1500), trend, params=dict(n=3), cuts=12).blind


# Portfolios


@kk.portfolio(state=dict(w=kk.each()), warmup=0)
def rotation(ctx, s, n=3, k=0.5):  # type: ignore[no-untyped-def]
    total = 0.0
    for a in ctx.tradable:
        h = ctx[a].tf("1h").close.sma(n)
        total += ctx[a].tf("15m").high[0] + ctx[a].tf("15m").low[-1] + ctx[a].tf("15m").atr(n)[-1]
        s.w[a] = 0.3 if ctx[a].close[0] > h else 0.0
    ctx.record("total", total)
    ctx.record("first", ctx[0].tf("1h").close.ema(n))
    ctx.record("last", ctx[ctx.n - 1].tf("1h").volume.sum(n)[-1])
    ctx.record("own", decay(ctx[1].tf("15m").close, k))
    ctx.weights(s.w)


def assets(missing: float = 0.4, n: int = 2000) -> Any:
    frames = {"B": frame(7, n - 500, missing, "2024-01-06 01:00"), "C": frame(8, n, 0.0)}
    return kk.data.from_pandas({"A": frame(n=n, missing=missing), **frames}, bar="1min", label="open", calendar="24/7")


@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_portfolio__debug_is_compiled(missing: float) -> None:
    bars = assets(missing).isel(time=slice(0, 600))
    fast, slow = (kk.backtest(bars, rotation, grid=dict(n=[2, 5]), debug=d) for d in (False, True))
    assert float(fast["n_fills"].min()) > 5
    assert_same(fast, slow, ["total", "first", "last", "own", "equity", "final_equity"])
    assert np.isfinite(fast["total"].values[..., -1]).all()


def test_w8__what_a_portfolio_sees_of_an_asset_is_what_it_sees_alone() -> None:
    bars = assets()

    @kk.portfolio(warmup=0)
    def watch(ctx):  # type: ignore[no-untyped-def]
        ctx.record("close", ctx[1].tf("1h").close[0])
        ctx.record("ema", ctx[1].tf("1h").close.ema(3))
        ctx.record("before", ctx[1].tf("15m").close.rsi(4)[-1])

    @kk.strategy(warmup=0)
    def alone(ctx):  # type: ignore[no-untyped-def]
        ctx.record("close", ctx.tf("1h").close[0])
        ctx.record("ema", ctx.tf("1h").close.ema(3))
        ctx.record("before", ctx.tf("15m").close.rsi(4)[-1])

    rows = np.flatnonzero(bars["valid"].values[:, 1])
    own = kk.data.from_pandas({"B": frame(7, 1500, 0.4, "2024-01-06 01:00")}, bar="1min", label="open", calendar="24/7")
    assert own.sizes["time"] == len(rows)
    found, expected = kk.backtest(bars, watch), kk.backtest(own, alone)
    last = np.searchsorted(rows, np.arange(bars.sizes["time"]), side="right") - 1  # X1: the asset's last bar
    for name in ("close", "ema", "before"):
        wanted = np.where(last >= 0, expected[name].values.ravel()[np.maximum(last, 0)], np.nan)
        np.testing.assert_array_equal(found[name].values.ravel(), wanted, name)
        assert np.isfinite(wanted).any()


def test_w8__a_portfolio_waits_for_the_first_asset() -> None:
    bars = assets()

    @kk.portfolio
    def watch(ctx):  # type: ignore[no-untyped-def]
        ctx.record("x", ctx[0].tf("1h").close.sma(4))

    whole = minutes(8, 2000, 0.0)
    res = kk.backtest(bars, watch)
    # C has every minute: it is the first whose fourth hour has closed
    row = first_row(kk.data.from_pandas({"C": frame(8, 2000, 0.0)}, bar="1min", label="open", calendar="24/7"), _1h=4)
    assert res["time"].values[0] == whole["time"].values[row]


def test_portfolio__walk_forward_and_audit() -> None:
    bars = assets(n=6 * 1440)
    res = kk.walk_forward(bars, rotation, grid=dict(n=[2, 4]), train="2D", test="1D")
    assert np.isfinite(res["equity_oos"].values).all()
    assert kk.audit(bars.isel(time=slice(0, 900)), rotation, params=dict(n=2), cuts=8).blind


# Own indicators that raise


@kk.indicator(state=dict(n=0))
def breaking(s, x, limit):  # type: ignore[no-untyped-def]
    s.n += 1
    if s.n == limit:
        raise ValueError("too many bars")
    return x


@pytest.mark.parametrize("warmup", [0, 200])
@pytest.mark.parametrize("missing", [0.0, 0.6])
def test_an_own_indicator_raises_at_the_bar_at_which_its_bar_closes(warmup: int, missing: float) -> None:
    bars = minutes(n=1000, missing=missing)

    def bad(ctx):  # type: ignore[no-untyped-def]
        ctx.record("x", breaking(ctx.tf("15m").close, 6) + ctx.close.sma(3))

    strategy = kk.strategy(warmup=warmup)(bad)
    row = first_row(bars, _15m=6)
    for debug in (False, True):
        with pytest.raises(ValueError, match="too many bars") as caught:
            kk.backtest(bars, strategy, debug=debug)
        assert 'raise ValueError("too many bars")' in "".join(traceback.format_exception(caught.value))
        if not debug:
            assert f"bar {row} " in caught.value.__notes__[0]


# What cannot be


def refused(function: Callable[..., Any], text: str, decorate: Any = kk.strategy) -> None:
    with pytest.raises(StrategyError, match=text) as caught:
        decorate(function)
    assert f"{Path(__file__).name}, line " in str(caught.value)


TEXT = "1h"


def test_w1__a_timeframe_is_a_literal() -> None:
    def variable(ctx):  # type: ignore[no-untyped-def]
        ctx.target(ctx.tf(TEXT).close[0])

    def parameter(ctx, tf="1h"):  # type: ignore[no-untyped-def]
        ctx.target(ctx.tf(tf).close[0])

    def nothing(ctx):  # type: ignore[no-untyped-def]
        ctx.target(ctx.tf().close[0])

    def number(ctx):  # type: ignore[no-untyped-def]
        ctx.target(ctx.tf(60).close[0])

    for function in (variable, parameter, nothing, number):
        refused(function, "a timeframe is one literal text")

    def unknown(ctx):  # type: ignore[no-untyped-def]
        ctx.target(ctx.tf("7m").close[0])

    refused(unknown, r"'7m' is no timeframe: `ctx.tf\('7m'\)`. There are 1m 3m")


def test_what_a_timeframe_does_not_have() -> None:
    def feature(ctx):  # type: ignore[no-untyped-def]
        ctx.target(ctx.tf("1h").x.vix[0])

    refused(feature, "features are not resampled")

    def order(ctx):  # type: ignore[no-untyped-def]
        ctx.tf("1h").buy(1.0)

    refused(order, "a timeframe has no `buy`")

    def series(ctx):  # type: ignore[no-untyped-def]
        ctx.target(ctx.tf("1h").close)

    refused(series, "close is a series")

    def value(ctx):  # type: ignore[no-untyped-def]
        ctx.target(max(ctx.tf("1h"), 1.0))

    refused(value, "a timeframe is not a value")

    def bare(ctx):  # type: ignore[no-untyped-def]
        ctx.target(ctx.tf.close[0])

    refused(bare, "ctx.tf is a method")

    def method(ctx):  # type: ignore[no-untyped-def]
        ctx.target(ctx.tf("1h").atr)

    refused(method, "atr is a method")

    def indicator(ctx):  # type: ignore[no-untyped-def]
        ctx.target(ctx.tf("1h").close.median(3))

    refused(indicator, "no indicator `median`")

    def future(ctx):  # type: ignore[no-untyped-def]
        ctx.target(ctx.tf("1h").close[1])

    refused(future, "lookahead: index 1")

    def stacked(ctx):  # type: ignore[no-untyped-def]
        ctx.target(ctx.tf("1h").tf("1D").close[0])

    refused(stacked, "a timeframe has no `tf`")

    def account(ctx):  # type: ignore[no-untyped-def]
        ctx[0].target(ctx.tf("1h").close[0])

    refused(account, "of a portfolio", kk.portfolio)


def test_a_variable_is_one_timeframe() -> None:
    def twice(ctx):  # type: ignore[no-untyped-def]
        h = ctx.tf("1h")
        h = ctx.tf("1D")
        ctx.target(h.close[0])

    refused(twice, "`h` is another timeframe already")

    def reused(ctx):  # type: ignore[no-untyped-def]
        h = ctx.tf("1h")
        ctx.target(h.close[0])
        h = 1.0

    refused(reused, "`h` is a timeframe")

    def unset(ctx, n=3):  # type: ignore[no-untyped-def]
        if n > 3:
            h = ctx.tf("1h")
        ctx.target(h.close[0])

    refused(unset, "a timeframe that is not set here")

    def several(ctx):  # type: ignore[no-untyped-def]
        h, d = ctx.tf("1h"), ctx.tf("1D")
        ctx.target(h.close[0] - d.close[0])

    refused(several, "a timeframe is not a value")

    def passed(ctx):  # type: ignore[no-untyped-def]
        h = ctx.tf("1h")
        ctx.target(spread(h, 1.0))

    refused(passed, "a timeframe is not a value")

    def asset(ctx):  # type: ignore[no-untyped-def]
        h = ctx[0].tf("1h")
        ctx[0].target(h.close[0])

    refused(asset, "a timeframe of an asset in a variable", kk.portfolio)


def test_bars_that_are_too_coarse_or_too_few() -> None:
    days = kk.data.load("sp500_index").isel(time=slice(0, 200))
    with pytest.raises(UsageError, match="timeframe 1h: found bars of 1D, wanted bars of 1h or finer"):
        kk.backtest(days, trend)
    with pytest.raises(UsageError, match="bars of A: found 16 closed bars of 1h, wanted 90 before the first decision"):
        kk.backtest(minutes(n=1000, missing=0.0), trend, params=dict(n=90))
    with pytest.raises(UsageError, match="wanted 90 before the first decision"):
        kk.backtest(assets().isel(time=slice(0, 500)), watcher)


@kk.portfolio
def watcher(ctx):  # type: ignore[no-untyped-def]
    ctx.record("x", ctx[0].tf("1h").close.sma(90))


@pytest.mark.parametrize("debug", [False, True])
def test_a_positive_index_found_at_run_time(debug: bool) -> None:
    @kk.strategy(warmup=0)
    def ahead(ctx):  # type: ignore[no-untyped-def]
        for k in range(3):
            ctx.record("x", ctx.tf("5m").close[k - 1])

    with pytest.raises(LookaheadError, match=r"index \[1\]"):
        kk.backtest(minutes(n=300), ahead, debug=debug)


# What costs nothing where it is not used


@kk.strategy
def without(ctx, n=5):  # type: ignore[no-untyped-def]
    ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) and ctx.close.ema(n)[-1] > 0.0 else 0.0)


def test_a_strategy_without_timeframes_knows_nothing_of_them() -> None:
    program = without.program({"n": int})
    assert "higher" not in program.text
    assert program.plan.keeping == []
    recipe = plan_job(minutes(n=300), without, dict(n=5), {}, None, (0, 200), SETTINGS, True)
    assert recipe.job.tables[0] is panel_of(recipe.bars, []).tables[0]
    assert int(template_block(recipe.job)[: L.HEADER.itemsize].view(L.HEADER)["n_slot"][0]) == program.plan.words
    # after all that compiled text has the offsets of
    assert L.INSTRUMENT.names[-4:] == ("higher", "closed", "n_base", "called")


def test_look_is_by_timeframe() -> None:
    plan = Plan({}, {}, timeframes={"1h": 0, "1D": 0})
    plan.look(1, 4)
    plan.look(1, 2)
    plan.look(-1, 3)
    assert (plan.reach, plan.timeframes) == (3, {"1h": 0, "1D": 4})
