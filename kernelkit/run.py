"""A backtest that goes on: start it, feed it bars as they come, save it, resume it in another process.

The bits are those of one whole run.
"""

from __future__ import annotations

import json
import os
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from kernelkit import ledger, saved
from kernelkit.agenda import with_agenda
from kernelkit.binding import bind, kind_of, param_words
from kernelkit.data import append, store
from kernelkit.data.contracts import check_same
from kernelkit.engine import NOT_FINER, compiled, explain
from kernelkit.errors import OrderError, RunError, UsageError, arguments, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.block import header_of
from kernelkit.kernels.cache import build_id
from kernelkit.kernels.job import Costs, Homes, Job, Outcome, Table, new_outcome
from kernelkit.kernels.plan import Plan
from kernelkit.kernels.session import ENDLESS, Failed, Session
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts, Venues, holders
from kernelkit.market.terms import check_steps, check_volumes, hours_of, venues_of
from kernelkit.market.venue import Venue
from kernelkit.recipe import (
    Recipe,
    asked_of,
    asset_names,
    calls_of,
    check_bars,
    check_transfers,
    check_vwap,
    clock_moments,
    first_call,
    most_closed,
    own_state,
    resolve,
    span,
)
from kernelkit.strategy import Signal, Strategy
from kernelkit.table import check_sizes, clock_of, first_ready, panel_of
from kernelkit.tried import record

if TYPE_CHECKING:
    import xarray as xr


