"""Portfolios as users write them: an account of several assets, in compiled code and in debug mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import kernelkit as kk
from kernelkit.errors import DataError, LookaheadError, OrderError, StrategyError, UsageError

N, ASSETS = 300, 6


def frames(missing: bool = False) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(5)
    index = pd.date_range("2020-01-01", periods=N, freq="D", tz="UTC")
    out = {}
    for k in range(ASSETS):
        close = 50.0 * (k + 1) * np.exp(np.cumsum(rng.normal(0.0005, 0.02, N)))
        opens = np.r_[close[0], close[:-1]] * np.exp(rng.normal(0, 0.003, N))
        high, low = np.maximum(opens, close) * 1.004, np.minimum(opens, close) * 0.996
        frame = pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": 1e5}, index=index)
        if missing and k % 2:
            frame = frame[rng.random(N) > 0.2].iloc[10 * k :]
        out[f"A{k}"] = frame
    return out


@pytest.fixture(scope="module")
def bars() -> Any:
    return kk.data.from_pandas(frames(), label="open", bar="1D", calendar="24/7")


@pytest.fixture(scope="module")
def gaps() -> Any:
    return kk.data.from_pandas(frames(missing=True), label="open", bar="1D", calendar="24/7")


@kk.indicator(state={"e": 0.0})
def decay(s, x, rate):  # type: ignore[no-untyped-def]
    s.e += rate * (x - s.e)
    return s.e


@kk.portfolio(state={"score": kk.each(), "rank": kk.each(), "w": kk.each(), "turns": 0})
def momentum(ctx, s, top=2, n=15):  # type: ignore[no-untyped-def]
    if ctx.i % 10 == 0:
        s.turns += 1
        for k in range(ctx.n):
            s.score[k] = ctx[k].close[0] / ctx[k].close[-n] - 1.0
            if ctx[k].close.sma(n) > ctx[k].close.max(5)[-1] or decay(ctx[k].close, 0.1) < 1.0:
                s.score[k] -= 0.01
        ctx.rank(s.score, s.rank)
        for k in range(ctx.n):
            s.w[k] = 1.0 / top if s.rank[k] <= top else 0.0
        ctx.weights(s.w)
    for k in ctx.tradable:
        if ctx[k].position > 0.0 and ctx.i % 10 == 5:
            ctx[k].stop(-ctx[k].position, ctx[k].close[0] - ctx[k].atr(5), tif="DAY")
    ctx.record("turns", s.turns)


COSTS = kk.Venue("own", fees=kk.fees.fraction(0.001), slippage=kk.slippage.fraction(0.0005))


@pytest.mark.parametrize("data", ["bars", "gaps"])
def test_x3__equity_is_cash_and_positions_at_the_last_closes(data: str, request: pytest.FixtureRequest) -> None:
    bars = request.getfixturevalue(data)
    res = kk.backtest(bars, momentum, venue=COSTS)
    close = bars["close"].copy(data=pd.DataFrame(bars["close"].where(bars["valid"]).values).ffill().fillna(0.0))
    worth = res["cash"] + (res["position"] * close.sel(time=res["time"])).sum("asset")
    np.testing.assert_allclose(res["equity"], worth, rtol=1e-12)
    fills, trades = kk.fills(res), kk.trades(res)
    signed = np.where(fills["side"] == "buy", fills["quantity"], -fills["quantity"])
    last = pd.Series(signed).groupby(fills["asset"]).sum()
    for name, held in last.items():
        assert res["position"].sel(asset=name)[-1] == pytest.approx(held, abs=1e-9)
    assert len(trades) == int(res["n_trades"]) > 20
    assert set(fills["asset"]) == set(bars["asset"].values)
    spent = -(signed * fills["price"]) - fills["fee"]
    assert float(res["cash"][-1]) == pytest.approx(1e6 + spent.sum(), rel=1e-9)
    gross = np.abs(res["position"] * close.sel(time=res["time"])).sum("asset")
    assert float((gross / res["equity"]).max()) < 1.3  # bought within the equity; prices move after


@pytest.mark.parametrize("data", ["bars", "gaps"])
def test_debug_mode_is_the_compiled_portfolio(data: str, request: pytest.FixtureRequest) -> None:
    bars = request.getfixturevalue(data).isel(time=slice(0, 120))
    one, other = (kk.backtest(bars, momentum, venue=COSTS, debug=debug) for debug in (False, True))
    for name in ("equity", "cash", "position", "turns"):
        np.testing.assert_array_equal(one[name], other[name])
    pd.testing.assert_frame_equal(kk.fills(one), kk.fills(other))
    pd.testing.assert_frame_equal(kk.orders(one), kk.orders(other))


def test_a_grid_is_its_cells_one_by_one(bars: Any) -> None:
    grid = kk.backtest(bars, momentum, grid={"top": [1, 2, 4], "n": [5, 15]}, where="top != 2 or n != 5")
    assert grid["position"].dims == ("top", "n", "time", "asset")
    for top, n in ((1, 5), (4, 15), (2, 15)):
        one = kk.backtest(bars, momentum, {"top": top, "n": n}, start=grid["time"].values[0])
        cell = grid.sel(top=top, n=n)
        np.testing.assert_array_equal(cell["equity"], one["equity"])
        assert float(cell["sharpe_ratio"]) == float(one["sharpe_ratio"])
    assert np.isnan(grid["total_return"].sel(top=2, n=5))


@kk.portfolio(state={"m": kk.each(-1.0)})
def averages(ctx, s, n=7):  # type: ignore[no-untyped-def]
    for k in range(ctx.n):
        s.m[k] = ctx[k].close.sma(n)
    ctx.record("last", s.m[ctx.n - 1])
    ctx.record("before", ctx[ctx.n - 1].close.ema(n)[-1])


@kk.strategy
def average(ctx, n=7):  # type: ignore[no-untyped-def]
    ctx.record("last", ctx.close.sma(n))
    ctx.record("before", ctx.close.ema(n)[-1])


def test_x1__an_assets_indicators_count_its_own_bars(gaps: Any) -> None:
    """What the asset alone would show, carried over the bars that it has not."""
    together = kk.backtest(gaps, averages)
    alone = kk.backtest(gaps.isel(asset=[ASSETS - 1]), average)
    common = np.intersect1d(together["time"], alone["time"])
    assert len(common) > 200
    for name in ("last", "before"):
        np.testing.assert_array_equal(together[name].sel(time=common), alone[name].sel(time=common))


def test_cluster_and_threads_are_the_sequential_portfolio(bars: Any) -> None:
    distributed = pytest.importorskip("distributed", reason='needs pip install "kernelkit[cluster]"')
    grid = {"top": [1, 2, 3], "n": [5, 10]}
    local = kk.backtest(bars, momentum, grid=grid)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        far = kk.backtest(bars, momentum, grid=grid, client=client)
    np.testing.assert_array_equal(local["final_equity"], far["final_equity"])
    np.testing.assert_array_equal(local["sharpe_ratio"], far["sharpe_ratio"])


def test_what_goes_wrong_says_so(bars: Any) -> None:
    @kk.portfolio
    def beyond(ctx):  # type: ignore[no-untyped-def]
        ctx[ctx.n].buy(1.0)

    @kk.portfolio
    def ahead(ctx, k=1):  # type: ignore[no-untyped-def]
        ctx.record("x", ctx[0].close[k])

    @kk.portfolio
    def crowd(ctx):  # type: ignore[no-untyped-def]
        for _ in range(100):
            ctx[0].limit(1.0, 1.0)

    for debug in (False, True):
        with pytest.raises(StrategyError, match=r"asset 6, wanted a number from 0 to 5"):
            kk.backtest(bars, beyond, debug=debug)
        with pytest.raises(LookaheadError, match=r"index \[1\]"):
            kk.backtest(bars, ahead, debug=debug)
        with pytest.raises(OrderError, match=r"more than 84 new orders in one decision"):
            kk.backtest(bars, crowd, debug=debug)
    with pytest.raises(UsageError, match="bars of the portfolio"):
        kk.backtest(bars.isel(time=slice(0, 5)), momentum)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x = ctx.close[0]", r"It is an asset's: write ctx\[k\].close"),
        ("ctx.target_percent(1.0)", r"It is an asset's: write ctx\[k\].target_percent"),
        ("x = ctx[0]", "an asset is not a value"),
        ("x = ctx[0].close", "is a series"),
        ("x = ctx[0].prices[0]", "an asset has no `prices`"),
        ("x = ctx.tradable", "Write `for k in ctx.tradable"),
        ("ctx.weights(0.5)", "a number for each asset"),
        ("ctx.rank(s.w, 3)", "a number for each asset"),
        ("x = s.w", r"Write s.w\[k\]"),
        ("ctx[0].close[1]", "lookahead"),
        ("ctx['A0'].buy(1.0)", "an asset has a number"),
        ("x = ctx[0.5 * 2].position", "an asset's number is a whole one"),
        ("s.w[0] = s.w[1] = 0.3", "Set it alone"),
        ("s.w[0], s.w[1] = 0.3, 0.2", "Set it alone"),
        ("for s.w[0] in range(2): pass", "Set it alone"),
        ("s.w[0]: float = 0.5", "Set it alone"),
        ("x = ctx.n_assets", "the ctx of a portfolio has no `n_assets`"),
        ("ctx[0].cancel(3)", "An id is enough: call ctx.cancel"),
        ("ctx[0].close[0] = 1.0", "read-only"),
    ],
)
def test_definition_errors_name_the_line(line: str, said: str, tmp_path: Any) -> None:
    import importlib.util

    path = tmp_path / "wrong.py"
    path.write_text(f"import kernelkit as kk\n@kk.portfolio(state={{'w': kk.each()}})\ndef f(ctx, s):\n    {line}\n")
    spec = importlib.util.spec_from_file_location("wrong", path)
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(StrategyError, match=said) as error:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert "line 4" in str(error.value)


def test_each_needs_a_number() -> None:
    with pytest.raises(StrategyError, match="the number that all assets begin with"):
        kk.each("x")


def test_x8__the_benchmark_is_the_equally_weighted_index(bars: Any) -> None:
    res = kk.backtest(bars, momentum)
    close = bars["close"].sel(time=res["time"])
    index = (close / close[0]).mean("asset")
    daily = index.values[1:] / index.values[:-1] - 1.0
    b = res["blocks"].sel(summary="sb").values
    assert np.nansum(b) == pytest.approx(daily.sum(), rel=1e-9)


def test_participation_needs_known_volume(bars: Any) -> None:
    unknown = bars.copy(deep=True)
    unknown["volume"] = unknown["volume"] * np.nan
    with pytest.raises(DataError, match="volume of A0"):
        kk.backtest(unknown, momentum, venue=kk.Venue(participation=0.1))


@pytest.mark.parametrize("data", ["bars", "gaps"])
def test_audit_finds_a_portfolio_blind(data: str, request: pytest.FixtureRequest) -> None:
    bars = request.getfixturevalue(data)
    report = kk.audit(bars, momentum, venue=COSTS, cuts=6)
    assert report.blind, report


def test_audit_finds_what_a_feature_knows_too_early(bars: Any) -> None:
    @kk.portfolio
    def knows(ctx):  # type: ignore[no-untyped-def]
        for k in ctx.tradable:
            ctx[k].target(1.0 if ctx[k].x.ahead[0] > ctx[k].close[0] else 0.0)

    def ahead(ds: Any) -> Any:
        return kk.feature(ds, "ahead", ds["close"].shift(time=-1).fillna(0.0), trusted=True)

    report = kk.audit(bars, knows, cuts=4, features=ahead)
    assert not report.blind
    assert "close" in set(report.leaks["variable"])


def test_display_compares_with_all_assets_held(bars: Any) -> None:
    from kernelkit.notebook.bundle import result_bundle

    res = kk.backtest(bars, momentum, venue=kk.Venue("free"))
    text = result_bundle(res)["text/plain"]
    close = bars["close"].sel(time=res["time"])
    opened = bars["open"].sel(time=res["time"])[1]
    held = float((close[0] / opened * (close[-1] / close[0])).mean())
    shown = float(text.split("Total return")[1].split("%")[1])
    assert shown == pytest.approx(100.0 * (held - 1.0), abs=1.0)  # sized at the close before, in whole lots


@kk.portfolio(state={"score": kk.each(), "rank": kk.each(), "w": kk.each()})
def strongest(ctx, s, n=10):  # type: ignore[no-untyped-def]
    if ctx.session % 5 == 0:
        for k in range(ctx.n):
            s.score[k] = ctx[k].close[0] / ctx[k].close.sma(n) - 1.0
        ctx.rank(s.score, s.rank)
        for k in range(ctx.n):
            s.w[k] = 0.5 if s.rank[k] <= 2.0 else 0.0
        ctx.weights(s.w)


@pytest.mark.parametrize(("data", "test"), [("bars", "30D"), ("gaps", "300D")])
def test_walk_forward__with_nothing_to_switch_is_one_run(data: str, test: str, request: pytest.FixtureRequest) -> None:
    """With gaps in one window: an order that waits for its asset's next bar would be cancelled at a switch."""
    bars = request.getfixturevalue(data)
    walked = kk.walk_forward(bars, strongest, grid={"n": [10]}, train="60D", test=test, venue=COSTS)
    whole = kk.backtest(bars, strongest, {"n": 10}, venue=COSTS, start=walked["time"].values[0])
    assert walked.sizes["fold"] == (8 if data == "bars" else 1)
    assert walked["position_oos"].dims == ("time", "asset")
    np.testing.assert_array_equal(walked["equity_oos"], whole["equity"])
    np.testing.assert_array_equal(walked["position_oos"], whole["position"])
    np.testing.assert_array_equal(walked["blocks"], whole["blocks"])
    assert float(walked["sharpe_ratio"]) == float(whole["sharpe_ratio"])


