"""What functions find outside their arguments: a way for the future to come in, which a rerun has to close.

The user's own code is looked into wherever it lies: functions, classes and objects of theirs, globals of the modules
that it imports. Code of packages is not.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, EnumMeta
from functools import cached_property, partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.audit import world
from kernelkit.audit.code import UNSET, attributes_of, contents, imports_of, is_users, names_of, texts_of
from kernelkit.indicator import Indicator
from kernelkit.strategy import Signal, Strategy

if TYPE_CHECKING:
    import xarray as xr

NUMBERS = (str, bytes, bool, int, float, np.generic, type(None))
TIMES = (datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo)
HOLDERS = (dict, list, tuple, set, frozenset)
CODE = (ModuleType, FunctionType, BuiltinFunctionType, np.ufunc)
# What a class has that is more than its attributes, or that a copy would set off.
SPECIAL = {"__slots__", "__new__", "__init_subclass__", "__reduce_ex__", "__del__"}
DIGITS = 5  # significant digits from which on a number was computed, not typed
FEW = 64  # numbers of one value that are looked at one by one
WORD = 64  # bits of a number that a strategy computes with; a longer one is a list in disguise


def plain(value: Any) -> FunctionType | None:
    """The function in something callable, if there is one: under a decorator, a cache, a partial, a method."""
    if isinstance(value, partial):
        return plain(value.func)
    if isinstance(value, (Signal, Strategy, Indicator)):
        return plain(value.function)
    if isinstance(value, (property, cached_property)):
        return plain(value.fget if isinstance(value, property) else value.func)
    value = value.__wrapped__ if hasattr(value, "cache_clear") else getattr(value, "__func__", value)
    return value if isinstance(value, FunctionType) else None


def around(function: FunctionType) -> dict[str, Any]:
    """Globals, closure and defaults of one function, by name; of the user's modules what it can mean there."""
    code, defaults = function.__code__, function.__defaults__ or ()
    cells = {n: contents(cell) for n, cell in zip(code.co_freevars, function.__closure__ or (), strict=True)}
    names, attributes = code.co_varnames[: code.co_argcount], attributes_of(code)
    found = {
        **imports_of(code, function.__globals__),
        **{n: function.__globals__[n] for n in sorted(names_of(code)) if n in function.__globals__},
        **{n: value for n, value in cells.items() if value is not UNSET},
        **dict(zip(names[len(names) - len(defaults) :], defaults, strict=True)),
        **(function.__kwdefaults__ or {}),
    }
    modules = [(n, value) for n, value in found.items() if isinstance(value, ModuleType) and is_users(value)]
    for name, module in modules:  # grows while it is walked
        inner = {f"{name}.{n}": vars(module)[n] for n in sorted(attributes & vars(module).keys())}
        modules += [(n, m) for n, m in inner.items() if isinstance(m, ModuleType) and is_users(m) and n not in found]
        found |= inner
    return found


@dataclass(frozen=True)
class Found:
    """What functions find: values by name, and the ``functions`` of the user's among them, those asked about first."""

    values: dict[str, Any]
    functions: list[FunctionType]


def captures(functions: Iterable[Any]) -> Found:
    """All values that functions, and the user's functions that they call, find; of classes and objects what is read."""
    given = list(functions)
    todo = [f for f in map(plain, given) if f is not None]
    homes = [f.__globals__ for f in todo]
    out: dict[str, Any] = {}

    def meet(name: str, value: Any) -> None:
        for leaf in _all_of(value):
            inner = plain(leaf)
            own = inner is not None and (is_users(inner) or any(inner.__globals__ is home for home in homes))
            if inner is not None and own and not any(inner is f for f in todo):
                todo.append(inner)
        if isinstance(value, partial):
            for k, v in [*enumerate(value.args), *value.keywords.items()]:
                take(f"{name}[{k!r}]", v)
        if isinstance(value, MethodType):
            take(f"{name}.__self__", value.__self__)

    def take(name: str, value: Any) -> None:
        if name in out and out[name] is not value:  # of another module
            name = next(n for k in range(2, len(out) + 3) if (n := f"{name} ({k})") not in out or out[n] is value)
        if plain(value) is None:
            out[name] = value
        meet(name, value)

    for value in given:
        take(str(getattr(value, "__name__", type(value).__name__)), value)
    for function in todo:  # grows while it is walked
        own = {f"{function.__name__}.{n}": value for n, value in vars(function).items() if n != "__wrapped__"}
        for name, value in (around(function) | own).items():
            take(name, value)
    return Found(_read(out, todo), todo)


def _all_of(value: Any) -> Iterator[Any]:
    """The value, and all that is in it."""
    todo, seen = [value], set()
    for one in todo:  # grows while it is walked
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += [v for _, v in _inside("", one) or ()]


