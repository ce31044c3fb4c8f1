"""The options of a magic, as a table: from it come the parser, the help and the completion."""

from __future__ import annotations

import difflib
import itertools
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kernelkit.errors import UsageError

_OPEN, _CLOSE, _QUOTES = "([{", ")]}", "'\""
_TRUE, _FALSE = ("true", "yes"), ("false", "no")
# A venue brings its own costs: whichever of these is said later stands alone.
_INSTEAD = {"venue": ("fee", "slippage"), "fee": ("venue",), "slippage": ("venue",)}


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name, what its value stands for in the help ('' for a flag), and what it does."""

    name: str
    value: str
    help: str


@dataclass(frozen=True, slots=True)
class Table:
    """What a magic takes: its options, and what a word without one stands for ('' where there is none).

    >>> print(Table("%shop", (Option("size", "N", "how many"),)).help())
        --size N            how many
    """

    magic: str
    options: tuple[Option, ...] = ()
    word: str = ""

    @property
    def by_name(self) -> dict[str, Option]:
        """The options by name."""
        return {option.name: option for option in self.options}

    def help(self) -> str:
        """The options as ``%magic?`` shows them, one below the other."""
        rows = []
        for option in self.options:
            head = f"--{option.name} {option.value}".rstrip()
            rows.append(textwrap.fill(option.help, 116, initial_indent=f"    {head:<20}", subsequent_indent=" " * 24))
        return "\n".join(rows)


@dataclass(slots=True)
class Given:
    """What was written: text by option, parameters by name, flags, words without an option.

    ``configured`` names the options that nobody has written: `%kkconfig` says them.
    """

    values: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    flags: dict[str, bool] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    configured: set[str] = field(default_factory=set)

    def on(self, flag: str) -> bool:
        """Whether a flag is set."""
        return self.flags.get(flag, False)

    def spelt(self, option: str) -> str:
        """An option with its value, as it was written.

        >>> Given({"cash": "5"}).spelt("cash"), Given({"cash": "5"}, configured={"cash"}).spelt("cash")
        ('--cash 5', '%kkconfig cash=5')
        """
        if option in self.configured:
            return f"%kkconfig {option.replace('-', '_')}={self.values[option]}"
        return f"--{option} {self.values[option]}"

    def over(self, base: Given) -> Given:
        """All of these, and what `base` says beside them; a venue and costs of one's own replace each other.

        >>> Given({"fee": "0.1"}, {"n": "5"}).over(Given({"venue": "cme", "cash": "1"}, {"n": "1", "m": "2"})).values
        {'cash': '1', 'fee': '0.1'}
        """
        gone = {*self.values, *(other for name in self.values for other in _INSTEAD.get(name, ()))}
        return Given(
            {name: text for name, text in base.values.items() if name not in gone} | self.values,
            base.params | self.params,
            base.flags | self.flags,
            self.words or base.words,
            (base.configured - gone) | self.configured,
        )


def parse(table: Table, line: str, cell: str = "") -> Given:
    """Read the options of a magic's line and of the ``#| key: value`` lines at the top of its cell.

    Raises UsageError for anything that is not an option, lacks its value, or is given twice.

    >>> table = Table("%%shop", (Option("param", "NAME=SPEC", "a parameter"), Option("where", "EXPR", "which")))
    >>> parse(table, "-p fast=5:50:5 -p 'slow=60, 80'", "#| where: fast < slow").params
    {'fast': '5:50:5', 'slow': '60, 80'}
    """
    given = Given()
    for name, value, written in itertools.chain(_line_pairs(table, line), _header_pairs(cell)):
        if name:
            _take(table, given, name, value, written)
        else:
            given.words.append(unquote(written))
    return given


def _take(table: Table, given: Given, name: str, value: str | None, written: str) -> None:
    known = table.by_name
    option = known.get("param" if name == "p" else name)
    if option is None:
        raise UsageError(f"unknown option {written}{nearest(name, known)}; {table.magic}? lists the options")
    if option.value == "":
        given.flags[option.name] = _flag(value, written)
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


def _flag(value: str | None, written: str) -> bool:
    text = "true" if value is None else value.lower()
    if text not in (*_TRUE, *_FALSE):
        raise UsageError(f"{written} is true or false, not {value!r}")
    return text in _TRUE


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


def _line_pairs(table: Table, line: str) -> Iterator[tuple[str, str | None, str]]:
    """(option, value, as written) of a line; a flag's value is None unless it is written with =, a word has no name."""
    tokens, known = iter(words(line)), table.by_name
    for word in tokens:
        if word != "-p" and not (word.startswith("--") and word.strip("-")):
            if not table.word or word.startswith("-"):
                form = "options are written --name value, text with spaces is quoted"
                raise UsageError(f"{word!r} is not an option; {form}")
            yield "", None, word
            continue
        written, equals, value = word.partition("=")
        name = written.lstrip("-")
        if equals:
            yield name, unquote(value), written
        elif name in known and known[name].value == "":
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
