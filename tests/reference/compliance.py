"""The rows of R9: what limits, outages, closings and rates did to orders."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.reference.config import Record
from tests.reference.orders import Order


@dataclass
class Compliance:
    """The rows in the order in which they were written, and how many orders each venue has taken in intervals of H3."""

    rows: list[Record] = field(default_factory=list)
    taken: dict[tuple[int, int], int] = field(default_factory=dict)

    def note(
        self,
        order: Order,
        time: int,
        reason: str,
        done: str,
        lots: tuple[int, int],
        until: int = 0,
        numbers: tuple[float, float] = (0.0, 0.0),
        of_live: bool = False,
    ) -> None:
        """R9: of cancels and replacements of a live order the first of each decision; `lots` are before and after."""
        if of_live and any(row["order"] == order.id and row["time"] == time for row in self.rows):
            return
        row = {"order": order.id, "asset": order.asset, "time": time, "reason": reason, "done": done}
        row |= {"before": abs(lots[0]), "after": abs(lots[1]), "until": until}
        self.rows.append(row | {"limit": numbers[0], "found": numbers[1]})
