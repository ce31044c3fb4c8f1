"""Other engines' answers to single bars, fees and slippage, asked of the compiled engine in the dialect of each."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.kernels import layout as L

pytestmark = pytest.mark.market_data

# Families that other modules here ask as a whole.
ELSEWHERE = ("liquidation", "funding")
RUNS = {"bt.goog.smacross", "bt.goog.smacross.close_finalize", "lean.spy.daily"}
BOOK = "feature: no order book"
NOT_ASKED = {
    "lean.spy.minute": "data: SPY by the minute",
    "lean.spy.stoploss": "data: SPY by the minute",
    "nautilus.audusd.roundtrip": "feature: fills at bid and ask",
    "latency.intp": "feature: latency that changes by the hour",
    "liquidity.consumption": BOOK,
    "l2.trade_seeds_stop": BOOK,
    "queue.power(n=2)": BOOK,
    "queue.power(n=3)": BOOK,
    "queue.power3(n=3)": BOOK,
    "queue.log": BOOK,
    "queue.log2": BOOK,
    "queue.riskadverse": BOOK,
    "queue.nautilus": BOOK,
}
# The fill model that speaks for an answer of the vectors.
DIALECTS = {
    "fill": "conservative",
    "backtesting_py": "backtesting.py",
    "lean_equity": "lean_equity",
    "lean_base_fillmodel": "lean",
    "nautilus": "nautilus",
    "vectorbt_sl": "conservative",
    "freqtrade": "freqtrade",
    "freqtrade_optimistic": "freqtrade",
    "zipline": "zipline",
}
STOPS = ["bar.stop.unfavourable_gap", "bar.stop.gap.dialects", "bar.stop.gap_recross", "bar.stop.move_through"]
TRIGGERS: list[
    tuple[str, dict[str, Any], float]
] = [  # vector, order, and the close that puts its trigger where the vector has it
    ("trail.sell.bps.103", {"kind": "trail_fraction", "q": -1.0, "a": 0.01}, 101.02),
    ("trail.sell.bps.103", {"kind": "trail_bps", "q": -1.0, "a": 100.0}, 101.02),
    ("trail.buy.ticks0.01.98", {"kind": "trail", "q": 1.0, "a": 0.05}, 99.95),
    ("trail.buy.ticks0.01.98", {"kind": "trail_ticks", "q": 1.0, "a": 5.0}, 99.95),
    ("trail.sell.price.102", {"kind": "trail", "q": -1.0, "a": 1.0}, 101.0),
    ("trail.buy.price.99", {"kind": "trail", "q": 1.0, "a": 1.0}, 99.0),
]
MINIMA = ["1", "2.5", "3.5", "5.5"]
CASES = ["5.0.1.100", "5.0.1.-100", "5.0.1.10", "10.0.1.100"]


@kk.strategy
def once(ctx, kind="limit", q=1.0, a=0.0, b=0.0):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        if kind == "market":
            ctx.order(q)
        elif kind == "limit":
            ctx.limit(q, a)
        elif kind == "stop":
            ctx.stop(q, a)
        elif kind == "stop_limit":
            ctx.stop_limit(q, a, b)
        elif kind == "trail":
            ctx.trailing_stop(q, trail=a)
        elif kind == "trail_fraction":
            ctx.trailing_stop(q, fraction=a)
        elif kind == "trail_bps":
            ctx.trailing_stop(q, bps=a)
        elif kind == "trail_ticks":
            ctx.trailing_stop(q, ticks=a)
        else:
            ctx.bracket(q, stop_loss=a, take_profit=b)


def daily(*ohlc: Any, tick: float = 0.01, volume: float = 1000.0) -> xr.Dataset:
    """Bars of one UTC day each."""
    days = pd.date_range("2021-03-01", periods=len(ohlc), freq="1D")
    frame = pd.DataFrame(np.array(ohlc, "f8"), index=days, columns=["open", "high", "low", "close"])
    reading = {"label": "open", "bar": "1D", "calendar": "24/7", "tick_size": tick, "lot_size": 1.0}
    bars: xr.Dataset = kk.data.from_pandas(frame.assign(volume=volume), **reading)
    return bars


def still(price: float) -> list[float]:
    """A bar that does not move."""
    return [price] * 4


def run(
    bars: xr.Dataset, venue: kk.Venue | None = None, model: dict[str, str] | str | None = None, **order: Any
) -> xr.Dataset:
    chosen = kk.FillModel(**model) if isinstance(model, dict) else model
    res: xr.Dataset = kk.backtest(bars, once, order, venue=venue, fill_model=chosen)
    return res


def first_price(*ohlc: Any, model: dict[str, str] | str | None = None, **order: Any) -> float | None:
    """Price of the first fill of an order sent before the first of these bars, None if it never fills."""
    fills = kk.fills(run(daily(still(ohlc[0][0]), *ohlc), model=model, **order))
    return None if fills.empty else float(fills["price"].iloc[0])


def test_every_vector_is_asked(vectors: dict[str, Any]) -> None:
    """A vector that no test asks, and that is not excused above, is a hole."""
    asked = RUNS | {name for name, vector in vectors.items() if vector["family"] in ELSEWHERE}
    asked |= {
        "bar.limit.through_vs_touch",
        *STOPS,
        "bar.stoplimit.same_bar",
        "bar.trailing.high_first",
        "bar.sl_before_tp",
        "bar.volume_split4",
    }
    asked |= {name for name, _, _ in TRIGGERS}
    asked |= {f"zipline.pershare.min{m}" for m in MINIMA} | {f"zipline.fixedbps.{c}" for c in CASES}
    assert not asked & set(NOT_ASKED)
    assert set(vectors) == asked | set(NOT_ASKED)


@pytest.mark.parametrize(
    ("model", "expected"),
    [({"limit": "touch"}, "touch_mode"), ({"limit": "through"}, "through_mode"), ("zipline", "close_only_mode")],
)
@pytest.mark.oracle("Vectors: limit", covers="F5", left_out=NOT_ASKED)
def test_f5_limit(vectors: dict[str, Any], model: Any, expected: str) -> None:
    vector = vectors["bar.limit.through_vs_touch"]
    price = first_price(vector["input"]["bar"], model=model, kind="limit", a=vector["input"]["limit"])
    assert price == vector["expected"][expected]


@pytest.mark.parametrize("name", STOPS)
@pytest.mark.oracle("Vectors: stop", covers="F1, F2, F11, F13")
def test_f1_f2_f11_f13_stop(vectors: dict[str, Any], name: str) -> None:
    given, wanted = vectors[name]["input"], vectors[name]["expected"]
    for engine, price in wanted.items():
        assert first_price(given["bar"], model=DIALECTS[engine], kind="stop", q=-1.0, a=given["stop"]) == price, engine


@pytest.mark.parametrize(
    ("side", "q", "bar"), [("buy", 1.0, [110, 114, 109, 112]), ("sell", -1.0, [110, 111, 104, 106])]
)
@pytest.mark.oracle("Vectors: stop-limit", covers="F3")
def test_f3_stop_limit(vectors: dict[str, Any], side: str, q: float, bar: list[float]) -> None:
    vector = vectors["bar.stoplimit.same_bar"]
    prices = vector["input"][side]
    price = first_price(bar, kind="stop_limit", q=q, a=prices["stop"], b=prices["limit"])
    assert price == vector["expected"][f"{side}_fill"]


@pytest.mark.oracle("Vectors: trailing stop", covers="F8")
def test_f8_trailing_bar(vectors: dict[str, Any]) -> None:
    vector = vectors["bar.trailing.high_first"]
    given, expected = vector["input"], vector["expected"]
    order = {"kind": "trail_fraction", "q": -1.0, "a": given["trail_pct"]}
    high_first = first_price(*given["bars"], model={"trailing": "update_first"}, **order)
    assert high_first == expected["high_first_fill"]
    assert high_first / given["entry_bar"][0] - 1.0 == pytest.approx(expected["high_first_ret"], abs=1e-12)
    assert first_price(*given["bars"], model={"trailing": "check_first"}, **order) is expected["check_then_update_fill"]
    reached = [given["bars"][0], [5000, 5200, expected["check_then_update_stop_before"], 4850]]
    price = first_price(*reached, model={"trailing": "check_first"}, **order)
    assert price == expected["check_then_update_stop_before"]


@pytest.mark.parametrize(
    ("model", "expected"),
    [(None, "sl_first"), ({"path": "low_first"}, "sl_first"), ({"path": "high_first"}, "tp_first")],
)
@pytest.mark.oracle("Vectors: bracket", covers="F4, F6, F12")
def test_f4_f12_stop_before_target(vectors: dict[str, Any], model: Any, expected: str) -> None:
    vector = vectors["bar.sl_before_tp"]
    given = vector["input"]
    bars = daily(still(given["entry"]), still(given["entry"]), given["bar"])
    fills = kk.fills(run(bars, model=model, kind="bracket", a=given["sl_pct"], b=given["tp_pct"]))
    assert fills["price"].tolist() == [given["entry"], vector["expected"][expected]]


@pytest.mark.parametrize(("path", "first"), [("nearest_first", 1490.0), ("high_first", 1510.0)])
@pytest.mark.oracle("Vectors: path", covers="F12")
def test_f12_the_nearer_extreme_comes_first(path: str, first: float) -> None:
    """Nautilus, matching_engine.rs, test_bar_adaptive_ordering: the high is 22 away from the open, the low 18."""

    @kk.strategy
    def both(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.stop(1.0, 1510.0)
            ctx.stop(-1.0, 1490.0)

    bars = daily(still(1500), [1498, 1520, 1480, 1500])
    prices = kk.fills(kk.backtest(bars, both, fill_model=kk.FillModel(path=path)))["price"]
    assert prices.tolist()[0] == first
    assert len(prices) == 2


@pytest.mark.parametrize(("name", "order", "close"), TRIGGERS)
@pytest.mark.oracle("Vectors: trigger", covers="F8")
def test_f8_new_trigger(vectors: dict[str, Any], name: str, order: dict[str, Any], close: float) -> None:
    """The bar after the order's ends at ``last``."""
    given, wanted = vectors[name]["input"], vectors[name]["expected"]["new_trigger"]
    before = kk.orders(run(daily(still(close), still(close)), **order))
    assert before["trigger"].tolist() == [given["trigger"]]
    low, high = sorted([close, given["last"]])
    after = kk.orders(run(daily(still(close), [close, high, low, given["last"]]), **order))
    assert after["status"].tolist() == ["cancelled"]
    assert after["reason"].tolist() == ["end_of_data"]
    assert after["trigger"].tolist() == [given["trigger"] if wanted is None else wanted]