class Run:
    """One trial over one asset, or a portfolio, advanced as its bars arrive. Make it with `start` or `resume`."""

    def __init__(self, recipe: Recipe, venue: Any, fill_model: FillModel, state: np.ndarray | None = None) -> None:
        self._recipe, self._venue, self._fill_model = recipe, venue, fill_model
        self._session = session_of(recipe, state)
        self._advance()

    def __repr__(self) -> str:
        return f"<run of {self._recipe.strategy.name}: {self.bars} bars, equity {self.equity:.2f}>"

    def __reduce__(self) -> str:
        """Raise UsageError: a run is kept as a folder."""
        fix = "Write run.save(path), and kk.resume(path) where it is to go on."
        raise UsageError(message("pickling or copying a run", "a run that may go on", "a saved one", fix))

    @property
    def bars(self) -> int:
        """Bars done, those of the warm-up included; of a portfolio those of its clock."""
        return int(header_of(self._session.block)["i"])

    @property
    def equity(self) -> float:
        """Equity at the last mark, in quote currency; the initial cash while the run warms up."""
        header = header_of(self._session.block)
        at = int(header["off_account"])
        account = self._session.block[at : at + L.ACCOUNT.itemsize].view(L.ACCOUNT)[0]
        return float(account["equity"]) if header["started"] else float(self._recipe.job.trials[0]["cash"])

    def _advance(self) -> None:
        try:
            self._session.advance(self._recipe.job.tables[0].n_bars)
        except Failed as failure:
            outcome = new_outcome(1, False)
            outcome.errors[0] = (failure.status, failure.i, failure.argument)
            self._write(self._so_far(), outcome)  # also what failed was tried
            explain(self._recipe, outcome, self._venue)

    def feed(self, more: Any) -> Run:
        """Go on with more bars: a frame or Dataset that follows, or the whole Dataset extended.

        Where features are used it must be the whole. Raises DataError when they do not follow, UsageError when bars
        that were run already have changed. A failed feed leaves the run as it was.
        """
        import xarray as xr

        old = self._recipe.bars
        longer = (
            isinstance(more, xr.Dataset)
            and more.sizes["time"] > old.sizes["time"]
            and more.indexes["time"][0] == old.indexes["time"][0]
        )
        bars = check_bars(more) if longer else append(old, more)
        job, names = self._recipe.job, asset_names(bars)
        if names != self._recipe.assets:
            found, wanted = f"the assets {', '.join(names)}", f"those that it runs: {', '.join(self._recipe.assets)}"
            raise UsageError(message("feed", found, wanted, "Start a new run for others."))
        check_same(old, bars)
        begin = int(job.trials[0]["trade_from"])
        laid = lay(bars, job.plan, job.venues, self._recipe.account, job.homes, begin, job.waits, job.called)
        tables = laid.tables[int(job.plan.shared) :]
        check_volumes(job.venues, job.homes, tables, names)
        check_vwap([self._fill_model], tables, names)
        # A portfolio's clock has the index from the bar at which its account starts (X8): not known while it warms up.
        warm = job.plan.shared and not header_of(self._session.block)["started"]
        begun = zip(job.tables[int(warm) :], laid.tables[int(warm) :], strict=True)
        if not all(before.begins(table) for before, table in begun):
            found, wanted = "bars that differ from those already run", "the same bars and instruments, continued"
            raise UsageError(message("feed", found, wanted, "Start a new run: history has changed."))
        recipe = replace(self._recipe, bars=bars, job=laid.onto(job), places=laid.places)
        old_state = self._recipe, self._session
        self._recipe, self._session = recipe, session_of(recipe, self._session.block.copy())
        with ledger.role("continued"):
            try:
                self._advance()
            except BaseException:
                self._recipe, self._session = old_state
                raise
            self._record()
        return self

    def _record(self) -> tuple[Recipe, Outcome, str] | None:
        """Write the trial as it stands to the ledger, which is done before anything of it can be seen.

        Returns its recipe, outcome and call; None while it warms up.
        """
        n, begin = self._recipe.job.tables[0].n_bars, int(self._recipe.job.trials[0]["trade_from"])
        if n <= begin:
            return None
        recipe, outcome = self._so_far(), self._session.ended(n)
        return recipe, outcome, self._write(recipe, outcome)

    def _so_far(self) -> Recipe:
        """The recipe of the trial as if its bars ended here; there is one after the warm-up at least."""
        trials = self._recipe.job.trials.copy()
        begin = int(trials[0]["trade_from"])
        trials["i1"] = self._recipe.job.tables[0].n_bars
        job, place = replace(self._recipe.job, trials=trials), self._recipe.rows(0)
        return replace(self._recipe, job=job, start=int(place[begin]), stop=self._recipe.bars.sizes["time"])

    def _write(self, recipe: Recipe, outcome: Outcome) -> str:
        return record(recipe, outcome, self._venue, [self._fill_model])

    def result(self) -> xr.Dataset:
        """The result as if the data ended here: what `kk.backtest` over the same bars returns, bit for bit.

        Raises RunError while the run warms up.
        """
        from kernelkit.result import build

        found = self._record()
        if found is None:
            n, begin = self._recipe.job.tables[0].n_bars, int(self._recipe.job.trials[0]["trade_from"])
            raise RunError(
                message("this run", f"{n} bars, all of them warm-up", f"more than {begin}", "Feed it more bars.")
            )
        recipe, outcome, call = found
        ds = build(recipe, outcome, ("metrics", "blocks", "curves"), self._venue, [self._fill_model])
        ds.attrs["ledger"] = call
        return ds

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the run to the folder ``path``, whole or not at all; an older one there is replaced.

        ``run.json`` names the other files and is put in place last: until then the folder holds the older run.
        """
        target, mark = Path(path).absolute(), uuid.uuid4().hex
        target.mkdir(parents=True, exist_ok=True)
        state, bars, part = target / f"state-{mark}.bin", target / f"bars-{mark}.zarr", target / f"run-{mark}.json"
        block = self._session.block.tobytes()
        try:
            store.save(self._recipe.bars, bars)
            saved.write(state, block)
            document = {**self._document(block), "state": state.name, "bars": bars.name}
            saved.write(part, json.dumps({**document, "digest": saved.digest(document)}, indent=1).encode())
            part.replace(target / "run.json")
        except BaseException:
            saved.remove([state, bars, part])
            raise
        saved.sync(target)
        saved.remove(p for p in target.iterdir() if saved.OWN.fullmatch(p.name) and p not in (state, bars))
        return target

    def _document(self, block: bytes) -> dict[str, Any]:
        recipe, job = self._recipe, self._recipe.job
        return {
            "format": saved.FORMAT,
            "layout": L.VERSION,
            "build": build_id(),
            "crc": zlib.crc32(block),
            "strategy": recipe.strategy.name,
            "source": recipe.strategy.source.text,
            "identity": recipe.strategy.identity,
            "program": job.text,
            "plan": saved.plan_to_json(job.plan),
            "params": job.params.tolist(),
            "bound": recipe.params,
            "trial": [float(x) if isinstance(x, float) else int(x) for x in job.trials[0].item()],
            "custom_state": job.custom_state,
            "ring_sizes": {str(k): v for k, v in job.ring_sizes.items()},
            "waits": job.waits,
            "called": None if job.called is None else job.called.tolist(),
            "venue": [asdict(c) for c in job.venues],
            "venue_name": self._venue.name,
            "costs": self._venue.costs,
            "fill_model": asdict(self._fill_model),
            "account": saved.account_to_json(recipe.account),
            "homes": None if job.homes is None else asdict(job.homes),
        }


def session_of(recipe: Recipe, state: np.ndarray | None) -> Session:
    """A session over the recipe's bars, taken up at a state block."""
    session = Session(recipe.job)
    if state is not None:
        session.restore(state)
    return session


