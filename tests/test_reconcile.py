"""Real fills beside simulated ones: what is planted in them has to come out under its own name, and all adds up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

import kernelkit as kk
from kernelkit.reconcile.pairing import Fills, pair
from kernelkit.reconcile.refit import refit

BARS = kk.data.load("aapl").isel(time=slice(0, 400))


@kk.strategy
def trend(ctx, n=20):
    if ctx.close[0] > ctx.close.sma(n):
        ctx.target_percent(0.9)
    else:
        ctx.target_percent(0.0)


RES = kk.backtest(BARS, trend, venue=kk.venues.us_equity())
FILLS = kk.fills(RES)
REAL = FILLS[["time", "side", "quantity", "price", "fee"]]


def parts(real, **keywords):
    found = kk.reconcile(RES, real, **keywords)
    assert sum(found.parts.values()) == pytest.approx(found.gap, rel=1e-9, abs=1e-6)
    return {name: round(value, 6) for name, value in found.parts.items() if abs(value) > 1e-6}


def test_reconcile__of_a_simulation_with_itself_is_nothing():
    found = kk.reconcile(RES, REAL)
    assert parts(REAL) == {}
    assert found.matched == 1.0
    # RC1: the fills alone make what the account made, as it has no other income
    assert found.simulated == pytest.approx(float(RES["final_equity"]) - 1e6, abs=1e-5)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_reconcile__planted_fees_are_fees(sign):
    assert parts(REAL.assign(fee=REAL["fee"] + sign * 2.5)) == {"fees": pytest.approx(-sign * 2.5 * len(REAL))}


def test_reconcile__planted_prices_are_price():
    side = np.where(REAL["side"] == "buy", 1.0, -1.0)
    worse = REAL.assign(price=REAL["price"] + 0.25 * side)
    assert parts(worse) == {"price": pytest.approx(-0.25 * REAL["quantity"].sum())}


def test_reconcile__a_planted_delay_is_timing_and_price():
    """At the next bar's open the market has moved: that is timing; the slippage paid is still the one simulated."""
    late, row = REAL.copy(), 4
    opened = BARS["open_at"].values
    i = int(np.searchsorted(opened, FILLS["time"].to_numpy()[row]))
    before, after = (float(BARS["open"].values[k, 0]) for k in (i, i + 1))
    late.loc[row, "time"] = opened[i + 1]
    late.loc[row, "price"] = REAL["price"][row] + after - before
    side = 1.0 if REAL["side"][row] == "buy" else -1.0
    assert parts(late) == {"timing": pytest.approx(side * REAL["quantity"][row] * (before - after))}


def test_reconcile__dropped_fills_are_missed_and_unless_sent_signal():
    row, end = 3, float(BARS["close"].values[-1, 0])
    side = 1.0 if REAL["side"][row] == "buy" else -1.0
    lost = -(side * REAL["quantity"][row] * (end - REAL["price"][row]) - REAL["fee"][row])
    assert parts(REAL.drop(index=row)) == {"missed": pytest.approx(lost)}
    sent = set(FILLS["order"]) - {FILLS["order"][row]}
    assert parts(REAL.drop(index=row), sent=sent) == {"signal": pytest.approx(lost)}


def test_reconcile__a_trade_of_ones_own_is_signal():
    extra = pd.DataFrame(
        [{"time": BARS["open_at"].values[200], "side": "buy", "quantity": 10.0, "price": 50.0, "fee": 1.0}]
    )
    end = float(BARS["close"].values[-1, 0])
    whole = pd.concat([REAL, extra], ignore_index=True)
    assert parts(whole, within="0s") == {"signal": pytest.approx(10.0 * (end - 50.0) - 1.0)}


def test_reconcile__parts_of_a_fill_are_matched_together():
    half = REAL.assign(quantity=REAL["quantity"] / 2, fee=REAL["fee"] / 2)
    found = kk.reconcile(RES, pd.concat([half, half]))
    assert found.gap == pytest.approx(0.0, abs=1e-6)
    assert len(found.pieces) == 2 * len(REAL)


def test_pairs__tenths_leave_nothing_over():
    tenths = Fills(np.array([1, 2, 3]), np.full(3, 0.1), np.full(3, 7), np.arange(3))
    found = pair(Fills(np.array([1]), np.array([0.3]), np.array([7]), np.array([0])), tenths, 10)
    assert [(p.simulated, p.real) for p in found] == [(0, 0), (0, 1), (0, 2)]


def test_reconcile__orders_named_by_the_broker_are_taken_at_its_word():
    """However late: 40 days are more than any window."""
    late = REAL.assign(order=FILLS["order"])
    late.loc[0, "time"] += pd.Timedelta(days=40)
    assert "missed" in parts(late.drop(columns="order"))
    assert set(parts(late)) <= {"timing", "price"}


