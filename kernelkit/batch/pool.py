"""Several runs at a time, each in a process `python -m kernelkit.batch.worker` with the job on its standard input."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence

from kernelkit.batch import runs
from kernelkit.batch._process import stoppable
from kernelkit.batch.execution import OnChange, Outcome, RunWarning, execute
from kernelkit.batch.plan import Job
from kernelkit.errors import RunError

_POLL_S = 0.2
# Longer than a kernel takes to shut down; a worker still there is killed, and its run is then shown as lost.
_STOP_S = 20.0

# What a worker exits with: the run is done or failed as its record says, or was done before, or could not be started.
EXIT_FINISHED, EXIT_DONE_BEFORE, EXIT_REFUSED = 0, 10, 11


def execute_all(planned: Sequence[Job], jobs: int, on_change: OnChange | None = None) -> list[Outcome]:
    """Run all of `planned`, `jobs` at a time; a signal stops the workers, which record it, and raises Interrupted."""
    waiting = list(reversed(planned))
    working: list[_Worker] = []
    outcomes: dict[str, Outcome] = {}
    with stoppable():
        try:
            while waiting or working:
                while waiting and len(working) < jobs:
                    working.append(_Worker(waiting.pop()))
                time.sleep(_POLL_S)
                for worker in list(working):
                    ended = worker.process.poll() is not None
                    worker.look(on_change)
                    if ended:
                        working.remove(worker)
                        outcomes[worker.job.id] = worker.outcome()
        finally:
            _stop(working)
    return [outcomes[job.id] for job in planned]


def _stop(working: Sequence[_Worker]) -> None:
    for worker in working:
        worker.process.terminate()
    end = time.monotonic() + _STOP_S
    for worker in working:
        try:
            worker.process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()


class _Worker:
    """One process at work on one job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._seen: runs.Run | None = None
        self._said = tempfile.TemporaryFile()
        with tempfile.TemporaryFile() as stdin:
            stdin.write(pickle.dumps(job))
            stdin.seek(0)
            command = [sys.executable, "-m", "kernelkit.batch.worker"]
            self.process = subprocess.Popen(command, stdin=stdin, stdout=self._said, stderr=self._said)

    def look(self, on_change: OnChange | None) -> None:
        """Tell `on_change` what is new in the record."""
        run = self._record()
        if on_change is not None and run is not None and run != self._seen:
            self._seen = run
            on_change(run)

    def _record(self) -> runs.Run | None:
        """The record, if it is this worker's own and not one that an earlier attempt left."""
        if not (self.job.folder / runs.FILE).exists():
            return None
        run = runs.read_run(self.job.folder)
        return run if run.pid == self.process.pid else None

    def outcome(self) -> Outcome:
        """The result, after the process has ended."""
        code = self.process.returncode
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip()
        self._said.close()
        if code == EXIT_DONE_BEFORE:
            return Outcome(runs.read_run(self.job.folder), self.job.folder, fresh=False)
        run = self._record()
        if run is None:
            run = runs.Run(id=self.job.id, name=self.job.name, template=self.job.template.name, status="failed")
            return Outcome(
                dataclasses.replace(run, error=said[-500:] or f"its process ended with {code}"), self.job.folder
            )
        if run.status == "lost":
            run = dataclasses.replace(run, error=f"its process ended with {code}: {said[-500:]}")
        elif said:
            warnings.warn(f"{run.id}: {said}", RunWarning, stacklevel=2)
        return Outcome(run, self.job.folder)


def work() -> int:
    """What the worker process does: the job on standard input; the exit code says how far it came."""
    job = pickle.load(sys.stdin.buffer)
    try:
        outcome = execute(job)
    except RunError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_REFUSED
    return EXIT_FINISHED if outcome.fresh else EXIT_DONE_BEFORE
