"""The one table of dims and variables: their dims, dtype, units and meaning, with `check` and `label`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kernelkit.errors import DataError, message

if TYPE_CHECKING:
    import xarray as xr

Kind = Literal["coord", "bar", "extra", "mask", "metric", "curve", "study"]

DIMS: Mapping[str, str] = {
    "time": "bar, labelled as the user labelled it, in UTC",
    "asset": "instrument",
    "trial": "distinct proposal of a search, in the order in which they were made",
    "scenario": "what is done to bars, venue and account; base is nothing",
    "size": "of a shock",
    "capital": "cash at the start",
    "cost": "what is charged on top, or how many times what the venue charges",
    "delay": "bars, or the time, until orders reach the venue",
    "draw": "of noise on prices",
    "fill_model": "how orders meet bars: the name of a fill model (rule F13), or where it differs from conservative",
}


@dataclass(frozen=True)
class Variable:
    """One row of the table; ``dims`` are those besides the dims that studies add."""

    name: str
    kind: Kind
    dims: tuple[str, ...]
    dtype: str
    units: str
    long_name: str


def _rows(kind: Kind, dims: tuple[str, ...], rows: Iterable[tuple[str, str, str, str]]) -> list[Variable]:
    return [Variable(name, kind, dims, dtype, units, long_name) for name, dtype, units, long_name in rows]


_TABLE = [
    *_rows(
        "coord",
        ("time",),
        [
            ("time", "datetime64[ns]", "", "label of the bar (UTC)"),
            ("open_at", "datetime64[ns]", "", "time at which the bar opens (UTC)"),
            ("known_at", "datetime64[ns]", "", "time from which the bar is known (UTC)"),
            ("session", "int64", "day", "session of the bar, in days since 1970-01-01"),
        ],
    ),
    *_rows(
        "coord",
        ("asset",),
        [
            ("asset", "str", "", "instrument"),
            ("asset_id", "str", "", "permanent identity of the instrument"),
            ("tick", "float64", "quote", "smallest price step"),
            ("inverse", "int64", "1/quote", "ticks per unit of quote currency, 0 where the tick is a power of two"),
            ("lot", "float64", "base", "smallest quantity step"),
            ("multiplier", "float64", "1", "quote currency per price point and unit of quantity"),
            ("currency", "str", "", "quote currency"),
        ],
    ),
    *_rows(
        "bar",
        ("time", "asset"),
        [
            ("open", "float64", "quote", "first price of the bar"),
            ("high", "float64", "quote", "highest price of the bar"),
            ("low", "float64", "quote", "lowest price of the bar"),
            ("close", "float64", "quote", "last price of the bar"),
            ("volume", "float64", "base", "quantity traded in the bar"),
            ("valid", "bool", "1", "whether the bar exists; where it does not, its numbers are NaN"),
        ],
    ),
    *_rows(
        "extra",
        ("time", "asset"),
        [("vwap", "float64", "quote", "volume-weighted mean price of the bar, NaN where nothing was traded")],
    ),
    *_rows(
        "mask",
        ("time", "asset"),
        [("universe", "bool", "1", "whether the asset may be opened at this bar's decision (rule U1)")],
    ),
    *_rows(
        "metric",
        (),
        [
            ("total_return", "float64", "1", "total return"),
            ("cagr", "float64", "1", "compound annual growth rate"),
            ("volatility", "float64", "1", "annualised standard deviation of returns"),
            ("sharpe_ratio", "float64", "1", "annualised Sharpe ratio"),
            ("sortino_ratio", "float64", "1", "annualised Sortino ratio"),
            ("calmar_ratio", "float64", "1", "Calmar ratio"),
            ("max_drawdown", "float64", "1", "largest drawdown"),
            ("max_drawdown_duration", "float64", "day", "longest time below a previous peak"),
            ("n_fills", "int64", "1", "number of fills"),
            ("n_trades", "int64", "1", "number of closed round trips"),
            ("win_rate", "float64", "1", "share of closed round trips with a gain net of fees"),
            ("profit_factor", "float64", "1", "gains over losses of closed round trips, net of fees"),
            ("exposure", "float64", "1", "share of bars with a position"),
            ("turnover", "float64", "1", "traded notional over mean equity"),
            ("fees", "float64", "quote", "fees paid"),
            ("final_equity", "float64", "quote", "equity at the last bar"),
        ],
    ),
    *_rows(
        "curve",
        ("time",),
        [
            ("equity", "float64", "quote", "cash plus the value of the positions"),
            ("cash", "float64", "quote", "cash"),
            ("position", "float64", "base", "quantity held, negative where short"),
            ("drawdown", "float64", "1", "loss from the previous peak of equity, as a fraction"),
            ("account_equity", "float64", "quote", "what the account at each venue is worth"),
            ("account_cash", "float64", "quote", "cash of the account at each venue"),
        ],
    ),
    *_rows(
        "study",
        (),
        [
            ("total_return_spread", "float64", "1", "largest less smallest total return over the fill models"),
            ("total_return_at_zero", "float64", "1", "total return had delistings of unknown value paid nothing"),
            ("loss", "float64", "1", "final equity that is lost against the base"),
            ("net_profit", "float64", "quote", "final equity less the capital at the start"),
            ("half_sharpe_capital", "float64", "quote", "capital at which the Sharpe ratio has fallen to half"),
            ("best_capital", "float64", "quote", "capital with the largest net profit, of those given"),
            ("window_drawdown", "float64", "1", "largest drawdown within the bars in which a scenario is felt"),
        ],
    ),
]

VARIABLES: Mapping[str, Variable] = {row.name: row for row in _TABLE}
METRICS: tuple[str, ...] = tuple(row.name for row in _TABLE if row.kind == "metric")
CURVES: tuple[str, ...] = tuple(row.name for row in _TABLE if row.kind == "curve")
PRICES: tuple[str, ...] = ("open", "high", "low", "close")
EXTRA: tuple[str, ...] = tuple(row.name for row in _TABLE if row.kind == "extra")
BARS: tuple[str, ...] = tuple(row.name for row in _TABLE if row.kind in ("coord", "bar"))
FEATURE, AGE = "x.", "age."


def variable(name: str) -> Variable:
    """Return the row of ``name``; ``x.<name>`` and ``age.<name>`` are the two columns of a feature.

    >>> variable("max_drawdown_duration").units
    'day'
    >>> variable("age.sentiment").dtype
    'int64'
    """
    if name in VARIABLES:
        return VARIABLES[name]
    if name.startswith(FEATURE):
        return Variable(name, "bar", ("time", "asset"), "float64", "1", f"feature {name[len(FEATURE) :]}")
    if name.startswith(AGE):
        long_name = f"age of feature {name[len(AGE) :]}, -1 where never known"
        return Variable(name, "bar", ("time", "asset"), "int64", "ns", long_name)
    raise DataError(message("variable name", repr(name), "one of the schema", f"Known: {', '.join(VARIABLES)}."))


def label(ds: xr.Dataset) -> None:
    """Write units and long_name on every variable of ``ds`` that is in the table.

    Others (recorded columns, swept parameters) keep the attrs they have.
    """
    for key, one in ds.variables.items():
        name = str(key)
        if name in VARIABLES or name.startswith((FEATURE, AGE)):
            row = variable(name)
            # xarray itself owns the units of a datetime: it writes them when it encodes.
            texts = {"long_name": row.long_name, **({"units": row.units} if row.units else {})}
            one.attrs = {**texts, **one.attrs}


def check(ds: xr.Dataset, names: Iterable[str] = BARS) -> None:
    """Raise `DataError` unless ``ds`` has every variable of ``names`` with the dims and dtype of the table.

    Metrics and curves may carry further leading dims, which studies add. Pass bars without ``names``: their
    features are checked too.
    """
    names = tuple(names)
    named = (*EXTRA, "universe")
    columns = tuple(str(n) for n in ds.data_vars if str(n).startswith((FEATURE, AGE)) or n in named)
    for name in (*names, *(c for c in columns if c not in names)):
        if name not in ds.variables:
            have = ", ".join(str(v) for v in ds.variables) or "no variables"
            raise DataError(message(f"variable {name!r}", "nothing", variable(name).long_name, f"There are: {have}."))
        _check_one(name, ds[name], variable(name))


def _check_one(name: str, array: xr.DataArray, row: Variable) -> None:
    dims = tuple(str(d) for d in array.dims)
    tail = dims[len(dims) - len(row.dims) :]
    if tail != row.dims or (row.kind in ("coord", "bar", "extra", "mask") and dims != row.dims):
        fix = f"Use ds[{name!r}].transpose{row.dims}." if set(dims) == set(row.dims) else "Rebuild it with those dims."
        raise DataError(message(f"dims of {name!r}", dims, row.dims, fix))
    if not _is_dtype(array.dtype, row.dtype):
        raise DataError(message(f"dtype of {name!r}", array.dtype, row.dtype, _dtype_fix(name, row.dtype)))


def _is_dtype(found: np.dtype[Any], wanted: str) -> bool:
    return found.kind in "UOT" if wanted == "str" else found == np.dtype(wanted)


def _dtype_fix(name: str, wanted: str) -> str:
    return f"Convert it: ds[{name!r}].astype({'str' if wanted == 'str' else repr(wanted)})."


def check_dataset(bars: Any) -> None:
    """Raise `DataError` for what is no Dataset at all.

    >>> check_dataset([1.0, 2.0])
    Traceback (most recent call last):
    kernelkit.errors.DataError: bars: found list, wanted a Dataset(time, asset) from kk.data. Use kk.data.load or ...
    """
    import xarray as xr

    if not isinstance(bars, xr.Dataset):
        fix = "Use kk.data.load or kk.data.from_pandas."
        raise DataError(message("bars", type(bars).__name__, "a Dataset(time, asset) from kk.data", fix))


def check_bars(bars: xr.Dataset) -> None:
    """Raise `DataError` unless ``bars`` are complete bars whose clock runs forward.

    Besides `check`: at least one bar, unique assets, open_at < known_at <= the next open_at.
    """
    check_dataset(bars)
    check(bars)
    if 0 in (bars.sizes["time"], bars.sizes["asset"]):
        raise DataError(message("bars", dict(bars.sizes), "at least one bar of one asset", "Widen the selection."))
    assets = [str(a) for a in bars["asset"].values]
    twice = sorted({a for a in assets if assets.count(a) > 1})
    if twice:
        raise DataError(message("assets", f"{', '.join(twice)} more than once", "unique names", "Rename or drop them."))
    opened, known = (bars[n].values.astype("int64") for n in ("open_at", "known_at"))
    check_clock(opened, known)


def check_clock(open_at: np.ndarray[Any, np.dtype[np.int64]], known_at: np.ndarray[Any, np.dtype[np.int64]]) -> None:
    """Raise `DataError` naming the first bar whose clock (ns UTC) does not run forward."""
    backward = np.flatnonzero(known_at <= open_at)
    if backward.size:
        i = int(backward[0])
        raise DataError(
            message(
                f"known_at of bar {i}",
                f"{utc(known_at[i])}, not after its open_at {utc(open_at[i])}",
                "a bar that is known after it opens",
                "Check label= and bar=.",
            )
        )
    overlap = np.flatnonzero(open_at[1:] < known_at[:-1])
    if overlap.size:
        i = int(overlap[0])
        raise DataError(
            message(
                f"open_at of bar {i + 1}",
                f"{utc(open_at[i + 1])}, before bar {i} is known ({utc(known_at[i])}), in {overlap.size} places",
                "bars that do not overlap",
                "Sort the bars by time, and check label= and bar=.",
            )
        )


def covered(bars: xr.Dataset, first: int, stop: int) -> tuple[int, int]:
    """Return the first and the last moment (ns UTC) that bars ``first ... stop - 1`` cover, whatever their labels say.

    A daily bar covers its session; the last moment is the one before the last bar is known.
    """
    opened, known = bars["open_at"].values[first], bars["known_at"].values[stop - 1]
    return int(opened.astype("datetime64[ns]").astype("i8")), int(known.astype("datetime64[ns]").astype("i8")) - 1


def check_sessions(session: np.ndarray[Any, np.dtype[np.int64]]) -> None:
    """Raise `DataError` naming the first bar whose session is earlier than that of the bar before."""
    backward = np.flatnonzero(np.diff(session) < 0)
    if backward.size:
        i = int(backward[0]) + 1
        found, wanted = f"{session[i]}, after {session[i - 1]}", "sessions that do not run backward"
        raise DataError(message(f"session of bar {i}", found, wanted, "Build bars with kk.data.from_pandas."))


def utc(ns: int | np.int64) -> str:
    """Return nanoseconds since 1970 as text, as short as it can be.

    >>> utc(1_600_000_000_000_000_000)
    '2020-09-13T12:26:40'
    """
    text = str(np.datetime64(int(ns), "ns"))
    return text.rstrip("0").rstrip(".") if "." in text else text
