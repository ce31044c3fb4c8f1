"""Probabilistic and deflated Sharpe ratios, record lengths, maxima of luck (I1, I2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
import xarray as xr

import kernelkit as kk
from kernelkit.errors import UsageError
from kernelkit.inference import significance
from tests.metrics.duck import Duck, wrap

i = kk.inference
DRAW = np.random.default_rng(11)
X = DRAW.standard_t(5, (3, 260)) * 0.01 + 0.001
CASES: list[tuple[Any, dict[str, Any]]] = [
    (i.probabilistic_sharpe_ratio, dict(benchmark_sharpe=0.5, convention="2012")),
    (i.probabilistic_sharpe_ratio, dict(benchmark_sharpe=0.5, convention="2025")),
    (i.probabilistic_sharpe_ratio, dict(benchmark_sharpe=0.5, convention="2025_ar1")),
    (i.min_track_record_length, dict(convention="2012")),
    (i.min_track_record_length, dict(convention="2025_ar1")),
    (i.deflated_sharpe_ratio, dict(n_trials=20, sharpe_variance=0.5, convention="2014")),
    (i.deflated_sharpe_ratio, dict(n_trials=20, sharpe_variance=0.5, convention="2025")),
]
each = pytest.mark.parametrize(("function", "settings"), CASES)


def by_hand(x: np.ndarray, annual: float, convention: str) -> tuple[float, float]:
    """z above an annual Sharpe ratio and the length of record, written out with SciPy's moments."""
    n, sharpe, null = len(x), x.mean() / x.std(ddof=1), annual / 252**0.5
    skewness, kurtosis = scipy.stats.skew(x), scipy.stats.kurtosis(x, fisher=False)
    at, over = (sharpe, n - 1) if convention == "2012" else (null, n)
    rho = 0.0
    if convention == "2025_ar1":
        off = x - x.mean()
        rho = np.sum(off[1:] * off[:-1]) / np.sum(off**2)
    own, crossed, squared = (1 + rho) ** 2, 1 + rho + rho**2, 1 + rho**2
    var = (own - crossed * skewness * at + squared * (kurtosis - 1) / 4 * at**2) / (1 - rho**2)
    length = var * (scipy.stats.norm.ppf(0.95) / (sharpe - null)) ** 2
    return (sharpe - null) * (over / var) ** 0.5, length + (convention == "2012")


@pytest.mark.parametrize("convention", ["2012", "2025", "2025_ar1"])
def test_i1__conventions_are_what_they_say(convention: Any) -> None:
    settings: dict[str, Any] = dict(benchmark_sharpe=0.3, convention=convention, periods=252)
    for x in X:
        z, length = by_hand(x, 0.3, convention)
        found = i.probabilistic_sharpe_ratio(x, **settings)
        assert found == pytest.approx(scipy.stats.norm.cdf(z), rel=1e-12)
        if z > 0.0:
            assert i.min_track_record_length(x, **settings) == pytest.approx(length, rel=1e-10)


def test_i1__min_track_record_length_is_the_length_at_which_psr_reaches_the_level() -> None:
    for convention in ("2012", "2025"):
        n = float(i.min_track_record_length(X[0], level=0.9, convention=convention, periods=252))
        sharpe, skewness, kurtosis = (float(f(X[0])) for f in (_sharpe, kk.metrics.skewness, kk.metrics.kurtosis))
        z = significance.exceeds(sharpe, 0.0, n, skewness, kurtosis + 3.0, convention, 0.0)
        assert scipy.special.ndtr(z) == pytest.approx(0.9, abs=1e-12)


def _sharpe(x: np.ndarray) -> Any:
    return kk.metrics.sharpe_ratio(x, periods=1)


def test_i1__no_record_is_long_enough_below_the_benchmark() -> None:
    assert i.min_track_record_length(-np.abs(X[0]), periods=252) == np.inf
    assert np.isnan(i.min_track_record_length(np.full(9, 0.01), periods=252))


def test_i1__psr_is_calibrated_where_nothing_is_there() -> None:
    """Of 4,000 fair series of 250 samples about 5 % are above 0.95; standard error 0.35 %."""
    x = np.random.default_rng(3).standard_normal((4000, 250))
    for convention in ("2012", "2025"):
        psr = i.probabilistic_sharpe_ratio(x, convention=convention, periods=252)
        assert np.mean(psr > 0.95) == pytest.approx(0.05, abs=0.011)


def test_i1__autocorrelation_counts() -> None:
    """AR(1) of 0.4 without a mean: without the correction a fair series is called good far too often."""
    e = np.random.default_rng(4).standard_normal((2000, 500))
    x = np.empty_like(e)
    x[:, 0] = e[:, 0] / (1 - 0.4**2) ** 0.5
    for t in range(1, 500):
        x[:, t] = 0.4 * x[:, t - 1] + e[:, t]
    plain, corrected = (
        np.mean(i.probabilistic_sharpe_ratio(x, convention=c, periods=252) > 0.95) for c in ("2025", "2025_ar1")
    )
    assert plain > 0.12
    assert corrected == pytest.approx(0.05, abs=0.018)


