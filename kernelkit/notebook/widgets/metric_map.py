"""`explorer`: a metric of many trials over two of their dims, slices through one of them, its plateau."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import traitlets

from kernelkit.errors import UsageError, arguments, message
from kernelkit.inference.stability import parameter_plateau
from kernelkit.notebook import bundle, heat
from kernelkit.notebook.widgets import selection as shared
from kernelkit.notebook.widgets.base import Widget, packed
from kernelkit.report import words
from kernelkit.report.shown import SELECTED_BY
from kernelkit.report.shown import shown as best
from kernelkit.result import check_result
from kernelkit.schema import METRICS

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.notebook.widgets.selection import Selection

NO_TRIALS = ("time", "block", "summary", "venue", "test_window", "session")  # dims along which no trials lie
FOLDS = ("fold", "split", "path")
SAMPLES = {"is_": "in sample", "oos_": "out of sample"}
REDUCERS = ("median", "max", "min")
SHARE = 0.8  # of the best value, from which on a cell is of its plateau (B11)
# Larger is better, and 0 is nothing: of others, a share of the best says little.
RANKED = ("sharpe_ratio", "total_return", "cagr", "sortino_ratio", "calmar_ratio", "score")
SHOWN, NOT_RUN, FAILED, UNDEFINED = range(4)


@arguments()
def explorer(
    res: xr.Dataset,
    metric: str | None = None,
    x: str | None = None,
    y: str | None = None,
    *,
    selection: Selection | None = None,
) -> Explorer:
    """A metric of a result's trials over two of their dims; in and out of sample side by side where it has both.

    The other dims are at one label each, or reduced. A click selects the trial for all widgets of the result; until
    then it is that with the highest Sharpe ratio, as in those. The plateau are the cells joined to the best of the
    picture, step by step, by cells of at least 0.8 of its value (rule B11, `kk.inference.parameter_plateau`). Raises
    UsageError for a result of one trial, and names that it lacks.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def trend(ctx, n=50, weight=1.0):
    ...     ctx.target_percent(weight if ctx.close[0] > ctx.close.sma(n) else 0.0)
    >>> bars = kk.data.load("sp500_index")
    >>> shown = explorer(kk.backtest(bars, trend, grid=dict(n=[50, 100, 200], weight=[0.5, 1.0])))
    >>> shown.shown["metric"], shown.shown["x"], shown.shown["y"]
    ('sharpe_ratio', 'n', 'weight')
    """
    check_result(res)
    metrics = metrics_of(res)
    if not metrics:
        fix = "Pass grid=dict(n=range(10, 100, 10)) to kk.backtest, or a list of values in place of one."
        raise UsageError(message("this result", "one trial", "several, along dims of parameters or folds", fix))
    found = metrics[_one_of("metric", metric, list(metrics))]
    for what, dim in (("x", x), ("y", y)):
        if dim is not None:
            _one_of(what, dim, found.dims)
    if x is not None and x == y:
        raise UsageError(message("y of the explorer", repr(y), f"another dim than x={x!r}", "Leave one of them out."))
    return Explorer(res, metrics, fitting(res, found, x, y, {}), selection or shared.of(res))


def fitting(res: xr.Dataset, metric: Metric, x: str | None, y: str | None, at: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of a metric: these axes where it has them, else parameters before folds; all other dims ``at``."""
    order = sorted(metric.dims, key=lambda d: (res.sizes[d] < 2, d in FOLDS))
    x = x if x in order else next(d for d in order if d != y)
    y = y if y in order and y != x else next((d for d in order if d != x and res.sizes[d] > 1), None)
    return {"metric": metric.name, "x": x, "y": y, "at": {d: at.get(d, 0) for d in metric.dims}}


def _one_of(what: str, given: str | None, known: Sequence[str]) -> str:
    if given is None:
        return known[0]
    if given not in known:
        raise UsageError(message(f"{what} of the explorer", repr(given), f"one of {', '.join(known)}", "Name it."))
    return given


@dataclass(frozen=True)
class Metric:
    """Variables of a result that one picture shows, each with what it is a sample of, over the same dims."""

    name: str
    variables: dict[str, str]  # by title: "", or "in sample" and "out of sample"
    dims: tuple[str, ...]

    @property
    def label(self) -> str:
        """What it is called."""
        if len(self.variables) == 1:
            return words.label(self.name)
        return f"{words.label(self.name.removeprefix('oos_'))}, {' and '.join(self.variables)}"


