"""What a name in a magic stands for: a result in a variable, one in a file of `kk.save`, or a run of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from kernelkit.batch.opened import OpenedRun, open_run, opened
from kernelkit.errors import UsageError
from kernelkit.notebook.options import nearest

if TYPE_CHECKING:
    import xarray as xr

# Of a Zarr folder.
_MARK = "zarr.json"


def one(name: str, namespace: Mapping[str, Any], out: str) -> xr.Dataset | OpenedRun:
    """The result or run of a name; UsageError says what there is where it is neither."""
    import xarray as xr

    if name in namespace:
        value = namespace[name]
        if not isinstance(value, xr.Dataset | OpenedRun):
            wanted = "wanted a result of kk.backtest, or a run of kk.open_run"
            raise UsageError(f"{name} is a {type(value).__name__}; {wanted}")
        return value
    if (Path(name) / _MARK).is_file():
        return opened(Path(name))
    try:
        return open_run(name, out)
    except UsageError as error:
        variables = results_of(namespace)
        have = f"the variables with results are {', '.join(variables)}" if variables else "no variable has a result"
        raise UsageError(
            f"{name}: no variable{nearest(name, variables)}, no saved result, and {error}; {have}"
        ) from None


def parts(found: xr.Dataset | OpenedRun) -> list[xr.Dataset | OpenedRun]:
    """A result itself; a run, and what of its results can be shown as one of `kk.backtest`."""
    if not isinstance(found, OpenedRun):
        return [found]
    return [found, *(res for res in found.results.values() if is_result(res))]


def several(names: Sequence[str], namespace: Mapping[str, Any], out: str) -> dict[str, xr.Dataset] | list[OpenedRun]:
    """Results by name, or runs; UsageError for one that is given twice, and for some of both."""
    found = [one(name, namespace, out) for name in names]
    runs = [known for known in found if isinstance(known, OpenedRun)]
    if not runs:
        _once(names)
        return {name: res for name, res in zip(names, found, strict=True) if not isinstance(res, OpenedRun)}
    if len(runs) < len(found):
        ids = ", ".join(run.id for run in runs)
        raise UsageError(
            f"{ids}: runs and results are not compared with each other; kk.open_run(id).result is a result"
        )
    _once([run.id for run in runs])
    return runs


def _once(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name} is given twice")


def results_of(namespace: Mapping[str, Any]) -> list[str]:
    """The variables that hold results."""
    import xarray as xr

    return [n for n, v in namespace.items() if isinstance(v, xr.Dataset) and is_result(v) and not n.startswith("_")]


def is_result(value: Any) -> TypeGuard[xr.Dataset]:
    """Whether it is what `kk.backtest` returns, with its metrics."""
    return "sharpe_ratio" in getattr(value, "data_vars", ()) and "final_equity" in value.data_vars
