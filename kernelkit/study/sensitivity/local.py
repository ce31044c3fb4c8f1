"""What becomes of a result when its parameters are moved a little, together or one at a time (rules N3, N5, N6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, arguments, message
from kernelkit.inference.checks import is_number
from kernelkit.inference.stability import parameter_plateau
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.recipe import resolve
from kernelkit.reuse import Cache
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Case, Common, run
from kernelkit.study.sensitivity.points import (
    SAMPLE,
    Point,
    Ranges,
    check_metric,
    check_share,
    evaluated,
    held_of,
    left_of,
    named_apart,
    point_of,
    ranges_of,
    whole,
)
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def around(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    by: float | Mapping[str, float] = 0.1,
    steps: int = 2,
    where: str | Callable[..., Any] | None = None,
    metric: str = "sharpe_ratio",
    share: float = 0.8,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Run a strategy at a point of its parameters and at all neighbours up to ``steps`` steps away in each of them.

    A step is the share ``by`` of a parameter's value, of whole numbers the nearest whole number and 1 at least; what is
    above 0 stays above 0. ``by`` is one number for all numeric parameters, or a dict of those that are to move.

    A Dataset as `kk.backtest` has it of a grid: dims are the parameters. Of ``metric``, a larger one is better:
    ``left``, each cell's over the point's; ``held``, the share of all cells that were run at which at least ``share``
    is left; ``stability``, the mean of the point's nearest neighbours over its own (B11); ``plateau``, the share of
    cells joined to the best of them at ``share`` of its value or more (B11). NaN where the point's value is not above
    0. In the ledger all have the role ``sensitivity``. Raises UsageError for steps that lead to 0, and what
    `kk.backtest` raises.

    >>> import kernelkit as kk
    >>> trend = kk.strategies.find("sma_cross")
    >>> found = around(kk.data.load("sp500_index"), trend, dict(fast=20, slow=100), steps=1)
    >>> found["fast"].values.tolist(), found["slow"].values.tolist(), float(found["left"].sel(fast=20, slow=100))
    ([18, 20, 22], [90, 100, 110], 1.0)
    """
    check_metric("around", metric, better=True)
    check_share("around", "share", share)
    point, reach = point_of("around", strategy, params), whole("around", "steps", steps, 1)
    grid = {name: neighbours(name, point[name], size, reach) for name, size in sizes_of(point, by).items()}
    named_apart("around", list(grid), ("left", "held", "stability", "plateau"))
    common = Common(bars, resolve(strategy), point, grid, where, start, end, account, venue, fill_model)
    ds = run("around", [Case(0)], common, role="sensitivity", means=Means(client, cache, memory_limit)).isel(
        around=0, drop=True
    )
    here, over = {name: point[name] for name in grid}, list(grid)
    base = ds[metric].sel(here, drop=True)
    ds["left"] = left_of(ds[metric], base)
    ds["held"] = held_of(ds, base, share, over)
    found = parameter_plateau(ds[metric], over=over, share=share)
    ds["stability"], ds["plateau"] = found["stability"].sel(here, drop=True), found["plateau"]
    ds.attrs |= {"point": here, "metric": metric, "share": share}
    return ds


def sizes_of(point: Point, by: Any) -> dict[str, float]:
    """N5: the share of its value by which each parameter moves; raises UsageError for what cannot."""
    numeric = [n for n, v in point.items() if is_number(v)]
    fix = 'Write by=0.1, or by={"fast": 0.1} for those that are to move.'
    if isinstance(by, Mapping):
        if unknown := [str(n) for n in by if n not in numeric]:
            wanted = f"numeric parameters: {', '.join(numeric) or 'there are none'}"
            raise UsageError(message("kk.sensitivity.around: by", unknown[0], wanted, fix))
        sizes = dict(by)
    else:
        sizes = dict.fromkeys(numeric, by)
    if not sizes:
        raise UsageError(message("kk.sensitivity.around", "no parameter to move", "a numeric one", fix))
    for name, size in sizes.items():
        if not (is_number(size) and 0.0 < size < 1.0):
            what = f"kk.sensitivity.around: by of {name}"
            raise UsageError(message(what, repr(size), "a share of its value, between 0 and 1", fix))
        if point[name] == 0:
            what = f"kk.sensitivity.around: {name}"
            raise UsageError(message(what, "0, of which no share moves it", "a value", fix))
    return sizes