def metrics_of(res: xr.Dataset) -> dict[str, Metric]:
    """What of a result lies along dims of trials, the metrics of `kk.backtest` first.

    >>> import xarray as xr
    >>> ds = xr.Dataset({"is_cagr": ("fold", [0.1, 0.2]), "oos_cagr": ("fold", [0.1, 0.1])})
    >>> metrics_of(ds)
    {'cagr': Metric(name='cagr', variables={'in sample': 'is_cagr', 'out of sample': 'oos_cagr'}, dims=('fold',))}
    """
    samples: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {}
    for name, variable in res.data_vars.items():
        own, dims = str(name), tuple(str(d) for d in variable.dims)
        trials = not any(d in NO_TRIALS for d in dims) and any(res.sizes[d] > 1 for d in dims)
        if trials and variable.dtype.kind in "fiu":
            prefix = next((p for p in SAMPLES if own.startswith(p)), "")
            samples.setdefault(own.removeprefix(prefix), {})[prefix] = own, dims
    found: dict[str, Metric] = {}
    for base, every in samples.items():
        if "" in every:
            found[base] = Metric(base, {"": every[""][0]}, every[""][1])
        both = {p: every[p] for p in SAMPLES if p in every}
        if len({dims for _, dims in both.values()}) == 1:
            name = base if "" not in every else next(reversed(both.values()))[0]
            dims = next(iter(both.values()))[1]
            found[name] = Metric(name, {SAMPLES[p]: own for p, (own, _) in both.items()}, dims)
        else:
            found |= {own: Metric(own, {"": own}, dims) for own, dims in both.values()}
    order = ["sharpe_ratio", *(n for n in METRICS if n != "sharpe_ratio")]
    places = {name: k for k, name in enumerate(order)}

    def rank(metric: Metric) -> tuple[int, int]:
        base = metric.name.removeprefix("oos_").removeprefix("is_")
        return -sum(res.sizes[d] > 1 for d in metric.dims), places.get(base, len(places))

    return {m.name: m for m in sorted(found.values(), key=rank)}


