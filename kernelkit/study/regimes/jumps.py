"""Regimes by a statistical jump model: clusters of features, with a price on each change (rule Y6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.metrics.labels import check_dims, check_labels
from kernelkit.study.regimes.labels import (
    NONE,
    Fit,
    Floats,
    Found,
    Int64s,
    Order,
    Schedule,
    check_states,
    kernel_of,
    labelled,
    series_of,
)

ROUNDS = 100  # steps of the descent, which ends by itself as it has finitely many states
DOWNSIDE, RATIOS = 10, (20, 60)  # half-lives of the features that are made of returns


@arguments()
def jump_model(
    data: xr.Dataset | xr.DataArray,
    *,
    states: int = 2,
    penalty: float = 50.0,
    features: xr.DataArray | None = None,
    order: Order = "volatility",
    refit: str | None = "1Y",
    min_train: str = "2Y",
    window: str | None = None,
) -> xr.Dataset:
    """Regimes of a statistical jump model, which stay: a change of state costs `penalty` (Y6).

    States and centres with the least sum of half squared distances of the features from the centre of their state and
    of the penalties (Bemporad, Breschi, Piga and Boyd, Fitting jump models, 2018; Nystrup, Lindström and Madsen, 2020);
    at a penalty of 0 these are k-means. The label at t is the last state of the path that is the best for features up
    to t (Nystrup, Kolm and Lindström, Greedy online classification of persistent market states, 2020): no later bar
    changes it. Centres and the scale of the features are estimated from samples before the moment alone.

    `features` (time, feature), known at their label, are those of Shu, Yu and Mulvey (2024) in kind if not given:
    downside deviation with a half-life of 10 bars, and mean return over root mean square with 20 and 60. States are
    numbered by ascending `order` of the returns in them, after every estimate. Other arguments are those of
    `kk.regimes.volatility`. Returns `regime` (time), `cost` (time, state), what a path that ends in the state costs
    more than the best one, and of each `fit` `mean` and `deviation` of the returns in each state, and `objective`.
    Raises DataError and UsageError.

    >>> import kernelkit as kk
    >>> found = kk.regimes.jump_model(kk.data.load("sp500_index"))
    >>> found["regime"].sel(time=["2000-12-29", "2005-06-30", "2008-10-31"]).values
    array([-1,  0,  1])
    """
    check_states("jump_model", states, order)
    if not (np.isfinite(penalty) and penalty >= 0.0):
        fix = "Write penalty=50.0; see help(kk.regimes.jump_model)."
        raise UsageError(message("jump_model: penalty", repr(penalty), "a number of at least 0", fix))
    series = series_of("jump_model", data, level=False)
    given = None if features is None else _given(features, series)
    if given is not None:
        series = series.where(~np.isnan(given).any(axis=-1))

    def formula(x: Floats, fits: list[Fit], rows: Int64s) -> Found:
        z = features_of(x) if given is None else given[rows]
        labels, costs = np.full(len(x), NONE), np.full((len(x), states), np.nan)
        model, numbers = None, list[Any]()
        for fit in fits:
            found = _estimated(x[fit.first : fit.at], z[fit.first : fit.at], states, penalty, order)
            numbers.append(None if found is None else found[1])
            model = model if found is None else found[0]
            if model is not None:
                middle, scale, centres = model
                values = _values((z[fit.first : fit.stop] - middle) / scale, centres, penalty)[0]
                costs[fit.at : fit.stop] = values[fit.at - fit.first :]
                labels[fit.at : fit.stop] = np.argmin(costs[fit.at : fit.stop], axis=1)
        return Found(labels, (costs,), numbers)

    beside = {"cost": (("state",), "1", "cost of the best path to the state, less that of the best")}
    fitted = {
        "mean": (("state",), "of the series", "mean of the samples in the state"),
        "deviation": (("state",), "of the series", "standard deviation of the samples in the state"),
        "objective": ((), "1", "half squared distances and penalties of the samples that it was estimated from"),
    }
    schedule = Schedule(refit, min_train, window)
    return labelled("jump_model", series, schedule, formula, beside, fitted, states, order=order, penalty=penalty)


def _given(features: xr.DataArray, series: xr.DataArray) -> Floats:
    """Features of one's own, of all series alike, (time, feature)."""
    check_dims("jump_model", {"features": features}, {"features": ["time", "feature"]})
    check_labels({"features": features["time"], "data": series["time"]})
    if features.ndim != 2:
        fix = "Label one asset after the other."
        raise DataError(message("jump_model: features", f"dims {features.dims}", "the dims ('time', 'feature')", fix))
    return features.transpose("time", "feature").values.astype("f8")


