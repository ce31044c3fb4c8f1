"""Execution (M16-M19): published examples, the engine's own books, and every price looked up bar by bar once more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import DataError, UsageError

m = kk.metrics


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


# --- examples of textbooks: one order, decided at a close, arrived at the next open, filled, ended at a close ---


def example(
    side: str, quantity: float, filled: float, decision: float, arrival: float, price: float, end: float, fees: float
) -> xr.Dataset:
    """The tables of one such order on two daily bars, put beside them."""
    days = np.array(["2024-01-02", "2024-01-03"], "M8[ns]")
    opened, known = days + np.timedelta64(9, "h"), days + np.timedelta64(16, "h")
    column = lambda *values: (("time", "asset"), np.array(values)[:, None])  # noqa: E731
    bars = xr.Dataset(
        {
            "open": column(decision, arrival),
            "high": column(decision, max(arrival, price, end)),
            "low": column(decision, min(arrival, price, end)),
            "close": column(decision, end),
            "volume": column(1e6, 1e6),
            "valid": column(True, True),
        },
        {
            "asset": ["XYZ"],
            "multiplier": ("asset", [1.0]),
            "open_at": ("time", opened),
            "known_at": ("time", known),
            "session": ("time", [1, 2]),
        },
    )
    order = dict(order=7, asset="XYZ", kind="limit", side=side, quantity=quantity, filled=filled, limit=price)
    order |= dict(trigger=np.nan, status="expired", reason="day", submitted=known[0], active=known[0], fees=fees)
    order |= dict(triggered=pd.NaT, ended=known[1])
    fill = dict(time=known[1], order=7, quantity=filled, price=price, reference=price, at="bar")
    return m.executions(pd.DataFrame([order]), pd.DataFrame([fill]), bars)


BOOKS = {  # side, quantity, filled, decision, arrival, price, end, fees: (delay, trading, opportunity, fees)
    "CFA curriculum": (("buy", 1e3, 700.0, 10.0, 10.05, 10.07, 10.08, 14.0), (35.0, 14.0, 24.0, 14.0), 87.0),
    "Gaodun": (("buy", 1e3, 700.0, 40.0, 40.04, 40.05, 40.08, 17.0), (28.0, 7.0, 24.0, 17.0), 19.0),
    "Stalla": (("buy", 8e3, 4e3, 75.0, 75.75, 77.0, 79.0, 1500.0), (3e3, 5e3, 16e3, 1500.0), 425.0),
    "CFA 2000, question 28": (("sell", 5e4, 5e4, 43.0, 41.0, 40.25, 38.0, 2500.0), (1e5, 37500.0, 0.0, 2500.0), 651.16),
    "Bloomberg": (("buy", 4e3, 4e3, 16.24, 16.24, 16.20, 16.28, 38.5), (0.0, -160.0, 0.0, 38.5), -18.70),
    "AcadiFi": (("buy", 5e4, 35e3, 42.0, 42.3, 42.75, 43.5, 1050.0), (10500.0, 15750.0, 22500.0, 1050.0), 237.14),
}


@pytest.mark.oracle("Implementation shortfall, worked", covers="M16, M18", cases=5)
@pytest.mark.parametrize("book", BOOKS)
def test_m18__examples_of_the_books(book: str) -> None:
    given, (delay, trading, opportunity, fees), bps = BOOKS[book]
    done = example(*given)
    cost = m.implementation_shortfall(done).isel(order=0)
    found = [cost["delay"], cost["timing"] + cost["impact"], cost["opportunity"], cost["fees"]]
    np.testing.assert_allclose(found, [delay, trading, opportunity, fees], rtol=1e-12, atol=1e-9)
    assert float(cost["total"]) == pytest.approx(delay + trading + opportunity + fees, abs=1e-9)
    assert float(m.implementation_shortfall(done, units="bps")["total"][0]) == pytest.approx(bps, abs=5e-3)
    assert float(m.fill_ratio(done)[0]) == given[2] / given[1]


def test_m18__who_bears_the_delay_of_what_was_not_filled() -> None:
    """Kissell's delay is of all 1,000 shares: 0.05 each; his opportunity begins at the arrival, 0.03 each of 300."""
    cost = m.implementation_shortfall(example(*BOOKS["CFA curriculum"][0]), convention="kissell").isel(order=0)
    np.testing.assert_allclose([cost["delay"], cost["opportunity"], cost["total"]], [50.0, 9.0, 87.0], rtol=1e-10)
    assert cost.attrs == {"convention": "kissell", "horizon": "order"}


