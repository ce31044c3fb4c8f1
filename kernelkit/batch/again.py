"""From the record of a run to the job that makes it again, or takes it up where it was left."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from kernelkit.batch import provenance
from kernelkit.batch.execution import OnChange, Outcome
from kernelkit.batch.notify import addresses
from kernelkit.batch.plan import Job, named
from kernelkit.batch.run import RunsFailedError, run_planned
from kernelkit.batch.runs import Run, list_runs, read_run
from kernelkit.batch.scheduler import checked
from kernelkit.batch.template import read
from kernelkit.errors import RunError, message

# What --all takes up; what failed is taken up when it is asked for by its id.
LEFT = ("cancelled", "lost")
# What values that were not written by `plan.Job.origin` may raise.
_UNREADABLE = (AttributeError, KeyError, MemoryError, RecursionError, SyntaxError, TypeError, ValueError)


def job_of(
    run: Run, folder: Path, *, force: bool = False, cluster: str | None = None, notify: Sequence[str] = ()
) -> Job:
    """The job whose record `run` is, in its `folder`; `cluster` takes the place of the one that it went to.

    `notify` takes the place of those who were to be told.

    Its files count from where it was started. RunError where that is gone, or it would be another run today: its
    notebook, a file that its parameters name, or a version changed.
    """
    place, origin = place_of(run), run.origin or {}
    try:
        values = {name: ast.literal_eval(text) for name, text in origin["values"].items()}
        notebook, hide_code, before = origin["notebook"], bool(origin["hide_code"]), origin["cluster"]
        heard = tuple(notify or origin.get("notify", ()))
    except _UNREADABLE as error:
        fix = "Type the command again that it was made with."
        wanted = "notebook, folder, values, cluster and hide_code"
        raise RunError(message(f"origin of {run.id}", f"{type(error).__name__}: {error}", wanted, fix)) from None
    addresses(heard)
    if cluster is not None:
        checked(cluster)
    cluster = cluster or before
    job = Job(read(notebook), values, "", run.name, folder.parent, force, hide_code, cluster, place, heard)
    job = named(job, provenance.versions())
    if job.id != run.id:
        raise RunError(message(run.id, _changed(run), "what it was made with", "kernelkit run makes it as a new run."))
    return dataclasses.replace(job, folder=folder)


def typed(run: Run) -> dict[str, str]:
    """The values that `run` was started with, as a person types them; RunError where the record has none.

    >>> values = {"fast": "20", "data": "'spx'", "note": "'a, b'"}
    >>> typed(Run(id="a-1", name="a", template="t", origin={"values": values}))
    {'fast': '20', 'data': 'spx', 'note': "'a, b'"}
    """
    try:
        values = {name: ast.literal_eval(text) for name, text in (run.origin or {})["values"].items()}
    except _UNREADABLE as error:
        raise RunError(f"{run.id} does not tell its values ({type(error).__name__}: {error})") from None
    return {name: _typed(value) for name, value in values.items()}


def _typed(value: object) -> str:
    """Text as it is, where that is not read as a list of texts or as one without its quotes."""
    return value if isinstance(value, str) and not set(value) & set(",'\"") else repr(value)


def _changed(run: Run) -> str:
    now = provenance.versions()
    found = [f"{name} {now.get(name)}, which was {was}," for name, was in run.versions.items() if now.get(name) != was]
    return " ".join(found).rstrip(",") or "another notebook, or another file that its parameters name"


def place_of(run: Run) -> Path:
    """The folder where `run` was started: its files and its ledger count from there; RunError where there is none."""
    if not isinstance(there := (run.origin or {}).get("folder"), str):
        fix = "Type the command again that it was made with."
        raise RunError(message(f"origin of {run.id}", "none", "the folder where it was started", fix))
    if not Path(there).is_dir():
        fix = "Put the project there again, or make a new run with kernelkit run."
        raise RunError(message(f"folder where {run.id} was started", f"no {there}", "one that is there", fix))
    return Path(there)


def left_below(out: Path) -> list[Path]:
    """The folders of all runs below `out` that were cancelled or lost, oldest first."""
    return [out / run.id for run in reversed(list_runs(out)) if run.status in LEFT]


def resume(
    folders: Sequence[Path],
    *,
    jobs: int = 1,
    force: bool = False,
    cluster: str | None = None,
    notify: Sequence[str] = (),
    on_change: OnChange | None = None,
) -> list[Outcome]:
    """Go on with the runs in `folders`, each from the folder where it was started; what is done is not repeated.

    ``force`` makes them again from the start, with the same numbers. All are checked before the first is run. Errors as
    of `job_of` and of `run.run`; not for threads, as the current folder is the process's.
    """
    places: dict[Path, list[Job]] = {}
    for folder in [folder.resolve() for folder in folders]:
        run = read_run(folder)
        job = job_of(run, folder, force=force, cluster=cluster, notify=notify)
        places.setdefault(job.place, []).append(job)
    outcomes: dict[Path, Outcome] = {}
    for there, planned in places.items():
        with contextlib.chdir(there):
            outcomes |= {outcome.folder: outcome for outcome in _made(planned, jobs, on_change)}
    ordered = [outcomes[folder.resolve()] for folder in folders]
    if any(outcome.run.status != "done" for outcome in ordered):
        raise RunsFailedError(ordered)
    return ordered


def _made(planned: Sequence[Job], jobs: int, on_change: OnChange | None) -> list[Outcome]:
    """The outcomes of all, those that failed among them: the other places have their turn too."""
    try:
        return run_planned(planned, jobs, on_change)
    except RunsFailedError as failure:
        return failure.outcomes
