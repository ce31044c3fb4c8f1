"""What a function captures from around it, as far as it can be compiled: numbers, modules, helpers, own indicators."""

from __future__ import annotations

import ast
import copy
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from kernelkit.indicator import Indicator
from kernelkit.kernels.context import CODES
from kernelkit.kernels.lower import Lowering
from kernelkit.kernels.plan import Plan, plain
from kernelkit.kernels.source import Source, emit, read_source
from kernelkit.kernels.timeframe import timeframed
from kernelkit.kernels.tools import safe

ALLOWED_MODULES = ("math", "numpy")
SCALARS = (bool, int, float)


def captured(function: FunctionType, source: Source) -> dict[str, Any]:
    """Global and closure values that the function's body really names (attribute names do not count)."""
    cells = dict(zip(function.__code__.co_freevars, (c.cell_contents for c in function.__closure__ or ()), strict=True))
    out = {}
    for name in source.names:
        if name in cells:
            out[name] = cells[name]
        elif name in function.__globals__ and name not in function.__code__.co_varnames:
            out[name] = function.__globals__[name]
    return out


@dataclass(frozen=True)
class Helper:
    """A captured function: the name it is called by, its source, its name for the context, if it gets that."""

    name: str
    source: Source
    ctx: str | None
    defaults: tuple[Any, ...]


