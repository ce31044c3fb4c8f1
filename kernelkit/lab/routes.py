"""The routes under `/kernelkit/`: all of them read, and all of them ask who is calling."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError, authenticated

from kernelkit.batch import runs, template
from kernelkit.batch.parameters import Parameter
from kernelkit.errors import KernelkitError, UsageError

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
        if file is None or self.notice is not None or not (_is_name(run.id) and _is_name(file)):
            return None
        path = self.folder / run.id / file
        return path.relative_to(self.root).as_posix() if path.is_file() else None

    def describe(self, run: runs.Run) -> dict[str, Any]:
        """The record of the run with the paths of what can be opened."""
        links = {"notebook": self.link(run, run.notebook), "report": self.link(run, run.report)}
        return {**run.to_json(), "links": links}


def _is_name(text: str) -> bool:
    """Whether `text` names something in a folder, and is no way out of it."""
    return Path(text).name == text and text != ".."


class Handler(APIHandler):
    """A route that reads files, in a thread, and answers JSON."""

    @property
    def store(self) -> Store:
        """Where this server's runs are."""
        store: Store = self.settings[STORE]
        return store

    async def answer(self, read: Callable[[], dict[str, Any]]) -> None:
        """Finish with what `read` returns; 404 with the reason where it raises one of kernelkit's errors."""
        try:
            content = await asyncio.to_thread(read)
        except KernelkitError as error:
            # HTTPError formats its text with %
            raise HTTPError(404, str(error).replace("%", "%%")) from error
        self.finish(json.dumps(content, allow_nan=False))


class RunsHandler(Handler):
    """GET /kernelkit/runs: all runs, newest first."""

    @authenticated
    async def get(self) -> None:
        """Answer {"root", "notice", "runs": [record with links]}."""
        store = self.store
        await self.answer(
            lambda: {
                "root": store.shown,
                "notice": store.notice,
                "runs": [store.describe(run) for run in runs.list_runs(store.folder)],
            }
        )


class RunHandler(Handler):
    """GET /kernelkit/runs/<id>: one run."""

    @authenticated
    async def get(self, run_id: str) -> None:
        """Answer the record with links."""
        store = self.store
        if not _is_name(run_id):
            raise HTTPError(404, f"{run_id!r} is not the id of a run".replace("%", "%%"))
        await self.answer(lambda: store.describe(runs.read_run(store.folder / run_id)))


class TemplatesHandler(Handler):
    """GET /kernelkit/templates: the templates by name."""

    @authenticated
    async def get(self) -> None:
        """Answer {"templates": [{"name", "title"}]}."""
        await self.answer(lambda: {"templates": [_title(path) for _, path in sorted(template.templates().items())]})


class TemplateHandler(Handler):
    """GET /kernelkit/templates/<name>: the form of its parameters."""

    @authenticated
    async def get(self, name: str) -> None:
        """Answer {"name", "title", "parameters": [{"name", "default", "kind", "help"}]}."""
        await self.answer(lambda: _form(name))


def _title(path: Path) -> dict[str, Any]:
    found = template.read(path)
    return {"name": found.name, "title": found.title}


def _form(name: str) -> dict[str, Any]:
    known = template.templates()
    if name not in known:
        raise UsageError(f"there is no template {name!r}; templates: {', '.join(sorted(known))}")
    fields = [_field(parameter) for parameter in template.read(known[name]).parameters]
    return {**_title(known[name]), "parameters": fields}


def _field(parameter: Parameter) -> dict[str, Any]:
    """A parameter as JSON; a default that JSON has not (a tuple, a set, infinity) is given as its Python text."""
    default = parameter.default
    try:
        plain = json.loads(json.dumps(default, allow_nan=False)) == default
    except (TypeError, ValueError):
        plain = False
    return {
        "name": parameter.name,
        "default": default if plain else repr(default),
        "kind": parameter.kind,
        "help": parameter.help,
    }
