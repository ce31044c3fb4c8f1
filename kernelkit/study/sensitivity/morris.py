"""Which parameters matter at all, for few runs: the elementary effects of Morris (rules N4, N7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import rng
from kernelkit.errors import UsageError, arguments, message
from kernelkit.inference.intervals import interval
from kernelkit.inference.resampling import Resampling
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.recipe import resolve
from kernelkit.reuse import Cache
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Common
from kernelkit.study.sensitivity.points import (
    SAMPLE,
    SEEDS,
    Floats,
    Ranges,
    check_metric,
    check_share,
    evaluated,
    gaps_told,
    named_apart,
    point_of,
    ranges_of,
    rows_of,
    stacked,
    whole,
    without_gaps,
)
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

PATH, MEASURE = "trajectory", "measure"
MEASURES = {
    "mu": "mean of the elementary effects",
    "mu_star": "mean size of the elementary effects",
    "sigma": "standard deviation of the elementary effects",
}


def walks(many: int, k: int, levels: int, seed: int) -> tuple[Floats, np.ndarray]:
    """N7: points of the unit cube (trajectory, k + 1, k), and which parameter each move changes (trajectory, k).

    Trajectory i is the same whatever their number.

    >>> points, moved = walks(3, 2, 4, seed=1)
    >>> np.abs(np.diff(points, axis=1)).sum(axis=2).round(6).tolist()[0]
    [0.666667, 0.666667]
    """
    paths, each = np.arange(many)[:, None], np.arange(k)[None, :]
    half = levels // 2
    first = np.floor(rng.uniform(seed, paths, each, 0) * half) / (levels - 1.0)
    up = rng.uniform(seed, paths, each, 1) < 0.5
    moved = np.argsort(rng.uniform(seed, paths, each, 2), axis=1)
    step = half / (levels - 1.0)
    place = np.argsort(moved, axis=1)  # after which move a parameter has changed
    changed = np.arange(k + 1)[None, :, None] > place[:, None, :]
    low, high = first[:, None, :], first[:, None, :] + step
    return np.where(changed == up[:, None, :], high, low), moved


def effects(values: xr.DataArray, points: Floats, moved: np.ndarray, names: Sequence[str]) -> xr.DataArray:
    """N7: elementary effects (trajectory, parameter, ...) of values (trajectory, move, ...) at points of the unit cube.

    The step is the one that was made: whole numbers are rounded.
    """
    import xarray as xr

    table = values.transpose(PATH, "move", ...)
    paths = np.arange(len(moved))[:, None]
    steps = np.diff(points, axis=1)[paths, np.arange(moved.shape[1])[None, :], moved]
    rest = table.dims[2:]
    change = np.diff(table.values, axis=1) / steps.reshape(*steps.shape, *(1 for _ in rest))
    out = np.empty_like(change)
    out[paths, moved] = change
    coords = {"parameter": list(names), **{d: table[d] for d in rest if d in table.coords}}
    return xr.DataArray(out, coords, (PATH, "parameter", *rest), attrs={"long_name": "elementary effect"})


def measures(x: xr.DataArray) -> xr.DataArray:
    """N7: mu, mu* and sigma of effects, along dim ``measure``; dim ``trajectory`` is reduced.

    >>> import xarray as xr
    >>> measures(xr.DataArray([-1.0, 3.0], dims="trajectory")).round(3).values.tolist()
    [1.0, 2.0, 2.828]
    """
    import xarray as xr

    return xr.concat([x.mean(PATH), abs(x).mean(PATH), x.std(PATH, ddof=1)], MEASURE)


def screened(effect: xr.DataArray, level: float, resampling: Resampling, metric: str) -> xr.Dataset:
    """N4, N7: the measures by ``parameter``, with intervals; trajectories with a NaN are left out."""
    import xarray as xr

    kept = effect.isel({PATH: np.flatnonzero(without_gaps(effect, PATH).values)})
    many, enough = kept.sizes[PATH], 2 * kept.sizes[PATH] >= effect.sizes[PATH] and kept.sizes[PATH] >= 2
    out: dict[str, xr.DataArray] = {}
    empty = xr.full_like(effect.isel({PATH: 0}, drop=True), np.nan)
    found = interval(measures, kept, dim=PATH, level=level, resampling=resampling) if enough else None
    for k, (name, text) in enumerate(MEASURES.items()):
        for end, what, of in (("", "estimate", ""), ("_low", "low", "lower end: "), ("_high", "high", "upper end: ")):
            one = empty if found is None else found[what].isel({MEASURE: k}, drop=True)
            out[name + end] = one.drop_attrs().assign_attrs(long_name=f"{of}{text} on {metric}")
    return xr.Dataset(out).assign_attrs(gaps_told(many, effect.sizes[PATH], "trajectories", metric))


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def morris(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    ranges: Ranges,
    trajectories: int = 40,
    levels: int = 4,
    metric: str = "sharpe_ratio",
    level: float = 0.95,
    replications: int = 999,
    seed: int = 0,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Screen parameters by elementary effects: each of ``trajectories`` moves every parameter once, in random order.

    An effect is the change of ``metric`` over the change of a parameter, in units of its whole range. A grid of
    ``levels`` (even) values of each is walked in steps of half of it. By ``parameter``: ``mu``, the mean of the effects
    (its sign is the direction); ``mu_star``, the mean of their sizes (what matters at all); ``sigma``, their standard
    deviation (0 for an effect that is the same everywhere; large where it bends, or depends on others). ``_low`` and
    ``_high`` hold each with probability ``level``, by a bootstrap of the trajectories. It takes
    ``trajectories (k + 1)`` runs for k parameters, far fewer than `sobol`, and says less: what matters, not how much.

    A Dataset with these, ``effect`` by ``trajectory`` and ``parameter``, and along ``evaluation`` the parameters and
    all metrics of each run. Trajectories in which a run has no ``metric`` are left out, as ``attrs["left_out"]`` and
    ``attrs["note"]`` say; where fewer than half are whole, all is NaN. In the ledger all have the role ``sensitivity``.
    Raises UsageError for ranges that do not fit, and what `kk.backtest` raises.

    Sources: Morris, Factorial sampling plans for preliminary computational experiments, Technometrics 33 (1991);
    Campolongo, Cariboni and Saltelli, Environmental Modelling and Software 22 (2007), for mu*.

    >>> import kernelkit as kk
    >>> ranges = {"fast": (5, 50), "slow": (60, 200)}
    >>> bars = kk.data.load("sp500_index")
    >>> found = morris(bars, kk.strategies.find("sma_cross"), ranges=ranges, trajectories=8)
    >>> found.sizes["evaluation"], bool((found["mu_star"] >= abs(found["mu"])).all())
    (24, True)
    """
    check_metric("morris", metric, better=False)
    check_share("morris", "level", level)
    many, grid = whole("morris", "trajectories", trajectories, 2), whole("morris", "levels", levels, 2)
    if grid % 2:
        fix = "With an even number a step of half of them makes all values equally likely."
        raise UsageError(message("kk.sensitivity.morris: levels", grid, "an even number", fix))
    number = whole("morris", "seed", seed, 0, SEEDS)
    resampling = Resampling("iid", replications=replications, seed=number)
    strategy = resolve(strategy)
    known = ranges_of("morris", strategy, params, ranges)
    names = [r.name for r in known]
    named_apart("morris", names, (SAMPLE, PATH, "parameter", "effect", *MEASURES))
    point = point_of("morris", strategy, params, known)
    cube, moved = walks(many, len(known), grid, number)
    rows = cube.reshape(-1, len(known))
    columns = {r.name: [r.at(u) for u in rows[:, k]] for k, r in enumerate(known)}
    common = Common(bars, strategy, point, None, None, start, end, account, venue, fill_model)
    ds = evaluated(rows_of(point, columns), common, Means(client, cache, memory_limit))
    made = np.stack([(np.array(columns[r.name], "f8") - float(r.low)) / r.width for r in known], axis=-1)
    values = stacked(ds[metric].drop_vars(SAMPLE), many, PATH, "move")
    effect = effects(values, made.reshape(cube.shape), moved, names)
    found = screened(effect, level, resampling, metric)
    ds = ds.assign_coords({name: (SAMPLE, column) for name, column in columns.items()}).merge(found)
    ds["effect"] = effect
    told = {"study": "morris", "metric": metric, "levels": grid, "level": level}
    return ds.assign_attrs(told | {"replications": replications, "seed": seed} | found.attrs)