def features_of(x: Floats) -> Floats:
    """Y6: downside deviation, and means over root mean squares, of the returns so far (time, feature).

    >>> features_of(np.array([0.01, -0.02])).round(3)
    array([[ 0.   ,  1.   ,  1.   ],
           [ 0.014, -0.331, -0.321]])
    """
    import pandas as pd

    def mean(values: Floats, halflife: int) -> Floats:
        found: Floats = pd.Series(values).ewm(halflife=halflife).mean().to_numpy()
        return found

    ratios = []
    for halflife in RATIOS:
        size = np.sqrt(mean(x * x, halflife))
        ratios.append(np.divide(mean(x, halflife), size, out=np.zeros(len(x)), where=size > 0.0))
    return np.column_stack([np.sqrt(mean(np.minimum(x, 0.0) ** 2, DOWNSIDE)), *ratios])


def _estimated(x: Floats, z: Floats, states: int, penalty: float, order: Order) -> Any:
    """Middle, scale and centres, states in their order, and the numbers of the fit; None where a feature is flat."""
    middle, scale = z.mean(axis=0), z.std(axis=0)
    if not (scale > 0.0).all():
        return None
    centres, path, objective = estimate((z - middle) / scale, states, penalty)
    inside = [x[path == k] for k in range(states)]
    mean = np.array([one.mean() if len(one) else np.nan for one in inside])
    deviation = np.array([one.std() if len(one) else np.nan for one in inside])
    by = np.lexsort(
        (mean, deviation) if order == "volatility" else (deviation, mean)
    )  # a state without samples is last
    return (middle, scale, centres[by]), (mean[by], deviation[by], objective)


def estimate(z: Floats, states: int, penalty: float) -> tuple[Floats, Int64s, float]:
    """Y6: centres (state, feature), path (time) and objective, by descent from four starts for each feature.

    >>> z = np.repeat([[0.0], [3.0], [0.0]], [5, 1, 5], axis=0)
    >>> [estimate(z, 2, penalty)[1].tolist() for penalty in (1.0, 10.0)]
    [[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    """
    best = None
    for key in z.T:
        ranks, width = np.argsort(np.argsort(key, kind="stable"), kind="stable"), np.ptp(key)
        for share in (ranks / len(z), (key - key.min()) / width):  # as many samples each, and as wide
            start = np.minimum((share * states).astype(np.int64), states - 1)
            for path in (start, _descended(z, start, states, 0.0)[1]):  # also from what is best without penalties
                found = _descended(z, path, states, penalty)
                if best is None or found[2] < best[2]:
                    best = found
    return best  # type: ignore[return-value]


def _descended(z: Floats, path: Int64s, states: int, penalty: float) -> tuple[Floats, Int64s, float]:
    """Centres of the states, then the best path to these, until that stays; an empty state keeps its centre."""
    centres = np.zeros((states, z.shape[1]))
    for _ in range(ROUNDS):
        centres = np.array([z[path == k].mean(axis=0) if (path == k).any() else centres[k] for k in range(states)])
        values, objective = _values(z, centres, penalty)
        found = np.empty(len(z), np.int64)
        kernel_of("best_path")(values, penalty, found)
        if (found == path).all():
            break
        path = found
    return centres, path, objective


def _values(z: Floats, centres: Floats, penalty: float) -> tuple[Floats, float]:
    loss = np.zeros((len(z), len(centres)))
    for column, ways in zip(z.T, centres.T, strict=True):  # one after the other: the same sum for any number of samples
        loss += 0.5 * (column[:, None] - ways) ** 2
    values = np.empty_like(loss)
    return values, float(kernel_of("jumps")(loss, penalty, values))
