"""Venues by name: fee schedules from the table in ``schedules.json``, each with its source and the date it was read.

Rates change, and differ by account: pass your own `Venue(fees=...)` where money depends on them. `refresh` builds the
table anew from an installed ccxt. Tick, lot and multiplier are the instrument's, on the data, not the venue's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kernelkit.errors import OrderError, arguments, message
from kernelkit.market import fees, slippage
from kernelkit.market.schedules import fee_of, refresh, shipped
from kernelkit.market.venue import Venue

__all__ = [
    "binance_spot",
    "binance_usdm",
    "bybit",
    "cme",
    "coinbase",
    "fraction",
    "fx",
    "kraken",
    "okx",
    "refresh",
    "us_equity",
]
Table = Mapping[str, Any] | None


@arguments()
def us_equity(slippage_rate: float = 0.0005) -> Venue:
    """US shares at a discount broker: 0.005 USD a share, at least 1 USD an order; slippage is a fraction of the price.

    Source: the fixed per-share schedule that LEAN's InteractiveBrokersFeeModel documents for US equities.

    >>> us_equity().costs
    'fees per_unit(rate=0.005, minimum=1), slippage fraction(rate=0.0005)'
    """
    entry = shipped()["us_equity"]
    fee = fees.per_unit(entry["per_share"], entry["minimum"])
    return Venue("us_equity", fee, slippage.fraction(slippage_rate))


@arguments()
def fraction(fee: float = 0.001, slip: float = 0.0) -> Venue:
    """A venue that charges the fraction ``fee`` of every traded value; ``slip`` moves market and stop orders' prices.

    >>> fraction(0.001).costs
    'fees fraction(rate=0.001)'
    """
    return Venue("fraction", fees.fraction(fee) if fee else None, slippage.fraction(slip) if slip else None)


@arguments()
def binance_spot(slippage_rate: float = 0.0005, table: Table = None) -> Venue:
    """Binance, spot, the rates of a regular account; slippage is a fraction of the price.

    ``table`` is what `refresh` gives; None is the table of the package, whose entry names source and date.

    >>> binance_spot().costs
    'fees maker_taker(maker=0.001, taker=0.001), slippage fraction(rate=0.0005)'
    """
    return _exchange("binance_spot", slippage_rate, table)


@arguments()
def binance_usdm(slippage_rate: float = 0.0005, table: Table = None) -> Venue:
    """Binance, USD-margined futures, the rates of a regular account; arguments as for `binance_spot`.

    >>> binance_usdm(slippage_rate=0.0).costs
    'fees maker_taker(maker=0.0002, taker=0.0005)'
    """
    return _exchange("binance_usdm", slippage_rate, table)


@arguments()
def bybit(slippage_rate: float = 0.0005, table: Table = None) -> Venue:
    """Bybit, as ccxt states its trading fees; arguments as for `binance_spot`.

    >>> bybit(slippage_rate=0.0).costs
    'fees maker_taker(maker=0.0001, taker=0.00075)'
    """
    return _exchange("bybit", slippage_rate, table)


@arguments()
def okx(market: str = "spot", slippage_rate: float = 0.0005, table: Table = None) -> Venue:
    """OKX, the rates of a regular account, ``market`` is spot or swap; other arguments as for `binance_spot`.

    Raises OrderError for another market.

    >>> okx("swap", slippage_rate=0.0).costs
    'fees maker_taker(maker=0.0002, taker=0.0005)'
    """
    if market not in ("spot", "swap"):
        raise OrderError(message("market of okx", market, "spot or swap", "Swap is for its perpetual contracts."))
    venue = _exchange(f"okx_{market}", slippage_rate, table)
    return replace(venue, name="okx") if market == "spot" else venue


@arguments()
def coinbase(slippage_rate: float = 0.0005, table: Table = None) -> Venue:
    """Coinbase Advanced, the rates of its first tier; arguments as for `binance_spot`.

    >>> coinbase(slippage_rate=0.0).costs
    'fees maker_taker(maker=0.006, taker=0.012)'
    """
    return _exchange("coinbase", slippage_rate, table)


@arguments()
def kraken(slippage_rate: float = 0.0005, table: Table = None) -> Venue:
    """Kraken, spot, by what the account has traded in 30 days; arguments as for `binance_spot`.

    >>> kraken().fees.values[0][1][:3]
    (0.0, 50000.0, 100000.0)
    """
    return _exchange("kraken", slippage_rate, table)


@arguments()
def fx(spread: float = 0.0001) -> Venue:
    """Spot currencies against USD at a broker: 0.2 basis points, at least 2 USD an order, and half the ``spread``.

    ``spread`` is a fraction of the price: for bars of middle prices. Source: the schedule that LEAN's
    InteractiveBrokersFeeModel documents for forex up to a billion USD a month.

    >>> fx().costs
    'fees percentage(rate=2e-05, minimum=2, maximum=1e+300), slippage spread(ticks=0, rate=0.0001)'
    """
    entry = shipped()["fx"]
    return Venue("fx", fees.percentage(entry["rate"], entry["minimum"]), slippage.spread(rate=spread))


@arguments()
def cme(contract: str = "ES", slippage_ticks: float = 1.0) -> Venue:
    """CME futures at a broker: USD a contract (commission, exchange and regulatory fee), and ticks of slippage.

    A unit of quantity is one contract. ``contract`` is ES, NQ, RTY, MES, MNQ, M2K, or ``other`` for the usual fee of
    the rest. Source: LEAN's InteractiveBrokersFeeModel. Raises OrderError for another contract.

    >>> cme("MES").costs
    'fees per_unit(rate=0.57, minimum=0), slippage ticks(n=1)'
    """
    rates = shipped()["cme"]["per_contract"]
    if contract not in rates:
        raise OrderError(
            message("contract of cme", contract, f"one of {', '.join(rates)}", "Others pay the usual fee.")
        )
    return Venue("cme", fees.per_unit(rates[contract]), slippage.ticks(slippage_ticks) if slippage_ticks else None)


def _exchange(name: str, slippage_rate: float, table: Table) -> Venue:
    entry = (shipped() if table is None else table)[name]
    return Venue(name, fee_of(entry), slippage.fraction(slippage_rate) if slippage_rate else None)
