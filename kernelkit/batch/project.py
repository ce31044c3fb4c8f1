"""A new project: a folder in which everything works at once."""

from __future__ import annotations

from pathlib import Path

from kernelkit.batch.template import folders
from kernelkit.errors import RunError, UsageError, message
from kernelkit.files import write_atomic

# What it is made of, beside the templates.
SKELETON = "project"
# A file whose name is another one there: git would heed it here.
_NAMES = {"gitignore": ".gitignore"}


def begin(folder: str | Path) -> list[Path]:
    """Make the project `folder` and return its files; UsageError where it holds anything already.

    The folder .kernelkit in it, empty at first, keeps the ledger of this project apart from that of one around it.
    """
    to = Path(folder)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        found = "a folder that is not empty" if to.is_dir() else "a file"
        raise UsageError(message(f"{to}", found, "a new folder, or an empty one", "Choose another name."))
    files = _skeleton()
    (to / ".kernelkit").mkdir(parents=True)
    made = []
    for file in files:
        path = to / _NAMES.get(file.name, file.name)
        text = file.read_text(encoding="utf-8")
        write_atomic(path, (text.replace("{name}", to.resolve().name) if file.suffix == ".md" else text).encode())
        made.append(path)
    return made


def _skeleton() -> list[Path]:
    for folder in folders():
        if (folder / SKELETON).is_dir():
            return sorted(file for file in (folder / SKELETON).iterdir() if file.is_file())
    fix = "Install kernelkit again: its templates are not there."
    raise RunError(message("skeleton of a project", "none", f"share/kernelkit/templates/{SKELETON}", fix))