@arguments(account=Account, venue=Venue, fill_model=FillModel, finer=NOT_FINER)
def start(
    bars: xr.Dataset,
    strategy: Strategy,
    params: Mapping[str, Any] | None = None,
    *,
    start: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
) -> Run:
    """Begin a backtest of one strategy, with scalar parameters, over one asset; it runs ``bars`` and waits for more.

    A `@kk.portfolio` goes on likewise, over all assets of the bars. Raises UsageError for a signal (it sees whole
    arrays), a grid, or several assets that share no account, OrderError for a fill model with a
    close-out (nobody knows the last bar), and what `kk.backtest` raises.

    >>> import kernelkit as kk
    >>> bars = kk.data.load("sp500_index")
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> run = kk.start(bars.isel(time=slice(0, 3000)), hold).feed(bars.isel(time=slice(3000, None)))
    >>> float(run.result()["final_equity"]) == float(kk.backtest(bars, hold)["final_equity"])
    True
    """
    bars, subject = check_bars(bars), resolve(strategy)
    settings = Settings.of(account, venue, fill_model)
    if isinstance(subject, Signal):
        raise UsageError(
            message(
                f"signal {subject.name}",
                "a function of whole arrays",
                "a @kk.strategy",
                "Only an event-driven strategy can be fed bar by bar.",
            )
        )
    if settings.fill_model.path == "finer":
        fix = "Use kk.backtest(..., finer=...); runs that go on take one table of bars."
        raise OrderError(message("path of a run", "finer", "a path through the bars themselves", fix))
    if settings.fill_model.close_out != "none":
        found, fix = settings.fill_model.close_out, "A run that may go on does not know its last bar."
        raise OrderError(message("close_out of a run", found, "none", fix))
    if bars.sizes["asset"] != 1 and not subject.shared:
        fix = "Choose one, bars.sel(asset=[name]), or put them on one account: kk.portfolio(strategy)."
        raise UsageError(message("bars", f"{bars.sizes['asset']} assets", "one", fix))
    scalars, axes = bind(subject, params, None)
    if axes:
        raise UsageError(
            message("params of a run", f"sequences for {', '.join(axes)}", "scalars", "Use kk.backtest for a grid.")
        )
    recipe = one_recipe(bars, subject, scalars, start, settings)
    compiled(recipe, settings.venue)
    run = Run(recipe, settings.venue, settings.fill_model)
    run._record()
    return run


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


@arguments()
def resume(path: str | os.PathLike[str], strategy: Strategy | None = None) -> Run:
    """Take up a saved run, in any process of the same build.

    ``strategy`` (the same source) is needed only for the tracebacks of its own exceptions. Raises RunError when the
    folder is damaged, or was written by another build (its bits could differ).

    >>> import tempfile
    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> bars = kk.data.load("sp500_index")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = kk.start(bars.isel(time=slice(0, 3000)), hold).save(f"{folder}/run")
    ...     run = kk.resume(path).feed(bars.isel(time=slice(3000, None)))
    >>> float(run.result()["final_equity"]) == float(kk.backtest(bars, hold)["final_equity"])
    True
    """
    given: Any = path
    if not isinstance(given, str | os.PathLike):
        fix = "Pass what run.save(path) has returned."
        raise UsageError(message("path of a run", repr(path), "the folder of a saved one", fix))
    folder = Path(path)
    document, state = saved.read(folder)
    if strategy is not None and strategy.identity != document["identity"]:
        fix = "Pass the strategy that the run was started with, or none."
        found, wanted = f"another {strategy.name}", f"the saved {document['strategy']}"
        raise RunError(message(f"run at {folder}", found, wanted, fix))
    try:
        bars = store.load(folder / document["bars"])
    except RuntimeError as error:  # what the decoder says of a damaged chunk
        raise RunError(message(f"run at {folder}", str(error), "bars as they were saved", saved.DAMAGED)) from error
    plan, venues = saved.plan_from_json(document["plan"]), [saved.costs_from_json(v) for v in document["venue"]]
    trials = np.zeros(1, L.TRIAL)
    trials[0] = tuple(document["trial"])
    account, homes = saved.account_from_json(document["account"]), saved.homes_from_json(document["homes"])
    fill_model = FillModel(**document["fill_model"])
    waits, called = tuple(document["waits"]), document["called"]
    begin = int(trials[0]["trade_from"])
    laid = lay(bars, plan, venues, account, homes, begin, waits, None if called is None else np.array(called, "i8"))
    job = Job(
        document["program"],
        plan,
        laid.tables,
        venues,
        [fill_model.codes()],
        trials,
        np.array(document["params"], "i8").reshape(1, -1),
        True,
        [tuple(c) for c in document["custom_state"]],
        {int(k): v for k, v in document["ring_sizes"].items()},
        waits=waits,
        homes=homes,
    )
    told = saved.SavedStrategy(document["strategy"], document["source"], document["identity"])
    recipe = recipe_of(bars, strategy or cast(Strategy, told), laid.onto(job), laid, document["bound"], account)
    return Run(recipe, saved.SavedVenue(document["venue_name"], document["costs"]), fill_model, state)
