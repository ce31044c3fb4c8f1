"""Bars on disk as Zarr: written beside and moved into place, and checked against their digest when they are read."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.data import lineage
from kernelkit.errors import DataError, message
from kernelkit.schema import check_bars

if TYPE_CHECKING:
    import xarray as xr

DIGEST = "digest"
# Times are UTC nanoseconds on disk as in memory; the zone of the market stays in attrs["tz"].
_TIME = {"units": "nanoseconds since 1970-01-01", "calendar": "proleptic_gregorian", "dtype": "int64"}


def save(bars: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write ``bars`` as a Zarr directory and return its path; a crash leaves no half-written directory at ``path``.

    An existing ``path`` is refused unless ``overwrite``; then it is moved aside, and deleted when the new one stands.
    """
    check_bars(bars)
    target = Path(path).absolute()
    if target.exists() and not overwrite:
        raise DataError(message(f"path {target.name}", "something there", "a new path", "Pass overwrite=True."))
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    stored = _plain(bars).assign_attrs({DIGEST: lineage.digest(bars)})
    try:
        stored.to_zarr(made, mode="w", consolidated=False, encoding=_encoding(bars))
        _sync(made)
        _replace(made, target)
    finally:
        if made.exists():
            shutil.rmtree(made)
    _sync_one(target.parent)
    return target


def load(path: str | os.PathLike[str]) -> xr.Dataset:
    """Return the bars at ``path``, in memory; `DataError` where there are none, or they are not what was saved."""
    import xarray as xr

    target = Path(path)
    if not (target / "zarr.json").is_file():
        raise DataError(message(f"path {target}", "no Zarr directory", "bars written by save", "Check the path."))
    with xr.open_zarr(target, consolidated=False, chunks=None) as stored:
        bars: xr.Dataset = stored.load()
    for name in bars.variables:
        bars[name].encoding = {}
    bars = bars.assign_coords({name: bars[name].astype(object).astype(np.str_) for name in _texts(bars)})
    check_bars(bars)
    saved = bars.attrs.pop(DIGEST, None)
    if saved != lineage.digest(bars):
        fix = "The files were changed or damaged: save the bars again."
        raise DataError(message(f"content of {target}", lineage.digest(bars), f"digest {saved}", fix))
    return bars


def _texts(bars: xr.Dataset) -> list[str]:
    return [str(name) for name in bars.coords if bars[name].dtype.kind in "UOT"]


def _plain(bars: xr.Dataset) -> xr.Dataset:
    # Zarr 3 has a specification for texts of any length, none for numpy's fixed ones.
    return bars.assign_coords({name: bars[name].astype(object) for name in _texts(bars)})


def _encoding(bars: xr.Dataset) -> dict[str, dict[str, Any]]:
    return {str(name): dict(_TIME) for name in bars.variables if bars[name].dtype.kind == "M"}


def _sync(root: Path) -> None:
    for folder, _, files in os.walk(root, topdown=False):
        for path in (*(Path(folder, file) for file in files), Path(folder)):
            _sync_one(path)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(made: Path, target: Path) -> None:
    aside = made.with_name(made.name + ".old")
    if target.exists():
        target.replace(aside)
    made.replace(target)
    if aside.is_dir():
        shutil.rmtree(aside)
    elif aside.exists():
        aside.unlink()
