"""A backtest that goes on: start it, feed it bars as they come, save it, resume it in another process.

The bits are those of one whole run.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import uuid
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from kernelkit.agenda import with_agenda
from kernelkit.data import append, store
from kernelkit.data.contracts import check_same
from kernelkit.engine import compiled, explain, record
from kernelkit.errors import OrderError, RunError, UsageError, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.block import header_of
from kernelkit.kernels.cache import build_id
from kernelkit.kernels.context import Rolling
from kernelkit.kernels.job import Backing, Costs, Job, new_outcome
from kernelkit.kernels.plan import Plan, Ring, Site
from kernelkit.kernels.rules import Rules
from kernelkit.kernels.session import Failed, Session
from kernelkit.kernels.source import Source
from kernelkit.market.account import Account, Rates
from kernelkit.market.fill_model import FillModel
from kernelkit.market.settings import Settings
from kernelkit.market.terms import check_volumes, hours_of, venues_of
from kernelkit.market.venue import Venue
from kernelkit.recipe import (
    Recipe,
    asked_of,
    asset_names,
    bind,
    calls_of,
    check_bars,
    check_path,
    check_vwap,
    clock_moments,
    first_call,
    kind_of,
    most_closed,
    own_state,
    param_words,
    resolve,
    span,
)
from kernelkit.strategy import Signal, Strategy
from kernelkit.table import check_sizes, clock_of, panel_of, ready_together, table_of

if TYPE_CHECKING:
    import xarray as xr

FORMAT = 1
RATES = ("interest", "loan", "borrow")
DAMAGED = "Start again, or restore the folder."
OWN = re.compile(r"\.?(state|bars|run)-[0-9a-f]{32}\..*")  # files of one save, finished or not
ENDLESS = 1 << 60  # the bar at which a run that may always go on would end


class Run:
    """One trial over one asset, advanced as its bars arrive. Make it with `start` or `resume`."""

    def __init__(self, recipe: Recipe, venue: Any, fill_model: FillModel, state: np.ndarray | None = None) -> None:
        self._recipe, self._venue, self._fill_model = recipe, venue, fill_model
        self._session = session_of(recipe, state)
        self._advance()

    def __repr__(self) -> str:
        return f"<run of {self._recipe.strategy.name}: {self.bars} bars, equity {self.equity:.2f}>"

    def __reduce__(self) -> str:
        """Raise UsageError: a run is kept as a folder."""
        fix = "Write run.save(path), and kk.resume(path) where it is to go on."
        raise UsageError(message("pickling or copying a run", "a run that may go on", "a saved one", fix))

    @property
    def bars(self) -> int:
        """Bars done, those of the warm-up included."""
        return int(header_of(self._session.block)["i"])

    @property
    def equity(self) -> float:
        """Equity at the last mark, in quote currency; the initial cash while the run warms up."""
        header = header_of(self._session.block)
        at = int(header["off_account"])
        account = self._session.block[at : at + L.ACCOUNT.itemsize].view(L.ACCOUNT)[0]
        return float(account["equity"]) if header["started"] else float(self._recipe.job.trials[0]["cash"])

    def _advance(self) -> None:
        try:
            self._session.advance(self._recipe.job.tables[0].n_bars)
        except Failed as failure:
            outcome = new_outcome(1, False)
            outcome.errors[0] = (failure.status, failure.i, failure.argument)
            explain(self._recipe, outcome, self._venue)

    def feed(self, more: Any) -> Run:
        """Go on with more bars: a frame or Dataset that follows, or the whole Dataset extended.

        Where features are used it must be the whole. Raises DataError when they do not follow, UsageError when bars
        that were run already have changed. A failed feed leaves the run as it was.
        """
        import xarray as xr

        old = self._recipe.bars
        longer = (
            isinstance(more, xr.Dataset)
            and more.sizes["time"] > old.sizes["time"]
            and more.indexes["time"][0] == old.indexes["time"][0]
        )
        bars = check_bars(more) if longer else append(old, more)
        if asset_names(bars) == self._recipe.assets:
            check_same(old, bars)
        plan = self._recipe.job.plan
        table, rows = table_of(bars, 0, plan.features, *asked_of(plan))
        check_volumes(self._recipe.job.venues, None, [table], self._recipe.assets)
        check_vwap([self._fill_model], [table], self._recipe.assets)
        account: Any = self._recipe.account
        [table] = with_agenda(bars, [table], [rows], [account], False)
        before = self._recipe.job.tables[0]
        if not before.begins(table) or asset_names(bars) != self._recipe.assets:
            found, wanted = "bars that differ from those already run", "the same bars and instrument, continued"
            raise UsageError(message("feed", found, wanted, "Start a new run: history has changed."))
        trials = self._recipe.job.trials.copy()
        trials["trade_from"] = np.maximum(trials["trade_from"], table.ready(self._recipe.job.waits))  # W7
        hours = hours_of(self._recipe.job.venues, [table])
        job = replace(self._recipe.job, tables=[table], trials=trials, hours=hours)
        recipe = replace(self._recipe, bars=bars, job=job, places=[rows])
        old_state = self._recipe, self._session
        self._recipe, self._session = recipe, session_of(recipe, self._session.block.copy())
        try:
            self._advance()
        except BaseException:
            self._recipe, self._session = old_state
            raise
        return self

    def result(self) -> xr.Dataset:
        """The result as if the data ended here: what `kk.backtest` over the same bars returns, bit for bit.

        Raises RunError while the run warms up.
        """
        from kernelkit.result import build

        n, begin = self._recipe.job.tables[0].n_bars, int(self._recipe.job.trials[0]["trade_from"])
        if n <= begin:
            raise RunError(
                message("this run", f"{n} bars, all of them warm-up", f"more than {begin}", "Feed it more bars.")
            )
        trials = self._recipe.job.trials.copy()
        trials["i1"] = n
        place = self._recipe.places[0]
        recipe = replace(
            self._recipe,
            job=replace(self._recipe.job, trials=trials),
            start=int(place[begin]),
            stop=self._recipe.bars.sizes["time"],
        )
        outcome = self._session.ended(n)
        record(recipe, outcome, self._venue, [self._fill_model])
        return build(recipe, outcome, ("metrics", "blocks", "curves"), self._venue, [self._fill_model])

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the run to the folder ``path``, whole or not at all; an older one there is replaced.

        ``run.json`` names the other files and is put in place last: until then the folder holds the older run.
        """
        target, mark = Path(path).absolute(), uuid.uuid4().hex
        target.mkdir(parents=True, exist_ok=True)
        state, bars, part = target / f"state-{mark}.bin", target / f"bars-{mark}.zarr", target / f"run-{mark}.json"
        block = self._session.block.tobytes()
        try:
            store.save(self._recipe.bars, bars)
            _write(state, block)
            document = {**self._document(block), "state": state.name, "bars": bars.name}
            _write(part, json.dumps({**document, "digest": _digest(document)}, indent=1).encode())
            part.replace(target / "run.json")
        except BaseException:
            _remove([state, bars, part])
            raise
        _sync(target)
        _remove(p for p in target.iterdir() if OWN.fullmatch(p.name) and p not in (state, bars))
        return target

    def _document(self, block: bytes) -> dict[str, Any]:
        recipe, job = self._recipe, self._recipe.job
        return {
            "format": FORMAT,
            "layout": L.VERSION,
            "build": build_id(),
            "crc": zlib.crc32(block),
            "strategy": recipe.strategy.name,
            "source": recipe.strategy.source.text,
            "identity": recipe.strategy.identity,
            "program": job.text,
            "plan": plan_to_json(job.plan),
            "params": job.params.tolist(),
            "bound": recipe.params,
            "trial": [float(x) if isinstance(x, float) else int(x) for x in job.trials[0].item()],
            "custom_state": job.custom_state,
            "ring_sizes": {str(k): v for k, v in job.ring_sizes.items()},
            "waits": job.waits,
            "venue": [asdict(c) for c in job.venues],
            "venue_name": self._venue.name,
            "costs": self._venue.costs,
            "fill_model": asdict(self._fill_model),
            "rates": {name: rate_to_json(getattr(recipe.account, name)) for name in RATES},
        }


