"""The result of a backtest: metrics as plain variables, curves as lazy arrays that simulate the trials one looks at."""

from __future__ import annotations

import json
import os
import shutil
import threading
import uuid
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import accessor as _accessor  # noqa: F401  `res.kk` is there wherever results are
from kernelkit import schema
from kernelkit.errors import RunError, UsageError, arguments, message
from kernelkit.history import SIDES, events_of, lives
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Logs, Outcome
from kernelkit.kernels.session import Recorder
from kernelkit.lazy import lazy
from kernelkit.market.reasons import Reason

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from kernelkit.market.fill_model import FillModel
    from kernelkit.market.several import Venues
    from kernelkit.market.venue import Venue
    from kernelkit.recipe import Recipe

KEPT_TRIALS = 8
SHOWN = 8  # labels of a dim that a message shows
_recipes: weakref.WeakValueDictionary[str, Curves] = weakref.WeakValueDictionary()


class Curves:
    """Simulates single trials again, with logs, and remembers the last few; or keeps the logs of the only one."""

    def __init__(self, recipe: Recipe, only: Logs | None = None) -> None:
        self.recipe, self.only = recipe, only
        self.cache: OrderedDict[int, Logs] = OrderedDict()
        self.lock = threading.Lock()  # dask's threads look at trials too
        self.key = uuid.uuid4().hex
        _recipes[self.key] = self

    def logs(self, trial: int) -> Logs:
        """Everything that one trial did."""
        if self.only is not None:
            return self.only
        with self.lock:
            if trial in self.cache:
                self.cache.move_to_end(trial)
                return self.cache[trial]
        logs = self.simulated(trial)
        with self.lock:
            self.cache[trial] = logs
            while len(self.cache) > KEPT_TRIALS:
                self.cache.popitem(last=False)
        return logs

    def simulated(self, trial: int) -> Logs:
        """Everything that one trial does, run once more."""
        job, k = self.recipe.job, trial
        if self.recipe.signal is not None:
            from kernelkit.recipe import with_target

            job, k = with_target(self.recipe, trial, trial + 1), 0
        python = self.recipe.python(job) if self.recipe.python is not None else None
        try:
            recorder = Recorder(job, k, python=python)
            logs = recorder.all()
        finally:
            if python is not None:
                python.close()
        if recorder.outcome.errors:
            found, fix = f"trial {trial} that stops where it did not before", "Please report this with its source."
            raise RunError(message("simulating again", found, "the same trial", fix))
        return logs

    def alone(self, trial: int) -> tuple[Recipe, int]:
        """A recipe that has the trial, and its number there."""
        return self.recipe, trial

    def on_time(self, trial: int, values: np.ndarray, before: float | np.ndarray) -> np.ndarray:
        """A curve of the asset's own bars on the result's time axis.

        Carried forward over missing bars; ``before`` until the account starts.
        """
        r = self.recipe
        row = r.job.trials[trial]
        own = r.rows(trial)[int(row["trade_from"]) : int(row["i1"])]
        last = np.searchsorted(own, np.arange(r.start, r.stop), side="right") - 1
        found = values[np.maximum(last, 0)]
        return np.where(last >= 0 if found.ndim == 1 else (last >= 0)[:, None], found, before)

    def curve(self, name: str, trial: int) -> np.ndarray:
        """One curve of one trial over the result's time axis, float64 (time,).

        (time, asset) for a portfolio's position, and for own records of a strategy that is called for each asset (X9);
        (time, venue) for what the accounts at several venues have (V3).
        """
        logs, cash = self.logs(trial), float(self.recipe.job.trials[trial]["cash"])
        if name == "position" and self.recipe.shared:
            return self.on_time(trial, logs.curves[:, 2 : 2 + self.recipe.job.n_asset], 0.0)
        homes = self.recipe.job.homes
        if name in L.ACCOUNT_CURVES and homes is not None:
            purses = homes.purses
            first = 2 + self.recipe.job.n_asset + len(purses) * L.ACCOUNT_CURVES.index(name)
            return self.on_time(trial, logs.curves[:, first : first + len(purses)], purses)
        if name in L.CURVES:
            return self.on_time(trial, logs.curves[:, L.CURVES.index(name)], 0.0 if name == "position" else cash)
        if name == "drawdown":
            equity = self.on_time(trial, logs.curves[:, 0], cash)
            return 1.0 - equity / np.maximum(np.maximum.accumulate(equity), cash)
        plan, n = self.recipe.job.plan, self.recipe.job.n_asset
        if plan.by_asset:
            k = n * plan.records.index(name)
            return self.on_time(trial, logs.records[:, k : k + n], np.nan)
        return self.on_time(trial, logs.records[:, plan.records.index(name)], np.nan)


