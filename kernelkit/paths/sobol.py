"""Draws of a kind: independent, in pairs, or Sobol points through a Brownian bridge (G2, G9)."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernelkit import rng
from kernelkit.errors import UsageError, message
from kernelkit.paths.model import KINDS, Draws, Float64s, Kind, Model

CELLS = 2**21  # numbers at a time


@dataclass(frozen=True)
class SobolDraws(Draws):
    """Draws whose normal and t numbers of stream 0 are `moves` (step, path), of variance 1; the others as ever."""

    moves: Float64s | None = None

    def normals(self, step: int, stream: int, out: Float64s, *, scale: float = 1.0, mean: float = 0.0) -> None:
        """Fill `out` (step, path); steps after the last get the mean (G9)."""
        if stream != 0 or self.moves is None:
            super().normals(step, stream, out, scale=scale, mean=mean)
            return
        own = self.moves[step : step + len(out)]
        out[len(own) :] = mean
        out[: len(own)] = mean + scale * own

    def students(self, step: int, stream: int, out: Float64s, df: float) -> None:
        """Fill `out` with the Student's t numbers of variance 1 that are as likely."""
        from scipy.special import ndtr, stdtrit

        self.normals(step, stream, out)
        out[:] = np.copysign(stdtrit(df, ndtr(-np.abs(out))), out) * math.sqrt((df - 2.0) / df)


def draws_of(
    what: str, model: Model, kind: Kind, steps: int, seed: int, first: int, many: int, points: Any = None
) -> Draws:
    """Draws of `many` paths from `first` on; `points` are Sobol's that have come as far.

    Raises `UsageError` for a kind that there is not, or not of this model.
    """
    if kind not in KINDS:
        wanted = f"one of {', '.join(map(repr, KINDS))}"
        raise UsageError(message(f"{what}: draws", repr(kind), wanted, "See help(kk.paths.simulate)."))
    if kind not in model.kinds:
        found, wanted = f"{kind!r} of {type(model).__name__}", ", ".join(map(repr, model.kinds))
        raise UsageError(message(f"{what}: draws", found, wanted, f"Take draws={model.kinds[-1]!r}."))
    if kind != "sobol":
        return Draws(seed, first, many, kind == "antithetic")
    if points is None:
        points = sobol_points(what, model, steps, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a number of points is no power of two
        while points.num_generated < first:  # SciPy's own fast_forward knows 32 bits alone
            points.random(min(first - points.num_generated, max(1, CELLS // steps)))
        u = points.random(many)
    walk = bridge(rng.normal_quantile(np.clip(u, 2.0**-53, 1.0 - 2.0**-53)).T)
    return SobolDraws(seed, first, many, moves=np.diff(walk, axis=0, prepend=0.0))


def sobol_points(what: str, model: Model, steps: int, seed: int) -> Any:
    """G9: SciPy's points from the first on, one dimension a step."""
    from scipy.stats import qmc

    if "sobol" not in model.kinds or steps > qmc.Sobol.MAXDIM:
        found = f"{type(model).__name__}, {steps} steps"
        wanted = f"GBM, GARCH or IID, and at most {qmc.Sobol.MAXDIM} steps"
        raise UsageError(message(f"{what}: draws='sobol'", found, wanted, "Take draws='independent'."))
    return qmc.Sobol(steps, scramble=True, rng=np.random.default_rng(seed), bits=52)


def bridge(z: Float64s) -> Float64s:
    """A Brownian motion at 1, 2, ... from normal numbers (step, path), the most important ones first (G9).

    The first number is for the end, then one for the middle, then for the middles of both halves from the left, and so
    on (Caflisch and Moskowitz, 1995).

    >>> bridge(np.array([[2.0], [0.0], [0.0]])).ravel().round(3).tolist()
    [1.155, 2.309, 3.464]
    """
    n = len(z)
    walk = np.zeros((n + 1, z.shape[1]))
    walk[n] = n**0.5 * z[0]
    gaps, k = [(0, n)], 1
    while gaps:
        deeper = []
        for a, b in gaps:
            if b - a > 1:
                m = (a + b) // 2
                left = (b - m) / (b - a)
                walk[m] = left * walk[a] + (1.0 - left) * walk[b] + ((m - a) * left) ** 0.5 * z[k]
                k += 1
                deeper += [(a, m), (m, b)]
        gaps = deeper
    return walk[1:]
