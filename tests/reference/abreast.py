"""The venue of a portfolio whose prices run along paths (X10), or that is matched in finer bars (X11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.reference.actions import Action
from tests.reference.holding import Holding
from tests.reference.market import Bars
from tests.reference.orders import Order
from tests.reference.paths import LEGS, event, legs
from tests.reference.quotes import Quote, threshold, trigger
from tests.reference.sharing import SharingVenue


@dataclass
class PathVenue(SharingVenue):
    """Takes the next event of each asset as the orders of one pass, on the first legs of all, the second, the third."""

    ends: dict[int, list[int]] = field(default_factory=dict)  # of each asset on its way: where its legs end
    now: dict[int, int] = field(default_factory=dict)  # its present price

    def later_passes(self, matched: list[Order]) -> None:
        """X10: paths take the place of F2, F5, F7 and F8."""
        if self.config.path not in LEGS:
            super().later_passes(matched)
            return
        here = [holding for holding in self.account.holdings if holding.has_bar and self.matches(holding)]
        self.now = {bar.number: bar.opened for bar in here}
        self.ends = {bar.number: legs(self.config.path, bar.opened, bar.high, bar.low, bar.close) for bar in here}
        for leg in range(3):
            self.run_leg(matched, leg)
        self.account.end_bar()
        self.late_pass(matched)

    def run_leg(self, matched: list[Order], leg: int) -> None:
        """X10: rounds, until no asset has an event; then the legs have ended."""
        while True:
            following = self.next_events(matched, leg)
            if not following:
                break
            self.settle_round([order for _, order in following.values()], {k: e for k, (e, _) in following.items()})
            self.now |= {number: price for number, (price, _) in following.items()}
        self.now = {number: ends[leg] for number, ends in self.ends.items()}
        for order in matched:
            if order.live and order.trails and not order.immediate:
                holding, now = self.account.of(order), self.now[order.asset]
                self.book.trail(order, holding.grid, now, now, holding.stamp("intrabar"))

    def next_events(self, matched: list[Order], leg: int) -> dict[int, tuple[int, Order]]:
        """F12: the nearest event of each asset, of several the one with the lowest id."""
        takes_part = [order for order in matched if order not in self.woken]
        if self.config.same_bar == "adverse":
            takes_part += self.woken
        found: dict[int, list[tuple[int, Order]]] = {}
        for order in takes_part:
            if order.live and order.kind != "market" and order.meets_range and not self.queues(order):
                p, q = self.now[order.asset], self.ends[order.asset][leg]
                price = event(order, p, q, threshold(self.config), self.account.of(order).left)
                if price is not None:
                    found.setdefault(order.asset, []).append((price, order))
        return {
            number: min(events, key=lambda one: (abs(one[0] - self.now[number]), one[1].id))
            for number, events in found.items()
        }

    def settle_round(self, orders: list[Order], prices: dict[int, int]) -> None:
        """X10: X4 and X5 of the orders of one round, each tried once."""

        def offer(order: Order) -> Quote:
            if not order.rests:
                return trigger(order, prices[order.asset], "intrabar", order.trigger)
            reference, p = order.price, self.now[order.asset]
            if order.kind != "limit" or order in self.woken:
                reference = min(reference, p) if order.lots > 0 else max(reference, p)
            return Quote(reference, "intrabar", slip=False, maker=reference == order.price)

        orders.sort(key=lambda order: order.id)
        left = []
        for order in orders:
            holding = self.account.of(order)
            if order.live and holding.reduces(holding.rest(order)):
                self.take(order, offer(order))
            else:
                left.append(order)
        for purse in self.account.purses:
            mine = [order for order in left if self.account.purse_of[order.asset] is purse]
            self.share_out(purse, [o for o in mine if self.account.of(o).config.cash_rule == "reduce"], offer)
        for order in left:
            if order.live:
                self.take(order, offer(order))
        self.shares = {}


@dataclass
class FinerSharingVenue(PathVenue):
    """X11: matches in the bars of a finer clock; decisions, close-out and marks are of the account's own."""

    finer: Sequence[Bars] = ()
    idle: bool = False  # has the bar of the clock none of the finer clock

    def __post_init__(self) -> None:
        """F16: each asset's finer bars belong to one of its own bars; others are not there."""
        self.inside = [
            of_bars(holding.own, bars) for holding, bars in zip(self.account.holdings, self.finer, strict=True)
        ]
        self.finer = [
            chosen(bars, [u for u, t in enumerate(inside) if t >= 0])
            for bars, inside in zip(self.finer, self.inside, strict=True)
        ]
        self.inside = [[t for t in inside if t >= 0] for inside in self.inside]

    def match(self, t: int, last: bool) -> None:
        """F16, X11: all before the close-out for each bar of the finer clock in turn."""
        self.begin(t)
        assert self.ledger is not None
        due = list(self.ledger.schedule.within[t])
        self.idle = not self.moments(t)
        for opened in self.moments(t):
            times = (opened, 0, 0)
            for holding in self.account.holdings:
                times = self.stand(holding, t, opened) or times
            while due and due[0].time <= opened:
                self.pay(due.pop(0), t)
            for purse in self.account.purses:
                purse.count()
            self.match_bar(*times, lambda: True)
        self.account.stand_at(t)
        for action in due:
            self.ledger.take(action, t, action.time)
        self.finish(t, last)

    def matches(self, holding: Holding) -> bool:
        """L6: at the mark the last finer bar says it, and where there is none nothing is matched."""
        return not self.idle and super().matches(holding)

    def moments(self, t: int) -> list[int]:
        """X11: when the finer clock's bars within bar `t` open."""
        first, end = self.clock.open_at[t], self.clock.known_at[t]
        return sorted({opened for bars in self.finer for opened in bars.open_at if first <= opened < end})

    def stand(self, holding: Holding, t: int, opened: int) -> tuple[int, int, int] | None:
        """X1, X11: the asset's last finer bar by then; its times where it is one of this moment."""
        finer, inside = self.finer[holding.number], self.inside[holding.number]
        past = [u for u in range(len(finer)) if finer.open_at[u] < opened]
        here = [u for u in range(len(finer)) if finer.open_at[u] == opened]
        within = [u for u in past if finer.open_at[u] >= self.clock.open_at[t]]
        holding.since = None if t == 0 else holding.price_before(t, holding.ratios)
        if within:
            holding.since = holding.grid.price(finer.c[within[-1]])
        holding.has_bar, holding.over = bool(here), False
        if not here:
            if past:
                holding.stand_in(finer, past[-1], False)
            return None
        (u,) = here
        own, bar = holding.own, inside[u]
        final = inside[u + 1 : u + 2] != [bar]
        holding.stand_in(finer, u, own.closes is not None and final and own.known_at[bar] >= own.closes[bar])
        return finer.open_at[u], finer.known_at[u], finer.session[u]

    def pay(self, action: Action, t: int) -> None:
        """E5: without a mark at the close of the finer bar before that in the bar, or E1's."""
        assert self.ledger is not None
        self.ledger.take(action, t, action.time, self.account.holdings[action.asset].since)


def of_bars(bars: Bars, finer: Bars) -> list[int]:
    """F16: of each finer bar the bar to which it belongs, -1 for none."""
    found = []
    for opened in finer.open_at:
        inside = [t for t in range(len(bars)) if bars.open_at[t] <= opened < bars.known_at[t]]
        found.append(inside[0] if inside else -1)
    return found


def chosen(bars: Bars, kept: list[int]) -> Bars:
    """Some of the bars."""
    columns = {name: getattr(bars, name) for name in Bars.__dataclass_fields__}
    return Bars(**{name: v if v is None else [v[k] for k in kept] for name, v in columns.items()})
