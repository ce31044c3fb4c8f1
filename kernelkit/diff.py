"""What two results do not share: the first bar, order and fill that differ, and which of their inputs is the cause."""

from __future__ import annotations

import dataclasses
import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import RunError, UsageError, arguments, message
from kernelkit.result import Curves, check_result, curves_of, fills, one_trial, orders, selected

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

CURVES = ("equity", "cash", "position")
# What an order asks for; the other columns say what became of it.
ASKED = ("asset", "kind", "tif", "side", "quantity", "display", "limit", "trigger", "submitted", "expires")
SHOWN = 2  # columns, and causes, of a sentence
SOURCES = ("open", "high", "low", "close", "volume", "valid")

DECISION, EXECUTION, VALUE = "decision", "execution", "value"
# Which inputs can make a first difference of each kind, the likeliest first.
CAN = {
    DECISION: ("strategy", "parameter", "data", "span", "account", "venue", "fill model", "finer data"),
    EXECUTION: ("venue", "fill model", "data", "finer data", "account"),
    VALUE: ("data", "span", "account", "venue"),
}
WORDS = {
    DECISION: "the strategies decided differently",
    EXECUTION: "the same order met the market differently",
    VALUE: "the same positions are worth something else",
}


@dataclass(frozen=True, slots=True)
class First:
    """The first place at which two tables differ: when (UTC), its number from 0, and both values of each column.

    A bar's time is its label, and `moment` when it was known; of an order and a fill both are when it was made.
    """

    time: Any
    number: int
    columns: Mapping[str, tuple[Any, Any]]
    moment: Any

    def told(self, most: int | None = None) -> str:
        """Its time, and the first ``most`` columns."""
        pairs = list(self.columns.items())[:most]
        return f"{_word(self.time)}: " + ", ".join(f"{n} {_word(a)} against {_word(b)}".strip() for n, (a, b) in pairs)

    def __str__(self) -> str:
        return self.told()


@dataclass(frozen=True, slots=True)
class Cause:
    """An input that is not the same: of which kind, what it is in each, and since when it can matter (None: always)."""

    kind: str
    what: str
    a: str
    b: str
    since: Any = None

    def __str__(self) -> str:
        return f"{self.what}: {self.a} against {self.b}"


@dataclass(frozen=True)
class Difference:
    """What `diff` found; `same` where there is nothing, to the last bit.

    `cell` is the trial that was looked at, the first of `n_differ` of `n_cells` that differ; the others are compared by
    their metrics alone. `bar`, `order` and `fill` are the first ones that differ, None where none does. `stage` says
    what came first in time: decision, execution or value. `causes` are the inputs that differ and can have made it, the
    likeliest first; `others` differ as well, but only later or in what cannot make a first difference of this kind.
    """

    cell: Mapping[str, Any]
    n_differ: int
    n_cells: int
    bar: First | None = None
    order: First | None = None
    fill: First | None = None
    stage: str | None = None
    causes: tuple[Cause, ...] = ()
    others: tuple[Cause, ...] = ()
    metrics: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    note: str = ""

    @property
    def same(self) -> bool:
        """Whether both results are equal to the last bit."""
        return self.n_differ == 0

    @property
    def sentence(self) -> str:
        """What a person wants to know first."""
        if self.same:
            also = f"; what they were made with is not: {self.others[0]}" if self.others else ""
            if self.n_cells > 1:
                return f"All {self.n_cells} trials have the same metrics, and the first the same bars and orders{also}."
            return f"The results are the same to the last bit{also}."
        where = ", ".join(f"{name}={_word(label)}" for name, label in self.cell.items())
        of = f"{self.n_differ} of {self.n_cells} trials differ, the first is {where}. " if self.n_cells > 1 else ""
        first = self._first()
        why = f"{WORDS[self.stage].capitalize()}. " if self.stage else ""
        if self.causes:
            cause = ", or ".join(map(str, self.causes[:SHOWN]))
            more = f" (or one of {len(self.causes) - SHOWN} more)" if len(self.causes) > SHOWN else ""
            return f"{of}{first}{why}The cause is {cause}{more}."
        return f"{of}{first}{why}Nothing that the results tell of their inputs explains it. {self.note}".rstrip()

    def _first(self) -> str:
        for what, one in (("order", self.order), ("fill", self.fill)):
            if one is not None and self.stage == (DECISION if what == "order" else EXECUTION):
                return f"The first {what} that differs is number {one.number + 1}, {one.told(SHOWN)}. "
        if self.bar is not None:
            return f"The first bar that differs is {self.bar}. "
        for name, (a, b) in self.metrics.items():
            return f"{name} is {_word(a)} against {_word(b)}. "
        return f"The first order that differs is {self.order or self.fill}. "

    def __repr__(self) -> str:
        rows: list[tuple[str, First | Cause | None]] = [
            ("first bar", self.bar),
            ("first order", self.order),
            ("first fill", self.fill),
        ]
        rows += [("cause", cause) for cause in self.causes] + [("differs too", cause) for cause in self.others]
        return "\n".join([self.sentence, *(f"  {what:<12} {one}" for what, one in rows if one is not None)])

    def _repr_html_(self) -> str:
        lines = repr(self).split("\n")[1:]
        told = "".join(
            f"<tr><th style='text-align:left'>{html.escape(line[2:14].strip())}</th>"
            f"<td style='text-align:left'>{html.escape(line[15:])}</td></tr>"
            for line in lines
        )
        return f"<p>{html.escape(self.sentence)}</p><table>{told}</table>"


