"""Bars that come with kernelkit: real ones from installed packages, and generated ones that say so."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernelkit.errors import DataError, UsageError, arguments, message

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_INDEX_NOTE = (
    "Index level: price only (no dividends), not tradable as such, and not its constituents; "
    "a fund that tracks it has costs and dividends that this series does not show."
)
SAVED = ".zarr"
_AAPL_NOTE = "Prices are adjusted for splits, not for dividends, so no traded price grid remains."


@arguments()
def load(name: str, **options: Any) -> xr.Dataset:
    """Return the bars called ``name``; `names` lists them. Only generated bars take options (``n``, ``seed``).

    A name that ends with ``.zarr`` is a folder that `kk.data.store.save` has written: own bars by name.
    Raises `DataError` for a name that does not exist, `UsageError` for an option that it does not have.

    >>> bars = load("sp500_index")
    >>> bars.attrs["tradable"], bars.sizes["time"]
    (0, 5031)
    """
    stored = str(name).endswith(SAVED)
    if not stored and name not in list(_LOADERS):
        fix = 'Own data: kk.data.store.save(kk.data.from_pandas(df, calendar="XNYS"), "own.zarr"), then "own.zarr".'
        raise DataError(message("data", repr(name), f"one of {', '.join(_LOADERS)}, or a folder {SAVED}", fix))
    loader = partial(_saved, name) if stored else _LOADERS[name]
    known = inspect.signature(loader).parameters
    strange = [key for key in options if key not in known]
    if strange:
        wanted = f"only {', '.join(known)}" if known else "none"
        raise UsageError(message(f"options of load({name!r})", ", ".join(strange), wanted, "Leave them out."))
    return loader(**options)


@arguments()
def names() -> tuple[str, ...]:
    """Return what `load` can load.

    >>> names()
    ('sp500_index', 'nasdaq_index', 'aapl', 'synthetic_minute')
    """
    return tuple(_LOADERS)


def _saved(path: str) -> xr.Dataset:
    from kernelkit.data.store import load as open_store

    return open_store(path)


def sp500_index() -> xr.Dataset:
    """Return daily bars of the S&P 500 index, 1999 to 2018, from the data of the package arch."""
    return _index("sp500", "SPX", "index:SPX", "S&P 500 index")


def nasdaq_index() -> xr.Dataset:
    """Return daily bars of the NASDAQ Composite index, 1999 to 2018, from the data of the package arch."""
    return _index("nasdaq", "IXIC", "index:IXIC", "NASDAQ Composite index")


def aapl() -> xr.Dataset:
    """Return daily split-adjusted bars of Apple, 2019 to 2024, from the package hvsampledata."""
    frame = _csv("hvsampledata", "_data/apple_stocks.csv").drop(columns="adj_close")
    about = {
        "asset_id": {"AAPL": "XNAS:AAPL"},
        "source": "hvsampledata apple_stocks.csv (Yahoo Finance)",
        "licence": "for demonstration and education; terms of the original provider apply",
        "note": _AAPL_NOTE,
    }
    return _daily(frame, "AAPL", "aapl", about)


def synthetic_minute(n: int = 100_000, seed: int = 0) -> xr.Dataset:
    """Return ``n`` generated one-minute bars of a crypto-like asset; the same ``seed`` gives the same bars."""
    from kernelkit.data.synthetic import minute_bars

    return minute_bars(n, seed)


def _index(file: str, asset: str, asset_id: str, title: str) -> xr.Dataset:
    frame = _csv("arch", f"data/{file}/{file}.csv.gz").drop(columns="Adj Close")
    about = {
        "asset_id": {asset: asset_id},
        "source": f"{title}: arch.data.{file} (Yahoo Finance)",
        "licence": "NCSA (package arch); terms of the original provider apply",
        "tradable": 0,
        "note": _INDEX_NOTE,
    }
    return _daily(frame, asset, f"{file}_index", about)


def _daily(frame: pd.DataFrame, asset: str, name: str, about: dict[str, Any]) -> xr.Dataset:
    from kernelkit.data.frames import from_pandas

    return from_pandas({asset: frame}, calendar="XNYS", name=name, about=about)


def _csv(package: str, path: str) -> pd.DataFrame:
    import pandas as pd

    # The file is read where it lies: importing arch for it would cost a second of unrelated models.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        fix = f"Install it: pip install {package}."
        raise DataError(message(f"package {package}", "not installed", "its data files", fix))
    return pd.read_csv(Path(spec.submodule_search_locations[0]) / path, index_col=0, parse_dates=True)


_LOADERS: dict[str, Callable[..., xr.Dataset]] = {
    "sp500_index": sp500_index,
    "nasdaq_index": nasdaq_index,
    "aapl": aapl,
    "synthetic_minute": synthetic_minute,
}
