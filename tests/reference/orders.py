"""The life of an order: ids, ends, groups, children (O1-O13, P4)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from tests.reference.changes import Change, Ending, Sent
from tests.reference.config import Record
from tests.reference.lives import Lives
from tests.reference.market import Grid

MARKETS_ONCE_TRIGGERED = ("stop", "trailing_stop", "market_if_touched")  # P3
LIMITS_ONCE_TRIGGERED = ("stop_limit", "trailing_stop_limit", "limit_if_touched")  # F3
TRAILING = ("trailing_stop", "trailing_stop_limit")  # F15
IF_TOUCHED = ("market_if_touched", "limit_if_touched")  # F14
RECORDED = "id asset kind tif lots filled display status reason t_submit t_end fees group parent".split()
RECORDED += "price trigger".split()


@dataclass
class Order:
    """One order; prices in ticks, `lots` positive to buy."""

    id: int
    kind: str
    tif: str
    lots: int
    t_submit: int
    asset: int = 0
    price: int = 0
    trigger: int = 0
    trail: int = 0
    fraction: float = 0.0
    offset: int = 0
    expires: int = 0
    post_only: bool = False
    new: bool = True  # O14: no bar has been matched against it yet
    display: int = 0  # P5: lots, 0 for all
    queues_since: int = -1  # P5: the bar of its asset in which it takes no further part
    triggered: bool = False
    parent: int = 0
    group: int = 0
    reduce_only: bool = False
    held: bool = False  # R1: to reducing
    change: Change | None = None  # H4: under way
    ending: Ending | None = None  # H4, H5: under way
    called_off: int | None = None  # H4, H5: until when a cancel is on its way, be it heard or not
    sent: Sent | None = None  # H5
    active: bool = True
    t_active: int = 0
    anchor: float | None = None
    entry_reference: int = 0
    from_target: bool = False
    weight: float | None = None
    liquidates: bool = False  # L5
    first_session: int | None = None
    filled: int = 0
    fees: float = 0.0
    notional: float = 0.0
    status: str = "live"
    reason: str = ""
    t_end: int = 0

    @property
    def live(self) -> bool:
        return self.status == "live"

    @property
    def open_lots(self) -> int:
        """R1: the lots not yet filled, without sign; of a change under way the larger ones."""
        changed = 0 if self.change is None else abs(self.change.lots or 0)
        return max(abs(self.lots), changed) - abs(self.filled)

    @property
    def immediate(self) -> bool:
        """O3: an IOC, or a FOK, which is an IOC that fills whole or not at all."""
        return self.tif in ("IOC", "FOK")

    @property
    def at_auction(self) -> bool:
        """O12: for one bar of a session, at its open or its close."""
        return self.tif in ("AT_OPEN", "AT_CLOSE")

    @property
    def meets_range(self) -> bool:
        """O2, O12: does it take part in what the range of a bar settles."""
        return not self.immediate and not self.at_auction

    @property
    def runs(self) -> bool:
        """P3: a stop that has triggered and lives is a market order from then on, as is what has been touched (F14)."""
        return self.triggered and self.kind in MARKETS_ONCE_TRIGGERED

    @property
    def rests(self) -> bool:
        """F1, F12: a limit, or a stop-limit that has triggered and is a limit from then on."""
        return self.kind == "limit" or (self.triggered and self.kind in LIMITS_ONCE_TRIGGERED)

    @property
    def trails(self) -> bool:
        """F15: a trailing stop, or a trailing stop-limit that has not triggered."""
        return self.kind in TRAILING and not self.triggered

    def limit_from(self, trigger: int) -> int:
        """F3, F15: its limit price once `trigger` has set it off."""
        if self.kind != "trailing_stop_limit":
            return self.price
        return trigger + self.offset if self.lots > 0 else max(1, trigger - self.offset)

    def record(self) -> Record:
        """The order as a row of the result."""
        return {name: getattr(self, name) for name in RECORDED}

    def level(self, grid: Grid, ticks: int) -> int:
        """F8: where a trailing stop stands for a price."""
        if self.lots > 0:
            if self.trail:
                return max(1, ticks + self.trail)
            return grid.ticks(grid.price(ticks) * (1.0 + self.fraction), True)
        if self.trail:
            return max(1, ticks - self.trail)
        return grid.ticks(grid.price(ticks) * (1.0 - self.fraction), False)

    def moved_trigger(self, grid: Grid, high: int, low: int) -> int:
        """F8: the trigger that follows the bar, never back; P3: that of one that has triggered stays."""
        if self.triggered:
            return self.trigger
        if self.lots > 0:
            return min(self.trigger, self.level(grid, low))
        return max(self.trigger, self.level(grid, high))

    def ends_at(self, time: int, status: str, reason: str) -> None:
        """H4, H5: the earliest of what would end it does, of the same time the first; replacements later than that
        do not come."""
        if self.ending is None or time < self.ending.time:
            self.ending = Ending(time, status, reason)
            if self.change is not None and self.change.time >= time:
                self.change = None


@dataclass
class Book:
    """All orders of the account, in id order."""

    orders: list[Order] = field(default_factory=list)
    happened: list[Record] = field(default_factory=list)  # T7: that nobody has been told yet
    lives: Lives = field(default_factory=Lives)
    last_id: int = 0
    limit_id: int = 0

    def begin_decision(self, most: int) -> None:
        """O4, X7: the decision that begins here may submit so many ids."""
        self.limit_id = self.last_id + most

    def submit_id(self) -> int:
        """O4: the id of what a decision submits; a bracket that begins within the limit may end beyond it."""
        if self.last_id >= self.limit_id:
            raise ValueError(f"a decision submits more than its last id {self.limit_id}: submit less at one decision")
        return self.next_id()

    def next_id(self) -> int:
        """O4: ids count from 1."""
        self.last_id += 1
        return self.last_id

    def add(self, order: Order) -> int:
        """Take an order in; its t_active is its t_submit (T1)."""
        order.t_active = order.t_submit
        self.orders.append(order)
        return order.id

    def live(self) -> list[Order]:
        """The live orders in id order."""
        return [order for order in self.orders if order.live]

    def find(self, order_id: int) -> Order | None:
        """The live order of that id."""
        for order in self.orders:
            if order.id == order_id and order.live:
                return order
        return None

    def end(self, order: Order, status: str, reason: str, time: int, by_fill: bool = False) -> None:
        """O6, O8: an order ends once; unless a fill ended it, children that sleep end directly after it, as it does."""
        if not order.live:
            raise RuntimeError(f"order {order.id} ended twice: {order.status}, then {status}")
        order.status, order.reason, order.t_end = status, reason, time
        self.happened.append(order.record())
        self.lives.ended(order)
        if not by_fill:
            for child in self.live():
                if child.parent == order.id and child.live and not child.active:
                    self.end(child, "cancelled", "parent_ended", time)

    def end_all(self, reason: str, time: int, assets: Collection[int] | None = None) -> None:
        """Cancel every live order, of some assets if given, in id order."""
        for order in self.live():
            if order.live and (assets is None or order.asset in assets):
                self.end(order, "cancelled", reason, time)

    def expire(self, order: Order, session: int, time: int) -> None:
        """O1, O11, O12: end an order whose time is over when a bar of its asset opens at `time` in `session`."""
        if order.tif == "GTD" and time >= order.expires:
            self.end(order, "expired", "gtd", time)
        elif order.tif in ("DAY", "AT_CLOSE") and order.t_active <= time:
            if order.first_session is None:
                order.first_session = session
            elif session > order.first_session:
                self.end(order, "expired", order.tif.lower(), time)

    def expire_with_bar(self, order: Order, time: int) -> None:
        """O3, O12: an order that is for one bar ends with it."""
        if order.live and not order.meets_range:
            self.end(order, "expired", order.tif.lower(), time)

    def trail(self, order: Order, grid: Grid, high: int, low: int, time: int) -> None:
        """F8: take the moved trigger."""
        before, order.trigger = order.trigger, order.moved_trigger(grid, high, low)
        if order.trigger != before:
            self.lives.note(order, "trailed", time)

    def link(self, a: int, b: int) -> None:
        """O9: two live orders become a group in which one fill ends the other."""
        first, second = self.find(a), self.find(b)
        if first is not None and second is not None and a != b:
            first.group = second.group = min(a, b)

    def end_entry(self, order: Order, time: int) -> None:
        """P4: what an exit begins to close is not opened further."""
        entry = self.find(order.parent)
        if entry is not None:
            self.end(entry, "cancelled", "position_closed", time)

    def end_exits(self, asset: int, time: int) -> None:
        """O7, E2: the reduce-only orders of an asset end with its position."""
        for other in self.live():
            if other.live and other.reduce_only and other.active and other.asset == asset:
                self.end(other, "cancelled", "position_closed", time)

    def after_fill(self, order: Order, before: int, after: int, fill: Record, grid: Grid) -> list[Order]:
        """O7, P4: end the group, end exits of a closed position, wake or end the children; the woken ones come back."""
        time = fill["time"]
        for other in self.live():
            grouped = order.group != 0 and other.group == order.group and other.id != order.id
            waits = other.reduce_only and order.live  # P4: until the order has ended
            if other.live and grouped and not waits:
                self.end(other, "cancelled", "oco", time)
        if after == 0 or before * after < 0:
            self.end_exits(order.asset, time)
        self.end_entry(order, time)
        children = [child for child in self.live() if child.parent == order.id]
        if order.filled * after <= 0:
            for child in [] if order.live else children:  # P4: they sleep on as long as the entry may cross zero
                self.end(child, "cancelled", "parent_ended", time)
            return []
        asleep = [child for child in children if not child.active]
        for child in children:
            lots = child.lots
            resize(child, order.filled, after)
            if child in asleep:
                wake(child, order.filled, fill, grid)
                self.lives.note(child, "woken", time)
            elif child.lots != lots:
                self.lives.note(child, "resized", time)
        return asleep + [child for child in children if child not in asleep and child.kind == "limit"]  # P4


def resize(child: Order, parent_filled: int, position: int) -> None:
    """O7, P4: a bracket exit is for what the entry has filled and the account holds."""
    size = min(abs(parent_filled), abs(position))
    child.lots = -size if position > 0 else size


def wake(child: Order, parent_filled: int, fill: Record, grid: Grid) -> None:
    """O7, F6: a bracket exit wakes at the entry's first fill, its fraction anchored to the price of that."""
    child.active = True
    child.t_active = fill["time"]
    child.entry_reference = fill["reference"]
    if child.anchor is None:
        return
    price = grid.price(fill["ticks"])
    long_entry = parent_filled > 0
    if child.kind == "stop":
        factor = 1.0 - child.anchor if long_entry else 1.0 + child.anchor
        child.trigger = grid.ticks(price * factor, not long_entry)
    else:
        factor = 1.0 + child.anchor if long_entry else 1.0 - child.anchor
        child.price = grid.ticks(price * factor, long_entry)