# --- any numbers ---

PRICE = st.floats(0.5, 500.0)
SHARE = st.one_of(st.just(0.0), st.just(1.0), st.floats(0.01, 0.99))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(PRICE, PRICE, PRICE, PRICE, PRICE, st.floats(0.0, 1e6), SHARE, st.floats(-5.0, 50.0)), min_size=1
    ),
    st.booleans(),
)
def test_m18__the_parts_are_the_whole(rows: list[tuple[float, ...]], inverse: bool) -> None:
    decision, arrival, reference, price, end, quantity, share, fees = np.array(rows).T
    filled = np.floor(quantity) * share
    columns = dict(quantity=np.floor(quantity), filled=filled, fees=fees, decision=decision, arrival=arrival, end=end)
    columns |= {k: np.where(filled > 0.0, v, np.nan) for k, v in dict(reference=reference, price=price).items()}
    columns |= dict(unit=np.full(len(rows), 10.0), inverse=np.full(len(rows), float(inverse)))
    table = xr.Dataset({k: ("order", v) for k, v in columns.items()})
    side = np.where(np.arange(len(rows)) % 2 == 0, "buy", "sell")
    done = table.assign_coords(side=("order", side))
    # once more, from what the account would say: gains of the paper portfolio less gains of the real one
    worth = (lambda p: -1.0 / p) if inverse else (lambda p: p)
    sign = np.where(side == "buy", 10.0, -10.0)
    paper = sign * np.floor(quantity) * (worth(end) - worth(decision))
    real = sign * filled * (worth(end) - worth(price)) - fees
    size = 1e-9 * (
        1.0 + np.abs(sign) * quantity * np.abs(np.stack([worth(p) for p in (*np.array(rows).T[:5],)])).max(0)
    )
    for convention in ("wagner", "kissell"):
        cost = m.implementation_shortfall(done, convention=convention)  # type: ignore[arg-type]
        parts = sum(cost[k].values for k in ("delay", "timing", "impact", "opportunity", "fees"))
        assert (np.abs(cost["total"].values - (paper - real)) <= size).all()
        assert (np.abs(cost["total"].values - parts) <= size).all()
        bps = m.implementation_shortfall(done, convention=convention, units="bps")  # type: ignore[arg-type]
        base = np.floor(quantity) * 10.0 * np.abs(worth(decision))
        some = base > 0.0
        np.testing.assert_allclose(bps["total"][some] * base[some] / 1e4, cost["total"][some], rtol=1e-9, atol=1e-9)
    turned = done.assign_coords(side=("order", np.where(side == "buy", "sell", "buy")))
    np.testing.assert_array_equal(m.slippage(turned), -m.slippage(done))


# --- runs of the engine ---


@kk.strategy
def trades_a_lot(ctx, n=7):  # type: ignore[no-untyped-def]
    k = ctx.i % n
    if k == 0:
        ctx.limit(900.0, ctx.close[0] * 0.995, tif="DAY")
    if k == 1:
        ctx.order(-400.0)
    if k == 2:
        ctx.stop_limit(-300.0, ctx.close[0] * 0.99, ctx.close[0] * 0.985)
    if k == 3:
        ctx.cancel_all()
        ctx.target(50.0)
    if k == 4:
        ctx.bracket(200.0, stop_loss=0.01, take_profit=0.01)
    if k == 5:
        ctx.order(0.2)
    if k == 6:
        ctx.order(250.0, tif="AT_CLOSE")


def apple() -> xr.Dataset:
    return kk.data.load("aapl").isel(time=slice(0, 420))


def dealt(**settings: Any) -> xr.Dataset:
    bars = apple()
    venue = kk.Venue(
        slippage=kk.slippage.fraction(0.0004), fees=kk.fees.maker_taker(0.0003, 0.001), cash_rule="debt", **settings
    )
    return kk.backtest(bars, trades_a_lot, account=kk.Account(cash=1e7), venue=venue)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("run")
        (home / ".kernelkit").mkdir()
        patch.chdir(home)
        res = dealt(participation=5e-6)
        return res, kk.orders(res), kk.fills(res), kk.executions(res)


