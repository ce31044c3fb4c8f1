"""The options of `%%backtest`: one table, from which the parser, the help and the completion are made."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kernelkit.errors import UsageError

_OPEN, _CLOSE, _QUOTES = "([{", ")]}", "'\""
_TRUE, _FALSE = ("true", "yes"), ("false", "no")


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name, what its value stands for in the help ('' for a flag), and what it does."""

    name: str
    value: str
    help: str


OPTIONS = (
    Option("data", "NAME", "bars to trade: a data set of kk.data.load, or @variable (a Dataset of bars)"),
    Option("param", "NAME=SPEC", "a value or an axis of a parameter (short: -p); may be given many times"),
    Option("name", "TEXT", "title of the result; the strategy's name if left out"),
    Option("into", "VAR", "variable that gets the result; the latest one is always in _kk"),
    Option("where", "EXPR", "keep only the trials for which this holds, as in 'fast < slow'"),
    Option("start", "DATE", "first day of the evaluated span; earlier bars warm up"),
    Option("end", "DATE", "last day of the evaluated span"),
    Option("cash", "AMOUNT", "money at the start, 1e6 if left out"),
    Option("fee", "MODEL", "a fraction of the traded value, a model as in per_unit(0.005, 1), or @variable"),
    Option("slippage", "MODEL", "a fraction of the price, a model as in square_root(0.1), or @variable"),
    Option("venue", "VENUE", "a venue with its costs, as in us_equity or us_equity(0.001), or @variable"),
    Option(
        "fill-model",
        "NAMES",
        "how orders meet bars, as in lean or @variable; several (conservative,lean) are a dim",
    ),
    Option("client", "ADDRESS", "run on a dask cluster: its address, or @variable (a Client)"),
    Option("gpu", "", "run on a CUDA device where there is one and it is worth it; else one line says why not"),
    Option("debug", "", "run in plain Python: slow; breakpoints and prints work, and any Python is accepted"),
)
BY_NAME = {option.name: option for option in OPTIONS}


@dataclass(slots=True)
class Given:
    """What was written: text by option, parameters by name, and the flags that are set."""

    values: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)


def parse(line: str, cell: str = "") -> Given:
    """Read the options of a magic's line and of the ``#| key: value`` lines at the top of its cell.

    Raises UsageError for anything that is not an option, lacks its value, or is given twice.

    >>> parse("--data sp500_index -p fast=5:50:5 -p 'slow=60, 80'", "#| where: fast < slow").params
    {'fast': '5:50:5', 'slow': '60, 80'}
    """
    given = Given()
    for name, value, written in itertools.chain(_line_pairs(line), _header_pairs(cell)):
        _take(given, name, value, written)
    return given


def _take(given: Given, name: str, value: str | None, written: str) -> None:
    option = BY_NAME.get("param" if name == "p" else name)
    if option is None:
        raise UsageError(f"unknown option {written}{nearest(name, BY_NAME)}; %%backtest? lists the options")
    if option.value == "":
        _take_flag(given, option, value, written)
    elif not value:
        raise UsageError(f"{written} has no value; wanted {written} {option.value}, {option.help}")
    elif option.name == "param":
        parameter, equals, spec = value.partition("=")
        parameter = parameter.strip()
        if not equals or not parameter.isidentifier():
            raise UsageError(f"{written} {value}: wanted name=value or name=start:stop:step, without spaces around =")
        _once(given.params, parameter, spec.strip(), f"parameter {parameter}")
    else:
        _once(given.values, option.name, value, written)


def _take_flag(given: Given, option: Option, value: str | None, written: str) -> None:
    text = "true" if value is None else value.lower()
    if text not in (*_TRUE, *_FALSE):
        raise UsageError(f"{written} is true or false, not {value!r}")
    if text in _TRUE:
        given.flags.add(option.name)


def _once(into: dict[str, str], key: str, value: str, what: str) -> None:
    if key in into:
        raise UsageError(f"{what} is given twice: {into[key]} and {value}")
    into[key] = value


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at what may have been meant, or nothing.

    >>> nearest("wher", ["where", "data"])
    " (did you mean 'where'?)"
    """
    close = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _line_pairs(line: str) -> Iterator[tuple[str, str | None, str]]:
    """(option, value, as written) of a line; a flag's value is None unless it is written with =."""
    tokens = iter(words(line))
    for word in tokens:
        if word != "-p" and not (word.startswith("--") and word.strip("-")):
            raise UsageError(f"{word!r} is not an option; options are written --name value, text with spaces is quoted")
        written, equals, value = word.partition("=")
        name = written.lstrip("-")
        if equals:
            yield name, unquote(value), written
        elif name in BY_NAME and BY_NAME[name].value == "":
            yield name, None, written
        else:
            yield name, _value(next(tokens, None)), written


def _value(word: str | None) -> str | None:
    # the next option is no value: `--name --data x` lacks one
    return None if word is None or word.startswith("--") or word == "-p" else unquote(word)


def _header_pairs(cell: str) -> Iterator[tuple[str, str, str]]:
    """(option, value, as written) of the ``#| key: value`` lines at the top."""
    for row in header(cell):
        name, colon, value = row.removeprefix("#|").partition(":")
        if not colon:
            raise UsageError(f"{row.strip()}: a header line is written #| option: value")
        name = name.strip()
        yield name, unquote(value.strip()), f"#| {name}:"


def header(cell: str) -> list[str]:
    """The ``#|`` lines that a cell starts with, empty lines apart.

    >>> header("#| where: a < b\\n\\n#| gpu: true\\nx = 1\\n#| late: 1")
    ['#| where: a < b', '#| gpu: true']
    """
    rows = []
    for row in cell.splitlines():
        if row.strip() and not row.startswith("#|"):
            break
        if row.strip():
            rows.append(row)
    return rows


def unquote(text: str) -> str:
    """`text` without the quotes around the whole of it.

    >>> unquote("'fast < slow'"), unquote("'a','b'")
    ('fast < slow', "'a','b'")
    """
    if len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0] and text[0] not in text[1:-1]:
        return text[1:-1]
    return text


def words(line: str) -> list[str]:
    """The words of a line: quotes and brackets hold together what is inside them, and stay.

    >>> words("-p rate=log(1e-3, 1e-1, 5) --where 'fast < slow'")
    ['-p', 'rate=log(1e-3, 1e-1, 5)', '--where', "'fast < slow'"]
    """
    found, word, depth, quote = [], "", 0, ""
    for before, character in zip(" " + line, line + " ", strict=True):
        if quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES and (before.isspace() or before in "=,(" or depth):
            # a quote opens at the start of a value only: O'Neil is a name
            quote = character
        else:
            depth += (character in _OPEN) - (character in _CLOSE)
        if character.isspace() and not quote and depth <= 0:
            found += [word] if word else []
            word, depth = "", 0
        else:
            word += character
    if quote or depth > 0:
        raise UsageError(f"{word.strip()}: a {'quote' if quote else 'bracket'} is opened and not closed")
    return found
