"""Assets that have changed their symbols: bars by ticker become bars by asset, which know their names (rule E9)."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import lcm
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelkit.data import grid as grids
from kernelkit.data import lineage, rows
from kernelkit.data.actions import NAMES as ACTIONS
from kernelkit.data.contracts import CONTRACT
from kernelkit.data.extend import SYMBOLS as NAMES
from kernelkit.data.extend import check_plain, sessions_between
from kernelkit.data.sessions import DAY, stamp
from kernelkit.errors import DataError, arguments, message
from kernelkit.schema import check_bars, check_dataset, utc

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

SAME = ("lot", "multiplier", "currency", CONTRACT)
EVER = 1 << 40  # days: later than any
OPEN_END = "20501231"  # how LEAN's map files write that a symbol is in use


@dataclass(frozen=True)
class Spell:
    """From day ``first`` through day ``last`` (days since 1970) ``asset`` was called ``symbol``."""

    asset: str
    symbol: str
    first: int
    last: int

    @property
    def text(self) -> str:
        """It in words."""
        end = "on" if self.last >= EVER else f"to {_day(self.last)}"
        return f"{self.asset} as {self.symbol} from {_day(self.first)} {end}"


@arguments()
def with_symbols(bars: xr.Dataset, symbols: pd.DataFrame, *, allow_gap: bool = False) -> xr.Dataset:
    """Return ``bars``, whose assets are tickers, with a column for each asset that has had them (rule E9).

    ``symbols`` has the columns ``asset`` (its permanent name), ``symbol``, ``first`` and, where it is known, ``last``:
    the days, both inclusive, on which the asset had that symbol; without ``last`` up to its next one. So positions,
    orders and indicators go on where a name changes, and a name that another company takes over is another asset.
    Every bar of a symbol that is named must belong to an asset; other assets stay as they are. Between two symbols of
    an asset no session may be missing, unless ``allow_gap``. Actions go with the bars. `symbols_of` shows the names;
    `kk.orders`, `kk.fills` and `kk.actions` have a column ``symbol``. Raises DataError for a symbol that is not there,
    or has two assets at once, bars of none, and symbols of one asset that differ in more than their ticks.

    >>> import pandas as pd
    >>> from kernelkit.data import from_pandas
    >>> def day(date, price):
    ...     return pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), price), index=pd.to_datetime([date]))
    >>> tickers = {"FB": day("2022-06-08", 196.64), "META": day("2022-06-09", 184.0)}
    >>> bars = from_pandas(tickers, calendar="XNYS", tick_size=0.01)
    >>> names = {"asset": "META", "symbol": ["FB", "META"], "first": ["2012-05-18", "2022-06-09"]}
    >>> with_symbols(bars, pd.DataFrame(names))["close"].values.tolist()
    [[196.64], [184.0]]
    """
    import pandas as pd
    import xarray as xr

    check_bars(bars)
    check_plain("with_symbols", "Name the symbols first, then add the feature.", bars)
    if NAMES[0] in bars.variables:
        fix = "Give all symbols at once, to the bars by ticker."
        raise DataError(message("with_symbols", "bars by asset, with their symbols", "bars by ticker", fix))
    if not isinstance(symbols, pd.DataFrame):
        found, fix = type(symbols).__name__, "Pass a DataFrame with the columns asset, symbol, first, last."
        raise DataError(message("symbols", found, "a DataFrame", fix))
    tickers = [str(a) for a in bars["asset"].values]
    spells = _spells(symbols, tickers)
    _check_claims(bars, tickers, spells)
    assets = _assets(tickers, spells)
    sources = [[s for s in spells if s.asset == name] or [Spell(name, name, -EVER, EVER)] for name in assets]
    for own in sources:
        _check_seams(bars, tickers, own, allow_gap)
    columns = {str(n): v for n, v in bars.data_vars.items() if v.dims == ("time", "asset")}
    session = bars["session"].values
    out: dict[str, Any] = {}
    for name, column in columns.items():
        values = np.full((len(session), len(assets)), False if column.dtype == bool else np.nan, column.dtype)
        for a, own in enumerate(sources):
            for s in own:
                inside = (session >= s.first) & (session <= s.last)
                values[inside, a] = column.values[inside, tickers.index(s.symbol)]
        out[name] = ("time", "asset"), values, column.attrs
    coords = {n: v for n, v in bars.coords.items() if "asset" not in v.dims}
    made = xr.Dataset(out, coords, bars.attrs)
    made = made.assign_coords(_instruments(bars, tickers, assets, sources)).assign_coords(_history(bars, spells))
    if ACTIONS[0] in bars.variables:
        made = made.assign_coords({ACTIONS[1]: ("action", _owners(bars, spells))})
    ids = [str(n) for n in made["asset_id"].values]
    made.attrs["derived_ticks"] = [n for n, own in zip(ids, sources, strict=True) if _snapped(bars, tickers, own)]
    made.attrs.update(lineage.identify(made))
    return made


@arguments()
def symbols_of(bars: xr.Dataset) -> pd.DataFrame:
    """The names that assets of ``bars`` have had: ``asset``, ``symbol`` and the time (UTC) from which each held.

    Raises DataError for what is no Dataset.
    """
    import pandas as pd

    check_dataset(bars)

    if NAMES[0] not in bars.variables:
        return pd.DataFrame({"asset": [], "symbol": [], "from": []})
    begins, assets, names = (bars.variables[n].values for n in NAMES)
    return pd.DataFrame({"asset": assets, "symbol": names, "from": begins})


def symbols_at(bars: xr.Dataset, assets: Sequence[str], times: NDArray[np.int64]) -> list[str]:
    """The symbol that each asset had at its time (ns UTC): the asset's name where none is known of it."""
    begins, owners, names = (bars.variables[n].values for n in NAMES)
    starts = begins.astype("datetime64[ns]").astype("i8")
    own = {name: np.flatnonzero(owners == name) for name in {*assets}}
    out = []
    for asset, time in zip(assets, times, strict=True):
        rows_ = own[asset]
        k = int(np.searchsorted(starts[rows_], time, side="right")) - 1
        out.append(str(names[rows_[max(k, 0)]]) if rows_.size else str(asset))
    return out