def slowly(orders: pd.DataFrame, fills: pd.DataFrame, bars: xr.Dataset, asset: str) -> list[dict[str, Any]]:
    """Each order's prices, bar by bar, on data whose bars do not touch."""
    one = bars.sel(asset=asset)
    frame = one.drop_vars("asset").to_dataframe().reset_index()
    frame = frame[frame["valid"]].reset_index(drop=True)
    typical = (frame["high"] + frame["low"] + frame["close"]) / 3.0
    out = []
    for _, order in orders[orders["asset"] == asset].iterrows():
        own = fills[fills["order"] == order["order"]]
        row: dict[str, Any] = {"order": order["order"]}
        before = frame[frame["known_at"] <= order["submitted"]]
        row["decision"] = before["close"].iloc[-1]
        coming = frame[frame["open_at"] >= order["active"]]
        came = len(coming) and (own.empty or own["time"].min() >= coming["open_at"].iloc[0])
        row["arrival"] = coming["open"].iloc[0] if came else row["decision"]
        refused = order["status"] == "rejected" and order["reason"] != "insufficient_cash"
        if refused:
            row["end"] = row["decision"]
        else:
            at = max(order["ended"], coming["open_at"].iloc[0]) if came else order["ended"]
            row["end"] = frame[frame["known_at"] >= at]["close"].iloc[0]
        if len(own):
            row["price"] = np.average(own["price"], weights=own["quantity"])
            row["reference"] = np.average(own["reference"], weights=own["quantity"])
            bar_of = [frame[(frame["open_at"] <= t) & (t <= frame["known_at"])].index[0] for t in own["time"]]
            first = coming.index[0] if came else bar_of[0]
            span = slice(first, bar_of[-1] + 1)
            row["vwap"] = np.average(typical[span], weights=frame["volume"][span])
            session = frame["session"][bar_of[-1]]
            row["close"] = frame[frame["session"] == session]["close"].iloc[-1]
            row["wait"] = (own["time"].max() - order["submitted"]).total_seconds()
        out.append(row)
    return out


def check(done: xr.Dataset, wanted: list[dict[str, Any]]) -> None:
    assert done["order"].values.tolist() == [row["order"] for row in wanted]
    for name in ("decision", "arrival", "end", "price", "reference", "vwap", "close", "wait"):
        values = [row.get(name, np.nan) for row in wanted]
        np.testing.assert_allclose(done[name], values, rtol=1e-9, err_msg=name)


def test_m16__prices_looked_up_bar_by_bar(run: Any) -> None:
    _, orders, fills, done = run
    kinds = set(orders["kind"]) & {"market", "limit", "stop", "stop_limit"}
    assert len(kinds) == 4
    assert {"filled", "cancelled", "expired", "rejected"} <= set(orders["status"])
    assert orders["filled"].between(1e-9, orders["quantity"] - 1e-9).any()  # in part
    check(done, slowly(orders, fills, apple(), "AAPL"))
    for name in ("asset", "kind", "side", "status", "reason", "submitted", "ended"):
        assert done[name].values.tolist() == orders[name].to_numpy().tolist()


def test_m16__prices_of_bars_that_touch() -> None:
    """Minutes of a market that never closes: where one bar is known the next one opens."""
    bars = kk.data.load("synthetic_minute").isel(time=slice(0, 3000))
    venue = kk.Venue(slippage=kk.slippage.fraction(0.0004), participation=0.05, latency="90s")
    res = kk.backtest(bars, minute, account=kk.Account(cash=1e7), venue=venue)
    orders, fills, done = kk.orders(res), kk.fills(res), kk.executions(res)
    opens, closes = bars["open"].values[:, 0], bars["close"].values[:, 0]
    opened, known = (bars[name].values for name in ("open_at", "known_at"))
    for k in range(len(orders)):
        t = int(np.flatnonzero(known == orders["submitted"][k])[0])
        assert float(done["decision"][k]) == closes[t]
        own = fills[fills["order"] == orders["order"][k]]
        if orders["kind"][k] == "market" and len(own):
            arrived = int(np.flatnonzero(opened >= orders["active"][k].to_datetime64())[0])
            assert arrived == t + 3  # 90 seconds later, and no minute begins then
            assert float(done["arrival"][k]) == opens[arrived]
            bar = [int(np.flatnonzero(opened == time.to_datetime64())[0]) for time in own["time"]]
            mean = bars.isel(asset=0, time=slice(bar[0], bar[-1] + 1))
            typical = (mean["high"] + mean["low"] + mean["close"]).values / 3.0
            wanted = np.average(typical, weights=mean["volume"].values)
            assert float(done["vwap"][k]) == pytest.approx(wanted, rel=1e-9)
    assert done["filled"].sum() > 0


