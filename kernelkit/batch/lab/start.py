"""From a form, or the record of a run that has not come to its end, to runs in the queue of the server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kernelkit.batch import form
from kernelkit.batch.again import job_of
from kernelkit.batch.lab.asked import asked, read
from kernelkit.batch.lab.store import Store
from kernelkit.batch.plan import plan
from kernelkit.batch.queue import Queue
from kernelkit.batch.runs import read_run
from kernelkit.errors import RunError, message


def start(content: Mapping[str, Any], store: Store, queue: Queue) -> dict[str, Any]:
    """Queue the runs that {"template", "values", "name", "hide_code", "force", "cluster"} asks for, in the root folder.

    Answers {"queued": [id], "runs": [record]}, the records of all of them in the order of their axes: what is done
    already is not queued, unless forced. UsageError as of `kernelkit run`, for all fields that are wrong, and for what
    is no address of a cluster.
    """
    said = asked(content, "template", "values", "name", "hide_code", "force", "cluster")
    found = read(said.pop("template"), store.root)
    form.check(found, said["values"], store.root, store.folder).refuse()
    outcomes = queue.add(plan(found.path, said.pop("values"), store.folder, place=store.root, **said))
    return {
        "queued": [outcome.run.id for outcome in outcomes if outcome.fresh],
        "runs": store.describe([outcome.run.id for outcome in outcomes]),
    }


def resume(folder: Path, queue: Queue) -> None:
    """Queue the run in `folder` to go on from where it was left, as `kernelkit resume` does.

    RunError where it is done, queued or running, and where it would be another run today.
    """
    run = read_run(folder)
    (outcome,) = queue.add([job_of(run, folder)])
    if not outcome.fresh:
        fix = "Cancel it first." if outcome.run.status != "done" else "Run it again with other values."
        raise RunError(message(run.id, f"it {outcome.run.status}", "a run that was cancelled, lost or failed", fix))