def test_reconcile__by_hand():
    """The example of docs/reconcile.md: bought 10 at 100.05 at the open, sold them at 109.945; the end is at 120."""
    days = pd.to_datetime(["2024-07-01", "2024-07-02", "2024-07-03", "2024-07-05"])
    opened, closed = [90.0, 100.0, 110.0, 116.0], [95.0, 104.0, 114.0, 120.0]
    frame = pd.DataFrame(
        {
            "open": opened,
            "high": [99.0, 112.0, 118.0, 121.0],
            "low": [88.0, 99.0, 108.0, 115.0],
            "close": closed,
            "volume": [1e6] * 4,
        },
        index=days,
    )
    bars = kk.data.from_pandas(frame, calendar="XNYS", tick_size=0.005)

    @kk.strategy
    def twice(ctx):
        if ctx.position == 0.0:
            ctx.buy(10.0)
        elif ctx.position == 10.0:
            ctx.sell(4.0)

    venue = kk.Venue(fees=kk.fees.per_unit(0.1, 0.0), slippage=kk.slippage.fraction(0.0005))
    res = kk.backtest(bars, twice, venue=venue)
    assert kk.fills(res)[["quantity", "price", "fee"]].to_numpy().tolist() == [[10.0, 100.05, 1.0], [4.0, 109.945, 0.4]]
    real = pd.DataFrame(
        {
            "time": pd.to_datetime(["2024-07-02 15:00", "2024-07-05 14:00"]).tz_localize("UTC"),
            "quantity": [8.0, -4.0],
            "price": [100.40, 115.90],
            "fee": [0.5, 0.4],
        }
    )
    found = kk.reconcile(res, real)
    # real 8 (120 - 100.40) - 0.5 - 4 (120 - 115.90) - 0.4; simulated 10 (120 - 100.05) - 1 - 4 (120 - 109.945) - 0.4
    assert (found.real, found.simulated) == (pytest.approx(139.5), pytest.approx(157.88))
    wanted = {
        "signal": 0.0,
        "timing": -4.0 * (110.0 - 116.0),  # sold when the market was at 116, not at 110
        "price": 8.0 * (100.05 - 100.40) - 4.0 * ((109.945 - 110.0) - (115.90 - 116.0)),
        "fees": 8 / 10 * 1.0 - 0.5,
        "missed": -(2.0 * (120.0 - 100.05) - 2 / 10 * 1.0),
    }
    assert found.parts == {name: pytest.approx(value) for name, value in wanted.items()}
    assert sum(wanted.values()) == pytest.approx(139.5 - 157.88)


def walked(time, quantity, price, fee, end):
    """RC1 another way: cash and position, fill after fill."""
    cash = held = 0.0
    for i in np.argsort(time, kind="stable"):
        cash -= quantity[i] * price[i] + fee[i]
        held += quantity[i]
    return cash + held * end


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_reconcile__whatever_the_broker_did_the_parts_add_up(data):
    n = data.draw(st.integers(0, 12))
    rows = st.tuples(
        st.integers(20, 398), st.sampled_from([-1.0, 1.0]), st.integers(1, 30_000), st.floats(20, 90), st.floats(-5, 50)
    )
    drawn = [data.draw(rows) for _ in range(n)]
    keep = data.draw(st.lists(st.integers(0, len(REAL) - 1), unique=True, max_size=len(REAL)))
    own = pd.DataFrame(
        {
            "time": [BARS["open_at"].values[i] for i, *_ in drawn],
            "side": ["buy" if side > 0 else "sell" for _, side, *_ in drawn],
            "quantity": [float(q) for _, _, q, *_ in drawn],
            "price": [p for *_, p, _ in drawn],
            "fee": [f for *_, f in drawn],
        }
    ).astype({"time": "datetime64[ns]"})
    real = pd.concat([REAL.loc[keep], own], ignore_index=True) if n or keep else REAL.iloc[:0]
    found = kk.reconcile(RES, real, within=data.draw(st.sampled_from(["0s", "1D", "9D"])))
    end, signed = float(BARS["close"].values[-1, 0]), real["quantity"] * np.where(real["side"] == "buy", 1.0, -1.0)
    columns = (real["time"].to_numpy(), signed.to_numpy(), real["price"].to_numpy(), real["fee"].to_numpy())
    scale = 1.0 + float((real["quantity"] * 90.0).sum()) + float((REAL["quantity"] * 90.0).sum())
    assert found.real == pytest.approx(walked(*columns, end), abs=1e-12 * scale)
    assert sum(found.parts.values()) == pytest.approx(found.gap, abs=1e-12 * scale)
    for name, table in (("simulated", REAL), ("real", real)):
        used = found.pieces[found.pieces[f"{name}_time"].notna()]["quantity"].sum()
        assert used == pytest.approx(table["quantity"].sum(), rel=1e-9)


