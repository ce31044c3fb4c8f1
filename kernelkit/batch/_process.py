"""Which process is it, is it still that one, and what to do when it is told to stop."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from kernelkit.errors import RunError

_PROC = Path("/proc")


def started(pid: int) -> str | None:
    """A token that changes when `pid` is given to another process; None when there is no such process.

    Linux: boot id and start tick from /proc; elsewhere the start time that `ps` prints; without either (Windows) ''.
    """
    if (_PROC / "self" / "stat").exists():
        return _started_proc(pid)
    if os.name == "posix":
        return _started_ps(pid)
    return ""


def _started_proc(pid: int) -> str | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the name in parentheses may hold anything, so count from the last one; field 3 is the state, 22 the start tick
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{_boot_id()}:{fields[19]}"


@functools.cache
def _boot_id() -> str:
    file = _PROC / "sys/kernel/random/boot_id"
    return file.read_text().strip() if file.exists() else ""


def _started_ps(pid: int) -> str | None:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    state, _, start = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else start.strip()


_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupted(KeyboardInterrupt):
    """A signal said stop; a KeyboardInterrupt because asyncio lets only that through at once."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Inside, the first SIGINT, SIGTERM or SIGHUP raises `Interrupted`; later ones do not disturb the clean-up.

    Signals that the process ignores (nohup) stay ignored. Outside the main thread, signals are its owner's business.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal told
        if not told:
            told = True
            raise Interrupted(signum)

    before = {signum: signal.getsignal(signum) for signum in _STOPPING}
    before = {signum: handler for signum, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for signum in before:
        signal.signal(signum, stop)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def tell_to_stop(pid: int, token: str) -> bool:
    """Send SIGTERM to the process that `started` knows by `token`, and never to another that has its number by now.

    False where it has ended. PermissionError where it is another user's.
    """
    if not hasattr(os, "pidfd_open"):
        alive = started(pid) == token
        if alive:
            os.kill(pid, signal.SIGTERM)
        return alive
    try:
        # what the descriptor means stays the same process, whatever becomes of the number
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if started(pid) != token:
            return False
        signal.pidfd_send_signal(process, signal.SIGTERM)
    except ProcessLookupError:
        return False
    finally:
        os.close(process)
    return True


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process alone, at most until it dies; RunError if another one holds it."""
    if os.name != "posix":
        yield
        return
    fcntl = importlib.import_module("fcntl")
    with (folder / "run.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"{folder} is being run by another process; wait for it, stop it, or choose another --out"
            ) from None
        yield
