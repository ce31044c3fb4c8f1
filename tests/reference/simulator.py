"""The loop over the bars (T1-T5) for an account of any number of assets, and the simulator of one asset."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tests.reference.account import Account
from tests.reference.actions import Action, Schedule, schedule
from tests.reference.config import Config, Outcome
from tests.reference.fills import Matcher
from tests.reference.finer import FinerMatcher
from tests.reference.holders import Steps, steps
from tests.reference.ledger import Ledger
from tests.reference.market import Bars, Clock, Grid
from tests.reference.metrics import Track, blocks, fold, headline, leaves
from tests.reference.orders import Book
from tests.reference.venue import Venue
from tests.reference.view import View

ID_LIMIT, ID_LIMIT_EACH = 60, 4  # O4, X7: 64 ids for one asset


def span(clock: Clock, config: Config) -> tuple[int, int]:
    """T4: the first bar of the account and the first after it."""
    end = len(clock) if config.end is None else config.end
    if not 0 <= config.trade_from < end <= len(clock):
        raise ValueError(f"the span {config.trade_from}..{end} does not lie within {len(clock)} bars or is empty")
    return config.trade_from, end


def run(
    venue: Venue, decide: Callable[[int], object], plan: Schedule, benchmark: Sequence[float], changes: Steps
) -> Outcome:
    """Run the account over the bars `trade_from <= t < end` of its clock, on which `benchmark` has its prices.

    `changes` are those of the benchmark's price before (E8). `position` of the outcome has one list per asset.
    """
    clock, config, account, book = venue.clock, venue.config, venue.account, venue.book
    start, end = span(clock, config)
    for holding in account.holdings:
        volumes = [holding.bars.v[row] for row in holding.rows[start:end] if row >= 0]
        if holding.config.participation is not None and any(math.isnan(volume) for volume in volumes):  # P1
            raise ValueError("a bar of the span has no known volume, wanted one in each bar with Config.participation")
    venue.ledger = Ledger(clock, config, account, book, plan, start)
    cash0 = account.cash
    outcome = Outcome(position=[[] for _ in account.holdings])
    held: list[bool] = []
    active: list[bool] = []
    for t in range(start, end):
        fills_before = len(account.fills)
        if account.ruined:
            held.append(False)
        else:
            venue.match(t, last=t == end - 1)
            venue.mark(t)
            held.append(account.held() != [])
            if account.ruin(clock.known_at[t]):
                book.end_all("ruin", clock.known_at[t])
        active.append(held[-1] or len(account.fills) > fills_before)
        outcome.equity.append(account.equity)
        outcome.cash.append(account.cash)
        for holding in account.holdings:
            outcome.position[holding.number].append(holding.position)
        closing = t == end - 1 and config.close_out != "none"
        if not account.ruined and not closing:
            for purse in account.purses:
                purse.left = purse.equity
            book.begin_decision(ID_LIMIT + ID_LIMIT_EACH * len(account.holdings))
            decide(t)
    book.end_all("end_of_data", clock.known_at[end - 1])
    bars = slice(start, end)
    track = Track(clock.session[bars], clock.known_at[bars], outcome.equity, benchmark, held, active, cash0, changes)
    outcome.k, outcome.blocks = blocks(leaves(track))
    outcome.metrics = headline(track, fold(outcome.blocks), account, config.periods_per_year)
    outcome.fills, outcome.trades, outcome.actions = account.fills, account.trades, account.actions
    outcome.compliance = account.compliance.rows
    outcome.untold = book.happened
    outcome.orders = [order.record() for order in book.orders]
    outcome.lives = book.lives.rows()
    return outcome


def simulate(
    bars: Bars,
    grid: Grid,
    config: Config,
    decide: Callable[[View], object],
    actions: Sequence[Action] = (),
    finer: Bars | None = None,
) -> Outcome:
    """Run one strategy over one asset, whose bars are the clock; its records, but `actions`, do not name the asset.

    `finer` are the bars in which `path = finer` matches (F16).
    """
    if (finer is None) == (config.path == "finer"):
        raise ValueError(f"Config.path is {config.path!r}, wanted finer with finer bars, and these with it")
    config.check_path()
    if not (callable(config.borrow) or isinstance(config.borrow, int | float)):
        raise ValueError("Config.borrow is a list, wanted one rate for one asset")
    account = Account(bars, grid, config, cash=config.cash, equity=config.cash)
    venue = Matcher(bars, grid, config, account, Book())
    if finer is not None:
        venue = FinerMatcher(bars, finer, grid, config, account, Book())
    start, end = span(venue.clock, config)

    def call(t: int) -> None:
        decide(View(account.holdings[0], account, venue.book, t, bars.known_at[t]))

    plan = schedule(actions, venue.clock, account.holdings)
    benchmark = [grid.price(ticks) for ticks in bars.c[start:end]]
    outcome = run(venue, call, plan, benchmark, steps(account.holdings[0], plan, start, end))
    outcome.position = outcome.position[0]
    for record in outcome.fills + outcome.orders + outcome.trades + outcome.compliance:
        del record["asset"]
    return outcome
