"""What an account and its venue forbid, as plain data (rules R1-R8, H1-H3, H5), and as records that kernels read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernelkit.kernels import layout as L

INF = float("inf")


@dataclass(frozen=True)
class Rules:
    """All numbers of layout.RULES; INF, -1 and 0 ask nothing.

    ``shorts`` has the largest short position of each asset of the account, () is no limit. ``hours`` names a calendar;
    ``outages`` are (start, end, what it does) in ns, sorted; ``latency`` is in ns.
    """

    cut: bool = False
    position: float = INF
    notional: float = INF
    leverage: float = INF
    concentration: float = INF
    turnover: float = INF
    day_trades: int = -1
    day_trade_equity: float = INF
    fall: float = 0.0
    shorts: tuple[float, ...] = ()
    hours: str = ""
    closed_rejects: bool = False
    outages: tuple[tuple[int, int, int], ...] = ()
    rate: int = 0
    per: int = 1
    rate_rejects: bool = True
    latency: int = 0

    @classmethod
    def of(cls, told: Mapping[str, Any] | None) -> Rules | None:
        """What `dataclasses.asdict` has made of rules, and JSON of that."""
        if told is None:
            return None
        lists = {"shorts": tuple(told["shorts"]), "outages": tuple(tuple(o) for o in told["outages"])}
        return cls(**(dict(told) | lists))

    @property
    def flags(self) -> int:
        """What they ask of orders, as bits of layout.

        >>> Rules().flags, Rules(turnover=1.0).flags == L.RISK | L.TALLIES
        (0, True)
        """
        counted = self.turnover < INF or self.day_trades >= 0
        values = min(self.position, self.notional, self.leverage, self.concentration)
        risk = counted or values < INF or self.fall > 0.0 or len(self.shorts) > 0
        asked = {L.RISK: risk, L.TALLIES: counted, L.HOURS: self.hours != "", L.OUTAGES: len(self.outages) > 0}
        asked |= {L.RATE: self.rate > 0, L.LATENCY: self.latency > 0}
        return sum(bit for bit, wanted in asked.items() if wanted)


class Rulebook:
    """The records of some venues' rules, in this process; it keeps the memory that they point to."""

    def __init__(self, rules: list[Rules | None], hours: Mapping[str, np.ndarray]) -> None:
        self.records = np.zeros(len(rules), L.RULES)
        self.kept: list[np.ndarray] = [*hours.values()]
        for record, one in zip(self.records, rules, strict=True):
            one = one or Rules()
            self.write(record, one, hours.get(one.hours))

    def write(self, record: np.void, one: Rules, hours: np.ndarray | None) -> None:
        """Fill one record in; raises ValueError for hours without their table."""
        if one.hours and hours is None:
            raise ValueError(f"the opening times of {one.hours} are not there")
        shorts, outages = np.array(one.shorts, "f8"), np.array(one.outages, "i8").reshape(-1, 3)
        self.kept += [shorts, outages]
        names = ("cut", "position", "notional", "leverage", "concentration", "turnover", "day_trades")
        for name in (*names, "day_trade_equity", "fall", "closed_rejects", "rate", "per", "rate_rejects", "latency"):
            record[name] = getattr(one, name)
        record["shorts"] = shorts.ctypes.data if shorts.size else 0
        record["outages"], record["n_outages"] = outages.ctypes.data, len(outages)
        if hours is not None:
            record["hours"], record["n_hours"] = hours.ctypes.data, len(hours) // 2

    def address(self, k: int) -> int:
        """Where the rules of venue `k` lie."""
        return int(self.records.ctypes.data) + k * L.RULES.itemsize
