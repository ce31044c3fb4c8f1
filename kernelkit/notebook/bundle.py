"""A result as a display: the JSON that the Lab extension draws, HTML for everything else, plain text for the rest."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import schema
from kernelkit.errors import UsageError, message
from kernelkit.files import write_atomic
from kernelkit.report import words
from kernelkit.report.shown import SELECTED_BY, best_place
from kernelkit.report.source import recipe_of

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.recipe import Recipe

RESULT_MIME = "application/vnd.kernelkit.result.v1+json"
SUFFIX = ".kkr.json"

# A screen is about this many pixels wide.
POINTS = 600
# Cells of a heat map that a person can still tell apart.
CELLS = 10_000


def result_bundle(res: xr.Dataset) -> dict[str, Any]:
    """The MIME bundle of a result of `kk.backtest`: summary, metrics, curves of the best trial and of buy and hold.

    The best trial has the highest Sharpe ratio, of equals the earliest. Without the simulator behind it (a result that
    was loaded from a store) there are no curves and no benchmark. Raises UsageError for a result without metrics.
    """
    from kernelkit.notebook.card import html

    payload = summary(res)
    return {RESULT_MIME: payload, "text/html": html(payload), "text/plain": plain(payload)}


def show(res: xr.Dataset) -> None:
    """Display a result of `kk.backtest`: summary, metrics, equity beside buy and hold, heat map."""
    from IPython.display import display

    display(result_bundle(res), raw=True)  # type: ignore[no-untyped-call]


def save(res: xr.Dataset, path: str | Path) -> Path:
    """Write what `show` displays to a .kkr.json file, which JupyterLab opens as it shows the result, and return it.

    It is a picture of the result, not the result: `kk.save` keeps that. Raises UsageError for another suffix, a folder
    that there is not, and a result without metrics.

    >>> save(None, "trend.json")
    Traceback (most recent call last):
    kernelkit.errors.UsageError: path of a shown result: found 'trend.json', wanted a name that ends in .kkr.json. ...
    """
    to = Path(path)
    if not to.name.endswith(SUFFIX):
        fix = "JupyterLab tells it by that."
        raise UsageError(message("path of a shown result", repr(str(path)), f"a name that ends in {SUFFIX}", fix))
    if not to.absolute().parent.is_dir():
        fix = f"Make it first: mkdir -p {to.absolute().parent}."
        raise UsageError(message("folder of a shown result", f"no {to.absolute().parent}", "one that is there", fix))
    write_atomic(to, json.dumps(summary(res), allow_nan=False).encode())
    return to


def summary(res: xr.Dataset) -> dict[str, Any]:
    """The result as JSON, schema 1: metrics to 10 digits, curves thinned to at most `POINTS` points to 7 digits."""
    if SELECTED_BY not in res or "final_equity" not in res:
        found = ", ".join(map(str, res.data_vars)) or "no variables"
        raise UsageError(message("this result", found, "metrics", "Run kk.backtest with outputs including 'metrics'."))
    every, res = res, res.isel(fill_model=0) if "fill_model" in res.dims else res  # nothing is selected over the others
    sharpe = res[SELECTED_BY]
    place = best_place(sharpe.values, np.isfinite(res["final_equity"].values))
    best = res.isel(dict(zip(sharpe.dims, place, strict=True)))
    recipe = recipe_of(res)
    dims = {str(d): res[d].values.tolist() for d in sharpe.dims}
    benchmark, curve = compare(best, recipe)
    return {
        "schema": 1,
        "name": str(res.attrs.get("title") or res.attrs.get("strategy", "")),
        "strategy": str(res.attrs.get("strategy", "")),
        "data": about_data(res),
        "costs": str(res.attrs.get("costs", "")),
        "dims": dims,
        "n_trials": int(np.isfinite(res["final_equity"].values).sum()),
        "best": {"params": parameters(best, recipe, list(dims)), "metrics": metrics(best)},
        "benchmark": benchmark,
        "curve": curve,
        "heatmap": heatmap(sharpe) if 0 < sharpe.size <= CELLS else None,
        "notes": [*assumed(every, dict(zip(sharpe.dims, place, strict=True))), *notes(res)],
    }


def about_data(res: xr.Dataset) -> dict[str, str]:
    """Name, lineage, what has to be known about the data at once, and all that its source says about it."""
    detail = str(res.attrs.get("note", ""))
    warnings = []
    if res.attrs.get("synthetic", 0):
        warnings.append("synthetic data")
    if not res.attrs.get("tradable", 1):
        index = "index level, " if detail.lower().startswith("index level") else ""
        warnings.append(f"{index}not tradable as such")
    attrs = {name: str(res.attrs.get(name, "")) for name in ("name", "lineage")}
    return attrs | {"note": "; ".join(warnings), "detail": detail}


def parameters(best: xr.Dataset, recipe: Recipe | None, dims: list[str]) -> dict[str, Any]:
    """The parameters of one trial in the strategy's order, then its place along other dims."""
    fixed = best.attrs.get("params", {})
    if isinstance(fixed, str):
        # on disk they are text
        fixed = json.loads(fixed)
    names = list(recipe.strategy.defaults) if recipe else [*fixed]
    names += [d for d in dims if d not in names]
    swept = {name: best[name].values.item() for name in names if name in best.coords and best[name].ndim == 0}
    return {name: swept.get(name, fixed.get(name)) for name in names if name in swept or name in fixed}


def metrics(trial: xr.Dataset) -> dict[str, float | None]:
    """Every metric of one trial."""
    return {name: rounded(float(trial[name])) for name in schema.METRICS if name in trial}


