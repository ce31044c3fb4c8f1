"""The worst path within a budget of likelihood (rule Z19)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kernelkit import ledger, rng
from kernelkit.engine import backtest
from kernelkit.errors import KernelkitError, UsageError, arguments, message
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.reuse import Cache
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Case, Common, ended, run
from kernelkit.study.scenarios.stress import world_of
from kernelkit.study.scenarios.world import Floats, World, check_number, log_closes, scaled
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

Objective = Literal["total_return", "max_drawdown", "sharpe_ratio"]
SIGNS = {"total_return": 1.0, "sharpe_ratio": 1.0, "max_drawdown": -1.0}
DECAY = 0.94


@dataclass(frozen=True)
class Worst:
    """What `adversarial` has found: ``bars`` of the worst path, its ``result``, and all of the ``search``."""

    bars: xr.Dataset
    result: xr.Dataset
    search: xr.Dataset


@dataclass(frozen=True)
class Innovations:
    """Z19: the common innovations of returns, and what they are made of.

    ``scale`` is what a unit of the common innovation moves each asset's log return by, float64 (row, asset), at rows
    [first, last); ``basis`` the orthonormal blocks, (row, block); ``own`` the coefficients of the path as it is.
    """

    first: int
    last: int
    scale: Floats
    basis: Floats
    own: Floats

    @classmethod
    def of(cls, world: World, blocks: int) -> Innovations:
        """Those of the evaluated bars. Raises UsageError for fewer bars than two a block, DataError for gaps."""
        assets, first, last = world.chosen(None), max(world.start, 1), world.stop
        n = last - first
        if n < 2 * blocks:
            raise UsageError(message("blocks", blocks, f"at most {n // 2}, half of the bars", "Take fewer."))
        returns = log_closes(world, assets, first, last, "the adversary")
        volatility = known_volatility(returns)
        z = returns / volatility
        common = z.mean(axis=1)
        common = common / common.std()
        betas = (z * common[:, None]).mean(axis=0) - z.mean(axis=0) * common.mean()
        basis = np.zeros((n, blocks))
        for k, rows in enumerate(np.array_split(np.arange(n), blocks)):
            basis[rows, k] = 1.0 / np.sqrt(len(rows))
        return cls(first, last, volatility * betas, basis, basis.T @ common)

    def path(self, world: World, coefficients: Floats, text: str) -> xr.Dataset:
        """The bars whose common innovations have these coefficients."""
        moves = self.scale * (self.basis @ (coefficients - self.own))[:, None]
        logs = np.zeros((world.bars.sizes["time"], moves.shape[1]))
        logs[self.first : self.last] = np.cumsum(moves, axis=0)
        logs[self.last :] = logs[self.last - 1]
        opened = np.vstack([np.zeros((1, moves.shape[1])), logs[:-1]])
        return scaled(world, world.chosen(None), opened, logs, text).bars


def known_volatility(returns: Floats) -> Floats:
    """Standard deviation known before each return, `v = 0.94 v + 0.06 r^2` from the mean square on; (row, asset).

    >>> known_volatility(np.array([[0.1], [0.1]])).ravel().round(12).tolist()
    [0.1, 0.1]
    """
    square = (returns * returns).mean(axis=0)
    out = np.empty_like(returns)
    for t, row in enumerate(returns):
        out[t] = np.sqrt(square)
        square = DECAY * square + (1.0 - DECAY) * row * row
    return np.maximum(out, np.finfo("f8").tiny)


def within(points: Floats, radius: float) -> Floats:
    """Points (n, k) of the cube from -1 to 1, in a ball: those beyond the unit ball are brought onto it.

    >>> within(np.array([[0.5, 0.0], [1.0, 1.0]]), 2.0).round(3).tolist()
    [[1.0, 0.0], [1.414, 1.414]]
    """
    size = np.sqrt((points * points).sum(axis=1, keepdims=True))
    inside: Floats = radius * points / np.maximum(size, 1.0)
    return inside


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def adversarial(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    budget: float = 0.99,
    n: int = 600,
    blocks: int = 8,
    objective: Objective = "total_return",
    seed: int = 0,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> Worst:
    """Search for the plausible path on which a strategy does worst; ``n`` paths are tried at most.

    Log returns of closes over the volatility known before them are innovations. Their sums over each of ``blocks``
    parts of the evaluated span, over the root of its length, are standard normal if nothing drives the price, and the
    sum of their squares is chi-square with ``blocks`` degrees of freedom. The search chooses these numbers anew, all
    else of the path stays, within the smallest region that has the probability ``budget``: the sum of squares is at
    most the chi-square quantile of it, half of which is the budget in units of log-likelihood (nats below the most
    likely). Of several assets the common part of their innovations is moved, each asset by its share in it.

    The optimiser is differential evolution, generation by generation; the path as it is, brought into the region,
    belongs to the first. ``objective`` is what is to be worst: ``"total_return"``, ``"sharpe_ratio"`` or
    ``"max_drawdown"``. Returns a `Worst`: ``bars``, ``result`` as `kk.backtest` has it, and ``search`` with dim
    ``evaluation``: metrics, ``distance`` (nats) and ``coefficient`` by ``block``. Each evaluation is in the ledger
    under the role ``scenario``. What is found is a bound from below on what can be: another search may find worse. So
    it is after an interrupt, which ends the search; ``search.attrs["interrupted"]`` says so.

    Raises UsageError for numbers out of their ranges and for what is not one account, DataError for gaps in the bars.

    Sources: Breuer, Jandačka, Rheinberger and Summer, How to find plausible, severe, and useful stress scenarios,
    International Journal of Central Banking 5 (2009); Storn and Price, Journal of Global Optimization 11 (1997).

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> bars = kk.data.load("sp500_index").sel(time=slice("2004", "2006"))
    >>> found = kk.adversarial(bars, hold, n=80, blocks=4)
    >>> float(found.result["total_return"]) < float(kk.backtest(bars, hold)["total_return"])
    True
    """
    from scipy.optimize import differential_evolution
    from scipy.stats import chi2

    check_number("budget", budget, 0.0, 1.0, "0.99 leaves out the least likely hundredth.")
    numbers: list[tuple[str, Any, int]] = [("n", n, 10), ("blocks", blocks, 1)]
    for name, value, least in numbers:
        if not (isinstance(value, int) and value >= least):
            raise UsageError(message(name, repr(value), f"a whole number, {least} or more", "The default will do."))
    if objective not in SIGNS:
        raise UsageError(message("objective", repr(objective), f"one of {', '.join(SIGNS)}", "Choose what is worst."))
    common = Common(bars, strategy, params, None, None, start, end, account, venue, fill_model)
    world = world_of(common)
    innovations = Innovations.of(world, blocks)
    radius = float(np.sqrt(chi2.ppf(budget, blocks)))
    text = f"The worst path found within {0.5 * radius**2:.3g} nats of the most likely one."
    tried: list[xr.Dataset] = []
    means = Means(client, cache, memory_limit)

    def badness(points: Floats) -> Floats:
        """What is minimised, of the columns of ``points``."""
        coefficients = within(points.T, radius)
        done = sum(ds.sizes["evaluation"] for ds in tried)
        cases = [
            Case(done + k, lambda row=row: innovations.path(world, row, text))  # type: ignore[misc]
            for k, row in enumerate(coefficients)
        ]
        ds = run("evaluation", cases, common, role="scenario", means=means)
        if ds["total_return"].dims != ("evaluation",):
            fix = "Choose one asset and scalar params, or use @kk.portfolio."
            raise UsageError(message("the adversary", f"dims {ds['total_return'].dims[1:]}", "one account", fix))
        whole = ds.isel(evaluation=slice(0, ended(ds)))
        whole["coefficient"] = ("evaluation", "block"), coefficients[: ended(ds)]
        tried.append(whole)
        if "interrupted" in ds.attrs:
            raise KeyboardInterrupt
        values = SIGNS[objective] * ds[objective].values
        return np.where(np.isnan(values), 1e9, values)  # what fails is not what is looked for

    import xarray as xr

    size = max(5, min(n // 5, 4 * blocks))
    draws = rng.normal(seed, np.arange(size)[:, None], np.arange(blocks)[None, :])
    first = np.clip(within(draws / np.sqrt(blocks), 1.0), -1.0, 1.0)
    stopped = dict[str, str]()
    first[0] = innovations.own / max(radius, float(np.sqrt(innovations.own @ innovations.own)))
    try:
        differential_evolution(
            badness,
            [(-1.0, 1.0)] * blocks,
            init=first,
            maxiter=n // size - 1,
            rng=np.random.default_rng(seed),
            vectorized=True,
            updating="deferred",
            polish=False,
            tol=0.0,
        )
    except RuntimeError as error:  # SciPy's, in the place of ours
        if isinstance(error.__cause__, KernelkitError):
            raise error.__cause__ from None
        raise
    except KeyboardInterrupt:
        if not any(ds[objective].notnull().any() for ds in tried):
            raise
        stopped = {"interrupted": f"{sum(ds.sizes['evaluation'] for ds in tried)} of {n} paths tried"}
    search = xr.concat(tried, "evaluation")
    search["distance"] = 0.5 * (search["coefficient"] ** 2).sum("block")
    search["distance"].attrs = {"units": "1", "long_name": "log-likelihood below the most likely, nats"}
    search["coefficient"].attrs = {
        "units": "1",
        "long_name": "sum of a block's innovations over the root of its length",
    }
    told = {"objective": objective, "budget": budget, "nats": 0.5 * radius**2, "seed": seed}
    search.attrs |= (
        told | stopped | {"trials": search.sizes["evaluation"], "failed": int((search["error"].values != "").sum())}
    )
    worst = int((SIGNS[objective] * search[objective]).argmin("evaluation"))
    path = innovations.path(world, search["coefficient"].values[worst], text)
    with ledger.role("scenario"):
        result = backtest(
            path,
            strategy,
            params,
            start=start,
            end=end,
            account=account,
            venue=venue,
            fill_model=fill_model,
            client=client,
            cache=cache,
            memory_limit=memory_limit,
        )
    return Worst(path, result, search)
