"""Laws of returns: normal, Student's t and skewed t (G14). Stable laws are in `stable`."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from kernelkit.errors import UsageError, arguments, message
from kernelkit.paths.model import Float64s, check_numbers


@dataclass(frozen=True)
class Law(ABC):
    """A continuous distribution with a location and a scale; parameters beyond them are its shape."""

    location: float
    scale: float

    key: ClassVar[str]  # its name in `fit_laws`
    bounds: ClassVar[tuple[tuple[float, float], ...]] = ()  # of its shape, in a fit

    def __post_init__(self) -> None:
        fix = f"See help(kk.paths.{type(self).__name__})."
        check_numbers(self)
        if not self.scale > 0.0:
            raise UsageError(message("scale", self.scale, "above 0", fix))
        for field, (low, high) in zip(dataclasses.fields(self)[2:], self.bounds, strict=True):
            value = getattr(self, field.name)
            if not low <= value <= high:
                raise UsageError(message(field.name, value, f"from {low:g} to {high:g}", fix))

    @property
    def shape(self) -> tuple[float, ...]:
        """Its parameters beyond location and scale."""
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self)[2:])

    def log_density(self, x: Float64s) -> Float64s:
        """The logarithm of the density at `x`, of any shape."""
        return self._log_density(self._standard(x)).reshape(np.shape(x)) - math.log(self.scale)

    def distribution(self, x: Float64s) -> Float64s:
        """The chance of `x` or less."""
        return self._distribution(self._standard(x)).reshape(np.shape(x))

    def survival(self, x: Float64s) -> Float64s:
        """The chance of more than `x`, exact where that is small."""
        return self.mirror().distribution(np.negative(x))

    def mirror(self) -> Self:
        """The law of the number's opposite."""
        return dataclasses.replace(self, location=-self.location)

    def _standard(self, x: Float64s) -> Float64s:
        return np.atleast_1d((np.asarray(x, np.float64) - self.location) / self.scale)

    def at_normal(self, z: Float64s) -> Float64s:
        """The number that is as likely not exceeded as `z` is of a standard normal law, exact in both tails."""
        return self.location + self.scale * self._at_normal(z)

    def quantile(self, p: Float64s) -> Float64s:
        """The number that is not exceeded with chance `p`, between 0 and 1."""
        from scipy.special import ndtri

        return self.at_normal(ndtri(p))

    @classmethod
    @abstractmethod
    def guess(cls, x: Float64s) -> tuple[float, ...]:
        """A shape with which a fit to `x` begins."""

    @abstractmethod
    def _log_density(self, y: Float64s) -> Float64s: ...

    @abstractmethod
    def _distribution(self, y: Float64s) -> Float64s: ...

    @abstractmethod
    def _at_normal(self, z: Float64s) -> Float64s: ...

    @classmethod
    def fit(cls, x: Float64s, start: Self | None = None) -> Self:
        """The most likely law of independent samples `x` (G14).

        Begins at `start`, by default at the median, the distance of the quartiles and `guess`. Raises `UsageError` for
        samples of no spread.

        >>> x = np.random.default_rng(1).standard_t(4.0, 4000)
        >>> 3.0 < StudentT.fit(x).df < 5.0
        True
        """
        from scipy.optimize import minimize

        low, middle, high = np.quantile(x, [0.25, 0.5, 0.75])
        unit = float(high - low) or float(np.std(x))
        if not unit > 0.0:
            fix = "Give samples that differ."
            raise UsageError(message(f"{cls.__name__}.fit", "samples without spread", "some that differ", fix))
        y = (x - middle) / unit

        if start is None:
            begun = cls(0.0, 0.5, *cls.guess(y))
        else:
            begun = dataclasses.replace(start, location=(start.location - middle) / unit, scale=start.scale / unit)
        low, high = np.array([(-10.0, 10.0), (1e-3, 1e3), *cls.bounds]).T
        logs = np.array([field.name in ("scale", "df") for field in dataclasses.fields(cls)])

        def numbers(p: Any) -> Float64s:
            return np.where(logs, np.log(np.where(logs, p, 1.0)), p)

        def of(p: Float64s) -> Law:
            return cls(*np.clip(np.where(logs, np.exp(np.where(logs, p, 0.0)), p), low, high).tolist())

        found = minimize(
            lambda p: -float(np.mean(of(p).log_density(y))),
            numbers(dataclasses.astuple(begun)),
            method="L-BFGS-B",
            bounds=np.stack([numbers(low), numbers(high)], axis=1),
            options={"ftol": 1e-12, "gtol": 1e-7, "maxiter": 500},
        )
        best = of(found.x)
        return cls(float(middle) + unit * best.location, unit * best.scale, *best.shape)


