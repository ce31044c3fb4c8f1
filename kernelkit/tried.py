"""What of a recipe's trials goes into the ledger, and what tells each of them from all others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from kernelkit import ledger
from kernelkit.agenda import rate_at
from kernelkit.kernels.job import Outcome
from kernelkit.ledger.log import Row
from kernelkit.market.fill_model import FillModel
from kernelkit.market.several import Accounts, Venues
from kernelkit.market.venue import Venue
from kernelkit.recipe import Recipe
from kernelkit.schema import covered
from kernelkit.strategy import Signal

WRITTEN = 1 << 14  # trials of the rows of one write, about 50 MB


def record(
    recipe: Recipe,
    outcome: Outcome,
    venue: Venue | Venues,
    models: Sequence[FillModel],
    role: str | None = None,
    pruned: bool = False,
) -> str:
    """Write every trial to the ledger, before anybody sees it: under the first fill model as what was tried.

    Under the others as what tells how much of that is an assumption. Returns the id of the first one's row.
    """
    return record_all([(recipe, outcome, venue, models)], role, pruned)[0]


def record_all(
    calls: Sequence[tuple[Recipe, Outcome, Venue | Venues, Sequence[FillModel]]],
    role: str | None = None,
    pruned: bool = False,
) -> list[str]:
    """`record` of several calls of one strategy, many rows in one write; the ids of their first rows.

    What is done of them was ``pruned`` where that is said: it has come no further.
    """
    found, rows, ends = list[str](), list[Row](), dict[tuple[str, ...], int]()
    text, size = calls[0][0].strategy.identity, 0
    for recipe, outcome, venue, models in calls:
        first = ""
        for row in rows_of(recipe, outcome, venue, models, role, pruned):
            rows.append(row)
            first = first or str(row["call"])
            size += len(row["key"])
            if size >= WRITTEN:
                ledger.record_trials(text, rows)
                rows, size = [], 0
        found.append(first)
        ids, end = tuple(asset_ids(recipe)), covered(recipe.bars, recipe.start, recipe.stop)[1]
        ends[ids] = max(ends.get(ids, end), end)
    if rows:
        ledger.record_trials(text, rows)
    if role != "delisting":  # which is computed beside another look
        for ids, end in ends.items():
            ledger.warn_of_looks(ids, end)
    return found


def rows_of(
    recipe: Recipe,
    outcome: Outcome,
    venue: Venue | Venues,
    models: Sequence[FillModel],
    role: str | None,
    pruned: bool = False,
) -> Iterator[Row]:
    """What the ledger is told of a call, row by row, as those of a million trials do not fit into memory."""
    axes, kept = cells_tried(recipe)
    times, shared = recipe.bars.indexes["time"].values, in_common(recipe)
    header = shared | {
        "covers": covered(recipe.bars, recipe.start, recipe.stop),
        "lineage": str(recipe.bars.attrs.get("lineage", "")),
        "synthetic": int(recipe.bars.attrs.get("synthetic", 0)),
        "periods": float(recipe.bars.attrs["periods_per_year"]),
        "trusted": trusted(recipe),
        "interest": interest(recipe, times[recipe.start : recipe.stop]),
        "bound": recipe.params,
        "axes": axes,
        **({"listed": True} if recipe.listed is not None else {}),
        "assets": recipe.assets,
        "asset_ids": asset_ids(recipe),
        "together": recipe.shared,
        "venue": f"{venue.name}: {venue.costs}",
        "cells": len(kept) * len(recipe.accounts),
    }
    each = len(outcome.done) // len(models)
    # What a signal captures, and what it reads of the bars beside prices, no text tells: its results do.
    opaque = isinstance(recipe.strategy, Signal)
    for k, model in enumerate(models):
        part = outcome.part(k * each, (k + 1) * each)
        known = role or ("fill_model" if k else None)
        with ledger.role(known) if known else nullcontext():
            told = header | {"fill_model": model.codes()}
            yield from ledger.trials_rows(told, identities(recipe, model, shared), kept, part, opaque, pruned)


def recorded_keys(recipe: Recipe, outcome: Outcome, model: FillModel) -> list[str]:
    """The keys, hexadecimal, under which a call's trials are in the ledger."""
    axes, kept = cells_tried(recipe)
    identity = identities(recipe, model, in_common(recipe))
    keys = ledger.keys_of(identity, recipe.params, axes, kept, recipe.listed is not None)
    if isinstance(recipe.strategy, Signal):
        keys = ledger.with_results(keys, outcome)
    return [key.hex() for key in keys.tolist()]


def asset_ids(recipe: Recipe) -> list[str]:
    """The permanent ids of a recipe's assets."""
    return [str(i) for i in np.atleast_1d(recipe.bars["asset_id"].values).tolist()]


