"""What slippage really was, as a model that a back-test can be given (RC6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelkit.market import slippage

if TYPE_CHECKING:
    from kernelkit.market.models import CostModel

# Fewer fills than this say little: the standard error of a mean is then a quarter of the scatter or more.
LEAST = 20
# Impact is told apart from a constant where its coefficient is this many standard errors above nothing.
ERRORS = 2.0


@dataclass(frozen=True)
class Slippage:
    """Fitted to ``n`` real fills: the model (None where it cannot be told), its coefficients with standard errors."""

    n: int
    model: CostModel | None
    coefficients: Mapping[str, tuple[float, float]]
    note: str

    def __str__(self) -> str:
        told = ", ".join(f"{name} {value:.3g} ± {error:.1g}" for name, (value, error) in self.coefficients.items())
        return f"{told or 'not fitted'} ({self.note})"


def refit(paid: NDArray[np.float64], share: NDArray[np.float64]) -> Slippage:
    """RC6: ``paid`` is what each fill was worse than the market by, a fraction; ``share`` its part of the volume.

    A share of NaN is one that is not known.

    >>> steady = refit(np.linspace(0.0004, 0.0006, 41), np.full(41, np.nan))
    >>> steady.model, round(steady.coefficients["fraction"][0], 6)
    (fraction(rate=0.0005), 0.0005)
    """
    n = len(paid)
    if n < LEAST:
        return Slippage(n, None, {}, f"{n} fills that take from the market, {LEAST} are needed")
    root = np.sqrt(share)
    if np.isfinite(root).all() and np.ptp(root) > 0.0:
        (rate, impact), (error, doubt) = _fitted(paid, np.column_stack([np.ones(n), root]))
        if impact > ERRORS * doubt:
            found = {"fraction": (rate, error), "square_root": (impact, doubt)}
            if rate > 0.0:
                model = slippage.fraction(round(rate, 8)) + slippage.square_root(round(impact, 8))
                return Slippage(n, model, found, f"robust regression on {n} fills")
            (impact,), (doubt,) = _fitted(paid, root[:, None])
            note = f"robust regression on {n} fills; a constant part would be below 0"
            return Slippage(n, slippage.square_root(round(impact, 8)), {"square_root": (impact, doubt)}, note)
        note = f"robust mean of {n} fills; it does not grow with their share of the volume, as far as they tell"
    else:
        note = f"robust mean of {n} fills; no volume is known, or it is always the same part"
    (rate,), (error,) = _fitted(paid, np.ones((n, 1)))
    found = {"fraction": (rate, error)}
    if rate <= 0.0:
        return Slippage(n, None, found, f"{note}; fills were no worse than the market")
    return Slippage(n, slippage.fraction(round(rate, 8)), found, note)


def _fitted(y: NDArray[np.float64], x: NDArray[np.float64]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Huber's M-estimate and its standard errors."""
    import statsmodels.api as sm

    scale = float(np.median(np.abs(y - np.median(y)))) or float(np.std(y)) or 1.0
    if np.ptp(y) == 0.0:  # nothing scatters, and a scale of 0 has no weights
        return tuple(np.linalg.lstsq(x, y, rcond=None)[0].tolist()), (0.0,) * x.shape[1]
    done = sm.RLM(y / scale, x, M=sm.robust.norms.HuberT()).fit()
    return tuple((done.params * scale).tolist()), tuple((done.bse * scale).tolist())
