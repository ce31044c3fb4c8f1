"""A user's function as source: its tree, and its lines again in every message and every emitted line."""

import ast
import inspect
import textwrap
from typing import NoReturn

from kernelkit.errors import StrategyError, message


class Source:
    """A user's function: its tree, file and first line, for messages."""

    def __init__(self, tree: ast.FunctionDef, filename: str, first_line: int) -> None:
        self.tree, self.filename, self.first_line = tree, filename, first_line

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
    """The tree of a function's source, its file and first line."""
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError) as error:
        name = getattr(function, "__name__", function)
        raise StrategyError(
            message(f"source of {name}", "none", "a function defined in a cell or a file", "Write it there.")
        ) from error
    tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise StrategyError(
            message("a strategy", type(tree).__name__, "a function written with def", "Write def name(ctx, ...).")
        )
    tree.decorator_list = []
    return Source(tree, inspect.getfile(function), first)


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
