"""Executes a notebook for a run: reads our MIME types as they pass by, and saves the notebook whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import nbformat
from nbclient.util import run_sync
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NotebookExecutionManager
from traitlets.config import Config

from kernelkit import progress
from kernelkit.files import write_atomic

RESULT_MIME = "application/vnd.kernelkit.result.v1+json"
VERDICT_MIME = "application/vnd.kernelkit.verdict.v1+json"

# A loaded machine takes its time to start a kernel and to deliver a large picture.
_LIMITS = {"startup_timeout": 120, "iopub_timeout": 60}

_DISPLAYS = ("display_data", "update_display_data", "execute_result")


class Watch(Protocol):
    """Who is told what happens in the notebook."""

    def on_cell(self, cell: int, cells: int) -> None:
        """Code cell `cell` of `cells` (from 1) starts."""

    def on_progress(self, event: progress.Progress) -> None:
        """The current cell reports progress."""

    def on_result(self, payload: Mapping[str, Any]) -> None:
        """The current cell displays a result."""

    def on_verdict(self, payload: Mapping[str, Any]) -> None:
        """The current cell displays a verdict."""

    def on_warning(self, text: str) -> None:
        """Something is odd, and no reason to stop."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a notebook is executed: its own file, the log for what its process says by itself, its environment."""

    notebook: Path
    log: Path
    environment: Mapping[str, str]


def execute_watched(nb: Any, kernel_name: str, where: Surroundings, watch: Watch) -> Any:
    """Execute `nb` in a new kernel, keep it current in its file, tell `watch`; return it with its outputs."""
    manager = _Manager(nb, where.notebook, watch)
    manager.notebook_start()
    try:
        with _transport() as config, where.log.open("wb") as log:
            client = _Client(manager, kernel_name=kernel_name, config=config, **_LIMITS)
            client.watch = watch
            client.execute(env=dict(where.environment), stdout=log, stderr=log)
    finally:
        manager.notebook_complete()
        if where.log.exists() and where.log.stat().st_size == 0:
            where.log.unlink()
    return manager.nb


@contextlib.contextmanager
def _transport() -> Iterator[Config]:
    """Talk to the kernel over socket files that only this user can open: no port, and no warning about plain TCP."""
    if os.name != "posix":
        yield Config()
        return
    # a socket's path has at most about 100 characters, which TMPDIR alone may exceed
    with tempfile.TemporaryDirectory(prefix="kk-", dir="/tmp") as folder:
        yield Config(KernelManager={"transport": "ipc", "ip": f"{folder}/k"})


class _Manager(NotebookExecutionManager):  # type: ignore[misc]
    """papermill's manager, which saves atomically and says which cell starts."""

    def __init__(self, nb: Any, path: Path, watch: Watch) -> None:
        self._path = path
        self._watch = watch
        super().__init__(nb, progress_bar=False)
        self._code = [i for i, cell in enumerate(nb.cells) if cell.cell_type == "code"]

    def save(self, **kwargs: Any) -> None:
        write_atomic(self._path, nbformat.writes(self.nb).encode())  # type: ignore[no-untyped-call]
        self.last_save_time = self.now()

    def cell_start(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        super().cell_start(cell, cell_index, **kwargs)
        if cell_index in self._code:
            self._watch.on_cell(self._code.index(cell_index) + 1, len(self._code))


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """papermill's client, which looks at displays before they go into the notebook."""

    watch: Watch

    async def async_execute_cell(self, *args: Any, **kwargs: Any) -> Any:
        """As nbclient does; a signal leaves this task behind, and nobody asks how it ends when its kernel goes."""
        task = asyncio.current_task()
        if task is not None:
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return await super().async_execute_cell(*args, **kwargs)

    execute_cell = run_sync(async_execute_cell)  # the parent's is made of its own

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        if msg["msg_type"] in _DISPLAYS:
            data = msg["content"]["data"]
            if progress.MIME in data:
                self._progress(data[progress.MIME], cell_index)
            if isinstance(data.get(RESULT_MIME), dict):
                self.watch.on_result(data[RESULT_MIME])
            if isinstance(data.get(VERDICT_MIME), dict):
                self.watch.on_verdict(data[VERDICT_MIME])
        return super().process_message(msg, cell, cell_index)

    def _progress(self, payload: object, cell_index: int) -> None:
        try:
            event = progress.Progress.from_json(payload)
        except ValueError as error:
            # a wrong number in a display is no reason to lose hours of work
            self.watch.on_warning(f"cell {cell_index + 1}: {error}")
            return
        self.watch.on_progress(event)
