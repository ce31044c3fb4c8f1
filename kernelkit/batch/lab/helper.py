"""Processes of their own for what needs heavy packages: the server neither waits for them nor grows by them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from kernelkit.errors import RunError

# One may wait for a scheduler that does not answer while the other reads.
PROCESSES = 2


class Helper:
    """Runs functions in processes that start with the first call, in the folder ``root``, and stay warm."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pool: ProcessPoolExecutor | None = None

    async def call(self, function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
        """What a module's function returns; its errors are raised here, RunError where its process died."""
        if self._pool is None:
            # spawned, as a fork would copy the server's threads and sockets
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(PROCESSES, spawn, _begin, (self._root,))
        pool = self._pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
        except BrokenProcessPool as error:
            if self._pool is pool:
                self._pool = None
            raise RunError("the process that worked on this is gone; if memory is short, free some, and ask again") from error

    def stop(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _begin(root: Path) -> None:
    """Where the ledger is looked for is where a process works; the server says when it ends."""
    os.chdir(root)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
