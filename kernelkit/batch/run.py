"""Run a template notebook: one run for every point of the given axes, each in its own folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelkit.batch.execution import OnChange, Outcome, execute
from kernelkit.batch.plan import Job, plan
from kernelkit.batch.pool import execute_all
from kernelkit.errors import RunError, UsageError


class RunsFailedError(RunError):
    """Some of the runs failed; `outcomes` has them all, in the order of the axes."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        failed = [outcome.run for outcome in outcomes if outcome.run.status != "done"]
        errors = "; ".join(f"{run.id}: {run.error}" for run in failed[:3])
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        super().__init__(f"{len(failed)} of {len(outcomes)} runs failed: {errors}{more}")
        self.outcomes = outcomes


def run(  # noqa: PLR0913  its settings are keywords
    template: str | Path,
    parameters: Mapping[str, object] | None = None,
    out: str | Path = "runs",
    *,
    name: str | None = None,
    force: bool = False,
    jobs: int = 1,
    hide_code: bool = False,
    cluster: str | None = None,
    notify: Sequence[str] = (),
    on_change: OnChange | None = None,
) -> list[Outcome]:
    """Run `template` (a name or an .ipynb file) into folders below `out`; an axis for a scalar parameter makes a batch.

    The same notebook, parameters and versions give the same folder: a run that ended early goes on where its
    kept trials end, a finished one is returned as it is unless `force`. `jobs` runs work at a time; trials go to the
    Dask cluster whose scheduler has the address `cluster`, where a notebook works with `context.means()`. Who `notify`
    names is told when a run has ended, at the addresses in the environment (`notify.addresses`). `on_change`
    gets each new state of a record. UsageError comes before anything is written, RunsFailedError after all runs; a
    signal raises KeyboardInterrupt.
    """
    settings: dict[str, Any] = {"force": force, "hide_code": hide_code, "cluster": cluster, "notify": notify}
    planned = plan(template, parameters or {}, out, name=name, **settings)
    return run_planned(planned, jobs, on_change)


def run_planned(planned: Sequence[Job], jobs: int = 1, on_change: OnChange | None = None) -> list[Outcome]:
    """Run what was planned, `jobs` at a time; errors as of `run`."""
    if jobs < 1:
        raise UsageError(f"jobs is {jobs}, wanted at least 1")
    if jobs == 1 or len(planned) == 1:
        outcomes = [execute(job, on_change) for job in planned]
    else:
        outcomes = execute_all(planned, jobs, on_change)
    if any(outcome.run.status != "done" for outcome in outcomes):
        raise RunsFailedError(outcomes)
    return outcomes
