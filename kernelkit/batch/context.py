"""What the running notebook knows of its run: a folder to keep things in, and the numbers that the lists of runs show.

One code path for both ways of working: interactively there is no folder, and nothing is kept but what is asked for.

    res = kk.walk_forward(..., **context.means())
    context.headline({"sharpe_ratio": 1.2})
    context.keep(res)

`kk.open_run` has both again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernelkit.files import write_atomic

if TYPE_CHECKING:
    import xarray as xr

RUN_DIR = "KERNELKIT_RUN_DIR"
CLUSTER = "DASK_SCHEDULER_ADDRESS"
MAIN = "result"
SUFFIX = ".zarr"
CACHE = "trials"
HEADLINE = "headline.json"
OUTSIDE = "equity_oos"
EQUITY = (OUTSIDE, "equity")  # what runs are compared by, the most honest first


def run_dir() -> Path | None:
    """The folder of the batch run that executes this process, None in an interactive session."""
    folder = os.environ.get(RUN_DIR)
    return Path(folder) if folder else None


def kept(folder: Path) -> dict[str, Path]:
    """The results that the run in ``folder`` has kept so far, by name."""
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}")) if not path.name.startswith(".")}


def keep(result: xr.Dataset, **more: xr.Dataset) -> None:
    """Keep a result in the folder of the run, and ``more`` by their names, as `kk.save` writes them.

    `kk.open_run` has them as ``.result`` and ``.results[name]``. One of the same name is replaced. Of a single trial
    its equity is kept too, by which runs are compared. In an interactive session nothing is kept. Raises UsageError for
    what is no Dataset.

    >>> import kernelkit as kk
    >>> keep(kk.backtest(kk.data.load("sp500_index"), kk.strategies.find("buy_and_hold")))
    """
    from kernelkit.result import check_result, save

    folder = run_dir()
    for name, res in {MAIN: result, **more}.items():
        check_result(res)
        if folder is not None:
            curves = [curve for curve in EQUITY if curve in res.data_vars and res[curve].dims == ("time",)]
            save(res, folder / f"{name}{SUFFIX}", curves, overwrite=True)


def means() -> dict[str, Any]:
    """What a study of this run works with, as its keywords ``client`` and ``cache``.

    Trials go to the cluster whose scheduler $DASK_SCHEDULER_ADDRESS names, as `kernelkit run --cluster` and dask itself
    have it; without one they run here. What they came to is kept in the folder of the run, so that one that is taken up
    again goes on from there; in an interactive session $KERNELKIT_RESULTS decides.
    """
    folder = run_dir()
    return {"client": os.environ.get(CLUSTER) or None, "cache": folder / CACHE if folder else None}


def headline(
    metrics: Mapping[str, float], *, data: Mapping[str, Any] | None = None, seed: int | None = None
) -> dict[str, Any]:
    """Say which numbers stand for this run in its record, instead of those of the results it displays.

    A notebook that compares many trials has to choose honestly: the best of a grid in sample is not what was found.
    `data` is {"name", "lineage"}. Returns what was recorded.

    >>> headline({"sharpe_ratio": 0.7})
    {'metrics': {'sharpe_ratio': 0.7}}
    """
    said: dict[str, Any] = {"metrics": {name: float(value) for name, value in metrics.items()}}
    if data is not None:
        said["data"] = dict(data)
    if seed is not None:
        said["seed"] = int(seed)
    folder = run_dir()
    if folder is not None:
        write_atomic(folder / HEADLINE, json.dumps(said).encode())
    return said
