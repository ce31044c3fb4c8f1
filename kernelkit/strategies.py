"""Strategies by name: those that are shipped, those that installed packages offer, those in a file or a notebook."""

from __future__ import annotations

import ast
import hashlib
import json
import linecache
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from kernelkit import offers
from kernelkit.errors import StrategyError, UsageError, arguments, message
from kernelkit.strategy import Signal, Strategy


def names() -> list[str]:
    """What `find` knows by name: what is shipped, and what installed packages offer (``kernelkit.strategies``).

    >>> "sma_cross" in names()
    True
    """
    return sorted({*_shipped(), *offers.names("strategies")})


@arguments()
def find(name: str | os.PathLike[str]) -> Strategy | Signal:
    """The strategy of a name, or of a file: ``"trend.py"``, ``"research.ipynb"``, ``"research.ipynb:sma_cross"``.

    A .py file is run as a module. Of a notebook the imports, the constants and the definitions are run, in their order,
    and nothing else: neither calls nor magics. A file with one strategy needs no name behind it. Raises UsageError for
    what is not there, StrategyError where a file cannot be run, or is not clear.

    >>> find("sma_cross").defaults
    {'fast': 20, 'slow': 100}
    """
    try:
        text = os.fspath(name)
    except TypeError:
        raise UsageError(message("strategy", repr(name), "a name or a file", "See kk.strategies.names().")) from None
    path, _, wanted = text.partition(":")
    if Path(path).suffix in (".py", ".ipynb"):
        return _chosen(_defined(Path(path)), path, wanted)
    wanted = text
    shipped = _shipped()
    if wanted in shipped:
        return shipped[wanted]
    fix = "A file is named with its ending: trend.py, research.ipynb:trend."
    offered, place = offers.load("strategies", wanted, shipped, fix)
    return _chosen({wanted: offered}, place, wanted)


def _shipped() -> dict[str, Strategy | Signal]:
    from kernelkit import examples

    return _strategies(vars(examples))


def _strategies(space: dict[str, Any]) -> dict[str, Strategy | Signal]:
    return {n: v for n, v in space.items() if isinstance(v, (Strategy, Signal)) and not n.startswith("_")}


def _chosen(space: dict[str, Any], place: str, wanted: str) -> Strategy | Signal:
    found = _strategies(space)
    if wanted:
        if wanted not in found:
            have = ", ".join(found) or "no strategy"
            raise UsageError(message(f"strategy of {place}", repr(wanted), f"one of {have}", "Check the name."))
        return found[wanted]
    if len(found) != 1:
        have = ", ".join(found) or "none"
        fix = f"Write {place}:{next(iter(found), 'name')}." if found else "Decorate a function with @kk.strategy."
        raise StrategyError(message(f"strategies of {place}", have, "one, or the name of one behind a colon", fix))
    return next(iter(found.values()))


def _defined(path: Path) -> dict[str, Any]:
    """What a file defines."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fix = "Check the path; it counts from the current folder."
        raise UsageError(message("strategy's file", f"{path} ({error})", "a file that can be read", fix)) from None
    if path.suffix == ".ipynb":
        text = _definitions(text, path)
    file = str(path.resolve())
    if path.suffix == ".ipynb":  # a file of its definitions alone is nowhere
        file = f"<{path.name} {hashlib.sha256(text.encode()).hexdigest()[:8]}>"
    module = ModuleType(f"kernelkit_found_{hashlib.sha256(file.encode()).hexdigest()[:12]}")
    module.__file__ = file
    sys.modules[module.__name__] = module  # where dataclasses and pickles look for what a module defines
    space = vars(module)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)  # where sources are read from
    sys.path.insert(0, str(path.resolve().parent))  # its own imports
    try:
        exec(compile(text, file, "exec"), space)  # the user's own file
    except (Exception, SystemExit) as error:
        found = f"{type(error).__name__}: {error}"
        raise StrategyError(message(str(path), found, "code that runs", "Run it by itself.")) from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return space


def _definitions(text: str, path: Path) -> str:
    """The imports, constants and definitions of a notebook, with their decorators."""
    try:
        cells = ["".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError):
        raise UsageError(message("strategy's file", str(path), "a notebook", "Save it from JupyterLab.")) from None
    out = []
    for source in cells:
        lines = [line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))]
        try:
            tree = ast.parse("\n".join(lines))
        except SyntaxError:
            continue  # another language's, or a magic's
        for node in tree.body:
            kept = isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                kept = not any(isinstance(n, ast.Call | ast.Await) for n in ast.walk(node.value))
            if kept:
                first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
                out.append("\n".join(lines[first - 1 : node.end_lineno]))
    return "\n\n".join(out) + "\n"
