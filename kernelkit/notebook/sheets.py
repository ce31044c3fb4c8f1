"""Runs and results as tables: a list of them, several side by side, one in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kernelkit.batch import compare, show
from kernelkit.batch.columns import shortened, spelt
from kernelkit.batch.opened import OpenedRun, told
from kernelkit.notebook.listing import listing
from kernelkit.report import words

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.batch.runs import Run

_SHOWN = 4  # metrics of a run in a list


def runs(found: Sequence[Run], most: int, out: str, chosen: Sequence[str] = ()) -> dict[str, str]:
    """A line for each of the newest runs: when, its id, its state, its parameters and headline."""
    among = f" with {' '.join(chosen)}" if chosen else ""
    if not found:
        return {"text/plain": f"{out}: no runs{among}"}
    first = found[:most]
    metrics = list(dict.fromkeys(name for run in first for name in list(run.metrics)[:_SHOWN]))[:_SHOWN]
    rows = [
        (
            run.id,
            run.created[:16].replace("T", " "),
            run.status,
            *(words.number(name, run.metrics.get(name)) for name in metrics),
            note(run),
        )
        for run in first
    ]
    heads = ("Run", "Created", "State", *map(words.label, metrics), "")
    left = len(found) - len(first)
    foot = f"{out}: {len(found)} {'run' if len(found) == 1 else 'runs'}{among}"
    more = f", {left} more; --most {len(found)} shows them" if left else ""
    return listing(heads, rows, right=range(3, 3 + len(metrics)), foot=foot + more)


def note(run: Run) -> str:
    """What else is to be known of a run in a list."""
    return "" if run.status == "done" else told(run).partition(", ")[2]


def side_by_side(found: Mapping[str, xr.Dataset] | Sequence[OpenedRun]) -> dict[str, str]:
    """A column for each; below the metrics, what else is not the same."""
    if isinstance(found, Mapping):
        from kernelkit.notebook.versus import compare as versus

        table = versus(found)
        rows = [(str(label), *map(str, values)) for label, values in zip(table.index, table.to_numpy(), strict=True)]
        return listing(("", *map(str, table.columns)), rows, right=range(1, 1 + len(found)))
    said = compare.to_json([run.record for run in found])["runs"]
    rows = [("State", *(one["status"] for one in said))]
    for part in ("parameters", "metrics", "circumstances"):
        for name in dict.fromkeys(name for one in said for name in one[part]):
            values = (cell(part, name, one[part].get(name)) for one in said)
            rows.append((words.label(name) if part == "metrics" else name, *values))
    return listing(("", *(one["id"] for one in said)), rows, right=range(1, 1 + len(said)))


def cell(part: str, name: str, value: Any) -> str:
    """A value of a comparison as text."""
    if part == "metrics":
        return words.number(name, value)
    said = "" if value is None else spelt(value)
    return shortened(said) if part == "circumstances" else said


def one(found: xr.Dataset | OpenedRun) -> dict[str, str]:
    """A run in full, or a result that has no metrics of a backtest."""
    if not isinstance(found, OpenedRun):
        return {"text/plain": repr(found), "text/html": found._repr_html_()}
    run = found.record
    rows = [
        ("State", told(run)),
        ("Template", run.template),
        ("Created", run.created[:19].replace("T", " ")),
        *((name, spelt(value)) for name, value in run.parameters.items()),
        *((words.label(name), words.number(name, value)) for name, value in run.metrics.items()),
        ("Results", ", ".join(found.results) or "none"),
        ("Folder", str(found.folder)),
    ]
    return listing(("", ""), rows, title=run.id) | {"text/plain": show.text(run, found.folder)}
