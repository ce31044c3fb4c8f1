"""A Gaussian process over the unit cube, and what it expects of points that have not been tried."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST = 400  # points that are fitted: the best half of them, and the newest
SCALES = 0.03, 10.0  # lengths over which values change, in widths of the space
NOISE = 1e-6, 1.0  # variance that no point explains, of that of all values
ROOT5 = math.sqrt(5.0)


@dataclass(frozen=True)
class Surrogate:
    """Values at points of the unit cube, standardised, as draws of one Gaussian process (Matérn 5/2, a length an axis).

    Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapters 2, 4 and 5; the expected
    improvement of Jones, Schonlau and Welch, Journal of Global Optimization 13 (1998).
    """

    points: Floats
    values: Floats
    lengths: Floats
    noise: float

    @classmethod
    def fit(cls, points: Floats, values: Floats) -> Surrogate:
        """The lengths and the noise of largest marginal likelihood; values are ranked to normal scores first.

        Metrics have wild tails, and only their order says what is better.
        """
        from scipy.optimize import minimize
        from scipy.stats import norm, rankdata

        if len(values) > MOST:
            best = np.argsort(-values, kind="stable")[: MOST // 2]
            kept = np.unique([*best, *range(len(values) - MOST // 2, len(values))])
            points, values = points[kept], values[kept]
        scores: Floats = norm.ppf((rankdata(values) - 0.5) / len(values))
        spread = float(scores.std())
        scores = scores / spread if spread > 0.0 else scores
        d = points.shape[1]
        bounds = [tuple(np.log(SCALES))] * d + [tuple(np.log(NOISE))]

        def badness(theta: Floats) -> tuple[float, Floats]:
            one = cls(points, scores, np.exp(theta[:d]), float(np.exp(theta[d])))
            off = theta - middle
            return 0.5 * float(off @ (off / spread_of)) - one.log_likelihood(), off / spread_of - one.gradient()

        # a weak prior: lengths near half of the space, little noise
        middle = np.r_[np.full(d, np.log(0.5)), np.log(1e-3)]
        spread_of = np.r_[np.ones(d), 10.0]
        starts = [np.r_[np.full(d, np.log(length)), middle[d]] for length in (0.2, 1.0)]
        tried = (minimize(badness, x0, jac=True, method="L-BFGS-B", bounds=bounds) for x0 in starts)
        found = min(tried, key=lambda r: r.fun)
        return cls(points, scores, np.exp(found.x[:d]), float(np.exp(found.x[d])))

    def distance(self, a: Floats, b: Floats) -> Floats:
        """`r = sqrt(5) |a - b|`, each axis in its length."""
        square = np.zeros((len(a), len(b)))
        for j, length in enumerate(self.lengths):
            square += ((a[:, None, j] - b[None, :, j]) / length) ** 2
        found: Floats = ROOT5 * np.sqrt(square)
        return found

    def covariance(self, a: Floats, b: Floats) -> Floats:
        """Matérn 5/2: `(1 + r + r^2 / 3) e^-r`."""
        r = self.distance(a, b)
        found: Floats = (1.0 + r + r * r / 3.0) * np.exp(-r)
        return found

    @cached_property
    def factor(self) -> tuple[Floats, Floats]:
        """The lower root of the covariance of the values, and the covariance's inverse times them."""
        from scipy.linalg import cho_solve, cholesky

        own = self.covariance(self.points, self.points) + self.noise * np.eye(len(self.points))
        root: Floats = cholesky(own, lower=True)
        return root, cho_solve((root, True), self.values)

    def log_likelihood(self) -> float:
        """Of the values, less a constant.

        >>> two = Surrogate(np.array([[0.0], [9.0]]), np.array([1.0, 0.0]), np.array([0.01]), 1.0)
        >>> bool(abs(two.log_likelihood() + 0.25 + np.log(2.0)) < 1e-9)
        True
        """
        root, weights = self.factor
        return -0.5 * float(self.values @ weights) - float(np.log(np.diag(root)).sum())

    def gradient(self) -> Floats:
        """Of the log-likelihood, by the logarithms of the lengths and of the noise."""
        from scipy.linalg import cho_solve

        root, weights = self.factor
        inner = np.outer(weights, weights) - cho_solve((root, True), np.eye(len(root)))
        r = self.distance(self.points, self.points)
        common = 5.0 / 3.0 * (1.0 + r) * np.exp(-r) * inner
        steps = [(self.points[:, None, j] - self.points[None, :, j]) / n for j, n in enumerate(self.lengths)]
        each = [0.5 * float(np.sum(common * step * step)) for step in steps]
        return np.array([*each, 0.5 * self.noise * float(np.trace(inner))])

    def foreseen(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation at points (n, axis)."""
        from scipy.linalg import solve_triangular

        root, weights = self.factor
        cross = self.covariance(points, self.points)
        part = solve_triangular(root, cross.T, lower=True)
        return cross @ weights, np.sqrt(np.maximum(1.0 - (part * part).sum(axis=0), 1e-12))

    def improvement(self, points: Floats) -> Floats:
        """Expected improvement over the largest mean at a point that was tried."""
        from scipy.stats import norm

        mean, sd = self.foreseen(points)
        z = (mean - self.foreseen(self.points)[0].max()) / sd
        found: Floats = sd * (z * norm.cdf(z) + norm.pdf(z))
        return found

    def believing(self, point: Floats) -> Surrogate:
        """As if the point had come to what is foreseen of it."""
        mean, _ = self.foreseen(point[None])
        return Surrogate(np.vstack([self.points, point]), np.append(self.values, mean), self.lengths, self.noise)
