"""Bootstrap intervals and bands (I11-I13)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.errors import DataError, UsageError
from kernelkit.inference import draws, intervals, resampling
from tests.inference.covering import coverage, series

i = kk.inference
SCHEMES = ["stationary", "circular", "moving", "iid", "residual", "wild"]
each_scheme: Any = pytest.mark.parametrize("scheme", SCHEMES)


def mean(x: xr.DataArray) -> xr.DataArray:
    return x.mean("time")


def curve(x: xr.DataArray) -> xr.DataArray:
    return (1.0 + x).cumprod("time")


def fast(scheme: Any = "stationary", **settings: Any) -> i.Resampling:
    return i.Resampling(scheme, **{"replications": 199, **settings})


@each_scheme
def test_i11__the_same_draws_however_they_are_cut(scheme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = series(2, 60, 1, rho=0.4)
    whole = i.replications(mean, x, resampling=fast(scheme, seed=5))
    assert whole.dims == ("run", "replication")
    monkeypatch.setattr(resampling, "CELLS", 1000)
    np.testing.assert_allclose(i.replications(mean, x, resampling=fast(scheme, seed=5)), whole, rtol=1e-13)
    fewer = i.replications(mean, x, resampling=fast(scheme, seed=5, replications=20))
    np.testing.assert_allclose(fewer, whole[:, :20], rtol=1e-13)
    assert not np.allclose(i.replications(mean, x, resampling=fast(scheme, seed=6)), whole)


@each_scheme
def test_i11__the_mean_scatters_around_the_mean_as_it_should(scheme: Any) -> None:
    """Of samples without correlation every scheme has the variance of the mean, s^2 / n; standard error 2 %."""
    x = series(1, 2000, 3)
    found = i.replications(mean, x, resampling=fast(scheme, replications=2000))
    assert float(found.mean()) == pytest.approx(float(x.mean()), abs=4 * 2000**-0.5 * 2000**-0.5)
    assert float(found.var()) == pytest.approx(float(x.var()) / 2000, rel=0.12)


def test_i11__an_autoregression_keeps_its_correlation_and_the_blocks_too() -> None:
    x = series(1, 2000, 3, rho=0.7)
    truth = 1.0 / 0.3**2 / 2000
    for scheme, near in (("residual", 0.25), ("moving", 0.35), ("iid", None)):
        found = float(i.replications(mean, x, resampling=fast(scheme, replications=1000)).var())
        assert found == pytest.approx(truth, rel=near) if near else found < 0.3 * truth


def test_i11__the_order_is_that_of_least_aic_or_as_given() -> None:
    x = series(1, 3000, 4, rho=0.7)
    free = i.interval(mean, x, resampling=fast("residual", replications=9))
    assert 1 <= free.attrs["order"] <= 6
    fixed = i.interval(mean, x, resampling=fast("residual", order=3, replications=9))
    assert fixed.attrs["order"] == 3


def test_i11__residuals_of_a_sieve_are_drawn_for_all_series_at_once() -> None:
    x = series(1, 400, 4, rho=0.5).isel(run=0)
    both = xr.concat([x, -2.0 * x], "asset")
    found = i.replications(mean, both, resampling=fast("residual"))
    np.testing.assert_allclose(found[1], -2.0 * found[0], rtol=1e-9, atol=1e-12)


def test_i11__wild_weights_have_their_moments() -> None:
    """The variance of the mean is the sum of the squared deviations over n^2, whatever the weights."""
    x = series(1, 50, 4).isel(run=0) * xr.DataArray(np.linspace(0.1, 3.0, 50), dims="time")
    off = x - x.mean()
    for weights, third in (("rademacher", 0.0), ("mammen", 1.0)):
        how = fast("wild", weights=weights, replications=40_000)
        found = i.replications(mean, x, resampling=how)
        assert float(found.var()) == pytest.approx(float((off**2).sum()) / 50**2, rel=0.03)
        wanted = third * float((off**3).sum()) / 50**3
        assert float(((found - found.mean()) ** 3).mean()) == pytest.approx(wanted, abs=2e-4)


def slope(y: xr.DataArray, x: xr.DataArray) -> xr.DataArray:
    off = x - x.mean("time")
    return (y * off).sum("time") / (off**2).sum("time")


@pytest.mark.parametrize("scheme", ["residual", "wild"])
def test_i11__a_fitted_series_keeps_what_explains_it(scheme: Any) -> None:
    """The slope of a line: its error by least squares is that of the residuals."""
    x = series(1, 300, 4).isel(run=0)
    y = 0.5 * x + series(1, 300, 5).isel(run=0)
    b = slope(y, x)
    fitted = y.mean() + b * (x - x.mean())
    found = i.interval(slope, y, x, resampling=fast(scheme, fitted=fitted, replications=2000))
    by_hand = float(((y - fitted) ** 2).sum() / 298 / ((x - x.mean()) ** 2).sum()) ** 0.5
    assert float(found["standard_error"]) == pytest.approx(by_hand, rel=0.1)
    assert float(found["estimate"]) == pytest.approx(float(b))


def test_i12__block_length_is_found_and_said() -> None:
    x = series(1, 500, 2, rho=0.5)
    found = i.interval(mean, x, resampling=fast("stationary"))
    assert found.attrs["length"] == pytest.approx(float(i.block_length(x)[0]))
    found = i.interval(mean, x, resampling=fast("moving"))
    assert found.attrs["length"] == np.ceil(float(i.block_length(x, scheme="circular")[0]))
    assert found.attrs == {
        "method": "percentile",
        "level": 0.95,
        "scheme": "moving",
        "replications": 199,
        "seed": 0,
        "length": found.attrs["length"],
    }


def test_i12__metrics_are_statistics_and_keep_their_units() -> None:
    time = np.datetime64("2020-01-06", "ns") + np.arange(250) * np.timedelta64(1, "D")
    x = (0.01 * series(3, 250, 2)).assign_coords(time=time, run=["a", "b", "c"])
    found = i.interval(kk.metrics.sharpe_ratio, x, method="bca", resampling=fast())
    np.testing.assert_allclose(found["estimate"], kk.metrics.sharpe_ratio(x))
    assert found["low"].attrs["units"] == "1"
    assert found["low"].dims == ("run",)
    assert list(found["run"].values) == ["a", "b", "c"]
    assert bool(((found["low"] < found["estimate"]) & (found["estimate"] < found["high"])).all())
    worst = i.interval(kk.metrics.max_drawdown, x, resampling=fast())
    assert bool((worst["low"] >= 0.0).all())
    market = i.interval(kk.metrics.beta, x, x.isel(run=0, drop=True), resampling=fast())
    np.testing.assert_allclose(market["low"].isel(run=0), 1.0)


def slow_jackknife(x: np.ndarray, size: int) -> tuple[float, float]:
    """Standard error and acceleration of a ratio, one block after the other."""
    n, values = len(x), []
    for k in range(n // size):
        rest = np.delete(x, range(k * size, (k + 1) * size))
        values.append(rest.mean() / rest.std())
    m, off = len(values), np.mean(values) - np.array(values)
    return ((m - 1) / m * np.sum(off**2)) ** 0.5, np.sum(off**3) / (6 * np.sum(off**2) ** 1.5)


def ratio(x: xr.DataArray) -> xr.DataArray:
    return x.mean("time") / x.std("time")


@pytest.mark.parametrize("size", [1, 7])
def test_i12__the_jackknife_leaves_out_blocks(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "CELLS", 500)
    x = series(1, 45, 2, mean=0.3).isel(run=0) ** 2
    error, skew = slow_jackknife(x.values, size)
    found = intervals._left_out(ratio, [x], "time", size)
    assert float(intervals._acceleration(found, ratio(x))) == pytest.approx(skew, rel=1e-9)
    assert float(intervals._error(ratio, [x], "time", size)) == pytest.approx(error, rel=1e-9)


def test_i12__studentised_is_by_the_error_of_each_replication() -> None:
    x = series(1, 40, 2, mean=0.3).isel(run=0)

    def error(x: xr.DataArray) -> xr.DataArray:
        return x.std("time", ddof=1) / x.sizes["time"] ** 0.5

    how = fast("iid", replications=499)
    found = i.interval(mean, x, method="studentised", error=error, resampling=how)
    index = draws.block_indices(40, np.arange(499), length=1.0, scheme="iid", seed=0)
    drawn = x.values[index]
    t = (drawn.mean(axis=1) - float(x.mean())) / (drawn.std(axis=1, ddof=1) / 40**0.5)
    low, high = float(x.mean()) - np.quantile(t, [0.975, 0.025], method="weibull") * float(error(x))
    assert [float(found["low"]), float(found["high"])] == pytest.approx([low, high], rel=1e-12)
    by_jackknife = i.interval(mean, x, method="studentised", resampling=how)  # of a mean they are the same
    np.testing.assert_allclose(by_jackknife["low"], found["low"], rtol=1e-9)


def test_i12__skewed_samples_need_more_than_percentiles() -> None:
    """The mean of 30 squares: 400 runs have a standard error of 1.1 %."""
    x = series(400, 30, 7) ** 2
    percentile, studentised = (
        coverage(mean, 1.0, x, method=method, resampling=fast("iid")) for method in ("percentile", "studentised")
    )
    assert percentile < 0.92
    assert studentised == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
@pytest.mark.parametrize(
    ("scheme", "rho", "n"), [("iid", 0.0, 250), ("wild", 0.0, 250), ("circular", 0.15, 1000), ("residual", 0.5, 600)]
)
def test_i12__intervals_hold_the_truth(method: Any, scheme: Any, rho: float, n: int) -> None:
    """95 % are 93 to 97 in 1,000 runs."""
    x = series(1000, n, 8, rho=rho, mean=0.1)
    truth = 0.1
    found = coverage(mean, truth, x, method=method, resampling=fast(scheme, order=2 if scheme == "residual" else None))
    assert 0.93 <= found <= 0.97


def test_i12__without_blocks_correlated_samples_look_too_sure() -> None:
    x = series(400, 600, 8, rho=0.5)
    assert coverage(mean, 0.0, x, resampling=fast("iid")) < 0.8
    assert coverage(mean, 0.0, x, resampling=fast("stationary")) > 0.88


def test_i13__a_joint_band_holds_whole_curves() -> None:
    x = 0.01 * series(2, 120, 3)
    how = fast("stationary", replications=400)
    found = i.interval(curve, x, joint="time", level=0.9, resampling=how)
    drawn = i.replications(curve, x, resampling=how)
    assert found["low"].dims == drawn.dims[:-1] == ("run", "time")
    for low, high, share in (("low", "high", None), ("joint_low", "joint_high", 0.9)):
        inside = ((drawn >= found[low]) & (drawn <= found[high])).all("time").mean("replication")
        if share is None:
            assert bool((inside < 0.8).all())
            continue
        assert bool((inside >= share).all())
    assert bool(((found["joint_low"] <= found["low"]) & (found["joint_high"] >= found["high"])).all())
    ranked = np.sort(drawn.values, axis=-1)
    for run in range(2):  # ranks one nearer to the middle hold less
        rank = int(np.flatnonzero(ranked[run, 60] == float(found["joint_low"][run, 60]))[0])
        narrower = ranked[run, :, rank + 1][:, None], ranked[run, :, -2 - rank][:, None]
        held = ((drawn[run].values >= narrower[0]) & (drawn[run].values <= narrower[1])).all(axis=0).mean()
        assert held < 0.9


def test_i13__a_band_holds_the_truth_everywhere() -> None:
    """Twenty means at once in 300 worlds; standard error of the shares 1.3 %."""
    x = xr.DataArray(np.random.default_rng(5).standard_normal((300, 20, 100)), dims=("run", "asset", "time"))
    found = i.interval(mean, x, joint="asset", resampling=fast("iid", replications=999))
    shares = [
        float(((found[low] <= 0.0) & (found[high] >= 0.0)).all("asset").mean())
        for low, high in (("low", "high"), ("joint_low", "joint_high"))
    ]
    assert shares[0] < 0.5
    assert shares[1] == pytest.approx(0.95, abs=0.04)


def test_a_series_that_is_not_there_has_no_interval() -> None:
    x = series(3, 60, 1)
    x[1] = np.nan
    for scheme in SCHEMES:
        found = i.interval(mean, x, resampling=fast(scheme))  # type: ignore[arg-type]
        assert np.isnan(found["low"]).values.tolist() == [False, True, False]
    flat = i.interval(mean, 0.0 * series(1, 60, 1), method="bca", resampling=fast("residual"))
    assert flat["standard_error"].values.tolist() == [0.0]


def test_chunks_are_loaded() -> None:
    x = series(2, 60, 1)
    xr.testing.assert_identical(
        i.interval(mean, x.chunk(time=7), resampling=fast()), i.interval(mean, x, resampling=fast())
    )


X = series(1, 30, 1)
GAP = X.where(xr.DataArray(np.arange(30) != 5, dims="time"))


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: i.Resampling("garch"), UsageError, "scheme: found 'garch', wanted one of 'stationary'"),
        (lambda: i.Resampling("wild", weights="normal"), UsageError, "weights: found 'normal', wanted one of"),
        (lambda: i.Resampling(replications=0), UsageError, "replications: found 0"),
        (lambda: i.Resampling("iid", length=3), UsageError, "found a length with scheme='iid', wanted no length there"),
        (lambda: i.Resampling("iid", order=3), UsageError, "found a order"),
        (lambda: i.Resampling(fitted=X), UsageError, "found a fitted"),
        (lambda: i.interval(mean, X, method="bc"), UsageError, "method: found 'bc', wanted one of 'percentile'"),
        (lambda: i.interval(mean, X, level=95), UsageError, "level: found 95"),
        (lambda: i.interval(mean, X, resampling=fast(length=31)), UsageError, "length: found 31.0, wanted 1 to 30"),
        (lambda: i.interval(mean, X, resampling=fast("moving", length=2.5)), UsageError, "a whole number from 1 to 30"),
        (lambda: i.interval(mean, X, resampling=fast("residual", order=16)), UsageError, "order: found 16"),
        (lambda: i.interval(curve, X, method="bca"), UsageError, "wanted a statistic that reduces 'time'"),
        (lambda: i.interval(mean, X, joint="time"), UsageError, "wanted a dim of the statistic"),
        (lambda: i.interval(mean, GAP), DataError, "series 1: found NaN at some samples"),
        (lambda: i.interval(mean, X.values), DataError, "interval: found ndarray, wanted DataArrays along 'time'"),
        (lambda: i.interval(mean, X.rename(run="replication")), DataError, "found a dim 'replication'"),
        (lambda: i.interval(mean), DataError, "found no series"),
        (lambda: i.interval(mean, X[:, :1]), DataError, "found 1 samples, wanted at least two"),
        (lambda: i.interval(slope, X, X.isel(time=slice(9))), DataError, "found labels that differ"),
        (lambda: i.interval(lambda x: x.mean(), X), DataError, "the statistic of replications: found dims"),
        (lambda: i.interval(lambda x: 1.0, X), DataError, "the statistic: found float, wanted a DataArray"),
        (lambda: i.interval(slope, X, X, resampling=fast("wild")), DataError, "2 series and nothing fitted"),
        (lambda: i.interval(mean, X, resampling=fast("wild", fitted=X[:, :9])), DataError, "fitted: found labels"),
        (
            lambda: i.interval(mean, X, method="bca", resampling=fast(length=20)),
            DataError,
            "wanted at least two blocks",
        ),
        (lambda: i.interval(curve, X, resampling=fast(replications=10**7)), DataError, "wanted at most 134,217,728"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
