"""The bootstrap of moments by prefix sums is that of the samples that the counts of I5 name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.inference import moments
from kernelkit.inference.draws import blocks_plan

i, m = kk.inference, kk.metrics
SCHEMES = ["stationary", "circular", "moving", "iid"]


def slow(x: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Each replication written out, and what the metrics say of it."""
    samples = np.array([np.repeat(x, row.astype("i8")) for row in counts])
    return {
        "mean": samples.mean(axis=-1),
        "volatility": m.volatility(samples, periods=252),
        "sharpe_ratio": m.sharpe_ratio(samples, periods=252),
        "skewness": m.skewness(samples),
        "kurtosis": m.kurtosis(samples),
    }


def ours(x: np.ndarray, replications: int = 30, scheme: str = "stationary", length: float = 5, seed: int = 0) -> Any:
    found = moments.moments(x, replications, 252.0, length, scheme, seed)
    return dict(zip(moments.OUTPUTS, found, strict=True))


def check(found: Any, wanted: dict[str, np.ndarray], rtol: float = 1e-9) -> None:
    assert list(found) == list(wanted)
    for name, one in wanted.items():
        np.testing.assert_allclose(found[name], one, rtol=rtol, atol=1e-9, err_msg=name)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SCHEMES), st.integers(20, 300), st.floats(0.0, 1.0), st.integers(0, 2**64 - 1))
def test_i5_m12__moments_are_those_of_the_counts(scheme: Any, n: int, share: float, seed: int) -> None:
    length = {"iid": 1.0, "stationary": 1.0 + share * (n - 1)}.get(scheme, 1.0 + int(share * (n - 1)))
    x = np.random.default_rng(seed).standard_t(4, size=n) * 0.01 + 0.001
    counts = i.block_counts(n, 7, length=length, scheme=scheme, seed=seed)
    check(ours(x, 7, scheme, length, seed), slow(x, counts))


def test_m12__a_replication_without_the_outlier_does_not_feel_it() -> None:
    """Differences of plain prefix sums would: 1e40 hides whatever else the fourth powers sum to."""
    x = np.random.default_rng(1).normal(size=300)
    x[100] = 1e10
    counts = i.block_counts(300, 40, length=20, seed=2)
    without = counts[:, 100] == 0
    assert 5 < without.sum() < 35
    found = ours(x, 40, length=20, seed=2)
    centre = x.mean()
    wanted = [np.sum(row * (x - centre) ** 2) for row in counts[without]]
    plan = blocks_plan("test", 300, 20, "stationary", 2)
    sums = moments.power_sums((x - centre)[None], plan, 40, 15.0)[0, without]
    np.testing.assert_allclose(sums[:, 1], wanted, rtol=1e-14)
    near = moments.power_sums(x[None], plan, 40, 15.0)[0, without]
    for k in range(4):
        np.testing.assert_allclose(near[:, k], [np.sum(row * x ** (k + 1)) for row in counts[without]], rtol=1e-9)
    assert np.isfinite(found["kurtosis"]).all()


def test_i5__series_of_other_spans_and_in_pieces_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(3).normal(0.01, 1.0, (2, 3, 80))
    x[0, 1, :10] = x[1, 2, 70:] = x[1, 0] = np.nan
    x[0, 2, 40] = np.nan
    x[1, 1] = 0.1
    whole = ours(x)
    for name, one in whole.items():
        assert one.shape == (2, 3, 30)
        assert np.isnan(one[0, 2]).all(), name  # M9: a gap
        assert np.isnan(one[1, 0]).all(), name  # no sample
    for a, b, part in ((0, 0, x[0, 0]), (0, 1, x[0, 1, 10:]), (1, 2, x[1, 2, :70])):
        alone = ours(part)
        for name, one in alone.items():
            np.testing.assert_array_equal(whole[name][a, b], one)
    assert (whole["volatility"][1, 1] == 0.0).all()  # M12: all samples equal
    assert np.isnan(whole["sharpe_ratio"][1, 1]).all()
    monkeypatch.setattr(moments, "TABLE", 100)
    monkeypatch.setattr(moments, "PIECE", 110)
    for name, one in ours(x).items():
        np.testing.assert_array_equal(one, whole[name])


def test_the_kernel_as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same lines uncompiled: bounds are checked there."""
    from kernelkit.kernels import compile as native
    from kernelkit.kernels import resample

    x = np.random.default_rng(3).normal(size=(2, 150))
    counts = {s: i.block_counts(150, 2, length=1, scheme=s, seed=2**63 + 5) for s in SCHEMES}
    compiled = ours(x, 3, length=7)
    monkeypatch.setattr(native, "kernel", lambda stem, name, types: getattr(resample, name))
    check(ours(x, 3, length=7), compiled, rtol=1e-12)
    for scheme, one in counts.items():
        found = i.block_counts(150, 2, length=1, scheme=scheme, seed=2**63 + 5)  # type: ignore[arg-type]
        np.testing.assert_array_equal(found, one)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_i11__labelled_they_are_what_replications_gives(scheme: Any) -> None:
    x = xr.DataArray(np.random.default_rng(4).normal(size=(60, 4)), {"n": [5, 10, 20, 40]}, ("time", "n"))
    x.attrs["periods_per_year"] = 252
    how = i.Resampling(scheme, replications=11, seed=3)
    found = i.bootstrap_moments(x, resampling=how)
    for name in ("volatility", "sharpe_ratio", "skewness", "kurtosis"):
        wanted = i.replications(getattr(m, name), x, resampling=how)
        assert found[name].dims == wanted.dims == ("n", "replication")
        np.testing.assert_allclose(found[name], wanted, rtol=1e-9)
        assert found.attrs.get("length") == wanted.attrs.get("length")
    assert found.attrs["scheme"] == scheme
    assert found["sharpe_ratio"].attrs["periods_per_year"] == 252.0


X = xr.DataArray(np.random.default_rng(1).normal(size=20), dims="time")


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: i.bootstrap_moments([1.0, 2.0]), DataError, "found list, wanted DataArrays along 'time'"),
        (lambda: i.bootstrap_moments(X, dim="bar"), DataError, r"dims \('time',\), wanted DataArrays along 'bar'"),
        (lambda: i.bootstrap_moments(X), DataError, "periods: found no times along 'time'"),
        (lambda: i.bootstrap_moments(X, periods=0), UsageError, "periods: found 0, wanted a number above 0"),
        (
            lambda: i.bootstrap_moments(X, periods=1, resampling=i.Resampling(length=21)),
            UsageError,
            "length: found 21.0, wanted 1 to 20",
        ),
        (
            lambda: i.bootstrap_moments(X, periods=1, resampling=i.Resampling("wild")),
            UsageError,
            "scheme: found 'wild', wanted one of 'stationary', 'circular', 'moving', 'iid'",
        ),
        (
            lambda: i.bootstrap_moments(X.expand_dims("mean"), periods=1),
            DataError,
            "found the dims mean, wanted other names",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