def _read(values: Mapping[str, Any], functions: Iterable[FunctionType]) -> dict[str, Any]:
    """The values, but of the user's classes and objects the attributes that functions can mean."""
    names = set().union(*(attributes_of(f.__code__) | names_of(f.__code__) | texts_of(f.__code__) for f in functions))
    every = bool(names & {"vars", "__dict__"})
    out: dict[str, Any] = {}
    todo, seen = list(values.items()), set()
    for name, value in todo:  # grows while it is walked
        inside = _inside(name, value)
        if inside is None or not any(_is_own(v) for v in _all_of(value)):
            out[name] = value
        elif id(value) not in seen:
            seen.add(id(value))
            if _is_own(value) and not isinstance(value, (Enum, EnumMeta)):
                inside = [(n, v) for n, v in inside if every or n.rpartition(".")[2] in names]
                if not is_renewable(value) and any(not isinstance(v, (*NUMBERS, *TIMES)) for _, v in _data(inside)):
                    out[name] = value
            todo += _data(inside)
    return out


def _data(inside: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(n, v) for n, v in inside if plain(v) is None]


def _is_own(value: Any) -> bool:
    """Whether it is a class or an object of the user's that can be looked into."""
    return not isinstance(value, HOLDERS) and _inside("", value) is not None


def leaves(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Values by name, those in dicts, lists, tuples and sets one by one."""
    todo, seen = list(values.items()), set()
    for name, value in todo:  # grows while it is walked
        if not isinstance(value, HOLDERS):
            yield name, value
        elif id(value) not in seen:
            seen.add(id(value))
            todo += _inside(name, value) or []


def _inside(name: str, value: Any) -> list[tuple[str, Any]] | None:
    """What there is in it, None of what is looked at as it is."""
    if isinstance(value, HOLDERS):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [(f"{name}[{k!r}]", v) for k, v in items]
    if isinstance(value, EnumMeta):
        members: Mapping[str, Enum] = value.__members__
        return [(f"{name}.{k}", member.value) for k, member in members.items()]
    if isinstance(value, Enum) and not isinstance(value, NUMBERS):
        return [(f"{name}.value", value.value)]
    if isinstance(value, type):
        own = [(k, v) for kind in reversed(value.__mro__) if is_users(kind) for k, v in vars(kind).items()]
        generated = hasattr(value, "__dataclass_fields__")
        return [(f"{name}.{k}", v) for k, v in own if _is_written(k, v, generated)] if is_users(value) else None
    if is_renewable(value):
        return [*(_inside(name, type(value)) or []), *((f"{name}.{k}", v) for k, v in vars(value).items())]
    return None


def _is_written(name: str, value: Any, generated: bool) -> bool:
    """Whether somebody wrote this attribute of a class, rather than the language or `dataclasses`."""
    function = plain(value)
    if function is not None:
        return not (generated and name.startswith("__") and function.__code__.co_filename == "<string>")
    return not (name.startswith(("__", "_abc_")) or hasattr(type(value), "__get__"))


def is_renewable(value: Any) -> bool:
    """Whether it is a class or an object of the user's that can be made anew: nothing but functions and attributes."""
    kind = value if isinstance(value, type) else type(value)
    return (
        type(kind) is type
        and is_users(kind)
        and all(is_users(k) and not SPECIAL & vars(k).keys() for k in kind.__mro__[:-1])
    )


def held(values: Mapping[str, Any], bars: xr.Dataset) -> dict[str, Any]:
    """Those of them that lie along the time of the bars."""
    return {name: value for name, value in leaves(values) if world.lies_along(value, bars)}


def numbers(values: Mapping[str, Any], bars: xr.Dataset) -> dict[str, float]:
    """Those of them that are numbers nobody types, of `DIGITS` digits or more."""
    out = {}
    for name, value in leaves(values):
        array = np.asarray(value) if isinstance(value, (float, np.generic)) or hasattr(value, "dtype") else None
        if array is None or array.dtype.kind != "f" or array.size > FEW or world.lies_along(value, bars):
            continue
        for k, one in enumerate(array.ravel().tolist()):
            if float(f"{one:.{DIGITS - 1}g}") != one and one == one:
                out[name if array.ndim == 0 else f"{name}[{k}]"] = one
    return out


def opaque(values: Mapping[str, Any], bars: xr.Dataset) -> list[str]:
    """Names of those that no rerun makes anew: models, objects of packages, tables and arrays along something else.

    So are long texts and collections of plain values, and methods that were taken of such an object.
    """
    found = [
        name
        for name, value in leaves(values)
        if not isinstance(value, (*NUMBERS, *TIMES, *CODE))
        and not world.lies_along(value, bars)
        and not (isinstance(value, type) and not is_users(value))
        and np.size(value) > 0
        and type(value).__module__.partition(".")[0] != "kernelkit"
        and plain(value) is None
    ]
    found += [name for name, value in values.items() if _is_long(value)]
    return [*found, *(name for name, value in leaves(values) if _is_of_an_object(value))]


def _is_long(value: Any) -> bool:
    """Whether it is a long text, number or collection of plain values: so much can tell of bars."""
    if isinstance(value, int):
        return value.bit_length() > WORD
    if isinstance(value, (str, bytes)):
        return len(value) > FEW
    inside = isinstance(value, HOLDERS)
    return inside and sum(isinstance(v, NUMBERS) for _, v in leaves({"": value})) > FEW


def _is_of_an_object(value: Any) -> bool:
    return isinstance(value, BuiltinFunctionType) and not isinstance(value.__self__, (ModuleType, type, type(None)))
