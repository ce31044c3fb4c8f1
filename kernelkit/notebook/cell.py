"""Finds the strategy that a magic is about: in its cell, which it runs, or by its name."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

from kernelkit.errors import UsageError
from kernelkit.hooks import KINDS
from kernelkit.indicator import Indicator
from kernelkit.notebook.fault import in_cells
from kernelkit.notebook.options import nearest
from kernelkit.strategy import Signal, Strategy, signal, strategy

_FORMS = "def name(ctx, ...) decides bar by bar, def name(ds, ...) returns target weights over labelled arrays"


def execute(shell: Any, magic: str, line: str, cell: str) -> Strategy | Signal:
    """Run `cell`, which stands below ``magic line``, and return its strategy, which the function's name then holds.

    That is the last function it defines, hooks apart. Raises UsageError where there is none, and what the cell raises.
    """
    tree, filename = _parse(shell, f"{magic} {line}\n{cell}", cell)
    name = _last_function(tree)
    code = compile(tree, filename, "exec", shell.compile.flags, dont_inherit=True)
    try:
        exec(code, shell.user_ns)
    except BaseException as error:
        in_cells(shell, error)
        raise
    found = as_strategy(shell.user_ns[name], name)
    shell.user_ns[name] = found
    return found


def named(shell: Any, name: str) -> Strategy | Signal:
    """The strategy of a name: a variable of the notebook, else what `kk.strategies.find` knows, files too."""
    from kernelkit import strategies

    if name in shell.user_ns:
        return as_strategy(shell.user_ns[name], name)
    try:
        return strategies.find(name)
    except UsageError as error:
        hint = nearest(name, strategies_of(shell.user_ns))
        raise UsageError(f"{error}{hint}") from None


def named_in(shell: Any, magic: str, words: Sequence[str], others: str) -> Strategy | Signal:
    """The strategy that the words of a line magic name; for none or several UsageError, with ``others`` that fit."""
    if len(words) != 1:
        found = f"{len(words)} names, {', '.join(words)}" if words else "no name"
        raise UsageError(f"{magic}: found {found}, wanted one strategy, as in {magic} sma_cross, {others}")
    return named(shell, words[0])


def strategies_of(namespace: Mapping[str, Any]) -> list[str]:
    """The variables that hold strategies."""
    return [n for n, v in namespace.items() if isinstance(v, Strategy | Signal) and not n.startswith("_")]


def _parse(shell: Any, raw: str, cell: str) -> tuple[ast.Module, str]:
    # one line above the body, where the notebook shows the magic: line numbers are those the user sees
    text = "\n" + shell.transform_cell(cell)
    filename = shell.compile.cache(text, shell.execution_count, raw_code=raw)
    try:
        return shell.compile.ast_parse(text, filename), filename
    except SyntaxError as error:
        found = (error.text or "").strip()
        raise UsageError(f"{filename}, line {error.lineno}: {error.msg}: {found}") from None


def _last_function(tree: ast.Module) -> str:
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and not _is_hook(n)]
    if not functions:
        raise UsageError(f"the cell defines no function; the strategy is its last one: {_FORMS}")
    if isinstance(functions[-1], ast.AsyncFunctionDef):
        raise UsageError(f"{functions[-1].name} is async; a strategy is a plain function: {_FORMS}")
    return functions[-1].name


def _is_hook(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it is decorated as one: ``@name.on_fill``, ``@name.schedule("month_end")``."""
    marks = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any(isinstance(mark, ast.Attribute) and mark.attr in KINDS for mark in marks)


def as_strategy(found: object, name: str) -> Strategy | Signal:
    """What the cell's last function is: decorated ones as they are, plain ones by the name of their first parameter.

    >>> def hold(ctx): ctx.target_percent(1.0)
    >>> as_strategy(hold, "hold")
    <strategy hold()>
    """
    if isinstance(found, Strategy | Signal):
        return found
    if isinstance(found, Indicator):
        raise UsageError(f"{name} is an indicator; the cell's last function has to be the strategy")
    if not isinstance(found, FunctionType):
        raise UsageError(f"{name} is a {type(found).__name__} after its decorators; wanted a strategy: {_FORMS}")
    first = next(iter(found.__code__.co_varnames[: found.__code__.co_argcount]), None)
    if first == "ctx":
        made: Strategy | Signal = strategy(found)
    elif first == "ds":
        made = signal(found)
    else:
        begins = f"begins with {first!r}" if first else "takes nothing"
        raise UsageError(f"{name} {begins}; what it is shows in its first parameter: {_FORMS}")
    return made
