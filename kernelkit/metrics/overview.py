"""Fifteen metrics of thousands of series at once: one pass of a compiled kernel over each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from kernelkit.metrics.drawdown import drawdown_durations, max_drawdown
from kernelkit.metrics.metric import Periods, metric, schema_text
from kernelkit.metrics.ratios import (
    cagr,
    calmar_ratio,
    martin_ratio,
    omega_ratio,
    sharpe_ratio,
    sortino_ratio,
    total_return,
    win_rate,
)
from kernelkit.metrics.risk import kurtosis, pain_index, skewness, ulcer_index, volatility
from kernelkit.metrics.series import Array, annual_ratio, compound, positive, spread, standard_moment

PIECE = 2**20  # samples a call of the kernel, some 5 ms: an interrupt is answered between two


SUMMARY: Mapping[str, tuple[str, str]] = {
    **{name: schema_text(name) for name in ("total_return", "cagr", "volatility", "sharpe_ratio", "sortino_ratio")},
    **{name: schema_text(name) for name in ("calmar_ratio", "max_drawdown")},
    "max_drawdown_length": ("sample", "most samples from peak to recovery, or to the end"),
    "ulcer_index": ("1", "Ulcer index"),
    "pain_index": ("1", "pain index"),
    "martin_ratio": ("1", "Martin ratio"),
    "skewness": ("1", "skewness"),
    "kurtosis": ("1", "excess kurtosis"),
    "omega_ratio": ("1", "Omega ratio"),
    "win_rate": ("1", "share of gains"),
}


@metric(outputs=SUMMARY, as_given=True)
def summary(returns: Array, *, periods: Periods = None) -> Any:
    """Fifteen metrics of every series, as the functions of these names give them with their defaults.

    On the host a compiled kernel reads each series once, on all cores; arrays of cupy are given to those functions.

    >>> x = np.array([[0.01, -0.02, 0.03, 0.01], [0.02, 0.01, -0.01, -0.02]])
    >>> {k: v.round(4).tolist() for k, v in list(summary(x, periods=252).items())[3:5]}
    {'sharpe_ratio': [5.7752, 0.0], 'sortino_ratio': [11.9059, 0.0]}
    """
    if not isinstance(returns, np.ndarray):
        return _one_by_one(returns, periods)
    return _of_sums(_sums(returns), periods)


def _sums(x: np.ndarray) -> dict[str, np.ndarray]:
    """Column by column what `kernels.rows` says of the rows of `x`."""
    from kernelkit.kernels.compile import kernel  # numba: only those wait for it who ask for this
    from kernelkit.kernels.rows import SUMS, TYPES

    rows = np.ascontiguousarray(x.reshape(-1, x.shape[-1]))
    out = np.empty((len(rows), len(SUMS)))
    step = max(1, PIECE // rows.shape[1])
    cuts = [slice(k, k + step) for k in range(0, len(rows), step)]
    run = partial(_sum_rows, kernel("rows", "sum_rows", TYPES), rows, out)
    if len(cuts) == 1:
        run(cuts[0])
    else:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(run, cuts))
    out[np.isnan(out[:, SUMS.index("mean")])] = np.nan  # M9: a gap, or no samples
    return {name: out[:, k].reshape(x.shape[:-1]) for k, name in enumerate(SUMS)}


def _sum_rows(compiled: Any, rows: np.ndarray, out: np.ndarray, cut: slice) -> None:
    compiled(rows[cut], out[cut])


def _of_sums(s: Mapping[str, Array], periods: float) -> tuple[Array, ...]:
    n, losses = s["n"], positive(s["losses"])
    deviation = np.sqrt(spread(n, s["m2"], s["squares"], 1))
    even = spread(n, s["m2"], s["squares"], 0)
    growth, ulcer = compound(s["wealth"], n, periods), np.sqrt(s["depths2"] / n)
    return (
        s["wealth"] - 1.0,
        growth,
        deviation * np.sqrt(periods),
        annual_ratio(s["mean"], deviation, periods),
        annual_ratio(s["mean"], np.sqrt(s["down"] / n), periods),
        growth / positive(s["deepest"]),
        s["deepest"],
        s["longest"],
        ulcer,
        s["depths"] / n,
        growth / positive(ulcer),
        standard_moment(s["m3"] / n, even, 3),
        standard_moment(s["m4"] / n, even, 4) - 3.0,
        s["gains"] / losses,
        s["wins"] / n,
    )


def _one_by_one(x: Array, periods: float) -> tuple[Array, ...]:
    return (
        total_return(x),
        cagr(x, periods=periods),
        volatility(x, periods=periods),
        sharpe_ratio(x, periods=periods),
        sortino_ratio(x, periods=periods),
        calmar_ratio(x, periods=periods),
        max_drawdown(x),
        drawdown_durations(x)["max_length"],
        ulcer_index(x),
        pain_index(x),
        martin_ratio(x, periods=periods),
        skewness(x),
        kurtosis(x),
        omega_ratio(x),
        win_rate(x),
    )
