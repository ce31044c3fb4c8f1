"""What a notebook's cell tagged `parameters` declares, and the runs that given values ask for."""

from __future__ import annotations

import ast
import difflib
import io
import itertools
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelkit.batch import axis
from kernelkit.data.durations import parts
from kernelkit.errors import UsageError

# More runs than this from one command line is a typing error.
MAX_RUNS = 10_000


@dataclass(frozen=True, slots=True)
class Parameter:
    """One assignment of a parameters cell.

    `kind` is one of bool, int, float, str, axis, grid, duration, list, tuple, dict, None, code. `axis` is text that is
    itself an axis (`fast = "5:50:5"`), `grid` such of several parameters (`"fast=5:50:5; n=9"`): the notebook sweeps
    it, so it stays one value here. `duration` is a time of the calendar or a number of bars
    (`train: str | int = "5Y"`). `code` is a default that is no literal; its type is not known. An empty line
    of the cell begins the next `group`.
    """

    name: str
    default: Any
    kind: str
    help: str
    group: int = 0


def declared(source: str) -> tuple[Parameter, ...]:
    """The parameters that the source of a parameters cell assigns, in order; UsageError where it is not Python.

    >>> declared("fast = 20  # bars\\nslow: str = '60:220:20'")[0]
    Parameter(name='fast', default=20, kind='int', help='bars', group=0)
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise UsageError(f"the parameters cell is not Python: {error.msg} in its line {error.lineno}") from None
    comments, lines = _comments(source), source.splitlines()
    found: dict[str, Parameter] = {}
    group = end = 0
    for node in tree.body:
        group += bool(found) and any(not line.strip() for line in lines[end : node.lineno - 1])
        end = node.end_lineno or 0
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value, annotation = node.targets[0], node.value, None
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value, annotation = node.target, node.value, node.annotation
        else:
            continue
        if isinstance(target, ast.Name):
            default, kind = _default(value, annotation)
            found[target.id] = Parameter(target.id, default, kind, comments.get(end, ""), group)
    return tuple(found.values())


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ").strip() for token in tokens if token.type == tokenize.COMMENT}


def _default(value: ast.expr, annotation: ast.expr | None) -> tuple[Any, str]:
    try:
        default = ast.literal_eval(value)
    except ValueError:
        return ast.unparse(value), "code"
    if isinstance(default, str) and _is_axis(default):
        return default, "axis"
    if isinstance(default, str) and _is_grid(default):
        return default, "grid"
    names = [] if annotation is None else [part.strip() for part in ast.unparse(annotation).split("|")]
    if isinstance(default, str) and {*names} == {"str", "int"} and _is_duration(default):
        return default, "duration"
    if default is None and names:
        return default, next((name for name in names if name in ("bool", "int", "float", "str")), "None")
    # `cash: float = 100` means a float
    if type(default) is int and names == ["float"]:
        return float(default), "float"
    return default, "None" if default is None else type(default).__name__


def _is_axis(text: str) -> bool:
    try:
        return isinstance(axis.parse(text), tuple)
    except UsageError:
        return False


def _is_grid(text: str) -> bool:
    try:
        return bool(axis.grid(text))
    except UsageError:
        return False


def _is_duration(text: str) -> bool:
    try:
        return bool(parts(text, ""))
    except UsageError:
        return False


def bind(parameters: Sequence[Parameter], given: Mapping[str, object], source: str) -> list[dict[str, Any]]:
    """The values of every run that `given` asks for: one dict per point of the Cartesian product of its axes.

    Text is read by the type of the default (`axis.parse` for numbers and bools, a comma list for text); other values
    are checked against it, and a list of them is an axis, unless the default is one too. UsageError names the
    parameter, what was found, and what the notebook `source` wants.
    """
    known = {parameter.name: parameter for parameter in parameters}
    axes: dict[str, tuple[Any, ...]] = {}
    for name, value in given.items():
        if name not in known:
            raise UsageError(_unknown(name, list(known), source))
        axes[name] = _values(known[name], value)
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > MAX_RUNS:
        sizes = " x ".join(f"{len(values)} {name}" for name, values in axes.items() if len(values) > 1)
        raise UsageError(
            f"{sizes} are {count:,} runs, at most {MAX_RUNS:,} are made at once; let the notebook sweep an axis itself"
        )
    return [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]


def _unknown(name: str, known: list[str], source: str) -> str:
    if not known:
        return f"{source} takes no parameters: it has no cell tagged 'parameters' with assignments; found {name!r}"
    close = difflib.get_close_matches(name, known, 1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{source} has no parameter {name!r}{hint}; it has {', '.join(known)}"


def typed(parameter: Parameter) -> str | None:
    """The text that `bind` reads as the default; None where there is none, as for code.

    >>> [typed(p) for p in declared("cash = 1_000_000.0; note = 'x; 1, 2'; fast = '5:50:5'; n = len('a')")]
    ['1000000', "'x; 1, 2'", '5:50:5', None]
    """
    default = parameter.default
    if parameter.kind == "code":
        return None
    spelt = [str(default), repr(default), f'"{default}"']
    if parameter.kind == "float" and isinstance(default, float) and default.is_integer() and abs(default) < 1e16:
        spelt.insert(0, str(int(default)))
    for text in spelt:
        try:
            (values,) = _values(parameter, text)
        except (UsageError, ValueError):  # another number of values
            continue
        if values == default and type(values) is type(default):
            return text
    return None


def _values(parameter: Parameter, value: object) -> tuple[Any, ...]:
    name, kind = parameter.name, parameter.kind
    if kind == "axis":
        return (_axis_text(name, value),)
    if kind == "grid":
        return tuple(_grid_text(parameter, one) for one in (value if isinstance(value, list | tuple) else (value,)))
    if kind == "duration":
        return _durations(name, value)
    if isinstance(value, str):
        if kind == "str":
            return _texts(name, value)
        if kind in ("bool", "int", "float"):
            if parameter.default is None and value in ("None", "none"):
                return (None,)
            found = axis.parse(value, name=name, most=10 * MAX_RUNS)  # before so many values are made
        else:
            return (_literal(parameter, value),)
    elif kind in ("bool", "int", "float", "str") and not (value is None and parameter.default is None):
        found = axis.values_of(value, name)
    else:
        _check_literal(parameter, value)
        return (value,)
    return tuple(_typed(parameter, one) for one in (found if isinstance(found, tuple) else (found,)))


def _grid_text(parameter: Parameter, value: object) -> str:
    if not isinstance(value, str):
        raise UsageError(_not_its_kind(parameter, value))
    axis.grid(value)
    return value


def _durations(name: str, value: object) -> tuple[str | int, ...]:
    """Times of the calendar as their texts, numbers of bars as numbers; UsageError for anything else."""
    several = _texts(name, value) if isinstance(value, str) else value if isinstance(value, list | tuple) else (value,)
    return tuple(_duration(name, str(one).strip()) for one in several)


def _duration(name: str, text: str) -> str | int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    parts(text, name)
    return text


def _axis_text(name: str, value: object) -> str:
    if isinstance(value, str):
        axis.parse(value, name=name)
        return value
    found = axis.values_of(value, name)
    if not isinstance(found, tuple):
        found = (found,)
    text = ",".join(one if isinstance(one, str) else repr(one) for one in found)
    if len(found) > 1 and axis.parse(text, name=name) != found:
        raise UsageError(f"{name}: {text} cannot be written as an axis")
    return text


def _texts(name: str, value: str) -> tuple[str, ...]:
    try:
        items = axis.split_list(value)
    except UsageError as error:
        raise UsageError(f"{name}={value}: {error}") from None
    if len(items) > 1 and not items[-1]:
        items.pop()
    texts = tuple(axis.unquote(item) for item in items)
    if len(set(texts)) < len(texts) or (len(texts) > 1 and "" in texts):
        raise UsageError(
            f"{name}={value}: a list holds different texts, none of them empty; quote text that holds a comma"
        )
    return texts


def _typed(parameter: Parameter, value: axis.Value) -> axis.Value:
    """`value` as the type of the default, where nothing is lost by it."""
    kind = parameter.kind
    if type(value).__name__ == kind:
        return value
    if kind == "float" and type(value) is int:
        return float(value)
    if kind == "int" and isinstance(value, float) and value.is_integer():
        return int(value)
    raise UsageError(_not_its_kind(parameter, value))


def _literal(parameter: Parameter, text: str) -> Any:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if parameter.kind == "list" and isinstance(value, tuple):
        value = list(value)
    _check_literal(parameter, value)
    return value


def _check_literal(parameter: Parameter, value: object) -> None:
    if parameter.kind in ("list", "tuple", "dict") and type(value).__name__ != parameter.kind:
        raise UsageError(_not_its_kind(parameter, value))
    if not isinstance(value, bool | int | float | str | list | tuple | dict | None):
        found = type(value).__name__
        raise UsageError(
            f"{parameter.name}: {found} cannot be passed to a notebook; wanted numbers, text, lists, dicts"
        )


def _not_its_kind(parameter: Parameter, value: object) -> str:
    kind = _article(parameter.kind)
    return f"{parameter.name}: {value!r} is not {kind}; the notebook's default is {parameter.default!r}"


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
