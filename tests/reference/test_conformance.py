"""The simulator against numbers of other engines: the conformance vectors and two whole runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.reference import Bars, Config, Grid, ModelView, View, models, simulate
from tests.reference.orders import Order
from tests.reference.worked import CENTS, DAY, HOUR, Plan, daily, flat, play

SHARED = Path(__file__).parents[3] / "shared"
market_data = pytest.mark.market_data
pytestmark = pytest.mark.oracle("Vectors, asked of the simulator", covers="F1-F9, C1, C4, P2, S1-S5, A1-A8, M5")


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no {path.name} in {path.parent}: this check needs the folder of market data beside the checkout")
    return path


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    return {vector["id"]: vector for vector in json.loads(shared("conformance/vectors.json").read_text())}


def cents(bar: list[float]) -> tuple[int, int, int, int]:
    o, h, l, c = (round(price * 100) for price in bar)  # noqa: E741  the four prices keep their names
    return o, h, l, c


def first_fill(bars: list[list[float]], plan: Plan, **config: str) -> float | None:
    """The price of the first fill of a plan decided on a still bar at the first open."""
    start = round(bars[0][0] * 100)
    outcome = play(daily(*flat(start), *[cents(bar) for bar in bars]), plan, Config(**config), CENTS)  # type: ignore[arg-type]
    return CENTS.price(outcome.fills[0]["ticks"]) if outcome.fills else None


@market_data
@pytest.mark.parametrize(("limit", "expected"), [("touch", "touch_mode"), ("through", "through_mode")])
def test_bar_limit(vectors: dict[str, Any], limit: str, expected: str) -> None:
    vector = vectors["bar.limit.through_vs_touch"]
    plan: Plan = {0: lambda ctx: ctx.limit(1, vector["input"]["limit"])}
    assert first_fill([vector["input"]["bar"]], plan, limit=limit) == vector["expected"][expected]


@market_data
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bar.stop.unfavourable_gap", "fill"),
        ("bar.stop.gap.dialects", "nautilus"),
        ("bar.stop.gap_recross", "lean_equity"),
        ("bar.stop.move_through", "fill"),
    ],
)
def test_bar_stop(vectors: dict[str, Any], name: str, expected: str) -> None:
    vector = vectors[name]
    plan: Plan = {0: lambda ctx: ctx.stop(-1, vector["input"]["stop"])}
    assert first_fill([vector["input"]["bar"]], plan) == vector["expected"][expected]


@market_data
@pytest.mark.parametrize(("side", "q", "bar"), [("buy", 1, [110, 114, 109, 112]), ("sell", -1, [110, 111, 104, 106])])
def test_bar_stoplimit(vectors: dict[str, Any], side: str, q: int, bar: list[float]) -> None:
    vector = vectors["bar.stoplimit.same_bar"]
    prices = vector["input"][side]
    plan: Plan = {0: lambda ctx: ctx.stop_limit(q, prices["stop"], prices["limit"])}
    assert first_fill([bar], plan) == vector["expected"][f"{side}_fill"]


@market_data
def test_bar_trailing(vectors: dict[str, Any]) -> None:
    vector = vectors["bar.trailing.high_first"]
    given, expected = vector["input"], vector["expected"]
    plan: Plan = {0: lambda ctx: ctx.trailing_stop(-1, fraction=given["trail_pct"])}
    assert first_fill(given["bars"], plan, trailing="update_first") == expected["high_first_fill"]
    assert expected["high_first_fill"] / given["entry_bar"][0] - 1.0 == pytest.approx(expected["high_first_ret"])
    assert first_fill(given["bars"], plan, trailing="check_first") == expected["check_then_update_fill"]
    lower = [given["bars"][0], [5000, 5200, expected["check_then_update_stop_before"], 4850]]
    assert first_fill(lower, plan, trailing="check_first") == expected["check_then_update_stop_before"]


@market_data
def test_bar_bracket(vectors: dict[str, Any]) -> None:
    vector = vectors["bar.sl_before_tp"]
    given = vector["input"]
    opening = round(given["entry"] * 100)
    bars = daily(*flat(opening, 2), cents(given["bar"]))
    plan: Plan = {0: lambda ctx: ctx.bracket(1, stop_loss=given["sl_pct"], take_profit=given["tp_pct"])}
    outcome = play(bars, plan, grid=CENTS)
    assert [CENTS.price(fill["ticks"]) for fill in outcome.fills] == [given["entry"], vector["expected"]["sl_first"]]


@market_data
@pytest.mark.parametrize(
    ("name", "side", "kind", "offset"),
    [
        ("trail.sell.bps.103", -1, "bps", 0.01),
        ("trail.buy.ticks0.01.98", 1, "ticks0.01", 5),
        ("trail.sell.price.102", -1, "price", 100),
        ("trail.buy.price.99", 1, "price", 100),
    ],
)
def test_trailing(vectors: dict[str, Any], name: str, side: int, kind: str, offset: float) -> None:
    vector = vectors[name]
    given = vector["input"]
    order = Order(1, "trailing_stop", "GTC", side, 0, trigger=round(given["trigger"] * 100))
    if kind == "bps":
        order.fraction = offset
    else:
        order.trail = int(offset)
    last = round(given["last"] * 100)
    order.trigger = order.moved_trigger(CENTS, last, last)
    wanted = vector["expected"]["new_trigger"]
    assert CENTS.price(order.trigger) == (given["trigger"] if wanted is None else wanted)
    assert given["kind"] == kind


@market_data
@pytest.mark.parametrize("minimum", ["1", "2.5", "3.5", "5.5"])
def test_fee(vectors: dict[str, Any], minimum: str) -> None:
    vector = vectors[f"zipline.pershare.min{minimum}"]
    model = models.per_unit_fee(vector["input"]["cost"], vector["input"]["min_trade_cost"])
    filled, paid, cumulative = 0.0, 0.0, []
    for quantity in vector["input"]["fills"]:
        paid += model(ModelView(1.0, quantity, 0.0, 0.0, filled, paid, 0.0, 0.0, 0.0, 0))
        filled += quantity
        cumulative.append(paid)
    assert cumulative == pytest.approx(vector["expected"]["cumulative"], abs=1e-12)


@market_data
@pytest.mark.parametrize("case", ["5.0.1.100", "5.0.1.-100", "5.0.1.10", "10.0.1.100"])
def test_slippage_prices(vectors: dict[str, Any], case: str) -> None:
    given = vectors[f"zipline.fixedbps.{case}"]
    config = Config(slippage=models.fraction_slippage(given["input"]["bps"] / 1e4))
    grid = Grid(tick=1e-4, inverse=10_000, lot=1.0)
    opened = round(given["input"]["close"] * 10_000)
    outcome = play(daily(*flat(opened, 2)), {0: lambda ctx: ctx.order(given["input"]["order"])}, config, grid)
    assert grid.price(outcome.fills[0]["ticks"]) == given["expected"]["price"]


def frame_bars(frame: pd.DataFrame, ticks: list[list[int]]) -> Bars:
    days = [stamp.toordinal() - 719_163 for stamp in frame.index]
    opens = [day * DAY + 14 * HOUR for day in days]
    o, h, l, c = ticks  # noqa: E741
    return Bars(opens, [at + 7 * HOUR for at in opens], days, o, h, l, c, frame["volume"].tolist())


def google() -> Bars:
    from backtesting.test import GOOG  # type: ignore[import-untyped]

    frame = GOOG.rename(columns=str.lower)
    return frame_bars(
        frame, [[round(price * 100) for price in frame[name]] for name in ("open", "high", "low", "close")]
    )


@pytest.mark.parametrize(("close_out", "final"), [("last_open", 51422.99), ("last_close", 51959.95)])
def test_goog_sma_cross(close_out: str, final: float) -> None:
    """The quick start of backtesting.py 0.6.6 (its test_compute_stats), which closes at the last open."""
    bars = google()
    weight = 1.0 - sys.float_info.epsilon

    def above(i: int) -> int:
        """Sign of SMA(10) - SMA(30) in exact ticks."""
        gap = 3 * sum(bars.c[i - 9 : i + 1]) - sum(bars.c[i - 29 : i + 1])
        return (gap > 0) - (gap < 0)

    def decide(ctx: View) -> None:
        if ctx.i >= 30 and above(ctx.i) * above(ctx.i - 1) < 0:
            ctx.target_percent(weight * above(ctx.i))

    config = Config(cash=10_000.0, sizing="at_fill", close_out=close_out)
    outcome = simulate(bars, CENTS, config, decide)
    assert outcome.metrics["final_equity"] == pytest.approx(final, abs=1e-8)
    assert (outcome.metrics["n_trades"], len(outcome.trades)) == (66, 66)
    assert outcome.metrics["max_drawdown"] == pytest.approx(0.4798012705007589, rel=1e-12)


@market_data
def test_lean_spy_daily(vectors: dict[str, Any]) -> None:
    """LEAN's BasicTemplateDailyAlgorithm: decided at the close of 2013-10-08, filled at the next open."""
    frame = pd.read_parquet(shared("data/equity/lean_us_daily_raw.parquet"), filters=[("symbol", "==", "SPY")])
    frame = frame.set_index("ts").loc["2013-10-07":"2013-10-17"]
    # price times factor, 4 and 7 decimals, is a whole number of 1e-11
    ticks = [[round(price * 10_000) * 8_646_266 for price in frame[name]] for name in ("open", "high", "low", "close")]
    config = Config(cash=100_000.0, fee=models.per_unit_fee(0.005, 0.0))
    start = list(frame.index.strftime("%F")).index("2013-10-08")
    outcome = simulate(
        frame_bars(frame, ticks),
        Grid(tick=1e-11, inverse=10**11, lot=1.0),
        config,
        lambda ctx: ctx.i == start and ctx.target_percent(0.9975),
    )
    expected = vectors["lean.spy.daily"]["expected"]
    assert outcome.position[-1] == 697
    assert outcome.metrics["final_equity"] == pytest.approx(expected["end_equity"], abs=0.005)
    assert outcome.metrics["fees"] == pytest.approx(expected["total_fees"], abs=0.00501)
