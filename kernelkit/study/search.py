"""Search: propose parameters, run them many at a time, learn, propose again. Adds dim ``trial`` (rules D1-D6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from kernelkit.engine import NOT_FINER
from kernelkit.errors import UsageError, arguments, message
from kernelkit.kernels import layout as L
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.progress import Meter
from kernelkit.recipe import check_bars, resolve, span
from kernelkit.reuse import Cache
from kernelkit.strategy import Signal, Strategy
from kernelkit.study import offered, searchers
from kernelkit.study.halving import halving
from kernelkit.study.proposals import Enough, Trials, layouts
from kernelkit.study.run import free_of
from kernelkit.study.spaces import Axis, Choice, Integer, Real, Space
from kernelkit.study.walk_forward import SELECTED, metric_of
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

Method = Literal["tpe", "gp", "random", "sobol", "halton", "cma", "nsga2", "de", "halving", "grid"]
SEQUENCES = ("grid", "random", "sobol", "halton")  # nothing is learnt from one proposal for the next
SEVERAL = (*SEQUENCES, "tpe", "nsga2")  # know several objectives
BATCH, TOGETHER = 16, 1 << 12  # proposals at a time, of those who learn and those who do not
PROPOSALS = 128
PARENT = {"de": "the member that it challenged"} | dict.fromkeys(("tpe", "gp", "cma", "nsga2"), "the best told before")
OWN = ("trial", "parent", "generation", "key", "error", "pareto", "pruned_at")  # of the result


@arguments(account=Account, venue=Venue, fill_model=FillModel, finer=NOT_FINER)
def search(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    space: Mapping[str, Axis],
    params: Mapping[str, Any] | None = None,
    *,
    method: Method | str = "tpe",
    n: int | None = None,
    batch: int | None = None,
    objective: str | Sequence[str] = SELECTED,
    seed: int = 0,
    where: str | Callable[..., Any] | None = None,
    eta: float = 3.0,
    rungs: int = 3,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Search a ``space`` of parameters for the largest ``objective``: ``n`` proposals (128; of a grid all its cells).

    ``space`` is a dict of `kk.integer`, `kk.real` and `kk.choice`, ``params`` what is fixed beside it, ``where`` what
    must hold, such as ``"fast < slow"``. ``objective`` is a metric of `kk.backtest`, with a minus what is to be small
    (``"-max_drawdown"``); a list of them asks for a front. ``method`` is one of

    - ``"grid"``, ``"random"``, ``"sobol"``, ``"halton"``: points that no result has a say in;
    - ``"tpe"`` (Bergstra et al. 2011; Optuna), ``"gp"`` (a Gaussian process and its expected improvement);
    - ``"cma"`` (Hansen's CMA-ES; the package cma), ``"de"`` (Storn and Price 1997; SciPy), ``"nsga2"`` (Deb et al.
      2002; Optuna), which breed generations;
    - the name of a searcher that an installed package offers (entry points, docs/extending.md);
    - ``"halving"`` (Jamieson and Talwalkar 2016): ``n`` random points, of which one in ``eta`` goes on after each of
      ``rungs`` stops, at ``1 / eta**rungs`` of the bars and so on, from the same state, some 40 kB a trial: who ends
      has the bits of a backtest.

    Several objectives are for the points, ``"tpe"`` and ``"nsga2"``. ``batch`` proposals (16) are made before any of
    them is told, and run as one job; it is part of what a search is, as ``seed`` is, and nothing else is: ``client``,
    ``cache`` and ``memory_limit``, those of `kk.backtest`, and threads change no proposal. Points do not depend on the
    batch. All are evaluated from the bar on at which every point of the space has warmed up.

    Returns a Dataset of one dim, ``trial``: each point once, however often it was proposed, with coords of its
    parameters, its ``parent`` (-1 for none), ``generation`` (batch) and ``key`` in the ledger; the metrics, blocks and
    lazy curves of `kk.backtest`; ``error``, why a trial has no result, which a searcher takes for the worst; of several
    objectives ``pareto``, the front; of halving ``pruned_at``, NaT for those that went on to the end, the others are
    NaN. What the parent is says ``attrs["parent"]``: of ``"de"`` the member that was challenged; of ``"tpe"``,
    ``"gp"``, ``"cma"`` and ``"nsga2"``, of which it is not known what a proposal was made from, the best told before.
    ``attrs["best"]`` is the trial with the largest (first) objective. There are fewer than ``n`` proposals only where a
    grid has no more cells or ``"gp"`` finds no new point, as ``attrs["ended"]`` says, and after an interrupt, which
    keeps what is done: ``attrs["interrupted"]``. In the ledger each is a rival; so is what was pruned, with the blocks
    it had by then.

    Raises UsageError for what does not fit together, and where hardly a point fits, MissingExtraError without Optuna
    or cma, and what `kk.backtest` raises where the strategy cannot be run at all.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def trend(ctx, n=50, weight=1.0):
    ...     ctx.target_percent(weight if ctx.close[0] > ctx.close.sma(n) else 0.0)
    >>> bars = kk.data.load("sp500_index")
    >>> space = dict(n=kk.integer(10, 200, step=10), weight=kk.real(0.1, 1.0))
    >>> found = kk.search(bars, trend, space, method="random", n=20, seed=1)
    >>> best = found.sel(trial=found.attrs["best"])
    >>> found.sizes["trial"], bool(best["sharpe_ratio"] == found["sharpe_ratio"].max())
    (20, True)
    """
    bars, strategy, settings = check_bars(bars), resolve(strategy), Settings.of(account, venue, fill_model)
    objectives = _checked(method, n, batch, objective, seed)
    free_of("search", [*strategy.defaults], OWN)
    known = Space.of(strategy, space, params, where)
    many = int(n) if n is not None else len([*known.cells()]) if method == "grid" else PROPOSALS
    if method != "grid":
        known.sample(seed, 0)  # or says at once that hardly anything fits
    elif next(iter(known.cells()), None) is None:
        raise known.empty()
    seed, batch = int(seed), int(batch or 0) or (TOGETHER if method in SEQUENCES else BATCH)
    laid = layouts(bars, strategy, known, span(bars, start, end), settings)
    with Meter(f"{method}: {many} proposals", many) as meter:
        trials = Trials(laid, known, settings, Means(client, cache, memory_limit), objectives, many, meter)
        try:
            if method == "halving":
                halving(trials, seed, eta, rungs)
            else:
                propose = getattr(searchers, method) if method in get_args(Method) else offered.find(method, ())
                propose(trials, seed, batch)
        except Enough:
            pass
        except KeyboardInterrupt:
            trials.interrupted = True
    ds = trials.dataset()
    told = {"eta": eta, "rungs": rungs} if method == "halving" else {"batch": batch}
    ds.attrs |= {"method": method, "seed": seed, "parent": PARENT.get(method, "none"), **told}
    return ds


