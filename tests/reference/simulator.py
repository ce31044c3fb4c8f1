"""The loop over the bars (T1-T5)."""

from __future__ import annotations

import math
from collections.abc import Callable

from tests.reference.account import Account
from tests.reference.config import Config, Outcome
from tests.reference.fills import Matcher
from tests.reference.market import Bars, Grid
from tests.reference.metrics import Track, blocks, fold, headline, leaves
from tests.reference.orders import Book
from tests.reference.view import View


def simulate(bars: Bars, grid: Grid, config: Config, decide: Callable[[View], object]) -> Outcome:
    """Run one strategy over the bars `trade_from <= t < end`."""
    end = len(bars) if config.end is None else config.end
    if not 0 <= config.trade_from < end <= len(bars):
        raise ValueError(f"the span {config.trade_from}..{end} does not lie within {len(bars)} bars or is empty")
    if config.participation is not None and any(math.isnan(volume) for volume in bars.v[config.trade_from : end]):  # P1
        raise ValueError("a bar of the span has no known volume, wanted one in each bar with Config.participation")
    account = Account(bars, grid, config, cash=config.cash, equity=config.cash)
    book = Book()
    matcher = Matcher(bars, grid, config, account, book)
    outcome = Outcome()
    held: list[bool] = []
    active: list[bool] = []
    for t in range(config.trade_from, end):
        fills_before = len(account.fills)
        if account.ruined:
            held.append(False)
        else:
            matcher.match(t, last=t == end - 1)
            held.append(account.position != 0)
            if account.mark(bars.c[t], bars.known_at[t]):
                book.end_all("ruin", bars.known_at[t])
        active.append(held[-1] or len(account.fills) > fills_before)
        outcome.equity.append(account.equity)
        outcome.cash.append(account.cash)
        outcome.position.append(account.position)
        closing = t == end - 1 and config.close_out != "none"
        if not account.ruined and not closing:
            decide(View(bars, account, book, t))
    book.end_all("end_of_data", bars.known_at[end - 1])
    span = slice(config.trade_from, end)
    close = [grid.price(ticks) for ticks in bars.c[span]]
    track = Track(bars.session[span], bars.known_at[span], outcome.equity, close, held, active, config.cash)
    outcome.k, outcome.blocks = blocks(leaves(track))
    outcome.metrics = headline(track, fold(outcome.blocks), account, config.periods_per_year)
    outcome.fills, outcome.trades = account.fills, account.trades
    outcome.orders = [order.record() for order in book.orders]
    return outcome
