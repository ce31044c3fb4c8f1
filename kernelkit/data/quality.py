"""What must hold of a frame of bars before anything is made of it: which row, which column, how many, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelkit.data import rows
from kernelkit.errors import DataError, message
from kernelkit.schema import EXTRA, PRICES

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (*PRICES, "volume")
NO_VOLUME = "volume is NaN or infinite"

Columns = dict[str, NDArray[np.float64]]


def columns(frame: pd.DataFrame, asset: str) -> Columns:
    """Return the checked columns of ``frame`` as float64 arrays; volume is NaN where there is none.

    So is a vwap where nothing was traded.

    Raises `DataError` that lists every problem found, with rows counted from 0 as in ``frame.iloc``.
    """
    names = _names(frame, asset)
    _check_index(frame.index, asset)
    found = {name: _numbers(frame, names[name], asset) for name in (*COLUMNS, *EXTRA) if name in names}
    if "vwap" in found and "volume" in found:
        found["vwap"] = np.where(found["volume"] == 0.0, np.nan, found["vwap"])
    problems = _problems(frame.index, found)
    if problems:
        head = f"bars of {asset!r} are not usable: {len(problems)} kind{'s' * (len(problems) > 1)} of problem in "
        raise DataError(head + f"{len(frame):,} rows\n" + "\n".join(f"- {p}" for p in problems))
    found.setdefault("volume", np.full(len(frame), np.nan))
    return found


def _names(frame: pd.DataFrame, asset: str) -> dict[str, Any]:
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        fix = "Pass a pandas DataFrame, or a dict of them for several assets."
        raise DataError(message(f"bars of {asset!r}", type(frame).__name__, "a pandas DataFrame", fix))
    what = f"columns of {asset!r}"
    if isinstance(frame.columns, pd.MultiIndex):
        fix = "Pass a dict, one frame for each asset: {name: frame.xs(name, axis=1, level=...)}."
        raise DataError(message(what, f"{frame.columns.nlevels} levels", "one level", fix))
    if not len(frame):
        raise DataError(message(f"bars of {asset!r}", "no rows", "at least one bar", "Check the file and the filter."))
    names: dict[str, Any] = {}
    for column in frame.columns:
        name = str(column).strip().lower()
        if name in names:
            fix = "Keep one of them: frame.drop(columns=...)."
            raise DataError(message(what, f"{names[name]!r} and {column!r}", f"one column {name!r}", fix))
        names[name] = column
    wanted = "open, high, low, close and, if known, volume and vwap"
    unknown = [repr(column) for name, column in names.items() if name not in (*COLUMNS, *EXTRA)]
    if unknown:
        fix = "Drop them with frame.drop(columns=...); other point-in-time columns enter by kernelkit.data.feature."
        raise DataError(message(what, f"unknown {', '.join(unknown)}", wanted, fix))
    missing = [name for name in PRICES if name not in names]
    if missing:
        have = ", ".join(repr(c) for c in frame.columns) or "none"
        fix = f"Rename with frame.rename(columns=...), or compute them; missing: {', '.join(missing)}."
        raise DataError(message(what, have, wanted, fix))
    return names


def _check_index(index: pd.Index[Any], asset: str) -> None:
    import pandas as pd

    what = f"index of {asset!r}"
    if not isinstance(index, pd.DatetimeIndex):
        fix = "Set it with frame.set_index(pd.to_datetime(...))."
        raise DataError(message(what, f"{type(index).__name__} of {index.dtype}", "a DatetimeIndex", fix))
    missing = np.flatnonzero(index.isna())
    if missing.size:
        found = f"no time in {rows.count(missing.size)}: {rows.show(missing, lambda i: 'NaT')}"
        raise DataError(message(what, found, "timestamps", "Drop those rows: frame[frame.index.notna()]."))
    steps = np.diff(index.asi8)
    _check_order(index, steps, what)
    repeated = np.flatnonzero(steps == 0) + 1
    if repeated.size:
        shown = rows.show(repeated, lambda i: _when(index, i))
        fix = "Keep one row each: frame[~frame.index.duplicated(keep='last')], after looking which one is right."
        found = f"{rows.count(repeated.size)} with the timestamp of the row before: {shown}"
        raise DataError(message(what, found, "unique timestamps", fix))


def _check_order(index: pd.DatetimeIndex, steps: NDArray[np.int64], what: str) -> None:
    back = np.flatnonzero(steps < 0) + 1
    if not back.size:
        return
    i = int(back[0])
    found = f"row {i} ({_when(index, i)}) earlier than row {i - 1} ({_when(index, i - 1)}), {back.size:,} such steps"
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


def _problems(index: pd.DatetimeIndex, found: Columns) -> list[str]:
    finite = np.logical_and.reduce([np.isfinite(found[name]) for name in PRICES])
    problems = [
        _problem(index, ~np.isfinite(found[n]), {n: found[n]}, f"{n} is NaN or infinite") for n in found if n in COLUMNS
    ]
    for name in PRICES:
        bad = np.isfinite(found[name]) & (found[name] <= 0.0)
        problems.append(_problem(index, bad, {name: found[name]}, f"{name} is not positive"))
    o, h, lo, c = (found[name] for name in PRICES)
    top, bottom = np.maximum(o, c), np.minimum(o, c)
    shown = {name: found[name] for name in PRICES}
    problems.append(_problem(index, finite & (h < top), shown, "high is below open or close"))
    problems.append(_problem(index, finite & (lo > bottom), shown, "low is above open or close"))
    if "volume" in found:
        volume = found["volume"]
        problems.append(_problem(index, volume < 0.0, {"volume": volume}, "volume is negative"))
    if "vwap" in found:
        vwap, traded = found["vwap"], found.get("volume", np.zeros(len(o))) > 0.0
        bad = np.isinf(vwap) | (vwap <= 0.0) | (np.isnan(vwap) & traded)
        problems.append(_problem(index, bad, {"vwap": vwap}, "vwap is not a positive price"))
    return [text for text in problems if text]


def _problem(index: pd.DatetimeIndex, bad: NDArray[np.bool_], shown: Columns, what: str) -> str:
    found = np.flatnonzero(bad)
    if not found.size:
        return ""

    def text(i: int) -> str:
        return f"{_when(index, i)}: " + " ".join(f"{name} {values[i]:g}" for name, values in shown.items())

    fix = f"Correct them at the source, or drop them: {rows.drop(found)}."
    if what == NO_VOLUME:
        fix = "Put 0 where nothing was traded: frame.fillna({'volume': 0}); leave the column out if it is unknown."
    return f"{what} in {rows.count(found.size)}: {rows.show(found, text)}. {fix}"


def _when(index: pd.DatetimeIndex, row: int) -> str:
    return str(index[row]).removesuffix(" 00:00:00")
