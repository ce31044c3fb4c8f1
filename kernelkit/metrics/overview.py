"""Fifteen metrics of thousands of series at once: one pass of a compiled kernel over each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from kernelkit.metrics.drawdown import drawdown_durations, max_drawdown
from kernelkit.metrics.metric import METRICS, Periods, metric
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


class Sums:
    """What `kernels.rows` says of series, and what several metrics make of it."""

    def __init__(self, sums: Mapping[str, Array], periods: float) -> None:
        self.sums, self.periods = sums, periods
        n = sums["n"]
        self.deviation = np.sqrt(spread(n, sums["m2"], sums["squares"], 1))
        self.even = spread(n, sums["m2"], sums["squares"], 0)
        self.growth, self.ulcer = compound(sums["wealth"], n, periods), np.sqrt(sums["depths2"] / n)

    def __getattr__(self, name: str) -> Array:
        return self.sums[name]


# of each metric: the function of that name, and the same from the kernel's sums
FIFTEEN: Mapping[str, tuple[Callable[..., Array], Callable[[Sums], Array]]] = {
    "total_return": (total_return, lambda s: s.wealth - 1.0),
    "cagr": (cagr, lambda s: s.growth),
    "volatility": (volatility, lambda s: s.deviation * np.sqrt(s.periods)),
    "sharpe_ratio": (sharpe_ratio, lambda s: annual_ratio(s.mean, s.deviation, s.periods)),
    "sortino_ratio": (sortino_ratio, lambda s: annual_ratio(s.mean, np.sqrt(s.down / s.n), s.periods)),
    "calmar_ratio": (calmar_ratio, lambda s: s.growth / positive(s.deepest)),
    "max_drawdown": (max_drawdown, lambda s: s.deepest),
    "max_drawdown_length": (lambda x: drawdown_durations(x)["max_length"], lambda s: s.longest),
    "ulcer_index": (ulcer_index, lambda s: s.ulcer),
    "pain_index": (pain_index, lambda s: s.depths / s.n),
    "martin_ratio": (martin_ratio, lambda s: s.growth / positive(s.ulcer)),
    "skewness": (skewness, lambda s: standard_moment(s.m3 / s.n, s.even, 3)),
    "kurtosis": (kurtosis, lambda s: standard_moment(s.m4 / s.n, s.even, 4) - 3.0),
    "omega_ratio": (omega_ratio, lambda s: s.gains / positive(s.losses)),
    "win_rate": (win_rate, lambda s: s.wins / s.n),
}
ANNUAL = ("cagr", "volatility", "sharpe_ratio", "sortino_ratio", "calmar_ratio", "martin_ratio")


def _text(name: str) -> tuple[str, str]:
    """Units and long name of one of the fifteen, as its function says them."""
    if name == "max_drawdown_length":
        return METRICS["drawdown_durations"].outputs["max_length"]  # type: ignore[attr-defined, no-any-return]
    return METRICS[name].outputs[""]  # type: ignore[attr-defined, no-any-return]


@metric(outputs={name: _text(name) for name in FIFTEEN}, gaps="own")
def summary(returns: Array, *, periods: Periods = None) -> Any:
    """Fifteen metrics of every series, as the functions of these names give them with their defaults.

    On the host a compiled kernel reads each series once, on all cores; arrays of cupy are given to those functions.

    >>> x = np.array([[0.01, -0.02, 0.03, 0.01], [0.02, 0.01, -0.01, -0.02]])
    >>> {k: v.round(4).tolist() for k, v in list(summary(x, periods=252).items())[3:5]}
    {'sharpe_ratio': [5.7752, 0.0], 'sortino_ratio': [11.9059, 0.0]}
    """
    if not isinstance(returns, np.ndarray):
        return _one_by_one(returns, periods)
    sums = Sums(_sums(returns), periods)
    return tuple(of_sums(sums) for _, of_sums in FIFTEEN.values())


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


def _one_by_one(x: Array, periods: float) -> tuple[Array, ...]:
    found = [alone(x, **({"periods": periods} if name in ANNUAL else {})) for name, (alone, _) in FIFTEEN.items()]
    gap = np.isnan(found[0])  # M9: of a win rate, too, as here the samples are in order
    return tuple(np.where(gap, np.nan, one)[()] for one in found)
