"""Lots: published examples, and what holds for any fills."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import DataError, UsageError

METHODS = ["fifo", "lifo", "average"]


def table(*rows: tuple[str, float, float, float]) -> pd.DataFrame:
    """Fills from (date, quantity with its sign, price, fee)."""
    return pd.DataFrame(
        {
            "time": pd.to_datetime([row[0] for row in rows]),
            "side": ["buy" if row[1] > 0 else "sell" for row in rows],
            "quantity": [abs(row[1]) for row in rows],
            "price": [row[2] for row in rows],
            "fee": [row[3] for row in rows],
        }
    )


@pytest.mark.oracle("Tax: IRS", covers="kk.tax")
def test_fifo__the_example_of_irs_publication_550() -> None:
    """130 shares sold of 50 left at 10 USD, 200 at 11 and 100 at 9: a basis of 500 + 880 = 1,380 USD.

    The 50 shares that were given away before leave at their own cost.
    """
    fills = table(
        ("1997-03-03", 100, 10.0, 0.0),
        ("1998-01-05", 200, 11.0, 0.0),
        ("1998-07-01", -50, 10.0, 0.0),
        ("2000-12-01", 100, 9.0, 0.0),
        ("2009-04-01", -130, 15.0, 0.0),
    )
    found = kk.tax(fills)
    assert found["gain"].iloc[0] == 0.0
    sold = found[found["closed"] == pd.Timestamp("2009-04-01")]
    assert sold["quantity"].tolist() == [50.0, 80.0]
    assert sold["cost"].tolist() == [500.0, 880.0]
    assert sold["gain"].sum() == 130 * 15.0 - 1380.0


@pytest.mark.oracle("Tax: HMRC", covers="kk.tax")
def test_average__the_example_of_hmrc_helpsheet_284() -> None:
    """Example 3, Lobster plc: gains of 329 and 300 GBP, the pool after the first sale is 800 shares at 3,349 GBP."""
    fills = table(
        ("2015-04-01", 1000, 4.00, 150.0),
        ("2018-09-01", 500, 4.10, 80.0),
        ("2023-05-01", -700, 4.80, 100.0),
        ("2024-02-01", -400, 5.20, 105.0),
    )
    gains = kk.tax(fills, method="average").groupby("closed")["gain"].sum()
    assert gains.round().tolist() == [329.0, 300.0]
    assert 6_280.0 - 700 / 1500 * 6_280.0 == pytest.approx(3_349.0, abs=0.5)


def test_lifo__the_newest_goes_first() -> None:
    fills = table(("2024-01-01", 10, 1.0, 0.0), ("2024-02-01", 10, 2.0, 0.0), ("2024-03-01", -15, 3.0, 0.0))
    found = kk.tax(fills, method="lifo")
    assert found[["quantity", "cost", "gain"]].values.tolist() == [[10.0, 20.0, 10.0], [5.0, 5.0, 10.0]]


def test_a_fill_through_zero_closes_and_opens_with_its_fee_divided() -> None:
    fills = table(("2024-01-01", 4, 10.0, 2.0), ("2024-01-05", -6, 12.0, 3.0), ("2024-01-09", 2, 11.0, 1.0))
    found = kk.tax(fills)
    assert found["side"].tolist() == ["long", "short"]
    assert found["cost"].tolist() == [42.0, 23.0]
    assert found["proceeds"].tolist() == [46.0, 23.0]  # 48 and 24, less two thirds and one third of the fee of 3
    assert found["held"].dt.days.tolist() == [4, 4]


def test_a_rate_begins_at_its_time_held() -> None:
    fills = table(("2023-01-01", 2, 1.0, 0.0), ("2023-12-31", -1, 3.0, 0.0), ("2024-01-02", -1, 3.0, 0.0))
    found = kk.tax(fills, rates={"366D": 0.2, 0: 0.4})
    assert found["rate"].tolist() == [0.4, 0.2]
    assert found["tax"].tolist() == [0.8, 0.4]


def test_assets_have_lots_of_their_own_and_a_multiplier() -> None:
    fills = table(*(("2024-01-01", 1, 10.0, 0.0),) * 2, *(("2024-01-02", -1, 12.0, 0.0),) * 2)
    fills["asset"] = ["ES", "SPY", "SPY", "ES"]
    found = kk.tax(fills, multiplier={"ES": 50.0, "SPY": 1.0})
    assert dict(zip(found["asset"], found["gain"], strict=True)) == {"SPY": 2.0, "ES": 100.0}


FILLS = st.lists(
    st.tuples(st.integers(-50, 50).filter(bool), st.integers(1, 100), st.integers(0, 5)), min_size=1, max_size=30
)


@settings(max_examples=200, deadline=None)
@given(FILLS, st.sampled_from([1.0, 0.1, 1e-8]))
def test_lots_that_close_are_what_was_sold_and_the_total_gain_is_what_cash_says(rows: list[Any], lot: float) -> None:
    """Flat at the end, whatever the method; the price of the last fill is that of the one before."""
    left = -sum(q for q, _, _ in rows)
    rows = [*rows, (left, rows[-1][1], 1)] if left else rows
    dates = pd.date_range("2020-01-01", periods=len(rows)).strftime("%Y-%m-%d")
    fills = table(*((d, q * lot, float(p), float(f)) for d, (q, p, f) in zip(dates, rows, strict=True)))
    signed = np.array([q * lot for q, _, _ in rows])
    held = np.cumsum([q for q, _, _ in rows])
    before = np.r_[0, held[:-1]]
    closing = np.where(np.sign(before) == -np.sign(signed), np.minimum(np.abs(before), np.abs(signed / lot)), 0.0)
    cash = -float((signed * fills["price"]).sum() + fills["fee"].sum())
    paid = float((np.abs(signed) * fills["price"]).sum() + fills["fee"].sum())
    for method in METHODS:
        found = kk.tax(fills, method=method)
        assert found["quantity"].sum() == pytest.approx(closing.sum() * lot, rel=1e-9)
        by_fill = found.groupby("closed")["quantity"].sum()
        assert by_fill.to_numpy() == pytest.approx(closing[closing > 0] * lot, rel=1e-9)
        assert found["gain"].sum() == pytest.approx(cash, abs=1e-9 * paid)
        assert (found["held"] > pd.Timedelta(0)).all()


def test_the_gains_of_a_run_are_its_trades(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The round trips of a backtest, net of fees, by another road (rule A7)."""
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.chdir(tmp_path)

    @kk.strategy
    def turn(ctx):  # type: ignore[no-untyped-def]
        if ctx.i % 7 == 0:
            ctx.target_percent(1.0 if ctx.i % 14 == 0 else -0.5)

    bars = kk.data.load("sp500_index").isel(time=slice(0, 200))
    res = kk.backtest(bars, turn, venue=kk.venues.us_equity())
    found, trades = kk.tax(kk.fills(res)), kk.trades(res)
    assert len(trades) > 10
    assert found.groupby("closed")["gain"].sum().to_numpy() == pytest.approx(trades["pnl"].to_numpy(), abs=1e-6)


