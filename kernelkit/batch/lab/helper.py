"""Processes of their own for what needs heavy packages: the server neither waits for them nor grows by them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from kernelkit.errors import RunError

# One may wait for a scheduler that does not answer while the other reads.
PROCESSES = 2

_pool: ProcessPoolExecutor | None = None


async def call(root: Path, function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What a module's function returns in a process whose folder is ``root``; its errors are raised here.

    The processes start with the first calls, stay warm, and end with the server. RunError where one died.
    """
    global _pool
    if _pool is None:
        # spawned, as a fork would copy the server's threads and sockets
        _pool = ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"), _begin)
    pool = _pool
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, _at, root, function, *arguments)
    except BrokenProcessPool as error:
        if _pool is pool:
            _pool = None
        fix = "if memory is short, free some, and ask again"
        raise RunError(f"the process that worked on this is gone; {fix}") from error


def close() -> None:
    """End the processes, whatever they are at: their callers hear that they are gone."""
    global _pool
    if _pool is None:
        return
    pool, _pool = _pool, None
    processes = list((pool._processes or {}).values())  # `shutdown` alone would wait for a call that is at work
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()


def _begin() -> None:
    """Ctrl-C in the server's terminal is for the server, which ends this process, and dies before it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_outlive_nobody, name="kernelkit server", daemon=True).start()


def _outlive_nobody() -> None:
    """End this process with the server, which may be killed; its executor would wait for work for ever."""
    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
        os._exit(0)


def _at(root: Path, function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """The ledger is looked for from the folder in which a process works."""
    os.chdir(root)
    return function(*arguments)
