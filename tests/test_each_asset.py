"""A strategy of one asset that is called for each asset of a portfolio (X9), in compiled code and in debug mode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import LookaheadError, StrategyError, UsageError
from kernelkit.kernels import layout as L
from kernelkit.kernels.block import header_of, slots_of
from kernelkit.kernels.session import Recorder
from kernelkit.view import Python
from tests import portfolios
from tests.agree import assert_agree
from tests.portfolios import SCRIPTS, World
from tests.programs import recorded
from tests.reference import simulate_portfolio
from tests.test_hooks import STATE, Told, mix
from tests.test_portfolio import ASSETS, frames
from tests.test_portfolio_is_reference import action, worlds

AMPLE = kk.Account(cash=1e12)
COSTS = kk.Venue("own", fees=kk.fees.fraction(0.001), slippage=kk.slippage.square_root(0.01))


@pytest.fixture(scope="module")
def bars() -> Any:
    return kk.data.from_pandas(frames(), label="open", bar="1D", calendar="24/7")


@pytest.fixture(scope="module")
def gaps() -> Any:
    return kk.data.from_pandas(frames(missing=True), label="open", bar="1D", calendar="24/7")


@pytest.fixture(scope="module")
def hours() -> Any:
    """Hours of New York; B and C lack some days, and C comes late."""
    days = pd.bdate_range("2021-03-01", "2021-05-28", tz="America/New_York").drop("2021-04-02")
    index = pd.DatetimeIndex([d + pd.Timedelta(hours=9.5 + h) for d in days for h in range(7)])
    rng, out = np.random.default_rng(3), {}
    for k, name in enumerate("ABC"):
        close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.004, len(index))))
        opens = np.r_[close[0], close[:-1]]
        frame = pd.DataFrame({"open": opens, "high": np.maximum(opens, close) * 1.001}, index=index)
        frame["low"], frame["close"], frame["volume"] = np.minimum(opens, close) * 0.999, close, 1e5
        there = rng.random(len(index)) > 0.1 * k
        there &= ~np.isin(index.day, [1, 30, 31]) if k else True
        out[name] = frame[there].iloc[60 * (k == 2) :]
    bars = kk.data.from_pandas(out, label="open", bar="1h", calendar="XNYS")
    close = bars["close"]
    return kk.feature(bars, "mood", (close / close.shift(time=1) - 1.0).fillna(0.0), trusted=True)


@kk.indicator(state={"e": 0.0})
def decay(s, x, rate):  # type: ignore[no-untyped-def]
    s.e += rate * (x - s.e)
    return s.e


def room(ctx, most):  # type: ignore[no-untyped-def]
    ctx.record("room", ctx.orders)
    return ctx.orders < most


def leave(ctx, q):  # type: ignore[no-untyped-def]
    return ctx.limit(-q, ctx.close[0] * 1.01, tif="DAY")


@kk.strategy(state=dict(n=0, last=kk.ring(5), paid=0.0, up=True, exit=0, ends=0))
def trader(ctx, s, fast=5, slow=20, q=10.0, how="target"):  # type: ignore[no-untyped-def]
    s.n += 1
    s.last.push(ctx.close[0])
    s.up = not s.up
    ctx.record("n", s.n)
    ctx.record("i", ctx.i)
    ctx.record("ago", s.last[-4] + ctx.close[-2])
    if s.n % 11 == 0:
        return
    if ctx.close.sma(fast) > ctx.close.sma(slow) and decay(ctx.close, 0.1) > 1.0:
        if how == "target":
            ctx.target(q)
        elif s.up and room(ctx, 4):
            ctx.bracket(q, stop_loss=0.02, take_profit=0.03)
    elif ctx.position > 0.0:
        if s.n % 3 == 0:
            s.exit = leave(ctx, q)
        elif ctx.close[0] < s.paid - ctx.atr(5):
            ctx.cancel(s.exit)
            ctx.replace(s.exit, price=ctx.close.ema(fast)[-1])
            ctx.stop(-ctx.position, ctx.close[0] * 0.99, expires=ctx.time + 3 * 86_400 * 10**9)
        if s.n % 7 == 0:
            ctx.cancel_all()
            ctx.target(0.0)


@trader.on_fill
def trader_filled(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.paid = fill.price
    ctx.record("filled", fill.quantity)


@trader.on_order
def trader_ended(ctx, s, order):  # type: ignore[no-untyped-def]
    s.ends += 1
    if order.reason == kk.Reason.DAY:
        ctx.record("expired", s.ends)


@trader.on_session_open
def trader_opens(ctx, s):  # type: ignore[no-untyped-def]
    ctx.record("opens", s.n)


@trader.schedule("month_end")
def trader_month(ctx, s, slow):  # type: ignore[no-untyped-def]
    ctx.record("month", ctx.close.ema(slow)[-1])
    ctx.target(0.0)


@kk.strategy(state=dict(at_noon=0.0))
def higher(ctx, s, n=3):  # type: ignore[no-untyped-def]
    day = ctx.tf("1D")
    if day.close.sma(n) > day.close[-1] and ctx.x.mood[0] > -0.001:
        ctx.target(5.0)
    elif ctx.tf("2h").atr(n) > 0.0:
        ctx.target(-5.0 if ctx.close[0] < s.at_noon else 0.0)
    ctx.record("day", day.high[0])
    ctx.record("mean", ctx.tf("2h").close.ema(n)[-1] + ctx.tf("2h").close[0])


@higher.schedule("12:00")
def noon(ctx, s):  # type: ignore[no-untyped-def]
    s.at_noon = ctx.close[0]
    ctx.record("noon", s.at_noon)


@higher.on_session_close
def closing(ctx, s):  # type: ignore[no-untyped-def]
    ctx.market_on_close(1.0)
    ctx.record("closing", ctx.close[0])


CASES = [
    ("bars", trader, {}),
    ("gaps", trader, {}),
    ("gaps", trader, {"how": "bracket"}),
    ("hours", higher, {}),
]


@pytest.mark.parametrize(("data", "alone", "params"), CASES)
def test_x9__with_ample_cash_it_is_each_asset_alone(
    data: str, alone: Any, params: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """Fills, orders and records are those of accounts of their own, where nothing asks what the account is worth."""
    bars = request.getfixturevalue(data)
    together = kk.backtest(bars, kk.portfolio(alone), params, account=AMPLE, venue=COSTS)
    apart = kk.backtest(bars, alone, params, account=AMPLE, venue=COSTS)
    fills, orders = kk.fills(together), kk.orders(together)
    number = {}
    for name in bars["asset"].values:
        one = apart.sel(asset=name)
        mine, own = fills[fills["asset"] == name], kk.fills(one)
        assert len(own) > 5
        columns = ["time", "side", "quantity", "price", "reference", "fee", "slippage", "at", "position"]
        pd.testing.assert_frame_equal(mine[columns].reset_index(drop=True), own[columns])
        mine, own = orders[orders["asset"] == name], kk.orders(one)
        columns = [c for c in own.columns if c not in ("order", "id", "asset", "parent", "group")]
        mine, own = mine[columns].reset_index(drop=True), own[columns]
        over = mine["ended"] == bars["known_at"].values[-1]  # alone what lives ends with the asset's last bar (O10)
        own.loc[over, "ended"] = mine.loc[over, "ended"]
        pd.testing.assert_frame_equal(mine, own)
        there = bars["valid"].sel(asset=name, time=together["time"]).values
        for record in alone.program({n: type(v) for n, v in alone.defaults.items()}, {"how": "target"}).plan.records:
            found, wanted = together[record].sel(asset=name).values, one[record].sel(time=together["time"]).values
            np.testing.assert_array_equal(found[there], wanted[there], err_msg=record)
            assert np.isnan(found[~there]).all()
            number[record] = number.get(record, 0) + int(np.isfinite(found).sum())
    never = {"room"} if params == {} else set()
    assert all(n > 3 for name, n in number.items() if name not in never), number


@kk.strategy(state=dict(bought=0, entry=0.0))
def sized(ctx, s, n=10, weight=0.4):  # type: ignore[no-untyped-def]
    if ctx.close[0] > ctx.close.sma(n):
        s.bought += 1
        ctx.target_percent(weight)
    elif ctx.position > 0.0 and s.bought % 2 == 0:
        ctx.target_percent(0.0)
    elif ctx.cash > 0.2 * ctx.equity:
        ctx.order(ctx.size.risk(0.001, 2.0 * ctx.atr(5)))
    ctx.record("equity_seen", ctx.equity)


@sized.on_fill
def sized_filled(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.entry = fill.price


@kk.portfolio(state={"seen": kk.each(), "bought": kk.each(), "entry": kk.each()}, warmup=0)
def by_hand(ctx, s, n=10, weight=0.4):  # type: ignore[no-untyped-def]
    for k in ctx.tradable:
        if ctx[k].close[-(n - 1)] == ctx[k].close[-(n - 1)]:
            if ctx[k].close[0] > ctx[k].close.sma(n):
                s.bought[k] += 1.0
                ctx[k].target_percent(weight)
            elif ctx[k].position > 0.0 and s.bought[k] % 2.0 == 0.0:
                ctx[k].target_percent(0.0)
            elif ctx.cash > 0.2 * ctx.equity:
                ctx[k].order(0.001 * ctx.equity / (2.0 * ctx[k].atr(5)))


@by_hand.on_fill
def by_hand_filled(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.entry[fill.asset] = fill.price


@pytest.mark.parametrize("data", ["bars", "gaps"])
@pytest.mark.parametrize("rule", ["reduce", "reject", "debt"])
def test_x9__is_the_loop_written_by_hand(data: str, rule: str, request: pytest.FixtureRequest) -> None:
    bars, venue = request.getfixturevalue(data), replace(COSTS, cash_rule=rule)
    one = kk.backtest(bars, kk.portfolio(sized), venue=venue)
    other = kk.backtest(bars, by_hand, venue=venue, start=one["time"].values[0])
    for name in ("equity", "cash", "position", "blocks"):
        np.testing.assert_array_equal(one[name], other[name])
    for table in (kk.fills, kk.orders, kk.trades):
        pd.testing.assert_frame_equal(table(one), table(other))
    assert len(kk.fills(one)) > 100
    if rule == "reduce":
        assert (kk.orders(one)["reason"] == "cut_cash").any()
    seen = one["equity_seen"].values
    there = np.isfinite(seen)
    assert there.sum() > 900
    np.testing.assert_array_equal(seen[there], np.broadcast_to(one["equity"].values[:, None], seen.shape)[there])


@pytest.mark.parametrize(("data", "alone", "params"), [*CASES, ("gaps", sized, {})])
def test_debug_mode_is_the_compiled_portfolio(
    data: str, alone: Any, params: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    bars = request.getfixturevalue(data).isel(time=slice(0, 140))
    one, other = (kk.backtest(bars, kk.portfolio(alone), params, venue=COSTS, debug=d) for d in (False, True))
    for name in set(one.data_vars):
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    pd.testing.assert_frame_equal(kk.fills(one), kk.fills(other))
    pd.testing.assert_frame_equal(kk.orders(one), kk.orders(other))
    assert len(kk.fills(one)) > 10


def test_x9__an_asset_waits_for_its_own_windows(gaps: Any) -> None:
    """The account begins with the first asset whose windows are full, at or after `start`; A3 and A5 come later."""
    n = 40
    res = kk.backtest(gaps, kk.portfolio(trader), {"slow": n})
    begin = {}
    for k, name in enumerate(gaps["asset"].values):
        own = np.flatnonzero(gaps["valid"].sel(asset=name).values)
        begin[k] = gaps["time"].values[own[n]]  # one bar later than sma(n): trader reads [-2] of ema(fast)
        called = res["time"].values[np.isfinite(res["n"].sel(asset=name).values)]
        assert called[0] == begin[k]
        assert res["n"].sel(asset=name, time=called[0]) == 1.0
    assert res["time"].values[0] == min(begin.values()) < max(begin.values())
    late = kk.backtest(gaps, kk.portfolio(trader), {"slow": n}, start="2020-07-01")
    assert late["time"].values[0] == np.datetime64("2020-07-01")
    declared = kk.strategy(warmup=100)(trader_of_nothing)
    first = kk.backtest(gaps, kk.portfolio(declared))
    assert first["time"].values[0] == gaps["time"].values[100]
    assert int(np.isfinite(first["i"].values).argmax(axis=0)[1]) > 0
    assert np.nanmin(first["i"].values) == 100.0


def trader_of_nothing(ctx):  # type: ignore[no-untyped-def]
    ctx.record("i", ctx.i)


def test_x9__an_asset_with_too_few_bars_is_never_called(bars: Any) -> None:
    short = bars.copy(deep=True)
    short["valid"][{"asset": 2, "time": slice(12, None)}] = False
    res = kk.backtest(short, kk.portfolio(trader), {"slow": 20})
    assert not np.isfinite(res["n"].sel(asset="A2")).any()
    assert np.isfinite(res["n"].sel(asset="A1")).all()
    with pytest.raises(UsageError, match="bars of the portfolio"):
        kk.backtest(bars.isel(time=slice(0, 15)), kk.portfolio(trader), {"slow": 20})


def test_x9__a_timeframe_is_waited_for_by_each_asset(hours: Any) -> None:
    together = kk.backtest(hours, kk.portfolio(higher), {"n": 5})
    apart = kk.backtest(hours, higher, {"n": 5})
    for name in "ABC":
        mine, own = (r["day"].sel(asset=name) for r in (together, apart))
        first = [r["time"].values[np.isfinite(r.values)][0] for r in (mine, own)]
        assert first[0] == first[1]


def test_a_grid_is_its_cells_one_by_one(gaps: Any) -> None:
    both = kk.portfolio(trader)
    grid = kk.backtest(gaps, both, grid={"fast": [3, 5], "slow": [10, 30]}, venue=COSTS)
    assert grid["n"].dims == ("fast", "slow", "time", "asset")
    assert grid["sharpe_ratio"].dims == ("fast", "slow")
    widest = kk.backtest(gaps, both, {"fast": 5, "slow": 30}, venue=COSTS)
    cell = grid.sel(fast=5, slow=30)
    for name in ("equity", "position", "n", "sharpe_ratio"):
        np.testing.assert_array_equal(cell[name], widest[name])
    # a grid waits for its largest window, in each asset
    first = np.isfinite(grid["n"].values).argmax(axis=-2)
    assert (first == first[0, 0]).all()


@kk.strategy(state=dict(mine=0, n=0))
def meddler(ctx, s, k=0):  # type: ignore[no-untyped-def]
    s.n += 1
    if s.n == 1:
        s.mine = ctx.limit(1.0, ctx.close[0] * 0.5)
        ctx.limit(2.0, ctx.close[0] * 0.5)
    if s.n == 3:
        ctx.record("cancelled", ctx.cancel(s.mine + k))
        ctx.record("replaced", ctx.replace(s.mine + k, quantity=3.0))
        ctx.record("linked", ctx.oco(s.mine + k, s.mine + k + 1))
    ctx.record("orders", ctx.orders)


@pytest.mark.parametrize("debug", [False, True])
def test_x9__an_id_of_another_asset_is_none(bars: Any, debug: bool) -> None:
    res = kk.backtest(bars.isel(time=slice(0, 10)), kk.portfolio(meddler), {"k": 2}, debug=debug)
    for name in ("cancelled", "replaced", "linked"):  # of the asset after it; the last has none
        assert res[name].values[2].tolist() == [0.0] * ASSETS
    assert (res["orders"].values[1:] == 2.0).all()
    own = kk.backtest(bars.isel(time=slice(0, 10)), kk.portfolio(meddler), {"k": 0}, debug=debug)
    assert own["cancelled"].values[2].tolist() == [2.0 * k + 1 for k in range(ASSETS)]
    assert (own["orders"].values[3:] == 1.0).all()


def test_x9__hooks_hear_of_their_asset_when_it_has_a_bar() -> None:
    """L6 closes what has no bar, too: its strategy hears of that at its next bar, and once."""
    index = pd.date_range("2020-01-01", periods=12, freq="D", tz="UTC")
    price = {"A": np.full(12, 100.0), "B": np.r_[100.0, 100.0, np.full(10, 60.0)]}
    parts = {n: pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), p), index=index) for n, p in price.items()}
    parts["A"] = parts["A"].drop(index[2:6])
    bars = kk.data.from_pandas(parts, label="open", bar="1D", calendar="24/7")

    @kk.strategy(state=dict(n=0))
    def levered(ctx, s):  # type: ignore[no-untyped-def]
        s.n += 1
        if s.n == 1:
            ctx.target_percent(2.0)

    @levered.on_order
    def ended(ctx, s, order):  # type: ignore[no-untyped-def]
        if order.reason == kk.Reason.LIQUIDATION:
            ctx.record("heard", s.n)

    account = kk.Account(cash=1e5, margin=kk.Margin(initial=0.2, maintenance=0.1))
    for debug in (False, True):
        res = kk.backtest(bars, kk.portfolio(levered), account=account, debug=debug)
        closed = kk.orders(res).query("reason == 'liquidation'")
        assert set(closed["asset"]) == {"A", "B"}
        rows = {a: np.flatnonzero(np.isfinite(res["heard"].sel(asset=a).values)).tolist() for a in "AB"}
        assert rows == {"A": [6], "B": [2]}


@pytest.mark.parametrize("data", ["bars", "gaps"])
def test_walk_forward__a_strategy_without_state_walks_as_it_runs(data: str, request: pytest.FixtureRequest) -> None:
    @kk.strategy
    def plain(ctx, n=10):  # type: ignore[no-untyped-def]
        ctx.target_percent(0.2 if ctx.close[0] > ctx.close.sma(n) else 0.0)

    bars, both = request.getfixturevalue(data), kk.portfolio(plain)
    walked = kk.walk_forward(bars, both, grid={"n": [10]}, train="60D", test="300D", venue=COSTS)
    whole = kk.backtest(bars, both, {"n": 10}, venue=COSTS, start=walked["time"].values[0])
    np.testing.assert_array_equal(walked["equity_oos"], whole["equity"])
    np.testing.assert_array_equal(walked["position_oos"], whole["position"])
    assert float(walked["sharpe_ratio"]) == float(whole["sharpe_ratio"])
    switched = kk.walk_forward(bars, both, grid={"n": [5, 40]}, train="60D", test="30D", venue=COSTS)
    assert len(set(switched["n"].values.tolist())) == 2


@pytest.mark.parametrize("data", ["bars", "gaps"])
def test_audit_finds_it_blind(data: str, request: pytest.FixtureRequest) -> None:
    report = kk.audit(request.getfixturevalue(data), kk.portfolio(trader), venue=COSTS, cuts=6)
    assert report.blind, report


def test_audit_finds_what_a_feature_knows_too_early(bars: Any) -> None:
    @kk.strategy
    def knows(ctx):  # type: ignore[no-untyped-def]
        ctx.record("ahead", ctx.x.ahead[0])

    def ahead(ds: Any) -> Any:
        return kk.feature(ds, "ahead", ds["close"].shift(time=-1).fillna(0.0), trusted=True)

    report = kk.audit(bars, kk.portfolio(knows), cuts=4, features=ahead)
    assert not report.blind
    assert report.leaks["what"].str.fullmatch("record ahead of A[0-5]").any()


def test_why_explains_an_order(gaps: Any) -> None:
    res = kk.backtest(gaps, kk.portfolio(trader), venue=COSTS)
    order = kk.orders(res).query("status == 'filled' and asset == 'A3'").iloc[0]
    assert "A3" in str(kk.why(res, int(order["order"] if "order" in order else order["id"])))


@kk.indicator(state={"n": 0})
def breaks(s, x, k):  # type: ignore[no-untyped-def]
    s.n += 1
    if s.n > k and x > 250.0:
        raise ValueError("too high")
    return x


@pytest.mark.parametrize("debug", [False, True])
def test_what_goes_wrong_says_so(bars: Any, debug: bool) -> None:
    @kk.strategy
    def raising(ctx, k=5):  # type: ignore[no-untyped-def]
        if ctx.i > k and ctx.close[0] > 250.0:
            raise ValueError("mine")

    @kk.strategy
    def ahead(ctx, k=1):  # type: ignore[no-untyped-def]
        if ctx.close[0] > 250.0:
            ctx.record("x", ctx.close[k])

    @kk.strategy
    def broken(ctx, k=5):  # type: ignore[no-untyped-def]
        if ctx.i > 20 and breaks(ctx.close, k) > 1.0:
            ctx.target(1.0)

    with pytest.raises(ValueError, match="mine"):
        kk.backtest(bars, kk.portfolio(raising), debug=debug)
    with pytest.raises(LookaheadError, match=r"index \[1\]"):
        kk.backtest(bars, kk.portfolio(ahead), debug=debug)
    with pytest.raises(ValueError, match="too high"):
        kk.backtest(bars, kk.portfolio(broken), debug=debug)


def test_definition__what_is_no_strategy_of_one_asset_is_refused() -> None:
    @kk.signal
    def arrays(ds):  # type: ignore[no-untyped-def]
        return ds["close"]

    for wrong in (arrays, kk.portfolio(trader), by_hand):
        with pytest.raises(StrategyError, match=r"a @kk\.strategy, or a function"):
            kk.portfolio(wrong)
    with pytest.raises(StrategyError, match="state or warmup beside"):
        kk.portfolio(warmup=3)(trader)


def test_definition__an_error_names_the_line(tmp_path: Path) -> None:
    import importlib.util

    path = tmp_path / "wrong.py"
    path.write_text("import kernelkit as kk\n@kk.portfolio\n@kk.strategy\ndef f(ctx):\n    x = ctx[0].close[0]\n")
    spec = importlib.util.spec_from_file_location("wrong", path)
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(StrategyError, match="line 5"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_definition__hooks_are_the_strategys() -> None:
    @kk.strategy
    def late(ctx):  # type: ignore[no-untyped-def]
        ctx.target(1.0)

    both = kk.portfolio(late)
    before = both.program({}).text

    @late.on_session_open
    def opens(ctx):  # type: ignore[no-untyped-def]
        ctx.record("opens", 1.0)

    assert [hook.kind for hook in both.hooks] == ["on_session_open"]
    assert both.program({}).text != before
    assert both.identity != late.identity
    with pytest.raises(StrategyError, match=r"Write @late.on_session_close"):
        both.on_session_close(opens)


# Against the reference simulator


@kk.strategy(state=dict(n=0, **STATE))
def scripted(ctx, s):  # type: ignore[no-untyped-def]
    s.n += 1
    verb, k, q = ctx.x.verb[0], ctx.x.k[0], ctx.x.q[0]
    a, b, c = ctx.x.a[0], ctx.x.b[0], ctx.x.c[0]
    s.left = 10
    ctx.record("h", s.h)
    if k == 1.0 and ctx.orders > 2:
        return
    if s.n % 4 == 0 and verb < 8.0:
        q = 2.0 * q
    if verb == 1.0:
        ctx.order(q)
    elif verb == 2.0:
        ctx.limit(q, a)
    elif verb == 3.0:
        ctx.stop(q, a)
    elif verb == 4.0:
        ctx.stop_limit(q, a, b)
    elif verb == 5.0:
        ctx.trailing_stop(q, fraction=c)
    elif verb == 6.0:
        ctx.bracket(q, stop_loss=c, take_profit=c)
    elif verb == 7.0:
        ctx.target(q)
    elif verb == 8.0:
        ctx.target_percent(c)
    elif verb == 9.0:
        ctx.cancel(q)
    elif verb == 10.0:
        ctx.cancel_all()
    elif verb == 11.0:
        ctx.oco(q, a)
    elif verb == 13.0:
        ctx.order(q, tif="FOK")
    elif verb == 16.0:
        ctx.limit(q, a, tif="DAY")
    elif verb == 22.0:
        ctx.market_on_open(q)
    elif verb == 23.0:
        ctx.limit_on_close(q, a)
    elif verb == 26.0:
        ctx.replace(q, price=a, quantity=b)


@scripted.on_order
def scripted_ended(ctx, s, order):  # type: ignore[no-untyped-def]
    s.ends += 1
    first = order.status + 10.0 * order.reason
    s.h = mix(s.h, order.id, first, order.quantity + order.filled, order.price)
    if s.left > 0 and order.status == kk.Status.REJECTED:
        s.left -= 1
        ctx.order(0.0)
    elif s.left > 0 and order.reason == kk.Reason.DAY:
        s.left -= 1
        ctx.order(-order.quantity)


@scripted.on_fill
def scripted_filled(ctx, s, fill):  # type: ignore[no-untyped-def]
    s.fills += 1
    s.h = mix(s.h, fill.order, fill.quantity, fill.price + fill.fee, fill.time % 1000000007)
    if s.left > 0 and s.fills % 5 == 0:
        s.left -= 1
        ctx.limit(-fill.quantity, fill.price)


EACH = kk.portfolio(scripted)
KNOWN = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 13.0, 16.0, 22.0, 23.0, 26.0)


@st.composite
def own_worlds(draw: st.DrawFn) -> tuple[World, list[np.ndarray], np.ndarray]:
    """Some assets, the script of each, (bar, field), and the bar of its own at which it is first called."""
    world = draw(worlds())
    rng, busy = np.random.default_rng(draw(st.integers(0, 2**32))), draw(st.floats(0.1, 1.0))
    assets = world.assets[:-SCRIPTS]
    listed = min(int(np.flatnonzero(np.array(asset.rows) >= 0)[0]) for asset in assets)  # X8 has an index then
    config = replace(world.config, trade_from=max(world.config.trade_from, listed))
    world = replace(world, assets=assets, config=config)
    scripts = []
    for asset in world.assets:
        script = np.zeros((len(asset.bars.c), 6))
        for t, close in enumerate(asset.bars.c):
            if rng.random() <= busy:
                one = action(rng, world.config, asset.grid, int(rng.integers(3)), close, close, max(3, close // 20))
                script[t] = one if one[0] in KNOWN else 0.0
        scripts.append(script)
    return world, scripts, rng.integers(0, 4, len(scripts)) * draw(st.integers(0, 2))


class Each:
    """What `scripted` and its hooks do, on the reference's view of each asset."""

    def __init__(self, world: World, scripts: list[np.ndarray], called: np.ndarray) -> None:
        self.world, self.scripts, self.called = world, scripts, called
        self.own = [Told() for _ in scripts]
        self.n = [0] * len(scripts)
        self.records = np.full((len(world.clock.open_at), len(scripts)), np.nan)

    def decide(self, ctx: Any) -> None:
        for k, told in enumerate(self.own):
            row = self.world.assets[k].rows[ctx.i]
            if row >= max(0, self.called[k]):
                told.tell(ctx[k], assets=False)
                self.main(ctx, k)
                told.left = 10
                self.records[ctx.i, k] = told.h
            elif ctx[k]._holding.delisted:
                ctx[k].told()  # nobody else ever will be

    def main(self, ctx: Any, j: int) -> None:
        self.n[j] += 1
        verb, k, q, a, b, c = (float(x) for x in self.scripts[j][self.world.assets[j].rows[ctx.i]])
        mine = ctx[j].orders()
        if k == 1.0 and len(mine) > 2:
            return
        if self.n[j] % 4 == 0 and verb < 8.0:
            q = 2.0 * q
        if verb == 10.0:
            ctx[j].cancel_all()
        elif verb not in (9.0, 11.0, 26.0) or (q in mine and (verb != 11.0 or a in mine)):
            portfolios.act(ctx, 0, verb, j, q, a, b, c)


