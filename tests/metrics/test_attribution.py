"""Attribution: segments, factors, sums over time (M26, M28)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import DataError, UsageError

m = kk.metrics
SEGMENT = {"segment": ["UK", "Japan", "US"]}


def one(values: Any) -> xr.DataArray:
    return xr.DataArray(values, SEGMENT, "segment")


W, WB = one([0.4, 0.3, 0.3]), one([0.4, 0.2, 0.4])
R, RB = one([0.2, -0.05, 0.06]), one([0.1, -0.04, 0.08])


@pytest.mark.oracle("Brinson", covers="M28", cases=13)
@pytest.mark.parametrize(
    ("convention", "allocation"),
    [("brinson_hood_beebower", [0.0, -0.004, -0.008]), ("brinson_fachler", [0.0, -0.0104, -0.0016])],
)
def test_m28__a_worked_example(convention: Any, allocation: list[float]) -> None:
    found = m.brinson(W, R, WB, RB, convention=convention)
    np.testing.assert_allclose(found["allocation"], allocation, atol=1e-15)
    np.testing.assert_allclose(found["selection"], [0.04, -0.002, -0.008], atol=1e-15)
    np.testing.assert_allclose(found["interaction"], [0.0, -0.001, 0.002], atol=1e-15)
    sums = found.sum("segment")
    wanted = dict(allocation=-0.012, selection=0.03, interaction=0.001, active=0.019)
    for name, value in wanted.items():
        assert float(sums[name]) == pytest.approx(value, abs=1e-15)
    assert found.attrs["convention"] == convention


weights = st.lists(st.integers(1, 50), min_size=3, max_size=3).map(lambda v: np.array(v) / sum(v))
rates = st.lists(st.integers(-90, 90), min_size=3, max_size=3).map(lambda v: np.array(v) / 100.0)


@settings(deadline=None, max_examples=80)
@given(weights, rates, weights, rates, st.sampled_from(["brinson_fachler", "brinson_hood_beebower"]))
def test_m28__the_parts_add_up_to_the_active_return(w: Any, r: Any, wb: Any, rb: Any, convention: Any) -> None:
    found = m.brinson(one(w), one(r), one(wb), one(rb), convention=convention)
    active = w @ r - wb @ rb
    assert float(found["active"].sum()) == pytest.approx(active, abs=1e-12)
    parts = found["allocation"] + found["selection"] + found["interaction"]
    assert float(parts.sum()) == pytest.approx(active, abs=1e-12)
    own = m.brinson(one(w), one(rb), one(w), one(rb), convention=convention)
    assert float(abs(own.to_array()).max()) == 0.0


def test_m28__what_is_not_held_has_no_return_of_its_own() -> None:
    found = m.brinson(one([0.6, 0.4, 0.0]), one([0.2, 0.1, np.nan]), one([0.5, 0.0, 0.5]), one([0.1, np.nan, 0.04]))
    assert float(found["selection"].sel(segment="US")) == 0.0
    assert float(found["interaction"].sel(segment="US")) == 0.0
    assert float(found["selection"].sel(segment="Japan")) == 0.0
    assert float(found["active"].sum()) == pytest.approx(0.6 * 0.2 + 0.4 * 0.1 - (0.05 + 0.02), abs=1e-15)
    unknown = m.brinson(W, one([0.2, np.nan, 0.06]), WB, RB)
    assert unknown["selection"].isnull().values.tolist() == [False, True, False]
    assert m.brinson(W, R, WB, one([0.1, np.nan, 0.08]))["allocation"].isnull().all()


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 30), st.integers(0, 2**31))
def test_m28__linked_parts_add_up_to_the_compound_difference(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    w, wb = (rng.dirichlet([2.0, 2.0, 2.0], n) for _ in range(2))
    r, rb = (rng.uniform(-0.3, 0.4, (n, 3)) for _ in range(2))
    dims = ("time", "segment")
    found = m.brinson(*(xr.DataArray(v, SEGMENT, dims) for v in (w, r, wb, rb)))
    x, b = (xr.DataArray(np.sum(v, axis=1), dims="time") for v in (w * r, wb * rb))
    linked = m.link(found, x, b)
    total = float((1.0 + x).prod() - (1.0 + b).prod())
    parts = linked["allocation"] + linked["selection"] + linked["interaction"]
    assert float(parts.sum()) == pytest.approx(total, abs=1e-11)
    assert float(linked["active"].sum()) == pytest.approx(total, abs=1e-11)
    assert linked["selection"].attrs == found["selection"].attrs
    assert linked.attrs == found.attrs


def test_m28__the_weights_of_carino() -> None:
    """k_t / K by its formula, in samples of which one has no active return."""
    x, b = xr.DataArray([0.1, 0.02, -0.05], dims="time"), xr.DataArray([0.03, 0.02, 0.01], dims="time")
    k = [np.log(1.1 / 1.03) / 0.07, 1 / 1.02, np.log(0.95 / 1.01) / -0.06]
    whole = 1.1 * 1.02 * 0.95, 1.03 * 1.02 * 1.01
    found = m.link(xr.ones_like(x), x, b)
    np.testing.assert_allclose(found, np.array(k) / (np.log(whole[0] / whole[1]) / (whole[0] - whole[1])), rtol=1e-12)
    assert m.link(x, xr.DataArray([0.1, -1.0, 0.1], dims="time")).isnull().all()


def test_m26__factors_and_the_rest_add_up_to_the_return() -> None:
    rng = np.random.default_rng(6)
    names = {"factor": ["market", "size"]}
    factors = xr.DataArray(rng.normal(0.0, 0.02, (2, 60)), names, ("factor", "time"))
    x = xr.DataArray(rng.normal(0.0, 0.03, (4, 60)), dims=("asset", "time"))
    betas = m.factor_model(x, factors, periods=252)["beta"]
    found = m.factor_attribution(x, factors, betas)
    assert found["contribution"].dims == ("asset", "factor", "time")
    np.testing.assert_allclose(found["contribution"].sum("factor") + found["rest"], x, atol=1e-15)
    linked = m.link(found, x)
    whole = linked["contribution"].sum(("factor", "time")) + linked["rest"].sum("time")
    np.testing.assert_allclose(whole, (1.0 + x).prod("time") - 1.0, atol=1e-12)
    rolling = m.rolling_beta(x, factors[0].drop_vars("factor"), window=20)["beta"].shift(time=1)
    through = m.factor_attribution(x, factors[:1], rolling.expand_dims(factor=["market"]))
    assert through["rest"].isnull().sum("time").values.tolist() == [20] * 4


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: m.brinson(W, R, WB, RB, convention="bf"), UsageError, "convention: found 'bf', wanted 'brinson_"),  # type: ignore[arg-type]
        (lambda: m.brinson(W * 0.9, R, WB, RB), DataError, "found a sum that is 0.1 off the benchmark's, wanted"),
        (lambda: m.brinson(W.values, R, WB, RB), DataError, "brinson: weights: found ndarray, wanted a DataArray"),
        (
            lambda: m.brinson(W, R, WB.assign_coords(segment=["UK", "US", "Japan"]), RB),
            DataError,
            "found labels that differ, wanted the same labels exactly",
        ),
        (lambda: m.factor_attribution(R, RB, W), DataError, r"factors: found dims \('segment',\), wanted the dims"),
        (lambda: m.link(R, R), DataError, r"link: returns: found dims \('segment',\), wanted the dims \('time',\)"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
