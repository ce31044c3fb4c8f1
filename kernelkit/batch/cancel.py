"""Stop a run that is at work on this machine, as SIGTERM stops it."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from kernelkit.batch._process import tell_to_stop
from kernelkit.batch.runs import Run, read_run
from kernelkit.errors import RunError

# Longer than a kernel takes to shut down, and a report to be left out.
WAIT_S = 30.0
_POLL_S = 0.1


def cancel(folder: Path, wait: float = WAIT_S) -> Run:
    """Tell the process of the run in `folder` to stop, and return its record when that says so.

    RunError where the run has ended, is another machine's or another user's, or has not stopped after `wait` seconds.
    """
    run = read_run(folder)
    if run.status == "queued":
        # its process is the queue's, which has other runs in hand
        held = f"{run.id} is queued by process {run.pid} on {run.host}"
        raise RunError(f"{held}; cancel it in JupyterLab's panel of runs")
    if run.status != "running":
        raise RunError(f"{run.id} is not running, it is {run.status}: there is nothing to stop")
    if run.host != socket.gethostname():
        raise RunError(f"{run.id} runs on {run.host}, and this is {socket.gethostname()}; type the same command there")
    try:
        told = tell_to_stop(run.pid, run.pid_started)
    except PermissionError:
        raise RunError(f"{run.id} is another user's (process {run.pid}); ask whoever started it") from None
    end = time.monotonic() + wait
    while told and run.status == "running":
        if time.monotonic() > end:
            raise RunError(
                f"{run.id} was told to stop and has not within {wait:g} s; "
                f"kill -9 {run.pid} ends it, its record then says lost"
            )
        time.sleep(_POLL_S)
        run = read_run(folder)
    return read_run(folder)