@arguments()
def diff(a: xr.Dataset, b: xr.Dataset, **sel: Any) -> Difference:
    """Where two results part: the first bar, order and fill that are not equal to the bit, and the cause.

    ``a`` and ``b`` are results of `kk.backtest` over the same axes, or narrowed down to a trial each (``sel`` narrows
    both). Of several trials the first that differs is looked at. A result whose trials cannot be run again, as it was
    read from the disk, is compared by its metrics and the curves that it holds.

    An input counts as a cause where it differs at or before the first difference in time, and can make one of its kind:
    a decision comes from the strategy, its parameters, the data, the span and the account, an execution from venue,
    fill model and data. Raises UsageError for results whose axes differ.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def hold(ctx):
    ...     ctx.target_percent(1.0)
    >>> bars = kk.data.load("sp500_index")
    >>> free, dear = (kk.backtest(bars, hold, venue=kk.venues.fraction(fee, 0.0)) for fee in (0.0, 0.001))
    >>> found = diff(free, dear)
    >>> found.stage, found.causes[0].what
    ('decision', 'fees')
    """
    for one in (a, b):
        check_result(one)
        if "final_equity" not in one.data_vars:
            fix = "Pass what kk.backtest has returned, with 'metrics' among its outputs."
            raise UsageError(message("result", "no final_equity", "the result of a backtest", fix))
    a, b = selected(a, sel), selected(b, sel)
    axes = _axes(a, b)
    differs = _cells(a, b, axes)
    n_differ, first = int(differs.sum()), int(differs.argmax())  # where none does, the first of all is looked at
    where = dict(zip(axes, map(int, np.unravel_index(first, differs.shape)), strict=True))
    one, other = a.isel(where), b.isel(where)
    label = {name: one[name].item() for name in axes}
    differ = tuple(_inputs(one, other))
    # numbers that agree are no proof: the trial that is looked at is compared bar by bar and order by order
    bar, (asked, order), fill = _bar(one, other), _order(one, other), _row(_table(one, fills), _table(other, fills))
    if not n_differ and bar is order is fill is None:
        return Difference(label, 0, differs.size, others=differ)
    note = _note(one, other)
    stage, when = _stage(bar, asked, order, fill)
    if note:  # bars alone do not say whether it was a decision
        stage = None
    kinds = CAN[stage] if stage else dict.fromkeys(kind for some in CAN.values() for kind in some)
    causes = [c for kind in kinds for c in differ if c.kind == kind and _before(c.since, when)]
    return Difference(
        label,
        max(n_differ, 1),
        differs.size,
        bar,
        order,
        fill,
        stage,
        tuple(causes),
        tuple(c for c in differ if c not in causes),
        _metrics(one, other),
        note,
    )


def _axes(a: xr.Dataset, b: xr.Dataset) -> list[str]:
    """The dims of trials, the same in both."""
    own = {"time", "block", "summary", "venue"}
    shared = {str(d) for r in (a, b) for d in r.dims if d == "asset" and _is_portfolio(r)}
    found, wanted = ([str(d) for d in r["final_equity"].dims if d not in own | shared] for r in (a, b))
    if found != wanted or any(a[n].values.tolist() != b[n].values.tolist() for n in found):
        said = f"{', '.join(wanted) or 'one trial'} in one, {', '.join(found) or 'one trial'} in the other"
        raise UsageError(message("axes", said, "the same labels", "Choose a trial of each: a.sel(...), b.sel(...)."))
    return found


