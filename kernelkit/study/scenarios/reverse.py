"""The smallest shock that ruins (rule Z18). Adds dim ``size``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kernelkit import schema
from kernelkit.errors import UsageError, arguments, message
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.reuse import Cache
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Case, Common, ended, run, uninterrupted
from kernelkit.study.scenarios.stress import case_of, world_of
from kernelkit.study.scenarios.world import Scenario, check_number
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

By = Literal["loss", "total", "drawdown"]
BY = ("loss", "total", "drawdown")


def shocked(shock: Any, size: float) -> Scenario:
    """The scenario of a size; raises UsageError for what is none."""
    made = shock(size) if callable(shock) else shock
    if not isinstance(made, Scenario):
        fix = "Write shock=lambda size: kk.scenarios.Gap(-size)."
        raise UsageError(message("shock", repr(made), "a function of a size that returns one of kk.scenarios", fix))
    return made


def lost(ds: xr.Dataset, base: xr.Dataset, by: By) -> np.ndarray:
    """The share that is lost at each size, float64 (size,).

    ``"loss"`` of the final equity of the base, ``"total"`` of the cash at the start, ``"drawdown"`` of the highest
    equity before.
    """
    if by == "drawdown":
        found = ds["max_drawdown"]
    elif by == "total":
        found = -ds["total_return"]
    elif (left := float(base["final_equity"][0])) > 0.0:
        found = 1.0 - ds["final_equity"] / left
    else:  # there is nothing left to lose
        found = 0.0 * ds["final_equity"] + 1.0
    values: np.ndarray = found.values
    return values


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def reverse_stress(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    shock: Callable[[float], Scenario],
    largest: float = 0.9,
    ruin: float = 0.5,
    by: By = "loss",
    tolerance: float = 1e-3,
    steps: int = 16,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Find the smallest size of a shock at which an account loses the share ``ruin``: 1 is all of it.

    ``shock(size)`` makes the scenario of a size from 0 (the base, which has none) to ``largest``. By a scan: ``steps``
    sizes, evenly spaced, and again between the first that ruins and the one before it, until they are ``tolerance``
    apart. Where losses do not rise with the size it is the first crossing of the scan; a smaller one between two of its
    sizes is not seen. ``by`` says what counts: ``"loss"`` of the base's final equity, ``"total"`` of the cash at the
    start, ``"drawdown"`` of the highest equity before.

    A Dataset with dim ``size``, all that were run in ascending order: the scalar metrics of `kk.backtest`, ``lost``,
    ``error`` (a size that fails ruins nobody), and ``smallest``, NaN where the largest does not ruin either. In the
    ledger all have the role ``scenario``. One account is asked: raises UsageError for a grid and for several assets
    that share none, for numbers out of their ranges, and what `kk.stress` raises. After an interrupt ``smallest`` is
    the smallest size that a whole scan has found, NaN before the first, and ``attrs["interrupted"]`` says so.

    Source: Basel Committee, Stress testing principles (2018), on reverse stress tests.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> bars = kk.data.load("sp500_index")
    >>> found = kk.reverse_stress(bars, hold, shock=lambda size: kk.scenarios.Gap(-size))
    >>> round(float(found["smallest"]), 2)
    0.5
    """
    check_number("ruin", ruin, 1e-6, 1.0, "0.5 is half of it.", ends=True)
    check_number("largest size", largest, 0.0, np.inf, "Sizes go from 0 to it.")
    check_number("tolerance", tolerance, 0.0, np.inf, "0.001 is fine.")
    many: Any = steps
    if not (isinstance(many, int) and many >= 2):
        raise UsageError(message("steps", repr(steps), "a whole number, 2 or more", "16 sizes are run together."))
    if by not in BY:
        raise UsageError(message("by", repr(by), f"one of {', '.join(BY)}", "Choose what counts as lost."))
    import xarray as xr

    common = Common(bars, strategy, params, None, None, start, end, account, venue, fill_model)
    world, means = world_of(common), Means(client, cache, memory_limit)

    def at(sizes: Sequence[float]) -> xr.Dataset:
        cases = [Case(s) if s == 0.0 else case_of(s, shocked(shock, s), world) for s in sizes]
        return run("size", cases, common, role="scenario", means=means)

    base = uninterrupted(at([0.0]))
    axes = [str(d) for d in base.dims if d != "size"]
    if axes:
        fix = "Choose one asset and scalar params, or use @kk.portfolio."
        raise UsageError(message("reverse stress", f"dims {', '.join(axes)}", "one account", fix))
    found, low, high, smallest, stopped = [base], 0.0, float(largest), np.nan, ""
    if lost(base, base, by)[0] >= ruin:
        high, smallest = 0.0, 0.0
    while high - low > tolerance:
        sizes = np.linspace(low, high, steps + 1)[1:]
        if not np.isnan(smallest):  # the last of them is known
            sizes = sizes[:-1]
        try:
            ds = at(sizes.tolist())
        except KeyboardInterrupt:
            stopped = f"{len(found) - 1} scans done"
            break
        found.append(ds.isel(size=slice(0, ended(ds))))
        if "interrupted" in ds.attrs:
            stopped = f"{len(found) - 2} scans done, and a part of another"
            break
        over = np.flatnonzero(lost(ds, base, by) >= ruin)
        if not len(over) and np.isnan(smallest):
            break
        k = int(over[0]) if len(over) else len(sizes)
        low, high = float(sizes[k - 1]) if k else low, float(sizes[k]) if k < len(sizes) else high
        smallest = high
    out = xr.concat(found, "size").sortby("size")
    out["lost"] = "size", lost(out, base, by)
    out["smallest"] = smallest
    schema.label(out)
    if stopped:
        out.attrs["interrupted"] = stopped
    out.attrs |= {"by": by, "ruin": ruin, "tolerance": tolerance, "trials": out.sizes["size"]}
    out.attrs["failed"] = int((out["error"].values != "").sum())
    return out
