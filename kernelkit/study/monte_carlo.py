"""Monte Carlo: the strategy itself on many paths that might have been. Adds dim ``path``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.engine import backtest
from kernelkit.errors import UsageError, arguments, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Outcome
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.paths import Bootstrap
from kernelkit.paths.model import Kind, Model
from kernelkit.recipe import check_bars, resolve
from kernelkit.result import trial_numbers
from kernelkit.spilling import Array, columns, let_go, room
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Case, Common, Laid, free_of, nodes_of, run
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BATCH_BARS = 2**16  # of the paths that are made at once
BANDS_BYTES = 1 << 26  # of what paths are worth by block, beyond which it lies in a file


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
    alone = len(model.assets) > 1 or together or names_assets(venue, account)  # assets of a batch have other names
    wide = 1 if alone else max(1, BATCH_BARS // bars.sizes["time"])
    count = -(-paths // wide)
    wide = -(-paths // count)
    cases = (Case(k, partial(_batch, model, bars, k * wide, wide, seed, draws)) for k in range(count))
    bands = Bands(count, wide, min(means.bytes, BANDS_BYTES))
    found = run("path", cases, common, role="path", total=count, blocks=True, means=means, each=bands.take)
    if wide > 1:
        found = _apart(found).isel(path=slice(0, paths))
    return _summed(found, bands, seen, ruin, quantiles).assign_attrs(
        model=repr(model),
        seed=seed,
        draws=draws,
        study="monte_carlo",
        without=", ".join(lost_of(bars)),
        trials=found.attrs["trials"] * paths // (count * wide),
    )


def names_assets(venue: Any, account: Any) -> bool:
    """Whether settings hold for assets by their names: then no other name will do.

    >>> import kernelkit as kk
    >>> names_assets(kk.Venue(), None), names_assets({"SPX": kk.Venue()}, None)
    (False, True)
    """
    if isinstance(venue, Mapping | Venues) or isinstance(account, Accounts):
        return True
    if isinstance(account, Account):
        limits = account.limits
        if isinstance(account.borrow, Mapping) or (limits is not None and not isinstance(limits.short, bool)):
            return True
    return isinstance(venue, Venue) and bool(venue.instruments)


class Bands:
    """What accounts were worth at the end of each block on each path, as a multiple of their cash, as paths arrive.

    Paths come in ``count`` batches of ``wide``; beyond ``most`` bytes it lies in a file.
    """

    def __init__(self, count: int, wide: int, most: float) -> None:
        self.count, self.wide, self.most = count, wide, most
        self.worth: Array | None = None  # (path, cell and block)
        self.lowest: Array | None = None  # (path, cell)
        self.shape: tuple[int, ...] = ()  # of the cells
        self.index = self.n = np.zeros(L.MAX_CELLS, "i8")  # of each block: where it is on the clock, its samples

    def take(self, batch: Laid, part: Outcome) -> None:
        """Add a batch, whose label is its number; of several paths these are its assets."""
        numbers = trial_numbers(batch.recipe)
        nodes, inside = nodes_of(part), np.arange(L.MAX_CELLS) < part.meta[:, :1]
        after = np.cumprod(np.where(inside, nodes["w"], 1.0), axis=1)
        before = np.concatenate([np.ones((len(after), 1)), after[:, :-1]], axis=1)
        lowest = np.where(inside, before * nodes["lo"], np.inf).min(axis=1)
        after[~part.done], lowest[~part.done] = np.nan, np.nan
        self.index, self.n = (
            np.maximum(known, np.where(inside, nodes[name], 0).max(axis=0, initial=0))
            for known, name in ((self.index, "index"), (self.n, "n"))
        )
        cells = np.moveaxis(numbers, -1, 0) if self.wide > 1 else numbers[None]  # path first
        if self.worth is None or self.lowest is None:
            self.shape = cells.shape[1:]
            many, n = self.count * self.wide, int(np.prod(self.shape, dtype="i8"))
            self.worth = room((many, n * L.MAX_CELLS), "f8", self.most)
            self.lowest = room((many, n), "f8", self.most)
        rows = slice(batch.label * self.wide, (batch.label + 1) * self.wide)
        place = cells.reshape(self.wide, -1)
        self.worth[rows] = np.where(place[..., None] < 0, np.nan, after[place]).reshape(self.wide, -1)
        self.lowest[rows] = np.where(place < 0, np.nan, lowest[place])
        for array in (self.worth, self.lowest):
            let_go(array)

    def quantiles(self, levels: Sequence[float], paths: int) -> np.ndarray:
        """Linear quantiles over the paths that have come to an end, float64 (quantile, cell..., block)."""
        found = columns(self._all(self.worth)[:paths], self.most, lambda worth: quantiles_of(worth, levels))
        return found.reshape(len(levels), *self.shape, L.MAX_CELLS)

    def ruined(self, level: float, paths: int) -> np.ndarray:
        """How many of these paths were ever worth that or less at the end of a session, by cell."""
        found = columns(self._all(self.lowest)[:paths], self.most, lambda worth: (worth <= level).sum(axis=0))
        return found.reshape(self.shape)

    def _all(self, array: Array | None) -> Array:
        if array is None:
            raise TypeError("no path has a result, which the study has said")
        return array


def quantiles_of(x: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Linear quantiles of the numbers along the first axis, NaN apart: `numpy.nanquantile`, all columns at once.

    >>> quantiles_of(np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan]]), [0.0, 0.5]).tolist()
    [[1.0, nan], [1.5, nan]]
    """
    ordered = np.sort(x, axis=0)  # NaN last
    last = np.maximum((~np.isnan(x)).sum(axis=0) - 1, 0)
    found = np.empty((len(levels), *x.shape[1:]))
    for k, level in enumerate(levels):
        place = level * last
        low = place.astype("i8")
        part = place - low
        below = np.take_along_axis(ordered, low[None], 0)[0]
        above = np.take_along_axis(ordered, np.minimum(low + 1, last)[None], 0)[0]
        step = above - below
        found[k] = np.where(part < 0.5, below + step * part, above - step * (1.0 - part))
    return found


