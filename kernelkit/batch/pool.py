"""Several runs at a time, each in a process `python -m kernelkit.batch.worker` with the job on its standard input."""

from __future__ import annotations

import collections
import dataclasses
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kernelkit.batch import runs
from kernelkit.batch._process import stoppable
from kernelkit.batch.execution import OnChange, Outcome, RunWarning, execute
from kernelkit.batch.plan import Job
from kernelkit.errors import RunError

# Between two steps of a pool.
POLL_S = 0.2
# Longer than a kernel takes to shut down; a worker still there is killed, and its run is then shown as lost.
_STOP_S = 20.0

# What a worker exits with: the run is done or failed as its record says, or was done before, or could not be started.
EXIT_FINISHED, EXIT_DONE_BEFORE, EXIT_REFUSED = 0, 10, 11


def execute_all(planned: Sequence[Job], jobs: int, on_change: OnChange | None = None) -> list[Outcome]:
    """Run all of `planned`, `jobs` at a time; a signal stops the workers, which record it, and raises Interrupted."""
    pool = Pool(jobs, planned)
    outcomes: dict[str, Outcome] = {}
    with stoppable():
        try:
            while pool.busy:
                for ended in pool.step(on_change):
                    outcomes[ended.job.id] = ended.outcome
                    if ended.said:
                        warnings.warn(f"{ended.job.id}: {ended.said}", RunWarning, stacklevel=2)
                time.sleep(POLL_S)
        finally:
            pool.stop()
    return [outcomes[job.id] for job in planned]


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that is over, what came of it, and what its process said by itself though nothing went wrong."""

    job: Job
    outcome: Outcome
    said: str


class Pool:
    """Jobs that wait for their turn, and the processes of those, at most `jobs`, that have it.

    Nothing happens between two calls of `step` but the work of these processes.
    """

    def __init__(self, jobs: int, planned: Iterable[Job] = ()) -> None:
        self.jobs = jobs
        self.waiting = collections.deque(planned)
        self._working: list[_Worker] = []
        self._over: list[Ended] = []  # not told of yet: a process could not be started meanwhile

    @property
    def busy(self) -> bool:
        """Whether anything waits or is at work."""
        return bool(self.waiting or self._working or self._over)

    @property
    def working(self) -> list[Job]:
        """The jobs whose processes have not ended yet."""
        return [worker.job for worker in self._working]

    def step(self, on_change: OnChange | None = None) -> list[Ended]:
        """Tell `on_change` what the records say anew, start what has its turn, and return the jobs that have ended."""
        for worker in list(self._working):
            ended = worker.process.poll() is not None
            worker.look(on_change)
            if ended:
                self._working.remove(worker)
                self._over.append(worker.ended())
        while self.waiting and len(self._working) < self.jobs:
            self._working.append(_Worker(self.waiting[0]))
            self.waiting.popleft()
        over, self._over = self._over, []
        return over

    def stop(self, job: Job | None = None) -> None:
        """End the process of `job`, or all of them, as a signal ends a run; what waits stays where it is."""
        stopped = [worker for worker in self._working if job is None or worker.job is job]
        for worker in stopped:
            worker.process.terminate()
        end = time.monotonic() + _STOP_S
        for worker in stopped:
            try:
                worker.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.close()
            self._working.remove(worker)


class _Worker:
    """One process at work on one job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._seen: runs.Run | None = None
        self._said = tempfile.TemporaryFile()
        try:
            self.process = self._start()
        except BaseException:
            self._said.close()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        with tempfile.TemporaryFile() as stdin:
            stdin.write(pickle.dumps(self.job))
            stdin.seek(0)
            # in a session of its own: Ctrl-C is for whoever owns the pool, and JupyterLab asks before it means it
            return subprocess.Popen(
                [sys.executable, "-m", "kernelkit.batch.worker"],
                cwd=self.job.place,
                stdin=stdin,
                stdout=self._said,
                stderr=self._said,
                start_new_session=True,
            )

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

    def close(self) -> None:
        """Forget what the process said."""
        self._said.close()

    def ended(self) -> Ended:
        """The result, after the process has ended."""
        code = self.process.returncode
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip()
        self.close()
        if code == EXIT_DONE_BEFORE:
            done = Outcome(runs.read_run(self.job.folder), self.job.folder, fresh=False)
            return Ended(self.job, done, "")
        run = self._record()
        if run is None:
            run = runs.Run(id=self.job.id, name=self.job.name, template=self.job.template.name, status="failed")
            run, said = dataclasses.replace(run, error=said[-500:] or f"its process ended with {code}"), ""
        elif run.status == "lost":
            run, said = dataclasses.replace(run, error=f"its process ended with {code}: {said[-500:]}"), ""
        return Ended(self.job, Outcome(run, self.job.folder), said)


def work() -> int:
    """What the worker process does: the job on standard input; the exit code says how far it came."""
    job = pickle.load(sys.stdin.buffer)
    try:
        outcome = execute(job)
    except RunError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_REFUSED
    return EXIT_FINISHED if outcome.fresh else EXIT_DONE_BEFORE