class Explorer(Widget):
    """The picture of a metric over two dims (`explorer`)."""

    _name: ClassVar[str] = "metric_map"

    head = traitlets.Dict().tag(sync=True)  # the metrics and dims that there are
    shown = traitlets.Dict().tag(sync=True)  # which of them are: {metric, x, y, at: {dim: place or reducer}}
    picture = traitlets.Dict().tag(sync=True)
    cursor: traitlets.List[int] = traitlets.List().tag(
        sync=True
    )  # row and column of the selected trial, or of the best; none where it is not shown

    def __init__(
        self, res: xr.Dataset, metrics: Mapping[str, Metric], shown: dict[str, Any], chosen: Selection
    ) -> None:
        self.res, self.metrics = res, metrics
        dims = dict.fromkeys(d for m in metrics.values() for d in m.dims)
        head = {
            "title": str(res.attrs.get("title") or res.attrs.get("strategy", "")),
            "trials": int(res.attrs.get("trials", 0)),
            "metrics": [{"name": m.name, "label": m.label, "dims": list(m.dims)} for m in metrics.values()],
            "dims": {d: [words.value(v) for v in res[d].values.tolist()] for d in dims},
            "reducers": list(REDUCERS),
        }
        super().__init__(chosen, head=head, shown=shown)
        self.draw()
        self.observe(lambda _change: self.draw(), "shown")
        self.follow()
        self.link(lambda _change: self.follow(), "trial")

    def heard(self, kind: str, content: Mapping[str, Any]) -> None:
        """Select the trial of a cell."""
        i, j = int(content["i"]), int(content["j"])
        if kind != "pick" or not (0 <= i < self._count("y") and 0 <= j < self._count("x")):
            raise UsageError(message("a choice of the explorer", f"{kind} {i}, {j}", "a cell", "Click on one."))
        place = self.place(i, j)
        self.selection.trial = {d: self.res[d].values[k].item() for d, k in place.items()}

    def _count(self, axis: str) -> int:
        """How many cells the picture has along an axis."""
        dim = self.shown[axis]
        return 1 if dim is None else self.res.sizes[dim]

    def follow(self) -> None:
        """Show the selected trial: the other dims where it lies, and its cell."""
        at = self.shown["at"]
        found = at | {d: k for d, k in self._places().items() if at[d] not in REDUCERS}
        if found != at:
            self.shown = self.shown | {"at": found}  # and draws it
        else:
            self.point()

    def point(self) -> None:
        """Mark the cell of the selected trial, where it is of the picture."""
        found, at = self._places(), self.shown["at"]
        axes = [d for d in (self.shown["y"], self.shown["x"]) if d is not None]
        there = all(d in found and (d in axes or at[d] in (*REDUCERS, found[d])) for d in at)
        self.cursor = [0] * (2 - len(axes)) + [found[d] for d in axes] if there else []

    def _places(self) -> dict[str, int]:
        """Where the selected trial lies along the dims of the metric; without one that which other widgets show."""
        trial = self.selection.trial or self._best
        labels = {d: self.res[d].values.tolist() for d in self.metrics[self.shown["metric"]].dims}
        return {d: own.index(trial[d]) for d, own in labels.items() if trial.get(d) in own}

    @cached_property
    def _best(self) -> dict[str, Any]:
        return best(self.res).labels if SELECTED_BY in self.res and "final_equity" in self.res else {}

    def table(self, name: str) -> xr.DataArray:
        """A variable over (y, x), the other dims at one label each, or reduced."""
        x, y, at = self.shown["x"], self.shown["y"], self.shown["at"]
        values = self.res[name].astype("f8")
        rest = [str(d) for d in values.dims if d not in (x, y)]
        values = values.isel({d: int(at[d]) for d in rest if at[d] not in REDUCERS})
        for dim in rest:
            if at[dim] in REDUCERS:
                values = getattr(values, at[dim])(dim)
        return values.transpose(*[d for d in (y, x) if d is not None])

    def place(self, i: int, j: int) -> dict[str, int]:
        """Where the trial of a cell lies along each dim; of reduced ones, that whose value is nearest to the shown."""
        x, y, at = self.shown["x"], self.shown["y"], self.shown["at"]
        metric = self.metrics[self.shown["metric"]]
        name = next(iter(metric.variables.values()))
        known = {d: k for d, k in ((x, j), (y, i)) if d is not None}
        known |= {d: int(at[d]) for d in metric.dims if d not in known and at[d] not in REDUCERS}
        left = self.res[name].isel(known).astype("f8")
        if left.ndim:
            wanted = float(self.table(name).isel({d: k for d, k in known.items() if d in (x, y)}))
            off = np.abs(left.values - wanted)
            nearest = 0 if np.isnan(off).all() else int(np.nanargmin(off))
            known |= dict(zip(map(str, left.dims), map(int, np.unravel_index(nearest, left.shape)), strict=True))
        return {d: known[d] for d in metric.dims}

    def draw(self) -> None:
        """Make the picture of what is shown; where another metric lacks an axis, another one takes its place."""
        metric, shown = self.metrics[self.shown["metric"]], self.shown
        fitted = fitting(self.res, metric, shown["x"], shown["y"], shown["at"])
        if fitted != shown:
            self.shown = fitted  # and draws it
            return
        panes = []
        for title, name in metric.variables.items():
            table = self.table(name)
            values = np.atleast_2d(table.values)
            pane = {"title": title, "values": packed(values.astype("f4")), "state": packed(self.states(table))}
            panes.append(pane | self._plateau(table))
        base = metric.name.removeprefix("oos_") if len(panes) > 1 else metric.name
        self.picture = {"label": words.label(base), "unit": words.kind(base), "shown": shown, "panes": panes}
        self.point()

    def _plateau(self, table: xr.DataArray) -> dict[str, Any]:
        """Which cells are of the plateau (rule B11), and how its best compares with those beside it."""
        ranked = self.shown["metric"].removeprefix("oos_") in RANKED
        if not ranked or not bool((table > 0.0).any()):
            return {"plateau": packed(np.zeros((0, 0), "u1")), "stability": None}
        found = parameter_plateau(table, over=table.dims, share=SHARE)
        stability = bundle.rounded(float(found["best_stability"]))
        return {"plateau": packed(np.atleast_2d(found["region"].values)), "stability": stability}

    def states(self, table: xr.DataArray) -> np.ndarray:
        """Of each cell of a table (y, x): whether it has a value, and if not why, u1."""
        out = np.where(np.isfinite(table.values), SHOWN, NOT_RUN).astype("u1")
        metric, x, y = self.metrics[self.shown["metric"]], self.shown["x"], self.shown["y"]
        over = [d for d in (y, x) if d is not None]

        def anywhere(mask: xr.DataArray) -> np.ndarray:
            rest = {
                d: int(k) for d, k in self.shown["at"].items() if d in mask.dims and d not in over and k not in REDUCERS
            }
            mask = mask.isel(rest)
            mask = mask.any([d for d in mask.dims if d not in over])
            return mask.broadcast_like(table).transpose(*over).values

        if "final_equity" in self.res and set(self.res["final_equity"].dims) <= set(metric.dims):
            out[(out == NOT_RUN) & anywhere(self.res["final_equity"].notnull())] = UNDEFINED
        if "error" in self.res and set(self.res["error"].dims) <= set(metric.dims):
            out[(out == NOT_RUN) & anywhere(self.res["error"] != "")] = FAILED
        return np.atleast_2d(out)

    def fallback(self) -> str:
        """The first pane as a heat map, or a sentence where it is a line."""
        metric = self.metrics[self.shown["metric"]]
        name = next(iter(metric.variables.values()))
        table, x, y = self.table(name), self.shown["x"], self.shown["y"]
        if table.ndim < 2:
            ends = words.number(metric.name, float(table.min())), words.number(metric.name, float(table.max()))
            return f"<p>{escape(words.label(name))} over {escape(str(x))}: {ends[0]} to {ends[1]}.</p>"
        best = (
            np.unravel_index(int(np.nanargmax(table.values)), table.shape)
            if np.isfinite(table.values).any()
            else (0, 0)
        )
        labels = {d: self.res[d].values.tolist() for d in (x, y)}
        rows = [[bundle.rounded(v, 7) for v in row] for row in table.values]
        found = {"x": x, "y": y, "metric": name, "values": rows}
        picked = {y: labels[y][best[0]], x: labels[x][best[1]]}
        return heat.heat({"heatmap": found, "dims": labels, "best": {"params": picked}})
