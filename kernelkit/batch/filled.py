"""A template as a notebook of one's own: its copy, with the values of a form in a cell below its parameters."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kernelkit.batch.absent import ENDINGS
from kernelkit.batch.template import Template
from kernelkit.errors import RunError
from kernelkit.files import write_atomic

# papermill's tag: a notebook that is run again with other values gets them in place of these.
INJECTED = "injected-parameters"


def write(template: Template, values: Mapping[str, Any], folder: Path, root: Path) -> Path:
    """Write the copy into `folder`, under the template's name or the next that is free, and return its file.

    Names of files among the `values` count from `root`, and in the copy from where it lies.
    """
    seen = {name: _seen(value, ENDINGS.get(name, ()), root, folder) for name, value in values.items()}
    content = _filled(template.path, seen)
    for n in itertools.count():
        path = folder / (f"{template.path.stem}.ipynb" if n == 0 else f"{template.path.stem}-{n}.ipynb")
        try:
            path.open("xb").close()  # nobody else gets the name meanwhile
            break
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(f"{path} cannot be written: {error.strerror}; choose another folder") from error
    try:
        write_atomic(path, content)
    except OSError:
        path.unlink()
        raise
    return path


def _filled(template: Path, values: Mapping[str, Any]) -> bytes:
    notebook = json.loads(template.read_bytes())
    source = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    tagged = [i for i, cell in enumerate(notebook["cells"]) if "parameters" in cell["metadata"].get("tags", ())]
    if values:
        cell: dict[str, Any] = {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {"tags": [INJECTED]},
            "outputs": [],
            "source": source.rstrip(),
        }
        if (notebook["nbformat"], notebook["nbformat_minor"]) >= (4, 5):
            cell["id"] = INJECTED
        notebook["cells"].insert(tagged[0] + 1, cell)
    return json.dumps(notebook, indent=1, ensure_ascii=False).encode()


def _seen(value: Any, endings: tuple[str, ...], root: Path, folder: Path) -> Any:
    """The file with one of the `endings` that `value` names below `root`, as `folder` sees it; all else as it was."""
    name, colon, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    if Path(name).suffix not in endings or Path(name).is_absolute() or not (root / name).exists():
        return value
    return f"{Path(os.path.relpath(root / name, folder)).as_posix()}{colon}{rest}"
