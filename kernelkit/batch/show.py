"""One run, told in full: what it was made of, what came of it, and which files it left."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from kernelkit.batch.columns import columns, shortened, spelt
from kernelkit.batch.runs import LIVE, Run
from kernelkit.batch.tags import read_tags

# What belongs to the making of a run, and not to what it left.
_OWN = ("run.lock",)


def files(folder: Path) -> dict[str, int]:
    """What lies in the folder of a run, with its bytes; a folder counts with all that is below it."""
    found = sorted(path for path in folder.iterdir() if path.name not in _OWN and not path.name.startswith("."))
    return {f"{path.name}/" if path.is_dir() else path.name: _bytes(path) for path in found}


def _bytes(path: Path) -> int:
    if not path.is_dir():
        return path.stat().st_size
    return sum(below.stat().st_size for below in path.rglob("*") if below.is_file())


def to_json(run: Run, folder: Path) -> dict[str, Any]:
    """The record, with the run's tags, its folder, and its files by their bytes."""
    return {**run.to_json(), "tags": list(read_tags(folder)), "folder": str(folder), "files": files(folder)}


def text(run: Run, folder: Path) -> str:
    """The run as a person reads it."""
    parts = [
        columns(list(_state(run, folder).items())),
        _section("parameters", {name: spelt(value) for name, value in run.parameters.items()}),
        _section("headline", {name: "no value" if v is None else f"{v:.6g}" for name, v in run.metrics.items()}),
        _section("versions", run.versions),
        _section("files", {name: f"{count:,} bytes" for name, count in files(folder).items()}),
    ]
    return "\n\n".join(part for part in parts if part)


def _section(title: str, lines: Mapping[str, str]) -> str:
    return f"{title}\n{columns([(f'  {name}', value) for name, value in lines.items()])}" if lines else ""


def _state(run: Run, folder: Path) -> dict[str, str]:
    at = f", {run.progress:.0%}, cell {run.cell} of {run.cells}" if run.status != "done" and run.cells else ""
    told = {
        "id": run.id,
        "state": f"{run.status}{at}",
        "error": run.error or "",
        "trials": f"{run.failed:,} failed" if run.failed else "",
        "verdict": _verdict(run.verdict or {}),
        "tags": " ".join(read_tags(folder)),
        "template": run.template,
        "created": run.created[:19].replace("T", " "),
        "ended": f"{run.finished[:19].replace('T', ' ')}, {_elapsed(run)} after" if run.finished else "",
        "process": f"{run.pid} on {run.host}" if run.status in LIVE else "",
        "data": f"{run.data.get('name')}, lineage {run.data.get('lineage') or 'not told'}" if run.data else "",
        "seed": "" if run.seed is None else str(run.seed),
        "code": f"{run.git.get('commit')}{', with changes' if run.git.get('dirty') else ''}" if run.git else "",
        "folder": str(folder),
    }
    hashes = {name: shortened(told[name]) for name in ("data", "code")}
    return {name: value for name, value in (told | hashes).items() if value}


def _verdict(said: Mapping[str, Any]) -> str:
    """The judgement and what it means; a record may have been written by hand."""
    return ". ".join(str(said[name]) for name in ("judgement", "meaning") if said.get(name))


def _elapsed(run: Run) -> str:
    try:
        began, ended = (datetime.fromisoformat(text) for text in (run.started or run.created, run.finished or ""))
    except ValueError:
        return "an unknown time"
    return f"{(ended - began).total_seconds():,.1f} s"
