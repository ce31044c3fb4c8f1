"""Many paths of a model, each reduced to a few numbers while it is made: memory does not grow with their length."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.paths.gbm import GBM
from kernelkit.paths.model import PATHS, Draws, Float64s, Model, check_counts

if TYPE_CHECKING:
    import xarray as xr

Kind = Literal["independent", "antithetic", "sobol"]

BATCH = 2048  # paths at a time: a piece of 32 steps of them stays in the cache
SOBOL_CELLS = 2**21


def simulate(model: Model, *, paths: int, steps: int, seed: int = 0, draws: Kind = "independent") -> xr.Dataset:
    """Return what becomes of so many paths, dim ``path`` (and ``asset`` where the model has several), in float64.

    ``terminal`` and ``lowest`` are the price at the end and the lowest one, ``max_drawdown`` the largest loss from an
    earlier high; prices are those at the steps' ends and the first, which is 1 (G7). Draws are functions of (seed,
    path, step): path 7 is the same among ten paths and among a million, and as ``model.bars(path=7)`` before rounding.

    ``"antithetic"``: each second path takes the normal draws of the one before it with the opposite sign; for an error
    take means of pairs. ``"sobol"``: scrambled Sobol points through a Brownian bridge, of `GBM` alone and of at most
    21,201 steps; best with 2^k paths; for an error take several seeds (G9). Raises `UsageError`.

    >>> from kernelkit.paths import GBM
    >>> year = simulate(GBM(drift=0.05, volatility=0.2), paths=10_000, steps=252)
    >>> bool(abs(year["terminal"].mean() - np.exp(0.05)) < 4 * 0.2 * np.exp(0.05) / 100)
    True
    """
    import xarray as xr

    check_counts("simulate", seed, paths=(paths, 1, PATHS), steps=(steps, 1, 2**40))
    if draws not in get_args(Kind):
        wanted = f"one of {', '.join(map(repr, get_args(Kind)))}"
        raise UsageError(message("simulate: draws", repr(draws), wanted, "See help(kk.paths.simulate)."))
    if draws == "sobol":
        out = _sobol(model, paths, steps, seed)
    else:
        wide = len(model.assets)
        out = np.empty((4, paths * wide))
        for first in range(0, paths, BATCH):
            some = Draws(seed, first, min(BATCH, paths - first), draws == "antithetic")
            out[:, first * wide : (first + some.many) * wide] = model.reduced(some, steps)
    shape, dims = (paths,), ("path",)
    coords: dict[str, object] = {"path": np.arange(paths)}
    if len(model.assets) > 1:
        shape, dims, coords["asset"] = (paths, len(model.assets)), ("path", "asset"), list(model.assets)  # type: ignore[assignment]
    names = {
        "terminal": (np.exp(out[0]), "price at the end over the first"),
        "lowest": (np.exp(out[2]), "lowest price over the first"),
        "max_drawdown": (-np.expm1(-out[3]), "largest loss from an earlier high, as a fraction"),
    }
    columns = {k: (dims, v.reshape(shape), {"units": "1", "long_name": text}) for k, (v, text) in names.items()}
    attrs = {"model": repr(model), "seed": int(seed), "steps": int(steps), "draws": draws, "synthetic": 1}
    return xr.Dataset(columns, coords, attrs)


def _sobol(model: Model, paths: int, steps: int, seed: int) -> Float64s:
    """G9, some thousand paths at a time."""
    from scipy.stats import qmc

    from kernelkit import rng
    from kernelkit.kernels.compile import kernel
    from kernelkit.kernels.walks import SUMMARY_TYPES

    if not isinstance(model, GBM) or steps > qmc.Sobol.MAXDIM:
        found = f"{type(model).__name__}, {steps} steps"
        fix = "Take draws='antithetic'."
        raise UsageError(message("simulate: draws='sobol'", found, f"GBM and at most {qmc.Sobol.MAXDIM} steps", fix))
    points = qmc.Sobol(steps, scramble=True, rng=np.random.default_rng(seed), bits=52)
    out, batch = np.zeros((4, paths)), max(1, SOBOL_CELLS // steps)
    summarise = kernel("walks", "summarise", SUMMARY_TYPES)
    for first in range(0, paths, batch):
        many = min(batch, paths - first)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a number of points is no power of two
            u = points.random(many)
        walk = bridge(rng.normal_quantile(np.clip(u, 2.0**-53, 1.0 - 2.0**-53)).T)
        move = np.zeros(((steps + 3) // 4 * 4, many))
        move[:steps] = model.mean + model.deviation * np.diff(walk, axis=0, prepend=0.0)
        carry = np.zeros((4, many))
        summarise(move, carry)
        out[:, first : first + many] = carry
    return out


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
