"""Parameters that follow the regime: a walk-forward that has a choice for each, and one account (rule Y10)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kernelkit import ledger
from kernelkit.binding import bind
from kernelkit.engine import backtest
from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.metrics.equity import returns
from kernelkit.progress import Meter
from kernelkit.recipe import check_bars, resolve
from kernelkit.reuse import Cache
from kernelkit.spilling import let_go, room
from kernelkit.strategy import Strategy
from kernelkit.study.regimes.labels import NONE, Int64s, labels_of
from kernelkit.study.regimes.reports import by
from kernelkit.study.splitters import Rolling, Run
from kernelkit.study.stitching import traded
from kernelkit.study.walk_forward import SELECTED, Fold, check_walk, each_of, folds, stopped_at, walked
from kernelkit.working import Means


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def adapt(  # noqa: PLR0913  its settings are keywords of the public interface, those of `walk_forward`
    bars: xr.Dataset,
    strategy: Strategy,
    labels: Any,
    *,
    grid: Mapping[str, Any],
    params: Mapping[str, Any] | None = None,
    where: str | Callable[..., Any] | None = None,
    train: str = "5Y",
    test: str = "1Y",
    anchored: bool = False,
    fewest: int = 60,
    carry: bool = True,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Walk forward with parameters of each regime: the cell with the highest training Sharpe ratio in it (Y10).

    `labels` are those of these bars over `time`, which know no future, as all of `kk.regimes` do. In each fold every
    regime gets the cell whose returns in this regime had the highest Sharpe ratio over the training window; a regime
    with fewer than `fewest` returns there, and bars without a label (-1), get that of all returns of the window. The
    test windows form one run of one account under the switch rule (see `kk.walk_forward`): the label at bar t is known
    after it, so the parameters change before bar t + 1, decide there first, and earn from bar t + 2 on; training counts
    returns so, too. Within a fold nothing is switched where the parameters stay the same.

    All other arguments are those of `kk.walk_forward`. Returns what that does, but the parameters chosen,
    ``is_sharpe_ratio`` and ``train_samples`` by (fold, regime), with -1 for bars without a label, ``regime_of`` over
    `time`, the label in force, and no ``efficiency``: windows of several choices have no single one. More choices
    fit luck better: compare with `kk.walk_forward`. Raises UsageError, DataError, StrategyError, OrderError.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def trend(ctx, n=50):
    ...     ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)
    >>> bars = kk.data.load("sp500_index")
    >>> calm = kk.regimes.volatility(bars)
    >>> found = kk.regimes.adapt(bars, trend, calm, grid={"n": [20, 100]}, train="4Y", test="2Y", end="2010")
    >>> found["n"].dims, found["regime"].values
    (('fold', 'regime'), array([-1,  0,  1]))
    """
    least: Any = fewest
    if not (isinstance(least, int) and not isinstance(least, bool) and least >= 0):
        fix = "60 is a quarter of a year of days."
        raise UsageError(message("adapt: fewest", repr(fewest), "a number of returns, 0 or more", fix))
    bars, settings = check_bars(bars), Settings.of(account, venue, fill_model)
    strategy = check_walk(bars, resolve(strategy), settings.fill_model)
    given = _labels(labels, bars)
    windows = folds(bars, Rolling(train, test, anchored=anchored), start, end)
    scalars, axes = bind(strategy, params, grid)
    if not axes:
        raise UsageError(message("grid of adapt", "no axis", "at least one", "Write grid=dict(fast=range(5, 55, 5))."))
    known = given.shift(time=1, fill_value=NONE)  # the label in force at each bar's decision
    regimes = np.arange(NONE, int(given.max()) + 1)
    means, whole = Means(client, cache, memory_limit), len(windows)
    with Meter(f"regimes: {whole} folds", whole) as meter:

        def choose(fold: Fold) -> list[dict[str, Any]]:
            with ledger.role("training"):
                res = backtest(
                    bars.isel(time=slice(0, fold.test)),
                    strategy,
                    dict(scalars),
                    grid=axes,
                    where=where,
                    start=bars["time"].values[fold.train],
                    outputs=("metrics", "curves"),
                    client=client,
                    cache=cache,
                    memory_limit=memory_limit,
                    account=settings.account,
                    venue=settings.venue,
                    fill_model=settings.fill_model,
                )
            if "interrupted" in res.attrs:
                raise KeyboardInterrupt
            found = _choices(res, session_returns(res, axes, means.bytes), known, regimes, axes, fewest)
            meter.advance()
            return found

        chosen = each_of(windows, choose)
    windows = windows[: len(chosen)]
    pieces, picks = _stretches(windows, known.values, chosen)
    one = traded(bars, strategy, scalars, axes, pieces, picks, carry, settings)
    ds = walked(one, windows, settings).assign_coords(regime=regimes)
    both = ("fold", "regime")
    for name in axes:
        ds[name] = (both, np.array([[one["params"][name] for one in row] for row in chosen]))
    for name, text in ((SELECTED, "annual Sharpe ratio in training"), ("samples", "returns in training")):
        own = {SELECTED: "is_sharpe_ratio", "samples": "train_samples"}[name]
        ds[own] = (both, np.array([[one[name] for one in row] for row in chosen]), {"long_name": text, "units": "1"})
    ds["regime_of"] = known.sel(time=ds["time"]).assign_attrs(long_name="regime in force", units="1")
    ds.attrs |= {"study": "regimes", "selected_by": SELECTED, "fewest": fewest, "ledger": one.call}
    return stopped_at(ds, whole)


