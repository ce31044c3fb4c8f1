"""How much capital a strategy bears before its own impact eats what it earns. Adds dim ``capital``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import schema
from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.models import CostModel
from kernelkit.market.slippage import square_root
from kernelkit.market.venue import FREE, Venue
from kernelkit.recipe import check_bars
from kernelkit.reuse import Cache
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Case, Common, run
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr


def calibrated(bars: xr.Dataset, factor: float = 1.0) -> CostModel:
    """Square-root impact whose coefficient is ``factor`` times the standard deviation of the bars' returns.

    ``slippage = factor * sd * sqrt(quantity / volume)``, volatility and volume both of one bar: the square-root law,
    whose constant is near 1. Of several assets the mean of their standard deviations. Raises DataError for bars without
    volumes.

    Source: Tóth et al., Anomalous price impact and the critical nature of liquidity in financial markets, Physical
    Review X 1 (2011); Almgren, Thum, Hauptmann and Li, Direct estimation of equity market impact (2005).

    >>> from kernelkit.data import load
    >>> round(calibrated(load("sp500_index")).words[0], 4)
    0.012
    """
    valid = bars["valid"].values
    deviations = []
    for a in range(bars.sizes["asset"]):
        rows = valid[:, a]
        if not (bars["volume"].values[rows, a] > 0.0).any():
            found, fix = "no volume", "Load it, or give impact= a model that needs none."
            raise DataError(message(f"bars of {bars['asset'].values[a]}", found, "volumes", fix))
        deviations.append(np.diff(np.log(bars["close"].values[rows, a])).std(ddof=1))
    return square_root(factor * float(np.mean(deviations)))


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def capacity(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    capitals: Sequence[float],
    impact: CostModel | None = None,
    grid: Mapping[str, Any] | None = None,
    where: str | Callable[..., Any] | None = None,
    start: Any = None,
    end: Any = None,
    account: Account | None = None,
    venue: Venue | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Backtest a strategy with more and more capital, each with its own impact (rule Z20); otherwise as `kk.backtest`.

    ``capitals`` are the cash at the start, rising; ``impact`` is added to the venue's slippage (None: `calibrated`).
    Other models are in `kk.slippage`: `almgren_chriss`, `linear`, `learned`.

    A Dataset with dim ``capital`` before the axes of the grid: the scalar metrics of `kk.backtest`, ``net_profit``
    (final equity less capital, quote currency), and without that dim ``half_sharpe_capital``, at which the Sharpe ratio
    is half that of the smallest capital (linear in the log of the capital; NaN where that is not positive, or the
    largest is not enough), and ``best_capital``, of those given the one with the largest net profit. In the ledger
    the trials have the role ``sensitivity``. Raises UsageError for capitals that do not rise, several venues or
    accounts, and what `kk.backtest` raises.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def reverse(ctx):
    ...     ctx.target_percent(1.0 if ctx.close[0] < ctx.close.sma(5) else 0.0)
    >>> bars = kk.data.load("aapl")
    >>> found = kk.capacity(bars, reverse, capitals=[1e6, 1e8, 1e10])
    >>> bool(found["sharpe_ratio"][0] > found["sharpe_ratio"][2])
    True
    """
    check_bars(bars)
    sizes = np.asarray(capitals, "f8").ravel()
    if len(sizes) < 2 or not (np.isfinite(sizes).all() and sizes[0] > 0.0 and (np.diff(sizes) > 0.0).all()):
        raise UsageError(message("capitals", capitals, "two or more, rising", "Write [1e5, 1e6, 1e7]."))
    own: Any = Account() if account is None else account
    at: Any = FREE if venue is None else venue
    if not isinstance(own, Account) or not isinstance(at, Venue):
        found = type(at if isinstance(own, Account) else own).__name__
        raise UsageError(message("capacity", found, "one kk.Account at one kk.Venue", "Give one of each."))
    model = calibrated(bars) if impact is None else impact
    dearer = replace(at, slippage=model if at.slippage is None else at.slippage + model)
    common = Common(bars, strategy, params, grid, where, start, end, own, dearer, fill_model)
    cases = [Case(c, settings={"account": replace(own, cash=c)}) for c in sizes.tolist()]
    ds = run("capital", cases, common, role="sensitivity", means=Means(client, cache, memory_limit))
    ds["net_profit"] = ds["final_equity"] - ds["capital"]
    ratios = ds["sharpe_ratio"]
    dims, known = ratios.dims[1:], ds["capital"].values
    half = np.full(ratios.shape[1:], np.nan)
    for cell in np.ndindex(half.shape):
        half[cell] = half_at(known, ratios.values[(slice(None), *cell)])
    ds["half_sharpe_capital"] = dims, half
    profit = ds["net_profit"].fillna(-np.inf)
    best = ds["capital"].values[profit.argmax("capital").values]
    ds["best_capital"] = dims, np.where(np.isfinite(profit.max("capital").values), best, np.nan)
    schema.label(ds)
    ds.attrs["impact"] = repr(model)
    return ds


def half_at(capitals: np.ndarray, ratios: np.ndarray) -> float:
    """Z20: where a Sharpe ratio has first fallen to half its first value; NaN if that is not positive, or never halved.

    >>> round(half_at(np.array([1.0, 100.0]), np.array([1.0, 0.0])), 9)
    10.0
    """
    target = 0.5 * ratios[0]
    below = np.flatnonzero(ratios <= target)
    if not ratios[0] > 0.0 or not len(below) or np.isnan(ratios[below[0] - 1]):
        return float("nan")
    k = int(below[0])
    share = (ratios[k - 1] - target) / (ratios[k - 1] - ratios[k])
    logs = np.log(capitals)
    return float(np.exp(logs[k - 1] + share * (logs[k] - logs[k - 1])))
