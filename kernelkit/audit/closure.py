"""What functions find outside their arguments: a way for the future to come in, which a rerun has to close.

The user's own code is looked into wherever it lies: functions, classes and objects of theirs, globals of the modules
that it imports. Code of packages is not.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, EnumMeta
from functools import cached_property, partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.audit import world
from kernelkit.audit.code import UNSET, attributes_of, contents, imports_of, is_users, names_of
from kernelkit.indicator import Indicator
from kernelkit.strategy import Signal, Strategy

if TYPE_CHECKING:
    import xarray as xr

NUMBERS = (str, bytes, bool, int, float, np.generic, type(None))
TIMES = (datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo)
CODE = (ModuleType, FunctionType, BuiltinFunctionType, np.ufunc)
FILLED = (dict, list, set)  # what a run can fill
DIGITS = 5  # significant digits from which on a number was computed, not typed
FEW = 64  # numbers of one value that are looked at one by one


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


def captures(functions: Iterable[Any]) -> dict[str, Any]:
    """All values that functions, and the user's functions that they call, find, by name; functions left out."""
    given = list(functions)
    todo = [f for f in map(plain, given) if f is not None]
    homes = [f.__globals__ for f in todo]
    out: dict[str, Any] = {}

    def meet(name: str, value: Any) -> None:
        for _, leaf in leaves({name: value}):
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
    return out


def leaves(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Values by name, those in dicts, lists, tuples, classes and objects of the user's one by one."""
    todo, seen = list(values.items()), set()
    for name, value in todo:  # grows while it is walked
        inside = _inside(name, value)
        if inside is None:
            yield name, value
        elif id(value) not in seen:
            seen.add(id(value))
            todo += inside


def _inside(name: str, value: Any) -> list[tuple[str, Any]] | None:
    """What there is in it, None of what is looked at as it is."""
    if isinstance(value, (dict, list, tuple)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [(f"{name}[{k!r}]", v) for k, v in items]
    if isinstance(value, EnumMeta):
        return [(f"{name}.{member.name}", member.value) for member in value]
    if isinstance(value, Enum) and not isinstance(value, NUMBERS):
        return [(f"{name}.value", value.value)]
    if isinstance(value, type):
        own = {k: v for kind in reversed(value.__mro__) if is_users(kind) for k, v in vars(kind).items()}
        return [(f"{name}.{k}", v) for k, v in own.items() if _is_written(k, v)] if is_users(value) else None
    if is_renewable(value):
        inside = _inside(name, type(value)) or []
        return [*inside, *((f"{name}.{k}", v) for k, v in vars(value).items())]
    return None


def _is_written(name: str, value: Any) -> bool:
    """Whether somebody wrote this attribute of a class, rather than the language."""
    return plain(value) is not None or not (name.startswith(("__", "_abc_")) or hasattr(type(value), "__get__"))


def stuck(values: Mapping[str, Any], bars: xr.Dataset) -> list[str]:
    """Names of what a run can fill, or what lies along time, in classes of the user's that cannot be made anew."""
    out: list[str] = []
    todo = list(values.items())
    seen: set[int] = set()
    for name, value in todo:  # grows while it is walked
        inside = _inside(name, value)
        if inside is not None and id(value) not in seen:
            seen.add(id(value))
            todo += inside
            if isinstance(value, type) and not isinstance(value, EnumMeta) and not is_renewable(value):
                out += [n for n, v in inside if isinstance(v, FILLED) or world.lies_along(v, bars)]
    return out


def is_renewable(value: Any) -> bool:
    """Whether it is a class or an object of the user's that can be made anew: nothing but functions and attributes."""
    kind = value if isinstance(value, type) else type(value)
    return (
        type(kind) is type
        and is_users(kind)
        and "__slots__" not in vars(kind)
        and all(k is object or (is_users(k) and "__init_subclass__" not in vars(k)) for k in kind.__mro__)
        and all("__new__" not in vars(k) and "__reduce_ex__" not in vars(k) for k in kind.__mro__[:-1])
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
    found += [*stuck(values, bars), *(name for name, value in values.items() if _is_long(value))]
    return [*found, *(name for name, value in leaves(values) if _is_of_an_object(value))]


def _is_long(value: Any) -> bool:
    """Whether it is a text or a collection of more than `FEW` plain values: so many can tell of bars."""
    if isinstance(value, (str, bytes)):
        return len(value) > FEW
    inside = isinstance(value, (dict, list, tuple))
    return inside and sum(isinstance(v, NUMBERS) for _, v in leaves({"": value})) > FEW


def _is_of_an_object(value: Any) -> bool:
    return isinstance(value, BuiltinFunctionType) and not isinstance(value.__self__, (ModuleType, type, type(None)))