def test_walk_forward__closes_every_position_at_a_switch(bars: Any) -> None:
    walked = kk.walk_forward(bars, strongest, grid={"n": [5, 10]}, train="60D", test="30D", carry=False)
    first = np.flatnonzero(np.diff(walked["fold_of"].values)) + 1
    flat = [int((walked["position_oos"].values[row] != 0.0).sum()) for row in first if row + 1 < walked.sizes["time"]]
    before = [int((walked["position_oos"].values[row - 1] != 0.0).sum()) for row in first]
    assert max(before) == 2
    decided = (
        walked["time"].values[first].astype("datetime64[D]").astype("i8") % 5 == 4
    )  # it bought anew the day before
    assert not decided.all()
    assert all(n == 0 for n, again in zip(flat, decided, strict=False) if not again)


def test_one_bar_is_enough(bars: Any) -> None:
    res = kk.backtest(bars.isel(time=slice(0, 1)), strongest, {"n": 1})
    assert float(res["final_equity"]) == 1e6


@kk.portfolio(warmup=0)
def remembers(ctx, n=3):  # type: ignore[no-untyped-def]
    ctx.record("now", ctx[1].close.sma(n))
    ctx.record("before", ctx[1].close.sma(n)[-1])
    ctx.record("ended", ctx[2].close.sma(n))
    ctx.record("ended_before", ctx[2].close.sma(n)[-1])
    ctx.record("other", ctx[0].close.sma(n))


