"""Code and whose it is: the names that it loads, the modules that it imports, and whether a package brought it."""

from __future__ import annotations

import dis
import sys
import sysconfig
from collections.abc import Mapping
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME")
ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM")
PACKAGES = ("site-packages", "dist-packages")
UNSET = object()  # what a closure's variable is before it is assigned


def names_of(code: CodeType) -> set[str]:
    """The global names that a function's code loads, functions inside it included; attributes do not count."""
    return _arguments(code, GLOBALS)


def attributes_of(code: CodeType) -> set[str]:
    """The names that it takes from something, an imported module among others."""
    return _arguments(code, ATTRIBUTES)


def texts_of(code: CodeType) -> set[str]:
    """The texts in it, any of which may name something, as for ``getattr``."""
    found = {c for c in code.co_consts if isinstance(c, str)}
    return found.union(*(texts_of(c) for c in code.co_consts if isinstance(c, CodeType)))


@cache
def _arguments(code: CodeType, operations: tuple[str, ...]) -> set[str]:
    found = {step.argval for step in dis.get_instructions(code) if step.opname in operations}
    return found.union(*(_arguments(c, operations) for c in code.co_consts if isinstance(c, CodeType)))


def imports_of(code: CodeType, home: Mapping[str, Any]) -> dict[str, ModuleType]:
    """The user's modules that it imports itself, by name, as far as they are imported by now."""
    out, package = {}, home.get("__package__") or ""
    for name in sorted(_arguments(code, ("IMPORT_NAME",))):
        parts = name.split(".")
        for whole in (".".join(parts[:k]) for k in range(1, len(parts) + 1)):
            for full in (whole, resolve_name(f".{whole}", package) if package and whole else whole):
                module = sys.modules.get(full)
                if isinstance(module, ModuleType) and is_users(module):
                    out[full] = module
    return out


def contents(cell: CellType) -> Any:
    """The value in a closure's cell, `UNSET` in one that is empty."""
    try:
        return cell.cell_contents
    except ValueError:
        return UNSET


def is_users(value: FunctionType | type | ModuleType) -> bool:
    """Whether code is the user's: neither Python's, nor an installed package's, nor of this one.

    >>> import json
    >>> is_users(json), is_users(Path), is_users(is_users), is_users(int)
    (False, False, False, False)
    """
    if isinstance(value, FunctionType):
        home: Mapping[str, Any] = value.__globals__
    else:
        module = sys.modules.get(value.__module__) if isinstance(value, type) else value
        if not isinstance(module, ModuleType):
            return False
        home = vars(module)
    name, path = str(home.get("__name__", "")), list(home.get("__path__") or [])
    file = home.get("__file__") or (path[0] if path else None)
    if file is None:  # typed in, or built in
        return name == "__main__" or (name not in sys.builtin_module_names and home.get("__loader__") is None)
    return not is_packaged(str(file))


@cache
def is_packaged(file: str) -> bool:
    """Whether a file came with Python, with an installed package or with this one."""
    path = Path(file)
    brought = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), str(Path(__file__).parents[1]))
    return any(part in PACKAGES for part in path.parts) or any(path.is_relative_to(b) for b in brought)