def trial_numbers(recipe: Recipe) -> np.ndarray:
    """Trial of every cell, with a trailing asset dim where there are several assets; -1 where excluded."""
    n = len(recipe.accounts)
    if n == 1:
        return recipe.cells
    wide = recipe.cells[..., None] * n + np.arange(n)
    return np.where(recipe.cells[..., None] >= 0, wide, -1)


def summaries(outcome: Outcome, trial: int, cells: int) -> np.ndarray:
    """One trial's block summaries (block, summary) as float64, NaN beyond its own blocks."""
    if outcome.blocks is None:
        raise RunError(message("block summaries", "none", "a result with outputs including 'blocks'", "Run it again."))
    rows = outcome.blocks[trial, :cells]
    out = np.stack([rows[n].astype("f8") for n in L.NODE_FIELDS], axis=1)
    out[int(outcome.meta[trial, 0]) :] = np.nan
    return out


def build(
    recipe: Recipe,
    outcome: Outcome,
    outputs: Sequence[str],
    venue: Venue | Venues,
    models: Sequence[FillModel],
    at_zero: Outcome | None = None,
    curves: Curves | None = None,
) -> xr.Dataset:
    """The result Dataset: metrics over (axes, asset) in the units of their ``attrs``, curves over ``time`` besides.

    ``at_zero`` is what the same trials came to where delistings of unknown value paid nothing, ``curves`` what
    simulates them again (None: as they are).
    """
    import xarray as xr

    numbers, periods = trial_numbers(recipe), float(recipe.bars.attrs["periods_per_year"])
    dims = (*recipe.axes, *(("asset",) if len(recipe.accounts) > 1 else ()))
    whole = np.vstack([outcome.headline, np.full((1, outcome.headline.shape[1]), np.nan)])  # -1 finds the NaN row
    coords: dict[str, Any] = {
        n: (n, np.array(v), {"role": n if n in ("fill_model", "path") else "param"}) for n, v in recipe.axes.items()
    }
    coords["asset"] = ("asset", recipe.assets) if len(recipe.assets) > 1 or recipe.shared else recipe.assets[0]
    names = (
        L.HEADLINE
        if "metrics" in outputs
        else (["final_equity"] if "final_equity" in outputs or "blocks" in outputs else [])
    )
    variables: dict[str, Any] = {n: (dims, whole[numbers, L.HEADLINE.index(n)]) for n in names}
    if "fill_model" in recipe.axes and "total_return" in names:
        returns = variables["total_return"][1]
        variables["total_return_spread"] = dims[1:], returns.max(axis=0) - returns.min(axis=0)
    if at_zero is not None:
        returns = np.append(at_zero.headline[:, L.HEADLINE.index("total_return")], np.nan)
        variables["total_return_at_zero"] = dims, returns[numbers]
    if outcome.blocks is not None and "blocks" in outputs:
        cells = int(outcome.meta[:, 0].max(initial=1))
        each = cells, len(L.NODE_FIELDS)
        blocks = lazy("blocks", numbers, each, lambda trial: summaries(outcome, trial, cells), outcome)
        year = {"periods_per_year": float(recipe.bars.attrs["periods_per_year"])}
        variables["blocks"] = ((*dims, "block", "summary"), blocks, year)
        coords["summary"] = ("summary", list(L.NODE_FIELDS))
    if "curves" in outputs:
        curves = curves or Curves(recipe)
        for name in ("time", "session"):
            coords[name] = ("time", recipe.bars.variables[name].values[recipe.start : recipe.stop])
        tail = (recipe.stop - recipe.start,)
        further = {"position": ("asset", len(recipe.assets))} if recipe.shared else {}
        if recipe.job.plan.by_asset:
            further |= dict.fromkeys(recipe.job.plan.records, further["position"])
        homes, own = recipe.job.homes, tuple[str, ...]()
        if homes is not None and homes.cash:
            coords["venue"], own = ("venue", list(homes.names)), L.ACCOUNT_CURVES
            further |= dict.fromkeys(own, ("venue", homes.n))
        for name in (*L.CURVES, "drawdown", *own, *recipe.job.plan.records):
            shape = (*tail, further[name][1]) if name in further else tail
            over = ("time", further[name][0]) if name in further else ("time",)
            told = {"periods_per_year": periods} if name in ("equity", "account_equity") else {}  # M14
            variables[name] = ((*dims, *over), lazy(name, numbers, shape, partial(curves.curve, name), curves), told)
    known = xr.Coordinates(coords)
    found = {n: xr.Variable(*v) for n, v in variables.items()} | dict(known.variables)
    # The constructor would align and merge what fits by its making, for 0.3 ms; all else in a call takes 1.1.
    ds = xr.Dataset._construct_direct(found, set(known), indexes=dict(known.xindexes))
    schema.label(ds)
    ds.attrs = {
        "name": str(recipe.bars.attrs.get("name", "")),
        "strategy": recipe.strategy.name,
        "params": {k: v for k, v in recipe.params.items() if isinstance(v, (int, float, str, bool))},
        "costs": venue.costs,
        "venue": venue.name,
        "fill_model": ", ".join(m.label for m in models),
        "participation": max(v.participation for v in recipe.job.venues),
        "foresees": ", ".join(m.label for m in models if m.foresees),
        "sampling": "session close",
        "ddof": 1,
        "periods_per_year": periods,
        "risk_free": 0.0,
        "lineage": str(recipe.bars.attrs.get("lineage", "")),
        "synthetic": int(recipe.bars.attrs.get("synthetic", 0)),
        "tradable": int(recipe.bars.attrs.get("tradable", 1)),
        "note": str(recipe.bars.attrs.get("note", "")),
        "trials": len(recipe.job.trials),
    }
    if recipe.finer is not None:
        ds.attrs["finer_lineage"] = str(recipe.finer.attrs.get("lineage", ""))
    if curves is not None:
        ds.attrs["recipe"] = curves.key
    return ds


