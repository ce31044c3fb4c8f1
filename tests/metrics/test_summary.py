"""The kernel's fifteen metrics are those of the functions, to rounding, on shapes and edges that it might trip over."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import kernelkit as kk
from kernelkit.metrics import overview
from tests.metrics.cases import returns

RETURN = st.one_of(
    st.integers(-600, 600).map(lambda v: v / 4096.0), st.sampled_from([0.0, -1.0, np.nan, 1e-13, -1e-13])
)


def check(x: np.ndarray) -> None:
    found = kk.metrics.summary(x, periods=252)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = overview._one_by_one(x, 252.0)
    for (name, value), one in zip(found.items(), wanted, strict=True):
        np.testing.assert_allclose(value, one, rtol=1e-9, atol=1e-12, err_msg=name)


@settings(deadline=None)
@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 30)), elements=RETURN))
def test_m9_m11_m12__the_kernel_is_the_functions(x: np.ndarray) -> None:
    check(x)


def test_the_kernel_in_pieces_and_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = kk.metrics.summary(returns(), periods=252)
    monkeypatch.setattr(overview, "PIECE", 600)
    for name, value in kk.metrics.summary(returns(), periods=252).items():
        np.testing.assert_array_equal(value, whole[name])
    check(returns())


def test_the_kernel_as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same lines uncompiled: bounds are checked there."""
    from kernelkit.kernels import compile as native
    from kernelkit.kernels import rows

    compiled = kk.metrics.summary(returns(), periods=252)
    monkeypatch.setattr(native, "kernel", lambda stem, name, types: rows.sum_rows)
    with np.errstate(all="ignore"):
        plain = kk.metrics.summary(returns(), periods=252)
    for name, value in plain.items():
        np.testing.assert_allclose(value, compiled[name], rtol=1e-12, atol=1e-15, err_msg=name)


def test_a_dataset_of_fifteen() -> None:
    x = xr.DataArray(returns(), dims=("fold", "asset", "time"))
    found = kk.metrics.summary(x, periods=12)
    assert len(found) == 15
    assert all(v.dims == ("fold", "asset") for v in found.values())
    for name in set(found) & set(kk.metrics.METRICS):
        assert found[name].attrs["units"] == kk.metrics.METRICS[name](x[0, 0], **_periods(name)).attrs["units"]


def _periods(name: str) -> dict[str, int]:
    import inspect

    return {"periods": 12} if "periods" in inspect.signature(kk.metrics.METRICS[name]).parameters else {}
