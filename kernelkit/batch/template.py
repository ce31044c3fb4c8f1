"""Find a template notebook by name or path, and read it."""

from __future__ import annotations

import difflib
import hashlib
import json
import site
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelkit.batch.parameters import Parameter, declared
from kernelkit.errors import UsageError
from kernelkit.files import canonical_json

_SHARE = Path("share", "kernelkit", "templates")


@dataclass(frozen=True, slots=True)
class Template:
    """A notebook to run: its name, file, parameters, title (its first heading), and the hash of what it does.

    `about` is the paragraph below the title.
    """

    name: str
    path: Path
    parameters: tuple[Parameter, ...]
    title: str
    digest: str
    about: str = ""


def folders() -> list[Path]:
    """Where templates are looked for: the checkout that the package is imported from, else where it was installed."""
    checkout = Path(__file__).parents[2]
    # an editable install copies share/ once, and the copy grows stale: the checkout wins
    own = [checkout / "templates"] if (checkout / "pyproject.toml").exists() else []
    return [
        folder for folder in (*own, Path(sys.prefix) / _SHARE, Path(site.getuserbase()) / _SHARE) if folder.is_dir()
    ]


def templates() -> dict[str, Path]:
    """The templates by name."""
    return {path.stem: path for folder in reversed(folders()) for path in sorted(folder.glob("*.ipynb"))}


def find(template: str | Path) -> Path:
    """The file of `template`, a name or the path of an .ipynb; UsageError lists the names."""
    path = Path(template)
    if path.suffix == ".ipynb":
        if not path.is_file():
            raise UsageError(f"{template}: there is no such notebook")
        return path.resolve()
    known = templates()
    if str(template) in known:
        return known[str(template)]
    close = difflib.get_close_matches(str(template), known, 1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    names = ", ".join(sorted(known)) or "none installed"
    raise UsageError(
        f"there is no template {str(template)!r}{hint}; templates: {names}; a notebook is given as its .ipynb file"
    )


def read(template: str | Path) -> Template:
    """Find `template` and read what it declares; UsageError where it is not a Python notebook."""
    path = find(template)
    cells = _cells(path)
    tagged = [cell for cell in cells if cell.kind == "code" and "parameters" in cell.tags]
    if len(tagged) > 1:
        raise UsageError(
            f"{path}: {len(tagged)} cells are tagged 'parameters'; papermill fills only the first, tag one"
        )
    parameters = declared(tagged[0].source) if tagged else ()
    title, about = _heading(cells)
    return Template(path.stem, path, parameters, title or path.stem, _digest(cells), about)


@dataclass(frozen=True, slots=True)
class _Cell:
    kind: str
    source: str
    tags: tuple[str, ...]


def _cells(path: Path) -> list[_Cell]:
    """The cells of a notebook, read as plain JSON: importing nbformat takes a second, an error is told at once."""
    try:
        notebook = json.loads(path.read_bytes())
        version, metadata = notebook["nbformat"], notebook["metadata"]
        cells = [_cell(cell) for cell in notebook["cells"]] if version == 4 else []
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: not a notebook ({type(error).__name__}: {error})") from None
    if version != 4:
        raise UsageError(f"{path}: notebook format {version}, wanted 4; open it in JupyterLab and save it")
    language = metadata.get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise UsageError(f"{path}: its language is {language}, wanted python")
    return cells


def _cell(cell: dict[str, Any]) -> _Cell:
    return _Cell(cell["cell_type"], "".join(cell["source"]), tuple(cell["metadata"].get("tags", ())))


def _heading(cells: list[_Cell]) -> tuple[str, str]:
    """The first heading, and the paragraph below it; each is empty where there is none."""
    for cell in cells:
        lines = cell.source.splitlines() if cell.kind == "markdown" else []
        for i, line in enumerate(lines):
            if line.startswith("# "):
                below = "\n".join(lines[i + 1 :]).strip().partition("\n\n")[0]
                return line.lstrip("# ").strip(), " ".join(below.split()) if not below.startswith("#") else ""
    return "", ""


def _digest(cells: list[_Cell]) -> str:
    # what is executed and shown; outputs, counts and ids do not make it another notebook
    content = [[cell.kind, cell.source, cell.tags] for cell in cells]
    return hashlib.sha256(canonical_json(content)).hexdigest()