def check_result(res: Any) -> None:
    """Raise UsageError for what is no Dataset at all."""
    import xarray as xr

    if not isinstance(res, xr.Dataset):
        fix = "Pass what kk.backtest or kk.walk_forward has returned."
        raise UsageError(message("result", type(res).__name__, "the Dataset of a backtest", fix))


def curves_of(res: xr.Dataset) -> Curves:
    """The simulator behind a result; raises UsageError for what is none, RunError where it is gone or never was."""
    check_result(res)
    found = _recipes.get(str(res.attrs.get("recipe", "")))
    if found is None:
        raise RunError(
            message(
                "this result",
                "nothing that could run its trials again",
                "a result with its curves, of this process",
                "Keep what kk.walk_forward, or kk.backtest with 'curves' among its outputs, has returned.",
            )
        )
    return found


def selected(res: xr.Dataset, sel: Mapping[str, Any]) -> xr.Dataset:
    """The result at these labels, as `res.sel` has it; raises UsageError for a dim or a label that it does not have."""
    for name, label in sel.items():
        if name not in res.dims:
            trials = [str(d) for d in res.dims if d not in ("time", "block", "summary")]
            fix = "Keywords choose the trial, as res.sel does."
            wanted = f"one of {', '.join(trials)}" if trials else "none, as one trial is left"
            raise UsageError(message("dim of the result", name, wanted, fix))
        try:
            res = res.sel({name: label})
        except (KeyError, TypeError, ValueError):
            labels = ", ".join(map(str, res[name].values[:SHOWN].tolist()))
            more = ", ..." if res.sizes[name] > SHOWN else ""
            wanted, fix = f"one of {labels}{more}", f"Choose one of res[{name!r}]."
            raise UsageError(message(f"{name} of the result", repr(label), wanted, fix)) from None
    return res


