"""What every route under `/kernelkit/` is made of: where the runs are, and how an answer or a refusal is written."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError

from kernelkit.batch import runs
from kernelkit.batch.lab import helper
from kernelkit.errors import KernelkitError

STORE = "kernelkit_store"


@dataclasses.dataclass(frozen=True, slots=True)
class Store:
    """Where the runs are, and the folder that JupyterLab can open files of."""

    folder: Path
    root: Path

    @property
    def shown(self) -> str:
        """The folder of the runs as a person would type it in the server's root folder."""
        return str(self.folder.relative_to(self.root)) if self.folder.is_relative_to(self.root) else str(self.folder)

    @property
    def notice(self) -> str | None:
        """Why no file of any run can be opened, None where they can."""
        if self.folder.is_relative_to(self.root):
            return None
        return f"{self.folder} is not below {self.root}, where JupyterLab was started: its files cannot be opened here."

    def link(self, run: runs.Run, file: str | None) -> str | None:
        """The path JupyterLab opens for a file of the run; None where there is none directly in the run's folder."""
        if file is None or self.notice is not None or not (is_name(run.id) and is_name(file)):
            return None
        path = self.folder / run.id / file
        return path.relative_to(self.root).as_posix() if path.is_file() else None

    def describe(self, run: runs.Run) -> dict[str, Any]:
        """The record of the run with the paths of what can be opened."""
        links = {"notebook": self.link(run, run.notebook), "report": self.link(run, run.report)}
        return {**run.to_json(), "links": links}


def is_name(text: str) -> bool:
    """Whether `text` names something in a folder, and is no way out of it."""
    return Path(text).name == text and text != ".."


class Handler(APIHandler):
    """A route that reads files, in a thread or a process of its own, and answers JSON."""

    @property
    def store(self) -> Store:
        """Where this server's runs are."""
        store: Store = self.settings[STORE]
        return store

    async def answer(self, read: Callable[[], dict[str, Any]]) -> None:
        """Finish with what `read` returns; 404 with the reason where it raises one of kernelkit's errors."""
        await self._answer(asyncio.to_thread(read))

    async def work(self, function: Callable[..., dict[str, Any]], *arguments: Any) -> None:
        """As `answer`, of a module's function that loads heavy packages: it runs in a helper's process."""
        await self._answer(helper.call(self.store.root, function, *arguments))

    async def _answer(self, coming: Awaitable[dict[str, Any]]) -> None:
        try:
            content = await coming
        except KernelkitError as error:
            # HTTPError formats its text with %
            raise HTTPError(404, str(error).replace("%", "%%")) from error
        self.finish(json.dumps(content, allow_nan=False))