def in_common(recipe: Recipe) -> dict[str, Any]:
    """What all trials of a recipe have in common in what they are (J2), parameters and data apart."""
    job, times = recipe.job, recipe.bars.indexes["time"].values
    span = times[[recipe.start, recipe.stop - 1]].astype("datetime64[ns]").astype("i8")
    return {
        "strategy": recipe.strategy.name,
        "source": ledger.digest_of(recipe.strategy.identity),
        "span": [int(t) for t in span],
        "venue_id": ledger.digest_of(repr((job.venues, job.homes) if job.homes else job.venues)),
        "switches": [(s.bar, s.ends, s.flattens, *([True] if s.rests else [])) for s in recipe.switches],
    }


def identities(recipe: Recipe, model: FillModel, shared: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the trials of each account are under a fill model (J2), parameters apart."""
    job, first = recipe.job, recipe.job.trials[: len(recipe.accounts)]
    own = zip(digests(recipe, model), first["cash"].tolist(), first["venue"].tolist(), strict=True)
    several = len(job.venues) > 1 and not recipe.shared  # then which of them is the account's
    told = {"fill_model": model.codes()}
    return [{**shared, "data": d, "cash": c, **told, **({"venue": v} if several else {})} for d, c, v in own]


def cells_tried(recipe: Recipe) -> tuple[dict[str, list[Any]], np.ndarray]:
    """The axes of parameters, and the number of each of their cells that `where` has left."""
    if recipe.listed is not None:
        return recipe.listed, np.arange(recipe.cells.size)
    axes = {name: values for name, values in recipe.axes.items() if name != "fill_model"}
    cells = recipe.cells[0] if "fill_model" in recipe.axes else recipe.cells
    return axes, np.flatnonzero(cells.ravel() >= 0)


def trial_keys(recipe: Recipe, models: Sequence[FillModel], ends: bool = True) -> np.ndarray:
    """What tells the outcome of each trial from any other: the ledger's key, its first and last bar, and the build.

    Without ``ends``: what it has in common with the same trial over fewer bars, or more.
    """
    from kernelkit.kernels.cache import build_id

    job = recipe.job
    axes, kept = cells_tried(recipe)
    # the text that is compiled says the types of its parameters, and what made it of the source; X9; H1
    found = hashlib.sha256(repr((job.text, job.plan, job.custom_state)).encode())
    for own in (job.called, *(job.hours[name] for name in sorted(job.hours))):
        found.update(b";" if own is None else own.tobytes() + b";")
    shared = in_common(recipe) | {"build": build_id(), "measure": job.measure, "waits": list(job.waits)}
    shared["own"] = found.hexdigest()
    known = []
    for model in models:
        each = identities(recipe, model, shared)
        if not ends:
            each = [one | {"data": "", "span": one["span"][:1]} for one in each]
        known.append(ledger.keys_of(each, recipe.params, axes, kept, recipe.listed is not None))
    trials = job.trials
    rows = (
        np.stack([trials["trade_from"], trials["i1"] if ends else 0 * trials["i1"]], axis=1)
        .astype("i8")
        .view("V16")
        .ravel()
    )
    pairs = zip(np.concatenate(known).tolist(), rows.tolist(), strict=True)
    out = [hashlib.blake2b(key + row, digest_size=ledger.KEY_BYTES).digest() for key, row in pairs]
    return np.frombuffer(b"".join(out), f"V{ledger.KEY_BYTES}")


def trusted(recipe: Recipe) -> list[str]:
    """The features of a recipe's bars that entered without the time at which they were known, or without `feature`."""
    bars = recipe.bars
    return [str(n) for n in bars.data_vars if str(n).startswith("x.") and int(bars[n].attrs.get("trusted", 1))]


def interest(recipe: Recipe, times: np.ndarray) -> list[float]:
    """The mean yearly rate that the cash of each of a recipe's accounts earns; of accounts at venues by their cash."""
    known = list(recipe.account.by_venue.values()) if isinstance(recipe.account, Accounts) else [recipe.account]
    if all(a.interest == 0.0 for a in known):
        return [0.0] * len(recipe.accounts)
    moments = times.astype("datetime64[ns]").astype("i8")
    rates = [float(rate_at(a.interest, moments).mean()) for a in known]
    mean = float(np.average(rates, weights=[max(a.cash, 0.0) + 1e-9 for a in known]))
    return [mean] * len(recipe.accounts)


def digests(recipe: Recipe, model: FillModel) -> list[str]:
    """What tells a recipe's data from others: a hash for each asset, one for all where they share an account.

    Finer bars count under a fill model that matches orders in them.
    """
    each = [table.digest for table in recipe.job.tables]
    if model.path == "finer":
        fine = [table.finer.digest for table in recipe.job.tables if table.finer is not None]
        each = [hashlib.sha256((a + b).encode()).hexdigest() for a, b in zip(each, fine, strict=True)]
    return [hashlib.sha256("".join(each).encode()).hexdigest()] if recipe.shared else each