def one_trial(res: xr.Dataset, sel: Mapping[str, Any] | None = None) -> tuple[Curves, int]:
    """The trial that a result, at ``sel``, has been narrowed down to.

    Raises UsageError for several, and for an excluded cell.
    """
    curves = curves_of(res)
    recipe, res = curves.recipe, selected(res, sel or {})
    left = [
        d
        for d in (*recipe.axes, *(["asset"] if len(recipe.accounts) > 1 else []))
        if d in res.dims and res.sizes[d] != 1
    ]
    if left:
        raise UsageError(
            message(
                "this result",
                f"several trials along {', '.join(left)}",
                "one trial",
                f"Choose one: res.sel({left[0]}=...).",
            )
        )
    where = []
    for name, values in recipe.axes.items():
        where.append(values.index(res[name].values.ravel()[0].item()))
    if len(recipe.accounts) > 1:
        where.append(recipe.assets.index(str(res["asset"].values.ravel()[0])))
    trial = int(trial_numbers(recipe)[tuple(where)])
    if trial < 0:
        found = "no result, as it failed or was pruned" if recipe.listed is not None else "excluded by where="
        raise UsageError(message("this cell", found, "a trial that was run", "Choose another cell."))
    return curves, trial


class Records:
    """What one trial logged of one kind, with the units of each record's asset."""

    def __init__(self, res: xr.Dataset, what: str, sel: Mapping[str, Any] | None = None) -> None:
        curves, trial = one_trial(res, sel)
        recipe, job = curves.recipe, curves.recipe.job
        self.bars = recipe.bars
        records = getattr(curves.logs(trial), what)
        if what == "orders":
            records = np.sort(records, order="id", kind="stable")
        self.raw = lives(records) if what == "changes" else records
        if recipe.shared:
            self.number, tables, names = np.maximum(self.raw["asset"], -1), job.tables[1:], recipe.assets
        else:
            dataset = int(job.trials[trial]["dataset"]) if recipe.signal is None else trial % len(recipe.assets)
            self.number, tables = np.zeros(len(self.raw), "i8"), [job.tables[dataset]]
            names = [recipe.assets[trial % len(recipe.assets)]]
        self.tables, self.names = tables, names
        self.asset = np.array(names, object)[self.number]
        self.homes = job.homes
        self.lot, self.tick = (np.array([getattr(t, n) for t in tables])[self.number] for n in ("lot", "tick"))
        self.inverse = np.array([float(t.inverse) for t in tables])[self.number]

    def __getitem__(self, name: str) -> np.ndarray:
        found: np.ndarray = self.raw[name]
        return found

    def prices(self, name: str) -> np.ndarray:
        """Ticks as prices, NaN for none."""
        ticks = self.raw[name].astype("f8")
        with np.errstate(divide="ignore", invalid="ignore"):
            prices = np.where(self.inverse == 0.0, ticks * self.tick, ticks / self.inverse)
        return np.where(ticks == 0, np.nan, prices)

    def times(self, name: str) -> np.ndarray:
        """Nanoseconds as times, NaT for none."""
        return np.where(self.raw[name] == 0, np.datetime64("NaT"), self.raw[name].astype("datetime64[ns]"))

    @property
    def venues(self) -> dict[str, np.ndarray]:
        """A column that says at which venue, where there are several (V1)."""
        if self.homes is None:
            return {}
        place = np.where(self.raw["asset"] >= 0, np.array(self.homes.venue)[self.number], -2 - self.raw["asset"])
        return {"venue": np.array([*self.homes.names, ""], object)[place]}

    def symbol(self, name: str) -> dict[str, list[str]]:
        """E9: what each asset was called at that time, where the bars know it."""
        if "symbol_from" not in self.bars.variables:
            return {}
        from kernelkit.data.symbols import symbols_at  # which few results need

        names = symbols_at(self.bars, self.asset, self.raw[name])
        return {"symbol": ["" if k < 0 else n for k, n in zip(self.raw["asset"], names, strict=True)]}

    def text(self, name: str, names: Sequence[str]) -> list[str]:
        """Codes as words."""
        return [names[int(k)] for k in self.raw[name]]


