"""Sobol indices against the closed form of Ishigami's function and against SciPy (N8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from kernelkit.inference import Resampling
from kernelkit.study.sensitivity.sobol import design, estimated, indices


def ishigami(n: int, seed: int, a: float, b: float) -> xr.DataArray:
    """At A, B and each AB, (matrix, row), of angles from -pi to pi."""
    x, y, z = np.moveaxis(np.pi * (2.0 * design(n, 3, seed) - 1.0), -1, 0)
    return xr.DataArray(np.sin(x) + a * np.sin(y) ** 2 + b * z**4 * np.sin(x), dims=("matrix", "row"), name="f")


def parts(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    centred = values - values.isel(matrix=slice(0, 2)).mean()
    return centred[0], centred[1], centred[2:].rename(matrix="parameter")


@pytest.mark.market_data
@pytest.mark.oracle("Ishigami", covers="N8", cases=6)
def test_n8__ishigami(fixture: Callable[[str], Any]) -> None:
    first, _, total = fixture("sobol_ishigami")["cases"]
    found = indices(*parts(ishigami(2**14, 1, **first["input"])))
    np.testing.assert_allclose(found[0], first["expected"], atol=total["tol"])
    np.testing.assert_allclose(found[1], total["expected"], atol=total["tol"])


@pytest.mark.oracle("SciPy", covers="N8", cases=20)
def test_n8__indices_are_those_of_scipy() -> None:
    for seed in range(20):
        values = ishigami(256, seed, 7.0, 0.1)
        theirs = scipy.stats.sobol_indices(
            func={"f_A": values[0:1].values, "f_B": values[1:2].values, "f_AB": values[2:].values[:, None]}, n=256
        )
        ours = indices(*parts(values))
        np.testing.assert_allclose(ours[0], theirs.first_order, rtol=0, atol=1e-12)
        np.testing.assert_allclose(ours[1], theirs.total_order, rtol=0, atol=1e-12)


@pytest.mark.oracle("Ishigami", covers="N8", cases=40)
def test_n8__intervals_hold_the_truth_as_often_as_they_say_or_more() -> None:
    """Of 40 designs of 128 rows and 6 indices each; of level 0.9, of which Sobol points need less than independent."""
    truth = np.array([[0.31390519, 0.44241114, 0.0], [0.55758886, 0.44241114, 0.24368366]])
    held = np.zeros((2, 3))
    for seed in range(40):
        values = ishigami(128, seed, 7.0, 0.1)
        found = estimated(values, "xyz", 0.9, Resampling("iid", replications=199, seed=seed))
        for k, name in enumerate(("first_order", "total_order")):
            held[k] += (found[f"{name}_low"] <= truth[k]) & (truth[k] <= found[f"{name}_high"])
    assert (held / 40 >= 0.8).all(), held