@arguments()
def lean_symbols(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read LEAN's map files, one or a folder of them, as the table that `with_symbols` takes.

    ``wm.csv`` has rows of a date and a ticker without a head: the first date is that of the listing, each other one the
    last day of its ticker, 2050-12-31 where that is in use. The asset is named by the file. Raises DataError for a file
    that is none.
    """
    import pandas as pd

    given: Any = path
    if not isinstance(given, (str, os.PathLike)):
        fix = "Pass the path of LEAN's map_files, or of one file in it."
        raise DataError(message("map files", repr(path), "a path", fix))
    place = Path(path)
    files = sorted(place.glob("*.csv")) if place.is_dir() else [place]
    if not files or not files[0].is_file():
        raise DataError(message(f"map files at {place}", "none", "a file such as wm.csv", "Check the path."))
    return pd.concat([_map_file(file) for file in files], ignore_index=True)


def _map_file(file: Path) -> pd.DataFrame:
    import pandas as pd

    with file.open(newline="") as text:
        lines = [line for line in csv.reader(text) if line]
    if len(lines) < 2 or not all(len(line) > 1 and len(line[0]) == 8 and line[0].isdigit() for line in lines):
        wanted = "two or more rows such as 20090804,wmi"
        raise DataError(message(f"map file {file.name}", f"{len(lines)} rows", wanted, "Pass LEAN's own file."))
    ends = pd.to_datetime([line[0] for line in lines], format="%Y%m%d")
    first = [ends[0], *(ends[1:-1] + pd.Timedelta("1D"))]
    last = [pd.NaT if line[0] == OPEN_END else end for line, end in zip(lines[1:], ends[1:], strict=True)]
    symbol = [line[1].upper() for line in lines[1:]]
    return pd.DataFrame({"asset": file.stem.upper(), "symbol": symbol, "first": first, "last": pd.to_datetime(last)})


def _day(day: int) -> str:
    return utc(day * DAY)[:10]


def _spells(symbols: pd.DataFrame, tickers: list[str]) -> list[Spell]:
    """The table as spells, by asset and day; raises DataError for what cannot be."""
    lacking = [n for n in ("asset", "symbol", "first") if n not in symbols]
    if lacking or symbols.empty:
        have = ", ".join(map(str, symbols.columns)) if lacking else "no rows"
        fix = "Give the columns asset, symbol, first, and last where it is known."
        raise DataError(message("symbols", have or "no columns", f"a column {(lacking or ['asset'])[0]}", fix))
    first = _days(symbols["first"])
    last = _days(symbols["last"]) if "last" in symbols else np.full(len(first), EVER)
    spells: list[Spell] = []
    for k, (asset, symbol) in enumerate(zip(map(str, symbols["asset"]), map(str, symbols["symbol"]), strict=True)):
        row = f"row {k} of the symbols"
        if asset in ("nan", "None", "") or symbol in ("nan", "None", ""):
            fix = "Fill it in, or drop the row."
            raise DataError(message(row, "no name", "the asset and its symbol", fix))
        if symbol not in tickers:
            fix = f"Load its bars, or drop the row: there are {', '.join(tickers)}."
            raise DataError(message(row, f"the symbol {symbol!r} of {asset}", "one of the bars'", fix))
        if first[k] == EVER or last[k] < first[k]:
            wanted, fix = "a first day, and no last one before it", "Look at the source."
            raise DataError(message(row, f"{asset} as {symbol} without one", wanted, fix))
        spells.append(Spell(asset, symbol, int(first[k]), int(last[k])))
    spells.sort(key=lambda s: (s.asset, s.first))
    for k, (a, b) in enumerate(pairwise(spells)):
        if a.asset == b.asset and a.first < b.first and a.last == EVER:
            spells[k] = replace(a, last=b.first - 1)
    for key in ("asset", "symbol"):
        for a, b in pairwise(sorted(spells, key=lambda s: (getattr(s, key), s.first))):
            if getattr(a, key) == getattr(b, key) and b.first <= a.last:
                fix = "Give the last day of the earlier one."
                raise DataError(message(f"{key} {getattr(a, key)}", f"{a.text}, and {b.text}", "one at a time", fix))
    return spells


def _days(dates: pd.Series) -> NDArray[np.int64]:
    """Dates as days since 1970, EVER where there is none."""
    import pandas as pd

    for k, value in enumerate(dates):
        try:
            stamp(value)
        except (ValueError, OverflowError) as error:  # pandas' OutOfBoundsDatetime is one of the former
            what, fix = f"row {k} of the symbols, {dates.name}", 'Write "2022-06-09".'
            raise DataError(message(what, f"{value!r} ({error})", "a day", fix)) from None
    times = pd.DatetimeIndex(pd.to_datetime(dates, format="mixed"))
    bare = times.tz_localize(None) if times.tz is not None else times
    return np.where(bare.isna(), EVER, bare.as_unit("ns").asi8 // DAY)


def _check_claims(bars: xr.Dataset, tickers: list[str], spells: list[Spell]) -> None:
    """Raise DataError where a bar of a symbol that is named belongs to no asset."""
    session = bars["session"].values
    for symbol in dict.fromkeys(s.symbol for s in spells):
        lost = bars["valid"].values[:, tickers.index(symbol)].copy()
        for s in spells:
            if s.symbol == symbol:
                lost &= (session < s.first) | (session > s.last)
        where = np.flatnonzero(lost)
        if where.size:
            found = f"{rows.count(where.size)} of no asset: {rows.show(where, lambda i: _day(int(session[i])))}"
            fix = f"Say whose they are: a row with its asset, {symbol!r}, first and last; or leave those bars out."
            raise DataError(message(f"bars of {symbol}", found, "an asset for each", fix))


def _assets(tickers: list[str], spells: list[Spell]) -> list[str]:
    """The assets in the order of the bars: each in the place of its first symbol."""
    begins = {s.asset: s.symbol for s in reversed(spells)}
    named = {s.symbol for s in spells}
    out: list[str] = []
    for ticker in tickers:
        out += [asset for asset, symbol in sorted(begins.items()) if symbol == ticker]
        if ticker not in named:
            if ticker in begins:
                fix = "Name the asset otherwise, or give that symbol a row of its own."
                raise DataError(message(f"asset {ticker}", "a symbol of the bars that is another asset", "none", fix))
            out.append(ticker)
    return out


def _check_seams(bars: xr.Dataset, tickers: list[str], own: list[Spell], allow_gap: bool) -> None:
    """Raise DataError where sessions are missing between the symbols of an asset."""
    session = bars["session"].values
    ended: list[int] = []  # the last session of each symbol so far
    for s in own:
        there = session[bars["valid"].values[:, tickers.index(s.symbol)] & (session >= s.first) & (session <= s.last)]
        if not there.size:
            continue
        first = int(there[0])
        missed = sessions_between(bars.attrs["calendar"], ended[-1], first) if ended else 0
        if missed and not allow_gap:
            found = f"{missed} sessions without bars between {_day(ended[-1])} and {s.symbol} on {_day(first)}"
            fix = "Load the symbol that it had then, or pass allow_gap=True."
            raise DataError(message(f"symbols of {s.asset}", found, "no session missing", fix))
        ended.append(int(there[-1]))


def _instruments(
    bars: xr.Dataset, tickers: list[str], assets: list[str], sources: list[list[Spell]]
) -> dict[str, tuple[str, NDArray[Any]]]:
    """The coords along asset: those of the last symbol, on a grid on which all of the asset's prices lie."""
    last = [tickers.index(own[-1].symbol) for own in sources]
    coords = {str(n): v.values[last] for n, v in bars.coords.items() if v.dims == ("asset",)}
    ids = [
        str(bars["asset_id"].values[k]) if own[0].first == -EVER else own[0].asset
        for k, own in zip(last, sources, strict=True)
    ]
    made = []
    for own in sources:
        columns = [tickers.index(s.symbol) for s in own]
        for name in (n for n in SAME if n in coords):
            values = [bars[name].values[k].item() for k in columns]
            if len({*values}) > 1:
                found = ", ".join(f"{s.symbol} {v}" for s, v in zip(own, values, strict=True))
                fix = "One asset has one: read its symbols alike."
                raise DataError(message(f"{name} of {own[0].asset}", found, "the same for all its symbols", fix))
        grid = [grids.Grid(float(bars["tick"].values[k]), int(bars["inverse"].values[k])) for k in columns]
        made.append(_common(own, grid))
    texts = {"asset": np.array(assets), "asset_id": np.array(ids)}
    numbers = {"tick": np.array([g.tick for g in made]), "inverse": np.array([g.inverse for g in made], "i8")}
    return {n: ("asset", v) for n, v in (coords | texts | numbers).items()}


def _common(own: list[Spell], found: list[grids.Grid]) -> grids.Grid:
    """The coarsest grid on which the prices of all of them lie, exactly; raises DataError where there is none."""
    inverses = [g.inverse for g in found]
    if not any(inverses):
        return min(found, key=lambda g: g.tick)
    inverse = lcm(*inverses)
    if inverse == 0 or inverse > grids.MAX_TICKS:
        ticks = ", ".join(f"{s.symbol} {g.tick}" for s, g in zip(own, found, strict=True))
        fix = "Read all of them with one tick_size=."
        raise DataError(message(f"ticks of {own[0].asset}", ticks, "powers of two, or 1/integers, together", fix))
    return grids.Grid(1.0 / inverse, inverse)


def _snapped(bars: xr.Dataset, tickers: list[str], own: list[Spell]) -> bool:
    ids = bars["asset_id"].values
    return any(str(ids[tickers.index(s.symbol)]) in bars.attrs["derived_ticks"] for s in own)


def _history(bars: xr.Dataset, spells: list[Spell]) -> dict[str, tuple[str, NDArray[Any]]]:
    """The names as they are kept beside the bars, each from the open of its first bar on."""
    session, opens = bars["session"].values, bars["open_at"].values.astype("datetime64[ns]")
    seen = [s for s in spells if s.first <= session[-1] and s.last >= session[0]]
    begins = np.array([opens[np.searchsorted(session, s.first)] for s in seen], "datetime64[ns]")
    columns = begins, np.array([s.asset for s in seen], str), np.array([s.symbol for s in seen], str)
    return {n: ("symbol", c) for n, c in zip(NAMES, columns, strict=True)}


def _owners(bars: xr.Dataset, spells: list[Spell]) -> NDArray[Any]:
    """The assets to which the actions of symbols happened; raises DataError where there is none."""
    when, whose, what = (bars.variables[n].values for n in ACTIONS[:3])
    named = {s.symbol for s in spells}
    out = [str(name) for name in whose]
    for k, day in enumerate((when.astype("datetime64[ns]").astype("i8") // DAY).tolist()):
        if out[k] not in named:
            continue
        found = [s for s in spells if s.symbol == out[k] and s.first <= day <= s.last]
        row = f"{what[k]} of {out[k]} at {_day(day)}"
        if not found:
            raise DataError(
                message(row, "no asset with that symbol then", "one", "Drop the action, or name the asset.")
            )
        if what[k] == "delisting" and any(s.asset == found[0].asset and s.first > day for s in spells):
            fix = "A new name is none: drop the action."
            raise DataError(message(row, f"{found[0].asset} has another symbol later", "a delisting at the end", fix))
        out[k] = found[0].asset
    return np.array(out, str)
