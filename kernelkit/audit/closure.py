"""What plain functions find outside their arguments: a way for the future to come in, which a rerun has to close."""

from __future__ import annotations

import datetime
import dis
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.audit import world
from kernelkit.indicator import Indicator
from kernelkit.strategy import Signal, Strategy

if TYPE_CHECKING:
    import xarray as xr

GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME")
NUMBERS = (str, bytes, bool, int, float, np.generic, type(None))
TIMES = (datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo)
CODE = (type, ModuleType, FunctionType, BuiltinFunctionType, np.ufunc)
DIGITS = 5  # significant digits from which on a number was computed, not typed
FEW = 64  # numbers of one value that are looked at one by one
UNSET = object()  # what a closure's variable is before it is assigned


def names_of(code: CodeType) -> set[str]:
    """The global names that a function's code loads, functions inside it included; attributes do not count."""
    found = {step.argval for step in dis.get_instructions(code) if step.opname in GLOBALS}
    return found.union(*(names_of(c) for c in code.co_consts if isinstance(c, CodeType)))


def plain(value: Any) -> FunctionType | None:
    """The function in something callable, if there is one: under a decorator, a cache, a partial, a method."""
    if isinstance(value, partial):
        return plain(value.func)
    if isinstance(value, (Signal, Strategy, Indicator)):
        return plain(value.function)
    value = value.__wrapped__ if hasattr(value, "cache_clear") else getattr(value, "__func__", value)
    return value if isinstance(value, FunctionType) else None


def around(function: FunctionType) -> dict[str, Any]:
    """Globals, closure and defaults of one function, by name."""
    code, defaults = function.__code__, function.__defaults__ or ()
    cells = {n: contents(cell) for n, cell in zip(code.co_freevars, function.__closure__ or (), strict=True)}
    names = code.co_varnames[: code.co_argcount]
    return {
        **{n: function.__globals__[n] for n in sorted(names_of(code)) if n in function.__globals__},
        **{n: value for n, value in cells.items() if value is not UNSET},
        **dict(zip(names[len(names) - len(defaults) :], defaults, strict=True)),
        **(function.__kwdefaults__ or {}),
    }


def contents(cell: CellType) -> Any:
    """The value in a closure's cell, `UNSET` in one that is empty."""
    try:
        return cell.cell_contents
    except ValueError:
        return UNSET


def captures(functions: Iterable[Any]) -> dict[str, Any]:
    """All values that functions, and the helpers of their own modules, find, by name; functions left out."""
    todo = [f for f in map(plain, functions) if f is not None]
    homes = [f.__globals__ for f in todo]
    out: dict[str, Any] = {}
    for function in todo:  # grows while it is walked
        for name, value in around(function).items():
            inner = plain(value)
            if inner is None:
                out.setdefault(name, value)
            elif any(inner.__globals__ is home for home in homes) and not any(inner is f for f in todo):
                todo.append(inner)
            if isinstance(value, partial):
                out |= {f"{name}[{k!r}]": v for k, v in [*enumerate(value.args), *value.keywords.items()]}
    return out


def leaves(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Values by name, those in dicts, lists and tuples one by one."""
    todo, seen = list(values.items()), set()
    for name, value in todo:  # grows while it is walked
        if not isinstance(value, (dict, list, tuple)):
            yield name, value
        elif id(value) not in seen:
            seen.add(id(value))
            inner = value.items() if isinstance(value, dict) else enumerate(value)
            todo += [(f"{name}[{k!r}]", v) for k, v in inner]


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
    """Names of those that no rerun makes anew: models, objects, tables and arrays along something else.

    So are long texts and collections of plain values, and methods that were taken of such an object.
    """
    found = [
        name
        for name, value in leaves(values)
        if not isinstance(value, (*NUMBERS, *TIMES, *CODE))
        and not world.lies_along(value, bars)
        and np.size(value) > 0
        and type(value).__module__.partition(".")[0] != "kernelkit"
        and plain(value) is None
    ]
    found += [name for name, value in values.items() if _is_long(value)]
    return [*found, *(name for name, value in leaves(values) if _is_of_an_object(value))]


def _is_long(value: Any) -> bool:
    """Whether it is a text or a collection of more than `FEW` plain values: so many can tell of bars."""
    if isinstance(value, (str, bytes)):
        return len(value) > FEW
    inside = isinstance(value, (dict, list, tuple))
    return inside and sum(isinstance(v, NUMBERS) for _, v in leaves({"": value})) > FEW


def _is_of_an_object(value: Any) -> bool:
    return isinstance(value, BuiltinFunctionType) and not isinstance(value.__self__, (ModuleType, type, type(None)))


class Renewal:
    """Makes functions anew: containers that they find are as they first were, and ``others`` replace values by id.

    A cache that one run fills is thus empty in the next one. Nothing of the user's is changed.
    """

    def __init__(self, functions: Iterable[Any], others: Mapping[int, Any]) -> None:
        self.homes = [f.__globals__ for f in map(plain, functions) if f is not None]
        self.made = dict(others)
        self.kept: list[Any] = []  # what the ids are of

    def of(self, value: Any) -> Any:
        """The value as a function made anew finds it."""
        if id(value) in self.made:
            return self.made[id(value)]
        self.kept.append(value)
        if hasattr(value, "cache_clear") and plain(value) is not None:
            value = plain(value)
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, Signal):
            signal = self.made[id(value)] = object.__new__(type(value))  # copy.copy would find it by its name
            signal.__dict__ = {**value.__dict__, "function": self.of(value.function)}
            return signal
        if isinstance(value, partial):
            return partial(self.of(value.func), *map(self.of, value.args), **self._dict(value.keywords))
        if type(value) is dict:
            return self._dict(value)
        if type(value) is list:
            items: list[Any] = []
            self.made[id(value)] = items
            items += map(self.of, value)
            return items
        if type(value) is tuple:
            return tuple(map(self.of, value))
        return set(value) if type(value) is set else value

    def _dict(self, value: dict[Any, Any]) -> dict[Any, Any]:
        made = self.made[id(value)] = {}
        made |= {k: self.of(v) for k, v in value.items()}
        return made

    def _function(self, value: FunctionType) -> FunctionType:
        if not any(value.__globals__ is home for home in self.homes):
            return value  # of a library, or of another module
        home = value.__globals__
        if id(home) not in self.made:
            self.made[id(home)] = dict(home)
        cells = tuple(map(self._cell, value.__closure__ or ()))
        made = FunctionType(value.__code__, self.made[id(home)], value.__name__, None, cells)
        self.made[id(value)] = made
        made.__qualname__, made.__module__, made.__doc__ = value.__qualname__, value.__module__, value.__doc__
        made.__defaults__ = self.of(value.__defaults__)
        made.__kwdefaults__ = self.of(value.__kwdefaults__)
        for name in names_of(value.__code__) & home.keys():
            made.__globals__[name] = self.of(home[name])
        for new, old in zip(cells, value.__closure__ or (), strict=True):
            if contents(old) is not UNSET:
                new.cell_contents = self.of(old.cell_contents)
        return made

    def _cell(self, cell: CellType) -> CellType:
        if id(cell) not in self.made:
            self.kept.append(cell)
            self.made[id(cell)] = CellType()
        made: CellType = self.made[id(cell)]
        return made
