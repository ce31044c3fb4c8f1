"""Does a strategy live on the last digits of prices? Noise on the bars (rule N11). Adds dim ``draw``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import rng
from kernelkit.errors import UsageError, arguments, message
from kernelkit.inference.checks import is_number
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.recipe import resolve
from kernelkit.reuse import Cache
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Case, Common, run
from kernelkit.study.scenarios.stress import world_of
from kernelkit.study.scenarios.world import Floats, World, prices_of, repriced, reshaped
from kernelkit.study.sensitivity.points import (
    SEEDS,
    check_metric,
    check_share,
    held_of,
    left_of,
    point_of,
    whole,
)
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr


def noisy(world: World, draw: int, seed: int, bps: float, ticks: float) -> xr.Dataset:
    """N11: the bars with noise on opens and closes; shadows keep their ratio to the body, prices lie on the grid.

    >>> from kernelkit.data import load
    >>> import kernelkit as kk
    >>> bars = load("sp500_index").isel(time=slice(0, 50))
    >>> one = noisy(World(bars, kk.Venue(), kk.Account(), 0, 50), 0, 1, 10.0, 0.0)
    >>> bool(((one["low"] <= one["close"]) & (one["close"] <= one["high"])).all())
    True
    """
    paths = {}
    for a in world.chosen(None):
        known, rows, tick = prices_of(world, a), world.where(a), float(world.bars["tick"].values[a])

        def moved(prices: Floats, stream: int, rows: Any = rows, tick: float = tick) -> Floats:
            z = rng.normal(seed, draw, rows, stream)
            out: Floats = prices * np.exp(1e-4 * bps * z) + ticks * tick * z
            return out

        paths[a] = reshaped(known, moved(known.open, 2 * a), moved(known.close, 2 * a + 1))
    size = " and ".join([*([f"{bps:g} basis points"] if bps else []), *([f"{ticks:g} ticks"] if ticks else [])])
    return repriced(world.bars, paths, f"Noise of {size} on opens and closes, draw {draw} of seed {seed}.")


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def noise(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    bps: float = 0.0,
    ticks: float = 0.0,
    draws: int = 100,
    seed: int = 0,
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
    """Run a strategy on the bars with noise on their prices, ``draws`` times; what is real does not mind a little.

    ``bps`` (basis points of the price) or ``ticks`` of the asset's tick is the standard deviation of what each open and
    each close is moved by, independently; highs and lows go with them, and bars stay bars on their tick grid (where no
    tick size was given a tick is too small to matter). Draw i is the same whatever their number. Noise also adds to the
    volatility of returns, and gives whoever buys low within bars something to earn: keep it small beside the bars' own
    range.

    A Dataset with dim ``draw``: the scalar metrics of `kk.backtest`, ``error``, and of ``metric`` ``base``, that of the
    bars as they are, ``left``, each draw's over it, and ``held``, the share of draws on which at least ``share`` is
    left; NaN where base is not above 0. In the ledger all have the role ``sensitivity``. Raises UsageError for no noise
    and numbers out of range, and what `kk.backtest` raises.

    >>> import kernelkit as kk
    >>> bars = kk.data.load("sp500_index")
    >>> found = noise(bars, kk.strategies.find("sma_cross"), dict(fast=20, slow=100), bps=5, draws=10)
    >>> found.sizes["draw"], bool(found["held"] > 0.5)
    (10, True)
    """
    check_metric("noise", metric, better=True)
    check_share("noise", "share", share)
    many, number = whole("noise", "draws", draws, 1), whole("noise", "seed", seed, 0, SEEDS)
    fix = "Write bps=5, or ticks=1."
    for name, value in (("bps", bps), ("ticks", ticks)):
        if not (is_number(value) and 0.0 <= value <= 1e4):
            raise UsageError(message(f"kk.sensitivity.noise: {name}", repr(value), "a number from 0 to 10000", fix))
    if bps == 0.0 and ticks == 0.0:
        raise UsageError(message("kk.sensitivity.noise", "no noise", "bps= or ticks= above 0", fix))
    point = point_of("noise", strategy, params)
    common = Common(bars, resolve(strategy), point, None, None, start, end, account, venue, fill_model)
    world = world_of(common)
    cases = [Case(-1), *(Case(k, partial(noisy, world, k, number, bps, ticks)) for k in range(many))]
    found = run("draw", cases, common, role="sensitivity", means=Means(client, cache, memory_limit))
    ds = found.isel(draw=slice(1, None))
    ds["base"] = found[metric].isel(draw=0, drop=True).assign_attrs(long_name=f"{metric} of the bars as they are")
    ds["left"] = left_of(ds[metric], ds["base"])
    ds["held"] = held_of(ds, ds["base"], share, ["draw"])
    told = {"study": "noise", "metric": metric, "share": share, "bps": bps, "ticks": ticks, "seed": seed}
    return ds.assign_attrs(told | {"failed": int((ds["error"].values != "").sum())})
