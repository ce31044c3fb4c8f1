"""The finer bars in which each bar's orders are matched, laid out beside it (rule F16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from kernelkit.errors import DataError, OrderError, UsageError, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Table
from kernelkit.market.fill_model import FillModel
from kernelkit.market.terms import check_volumes
from kernelkit.recipe import Recipe, asset_names, check_bars, check_vwap
from kernelkit.schema import utc
from kernelkit.table import Panel, panel_of

if TYPE_CHECKING:
    import xarray as xr

RANGE = "Make the bars of the finer ones, or take both from one source."


def with_finer(recipe: Recipe, models: Sequence[FillModel], finer: xr.Dataset | None) -> Recipe:
    """The recipe with the finer bars that those of ``models`` with ``path="finer"`` are matched in; as it is without.

    Raises OrderError where such a model has none, UsageError for bars that no model asks for, and DataError where they
    are not the same instruments, do not lie within the bars, or are missing where a trial needs them.
    """
    asks = [m for m in models if m.path == "finer"]
    if finer is None:
        if asks:
            fix = "Pass kk.backtest(..., finer=minutes)."
            raise OrderError(message("path=finer of the fill model", "no finer bars", "bars to match orders in", fix))
        return recipe
    if not asks:
        fix = 'Pass fill_model=kk.FillModel(path="finer"), or leave finer= out.'
        found = ", ".join(m.label for m in models)
        raise UsageError(message("fill_model of a call with finer=", found, "one with path=finer", fix))
    finer, job = check_bars(finer), recipe.job
    closing = job.plan.closing
    features = job.plan.features if recipe.signal is None else []  # a signal's targets are no column of the bars
    panel = panel_of(recipe.bars, features, closing=closing)
    fine = panel_of(finer, [], closing=closing)
    if [id(p) for p, _ in panel.finer] != [id(fine)]:
        panel.finer[:] = [(fine, paired(recipe.bars, panel, finer, fine))]
    pairs = panel.finer[0][1]
    tables = [replace(t, finer=u, edges=edges) for t, (u, edges) in zip(job.tables, pairs, strict=True)]
    check_volumes(job.venues, job.homes, [u for u, _ in pairs], recipe.assets)
    check_vwap([replace(m, path="stop_first") for m in asks], [u for u, _ in pairs], recipe.assets)
    for trial in job.trials[: len(tables)]:
        check_whole(tables[int(trial["dataset"])], trial, recipe.assets[int(trial["dataset"])])
    return replace(recipe, job=replace(job, tables=tables), finer=finer)


def paired(bars: xr.Dataset, panel: Panel, finer: xr.Dataset, fine: Panel) -> list[tuple[Table, np.ndarray]]:
    """Of each asset the table of its finer bars, and where those of each bar begin in it, int64 (bar + 1,)."""
    names = asset_names(bars)
    if asset_names(finer) != names:
        found = ", ".join(asset_names(finer))
        fix = "Give both the same names: finer.sel(asset=bars['asset'])."
        raise DataError(message("assets of the finer bars", found, ", ".join(names), fix))
    return [within(t, u, name) for t, u, name in zip(panel.tables, fine.tables, names, strict=True)]


def within(table: Table, fine: Table, asset: str) -> tuple[Table, np.ndarray]:
    """The finer bars that belong to those of ``table``, and where those of each begin; raises DataError.

    A finer bar belongs to bar `t` where `open_at[t] <= open_at < known_at[t]`; one that belongs to none is left out.
    """
    if table.instrument[:4] != fine.instrument[:4]:
        names = ("inverse", "tick", "lot", "multiplier")
        k = next(k for k in range(4) if table.instrument[k] != fine.instrument[k])
        fix = "Build both with the same tick_size=, lot_size= and multiplier=."
        what = f"{names[k]} of the finer bars of {asset}"
        raise DataError(message(what, fine.instrument[k], f"{table.instrument[k]}, as the bars have it", fix))
    opened, known = table.columns[L.C_OPEN_AT], table.columns[L.C_KNOWN_AT]
    at = np.searchsorted(opened, fine.columns[L.C_OPEN_AT], side="right") - 1  # the bar of each finer one
    mine = (at >= 0) & (fine.columns[L.C_OPEN_AT] < known[np.maximum(at, 0)])
    if not mine.all():
        fine, at = chosen(fine, mine), at[mine]
    check_inside(table, fine, at, asset)
    edges = np.searchsorted(at, np.arange(table.n_bars + 1)).astype("i8")
    if table.closing and fine.closing:
        fine = with_last(table, fine, edges)
    return fine, edges


def chosen(table: Table, rows: np.ndarray) -> Table:
    """Some bars of a table."""
    columns = tuple(np.ascontiguousarray(c[rows]) for c in table.columns)
    vwap = None if table.vwap is None else np.ascontiguousarray(table.vwap[rows])
    return replace(table, columns=columns, vwap=vwap)


def check_inside(table: Table, fine: Table, at: np.ndarray, asset: str) -> None:
    """Raise DataError for the first finer bar that ends after its bar, or leaves the range of that."""

    def refuse(k: int, found: str, wanted: str, fix: str) -> NoReturn:
        when = utc(fine.columns[L.C_OPEN_AT][k])
        raise DataError(message(f"finer bar {when} of {asset}", found, wanted, fix))

    late = np.flatnonzero(fine.columns[L.C_KNOWN_AT] > table.columns[L.C_KNOWN_AT][at])
    if late.size:
        k = int(late[0])
        end, known = utc(fine.columns[L.C_KNOWN_AT][k]), utc(table.columns[L.C_KNOWN_AT][at[k]])
        refuse(k, f"known at {end}", f"not after its bar, {known}", "Each bar must be made of whole finer ones.")
    above = fine.columns[L.C_HIGH] > table.columns[L.C_HIGH][at]
    outside = np.flatnonzero(above | (fine.columns[L.C_LOW] < table.columns[L.C_LOW][at]))
    if outside.size:
        k = int(outside[0])
        own = "{} to {}".format(*(fine.columns[c][k] for c in (L.C_LOW_P, L.C_HIGH_P)))
        bar = "{} to {}".format(*(table.columns[c][at[k]] for c in (L.C_LOW_P, L.C_HIGH_P)))
        opened = utc(table.columns[L.C_OPEN_AT][at[k]])
        refuse(k, f"prices from {own}", f"prices within those of bar {opened}, {bar}", RANGE)


def with_last(table: Table, fine: Table, edges: np.ndarray) -> Table:
    """O12, F16: the last finer bar of one that closes its session closes it too, be it the last minute or not."""
    closes = fine.columns[fine.closing].copy()
    ends = (table.columns[L.C_KNOWN_AT] >= table.columns[table.closing]) & (np.diff(edges) > 0)
    last = edges[1:][ends] - 1
    closes[last] = np.minimum(closes[last], fine.columns[L.C_KNOWN_AT][last])
    rest = fine.columns[fine.closing + 1 :]
    return replace(fine, columns=(*fine.columns[: fine.closing], closes, *rest))


def check_whole(table: Table, trial: Any, asset: str) -> None:
    """Raise DataError for the first bar in which a trial may match orders, that has volume, and no finer bars."""
    first, last = int(trial["trade_from"]) + 1, min(int(trial["i1"]), table.n_bars)
    if table.edges is None or last <= first:
        return
    none = np.diff(table.edges)[first:last] == 0
    bad = np.flatnonzero(none & (table.columns[L.C_VOLUME][first:last] != 0.0))
    if bad.size:
        t = first + int(bad[0])
        when, end = (utc(table.columns[c][t]) for c in (L.C_OPEN_AT, L.C_KNOWN_AT))
        more = f", and in {bad.size - 1} later ones" if bad.size > 1 else ""
        found = f"none in the bar from {when} to {end}{more}"
        fix = "Load the finer bars of the whole span, or move start= and end=."
        raise DataError(message(f"finer bars of {asset}", found, "finer bars in each bar that has volume", fix))