def _labels(labels: Any, bars: xr.Dataset) -> xr.DataArray:
    """The labels of these bars, one at each."""
    given = labels_of("adapt", labels)
    if given.dims != ("time",):
        fix = "Choose whose regimes they are: labels.sel(asset=name)."
        raise UsageError(message("adapt: labels", f"dims {given.dims}", "the dim time alone", fix))
    if not given.indexes["time"].equals(bars.indexes["time"]):
        found, wanted = "other times than those of the bars", "a label at each bar"
        raise DataError(message("adapt: labels", found, wanted, "Label these bars: kk.regimes.hmm(bars)."))
    return given


def session_returns(res: xr.Dataset, axes: Mapping[str, Sequence[Any]], most: float) -> xr.DataArray:
    """Session returns (M1) of each cell, whose curves are simulated one after the other; beyond ``most`` in a file."""
    dims = tuple(axes)
    shape = tuple(res.sizes[d] for d in dims)
    first = returns(res["equity"].isel(dict.fromkeys(dims, 0)))
    out = room((*shape, first.sizes["time"]), "f8", most)
    for cell in np.ndindex(shape):
        out[cell] = returns(res["equity"].isel(dict(zip(dims, cell, strict=True)))).values
        let_go(out)
    coords = {n: c for n, c in first.coords.items() if "time" in c.dims} | {d: res[d] for d in dims}
    return xr.DataArray(out, coords, (*dims, "time"), attrs=first.attrs)


def _choices(
    res: xr.Dataset,
    x: xr.DataArray,
    known: xr.DataArray,
    regimes: Int64s,
    axes: Mapping[str, Sequence[Any]],
    fewest: int,
) -> list[dict[str, Any]]:
    """Y10: each regime's best cell of a training window; without a label, or with too few returns, that of all."""
    overall: dict[str, Any] = {"params": _best(res[SELECTED].values, axes), SELECTED: float(res[SELECTED].max())}
    overall["samples"] = x.sizes["time"]
    out = [overall]
    inside = by(x, known) if bool((known.sel(time=res["time"]) >= 0).any()) else None
    for k in regimes[1:]:
        one = inside.sel(regime=k).transpose(*axes) if inside is not None and k in inside["regime"] else None
        samples = int(one["n_samples"]) if one is not None else 0
        if one is None or samples < fewest or not bool(one[SELECTED].notnull().any()):
            out.append(overall | {SELECTED: np.nan, "samples": samples})
        else:
            values = one[SELECTED].values
            out.append({"params": _best(values, axes), SELECTED: float(np.nanmax(values)), "samples": samples})
    return out


def _best(values: NDArray[np.float64], axes: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The cell with the highest number, of equals the earliest."""
    at = np.unravel_index(int(np.argmax(np.where(np.isnan(values), -np.inf, values))), values.shape)
    return {name: own[int(k)] for (name, own), k in zip(axes.items(), at, strict=True)}


def _stretches(
    windows: Sequence[Fold], known: Int64s, chosen: Sequence[Sequence[Mapping[str, Any]]]
) -> tuple[list[Run], list[dict[str, Any]]]:
    """The test windows, cut wherever the label in force brings other parameters, and those."""
    pieces, picks = list[Run](), list[dict[str, Any]]()
    for fold, choices in zip(windows, chosen, strict=True):
        own = [choices[k + 1]["params"] for k in known[fold.test : fold.stop]]
        cuts = [0, *(j for j in range(1, len(own)) if own[j] != own[j - 1]), len(own)]
        for a, b in itertools.pairwise(cuts):
            pieces.append((fold.test + a, fold.test + b))
            picks.append(own[a])
    return pieces, picks
