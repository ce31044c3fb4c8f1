"""Cost models: what each answers, compiled and as Python, and what a factory refuses."""

from __future__ import annotations

import ctypes
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit import fees, slippage
from kernelkit.errors import OrderError, StrategyError
from kernelkit.kernels import layout as L
from kernelkit.kernels.context import MODEL_FIELDS
from kernelkit.market.amm import amount_in, amount_out
from kernelkit.market.models import CostModel
from tests.test_engine_is_reference import FEES, SLIPPAGES


@pytest.fixture
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials of tests are recorded in a folder of their own."""
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


BUY = {"side": 1.0, "quantity": 100.0, "price": 50.0, "notional": 5000.0, "tick": 0.01, "volume": 2000.0}
SELL = BUY | {"side": -1.0}


def answer(model: CostModel, **view: float) -> float:
    """What the compiled model says to this view, called through its address as the engine calls it."""
    record, slots = np.zeros(1, L.MODEL), np.array(model.slots, "f8")
    record["slots"] = slots.ctypes.data
    for name, value in view.items():
        record[name] = value
    return float(ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(model.entry())(record.ctypes.data))


MODELS = [*(fee for fee, _ in FEES if fee), *(slip for slip, _ in SLIPPAGES if slip)]
NUMBERS = st.floats(0.0, 1e6) | st.sampled_from([0.0, 1.0, 5e3, 2e5])


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(MODELS), st.fixed_dictionaries({name: NUMBERS for name in MODEL_FIELDS if name != "time"}))
def test_python_and_compiled_code_answer_alike(model: CostModel, view: dict[str, float]) -> None:
    view |= {"side": 1.0 if view["side"] > 5e5 else -1.0, "price": view["price"] + 1.0, "maker": view["maker"] % 2 // 1}
    slots = model.slots
    assert model.ask(SimpleNamespace(**view), lambda k: slots[k]) == answer(model, **view)


@pytest.mark.parametrize(
    ("model", "view", "wanted"),
    [
        (fees.maker_taker(0.0002, 0.0005), BUY, 2.5),
        (fees.maker_taker(0.0002, 0.0005), BUY | {"maker": 1.0}, 1.0),
        (fees.tiered((0, 1e6), (0.001, 0.0009), (0.002, 0.0018)), BUY | {"traded": 999_999.0}, 10.0),
        (fees.tiered((0, 1e6), (0.001, 0.0009), (0.002, 0.0018)), BUY | {"traded": 1e6}, 9.0),
        (fees.tiered((0, 1e6), (0.001, 0.0009), (0.002, 0.0018)), BUY | {"traded": 1e6, "maker": 1.0}, 4.5),
        (fees.percentage(0.001, 8.0), BUY, 8.0),
        (fees.percentage(0.001, 8.0), BUY | {"filled_notional": 5000.0, "filled": 100.0, "paid": 8.0}, 2.0),
        (fees.percentage(0.001, 0.0, 6.0), BUY | {"filled_notional": 5000.0, "filled": 100.0, "paid": 5.0}, 1.0),
        (fees.stamp_duty(), BUY, 25.0),
        (fees.stamp_duty(), SELL, 0.0),
        (fees.us_sales(5.10e-6, 0.000119, 5.95), BUY, 0.0),
        (fees.us_sales(5.10e-6, 0.000119, 5.95), SELL, 5000 * 5.10e-6 + 0.0119),
        (fees.us_sales(0.0, 0.000119, 5.95), SELL | {"quantity": 1e6}, 5.95),
        (fees.fixed(1.0) + fees.stamp_duty(), BUY, 26.0),
        (slippage.ticks(3), BUY, 0.03 / 50),
        (slippage.spread(ticks=3), BUY, 0.015 / 50),
        (slippage.spread(rate=0.001), BUY, 0.0005),
        (slippage.linear(0.1), BUY, 0.005),
        (slippage.linear(0.1), BUY | {"volume": 0.0}, 0.1),
        (slippage.volume_share(0.5, 0.1), BUY, 0.1 * 0.05**2),
        (slippage.volume_share(), BUY, 0.1 * 0.025**2),
        (slippage.volatility_adaptive(0.1), BUY | {"volatility": 0.02}, 0.002),
        (slippage.volatility_adaptive(0.1, 0.001), BUY | {"volatility": 0.002}, 0.001),
    ],
)
def test_c4__worked_answers(model: CostModel, view: dict[str, float], wanted: float) -> None:
    assert answer(model, **view) == pytest.approx(wanted, rel=1e-15)


def once(quantity: float, venue: kk.Venue, price: float, volume: float, tick: float) -> Any:
    """The fills of one market order over five bars that stand still."""

    @kk.strategy
    def single(ctx, q=1.0):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.order(q)

    index = pd.date_range("2024-01-01", periods=7, freq="1D")
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), price) | {"volume": volume}, index=index)
    reading = {"label": "open", "bar": "1D", "calendar": "24/7", "tick_size": tick, "lot_size": 1.0}
    bars, rich = kk.data.from_pandas(frame, **reading), kk.Account(cash=1e9)
    return kk.fills(kk.backtest(bars, single, {"q": quantity}, venue=venue, account=rich))


@pytest.mark.oracle("zipline, a documented fill", covers="C1, C4, P1")
def test_c4__volume_share_is_zipline_s_documented_number(own_ledger: None) -> None:
    """zipline, VolumeShareSlippage: volume 2000, limit 2.5 %, order 100, close 3.5, k = 0.1: 50 @ 3.50021875."""
    venue = kk.Venue("v", slippage=slippage.volume_share(0.025, 0.1), participation=0.025)
    fills = once(100.0, venue, 3.5, 2000.0, 1e-8)
    assert fills["quantity"].tolist() == [50.0, 50.0]
    assert fills["price"].tolist() == [3.50021875, 3.50021875]


@pytest.mark.oracle("Almgren and Chriss", covers="C1, C4")
def test_c4__almgren_chriss_fills_add_up_to_their_expected_shortfall(own_ledger: None) -> None:
    """Equation (8) of the paper for five equal trades: 662,500 USD on a million shares, its test case."""
    model = slippage.almgren_chriss(0.0625, 2.5e-6, 2.5e-7)
    fills = once(1e6, kk.Venue("v", slippage=model, participation=0.04), 50.0, 5e6, 2.0**-20)
    assert fills["quantity"].tolist() == [2e5] * 5
    shortfall = float(((fills["price"] - 50.0) * fills["quantity"]).sum())
    assert shortfall == pytest.approx(662_500.0, abs=1e6 * 2.0**-20)  # rounded to the tick, up


@pytest.mark.parametrize("quantity", [1, 10**15, 10**18, 123_456_789_012_345_678_901])
def test_c4__constant_product_is_the_pool_s_own_integers(quantity: int) -> None:
    """Uniswap v2 with its fee of 3 in 1000: one unit in 1e18."""
    x, y = 5_000 * 10**18, 10_000_000 * 10**18
    model = slippage.constant_product(x / 1e18, 0.003)
    sold = y / x * (1.0 - answer(model, side=-1.0, quantity=quantity / 1e18)) * quantity
    bought = y / x * (1.0 + answer(model, side=1.0, quantity=quantity / 1e18)) * quantity
    assert sold == pytest.approx(amount_out(quantity, x, y), rel=1e-12, abs=1.0)
    assert bought == pytest.approx(amount_in(quantity, y, x), rel=1e-12, abs=2.0)


def test_c6__more_than_the_pool_holds_stops_the_trial(own_ledger: None) -> None:
    venue = kk.Venue("v", slippage=slippage.constant_product(10.0))
    with pytest.raises(OrderError, match="constant_product"):
        once(11.0, venue, 50.0, 1.0, 0.01)


def test_a_sum_of_sums_is_one_model_and_travels() -> None:
    tiers = fees.tiered((0, 1e6), (0.001, 0.0009), (0.002, 0.0018))
    both = (fees.fixed(1.0) + tiers) + (fees.stamp_duty() + fees.fraction(0.01))
    assert repr(both) == (
        "fixed(amount=1) + tiered(volumes=(0, 1e+06), maker=(0.001, 0.0009), taker=(0.002, 0.0018)) + "
        "stamp_duty(rate=0.005) + fraction(rate=0.01)"
    )
    assert answer(both, **BUY) == 1.0 + 10.0 + 25.0 + 50.0
    travelled = pickle.loads(pickle.dumps(both))
    assert (travelled.text, travelled.words, repr(travelled)) == (both.text, both.words, repr(both))
    assert both.charges
    assert not (fees.fraction(-0.001) + fees.fixed(2.0)).charges


def test_a_table_is_read_as_in_python() -> None:
    @kk.cost_model
    def last(m, table: tuple[float, ...], k=0.0):  # type: ignore[no-untyped-def]
        return table[int(k)] + 10.0 * len(table)

    assert [answer(last((1.0, 2.0), k)) for k in (0, 1, -1, -2)] == [21.0, 22.0, 22.0, 21.0]
    assert np.isnan([answer(last((1.0, 2.0), k)) for k in (2, -3)]).all()


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: fees.tiered((0, 5, 5), (0, 0, 0), (0, 0, 0)), "volumes that rise from 0"),
        (lambda: fees.tiered((1, 5), (0, 0), (0, 0)), "volumes that rise from 0"),
        (lambda: fees.tiered((0, 5), (0,), (0, 0)), "2 volumes, 1 maker and 2 taker rates"),
        (lambda: fees.tiered((0, 5), (0, 0), (0, 1.5)), "below 1"),
        (lambda: fees.tiered((), (), ()), "a sequence of finite numbers"),
        (lambda: fees.maker_taker(0.001, (0.001,)), "taker of maker_taker: found (0.001,), wanted a finite number"),
        (lambda: fees.tiered(range(50), [0.0] * 50, [0.0] * 50), "156 numbers, wanted at most 128"),
        (lambda: slippage.learned(None, (0.0, 1.0), (0.0, 1.0)), "a fitted regressor with predict(X)"),
        (lambda: slippage.learned(Negative(), (0.0,), (0.0, 1.0)), "two or more rising points"),
        (lambda: slippage.learned(Negative(), (0.0, 1.0), (0.0, 1.0)), "prediction of the regressor at (0.0, 0.0)"),
    ],
)
def test_what_a_factory_refuses(build: Any, text: str) -> None:
    with pytest.raises(StrategyError) as caught:
        build()
    assert text in str(caught.value)


class Negative:
    def predict(self, points: np.ndarray) -> np.ndarray:
        return points[:, 0] - 0.5


def test_a_table_is_read_by_index_only() -> None:
    with pytest.raises(StrategyError, match="`rates` is a table of numbers"):

        @kk.cost_model
        def whole(m, rates: tuple[float, ...]):  # type: ignore[no-untyped-def]
            return max(rates)


def test_names_of_added_models_mean_one_thing() -> None:
    import math as lib

    @kk.cost_model
    def one(m, a=1.0):  # type: ignore[no-untyped-def]
        return lib.sqrt(a)

    def other() -> CostModel:
        import numpy as lib

        @kk.cost_model
        def two(m, a=1.0):  # type: ignore[no-untyped-def]
            return lib.sqrt(a)

        return two()

    with pytest.raises(StrategyError, match="`lib` of the models that are added"):
        one() + other()


@kk.strategy
def busy(ctx, n=3):  # type: ignore[no-untyped-def]
    """Trades each day, at the market and at limits, so that tiers are climbed and limits rest."""
    if ctx.i % n == 0:
        ctx.cancel_all()
        ctx.limit(3.0, ctx.close[0] * 0.995)
        ctx.target_percent(0.9 if ctx.i % (2 * n) == 0 else -0.4)


@pytest.fixture(scope="module")
def bars() -> Any:
    index = pd.date_range("2024-01-01", periods=400, freq="4h")
    rng = np.random.default_rng(7)
    close = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, 400))), 2)
    opens = np.r_[100.0, close[:-1]]
    frame = pd.DataFrame({"open": opens, "close": close, "volume": 5000.0}, index=index)
    frame["high"], frame["low"] = frame[["open", "close"]].max(axis=1) + 1.0, frame[["open", "close"]].min(axis=1) - 1.0
    return kk.data.from_pandas(frame, label="open", bar="4h", calendar="24/7", tick_size=0.01, lot_size=0.001)


def costly() -> kk.Venue:
    """Models with state of their own in the account, with tables, and in sums."""
    tiers = fees.tiered((0, 1e6, 5e6, 2e7), (0.0002, 0.0001, 0.0, -0.0001), (0.0005, 0.0004, 0.0003, 0.0002))
    slip = slippage.learned(Positive(), (0.0, 0.1, 1.0), (0.0, 0.01, 0.05)) + slippage.ticks(1)
    return kk.Venue("v", fees=tiers + fees.stamp_duty(0.0001), slippage=slip)


class Positive:
    def predict(self, points: np.ndarray) -> np.ndarray:
        return points[:, 0] * 0.01 + points[:, 1] * 0.02


def test_debug_runs_the_same_models(own_ledger: None, bars: Any) -> None:
    compiled, plain = (kk.backtest(bars, busy, venue=costly(), debug=debug) for debug in (False, True))
    assert plain["equity"].values.tobytes() == compiled["equity"].values.tobytes()
    assert float(compiled["n_fills"]) > 100


def test_c3__what_was_traded_goes_on_after_a_checkpoint(own_ledger: None, bars: Any, tmp_path: Path) -> None:
    """Tiers depend on 30 days; a run that is saved on the way pays what an uninterrupted one pays, to the bit."""
    whole = kk.fills(kk.backtest(bars, busy, venue=costly()))
    run = kk.start(bars.isel(time=slice(0, 190)), busy, venue=costly())
    run.save(tmp_path / "run")
    again = kk.resume(tmp_path / "run").feed(bars.isel(time=slice(190, None)))
    assert float(again.result()["final_equity"]) == float(kk.backtest(bars, busy, venue=costly())["final_equity"])
    rates = (whole["fee"] / (whole["quantity"] * whole["price"])).round(6)
    assert {0.0005, 0.0004, 0.0003, 0.0002} <= set(rates[whole["side"] == "sell"])  # each tier has been reached
    afresh = kk.fills(kk.backtest(bars.isel(time=slice(190, None)), busy, venue=costly())).iloc[0]
    assert afresh["fee"] / (afresh["quantity"] * afresh["price"]) > 0.0004  # a new account begins in the first tier


@kk.strategy
def enter(ctx, target=99.0, entry=96.0):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx.bracket(1.0, limit=target, entry=entry)


@pytest.mark.parametrize(
    ("entry", "target", "bar", "model", "fills"),
    [  # the price of each fill, and whether it makes
        (96.0, 99.0, [100, 103, 94, 103], {"path": "low_first"}, [(96.0, 1.0), (99.0, 1.0)]),
        (98.0, 95.0, [100, 103, 94, 103], {"path": "low_first"}, [(98.0, 1.0), (97.0, 0.0)]),  # passed when it woke
        (96.0, 99.0, [95, 96, 94, 95], {}, [(95.0, 0.0)]),  # the open is beyond the limit
        (96.0, 99.0, [100, 100, 94, 95], {}, [(96.0, 1.0)]),
        (96.0, 99.0, [98, 98, 95, 95], {"path": "close", "market": "next_close"}, [(95.0, 0.0)]),
    ],
)
def test_c3__who_rests_makes(
    own_ledger: None, entry: float, target: float, bar: list[float], model: dict[str, str], fills: list[Any]
) -> None:
    frame = pd.DataFrame([[100.0] * 4, bar], pd.date_range("2024-01-01", periods=2), ["open", "high", "low", "close"])
    bars = kk.data.from_pandas(frame.assign(volume=1.0), label="open", bar="1D", calendar="24/7", tick_size=1.0)
    venue = kk.Venue("v", fees=fees.maker_taker(0.0, 0.5))
    found = kk.fills(
        kk.backtest(bars, enter, {"entry": entry, "target": target}, venue=venue, fill_model=kk.FillModel(**model))
    )
    assert list(zip(found["price"], 1.0 - 2.0 * found["fee"] / found["price"], strict=True)) == fills
