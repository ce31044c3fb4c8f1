"""A strategy under scenarios, beside itself without (rule Z17). Adds dim ``scenario``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import schema
from kernelkit.engine import backtest
from kernelkit.errors import KernelkitError, UsageError, arguments, message
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.recipe import check_bars, span
from kernelkit.result import Curves, trial_numbers
from kernelkit.reuse import Cache
from kernelkit.strategy import Signal, Strategy
from kernelkit.study.run import Case, Common, Refused, free_of, lay, run
from kernelkit.study.scenarios import standard
from kernelkit.study.scenarios.world import Scenario, World
from kernelkit.working import Means

if TYPE_CHECKING:
    import xarray as xr

BASE = "base"


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
    settings = {"start": start, "end": end, "account": account, "venue": venue, "fill_model": fill_model}
    given = {"outputs": ("metrics", "blocks"), "client": client, "cache": cache}
    backtest(bars, strategy, params, grid=grid, where=where, **settings, **given)  # shown as base: it competes

    def cases() -> Iterator[Case]:
        yield Case(BASE)
        for label, scenario in known.items():
            yield case_of(label, scenario, base)

    ds = run("scenario", cases(), common, role="scenario", total=len(known) + 1, means=Means(client, cache))
    known = {label: known[label] for label in ds["scenario"].values.tolist()[1:]}  # fewer where it was interrupted
    final = ds["final_equity"]
    left = final.sel(scenario=BASE, drop=True)
    ds["loss"] = 1.0 - final / left.where(left > 0.0)
    drawdowns, windows = np.full(final.shape, np.nan), [(base.start, base.stop)]
    for k, (label, scenario) in enumerate([(BASE, None), *known.items()]):
        case = Case(BASE) if scenario is None else case_of(label, scenario, base)
        if scenario is not None:
            windows.append(_felt(scenario, base))
        if {"start", "end"} & set(case.settings):
            ds["loss"][k] = np.nan
        if windows[k][1] > windows[k][0]:
            drawdowns[k] = window_drawdown(case, common, windows[k], final.shape[1:])
    ds["window_drawdown"] = final.dims, drawdowns
    times = base.bars["time"].values
    ends = [(times[a], times[b - 1]) if b > a else (np.datetime64("NaT", "ns"),) * 2 for a, b in windows]
    told = [("Nothing is changed.", ""), *((s.text, s.reference) for s in known.values())]
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


def window_drawdown(case: Case, common: Common, window: tuple[int, int], shape: tuple[int, ...]) -> np.ndarray:
    """Z17: the largest fall of equity from a peak within these rows and the one before them; of each cell.

    The trials are simulated again for their curves. NaN where there is no trial, or where it fails.
    """
    (laid,) = lay([case], common)
    out = np.full(shape, np.nan)
    if isinstance(laid, Refused):
        return out
    curves, recipe = Curves(laid.recipe), laid.recipe
    first, last = max(window[0] - 1 - recipe.start, 0), window[1] - recipe.start
    for where, trial in np.ndenumerate(trial_numbers(recipe)):
        if trial >= 0 and last > first:
            try:
                equity = curves.curve("equity", int(trial))[first:last]
            except KernelkitError:  # the study has its reason
                continue
            out[where] = float(np.max(1.0 - equity / np.maximum.accumulate(equity)))
    return out
