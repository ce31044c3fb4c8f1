"""The trials of a search: proposals are evaluated many at a time, each point once, and recorded with their parents."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import ledger
from kernelkit.binding import Sweep, kind_of, param_words
from kernelkit.engine import OUTPUTS, compiled
from kernelkit.errors import UsageError, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Outcome, new_outcome
from kernelkit.market.settings import Settings
from kernelkit.progress import Meter
from kernelkit.recipe import Recipe, plan_signal, plan_sweep
from kernelkit.result import Curves, build
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import nodes_of, reason
from kernelkit.study.spaces import Floats, Space
from kernelkit.tried import record, recorded_keys, trial_keys
from kernelkit.working import Means, run_trials

if TYPE_CHECKING:
    import xarray as xr

Point = tuple[Any, ...]
NOBODY = -1


class Enough(Exception):
    """All proposals that were asked for have been made, or the search was interrupted."""


@dataclass(frozen=True)
class Layout:
    """Bars, strategy and settings laid out for any points with the same texts; ``recipe`` has the corners."""

    recipe: Recipe
    names: list[str]
    settings: Settings

    def of(self, points: Sequence[Point]) -> Recipe:
        """A recipe of these points, values by ``names``; raises UsageError for one that needs a longer warm-up."""
        base, n = self.recipe, len(points)
        listed = {name: [p[k] for p in points] for k, name in enumerate(self.names)}
        strategy = base.strategy
        if isinstance(strategy, Signal):
            sweep = Sweep(base.params, listed, np.arange(n), [*points])
            base = plan_signal(base.bars, strategy, sweep, (base.start, base.stop), self.settings, True)
        else:
            types = {x: kind_of(x, base.axes.get(x, [base.params.get(x)]), d) for x, d in strategy.defaults.items()}
            program = strategy.program(types, {x: v for x, v in base.params.items() if isinstance(v, str)})
            if callable(strategy.warmup):
                for point in points:
                    need = strategy.bars_needed(program, base.params | dict(zip(self.names, point, strict=True)))
                    if need > int(base.job.trials["trade_from"][0]):
                        fix = "Begin later: pass start=."
                        wanted = f"at most {base.job.trials['trade_from'][0]}, as the corners of the space do"
                        raise UsageError(message(f"warm-up of {point}", f"{need} bars", wanted, fix))
            words = param_words(program, points, self.names, base.params)
            base = replace(base, job=replace(base.job, trials=np.repeat(base.job.trials[:1], n), params=words))
        return replace(base, axes={"trial": [*range(n)]}, listed=listed, cells=np.arange(n))


def layouts(
    bars: xr.Dataset, strategy: Strategy | Signal, space: Space, limits: tuple[int, int], settings: Settings
) -> dict[tuple[str, ...], Layout]:
    """By texts; all begin at the bar at which every point of the space has warmed up (D2)."""
    split = [] if isinstance(strategy, Signal) else space.texts
    names = [n for n in space.names if n not in split]
    corners = space.corners()
    if isinstance(strategy, Signal):
        corners = [tuple(axis.ends[0] for axis in space.axes.values())]
    axes = {n: [*dict.fromkeys(c[k] for c in corners)] for k, n in enumerate(names)}
    rest = {n: v for n, v in space.scalars.items() if n not in names}

    def planned(texts: tuple[str, ...], first: int) -> Layout:
        scalars = rest | dict(zip(split, texts, strict=True))
        sweep = Sweep(scalars, axes, np.arange(len(corners)), corners)
        return Layout(plan_sweep(bars, strategy, sweep, (first, limits[1]), settings, True), names, settings)

    each = [space.axes[n].values for n in split]  # type: ignore[union-attr]
    found = {texts: planned(texts, limits[0]) for texts in itertools.product(*each)}
    begin = max(one.recipe.start for one in found.values())
    found = {t: one if one.recipe.start == begin else planned(t, begin) for t, one in found.items()}
    accounts = next(iter(found.values())).recipe.accounts
    if len(accounts) != 1:
        fix = "Choose one asset, bars.sel(asset=[name]), or put them on one account: kk.portfolio(strategy)."
        raise UsageError(message("a search", f"{len(accounts)} accounts", "one", fix))
    return found


@dataclass
class Trials:
    """What a search has tried so far; larger is better in each of ``objectives``, metrics with a sign.

    By trial: ``points``, ``parents`` (trial, `NOBODY` for none), ``generations``, ``keys``, ``errors``, and
    ``pruned`` (the bar before which a trial was given up). ``ended`` is why there are fewer than ``n`` proposals.
    """

    layouts: Mapping[tuple[str, ...], Layout]
    space: Space
    settings: Settings
    means: Means
    objectives: Sequence[tuple[str, float]]
    n: int
    meter: Meter

    def __post_init__(self) -> None:
        self.points, self.parents, self.generations = list[Point](), list[int](), list[int]()
        self.keys, self.calls = list[str](), list[str]()
        self.errors, self.pruned = dict[int, str](), dict[int, int]()
        self.known = dict[Point, int]()
        self.parts = list[tuple[np.ndarray, Outcome]]()
        self.values = np.zeros((0, len(self.objectives)))
        self.proposed = self.generation = 0
        self.interrupted, self.ended = False, ""

    @property
    def left(self) -> int:
        """Proposals that may still be made."""
        return self.n - self.proposed

    @property
    def best(self) -> int:
        """The trial with the largest first objective, of equals the earliest; `NOBODY` where none has one."""
        first = self.values[:, 0]
        return int(np.nanargmax(first)) if np.isfinite(first).any() else NOBODY

    @property
    def worst(self) -> Floats:
        """The smallest value so far of each objective, 0 where there is none (D4)."""
        known = np.where(np.isfinite(self.values), self.values, np.inf)
        least = known.min(axis=0, initial=np.inf)
        return np.where(np.isfinite(least), least, 0.0)

    def told(self, numbers: Sequence[int]) -> Floats:
        """Values of these trials by objective; where there is none, the worst of all so far."""
        found = self.values[[*numbers]]
        return np.where(np.isfinite(found), found, self.worst)

    def evaluate(self, points: Sequence[Point], parents: Sequence[int] | int = NOBODY) -> Floats:
        """Run what is new of these proposals, at once, and tell the values of all, by objective.

        Raises Enough where they are more than are left, or where it is interrupted.
        """
        parents = [parents] * len(points) if isinstance(parents, int) else [*parents]
        numbers, fresh = self.enter(points[: self.left], parents[: self.left])
        if fresh:
            self._run(fresh)
            found = self.values[fresh, 0]
            if np.isfinite(found).any():
                name, sign = self.objectives[0]
                self.meter.reach(float(np.nanmax(found)), name if sign > 0 else f"-{name}")
        self.proposed += len(numbers)
        self.meter.advance(len(numbers))
        if len(numbers) < len(points) or self.interrupted:
            raise Enough
        return self.told(numbers)

    def enter(self, points: Sequence[Point], parents: Sequence[int]) -> tuple[list[int], list[int]]:
        """The trial of each proposal, and those that are new."""
        numbers, fresh = [], []
        for point, parent in zip(points, parents, strict=True):
            number = self.known.setdefault(point, len(self.points))
            if number == len(self.points):
                self.points.append(point)
                self.parents.append(parent)
                self.generations.append(self.generation)
                self.keys.append("")
                fresh.append(number)
            numbers.append(number)
        self.generation += 1
        self.values = np.vstack([self.values, np.full((len(fresh), len(self.objectives)), np.nan)])
        return numbers, fresh

    def grouped(self, numbers: Sequence[int]) -> list[tuple[np.ndarray, Recipe]]:
        """Trials by what is compiled for them: their numbers, and a recipe of them."""
        names = self.space.names
        split = [n for n in names if n not in next(iter(self.layouts.values())).names]
        places, own = [names.index(n) for n in split], [k for k, n in enumerate(names) if n not in split]
        groups = dict[tuple[str, ...], list[int]]()
        for number in numbers:
            groups.setdefault(tuple(self.points[number][k] for k in places), []).append(number)
        return [
            (np.array(group), self.layouts[texts].of([tuple(self.points[i][k] for k in own) for i in group]))
            for texts, group in groups.items()
        ]

    def _run(self, fresh: Sequence[int]) -> None:
        model = self.settings.fill_model
        for numbers, recipe in self.grouped(fresh):
            if self.interrupted:
                return
            compiled(recipe, self.settings.venue)
            keys = partial(trial_keys, recipe, [model])
            outcome, self.interrupted = run_trials(recipe, True, self.means, recipe.strategy.name, keys)
            self.take(numbers, recipe, outcome)

    def take(self, numbers: np.ndarray, recipe: Recipe, outcome: Outcome, pruned: int | None = None) -> None:
        """Record what trials came to, given up before bar ``pruned`` if that is said, and keep it."""
        model, venue = self.settings.fill_model, self.settings.venue
        keys = recorded_keys(recipe, outcome, model)
        for number, key in zip(numbers.tolist(), keys, strict=True):
            self.keys[number] = key
        parents = [self.parents[k] for k in numbers]
        with ledger.proposed_from([self.keys[p] if p != NOBODY else "" for p in parents]):
            self.calls.append(record(recipe, outcome, venue, [model], pruned=pruned is not None))
        self.meter.fail(len(outcome.errors))
        for k, error in outcome.errors.items():
            self.errors[int(numbers[k])] = reason(recipe, self.settings, k, error)
        if pruned is not None:
            self.pruned |= dict.fromkeys(numbers[outcome.done].tolist(), pruned)
            return
        self.parts.append((numbers, outcome))
        for j, (name, sign) in enumerate(self.objectives):
            self.values[numbers, j] = sign * outcome.headline[:, L.HEADLINE.index(name)]

    def dataset(self) -> xr.Dataset:
        """All of it, as `search` describes it; raises KeyboardInterrupt where nothing was done before that."""
        whole = new_outcome(len(self.points), True)
        for numbers, part in self.parts:
            whole.headline[numbers], whole.meta[numbers], whole.done[numbers] = part.headline, part.meta, part.done
            nodes_of(whole)[numbers] = nodes_of(part)
        kept = [k for k in range(len(self.points)) if whole.done[k] or k in self.errors or k in self.pruned]
        if not kept:
            raise KeyboardInterrupt
        outcome = Outcome(whole.headline[kept], nodes_of(whole)[kept], whole.meta[kept], whole.done[kept], {})
        curves = self._curves(kept, outcome.done)
        ds = build(curves.recipe, outcome, OUTPUTS, self.settings.venue, [self.settings.fill_model], None, curves)
        return self._labelled(ds, kept, curves.recipe)

    def _curves(self, kept: Sequence[int], done: np.ndarray) -> Curves:
        """What simulates trials again; a trial without a result has no curves."""
        groups = self.grouped(kept)
        place = {number: k for k, number in enumerate(kept)}
        owners: list[tuple[Recipe, int]] = [(groups[0][1], 0)] * len(kept)
        for numbers, recipe in groups:
            for k, number in enumerate(numbers.tolist()):
                owners[place[number]] = recipe, k
        n, first = len(kept), groups[0][1]
        job = replace(first.job, trials=np.repeat(first.job.trials[:1], n))
        if len(groups) == 1:
            job = first.job
        cells = np.where(done, np.arange(n), -1)
        listed = {name: [self.points[k][j] for k in kept] for j, name in enumerate(self.space.names)}
        params = {name: v for name, v in first.params.items() if name not in listed}
        whole = replace(first, job=job, axes={"trial": [*range(n)]}, cells=cells, listed=listed, params=params)
        return Curves(whole) if len(groups) == 1 else _Curves(whole, owners)

    def _labelled(self, ds: xr.Dataset, kept: Sequence[int], recipe: Recipe) -> xr.Dataset:
        place = {number: k for k, number in enumerate(kept)} | {NOBODY: NOBODY}
        told = {n: ("trial", np.array(v), {"role": "param"}) for n, v in (recipe.listed or {}).items()}
        coords: dict[str, Any] = {
            **told,
            "parent": ("trial", np.array([place[self.parents[k]] for k in kept])),
            "generation": ("trial", np.array([self.generations[k] for k in kept])),
            "key": ("trial", np.array([self.keys[k] for k in kept])),
        }
        ds = ds.assign_coords(coords)
        ds["trial"].attrs = {"role": "param", "long_name": "distinct proposal, in the order in which they were made"}
        ds["parent"].attrs = {"long_name": f"trial before it, which one attrs tells, {NOBODY} for none"}
        ds["generation"].attrs = {"long_name": "which of the batches of proposals it was made in"}
        ds["key"].attrs = {"long_name": "key of the trial in the ledger"}
        errors = np.array([self.errors.get(k, "") for k in kept])
        ds["error"] = "trial", errors, {"long_name": "why a trial has no result"}
        if self.pruned:
            rows = recipe.rows(0)[[self.pruned.get(k, 1) - 1 for k in kept]]
            times = recipe.bars["time"].values[rows].copy()
            times[[k not in self.pruned for k in kept]] = np.datetime64("NaT")
            ds["pruned_at"] = (
                "trial",
                times,
                {"long_name": "last bar before a trial was given up, NaT where it was not"},
            )
        if len(self.objectives) > 1:
            front = undominated(self.values[kept])
            ds["pareto"] = "trial", front, {"long_name": "no other trial is better in one objective and as good in all"}
        ds.attrs |= {
            "study": "search",
            "ledger": " ".join(self.calls),
            "objective": ", ".join(f"{'-' if sign < 0 else ''}{name}" for name, sign in self.objectives),
            "proposals": self.proposed,
            "failed": len(self.errors),
            "pruned": len(self.pruned),
            "space": self.space.text(),
        }
        if self.best != NOBODY:
            ds.attrs["best"] = place[self.best]
        if self.ended:
            ds.attrs["ended"] = f"{self.ended}: {self.proposed} of {self.n} proposals made"
        if self.interrupted:
            ds.attrs["interrupted"] = f"{len(kept)} trials done, {self.proposed} of {self.n} proposals made"
        return ds


class _Curves(Curves):
    """Simulates again the trials of several compiled strategies, which differ in their texts."""

    def __init__(self, recipe: Recipe, owners: Sequence[tuple[Recipe, int]]) -> None:
        super().__init__(recipe)
        self.owners = [(Curves(r), r, k) for r, k in owners]

    def simulated(self, trial: int) -> Any:
        """Everything that one trial does, run once more."""
        curves, _, place = self.owners[trial]
        return curves.simulated(place)

    def alone(self, trial: int) -> tuple[Recipe, int]:
        """A recipe that has the trial, and its number there."""
        _, recipe, place = self.owners[trial]
        return recipe, place


def undominated(values: Floats) -> np.ndarray:
    """Which rows (trial, objective), larger is better, no other row is better than: bool (trial,); NaN is none.

    >>> undominated(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0], [np.nan, 9.0]])).tolist()
    [True, True, False, False]
    """
    there = np.isfinite(values).all(axis=1)
    out = np.zeros(len(values), bool)
    for k in np.flatnonzero(there):
        other = values[there]
        beaten = (other >= values[k]).all(axis=1) & (other > values[k]).any(axis=1)
        out[k] = not beaten.any()
    return out
