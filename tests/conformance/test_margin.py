"""Liquidation prices and funding against published numbers: vectors, leverage brackets, 19,692 payments."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kernelkit as kk
from kernelkit.market.funding import payments, position_at
from kernelkit.market.liquidation import (
    Position,
    Tiers,
    liquidation_price,
    liquidation_price_of_bybit,
    liquidation_price_of_gate,
)

pytestmark = pytest.mark.market_data
BRACKETS, PAYMENTS = 2805, 19_692


def price(name: str, given: dict[str, float]) -> float:
    """The answer of the formula that a vector is about."""
    position = Position(int(given["side"]), given.get("amt", 1.0), given["open"])
    margin = given["wb"] if "wb" in given else position.value / given["lev"]
    if name.startswith("bybit"):
        return liquidation_price_of_bybit(position, given["lev"], given["mmr"])
    if name.startswith("gate_okx"):
        return liquidation_price_of_gate(position, margin, given["mmr"], given["taker"])
    others = given.get("upnl_ex", 0.0), given.get("tmm_ex", 0.0)
    return liquidation_price(position, margin, given["mmr"], given["cum"], *others)


@pytest.mark.oracle("Vectors: liquidation", covers="liquidation prices", cases=7)
def test_liquidation_vectors(vectors: dict[str, Any]) -> None:
    asked = {name: v for name, v in vectors.items() if v["family"] == "liquidation"}
    assert len(asked) == 7
    for name, vector in asked.items():
        wanted = vector["expected"]["price"]
        cents = 5e-3 if round(wanted, 2) == wanted and "wb" in vector["input"] else 1e-12 * wanted
        assert price(name, vector["input"]) == pytest.approx(wanted, abs=cents), name


@pytest.mark.oracle("Vectors: funding", covers="funding", cases=2)
def test_funding_vectors(vectors: dict[str, Any]) -> None:
    asked = [v for v in vectors.values() if v["family"] == "funding"]
    assert len(asked) == 2
    for vector in asked:
        given, wanted = vector["input"], vector["expected"]
        quantity = [-given["qty"], given["qty"]]
        got = payments(quantity, given["rate"], given["mark"])
        assert got.tolist() == pytest.approx([wanted["received"], wanted["long_pays"]], rel=1e-15)


@pytest.mark.oracle("Leverage brackets", covers="maintenance margin", cases=BRACKETS)
def test_the_deductions_of_every_published_bracket(shared: Callable[[str], Path]) -> None:
    with gzip.open(shared("data/fees/binance_leverage_tiers.json.gz")) as file:
        symbols = json.load(file)
    brackets = 0
    for tiers in symbols.values():
        table = Tiers(
            tuple(float(t["info"]["notionalFloor"]) for t in tiers), tuple(t["maintenanceMarginRate"] for t in tiers)
        )
        assert table.deductions == pytest.approx([float(t["info"]["cum"]) for t in tiers], rel=1e-9, abs=1e-6)
        brackets += len(tiers)
    assert (len(symbols), brackets) == (349, BRACKETS)


@kk.portfolio(state=dict(size=kk.each()), warmup=0)
def short_for_good(ctx, s):  # type: ignore[no-untyped-def]
    if ctx.i == 0:
        for k in ctx.tradable:
            ctx[k].sell(ctx[k].x.size[0])


@pytest.mark.oracle("Funding payments, in the account", covers="E1, E5, V3", cases=PAYMENTS)
@pytest.mark.parametrize("several", [False, True], ids=["one-account", "one-at-each-exchange"])
def test_every_published_payment_in_a_portfolio(shared: Callable[[str], Path], several: bool) -> None:
    """The same portfolio of shorts, run: every payment of the account is the published one.

    It opens at the first interval, whose bar has none before it to decide on: there is one more, at the same price.
    Times of the data are London's, so that intervals last 7 to 9 hours.
    """
    log = pd.read_csv(shared("data/reference/funding_arb/hold_funding_log.csv.gz"), parse_dates=["time"])
    trades = pd.read_csv(shared("data/reference/funding_arb/hold_trades_log.csv.gz"), parse_dates=["open_time"])
    rows = pd.read_parquet(shared("data/crypto/spot_perp_8h_3venues_2023_202406.parquet"))
    rows = rows[rows["contract"] == "perpetual"].assign(time=pd.to_datetime(rows["time"]))
    rows["name"] = rows["exchange"] + " " + rows["pair"]
    sizes = trades[trades["position_type"] == "short"].assign(name=lambda t: t["exchange"] + " " + t["pair"])
    sizes = sizes.set_index("name")["quantity"]
    frames = {}
    for name, part in rows.groupby("name"):
        prices = part.set_index("time").sort_index()[["open", "high", "low", "close", "volume"]]
        first = prices.iloc[:1].set_index(prices.index[:1] - pd.Timedelta("8h"))
        for column in ("high", "low", "close"):
            first[column] = first["open"]
        prices = pd.concat([first, prices])
        prices["high"] = prices[["open", "high", "low", "close"]].max(axis=1)
        prices["low"] = prices[["open", "high", "low", "close"]].min(axis=1)
        frames[name] = prices
    bars = kk.data.from_pandas(
        frames, label="open", bar="7h", calendar="24/7", lot_size=sizes.loc[list(frames)].to_dict()
    )
    known_at = pd.DatetimeIndex(bars["known_at"].values[:1])
    first_row = pd.DataFrame([sizes.loc[list(frames)].to_numpy()], columns=list(frames), index=known_at)
    bars = kk.feature(bars, "size", first_row, known_at=known_at)
    merged = log.assign(name=log["exchange"] + " " + log["pair"]).merge(rows, on=["time", "name"], how="left")
    due = {"time": merged["time"], "asset": merged["name"], "kind": "funding"}
    bars = kk.data.with_actions(bars, pd.DataFrame(due | {"value": merged["funding rate"], "price": merged["open"]}))
    if several:
        exchanges = {name: name.split()[0] for name in frames}
        venue: Any = {name: kk.Venue(exchange, cash_rule="debt") for name, exchange in exchanges.items()}
        account: Any = kk.Accounts({exchange: kk.Account(1e8) for exchange in exchanges.values()})
    else:
        venue, account = kk.Venue(cash_rule="debt"), kk.Account(1e8)
    res = kk.backtest(bars, short_for_good, account=account, venue=venue)
    paid = kk.actions(res)
    if several:  # each exchange's account was paid what its own positions got
        by_venue = paid.groupby("venue")["amount"].sum()
        assert by_venue.to_dict() == pytest.approx(
            log.groupby("exchange")["funding payment"].sum().to_dict(), rel=1e-12
        )
    wanted = merged.sort_values(["time", "name"])
    got = paid.sort_values(["time", "asset"])
    assert len(got) == PAYMENTS
    assert got["asset"].tolist() == wanted["name"].tolist()
    assert (got["time"].to_numpy() == wanted["time"].to_numpy()).all()
    np.testing.assert_allclose(got["amount"], wanted["funding payment"], rtol=1e-12, atol=0.0)
    assert float(paid["amount"].sum()) == pytest.approx(3_613_499.091034644, rel=1e-12)


@pytest.mark.oracle("Funding payments", covers="funding, position_at", cases=PAYMENTS)
def test_every_published_payment(shared: Callable[[str], Path]) -> None:
    """A portfolio that is short of perpetuals on three exchanges for 18 months, funding at each interval's open."""
    log = pd.read_csv(shared("data/reference/funding_arb/hold_funding_log.csv.gz"), parse_dates=["time"])
    trades = pd.read_csv(shared("data/reference/funding_arb/hold_trades_log.csv.gz"), parse_dates=["open_time"])
    bars = pd.read_parquet(shared("data/crypto/spot_perp_8h_3venues_2023_202406.parquet"))
    bars["time"] = pd.to_datetime(bars["time"])
    found = log.merge(bars, on=["time", "exchange", "pair"], how="left", validate="one_to_one")
    shorts = trades[trades["position_type"] == "short"]
    fills = shorts.rename(columns={"open_time": "time"}).assign(side="sell")
    for (exchange, pair), part in found.groupby(["exchange", "pair"]):
        mine = fills[(fills["exchange"] == exchange) & (fills["pair"] == pair)]
        held = position_at(mine, part["time"])
        assert len(mine) == 1
        assert (held == -mine["quantity"].iloc[0]).all()
        got = payments(held, part["funding rate"], part["open"])
        np.testing.assert_allclose(got, part["funding payment"], rtol=1e-12, atol=0.0)
    assert len(found) == PAYMENTS
