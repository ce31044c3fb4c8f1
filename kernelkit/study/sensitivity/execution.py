"""What becomes of a result when its orders arrive later (rule N10). Adds dim ``delay``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.data.actions import NAMES
from kernelkit.errors import UsageError, arguments, message
from kernelkit.inference.checks import is_number
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.halts import duration
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.recipe import resolve
from kernelkit.reuse import Cache
from kernelkit.schema import METRICS
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Case, Common, Laid, lay, run, uninterrupted
from kernelkit.study.scenarios.stress import world_of
from kernelkit.study.scenarios.trading import at_venue
from kernelkit.study.scenarios.world import World, marked
from kernelkit.study.sensitivity.points import check_metric, left_of, point_of
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

REAL = -1
OF_CLOCK = ("max_drawdown_duration",)  # metrics that count days, which an even clock has others of


def even_clock(bars: xr.Dataset, first: int, last: int) -> tuple[xr.Dataset, int]:
    """N10: the bars on a clock on which each row is known as long after the one before, and how long that is, ns.

    The rows ``first`` and ``last`` are known when they were; a row opens as long before as it did, or when the one
    before is known. Times of actions go with the clock.

    >>> from kernelkit.data import load
    >>> bars = load("sp500_index")
    >>> even, step = even_clock(bars, 0, bars.sizes["time"] - 1)
    >>> set(np.diff(even["known_at"].values).astype("i8").tolist()) == {step}
    True
    """
    opened, known = (bars[n].values.astype("datetime64[ns]").astype("i8") for n in ("open_at", "known_at"))
    step = int(known[last] - known[first]) // max(1, last - first)
    later = known[last] + (np.arange(len(known)) - last) * step
    clock = {"open_at": later - np.minimum(step, known - opened), "known_at": later}
    out = bars.assign_coords({n: ("time", v.view("datetime64[ns]"), bars[n].attrs) for n, v in clock.items()})
    if NAMES[0] in bars.variables:
        old, new = (np.stack(pair, axis=1).ravel() for pair in ((opened, known), (clock["open_at"], later)))
        when = bars[NAMES[0]].values.astype("datetime64[ns]").astype("i8")
        k = np.clip(np.searchsorted(old, when, side="right") - 1, 0, len(old) - 1)
        room = np.append(np.diff(new), np.iinfo("i8").max)[k]
        moved = new[k] + np.minimum(when - old[k], np.maximum(room - 1, 0))
        out = out.assign_coords({NAMES[0]: ("action", moved.view("datetime64[ns]"))})
    return marked(out, "Each row is known as long after the one before."), step


def given_delays(delays: Any) -> tuple[list[Any], bool]:
    """The delays, and whether they are numbers of bars; raises UsageError for what is neither these nor durations.

    >>> given_delays([0, 1]), given_delays(["250ms"])
    (([0, 1], True), (['250ms'], False))
    """
    fix = 'Write delays=(0, 1, 2) for bars, or delays=("1s", "5min") for durations.'
    found = list(delays) if isinstance(delays, (list, tuple, range, np.ndarray)) else []
    bars = all(is_number(d) and d == int(d) and d >= 0 for d in found)
    if not found or not (bars or all(isinstance(d, str) for d in found)) or len(set(found)) != len(found):
        wanted = "whole numbers of bars, or durations, each once"
        raise UsageError(message("kk.sensitivity.delay: delays", repr(delays), wanted, fix))
    return [int(d) for d in found] if bars else found, bars


def sent_later(world: World, by: int) -> Venue | Venues:
    """The venue that everything takes so many ns longer to reach."""
    return at_venue(world, None, lambda venue: replace(venue, latency=int(venue.latency) + by)) if by else world.venue


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def delay(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    delays: Sequence[int] | Sequence[str] = (0, 1, 2, 3),
    metric: str = "sharpe_ratio",
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Run a strategy whose orders reach the venue later, as rule H5 has it, than they do.

    ``delays`` are whole numbers of bars, or durations such as ``"250ms"`` and ``"1D"``, on top of the venue's latency.
    A duration passes while the market is closed, too: a day after Friday's close is before Monday's open. Bars do not:
    for them the study runs on an even clock, on which each row follows the one before after the same time, and the
    venue is always open. That is the same account for whoever does not ask what time it is; the study compares both
    without a delay, and refuses with UsageError where they differ (funding, costs that change by date, moments of the
    day): these take durations.

    A Dataset with dim ``delay``: the scalar metrics of `kk.backtest` (of bars without ``max_drawdown_duration``, which
    counts days), ``error``, and of ``metric`` ``base``, as it is, and ``left``, each delay's over it; NaN where base is
    not above 0. In the ledger all have the role ``sensitivity``. Raises UsageError for other delays, and what
    `kk.backtest` raises.

    >>> import kernelkit as kk
    >>> bars = kk.data.load("sp500_index")
    >>> found = delay(bars, kk.strategies.find("sma_cross"), dict(fast=20, slow=100), delays=[0, 1, 5])
    >>> found["delay"].values.tolist(), float(found["left"][0])
    ([0, 1, 5], 1.0)
    """
    check_metric("delay", metric, better=True)
    known, of_bars = given_delays(delays)
    point = point_of("delay", strategy, params)
    common = Common(bars, resolve(strategy), point, None, None, start, end, account, venue, fill_model)
    world = world_of(common)
    cases = [Case(REAL)]
    if of_bars:
        begun = [one.recipe.start for one in lay(cases, common) if isinstance(one, Laid)]
        even, step = even_clock(world.bars, max(begun, default=0), world.stop - 1)
        always = replace(world, venue=at_venue(world, None, lambda venue: replace(venue, hours=None)))
        cases += [Case(k, even, {"venue": sent_later(always, k * step)}) for k in dict.fromkeys([0, *known])]
    else:
        lengths = [duration(text, "delay", 'Write delays=("1s", "5min").') for text in known]
        cases += [Case(k, settings={"venue": sent_later(world, ns)}) for k, ns in enumerate(lengths)]
    found = uninterrupted(run("delay", cases, common, role="sensitivity", means=Means(client, cache, memory_limit)))
    base = found.isel(delay=0, drop=True)
    if of_bars:
        found = found.drop_vars(OF_CLOCK)
        check_alike(base, found.sel(delay=0, drop=True))
        ds = found.sel(delay=known)
    else:
        ds = found.isel(delay=slice(1, None)).assign_coords(delay=known)
    ds["base"] = base[metric].assign_attrs(long_name=f"{metric} without a delay")
    ds["left"] = left_of(ds[metric], ds["base"])
    ds["delay"].attrs = {"long_name": "until orders reach the venue", **({"units": "bars"} if of_bars else {})}
    failed = int((ds["error"].values != "").sum())
    return ds.assign_attrs({"study": "delay", "metric": metric, "failed": failed})


def check_alike(real: xr.Dataset, even: xr.Dataset) -> None:
    """N10: raise UsageError where an even clock makes another account of it."""
    for name in (n for n in METRICS if n in even):
        if not np.allclose(real[name].values, even[name].values, rtol=1e-9, atol=0.0, equal_nan=True):
            found = f"another {name} on an even clock"
            wanted = "a strategy, a venue and an account that do not ask what time it is"
            fix = 'Give durations: delays=("1h", "1D").'
            raise UsageError(message("kk.sensitivity.delay", found, wanted, fix))