@kk.strategy
def minute(ctx):  # type: ignore[no-untyped-def]
    if ctx.i % 50 == 0:
        ctx.order(3.0)
    if ctx.i % 50 == 20:
        ctx.order(-3.0)
    if ctx.i % 50 == 40:
        ctx.limit(1.0, ctx.close[0] * 0.999)


def test_m16__sessions_and_the_end_of_the_bars(run: Any) -> None:
    _, orders, fills, done = run
    bars = apple()
    last = m.executions(orders, fills, bars, horizon="end")
    assert (last["end"] == bars["close"][-1, 0].item()).all()
    daily = m.executions(orders, fills, bars, span="session")
    filled = done["filled"].values > 0.0
    one = filled & (done["wait"].values < 86400 * 4) & (fills.groupby("order").size().reindex(orders["order"]) == 1)
    day = bars.sel(asset="AAPL").swap_dims(time="session")
    typical = (day["high"] + day["low"] + day["close"]) / 3.0
    sessions = fills.groupby("order")["time"].first().dt.floor("D").reindex(orders["order"][one.to_numpy()])
    wanted = typical.sel(session=(sessions - pd.Timestamp("1970-01-01")).dt.days.to_numpy())
    np.testing.assert_allclose(daily["vwap"][one.to_numpy()], wanted, rtol=1e-9)
    assert (done.attrs["horizon"], last.attrs["horizon"], daily.attrs["span"]) == ("order", "end", "session")


@pytest.mark.oracle("The engine's own books", covers="M16-M19", cases=4)
def test_m18__what_paper_gained_more_is_what_the_account_lacks(run: Any) -> None:
    """At the last close: cash at the start, plus the paper's gains, less the shortfall of all orders, is the equity."""
    res, _, fills, _ = run
    last = kk.executions(res, horizon="end")
    cost = m.implementation_shortfall(last)
    sign = np.where(last["side"] == "buy", 1.0, np.where(last["side"] == "sell", -1.0, 0.0))
    paper = float((sign * last["quantity"] * (last["end"] - last["decision"])).sum())
    assert 1e7 + paper - float(cost["total"].sum()) == pytest.approx(float(res["final_equity"]), rel=1e-12)
    assert float(cost["impact"].sum()) == pytest.approx(fills["slippage"].sum(), rel=1e-9)
    assert float(cost["fees"].sum()) == pytest.approx(float(res["fees"]), rel=1e-12)
    # what rested is what the venue charged its maker's fee for
    value = fills["quantity"] * fills["price"]
    maker = np.isclose(fills["fee"] / value, 0.0003)
    assert 0 < maker.sum() < len(maker)
    assert float(last["passive"].sum()) == pytest.approx(fills["quantity"][maker].sum(), rel=1e-12)


def test_m17__slippage_and_improvement_by_order(run: Any) -> None:
    _, orders, _, done = run
    got = {name: done[name].values for name in ("price", "arrival", "decision", "reference", "vwap", "close")}
    sign = np.where(done["side"] == "buy", 1.0, -1.0)
    for against in ("decision", "arrival", "reference", "vwap", "close"):
        wanted = 1e4 * sign * (got["price"] / got[against] - 1.0)
        np.testing.assert_allclose(m.slippage(done, against), wanted, atol=1e-6)  # type: ignore[arg-type]
    limit = np.where(orders["limit"] > 0.0, orders["limit"], orders["trigger"])
    better = m.price_improvement(done).values
    np.testing.assert_allclose(better, 1e4 * sign * (1.0 - got["price"] / limit), atol=1e-6)
    at_once = 1e4 * sign * (1.0 - got["price"] / got["arrival"])
    np.testing.assert_allclose(m.price_improvement(done, "arrival"), at_once, atol=1e-6)
    kind, filled = done["kind"].values, done["filled"].values > 0.0
    assert np.isnan(m.slippage(done)[~filled]).all()
    assert np.isnan(better[~filled | (kind == "market")]).all()
    assert (better[filled & (kind == "limit")] >= 0.0).all()
    assert np.median(better[filled & (kind == "stop")]) == pytest.approx(-4.0, rel=1e-3)  # slipped at the trigger
    assert float(m.slippage(done, "reference")[kind == "market"].max()) == pytest.approx(4.0, rel=1e-3)


