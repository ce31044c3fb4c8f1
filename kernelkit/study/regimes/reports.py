"""What follows from labels: how regimes follow one another, and metrics of the returns in each (rules Y8, Y9)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from kernelkit.errors import DataError, arguments, message
from kernelkit.metrics.equity import returns as returns_of
from kernelkit.metrics.labels import named
from kernelkit.metrics.overview import summary
from kernelkit.metrics.period import periods_of
from kernelkit.study.regimes.labels import NONE, Int64s, labels_of

LEVELS = ("equity", "equity_oos")  # of a backtest, of a walk-forward


@arguments()
def transition(labels: Any) -> xr.Dataset:
    """How regimes follow one another, from each bar to the next (Y8).

    `labels` are what a function of `kk.regimes` has returned, or whole numbers over `time` (-1: none; from and to it
    nothing is counted). Returns `count` and `probability` (regime, to), the share of a regime's bars that each follows,
    NaN of a regime that nothing follows; `duration`, the expected ``1 / (1 - p)`` bars of a visit, infinite where a
    regime was not left; `visits`, `share` of the labelled bars. Other dims stay. Raises DataError.

    >>> found = transition(xr.DataArray([-1, 0, 0, 0, 1, 1, 0], dims="time"))
    >>> found["count"].values.tolist(), found["duration"].values.tolist(), found["visits"].values.tolist()
    ([[2, 1], [1, 1]], [3.0, 2.0], [2, 1])
    """
    given = labels_of("transition", labels)
    n = _number("transition", given)

    def of(x: Int64s) -> tuple[Any, ...]:
        pairs = np.stack([x[:-1], x[1:]])[:, (x[:-1] != NONE) & (x[1:] != NONE)]
        count = np.zeros((n, n), np.int64)
        np.add.at(count, tuple(pairs), 1)
        bars = np.bincount(x[x != NONE], minlength=n)
        with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0: nothing follows; 1 / 0: it was not left
            followed = count.sum(axis=1)
            probability = count / followed[:, None]
            duration = followed / (followed - np.diag(count))
            share = bars / bars.sum()
        return count, probability, duration, visits_of(x, n), share

    outputs = {
        "count": (["regime", "to"], "1", "bars of a regime that one of the other follows"),
        "probability": (["regime", "to"], "1", "share of the bars of a regime that one of the other follows"),
        "duration": (["regime"], "bar", "expected length of a visit"),
        "visits": (["regime"], "1", "how often it was entered"),
        "share": (["regime"], "1", "share of the labelled bars"),
    }
    found = xr.apply_ufunc(
        of,
        given,
        input_core_dims=[["time"]],
        output_core_dims=[dims for dims, _, _ in outputs.values()],
        vectorize=True,
    )
    arrays = {k: named(one, *text) for (k, (_, *text)), one in zip(outputs.items(), found, strict=True)}
    return xr.Dataset(arrays).assign_coords(regime=np.arange(n), to=np.arange(n))


@arguments()
def by(res: xr.Dataset | xr.DataArray, labels: Any, *, periods: float | None = None) -> xr.Dataset:
    """The fifteen metrics of `kk.metrics.summary` for the returns in each regime, along a new dim `regime` (Y9).

    `res` is a result of `kk.backtest` or `kk.walk_forward`, or returns over `time`. A return counts for the regime that
    was known when it began: the label at the sample before it, never its own, which it has helped to make. The returns
    of a regime are put together in their order, as if there were no others: `total_return`s of all regimes compound to
    that of all labelled samples, `cagr` is per year in the regime, a drawdown may span several visits. The first
    return has no sample before it and counts for none. With them `n_samples`, `share` of all samples, `visits`.

    `labels` (whole numbers over `time`, or what a function of `kk.regimes` has returned) must have every label of the
    returns; other dims of both broadcast. Regimes without returns have NaN, as has one with a return that is missing
    between others (M9). Raises DataError.

    >>> import kernelkit as kk
    >>> bars = kk.data.load("sp500_index")
    >>> x = kk.metrics.returns(bars["close"].isel(asset=0, drop=True))
    >>> kk.regimes.by(x, kk.regimes.volatility(bars))["volatility"].values.round(2)
    array([0.13, 0.27])
    """
    given = labels_of("by", labels)
    n = _number("by", given)
    x = _returns(res)
    lacking = np.setdiff1d(x["time"].values, given["time"].values)
    if len(lacking):
        fix = "Label the bars that the returns are of."
        raise DataError(message("by: labels", f"none at {lacking[0]}", "one at each time of the returns", fix))
    annual = periods_of(x, "time") if periods is None else periods
    known = given.sel(time=x["time"].values).shift(time=1, fill_value=NONE)
    found = _apart(x.reset_coords(drop=True), known, n, annual)
    inside = known == xr.DataArray(np.arange(n), {"regime": np.arange(n)}, "regime")
    visits = xr.apply_ufunc(
        lambda one: visits_of(one, n), known, input_core_dims=[["time"]], output_core_dims=[["regime"]], vectorize=True
    )
    found = found.assign(
        n_samples=named(inside.sum("time"), "1", "number of samples"),
        share=named(inside.mean("time"), "1", "share of all samples"),
        visits=named(visits, "1", "how often it was entered"),
    )
    return found.transpose("regime", ...).assign_attrs(attribution="the label at the sample before a return")


def _apart(x: xr.DataArray, known: xr.DataArray, n: int, annual: float) -> xr.Dataset:
    """The metrics of each regime's returns, put together (Y9)."""
    dim = next((str(d) for d in known.dims if d != "time"), None)
    if dim is not None:
        pairs = ((x.isel({dim: k}) if dim in x.dims else x, known.isel({dim: k})) for k in range(known.sizes[dim]))
        return xr.concat([_apart(*pair, n, annual) for pair in pairs], dim, coords="different", compat="equals")
    x = x.transpose(..., "time").drop_vars("time")
    nothing = x.isel(time=[0]) * np.nan
    rows = [np.flatnonzero(known.values == k) for k in range(n)]
    parts = [summary(x.isel(time=own) if len(own) else nothing, periods=annual) for own in rows]
    found: xr.Dataset = xr.concat(parts, "regime").assign_coords(regime=np.arange(n))
    return found


def _returns(res: Any) -> xr.DataArray:
    """The returns of a result, or those given."""
    if isinstance(res, xr.Dataset):
        level = next((name for name in LEVELS if name in res.data_vars), None)
        if level is None:
            fix = "Pass the result of kk.backtest or kk.walk_forward, or returns."
            raise DataError(message("by: res", "a Dataset without an equity", f"one of {', '.join(LEVELS)}", fix))
        return returns_of(res[level])  # type: ignore[no-any-return]
    if not isinstance(res, xr.DataArray) or "time" not in res.dims or "time" not in res.coords:
        fix = "Pass the result of kk.backtest, or kk.metrics.returns(...)."
        raise DataError(message("by: res", type(res).__name__, "a result, or returns over time", fix))
    return res


def visits_of(x: Int64s, n: int) -> Int64s:
    """How often each of `n` regimes was entered.

    >>> visits_of(np.array([-1, 0, 0, 1, 0]), 2)
    array([2, 1])
    """
    enters = np.append(True, x[1:] != x[:-1]) & (x != NONE)
    return np.bincount(x[enters], minlength=n)


def _number(function: str, labels: xr.DataArray) -> int:
    n = int(labels.max()) + 1 if labels.size else 0
    if n == 0:
        fix = "Shorten min_train, or pass more history."
        raise DataError(message(f"{function}: labels", "no regime at all", "at least one label from 0 on", fix))
    return n
