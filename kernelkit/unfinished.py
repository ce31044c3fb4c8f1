"""What the trials of a run that is still at work have come to: which are asked for stands beside the results kept.

A folder of results (`reuse`) knows trials by their keys alone. ``asked-<hash>.json`` says of each batch of trials,
before the first of them runs, which labels these have; with it what is kept so far is a labelled Dataset.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import schema
from kernelkit.files import canonical_json, write_atomic
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import new_outcome
from kernelkit.result import trial_numbers
from kernelkit.reuse import KEY_BYTES, Results

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.recipe import Recipe

MOST = 200_000  # trials whose labels are written: 10 MB


def ask(results: Results, keys: np.ndarray, recipe: Recipe, dim: str = "", labels: Sequence[Any] = ()) -> None:
    """Say which trials these ``keys`` are: the cells of a recipe, once for each of the ``labels`` along ``dim``.

    Nothing is written of more than `MOST` trials, nor of points that are listed: their labels are no grid's.
    """
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
        "asset": None if len(recipe.assets) > 1 or recipe.shared else recipe.assets[0],
    }
    content = json.dumps(told, default=str).encode()
    path = results.place / f"asked-{hashlib.sha256(content).hexdigest()[:32]}.json"
    if not path.exists():
        results.place.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)


def so_far(place: Path) -> dict[str, xr.Dataset]:
    """The metrics of all trials that were asked for, by what the study goes along (a grid: by its strategy).

    Studies of other strategies or coordinates are others: where they go along the same, the names tell the strategy,
    and then count. What was asked for again, with other data or settings, replaces what it was. ``attrs["partial"]``
    says how many trials have ended; the others are NaN. ``ended``, ``trials`` and ``left_out``, those replaced, count
    them. Batches of more than `MOST` trials, and of points that are listed and no grid, are not among them.
    """
    results, studies = Results(place), dict[bytes, list[dict[str, Any]]]()
    for path in sorted(place.glob("asked-*.json"), key=lambda path: path.stat().st_mtime_ns):
        asked = json.loads(path.read_bytes())
        study = canonical_json([asked.get(n) for n in ("strategy", "dim", "coords", "asset")])
        studies.setdefault(study, []).append(asked)
    names = _names([(batches[0]["dim"], batches[0]["strategy"]) for batches in studies.values()])
    return {name: _whole(results, batches) for name, batches in zip(names, studies.values(), strict=True)}


def _names(studies: Sequence[tuple[str, str]]) -> list[str]:
    """A name for each study by its dim and strategy, as short as it can be.

    >>> _names([("window", "trend"), ("", "trend"), ("window", "cross"), ("", "trend")])
    ['window of trend', 'trend', 'window of cross', 'trend (2)']
    """
    dims, seen, found = [dim for dim, _ in studies], Counter[str](), []
    for dim, strategy in studies:
        name = strategy if not dim else dim if dims.count(dim) == 1 else f"{dim} of {strategy}"
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def _whole(results: Results, batches: Sequence[Mapping[str, Any]]) -> xr.Dataset:
    """The Dataset of one study: of the batches with the same labels the last."""
    import xarray as xr

    last = {canonical_json(asked["labels"]): asked for asked in batches}
    parts = [_metrics(results, asked) for asked in last.values()]
    dim = batches[0]["dim"]
    whole = xr.concat(parts, dim, join="exact") if dim else parts[0]
    ended, total = (sum(part.attrs[n] for part in parts) for n in ("ended", "trials"))
    left_out = sum(len(asked["keys"]) // (2 * KEY_BYTES) for asked in batches) - total
    partial = f"{ended:,} of {total:,} trials that were asked for have ended"
    if left_out:
        partial += f"; {left_out:,} that were asked for again with other data or settings are left out"
    return whole.assign_attrs(partial=partial, ended=ended, trials=total, left_out=left_out)


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
    if asked.get("asset") is not None:
        ds = ds.assign_coords(asset=asked["asset"])
    schema.label(ds)
    return ds.assign_attrs(strategy=asked["strategy"], ended=int(outcome.done.sum()), trials=len(keys))