def _cells(a: xr.Dataset, b: xr.Dataset, axes: list[str]) -> np.ndarray:
    """Which trials differ in a number, or in why they have none (bool, over ``axes``)."""
    found = np.zeros([a.sizes[name] for name in axes], bool)
    for name, array in a.data_vars.items():
        if name in b.data_vars and set(array.dims) == set(axes) == set(b[name].dims):
            x, y = (r[name].transpose(*axes).values for r in (a, b))
            numbers = x.dtype.kind == y.dtype.kind == "f"
            found |= (x != y) & ~(np.isnan(x) & np.isnan(y)) if numbers else x != y
    return found


def _is_portfolio(res: xr.Dataset) -> bool:
    return "asset" not in res["final_equity"].dims


def _metrics(a: xr.Dataset, b: xr.Dataset) -> dict[str, tuple[float, float]]:
    """The numbers of one trial that are not the same."""
    found = {}
    for name, array in a.data_vars.items():
        if array.ndim == 0 and name in b.data_vars and array.dtype.kind == b[name].dtype.kind == "f":
            x, y = float(array), float(b[name])
            if x != y and not (np.isnan(x) and np.isnan(y)):
                found[str(name)] = (x, y)
    return found


def _bar(a: xr.Dataset, b: xr.Dataset) -> First | None:
    """The first bar at which a curve differs, or which only one of them has."""
    if "time" not in a.dims or "time" not in b.dims:
        return None
    times = a["time"].values, b["time"].values
    n = min(map(len, times))
    moved = np.flatnonzero(times[0][:n] != times[1][:n])
    n = int(moved[0]) if moved.size else n
    names = [c for c in CURVES if c in a.variables and c in b.variables and a[c].dims == b[c].dims]
    values = {c: (a[c].transpose("time", ...).values, b[c].transpose("time", ...).values) for c in names}
    apart = {c: _unequal(x[:n], y[:n]) for c, (x, y) in values.items()}
    first = min((int(np.flatnonzero(rows)[0]) for rows in apart.values() if rows.any()), default=n)
    if first < n:
        columns = {c: (x[first], y[first]) for c, (x, y) in values.items() if apart[c][first]}
        told = {c: (_one(x), _one(y)) for c, (x, y) in columns.items()}
        return First(times[0][first], first, told, _known(a, times[0][first]))
    ends = (times[0][n] if n < len(times[0]) else None), (times[1][n] if n < len(times[1]) else None)
    if ends == (None, None):
        return None
    earliest = min(t for t in ends if t is not None)
    return First(earliest, n, {"time": ends}, earliest)


def _known(res: xr.Dataset, time: Any) -> Any:
    """When the bar of this label was known; its label where the bars are gone."""
    curves = _recipe(res)
    return time if curves is None else curves.recipe.bars["known_at"].sel(time=time).values[()]


