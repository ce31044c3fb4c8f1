"""`backtest`: labelled bars, a strategy and settings in; one labelled Dataset of results out, its curves lazy."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.agenda import worthless
from kernelkit.binding import bind
from kernelkit.errors import LookaheadError, OrderError, RunError, StrategyError, UsageError, arguments, message
from kernelkit.gpu import Gpu, choose
from kernelkit.intrabar import with_finer
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Outcome, new_outcome
from kernelkit.kernels.session import prepare
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.recipe import Recipe, check_bars, plan_job, resolve, span, under_each
from kernelkit.reuse import Cache
from kernelkit.strategy import Program, Signal, Strategy
from kernelkit.tried import record, trial_keys
from kernelkit.working import Means, run_trials

if TYPE_CHECKING:
    import xarray as xr

NOT_FINER = "Only kk.backtest and kk.audit match orders in finer bars."
WORTH, LEAST_TRIALS = 1e10, 10_000  # bars, trials: a device's program takes half a minute to compile
OUTPUTS = ("metrics", "blocks", "curves")


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
    cache: Cache = None,
    memory_limit: int | str | None = None,
    gpu: Gpu = False,
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
    ``client`` is a dask.distributed Client or its address. ``cache`` keeps what trials came to and finds it again:
    True for the user's folder, a path for that one, False for none, None for what $KERNELKIT_RESULTS says; runs of
    less than 0.2 s, signals, and what a device computes are not kept. ``memory_limit`` (bytes, or ``"2GB"``) is what
    block summaries may take, which are 8 kB a trial: beyond it they lie in a file. ``gpu=True`` runs each trial on a
    thread of a CUDA device, with the same bits as far as the strategy and its cost models call no library's function
    (`math.exp`, a power); ``"auto"`` does where there is one, it can and it is worth it, and ``attrs["gpu"]`` says what
    was done (docs/performance.md). ``debug=True`` runs the strategy in plain Python: breakpoints, prints and tracebacks
    in your own lines.

    Returns a Dataset: scalar metrics over the swept parameters (fractions, quote currency, days; see each ``attrs``),
    ``total_return_at_zero`` where an asset was delisted and nobody knows what its holders got (rule E4),
    and lazy curves ``equity``, ``cash``, ``position``, ``drawdown`` and own records over ``time``. ``attrs`` say how
    long it took: ``seconds``, and before that ``compile_seconds`` for what was compiled or loaded from the disk;
    ``cached`` which of the trials were found and not run.

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
    traded_at, means = settings.venue, Means(client, cache, memory_limit)
    if not isinstance(outputs, (str, list, tuple, set)):
        fix = 'Write outputs=["metrics"], or leave it out for everything.'
        raise UsageError(message("outputs", repr(outputs), f"a list of {', '.join(OUTPUTS)}", fix))
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
    means, said = devised(recipe, means, gpu, debug)
    kept, before = means.results, means.results.found if means.results is not None else 0
    outcome, interrupted, ready = new_outcome(len(recipe.job.trials), False), False, time.perf_counter()
    try:
        if debug:
            from kernelkit.view import binding, run_in_python

            recipe.python = partial(binding, recipe, venue=traded_at)
            outcome = run_in_python(recipe, traded_at)
        else:
            keep = "blocks" in outputs or (measure and ledger.competing())
            outcome, interrupted = run_trials(recipe, keep, means, strategy.name, partial(trial_keys, recipe, models))
        took = time.perf_counter() - ready
        if kept is not None and kept.found > before:
            said = said | {
                "cached": f"{kept.found - before:,} of {len(outcome.done):,} trials, computed by {kept.latest}"
            }
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
        at_zero, interrupted = run_trials(other, False, means, strategy.name, partial(trial_keys, other, models))
        record(other, at_zero, traded_at, models, "delisting")
    ds = build(recipe, outcome, outputs, traded_at, models, at_zero)
    ds.attrs["ledger"] = call
    ds.attrs |= said
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


def devised(recipe: Recipe, means: Means, gpu: Gpu, debug: bool) -> tuple[Means, dict[str, str]]:
    """The means with or without the CUDA device, and the `attrs` that say so (`gpu.choose`)."""
    job = recipe.job

    def obstacle() -> str:
        from kernelkit.kernels import fleet

        found = {"debug": debug, "a cluster's client": means.client is not None, "a signal": recipe.signal is not None}
        return next((text for text, there in found.items() if there), "") or fleet.obstacle(job)

    def uncompilable() -> str:
        from kernelkit.kernels import cuda

        return cuda.refusal(job)

    worth = float((job.trials["i1"] - job.trials["i0"]).sum()) >= WORTH and len(job.trials) >= LEAST_TRIALS
    device, said = choose("backtest", gpu, obstacle, worth, uncompilable)
    return replace(means, device=device) if device else means, said


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
    from kernelkit.kernels import cscv, elimination, regimes, rows, silhouettes

    began = time.perf_counter()
    native.engine().everything()
    native.kernel("rows", "sum_rows", rows.TYPES)
    native.kernel("cscv", "subset_sums", cscv.SUBSET_TYPES)
    native.kernel("cscv", "cscv", cscv.TYPES)
    for name, types in regimes.TYPES.items():
        native.kernel("regimes", name, types)
    native.kernel("elimination", "below_mean", elimination.MAX_TYPES)
    native.kernel("elimination", "apart", elimination.RANGE_TYPES)
    native.kernel("silhouettes", "up_the_tree", silhouettes.TYPES)
    return time.perf_counter() - began
