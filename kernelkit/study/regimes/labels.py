"""Labels of regimes over time: the samples they see, the moments at which models are estimated, how they come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kernelkit.data.durations import duration
from kernelkit.errors import DataError, UsageError, message
from kernelkit.metrics.labels import check_dims, check_names

Floats = NDArray[np.float64]
Int64s = NDArray[np.int64]
Order = Literal["volatility", "mean"]
Texts = Mapping[str, tuple[tuple[str, ...], str, str]]  # name: dims beside those of the series, units, long_name

NONE = -1  # Y1: no label yet


class Fit(NamedTuple):
    """Samples of one series: estimate from [first, at), label [at, stop)."""

    first: int
    at: int
    stop: int


@dataclass(frozen=True)
class Schedule:
    """Y2: when a model is estimated, and from how much."""

    refit: str | None
    min_train: str
    window: str | None = None
    fewest: int = 30

    @property
    def attrs(self) -> dict[str, str]:
        """What a result says of it."""
        return {"refit": self.refit or "never", "min_train": self.min_train, "window": self.window or "all"}

    def rows(self, index: Any, begin: int = 0) -> tuple[Int64s, Int64s]:
        """The row of each moment, and the first row that it may learn from; no row depends on later ones.

        The first moment is `min_train` after the row `begin`, at which the samples begin.

        >>> import pandas as pd
        >>> at, first = Schedule("1Y", "1Y", "18M").rows(pd.date_range("2020-01-01", "2022-06-30", freq="MS"))
        >>> at.tolist(), first.tolist()
        ([12, 24], [0, 6])
        """
        opens = index[begin] + duration(self.min_train, "min_train")
        step = None if self.refit is None else duration(self.refit, "refit")
        back = None if self.window is None else duration(self.window, "window")
        at, first = list[int](), list[int]()
        while (row := int(index.searchsorted(opens))) < len(index):
            if not at or row > at[-1]:
                at.append(row)
                first.append(0 if back is None else int(index.searchsorted(index[row] - back)))
            if step is None:
                break
            opens = opens + step
        return np.array(at, np.int64), np.array(first, np.int64)

    def fits(self, index: Any, rows: Int64s, at: Int64s, first: Int64s) -> list[tuple[int, Fit]]:
        """Of a series whose samples lie in `rows`: which moments have enough of it, and what each learns and labels.

        That is as much of its own history as `min_train` says, and at least `fewest` samples.
        """
        if not len(rows) or not len(at):
            return []
        ripe = index[rows[0]] + duration(self.min_train, "min_train")
        begin, end = np.searchsorted(rows, first), np.searchsorted(rows, at)
        fit = [k for k in range(len(at)) if index[at[k]] >= ripe and end[k] - begin[k] >= self.fewest]
        stops = [int(end[k]) for k in fit[1:]] + [len(rows)] * bool(fit)
        return [(k, Fit(int(begin[k]), int(end[k]), stop)) for k, stop in zip(fit, stops, strict=True)]


class Found(NamedTuple):
    """Of one series: a label of each sample, what stands beside it, and the numbers of each fit (None: it failed)."""

    labels: Int64s
    beside: Sequence[Any] = ()
    fitted: Sequence[Sequence[Any] | None] = ()


Formula = Callable[[Floats, "list[Fit]", Int64s], Found]  # of samples, and the rows of the clock that they lie in


def series_of(function: str, data: Any, level: bool) -> xr.DataArray:
    """The closes of bars, or their returns from one valid bar to the next (Y1); of a DataArray itself; time last.

    >>> x = xr.DataArray([1.0, 2.0], {"time": np.array(["2020-01-01", "2020-01-02"], "M8[ns]")}, "time")
    >>> series_of("trend", x, True).dims
    ('time',)
    """
    if isinstance(data, xr.Dataset):
        if "close" not in data.data_vars:
            fix = "Pass bars from kk.data, or a DataArray of returns."
            raise DataError(message(f"{function}: bars", "a Dataset without close", "a Dataset of bars", fix))
        close = data["close"].reset_coords(drop=True).transpose(..., "time").astype("f8")
        close = close.isel(asset=0).assign_coords(asset=data["asset"].values[0]) if close.sizes["asset"] == 1 else close
        return close if level else close.copy(data=_changes(close.values))
    check_dims(function, {"data": data}, {"data": ["time"]})
    found: xr.DataArray = data.transpose(..., "time").astype("f8")
    if "time" not in data.coords or data["time"].dtype.kind != "M" or not data.indexes["time"].is_monotonic_increasing:
        raise DataError(message(f"{function}: time", "no ascending times", "times", "Give it a time coordinate."))
    return found


def _changes(close: Floats) -> Floats:
    """Returns along the last axis, from the last close that there is; none at the first."""
    out = np.full(close.shape, np.nan)
    for at in np.ndindex(close.shape[:-1]):
        rows = np.flatnonzero(~np.isnan(close[at]))
        out[at][rows[1:]] = close[at][rows[1:]] / close[at][rows[:-1]] - 1.0
    return out


def labelled(
    function: str,
    series: xr.DataArray,
    schedule: Schedule | None,
    formula: Formula,
    beside: Texts,
    fitted: Texts,
    states: int | None = None,
    **attrs: Any,
) -> xr.Dataset:
    """The formula of every series, put back on the clock: a sample that is missing keeps the label before it (Y1).

    What stands `beside` the labels has the dim ``time`` more than said, what is `fitted` the dim ``fit``. Without a
    schedule nothing is estimated.
    """
    check_names(function, [series], ["regime", "fit", "state", "to", *beside, *fitted])
    index, lead = series.indexes["time"], series.shape[:-1]
    begin = int(np.argmax(~np.isnan(series.values).all(axis=tuple(range(len(lead))))))
    at, first = schedule.rows(index, begin) if schedule else (np.zeros(0, np.int64),) * 2
    regime = np.full((*lead, len(index)), NONE, np.int64)
    extent = {"state": states or 0, "to": states or 0}
    columns = {k: np.full((*regime.shape, *(extent[d] for d in dims)), np.nan) for k, (dims, _, _) in beside.items()}
    numbers = {k: np.full((*lead, len(at), *(extent[d] for d in dims)), np.nan) for k, (dims, _, _) in fitted.items()}
    for place in np.ndindex(lead):
        x = series.values[place]
        rows = np.flatnonzero(~np.isnan(x))
        fits = schedule.fits(index, rows, at, first) if schedule else []
        if not len(rows):
            continue
        found = formula(x[rows], [fit for _, fit in fits], rows)
        last = np.searchsorted(rows, np.arange(len(index)), side="right") - 1
        there = slice(int(rows[0]), None)
        regime[place][there] = found.labels[last[there]]
        for column, values in zip(columns.values(), found.beside, strict=True):
            column[place][there] = np.asarray(values)[last[there]]
        for (k, _), one in zip(fits, found.fitted, strict=bool(fitted)):
            for table, value in zip(numbers.values(), one or (), strict=one is not None):
                table[place][k] = value
    outer = [str(d) for d in series.dims[:-1]]
    told = {k: v for k, v in attrs.items() if v is not None} | (schedule.attrs if schedule else {})
    text = {"long_name": "regime, -1 where it is not known yet", "units": "1"}
    variables: dict[str, Any] = {"regime": ([*outer, "time"], regime, text | told)}
    for texts, clock, tables in ((beside, "time", columns), (fitted, "fit", numbers)):
        for name, (dims, units, long_name) in texts.items():
            variables[name] = ([*outer, clock, *dims], tables[name], {"long_name": long_name, "units": units})
    coords = {k: v for k, v in series.coords.items() if k in series.dims or not v.dims}
    used = {d for texts in (beside, fitted) for dims, _, _ in texts.values() for d in dims}
    coords |= {d: np.arange(states or 0) for d in ("state", "to") if d in used}
    if fitted:
        coords["fit"] = series["time"].values[at]
    found_all = xr.Dataset(variables, coords, told)
    return found_all.transpose(*(d for d in ("fit", "time", *outer, "state", "to") if d in found_all.dims))


def labels_of(function: str, labels: Any) -> xr.DataArray:
    """The labels among what a function of `kk.regimes` has returned, or whole numbers over time of one's own.

    >>> labels_of("transition", xr.DataArray([0, 1], dims="time")).dtype
    dtype('int64')
    """
    found = labels["regime"] if isinstance(labels, xr.Dataset) and "regime" in labels.data_vars else labels
    check_dims(function, {"labels": found}, {"labels": ["time"]})
    if found.dtype.kind not in "iub" or bool((found < NONE).any()):
        fix = "Label from 0 on, and -1 where there is no label: labels.fillna(-1).astype(int)."
        raise DataError(message(f"{function}: labels", f"values of {found.dtype}", "whole numbers from -1 on", fix))
    return found.astype("i8").reset_coords(drop=True)


def check_states(function: str, states: Any, order: Any = "volatility") -> int:
    """The number of states; raises UsageError for what is none, and for another order.

    >>> check_states("hmm", 2)
    2
    """
    fix = f"See help(kk.regimes.{function})."
    check_whole(function, "states", states, 2, 16)
    if order not in get_args(Order):
        raise UsageError(message(f"{function}: order", repr(order), "'volatility' or 'mean'", fix))
    return int(states)


def check_whole(function: str, name: str, value: Any, least: int, most: int | None = None) -> int:
    """A setting that is a whole number; raises UsageError for one that is not, or out of its range.

    >>> check_whole("trend", "span", 200, 1)
    200
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        wanted = f"a whole number of at least {least}" + ("" if most is None else f", at most {most}")
        raise UsageError(message(f"{function}: {name}", repr(value), wanted, f"See help(kk.regimes.{function})."))
    return int(value)


def kernel_of(name: str) -> Any:
    """A compiled function of `kernels.regimes`."""
    from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this
    from kernelkit.kernels.regimes import TYPES

    return kernel("regimes", name, TYPES[name])
