"""Bars whose orders are matched in the finer bars that they are made of (F16)."""

from __future__ import annotations

from tests.reference.account import Account
from tests.reference.actions import Action
from tests.reference.config import Config
from tests.reference.fills import Matcher
from tests.reference.market import Bars, Grid
from tests.reference.orders import Book


class FinerMatcher(Matcher):
    """Matches in finer bars; decisions, close-out and marks are of the account's own."""

    def __init__(self, bars: Bars, finer: Bars, grid: Grid, config: Config, account: Account, book: Book) -> None:
        super().__init__(bars, grid, config, account, book)
        self.finer, self.within = finer, []
        for t in range(len(bars)):
            inside = [u for u in range(len(finer)) if bars.open_at[t] <= finer.open_at[u] < bars.known_at[t]]
            if not inside and bars.v[t] != 0.0 and t > config.trade_from:
                raise ValueError(f"bar {t} has a volume of {bars.v[t]} and no finer bars, wanted some, or no volume")
            self.within.append(inside)

    def match(self, t: int, last: bool) -> None:
        """F16: all before the close-out for each finer bar in turn."""
        self.begin(t)
        assert self.ledger is not None
        due = list(self.ledger.schedule.within[t])
        for u in self.within[t]:
            while due and due[0].time <= self.finer.open_at[u]:
                self.fund(due.pop(0), t, u)
            self.holding.stand_in(self.finer, u, self.closes_session(t, u))
            self.account.purses[0].count()
            self.match_bar(self.finer.open_at[u], self.finer.known_at[u], self.finer.session[u], lambda: True)
        self.account.stand_at(t)
        for action in due:
            self.ledger.take(action, t, action.time)
        self.finish(t, last)

    def closes_session(self, t: int, u: int) -> bool:
        """O12: is it the last finer bar of one that is known when its session closes, or later."""
        bars = self.holding.own
        return bars.closes is not None and u == self.within[t][-1] and bars.known_at[t] >= bars.closes[t]

    def fund(self, action: Action, t: int, u: int) -> None:
        """E5: before finer bar `u`, without a mark at the close of the one before that in the bar."""
        assert self.ledger is not None
        first = u == self.within[t][0]
        before = None if first else self.holding.grid.price(self.finer.c[u - 1])
        self.ledger.take(action, t, action.time, before)
