"""`kk.why` on orders worked by hand: what was asked, the rule of each bar, the numbers, the end, the other models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import RunError, UsageError
from kernelkit.market.fill_model import NAMED


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)


def days(*rows: tuple[float, ...], volume: float = 1000.0, step: str = "1D") -> xr.Dataset:
    """Bars from 2024-01-01 on: open, high, low, close, and where given the volume."""
    index = pd.date_range("2024-01-01", periods=len(rows), freq=step)
    frame = pd.DataFrame([(*r, volume)[:5] for r in rows], index, ["open", "high", "low", "close", "volume"])
    kinds = {"label": "open", "bar": step, "calendar": "24/7", "tick_size": 0.01, "lot_size": 1.0}
    bars: xr.Dataset = kk.data.from_pandas(frame, **kinds)
    return bars


def flat(price: float) -> tuple[float, ...]:
    return (price,) * 4


CALM = (100.0, 101.0, 99.0, 100.0)
Act = Callable[[Any], None]
REJECTS = kk.Venue("v", min_quantity=2.0, max_quantity=50.0, min_notional=300.0, off_tick="reject")


def rows_of(told: Any) -> list[tuple[str, str]]:
    return list(zip(told.bars["rule"], told.bars["what"], strict=True))


def checks_of(told: Any) -> list[tuple[str, str, str]]:
    return list(zip(*(told.checks[n] for n in ("rule", "what", "done")), strict=True))


@kk.strategy
def orders(ctx, kind=0):  # type: ignore[no-untyped-def]
    """One situation each, decided at the first bar unless it says so."""
    if ctx.i == 0:
        if kind == 0:
            ctx.buy(10.4)
        elif kind == 1:
            ctx.limit(10.0, 99.506)
        elif kind == 2:
            ctx.stop(-10.0, 98.0)
        elif kind == 3:
            ctx.stop_limit(10.0, 100.5, 100.2)
        elif kind == 4:
            ctx.limit(5.0, 95.0, tif="DAY")
        elif kind == 5:
            ctx.limit(5.0, 95.0, tif="IOC")
        elif kind == 6:
            ctx.order(500.0, tif="FOK")
        elif kind == 7:
            ctx.limit(5.0, 95.0, expires=ctx.time + 36 * 3600 * 10**9)
        elif kind == 8:
            ctx.limit(5.0, 95.0)
        elif kind == 9:
            ctx.buy(20000.0)
        elif kind == 10:
            ctx.stop(-5.0, 99.5, reduce_only=True)
        elif kind == 11:
            ctx.buy(0.3)
        elif kind == 12:
            ctx.limit(5.0, -1.0)
        elif kind == 13:
            ctx.limit(5.0, 99.505)
        elif kind == 14:
            ctx.buy(51.0)
        elif kind == 15:
            ctx.limit(2.0, 99.0)
        elif kind == 16:
            ctx.limit(5.0, 100.0, post_only=True)
        elif kind == 17:
            ctx.limit(5.0, 99.5, post_only=True)
        elif kind == 18:
            ctx.limit_on_open(5.0, 95.0)
        elif kind == 19:
            ctx.limit_on_close(5.0, 95.0)
        elif kind == 20:
            ctx.bracket(10.0, stop=98.0, limit=103.0)
        elif kind == 21:
            ctx.bracket(10.0, entry=95.0, stop_loss=0.01)
            ctx.sell(1.0)
        elif kind == 22:
            ctx.target_percent(0.5)
        elif kind == 23:
            ctx.trailing_stop(-5.0, trail=1.5)
        elif kind == 24:
            ctx.buy(250.0)
        elif kind == 25:
            ctx.market_if_touched(5.0, 99.2)
    if ctx.i == 1:
        if kind == 8 or kind == 21:
            ctx.cancel(1)
        elif kind == 22:
            ctx.target_percent(0.2)
        elif kind == 4:
            ctx.replace(1, price=94.0)


def told_of(bars: xr.Dataset, kind: int, order: int = 1, **settings: Any) -> Any:
    res = kk.backtest(bars, orders, {"kind": kind}, **settings)
    told = kk.why(res, order)
    fills = kk.fills(res)
    own = fills[fills["order"] == order]
    np.testing.assert_array_equal(told.fills["price"], own["price"])
    np.testing.assert_array_equal(told.fills["time"], own["time"])
    last = kk.orders(res).set_index("order").loc[order]
    assert (told.end["status"], told.end["reason"], told.end["time"]) == (last["status"], last["reason"], last["ended"])
    assert list(told.models["model"]) == [m for m in NAMED if kk.FillModel.of(settings.get("fill_model")) != NAMED[m]]
    assert told.title in repr(told)
    assert told.end["sentence"] in repr(told)
    assert "<table>" in told._repr_html_()
    assert set(told.data) == {"order", "asked", "rounded", "checks", "bars", "fills", "end", "models", "note"}
    return told


COVERED = "1000000 of buying power covers 1000.2 and the fee (A2)."
COSTS = kk.Venue("v", fees=kk.fees.fraction(0.001), slippage=kk.slippage.ticks(2))


def test_f1_a_market_order() -> None:
    told = told_of(days(CALM, (100.0, 102.0, 98.0, 101.0)), 0, venue=COSTS)
    assert told.asked == {"quantity": 10.4, "tif": "GTC"}
    assert told.rounded == {"lots": 10, "quantity": 10.0}
    assert checks_of(told) == [("O5", "its numbers are ones an order can have.", "")]
    assert told.checks["passed"].all()
    assert told.checks[["limit", "found"]].isna().all(axis=None)
    assert rows_of(told)[0] == (
        "F1",
        f"bought 10 at 100.02, slipped from 100 (C1), fee 1.0002, {COVERED}",
    )
    row = told.bars.iloc[0]
    assert (row["time"], row["open"], row["high"], row["low"], row["close"]) == (
        pd.Timestamp("2024-01-02"),  # the open, at which it was filled
        100.0,
        102.0,
        98.0,
        101.0,
    )
    assert row["slippage"] == pytest.approx(0.2)
    models = told.models.set_index("model")
    assert models.loc["nautilus", "price"] == 100.02  # at the close before, which was 100 too
    assert models.loc["zipline", "price"] == 101.02
    assert models["same"].all()


def test_f5_a_limit_and_q3() -> None:
    bars = days(CALM, (100.0, 101.0, 99.5, 100.0), (100.0, 100.0, 99.4, 100.0), CALM)
    told = told_of(bars, 1)
    assert told.asked["price"] == 99.506
    assert told.rounded["limit"] == 99.5
    assert rows_of(told)[0] == ("F5", "not reached: it needs 99.49 or less, the low was 99.5.")
    assert rows_of(told)[1][0] == "F5"
    assert rows_of(told)[1][1].startswith("bought 10 at 99.5, fee 0")
    assert told.models.set_index("model").loc["freqtrade", "time"] == pd.Timestamp("2024-01-03")  # it touches
    assert told.models.set_index("model").loc["zipline", "status"] == "live"


@pytest.mark.parametrize(
    ("bar", "model", "rule", "price"),
    [
        ((97.0, 99.0, 96.0, 98.5), None, "F1", 97.0),
        ((100.0, 101.0, 97.0, 97.5), None, "F2", 98.0),
        ((100.0, 101.0, 97.0, 97.5), "lean", "F2, F11", 97.5),
        ((97.0, 99.0, 96.0, 98.5), "freqtrade", "F2, F11", 98.0),
        ((100.0, 101.0, 97.0, 97.5), "zipline", "F1, F12", 97.5),
        ((100.0, 101.0, 97.0, 97.5), "nautilus", "F12", 98.0),
    ],
)
def test_f1_f2_f11_f12_a_stop(bar: Any, model: Any, rule: str, price: float) -> None:
    told = told_of(days(CALM, bar), 2, fill_model=model)
    assert [r for r, _ in rows_of(told)] == [rule, rule, "O6"]
    assert rows_of(told)[0][1] == f"triggered: its 98 was reached, at {price:.10g}."
    assert told.bars["price"].dropna().tolist() == [price]


def test_f3_a_stop_limit_rests() -> None:
    told = told_of(days(CALM, (100.4, 101.0, 100.3, 100.9), (100.5, 100.6, 100.1, 100.4)), 3)
    assert [r for r, _ in rows_of(told)] == ["F2, F3", "F5", "O6"]
    assert rows_of(told)[0][1] == "triggered: its 100.5 was reached, at 100.5. A limit from then on."
    assert told.bars["price"].dropna().tolist() == [100.2]


def test_o1_o16_day_and_replaced_on_the_way() -> None:
    bars = days(CALM, CALM, CALM, CALM, step="12h")
    told = told_of(bars, 4)
    # submitted at the end of the first half of a day, the last bar of which is its session's
    assert rows_of(told) == [
        ("F5", "not reached: it needs 94.99 or less, the low was 99."),
        ("O16", "new numbers: limit 94."),
        ("O1", "expired: A DAY order: the session of its first bar is over (O1)."),
    ]
    assert told.end["time"] == np.datetime64("2024-01-02T00:00", "ns")
    assert told.rounded["limit"] == 95.0


def test_o3_ioc_and_fok() -> None:
    told = told_of(days(CALM, CALM), 5)
    assert rows_of(told)[-1] == ("O3", "expired: An IOC order: what its first bar did not fill at once has ended (O3).")
    told = told_of(days(CALM, CALM), 6, venue=kk.Venue("v", participation=0.1))
    assert rows_of(told) == [
        ("O3", "FOK: not all of it could be filled, so nothing was."),
        ("O3", "expired: A FOK order: its first bar did not fill all of it at once (O3)."),
    ]


def test_o11_good_till() -> None:
    told = told_of(days(CALM, CALM, CALM, CALM), 7)
    assert told.asked["expires"].startswith("2024-01-03T12:00")
    assert rows_of(told)[-1] == ("O11", "expired: The time until which it was good has come (O11).")
    assert told.end["time"] == np.datetime64("2024-01-04", "ns")


def test_o9_cancelled_and_how_near_the_price_came() -> None:
    told = told_of(days(CALM, (100.0, 101.0, 97.0, 100.0), CALM), 8)
    assert rows_of(told) == [
        ("O9, O16", "cancelled: The strategy cancelled it (O9), or asked for no more than had filled (O16)."),
    ]
    assert told.end["time"] == np.datetime64("2024-01-03", "ns")


def test_a2_a3_cut_or_refused() -> None:
    bars = days(CALM, flat(100.0))
    told = told_of(bars, 9, venue=kk.Venue("v", fees=kk.fees.fraction(0.001)))
    # 9990 * 100 = 999000 with a fee of 999 is 999999; one more is not to be had
    assert rows_of(told)[0] == (
        "A2, A3",
        "not affordable: 20000 would need 2000000 with a fee of 2000, and there are 1000000; 9990 of them are left.",
    )
    assert told.bars["quantity"].dropna().tolist() == [9990.0]
    assert told.end["reason"] == "cut_cash"
    told = told_of(bars, 9, venue=kk.Venue("v", cash_rule="reject"))
    assert rows_of(told)[0][1].endswith("there are 1000000; the venue rejects it.")
    assert told.end["reason"] == "insufficient_cash"


def test_a4_nothing_to_reduce() -> None:
    told = told_of(days(CALM, CALM), 10)
    assert rows_of(told)[0] == ("F2", "triggered: its 99.5 was reached, at 99.5.")
    assert rows_of(told)[1][0] == "A4"
    assert told.asked["reduce_only"] is True


@pytest.mark.parametrize(
    ("kind", "rule", "reason", "what"),
    [
        (11, "O5", "below_lot", "Its quantity is less than one lot (O5)."),
        (12, "O5", "invalid", "A number of it is none that an order can have (O5)."),
        (13, "O15", "off_tick", "A price of it is off the tick grid, and the venue rejects such orders (O15)."),
        (14, "O15", "above_maximum", "51 of at most 50."),
        (15, "O15", "below_minimum", "2, worth 198, of at least 2, worth 300."),
        (16, "O14", "post_only", "post-only: the close is 100, its limit 100."),
    ],
)
def test_o5_o14_o15_rejected(kind: int, rule: str, reason: str, what: str) -> None:
    told = told_of(days(CALM, CALM), kind, venue=REJECTS if kind in (13, 14, 15) else None)
    assert [row for row in checks_of(told) if row[2]] == [(rule, what, "rejected")]
    assert told.checks["passed"].tolist() == [not done for _, _, done in checks_of(told)]
    if kind == 14:
        assert told.checks[["limit", "found"]].iloc[-1].tolist() == [50.0, 51.0]
    if kind == 15:
        assert told.checks[["limit", "found"]].iloc[-1].tolist() == [300.0, 198.0]
    assert told.end["status"] == "rejected"
    assert told.end["reason"] == reason
    assert told.end["time"] == np.datetime64("2024-01-02", "ns")
    assert "NOT PASSED" in repr(told)


def test_o14_turned_away_at_the_open() -> None:
    told = told_of(days(CALM, (99.4, 100.0, 99.0, 99.9)), 17)
    assert told.checks["passed"].all()
    assert rows_of(told)[-1] == ("O14", "rejected: It would have taken at once, where it was only to rest (O14).")


def test_o12_open_and_close() -> None:
    for kind, reason in ((18, "at_open"), (19, "at_close")):
        told = told_of(days(CALM, CALM), kind)
        assert told.end["reason"] == reason
        assert rows_of(told)[-1][0] == "O12"


@kk.strategy(warmup=0)
def brackets(ctx):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        ctx.bracket(10.0, stop_loss=0.02, take_profit=0.04)
        ctx.bracket(8.0, entry=99.0, stop=95.0, take_profit=0.05, post_only=True, display=2.0)


def test_o4_what_a_bracket_asked_for() -> None:
    res = kk.backtest(days(CALM, CALM), brackets)
    assert kk.why(res, 1).asked == {"quantity": 10.0, "stop_loss": 0.02, "take_profit": 0.04, "tif": "GTC"}
    second = {"quantity": 8.0, "stop": 95.0, "take_profit": 0.05, "entry": 99.0, "display": 2.0, "tif": "GTC"}
    assert kk.why(res, 4).asked == second | {"post_only": True}


def test_o7_f6_f7_the_exits_of_a_bracket() -> None:
    bars = days(CALM, (100.0, 101.0, 99.0, 100.5), (100.5, 103.5, 100.0, 103.0), CALM)
    entry, stop, target = (told_of(bars, 20, k) for k in (1, 2, 3))
    assert entry.asked == stop.asked == {"quantity": 10.0, "stop": 98.0, "limit": 103.0, "tif": "GTC"}
    assert rows_of(target) == [
        ("O7, F6", "its entry (order 1) was filled; it asks for 10 at 103."),
        ("F5", "sold 10 at 103, fee 0, it reduces, so no cash is asked (A2)."),
        ("O6", "filled."),
    ]
    assert rows_of(stop)[-1] == ("O7", "cancelled: Another order of its group was filled (O7).")
    assert stop.end["time"] == np.datetime64("2024-01-04", "ns")
    adverse = told_of(days(CALM, (100.0, 101.0, 97.0, 100.5)), 20, 2)
    assert [r for r, _ in rows_of(adverse)] == ["O7, F6", "F7", "F7", "O6"]
    models = adverse.models.set_index("model")
    assert models.loc["lean", "what"] == "cancelled, It was live when the data ended (O10)."
    assert models.loc["freqtrade", "price"] == 98.0


def test_o8_parent_ended() -> None:
    told = told_of(days(CALM, CALM, CALM), 21, 2)
    assert rows_of(told)[-1][1] == "cancelled: The order that it waited for ended, or left nothing to close (O7, O8)."


def test_s1_replaced_by_a_later_target() -> None:
    still = (100.0, 100.0, 100.0, 100.0, 0.0)
    bars = days(CALM, still, CALM)
    told = told_of(bars, 22, venue=kk.Venue("v", participation=1.0))
    assert told.asked == {"target_percent": 0.5}
    assert told.checks["rule"].tolist() == ["S2"]
    assert told.checks["what"].tolist() == ["weight 0.5 of 1000000: 5000 lots from what is held."]
    assert [r for r, _ in rows_of(told)] == ["P1, P2", "S1, S5"]
    assert rows_of(told)[0][1] == "reached, but what the venue allows of the bar's volume was used up."
    assert rows_of(told)[1][1].startswith("cancelled: A later target took its place (S1)")


def test_f8_a_trailing_stop() -> None:
    bars = days(CALM, (100.0, 103.0, 99.5, 102.0), (102.0, 102.5, 101.4, 102.0))
    told = told_of(bars, 23)
    assert told.rounded["trigger"] == 98.5
    assert rows_of(told) == [
        ("F8", "its trigger moved from 98.5 to 101.5."),
        ("F2", "triggered: its 101.5 was reached, at 101.5."),
        ("F2", "sold 5 at 101.5, fee 0, 1000000 of buying power covers 507.5 and the fee (A2)."),
        ("O6", "filled."),
    ]


def test_a_page_shows_either_end_of_a_long_routine() -> None:
    """An order that is not a bracket's exit has no entry, whichever entry is filled."""

    @kk.strategy
    def moves(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(5.0, 90.0)
            ctx.bracket(1.0, stop_loss=0.5)
        elif ctx.i < 20:
            ctx.replace(1, price=90.0 + 0.01 * ctx.i)

    told = kk.why(kk.backtest(days(*[CALM] * 22), moves), 1)
    new = [what for rule, what in rows_of(told) if rule == "O16"]
    assert new == [f"new numbers: limit {90.0 + 0.01 * i:.10g}." for i in range(1, 20)]
    assert not any("its entry" in what for _, what in rows_of(told))
    page = repr(told)
    assert page.count("new numbers") < 5
    assert "more like these; .bars has each." in page
    assert page.count("It was live when the data ended (O10).") == 1 + page.split("Under other")[1].count("live when")


def test_p1_p2_filled_in_parts() -> None:
    bars = days(CALM, *[flat(100.0)] * 3, volume=1000.0)
    told = told_of(bars, 24, venue=kk.Venue("v", participation=0.1))
    assert told.bars["quantity"].dropna().tolist() == [100.0, 100.0, 50.0]
    assert rows_of(told)[0][1].startswith("bought 100 at 100, fee 0, the volume left 100 (P1), of 250 that were left")
    assert told.end["status"] == "filled"


def test_f14_if_touched() -> None:
    told = told_of(days(CALM, CALM), 25)
    assert [r for r, _ in rows_of(told)] == ["F14", "F14", "O6"]


def test_o10_and_the_nearest_price() -> None:
    @kk.strategy
    def low(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(5.0, 95.0)

    bars = days(*[CALM] * 3, (100.0, 100.0, 96.5, 99.0), *[CALM] * 40)
    told = kk.why(kk.backtest(bars, low), 1)
    assert told.end["reason"] == "end_of_data"
    assert told.note.startswith("In 4")
    assert "it needs 94.99 or less; the nearest low was 96.5, in the bar known at 2024-01-05 00:00:00" in told.note


def test_a6_ruin_and_f9_close_out() -> None:
    @kk.strategy
    def short(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.sell(9000.0)
            ctx.limit(1.0, 50.0)

    bars = days(CALM, CALM, flat(300.0), CALM)
    told = kk.why(kk.backtest(bars, short), 2)
    assert told.end["reason"] == "ruin"
    assert told.bars["rule"].tolist()[-1] == "A6"

    @kk.strategy
    def hold(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.buy(3.0)

    res = kk.backtest(days(CALM, CALM, CALM), hold, fill_model=kk.FillModel(close_out="last_close"))
    told = kk.why(res, 2)
    assert told.asked == {"by": "close_out (F9)"}
    assert rows_of(told)[0] == ("F9", "sold 3 at 100, fee 0.")
    open_out = kk.why(kk.backtest(days(CALM, CALM, CALM), hold, fill_model="backtesting.py"), 2)
    assert rows_of(open_out)[0][0] == "F9"
    assert open_out.end["time"] == np.datetime64("2024-01-03", "ns")


def test_models_say_when_the_trials_had_gone_apart() -> None:
    """A limit that only some models fill comes before the order that is asked about."""

    @kk.strategy
    def two(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(5.0, 99.0)  # the next bar just reaches it
        elif ctx.i == 1:
            ctx.buy(1.0)

    told = kk.why(kk.backtest(days(CALM, CALM, CALM), two), 2)
    models = told.models.set_index("model")
    assert not models.loc["freqtrade", "same"]
    assert models.loc["freqtrade", "what"].startswith(
        "another order: before it was submitted the trials had gone apart: 0 fills, and 1 under this model"
    )
    assert models.loc["lean", "same"]


def test_finer_bars_portfolios_grids_signals_debug(capsys: Any) -> None:
    """The finer bar of a fill is the one that is told; sel chooses the trial."""
    from tests.test_finer import FINER, two_days

    bars, fine = two_days()

    @kk.strategy
    def once(ctx, k=0):  # type: ignore[no-untyped-def]
        if ctx.i == k:
            ctx.bracket(10.0, stop=98.0, limit=103.5)

    res = kk.backtest(bars, once, grid={"k": [0, 1]}, fill_model=FINER, finer=fine)
    told = kk.why(res, 2, k=0)
    assert told.bars["rule"].tolist() == ["O7, F6, F16", "F2, F16", "F2, F16", "O6, F16"]
    opened, half = pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-02 12:00")
    assert told.bars["time"].tolist() == [opened, half, half, half]
    with pytest.raises(UsageError, match="several trials along k"):
        kk.why(res, 2)

    @kk.portfolio
    def both(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].buy(6000.0)
            ctx[1].buy(6000.0)

    frames = {
        n: days(CALM, flat(100.0)).isel(asset=0).to_dataframe()[["open", "high", "low", "close", "volume"]]
        for n in "ab"
    }
    pair = kk.data.from_pandas(frames, label="open", bar="1D", calendar="24/7", tick_size=0.01, lot_size=1.0)
    shared = kk.backtest(pair, both)
    told = kk.why(shared, 2)
    assert told.end["reason"] == "cut_cash"
    assert told.bars["quantity"].dropna().tolist() == [5000.0]
    assert told.models.set_index("model").loc["nautilus", "what"].startswith("filled 5000 at ")

    @kk.signal
    def long(ds):  # type: ignore[no-untyped-def]
        return ds["close"] * 0.0 + 1.0

    assert kk.why(kk.backtest(days(CALM, CALM), long), 1).asked == {"target_percent": 1.0}

    @kk.strategy
    def only_python(ctx):  # type: ignore[no-untyped-def]
        wanted = [q + 1.0 for q in (0.0, 1.0)]
        if ctx.i == 0:
            print(f"{len(wanted)} orders")  # noqa: T201  it is heard once
            ctx.buy(wanted[1])

    debugged = kk.backtest(days(CALM, CALM), only_python, debug=True)
    capsys.readouterr()
    told = kk.why(debugged, 1)
    assert capsys.readouterr().out == ""
    assert told.rounded["quantity"] == 2.0


def test_refusals() -> None:
    res = kk.backtest(days(CALM, CALM), orders, {"kind": 0})
    with pytest.raises(UsageError, match="order: found 7, wanted one of 1 to 1"):
        kk.why(res, 7)
    with pytest.raises(UsageError, match="wanted none, as nothing was ordered"):
        kk.why(kk.backtest(days(CALM, CALM), orders, {"kind": 99}), 1)


def test_a_resumed_run_needs_its_strategy(tmp_path: Any) -> None:
    path = kk.start(days(CALM, CALM), orders, {"kind": 0}).save(tmp_path / "run")
    with pytest.raises(RunError, match="a strategy of which only the text is known"):
        kk.why(kk.resume(path).result(), 1)
    assert kk.why(kk.resume(path, orders).result(), 1).end["status"] == "filled"
