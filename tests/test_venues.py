"""Venues by name: the table they read, and how ccxt's rates enter it."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.errors import DataError, MissingExtraError, OrderError
from kernelkit.market.schedules import CCXT, rates_of, shipped

NAMES = ["binance_spot", "binance_usdm", "bybit", "okx", "coinbase", "kraken", "us_equity", "fx", "cme"]


@pytest.mark.parametrize("name", NAMES)
def test_every_venue_has_fees_and_slippage_by_default(name: str) -> None:
    venue = getattr(kk.venues, name)()
    assert venue.fees is not None
    assert venue.slippage is not None


@pytest.mark.parametrize("name", NAMES)
def test_a_venue_is_called_as_it_was_asked_for(name: str) -> None:
    assert getattr(kk.venues, name)().name == name
    assert kk.venues.okx("swap").name == "okx_swap"


@pytest.mark.parametrize(("name", "entry"), shipped().items())
def test_every_entry_says_where_and_when_it_was_read(name: str, entry: dict[str, Any]) -> None:
    assert entry["source"].startswith("https://")
    assert entry["stated_by"]
    assert date.fromisoformat(entry["date"]) >= date(2026, 1, 1)


def test_the_table_is_what_ccxt_states(tmp_path: Path) -> None:
    """With the version that the table names; another may state other rates."""
    ccxt = pytest.importorskip("ccxt", reason="needs the extra ccxt")
    found = kk.venues.refresh(tmp_path / "table.json")
    assert json.loads((tmp_path / "table.json").read_text()) == found
    assert set(found) == set(shipped())
    for name in CCXT:
        assert found[name]["stated_by"] == f"ccxt {ccxt.__version__}"
        if found[name]["stated_by"] == shipped()[name]["stated_by"]:
            assert found[name] | {"date": ""} == dict(shipped()[name]) | {"date": ""}


def exchange(**fees: Any) -> type:
    described = {"urls": {"fees": "https://example.com/fees"}, "fees": fees}
    return type("Exchange", (), {"describe": lambda self: described})


def test_refresh_reads_an_installed_ccxt_and_a_venue_takes_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {"maker": 0.0011, "taker": 0.0022}
    blocks = {"trading": rates, "linear": {"trading": rates}, "spot": rates, "swap": rates}
    fake = {name: exchange(**blocks) for name, _ in CCXT.values()}
    monkeypatch.setitem(sys.modules, "ccxt", SimpleNamespace(__version__="0.0", **fake))
    table = kk.venues.refresh()
    assert table["bybit"] | {"date": ""} == {
        "maker": 0.0011,
        "taker": 0.0022,
        "source": "https://example.com/fees",
        "stated_by": "ccxt 0.0",
        "date": "",
    }
    assert table["fx"] == shipped()["fx"]
    assert repr(kk.venues.bybit(table=table).fees) == "maker_taker(maker=0.0011, taker=0.0022)"
    assert repr(kk.venues.bybit().fees) == "maker_taker(maker=0.0001, taker=0.00075)"


def test_refresh_without_ccxt_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(MissingExtraError, match=r'pip install "kernelkit\[ccxt\]"'):
        kk.venues.refresh()


def block(*rows: tuple[float, float, float], maker: float = 0.0016, taker: float = 0.0026) -> dict[str, Any]:
    tiers = {"maker": [[v, m] for v, m, _ in rows], "taker": [[v, t] for v, _, t in rows]}
    return {"trading": {"maker": maker, "taker": taker, "tiers": tiers}}


FIRST = (0.0, 0.0016, 0.0026)


@pytest.mark.parametrize(
    ("exchange", "rows", "kept"),
    [
        ("kraken", [FIRST, (5e4, 0.0014, 0.0024)], [0.0, 5e4]),
        ("kraken", [FIRST, (5e4, 0.0014, 0.0001)], [0.0]),  # a digit that slipped
        ("kraken", [FIRST, (5e4, 0.015, 0.0024), (1e5, 0.0014, 0.0022)], [0.0, 1e5]),  # a rate that rises
        ("kraken", [(0.0, 0.0015, 0.0025)], None),  # not the headline: out of date
        ("binance", [FIRST], None),  # volumes in BTC
    ],
)
def test_only_tiers_that_can_be_believed_count(exchange: str, rows: list[Any], kept: list[float] | None) -> None:
    assert rates_of(block(*rows), ("trading",), exchange).get("volumes") == kept


def test_an_exchange_without_rates_is_refused() -> None:
    with pytest.raises(DataError, match="fees of okx in ccxt"):
        rates_of({"trading": {"maker": None}}, ("spot",), "okx")


def test_unknown_markets_are_refused() -> None:
    with pytest.raises(OrderError, match="market of okx: found margin"):
        kk.venues.okx("margin")
    with pytest.raises(OrderError, match="contract of cme: found XX"):
        kk.venues.cme("XX")
