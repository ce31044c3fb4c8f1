"""What runs did over the sessions that all of them have: how alike they are, and which differences are not luck."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kernelkit.batch.curves import Curve

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

# A screen has about this many pixels across; each curve is drawn in no more points.
POINTS = 2_000
# Fewer sessions in common than this say nothing: a quarter of a year.
LEAST = 63
LEVEL = 0.95
SHARPE = (
    "Ledoit and Wolf (2008): studentised circular block bootstrap, {replications} replications, "
    "two-sided, p-values adjusted for {pairs} by Holm (1979)"
)
MEAN = "Student's t test of the differences of each session, two-sided, p-values adjusted for {pairs} by Holm (1979)"


def over(curves: Mapping[str, Curve]) -> dict[str, Any] | None:
    """The runs with these curves on their common sessions, as JSON; None where fewer than two share `LEAST` of them.

    ``ids`` names the order of all lists and matrices. Returns are of equity between one common session and the next,
    so that a market which trades at weekends loses none. Differences are row less column.
    """
    import numpy as np

    if len(curves) < 2:
        return None
    session = _shared(list(curves.values()))
    if len(session) < LEAST + 1:
        return None
    levels = np.stack([one.equity[np.searchsorted(one.session, session)] for one in curves.values()])
    returns = _returns(list(curves), session, levels, min(one.periods for one in curves.values()))
    days = np.datetime_as_string(session.astype("M8[D]"))
    return {
        "ids": list(curves),
        "start": str(days[0]),
        "end": str(days[-1]),
        "sessions": len(session) - 1,
        "metrics": _metrics(returns),
        "correlation": _matrix(_correlation(returns)),
        "tests": _tests(returns),
        "curves": [_drawn(days, row / row[0]) for row in levels],
    }


def _shared(curves: Sequence[Curve]) -> Any:
    import numpy as np

    session = curves[0].session
    for one in curves[1:]:
        session = np.intersect1d(session, one.session, assume_unique=True)
    return session


def _returns(ids: list[str], session: Any, levels: Any, periods: float) -> xr.DataArray:
    import xarray as xr

    from kernelkit.metrics.equity import returns

    coords = {"run": ids, "time": session.astype("M8[D]").astype("M8[ns]")}
    found: xr.DataArray = returns(xr.DataArray(levels, coords, ("run", "time")))
    return found.isel(time=slice(1, None)).assign_attrs(periods_per_year=periods)


def _metrics(returns: xr.DataArray) -> dict[str, list[float | None]]:
    from kernelkit.metrics.drawdown import max_drawdown
    from kernelkit.metrics.ratios import sharpe_ratio
    from kernelkit.metrics.risk import volatility

    mean = returns.mean("time") * returns.attrs["periods_per_year"]
    found = {"mean_return": mean, "volatility": volatility(returns), "sharpe_ratio": sharpe_ratio(returns)}
    found["max_drawdown"] = max_drawdown(returns)
    return {name: [_number(v) for v in values.values] for name, values in found.items()}


def _correlation(returns: xr.DataArray) -> Any:
    from kernelkit.inference.clustering import strategy_correlation

    return strategy_correlation(returns, over="run").values


def _tests(returns: xr.DataArray) -> list[dict[str, Any]]:
    """Of Sharpe ratios and of mean returns: the method in words, and by pair difference, interval and p-values."""
    from kernelkit.inference.classical import t_test
    from kernelkit.inference.comparison import CIRCULAR, sharpe_difference

    periods = returns.attrs["periods_per_year"]
    series = [returns.isel(run=k, drop=True).assign_attrs(returns.attrs) for k in range(returns.sizes["run"])]
    found: dict[str, list[Any]] = {"sharpe_ratio": [], "mean_return": []}
    for a, b in itertools.combinations(series, 2):
        one = sharpe_difference(a, b, level=LEVEL)
        found["sharpe_ratio"].append([float(one[n]) for n in ("estimate", "low", "high", "p_value")])
        one = t_test(a, b, kind="paired", level=LEVEL)
        scale = (periods, periods, periods, 1.0)
        found["mean_return"].append(
            [float(one[n]) * s for n, s in zip(("estimate", "low", "high", "p_value"), scale, strict=True)]
        )
    count = len(found["mean_return"])
    pairs = "1 pair" if count == 1 else f"{count} pairs"
    texts = {"sharpe_ratio": SHARPE.format(replications=CIRCULAR.replications, pairs=pairs)}
    texts["mean_return"] = MEAN.format(pairs=pairs)
    return [_test(name, text, len(series), found[name]) for name, text in texts.items()]


def _test(name: str, method: str, runs: int, found: list[list[float]]) -> dict[str, Any]:
    import numpy as np

    from kernelkit.inference.multiplicity import adjusted_p_values

    places = np.triu_indices(runs, 1)
    values = np.array(found)
    matrices = {n: np.full((runs, runs), np.nan) for n in ("difference", "low", "high", "p_value", "adjusted")}
    columns = [*values.T, adjusted_p_values(values[:, 3], method="holm")]
    for matrix, column in zip(matrices.values(), columns, strict=True):
        matrix[places] = column
    low, high = matrices["low"].copy(), matrices["high"].copy()
    for n, other in (("difference", -values[:, 0]), ("low", -high[places]), ("high", -low[places])):
        matrices[n].T[places] = other
    for n in ("p_value", "adjusted"):
        matrices[n].T[places] = matrices[n][places]
    return {"metric": name, "method": method, "level": LEVEL} | {n: _matrix(m) for n, m in matrices.items()}


def _drawn(days: np.ndarray, growth: np.ndarray) -> dict[str, list[Any]]:
    import numpy as np

    from kernelkit.report.thinning import kept

    rows = kept(growth, POINTS)
    drawdown = growth / np.maximum.accumulate(growth) - 1.0
    return {
        "time": days[rows].tolist(),
        "growth": [_number(v) for v in growth[rows]],
        "drawdown": [_number(v) for v in drawdown[rows]],
    }


def _matrix(values: Any) -> list[list[float | None]]:
    return [[_number(v) for v in row] for row in values]


def _number(value: Any) -> float | None:
    """To 6 significant digits, None where it is not finite: JSON has no NaN."""
    return float(f"{float(value):.6g}") if math.isfinite(value) else None
