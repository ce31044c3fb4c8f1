"""What to compare with: the market, peers, cash.

An index is `kk.metrics.returns` of its level, `kk.data.vintage` what of it was known when. Alpha is
`kk.metrics.alpha` of a benchmark and `kk.metrics.factor_model` of factors.
"""

from __future__ import annotations

import xarray as xr

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.metrics.labels import check_dims, check_labels, named

DAY = 86_400_000_000_000  # ns


@arguments()
def market_portfolio(
    returns: xr.DataArray, size: xr.DataArray | None = None, *, asset: str = "asset", dim: str = "time"
) -> xr.DataArray:
    """The return of all assets together, weighted by their `size` (market value) at the sample before (M26).

    Without `size` all weigh the same. An asset that has no return, or had no size, is left out of that sample; NaN
    where none is left, so in the first sample of a market by size. Raises DataError for dims that are not there, labels
    that differ and sizes below 0.

    >>> x = xr.DataArray([[0.0, 0.1], [0.0, -0.2]], dims=("asset", "time"))
    >>> size = xr.DataArray([[300.0, 330.0], [100.0, 80.0]], dims=("asset", "time"))
    >>> market_portfolio(x, size).values.round(12), market_portfolio(x).values.round(12)
    (array([  nan, 0.025]), array([ 0.  , -0.05]))
    """
    given = {"returns": returns} if size is None else {"returns": returns, "size": size}
    check_dims("market_portfolio", given, {name: [asset, dim] for name in given})
    check_labels(given)
    if size is not None and bool((size < 0.0).any()):
        fix = "Pass market values: price times shares."
        raise DataError(message("market_portfolio: size", "numbers below 0", "sizes of at least 0", fix))
    before = xr.ones_like(returns) if size is None else size.shift({dim: 1}).fillna(0.0)
    weight = before.where(returns.notnull(), 0.0)
    whole = weight.sum(asset)
    found = (weight * returns.fillna(0.0)).sum(asset) / whole.where(whole > 0.0)
    weighting = "equal" if size is None else "size at the sample before"
    return named(found, "1", "return of the market", weighting=weighting).rename("market_portfolio")


@arguments()
def risk_free(rate: xr.DataArray, *, basis: int = 365, dim: str = "time") -> xr.DataArray:
    """Return per sample of cash at an annual rate: that of the sample before, for the days since, over `basis`.

    Simple interest as of the account (ACT/365; ``basis=360`` for money markets); the rate is a fraction. NaN in the
    first sample and after a rate that is NaN. It is the `rf` of the metrics. Raises DataError without times along
    `dim`, UsageError for another basis.

    >>> import numpy as np
    >>> days = np.array(["2024-01-05", "2024-01-08"], dtype="M8[ns]")
    >>> risk_free(xr.DataArray([0.0365, 0.05], {"time": days}, "time")).values.round(9)
    array([   nan, 0.0003])
    """
    if basis not in (360, 365):
        raise UsageError(message("risk_free: basis", repr(basis), "360 or 365", "See help(kk.metrics.risk_free)."))
    check_dims("risk_free", {"rate": rate}, {"rate": [dim]})
    if dim not in rate.coords or rate[dim].dtype.kind != "M":
        raise DataError(message("risk_free: rate", f"no times along {dim!r}", "times", "Give it a time coordinate."))
    days = rate[dim].astype("M8[ns]").astype("i8").diff(dim) / DAY
    found = rate.shift({dim: 1}) * days.reindex({dim: rate[dim]}) / basis
    found = found.transpose(*rate.dims).rename("risk_free")
    return named(found, "1", "return of cash per sample", basis=basis)


@arguments()
def peer_rank(values: xr.DataArray, peers: xr.DataArray, *, dim: str = "peer") -> xr.DataArray:
    """Where values (of any metric) stand among the peers: the share below, and half of the share that is equal.

    0 is below all, 1 above all. Peers that are NaN are none; NaN of a value that is NaN and without peers. Other dims
    broadcast. Raises DataError for dims that are not there and labels that differ.

    >>> float(peer_rank(xr.DataArray(1.0), xr.DataArray([0.5, 0.7, 1.0, 2.0], dims="peer")))
    0.625
    """
    check_dims("peer_rank", {"values": values, "peers": peers}, {"values": [], "peers": [dim]})
    check_labels({"values": values, "peers": peers})
    known = peers.notnull().sum(dim)
    below = (peers < values).sum(dim) + 0.5 * (peers == values).sum(dim)
    found = (below / known.where(known > 0)).where(values.notnull())
    return named(found.rename("peer_rank"), "1", "share of the peers below")
