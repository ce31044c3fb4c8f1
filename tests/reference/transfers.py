"""Money between the accounts of several venues (V5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.reference.account import Fund
    from tests.reference.purse import Purse

MOST = 64  # under way


@dataclass(frozen=True)
class Ways:
    """How long money takes from one venue (row) to another, in ns, and what each sender pays."""

    delay: Sequence[Sequence[int]]
    fee: Sequence[float]


@dataclass
class Sent:
    """An amount that is due at a time, for the account of asset `target`; the fee until it counts."""

    amount: float
    due: int
    target: int
    fee: float


@dataclass
class Transfers:
    """Takes money from one account, and brings it to another."""

    account: Fund
    ways: Ways

    def send(self, amount: float, source: int, target: int, time: int) -> float:
        """What is sent at a decision, 0.0 for nothing."""
        sender, receiver = self.account.purse_of[source], self.account.purse_of[target]
        fee = self.ways.fee[self.place(source)]
        if sender is receiver or not amount > 0.0:
            return 0.0
        sent = min(amount, self.free(sender))
        if not sent > fee:
            return 0.0
        if len(self.account.under_way) == MOST:
            raise ValueError(f"{MOST} transfers are under way: send less at one time")
        sender.cash = sender.cash - sent
        sender.left = sender.left - sent
        self.account.note(time, "transfer", source, 0, -sent)
        due = time + self.ways.delay[self.place(source)][self.place(target)]
        self.account.under_way.append(Sent(sent - fee, due, target, fee))
        return sent

    def place(self, asset: int) -> int:
        """The venue of an asset."""
        return self.account.holdings[asset].venue

    def free(self, purse: Purse) -> float:
        """What does not back a position; L7: nor is at stake."""
        if purse.config.isolated:
            return min(purse.cash, purse.cash + purse.unbound(purse.held()))
        gross = 0.0
        for holding in purse.held():
            gross = gross + holding.grid.gross(holding.close, holding.position) * purse.config.initial
        return min(purse.cash, purse.left - gross)

    def arrive(self, open_at: int) -> None:
        """Before anything else of a bar, in the order of sending."""
        account = self.account
        for sent in account.under_way:
            account.fees, sent.fee = account.fees + sent.fee, 0.0
        for sent in [sent for sent in account.under_way if sent.due <= open_at]:
            purse = account.purse_of[sent.target]
            purse.cash = purse.cash + sent.amount
            account.note(open_at, "transfer", sent.target, 0, sent.amount)
        account.under_way = [sent for sent in account.under_way if sent.due > open_at]
