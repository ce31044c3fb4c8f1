"""A trial that has no end yet: its recipe, and the bars as it reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.agenda import with_agenda
from kernelkit.binding import kind_of, param_words
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Costs, Homes, Job, Table
from kernelkit.kernels.plan import Plan
from kernelkit.kernels.session import ENDLESS, Session
from kernelkit.market.account import Account
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts, holders
from kernelkit.market.terms import check_steps, check_volumes, hours_of, venues_of
from kernelkit.recipe import (
    Recipe,
    asked_of,
    asset_names,
    calls_of,
    check_transfers,
    check_vwap,
    clock_moments,
    first_call,
    most_closed,
    own_state,
    span,
)
from kernelkit.strategy import Strategy
from kernelkit.table import check_sizes, clock_of, first_ready, panel_of

if TYPE_CHECKING:
    import xarray as xr


def session_of(recipe: Recipe, state: np.ndarray | None) -> Session:
    """A session over the recipe's bars, taken up at a state block."""
    session = Session(recipe.job)
    if state is not None:
        session.restore(state)
    return session


@dataclass(frozen=True)
class Laid:
    """Bars as a trial without an end reads them, and where it begins: at a bar that may not have come yet."""

    tables: list[Table]
    places: list[np.ndarray]
    last_bars: np.ndarray | None
    hours: dict[str, np.ndarray]
    begin: int
    called: np.ndarray | None

    def onto(self, job: Job) -> Job:
        """The job, of one trial, over these bars."""
        trials = job.trials.copy()
        trials["trade_from"] = self.begin
        more: dict[str, Any] = {"bars": self.last_bars, "hours": self.hours, "called": self.called}
        return replace(job, tables=self.tables, trials=trials, **more)


def lay(
    bars: xr.Dataset,
    plan: Plan,
    venues: Sequence[Costs],
    account: Account | Accounts,
    homes: Homes | None,
    begin: int,
    waits: Sequence[int],
    called: np.ndarray | None,
) -> Laid:
    """Lay bars out for a trial that begins at bar ``begin``, or when what it waits for has come (W7, X9)."""
    panel = panel_of(bars, plan.features, None, *asked_of(plan))
    tables = panel.tables
    if called is not None:
        called = calls_of(panel, called, waits)
        begin = max(begin, first_call(panel, called, begin))
    else:
        begin = max(begin, first_ready(panel, waits) if plan.shared else tables[0].ready(waits))
    if plan.shared:
        tables = [clock_of(panel, bars, min(begin, panel.n - 1), clock_moments(plan)), *tables]
    tables = with_agenda(bars, tables, panel.places, holders(account, homes, len(panel.tables)), plan.shared, homes)
    last_bars = panel.last_bars if plan.shared else None
    return Laid(tables, panel.places, last_bars, hours_of(venues, tables), begin, called)


def one_recipe(
    bars: xr.Dataset,
    strategy: Strategy,
    scalars: dict[str, Any],
    start: Any,
    settings: Settings,
    types: Mapping[str, type] | None = None,
) -> Recipe:
    """The recipe of a single trial that has no end yet; ``types`` are those of its parameters, from their values."""
    types = types or {n: kind_of(n, [scalars[n]], d) for n, d in strategy.defaults.items()}
    program = strategy.program(types, {n: v for n, v in scalars.items() if isinstance(v, str)})
    plan, names = program.plan, asset_names(bars)
    panel = panel_of(bars, plan.features, None, *asked_of(plan))
    homes = settings.homes(names) if plan.shared else None
    venues = venues_of(settings, names, plan.shared)
    check_transfers(program, homes)
    check_steps(settings, panel.tables, names)
    check_volumes(venues, homes, panel.tables, names)
    check_vwap([settings.fill_model], panel.tables, names)
    check_sizes(plan, panel.tables)
    settings.check(plan.shared)
    rows = np.arange(panel.n) if plan.shared else panel.places[0]
    first, need = int(np.searchsorted(rows, span(bars, start, None)[0])), strategy.bars_needed(program, scalars)
    waits = most_closed(strategy, program, [scalars])
    called = np.full(len(names), need) if plan.by_asset else None
    account: Any = settings.account if plan.shared else settings.accounts(names)[0]
    laid = lay(bars, plan, venues, account, homes, first if plan.by_asset else max(first, need), waits, called)
    trials = np.zeros(1, L.TRIAL)
    trials[0] = (0, laid.begin, ENDLESS, 0, 0, 0, account.cash)
    job = Job(
        program.text,
        plan,
        laid.tables,
        venues,
        [settings.fill_model.codes()],
        trials,
        param_words(program, [()], [], scalars),
        True,
        own_state(strategy, program),
        waits=waits,
        homes=homes,
    )
    return recipe_of(bars, strategy, laid.onto(job), laid, scalars, account)


def recipe_of(
    bars: xr.Dataset, strategy: Strategy, job: Job, laid: Laid, bound: dict[str, Any], account: Account | Accounts
) -> Recipe:
    """The recipe of a trial that has no end yet."""
    stop = bars.sizes["time"] if job.plan.shared else int(laid.places[0][-1]) + 1
    begin, cell = min(laid.begin, stop - 1), np.zeros((), "i8")
    return Recipe(bars, strategy, job, {}, asset_names(bars), laid.places, cell, begin, stop, bound, account=account)
