"""Runs that wait for their turn in a process which has other things to do: the queue of the Jupyter server.

Whoever asks is answered at once; a thread works through a `pool.Pool`. Each run has its record from the start, which
says queued until its own process takes it over. Where the process of the queue dies, what waits reads lost, and what is
at work goes on: `kernelkit resume --all` takes up the rest.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from kernelkit.batch import provenance, runs
from kernelkit.batch._process import exclusive
from kernelkit.batch.cancel import cancel
from kernelkit.batch.execution import Outcome
from kernelkit.batch.execution import planned as first_record
from kernelkit.batch.plan import Job
from kernelkit.batch.pool import POLL_S, Ended, Pool
from kernelkit.errors import RunError, UsageError, message

# Each has a record that is kept alive.
MAX_WAITING = 1_000
# The heartbeats of what waits: another machine takes a run for lost after `runs.STALE_S`.
_BEAT_S = 20.0
_BEATS_PER_STEP = 10

_log = logging.getLogger(__name__)


@dataclasses.dataclass
class _Held:
    """A job with the record that it waits with, the one whose place this took, and when it was last written."""

    job: Job
    run: runs.Run
    before: runs.Run | None
    beaten: float


class Queue:
    """Makes runs, at most `jobs` at a time; `close` ends it. Its methods may be called from any thread."""

    def __init__(self, jobs: int = 1) -> None:
        self._pool = Pool(jobs)
        # by identity of the jobs: a run may wait anew while its former process is still ending
        self._held: dict[int, _Held] = {}
        self._over: list[Ended] = []  # how they ended is not in their records yet
        self._lock = threading.Lock()
        self._asked = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def add(self, planned: Sequence[Job]) -> list[Outcome]:
        """Queue `planned`, and return their records in that order; those that are not queued now are not `fresh`.

        These are queued or running already, or done, and their job does not force it. UsageError where too many wait.
        """
        with self._lock:
            if self._closed:
                raise RunError("the server is stopping; start it again, and then the run")
            if len(self._pool.waiting) + len(planned) > MAX_WAITING:
                found = f"{len(planned):,} runs beside {len(self._pool.waiting):,}"
                fix = "Let the notebook sweep an axis itself, or type kernelkit run."
                raise UsageError(message("queue", found, f"at most {MAX_WAITING:,} that wait", fix))
            versions = provenance.versions()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="kernelkit queue", daemon=True)
                self._thread.start()
            try:
                return [self._add(job, versions) for job in planned]
            finally:
                self._asked.set()  # those before one that cannot be written are queued

    def __contains__(self, run_id: object) -> bool:
        """Whether a run waits here, or is at work."""
        with self._lock:
            return any(job.id == run_id for job in (*self._pool.waiting, *self._pool.working))

    def cancel(self, run_id: str) -> runs.Run:
        """Take a run out of the queue, or stop it where it is at work, and return its record.

        What waited to be made again is what it was before. RunError where the queue has no such run, or its record
        cannot be written: it then waits on.
        """
        with self._lock:
            for job in [job for job in self._pool.waiting if job.id == run_id]:
                ended = self._end(job, "cancelled", None)
                self._pool.waiting.remove(job)
                return ended or runs.read_run(job.folder)
            working = [job for job in self._pool.working if job.id == run_id]
            if not working:
                raise RunError(f"{run_id} is not in the queue of this server")
            if runs.read_run(working[0].folder).status == "queued":  # its process has not come to its record yet
                self._pool.stop(working[0])
                return self._end(working[0], "cancelled", None) or runs.read_run(working[0].folder)
        return cancel(working[0].folder)

    def close(self) -> None:
        """Stop what is at work, and cancel what waits; both can be resumed."""
        with self._lock:
            self._closed = True
            try:
                while self._pool.waiting:
                    self._try_end(self._pool.waiting[0], "cancelled", "the server was stopped before its turn")
                    self._pool.waiting.popleft()
            finally:
                self._pool.stop()
        self._asked.set()
        if self._thread is not None:
            self._thread.join()

    def _add(self, job: Job, versions: Mapping[str, str]) -> Outcome:
        file = job.folder / runs.FILE
        before = runs.read_run(job.folder) if file.exists() else None
        if before and (before.status in runs.LIVE or (before.status == "done" and not job.force)):
            return Outcome(before, job.folder, fresh=False)
        run = runs.held(first_record(job, versions, None if job.force else before))
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
            with exclusive(job.folder):
                runs.write(file, run)
            run = runs.stored_run(file)  # JSON has no tuples, and keys that are text alone
        except OSError as error:
            raise _unwritable(job.folder, error) from error
        self._held[id(job)] = _Held(job, run, before, time.monotonic())
        self._pool.waiting.append(job)
        return Outcome(run, job.folder)

    def _work(self) -> None:
        while not self._closed:
            self._asked.wait()
            try:
                with self._lock:
                    self._step()
            except (OSError, RunError) as error:
                # a full disk, too many processes: they may be freed again
                _log.warning("the queue of runs goes on, but: %s", error)
            time.sleep(POLL_S)

    def _step(self) -> None:
        if self._closed:
            return
        # where its process never came to its record; what cannot be written now is tried again
        self._over = [one for one in self._over if not self._try_end(one.job, "failed", one.outcome.run.error)]
        for ended in self._pool.step():
            if not self._try_end(ended.job, "failed", ended.outcome.run.error):
                self._over.append(ended)
            if ended.said:
                _log.warning("%s: %s", ended.job.id, ended.said)
        now = time.monotonic()
        waiting = (self._held[id(job)] for job in self._pool.waiting)
        for held in [held for held in waiting if now - held.beaten > _BEAT_S][:_BEATS_PER_STEP]:
            held.beaten = now
            self._write(held, dataclasses.replace(held.run, heartbeat=runs.utc_now()))
        if not (self._pool.busy or self._over):
            self._asked.clear()

    def _end(self, job: Job, status: runs.Status, error: str | None) -> runs.Run | None:
        """Write how a run ended that never began, None where it did; what was to be made again is what it was."""
        held = self._held[id(job)]
        run = dataclasses.replace(held.run, status=status, error=error, finished=runs.utc_now())
        if status == "cancelled" and held.before is not None and held.before.status != "lost":
            run = held.before
        written = self._write(held, run)
        del self._held[id(job)]
        return run if written else None

    def _try_end(self, job: Job, status: runs.Status, error: str | None) -> bool:
        """Whether `_end` came to its end; where it did not, the log says why."""
        try:
            self._end(job, status, error)
        except RunError as wrong:
            _log.warning("how %s ended is not written yet: %s", job.id, wrong)
            return False
        return True

    def _write(self, held: _Held, run: runs.Run) -> bool:
        """Write the record of a run if it is still the one that this queue left there; False where it is not.

        RunError where the disk does not take it.
        """
        folder = held.job.folder
        try:
            with exclusive(folder):
                if runs.stored_run(folder) != held.run:
                    return False
                runs.write(folder / runs.FILE, run)
                held.run = runs.stored_run(folder)
        except (RunError, FileNotFoundError):  # another process has the folder in hand, or it is a run's no more
            return False
        except OSError as error:
            raise _unwritable(folder, error) from error
        return True


def _unwritable(folder: Path, error: OSError) -> RunError:
    return RunError(f"{folder} cannot be written: {error.strerror}; free it, then run it again")
