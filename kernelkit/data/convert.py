"""Prices in another currency: an account has one, and assets that are quoted in others are converted on the way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelkit.data import grid as grids
from kernelkit.data import lineage
from kernelkit.data.actions import NAMES
from kernelkit.data.contracts import is_inverse
from kernelkit.errors import DataError, arguments, message
from kernelkit.schema import PRICES, check_bars, label, utc

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Floats = NDArray[np.float64]


@arguments()
def in_currency(bars: xr.Dataset, currency: str, rates: pd.Series | Mapping[str, pd.Series]) -> xr.Dataset:
    """Return ``bars`` with the prices of all assets in ``currency``, so that they can share an account.

    ``rates`` says what one unit of an asset's currency is worth: a Series by the time (UTC) from which each rate was
    known, or a dict of them by currency. The open is converted at the rate known when the bar opens, the close at the
    one known when the bar is; high and low at the open's, and widened to hold both. Dividends, delistings and marks of
    funding are converted at their own times. Prices are put on a grid of 2^-k (`from_pandas`), volumes stay.

    Raises DataError for a currency without rates, a rate that is not positive, an inverse contract, and a bar that
    opens before the first rate.

    >>> import pandas as pd
    >>> from kernelkit.data.catalog import load
    >>> bars = in_currency(load("sp500_index"), "EUR", pd.Series([0.5], index=pd.to_datetime(["1990-01-01"])))
    >>> bool((bars["close"] * 2.0 == load("sp500_index")["close"]).all()), str(bars["currency"].values[0])
    (True, 'EUR')
    """
    check_bars(bars)
    own = [str(c) for c in bars["currency"].values]
    tables = {c: _rates(c, currency, rates) for c in sorted({*own} - {currency})}
    stamps = [bars[name].values.astype("datetime64[ns]").astype("i8") for name in ("open_at", "known_at")]
    arrays = {name: bars[name].values.copy() for name in PRICES}
    tick, inverse = bars["tick"].values.copy(), bars["inverse"].values.copy()
    inverses, error = is_inverse(bars), float(bars.attrs["max_snap_error"])
    for a, name in enumerate(str(asset) for asset in bars["asset"].values):
        if own[a] == currency:
            continue
        if inverses[a]:
            fix = "Convert the results: its account is kept in its base currency."
            raise DataError(message(f"asset {name}", "an inverse contract", "a linear one", fix))
        rows = np.flatnonzero(bars["valid"].values[:, a])
        opening, closing = (_at(tables[own[a]], own[a], when[rows]) for when in stamps)
        prices = {key: arrays[key][rows, a] * (closing if key == "close" else opening) for key in PRICES}
        prices["high"] = np.maximum(prices["high"], prices["close"])
        prices["low"] = np.minimum(prices["low"], prices["close"])
        grid = grids.derived(float(prices["close"][0]))
        for key, exact in prices.items():
            ticks = grid.ticks(exact)
            grids.check_range(ticks, grid, name)
            arrays[key][rows, a] = grid.prices(ticks)
            error = max(error, float(np.max(np.abs(arrays[key][rows, a] / exact - 1.0))))
        tick[a], inverse[a] = grid.tick, grid.inverse
    out = bars.assign({key: (("time", "asset"), values) for key, values in arrays.items()})
    coords = {"tick": tick, "inverse": inverse, "currency": np.array([currency] * len(own))}
    out = out.assign_coords({key: ("asset", values) for key, values in coords.items()})
    out = _with_actions(out, bars, own, currency, tables)
    derived = [str(asset) for asset, c in zip(bars["asset_id"].values, own, strict=True) if c != currency]
    out.attrs.update(max_snap_error=error, derived_ticks=sorted({*bars.attrs["derived_ticks"], *derived}))
    label(out)
    out.attrs.update(lineage.identify(out))
    return out


def _rates(currency: str, target: str, rates: Any) -> tuple[NDArray[np.int64], Floats]:
    """When each rate of a currency was known, ns UTC, and the rates."""
    import pandas as pd

    what, series = f"rates from {currency} to {target}", rates.get(currency) if isinstance(rates, Mapping) else rates
    if not isinstance(series, pd.Series) or not isinstance(series.index, pd.DatetimeIndex) or series.empty:
        fix = f"Pass a Series with a DatetimeIndex, or a dict such as {{'{currency}': series}}."
        raise DataError(message(what, type(series).__name__, "a pandas Series by time", fix))
    series = series.sort_index()
    index = series.index.tz_convert(None) if series.index.tz is not None else series.index
    values = series.to_numpy("f8", na_value=np.nan)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0.0)))
    if index.hasnans or len(wrong):
        found = "a row without a time" if index.hasnans else f"{values[wrong[0]]} at {index[wrong[0]]}"
        raise DataError(message(what, found, "positive numbers with times", "Drop those rows."))
    return index.as_unit("ns").asi8, values


def _at(table: tuple[NDArray[np.int64], Floats], currency: str, times: NDArray[np.int64]) -> Floats:
    known, values = table
    row = np.searchsorted(known, times, side="right") - 1
    if len(row) and row.min() < 0:
        found, fix = f"none before {utc(known[0])}", "Load earlier rates, or later bars."
        raise DataError(
            message(f"a rate of {currency} at {utc(times[row.argmin()])}", found, "a rate known by then", fix)
        )
    found_rates: Floats = values[row]
    return found_rates


def _with_actions(out: xr.Dataset, bars: xr.Dataset, own: list[str], currency: str, tables: Any) -> xr.Dataset:
    """The actions of converted assets, with amounts and marks converted."""
    if NAMES[0] not in bars.variables:
        return out
    when, whose, what, value, price = (bars[name].values.copy() for name in NAMES)
    of = dict(zip((str(a) for a in bars["asset"].values), own, strict=True))
    times = when.astype("datetime64[ns]").astype("i8")
    for k, (name, kind) in enumerate(zip(whose, what, strict=True)):
        foreign = of.get(str(name), currency)
        if foreign != currency:
            rate = float(_at(tables[foreign], foreign, times[k : k + 1])[0])
            if kind in ("dividend", "delisting"):
                value[k] *= rate
            price[k] *= rate
    return out.assign_coords({NAMES[3]: ("action", value), NAMES[4]: ("action", price)})
