"""What happened to each order, and when (O17)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

TURNED_AWAY = ("venue_down", "market_closed", "rate_limit")


@dataclass(frozen=True)
class Moment:
    """An order's numbers once something has happened to it; of a fill and of another end its lots are their own."""

    time: int
    event: str
    lots: int
    price: int
    trigger: int
    ticks: int = 0
    reason: str = ""


@dataclass
class Lives:
    """All moments of all orders, by id."""

    of: dict[int, list[Moment]] = field(default_factory=dict)

    def note(self, order: Any, event: str, time: int) -> None:
        """It has new numbers, or a new state."""
        own = self.of.setdefault(order.id, [])
        if event == "replaced":
            own[:] = [moment for moment in own if (moment.event, moment.time) != (event, time)]
        own.append(Moment(time, event, order.lots, order.price, order.trigger))
        if event == "submitted" and order.t_active > time:  # where it does not get so far, `ended` takes it back
            own.append(Moment(order.t_active, "arrived", order.lots, order.price, order.trigger))

    def filled(self, order: Any, lots: int, ticks: int, time: int) -> None:
        """In part, as far as one knows before its end."""
        moment = Moment(time, "filled in part", lots, order.price, order.trigger, ticks)
        self.of[order.id].append(moment)

    def ended(self, order: Any) -> None:
        """The last fill is the end of a filled order; any other has an end of its own."""
        own = self.of[order.id]
        if order.status == "filled":
            last = own.pop()
            own.append(Moment(last.time, "filled", last.lots, last.price, last.trigger, last.ticks, order.reason))
        else:
            left = order.lots - order.filled
            own.append(Moment(order.t_end, order.status, left, order.price, order.trigger, 0, order.reason))
        late = order.status == "rejected" and order.reason in TURNED_AWAY
        own[:] = [m for m in own if m.event != "arrived" or (m.time <= order.t_end and not late)]
        for k, m in enumerate(own):  # a cancel within the bar that has moved it, or set it off
            if m.event in ("trailed", "triggered"):
                own[k] = replace(m, time=min(m.time, order.t_end))

    def rows(self) -> dict[int, list[Moment]]:
        """By time; an arrival comes before all else of its time, with the numbers that the order has had by then."""
        return {number: in_order(own) for number, own in self.of.items()}


def in_order(own: list[Moment]) -> list[Moment]:
    """One order's."""
    out: list[Moment] = []
    for moment in sorted(own, key=lambda m: (m.time, m.event != "arrived")):
        if moment.event == "arrived":
            last = out[-1]
            moment = Moment(moment.time, moment.event, last.lots, last.price, last.trigger)
        out.append(moment)
    return out
