"""Strategies side by side, and whether one is better than another (rule Z21). Adds dim ``strategy``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.binding import checked
from kernelkit.errors import UsageError, arguments, message
from kernelkit.inference.comparison import CIRCULAR, sharpe_difference
from kernelkit.inference.resampling import Resampling
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.metrics.equity import returns
from kernelkit.recipe import check_bars, resolve
from kernelkit.result import Curves
from kernelkit.reuse import Cache
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Case, Common, Laid, Refused, lay, run, uninterrupted
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

OTHER = "other"
Contestant = Strategy | Signal


def named(strategies: Mapping[str, Contestant] | Sequence[Contestant]) -> dict[str, Contestant]:
    """Strategies by name, of a list their own; raises UsageError for fewer than two, and for one name twice.

    >>> named([])
    Traceback (most recent call last):
    kernelkit.errors.UsageError: strategies to compare: found 0, wanted two or more. Name them: {"fast": ..., ...}.
    """
    if isinstance(strategies, Mapping):
        pairs = [(str(name), resolve(s)) for name, s in strategies.items()]
    else:
        pairs = [(s.name, s) for s in map(resolve, strategies)]
    fix = 'Name them: {"fast": ..., "slow": ...}.'
    if len(pairs) < 2:
        raise UsageError(message("strategies to compare", len(pairs), "two or more", fix))
    names = [name for name, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(message("strategies to compare", f"two called {twice[0]!r}", "a name for each", fix))
    return dict(pairs)


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def compare(  # noqa: PLR0913  its settings are keywords of the public interface
    strategies: Mapping[str, Contestant] | Sequence[Contestant],
    bars: xr.Dataset,
    *,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    level: float = 0.95,
    resampling: Resampling = CIRCULAR,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Backtest strategies over the same span: from where all of them have warmed up.

    ``params`` has the parameters of each, by name. A Dataset with dim ``strategy``: the metrics of `kk.backtest`,
    ``returns`` of sessions (strategy, time), and by strategy and ``other``: ``correlation`` of these, and of
    `kk.inference.sharpe_difference` ``difference`` (of the annual Sharpe ratio, strategy less other), ``p_value``,
    two-sided and of this pair alone, ``low`` and ``high`` at ``level``; NaN of a strategy with itself. Many pairs want
    `kk.inference.adjusted_p_values`. All compete in the ledger: they are rivals. One that fails is NaN with its reason
    in ``error``, and so are its pairs; where all do, the first one's error is raised.

    One account is asked of each. Raises UsageError for fewer than two strategies, unknown names in ``params`` and
    several assets that share no account, and what `kk.backtest` raises where a strategy cannot be run.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> @kk.strategy
    ... def half(ctx):
    ...     ctx.target_percent(0.5)
    >>> bars = kk.data.load("sp500_index").sel(time=slice("2005", "2008"))
    >>> found = kk.compare([hold, half], bars)
    >>> found["correlation"].round(2).values.tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    import xarray as xr

    bars, known = check_bars(bars), named(strategies)
    given = checked("params of kk.compare", params, 'Write params={"fast": {"n": 20}}.')
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UsageError(message("params", f"some of {unknown[0]!r}", f"of {', '.join(known)}", "Check the name."))
    first = next(iter(known.values()))
    common = Common(bars, first, None, None, None, start, end, account, venue, fill_model)
    own = {n: checked(f"params of {n}", given.get(n)) for n in known}
    cases = [Case(n, settings={"strategy": s, "params": dict(own[n])}) for n, s in known.items()]
    begin = max(one.recipe.start for one in _laid(cases, common))
    common = Common(bars, first, None, None, None, bars["time"].values[begin], end, account, venue, fill_model)
    means = Means(client, cache, memory_limit)
    ds = uninterrupted(run("strategy", cases, common, role="rival", means=means))
    failed = ds["error"].values != ""
    if failed.all():
        run("strategy", cases[:1], common, role="rival", strict=True, means=means)  # raises what it raises
    ran = {k: _returns(one) for k, one in enumerate(_laid(cases, common)) if not failed[k]}
    empty = xr.full_like(next(iter(ran.values())), np.nan)
    series = xr.concat([ran.get(k, empty) for k in range(len(known))], "strategy")
    series = series.assign_coords(strategy=list(known)).transpose("strategy", "time")
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.corrcoef(series.values)
    names = list(known)
    found = {name: np.full((len(names),) * 2, np.nan) for name in ("estimate", "p_value", "low", "high")}
    for i in range(len(names)):
        for j in (j for j in range(i) if not failed[i] and not failed[j]):
            pair = (series[k].drop_vars("strategy") for k in (i, j))
            test = sharpe_difference(*pair, level=level, resampling=resampling)
            for name, values in found.items():
                values[i, j] = float(test[name])
            found["estimate"][j, i], found["p_value"][j, i] = -found["estimate"][i, j], found["p_value"][i, j]
            found["low"][j, i], found["high"][j, i] = -found["high"][i, j], -found["low"][i, j]
    dims = "strategy", OTHER
    ds = ds.assign_coords({OTHER: names, "time": series["time"].values})
    ds["returns"] = ("strategy", "time"), series.values, {"units": "1", "long_name": "return of each session"}
    ds["returns"].attrs["periods_per_year"] = ds.attrs["periods_per_year"]
    told = {
        "correlation": (correlation, "correlation of session returns"),
        "difference": (found["estimate"], "difference of annual Sharpe ratios, strategy less other"),
        "p_value": (found["p_value"], "two-sided p-value of the difference"),
        "low": (found["low"], "lower end of the interval of the difference"),
        "high": (found["high"], "upper end of the interval of the difference"),
    }
    for name, (values, text) in told.items():
        ds[name] = dims, values, {"units": "1", "long_name": text}
    of_one = ("strategy", "params")
    ds.attrs = {k: v for k, v in ds.attrs.items() if k not in of_one} | {"level": level, "seed": resampling.seed}
    return ds


def _laid(cases: Sequence[Case], common: Common) -> list[Laid]:
    """The cases laid out; raises what the first that cannot be raises, and UsageError for more than one account."""
    out = []
    for one in lay(cases, common):
        if isinstance(one, Refused):
            raise one.error
        if len(one.recipe.accounts) != 1 or one.recipe.axes:
            fix = "Choose one asset, bars.sel(asset=[name]), or use @kk.portfolio."
            raise UsageError(message(f"strategy {one.label!r}", f"{one.trials} accounts", "one", fix))
        out.append(one)
    return out


def _returns(one: Laid) -> xr.DataArray:
    """Session returns (M1) of a trial, simulated again."""
    import xarray as xr

    recipe = one.recipe
    rows = slice(recipe.start, recipe.stop)
    equity = Curves(recipe).curve("equity", 0)
    coords = {"time": recipe.bars["time"].values[rows], "session": ("time", recipe.bars["session"].values[rows])}
    level = xr.DataArray(equity, coords, ("time",), attrs={"periods_per_year": recipe.bars.attrs["periods_per_year"]})
    found: xr.DataArray = returns(level, initial=float(recipe.job.trials[0]["cash"]))
    return found
