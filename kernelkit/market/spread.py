"""Spreads estimated from bars, for data without quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernelkit.errors import DataError, message

if TYPE_CHECKING:
    import xarray as xr

K = 3.0 - 2.0 * np.sqrt(2.0)


def corwin_schultz(bars: xr.Dataset) -> xr.DataArray:
    """The bid-ask spread of each bar and the one before, as a fraction of the price; float64 with the dims of ``high``.

    The high of a day is mostly a buyer's price and the low a seller's; the range of two days has twice the variance of
    one but the same spread. With ``b`` the sum of ``log(H / L)**2`` over both bars and ``g`` the same of the range of
    both together, ``a = (sqrt(2 b) - sqrt(b)) / (3 - 2 sqrt(2)) - sqrt(g / (3 - 2 sqrt(2)))`` and the spread is
    ``2 (exp(a) - 1) / (1 + exp(a))``, negative ones taken as 0.0. Where the second bar lies wholly above or below the
    first one's close it is moved there first, as prices also move while the market is closed. NaN for the first bar.

    A single value is noise: use the mean of a month or more, of bars before the span that is backtested, as
    ``kk.slippage.spread(rate=float(...))``. Where the spread is small against the volatility of a day the mean is too
    large, as negative values count as 0: in a simulated market without any, 1.2 % at a volatility of 3 % and 0.4 % at
    1 %. Raises DataError where high, low or close is missing.

    Source: Corwin and Schultz, A Simple Way to Estimate Bid-Ask Spreads from Daily High and Low Prices, Journal of
    Finance 67 (2012), equations (14) and (18) and section 2.2.

    >>> import kernelkit as kk
    >>> bars = kk.data.load("sp500_index").isel(time=slice(0, 500))
    >>> spread = corwin_schultz(bars)
    >>> spread.dims, bool((spread[1:] >= 0.0).all())
    (('time', 'asset'), True)
    """
    if missing := [name for name in ("high", "low", "close") if name not in bars]:
        raise DataError(message("bars", f"no {missing[0]}", "high, low and close", "Load whole bars."))
    high, low = bars["high"].astype("f8"), bars["low"].astype("f8")
    before, top, bottom = (bars[name].astype("f8").shift(time=1) for name in ("close", "high", "low"))
    # the overnight move: down to the close before where the bar lies above it, up where it lies below
    moved = (low - before).clip(min=0.0) + (high - before).clip(max=0.0)
    high, low = high - moved, low - moved
    both = np.log(high / low) ** 2 + np.log(top / bottom) ** 2
    range_ = np.log(np.maximum(high, top) / np.minimum(low, bottom)) ** 2
    a = (np.sqrt(2.0 * both) - np.sqrt(both)) / K - np.sqrt(range_ / K)
    spread = (2.0 * np.tanh(0.5 * a)).clip(min=0.0)
    out: xr.DataArray = spread.rename("spread")
    out.attrs = {"units": "1", "long_name": "bid-ask spread, Corwin and Schultz"}
    return out
