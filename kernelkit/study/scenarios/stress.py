"""A strategy under scenarios, beside itself without (rule Z17). Adds dim ``scenario``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import ledger, schema
from kernelkit.errors import KernelkitError, UsageError, arguments, message
from kernelkit.kernels.job import Outcome
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.recipe import check_bars, span
from kernelkit.result import Curves, trial_numbers
from kernelkit.reuse import Cache
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Case, Common, Laid, free_of, run
from kernelkit.study.scenarios import standard
from kernelkit.study.scenarios.world import Scenario, World
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

BASE = "base"
NOT = (np.datetime64("NaT", "ns"),) * 2


def world_of(common: Common) -> World:
    """What a study's strategy is run in before anything is changed."""
    bars = check_bars(common.bars)
    settings = Settings.of(common.account, common.venue, None)
    return World(bars, settings.venue, settings.account, *span(bars, common.start, common.end))


def case_of(label: Any, scenario: Scenario, base: World) -> Case:
    """The case of a scenario; one that does not fit is refused with its reason when its turn comes."""
    try:
        world = scenario.apply(base)
    except KernelkitError as error:
        return Case(label, _refused(error))
    settings: dict[str, Any] = {"venue": world.venue, "account": world.account}
    if (world.start, world.stop) != (base.start, base.stop):
        times = world.bars["time"].values
        settings |= {"start": times[world.start], "end": times[world.stop - 1]}
    return Case(label, world.bars, settings)


def _refused(error: KernelkitError) -> Callable[[], xr.Dataset]:
    def raises() -> xr.Dataset:
        raise error

    return raises


def labelled(scenarios: Scenario | Sequence[Scenario] | Mapping[str, Scenario]) -> dict[str, Scenario]:
    """Scenarios by label; raises UsageError for what is none, and for two of one label.

    >>> from kernelkit.study.scenarios import Gap
    >>> list(labelled([Gap(-0.1), Gap(-0.2)]))
    ['Gap(-10%)', 'Gap(-20%)']
    """
    if isinstance(scenarios, Scenario):
        scenarios = [scenarios]
    given = scenarios.items() if isinstance(scenarios, Mapping) else ((None, s) for s in scenarios)
    pairs: list[tuple[Any, Any]] = list(given)
    wrong = [repr(s) for _, s in pairs if not isinstance(s, Scenario)]
    if wrong or not pairs:
        fix = "Write scenarios=[kk.scenarios.Gap(-0.1)], or a dict of them by label."
        raise UsageError(message("scenarios", wrong[0] if wrong else "none", "one of kk.scenarios or more", fix))
    names = [BASE, *(s.label if name is None else str(name) for name, s in pairs)]
    twice = [n for n in names if names.count(n) > 1]
    if twice:
        raise UsageError(message("label of scenarios", f"{twice[0]!r} twice", "one each", "Give a dict by label."))
    return dict(zip(names[1:], (s for _, s in pairs), strict=True))


