"""`backtest`: labelled bars, a strategy and settings in; one labelled Dataset of results out, its curves lazy."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.agenda import rate_at, worthless
from kernelkit.binding import bind
from kernelkit.errors import LookaheadError, OrderError, RunError, StrategyError, UsageError, arguments, message
from kernelkit.intrabar import with_finer
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Outcome, new_outcome, spread
from kernelkit.kernels.session import Pace, Stop, prepare, simulate
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.progress import Meter
from kernelkit.recipe import Recipe, check_bars, plan_job, resolve, span, under_each, with_target
from kernelkit.strategy import Program, Signal, Strategy

if TYPE_CHECKING:
    import xarray as xr

NOT_FINER = "Only kk.backtest and kk.audit match orders in finer bars."
OUTPUTS = ("metrics", "blocks", "curves")
LEAST_BARS = 2e5, 2e6  # of a piece that is worth a thread; of one of several that a thread gets


def run_trials(
    recipe: Recipe, blocks: bool, client: Any, label: str, workers: int | None = None
) -> tuple[Outcome, bool]:
    """All trials of a recipe on ``workers`` threads (None: one for each core), or on a cluster.

    Returns the outcome and whether it was interrupted; trials that were done by then are kept.
    """
    job = recipe.job
    n = len(job.trials)
    outcome = new_outcome(n, blocks)
    bars = job.trials["i1"] - job.trials["i0"]
    stop, pace = Stop(), Pace()
    meter = Meter(label, n)
    per_trial = int(bars.mean())

    def tick(finished: int) -> None:
        if finished:
            meter.advance(finished, finished * per_trial)

    def piece(a: int, b: int) -> tuple[int, int, Outcome]:
        if recipe.signal is None:
            return a, b, simulate(job, a, b, blocks, stop, tick, pace)
        part, n_assets = new_outcome(b - a, blocks), len(recipe.assets)
        while a < b and not stop.is_set():  # one cell after the other: targets never lie there for all trials
            end = min(b, (a // n_assets + 1) * n_assets)
            one = simulate(with_target(recipe, a, end), 0, end - a, blocks, stop, tick, pace)
            part.take(len(part.done) - (b - a), one)
            a = end
        return b - len(part.done), b, part

    def take(a: int, _: int, part: Outcome) -> None:
        outcome.take(a, part)

    if client is not None:
        from kernelkit.cluster import run_on

        interrupted = run_on(client, recipe, blocks, take, tick)
        meter.close()
        return outcome, interrupted
    meter.start()
    interrupted = False
    if n == 1:  # on this thread: another would begin with cold caches
        try:
            take(*piece(0, 1))
        except KeyboardInterrupt:
            interrupted = True
        meter.close()
        return outcome, interrupted
    workers = workers or os.cpu_count() or 1
    least = ample = 1
    if recipe.signal is None:
        least, ample = (max(1, int(many / max(1, per_trial))) for many in LEAST_BARS)
    pieces = spread(n, workers, least, ample)
    with ThreadPoolExecutor(workers) as pool:
        futures: list[Future[tuple[int, int, Outcome]]] = []
        try:
            futures += (pool.submit(piece, a, b) for a, b in pieces)
            ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
            if any(f.exception() is not None for f in ended):
                stop.set()
        except KeyboardInterrupt:
            interrupted = True
            stop.set()
        for f in futures:
            take(*f.result())
    meter.close()
    return outcome, interrupted


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def backtest(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    grid: Mapping[str, Any] | None = None,
    where: str | Callable[..., Any] | None = None,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | Sequence[FillModel | str] | None = None,
    finer: xr.Dataset | None = None,
    outputs: Sequence[str] = OUTPUTS,
    client: Any = None,
    debug: bool = False,
) -> xr.Dataset:
    """Backtest a strategy over bars: every cell of ``grid`` is one trial, every sequence in it one dim of the result.

    ``params`` binds scalars; ``where`` (an expression or a function of the parameters) excludes cells, which stay NaN;
    ``start`` and ``end`` delimit the evaluated span (earlier bars warm up); several assets run as separate accounts
    along dim ``asset``. ``venue`` may be a mapping of assets to venues, ``account`` then a `kk.Accounts` with one at
    each (rules V1-V5). ``fill_model`` says how orders meet bars: a `FillModel` or the name of one (rule F13); a list
    of them becomes dim ``fill_model``, and ``total_return_spread`` says how much of the profit hangs on that.
    ``finer`` are bars of the same assets, such as the minutes of hours, in which a fill model with ``path="finer"``
    matches the orders of each bar, one after the other (rule F16).
    ``outputs`` is any of ``"metrics"``, ``"blocks"``, ``"curves"``, or ``("final_equity",)`` for that number alone.
    ``client`` is a dask.distributed Client or its address. ``debug=True`` runs the strategy in plain Python:
    breakpoints, prints and tracebacks in your own lines.

    Returns a Dataset: scalar metrics over the swept parameters (fractions, quote currency, days; see each ``attrs``),
    ``total_return_at_zero`` where an asset was delisted and nobody knows what its holders got (rule E4),
    and lazy curves ``equity``, ``cash``, ``position``, ``drawdown`` and own records over ``time``. ``attrs`` say how
    long it took: ``seconds``, and before that ``compile_seconds`` for what was compiled or loaded from the disk.

    Raises UsageError, DataError, StrategyError, OrderError, LookaheadError. Rules: docs/rules.md.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> res = backtest(kk.data.load("sp500_index"), hold)
    >>> round(float(res["max_drawdown"]), 2)
    0.57
    """
    from kernelkit import ledger
    from kernelkit.result import build

    bars, strategy = check_bars(bars), resolve(strategy)
    scalars, axes = bind(strategy, params, grid)
    models = FillModel.several(fill_model)
    settings = Settings.of(account, venue, models[0])
    traded_at = settings.venue
    unknown = [o for o in outputs if o not in (*OUTPUTS, "final_equity")]
    if unknown:
        raise UsageError(
            message(
                "outputs", unknown[0], f"any of {', '.join(OUTPUTS)}, or final_equity", "Leave it out for everything."
            )
        )
    measure = "metrics" in outputs or "blocks" in outputs
    recipe = plan_job(bars, strategy, scalars, axes, where, span(bars, start, end), settings, measure)
    if isinstance(fill_model, (list, tuple)):
        recipe = under_each(recipe, models, settings)
    recipe = with_finer(recipe, models, finer)
    began = time.perf_counter()
    if not debug:
        compiled(recipe, traded_at)
    outcome, interrupted, ready = new_outcome(len(recipe.job.trials), False), False, time.perf_counter()
    try:
        if debug:
            from kernelkit.view import binding, run_in_python

            recipe.python = partial(binding, recipe, venue=traded_at)
            outcome = run_in_python(recipe, traded_at)
        else:
            keep = "blocks" in outputs or (measure and ledger.competing())
            outcome, interrupted = run_trials(recipe, keep, client, strategy.name)
        took = time.perf_counter() - ready
    except Exception:
        outcome.errors.update(dict.fromkeys(range(len(outcome.done)), (L.RAISED, -1, 0)))
        raise
    finally:  # also what failed was tried
        call = record(recipe, outcome, traded_at, models, "debug" if debug else None)
    if outcome.errors:
        explain(recipe, outcome, traded_at)
    at_zero = None
    tables = worthless(recipe.job.tables)
    if tables is not None and "metrics" in outputs and not (debug or interrupted):
        other = replace(recipe, job=replace(recipe.job, tables=tables))
        at_zero, interrupted = run_trials(other, False, client, strategy.name)
        record(other, at_zero, traded_at, models, "delisting")
    ds = build(recipe, outcome, outputs, traded_at, models, at_zero)
    ds.attrs["ledger"] = call
    if interrupted:
        ds.attrs["interrupted"] = f"{int(outcome.done.sum())} of {len(outcome.done)} trials done"
    if not debug:
        ds.attrs |= {"compile_seconds": ready - began, "seconds": took}
    return ds


def compiled(recipe: Recipe, venue: Venue | Venues) -> None:
    """Compile the strategy, the venue's models and what they need of the engine, or find them in the cache.

    Raises StrategyError that names the user's line where that cannot be done.
    """
    from kernelkit.kernels import compile as native

    job = recipe.job
    if job.plan.uncompilable:
        raise StrategyError(job.plan.uncompilable)
    Program(recipe.strategy.name, job.text, job.plan).load()
    for model in venue.models:
        try:
            model.entry()
        except native.compile_errors() as error:
            explained = Program(f"cost model {model.name}", model.text, job.plan).explain(str(error))
            raise StrategyError(explained) from None
    prepare(job)


def record(
    recipe: Recipe, outcome: Outcome, venue: Venue | Venues, models: Sequence[FillModel], role: str | None = None
) -> str:
    """Write every trial to the ledger, before anybody sees it: under the first fill model as what was tried.

    Under the others as what tells how much of that is an assumption. Returns the id of the first one's row.
    """
    from kernelkit import ledger

    axes = {name: values for name, values in recipe.axes.items() if name != "fill_model"}
    kept = ((recipe.cells[0] if "fill_model" in recipe.axes else recipe.cells) >= 0).ravel()
    times, job = recipe.bars.indexes["time"].values, recipe.job
    source = recipe.strategy.identity
    span = [int(t) for t in times[[recipe.start, recipe.stop - 1]].astype("datetime64[ns]").astype("i8")]
    asset_ids = [str(i) for i in np.atleast_1d(recipe.bars["asset_id"].values).tolist()]
    shared = {
        "strategy": recipe.strategy.name,
        "source": ledger.digest_of(source),
        "span": span,
        "venue_id": ledger.digest_of(repr((job.venues, job.homes) if job.homes else job.venues)),
        "switches": [(s.bar, s.ends, s.flattens) for s in recipe.switches],
    }
    header = shared | {
        "lineage": str(recipe.bars.attrs.get("lineage", "")),
        "synthetic": int(recipe.bars.attrs.get("synthetic", 0)),
        "periods": float(recipe.bars.attrs["periods_per_year"]),
        "trusted": trusted(recipe),
        "interest": interest(recipe, times[recipe.start : recipe.stop]),
        "bound": recipe.params,
        "axes": axes,
        "assets": recipe.assets,
        "asset_ids": asset_ids,
        "together": recipe.shared,
        "venue": f"{venue.name}: {venue.costs}",
        "cells": int(kept.sum()) * len(recipe.accounts),
    }
    money = job.trials["cash"][: len(recipe.accounts)].tolist()
    each = len(outcome.done) // len(models)
    # What a signal captures, and what it reads of the bars beside prices, no text tells: its results do.
    opaque = isinstance(recipe.strategy, Signal)
    calls = []
    for k, model in enumerate(models):
        own = zip(digests(recipe, model), money, strict=True)
        identity = [shared | {"data": d, "cash": c, "fill_model": model.codes()} for d, c in own]
        part = outcome.part(k * each, (k + 1) * each)
        known = role or ("fill_model" if k else None)
        with ledger.role(known) if known else nullcontext():
            rows = ledger.trials_rows(
                header | {"fill_model": model.codes()}, identity, np.flatnonzero(kept), part, opaque
            )
        ledger.record_trials(source, rows)
        calls.append(str(rows[0]["call"]))
    if role != "delisting":  # which is computed beside another look
        ledger.warn_of_looks(asset_ids, span[1])
    return calls[0]


def trusted(recipe: Recipe) -> list[str]:
    """The features of a recipe's bars that entered without the time at which they were known."""
    bars = recipe.bars
    return [str(n) for n in bars.data_vars if str(n).startswith("x.") and int(bars[n].attrs.get("trusted", 0))]


