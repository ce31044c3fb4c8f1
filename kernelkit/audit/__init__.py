"""Lookahead audit: run a strategy again without the future, and with another one, and compare what it had done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import recipe as recipes
from kernelkit.audit import future, trust
from kernelkit.audit.observe import Difference, Observer, Targets, Trace, Traces
from kernelkit.audit.report import COLUMNS, AuditReport
from kernelkit.binding import bind
from kernelkit.capture import captured
from kernelkit.engine import explain
from kernelkit.errors import UsageError, arguments, message
from kernelkit.intrabar import with_finer
from kernelkit.kernels.job import new_outcome
from kernelkit.kernels.source import read_source
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.progress import Meter
from kernelkit.schema import FEATURE, PRICES
from kernelkit.strategy import Signal, Strategy

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["AuditReport", "audit"]

ENOUGH = 8  # leaking cuts: more would not say more
Columns = Callable[["xr.Dataset"], "xr.Dataset"]


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def audit(  # noqa: PLR0913  the settings of a backtest, and its own
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    finer: xr.Dataset | None = None,
    features: Columns | None = None,
    cuts: int = 32,
    seed: int = 0,
) -> AuditReport:
    """Prove or disprove that ``strategy`` is blind to the future, by running it again without it and with another one.

    At each of ``cuts`` bars t (gaps, session edges, edges of missing values, bars of trades, random ones; drawn with
    ``seed``) the strategy runs on ``bars[:t+1]``, and on bars whose prices, volume, validity and features are corrupted
    after t. What it had done up to t must not change: of a signal the targets, of an event-driven strategy every order,
    fill, trade, record, cash and equity, bit by bit. Where it does, one variable at a time is corrupted to name it.

    ``features``, a function ``bars -> bars``, adds columns; it runs again on each cut, so that they are audited too.
    Columns that are already there with ``trusted=True``, and arrays that a signal captured, cannot be made again: they
    are searched for the marks of the future, and the report says that the rest was taken on trust.

    ``venue`` may name venues of further assets where each asset has an account of its own: those count that ``bars``
    have. With ``finer`` bars (rule F16) those after the cut are cut off and corrupted with the bars that they belong
    to.

    Runs of an audit are not trials and enter no ledger. A ``close_out`` is left out: it is not a decision. Raises what
    `kernelkit.backtest` raises, and `UsageError` for a grid or a span without two bars to cut between.

    >>> import kernelkit as kk
    >>> @kk.signal
    ... def scaled(ds):
    ...     return (ds["close"] - ds["close"].min()) / (ds["close"].max() - ds["close"].min())
    >>> report = kk.audit(kk.data.load("sp500_index"), scaled, cuts=4)
    >>> report.blind, sorted(set(report.leaks["variable"]))
    (False, ['close'])
    """
    recipes.check_bars(bars)
    settings = Settings.of(account, venue, replace(FillModel.of(fill_model), close_out="none"))
    audited = recipes.resolve(strategy)
    if isinstance(audited, Signal) or not audited.shared:
        settings = settings.only(recipes.asset_names(bars))
    subject = Subject.of(bars, audited, params, recipes.span(bars, start, end), settings, features)
    if finer is not None:
        subject = replace(subject, finer=(bars, recipes.check_bars(finer)))
    return _Audit(bars, subject, seed).run(cuts)


@dataclass(frozen=True)
class Subject:
    """What is audited: a strategy bound to its parameters, with the settings of its backtest."""

    strategy: Strategy | Signal
    scalars: dict[str, Any]
    limits: tuple[int, int]
    settings: Settings
    features: Columns | None
    finer: tuple[xr.Dataset, xr.Dataset] | None = None  # the bars as they are, and their finer ones

    @classmethod
    def of(
        cls,
        bars: xr.Dataset,
        strategy: Strategy | Signal,
        params: Mapping[str, Any] | None,
        limits: tuple[int, int],
        settings: Settings,
        features: Columns | None,
    ) -> Subject:
        """Bind the parameters; one combination is audited at a time."""
        scalars, axes = bind(strategy, params, None)
        if axes:
            found, fix = f"several values of {', '.join(axes)}", "Audit one combination; kk.fixed([...]) binds a list."
            raise UsageError(message(f"audit of {strategy.name}", found, "one value for each parameter", fix))
        return cls(strategy, scalars, limits, settings, features)

    def plan(self, bars: xr.Dataset) -> recipes.Recipe:
        """The one trial (per asset) over ``bars``, which may be cut short."""
        whole = self.features(bars) if self.features is not None else bars
        if whole.sizes["time"] != bars.sizes["time"]:
            found = f"{whole.sizes['time']} rows from {bars.sizes['time']}"
            raise UsageError(message("features=", found, "a function that adds columns", "Return bars.assign(...)."))
        limits = self.limits[0], min(self.limits[1], bars.sizes["time"])
        recipe = recipes.plan_job(whole, self.strategy, self.scalars, {}, None, limits, self.settings, True)
        fine = None if self.finer is None else future.finer_of(self.finer[1], self.finer[0], bars)
        return with_finer(recipe, [self.settings.fill_model], fine)


class _Audit:
    """One audit in progress."""

    def __init__(self, bars: xr.Dataset, subject: Subject, seed: int) -> None:
        self.bars, self.subject, self.seed = bars, subject, seed
        self.recipe = subject.plan(bars)
        assets = self.recipe.assets
        if self.recipe.job.bars is not None and subject.settings.fill_model.foresees:
            found, fix = "a portfolio with missing bars whose fills are stamped before them", "Audit it under another."
            raise UsageError(message("fill_model of the audit", found, "one that is not same_close", fix))
        self.observer: Observer = (
            Targets(subject.plan, self.recipe.start, assets)
            if isinstance(subject.strategy, Signal)
            else Traces(subject.plan)
        )
        self.names = future.variables(bars)
        if isinstance(subject.strategy, Strategy):
            self.names.remove("valid")  # a bar that is not there is no bar of the account: cutting covers it
        self.rows: list[tuple[Any, ...]] = []
        self.runs = 0
        self.whole = self._see(bars)
        if isinstance(self.observer, Traces):
            self._survived(self.whole)

    def _survived(self, whole: list[Trace]) -> None:
        """Raise what a backtest raises: from the bar that stopped a run on, nothing is left to compare."""
        outcome = new_outcome(len(whole), False)
        outcome.errors = {k: trace.failure for k, trace in enumerate(whole) if trace.failure is not None}
        if outcome.errors:
            explain(self.recipe, outcome, self.subject.settings.venue)

    def _see(self, bars: xr.Dataset) -> Any:
        self.runs += 1
        return self.observer.see(bars)

    def run(self, count: int) -> AuditReport:
        """Run all cuts, or as many as it takes to know."""
        planned = self._cuts(count)
        self._repeat()
        assumed = self._trusted()
        leaking, done = 0, []
        name = f"audit of {self.subject.strategy.name}"
        with Meter(name, len(planned)) as meter:
            for cut in planned:
                leaking += self._cut(cut)
                done.append(cut)
                meter.advance(1, 3 * self.bars.sizes["time"])
                if leaking == ENOUGH:
                    break
        return self._report(planned, done, assumed)

    def _cuts(self, count: int) -> list[int]:
        trials = self.recipe.job.trials
        first = max(int(self.recipe.rows(k)[int(trial["trade_from"])]) for k, trial in enumerate(trials))
        last = min(self.recipe.stop, self.bars.sizes["time"] - 1)
        if count < 1 or last <= first:
            found = f"{count} cuts between rows {first} and {last}"
            fix = "Pass more bars, or cuts=32."
            raise UsageError(message(f"audit of {self.subject.strategy.name}", found, "at least one cut", fix))
        return future.choose_cuts(self.bars, (first, last), self.observer.busy(self.whole), count, self.seed)

    def _repeat(self) -> None:
        last = self.bars.sizes["time"] - 1
        found = self.observer.differ(self.whole, self._see(self.bars), last)
        if found is not None:
            self._add(found, "", "repeat", last)

    def _cut(self, cut: int) -> bool:
        """One cut; whether anything leaked there."""
        short = self.observer.differ(self.whole, self._see(self.bars.isel(time=slice(0, cut + 1))), cut)
        moved = self._corrupt(cut, self.names)
        if short is None and moved is None:
            return False
        by_name = {name: found for name in self.names if (found := self._single(cut, name)) is not None}
        for name, found in by_name.items():
            self._add(found, name, "perturbation", cut)
        if moved is not None and not by_name:
            self._add(moved, "several variables together", "perturbation", cut)
        if short is not None:
            # Nothing in the values: it knew that there were later bars at all.
            self._add(short, ", ".join(by_name) or "time", "truncation", cut)
        return True

    def _corrupt(self, cut: int, names: list[str]) -> Difference | None:
        for up in (True, False):
            other = self._see(future.corrupted(self.bars, cut, names, up, self.seed))
            found = self.observer.differ(self.whole, other, cut)
            if found is not None:
                return found
        return None

    def _single(self, cut: int, name: str) -> Difference | None:
        """What corrupting one variable alone changes.

        A price moved alone leaves the range of its bar; a signal that refuses such bars is asked about all prices.
        """
        try:
            return self._corrupt(cut, [name])
        except Exception:
            if name not in PRICES:
                raise
            return self._corrupt(cut, list(PRICES))

    def _trusted(self) -> tuple[str, ...]:
        """Search what cannot be made again for marks of the future; name it."""
        columns = {name: self.bars[name].values for name in self._unmade()} | self._captured()
        valid = self.bars["valid"].values
        for name, values in columns.items():
            for a, asset in enumerate(self.recipe.assets):
                rows = np.flatnonzero(valid[:, a])
                prices = {n: self.bars[n].values[rows, a] for n in PRICES}
                found = trust.suspect(values[rows, a if values.shape[1] > 1 else 0], prices)
                if found is not None:
                    row = int(rows[found[0]])
                    self._add(Difference(row, asset, found[1], "", ""), name, "column", row)
        trusted = [f"{n} (trusted=True)" for n in columns if n.startswith(FEATURE)]
        return (*trusted, *(f"{n} (captured by {self.subject.strategy.name})" for n in columns if n not in self.bars))

    def _unmade(self) -> list[str]:
        """Trusted columns that the strategy can read and that ``features`` does not make."""
        names = [n for n in self.names if n.startswith(FEATURE) and int(self.bars[n].attrs.get("trusted", 0))]
        if isinstance(self.subject.strategy, Signal):
            return names
        used = self.recipe.job.plan.features
        return [n for n in names if n[len(FEATURE) :] in used]

    def _captured(self) -> dict[str, Any]:
        """Columns of one number a bar that a signal's function finds outside its arguments."""
        if not isinstance(self.subject.strategy, Signal):
            return {}
        seen: dict[str, Any] = dict(self.subject.scalars)
        _collect(self.subject.strategy.function, seen)
        found = {name: trust.handed_over(value, self.bars.sizes["time"]) for name, value in seen.items()}
        return {name: values[:, None] for name, values in found.items() if values is not None}

    def _add(self, found: Difference, variable: str, kind: str, cut: int) -> None:
        time = self.bars["time"].values[found.bar]
        row = (found.bar, time, found.asset, variable, kind, found.what, found.was, found.became, cut)
        self.rows.append((*row, cut + 1 - found.bar))

    def _report(self, planned: list[int], done: list[int], assumed: tuple[str, ...]) -> AuditReport:
        import pandas as pd

        strategy = self.subject.strategy
        signal = isinstance(strategy, Signal)
        values = ", ".join(f"{k}={v!r}" for k, v in self.subject.scalars.items() if np.ndim(v) == 0)
        compared = "all targets" if signal else "every order, fill, trade, record, cash and equity"
        return AuditReport(
            strategy=f"{strategy.name}({values})" if values else strategy.name,
            data=str(self.bars.attrs.get("name") or "these bars"),
            compared=compared,
            corrupted=tuple(self.names),
            planned=len(planned),
            cuts=tuple(done),
            runs=self.runs,
            leaks=pd.DataFrame(self.rows, columns=list(COLUMNS)),
            assumed=assumed,
            rounding=self.observer.rounding if isinstance(self.observer, Targets) else 0.0,
        )


def _collect(function: FunctionType, seen: dict[str, Any]) -> None:
    """Everything that a function and the helpers beside it capture, by name."""
    for name, value in captured(function, read_source(function)).items():
        if name not in seen:
            seen[name] = value
            beside = isinstance(value, FunctionType) and value.__globals__ is function.__globals__
            if beside and value.__name__ != "<lambda>":
                _collect(value, seen)
