"""What a strategy can pay before it no longer pays: break-even costs (rule N9). Adds dim ``cost``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kernelkit.errors import UsageError, arguments, message
from kernelkit.inference.checks import is_number
from kernelkit.market import fees, slippage
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.models import CostModel
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.recipe import resolve
from kernelkit.reuse import Cache
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Case, Common, run, uninterrupted
from kernelkit.study.scenarios.stress import world_of
from kernelkit.study.scenarios.trading import at_venue
from kernelkit.study.scenarios.world import World
from kernelkit.study.sensitivity.points import (
    check_metric,
    point_of,
    whole,
)
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

Of = Literal["fees", "slippage", "spread", "costs"]
EVER = -(2**62), 2**62  # ns, beyond all bars
LARGEST = {"fees": 500.0, "slippage": 500.0, "spread": 1000.0, "costs": 20.0}
UNITS = {"fees": "basis points", "slippage": "basis points", "spread": "basis points", "costs": "times"}


def dearer(world: World, of: str, cost: float) -> Venue | Venues:
    """N9: the venue with this much more: basis points on top of what it charges, or of ``costs`` a factor of it.

    >>> from kernelkit.study.scenarios.stress import world_of
    >>> import kernelkit as kk
    >>> world = world_of(Common(kk.data.load("sp500_index"), kk.strategies.find("buy_and_hold")))
    >>> dearer(world, "spread", 10.0).costs
    'slippage spread(ticks=0, rate=0.001)'
    """

    def plus(model: CostModel | None, more: CostModel) -> CostModel:
        return more if model is None else model + more

    def times(model: CostModel | None) -> CostModel | None:
        return None if model is None else model.during(*EVER, cost)

    def change(venue: Venue) -> Venue:
        if of == "costs":
            return replace(venue, fees=times(venue.fees), slippage=times(venue.slippage))
        if of == "fees":
            return replace(venue, fees=plus(venue.fees, fees.fraction(1e-4 * cost)))
        more = slippage.spread(rate=1e-4 * cost) if of == "spread" else slippage.fraction(1e-4 * cost)
        return replace(venue, slippage=plus(venue.slippage, more))

    untouched = cost == (1.0 if of == "costs" else 0.0)
    return world.venue if untouched else at_venue(world, None, change)


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def break_even(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    of: Of = "slippage",
    metric: str = "total_return",
    above: float = 0.0,
    largest: float | None = None,
    tolerance: float = 0.01,
    steps: int = 32,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Find the cost at which a strategy no longer pays: at which ``metric`` falls to ``above``, or below.

    ``of="fees"`` and ``"slippage"`` are basis points of each trade's value (0.01 %) on top of what the venue charges,
    ``"spread"`` the width of a spread of which each market and stop order pays half: without a venue, all that is paid.
    ``"costs"`` is a factor on the venue's own fees and slippage, 0 is free. ``largest`` is as far as it looks (None:
    500, of a spread 1000, of costs 20).

    ``steps`` costs from 0 to the largest are run together, and again between the last that pays and the first that does
    not, until these are ``tolerance`` apart (in the same unit). More costs need not mean less profit: targets are
    sized by what is left after costs, whole lots round, and what cash cannot pay is cut. So ``crossings`` counts how
    often, of all costs that were run, one that pays is next to one that does not, ``monotone`` says whether the
    metric never rose, and ``break_even`` is the first crossing: beyond it the strategy may pay again.

    A Dataset with dim ``cost``, all that were run in ascending order, with the scalar metrics of `kk.backtest` and
    ``error`` (what fails does not pay); ``break_even`` is NaN where nothing pays even at 0, or all still do at the
    largest: ``attrs["note"]`` says which. In the ledger all have the role ``sensitivity``. One account is asked: raises
    UsageError for several assets that share none, for costs of a venue without any, and for numbers out of range, and
    what `kk.backtest` raises.

    >>> import kernelkit as kk
    >>> found = break_even(kk.data.load("sp500_index"), kk.strategies.find("sma_cross"), dict(fast=20, slow=100))
    >>> 60.0 < float(found["break_even"]) < 90.0
    True
    """
    check_metric("break_even", metric, better=True)
    if of not in list(UNITS):
        fix = "Choose what is to rise."
        raise UsageError(message("kk.sensitivity.break_even: of", repr(of), f"one of {', '.join(UNITS)}", fix))
    many, most = whole("break_even", "steps", steps, 2), LARGEST[of] if largest is None else largest
    limit = np.inf if of == "costs" else 1e4
    for name, value, top in (("largest", most, limit), ("tolerance", tolerance, np.inf)):
        if not (is_number(value) and 0.0 < value < top):
            fix = f"They are {UNITS[of]}: write {name}={LARGEST[of] if name == 'largest' else 0.01:g}."
            wanted = f"a number above 0 and below {top:g}"
            raise UsageError(message(f"kk.sensitivity.break_even: {name}", repr(value), wanted, fix))
    if not is_number(above):
        fix = "0 is where it earns nothing."
        raise UsageError(message("kk.sensitivity.break_even: above", repr(above), f"a value of {metric}", fix))
    import xarray as xr

    point = point_of("break_even", strategy, params)
    common = Common(bars, resolve(strategy), point, None, None, start, end, account, venue, fill_model)
    world = world_of(common)
    if of == "costs" and not world.venue.models:
        fix = 'Pass venue=, or ask of="slippage" or of="fees".'
        raise UsageError(message("kk.sensitivity.break_even", "a venue without costs", "costs to multiply", fix))

    def at(costs: Sequence[float]) -> xr.Dataset:
        cases = [Case(c, settings={"venue": dearer(world, of, c)}) for c in costs]
        ds = uninterrupted(run("cost", cases, common, role="sensitivity", means=Means(client, cache, memory_limit)))
        if ds[metric].dims != ("cost",):
            fix = "Choose one asset, bars.sel(asset=[name]), or use @kk.portfolio."
            raise UsageError(message("kk.sensitivity.break_even", f"{ds.sizes['asset']} accounts", "one", fix))
        return ds

    ds = at(np.linspace(0.0, float(most), many + 1).tolist())
    while (bracket := first_crossing(ds["cost"].values, ds[metric].values > above)) is not None:
        low, high = bracket
        if high - low <= tolerance or np.nextafter(low, high) >= high:
            break
        ds = xr.concat([ds, at(np.linspace(low, high, many + 1)[1:-1].tolist())], "cost").sortby("cost")
    values, pays = ds[metric].values, ds[metric].values > above
    ds["break_even"] = np.nan if bracket is None else bracket[1]
    ds["break_even"].attrs = {"long_name": f"{of} at which {metric} is no longer above {above:g}", "units": UNITS[of]}
    ds["crossings"] = int(np.sum(pays[1:] != pays[:-1]))
    ds["monotone"] = bool((np.diff(values[~np.isnan(values)]) <= 0.0).all())
    note = ""
    if not pays[0]:
        note = f"It does not pay even at {of} of 0: {metric} is {values[0]:.4g}."
    elif bracket is None:
        note = f"It still pays at {of} of {most:g} {UNITS[of]}: {metric} is {values[-1]:.4g}."
    elif int(ds["crossings"]) > 1:
        note = f"{metric} crosses {above:g} {int(ds['crossings'])} times: break_even is the first."
    ds["cost"].attrs = {"long_name": of, "units": UNITS[of]}
    told = {"of": of, "metric": metric, "above": above, "tolerance": tolerance, "note": note}
    failed = int((ds["error"].values != "").sum())
    ds.attrs |= told | {"study": "break_even", "trials": ds.sizes["cost"], "failed": failed, "params": point}
    return ds


def first_crossing(costs: np.ndarray, pays: np.ndarray) -> tuple[float, float] | None:
    """N9: the last cost that pays and the first that does not; None where the first does not, or all do.

    >>> first_crossing(np.array([0.0, 1.0, 2.0]), np.array([True, False, True]))
    (0.0, 1.0)
    """
    if not pays[0] or pays.all():
        return None
    k = int(np.flatnonzero(~pays)[0])
    return float(costs[k - 1]), float(costs[k])