def neighbours(name: str, value: Any, by: float, steps: int) -> list[Any]:
    """N5: the values up to ``steps`` steps below and above; raises UsageError where a float would come to 0.

    >>> neighbours("n", 3, 0.1, 3), neighbours("w", 0.5, 0.2, 1)
    ([1, 2, 3, 4, 5, 6], [0.4, 0.5, 0.6])
    """
    if isinstance(value, int):
        step = max(1, round(by * abs(value)))
        return [v for v in (value + k * step for k in range(-steps, steps + 1)) if v * value > 0]
    if by * steps >= 1.0:
        found, wanted = f"{steps} steps of {by:g}", "steps that stay on one side of 0"
        raise UsageError(message(f"kk.sensitivity.around: {name}", found, wanted, "Take fewer, or smaller ones."))
    return [float(value) * (1.0 + by * k) for k in range(-steps, steps + 1)]


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def one_at_a_time(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    ranges: Ranges,
    steps: int = 9,
    metric: str = "sharpe_ratio",
    share: float = 0.8,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Move each parameter through its range while the others stay at the point ``params``.

    ``ranges`` has a pair (low, high) by parameter, whole where both are whole. A Dataset with dims ``parameter`` and
    ``step``, from low to high in ``steps`` even steps, rounded where whole (a range of fewer values has some twice):
    the scalar metrics of `kk.backtest`, ``error``, and ``value``, the parameter's. Of ``metric``: ``base``, at the
    point; ``left`` and ``held`` (by parameter) as `around` has them; ``swing``, the largest less the smallest, by
    parameter: what a tornado chart shows. All are evaluated from where the longest has warmed up. What two parameters
    do together it cannot see: that takes `morris` or `sobol`. In the ledger all have the role ``sensitivity``. Raises
    UsageError for ranges that do not fit, and what `kk.backtest` raises.

    >>> import kernelkit as kk
    >>> trend = kk.strategies.find("sma_cross")
    >>> ranges = {"fast": (10, 30), "slow": (80, 160)}
    >>> found = one_at_a_time(kk.data.load("sp500_index"), trend, dict(fast=20, slow=100), ranges=ranges, steps=3)
    >>> found["value"].sel(parameter="slow").values.tolist()
    [80.0, 120.0, 160.0]
    """
    check_metric("one_at_a_time", metric, better=True)
    check_share("one_at_a_time", "share", share)
    strategy, many = resolve(strategy), whole("one_at_a_time", "steps", steps, 2)
    known = ranges_of("one_at_a_time", strategy, params, ranges)
    point = point_of("one_at_a_time", strategy, params, known)
    points = [point]
    for one in known:
        points += [{**point, one.name: one.at(k / (many - 1))} for k in range(many)]
    common = Common(bars, strategy, point, None, None, start, end, account, venue, fill_model)
    found = evaluated(points, common, Means(client, cache, memory_limit))
    import xarray as xr

    dims, names = ("parameter", "step"), [r.name for r in known]
    index = xr.DataArray(1 + np.arange(len(points) - 1).reshape(len(known), many), dims=dims)
    ds = found.isel({SAMPLE: index}).drop_vars(SAMPLE).assign_coords(parameter=names, step=np.arange(many))
    values = [float(points[k][n]) for n, row in zip(names, index.values, strict=True) for k in row]
    ds["value"] = dims, np.array(values).reshape(index.shape), {"long_name": "of the parameter"}
    ds["base"] = found[metric].isel({SAMPLE: 0}, drop=True).assign_attrs(long_name=f"{metric} of the point")
    ds["left"] = left_of(ds[metric], ds["base"])
    ds["held"] = held_of(ds, ds["base"], share, ["step"])
    ds["swing"] = (ds[metric].max("step") - ds[metric].min("step")).assign_attrs(long_name=f"range of {metric}")
    ds.attrs |= {"study": "one_at_a_time", "point": point, "metric": metric, "share": share}
    return ds
