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
