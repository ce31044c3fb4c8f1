"""What is audited, and how it is run over a world: a strategy or a signal in a backtest, or a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelkit import recipe as recipes
from kernelkit.audit import future
from kernelkit.audit.observe import Difference, Targets, Traces
from kernelkit.audit.pipeline import Column, Outputs, columns_of, first_other
from kernelkit.audit.renewal import Renewal
from kernelkit.audit.world import World
from kernelkit.binding import bind
from kernelkit.engine import explain
from kernelkit.errors import UsageError, message
from kernelkit.intrabar import with_finer
from kernelkit.kernels.job import new_outcome
from kernelkit.market.settings import Settings
from kernelkit.schema import FEATURE
from kernelkit.strategy import Signal, Strategy

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[Any]


@dataclass(frozen=True)
class Seen:
    """One run: what it did, and the columns that ``features=`` made for it."""

    acted: Any
    made: Mapping[str, Column]


@dataclass(frozen=True)
class Settled:
    """How a strategy is backtested: parameters, span of rows, settings, added columns, finer bars with their own."""

    scalars: Mapping[str, Any]
    limits: tuple[int, int]
    settings: Settings
    features: Callable[..., xr.Dataset] | None
    finer: tuple[xr.Dataset, xr.Dataset] | None


class Tested:
    """A strategy or a signal, with the settings of its backtest."""

    def __init__(self, world: World, strategy: Strategy | Signal, settled: Settled) -> None:
        self.strategy, self.settled = strategy, settled
        self.name, self.params = strategy.name, settled.scalars
        self.functions = [f for f in (strategy, settled.features) if f is not None]
        self.recipe, _ = self._plan(world, Renewal([], {}))
        if self.recipe.job.bars is not None and settled.settings.fill_model.foresees:
            found, fix = "a portfolio with missing bars whose fills are stamped before them", "Audit it under another."
            raise UsageError(message("fill_model of the audit", found, "one that is not same_close", fix))
        signal = isinstance(strategy, Signal)
        self.observer = Targets(self.recipe.start, self.recipe.assets) if signal else Traces()
        self.compared = "all targets" if signal else "every order, fill, trade, record, cash and equity"

    @classmethod
    def of(
        cls,
        world: World,
        strategy: Strategy | Signal,
        params: Mapping[str, Any] | None,
        settled: Settled,
    ) -> Tested:
        """Bind the parameters; one combination is audited at a time."""
        scalars, axes = bind(strategy, params, None)
        if axes:
            found, fix = f"several values of {', '.join(axes)}", "Audit one combination; kk.fixed([...]) binds a list."
            raise UsageError(message(f"audit of {strategy.name}", found, "one value for each parameter", fix))
        return cls(world, strategy, replace(settled, scalars=scalars))

    def ignores(self) -> set[str]:
        """What need not be made wrong: a bar that is not there is no bar of the account, cutting covers it."""
        return {"valid"} if isinstance(self.strategy, Strategy) else set()

    def reads(self, name: str) -> bool | None:
        """Whether it can read a column beside those of the market, None where only a run can tell."""
        if isinstance(self.strategy, Signal) or self.settled.features is not None:
            return None
        return name.startswith(FEATURE) and name[len(FEATURE) :] in self.recipe.job.plan.features

    def span(self, seen: Seen) -> tuple[int, int]:
        """First row at which it decides, and the end of the rows."""
        trials = self.recipe.job.trials
        first = max(int(self.recipe.rows(k)[int(trial["trade_from"])]) for k, trial in enumerate(trials))
        return first, self.recipe.stop

    def see(self, world: World, renewal: Renewal) -> Seen:
        """Run it."""
        recipe, made = self._plan(world, renewal)
        return Seen(self.observer.see(recipe), made)

    def survived(self, seen: Seen) -> None:
        """Raise what a backtest raises: from the bar that stopped a run on, nothing is left to compare."""
        if isinstance(self.observer, Traces):
            outcome = new_outcome(len(seen.acted), False)
            failures = [trace.failure for trace in seen.acted]
            outcome.errors = {k: failure for k, failure in enumerate(failures) if failure is not None}
            if outcome.errors:
                explain(self.recipe, outcome, self.settled.settings.venue)

    def differ(self, one: Seen, other: Seen, cut: int) -> Difference | None:
        """The first difference up to row ``cut``, in what it did or in a column made for it."""
        found = [self.observer.differ(one.acted, other.acted, cut), first_other(one.made, other.made, 0, cut)[0]]
        return min((d for d in found if d is not None), key=lambda d: d.bar, default=None)

    def busy(self, seen: Seen) -> NDArray[np.int64]:
        """Rows in which it acted."""
        return self.observer.busy(seen.acted)

    def columns(self, seen: Seen, n: int) -> list[Array]:
        """What was made for it, and its targets, over ``n`` bars."""
        return [*self.observer.columns(seen.acted), *(column.spread(n) for column in seen.made.values())]

    @property
    def rounding(self) -> float:
        """The largest relative difference that was taken for rounding."""
        return self.observer.rounding if isinstance(self.observer, Targets) else 0.0

    def _plan(self, world: World, renewal: Renewal) -> tuple[recipes.Recipe, dict[str, Column]]:
        """The one trial (per asset) over bars that may be cut short, and what ``features=`` adds to them."""
        settled, bars = self.settled, world.bars
        whole, made = bars, dict[str, Column]()
        if settled.features is not None:
            whole = renewal.of(settled.features)(bars, **world.tables)
            if whole.sizes["time"] != bars.sizes["time"]:
                found = f"{whole.sizes['time']} rows from {bars.sizes['time']}"
                raise UsageError(
                    message("features=", found, "a function that adds columns", "Return bars.assign(...).")
                )
            added = whole.drop_vars([n for n in whole.data_vars if n in bars and whole[n].identical(bars[n])])
            made = columns_of(added, bars, "features=") if added.data_vars else made
        limits = settled.limits[0], min(settled.limits[1], bars.sizes["time"])
        strategy, scalars = renewal.of(self.strategy), renewal.of(dict(settled.scalars))
        recipe = recipes.plan_job(whole, strategy, scalars, {}, None, limits, settled.settings, True)
        fine = None if settled.finer is None else future.finer_of(settled.finer[1], settled.finer[0], bars)
        return with_finer(recipe, [settled.settings.fill_model], fine), made


class Piped:
    """A pipeline: a plain function of bars, observed through what it returns."""

    def __init__(
        self, function: Callable[..., Any], params: Mapping[str, Any], limits: tuple[int, int], at: str
    ) -> None:
        self.function, self.params, self.limits = function, dict(params), limits
        self.name = str(getattr(function, "__name__", type(function).__name__))
        self.functions, self.compared = [function], ""
        self.observer = Outputs(self.name, limits[0], at == "open")

    def ignores(self) -> set[str]:
        """Nothing: it can read all."""
        return set()

    def reads(self, name: str) -> bool | None:
        """It can read all; only a run can tell."""
        return None

    def span(self, seen: Seen) -> tuple[int, int]:
        """The row after the first that has a value, and the end of the rows."""
        found = [self.limits[1]]
        for column in seen.acted.values():
            there = (column.values == column.values).any(axis=1)  # NaN is not
            found += column.rows[there][:1].tolist()
        return max(self.limits[0], min(found) + 1), self.limits[1]

    def see(self, world: World, renewal: Renewal) -> Seen:
        """Run it."""
        return Seen(self.observer.see(world, renewal.of(self.function), renewal.of(self.params)), {})

    def survived(self, seen: Seen) -> None:
        """Say what was compared; what a pipeline raises is raised."""
        self.compared = ", ".join(seen.acted)

    def differ(self, one: Seen, other: Seen, cut: int) -> Difference | None:
        """The first row that was decided when row ``cut`` was known and is another one."""
        return self.observer.differ(one.acted, other.acted, cut)

    def busy(self, seen: Seen) -> NDArray[np.int64]:
        """Rows in which a column that seldom changes does."""
        return self.observer.busy(seen.acted)

    def columns(self, seen: Seen, n: int) -> list[Array]:
        """What it returns, over ``n`` bars."""
        return self.observer.columns(seen.acted, n)

    @property
    def rounding(self) -> float:
        """The largest relative difference that was taken for rounding."""
        return self.observer.rounding