def _unequal(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rows that are not equal to the bit, two NaN being the same."""
    apart = (x != y) & ~(np.isnan(x) & np.isnan(y))
    return np.asarray(apart if apart.ndim == 1 else apart.any(axis=tuple(range(1, apart.ndim))))


def _one(values: Any) -> Any:
    return values.item() if np.ndim(values) == 0 else tuple(values.tolist())


def _table(res: xr.Dataset, of: Any) -> pd.DataFrame | None:
    """Orders or fills, None where the trial cannot be run again."""
    try:
        found: pd.DataFrame = of(res)
    except RunError:
        return None
    return found


def _order(a: xr.Dataset, b: xr.Dataset) -> tuple[bool, First | None]:
    """The first order that differs, and whether what it asked for does."""
    tables = _table(a, orders), _table(b, orders)
    first = _row(*tables, key="submitted")
    return first is not None and bool({"", *ASKED} & set(first.columns)), first


def _row(a: pd.DataFrame | None, b: pd.DataFrame | None, key: str = "time") -> First | None:
    """The first row in which two tables differ, with the columns that do."""
    if a is None or b is None:
        return None
    names = [n for n in a.columns if n in b.columns and n != "sentence"]
    rows = zip_longest(a[names].itertuples(index=False, name=None), b[names].itertuples(index=False, name=None))
    for number, (x, y) in enumerate(rows):
        if x is None or y is None:
            there = dict(zip(names, x or y or (), strict=True))
            told = " ".join(_word(there[n]) for n in ("side", "quantity", "asset"))
            pair = (told, "none") if y is None else ("none", told)
            return First(there[key], number, {"": pair}, there[key])
        if x == y:
            continue
        apart = {n: (p, q) for n, p, q in zip(names, x, y, strict=True) if p != q and not (_nothing(p) and _nothing(q))}
        if apart:
            at = names.index(key)
            when = min(x[at], y[at])
            return First(when, number, apart, when)
    return None


def _nothing(value: Any) -> bool:
    return bool(value != value)  # NaN and NaT


def _stage(bar: First | None, asked: bool, order: First | None, fill: First | None) -> tuple[str | None, Any]:
    """What came first in time, and when: an order that asked for something else, a fill, or a bar's worth."""
    found = [(bar.moment, 2, VALUE)] if bar is not None and "time" not in bar.columns else []
    if order is not None and asked:
        found.append((order.moment, 0, DECISION))
    if fill is not None:
        found.append((fill.moment, 1, EXECUTION))
    if not found:
        return None, None if bar is None else bar.moment
    when, _, stage = min(found)
    return stage, when


def _before(since: Any, when: Any) -> bool:
    return since is None or when is None or bool(since <= when)


def _inputs(a: xr.Dataset, b: xr.Dataset) -> Iterator[Cause]:
    """What of the inputs differs, as far as both results tell."""
    one, other = _recipe(a), _recipe(b)
    yield from _strategies(a, b, one, other)
    left, right = (_said(r)["params"] | {n: r[n].item() for n in _params(r)} for r in (a, b))
    for name in dict.fromkeys((*left, *right)):
        if left.get(name) != right.get(name):
            yield Cause("parameter", f"parameter {name}", *(_word(p.get(name, "none")) for p in (left, right)))
    if a.attrs.get("lineage") != b.attrs.get("lineage"):
        yield _data(a, b, one, other)
    if a.attrs.get("finer_lineage") != b.attrs.get("finer_lineage"):
        yield Cause("finer data", "lineage of the finer bars", *(str(r.attrs.get("finer_lineage")) for r in (a, b)))
    if "time" in a.dims and "time" in b.dims:
        for what, at in (("start", 0), ("end", -1)):
            x, y = (r["time"].values[at] for r in (a, b))
            if x != y:
                yield Cause("span", what, _word(x), _word(y), None if at == 0 else min(x, y))
    if one is not None and other is not None and one.recipe.account != other.recipe.account:
        yield from _fields("account", one.recipe.account, other.recipe.account)
    yield from _venues(a, b, one, other)
    if a.attrs.get("fill_model") != b.attrs.get("fill_model"):
        yield Cause("fill model", "fill model", *(str(r.attrs.get("fill_model")) for r in (a, b)))


def _recipe(res: xr.Dataset) -> Curves | None:
    try:
        return curves_of(res)
    except RunError:
        return None


def _said(res: xr.Dataset) -> dict[str, Any]:
    """What a result says of its parameters and source, as it stands in memory or as `kk.save` wrote it."""
    params, recipe = res.attrs.get("params", {}), str(res.attrs.get("recipe", ""))
    saved = json.loads(recipe) if recipe.startswith("{") else {}
    return {"params": json.loads(params) if isinstance(params, str) else dict(params), "source": saved.get("source")}


def _params(res: xr.Dataset) -> list[str]:
    return [str(n) for n, c in res.coords.items() if c.attrs.get("role") == "param" and c.ndim == 0]


def _strategies(a: xr.Dataset, b: xr.Dataset, one: Curves | None, other: Curves | None) -> Iterator[Cause]:
    names = tuple(str(r.attrs.get("strategy", "")) for r in (a, b))
    texts = [
        _said(res)["source"] if curves is None else "\n".join([_text(curves), *(h.text for h in _hooks(curves))])
        for res, curves in ((a, one), (b, other))
    ]
    if names[0] != names[1]:
        yield Cause("strategy", "strategy", *names)
    elif None not in texts and texts[0] != texts[1]:
        lines = zip_longest(*(text.splitlines() for text in texts), fillvalue="nothing")
        number, (x, y) = next((i, pair) for i, pair in enumerate(lines, 1) if pair[0] != pair[1])
        yield Cause("strategy", f"line {number} of {names[0]}", x.strip(), y.strip())
    elif one is not None and other is not None and one.recipe.job.text != other.recipe.job.text:
        # what was compiled has also what the function captures: numbers, text, helpers
        lines = zip_longest(*(c.recipe.job.text.splitlines() for c in (one, other)), fillvalue="nothing")
        x, y = next(pair for pair in lines if pair[0] != pair[1])
        yield Cause("strategy", f"what {names[0]} captures", x.strip(), y.strip())


def _text(curves: Curves) -> str:
    return str(curves.recipe.strategy.source.text)


def _hooks(curves: Curves) -> tuple[Any, ...]:
    return curves.recipe.hooks or ()


def _data(a: xr.Dataset, b: xr.Dataset, one: Curves | None, other: Curves | None) -> Cause:
    """The first bar of the data that differs, where both are at hand."""
    if one is None or other is None:
        return Cause("data", "lineage of the bars", *(str(r.attrs.get("lineage"))[:12] for r in (a, b)))
    x, y = one.recipe.bars, other.recipe.bars
    names = tuple(str(r.attrs.get("name", "bars")) for r in (a, b))
    assets = [n for n in x["asset"].values.tolist() if n in y["asset"].values.tolist()]
    if not assets or x["asset"].values.tolist() != y["asset"].values.tolist():
        told = (", ".join(map(str, r["asset"].values[:4].tolist())) for r in (x, y))
        return Cause("data", "assets", *told)
    times = np.union1d(x["time"].values, y["time"].values)
    missing = np.setxor1d(x["time"].values, y["time"].values)
    found: list[tuple[Any, str, str, str]] = []
    if missing.size:
        here = missing[0] in x["time"].values
        found.append(
            (missing[0], f"bar {_word(missing[0])}", *(("there", "missing") if here else ("missing", "there")))
        )
    both = np.setdiff1d(times, missing)
    for name in SOURCES:
        p, q = (r[name].sel(time=both).transpose("time", "asset").values for r in (x, y))
        rows = _unequal(p.astype("f8"), q.astype("f8"))
        if rows.any():
            i = int(np.flatnonzero(rows)[0])
            j = int(np.flatnonzero(_unequal(p[i].astype("f8"), q[i].astype("f8")))[0])
            what = f"{name} of {assets[j]} at {_word(both[i])}"
            found.append((both[i], what, _word(p[i, j].item()), _word(q[i, j].item())))
    if not found:
        return Cause("data", "bars", f"{names[0]}, prices alike", f"{names[1]}, prices alike")
    when, what, left, right = min(found, key=lambda row: row[0])
    opened = min(r["open_at"].sel(time=when).values[()] for r in (x, y) if when in r["time"].values)
    return Cause("data", what, left, right, opened)


def _venues(a: xr.Dataset, b: xr.Dataset, one: Curves | None, other: Curves | None) -> Iterator[Cause]:
    """Fees, slippage and limits; from the words that results carry where they cannot be run again."""
    if one is None or other is None:
        for what in ("costs", "venue"):
            if a.attrs.get(what) != b.attrs.get(what):
                yield Cause("venue", what, *(str(r.attrs.get(what)) for r in (a, b)))
        return
    pairs = [r.recipe.job.venue_of(r.recipe.job.trials[one_trial(res)[1]], 0) for r, res in ((one, a), (other, b))]
    told = [dict(part.split(" ", 1) for part in str(r.attrs["costs"]).split(", ") if " " in part) for r in (a, b)]
    for name in ("fee", "slippage"):
        if any(getattr(pairs[0], n) != getattr(pairs[1], n) for n in (name, f"{name}_slots")):
            word = "fees" if name == "fee" else name
            yield Cause("venue", word, *(t.get(word, str(r.attrs["costs"])) for t, r in zip(told, (a, b), strict=True)))
    for cause in _fields("venue", *pairs):
        if not cause.what.startswith(("fee", "slippage", "rebates")):
            yield cause


def _fields(kind: str, x: Any, y: Any) -> Iterator[Cause]:
    if type(x) is not type(y) or not dataclasses.is_dataclass(x):
        yield Cause(kind, kind, type(x).__name__, type(y).__name__)
        return
    for one in dataclasses.fields(x):
        p, q = getattr(x, one.name), getattr(y, one.name)
        if p != q:
            yield Cause(kind, one.name, _word(p), _word(q))


def _note(a: xr.Dataset, b: xr.Dataset) -> str:
    gone = [name for name, res in (("first", a), ("second", b)) if _recipe(res) is None]
    if not gone:
        return ""
    return f"The orders of the {' and the '.join(gone)} are not kept, as it was read from the disk."


def _word(value: Any) -> str:
    """A value as text: numbers in full, so that the last bit shows, times without needless zeros."""
    if isinstance(value, np.datetime64):
        text = str(value.astype("datetime64[ns]"))
        return text.removesuffix(".000000000").removesuffix("T00:00:00")
    if hasattr(value, "isoformat"):
        return value.isoformat().removesuffix("T00:00:00")  # type: ignore[no-any-return]  # pandas' times
    return repr(value) if isinstance(value, float) else str(value)
