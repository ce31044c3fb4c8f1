"""Completion inside a `%%backtest` cell: options, data sets, venues, cost models, variables, parameters."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from typing import Any

from kernelkit.market import fees, slippage, venues
from kernelkit.market.fill_model import NAMED
from kernelkit.notebook import options
from kernelkit.notebook.settings import makers

_CELL = re.compile(r"\s*%%backtest(?=\s|$)")
_HEADER = re.compile(r"#\|\s*(?:(?P<key>[\w-]+)\s*:\s*)?(?P<word>\S*)$")
_DEF = re.compile(r"^(?:async\s+)?def\s+\w+\s*\((.*?)\)\s*(?:->.*)?:", re.MULTILINE | re.DOTALL)


def candidates(text: str, cursor: int, namespace: dict[str, Any]) -> tuple[str, list[str]] | None:
    """The word before `cursor` in a cell, and what it may become; None where it is not ours to complete.

    >>> candidates("%%backtest --data sp", 20, {})
    ('sp', ['sp500_index'])
    """
    before = text[:cursor]
    if not _CELL.match(text):
        return None
    first, newline, rest = before.partition("\n")
    if not newline:
        word, wanted = _on_line(_CELL.sub("", first, count=1), text, namespace)
    elif (found := _HEADER.match(rest.rpartition("\n")[2])) is not None:
        word = found["word"]
        if found["key"] is None:
            wanted = [f"{name}: " for name in options.BY_NAME]
        else:
            wanted = _values(found["key"], word, text, namespace)
    else:
        return None
    return word, [option for option in wanted if option.startswith(word) and option != word]


def _on_line(line: str, text: str, namespace: dict[str, Any]) -> tuple[str, Iterable[str]]:
    parts = line.split()
    if not line[-1:].isspace() and parts:
        word, before = parts[-1], parts[-2] if len(parts) > 1 else ""
    else:
        word, before = "", parts[-1] if parts else ""
    name, equals, value = word.partition("=")
    if equals and name.startswith("--"):
        return value, _values(name[2:], value, text, namespace)
    takes = "param" if before == "-p" else before.removeprefix("--")
    if before.startswith("-") and takes in options.BY_NAME and options.BY_NAME[takes].value:
        if takes == "param" and equals:
            return value, _variables(value, namespace)
        return word, _values(takes, word, text, namespace)
    return word, [f"--{name}" for name in options.BY_NAME] + ["-p"]


def _values(option: str, word: str, text: str, namespace: dict[str, Any]) -> Iterable[str]:
    """What an option may be given."""
    from kernelkit.data.catalog import names

    if word.startswith("@"):
        return _variables(word, namespace)
    offered: dict[str, Callable[[], Iterable[str]]] = {
        "data": names,
        "fee": lambda: makers(fees),
        "slippage": lambda: makers(slippage),
        "venue": lambda: makers(venues),
        "fill-model": lambda: NAMED,
        "param": lambda: (f"{name}=" for name in _parameters(text)),
        "p": lambda: (f"{name}=" for name in _parameters(text)),
        "gpu": lambda: ("true", "false"),
        "debug": lambda: ("true", "false"),
    }
    return offered[option]() if option in offered else ()


def _variables(word: str, namespace: dict[str, Any]) -> Iterable[str]:
    return (f"@{name}" for name in namespace if not name.startswith("_")) if word.startswith("@") else ()


def _parameters(text: str) -> list[str]:
    """The parameters of the cell's last function, which need not be finished yet."""
    heads = _DEF.findall(text)
    if not heads:
        return []
    try:
        tree = ast.parse(f"def f({heads[-1]}): pass")
    except SyntaxError:
        return []
    return [node.arg for node in ast.walk(tree) if isinstance(node, ast.arg) and node.arg not in ("ctx", "ds", "s")]


def matcher(shell: Any) -> Any:
    """The completer's matcher of `shell`."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher()  # type: ignore[untyped-decorator]
    def kernelkit_matcher(context: Any) -> Any:
        lines = context.full_text.split("\n")
        cursor = sum(len(row) + 1 for row in lines[: context.cursor_line]) + context.cursor_position
        found = candidates(context.full_text, cursor, shell.user_ns)
        if found is None:
            return {"completions": []}
        word, wanted = found
        completions = [SimpleCompletion(option, type="param") for option in wanted]
        return {"completions": completions, "suppress": bool(completions), "matched_fragment": word, "ordered": True}

    kernelkit_matcher.matcher_identifier = "kernelkit"
    return kernelkit_matcher