def _batch(model: Model, bars: xr.Dataset, first: int, many: int, seed: int, draws: Kind) -> xr.Dataset:
    """Bars of so many paths, assets of equal names in each batch."""
    if many == 1:
        return model.bars(path=first, seed=seed, like=bars, draws=draws)
    found = model.many(paths=range(first, first + many), seed=seed, like=bars, draws=draws)
    return found.assign_coords(asset=[str(k) for k in range(many)])


def _apart(found: xr.Dataset) -> xr.Dataset:
    """Batches of paths, assets of a batch, as paths in a row."""
    stacked = found.stack(one=("path", "asset")).reset_index("one", drop=True).rename(one="path")
    stacked = stacked.transpose("path", ...).drop_vars(("path", "asset"), errors="ignore")
    return stacked.assign_coords(path=np.arange(stacked.sizes["path"]))


def _summed(found: xr.Dataset, bands: Bands, seen: xr.Dataset, ruin: float, quantiles: Sequence[float]) -> xr.Dataset:
    """What the paths say together (G13)."""
    import xarray as xr

    out, paths = found, found.sizes["path"]
    levels = [float(level) for level in quantiles]
    known = found["max_drawdown"].notnull()
    there = known.any("path")  # not of cells that `where` excludes
    cells = [str(d) for d in found["max_drawdown"].dims if d != "path"]
    count = int(np.count_nonzero(bands.n))
    worth = bands.quantiles(levels, paths)[..., :count]
    out["equity_band"] = ("quantile", *cells, "block"), worth
    falls = found["max_drawdown"].transpose("path", ...).values
    out["drawdown_band"] = ("quantile", *cells), quantiles_of(falls, levels)
    ruined = xr.DataArray(bands.ruined(ruin, paths), dims=cells)
    out["probability_of_ruin"] = (ruined / known.sum("path").clip(1)).where(there)
    names = [n for n in L.HEADLINE if n in seen and n in found]
    out["observed"] = observed = seen[names].to_dataarray("metric").drop_vars("asset", errors="ignore")
    out["rank"] = xr.concat([_rank(found[name], observed.sel(metric=name)) for name in names], "metric")
    texts = {
        "equity_band": "equity at the end of each block over the cash at first, by quantile of the paths",
        "drawdown_band": "largest drawdown, by quantile of the paths",
        "probability_of_ruin": f"share of paths on which the account was worth {ruin:g} times its cash or less",
        "observed": "metrics of the bars themselves",
        "rank": "share of paths at or below what was observed",
    }
    for name, text in texts.items():
        out[name].attrs = {"long_name": text, "units": "1"}
    last = np.flatnonzero(np.diff(seen["session"].values, append=-1))  # bars that end a session
    n = bands.n[:count]
    ends = last[np.cumsum(n) - 1 + len(last) - n.sum()]
    out = out.assign_coords(quantile=levels, block=bands.index[:count], block_end=("block", seen["time"].values[ends]))
    return out.assign_attrs(ruin=ruin, periods_per_year=seen["blocks"].attrs["periods_per_year"])


def _rank(values: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    """The share of paths at or below what was observed, NaN where there is nothing to compare."""
    many = values.notnull().sum("path")
    share = (values <= observed).sum("path") / many.clip(1)
    return share.where(observed.notnull() & (many > 0))


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
