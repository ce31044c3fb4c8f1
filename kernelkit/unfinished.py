"""What the trials of a run that is still at work have come to: which are asked for stands beside the results kept.

A folder of results (`reuse`) knows trials by their keys alone. ``asked-<hash>.json`` says of each batch of trials,
before the first of them runs, which labels these have; with it what is kept so far is a labelled Dataset.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import schema
from kernelkit.files import write_atomic
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import new_outcome
from kernelkit.result import trial_numbers
from kernelkit.reuse import KEY_BYTES, Results

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.recipe import Recipe

MOST = 200_000  # trials whose labels are written: 10 MB


def ask(results: Results, keys: np.ndarray, recipe: Recipe, dim: str = "", labels: Sequence[Any] = ()) -> None:
    """Say which trials these ``keys`` are: the cells of a recipe, once for each of the ``labels`` along ``dim``."""
    if recipe.listed is not None or len(keys) > MOST:
        return
    numbers = trial_numbers(recipe)
    names = [*recipe.axes, *(["asset"] if len(recipe.accounts) > 1 else [])]
    values = {**recipe.axes, **({"asset": recipe.assets} if len(recipe.accounts) > 1 else {})}
    told = {
        "dim": dim,
        "labels": list(labels),
        "coords": {name: list(values[name]) for name in names},
        "numbers": numbers.ravel().tolist(),
        "keys": keys.tobytes().hex(),
        "strategy": recipe.strategy.name,
    }
    content = json.dumps(told, default=str).encode()
    path = results.place / f"asked-{hashlib.sha256(content).hexdigest()[:32]}.json"
    if not path.exists():
        results.place.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)


def so_far(place: Path) -> dict[str, xr.Dataset]:
    """The metrics of all trials that were asked for, by what the study goes along (a grid: by its strategy).

    ``attrs["partial"]`` says how many of them have ended; the others are NaN.
    """
    import xarray as xr

    found, results = dict[str, list[xr.Dataset]](), Results(place)
    for path in sorted(place.glob("asked-*.json"), key=lambda path: path.stat().st_mtime_ns):
        asked = json.loads(path.read_bytes())
        found.setdefault(asked["dim"] or asked["strategy"], []).append(_metrics(results, asked))
    out = {}
    for name, parts in found.items():
        alike = [part for part in parts if part.sizes.keys() == parts[0].sizes.keys()]
        if name in parts[0].dims:
            whole = xr.concat(alike, name, join="outer")
        else:
            parts = parts[-1:]
            whole = parts[0]
        ended, total = (sum(part.attrs[n] for part in parts) for n in ("ended", "trials"))
        partial = f"{ended:,} of {total:,} trials that were asked for have ended"
        out[name] = whole.assign_attrs(partial=partial, ended=ended, trials=total)
    return out


def _metrics(results: Results, asked: Mapping[str, Any]) -> xr.Dataset:
    """The Dataset of one batch."""
    import xarray as xr

    keys = np.frombuffer(bytes.fromhex(asked["keys"]), f"V{KEY_BYTES}")
    outcome = new_outcome(len(keys), False)
    results.find(keys, outcome)
    rows = np.vstack([np.where(outcome.done[:, None], outcome.headline, np.nan), np.full(len(L.HEADLINE), np.nan)])
    numbers, coords = np.array(asked["numbers"]), dict(asked["coords"])
    if asked["dim"]:
        each = len(keys) // len(asked["labels"])
        shifts = each * np.arange(len(asked["labels"]))[:, None]
        numbers = np.where(numbers >= 0, numbers + shifts, -1)
        coords = {asked["dim"]: asked["labels"], **coords}
    shape = tuple(len(v) for v in coords.values())
    values = rows[numbers.reshape(shape)]
    ds = xr.Dataset({n: (tuple(coords), values[..., k]) for k, n in enumerate(L.HEADLINE)}, coords)
    schema.label(ds)
    return ds.assign_attrs(strategy=asked["strategy"], ended=int(outcome.done.sum()), trials=len(keys))
