"""The desk that takes orders of one asset at a decision: it judges (O5, O14, O15) and rounds (Q1-Q3) them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.reference.asks import Ask, Bracket
from tests.reference.config import Config
from tests.reference.holding import Holding
from tests.reference.market import BEYOND, Grid
from tests.reference.orders import IF_TOUCHED, TRAILING, Order
from tests.reference.quotes import crosses

LATEST = 9.2e18  # O11


def is_share(x: float) -> bool:
    """O5: a fraction between 0 and 1."""
    return 0.0 < x < 1.0


@dataclass
class Desk:
    """Nothing here changes anything but a new order that is not in the book yet."""

    holding: Holding

    @property
    def config(self) -> Config:
        """V1."""
        return self.holding.config

    @property
    def grid(self) -> Grid:
        return self.holding.grid

    @property
    def close(self) -> int:
        """`C[t]`."""
        return self.holding.bars.c[self.holding.last]

    def lots(self, q: float) -> int:
        """Q1; 0 of what cannot be counted."""
        return self.grid.lots(q) if self.grid.fits(q) else 0

    # what is written

    def closed(self) -> str:
        """X1, E4: why no order or target for the asset is taken, whatever it says, or nothing."""
        if self.holding.last < 0:
            return "unlisted"
        return "delisted" if self.holding.delisted else ""

    def fault(self, ask: Ask) -> str:
        """X1, E4, O5, O15: why an order is rejected before its numbers are rounded, or nothing."""
        if self.closed():
            return self.closed()
        if self.invalid(ask):
            return "invalid"
        if self.lots(ask.q) == 0 or (ask.display is not None and self.lots(ask.display) == 0):
            return "below_lot"
        return "off_tick" if self.off_tick(ask.limit, ask.trigger) else ""

    def bracket_fault(self, bracket: Bracket) -> str:
        """O5: a bracket is judged whole."""
        fault = self.fault(bracket.entry)
        if self.closed():
            return fault
        if self.invalid_exits(bracket):
            return "invalid"
        if not fault and self.off_tick(bracket.stop, bracket.limit):
            return "off_tick"
        return fault

    def invalid(self, ask: Ask) -> bool:
        """O5, O11, P5, F15."""
        prices = (ask.limit, ask.trigger, ask.trail)
        return (
            not self.grid.fits(ask.q)
            or any(price is not None and not self.grid.is_price(price) for price in prices)
            or (ask.share is not None and not is_share(ask.share))
            or (ask.ticks is not None and not (1.0 <= ask.ticks < BEYOND and ask.ticks == math.floor(ask.ticks)))
            or (ask.offset is not None and ask.offset != 0.0 and not self.grid.is_price(ask.offset))
            or (ask.expires is not None and not 0 < ask.expires < LATEST)
            or (ask.display is not None and not (self.grid.fits(ask.display) and ask.display > 0.0))
        )

    def invalid_exits(self, bracket: Bracket) -> bool:
        """O5; the fraction of a short's target lies below 1 too."""
        loss, profit, q = bracket.stop_loss, bracket.take_profit, bracket.entry.q
        return (
            any(price is not None and not self.grid.is_price(price) for price in (bracket.stop, bracket.limit))
            or (loss is not None and not is_share(loss))
            or (profit is not None and not (0.0 < profit <= 1e6 and (q >= 0.0 or profit < 1.0)))
        )

    def off_tick(self, *prices: float | None) -> bool:
        """O15, Q4: does the venue refuse one of these prices."""
        return self.config.off_tick == "reject" and any(price is not None and self.grid.off(price) for price in prices)

    # what is rounded

    def write(self, order: Order, ask: Ask) -> None:
        """Q3, F8, F14, F15, P5: the order's numbers, of an ask without a fault."""
        buy = order.lots > 0
        order.reduce_only, order.post_only = ask.reduce_only, ask.post_only
        if ask.expires is not None:
            order.expires = int(ask.expires)
        if ask.limit is not None:
            order.price = self.limit_ticks(ask.limit, buy)
        if ask.trigger is not None:
            order.trigger = self.trigger_ticks(ask.kind, ask.trigger, buy)
        if ask.trail is not None:
            order.trail = self.grid.ticks(ask.trail, True)
        if ask.ticks is not None:
            order.trail = int(ask.ticks)
        if ask.share is not None:
            order.fraction = ask.share
        if ask.offset is not None:
            order.offset = 0 if ask.offset == 0.0 else self.grid.ticks(ask.offset, False)
        if ask.display is not None:
            order.display = self.lots(ask.display)
        if ask.kind in TRAILING:
            order.trigger = order.level(self.grid, self.close)

    def limit_ticks(self, price: float, buy: bool) -> int:
        """Q3: against the fill."""
        return self.grid.ticks(price, not buy)

    def trigger_ticks(self, kind: str, price: float, buy: bool) -> int:
        """Q3: a stop's toward the worse price, an if-touched order's as a limit."""
        return self.limit_ticks(price, buy) if kind in IF_TOUCHED else self.grid.ticks(price, buy)

    # what the venue says to the rounded order

    def refusal(self, order: Order) -> str:
        """O15, O14: why the venue does not take an order with these numbers, or nothing."""
        if self.above_maximum(order.lots):
            return "above_maximum"
        if not order.reduce_only and self.below_minimum(order.lots, self.reference(order)):
            return "below_minimum"
        return "post_only" if order.post_only and crosses(order, self.close) else ""

    def reference(self, order: Order) -> int:
        """O15: `k`."""
        if order.kind in TRAILING:
            return self.close
        return order.price or order.trigger or self.close

    def above_maximum(self, lots: int) -> bool:
        """O15."""
        most = self.config.max_quantity
        return most is not None and float(abs(lots)) * self.grid.lot > most * 1.000000001

    def below_minimum(self, lots: int, ticks: int) -> bool:
        """O15; what closes the position is never too small."""
        if lots == -self.holding.position:
            return False
        least, worth = self.config.min_quantity, self.config.min_notional
        if least is not None and float(abs(lots)) * self.grid.lot < least * 0.999999999:
            return True
        return worth is not None and self.grid.gross(ticks, lots) < worth

    def target_lots(self, lots: int) -> int:
        """S6: what the venue takes of a target's lots, at the close."""
        if self.below_minimum(lots, self.close):
            return 0
        if not self.above_maximum(lots):
            return lots
        assert self.config.max_quantity is not None
        most = math.trunc((self.config.max_quantity * 1.000000001) / self.grid.lot)
        return most if lots > 0 else -most
