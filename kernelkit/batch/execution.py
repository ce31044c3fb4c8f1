"""Make one run in this process: the notebook through papermill, its record, its report."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from kernelkit.batch import context, notify, offline, page, provenance, runs
from kernelkit.batch._process import exclusive, stoppable
from kernelkit.batch.plan import Job, as_json
from kernelkit.errors import KernelkitError, RunError
from kernelkit.files import write_atomic

if TYPE_CHECKING:
    from kernelkit.progress import Progress

NOTEBOOK = "notebook.ipynb"
REPORT = "report.html"
# What the notebook's process says outside its cells: a crash, a library's own messages.
LOG = "kernel.log"

# The parameters that say what is traded by which rules.
_STRATEGY = ("strategy", "strategies")

OnChange = Callable[[runs.Run], None]


class RunWarning(UserWarning):
    """Something in a run is not as it should be, and no reason to stop it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run's record and folder; `fresh` is False where an earlier run had already finished it."""

    run: runs.Run
    folder: Path
    fresh: bool = True


def execute(job: Job, on_change: OnChange | None = None) -> Outcome:
    """Run `job` in this thread; a notebook that fails gives a failed record, a signal raises Interrupted."""
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{job.folder} cannot be made: {error.strerror}; choose another --out") from error
    with exclusive(job.folder):
        before = runs.read_run(job.folder) if (job.folder / runs.FILE).exists() else None
        if before and before.status == "running":
            raise RunError(
                f"{job.id} is running (process {before.pid} on {before.host}); wait for it, or choose another --out"
            )
        if before and before.status == "done" and not job.force:
            return Outcome(before, job.folder, fresh=False)
        first = _first(job, None if job.force else before)
        try:
            with stoppable(), runs.Recorder(job.folder, first) as record:
                if job.force:
                    _clear(job.folder)
                _Execution(job, record, on_change).run()
        except BaseException:
            if (job.folder / runs.FILE).exists():  # a full disk has none, and its error is the one to tell
                _told(job)
            raise
        finished = _told(job)
    return Outcome(finished, job.folder)


def _told(job: Job) -> runs.Run:
    """Tell who wants to hear that the run has ended, and say so in its record; whoever is not reached is warned of."""
    run = runs.read_run(job.folder)
    if not job.notify or run.status in runs.LIVE:
        return run
    try:
        found: dict[str, Any] = dict(notify.tell(job.notify, run, job.folder))
    except KernelkitError as error:  # the names were right when the run was planned
        found = {name: {"error": str(error)} for name in job.notify}
    run = dataclasses.replace(run, notified=found)
    runs.write(job.folder / runs.FILE, run)
    for name, told in found.items():
        if told.get("missed") or "error" in told:
            said = told.get("error") or "{missed} of its addresses took no message in {tries} tries".format_map(told)
            warnings.warn(f"{job.id}: notify {name}: {said}", RunWarning, stacklevel=3)
    return run


def _clear(folder: Path) -> None:
    for made in (folder / context.CACHE, *context.kept(folder).values()):
        if made.exists():
            shutil.rmtree(made)
    for name in (NOTEBOOK, REPORT):
        (folder / name).unlink(missing_ok=True)


def _first(job: Job, before: runs.Run | None) -> runs.Run:
    run = planned(job, provenance.versions(), before)
    return dataclasses.replace(run, status="running", started=runs.utc_now(), git=provenance.git_state(job.place))


def planned(job: Job, versions: Mapping[str, str], before: runs.Run | None = None) -> runs.Run:
    """The record of `job` before it begins, as old as that of an attempt `before` which had begun."""
    parameters = as_json(job.parameters)
    seed, data = parameters.get("seed"), parameters.get("data")
    return runs.Run(
        id=job.id,
        name=job.name,
        template=job.template.name,
        status="queued",
        created=before.created if before and before.cells else "",
        parameters=parameters,
        versions=versions,
        data=None if data is None else {"name": data, "lineage": None},
        strategy=next((value for name in _STRATEGY if isinstance(value := parameters.get(name), str)), None),
        seed=seed if type(seed) is int else None,
        origin=job.origin,
    )


