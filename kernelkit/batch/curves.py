"""The equity curve that stands for a run, read from the result that it kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kernelkit.batch.context import EQUITY, MAIN, OUTSIDE, SUFFIX
from kernelkit.batch.runs import Run
from kernelkit.errors import RunError

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

# What the parameters know of the sessions of the curve: nothing, all, or whatever whoever fixed them knew.
Sample = Literal["out of sample", "in sample", "fixed parameters"]
KEEP = 'keep it with kk.save(res, path, ["equity"])'


@dataclass(frozen=True, slots=True)
class Curve:
    """Levels at the close of each session: ``session`` (days since 1970, int64) and ``equity`` (quote currency).

    ``name`` is the variable that it was kept as, ``sample`` what its parameters know of it, ``periods`` the sessions
    of a year.
    """

    name: str
    sample: Sample
    session: NDArray[np.int64]
    equity: NDArray[np.float64]
    periods: float


def read(folder: Path, run: Run) -> Curve:
    """The curve of the run in ``folder``; RunError says why it has none."""
    import xarray as xr

    store = folder / f"{MAIN}{SUFFIX}"
    if run.store is None or not store.is_dir():
        raise RunError(f"{run.id} kept no result; in its notebook write context.keep(res)")
    try:
        with xr.open_zarr(store, chunks=None, consolidated=False) as kept:
            return _curve_of(run, kept)
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"the result of {run.id} cannot be read: {error}") from error


def _curve_of(run: Run, kept: xr.Dataset) -> Curve:
    there = [name for name in EQUITY if name in kept]
    if not there:
        raise RunError(f"the result of {run.id} was kept without its equity; {KEEP}")
    levels = kept[there[0]].squeeze(drop=True)
    if levels.dims != ("time",):
        sizes = " x ".join(f"{levels.sizes[d]} {d}" for d in levels.dims if d != "time")
        raise RunError(f"the result of {run.id} has the equity of {sizes}, and none of them stands for the run")
    return closes(there[0], _sample(there[0], kept.attrs), levels)


def _sample(name: str, attrs: Mapping[str, Any]) -> Sample:
    """Of a result with these ``attrs``, which keep how many trials it had before one of them was taken out."""
    if name == OUTSIDE:
        return "out of sample"
    return "fixed parameters" if attrs.get("trials") == 1 else "in sample"


def closes(name: str, sample: Sample, levels: Any) -> Curve:
    """The last known level of each session; without the coordinate ``session`` a UTC day is one.

    >>> import numpy as np, xarray as xr
    >>> hours = np.array(["2020-01-01T10", "2020-01-01T15", "2020-01-02T10"], "M8[ns]")
    >>> closes("equity", "in sample", xr.DataArray([1.0, 2.0, 3.0], {"time": hours}, "time")).equity
    array([2., 3.])
    """
    import numpy as np

    days = levels["time"].values.astype("M8[D]").astype("i8")
    session = levels["session"].values if "session" in levels.coords else days
    equity = levels.values.astype("f8")
    known = np.isfinite(equity)
    session, equity = session[known], equity[known]
    last = np.append(np.diff(session) != 0, np.ones(min(len(session), 1), bool))
    return Curve(name, sample, session[last], equity[last], float(levels.attrs.get("periods_per_year", 252.0)))
