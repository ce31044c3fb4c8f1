"""The Gaussian process beside SciPy's normal distribution, and its expected improvement beside an integral."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from kernelkit.study.surrogate import MOST, Surrogate

RNG = np.random.default_rng(5)
POINTS, VALUES = RNG.uniform(size=(9, 2)), RNG.normal(size=9)
MODEL = Surrogate(POINTS, VALUES, np.array([0.4, 1.3]), 0.02)


def matern(a: np.ndarray, b: np.ndarray) -> float:
    r = math.sqrt(5.0 * sum(((x - y) / n) ** 2 for x, y, n in zip(a, b, (0.4, 1.3), strict=True)))
    return (1.0 + r + r * r / 3.0) * math.exp(-r)


@pytest.mark.oracle("SciPy", covers="D7")
def test_the_likelihood_is_scipys() -> None:
    covariance = np.array([[matern(a, b) for b in POINTS] for a in POINTS]) + 0.02 * np.eye(9)
    expected = multivariate_normal(np.zeros(9), covariance).logpdf(VALUES) + 4.5 * math.log(2.0 * math.pi)
    assert MODEL.log_likelihood() == pytest.approx(expected, rel=1e-10)


def test_what_is_foreseen_is_the_conditional_distribution() -> None:
    new = np.array([[0.3, 0.9], [0.5, 0.5]])
    both = np.vstack([POINTS, new])
    joint = np.array([[matern(a, b) for b in both] for a in both])
    own, cross = joint[:9, :9] + 0.02 * np.eye(9), joint[9:, :9]
    mean, sd = MODEL.foreseen(new)
    np.testing.assert_allclose(mean, cross @ np.linalg.inv(own) @ VALUES, rtol=1e-8)
    left = joint[9:, 9:] - cross @ np.linalg.inv(own) @ cross.T
    np.testing.assert_allclose(sd, np.sqrt(np.diag(left)), rtol=1e-8)


def test_the_gradient_is_that_of_the_likelihood() -> None:
    start, step = np.log([0.4, 1.3, 0.02]), 1e-5

    def at(theta: np.ndarray) -> float:
        return Surrogate(POINTS, VALUES, np.exp(theta[:2]), float(np.exp(theta[2]))).log_likelihood()

    moves = step * np.eye(3)
    expected = [(at(start + move) - at(start - move)) / (2.0 * step) for move in moves]
    np.testing.assert_allclose(MODEL.gradient(), expected, rtol=1e-6)


@pytest.mark.oracle("SciPy", covers="D7", cases=2)
def test_expected_improvement_is_the_integral() -> None:
    new = np.array([[0.3, 0.9], [0.01, 0.99]])
    best = MODEL.foreseen(POINTS)[0].max()
    for point, found in zip(new, MODEL.improvement(new), strict=True):
        mean, sd = (float(v[0]) for v in MODEL.foreseen(point[None]))
        expected, _ = quad(lambda x, m=mean, s=sd: max(x - best, 0.0) * norm.pdf(x, m, s), best, best + 12.0 * sd)
        assert found == pytest.approx(expected, rel=1e-6)


def test_a_fit_tells_axes_that_matter_from_one_that_does_not() -> None:
    points = RNG.uniform(size=(80, 2))
    model = Surrogate.fit(points, np.sin(6.0 * points[:, 0]))
    assert model.lengths[1] > 3.0 * model.lengths[0]
    at = np.array([[math.pi / 12.0, 0.5], [math.pi / 4.0, 0.5]])
    top, bottom = model.foreseen(at)[0]
    assert top > 1.5
    assert bottom < -1.5


def test_many_points_are_thinned_to_the_best_and_the_newest() -> None:
    points = RNG.uniform(size=(3 * MOST, 1))
    values = -((points[:, 0] - 0.4) ** 2)
    model = Surrogate.fit(points, values)
    assert len(model.points) <= MOST
    best, newest = points[np.argmax(values)], points[-1]
    assert best in model.points
    assert newest in model.points


def test_equal_values_have_a_fit() -> None:
    model = Surrogate.fit(POINTS, np.zeros(9))
    assert np.isfinite(model.improvement(POINTS)).all()
