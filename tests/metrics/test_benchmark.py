"""Benchmarks: the market, cash, peers (M26)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError, UsageError

m = kk.metrics
DRAW = np.random.default_rng(61)
DIMS = ("asset", "time")


def test_m26__the_market_is_what_all_of_it_is_worth() -> None:
    """Sizes that only returns change: the market's return is that of the sum."""
    x = xr.DataArray(DRAW.normal(0.0, 0.02, (5, 40)), dims=DIMS)
    size = xr.DataArray(DRAW.uniform(1.0, 9.0, 5), dims="asset") * (1.0 + x).cumprod("time")
    found = m.market_portfolio(x, size)
    whole = size.sum("asset")
    np.testing.assert_allclose(found[1:], whole.values[1:] / whole.values[:-1] - 1.0, rtol=1e-9)
    assert np.isnan(found[0])
    np.testing.assert_allclose(m.market_portfolio(x), x.mean("asset"), rtol=1e-9)


def test_m26__an_asset_counts_while_it_has_a_return_and_had_a_size() -> None:
    x = xr.DataArray([[0.1, 0.1, np.nan, np.nan], [0.0, 0.2, 0.2, np.nan]], dims=DIMS)
    size = xr.DataArray([[1.0, 1.0, 1.0, 1.0], [np.nan, 3.0, 3.0, 3.0]], dims=DIMS)
    np.testing.assert_allclose(m.market_portfolio(x, size), [np.nan, 0.1, 0.2, np.nan])
    np.testing.assert_allclose(m.market_portfolio(x), [0.05, 0.15, 0.2, np.nan])


def test_m26__cash_earns_the_rate_known_before_for_the_days_since() -> None:
    days = pd.to_datetime(["2024-02-28", "2024-02-29", "2024-03-04", "2024-03-05"])
    rate = xr.DataArray([[0.05, 0.04, np.nan, 0.03]], {"time": days}, ("currency", "time"))
    found = m.risk_free(rate)
    assert found.dims == ("currency", "time")
    np.testing.assert_allclose(found[0], [np.nan, 0.05 / 365, 0.04 * 4 / 365, np.nan], rtol=1e-12)
    np.testing.assert_allclose(m.risk_free(rate, basis=360), found * 365 / 360, rtol=1e-12)
    assert found.attrs["basis"] == 365


@pytest.mark.oracle("SciPy", covers="peer_rank", cases=20)
def test_peer_rank_is_that_of_scipy() -> None:
    peers = xr.DataArray(DRAW.integers(0, 9, (20, 15)).astype(float), dims=("year", "peer"))
    values = xr.DataArray(DRAW.integers(0, 9, 20).astype(float), dims="year")
    found = m.peer_rank(values, peers)
    wanted = [scipy.stats.percentileofscore(p, v, kind="mean") / 100 for p, v in zip(peers.values, values, strict=True)]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    holes = peers.where(peers["peer"] < 10)
    np.testing.assert_allclose(m.peer_rank(values, holes), m.peer_rank(values, peers[:, :10]))
    assert m.peer_rank(values * np.nan, peers).isnull().all()
    assert m.peer_rank(values, peers * np.nan).isnull().all()


X = xr.DataArray(np.zeros((2, 3)), dims=DIMS)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: m.market_portfolio(X[0]), DataError, r"returns: found dims \('time',\), wanted the dims"),
        (lambda: m.market_portfolio(X, X - 1.0), DataError, "size: found numbers below 0, wanted sizes of at least 0"),
        (lambda: m.market_portfolio(X, X[:, :2]), DataError, "returns and size: found labels that differ"),
        (lambda: m.risk_free(X), DataError, "risk_free: rate: found no times along 'time', wanted times"),
        (lambda: m.risk_free(X, basis=252), UsageError, "risk_free: basis: found 252, wanted 360 or 365"),
        (lambda: m.peer_rank(X, X), DataError, r"peers: found dims \('asset', 'time'\), wanted the dims \('peer',\)"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
