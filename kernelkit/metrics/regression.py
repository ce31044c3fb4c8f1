"""Least squares of one series with errors that allow for what is left being uneven and correlated over time (M21)."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.special
from numpy.typing import NDArray

from kernelkit.kernels.scan import EPSILON

Floats = NDArray[np.float64]
Correction = Literal["small", "none", "satterthwaite"]


class Fit(NamedTuple):
    """Coefficients with their standard errors, t and two-sided p-values; the share explained, what is left."""

    coefficients: Floats
    errors: Floats
    t: Floats
    p_values: Floats
    r_squared: float
    residuals: Floats


def newey_west_lags(n: Any) -> Any:
    """M21: the lags that Newey and West (1994) begin with, `floor(4 (n / 100)^(2/9))`, of a number or an array.

    >>> float(newey_west_lags(100)), float(newey_west_lags(2520))
    (4.0, 8.0)
    """
    return np.floor(4.0 * (n / 100.0) ** (2.0 / 9.0))


def least_squares(y: Floats, x: Floats, *, lags: int | None = None, correction: Correction = "small") -> Fit:
    """M21: `y` (n) on the columns of `x` (n, k), a constant among them, with errors of Newey and West (1987).

    `correction` of the errors for few samples: ``"small"`` `n / (n - k)`; ``"satterthwaite"`` as M21 says, which also
    takes fewer degrees of freedom (Bell and McCaffrey, 2002; Imbens and Kolesár, 2016). All is NaN of no more samples
    than columns and of columns that depend on one another; errors, t and p-values are NaN where nothing is left to err.

    >>> line = np.column_stack([np.ones(4), np.arange(4.0)])
    >>> least_squares(np.array([1.0, 2.0, 2.0, 4.0]), line, lags=0).coefficients.round(12)
    array([0.9, 0.9])
    """
    n, k = x.shape
    size = np.sqrt(np.sum(x * x, axis=0))
    if n <= k or not np.all(size > 0.0) or np.linalg.matrix_rank(x / size) < k:
        nothing = np.full(k, np.nan)
        return Fit(nothing, nothing, nothing, nothing, np.nan, np.full(n, np.nan))
    unit = x / size  # columns of one size: an intercept beside small returns costs no digits
    found = np.linalg.lstsq(unit, y, rcond=None)[0]
    left = y - unit @ found
    bread = np.linalg.inv(unit.T @ unit)
    scores = unit * left[:, None]
    reach = int(newey_west_lags(n) if lags is None else lags)
    variances, freedom = np.diag(bread @ long_run(scores, reach) @ bread), np.full(k, float(n - k))
    if correction == "small":
        variances = variances * (n / (n - k))
    elif correction == "satterthwaite":
        factors, freedom = _satterthwaite(unit, bread, reach)
        variances = variances * factors
    squares, about = np.sum(left**2), np.sum((y - np.mean(y)) ** 2)
    exact = squares <= n * EPSILON * np.sum(y * y)
    errors = np.where(exact, np.nan, np.sqrt(np.maximum(variances, 0.0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = found / np.where(errors > 0.0, errors, np.nan)
        r_squared = 1.0 - squares / about if about > n * EPSILON * np.sum(y * y) else np.nan
    return Fit(found / size, errors / size, t, two_sided(t, freedom), float(r_squared), left)


def long_run(scores: Floats, lags: int) -> Floats:
    """The sum of the outer products of the rows (n, k), neighbours up to `lags` apart with weights of Bartlett.

    >>> long_run(np.array([[1.0], [1.0], [1.0]]), 1)
    array([[5.]])
    """
    total = scores.T @ scores
    for lag in range(1, min(lags, len(scores) - 1) + 1):
        crossed = scores[lag:].T @ scores[:-lag]
        total = total + (1.0 - lag / (lags + 1.0)) * (crossed + crossed.T)
    return np.asarray(total)


def _satterthwaite(x: Floats, bread: Floats, lags: int) -> tuple[Floats, Floats]:
    """M21: what the variances of coefficients lack on average, and the chi-squared that they are like.

    Both of even, independent noise, whose estimated variance of coefficient j is `u' M Q M u`, with `M` what takes the
    columns out and `Q` the matrix `w(s - t) a(s) a(t)`, `a` the weights of the samples in the coefficient.
    """
    k = x.shape[1]
    factors, freedom = np.empty(k), np.empty(k)
    for j, a in enumerate((x @ bread).T):
        rows = a[:, None] * x
        reached, squares = rows.copy(), np.sum(a**4)
        for lag in range(1, min(lags, len(x) - 1) + 1):
            weight = 1.0 - lag / (lags + 1.0)
            reached[lag:] += weight * rows[:-lag]
            reached[:-lag] += weight * rows[lag:]
            squares += 2.0 * weight**2 * np.sum((a[lag:] * a[:-lag]) ** 2)
        reached *= a[:, None]  # Q x, and no n by n matrix
        inside = bread @ (x.T @ reached)
        mean = np.sum(a * a) - np.trace(inside)
        spread = squares - 2.0 * np.trace(bread @ (reached.T @ reached)) + np.trace(inside @ inside)
        factors[j], freedom[j] = np.sum(a * a) / mean, mean**2 / spread
    return factors, freedom


def mean_test(x: Floats, *, lags: int | None = None, correction: Correction = "small") -> Fit:
    """M21: is the mean of `x` (n) other than 0? The regression on a constant alone.

    >>> round(float(mean_test(np.array([1.0, 2.0, 3.0]), lags=0).t[0]), 4)
    3.4641
    """
    return least_squares(x, np.ones((len(x), 1)), lags=lags, correction=correction)


def two_sided(t: Any, degrees: Any) -> Any:
    """P(Student's t of so many degrees is as far from 0)."""
    return 2.0 * scipy.special.stdtr(degrees, -np.abs(t))