def test_m19__best_execution_group_by_group(run: Any) -> None:
    _, orders, fills, done = run
    cost = m.implementation_shortfall(done)
    frame = pd.merge(fills, orders[["order", "kind"]], on="order")
    frame["value"] = frame["quantity"] * frame["price"]
    found = m.best_execution(done, "kind")
    assert found["kind"].values.tolist() == sorted(set(orders["kind"]))
    for kind in found["kind"].values:
        one, mine = found.sel(kind=kind), (orders["kind"] == kind).to_numpy()
        rows, asked = orders[mine], done["decision"].values[mine] * orders["quantity"][mine]
        assert int(one["n_orders"]) == len(rows)
        assert int(one["n_filled"]) == (rows["status"] == "filled").sum()
        assert int(one["n_part"]) == ((rows["filled"] > 0.0) & (rows["status"] != "filled")).sum()
        assert int(one["n_rejected"]) == (rows["status"] == "rejected").sum()
        value = frame["value"][frame["kind"] == kind].sum()
        assert float(one["value"]) == pytest.approx(value)
        assert float(one["share_of_orders"]) == len(rows) / len(orders)
        assert float(one["share_of_value"]) == pytest.approx(value / frame["value"].sum())
        assert float(one["fees"]) == pytest.approx(1e4 * rows["fees"].sum() / value)
        assert float(one["shortfall"]) == pytest.approx(1e4 * cost["total"].values[mine].sum() / asked.sum())
        slip = (cost["timing"] + cost["impact"]).values[mine].sum()
        arrived = np.nansum(done["arrival"].values[mine] * rows["filled"])
        assert float(one["slippage"]) == pytest.approx(1e4 * slip / arrived)
        got = done["decision"].values[mine] * rows["filled"]
        assert float(one["fill_ratio"]) == pytest.approx(got.sum() / asked.sum())
        traded = (done["filled"] * done["price"]).values[mine]
        assert float(one["wait"]) == pytest.approx(np.nansum(traded * done["wait"].values[mine]) / np.nansum(traded))
        assert float(one["passive"] + one["aggressive"]) == 1.0
        rested = np.nansum((done["passive"] * done["price"]).values[mine]) / np.nansum(traded)
        assert float(one["passive"]) == pytest.approx(rested)
        better = m.price_improvement(done).values[mine]
        if kind == "market":
            assert np.isnan(one["improved"])
        else:
            judged = ~np.isnan(better)
            assert float(one["improved"]) == pytest.approx((better[judged] > 0.0).mean())
            at = (done["filled"] * done["limit"]).values[mine][judged]
            assert float(one["improvement"]) == pytest.approx((better[judged] * at).sum() / at.sum())
    hours = m.best_execution(done, "hour", tz="America/New_York")
    assert set(hours["hour"].values) <= {13, 16}  # half days close at one
    assert int(hours["n_orders"].sum()) == len(orders)
    both = m.best_execution(done, ["side", "kind"])
    assert both.sizes == {"side": 3, "kind": 4}  # less than a lot was asked for: on no side (O5)
    assert int(both["n_orders"].sum()) == len(orders)
    assert both["value"].sum() == pytest.approx(float(found["value"].sum()))


