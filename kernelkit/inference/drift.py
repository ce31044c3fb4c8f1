"""Has what earns money changed? Alarms while samples come in, and live returns against what was expected of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special
import xarray as xr
from numpy.typing import NDArray

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.inference.sequential import sequence
from kernelkit.metrics.labels import check_dims, check_names, named
from kernelkit.metrics.metric import metric
from kernelkit.metrics.regression import mean_test

Floats = NDArray[np.float64]

LEVELS = 60  # of the histogram of ADWIN: 2^60 samples


def _kernel(name: str) -> Any:
    from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this
    from kernelkit.kernels.regimes import TYPES

    return kernel("regimes", name, TYPES[name])


@metric(
    outputs={
        "alarm": ("1", "1 where the mean has changed, 0 where not"),
        "mean": ("of the series", "mean of the window"),
        "width": ("1", "samples in the window"),
    },
    shape="curve",
    alone=True,
    home="inference",
)
def adwin(returns: Floats, *, delta: float = 0.002, scale: float = 1.0, clock: int = 32, buckets: int = 5) -> Any:
    """Where a series changes its mean: the adaptive window of Bifet and Gavaldà (2007), known at each sample (Y11).

    The window grows while it looks like one; every `clock` samples it loses its oldest part as long as any cut divides
    it into two whose means differ by more than chance does, with confidence `delta`. `scale` is the range of a sample
    (largest less smallest that can be), of which the bound knows nothing itself: for daily returns 0.1 rather than 1,
    which would find nothing. Window sums are kept in at most ``buckets + 1`` buckets of each power of two.

    >>> x = np.repeat([0.2, 0.8], 200)
    >>> found = adwin(x)
    >>> int(np.argmax(found["alarm"])), float(found["mean"][-1].round(2))
    (223, 0.8)
    """
    if not (0.0 < delta < 1.0 and scale > 0.0 and clock >= 1 and buckets >= 1):
        found, wanted = (
            f"delta={delta}, scale={scale}, clock={clock}, buckets={buckets}",
            "a delta below 1, all above 0",
        )
        raise UsageError(message("adwin", found, wanted, "See help(kk.inference.adwin)."))
    sums, squares = np.zeros((2, LEVELS, int(buckets) + 2))
    out = np.empty((len(returns), 3))
    held = np.zeros(LEVELS, np.int64)
    _kernel("adwin")(returns / scale, delta, int(clock), int(buckets), sums, squares, held, out)
    alarm, mean, width = out.T
    return alarm, mean * scale, width


@metric(
    outputs={
        "alarm": ("1", "1 where the mean has changed, 0 where not"),
        "up": ("of the series", "how far deviations have added up above their lowest sum"),
        "down": ("of the series", "how far deviations have added up below their highest sum"),
    },
    shape="curve",
    alone=True,
    home="inference",
)
def page_hinkley(
    returns: Floats,
    *,
    tolerance: float = 0.005,
    threshold: float = 50.0,
    forget: float = 0.9999,
    first: int = 30,
) -> Any:
    """Where a series leaves its mean: the test of Page (1954) and Hinkley (1971), known at each sample (Y12).

    Deviations from the mean so far, less `tolerance`, are added up, the sum so far times `forget`; an alarm is raised
    when the sum lies more than `threshold` above its lowest, or that with the tolerance added as much below its
    highest, and all begins anew. Not before `first` samples. Tolerance and threshold are in units of the series.

    >>> x = np.repeat([0.0, 1.0], 100)
    >>> np.flatnonzero(page_hinkley(x, threshold=5.0)["alarm"])
    array([105])
    """
    if not (threshold > 0.0 and 0.0 < forget <= 1.0 and first >= 1 and tolerance >= 0.0):
        found = f"tolerance={tolerance}, threshold={threshold}, forget={forget}, first={first}"
        wanted = "a threshold above 0, a forget above 0 and at most 1, at least one sample"
        raise UsageError(message("page_hinkley", found, wanted, "See help(kk.inference.page_hinkley)."))
    out = np.empty((len(returns), 3))
    _kernel("page_hinkley")(returns.copy(), tolerance, threshold, forget, int(first), out)
    return tuple(out.T)


_TEXTS = {
    "estimate": ("1", "mean return so far"),
    "low": ("1", "lower end of its confidence sequence"),
    "high": ("1", "upper end of its confidence sequence"),
    "expected": ("1", "mean return that the reference allows for at least"),
    "degraded": ("1", "1 from when on the mean return is below that at all likely values, 0 before"),
}


@arguments()
def monitor(
    returns: xr.DataArray,
    reference: float | xr.DataArray,
    *,
    margin: float = 0.0,
    level: float = 0.95,
    tightest: float = 250.0,
    first: float = 50.0,
    lags: int | None = None,
    dim: str = "time",
) -> xr.Dataset:
    """Do live returns fall short of what was expected of them? Asked after every sample, at any time (Y13).

    `reference` is the mean per sample that was promised, or the returns from which it was (a backtest's, along `dim`).
    A promise of a series is its mean less what chance may have added, with errors of M21; half of ``1 - level`` goes to
    that, half to the confidence sequence of the live mean (I22), whose ends are NaN before `first` samples. `degraded`
    is 1 from the first sample on at which the sequence lies wholly below the promise less `margin`: while the live mean
    is what the reference's is, that happens at any time with a chance of about ``1 - level`` at most. The best of many
    backtests promises too much: pass returns out of sample, or what a haircut leaves. NaN where the returns have a gap
    (M9). Other dims broadcast. Raises DataError and UsageError.

    >>> draw = np.random.default_rng(1)
    >>> test, live = (xr.DataArray(draw.normal(m, 0.01, 750), dims="time") for m in (0.002, -0.001))
    >>> found = monitor(live, test)
    >>> int(found["degraded"].argmax("time")), float(found["expected"].round(4))
    (69, 0.0007)
    """
    fix = "See help(kk.inference.monitor)."
    if not (0.0 < level < 1.0 and margin >= 0.0 and tightest >= 2.0 and first >= 2.0):
        found = f"level={level}, margin={margin}, tightest={tightest}, first={first}"
        wanted = "a level between 0 and 1, a margin of at least 0, at least 2 samples"
        raise UsageError(message("monitor", found, wanted, fix))
    check_dims("monitor", {"returns": returns}, {"returns": [dim]})
    check_names("monitor", [returns, reference], _TEXTS)
    alpha = (1.0 - level) / 2.0
    promise = _promise(reference, alpha, lags, dim) - margin

    def limits(x: Floats) -> tuple[Floats, ...]:
        there = ~np.isnan(x)
        n, ends = there.sum(axis=-1), there.shape[-1] - there[..., ::-1].argmax(axis=-1) - there.argmax(axis=-1)
        known = there & (n == ends)[..., None]
        return tuple(np.where(known, one, np.nan) for one in sequence(x, 1.0 - alpha, tightest, first)[:3])

    def fallen(estimate: Floats, high: Floats, least: Any) -> Floats:
        below = np.maximum.accumulate((high < np.asarray(least)[..., None]).astype("f8"), axis=-1)
        return np.where(np.isnan(estimate), np.nan, below)

    how: dict[str, Any] = {"dask": "parallelized", "dask_gufunc_kwargs": {"allow_rechunk": True}, "join": "exact"}
    estimate, low, high = xr.apply_ufunc(
        limits,
        returns.astype("f8"),
        input_core_dims=[[dim]],
        output_core_dims=[[dim]] * 3,
        output_dtypes=[np.float64] * 3,
        **how,
    )
    degraded = xr.apply_ufunc(
        fallen,
        estimate,
        high,
        promise,
        input_core_dims=[[dim], [dim], []],
        output_core_dims=[[dim]],
        output_dtypes=[np.float64],
        **how,
    )
    parts = {"estimate": estimate, "low": low, "high": high, "expected": promise, "degraded": degraded}
    attrs = {"level": level, "margin": margin, "tightest": tightest, "first": first}
    return xr.Dataset({k: named(parts[k], *text) for k, text in _TEXTS.items()}, attrs=attrs)


def _promise(reference: Any, alpha: float, lags: int | None, dim: str) -> xr.DataArray:
    """Y13: the mean that a reference allows for at least."""
    if not isinstance(reference, xr.DataArray):
        if isinstance(reference, bool) or not np.isfinite(reference):
            fix = "Pass the returns of the backtest, or their mean."
            raise DataError(message("monitor: reference", repr(reference), "returns, or a number", fix))
        return xr.DataArray(float(reference))
    if dim not in reference.dims:
        return reference.astype("f8")

    def least(x: Floats) -> float:
        x = x[~np.isnan(x)]
        if len(x) < 3 or not np.ptp(x) > 0.0:
            return np.nan
        fit = mean_test(x, lags=lags, correction="small")
        return float(fit.coefficients[0] - scipy.special.stdtrit(len(x) - 1, 1.0 - alpha) * fit.errors[0])

    found: xr.DataArray = xr.apply_ufunc(
        least,
        reference.astype("f8"),
        input_core_dims=[[dim]],
        vectorize=True,
        dask="parallelized",
        output_dtypes=["f8"],
    )
    return found