@arguments()
def fills(res: xr.Dataset) -> pd.DataFrame:
    """Every fill of the selected trial, in order (rule A1): what was traded, at which costs, what was held after it.

    Units: UTC, base units, quote currency. Raises UsageError unless the result is narrowed down to one trial.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> bars = kk.data.load("sp500_index")
    >>> res = kk.backtest(bars, hold, venue=kk.venues.us_equity())
    >>> fills(res)[["side", "at"]].to_dict("records")
    [{'side': 'buy', 'at': 'open'}]
    """
    import pandas as pd

    r = Records(res, "fills")
    table = pd.DataFrame(
        {
            "time": r.times("time"),
            "asset": r.asset,
            **r.symbol("time"),
            "order": r["order"],
            "side": SIDES[np.sign(r["lots"])],
            "quantity": np.abs(r["lots"]) * r.lot,
            "price": r.prices("ticks"),
            "reference": r.prices("reference"),
            "fee": r["fee"],
            "slippage": r["slippage"],
            "at": np.array(L.PLACES)[r["rule"]],
            "position": r["position"] * r.lot,
            "cash": r["cash"],
            **r.venues,
        }
    )
    table.attrs["splits"] = "split" in Records(res, "happened").text("kind", L.ACTIONS)  # what kk.tax must know
    return table


@arguments()
def actions(res: xr.Dataset) -> pd.DataFrame:
    """What moved the selected trial's cash without a fill, in order: actions, accruals, what an insurance bore (E, L5).

    ``position`` is what was held before, in base units, ``amount`` what the account got, in quote currency (of a split
    the settlement of a fraction); times are UTC. Raises UsageError unless the result is narrowed down to one trial.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def flat(ctx):
    ...     pass
    >>> bars = kk.data.load("sp500_index")
    >>> res = kk.backtest(bars, flat, start="2018-12-28", account=kk.Account(cash=365e4, interest=0.01))
    >>> actions(res)[["kind", "amount"]].round(2).to_dict("records")
    [{'kind': 'interest', 'amount': 300.0}]
    """
    import pandas as pd

    r = Records(res, "happened")
    return pd.DataFrame(
        {
            "time": r.times("time"),
            "asset": np.where(r["asset"] < 0, "", r.asset),
            **r.symbol("time"),
            "kind": r.text("kind", L.ACTIONS),
            "position": r["lots"] * r.lot,
            "amount": r["amount"],
            **r.venues,
        }
    )


@arguments()
def orders(res: xr.Dataset, history: bool = False) -> pd.DataFrame:
    """Every order of the selected trial by id: what it asked for, when it was submitted and ended, and why (rule O6).

    Units: UTC, base units, quote currency; a price it does not have is NaN, a time that never came NaT. ``sentence``
    says the reason in words (`Reason`), ``side`` is empty where less than a lot was asked for.

    With ``history`` what happened to the orders, in order of time (rule O17): ``event`` is submitted, arrived (at the
    venue, where that was later), woken, resized, replaced, split, trailed (each move of a trigger), triggered, filled
    in part, filled, cancelled, rejected or expired. ``quantity``, ``limit`` and ``trigger`` are the order's from then
    on, NaN for a price that it does not have; of a fill ``quantity`` is what filled, at ``price``, of another end what
    was left. Raises UsageError unless the result is narrowed down to one trial.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def wait(ctx):
    ...     if ctx.i == 0:
    ...         ctx.limit(1.0, 0.5 * ctx.close[0])
    >>> orders(kk.backtest(kk.data.load("sp500_index"), wait))[["kind", "status", "reason"]].to_dict("records")
    [{'kind': 'limit', 'status': 'cancelled', 'reason': 'end_of_data'}]
    """
    import pandas as pd

    if history:
        return events_of(Records(res, "changes"))
    r = Records(res, "orders")
    return pd.DataFrame(
        {
            "order": r["id"],
            "asset": r.asset,
            **r.symbol("t_submit"),
            "kind": r.text("kind", L.KINDS),
            "tif": r.text("tif", L.TIFS),
            "side": SIDES[np.sign(r["lots"])],
            "quantity": np.abs(r["lots"]) * r.lot,
            "filled": np.abs(r["filled"]) * r.lot,
            "display": np.where(r["display"] == 0, np.nan, r["display"] * r.lot),
            "limit": r.prices("price"),
            "trigger": r.prices("trigger"),
            "status": r.text("status", L.STATUSES),
            "reason": r.text("reason", L.REASONS),
            "sentence": [Reason(int(k)).sentence for k in r["reason"]],
            "submitted": r.times("t_submit"),
            "active": r.times("t_active"),
            "triggered": np.minimum(r.times("t_trigger"), r.times("t_end")),  # O17
            "replaced": r.times("t_replace"),
            "expires": r.times("t_expire"),
            "ended": r.times("t_end"),
            "fees": r["fees"],
            "group": r["group"],
            "parent": r["parent"],
            **r.venues,
        }
    )


