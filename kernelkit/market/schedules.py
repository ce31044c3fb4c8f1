"""The table of fee schedules that `kernelkit.venues` reads, and how to build it anew from an installed ccxt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from kernelkit.errors import DataError, arguments, extra, message
from kernelkit.market import fees
from kernelkit.market.models import CostModel

Schedule = dict[str, Any]
# entry -> exchange of ccxt, and where its static description has the rates
CCXT = {
    "binance_spot": ("binance", ("trading",)),
    "binance_usdm": ("binanceusdm", ("linear", "trading")),
    "bybit": ("bybit", ("trading",)),
    "okx_spot": ("okx", ("spot",)),
    "okx_swap": ("okx", ("swap",)),
    "coinbase": ("coinbase", ("trading",)),
    "kraken": ("kraken", ("trading",)),
}
# whose tiers ccxt counts in quote currency; those of Binance are in BTC
TIERS_IN_QUOTE = ("coinbase", "kraken")


@cache
def shipped() -> Mapping[str, Schedule]:
    """The table in the package, by entry: rates, ``source`` (address), ``stated_by`` and ``date`` (when it was read).

    >>> shipped()["kraken"]["taker"]
    0.0026
    """
    text = (files("kernelkit.market") / "schedules.json").read_text(encoding="utf-8")
    found: dict[str, Schedule] = json.loads(text)
    return found


@arguments()
def refresh(to: str | Path | None = None) -> dict[str, Schedule]:
    """The table with the rates of crypto exchanges as the installed ccxt states them; no network is used.

    Pass it to a venue, ``kk.venues.kraken(table=kk.venues.refresh())``; with ``to`` it is written there as JSON too.
    Tiers count where they are in quote currency, begin with the headline rates, and neither rise nor fall to less than
    half of the taker rate from one to the next: what ccxt states otherwise is out of date, or a slip, and is left out,
    which never makes a trade cheaper than the headline. Raises MissingExtraError where ccxt is not installed, and
    DataError for an exchange that states no rates.
    """
    ccxt: Any = extra("ccxt", "ccxt")
    out = {name: dict(entry) for name, entry in shipped().items()}
    today = datetime.now(UTC).date().isoformat()
    for name, (exchange, path) in CCXT.items():
        described = getattr(ccxt, exchange)().describe()
        links = described["urls"].get("fees")
        source = links[-1] if isinstance(links, list) else links
        rates = rates_of(described["fees"], path, exchange)
        out[name] = rates | {"source": source, "stated_by": f"ccxt {ccxt.__version__}", "date": today}
    if to is not None:
        Path(to).write_text(json.dumps(out, indent=2) + "\n", encoding="utf-8")
    return out


def rates_of(described: Mapping[str, Any], path: tuple[str, ...], exchange: str) -> Schedule:
    """Maker and taker, and the tiers that can be believed, of the ``fees`` that ccxt describes.

    Raises DataError where there are no rates.

    >>> tiers = {"maker": [[0.0, 0.002], [1e4, 0.001]], "taker": [[0.0, 0.003], [1e4, 0.002]]}
    >>> rates_of({"trading": {"maker": 0.002, "taker": 0.003, "tiers": tiers}}, ("trading",), "kraken")["volumes"]
    [0.0, 10000.0]
    """
    block: Any = described
    for key in path:
        block = block.get(key) or {}
    if "maker" not in block or "taker" not in block:
        wanted, fix = f"maker and taker under {'/'.join(path)}", "Take another version of ccxt, or a Venue of your own."
        raise DataError(message(f"fees of {exchange} in ccxt", sorted(block), wanted, fix))
    rates = {"maker": block["maker"], "taker": block["taker"]}
    tiers = block.get("tiers")
    if exchange not in TIERS_IN_QUOTE or not tiers:
        return rates
    rows = [(volume, maker, taker) for (volume, maker), (_, taker) in zip(tiers["maker"], tiers["taker"], strict=True)]
    if rows[0] != (0.0, rates["maker"], rates["taker"]):
        return rates
    kept = rows[:1]
    for row in rows[1:]:
        _, maker, taker = kept[-1]
        if row[1] <= maker and 0.5 * taker <= row[2] <= taker:
            kept.append(row)
    volumes, makers, takers = (list(column) for column in zip(*kept, strict=True))
    return rates | {"volumes": volumes, "makers": makers, "takers": takers}


def fee_of(entry: Schedule) -> CostModel:
    """The fee model of an entry with maker and taker rates, by tiers where it has them.

    >>> fee_of({"maker": 0.001, "taker": 0.002})
    maker_taker(maker=0.001, taker=0.002)
    """
    if "volumes" in entry:
        return fees.tiered(entry["volumes"], entry["makers"], entry["takers"])
    return fees.maker_taker(entry["maker"], entry["taker"])
