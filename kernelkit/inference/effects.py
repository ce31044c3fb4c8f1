"""How large a difference is, in units that can be compared (I15)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.special
import xarray as xr

from kernelkit.errors import UsageError, arguments, message
from kernelkit.inference.checks import choice, fraction
from kernelkit.inference.classical import Floats, by_row

Measure = Literal["cohen_d", "hedges_g", "cliff_delta"]


@arguments()
def effect_size(
    x: xr.DataArray,
    y: xr.DataArray | None = None,
    *,
    measure: Measure = "hedges_g",
    level: float = 0.95,
    dim: str = "time",
) -> xr.Dataset:
    """How far `x` lies above `y`, or above 0: `estimate`, and `low` and `high` at `level`; I15.

    ``"cohen_d"``: difference of means over the pooled standard deviation (Cohen, 1988), of one series mean over
    standard deviation; ``"hedges_g"``: that without its bias (Hedges, 1981); their intervals by the noncentral t
    distribution, so of normal samples. ``"cliff_delta"``: P(x > y) - P(x < y), with the interval of Feng and Cliff
    (2004), of any samples. Samples are taken for independent. NaN of fewer than two samples or without variance.

    >>> x, y = (xr.DataArray(v, dims="time") for v in ([3.0, 4.0, 5.0], [1.0, 2.0, 3.0]))
    >>> found = effect_size(x, y, measure="cohen_d")
    >>> float(found["estimate"]), round(float(found["low"]), 3), round(float(found["high"]), 3)
    (2.0, -0.15, 4.019)
    """
    choice("effect_size", measure=(measure, Measure))
    fraction("effect_size", "level", level)
    if measure == "cliff_delta" and y is None:
        fix = "Give y, or take Cohen's d of one series."
        raise UsageError(message("effect_size", "one series with Cliff's delta", "two series", fix))
    tails = np.array([(1.0 + level) / 2.0, (1.0 - level) / 2.0])

    def standardised(a: Floats, b: Floats | None = None) -> tuple[Any, ...]:
        if b is None:
            degrees, size = len(a) - 1.0, len(a) ** -0.5
            d = a.mean() / np.std(a, ddof=1)
        else:
            degrees, size = len(a) + len(b) - 2.0, (1.0 / len(a) + 1.0 / len(b)) ** 0.5
            pooled = np.sum((a - a.mean()) ** 2) + np.sum((b - b.mean()) ** 2)
            d = (a.mean() - b.mean()) / (pooled / degrees) ** 0.5
        ends = scipy.special.nctdtrinc(degrees, tails, d / size) * size
        half = scipy.special.gammaln(degrees / 2.0) - scipy.special.gammaln((degrees - 1.0) / 2.0)
        kept = np.exp(half) / (degrees / 2.0) ** 0.5 if measure == "hedges_g" else 1.0
        return kept * d, *(kept * ends)

    def dominance(a: Floats, b: Floats) -> tuple[Any, ...]:
        return _cliff(a, b, float(scipy.special.ndtri(tails[0])))

    of = dominance if measure == "cliff_delta" else standardised
    given = (x,) if y is None else (x, y)
    settings = {"measure": measure, "level": level}
    return by_row("effect_size", of, given, ("estimate", "low", "high"), dim, settings, least=2)


def _cliff(a: Floats, b: Floats, z: float) -> tuple[float, float, float]:
    """Cliff's delta and its asymmetric interval."""
    ranked_a, ranked_b = np.sort(a), np.sort(b)
    m, n = len(a), len(b)

    def margins(v: Floats, other: Floats) -> Floats:
        return (np.searchsorted(other, v, "left") + np.searchsorted(other, v, "right")) / len(other) - 1.0

    rows, columns = margins(a, ranked_b), -margins(b, ranked_a)
    delta = float(rows.mean())
    if abs(delta) == 1.0:  # all on one side, no spread to see: Feng and Cliff's limit
        near = (min(m, n) - z**2) / (min(m, n) + z**2)
        return (1.0, near, 1.0) if delta > 0.0 else (-1.0, -1.0, -near)
    ties = np.sum(np.searchsorted(ranked_b, a, "right") - np.searchsorted(ranked_b, a, "left"))
    squares = m * n - float(ties) - m * n * delta**2  # of the single signs around delta
    over = n**2 * np.sum((rows - delta) ** 2) + m**2 * np.sum((columns - delta) ** 2) - squares
    least = (1.0 - delta**2) / (m * n - 1.0)
    variance = max(float(over) / (m * n * (m - 1.0) * (n - 1.0)), least)
    spread = z * variance**0.5 * ((1.0 - delta**2) ** 2 + z**2 * variance) ** 0.5
    under = 1.0 - delta**2 + z**2 * variance
    return delta, (delta - delta**3 - spread) / under, (delta - delta**3 + spread) / under
