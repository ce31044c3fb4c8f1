"""Completion of the magics: options, their values, parameters and axes, strategies, results, runs, settings."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from kernelkit.batch.runs import list_runs
from kernelkit.market import fees, slippage, venues
from kernelkit.market.fill_model import NAMED
from kernelkit.notebook.config import SETTINGS, config_of
from kernelkit.notebook.magics import TABLES, BacktestMagics
from kernelkit.notebook.options import Table
from kernelkit.notebook.settings import makers

_MAGIC = re.compile(r"\s*(?:[\w., ]+=\s*)?(%%?\w+)(?=\s)")
_HEADER = re.compile(r"#\|\s*(?:(?P<key>[\w-]+)\s*:\s*)?(?P<word>\S*)$")
_DEF = re.compile(r"^(?:async\s+)?def\s+\w+\s*\((.*?)\)\s*(?:->.*)?:", re.MULTILINE | re.DOTALL)
_OWN = ("ctx", "ds", "s")


def candidates(text: str, cursor: int, shell: Any) -> tuple[str, list[str]] | None:
    """The word before `cursor` in a cell, and what it may become; None where it is not ours to complete."""
    before = text[:cursor]
    first, row = text.partition("\n")[0], before.rpartition("\n")[2]
    table = _table(first)
    if table is not None and table.magic.startswith("%%") and "\n" in before:
        found = _HEADER.match(row)
        if found is None:
            return None
        word = found["word"]
        wanted: Iterable[str] = [f"{name}: " for name in table.by_name]
        if found["key"] is not None:
            word, wanted = Place(table, text, shell).value(found["key"], word)
    else:
        table, magic = _table(row), _MAGIC.match(row)
        if table is None or magic is None:
            return None
        word, wanted = Place(table, text if row == first[:cursor] else row, shell).on_line(row[magic.end() :])
    return word, [option for option in wanted if option.startswith(word) and option != word]


def _table(line: str) -> Table | None:
    found = _MAGIC.match(line)
    return TABLES.get(found[1]) if found else None


class Place:
    """A magic in a cell of a notebook, of which something is to be completed."""

    def __init__(self, table: Table, text: str, shell: Any) -> None:
        self.table, self.text, self.shell = table, text, shell
        self.namespace: dict[str, Any] = shell.user_ns

    def on_line(self, line: str) -> tuple[str, Iterable[str]]:
        """The last word of the options on a line, and what it may become."""
        parts = line.split()
        if not line[-1:].isspace() and parts:
            word, before = parts[-1], parts[-2] if len(parts) > 1 else ""
        else:
            word, before = "", parts[-1] if parts else ""
        known = self.table.by_name
        name, equals, value = word.partition("=")
        if equals and name.startswith("--"):
            return self.value(name[2:], value)
        takes = "param" if before == "-p" else before.removeprefix("--")
        if before.startswith("-") and takes in known and known[takes].value:
            return self.value(takes, word)
        words = [] if word.startswith("-") else list(self.words(word))
        short = ["-p"] if "param" in known else []
        return word, [*words, *(f"--{name}" for name in known), *short]

    def value(self, option: str, word: str) -> tuple[str, Iterable[str]]:
        """What is completed of an option's value, and what it may become."""
        if option in ("param", "p"):
            name, equals, word_of_value = word.partition("=")
            if equals:
                return word_of_value, self.axes(name, word_of_value)
            return word, (f"{name}=" for name in self.parameters())
        return word, variables(word, self.namespace) if word.startswith("@") else self.offered(option)

    def offered(self, option: str) -> Iterable[str]:
        """What an option may be given."""
        from kernelkit.data.catalog import names

        if option in self.table.by_name and self.table.by_name[option].value == "":
            return ("true", "false")
        known: dict[str, Callable[[], Iterable[str]]] = {
            "data": names,
            "fee": lambda: makers(fees),
            "slippage": lambda: makers(slippage),
            "venue": lambda: makers(venues),
            "fill-model": lambda: NAMED,
            "name": self.titles,
            "out": lambda: sorted(f"{path.parent.parent}" for path in Path().glob("*/*/run.json")),
        }
        return dict.fromkeys(known[option]()) if option in known else ()

    def words(self, word: str) -> Iterable[str]:
        """What stands without an option."""
        kinds: dict[str, Callable[[], Iterable[str]]] = {
            "strategy": self.strategies,
            "result": lambda: [*self.results(), *self.runs()],
            "word": lambda: ("queued", "running", "done", "failed", "cancelled", "lost", *self.runs()),
            "setting": lambda: self.settings(word),
        }
        return kinds[self.table.word]() if self.table.word else ()

    def strategies(self) -> list[str]:
        """Variables that hold strategies, then those with a name everywhere."""
        from kernelkit import strategies
        from kernelkit.notebook.cell import strategies_of

        return list(dict.fromkeys([*strategies_of(self.namespace), *strategies.names()]))

    def results(self) -> list[str]:
        """Variables that hold results."""
        from kernelkit.notebook.kept import results_of

        return results_of(self.namespace)

    def runs(self) -> list[str]:
        """Ids of runs, the newest first."""
        return [run.id for run in list_runs(config_of(self.shell).runs)]

    def titles(self) -> list[str]:
        """The backtests that --repeat knows."""
        magics = self.shell.magics_manager.registry.get(BacktestMagics.__name__)
        return list(magics.done) if magics is not None and self.table.magic == "%backtest" else []

    def settings(self, word: str) -> list[str]:
        """Settings, or values of the one that is written."""
        name, equals, text = word.partition("=")
        if not equals:
            return [f"{name}=" for name in SETTINGS]
        option = name.replace("_", "-")
        known = {"cache": ["on", "off"], "progress": ["on", "off"]}
        values = variables(text, self.namespace) if text.startswith("@") else known.get(name, self.offered(option))
        return [f"{name}={value}" for value in values]

    def parameters(self) -> dict[str, Any]:
        """Parameters and defaults of the strategy: the cell's last function, or the one that the line names."""
        if self.table.magic.startswith("%%"):
            return parameters_in(self.text)
        from kernelkit import strategies
        from kernelkit.strategy import Signal, Strategy

        magics = self.shell.magics_manager.registry.get(BacktestMagics.__name__)
        if "--repeat" in self.text and magics is not None and magics.done:
            named = re.search(r"--name[ =](\S+)", self.text)
            title = named[1] if named is not None and named[1] in magics.done else next(reversed(magics.done))
            return dict(magics.done[title][1].defaults)
        for name in self.text.split():
            found = self.namespace.get(name)
            if isinstance(found, Strategy | Signal):
                return dict(found.defaults)
            if name in strategies.names():
                return dict(strategies.find(name).defaults)
        return {}

    def axes(self, name: str, word: str) -> Iterable[str]:
        """Values of a parameter: variables, or an axis around its default."""
        if word.startswith("@"):
            return variables(word, self.namespace)
        known = self.parameters()
        return suggested(known[name]) if name in known else ()


