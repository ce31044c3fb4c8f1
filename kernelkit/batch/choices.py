"""Names that a form offers: strategies and bars, those of the package and those in the files of a project.

Nothing of a project is run: a file's strategies are read from its decorators.
"""

from __future__ import annotations

import ast
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kernelkit.errors import RunError

# A folder may be somebody's whole disk: files are looked for so deep, so many, and so long.
_DEPTH, _FILES, _SECONDS = 4, 5_000, 2.0
_LARGE = 2_000_000
# What decorates a strategy, as `kernelkit.strategy` calls it.
_DECORATORS = ("strategy", "signal")


@dataclass(frozen=True, slots=True)
class Choices:
    """Names for `kk.strategies.find` and `kk.data.load`; `complete` is False where not all files were looked at."""

    strategies: list[str]
    data: list[str]
    complete: bool


def choices(root: Path, without: Path) -> Choices:
    """What can be named in `root`, with its files by their paths below it, but none that lie in `without`."""
    from kernelkit.data import names

    looked = Look(root, without)
    strategies, bars = list[str](), list[str]()
    for path in looked.files():
        name = path.relative_to(root).as_posix()
        if path.name == "zarr.json":
            bars += [path.parent.relative_to(root).as_posix()] if _is_bars(path) else []
        else:
            found = _strategies(path)
            strategies += [name] if len(found) == 1 else [f"{name}:{one}" for one in found]
    return Choices([*_shipped(), *strategies], [*names(), *bars], looked.complete)


@functools.cache
def _shipped() -> list[str]:
    """What `kk.strategies.names` says, asked in a process of its own: it compiles, and a server should not."""
    code = "import json, kernelkit; print(json.dumps(kernelkit.strategies.names()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().rpartition("\n")[2]
        raise RunError(f"the names of strategies cannot be read: {said}; kernelkit doctor says more")
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return names


class Look:
    """Walks through a project, but not the folder `without`, nor for ever: `complete` is False where it broke off."""

    def __init__(self, root: Path, without: Path) -> None:
        self._root = root
        self._without = without
        self.complete = True

    def files(self) -> Iterator[Path]:
        """The Python files, notebooks and Zarr groups, by name."""
        end, seen = time.monotonic() + _SECONDS, 0
        for place, folders, files in os.walk(self._root):
            here = Path(place)
            if here.suffix == ".zarr":
                folders.clear()
                yield from (here / name for name in files if name == "zarr.json")
                continue
            deep = len(here.relative_to(self._root).parts) >= _DEPTH
            folders[:] = [] if deep else sorted(name for name in folders if self._is_project(here / name))
            for name in sorted(files):
                seen += 1
                if seen > _FILES or time.monotonic() > end:
                    self.complete = False
                    return
                if name.endswith((".py", ".ipynb")) and not name.startswith("."):
                    yield here / name

    def _is_project(self, folder: Path) -> bool:
        """Whether own files may lie there: not in hidden folders, those of runs, packages or environments."""
        hidden = folder.name.startswith((".", "__")) or folder.name in ("node_modules", "site-packages")
        return not hidden and folder != self._without and not (folder / "pyvenv.cfg").exists()


def _is_bars(file: Path) -> bool:
    """Whether a Zarr group holds bars that `kk.data.store.save` wrote, and not some other result."""
    from kernelkit.data.store import DIGEST

    try:
        return DIGEST in json.loads(file.read_bytes()).get("attributes", {})
    except (OSError, ValueError, AttributeError):
        return False  # not Zarr's


def _strategies(path: Path) -> list[str]:
    """The names of the functions in a file that are decorated as strategies; none where it is not Python."""
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size < _LARGE else ""
        if not any(word in text for word in _DECORATORS):
            return []
        found = _decorated(text) if path.suffix == ".py" else _in_cells(text)
    except (OSError, ValueError, SyntaxError, KeyError, TypeError):
        return []  # no file of ours: a form of parameters is not where its author is told
    return [name for name in dict.fromkeys(found) if not name.startswith("_")]


def _in_cells(text: str) -> list[str]:
    names: list[str] = []
    for cell in json.loads(text)["cells"]:
        lines = "".join(cell["source"]).splitlines() if cell["cell_type"] == "code" else []
        try:
            names += _decorated("\n".join(line for line in lines if not line.lstrip().startswith(("%", "!"))))
        except SyntaxError:
            continue  # another language's, or a magic's
    return names


def _decorated(source: str) -> list[str]:
    return [
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and any(_is_strategy(decorator) for decorator in node.decorator_list)
    ]


def _is_strategy(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    return name in _DECORATORS