def assigned(ours, theirs, within):
    """The best pairing of single units, by another algorithm: what a unit gains is how much nearer than the window."""
    apart = np.abs(np.subtract.outer(np.array(ours), np.array(theirs)))
    gain = np.where(apart <= within, within - apart + 1e-9, 0.0)
    i, j = linear_sum_assignment(gain, maximize=True)
    return gain[i, j].sum()


def fills_of(times, quantities):
    n = len(times)
    return Fills(np.array(times, "i8"), np.array(quantities, "f8"), np.zeros(n, "i8"), np.arange(n))


@settings(max_examples=150, deadline=None)
@given(
    ours=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), min_size=1, max_size=6),
    theirs=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), min_size=1, max_size=6),
    within=st.integers(1, 20),
)
def test_pairs__are_the_nearest_that_can_be(ours, theirs, within):
    ours, theirs = sorted(ours), sorted(theirs)
    found = pair(fills_of(*zip(*ours, strict=True)), fills_of(*zip(*theirs, strict=True)), within)
    both = [p for p in found if p.simulated >= 0 and p.real >= 0]
    gained = sum(p.quantity * (within - abs(ours[p.simulated][0] - theirs[p.real][0])) for p in both)
    units = [[t for t, q in side for _ in range(q)] for side in (ours, theirs)]
    assert gained == pytest.approx(assigned(*units, within), abs=1e-3)
    assert all(p.quantity == round(p.quantity) for p in found)  # whole units stay whole
    for side, rows in (("simulated", ours), ("real", theirs)):
        for k, (_, quantity) in enumerate(rows):
            assert sum(p.quantity for p in found if getattr(p, side) == k) == quantity


def test_refit__finds_the_slippage_that_was_planted():
    rng = np.random.default_rng(5)
    side = np.where(FILLS["side"] == "buy", 1.0, -1.0)
    paid = 0.0012 + rng.normal(0.0, 0.0004, len(FILLS))
    found = kk.reconcile(RES, REAL.assign(price=FILLS["reference"] * (1.0 + side * paid))).slippage
    rate, error = found.coefficients["fraction"]
    assert abs(rate - 0.0012) < 4.0 * error
    assert found.n == len(FILLS)
    again = kk.backtest(BARS, trend, venue=kk.Venue(slippage=found.model))
    assert f"slippage {found.model!r}" in again.attrs["costs"]


@pytest.mark.parametrize("seed", range(8))
def test_refit__tells_impact_from_a_constant(seed):
    rng = np.random.default_rng(seed)
    share = rng.uniform(1e-4, 0.05, 400)
    found = refit(0.0003 + 0.02 * np.sqrt(share) + rng.standard_t(3, 400) * 2e-4, share)
    for name, planted in (("fraction", 0.0003), ("square_root", 0.02)):
        value, error = found.coefficients[name]
        assert abs(value - planted) < 4.0 * error
    assert repr(found.model).startswith("fraction(rate=0.000")


def test_refit__does_not_fit_what_is_too_little():
    found = refit(np.full(19, 0.001), np.full(19, np.nan))
    assert found.model is None
    assert "19 fills that take from the market, 20 are needed" in str(found)
    assert refit(np.full(30, -0.001), np.full(30, np.nan)).model is None


def test_reconcile__takes_the_brokers_names_and_zones():
    said = pd.DataFrame(
        {
            "Filled": pd.to_datetime(FILLS["time"]).dt.tz_localize("UTC").dt.tz_convert("America/New_York"),
            "Shares": np.where(FILLS["side"] == "buy", 1.0, -1.0) * FILLS["quantity"],
            "AvgPx": FILLS["price"],
            "Commission": FILLS["fee"],
        }
    )
    names = {"time": "Filled", "quantity": "Shares", "price": "AvgPx", "fee": "Commission"}
    assert parts(said, columns=names) == {}
    assert parts(xr.Dataset.from_dataframe(said), columns=names) == {}