def interest(recipe: Recipe, times: np.ndarray) -> list[float]:
    """The mean yearly rate that the cash of each of a recipe's accounts earns; of accounts at venues by their cash."""
    known = list(recipe.account.by_venue.values()) if isinstance(recipe.account, Accounts) else [recipe.account]
    if all(a.interest == 0.0 for a in known):
        return [0.0] * len(recipe.accounts)
    moments = times.astype("datetime64[ns]").astype("i8")
    rates = [float(rate_at(a.interest, moments).mean()) for a in known]
    mean = float(np.average(rates, weights=[max(a.cash, 0.0) + 1e-9 for a in known]))
    return [mean] * len(recipe.accounts)


def digests(recipe: Recipe, model: FillModel) -> list[str]:
    """What tells a recipe's data from others: a hash for each asset, one for all where they share an account.

    Finer bars count under a fill model that matches orders in them.
    """
    each = [table.digest for table in recipe.job.tables]
    if model.path == "finer":
        fine = [table.finer.digest for table in recipe.job.tables if table.finer is not None]
        each = [hashlib.sha256((a + b).encode()).hexdigest() for a, b in zip(each, fine, strict=True)]
    return [hashlib.sha256("".join(each).encode()).hexdigest()] if recipe.shared else each


def explain(recipe: Recipe, outcome: Outcome, venue: Venue | Venues) -> None:
    """Raise what went wrong in the first failed trial: LookaheadError, OrderError, or the user's own exception.

    All name the bar. The exception comes from a replay of its bar in Python, so its traceback shows the user's lines;
    RunError where the replay does not raise.
    """
    trial, (status, i, argument) = min(outcome.errors.items())
    when = recipe.bars["time"].values[recipe.rows(trial)[i]]
    where = f"{recipe.strategy.name}, bar {i} ({np.datetime_as_string(when, unit='s')})"
    if status == L.LOOKAHEAD:
        raise LookaheadError(
            message(
                where,
                f"index [{argument}]",
                "0 for the present bar, -1 for the one before",
                "A positive index is a bar that has not happened yet.",
            )
        )
    if status == L.NO_ASSET:
        wanted = f"a number from 0 to {len(recipe.assets) - 1}"
        raise StrategyError(message(where, f"asset {argument}", wanted, "Write `for k in ctx.tradable:`."))
    if status == L.JAMMED:
        wanted, fix = f"at most {L.MOVING}", "Send larger amounts, less often."
        raise OrderError(message(where, "one more transfer under way", wanted, fix))
    if status == L.UNTOLD:
        wanted, fix = "no more than are told in time", "Leave out assets that end, or say that they were delisted (E4)."
        raise OrderError(
            message(where, "fills and orders that no hook was told of, as their assets ended", wanted, fix)
        )
    if status == L.CROWDED:
        most = L.RESERVE + 4 * (recipe.job.n_asset - 1)
        raise OrderError(
            message(
                where,
                f"more than {most} new orders in one decision",
                f"at most {most}",
                "Submit fewer orders per bar.",
            )
        )
    here = isinstance(recipe.strategy, (Strategy, Signal))  # a resumed run may have its text only
    if here:
        from kernelkit.view import replay

        replay(recipe, trial, i, venue, where)
    if status == L.BAD_MODEL:
        raise OrderError(
            message(
                where,
                f"a cost model that answered with NaN, infinity or negative slippage ({venue.costs})",
                "a finite number, slippage >= 0",
                "Correct the model (rule C6).",
            )
        )
    if here:
        fix = "Please report this with the strategy's source."
        raise RunError(message(where, "an exception in compiled code, none in Python", "the same in both", fix))
    raise RunError(message(where, "an exception", "none", "Pass strategy= to kk.resume to see its traceback."))


def warmup() -> float:
    """Compile the engine and the kernels of metrics and inference into the disk cache, or find them; seconds it took.

    >>> warmup() >= 0.0
    True
    """
    from kernelkit.kernels import compile as native
    from kernelkit.kernels import cscv, elimination, rows, silhouettes

    began = time.perf_counter()
    native.engine().everything()
    native.kernel("rows", "sum_rows", rows.TYPES)
    native.kernel("cscv", "subset_sums", cscv.SUBSET_TYPES)
    native.kernel("cscv", "cscv", cscv.TYPES)
    native.kernel("elimination", "below_mean", elimination.MAX_TYPES)
    native.kernel("elimination", "apart", elimination.RANGE_TYPES)
    native.kernel("silhouettes", "up_the_tree", silhouettes.TYPES)
    return time.perf_counter() - began