@each
def test_labelled_dask_and_alone(function: Any, settings: dict[str, Any]) -> None:
    plain = function(X, periods=252, **settings)
    x = xr.DataArray(X, dims=("trial", "time"))
    found = function(x, periods=252, **settings)
    assert found.dims == ("trial",)
    assert found.attrs["convention"] == settings["convention"]
    assert found.attrs["periods_per_year"] == 252
    np.testing.assert_array_equal(found, plain)
    lazy = function(x.chunk(trial=1, time=50), periods=252, **settings)
    assert lazy.chunks
    np.testing.assert_allclose(lazy.compute(), plain, rtol=1e-12)
    ends = np.concatenate([np.full((3, 4), np.nan), X, np.full((3, 2), np.nan)], axis=-1)
    np.testing.assert_allclose(function(ends, periods=252, **settings), plain, rtol=1e-12)
    ends[1, 50] = np.nan
    assert np.isnan(function(ends, periods=252, **settings)).tolist() == [False, True, False]


@each
def test_stays_on_the_device(function: Any, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    class Special:
        """What cupyx.scipy.special has, for arrays of the device."""

        @staticmethod
        def ndtr(z: Duck) -> Any:
            return wrap(scipy.special.ndtr(z.inside))

    monkeypatch.setattr(significance, "special", lambda x: Special)
    found = function(wrap(X), periods=252, **settings)
    assert isinstance(found, Duck)
    monkeypatch.undo()
    np.testing.assert_array_equal(found.inside, function(X, periods=252, **settings))


def test_i2__one_trial_deflates_nothing() -> None:
    for convention, plain in (("2014", "2012"), ("2025", "2025")):
        found = i.deflated_sharpe_ratio(X, n_trials=1, sharpe_variance=0.5, convention=convention, periods=252)
        wanted = i.probabilistic_sharpe_ratio(X, convention=plain, periods=252)
        np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_i2__deflated_is_psr_above_the_expected_maximum() -> None:
    null = i.expected_max_sharpe(50, sharpe_variance=0.4, method="approximate")
    found = i.deflated_sharpe_ratio(X, n_trials=50, sharpe_variance=0.4, periods=252)
    wanted = i.probabilistic_sharpe_ratio(X, benchmark_sharpe=float(null), periods=252)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    later = i.deflated_sharpe_ratio(X, n_trials=50, sharpe_variance=0.4, convention="2025", periods=252)
    z = scipy.special.ndtri(
        i.probabilistic_sharpe_ratio(X, benchmark_sharpe=float(null), convention="2025", periods=252)
    )
    np.testing.assert_allclose(scipy.special.ndtri(later), z / significance.deviation_of_maximum(50), rtol=1e-9)


@pytest.mark.parametrize("n", [1.0, 1.5, 2.0, 37.0, 1e4, 1e9])
def test_i2__expected_maximum_is_the_integral(n: float) -> None:
    def below(x: float) -> float:
        return float(np.exp(n * scipy.special.log_ndtr(x)))

    up = scipy.integrate.quad(lambda x: 1.0 - below(x), 0.0, 12.0, epsabs=1e-12, limit=400)[0]
    down = scipy.integrate.quad(below, -12.0, 0.0, epsabs=1e-12, limit=400)[0]
    assert i.expected_max_sharpe(n) == pytest.approx(up - down, abs=1e-9)


def test_i2__closed_forms_of_few() -> None:
    found = i.expected_max_sharpe(np.array([1, 2, 3]))
    np.testing.assert_allclose(found, [0.0, np.pi**-0.5, 1.5 * np.pi**-0.5], atol=1e-13)
    assert significance.deviation_of_maximum(1) == pytest.approx(1.0, abs=1e-12)
    assert i.expected_max_sharpe(1, method="approximate") == 0.0


def test_i2__labels_stay_and_say_the_method() -> None:
    n = xr.DataArray([10, 100], dims="n", coords={"n": [10, 100]})
    found = i.expected_max_sharpe(n, sharpe_variance=4.0)
    np.testing.assert_allclose(found, 2.0 * i.expected_max_sharpe(n.values))
    assert found.attrs["method"] == "exact"
    years = i.min_backtest_length(n, sharpe=2.0)
    np.testing.assert_allclose(years, (i.expected_max_sharpe(n.values) / 2.0) ** 2)
    assert years.attrs["units"] == "years"
    assert n.attrs == {}


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: i.expected_max_sharpe(0), "expected_max_sharpe: n_trials: found 0, wanted a number of at least 1"),
        (lambda: i.expected_max_sharpe("9"), "expected_max_sharpe: n_trials: found '9'"),
        (lambda: i.expected_max_sharpe(np.nan), "n_trials: found nan"),
        (lambda: i.expected_max_sharpe(9, sharpe_variance=-1.0), "sharpe_variance: found -1.0"),
        (lambda: i.expected_max_sharpe(9, method="best"), "method: found 'best', wanted one of 'exact', 'approximate'"),
        (lambda: i.min_backtest_length(0.5), "min_backtest_length: n_trials: found 0.5"),
        (lambda: i.min_backtest_length(9, sharpe=0.0), "sharpe: found 0.0, wanted a number above 0"),
        (
            lambda: i.deflated_sharpe_ratio(X, n_trials=0, sharpe_variance=1.0, periods=252),
            r"deflated_sharpe_ratio: n_trials: found 0, .* See help\(kk.inference.deflated_sharpe_ratio\)",
        ),
        (
            lambda: i.probabilistic_sharpe_ratio(X, convention="2013", periods=252),
            "convention: found '2013', wanted one of '2012', '2025', '2025_ar1'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        call()
