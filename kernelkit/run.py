"""A backtest that goes on: start it, feed it bars as they come, save it, resume it in another process.

The bits are those of one whole run.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from kernelkit import journal, ledger, saved
from kernelkit.binding import bind
from kernelkit.data import append, store
from kernelkit.data.contracts import check_same
from kernelkit.endless import lay, one_recipe, recipe_of, session_of
from kernelkit.engine import NOT_FINER, compiled, explain
from kernelkit.errors import OrderError, RunError, UsageError, arguments, message
from kernelkit.growing import Growing, bars_of, columns_of, grows
from kernelkit.kernels import layout as L
from kernelkit.kernels.block import header_of
from kernelkit.kernels.job import Job, Outcome, Table, new_outcome
from kernelkit.kernels.session import Failed
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.terms import check_volumes
from kernelkit.market.venue import Venue
from kernelkit.recipe import (
    Recipe,
    asked_of,
    asset_names,
    check_bars,
    check_vwap,
    resolve,
)
from kernelkit.standing import Update, equity_of, update_of
from kernelkit.strategy import Signal, Strategy
from kernelkit.table import panel_of
from kernelkit.tried import record

if TYPE_CHECKING:
    import xarray as xr


# what a run was started with, as its files call it and as a person does
CALLED = {
    "bound": "parameters",
    "account": "account",
    "venue": "venue",
    "costs": "costs",
    "fill_model": "fill model",
    "homes": "venues",
    "trial": "start or cash",
}


class Run:
    """One trial over one asset, or a portfolio, advanced as its bars arrive. Make it with `start` or `resume`."""

    def __init__(self, recipe: Recipe, venue: Any, fill_model: FillModel, state: np.ndarray | None = None) -> None:
        self._recipe, self._venue, self._fill_model = recipe, venue, fill_model
        self._session = session_of(recipe, state)
        self._pieces: list[dict[str, np.ndarray]] = []  # that came in steps, and are not among the recipe's bars yet
        self.last = recipe.bars.isel(time=slice(-1, None))
        self._growing: Growing | None = None
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
    def tables(self) -> list[Table]:
        """The bars of each asset as the kernel reads them."""
        return self._session.job.tables[int(self._session.job.plan.shared) :]

    @property
    def features(self) -> list[str]:
        """The features that its strategy reads."""
        return list(self._recipe.job.plan.features)

    @property
    def equity(self) -> float:
        """Equity at the last mark, in quote currency; the initial cash while the run warms up."""
        return equity_of(self._session.job, self._session.block)

    def now(self) -> Update:
        """Where it stands after its last bar: time, equity, position, and the orders that wait for the next one."""
        return update_of(self._session.job, self._recipe.assets, self._session.block)

    def _advance(self) -> None:
        try:
            self._session.advance(self._recipe.job.tables[0].n_bars)
        except Failed as failure:
            outcome = new_outcome(1, False)
            outcome.errors[0] = (failure.status, failure.i, failure.argument)
            self._write(self._so_far(), outcome)  # also what failed was tried
            explain(self._recipe, outcome, self._venue)

    def check(self, params: Mapping[str, Any] | None, start: Any, settings: Mapping[str, Any]) -> None:
        """Raise RunError where it was started with other parameters, another start, or other settings than these."""
        self._settle()
        recipe, given = self._recipe, Settings.of(*(settings.get(n) for n in ("account", "venue", "fill_model")))
        strategy = cast(Strategy, recipe.strategy)
        same = one_recipe(recipe.bars, strategy, bind(strategy, params, None)[0], start, given)
        ours = saved.made_of(recipe, self._venue, self._fill_model)
        theirs = saved.made_of(same, given.venue, given.fill_model)
        for name, called in CALLED.items():
            old, new = (json.dumps(made[name], sort_keys=True, default=str) for made in (ours, theirs))
            if old != new:
                what, fix = f"{called} of the run", "Leave them out to go on as it was started, or start another."
                raise RunError(message(what, new, f"{old}, as it was started", fix))

    def feed(self, more: Any) -> Run:
        """Go on with more bars: a frame or Dataset that follows, or the whole Dataset extended.

        Where features are used it must be the whole. Raises DataError when they do not follow, UsageError when bars
        that were run already have changed. A failed feed leaves the run as it was.
        """
        import xarray as xr

        self._settle()
        old = self._recipe.bars
        longer = (
            isinstance(more, xr.Dataset)
            and more.sizes["time"] > old.sizes["time"]
            and more.indexes["time"][0] == old.indexes["time"][0]
        )
        old_state = self._recipe, self._session
        self._continue(check_bars(more) if longer else append(old, more))
        with ledger.role("continued"):
            try:
                self._advance()
            except BaseException:
                self._recipe, self._session = old_state
                raise
            self._record()
        self.last = self._recipe.bars.isel(time=slice(-1, None))
        return self

    def _continue(self, bars: xr.Dataset) -> None:
        """Have these bars before it, which begin with its own, and stay where it is."""
        job, names = self._recipe.job, asset_names(bars)
        if names != self._recipe.assets:
            found, wanted = f"the assets {', '.join(names)}", f"those that it runs: {', '.join(self._recipe.assets)}"
            raise UsageError(message("feed", found, wanted, "Start a new run for others."))
        check_same(self._recipe.bars, bars)
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
        self._recipe = replace(self._recipe, bars=bars, job=laid.onto(job), places=laid.places)
        self._session = session_of(self._recipe, self._session.block.copy())

    def step(self, later: xr.Dataset, each: Callable[[], None] = lambda: None) -> None:
        """Go on with bars that follow, and call ``each`` after every one of them.

        As `feed`, but nothing is told to the ledger, and a bar costs the same however many there were before it, unless
        the run has a portfolio, features, higher timeframes, hooks by the calendar, rates, or actions.
        """
        job, old = self._session.job, (self._recipe, self._session, self._session.block.copy())
        follows = append(self.last, later)
        if grown := grows(job, self._recipe.bars):
            piece = panel_of(follows.isel(time=slice(1, None)), [], None, *asked_of(job.plan)).tables[0]
            check_volumes(job.venues, job.homes, [piece], self._recipe.assets)
            check_vwap([self._fill_model], [piece], self._recipe.assets)
            self._growing = self._growing or Growing(job.tables[0])
            self._session.lengthen(replace(job, tables=[self._growing.behind(piece)]))
        else:
            self._continue(append(self._recipe.bars, later))
        try:
            for bar in range(self.bars, self._session.job.tables[0].n_bars):
                self._session.advance(bar + 1)
                each()
        except BaseException as error:
            self._recipe, self._session, block = old
            if grown and self._growing is not None:
                self._growing.back(job.tables[0])
                self._session.lengthen(job)
                self._session.restore(block)
            if isinstance(error, Failed):
                self.feed(later)  # which tells what failed, and where
            raise
        self.last = follows.isel(time=slice(-1, None))
        if grown:
            self._pieces.append(columns_of(later))

    def _settle(self) -> None:
        """Have the bars of all steps in one Dataset, with their lineage."""
        if self._pieces:
            self._continue(append(self._recipe.bars, bars_of(self._pieces, self._recipe.bars)))
            self._pieces, self._growing = [], None

    @property
    def warm(self) -> bool:
        """Whether a decision was made: until then there is no trial, and no result."""
        return self.bars > int(self._recipe.job.trials[0]["trade_from"])

    def record(self) -> None:
        """Write the trial as it stands to the ledger, if it is ``warm``."""
        self._record()

    def _record(self) -> tuple[Recipe, Outcome, str] | None:
        """Write the trial as it stands to the ledger, which is done before anything of it can be seen.

        Returns its recipe, outcome and call; None while it warms up.
        """
        self._settle()
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
        self._settle()
        target, mark = Path(path).absolute(), uuid.uuid4().hex
        target.mkdir(parents=True, exist_ok=True)
        state, bars, part = target / f"state-{mark}.bin", target / f"bars-{mark}.zarr", target / f"run-{mark}.json"
        block = self._session.block.tobytes()
        try:
            store.save(self._recipe.bars, bars)
            saved.write(state, block)
            document = saved.document(self._recipe, self._venue, self._fill_model, block)
            document |= {"state": state.name, "bars": bars.name}
            saved.write(part, json.dumps({**document, "digest": saved.digest(document)}, indent=1).encode())
            part.replace(target / "run.json")
        except BaseException:
            saved.remove([state, bars, part])
            raise
        saved.sync(target)
        saved.remove(p for p in target.iterdir() if saved.OWN.fullmatch(p.name) and p not in (state, bars))
        return target


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
    run = Run(recipe, saved.SavedVenue(document["venue_name"], document["costs"]), fill_model, state)
    records, _ = journal.read(journal.place(folder))
    if records:
        run.step(bars_of(records, bars))
    return run