def is_whole(value: Any) -> bool:
    """Whether it is a whole number, and no truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_method(method: Any) -> None:
    """Raise UsageError for a method that neither kernelkit nor an installed package has."""
    if method not in get_args(Method):
        offered.find(method, get_args(Method))


def _checked(method: str, n: Any, batch: Any, objective: str | Sequence[str], seed: Any) -> list[tuple[str, float]]:
    """The objectives, each with its sign; raises UsageError for what does not fit together."""
    check_method(method)
    for name, value in (("n", n), ("batch", batch)):
        if value is not None and not (is_whole(value) and value > 0):
            raise UsageError(message(name, repr(value), "a whole number above 0", "Leave it out for the default."))
    if not is_whole(seed) or not 0 <= seed < 1 << 32:
        raise UsageError(message("seed", repr(seed), "a whole number from 0 to 2^32 - 1", "Write seed=1."))
    several = isinstance(objective, list | tuple)
    names: list[Any] = [*objective] if several else [objective]
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise UsageError(message("objective", repr(objective), "one metric or several", 'Write "sharpe_ratio".'))
    if len(names) > 1 and method not in SEVERAL and method in get_args(Method):
        wanted, fix = f"one, or another of {', '.join(SEVERAL)}", 'Choose method="nsga2".'
        raise UsageError(message(f"objectives of {method}", len(names), wanted, fix))
    return [metric_of(name, L.HEADLINE, "objective") for name in names]


@dataclass(frozen=True)
class Searcher:
    """What `kk.walk_forward` asks for parameters: a search of ``space`` on the bars of each training window."""

    method: Method | str
    space: Mapping[str, Axis]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def ends(self) -> dict[str, list[Any]]:
        """Of each parameter, the smallest and the largest value; raises UsageError for texts, which are compiled in."""
        texts = [n for n, axis in self.space.items() if isinstance(axis, Choice) and axis.texts]
        if texts:
            fix = "Search with kk.search, or walk forward once for each text."
            raise UsageError(message(f"{texts[0]!r} of a walk-forward", "texts", "numbers", fix))
        return {name: [*axis.ends] for name, axis in self.space.items()}

    def chooses_by(self, select: str) -> str:
        """Its own objective, or else this one."""
        return str(self.settings.get("objective", select))

    def best(
        self, seen: xr.Dataset, strategy: Strategy | Signal, settings: Mapping[str, Any]
    ) -> tuple[dict[str, Any], int]:
        """The parameters of the best trial, of the first where none has the objective, and how many have it."""
        found = search(seen, strategy, self.space, method=self.method, **{**settings, **self.settings})
        if "interrupted" in found.attrs:
            raise KeyboardInterrupt
        best = found.attrs.get("best", 0)
        many = int(np.isfinite(found[found.attrs["objective"].removeprefix("-")]).sum())
        return {name: found[name].values[best].item() for name in self.space}, many


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def searcher(method: Method | str, space: Mapping[str, Axis], **settings: Any) -> Searcher:
    """A search for each fold: ``kk.walk_forward(bars, strategy, searcher=kk.searcher("tpe", space, n=50))``.

    ``settings`` are keywords of `kk.search`, such as ``n``, ``seed``, ``where`` and ``objective`` (one; else it is
    ``select`` of the walk-forward). Its trials are in the ledger as ``training``. Raises UsageError for an unknown
    method, and for an objective that is no metric or several.

    >>> searcher("random", {}, n=10).method
    'random'
    """
    check_method(method)
    if "objective" in settings:
        objective = settings["objective"]
        if not isinstance(objective, str):
            fix = 'Write objective="sharpe_ratio"; kk.search finds fronts.'
            raise UsageError(message("objective of kk.searcher", repr(objective), "one metric", fix))
        metric_of(objective, L.HEADLINE, "objective")
    given: Any = space
    fits = isinstance(given, Mapping) and all(isinstance(axis, Integer | Real | Choice) for axis in given.values())
    if not fits:
        fix = 'Write {"n": kk.integer(5, 50)}.'
        raise UsageError(message("space of kk.searcher", repr(space), "axes by name of parameter", fix))
    return Searcher(method, dict(space), settings)