@pytest.mark.parametrize("debug", [False, True])
def test_x1__indicators_of_missing_bars_are_those_of_the_last_ones_over_every_tile(debug: bool) -> None:
    n = 150 if debug else 9000  # more than two tiles; in debug mode each bar is one
    rng = np.random.default_rng(1)
    index = pd.date_range("2020-01-01", periods=n, freq="h", tz="UTC")
    close = {name: np.round(100.0 + np.cumsum(rng.normal(0, 0.1, n)), 2) for name in "ABC"}
    close = {name: np.maximum(values, 1.0) for name, values in close.items()}
    there = {"A": np.ones(n, bool), "B": rng.random(n) > 0.5, "C": np.arange(n) < 60}
    parts = {
        name: pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close[name]), index=index)[there[name]]
        for name in "ABC"
    }
    bars = kk.data.from_pandas(parts, label="open", bar="1h", calendar="24/7", tick_size=0.01)
    res = kk.backtest(bars, remembers, debug=debug)
    for name, now, before in (("B", "now", "before"), ("C", "ended", "ended_before")):
        mean = parts[name]["close"].rolling(3).mean()
        for values, found in ((mean, now), (mean.shift(1), before)):
            wanted = values.reindex(index[there[name]]).to_numpy()[np.cumsum(there[name])[:n] - 1]
            wanted = np.where(np.cumsum(there[name]) > 0, wanted, np.nan)
            np.testing.assert_allclose(res[found], wanted, rtol=1e-12)