def rounded(value: float, digits: int = 10) -> float | None:
    """`value` to so many significant digits, None where it is not finite: JSON has no NaN.

    >>> rounded(2 / 3, 3), rounded(float("nan"))
    (0.667, None)
    """
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def compare(best: xr.Dataset, recipe: Recipe | None) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The benchmark's metrics, and the thinned curves of both."""
    from kernelkit.notebook.benchmark import NAME, beside

    if recipe is None or "equity" not in best:
        return {"name": NAME, "metrics": {}}, {"time": [], "equity": [], "benchmark": [], "drawdown": []}
    asset = recipe.accounts.index(str(best["asset"].values)) if len(recipe.accounts) > 1 else 0
    found, held = beside(recipe, asset)
    axis = recipe.bars["time"].values[recipe.start : recipe.stop]
    held = held[np.searchsorted(axis, best["time"].values)]
    equity, drawdown = best["equity"].values, best["drawdown"].values
    rows = thin(drawdown)
    curve: dict[str, list[Any]] = {
        "time": times(best["time"].values[rows]),
        "equity": [rounded(v, 7) for v in equity[rows]],
        "benchmark": [rounded(v, 7) for v in held[rows]],
        "drawdown": [rounded(-v, 7) for v in drawdown[rows]],
    }
    return {"name": NAME, "metrics": {n: rounded(found[n]) for n in schema.METRICS if n in found}}, curve


def thin(drawdown: np.ndarray, points: int = POINTS) -> np.ndarray:
    """At most `points` rows: the first, and of each piece of the time axis its last row and its deepest drawdown.

    >>> thin(np.array([0.0, 0.1, 0.5, 0.2, 0.0, 0.1]), points=5)
    array([0, 2, 3, 5])
    """
    n = len(drawdown)
    if n <= points:
        return np.arange(n)
    edges = np.linspace(0, n, (points - 1) // 2 + 1).astype(int)
    most = np.maximum.reduceat(drawdown, edges[:-1])
    hits = np.flatnonzero(~(drawdown < np.repeat(most, np.diff(edges))))  # NaN among them: a piece has at least one
    deepest = hits[np.searchsorted(hits, edges[:-1])]
    return np.unique(np.concatenate(([0], deepest, edges[1:] - 1)))


def times(values: np.ndarray) -> list[str]:
    """Times as ISO text, days alone where all are midnights."""
    whole = bool((values == values.astype("datetime64[D]")).all())
    texts = np.datetime_as_string(values, unit="D" if whole else "s").tolist()
    return texts if whole else [f"{t}Z" for t in texts]


def heatmap(sharpe: xr.DataArray) -> dict[str, Any] | None:
    """The Sharpe ratio over the two axes of a sweep that has just two of more than one value."""
    long = [d for d in sharpe.dims if sharpe.sizes[d] > 1]
    if len(long) != 2:
        return None
    x, y = long
    table = sharpe.squeeze().transpose(y, x).values
    return {"x": str(x), "y": str(y), "metric": SELECTED_BY, "values": [[rounded(v, 7) for v in row] for row in table]}


def assumed(res: xr.Dataset, place: dict[Hashable, int]) -> list[str]:
    """What the trial at ``place`` owes to the fill model: its range over several, and fills that no market gives."""
    found = []
    names = [str(name) for name in np.atleast_1d(res["fill_model"].values)] if "fill_model" in res.coords else []
    if len(names) > 1:
        returns = res["total_return"].isel(place).values
        ends = [k for k in returns.argsort() if np.isfinite(returns[k])]
        if len(ends) > 1:
            low, high = (f"{words.number('total_return', returns[k])} ({names[k]})" for k in (ends[0], ends[-1]))
            found.append(
                f"Shown under the fill model {names[0]}. Under {len(ends)} fill models the total return of this trial "
                f"is {low} to {high}: the difference is an assumption."
            )
    early = [name for name in str(res.attrs.get("foresees", "")).split(", ") if name and (not names or name in names)]
    if early:
        found.append(f"Market orders fill at the close that they were decided on ({', '.join(early)}).")
    return found


def notes(res: xr.Dataset) -> list[str]:
    """What else a reader has to know: an interruption, the evaluated span, the conventions."""
    attrs = res.attrs
    found = []
    if "interrupted" in attrs:
        found.append(f"Interrupted: {attrs['interrupted']}; the other cells are empty.")
    if "time" in res.coords and res["time"].size:
        first, last = times(res["time"].values[[0, -1]])
        found.append(f"Evaluated {first[:10]} to {last[:10]}.")
    if "configured" in attrs:
        found.append(f"From %kkconfig: {attrs['configured']}.")
    if "periods_per_year" in attrs:
        found.append(f"Ratios are annualised by {attrs['periods_per_year']:g} sessions a year, risk-free rate 0.")
    return found


def plain(payload: dict[str, Any]) -> str:
    """The result as text."""
    data = payload["data"]
    note = f" ({data['note']})" if data["note"] else ""
    best, other = payload["best"]["metrics"], payload["benchmark"]
    rows = [("", "best" if payload["n_trials"] > 1 else "strategy", other["name"] if other["metrics"] else "")]
    for name, value in best.items():
        held = words.number(name, other["metrics"].get(name)) if other["metrics"] else ""
        rows.append((words.label(name), words.number(name, value), held))
    left, middle, right = (max(len(row[k]) for row in rows) for k in range(3))
    table = [f"{a:<{left}}  {b:>{middle}}  {c:>{right}}".rstrip() for a, b, c in rows]
    head = [
        f"{words.title(payload)} on {data['name']}{note}",
        f"{words.trials(payload)}, {words.costs(payload)}",
        words.chosen(payload),
        *payload["notes"],
    ]
    return "\n".join([*filter(None, head), "", *table])
