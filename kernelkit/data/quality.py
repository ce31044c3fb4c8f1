"""What must hold of a frame of bars before anything is made of it: which row, which column, how many, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelkit.data import rows, timestamps
from kernelkit.errors import DataError, message
from kernelkit.schema import EXTRA, PRICES

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (*PRICES, "volume")
NO_VOLUME = "volume is NaN or infinite"
# What vendors call a close that dividends and splits were taken out of.
ADJUSTED = ("adj close", "adjclose", "adjusted close", "close adj")

Columns = dict[str, NDArray[np.float64]]


def columns(frame: pd.DataFrame, asset: str) -> Columns:
    """Return the checked columns of ``frame`` as float64 arrays; volume is NaN where there is none.

    So is a vwap where nothing was traded.

    Raises `DataError` that lists every problem found, with rows counted from 0 as in ``frame.iloc``.
    """
    check_times(frame, asset)
    names = _names(frame, asset)
    check_order(frame.index, asset)
    found = {name: _numbers(frame, names[name], asset) for name in (*COLUMNS, *EXTRA) if name in names}
    if "vwap" in found and "volume" in found:
        found["vwap"] = np.where(found["volume"] == 0.0, np.nan, found["vwap"])
    problems = _problems(frame.index, found, names)
    if problems:
        head = f"bars of {asset!r} are not usable: {len(problems)} kind{'s' * (len(problems) > 1)} of problem in "
        raise DataError(head + f"{len(frame):,} rows\n" + "\n".join(f"- {p}" for p in problems))
    found.setdefault("volume", np.full(len(frame), np.nan))
    return found


def check_times(frame: pd.DataFrame, asset: str) -> None:
    """Raise `DataError` for what is no frame of rows with times, saying where the times seem to be."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        fix = "Pass a pandas DataFrame, or a dict of them for several assets."
        raise DataError(message(f"bars of {asset!r}", type(frame).__name__, "a pandas DataFrame", fix))
    if not len(frame):
        raise DataError(message(f"bars of {asset!r}", "no rows", "at least one bar", "Check the file and the filter."))
    if not isinstance(frame.index, pd.DatetimeIndex):
        found = f"{type(frame.index).__name__} of {frame.index.dtype}"
        raise DataError(message(f"index of {asset!r}", found, "a DatetimeIndex", timestamps.advice(frame)))


def _names(frame: pd.DataFrame, asset: str) -> dict[str, Any]:
    import pandas as pd

    what = f"columns of {asset!r}"
    if isinstance(frame.columns, pd.MultiIndex):
        fix = "Pass a dict, one frame for each asset: {name: frame.xs(name, axis=1, level=...)}."
        raise DataError(message(what, f"{frame.columns.nlevels} levels", "one level", fix))
    names: dict[str, Any] = {}
    for column in frame.columns:
        name = str(column).strip().lower()
        if name in names:
            fix = "Keep one of them: frame.drop(columns=...)."
            raise DataError(message(what, f"{names[name]!r} and {column!r}", f"one column {name!r}", fix))
        names[name] = column
    wanted = "open, high, low, close and, if known, volume and vwap"
    unknown = {name: column for name, column in names.items() if name not in (*COLUMNS, *EXTRA)}
    if unknown:
        found = f"unknown {', '.join(repr(column) for column in unknown.values())}"
        raise DataError(message(what, found, wanted, _without(names, unknown)))
    missing = [name for name in PRICES if name not in names]
    if missing:
        have = ", ".join(repr(c) for c in frame.columns) or "none"
        fix = f"Rename with frame.rename(columns=...), or compute them; missing: {', '.join(missing)}."
        raise DataError(message(what, have, wanted, fix))
    return names


def _without(names: dict[str, Any], unknown: dict[str, Any]) -> str:
    """What to do about columns that are no bars'."""
    left = f"frame.drop(columns={list(unknown.values())})"
    others = "other point-in-time columns enter by kernelkit.data.feature"
    adjusted = next((column for name, column in unknown.items() if name.replace("_", " ") in ADJUSTED), None)
    if adjusted is None or not all(name in names for name in PRICES):
        return f"Drop them with {left}; {others}."
    scaled = f"frame[{[names[name] for name in PRICES]}].mul(frame[{adjusted!r}] / frame[{names['close']!r}], axis=0)"
    more = f" As to the rest, {others}." if len(unknown) > 1 else ""
    return (
        f"All four prices must be of one kind: either drop it, {left}, and give dividends by kk.data.with_actions; "
        f"or scale all of them as it is, {left}.assign(**{scaled}).{more}"
    )


