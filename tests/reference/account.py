"""Cash, position, buying power and round trips (A1-A9) with the costs of a fill (C1-C6)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tests.reference.config import Config, Model, ModelView, Record
from tests.reference.market import Bars, Grid
from tests.reference.orders import Order

SHRINKS = 64
DAY = 86_400_000_000_000


def ask(name: str, model: Model | None, view: ModelView) -> float:
    """C6: the answer of a model, 0.0 without one; an answer that is no cost is an error."""
    if model is None:
        return 0.0
    answer = model(view)
    if not math.isfinite(answer):
        raise ValueError(f"the {name} model answered {answer}, wanted a finite number: look at what it makes of {view}")
    if name == "slippage" and answer < 0.0:
        raise ValueError(f"the slippage model answered {answer}, wanted 0 or more: look at what it makes of {view}")
    return answer


@dataclass
class Account:
    """The money of one run over one asset."""

    bars: Bars
    grid: Grid
    config: Config
    cash: float
    equity: float
    position: int = 0
    fills: list[Record] = field(default_factory=list)
    trades: list[Record] = field(default_factory=list)
    open_trade: Record | None = None
    turnover_sum: float = 0.0
    fees: float = 0.0
    ruined: bool = False
    debt: float = 0.0
    maker: bool = False  # of the attempt to fill that is being made
    traded: list[tuple[int, float]] = field(default_factory=list)  # the day of each fill's bar, and its value

    def traded_before(self, now: int) -> float:
        """C3: the sum over the 30 days before the day of `now`, day by day from the oldest."""
        total = 0.0
        for day in range(now // DAY - 30, now // DAY):
            of_day = 0.0
            for when, value in self.traded:
                if when == day:
                    of_day = of_day + value
            total = total + of_day
        return total

    def view(self, order: Order, lots: int, ticks: int, bar: int, time: int) -> ModelView:
        """C3: the view of a fill of `lots` of `order` in bar `bar`."""
        grid = self.grid
        return ModelView(
            side=1.0 if lots > 0 else -1.0,
            quantity=float(abs(lots)) * grid.lot,
            price=grid.price(ticks),
            notional=grid.gross(ticks, lots),
            filled=float(abs(order.filled)) * grid.lot,
            paid=order.fees,
            volume=self.bars.mean_volume(bar),
            position=float(self.position) * grid.lot,
            equity=self.equity,
            time=time,
            maker=1.0 if self.maker else 0.0,
            tick=grid.price(1),
            volatility=self.bars.volatility(bar, grid),
            traded=self.traded_before(self.bars.open_at[bar]),
            filled_notional=order.notional,
        )

    def slipped(self, order: Order, lots: int, reference: int, bar: int, time: int) -> int:
        """C1: the reference price moved against the order."""
        s = ask("slippage", self.config.slippage, self.view(order, lots, reference, bar, time))
        if s == 0.0:
            return reference
        price = self.grid.price(reference)
        return self.grid.ticks(price * (1.0 + s), True) if lots > 0 else self.grid.ticks(price * (1.0 - s), False)

    def fee(self, order: Order, lots: int, ticks: int, bar: int, time: int) -> float:
        """C2: the fee of a fill."""
        return ask("fee", self.config.fee, self.view(order, lots, ticks, bar, time))

    def worth(self, ticks: int) -> float:
        """`cash + N(k, position)`: A2's E and A5's mark."""
        return self.cash + self.grid.notional(ticks, self.position)

    def target_lots(self, weight: float, ticks: int, bar: int, time: int, slip: bool) -> int | None:
        """S2: the lots from the position to a weight of the worth at `ticks`; `slip` reserves for slippage.

        None for more than can be counted (O5).
        """
        grid = self.grid
        price = grid.price(ticks)
        held = float(self.position)
        wanted = ((weight * self.worth(ticks)) / price) / grid.unit
        gap = wanted - held
        if abs(wanted) > abs(held) or wanted * held < 0.0:
            view = ModelView(
                side=1.0 if gap > 0.0 else -1.0,
                quantity=abs(gap) * grid.lot,
                price=price,
                notional=price * (abs(gap) * grid.unit),
                filled=0.0,
                paid=0.0,
                volume=self.bars.mean_volume(bar),
                position=held * grid.lot,
                equity=self.equity,
                time=time,
                maker=0.0,
                tick=grid.price(1),
                volatility=self.bars.volatility(bar, grid),
                traded=self.traded_before(time if slip else self.bars.open_at[bar]),
                filled_notional=0.0,
            )
            f = ask("fee", self.config.fee, view) / view.notional
            s = ask("slippage", self.config.slippage, view) if slip else 0.0
            gap = gap / ((1.0 + f) + s)
        return math.trunc(gap) if abs(gap) < 2**53 else None

    def affordable(self, order: Order, lots: int, ticks: int, bar: int, time: int) -> bool:
        """A2: is the final position within the worth left after the fee; reducing is always allowed."""
        final = self.position + lots
        if abs(final) <= abs(self.position) and final * self.position >= 0:
            return True
        return self.grid.gross(ticks, final) <= self.worth(ticks) - self.fee(order, lots, ticks, bar, time)

    def reduced(self, order: Order, lots: int, ticks: int, bar: int, time: int) -> int:
        """A3 `reduce`: the lots that cash can carry, in the order's direction."""
        direction = 1 if lots > 0 else -1
        each = self.grid.price(ticks) * self.grid.unit
        worth = self.worth(ticks)
        size = math.trunc(worth / each) if worth > 0 else 0
        size = min(size, abs(self.position + lots))
        shrinks = 0
        while size != 0:
            trial = direction * size - self.position
            if self.affordable(order, trial, ticks, bar, time):
                break
            if shrinks == SHRINKS:
                size = 0
                break
            shrinks += 1
            fee = self.fee(order, trial, ticks, bar, time)
            excess = self.grid.gross(ticks, self.position + trial) - (worth - fee)
            size = max(0, size - max(1, math.trunc(excess / each)))
        allowed = direction * size - self.position
        if self.position * direction >= 0:
            return allowed if allowed * direction > 0 else 0
        return allowed

    def book(self, order: Order, lots: int, ticks: int, reference: int, rule: str, bar: int, time: int) -> Record:
        """A1, A7, A9: cash, position, the fill record, the round trip and the traded weight of one fill."""
        fee = self.fee(order, lots, ticks, bar, time)
        grid = self.grid
        self.cash = (self.cash - grid.notional(ticks, lots)) - fee
        self.turnover_sum = self.turnover_sum + grid.gross(ticks, lots) / self.equity
        self.fees = self.fees + fee
        order.filled += lots
        order.fees = order.fees + fee
        order.notional = order.notional + grid.gross(ticks, lots)
        self.traded.append((self.bars.open_at[bar] // DAY, grid.gross(ticks, lots)))
        fill = {
            "order": order.id,
            "time": time,
            "lots": lots,
            "ticks": ticks,
            "reference": reference,
            "fee": fee,
            "slippage_cost": grid.notional(ticks, lots) - grid.notional(reference, lots),
            "rule": rule,
        }
        self.fills.append(fill)
        self.book_trade(lots, ticks, fee, time)
        return fill

    def book_trade(self, lots: int, ticks: int, fee: float, time: int) -> None:
        """A7: the round trip a fill belongs to; a fill through zero closes one and opens the next."""
        final = self.position + lots
        if self.position * final < 0:
            closing = -self.position
            closing_fee = fee * (float(abs(closing)) / float(abs(lots)))
            self.book_part(closing, ticks, closing_fee, time)
            self.book_part(lots - closing, ticks, fee - closing_fee, time)
        else:
            self.book_part(lots, ticks, fee, time)

    def book_part(self, lots: int, ticks: int, fee: float, time: int) -> None:
        """A7: a fill, or one side of a fill through zero, in the running round trip."""
        if self.open_trade is None:
            self.open_trade = {"opened": time, "closed": 0, "lots": 0, "pnl": 0.0, "fees": 0.0}
        trade = self.open_trade
        self.position += lots
        trade["lots"] = max(trade["lots"], abs(self.position))
        trade["pnl"] = (trade["pnl"] - self.grid.notional(ticks, lots)) - fee
        trade["fees"] = trade["fees"] + fee
        if self.position == 0:
            trade["closed"] = time
            self.trades.append(trade)
            self.open_trade = None

    def mark(self, close: int, time: int) -> bool:
        """A5, A6: mark at the close; True when the account is ruined by it, which ends its round trip there."""
        self.equity = self.worth(close)
        if self.equity > 0.0:
            return False
        if self.position != 0:
            self.book_part(-self.position, close, 0.0, time)
        self.debt = -self.equity
        self.cash = self.equity = 0.0
        self.ruined = True
        return True
