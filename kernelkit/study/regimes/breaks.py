"""Regimes between change points that are declared while time goes on (rule Y7)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from kernelkit.errors import UsageError, arguments, message
from kernelkit.metrics.changes import Change, criterion, one_break
from kernelkit.study.regimes.labels import NONE, Fit, Floats, Found, Int64s, Schedule, check_whole, labelled, series_of


@arguments()
def change_points(
    data: xr.Dataset | xr.DataArray,
    *,
    change: Change = "both",
    shortest: int = 20,
    penalty: float = 1.0,
    refit: str = "1M",
    min_train: str = "1Y",
) -> xr.Dataset:
    """Regimes 0, 1, 2, ... between breaks of the mean, the variance or both, numbered as they are declared (Y7).

    At the first label `min_train` after the first one, and every `refit` from there, the samples since the last break
    are divided where that is best (M22, one break); where Schwarz's criterion, its penalty times `penalty`, is less
    than without, a break is declared: the label rises at that moment, not at the break, which is known only then. The
    samples after the break are those that the next one is sought in. `metrics.segments` finds all breaks together, in
    hindsight. A look a month is many looks: without any break, at a `penalty` of 1, one is declared now and then.

    `data` are bars, or a series over `time`. Returns `regime` (-1 before the first look), and `began` beside it, how
    many samples ago the running regime has begun by what was known. Raises DataError and UsageError.

    >>> draw = np.random.default_rng(1)
    >>> days = np.arange("2020-01-01", "2024-01-01", dtype="M8[D]").astype("M8[ns]")
    >>> x = xr.DataArray(draw.normal(0.0, np.where(np.arange(1461) < 800, 1.0, 2.0)), {"time": days}, "time")
    >>> found = change_points(x)
    >>> int(found["regime"].max()), np.flatnonzero(found["regime"] == 1)[0]
    (1, np.int64(821))
    """
    fix = "See help(kk.regimes.change_points)."
    if change not in ("mean", "variance", "both"):
        raise UsageError(message("change_points: change", repr(change), "'mean', 'variance' or 'both'", fix))
    check_whole("change_points", "shortest", shortest, 2)
    if not penalty > 0.0:
        raise UsageError(message("change_points: penalty", repr(penalty), "a number above 0", fix))
    series = series_of("change_points", data, level=False)

    def formula(x: Floats, fits: list[Fit], _: Int64s) -> Found:
        labels, began = np.full(len(x), NONE), np.full(len(x), np.nan)
        first, regime = 0, 0
        for fit in fits:
            known = x[first : fit.at]
            if len(known) >= 2 * shortest and np.ptp(known) > 0.0:
                cut, costs = one_break(known, change, int(shortest))
                least = criterion(costs, len(known), change, penalty)
                if least[1] < least[0]:
                    first, regime = first + cut, regime + 1
            here = slice(fit.at, fit.stop)
            labels[here], began[here] = regime, np.arange(fit.at, fit.stop) - first
        return Found(labels, (began,))

    beside: dict[str, Any] = {"began": ((), "1", "samples since the regime has begun, by what was known")}
    settings: dict[str, Any] = {"change": change, "shortest": shortest, "penalty": penalty}
    schedule = Schedule(refit, min_train, None, fewest=2)
    return labelled("change_points", series, schedule, formula, beside, {}, **settings)
