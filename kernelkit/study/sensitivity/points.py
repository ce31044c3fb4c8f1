"""Points in the space of parameters, and what a strategy comes to at each of them (rules N1-N3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelkit.binding import bind, checked, extremes
from kernelkit.errors import UsageError, message
from kernelkit.inference.checks import is_number
from kernelkit.recipe import check_bars, resolve
from kernelkit.schema import METRICS
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Case, Common, Laid, Refused, free_of, lay, run, uninterrupted
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]
Ranges = Mapping[str, tuple[Any, Any]]
Point = dict[str, Any]

# metrics of which more is better, so that "what is left" means something
BETTER = (
    *("sharpe_ratio", "sortino_ratio", "calmar_ratio", "total_return", "cagr", "final_equity"),
    *("profit_factor", "win_rate"),
)
SAMPLE = "evaluation"
MOST = 10**6  # runs along one way: all of them are laid out
SEEDS = 2**64 - 1  # the largest seed of `kernelkit.rng`


@dataclass(frozen=True)
class Range:
    """N1: the values of a parameter from ``low`` to ``high``, both of them in it: whole where both are, or truths.

    >>> Range("n", 5, 50).drawn(np.array([0.0, 0.999])), Range("w", 0.0, 2.0).at(0.5)
    ([5, 50], 1.0)
    """

    name: str
    low: Any
    high: Any

    @property
    def kind(self) -> type:
        """Of its values: bool, int or float."""
        both = {type(self.low), type(self.high)}
        return float if float in both else both.pop()

    @property
    def width(self) -> float:
        """From the lowest to the highest value."""
        return float(self.high) - float(self.low)

    def at(self, u: float) -> Any:
        """The value at the part ``u`` of the way from low to high, the nearest where they are whole."""
        place = float(self.low) + u * self.width
        return place if self.kind is float else self.kind(round(place))

    def drawn(self, u: Floats) -> list[Any]:
        """The values of these numbers from 0 to 1: uniform, each whole one as likely as any other."""
        if self.kind is float:
            return [float(v) for v in float(self.low) + u * self.width]
        steps = np.minimum(np.floor(u * (self.width + 1.0)), self.width)
        return [self.kind(int(self.low) + int(k)) for k in steps]


def ranges_of(study: str, strategy: Strategy | Signal, params: Mapping[str, Any] | None, given: Any) -> list[Range]:
    """N1: ranges by parameter; raises UsageError for none, for an unknown name, and for what is no pair that rises.

    >>> import kernelkit as kk
    >>> [r.kind.__name__ for r in ranges_of("sobol", kk.strategies.find("sma_cross"), None, {"fast": (5, 50)})]
    ['int']
    """
    what, fix = f"ranges of kk.sensitivity.{study}", 'Write ranges={"fast": (5, 50), "weight": (0.5, 1.0)}.'
    if not isinstance(given, Mapping) or not given:
        raise UsageError(message(what, repr(given), "a pair (low, high) for one parameter or more", fix))
    out = []
    for name, pair in given.items():
        good = isinstance(pair, (tuple, list)) and len(pair) == 2
        values = [v.item() if isinstance(v, np.generic) else v for v in pair] if good else []
        truths = all(type(v) is bool for v in values)
        if not good or not (truths or all(map(is_number, values))) or not values[0] < values[1]:
            raise UsageError(message(f"{what}: {name}", repr(pair), "a pair (low, high) of numbers that rises", fix))
        out.append(Range(str(name), *values))
    own = checked(f"params of {strategy.name}", params)
    bind(strategy, {**own, **{r.name: r.low for r in out}}, None)
    return out


def point_of(study: str, strategy: Any, params: Mapping[str, Any] | None, ranges: Sequence[Range] = ()) -> Point:
    """The parameters that are studied, defaults filled in; those with a range of floats are floats.

    Raises UsageError for one with several values, and one without any that no range is given for.
    """
    strategy = resolve(strategy)
    own = checked(f"params of {strategy.name}", params)
    scalars, axes = bind(strategy, {**{r.name: r.low for r in ranges}, **own}, None)
    if axes:
        name, values = next(iter(axes.items()))
        fix = "The point that is studied has one value of each; its surroundings are the study's."
        raise UsageError(message(f"kk.sensitivity.{study}: {name}", f"{len(values)} values", "one", fix))
    return scalars | {r.name: float(scalars[r.name]) for r in ranges if r.kind is float}


def check_metric(study: str, metric: Any, better: bool) -> None:
    """Raise UsageError for a metric that `kk.backtest` does not have, or, where ``better``, of which more is worse.

    >>> check_metric("noise", "sharpe_ratio", True)
    """
    known = BETTER if better else METRICS
    if metric not in known:
        wanted = f"one of {', '.join(known)}"
        raise UsageError(message(f"kk.sensitivity.{study}: metric", repr(metric), wanted, "Choose what is compared."))


def whole(study: str, name: str, value: Any, least: int, most: int = MOST) -> int:
    """This whole number; UsageError where it is none, below ``least``, or above ``most``.

    >>> whole("noise", "draws", 100.0, 1)
    100
    """
    if not (is_number(value) and value == int(value) and least <= value <= most):
        wanted, fix = f"a whole number from {least} to {most}", f"See help(kk.sensitivity.{study})."
        raise UsageError(message(f"kk.sensitivity.{study}: {name}", repr(value), wanted, fix))
    return int(value)


def check_share(study: str, name: str, value: Any) -> None:
    """Raise UsageError for what is no number between 0 and 1.

    >>> check_share("noise", "share", 0.8)
    """
    if not (is_number(value) and 0.0 < value < 1.0):
        fix = f"See help(kk.sensitivity.{study})."
        raise UsageError(message(f"kk.sensitivity.{study}: {name}", repr(value), "a number between 0 and 1", fix))


def named_apart(study: str, names: Sequence[str], dims: Sequence[str]) -> None:
    """Raise UsageError for a parameter with a name that the result has for something else."""
    free_of(f"sensitivity.{study}", names, (*dims, *METRICS, "error", "asset"))


def rows_of(point: Point, columns: Mapping[str, Sequence[Any]]) -> list[Point]:
    """The point once for each row of some parameters' values.

    >>> rows_of({"n": 5, "w": 1.0}, {"n": [7, 9]})
    [{'n': 7, 'w': 1.0}, {'n': 9, 'w': 1.0}]
    """
    return [{**point, **dict(zip(columns, row, strict=True))} for row in zip(*columns.values(), strict=True)]


def evaluated(points: Sequence[Point], common: Common, means: Means) -> xr.Dataset:
    """N2: the scalar metrics at each point, along dim ``evaluation``; equal points are run once.

    All are evaluated from the first row at which all of them have warmed up. What fails is NaN with its reason in
    ``error``. Raises what the first raises where none has a result; KeyboardInterrupt, as no index is of a part.
    """
    numbers: dict[tuple[Any, ...], int] = {}
    index = [numbers.setdefault(tuple(point.items()), len(numbers)) for point in points]
    cases = [Case(k, settings={"params": dict(point)}) for k, point in enumerate(numbers)]
    laid = [*lay(longest(cases, common.strategy), common)]
    if any(isinstance(one, Refused) for one in laid):
        laid = [*lay(cases, common)]
    begun = [one.recipe.start for one in laid if isinstance(one, Laid)]
    if begun:
        common = replace(common, start=check_bars(common.bars)["time"].values[max(begun)])
    found = uninterrupted(run(SAMPLE, cases, common, role="sensitivity", means=means))
    out = found.isel({SAMPLE: index}).assign_coords({SAMPLE: np.arange(len(index))})
    out.attrs |= {"failed": int((out["error"].values != "").sum())}
    out.attrs.pop("params")
    return out


def longest(cases: Sequence[Case], strategy: Strategy | Signal) -> list[Case]:
    """Cases of which one has the longest warm-up of all: those with the largest value of each parameter."""
    if isinstance(strategy, Signal):
        return [*cases[:1]]
    if callable(strategy.warmup):
        return [*cases]
    kept = extremes([tuple(case.settings["params"].values()) for case in cases]) if cases[0].settings["params"] else ()
    return [case for case in cases if tuple(case.settings["params"].values()) in kept]


def stacked(values: xr.DataArray, many: int, outer: str, inner: str) -> xr.DataArray:
    """Dim ``evaluation``, which is ``many`` runs of equal length, as two dims."""
    import xarray as xr

    rest = [d for d in values.dims if d != SAMPLE]
    table = values.transpose(SAMPLE, *rest).values
    shape = (many, table.shape[0] // many, *table.shape[1:])
    coords = {d: values[d] for d in rest if d in values.coords}
    return xr.DataArray(table.reshape(shape), coords, (outer, inner, *rest), values.name)


def left_of(values: xr.DataArray, base: xr.DataArray) -> xr.DataArray:
    """N3: what is left of a metric, as a share of what it is at the point; NaN where that is not above 0."""
    found: xr.DataArray = values / base.where(base > 0.0)
    return found.assign_attrs(long_name=f"{values.name} over that of the point", units="1")


def held_of(ds: xr.Dataset, base: xr.DataArray, share: float, over: Sequence[str]) -> xr.DataArray:
    """N3: the share of what was run of which at least ``share`` is left; NaN where the point's own is not above 0."""
    good = (ds["left"] >= share).sum(over) / ran_of(ds).sum(over)
    found: xr.DataArray = good.where(base > 0.0)
    return found.assign_attrs(long_name=f"share of runs with {share:g} or more of the point's", units="1")


def ran_of(ds: xr.Dataset) -> xr.DataArray:
    """What was run, be it without a result; not what a condition excludes."""
    return ds["final_equity"].notnull() | (ds["error"] != "")


def without_gaps(values: xr.DataArray, over: str) -> xr.DataArray:
    """The labels along ``over`` at which there is a value in all other dims: bool (over,)."""
    whole: xr.DataArray = values.notnull().all([d for d in values.dims if d != over])
    return whole


def gaps_told(kept: int, total: int, what: str, metric: str) -> dict[str, Any]:
    """N4: how many rows were left out, in words, too; nothing to say is an empty text.

    >>> gaps_told(9, 10, "trajectories", "sharpe_ratio")["note"]
    '1 of 10 trajectories are left out: sharpe_ratio is NaN somewhere in them.'
    """
    lost = total - kept
    note = f"{lost} of {total} {what} are left out: {metric} is NaN somewhere in them." if lost else ""
    return {"left_out": lost, "note": note}