@settings(max_examples=150, deadline=None)
@given(own_worlds())
@pytest.mark.oracle(
    "Reference simulator of portfolios, each asset on its own",
    covers="A1-A9, E1-E8, F1-F11, L3-L7, O1-O17, P1-P5, S1-S6, T1-T7, X1-X9",
    cases=150,
)
def test_x9__is_the_reference(case: tuple[World, list[np.ndarray], np.ndarray]) -> None:
    world, scripts, called = case
    each = Each(world, scripts, called)
    expected = simulate_portfolio(world.clock, world.assets, world.config, each.decide, world.actions)
    program = EACH.program({})
    assert program.plan.features == portfolios.PROGRAM.plan.features
    job = portfolios.job_of(world, program, list(scripts), called)
    assert_agree(*recorded(job), expected)
    recorder = Recorder(job, 0)
    logs = recorder.all()
    begin = world.config.trade_from
    np.testing.assert_array_equal(logs.records, each.records[begin : begin + len(logs.records)])
    plan = program.plan
    words = slots_of(recorder.block)[plan.words : plan.words + len(scripts) * plan.own_words]
    own = words.reshape(len(scripts), plan.own_words)
    for name, wanted in (("n", each.n), ("fills", [t.fills for t in each.own]), ("ends", [t.ends for t in each.own])):
        assert own[:, plan.places[name]].tolist() == wanted
    header = header_of(recorder.block)
    end = int(header["off_orders"]) + L.ORDER_BYTES * int(header["capacity"])
    kept = recorder.block[end : end + L.EVENTS_BYTES].view(L.EVENTS)[0]
    assert kept["n"] == len(expected.untold)
    if sum(each.n) < 40:  # Python takes its time
        python = Recorder(job, 0, python=Python(EACH, {}, job, kk.Venue(fees=world.fee, slippage=world.slippage)))
        assert python.all().records.tobytes() == logs.records.tobytes()
        assert slots_of(python.block).tolist() == slots_of(recorder.block).tolist()
