"""The facts that stand in more than one file, and the promises that no other test would miss."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kernelkit
from kernelkit import progress, schema

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# A lock file that a tool writes may name the server it asked; ours work with any.
REGISTRY = re.compile(
    r"registry\.(npmjs|yarnpkg)\.|pypi\.org/simple|pythonhosted\.org|npmRegistryServer|__archiveUrl|--(extra-)?index-url"
)
PINS = ["constraints.txt", "environment.yml", "pyproject.toml", "extension/.yarnrc.yml", "extension/yarn.lock"]


def requirements(*without: str) -> list[str]:
    """The core requirements and those of every extra but these."""
    extras = PROJECT["optional-dependencies"]
    return [*PROJECT["dependencies"], *(line for name in extras if name not in without for line in extras[name])]


def kept_files() -> list[Path]:
    """The files that git keeps, or would at the next commit."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files are kept")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def pins() -> Iterator[tuple[str, str]]:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        name, _, version = line.partition(";")[0].strip().partition("==")
        yield canonicalize_name(name), version


def imported(path: Path) -> set[str]:
    """The packages that a module imports, at its top or inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def test_environment_yml__same_requirements_as_pyproject():
    groups = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    by_pip = next(group["pip"] for group in groups if isinstance(group, dict))
    assert by_pip[-1] == "--editable ."
    assert sorted(by_pip[:-1]) == sorted(requirements("gpu"))
    python = f"python{PROJECT['requires-python']}"
    assert python in groups


def test_constraints__pin_every_requirement_but_gpu_and_ccxt():
    pinned: dict[str, list[str]] = {}
    for name, version in pins():
        pinned.setdefault(name, []).append(version)
    for line in requirements("gpu", "ccxt"):  # ccxt demands exact versions, older ones, of what others share
        wanted = Requirement(line)
        versions = pinned.get(canonicalize_name(wanted.name), [])
        assert versions, f"constraints.txt has no {wanted.name}: make constraints"
        assert all(wanted.specifier.contains(version) for version in versions), f"constraints.txt against {line}"


def test_imports__are_declared():
    declared = {canonicalize_name(Requirement(line).name) for line in requirements("test")}
    providers = importlib.metadata.packages_distributions()
    for path in sorted((ROOT / "kernelkit").rglob("*.py")):
        for name in imported(path) - sys.stdlib_module_names - {"kernelkit"}:
            found = {canonicalize_name(provider) for provider in providers.get(name, [name])}
            assert found & declared, f"{path.relative_to(ROOT)} imports {name}, which pyproject.toml does not require"


def test_build_requirements__are_pinned_too():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert {canonicalize_name(Requirement(line).name) for line in build} <= {name for name, _ in pins()}


def test_no_file_names_a_registry():
    found = [
        path.relative_to(ROOT)
        for path in kept_files()
        if path != Path(__file__) and REGISTRY.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


@pytest.mark.parametrize("name", PINS)
def test_pins__have_no_address(name):
    assert "://" not in (ROOT / name).read_text()


def test_version__stands_in_package_json_only():
    version = json.loads((ROOT / "extension" / "package.json").read_text())["version"]
    assert "version" not in PROJECT
    assert "version" in PROJECT["dynamic"]
    assert not re.search(r"__version__\s*=\s*[\"']\d", (ROOT / "kernelkit" / "__init__.py").read_text())
    assert kernelkit.__version__ == version == importlib.metadata.version("kernelkit")


def test_import__loads_no_heavy_package():
    code = (
        "import sys, kernelkit; print([m for m in ('numba', 'numpy', 'xarray', 'pandas', 'dask') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert found.strip() == "[]"


@pytest.mark.parametrize("name", sorted(kernelkit._MODULES))
def test_completion__shows_public_names_only(name):
    module = getattr(kernelkit, name)
    shown = dir(module)
    assert shown
    assert [n for n in shown if n.startswith("_") or not hasattr(module, n)] == []
    assert {"annotations", "np", "Any", "Mapping", "dataclass"} & set(shown) == set()


def test_lab_server_import__loads_no_heavy_package():
    heavy = ("numba", "xarray", "pandas", "dask")
    code = f"import sys, kernelkit.batch.lab.app; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert found.strip() == "[]"


def test_typescript__has_no_any_and_no_console():
    sources = sorted((ROOT / "extension" / "src").rglob("*.ts"))
    assert sources
    loose = re.compile(r"[:<|]\s*any\b|\bas any\b|\bany\[\]|\bconsole\.|@ts-|eslint-disable")
    assert [source.name for source in sources if loose.search(source.read_text())] == []


def test_typescript__shows_the_mime_type_that_python_emits():
    assert f"'{progress.MIME}'" in (ROOT / "extension" / "src" / "common" / "progress.ts").read_text()


def test_style__takes_every_colour_from_the_theme():
    for sheet in (ROOT / "extension" / "style").glob("*.css"):
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", sheet.read_text()), sheet.name


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make__says_which_python_it_needs(tmp_path):
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\ncase "$1" in -V) echo "Python 3.9.1";; *) exit 1;; esac\n')
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    for python, said in ((str(old), "is Python 3.9.1"), ("no-such-python", "there is no no-such-python")):
        made = subprocess.run(["make", f"PY={python}"], cwd=tmp_path, env=outside, capture_output=True, text=True)
        assert made.returncode != 0
        assert "kernelkit needs Python 3.11 or newer" in made.stderr
        assert said in made.stderr


def test_typescript__knows_every_metric_and_its_order():
    source = (ROOT / "extension" / "src" / "common" / "format.ts").read_text()
    block = source[source.index("const KINDS") : source.index("};", source.index("const KINDS"))]
    assert re.findall(r"^  (\w+): '", block, re.MULTILINE) == list(schema.METRICS)
