"""Regimes by a rule: how restless the market is, and which way it goes (rule Y3)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from kernelkit.errors import UsageError, arguments, message
from kernelkit.study.regimes.labels import (
    NONE,
    Fit,
    Floats,
    Found,
    Int64s,
    Schedule,
    check_states,
    check_whole,
    labelled,
    series_of,
)


@arguments()
def volatility(
    data: xr.Dataset | xr.DataArray,
    *,
    states: int = 2,
    span: int = 63,
    refit: str | None = "1Y",
    min_train: str = "2Y",
    window: str | None = None,
) -> xr.Dataset:
    """Regimes 0 (calm) to ``states - 1`` (restless), by the standard deviation of the last `span` returns (Y3).

    The bounds between them are the ``1 / states``, ... quantiles of the volatilities before each estimate. `data` are
    bars, whose closes give returns per bar, or returns over `time`; other dims stay, and one asset is a scalar
    coordinate, as in a result. Returns `regime` (time; -1 before the first estimate), `volatility` beside it, as it was
    known, per bar, and `bound` of each `fit`, the label from which it holds, by `state`: the least volatility of it.

    Causal by construction: the label at t uses returns up to t, bounds volatilities before the moment t or earlier
    (Y2): they are estimated at the first label `min_train` after the first one, and every `refit` from there (None:
    never again), from all before or from `window`. Raises DataError and UsageError.

    >>> import kernelkit as kk
    >>> found = kk.regimes.volatility(kk.data.load("sp500_index"))
    >>> found["regime"].sel(time=["2000-12-29", "2005-06-30", "2008-10-31"]).values
    array([-1,  0,  1])
    """
    check_states("volatility", states)
    check_whole("volatility", "span", span, 2)
    series = series_of("volatility", data, level=False)

    def formula(x: Floats, fits: list[Fit], _: Int64s) -> Found:
        import pandas as pd

        moved = pd.Series(x).rolling(int(span)).std().to_numpy()
        labels, bounds = np.full(len(x), NONE), []
        for fit in fits:
            known = moved[fit.first : fit.at]
            edges = np.quantile(known[~np.isnan(known)], np.arange(1, states) / states)
            labels[fit.at : fit.stop] = np.searchsorted(edges, moved[fit.at : fit.stop], side="right")
            bounds.append((np.append(0.0, edges),))
        return Found(labels, (moved,), bounds)

    return labelled(
        "volatility",
        series,
        Schedule(refit, min_train, window, fewest=int(span) + 30),
        formula,
        {"volatility": ((), "1", f"standard deviation of the last {span} returns")},
        {"bound": (("state",), "1", "least volatility of the regime")},
        states,
        span=span,
    )


@arguments()
def trend(
    data: xr.Dataset | xr.DataArray,
    *,
    span: int = 200,
    method: Literal["average", "momentum"] = "average",
    band: float = 0.0,
) -> xr.Dataset:
    """Regimes 0 (down) and 1 (up): the close against its mean over `span` bars, or the close `span` bars ago (Y3).

    ``"average"`` (Faber, A quantitative approach to tactical asset allocation, 2007) or ``"momentum"`` (Moskowitz, Ooi
    and Pedersen, Time series momentum, 2012). With a `band` it takes a distance of more than that, as a fraction, to
    change from one to the other; what begins within it is up where the distance is not below 0. `data` are bars, or
    levels over `time`. Nothing is estimated: the label at t uses closes up to t. Returns `regime` (-1 until the span is
    full) and `distance` (a fraction). Raises DataError and UsageError.

    >>> import kernelkit as kk
    >>> found = kk.regimes.trend(kk.data.load("sp500_index"), band=0.02)
    >>> found["regime"].sel(time=["1999-06-30", "2002-06-28", "2006-12-29"]).values
    array([-1,  0,  1])
    """
    check_whole("trend", "span", span, 1)
    if not (0.0 <= band < 1.0 and method in ("average", "momentum")):
        found, wanted = f"method={method!r}, band={band!r}", "'average' or 'momentum', a band from 0 to below 1"
        raise UsageError(message("trend", found, wanted, "See help(kk.regimes.trend)."))
    series = series_of("trend", data, level=True)

    def formula(x: Floats, fits: list[Fit], _: Int64s) -> Found:
        import pandas as pd

        level = pd.Series(x)
        against = level.rolling(int(span)).mean() if method == "average" else level.shift(int(span))
        distance = (level / against - 1.0).to_numpy()
        full = ~np.isnan(distance)
        side = np.where(distance > band, 1.0, np.where(distance < -band, 0.0, np.nan))
        if full.any() and np.isnan(side[begin := int(np.argmax(full))]):
            side[begin] = distance[begin] >= 0.0
        side = pd.Series(side).ffill().to_numpy()
        return Found(np.where(full, np.nan_to_num(side), NONE).astype("i8"), (distance,))

    beside = {"distance": ((), "1", f"close over its {method} of {span} bars, less 1")}
    return labelled("trend", series, None, formula, beside, {}, span=span, method=method, band=band)