def rate_to_json(rate: Any) -> Any:
    """A rate of the account as JSON: a number, or its times and values; of several assets by name."""
    if isinstance(rate, Mapping):
        return {"of": {asset: rate_to_json(r) for asset, r in rate.items()}}
    return asdict(rate) if isinstance(rate, Rates) else rate


def rate_from_json(rate: Any) -> Any:
    """The rate again."""
    if not isinstance(rate, dict):
        return rate
    if "of" in rate:
        return {asset: rate_from_json(r) for asset, r in rate["of"].items()}
    return Rates(tuple(rate["times"]), tuple(rate["values"]))


def _backing(saved: Mapping[str, Any]) -> Backing:
    tiers = {side: tuple(map(tuple, saved[side])) for side in ("long", "short")}
    return Backing(**{**saved, **tiers})


def _digest(document: Mapping[str, Any]) -> str:
    """Hash of what a ``run.json`` says, its own digest apart."""
    told = {k: v for k, v in document.items() if k != "digest"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(paths: Iterable[Path]) -> None:
    """Delete what no run needs; what cannot be deleted now is deleted by the next save."""
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def session_of(recipe: Recipe, state: np.ndarray | None) -> Session:
    """A session over the recipe's bars, taken up at a state block."""
    session = Session(recipe.job)
    if state is not None:
        session.restore(state)
    return session


@dataclass(frozen=True)
class SavedStrategy:
    """What a resumed run knows of its strategy: name and source, for the ledger and the result."""

    name: str
    text: str
    identity: str

    @property
    def source(self) -> Source:
        """Its tree."""
        tree = ast.parse(self.text).body[0]
        if not isinstance(tree, ast.FunctionDef):
            found, fix = type(tree).__name__, "Start again, or restore the folder."
            raise RunError(message("source of a saved run", found, "the function of its strategy", fix))
        return Source(tree, "saved run", 1)


@dataclass(frozen=True)
class SavedVenue:
    """What a resumed run knows of its venue: name and costs in words."""

    name: str
    costs: str
    models: tuple[Any, ...] = ()  # a resumed run has no Python of them


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    return {
        "params": {n: t.__name__ for n, t in plan.params.items()},
        "state": {n: {"ring": v.n} if isinstance(v, Ring) else v for n, v in plan.state.items()},
        "features": plan.features,
        "records": plan.records,
        "reach": plan.reach,
        "raises": plan.raises,
        "words": plan.words,
        "closing": plan.closing,
        "sizes": plan.sizes,
        "timeframes": plan.timeframes,
        "moments": plan.moments,
        "told": plan.told,
        "timed": plan.timed,
        "sites": [
            [s.kind, s.column, list(s.arguments), list(s.rolling), s.slot, s.custom, s.timeframe] for s in plan.sites
        ],
    }


def plan_from_json(data: Mapping[str, Any]) -> Plan:
    """The plan again."""
    kinds = {"int": int, "float": float, "bool": bool}
    state = {n: Ring(v["ring"]) if isinstance(v, dict) else v for n, v in data["state"].items()}
    plan = Plan(
        {n: kinds[t] for n, t in data["params"].items()},
        state,
        list(data["features"]),
        [],
        list(data["records"]),
        data["reach"],
        data["raises"],
    )
    plan.sites = [Site(k, c, tuple(a), Rolling(*r), *rest) for k, c, a, r, *rest in data["sites"]]
    plan.words, plan.closing, plan.sizes = data["words"], data["closing"], data["sizes"]
    plan.timeframes = dict(data["timeframes"])
    plan.moments, plan.told, plan.timed = list(data["moments"]), data["told"], data["timed"]
    return plan


def start(
    bars: xr.Dataset,
    strategy: Strategy,
    params: Mapping[str, Any] | None = None,
    *,
    start: Any = None,
    account: Account | None = None,
    venue: Venue | None = None,
    fill_model: FillModel | str | None = None,
) -> Run:
    """Begin a backtest of one strategy, with scalar parameters, over one asset; it runs ``bars`` and waits for more.

    Raises UsageError for a signal (it sees whole arrays), a grid or several assets, OrderError for a fill model with a
    close-out (nobody knows the last bar), and what `kk.backtest` raises.

    >>> import kernelkit as kk
    >>> bars = kk.data.load("sp500_index")
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> run = kk.start(bars.isel(time=slice(0, 3000)), hold).feed(bars.isel(time=slice(3000, None)))
    >>> float(run.result()["final_equity"]) == float(kk.backtest(bars, hold)["final_equity"])
    True
    """
    bars, subject = check_bars(bars), resolve(strategy)
    settings = Settings.of(account, venue, fill_model)
    if isinstance(subject, Signal):
        raise UsageError(
            message(
                f"signal {subject.name}",
                "a function of whole arrays",
                "a @kk.strategy",
                "Only an event-driven strategy can be fed bar by bar.",
            )
        )
    if subject.shared:
        fix = "Use kk.backtest; runs that go on take one asset."
        raise UsageError(message(f"portfolio {subject.name}", "an account of several assets", "a @kk.strategy", fix))
    if settings.fill_model.path == "finer":
        fix = "Use kk.backtest(..., finer=...); runs that go on take one table of bars."
        raise OrderError(message("path of a run", "finer", "a path through the bars themselves", fix))
    if settings.fill_model.close_out != "none":
        found, fix = settings.fill_model.close_out, "A run that may go on does not know its last bar."
        raise OrderError(message("close_out of a run", found, "none", fix))
    if bars.sizes["asset"] != 1:
        raise UsageError(message("bars", f"{bars.sizes['asset']} assets", "one", "Choose one: bars.sel(asset=[name])."))
    scalars, axes = bind(subject, params, None)
    if axes:
        raise UsageError(
            message("params of a run", f"sequences for {', '.join(axes)}", "scalars", "Use kk.backtest for a grid.")
        )
    recipe = one_recipe(bars, subject, scalars, start, settings)
    compiled(recipe, settings.venue)
    return Run(recipe, settings.venue, settings.fill_model)


def one_recipe(
    bars: xr.Dataset,
    strategy: Strategy,
    scalars: dict[str, Any],
    start: Any,
    settings: Settings,
    types: Mapping[str, type] | None = None,
) -> Recipe:
    """The recipe of a single trial that has no end yet; ``types`` are those of its parameters, from their values."""
    types = types or {n: kind_of(n, [scalars[n]], d) for n, d in strategy.defaults.items()}
    program = strategy.program(types, {n: v for n, v in scalars.items() if isinstance(v, str)})
    shared = program.plan.shared
    panel = panel_of(bars, program.plan.features, None, *asked_of(program.plan))
    assets = asset_names(bars)
    venues, homes = venues_of(settings, assets, shared), settings.homes(assets) if shared else None
    check_volumes(venues, homes, panel.tables, assets)
    check_vwap([settings.fill_model], panel.tables, asset_names(bars))
    check_sizes(program.plan, panel.tables)
    rows = np.arange(panel.n) if shared else panel.places[0]
    first = int(np.searchsorted(rows, span(bars, start, None)[0]))
    need, waits = strategy.bars_needed(program, scalars), most_closed(strategy, program, [scalars])
    begin, tables, called = max(first, need), panel.tables, None
    if shared:
        check_path(settings.fill_model)
        if program.plan.by_asset:
            called = calls_of(panel, need, waits)
            begin = max(first, first_call(panel, called))
        else:
            begin = max(begin, ready_together(panel, program.plan.timeframes, waits, asset_names(bars)))
        tables = [clock_of(panel, bars, min(begin, panel.n - 1), clock_moments(program.plan)), *tables]
    else:
        begin = max(begin, tables[0].ready(waits))
    settings.check(shared)
    accounts = settings.accounts(assets)
    tables = with_agenda(bars, tables, panel.places, accounts, shared, homes)
    trials = np.zeros(1, L.TRIAL)
    trials[0] = (0, begin, ENDLESS, 0, 0, 0, settings.account.cash)
    params = param_words(program, [()], [], scalars)
    job = Job(
        program.text,
        program.plan,
        tables,
        venues,
        [settings.fill_model.codes()],
        trials,
        params,
        True,
        own_state(strategy, program),
        bars=panel.last_bars if shared else None,
        waits=waits,
        hours=hours_of(venues, tables),
        homes=homes,
        called=called,
    )
    stop = int(rows[-1]) + 1
    return Recipe(
        bars,
        strategy,
        job,
        {},
        asset_names(bars),
        panel.places,
        np.zeros((), "i8"),
        min(begin, stop - 1),
        stop,
        scalars,
        account=settings.account,
    )


def resume(path: str | os.PathLike[str], strategy: Strategy | None = None) -> Run:
    """Take up a saved run, in any process of the same build.

    ``strategy`` (the same source) is needed only for the tracebacks of its own exceptions. Raises RunError when the
    folder is damaged, or was written by another build (its bits could differ).

    >>> import tempfile
    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> bars = kk.data.load("sp500_index")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = kk.start(bars.isel(time=slice(0, 3000)), hold).save(f"{folder}/run")
    ...     run = kk.resume(path).feed(bars.isel(time=slice(3000, None)))
    >>> float(run.result()["final_equity"]) == float(kk.backtest(bars, hold)["final_equity"])
    True
    """
    folder = Path(path)
    document, state = _read(folder)
    if strategy is not None and strategy.identity != document["identity"]:
        fix = "Pass the strategy that the run was started with, or none."
        found, wanted = f"another {strategy.name}", f"the saved {document['strategy']}"
        raise RunError(message(f"run at {folder}", found, wanted, fix))
    try:
        bars = store.load(folder / document["bars"])
    except RuntimeError as error:  # what the decoder says of a damaged chunk
        raise RunError(message(f"run at {folder}", str(error), "bars as they were saved", DAMAGED)) from error
    plan = plan_from_json(document["plan"])
    table, rows = table_of(bars, 0, plan.features, *asked_of(plan))
    trials = np.zeros(1, L.TRIAL)
    trials[0] = tuple(document["trial"])
    venues = [
        Costs(
            **(
                v
                | {n: tuple(v[n]) for n in ("fee_slots", "slippage_slots")}
                | {"backing": _backing(v["backing"]), "rules": Rules.of(v["rules"])}
            )
        )
        for v in document["venue"]
    ]
    account = Account(float(trials[0]["cash"]), **{n: rate_from_json(r) for n, r in document["rates"].items()})
    [table] = with_agenda(bars, [table], [rows], [account], False)
    fill_model = FillModel(**document["fill_model"])
    job = Job(
        document["program"],
        plan,
        [table],
        venues,
        [fill_model.codes()],
        trials,
        np.array(document["params"], "i8").reshape(1, -1),
        True,
        [tuple(c) for c in document["custom_state"]],
        {int(k): v for k, v in document["ring_sizes"].items()},
        waits=tuple(document["waits"]),
        hours=hours_of(venues, [table]),
    )
    recipe = Recipe(
        bars,
        strategy or cast(Strategy, SavedStrategy(document["strategy"], document["source"], document["identity"])),
        job,
        {},
        [str(bars["asset"].values[0])],
        [rows],
        np.zeros((), "i8"),
        0,
        int(rows[-1]) + 1,
        document["bound"],
        account=account,
    )
    return Run(recipe, SavedVenue(document["venue_name"], document["costs"]), fill_model, state)


def _read(folder: Path) -> tuple[dict[str, Any], np.ndarray]:
    """What a saved run says of itself, and its state block."""
    try:
        document = json.loads((folder / "run.json").read_text())
        if not isinstance(document, dict) or document.get("digest") != _digest(document):
            raise RunError(message(f"run at {folder}", "a damaged run.json", "what was saved", DAMAGED))
        if (document["format"], document["layout"], document["build"]) != (FORMAT, L.VERSION, build_id()):
            found, wanted = f"build {document['build']}", f"this build, {build_id()}"
            again = "Run it again with kk.start: other code may compute other bits."
            raise RunError(message(f"run at {folder}", found, wanted, again))
        raw = (folder / document["state"]).read_bytes()
    except (OSError, ValueError) as error:
        wanted = "a folder written by run.save"
        raise RunError(message(f"run at {folder}", str(error), wanted, "Check the path.")) from None
    if zlib.crc32(raw) != document["crc"]:
        raise RunError(
            message(f"run at {folder}", f"a damaged {document['state']}", "the bytes that were saved", DAMAGED)
        )
    return document, np.frombuffer(raw, "u1").copy()
