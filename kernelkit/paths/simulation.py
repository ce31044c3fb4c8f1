"""Many paths of a model, each reduced to a few numbers while it is made: memory does not grow with their length."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from kernelkit import gpu as devices
from kernelkit.errors import UsageError, arguments, message
from kernelkit.gpu import Gpu
from kernelkit.paths.model import PATHS, Draws, Float64s, Kind, Lane, Model, check_counts
from kernelkit.paths.sobol import CELLS, draws_of, sobol_points

if TYPE_CHECKING:
    import xarray as xr

BATCH = 2048  # paths at a time: a piece of 32 steps of them stays in the cache
WORTH = 2 * 10**9  # steps: a few seconds of one core, about what a device's program takes to compile


@arguments()
def simulate(
    model: Model, *, paths: int, steps: int, seed: int = 0, draws: Kind = "independent", gpu: Gpu = False
) -> xr.Dataset:
    """Return what becomes of so many paths, dim ``path`` (and ``asset`` where the model has several), in float64.

    ``terminal`` and ``lowest`` are the price at the end and the lowest one, ``max_drawdown`` the largest loss from an
    earlier high; prices are those at the steps' ends and the first, which is 1 (G7). Draws are functions of (seed,
    path, step): path 7 is the same among ten paths and among a million, and as ``model.bars(path=7)`` before rounding.

    ``"antithetic"``: each second path takes the normal draws of the one before it with the opposite sign; for an error
    take means of pairs. ``"sobol"``: scrambled Sobol points through a Brownian bridge, of models with one innovation a
    step (`GBM`, `GARCH`, `IID`) and of at most 21,201 steps; best with 2^k paths; for an error take several seeds (G9).
    Raises `UsageError`, as for antithetic draws of what has no mirror image: blocks of a history.

    ``gpu=True`` makes each path on a thread of a CUDA device, with the same bits; ``"auto"`` does where there is one,
    the model can and it is worth it. `attrs["gpu"]` then says what was done (docs/performance.md).

    >>> from kernelkit.paths import GBM
    >>> year = simulate(GBM(drift=0.05, volatility=0.2), paths=10_000, steps=252)
    >>> bool(abs(year["terminal"].mean() - np.exp(0.05)) < 4 * 0.2 * np.exp(0.05) / 100)
    True
    """
    import xarray as xr

    given: object = model
    if not isinstance(given, Model):
        fix = "Write kk.paths.GBM(drift=0.05, volatility=0.2), or fit one: kk.paths.GBM.fit(bars)."
        raise UsageError(message("simulate: model", repr(given), "a model of kk.paths", fix))
    check_counts("simulate", seed, paths=(paths, 1, PATHS), steps=(steps, 1, 2**40))
    device, said = devices.choose("simulate", gpu, partial(_obstacle, model, draws), paths * steps >= WORTH)
    if device:
        out = _on_device(model, draws_of("simulate", model, draws, steps, seed, 0, paths), steps)
    else:
        out = _in_batches(model, draws, paths, steps, seed)
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
    attrs = {"model": repr(model), "seed": int(seed), "steps": int(steps), "draws": draws, "synthetic": 1} | said
    return xr.Dataset(columns, coords, attrs)


def _in_batches(model: Model, kind: Kind, paths: int, steps: int, seed: int) -> Float64s:
    """G7, some thousand paths at a time."""
    wide, batch = len(model.assets), BATCH
    points = sobol_points("simulate", model, steps, seed) if kind == "sobol" else None
    if points is not None:
        batch = max(1, CELLS // steps)
    out = np.empty((4, paths * wide))
    for first in range(0, paths, batch):
        some = draws_of("simulate", model, kind, steps, seed, first, min(batch, paths - first), points)
        out[:, first * wide : (first + some.many) * wide] = model.reduced(some, steps)
    return out


def _obstacle(model: Model, kind: Kind) -> str:
    """Why a device cannot make these paths, "" where it can."""
    if kind == "sobol":
        return "Sobol points, which SciPy makes"
    return "" if model.lane is not None else f"{type(model).__name__}, whose paths only the processor makes"


def _on_device(model: Model, draws: Draws, steps: int) -> Float64s:
    """G7, each path on a thread of its own."""
    from kernelkit.kernels import cuda

    kind, numbers, size, begin = cast(Lane, model.lane)
    return np.asarray(cuda.reduced(kind, np.array(numbers), size, begin, draws.place(0), draws.many, steps))