def check_order(index: pd.DatetimeIndex, asset: str) -> None:
    """Raise `DataError` for times that are missing, not increasing or there twice, naming the rows."""
    what = f"index of {asset!r}"
    missing = np.flatnonzero(index.isna())
    if missing.size:
        found = f"no time in {rows.count(missing.size)}: {rows.show(missing, lambda i: 'NaT')}"
        raise DataError(message(what, found, "timestamps", "Drop those rows: frame[frame.index.notna()]."))
    steps = np.diff(index.asi8)
    _check_increasing(index, steps, what)
    repeated = np.flatnonzero(steps == 0) + 1
    if repeated.size:
        shown = rows.show(repeated, lambda i: rows.when(index[i]))
        fix = "Keep one row each: frame[~frame.index.duplicated(keep='last')], after looking which one is right."
        found = f"{rows.count(repeated.size)} with the timestamp of the row before: {shown}"
        raise DataError(message(what, found, "unique timestamps", fix))


def _check_increasing(index: pd.DatetimeIndex, steps: NDArray[np.int64], what: str) -> None:
    back = np.flatnonzero(steps < 0) + 1
    if not back.size:
        return
    i = int(back[0])
    this, before = (rows.when(index[k]) for k in (i, i - 1))
    found = f"row {i} ({this}) earlier than row {i - 1} ({before}), {back.size:,} such steps"
    newest_first = " The rows run newest first." if not (steps > 0).any() else ""
    raise DataError(message(what, found, "increasing timestamps", f"Sort it: frame.sort_index().{newest_first}"))


def _numbers(frame: pd.DataFrame, column: Any, asset: str) -> NDArray[np.float64]:
    series = frame[column]
    if getattr(series.dtype, "kind", "O") not in "iuf":
        example = repr(series.iloc[0])
        fix = f"Convert it: pd.to_numeric(frame[{column!r}])."
        what = f"column {column!r} of {asset!r}"
        raise DataError(message(what, f"dtype {series.dtype} (first value {example})", "numbers", fix))
    return np.asarray(series.to_numpy(dtype="float64", na_value=np.nan))


def _problems(index: pd.DatetimeIndex, found: Columns, names: dict[str, Any]) -> list[str]:
    column = {name: f"frame[{names[name]!r}]" for name in found}
    both = f"frame[[{names['open']!r}, {names['close']!r}]]"
    finite = np.logical_and.reduce([np.isfinite(found[name]) for name in PRICES])
    problems = [
        _problem(index, ~np.isfinite(found[n]), {n: found[n]}, f"{n} is NaN or infinite", f"np.isfinite({column[n]})")
        for n in found
        if n in COLUMNS
    ]
    for name in PRICES:
        bad = np.isfinite(found[name]) & (found[name] <= 0.0)
        problems.append(_problem(index, bad, {name: found[name]}, f"{name} is not positive", f"{column[name]} > 0"))
    o, h, lo, c = (found[name] for name in PRICES)
    top, bottom = np.maximum(o, c), np.minimum(o, c)
    shown = {name: found[name] for name in PRICES}
    above, below = f"{column['high']} >= {both}.max(axis=1)", f"{column['low']} <= {both}.min(axis=1)"
    problems.append(_problem(index, finite & (h < top), shown, "high is below open or close", above))
    problems.append(_problem(index, finite & (lo > bottom), shown, "low is above open or close", below))
    if "volume" in found:
        volume = found["volume"]
        problems.append(
            _problem(index, volume < 0.0, {"volume": volume}, "volume is negative", f"{column['volume']} >= 0")
        )
    if "vwap" in found:
        vwap, traded = found["vwap"], found.get("volume", np.zeros(len(o))) > 0.0
        bad = np.isinf(vwap) | (vwap <= 0.0) | (np.isnan(vwap) & traded)
        problems.append(_problem(index, bad, {"vwap": vwap}, "vwap is not a positive price", f"{column['vwap']} > 0"))
    return [text for text in problems if text]


def _problem(index: pd.DatetimeIndex, bad: NDArray[np.bool_], shown: Columns, what: str, sound: str) -> str:
    """The problem in words, where there is any; ``sound`` is the expression for rows without it."""
    found = np.flatnonzero(bad)
    if not found.size:
        return ""

    def text(i: int) -> str:
        return f"{rows.when(index[i])}: " + " ".join(f"{name} {values[i]:g}" for name, values in shown.items())

    fix = f"Correct them at the source, or drop them: {rows.drop(found, f'frame[{sound}]')}."
    if what == NO_VOLUME:
        fix = "Put 0 where nothing was traded: frame.fillna({'volume': 0}); leave the column out if it is unknown."
    return f"{what} in {rows.count(found.size)}: {rows.show(found, text)}. {fix}"