def suggested(default: Any) -> list[str]:
    """An axis around the default of a parameter, up to twice of it in quarters, then the default itself.

    >>> suggested(20), suggested(0.5), suggested(False)
    (['5:40:5', '20'], ['0.125:1:0.125', '0.5'], ['false,true', 'false'])
    >>> suggested(inspect.Parameter.empty), suggested("long")
    (['5:50:5'], ['long'])
    """
    if default is inspect.Parameter.empty:
        return ["5:50:5"]
    if isinstance(default, bool):
        return ["false,true", str(default).lower()]
    if isinstance(default, int | float) and default > 0:
        step = max(1, default // 4) if isinstance(default, int) else default / 4
        return [f"{step:g}:{2 * default:g}:{step:g}", f"{default:g}"]
    return [str(default)]


def variables(word: str, namespace: Mapping[str, Any]) -> Iterable[str]:
    """``@name`` of each variable."""
    return (f"@{name}" for name in namespace if not name.startswith("_")) if word.startswith("@") else ()


def parameters_in(text: str) -> dict[str, Any]:
    """The parameters of a cell's last function, which need not be finished yet, with their defaults.

    >>> parameters_in("def f(ctx, fast, slow=100):\\n    ...")["slow"]
    100
    """
    heads = _DEF.findall(text)
    if not heads:
        return {}
    try:
        spec = ast.parse(f"def f({heads[-1]}): pass").body[0].args  # type: ignore[attr-defined]  # a function
    except SyntaxError:
        return {}
    placed = [*spec.posonlyargs, *spec.args]
    missing: list[ast.expr | None] = [None] * (len(placed) - len(spec.defaults))
    pairs = [
        *zip(placed, [*missing, *spec.defaults], strict=True),
        *zip(spec.kwonlyargs, spec.kw_defaults, strict=True),
    ]
    return {arg.arg: _literal(node) for arg, node in pairs if arg.arg not in _OWN}


def _literal(node: ast.expr | None) -> Any:
    try:
        return inspect.Parameter.empty if node is None else ast.literal_eval(node)
    except ValueError:  # a name, known when the cell runs
        return inspect.Parameter.empty


def matcher(shell: Any) -> Any:
    """The completer's matcher of `shell`."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher()  # type: ignore[untyped-decorator]
    def kernelkit_matcher(context: Any) -> Any:
        lines = context.full_text.split("\n")
        cursor = sum(len(row) + 1 for row in lines[: context.cursor_line]) + context.cursor_position
        found = candidates(context.full_text, cursor, shell)
        if found is None:
            return {"completions": []}
        word, wanted = found
        completions = [SimpleCompletion(option, type="param") for option in wanted]
        return {"completions": completions, "suppress": bool(completions), "matched_fragment": word, "ordered": True}

    kernelkit_matcher.matcher_identifier = "kernelkit"
    return kernelkit_matcher
