"""Monte Carlo: the strategy itself on many paths that might have been. Adds dim ``path``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.engine import backtest
from kernelkit.errors import UsageError, arguments, message
from kernelkit.kernels import layout as L
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.venue import Venue
from kernelkit.paths import Bootstrap
from kernelkit.paths.model import Kind, Model
from kernelkit.recipe import check_bars, resolve
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Case, Common, free_of, run
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BATCH_BARS = 2**19  # of the paths that are made at once


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def monte_carlo(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    paths: int = 1000,
    model: Model | None = None,
    seed: int = 0,
    draws: Kind = "independent",
    grid: Mapping[str, Any] | None = None,
    where: str | Callable[..., Any] | None = None,
    ruin: float = 0.5,
    quantiles: Sequence[float] = QUANTILES,
    account: Any = None,
    venue: Any = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Any = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Run a strategy, with its whole grid, on ``paths`` paths of a model of these bars, and on the bars themselves.

    ``model`` is one of `kk.paths`, by default `kk.paths.Bootstrap.fit(bars)`: the bars themselves in blocks drawn anew,
    so that whatever the strategy found is there as often as chance has it, but nothing repeats in the order in which it
    was found; of several assets together. Path i is the same whatever their number (G1). ``draws`` are those of
    `kk.paths.simulate`: ``"antithetic"`` pairs make means of what rises and falls with the prices more exact, and
    ``"sobol"`` points (of `GBM`, `GARCH`, `IID`) those of what hangs on where the path ends. Rule G13.

    Returns the metrics of `kk.backtest` with dims ``path`` and those of the grid; of the bars themselves ``observed``
    by ``metric``, and ``rank``: the share of paths at or below it (dim ``metric``). ``equity_band`` by ``quantile`` and
    ``block`` is what the account was worth at the end of each block of the clock (coord ``block_end``), as a multiple
    of its cash; ``drawdown_band`` the largest drawdown by ``quantile``; ``probability_of_ruin`` the share of paths on
    which it was ever worth ``ruin`` times its cash or less at the end of a session.
    ``attrs["model"]`` says which, ``attrs["without"]`` what of the bars no path has:
    actions (dividends, funding), features, the universe.
    Raises UsageError, DataError, StrategyError, OrderError.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def trend(ctx, n=100):
    ...     ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)
    >>> bars = kk.data.load("sp500_index")
    >>> mc = kk.monte_carlo(bars, trend, paths=20, seed=1)
    >>> mc.sizes["path"], mc["equity_band"].dims
    (20, ('quantile', 'block'))
    """

    bars, strategy = check_bars(bars), resolve(strategy)
    _check(paths, ruin, quantiles, model)
    FillModel.of(fill_model)  # one at a time, unlike `backtest`
    free_of("monte_carlo", [*(grid or {}), *(params or {})], ("path", "block", "metric", "quantile"))
    model = Bootstrap.fit(bars) if model is None else model
    settings = {"account": account, "venue": venue, "fill_model": fill_model}
    means = Means(client, cache, memory_limit)
    given = {"client": client, "cache": cache, "memory_limit": memory_limit}
    seen = backtest(bars, strategy, params, grid=grid, where=where, **settings, **given)
    common = Common(None, strategy, params, grid, where, **settings)
    together = not isinstance(strategy, Signal) and strategy.shared
    named = any(repr(str(a)) in repr(settings) for a in bars["asset"].values)  # a batch has other names
    wide = 1 if len(model.assets) > 1 or together or named else max(1, BATCH_BARS // bars.sizes["time"])
    count = -(-paths // wide)
    wide = -(-paths // count)
    cases = [Case(k, partial(_batch, model, bars, k * wide, wide, seed, draws)) for k in range(count)]
    found = run("path", cases, common, role="path", blocks=("index", "n", "w", "lo"), means=means)
    if wide > 1:
        found = _apart(found).isel(path=slice(0, paths))
    return _summed(found, seen, ruin, quantiles).assign_attrs(
        model=repr(model), seed=seed, draws=draws, study="monte_carlo", without=", ".join(lost_of(bars))
    )


def _batch(model: Model, bars: xr.Dataset, first: int, many: int, seed: int, draws: Kind) -> xr.Dataset:
    """Bars of so many paths, assets of equal names in each batch."""
    if many == 1:
        return model.bars(path=first, seed=seed, like=bars, draws=draws)
    found = model.many(paths=range(first, first + many), seed=seed, like=bars, draws=draws)
    return found.assign_coords(asset=[str(k) for k in range(many)])


def _apart(found: xr.Dataset) -> xr.Dataset:
    """Batches of paths, assets of a batch, as paths in a row."""
    stacked = found.stack(one=("path", "asset")).reset_index("one", drop=True).rename(one="path")
    stacked = stacked.transpose("path", ..., "block", "summary").drop_vars(("path", "asset"), errors="ignore")
    return stacked.assign_coords(path=np.arange(stacked.sizes["path"]))


def _summed(found: xr.Dataset, seen: xr.Dataset, ruin: float, quantiles: Sequence[float]) -> xr.Dataset:
    """What the paths say together (G13); their block summaries are no longer needed."""
    import xarray as xr

    w, low = (found["blocks"].sel(summary=name, drop=True) for name in ("w", "lo"))
    after = w.fillna(1.0).cumprod("block").where(found["max_drawdown"].notnull())
    before = after.shift(block=1, fill_value=1.0)
    lowest = (before * low).min("block")
    levels = xr.DataArray(list(quantiles), dims="quantile", name="quantile")
    out = found.drop_vars(["blocks", "summary"])
    there = out["max_drawdown"].notnull().any("path")  # not of cells that `where` excludes

    def among(x: xr.DataArray) -> xr.DataArray:
        return x.where(there, 0.0).quantile(levels.values, "path").where(there)

    out["equity_band"], out["drawdown_band"] = among(after), among(out["max_drawdown"])
    out["probability_of_ruin"] = (lowest <= ruin).sum("path") / found["max_drawdown"].notnull().sum("path").clip(1)
    out["probability_of_ruin"] = out["probability_of_ruin"].where(there)
    names = [n for n in L.HEADLINE if n in seen and n in found]
    each = found[names].to_dataarray("metric")
    out["observed"] = observed = seen[names].to_dataarray("metric").drop_vars("asset", errors="ignore")
    known = each.notnull()
    out["rank"] = ((each <= observed) & known).sum("path") / known.sum("path").clip(1)
    out["rank"] = out["rank"].where(observed.notnull() & known.any("path"))
    texts = {
        "equity_band": "equity at the end of each block over the cash at first, by quantile of the paths",
        "drawdown_band": "largest drawdown, by quantile of the paths",
        "probability_of_ruin": f"share of paths on which the account was worth {ruin:g} times its cash or less",
        "observed": "metrics of the bars themselves",
        "rank": "share of paths at or below what was observed",
    }
    for name, text in texts.items():
        out[name].attrs = {"long_name": text, "units": "1"}
    index, count = (_largest(found["blocks"].sel(summary=name, drop=True)) for name in ("index", "n"))
    last = np.flatnonzero(np.diff(seen["session"].values, append=-1))  # bars that end a session
    ends = last[np.cumsum(count) - 1 + len(last) - count.sum()]
    out = out.assign_coords(block=index, block_end=("block", seen["time"].values[ends]))
    return out.assign_attrs(ruin=ruin, periods_per_year=seen["blocks"].attrs["periods_per_year"])


def _largest(x: xr.DataArray) -> np.ndarray:
    """Over all dims but ``block``, int64."""
    found: np.ndarray = x.max([d for d in x.dims if d != "block"]).values.astype("i8")
    return found


def lost_of(bars: xr.Dataset) -> list[str]:
    """What of these bars a path does not have: actions, features, the universe."""
    names = [n for n in map(str, bars.data_vars) if n.startswith("x.") or n == "universe"]
    return [*(["actions"] if "action_kind" in bars.variables else []), *names]


def _check(paths: Any, ruin: Any, quantiles: Any, model: Any) -> None:
    fix = "See help(kk.monte_carlo)."
    if not (isinstance(paths, int | np.integer) and paths >= 2):
        raise UsageError(message("monte_carlo: paths", repr(paths), "a whole number from 2 on", fix))
    if not (isinstance(ruin, int | float | np.number) and 0.0 <= ruin < 1.0):
        raise UsageError(message("monte_carlo: ruin", repr(ruin), "a share of the cash, from 0 to below 1", fix))
    if not (model is None or isinstance(model, Model)):
        example = "Write model=kk.paths.GBM.fit(bars)."
        raise UsageError(message("monte_carlo: model", repr(model), "a model of kk.paths", example))
    levels = np.asarray(quantiles)
    if (
        levels.dtype.kind not in "iuf"
        or levels.ndim != 1
        or not len(levels)
        or not ((levels >= 0) & (levels <= 1)).all()
    ):
        raise UsageError(message("monte_carlo: quantiles", repr(quantiles), "numbers from 0 to 1", fix))