@dataclass
class Capture:
    """All that a function and its helpers capture: roles by name, module text, own indicators, helpers."""

    roles: dict[str, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    own: dict[str, Indicator] = field(default_factory=dict)
    helpers: list[Helper] = field(default_factory=list)

    @classmethod
    def of(cls, *readers: tuple[FunctionType, Source, str | None]) -> Capture:
        """What functions, with their sources and what they call their context, capture at present.

        Raises StrategyError for what compiled code cannot see.
        """
        found, seen = cls(), dict[str, Any]()
        for function, source, ctx in readers:
            found.collect(function, source, ctx, seen)
        return found

    def collect(self, function: FunctionType, source: Source, ctx: str | None, seen: dict[str, Any]) -> None:
        """Add what one function captures; `seen` are the values that names stand for."""
        for name, value in captured(function, source).items():
            value = getattr(value, "py_func", value)
            known = seen.get(name, value)
            if known is not value and not (isinstance(value, SCALARS) and constant(known) == constant(value)):
                source.refuse(
                    first_use(source.tree, name), f"two different values are called `{name}`", "rename one of them"
                )
            if name in seen or name == ctx:
                continue
            seen[name] = value
            if isinstance(value, Indicator):
                self.roles[name] = f"indicator {value.words} {value.name} {len(value.arguments) - 2}"
                self.own[name] = value
                self.collect(value.function, value.source, None, seen)
            elif isinstance(value, (*SCALARS, str)):
                self.roles[name] = "constant"
                self.texts.append(f"{safe(name)} = {constant(value)}")
            elif of_package(value) is not None:
                self.roles[name] = f"codes {of_package(value)}".strip()
            elif isinstance(value, ModuleType) and value.__name__ in ALLOWED_MODULES:
                self.roles[name] = "module"
                self.texts.append(f"import {value.__name__} as {safe(name)}")
            elif getattr(value, "__module__", None) in ("math", "builtins") and callable(value):
                self.roles[name] = "function"
                if value.__module__ == "math":
                    self.texts.append(f"from math import {value.__name__} as {safe(name)}")
            elif isinstance(value, FunctionType):
                self.roles[name] = "helper"
                inner = read_source(value)
                passed = passes_context(source.tree, name, ctx)
                own_context = inner.tree.args.args[passed].arg if passed is not None else None
                self.collect(value, inner, own_context, seen)
                self.helpers.append(Helper(name, inner, own_context, value.__defaults__ or ()))
            else:
                source.refuse(
                    first_use(source.tree, name),
                    f"it captures `{name}`, a {type(value).__name__}",
                    "only numbers, math, numpy and functions can be captured; arrays would be a way to see the future "
                    "and enter with kk.feature, other modules are for debug=True, imported inside the function",
                )

    def lower(self, plan: Plan, lowering: type[Lowering]) -> list[str]:
        """Module text of it all, as the strategy is lowered; the plan hears what a helper or an indicator does."""
        texts = list(self.texts)
        for helper in self.helpers:
            text = helper_text(helper, plan, self.roles, lowering)
            if text not in texts:
                texts.append(text)
        return [i.text(plan) for i in self.own.values()] + texts


def of_package(value: Any) -> str | None:
    """The name of a table of numbers that compiled code knows, empty for the package that has them; else None.

    >>> import kernelkit as kk
    >>> of_package(kk), of_package(kk.Reason), of_package(math)
    ('', 'Reason', None)
    """
    if isinstance(value, ModuleType) and value.__name__ == __package__:
        return ""
    known = isinstance(value, type) and issubclass(value, IntEnum) and value.__module__.startswith(f"{__package__}.")
    return value.__name__ if known and value.__name__ in CODES else None


def snapshot(function: FunctionType) -> tuple[Hashable, list[Any]]:
    """A key of all that a function and its helpers capture, and the objects that it names by id: keep them with it."""
    key: list[Hashable] = []
    held: list[Any] = []
    todo = [function]
    for f in todo:  # grows while it is walked
        key.append((id(f), id(f.__code__), repr(f.__defaults__)))
        held += [f, f.__code__]
        for name, value in captured(f, read_source(f)).items():
            plain = isinstance(value, (*SCALARS, str))
            key.append((name, type(value), repr(value)) if plain else (name, id(value)))
            held.append(value)
            inner = getattr(value, "py_func", value)
            inner = inner.function if isinstance(inner, Indicator) else inner
            if isinstance(inner, FunctionType) and not any(inner is t for t in todo):
                todo.append(inner)
    return tuple(key), held


def code_of(function: Any, seen: frozenset[Any] = frozenset()) -> str:
    """What a function does, as far as its bytecode, the numbers, text and tables it captures and its helpers say.

    A lambda has no source of its own.
    """
    code, *inner = nested(function.__code__)
    cells = dict(zip(code.co_freevars, (c.cell_contents for c in function.__closure__ or ()), strict=True))
    names = {n for one in (code, *inner) for n in one.co_names}
    captures = {n: function.__globals__[n] for n in names if n in function.__globals__} | cells
    said = [f"{c.co_code.hex()} {[k for k in c.co_consts if not isinstance(k, CodeType)]} {c.co_names}" for c in inner]
    constants = [c for c in code.co_consts if not isinstance(c, CodeType)]
    parts = [f"{code.co_code.hex()} {constants} {code.co_names} {function.__defaults__!r}", *said]
    for name, value in sorted(captures.items()):
        if (text := literal(value)) is not None:
            parts.append(f"{name} = {text}")
        elif isinstance(value, FunctionType) and value not in seen:
            parts.append(f"{name}: {code_of(value, seen | {function, value})}")
    return "\n".join(parts)


def nested(code: CodeType) -> list[CodeType]:
    """The code of a function, and of all that is defined inside it."""
    return [code, *(own for c in code.co_consts if isinstance(c, CodeType) for own in nested(c))]


def literal(value: Any) -> str | None:
    """What a scalar, a text, or a table of these holds, the same in every process; None of anything else.

    >>> literal({"b": [1, 2.5], "a": None}), literal(object())
    ("{'b': [1, 2.5], 'a': None}", None)
    """
    if value is None or isinstance(value, (*SCALARS, str)):
        return repr(value)
    if isinstance(value, np.ndarray):
        return f"array({value.dtype} {value.tolist()!r})" if value.dtype.kind in "biufUSM" else None
    if isinstance(value, Mapping):
        pairs = [(literal(k), literal(v)) for k, v in value.items()]
        return None if any(None in pair for pair in pairs) else f"{{{', '.join(f'{k}: {v}' for k, v in pairs)}}}"
    if isinstance(value, list | tuple | set | frozenset):
        texts = [literal(v) for v in value]
        known = [text for text in texts if text is not None]
        ends = "[]" if isinstance(value, list) else "()" if isinstance(value, tuple) else "{}"
        inside = sorted(known) if ends == "{}" else known
        return f"{ends[0]}{', '.join(inside)}{ends[1]}" if len(known) == len(texts) else None
    return None


def first_use(tree: ast.FunctionDef, name: str) -> ast.AST:
    """Where a function's body first names something."""
    uses = [n for n in ast.walk(ast.Module(tree.body, [])) if isinstance(n, ast.Name) and n.id == name]
    return min(uses, key=lambda n: (n.lineno, n.col_offset))


def constant(value: Any) -> str:
    """A scalar as source text.

    >>> constant(0.1), constant(float("inf"))
    ('0.1', "float('inf')")
    """
    value = int(value) if isinstance(value, IntEnum) else plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    return repr(value)


def passes_context(tree: ast.FunctionDef, helper: str, context_name: str | None) -> int | None:
    """Which argument of `helper` receives the context, if any."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == helper:
            for k, a in enumerate(node.args):
                if isinstance(a, ast.Name) and a.id == context_name:
                    return k
    return None


def helper_text(helper: Helper, plan: Plan, roles: dict[str, str], kind: type[Lowering]) -> str:
    """A captured function, lowered; a default is the value that it had when the function was defined."""
    source = timeframed(helper.source, helper.ctx)
    arguments = [kind.here if a.arg == helper.ctx else safe(a.arg) for a in source.tree.args.args]
    lowering = kind(source, plan, helper.ctx, None, roles, 1)
    for k, (value, node) in enumerate(zip(reversed(helper.defaults), reversed(source.tree.args.defaults), strict=True)):
        if arguments[-1 - k] == kind.here:  # a call without ctx would read from nowhere
            lowering.cannot_compile(node, f"a default for `{helper.ctx}`", "always pass it")
            arguments[-1 - k] = kind.here.replace(",", "=0,") + "=0"
        elif not isinstance(value, SCALARS):
            source.refuse(node, f"a default of type {type(value).__name__}", "helpers take numbers")
        else:
            arguments[-1 - k] += f"={constant(value)}"
    body = [lowering.visit(n) for n in copy.deepcopy(source.tree.body)]
    head = f"def {safe(helper.name)}({', '.join(arguments)}):\n"
    return head + "\n".join(emit(source, [ast.fix_missing_locations(n) for n in body]))
