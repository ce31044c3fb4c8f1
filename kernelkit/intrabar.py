"""The finer bars in which each bar's orders are matched, laid out beside it (rule F16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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

CLOCKED = (L.C_OPEN_AT, L.C_KNOWN_AT, L.C_SESSION)
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
    parts: list[Part] = panel.finer[0][1]
    mine = job.tables[int(recipe.shared) :]
    tables = [replace(t, finer=p.table, edges=p.edges) for t, p in zip(mine, parts, strict=True)]
    check_volumes(job.venues, job.homes, [p.table for p in parts], recipe.assets)
    check_vwap([replace(m, path="stop_first") for m in asks], [p.table for p in parts], recipe.assets)
    for k, (table, asset) in enumerate(zip(tables, recipe.assets, strict=True)):
        trial = job.trials[0 if recipe.shared else k]
        check_whole(table, own_span(trial, recipe.places[k] if recipe.shared else np.arange(table.n_bars)), asset)
    last_bars = None
    if recipe.shared:
        clock, last_bars = together(job.tables[0], parts)
        tables = [clock, *tables]
    return replace(recipe, job=replace(job, tables=tables, fine_bars=last_bars), finer=finer)


@dataclass(frozen=True)
class Part:
    """An asset's finer bars, where those of each of its bars begin, int64 (bar + 1,), and their rows of ``time``."""

    table: Table
    edges: np.ndarray
    rows: np.ndarray


def paired(bars: xr.Dataset, panel: Panel, finer: xr.Dataset, fine: Panel) -> list[Part]:
    """The finer bars of each asset."""
    names = asset_names(bars)
    if asset_names(finer) != names:
        found = ", ".join(asset_names(finer))
        fix = "Give both the same names: finer.sel(asset=bars['asset'])."
        raise DataError(message("assets of the finer bars", found, ", ".join(names), fix))
    each = zip(panel.tables, fine.tables, fine.places, names, strict=True)
    return [within(t, u, rows, name) for t, u, rows, name in each]


def together(clock: Table, parts: Sequence[Part]) -> tuple[Table, np.ndarray | None]:
    """X11: a portfolio's clock with the finer one, whose bars are those of any asset, and each asset's last there.

    int64 (finer bar, asset), -1 before an asset's first; None where each has a bar at all of them.
    """
    rows, first = np.unique(np.concatenate([p.rows for p in parts]), return_index=True)
    stamps = [np.concatenate([p.table.columns[c] for p in parts])[first] for c in CLOCKED]
    none, unknown = np.zeros(len(rows), "i8"), np.full(len(rows), np.nan)
    columns = (none, none, none, none, np.zeros(len(rows)), *stamps, unknown, unknown, unknown, unknown)
    fine = Table(columns, *clock.instrument)
    edges = np.append(np.searchsorted(stamps[0], clock.columns[L.C_OPEN_AT]), len(rows)).astype("i8")
    last = np.stack([np.searchsorted(p.rows, rows, side="right") - 1 for p in parts], axis=1).astype("i8")
    whole = all(len(p.rows) == len(rows) for p in parts)
    return replace(clock, finer=fine, edges=edges), None if whole else np.ascontiguousarray(last)


def within(table: Table, fine: Table, rows: np.ndarray, asset: str) -> Part:
    """The finer bars, which are these rows of ``time``, that belong to those of ``table``; raises DataError.

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
        fine, at, rows = chosen(fine, mine), at[mine], rows[mine]
    check_inside(table, fine, at, asset)
    edges = np.searchsorted(at, np.arange(table.n_bars + 1)).astype("i8")
    if table.closing and fine.closing:
        fine = with_last(table, fine, edges)
    return Part(fine, edges, rows)


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


def own_span(trial: Any, place: np.ndarray) -> tuple[int, int]:
    """The bars [first, last) in which a trial may match orders, of an asset whose bars are these of the trial's."""
    first, last = np.searchsorted(place, (int(trial["trade_from"]) + 1, int(trial["i1"])))
    return int(first), int(last)


def check_whole(table: Table, span: tuple[int, int], asset: str) -> None:
    """Raise DataError for the first of these bars that has volume, and no finer bars."""
    first, last = span
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