def test_m16__a_portfolio_at_two_venues() -> None:
    minutes = kk.data.load("aapl").isel(time=slice(0, 300))
    other = minutes.assign_coords(asset=["OTHER"], asset_id=("asset", ["own:OTHER"]))
    other = other.assign({n: 2.0 * other[n] for n in ("open", "high", "low", "close")})
    other = other.assign_coords(tick=2.0 * other["tick"])
    bars = xr.concat([minutes, other], "asset", data_vars="minimal", coords="minimal", compat="override", join="outer")
    bars.attrs = {**minutes.attrs}
    venues = {
        "AAPL": kk.Venue("dear", slippage=kk.slippage.fraction(0.001)),
        "OTHER": kk.Venue("cheap", slippage=kk.slippage.fraction(0.0002), participation=1e-6),
    }
    res = kk.backtest(bars, shuffle, account=kk.Account(cash=1e6), venue=venues)
    done = kk.executions(res)
    orders, fills = kk.orders(res), kk.fills(res)
    assert set(done["venue"].values) == {"dear", "cheap"}
    for asset in ("AAPL", "OTHER"):
        check(done.isel(order=np.flatnonzero(done["asset"] == asset)), slowly(orders, fills, bars, asset))
    table = m.best_execution(done)
    assert table["venue"].values.tolist() == ["cheap", "dear"]
    assert float(table["slippage"][1]) == pytest.approx(10.0, rel=1e-3)
    for venue, bps in (("dear", 10.0), ("cheap", 2.0)):
        filled = (done["venue"] == venue).values & (done["filled"] > 0.0).values
        np.testing.assert_allclose(m.slippage(done, "reference")[filled], bps, rtol=1e-3)
    assert table["wait"][0] > table["wait"][1]  # bar after bar
    last = kk.executions(res, horizon="end")
    gain = np.where(last["side"] == "buy", 1.0, -1.0) * last["quantity"] * (last["end"] - last["decision"])
    lost = m.implementation_shortfall(last)["total"]
    assert 1e6 + float((gain - lost).sum()) == pytest.approx(float(res["final_equity"]), rel=1e-12)


@kk.portfolio
def shuffle(ctx):  # type: ignore[no-untyped-def]
    for j in range(ctx.n):
        if ctx.i % 10 == 3 * j:
            ctx[j].order(100.0)
        if ctx.i % 10 == 3 * j + 5:
            ctx[j].order(-100.0)


def test_m16__every_selected_cell_of_a_sweep() -> None:
    bars = kk.data.load("aapl").isel(time=slice(0, 400))
    res = kk.backtest(bars, trades_a_lot, grid=dict(n=[5, 6, 7]), where="n != 6", fill_model=["conservative", "lean"])
    done = kk.executions(res)
    for model in ("conservative", "lean"):
        for n in (5, 7):
            one = kk.executions(res, fill_model=model, n=n)
            mine = (done["n"] == n).values & (done["fill_model"] == model).values
            assert "n" not in one.coords
            xr.testing.assert_equal(done.isel(order=mine).drop_vars(["n", "fill_model"]), one)
    assert set(done["n"].values) == {5, 7}
    table = m.best_execution(done, ["n", "fill_model"])
    assert table.sizes == {"n": 2, "fill_model": 2}
    assert int(table["n_orders"].sum()) == done.sizes["order"]
    with pytest.raises(UsageError, match="excluded by where="):
        kk.executions(res, n=6)


@kk.strategy
def taken(ctx, limit=5):  # type: ignore[no-untyped-def]
    if ctx.i == limit:
        ctx.order(1.0)


def test_m16__a_parameter_that_is_named_as_a_column() -> None:
    res = kk.backtest(kk.data.load("aapl"), taken, grid=dict(limit=[3, 5]))
    with pytest.raises(
        UsageError, match=r"parameter of the result: found limit, wanted .*kk.executions\(res, limit=...\)"
    ):
        kk.executions(res)
    assert kk.executions(res, limit=5).sizes == {"order": 1}


def test_m16__same_close_arrives_where_it_was_decided() -> None:
    res = kk.backtest(kk.data.load("aapl"), taken, fill_model=kk.FillModel(market="same_close"))
    done = kk.executions(res).isel(order=0)
    assert done["arrival"] == done["decision"] == done["price"] == kk.fills(res)["price"][0]
    assert done["wait"] == 0.0
    assert m.implementation_shortfall(kk.executions(res))["total"][0] == 0.0


def test_a1__an_inverse_contract_in_its_own_currency() -> None:
    """Two fills at two prices: what they are worth is the mean of minus one over each."""
    bars = kk.data.inverse(kk.data.load("synthetic_minute").isel(time=slice(0, 200)))
    venue = kk.Venue(slippage=kk.slippage.fraction(0.01), participation=0.3)
    volume = float(bars["volume"][:60].max())
    res = kk.backtest(bars, big, params=dict(q=volume), account=kk.Account(cash=1e9), venue=venue)
    fills, last = kk.fills(res), kk.executions(res, horizon="end")
    assert len(fills) > 1
    cost = m.implementation_shortfall(last)
    end = float(bars["close"][-1, 0])
    gain = float((last["quantity"] * (-1.0 / last["end"] + 1.0 / last["decision"]))[0])
    assert last["end"] == end
    assert 1e9 + gain - float(cost["total"][0]) == pytest.approx(float(res["final_equity"]), abs=1e-6)
    assert gain - float(cost["total"][0]) == pytest.approx(
        float((fills["quantity"] * (1.0 / fills["price"] - 1.0 / end)).sum()), rel=1e-9
    )
    assert 0.0 < float(m.slippage(last, "reference")[0]) == pytest.approx(1e4 * (1.0 - 1.0 / 1.01), rel=1e-3)