def test_reconcile__of_several_assets_has_a_gap_for_each():
    names = ["open", "high", "low", "close", "volume"]
    loaded = kk.data.load("aapl").isel(asset=0)
    days = loaded["time"].values[:300]
    frames = {
        name: loaded.isel(time=rows)[names].to_dataframe()[names].set_axis(days)
        for name, rows in (("A", slice(0, 300)), ("B", slice(300, 600)))
    }
    bars = kk.data.from_pandas(frames, calendar="XNYS", tick_size=None)

    @kk.portfolio
    def half(ctx):
        for k in range(ctx.n):
            ctx[k].target_percent(0.45 if ctx[k].close[0] > ctx[k].close.sma(30) else 0.0)

    res = kk.backtest(bars, half, venue=kk.venues.us_equity())
    table = kk.fills(res)
    real = table[["time", "asset", "side", "quantity", "price", "fee"]]
    dear = real.assign(fee=real["fee"] + np.where(real["asset"] == "B", 3.0, 0.0))
    found = kk.reconcile(res, dear).by("asset")
    assert found.loc["A"].abs().max() == pytest.approx(0.0, abs=1e-6)
    assert found.loc["B", "fees"] == pytest.approx(-3.0 * (table["asset"] == "B").sum())
    with pytest.raises(kk.errors.DataError, match="asset of fill 0: found C, wanted one of A, B"):
        kk.reconcile(res, real.assign(asset="C"))
    with pytest.raises(kk.errors.DataError, match="no asset"):
        kk.reconcile(res, real.drop(columns="asset"))


def test_reconcile__finer_bars_say_where_the_market_was():
    minutes = kk.data.load("synthetic_minute", n=5_000, seed=3)

    @kk.strategy
    def flip(ctx):
        ctx.target(10.0 if ctx.i % 100 < 50 else 0.0)

    res = kk.backtest(minutes, flip)
    table = kk.fills(res)
    step = (minutes["open_at"].values[1] - minutes["open_at"].values[0]) * 2
    late = table[["time", "side", "quantity", "price", "fee"]].assign(time=table["time"] + step)
    found = kk.reconcile(res, late, bars=minutes)
    opened = minutes["open"].values[:, 0]
    at = np.searchsorted(minutes["open_at"].values, table["time"].to_numpy())
    side = np.where(table["side"] == "buy", 1.0, -1.0)
    moved = (side * table["quantity"].to_numpy() * (opened[at] - opened[np.minimum(at + 2, len(opened) - 1)])).sum()
    assert found.parts["timing"] == pytest.approx(moved, rel=1e-6)
    assert found.gap == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("real", "text"),
    [
        ([1, 2], "broker's fills: found list, wanted a DataFrame"),
        (REAL.drop(columns="price"), "found no price"),
        (REAL.assign(price=np.nan), "price of fill 0: found nan, wanted a number"),
        (REAL.assign(quantity=0.0), "quantity of fill 0: found 0.0"),
        (REAL.assign(side="hold"), "side of fill 0: found hold"),
        (REAL.assign(time=pd.NaT), "time of fill 0: found none"),
        (REAL.assign(time=pd.Timestamp("1990-01-01")), "fill of AAPL: found 1990-01-01"),
        (REAL.assign(order=-1), "order of fill 0"),
        (REAL.assign(price="12 USD"), "price of the broker's fills"),
        (REAL.assign(price=-5.0), "price of fill 0: found -5.0, wanted one above 0"),
        (REAL.assign(reference=0.0), "reference of fill 0: found 0.0, wanted one above 0"),
    ],
)
def test_reconcile__says_what_it_cannot_read(real, text):
    with pytest.raises(kk.errors.DataError, match=text):
        kk.reconcile(RES, real)


def test_reconcile__says_what_does_not_fit():
    with pytest.raises(kk.errors.UsageError, match="within: found 'soon'"):
        kk.reconcile(RES, REAL, within="soon")
    with pytest.raises(kk.errors.UsageError, match="columns: found cost"):
        kk.reconcile(RES, REAL, columns={"cost": "fee"})
    with pytest.raises(kk.errors.UsageError, match="one trial"):
        kk.reconcile(kk.backtest(BARS, trend, grid={"n": [10, 20]}), REAL)
    with pytest.raises(kk.errors.UsageError, match="by: found nothing"):
        kk.reconcile(RES, REAL).by()
    with pytest.raises(kk.errors.UsageError, match="by: found"):
        kk.reconcile(RES, REAL).by(["side"])
    with pytest.raises(kk.errors.UsageError, match="columns: found 5, wanted a dict"):
        kk.reconcile(RES, REAL, columns=5)
    for sent in ("abc", 5, [float("nan")]):
        with pytest.raises(kk.errors.UsageError, match=r"sent: found .* wanted numbers of orders"):
            kk.reconcile(RES, REAL, sent=sent)


def test_reconcile__a_distance_beyond_any_span_pairs_what_a_wide_one_does():
    assert kk.reconcile(RES, REAL, within="100000D").parts == kk.reconcile(RES, REAL, within="20000D").parts


def test_reconcile__is_shown_in_words():
    found = kk.reconcile(RES, REAL.assign(fee=REAL["fee"] + 1.0))
    assert "fees beyond those simulated" in repr(found)
    assert "fees beyond those simulated" in found._repr_html_()
