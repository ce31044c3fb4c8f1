"""Adjusted p-values and haircuts of families (I3, I4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError, UsageError

i = kk.inference
METHODS: list[Any] = ["bonferroni", "holm", "hochberg", "bh", "by"]
P = np.random.default_rng(2).random((2, 3, 5)) ** 3


def rejected(p: np.ndarray, method: str, level: float) -> np.ndarray:
    """Which are rejected at a level, as the papers say it: step down, or step up."""
    m, order = len(p), np.argsort(p)
    k = np.arange(1, m + 1)
    harmonic = np.sum(1.0 / k)
    bounds = {
        "bonferroni": np.full(m, level / m),
        "holm": level / (m - k + 1),
        "hochberg": level / (m - k + 1),
        "bh": level * k / m,
        "by": level * k / (m * harmonic),
    }[method]
    below = p[order] <= bounds
    if method in ("hochberg", "bh", "by"):
        last = np.flatnonzero(below)
        number = int(last[-1]) + 1 if len(last) else 0
    else:
        number = int(np.argmin(np.append(below, False)))
    found = np.zeros(m, bool)
    found[order[:number]] = True
    return found


@pytest.mark.parametrize("method", METHODS)
def test_i3__at_most_the_level_is_what_the_papers_reject(method: Any) -> None:
    draw = np.random.default_rng(7)
    counted = 0
    for _ in range(60):
        p = draw.random(8) ** 4
        for level in (0.01, 0.05, 0.2):
            wanted = rejected(p, method, level)
            np.testing.assert_array_equal(i.adjusted_p_values(p, method=method) <= level, wanted)
            counted += int(wanted.sum())
    assert counted > 100


@pytest.mark.parametrize("method", METHODS)
def test_i3__the_family_lies_along_its_dims(method: Any) -> None:
    p = xr.DataArray(P, dims=("regime", "fast", "slow"))
    for dim, flat in ((("fast", "slow"), P.reshape(2, 15)), (None, P.reshape(30)), ("slow", P)):
        found = i.adjusted_p_values(p, method=method, dim=dim)
        assert found.dims == p.dims
        assert found.attrs["method"] == method
        np.testing.assert_array_equal(found.values.ravel(), i.adjusted_p_values(flat, method=method).ravel())
    middle = i.adjusted_p_values(p, method=method, dim="fast")
    assert middle.dims == p.dims
    np.testing.assert_array_equal(middle[1, :, 2], i.adjusted_p_values(P[1, :, 2], method=method))
    lazy = i.adjusted_p_values(p.chunk(fast=1, slow=2), method=method, dim=("fast", "slow"))
    assert lazy.chunks
    np.testing.assert_array_equal(lazy, i.adjusted_p_values(p, method=method, dim=("fast", "slow")))


@pytest.mark.parametrize("method", METHODS)
def test_i3__nan_is_no_trial(method: Any) -> None:
    p = np.array([0.001, np.nan, 0.02, 0.3, np.nan])
    found = i.adjusted_p_values(p, method=method)
    assert np.isnan(found).tolist() == np.isnan(p).tolist()
    alone = i.adjusted_p_values(p[~np.isnan(p)], method=method)
    np.testing.assert_array_equal(found[~np.isnan(p)], alone)
    assert np.isnan(i.adjusted_p_values(np.full(3, np.nan), method=method)).all()


@pytest.mark.parametrize("method", METHODS)
def test_i4__haircut_is_the_sharpe_ratio_of_the_adjusted_p_value(method: Any) -> None:
    annual, n = np.array([1.9, 0.7, -1.2, 0.3]), np.array([120, 60, 240, 36])
    t = annual * (n / 12) ** 0.5
    p = 2 * scipy.stats.t.sf(np.abs(t), n - 1)
    adjusted = i.adjusted_p_values(p, method=method)
    left = np.sign(annual) * scipy.stats.t.isf(adjusted / 2, n - 1) * (12 / n) ** 0.5
    sharpe = xr.DataArray(annual, dims="trial")
    found = i.haircut_sharpe_ratio(sharpe, n=xr.DataArray(n, dims="trial"), periods=12, method=method)
    np.testing.assert_allclose(found["p_value"], p, rtol=1e-10)
    np.testing.assert_allclose(found["adjusted_p_value"], adjusted, rtol=1e-10)
    np.testing.assert_allclose(found["sharpe_ratio"], left, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found["haircut"], 1 - left / annual, rtol=1e-8, atol=1e-12)
    assert found["haircut"].attrs["method"] == method
    assert float(found["haircut"][0]) < float(found["haircut"][1])


def test_i4__one_trial_loses_nothing_and_luck_all() -> None:
    one = i.haircut_sharpe_ratio(xr.DataArray([0.8], dims="trial"), n=120, periods=12)
    assert float(one["haircut"][0]) == pytest.approx(0.0, abs=1e-12)
    many = xr.DataArray([0.5, 0.1, 0.0, np.nan], dims="trial")
    found = i.haircut_sharpe_ratio(many, n=60, periods=12, method="bonferroni")
    np.testing.assert_array_equal(found["sharpe_ratio"][1:], [0.0, 0.0, np.nan])
    np.testing.assert_array_equal(found["haircut"][1:], [1.0, np.nan, np.nan])


def test_i4__labels_that_differ_are_refused() -> None:
    sharpe = xr.DataArray([0.5, 0.1], dims="trial", coords={"trial": [1, 2]})
    n = xr.DataArray([60, 60], dims="trial", coords={"trial": [2, 3]})
    with pytest.raises(DataError, match="sharpe and n: found labels that differ"):
        i.haircut_sharpe_ratio(sharpe, n=n, periods=12)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (
            lambda: i.adjusted_p_values(P, method="sidak"),
            UsageError,
            "method: found 'sidak', wanted one of 'bonferroni'",
        ),
        (
            lambda: i.adjusted_p_values(P + 1.0),
            DataError,
            "p_values: found numbers outside, wanted numbers from 0 to 1",
        ),
        (lambda: i.adjusted_p_values([0.1]), DataError, "p_values: found list, wanted an array of numpy"),
        (lambda: i.adjusted_p_values(xr.DataArray([0.1], dims="a"), dim="b"), DataError, r"wanted the dims \['b'\]"),
        (lambda: i.haircut_sharpe_ratio(P, n=9, periods=12), DataError, "sharpe: found ndarray, wanted a DataArray"),
        (lambda: i.haircut_sharpe_ratio(xr.DataArray(P), n=1, periods=12), UsageError, "n: found 1, wanted at least 2"),
        (
            lambda: i.haircut_sharpe_ratio(xr.DataArray(P), n=9, periods=0),
            UsageError,
            "periods: found 0, wanted above 0",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