@arguments()
@dataclass(frozen=True)
class Normal(Law):
    """The normal law of mean `location` and standard deviation `scale`.

    >>> Normal(0.0, 1.0).quantile(np.array([0.975])).round(2)
    array([1.96])
    """

    key = "normal"

    @classmethod
    def guess(cls, x: Float64s) -> tuple[float, ...]:
        """It has no shape."""
        return ()

    @classmethod
    def fit(cls, x: Float64s, start: Self | None = None) -> Self:
        """The mean, and the standard deviation with divisor `n`."""
        return cls(float(np.mean(x)), float(np.std(x)))

    def _log_density(self, y: Float64s) -> Float64s:
        return np.asarray(-0.5 * (y * y + math.log(2.0 * math.pi)))

    def _distribution(self, y: Float64s) -> Float64s:
        from scipy.special import ndtr

        return np.asarray(ndtr(y))

    def _at_normal(self, z: Float64s) -> Float64s:
        return z


@arguments()
@dataclass(frozen=True)
class StudentT(Law):
    """Student's t of ``df`` degrees of freedom about `location`, `scale` times the standard one.

    >>> StudentT(0.0, 1.0, df=4.0).quantile(np.array([0.975])).round(3)
    array([2.776])
    """

    df: float

    key = "t"
    bounds = ((1.0, 200.0),)

    @classmethod
    def guess(cls, x: Float64s) -> tuple[float, ...]:
        """Fat tails."""
        return (5.0,)

    def _log_density(self, y: Float64s) -> Float64s:
        return _log_t(y, self.df)

    def _distribution(self, y: Float64s) -> Float64s:
        from scipy.special import stdtr

        return np.asarray(stdtr(self.df, y))

    def _at_normal(self, z: Float64s) -> Float64s:
        from scipy.special import ndtr, stdtrit

        return np.asarray(np.copysign(stdtrit(self.df, ndtr(-np.abs(z))), z))


@arguments()
@dataclass(frozen=True)
class SkewT(Law):
    """Student's t, its side above `location` stretched by `1 + skew` and the one below by `1 - skew`.

    The density is `t((x - location) / (scale (1 ± skew))) / scale`. That is the law of Hansen (1994) and, but for the
    name of its skew, of Fernández and Steel (1998). `location` is its mode and `scale` that of the t, so that with
    ``skew=0`` it is `StudentT`; Hansen's has mean 0, variance 1 and more than two degrees of freedom.

    >>> bool(SkewT(0.0, 1.0, df=5.0, skew=-0.2).distribution(np.array([0.0]))[0] == 0.6)
    True
    """

    df: float
    skew: float

    key = "skew_t"
    bounds = ((1.0, 200.0), (-0.95, 0.95))

    @classmethod
    def guess(cls, x: Float64s) -> tuple[float, ...]:
        """Fat tails, no skew."""
        return 5.0, 0.0

    def mirror(self) -> Self:
        """The law of the number's opposite."""
        return dataclasses.replace(self, location=-self.location, skew=-self.skew)

    def _log_density(self, y: Float64s) -> Float64s:
        side = np.where(y < 0.0, 1.0 - self.skew, 1.0 + self.skew)
        return _log_t(y / side, self.df)

    def _distribution(self, y: Float64s) -> Float64s:
        from scipy.special import stdtr

        low, high = 1.0 - self.skew, 1.0 + self.skew
        below = low * stdtr(self.df, np.minimum(y, 0.0) / low)
        return np.asarray(np.where(y < 0.0, below, 1.0 - high * stdtr(self.df, -np.maximum(y, 0.0) / high)))

    def _at_normal(self, z: Float64s) -> Float64s:
        from scipy.special import ndtr, stdtrit

        low, high = 1.0 - self.skew, 1.0 + self.skew
        below, above = ndtr(z), ndtr(-z)
        left = below < 0.5 * low
        tail = np.where(left, below / low, above / high)
        return np.asarray(stdtrit(self.df, np.minimum(tail, 0.5)) * np.where(left, low, -high))


def _log_t(y: Float64s, df: float) -> Float64s:
    """The log density of the standard t."""
    constant = math.lgamma(0.5 * (df + 1.0)) - math.lgamma(0.5 * df) - 0.5 * math.log(df * math.pi)
    return np.asarray(constant - 0.5 * (df + 1.0) * np.log1p(y * y / df))
