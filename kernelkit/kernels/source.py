"""A user's function as source: its tree, and its lines again in every message and every emitted line."""

import ast
import inspect
import textwrap
import time
import weakref
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import NoReturn

from kernelkit.errors import StrategyError, message

LOADED = time.time()
_sources = weakref.WeakKeyDictionary()


class Source:
    """A user's function: its tree, file and first line, for messages."""

    def __init__(self, tree: ast.FunctionDef, filename: str, first_line: int) -> None:
        self.tree, self.filename, self.first_line = tree, filename, first_line

    @cached_property
    def text(self) -> str:
        """The function without comments and layout."""
        return ast.unparse(self.tree)

    @cached_property
    def names(self) -> list[str]:
        """The names that the function's body reads, each once."""
        inner = ast.walk(ast.Module(self.tree.body, []))
        return list({n.id: None for n in inner if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)})

    def line(self, node: ast.AST) -> int:
        """The node's line in the user's file."""
        return self.first_line + getattr(node, "lineno", 1) - 1

    def refusal(self, node: ast.AST, what: str, instead: str) -> str:
        """What is wrong, in which line, and the way out."""
        where = f"{self.filename}, line {self.line(node)}, in {self.tree.name}"
        return f"{where}: {what}: `{ast.unparse(node)[:80]}`. {instead[:1].upper()}{instead[1:]}."

    def refuse(self, node: ast.AST, what: str, instead: str) -> NoReturn:
        """Raise the error that says so."""
        raise StrategyError(self.refusal(node, what, instead))


def read_source(function) -> Source:
    """The tree of a function's source, its file and first line; read once.

    Raises StrategyError for what is no function, and for one whose text is not there or not that of the code that runs.
    """
    if not callable(function) or not hasattr(function, "__name__"):
        fix = "Put it above a def, or pass it a function."
        raise StrategyError(message("argument of a decorator", repr(function), "a function written with def", fix))
    try:
        if function in _sources and _sources[function][0] is function.__code__:  # a reload may replace it in place
            return _sources[function][1]
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError) as error:
        wanted = "a function defined in a cell or a file"
        raise StrategyError(message(f"source of {function.__name__}", "none", wanted, "Write it there.")) from error
    tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise StrategyError(
            message("a strategy", type(tree).__name__, "a function written with def", "Write def name(ctx, ...).")
        )
    tree.decorator_list = []
    if edited(function, tree):
        fix = "Reload it (importlib.reload), or run the cell again."
        found = f"a text in {inspect.getfile(function)} that has changed since it was imported"
        raise StrategyError(message(f"source of {function.__name__}", found, "the text of the code that runs", fix))
    _sources[function] = function.__code__, Source(tree, inspect.getfile(function), first)
    return _sources[function][1]


def edited(function, tree: ast.FunctionDef) -> bool:
    """Whether a file was changed after this module was loaded, and a function in it is no longer the one that runs.

    One with an assertion cannot be told: pytest rewrites those.
    """
    path = Path(inspect.getfile(function))
    if any(isinstance(n, ast.Assert) for n in ast.walk(tree)) or not path.exists() or path.stat().st_mtime < LOADED:
        return False
    try:
        found = [compile(path.read_text("utf-8"), str(path), "exec", dont_inherit=True)]
    except (SyntaxError, ValueError):
        return True
    for code in found:  # grows while it is walked
        found += [c for c in code.co_consts if isinstance(c, CodeType)]
    return does(function.__code__) not in [does(c) for c in found]


def does(code: CodeType) -> tuple:
    """Where a function stands and what it does, functions in it apart."""
    kept = [repr(c) for c in code.co_consts if not isinstance(c, CodeType)]
    return code.co_qualname, code.co_firstlineno, code.co_code, code.co_names, code.co_varnames, kept


def emit(source: Source, statements: list[ast.stmt], indent: int = 1) -> list[str]:
    """Statements as text, each line tagged with the user's line it came from."""
    out: list[str] = []
    pad = "    " * indent
    for node in statements:
        tag = f"  # L{source.line(node)}"
        if isinstance(node, ast.If | ast.For | ast.While):
            head = {
                ast.If: lambda n: f"if {ast.unparse(n.test)}:",
                ast.While: lambda n: f"while {ast.unparse(n.test)}:",
                ast.For: lambda n: f"for {ast.unparse(n.target)} in {ast.unparse(n.iter)}:",
            }[type(node)](node)
            out.append(pad + head + tag)
            out += emit(source, node.body, indent + 1)
            if node.orelse:
                out.append(f"{pad}else:")
                out += emit(source, node.orelse, indent + 1)
        else:
            lines = ast.unparse(node).splitlines()
            out += [f"{pad}{line}{tag if k == 0 else ''}" for k, line in enumerate(lines)]
    return out
