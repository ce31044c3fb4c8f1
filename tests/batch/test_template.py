from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kernelkit.batch import template
from kernelkit.errors import UsageError


def test_reads_what_a_notebook_declares(tmp_path: Path, write_notebook: Any) -> None:
    path = write_notebook(tmp_path / "sma.ipynb", "1", parameters="n = 5  # bars", title="An average")
    found = template.read(path)
    assert (found.name, found.path, found.title) == ("sma", path, "An average")
    assert [(p.name, p.default, p.help) for p in found.parameters] == [("n", 5, "bars")]


def test_without_a_heading_the_title_is_the_name(tmp_path: Path, write_notebook: Any) -> None:
    found = template.read(write_notebook(tmp_path / "sma.ipynb", "1"))
    assert (found.title, found.parameters) == ("sma", ())


def test_the_digest_is_of_what_is_executed(tmp_path: Path, write_notebook: Any) -> None:
    path = write_notebook(tmp_path / "a.ipynb", "x = 1", parameters="n = 5")
    digest = template.read(path).digest
    notebook = json.loads(path.read_text())
    code = notebook["cells"][1]
    code.update(outputs=[{"output_type": "stream", "name": "stdout", "text": "hi"}], execution_count=7)
    code["source"] = ["x ", "= 1"]
    path.write_text(json.dumps(notebook))
    assert template.read(path).digest == digest
    code["source"] = "x = 2"
    path.write_text(json.dumps(notebook))
    assert template.read(path).digest != digest


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"nbformat": 3}, "notebook format 3, wanted 4; open it in JupyterLab and save it"),
        ({"cells": None}, "not a notebook (TypeError"),
        ({"cells": [{}]}, "not a notebook (KeyError"),
        ({"metadata": {"kernelspec": {"language": "R"}}}, "its language is R, wanted python"),
    ],
)
def test_what_is_no_notebook_is_refused(
    tmp_path: Path, write_notebook: Any, change: dict[str, Any], complaint: str
) -> None:
    path = write_notebook(tmp_path / "a.ipynb", "1")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UsageError, match=re.escape(complaint)):
        template.read(path)


def test_text_is_no_notebook(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("hello")
    with pytest.raises(UsageError, match="not a notebook"):
        template.read(tmp_path / "a.ipynb")


def test_two_parameter_cells_are_refused(tmp_path: Path, write_notebook: Any) -> None:
    path = write_notebook(tmp_path / "a.ipynb", "1", parameters="n = 1")
    notebook = json.loads(path.read_text())
    path.write_text(json.dumps({**notebook, "cells": notebook["cells"][:1] * 2}))
    with pytest.raises(UsageError, match="2 cells are tagged 'parameters'"):
        template.read(path)


def test_a_name_is_looked_up_and_the_checkout_wins(
    tmp_path: Path, write_notebook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, installed = tmp_path / "own", tmp_path / "installed"
    for folder in (own, installed):
        folder.mkdir()
        write_notebook(folder / "walk_forward.ipynb", f"'{folder.name}'")
    write_notebook(installed / "only_installed.ipynb", "1")
    monkeypatch.setattr(template, "folders", lambda: [own, installed])
    assert template.find("walk_forward") == own / "walk_forward.ipynb"
    assert template.find("only_installed") == installed / "only_installed.ipynb"
    wanted = (
        "there is no template 'walk_foward' (did you mean 'walk_forward'?); templates: only_installed, walk_forward"
    )
    with pytest.raises(UsageError, match=re.escape(wanted)):
        template.find("walk_foward")


def test_a_path_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"missing\.ipynb: there is no such notebook"):
        template.find("missing.ipynb")


def test_the_templates_of_this_package_are_found() -> None:
    root = Path(__file__).parents[2]
    names = {path.stem for path in (root / "templates").glob("*.ipynb")}
    assert names <= set(template.templates())