@kk.strategy
def big(ctx, q=1.0):  # type: ignore[no-untyped-def]
    if ctx.i == 50:
        ctx.order(q)


def test_e2__orders_over_a_split_have_no_prices() -> None:
    bars = kk.data.load("aapl").isel(time=slice(0, 60))
    raw = xr.DataArray(np.where(np.arange(60) < 30, 2.0, 1.0), dims="time")
    bars = bars.assign({n: bars[n] * raw for n in ("open", "high", "low", "close")})
    split = pd.DataFrame({"time": bars["open_at"].values[[30]], "asset": ["AAPL"], "kind": ["split"], "value": [2.0]})
    res = kk.backtest(kk.data.with_actions(bars, split), waits)
    orders, fills = kk.orders(res), kk.fills(res)
    with pytest.raises(DataError, match=r"lots that were split, wanted the splits beside them. Pass actions="):
        m.executions(orders, fills, bars)
    done = m.executions(orders, fills, bars, actions=split)
    over = (orders["submitted"] < split["time"][0]) & (orders["ended"] >= split["time"][0])
    assert 0 < over.sum() < len(orders)
    assert np.isnan(done["decision"]).values.tolist() == over.tolist()
    xr.testing.assert_identical(kk.executions(res), done)
    assert np.isnan(m.implementation_shortfall(done)["total"]).values.tolist() == over.tolist()


@kk.strategy
def waits(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 10:
        ctx.order(100.0)
        ctx.limit(10.0, ctx.close[0] * 0.2)
    if ctx.i == 40:
        ctx.order(-50.0)


def test_m16__what_cannot_be_put_together_is_refused(run: Any) -> None:
    _, orders, fills, done = run
    bars = apple()
    with pytest.raises(
        DataError, match=r"table of orders: found no column active, wanted order, .*Pass kk.orders\(res\)"
    ):
        m.executions(orders.drop(columns="active"), fills, bars)
    with pytest.raises(DataError, match="table of fills: found no column at, wanted"):
        m.executions(orders, fills.drop(columns="at"), bars)
    with pytest.raises(DataError, match="assets of the orders: found XYZ, wanted AAPL"):
        m.executions(orders.assign(asset="XYZ"), fills, bars)
    with pytest.raises(UsageError, match="horizon: found 'day', wanted 'order' or 'end'"):
        m.executions(orders, fills, bars, horizon="day")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="span: found 'day', wanted 'order' or 'session'"):
        m.executions(orders, fills, bars, span="day")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="slippage against: found 'open', wanted one of decision, arrival"):
        m.slippage(done, "open")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="price_improvement over: found 'vwap', wanted 'limit' or 'arrival'"):
        m.price_improvement(done, "vwap")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="implementation_shortfall: found 'perold', 'bps', wanted 'wagner' or"):
        m.implementation_shortfall(done, convention="perold", units="bps")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="best_execution by: found sector, wanted one of asset, ended, hour, kind"):
        m.best_execution(done, "sector")
    with pytest.raises(UsageError, match="best_execution by: found value, wanted a label that is not named"):
        m.best_execution(done.assign_coords(value=done["side"]), "value")


def test_a_few_orders_of_the_table(run: Any) -> None:
    """Rows may be left out: the fills of the others are not theirs."""
    _, orders, fills, done = run
    some = orders[orders["kind"] == "market"]
    found = m.executions(some, fills, apple())
    xr.testing.assert_identical(found, done.isel(order=(orders["kind"] == "market").to_numpy()))


def test_no_orders_at_all() -> None:
    res = kk.backtest(kk.data.load("aapl"), idle)
    done = kk.executions(res)
    assert done.sizes == {"order": 0}
    assert m.implementation_shortfall(done)["total"].sizes == {"order": 0}


@kk.strategy
def idle(ctx):  # type: ignore[no-untyped-def]
    pass