@arguments()
def save(res: xr.Dataset, path: str | os.PathLike[str], curves: Sequence[str] = (), *, overwrite: bool = False) -> Path:
    """Write a result as a Zarr folder, whole or not at all: metrics, block summaries, recipe, chosen ``curves``.

    Curves are simulated to be written; narrow the result down first. The recipe is the attribute ``recipe``, as JSON:
    strategy source, parameters, axes, data lineage, costs. Raises UsageError for a taken path, or unknown curves.

    >>> import tempfile, kernelkit as kk, xarray as xr
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> res = kk.backtest(kk.data.load("sp500_index"), hold)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stored = xr.open_zarr(save(res, folder + "/hold.zarr", ["equity"]), chunks=None, consolidated=False)
    ...     stored["equity"].size == res.sizes["time"]
    True
    """
    check_result(res)
    target = Path(path).absolute()
    if target.exists() and not overwrite:
        raise UsageError(message(f"path {target.name}", "something there", "a new path", "Pass overwrite=True."))
    unknown = [n for n in curves if n not in res.variables]
    if unknown:
        have = ", ".join(map(str, res.data_vars))
        raise UsageError(message("curves", unknown[0], f"variables of the result: {have}", "Check the name."))
    lazies = {str(n) for n, v in res.data_vars.items() if not v.variable._in_memory}
    kept = res.drop_vars(lazies - set(curves) - {"blocks"})
    if "time" in kept.dims and not any("time" in v.dims for v in kept.data_vars.values()):
        kept = kept.drop_dims("time")
    kept = kept.load().assign_attrs(
        params=json.dumps(res.attrs.get("params", {}), default=str), recipe=recipe_json(res)
    )
    kept = kept.assign_coords({str(n): c.astype(object) for n, c in kept.coords.items() if c.dtype.kind == "U"})
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with warnings.catch_warnings():
            # Zarr 3 has no specification yet for the texts that xarray writes as variable-length strings.
            warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 specification.*")
            kept.to_zarr(part, consolidated=False)
        _put(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _put(part: Path, target: Path) -> None:
    """Move a folder, flushed to the disk, to where it belongs; an older one is deleted when the new one stands."""
    for path in (*part.rglob("*"), part):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    aside = part.with_name(f"{part.name}.old")
    if target.exists():
        target.replace(aside)
    try:
        part.replace(target)
    except OSError:
        if aside.exists():
            aside.replace(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def recipe_json(res: xr.Dataset) -> str:
    """How a result came about, as JSON; the empty string where its recipe is gone."""
    curves = _recipes.get(str(res.attrs.get("recipe", "")))
    if curves is None:
        return ""
    recipe = curves.recipe
    return json.dumps(
        {
            "strategy": recipe.strategy.name,
            "source": recipe.strategy.source.text,
            **({"hooks": [hook.text for hook in recipe.hooks]} if recipe.hooks else {}),
            "params": recipe.params,
            "axes": recipe.axes,
            "assets": recipe.assets,
            "lineage": str(recipe.bars.attrs.get("lineage", "")),
            "costs": res.attrs.get("costs"),
            "fill_model": res.attrs.get("fill_model"),
        },
        default=str,
    )