class _Execution:
    """One execution of one job: turns the engine's events into changes of the record."""

    def __init__(self, job: Job, record: runs.Recorder, on_change: OnChange | None) -> None:
        self._job = job
        self._record = record
        self._on_change = on_change
        self._started = time.monotonic()
        self._failed = 0  # trials, of the meters before that of the last event
        self._event: Progress | None = None
        self._headline = job.folder / context.HEADLINE
        self._headline.unlink(missing_ok=True)

    def run(self) -> runs.Run:
        try:
            error = self._notebook()
        finally:
            self._update(notebook=self._made(NOTEBOOK), store=self._made(context.MAIN + context.SUFFIX), **self._said())
        status: runs.Status = "failed" if error else "done"
        self._report(status, error)
        finished = self._record.finish(status, error)
        self._tell(finished)
        return finished

    def _notebook(self) -> str | None:
        """Execute the notebook; what ended it early, if something did."""
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        try:
            self._papermill()
        except PapermillExecutionError as error:
            text = str(error.evalue).strip().partition("\n")[0]
            return f"cell {self._record.run.cell}: {error.ename}: {text}"
        except DeadKernelError:
            log = self._job.folder / LOG
            said = log.read_text(errors="replace").strip().rpartition("\n")[2] if log.exists() else ""
            hint = said or "if the system killed it for its memory, use fewer --jobs"
            return f"cell {self._record.run.cell}: the kernel died; {hint}"
        return None

    def _papermill(self) -> None:
        import papermill

        from kernelkit.batch._client import Surroundings
        from kernelkit.batch._translator import LANGUAGE

        folder = self._job.folder
        # what a notebook prints goes into its report, where the addresses of people do not belong
        kept = {name: value for name, value in os.environ.items() if not name.startswith(notify.VARIABLE)}
        environment = {**kept, context.RUN_DIR: str(folder.resolve())}
        if self._job.cluster is not None:
            environment[context.CLUSTER] = self._job.cluster
        papermill.execute_notebook(
            # papermill reads braces in a path as places to fill in
            str(self._job.template.path).replace("{", "{{").replace("}", "}}"),
            None,
            parameters=dict(self._job.values),
            engine_name="kernelkit",
            kernel_name="python3",
            language=LANGUAGE,
            progress_bar=False,
            where=Surroundings(folder / NOTEBOOK, folder / LOG, environment),
            watch=self,
        )

    def _made(self, name: str) -> str | None:
        return name if (self._job.folder / name).exists() else None

    def on_cell(self, cell: int, cells: int) -> None:
        """Code cell `cell` of `cells` (from 1) starts."""
        done = max(self._record.run.progress, (cell - 1) / cells)
        said = self._said()
        self._failed, self._event = self._record.run.failed or 0, None
        nothing = dict.fromkeys(("eta_s", "candles_per_s", "cpu_percent", "memory_bytes"))
        self._update(cell=cell, cells=cells, progress=done, notebook=NOTEBOOK, **nothing, **said)

    def on_progress(self, event: Progress) -> None:
        """Something inside the current cell went on; all cells count alike, and progress never goes back."""
        run = self._record.run
        done = max(run.progress, (run.cell - 1 + event.fraction) / run.cells)
        before, self._event = self._event, event
        if before is not None and (before.label != event.label or before.done > event.done):  # of another meter
            self._failed += before.failed
        self._update(
            progress=done,
            eta_s=event.eta_s,
            candles_per_s=event.candles_per_s,
            failed=self._failed + event.failed,
            cpu_percent=event.cpu_percent,
            memory_bytes=event.memory_bytes,
        )

    def on_result(self, payload: Mapping[str, Any]) -> None:
        """A result was displayed: its best trial and data stand in the record unless the notebook itself says more."""
        best, strategy = payload.get("best"), payload.get("strategy")
        changes = _facts(best) | _facts({"data": payload.get("data")}) if isinstance(best, dict) else {}
        if self._record.run.strategy is None and isinstance(strategy, str) and strategy:
            changes["strategy"] = strategy
        self._update(**changes)

    def on_verdict(self, payload: Mapping[str, Any]) -> None:
        """A verdict was displayed; the last one stands in the record."""
        judgement, meaning, p_value = (payload.get(name) for name in ("judgement", "meaning", "p_value"))
        if isinstance(judgement, str) and isinstance(meaning, str) and type(p_value) in (float, int, NoneType):
            self._update(verdict={"judgement": judgement, "meaning": meaning, "p_value": p_value})

    def _said(self) -> dict[str, Any]:
        """What the notebook told by `context.headline`, as changes of the record."""
        return _facts(json.loads(self._headline.read_bytes())) if self._headline.exists() else {}

    def on_warning(self, text: str) -> None:
        """The engine met something odd."""
        warnings.warn(f"{self._job.id}: {text}", RunWarning, stacklevel=2)

    def _report(self, status: runs.Status, error: str | None) -> None:
        import nbformat

        run = dataclasses.replace(self._record.run, status=status, error=error, finished=runs.utc_now())
        notebook = nbformat.read(self._job.folder / NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
        html = page.render(notebook, page.describe(self._job, run, time.monotonic() - self._started))
        missing = offline.external_references(html)
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            self.on_warning(f"{REPORT} works without a network, so it does not show what needs {missing[0]}{more}")
        write_atomic(self._job.folder / REPORT, html.encode())
        self._update(report=REPORT)

    def _update(self, **changes: Any) -> None:
        self._tell(self._record.update(**changes))

    def _tell(self, run: runs.Run) -> None:
        if self._on_change is not None:
            self._on_change(run)


def _facts(said: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record that `said`, some notebook's JSON, fills rightly."""
    facts: dict[str, Any] = {}
    if isinstance(metrics := said.get("metrics"), dict):
        facts["metrics"] = runs.finite({name: value for name, value in metrics.items() if type(value) in (int, float)})
    if isinstance(data := said.get("data"), dict):
        facts["data"] = {"name": data.get("name"), "lineage": data.get("lineage")}
    if type(seed := said.get("seed")) is int:
        facts["seed"] = seed
    return facts
