"""Which trial of a result a picture shows, and what has to be said of that."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import UsageError, message
from kernelkit.report import words
from kernelkit.result import check_result, selected

if TYPE_CHECKING:
    import xarray as xr

SELECTED_BY = "sharpe_ratio"


@dataclass(frozen=True)
class Shown:
    """A result narrowed down to one trial, its labels, and how it was picked (nothing where there was no choice)."""

    res: xr.Dataset
    labels: dict[str, Any]
    how: str

    @property
    def title(self) -> str:
        """The trial in words: what it is called, and how it was picked."""
        name = str(self.res.attrs.get("title") or self.res.attrs.get("strategy") or "result")
        known = f"{name}, {words.params(self.labels)}" if self.labels else name
        return f"{known}: {self.how}" if self.how else known

    def curve(self, name: str) -> xr.DataArray:
        """A curve of the trial; of a walk-forward the one out of sample. Raises UsageError where it has none."""
        found = curve_name(self.res, name)
        if found is None:
            fix = "Keep the result itself, or save it with kk.save(res, path, curves=[...])."
            raise UsageError(message(f"this picture of {name}", "a result without that curve", "one with it", fix))
        return self.res[found]

    @property
    def cash(self) -> float:
        """What the account began with, in quote currency; NaN where metrics do not tell it."""
        if "final_equity" not in self.res or "total_return" not in self.res:
            return float("nan")
        growth = 1.0 + float(self.res["total_return"])
        return float(self.res["final_equity"]) / growth if growth > 0.0 else float("nan")


def curve_name(res: xr.Dataset, name: str) -> str | None:
    """What a curve is called in a result: out of sample, where there is such a one."""
    return next((n for n in (f"{name}_oos", name) if n in res and "time" in res[n].dims), None)


def shown(res: xr.Dataset, trial: Mapping[str, Any] | None = None) -> Shown:
    """The trial with these labels, or that with the highest Sharpe ratio, of equals the earliest.

    Of fill models the first, of paths out of sample the middle one: nothing is selected over them. Raises UsageError
    for labels that the result does not have, and for a result of several accounts that tells no Sharpe ratio.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def trend(ctx, n=100):
    ...     ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(n) else 0.0)
    >>> res = kk.backtest(kk.data.load("sp500_index"), trend, grid={"n": [50, 100]})
    >>> shown(res).title
    'trend, n=100: the best of 2 trials by Sharpe ratio, chosen in sample'
    """
    check_result(res)
    every = places(res)
    if trial:
        left = selected(res, {k: v for k, v in trial.items() if k in res.dims})
        open_ = [str(d) for d in places(left)]
        if not open_:
            many = many_of(res)
            return Shown(left, labels_of(left, every), f"one of {many:,} trials" if many > 1 else "")
        res = left
    if not every:
        return Shown(res, {}, "")
    left = res.isel(fill_model=0, missing_dims="ignore")
    if "path" in left.dims and "middle_path" in left.attrs:
        left = left.isel(path=int(left.attrs["middle_path"]))
        return Shown(left, labels_of(left, every), f"the middle one of {res.sizes['path']} paths out of sample")
    if SELECTED_BY not in left or "final_equity" not in left:
        found, fix = f"several trials along {', '.join(map(str, every))}", f"Choose one: res.sel({every[0]}=...)."
        raise UsageError(message("this result", found, "one trial", fix))
    sharpe = left[SELECTED_BY]
    place = best_place(sharpe.values, np.isfinite(left["final_equity"].values))
    best = left.isel(dict(zip(sharpe.dims, place, strict=True)))
    many = many_of(res)
    how = f"the best of {many:,} trials by Sharpe ratio, chosen in sample" if many > 1 else ""
    return Shown(best, labels_of(best, every), how)


def places(res: xr.Dataset) -> list[Hashable]:
    """The dims along which a result has several trials."""
    name = next((n for n in (SELECTED_BY, "total_return") if n in res), None)
    if name is not None:
        return list(res[name].dims)
    found = curve_name(res, "equity")
    return [] if found is None else [d for d in res[found].dims if d != "time"]


def many_of(res: xr.Dataset) -> int:
    """How many trials of a result have come to an end; by how many fill models each was run does not count."""
    found = res.get("final_equity", res.get(SELECTED_BY))
    if found is None:
        return 1
    return int(np.isfinite(found.isel(fill_model=0, missing_dims="ignore").values).sum())


def labels_of(trial: xr.Dataset, dims: list[Any]) -> dict[str, Any]:
    """The labels of one trial along these dims, and its parameters where a search has numbered it."""
    names = [*dims, *(n for n, v in trial.variables.items() if v.attrs.get("role") == "param" and n not in dims)]
    return {str(n): trial[n].values.item() for n in names if n in trial.variables and trial[n].ndim == 0}


def best_place(sharpe: np.ndarray, done: np.ndarray) -> tuple[int, ...]:
    """Where the best trial is: highest Sharpe ratio, then the earliest; where none has one, the first that was run.

    >>> best_place(np.array([0.2, 0.7, np.nan, 0.7]), np.array([True, True, False, True]))
    (1,)
    """
    flat = np.where(np.isfinite(sharpe), sharpe, -np.inf).ravel()
    at = int(np.argmax(flat)) if np.isfinite(flat).any() else int(np.argmax(done.ravel()))
    return tuple(int(i) for i in np.unravel_index(at, sharpe.shape)) if sharpe.ndim else ()
