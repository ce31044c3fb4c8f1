"""What a strategy sees and may do at a decision (T1, O4, O5, O9, S1-S4)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.reference.account import Fund
from tests.reference.holding import Holding
from tests.reference.market import Grid
from tests.reference.orders import Book, Order

TIFS = ("GTC", "DAY", "IOC", "FOK")


class View:
    """One asset as the strategy sees it after the mark of bar `i` of the clock; offsets into the past are 0, -1 ..."""

    def __init__(self, holding: Holding, account: Fund, book: Book, i: int, time: int) -> None:
        self._holding, self._account, self._book = holding, account, book
        self._bars = holding.bars
        self._grid: Grid = holding.grid
        self._last = holding.last
        self.i = i
        self.time = time
        self.tradable = holding.has_bar
        self.lots = holding.position
        self.position = float(holding.position) * holding.grid.lot
        self.cash = account.cash
        self.equity = account.equity

    def _past(self, values: Sequence[int], offset: int) -> float:
        if offset > 0:
            raise ValueError(f"offset is {offset}, wanted 0 or less: later bars are not known yet")
        return self._grid.price(values[self._last + offset]) if self._last + offset >= 0 else math.nan

    def open(self, offset: int = 0) -> float:
        return self._past(self._bars.o, offset)

    def high(self, offset: int = 0) -> float:
        return self._past(self._bars.h, offset)

    def low(self, offset: int = 0) -> float:
        return self._past(self._bars.l, offset)

    def close(self, offset: int = 0) -> float:
        return self._past(self._bars.c, offset)

    def orders(self) -> list[int]:
        """Ids of the live orders of the asset."""
        return [order.id for order in self._book.live() if order.asset == self._holding.number]

    def _new(self, kind: str, tif: str, lots: int) -> Order:
        if tif not in TIFS:
            raise ValueError(f"tif is {tif!r}, wanted one of {', '.join(TIFS)}")
        return Order(self._book.submit_id(), kind, tif, lots, self.time, asset=self._holding.number)

    @property
    def _unlisted(self) -> bool:
        """X1: the asset has no bar yet, so that its orders are rejected before anything else is judged."""
        return self._last < 0

    def _reject(self, order: Order, reason: str) -> int:
        self._book.add(order)
        self._book.end(order, "rejected", reason, self.time)
        return order.id

    def _fault(
        self, q: float, prices: Sequence[float | None], fraction: float | None, take_profit: float | None = None
    ) -> str:
        """O5, X1: why the order is rejected, or nothing; `fraction` is a stop's, which lies below 1 on both sides."""
        if self._unlisted:
            return "unlisted"
        if not self._grid.fits(q):
            return "invalid"
        if any(price is not None and not self._grid.is_price(price) for price in prices):
            return "invalid"
        if fraction is not None and not 0.0 < fraction < 1.0:
            return "invalid"
        if take_profit is not None and not 0.0 < take_profit < (1.0 if q < 0.0 else math.inf):
            return "invalid"
        return "" if self._grid.lots(q) != 0 else "below_lot"

    def _submit(self, kind: str, q: float, tif: str, **prices: float | None) -> int:
        """O5, Q3: judge and round one order."""
        fraction = prices.pop("fraction", None)
        fault = self._fault(q, list(prices.values()), fraction)
        order = self._new(kind, tif, self._grid.lots(q) if self._grid.fits(q) else 0)
        if fault:
            return self._reject(order, fault)
        buy = order.lots > 0
        limit, stop, trail = prices.get("limit"), prices.get("stop"), prices.get("trail")
        if limit is not None:
            order.price = self._grid.ticks(limit, not buy)
        if stop is not None:
            order.trigger = self._grid.ticks(stop, buy)
        if trail is not None:
            order.trail = self._grid.ticks(trail, True)
        if fraction is not None:
            order.fraction = fraction
        if kind == "trailing_stop":
            order.trigger = order.level(self._grid, self._bars.c[self._last])
        return self._book.add(order)

    def order(self, q: float, tif: str = "GTC") -> int:
        """A market order, positive to buy."""
        return self._submit("market", q, tif)

    def buy(self, q: float, tif: str = "GTC") -> int:
        return self.order(q, tif)

    def sell(self, q: float, tif: str = "GTC") -> int:
        return self.order(-q, tif)

    def limit(self, q: float, price: float, tif: str = "GTC") -> int:
        return self._submit("limit", q, tif, limit=price)

    def stop(self, q: float, price: float, tif: str = "GTC") -> int:
        return self._submit("stop", q, tif, stop=price)

    def stop_limit(self, q: float, stop: float, limit: float, tif: str = "GTC") -> int:
        return self._submit("stop_limit", q, tif, stop=stop, limit=limit)

    def trailing_stop(
        self, q: float, trail: float | None = None, fraction: float | None = None, tif: str = "GTC"
    ) -> int:
        if (trail is None) == (fraction is None):
            raise ValueError("a trailing stop needs either trail or fraction, not both")
        return self._submit("trailing_stop", q, tif, trail=trail, fraction=fraction)

    def bracket(
        self,
        q: float,
        stop: float | None = None,
        limit: float | None = None,
        stop_loss: float | None = None,
        take_profit: float | None = None,
        entry: float | None = None,
        tif: str = "GTC",
    ) -> int:
        """An entry (a market order, or a limit at `entry`) with up to two reduce-only exits that end each other."""
        if (stop is not None and stop_loss is not None) or (limit is not None and take_profit is not None):
            raise ValueError("an exit is given as a price or as a fraction, not as both")
        fault = self._fault(q, (stop, limit, entry), stop_loss, take_profit)
        parent = self._new("market" if entry is None else "limit", tif, self._grid.lots(q) if self._grid.fits(q) else 0)
        if fault:
            return self._reject(parent, fault)
        buy = parent.lots > 0
        if entry is not None:
            parent.price = self._grid.ticks(entry, not buy)
        self._book.add(parent)
        stop_id, limit_id = self._book.next_id(), self._book.next_id()
        exits = []
        if stop is not None or stop_loss is not None:
            exits.append(self._exit(parent, stop_id, "stop", stop_loss))
            exits[-1].trigger = self._grid.ticks(stop, not buy) if stop is not None else 0
        if limit is not None or take_profit is not None:
            exits.append(self._exit(parent, limit_id, "limit", take_profit))
            exits[-1].price = self._grid.ticks(limit, buy) if limit is not None else 0
        if len(exits) == 2:
            exits[0].group = exits[1].group = stop_id
        return parent.id

    def _exit(self, parent: Order, order_id: int, kind: str, fraction: float | None) -> Order:
        order = Order(order_id, kind, "GTC", -parent.lots, self.time, asset=parent.asset, parent=parent.id)
        order.reduce_only, order.active = True, False
        order.anchor = fraction
        self._book.add(order)
        return order

    def target(self, q: float) -> int:
        """S4: hold a quantity."""
        if self._unlisted:
            return self._reject(self._new("market", "GTC", 0), "unlisted")
        self._replace()
        if not self._grid.fits(q):
            return self._reject(self._new("market", "GTC", 0), "invalid")
        return self._target_order(self._grid.lots(q) - self._holding.position, None)

    def target_percent(self, w: float, band: float | None = None) -> int:
        """S1-S3, X7: hold a share of the equity; `band` instead of the venue's over the number of assets."""
        if self._unlisted:
            return self._reject(self._new("market", "GTC", 0), "unlisted")
        self._replace()
        if not math.isfinite(w):
            return self._reject(self._new("market", "GTC", 0), "invalid")
        if self.equity <= 0:
            return 0
        if band is None:
            band = self._account.config.band / float(len(self._account.holdings))
        held, close, after = self._holding.position, self._bars.c[self._last], self._last + 1
        lots = self._account.target_lots(self._holding, w, self.equity, close, after, self.time, slip=True)
        if w == 0:
            lots = -held
        if lots is None:
            return self._reject(self._new("market", "GTC", 0), "invalid")
        to_or_through_zero = w == 0 or (held != 0 and (held + lots) * held <= 0)
        if not to_or_through_zero and self._grid.gross(close, lots) / self.equity <= band:
            return 0
        return self._target_order(lots, w)

    def _replace(self) -> None:
        """S1, X7: an earlier target of the asset gives way, or what is left of it."""
        for order in self._book.live():
            if order.live and order.from_target and order.asset == self._holding.number:
                self._book.end(order, "cancelled", "replaced", self.time)

    def _target_order(self, lots: int, weight: float | None) -> int:
        if lots == 0:
            return 0
        order = self._new("market", "GTC", lots)
        order.from_target, order.weight = True, weight
        return self._book.add(order)

    def cancel(self, order_id: int) -> None:
        order = self._book.find(order_id)
        if order is not None:
            self._book.end(order, "cancelled", "user", self.time)

    def cancel_all(self) -> None:
        """O9, of this asset alone."""
        self._book.end_all("user", self.time, self._holding.number)

    def oco(self, a: int, b: int) -> None:
        self._book.link(a, b)
