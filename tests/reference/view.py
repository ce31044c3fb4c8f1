"""What a strategy may do at a decision (O4, O9, O16, S1-S4, S6, X7)."""

from __future__ import annotations

import math

from tests.reference.asks import Ask, Bracket
from tests.reference.counter import Counter
from tests.reference.orders import Order
from tests.reference.replacing import change
from tests.reference.targets import target_lots

NOTHING = Ask("market", 0.0)


class View(Counter):
    """One asset, and the orders of it."""

    def order(self, q: float, tif: str = "GTC", expires: int | None = None, reduce_only: bool = False) -> int:
        """A market order, positive to buy."""
        return self._submit(Ask("market", q, tif, expires, reduce_only))

    def buy(self, q: float, tif: str = "GTC", expires: int | None = None, reduce_only: bool = False) -> int:
        return self.order(q, tif, expires, reduce_only)

    def sell(self, q: float, tif: str = "GTC", expires: int | None = None, reduce_only: bool = False) -> int:
        return self.order(-q, tif, expires, reduce_only)

    def limit(
        self,
        q: float,
        price: float,
        tif: str = "GTC",
        expires: int | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        display: float | None = None,
    ) -> int:
        ask = Ask("limit", q, tif, expires, reduce_only, limit=price, post_only=post_only, display=display)
        return self._submit(ask)

    def market_on_open(self, q: float, reduce_only: bool = False) -> int:
        return self.order(q, "AT_OPEN", reduce_only=reduce_only)

    def market_on_close(self, q: float, reduce_only: bool = False) -> int:
        return self.order(q, "AT_CLOSE", reduce_only=reduce_only)

    def limit_on_open(self, q: float, price: float) -> int:
        return self.limit(q, price, "AT_OPEN")

    def limit_on_close(self, q: float, price: float) -> int:
        return self.limit(q, price, "AT_CLOSE")

    def stop(
        self, q: float, price: float, tif: str = "GTC", expires: int | None = None, reduce_only: bool = False
    ) -> int:
        return self._submit(Ask("stop", q, tif, expires, reduce_only, trigger=price))

    def stop_limit(
        self,
        q: float,
        stop: float,
        limit: float,
        tif: str = "GTC",
        expires: int | None = None,
        reduce_only: bool = False,
    ) -> int:
        return self._submit(Ask("stop_limit", q, tif, expires, reduce_only, limit=limit, trigger=stop))

    def market_if_touched(
        self, q: float, price: float, tif: str = "GTC", expires: int | None = None, reduce_only: bool = False
    ) -> int:
        return self._submit(Ask("market_if_touched", q, tif, expires, reduce_only, trigger=price))

    def limit_if_touched(
        self,
        q: float,
        trigger: float,
        limit: float,
        tif: str = "GTC",
        expires: int | None = None,
        reduce_only: bool = False,
    ) -> int:
        return self._submit(Ask("limit_if_touched", q, tif, expires, reduce_only, limit=limit, trigger=trigger))

    def trailing_stop(
        self,
        q: float,
        trail: float | None = None,
        ticks: float | None = None,
        fraction: float | None = None,
        bps: float | None = None,
        tif: str = "GTC",
        expires: int | None = None,
        reduce_only: bool = False,
    ) -> int:
        return self._submit(
            Ask("trailing_stop", q, tif, expires, reduce_only, trail=trail, ticks=ticks, fraction=fraction, bps=bps)
        )

    def trailing_stop_limit(  # noqa: PLR0913  what an order is told is named
        self,
        q: float,
        offset: float,
        trail: float | None = None,
        ticks: float | None = None,
        fraction: float | None = None,
        bps: float | None = None,
        tif: str = "GTC",
        expires: int | None = None,
        reduce_only: bool = False,
    ) -> int:
        ask = Ask("trailing_stop_limit", q, tif, expires, reduce_only, None, None, trail, ticks, fraction, bps, offset)
        return self._submit(ask)

    def replace(
        self, order_id: int, quantity: float | None = None, price: float | None = None, trigger: float | None = None
    ) -> int:
        """O16: the id, or 0 where nothing happens; of an order of any asset."""
        if quantity is None and price is None and trigger is None:
            raise ValueError("replace is given no number, wanted a quantity, a price or a trigger")
        order = self._book.find(order_id)
        if order is None:
            return 0
        done = change(self._account, self._book, order, self.time, quantity, price, trigger)
        return order.id if done else 0

    def bracket(  # noqa: PLR0913  what an order is told is named
        self,
        q: float,
        stop: float | None = None,
        limit: float | None = None,
        stop_loss: float | None = None,
        take_profit: float | None = None,
        entry: float | None = None,
        tif: str = "GTC",
        expires: int | None = None,
        post_only: bool = False,
        display: float | None = None,
    ) -> int:
        """An entry (a market order, or a limit at `entry`) with up to two reduce-only exits that end each other."""
        kind = "market" if entry is None else "limit"
        ask = Ask(kind, q, tif, expires, limit=entry, post_only=post_only, display=display)
        bracket = Bracket(ask, stop, limit, stop_loss, take_profit)
        parent = self._judged(self._new(ask), self._desk.bracket_fault(bracket), ask)
        if not parent.live:
            return parent.id
        buy = parent.lots > 0
        stop_id, limit_id = self._book.next_id(), self._book.next_id()
        exits = []
        if stop is not None or stop_loss is not None:
            exits.append(self._exit(parent, stop_id, "stop", stop_loss))
            exits[-1].trigger = self._desk.trigger_ticks("stop", stop, not buy) if stop is not None else 0
        if limit is not None or take_profit is not None:
            exits.append(self._exit(parent, limit_id, "limit", take_profit))
            exits[-1].price = self._desk.limit_ticks(limit, not buy) if limit is not None else 0
        for order in exits:
            self._book.lives.note(order, "submitted", self.time)
        if len(exits) == 2:
            exits[0].group = exits[1].group = stop_id
        return parent.id

    def _exit(self, parent: Order, order_id: int, kind: str, fraction: float | None) -> Order:
        order = Order(order_id, kind, "GTC", -parent.lots, self.time, asset=parent.asset, parent=parent.id)
        order.reduce_only, order.active = True, False
        order.anchor = fraction
        self._book.add(order)
        return order

    def _closed_to(self, wish: float) -> int:
        """X1, E4: a target for what cannot be traded; 0 of what was delisted is none."""
        if self._desk.closed() == "delisted" and wish == 0.0:
            return 0
        return self._reject(NOTHING, self._desk.closed())

    def target(self, q: float) -> int:
        """S4: hold a quantity."""
        if self._desk.closed():
            return self._closed_to(q)
        held = self._replace()
        if self.equity <= 0:
            return 0
        if not self._grid.fits(q):
            return self._reject(NOTHING, "invalid")
        return self._target_order(self._grid.lots(q) - held, None)

    def target_percent(self, w: float, band: float | None = None) -> int:
        """S1-S3, X7: hold a share of the equity; `band` instead of the venue's over the number of assets."""
        if self._desk.closed():
            return self._closed_to(w)
        held = self._replace()
        if self.equity <= 0:
            return 0
        if not math.isfinite(w):
            return self._reject(NOTHING, "invalid")
        if band is None:
            band = self._holding.config.band / float(len(self._account.purse_of[self._holding.number].holdings))
        close, after = self._bars.c[self._last], self._last + 1
        lots = target_lots(self._account, self._holding, w, held, self.equity, close, after, self.time, slip=True)
        if w == 0:
            lots = -held
        if lots is None:
            return self._reject(NOTHING, "invalid")
        to_or_through_zero = w == 0 or (held != 0 and (held + lots) * held <= 0)
        if not to_or_through_zero and self._grid.gross(close, lots) / self.equity <= band:
            return 0
        return self._target_order(lots, w)

    def _replace(self) -> int:
        """S1, X7: an earlier target of the asset gives way, or what is left of it; H5: or it counts in what is held.

        The lots that are held.
        """
        held = self._holding.position
        for order in self._book.live():
            if not (order.live and order.from_target and order.asset == self._holding.number):
                continue
            if self._gate.is_far(order):
                held += 0 if order.called_off is not None else order.lots - order.filled
            else:
                self._gate.cancel(order, "replaced")
        return held

    def _target_order(self, lots: int, weight: float | None) -> int:
        """S6."""
        lots = self._desk.target_lots(lots)
        if lots == 0:
            return 0
        order = self._new(NOTHING)
        order.lots, order.from_target, order.weight = lots, True, weight
        self._book.add(order)
        return self._allowed(order).id

    def cancel(self, order_id: int) -> None:
        order = self._book.find(order_id)
        if order is not None:
            self._gate.cancel(order, "user")

    def cancel_all(self) -> None:
        """O9, of this asset alone."""
        self._gate.cancel_all(self._holding.number)

    def oco(self, a: int, b: int) -> None:
        self._book.link(a, b)
