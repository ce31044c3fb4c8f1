"""The runs of a server: what their records say, and what JupyterLab can open of them."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

from kernelkit.batch import again, runs, tags, template
from kernelkit.errors import RunError
from kernelkit.files import is_file

# When a file was written, its size, and which it is: a file that is replaced is another one.
Mark = tuple[int, int, int]


# Bytes that file systems take for a name.
LONGEST = 255


def is_name(text: str) -> bool:
    """Whether `text` names something in a folder that is shown, and is no way out of it."""
    try:
        long = len(os.fsencode(text)) > LONGEST
    except UnicodeEncodeError:
        return False
    return text != "" and not long and Path(text).name == text and not text.startswith(".") and "\0" not in text


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """A run with its tags, as the files with these marks have them."""

    marks: tuple[Mark, Mark | None]
    run: runs.Run
    tags: tuple[str, ...]


class Store:
    """The runs below `folder`, read where their files changed, and the `root` that JupyterLab can open files of.

    ``shown`` is the folder as a person would type it in `root`, ``notice`` why no file of any run can be opened, None
    where they can. A run is known by the name of its folder: a copy of a run is another one.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.root = root
        self.shown, self.notice = str(folder), None
        if folder.is_relative_to(root):
            self.shown = folder.relative_to(root).as_posix()
        else:
            self.notice = (
                f"{folder} is not below {root}, where JupyterLab was started: its files cannot be opened here."
            )
        self._lock = threading.Lock()
        self._known: dict[str, Known] = {}

    def place(self, run_id: str) -> Path:
        """The folder of a run; RunError where there is none of this name."""
        if not (is_name(run_id) and is_file(self.folder / run_id / runs.FILE)):
            raise RunError(f"{run_id!r} is not the id of a run")
        return self.folder / run_id

    def look(self) -> dict[str, Known]:
        """All runs by id, as they are now."""
        with self._lock:
            found = {name: self._read(name) for name in self._names()}
            self._known = {name: known for name, known in found.items() if known is not None}
            return {name: _now(known) for name, known in self._known.items()}

    def _names(self) -> list[str]:
        try:
            with os.scandir(self.folder) as entries:
                return sorted(entry.name for entry in entries if not entry.name.startswith("."))
        except FileNotFoundError:
            # before the first run
            return []

    def _read(self, name: str) -> Known | None:
        """What the files of one run say, or why they cannot be read; None where it has no record."""
        try:
            return self._known_of(name)
        except OSError as error:
            run = runs.Run(id=name, name=name, template="", status="failed", error=str(error))
            return Known(((0, 0, 0), None), run, ())

    def _known_of(self, name: str) -> Known | None:
        # a look at 1,000 runs takes 8 ms with text for paths, 22 ms with Path
        file = f"{self.folder}/{name}/{runs.FILE}"
        mark = _mark(file)
        if mark is None:
            return None
        marks = (mark, _mark(f"{self.folder}/{name}/{tags.FILE}"))
        before = self._known.get(name)
        if before is not None and before.marks == marks:
            return before
        run = dataclasses.replace(runs.stored_or_explained(Path(file)), id=name)
        try:
            return Known(marks, run, tags.read_tags(self.folder / name))
        except RunError as error:
            return Known(marks, dataclasses.replace(run, error=run.error or str(error)), ())

    def describe(self, ids: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """All runs, newest first, or those of `ids` that there are, in their order.

        Each is its record with its tags, the paths of what can be opened, and what it takes to run it again.
        """
        if ids is None:
            found = sorted(self.look().values(), key=lambda known: known.run.created, reverse=True)
        else:
            read = (self._read(name) for name in dict.fromkeys(ids) if is_name(name))
            found = [_now(known) for known in read if known is not None]
        templates = template.templates()
        return [self._told(one, templates) for one in found]

    def _told(self, known: Known, templates: Container[str]) -> dict[str, Any]:
        run = known.run
        links = {"notebook": self._link(run, run.notebook), "report": self._link(run, run.report)}
        return {**run.to_json(), "tags": list(known.tags), "links": links, "again": _again(run, templates)}

    def _link(self, run: runs.Run, file: str | None) -> str | None:
        """The path JupyterLab opens for a file of the run; None where there is none directly in the run's folder."""
        if file is None or self.notice is not None or not is_name(file):
            return None
        there = f"{run.id}/{file}"
        if not is_file(self.folder / there):
            return None
        return there if self.shown == "." else f"{self.shown}/{there}"


def _mark(file: str) -> Mark | None:
    try:
        found = os.stat(file)  # noqa: PTH116  see _read
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _now(known: Known) -> Known:
    run = runs.now(known.run)
    return known if run is known.run else dataclasses.replace(known, run=run)


def _again(run: runs.Run, templates: Container[str]) -> dict[str, Any]:
    """The template and the values as a person types them, or why there are none by ``off``."""
    notebook = (run.origin or {}).get("notebook")
    try:
        values = again.typed(run)
    except RunError:
        return {"off": "its record does not tell what it was started with"}
    if not isinstance(notebook, str) or notebook not in templates:
        return {"off": f"{Path(str(notebook)).name} is no template"}
    return {"template": notebook, "values": values}