@pytest.mark.parametrize("debug", [False, True])
def test_the_variable_of_a_loop_over_tradable_assets_is_one_of_them(gaps: Any, debug: bool) -> None:
    @kk.portfolio
    def last(ctx):  # type: ignore[no-untyped-def]
        k = 0
        n = 0
        for k in ctx.tradable:  # noqa: B007  what it is afterwards is the point
            for j in ctx.tradable:
                n += j
        ctx.record("last", k)
        ctx.record("sum", n)

    res = kk.backtest(gaps.isel(time=slice(0, 40)), last, debug=debug)
    valid = gaps["valid"].values[:40]
    tradable = [np.flatnonzero(row) for row in valid]
    assert res["last"].values.tolist() == [row[-1] for row in tradable]
    assert res["sum"].values.tolist() == [row.sum() * len(row) for row in tradable]


@kk.portfolio(state={"seen": kk.each()})
def counting(ctx, s):  # type: ignore[no-untyped-def]
    s.seen[ctx.n - 1] += ctx[ctx.n - 1].close[0]
    s.seen[ctx.i % ctx.n] -= 1.0
    ctx.record("last", s.seen[ctx.n - 1])


def test_each__is_added_to_at_an_index_that_is_computed(bars: Any) -> None:
    fast, slow = (kk.backtest(bars, counting, debug=d)["last"].values for d in (False, True))
    close = bars["close"].values[:, -1]
    turns = np.arange(len(close)) % bars.sizes["asset"] == bars.sizes["asset"] - 1
    n = len(fast)
    np.testing.assert_array_equal(fast, slow)
    np.testing.assert_allclose(fast, np.cumsum(close - turns)[-n:], rtol=1e-12)
