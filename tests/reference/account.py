"""Cash, positions, buying power and round trips (A1-A9, X3, X6) with the costs of a fill (C1-C6)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tests.reference.compliance import Compliance
from tests.reference.config import Config, ModelView, Record
from tests.reference.costs import ask
from tests.reference.holding import Holding
from tests.reference.market import Bars, Grid
from tests.reference.orders import Order
from tests.reference.purse import Purse, share, whole
from tests.reference.transfers import Sent

SHRINKS = 64
DAY = 86_400_000_000_000


@dataclass
class Fund:
    """The money of one run over its assets, in column order."""

    holdings: list[Holding]
    config: Config
    purses: list[Purse]  # V3: one, or one for each venue
    fills: list[Record] = field(default_factory=list)
    trades: list[Record] = field(default_factory=list)
    actions: list[Record] = field(default_factory=list)
    compliance: Compliance = field(default_factory=Compliance)
    turnover_sum: float = 0.0
    fees: float = 0.0
    ruined: bool = False
    debt: float = 0.0
    maker: bool = False  # of the attempt to fill that is being made
    under_way: list[Sent] = field(default_factory=list)  # V5, in the order of sending
    traded: list[tuple[int, int, float]] = field(default_factory=list)  # where, the day of a fill's bar, its value

    def __post_init__(self) -> None:
        self.purse_of = {holding.number: purse for purse in self.purses for holding in purse.holdings}
        self.last_mark = self.equity

    @property
    def cash(self) -> float:
        """V3: of the whole."""
        return whole([purse.cash for purse in self.purses])

    @property
    def equity(self) -> float:
        """V3: of the whole, as last marked, with what is under way."""
        return whole([purse.equity for purse in self.purses] + [sent.amount for sent in self.under_way])

    def traded_before(self, now: int, venue: int) -> float:
        """C3, V1: the sum over the 30 days before the day of `now`, day by day from the oldest."""
        total = 0.0
        for day in range(now // DAY - 30, now // DAY):
            of_day = 0.0
            for where, when, value in self.traded:
                if where == venue and when == day:
                    of_day = of_day + value
            total = total + of_day
        return total

    def of(self, order: Order) -> Holding:
        """The asset of an order."""
        return self.holdings[order.asset]

    def held(self) -> list[Holding]:
        """The assets held, in column order."""
        return [holding for holding in self.holdings if holding.position != 0]

    def stand_at(self, t: int) -> None:
        """X1, X6: the clock is at bar `t`: each asset's last bar, and V and G as no fill has changed them yet."""
        for holding in self.holdings:
            holding.stand_at(t)
        for purse in self.purses:
            purse.count()

    def end_bar(self) -> None:
        """X6: from F10's late pass on the bar is over."""
        for holding in self.holdings:
            holding.over = True
        for purse in self.purses:
            purse.count()

    def view(self, order: Order, lots: int, ticks: int, time: int) -> ModelView:
        """C3: the view of a fill of `lots` of `order` in the bar that its asset stands at."""
        holding = self.of(order)
        grid = holding.grid
        return ModelView(
            side=1.0 if lots > 0 else -1.0,
            quantity=float(abs(lots)) * grid.lot,
            price=grid.price(ticks),
            notional=grid.gross(ticks, lots),
            filled=float(abs(order.filled)) * grid.lot,
            paid=order.fees,
            volume=holding.own.mean_volume(holding.own_last),
            position=float(holding.position) * grid.lot,
            equity=self.purse_of[order.asset].equity,
            time=time,
            maker=1.0 if self.maker else 0.0,
            tick=grid.price(1),
            volatility=holding.own.volatility(holding.own_last, grid),
            traded=self.traded_before(holding.bars.open_at[holding.last], holding.venue),
            filled_notional=order.notional,
        )

    def slipped(self, order: Order, lots: int, reference: int, time: int) -> int:
        """C1: the reference price moved against the order."""
        s = ask("slippage", self.of(order).config.slippage, self.view(order, lots, reference, time))
        if s == 0.0:
            return reference
        grid = self.of(order).grid
        price = grid.price(reference)
        return grid.ticks(price * (1.0 + s), True) if lots > 0 else grid.ticks(price * (1.0 - s), False)

    def fee(self, order: Order, lots: int, ticks: int, time: int) -> float:
        """C2: the fee of a fill."""
        return ask("fee", self.of(order).config.fee, self.view(order, lots, ticks, time))

    def affordable(self, order: Order, lots: int, ticks: int, time: int) -> bool:
        """A2, X6, L1: is the final position within the power left after the fee; reducing is always allowed."""
        holding, purse = self.of(order), self.purse_of[order.asset]
        if holding.reduces(lots):
            return True
        gross = holding.grid.gross(ticks, holding.position + lots)
        asked = gross * purse.config.initial
        return asked <= purse.power(holding, ticks) - self.fee(order, lots, ticks, time)

    def reduced(self, order: Order, lots: int, ticks: int, time: int) -> int:
        """A3 `reduce`, X6, L1: the lots that cash can carry, in the order's direction."""
        holding, purse = self.of(order), self.purse_of[order.asset]
        grid, position, initial = holding.grid, holding.position, purse.config.initial
        direction = 1 if lots > 0 else -1
        each = (abs(grid.worth(ticks)) * grid.unit) * initial
        power = purse.power(holding, ticks)
        size = math.trunc(power / each) if power > 0 else 0
        size = min(size, abs(position + lots))
        shrinks = 0
        while size != 0:
            trial = direction * size - position
            if self.affordable(order, trial, ticks, time):
                break
            if shrinks == SHRINKS:
                size = 0
                break
            shrinks += 1
            fee = self.fee(order, trial, ticks, time)
            asked = grid.gross(ticks, position + trial) * initial
            excess = asked - (power - fee)
            size = max(0, size - max(1, math.trunc(excess / each)))
        allowed = direction * size - position
        if position * direction >= 0:
            return allowed if allowed * direction > 0 else 0
        return allowed

    def book(self, order: Order, lots: int, ticks: int, reference: int, rule: str, time: int) -> Record:
        """A1, A7, A9, X6: cash, position, V and G, the fill record, the round trip and the traded weight of a fill."""
        holding, purse = self.of(order), self.purse_of[order.asset]
        grid = holding.grid
        fee = self.fee(order, lots, ticks, time)
        if order.liquidates:  # L5
            fee = fee + purse.config.margin_fee * grid.gross(ticks, lots)
        purse.cash = (purse.cash - grid.notional(ticks, lots)) - fee
        gross = grid.gross(ticks, lots)
        self.turnover_sum = self.turnover_sum + gross / self.last_mark
        weight, session = share(gross, purse.equity), holding.bars.session[holding.last]
        purse.tally.count(holding.number, session, holding.position, lots, weight)
        self.fees = self.fees + fee
        order.filled += lots
        order.fees = order.fees + fee
        order.notional = order.notional + grid.gross(ticks, lots)
        self.traded.append((holding.venue, holding.bars.open_at[holding.last] // DAY, grid.gross(ticks, lots)))
        fill = {
            "order": order.id,
            "asset": holding.number,
            "time": time,
            "lots": lots,
            "ticks": ticks,
            "reference": reference,
            "fee": fee,
            "slippage_cost": grid.notional(ticks, lots) - grid.notional(reference, lots),
            "rule": rule,
        }
        self.fills.append(fill)
        other_value, other_gross = purse.value - holding.value(), purse.gross - holding.gross()
        holding.count_cost(ticks, lots, purse.config.initial)
        self.book_trade(holding, lots, ticks, fee, time)
        purse.value, purse.gross = other_value + holding.value(), other_gross + holding.gross()
        return fill

    def book_trade(self, holding: Holding, lots: int, ticks: int, fee: float, time: int) -> None:
        """A7: the round trip a fill belongs to; a fill through zero closes one and opens the next."""
        final = holding.position + lots
        if holding.position * final < 0:
            closing = -holding.position
            closing_fee = fee * (float(abs(closing)) / float(abs(lots)))
            self.book_part(holding, closing, ticks, closing_fee, time)
            self.book_part(holding, lots - closing, ticks, fee - closing_fee, time)
        else:
            self.book_part(holding, lots, ticks, fee, time)

    def book_part(self, holding: Holding, lots: int, ticks: int, fee: float, time: int) -> None:
        """A7: a fill, or one side of a fill through zero, in the running round trip of its asset."""
        if holding.open_trade is None:
            holding.open_trade = {"opened": time, "closed": 0, "lots": 0, "pnl": 0.0, "fees": 0.0}
            holding.open_trade["asset"] = holding.number
        trade = holding.open_trade
        holding.position += lots
        trade["lots"] = max(trade["lots"], abs(holding.position))
        trade["pnl"] = (trade["pnl"] - holding.grid.notional(ticks, lots)) - fee
        trade["fees"] = trade["fees"] + fee
        if holding.position == 0:
            self.end_trade(holding, time)

    def end_trade(self, holding: Holding, time: int) -> None:
        """A7: the round trip of an asset ends."""
        assert holding.open_trade is not None
        holding.open_trade["closed"] = time
        self.trades.append(holding.open_trade)
        holding.open_trade = None

    def note(self, time: int, kind: str, asset: int, position: int, amount: float) -> None:
        """The record of an amount or a change besides fills; an amount of 0.0 is none, but for what changes lots."""
        if amount != 0.0 or kind in ("split", "delisting"):
            record = {"time": time, "kind": kind, "asset": asset, "position": position, "amount": amount}
            self.actions.append(record)

    def mark(self) -> None:
        """A5: what the whole is worth is what its fills are measured by until the next mark (A9)."""
        for purse in self.purses:
            purse.mark()
        self.marked()

    def marked(self) -> None:
        """A9."""
        self.last_mark = self.equity

    def close(self, purse: Purse, time: int) -> None:
        """A6, V4: its round trips end at the mark."""
        for holding in purse.held():
            self.book_part(holding, -holding.position, holding.close, 0.0, time)
            holding.basis = holding.stake = 0.0  # L4

    def ruin(self, time: int) -> bool:
        """A6: True when the mark ruins the account, which ends its round trips there."""
        if self.equity > 0.0:
            return False
        for holding in self.held():
            self.book_part(holding, -holding.position, holding.close, 0.0, time)
        self.debt = -self.equity
        for purse in self.purses:
            purse.cash = purse.equity = 0.0
        self.under_way, self.ruined = [], True
        return True


class Account(Fund):
    """The money of one run over one asset, which has a bar wherever its clock has one."""

    def __init__(self, bars: Bars, grid: Grid, config: Config, cash: float, equity: float, position: int = 0) -> None:
        holdings = [Holding(0, bars, grid, range(len(bars)), position, config)]
        super().__init__(holdings, config, [Purse(holdings, config, cash, equity)])

    @property
    def position(self) -> int:
        return self.holdings[0].position
