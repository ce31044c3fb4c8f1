"""What events did to prices: returns beyond those that a model of the time before expects (M25)."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
import scipy.special
import xarray as xr
from numpy.typing import NDArray

from kernelkit.errors import DataError, UsageError, arguments, message
from kernelkit.metrics.labels import check_dims, check_labels, check_names
from kernelkit.metrics.regression import two_sided

Floats = NDArray[np.float64]
Model = Literal["market", "mean"]
Errors = Literal["exact", "asymptotic"]

TESTS = ("j1", "j2", "cross")
_TEXTS = {
    "abnormal": "return beyond the expected one",
    "car": "cumulative abnormal return of the event",
    "t": "car over its standard error",
    "p_value": "its two-sided p-value",
    "mean_abnormal": "mean abnormal return over the events",
    "mean_car": "mean abnormal return over the events, cumulated",
    "statistic": "is the mean car other than 0? statistic of the test",
    "test_p_value": "its two-sided p-value, of the normal distribution",
    "n_events": "number of events with a car",
}


class Window(NamedTuple):
    """How an event study looks at an event."""

    first: int
    last: int
    train: int
    model: Model
    errors: Errors


@arguments()
def event_study(
    returns: xr.DataArray,
    benchmark: xr.DataArray,
    events: xr.DataArray,
    *,
    window: tuple[int, int] = (-10, 10),
    train: int = 120,
    model: Model = "market",
    errors: Errors = "exact",
    dim: str = "time",
) -> xr.Dataset:
    """Abnormal returns around events, cumulated, and whether they are other than 0 (MacKinlay, 1997), M25.

    `events` (bool, dims of the returns) is true at the sample in which an event happens. The `train` samples before the
    `window` give the expected return: `a + b benchmark` (``"market"``) or their mean. Each event: `abnormal` along
    `offset`, `car`, `t` and `p_value`. All together: `mean_abnormal`, `mean_car` along `offset`; `statistic` and
    `test_p_value` along `test`: j1, j2 (MacKinlay's) and cross, t of the cars, which an event that itself makes returns
    more variable does not mislead. All of them take the events for independent: those of one day are not. ``"exact"``
    errors count that the model is estimated. NaN where a sample is missing or beyond the data; such events are left out
    of what is said of all. Raises DataError for dims that are not there, labels that differ and events that are not
    bool, UsageError for settings that cannot be.

    >>> rng = np.random.default_rng(4)
    >>> market = xr.DataArray(rng.normal(0.0, 0.01, 300), dims="time")
    >>> happened = xr.DataArray(np.arange(300) == 200, dims="time")
    >>> found = event_study(1.2 * market + 0.05 * happened, market, happened, window=(-2, 2), train=60)
    >>> found["abnormal"].values.round(6).tolist()[0][2], float(found["mean_car"][-1].round(6))
    (0.05, 0.05)
    """
    how = Window(int(window[0]), int(window[1]), int(train), model, errors)
    _check(how)
    given = {"returns": returns, "benchmark": benchmark, "events": events}
    check_dims("event_study", given, {name: [dim] for name in given})
    check_labels(given)
    check_names("event_study", given.values(), [*_TEXTS, "event", "offset", "test"])
    if events.dtype.kind != "b":
        fix = "Pass a mask: x['time'].isin(days)."
        raise DataError(message("event_study: events", f"dtype {events.dtype}", "bool", fix))
    x, b, mask = xr.broadcast(returns.astype("f8"), benchmark, events)
    x = x.transpose(..., dim)
    b, mask = (one.transpose(*x.dims) for one in (b, mask))
    places = np.argwhere(mask.values)
    studied = [_study(x.values[tuple(at[:-1])], b.values[tuple(at[:-1])], int(at[-1]), how) for at in places]
    abnormal = np.array([one for one, _ in studied]).reshape(len(places), how.last - how.first + 1)
    car = abnormal.sum(axis=-1)
    error = np.array([e for _, e in studied], dtype=float)
    freedom = how.train - (2 if model == "market" else 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = car / np.where(error > 0.0, error, np.nan)
    statistic = _tests(car, error, t, freedom)
    offsets = np.arange(how.first, how.last + 1)
    known = abnormal[~np.isnan(car)]
    mean = known.mean(axis=0) if len(known) else np.full(len(offsets), np.nan)
    found = {
        "abnormal": (("event", "offset"), abnormal),
        "car": ("event", car),
        "t": ("event", t),
        "p_value": ("event", two_sided(t, freedom)),
        "mean_abnormal": ("offset", mean),
        "mean_car": ("offset", np.cumsum(mean)),
        "statistic": ("test", statistic),
        "test_p_value": ("test", 2.0 * scipy.special.ndtr(-np.abs(statistic))),
        "n_events": ((), float(len(known))),
    }
    labels = {str(d): ("event", x[d].values[places[:, k]]) for k, d in enumerate(x.dims) if d in x.coords}
    attrs = {"window": list(window), "train": how.train, "model": model, "errors": errors}
    texts = {name: {"units": "1", "long_name": _TEXTS[name], **attrs} for name in found}
    rows = {name: (dims, values, texts[name]) for name, (dims, values) in found.items()}
    return xr.Dataset(rows, {**labels, "offset": offsets, "test": list(TESTS)}, attrs)


def _check(how: Window) -> None:
    fix = "See help(kk.metrics.event_study)."
    for name, value, kind in (("model", how.model, Model), ("errors", how.errors, Errors)):
        if value not in get_args(kind):
            wanted = " or ".join(map(repr, get_args(kind)))
            raise UsageError(message(f"event_study: {name}", repr(value), wanted, fix))
    if how.first > how.last:
        raise UsageError(message("event_study: window", (how.first, how.last), "first offset, last offset", fix))
    if how.train < 10:
        raise UsageError(message("event_study: train", how.train, "at least 10 samples", fix))


def _study(x: Floats, b: Floats, at: int, how: Window) -> tuple[Floats, float]:
    """The abnormal returns of one event, and the standard error of their sum."""
    begin, end = at + how.first, at + how.last + 1
    nothing = np.full(end - begin, np.nan)
    design = np.column_stack([np.ones_like(b), b]) if how.model == "market" else np.ones((len(b), 1))
    span = slice(begin - how.train, end)
    if begin < how.train or end > len(x) or np.isnan(x[span]).any() or np.isnan(design[span]).any():
        return nothing, np.nan
    past = slice(begin - how.train, begin)
    found, _, rank, _ = np.linalg.lstsq(design[past], x[past], rcond=None)
    if rank < design.shape[1]:
        return nothing, np.nan
    left = x[past] - design[past] @ found
    variance = left @ left / (how.train - design.shape[1])
    within = design[begin:end]
    spread = float(end - begin)
    if how.errors == "exact":
        total = within.sum(axis=0)
        spread += total @ np.linalg.solve(design[past].T @ design[past], total)
    return x[begin:end] - within @ found, float(np.sqrt(variance * spread))


def _tests(car: Floats, error: Floats, t: Floats, freedom: int) -> Floats:
    """M25: j1, j2 and cross."""
    there = ~np.isnan(car) & (error > 0.0)
    n = int(there.sum())
    if not n:
        return np.full(len(TESTS), np.nan)
    car, error, t = car[there], error[there], t[there]
    j1 = car.sum() / np.sqrt(np.sum(error**2))
    j2 = np.sqrt(n * (freedom - 2.0) / freedom) * t.mean()
    sd = float(np.std(car, ddof=1)) if n > 1 else 0.0
    return np.array([j1, j2, car.mean() / sd * np.sqrt(n) if sd > 0.0 else np.nan])