def test_nothing_closed_is_an_empty_table() -> None:
    found = kk.tax(table(("2024-01-01", 1, 1.0, 0.0)), rates={0: 0.2})
    assert len(found) == 0
    assert {"gain", "held", "tax"} <= set(found.columns)


@pytest.mark.parametrize(
    ("kind", "call", "text"),
    [
        (UsageError, lambda fills: kk.tax(fills, method="hifo"), "method of kk.tax: found hifo"),
        (UsageError, lambda fills: kk.tax(fills, rates={"1D": 0.2}), "from 0 on"),
        (UsageError, lambda fills: kk.tax(fills, rates={0: 20.0}), "rates of kk.tax"),
        (UsageError, lambda fills: kk.tax(fills, rates=0.25), "found 0.25, wanted fractions by least time held"),
        (UsageError, lambda fills: kk.tax(fills, rates={"1Y": 0.2, "0D": 0.3}), "rates of kk.tax"),
        (DataError, lambda fills: kk.tax(None), "table of fills: found NoneType, wanted a DataFrame"),
        (DataError, lambda fills: kk.tax(fills.drop(columns="fee")), "no column fee"),
        (DataError, lambda fills: kk.tax(fills.iloc[::-1]), "times that go back"),
    ],
)
def test_what_is_refused(kind: type[Exception], call: Any, text: str) -> None:
    with pytest.raises(kind) as caught:
        call(table(("2024-01-01", 1, 1.0, 0.0), ("2024-01-02", 1, 1.0, 0.0)))
    assert text in str(caught.value)


def split_run() -> tuple[Any, pd.DataFrame]:
    """100 units at 40, split four for one, sold at 10.5 each after; raw prices."""
    index = pd.date_range("2024-01-01", periods=6, freq="D", tz="UTC")
    close = [40.0, 40.0, 40.0, 10.0, 10.0, 10.5]
    frame = pd.DataFrame({"open": close, "high": close, "low": close, "close": close, "volume": 1e6}, index=index)
    bars = kk.data.from_pandas({"A": frame}, label="open", bar="1D", calendar="24/7", tick_size=0.01)
    facts = pd.DataFrame([("2024-01-04", "A", "split", 4.0)], columns=["time", "asset", "kind", "value"])

    @kk.strategy
    def once(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.buy(100.0)
        if ctx.i == 4:
            ctx.sell(ctx.position)

    return kk.backtest(kk.data.with_actions(bars, facts), once), facts


@pytest.mark.parametrize("method", METHODS)
def test_e2__lots_are_split_with_the_position(method: str) -> None:
    res, facts = split_run()
    found = kk.tax(kk.fills(res), method=method, actions=facts)
    assert found[["quantity", "cost", "proceeds", "gain"]].to_numpy().tolist() == [[400.0, 4000.0, 4200.0, 200.0]]
    assert found["gain"].sum() == kk.trades(res)["pnl"].sum()


def test_e2__fills_across_a_split_are_refused_without_it() -> None:
    res, _ = split_run()
    with pytest.raises(DataError, match="lots that were split"):
        kk.tax(kk.fills(res))