def answer(model: kk.CostModel, **view: float) -> float:
    """What the compiled model says to this view, called through its address as the engine calls it."""
    record, slots = np.zeros(1, L.MODEL), np.array(model.slots, "f8")
    record["slots"] = slots.ctypes.data
    for name, value in view.items():
        record[name] = value
    function = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(model.entry())
    return float(function(record.ctypes.data))


@pytest.mark.parametrize("minimum", MINIMA)
@pytest.mark.oracle("Vectors: fee", covers="C2, C4, P2")
def test_c4_p2_per_unit_fee(vectors: dict[str, Any], minimum: str) -> None:
    vector = vectors[f"zipline.pershare.min{minimum}"]
    model = kk.fees.per_unit(vector["input"]["cost"], vector["input"]["min_trade_cost"])
    filled, paid, cumulative = 0.0, 0.0, []
    for quantity in vector["input"]["fills"]:
        paid += answer(model, quantity=quantity, filled=filled, paid=paid, price=10.0, notional=10.0 * quantity)
        filled += quantity
        cumulative.append(paid)
    assert cumulative == pytest.approx(vector["expected"]["cumulative"], abs=1e-12)
    sizes = vector["input"]["fills"]
    bars = daily(still(10.0), *(still(10.0) for _ in sizes)).copy(deep=True)
    bars["volume"][1:, 0] = sizes
    res = run(bars, kk.Venue("v", model, participation=1.0), kind="market", q=float(sum(sizes)))
    assert np.cumsum(kk.fills(res)["fee"].values) == pytest.approx(vector["expected"]["cumulative"], abs=1e-12)
    assert kk.orders(res)["status"].tolist() == ["filled"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.oracle("Vectors: slippage", covers="C1, C4, P1")
def test_c1_p1_slippage(vectors: dict[str, Any], case: str) -> None:
    """A market order that the volume limit cuts in its first bar."""
    vector = vectors[f"zipline.fixedbps.{case}"]
    given = vector["input"]
    bars = daily(still(given["close"]), still(given["close"]), tick=1e-4, volume=given["bar_volume"])
    venue = kk.Venue("v", slippage=kk.slippage.fraction(given["bps"] / 1e4), participation=given["volume_limit"])
    fills = kk.fills(run(bars, venue, kind="market", q=float(given["order"])))
    assert fills["price"].tolist() == [vector["expected"]["price"]]
    assert (fills["quantity"] * np.where(fills["side"] == "buy", 1, -1)).tolist() == [vector["expected"]["qty"]]