@arguments(account=Account, venue=Venue, fill_model=FillModel)
def stress(  # noqa: PLR0913  its settings are keywords of the public interface
    bars: xr.Dataset,
    strategy: Strategy | Signal,
    params: Mapping[str, Any] | None = None,
    *,
    scenarios: Scenario | Sequence[Scenario] | Mapping[str, Scenario] | None = None,
    grid: Mapping[str, Any] | None = None,
    where: str | Callable[..., Any] | None = None,
    start: Any = None,
    end: Any = None,
    account: Account | Accounts | None = None,
    venue: Venue | Venues | Mapping[str, Venue] | None = None,
    fill_model: FillModel | str | None = None,
    client: Any = None,
    cache: Cache = None,
    memory_limit: int | str | None = None,
) -> xr.Dataset:
    """Backtest under each of ``scenarios`` (None: `kk.scenarios.standard`), with the whole grid, as `kk.backtest` does.

    A Dataset with dim ``scenario``, of which the first label is ``"base"``, without any; then the axes of the grid. Its
    variables are the scalar metrics of `kk.backtest`; ``loss``, ``1 - final equity / that of base``, NaN where a replay
    is evaluated over another span, or the base is ruined; ``window_drawdown``, the largest fall of equity from a peak
    within the bars in which the scenario is felt, beginning with the bar before; ``error``, why a scenario has no
    result (a window that the bars do not cover, for one). Coords ``what``, ``reference``, ``window_start`` and
    ``window_end`` tell of each. In the ledger its trials have the role ``scenario`` (rule J3); the base is a rival.
    Raises UsageError, and what `kk.backtest` raises where not even the base has a result.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> bars = kk.data.load("sp500_index")
    >>> found = kk.stress(bars, hold, scenarios=[kk.scenarios.Gap(-0.1), kk.scenarios.Replay("crisis_2008")])
    >>> found["loss"].round(3).values.tolist(), found["total_return"].sel(scenario="crisis_2008").item() < -0.5
    ([0.0, 0.1, nan], True)
    """
    common = Common(bars, strategy, params, grid, where, start, end, account, venue, fill_model)
    base = world_of(common)
    known = labelled(standard(base.bars) if scenarios is None else scenarios)
    free_of("stress", [*(grid or {}), *(params or {})], ("scenario",))
    windows = {BASE: (base.start, base.stop)} | {label: _felt(s, base) for label, s in known.items()}
    apart, falls = set[str](), dict[str, np.ndarray]()

    def cases() -> Iterator[Case]:
        yield Case(BASE, role="rival" if ledger.competing() else None)
        for label, scenario in known.items():
            case = case_of(label, scenario, base)
            if {"start", "end"} & set(case.settings):
                apart.add(label)
            yield case

    def fall(case: Laid, part: Outcome) -> None:
        falls[case.label] = window_drawdown(case, part, windows[case.label])

    means, many = Means(client, cache, memory_limit), len(known) + 1
    ds = run("scenario", cases(), common, role="scenario", strict={BASE}, total=many, means=means, each=fall)
    labels = ds["scenario"].values.tolist()  # fewer where it was interrupted
    final = ds["final_equity"]
    left = final.sel(scenario=BASE, drop=True)
    ds["loss"] = 1.0 - final / left.where(left > 0.0)
    ds["loss"][[label in apart for label in labels]] = np.nan
    nothing = np.full(final.shape[1:], np.nan)
    ds["window_drawdown"] = final.dims, np.stack([falls.get(label, nothing) for label in labels])
    times = base.bars["time"].values
    ends = [(times[a], times[b - 1]) if b > a else NOT for a, b in (windows[n] for n in labels)]
    told = [("Nothing is changed.", ""), *((known[n].text, known[n].reference) for n in labels[1:])]
    ds = ds.assign_coords(
        {
            "what": ("scenario", [text for text, _ in told]),
            "reference": ("scenario", [reference for _, reference in told]),
            "window_start": ("scenario", [a for a, _ in ends]),
            "window_end": ("scenario", [b for _, b in ends]),
        }
    )
    schema.label(ds)
    return ds


def _felt(scenario: Scenario, base: World) -> tuple[int, int]:
    """The rows in which a scenario is felt, none where it does not fit: the study says why."""
    try:
        return scenario.felt(base)
    except KernelkitError:
        return 0, 0


def window_drawdown(case: Laid, part: Outcome, window: tuple[int, int]) -> np.ndarray:
    """Z17: the largest fall of equity from a peak within these rows and the one before them; of each cell.

    The trials are simulated again for their curves. NaN where there is no trial, or it failed.
    """
    recipe, numbers = case.recipe, trial_numbers(case.recipe)
    first, last = max(window[0] - 1 - recipe.start, 0), window[1] - recipe.start
    curves, falls = Curves(recipe), np.full(case.trials + 1, np.nan)  # the last one is that of no trial

    def one(trial: int) -> None:
        equity = curves.curve("equity", trial)[first:last]
        falls[trial] = float(np.max(1.0 - equity / np.maximum.accumulate(equity)))

    if last > first:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(one, np.flatnonzero(part.done).tolist()))
    found: np.ndarray = falls[numbers]
    return found
